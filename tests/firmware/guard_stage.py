# Phones and a speaker for the guard's tests, on loopback addresses, and streams that a test can look into.
import asyncio
import os
import socket

from check import equal, until
from speakeasy import http_guard
from stage import Clock

PHONE = "127.0.0.1"  # the address that connections here come from
X = "127.0.0.111"
ALIAS = "127.0.0.2"
HOST = "127.0.0.1"  # the bridge's, on the segment
# conftest.py; the board without sockets has no environment.
PORT = int(os.getenv("SPEAKEASY_PORT")) if hasattr(os, "getenv") else 0
SPEAKER_PORT = PORT + 1
EVENTS_PORT = PORT + 2
CALLBACK_PORT = PORT + 3


def quad(text):
    return bytes([int(part) for part in text.split(".")])


class Policy:
    """What the guard asks the policy."""

    def __init__(self):
        self.guarded = True
        self.addr, self.alias, self.host = quad(X), quad(ALIAS), quad(HOST)
        self.phones = {quad(PHONE)}

    def leased(self, addr):
        return addr in self.phones

    def leases(self):
        return [("a" * 16, addr, None, 1000) for addr in sorted(self.phones)]


class Stream:
    """One connection. `take` reads until a text has come, `rest` until the other side closes."""

    def __init__(self, stream):
        self.stream = stream
        self.got = b""
        self.closed = False

    async def send(self, data):
        self.stream.write(data)
        await self.stream.drain()

    async def _more(self):
        try:
            data = await asyncio.wait_for(self.stream.read(4096), 10)
        except OSError:
            data = b""
        self.got += data
        return data

    async def take(self, text):
        while text not in self.got:
            assert await self._more(), self.got
        end = self.got.find(text) + len(text)
        taken, self.got = self.got[:end], self.got[end:]
        return taken

    async def exactly(self, size):
        while len(self.got) < size:
            assert await self._more(), self.got
        taken, self.got = self.got[:size], self.got[size:]
        return taken

    async def rest(self):
        while await self._more():
            pass
        return self.got

    async def answer(self):
        """(status, fields in lower case, body) of one answer with a length or chunks."""
        head = await self.take(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b": ")
            assert name.lower() not in fields, head
            fields[name.lower()] = value
        body = b""
        if fields.get(b"transfer-encoding") == b"chunked":
            assert b"content-length" not in fields, head
            while True:
                size = int(await self.take(b"\r\n"), 16)
                body += await self.exactly(size)
                equal(await self.exactly(2), b"\r\n")
                if size == 0:
                    break
        elif b"content-length" in fields:
            body = await self.exactly(int(fields[b"content-length"]))
        return int(lines[0].split(b" ")[1]), fields, body

    async def close(self):
        if not self.closed:
            self.closed = True
            self.stream.close()
            await self.stream.wait_closed()


async def dial(host, port, source=None):
    """A connection to host and port, from an address of one's choice."""
    if source is None:
        return Stream((await asyncio.open_connection(host, port))[0])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((source, 0))
    s.connect((host, port))
    s.setblocking(False)
    return Stream(asyncio.StreamReader(s))


class Speaker:
    """Records what it gets, and sends `answers` (bytes, one a connection; the last one stays)."""

    def __init__(self):
        self.heads = []
        self.bodies = []
        self.peers = []
        self.answers = [b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\nok"]
        self.hold = None  # an Event: answers wait for it

    async def serve(self, reader, writer):
        stream = Stream(reader)
        self.peers.append(writer.get_extra_info("peername")[0])
        try:
            head = await stream.take(b"\r\n\r\n")
            size = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    size = int(line[15:])
            self.bodies.append(await stream.exactly(size))
            self.heads.append(head)
            if self.hold is not None:
                await self.hold.wait()
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            await stream.send(answer)
        except (AssertionError, OSError, asyncio.TimeoutError):
            pass
        await stream.close()


class Bench:
    """async with Bench() as b: a running guard, a speaker behind it, a phone before it."""

    def __init__(self):
        self.policy = Policy()
        self.speaker = Speaker()
        self.clock = Clock()
        self.beats = 0
        self.streams = []
        self.guard = http_guard.Guard(
            self.policy, self.beat, PORT, SPEAKER_PORT, EVENTS_PORT, self.clock, random=os.urandom
        )

    def beat(self):
        self.beats += 1

    async def __aenter__(self):
        self.sockets = socket.socket._count
        self.server = await asyncio.start_server(self.speaker.serve, ALIAS, SPEAKER_PORT)
        self.task = asyncio.create_task(self.guard.run())
        self.listening = await self.up()
        return self

    async def up(self):
        for _ in range(1000):
            try:
                await (await self.phone()).close()
                return True
            except OSError:
                await asyncio.sleep_ms(5)
        raise AssertionError("the guard does not listen")

    async def phone(self, source=None):
        stream = await dial(X, PORT, source)
        try:
            stream.stream.s.send(b"")  # raises when it was refused
        except OSError:
            await stream.close()
            raise
        self.streams.append(stream)
        return stream

    async def ask(self, request):
        """One request on a connection of its own: (status, fields, body)."""
        stream = await self.phone()
        await stream.send(request)
        answer = await stream.answer()
        await stream.close()
        return answer

    async def __aexit__(self, kind, value, traceback):
        for stream in self.streams:
            await stream.close()
        self.task.cancel()
        self.server.close()
        await self.server.wait_closed()
        if kind is None:
            # Whatever happened, no socket is lost.
            await until(lambda: socket.socket._count == self.sockets, what="all sockets to be closed")
            equal(self.guard.budget._left, http_guard.HELD_MAX_BYTES)
            equal(len(self.guard._connections), 0)


def get(target=b"/x", extra=b"", version=b"1.1"):
    return b"GET %s HTTP/%s\r\nHost: %s:%d\r\n%s\r\n" % (target, version, X.encode(), PORT, extra)


def post(body, extra=b"Content-Type: text/xml\r\n"):
    return b"POST /c HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: %d\r\n%s\r\n" % (
        X.encode(),
        PORT,
        len(body),
        extra,
    ) + bytes(body)
