"""Frames: reading them (SPEC 4.1), and changing them as the filter does."""

import struct
from dataclasses import dataclass

TCP, UDP, ICMP, IGMP = 6, 17, 1, 2
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ZERO_MAC, BROADCAST_MAC = bytes(6), b"\xff" * 6
BROADCAST = 0xFFFFFFFF
SSDP_GROUP, MDNS_GROUP = 0xEFFFFFFA, 0xE00000FB


class Drop(Exception):
    """The frame's verdict is a drop, under this counter."""

    def __init__(self, counter: str) -> None:
        super().__init__(counter)
        self.counter = counter


def is_group_mac(mac: bytes) -> bool:
    return bool(mac[0] & 1)


def ones_sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    return ~ones_sum(data) & 0xFFFF


def adjust(old: int, before: bytes, after: bytes) -> int:
    """RFC 1624, equation 3: a checksum after the words `before` became `after`."""
    if before == after:
        return old
    total = ~old & 0xFFFF
    for a, b in zip(
        struct.unpack(f">{len(before) // 2}H", before), struct.unpack(f">{len(after) // 2}H", after), strict=True
    ):
        total += (~a & 0xFFFF) + b
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def a4(n: int) -> bytes:
    return n.to_bytes(4, "big")


def p2(n: int) -> bytes:
    return n.to_bytes(2, "big")


@dataclass
class Packet:
    """An IPv4 packet that passed the checks of SPEC 4.1. `data` ends where its total length says."""

    to: bytes
    came_from: bytes
    data: bytes
    header: int  # length of the IP header

    @property
    def src(self) -> int:
        return int.from_bytes(self.data[12:16], "big")

    @property
    def dst(self) -> int:
        return int.from_bytes(self.data[16:20], "big")

    @property
    def ident(self) -> int:
        return int.from_bytes(self.data[4:6], "big")

    @property
    def proto(self) -> int:
        return self.data[9]

    @property
    def ttl(self) -> int:
        return self.data[8]

    @property
    def l4(self) -> bytes:
        return self.data[self.header :]

    @property
    def sport(self) -> int:
        return int.from_bytes(self.l4[0:2], "big")

    @property
    def dport(self) -> int:
        return int.from_bytes(self.l4[2:4], "big")

    @property
    def udp_payload(self) -> bytes:
        return self.l4[8:]

    # TCP
    @property
    def seq(self) -> int:
        return int.from_bytes(self.l4[4:8], "big")

    @property
    def ack(self) -> int:
        return int.from_bytes(self.l4[8:12], "big")

    @property
    def flags(self) -> int:
        return self.l4[13] & (FIN | SYN | RST | ACK)

    @property
    def is_syn(self) -> bool:
        """A TCP segment that may begin a connection."""
        return self.proto == TCP and self.flags == SYN

    @property
    def tcp_payload(self) -> int:
        return len(self.l4) - (self.l4[12] >> 4) * 4

    @property
    def window_scale(self) -> int | None:
        return window_scale(self.l4[20 : (self.l4[12] >> 4) * 4])

    # ICMP
    @property
    def icmp_type(self) -> int:
        return self.l4[0]

    @property
    def icmp_id(self) -> int:
        return int.from_bytes(self.l4[4:6], "big")


def window_scale(options: bytes) -> int | None:
    """RFC 7323: at most 14. None without the option, or where the options before it cannot be read."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2 or at + options[at + 1] > len(options):
            return None
        if options[at] == 3 and options[at + 1] == 3:
            return min(options[at + 2], 14)
        at += options[at + 1]
    return None


def read_header(frame: bytes) -> Packet:
    """SPEC 4.1, from the IP version to the header's checksum; the order of the checks is the table's."""
    if len(frame) < 34:
        raise Drop("drop_short")
    ip = frame[14:]
    if ip[0] >> 4 != 4 or ip[0] & 15 < 5:
        raise Drop("drop_ip_header")
    header = (ip[0] & 15) * 4
    if header > 20:
        raise Drop("drop_ip_options")
    total = int.from_bytes(ip[2:4], "big")
    if total < header or total > len(ip):
        raise Drop("drop_ip_length")
    if checksum(ip[:header]) != 0:
        raise Drop("drop_ip_checksum")
    return Packet(frame[0:6], frame[6:12], ip[:total], header)


_FLAGS = {SYN, SYN | ACK, ACK, FIN | ACK, RST, RST | ACK}


def check_l4(p: Packet) -> None:
    """The rest of the table, for what is whole."""
    l4 = p.l4
    if p.proto == TCP:
        if len(l4) < 20 or not 20 <= (l4[12] >> 4) * 4 <= len(l4):
            raise Drop("drop_l4_length")
        if p.flags not in _FLAGS:
            raise Drop("drop_tcp_flags")
    elif p.proto == UDP:
        if len(l4) < 8 or int.from_bytes(l4[4:6], "big") != len(l4):
            raise Drop("drop_l4_length")
    elif p.proto == ICMP:
        if len(l4) < 8:
            raise Drop("drop_l4_length")
        if checksum(l4) != 0:
            raise Drop("drop_icmp_checksum")
    else:
        raise Drop("drop_protocol")


def rewrite(
    data: bytes,
    header: int,
    *,
    src: int | None = None,
    dst: int | None = None,
    sport: int | None = None,
    dport: int | None = None,
    ttl: int | None = None,
) -> bytes:
    """An IP packet with other addresses, ports (ICMP: either is the identifier) and TTL; its checksums follow."""
    ip, l4 = bytearray(data[:header]), bytearray(data[header:])
    before = bytes(ip)
    if ttl is not None:
        ip[8] = ttl
    if src is not None:
        ip[12:16] = a4(src)
    if dst is not None:
        ip[16:20] = a4(dst)
    ip[10:12] = p2(adjust(int.from_bytes(ip[10:12], "big"), before, bytes(ip)))
    pseudo_before, pseudo_after = before[12:20], bytes(ip[12:20])
    proto = ip[9]
    l4_before = bytes(l4)
    if proto == ICMP:
        identifier = sport if sport is not None else dport
        if identifier is not None:
            l4[4:6] = p2(identifier)
            l4[2:4] = p2(adjust(int.from_bytes(l4[2:4], "big"), l4_before[4:6], bytes(l4[4:6])))
        return bytes(ip + l4)
    if sport is not None:
        l4[0:2] = p2(sport)
    if dport is not None:
        l4[2:4] = p2(dport)
    at = 16 if proto == TCP else 6
    if len(l4) >= at + 2:  # what an ICMP error quotes may end before
        old = int.from_bytes(l4[at : at + 2], "big")
        if proto == TCP or old != 0:
            new = adjust(old, pseudo_before + l4_before[:4], pseudo_after + bytes(l4[:4]))
            if proto == UDP and new == 0:
                new = 0xFFFF
            l4[at : at + 2] = p2(new)
    return bytes(ip + l4)


def ip_packet(src: int, dst: int, proto: int, l4: bytes) -> bytes:
    """A packet that the filter makes itself."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(l4), 0, 0, 64, proto, 0, a4(src), a4(dst))
    return head[:10] + p2(checksum(head)) + head[12:] + l4


def with_l4_sum(src: int, dst: int, proto: int, l4: bytes, at: int) -> bytes:
    value = checksum(a4(src) + a4(dst) + struct.pack(">BBH", 0, proto, len(l4)) + l4)
    if proto == UDP and value == 0:
        value = 0xFFFF
    return l4[:at] + p2(value) + l4[at + 2 :]


def reset(src: int, sport: int, dst: int, dport: int, seq: int) -> bytes:
    l4 = struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 0x50, RST, 0, 0, 0)
    return ip_packet(src, dst, TCP, with_l4_sum(src, dst, TCP, l4, 16))


def link(to: bytes, came_from: bytes, kind: int, body: bytes) -> bytes:
    return to + came_from + p2(kind) + body


def arp_message(op: int, sha: bytes, spa: int, tha: bytes, tpa: int) -> bytes:
    return struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, op, sha, a4(spa), tha, a4(tpa))
