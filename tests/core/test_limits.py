# ruff: noqa: E501 (a step of a script is one line)
"""Every limit, below, at and above; every rate; and who gives way under pressure."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from core import KEY, Config, Filter, Flow, limit
from frames import HOSTS, frame, mac_of
from model.chance import claim_group, hash_sum, hashed
from script import run, start

FLOWS = limit("PF_FLOWS")
OTHERS = FLOWS - limit("PF_PHONE_SHARE")


def known(pf: Filter) -> None:
    """Started, and the router's MAC is known."""
    start(pf)
    pf.input("segment", frame("segment", "echo S > 9.9.9.9 id=1"))
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    pf.out()


def lease(pf: Filter, i: int) -> str:
    """The i-th phone's address, leased without a MAC."""
    address = f"10.66.1.{i + 1}"
    assert pf.lease_add(address, f"02:00:00:00:43:{i:02x}") >= 0
    return address


def phone_frame(i: int, text: str) -> bytes:
    return frame("uplink", f"{text} from=02:00:00:00:43:{i:02x}")


# ---- Rates ----

RATES: list[tuple[str, str, str, str, Callable[[int], str]]] = [
    ("EGRESS", "segment", "pass_speaker_uplink", "drop_rate_egress", lambda i: f"udp S:{1000 + i} > server:53"),
    ("EGRESS", "segment", "pass_speaker_host", "drop_rate_egress", lambda i: f"tcp S:{1000 + i} > bridge:53 S"),
    ("CALLBACK", "segment", "pass_speaker_uplink", "drop_rate_callback", lambda i: f"udp S:{1000 + i} > phone:53"),
    ("CLAIM", "uplink", "pass_uplink_host", "drop_rate_claim", lambda i: f"tcp phone:{1000 + i} > X:7780 S"),
    ("ECHO", "uplink", "pass_uplink_host", "drop_rate_echo", lambda i: f"echo flatmate > X id={i}"),
    ("SEARCH", "uplink", "relay_search", "drop_rate_search", lambda i: "udp phone:50000 > ssdp:1900 data=search"),
    ("SEARCH", "uplink", "relay_search", "drop_rate_search", lambda i: "udp phone:5353 > mdns:5353 data=query"),
    ("NOTIFY", "segment", "relay_notify", "drop_rate_notify", lambda i: "udp S:1900 > ssdp:1900 data=notify"),
    (
        "ICMP_ERROR",
        "uplink",
        "pass_uplink_speaker",
        "drop_rate_icmp_error",
        lambda i: "error(3,3) server > X about (udp X:30 > server:53)",
    ),
    (
        "ICMP_ERROR",
        "segment",
        "pass_speaker_uplink",
        "drop_rate_icmp_error",
        lambda i: "error(3,3) S > server about (udp server:53 > S:30)",
    ),
]


@pytest.mark.parametrize(("name", "port", "passes", "drops", "text"), RATES)
def test_rate(pf: Filter, name: str, port: str, passes: str, drops: str, text: Callable[[int], str]) -> None:
    """The burst passes, one more does not; then as many a second as the rate says."""
    known(pf)
    run(pf, "! lease phone\nsegment: udp S:30 > server:53 -> pass_speaker_uplink -> uplink: ~")
    pf.jump(60_000)  # full buckets
    burst, rate = limit(f"PF_BURST_{name}"), limit(f"PF_RATE_{name}")
    verdicts = [pf.input(port, frame(port, text(i))) for i in range(burst + 1)]
    assert verdicts == [passes] * burst + [drops]
    pf.out()
    pf.jump(1000 // rate - 1)
    assert pf.input(port, frame(port, text(burst))) == drops
    pf.jump(2)
    assert pf.input(port, frame(port, text(burst + 1))) == passes
    assert pf.input(port, frame(port, text(burst + 2))) == drops
    pf.jump(1000)
    verdicts = [pf.input(port, frame(port, text(burst + 3 + i))) for i in range(rate + 1)]
    assert verdicts.count(passes) in (rate, min(rate, burst))
    assert pf.count(drops) >= 3


@pytest.mark.parametrize("before", [1, 199, 200, 201, 1000])
def test_a_rate_where_the_clock_wraps(before: int) -> None:
    """Neither more nor less: the burst, and then one at a time, to the millisecond."""
    burst, step = limit("PF_BURST_ECHO"), 1000 // limit("PF_RATE_ECHO")
    request = frame("uplink", "echo flatmate > X id=1")
    with Filter(now_ms=2**32 - before) as pf:
        start(pf)
        assert [pf.input("uplink", request) for _ in range(burst)] == ["pass_uplink_host"] * burst
        for _ in range(2 * burst):
            assert pf.input("uplink", request) == "drop_rate_echo"
            pf.jump(step - 1)
            assert pf.input("uplink", request) == "drop_rate_echo"
            pf.jump(1)
            assert pf.input("uplink", request) == "pass_uplink_host"


@pytest.mark.parametrize("before", [1, 5_000, 9_999, 10_000, 10_001])
def test_a_lease_where_the_clock_wraps(before: int) -> None:
    """It lives for its time after the phone's last frame, and no millisecond longer."""
    with Filter(now_ms=2**32 - before) as pf:
        start(pf)
        pf.lease_add("10.66.0.100", mac_of("phone"), 10)
        for port in (1, 2, 3):
            pf.jump(9_999)
            assert pf.input("uplink", frame("uplink", f"tcp phone:{port} > X:1400 S")) == "pass_uplink_speaker"
        pf.jump(10_000)
        assert pf.input("uplink", frame("uplink", "tcp phone:4 > X:1400 S")) == "drop_no_lease"
        assert pf.flows() == [] and pf.count("leases_expired") == 1
        pf.check()


def test_a_phones_searches_do_not_use_up_anothers(pf: Filter) -> None:
    known(pf)
    run(pf, "! lease phone; lease laptop")
    for _ in range(limit("PF_BURST_SEARCH") + 1):
        last = pf.input("uplink", frame("uplink", "udp phone:50000 > ssdp:1900 data=search"))
    pf.out()
    assert last == "drop_rate_search"
    run(pf, "uplink: udp laptop:50000 > ssdp:1900 data=search -> relay_search -> segment: ~ ttl=64")


def test_a_flooding_speaker_still_calls_its_phones(pf: Filter) -> None:
    known(pf)
    for i in range(limit("PF_BURST_EGRESS") + 5):
        last = pf.input("segment", frame("segment", f"udp S:{1000 + i} > server:53"))
    pf.out()
    assert last == "drop_rate_egress"
    run(pf, "! lease phone\nsegment: tcp S:5 > phone:3400 S -> pass_speaker_uplink -> uplink: ~")


# ---- The rate of claims ----

TURN = 1 << limit("PF_CLAIM_TURN")
GROUPS = limit("PF_CLAIM_GROUPS")


def mac_number(i: int) -> str:
    return f"02:00:00:00:{0x43 + i // 256:02x}:{i % 256:02x}"


def claims(pf: Filter, who: str, count: int = 1) -> list[bool]:
    """Which of so many SYNs to the claim port pass, each from a port of its own. `who`: an address (or its name), and perhaps
    `from=` and a MAC."""
    source, _, words = who.partition(" ")
    port = 1000 + pf.count("pass_uplink_host") + pf.count("drop_rate_claim")
    verdicts = [
        pf.input("uplink", frame("uplink", f"tcp {source}:{port + i} > X:7780 S {words}")) for i in range(count)
    ]
    pf.out()
    assert set(verdicts) <= {"pass_uplink_host", "drop_rate_claim"}
    return [v == "pass_uplink_host" for v in verdicts]


def group_of(mac: str, now: int) -> int:
    return claim_group(KEY, GROUPS, limit("PF_CLAIM_TURN"), bytes.fromhex(mac.replace(":", "")), 0, now)


def sharers(mac: str, now: int) -> list[str]:
    """MACs that are in the same group at that time, of a thousand."""
    return [m for m in map(mac_number, range(1000)) if group_of(m, now) == group_of(mac, now)]


@pytest.mark.parametrize("who", ["flatmate", "server"])
def test_a_strangers_claims_are_rated(pf: Filter, who: str) -> None:
    """A group's burst and its rate, within a turn: by the MAC on the link, whatever addresses it makes up; by the address elsewhere."""
    start(pf)
    pf.jump(-pf.now % TURN)
    burst, step = limit("PF_BURST_CLAIM"), 1000 // limit("PF_RATE_CLAIM")
    own = [f"10.66.3.{i + 1} from={mac_of(who)}" for i in range(burst)] if who == "flatmate" else [who] * burst
    assert [passed for text in own for passed in claims(pf, text)] == [True] * burst
    for _ in range(4):
        assert claims(pf, who) == [False]
        pf.jump(step - 1)
        assert claims(pf, who) == [False]
        pf.jump(1)
        assert claims(pf, who) == [True]


def test_one_strangers_claims_do_not_use_up_everybodys(pf: Filter) -> None:
    start(pf)
    for i in range(8 * limit("PF_BURST_CLAIM")):
        last = claims(pf, f"10.66.3.{i + 1} from={mac_of('attacker')}")
    assert last == [False]
    others = [m for m in map(mac_number, range(40)) if m not in sharers(mac_of("attacker"), pf.now)]
    assert len(others) >= limit("PF_BURST_CLAIMS")
    for i, other in enumerate(others[: limit("PF_BURST_CLAIMS") - limit("PF_BURST_CLAIM")]):
        assert claims(pf, f"10.66.0.{i + 120} from={other}") == [True]


@pytest.mark.parametrize("who", range(8))
def test_whoever_shares_a_strangers_group_does_not_share_it_later(pf: Filter, who: int) -> None:
    """To the millisecond: nothing passes for them while the turn lasts, and with the next one it does. In the turns after it they
    meet again no more often than others do."""
    start(pf)
    pf.jump(-pf.now % TURN + TURN)
    hog = mac_of("attacker")
    both = [m for m in sharers(hog, pf.now) if group_of(m, pf.now + TURN) != group_of(hog, pf.now + TURN)]
    assert len(both) >= 8
    phone = f"10.66.0.120 from={both[who]}"
    claims(pf, "attacker", limit("PF_BURST_CLAIM"))
    assert claims(pf, phone) == [False]
    pf.jump(TURN - 1)
    claims(pf, "attacker", limit("PF_BURST_CLAIM"))
    assert claims(pf, phone) == [False]
    pf.jump(1)
    assert claims(pf, "attacker", limit("PF_BURST_CLAIM") + 1) == [True] * limit("PF_BURST_CLAIM") + [False]
    assert claims(pf, phone, 2) == [True, True]
    kept_out = 0
    for _ in range(2 * GROUPS):
        pf.jump(TURN)
        claims(pf, "attacker", limit("PF_BURST_CLAIM") + 1)
        kept_out += claims(pf, phone) == [False]
    assert kept_out <= 8  # two by chance


def test_one_mac_with_many_addresses_elsewhere_does_not_use_up_everybodys(pf: Filter) -> None:
    start(pf)
    passed = [claims(pf, f"198.51.{n // 250}.{n % 250 + 1} from=attacker")[0] for n in range(100)]
    assert passed.count(True) == limit("PF_BURST_CLAIMS")
    assert claims(pf, "phone") == claims(pf, "attacker") == [True]


def test_claims_through_a_router_are_told_apart_by_address(pf: Filter) -> None:
    start(pf)
    assert claims(pf, "server", limit("PF_BURST_CLAIM") + 1)[-1] is False
    passed = [claims(pf, f"198.51.100.{i}")[0] for i in range(1, 25)]
    assert sum(passed) >= 20


def test_all_claims_together_are_rated(pf: Filter) -> None:
    """Many MACs: the host has no more to do than this, and those elsewhere have their own."""
    start(pf)
    burst, rate = limit("PF_BURST_CLAIMS"), limit("PF_RATE_CLAIMS")

    def from_everywhere() -> int:
        return sum(claims(pf, f"10.66.0.120 from={mac_number(i)}")[0] for i in range(100))

    assert from_everywhere() == burst
    assert claims(pf, "server") == [True]
    pf.jump(10 * TURN)
    assert from_everywhere() == burst
    for _ in range(4):
        pf.jump(1000 - 1)
        assert from_everywhere() == rate - 1
        pf.jump(1)
        assert from_everywhere() == 1


def test_a_phone_that_is_in_claims_whatever_strangers_do(pf: Filter) -> None:
    """Its rate is its own, by its address and its MAC; who has one of them only is a stranger."""
    start(pf)
    pf.lease_add(HOSTS["phone"][0], mac_of("phone"))
    pf.lease_add(HOSTS["laptop"][0], mac_of("laptop"))
    burst = limit("PF_BURST_CLAIM")
    for i in range(100):
        claims(pf, f"phone from={mac_number(i)}")
        claims(pf, f"10.66.0.120 from={mac_number(i)}")
    assert claims(pf, f"10.66.0.120 from={mac_of('phone')}") == claims(pf, "flatmate") == [False]
    assert claims(pf, "phone", burst + 1) == [True] * burst + [False]
    assert claims(pf, "laptop", burst + 1) == [True] * burst + [False]
    assert pf.events() == 0


def test_a_lease_without_a_mac_has_no_rate_of_its_own(pf: Filter) -> None:
    """Else whoever writes its address into frames would use it up."""
    start(pf)
    pf.lease_add(HOSTS["phone"][0], None)
    burst = limit("PF_BURST_CLAIM")
    assert claims(pf, "phone from=attacker", burst + 1)[-1] is False
    assert claims(pf, "phone") == [True]
    assert claims(pf, "attacker") == [False]


def test_the_rate_of_a_leases_place_is_not_the_next_ones(pf: Filter) -> None:
    start(pf)
    for who in ("phone", "laptop"):
        assert pf.lease_add(HOSTS[who][0], mac_of(who)) == 0
        burst = limit("PF_BURST_CLAIM")
        assert claims(pf, who, burst + 1) == [True] * burst + [False]
        pf.lease_end(HOSTS[who][0])


def test_resets_are_rated(pf: Filter) -> None:
    start(pf)
    for i in range(limit("PF_BURST_RESET") + 1):
        assert pf.input("segment", frame("segment", f"tcp S:{i + 1} > server:80 A")) == "drop_no_flow"
    assert len(pf.out()) == limit("PF_BURST_RESET")
    assert pf.count("reset_sent") == limit("PF_BURST_RESET")


# ---- DHCP of the host ----


def test_an_answer_to_dhcp_is_expected_for_so_long(pf: Filter) -> None:
    start(pf)
    assert pf.input("host_uplink", frame("host_uplink", "udp nobody:68 > all:67 data=discover")) == "pass_host_uplink"
    pf.jump(limit("PF_DHCP_ASKED_MS"))
    assert pf.input("uplink", frame("uplink", "udp router:67 > X:68 data=offer")) == "pass_uplink_host"
    pf.jump(1)
    assert pf.input("uplink", frame("uplink", "udp router:67 > X:68 data=offer")) == "drop_dhcp_unasked"


# ---- Build options ----


@pytest.mark.parametrize(
    ("option", "holds"),
    [
        ("PF_FLOWS=16", False),
        ("PF_FLOWS=32 PF_LEASES=3 PF_CLAIM_FLOWS=3", True),
        ("PF_FLOWS=48 PF_LEASES=3 PF_CLAIM_FLOWS=3", False),
        ("PF_FLOWS=1024", True),
        ("PF_FLOWS=2048", False),
        ("PF_LEASES=0", False),
        ("PF_LEASES=1", True),
        ("PF_LEASES=64", True),
        ("PF_LEASES=65", False),
        ("PF_LEASE_PROTECTED=26", True),
        ("PF_LEASE_PROTECTED=27", False),
        ("PF_TIME_UDP=65535", True),
        ("PF_TIME_UDP=65536", False),
        ("PF_CLAIM_GROUPS=0", False),
        ("PF_CLAIM_GROUPS=1", True),
        ("PF_CLAIM_GROUPS=24", False),
        ("PF_CLAIM_TURN=0", False),
        ("PF_CLAIM_TURN=1", True),
        ("PF_CLAIM_TURN=16", True),
        ("PF_CLAIM_TURN=17", False),
        ("PF_RATE_ECHO=0 PF_BURST_ECHO=1", False),
        ("PF_RATE_ECHO=1 PF_BURST_ECHO=0", False),
        ("PF_RATE_ECHO=1 PF_BURST_ECHO=1", True),
        ("PF_RATE_ECHO=255 PF_BURST_ECHO=255", True),
        ("PF_RATE_ECHO=256 PF_BURST_ECHO=1", False),
        ("PF_RATE_ECHO=1 PF_BURST_ECHO=256", False),
    ],
)
def test_options_that_would_not_hold_do_not_build(option: str, holds: bool) -> None:
    core = Path(__file__).resolve().parents[2] / "firmware" / "pktfilter"
    argv = ["gcc", "-std=c99", "-w", "-fsyntax-only", *(f"-D{word}" for word in option.split()), str(core / "pf.c")]
    assert (subprocess.run(argv, capture_output=True, check=False).returncode == 0) == holds


# ---- Leases, services ----


def test_lease_table(pf: Filter) -> None:
    start(pf)
    n = limit("PF_LEASES")
    for i in range(n):
        lease(pf, i)
    assert pf.lease_add("10.66.2.1", None) == -1
    assert pf.lease_add("10.66.1.1", None) >= 0  # one that is there may be renewed
    assert len(pf.leases()) == n
    for i in range(n):
        expect = "drop_lease_mac" if i else "pass_uplink_speaker"
        assert pf.input("uplink", frame("uplink", f"tcp 10.66.1.{i + 1}:5 > X:1400 S from=attacker")) == expect
    pf.lease_end("10.66.1.3")
    assert pf.lease_add("10.66.2.1", None) == 2
    pf.check()


@pytest.mark.parametrize(
    "address", ["10.66.0.77", "192.168.77.1", "192.168.77.2", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"]
)
def test_no_lease_for_an_address_that_is_no_phones(pf: Filter, address: str) -> None:
    start(pf)
    assert pf.lease_add(address, None) == -2


def test_no_lease_for_a_group_mac_or_without_an_uplink(pf: Filter) -> None:
    start(pf)
    assert pf.lease_add("10.66.0.100", "01:00:5e:00:00:01") == -2
    run(pf, "! no-uplink")
    assert pf.lease_add("10.66.0.100", None) == -2


def test_a_lease_has_a_longest_time(pf: Filter) -> None:
    start(pf)
    pf.lease_add("10.66.0.100", None, 2**32 - 1)
    assert pf.leases()[0].left_s == limit("PF_LEASE_MAX_S")


def test_services(pf: Filter) -> None:
    start(pf)
    n = limit("PF_SERVICES")
    assert not pf.services(*[(6, 1400 + i) for i in range(n + 1)])
    assert not pf.services((1, 8))
    assert not pf.services((6, 0))
    assert pf.services(*[(6, 1500 + i) for i in range(n)])
    pf.lease_add("10.66.0.100", None)
    for i in range(n):
        assert pf.input("uplink", frame("uplink", f"tcp phone:5 > X:{1500 + i} S")) == "pass_uplink_speaker"
    assert pf.input("uplink", frame("uplink", f"tcp phone:5 > X:{1500 + n} S")) == "drop_no_rule"
    assert pf.input("uplink", frame("uplink", "tcp phone:5 > X:1400 S")) == "drop_no_rule"


# ---- The flow table under pressure ----


def fill_others(pf: Filter, n: int) -> None:
    """Speaker's UDP flows, slowly enough for the egress rate."""
    for i in range(n):
        pf.jump(50)
        text = f"udp S:{2000 + i} > 198.51.{100 + i // 200}.{i % 200 + 1}:53"
        assert pf.input("segment", frame("segment", text)) == "pass_speaker_uplink"
    pf.out()


def other_flows(pf: Filter) -> list[Flow]:
    """The flows that are not with a phone."""
    return [f for f in pf.flows() if not f.remote.startswith("10.66.1.")]


def open_phone(pf: Filter, i: int, port: int, established: bool = True) -> str:
    """Phone i opens a connection to the speaker."""
    a = f"10.66.1.{i + 1}"
    verdict = pf.input("uplink", phone_frame(i, f"tcp {a}:{port} > X:1400 S seq=9"))
    if established and verdict == "pass_uplink_speaker":
        assert (
            pf.input("segment", frame("segment", f"tcp S:1400 > {a}:{port} SA seq=1 ack=10")) == "pass_speaker_uplink"
        )
        assert pf.input("uplink", phone_frame(i, f"tcp {a}:{port} > X:1400 A seq=10 ack=2")) == "pass_uplink_speaker"
    pf.out()
    return verdict


def test_the_phones_share_is_kept_free(pf: Filter) -> None:
    known(pf)
    fill_others(pf, OTHERS + 20)
    assert len(pf.flows()) == OTHERS
    assert pf.count("flows_evicted") == 21
    lease(pf, 0)
    for i in range(limit("PF_PHONE_SHARE")):
        assert open_phone(pf, 0, 1000 + i, established=False) == "pass_uplink_speaker"
    assert len(pf.flows()) == FLOWS
    assert pf.count("flows_evicted") == 21
    pf.check()


def test_a_phone_takes_from_others_when_the_table_is_full(pf: Filter) -> None:
    """Down to the others' share; then from phones. And the others get back up to their share, no further."""
    known(pf)
    fill_others(pf, OTHERS)
    lease(pf, 0)
    share = limit("PF_OTHER_SHARE")
    for i in range(2 * FLOWS):
        assert open_phone(pf, 0, 1000 + i, established=False) == "pass_uplink_speaker"
    assert len(other_flows(pf)) == share - 1
    assert len(pf.flows()) == FLOWS
    for i in range(2 * share):
        pf.jump(1000)
        assert pf.input("segment", frame("segment", f"udp S:{20000 + i} > server:53")) == "pass_speaker_uplink"
    assert len(other_flows(pf)) == share
    assert open_phone(pf, 0, 9999, established=False) == "pass_uplink_speaker"
    pf.check()


def test_a_busy_phone_does_not_end_the_speakers_stream(pf: Filter) -> None:
    """Phones' closed connections give way before others' established ones, and the speaker may open new ones beside them."""
    known(pf)
    assert pf.input("segment", frame("segment", "tcp S:3000 > server:80 S seq=1")) == "pass_speaker_uplink"
    assert pf.input("uplink", frame("uplink", "tcp server:80 > X:3000 SA seq=5 ack=2")) == "pass_uplink_speaker"
    assert pf.input("segment", frame("segment", "tcp S:3000 > server:80 A seq=2 ack=6")) == "pass_speaker_uplink"
    lease(pf, 0)
    pf.jump(1000)
    for i in range(2 * FLOWS):
        assert open_phone(pf, 0, 1000 + i, established=False) == "pass_uplink_speaker"
    assert [(f.remote_port, f.state) for f in other_flows(pf) if f.proto == 6] == [(80, 1)]
    assert pf.input("segment", frame("segment", "udp S:5 > server:53")) == "pass_speaker_uplink"
    pf.check()


def test_with_nothing_else_to_take_the_oldest_others_go(pf: Filter) -> None:
    """All the rest is protected: a phone's new flow still gets in, in the place of the speaker's."""
    known(pf)
    n = limit("PF_LEASES")
    for i in range(n):
        lease(pf, i)
        for k in range(limit("PF_LEASE_PROTECTED")):
            assert open_phone(pf, i, 1000 + k) == "pass_uplink_speaker"
    fill_others(pf, FLOWS - n * limit("PF_LEASE_PROTECTED"))
    assert len(pf.flows()) == FLOWS
    evicted = pf.count("flows_evicted")
    assert open_phone(pf, 0, 9999, established=False) == "pass_uplink_speaker"
    assert pf.count("flows_evicted") == evicted + 1
    pf.check()


def test_an_established_phone_flow_is_never_evicted(pf: Filter) -> None:
    """Against the speaker, strangers and other phones at once; and a new phone's flow always gets in."""
    known(pf)
    n = limit("PF_LEASES")
    for i in range(n):
        lease(pf, i)
        for k in range(limit("PF_LEASE_PROTECTED")):
            assert open_phone(pf, i, 1000 + k) == "pass_uplink_speaker"
    protected = {(f.remote, f.remote_port) for f in pf.flows() if f.proto == 6}
    assert len(protected) == n * limit("PF_LEASE_PROTECTED")
    rng = random.Random(1)
    for step in range(3 * FLOWS):
        pf.jump(30)
        kind = rng.randrange(4)
        port = 5000 + step
        if kind == 0:
            pf.input("segment", frame("segment", f"udp S:{port} > 198.51.100.{step % 250 + 1}:53"))
        elif kind == 1:
            pf.input("uplink", frame("uplink", f"tcp 10.66.2.{step % 250 + 1}:{port} > X:7780 S"))
        else:
            assert open_phone(pf, rng.randrange(n), port, established=kind == 3) == "pass_uplink_speaker"
        pf.out()
    assert len(pf.flows()) == FLOWS
    assert protected <= {(f.remote, f.remote_port) for f in pf.flows() if f.state == 1}
    assert pf.count("flows_evicted") > 0
    pf.check()


def test_a_stream_outlives_a_flood_of_new_flows(pf: Filter) -> None:
    """A speaker that opens flows without end loses them before its established connection."""
    known(pf)
    run(
        pf,
        """
segment: tcp S:30000 > server:80 S seq=1          -> pass_speaker_uplink -> uplink: ~
uplink:  tcp server:80 > X:30000 SA seq=1 ack=2   -> pass_uplink_speaker -> segment: ~
segment: tcp S:30000 > server:80 A seq=2 ack=2    -> pass_speaker_uplink -> uplink: ~
""",
    )
    fill_others(pf, 2 * FLOWS)
    run(pf, "uplink: tcp server:80 > X:30000 A seq=2 ack=2 -> pass_uplink_speaker -> segment: ~")


def begin_claim(pf: Filter, who: str, port: int, goes: str = "") -> None:
    """A SYN to the claim port; in its place `goes` ("attacker:1000") gives way, and the host is told by the number after its SYN."""
    reset = f"host_uplink: tcp {goes} > X:7780 R seq=10 win=0 ipid=0 from={goes.split(':')[0]} & " if goes else ""
    run(pf, f"uplink: tcp {who}:{port} > X:7780 S seq=9 -> pass_uplink_host -> {reset}host_uplink: ~")


def settle_claim(pf: Filter, who: str, port: int) -> None:
    run(
        pf,
        f"""
host_uplink: tcp X:7780 > {who}:{port} SA seq=1 ack=10 -> pass_host_uplink -> uplink: ~
uplink:      tcp {who}:{port} > X:7780 A seq=10 ack=2  -> pass_uplink_host -> host_uplink: ~
""",
    )


def test_claims_in_the_table(pf: Filter) -> None:
    """Half-open connections take all places that nobody else wants; the oldest gives way to a new one."""
    start(pf)
    n = limit("PF_CLAIM_FLOWS")
    for i in range(4 * n):
        pf.jump(1000)
        begin_claim(pf, "attacker", 1000 + i, f"attacker:{1000 + i - n}" if i >= n else "")
    assert len(pf.flows()) == n
    assert pf.count("reset_sent") == pf.count("flows_evicted") == 3 * n
    pf.check()


def test_open_claims_are_left_half_of_the_places(pf: Filter) -> None:
    start(pf)
    n = limit("PF_CLAIM_FLOWS")
    for port in range(n):
        pf.jump(1000)
        begin_claim(pf, "phone", 1 + port)
        settle_claim(pf, "phone", 1 + port)
    # Who holds them all, and keeps them busy, locks nobody out: the oldest gives way, until half of them are left.
    run(pf, "uplink: tcp phone:1 > X:7780 A seq=10 ack=2 -> pass_uplink_host -> host_uplink: ~")
    for i in range(n // 2):
        pf.jump(1000)
        begin_claim(pf, "attacker", 1 + i, f"phone:{1 + i}")
    run(pf, "uplink: tcp phone:1 > X:7780 A seq=10 ack=2 -> drop_no_flow")
    for i in range(n):
        pf.jump(1000)
        begin_claim(pf, "attacker", 1 + n // 2 + i, f"attacker:{1 + i}")
    settle_claim(pf, "phone", n)  # still there
    # A phone whose handshake ends before half as many others begin is in; then it has as long for its request.
    begin_claim(pf, "laptop", 1, f"attacker:{1 + n}")
    for i in range(n // 2 - 1):
        pf.jump(1000)
        begin_claim(pf, "attacker", 100 + i, f"attacker:{2 + n + i}")
    settle_claim(pf, "laptop", 1)
    begin_claim(pf, "attacker", 200, f"phone:{n // 2 + 1}")
    settle_claim(pf, "laptop", 1)
    pf.check()


def test_claims_that_have_ended_give_way_unsaid(pf: Filter) -> None:
    """The host has nothing left to wait for. After its own RST (a wrong ACK in the handshake) it may have: then it is told."""
    start(pf)
    begin_claim(pf, "phone", 3)
    settle_claim(pf, "phone", 3)
    run(
        pf,
        """
host_uplink: tcp X:7780 > phone:3 FA seq=2 ack=10  -> pass_host_uplink -> uplink: ~
uplink:      tcp phone:3 > X:7780 FA seq=10 ack=3  -> pass_uplink_host -> host_uplink: ~
uplink:      tcp phone:3 > X:7780 S seq=500        -> pass_uplink_host -> host_uplink: ~
""",
    )
    begin_claim(pf, "attacker", 7)
    run(
        pf,
        """
host_uplink: tcp X:7780 > attacker:7 SA seq=1 ack=10 -> pass_host_uplink -> uplink: ~
uplink:      tcp attacker:7 > X:7780 A seq=10 ack=99 -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:7780 > attacker:7 R seq=99        -> pass_host_uplink -> uplink: ~
""",
    )
    begin_claim(pf, "attacker", 7, "attacker:7")
    assert pf.count("reset_sent") == 1
    pf.check()


def test_no_port_left(pf: Filter) -> None:
    """All low ports of one parity in use: the next one is refused, not given somebody else's."""
    known(pf)
    for i in range(512, 1024, 2):
        pf.jump(50)
        assert pf.input("segment", frame("segment", f"udp S:{i} > server:53")) == "pass_speaker_uplink"
    for i in range(512, 1024, 64):
        assert pf.input("host_uplink", frame("host_uplink", f"udp X:{i} > server:53")) == "drop_ports_full"
        assert pf.input("host_uplink", frame("host_uplink", f"udp X:{i + 1} > server:53")) == "pass_host_uplink"
    pf.check()
    assert len({(f.proto, f.external_port) for f in pf.flows()}) == len(pf.flows())
    assert sum(f.owner == 0 for f in pf.flows()) == 8


def test_chains_are_bounded_against_one_who_knows_the_key(pf: Filter) -> None:
    """Somebody who knows the key can fill a bucket: up to the limit, then he is refused. Nobody else can."""
    known(pf)
    picked = [p for p in range(1024, 65536) if _bucket(p) == _bucket(1024)][: limit("PF_CHAIN_MAX") + 5]
    verdicts = []
    for p in picked:
        pf.jump(50)
        verdicts.append(pf.input("segment", frame("segment", f"udp S:{p} > server:53")))
    assert verdicts[: limit("PF_CHAIN_MAX") - 2] == ["pass_speaker_uplink"] * (limit("PF_CHAIN_MAX") - 2)
    assert verdicts[-1] == "drop_chain_full"
    pf.check()
    with Filter(key=b"another" + bytes(9)) as other:
        known(other)
        for p in picked:
            other.jump(50)
            assert other.input("segment", frame("segment", f"udp S:{p} > server:53")) == "pass_speaker_uplink"


def test_a_source_of_random_numbers_that_is_stuck_makes_no_filter() -> None:
    for byte in (0, 0x5A, 0xFF):
        stuck = bytes([byte]) * 16
        with pytest.raises(ValueError, match="refuses"):
            Filter(key=stuck)
        for place in (0, 7, 15):
            Filter(key=stuck[:place] + bytes([byte ^ 1]) + stuck[place + 1 :]).close()


def _bucket(sport: int) -> int:
    """The bucket of udp S:sport > server:53, by what the speaker sees."""
    addr, rport, lport = bytes([203, 0, 113, 10]), (53).to_bytes(2, "big"), sport.to_bytes(2, "big")
    pieces = (addr[:2], addr[2:], rport, lport)
    h = hashed(hash_sum(KEY, *(int.from_bytes(p, "little") for p in pieces)))
    return (h ^ 5) & (FLOWS - 1)  # 5: UDP, the speaker's


# ---- Neighbours ----


def test_the_filter_asks_and_keeps_the_frames(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
segment: udp S:1 > server:53             -> frames_pending -> uplink: arp who-has router tell X
segment: udp S:2 > server:53             -> frames_pending
segment: udp S:3 > server:53             -> drop_pending_full
segment: udp S:1 > dns:53                -> frames_pending -> uplink: arp who-has dns tell X
uplink:  arp flatmate is-at attacker to X -> drop_arp_unasked
uplink:  arp router is-at router to X     -> arp_learned -> uplink: udp X:1 > server:53 ttl=63 & uplink: udp X:2 > server:53 ttl=63
uplink:  arp router is-at attacker to X   -> drop_arp_spoof
uplink:  arp who-has X tell router sha=attacker -> arp_answered -> uplink: arp X is-at X to router tha=attacker
segment: udp S:4 > server:53             -> pass_speaker_uplink -> uplink: ~
uplink:  arp dns is-at dns to X           -> arp_learned -> uplink: udp X:1 > dns:53 ttl=63
uplink:  arp dns is-at dns to X           -> drop_arp_unasked
""",
    )


def test_an_answer_to_another_address_is_not_believed(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
segment: udp S:1 > server:53                -> frames_pending -> uplink: arp who-has router tell X
uplink:  arp router is-at attacker to flatmate to=X -> drop_arp_unasked
uplink:  arp router is-at attacker to X to=all -> drop_arp_unasked
uplink:  arp router is-at attacker to X from=router -> drop_arp_bad
""",
    )


def test_a_silent_neighbour_is_given_up(pf: Filter) -> None:
    start(pf)
    run(pf, "segment: udp S:1 > server:53 -> frames_pending -> uplink: arp who-has router tell X")
    asked = frame("uplink", "arp who-has router tell X", False)
    tries, retry = limit("PF_ARP_TRIES"), limit("PF_ARP_RETRY_MS")
    pf.wait(retry - 1)
    assert pf.out() == []
    pf.wait(tries * retry)
    assert pf.out() == [("uplink", asked)] * (tries - 1)
    assert pf.count("drop_no_neighbour") == 1
    pf.wait(10 * retry)
    assert pf.out() == []
    run(pf, "segment: udp S:1 > server:53 -> frames_pending -> uplink: arp who-has router tell X")


def test_a_neighbour_is_asked_again_by_unicast(pf: Filter) -> None:
    known(pf)
    pf.wait(limit("PF_ARP_FRESH_MS"))
    asked = [("uplink", frame("uplink", "arp who-has router tell X to=router", False))]
    assert pf.out() == asked
    run(
        pf,
        """
uplink: arp router is-at attacker to X -> drop_arp_spoof
uplink: arp router is-at router to X   -> arp_learned
""",
    )
    pf.wait(limit("PF_ARP_FRESH_MS") - 100)
    assert pf.out() == []
    pf.wait(limit("PF_ARP_RETRY_MS") * (limit("PF_ARP_TRIES") + 1))
    assert pf.out() == asked * limit("PF_ARP_TRIES")
    run(  # it is gone: whoever answers the next question is the router
        pf,
        """
segment: udp S:1 > server:53           -> frames_pending -> uplink: arp who-has router tell X
uplink:  arp router is-at laptop to X   -> arp_learned -> uplink: udp X:1 > server:53 ttl=63 to=laptop
""",
    )


def test_a_phone_by_address_only_is_asked_for_or_routed(pf: Filter) -> None:
    known(pf)
    run(
        pf,
        """
! lease phone mac=none; lease farphone mac=none
segment: udp S:1 > phone:5              -> frames_pending -> uplink: arp who-has phone tell X
uplink:  arp phone is-at phone to X     -> arp_learned -> uplink: udp X:1 > phone:5 ttl=63
segment: udp S:1 > farphone:5           -> pass_speaker_uplink -> uplink: udp X:1 > farphone:5 ttl=63 to=router
segment: udp S:1900 > ssdp:1900 data=notify -> relay_notify -> uplink: udp S:1900 > phone:1900 data=notify & uplink: udp S:1900 > farphone:1900 data=notify to=router
""",
    )


def test_without_a_router(pf: Filter) -> None:
    start(pf, Config(router="0.0.0.0"))
    run(
        pf,
        """
! lease phone
segment: udp S:1 > server:53 -> drop_no_neighbour
segment: udp S:1 > phone:5   -> pass_speaker_uplink -> uplink: ~
""",
    )


def test_another_router_is_asked_anew(pf: Filter) -> None:
    known(pf)
    pf.configure(Config(router="10.66.0.9"))
    run(pf, "segment: udp S:1 > server:53 -> frames_pending -> uplink: arp who-has 10.66.0.9 tell X")
    pf.configure(Config())
    assert pf.count("drop_no_neighbour") == 1  # the frame that waited
    run(pf, "segment: udp S:1 > server:53 -> frames_pending -> uplink: arp who-has router tell X")


def test_the_host_asks_for_more_than_is_remembered(pf: Filter) -> None:
    start(pf)
    n = limit("PF_ASKED")
    for i in range(n + 1):
        pf.input("host_uplink", frame("host_uplink", f"arp who-has 10.66.2.{i + 1} tell X"))
    verdicts = [pf.input("uplink", frame("uplink", f"arp 10.66.2.{i + 1} is-at flatmate to X")) for i in range(n + 1)]
    assert verdicts == ["drop_arp_unasked"] + ["pass_uplink_host"] * n


# ---- DHCP of the segment ----


def bootp(client: str = "S", size: int = 300, op: int = 1, cookie: bytes = bytes([99, 130, 83, 99])) -> str:
    chaddr = bytes.fromhex(HOSTS[client][1].replace(":", ""))
    data = bytes([op, 1, 6, 0]) + b"\x12\x34\x56\x78" + bytes(20) + chaddr + bytes(202) + cookie + b"\x35\x01\x01\xff"
    return data.ljust(size, b"\0")[:size].hex()


def dhcp_frame(data: str, text: str = "udp nobody:68 > all:67") -> bytes:
    plain = frame("segment", f"{text} data=*{len(data) // 2}")
    return _with_payload(plain, bytes.fromhex(data))


def _with_payload(built: bytes, payload: bytes) -> bytes:
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    p = Ether(built)
    p[UDP].remove_payload()
    del p[UDP].chksum
    return bytes(p / Raw(payload))


def test_dhcp_of_the_speaker_is_queued(pf: Filter) -> None:
    start(pf)
    assert pf.input("segment", dhcp_frame(bootp())) == "dhcp_queued"
    assert pf.events() == 1
    assert pf.events() == 0
    assert pf.dhcp_take().hex() == bootp()
    assert pf.dhcp_take() == b""
    assert pf.out() == []


def test_dhcp_queue_is_bounded_and_in_order(pf: Filter) -> None:
    start(pf)
    n = limit("PF_DHCP_QUEUE")
    for i in range(n):
        assert pf.input("segment", dhcp_frame(bootp(size=300 + i))) == "dhcp_queued"
    assert pf.input("segment", dhcp_frame(bootp())) == "drop_dhcp_full"
    assert [len(pf.dhcp_take()) for _ in range(n + 1)] == [300 + i for i in range(n)] + [0]


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (bootp(size=240), "dhcp_queued"),
        (bootp(size=239), "drop_dhcp_bad"),
        (bootp(size=limit("PF_DHCP_MAX")), "dhcp_queued"),
        (bootp(size=limit("PF_DHCP_MAX") + 1), "drop_dhcp_bad"),
        (bootp(op=2), "drop_dhcp_bad"),
        (bootp(cookie=bytes(4)), "drop_dhcp_bad"),
        (bootp(client="attacker"), "drop_dhcp_bad"),
        (bootp()[:2] + "06" + bootp()[4:], "drop_dhcp_bad"),
        (bootp()[:4] + "08" + bootp()[6:], "drop_dhcp_bad"),
    ],
)
def test_dhcp_messages_are_looked_at(pf: Filter, data: str, verdict: str) -> None:
    start(pf)
    assert pf.input("segment", dhcp_frame(data)) == verdict


def test_dhcp_checksums(pf: Filter) -> None:
    start(pf)
    good = dhcp_frame(bootp())
    bad = good[:-1] + b"\x01"
    none = good[:40] + b"\0\0" + good[42:-1] + b"\x01"
    assert pf.input("segment", bad) == "drop_dhcp_bad"
    assert pf.input("segment", none) == "dhcp_queued"


def test_dhcp_renewal_by_unicast_and_from_an_old_address(pf: Filter) -> None:
    start(pf)
    assert pf.input("segment", dhcp_frame(bootp(), "udp S:68 > bridge:67")) == "dhcp_queued"
    assert pf.input("segment", dhcp_frame(bootp(), "udp 10.9.9.9:68 > all:67 from=S")) == "dhcp_queued"


def test_dhcp_of_another_station(pf: Filter) -> None:
    start(pf)
    text = "udp nobody:68 > all:67 from=attacker"
    assert pf.input("segment", dhcp_frame(bootp(client="attacker"), text)) == "drop_source_mac"
    assert pf.events() == 8
    pf.speaker(None)
    assert pf.input("segment", dhcp_frame(bootp(client="attacker"), text)) == "dhcp_queued"


def test_dhcp_message_too_long_for_its_reader(pf: Filter) -> None:
    start(pf)
    pf.input("segment", dhcp_frame(bootp(size=400)))
    pf.input("segment", dhcp_frame(bootp(size=300)))
    assert len(pf.dhcp_take(room=399)) == 300
    assert pf.count("drop_dhcp_full") == 1


@pytest.mark.parametrize("size", [1, 2, 300, 301, 1472])
def test_dhcp_answers(pf: Filter, size: int) -> None:
    start(pf)
    payload = random.Random(size).randbytes(size)
    assert pf.dhcp_send(payload, mac_of("S"), "10.66.0.77")
    want = _with_payload(frame("segment", f"udp bridge:67 > S:68 ipid=0 data=*{size}", False), payload)
    assert pf.out() == [("segment", want)]
    assert pf.dhcp_send(payload, None, "255.255.255.255")
    want = _with_payload(frame("segment", f"udp bridge:67 > all:68 ipid=0 data=*{size} to=all", False), payload)
    assert pf.out() == [("segment", want)]


def test_dhcp_answer_too_long(pf: Filter) -> None:
    start(pf)
    assert not pf.dhcp_send(bytes(1473), None, "255.255.255.255")
    assert pf.out() == []
