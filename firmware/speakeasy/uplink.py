"""The dorm's network: find it, join it, stay on it, and say clearly why not."""

import asyncio
import time

import eap
from micropython import const

from . import clock, inet, scan, settings
from .addressed import Addressed
from .eventlog import log, number

# States, as `status` answers them.
OFF = "off"
JOINING = "joining"
UP = "up"
LOST = "lost"
WRONG_KEY = "wrong-key"
WRONG_LOGIN = "wrong-login"
NO_NETWORK = "no-network"
NO_DHCP = "no-dhcp"
NO_CABLE = "no-cable"  # of an uplink by cable only
UNUSABLE = "unusable-address"
FAILED = "failed"

JOIN_MS = 15_000
LOGIN_MS = 30_000  # the same with a login: TLS, and the network asks a server of its own
HOLD_MS = 20_000  # how long an address is kept when the radio link drops: flows and leases survive a short gap
FIRST_PAUSE_MS = 2_000
LONGEST_PAUSE_MS = 60_000

SCAN_REST_S = 5  # a scan stops the loop for two seconds on a chip: who asks again so soon is told of the last one
SCAN_KEPT_S = 60  # while the radio joins a network there is no scan: one of so long ago has to do

_SETTLE_MS = const(2_000)  # for so long after connect() the driver may still report the attempt before
_POLL_MS = const(250)
_REJOIN_MS = const(5_000)
_GOT_IP = const(1010)
# The driver's own attempts after the first. It tells most reasons of a failure only when it has given up.
_RETRIES = const(2)
# ESP-IDF's reasons; MicroPython passes the rarer ones through as they are.
_NO_NETWORK = (201, 210, 211, 212)
_WRONG_KEY = (202, 204, 15)
_WRONG_LOGIN = (23, 202, 204, 15)

_SAY = {
    WRONG_KEY: "the key of %s is wrong: send the right one with 'speakeasy join'",
    WRONG_LOGIN: "%s refused the user's name or password, or its server is not the one named: send them again "
    "with 'speakeasy join'",
    NO_NETWORK: "there is no network %s here: check its name, or bring the bridge nearer",
    NO_DHCP: "%s lets the bridge in, but gives it no address: ask who runs it, or try later",
    UNUSABLE: "%s gives an address that no machine can have: ask who runs it, or join another network",
    FAILED: "joining %s failed, and nobody knows why: the bridge tries again",
}


class Busy(Exception):
    """The radio is joining a network: it cannot look around at the same time."""


class Uplink(Addressed):
    """`radio`: the station's WLAN. `changed(addr, mask, router, dns)` is called whenever these change; all bytes.

    `state`, `ssid`, `addr`, `mask`, `router`, `dns`, `failed` are for the status. `failed` is None, or {"ssid",
    "state"} of the network that was asked for last and could not be joined.
    """

    cable = False

    def __init__(self, radio, settings, changed, beat) -> None:
        super().__init__(radio, changed, beat)
        self._radio = radio
        self._settings = settings
        self._asked = asyncio.Event()
        self._candidate: dict | None = None
        self._trying: dict | None = None  # the candidate that has its turn
        self._wanted = False  # whether somebody waits for a scan
        self._seen: list = []  # what the last scan found
        self._seen_at = -SCAN_KEPT_S
        self.failed: dict | None = None
        self.state = OFF
        self.ssid = ""

    def join(self, ssid: str, key: str, login: dict | None = None) -> None:
        """Leave the present network for this one (as `settings.is_network` wants it), and remember it once it has let
        us in.

        Until then it is held in RAM only: when it fails, or the power goes, the networks known before are all there,
        with the keys that they had. The first of all networks is saved at once: there is nothing to lose for it, and it
        is tried again, after a reboot, too.
        """
        if not self._settings.uplinks:
            self._settings.remember_network(ssid, key, login)
        self._candidate = settings.network(ssid, key, login)
        self.failed = None
        # At once: whoever asks for the status next must not take the network before for this one.
        self.state = JOINING
        self.ssid = ssid
        self._asked.set()

    def forget(self, ssid: str) -> bool:
        """Forget a network, and leave it if it is the present one; False if it is neither remembered nor asked for. The
        others are not touched."""
        known = self._settings.forget_network(ssid)
        if self._candidate and self._candidate["ssid"] == ssid:
            self._candidate = None
            known = True
        if self._trying and self._trying["ssid"] == ssid:
            self._trying = None
            known = True
        if self.failed and self.failed["ssid"] == ssid:
            self.failed = None
        if known and self.ssid == ssid:
            self.state = OFF
            self.ssid = ""
            self._asked.set()
        return known

    def scan(self) -> list:
        """The networks in sight (`scan.strongest`). Stops the loop for about two seconds, unless the last scan is young
        enough. Busy: not while the radio joins a network; it is done soon, for those who ask again."""
        age_s = clock.seconds() - self._seen_at
        if self.state in (JOINING, LOST):
            if age_s >= SCAN_KEPT_S:
                self._wanted = True
                raise Busy
        elif age_s >= SCAN_REST_S:
            self._look()
        return self._seen

    def _look(self) -> list:
        # The names that are seen. A scan that the driver cannot make now looks like one that finds nothing.
        self._beat()
        found = self._radio.scan()
        self._beat()
        self._wanted = False
        self._seen = scan.strongest(found)
        self._seen_at = clock.seconds()
        return [bytes(entry[0]) for entry in found]

    async def run(self) -> None:
        """Keep the uplink up for ever, trying the remembered networks in their order."""
        self._radio.active(True)
        # Here, where nothing is being joined: MicroPython configures the driver with it, which refuses while it joins.
        self._radio.disconnect()
        self._radio.config(reconnects=_RETRIES)
        pause_ms = FIRST_PAUSE_MS
        told_off = False
        asked_last = None
        while True:
            self._beat()
            networks = self._settings.uplinks
            if networks:
                told_off = False
            elif not told_off:
                told_off = True
                self.state = OFF
                log("uplink", "no network is known: tell one with 'speakeasy join'")
            self._asked.clear()
            candidate = self._candidate
            joined = False
            if candidate:
                self._candidate = None
                asked_last = candidate
                pause_ms = FIRST_PAUSE_MS
                joined = await self._try(candidate)
                # It had its turn.
                networks = [known for known in networks if known != candidate]
            if not joined and not self._asked.is_set():
                for known in await self._in_sight(networks):
                    self._beat()
                    if known not in self._settings.uplinks:
                        continue  # forgotten since
                    joined = await self._join(known)
                    if joined and known == asked_last:
                        self.failed = None
                    if joined or self._asked.is_set():
                        break
            if joined:
                pause_ms = FIRST_PAUSE_MS
                await self._stay()
                continue
            self._drop()
            await self._pause(pause_ms if self._settings.uplinks else LONGEST_PAUSE_MS)
            pause_ms = min(pause_ms * 2, LONGEST_PAUSE_MS)

    async def _try(self, candidate: dict) -> bool:
        # A network that was asked for. What is saved changes only when it has let us in.
        ssid = candidate["ssid"]
        self._trying = candidate
        joined = await self._join(candidate)
        kept, self._trying = self._trying, None
        if kept is None:
            return False  # forgotten meanwhile
        if joined:
            try:
                self._settings.remember_network(ssid, candidate["key"], candidate.get("login"))
            except OSError as e:
                log("uplink", "%s could not be saved (error %d): after a restart, join it again" % (ssid, number(e)))
            return True
        if not self._asked.is_set():
            self.failed = {"ssid": ssid, "state": self.state}
            if candidate not in self._settings.uplinks:
                log("uplink", "%s was not joined, and is not kept: back to the networks known before" % ssid)
        return False

    async def _in_sight(self, networks: list) -> list:
        # A scan stops the loop for two seconds on a chip, so only where it helps: to choose among several.
        if len(networks) < 2:
            return networks
        try:
            seen = self._look()
        except (OSError, MemoryError):
            return networks
        await asyncio.sleep_ms(0)
        # Hidden networks are not seen, so the others are tried, too: later.
        return [n for n in networks if n["ssid"].encode() in seen] + [
            n for n in networks if n["ssid"].encode() not in seen
        ]

    async def _join(self, wanted: dict) -> bool:
        ssid = wanted["ssid"]
        login = wanted.get("login")
        wrong, reasons, limit_ms = (WRONG_LOGIN, _WRONG_LOGIN, LOGIN_MS) if login else (WRONG_KEY, _WRONG_KEY, JOIN_MS)
        self.state = JOINING
        self.ssid = ssid
        log("uplink", "joining %s" % ssid)
        radio = self._radio
        radio.disconnect()
        start = time.ticks_ms()
        while radio.isconnected() and time.ticks_diff(time.ticks_ms(), start) < _SETTLE_MS:
            await asyncio.sleep_ms(_POLL_MS)
        # Of a failed attempt before this the driver may tell until the next event comes, whenever that is.
        before = radio.status()
        try:
            self._connect(wanted)
        except OSError as e:
            log("uplink", "the radio does not take the login for %s (error %d)" % (ssid, number(e)))
            self.state = FAILED
            return False
        start = time.ticks_ms()
        outcome = FAILED
        while True:
            spent = time.ticks_diff(time.ticks_ms(), start)
            status = radio.status()
            if self._asked.is_set():
                return False
            # A status of the network before lasts a moment: wait until the driver has let go of it.
            if status == _GOT_IP and radio.isconnected() and self._take_address():
                if self._usable():
                    self.state = UP
                    log("uplink", "joined %s: the bridge's address is %s" % (ssid, inet.text(self.addr)))
                    return True
                outcome = UNUSABLE
                break
            associated = self._associated()
            over = spent >= limit_ms
            if not associated and (over or spent >= _SETTLE_MS and status != before):
                if status in reasons:
                    outcome = wrong
                    break
                if status in _NO_NETWORK:
                    outcome = NO_NETWORK
                    break
            if over:
                outcome = NO_DHCP if associated else FAILED
                break
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)
        radio.disconnect()
        self._clear()
        self.state = outcome
        log("uplink", _SAY[outcome] % ssid)
        return False

    async def _stay(self) -> None:
        # Until the network is gone for good, or another one is asked for.
        self._tell()
        self._wanted = False  # who asks again can be answered at once
        lost_at = tried_at = 0
        lost = False
        while not self._asked.is_set():
            before = self._all()
            if self._radio.isconnected() and self._take_address():
                if lost:
                    lost = False
                    self.state = UP
                    log("uplink", "%s is back" % self.ssid)
                if self._all() != before:
                    if not self._usable():
                        self.state = UNUSABLE
                        log("uplink", _SAY[UNUSABLE] % self.ssid)
                        break
                    log("uplink", "the bridge's address is %s now" % inet.text(self.addr))
                    self._tell()
            elif not lost:
                lost = True
                lost_at = tried_at = time.ticks_ms()
                self.state = LOST
                log("uplink", "%s is lost; trying to get back" % self.ssid)
            elif time.ticks_diff(time.ticks_ms(), lost_at) >= HOLD_MS:
                log("uplink", "%s stays away" % self.ssid)
                break
            elif time.ticks_diff(time.ticks_ms(), tried_at) >= _REJOIN_MS:
                # The driver counts its attempts from connect() on, over days: it may have none left.
                tried_at = time.ticks_ms()
                self._connect_again()
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)
        self._radio.disconnect()

    async def _pause(self, span_ms: int) -> None:
        start = time.ticks_ms()
        while not self._asked.is_set() and time.ticks_diff(time.ticks_ms(), start) < span_ms:
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)
            if self._wanted:
                try:
                    self._look()
                except (OSError, MemoryError):
                    self._wanted = False

    def _connect(self, wanted: dict) -> None:
        login = wanted.get("login")
        if login is None:
            eap.off()
            self._radio.connect(wanted["ssid"], wanted["key"])
            return
        who = [login[name] for name in ("identity", "user", "password", "server", "inner")]
        eap.on(wanted["ssid"], *who)
        self._radio.connect()

    def _connect_again(self) -> None:
        try:
            self._radio.connect()
        except OSError:
            pass  # it is at it already

    def _associated(self) -> bool:
        # The driver has no better way to say so: it knows a signal strength only of a network that it is in.
        try:
            self._radio.status("rssi")
            return True
        except OSError:
            return False

    def _drop(self) -> None:
        self._radio.disconnect()  # it may be at a network that nobody wants any more
        self._clear()
        self._tell()
