"""Full tables and floods from all sides at once: who is paired still gets in, and keeps what is open.

Each limit and each eviction by itself is in test_limits.py.
"""

import random
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice

import pytest
from core import Config, Filter, limit
from frames import HOSTS, frame, mac_of
from model.chance import hash_keys
from script import run
from talk import GUARDED, MODES, Talk, changed
from test_limits import RATES, known

FLOWS, LEASES, PROTECTED = limit("PF_FLOWS"), limit("PF_LEASES"), limit("PF_LEASE_PROTECTED")
ALL_MODES = pytest.mark.parametrize("mode", [*sorted(MODES), "guarded"])


class House:
    """A bridge with paired phones; in the mode `guarded` their connections are the host's."""

    def __init__(self, pf: Filter, mode: str, phones: int = LEASES) -> None:
        self.talk = Talk(pf, mode)
        self.pf = pf
        self.guarded = mode == "guarded"
        for i in range(phones):
            assert pf.lease_add(self.phone(i), self.mac(i)) == i

    @staticmethod
    def phone(i: int) -> str:
        return f"10.66.1.{i + 1}"

    @staticmethod
    def mac(i: int) -> str:
        return f"02:00:00:00:43:{i:02x}"

    def from_phone(self, i: int, port: int, rest: str) -> str:
        text = f"tcp {self.phone(i)}:{port} > X:1400 {rest} from={self.mac(i)}"
        return self.pf.input("uplink", frame("uplink", text))

    def to_phone(self, i: int, port: int, rest: str) -> str:
        if self.guarded:
            return self.pf.input("host_uplink", frame("host_uplink", f"tcp X:1400 > {self.phone(i)}:{port} {rest}"))
        return self.pf.input("segment", self.talk.segment(f"tcp S:1400 > {self.phone(i)}:{port} {rest}"))

    def open(self, i: int, port: int) -> None:
        """Phone i opens a connection: in any state of the table it is let in."""
        passed, answered = self.verdicts
        assert self.from_phone(i, port, "S seq=999") == passed
        assert self.to_phone(i, port, "SA seq=4999 ack=1000") == answered
        assert self.from_phone(i, port, "A seq=1000 ack=5000") == passed
        self.pf.out()

    def works(self, i: int, port: int) -> None:
        """The connection passes data both ways, by the phone's MAC."""
        passed, answered = self.verdicts
        assert self.from_phone(i, port, "PA seq=1000 ack=5000 data=x") == passed
        assert self.to_phone(i, port, "PA seq=5000 ack=1000 data=x") == answered
        out = self.pf.out()
        assert [p for p, _ in out] == ["host_uplink" if self.guarded else "segment", "uplink"]
        assert out[1][1][:6] == bytes.fromhex(self.mac(i).replace(":", ""))

    @property
    def verdicts(self) -> tuple[str, str]:
        if self.guarded:
            return "pass_uplink_host", "pass_host_uplink"
        return "pass_uplink_speaker", "pass_speaker_uplink"


def strangers(talk: Talk) -> Iterator[tuple[str, bytes]]:
    """What a stranger can send without end: SYNs, segments, datagrams, ARP, searches, ICMP, fragments; by any MAC."""
    rng = random.Random(2)
    for i in count():
        who, port = f"10.66.2.{rng.randrange(1, 255)}", rng.randrange(1, 65536)
        mac = f"02:00:00:00:50:{rng.randrange(64):02x}"
        whole = talk.uplink(f"udp {who}:{port} > X:{rng.randrange(1, 65536)} data=*64 from={mac}")
        piece = (rng.randrange(0, 180) | 0x2000 * rng.randrange(2)) or 0x2000
        texts = [
            f"tcp {who}:{port} > X:1400 S seq={i}",
            f"tcp {who}:{port} > X:7780 S seq={i}",
            f"tcp {who}:{port} > X:{rng.randrange(1, 65536)} A seq={i}",
            f"udp {who}:{port} > X:{rng.randrange(1, 65536)}",
            f"arp who-has X tell {who} sha={mac}",
            f"arp router is-at {mac} to X",
            f"arp 10.66.1.{1 + i % LEASES} is-at {mac} to X",
            f"udp {who}:{port} > ssdp:1900 data=search",
            f"echo {who} > X id={port}",
            f"error(3,1) {who} > X about (udp X:{port} > server:53)",
        ]
        for text in texts:
            built = frame("uplink", text) if text.startswith("arp") else frame("uplink", f"{text} from={mac}")
            yield "uplink", built
        yield "uplink", changed(whole, 6, piece.to_bytes(2, "big"))


def speaker_gone_wild(talk: Talk) -> Iterator[tuple[str, bytes]]:
    """A speaker that opens flows without end: to the internet, to phones, to the host, to the whole neighbourhood."""
    rng = random.Random(3)
    for _ in count():
        port, far = rng.randrange(1, 65536), f"198.51.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        near = f"10.66.1.{rng.randrange(1, LEASES + 1)}"
        for text in (
            f"udp S:{port} > {far}:53",
            f"tcp S:{port} > {far}:80 S",
            f"tcp S:{port} > {far}:80 A ack={port}",
            f"udp S:{port} > {near}:{port}",
            f"tcp S:{port} > {near}:3400 S",
            f"echo S > {far} id={port}",
            f"tcp S:{port} > bridge:80 S",
            "udp S:1900 > ssdp:1900 data=notify",
            f"tcp S:{port} > 10.66.0.200:80 S",
        ):
            yield "segment", talk.segment(text)


@ALL_MODES
def test_floods_from_both_sides_lock_no_phone_out(pf: Filter, mode: str) -> None:
    """Sixteen phones with all the connections that are protected; a speaker and strangers who send what they can. No
    protected connection ends, and each phone opens new ones all the time."""
    house = House(pf, mode)
    for i in range(LEASES):
        for k in range(PROTECTED):
            house.open(i, 1000 + k)
    floods = [cycle(islice(flood(house.talk), 660)) for flood in (strangers, speaker_gone_wild)]
    for step in range(60):
        pf.wait(100)
        for flood in floods:
            for _ in range(60):
                pf.input(*next(flood))
            pf.out()
        house.open(step % LEASES, 20000 + step)
    assert pf.count("flows_evicted") > 0
    assert len(pf.flows()) >= FLOWS - limit("PF_CLAIM_FLOWS")
    for i in range(LEASES):
        for k in range(PROTECTED):
            house.works(i, 1000 + k)
    pf.check()


@ALL_MODES
def test_strangers_make_no_state(pf: Filter, mode: str) -> None:
    """But for the few connections to the claim port."""
    house = House(pf, mode, phones=2)
    house.open(0, 1000)
    before = pf.flows()
    flood = strangers(house.talk)
    for _ in range(1100):
        pf.input(*next(flood))
        pf.out()
    others = [f for f in pf.flows() if f not in before]
    assert {(f.owner, f.local_port) for f in others} == {(0, 7780)}
    assert len(others) <= limit("PF_CLAIM_FLOWS")
    assert len(pf.leases()) == 2
    house.works(0, 1000)
    house.open(1, 1000)


@ALL_MODES
def test_one_phone_keeps_as_many_as_are_protected(pf: Filter, mode: str) -> None:
    """At and above the limit: 24 of a phone's connections outlive whatever others open, the 25th need not."""
    house = House(pf, mode, phones=3)
    for k in range(PROTECTED + 1):
        house.open(0, 1000 + k)
        pf.jump(1000)
    for k in range(FLOWS):
        house.open(1 + k % 2, 2000 + k)
    for k in range(PROTECTED):
        house.works(0, 1000 + k)
    assert house.from_phone(0, 1000 + PROTECTED, "PA seq=1000 ack=5000 data=x") == "drop_no_flow"
    pf.check()


@ALL_MODES
def test_a_full_table_of_phones_still_takes_a_new_phone(pf: Filter, mode: str) -> None:
    house = House(pf, mode, phones=2)
    for k in range(FLOWS + 50):
        house.open(0, 1000 + k)
    assert len(pf.flows()) == FLOWS
    for k in range(PROTECTED):
        house.open(1, 1000 + k)
    for k in range(PROTECTED):
        house.works(1, 1000 + k)
    pf.check()


@ALL_MODES
def test_with_all_leases_taken(pf: Filter, mode: str) -> None:
    """One more is refused and changes nothing; its phone stays outside; a place that gets free is its own."""
    house = House(pf, mode)
    for i in range(LEASES):
        house.open(i, 1000)
    for i in range(50):
        assert pf.lease_add(f"10.66.2.{i + 1}", f"02:00:00:00:44:{i:02x}") == -1
    for i in range(LEASES):
        house.works(i, 1000)
    late = "tcp 10.66.2.1:5 > X:1400 S seq=1 from=02:00:00:00:44:00"
    assert pf.input("uplink", frame("uplink", late)) == "drop_no_lease"
    assert pf.lease_end(house.phone(7)) == 1
    assert pf.lease_add("10.66.2.1", "02:00:00:00:44:00") == 7
    assert pf.input("uplink", frame("uplink", late)) == house.verdicts[0]
    pf.check()


def test_every_place_of_the_neighbour_cache_taken(pf: Filter) -> None:
    """Router, DNS servers, named hosts and all leases (by address only), unknown and silent, frames waiting for each: a
    place is always there; the questions are few; who answers is served at once, whoever does not."""
    hosts = tuple(f"10.66.0.{20 + i}" for i in range(8))
    config = Config(dns=("10.66.0.2", "10.66.0.3", "10.66.0.4"), hosts=hosts)
    pf.configure(config)
    pf.speaker(mac_of("S"))
    for i in range(LEASES):
        assert pf.lease_add(House.phone(i), None) == i
    everybody = ["10.66.0.1", *config.dns, *hosts, *(House.phone(i) for i in range(LEASES))]
    for n, who in enumerate(everybody * 2):
        verdict = pf.input("segment", frame("segment", f"udp S:{1000 + n} > {who}:53"))
        assert verdict in ("frames_pending", "drop_pending_full")
    asked = [f for _, f in pf.out()]
    assert len(asked) == len(everybody)
    assert pf.count("frames_pending") == limit("PF_PENDING")
    for who in reversed(everybody):
        pf.input("uplink", frame("uplink", f"arp {who} is-at flatmate to X"))
    assert len(pf.out()) == limit("PF_PENDING")
    for n, who in enumerate(everybody):
        pf.jump(50)
        assert pf.input("segment", frame("segment", f"udp S:{2000 + n} > {who}:53")) == "pass_speaker_uplink"
    pf.check()


def test_silent_neighbours_do_not_slow_phones(pf: Filter) -> None:
    """The router and the DNS server never answer, and all waiting places are taken: a phone that is known is served."""
    talk = Talk(pf)
    pf.configure(Config(router="10.66.0.9"))
    assert pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    for i, who in enumerate(cycle(["server", "dns"])):
        verdict = pf.input("segment", frame("segment", f"udp S:{1000 + i} > {who}:53"))
        if i > 10:
            assert verdict == "drop_pending_full"
            break
    pf.out()
    talk.back("tcp phone:40000 > X:1400 S seq=9")
    talk.out("tcp S:1400 > phone:40000 SA seq=1 ack=10")
    talk.out("tcp S:3000 > phone:3400 S seq=9")


# ---- Collisions, chosen by one who knows all but the key ----

ADDR, COUNT = 0xC6336400, FLOWS - limit("PF_PHONE_SHARE")  # as many as the speaker can have


def _spread(i: int, bits: int) -> int:
    """The bits of i, spread over more: 0b11 to 0b101, ..."""
    return sum((i >> b & 1) << b * bits for b in range(9))


SETS: dict[str, Callable[[int], tuple[int, int, int]]] = {  # (remote address, remote port, the speaker's port)
    "ports of the speaker, one after the other": lambda i: (ADDR, 80, 2000 + i),
    "every 64th port": lambda i: (ADDR, 80, 2000 + 64 * i),
    "every 128th port": lambda i: (ADDR, 80, (2000 + 128 * i) % 64512 + 1024),
    "ports of the remote": lambda i: (ADDR, 1 + i, 2000),
    "every 128th port of the remote": lambda i: (ADDR, (26 + 128 * i) % 65535 + 1, 2000),
    "addresses, one after the other": lambda i: (ADDR + i, 80, 2000),
    "every 256th address": lambda i: (ADDR + 256 * i, 80, 2000),
    "every 65536th address": lambda i: (0x20000000 + 65536 * i, 80, 2000),
    "both ports, one sum": lambda i: (ADDR, 5000 + i, 9000 - i),
    "both ports, one difference": lambda i: (ADDR, 5000 + i, 9000 + i),
    "both ports, one XOR": lambda i: (ADDR, 8192 + i, 8192 + (i ^ 511)),
    "address and port, one sum": lambda i: (ADDR + i, 80, 9000 - i),
    "a grid": lambda i: (ADDR + i % 20, 80, 2000 + i // 20),
    "every other bit of the port": lambda i: (ADDR + i // 128, 80, 0x8000 | _spread(i % 128, 2)),
    "every third bit of the address": lambda i: (0x20000000 | _spread(i, 3), 80, 2000),
}


def buckets(keys: list[int], chosen: list[tuple[int, int, int]]) -> list[int]:
    """SPEC 4.6, on a little-endian machine: how many flows are in each bucket."""

    def swap(v: int) -> int:
        return v >> 8 | (v & 0xFF) << 8

    found = [0] * FLOWS
    for addr, rport, lport in chosen:
        words = (swap(addr >> 16), swap(addr & 0xFFFF), swap(rport), swap(lport))
        h = keys[0] + sum(k * w for k, w in zip(keys[1:], words, strict=True))
        h &= 0xFFFFFFFF
        found[(h * h >> 32) % FLOWS] += 1
    return found


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
def test_chains_stay_short_whatever_is_chosen(chosen: Callable[[int], tuple[int, int, int]]) -> None:
    """Over 200 keys: a look-up costs as much as with flows at random, and no chain reaches the limit."""
    rng = random.Random(4)
    flows = [chosen(i) for i in range(COUNT)]
    assert len(set(flows)) == COUNT
    cost, refused, keys = 0.0, 0, 200
    for _ in range(keys):
        load = buckets([rng.getrandbits(32) for _ in range(5)], flows)
        cost += sum(n * (n + 1) / 2 for n in load) / COUNT
        refused += sum(n - limit("PF_CHAIN_MAX") for n in load if n > limit("PF_CHAIN_MAX"))
    assert cost / keys < 1.05 * (1 + COUNT / (2 * FLOWS))
    assert refused == 0


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
def test_chains_of_the_core_stay_short(chosen: Callable[[int], tuple[int, int, int]]) -> None:
    """The same flows in the core itself: chains are as long as SPEC's formula says, and a phone gets in beside them."""
    for n in range(3):
        key = random.Random(n).randbytes(16)
        with Filter(key=key) as pf:
            known(pf)
            assert pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
            flows = [chosen(i) for i in range(COUNT)]
            sent = frame("segment", "udp S:1 > server:53 nosum")
            for addr, rport, lport in flows:
                pf.jump(50)
                ports = lport.to_bytes(2, "big") + rport.to_bytes(2, "big")
                built = changed(sent[:34] + ports + sent[38:], 16, addr.to_bytes(4, "big"))
                assert pf.input("segment", built) == "pass_speaker_uplink"
                pf.out()
            assert pf.count("drop_chain_full") == 0
            longest = max(buckets(list(hash_keys(key)), flows[1:]))  # known() made one more: the first of them gave way
            assert longest <= pf.longest_chain(1) <= longest + 1
            assert pf.longest_chain(0) < limit("PF_CHAIN_MAX")
            run(pf, "uplink: tcp phone:40000 > X:1400 S seq=9 -> pass_uplink_speaker -> segment: ~")
            pf.check()


# ---- Rates, over time ----


@pytest.mark.parametrize(("name", "port", "passes", "drops", "text"), RATES)
def test_at_its_rate_everything_passes(
    pf: Filter, name: str, port: str, passes: str, drops: str, text: Callable[[int], str]
) -> None:
    """For a minute, one frame each time that the rate allows one; after a pause never more than the burst at once."""
    begin(pf)
    rate, burst = limit(f"PF_RATE_{name}"), limit(f"PF_BURST_{name}")
    for i in range(min(60 * rate, 600)):
        pf.jump(1000 // rate)
        assert pf.input(port, frame(port, text(i))) == passes
        pf.out()
    pf.jump(3_600_000)
    prepare(pf)
    verdicts = [pf.input(port, frame(port, text(10000 + i))) for i in range(3 * burst)]
    assert verdicts == [passes] * burst + [drops] * (2 * burst)


@pytest.mark.parametrize(("name", "port", "passes", "drops", "text"), RATES)
def test_above_its_rate_no_more_passes(
    pf: Filter, name: str, port: str, passes: str, drops: str, text: Callable[[int], str]
) -> None:
    """Three times the rate for ten seconds: the burst, and as many a second as the rate says."""
    begin(pf)
    rate, burst = limit(f"PF_RATE_{name}"), limit(f"PF_BURST_{name}")
    verdicts = []
    step = 1000 // (3 * rate)
    for i in range(10_000 // step):
        pf.jump(step)
        verdicts.append(pf.input(port, frame(port, text(i))))
        pf.out()
    assert set(verdicts) == {passes, drops}
    assert abs(verdicts.count(passes) - (burst + 10 * rate)) <= 1


def begin(pf: Filter) -> None:
    known(pf)
    run(pf, "! lease phone")
    prepare(pf)


def prepare(pf: Filter) -> None:
    """The flow that ICMP errors are about; full buckets."""
    pf.tick()
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    assert pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    assert pf.input("segment", frame("segment", "udp S:30 > server:53")) in ("pass_speaker_uplink", "frames_pending")
    pf.jump(10_000)
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    pf.out()


def test_no_rate_uses_up_another(pf: Filter) -> None:
    """All of them exhausted but one: that one is whole."""
    kinds = [r for i, r in enumerate(RATES) if r[0] not in [s[0] for s in RATES[:i]]]
    for name, port, passes, _drops, text in kinds:
        with Filter() as fresh:
            begin(fresh)
            for other, other_port, _passes, other_drops, other_text in kinds:
                if other != name:
                    burst = limit(f"PF_BURST_{other}")
                    last = [fresh.input(other_port, frame(other_port, other_text(i))) for i in range(burst + 1)][-1]
                    assert last == other_drops
                    fresh.out()
            for i in range(limit(f"PF_BURST_{name}")):
                assert fresh.input(port, frame(port, text(20000 + i))) == passes, name
                fresh.out()


def test_guard_changes_no_rate(pf: Filter) -> None:
    """What goes to the host instead of the speaker is counted in the same buckets."""
    pf.configure(GUARDED)
    pf.speaker(mac_of("S"))
    assert pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    for name, port, text in (
        ("SEARCH", "uplink", "udp phone:50000 > ssdp:1900 data=search"),
        ("NOTIFY", "segment", "udp alias:1900 > ssdp:1900 data=notify"),
    ):
        burst = limit(f"PF_BURST_{name}")
        verdicts = [pf.input(port, frame(port, text)) for _ in range(burst + 1)]
        assert verdicts == [f"relay_{name.lower()}"] * burst + [f"drop_rate_{name.lower()}"]
        assert {p for p, _ in pf.out()} <= {"host_uplink", "host_segment"}
