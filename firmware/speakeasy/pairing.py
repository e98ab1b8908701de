"""The pairing link over Bluetooth LE (SPEC 2): a GATT service, on the air while `openness` says so; one phone at a
time, every step bounded in time.

Writes are captured by aioble in a queue of 10 that drops its oldest without a sign. A loss cannot go unnoticed:
fragments are numbered, so the session ends with an ERROR. It also cannot happen to a phone that waits for its
answers with an MTU of 107 or more: no message has more than ten fragments then. Writes may be delivered after their
connection is gone: each comes with its connection, and only the present one's count.
"""

import asyncio
import json
import os
import time

import aioble
import bluetooth
from micropython import const

from . import PROTOCOL, VERSION, session
from .eventlog import log, seldom
from .openness import CLOSED
from .request import Caller
from .settings import OWNER

SERVICE = bluetooth.UUID("5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11")
INBOX = bluetooth.UUID("5ea50002-7a1c-4b0e-9d57-0f5a3c8e2b11")
OUTBOX = bluetooth.UUID("5ea50003-7a1c-4b0e-9d57-0f5a3c8e2b11")
INFO = bluetooth.UUID("5ea50004-7a1c-4b0e-9d57-0f5a3c8e2b11")

NAME = "Speakeasy"

SILENCE_MS = 30_000
HANDSHAKE_MS = 10_000
SESSION_MS = 600_000  # the longest session: nobody keeps the others out, or Bluetooth on, for ever
WRONG_KEY_MS = 1_000
PARTING_MS = 1_000  # how long the last notification may take to get out
MAX_WAITING = 2304  # bytes of the present phone that were not looked at yet: two messages, whatever the MTU
MAX_FRAGMENTS = 108  # and so many of them: two messages at the smallest MTU
MAX_EARLY = 10  # writes that came before advertise() handed out their connection

_ADVERTISE_US = const(250_000)
_FOLLOW_MS = const(250)  # how soon a change of the state shows
_LAST_MOMENT_MS = const(100)  # until what the radio reported before it fell silent has arrived
_COMPANY = const(0xFFFF)
_INBOX_BYTES = const(512)
_PARTING_POLL_MS = const(20)
_TURN_MS = const(1_000)
_WHY = (
    "",
    "it was not understood",
    "its code, invite or key is wrong",
    "locked after wrong codes",
    "nothing is open for its code or invite",
    "a message was changed on the way",
    "it speaks another version",
)
_NOTIFY_TRIES = const(100)
_NOTIFY_PAUSE_MS = const(20)


class Gone(Exception):
    """The phone is gone, or stayed silent for too long."""


class Link:
    """The fragments of one connection, from the radio to the session."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.closed = False
        self._overrun = False
        self._waiting: list = []
        self._bytes = 0
        self._event = asyncio.Event()

    def push(self, fragment: bytes) -> None:
        """Called by the receiver."""
        if self.closed:
            return
        if self._bytes + len(fragment) > MAX_WAITING or len(self._waiting) >= MAX_FRAGMENTS:
            self._overrun = True
        else:
            self._waiting.append(fragment)
            self._bytes += len(fragment)
        self._event.set()

    def close(self) -> None:
        """The connection is gone, or nothing that it sends counts any more."""
        self.closed = True
        self._waiting.clear()
        self._event.set()

    async def fragment(self, deadline: int) -> bytes:
        """The next fragment; Gone when the phone is, or at `deadline` (in ticks); ProtocolError when it sends faster
        than it waits for answers."""
        while True:
            if self.closed or not self.connection.is_connected():
                raise Gone
            if self._overrun:
                raise session.ProtocolError(session.BAD_MESSAGE)
            if self._waiting:
                fragment = self._waiting.pop(0)
                self._bytes -= len(fragment)
                return fragment
            left = time.ticks_diff(deadline, time.ticks_ms())
            if left <= 0:
                raise Gone
            self._event.clear()
            try:
                await asyncio.wait_for_ms(self._event.wait(), min(left, _TURN_MS))
            except asyncio.TimeoutError:
                pass


class Pairing:
    """Run `run()`, supervised; it registers the service once."""

    def __init__(self, identity, phones, lockout, openness, operations, beat, random=os.urandom) -> None:
        self._identity = identity
        self._phones = phones
        self._lockout = lockout
        self._openness = openness
        self._operations = operations
        self._beat = beat
        self._random = random
        # Made by _switch_on(), before anything uses them.
        self._inbox: aioble.Characteristic = None  # type: ignore[assignment]
        self._outbox: aioble.Characteristic = None  # type: ignore[assignment]
        self._info: aioble.Characteristic = None  # type: ignore[assignment]
        self._receiver: asyncio.Task | None = None
        self._link: Link | None = None
        self._early: list = []  # writes of a connection that advertise() has not handed out yet
        self._reassembler = session.Reassembler()
        self._afterwards = _nothing  # what the phone's last request wants done when it is gone

    async def run(self) -> None:
        """Be on the air while Bluetooth is open, serve one phone, again and again."""
        try:
            while True:
                self._beat()
                state = self._openness.state()
                if state == CLOSED:
                    self._switch_off()
                    await asyncio.sleep_ms(_FOLLOW_MS)
                    continue
                self._switch_on()
                connection = await self._advertise(state)
                if connection is not None:
                    await self._serve(connection)
        finally:
            self._switch_off()  # whatever went wrong: the next run begins with a fresh radio

    async def _advertise(self, state: int):
        # The connection of a phone; None when the state has changed.
        self._info.write(self._info_value(state))
        over = asyncio.Event()
        advertising = asyncio.create_task(_advertised(state, over))
        try:
            while not over.is_set() and self._openness.state() == state:
                self._beat()
                if self._receiver is None or self._receiver.done():
                    raise RuntimeError("the receiver stopped")
                try:
                    await asyncio.wait_for_ms(over.wait(), _FOLLOW_MS)
                except asyncio.TimeoutError:
                    pass
            if not over.is_set():
                # First the radio falls silent, then who came at the last moment is heard: to cancel advertise() while a
                # connection is on its way would leave that connection to nobody.
                aioble.core.ble.gap_advertise(None)
                start = time.ticks_ms()
                while not over.is_set() and time.ticks_diff(time.ticks_ms(), start) < _LAST_MOMENT_MS:
                    await asyncio.sleep_ms(_PARTING_POLL_MS)
        finally:
            advertising.cancel()  # aioble swallows it, and returns None
        return await advertising

    def _switch_on(self) -> None:
        if self._receiver is not None:
            return
        service = aioble.Service(SERVICE)
        inbox = aioble.BufferedCharacteristic(service, INBOX, write=True, capture=True, max_len=_INBOX_BYTES)
        outbox = aioble.Characteristic(service, OUTBOX, notify=True)
        info = aioble.Characteristic(service, INFO, read=True)
        aioble.register_services(service)
        self._inbox, self._outbox, self._info = inbox, outbox, info
        self._receiver = asyncio.create_task(self._receive())

    def _switch_off(self) -> None:
        # aioble forgets its services then, so there are new ones at the next time.
        if self._receiver is None:
            return
        self._receiver.cancel()
        self._receiver = None
        self._early.clear()
        aioble.stop()

    def _info_value(self, state: int) -> bytes:
        return bytes((PROTOCOL, state)) + self._identity.bridge_id

    async def _receive(self) -> None:
        while True:
            connection, fragment = await self._inbox.written()
            link = self._link
            if connection is None or not connection.is_connected():
                continue
            if link is not None and connection is link.connection:
                link.push(fragment)
            elif link is None and len(self._early) < MAX_EARLY:
                self._early.append((connection, fragment))

    async def _serve(self, connection) -> None:
        link = self._link = Link(connection)
        for early, fragment in self._early:
            if early is connection:
                link.push(fragment)
        self._early.clear()
        watcher = asyncio.create_task(_watch(connection, link))
        self._afterwards = _nothing
        try:
            await self._talk(link)
        except Gone:
            pass
        except session.ProtocolError as e:
            seldom("pairing", "a phone was sent away: %s" % _WHY[e.code])
            try:
                await self._send(link, session.error(e.code))
            except Gone:
                pass
        finally:
            link.close()
            await _part(connection)
            watcher.cancel()
            self._link = None
        self._afterwards()

    async def _talk(self, link: Link) -> None:
        self._reassembler.reset()
        first = await self._patient(link, _in_ms(SILENCE_MS))
        deadline = _in_ms(HANDSHAKE_MS)
        message = self._reassembler.feed(first) or await self._message(link, deadline)
        handshake = session.Handshake(self._identity.bridge_id, self._random)
        mode, key_id = handshake.hello(message)
        window = self._openness.window()
        await self._send(link, await handshake.challenge(self._secret(mode, key_id)))
        message = await self._message(link, deadline)
        accept, inward, outward = await self._prove(handshake, message, mode)
        caller = Caller(mode, key_id, window)
        role = self._operations.role(caller)
        if role is None:
            raise session.ProtocolError(session.BAD_PROOF)  # revoked since its HELLO
        log("pairing", "a phone proved itself: %s" % role)
        if mode != session.MODE_PHONE or role == OWNER:
            self._lockout.good()
        self._openness.session_began()
        try:
            welcome = {
                "op": "welcome",
                "role": role,
                "name": self._operations.name(caller),
                "bridge": self._identity.bridge_id.hex(),
                "version": VERSION,
            }
            await self._send(link, accept)
            await self._send(link, outward.seal(json.dumps(welcome).encode()))
            end = _in_ms(SESSION_MS)
            while not caller.leaving:
                deadline = _in_ms(SILENCE_MS)
                if time.ticks_diff(end, deadline) < 0:
                    deadline = end
                message = await self._message(link, deadline)
                answer = self._operations.answer(caller, inward.open(message))
                self._afterwards = caller.afterwards  # even if the answer does not get through
                await self._send(link, outward.seal(answer))
        finally:
            self._openness.session_ended()

    def _secret(self, mode: int, key_id: bytes) -> bytes:
        refusal = self._openness.refusal(mode)
        if refusal:
            raise session.ProtocolError(refusal)
        # An unknown key id goes on with a random secret: the phone's proof will be wrong, like any wrong one.
        if mode == session.MODE_PHONE:
            return self._phones.key(key_id) or self._random(32)
        if mode == session.MODE_SETUP:
            return self._identity.setup_code
        invite = self._operations.invites.peek(key_id)
        return invite[0][0] if invite else self._random(16)

    async def _prove(self, handshake, message: bytes, mode: int) -> tuple:
        try:
            proven = handshake.proof(message)
        except session.ProtocolError as e:
            if e.code == session.BAD_PROOF:
                if mode != session.MODE_PHONE:
                    self._lockout.wrong()
                # Where the lock-out does not hold, each try takes its time.
                if mode == session.MODE_PHONE or self._openness.window():
                    await asyncio.sleep_ms(WRONG_KEY_MS)
            raise
        return proven

    async def _message(self, link: Link, deadline: int) -> bytes:
        while True:
            message = self._reassembler.feed(await self._patient(link, deadline))
            if message is not None:
                return message

    async def _patient(self, link: Link, deadline: int) -> bytes:
        # In turns shorter than the watchdog's patience.
        while True:
            self._beat()
            turn = _in_ms(_TURN_MS)
            last = time.ticks_diff(deadline, turn) <= 0
            try:
                return await link.fragment(deadline if last else turn)
            except Gone:
                if last or link.closed or not link.connection.is_connected():
                    raise

    async def _send(self, link: Link, message: bytes) -> None:
        connection = link.connection
        for fragment in session.fragments(message, connection.mtu or session.MIN_MTU):
            for _ in range(_NOTIFY_TRIES):
                self._beat()
                if link.closed or not connection.is_connected():
                    raise Gone
                try:
                    self._outbox.notify(connection, fragment)
                    break
                except OSError:
                    await asyncio.sleep_ms(_NOTIFY_PAUSE_MS)  # the stack has no buffer just now
            else:
                raise Gone
            await asyncio.sleep_ms(0)


def _nothing() -> None:
    pass


def _in_ms(span_ms: int) -> int:
    return time.ticks_add(time.ticks_ms(), span_ms)


async def _advertised(state: int, over):
    try:
        return await aioble.advertise(
            _ADVERTISE_US, name=NAME, services=[SERVICE], manufacturer=(_COMPANY, bytes((state,)))
        )
    finally:
        over.set()


async def _watch(connection, link: Link) -> None:
    await connection.disconnected()
    link.close()


async def _part(connection) -> None:
    # Time for the last notification to get out; most phones hang up by themselves. Not disconnected(timeout_ms=...):
    # when its time is up, aioble cancels its own watch of the connection, and with it whoever waits for the end.
    deadline = _in_ms(PARTING_MS)
    while connection.is_connected() and time.ticks_diff(deadline, time.ticks_ms()) > 0:
        await asyncio.sleep_ms(_PARTING_POLL_MS)
    try:
        await connection.disconnect()
    except (asyncio.TimeoutError, asyncio.CancelledError):  # the latter when that cancels its watch, as above
        log("pairing", "the phone's connection does not end; the radio will drop it")
