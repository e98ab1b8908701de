"""The speaker's private network: an access point with room for one station; for two in a set-up window, in which a
speaker is put on it by its maker's program, on a phone beside it."""

import asyncio

import network
from micropython import const

from . import clock, inet
from .eventlog import log, seldom

DOWN = "down"
UP = "up"
SETUP = "set-up"  # a window is open

SETUP_LEAST_S = 60
SETUP_S = 900
SETUP_MOST_S = 1800
MAX_SEEN = 8  # machines that a window remembers, and has addresses for
TURN_AWAY_S = 10  # a machine that is not the speaker is thrown out so often

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
        self._given: tuple = ()  # what the driver was told
        self._until = 0  # when the window closes by itself, `clock.seconds`
        self._turned_away = -TURN_AWAY_S
        self.seen: list = []  # the MACs that were there in the last window
        self.undecided = False  # which of them is the speaker
        self.state = DOWN
        self.present = False  # whether the speaker is there now

    async def run(self) -> None:
        """Open the access point and watch who is there."""
        self._open()
        while True:
            if self.state == SETUP and not self.left_s():
                self.close_setup()
            if self._wanted() != self._given:
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
        if self.state == DOWN:
            self.state = UP

    def left_s(self) -> int:
        """For how many seconds the window is still open."""
        return max(0, self._until - clock.seconds()) if self.state == SETUP else 0

    def open_setup(self, seconds: int) -> None:
        """Let a second machine onto the speaker's Wi-Fi. Nobody is the speaker meanwhile: the two reach one another,
        and nothing beyond."""
        self._until = clock.seconds() + seconds
        if self.state == SETUP:
            return
        self.seen = []
        self.undecided = self.present = False
        self.state = SETUP
        self._policy.setup(True)
        log("segment", "a second machine may be on the speaker's Wi-Fi, for %d s" % seconds)

    def close_setup(self) -> None:
        """Throw everybody out, and let the one speaker come back: where there were several, an owner must have said
        who. Who was alone there before may have been the phone, come early."""
        chosen = self._settings.speaker
        seen = [inet.mac_text(mac) for mac in self.seen]
        self.undecided = chosen not in seen and (len(seen) > 1 or (chosen is not None and len(seen) == 1))
        self._close()
        if self.undecided:
            log("segment", "several machines were there: say which is the speaker, with 'speakeasy setup --speaker'")

    def decide(self, mac: bytes) -> None:
        """That machine is the speaker from now on, and no other one."""
        self._settings.change(speaker=inet.mac_text(mac))
        self.undecided = False
        self._close()

    def _close(self) -> None:
        if self.state == SETUP:
            log("segment", "one machine only may be on the speaker's Wi-Fi again")
        self.state = UP
        self.present = False
        self._policy.setup(False)
        self._throw_out()

    def _throw_out(self) -> None:
        # MicroPython cannot throw out one. The driver keeps its configuration meanwhile: first, then, room for one.
        self._turned_away = clock.seconds()
        self._configure()
        self._radio.active(False)
        self._radio.active(True)
        self._host = b""
        self._address()

    def _wanted(self) -> tuple:
        # One station: the driver forwards between stations, unfiltered.
        return (self._settings.segment, 2 if self.state == SETUP else 1)

    def _configure(self) -> None:
        wanted, room = self._wanted()
        # WPA2 beside WPA3: a Play:1 knows WPA2 only.
        self._radio.config(
            ssid=wanted["ssid"], key=wanted["key"], security=network.WLAN.SEC_WPA2_WPA3, max_clients=room
        )
        if not self._given or self._given[0] != wanted:
            log("segment", "the speaker's Wi-Fi is called %s" % wanted["ssid"])
        self._given = (wanted, room)

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
        if self.state == SETUP:
            for station in stations:
                mac = bytes(station[0])
                if mac not in self.seen and len(self.seen) < MAX_SEEN:
                    self.seen.append(mac)
            return
        if not stations:
            if self.present:
                self.present = False
                log("segment", "the speaker has left its Wi-Fi")
            return
        mac = bytes(stations[0][0])
        if self.undecided:
            return
        if self._settings.speaker not in (None, inet.mac_text(mac)):
            self._turn_away(mac)
            return
        if not self.present or mac != self._policy.speaker:
            self.present = True
            log("segment", "the machine %s is on the speaker's Wi-Fi" % inet.mac_text(mac))
            self._policy.speaker_seen(mac)

    def _turn_away(self, mac: bytes) -> None:
        self.present = False
        if clock.seconds() - self._turned_away < TURN_AWAY_S:
            return
        seldom("segment", "the machine %s is not the speaker: it is thrown out of its Wi-Fi" % inet.mac_text(mac))
        self._throw_out()
