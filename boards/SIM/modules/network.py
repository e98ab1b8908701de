# network, as MicroPython 1.25's ESP32 port has it (ports/esp32/network_wlan.c, network_lan.c, network_common.c), over
# the air of the virtual dorm. Status codes, exceptions and their texts are those of the chip. Addresses are
# the IP stack's, in `_ip`.
import _air
import _ip

STA_IF = 0
AP_IF = 1

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_CONNECT_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY = 210
STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 212

ETH_INITIALIZED = 0
ETH_STARTED = 1
ETH_STOPPED = 2
ETH_CONNECTED = 3
ETH_DISCONNECTED = 4
ETH_GOT_IP = 5

PHY_LAN8710 = 0
PHY_LAN8720 = 1
PHY_IP101 = 2
PHY_RTL8201 = 3
PHY_DP83848 = 4
PHY_KSZ8041 = 5
PHY_KSZ8081 = 6

AUTH_OPEN = 0
AUTH_WEP = 1
AUTH_WPA_PSK = 2
AUTH_WPA2_PSK = 3
AUTH_WPA_WPA2_PSK = 4
AUTH_WPA2_ENTERPRISE = 5
AUTH_WPA3_PSK = 6
AUTH_WPA2_WPA3_PSK = 7

_CONNECTION_FAIL = 205
_ASSOC_LEAVE = 8
# What MicroPython reports of a failed attempt while it goes on trying; every other reason reads as "connecting".
_REPORTED = (201, 202, 210, 211, 212)
_MAX_SSID = 32
_MAX_KEY = 63
_MIN_KEY = 8
_MAX_HOSTNAME = 32

_hostname = "mpy-esp32"
_country = "XX"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > _MAX_HOSTNAME:
        raise ValueError
    _hostname = name
    return None


def country(code=None):
    global _country
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError
    _country = code
    return None


def ipconfig(*query, **settings):
    if not settings:
        if len(query) != 1:
            raise TypeError("must query one param")
        if query[0] != "dns":
            raise ValueError("unexpected key")
        _air.look()
        servers = _ip.servers()
        return servers[0] if servers else "0.0.0.0"
    if query:
        raise TypeError("can't specify pos and kw args")
    for key, value in settings.items():
        if key != "dns":
            raise ValueError("unexpected key")
        _ip.set_server(_address(value))
    return None


def _address(text):
    parts = text.split(".")
    if len(parts) != 4 or not all(p and all("0" <= c <= "9" for c in p) and int(p) <= 255 for p in parts):
        raise ValueError("invalid arguments")
    return text


def _mask(bits):
    value = (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _address_and_mask(value, mask):
    # Three forms: address alone, with "/bits", or a pair of address and mask.
    if not isinstance(value, str):
        return value
    addr, _, bits = value.partition("/")
    return addr, _mask(int(bits)) if bits else mask


def _data(value, limit):
    # What fits of a str or bytes, as the text that JSON can carry.
    data = value if isinstance(value, bytes) else value.encode()
    return data[:limit].decode()


class WLAN:
    IF_STA = 0
    IF_AP = 1
    SEC_OPEN = 0
    SEC_WEP = 1
    SEC_WPA = 2
    SEC_WPA2 = 3
    SEC_WPA_WPA2 = 4
    SEC_WPA2_ENT = 5
    SEC_WPA3 = 6
    SEC_WPA2_WPA3 = 7
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __new__(cls, interface=IF_STA):
        if interface not in (WLAN.IF_STA, WLAN.IF_AP):
            raise ValueError("invalid WLAN interface identifier")
        _air.look()
        if _interfaces[interface] is None:
            self = object.__new__(cls)
            self._start(interface)
            _interfaces[interface] = self
        return _interfaces[interface]

    def _start(self, interface):
        self._ap = interface == WLAN.IF_AP
        self._active = False
        self._mac = bytes(int(b, 16) for b in _air.hello["ap_mac" if self._ap else "station_mac"].split(":"))
        if self._ap:
            # What the chip starts with: open, until it is told otherwise.
            self._config = {
                "ssid": "ESP_" + "".join(f"{b:02X}" for b in self._mac[3:]),
                "key": "",
                "hidden": False,
                "security": AUTH_OPEN,
                "channel": 1,
                "max_clients": 4,
            }
            self._addr = ["192.168.4.1", "255.255.255.0", "192.168.4.1"]
            _ip.set_segment(*self._addr)
        else:
            self._config = {"ssid": "", "reconnects": -1, "channel": 0}
            self._requested = False
            self._dhcp = True

    def _require(self, ap):
        if self._ap != ap:
            raise OSError("AP required" if ap else "STA required")

    def active(self, *is_active):
        if is_active:
            wanted = bool(is_active[0])
            if wanted != self._active:
                # The interface is there as long as the radio is on.
                if wanted:
                    _ip.switch(self._ap, True, self._mac)
                _air.ask("ap" if self._ap else "station", active=wanted, **self._ap_settings())
                if not wanted:
                    _ip.switch(self._ap, False, self._mac)
                self._active = wanted
                if not wanted and not self._ap:
                    self._requested = False
        return self._active

    def _ap_settings(self):
        if not self._ap:
            return {}
        settings = dict(self._config)
        settings["addr"], settings["mask"] = self._addr[:2]
        return settings

    def connect(self, ssid=None, key=None, *, bssid=None):
        self._started()
        if not self._active:
            raise OSError("Wifi Invalid Mode")
        arguments = {}
        if ssid is not None:
            self._config["ssid"] = arguments["ssid"] = _data(ssid, _MAX_SSID)
            arguments["key"] = "" if key is None else _data(key, _MAX_KEY + 1)
        if bssid is not None:
            if len(bssid) != 6:
                raise ValueError
            arguments["bssid"] = ":".join(f"{b:02x}" for b in bssid)
        _ip.joining(_hostname)
        _air.ask("connect", hostname=_hostname, reconnects=self._config["reconnects"], **arguments)
        self._requested = True

    def disconnect(self):
        self._started()
        self._requested = False
        _air.ask("disconnect")

    def _started(self):
        if not any(i is not None and i._active for i in _interfaces):
            raise OSError("Wifi Not Started")

    def status(self, *query):
        _air.look()
        if not query:
            return None if self._ap else self._station_status()
        if query[0] == "stations":
            self._require(True)
            return [(mac,) for mac in _air.stations]
        if query[0] == "rssi":
            self._require(False)
            if not _air.station["associated"]:
                raise OSError("Wifi Not Connected")
            return _air.station["rssi"]
        raise ValueError("unknown status param")

    def _station_status(self):
        if _air.station["connected"]:
            return STAT_GOT_IP
        reason = _air.station["reason"]
        if reason in _REPORTED:
            return reason
        if reason == _CONNECTION_FAIL:
            return STAT_WRONG_PASSWORD
        if reason == _ASSOC_LEAVE:
            return STAT_IDLE
        if self._requested and not _air.station["gave_up"]:
            return STAT_CONNECTING
        return reason or STAT_IDLE

    def isconnected(self):
        _air.look()
        return bool(_air.stations) if self._ap else _air.station["connected"]

    def scan(self):
        sta = _interfaces[WLAN.IF_STA]
        if sta is None or not sta._active:
            raise OSError("STA must be active")
        # Empty, too, when the driver cannot scan: while it connects (here as in MicroPython).
        return [
            (
                bytes.fromhex(n["ssid"]),
                bytes(int(b, 16) for b in n["bssid"].split(":")),
                n["channel"],
                n["rssi"],
                n["auth"],
                False,
            )
            for n in _air.ask("scan")["networks"]
        ]

    def config(self, *query, **settings):
        if query and settings:
            raise TypeError("either pos or kw args are allowed")
        if not settings:
            if len(query) != 1:
                raise TypeError("can query only one param")
            return self._query(query[0])
        before = self._config
        self._config = dict(before)
        try:
            for key, value in settings.items():
                self._set(key, value)
            if self._ap:
                self._configure_ap()
        except (OSError, ValueError, TypeError):
            self._config = before
            raise
        return None

    def _configure_ap(self):
        if not self._active:
            raise OSError("Wifi Invalid Mode")
        if not self._config["ssid"]:
            raise OSError("Wifi SSID Invalid")
        if self._config["security"] != AUTH_OPEN and not _MIN_KEY <= len(self._config["key"]) <= _MAX_KEY:
            raise OSError("Wifi Invalid Password")
        _air.ask("ap", active=True, **self._ap_settings())

    def _query(self, key):
        key = {"essid": "ssid", "authmode": "security", "dhcp_hostname": "hostname"}.get(key, key)
        if key == "mac":
            return self._mac
        if key == "hostname":
            self._require(False)
            return _hostname
        if key == "ifname":
            return "ap2" if self._ap else "st1"
        if key in ("hidden", "security"):
            self._require(True)
        elif key == "reconnects":
            self._require(False)
        if key == "key" or key not in self._config:
            raise ValueError("unknown config param")
        return self._config[key]

    def _set(self, key, value):
        key = {"essid": "ssid", "authmode": "security", "password": "key", "dhcp_hostname": "hostname"}.get(key, key)
        if key == "hostname":
            hostname(value)
        elif key == "mac":
            if len(value) != 6:
                raise ValueError("invalid buffer length")
            _air.ask("mac", interface="ap" if self._ap else "station", mac=":".join(f"{b:02x}" for b in value))
            _ip.set_mac(self._ap, value)
            self._mac = bytes(value)
        elif key in ("ssid", "hidden", "security", "key", "max_clients"):
            self._require(True)
            self._config[key] = {
                "ssid": lambda: _data(value, _MAX_SSID),
                "key": lambda: _data(value, _MAX_KEY),
                "hidden": lambda: bool(value),
            }.get(key, lambda: int(value))()
        elif key == "reconnects":
            self._require(False)
            self._config[key] = int(value)
        elif key == "channel":
            self._config[key] = int(value)
        elif key == "pm":
            self._config[key] = int(value)  # a virtual radio does not sleep
        else:
            raise ValueError("unknown config param")

    def _ip(self):
        _air.look()
        if self._ap:
            return self._addr if self._active else ["0.0.0.0", "0.0.0.0", "0.0.0.0"]
        return _ip.station()

    def ifconfig(self, *settings):
        addr, mask, router = self._ip()
        if not settings:
            return (addr, mask, router, ipconfig("dns"))
        if settings[0] == "dhcp":
            if self._ap:
                raise ValueError("invalid arguments")
            self.ipconfig(dhcp4=True)
            return None
        addr, mask, router, dns = settings[0]
        self._set_ip(_address(addr), _mask(mask) if isinstance(mask, int) else _address(mask), _address(router))
        ipconfig(dns=dns)
        return None

    def ipconfig(self, *query, **settings):
        if not settings:
            if len(query) != 1:
                raise TypeError("must query one param")
            return self._query_ip(query[0])
        if query:
            raise TypeError("can't specify pos and kw args")
        addr, mask, router = self._addr if self._ap else self._ip()
        touched = self._ap
        for key, value in settings.items():
            if key == "dhcp4" and not self._ap:
                self._dhcp = bool(value)
                _ip.dhcp(self._dhcp)
                continue
            touched = True
            if key == "addr4":
                addr, mask = _address_and_mask(value, mask)
            elif key == "gw4":
                router = value
            else:
                raise ValueError("unexpected key")
        if touched:
            self._set_ip(_address(addr), _address(mask), _address(router))
        return None

    def _query_ip(self, key):
        addr, mask, router = self._ip()
        if key == "addr4":
            return (addr, mask)
        if key == "gw4":
            return router
        if key == "dhcp4" and not self._ap:
            return self._dhcp
        raise ValueError("unexpected key")

    def _set_ip(self, addr, mask, router):
        if self._ap:
            self._addr = [addr, mask, router]
            _ip.set_segment(addr, mask, router)
            if self._active:
                _air.ask("ap", active=True, **self._ap_settings())
        else:
            self._dhcp = False
            _ip.set_station(addr, mask, router)


_interfaces = [None, None]


def _byte(text):
    return int(text, 16)


class LAN:
    # The board has one socket. The filter's four ports are TAP devices, whatever they stand for: the side that Wi-Fi
    # has not taken is the cable's.
    _one = None

    def __new__(
        cls,
        id=None,
        *,
        mdc=None,
        mdio=None,
        reset=None,
        power=None,
        phy_addr,
        phy_type,
        spi=None,
        cs=None,
        int=None,
        ref_clk_mode=-1,
        ref_clk=None,
    ):
        if LAN._one is not None:
            return LAN._one
        if id not in (None, 0):
            raise ValueError("invalid LAN interface identifier")
        if not 0 <= phy_addr <= 0x1F:
            raise ValueError("invalid phy address")
        if phy_type not in range(PHY_KSZ8081 + 1):
            raise ValueError("invalid phy type")
        if mdc is None or mdio is None:
            raise ValueError("mdc and mdio must be specified")
        _air.look()
        if "ethernet_mac" not in _air.hello:
            raise OSError("esp_eth_driver_install failed")
        self = object.__new__(cls)
        self._mac = bytes([_byte(b) for b in _air.hello["ethernet_mac"].split(":")])
        self._active = False
        self._dhcp = True
        self._static = ["0.0.0.0", "0.0.0.0", "0.0.0.0"]
        _air.ethernet["status"] = ETH_INITIALIZED
        LAN._one = self
        return self

    def _side(self):
        return "uplink" if _interfaces[WLAN.IF_STA] is None else "segment"

    def _tell(self, active):
        addr, mask, router = self._static
        _air.ask(
            "ethernet",
            active=active,
            side=self._side(),
            mac=":".join(f"{b:02x}" for b in self._mac),
            dhcp=self._dhcp,
            addr=addr,
            mask=mask,
            router=router,
            hostname=_hostname,
        )

    def active(self, *is_active):
        if is_active:
            wanted = bool(is_active[0])
            if wanted != self._active:
                segment = self._side() == "segment"
                if wanted:
                    _ip.joining(_hostname)
                    _ip.cable(segment, True, self._mac)
                self._tell(wanted)
                if not wanted:
                    _ip.cable(segment, False, self._mac)
                self._active = wanted
        return self._active

    def status(self):
        _air.look()
        return _air.ethernet["status"]

    def isconnected(self):
        return self._active and self.status() == ETH_GOT_IP

    def config(self, *query, **settings):
        if query and settings:
            raise TypeError("either pos or kw args are allowed")
        if settings:
            if "mac" in settings:  # all else is passed over
                self._set_mac(settings["mac"])
            return None
        if len(query) != 1:
            raise TypeError("can query only one param")
        if query[0] == "mac":
            return self._mac
        if query[0] == "ifname":
            return "en1" if self._active else None
        raise ValueError("unknown config param")

    def _set_mac(self, mac):
        if len(mac) != 6:
            raise ValueError("invalid buffer length")
        if mac[0] & 1:
            raise OSError("failed setting MAC address")
        self._mac = bytes(mac)
        if self._active:
            self._tell(True)

    def _ip(self):
        _air.look()
        if self._dhcp:
            return [_air.lease["addr"], _air.lease["mask"], _air.lease["router"]]
        return self._static

    def ifconfig(self, *settings):
        if not settings:
            return tuple(self._ip() + [ipconfig("dns")])
        if settings[0] == "dhcp":
            self.ipconfig(dhcp4=True)
            return None
        if isinstance(settings[0], str):
            raise ValueError("invalid arguments")
        addr, mask, router, dns = settings[0]
        mask = mask if isinstance(mask, str) else _mask(mask)
        self.ipconfig(addr4=(addr, mask), gw4=router)
        ipconfig(dns=dns)
        return None

    def ipconfig(self, *query, **settings):
        if not settings:
            if len(query) != 1:
                raise TypeError("must query one param")
            addr, mask, router = self._ip()
            if query[0] == "addr4":
                return (addr, mask)
            if query[0] == "gw4":
                return router
            if query[0] == "dhcp4":
                return self._dhcp
            raise ValueError("unexpected key")
        if query:
            raise TypeError("can't specify pos and kw args")
        addr, mask, router = self._ip()
        for key, value in settings.items():
            if key == "dhcp4":
                self._dhcp = bool(value)
                continue
            if key == "addr4":
                addr, mask = _address_and_mask(value, mask)
            elif key == "gw4":
                router = value
            else:
                raise ValueError("unexpected key")
            self._dhcp = False  # an address of its own ends the looking for another
            _ip.set_server("0.0.0.0")  # and all interfaces' name servers go
        self._static = [_address(addr), _address(mask), _address(router)]
        if not self._dhcp:
            _ip.set_cable(self._side() == "segment", *self._static)
        if self._active:
            self._tell(True)
        return None
