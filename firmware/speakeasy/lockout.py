"""Wrong proofs are counted, and the count survives a reboot (SPEC 2.2)."""

from . import clock
from .eventlog import log, seldom
from .files import Damaged, Files

FILE = "lockout.json"

FREE_TRIES = 5
FIRST_LOCK_S = 30
LONGEST_LOCK_S = 3600
_MAX_COUNT = 1000


class Lockout:
    """`locked_s()` seconds are left before another try; `wrong()` and `good()` tell how a try went."""

    def __init__(self, files: Files, now=clock.seconds) -> None:
        self._files = files
        self._now = now
        self._count = 0
        self._until = 0
        try:
            saved = files.load(FILE)
            if saved is not None:
                if not isinstance(saved, dict) or type(saved.get("wrong")) is not int or saved["wrong"] < 0:
                    raise Damaged("not a count")
                self._count = min(saved["wrong"], _MAX_COUNT)
        except Damaged as e:
            # Whoever can damage it must not gain five tries by that.
            self._count = FREE_TRIES
            log(
                "lockout",
                "%s, the count of wrong codes, is damaged (%s): no code is taken for %d s" % (FILE, e, FIRST_LOCK_S),
            )
        self._until = now() + self._span_s()

    def locked_s(self) -> int:
        """Seconds left; 0 = open."""
        return max(0, self._until - self._now())

    def wrong(self) -> None:
        """Count a wrong proof. Saved before it returns, so call it before the phone gets its answer."""
        self._count = min(self._count + 1, _MAX_COUNT)
        self._until = self._now() + self._span_s()
        self._files.save(FILE, {"wrong": self._count})
        if self._span_s():
            seldom("lockout", "%d wrong codes in a row: no code is taken for %d s" % (self._count, self._span_s()))

    def good(self) -> None:
        """A good proof: start counting afresh."""
        if self._count:
            self._count = 0
            self._until = 0
            self._files.save(FILE, {"wrong": 0})

    def _span_s(self) -> int:
        over = self._count - FREE_TRIES
        return 0 if over < 0 else min(FIRST_LOCK_S << min(over, 7), LONGEST_LOCK_S)
