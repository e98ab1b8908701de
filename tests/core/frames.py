"""Frames from one line of text, with scapy. The language of the verdict tables:

    tcp phone:40000 > X:1400 S seq=1 ack=2 ttl=63 data=hello
    udp S:1900 > 239.255.255.250:1900 data=search
    echo phone > X id=7            reply X > phone id=7
    error(3,1) router > X about (udp X:5000 > server:53)
    arp who-has X tell phone       arp X is-at attacker to phone
    raw 0011...                    bytes in hex

Names of machines stand for their addresses, and for their MACs in `from=` and `to=`. Other words change a field or
break the frame on purpose: see _l4(), packet(), _break() and frame().
"""

import os
import re
import struct
from pathlib import Path
from typing import Any

# What scapy keeps, it keeps with our other products, not at the home of whoever runs this.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[2] / "build" / "home")
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = os.environ["XDG_CACHE_HOME"]

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

X = "10.66.0.77"
HOSTS = {
    "X": (X, "02:00:00:00:42:10"),
    "S": (X, "02:00:00:00:42:20"),
    "bridge": ("192.168.77.1", "02:00:00:00:42:11"),
    "alias": ("192.168.77.2", "02:00:00:00:42:20"),
    "router": ("10.66.0.1", "02:00:00:00:42:01"),
    "dns": ("10.66.0.2", "02:00:00:00:42:03"),
    "server": ("203.0.113.10", "02:00:00:00:42:01"),
    "phone": ("10.66.0.100", "02:00:00:00:42:30"),
    "laptop": ("10.66.0.101", "02:00:00:00:42:31"),
    "flatmate": ("10.66.0.102", "02:00:00:00:42:40"),
    "attacker": ("10.66.0.103", "02:00:00:00:42:50"),
    "farphone": ("172.20.5.6", "02:00:00:00:42:01"),
    "all": ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
    "ssdp": ("239.255.255.250", "01:00:5e:7f:ff:fa"),
    "mdns": ("224.0.0.251", "01:00:5e:00:00:fb"),
    "nobody": ("0.0.0.0", "00:00:00:00:00:00"),
}
UPLINK, SEGMENT, SPEAKER = HOSTS["X"][1], HOSTS["bridge"][1], HOSTS["S"][1]
PAYLOADS = {
    "search": b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n\r\n',
    "lf-search": b'M-SEARCH * HTTP/1.1\nMAN: "ssdp:discover"\n\n',
    "notify": b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\r\n",
    "query": bytes.fromhex("000000000001000000000000045f736f6e6f73000c0001"),
    "answer": bytes.fromhex("000084000000000100000000"),
    "none": b"",
}
_OUT_MACS = {  # (source, destination) of frames that the filter or the host sends; None: by the addresses
    "uplink": (UPLINK, None),
    "segment": (SEGMENT, SPEAKER),
}


def address(name: str) -> str:
    return HOSTS[name][0] if name in HOSTS else name


def mac_of(name: str) -> str:
    if name in HOSTS:
        return HOSTS[name][1]
    if ":" in name:
        return name
    return HOSTS["router"][1]  # what is not on the link comes and goes by the router


def _end(text: str) -> tuple[str, int]:
    name, _, port = text.partition(":")
    return name, int(port or 0)


def _macs(port: str, incoming: bool, src: str, dst: str) -> tuple[str, str]:
    if port == "uplink":
        return (mac_of(src), UPLINK if dst in ("X", "S") else mac_of(dst)) if incoming else (UPLINK, mac_of(dst))
    if port == "segment":
        if incoming:
            return SPEAKER, mac_of(dst) if dst in ("all", "ssdp", "mdns") else SEGMENT
        return SEGMENT, SPEAKER
    if port == "host_uplink":
        return (UPLINK, mac_of(dst)) if incoming else (mac_of(src), mac_of("all") if dst == "all" else UPLINK)
    return (SEGMENT, SPEAKER) if incoming else (SPEAKER, SEGMENT)


class _Words:
    def __init__(self, words: list[str]) -> None:
        self.flags = [w for w in words if "=" not in w]
        self.values = dict(w.split("=", 1) for w in words if "=" in w)

    def number(self, name: str, default: int) -> int:
        return int(self.values.get(name, str(default)), 0)

    def data(self) -> bytes:
        text = self.values.get("data", "none")
        if text.startswith("*"):
            return b"x" * int(text[1:])
        return PAYLOADS.get(text, text.encode())


def _l4(kind: str, sport: int, dport: int, w: _Words) -> Packet:
    data = w.data()
    load = Raw(data) if data else Raw(b"")
    if kind == "tcp":
        flags = next((f for f in w.flags if f in ("none",) or (f.isupper() and set(f) <= set("FSRPAUEC"))), "A")
        options: list[Any] = []
        if "ws" in w.values:
            options.append(("WScale", int(w.values["ws"])))
        if "mss" in w.values:
            options.append(("MSS", int(w.values["mss"])))
        return (
            TCP(
                sport=sport,
                dport=dport,
                flags="" if flags == "none" else flags,
                seq=w.number("seq", 1000) & 0xFFFFFFFF,
                ack=w.number("ack", 0) & 0xFFFFFFFF,
                window=w.number("win", 8192),
                options=options,
                **({"dataofs": int(w.values["doff"])} if "doff" in w.values else {}),
            )
            / load
        )
    if kind == "udp":
        return UDP(sport=sport, dport=dport) / load
    if kind in ("echo", "reply"):
        return ICMP(type=8 if kind == "echo" else 0, id=w.number("id", 1), seq=w.number("seq", 1)) / load
    raise ValueError(kind)


def packet(text: str) -> bytes:
    """An IP packet alone."""
    error = re.match(r"error\((\d+),(\d+)\) (\S+) > (\S+) about \((.*)\)(.*)$", text)
    if error:
        kind, code, src, dst, about, rest = error.groups()
        w = _Words(rest.split())
        inner = packet(about)
        if "quote" in w.values:
            inner = inner[: int(w.values["quote"])]
        l4: Packet = ICMP(type=int(kind), code=int(code)) / Raw(inner)
        sport = dport = 0
    else:
        kind, src_text, arrow, dst_text, *words = text.split()
        assert arrow == ">", text
        src, sport = _end(src_text)
        dst, dport = _end(dst_text)
        w = _Words(words)
        l4 = _l4(kind, sport, dport, w)
    ip = IP(src=address(src), dst=address(dst), ttl=w.number("ttl", 64), id=w.number("ipid", 1))
    if "df" in w.flags:
        ip.flags = "DF"
    if "frag" in w.values:
        ip.frag = int(w.values["frag"])
    if "mf" in w.flags:
        ip.flags = "MF"
    if "options" in w.flags:
        ip.options = IPOption(b"\x94\x04\x00\x00")
    built = bytearray(bytes(ip / l4))
    _break(built, w)
    return bytes(built)


def _break(ip: bytearray, w: _Words) -> None:
    """Errors on purpose. The header checksum is put right again, except for `badsum`."""
    if "nosum" in w.flags:  # UDP without a checksum
        ip[26:28] = b"\0\0"
    if "badl4" in w.flags:
        at = {6: 36, 17: 26, 1: 22}[ip[9]]
        ip[at] ^= 0x55
    if "l4len" in w.values:
        ip[24:26] = struct.pack(">H", int(w.values["l4len"]))
    if "len" in w.values:
        ip[2:4] = struct.pack(">H", int(w.values["len"]))
    if "ihl" in w.values:
        ip[0] = int(w.values["ihl"], 0)
    if "proto" in w.values:
        ip[9] = int(w.values["proto"])
    if "reserved" in w.flags:
        ip[6] |= 0x80
    size = (ip[0] & 15) * 4
    if any(x in w.values for x in ("len", "ihl", "proto")) or "reserved" in w.flags:
        ip[10:12] = b"\0\0"
        ip[10:12] = struct.pack(">H", checksum(bytes(ip[: max(size, 20)])))
    if "badsum" in w.flags:
        ip[10] ^= 0x55


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _arp(text: str, port: str, incoming: bool) -> bytes:
    who = re.match(r"arp who-has (\S+) tell (\S+)(.*)$", text)
    if who:
        target, sender, rest = who.groups()
        w = _Words(rest.split())
        sha = mac_of(w.values.get("sha", _arp_mac(port, incoming, sender)))
        to = mac_of(w.values.get("to", "all"))
        asked = ARP(op=1, hwsrc=sha, psrc=address(sender), hwdst="00:00:00:00:00:00", pdst=address(target))
        built = bytearray(bytes(Ether(src=mac_of(w.values.get("from", sha)), dst=to) / asked))
        if "op" in w.values:
            built[21] = int(w.values["op"])
        if "hwlen" in w.values:
            built[18] = int(w.values["hwlen"])
        return bytes(built[: int(w.values.get("cut", "42"))])
    answer = re.match(r"arp (\S+) is-at (\S+) to (\S+)(.*)$", text)
    assert answer, text
    target, at, asker, rest = answer.groups()
    w = _Words(rest.split())
    sha, tha = mac_of(at), mac_of(w.values.get("tha", _arp_mac(port, not incoming, asker)))
    return bytes(
        Ether(src=mac_of(w.values.get("from", sha)), dst=mac_of(w.values.get("to", tha)))
        / ARP(op=2, hwsrc=sha, psrc=address(target), hwdst=tha, pdst=address(asker))
    )


def _arp_mac(port: str, incoming: bool, name: str) -> str:
    """A machine's MAC on one side of a port: the outside's, or the bridge's."""
    if name in ("X", "bridge", "nobody") and not (port == "segment" and incoming):
        return UPLINK if port in ("uplink", "host_uplink") else SEGMENT
    if port == "segment":
        return SPEAKER if name in ("S", "X", "alias", "nobody") else SEGMENT
    return mac_of(name)


def frame(port: str, text: str, incoming: bool = True) -> bytes:
    """A frame as it comes in at a port, or as it is expected to go out there."""
    if text.startswith("raw "):
        return bytes.fromhex(text[4:].replace(" ", ""))
    if text.startswith("arp "):
        return _arp(text, port, incoming)
    outer = re.sub(r" about \(.*\)", "", text)
    words = _Words(outer.split())
    ends = re.search(r"(\S+) > (\S+)", outer)
    assert ends, text
    src, dst = _macs(port, incoming, _end(ends[1])[0], _end(ends[2])[0])
    ether = Ether(src=mac_of(words.values.get("from", src)), dst=mac_of(words.values.get("to", dst)))
    body = packet(text)
    ether.type = int(words.values.get("type", "0x86dd" if "v6" in words.flags else "0x0800"), 0)
    if "vlan" in words.flags:
        ether.type = 0x8100
        body = bytes(Dot1Q(vlan=7, type=0x0800)) + body
    built = bytes(ether / Raw(body))
    if "pad" in words.values:
        built += b"\xee" * int(words.values["pad"])
    if "cut" in words.values:
        built = built[: int(words.values["cut"])]
    return built


def show(data: bytes) -> str:
    """A frame for a failure's message."""
    try:
        return f"{Ether(data).summary()}  {data.hex()}"
    except Exception:  # noqa: BLE001 -- whatever scapy cannot read is still shown
        return data.hex()
