"""Fragments, translated one by one (SPEC 4.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .packet import ICMP, UDP, Drop, Packet, a4, adjust, check_l4, is_group_mac, link, p2, read_header

if TYPE_CHECKING:
    from .leases import Lease
    from .model import Model
    from .peers import Peer

Rules = Callable[["Model", Packet], str]
PHONE, KNOWN, STRANGER = "PHONES", "KNOWN", "STRANGERS"


@dataclass
class Way:
    """How the first fragment went."""

    src: int
    dst: int
    lowered: bool
    port: str
    verdict: str
    peer: Lease | Peer | None  # the neighbour that the filter chose


@dataclass(eq=False)
class Datagram:
    key: tuple[str, bytes, int, int, int, int]
    rank: str
    place: int
    begun: int
    come: set[int] = field(default_factory=set)  # units of 8 bytes
    top: int = 0  # the largest end
    total: int | None = None
    ident: int | None = None  # as it leaves; None: as it came
    way: Way | None = None
    over: bool = False
    lost: bool = False  # one that came did not pass


@dataclass
class Piece:
    packet: Packet
    start: int
    more: bool

    @property
    def end(self) -> int:
        return self.start + len(self.packet.l4)

    @property
    def udp_length(self) -> int:
        return int.from_bytes(self.packet.l4[4:6], "big")


class Fragments:
    def __init__(self, m: Model) -> None:
        self.m = m
        self.rate = m.bucket("FRAGMENT")
        self.on_their_way: list[Datagram] = []
        self.held: dict[str, list[tuple[Datagram, Piece] | None]] = {
            PHONE: [None] * m.limits.HELD_PHONES,
            KNOWN: [None] * m.limits.HELD_KNOWN,
            STRANGER: [],
        }
        self.next_ident: int | None = None

    # -- where datagrams have their places --
    def forget(self, d: Datagram) -> None:
        self.late(d)
        self.on_their_way.remove(d)

    def forget_all(self) -> None:
        for d in list(self.on_their_way):
            self.forget(d)

    def late(self, d: Datagram) -> None:
        """Nothing goes before what waits."""
        self.m.count["drop_fragment_late"] += len(self.take_held(d))

    def take_held(self, d: Datagram) -> list[Piece]:
        places = self.held[d.rank]
        pieces = [x[1] for x in places if x is not None and x[0] is d]
        self.held[d.rank] = [None if x is not None and x[0] is d else x for x in places]
        return pieces

    def time_over(self) -> None:
        for d in list(self.on_their_way):
            if self.m.now - d.begun > self.m.limits.FRAG_TIME_MS:
                self.forget(d)

    def rank_of(self, port: str, p: Packet) -> str:
        m = self.m
        if port != "uplink":
            return KNOWN
        lease = m.lease_of(p.src)
        if lease:
            if lease.mac in (None, p.came_from):
                return PHONE
            m.events |= 4
            return STRANGER
        if not self.rate.take(m.now):
            return STRANGER
        known = any(f.raddr == p.src and not m.table.over(f, m.now) for f in m.table.flows)
        return KNOWN if known else STRANGER

    def of(self, port: str, piece: Piece) -> Datagram:
        """The datagram that a fragment belongs to; it may begin with it."""
        m, p = self.m, piece.packet
        self.time_over()
        key = (port, p.came_from, p.src, p.dst, p.ident, p.proto)
        for d in self.on_their_way:
            if d.key == key:
                return d
        rank = self.rank_of(port, p)
        if rank == STRANGER and piece.start:
            raise Drop("drop_fragment_unknown")
        of_rank = [d for d in self.on_their_way if d.rank == rank]
        free = set(range(getattr(m.limits, "FRAGS_" + rank))) - {d.place for d in of_rank}
        if not free:
            oldest = min(of_rank, key=lambda d: (d.begun, d.place))
            self.forget(oldest)
            free = {oldest.place}
        d = Datagram(key, rank, min(free), m.now)
        self.on_their_way.append(d)
        return d

    def new_ident(self) -> int:
        if self.next_ident is None:
            self.next_ident = self.m.choices.fragment_ident()
        ident = self.next_ident
        self.next_ident = (ident + 1) % 65536
        return ident

    # -- one fragment --
    def input(self, port: str, piece: Piece, rules: Rules) -> str:
        self.shape(piece)
        d = self.of(port, piece)
        self.compare(d, piece)
        if piece.start == 0:
            return self.first(port, d, piece, rules)
        if d.way is None:
            return self.hold(d, piece)
        try:
            verdict = self.later(d, d.way, piece)
        except Drop:
            d.lost = True
            raise
        self.whole(d)
        return verdict

    def shape(self, piece: Piece) -> None:
        p, limits, size = piece.packet, self.m.limits, len(piece.packet.l4)
        good = (
            not p.data[6] & 0x80
            and p.proto in (UDP, ICMP)
            and size >= 1
            and not (piece.more and size % 8)
            and piece.end <= limits.FRAG_MAX
            and not is_group_mac(p.to)
            and p.dst >> 24 < 224
        )
        if good and piece.start == 0:
            if size < limits.FRAG_FIRST:
                good = False
            elif p.proto == UDP:
                good = piece.end < piece.udp_length <= limits.FRAG_MAX and p.dport not in (67, 68)
            else:
                good = p.icmp_type in (8, 0)
        if not good:
            raise Drop("drop_fragment")

    def compare(self, d: Datagram, piece: Piece) -> None:
        """With what has come."""
        units = set(range(piece.start // 8, (piece.end + 7) // 8))
        totals = {d.total} - {None}
        if not piece.more:
            totals.add(piece.end)
        if piece.start == 0 and piece.packet.proto == UDP:
            totals.add(piece.udp_length)
        top = max(d.top, piece.end)
        if d.over or units & d.come or len(totals) > 1 or any(t is not None and top > t for t in totals):
            d.over = True
            self.late(d)
            raise Drop("drop_fragment_overlap")
        d.come |= units
        d.top = top
        d.total = next(iter(totals), None)

    def whole(self, d: Datagram) -> None:
        """With each of its bytes come once and passed, it is forgotten."""
        if d.total is not None and len(d.come) == (d.total + 7) // 8 and not d.lost and d in self.on_their_way:
            self.forget(d)

    def hold(self, d: Datagram, piece: Piece) -> str:
        places = self.held[d.rank]
        if None not in places:
            d.lost = True
            raise Drop("drop_fragments_full")
        places[places.index(None)] = (d, piece)
        return "fragments_held"

    def first(self, port: str, d: Datagram, piece: Piece, rules: Rules) -> str:
        m, p = self.m, piece.packet
        if port in ("segment", "host_uplink"):
            d.ident = self.new_ident()
        m.peers.sent.clear()
        try:
            verdict = rules(m, Packet(p.to, p.came_from, with_header(p, ident=d.ident), p.header))
        except Drop:
            if d in self.on_their_way:
                self.forget(d)
            raise
        if d not in self.on_their_way:  # a lease ended meanwhile
            return verdict
        peer: Lease | Peer | None = None
        if m.peers.sent:
            ((peer, body),) = m.peers.sent
            leaves = "uplink"
            passed = "pass_speaker_uplink" if port == "segment" else "pass_host_uplink"
        else:
            leaves, frame = m.out[-1]
            body, passed = frame[14:], verdict
        src, dst = int.from_bytes(body[12:16], "big"), int.from_bytes(body[16:20], "big")
        d.way = Way(src, dst, body[8] != p.ttl, leaves, passed, peer)
        for waiting in self.take_held(d):
            try:
                got = self.later(d, d.way, waiting)
                if got == "frames_pending":
                    m.count[got] += 1
            except Drop as drop:
                d.lost = True
                m.count[drop.counter] += 1
        self.whole(d)
        return verdict

    def later(self, d: Datagram, way: Way, piece: Piece) -> str:
        ttl = self.m.need_ttl(piece.packet) if way.lowered else piece.packet.ttl
        data = with_header(piece.packet, ident=d.ident, src=way.src, dst=way.dst, ttl=ttl)
        if way.peer:
            return self.m.peers.send(way.peer, data, way.verdict)
        if way.port == "segment":
            self.m.to_speaker(data)
        else:
            self.m.out.append((way.port, link(piece.packet.to, piece.packet.came_from, 0x0800, data)))
        return way.verdict


def with_header(
    p: Packet, *, ident: int | None, src: int | None = None, dst: int | None = None, ttl: int | None = None
) -> bytes:
    """A packet with another IP header; what is behind it stays."""
    head = bytearray(p.data[: p.header])
    before = bytes(head)
    if ident is not None:
        head[4:6] = p2(ident)
    if src is not None:
        head[12:16] = a4(src)
    if dst is not None:
        head[16:20] = a4(dst)
    if ttl is not None:
        head[8] = ttl
    head[10:12] = p2(adjust(int.from_bytes(head[10:12], "big"), before, bytes(head)))
    return bytes(head) + p.data[p.header :]


def read_and_judge(m: Model, port: str, frame: bytes, rules: Rules) -> str:
    """An IP packet, or a fragment of one."""
    p = read_header(frame)
    field = int.from_bytes(p.data[6:8], "big")
    if not field & ~0x4000:
        check_l4(p)
        return rules(m, p)
    return m.fragments.input(port, Piece(p, (field & 0x1FFF) * 8, bool(field & 0x2000)), rules)
