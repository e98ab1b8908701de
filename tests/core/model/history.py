"""Random histories: frames of all kinds at all ports, time, and what the firmware does meanwhile.

Every step is concrete bytes and numbers, so that a history can be run again without what made it. The writer looks
at the model to know a plausible next frame: plausible ones get far, and from there the implausible ones are tried."""

import random
import struct
from collections.abc import Callable
from typing import Any

from .compare import DEFAULT, Comparison, Step, hw, ip4
from .flows import HOST, SPEAKER, Flow
from .packet import (
    ACK,
    BROADCAST,
    BROADCAST_MAC,
    FIN,
    ICMP,
    MDNS_GROUP,
    PSH,
    RST,
    SSDP_GROUP,
    SYN,
    TCP,
    UDP,
    ZERO_MAC,
    a4,
    arp_message,
    checksum,
    link,
    p2,
    with_l4_sum,
)
from .tcp import Connection

X, ROUTER, DNS = DEFAULT.addr, DEFAULT.router, DEFAULT.dns[0]
SPEAKER_MAC, ROUTER_MAC, DNS_MAC, ATTACKER_MAC = hw(0x20), hw(0x01), hw(0x03), hw(0x50)
PHONES = {ip4(f"10.66.0.{100 + i}"): hw(0x30 + i) for i in range(5)}
FAR_PHONES = [ip4("172.20.5.6"), ip4("198.51.100.7")]
SERVERS = [ip4("203.0.113.10"), ip4("203.0.113.11"), ip4("9.9.9.9")]
STRANGERS = {ip4("10.66.1.50"): hw(0x40), ip4("10.66.1.51"): hw(0x41), ip4("10.66.0.103"): ATTACKER_MAC}
MAIL_AND_TELNET = [23, 25, 465, 587, 2323, 2525]
ODD = [ip4(a) for a in (
    "0.0.0.0", "0.1.1.1", "127.0.0.1", "224.0.0.1", "239.1.2.3", "250.1.1.1", "255.255.255.255", "10.66.3.255",
    "10.66.0.0", "10.66.0.77", "10.66.0.78", "192.168.77.1", "192.168.77.2", "192.168.77.9", "192.168.1.1", "10.1.2.3",
    "172.16.0.1", "172.31.255.254", "172.32.0.1", "169.254.1.1", "239.255.255.250", "224.0.0.251",
)]  # fmt: skip
PORTS = [1400, 1443, 5000, 5001, 5353, 1900, 7780, 67, 68, 53, 80, 25, 500]
SEARCH = b'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\n\r\n'
NOTIFY = b"NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n"
QUERY = bytes.fromhex("000000000001000000000000045f736f6e6f73000c0001")
ANSWER = bytes.fromhex("000084000000000100000000")


def ip(
    src: int, dst: int, proto: int, l4: bytes, ttl: int = 64, ipid: int = 1, options: bytes = b"", flags: int = 0
) -> bytes:
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(l4), ipid, flags, ttl, proto, 0, a4(src), a4(dst)
    )
    head += options
    return head[:10] + p2(checksum(head)) + head[12:] + l4


def tcp(src: int, sport: int, dst: int, dport: int, flags: int, seq: int, ack: int, data: bytes = b"",
        options: bytes = b"") -> bytes:  # fmt: skip
    options += bytes(-len(options) % 4)
    doff = (20 + len(options)) // 4 << 4
    l4 = struct.pack(">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, doff, flags, 8192, 0, 0) + options + data
    return with_l4_sum(src, dst, TCP, l4, 16)


def udp(src: int, sport: int, dst: int, dport: int, data: bytes = b"", summed: bool = True) -> bytes:
    l4 = struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
    return with_l4_sum(src, dst, UDP, l4, 6) if summed else l4


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    l4 = bytes([kind, code, 0, 0]) + rest
    return l4[:2] + p2(checksum(l4)) + l4[4:]


class Writer:
    """Writes a history, one step at a time."""

    def __init__(self, rng: random.Random, comparison: Comparison) -> None:
        self.rng, self.c = rng, comparison
        self.changes: dict[str, Any] = {}
        self.size = 0  # of what datagrams carry; 0: little
        self.to_come: list[list[Step]] = []  # fragments of datagrams that have begun
        self.kinds: list[tuple[int, Callable[[], list[Step]]]] = [
            (40, self.talk),
            (20, self.open),
            (6, self.stray),
            (5, self.arp),
            (5, self.discovery),
            (2, self.dhcp),
            (6, self.icmp_error),
            (2, self.flood),
            (4, self.time),
            (4, self.control),
            (8, self.mutated),
            (16, self.fragments),
        ]

    # -- small helpers --
    @property
    def model(self) -> Any:
        return self.c.model

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def any_address(self) -> int:
        groups = [list(PHONES), FAR_PHONES, SERVERS, [ROUTER, DNS], list(STRANGERS), ODD]
        return int(self.rng.choice(self.rng.choices(groups, (8, 2, 4, 2, 2, 2))[0]))

    def mac_of(self, a: int) -> bytes:
        """By which a machine's frames come on the uplink."""
        if a == ROUTER or not self.model.config.in_subnet(a):
            return ROUTER_MAC
        return PHONES.get(a) or STRANGERS.get(a) or (DNS_MAC if a == DNS else ATTACKER_MAC)

    def ttl(self) -> int:
        return self.pick(64, 64, 64, 64, 64, 64, 64, 255, 2, 1) if self.chance(20) else 64

    def data(self) -> bytes:
        if self.size:
            return self.rng.randbytes(self.size)
        return bytes(self.rng.randrange(256) for _ in range(self.pick(0, 0, 0, 1, 3, 8, 100)))

    def from_uplink(self, src: int, proto: int, l4: bytes, dst: int | None = None, mac: bytes | None = None,
                    to: bytes | None = None) -> Step:  # fmt: skip
        if mac is None:
            mac = self.pick(ATTACKER_MAC, ROUTER_MAC, hw(0x10)) if self.chance(3) else self.mac_of(src)
        packet = ip(src, X_of(self) if dst is None else dst, proto, l4, self.ttl())
        return ("frame", "uplink", link(to or self.model.config.uplink_mac, mac, 0x800, packet))

    def from_segment(self, dst: int, proto: int, l4: bytes, src: int | None = None, to: bytes | None = None) -> Step:
        mac = hw(0x21) if self.chance(1) else self.model.speaker_mac or SPEAKER_MAC
        packet = ip(self.model.config.speaker if src is None else src, dst, proto, l4, self.ttl())
        return ("frame", "segment", link(to or self.model.config.segment_mac, mac, 0x800, packet))

    def from_host(self, dst: int, proto: int, l4: bytes, src: int | None = None, to: bytes | None = None) -> Step:
        c = self.model.config
        packet = ip(c.addr if src is None else src, dst, proto, l4, self.ttl())
        return ("frame", "host_uplink", link(to or self.mac_of(dst), c.uplink_mac, 0x800, packet))

    def options(self) -> bytes:
        return bytes(
            self.pick(b"", b"\x03\x03\x07", b"\x03\x03\x00", b"\x02\x04\x05\xb4\x01\x03\x03\x06", b"\x03\x03\x0f",
                      b"\x01\x01\x00\x03\x03\x05", b"\x08\x0a\x00", b"\x03\x02\x03", b"\x05\x01\x03\x03\x04")
        )  # fmt: skip

    # -- frames of flows --
    def talk(self) -> list[Step]:
        flows = self.model.table.flows
        if not flows:
            return self.open()
        if self.chance(60):
            flows = [f for f in flows if f.connection] or flows
        f: Flow = self.rng.choice(flows[-6:] if self.chance(50) else flows)
        if f.connection is None:
            return [self.datagram(f, self.pick(0, 1))]
        if self.chance(50) and f.state == 0 and not f.claim:
            return self.handshake(f)
        return [self.segment(f, self.pick(0, 1))]

    def datagram(self, f: Flow, side: int) -> Step:
        if f.proto == UDP:
            return self.of_flow(f, side, lambda s, sp, d, dp: udp(s, sp, d, dp, self.data(), self.chance(80)))
        kind, data = 0 if side == 0 else 8, self.data() if self.size else b""
        return self.of_flow(f, side, lambda s, sp, d, dp: icmp(kind, 0, p2(dp if side == 0 else sp) + p2(1) + data))

    def of_flow(self, f: Flow, side: int, make: Callable[[int, int, int, int], bytes]) -> Step:
        """A frame of a flow, in the addresses and ports of the side that it comes from."""
        c = self.model.config
        if side == 0:
            mac = f.mac if f.mac and self.chance(90) else None
            return self.from_uplink(f.raddr, f.proto, make(f.raddr, f.rport, c.addr, f.eport), mac=mac)
        if f.owner == SPEAKER:
            return self.from_segment(f.raddr, f.proto, make(c.speaker, f.lport, f.raddr, f.rport))
        return self.from_host(f.raddr, f.proto, make(c.addr, f.lport, f.raddr, f.rport))

    def handshake(self, f: Flow) -> list[Step]:
        """What makes it an established connection."""
        k = f.connection
        assert k is not None
        o = k.opener
        steps = []
        if not k.syn[1 - o]:
            isn, options = self.rng.randrange(2**32), self.options()
            less = self.pick(1514, 1515, 1, -1) if self.chance(10) else 0
            end = k.end[o] - less
            steps.append(
                self.of_flow(f, 1 - o, lambda s, sp, d, dp: tcp(s, sp, d, dp, SYN | ACK, isn, end, options=options))
            )
            ack = isn + 1
        else:
            ack = k.end[1 - o]
        steps.append(self.of_flow(f, o, lambda s, sp, d, dp: tcp(s, sp, d, dp, ACK, k.end[o], ack)))
        return steps

    def segment(self, f: Flow, side: int) -> Step:
        k = f.connection
        assert k is not None
        flags = self.pick(ACK, ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN, SYN | ACK)
        data = self.data() if not flags & RST else b""
        seq = k.end[side] + self.offset(k, 1 - side, 0)
        if flags & SYN and self.chance(70):
            seq = self.pick(seq - 1, self.rng.randrange(2**32))
        ack = k.end[1 - side] + self.offset(k, side, 1)
        options = self.options() if flags & SYN else b""
        return self.of_flow(f, side, lambda s, sp, d, dp: tcp(s, sp, d, dp, flags, seq, ack, data, options))

    def offset(self, k: Connection, receiver: int, ack: int) -> int:
        """Mostly none; else at the edges of what is plausible."""
        if self.chance(70):
            return 0
        w = k.window(receiver) * (2 if ack else 1)
        return int(self.pick(w, w + 1, -w, -w - 1, 1, -1, 10, -10, self.rng.randrange(2**32)))

    # -- frames that may begin something --
    def open(self) -> list[Step]:
        kind = self.rng.choices(("phone", "speaker", "host", "claim"), (6, 7, 3, 2))[0]
        if kind == "phone":
            leases = [x.addr for x in self.model.leases.all()]
            src = self.rng.choice(leases) if leases and self.chance(85) else self.any_address()
            lease = self.model.leases.find(src)
            mac = lease.mac if lease and lease.mac and self.chance(95) else None
            services = sorted(self.model.services)
            proto, port = self.rng.choice(services) if services and self.chance(90) else (TCP, self.pick(*PORTS))
            sport = self.rng.randrange(40000, 40000 + self.pick(2, 2000))
            l4 = self.first(proto, src, sport, X_of(self), port)
            return [self.from_uplink(src, proto, l4, mac=mac)]
        if kind == "claim":
            src = self.pick(*STRANGERS, *PHONES, *FAR_PHONES)
            l4 = self.first(TCP, src, self.rng.randrange(40000, 40020), X_of(self), self.model.config.claim_port)
            return [self.from_uplink(src, TCP, l4)]
        proto = self.pick(TCP, TCP, UDP, ICMP)
        leases = [x.addr for x in self.model.leases.all()]
        dst = self.rng.choice(leases) if leases and self.chance(30) else self.any_address()
        if self.chance(50):
            dst = self.pick(*SERVERS)
        sport = self.pick(*PORTS) if self.chance(40) else self.rng.randrange(30000, 30000 + self.pick(2, 2000))
        dport = self.pick(*PORTS, 3400, 80, *MAIL_AND_TELNET) if self.chance(50) else 80
        speaker = kind == "speaker"
        if speaker and self.chance(5):
            dst = self.pick(self.model.config.host, self.model.config.alias)
        src = self.model.config.speaker if speaker else self.model.config.addr
        l4 = self.first(proto, src, sport, dst, dport)
        return [self.from_segment(dst, proto, l4) if speaker else self.from_host(dst, proto, l4)]

    def first(self, proto: int, src: int, sport: int, dst: int, dport: int) -> bytes:
        if proto == TCP:
            flags = SYN if self.chance(93) else self.pick(ACK, RST, RST | ACK, SYN | ACK, FIN | ACK)
            data = self.data() if self.chance(10) else b""
            return tcp(
                src,
                sport,
                dst,
                dport,
                flags,
                self.rng.randrange(2**32),
                self.rng.randrange(2**32),
                data,
                self.options(),
            )
        if proto == UDP:
            return udp(src, sport, dst, dport, self.data(), self.chance(90))
        kind = 8 if self.chance(85) else self.pick(0, 13, 5, 4, 8)
        return icmp(
            kind, self.pick(0, 0, 0, 1), p2(self.pick(1, 2, 7, sport)) + p2(self.rng.randrange(9)) + self.data()
        )

    def stray(self) -> list[Step]:
        """From anybody to anybody."""
        proto = self.pick(TCP, TCP, UDP, ICMP, 2, 47)
        src, dst = self.any_address(), self.any_address()
        port = self.pick("uplink", "uplink", "segment", "host_uplink", "host_segment", "host_segment")
        l4 = self.first(proto if proto in (TCP, UDP) else ICMP, src, self.pick(*PORTS), dst, self.pick(*PORTS))
        to = self.pick(None, None, BROADCAST_MAC, bytes.fromhex("01005e7ffffa"), hw(0x77))
        c = self.model.config
        if port == "uplink":
            return [self.from_uplink(src, proto, l4, self.pick(None, None, dst), to=to)]
        if port == "segment":
            return [self.from_segment(self.pick(dst, c.host), proto, l4, self.pick(None, None, src), to)]
        if port == "host_uplink":
            return [self.from_host(dst, proto, l4, self.pick(None, None, src, 0), to)]
        src, dst = self.pick(c.host, c.host, c.host, src), self.pick(c.alias, c.alias, c.alias, dst)
        l4 = self.first(proto if proto in (TCP, UDP) else ICMP, src, 5000, dst, 1400)
        return [("frame", port, link(SPEAKER_MAC, c.segment_mac, 0x800, ip(src, dst, proto, l4, self.ttl())))]

    def arp(self) -> list[Step]:
        c = self.model.config
        port = self.pick("uplink", "uplink", "uplink", "segment", "host_uplink", "host_segment")
        op = self.pick(1, 2, 2, 3) if self.chance(20) else self.pick(1, 2)
        a, b = self.pick(ROUTER, DNS, self.any_address(), self.any_address()), self.any_address()
        if port == "uplink":
            peers = [x.addr for x in self.model.peers.all() if x.tries] + [x[0] for x in self.model.asked.open]
            if peers and self.chance(60):
                a = self.rng.choice(peers)
            sha = self.mac_of(a) if self.chance(90) else self.pick(ATTACKER_MAC, ROUTER_MAC)
            lease = self.model.leases.find(a)
            if lease and lease.mac and self.chance(80):
                sha = lease.mac
            b = c.addr if self.chance(85) else b
            to = c.uplink_mac if op == 2 and self.chance(90) else BROADCAST_MAC
            tha = c.uplink_mac if op == 2 else ZERO_MAC
        elif port == "segment":
            sha = self.model.speaker_mac or SPEAKER_MAC
            a = self.pick(c.speaker, c.speaker, 0, a)
            to, tha, op = self.pick(BROADCAST_MAC, c.segment_mac), ZERO_MAC, self.pick(1, 1, 1, op)
        elif port == "host_uplink":
            sha, a = c.uplink_mac, self.pick(c.addr, c.addr, 0, a)
            b = self.pick(ROUTER, DNS, *PHONES) if self.chance(80) else b
            to, tha = self.pick(BROADCAST_MAC, self.mac_of(b)), ZERO_MAC
        else:
            sha, a, b = c.segment_mac, self.pick(c.host, 0), self.pick(c.alias, c.alias, b)
            to, tha = BROADCAST_MAC, ZERO_MAC
        source = self.pick(ATTACKER_MAC, sha) if self.chance(4) else sha
        return [("frame", port, link(to, source, 0x806, arp_message(op, sha, a, tha, b) + bytes(self.pick(0, 0, 18))))]

    def answer_arp(self) -> list[Step]:
        """What the filter has asked."""
        c = self.model.config
        peers = [x.addr for x in self.model.peers.all() if x.tries]
        if not peers:
            return []
        a = self.rng.choice(peers)
        return [
            (
                "frame",
                "uplink",
                link(c.uplink_mac, self.mac_of(a), 0x806, arp_message(2, self.mac_of(a), a, c.uplink_mac, c.addr)),
            )
        ]

    def discovery(self) -> list[Step]:
        payload = self.pick(
            SEARCH, SEARCH, NOTIFY, NOTIFY, QUERY, ANSWER, SEARCH[:18], NOTIFY[:16], QUERY[:11], QUERY[:12], b""
        )
        group, port = (MDNS_GROUP, 5353) if payload in (QUERY, ANSWER) else (SSDP_GROUP, 1900)
        if port == 5353 and self.chance(20):  # another opcode or flag
            payload = payload[:2] + bytes([payload[2] ^ 1 << self.rng.randrange(8)]) + payload[3:]
        if self.chance(15):
            group, port = self.pick((MDNS_GROUP, 5353), (BROADCAST, 1900), (SSDP_GROUP, 1901), (MDNS_GROUP, 1900))
        to = self.pick(bytes.fromhex("01005e7ffffa"), bytes.fromhex("01005e0000fb"), BROADCAST_MAC)
        leases = [x.addr for x in self.model.leases.all()]
        if self.chance(50):
            src = self.rng.choice(leases) if leases and self.chance(80) else self.any_address()
            l4 = udp(src, self.pick(50000, port), group, port, payload, self.chance(90))
            return [self.from_uplink(src, UDP, l4, group, to=self.pick(to, to, None))]
        src = self.model.config.speaker
        return [self.from_segment(group, UDP, udp(src, port, group, port, payload, self.chance(90)), to=to)]

    def dhcp(self) -> list[Step]:
        c = self.model.config
        if self.chance(60):
            mac = self.model.speaker_mac or SPEAKER_MAC
            size = self.pick(240, 300, 300, 239, 1024, 1025)
            data = bytes([1, 1, 6, 0]) + bytes(24) + mac + bytes(202) + bytes([99, 130, 83, 99]) + b"\x35\x01\x01\xff"
            message = bytearray(data.ljust(size, b"\0")[:size])
            if self.chance(10):
                message[self.pick(0, 1, 2, 28, 33, 236)] ^= self.pick(1, 2, 128)
            src, dst = self.pick(
                (0, BROADCAST),
                (c.speaker, c.host),
                (c.speaker, BROADCAST),
                (ip4("10.9.9.9"), BROADCAST),
                (0, ip4("8.8.8.8")),
            )
            l4 = udp(src, 68, dst, 67, bytes(message), self.chance(80))
            if self.chance(10):
                l4 = l4[:-1] + b"\x07"
            return [self.from_segment(dst, UDP, l4, src, BROADCAST_MAC if dst == BROADCAST else None)]
        if self.chance(50):
            l4 = udp(0, 68, BROADCAST, 67, b"discover")
            return [self.from_host(BROADCAST, UDP, l4, self.pick(0, c.addr), BROADCAST_MAC)]
        dst = self.pick(BROADCAST, c.addr)
        src = self.pick(ROUTER, ROUTER, self.any_address())
        return [self.from_uplink(src, UDP, udp(src, 67, dst, 68, b"offer"), dst, to=self.pick(None, BROADCAST_MAC))]

    def icmp_error(self) -> list[Step]:
        flows = self.model.table.flows
        c = self.model.config
        kind, code = self.pick(3, 11, 12), self.pick(0, 1, 3, 4)
        if self.chance(10):
            kind = self.pick(4, 5, 13, 17)
        if not flows or self.chance(8):
            return self.icmp_error_at_home(kind, code)
        f: Flow = self.rng.choice(flows)
        side = self.pick(0, 0, 1)  # who says it
        owner = c.speaker if f.owner == SPEAKER else c.addr
        out = (c.addr, f.eport, f.raddr, f.rport)
        ends = out if side == 0 else (f.raddr, f.rport, owner, f.lport)
        if self.chance(8):
            ends = (ends[0], ends[1], self.any_address(), ends[3])
        src, sport, dst, dport = ends
        if f.proto == TCP:
            k = f.connection
            assert k is not None
            inner = tcp(
                src, sport, dst, dport, ACK, k.end[1 - side] + self.offset(k, side, 0) - self.pick(0, 0, 1, 5), 0
            )
        elif f.proto == UDP:
            inner = udp(src, sport, dst, dport, self.data(), self.chance(80))
        else:
            request = side == 0 if self.chance(90) else side == 1
            inner = icmp(8 if request else 0, 0, p2(f.eport if side == 0 else f.lport) + p2(1) + self.data())
        quoted = self.broken_quote(
            ip(ends[0], ends[2], f.proto, inner, self.pick(64, 1, 0), flags=self.pick(0, 0, 0x4000))
        )
        l4 = icmp(kind, code, bytes(4) + quoted)
        if side == 0:
            src = f.raddr if self.chance(50) else self.pick(ROUTER, *SERVERS, self.any_address())
            return [self.from_uplink(src, ICMP, l4)]
        dst = f.raddr if self.chance(90) else self.any_address()
        return [(self.from_segment if f.owner == SPEAKER else self.from_host)(dst, ICMP, l4)]

    def broken_quote(self, packet: bytes) -> bytes:
        """Cut as routers do it, and sometimes wrong."""
        if self.chance(70):
            return packet
        how = self.rng.randrange(6)
        if how < 2:
            return packet[: self.pick(28, 28, 27, 20, 36, 37, 40)]
        broken = bytearray(packet)
        at = self.pick(0, 2, 3, 6, 7, 8, 9, 10, 12, 16, 20, 24)
        if at < len(broken):
            broken[at] ^= 1 << self.rng.randrange(8)
        return bytes(broken)

    def icmp_error_at_home(self, kind: int, code: int) -> list[Step]:
        """Between host and speaker."""
        c = self.model.config
        from_speaker = self.chance(50)
        a, b = (c.host, c.speaker) if from_speaker else (c.alias, c.host)
        if self.chance(15):
            a, b = self.pick((a, self.any_address()), (self.any_address(), b))
        inner = self.pick(udp(a, 5, b, 99, b"hi"), tcp(a, 5, b, 99, ACK, 1, 1), icmp(self.pick(0, 8), 0, bytes(4)))
        proto = UDP if len(inner) == 10 else TCP if len(inner) == 20 else ICMP
        l4 = icmp(kind, code, bytes(4) + self.broken_quote(ip(a, b, proto, inner)))
        if from_speaker:
            return [self.from_segment(c.host, ICMP, l4)]
        return [("frame", "host_segment", link(SPEAKER_MAC, c.segment_mac, 0x800, ip(c.host, c.alias, ICMP, l4)))]

    def flood(self) -> list[Step]:
        """Much of one kind at one time."""
        kind = self.pick("phones", "speaker", "callbacks", "claims", "echo", "search", "notify", "error", "host")
        return [step for i in range(self.rng.randrange(5, 40)) for step in self.flood_of(kind, i)]

    def flood_of(self, kind: str, i: int) -> list[Step]:
        c = self.model.config
        leases = [x.addr for x in self.model.leases.all()] or list(PHONES)
        phone, port = self.rng.choice(leases), self.rng.randrange(20000, 30000)
        first = self.rng.randrange(2**32)
        if kind == "phones":  # opened, and often established
            steps = [self.from_uplink(phone, TCP, tcp(phone, port, c.addr, 1400, SYN, first, 0))]
            if self.chance(70):
                owner = c.addr if c.guard else c.speaker
                answer = tcp(owner, 1400, phone, port, SYN | ACK, 7, first + 1)
                steps.append(self.from_host(phone, TCP, answer) if c.guard else self.from_segment(phone, TCP, answer))
                steps.append(self.from_uplink(phone, TCP, tcp(phone, port, c.addr, 1400, ACK, first + 1, 8)))
            return steps
        if kind == "speaker":
            dst = self.pick(*SERVERS)
            steps = [self.from_segment(dst, TCP, tcp(c.speaker, port, dst, 80, SYN, first, 0))]
            if self.chance(30):
                steps.append(self.from_uplink(dst, TCP, tcp(dst, 80, c.addr, port, SYN | ACK, 7, first + 1)))
                steps.append(self.from_segment(dst, TCP, tcp(c.speaker, port, dst, 80, ACK, first + 1, 8)))
            return [*steps, ("jump", self.pick(0, 0, 100))]
        if kind == "callbacks":
            return [self.from_segment(phone, UDP, udp(c.speaker, port, phone, 50000))]
        if kind == "claims":
            src = self.pick(*STRANGERS, *PHONES, *FAR_PHONES)
            return [self.from_uplink(src, TCP, tcp(src, port, c.addr, c.claim_port, SYN, first, 0))]
        if kind == "echo":
            return [self.from_uplink(ROUTER, ICMP, icmp(8, 0, p2(1) + p2(i)))]
        if kind == "search":
            return [self.from_uplink(phone, UDP, udp(phone, 50000, SSDP_GROUP, 1900, SEARCH), SSDP_GROUP)]
        if kind == "notify":
            return [self.from_segment(SSDP_GROUP, UDP, udp(c.speaker, 1900, SSDP_GROUP, 1900, NOTIFY))]
        if kind == "error":
            return self.icmp_error()
        dst = self.pick(*SERVERS)
        return [self.from_host(dst, UDP, udp(c.addr, port, dst, 53))]

    # -- fragments --
    def fragments(self) -> list[Step]:
        """Of a datagram that has begun, or of a new one; sometimes of many."""
        if self.chance(6):
            return self.many_fragments()
        if self.to_come and self.chance(50):
            at = self.rng.randrange(len(self.to_come))
            pieces = self.to_come.pop(at)
        else:
            pieces = self.cut(self.whole())
        count = len(pieces) if self.chance(50) else self.rng.randrange(1, 4)
        if pieces[count:] and not self.chance(8):  # else lost
            self.to_come = [*self.to_come, pieces[count:]][-6:]
        return pieces[:count]

    def many_fragments(self) -> list[Step]:
        """Of one sender, so that places become few."""
        step, only = self.whole(), self.pick("first", "later", "any")
        steps: list[Step] = []
        for i in range(self.rng.randrange(3, 9)):
            pieces = self.cut(step, 0x100 + i)
            if only == "any":
                self.rng.shuffle(pieces)
            steps += pieces[-2:] if only == "later" else pieces[:1]
            if self.chance(30):
                steps.append(("jump", self.pick(1, 100, 1000)))
        return steps

    def whole(self) -> Step:
        """A datagram to be cut: longer than others, mostly of UDP or ICMP."""
        most = self.model.limits.FRAG_MAX
        self.size = self.pick(120, 200, 300, self.rng.randrange(60, 1000)) - 8
        if self.chance(6):
            self.size = self.pick(1600, 3000, most, most + 1, most - 1, most - 7) - 8
        flows = [f for f in self.model.table.flows if f.connection is None]
        for _ in range(8):
            if flows and self.chance(60):
                step = self.datagram(self.rng.choice(flows), self.pick(0, 0, 1))
            else:
                (step, *_) = self.pick(self.open, self.open, self.open, self.at_home, self.echo, self.stray)()
            if step[2][23] in (UDP, ICMP) or self.chance(5):
                break
        self.size = 0
        return step

    def at_home(self) -> list[Step]:
        """Between host and speaker."""
        c, port = self.model.config, self.pick(1900, 5000, 53)
        if self.chance(50):
            return [self.from_segment(c.host, UDP, udp(c.speaker, 1400, c.host, port, self.data(), self.chance(80)))]
        packet = ip(c.host, c.alias, UDP, udp(c.host, port, c.alias, 1400, self.data()), self.ttl())
        return [("frame", "host_segment", link(SPEAKER_MAC, c.segment_mac, 0x800, packet))]

    def echo(self) -> list[Step]:
        """What strangers, too, may send to the host, and its answer."""
        a, message = self.leased() if self.chance(40) else self.any_address(), p2(self.pick(1, 2)) + p2(1) + self.data()
        if self.chance(70):
            return [self.from_uplink(a, ICMP, icmp(8, 0, message))]
        return [self.from_host(a, ICMP, icmp(0, 0, message))]

    def cut(self, step: Step, ident: int | None = None) -> list[Step]:
        """In an order, and with faults."""
        name, port, frame = step
        body, limits = frame[34:], self.model.limits
        first = size = self.pick(1480, 512, 64) if len(body) > 1500 else self.pick(48, 56, 64, 96, 200)
        if self.chance(20):
            first = self.pick(limits.FRAG_FIRST, limits.FRAG_FIRST - 8, 96)
        ends = [*range(first, len(body), size), len(body)]
        pieces = [(a, body[a:b], b < len(body)) for a, b in zip([0, *ends], ends, strict=False)]
        if self.chance(35):
            pieces = self.with_faults(pieces)
        order = self.rng.randrange(10)
        if order < 2:
            pieces.reverse()
        elif order < 5:
            self.rng.shuffle(pieces)
        elif order < 6 and len(pieces) > 2:
            pieces[1:] = reversed(pieces[1:])
        if ident is None:
            ident = self.rng.randrange(5)
        return [(name, port, self.piece(frame, ident, *piece)) for piece in pieces]

    def with_faults(self, pieces: list[tuple[int, bytes, bool]]) -> list[tuple[int, bytes, bool]]:
        i, most = self.rng.randrange(len(pieces)), self.model.limits.FRAG_MAX
        start, data, more = pieces[i]
        length = self.pick(len(data), len(data) + 1, most, most + 1, 300)
        faults: dict[str, list[tuple[int, bytes, bool]]] = {
            "lost": [],
            "twice": [pieces[i], pieces[i]],
            "moved": [(max(0, start + self.pick(8, -8, 16)), data, more)],
            "more": [(start, data, not more)],
            "shorter": [(start, data[: self.pick(-1, -8, 1, 8)], more)],
            "longer": [(start, data + bytes(self.pick(1, 8)), more)],
            "far": [pieces[i], (max(0, most - len(data) & ~7) + self.pick(0, 0, 8, -8), data, self.chance(50))],
            "split": [(start, data[:8], True), (start + 8, data[8:], more)],
            "empty": [pieces[i], (start + len(data), b"", False)],
            "end": [pieces[i], (start + len(data), bytes(self.pick(1, 8)), False)],
            "length": [(start, data[:4] + p2(length) + data[6:], more)],
        }
        return pieces[:i] + self.rng.choice(list(faults.values())) + pieces[i + 1 :]

    def piece(self, frame: bytes, ident: int, start: int, data: bytes, more: bool) -> bytes:
        head = bytearray(frame[:34])
        flags = 0x2000 * more | start // 8 & 0x1FFF
        if self.chance(3):
            flags ^= self.pick(0x8000, 0x4000, 0x4000)
        head[16:18], head[18:20], head[20:22] = p2(20 + len(data)), p2(ident), p2(flags)
        if self.chance(4):
            head[22] = self.pick(1, 1, 2, 3)
        if self.chance(2):
            head[6:12] = self.pick(ATTACKER_MAC, ROUTER_MAC, hw(0x66))
        if self.chance(2):
            head[0:6] = self.pick(BROADCAST_MAC, hw(0x66), ROUTER_MAC)
        if self.chance(1):
            head[30:34] = a4(self.any_address())
        head[24:26] = b"\0\0"
        head[24:26] = p2(checksum(bytes(head[14:])))
        padding = bytes(self.pick(6, 46)) if self.chance(3) else b""
        return bytes(head) + data + padding

    # -- damage --
    def mutated(self) -> list[Step]:
        kinds = (self.talk, self.open, self.open, self.arp, self.discovery, self.dhcp, self.icmp_error)
        frames = self.rng.choice(kinds)()
        steps: list[Step] = []
        for name, port, frame in frames:
            steps.append((name, port, self.mutate(frame)))
        return steps

    def mutate(self, frame: bytes) -> bytes:
        how = self.rng.randrange(12)
        f = bytearray(frame)
        r = self.rng.randrange
        if how == 0:
            return bytes(f[: r(len(f) + 1)])
        if how == 1:
            return bytes(f + bytes(self.pick(1, 6, 46, 1460, 1500 - len(f) if len(f) < 1500 else 1)))
        if how == 2:
            f[r(len(f))] ^= 1 << r(8)
            return bytes(f)
        if how == 3:
            f[0:6] = self.pick(BROADCAST_MAC, hw(0x66), bytes.fromhex("01005e000001"), hw(0x10), hw(0x11))
            return bytes(f)
        if how == 4:
            f[6:12] = self.pick(BROADCAST_MAC, hw(0x66), hw(0x10), hw(0x11), hw(0x20), hw(0x30))
            return bytes(f)
        if how == 5:
            f[12:14] = self.pick(b"\x86\xdd", b"\x81\x00", b"\x88\xa8", b"\x88\xcc", b"\x08\x06", b"\x08\x00")
            return bytes(f)
        if len(f) < 34 or f[12:14] != b"\x08\0":
            f[14 + r(len(f) - 14)] ^= 1 << r(8)
            return bytes(f)
        return self.mutate_ip(f, how)

    def mutate_ip(self, f: bytearray, how: int) -> bytes:
        """With a header checksum that is right again."""
        r = self.rng.randrange
        if how == 6:
            f[14] = self.pick(0x44, 0x46, 0x55, 0x05, 0x4F)
        elif how == 7:
            size = int.from_bytes(f[16:18], "big") + self.pick(-1, 1, -4, 4, -len(f))
            f[16:18] = p2(max(0, size))
        elif how == 8:
            f[20:22] = self.pick(b"\x20\0", b"\0\x01", b"\x80\0", b"\x40\0", b"\x1f\xff")
        elif how == 9:
            f[23] = self.pick(1, 6, 17, 2, 47, 0)
        elif how == 10 and len(f) > 48:
            at = self.pick(46, 47, 38, 39, 36, 34, 35)
            f[at] = r(256)
        else:
            at = 14 + r(20)
            f[at] ^= 1 << r(8)
        size = max(20, min((f[14] & 15) * 4, len(f) - 14))
        f[24:26] = b"\0\0"
        f[24:26] = p2(checksum(bytes(f[14 : 14 + size])))
        return bytes(f)

    # -- time, and the firmware --
    def edge(self) -> list[Step]:
        """To the last moment of something, or the one after it."""
        m, limits, more = self.model, self.model.limits, self.pick(-1, 0, 0, 1, 1)
        ends = [(f.seen, m.table.lifetime(f)) for f in m.table.flows] + [(x.seen, x.ttl) for x in m.leases.all()]
        arp = [
            (x.time, limits.ARP_RETRY_MS if x.tries else limits.ARP_FRESH_MS) for x in m.peers.all() if x.tries or x.mac
        ]
        asked = [(t, limits.ARP_ASKED_MS) for _, t in m.asked.open] + [(m.dhcp_asked or 0, limits.DHCP_ASKED_MS)]
        parts = [(d.begun, limits.FRAG_TIME_MS) for d in m.fragments.on_their_way]
        begun, ms = self.rng.choice(self.pick(ends or arp or asked, arp or asked, asked, parts or asked))
        left = begun + ms - self.c.now + more
        steps: list[Step] = [(self.pick("jump", "wait"), left)] if left > 0 else []
        c = m.config
        for a, _ in m.asked.open[-1:]:
            answer = arp_message(2, self.mac_of(a), a, c.uplink_mac, c.addr)
            steps.append(("frame", "uplink", link(c.uplink_mac, self.mac_of(a), 0x806, answer)))
        offer = ip(ROUTER, c.addr, UDP, udp(ROUTER, 67, c.addr, 68, b"offer"))
        if self.to_come and self.chance(60):
            steps += self.to_come[-1][:2]
        steps.append(("frame", "uplink", link(c.uplink_mac, ROUTER_MAC, 0x800, offer)))
        return [*steps, *self.pick(self.talk, self.talk, self.fragments)()]

    def time(self) -> list[Step]:
        if self.chance(30):
            return self.edge()
        if self.chance(40):
            return [("jump", self.pick(1, 10, 99, 500, 1000)), *self.answer_arp()]
        ms = self.pick(100, 1000, 1000, 3000, 5000, 10_000, 29_000, 30_000, 60_000, 60_001, 240_001, 300_001, 3_600_000)
        if self.chance(4):
            ms = self.pick(7_440_000, 7_440_001, 4_000_000)
        return [("wait", ms), *self.answer_arp(), *self.answer_arp()]

    def control(self) -> list[Step]:
        what = self.rng.choices(
            ("lease", "renew", "end", "configure", "speaker", "services", "take", "send", "mac"),
            (8, 2, 3, 3, 1, 3, 2, 1, 2),
        )[0]
        return [getattr(self, "do_" + what)()]

    def do_lease(self) -> Step:
        addr = self.any_address() if self.chance(30) else self.pick(*PHONES, *FAR_PHONES)
        mac = self.pick(PHONES.get(addr), PHONES.get(addr), PHONES.get(addr), None, ATTACKER_MAC)
        if self.chance(2):
            mac = BROADCAST_MAC
        return ("lease_add", addr, mac, self.pick(10, 60, 600, 43200, 43200, 43200, 0, 2**32 - 1))

    def leased(self) -> int:
        return int(self.pick(*([x.addr for x in self.model.leases.all()] or PHONES), *PHONES))

    def do_renew(self) -> Step:
        return ("lease_renew", self.leased(), self.pick(10, 600, 43200, 2**32 - 1))

    def do_end(self) -> Step:
        return ("lease_end", self.leased())

    def do_configure(self) -> Step:
        change = self.pick(
            "router",
            "dns",
            "hosts",
            "claim",
            "addr",
            "mask",
            "segment",
            *["private", "guard", "none"] * 2,
            *["back"] * 5,
        )
        new = {
            "router": {"router": self.pick(ip4("10.66.0.9"), 0, ip4("10.1.1.1"))},
            "dns": {
                "dns": self.pick((), (DNS,), (ip4("8.8.8.8"), ROUTER), (ip4("192.168.1.1"), DNS, ip4("10.66.2.9")))
            },
            "claim": {"claim_port": self.pick(0, 7781)},
            "addr": {"addr": ip4("10.66.0.78"), "speaker": ip4("10.66.0.78")},
            "mask": {"mask": ip4("255.255.255.0")},
            "hosts": {"hosts": self.pick((), (ip4("10.66.1.50"),), (ip4("192.168.1.1"), ip4("10.66.1.51"), DNS))},
            "segment": {"host": ip4("10.177.77.1"), "alias": ip4("10.177.77.2"), "speaker": ip4("10.177.77.2")},
            "guard": {"speaker": self.changes.get("alias", DEFAULT.alias), "guard": True},
            "private": {"speaker": DEFAULT.alias},
            "none": {"addr": 0, "mask": 0, "router": 0, "dns": (), "speaker": DEFAULT.alias, "guard": False},
            "back": {},
        }[change]
        self.changes = {} if change == "back" else {**self.changes, **new}
        return ("configure", dict(self.changes))

    def do_speaker(self) -> Step:
        return ("speaker", self.pick(None, SPEAKER_MAC, SPEAKER_MAC, SPEAKER_MAC, hw(0x21)))

    def do_services(self) -> Step:
        some = [(TCP, 1400), (TCP, 1443), (UDP, 319), (UDP, 1900), (TCP, 7780), (TCP, 5000), (ICMP, 8), (TCP, 0)]
        n = self.rng.choices((0, 1, 2, 3, 4), (1, 4, 4, 3, 1))[0]
        return ("services", [(TCP, 1400), *self.rng.sample(some, n)] if self.chance(70) else self.rng.sample(some, n))

    def do_take(self) -> Step:
        return ("dhcp_take", self.pick(1500, 1500, 299, 300))

    def do_send(self) -> Step:
        payload = (
            bytes(self.rng.randrange(256) for _ in range(self.pick(1, 300, 301)))
            if self.chance(80)
            else bytes(self.pick(1472, 1473))
        )
        return ("dhcp_send", payload, self.pick(SPEAKER_MAC, None), self.pick(X, BROADCAST))

    def do_mac(self) -> Step:
        flows = [f for f in self.model.table.flows if f.owner == HOST]
        if not flows:
            return ("flow_mac", TCP, ROUTER, 1, 2)
        f = self.rng.choice(flows)
        return ("flow_mac", f.proto, f.raddr, f.rport, f.lport)

    # -- all --
    def beginning(self) -> list[Step]:
        """Mostly a bridge at work; sometimes anything."""
        if self.chance(5):
            return []
        steps: list[Step] = [("configure", {}), ("speaker", SPEAKER_MAC)]
        for addr in list(PHONES)[: self.rng.randrange(4)]:
            steps.append(("lease_add", addr, PHONES[addr], 43200))
        return steps

    def next(self) -> list[Step]:
        weights = [w for w, _ in self.kinds]
        (kind,) = self.rng.choices([k for _, k in self.kinds], weights)
        steps = kind()
        if self.chance(30):
            steps.insert(0, ("jump", self.pick(1, 20, 50, 100, 300)))
        if self.chance(60):
            steps += self.answer_arp()
        if self.chance(10) and not self.model.config.addr:
            self.changes = {}
            steps.append(("configure", {}))
        if self.chance(15) and self.model.speaker_mac is None:
            steps.append(("speaker", SPEAKER_MAC))
        return steps


def X_of(w: Writer) -> int:  # noqa: N802 -- the specification's name
    return int(w.model.config.addr)
