"""Core and model side by side: each step goes to both, and then everything that can be seen must be the same."""

from collections import Counter
from dataclasses import replace
from typing import Any

from .chance import claim_group
from .config import Config, Limits
from .core import Core, Library, State
from .flows import Flow
from .model import Model
from .packet import TCP, UDP, adjust, ip_packet, link, p2

KEY = bytes(range(16))
START = 1000
Step = tuple[Any, ...]


class Difference(AssertionError):
    pass


class Comparison:
    def __init__(self, library: Library, key: bytes = KEY, start: int = START) -> None:
        self.library, self.key, self.now = library, key, start
        self.core = Core(library, key, start)
        self.limits = limits_of(library)
        self.model = Model(self.limits, self, start)
        self.verdict: Any = None
        self.state: State | None = None
        self.seen: set[str] = set()  # verdicts

    def close(self) -> None:
        self.core.close()

    # -- what the core decides by chance (flows.Choices) --
    def port(self, flow: Flow) -> int | None:
        assert self.state is not None
        for proto, owner, _, raddr, rport, lport, eport, _ in self.state.flows:
            if (owner, proto, raddr, rport, lport) == flow.out_key:
                return eport
        return None if self.verdict == "drop_ports_full" else -1

    def chain_full(self, flow: Flow) -> bool:
        return bool(self.verdict == "drop_chain_full") and len(self.model.table.flows) >= self.limits.CHAIN_MAX

    def claim_group(self, mac: bytes | None, addr: int) -> int:
        return claim_group(self.key, self.limits.CLAIM_GROUPS, self.limits.CLAIM_TURN, mac, addr, self.now)

    def fragment_ident(self) -> int:
        return first_ident(self.library, self.key)

    # -- steps --
    def do(self, step: Step) -> None:
        name, *args = step
        result = getattr(self, "_" + name)(*args)
        core_says, model_says = result
        self._compare(step, core_says, model_says)

    def both(self, name: str, *args: Any) -> tuple[Any, Any]:
        self.verdict = getattr(self.core, name)(*args)
        self.state = self.core.state(self.now)
        return self.verdict, getattr(self.model, name)(*args)

    def _frame(self, port: str, frame: bytes) -> tuple[Any, Any]:
        result = self.both("input", port, frame, self.now)
        self.seen.add(result[0])
        return result

    def _jump(self, ms: int) -> tuple[Any, Any]:
        """Time without a timer: frames come in between."""
        self.now += ms
        self.state = self.core.state(self.now)
        return None, None

    def _wait(self, ms: int) -> tuple[Any, Any]:
        """Time, and then as many ticks as look at all flows."""
        self.now += ms
        for _ in range(-(-self.limits.FLOWS // self.limits.SWEEP)):
            self.core.tick(self.now)
        self.model.tick(self.now)
        self.state = self.core.state(self.now)
        return None, None

    def _configure(self, changes: dict[str, Any]) -> tuple[Any, Any]:
        return self.both("configure", replace(DEFAULT, **changes), self.now)

    def _speaker(self, mac: bytes | None) -> tuple[Any, Any]:
        return self.both("speaker", mac, self.now)

    def _services(self, services: list[tuple[int, int]]) -> tuple[Any, Any]:
        return self.both("set_services", services, self.now)

    def _lease_add(self, addr: int, mac: bytes | None, ttl: int) -> tuple[Any, Any]:
        return self.both("lease_add", addr, mac, ttl, self.now)

    def _lease_renew(self, addr: int, ttl: int) -> tuple[Any, Any]:
        return self.both("lease_renew", addr, ttl, self.now)

    def _lease_end(self, addr: int) -> tuple[Any, Any]:
        return self.both("lease_end", addr, self.now)

    def _dhcp_take(self, room: int) -> tuple[Any, Any]:
        return self.both("dhcp_take", room)

    def _dhcp_send(self, payload: bytes, mac: bytes | None, addr: int) -> tuple[Any, Any]:
        return self.both("dhcp_send", payload, mac, addr)

    def _flow_mac(self, proto: int, raddr: int, rport: int, lport: int) -> tuple[Any, Any]:
        return self.both("flow_mac", proto, raddr, rport, lport, self.now)

    def _forget_flow(self) -> tuple[Any, Any]:
        """Makes a difference, for the comparison's own test."""
        for f in self.model.table.flows[:1]:
            self.model.table.remove(f)
        return None, None

    # -- comparing --
    def _compare(self, step: Step, core_says: Any, model_says: Any) -> None:
        found = []

        def same(what: str, core: object, model: object) -> None:
            if core != model:
                found.append(f"{what}:\n    core  {core}\n    model {model}")

        same("result", core_says, model_says)
        self._compare_out(same)
        m, state = self.model, self.state
        assert state is not None
        events, m.events = m.events, 0
        same("events", state.events, events)
        counters = {k: v for k, v in m.count.items() if v}
        if counters != state.counters:
            keys = sorted(k for k in {*counters, *state.counters} if counters.get(k) != state.counters.get(k))
            same("counters", {k: state.counters.get(k, 0) for k in keys}, {k: counters.get(k, 0) for k in keys})
        flows = sorted(
            (f.proto, f.owner, f.state, f.raddr, f.rport, f.lport, f.eport, (self.now - f.seen) // 1000)
            for f in m.table.flows
            if not m.table.over(f, self.now)
        )
        if flows != state.flows:
            same("flows", sorted(set(state.flows) - set(flows)), sorted(set(flows) - set(state.flows)))
        leases = [
            (i, x.addr, x.mac, (x.ttl - (self.now - x.seen)) // 1000, (self.now - x.seen) // 1000)
            for i, x in enumerate(m.leases.places)
            if x is not None and not x.over(self.now)
        ]
        same("leases", state.leases, leases)
        line = self.core.check()
        same("the flow table's indexes (check.c)", line, 0)
        if found:
            raise Difference(f"{show(step)}\n  " + "\n  ".join(found))

    def _compare_out(self, same: Any) -> None:
        core, model, some_of = self.core.out(), self.model.out, self.model.some_of
        self.model.out, self.model.some_of = [], []
        if some_of:
            count, resets = sum(n for n, _ in some_of), Counter(x for _, frames in some_of for x in frames)
            extra = Counter(core) - Counter(model)
            if extra.total() == count and extra <= resets:
                core = list((Counter(core) - extra).elements())
        if core == model:
            return
        # The order of RSTs, and of ARP questions of one moment, is nobody's business.
        if sorted(core) != sorted(model) or not all(free_order(x) for x, y in zip(core, model, strict=True) if x != y):
            same(
                "out",
                [(p, f.hex()) for p, f in core],
                [(p, f.hex()) for p, f in model + [("some of", b"")] * len(some_of)],
            )


def free_order(out: tuple[str, bytes]) -> bool:
    port, frame = out
    is_reset = port in ("segment", "host_uplink") and len(frame) == 54 and frame[23] == TCP and bool(frame[47] & 4)
    return is_reset or (port == "uplink" and frame[12:14] == b"\x08\x06")


def show(step: Step) -> str:
    return " ".join(x.hex() if isinstance(x, bytes) else str(x) for x in step)


# ---- What every comparison begins from ----


def ip4(text: str) -> int:
    return int.from_bytes(bytes(int(x) for x in text.split(".")), "big")


def hw(last: int) -> bytes:
    return bytes([2, 0, 0, 0, 0x42, last])


DEFAULT = Config(
    uplink_mac=hw(0x10),
    segment_mac=hw(0x11),
    addr=ip4("10.66.0.77"),
    mask=ip4("255.255.252.0"),
    router=ip4("10.66.0.1"),
    dns=(ip4("10.66.0.2"), ip4("9.9.9.9")),
    speaker=ip4("10.66.0.77"),
    host=ip4("192.168.77.1"),
    alias=ip4("192.168.77.2"),
    claim_port=7780,
)

_LIMITS: dict[Library, Limits] = {}


def limits_of(library: Library) -> Limits:
    if library not in _LIMITS:
        _LIMITS[library] = Limits(library.limit)
    return _LIMITS[library]


_IDENTS: dict[tuple[Library, bytes], int] = {}


def first_ident(library: Library, key: bytes) -> int:
    """Where the count of fragmented datagrams' IDs begins: what the first one of a filter of its own gets."""
    if (library, key) not in _IDENTS:
        core = Core(library, key, START)
        core.configure(DEFAULT, START)
        core.speaker(hw(0x20), START)
        datagram = b"\0\1\0\2\0\x48\0\0" + bytes(64)
        packet = bytearray(ip_packet(DEFAULT.speaker, DEFAULT.host, UDP, datagram[:48]))
        packet[6] |= 0x20  # more follows
        packet[10:12] = p2(adjust(int.from_bytes(packet[10:12], "big"), b"\0\0", b"\x20\0"))
        assert core.input("segment", link(hw(0x11), hw(0x20), 0x800, bytes(packet)), START) == "pass_speaker_host"
        ((_, out),) = core.out()
        core.close()
        _IDENTS[library, key] = int.from_bytes(out[18:20], "big")
    return _IDENTS[library, key]
