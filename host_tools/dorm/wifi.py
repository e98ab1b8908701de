"""The air of the virtual dorm, as far as it is Wi-Fi, and the wires of the bridge's board: pins, reset line.

    the SIM board's drivers  --wifi.sock, JSON lines-->  WifiAir  --carrier-->  the radios (TAP devices)
    (network, machine)                                      |-----udhcpc----->  `uplink` in the bridge's namespace

Where the board has an IP stack of its own (SIM_LWIP), the last line is that stack's business, which tells its address.

The board asks {"op": name, "n": number, ...} and gets {"n": number, "ok": {...}} or {"n": number, "error": text}; what
has no "n" gets no answer. The air tells {"event": name, ...} at any time:

    station   is: {associated, connected, reason, gave_up, rssi}     reason: ESP-IDF's wifi_err_reason_t, 0 for none
    lease     is: {addr, mask, router, dns}                          dotted quads; "0.0.0.0" without an address
    stations  is: ["02:..", ...]                                     who is associated with the board's access point
    ethernet  is: {status}                                           of the board's socket: network.ETH_*
    pin       pin, level                                             what the pin reads now
    renew                                                            a DHCP client of the board's own asks again now

Beside it `out.sock` takes datagrams of 6 bytes: the MAC of a station that the access point throws out.

Nothing that the board's process sends can bring the air down: what is not understood is refused with one sentence.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dorm import ethernet, topology
from dorm.dhcp import DhcpClient
from dorm.errors import DormError
from dorm.namespaces import Namespace

logger = logging.getLogger(__name__)

SOCKET = "wifi.sock"
OUT_SOCKET = "out.sock"
LINE_LIMIT = 4096  # bytes, of one message of the board

# How long a radio takes. A real one is slower; these are long enough to be seen by the firmware as states of their own.
ASSOCIATE_S = 0.3
SCAN_S = 0.5
BEACON_LOSS_S = 0.5  # until a station notices that its access point is gone
LEASE_POLL_S = 0.05
OUT_S = 1.2  # how long who was thrown out stays away. Linux tells of a carrier at most once a second

# wifi_err_reason_t, <esp_wifi_types.h>
REASON_NONE = 0
REASON_ASSOC_LEAVE = 8
REASON_802_1X_AUTH_FAILED = 23
REASON_BEACON_TIMEOUT = 200
REASON_NO_AP_FOUND = 201
REASON_AUTH_FAIL = 202
REASON_NO_AP_FOUND_W_COMPATIBLE_SECURITY = 210
REASON_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
# wifi_auth_mode_t
AUTH_OPEN = 0
AUTH_WPA2 = 3
AUTH_WPA2_ENTERPRISE = 5
AUTH_WPA3 = 6
_AUTH_WITH_KEY = (2, 3, 4, 6, 7)  # WPA, WPA2, both, WPA3, WPA2 and 3
# esp32's reset_cause()
PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
SOFT_RESET = 5

BUTTON_PIN = 0  # active low, with the chip's pull-up
LED_PIN = 2
PINS = 40
PULL_UP = 2
MODE_OUTPUT = 2  # bit of GPIO_MODE_*

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_HOSTNAME = re.compile(r"[A-Za-z0-9-]{1,32}")
_T = TypeVar("_T")


class Refused(Exception):
    """What the board asks for cannot be: the text goes back to it (where a chip has a text for it, that one)."""


@dataclass(frozen=True)
class Login:
    """What a station logs in with (WPA2-Enterprise). `identity` everybody hears; `server` "" takes any certificate."""

    identity: str
    user: str
    password: str = field(repr=False)
    server: str
    inner: str


@dataclass(frozen=True)
class Target:
    """What the station joins: with a key ("" for an open network), or with a login."""

    ssid: str
    key: str = field(repr=False, default="")
    login: Login | None = None


@dataclass
class Enterprise:
    """The users of a network, name to password, and the name in its server's certificate. `heard`: the logins that
    reached the server, for the tests."""

    users: dict[str, str] = field(repr=False)
    server: str
    heard: set[Login] = field(default_factory=set, repr=False)

    def lets_in(self, login: Login) -> bool:
        if login.server not in ("", self.server):
            return False  # the station leaves before it has said who it is
        self.heard.add(login)
        return self.users.get(login.user) == login.password


@dataclass
class AccessPoint:
    """One Wi-Fi network of the dorm's. `key` "" is an open one; `rssi` in dBm; `auth` as it is told in a scan (None: by
    the key); `raw` a name that is no text, in its place; `enterprise`: it takes logins, no key."""

    ssid: str
    key: str = field(repr=False)
    bssid: str = "02:00:00:00:42:a0"
    channel: int = 6
    rssi: int = -52
    up: bool = True
    auth: int | None = None
    hidden: bool = False
    raw: bytes = b""
    enterprise: Enterprise | None = None

    def refusal(self, target: Target) -> int:
        """Why it does not let a station in; REASON_NONE: it does."""
        if self.enterprise is None:
            # Who has a login joins nothing weaker.
            weak = REASON_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD
            return weak if target.login else REASON_NONE if target.key == self.key else REASON_AUTH_FAIL
        if target.login is None:
            return REASON_NO_AP_FOUND_W_COMPATIBLE_SECURITY
        return REASON_NONE if self.enterprise.lets_in(target.login) else REASON_802_1X_AUTH_FAILED

    def seen(self) -> dict[str, object]:
        """What a scan tells of it. A hidden one is seen without its name."""
        by_itself = AUTH_WPA2_ENTERPRISE if self.enterprise else AUTH_WPA2 if self.key else AUTH_OPEN
        auth = by_itself if self.auth is None else self.auth
        name = b"" if self.hidden else self.raw or self.ssid.encode()
        return {"ssid": name.hex(), "bssid": self.bssid, "channel": self.channel, "rssi": self.rssi, "auth": auth}


@dataclass
class Station:
    """The board's station, as its driver sees it."""

    associated: bool = False
    connected: bool = False  # has an address
    reason: int = REASON_NONE
    gave_up: bool = False
    rssi: int = 0


@dataclass
class Address:
    """The station's address. Dotted quads."""

    addr: str = "0.0.0.0"
    mask: str = "0.0.0.0"
    router: str = "0.0.0.0"
    dns: list[str] = field(default_factory=list)


@dataclass
class SoftAp:
    """The board's own access point, as configured."""

    active: bool = False
    ssid: str = ""
    key: str = field(default="", repr=False)
    security: int = AUTH_OPEN
    max_clients: int = 4
    addr: str = "0.0.0.0"
    mask: str = "0.0.0.0"

    def lets_in(self, wifi: topology.Wifi) -> bool:
        """Whether a machine that knows `wifi` (and insists on a key where it has one) joins this network."""
        if not self.active or self.ssid != wifi.ssid:
            return False
        return self.security == AUTH_OPEN if not wifi.key else self.security in _AUTH_WITH_KEY and self.key == wifi.key


@dataclass
class Pin:
    """One pin. `driven` is what stands on it from outside (None: nothing)."""

    mode: int = 0
    pull: int = 0
    output: int = 0
    driven: int | None = None

    @property
    def level(self) -> int:
        if self.driven is not None:
            return self.driven
        if self.mode & MODE_OUTPUT:
            return self.output
        return 1 if self.pull & PULL_UP else 0


def _get(message: dict[str, Any], name: str, kind: type[_T], default: _T | None = None) -> _T:
    value = message.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(f"{name} is missing or not a {kind.__name__}")
    return value


def _text(message: dict[str, Any], name: str, limit: int, default: str | None = None) -> str:
    value = _get(message, name, str, default)
    if len(value.encode()) > limit:
        raise Refused(f"{name} is longer than {limit} bytes")
    return value


def _quad(message: dict[str, Any], name: str) -> str:
    try:
        return str(ipaddress.IPv4Address(_get(message, name, str)))
    except ValueError:
        raise Refused(f"{name} is no IPv4 address") from None


def _prefix(mask: str) -> int:
    with contextlib.suppress(ValueError):
        network = ipaddress.IPv4Network(f"0.0.0.0/{mask}")
        if str(network.netmask) == mask:  # it would also take a wildcard mask
            return network.prefixlen
    raise Refused("mask is no netmask")


class WifiAir:
    """Wi-Fi around one board.

    `switch`, `bridge` and `speaker` are the namespaces of the dorm's switch (with the netdev `radio`), of the bridge
    (`uplink`, `segment`; None: the board has an IP stack of its own) and of the speaker (`wlan0`); the devices must be
    there before the board asks for anything. `has_ethernet`: the board has a socket, `plug`.
    """

    def __init__(
        self,
        *,
        switch: Namespace,
        bridge: Namespace | None,
        speaker: Namespace,
        log_directory: Path,
        has_ethernet: bool = False,
    ) -> None:
        self._switch = switch
        self._bridge = bridge
        self._speaker_namespace = speaker
        self._log_directory = log_directory
        self.networks = [AccessPoint(topology.DORM_WIFI.ssid, topology.DORM_WIFI.key)]
        self.speaker_knows = topology.SEGMENT_WIFI
        self.speaker_present = True
        self.reset_cause = PWRON_RESET
        self.led_changes: deque[int] = deque(maxlen=256)
        self._server: asyncio.AbstractServer | None = None
        self._out: asyncio.BaseTransport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._changed = asyncio.Event()
        self._guests: list[str] = []
        self._lock = asyncio.Lock()  # one change of the radios at a time
        self._restarting = asyncio.Lock()
        self._has_ethernet = has_ethernet
        self.plug = ethernet.Plug(
            self._ip,
            {ethernet.UPLINK: switch, ethernet.SEGMENT: speaker},
            tell=lambda status: self._tell("ethernet", **{"is": {"status": status}}),
            look=self._start_dhcp,
            leave=self._leave_cable,
            there=lambda: self.speaker_present,
        )
        self._new_chip()

    def _new_chip(self) -> None:
        self.station = Station()
        self.address = Address()
        self.ap = SoftAp()
        self.stations: list[str] = []
        self.pins: dict[int, Pin] = {}
        self.watchdog_ms = 0
        self._station_active = False
        self._hostname = "mpy-esp32"
        self._dhcp_wanted = True
        self._dhcp: DhcpClient | None = None
        self._target: Target | None = None
        self._joining: asyncio.Task[None] | None = None
        self._leasing: asyncio.Task[None] | None = None
        self._serving_speaker: asyncio.Task[None] | None = None
        self._outside: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self, directory: Path) -> None:
        """Listens on `directory`/wifi.sock, radios silent."""
        path = directory / SOCKET
        path.unlink(missing_ok=True)
        await self._silence()
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=LINE_LIMIT)
        path.chmod(0o600)
        out = directory / OUT_SOCKET
        out.unlink(missing_ok=True)
        self._out, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Out(self.throw_out), local_addr=str(out), family=socket.AF_UNIX
        )
        out.chmod(0o600)

    async def stop(self) -> None:
        """The air is gone, radios silent."""
        if self._out is not None:
            self._out.close()
            self._out = None
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.power_lost()

    async def power_lost(self) -> None:
        """The board has no power (or is in reset): its radios fall silent, its pins float, its addresses are gone."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for task in (self._joining, self._serving_speaker, self._outside, self._leasing):
            await _end(task)
        await self.plug.power_lost()
        async with self._lock:
            await self._stop_dhcp()
            driven = {number: pin.driven for number, pin in self.pins.items() if pin.driven is not None}
            self._new_chip()
            for number, level in driven.items():  # a finger on the button stays there
                self._pin(number).driven = level
        await self._silence()
        self._note()

    async def _silence(self) -> None:
        await self._switch.carrier(topology.UPLINK_RADIO, False)
        await self._speaker_namespace.carrier(topology.SEGMENT_RADIO, False)
        for name in (topology.HOST_UPLINK, topology.HOST_SEGMENT):
            await self._ip("-4", "address", "flush", "dev", name)
            await self._ip("link", "set", "dev", name, "down")

    async def _ip(self, *arguments: str, check: bool = True) -> None:
        """ip(8) for the board's IP stack, where that is the bridge's kernel."""
        if self._bridge is not None:
            await self._bridge.run("ip", *arguments, check=check)

    async def wait(self, predicate: Callable[[], object], limit_s: float, what: str) -> None:
        """Waits until `predicate()` is true of this air. Raises DormError after `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                while not predicate():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise DormError(f"Not within {limit_s:g} s: {what}. Station: {self.station}, {self.address}.") from None

    def _note(self) -> None:
        self._changed.set()

    # --- what tests and people do -------------------------------------------------------------------------------

    def network(self, ssid: str) -> AccessPoint | None:
        return next((one for one in self.networks if one.ssid == ssid and one.up), None)

    async def change_network(self, *, ssid: str | None = None, key: str | None = None, index: int = 0) -> None:
        """Somebody gives the dorm's access point another name or key: its stations are thrown out."""
        one = self.networks[index]
        one.ssid = one.ssid if ssid is None else ssid
        one.key = one.key if key is None else key
        await self._check_association()

    async def drop_network(self, index: int = 0) -> None:
        """The access point loses power."""
        self.networks[index].up = False
        await self._check_association()

    async def raise_network(self, index: int = 0) -> None:
        self.networks[index].up = True
        await self._check_association()

    async def roam_speaker(self, present: bool) -> None:
        """The speaker goes off the air (switched off, carried away) or comes back."""
        self.speaker_present = present
        self.plug.moved()
        await self._restart_segment()

    async def teach_speaker(self, wifi: topology.Wifi) -> None:
        """The speaker is set up for another network."""
        self.speaker_knows = wifi
        await self._restart_segment()

    def join_segment(self, mac: str, key: str) -> bool:
        """Another machine tries to join the board's access point; whether it is let in."""
        if not self.ap.lets_in(topology.Wifi(self.ap.ssid, key)) or len(self.stations) >= self.ap.max_clients:
            return False
        if mac not in self.stations:
            self._guests.append(mac)
            self._tell_stations([*self.stations, mac])
        return True

    async def hold_button(self, seconds: float) -> None:
        """Somebody presses the button, and lets it go after `seconds`."""
        self.drive(BUTTON_PIN, 0)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.drive(BUTTON_PIN, None)

    def drive(self, number: int, level: int | None) -> None:
        """Puts a level on a pin from outside; None lets it float."""
        pin = self._pin(number)
        before = pin.level
        pin.driven = level
        if pin.level != before:
            self._tell_pin(number)

    @property
    def led(self) -> bool:
        return LED_PIN in self.pins and self.pins[LED_PIN].level == 1

    # --- the board's connection ---------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            self._writer.close()  # a board has one set of wires: the newest holds
        self._writer = writer
        try:
            while line := await reader.readline():
                await self._answer(line, writer)
                await writer.drain()
        except ValueError:
            logger.error("the board sent a message of more than %d bytes: its connection is closed", LINE_LIMIT)
        except ConnectionError:
            pass
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        number: object = None
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise Refused("a message is a JSON object")
            number = message.get("n")
            operation = self._operations().get(_get(message, "op", str))
            if operation is None:
                raise Refused("there is no such operation")
            reply: dict[str, Any] = {"ok": await operation(message)}
        except Refused as error:
            reply = {"error": str(error)}
        except (ValueError, RecursionError):  # no JSON, no UTF-8
            reply = {"error": "not understood: a message is one line of JSON"}
        except (DormError, OSError) as error:
            logger.error("the board's request failed: %s", error)
            reply = {"error": f"the air failed: {error}"}
        if isinstance(number, int):
            writer.write(json.dumps({"n": number, **reply}).encode() + b"\n")
        elif "error" in reply:
            logger.error("the board sent something that was refused: %s", reply["error"])

    def _operations(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
        return {
            "hello": self._op_hello,
            "station": self._op_station,
            "connect": self._op_connect,
            "disconnect": self._op_disconnect,
            "login": self._op_login,
            "scan": self._op_scan,
            "dhcp": self._op_dhcp,
            "address": self._op_address,
            "static": self._op_static,
            "ap": self._op_ap,
            "mac": self._op_mac,
            "ethernet": self._op_ethernet,
            "pin": self._op_pin,
            "pin_init": self._op_pin_init,
            "watchdog": self._op_watchdog,
        }

    def _tell(self, event: str, **what: object) -> None:
        self._note()
        writer = self._writer
        if writer is not None and not writer.is_closing():
            writer.write(json.dumps({"event": event, **what}).encode() + b"\n")

    def _tell_station(self) -> None:
        self._tell("station", **{"is": asdict(self.station)})

    def _tell_address(self, address: Address) -> None:
        if address != self.address:
            self.address = address
            self._tell("lease", **{"is": asdict(address)})

    def _tell_stations(self, stations: list[str]) -> None:
        if stations != self.stations:
            self.stations = stations
            self._tell("stations", **{"is": stations})

    async def _op_hello(self, _: dict[str, Any]) -> dict[str, Any]:
        self._tell_station()
        for number in self.pins:
            self._tell_pin(number)
        return {
            "reset_cause": self.reset_cause,
            "station_mac": topology.MAC[topology.HOST_UPLINK],
            "ap_mac": topology.MAC[topology.HOST_SEGMENT],
            **({"ethernet_mac": topology.MAC[topology.ETHERNET]} if self._has_ethernet else {}),
        }

    # --- station ------------------------------------------------------------------------------------------------

    async def _op_station(self, message: dict[str, Any]) -> dict[str, Any]:
        active = _get(message, "active", bool)
        if not active:
            await self._leave(REASON_ASSOC_LEAVE)
        await self._ip("link", "set", "dev", topology.HOST_UPLINK, "up" if active else "down")
        self._station_active = active
        return {}

    async def _op_connect(self, message: dict[str, Any]) -> dict[str, Any]:
        if not self._station_active:
            raise Refused("Wifi Not Started")
        hostname = _text(message, "hostname", 32, self._hostname)
        reconnects = _get(message, "reconnects", int, -1)
        if "ssid" in message:
            # The chip does not take a configuration while it is connecting, which it also is between two attempts.
            if self._connecting:
                raise Refused("Wifi Internal State Error")
            target = Target(_text(message, "ssid", 32), _text(message, "key", 64, ""))
        elif self._target is None:
            raise Refused("Wifi SSID Invalid")
        else:
            target = self._target
        if self.station.associated:
            raise Refused("Wifi Internal Error")
        await _end(self._joining)
        self._target = target
        self._hostname = hostname if _HOSTNAME.fullmatch(hostname) else self._hostname
        self.station.gave_up = False
        self._joining = asyncio.create_task(self._stay_joined(target, reconnects))
        return {}

    async def _op_login(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the next `connect` without a name joins."""
        if self._connecting:
            raise Refused("Wifi Internal State Error")
        ssid = _text(message, "ssid", 32)
        names = ("identity", "user", "password", "server", "inner")
        self._target = Target(ssid, login=Login(*(_text(message, name, 64) for name in names)))
        return {}

    async def _op_disconnect(self, _: dict[str, Any]) -> dict[str, Any]:
        await self._leave(REASON_ASSOC_LEAVE)
        return {}

    async def _leave(self, reason: int) -> None:
        was = self._joining is not None
        await _end(self._joining)
        self._joining = None
        if was or self.station.associated:
            await self._dissociate()
            self.station = Station(reason=reason)
            self._tell_station()

    async def _stay_joined(self, target: Target, reconnects: int) -> None:
        """One attempt after the other, and again after each loss, as MicroPython's driver makes them."""
        failures = 0
        while True:
            await asyncio.sleep(ASSOCIATE_S)
            found = self.network(target.ssid)
            reason = REASON_NO_AP_FOUND if found is None else found.refusal(target)
            if found is not None and reason == REASON_NONE:
                failures = 0
                await self._associated(target, found)
                reason = REASON_BEACON_TIMEOUT
            failures += 1
            gave_up = reconnects >= 0 and failures > reconnects
            self.station = Station(reason=reason, gave_up=gave_up)
            self._tell_station()
            if gave_up:
                return

    async def _associated(self, target: Target, found: AccessPoint) -> None:
        """Comes back when the network has been lost for as long as it takes to notice."""
        async with self._lock:
            await self._switch.carrier(topology.UPLINK_RADIO, True)
        self.station.associated = True
        self.station.rssi = found.rssi
        self._tell_station()
        if self._dhcp_wanted:
            await self._start_dhcp()
        while self._fits(target):
            self._changed.clear()
            await self._changed.wait()
        await asyncio.sleep(BEACON_LOSS_S)
        await self._dissociate()

    def _fits(self, target: Target) -> bool:
        found = self.network(target.ssid)
        return found is not None and found.refusal(target) == REASON_NONE

    async def _check_association(self) -> None:
        """After a change of the networks: the radio is deaf at once, the station notices later."""
        if self.station.associated and self._target is not None and not self._fits(self._target):
            async with self._lock:
                await self._switch.carrier(topology.UPLINK_RADIO, False)
        self._note()

    async def _dissociate(self) -> None:
        async with self._lock:
            await self._switch.carrier(topology.UPLINK_RADIO, False)
            await self._stop_dhcp()
            await self._ip("-4", "address", "flush", "dev", topology.HOST_UPLINK)
        self.station.associated = False
        self._tell_address(Address())

    @property
    def _connecting(self) -> bool:
        # Also between two attempts.
        return self._joining is not None and not self.station.associated and not self.station.gave_up

    async def _op_scan(self, _: dict[str, Any]) -> dict[str, Any]:
        """Connecting has priority over scanning: a scan fails at once while it goes on, and when it begins (because the
        network is lost) a scan ends. MicroPython does not tell such a scan from one that has found nothing."""
        began = time.monotonic()
        while not self._connecting and (left_s := SCAN_S - (time.monotonic() - began)) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left_s)
        if self._connecting:
            return {"networks": []}
        return {"networks": [one.seen() for one in sorted(self.networks, key=lambda one: -one.rssi) if one.up]}

    # --- the station's address ----------------------------------------------------------------------------------

    async def _start_dhcp(self) -> None:
        if self._bridge is None:
            return  # the board's own has begun
        await self._stop_dhcp()
        lease_file = self._log_directory / "uplink.lease"
        lease_file.unlink(missing_ok=True)
        self._dhcp = DhcpClient(
            self._bridge, topology.HOST_UPLINK, self._hostname, lease_file, self._log_directory / "uplink-dhcp.log"
        )
        await self._dhcp.start()
        self._leasing = asyncio.create_task(self._watch_lease(self._dhcp))

    async def _stop_dhcp(self) -> None:
        await _end(self._leasing)
        self._leasing = None
        dhcp, self._dhcp = self._dhcp, None
        if dhcp is not None:
            await dhcp.stop()

    async def _watch_lease(self, dhcp: DhcpClient) -> None:
        while True:
            lease = dhcp.lease
            if lease is None:
                self._tell_address(Address())
            else:
                self._tell_address(
                    Address(lease.address, lease.netmask, lease.router or "0.0.0.0", list(lease.dns[:3]))
                )
                self._has_lease()
            if not dhcp.running:
                logger.error("the uplink's DHCP client has ended: see %s", self._log_directory / "uplink-dhcp.log")
                return
            await asyncio.sleep(LEASE_POLL_S)

    def _has_lease(self) -> None:
        if self.plug.on(ethernet.UPLINK):
            if self.plug.status != ethernet.GOT_IP:
                self.plug.got_ip()
        elif not self.station.connected:
            self.station.connected, self.station.reason = True, REASON_NONE
            self._tell_station()
            self.plug.station_got_ip()

    def renew(self) -> None:
        """The DHCP client of the board's own asks again now, as at half of its lease's time."""
        self._tell("renew")

    async def _op_address(self, message: dict[str, Any]) -> dict[str, Any]:
        """The board's own IP stack has, or has lost, an address."""
        addr, mask, router = (_quad(message, name) for name in ("addr", "mask", "router"))
        dns = [_quad({"dns": server}, "dns") for server in _get(message, "dns", list)]
        self._tell_address(Address(addr, mask, router, dns[:3]))
        if (self.plug.up if self.plug.on(ethernet.UPLINK) else self.station.associated) and addr != "0.0.0.0":
            self._has_lease()
        return {}

    async def _op_dhcp(self, message: dict[str, Any]) -> dict[str, Any]:
        self._dhcp_wanted = _get(message, "on", bool)
        if not self._dhcp_wanted:
            await self._stop_dhcp()
        elif self.station.associated and self._dhcp is None:
            await self._start_dhcp()
        return {}

    async def _op_static(self, message: dict[str, Any]) -> dict[str, Any]:
        addr, mask, router = (_quad(message, name) for name in ("addr", "mask", "router"))
        prefix = _prefix(mask)
        self._dhcp_wanted = False
        async with self._lock:
            await self._stop_dhcp()
            await self._set_address(topology.HOST_UPLINK, addr, prefix)
            if router != "0.0.0.0":
                await self._ip("route", "replace", "default", "via", router, "dev", topology.HOST_UPLINK, check=False)
        self._tell_address(Address(addr, mask, router, self.address.dns))
        if self.station.associated and not self.station.connected:
            self.station.connected, self.station.reason = True, REASON_NONE
            self._tell_station()
        return {}

    async def _set_address(self, name: str, addr: str, prefix: int) -> None:
        await self._ip("-4", "address", "flush", "dev", name)
        if addr != "0.0.0.0":
            await self._ip("address", "add", f"{addr}/{prefix}", "brd", "+", "dev", name)

    # --- the board's access point -------------------------------------------------------------------------------

    async def _op_ap(self, message: dict[str, Any]) -> dict[str, Any]:
        before = self.ap
        if _get(message, "active", bool):
            self.ap = SoftAp(
                active=True,
                ssid=_text(message, "ssid", 32),
                key=_text(message, "key", 64, ""),
                security=_get(message, "security", int),
                max_clients=_get(message, "max_clients", int),
                addr=_quad(message, "addr"),
                mask=_quad(message, "mask"),
            )
        else:
            self.ap = SoftAp()
        prefix = _prefix(self.ap.mask)
        if self.ap.active != before.active:
            await self._ip("link", "set", "dev", topology.HOST_SEGMENT, "up" if self.ap.active else "down")
        if (self.ap.addr, self.ap.mask) != (before.addr, before.mask):
            await self._set_address(topology.HOST_SEGMENT, self.ap.addr, prefix)
        network = (self.ap.active, self.ap.ssid, self.ap.key, self.ap.security, self.ap.max_clients)
        if network != (before.active, before.ssid, before.key, before.security, before.max_clients):
            await self._restart_segment()
        return {}

    async def _restart_segment(self) -> None:
        """Whoever was associated is not any more; the speaker joins when it knows the network."""
        if self.plug.on(ethernet.SEGMENT):
            return
        async with self._restarting:  # the board's, and what a test does to the speaker, may come at once
            for task in (self._serving_speaker, self._outside):
                await _end(task)
            self._serving_speaker = self._outside = None
            self._guests.clear()
            self._tell_stations([])
            async with self._lock:
                await self._speaker_namespace.carrier(topology.SEGMENT_RADIO, False)
            self._bring_speaker()

    def _bring_speaker(self) -> None:
        if self.speaker_present and self.ap.lets_in(self.speaker_knows) and self.ap.max_clients >= 1:
            self._serving_speaker = asyncio.create_task(self._join_speaker())

    async def _join_speaker(self) -> None:
        await asyncio.sleep(ASSOCIATE_S)
        if len(self.stations) < self.ap.max_clients:
            async with self._lock:
                await self._speaker_namespace.carrier(topology.SEGMENT_RADIO, True)
            self._tell_stations([*self.stations, topology.MAC[topology.SPEAKER]])

    def throw_out(self, mac: str) -> None:
        """The access point throws out a station; by cable, the bridge lets go of its link for a moment."""
        speaker = topology.MAC[topology.SPEAKER]
        if self.plug.on(ethernet.SEGMENT) or (mac == speaker and speaker in self.stations):
            if self._outside is None or self._outside.done():
                self._outside = asyncio.create_task(self._stay_outside())
        elif mac in self._guests:
            self._guests.remove(mac)
            self._tell_stations([one for one in self.stations if one != mac])
            if speaker not in self.stations:
                self._bring_speaker()  # it goes on trying

    async def _stay_outside(self) -> None:
        """The speaker comes back at once: for the board it was never away."""
        async with self._lock:
            await self._speaker_namespace.carrier(topology.SEGMENT_RADIO, False)
        await asyncio.sleep(OUT_S)
        async with self._lock:
            by_cable, joined = self.plug.on(ethernet.SEGMENT), topology.MAC[topology.SPEAKER] in self.stations
            back = self.plug.linked if by_cable else joined
            await self._speaker_namespace.carrier(topology.SEGMENT_RADIO, back)

    async def _op_mac(self, message: dict[str, Any]) -> dict[str, Any]:
        mac = _get(message, "mac", str)
        interface = {"station": topology.HOST_UPLINK, "ap": topology.HOST_SEGMENT}.get(_get(message, "interface", str))
        if interface is None or not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
            raise Refused("Wifi Invalid MAC Address")
        await self._ip("link", "set", "dev", interface, "address", mac)
        return {}

    # --- the socket ---------------------------------------------------------------------------------------------

    @property
    def uplink_mac(self) -> str:
        """The address of the bridge's uplink, whatever that is."""
        return self.plug.wanted.mac if self.plug.on(ethernet.UPLINK) else topology.MAC[topology.HOST_UPLINK]

    @property
    def segment_addr(self) -> str:
        """The bridge's own address on the segment, whatever that is; "0.0.0.0": it is not up."""
        return self.plug.wanted.addr if self.plug.on(ethernet.SEGMENT) else self.ap.addr

    async def _op_ethernet(self, message: dict[str, Any]) -> dict[str, Any]:
        if not self._has_ethernet:
            raise Refused("this board has no Ethernet")
        side, mac = _get(message, "side", str), _get(message, "mac", str)
        if side not in ethernet.HOST_IF:
            raise Refused("side is uplink or segment")
        if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
            raise Refused("failed setting MAC address")
        hostname = _text(message, "hostname", 32, self._hostname)
        self._hostname = hostname if _HOSTNAME.fullmatch(hostname) else self._hostname
        await self.plug.configure(
            ethernet.Wanted(
                active=_get(message, "active", bool),
                side=side,
                mac=mac,
                dhcp=_get(message, "dhcp", bool),
                addr=_quad(message, "addr"),
                prefix=_prefix(_quad(message, "mask")),
            )
        )
        return {}

    async def _leave_cable(self) -> None:
        async with self._lock:
            await self._stop_dhcp()
            await self._ip("-4", "address", "flush", "dev", topology.HOST_UPLINK)
        self._tell_address(Address())

    # --- pins and the watchdog ----------------------------------------------------------------------------------

    def _pin(self, number: int) -> Pin:
        if not 0 <= number < PINS:
            raise Refused("invalid pin")
        return self.pins.setdefault(number, Pin())

    def _tell_pin(self, number: int) -> None:
        level = self.pins[number].level
        if number == LED_PIN:
            self.led_changes.append(level)
        self._tell("pin", pin=number, level=level)

    async def _op_pin_init(self, message: dict[str, Any]) -> dict[str, Any]:
        number = _get(message, "pin", int)
        pin = self._pin(number)
        pin.mode = _get(message, "mode", int)
        pin.output = 1 if _get(message, "level", int) else 0
        pin.pull = _get(message, "pull", int, pin.pull)
        self._tell_pin(number)
        return {}

    async def _op_pin(self, message: dict[str, Any]) -> dict[str, Any]:
        number = _get(message, "pin", int)
        pin = self._pin(number)
        before = pin.level
        pin.output = 1 if _get(message, "level", int) else 0
        if pin.level != before:
            self._tell_pin(number)
        return {}

    async def _op_watchdog(self, message: dict[str, Any]) -> dict[str, Any]:
        timeout_ms = _get(message, "timeout_ms", int)
        if not 0 < timeout_ms < 1 << 31:
            raise Refused("timeout_ms is out of range")
        self.watchdog_ms = timeout_ms
        return {}


class _Out(asyncio.DatagramProtocol):
    def __init__(self, throw_out: Callable[[str], None]) -> None:
        self._throw_out = throw_out

    def datagram_received(self, data: bytes, _: object) -> None:
        if len(data) == 6:
            self._throw_out(data.hex(":"))


async def _end(task: "asyncio.Task[None] | None") -> None:
    """Cancels `task` and waits until it has ended. The caller's own cancellation goes through."""
    if task is None or task is asyncio.current_task():
        return
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the air: %s", error)
