"""What RFC 4787, 5382, 5508 and 7857 ask of a NAT, where no other test shows it. docs/SPEC.md, section 5, has them all.

A test is named after the requirement: its RFC, and its number there (RFC 7857: its section).
"""

import itertools

import pytest
from core import Config, Filter, limit
from frames import HOSTS, checksum, frame, mac_of
from script import run, start
from talk import MODES, Talk, changed

BOTH = pytest.mark.parametrize("mode", sorted(MODES))
TCP, UDP, ICMP = 6, 17, 1


@pytest.fixture
def talk(pf: Filter, request: pytest.FixtureRequest) -> Talk:
    mode = request.getfixturevalue("mode") if "mode" in request.fixturenames else "passthrough"
    return Talk(pf, mode)


def sweep(pf: Filter, ms: int) -> None:
    """That time has passed, and the timers have taken away what was over; the router is known again."""
    pf.jump(ms)
    for _ in range(limit("PF_FLOWS") // limit("PF_SWEEP")):
        pf.tick()
    assert pf.input("uplink", frame("uplink", "arp router is-at router to X")) == "arp_learned"
    pf.out()


# ---- RFC 4787: UDP ----


@BOTH
@pytest.mark.parametrize(("kind", "proto"), [("udp", UDP), ("tcp", TCP)])
def test_rfc4787_req1_one_port_for_every_remote(talk: Talk, mode: str, kind: str, proto: int) -> None:
    """Endpoint-independent mapping, also of a port that had to be moved; for TCP RFC 5382 REQ-1."""
    flag = "S" if kind == "tcp" else ""
    assert (
        talk.pf.input("host_uplink", frame("host_uplink", f"{kind} X:30000 > server:80 {flag}")) == "pass_host_uplink"
    )
    talk.pf.out()
    assert talk.pf.input("segment", talk.segment(f"{kind} S:30000 > server:80 {flag}")) == "pass_speaker_uplink"
    talk.pf.out()
    moved = talk.external_port(30000, proto)
    assert moved != 30000
    for remote in ("server:81", "203.0.113.11:80", "198.51.100.1:9"):
        talk.out(f"{kind} S:30000 > {remote} {flag}", moved)
    talk.out(f"{kind} S:30001 > server:80 {flag}")


def test_rfc4787_req5_a_mapping_lives_as_long_as_its_last_flow(talk: Talk) -> None:
    talk.pf.input("host_uplink", frame("host_uplink", "udp X:30000 > server:53"))
    talk.pf.input("segment", talk.segment("udp S:30000 > server:53"))
    moved = talk.external_port(30000, UDP)
    talk.pf.out()
    talk.pf.jump(200_000)
    talk.out("udp S:30000 > 203.0.113.11:53", moved)
    talk.pf.jump(200_000)  # the first flow is over; the host's too
    talk.back("udp server:53 > X:30000", moved, "drop_no_rule")
    talk.out("udp S:30000 > 203.0.113.12:53", moved)
    sweep(talk.pf, 301_000)
    talk.out("udp S:30000 > 203.0.113.12:53")  # a new mapping: the port is free


@BOTH
@pytest.mark.parametrize(("kind", "drop"), [("udp", "drop_no_rule"), ("tcp", "drop_no_flow")])
def test_rfc4787_req8_only_the_remote_itself_answers(talk: Talk, mode: str, kind: str, drop: str) -> None:
    """Address- and port-dependent filtering, stricter than what is recommended; for TCP RFC 5382 REQ-3."""
    flag, answer = ("S", "SA ack=1001") if kind == "tcp" else ("", "data=hello")
    talk.out(f"{kind} S:30000 > server:53 {flag}")
    for stranger in ("server:54", "203.0.113.11:53", "flatmate:53"):
        talk.back(f"{kind} {stranger} > X:30000 {answer}", verdict=drop)
    talk.back(f"{kind} server:53 > X:30001 {answer}", verdict=drop)
    talk.back(f"{kind} server:53 > X:30000 {answer}")


@BOTH
@pytest.mark.parametrize("text", ["udp S:5 > X:30000", "tcp S:5 > X:30000 S", "tcp S:5 > X:1400 S", "echo S > X"])
def test_rfc4787_req9_no_hairpin(pf: Filter, mode: str, text: str) -> None:
    """The speaker's own packets to X turn back nowhere: nobody else is behind the bridge, and the host is reached by
    its segment address. Also RFC 5382 REQ-8 and RFC 5508 REQ-7."""
    talk = Talk(pf, mode)
    talk.out("udp S:30000 > server:53")
    built = frame("segment", text.replace("S", talk.speaker, 1))
    assert talk.pf.input("segment", built) == "drop_egress_address"
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize("port", [21, 69, 554, 1720, 1723, 5060, 6667])
def test_rfc4787_req10_no_payload_is_changed(talk: Talk, mode: str, port: int) -> None:
    """No application-level gateway in the filter, whatever the port and the text. For TCP RFC 5382 REQ-6."""
    own = HOSTS["X" if mode == "passthrough" else "alias"][0]
    text = f"PORT,{own.replace('.', ',')},117,48;INVITE,sip:a@{own}:30000;c=IN,IP4,{own}"
    talk.out(f"udp S:30000 > server:{port} data={text}")
    talk.back(f"udp server:{port} > X:30000 data={text}")
    talk.established(remote=f"server:{port}")
    talk.out(f"tcp S:30000 > server:{port} PA seq=11 ack=21 data={text}")
    talk.back(f"tcp server:{port} > X:30000 PA seq=21 ack=11 data={text}")


def test_rfc4787_req11_mapping_and_filtering_stay_under_pressure(talk: Talk) -> None:
    """With a full table a moved port is the same for new remotes, and strangers stay out."""
    pf = talk.pf
    pf.input("host_uplink", frame("host_uplink", "udp X:30000 > server:53"))
    pf.input("segment", talk.segment("udp S:30000 > server:53"))
    moved = talk.external_port(30000, UDP)
    for i in range(limit("PF_FLOWS")):
        pf.jump(60)
        pf.input("segment", talk.segment(f"udp S:{2000 + i} > 198.51.{100 + i // 200}.{i % 200 + 1}:53"))
        if i % 4 == 0:
            pf.input("segment", talk.segment("udp S:30000 > server:53"))
        pf.out()
    assert pf.count("flows_evicted") > 0
    talk.out("udp S:30000 > 203.0.113.11:53", moved)
    talk.back("udp server:53 > X:30000", moved)
    talk.back("udp 203.0.113.12:53 > X:30000", moved, "drop_no_rule")


ERRORS = [(3, code) for code in range(16)] + [(11, 0), (11, 1), (12, 0), (12, 1), (12, 2)]
OTHERS = [(4, 0), (5, 0), (5, 1), (6, 0), (9, 0), (10, 0), (13, 0), (15, 0), (17, 0), (30, 0), (40, 0)]


@BOTH
@pytest.mark.parametrize(
    ("about", "opening"),
    [
        ("udp X:30000 > server:53 data=hello", ["udp S:30000 > server:53"]),
        ("echo X > server id=30000", ["echo S > server id=30000"]),
        ("tcp X:30000 > server:80 A seq=11 ack=21", []),
        ("tcp X:30001 > server:80 S seq=10", ["tcp S:30001 > server:80 S seq=10"]),
    ],
    ids=["udp", "echo", "tcp", "tcp-opening"],
)
def test_rfc4787_req12_no_icmp_ends_a_flow(talk: Talk, mode: str, about: str, opening: list[str]) -> None:
    """Every type and code, from anybody: errors are translated (RFC 5382 REQ-9), type and code kept (RFC 5508 REQ-4b),
    and nothing ends or is renewed by them: RFC 4787 REQ-12, 12a, 12b; RFC 5382 REQ-10; RFC 5508 REQ-6."""
    talk.established()
    for text in opening:
        talk.out(text)
    flows = talk.pf.flows()
    for i, (kind, code) in enumerate(ERRORS + OTHERS):
        talk.pf.jump(1000)
        who = ("router", "203.0.113.1", "server", "flatmate")[i % 4]
        passes = (kind, code) in ERRORS
        text = f"error({kind},{code}) {who} > X about ({about})"
        inside = about.replace("X", talk.speaker)
        assert talk.pf.input("uplink", frame("uplink", text)) == ("pass_uplink_speaker" if passes else "drop_icmp_type")
        want = frame("segment", f"error({kind},{code}) {who} > {talk.speaker} about ({inside}) ttl=63", False)
        assert talk.pf.out() == ([("segment", want)] if passes else [])
    passed = len(ERRORS + OTHERS)
    assert [(f.remote_port, f.state, f.idle_s) for f in talk.pf.flows()] == [
        (f.remote_port, f.state, f.idle_s + passed) for f in flows
    ]


@BOTH
@pytest.mark.parametrize("df", ["df", ""])
def test_rfc4787_req13_nothing_is_too_big_for_the_other_side(talk: Talk, mode: str, df: str) -> None:
    """Both sides carry the same 1500 bytes: what came in goes out, whole, DF kept; what is longer does not come in."""
    talk.out(f"udp S:30000 > server:53 {df} data=*1472")
    talk.back(f"udp server:53 > X:30000 {df} data=*1472")
    talk.out(f"udp S:30000 > server:53 {df} data=*1473", verdict="drop_long")
    talk.back(f"udp server:53 > X:30000 {df} data=*1473", verdict="drop_long")


# ---- RFC 5382: TCP ----

SEQUENCES = {
    "three-way, data, one side closes first": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
out  PA seq=11 ack=21 data=GET
back A seq=21 ack=14
back FA seq=21 ack=14
out  A seq=14 ack=22
out  PA seq=14 ack=22 data=*1400
back A seq=22 ack=1414
out  FA seq=1414 ack=22
back A seq=22 ack=1415
""",
    "simultaneous open": """
out  S seq=10
back S seq=20
out  SA seq=10 ack=21
back SA seq=20 ack=11
out  A seq=11 ack=21
back A seq=21 ack=11
back PA seq=21 ack=11 data=x
""",
    "simultaneous open, one side only acknowledges": """
out  S seq=10
back S seq=20
out  SA seq=10 ack=21
back A seq=21 ack=11
out  PA seq=11 ack=21 data=x
""",
    "simultaneous close": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
out  FA seq=11 ack=21
back FA seq=21 ack=11
out  A seq=12 ack=22
back A seq=22 ack=12
""",
    "the SYN again, the SYN ACK again, data again, FIN again": """
out  S seq=10
out  S seq=10
back SA seq=20 ack=11
back SA seq=20 ack=11
out  A seq=11 ack=21
back SA seq=20 ack=11
out  PA seq=11 ack=21 data=hello
out  PA seq=11 ack=21 data=hello
back A seq=21 ack=16
back FA seq=21 ack=16
back FA seq=21 ack=16
out  FA seq=16 ack=22
out  FA seq=16 ack=22
back A seq=22 ack=17
""",
    "data with the SYN, taken and not taken": """
out  S seq=10 data=hello
back SA seq=20 ack=11
out  PA seq=11 ack=21 data=hello
back A seq=21 ack=16
""",
    "keep-alives, with and without a byte": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
out  A seq=10 ack=21
back A seq=21 ack=11
back A seq=20 ack=11 data=x
out  A seq=11 ack=21
""",
    "a window of none, and its probe": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21 win=0
back A seq=21 ack=11 data=x
out  A seq=11 ack=21 win=0
out  A seq=11 ack=22 win=8192
back PA seq=22 ack=11 data=hello
""",
    "segments out of order": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
back A seq=1421 ack=11 data=*1400
back A seq=2821 ack=11 data=*1400
back A seq=21 ack=11 data=*1400
out  A seq=11 ack=4221
""",
    "urgent data and ECN's bits": """
out  SEC seq=10
back SAE seq=20 ack=11
out  A seq=11 ack=21
out  PAU seq=11 ack=21 data=x
back AE seq=21 ack=12
out  AC seq=12 ack=21
""",
    "refused, then opened from the same port": """
out  S seq=10
back RA seq=0 ack=11
out  S seq=500
back SA seq=20 ack=501
out  A seq=501 ack=21
""",
    "reset, then opened from the same port": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
out  RA seq=11 ack=21
out  S seq=90
back SA seq=700 ack=91
out  A seq=91 ack=701
""",
    "closed by both, then opened from the same port": """
out  S seq=10
back SA seq=20 ack=11
out  A seq=11 ack=21
out  FA seq=11 ack=21
back FA seq=21 ack=12
out  A seq=12 ack=22
out  S seq=90
back SA seq=700 ack=91
out  A seq=91 ack=701
""",
    "numbers that go round": """
out  S seq=4294967290
back SA seq=4294967295 ack=4294967291
out  A seq=4294967291 ack=0
out  PA seq=4294967291 ack=0 data=*1000
back A seq=0 ack=995
back PA seq=0 ack=995 data=x
out  A seq=995 ack=1
""",
}


@BOTH
@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("remote", ["server:80", "phone:80"])
def test_rfc5382_req2_valid_sequences_opened_inside(talk: Talk, mode: str, sequence: str, remote: str) -> None:
    """With a stranger's server and with a leased phone; simultaneous open is RFC 5382 REQ-2a."""
    assert talk.pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    for line in sequence.strip().splitlines():
        way, rest = line.split(maxsplit=1)
        if way == "out":
            talk.out(f"tcp S:30000 > {remote} {rest}")
        else:
            talk.back(f"tcp {remote} > X:30000 {rest}")


@BOTH
@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_rfc5382_req2_valid_sequences_opened_outside(talk: Talk, mode: str, sequence: str) -> None:
    """The same ones, opened by a leased phone where a service of the speaker permits it."""
    assert talk.pf.services((TCP, 1500))
    assert talk.pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    for line in sequence.strip().splitlines():
        way, rest = line.split(maxsplit=1)
        if way == "out":
            talk.back(f"tcp phone:40000 > X:1500 {rest}")
        else:
            talk.out(f"tcp S:1500 > phone:40000 {rest}")


@BOTH
@pytest.mark.parametrize("end", ["closed", "reset"])
def test_rfc5382_req3_a_flow_that_is_over_lets_no_syn_in(talk: Talk, mode: str, end: str) -> None:
    """The mapping of a connection that has ended is still there: it is none for the remote to open another one by."""
    talk.established()
    if end == "reset":
        talk.out("tcp S:30000 > server:80 R seq=11")
    else:
        talk.out("tcp S:30000 > server:80 FA seq=11 ack=21")
        talk.back("tcp server:80 > X:30000 FA seq=21 ack=12")
    talk.back("tcp server:80 > X:30000 S seq=5000", verdict="drop_tcp_state")
    talk.out("tcp S:30000 > server:80 S seq=900")
    talk.back("tcp server:80 > X:30000 S seq=5000")  # now it is asked for: simultaneous open


@BOTH
@pytest.mark.parametrize("port", [1400, 30000])
def test_rfc5382_req4_an_unsolicited_syn_is_never_answered(talk: Talk, mode: str, port: int) -> None:
    """Not within 6 seconds, nor later (REQ-4a: it is our policy); and it is in nobody's way who opens from inside."""
    talk.back(f"tcp server:80 > X:{port} S seq=20", verdict="drop_no_lease" if port == 1400 else "drop_no_rule")
    talk.pf.wait(10_000)
    assert [p for p, _ in talk.pf.out() if p != "uplink"] == []
    assert talk.pf.flows() == [f for f in talk.pf.flows() if f.local_port == 9]
    talk.out(f"tcp S:{port} > server:80 S seq=10")
    talk.back(f"tcp server:80 > X:{port} S seq=20")


# ---- RFC 5508: ICMP ----


@BOTH
def test_rfc5508_req1_one_identifier_for_every_remote(talk: Talk, mode: str) -> None:
    talk.pf.input("host_uplink", frame("host_uplink", "echo X > server id=7"))
    talk.pf.input("segment", talk.segment("echo S > server id=7"))
    talk.pf.out()
    moved = talk.external_port(7, ICMP)
    assert moved != 7
    talk.out("echo S > 203.0.113.11 id=7", moved)
    talk.back("reply server > X id=7", moved)
    talk.back("reply 203.0.113.11 > X id=7", moved)
    talk.back("reply 203.0.113.12 > X id=7", moved, "drop_no_flow")


INSIDE = "udp X:30000 > server:53 data=hello"  # 33 bytes, from byte 28 of the packet on


def error(talk: Talk, about: str = INSIDE) -> bytes:
    return talk.uplink(f"error(3,1) router > X about ({about})")


@BOTH
def test_rfc5508_req3_an_error_with_a_wrong_checksum_is_dropped(talk: Talk, mode: str) -> None:
    talk.out("udp S:30000 > server:53")
    good = error(talk)
    bad = good[:36] + bytes([good[36] ^ 0x55]) + good[37:]
    assert talk.pf.input("uplink", bad) == "drop_icmp_checksum"
    assert talk.pf.input("segment", talk.segment("error(3,1) S > server about (udp server:53 > S:30000) badl4")) == (
        "drop_icmp_checksum"
    )
    assert talk.pf.input("uplink", good) == "pass_uplink_speaker"


@BOTH
def test_rfc5508_req3a_an_inner_header_with_a_wrong_checksum_is_dropped(talk: Talk, mode: str) -> None:
    talk.out("udp S:30000 > server:53")
    good = error(talk)
    assert talk.pf.input("uplink", changed(good, 28 + 10, b"\x12\x34")) == "drop_icmp_inner"
    outwards = talk.segment("error(3,1) S > server about (udp server:53 > S:30000)")
    assert talk.pf.input("segment", changed(outwards, 28 + 10, b"\x12\x34")) == "drop_icmp_inner"
    assert talk.pf.input("uplink", good) == "pass_uplink_speaker"
    assert talk.pf.input("segment", outwards) == "pass_speaker_uplink"


@BOTH
def test_rfc5508_req3b_an_inner_packet_with_options_was_not_ours(talk: Talk, mode: str) -> None:
    """No packet with options leaves the bridge or enters it, so an error about one is made up."""
    talk.out("udp S:30000 > server:53")
    assert talk.pf.input("segment", talk.segment("udp S:30000 > server:53 options")) == "drop_ip_options"
    assert talk.pf.input("uplink", error(talk, "udp X:30000 > server:53 options")) == "drop_icmp_inner"
    text = "error(3,1) S > server about (udp server:53 > S:30000 options)"
    assert talk.pf.input("segment", talk.segment(text)) == "drop_icmp_inner"
    assert talk.pf.out()[1:] == []


@BOTH
@pytest.mark.parametrize("about", [INSIDE, "tcp X:30001 > server:80 A seq=11 ack=21 data=hello"])
def test_rfc5508_req3c_the_inner_tcp_or_udp_checksum_is_not_validated(talk: Talk, mode: str, about: str) -> None:
    talk.out("udp S:30000 > server:53")
    talk.established(30001)
    talk.pf.out()
    assert talk.pf.input("uplink", error(talk, f"{about} badl4")) == "pass_uplink_speaker"
    inside = about.replace("X", talk.speaker)
    if mode == "passthrough":
        want = frame("segment", f"error(3,1) router > {talk.speaker} about ({inside} badl4) ttl=63", False)
        assert talk.pf.out() == [("segment", want)]


@BOTH
def test_rfc5508_req3d_what_follows_the_inner_packet_stays_as_it_is(talk: Talk, mode: str) -> None:
    """RFC 4884: the quoted packet padded to 128 bytes, then extensions: unchanged; the packet itself is translated."""
    talk.out("udp S:30000 > server:53")
    own = frame("uplink", INSIDE)[14:]
    extension = bytes.fromhex("2000dead000801010001f101")
    quoted = own.ljust(128, b"\0") + extension
    plain = talk.uplink(f"error(11,0) router > X about ({INSIDE}) ")
    icmp = bytes([11, 0, 0, 0, 0, 32, 0, 0]) + quoted
    built = plain[:34] + icmp
    built = changed(built, 2, (20 + len(icmp)).to_bytes(2, "big"))
    built = changed(built, 20, icmp[:2])
    assert talk.pf.input("uplink", built) == "pass_uplink_speaker"
    ((port, out),) = talk.pf.out()
    assert port == "segment"
    assert out[42 + 128 :] == extension
    assert out[42 + len(own) : 42 + 128] == bytes(128 - len(own))
    assert out[42 : 42 + len(own)] == frame("segment", INSIDE.replace("X", talk.speaker))[14:]
    assert changed(out, 20, out[34:36]) == out  # its checksum is right


@BOTH
def test_rfc5508_req4_errors_from_outside(talk: Talk, mode: str) -> None:
    """Inner header, type and code, outer destination; also of a moved port and an echo's identifier."""
    for text in ("udp X:30000 > server:53", "echo X > server id=7"):
        talk.pf.input("host_uplink", frame("host_uplink", text))
    for text in ("udp S:30000 > server:53", "echo S > server id=7"):
        talk.pf.input("segment", talk.segment(text))
    talk.pf.out()
    udp, echo = talk.external_port(30000, UDP), talk.external_port(7, ICMP)
    for sent, own in (
        (f"udp X:{udp} > server:53 data=hello", "udp X:30000 > server:53 data=hello"),
        (f"echo X > server id={echo} data=hello", "echo X > server id=7 data=hello"),
    ):
        inside = own.replace("X", talk.speaker)
        assert talk.pf.input("uplink", talk.uplink(f"error(11,1) router > X about ({sent})")) == "pass_uplink_speaker"
        want = frame("segment", f"error(11,1) router > {talk.speaker} about ({inside}) ttl=63", False)
        assert talk.pf.out() == [("segment", want)]
    assert (
        talk.pf.input("uplink", talk.uplink("error(3,1) router > X about (udp X:9999 > server:53)")) == "drop_no_flow"
    )


@BOTH
@pytest.mark.parametrize("length", [28, 36, 40])
def test_rfc5508_req4_an_error_that_quotes_little(talk: Talk, mode: str, length: int) -> None:
    """8 bytes of TCP are enough (RFC 792); a checksum that was cut off is not written."""
    talk.established()
    about = f"tcp {{}}:30000 > server:80 A seq=11 ack=21) quote={length}"
    assert talk.pf.input("uplink", frame("uplink", f"error(3,4) router > X about ({about.format('X')}")) == (
        "pass_uplink_speaker"
    )
    text = f"error(3,4) router > {talk.speaker} about ({about.format(talk.speaker)} ttl=63"
    assert talk.pf.out() == [("segment", frame("segment", text, False))]


@BOTH
def test_rfc5508_req5_errors_from_inside(talk: Talk, mode: str) -> None:
    """They come from X, about what the remote sent to X; and go to that remote only."""
    talk.pf.input("host_uplink", frame("host_uplink", "udp X:30000 > server:53"))
    talk.pf.input("segment", talk.segment("udp S:30000 > server:53"))
    talk.pf.out()
    moved = talk.external_port(30000, UDP)
    s = talk.speaker
    for kind, code in ((3, 3), (3, 2), (11, 1), (12, 0)):
        text = f"error({kind},{code}) {s} > server about (udp server:53 > {s}:30000 data=hello)"
        assert talk.pf.input("segment", frame("segment", text)) == "pass_speaker_uplink"
        want = f"error({kind},{code}) X > server about (udp server:53 > X:{moved} data=hello) ttl=63"
        assert talk.pf.out() == [("uplink", frame("uplink", want, False))]
    for text, verdict in (
        (f"error(3,3) {s} > server about (udp server:54 > {s}:30000)", "drop_no_flow"),
        (f"error(3,3) {s} > 203.0.113.11 about (udp server:53 > {s}:30000)", "drop_icmp_inner"),
        (f"error(3,3) {s} > server about (udp server:53 > flatmate:30000)", "drop_icmp_inner"),
    ):
        assert talk.pf.input("segment", frame("segment", text)) == verdict


def test_rfc5508_req6_an_error_does_not_keep_a_query_alive(talk: Talk) -> None:
    talk.out("echo S > server id=7")
    talk.pf.jump(59_000)
    assert talk.pf.input("uplink", talk.uplink("error(3,1) router > X about (echo X > server id=7)")) == (
        "pass_uplink_speaker"
    )
    talk.pf.out()
    talk.pf.jump(1_000)
    talk.back("reply server > X id=7")
    talk.pf.jump(1)
    talk.back("reply server > X id=7", verdict="drop_no_flow")


@BOTH
def test_rfc5508_req8_refusals_are_silent(talk: Talk, mode: str) -> None:
    """No ICMP message of the filter's own: not for what is refused, nor for a TTL that ends (REQ-9 before REQ-10)."""
    for text, verdict in (
        ("tcp S:1 > server:25 S", "drop_egress_port"),
        ("udp S:1 > 192.168.1.1:53", "drop_egress_local"),
        ("udp S:1 > server:53 ttl=1", "drop_ttl"),
        ("tcp S:1 > server:80 S ttl=1", "drop_ttl"),
    ):
        talk.out(text, verdict=verdict)
    for i in range(limit("PF_BURST_EGRESS") + 1):
        last = talk.pf.input("segment", talk.segment(f"udp S:{1000 + i} > server:53"))
    assert last == "drop_rate_egress"
    assert {port for port, _ in talk.pf.out()} == {"uplink"}


def test_rfc5508_req10_which_icmp_types_pass(talk: Talk) -> None:
    """Echo and errors; never source quench, information, timestamp, mask, redirect, router discovery (and REQ-11)."""
    talk.out("udp S:30000 > server:53")
    for kind in range(256):
        talk.pf.jump(1000)
        came = changed(talk.uplink(f"error(3,1) server > X about ({INSIDE})"), 20, bytes([kind]))
        known = {0: "drop_no_flow", 8: "pass_uplink_host", 3: "pass_uplink_speaker"}
        known |= {11: "pass_uplink_speaker", 12: "pass_uplink_speaker"}
        assert talk.pf.input("uplink", came) == known.get(kind, "drop_icmp_type"), kind
        sent = changed(talk.segment("error(3,1) S > server about (udp server:53 > S:30000)"), 20, bytes([kind]))
        known = {3: "pass_speaker_uplink", 11: "pass_speaker_uplink", 12: "pass_speaker_uplink"}
        known |= {8: "pass_speaker_uplink"}
        assert talk.pf.input("segment", sent) == known.get(kind, "drop_icmp_type"), kind
        talk.pf.out()


@BOTH
def test_rfc5508_req10d_the_ds_field_passes(talk: Talk, mode: str) -> None:
    """DSCP and ECN of every packet stay; the filter makes no ICMP message of its own to copy them into."""
    talk.established()
    for tos in (0x00, 0x2E << 2, 0x03, 0xFF):
        sent = changed(talk.segment("tcp S:30000 > server:80 A seq=11 ack=21"), 1, bytes([tos]))
        assert talk.pf.input("segment", sent) == "pass_speaker_uplink"
        came = changed(talk.uplink("tcp server:80 > X:30000 A seq=21 ack=11"), 1, bytes([tos]))
        assert talk.pf.input("uplink", came) == "pass_uplink_speaker"
        assert [f[15] for _, f in talk.pf.out()] == [tos, tos]


# ---- RFC 7857: updates ----


def test_rfc7857_2_states_and_their_timers(talk: Talk) -> None:
    """Opening, established, closed by one side, closed by both, and how long each of them lives."""
    pf = talk.pf

    def lives(seconds: int) -> None:
        """The flow is there after that time without a frame, and would not be a moment later."""
        now = pf.now
        pf.now += seconds * 1000
        assert [f.remote_port for f in pf.flows() if f.proto == TCP] == [80]
        pf.now += 1
        assert [f for f in pf.flows() if f.proto == TCP] == []
        pf.now = now

    short, long = limit("PF_TIME_TCP_TRANSITORY"), limit("PF_TIME_TCP")
    for text, seconds in (
        ("out S seq=10", short),
        ("back SA seq=20 ack=11", short),
        ("out A seq=11 ack=21", long),
        ("back FA seq=21 ack=11", long),
        ("out PA seq=11 ack=22 data=x", long),
        ("out FA seq=12 ack=22", short),
        ("back A seq=22 ack=13", short),
    ):
        way, rest = text.split(maxsplit=1)
        if way == "out":
            talk.out(f"tcp S:30000 > server:80 {rest}")
        else:
            talk.back(f"tcp server:80 > X:30000 {rest}")
        lives(seconds)


def test_rfc7857_2_2_a_reset_flow_is_translated_for_four_minutes(talk: Talk) -> None:
    """The first RST may get lost: what follows it, and the next RST, still find their way. RSTs renew nothing."""
    talk.established()
    talk.out("tcp S:30000 > server:80 R seq=11")
    talk.pf.jump(200_000)
    talk.back("tcp server:80 > X:30000 PA seq=21 ack=11 data=late")
    talk.out("tcp S:30000 > server:80 R seq=11")
    talk.pf.jump(40_001)
    talk.out("tcp S:30000 > server:80 R seq=11")  # 240 s after the data
    talk.pf.jump(200_000)
    talk.out("tcp S:30000 > server:80 R seq=11", verdict="drop_no_flow")


@BOTH
def test_rfc7857_5_a_mapping_belongs_to_one_protocol(talk: Talk, mode: str) -> None:
    """A port that the host has for one protocol is the speaker's to keep for another."""
    assert talk.pf.input("host_uplink", frame("host_uplink", "udp X:30000 > server:80")) == "pass_host_uplink"
    talk.pf.out()
    talk.back("tcp server:80 > X:30000 SA seq=20 ack=11", verdict="drop_no_flow")
    talk.established()
    talk.out("echo S > server id=30000")
    run(talk.pf, "uplink: udp server:80 > X:30000 -> pass_uplink_host -> host_uplink: ~")
    assert talk.pf.input("segment", talk.segment("udp S:30000 > server:80")) == "pass_speaker_uplink"
    assert talk.external_port(30000, UDP) != 30000
    assert talk.external_port(30000, TCP) == talk.external_port(30000, ICMP) == 30000


def test_rfc7857_6_filtering_is_per_protocol(talk: Talk) -> None:
    talk.established()
    talk.back("udp server:80 > X:30000", verdict="drop_no_rule")
    talk.out("udp S:30001 > server:53")
    talk.back("tcp server:53 > X:30001 SA", verdict="drop_no_flow")
    talk.back("tcp server:53 > X:30001 S", verdict="drop_no_rule")
    talk.back("reply server > X id=30001", verdict="drop_no_flow")


def test_rfc7857_7_what_is_dropped_renews_nothing(talk: Talk) -> None:
    """Not by strangers, and not in the remote's name."""
    talk.established()
    talk.out("udp S:30001 > server:53")
    begun = talk.pf.now
    for _ in range(250):
        talk.pf.jump(1000)
        talk.back("tcp server:80 > X:30000 A seq=900000 ack=11", verdict="drop_tcp_window")
        talk.back("tcp server:80 > X:30000 A seq=21 ack=11 ttl=1", verdict="drop_ttl")
        talk.back("tcp 203.0.113.11:80 > X:30000 A seq=21 ack=11", verdict="drop_no_flow")
        talk.back("udp 203.0.113.11:53 > X:30001", verdict="drop_no_rule")
    idle = (talk.pf.now - begun) // 1000
    assert {f.idle_s for f in talk.pf.flows() if f.local_port != 9} == {idle}


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "segment tcp S:30000 > server:80 R seq=12",  # plausible, not exact: the flow stays
        "segment tcp S:30000 > server:80 RA seq=12 ack=21",
        "segment tcp S:30000 > server:80 S seq=12",
        "uplink tcp server:80 > X:30000 R seq=22",
        "uplink tcp server:80 > X:30000 S seq=9999",
    ],
)
def test_rfc7857_7_1_neither_rst_nor_syn_keeps_a_connection_alive(talk: Talk, mode: str, text: str) -> None:
    talk.established()
    way, rest = text.split(maxsplit=1)
    for _ in range(limit("PF_TIME_TCP") // 60):
        talk.pf.jump(60_000)
        if way == "segment":
            talk.out(rest)
        else:
            talk.back(rest)
    assert [f.idle_s for f in talk.pf.flows() if f.proto == TCP] == [limit("PF_TIME_TCP")]
    talk.pf.jump(1)
    assert talk.pf.flows() == []


def test_rfc7857_7_1_errors_sent_keep_nothing_alive(talk: Talk) -> None:
    talk.out("udp S:30000 > server:53")
    for _ in range(5):
        talk.pf.jump(60_000)
        text = "error(3,3) S > server about (udp server:53 > S:30000)"
        assert talk.pf.input("segment", talk.segment(text)) == "pass_speaker_uplink"
        talk.pf.out()
    talk.pf.jump(1)
    assert [f for f in talk.pf.flows() if f.local_port == 30000] == []


@pytest.mark.parametrize("parity", [0, 1])
def test_rfc7857_9_moved_ports_are_random(parity: int) -> None:
    """Another key, another port; over the whole range of RFC 6056 (3.2), the parity kept (RFC 4787 REQ-4)."""
    found = []
    for key in range(1, 201):
        with Filter(key=key.to_bytes(16, "little")) as pf:
            talk = Talk(pf)
            pf.input("host_uplink", frame("host_uplink", f"udp X:{30000 + parity} > server:53"))
            pf.input("segment", talk.segment(f"udp S:{30000 + parity} > server:53"))
            found.append(talk.external_port(30000 + parity, UDP))
    assert {p % 2 for p in found} == {parity}
    assert all(1024 <= p < 65536 for p in found)
    assert len(set(found)) > 190
    for part in range(8):  # 25 of 200 expected in each eighth
        low = 1024 + part * 8064
        assert 5 < len([p for p in found if low <= p < low + 8064]) < 60


def test_rfc7857_9_one_moved_port_does_not_tell_the_next(pf: Filter) -> None:
    """The second of two collisions is not the first one's neighbour."""
    talk = Talk(pf)
    steps = []
    for i in range(50):
        pf.jump(100)
        pf.input("host_uplink", frame("host_uplink", f"udp X:{30000 + 2 * i} > server:53"))
        pf.input("segment", talk.segment(f"udp S:{30000 + 2 * i} > server:53"))
        steps.append(talk.external_port(30000 + 2 * i, UDP))
    gaps = {b - a for a, b in itertools.pairwise(steps)}
    assert len(gaps) == 49
    assert len([g for g in gaps if abs(g) < 256]) < 5


def test_rfc7857_10_the_identification_is_the_senders(talk: Talk) -> None:
    """Not rewritten: host and speaker share X, so two of their packets may have the same number (a deviation)."""
    talk.out("udp S:30000 > server:53 ipid=4711")
    run(talk.pf, "host_uplink: udp X:30001 > server:53 ipid=4711 -> pass_host_uplink -> uplink: ~")


def test_rfc7857_11_an_identifier_is_free_after_its_last_query(talk: Talk) -> None:
    talk.out("echo S > server id=7")
    sweep(talk.pf, 60_001)
    run(talk.pf, "host_uplink: echo X > server id=7 -> pass_host_uplink -> uplink: ~")


def test_rfc4787_req7_the_segments_addresses_are_nobodys_outside(pf: Filter) -> None:
    """The filter's part: nothing of the segment's subnet comes from the uplink or goes in from there."""
    start(pf, Config(addr="192.168.1.50", mask="255.255.0.0", router="192.168.0.1", dns=(), speaker="192.168.77.2"))
    for source in ("192.168.77.1", "192.168.77.2", "192.168.77.200"):
        came = frame("uplink", f"tcp {source}:40000 > 192.168.1.50:7780 S to=X")
        assert pf.input("uplink", came) == "drop_source_address"
    assert pf.input("uplink", frame("uplink", "tcp 192.168.0.9:40000 > 192.168.77.2:1400 S to=X")) == "drop_not_for_us"
    assert pf.input("uplink", frame("uplink", "tcp 192.168.0.9:40000 > 192.168.1.50:7780 S to=X")) == "pass_uplink_host"


# ---- RFC 1624: checksums ----


def summed(built: bytes) -> bytes:
    """The frame with both checksums computed anew."""
    ip = bytearray(built[14:])
    total = int.from_bytes(ip[2:4], "big")
    at = {TCP: 36, UDP: 26, ICMP: 22}[ip[9]]
    ip[10:12] = ip[at : at + 2] = b"\0\0"
    ip[10:12] = checksum(bytes(ip[:20])).to_bytes(2, "big")
    pseudo = b"" if ip[9] == ICMP else bytes(ip[12:20]) + bytes([0, ip[9]]) + (total - 20).to_bytes(2, "big")
    ip[at : at + 2] = checksum(pseudo + bytes(ip[20:total])).to_bytes(2, "big")
    return built[:14] + bytes(ip)


@BOTH
@pytest.mark.parametrize("way", ["segment", "uplink"])
@pytest.mark.parametrize("kind", ["tcp", "udp", "echo"])
def test_rfc1624_checksums_are_as_if_computed_anew(talk: Talk, mode: str, way: str, kind: str) -> None:
    """Also where they come out as 0, which RFC 1141 had wrong: header and payload are chosen to make them so."""
    pf = talk.pf
    for text in ("tcp X:30000 > server:80 S", "udp X:30000 > server:80", "echo X > server id=30000"):
        pf.input("host_uplink", frame("host_uplink", text))
    for text in ("tcp S:30000 > server:80 S seq=10", "udp S:30000 > server:80", "echo S > server id=30000"):
        assert pf.input("segment", talk.segment(text)) == "pass_speaker_uplink"
    pf.out()
    moved = talk.external_port(30000, {"tcp": TCP, "udp": UDP, "echo": ICMP}[kind])
    if kind == "tcp":
        talk.back("tcp server:80 > X:30000 SA seq=20 ack=11", moved)
        talk.out("tcp S:30000 > server:80 A seq=11 ack=21", moved)
    if way == "segment":
        texts = {"tcp": "tcp S:30000 > server:80 A seq=11 ack=21", "udp": "udp S:30000 > server:80"}
        built = talk.segment(texts.get(kind, "echo S > server id=30000") + " ipid=0 data=abcd")
    else:
        texts = {"tcp": f"tcp server:80 > X:{moved} A seq=21 ack=11", "udp": f"udp server:80 > X:{moved}"}
        built = talk.uplink(texts.get(kind, f"reply server > X id={moved}") + " ipid=0 data=abcd")
    at = {"tcp": 50, "udp": 40, "echo": 36}[kind]

    def goes_out(came: bytes) -> bytes:
        assert pf.input(way, came) in ("pass_speaker_uplink", "pass_uplink_speaker")
        ((_, out),) = pf.out()
        want = summed(out)
        if kind == "udp" and want[40:42] == b"\0\0":  # RFC 768
            want = want[:40] + b"\xff\xff" + want[42:]
        assert out == want
        return out

    def zeroed(one: bytes, part: bytes, id_at: int, data_at: int) -> bytes:
        """The frame with what makes both checksums of `part` zero when they were what they are there."""
        other = bytearray(one)
        other[id_at : id_at + 2] = part[24:26]
        old = int.from_bytes(one[data_at : data_at + 2], "big")
        other[data_at : data_at + 2] = ((old + int.from_bytes(part[at : at + 2], "big")) % 65535).to_bytes(2, "big")
        return summed(bytes(other))

    data_at = {"tcp": 54, "udp": 42, "echo": 42}[kind]
    out = goes_out(built)
    after = goes_out(zeroed(built, out, 18, data_at))
    assert after[24:26] == b"\0\0"
    assert after[at : at + 2] == (b"\xff\xff" if kind == "udp" else b"\0\0")
    before = zeroed(built, built, 18, data_at)
    assert before[24:26] == before[at : at + 2] == b"\0\0"
    if kind == "udp":
        before = before[:40] + b"\xff\xff" + before[42:]
    goes_out(before)
    for i in range(0, 65536, 4099):
        goes_out(summed(built[:18] + i.to_bytes(2, "big") + built[20:data_at] + i.to_bytes(2, "little") + built[-2:]))
