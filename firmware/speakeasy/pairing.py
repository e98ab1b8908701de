"""The pairing link over Bluetooth LE (SPEC 2): a GATT service, on the air while `openness` says so; one phone at a
time, every step bounded in time.

Writes are taken where the stack reports them, not from aioble's capture queue: that holds 10 and drops its oldest
without a sign, and a message has up to 54 fragments. The report comes in the middle of other code, on a chip from
another thread: whatever it touches is only added to there, and only taken from here. MicroPython calls the one handler
of Bluetooth events never again when it has raised, and aioble's needs memory: ours stands around it, and catches all.
"""

import asyncio
import json
import time

import aioble
import bluetooth
from micropython import const

from . import PROTOCOL, VERSION, crypto, session
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

_ADVERTISE_US = const(250_000)
_FOLLOW_MS = const(250)  # how soon a change of the state shows
_LAST_MOMENT_MS = const(100)  # until what the radio reported before it fell silent has arrived
_COMPANY = const(0xFFFF)
_INBOX_BYTES = const(512)
_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_GATTS_WRITE = const(3)
_NO_HANDLE = const(0xFFFF)
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

    def __init__(self) -> None:
        self.handle = _NO_HANDLE  # until the stack reports the connection
        # Until advertise() hands it out; the first writes may be here before.
        self.connection: aioble.DeviceConnection = None  # type: ignore[assignment]
        self.closed = False
        self.lossy = False  # more came than it takes, or a report got lost
        self._waiting: list = []
        self._pushed = 0  # bytes, ever; written by push() alone
        self._taken = 0  # of these; written by fragment() alone
        self._event = asyncio.ThreadSafeFlag()

    def push(self, fragment: bytes) -> None:
        """Called by the stack, at any moment."""
        if self.closed:
            return
        size = len(fragment)
        if self._pushed - self._taken + size > MAX_WAITING or len(self._waiting) >= MAX_FRAGMENTS:
            self.lossy = True
        else:
            self._pushed += size
            self._waiting.append(fragment)
        self._event.set()

    def wake(self) -> None:
        """The connection is gone."""
        self._event.set()

    def close(self) -> None:
        """Nothing that it sends counts any more."""
        self.closed = True
        self._waiting.clear()
        self._event.set()

    async def fragment(self, deadline: int) -> bytes:
        """The next fragment; Gone when the phone is, or at `deadline` (in ticks); ProtocolError when it sends faster
        than it waits for answers."""
        while True:
            if self.lossy:
                raise session.ProtocolError(session.BAD_MESSAGE)
            # What was sent counts, also when its sender is gone by now: a guess is a guess.
            if self._waiting:
                fragment = self._waiting.pop(0)
                self._taken += len(fragment)
                return fragment
            left = time.ticks_diff(deadline, time.ticks_ms())
            if left <= 0 or self.closed or not self.connection.is_connected():
                raise Gone
            try:
                await asyncio.wait_for_ms(self._event.wait(), min(left, _TURN_MS))
            except asyncio.TimeoutError:
                pass


class Pairing:
    """Run `run()`, supervised; while it is on the air, all reports of the stack go through it."""

    def __init__(self, identity, phones, lockout, openness, operations, beat, random=crypto.random) -> None:
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
        self._on = False
        self._link: Link | None = None  # of the phone that is there, or may come
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
                else:
                    # NimBLE pays no attention to a connection that it learns of when it has just stopped advertising:
                    # nobody would ever serve it, or end it. The phone would wait, and a place in the radio be taken.
                    self._switch_off()
        finally:
            self._switch_off()  # whatever went wrong: the next run begins with a fresh radio

    async def _advertise(self, state: int):
        # The connection of a phone; None when the state has changed, or somebody came and it was not understood.
        self._info.write(self._info_value(state))
        link = self._link = Link()
        over = asyncio.Event()
        advertising = asyncio.create_task(_advertised(state, over))
        try:
            while not over.is_set() and not link.lossy and self._openness.state() == state:
                self._beat()
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
        if self._on:
            return
        service = aioble.Service(SERVICE)
        inbox = aioble.BufferedCharacteristic(service, INBOX, write=True, max_len=_INBOX_BYTES)
        outbox = aioble.Characteristic(service, OUTBOX, notify=True)
        info = aioble.Characteristic(service, INFO, read=True)
        aioble.core.ble.irq(self._on_irq)
        aioble.register_services(service)
        self._inbox, self._outbox, self._info = inbox, outbox, info
        self._on = True

    def _switch_off(self) -> None:
        # aioble forgets its services then, so there are new ones at the next time.
        if not self._on:
            return
        self._on = False
        self._link = None
        aioble.stop()

    def _info_value(self, state: int) -> bytes:
        return bytes((PROTOCOL, state)) + self._identity.bridge_id

    def _on_irq(self, event: int, data: tuple) -> int | None:
        link = self._link
        try:
            answer = aioble.core.ble_irq(event, data)
            if link is not None:
                if event == _IRQ_CENTRAL_CONNECT:
                    link.handle = data[0]
                elif event == _IRQ_GATTS_WRITE and data[0] == link.handle and data[1] == self._inbox._value_handle:
                    link.push(self._inbox.read())
            return answer
        except Exception:  # noqa: BLE001 - no memory, most likely; nor is there any to say so
            if link is not None:
                link.lossy = True
        return None

    async def _serve(self, connection) -> None:
        link = self._link
        assert link is not None
        link.connection = connection
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
        log("pairing", "a phone proved itself by Bluetooth: %s" % role)
        if mode != session.MODE_PHONE or role == OWNER:
            self._lockout.good()
        self._openness.session_began()
        end = _in_ms(SESSION_MS)
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
            while not caller.leaving:
                deadline = _in_ms(SILENCE_MS)
                if time.ticks_diff(end, deadline) < 0:
                    deadline = end
                message = await self._message(link, deadline)
                if time.ticks_diff(end, time.ticks_ms()) <= 0:
                    raise Gone  # what waits is given out late, too: who sends without a pause would never be done
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
    link.wake()


async def _part(connection) -> None:
    # Time for the last notification to get out; most phones hang up by themselves. Not disconnected(timeout_ms=...):
    # when its time is up, aioble cancels its own watch of the connection, and with it whoever waits for the end.
    deadline = _in_ms(PARTING_MS)
    while connection.is_connected() and time.ticks_diff(deadline, time.ticks_ms()) > 0:
        await asyncio.sleep_ms(_PARTING_POLL_MS)
    try:
        await connection.disconnect()
    except (asyncio.TimeoutError, asyncio.CancelledError):  # the latter when that cancels its watch, as above
        log("pairing", "a phone does not end its Bluetooth connection; the radio will")
