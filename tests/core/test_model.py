"""The flow table, the mappings and the leases against a slow, obvious model, over random histories (Hypothesis)."""

import ipaddress
from dataclasses import dataclass, field

from core import Filter, limit
from frames import frame, mac_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from script import start

REMOTES = ["203.0.113.10", "203.0.113.11", "9.9.9.9"]
PHONES = ["10.66.0.100", "10.66.0.101"]
PHONE_MAC = {"10.66.0.100": mac_of("phone"), "10.66.0.101": mac_of("laptop")}
PORTS = [5000, 5001, 1400]
UDP_S = limit("PF_TIME_UDP")
ROUTER_ANSWERS = frame("uplink", "arp router is-at router to X")


@dataclass
class Flow:
    owner: str
    remote: str
    rport: int
    lport: int
    eport: int
    seen: int


@dataclass
class Model:
    """UDP flows and leases in plain lists; searched from end to end."""

    now: int
    flows: list[Flow] = field(default_factory=list)
    leases: dict[str, tuple[int, int]] = field(default_factory=dict)  # address -> seen, ttl in ms

    def expire(self) -> None:
        for address, (seen, ttl) in list(self.leases.items()):
            if self.now - seen >= ttl:
                self.end_lease(address)
        self.flows = [f for f in self.flows if self.now - f.seen <= UDP_S * 1000]

    def end_lease(self, address: str) -> None:
        if self.leases.pop(address, None):
            self.flows = [f for f in self.flows if f.owner != "speaker" or f.remote != address]

    def out(self, owner: str, remote: str, rport: int, lport: int) -> Flow | None:
        self.expire()
        for f in self.flows:
            if (f.owner, f.remote, f.rport, f.lport) == (owner, remote, rport, lport):
                f.seen = self.now
                return f
        return None

    def incoming(self, remote: str, rport: int, eport: int) -> Flow | None:
        self.expire()
        for f in self.flows:
            if (f.remote, f.rport, f.eport) == (remote, rport, eport):
                if f.owner == "speaker" and remote in self.leases:
                    f.seen = self.now
                    self.leases[remote] = (self.now, self.leases[remote][1])
                return f
        return None

    def mapping(self, owner: str, lport: int) -> int | None:
        """The port at X that all flows of a port share, if it has one."""
        return next((f.eport for f in self.flows if f.owner == owner and f.lport == lport), None)

    def port_is_free(self, owner: str, eport: int) -> bool:
        return not any(f.eport == eport for f in self.flows)


class World:
    def __init__(self, pf: Filter) -> None:
        self.pf = pf
        start(pf)
        pf.input("segment", frame("segment", "echo S > 9.9.9.9 id=1"))
        pf.input("uplink", ROUTER_ANSWERS)
        pf.out()
        pf.jump(65_000)  # that echo is over
        self.model = Model(pf.now)

    def wait(self, ms: int) -> None:
        end = self.pf.now + ms
        while self.pf.now < end:
            self.pf.wait(min(5000, end - self.pf.now), tick_ms=5000)
            self.pf.input("uplink", ROUTER_ANSWERS)  # whether or not the filter has just asked
            self.pf.out()
        self.model.now = self.pf.now

    def lease(self, i: int, seconds: int) -> None:
        address = PHONES[i]
        self.model.expire()
        assert self.pf.lease_add(address, PHONE_MAC[address], seconds) >= 0
        self.model.leases[address] = (self.pf.now, seconds * 1000)

    def revoke(self, i: int) -> None:
        self.model.expire()
        before = len(self.model.flows)
        self.model.end_lease(PHONES[i])
        assert self.pf.lease_end(PHONES[i]) == before - len(self.model.flows)

    def send(self, owner: str, remote: str, rport: int, lport: int) -> None:
        m = self.model
        port, who = ("segment", "S") if owner == "speaker" else ("host_uplink", "X")
        known = m.out(owner, remote, rport, lport)
        self.pf.jump(100)  # within the rates
        m.now = self.pf.now
        mapped = m.mapping(owner, lport)
        free = m.port_is_free(owner, lport)
        if known:
            known.seen = m.now
        verdict = self.pf.input(port, frame(port, f"udp {who}:{lport} > {remote}:{rport}"))
        out = self.pf.out()
        if owner == "speaker" and remote in PHONES and remote not in m.leases and not known:
            assert verdict == "drop_egress_local"
            assert out == []
            return
        assert verdict == ("pass_speaker_uplink" if owner == "speaker" else "pass_host_uplink")
        assert [p for p, _ in out] == ["uplink"]
        eport = int.from_bytes(out[0][1][34:36], "big")
        if known:
            assert eport == known.eport
        elif mapped is not None:
            assert eport == mapped  # endpoint-independent (RFC4787-REQ1)
        elif free:
            assert eport == lport  # kept where free
        else:
            assert eport != lport
            assert eport % 2 == lport % 2
            assert m.port_is_free(owner, eport)  # never another's
        ttl = "ttl=63" if owner == "speaker" else ""
        to = f"to={PHONE_MAC[remote]}" if remote in PHONE_MAC and owner == "speaker" else ""
        assert out[0][1] == frame("uplink", f"udp X:{eport} > {remote}:{rport} {ttl} {to}", False)
        if not known:
            m.flows.append(Flow(owner, remote, rport, lport, eport, m.now))

    def receive(self, remote: str, rport: int, eport: int) -> None:
        m = self.model
        flow = m.incoming(remote, rport, eport)
        source = f"from={PHONE_MAC[remote]}" if remote in PHONE_MAC else ""
        verdict = self.pf.input("uplink", frame("uplink", f"udp {remote}:{rport} > X:{eport} {source}"))
        out = self.pf.out()
        if flow is None:
            assert verdict == "drop_no_rule"
            assert out == []
        elif flow.owner == "speaker":
            assert verdict == "pass_uplink_speaker"
            assert out == [("segment", frame("segment", f"udp {remote}:{rport} > S:{flow.lport} ttl=63", False))]
        else:
            assert verdict == "pass_uplink_host"
            assert out[0][0] == "host_uplink"
            assert out[0][1][36:38] == flow.lport.to_bytes(2, "big")

    def compare(self) -> None:
        self.pf.check()
        self.model.expire()
        have = {
            (f.owner, f.remote, f.remote_port, f.local_port, f.external_port) for f in self.pf.flows() if f.proto == 17
        }
        want = {(int(f.owner == "speaker"), f.remote, f.rport, f.lport, f.eport) for f in self.model.flows}
        assert have == want
        leases = {lease.addr: lease.left_s for lease in self.pf.leases()}
        assert leases == {a: (ttl - (self.pf.now - seen)) // 1000 for a, (seen, ttl) in self.model.leases.items()}


remotes = st.sampled_from(REMOTES + PHONES)
ports = st.sampled_from(PORTS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["speaker", "host"]), remotes, ports, ports),
        st.tuples(st.just("receive"), remotes, ports, ports),
        st.tuples(st.just("receive_last"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.sampled_from([1, 500, 20_000, 299_000, 310_000])),
        st.tuples(st.just("lease"), st.integers(0, 1), st.sampled_from([10, 600])),
        st.tuples(st.just("revoke"), st.integers(0, 1)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps)
def test_histories(history: list[tuple[object, ...]]) -> None:
    with Filter() as pf:
        world = World(pf)
        for name, *args in history:
            if name == "receive_last":
                flows = world.model.flows
                if flows:
                    f = flows[int(str(args[0])) % len(flows)]
                    world.receive(f.remote, f.rport, f.eport)
            else:
                getattr(world, str(name))(*args)
            world.compare()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(["uplink", "segment", "host_uplink", "host_segment"]),
    st.sampled_from(
        ["tcp phone:40000 > X:1400 S", "udp S:9 > server:53 data=hello", "echo X > server", "udp bridge:1 > alias:2"]
    ),
    st.binary(min_size=1, max_size=8),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_damaged_frames_never_make_more_than_they_are(port: str, text: str, junk: bytes, at: int, cut: int) -> None:
    """Whatever is in a frame: one counter, no frame longer than came in but ARP's and RST's, no sanitizer's finding."""
    with Filter() as pf:
        start(pf)
        pf.lease_add("10.66.0.100", mac_of("phone"))
        good = bytearray(frame(port, text))
        good[at : at + len(junk)] = junk
        came = bytes(good[: max(0, len(good) - cut)])
        before = sum(pf.counters().values())
        pf.input(port, came)
        pf.check()
        made = sum(pf.counters().values()) - before
        assert 1 <= made <= 4
        for _, out in pf.out():
            assert len(out) <= max(len(came), 54)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=40))
def test_checksums_stay_right(remote: int, rport: int, lport: int, data: bytes) -> None:
    """RFC1624, against a checksum computed anew: address and port change, in both directions."""
    from core import Config
    from frames import checksum

    address = str(ipaddress.IPv4Address(remote))
    with Filter() as pf:
        start(pf, Config(speaker="192.168.77.2"))
        pf.input("segment", frame("segment", "udp alias:9 > server:53"))
        pf.input("uplink", ROUTER_ANSWERS)
        pf.input("host_uplink", frame("host_uplink", f"udp X:{lport} > server:1"))
        pf.out()
        text = f"udp alias:{lport} > {address}:{rport} data=*{len(data)}"
        if pf.input("segment", frame("segment", text)) != "pass_speaker_uplink":
            return
        (_, out), *_ = pf.out()
        ip, udp = out[14:34], out[34:]
        assert checksum(ip) == 0
        assert checksum(ip[12:20] + b"\0\x11" + len(udp).to_bytes(2, "big") + udp) in (0, 0xFFFF)
        assert udp[6:8] != b"\0\0"
        back = frame("uplink", f"udp {address}:{rport} > X:{int.from_bytes(udp[:2], 'big')} data=*{len(data)}")
        assert pf.input("uplink", back) == "pass_uplink_speaker"
        (_, out), *_ = pf.out()
        ip, udp = out[14:34], out[34:]
        assert checksum(ip) == 0
        assert checksum(ip[12:20] + b"\0\x11" + len(udp).to_bytes(2, "big") + udp) in (0, 0xFFFF)
