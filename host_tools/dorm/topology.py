"""The map of the dorm: every name, address and port that its parts share.

                     203.0.113.0/24 "the internet"
   +-----------+ .10                    .1 +-----------------------+
   | internet  |--------------------------| router                 |
   | radio.test|  wan0                wan0 | dnsmasq: DHCP, DNS     |
   +-----------+                           | routes, no NAT         |
                                           +-----------+-----------+
                                                   lan0| 10.66.0.1
                                                       |
   10.66.0.0/22            ns "dorm": the switch, a Linux bridge, br0
   +------------+------------+------------+------------+------------+
   | phone      | laptop     | flatmate   | attacker   | radio (TAP): the air of the SSID "Dorm"
   |            |            |            |            |   :
 +-+-----+  +---+----+  +----+-----+ +----+-----+   ns "bridge"  :  uplink radio
 | phone |  | laptop |  | flatmate | | attacker |   +------------+------------------------------+
 | eth0  |  | eth0   |  | eth0     | | eth0     |   | pktfilter  |  MicroPython: the firmware   |
 +-------+  +--------+  +----------+ +----------+   |            |  host: uplink (X by DHCP)    |
   each its address by DHCP (udhcpc)                |            |        segment 192.168.77.1  |
                                                    +------------+------------------------------+
                                                                 :  segment radio
                                                                 :  (TAP): the air of the SSID "Speaker"
                                                       ns "speaker"
                                                    +------------+------------------------------+
                                                    | wlan0      |  udhcpc, the Sonos stand-in  |
                                                    +-------------------------------------------+

Each box is a network namespace. `:` is a TAP device: the bridge's process holds the descriptor, the network interface
is in the namespace on the other side, and association with the access point is its carrier.
"""

import os
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

# --- where things are -------------------------------------------------------------------------------------------
REPOSITORY = Path(__file__).resolve().parents[2]
SIM_BINARY = REPOSITORY / "build" / "sim" / "speakeasy-sim"
SIM_LWIP_BINARY = REPOSITORY / "build" / "sim-lwip" / "speakeasy-sim"
DEFAULT_RUN_DIR = Path("/run/speakeasy-dorm")


def run_dir() -> Path:
    """The run directory: $SPEAKEASY_RUN, else the default."""
    return Path(os.environ.get("SPEAKEASY_RUN") or DEFAULT_RUN_DIR)


# --- namespaces ---------------------------------------------------------------------------------------------------
ROUTER = "router"
INTERNET = "internet"
SWITCH = "dorm"
BRIDGE = "bridge"
SPEAKER = "speaker"
PHONE = "phone"
LAPTOP = "laptop"
FLATMATE = "flatmate"
ATTACKER = "attacker"
PEOPLE = (PHONE, LAPTOP, FLATMATE, ATTACKER)
NAMESPACES = (ROUTER, INTERNET, SWITCH, BRIDGE, SPEAKER, *PEOPLE)

# --- network interfaces -------------------------------------------------------------------------------------------
SWITCH_BRIDGE = "br0"
ROUTER_LAN = "lan0"
ROUTER_WAN = "wan0"
INTERNET_IF = "wan0"
PERSON_IF = "eth0"
UPLINK_RADIO = "radio"  # in the switch's namespace
SEGMENT_RADIO = "wlan0"  # in the speaker's namespace: the speaker's own network interface
HOST_UPLINK = "uplink"  # in the bridge's namespace
HOST_SEGMENT = "segment"
ETHERNET = "ethernet"  # no interface of its own: the bridge's socket takes the place of one of these two

# --- hardware addresses (locally administered) --------------------------------------------------------------------
MAC = {
    ROUTER: "02:00:00:00:42:01",
    INTERNET: "02:00:00:00:42:02",
    HOST_UPLINK: "02:00:00:00:42:10",
    HOST_SEGMENT: "02:00:00:00:42:11",
    ETHERNET: "02:00:00:00:42:12",
    SPEAKER: "02:00:00:00:42:20",
    PHONE: "02:00:00:00:42:30",
    LAPTOP: "02:00:00:00:42:31",
    FLATMATE: "02:00:00:00:42:40",
    ATTACKER: "02:00:00:00:42:50",
}


# --- addresses ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Lan:
    """The dorm's own network: `network` with its prefix, the router's address, and the pool of its DHCP server."""

    network: str
    router: str
    pool_first: str
    pool_last: str

    @property
    def prefix(self) -> int:
        return ip_network(self.network).prefixlen

    @property
    def netmask(self) -> str:
        return str(ip_network(self.network).netmask)


DORM_LAN = Lan("10.66.0.0/22", "10.66.0.1", "10.66.0.100", "10.66.3.200")
# A network that has what the bridge's segment would choose first.
OVERLAPPING_LAN = Lan("192.168.77.0/24", "192.168.77.1", "192.168.77.100", "192.168.77.200")
WAN_PREFIX = 24
ROUTER_WAN_ADDR = "203.0.113.1"
RADIO_ADDR = "203.0.113.10"
SEGMENT_ROUTER_ADDR = "192.168.77.1"  # unless the segment had to step aside
SPEAKER_ALIAS_ADDR = "192.168.77.2"

# --- names --------------------------------------------------------------------------------------------------------
DOMAIN = "dorm.test"
RADIO_NAME = "radio.test"


@dataclass(frozen=True)
class Wifi:
    """A Wi-Fi network: name and key."""

    ssid: str
    key: str


DORM_WIFI = Wifi("Dorm", "correct horse")
SEGMENT_WIFI = Wifi("Speaker", "only for the speaker")

# --- services -----------------------------------------------------------------------------------------------------
SPEAKER_PORT = 1400
SPEAKER_TLS_PORT = 1443
CLAIM_PORT = 7780
RADIO_HTTP_PORT = 80
RADIO_ECHO_PORT = 7  # TCP and UDP, RFC 862
RADIO_KBPS = 128
RADIO_URL = f"http://{RADIO_NAME}/radio/{RADIO_KBPS}.mp3"
DHCP_LEASE_S = 3600
DHCP_SHORT_LEASE_S = 120  # dnsmasq grants nothing shorter
SPEAKER_NAME = "Dorm Room"
SPEAKER_REBOOT_S = 3.0  # how long the speaker is off the network when it reboots
