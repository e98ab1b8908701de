# ruff: noqa: E501 (a step of a script is one line)
"""Connections, from the first frame to the last: TCP's states, timers, collisions of ports, ICMP errors."""

import pytest
from core import Config, Filter, limit
from frames import SPEAKER, frame, mac_of
from script import run, start

OPEN = """
! lease phone
uplink:  tcp phone:40000 > X:1400 S seq=999 ws=7          -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 SA seq=4999 ack=1000 ws=6 -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:1400 A seq=1000 ack=5000      -> pass_uplink_speaker -> segment: ~
"""

TELNET_HOUR_MS = 3_600_000


@pytest.fixture
def opened(pf: Filter) -> Filter:
    start(pf)
    run(pf, OPEN)
    return pf


def test_phone_and_speaker_talk(opened: Filter) -> None:
    run(
        opened,
        """
uplink:  tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=GET -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 A seq=5000 ack=1003          -> pass_speaker_uplink -> uplink: ~
segment: tcp S:1400 > phone:40000 PA seq=5000 ack=1003 data=OK  -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:1400 FA seq=1003 ack=5002          -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 FA seq=5002 ack=1004          -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:1400 A seq=1004 ack=5003           -> pass_uplink_speaker -> segment: ~
""",
    )
    assert [f.state for f in opened.flows()] == [2]


def test_answers_to_a_leased_phone_never_go_to_another_mac(opened: Filter) -> None:
    """Whatever ARP says, the lease's MAC is the phone's."""
    run(
        opened,
        """
uplink:  arp phone is-at attacker to X                  -> drop_arp_spoof
uplink:  arp who-has X tell phone sha=attacker          -> arp_answered -> uplink: arp X is-at X to phone tha=attacker
segment: tcp S:1400 > phone:40000 A seq=5000 ack=1000 -> pass_speaker_uplink -> uplink: ~ to=phone
""",
    )
    assert opened.events() & 4


def test_a_flow_belongs_to_its_five_tuple(opened: Filter) -> None:
    run(
        opened,
        """
uplink: tcp phone:40001 > X:1400 A seq=1000 ack=5000    -> drop_no_flow
uplink: tcp laptop:40000 > X:1400 A seq=1000 ack=5000   -> drop_no_flow
uplink: tcp phone:40000 > X:1401 A seq=1000 ack=5000    -> drop_no_flow
uplink: udp phone:40000 > X:1400                        -> drop_no_rule
uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5000 from=attacker -> drop_lease_mac
""",
    )
    assert opened.events() & 4


W_PHONE, W_SPEAKER = 65536 << 7, 65536 << 6  # what each side can announce, at most


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (f"uplink: tcp phone:40000 > X:1400 A seq={1000 + W_SPEAKER} ack=5000", "pass_uplink_speaker"),
        (f"uplink: tcp phone:40000 > X:1400 A seq={1001 + W_SPEAKER} ack=5000", "drop_tcp_window"),
        (f"uplink: tcp phone:40000 > X:1400 A seq={1000 + W_SPEAKER} ack=5000 data=x", "drop_tcp_window"),
        (f"uplink: tcp phone:40000 > X:1400 A seq={(1000 - W_SPEAKER) % 2**32} ack=5000", "pass_uplink_speaker"),
        (f"uplink: tcp phone:40000 > X:1400 A seq={(999 - W_SPEAKER) % 2**32} ack=5000", "drop_tcp_window"),
        ("uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5001", "drop_tcp_window"),
        (f"uplink: tcp phone:40000 > X:1400 A seq=1000 ack={(5000 - 2 * W_PHONE) % 2**32}", "pass_uplink_speaker"),
        (f"uplink: tcp phone:40000 > X:1400 A seq=1000 ack={(4999 - 2 * W_PHONE) % 2**32}", "drop_tcp_window"),
        (f"segment: tcp S:1400 > phone:40000 A seq={5000 + W_PHONE} ack=1000", "pass_speaker_uplink"),
        (f"segment: tcp S:1400 > phone:40000 A seq={5001 + W_PHONE} ack=1000", "drop_tcp_window"),
        ("segment: tcp S:1400 > phone:40000 A seq=5000 ack=1001", "drop_tcp_window"),
        (f"uplink: tcp phone:40000 > X:1400 RA seq={1000 + W_SPEAKER} ack=5000", "pass_uplink_speaker"),
        (f"uplink: tcp phone:40000 > X:1400 RA seq={1001 + W_SPEAKER} ack=5000", "drop_tcp_window"),
        (f"uplink: tcp phone:40000 > X:1400 R seq={(999 - W_SPEAKER) % 2**32}", "drop_tcp_window"),
        ("uplink: tcp phone:40000 > X:1400 S seq=77", "pass_uplink_speaker"),
    ],
)
def test_sequence_window(opened: Filter, line: str, verdict: str) -> None:
    """RFC 5961: what is not plausible does not pass; what is, changes nothing that an attacker could use."""
    port, _, text = line.partition(":")
    assert opened.input(port, frame(port, text.strip())) == verdict
    assert [f.state for f in opened.flows()] == [1]


def test_windows_are_small_without_the_option(pf: Filter) -> None:
    """RFC 7323, 2.2: both sides or none."""
    start(pf)
    run(
        pf,
        """
! lease phone
uplink:  tcp phone:40000 > X:1400 S seq=999 ws=7         -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 SA seq=4999 ack=1000     -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:1400 A seq=1000 ack=5000      -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 A seq=70537 ack=1000     -> drop_tcp_window
segment: tcp S:1400 > phone:40000 A seq=70536 ack=1000     -> pass_speaker_uplink -> uplink: ~
""",
    )


def test_rst_ends_a_flow_only_at_the_expected_number(opened: Filter) -> None:
    """RFC 5961, 3.2."""
    run(opened, "uplink: tcp phone:40000 > X:1400 R seq=1001 -> pass_uplink_speaker -> segment: ~")
    assert [f.state for f in opened.flows()] == [1]
    run(opened, "uplink: tcp phone:40000 > X:1400 R seq=1000 -> pass_uplink_speaker -> segment: ~")
    assert [f.state for f in opened.flows()] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "uplink: tcp phone:40000 > X:1400 S seq=999 ttl=1",
        "segment: tcp S:30000 > server:80 S ttl=1",
        "segment: udp S:30000 > phone:53 ttl=1",
    ],
)
def test_a_frame_whose_time_is_over_begins_no_flow(pf: Filter, line: str) -> None:
    start(pf)
    run(pf, f"! lease phone\n{line} -> drop_ttl")
    assert pf.flows() == []
    assert pf.count("flows_made") == 0


def test_handshake_in_the_wrong_order(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
! lease phone
uplink:  tcp phone:40000 > X:1400 S seq=999            -> pass_uplink_speaker -> segment: ~
uplink:  tcp phone:40000 > X:1400 A seq=1000 ack=5000   -> drop_tcp_state
segment: tcp S:1400 > phone:40000 A seq=5000 ack=1000   -> drop_tcp_state
segment: tcp S:1400 > phone:40000 SA seq=4999 ack=1001  -> drop_tcp_window
segment: tcp S:1400 > phone:40000 RA seq=0 ack=1001     -> drop_tcp_window
segment: tcp S:1400 > phone:40000 R seq=0               -> drop_tcp_window
uplink:  tcp phone:40000 > X:1400 S seq=999            -> pass_uplink_speaker -> segment: ~
uplink:  tcp phone:40000 > X:1400 S seq=1999           -> pass_uplink_speaker -> segment: ~   # a new number, before any answer
segment: tcp S:1400 > phone:40000 SA seq=4999 ack=2000  -> pass_speaker_uplink -> uplink: ~
segment: tcp S:1400 > phone:40000 SA seq=4999 ack=2000  -> pass_speaker_uplink -> uplink: ~   # sent again
segment: tcp S:1400 > phone:40000 SA seq=4000 ack=2000  -> drop_tcp_window
uplink:  tcp phone:40000 > X:1400 S seq=999            -> drop_tcp_window
""",
    )
    assert [f.state for f in pf.flows()] == [0]


def test_refused_connection(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
! lease phone
uplink:  tcp phone:40000 > X:1400 S seq=999           -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 RA seq=0 ack=1000    -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:1400 S seq=2999          -> pass_uplink_speaker -> segment: ~   # once more from the same port
segment: tcp S:1400 > phone:40000 SA seq=1 ack=3000    -> pass_speaker_uplink -> uplink: ~
""",
    )
    assert len(pf.flows()) == 1


def test_simultaneous_open(pf: Filter) -> None:
    """RFC5382-REQ2."""
    start(pf)
    run(
        pf,
        """
! lease phone
segment: tcp S:30000 > phone:40000 S seq=10            -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:30000 S seq=20            -> pass_uplink_speaker -> segment: ~
segment: tcp S:30000 > phone:40000 SA seq=10 ack=21     -> pass_speaker_uplink -> uplink: ~
uplink:  tcp phone:40000 > X:30000 SA seq=20 ack=11     -> pass_uplink_speaker -> segment: ~
uplink:  tcp phone:40000 > X:30000 A seq=21 ack=11      -> pass_uplink_speaker -> segment: ~
""",
    )
    assert [f.state for f in pf.flows()] == [1]


# ---- The end of a lease ----


def test_revoking_ends_flows_at_once(opened: Filter) -> None:
    """Both directions; the speaker gets a RST that its stack accepts (RFC 5961: exactly its next number)."""
    opened.lease_add("10.66.0.101", mac_of("laptop"))
    run(opened, "uplink: tcp laptop:1 > X:1400 S seq=0 -> pass_uplink_speaker -> segment: ~")
    assert opened.lease_end("10.66.0.100") == 1
    rst = frame("segment", "tcp phone:40000 > X:1400 R seq=1000 ipid=0 win=0", False)
    assert opened.out() == [("segment", rst)]
    run(
        opened,
        """
uplink:  tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=GET -> drop_no_flow
uplink:  tcp phone:40001 > X:1400 S                             -> drop_no_lease
segment: tcp S:1400 > phone:40000 PA seq=5000 ack=1000 data=OK   -> drop_no_flow -> segment: tcp phone:40000 > S:1400 R seq=1000 ipid=0 win=0
segment: tcp S:30000 > phone:3400 S                             -> drop_egress_local
""",
    )
    assert [f.remote for f in opened.flows()] == ["10.66.0.101"]
    assert opened.count("flows_ended") == 1
    assert opened.lease_end("10.66.0.100") == 0


SERVICES = """
! know server
! services 6/1400 6/1443 17/319; lease laptop
uplink:      tcp phone:40001 > X:1443 S seq=99              -> pass_uplink_speaker -> segment: ~
uplink:      tcp laptop:40000 > X:1400 S seq=199            -> pass_uplink_speaker -> segment: ~
uplink:      udp phone:319 > X:319                          -> pass_uplink_speaker -> segment: ~
uplink:      tcp phone:40002 > X:7780 S seq=299             -> pass_uplink_host -> host_uplink: ~
segment:     tcp S:30000 > phone:3400 S seq=9               -> pass_speaker_uplink -> uplink: ~
segment:     udp S:1400 > phone:5000                        -> pass_speaker_uplink -> uplink: ~
segment:     tcp S:1400 > server:80 S seq=1                 -> pass_speaker_uplink -> uplink: ~
host_uplink: tcp X:30001 > phone:80 S seq=1                 -> pass_host_uplink -> uplink: ~
"""


def _reset(who: str, service: int, seq: int) -> tuple[str, bytes]:
    return "segment", frame("segment", f"tcp {who} > S:{service} R seq={seq} ipid=0 win=0", False)


def test_a_service_that_is_taken_away_ends_its_flows_at_once(opened: Filter) -> None:
    """Established, half open, and UDP; not what the speaker, the host, or a claim has opened, whatever its ports."""
    run(opened, SERVICES)
    before = len(opened.flows())
    assert opened.services((6, 1443), (17, 1400))
    assert opened.out() == [_reset("phone:40000", 1400, 1000), _reset("laptop:40000", 1400, 200)]
    assert (opened.count("flows_ended"), len(opened.flows())) == (3, before - 3)
    run(
        opened,
        """
uplink:      tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=GET -> drop_no_flow
uplink:      tcp phone:40000 > X:1400 S seq=2000             -> drop_no_rule
segment:     tcp S:1400 > phone:40000 A seq=5000 ack=1000    -> drop_no_flow -> segment: tcp phone:40000 > S:1400 R seq=1000 ipid=0 win=0
uplink:      udp phone:319 > X:319                           -> drop_no_rule
segment:     tcp S:1443 > phone:40001 SA seq=5 ack=100       -> pass_speaker_uplink -> uplink: ~
uplink:      tcp phone:40001 > X:1443 A seq=100 ack=6        -> pass_uplink_speaker -> segment: ~
uplink:      tcp phone:3400 > X:30000 SA seq=1 ack=10        -> pass_uplink_speaker -> segment: ~
uplink:      udp phone:5000 > X:1400                         -> pass_uplink_speaker -> segment: ~
uplink:      tcp server:80 > X:1400 SA seq=7 ack=2           -> pass_uplink_speaker -> segment: ~
uplink:      tcp phone:80 > X:30001 SA seq=7 ack=2           -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:7780 > phone:40002 SA seq=1 ack=300       -> pass_host_uplink -> uplink: ~
""",
    )
    assert opened.services()
    assert opened.out() == [_reset("phone:40001", 1443, 100)]
    assert opened.count("flows_ended") == 4
    opened.check()


def test_services_that_stay_keep_their_flows(opened: Filter) -> None:
    """Named again, in another order, with more: nothing ends. Nor does anything where the new ones are refused."""
    run(opened, SERVICES)
    before = opened.flows()
    assert opened.services((17, 319), (6, 9), (6, 1400), (6, 1443))
    assert not opened.services((6, 0))
    assert not opened.services(*[(6, 1)] * (limit("PF_SERVICES") + 1))
    assert (opened.out(), opened.count("flows_ended"), opened.flows()) == ([], 0, before)


def test_the_music_goes_on_when_a_phone_is_revoked(opened: Filter) -> None:
    run(
        opened,
        """
! know server
segment: tcp S:30000 > server:80 S seq=1                 -> pass_speaker_uplink -> uplink: ~
uplink:  tcp server:80 > X:30000 SA seq=1 ack=2          -> pass_uplink_speaker -> segment: ~
! end phone; forget-output
segment: tcp S:30000 > server:80 A seq=2 ack=2           -> pass_speaker_uplink -> uplink: ~
uplink:  tcp server:80 > X:30000 A seq=2 ack=2 data=la   -> pass_uplink_speaker -> segment: ~
""",
    )


def test_a_lease_ends_by_silence(opened: Filter) -> None:
    opened.lease_renew("10.66.0.100", 60)
    opened.wait(59_000)
    run(opened, "uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5000 -> pass_uplink_speaker -> segment: ~")
    assert [(lease.left_s, lease.idle_s) for lease in opened.leases()] == [(60, 0)]  # traffic renewed it
    opened.wait(59_900)
    assert len(opened.flows()) == 1
    opened.wait(100)
    assert opened.flows() == []
    assert opened.leases() == []
    assert opened.events() & 2
    assert opened.count("leases_expired") == 1
    assert [port for port, _ in opened.out()] == ["segment"]  # the RST


@pytest.mark.parametrize("port", ["uplink", "segment"])
def test_a_lease_that_is_over_stops_its_flows_before_any_timer(opened: Filter, port: str) -> None:
    opened.lease_renew("10.66.0.100", 60)
    opened.jump(60_000)
    text = (
        "tcp phone:40000 > X:1400 A seq=1000 ack=5000"
        if port == "uplink"
        else "tcp S:1400 > phone:40000 A seq=5000 ack=1000"
    )
    assert opened.input(port, frame(port, text)) == "drop_no_lease"
    assert [p for p, _ in opened.out()] == ["segment"]
    assert opened.flows() == []
    opened.check()


def test_the_speaker_does_not_keep_a_lease_alive(opened: Filter) -> None:
    opened.lease_renew("10.66.0.100", 60)
    opened.wait(30_000)
    run(opened, "segment: tcp S:1400 > phone:40000 A seq=5000 ack=1000 -> pass_speaker_uplink -> uplink: ~")
    assert opened.leases()[0].left_s == 30


def test_another_mac_for_a_lease_ends_its_flows(opened: Filter) -> None:
    opened.lease_add("10.66.0.100", mac_of("attacker"))
    assert opened.flows() == []
    run(opened, "! forget-output\nuplink: tcp phone:1 > X:1400 S -> drop_lease_mac")


def test_the_same_lease_again_keeps_its_flows(opened: Filter) -> None:
    opened.lease_add("10.66.0.100", mac_of("phone"), 7)
    assert len(opened.flows()) == 1
    assert opened.leases()[0].left_s == 7


def test_a_changed_address_ends_everything(opened: Filter) -> None:
    opened.configure(Config())  # the same again: nothing
    assert len(opened.flows()) == 1
    opened.configure(Config(addr="10.66.0.78"))
    assert opened.flows() == []
    assert opened.leases() == []
    run(opened, "! forget-output\nuplink: tcp phone:1 > 10.66.0.78:1400 S to=X -> drop_no_lease")


def test_another_speaker_has_no_flows(opened: Filter) -> None:
    run(opened, "uplink: tcp flatmate:5 > X:7780 S -> pass_uplink_host -> host_uplink: ~")
    opened.speaker(SPEAKER)
    assert len(opened.flows()) == 2
    opened.speaker(mac_of("attacker"))
    assert [f.owner for f in opened.flows()] == [0]


# ---- Timers ----


def idle_limit(pf: Filter, seconds: int) -> None:
    """Every flow lives at least so long without a frame, and not much longer."""
    n = len(pf.flows())
    pf.jump(seconds * 1000)
    assert len(pf.flows()) == n
    pf.jump(1)
    assert pf.flows() == []


def test_timer_tcp_established(opened: Filter) -> None:
    """RFC5382-REQ5: 2 h 4 min."""
    assert limit("PF_TIME_TCP") >= 7440
    idle_limit(opened, limit("PF_TIME_TCP"))


def test_timer_tcp_half_closed_is_still_long(opened: Filter) -> None:
    run(opened, "uplink: tcp phone:40000 > X:1400 FA seq=1000 ack=5000 -> pass_uplink_speaker -> segment: ~")
    idle_limit(opened, limit("PF_TIME_TCP"))


def test_timer_tcp_opening(pf: Filter) -> None:
    """RFC5382-REQ5: transitory, 4 min."""
    start(pf)
    assert limit("PF_TIME_TCP_TRANSITORY") >= 240
    run(pf, "! lease phone\nuplink: tcp phone:40000 > X:1400 S seq=999 -> pass_uplink_speaker -> segment: ~")
    idle_limit(pf, limit("PF_TIME_TCP_TRANSITORY"))


def test_timer_tcp_closing(opened: Filter) -> None:
    run(
        opened,
        """
uplink:  tcp phone:40000 > X:1400 FA seq=1000 ack=5000          -> pass_uplink_speaker -> segment: ~
segment: tcp S:1400 > phone:40000 FA seq=5000 ack=1001          -> pass_speaker_uplink -> uplink: ~
""",
    )
    idle_limit(opened, limit("PF_TIME_TCP_TRANSITORY"))


def test_timer_tcp_reset(opened: Filter) -> None:
    run(opened, "uplink: tcp phone:40000 > X:1400 R seq=1000 -> pass_uplink_speaker -> segment: ~")
    idle_limit(opened, limit("PF_TIME_TCP_TRANSITORY"))


def test_timer_udp_is_kept_by_the_owner_only(pf: Filter) -> None:
    """RFC4787-REQ5: 5 min; RFC4787-REQ6: outbound refresh."""
    start(pf)
    assert limit("PF_TIME_UDP") >= 300
    run(
        pf,
        """
! know server
segment: udp S:30000 > server:53 -> pass_speaker_uplink -> uplink: ~
! jump 299000
uplink:  udp server:53 > X:30000 -> pass_uplink_speaker -> segment: ~
! jump 12000
uplink:  udp server:53 > X:30000 -> drop_no_rule
segment: udp S:30000 > server:53 -> pass_speaker_uplink -> uplink: ~
! jump 299000
segment: udp S:30000 > server:53 -> pass_speaker_uplink -> uplink: ~
! jump 299000
uplink:  udp server:53 > X:30000 -> pass_uplink_speaker -> segment: ~
""",
    )
    idle = pf.flows()[0].idle_s
    assert 298 <= idle <= 300


def test_timer_icmp(pf: Filter) -> None:
    """RFC5508-REQ2: 60 s."""
    start(pf)
    assert limit("PF_TIME_ICMP") >= 60
    run(
        pf,
        """
! know server
segment: echo S > server id=7  -> pass_speaker_uplink -> uplink: ~
uplink:  reply server > X id=7 -> pass_uplink_speaker -> segment: ~
uplink:  reply server > X id=8 -> drop_no_flow
uplink:  reply phone > X id=7  -> drop_no_flow
! jump 60000
uplink:  reply server > X id=7 -> pass_uplink_speaker -> segment: ~
! jump 5000
uplink:  reply server > X id=7 -> drop_no_flow
""",
    )


def test_timer_claim(pf: Filter) -> None:
    start(pf)
    run(pf, "uplink: tcp flatmate:40000 > X:7780 S -> pass_uplink_host -> host_uplink: ~")
    idle_limit(pf, limit("PF_TIME_CLAIM"))


def test_the_clock_wraps(pf: Filter) -> None:
    """The 32-bit millisecond clock goes round after 49.7 days."""
    with Filter(now_ms=2**32 - 5_000) as wrapping:
        start(wrapping)
        run(wrapping, OPEN)
        wrapping.wait(10_000)
        run(wrapping, "uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5000 -> pass_uplink_speaker -> segment: ~")
        assert wrapping.leases()[0].idle_s == 0
        assert wrapping.flows()[0].idle_s <= 1
        idle_limit(wrapping, limit("PF_TIME_TCP"))


def test_the_sweep_frees_what_has_expired(pf: Filter) -> None:
    start(pf)
    run(pf, "! know server\nsegment: udp S:30000 > server:53 -> pass_speaker_uplink -> uplink: ~")
    pf.wait(limit("PF_TIME_UDP") * 1024 + 5_000)
    assert pf.count("flows_expired") >= 1
    pf.check()


# ---- Ports ----


def test_ports_are_kept_where_free(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
! know server
segment:     udp S:30000 > server:53  -> pass_speaker_uplink -> uplink: ~
host_uplink: udp X:30001 > server:53  -> pass_host_uplink -> uplink: ~
segment:     udp S:30000 > 203.0.113.11:53 -> pass_speaker_uplink -> uplink: ~
""",
    )
    assert {(f.local_port, f.external_port) for f in pf.flows()} == {(9, 9), (30000, 30000), (30001, 30001)}
    assert pf.count("flows_made") == 4


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_speaker_and_host_collide(pf: Filter, kind: str) -> None:
    """RFC4787-REQ1, REQ3, REQ4: the second one gets another port, of the same parity, for all its flows."""
    start(pf)
    flag = "S" if kind == "tcp" else ""
    run(
        pf,
        f"""
! know server
host_uplink: {kind} X:30000 > server:80 {flag} -> pass_host_uplink -> uplink: ~
""",
    )
    assert pf.input("segment", frame("segment", f"{kind} S:30000 > server:80 {flag}")) == "pass_speaker_uplink"
    moved = next(f for f in pf.flows() if f.owner == 1 and f.local_port == 30000)
    q = moved.external_port
    assert q != 30000
    assert q >= 1024
    assert q % 2 == 0
    assert pf.out() == [("uplink", frame("uplink", f"{kind} X:{q} > server:80 {flag} ttl=63", False))]
    answer = "SA ack=1001" if kind == "tcp" else "data=hello"
    run(
        pf,
        f"""
uplink:  {kind} server:80 > X:{q} {answer}     -> pass_uplink_speaker -> segment: {kind} server:80 > S:30000 {answer} ttl=63
uplink:  {kind} server:80 > X:30000 {answer}   -> pass_uplink_host -> host_uplink: ~
segment: {kind} S:30000 > 203.0.113.11:99 {flag} -> pass_speaker_uplink -> uplink: {kind} X:{q} > 203.0.113.11:99 {flag} ttl=63
""",
    )


def test_host_gives_way_to_the_speaker(pf: Filter) -> None:
    start(pf)
    run(pf, "! know server\nsegment: udp S:30001 > server:53 -> pass_speaker_uplink -> uplink: ~")
    assert pf.input("host_uplink", frame("host_uplink", "udp X:30001 > server:53")) == "pass_host_uplink"
    q = next(f for f in pf.flows() if f.owner == 0).external_port
    assert q != 30001
    assert q % 2 == 1
    assert pf.out() == [("uplink", frame("uplink", f"udp X:{q} > server:53", False))]
    run(
        pf, f"uplink: udp server:53 > X:{q} data=hi -> pass_uplink_host -> host_uplink: udp server:53 > X:30001 data=hi"
    )


def test_low_ports_stay_low(pf: Filter) -> None:
    """RFC4787-REQ3a."""
    start(pf)
    run(pf, "! know server\nsegment: udp S:500 > server:500 -> pass_speaker_uplink -> uplink: ~")
    pf.input("host_uplink", frame("host_uplink", "udp X:500 > server:500"))
    assert 512 <= next(f for f in pf.flows() if f.owner == 0).external_port < 1024


def test_reserved_ports_stay_with_their_owner(pf: Filter) -> None:
    """The claim port is always the host's, the services always the speaker's: nobody takes them by being first."""
    start(pf)
    run(pf, "! know server")
    pf.input("segment", frame("segment", "tcp S:7780 > server:80 S"))
    pf.input("segment", frame("segment", "udp S:67 > server:80"))
    pf.input("host_uplink", frame("host_uplink", "tcp X:1400 > server:80 S"))
    assert {f.local_port: f.external_port == f.local_port for f in pf.flows() if f.local_port != 9} == {
        7780: False,
        67: False,
        1400: False,
    }
    pf.out()
    run(
        pf,
        """
! lease phone
uplink: tcp phone:1 > X:1400 S -> pass_uplink_speaker -> segment: ~
uplink: tcp phone:2 > X:7780 S -> pass_uplink_host -> host_uplink: ~
""",
    )


def test_a_port_is_free_again_after_its_last_flow(pf: Filter) -> None:
    start(pf)
    run(pf, "! know server\nhost_uplink: udp X:30000 > server:80 -> pass_host_uplink -> uplink: ~")
    pf.jump(310_000)
    run(pf, "uplink: udp server:80 > X:30000 -> drop_no_rule\n! know server")
    run(pf, "segment: udp S:30000 > server:80 -> pass_speaker_uplink -> uplink: ~")


def test_echo_identifiers_collide(pf: Filter) -> None:
    """RFC5508-REQ1."""
    start(pf)
    run(pf, "! know server\nhost_uplink: echo X > server id=7 -> pass_host_uplink -> uplink: ~")
    assert pf.input("segment", frame("segment", "echo S > server id=7")) == "pass_speaker_uplink"
    q = next(f for f in pf.flows() if f.owner == 1 and f.proto == 1).external_port
    assert pf.out() == [("uplink", frame("uplink", f"echo X > server id={q} ttl=63", False))]
    run(
        pf,
        f"""
uplink: reply server > X id={q} -> pass_uplink_speaker -> segment: reply server > S id=7 ttl=63
uplink: reply server > X id=7   -> pass_uplink_host -> host_uplink: ~
""",
    )


# ---- ICMP errors ----


def test_icmp_errors_find_their_flow(pf: Filter) -> None:
    """RFC5508-REQ4, REQ5."""
    start(pf)
    run(
        pf,
        """
! know server
segment:     udp S:30000 > server:53             -> pass_speaker_uplink -> uplink: ~
host_uplink: udp X:30001 > server:53             -> pass_host_uplink -> uplink: ~
uplink: error(3,4) router > X about (udp X:30000 > server:53 data=hello)  -> pass_uplink_speaker -> segment: error(3,4) router > S about (udp S:30000 > server:53 data=hello) ttl=63
uplink: error(11,0) 203.0.113.1 > X about (udp X:30000 > server:53) -> pass_uplink_speaker -> segment: error(11,0) 203.0.113.1 > S about (udp S:30000 > server:53) ttl=63
uplink: error(3,3) server > X about (udp X:30001 > server:53)  -> pass_uplink_host -> host_uplink: ~
uplink: error(3,3) server > X about (udp X:30000 > server:54)  -> drop_no_flow
uplink: error(3,3) server > X about (udp X:30000 > server:53) ttl=1 -> drop_ttl
segment: error(3,3) S > server about (udp server:53 > S:30000) -> pass_speaker_uplink -> uplink: ~
""",
    )
    assert len(pf.flows()) == 3  # RFC5508-REQ9 and RFC5382-REQ9: an error ends nothing


def test_icmp_error_translates_a_moved_port(pf: Filter) -> None:
    start(pf)
    run(pf, "! know server\nhost_uplink: udp X:30000 > server:53 -> pass_host_uplink -> uplink: ~")
    pf.input("segment", frame("segment", "udp S:30000 > server:53 data=hello"))
    pf.out()
    q = next(f for f in pf.flows() if f.owner == 1 and f.local_port == 30000).external_port
    run(
        pf,
        f"""
uplink:  error(3,3) server > X about (udp X:{q} > server:53 data=hello) -> pass_uplink_speaker -> segment: error(3,3) server > S about (udp S:30000 > server:53 data=hello) ttl=63
uplink:  error(3,3) server > X about (udp X:{q} > server:53 data=hello nosum) -> pass_uplink_speaker -> segment: error(3,3) server > S about (udp S:30000 > server:53 data=hello nosum) ttl=63
segment: error(3,3) S > server about (udp server:53 > S:30000 data=hello) -> pass_speaker_uplink -> uplink: error(3,3) X > server about (udp server:53 > X:{q} data=hello) ttl=63
""",
    )


def test_icmp_error_about_tcp_must_be_plausible(opened: Filter) -> None:
    """RFC 5927, 4.1: not a blind guess at a connection."""
    run(
        opened,
        f"""
uplink: error(3,4) phone > X about (tcp X:1400 > phone:40000 A seq=4000)  -> pass_uplink_speaker -> segment: error(3,4) phone > S about (tcp S:1400 > phone:40000 A seq=4000) ttl=63
uplink: error(3,4) phone > X about (tcp X:1400 > phone:40000 A seq=5001)  -> drop_tcp_window
uplink: error(3,4) phone > X about (tcp X:1400 > phone:40000 A seq={(4999 - W_PHONE) % 2**32}) -> drop_tcp_window
segment: error(3,4) S > phone about (tcp phone:40000 > S:1400 A seq=1001) -> drop_tcp_window
""",
    )


def test_icmp_error_about_an_echo(pf: Filter) -> None:
    start(pf)
    run(pf, "! know server\nhost_uplink: echo X > server id=7 -> pass_host_uplink -> uplink: ~")
    pf.input("segment", frame("segment", "echo S > server id=7"))
    q = next(f for f in pf.flows() if f.owner == 1 and f.proto == 1).external_port
    pf.out()
    run(
        pf,
        f"""
uplink: error(11,0) router > X about (echo X > server id={q}) -> pass_uplink_speaker -> segment: error(11,0) router > S about (echo S > server id=7) ttl=63
uplink: error(11,0) router > X about (reply X > server id={q}) -> drop_no_flow
""",
    )


def test_icmp_errors_between_host_and_speaker(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
segment:      error(3,3) S > bridge about (udp bridge:5 > S:99) -> pass_speaker_host -> host_segment: error(3,3) alias > bridge about (udp bridge:5 > alias:99)
segment:      error(3,3) S > bridge about (echo bridge > S id=3) -> pass_speaker_host -> host_segment: error(3,3) alias > bridge about (echo bridge > alias id=3)
segment:      error(3,3) S > bridge about (udp bridge:5 > phone:99) -> drop_icmp_inner
host_segment: error(3,3) bridge > alias about (udp alias:5 > bridge:99) -> pass_host_speaker -> segment: error(3,3) bridge > S about (udp S:5 > bridge:99)
host_segment: error(3,3) bridge > alias about (udp phone:5 > bridge:99) -> drop_icmp_inner
""",
    )


# ---- The other addressing mode ----


def test_private_addressing(pf: Filter) -> None:
    """The same core: S is the alias, addresses are translated as well as ports."""
    start(pf, Config(speaker="192.168.77.2"))
    run(
        pf,
        """
! lease phone
uplink:  tcp phone:40000 > X:1400 S seq=999 data=abc        -> pass_uplink_speaker -> segment: tcp phone:40000 > alias:1400 S seq=999 data=abc ttl=63
segment: tcp alias:1400 > phone:40000 SA seq=4999 ack=1003  -> pass_speaker_uplink -> uplink: tcp X:1400 > phone:40000 SA seq=4999 ack=1003 ttl=63
segment: udp alias:50 > phone:60 data=odd                   -> pass_speaker_uplink -> uplink: udp X:50 > phone:60 data=odd ttl=63
uplink:  udp phone:60 > X:50 data=odd nosum                 -> pass_uplink_speaker -> segment: udp phone:60 > alias:50 data=odd nosum ttl=63
uplink:  error(3,3) phone > X about (udp X:50 > phone:60 data=odd) -> pass_uplink_speaker -> segment: error(3,3) phone > alias about (udp alias:50 > phone:60 data=odd) ttl=63
segment: error(3,3) alias > phone about (udp phone:60 > alias:50) -> pass_speaker_uplink -> uplink: error(3,3) X > phone about (udp phone:60 > X:50) ttl=63
segment: tcp alias:7 > bridge:80 S                          -> pass_speaker_host -> host_segment: tcp alias:7 > bridge:80 S
segment: tcp alias:7 > X:80 S                               -> drop_egress_address
segment: tcp X:7 > phone:80 S from=S                        -> drop_source_address
segment: arp who-has bridge tell alias                      -> arp_answered -> segment: arp bridge is-at bridge to alias
segment: arp who-has alias tell nobody                      -> drop_arp_other
""",
    )


# ---- The host ----


def test_a_claim_from_its_first_frame_to_its_mac(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
uplink:      tcp phone:40000 > X:7780 S seq=9        -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:7780 > phone:40000 SA seq=1 ack=10 -> pass_host_uplink -> uplink: ~
uplink:      tcp phone:40000 > X:7780 A seq=10 ack=2  -> pass_uplink_host -> host_uplink: ~
uplink:      tcp phone:40000 > X:7780 A seq=10 ack=2 from=attacker -> drop_flow_mac
host_uplink: tcp X:7780 > phone:40000 A seq=2 ack=10 to=attacker -> pass_host_uplink -> uplink: ~ to=phone
host_uplink: tcp X:7780 > phone:40000 FA seq=2 ack=10 -> pass_host_uplink -> uplink: ~
uplink:      tcp phone:40000 > X:7780 FA seq=10 ack=3 -> pass_uplink_host -> host_uplink: ~
uplink:      tcp phone:40000 > X:7780 S seq=99       -> pass_uplink_host -> host_uplink: ~
""",
    )
    assert pf.flow_mac("10.66.0.100", 40000, 7780) == bytes.fromhex("020000004230")
    assert pf.flow_mac("10.66.0.100", 40001, 7780) is None


def test_a_claim_from_another_mac_than_the_leases(opened: Filter) -> None:
    """A phone with a new MAC, or who got its address later: it finds the claim port and nothing else, the host learns
    nothing, and once the lease is moved it is the phone."""
    run(
        opened,
        """
uplink:      arp who-has X tell phone sha=attacker             -> arp_answered -> uplink: arp X is-at X to phone tha=attacker
uplink:      tcp phone:40001 > X:1400 S from=attacker          -> drop_lease_mac
uplink:      tcp phone:40000 > X:7780 S seq=9 from=attacker    -> pass_uplink_host -> host_uplink: ~
host_uplink: arp who-has phone tell X                          -> arp_answered -> host_uplink: arp phone is-at phone to X
uplink:      arp phone is-at attacker to X                     -> drop_arp_spoof
host_uplink: tcp X:7780 > phone:40000 SA seq=1 ack=10          -> pass_host_uplink -> uplink: ~ to=attacker
uplink:      tcp phone:40000 > X:7780 A seq=10 ack=2 from=attacker -> pass_uplink_host -> host_uplink: ~
uplink:      tcp phone:40000 > X:1400 A seq=1000 ack=5000      -> pass_uplink_speaker -> segment: ~
""",
    )
    assert opened.flow_mac("10.66.0.100", 40000, 7780) == bytes.fromhex(mac_of("attacker").replace(":", ""))
    run(
        opened,
        """
! lease phone mac=attacker; forget-output
uplink:      tcp phone:40000 > X:1400 A seq=1000 ack=5000      -> drop_no_flow
uplink:      tcp phone:40001 > X:1400 S from=attacker          -> pass_uplink_speaker -> segment: ~
uplink:      arp who-has X tell phone sha=attacker             -> pass_uplink_host -> host_uplink: ~
host_uplink: arp who-has phone tell X                          -> arp_answered -> host_uplink: arp phone is-at attacker to X
uplink:      arp who-has X tell phone                          -> arp_answered -> uplink: arp X is-at X to phone
! end phone; forget-output
uplink:      arp who-has X tell phone                          -> pass_uplink_host -> host_uplink: ~
host_uplink: arp who-has phone tell X                          -> pass_host_uplink -> uplink: ~
""",
    )


def test_a_phone_behind_a_router_has_no_mac(pf: Filter) -> None:
    start(pf)
    run(pf, "uplink: tcp farphone:40000 > X:7780 S -> pass_uplink_host -> host_uplink: ~")
    assert pf.flow_mac("172.20.5.6", 40000, 7780) is None


def test_a_mac_that_is_the_routers_is_nobodys(pf: Filter) -> None:
    start(pf)
    run(pf, "! know router\nuplink: tcp phone:40000 > X:7780 S from=router -> pass_uplink_host -> host_uplink: ~")
    assert pf.flow_mac("10.66.0.100", 40000, 7780) is None


def test_flows_of_the_host_itself_have_no_mac(pf: Filter) -> None:
    start(pf)
    run(pf, "host_uplink: tcp X:30000 > phone:80 S -> pass_host_uplink -> uplink: ~")
    assert pf.flow_mac("10.66.0.100", 80, 30000) is None


def test_hosts_connection(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
host_uplink: tcp X:30000 > server:80 S seq=9          -> pass_host_uplink -> uplink: ~
uplink:      tcp server:80 > X:30000 SA seq=1 ack=10   -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:30000 > server:80 A seq=10 ack=2    -> pass_host_uplink -> uplink: ~
uplink:      tcp server:80 > X:30000 A seq=70000 ack=10 -> drop_tcp_window
host_uplink: tcp X:30000 > server:80 R seq=10          -> pass_host_uplink -> uplink: ~
host_uplink: tcp X:30000 > server:80 S seq=99         -> pass_host_uplink -> uplink: ~
""",
    )


def test_host_and_speaker_talk_by_the_alias(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
host_segment: tcp bridge:30000 > alias:1400 S seq=9       -> pass_host_speaker -> segment: tcp bridge:30000 > S:1400 S seq=9
segment:      tcp S:1400 > bridge:30000 SA seq=1 ack=10   -> pass_speaker_host -> host_segment: tcp alias:1400 > bridge:30000 SA seq=1 ack=10
host_segment: udp bridge:1 > alias:2 data=odd             -> pass_host_speaker -> segment: udp bridge:1 > S:2 data=odd
host_segment: udp bridge:1 > alias:2 data=odd nosum       -> pass_host_speaker -> segment: udp bridge:1 > S:2 data=odd nosum
segment:      reply S > bridge id=5                       -> pass_speaker_host -> host_segment: reply alias > bridge id=5
""",
    )
    assert pf.flows() == []


def test_arp_answers_reach_the_host_that_asked(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
uplink:      arp flatmate is-at flatmate to X   -> drop_arp_unasked
host_uplink: arp who-has flatmate tell X        -> pass_host_uplink -> uplink: ~
uplink:      arp flatmate is-at flatmate to X   -> pass_uplink_host -> host_uplink: ~
! jump 3001
uplink:      arp flatmate is-at flatmate to X   -> drop_arp_unasked
""",
    )


def test_dhcp_answers_reach_the_host_that_asked(pf: Filter) -> None:
    run(
        pf,
        """
! no-uplink
uplink:      udp router:67 > all:68 data=offer             -> drop_dhcp_unasked
host_uplink: udp nobody:68 > all:67 data=discover          -> pass_host_uplink -> uplink: ~
uplink:      udp router:67 > all:68 data=offer             -> pass_uplink_host -> host_uplink: ~
uplink:      udp router:67 > X:68 data=offer               -> pass_uplink_host -> host_uplink: ~
! jump 30001
uplink:      udp router:67 > X:68 data=offer               -> drop_dhcp_unasked
""",
    )


def test_a_dhcp_server_may_have_the_segments_subnet(pf: Filter) -> None:
    """Before the host has an address it cannot know that its segment's subnet is the uplink's, too (RFC 4787, REQ-7)."""
    run(
        pf,
        """
! no-uplink
uplink:      udp bridge:67 > all:68 data=offer             -> drop_dhcp_unasked
host_uplink: udp nobody:68 > all:67 data=discover          -> pass_host_uplink -> uplink: ~
uplink:      udp bridge:67 > all:68 data=offer             -> pass_uplink_host -> host_uplink: ~
uplink:      udp alias:67 > X:68 data=ack                  -> pass_uplink_host -> host_uplink: ~
uplink:      udp bridge:67 > all:69 data=offer             -> drop_source_address
uplink:      udp bridge:53 > X:68 data=offer               -> drop_source_address
uplink:      tcp bridge:67 > X:68 S                        -> drop_source_address
""",
    )


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (limit("PF_TIME_UDP"), "segment: udp S:30000 > server:53"),
        (limit("PF_TIME_ICMP"), "segment: echo S > server id=7"),
        (limit("PF_TIME_TCP_TRANSITORY"), "segment: tcp S:30000 > server:80 S"),
        (limit("PF_TIME_CLAIM"), "uplink: tcp flatmate:40000 > X:7780 S"),
    ],
)
def test_timers_count_milliseconds(seconds: int, line: str) -> None:
    """The last moment at which a flow lives, and the first at which it does not."""
    with Filter(now_ms=10_000) as pf:
        start(pf)
        port, _, text = line.partition(": ")
        pf.input(port, frame(port, text))
        pf.now += seconds * 1000
        assert len(pf.flows()) == 1
        pf.now += 1
        assert pf.flows() == []


def test_a_udp_checksum_never_becomes_none(pf: Filter) -> None:
    """RFC 768: a sum that comes out as 0 is sent as ffff."""
    start(pf, Config(speaker="192.168.77.2"))
    pf.input("segment", frame("segment", "udp alias:9 > server:53"))
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    pf.out()
    came = bytearray(frame("segment", "udp alias:7 > server:53 data=ab"))
    before, after = int.from_bytes(came[40:42], "big"), _checksum_out(pf, came)
    # Ones' complement: two bytes of data that are larger by so much make both checksums smaller by so much.
    came[42:44] = ((int.from_bytes(came[42:44], "big") + after) % 65535).to_bytes(2, "big")
    came[40:42] = ((before - after) % 65535).to_bytes(2, "big")
    assert _checksum_out(pf, came) == 0xFFFF


def _checksum_out(pf: Filter, came: bytearray) -> int:
    assert pf.input("segment", bytes(came)) == "pass_speaker_uplink"
    ((_, out),) = pf.out()
    return int.from_bytes(out[40:42], "big")
