"""Whether Bluetooth is on, why, and for how long (SPEC 2). Pure logic: `pairing` makes the radio follow it.

Off is the rule: Wi-Fi and Bluetooth share one antenna, and what is not on the air cannot be attacked.
"""

from . import clock
from . import uplink as uplinks
from .session import LOCKED as LOCKED_OUT
from .session import MODE_INVITE, MODE_PHONE, NOT_NOW

# The states, as `info` and the advertisement carry them.
CLOSED = -1  # never on the air: nothing is
UNOWNED = 0
WINDOW = 1
INVITED = 2
MANAGED = 3
LOCKED = 4

WINDOW_S = 120  # after a short press of the button
AFTER_SESSION_S = 60

_WORDS = ("unowned", "window", "invited", "managed", "locked", "closed")


class Openness:
    """`state()` follows from what is so just now, and from `open_for`.

    `invites`: the OneTime of those that are out; of `uplink` only its `state` is looked at; `reached`: whether an owner
    knows where the bridge is.
    """

    def __init__(self, phones, lockout, invites, uplink, reached, now=clock.seconds) -> None:
        self._phones = phones
        self._lockout = lockout
        self._invites = invites
        self._uplink = uplink
        self._reached = reached
        self._now = now
        self._until = {WINDOW: 0, MANAGED: 0}
        self._talking = False

    def open_for(self, reason: int, seconds: int) -> None:
        """Open for WINDOW (the button was pressed) or MANAGED (an owner asked) from now on; never shortens."""
        self._until[reason] = max(self._until[reason], self._now() + seconds)

    def session_began(self) -> None:
        """A phone has proved itself."""
        self._talking = True

    def session_ended(self) -> None:
        """That phone is gone: it, or the next one, may come again for a while."""
        self._talking = False
        self.open_for(MANAGED, AFTER_SESSION_S)

    def window(self) -> bool:
        """Whether the button's window is open."""
        return self._left_s(WINDOW) > 0

    def state(self) -> int:
        """The state now; CLOSED when Bluetooth is off."""
        if self.window():
            return WINDOW
        state = self._unlocked()
        return LOCKED if state != CLOSED and self._lockout.locked_s() else state

    def word(self) -> str:
        """The state's name."""
        return _WORDS[self.state()]

    def left_s(self) -> int | None:
        """How long the state lasts if nobody does anything; None: no limit, or nobody knows."""
        state = self.state()
        if state == LOCKED:
            return self._lockout.locked_s()
        if state == INVITED:
            return self._invites.left_s()
        if state == WINDOW:
            return self._left_s(WINDOW)
        if state == MANAGED and not self._stays():
            return self._managed_s()
        return None

    def refusal(self, mode: int) -> int:
        """The error code for a HELLO in that mode; 0 = it may go on.

        A phone's key is always good for a try: who is connected came while it was open.
        """
        if mode == MODE_PHONE or self.window():
            return 0
        if self._lockout.locked_s():
            return LOCKED_OUT
        if mode == MODE_INVITE:
            # Without an invite there is nothing to guess, and no wrong proof to count against those who come later.
            return 0 if len(self._invites) else NOT_NOW
        return NOT_NOW if self._phones.owned() else 0

    def _unlocked(self) -> int:
        if not self._phones.owned():
            return UNOWNED
        if len(self._invites):
            return INVITED
        return MANAGED if self._stays() or self._managed_s() else CLOSED

    def _stays(self) -> bool:
        # A bridge that was carried elsewhere must be told its new network.
        return self._talking or self._uplink.state != uplinks.UP

    def _managed_s(self) -> int:
        # A bridge that has moved on its network is found by its owner's phone only so.
        return max(self._left_s(MANAGED), self._reached.sought_s())

    def _left_s(self, reason: int) -> int:
        return max(0, self._until[reason] - self._now())
