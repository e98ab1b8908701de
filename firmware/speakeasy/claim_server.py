"""A small HTTP server for strangers' bytes: what claims come by (SPEC 3).

One request a connection, each part bounded; what is not exactly a request is refused. What a request means is not its
business: `Server` asks a function for each answer.
"""

import asyncio
import json

from micropython import const

from . import clock, inet
from .eventlog import log
from .policy import CLAIM_PORT

HEAD_MAX_BYTES = 1024
BODY_MAX_BYTES = 512
REQUEST_S = 5
MAX_CONNECTIONS = 4
FREE_WRONG = 5  # wrong claims in WRONG_WINDOW_S that are answered at once
WRONG_WINDOW_S = 10
WRONG_DELAY_S = 3
MAX_DELAYED = 2

# Handshakes that are not over yet, and connections that were not taken yet: lwIP counts both, and waits 20 s for the
# end of one. The filter lets 16 begin, and ends the oldest for the next one: with as many again there is always room.
_BACKLOG = const(32)
_CLOSE_MS = const(200)
_DRAIN_BYTES = const(256)
# Connections over the limit that are told so at one time; further ones are just closed. Of the board's
# sockets the server takes nine at most: its own, MAX_CONNECTIONS, these, and MAX_DELAYED.
_MAX_REFUSED = const(2)
_MAX_DRAINS = const(16)

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_SAY = {
    "bad-request": "That was no request this bridge understands.",
    "bad-length": "That request is too long.",
    "not-found": "There is nothing here.",
    "bad-method": "This address takes another method.",
    "timeout": "The request did not come in time; try again.",
    "busy": "Too many phones ask at the same moment; try again in a few seconds.",
    "bad-proof": "The bridge does not accept this proof. Claim again; if it stays so, pair the phone again.",
    "cross-site": "Another site's page asked for this. Open the link itself.",
    "bad-token": "This link was used or is older than a minute. Have a new one made on a phone that is paired.",
    "not-allowed": "Only an owner may do that. Ask one, or press the button on the bridge.",
    "moved": "The phone has another address than it believes; claim again.",
    "relayed": "Something between this phone and the bridge answers for it: a repeater, or somebody who listens.",
    "full": "All 16 leases are taken; revoke a phone, or wait for one to go away.",
    "slow-down": "Too many wrong claims; wait ten seconds.",
    "unseen": "The bridge does not see yet which machine this is; claim again in a second.",
    "failed": "The bridge could not do that; try again.",
}


class Refused(Exception):
    """An answer other than 200: `status`, and a word of _SAY."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.word = word


class Wrong(Refused):
    """A claim without a valid proof or token: counted, and slowed down."""


def success(answer: dict) -> tuple:
    """A 200 with JSON, as `Server` wants it from `respond`."""
    return 200, "application/json", "", json.dumps(answer).encode()


class Server:
    """`respond(method, path, body, addr, port)` answers a request from that address and port: (status, type, extra
    headers, body), or raises Refused or Wrong."""

    def __init__(self, respond, beat, now=clock.seconds) -> None:
        self._respond = respond
        self._beat = beat
        self._now = now
        self._wrong: list = []  # when, of the last FREE_WRONG
        self._active = 0
        self._unwhole: list = []  # the tasks whose request is not whole yet, or never will be; oldest first
        self._refusing = 0
        self._delayed = 0

    async def run(self, host: str = "0.0.0.0", port: int = CLAIM_PORT) -> None:
        """Serve for ever."""
        async with await asyncio.start_server(self._connected, host, port, backlog=_BACKLOG):
            while True:
                self._beat()
                await asyncio.sleep(1)

    async def _connected(self, reader, writer) -> None:
        # Nothing that happens to one connection may reach another one.
        try:
            if self._active >= MAX_CONNECTIONS and not await self._make_room():
                await self._refuse(reader, writer)
            else:
                await self._one(reader, writer)
        except (OSError, EOFError, asyncio.TimeoutError, MemoryError):
            pass  # the phone went away, or the memory did
        finally:
            writer.close()
            await writer.wait_closed()

    async def _make_room(self) -> bool:
        # A phone's request is there at once: who has not yet said what it wants, or was refused for what it said, gives
        # way, the oldest first. So nobody keeps phones out by holding connections.
        if not self._unwhole:
            return False
        self._unwhole.pop(0).cancel()
        await asyncio.sleep_ms(0)
        return True

    async def _refuse(self, reader, writer) -> None:
        if self._refusing >= _MAX_REFUSED:
            return
        self._refusing += 1
        try:
            await asyncio.wait_for(_send(writer, *_failure(503, "busy")), REQUEST_S)
            await _drain(reader)
        finally:
            self._refusing -= 1

    async def _one(self, reader, writer) -> None:
        me = asyncio.current_task()
        self._active += 1
        self._unwhole.append(me)
        try:
            answer = await self._answer(reader, writer, me)
            if answer is not None:
                await asyncio.wait_for(_send(writer, *answer), REQUEST_S)
                if me in self._unwhole:
                    await _drain(reader)
                return
        finally:
            self._active -= 1
            if me in self._unwhole:
                self._unwhole.remove(me)
        # A wrong claim too many. It takes none of the four places while it waits, or wrong claims could keep good ones
        # out.
        if self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                await asyncio.sleep(WRONG_DELAY_S)
                await asyncio.wait_for(_send(writer, *_failure(429, "slow-down")), REQUEST_S)
            finally:
                self._delayed -= 1
        else:
            _write(writer, *_failure(429, "slow-down"))

    async def _answer(self, reader, writer, me) -> tuple | None:
        # None for a wrong claim too many.
        try:
            method, path, body = await asyncio.wait_for(_request(reader), REQUEST_S)
        except asyncio.TimeoutError:
            return _failure(408, "timeout")
        except Refused as e:
            return _failure(e.status, e.word)
        if me in self._unwhole:
            self._unwhole.remove(me)
        try:
            peer = writer.get_extra_info("peername")
            return self._respond(method, path, body, inet.parse(peer[0]), peer[1])
        except Wrong as e:
            return None if self._too_many_wrong() else _failure(e.status, e.word)
        except Refused as e:
            return _failure(e.status, e.word)

    def _too_many_wrong(self) -> bool:
        now = self._now()
        self._wrong = [t for t in self._wrong if now - t < WRONG_WINDOW_S]
        if len(self._wrong) >= FREE_WRONG:
            return True
        self._wrong.append(now)
        if len(self._wrong) == FREE_WRONG:
            log(
                "claims",
                "%d wrong tries to be let in, within %d s: further ones are slowed down" % (FREE_WRONG, WRONG_WINDOW_S),
            )
        return False


def _failure(status: int, word: str) -> tuple:
    return status, "application/json", "", json.dumps({"error": word, "say": _SAY[word]}).encode()


async def _request(reader) -> tuple[str, str, bytes]:
    # (method, path, body). Refused for all that is too long or no request; EOFError when it is cut off.
    buffer = bytearray(HEAD_MAX_BYTES + BODY_MAX_BYTES)
    view = memoryview(buffer)
    n = 0
    end = -1
    while end < 0:
        if n >= HEAD_MAX_BYTES:
            raise Refused(413, "bad-length")
        # Only what is new, or a head that comes byte by byte would be looked through (and copied) a thousand times.
        start = max(0, n - 3)
        n += await _some(reader, view[n:HEAD_MAX_BYTES])
        end = bytes(view[start:n]).find(b"\r\n\r\n")
    end += start
    method, path, length = _head(bytes(view[:end]))
    start = end + 4
    if length > BODY_MAX_BYTES:
        raise Refused(413, "bad-length")
    if n > start + length:
        raise Refused(400, "bad-request")  # a second request, or a body that was not announced
    while n < start + length:
        n += await _some(reader, view[n : start + length])
    return method, path, bytes(view[start : start + length])


async def _some(reader, view) -> int:
    while True:
        n = await reader.readinto(view)
        if n is None:
            continue
        if n == 0:
            raise EOFError
        return n


def _head(head: bytes) -> tuple:
    # (method, path, length of the body) of a request line and headers.
    for byte in head:
        if byte > 126 or (byte < 32 and byte not in (9, 10, 13)):
            raise Refused(400, "bad-request")
    lines = head.decode().split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].startswith("/") or not parts[0]:
        raise Refused(400, "bad-request")
    length = -1
    origin = host = None
    for line in lines[1:]:
        colon = line.find(":")
        name = line[:colon].lower()
        value = line[colon + 1 :].strip()
        if colon < 1 or name != name.strip() or "\n" in line or "\r" in line:
            raise Refused(400, "bad-request")
        if name == "transfer-encoding":
            raise Refused(400, "bad-request")
        if name == "content-length":
            if length >= 0 or not value or not all("0" <= c <= "9" for c in value):
                raise Refused(400, "bad-request")
            if len(value) > 4:
                raise Refused(413, "bad-length")
            length = int(value)
        if name == "origin":
            if origin is not None:
                raise Refused(400, "bad-request")
            origin = value
        if name == "host":
            if host is not None:
                raise Refused(400, "bad-request")
            host = value
    # A browser says whose page asks. Only our own page does: one at an address, for a name can be made to lead here.
    if origin is not None and (not host or origin != "http://" + host or any(c not in "0123456789.:" for c in host)):
        raise Refused(403, "cross-site")
    return parts[0], parts[1], max(length, 0)


def _write(writer, status: int, kind: str, extra: str, body: bytes) -> None:
    head = (
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n%s\r\n" % (status, _REASONS[status], kind, len(body), extra)
    )
    # In one: a second small segment would wait for the phone's acknowledgement of the first (Nagle).
    writer.write(head.encode() + body)


async def _send(writer, status: int, kind: str, extra: str, body: bytes) -> None:
    _write(writer, status, kind, extra, body)
    await writer.drain()


async def _drain(reader) -> None:
    # What was not read yet would turn our close into a reset that overtakes the answer: take a bit of it.
    try:
        await asyncio.wait_for_ms(_soak(reader), _CLOSE_MS)
    except asyncio.TimeoutError:
        pass


async def _soak(reader) -> None:
    for _ in range(_MAX_DRAINS):
        if not await reader.read(_DRAIN_BYTES):
            break
