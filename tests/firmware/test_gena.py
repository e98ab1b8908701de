# Events, on real sockets: a phone subscribes through the guard, the speaker notifies, the phone is told.
import asyncio

from check import equal, until
from guard_stage import ALIAS, CALLBACK_PORT, EVENTS_PORT, HOST, PHONE, PORT, Bench, Stream, X, dial, quad
from speakeasy import gena, http_guard

TIME_LIMIT_S = 40
SID = b"uuid:RINCON_1_sub1"
CALLBACK = b"<http://%s:%d/notify>" % (PHONE.encode(), CALLBACK_PORT)
ADDR = quad(PHONE)


class Listener:
    """The phone's event listener: records whole requests, answers with `status`."""

    def __init__(self):
        self.got = []
        self.status = b"200 OK"
        self.now = self.most = 0
        self.hold = None

    async def serve(self, reader, writer):
        stream = Stream(reader)
        self.now += 1
        self.most = max(self.most, self.now)
        head = await stream.take(b"\r\n\r\n")
        size = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        body = await stream.exactly(int(size[0][15:]))
        self.got.append((head, body))
        if self.hold is not None:
            await self.hold.wait()
        await stream.send(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 0\r\n\r\n")
        self.now -= 1
        await stream.close()


class Events(Bench):
    async def __aenter__(self):
        await super().__aenter__()
        self.listener = Listener()
        self.phone_server = await asyncio.start_server(self.listener.serve, PHONE, CALLBACK_PORT)
        return self

    async def __aexit__(self, kind, value, traceback):
        self.phone_server.close()
        await self.phone_server.wait_closed()
        await super().__aexit__(kind, value, traceback)

    async def request(self, method, fields, answer=None):
        self.speaker.answers = [granted() if answer is None else answer]
        return await self.ask(
            method + b" /Event HTTP/1.1\r\nHOST: %s:%d\r\n" % (X.encode(), PORT) + fields + b"\r\n\r\n"
        )

    async def subscribe(self, callback=CALLBACK, answer=None):
        """(the answer's status, our callback's path as the speaker got it or None)."""
        before = len(self.speaker.heads)
        status, fields, _ = await self.request(
            b"SUBSCRIBE", b"CALLBACK: " + callback + b"\r\nNT: upnp:event\r\nTIMEOUT: Second-600", answer
        )
        if status == 200:
            equal(fields[b"sid"], SID)
        if len(self.speaker.heads) == before:
            return status, None
        head = self.speaker.heads[-1]
        start = head.find(b"CALLBACK: <http://%s:%d/" % (HOST.encode(), EVENTS_PORT))
        assert start > 0 and head.count(b"CALLBACK") == 1 and PHONE.encode() + b":%d" % CALLBACK_PORT not in head, head
        path = head[start:].split(b">")[0].split(b"/")[-1]
        equal(len(path), 32)
        return status, b"/" + path

    async def notify(self, path, body=b"<v>127.0.0.2</v>", sid=SID, source=ALIAS, extra=b"", length=True):
        """What the speaker is answered; empty when the connection was closed."""
        stream = await dial(HOST, EVENTS_PORT, source)
        head = b"NOTIFY %s HTTP/1.1\r\nHOST: %s:%d\r\n" % (path, HOST.encode(), EVENTS_PORT)
        head += (
            b"CONTENT-TYPE: text/xml\r\nNT: upnp:event\r\nNTS: upnp:propchange\r\nSID: %s\r\nSEQ: 7\r\n" % sid + extra
        )
        if length:
            head += b"Content-Length: %d\r\n" % len(body)
        try:
            await stream.send(head + b"\r\n" + body)
            answer = await stream.rest()
        except OSError:
            answer = b""
        await stream.close()
        return answer[9:12]


def granted(sid=SID, timeout=b"Second-600"):
    return b"HTTP/1.1 200 OK\r\nSID: %s\r\nTIMEOUT: %s\r\nContent-Length: 0\r\n\r\n" % (sid, timeout)


async def test_from_subscription_to_event_and_back():
    async with Events() as b:
        status, path = await b.subscribe()
        equal(status, 200)
        equal(await b.notify(path), b"200")
        head, body = b.listener.got[0]
        equal(body, b"<v>127.0.0.111</v>")
        assert head.startswith(b"NOTIFY /notify HTTP/1.1\r\nHOST: 127.0.0.1:%d\r\n" % CALLBACK_PORT), head
        for field in (b"SID: " + SID, b"SEQ: 7", b"NT: upnp:event", b"NTS: upnp:propchange", b"CONTENT-TYPE: text/xml"):
            equal(head.count(b"\r\n" + field + b"\r\n"), 1)
        # The phone's word reaches the speaker: it may end the subscription.
        b.listener.status = b"412 Precondition Failed"
        equal(await b.notify(path), b"412")
        equal((await b.request(b"SUBSCRIBE", b"SID: " + SID + b"\r\nTIMEOUT: Second-600"))[0], 200)
        assert b"\r\nSID: " + SID in b.speaker.heads[-1]
        equal(
            (await b.request(b"UNSUBSCRIBE", b"SID: " + SID, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))[0], 200
        )
        equal(len(b.guard.subscriptions), 0)
        equal(await b.notify(path), b"412")
        equal(len(b.listener.got), 2)


async def test_chunked_events_and_the_largest():
    async with Events() as b:
        _, path = await b.subscribe()
        body = b"5\r\n<v>12\r\n0b\r\n7.0.0.2</v>\r\n0\r\n\r\n"
        equal(await b.notify(path, body, extra=b"Transfer-Encoding: chunked\r\n", length=False), b"200")
        equal(b.listener.got[-1][1], b"<v>127.0.0.111</v>")
        assert b"hunked" not in b.listener.got[-1][0]
        largest = b"x" * gena.EVENT_MAX_BYTES
        equal(await b.notify(path, largest), b"200")
        equal(b.listener.got[-1][1], largest)
        equal(await b.notify(path, largest + b"x"), b"413")
        assert b.guard.budget.take(http_guard.HELD_MAX_BYTES)
        equal(await b.notify(path), b"503")
        b.guard.budget.give_back(http_guard.HELD_MAX_BYTES)
        equal(len(b.listener.got), 2)


async def test_only_the_speaker_may_notify():
    async with Events() as b:
        _, path = await b.subscribe()
        for source in (PHONE, "127.0.0.9"):
            equal(await b.notify(path, source=source), b"")
        for wrong in (b"/", b"/" + b"0" * 32, path + b"/", path[:-1], b"/x" + path):
            equal(await b.notify(wrong), b"412")
        equal(await b.notify(path, sid=b"uuid:another"), b"412")
        stream = await dial(HOST, EVENTS_PORT, ALIAS)
        await stream.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        equal((await stream.rest())[9:12], b"405")
        await stream.close()
        equal(b.listener.got, [])
        equal(await b.notify(path), b"200")


async def test_no_open_relay():
    async with Events() as b:
        b.policy.phones.add(quad("127.0.0.9"))  # leased, too, but another's
        port = b"%d" % CALLBACK_PORT
        for callback in (
            b"<http://127.0.0.9:" + port + b"/n>",
            b"<http://127.0.0.2:" + port + b"/n>",
            b"<http://10.0.0.1/n>",
            b"<http://localhost:" + port + b"/n>",
            b"<http://127.0.0.1.evil.example:" + port + b"/n>",
            b"<http://127.0.0.1@evil.example:" + port + b"/n>",
            b"<http://a@127.0.0.1:" + port + b"/n>",
            b"<http://0127.0.0.1:" + port + b"/n>",
            b"<https://127.0.0.1:" + port + b"/n>",
            b"<http://127.0.0.1:0/n>",
            b"<http://127.0.0.1:65536/n>",
            b"<http://127.0.0.1:-1/n>",
            b"<http://127.0.0.1:/n>",
            b"<http://127.0.0.1:" + port + b"/n m>",
            b"<http://127.0.0.1:" + port + b"/n#m>",
            b"<http://127.0.0.1:" + port + b"/" + b"n" * 300 + b">",
            b"<http://127.0.0.1:" + port + b"/n",
            b"http://127.0.0.1:" + port + b"/n",
            b"<>",
            b"nonsense",
            b"",
        ):
            equal(await b.subscribe(callback), (412, None))
        equal(len(b.guard.subscriptions), 0)
        # Of several the own one counts.
        status, path = await b.subscribe(b"<http://10.0.0.1/n>" + CALLBACK)
        equal(status, 200)
        # And the lease counts at each event.
        b.policy.phones.discard(ADDR)
        equal(await b.notify(path), b"412")
        equal(b.listener.got, [])
        b.policy.phones.add(ADDR)
        equal(await b.notify(path), b"412")


async def test_another_phones_subscription_cannot_be_touched():
    async with Events() as b:
        await b.subscribe()
        b.policy.phones.add(quad("127.0.0.9"))
        before = len(b.speaker.heads)
        for method in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
            other = await b.phone("127.0.0.9")
            await other.send(method + b" /Event HTTP/1.1\r\nHOST: %s\r\nSID: %s\r\n\r\n" % (X.encode(), SID))
            equal((await other.answer())[0], 412)
            await other.close()
        for fields in (
            b"SID: uuid:unknown",
            b"SID: " + SID + b"\r\nCALLBACK: " + CALLBACK,
            b"SID: " + SID + b"\r\nSID: " + SID,
        ):
            assert (await b.request(b"SUBSCRIBE", fields))[0] in (400, 412)
        equal((await b.request(b"UNSUBSCRIBE", b"CALLBACK: " + CALLBACK))[0], 412)
        equal(len(b.speaker.heads), before)
        equal(len(b.guard.subscriptions), 1)


async def test_an_event_waits_until_the_phone_knows_its_subscription():
    async with Events() as b:
        b.speaker.hold = asyncio.Event()
        asking = asyncio.create_task(b.subscribe())
        await until(lambda: b.speaker.heads)
        path = b"/" + list(b.guard.subscriptions._all)[0]
        telling = asyncio.create_task(b.notify(path))
        await until(lambda: len(b.guard._events.connections) == 1)
        equal(b.listener.got, [])
        b.speaker.hold.set()
        equal(await asking, (200, path))
        equal(await telling, b"200")
        equal(len(b.listener.got), 1)


async def test_a_subscription_that_the_speaker_refuses_is_forgotten():
    async with Events() as b:
        for answer in (
            b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            granted(sid=b"x" * 97),
            b"garbage\r\n\r\n",
            b"",
        ):
            status, _ = await b.subscribe(answer=answer)
            assert status in (502, 503), status
            equal(len(b.guard.subscriptions), 0)


async def test_a_phone_that_does_not_listen():
    async with Events() as b:
        _, path = await b.subscribe()
        b.phone_server.close()
        await b.phone_server.wait_closed()
        equal(await b.notify(path), b"502")
        b.phone_server = await asyncio.start_server(b.listener.serve, PHONE, CALLBACK_PORT)
        equal(await b.notify(path), b"200")


async def test_events_at_one_time():
    async with Events() as b:
        _, path = await b.subscribe()
        b.listener.hold = asyncio.Event()
        tasks = [asyncio.create_task(b.notify(path)) for _ in range(gena.MAX_EVENTS)]
        await until(lambda: len(b.guard._events.connections) == gena.MAX_EVENTS)
        await until(lambda: b.listener.now == gena.MAX_FORWARDED)
        equal(await b.notify(path), b"")
        b.listener.hold.set()
        for task in tasks:
            equal(await task, b"200")
        equal((b.listener.most, len(b.listener.got)), (gena.MAX_FORWARDED, gena.MAX_EVENTS))
        # One that stalls is cut off.
        stream = await dial(HOST, EVENTS_PORT, ALIAS)
        await stream.send(b"NOTIFY ")
        await until(lambda: len(b.guard._events.connections) == 1)
        b.clock.now += gena.EVENT_S + 1
        equal(await stream.rest(), b"")
        await stream.close()
        equal(await b.notify(path), b"200")
