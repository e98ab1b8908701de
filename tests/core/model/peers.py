"""The next hops of the speaker's frames, and the filter's own ARP questions for them (SPEC 4.3, below the table)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .packet import BROADCAST_MAC, ZERO_MAC, Drop, arp_message

if TYPE_CHECKING:
    from .flows import Flow
    from .leases import Lease
    from .model import Model


@dataclass(eq=False)
class Peer:
    """Who has a MAC to be asked for: the router, a DNS server, a named host, a phone whose lease names none."""

    addr: int = 0
    mac: bytes | None = None
    tries: int = 0  # questions since the last answer
    time: int = 0  # of the last question or answer


def _by(peer: Peer, f: Flow) -> bool:
    return f.peer is peer


class Asked:
    """Addresses that the host asked for."""

    def __init__(self, places: int, ms: int) -> None:
        self.places, self.ms = places, ms
        self.open: list[tuple[int, int]] = []

    def ask(self, addr: int, now: int) -> None:
        self.open.append((addr, now))
        self.open = self.open[-self.places :]

    def expects(self, addr: int, now: int) -> bool:
        return addr != 0 and any(a == addr and now - t <= self.ms for a, t in self.open)


class Peers:
    def __init__(self, m: Model) -> None:
        self.m = m
        self.router = Peer()
        self.others = [Peer() for _ in range(3 + m.limits.NAMED_HOSTS)]  # DNS servers, then named hosts
        self.waiting: list[tuple[Peer, bytes] | None] = [None] * m.limits.PENDING
        self.sent: list[tuple[Lease | Peer, bytes]] = []  # the last one, even if it waits

    def all(self) -> Iterator[Peer]:
        yield self.router
        yield from self.others
        for lease in self.m.leases.all():
            yield lease.peer

    def configure(self) -> None:
        c = self.m.config
        addrs = [*(*c.dns, 0, 0, 0)[:3], *c.hosts]
        addrs += [0] * (len(self.others) - len(addrs))
        for peer, addr in zip([self.router, *self.others], [c.router, *addrs], strict=True):
            if peer.addr != addr:
                self.m.end_flows(partial(_by, peer))
                self.forget(peer)
                self.m.fragments.forget_all()
                peer.addr = addr

    def of(self, dst: int) -> Lease | Peer | None:
        """To whom frames for an address go: the first of these that it is, else by the router."""
        lease = self.m.lease_of(dst)
        if lease:
            return lease
        for peer in (self.router, *self.others):
            if peer.addr == dst and dst:
                return peer
        return None if self.m.config.in_subnet(dst) else self.router

    def named(self, addr: int) -> Lease | Peer | None:
        """The same, if it is that address itself."""
        peer = self.of(addr)
        return peer if peer and peer.addr == addr and addr else None

    def hop(self, to: Lease | Peer) -> Peer:
        """Whose MAC it is: its own, or the router's."""
        if not isinstance(to, Peer):
            if to.mac:
                return Peer(to.addr, to.mac)
            return to.peer if self.m.config.in_subnet(to.addr) else self.router
        if to.addr == self.router.addr or not self.m.config.in_subnet(to.addr):
            return self.router
        return to

    def send(self, to: Lease | Peer, body: bytes, passed: str) -> str:
        """By a peer to the uplink; the frame waits if the MAC is not known."""
        hop = self.hop(to)
        self.sent[:] = [(to, body)]
        if hop.mac:
            self.m.send("uplink", hop.mac, body)
            return passed
        if not hop.addr:
            raise Drop("drop_no_neighbour")
        if hop.tries == 0:
            self.ask(hop)
        free = [i for i, x in enumerate(self.waiting) if x is None]
        own = sum(1 for x in self.waiting if x is not None and x[0] is hop)
        if not free or own >= (len(self.waiting) + 1) // 2:
            raise Drop("drop_pending_full")
        self.waiting[free[0]] = (hop, body)
        return "frames_pending"

    def ask(self, peer: Peer) -> None:
        peer.tries += 1
        peer.time = self.m.now
        c = self.m.config
        message = arp_message(1, c.uplink_mac, c.addr, ZERO_MAC, peer.addr)
        self.m.send("uplink", peer.mac or BROADCAST_MAC, message, 0x0806)

    def learn(self, peer: Peer, mac: bytes) -> None:
        peer.mac, peer.tries, peer.time = mac, 0, self.m.now
        for i, x in enumerate(self.waiting):
            if x is not None and x[0] is peer:
                self.waiting[i] = None
                self.m.send("uplink", mac, x[1])

    def forget(self, peer: Peer) -> None:
        """Nobody answered, or nobody may any more."""
        peer.mac, peer.tries = None, 0
        for i, x in enumerate(self.waiting):
            if x is not None and x[0] is peer:
                self.waiting[i] = None
                self.m.count["drop_no_neighbour"] += 1

    def tick(self) -> None:
        limits = self.m.limits
        for peer in self.all():
            passed = self.m.now - peer.time
            if not (peer.tries or peer.mac) or passed < (limits.ARP_RETRY_MS if peer.tries else limits.ARP_FRESH_MS):
                continue
            if peer.tries >= limits.ARP_TRIES:
                self.forget(peer)
            else:
                self.ask(peer)
