"""The pairing link over Bluetooth LE (SPEC 2): a GATT service, one phone at a time, every step bounded in time.

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
from .eventlog import log
from .request import Caller

SERVICE = bluetooth.UUID("5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11")
INBOX = bluetooth.UUID("5ea50002-7a1c-4b0e-9d57-0f5a3c8e2b11")
OUTBOX = bluetooth.UUID("5ea50003-7a1c-4b0e-9d57-0f5a3c8e2b11")
INFO = bluetooth.UUID("5ea50004-7a1c-4b0e-9d57-0f5a3c8e2b11")

NAME = "Speakeasy"
UNOWNED = 0
OWNED = 1
LOCKED = 2

SILENCE_MS = 30_000
HANDSHAKE_MS = 10_000
WRONG_KEY_MS = 1_000
PARTING_MS = 1_000  # how long the last notification may take to get out
MAX_WAITING = 2304  # bytes of the present phone that were not looked at yet: two messages, whatever the MTU
MAX_EARLY = 10  # writes that came before advertise() handed out their connection

_ADVERTISE_US = const(250_000)
_ADVERTISE_MS = const(10_000)
_COMPANY = const(0xFFFF)
_INBOX_BYTES = const(512)
_PARTING_POLL_MS = const(20)
_TURN_MS = const(1_000)
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
        if self._bytes + len(fragment) > MAX_WAITING:
            self._overrun = True
        else:
            self._waiting.append(fragment)
            self._bytes += len(fragment)
        self._event.set()

    def close(self) -> None:
        """The connection is gone."""
        self.closed = True
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

    def __init__(self, identity, phones, lockout, operations, beat, random=os.urandom) -> None:
        self._identity = identity
        self._phones = phones
        self._lockout = lockout
        self._operations = operations
        self._beat = beat
        self._random = random
        # Made by _register(), before anything uses them.
        self._inbox: aioble.Characteristic = None  # type: ignore[assignment]
        self._outbox: aioble.Characteristic = None  # type: ignore[assignment]
        self._info: aioble.Characteristic = None  # type: ignore[assignment]
        self._receiver: asyncio.Task | None = None
        self._link: Link | None = None
        self._early: list = []  # writes of a connection that advertise() has not handed out yet
        self._reassembler = session.Reassembler()

    def state(self) -> int:
        """The state that is advertised."""
        if self._lockout.locked_s():
            return LOCKED
        return OWNED if self._phones.owned() else UNOWNED

    async def run(self) -> None:
        """Advertise, serve one phone, again and again."""
        if self._inbox is None:
            self._register()
        if self._receiver is None or self._receiver.done():
            self._receiver = asyncio.create_task(self._receive())
        while True:
            self._beat()
            if self._receiver.done():
                raise RuntimeError("the receiver stopped")
            state = self.state()
            self._info.write(self._info_value(state))
            try:
                connection = await aioble.advertise(
                    _ADVERTISE_US,
                    name=NAME,
                    services=[SERVICE],
                    manufacturer=(_COMPANY, bytes((state,))),
                    timeout_ms=_ADVERTISE_MS,
                )
            except asyncio.TimeoutError:
                continue  # the state may have changed
            if connection is None:
                return  # aioble swallows a cancellation
            await self._serve(connection)

    def _register(self) -> None:
        service = aioble.Service(SERVICE)
        inbox = aioble.BufferedCharacteristic(service, INBOX, write=True, capture=True, max_len=_INBOX_BYTES)
        outbox = aioble.Characteristic(service, OUTBOX, notify=True)
        info = aioble.Characteristic(service, INFO, read=True)
        aioble.register_services(service)
        self._inbox, self._outbox, self._info = inbox, outbox, info

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
        afterwards = None
        try:
            afterwards = await self._talk(link)
        except Gone:
            pass
        except session.ProtocolError as e:
            log("pairing", "a phone's session ended: error %d" % e.code)
            try:
                await self._send(link, session.error(e.code))
            except Gone:
                pass
        finally:
            await _part(connection)
            watcher.cancel()
            self._link = None
        if afterwards is not None:
            afterwards()

    async def _talk(self, link: Link):
        # Returns what the phone's last request wants done when it is gone, or None.
        self._reassembler.reset()
        first = await self._patient(link, _in_ms(SILENCE_MS))
        deadline = _in_ms(HANDSHAKE_MS)
        message = self._reassembler.feed(first) or await self._message(link, deadline)
        handshake = session.Handshake(self._identity.bridge_id, self._random)
        mode, key_id = handshake.hello(message)
        await self._send(link, await handshake.challenge(self._secret(mode, key_id)))
        message = await self._message(link, deadline)
        accept, inward, outward = await self._prove(handshake, message, mode)
        caller = Caller(mode, key_id)
        role = self._operations.role(caller)
        if role is None:
            raise session.ProtocolError(session.BAD_PROOF)  # revoked since its HELLO
        log("pairing", "a phone proved itself: %s" % role)
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
            message = await self._message(link, _in_ms(SILENCE_MS))
            answer = self._operations.answer(caller, inward.open(message))
            await self._send(link, outward.seal(answer))
        return caller.afterwards

    def _secret(self, mode: int, key_id: bytes) -> bytes:
        # An unknown key id goes on with a random secret: the phone's proof will be wrong, like any wrong one.
        if mode == session.MODE_PHONE:
            return self._phones.key(key_id) or self._random(32)
        if self._lockout.locked_s():
            raise session.ProtocolError(session.LOCKED)
        if mode == session.MODE_SETUP:
            if self._phones.owned():
                raise session.ProtocolError(session.NOT_NOW)
            return self._identity.setup_code
        invite = self._operations.invites.peek(key_id)
        return invite[0][0] if invite else self._random(16)

    async def _prove(self, handshake, message: bytes, mode: int) -> tuple:
        try:
            proven = handshake.proof(message)
        except session.ProtocolError as e:
            if e.code == session.BAD_PROOF:
                if mode == session.MODE_PHONE:
                    await asyncio.sleep_ms(WRONG_KEY_MS)
                else:
                    self._lockout.wrong()
            raise
        if mode != session.MODE_PHONE:
            self._lockout.good()
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


def _in_ms(span_ms: int) -> int:
    return time.ticks_add(time.ticks_ms(), span_ms)


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
