"""Each fuzz target over its corpus, and a short run that is the same every time; the fast path against the rules."""

import fcntl
import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "fuzz"
CLEAN = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
TARGETS = {"frames": 1000, "pressure": 4000, "packet": 5000, "tcp": 5000, "icmp": 5000, "arp": 5000, "dhcp": 5000}
TARGETS |= {"relay": 5000, "fragments": 2000}


def make(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    argv = ("make", "-s", "-C", str(folder), *argv)
    return subprocess.run(argv, env=CLEAN, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def built() -> None:
    """All of them, by one process of pytest's: the others wait for it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = make(HERE / "fuzz", f"-j{os.cpu_count()}", "all")
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("target", "runs"), TARGETS.items())
def test_target(target: str, runs: int) -> None:
    corpus = list((HERE / "fuzz" / "corpus" / target).iterdir())
    result = make(HERE / "fuzz", "fixed", f"TARGET={target}", f"RUNS={runs + len(corpus)}")
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    done = re.search(r"number_of_executed_units: (\d+)", result.stderr)
    assert done and int(done[1]) >= runs + len(corpus) > runs, result.stderr[-4000:]


def test_no_target_is_forgotten() -> None:
    """Those of the makefile, of the corpus and of this file."""
    listed = re.search(r"^TARGETS := (.*)$", (HERE / "fuzz" / "Makefile").read_text(), re.MULTILINE)
    assert listed and set(listed[1].split()) == set(TARGETS)
    assert {p.name for p in (HERE / "fuzz" / "corpus").iterdir()} == set(TARGETS)


def test_the_fast_path_does_what_the_rules_do() -> None:
    """Random histories through both: the same verdicts, frames and state."""
    result = make(HERE, "diff")
    assert result.returncode == 0, result.stdout + result.stderr
    seen = dict(line.split() for line in result.stdout.splitlines())
    for verdict in (
        "pass_uplink_speaker",
        "pass_speaker_uplink",
        "pass_uplink_host",
        "pass_host_uplink",
        "drop_no_lease",
        "drop_no_rule",
        "drop_tcp_window",
    ):
        assert int(seen[verdict]) > 100, seen
