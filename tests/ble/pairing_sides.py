"""The two sides of the pairing link: a board that runs the firmware's pairing, and a phone whose every byte is ours."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from ble_sides import LIMIT_S, Board, Central
from bumble.core import InvalidStateError, ProtocolError
from bumble.device import Connection
from speakeasy import session as s

BRIDGE_ID = bytes.fromhex("b0b1b2b3b4b5b6b7")
SETUP_CODE = bytes(range(16))
PHONE_ID, PHONE_KEY = b"phone-id", bytes(range(32))
INVITE_ID, INVITE_SECRET = b"inviteid", bytes(range(16, 32))
SETUP = s.Credential.setup_code(SETUP_CODE)
PHONE = s.Credential.phone_key(PHONE_ID, PHONE_KEY)
INVITE = s.Credential.invite(INVITE_ID, INVITE_SECRET)

HEAP_BOUND = 2048  # bytes in use after all connections that were not before
SETTLING = 12  # connections, at most, until it shows

# The board's program, after `OWNED = ...` and what else a test sets. It says "served" and the bytes in use after each
# phone.
_PROGRAM = f"""
import gc
from speakeasy import eventlog, pairing
from speakeasy.files import Files
from speakeasy.identity import Identity
from speakeasy.lockout import Lockout
from speakeasy.onetime import OneTime
from speakeasy.openness import Openness
from speakeasy.operations import Operations
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.reached import Reached
from speakeasy.settings import Settings

me = Identity({BRIDGE_ID!r}, {SETUP_CODE!r})
files = Files()
settings = Settings(files, me.bridge_id)
phones = Phones(settings)
if OWNED:
    phones.add({{"id": {PHONE_ID.hex()!r}, "key": {PHONE_KEY.hex()!r}, "name": "phone", "role": "owner"}})
invites = OneTime(4, 600)
invites.put({INVITE_ID!r}, ({INVITE_SECRET!r}, "guest", None))
lockout = Lockout(files)
reached = Reached(files, phones)
policy = Policy(b"\\2\\0\\0\\0\\0\\1", b"\\2\\0\\0\\0\\0\\2", lambda: None)
# Neither an uplink, nor a segment, nor a status: no request here is about them.
operations = Operations(me, settings, phones, policy, None, None, None, invites, files, reached)

class Uplink:
    # Not up: so Bluetooth is always on.
    state = "joining"

openness = Openness(phones, lockout, invites, Uplink(), reached)
pairing.PARTING_MS = 100  # a phone that was thrown out has heard why by then

# As usual, but for the time between two advertisements: there are many phones to come.
usual = aioble.advertise

async def often(_interval_us, **rest):
    return await usual(20_000, **rest)

aioble.advertise = often

class Watched(pairing.Pairing):
    async def _serve(self, connection):
        await super()._serve(connection)
        for _ in range(4):
            await asyncio.sleep_ms(0)  # what was cancelled comes to its end, and counts no more
        eventlog.clear()
        gc.collect()
        say("served", gc.mem_alloc())

async def task():
    await Watched(me, phones, lockout, openness, operations, lambda: None).run()
"""


def program(owned: bool = True, more: str = "") -> str:
    """The source of a board that pairs; `more` is run before it starts."""
    return f"OWNED = {owned}\n{_PROGRAM.replace('async def task', more + chr(10) + 'async def task')}"


async def served(board: Board) -> int:
    """Waits until the board is done with a phone; the bytes it has in use then."""
    while True:
        line = await board.line()
        if line.startswith("served "):
            return int(line.split()[1])
        assert not line.startswith(("Traceback", "(end of output)")), board.heard[-20:]


class Phone:
    """One connection of a central to the bridge. It sends what it is told to, whether or not that makes sense."""

    def __init__(self, central: Central) -> None:
        self.central = central
        self.mtu = s.SMALLEST_MTU
        self._over = asyncio.Event()
        self._notified: asyncio.Queue[bytes]
        self._joiner = s.Joiner()
        self.up: s.Direction
        self.down: s.Direction

    @classmethod
    async def call(cls, central: Central, mtu: int) -> "Phone":
        """Connects, and subscribes to the outbox."""
        phone = cls(central)
        await central.open(mtu if mtu != s.SMALLEST_MTU else None)
        phone.mtu = mtu
        central.connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: phone._over.set())
        phone._notified = central.listen(3)
        await central.subscribe(3)
        phone._notified = central._notified[3]
        return phone

    async def info(self) -> s.Info:
        return s.Info.parse(await self.central.read(4))

    async def write(self, fragment: bytes) -> None:
        """One write. That the bridge has hung up by now is no error: see `hear`."""
        with contextlib.suppress(ProtocolError, InvalidStateError, asyncio.CancelledError):
            writing = asyncio.ensure_future(self.central.write(2, fragment))
            over = asyncio.ensure_future(self._over.wait())
            await asyncio.wait([writing, over], return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            writing.cancel()
            if writing.done():
                await writing

    async def send(self, message: bytes) -> None:
        for fragment in s.fragments(message, self.mtu):
            await self.write(fragment)

    async def hear(self) -> bytes | None:
        """The bridge's next message; None when it has hung up."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                fragment = await self._fragment()
                if fragment is None:
                    return None
                assert 2 <= len(fragment) <= self.mtu - 3
                message = self._joiner.feed(fragment)
                if message is not None:
                    return message

    async def _fragment(self) -> bytes | None:
        coming = asyncio.ensure_future(self._notified.get())
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait([coming, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if coming.done():
            return coming.result()
        coming.cancel()
        return None

    async def challenged(self, credential: s.Credential) -> tuple[s.Handshake, bytes]:
        """HELLO, CHALLENGE; the handshake and its PROOF, which was not sent yet."""
        handshake = s.Handshake(credential)
        await self.send(handshake.hello)
        challenge = await self.hear()
        assert challenge is not None and challenge[0] == s.CHALLENGE, challenge
        return handshake, handshake.prove(challenge, BRIDGE_ID)

    async def greet(self, credential: s.Credential) -> bytes:
        """The whole handshake; the welcome's text."""
        handshake, proof = await self.challenged(credential)
        await self.send(proof)
        accept = await self.hear()
        assert accept is not None
        self.up, self.down = handshake.accept(accept)
        welcome = await self.hear()
        assert welcome is not None
        return self.down.open(welcome)

    async def ask(self, text: bytes) -> bytes:
        """The answer's text to a request."""
        await self.send(self.up.seal(text))
        answer = await self.hear()
        assert answer is not None
        return self.down.open(answer)

    async def thrown_out(self, code: int) -> None:
        """The bridge says why, and hangs up."""
        message = await self.hear()
        assert message == bytes([s.ERROR, code]), (message, code)
        assert await self.hear() is None

    async def hang_up(self) -> None:
        if not self._over.is_set():
            with contextlib.suppress(ProtocolError, InvalidStateError, TimeoutError):
                await self.central.disconnect()


@contextlib.asynccontextmanager
async def call(central: Central, board: Board, mtu: int, heap: list[int] | None = None) -> AsyncIterator[Phone]:
    """A phone on the line; afterwards the bridge is done with it, and `heap` has one entry more."""
    phone = await Phone.call(central, mtu)
    try:
        yield phone
    finally:
        await phone.hang_up()
    in_use = await served(board)
    if heap is not None:
        heap.append(in_use)


async def heap_settles(central: Central, board: Board, heap: list[int], before: int) -> None:
    """Phones come and go until the heap is back at `before` bytes. One of them alone proves nothing: MicroPython's
    collector is a conservative one, and takes a number left on the stack for an object in use. A leak stays."""
    for _ in range(SETTLING):
        async with call(central, board, 185, heap) as phone:
            assert json.loads(await phone.greet(PHONE))["bridge"] == BRIDGE_ID.hex()
            assert json.loads(await phone.ask(b'{"op":"bye","id":1}'))["ok"]
        if heap[-1] - before <= HEAP_BOUND:
            break
    assert heap[-1] - before <= HEAP_BOUND, heap
    assert max(heap) - before <= 4 * HEAP_BOUND, heap
