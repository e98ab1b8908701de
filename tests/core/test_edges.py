# ruff: noqa: E501 (a step of a script is one line)
"""What the tables of verdicts and the tests of flows leave out: rare configurations, odd senders, ports that have run out."""

import struct

import pytest
from core import Config, Filter, limit
from frames import HOSTS, frame, mac_of
from script import DEFAULT, run, start

NO_UPLINK = Config(addr="0.0.0.0", mask="0.0.0.0", router="0.0.0.0", dns=())
CLAIM = 7780


def known(pf: Filter, config: Config = DEFAULT) -> None:
    """Started, and the router's MAC is known."""
    start(pf, config)
    pf.input("segment", frame("segment", f"echo {config.speaker or 'S'} > 9.9.9.9 id=1"))
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    pf.out()


def verdict(pf: Filter, port: str, text: str) -> str:
    result = pf.input(port, frame(port, text))
    pf.check()
    return result


# ---- Configuration ----


@pytest.mark.parametrize(
    "other",
    [
        Config(claim_port=8080),
        Config(segment_mac="02:00:00:00:42:99"),
        Config(uplink_mac="02:00:00:00:42:98"),
        Config(hosts=("10.66.0.9",)),
        Config(dns=("10.66.0.2",)),
    ],
)
def test_a_change_that_moves_nothing_ends_no_lease_and_no_phones_flow(pf: Filter, other: Config) -> None:
    start(pf)
    run(pf, "! lease phone\nuplink: tcp phone:40000 > X:1400 S -> pass_uplink_speaker -> segment: ~")
    pf.configure(other)
    assert len(pf.leases()) == 1
    assert [f.remote for f in pf.flows()] == [HOSTS["phone"][0]]
    pf.check()


def test_a_change_takes_effect_even_where_it_is_the_only_one(pf: Filter) -> None:
    start(pf)
    pf.configure(Config(claim_port=8080))
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:8080 S") == "pass_uplink_host"
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:7780 S") == "drop_no_rule"
    pf.configure(Config(claim_port=8080, segment_mac="02:00:00:00:42:99"))
    assert verdict(pf, "segment", "echo S > server id=5 to=02:00:00:00:42:99") != "drop_not_for_us"
    assert verdict(pf, "segment", "echo S > server id=6") == "drop_not_for_us"
    pf.configure(Config(uplink_mac="02:00:00:00:42:98"))
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:7780 S") == "drop_not_for_us"
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:7780 S to=02:00:00:00:42:98") == "pass_uplink_host"


def test_without_a_claim_port_port_0_is_nobodys(pf: Filter) -> None:
    """0 says that there is none; a flow from port 0 keeps it."""
    known(pf, Config(claim_port=0))
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:0 S") == "drop_no_rule"
    run(pf, "segment: tcp S:0 > server:80 S -> pass_speaker_uplink -> uplink: ~")


def test_an_uplink_of_two_addresses_has_no_broadcast(pf: Filter) -> None:
    """RFC 3021: with a mask of 31 bits both are hosts."""
    start(pf, Config(addr="10.66.0.77", mask="255.255.255.254", router="10.66.0.76", dns=()))
    assert pf.lease_add("10.66.0.76", None) >= 0
    assert verdict(pf, "uplink", "tcp 10.66.0.76:5 > X:1400 S") == "pass_uplink_speaker"


def test_what_is_on_a_public_uplinks_subnet_is_local(pf: Filter) -> None:
    start(pf, Config(addr="198.51.100.9", mask="255.255.255.0", router="198.51.100.1", dns=(), speaker="192.168.77.2"))
    assert verdict(pf, "segment", "udp 192.168.77.2:5 > 198.51.100.7:53") == "drop_egress_local"
    assert verdict(pf, "segment", "udp 192.168.77.2:5 > 169.254.1.1:53") == "drop_egress_local"
    assert verdict(pf, "segment", "udp 192.168.77.2:5 > 198.51.101.7:53") == "frames_pending"


def test_nobody_has_the_alias_on_the_uplink(pf: Filter) -> None:
    """Wherever it is."""
    start(pf, Config(alias="203.0.113.99"))
    assert verdict(pf, "uplink", "tcp 203.0.113.99:5 > X:1400 S") == "drop_source_address"
    assert verdict(pf, "uplink", "tcp 203.0.113.98:5 > X:1400 S") == "drop_no_lease"


def test_a_service_is_one_of_its_protocol_only(pf: Filter) -> None:
    start(pf)
    assert pf.services((17, 1400))
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:1400 S") == "drop_no_rule"
    assert verdict(pf, "uplink", "udp flatmate:5 > X:1400") == "drop_no_lease"


# ---- Without an uplink ----


def test_nothing_is_at_0_0_0_0(pf: Filter) -> None:
    """X is 0.0.0.0 then; that is no address to talk to or from."""
    start(pf, NO_UPLINK)
    assert verdict(pf, "uplink", "tcp server:5 > nobody:1400 S to=X") == "drop_no_uplink"
    assert verdict(pf, "uplink", "arp who-has nobody tell flatmate") == "drop_arp_other"
    assert verdict(pf, "uplink", "arp who-has nobody tell nobody sha=flatmate") == "drop_arp_other"
    assert verdict(pf, "host_uplink", "udp nobody:1 > ssdp:1 proto=2 from=X") == "drop_protocol"
    assert not pf.out()


# ---- ARP ----


def test_arp_answers_that_say_nothing(pf: Filter) -> None:
    start(pf)
    assert verdict(pf, "uplink", "arp nobody is-at flatmate to X") == "drop_arp_unasked"
    assert verdict(pf, "host_uplink", "arp who-has phone tell X hwlen=5") == "drop_arp_bad"
    assert verdict(pf, "host_uplink", "arp nobody is-at X to phone") == "drop_arp_bad"
    assert verdict(pf, "host_segment", "arp who-has alias tell bridge hwlen=5") == "drop_arp_bad"
    assert verdict(pf, "host_segment", "arp bridge is-at bridge to alias") == "drop_arp_other"
    assert verdict(pf, "host_segment", "arp who-has alias tell bridge sha=01:00:5e:00:00:01") == "drop_arp_bad"
    assert not pf.out()


@pytest.mark.parametrize("target", ["0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
def test_proxy_arp_stands_for_no_address_that_is_no_hosts(pf: Filter, target: str) -> None:
    start(pf)
    assert verdict(pf, "segment", f"arp who-has {target} tell S") == "drop_arp_other"


# ---- Senders, groups ----


def test_our_own_mac_comes_from_nobody_else(pf: Filter) -> None:
    start(pf)
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:1400 S from=X") == "drop_source_mac"
    assert verdict(pf, "uplink", "tcp flatmate:5 > X:1400 S from=02:00:00:00:43:10") == "drop_no_lease"


def test_groups_that_are_not_relayed(pf: Filter) -> None:
    start(pf)
    run(pf, "! lease phone")
    assert verdict(pf, "uplink", "tcp phone:5 > ssdp:1900 S") == "drop_multicast"
    assert verdict(pf, "uplink", "udp phone:5 > mdns:5354 data=query") == "drop_multicast"
    assert verdict(pf, "host_uplink", "udp X:5 > ssdp:1900 data=search to=router") == "drop_multicast"
    assert verdict(pf, "host_segment", "udp bridge:5 > alias:1900 to=all") == "drop_multicast"


@pytest.mark.parametrize("flags", ["08", "40", "78"])
def test_an_mdns_message_with_an_opcode_is_no_query(pf: Filter, flags: str) -> None:
    """RFC 6762, 18.3: others than 0 must be ignored."""
    start(pf)
    run(pf, "! lease phone")
    good = frame("uplink", "udp phone:5353 > mdns:5353 data=query")
    assert pf.input("uplink", good) == "relay_search"
    at = 42 + 2
    bad = good[:40] + b"\0\0" + good[42:at] + bytes.fromhex(flags) + good[at + 1 :]
    assert pf.input("uplink", bad) == "drop_search_bad"


def test_a_notification_finds_no_lease_that_is_over(pf: Filter) -> None:
    start(pf)
    run(pf, "! lease phone ttl=10; jump 10000")  # no tick: the lease is still in its place
    assert verdict(pf, "segment", "udp S:1900 > ssdp:1900 data=notify") == "drop_no_listener"


def test_igmp_only_from_x(pf: Filter) -> None:
    start(pf)
    run(pf, "host_uplink: udp X:1 > ssdp:1 proto=2 -> pass_host_uplink -> uplink: ~")
    assert verdict(pf, "host_uplink", "udp nobody:1 > ssdp:1 proto=2 from=X") == "drop_protocol"
    assert verdict(pf, "host_uplink", "udp X:1 > server:1 proto=2") == "drop_protocol"


def test_a_lease_that_is_not_there_is_not_renewed(pf: Filter) -> None:
    start(pf)
    assert not pf.lease_renew("10.66.0.100", 60)
    assert pf.lease_add("10.66.0.100", None, 60) >= 0
    assert pf.lease_renew("10.66.0.100", 600)
    assert pf.leases()[0].left_s == 600


def test_a_lease_without_a_mac_is_another_than_one_with(pf: Filter) -> None:
    """Its flows end, as with another MAC: who it is has changed."""
    start(pf)
    run(pf, "! lease phone mac=none\nuplink: tcp phone:5 > X:1400 S -> pass_uplink_speaker -> segment: ~")
    run(pf, "! lease phone mac=none")
    assert len(pf.flows()) == 1
    run(pf, "! lease phone; forget-output")
    assert not pf.flows()
    run(
        pf, "uplink: tcp phone:5 > X:1400 S -> pass_uplink_speaker -> segment: ~\n! lease phone mac=none; forget-output"
    )
    assert not pf.flows()


def test_the_routers_own_claim_has_the_routers_mac(pf: Filter) -> None:
    known(pf)
    assert verdict(pf, "uplink", "tcp router:5 > X:7780 S") == "pass_uplink_host"
    assert verdict(pf, "uplink", "tcp 10.66.0.9:5 > X:7780 S from=router") == "pass_uplink_host"
    assert pf.flow_mac(HOSTS["router"][0], 5, 7780) == bytes.fromhex("020000004201")
    assert pf.flow_mac("10.66.0.9", 5, 7780) is None  # the router answers for others


# ---- TCP ----


def test_options_that_fill_the_header(pf: Filter) -> None:
    """The list need not be ended."""
    known(pf)
    syn = bytearray(frame("segment", "tcp S:5 > server:80 S seq=9 mss=1460"))
    syn[54:58] = bytes([1, 3, 3, 2])  # no end
    syn[50:52] = b"\0\0"
    assert pf.input("segment", bytes(syn)) == "pass_speaker_uplink"
    assert verdict(pf, "uplink", "tcp server:80 > X:5 SA seq=1 ack=10 ws=7") == "pass_uplink_speaker"
    # the speaker's window is 65536 << 2: that much may come, no more
    assert verdict(pf, "uplink", "tcp server:80 > X:5 A seq=262146 ack=10") == "pass_uplink_speaker"
    assert verdict(pf, "uplink", "tcp server:80 > X:5 A seq=524291 ack=10") == "drop_tcp_window"


def test_old_acknowledgements_by_the_window_of_who_sends_them(pf: Filter) -> None:
    """The server can be sent 65536 << 7, the speaker 65536: each may be behind by twice that."""
    known(pf)
    run(pf, "segment: tcp S:5 > server:80 S seq=999999999 ws=0 -> pass_speaker_uplink -> uplink: ~")
    run(pf, "uplink: tcp server:80 > X:5 SA seq=1999999999 ack=1000000000 ws=7 -> pass_uplink_speaker -> segment: ~")
    behind = 2 * 65536
    for late, expected in ((behind, "pass_speaker_uplink"), (behind + 1, "drop_tcp_window")):
        assert verdict(pf, "segment", f"tcp S:5 > server:80 A seq=1000000000 ack={2000000000 - late}") == expected
    behind = 2 * (65536 << 7)
    for late, expected in ((behind, "pass_uplink_speaker"), (behind + 1, "drop_tcp_window")):
        assert verdict(pf, "uplink", f"tcp server:80 > X:5 A seq=2000000000 ack={1000000000 - late}") == expected


def test_only_its_opener_opens_an_ended_connection_again(pf: Filter) -> None:
    known(pf)
    run(pf, "segment: tcp S:5 > server:80 S seq=999 -> pass_speaker_uplink -> uplink: ~")
    run(pf, "uplink: tcp server:80 > X:5 RA seq=0 ack=1000 -> pass_uplink_speaker -> segment: ~")
    assert verdict(pf, "uplink", "tcp server:80 > X:5 S seq=9") == "drop_tcp_state"
    run(pf, "segment: tcp S:5 > server:80 S seq=77 -> pass_speaker_uplink -> uplink: ~")


def test_no_reset_to_a_speaker_that_is_not_there(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        "! lease phone\nuplink: tcp phone:5 > X:1400 S -> pass_uplink_speaker -> segment: ~\n! speaker none; forget-output",
    )
    pf.lease_end(HOSTS["phone"][0])
    assert not pf.out()


# ---- ICMP errors ----


def test_the_hosts_errors_about_its_flows(pf: Filter) -> None:
    """To the remote, about what it sent; its own port inside; about nothing else."""
    known(pf)
    run(
        pf,
        """
        segment: udp S:5000 > server:53 -> pass_speaker_uplink -> uplink: ~
        host_uplink: udp X:5001 > server:53 -> pass_host_uplink -> uplink: ~
        host_uplink: error(3,3) X > server about (udp server:53 > X:5001) -> pass_host_uplink -> uplink: ~
        host_uplink: error(3,3) X > server about (udp server:53 > X:5000) -> drop_no_flow
        host_uplink: error(3,3) X > 9.9.9.9 about (udp server:53 > X:5001) -> drop_icmp_inner
        """,
    )
    redirect = bytearray(frame("host_uplink", "echo X > server id=1"))
    redirect[34] = 5
    redirect[36:38] = b"\0\0"
    total = sum(struct.unpack(f">{(len(redirect) - 34) // 2}H", redirect[34:]))
    redirect[36:38] = struct.pack(">H", ~(total % 65535) & 0xFFFF)
    assert pf.input("host_uplink", bytes(redirect)) == "drop_icmp_type"


def test_the_speakers_errors_have_a_ttl(pf: Filter) -> None:
    known(pf)
    run(pf, "segment: udp S:5000 > server:53 -> pass_speaker_uplink -> uplink: ~")
    assert verdict(pf, "segment", "error(3,3) S > server about (udp server:53 > S:5000) ttl=1") == "drop_ttl"
    assert not pf.out()


def test_an_error_about_a_protocol_that_is_not_carried(pf: Filter) -> None:
    known(pf)
    run(pf, "segment: udp S:5000 > server:53 -> pass_speaker_uplink -> uplink: ~")
    assert verdict(pf, "uplink", "error(3,2) server > X about (udp X:5000 > server:53 proto=47)") == "drop_icmp_inner"


def test_errors_between_speaker_and_host_are_whole(pf: Filter) -> None:
    start(pf)
    for port, text in (
        ("segment", "error(3,3) S > bridge about (udp bridge:5 > S:99)"),
        ("host_segment", "error(3,3) bridge > alias about (udp alias:5 > bridge:99)"),
    ):
        assert verdict(pf, port, f"{text} quote=27") == "drop_icmp_inner"
        assert verdict(pf, port, f"{text} quote=28").startswith("pass_")


def test_an_error_about_a_connection_to_the_claim_port(pf: Filter) -> None:
    """The host's own stack checks the numbers."""
    start(pf)
    run(
        pf,
        """
        uplink: tcp flatmate:5 > X:7780 S -> pass_uplink_host -> host_uplink: ~
        uplink: error(3,4) flatmate > X about (tcp X:7780 > flatmate:5 A seq=77) -> pass_uplink_host -> host_uplink: ~
        """,
    )


def test_an_error_about_what_was_not_sent_yet(pf: Filter) -> None:
    """The phone's SYN, without a window scale, is all there was: the speaker has sent nothing that could fail."""
    start(pf)
    run(pf, "! lease phone\nuplink: tcp phone:5 > X:1400 S seq=9 -> pass_uplink_speaker -> segment: ~")
    assert verdict(pf, "uplink", "error(3,4) phone > X about (tcp X:1400 > phone:5 A seq=0)") == "drop_tcp_window"


# ---- Ports ----


def test_ports_kept_for_the_host(pf: Filter) -> None:
    known(pf)
    for port in (67, 68):
        assert verdict(pf, "segment", f"udp S:{port} > server:5") == "pass_speaker_uplink"
    assert verdict(pf, "segment", "udp S:69 > server:5") == "pass_speaker_uplink"
    moved = {f.local_port: f.external_port for f in pf.flows() if f.local_port in (67, 68, 69)}
    assert moved[67] != 67 and moved[68] != 68 and moved[69] == 69
    assert all(512 <= moved[p] < 1024 and moved[p] % 2 == p % 2 for p in (67, 68))


def test_with_guard_echo_identifiers_are_free(pf: Filter) -> None:
    """Kept for the host are TCP 1400 and UDP 1900 only."""
    known(pf, Config(speaker="192.168.77.2", guard=True))
    for text in ("echo alias > server id=1400", "tcp alias:1400 > server:80 S", "udp alias:1900 > server:80"):
        assert verdict(pf, "segment", text) == "pass_speaker_uplink"
    ports = {f.proto: f.external_port for f in pf.flows() if f.local_port in (1400, 1900)}
    assert ports[1] == 1400 and ports[6] != 1400 and ports[17] != 1900


def test_when_all_ports_like_it_are_taken(pf: Filter) -> None:
    """The speaker has every odd port from 512 to 1023; the host gets none of them, and no other kind either."""
    known(pf)
    for port in range(513, 1024, 2):
        pf.jump(50)  # the speaker's rate of new flows
        assert pf.input("segment", frame("segment", f"udp S:{port} > server:53")) == "pass_speaker_uplink"
    pf.out()
    assert verdict(pf, "host_uplink", "udp X:513 > server:53") == "drop_ports_full"
    assert verdict(pf, "host_uplink", "udp X:512 > server:53") == "pass_host_uplink"
    pf.check()


def test_a_phone_gets_the_port_it_asks_for_or_none(pf: Filter) -> None:
    """What the host has, or what the speaker's own flows have elsewhere, cannot be opened from outside at its number."""
    known(pf)
    run(pf, "! lease phone; services 6/1400")
    assert verdict(pf, "host_uplink", "tcp X:1500 > server:80 S") == "pass_host_uplink"
    assert verdict(pf, "segment", "tcp S:1500 > server:81 S") == "pass_speaker_uplink"  # by another port at X
    run(pf, "! services 6/1500 6/1501; forget-output")
    assert verdict(pf, "uplink", "tcp phone:5 > X:1500 S") == "drop_ports_full"
    assert verdict(pf, "host_uplink", "tcp X:1502 > server:80 S") == "pass_host_uplink"
    run(pf, "! services 6/1502; forget-output")
    assert verdict(pf, "uplink", "tcp phone:6 > X:1502 S") == "drop_ports_full"
    pf.check()


# ---- Eviction, and checksums ----


def test_established_ones_give_way_when_there_are_no_others(pf: Filter) -> None:
    """The speaker's share is full of established connections, but for three: those go first, then the longest idle."""
    known(pf)
    others = limit("PF_FLOWS") - limit("PF_PHONE_SHARE")
    assert len(pf.flows()) == 1  # the echo that asked for the router
    for i in range(1, others):
        pf.jump(50)
        if i < 3:
            assert verdict(pf, "segment", f"udp S:{900 + i} > server:53") == "pass_speaker_uplink"
            continue
        assert pf.input("segment", frame("segment", f"tcp S:{2000 + i} > server:80 S seq=9")) == "pass_speaker_uplink"
        pf.input("uplink", frame("uplink", f"tcp server:80 > X:{2000 + i} SA seq=1 ack=10"))
        assert (
            pf.input("segment", frame("segment", f"tcp S:{2000 + i} > server:80 A seq=10 ack=2"))
            == "pass_speaker_uplink"
        )
    pf.out()
    assert pf.count("flows_evicted") == 0
    for i in range(3):
        pf.jump(50)
        assert verdict(pf, "segment", f"tcp S:{i + 1} > server:80 S") == "pass_speaker_uplink"
        assert len([f for f in pf.flows() if f.proto != 6]) == 2 - i
    for i in range(3):  # the new ones are half open: they are the loose ones now, and go before any established one
        pf.jump(50)
        assert verdict(pf, "segment", f"tcp S:{i + 10} > server:80 S") == "pass_speaker_uplink"
    ports = {f.local_port for f in pf.flows()}
    assert {2000 + i for i in range(3, others)} <= ports
    for i in (10, 11, 12):  # now these are established, too: nothing is loose
        run(
            pf, f"! forget-output\nuplink: tcp server:80 > X:{i} SA seq=1 ack=1001 -> pass_uplink_speaker -> segment: ~"
        )
        assert verdict(pf, "segment", f"tcp S:{i} > server:80 A seq=1001 ack=2") == "pass_speaker_uplink"
    pf.jump(50)
    assert verdict(pf, "segment", "udp S:20 > server:53") == "pass_speaker_uplink"
    assert 2003 not in {f.local_port for f in pf.flows()}  # the longest idle
    pf.check()


def fill(pf: Filter) -> None:
    """The host has all that is not the phones'; connections to the claim port do not count."""
    for i in range(limit("PF_FLOWS") - limit("PF_PHONE_SHARE") - sum(f.external_port != CLAIM for f in pf.flows())):
        assert pf.input("host_uplink", frame("host_uplink", f"tcp X:{2000 + i} > server:80 S")) == "pass_host_uplink"
    pf.out()


def test_what_is_refused_evicts_nothing(pf: Filter) -> None:
    """Here for want of a port."""
    known(pf)
    for port in range(513, 1024, 2):
        pf.jump(50)
        assert pf.input("segment", frame("segment", f"udp S:{port} > server:53")) == "pass_speaker_uplink"
    pf.out()
    fill(pf)
    before = pf.flows()
    assert verdict(pf, "host_uplink", "udp X:513 > server:53") == "drop_ports_full"
    assert pf.count("flows_evicted") == 0 and pf.flows() == before
    assert verdict(pf, "host_uplink", "udp X:512 > server:53") == "pass_host_uplink"
    assert pf.count("flows_evicted") == 1


def test_a_full_claim_port_takes_no_others_place(pf: Filter) -> None:
    """Where its own oldest connection gives way, nobody else does."""
    known(pf)
    for i in range(limit("PF_CLAIM_FLOWS")):
        pf.jump(1000)
        assert verdict(pf, "uplink", f"tcp flatmate:{i + 1} > X:{CLAIM} S") == "pass_uplink_host"
    pf.out()
    fill(pf)
    pf.jump(1000)
    evicted, flows = pf.count("flows_evicted"), len(pf.flows())
    assert verdict(pf, "uplink", f"tcp flatmate:17 > X:{CLAIM} S") == "pass_uplink_host"
    assert pf.count("flows_evicted") == evicted + 1 and len(pf.flows()) == flows
    assert 1 not in {f.remote_port for f in pf.flows()}


def test_a_checksum_of_zero_is_sent_as_ones(pf: Filter) -> None:
    """RFC 768: zero means that there is none."""
    start(pf)
    payload = bytearray(300)
    assert pf.dhcp_send(bytes(payload), mac_of("S"), "10.66.0.77")
    (_, first) = pf.out()[0]
    payload[:2] = first[40:42]  # adds up to all ones: the sum of this one is zero
    assert pf.dhcp_send(bytes(payload), mac_of("S"), "10.66.0.77")
    (_, second) = pf.out()[0]
    assert second[40:42] == b"\xff\xff"


# ---- What others' reserved ports, places and last frames are not touched by ----


def moved_ports(pf: Filter, owner: int) -> list[int]:
    """Where the owner's connections are at X, from even ports below 500 that the other owner has taken before."""
    sent = [("host_uplink", "tcp X:{} > server:80 S"), ("segment", "tcp S:{} > server:80 S")]
    for port in range(100, 500, 2):
        pf.jump(60)
        for entry, text in (sent[1 - owner], sent[owner]):
            pf.input(entry, frame(entry, text.format(port)))
        pf.out()
    moved = [f.external_port for f in pf.flows() if f.owner == owner and f.local_port != f.external_port]
    assert len(moved) > 150
    return moved


def test_a_moved_port_is_never_a_service_at_the_end_of_the_speakers_own(pf: Filter) -> None:
    """Nobody could reach that service any more: the port would be taken."""
    known(pf)
    services = range(540, 554, 2)
    assert pf.services((6, 1400), *((6, port) for port in services))
    assert not set(moved_ports(pf, owner=1)) & set(services)


def test_a_moved_port_is_never_the_claim_port(pf: Filter) -> None:
    known(pf, Config(claim_port=780))
    assert 780 not in moved_ports(pf, owner=0)


def test_a_lease_at_the_routers_address_does_not_cut_the_speaker_off(pf: Filter) -> None:
    """A phone behind a router that translates comes from the router's own address."""
    known(pf)
    assert pf.lease_add("10.66.0.1", mac_of("router")) >= 0
    for _ in range(300):
        pf.wait(200)
        for port, sent in pf.out():
            if port == "uplink" and sent[12:14] == b"\x08\x06":
                assert pf.input("uplink", frame("uplink", "arp router is-at router to X")) == "arp_learned"
        assert pf.input("segment", frame("segment", "udp S:9 > server:53")) == "pass_speaker_uplink"


def test_a_syn_from_another_mac_does_not_end_a_phones_last_exchange(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
        ! lease phone
        uplink: tcp phone:40000 > X:1400 S seq=10 -> pass_uplink_speaker -> segment: ~
        segment: tcp S:1400 > phone:40000 SA seq=20 ack=11 -> pass_speaker_uplink -> uplink: ~
        uplink: tcp phone:40000 > X:1400 A seq=11 ack=21 -> pass_uplink_speaker -> segment: ~
        uplink: tcp phone:40000 > X:1400 FA seq=11 ack=21 -> pass_uplink_speaker -> segment: ~
        segment: tcp S:1400 > phone:40000 FA seq=21 ack=12 -> pass_speaker_uplink -> uplink: ~
        uplink: tcp phone:40000 > X:1400 S seq=999 from=attacker -> drop_lease_mac
        uplink: tcp phone:40000 > X:1400 A seq=12 ack=22 -> pass_uplink_speaker -> segment: ~
        """,
    )


def test_a_syn_from_another_mac_does_not_take_a_claims_answer(pf: Filter) -> None:
    start(pf)
    run(
        pf,
        """
        uplink: tcp phone:40000 > X:7780 S seq=10 -> pass_uplink_host -> host_uplink: ~
        host_uplink: tcp X:7780 > phone:40000 SA seq=20 ack=11 -> pass_host_uplink -> uplink: ~
        uplink: tcp phone:40000 > X:7780 A seq=11 ack=21 -> pass_uplink_host -> host_uplink: ~
        uplink: tcp phone:40000 > X:7780 FA seq=11 ack=21 -> pass_uplink_host -> host_uplink: ~
        host_uplink: tcp X:7780 > phone:40000 PFA seq=21 ack=12 data=lease -> pass_host_uplink -> uplink: ~
        uplink: tcp phone:40000 > X:7780 S seq=999 from=attacker -> drop_flow_mac
        uplink: tcp phone:40000 > X:7780 S seq=999 -> pass_uplink_host -> host_uplink: ~
        """,
    )
