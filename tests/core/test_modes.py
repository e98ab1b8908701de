# ruff: noqa: E501 (a step of a script is one line)
"""The two addressing modes, the host in the speaker's place (guard), named local hosts, and another segment subnet."""

from dataclasses import replace

import pytest
from core import Config, Filter, limit
from frames import HOSTS, frame, mac_of
from script import run

PRIVATE = Config(speaker="192.168.77.2", guard=True)
NAS, NAS_MAC = "10.66.0.50", "02:00:00:00:42:60"

# In these scripts `alias` is the speaker's own address: 192.168.77.2 is S with private addressing.
GUARD_OPEN = """
! lease phone
uplink:      tcp phone:40000 > X:1400 S seq=999 ws=7            -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:1400 > phone:40000 SA seq=4999 ack=1000 ws=6   -> pass_host_uplink -> uplink: ~
uplink:      tcp phone:40000 > X:1400 A seq=1000 ack=5000        -> pass_uplink_host -> host_uplink: ~
"""


@pytest.fixture
def private(pf: Filter) -> Filter:
    pf.configure(PRIVATE)
    pf.speaker(mac_of("S"))
    return pf


def know_router(pf: Filter) -> None:
    pf.input("segment", frame("segment", "udp alias:9 > router:53"))
    assert pf.input("uplink", frame("uplink", "arp router is-at router to X")) == "arp_learned"
    pf.out()


# ---- The guarded port ----


def test_a_phones_connection_to_the_speaker_is_the_hosts(private: Filter) -> None:
    run(private, GUARD_OPEN)
    (flow,) = private.flows()
    assert (flow.owner, flow.state, flow.remote, flow.local_port, flow.external_port) == (
        0,
        1,
        "10.66.0.100",
        1400,
        1400,
    )
    run(
        private,
        """
uplink:      tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=GET -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:1400 > phone:40000 PA seq=5000 ack=1003 data=OK  -> pass_host_uplink -> uplink: ~
""",
    )


def test_guard_frames_come_from_the_leases_mac_only(private: Filter) -> None:
    run(
        private,
        GUARD_OPEN
        + """
uplink:      tcp phone:40000 > X:1400 A seq=1000 ack=5000 from=attacker -> drop_lease_mac
uplink:      tcp phone:40001 > X:1400 S from=attacker                   -> drop_lease_mac
""",
    )
    assert private.events() & 4


def test_guard_answers_go_to_the_leases_mac(private: Filter) -> None:
    """Whatever ARP told the host."""
    run(
        private,
        GUARD_OPEN
        + "host_uplink: tcp X:1400 > phone:40000 A seq=5000 ack=1000 to=attacker -> pass_host_uplink -> uplink: ~ to=phone",
    )


def test_a_phone_behind_a_router_is_answered_through_it(private: Filter) -> None:
    know_router(private)
    run(
        private,
        """
! lease farphone mac=none
uplink:      tcp farphone:40000 > X:1400 S seq=999              -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:1400 > farphone:40000 SA seq=4999 ack=1000 to=attacker -> pass_host_uplink -> uplink: ~ to=router
""",
    )


def test_guard_segments_must_be_in_the_window(private: Filter) -> None:
    """Unlike connections to the claim port, whose numbers only the host's stack checks."""
    run(
        private,
        GUARD_OPEN
        + """
uplink: tcp phone:40000 > X:1400 A seq=90000000 ack=5000           -> drop_tcp_window
uplink: tcp phone:40000 > X:1400 R seq=90000000                    -> drop_tcp_window
uplink: error(3,1) router > X about (tcp X:1400 > phone:40000 A seq=90000000) -> drop_tcp_window
uplink: error(3,1) router > X about (tcp X:1400 > phone:40000 A seq=5000)     -> pass_uplink_host -> host_uplink: ~
""",
    )


def test_who_has_no_lease_reaches_no_guard(private: Filter) -> None:
    run(
        private,
        """
uplink: tcp phone:40000 > X:1400 S     -> drop_no_lease
! lease phone
! speaker none
uplink: tcp phone:40000 > X:1400 S     -> drop_no_speaker
! speaker S
! services 6/1443
uplink: tcp phone:40000 > X:1400 S     -> drop_no_rule
""",
    )


def test_other_services_go_straight_to_the_speaker(private: Filter) -> None:
    run(
        private,
        """
! lease phone
! services 6/1400 6/1443 17/1400
uplink:  tcp phone:40000 > X:1443 S seq=9         -> pass_uplink_speaker -> segment: tcp phone:40000 > alias:1443 S seq=9 ttl=63
segment: tcp alias:1443 > phone:40000 SA seq=1 ack=10 -> pass_speaker_uplink -> uplink: tcp X:1443 > phone:40000 SA seq=1 ack=10 ttl=63
uplink:  udp phone:40000 > X:1400                 -> pass_uplink_speaker -> segment: udp phone:40000 > alias:1400 ttl=63
""",
    )


def test_without_guard_the_same_port_is_the_speakers(pf: Filter) -> None:
    pf.configure(replace(PRIVATE, guard=False))
    pf.speaker(mac_of("S"))
    run(
        pf,
        """
! lease phone
uplink: tcp phone:40000 > X:1400 S -> pass_uplink_speaker -> segment: tcp phone:40000 > alias:1400 S ttl=63
""",
    )


@pytest.mark.parametrize("how", ["! end phone", "! lease phone mac=laptop"])
def test_guard_flows_end_with_the_lease(private: Filter, how: str) -> None:
    """The host learns it by a RST with exactly the number that it expects; the phone's frames meet silence."""
    run(
        private,
        GUARD_OPEN
        + "uplink: tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=GET -> pass_uplink_host -> host_uplink: ~",
    )
    run(private, how)
    reset = frame("host_uplink", "tcp phone:40000 > X:1400 R seq=1003 ipid=0 win=0", False)
    assert private.out() == [("host_uplink", reset)]
    assert private.flows() == []
    assert (private.count("reset_sent"), private.count("flows_ended")) == (1, 1)
    verdict = "drop_no_flow"
    assert private.input("uplink", frame("uplink", "tcp phone:40000 > X:1400 A seq=1003 ack=5000")) == verdict
    assert private.input("host_uplink", frame("host_uplink", "tcp X:1400 > phone:40000 A seq=5000 ack=1003")) == verdict
    private.check()


def test_guard_flows_end_with_the_service(private: Filter) -> None:
    """Those that the phone opened: not what the host sends it."""
    run(private, GUARD_OPEN + "host_uplink: tcp X:50000 > phone:3400 S seq=9 -> pass_host_uplink -> uplink: ~")
    assert private.services((6, 1443))
    reset = frame("host_uplink", "tcp phone:40000 > X:1400 R seq=1000 ipid=0 win=0", False)
    assert private.out() == [("host_uplink", reset)]
    run(
        private,
        """
uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5000   -> drop_no_flow
uplink: tcp phone:3400 > X:50000 SA seq=1 ack=10       -> pass_uplink_host -> host_uplink: ~
""",
    )


def test_guard_flows_end_with_the_leases_time(private: Filter) -> None:
    run(private, GUARD_OPEN + "! jump 43200000")
    assert private.input("uplink", frame("uplink", "tcp phone:40000 > X:1400 A seq=1000 ack=5000")) == "drop_no_flow"
    run(private, "! jump 1")
    private.tick()
    assert private.leases() == []


def test_a_guard_flow_renews_the_lease(private: Filter) -> None:
    run(private, GUARD_OPEN + "! jump 7000000")
    run(private, "uplink: tcp phone:40000 > X:1400 A seq=1000 ack=5000 -> pass_uplink_host -> host_uplink: ~")
    assert private.leases()[0].idle_s == 0


def test_guard_flows_are_no_claims(private: Filter) -> None:
    """More of them than the claim port may have, each as old as a claim never gets."""
    run(private, "! lease phone")
    n = limit("PF_CLAIM_FLOWS") + 1
    for port in range(1, n + 1):
        run(private, GUARD_OPEN.replace("40000", str(port)).replace("! lease phone", ""))
    private.wait((limit("PF_TIME_CLAIM") + 1) * 1000)
    assert len(private.flows()) == n
    assert private.count("flows_evicted") == 0
    assert private.flow_mac("10.66.0.100", 1, 1400) is None
    for port in range(1000, 1000 + limit("PF_CLAIM_FLOWS") + 1):
        private.jump(1000)
        assert private.input("uplink", frame("uplink", f"tcp attacker:{port} > X:7780 S")) == "pass_uplink_host"
    assert len([f for f in private.flows() if f.local_port == 1400]) == n


def test_guard_flows_are_protected_like_a_phones(private: Filter) -> None:
    know_router(private)
    run(private, GUARD_OPEN)
    for i in range(3 * limit("PF_FLOWS")):
        private.jump(1)
        assert private.input("host_uplink", frame("host_uplink", f"udp X:{1024 + i} > server:53")) == "pass_host_uplink"
    assert private.count("flows_evicted") > limit("PF_FLOWS")
    assert [f.remote for f in private.flows() if f.proto == 6] == ["10.66.0.100"]
    # And phones have room: the share that is theirs.
    for i in range(limit("PF_PHONE_SHARE") - 1):
        assert private.input("uplink", frame("uplink", f"tcp phone:{1 + i} > X:1400 S")) == "pass_uplink_host"
    private.check()


def test_what_the_host_sends_phones_is_the_leases(private: Filter) -> None:
    """Events for phones, and answers to searches: as with the speaker's own, only the phone gets and answers them."""
    run(
        private,
        """
! lease phone
host_uplink: tcp X:50000 > phone:3400 S seq=1 to=attacker       -> pass_host_uplink -> uplink: ~ to=phone
uplink:      tcp phone:3400 > X:50000 SA seq=9 ack=2 from=attacker -> drop_lease_mac
uplink:      tcp phone:3400 > X:50000 SA seq=9 ack=2               -> pass_uplink_host -> host_uplink: ~
host_uplink: tcp X:50001 > flatmate:80 S seq=1                     -> pass_host_uplink -> uplink: ~
! end phone
""",
    )
    reset = frame("host_uplink", "tcp phone:3400 > X:50000 R seq=10 ipid=0 win=0", False)
    assert private.out() == [("host_uplink", reset)]
    assert [f.remote for f in private.flows()] == ["10.66.0.102"]


def test_the_guarded_ports_are_the_hosts(private: Filter) -> None:
    """What the speaker opens from its ports 1400 and 1900 leaves by others; with passthrough they are the speaker's."""
    know_router(private)
    for l4 in ("tcp alias:1400 > server:80 S", "udp alias:1900 > server:53"):
        assert private.input("segment", frame("segment", l4)) == "pass_speaker_uplink"
    assert not {1400, 1900} & {f.external_port for f in private.flows() if f.local_port in (1400, 1900)}
    private.configure(Config())
    for l4 in ("tcp S:1400 > server:80 S", "udp S:1900 > server:53"):
        assert private.input("segment", frame("segment", l4)) == "pass_speaker_uplink"
    assert {1400, 1900} == {f.external_port for f in private.flows()}
    private.check()


# ---- Discovery ----


def test_searches_go_to_the_host(private: Filter) -> None:
    run(
        private,
        """
uplink:      udp phone:50000 > ssdp:1900 data=search               -> drop_search_stranger
! lease phone
uplink:      udp phone:50000 > ssdp:1900 data=search ttl=4         -> relay_search -> host_uplink: udp phone:50000 > X:1900 data=search ttl=4 from=phone to=X
uplink:      udp phone:50000 > all:1900 data=lf-search             -> relay_search -> host_uplink: udp phone:50000 > X:1900 data=lf-search from=phone to=X
uplink:      udp phone:50000 > ssdp:1900 data=search nosum         -> relay_search -> host_uplink: udp phone:50000 > X:1900 data=search nosum from=phone to=X
uplink:      udp phone:50000 > ssdp:1900 data=search from=attacker -> drop_lease_mac
uplink:      udp phone:50000 > ssdp:1900 data=notify               -> drop_search_bad
uplink:      udp phone:5353 > mdns:5353 data=query                 -> drop_multicast
uplink:      udp flatmate:5353 > mdns:5353 data=query              -> drop_multicast
host_uplink: udp X:1900 > phone:50000 data=answer to=attacker      -> pass_host_uplink -> uplink: ~ to=phone
! speaker none
uplink:      udp phone:50000 > ssdp:1900 data=search               -> drop_no_speaker
""",
    )
    assert private.count("relay_search") == 3


def test_searches_to_the_host_have_the_same_rate(private: Filter) -> None:
    run(private, "! lease phone")
    search = frame("uplink", "udp phone:50000 > ssdp:1900 data=search")
    seen = [private.input("uplink", search) for _ in range(limit("PF_BURST_SEARCH") + 1)]
    assert seen == ["relay_search"] * limit("PF_BURST_SEARCH") + ["drop_rate_search"]


def test_notifications_go_to_the_host(private: Filter) -> None:
    """Whether or not there is a phone: it remembers them."""
    run(
        private,
        """
segment: udp alias:1900 > ssdp:1900 data=notify ttl=4 -> relay_notify -> host_segment: udp alias:1900 > bridge:1900 data=notify ttl=4
! lease phone
segment: udp alias:1900 > ssdp:1900 data=notify -> relay_notify -> host_segment: udp alias:1900 > bridge:1900 data=notify
segment: udp alias:5353 > mdns:5353 data=answer -> drop_multicast
segment: udp alias:1900 > ssdp:1900 data=search -> drop_multicast
""",
    )


def test_notifications_to_the_host_have_the_same_rate(private: Filter) -> None:
    notify = frame("segment", "udp alias:1900 > ssdp:1900 data=notify")
    seen = [private.input("segment", notify) for _ in range(limit("PF_BURST_NOTIFY") + 1)]
    assert seen == ["relay_notify"] * limit("PF_BURST_NOTIFY") + ["drop_rate_notify"]


# ---- From one mode to the other ----


def test_a_change_of_mode_ends_the_speakers_flows_and_keeps_leases(pf: Filter) -> None:
    pf.configure(Config())
    pf.speaker(mac_of("S"))
    run(
        pf,
        """
! know server
! lease phone; lease laptop
uplink:      tcp phone:40000 > X:1400 S seq=999        -> pass_uplink_speaker -> segment: ~
segment:     tcp S:1400 > phone:40000 SA seq=4999 ack=1000 -> pass_speaker_uplink -> uplink: ~
segment:     tcp S:30000 > server:80 S seq=1           -> pass_speaker_uplink -> uplink: ~
uplink:      tcp server:80 > X:30000 SA seq=7 ack=2    -> pass_uplink_speaker -> segment: ~
uplink:      tcp flatmate:5 > X:7780 S seq=1           -> pass_uplink_host -> host_uplink: ~
host_uplink: udp X:5000 > server:123                   -> pass_host_uplink -> uplink: ~
""",
    )
    leases = pf.leases()
    pf.configure(PRIVATE)
    assert sorted(pf.out()) == sorted(
        ("segment", frame("segment", f"tcp {remote} > S:{port} R seq={seq} ipid=0 win=0", False))
        for remote, port, seq in (("phone:40000", 1400, 1000), ("server:80", 30000, 8))
    )
    assert sorted(f.local_port for f in pf.flows()) == [5000, 7780]
    assert pf.leases() == leases
    assert pf.count("leases_expired") == 0
    run(
        pf,
        GUARD_OPEN.replace("! lease phone\n", "")
        + """
uplink:  tcp flatmate:5 > X:7780 A seq=2 ack=1 -> pass_uplink_host -> host_uplink: ~
uplink:  udp server:123 > X:5000               -> pass_uplink_host -> host_uplink: ~
segment: tcp S:30000 > server:80 A seq=2 ack=8 -> drop_source_address
""",
    )
    pf.out()
    pf.configure(Config())  # and back: the host's connections in the speaker's place end
    assert pf.out() == [
        ("host_uplink", frame("host_uplink", "tcp phone:40000 > X:1400 R seq=1000 ipid=0 win=0", False))
    ]
    assert sorted(f.local_port for f in pf.flows()) == [5000, 7780]
    assert pf.leases() == leases
    run(pf, "uplink: tcp phone:40000 > X:1400 S seq=999 -> pass_uplink_speaker -> segment: ~")
    pf.check()


@pytest.mark.parametrize(
    "change", [{"guard": False}, {"host": "10.177.77.1"}, {"alias": "192.168.77.3"}, {"speaker": "192.168.77.3"}]
)
def test_each_part_of_the_mode_counts(private: Filter, change: dict[str, str]) -> None:
    run(private, GUARD_OPEN)
    private.configure(replace(PRIVATE, **change))
    assert private.flows() == []
    assert len(private.leases()) == 1


@pytest.mark.parametrize("change", [{"addr": "10.66.0.78"}, {"mask": "255.255.255.0"}, {"router": "10.66.0.9"}])
def test_another_uplink_ends_leases_too(private: Filter, change: dict[str, str]) -> None:
    run(private, GUARD_OPEN)
    private.configure(replace(PRIVATE, **change))
    assert private.flows() == []
    assert private.leases() == []
    assert private.out() == [
        ("host_uplink", frame("host_uplink", "tcp phone:40000 > X:1400 R seq=1000 ipid=0 win=0", False))
    ]


def test_the_same_configuration_again_changes_nothing(private: Filter) -> None:
    run(private, GUARD_OPEN)
    private.configure(PRIVATE)
    assert len(private.flows()) == 1
    assert private.out() == []


# ---- Named local hosts ----


@pytest.fixture
def named(pf: Filter) -> Filter:
    HOSTS["nas"] = (NAS, NAS_MAC)
    pf.configure(Config(hosts=(NAS,)))
    pf.speaker(mac_of("S"))
    return pf


NAS_OPEN = """
segment: tcp S:30000 > nas:445 S seq=1            -> frames_pending -> uplink: arp who-has nas tell X
uplink:  arp nas is-at nas to X                   -> arp_learned -> uplink: tcp S:30000 > nas:445 S seq=1 ttl=63
uplink:  tcp nas:445 > X:30000 SA seq=7 ack=2     -> pass_uplink_speaker -> segment: ~
segment: tcp S:30000 > nas:445 A seq=2 ack=8      -> pass_speaker_uplink -> uplink: ~
"""


def test_the_speaker_may_open_flows_to_a_named_host(named: Filter) -> None:
    run(
        named,
        NAS_OPEN
        + """
segment: udp S:30000 > nas:2049           -> pass_speaker_uplink -> uplink: ~
segment: echo S > nas                     -> pass_speaker_uplink -> uplink: ~
segment: tcp S:30000 > nas:25 S           -> drop_egress_port
segment: tcp S:30000 > 10.66.0.51:445 S   -> drop_egress_local
uplink:  tcp nas:50000 > X:1400 S         -> drop_no_lease
uplink:  arp nas is-at attacker to X      -> drop_arp_spoof
""",
    )


def test_new_flows_to_named_hosts_count(named: Filter) -> None:
    run(named, NAS_OPEN)
    seen = [
        named.input("segment", frame("segment", f"udp S:{p} > nas:9")) for p in range(1, limit("PF_BURST_EGRESS") + 1)
    ]
    assert seen[-2:] == ["pass_speaker_uplink", "drop_rate_egress"]


@pytest.mark.parametrize("count", [0, 1, limit("PF_NAMED_HOSTS")])
def test_as_many_named_hosts_as_there_are_places(pf: Filter, count: int) -> None:
    hosts = tuple(f"10.66.1.{i}" for i in range(1, count + 1))
    pf.configure(Config(hosts=hosts))
    pf.speaker(mac_of("S"))
    for i, host in enumerate(hosts):
        assert pf.input("segment", frame("segment", f"udp S:9 > {host}:53")) in ("frames_pending", "drop_pending_full")
        mac = f"02:00:00:00:43:{i:02x}"
        assert pf.input("uplink", frame("uplink", f"arp {host} is-at {mac} to X")) == "arp_learned"
        pf.out()
        assert pf.input("segment", frame("segment", f"udp S:9 > {host}:53")) == "pass_speaker_uplink"
        assert pf.out()[0][1][:6] == bytes.fromhex(mac.replace(":", ""))
    assert pf.input("segment", frame("segment", f"udp S:9 > 10.66.1.{count + 1}:53")) == "drop_egress_local"


def test_a_named_host_behind_the_router(pf: Filter) -> None:
    pf.configure(Config(hosts=("172.20.1.1", "0.0.0.0")))
    pf.speaker(mac_of("S"))
    run(
        pf,
        """
! know server
segment: tcp S:30000 > 172.20.1.1:445 S -> pass_speaker_uplink -> uplink: ~ to=router
segment: tcp S:30000 > 172.20.1.2:445 S -> drop_egress_local
segment: tcp S:30000 > nobody:445 S     -> drop_egress_address
""",
    )


def test_an_address_that_is_named_no_more_has_no_flows(named: Filter) -> None:
    run(named, NAS_OPEN)
    named.configure(Config(hosts=(NAS, "10.66.0.51")))  # one more: nothing ends
    assert len(named.flows()) == 1
    assert named.out() == []
    named.configure(Config(hosts=("10.66.0.51",)))
    assert named.out() == [("segment", frame("segment", "tcp nas:445 > S:30000 R seq=8 ipid=0 win=0", False))]
    assert named.flows() == []
    run(named, "uplink: tcp nas:445 > X:30000 A seq=8 ack=2 -> drop_no_flow")
    run(named, "segment: tcp S:30001 > nas:445 S -> drop_egress_local")


def test_another_dns_server_does_not_get_the_old_ones_flows(pf: Filter) -> None:
    pf.configure(Config())
    pf.speaker(mac_of("S"))
    run(pf, "! know dns\nsegment: udp S:5 > dns:53 -> pass_speaker_uplink -> uplink: ~")
    pf.configure(Config(dns=("10.66.0.3", "9.9.9.9")))
    assert pf.flows() == []
    run(pf, "segment: udp S:5 > dns:53 -> drop_egress_local")


# ---- Another segment subnet ----


@pytest.mark.parametrize("net", ["172.31.77", "10.177.77"])
def test_another_segment_subnet(pf: Filter, net: str) -> None:
    pf.configure(Config(host=f"{net}.1", alias=f"{net}.2", speaker=f"{net}.2", guard=True))
    pf.speaker(mac_of("S"))
    run(
        pf,
        f"""
! lease phone
uplink:       tcp {net}.9:5 > X:1400 S from=attacker      -> drop_source_address
uplink:       udp {net}.200:5 > X:1400 from=attacker      -> drop_source_address
uplink:       tcp 192.168.77.9:5 > X:1400 S from=attacker -> drop_no_lease
uplink:       tcp 192.168.77.1:5 > X:7780 S from=attacker -> pass_uplink_host -> host_uplink: ~
segment:      tcp {net}.2:30000 > {net}.1:80 S            -> pass_speaker_host -> host_segment: ~
segment:      tcp alias:30000 > server:80 S               -> drop_source_address
host_segment: tcp {net}.1:80 > {net}.2:30000 SA           -> pass_host_speaker -> segment: ~
host_segment: tcp bridge:80 > {net}.2:30000 SA            -> drop_source_address
segment:      udp {net}.2:1900 > ssdp:1900 data=notify    -> relay_notify -> host_segment: udp {net}.2:1900 > {net}.1:1900 data=notify
""",
    )
    asked = frame("host_segment", f"arp who-has {net}.2 tell {net}.1 sha=bridge")
    assert pf.input("host_segment", asked) == "arp_answered"
    ((port, answer),) = pf.out()
    assert port == "host_segment"
    assert answer[22:28] == bytes.fromhex(mac_of("S").replace(":", ""))
    assert pf.lease_add(f"{net}.3", None) == -2
    assert pf.lease_add("192.168.77.3", None) >= 0
