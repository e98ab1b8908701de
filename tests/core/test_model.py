"""The whole filter against a slow, plain model, over random histories; and what must hold for any bytes (Hypothesis).

The model is in model/, written from docs/SPEC.md."""

import ipaddress
import random
from pathlib import Path

import pytest
from core import Config, Filter
from frames import checksum, frame, mac_of
from hypothesis import given, settings
from hypothesis import strategies as st
from model.run import Failure, describe, from_json, library_at, replay, run_history, shorten, to_json
from script import start

BUILD = Path(__file__).resolve().parents[2] / "build" / "core"
ROUTER_ANSWERS = frame("uplink", "arp router is-at router to X")


@pytest.mark.parametrize("first", range(1, 41, 5))
@pytest.mark.parametrize("name", ["libpf.so", "libpf-tight.so"])
def test_histories(name: str, first: int) -> None:
    """A few of many: make -C tests/core model HISTORIES=10000 STEPS=200 runs the rest."""
    path = BUILD / name
    for seed in range(first, first + 5):
        try:
            run_history(library_at(path), random.Random(seed), 150)
        except Failure as failure:
            failure.seed, failure.steps = seed, shorten(library_at(path), failure.steps)
            pytest.fail(describe(failure, path, BUILD / "model-difference.json"))


def test_a_difference_is_found_shortened_and_found_again() -> None:
    """The comparison can fail: here the model is told of a flow that the core has not."""
    library = library_at(BUILD / "libpf-tight.so")
    syn = ("frame", "segment", frame("segment", "tcp S:30000 > server:80 S"))
    steps = [
        ("configure", {}),
        ("speaker", bytes.fromhex(mac_of("S").replace(":", ""))),
        ("jump", 5),
        syn,
        ("wait", 1000),
    ]
    assert replay(library, steps) is None
    assert from_json(to_json(steps)) == steps
    wrong = [*steps, ("forget_flow",), ("jump", 5)]
    assert "flows" in (replay(library, wrong) or "")
    assert shorten(library, wrong) == [steps[0], steps[1], syn, ("forget_flow",)]


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
