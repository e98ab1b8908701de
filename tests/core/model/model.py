"""The filter's state, its control calls, and what all rules use."""

from collections import defaultdict, deque
from collections.abc import Callable

from . import addresses
from .config import Config, Limits
from .flows import HOST, SPEAKER, Choices, Flow, Table
from .fragments import Fragments
from .leases import Lease, Leases
from .packet import (
    BROADCAST_MAC,
    ICMP,
    TCP,
    UDP,
    ZERO_MAC,
    Drop,
    Packet,
    ip_packet,
    is_group_mac,
    link,
    reset,
    with_l4_sum,
)
from .peers import Asked, Peer, Peers
from .rates import Bucket
from .tcp import Connection

EVENT_DHCP, EVENT_LEASE_ENDED, EVENT_LEASE_MAC, EVENT_SEGMENT_MAC = 1, 2, 4, 8


class Model:
    def __init__(self, limits: Limits, choices: Choices, now: int) -> None:
        self.limits, self.choices, self.now = limits, choices, now
        self.count: dict[str, int] = defaultdict(int)
        self.out: list[tuple[str, bytes]] = []
        self.some_of: list[tuple[int, list[tuple[str, bytes]]]] = []  # so many of these go out, too
        self.events = 0
        self.config = Config(ZERO_MAC, ZERO_MAC)
        self.speaker_mac: bytes | None = None
        self.services: set[tuple[int, int]] = {(TCP, 1400)}
        self.table = Table(limits, self.count, self.claim_goes)
        self.leases = Leases(limits.LEASES)
        self.peers = Peers(self)
        self.asked = Asked(limits.ASKED, limits.ARP_ASKED_MS)
        self.dhcp_asked: int | None = None
        self.dhcp: deque[bytes] = deque()
        rates = ("EGRESS", "CALLBACK", "ECHO", "NOTIFY", "RESET")
        self.rate = {name: self.bucket(name) for name in rates}
        self.rate["ICMP_ERROR_IN"] = self.bucket("ICMP_ERROR")
        self.rate["ICMP_ERROR_OUT"] = self.bucket("ICMP_ERROR")
        self.claim_rate: dict[tuple[bool, int], Bucket] = {}  # by whether they are elsewhere, and the group
        self.claims_rate = {elsewhere: self.bucket("CLAIMS") for elsewhere in (False, True)}
        self.fragments = Fragments(self)

    def bucket(self, name: str) -> Bucket:
        return Bucket(getattr(self.limits, "RATE_" + name), getattr(self.limits, "BURST_" + name), self.now)

    def bucket_at_start(self, name: str) -> Bucket:
        """One that nobody has taken from yet: full."""
        return self.bucket(name)

    # -- frames --
    def input(self, port: str, frame: bytes, now: int) -> str:
        """One frame: the counter that it raised."""
        from . import host, segment, uplink

        self.now = now
        rules = {
            "uplink": uplink.rules,
            "segment": segment.rules,
            "host_uplink": host.uplink_rules,
            "host_segment": host.segment_rules,
        }
        try:
            verdict = rules[port](self, frame)
        except Drop as drop:
            verdict = drop.counter
        self.count[verdict] += 1
        return verdict

    def link_checks(self, frame: bytes) -> int:
        """Lengths; the ethertype."""
        if len(frame) < 14:
            raise Drop("drop_short")
        if len(frame) > self.limits.FRAME_MAX:
            raise Drop("drop_long")
        return int.from_bytes(frame[12:14], "big")

    def kinds(self, kind: int, host: bool = False) -> None:
        if kind == 0x86DD:
            raise Drop("drop_ipv6")
        if kind in (0x8100, 0x88A8) and not host:
            raise Drop("drop_vlan")
        if kind not in (0x0800, 0x0806):
            raise Drop("drop_ethertype")

    def need_ttl(self, p: Packet) -> int:
        if p.ttl < 2:
            raise Drop("drop_ttl")
        return p.ttl - 1

    # -- sending --
    def send(self, port: str, to: bytes, body: bytes, kind: int = 0x0800) -> None:
        mac = {
            "uplink": self.config.uplink_mac,
            "segment": self.config.segment_mac,
        }[port]
        self.out.append((port, link(to, mac, kind, body)))

    def to_speaker(self, body: bytes) -> None:
        assert self.speaker_mac is not None
        self.send("segment", self.speaker_mac, body)

    # -- time --
    def tick(self, now: int) -> None:
        self.now = now
        for lease in self.leases.all():
            if lease.over(now):
                self.lease_over(lease)
        self.table.sweep(now)
        self.peers.tick()
        self.fragments.time_over()

    # -- leases --
    def lease_of(self, addr: int) -> Lease | None:
        """A lease that lasts; one whose time is over ends here, if no tick came by before."""
        lease = self.leases.find(addr)
        if lease and lease.over(self.now):
            self.lease_over(lease)
            return None
        return lease

    def lease_over(self, lease: Lease) -> None:
        self.count["leases_expired"] += 1
        self.events |= EVENT_LEASE_ENDED
        self.end_lease(lease)

    def end_lease(self, lease: Lease) -> int:
        n = self.end_flows(lambda f: f.peer is lease)
        self.peers.forget(lease.peer)
        self.leases.remove(lease)
        self.fragments.forget_all()
        return n

    def end_flows(self, which: Callable[[Flow], bool]) -> int:
        """Their owners are told of TCP connections of which the remote's SYN was seen.

        Where the rate does not allow them all, it is open which ones."""
        flows = [f for f in self.table.flows if which(f)]
        resets = []
        for f in flows:
            self.table.remove(f)
            self.count["flows_ended"] += 1
            if f.connection and f.connection.syn[0] and not f.connection.reset:
                resets += self.reset_of(f)
        sent = sum(self.may_reset() for _ in resets)
        if sent == len(resets):
            self.out += resets
        elif sent:
            self.some_of.append((sent, resets))
        return len(flows)

    def reset_of(self, f: Flow) -> list[tuple[str, bytes]]:
        """A RST for a flow's owner, with exactly the number that is expected next."""
        assert f.connection is not None
        c, seq = self.config, f.connection.end[0]
        if f.owner == SPEAKER:
            if self.speaker_mac is None:
                return []
            body = reset(f.raddr, f.rport, c.speaker, f.lport, seq)
            return [("segment", link(self.speaker_mac, c.segment_mac, 0x0800, body))]
        assert f.lease is not None
        body = reset(f.raddr, f.rport, c.addr, f.lport, seq)
        mac = f.lease.mac or f.lease.peer.mac or ZERO_MAC
        return [("host_uplink", link(c.uplink_mac, mac, 0x0800, body))]

    def claim_goes(self, f: Flow) -> None:
        """The host is told of a connection to the claim port that gives way: by what it expects of one half open."""
        assert f.connection is not None and f.mac is not None
        if not all(f.connection.fin):
            body = reset(f.raddr, f.rport, self.config.addr, f.lport, f.next)
            self.out.append(("host_uplink", link(self.config.uplink_mac, f.mac, 0x0800, body)))
            self.count["reset_sent"] += 1

    def may_reset(self) -> bool:
        if not self.rate["RESET"].take(self.now):
            return False
        self.count["reset_sent"] += 1
        return True

    def reset_speaker(self, src: int, sport: int, dport: int, seq: int) -> None:
        if self.speaker_mac is not None and self.may_reset():
            self.to_speaker(reset(src, sport, self.config.speaker, dport, seq))

    def lease_add(self, addr: int, mac: bytes | None, ttl_s: int, now: int) -> int:
        self.now = now
        c = self.config
        bad = c.addr == 0 or addresses.no_ones_source(c, addr) or (mac is not None and is_group_mac(mac))
        if bad:
            return -2
        ttl = min(ttl_s, self.limits.LEASE_MAX_S) * 1000
        old = self.lease_of(addr)
        if old and old.mac == mac:
            old.ttl, old.seen = ttl, now
            return self.leases.places.index(old)
        if old:
            self.end_lease(old)
        place = self.leases.add(Lease(addr, mac, ttl, now, self.bucket("CLAIM"), self.bucket("SEARCH"), Peer(addr)))
        return -1 if place is None else place

    def lease_renew(self, addr: int, ttl_s: int, now: int) -> bool:
        self.now = now
        lease = self.lease_of(addr)
        if lease is None:
            return False
        lease.ttl, lease.seen = min(ttl_s, self.limits.LEASE_MAX_S) * 1000, now
        return True

    def lease_end(self, addr: int, now: int) -> int:
        self.now = now
        lease = self.lease_of(addr)
        return self.end_lease(lease) if lease else 0

    # -- control --
    def configure(self, config: Config, now: int) -> None:
        self.now = now
        old = self.config
        uplink = (old.addr, old.mask, old.router) != (config.addr, config.mask, config.router)
        mode = (old.speaker, old.guard, old.host, old.alias) != (
            config.speaker,
            config.guard,
            config.host,
            config.alias,
        )
        if uplink or mode:
            self.end_flows(lambda f: f.owner == SPEAKER or f.lease is not None)
            self.fragments.forget_all()
        if uplink:
            for lease in self.leases.all():
                self.end_lease(lease)
            for f in list(self.table.flows):  # the host's own
                self.table.remove(f)
            for peer in self.peers.all():
                self.peers.forget(peer)
        self.config = config
        self.peers.configure()

    def speaker(self, mac: bytes | None, now: int) -> None:
        self.now = now
        if mac == self.speaker_mac:
            return
        self.end_flows(lambda f: f.owner == SPEAKER)
        if self.speaker_mac is not None:
            self.fragments.forget_all()
        self.speaker_mac = mac

    def set_services(self, services: list[tuple[int, int]], now: int) -> bool:
        self.now = now
        if len(services) > self.limits.SERVICES or any(p not in (TCP, UDP) or q == 0 for p, q in services):
            return False
        self.services = set(services)
        self.end_flows(lambda f: f.inbound and f.lease is not None and (f.proto, f.eport) not in self.services)
        self.fragments.forget_all()
        return True

    def dhcp_take(self, room: int) -> bytes:
        while self.dhcp:
            message = self.dhcp.popleft()
            if len(message) <= room:
                return message
            self.count["drop_dhcp_full"] += 1
        return b""

    def dhcp_send(self, payload: bytes, mac: bytes | None, addr: int) -> bool:
        if len(payload) > self.limits.FRAME_MAX - 42:
            return False
        c = self.config
        l4 = (
            (67).to_bytes(2, "big")
            + (68).to_bytes(2, "big")
            + (8 + len(payload)).to_bytes(2, "big")
            + b"\0\0"
            + payload
        )
        body = ip_packet(c.host, addr, UDP, with_l4_sum(c.host, addr, UDP, l4, 6))
        self.send("segment", mac or BROADCAST_MAC, body)
        return True

    def flow_mac(self, proto: int, raddr: int, rport: int, lport: int, now: int) -> bytes | None:
        """Where a claim came from; None if that is a router's MAC."""
        self.now = now
        f = self.table.outgoing(HOST, proto, raddr, rport, lport, now)
        if f is None or not f.claim or not self.config.in_subnet(raddr):
            return None
        router = self.peers.router
        return None if raddr != router.addr and router.mac == f.mac else f.mac

    # -- flows --
    def new_flow(self, owner: int, p: Packet, peer: Lease | Peer | None, *, inbound: bool, claim: bool = False) -> Flow:
        """A flow for a packet that begins one."""
        raddr, rport, lport = (p.src, p.sport, p.dport) if inbound else (p.dst, p.dport, p.sport)
        if p.proto == ICMP:
            rport, lport = 0, p.icmp_id
        if owner == SPEAKER:
            self.need_ttl(p)
        f = Flow(owner, p.proto, raddr, rport, lport, 0, self.now, peer=peer, inbound=inbound, claim=claim)
        if p.proto == TCP:
            f.connection = Connection(0 if inbound else 1, checked=not claim)
        self.table.add(f, self.choices, self.reserved)
        return f

    def reserved(self, f: Flow, port: int) -> bool:
        """Is a port at X the other owner's, whoever comes first?"""
        c = self.config
        hosts = [(TCP, c.claim_port), (UDP, 67), (UDP, 68)] + [(TCP, 1400), (UDP, 1900)] * c.guard
        is_hosts = port != 0 and (f.proto, port) in hosts
        return is_hosts if f.owner == SPEAKER else not is_hosts and (f.proto, port) in self.services

    def track(self, f: Flow, side: int, p: Packet) -> None:
        """A frame of a flow: may it pass? And does it keep the flow, and the lease, alive?"""
        renews = side == 1 or f.proto == TCP or f.lease is not None
        if f.connection is not None:
            before = f.connection.progress
            f.connection.segment(side, p)
            if f.connection.progress[:4] != before[:4]:
                self.table.classify(f)
            renews = f.connection.renewed_by(p, before)
        if renews:
            f.seen = self.now
        if side == 0 and f.lease is not None:
            f.lease.seen = self.now

    def reopened(self, f: Flow | None, side: int, p: Packet) -> Flow | None:
        """A flow that has ended gives way to a SYN of the side that opened it: None, as if there were none."""
        if f and f.connection and f.connection.over and p.is_syn and side == f.connection.opener:
            if f.claim:
                self.claim_goes(f)
            self.table.remove(f)
            return None
        return f
