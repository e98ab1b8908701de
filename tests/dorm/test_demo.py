"""The demo as people run it: `speakeasy demo`, from nothing to nothing."""

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dorm import topology as t
from dorm.dorm import LOCK
from rich.console import Console
from speakeasy import demo

# Bounds for machines that are slow and busy.
WHOLE_LIMIT_S = 400
ENDS_LIMIT_S = 60


@pytest.fixture
def run_dir() -> Iterator[Path]:
    # Short: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name) / "run"


def start(run_dir: Path, *argv: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "speakeasy.cli", "demo", "--run-dir", str(run_dir), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def of_the_dorm(run_dir: Path) -> list[str]:
    """Command lines of the processes that belong to the dorm in `run_dir`: they name it, or live in its directories."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(run_dir) in line or str(run_dir) in os.readlink(entry / "cwd"):
                found.append(line)
        except OSError:
            continue  # it has ended
    return found


def until_nothing_is_left(run_dir: Path) -> None:
    end = time.monotonic() + ENDS_LIMIT_S
    while left := of_the_dorm(run_dir):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.05)
    entries = {entry.name for entry in run_dir.iterdir()}
    assert entries <= {LOCK, "log"}, entries


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(f"{words!r} did not come:\n{text}")


def test_the_whole_demo(run_dir: Path, tmp_path: Path) -> None:
    process = start(run_dir, "--keep-logs", str(tmp_path / "logs"))
    text, _ = process.communicate(timeout=WHOLE_LIMIT_S)
    assert process.returncode == 0, text
    titles = re.findall(r"^(\d)  (.+)$", text, re.MULTILINE)
    assert titles == [(str(number), step.title) for number, step in enumerate(demo.STEPS, 1)]
    assert "✗" not in text
    assert "\x1b" not in text, "colours in a pipe"
    code = re.search(r"^setup code: (\S+)", (tmp_path / "logs" / "bridge.log").read_text(), re.MULTILINE)
    assert code is not None
    assert code[1] not in text
    until_nothing_is_left(run_dir)


@pytest.mark.parametrize("words", ["1  The bridge moves in", "2  The flatmate"], ids=["booting", "under way"])
def test_ctrl_c(words: str, run_dir: Path) -> None:
    process = start(run_dir)
    read_until(process, words)
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=ENDS_LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in rest
    until_nothing_is_left(run_dir)


def test_kill_9_and_again(run_dir: Path) -> None:
    process = start(run_dir)
    read_until(process, "joins the Wi-Fi")
    process.kill()
    process.wait(ENDS_LIMIT_S)
    again = start(run_dir)
    read_until(again, "joins the Wi-Fi")
    os.killpg(again.pid, signal.SIGINT)
    again.communicate(timeout=ENDS_LIMIT_S)
    assert again.returncode == 130
    until_nothing_is_left(run_dir)


def test_a_second_dorm_gets_one_line(run_dir: Path) -> None:
    first = start(run_dir)
    try:
        read_until(first, "joins the Wi-Fi")
        second = start(run_dir)
        text, _ = second.communicate(timeout=ENDS_LIMIT_S)
        assert second.returncode == 1
        assert "error: A dorm is already up in" in text.splitlines()[-1]
    finally:
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=ENDS_LIMIT_S)
    until_nothing_is_left(run_dir)


# --- a transcript that sees what is wrong ---------------------------------------------------------------------------
class Nothing:
    """A dorm of which nothing is asked."""

    def check(self) -> None:
        pass


async def test_a_check_that_fails_makes_the_demo_fail_and_says_what_was_expected() -> None:
    done: list[int] = []

    async def wrong(play: demo.Demo) -> None:
        done.append(1)
        play.say.check("the flatmate knocks", "open: [1400]", False, "no answer")

    async def useless(play: demo.Demo) -> None:
        done.append(2)
        play.say.must("the phone pairs", "nothing", False, "an owner")

    async def never(_: demo.Demo) -> None:
        done.append(3)

    console = Console(record=True, width=200, file=io.StringIO())
    say = demo.Transcript(console)
    steps = [demo.Step("one", wrong), demo.Step("two", useless), demo.Step("three", never)]
    assert not await demo.play_all(demo.Demo(Nothing(), say), steps)  # type: ignore[arg-type]
    text = console.export_text()
    assert done == [1, 2]
    assert say.failed == ["the flatmate knocks", "the phone pairs"]
    assert "expected: no answer" in text
    assert "expected: an owner" in text


def test_the_ports_knocked_at_are_those_that_the_speaker_listens_on() -> None:
    first, _, last = demo.TCP_PORTS.partition(",")[0].partition("-")
    assert int(first) <= t.SPEAKER_PORT <= int(last)
    assert int(first) <= t.SPEAKER_TLS_PORT <= int(last)
    assert int(last) - int(first) + 2 == demo.DOORS
