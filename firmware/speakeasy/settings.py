"""Everything the bridge is told and must remember: typed, versioned, saved whole (`files`).

The file holds `{"version": 1, "uplinks": [...], "segment": {...}, "mode": ..., "hosts": [...], "services": [...],
"ethernet": ..., "speaker": ..., "undecided": ..., "phones": [...]}`. A damaged one, or one of a newer firmware, is
kept as settings.bad and defaults are used; `damaged` then says so for the status.
"""

import json

from . import codes, crypto, inet
from .eventlog import log
from .files import Damaged, Files

FILE = "settings.json"
ASIDE = "settings.bad"
PROVISION = "provision.json"
PROVISION_ASIDE = "provision.bad"
PROVISION_MAX_BYTES = 1024

VERSION = 1
MAX_UPLINKS = 4
MAX_PHONES = 16
SSID_MAX_BYTES = 32
KEY_MIN_CHARS = 8
KEY_MAX_CHARS = 63
LOGIN_MAX_BYTES = 64  # of each text of a login
INNER = ("mschapv2", "pap")
NAME_MAX_CHARS = 32
PHONE_ID_BYTES = 8
PHONE_KEY_BYTES = 32
OWNER = "owner"
GUEST = "guest"
ROLES = (OWNER, GUEST)
PASSTHROUGH = "passthrough"
PRIVATE = "private"
MODES = (PASSTHROUGH, PRIVATE)
# What the Ethernet of a board that has it is.
SEGMENT = "segment"
UPLINK = "uplink"
ETHERNETS = (SEGMENT, UPLINK)
MAX_HOSTS = 8
MAX_SERVICES = 8  # PF_SERVICES of the packet filter
SERVICES = ["tcp/1400"]  # what a leased phone may open to the speaker, until an owner says otherwise
# The bridge's own ports: claims, DHCP.
_OWN_SERVICES = ("tcp/7780", "udp/67", "udp/68")

_PROVISIONED = ("uplink", "segment", "mode", "hosts", "ethernet")
_SEGMENT_KEY_BYTES = 10  # 16 symbols, 80 bits


class Settings:
    """The settings in RAM; `change` is the one way to change them. `has_ethernet`: whether the board has a socket.

    uplinks: list of networks (`is_network`), the one to try first in front. segment: {"ssid", "key"}. mode: of MODES.
    hosts: list of addresses (text) of local machines that the speaker may open connections to. services: list of
    "tcp/PORT" or "udp/PORT" that leased phones may open to the speaker. ethernet: one of ETHERNETS, from the next start
    on; None without a socket. speaker: the MAC (text) of the only machine that may be it; None: whoever has the key.
    undecided: nobody is the speaker until an owner says who.
    phones: list of {"id": 8 bytes hex, "name", "role", "key": 32 bytes hex}.
    """

    def __init__(self, files: Files, bridge_id: bytes, random=crypto.random, has_ethernet: bool = False) -> None:
        self._files = files
        self.ethernet = SEGMENT if has_ethernet else None
        self.speaker: str | None = None
        self.undecided = False
        self.damaged = False
        self.uplinks: list = []
        self.mode = PASSTHROUGH
        self.hosts: list = []
        self.services: list = SERVICES
        self.phones: list = []
        self.segment: dict = {}
        try:
            saved = files.load(FILE)
            if saved is not None:
                self._take(saved)
        except Damaged as e:
            self.damaged = True
            files.set_aside(FILE, ASIDE)
            log(
                "settings",
                "%s is damaged (%s): set aside as %s, all is as new; pair your phones again" % (FILE, e, ASIDE),
            )
        if not self.segment:
            key = codes.encode(random(_SEGMENT_KEY_BYTES)).replace("-", "")[:16]
            self.change(segment={"ssid": "Speakeasy-" + bridge_id[:2].hex(), "key": key})

    def __repr__(self) -> str:
        return "<Settings: %d networks, %d phones>" % (len(self.uplinks), len(self.phones))

    def change(self, **parts) -> None:
        """Replace whole parts (uplinks=, segment=, mode=, hosts=, services=, ethernet=, speaker=, undecided=, phones=)
        and save. When the flash refuses (OSError), RAM is as it was: nothing counts that would not survive."""
        before = {name: getattr(self, name) for name in parts}
        for name, value in parts.items():
            setattr(self, name, value)
        try:
            self._save()
        except OSError:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    def _save(self) -> None:
        self._files.save(
            FILE,
            {
                "version": VERSION,
                "uplinks": self.uplinks,
                "segment": self.segment,
                "mode": self.mode,
                "hosts": self.hosts,
                "services": self.services,
                "ethernet": self.ethernet,
                "speaker": self.speaker,
                "undecided": self.undecided,
                "phones": self.phones,
            },
        )

    def _take(self, saved) -> None:
        if not isinstance(saved, dict):
            raise Damaged("not an object")
        version = saved.get("version")
        if version != VERSION:
            raise Damaged("version %s, this firmware knows %d" % (version if type(version) is int else "?", VERSION))
        uplinks = saved.get("uplinks")
        phones = saved.get("phones")
        if not isinstance(uplinks, list) or len(uplinks) > MAX_UPLINKS or not all(is_network(n) for n in uplinks):
            raise Damaged("uplinks")
        segment = saved.get("segment", {})
        if not is_segment(segment):
            raise Damaged("segment")
        if not isinstance(phones, list) or len(phones) > MAX_PHONES or not all(_is_phone(p) for p in phones):
            raise Damaged("phones")
        if len({p["id"] for p in phones}) != len(phones):
            raise Damaged("two phones with one id")
        self.uplinks, self.segment, self.phones = uplinks, segment, phones
        # A wrong one of these is no reason to forget whom the bridge knows.
        if saved.get("mode") in MODES:
            self.mode = saved["mode"]
        else:
            log("settings", "the addressing is unknown to this firmware: %s is used" % self.mode)
        hosts = saved.get("hosts", [])  # older files have none
        if is_hosts(hosts):
            self.hosts = hosts
        else:
            log(
                "settings",
                "the speaker may reach no local machine: what is saved are no addresses; name them again",
            )
        services = saved.get("services", SERVICES)
        if is_services(services):
            self.services = services
        else:
            log(
                "settings",
                "the speaker's open ports are unknown to this firmware: tcp/1400 alone is; name them again",
            )

        speaker = saved.get("speaker")  # older files have neither
        undecided = saved.get("undecided", False)
        if (speaker is None or is_mac(speaker)) and isinstance(undecided, bool):
            self.speaker, self.undecided = speaker, undecided
        else:
            self.undecided = True
            log("settings", "which machine is the speaker is unknown to this firmware: an owner has to say")
        # Older files have none; on a board without a socket it means nothing.
        ethernet = saved.get("ethernet")
        if self.ethernet and ethernet in ETHERNETS:
            self.ethernet = ethernet
        elif self.ethernet and ethernet is not None:
            log("settings", "the use of the cable is unknown to this firmware: the speaker is on it")

    def remember_network(self, ssid: str, key: str, login: dict | None = None) -> None:
        """Put a network in front and save; the last one goes when there are more than MAX_UPLINKS."""
        self.change(uplinks=self._with_network(network(ssid, key, login)))

    def order_networks(self, ssids: list) -> None:
        """Try the networks in this order from now on; `ssids` names each of them once."""
        self.change(uplinks=sorted(self.uplinks, key=lambda network: ssids.index(network["ssid"])))

    def forget_network(self, ssid: str) -> bool:
        """Forget a network and its key; False if there is none of that name."""
        rest = [n for n in self.uplinks if n["ssid"] != ssid]
        if len(rest) == len(self.uplinks):
            return False
        self.change(uplinks=rest)
        return True

    def _with_network(self, first: dict) -> list:
        return [first] + [n for n in self.uplinks if n["ssid"] != first["ssid"]][: MAX_UPLINKS - 1]

    def import_provision(self) -> None:
        """Take over provision.json, if there is one, and remove it: setting up without a phone."""
        try:
            raw = self._files.read(PROVISION, PROVISION_MAX_BYTES)
            if raw is None:
                return
            given = json.loads(raw.decode())
            if not isinstance(given, dict) or not given or not all(k in _PROVISIONED for k in given):
                raise ValueError("it may hold uplink, segment, mode, hosts and ethernet, nothing else")
            if "uplink" in given and not is_network(given["uplink"]):
                raise ValueError("uplink must be an ssid of 1 to 32 bytes and a key, empty or of 8 to 63 characters")
            if "segment" in given and not is_segment(given["segment"]):
                raise ValueError("segment must be an ssid of 1 to 32 bytes and a key of 8 to 63 characters")
            if given.get("mode", self.mode) not in MODES:
                raise ValueError("mode must be passthrough or private")
            if not is_hosts(given.get("hosts", [])):
                raise ValueError("hosts must be a list of at most %d IPv4 addresses" % MAX_HOSTS)
            if "ethernet" in given and not (self.ethernet and given["ethernet"] in ETHERNETS):
                raise ValueError("ethernet must be segment or uplink, on a board that has it")
        except (Damaged, ValueError) as e:
            self._files.set_aside(PROVISION, PROVISION_ASIDE)
            log(
                "settings",
                "%s is not usable (%s): set aside as %s, nothing was changed" % (PROVISION, e, PROVISION_ASIDE),
            )
            return
        uplinks = self._with_network(given["uplink"]) if "uplink" in given else self.uplinks
        self.change(
            uplinks=uplinks,
            segment=given.get("segment", self.segment),
            mode=given.get("mode", self.mode),
            hosts=given.get("hosts", self.hosts),
            ethernet=given.get("ethernet", self.ethernet),
        )
        # Only now: a cut before this line imports the same values once more.
        self._files.remove(PROVISION)
        log("settings", "the settings in %s were imported, and the file removed" % PROVISION)


def network(ssid, key, login=None) -> dict:
    """A network as it is saved (which need not be one: `is_network`)."""
    made = {"ssid": ssid, "key": key}
    if login is not None:
        made["login"] = login
    return made


def is_network(value) -> bool:
    """Whether `value` is {"ssid": 1..32 bytes, "key": "" or 8..63 characters} and nothing else; or with a "login"
    (`is_login`), and then no key."""
    if not isinstance(value, dict):
        return False
    ssid = value.get("ssid")
    key = value.get("key")
    if "login" in value and (key != "" or not is_login(value["login"])):
        return False
    if len(value) != (3 if "login" in value else 2) or not isinstance(ssid, str) or not isinstance(key, str):
        return False
    return (
        1 <= len(ssid.encode()) <= SSID_MAX_BYTES
        and not _has_half(ssid)
        and (key == "" or (KEY_MIN_CHARS <= len(key) <= KEY_MAX_CHARS and all(" " <= c <= "~" for c in key)))
    )


def is_login(value) -> bool:
    """Whether `value` is what WPA2-Enterprise takes, and nothing else: {"user", "password", "identity" (what everybody
    may hear), "server" (the name in its certificate; "": any), "inner": one of INNER}, texts of 1..64 bytes. PAP tells
    the server the password: it must be a certain one."""
    if not isinstance(value, dict) or len(value) != 5 or value.get("inner") not in INNER:
        return False
    if value.get("server") == "":
        return value["inner"] != "pap" and is_login(dict(value, server="any"))
    for name in ("user", "password", "identity", "server"):
        text = value.get(name)
        if not isinstance(text, str) or "\0" in text or _has_half(text):
            return False
        if not 1 <= len(text.encode()) <= LOGIN_MAX_BYTES:
            return False
    return True


def is_segment(value) -> bool:
    """Whether `value` is a network that the speaker's can be: one with a key."""
    return is_network(value) and len(value) == 2 and value["key"] != ""


def is_hosts(value) -> bool:
    """Whether `value` is a list of at most MAX_HOSTS IPv4 addresses that machines can have, none twice."""
    if not _are_texts(value, MAX_HOSTS):
        return False
    try:
        return all(inet.is_host(inet.parse(text)) for text in value)
    except ValueError:
        return False


def is_services(value) -> bool:
    """Whether `value` is a list of at most MAX_SERVICES "tcp/PORT" or "udp/PORT", none twice, none the bridge's own."""
    return _are_texts(value, MAX_SERVICES) and all(_is_service(text) for text in value)


def _are_texts(value, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(isinstance(text, str) for text in value)
        and len(set(value)) == len(value)
    )


def _is_service(text: str) -> bool:
    port = text[4:]
    return (
        text[:4] in ("tcp/", "udp/")
        and 1 <= len(port) <= 5
        and all("0" <= c <= "9" for c in port)
        and port[0] != "0"
        and int(port) <= 0xFFFF
        and text not in _OWN_SERVICES
    )


def is_mac(value) -> bool:
    """Whether `value` is a machine's MAC, "02:00:00:00:42:20": six bytes in lower-case hex, not a group's."""
    return (
        isinstance(value, str)
        and len(value) == 17
        and all(value[i] == ":" for i in range(2, 17, 3))
        and is_hex(value.replace(":", ""), 6)
        and not int(value[:2], 16) & 1
    )


def is_name(value) -> bool:
    """Whether `value` can name a phone: 1..32 characters, no control characters, no half of a surrogate pair."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= NAME_MAX_CHARS
        and all(c >= " " and not 0x7F <= ord(c) < 0xA0 for c in value)
        and not _has_half(value)
        and value.strip() != ""
    )


def _has_half(text: str) -> bool:
    # JSON lets halves of surrogate pairs through, UTF-8 does not.
    return any(0xD800 <= ord(c) < 0xE000 for c in text)


def is_hex(value, length: int) -> bool:
    """Whether `value` is `length` bytes in lower-case hex."""
    return isinstance(value, str) and len(value) == 2 * length and all(c in "0123456789abcdef" for c in value)


def _is_phone(value) -> bool:
    return (
        isinstance(value, dict)
        and len(value) == 4
        and is_hex(value.get("id"), PHONE_ID_BYTES)
        and is_name(value.get("name"))
        and value.get("role") in ROLES
        and is_hex(value.get("key"), PHONE_KEY_BYTES)
    )
