"""Events through the bridge (UPnP Device Architecture 1.1, section 4): the speaker notifies us, we notify the phone.

With private addressing a phone's SUBSCRIBE carries a callback of ours instead of its own. The speaker's NOTIFY to it is
rewritten and passed on to the phone's callback: only to the machine that subscribed, only while it has a lease.
"""

import asyncio

from micropython import const

from . import clock, crypto, inet
from .connections import Budget, Connections, connect
from .http_message import Bad, Body, Held, Inlet, Request, Response, head_of
from .rewrite import Rewriter, replaced

EVENTS_PORT = 3400  # on the segment
MAX_SUBSCRIPTIONS = 32
MAX_EVENTS = 8  # connections of the speaker at a time
MAX_FORWARDED = 3  # of which so many have a connection to a phone
EVENT_MAX_BYTES = 16 * 1024
EVENT_S = 10  # for one event, all in all
CALLBACK_MAX_BYTES = 256
SID_MAX_BYTES = 96
LONGEST_S = 24 * 3600  # of a subscription

_CONNECT_MS = const(3000)
_TOKEN_BYTES = const(16)
_GRACE_S = const(60)
_DEFAULT_S = const(1800)
_REASONS = {200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 412: b"Precondition Failed"}


class Subscription:
    """A phone's subscription: events go to `addr` (4 bytes), `port`, `path`."""

    def __init__(self, token: bytes, addr: bytes, port: int, path: bytes, until: int) -> None:
        self.token = token
        self.addr = addr
        self.port = port
        self.path = path
        self.until = until
        self.sid = b""  # empty until the speaker has answered
        self.answered = asyncio.Event()  # the phone knows the SID: events make sense to it


class Subscriptions:
    """The table, bounded; a phone sees only its own."""

    def __init__(self, now=clock.seconds, random=crypto.random) -> None:
        self._now = now
        self._random = random
        self._all: dict = {}  # token -> Subscription

    def __len__(self) -> int:
        return len(self._all)

    def offer(self, addr: bytes, callback: bytes) -> Subscription:
        """A new one for the phone at `addr`, not known to the speaker yet. `callback`: the field's value. Bad when none
        of its URLs is at that address. When the table is full, the phone that has the most loses the one that would
        end first: the speaker hears so at its next event, the phone when it renews."""
        port, path = _own(callback, addr)
        self._expire()
        if len(self._all) >= MAX_SUBSCRIPTIONS:
            self._make_room()
        token = self._random(_TOKEN_BYTES).hex().encode()
        subscription = Subscription(token, addr, port, path, self._now() + _GRACE_S)
        self._all[token] = subscription
        return subscription

    def confirm(self, subscription: Subscription, sid: bytes, timeout: bytes) -> None:
        """The speaker took it, or renewed it: for as long as its TIMEOUT says. Bad when its SID is none."""
        if not 0 < len(sid) <= SID_MAX_BYTES or (subscription.sid and subscription.sid != sid):
            raise Bad(502)
        subscription.sid = sid
        subscription.until = self._now() + _seconds(timeout) + _GRACE_S

    def find(self, addr: bytes, sid: bytes) -> Subscription | None:
        """The subscription `sid` of the phone at `addr`."""
        self._expire()
        for subscription in self._all.values():
            if subscription.sid == sid and subscription.addr == addr:
                return subscription
        return None

    def of(self, token: bytes) -> Subscription | None:
        """The one whose callback ends in `token`."""
        self._expire()
        return self._all.get(token)

    def drop(self, subscription: Subscription) -> None:
        """Forget it."""
        self._all.pop(subscription.token, None)

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()

    def _make_room(self) -> None:
        counts: dict = {}
        for subscription in self._all.values():
            counts[subscription.addr] = counts.get(subscription.addr, 0) + 1
        victim = None
        for subscription in self._all.values():
            most = counts[subscription.addr] == max(counts.values())
            if most and (victim is None or subscription.until < victim.until):
                victim = subscription
        if victim is not None:
            self.drop(victim)

    def _expire(self) -> None:
        now = self._now()
        for token, subscription in list(self._all.items()):
            if subscription.until < now:
                del self._all[token]


class Events:
    """Takes the speaker's NOTIFYs and passes them on. `text_x`, `text_alias` are set by the guard, `budget` is shared
    with it."""

    def __init__(self, policy, budget: Budget, now=clock.seconds, random=crypto.random) -> None:
        self._policy = policy
        self._budget = budget
        self._forwarding = 0
        self._freed = asyncio.Event()
        self.subscriptions = Subscriptions(now, random)
        self.connections = Connections(MAX_EVENTS, now)
        self.text_x = self.text_alias = b""

    async def serve(self, reader, writer) -> None:
        """One connection: one NOTIFY. From anybody but the speaker it is closed unread."""
        connection = None
        try:
            addr = inet.parse(writer.get_extra_info("peername")[0])
            connection = self.connections.enter(addr) if addr == self._policy.alias else None
            if connection is None:
                return
            self.connections.give(connection, EVENT_S)
            inlet = Inlet(reader)
            refused = False
            try:
                status = await self._one(inlet)
            except Bad as e:
                status = e.status
                refused = True
            except (OSError, EOFError):
                status = 502
            reason = _REASONS.get(status, b"")
            fields = [(b"Content-Length", b"0"), (b"Connection", b"close")]
            writer.write(head_of(b"HTTP/1.1 %d %s" % (status, reason), fields))
            await writer.drain()
            if refused:
                await inlet.drain()
        except OSError:
            pass
        finally:
            if connection is not None:
                self.connections.leave(connection)
            writer.close()
            await writer.wait_closed()

    async def _one(self, inlet: Inlet) -> int:
        # The status for the speaker: the phone's, where the phone was asked.
        request = Request(await inlet.head())
        if request.method != b"NOTIFY":
            raise Bad(405)
        fields = request.fields
        subscription = self.subscriptions.of(request.target[1:])
        sid = fields.get(b"sid")
        if subscription is None or sid is None or fields.get(b"nt") != b"upnp:event":
            raise Bad(412)
        body = Held()
        rewriter = Rewriter(self.text_alias, self.text_x)
        held = 0
        try:
            whole = Body(inlet, request.length or 0, request.chunked)
            if (request.length or 0) > EVENT_MAX_BYTES:
                raise Bad(413)
            while True:
                piece = await whole.piece()
                if not piece:
                    body.add(rewriter.end())
                    break
                if held + len(piece) > EVENT_MAX_BYTES:
                    raise Bad(413)
                if not self._budget.take(len(piece)):
                    raise Bad(503)
                held += len(piece)
                body.add(rewriter.feed(piece))
            await subscription.answered.wait()
            if subscription.sid != sid:
                raise Bad(412)
            if not self._policy.leased(subscription.addr):
                self.subscriptions.drop(subscription)
                raise Bad(412)
            return await self._forward(subscription, request, body)
        finally:
            self._budget.give_back(held)

    async def _forward(self, subscription: Subscription, request: Request, body: Held) -> int:
        while self._forwarding >= MAX_FORWARDED:
            self._freed.clear()
            await self._freed.wait()
        self._forwarding += 1
        stream = None
        try:
            addr = inet.text(subscription.addr)
            stream = await connect(addr, subscription.port, _CONNECT_MS)
            fields = [(b"HOST", b"%s:%d" % (addr.encode(), subscription.port))]
            for name, value in request.fields.passed_on(b"host"):
                fields.append((name, replaced(value, self.text_alias, self.text_x)))
            fields += [(b"Content-Length", b"%d" % body.size), (b"Connection", b"close")]
            stream.write(head_of(b"NOTIFY %s HTTP/1.1" % subscription.path, fields))
            await stream.drain()
            await body.send(stream)
            try:
                return Response(await Inlet(stream).head()).status
            except Bad:
                raise Bad(502) from None
        finally:
            self._forwarding -= 1
            self._freed.set()
            if stream is not None:
                stream.close()
                await stream.wait_closed()


def _own(callback: bytes, addr: bytes) -> tuple:
    # (port, path) of the first URL at `addr` in `<http://a.b.c.d:port/path><...>`.
    if len(callback) > 4 * CALLBACK_MAX_BYTES:
        raise Bad(412)
    for part in callback.split(b"<")[1:]:
        url, closing, _ = part.partition(b">")
        found = _at(url, addr) if closing and len(url) <= CALLBACK_MAX_BYTES else None
        if found is not None:
            return found
    raise Bad(412)


def _at(url: bytes, addr: bytes) -> tuple | None:
    if url[:7].lower() != b"http://" or any([not 32 < byte < 127 or byte == 35 for byte in url]):
        return None
    authority, slash, path = url[7:].partition(b"/")
    host, colon, port = authority.partition(b":")
    if not colon:
        port = b"80"
    if host != inet.text(addr).encode() or not 1 <= len(port) <= 5 or not all([48 <= byte < 58 for byte in port]):
        return None
    number = int(port)
    return (number, b"/" + path) if 0 < number < 65536 else None


def _seconds(timeout: bytes) -> int:
    # Of `Second-1800` or `Second-infinite`.
    kind, _, count = timeout.strip().lower().partition(b"-")
    if kind != b"second":
        return _DEFAULT_S
    if count == b"infinite":
        return LONGEST_S
    if not 1 <= len(count) <= 9 or not all([48 <= byte < 58 for byte in count]):
        return _DEFAULT_S
    return min(int(count), LONGEST_S)
