"""host_tools/setup/twice.sh: what fails once is told, what fails twice fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TWICE = Path(__file__).parents[2] / "host_tools/setup/twice.sh"

# Each of these tests fails in so many of its runs.
TESTS = """
import os
import pathlib
import pytest
@pytest.mark.parametrize(("name", "failures"), {cases})
def test_it(name, failures):
    runs = pathlib.Path(name + ".runs")
    number = len(runs.read_text()) if runs.exists() else 0
    runs.write_text("x" * (number + 1))
    with open(name + ".workers", "a") as workers:
        print(os.environ.get("PYTEST_XDIST_WORKER"), file=workers)
    assert number >= failures
"""


def rung(directory: Path, cases: list[tuple[str, int]], *options: str) -> tuple[int, str, list[int]]:
    """Exit status, output, and how often each test was run."""
    (directory / "test_some.py").write_text(TESTS.format(cases=cases))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            TWICE,
            "rung",
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--rootdir=.",
            "-c",
            "/dev/null",
            "test_some.py",
            *options,
        ],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, [len((directory / f"{name}.runs").read_text()) for name, _ in cases]


def test_what_passes_is_run_once(tmp_path: Path) -> None:
    status, out, runs = rung(tmp_path, [("a", 0), ("b", 0)])
    assert (status, runs) == (0, [1, 1])
    assert "second try" not in out


def test_what_fails_once_is_told(tmp_path: Path) -> None:
    status, out, runs = rung(tmp_path, [("a", 0), ("b", 1), ("c", 1), ("d", 1)])
    assert (status, runs) == (0, [1, 2, 2, 2])
    assert "test_some.py::test_it[b-1]" in out.split("run once more:")[1]
    assert "passed at the second try" in out
    assert "test_it[d-1]" in (tmp_path / "build/rung-second-try").read_text()


def test_the_second_try_is_not_side_by_side(tmp_path: Path) -> None:
    status, _, runs = rung(tmp_path, [("a", 1), ("b", 0)], "-n", "2")
    assert (status, runs) == (0, [2, 1])
    first, second = (tmp_path / "a.workers").read_text().split()
    assert first.startswith("gw")
    assert second == "None"


def test_a_clean_run_after_it_tells_nothing(tmp_path: Path) -> None:
    assert rung(tmp_path, [("a", 1)])[0] == 0
    status, out, runs = rung(tmp_path, [("a", 1)])
    assert (status, runs) == (0, [3])
    assert "second try" not in out
    assert not (tmp_path / "build/rung-second-try").exists()


@pytest.mark.parametrize(
    ("cases", "expected"), [([("a", 2)], [2]), ([("a", 1), ("b", 1), ("c", 1), ("d", 1)], [1, 1, 1, 1])]
)
def test_what_fails_twice_or_in_numbers_fails(
    tmp_path: Path, cases: list[tuple[str, int]], expected: list[int]
) -> None:
    status, _, runs = rung(tmp_path, cases)
    assert (status, runs) == (1, expected)
