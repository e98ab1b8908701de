"""The glue for lwIP (firmware/pktfilter/glue_lwip.c) on stock lwIP: each case of cases.c in a process of its own.

The cases run under AddressSanitizer and UBSan, the one with threads under ThreadSanitizer, too.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "lwip-glue"
CASES = re.findall(r'\{"(\w+)", case_', (HERE / "cases.c").read_text())
TIME_LIMIT_S = 600


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    make = ["make", "--no-print-directory", "-s", f"-j{os.cpu_count()}", "-C", str(HERE)]
    build = subprocess.run(make, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stdout + build.stderr


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)


def test_limit_is_specified() -> None:
    header = (ROOT / "firmware" / "pktfilter" / "glue_lwip.h").read_text()
    (queue,) = re.findall(r"#define GLUE_QUEUE (\d+)", header)
    assert f"on lwIP at most {queue} frames leave together" in (ROOT / "docs" / "SPEC.md").read_text()


def test_no_case_is_left_out() -> None:
    listed = run([str(BUILD / "glue"), "--list"])
    assert listed.stdout.split() == CASES
    assert run([str(BUILD / "glue"), "no such case"]).returncode == 2


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    ran = run([str(BUILD / "glue"), case])
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("cable", ["wifi", "segment", "uplink"])
def test_esp32(cable: str) -> None:
    """Interfaces that ESP-IDF adds and removes; the timer; the link of the speaker. Which side is a cable, if any."""
    ran = run([str(BUILD / "glue-esp"), cable])
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_esp32_makes_random_numbers_of_noise() -> None:
    """Of the ADC's while no radio is on, which must not run while one is."""
    ran = run([str(BUILD / "glue-esp"), "random"])
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_threads_do_not_race() -> None:
    command = [str(BUILD / "glue-tsan"), "threads"]
    ran = run(command)
    if "unexpected memory mapping" in ran.stderr:  # gcc 12's ThreadSanitizer where addresses are very random
        ran = run(["setarch", "-R", *command])
    if "unexpected memory mapping" in ran.stderr or "setarch:" in ran.stderr:
        pytest.skip(f"ThreadSanitizer does not work on this machine: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
