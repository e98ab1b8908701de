"""The flow table (SPEC 4.5): who has which port, how long a flow lives, and which one gives way."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from .config import Limits
from .leases import Lease
from .packet import ICMP, TCP, UDP, Drop
from .peers import Peer
from .tcp import ESTABLISHED, Connection

HOST, SPEAKER = 0, 1


@dataclass(eq=False)
class Flow:
    owner: int
    proto: int
    raddr: int
    rport: int
    lport: int
    eport: int
    seen: int
    connection: Connection | None = None
    peer: Lease | Peer | None = None  # by whom the owner's frames go; None: as the host says
    inbound: bool = False  # opened by the remote
    claim: bool = False
    mac: bytes | None = None  # of a claim
    next: int = 0  # likewise: the number after its SYN
    kind: str = ""  # its class

    @property
    def state(self) -> int:
        return self.connection.state if self.connection else ESTABLISHED

    @property
    def settled(self) -> bool:
        """Established TCP."""
        return self.connection is not None and self.connection.settled

    @property
    def lease(self) -> Lease | None:
        """A phone's."""
        return self.peer if isinstance(self.peer, Lease) else None

    @property
    def out_key(self) -> tuple[int, ...]:
        return (self.owner, self.proto, self.raddr, self.rport, self.lport)

    @property
    def in_key(self) -> tuple[int, ...]:
        return (self.proto, self.raddr, self.rport, self.eport)


class Choices(Protocol):
    """What the core decides by chance: the model checks it and takes it over."""

    def port(self, flow: Flow) -> int | None: ...
    def chain_full(self, flow: Flow) -> bool: ...
    def claim_group(self, mac: bytes | None, addr: int) -> int: ...
    def fragment_ident(self) -> int: ...


class Wrong(AssertionError):
    """The core chose what the specification does not allow."""


class Table:
    def __init__(self, limits: Limits, count: dict[str, int], claim_goes: Callable[[Flow], None]) -> None:
        self.limits, self.count, self.claim_goes = limits, count, claim_goes
        self.flows: list[Flow] = []
        self.by_out: dict[tuple[int, ...], Flow] = {}
        self.by_in: dict[tuple[int, ...], Flow] = {}
        self.classes: dict[str, list[Flow]] = defaultdict(list)  # each in the order in which they came into it

    # -- time --
    def lifetime(self, f: Flow) -> int:
        if f.claim:
            seconds = self.limits.TIME_CLAIM
        elif f.proto == TCP:
            seconds = self.limits.TIME_TCP if f.settled else self.limits.TIME_TCP_TRANSITORY
        else:
            seconds = self.limits.TIME_UDP if f.proto == UDP else self.limits.TIME_ICMP
        return seconds * 1000

    def over(self, f: Flow, now: int) -> bool:
        return now - f.seen > self.lifetime(f)

    def sweep(self, now: int) -> None:
        for f in [f for f in self.flows if self.over(f, now)]:
            self._expire(f)

    def _expire(self, f: Flow) -> None:
        self.remove(f)
        self.count["flows_expired"] += 1

    # -- looking up --
    def _live(self, f: Flow | None, now: int) -> Flow | None:
        """A flow whose time is over ends when it is met, if the sweep did not come by before."""
        if f is not None and self.over(f, now):
            self._expire(f)
            return None
        return f

    def outgoing(self, owner: int, proto: int, raddr: int, rport: int, lport: int, now: int) -> Flow | None:
        return self._live(self.by_out.get((owner, proto, raddr, rport, lport)), now)

    def incoming(self, proto: int, raddr: int, rport: int, eport: int, now: int) -> Flow | None:
        return self._live(self.by_in.get((proto, raddr, rport, eport)), now)

    # -- making and ending --
    def remove(self, f: Flow) -> None:
        self.flows.remove(f)
        del self.by_out[f.out_key], self.by_in[f.in_key]
        self.classes[f.kind].remove(f)

    # -- classes: what a flow may be evicted for --
    def class_of(self, f: Flow) -> str:
        if f.claim:
            return "claims settled" if f.settled else "claims loose"
        if f.lease is None:
            return "others settled" if f.settled else "others loose"
        protected = [g for g in self.classes["phones protected"] if g.lease is f.lease and g is not f]
        return "phones protected" if f.settled and len(protected) < self.limits.LEASE_PROTECTED else "phones loose"

    def classify(self, f: Flow) -> None:
        """When a flow is new, established, and with each FIN or RST."""
        new = self.class_of(f)
        if new != f.kind:
            if f.kind:
                self.classes[f.kind].remove(f)
            self.classes[new].append(f)
            f.kind = new

    def add(self, f: Flow, choices: Choices, reserved: Callable[[Flow, int], bool]) -> None:
        """`reserved`: may that port at X not be this flow's owner's? What is refused makes no other flow give way."""
        self.choose_port(f, choices, reserved)
        if choices.chain_full(f):
            raise Drop("drop_chain_full")
        self.make_room(f)
        self.flows.append(f)
        self.by_out[f.out_key] = self.by_in[f.in_key] = f
        self.classify(f)
        self.count["flows_made"] += 1

    # -- mapping --
    def choose_port(self, f: Flow, choices: Choices, reserved: Callable[[Flow, int], bool]) -> None:
        """Endpoint-independent; the port is kept unless the other owner has it or it is reserved for him."""
        for g in self.flows:
            if (g.owner, g.proto, g.lport) == (f.owner, f.proto, f.lport):
                if f.inbound and g.eport != f.lport:
                    raise Drop("drop_ports_full")
                f.eport = g.eport
                return
        taken = {g.eport for g in self.flows if g.proto == f.proto}

        def free(port: int) -> bool:
            return port not in taken and not reserved(f, port)

        if free(f.lport):
            f.eport = f.lport
            return
        if f.inbound:  # what a remote opens is at the port that it came to
            raise Drop("drop_ports_full")
        first, last = (512, 1023) if f.lport < 1024 and f.proto != ICMP else (1024, 65535)
        other = replace(f, owner=HOST if f.owner == SPEAKER else SPEAKER)
        allowed = [p for p in range(first + (f.lport - first) % 2, last + 1, 2) if free(p) and not reserved(other, p)]
        port = choices.port(f)
        if port is None:
            if len(allowed) * 4 > last - first + 1:  # half of them are free: 64 tries find one
                raise Wrong(f"no port for {f}, with {len(allowed)} free")
            raise Drop("drop_ports_full")
        if port not in allowed and not choices.chain_full(f):  # then nobody sees which port it was
            raise Wrong(f"port {port} for {f}")
        f.eport = port

    # -- eviction --
    def make_room(self, f: Flow) -> None:
        c = self.classes
        if f.claim:
            loose, settled, most = c["claims loose"], c["claims settled"], self.limits.CLAIM_FLOWS
            if len(loose) + len(settled) >= most:
                self._evict(loose[0] if len(loose) >= most // 2 else settled[0])
                return
        others = len(c["others loose"]) + len(c["others settled"])
        most = self.limits.FLOWS - (0 if f.lease else self.limits.PHONE_SHARE)
        if len(self.flows) < self.limits.FLOWS and (f.lease or others < most):
            return
        order = ["others loose", "others settled"]
        if others < self.limits.OTHER_SHARE:
            order = ["phones loose", "others loose", "others settled"]
        elif f.lease:
            order = ["others loose", "phones loose", "others settled"]
        candidates = next((c[name] for name in order if c[name]), None)
        if candidates is None:
            raise Drop("drop_flows_full")
        first = candidates[0]
        victim = min(candidates[:2], key=lambda g: g.seen)  # the first of those that are idle for equally long
        if victim is not first:
            candidates.remove(first)
            candidates.append(first)
        self._evict(victim)

    def _evict(self, f: Flow) -> None:
        if f.claim:
            self.claim_goes(f)
        self.remove(f)
        self.count["flows_evicted"] += 1
