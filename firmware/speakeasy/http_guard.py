"""The speaker's port 1400 with private addressing: phones talk to the bridge, the bridge talks to the speaker.

The speaker believes in an address that no phone can reach, and writes it into what it answers: here each one becomes X,
the bridge's, and each X in a request becomes the speaker's. Only phones with a lease are served; only what is exactly a
request is passed on, over a connection of its own to the speaker: what one phone sends can never become part of
another's request. Text is rewritten as it streams by; everything else passes untouched.
"""

import asyncio

from micropython import const

from . import clock, crypto, inet
from .connections import Budget, Connection, Connections, connect
from .eventlog import log
from .gena import EVENTS_PORT, MAX_EVENTS, Events
from .http_message import PIECE_BYTES, Bad, Body, Held, Inlet, Request, Response, head_of
from .rewrite import Rewriter, replaced

PORT = 1400
MAX_CONNECTIONS = 8
BODY_MAX_BYTES = 16 * 1024
HELD_MAX_BYTES = 32 * 1024  # of all bodies that are in memory at one time, events among them
IDLE_S = 60  # of a connection between two requests
HEAD_S = 10  # from a request's first byte to the end of its body
STEP_S = 30  # for the speaker to answer, and for each piece of an answer to be taken

_TURN_MS = const(200)
_CONNECT_MS = const(5000)
_LINGER_MS = const(200)
_LINGER_S = const(2)
_MAX_INTERIM = const(3)  # 1xx answers before the real one
_METHODS = (b"GET", b"HEAD", b"POST", b"SUBSCRIBE", b"UNSUBSCRIBE")
_TEXT = (b"text/xml", b"application/xml", b"application/soap+xml", b"text/html", b"text/plain")
# Encodings and ranges of a text are of the text before it is rewritten.
_DROPPED = (b"host", b"expect", b"accept-encoding", b"range", b"if-range", b"upgrade-insecure-requests")
_REASONS = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    431: b"Request Header Fields Too Large",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
_SAY = {
    502: b"The speaker's answer could not be passed on. Try again.\n",
    503: b"The bridge is busy with other requests. Try again in a few seconds.\n",
    504: b"The speaker does not answer. Is it on, and on the bridge's Wi-Fi?\n",
}


class Guard:
    """`policy`: who has a lease, and which addresses count. Ports other than the real ones are for tests."""

    def __init__(
        self,
        policy,
        beat,
        port: int = PORT,
        speaker_port: int = PORT,
        events_port: int = EVENTS_PORT,
        now=clock.seconds,
        random=crypto.random,
    ) -> None:
        self._policy = policy
        self._beat = beat
        self._port = port
        self._speaker_port = speaker_port
        self._events_port = events_port
        self._connections = Connections(MAX_CONNECTIONS, now)
        self._budget = Budget(HELD_MAX_BYTES)
        self._events = Events(policy, self._budget, now, random)
        self._x = self._alias = b""

    async def run(self) -> None:
        """Serve for ever, while addressing is private."""
        while True:
            self._beat()
            if self._policy.guarded:
                await self._serve()
            await asyncio.sleep_ms(_TURN_MS)

    def _addresses(self) -> tuple:
        policy = self._policy
        return policy.guarded, policy.addr, policy.alias

    async def _serve(self) -> None:
        # Until an address or the mode changes: then nothing that was begun is true any more.
        scene = self._addresses()
        self._x = self._events.text_x = inet.text(scene[1]).encode()
        self._alias = self._events.text_alias = inet.text(scene[2]).encode()
        events = self._events
        try:
            phones = asyncio.start_server(self._connected, "0.0.0.0", self._port, backlog=MAX_CONNECTIONS)
            notices = asyncio.start_server(events.serve, "0.0.0.0", self._events_port, backlog=MAX_EVENTS)
            async with await phones, await notices:
                log("guard", "phones reach the speaker at %s port %d" % (inet.text(scene[1]), self._port))
                while self._addresses() == scene:
                    self._connections.sweep(self._policy.leased)
                    events.connections.sweep(lambda addr: addr == scene[2])
                    self._beat()
                    await asyncio.sleep_ms(_TURN_MS)
        finally:
            self._connections.cut_all()
            events.connections.cut_all()
            events.subscriptions.clear()

    async def _connected(self, reader, writer) -> None:
        connection = None
        try:
            addr = inet.parse(writer.get_extra_info("peername")[0])
            if not self._policy.leased(addr):
                return
            connection = self._connections.enter(addr)
            if connection is None:
                await _refuse(writer, 503)
                await asyncio.wait_for_ms(reader.read(PIECE_BYTES), _LINGER_MS)
                return
            await self._requests(connection, Inlet(reader), writer)
        except (OSError, EOFError, asyncio.TimeoutError):
            pass  # the phone went away, or was too slow
        finally:
            if connection is not None:
                self._connections.leave(connection)
            writer.close()
            await writer.wait_closed()

    async def _requests(self, connection: Connection, inlet: Inlet, writer) -> None:
        while True:
            self._connections.give(connection, IDLE_S, idle=True)
            if not await inlet.begins():
                return
            self._connections.give(connection, HEAD_S)
            exchange = _Exchange(self, connection, inlet, writer)
            try:
                request = Request(await inlet.head())
                if not await exchange.run(request):
                    return
            except Bad as e:
                if not exchange.answering:
                    self._connections.give(connection, _LINGER_S)
                    await _refuse(writer, e.status)
                    await inlet.drain()
                return

    # What an exchange needs of its guard.

    def progress(self, connection: Connection) -> None:
        """The connection has made a step; it has STEP_S for the next one."""
        self._connections.give(connection, STEP_S)

    def outward(self, text: bytes) -> bytes:
        """A short text of the speaker's, for a phone."""
        return replaced(text, self._alias, self._x)

    def inward(self, text: bytes) -> bytes:
        """A text of a phone's, for the speaker."""
        return replaced(text, self._x, self._alias)

    def rewriter(self, inward: bool = False) -> Rewriter:
        """For a text that comes in pieces: a phone's, for the speaker (`inward`), or the other way."""
        return Rewriter(self._x, self._alias) if inward else Rewriter(self._alias, self._x)

    def is_us(self, host: bytes | None) -> bool:
        """Whether a Host field names the speaker as phones know it. A page that had its own name point to X, to have
        the browser of a phone send its requests, does not get through."""
        return host is None or host == self._x or host == b"%s:%d" % (self._x, self._port)

    def authority(self) -> bytes:
        """The speaker's Host."""
        return b"%s:%d" % (self._alias, self._speaker_port)

    def callback(self, token: bytes) -> bytes:
        """Our callback on the segment."""
        return b"<http://%s:%d/%s>" % (inet.text(self._policy.host).encode(), self._events_port, token)

    async def speaker(self):
        """A connection to the speaker."""
        try:
            return await connect(self._alias.decode(), self._speaker_port, _CONNECT_MS)
        except OSError:
            raise Bad(504) from None

    @property
    def budget(self) -> Budget:
        """The memory for bodies."""
        return self._budget

    @property
    def subscriptions(self):
        """The phones' subscriptions."""
        return self._events.subscriptions


class _Exchange:
    """One request and its answer."""

    def __init__(self, guard: Guard, connection: Connection, inlet: Inlet, writer) -> None:
        self._guard = guard
        self._connection = connection
        self._inlet = inlet
        self._writer = writer
        self._subscription = None
        self._is_new = False
        self.answering = False  # the head of an answer is out: an error can only be told by closing

    async def run(self, request: Request) -> bool:
        """Whether the connection can take another request."""
        guard = self._guard
        if request.method not in _METHODS:
            raise Bad(405)
        if not guard.is_us(request.host):
            raise Bad(421)
        if request.chunked:
            raise Bad(411)
        size = request.length or 0
        if size > BODY_MAX_BYTES:
            raise Bad(413)
        if not guard.budget.take(size):
            raise Bad(503)
        try:
            body = await self._body(request, size)
            self._subscribe(request)
            guard.progress(self._connection)
            return await self._pass_on(request, body)
        finally:
            guard.budget.give_back(size)
            subscription = self._subscription
            if subscription is not None:
                if self._is_new and not subscription.sid:
                    guard.subscriptions.drop(subscription)
                subscription.answered.set()

    async def _body(self, request: Request, size: int) -> Held:
        # Rewritten where it is text.
        expected = request.fields.get(b"expect")
        if expected is not None:
            if expected.lower() != b"100-continue":
                raise Bad(417)
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._writer.drain()
        kind = (request.fields.get(b"content-type") or b"").split(b";")[0].strip().lower()
        rewriter = self._guard.rewriter(inward=True) if kind in _TEXT else None
        body = Body(self._inlet, size, False)
        held = Held()
        while True:
            piece = await body.piece()
            if rewriter is None:
                held.add(piece)
            else:
                held.add(rewriter.feed(piece) if piece else rewriter.end())
            if not piece:
                return held

    def _subscribe(self, request: Request) -> None:
        # UPnP Device Architecture 1.1, 4.1: with a CALLBACK it is a new one, with a SID one that is known.
        if request.method not in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
            return
        subscriptions = self._guard.subscriptions
        sid = request.fields.get(b"sid")
        callback = request.fields.get(b"callback")
        if sid is not None:
            if callback is not None:
                raise Bad(400)
            self._subscription = subscriptions.find(self._connection.addr, sid)
            if self._subscription is None:
                raise Bad(412)
        elif callback is None or request.method == b"UNSUBSCRIBE":
            raise Bad(412)
        else:
            self._subscription = subscriptions.offer(self._connection.addr, callback)
            self._is_new = True

    def _request_head(self, request: Request, size: int) -> bytes:
        guard = self._guard
        fields = [(b"Host", guard.authority())]
        for name, value in request.fields.passed_on(*_DROPPED):
            if self._subscription is not None and name.lower() == b"callback":
                value = guard.callback(self._subscription.token)
            else:
                value = guard.inward(value)
            fields.append((name, value))
        if size or request.method == b"POST":
            fields.append((b"Content-Length", b"%d" % size))
        fields.append((b"Connection", b"close"))
        return head_of(b"%s %s HTTP/1.1" % (request.method, guard.inward(request.target)), fields)

    async def _pass_on(self, request: Request, body: Held) -> bool:
        stream = await self._guard.speaker()
        try:
            stream.write(self._request_head(request, body.size))
            await stream.drain()
            await body.send(stream)
            inlet = Inlet(stream)
            response = await _final(inlet)
            self._heard(request, response)
            return await self._answer(request, response, inlet)
        except (OSError, EOFError, Bad):
            if self.answering:
                raise
            raise Bad(502) from None
        finally:
            stream.close()
            await stream.wait_closed()

    def _heard(self, request: Request, response: Response) -> None:
        # What the answer to a SUBSCRIBE or UNSUBSCRIBE means for the table.
        subscription = self._subscription
        if subscription is None:
            return
        subscriptions = self._guard.subscriptions
        if request.method == b"UNSUBSCRIBE" or response.status == 412:
            subscriptions.drop(subscription)
        elif response.status == 200:
            fields = response.fields
            subscriptions.confirm(subscription, fields.get(b"sid") or b"", fields.get(b"timeout") or b"")

    async def _answer(self, request: Request, response: Response, inlet: Inlet) -> bool:
        guard, writer = self._guard, self._writer
        none = request.method == b"HEAD" or response.status in (204, 304)
        coded = (response.fields.get(b"content-encoding") or b"identity").lower() != b"identity"
        rewriter = guard.rewriter() if response.kind() in _TEXT and not coded and response.status != 206 else None
        length = response.length if rewriter is None else None
        if not none and response.length == 0:
            length = 0
        chunked = not none and length is None and request.is_11
        stays = request.is_11 and b"close" not in request.fields.options() and (chunked or none or length is not None)
        fields = [(name, guard.outward(value)) for name, value in response.fields.passed_on()]
        if length is not None:
            fields.append((b"Content-Length", b"%d" % length))
        if chunked:
            fields.append((b"Transfer-Encoding", b"chunked"))
        fields.append((b"Connection", b"keep-alive" if stays else b"close"))
        self.answering = True
        writer.write(head_of(b"HTTP/1.1 %d %s" % (response.status, response.reason), fields))
        await writer.drain()
        if none:
            return stays
        body = Body(inlet, response.length, response.chunked)
        while True:
            guard.progress(self._connection)
            piece = await body.piece()
            out = piece
            if rewriter is not None:
                out = rewriter.feed(piece) if piece else rewriter.end()
            if out:
                if chunked:
                    writer.write(b"%x\r\n" % len(out))
                writer.write(out)
                if chunked:
                    writer.write(b"\r\n")
            if not piece:
                break
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return stays


async def _final(inlet: Inlet) -> Response:
    # The answer after interim ones.
    for _ in range(_MAX_INTERIM + 1):
        response = Response(await inlet.head())
        if response.status >= 200:
            return response
        if response.status == 101:
            break
    raise Bad(502)


async def _refuse(writer, status: int) -> None:
    text = _SAY.get(status, b"The bridge does not pass this request on.\n")
    fields = [
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"%d" % len(text)),
        (b"Connection", b"close"),
    ]
    writer.write(head_of(b"HTTP/1.1 %d %s" % (status, _REASONS[status]), fields) + text)
    await writer.drain()
