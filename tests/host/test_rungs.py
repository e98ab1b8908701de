"""host_tools/setup/rungs.py: two lanes at once, and a failure of either is one of the whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUNGS = Path(__file__).parents[2] / "host_tools/setup/rungs.py"
LIMIT_S = 120

# In place of make. What is printed goes to the file `out`.
MAKE = """#!/bin/sh
touch "$1.began"
wait_for() { until "$@"; do sleep 0.02; done; }
case $1 in
left) echo one; wait_for test -e right.began; nice ;;
right) echo one; wait_for test -e left.began; nice ;;
bad) wait_for test -e long.began; echo "what is wrong"; exit 2 ;;
long) wait_for grep -q "make bad FAILED" out ;;
for-ever) exec sleep 600 ;;
letters) echo "✓" ;;
leaves) sleep 600 & echo $! > leaves.pid ;;
esac
"""


def start(directory: Path, waiting: str, reckoning: str, **env: str) -> "subprocess.Popen[bytes]":
    make = directory / "make"
    make.write_text(MAKE)
    make.chmod(0o755)
    with (directory / "out").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, RUNGS, make, waiting, reckoning],
            cwd=directory,
            env={**os.environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def begun(directory: Path) -> set[str]:
    return {path.stem for path in directory.glob("*.began")}


def test_the_lanes_run_at_once_and_each_rung_says_its_words_as_a_whole(tmp_path: Path) -> None:
    assert start(tmp_path, "left a b", "right c").wait(LIMIT_S) == 0
    out = (tmp_path / "out").read_text()
    assert begun(tmp_path) == {"left", "right", "a", "b", "c"}
    usual = os.nice(0)
    assert f"== make left\none\n{usual}\n== make left: " in out
    assert f"== make right\none\n{min(usual + 10, 19)}\n== make right: " in out  # the second lane gives way
    assert out.endswith("== passed: right c left a b\n")


@pytest.mark.parametrize(("waiting", "reckoning"), [("bad never", "long never"), ("long never", "bad never")])
def test_after_a_failure_none_begins_and_what_runs_comes_to_its_end(
    tmp_path: Path, waiting: str, reckoning: str
) -> None:
    assert start(tmp_path, waiting, reckoning).wait(LIMIT_S) == 1
    out = (tmp_path / "out").read_text()
    assert begun(tmp_path) == {"bad", "long"}
    assert "== make bad\nwhat is wrong\n== make bad FAILED after " in out
    assert "== make long: " in out
    assert out.endswith("== FAILED: bad\n")


def test_letters_that_the_terminal_does_not_have_stop_nobody(tmp_path: Path) -> None:
    assert start(tmp_path, "letters a", "b", PYTHONIOENCODING="ascii").wait(LIMIT_S) == 0
    assert begun(tmp_path) == {"letters", "a", "b"}


def test_what_a_rung_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    assert start(tmp_path, "leaves", "a").wait(LIMIT_S) == 0
    os.kill(int((tmp_path / "leaves.pid").read_text()), signal.SIGKILL)


def test_a_rung_that_could_not_be_run_has_not_passed(tmp_path: Path) -> None:
    (tmp_path / "build/log/make-b.log").mkdir(parents=True)  # in the place of a file
    assert start(tmp_path, "a", "b c").wait(LIMIT_S) == 1
    assert (tmp_path / "out").read_text().splitlines()[-1].startswith("== FAILED: to run ")


def test_who_ends_it_ends_its_rungs(tmp_path: Path) -> None:
    running = start(tmp_path, "for-ever never", "for-ever never")
    end = time.monotonic() + LIMIT_S
    while (tmp_path / "out").read_text().count("begins") < 2 or begun(tmp_path) != {"for-ever"}:
        assert time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait(LIMIT_S) == 130
    assert begun(tmp_path) == {"for-ever"}
