"""The dorm's network by cable: the socket in its wall. No name, no key: a link, and an address."""

import asyncio
import time

from micropython import const

from . import inet, uplink
from .addressed import Addressed
from .eventlog import log

_POLL_MS = const(250)
# network.ETH_CONNECTED and ETH_GOT_IP, which only boards with Ethernet have. Only a Wi-Fi station's events would make
# MicroPython tell wrong ones (see segment_cable), and here there is none.
_LINK = (3, 5)

_SAY = {
    uplink.NO_CABLE: "the cable has no link: is it plugged in at both ends?",
    uplink.NO_DHCP: "the network on the cable gives the bridge no address: ask who runs it, or try another socket",
    uplink.UNUSABLE: "the network on the cable gives an address that no machine can have: ask who runs it",
    uplink.LOST: "the network on the cable is lost: is it plugged in at both ends?",
}


class CableUplink(Addressed):
    """`plug`: the LAN. All else as of `uplink.Uplink`; there are no networks to join."""

    cable = True

    def __init__(self, plug, settings, changed, beat) -> None:
        super().__init__(plug, changed, beat)
        self._settings = settings
        self._since = time.ticks_ms()  # when `state` began
        self.state = uplink.OFF
        self.ssid = ""
        self.failed = None

    def forget(self, ssid: str) -> bool:
        """Forget a Wi-Fi network that is remembered for another time."""
        return self._settings.forget_network(ssid)

    async def run(self) -> None:
        """Follow the cable for ever."""
        self._interface.active(True)
        self._become(uplink.JOINING)
        self._tell()
        while True:
            self._look()
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)

    def _look(self) -> None:
        before = self._all()
        if self._take_address():
            if self._usable():
                self._has_address(before)
            elif self.state != uplink.UNUSABLE:
                self._give_up(uplink.UNUSABLE)
            else:
                self._clear()
        elif self.state == uplink.UP:
            self._become(uplink.LOST)
        elif self.state == uplink.LOST:
            if self._spent() >= uplink.HOLD_MS:
                self._give_up(uplink.JOINING)
        else:
            self._wait()

    def _has_address(self, before: tuple) -> None:
        if self._all() != before:
            log("uplink", "on the cable: the bridge's address is %s" % inet.text(self.addr))
            self._tell()
        elif self.state != uplink.UP:
            log("uplink", "the network on the cable is back")
        self._become(uplink.UP)

    def _wait(self) -> None:
        # No address yet, and none to hold.
        if self._interface.status() not in _LINK:
            # A link takes some seconds to come up.
            if self.state == uplink.NO_DHCP or self._spent() >= uplink.JOIN_MS:
                self._become(uplink.NO_CABLE)
        elif self.state in (uplink.NO_CABLE, uplink.UNUSABLE):
            self._become(uplink.JOINING)
        elif self._spent() >= uplink.JOIN_MS:
            self._become(uplink.NO_DHCP)

    def _give_up(self, state: str) -> None:
        self._clear()
        self._tell()
        self._become(state)

    def _become(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        self._since = time.ticks_ms()
        if state in _SAY:
            log("uplink", _SAY[state])

    def _spent(self) -> int:
        return time.ticks_diff(time.ticks_ms(), self._since)
