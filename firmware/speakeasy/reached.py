"""Whether an owner's phone knows where the bridge is on its network (SPEC 2): where none does, Bluetooth stays on.

An address comes from the uplink's DHCP, and may be another one tomorrow. A phone that has the old one finds nobody
there, and cannot ask on the network for Bluetooth: so a bridge that moved is on the air until an owner has found it.
"""

from . import clock, inet
from .eventlog import log, number
from .files import Damaged, Files

FILE = "reached.json"
SOUGHT_S = 24 * 3600  # of uptime at one address; an owner who comes later presses the button
OTHERS_S = 1800  # after an owner has come, for the other phones: `claim --keep` looks every ten minutes


class Reached:
    """`moved` and `by_owner` tell what happens; `sought_s` what follows from it.

    The file has the one address at which an owner reached the bridge last, and is written when that is another one.
    """

    def __init__(self, files: Files, phones, now=clock.seconds) -> None:
        self._files = files
        self._phones = phones
        self._now = now
        self._addr = inet.ZERO  # the uplink's, now
        self._sought = inet.ZERO  # its last one that was not zero: a network that comes back is no news
        self._until = 0
        self._known = inet.ZERO
        try:
            saved = files.load(FILE)
            if saved is not None:
                self._known = inet.parse(saved["addr"])
        except (Damaged, ValueError, TypeError, KeyError, AttributeError):
            log("reached", "%s is of no use: Bluetooth is on until an owner has come" % FILE)

    def moved(self, addr: bytes) -> None:
        """The uplink has this address now, 4 bytes; zero: none."""
        self._addr = addr
        if addr not in (inet.ZERO, self._sought):
            self._sought = addr
            self._until = 0 if addr == self._known else self._now() + SOUGHT_S

    def by_owner(self) -> None:
        """An owner's phone has reached the bridge at its present address, or was told it."""
        if self._addr in (inet.ZERO, self._known):
            return
        self._known = self._addr
        self._until = self._now() + OTHERS_S if len(self._phones.all()) > 1 else 0
        try:
            self._files.save(FILE, {"addr": inet.text(self._addr)})
        except OSError as e:
            log("reached", "the address could not be saved (error %d): it is asked for after a restart" % number(e))

    def sought_s(self) -> int:
        """For how many seconds more phones may look for the bridge; 0: they know where it is, or had their time."""
        return 0 if self._addr == inet.ZERO else max(0, self._until - self._now())
