"""Writes the seeds of fuzz_frames.c into corpus/: a short history for each thing the filter does. Run by hand."""

from pathlib import Path

from frames import frame

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


def record(port: str, data: bytes) -> bytes:
    """A frame as a record: IP packets over their template (protocol, whose address, L4 bytes), others as they are."""
    shape = {6: 0, 17: 1, 1: 2}.get(data[23], 3) if data[12:14] == b"\x08\x00" else 3
    local = bytes([10, 66, 0, 100]) in (data[26:30], data[30:34])
    group = data[0] & 1 == 1
    body = bytes([6]) + data if shape == 3 or group else bytes([shape << 1 | int(local)]) + data[34:]
    body = body[:255]
    return bytes([PORTS.index(port) | 4, 1, len(body)]) + body


def main() -> None:
    folder = Path(__file__).parent / "corpus"
    folder.mkdir(exist_ok=True)
    controls = bytes([8, 1, 2, 1, 60, 8, 240, 1, 7, 8, 1, 2, 5, 1, 8, 1, 1, 0])
    for name, steps in SEEDS.items():
        (folder / name).write_bytes(b"".join(record(p, frame(p, t)) for p, t in steps) + controls)


if __name__ == "__main__":
    main()
