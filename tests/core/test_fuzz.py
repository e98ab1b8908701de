"""The fuzz target over its corpus; and, where there is clang, a short fixed run of libFuzzer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CLEAN = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
CLANGS = ["clang", "clang-19", "clang-17", "clang-16", "clang-14"]


def make(*argv: str) -> subprocess.CompletedProcess[str]:
    argv = ("make", "-s", "-C", str(HERE), *argv)
    return subprocess.run(argv, env=CLEAN, capture_output=True, text=True, timeout=300, check=False)


def test_corpus() -> None:
    result = make("replay")
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split()[0]) >= 6


@pytest.mark.skipif(not any(map(shutil.which, CLANGS)), reason="no clang here: make fuzz installs it")
def test_short_fixed_run() -> None:
    result = make("fuzz-fixed")
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]


def test_the_fast_path_does_what_the_rules_do() -> None:
    """Random histories through both: the same verdicts, frames and state."""
    result = make("diff")
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
