# ruff: noqa: E501 (a step of a script is one line)
"""Fragments (SPEC 4.9): translated one by one, in any order, without a byte that passes twice."""

import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from core import Config, Filter, limit
from frames import checksum, frame, mac_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from script import run

PRIVATE = Config(speaker="192.168.77.2", guard=True)
MAX, FIRST, TIME_MS = limit("PF_FRAG_MAX"), limit("PF_FRAG_FIRST"), limit("PF_FRAG_TIME_MS")
PASSED = (
    "pass_uplink_speaker",
    "pass_uplink_host",
    "pass_speaker_uplink",
    "pass_speaker_host",
    "pass_host_uplink",
    "pass_host_speaker",
)


def text(n: int, seed: int = 1) -> str:
    """n letters, no two places alike by a pattern."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=n))


def header(data: bytes, flags: int, offset: int, total: int | None = None, ident: int | None = None) -> bytes:
    """An Ethernet and IP header like `data`'s with other fragment fields; the sum is right."""
    h = bytearray(data[:34])
    h[16:18] = struct.pack(">H", 20 + (len(data) - 34 if total is None else total))
    h[20:22] = struct.pack(">H", flags | offset // 8)
    if ident is not None:
        h[18:20] = struct.pack(">H", ident)
    h[24:26] = b"\0\0"
    h[24:26] = struct.pack(">H", checksum(bytes(h[14:34])))
    return bytes(h)


def piece(
    whole: bytes, start: int, end: int, more: bool | None = None, flags: int = 0, ident: int | None = None
) -> bytes:
    """The bytes start to end, after the IP header, of a whole frame."""
    body = whole[34 + start : 34 + end]
    mf = 0x2000 if (34 + end < len(whole) if more is None else more) else 0
    return header(whole[:34] + body, mf | flags, start, ident=ident) + body


def cut(whole: bytes, *at: int, ident: int | None = None) -> list[bytes]:
    edges = [0, *at, len(whole) - 34]
    return [piece(whole, a, b, ident=ident) for a, b in pairwise(edges)]


def joined(frames: Iterable[bytes], ident: int = 1) -> bytes:
    """What a receiver makes of fragments: the whole frame. Each byte must be there exactly once."""
    got: dict[int, bytes] = {}
    end = None
    frames = list(frames)
    for f in frames:
        assert checksum(f[14:34]) == 0
        flags = struct.unpack(">H", f[20:22])[0]
        total = struct.unpack(">H", f[16:18])[0]
        assert len(f) == 14 + total
        start = (flags & 0x1FFF) * 8
        assert start not in got
        got[start] = f[34:]
        assert (
            f[:16] + f[18:20] + f[22:24] + f[26:34]
            == frames[0][:16] + frames[0][18:20] + frames[0][22:24] + frames[0][26:34]
        )
        if not flags & 0x2000:
            assert end is None
            end = start + len(f) - 34
    body = b""
    for start in sorted(got):
        assert start == len(body)
        body += got[start]
    assert len(body) == end
    return header(frames[0][:34] + body, 0, 0, ident=ident) + body


# ---- What comes out is what went in ----


@dataclass(frozen=True)
class Way:
    """A datagram's way: where it comes in, as what; where it has to go out, as what."""

    name: str
    config: Config
    before: str
    came: str
    came_at: str
    goes: str
    goes_to: str
    verdict: str


SERVICE = "! lease phone\n! services 17/5000\n"
OUT = "udp {}:5000 > server:53"
KNOWN = "! know server\n"
# The host has port 5000 of X already: the speaker's gets another one.
MOVED = "host_uplink: udp X:5000 > server:9 -> pass_host_uplink -> uplink: ~\n"
WAYS = [
    Way(
        "phone to speaker",
        Config(),
        SERVICE,
        "udp phone:40000 > X:5000",
        "uplink",
        "udp phone:40000 > X:5000 ttl=63",
        "segment",
        "pass_uplink_speaker",
    ),
    Way(
        "phone to speaker, private",
        PRIVATE,
        SERVICE,
        "udp phone:40000 > X:5000",
        "uplink",
        "udp phone:40000 > alias:5000 ttl=63",
        "segment",
        "pass_uplink_speaker",
    ),
    Way(
        "no checksum",
        PRIVATE,
        SERVICE,
        "udp phone:40000 > X:5000 nosum",
        "uplink",
        "udp phone:40000 > alias:5000 ttl=63 nosum",
        "segment",
        "pass_uplink_speaker",
    ),
    Way(
        "speaker out",
        Config(),
        KNOWN,
        "udp S:5000 > server:53",
        "segment",
        "udp X:5000 > server:53 ttl=63",
        "uplink",
        "pass_speaker_uplink",
    ),
    Way(
        "speaker out, private",
        PRIVATE,
        "know",
        "udp alias:5000 > server:53",
        "segment",
        "udp X:5000 > server:53 ttl=63",
        "uplink",
        "pass_speaker_uplink",
    ),
    Way(
        "speaker out, private, moved",
        PRIVATE,
        "know" + MOVED,
        "udp alias:5000 > server:53",
        "segment",
        "udp X:PORT > server:53 ttl=63",
        "uplink",
        "pass_speaker_uplink",
    ),
    Way(
        "answer, private, moved",
        PRIVATE,
        "know" + MOVED + "open",
        "udp server:53 > X:PORT",
        "uplink",
        "udp server:53 > alias:5000 ttl=63",
        "segment",
        "pass_uplink_speaker",
    ),
    Way(
        "speaker's echo, moved",
        PRIVATE,
        "know" + "host_uplink: echo X > server id=7 -> pass_host_uplink -> uplink: ~\n",
        "echo alias > server id=7",
        "segment",
        "echo X > server id=PORT ttl=63",
        "uplink",
        "pass_speaker_uplink",
    ),
    Way(
        "host out",
        Config(),
        "",
        "udp X:5000 > server:53",
        "host_uplink",
        "udp X:5000 > server:53",
        "uplink",
        "pass_host_uplink",
    ),
    Way(
        "answer to the host",
        Config(),
        "host_uplink: udp X:5000 > server:53 -> pass_host_uplink -> uplink: ~\n",
        "udp server:53 > X:5000",
        "uplink",
        "udp server:53 > X:5000",
        "host_uplink",
        "pass_uplink_host",
    ),
    Way(
        "echo to the host",
        Config(),
        "! lease phone\n",
        "echo phone > X",
        "uplink",
        "echo phone > X",
        "host_uplink",
        "pass_uplink_host",
    ),
    Way(
        "the host's echo reply",
        Config(),
        "",
        "reply X > phone",
        "host_uplink",
        "reply X > phone",
        "uplink",
        "pass_host_uplink",
    ),
    Way(
        "host to a phone, private",
        PRIVATE,
        "! lease phone\n",
        "udp X:1900 > phone:50000",
        "host_uplink",
        "udp X:1900 > phone:50000",
        "uplink",
        "pass_host_uplink",
    ),
    Way(
        "speaker to host",
        Config(),
        "",
        "udp S:5000 > bridge:9",
        "segment",
        "udp alias:5000 > bridge:9",
        "host_segment",
        "pass_speaker_host",
    ),
    Way(
        "host to speaker",
        Config(),
        "",
        "udp bridge:9 > alias:5000",
        "host_segment",
        "udp bridge:9 > S:5000",
        "segment",
        "pass_host_speaker",
    ),
]
OWN_ID = ("segment", "host_uplink")  # from there IDs are the filter's


def prepare(pf: Filter, way: Way) -> int:
    """Returns the port at X that the filter has chosen, where it has to choose one."""
    pf.configure(way.config)
    pf.speaker(mac_of("S"))
    before = way.before
    if before.startswith("know"):
        before = before[4:]
        pf.input("segment", frame("segment", "udp alias:9 > router:53"))
        pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    opened = before.endswith("open")
    run(pf, "! forget-output\n" + before.removesuffix("open"))
    if opened:
        assert pf.input("segment", frame("segment", "udp alias:5000 > server:53")) == "pass_speaker_uplink"
        return int.from_bytes(pf.out()[-1][1][34:36], "big")
    return 0


def made(way: Way, size: int, port: int) -> tuple[bytes, bytes | None]:
    """The whole datagram of `size` bytes after the IP header as it comes, and as it has to go; None: its port is not known yet."""
    data = f" data={text(size - 8)}"
    came = frame(way.came_at, way.came.replace("PORT", str(port)) + data)
    goes = (
        None
        if "PORT" in way.goes and not port
        else frame(way.goes_to, way.goes.replace("PORT", str(port)) + data, False)
    )
    return came, goes


def check_whole(pf: Filter, way: Way, out: list[tuple[str, bytes]], size: int, port: int) -> None:
    assert {p for p, _ in out} == {way.goes_to}
    whole = joined(f for _, f in out)
    if "PORT" in way.goes:
        (port,) = {
            f.external_port
            for f in pf.flows()
            if f.owner == 1 and f.remote_port in (53, 0) and f.local_port in (5000, 7)
        }
    goes = made(way, size, port)[1]
    assert whole == goes


def sizes(total: int, rng: random.Random) -> list[int]:
    """Places to cut a datagram at, as links may: at most 1480 bytes each."""
    at = [8 * rng.randrange(FIRST // 8, 1480 // 8 + 1)]
    while total - at[-1] > 1480 or (rng.random() < 0.5 and total - at[-1] > 16):
        at.append(at[-1] + 8 * rng.randrange(1, min(1480, total - at[-1] - 1) // 8 + 1))
    return [a for a in at if a < total]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.name)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(size=st.integers(FIRST + 1, MAX), seed=st.integers(0, 1 << 30), early=st.integers(0, limit("PF_HELD_PHONES")))
def test_any_cut_in_any_order_is_the_same_datagram(way: Way, size: int, seed: int, early: int) -> None:
    rng = random.Random(seed)
    with Filter() as pf:
        port = prepare(pf, way)
        came, _ = made(way, size, port)
        pieces = cut(came, *sizes(size, rng))
        if len(pieces) == 1:
            return
        rest = pieces[1:]
        rng.shuffle(rest)
        early = min(early, len(rest))
        order = [*rest[:early], pieces[0], *rest[early:]]
        verdicts = [pf.input(way.came_at, f) for f in order]
        assert verdicts == ["fragments_held"] * early + [way.verdict] * (len(order) - early)
        check_whole(pf, way, pf.out(), size, port)
        pf.check()


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.name)
def test_a_fragmented_datagram_is_treated_as_a_whole_one(pf: Filter, way: Way) -> None:
    """The same frame, whole: the same bytes out."""
    size = 400
    port = prepare(pf, way)
    whole, _ = made(way, size, port)
    assert pf.input(way.came_at, whole) == way.verdict
    assert pf.out() == [(way.goes_to, joined(_fragmented(way, whole)))]


def _fragmented(way: Way, whole: bytes) -> list[bytes]:
    with Filter() as other:
        prepare(other, way)
        for f in cut(whole, 200):
            assert other.input(way.came_at, f) == way.verdict
        return [f for _, f in other.out()]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 200), st.booleans(), st.integers(0, 2)), min_size=2, max_size=30
    ),
    st.booleans(),
)
def test_no_byte_passes_twice(tries: list[tuple[int, int, bool, int]], private: bool) -> None:
    """Whatever fragments of one datagram come, what passes has no overlap, the first one first, nothing behind the end."""
    with Filter() as pf:
        pf.configure(PRIVATE if private else Config())
        pf.speaker(mac_of("S"))
        run(pf, SERVICE)
        for n, (at, length, more, fill) in enumerate(tries):
            whole = frame("uplink", f"udp phone:40000 > X:5000 data={text(2000, fill)} l4len={320 if fill else 2008}")
            length = length // 8 * 8 + 8 if more else length
            pf.input("uplink", piece(whole, 8 * at, 8 * at + length, more))
            pf.jump(n)
        covered: set[int] = set()
        end = None
        for n, (port, f) in enumerate(pf.out()):
            assert port == "segment"
            flags = struct.unpack(">H", f[20:22])[0]
            start, stop = (flags & 0x1FFF) * 8, (flags & 0x1FFF) * 8 + len(f) - 34
            assert (n > 0) == (start > 0)
            new = set(range(start, stop))
            assert not new & covered
            covered |= new
            if not flags & 0x2000:
                assert end is None
                end = stop
        assert end is None or max(covered) < end


# ---- Shape ----


BASE = "udp phone:40000 > X:5000 data="
NOT_FIRST = (200, 400)


def one(pf: Filter, f: bytes, port: str = "uplink") -> str:
    """The verdict; something goes out if, and only if, that says so."""
    before = pf.out_count()
    verdict = pf.input(port, f)
    assert (pf.out_count() > before) == (verdict in PASSED)
    return verdict


@pytest.fixture
def ready(pf: Filter) -> Filter:
    pf.configure(Config())
    pf.speaker(mac_of("S"))
    run(pf, SERVICE + KNOWN)
    return pf


def datagram(size: int = 1000, words: str = "", who: str = "phone", ident: int = 1) -> bytes:
    return frame("uplink", f"udp {who}:40000 > X:5000 data={text(size - 8)} ipid={ident} {words}")


def test_first_fragment_at_its_least(ready: Filter) -> None:
    assert one(ready, piece(datagram(), 0, FIRST - 8)) == "drop_fragment"
    assert one(ready, piece(datagram(ident=2), 0, FIRST)) == "pass_uplink_speaker"
    assert one(ready, piece(datagram(ident=3), 0, FIRST + 8)) == "pass_uplink_speaker"


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (MAX - 8, "pass_uplink_speaker"),
        (MAX, "pass_uplink_speaker"),
        (MAX + 1, "drop_fragment"),
        (MAX + 8, "drop_fragment"),
    ],
)
def test_the_longest_datagram(ready: Filter, end: int, verdict: str) -> None:
    whole = datagram(9000, f"l4len={end}")
    assert one(ready, piece(whole, 0, 1480, True)) == verdict
    if verdict == "drop_fragment":  # the same by its last fragment
        assert one(ready, piece(whole, MAX - 8, end, False)) == verdict
    else:
        assert one(ready, piece(whole, end - 8, end, False)) == verdict


def test_offsets_to_the_very_end(ready: Filter) -> None:
    whole = datagram(1000)
    for offset in (MAX, 0x1FFF * 8):
        late = header(whole[:34] + b"x" * 8, 0, offset) + b"x" * 8
        assert one(ready, late) == "drop_fragment"


@pytest.mark.parametrize(
    ("bad", "f"),
    [
        ("reserved bit, first", piece(datagram(), 0, 200, flags=0x8000)),
        ("reserved bit, later", piece(datagram(), 200, 400, flags=0x8000)),
        ("reserved bit, whole", piece(datagram(), 0, 992, flags=0x8000)),
        ("no byte", piece(datagram(), 200, 200, True)),
        ("no multiple of 8, first", piece(datagram(), 0, 201)),
        ("no multiple of 8, later", piece(datagram(), 200, 207)),
        ("UDP length: no more to come", piece(datagram(words="l4len=200"), 0, 200)),
        ("TCP, first", piece(frame("uplink", "tcp phone:40000 > X:1400 S"), 0, 8, True)),
        ("TCP, later", piece(frame("uplink", f"tcp phone:40000 > X:1400 A data={text(90)}"), 8, 16)),
        ("TCP, long first", piece(frame("uplink", f"tcp phone:40000 > X:1400 S data={text(90)}"), 0, 80)),
        ("IGMP", piece(datagram(words="proto=2"), 0, 200)),
        ("DHCP's answer", piece(frame("uplink", f"udp router:67 > X:68 data={text(500)}"), 0, 200)),
        ("a search", piece(frame("uplink", f"udp phone:40000 > ssdp:1900 data=M-SEARCH{text(500)}"), 0, 200)),
        ("a search's end", piece(frame("uplink", f"udp phone:40000 > ssdp:1900 data={text(500)}"), 200, 400)),
        ("a search by broadcast", piece(frame("uplink", f"udp phone:40000 > all:1900 data={text(500)}"), 0, 200)),
        ("X by a group's MAC", piece(datagram(words="to=all"), 0, 200)),
        ("a group by our MAC", piece(frame("uplink", f"udp phone:40000 > ssdp:1900 data={text(500)} to=X"), 0, 200)),
        (
            "an ICMP error",
            piece(frame("uplink", f"error(3,1) router > X about (udp X:5000 > server:53 data={text(99)})"), 0, 64),
        ),
    ],
)
def test_of_bad_shape(ready: Filter, bad: str, f: bytes) -> None:
    assert one(ready, f) == "drop_fragment", bad


@pytest.mark.parametrize(
    ("port", "text_of"),
    [
        ("segment", "udp nobody:68 > all:67"),
        ("segment", "udp S:68 > router:67"),
        ("segment", "udp S:1900 > ssdp:1900"),
        ("segment", "udp S:5353 > mdns:5353"),
        ("host_uplink", "udp X:68 > router:67"),
    ],
)
def test_dhcp_and_discovery_are_never_in_fragments(ready: Filter, port: str, text_of: str) -> None:
    assert one(ready, piece(frame(port, f"{text_of} data={text(500)}"), 0, 200), port) == "drop_fragment"


@pytest.mark.parametrize(
    ("words", "counter"),
    [
        ("badsum", "drop_ip_checksum"),
        ("len=1500", "drop_ip_length"),
        ("options", "drop_ip_options"),
        ("v6", "drop_ipv6"),
        ("from=ssdp", "drop_source_mac"),
        ("to=laptop", "drop_not_for_us"),
    ],
)
def test_the_checks_before_come_first(ready: Filter, words: str, counter: str) -> None:
    f = frame("uplink", f"udp phone:40000 > X:5000 data={text(100)} mf {words}")
    assert one(ready, f) == counter


def test_padding_is_cut_off(ready: Filter) -> None:
    whole = datagram(1001)
    for f in cut(whole, 504, 992):
        assert one(ready, f + b"\xee" * 20) == "pass_uplink_speaker"
    assert joined(f for _, f in ready.out()) == frame("segment", BASE + text(993) + " ttl=63", False)


def test_rules_hold_for_the_first_fragment(ready: Filter) -> None:
    """It is refused as a whole packet is, and leaves nothing behind."""
    for who, words, counter in (
        ("flatmate", "", "drop_no_lease"),
        ("phone", "from=attacker", "drop_lease_mac"),
        ("phone", "ttl=1", "drop_ttl"),
    ):
        assert one(ready, piece(datagram(words=words, who=who), 0, 200)) == counter
    assert one(ready, piece(frame("uplink", f"udp phone:1 > X:5001 data={text(500)}"), 0, 200)) == "drop_no_rule"
    assert (
        one(ready, piece(frame("segment", f"udp S:1 > flatmate:9 data={text(500)}"), 0, 200), "segment")
        == "drop_egress_local"
    )
    assert (
        one(ready, piece(frame("segment", f"udp phone:1 > server:9 data={text(500)}"), 0, 200), "segment")
        == "drop_source_address"
    )
    assert one(ready, piece(frame("uplink", f"reply server > X data={text(500)}"), 0, 200)) == "drop_no_flow"
    assert [f for f in ready.flows() if f.remote_port not in (53, 40000)] == []
    assert one(ready, piece(datagram(who="flatmate"), 200, 400)) == "drop_fragment_unknown"


def test_a_later_fragments_ttl(ready: Filter) -> None:
    whole = datagram()
    low = frame("uplink", f"udp phone:40000 > X:5000 data={text(992)} ttl=1")
    high = frame("uplink", f"udp phone:40000 > X:5000 data={text(992)} ttl=2")
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"
    assert one(ready, piece(low, 200, 400)) == "drop_ttl"
    ready.out()
    assert one(ready, piece(high, 400, 600)) == "pass_uplink_speaker"
    assert ready.out()[0][1][22] == 1


def test_fragments_to_the_host_keep_their_ttl(ready: Filter) -> None:
    whole = frame("uplink", f"echo phone > X ttl=1 data={text(500)}")
    for f in cut(whole, 200, 400):
        assert one(ready, f) == "pass_uplink_host"
    assert joined(f for _, f in ready.out()) == whole


def test_a_wrong_icmp_sum_stays_wrong(ready: Filter) -> None:
    whole = frame("segment", f"echo S > server id=7 data={text(500)} badl4")
    for f in cut(whole, 200, 400):
        assert one(ready, f, "segment") == "pass_speaker_uplink"
    assert checksum(joined(f for _, f in ready.out())[34:]) != 0


# ---- Overlaps ----


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((200, 400), (200, 400)),
        ((200, 400), (392, 600)),
        ((200, 400), (208, 216)),
        ((208, 216), (200, 400)),
        ((200, 400), (0, 208)),
        ((200, 400), (192, 208)),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_an_overlap_ends_the_datagram(ready: Filter, a: tuple[int, int], b: tuple[int, int], early: bool) -> None:
    """And what waited is not sent."""
    whole = datagram()
    start = [] if early else [(0, 200)]
    order = [*start, a, b]
    verdicts = [ready.input("uplink", piece(whole, *p)) for p in order]
    assert verdicts[-1] == "drop_fragment_overlap"
    ready.out()
    for p in ((0, 200), (600, 800), (800, 1000)):
        assert one(ready, piece(whole, *p)) == "drop_fragment_overlap"
    assert ready.count("drop_fragment_late") == (1 if early else 0)
    ready.jump(TIME_MS + 1)
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"  # that ID again


def test_first_fragment_twice(ready: Filter) -> None:
    assert one(ready, piece(datagram(), 0, 200)) == "pass_uplink_speaker"
    ready.out()
    assert one(ready, piece(datagram(), 0, 200)) == "drop_fragment_overlap"


def test_two_ends(ready: Filter) -> None:
    """A last fragment after another end, before it, and one that goes on behind it."""
    whole = datagram(1100, "l4len=1000")
    for second in (piece(whole, 600, 800, False), piece(whole, 968, 976, False), piece(whole, 1000, 1008, True)):
        assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"
        assert one(ready, piece(whole, 960, 968, True)) == "pass_uplink_speaker"
        ready.out()
        assert one(ready, second) == "drop_fragment_overlap"
        ready.jump(TIME_MS + 1)


def test_an_echos_end_is_its_last_fragments(ready: Filter) -> None:
    whole = frame("uplink", f"echo phone > X data={text(992)}")
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_host"
    assert one(ready, piece(whole, 800, 1000)) == "pass_uplink_host"
    ready.out()
    assert one(ready, piece(whole, 600, 800, False)) == "drop_fragment_overlap"


def test_the_udp_length_is_the_datagrams(ready: Filter) -> None:
    """Early fragments that lie behind the end that the first one tells."""
    whole = datagram(1000, "l4len=600")
    assert one(ready, piece(whole, 600, 800)) == "fragments_held"
    assert one(ready, piece(whole, 0, 200)) == "drop_fragment_overlap"
    assert ready.count("drop_fragment_late") == 1


# ---- Time ----


@pytest.mark.parametrize(("wait", "verdict"), [(TIME_MS, "pass_uplink_speaker"), (TIME_MS + 1, "fragments_held")])
def test_a_datagrams_time(ready: Filter, wait: int, verdict: str) -> None:
    whole = datagram()
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"
    ready.out()
    ready.jump(wait)
    assert ready.input("uplink", piece(whole, 200, 400)) == verdict


@pytest.mark.parametrize(("wait", "sent"), [(TIME_MS, 2), (TIME_MS + 1, 1)])
def test_a_waiting_fragments_time(ready: Filter, wait: int, sent: int) -> None:
    whole = datagram()
    assert one(ready, piece(whole, 200, 400)) == "fragments_held"
    ready.jump(wait)
    assert ready.input("uplink", piece(whole, 0, 200)) == "pass_uplink_speaker"
    assert len(ready.out()) == sent
    assert ready.count("drop_fragment_late") == 2 - sent


def test_the_tick_drops_what_waits_too_long(ready: Filter) -> None:
    assert one(ready, piece(datagram(), 200, 400)) == "fragments_held"
    ready.jump(TIME_MS)
    ready.tick()
    assert ready.count("drop_fragment_late") == 0
    ready.jump(1)
    ready.tick()
    assert ready.count("drop_fragment_late") == 1


def test_a_whole_datagram_needs_no_place(ready: Filter) -> None:
    """Any number of them, one after the other, and their fragments mixed."""
    for i in range(20):
        for f in (piece(datagram(ident=i), 0, 504), piece(datagram(ident=i), 504, 1000)):
            assert one(ready, f) == "pass_uplink_speaker"
    for i in range(20):
        assert one(ready, piece(datagram(ident=i), 504, 1000)) == "fragments_held"
        assert one(ready, piece(datagram(ident=i), 0, 504)) == "pass_uplink_speaker"
    assert ready.count("drop_fragment_late") == 0


def test_a_datagram_that_lost_a_fragment_is_never_whole(ready: Filter) -> None:
    """Else its place would be free when the others have come, and the same fragments would pass once more."""
    n = limit("PF_HELD_PHONES")
    early = [piece(datagram(2000), 200 + 200 * i, 400 + 200 * i) for i in range(n + 1)]
    assert [one(ready, f) for f in early] == ["fragments_held"] * n + ["drop_fragments_full"]
    first, last = piece(datagram(2000), 0, 200), piece(datagram(2000), 400 + 200 * n, 2000)
    assert [one(ready, f) for f in (first, last)] == ["pass_uplink_speaker"] * 2
    assert [one(ready, f) for f in (first, last, *early)] == ["drop_fragment_overlap"] * (n + 3)


@pytest.mark.parametrize("early", [False, True])
def test_a_datagram_with_a_fragment_at_its_last_hop_is_never_whole(ready: Filter, early: bool) -> None:
    first, last = piece(datagram(), 0, 200), piece(datagram(), 400, 1000)
    dead = piece(frame("uplink", f"udp phone:40000 > X:5000 data={text(992)} ipid=1 ttl=1"), 200, 400)
    for f in (dead, first, last) if early else (first, dead, last):
        ready.input("uplink", f)
    assert ready.count("drop_ttl") == 1
    assert one(ready, first) == "drop_fragment_overlap"


# ---- Limits, and who may use them ----


def phones(pf: Filter, n: int) -> list[str]:
    found = []
    for i in range(n):
        address = f"10.66.1.{i + 1}"
        assert pf.lease_add(address, f"02:00:00:00:44:{i:02x}") >= 0
        found.append(address)
    return found


def from_phone(address: str, ident: int, start: int, end: int) -> bytes:
    i = int(address.rsplit(".", 1)[1]) - 1
    return piece(datagram(who=address, ident=ident, words=f"from=02:00:00:00:44:{i:02x}"), start, end)


def answer_of(pf: Filter, server: str, ident: int = 1) -> bytes:
    """An answer of a server that the speaker has asked."""
    asked = frame("segment", f"udp S:5 > {server}:9")
    assert pf.input("segment", asked) == "pass_speaker_uplink"
    pf.out()
    return frame("uplink", f"udp {server}:9 > X:5 data={text(500)} ipid={ident}")


def test_the_oldest_of_the_same_rank_gives_way(ready: Filter) -> None:
    n = limit("PF_FRAGS_PHONES")
    for i in range(n + 1):
        ready.jump(1)
        assert one(ready, piece(datagram(ident=i), 0, 200)) == "pass_uplink_speaker"
    for i in range(1, n + 1):
        assert one(ready, piece(datagram(ident=i), 200, 400)) == "pass_uplink_speaker"
    assert one(ready, piece(datagram(ident=0), 200, 400)) == "fragments_held"


def test_known_senders_and_phones_have_places_of_their_own(ready: Filter) -> None:
    """Servers, the speaker, the host share theirs; whatever they send, a phone's datagram goes on; and the other way round."""
    n = limit("PF_FRAGS_KNOWN")
    phone = datagram(ident=99)
    assert one(ready, piece(phone, 0, 200)) == "pass_uplink_speaker"
    answers = [answer_of(ready, f"198.51.100.{i + 1}") for i in range(n + 1)]
    for answer in answers:
        ready.jump(1)
        assert one(ready, piece(answer, 0, 200)) == "pass_uplink_speaker"
    assert one(ready, piece(phone, 200, 400)) == "pass_uplink_speaker"
    for i in range(2 * limit("PF_FRAGS_PHONES")):
        assert one(ready, piece(datagram(ident=i), 0, 200)) == "pass_uplink_speaker"
    for answer in answers[1:]:
        assert one(ready, piece(answer, 200, 400)) == "pass_uplink_speaker"
    assert one(ready, piece(answers[0], 200, 400)) == "fragments_held"


def test_strangers_have_places_of_their_own(ready: Filter) -> None:
    """Echo requests from made-up addresses, and first fragments that the rules refuse: they push out but each other."""
    server = answer_of(ready, "198.51.100.1")
    assert one(ready, piece(datagram(), 0, 200)) == "pass_uplink_speaker"
    assert one(ready, piece(server, 0, 200)) == "pass_uplink_speaker"
    made_up = [
        frame("uplink", f"echo 10.66.2.{i + 1} > X data={text(500)} from=attacker")
        for i in range(limit("PF_FRAGS_STRANGERS") + 1)
    ]
    for echo in made_up:
        ready.jump(1)
        assert one(ready, piece(echo, 0, 200)) == "pass_uplink_host"
    for i in range(2 * limit("PF_FRAGS_PHONES")):
        ready.jump(1)
        who = f"10.66.3.{i + 1}"
        assert one(ready, piece(datagram(who=who, words="from=attacker"), 0, 200)) == "drop_no_lease"
        assert one(ready, piece(datagram(words="from=attacker", ident=i), 0, 200)) == "drop_lease_mac"
    assert one(ready, piece(made_up[0], 200, 400)) == "drop_fragment_unknown"
    assert one(ready, piece(datagram(), 200, 400)) == "pass_uplink_speaker"
    assert one(ready, piece(server, 200, 400)) == "pass_uplink_speaker"
    again = frame("uplink", f"echo flatmate > X data={text(500)}")
    for f in cut(again, 200, 400):
        assert one(ready, f) == "pass_uplink_host"


def test_as_many_fragments_wait_as_there_are_places(ready: Filter) -> None:
    n = limit("PF_HELD_PHONES")
    for i in range(n + 1):
        verdict = "fragments_held" if i < n else "drop_fragments_full"
        assert one(ready, piece(datagram(2000), 200 + 200 * i, 400 + 200 * i)) == verdict
    assert ready.input("uplink", piece(datagram(2000), 0, 200)) == "pass_uplink_speaker"
    assert [f[20:22] for _, f in ready.out()] == [struct.pack(">H", 0x2000 | s // 8) for s in (0, 200, 400)[: n + 1]]


def test_phones_have_places_to_wait_of_their_own(ready: Filter) -> None:
    """Speaker, host and servers take no more than theirs, nor do phones; and they are free again when the first one has come."""
    known = limit("PF_HELD_KNOWN")
    for i in range(known + 1):
        port = "host_uplink" if i else "segment"
        f = frame(port, f"udp X:5 > server:9 data={text(500)} ipid={i}")
        assert one(ready, piece(f, 200, 400), port) == ("fragments_held" if i < known else "drop_fragments_full")
    addresses = phones(ready, limit("PF_HELD_PHONES") + 1)
    for i, address in enumerate(addresses):
        verdict = "fragments_held" if i < limit("PF_HELD_PHONES") else "drop_fragments_full"
        assert one(ready, from_phone(address, 1, 200, 400)) == verdict
    assert one(ready, from_phone(addresses[0], 1, 0, 200)) == "pass_uplink_speaker"
    assert len(ready.out()) == 2
    assert one(ready, from_phone(addresses[-1], 2, 200, 400)) == "fragments_held"


def test_strangers_fragments_do_not_wait(ready: Filter) -> None:
    """A flood from made-up addresses, and from a phone's address by another MAC, leaves all places to the phone."""
    for i in range(50):
        assert (
            one(ready, piece(datagram(who=f"10.66.2.{i + 1}", words="from=attacker", ident=i), 200, 400))
            == "drop_fragment_unknown"
        )
        assert one(ready, piece(datagram(words="from=attacker", ident=i), 200, 400)) == "drop_fragment_unknown"
    assert ready.events() & 4
    for start in (200, 400):
        assert one(ready, piece(datagram(ident=7), start, start + 200)) == "fragments_held"
    assert ready.input("uplink", piece(datagram(ident=7), 0, 200)) == "pass_uplink_speaker"
    assert len(ready.out()) == 3


def test_a_remote_of_a_flow_may_be_early(ready: Filter) -> None:
    answer = frame("uplink", f"udp 198.51.100.9:9 > X:5 data={text(500)}")
    assert one(ready, piece(answer, 200, 400)) == "drop_fragment_unknown"
    ready.out()
    run(ready, "segment: udp S:5 > 198.51.100.9:9 -> pass_speaker_uplink -> uplink: ~")
    assert one(ready, piece(answer, 200, 400)) == "fragments_held"
    ready.jump(limit("PF_TIME_UDP") * 1000 + 1)
    assert one(ready, piece(answer, 400, 508)) == "drop_fragment_unknown"


def test_flows_are_looked_through_within_a_rate(ready: Filter) -> None:
    """A server's early fragments wait; in a flood of strangers' they do not, and do again when it has gone by."""
    answer = answer_of(ready, "198.51.100.9")
    ready.jump(60_000)
    for i in range(limit("PF_BURST_FRAGMENT")):
        assert one(ready, piece(datagram(who=f"10.66.2.{i + 1}", ident=i), 200, 400)) == "drop_fragment_unknown"
    assert one(ready, piece(answer, 200, 400)) == "drop_fragment_unknown"
    assert one(ready, piece(datagram(ident=7), 200, 400)) == "fragments_held"
    ready.jump(1000 // limit("PF_RATE_FRAGMENT"))
    assert one(ready, piece(answer, 200, 400)) == "fragments_held"


def test_another_mac_is_another_datagram(ready: Filter) -> None:
    """An attacker's fragments in a phone's name neither pass nor spoil the phone's."""
    whole, forged = datagram(), datagram(words="from=attacker")
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"
    assert one(ready, piece(forged, 200, 400)) == "drop_fragment_unknown"
    assert one(ready, piece(forged, 0, 200)) == "drop_lease_mac"
    for start in (200, 400, 600, 800):
        assert one(ready, piece(whole, start, start + 200)) == "pass_uplink_speaker"
    assert joined(f for _, f in ready.out()) == frame("segment", BASE + text(992) + " ttl=63", False)


# ---- What ends it all ----


@pytest.mark.parametrize(
    "change",
    [
        lambda pf: pf.lease_end("10.66.0.101"),
        lambda pf: pf.speaker(mac_of("flatmate")),
        lambda pf: pf.configure(PRIVATE),
        lambda pf: pf.configure(Config(dns=())),
        lambda pf: pf.services((17, 5000)),
    ],
)
def test_a_change_empties_all_places(ready: Filter, change: Callable[[Filter], object]) -> None:
    run(ready, "! lease laptop")
    assert one(ready, piece(datagram(ident=1), 0, 200)) == "pass_uplink_speaker"
    assert one(ready, piece(datagram(ident=2), 200, 400)) == "fragments_held"
    change(ready)
    ready.out()
    assert ready.count("drop_fragment_late") == 1
    assert ready.input("uplink", piece(datagram(ident=1), 200, 400)) == "fragments_held"


def test_a_lease_that_ends_takes_its_fragments_along(ready: Filter) -> None:
    assert one(ready, piece(datagram(ident=1), 0, 200)) == "pass_uplink_speaker"
    ready.out()
    ready.lease_end("10.66.0.100")
    assert one(ready, piece(datagram(ident=1), 200, 400)) == "drop_fragment_unknown"


def test_a_service_that_is_taken_away_takes_its_fragments_along(ready: Filter) -> None:
    assert one(ready, piece(datagram(ident=1), 0, 200)) == "pass_uplink_speaker"
    ready.services((6, 1400))
    assert one(ready, piece(datagram(ident=1), 200, 400)) == "fragments_held"
    assert one(ready, piece(datagram(ident=1), 0, 200)) == "drop_no_rule"


def test_a_refused_first_fragment_takes_those_along_that_wait(ready: Filter) -> None:
    wrong = frame("uplink", f"udp phone:40000 > X:5001 data={text(992)}")
    assert one(ready, piece(wrong, 200, 400)) == "fragments_held"
    assert one(ready, piece(wrong, 0, 200)) == "drop_no_rule"
    assert ready.count("drop_fragment_late") == 1


def test_a_lease_that_ends_at_the_first_fragment(ready: Filter) -> None:
    """Its time is over: what waited is gone, and no place is left in use."""
    ready.lease_add("10.66.0.100", mac_of("phone"), 10)
    assert one(ready, piece(datagram(), 200, 400)) == "fragments_held"
    ready.jump(10_000)
    assert one(ready, piece(datagram(), 0, 200)) == "drop_no_lease"
    assert ready.count("drop_fragment_late") == 1


# ---- Neighbours and IDs ----


def test_fragments_wait_for_the_neighbours_mac(pf: Filter) -> None:
    pf.configure(Config())
    pf.speaker(mac_of("S"))
    whole = frame("segment", f"udp S:5 > server:9 data={text(600)}")
    assert [pf.input("segment", f) for f in cut(whole, 200, 400)] == [
        "frames_pending",
        "frames_pending",
        "drop_pending_full",
    ]
    pf.out()
    pf.input("uplink", frame("uplink", "arp router is-at router to X"))
    assert [f[20:22] for _, f in pf.out()] == [b"\x20\x00", b"\x20\x19"]
    late = frame("segment", f"udp S:5 > server:9 data={text(600)} ipid=2")
    assert [pf.input("segment", f) for f in cut(late, 200, 400)] == ["pass_speaker_uplink"] * 3
    assert joined(f for _, f in pf.out()) == frame("uplink", f"udp X:5 > server:9 data={text(600)} ttl=63", False)


def test_early_fragments_wait_for_the_neighbours_mac_too(pf: Filter) -> None:
    pf.configure(Config())
    pf.speaker(mac_of("S"))
    whole = frame("segment", f"udp S:5 > server:9 data={text(600)}")
    first, second, third = cut(whole, 200, 400)
    assert [pf.input("segment", f) for f in (second, third, first)] == [
        "fragments_held",
        "fragments_held",
        "frames_pending",
    ]
    assert pf.count("frames_pending") == 2
    assert pf.count("drop_pending_full") == 1


def test_two_senders_ids_do_not_meet(ready: Filter) -> None:
    """RFC6864-5.3.1: speaker and host with the same ID to the same server at the same time: two datagrams for it."""
    speakers = cut(frame("segment", f"udp S:5 > server:9 data={text(992, 1)} ipid=77"), 200)
    hosts = cut(frame("host_uplink", f"udp X:6 > server:9 data={text(992, 2)} ipid=77"), 200)
    for s, h in zip(speakers, hosts, strict=True):
        assert one(ready, s, "segment") == "pass_speaker_uplink"
        assert one(ready, h, "host_uplink") == "pass_host_uplink"
    out = [f for _, f in ready.out()]
    ids = [int.from_bytes(f[18:20], "big") for f in out]
    assert ids[0] == ids[2] != ids[1] == ids[3]
    assert (ids[1] - ids[0]) % 65536 == 1
    joined(out[::2])
    joined(out[1::2])


def test_ids_from_the_uplink_stay(ready: Filter) -> None:
    for f in cut(datagram(ident=4711), 200):
        assert one(ready, f) == "pass_uplink_speaker"
    assert {f[18:20] for _, f in ready.out()} == {struct.pack(">H", 4711)}


def test_only_what_passes_keeps_a_flow_alive(ready: Filter) -> None:
    """The first fragment does; later ones do not."""
    whole = datagram()
    assert one(ready, piece(whole, 0, 200)) == "pass_uplink_speaker"
    ready.jump(10_000)
    assert one(ready, piece(whole, 200, 400)) == "pass_uplink_speaker"
    assert [f.idle_s for f in ready.flows() if f.remote_port == 40000] == [10]


def test_errors_about_fragmented_packets_pass(ready: Filter) -> None:
    """A first fragment inside; about a later one nothing can be known."""
    whole = frame("segment", f"udp S:5 > server:9 data={text(992)}")
    for f in cut(whole, 200):
        assert one(ready, f, "segment") == "pass_speaker_uplink"
    ready.out()
    run(
        ready,
        """
uplink: error(11,1) server > X about (udp X:5 > server:9 data=hello mf ttl=1)     -> pass_uplink_speaker -> segment: error(11,1) server > S about (udp S:5 > server:9 data=hello mf ttl=1) ttl=63
uplink: error(11,1) server > X about (udp X:5 > server:9 data=hello frag=25 ttl=1) -> drop_icmp_inner
""",
    )


def test_ports_that_change_change_in_the_first_fragment_only(pf: Filter) -> None:
    """What the peer's NAT gets wrong: payload that looks like ports stays as it is."""
    way = WAYS[5]
    prepare(pf, way)
    came, _ = made(way, 600, 0)
    for f in cut(came, 200, 400):
        assert pf.input("segment", f) == "pass_speaker_uplink"
    bodies = [f[34:] for _, f in pf.out()]
    assert bodies[1:] == [came[234:434], came[434:634]]
    assert bodies[0][0:2] != came[34:36]
    assert bodies[0][8:] == came[42:234]
