"""The speaker's private network: an access point with room for one station."""

import asyncio

import network
from micropython import const

from . import inet
from .eventlog import log

DOWN = "down"
UP = "up"

_POLL_MS = const(500)


class Segment:
    """`radio`: the access point's WLAN; `policy.speaker_seen` learns of its one station; `beat()` at each turn."""

    cable = False

    def __init__(self, radio, settings, policy, beat) -> None:
        self._radio = radio
        self._settings = settings
        self._policy = policy
        self._beat = beat
        self._host = b""
        self._given: dict = {}  # what the driver was told
        self.state = DOWN
        self.present = False  # whether the speaker is there now

    async def run(self) -> None:
        """Open the access point and watch who is there."""
        self._open()
        while True:
            if self._settings.segment != self._given:
                self._configure()
            self._address()
            self._watch()
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)

    def _open(self) -> None:
        # The driver takes a configuration only of a running interface, so for a moment there is a network with a
        # default name; the filter is bound by now and drops whatever comes from it.
        self._radio.active(True)
        self._configure()
        self._address()
        self.state = UP

    def _configure(self) -> None:
        wanted = self._settings.segment
        # WPA2 beside WPA3: a Play:1 knows WPA2 only. One station: the driver forwards between stations, unfiltered.
        self._radio.config(ssid=wanted["ssid"], key=wanted["key"], security=network.WLAN.SEC_WPA2_WPA3, max_clients=1)
        self._given = wanted
        log("segment", "the speaker's Wi-Fi is called %s" % wanted["ssid"])

    def _address(self) -> None:
        # The policy moves the segment when the uplink's network has the same addresses.
        host = self._policy.host
        if host == self._host:
            return
        self._radio.ipconfig(addr4=(inet.text(host), inet.text(inet.SEGMENT_MASK)))
        if self._host:
            log("segment", "the bridge's address on the speaker's Wi-Fi is %s now" % inet.text(host))
        self._host = host

    def _watch(self) -> None:
        stations = self._radio.status("stations")
        if not stations:
            if self.present:
                self.present = False
                log("segment", "the speaker has left its Wi-Fi")
            return
        mac = bytes(stations[0][0])
        if not self.present or mac != self._policy.speaker:
            self.present = True
            log("segment", "the machine %s is on the speaker's Wi-Fi" % inet.mac_text(mac))
            self._policy.speaker_seen(mac)
