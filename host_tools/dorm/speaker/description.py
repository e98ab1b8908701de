"""Who the speaker says it is: identifiers, the device description, and the pages that tell too much."""

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from dorm.topology import SPEAKER_NAME, SPEAKER_PORT

SERVER = "Linux UPnP/1.0 Sonos/57.22-59130 (ZPS1)"
MODEL_NAME = "Sonos Play:1"
MODEL_NUMBER = "S1"
SOFTWARE_VERSION = "57.22-59130"
HOUSEHOLD = "Sonos_dR0mH0useh0ldIdent1fier12345"
DESCRIPTION_PATH = "/xml/device_description.xml"
ZONE_PLAYER = "urn:schemas-upnp-org:device:ZonePlayer:1"
MEDIA_SERVER = "urn:schemas-upnp-org:device:MediaServer:1"
MEDIA_RENDERER = "urn:schemas-upnp-org:device:MediaRenderer:1"
XML_HEADER = '<?xml version="1.0" encoding="utf-8" ?>\n'


@dataclass
class Identity:
    """What stays the same over reboots, apart from the names that people may change."""

    mac: bytes
    name: str = SPEAKER_NAME
    icon: str = "x-rincon-roomicon:dorm"
    configuration: str = "1"

    @property
    def uid(self) -> str:
        return f"RINCON_{self.mac.hex().upper()}0{SPEAKER_PORT}"

    @property
    def serial(self) -> str:
        return "-".join(f"{byte:02X}" for byte in self.mac) + ":8"


@dataclass(frozen=True)
class ServiceEntry:
    """A service as the device description lists it; `device` is the device type that it belongs to."""

    device: str
    name: str  # its service type without urn and version
    control: str
    events: str

    @property
    def type(self) -> str:
        return f"urn:schemas-upnp-org:service:{self.name}:1"

    @property
    def scpd(self) -> str:
        return f"/xml/{self.name}1.xml"


def usns(identity: Identity, services: list[ServiceEntry]) -> list[tuple[str, str]]:
    """All (NT, USN) pairs that the speaker announces and answers searches for (UPnP Device Architecture 1.0, 1.1.2)."""
    devices = {
        ZONE_PLAYER: identity.uid,
        MEDIA_SERVER: f"{identity.uid}_MS",
        MEDIA_RENDERER: f"{identity.uid}_MR",
    }
    pairs = [("upnp:rootdevice", f"uuid:{identity.uid}::upnp:rootdevice")]
    for device, uid in devices.items():
        pairs.append((f"uuid:{uid}", f"uuid:{uid}"))
        pairs.append((device, f"uuid:{uid}::{device}"))
    for service in services:
        pairs.append((service.type, f"uuid:{devices[service.device]}::{service.type}"))
    return pairs


def device_description(identity: Identity, services: list[ServiceEntry], address: str) -> str:
    """The XML of /xml/device_description.xml; the speaker's own `address` is in it."""

    def listed(device: str) -> str:
        return "".join(
            f"<service><serviceType>{s.type}</serviceType>"
            f"<serviceId>urn:upnp-org:serviceId:{s.name}</serviceId><controlURL>{s.control}</controlURL>"
            f"<eventSubURL>{s.events}</eventSubURL><SCPDURL>{s.scpd}</SCPDURL></service>"
            for s in services
            if s.device == device
        )

    def about(device: str, friendly: str, udn: str) -> str:
        return (
            f"<deviceType>{device}</deviceType><friendlyName>{escape(friendly)}</friendlyName>"
            "<manufacturer>Sonos, Inc.</manufacturer><manufacturerURL>http://www.sonos.com</manufacturerURL>"
            f"<modelNumber>{MODEL_NUMBER}</modelNumber><modelDescription>{MODEL_NAME}</modelDescription>"
            f"<modelName>{MODEL_NAME}</modelName><UDN>uuid:{udn}</UDN>"
        )

    name = f"{address} - {MODEL_NAME}"
    return (
        f'{XML_HEADER}<root xmlns="urn:schemas-upnp-org:device-1-0">'
        "<specVersion><major>1</major><minor>0</minor></specVersion><device>"
        f"{about(ZONE_PLAYER, f'{name} - {identity.uid}', identity.uid)}"
        f"<softwareVersion>{SOFTWARE_VERSION}</softwareVersion><swGen>1</swGen>"
        "<hardwareVersion>1.20.1.6-2.0</hardwareVersion>"
        f"<serialNum>{identity.serial}</serialNum><MACAddress>{identity.mac.hex(':').upper()}</MACAddress>"
        "<minCompatibleVersion>56.0-00000</minCompatibleVersion><legacyCompatibleVersion>36.0-00000"
        "</legacyCompatibleVersion><apiVersion>1.18.9</apiVersion><minApiVersion>1.1.0</minApiVersion>"
        "<displayVersion>11.4</displayVersion><nsVersion>27</nsVersion>"
        f"<roomName>{escape(identity.name)}</roomName><displayName>Play:1</displayName><zoneType>9</zoneType>"
        "<feature1>0x00000000</feature1><feature2>0x00403332</feature2><feature3>0x0001540e</feature3>"
        "<variant>0</variant><internalSpeakerSize>5</internalSpeakerSize><memory>128</memory><flash>64</flash>"
        f"<ampOnTime>10</ampOnTime><serviceList>{listed(ZONE_PLAYER)}</serviceList><deviceList>"
        f"<device>{about(MEDIA_SERVER, f'{name} Media Server', f'{identity.uid}_MS')}"
        f"<serviceList>{listed(MEDIA_SERVER)}</serviceList></device>"
        f"<device>{about(MEDIA_RENDERER, f'{identity.name} - {MODEL_NAME} Media Renderer', f'{identity.uid}_MR')}"
        f"<serviceList>{listed(MEDIA_RENDERER)}</serviceList></device>"
        "</deviceList></device></root>\n"
    )


def zone_group_state(identity: Identity, address: str, boot_seq: int) -> str:
    """The topology, inner XML: one group of one zone player, at the speaker's own `address`."""
    location = f"http://{address}:{SPEAKER_PORT}{DESCRIPTION_PATH}"
    return (
        f'<ZoneGroupState><ZoneGroups><ZoneGroup Coordinator="{identity.uid}" ID="{identity.uid}:{boot_seq}">'
        f"<ZoneGroupMember UUID={quoteattr(identity.uid)} Location={quoteattr(location)} "
        f"ZoneName={quoteattr(identity.name)} Icon={quoteattr(identity.icon)} Configuration="
        f'{quoteattr(identity.configuration)} SoftwareVersion="{SOFTWARE_VERSION}" SWGen="1" '
        'MinCompatibleVersion="56.0-00000" LegacyCompatibleVersion="36.0-00000" '
        f'BootSeq="{boot_seq}" TVConfigurationError="0" HdmiCecAvailable="0" WirelessMode="1" WirelessLeafOnly="0" '
        'ChannelFreq="2412" BehindWifiExtender="0" WifiEnabled="1" EthLink="0" Orientation="0" '
        'RoomCalibrationState="4" SecureRegState="3" VoiceConfigState="0" MicEnabled="0" AirPlayEnabled="0" '
        'IdleState="1" MoreInfo=""/></ZoneGroup></ZoneGroups><VanishedDevices></VanishedDevices></ZoneGroupState>'
    )


def status_pages(identity: Identity, address: str, lease: dict[str, str], seen: list[str]) -> dict[str, str]:
    """/status and below: what a real player tells anybody who asks.

    `lease` is the DHCP client's, `seen` the addresses of whoever controlled it lately.
    """
    info = f'{XML_HEADER}<?xml-stylesheet type="text/xsl" href="/xml/review.xsl"?><ZPSupportInfo>'
    zp = (
        f"{info}<ZPInfo><ZoneName>{escape(identity.name)}</ZoneName><LocalUID>{identity.uid}</LocalUID>"
        f"<SerialNumber>{identity.serial}</SerialNumber><SoftwareVersion>{SOFTWARE_VERSION}</SoftwareVersion>"
        f"<HouseholdControlID>{HOUSEHOLD}</HouseholdControlID><MACAddress>{identity.mac.hex(':').upper()}</MACAddress>"
        f"<IPAddress>{address}</IPAddress></ZPInfo></ZPSupportInfo>\n"
    )
    ifconfig = (
        f"{info}<Command cmdline='/sbin/ifconfig'>ath0 Link encap:Ethernet  HWaddr {identity.mac.hex(':').upper()}\n"
        f"  inet addr:{address}  Mask:{lease.get('subnet', '')}\n  gateway {lease.get('router', '')}\n"
        f"  nameserver {lease.get('dns', '')}\n</Command></ZPSupportInfo>\n"
    )
    controllers = "".join(f"<Controller addr={quoteattr(addr)}/>" for addr in seen)
    pages = {
        "zp": zp,
        "ifconfig": ifconfig,
        "topology": f"{info}<ZonePlayers><ZonePlayer location='http://{address}:{SPEAKER_PORT}{DESCRIPTION_PATH}' "
        f"uuid='{identity.uid}'>{escape(identity.name)}</ZonePlayer></ZonePlayers>{controllers}</ZPSupportInfo>\n",
        "accounts": f"{info}<Accounts><Account Type='2311'><UN>student@dorm.test</UN></Account></Accounts>"
        "</ZPSupportInfo>\n",
    }
    links = "".join(f'<li><a href="/status/{name}">{name}</a></li>' for name in pages)
    pages[""] = (
        f"<html><body><h1>{escape(identity.name)}</h1><ul>{links}</ul><a href='/reboot'>reboot</a></body></html>\n"
    )
    return pages
