"""Frames that are made to be taken for somebody else's, or to be read in two ways: spoofing, from both sides; evasion.

Single cases, one line each, are in verdicts/*.txt. Here are the whole sets: every combination of flags, every length.
"""

import pytest
from core import Filter, limit
from frames import HOSTS, SEGMENT, SPEAKER, UPLINK, checksum, frame, mac_of
from script import run
from talk import MODES, Talk, changed

BOTH = pytest.mark.parametrize("mode", sorted(MODES))
H, ALIAS = HOSTS["bridge"][0], HOSTS["alias"][0]


@pytest.fixture
def talk(pf: Filter, request: pytest.FixtureRequest) -> Talk:
    """The phone is leased and has an open connection to the speaker; the speaker has one with the internet."""
    mode = request.getfixturevalue("mode") if "mode" in request.fixturenames else "passthrough"
    talk = Talk(pf, mode)
    assert pf.lease_add(HOSTS["phone"][0], mac_of("phone")) >= 0
    talk.back("tcp phone:40000 > X:1400 S seq=999")
    talk.out("tcp S:1400 > phone:40000 SA seq=4999 ack=1000")
    talk.back("tcp phone:40000 > X:1400 A seq=1000 ack=5000")
    talk.established()
    talk.out("udp S:30001 > server:53")
    return talk


def still_works(talk: Talk) -> None:
    """Whatever was tried, both connections are as they were, and frames go to the same MACs."""
    talk.back("tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=hello")
    talk.out("tcp S:1400 > phone:40000 A seq=5000 ack=1005")
    talk.back("tcp server:80 > X:30000 A seq=21 ack=11")
    talk.out("tcp S:30000 > server:80 A seq=11 ack=21")
    talk.pf.check()


def reaches(talk: Talk, port: str, built: bytes) -> set[str]:
    """Where a frame comes out."""
    talk.pf.input(port, built)
    return {p for p, _ in talk.pf.out()}


# ---- Who it says it is from ----

OPENERS = [
    "tcp {}:40000 > X:1400 S",
    "tcp {}:40000 > X:7780 S",
    "udp {}:40000 > X:30001",
    "echo {} > X",
    "reply {} > X",
]
NOBODY = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1"]
NOBODY += ["255.255.255.255", H, ALIAS, "192.168.77.0", "192.168.77.3", "192.168.77.255", "10.66.0.0", "10.66.3.255"]


@BOTH
@pytest.mark.parametrize("source", [HOSTS["X"][0], *NOBODY])
def test_sources_that_nobody_outside_has(talk: Talk, mode: str, source: str) -> None:
    """LAND (from X to X, also to the same port), the segment's subnet, loopback, groups, broadcasts."""
    for text in (*OPENERS, "tcp {}:1400 > X:1400 S", "tcp {}:7780 > X:7780 S", "tcp {}:1400 > X:1400 A"):
        built = talk.uplink(text.format(source) + " from=attacker")
        assert talk.pf.input("uplink", built) == "drop_source_address", text
    for text in ("udp {}:50000 > ssdp:1900 data=search", "udp {}:5353 > mdns:5353 data=query"):
        assert talk.pf.input("uplink", frame("uplink", text.format(source) + " from=attacker")) == "drop_source_address"
    text = f"error(3,1) {source} > X about (udp X:30001 > server:53) from=attacker"
    assert talk.pf.input("uplink", talk.uplink(text)) == "drop_source_address"
    offer = f"udp {source}:67 > X:68 from=attacker"
    talk.pf.input("host_uplink", frame("host_uplink", "udp nobody:68 > all:67 data=discover"))
    assert talk.pf.input("uplink", talk.uplink(offer)) == "drop_source_address"
    assert [p for p, _ in talk.pf.out()] == ["uplink"]  # the host's own question
    still_works(talk)


@BOTH
@pytest.mark.parametrize("mac", [UPLINK, "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"])
def test_source_macs_that_nobody_has(talk: Talk, mode: str, mac: str) -> None:
    for text in OPENERS:
        built = talk.uplink(text.format("phone") + f" from={mac}")
        assert talk.pf.input("uplink", built) == "drop_source_mac"
    assert talk.pf.input("uplink", frame("uplink", f"arp who-has X tell phone from={mac}")) == "drop_source_mac"
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize("thief", ["flatmate", "attacker", "router", "S", "bridge"])
def test_a_phones_address_with_anothers_mac(talk: Talk, mode: str, thief: str) -> None:
    for text in (
        "tcp phone:40000 > X:1400 PA seq=1000 ack=5000 data=x",
        "tcp phone:40000 > X:1400 R seq=1000",
        "tcp phone:40000 > X:1400 FA seq=1000 ack=5000",
        "tcp phone:40000 > X:1400 S seq=1",
        "tcp phone:40001 > X:1400 S seq=1",
    ):
        assert talk.pf.input("uplink", talk.uplink(f"{text} from={thief}")) == "drop_lease_mac"
    for text in ("udp phone:50000 > ssdp:1900 data=search", "udp phone:5353 > mdns:5353 data=query"):
        assert talk.pf.input("uplink", frame("uplink", f"{text} from={thief}")) == "drop_lease_mac"
    assert talk.pf.events() & 4
    assert talk.pf.out() == []
    still_works(talk)


@BOTH
def test_the_speaker_speaks_for_itself_only(talk: Talk, mode: str) -> None:
    """Every other source address and MAC on the segment, to every destination."""
    others = ["phone", "router", "server", "nobody", "127.0.0.1", "224.0.0.1", "all", H, "192.168.77.3", "10.66.3.255"]
    others.append(ALIAS if mode == "passthrough" else HOSTS["X"][0])
    for source in others:
        for text in ("tcp {}:5 > server:80 S", "udp {}:5 > phone:53", "echo {} > server", "udp {}:5 > bridge:53"):
            built = frame("segment", text.format(source))
            assert talk.pf.input("segment", built) == "drop_source_address", (source, text)
        built = frame("segment", f"udp {source}:1900 > ssdp:1900 data=notify")
        assert talk.pf.input("segment", built) == "drop_source_address"
    for mac in (UPLINK, SEGMENT, mac_of("phone"), mac_of("router"), "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"):
        built = talk.segment(f"tcp S:30000 > server:80 A seq=11 ack=21 from={mac}")
        assert talk.pf.input("segment", built) == "drop_source_mac"
    for mac in (UPLINK, mac_of("phone"), SPEAKER, "02:00:00:00:99:99"):  # not by the bridge
        built = talk.segment(f"udp S:5 > server:53 to={mac}")
        assert talk.pf.input("segment", built) == "drop_not_for_us"
    assert talk.pf.out() == []
    still_works(talk)


# ---- ARP ----


@BOTH
def test_arp_in_everybodys_name(talk: Talk, mode: str) -> None:
    """Questions and answers, gratuitous ones, by unicast and broadcast, from the attacker's MAC, in the name of the
    router, the phone, the speaker (by all its names), and of those that are nobody: nobody's place changes, and the
    host sees nothing. Who asks for X in a known machine's name is answered alone."""
    names = {
        "router": "drop_arp_spoof",
        "phone": "drop_arp_spoof",
        "X": "drop_arp_conflict",
        "alias": "drop_source_address",
        "bridge": "drop_source_address",
        "127.0.0.1": "drop_source_address",
        "224.0.0.1": "drop_source_address",
        "all": "drop_source_address",
        "10.66.3.255": "drop_source_address",
    }
    for name, verdict in names.items():
        for text in (
            f"arp who-has X tell {name} sha=attacker",
            f"arp who-has X tell {name} sha=attacker to=X",
            f"arp who-has {name} tell {name} sha=attacker",  # gratuitous
            f"arp who-has router tell {name} sha=attacker",
            f"arp {name} is-at attacker to X",
            f"arp {name} is-at attacker to X to=all",
            f"arp {name} is-at attacker to {name} to=all",  # gratuitous
            f"arp {name} is-at attacker to router to=all",
        ):
            asks = "who-has X" in text and verdict == "drop_arp_spoof"
            told = [("uplink", frame("uplink", f"arp X is-at X to {name} tha=attacker", False))] if asks else []
            assert talk.pf.input("uplink", frame("uplink", text)) == ("arp_answered" if asks else verdict), text
            assert talk.pf.out() == told, text
    assert talk.pf.events() & 4
    still_works(talk)


@BOTH
def test_arp_lies_inside_and_outside(talk: Talk, mode: str) -> None:
    """The sender's MAC in the message is the frame's, or the message is dropped; and nobody is at a group's MAC."""
    for text in (
        "arp who-has X tell flatmate sha=flatmate from=attacker",
        "arp flatmate is-at attacker to X from=flatmate",
        "arp router is-at router to X from=attacker",
        "arp phone is-at phone to X from=attacker",
        "arp who-has X tell flatmate op=0",
        "arp who-has X tell flatmate op=3",
        "arp who-has X tell flatmate op=8",
        "arp who-has X tell flatmate hwlen=0",
        *(f"arp who-has X tell flatmate cut={n}" for n in range(14, 42)),
    ):
        assert talk.pf.input("uplink", frame("uplink", text)) == "drop_arp_bad", text
    group = frame("uplink", "arp who-has X tell flatmate sha=ssdp from=flatmate")
    assert talk.pf.input("uplink", group) == "drop_arp_bad"
    assert talk.pf.out() == []
    still_works(talk)


@BOTH
def test_arp_of_the_speaker_in_anothers_name(talk: Talk, mode: str) -> None:
    """Whatever it says, nobody hears it: neither uplink nor host; and it is told the bridge's MAC, always."""
    own = talk.speaker
    for name in ("router", "phone", "bridge", "server", "alias" if mode == "passthrough" else "X"):
        for text in (
            f"arp who-has {name} tell {name} sha=S",
            f"arp who-has server tell {name} sha=S",
            f"arp {name} is-at S to bridge to=bridge",
            f"arp {name} is-at S to {name} to=all",
        ):
            assert talk.pf.input("segment", frame("segment", text)) in ("drop_arp_bad", "drop_arp_other"), text
    for text in (f"arp who-has {own} tell {own}", f"arp who-has {own} tell nobody", f"arp {own} is-at S to all to=all"):
        assert talk.pf.input("segment", frame("segment", text)) == "drop_arp_other", text
    assert talk.pf.out() == []
    still_works(talk)


# ---- IP ----

SAMPLES = [
    "tcp phone:40000 > X:1400 A seq=1000 ack=5000 data=hello",
    "tcp phone:40001 > X:1400 S seq=1 ws=7 mss=1460",
    "udp server:53 > X:30001 data=hello",
    "error(3,1) router > X about (udp X:30001 > server:53 data=hello)",
    "echo flatmate > X data=hello",
    "tcp flatmate:40000 > X:7780 S",
]


@BOTH
@pytest.mark.parametrize("text", SAMPLES)
def test_every_version_and_header_length(talk: Talk, mode: str, text: str) -> None:
    """Only a header of 20 bytes; options (source routes, router alert, timestamps) pass in no direction."""
    came = talk.uplink(text)
    for first in range(256):
        if first != 0x45:
            options = 0x45 < first <= 0x4F
            built = changed(came, 0, bytes([first]))
            verdict = talk.pf.input("uplink", built)
            assert verdict == ("drop_ip_options" if options else "drop_ip_header"), hex(first)
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize(
    "options",
    ["01010101", "00000000", "94040000", "83070400000000", "8907040a420001", "0703040000000000", "4404050000000000"],
)
def test_ip_options_pass_in_no_direction(talk: Talk, mode: str, options: str) -> None:
    """Nothing, end, router alert, loose and strict source route, record route, timestamp; with true checksums."""
    for port, text in (
        ("uplink", "tcp phone:40000 > X:1400 A seq=1000 ack=5000"),
        ("uplink", "tcp flatmate:40000 > X:1400 S"),
        ("uplink", "echo flatmate > X"),
        ("segment", "tcp S:30000 > server:80 A seq=11 ack=21"),
        ("segment", "udp S:5 > server:53"),
        ("host_uplink", "udp X:5 > server:53"),
    ):
        plain = talk.segment(text) if port == "segment" else frame(port, text)
        more = bytes.fromhex(options) + bytes(-len(options) // 2 % 4)
        ip = bytearray(plain[14:34] + more + plain[34:])
        ip[0] = 0x45 + len(more) // 4
        ip[2:4] = len(ip).to_bytes(2, "big")
        ip[10:12] = b"\0\0"
        ip[10:12] = checksum(bytes(ip[: 20 + len(more)])).to_bytes(2, "big")
        assert talk.pf.input(port, plain[:14] + bytes(ip)) == "drop_ip_options"
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize("text", SAMPLES)
def test_every_length_that_the_header_may_say(talk: Talk, mode: str, text: str) -> None:
    """Longer than the frame or shorter than a header: dropped. What is cut off by it is not passed on."""
    came = talk.uplink(text) + bytes(8)
    true = len(came) - 14 - 8
    for total in [*range(true + 16), 256, 1500, 0x4000, 0x8000, 0xFFFF]:
        talk.pf.jump(1000)
        verdict = talk.pf.input("uplink", changed(came, 2, total.to_bytes(2, "big")))
        out = talk.pf.out()
        if verdict.startswith("drop"):
            assert out == []
        else:
            assert true + 8 >= total >= 28
            assert [len(f) - 14 for _, f in out] == [total]
        if not 20 <= total <= true + 8 and "X:1400 S" not in text:
            assert verdict == "drop_ip_length"


@BOTH
@pytest.mark.parametrize("text", SAMPLES)
def test_runts_of_every_size(talk: Talk, mode: str, text: str) -> None:
    """A frame cut anywhere passes nowhere; with AddressSanitizer: and nothing behind it is read."""
    came = talk.uplink(text)
    for n in range(len(came)):
        assert talk.pf.input("uplink", came[:n]).startswith("drop_"), n
    for port, sent in (
        ("segment", "tcp S:30000 > server:80 A seq=11 ack=21 data=x"),
        ("host_uplink", "udp X:5 > dns:53"),
    ):
        built = talk.segment(sent) if port == "segment" else frame(port, sent)
        for n in range(len(built)):
            assert talk.pf.input(port, built[:n]).startswith("drop_"), n
    assert talk.pf.out() == []
    still_works(talk)


@pytest.mark.parametrize("size", [1515, 1518, 1522, 1600, 9014, 65535, 100_000])
@pytest.mark.parametrize("port", ["uplink", "segment", "host_uplink", "host_segment"])
def test_jumbo_frames(talk: Talk, port: str, size: int) -> None:
    texts = {
        "uplink": "tcp phone:40000 > X:1400 A seq=1000 ack=5000",
        "segment": "tcp S:30000 > server:80 A seq=11 ack=21",
        "host_uplink": "udp X:5 > server:53",
        "host_segment": "udp bridge:5 > alias:53",
    }
    built = frame(port, texts[port])
    assert talk.pf.input(port, built.ljust(size, b"\0")) == "drop_long"
    assert talk.pf.out() == []
    assert not talk.pf.input(port, built.ljust(limit("PF_FRAME_MAX"), b"\0")).startswith("drop")  # padding, cut off
    assert [len(f) for _, f in talk.pf.out()] == [len(built)]


@BOTH
@pytest.mark.parametrize("text", SAMPLES)
def test_every_flipped_bit_in_the_header(talk: Talk, mode: str, text: str) -> None:
    """The header's checksum finds each; only a stranger's SYN is dropped before it is looked at."""
    came = talk.uplink(text)
    for bit in range(160):
        built = bytearray(came)
        built[14 + bit // 8] ^= 1 << bit % 8
        assert talk.pf.input("uplink", bytes(built)).startswith("drop_"), bit
    assert talk.pf.out() == []
    still_works(talk)


@BOTH
def test_every_flipped_bit_of_an_icmp_message(talk: Talk, mode: str) -> None:
    for text in SAMPLES[3:5]:
        came = talk.uplink(text)
        for bit in range((len(came) - 34) * 8):
            built = bytearray(came)
            built[34 + bit // 8] ^= 1 << bit % 8
            assert talk.pf.input("uplink", bytes(built)) == "drop_icmp_checksum", bit
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_wrong_checksum_is_not_made_right(talk: Talk, mode: str, kind: str) -> None:
    """TCP's and UDP's are for the ends: what was wrong is as wrong after the translation."""
    text = {"tcp": "tcp server:80 > X:30000 A seq=21 ack=11 data=hello", "udp": SAMPLES[2]}[kind]
    at = {"tcp": 50, "udp": 40}[kind]
    assert talk.pf.input("uplink", talk.uplink(text)) == "pass_uplink_speaker"
    ((_, right),) = talk.pf.out()
    for error in (1, 0x0100, 0x7FFF):
        came = bytearray(talk.uplink(text))
        came[at : at + 2] = ((int.from_bytes(came[at : at + 2], "big") + error) % 65535).to_bytes(2, "big")
        assert talk.pf.input("uplink", bytes(came)) == "pass_uplink_speaker"
        ((_, wrong),) = talk.pf.out()
        assert (wrong[:at], wrong[at + 2 :]) == (right[:at], right[at + 2 :])
        difference = int.from_bytes(wrong[at : at + 2], "big") - int.from_bytes(right[at : at + 2], "big")
        assert difference % 65535 == error


@BOTH
def test_every_protocol(talk: Talk, mode: str) -> None:
    """Nothing but TCP, UDP and ICMP passes: no IP in IP, IPv6 in IP, GRE, ESP, SCTP; IGMP is the host's only."""
    for proto in range(256):
        if proto not in (1, 6, 17):
            came = changed(talk.uplink("udp server:53 > X:30001 data=hello"), 9, bytes([proto]))
            assert talk.pf.input("uplink", came) == "drop_protocol"
            sent = changed(talk.segment("udp S:30001 > server:53 data=hello"), 9, bytes([proto]))
            assert talk.pf.input("segment", sent) == "drop_protocol"
            own = changed(frame("host_uplink", "udp X:5 > server:53"), 9, bytes([proto]))
            assert talk.pf.input("host_uplink", own) == "drop_protocol"
    assert talk.pf.out() == []


# ---- Fragments ----


def pieces(built: bytes, *cuts: tuple[int, int, bool]) -> list[bytes]:
    """Fragments of a packet: (first byte, end, more to come) of what follows the IP header."""
    found = []
    for start, end, more in cuts:
        ip = bytearray(built[14:34] + built[34 + start : 34 + end])
        ip[2:4] = len(ip).to_bytes(2, "big")
        ip[6:8] = (start // 8 | (0x2000 if more else 0)).to_bytes(2, "big")
        found.append(changed(built[:14] + bytes(ip), 8, built[22:23]))
    return found


TINY = {
    "a first fragment of 8 bytes": [(0, 8, True), (8, 100, False)],
    "a first fragment of 16 bytes: no flags": [(0, 16, True), (16, 100, False)],
    "the second one before it": [(8, 100, False), (0, 8, True)],
    "the second overlaps the flags": [(0, 24, True), (8, 100, False)],
    "the same, the other way round": [(8, 100, False), (0, 24, True)],
    "the second overlaps the ports": [(0, 40, True), (0, 96, True), (96, 100, False)],
    "an overlap by eight bytes": [(0, 32, True), (24, 100, False)],
    "one inside the other": [(0, 64, True), (24, 40, True), (64, 100, False)],
    "a first fragment without data": [(0, 0, True), (8, 100, False)],
    "only a later one": [(16, 100, False)],
    "only first ones": [(0, 24, True), (0, 24, True), (0, 24, True)],
}


@BOTH
@pytest.mark.parametrize("cuts", TINY.values(), ids=TINY)
@pytest.mark.parametrize(
    "text",
    [
        "tcp flatmate:40000 > X:1400 S seq=1 data=*80",
        "tcp flatmate:40000 > X:7780 S seq=1 data=*80",
        "tcp phone:40001 > X:1400 S seq=1 data=*80",
        "tcp phone:40000 > X:1400 A seq=1000 ack=5000 data=*80",
        "tcp server:80 > X:30000 A seq=21 ack=11 data=*80",
        "udp flatmate:53 > X:30001 data=*92",
    ],
)
def test_tiny_and_overlapping_fragments(talk: Talk, mode: str, cuts: list[tuple[int, int, bool]], text: str) -> None:
    """RFC 1858, RFC 3128: no TCP in pieces reaches anybody, nor does anything of a stranger."""
    for piece in pieces(talk.uplink(text), *cuts):
        assert reaches(talk, "uplink", piece) == set()
    talk.pf.wait(100)
    assert talk.pf.out() == []
    still_works(talk)


@BOTH
def test_a_fragments_reserved_bit_and_its_farthest_end(talk: Talk, mode: str) -> None:
    """The reserved bit; a fragment that would end behind byte 65535 (the ping of death)."""
    for text in ("udp server:53 > X:30001 data=*80", "echo flatmate > X data=*80"):
        for bits in (0x8000, 0xA000, 0x1FFF, 0x3FFF, 0x1FF8):
            assert reaches(talk, "uplink", changed(talk.uplink(text), 6, bits.to_bytes(2, "big"))) == set()
    still_works(talk)


# ---- TCP ----

F, S, R, P, A, U, E, C = (1 << i for i in range(8))
SOUND = {S, S | A, A, F | A, R, R | A}


def tcp_flags(built: bytes, flags: int) -> bytes:
    """All nine flags: the ninth (RFC 3540) is beside the data offset."""
    return changed(built, 32, bytes([0x50 | flags >> 8, flags & 0xFF]))


@BOTH
@pytest.mark.parametrize("state", ["no flow", "a stranger", "the claim port", "opening", "open", "from inside"])
def test_every_combination_of_tcp_flags(talk: Talk, mode: str, state: str) -> None:
    """512 of them in each state: nonsense is dropped, and never opens, ends or changes a flow."""
    texts = {
        "no flow": "tcp phone:41000 > X:1400 A seq=1",
        "a stranger": "tcp flatmate:41000 > X:1400 A seq=1",
        "the claim port": "tcp flatmate:41000 > X:7780 A seq=1",
        "opening": "tcp phone:42000 > X:1400 A seq=1001 ack=1",
        "open": "tcp phone:40000 > X:1400 A seq=1000 ack=5000",
        "from inside": "tcp S:31000 > server:80 A seq=1",
    }
    port = "segment" if state == "from inside" else "uplink"
    came = talk.segment(texts[state]) if port == "segment" else talk.uplink(texts[state])
    if state == "opening":
        talk.back("tcp phone:42000 > X:1400 S seq=1000")
    begun = talk.pf.flows()
    for flags in range(512):
        if flags & (F | S | R | A) in (S, R, R | A, F | A):
            continue  # these do something, and other tests say what
        before = len(talk.pf.flows())
        verdict = talk.pf.input("uplink" if port == "uplink" else "segment", tcp_flags(came, flags))
        sound = flags & (F | S | R | A) in SOUND
        if not sound:
            assert verdict == "drop_tcp_flags", bin(flags)
        elif state == "open":
            assert verdict == "pass_uplink_speaker", bin(flags)
        else:
            assert verdict in ("drop_no_flow", "drop_tcp_state"), bin(flags)
        assert len(talk.pf.flows()) == before
    assert talk.pf.flows() == begun


@BOTH
def test_every_syn_opens_the_same(talk: Talk, mode: str) -> None:
    """With PSH, URG and ECN's bits as with none: a flow for a phone, none for a stranger."""
    for i, flags in enumerate(f for f in range(512) if f & (F | S | R | A) == S):
        phone = tcp_flags(talk.uplink(f"tcp phone:{45000 + i} > X:1400 S seq=1"), flags)
        assert talk.pf.input("uplink", phone) == "pass_uplink_speaker"
        stranger = tcp_flags(talk.uplink(f"tcp flatmate:{45000 + i} > X:1400 S seq=1"), flags)
        assert talk.pf.input("uplink", stranger) == "drop_no_lease"
    still_works_after_output(talk)


@BOTH
@pytest.mark.parametrize("who", ["router", "dns", "server", "flatmate"])
def test_a_broken_syn_of_anybody_without_a_lease_is_a_strangers(talk: Talk, mode: str, who: str) -> None:
    for target, verdict in (("X:1400", "drop_no_lease"), ("X:1401", "drop_no_rule")):
        came = talk.uplink(f"tcp {who}:45000 > {target} S seq=1")
        assert talk.pf.input("uplink", changed(came, 32, b"\xf0")) == verdict
        assert talk.pf.input("uplink", came) == verdict
    still_works_after_output(talk)


def still_works_after_output(talk: Talk) -> None:
    talk.pf.out()
    still_works(talk)


@BOTH
@pytest.mark.parametrize("flags", ["R", "RA", "FA", "A", "SA"])
def test_no_stranger_segment_opens_anything(talk: Talk, mode: str, flags: str) -> None:
    before = talk.pf.flows()
    for target in ("X:1400", "X:7780", "X:30000", "X:80"):
        assert talk.pf.input("uplink", talk.uplink(f"tcp attacker:80 > {target} {flags}")) == "drop_no_flow"
    assert talk.pf.flows() == before


@BOTH
@pytest.mark.parametrize("offset", range(16))
def test_every_data_offset(talk: Talk, mode: str, offset: int) -> None:
    came = talk.uplink("tcp phone:40000 > X:1400 A seq=1000 ack=5000 data=*20")
    verdict = talk.pf.input("uplink", changed(came, 32, bytes([offset << 4])))
    assert verdict == ("pass_uplink_speaker" if 5 <= offset <= 10 else "drop_l4_length")


@BOTH
def test_every_udp_length(talk: Talk, mode: str) -> None:
    came = talk.uplink("udp server:53 > X:30001 data=hello")
    for length in [*range(40), 1472, 0x8000, 0xFFFF]:
        verdict = talk.pf.input("uplink", changed(came, 24, length.to_bytes(2, "big")))
        assert verdict == ("pass_uplink_speaker" if length == 13 else "drop_l4_length"), length


@BOTH
def test_port_0(talk: Talk, mode: str) -> None:
    for text in ("tcp flatmate:0 > X:0 S", "tcp flatmate:5 > X:0 S", "udp flatmate:0 > X:0", "udp phone:0 > X:0"):
        assert talk.pf.input("uplink", talk.uplink(text)) == "drop_no_rule"


@BOTH
@pytest.mark.parametrize(
    "options", ["02", "0204", "020405", "0300", "0301", "0302", "03ff07", "0801", "01010103", "ff", "ff00"]
)
def test_broken_tcp_options(talk: Talk, mode: str, options: str) -> None:
    """They are for the ends to read; the filter looks for the window scale, and not past the header's end."""
    came = talk.uplink("tcp phone:43000 > X:1400 S seq=1 ws=7")
    broken = changed(came, 40, bytes.fromhex(options).ljust(4, b"\x01")[:4])
    assert talk.pf.input("uplink", broken) == "pass_uplink_speaker"
    talk.pf.out()
    talk.out("tcp S:1400 > phone:43000 SA seq=1 ack=2 ws=7")
    talk.back("tcp phone:43000 > X:1400 A seq=2 ack=2")
    talk.out("tcp S:1400 > phone:43000 A seq=65538 ack=2")  # without a scale of both no more than 65536
    talk.out("tcp S:1400 > phone:43000 A seq=131075 ack=2", verdict="drop_tcp_window")


# ---- Ethernet ----


def tagged(built: bytes, *tags: str) -> bytes:
    return built[:12] + bytes.fromhex("".join(tags)) + built[12:]


TAGS = {
    "a VLAN": ("81000007",),
    "priority only": ("8100e000",),
    "VLAN 4095": ("81000fff",),
    "a provider's": ("88a80007",),
    "two": ("88a80007", "81000007"),
    "two of a kind": ("81000007", "81000007"),
    "three": ("88a80007", "81000007", "81000008"),
}


@BOTH
@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_vlan_tags(talk: Talk, mode: str, tags: tuple[str, ...]) -> None:
    """Tagged frames pass nowhere, whatever is inside: of a flow, a phone, ARP, DHCP."""
    for text in (
        *SAMPLES,
        "arp who-has X tell flatmate",
        "udp router:67 > X:68",
        "udp phone:50000 > ssdp:1900 data=search",
    ):
        assert talk.pf.input("uplink", tagged(frame("uplink", text), *tags)) == "drop_vlan", text
    for text in ("tcp S:30000 > server:80 A seq=11 ack=21", "udp S:68 > all:67"):
        assert talk.pf.input("segment", tagged(talk.segment(text), *tags)) == "drop_vlan", text
    for port in ("host_uplink", "host_segment"):
        text = "udp X:5 > server:53" if port == "host_uplink" else "udp bridge:5 > alias:53"
        assert talk.pf.input(port, tagged(frame(port, text), *tags)) == "drop_ethertype"
    assert talk.pf.out() == []
    still_works(talk)


@BOTH
def test_every_ethertype(talk: Talk, mode: str) -> None:
    """IPv4 and ARP only. Below 0x0600 it is a length: LLC, SNAP, IPX, spanning tree."""
    known = {0x86DD: "drop_ipv6", 0x8100: "drop_vlan", 0x88A8: "drop_vlan"}
    named = [0, 1, 38, 46, 60, 0x05DC, 0x05FF, 0x0600, 0x0801, 0x0805, 0x0807, 0x0835, 0x8035, 0x8137, 0x86DD, 0x8100]
    named += [0x8847, 0x8863, 0x8864, 0x888E, 0x88A8, 0x88CC, 0x88E5, 0x9000, 0x9100, 0x9200, 0xFFFF]
    for kind in [*named, *range(0x0001, 0x10000, 251)]:
        for port, built in (
            ("uplink", talk.uplink("tcp phone:40000 > X:1400 A seq=1000 ack=5000")),
            ("segment", talk.segment("tcp S:30000 > server:80 A seq=11 ack=21")),
        ):
            other = built[:12] + kind.to_bytes(2, "big") + built[14:]
            assert talk.pf.input(port, other) == known.get(kind, "drop_ethertype"), hex(kind)
    assert talk.pf.out() == []


@BOTH
@pytest.mark.parametrize(
    "head", ["aaaa030000000800", "aaaa030000f80800", "4242030000000000", "ffff0022001104", "e0e003ffff002200"]
)
def test_llc_and_snap(talk: Talk, mode: str, head: str) -> None:
    """An IP packet behind a SNAP header is none to us, though some hosts take it for one."""
    for port, built in (
        ("uplink", talk.uplink("tcp phone:40000 > X:1400 A seq=1000 ack=5000 data=hello")),
        ("uplink", talk.uplink("tcp flatmate:40000 > X:7780 S")),
        ("segment", talk.segment("tcp S:30000 > server:80 A seq=11 ack=21 data=hello")),
    ):
        body = bytes.fromhex(head) + built[14:]
        assert talk.pf.input(port, built[:12] + len(body).to_bytes(2, "big") + body) == "drop_ethertype"
    assert talk.pf.out() == []


@BOTH
def test_ipv6(talk: Talk, mode: str) -> None:
    """Neighbour and router discovery, DHCPv6, mDNS, tunnelled or not, and with the other one's Ethernet type."""
    from scapy.layers.dhcp6 import DHCP6_Solicit
    from scapy.layers.inet import TCP, UDP
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_RA, IPv6
    from scapy.layers.l2 import Ether

    packets = [
        IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_RA(),
        IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_NA(tgt="fe80::2"),
        IPv6(src="fe80::1", dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit(),
        IPv6(src="fe80::1", dst="ff02::fb") / UDP(sport=5353, dport=5353),
        IPv6(src="::ffff:10.66.0.100", dst="::ffff:10.66.0.77") / TCP(sport=40000, dport=1400, flags="S"),
    ]
    for inside in packets:
        for to in (UPLINK, "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"):
            built = bytes(Ether(src=mac_of("phone"), dst=to) / inside)
            assert talk.pf.input("uplink", built) == "drop_ipv6"
            assert talk.pf.input("uplink", built[:12] + b"\x08\x00" + built[14:]) == "drop_ip_header"
        built = bytes(Ether(src=SPEAKER, dst=SEGMENT) / inside)
        assert talk.pf.input("segment", built) == "drop_ipv6"
        assert talk.pf.input("host_uplink", bytes(Ether(src=UPLINK, dst=mac_of("phone")) / inside)) == "drop_ipv6"
        assert talk.pf.input("host_segment", bytes(Ether(src=SEGMENT, dst=SPEAKER) / inside)) == "drop_ipv6"
    assert talk.pf.out() == []


# ---- DHCP ----


@BOTH
def test_dhcp_from_the_wrong_side(talk: Talk, mode: str) -> None:
    """The speaker is no server, the uplink has no clients of ours; an answer goes to the host, never to the speaker."""
    for text in ("udp S:67 > all:68", "udp S:67 > bridge:68", "udp nobody:67 > all:68"):
        assert reaches(talk, "segment", talk.segment(text)) & {"uplink", "segment"} == set(), text
    for text in (
        "udp nobody:68 > all:67 data=discover",
        "udp flatmate:68 > X:67 data=request",
        "udp flatmate:68 > all:67 data=request",
        "udp router:67 > X:68 data=offer",
        "udp router:67 > all:68 data=offer",
        "udp router:67 > X:67 data=relayed",
    ):
        assert reaches(talk, "uplink", talk.uplink(text)) == set(), text
    run(talk.pf, "host_uplink: udp X:68 > router:67 data=request -> pass_host_uplink -> uplink: ~")
    for text in ("udp router:67 > X:68 data=ack", "udp attacker:67 > all:68 data=ack"):
        assert reaches(talk, "uplink", talk.uplink(text)) == {"host_uplink"}, text
    assert talk.pf.dhcp_take() == b""
    still_works(talk)
