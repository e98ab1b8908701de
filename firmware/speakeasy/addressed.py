"""What both kinds of uplink have: an address by DHCP, and somebody to tell of it."""

import network

from . import inet


class Addressed:
    """`interface`: the uplink's, WLAN or LAN. `changed(addr, mask, router, dns)` is called whenever these change; all
    bytes."""

    def __init__(self, interface, changed, beat) -> None:
        self._interface = interface
        self._changed = changed
        self._beat = beat
        self._clear()

    def _take_address(self) -> bool:
        # False: there is none.
        addr, mask = [inet.parse(part) for part in self._interface.ipconfig("addr4")]
        if addr == inet.ZERO:
            return False
        dns = inet.parse(network.ipconfig("dns"))
        self.addr = addr
        self.mask = mask
        self.router = inet.parse(self._interface.ipconfig("gw4"))
        self.dns = dns if dns != inet.ZERO else b""
        return True

    def _usable(self) -> bool:
        return inet.is_host(self.addr) and inet.is_mask(self.mask)

    def _all(self) -> tuple:
        return (self.addr, self.mask, self.router, self.dns)

    def _tell(self) -> None:
        self._changed(*self._all())

    def _clear(self) -> None:
        self.addr = inet.ZERO
        self.mask = inet.ZERO
        self.router = inet.ZERO
        self.dns = b""
