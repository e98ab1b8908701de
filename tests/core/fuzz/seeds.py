"""Writes seeds for every target into build/fuzz/found/, from where `make merge` takes them: what the filter does."""

import ipaddress
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from frames import HOSTS, frame  # noqa: E402

FOUND = HERE.parents[2] / "build" / "fuzz" / "found"

SEEDS: dict[str, list[tuple[str, str]]] = {
    "phone_tcp": [
        ("uplink", "tcp phone:40000 > X:1400 S seq=9 ws=7 mss=1460"),
        ("segment", "tcp S:1400 > phone:40000 SA seq=1 ack=10 ws=6"),
        ("uplink", "tcp phone:40000 > X:1400 A seq=10 ack=2"),
        ("uplink", "tcp phone:40000 > X:1400 FA seq=10 ack=2 data=GET"),
        ("segment", "tcp S:1400 > phone:40000 FA seq=2 ack=14"),
        ("uplink", "error(3,4) phone > X about (tcp X:1400 > phone:40000 A seq=2)"),
    ],
    "internet": [
        ("segment", "udp S:5000 > server:53 data=hello"),
        ("uplink", "arp router is-at router to X"),
        ("uplink", "udp server:53 > X:5000 data=hello"),
        ("uplink", "error(3,3) server > X about (udp X:5000 > server:53)"),
        ("segment", "error(3,3) S > server about (udp server:53 > S:5000)"),
        ("host_uplink", "udp X:5000 > server:53"),
        ("segment", "echo S > server id=7"),
        ("uplink", "reply server > X id=7"),
    ],
    "claim": [
        ("uplink", "tcp flatmate:40000 > X:7780 S"),
        ("host_uplink", "tcp X:7780 > flatmate:40000 SA ack=1001"),
        ("uplink", "tcp flatmate:40000 > X:7780 A ack=1001"),
        ("uplink", "echo flatmate > X"),
    ],
    "discovery": [
        ("uplink", "udp phone:50000 > ssdp:1900 data=search"),
        ("segment", "udp S:1900 > phone:50000 data=hello"),
        ("segment", "udp S:1900 > ssdp:1900 data=notify"),
        ("uplink", "udp phone:5353 > mdns:5353 data=query"),
        ("segment", "udp S:5353 > mdns:5353 data=answer"),
    ],
    "arp": [
        ("segment", "arp who-has router tell S"),
        ("uplink", "arp who-has X tell phone"),
        ("host_uplink", "arp who-has phone tell X"),
        ("uplink", "arp phone is-at phone to X"),
        ("host_segment", "arp who-has alias tell bridge"),
    ],
    "host": [
        ("host_segment", "tcp bridge:30000 > alias:1400 S"),
        ("segment", "tcp S:1400 > bridge:30000 SA ack=1001"),
        ("segment", "error(3,3) S > bridge about (udp bridge:5 > S:99)"),
        ("host_segment", "error(3,3) bridge > alias about (udp alias:5 > bridge:99)"),
        ("host_uplink", "udp X:1 > ssdp:1 proto=2"),
        ("host_uplink", "udp nobody:68 > all:67 data=*250"),
    ],
}
PORTS = ["uplink", "segment", "host_uplink", "host_segment"]
_WHO = "nobody X bridge alias S router dns server server2 phone laptop farphone flatmate nas farnas ssdp mdns all"
WHO = _WHO.split(" ")
ADDRESSES = {ipaddress.IPv4Address(HOSTS[w][0]).packed: i for i, w in enumerate(WHO) if w in HOSTS and w != "S"}
PROTOCOLS = {6: 0, 17: 1, 1: 2}
RAW = 3


def plan(data: bytes) -> bytes:
    """A frame as frames.c builds it: IP packets by their machines, others as they are."""
    if data[12:15] == b"\x08\x00\x45" and data[23] in PROTOCOLS and data[22] == 64:
        src, dst = ADDRESSES.get(data[26:30]), ADDRESSES.get(data[30:34])
        if src is not None and dst is not None:
            return bytes([PROTOCOLS[data[23]], src, dst, 0, 1]) + data[34:]
    return bytes([RAW]) + data


def record(port: str, data: bytes) -> bytes:
    body = plan(data)[:255]
    return bytes([PORTS.index(port) | 4, 1, len(body)]) + body


def histories() -> dict[str, bytes]:
    controls = bytes([8, 1, 2, 1, 9, 8, 240, 1, 11, 8, 1, 2, 5, 1, 8, 1, 1, 7])
    found = {}
    for name, steps in SEEDS.items():
        for mode in range(3):
            found[f"{name}_{mode}"] = bytes([mode]) + b"".join(record(p, frame(p, t)) for p, t in steps) + controls
    return found


def packets() -> dict[str, bytes]:
    found = {}
    for name, steps in SEEDS.items():
        for i, (port, text) in enumerate(steps):
            found[f"{name}_{i}"] = bytes([i % 3, PORTS.index(port) | 8]) + frame(port, text)
    return found


def tcp() -> dict[str, bytes]:
    linux = bytes.fromhex("020405b40402080a0000000100000000") + bytes.fromhex("01030307")
    scale = bytes.fromhex("03030e00")
    ack, fin, rst = 16, 17, 4
    here = bytes(2)
    data = [
        bytes([f | side]) + b"\0" + here + b"\0" + here + bytes(3) for f in (ack, fin, rst) for side in (0, 64, 128)
    ]
    both = bytes([len(linux)]) + linux + bytes([len(scale)]) + scale
    return {
        "phone": b"\x80" + both + b"".join(data[:6]),
        "internet": b"\x00" + both + b"".join(data),
        "no_options": bytes(3) + b"".join(data[6:]),
        "private": b"\x01" + bytes([4]) + scale + bytes([0]) + data[0],
    }


def icmp() -> dict[str, bytes]:
    """About each flow: at the uplink from a server, at the segment, from the host."""
    found = {}
    for flow in range(8):
        for port, mode, who in (
            (0, 0, "server"),
            (0, 2, "server"),
            (1, 1, "server"),
            (2, 0, "server"),
            (3, 1, "alias"),
        ):
            other = "phone" if flow == 6 else "flatmate" if flow == 7 else who
            found[f"{flow}_{port}_{mode}"] = bytes([mode, port | flow << 2, flow % 3, WHO.index(other), 48])
    return found


def arp() -> dict[str, bytes]:
    def say(what: int, sender: str, target: str) -> bytes:
        return bytes([what, WHO.index(sender), WHO.index(target), 1, 0])

    uplink, segment, host_uplink, host_segment, answer, to_all, ask = 0, 1, 2, 3, 4, 8, 16
    return {
        "router": b"\0" + say(segment | ask | to_all, "S", "server") + say(uplink | answer, "router", "X"),
        "host": b"\0" + say(host_uplink | to_all, "X", "phone") + say(uplink | answer, "phone", "X"),
        "spoof": b"\1" + say(uplink | to_all, "flatmate", "X") + say(uplink | answer, "X", "X"),
        "alias": b"\0"
        + say(host_segment | to_all, "bridge", "alias")
        + say(uplink | answer | 32, "router", "flatmate"),
        "dns": b"\2" + say(segment | ask | to_all, "S", "dns") + say(uplink | answer, "dns", "X"),
    }


def dhcp() -> dict[str, bytes]:
    def message(what: int, length: int) -> bytes:
        return bytes([what]) + length.to_bytes(2, "big") + b"\0"

    return {
        "speaker": b"\0" + message(4, 300) + message(4, 240) + message(4, 240) + message(1, 1024) + message(2, 300),
        "room": b"\0" + message(4, 1024) + message(4, 1025) + message(1, 500) + message(10, 1472) + message(2, 1473),
        "host": b"\3" + message(15, 300) + message(7, 300) + message(0xF7, 300),
    }


def relay() -> dict[str, bytes]:
    def say(what: int, sender: str) -> bytes:
        return bytes([what, WHO.index(sender), 30, 0])

    def all_of(sender: str) -> bytes:
        return b"".join(say(what | to, sender) for what in range(4) for to in (0, 4, 8, 16))

    return {f"{who}_{mode}": bytes([mode]) + all_of(who) for who in ("phone", "flatmate") for mode in range(4)}


def main() -> None:
    targets = {
        "frames": histories(),
        "pressure": histories(),
        "packet": packets(),
        "tcp": tcp(),
        "icmp": icmp(),
        "arp": arp(),
        "dhcp": dhcp(),
        "relay": relay(),
    }
    for target, seeds in targets.items():
        folder = FOUND / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / f"seed_{name}").write_bytes(data)


if __name__ == "__main__":
    main()
