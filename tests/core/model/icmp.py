"""ICMP errors: what they quote must be a frame of a known flow (SPEC 4.2, 4.3; RFC 5508, RFC 5927)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .packet import ICMP, TCP, UDP, Drop, Packet, checksum, p2, rewrite

if TYPE_CHECKING:
    from .flows import Flow
    from .model import Model

ERRORS = (3, 11, 12)
ECHO_REPLY, ECHO = 0, 8


@dataclass
class Quoted:
    """The packet inside an error; as much of it as there is."""

    data: bytes
    src: int
    dst: int
    proto: int
    sport: int  # ICMP: the identifier, in both
    dport: int

    @property
    def l4(self) -> bytes:
        return self.data[20:]


def quoted(p: Packet) -> Quoted:
    data = p.l4[8:]
    if (
        len(data) < 28
        or data[0] != 0x45
        or int.from_bytes(data[6:8], "big") & 0x1FFF
        or data[9] not in (TCP, UDP, ICMP)
    ):
        raise Drop("drop_icmp_inner")
    if checksum(data[:20]) != 0:
        raise Drop("drop_icmp_inner")
    l4 = data[20:]
    src, dst = int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")
    if data[9] == ICMP:
        if l4[0] not in (ECHO, ECHO_REPLY):
            raise Drop("drop_icmp_inner")
        n = int.from_bytes(l4[4:6], "big")
        return Quoted(data, src, dst, ICMP, n, n)
    return Quoted(data, src, dst, data[9], int.from_bytes(l4[0:2], "big"), int.from_bytes(l4[2:4], "big"))


def quoted_flow(m: Model, p: Packet, owner: int, addr: int) -> tuple[Quoted, Flow]:
    """Of an error that an owner sends to the uplink: the packet that `addr` got, and its flow (SPEC 4.3, 4.4)."""
    q = quoted(p)
    if q.dst != addr or q.src != p.dst:
        raise Drop("drop_icmp_inner")
    if q.proto == ICMP and q.l4[0] != ECHO_REPLY:
        raise Drop("drop_no_flow")
    f = m.table.outgoing(owner, q.proto, q.src, 0 if q.proto == ICMP else q.sport, q.dport, m.now)
    if f is None:
        raise Drop("drop_no_flow")
    if f.connection and not f.connection.quoted(0, int.from_bytes(q.l4[4:8], "big")):
        raise Drop("drop_tcp_window")
    if not m.rate["ICMP_ERROR_OUT"].take(m.now):
        raise Drop("drop_rate_icmp_error")
    return q, f


def with_inner(p: Packet, inner: bytes, **outer: int | None) -> bytes:
    """The error with another packet inside; outer addresses and TTL as given. The ICMP checksum is made anew."""
    l4 = p.l4[:2] + b"\0\0" + p.l4[4:8] + inner
    body = p.data[: p.header] + l4[:2] + p2(checksum(l4)) + l4[4:]
    return rewrite(body, p.header, **outer)
