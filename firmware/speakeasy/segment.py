"""The speaker's private network: an access point with room for one station; for two in a set-up window, in which a
speaker is put on it by its maker's program, on a phone beside it."""

import asyncio

import network
from micropython import const

from . import clock, inet
from .eventlog import log, number, seldom

DOWN = "down"
UP = "up"
SETUP = "set-up"  # a window is open
UNDECIDED = "undecided"  # an owner has to say who is the speaker; until then nobody is

SETUP_LEAST_S = 60
SETUP_S = 900
SETUP_MOST_S = 1800

_POLL_MS = const(500)


class Segment:
    """`radio`: the access point's WLAN; `policy.speaker_seen` learns of its one station; `beat()` at each turn.

    The driver lists a station before its handshake is through, so also who does not know the key. One that has asked
    for an address (`policy.asked`) knows it.
    """

    cable = False

    def __init__(self, radio, settings, policy, beat) -> None:
        self._radio = radio
        self._settings = settings
        self._policy = policy
        self._beat = beat
        self._host = b""
        self._given: tuple = ()  # what the driver was told
        self._until = 0  # when the window closes by itself, `clock.seconds`
        self._undecided = False  # before the window was opened
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

    @property
    def undecided(self) -> bool:
        """Whether an owner has to say who is the speaker."""
        return self.state != SETUP and self._settings.undecided

    def _open(self) -> None:
        # The driver takes a configuration only of a running interface, so for a moment there is a network with a
        # default name; the filter is bound by now and drops whatever comes from it.
        self._radio.active(True)
        self._configure()
        self._address()
        if self.state == DOWN:
            self._closed()

    def left_s(self) -> int:
        """For how many seconds the window is still open."""
        return max(0, self._until - clock.seconds()) if self.state == SETUP else 0

    def open_setup(self, seconds: int) -> None:
        """Let a second machine onto the speaker's Wi-Fi. Nobody is the speaker meanwhile: the two reach one another,
        and nothing beyond. OSError when the flash does not take it: then nothing is opened."""
        if self.state != SETUP:
            self._undecided = self._settings.undecided
            if self._settings.speaker is None:
                # Where the power goes before the window is closed, the phone may be the first to come back.
                self._settings.change(undecided=True)
            self.present = False
            self.state = SETUP
            self._policy.setup(True)
            log("segment", "a second machine may be on the speaker's Wi-Fi, for %d s" % seconds)
        self._until = clock.seconds() + seconds

    def close_setup(self) -> None:
        """Throw everybody out, and let the one speaker come back: the one that an owner has chosen. Where none is, or
        another one was there, an owner has to say who; also of one that was there alone, for it may be the phone."""
        asked = self._policy.asked
        undecided = self._undecided
        if asked:
            undecided = self._settings.speaker not in [inet.mac_text(mac) for mac in asked]
        try:
            if undecided != self._settings.undecided:
                self._settings.change(undecided=undecided)
        except OSError as e:
            log("segment", "the flash does not take that the window is closed (error %d)" % number(e))
        self._close()

    def decide(self, mac: str) -> None:
        """That machine (`settings.is_mac`) is the speaker from now on, and no other one."""
        self._settings.change(speaker=mac, undecided=False)
        self._close()

    def _close(self) -> None:
        if self.state == SETUP:
            log("segment", "one machine only may be on the speaker's Wi-Fi again")
        self._closed()
        self.present = False
        self._policy.setup(False)
        self._configure()  # first: then there is room for one only
        for mac in self._stations():
            self._policy.throw_out(mac)

    def _closed(self) -> None:
        self.state = UNDECIDED if self._settings.undecided else UP
        if self.state == UNDECIDED:
            log("segment", "nobody is the speaker until an owner says who is, with 'speakeasy setup --speaker'")

    def _stations(self) -> list:
        return [bytes(station[0]) for station in self._radio.status("stations")]

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
        if self.state == SETUP:
            return
        speaker = self._speaker_of(self._stations())
        if speaker is None:
            if self.present:
                self.present = False
                log("segment", "the speaker has left its Wi-Fi")
        elif not self.present or speaker != self._policy.speaker:
            self.present = True
            log("segment", "the machine %s is on the speaker's Wi-Fi" % inet.mac_text(speaker))
            self._policy.speaker_seen(speaker)

    def _speaker_of(self, stations: list) -> bytes | None:
        # Which of them is the speaker; one that cannot be has no business there.
        if self.state == UNDECIDED:
            return None
        policy = self._policy
        chosen = self._settings.speaker
        speaker = None
        for mac in stations:
            if chosen not in (None, inet.mac_text(mac)):
                seldom("segment", "the machine %s is not the speaker: it is thrown out" % inet.mac_text(mac))
                policy.throw_out(mac)
            elif speaker is None and (mac == policy.speaker or mac in policy.asked):
                speaker = mac
        return speaker
