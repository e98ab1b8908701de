"""`claim --keep`: this machine stays let in, whatever happens to its address, its lease or the bridge.

It asks the bridge for a challenge every few seconds, which costs both next to nothing, and claims again when there is a
reason to. Nothing that a challenge says is trusted: who lies in the bridge's place makes it claim once more, or waits.
Nor does anything prove that it is the bridge that refuses a claim (SPEC 3): no refusal ends it, but it asks less often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

from speakeasy import claim
from speakeasy.claim import ClaimRefused, Lease, Unreachable
from speakeasy.errors import SpeakeasyError, choose_network
from speakeasy.store import Bridge, Store

LOOK_S = 10.0  # between two looks at a bridge that answers
AWAY_LOOK_S = 3.0  # and at one that does not
OWN_LOOK_S = 1.0  # between two looks at our own address, which ask nobody
ASLEEP_S = 30.0  # so much more time by the clock than we have waited: this machine was asleep
SLACK_MS = 2000  # of the bridge's clock
CLAIM_AGAIN_S = 120.0  # a lease may be lost while nobody looks: with a network that was away for a moment, for example
SEARCH_AFTER_S = 30.0  # an unanswering bridge is asked over Bluetooth where it is now
SEARCH_AGAIN_S = 600.0
REFUSED_LOOK_S = 300.0  # the longest wait after refusals that last: LOOK_S, doubled from one to the next

_LASTING = ("bad-proof", "moved", "relayed")
_GOES_ON = "Nothing proves that it was the bridge that said so: trying again, less and less often, until Ctrl-C."

BEGIN, ADDRESS, PLACE, BACK, RESTARTED, RENEWAL, AWAKE = (
    "begin",
    "our address changed",
    "the bridge's address changed",
    "the bridge is back",
    "the bridge has started again",
    "it was time to",
    "this machine was asleep",
)


class Keeper:
    """Keeps the lease of this machine at `bridge`.

    `key`: this phone's. `let_in(why, lease)` and `trouble(what)` are told what happens, the same trouble
    once. `locate`
    asks over Bluetooth where the bridge is, and puts it into the store; None when `bridge.addr` is where it must be.
    """

    def __init__(
        self,
        store: Store,
        bridge: Bridge,
        key: bytes,
        *,
        let_in: Callable[[str, Lease], None],
        trouble: Callable[[str], None],
        locate: Callable[[], Awaitable[object]] | None = None,
        name_address: bool = True,
    ) -> None:
        assert bridge.key is not None
        self._store = store
        self._bridge = bridge
        self._phone = bridge.key.phone
        self._key = key
        self._let_in = let_in
        self._trouble = trouble
        self._locate = locate
        self._name_address = name_address
        self._lease: Lease | None = None
        self._claimed_s = self._claimed_clock_s = 0.0  # when the lease was given: monotonic, by the clock
        self._own = ("", "")  # our address and MAC then
        self._place = ("", 0)  # the bridge's address and port then
        self._heard: tuple[float, int] | None = None  # when the bridge last answered, and its own time then, in ms
        self._looked_clock_s = time.time()
        self._why: str | None = BEGIN  # a reason that stays until a claim goes through
        self._said = ""
        self._refusals = 0
        self._away_s: float | None = None
        self._search: asyncio.Task[None] | None = None
        self._searched_s = float("-inf")

    async def run(self) -> NoReturn:
        """Goes on until it is cancelled. Raises SpeakeasyError when this phone is not paired any more."""
        try:
            while True:
                try:
                    await self._look()
                    pause_s = LOOK_S
                except Unreachable as error:
                    self._not_there(str(error))
                    pause_s = AWAY_LOOK_S
                except ClaimRefused as error:
                    pause_s = self._refused(error)
                await self._pause(pause_s)
        finally:
            if self._search is not None:
                self._search.cancel()

    def _where(self) -> tuple[str, int]:
        """The bridge's address and port, as far as anybody has learned them by now."""
        try:
            known = self._store.get(self._bridge.id)
        except SpeakeasyError:
            known = self._bridge  # nobody can tell for now
        if known is None or known.key is None:
            raise SpeakeasyError(f"This phone is not paired with bridge {self._bridge.id.hex()} any more.")
        if known.key.phone != self._phone:  # paired again
            self._phone, self._key = known.key.phone, self._store.secret(known.id, known.key)
            self._lease, self._refusals = None, 0
        if self._locate is not None:
            self._bridge = known
        if self._bridge.addr is None:
            raise Unreachable(
                "Nobody knows where the bridge is on the network: it may be on none. See `speakeasy status`, or "
                f"{choose_network(known.key.role)}. It is asked over Bluetooth, if that is on, every ten minutes."
            )
        return self._bridge.addr, self._bridge.claim_port

    async def _look(self) -> None:
        """Looks whether a claim is due, and claims."""
        addr, port = self._where()
        own = claim.own_address(addr)
        challenge = await claim.challenge_of(addr, port, self._bridge.id)
        self._away_s = None
        why = self._reason((own, claim.own_mac(own)), (addr, port), int.from_bytes(challenge[:6], "big"))
        if why is None:
            return
        self._why = why
        lease = await claim.claim(
            addr, port, bridge=self._bridge.id, phone=self._phone, key=self._key, name_address=self._name_address
        )
        self._why, self._said, self._refusals, self._lease = None, "", 0, lease
        self._own, self._place = (own, claim.own_mac(own)), (addr, port)
        self._claimed_s, self._claimed_clock_s = time.monotonic(), time.time()
        self._let_in(why, lease)

    def _reason(self, own: tuple[str, str], place: tuple[str, int], bridge_ms: int) -> str | None:
        now_s, clock_s = time.monotonic(), time.time()
        heard, self._heard = self._heard, (now_s, bridge_ms)
        slept = clock_s - self._looked_clock_s > LOOK_S + ASLEEP_S
        self._looked_clock_s = clock_s
        if self._lease is None:
            return BEGIN
        if own != self._own or place != self._place:
            return ADDRESS if own != self._own else PLACE
        if self._why is not None:
            return self._why
        if heard is not None and bridge_ms + SLACK_MS < heard[1] + (now_s - heard[0]) * 900:
            return RESTARTED  # its time goes by the boot: it is behind what it must be, a tenth of error granted
        if slept:
            return AWAKE
        age_s = max(now_s - self._claimed_s, clock_s - self._claimed_clock_s)
        return RENEWAL if age_s >= min(self._lease.lease_s / 2, CLAIM_AGAIN_S) else None

    def _say(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self._trouble(what)

    def _not_there(self, what: str) -> None:
        now_s = time.monotonic()
        self._looked_clock_s = time.time()
        if self._lease is not None:
            self._why = BACK
        if self._away_s is None:
            self._away_s = now_s
        self._say(what)
        due = now_s - self._away_s >= SEARCH_AFTER_S or self._bridge.addr is None
        if self._locate is not None and due and self._search is None and now_s - self._searched_s >= SEARCH_AGAIN_S:
            self._search = asyncio.create_task(self._ask_where(self._locate))

    async def _ask_where(self, locate: Callable[[], Awaitable[object]]) -> None:
        with suppress(SpeakeasyError):  # no radio here, or its Bluetooth is off: it may come back as it was
            await locate()
        self._searched_s = time.monotonic()
        self._search = None

    def _refused(self, error: ClaimRefused) -> float:
        """Says so; returns how long to wait, in seconds."""
        if error.word not in _LASTING:
            self._refusals = 0
            self._say(str(error))
            return LOOK_S
        self._refusals += 1
        self._say(f"{error} {_GOES_ON}")
        return min(LOOK_S * (1 << min(self._refusals - 1, 16)), REFUSED_LOOK_S)

    async def _pause(self, limit_s: float) -> None:
        """Waits, but not when our own address changes in between."""
        end_s, before = time.monotonic() + limit_s, self._own_address()
        while (left_s := end_s - time.monotonic()) > 0 and self._own_address() == before:
            await asyncio.sleep(min(OWN_LOOK_S, left_s))

    def _own_address(self) -> str | None:
        try:
            return claim.own_address(self._bridge.addr) if self._bridge.addr is not None else None
        except Unreachable:
            return None
