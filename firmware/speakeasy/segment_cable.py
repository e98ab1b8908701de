"""The speaker's private network by cable: whoever is on it and asks for an address first is the speaker."""

import asyncio

import network
from micropython import const

from . import clock, dhcp, inet, segment
from .eventlog import log

# An Ethernet driver has no list of stations. A speaker that is there asks for its address again before its lease ends.
SILENT_S = dhcp.LEASE_S + 15  # a speaker that has not asked for so long is gone: another one may come
LINK_HOLD_S = 20  # the same, where its link was lost: flows survive a short gap

_POLL_MS = const(500)
# network.ETH_DISCONNECTED. MicroPython's handler takes every event of lwIP's for one of Ethernet's, so a Wi-Fi station
# that gets an address makes it say "started". When it says that the link is lost that is true; else it means nothing.
_LINK_LOST = const(4)
_NEVER = const(-1)


class CableSegment:
    """`plug`: the LAN. All else as of `segment.Segment`; the policy learns who the speaker is by itself."""

    cable = True

    def __init__(self, plug, _settings, policy, beat) -> None:
        self._plug = plug
        self._policy = policy
        self._beat = beat
        self._host = b""
        self._lost_at = _NEVER  # in ms: when the link was lost, until the speaker is heard again
        self.state = segment.DOWN
        self.present = False  # whether the speaker is there now
        policy.by_cable()

    async def run(self) -> None:
        """Open the segment and watch who is there."""
        self._address()  # first: without it the driver would look for an address itself
        self._plug.active(True)
        self.state = segment.UP
        log("segment", "the speaker's place is on the bridge's cable")
        while True:
            self._address()
            self._watch()
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)

    def _address(self) -> None:
        # The policy moves the segment when the uplink's network has the same addresses.
        host = self._policy.host
        if host == self._host:
            return
        # An address that is given by hand takes the name servers away that the uplink's network has told, of all
        # interfaces (ESP-IDF's esp_netif_set_ip_info; not for an access point).
        dns = network.ipconfig("dns")
        self._plug.ipconfig(addr4=(inet.text(host), inet.text(inet.SEGMENT_MASK)))
        if inet.parse(dns) != inet.ZERO:
            network.ipconfig(dns=dns)
        self._host = host

    def _watch(self) -> None:
        policy = self._policy
        now = clock.milliseconds()
        lost = self._plug.status() == _LINK_LOST
        if policy.speaker is None:
            self._lost_at = _NEVER
            self._is_there(False)
            return
        if lost and self._lost_at == _NEVER:
            self._lost_at = now
        elif not lost and self._lost_at != _NEVER and policy.heard_at > self._lost_at:
            self._lost_at = _NEVER
        gone = self._lost_at != _NEVER and now - self._lost_at >= LINK_HOLD_S * 1000
        if gone or now - policy.heard_at >= SILENT_S * 1000:
            policy.speaker_gone()
            self._lost_at = _NEVER
        self._is_there(policy.speaker is not None and self._lost_at == _NEVER)

    def _is_there(self, present: bool) -> None:
        if present != self.present:
            self.present = present
            log("segment", "the speaker is on its cable" if present else "the speaker has left its cable")
