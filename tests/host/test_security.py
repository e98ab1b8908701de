"""SECURITY.md's table of attacks: each has tests that there are, and each test of an attack has its row."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHOLE = (ROOT / "SECURITY.md").read_text()
TABLE = WHOLE.split("## What they try, and what happens")[1].split("\n## ")[0]
ROWS = [line.strip("|").split(" | ") for line in TABLE.splitlines() if line.startswith("| ")][1:]
SUITES = ("ble/test_attacks_by_radio.py", "dorm/test_attacks_by_network.py")


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    functions = (n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for name in functions if name.startswith("test_")}


def test_every_attack_has_tests_that_there_are() -> None:
    there = {name for path in (ROOT / "tests").rglob("test_*.py") for name in _tests_in(path)}
    assert len(ROWS) > 20
    for attack, happens, tests in ROWS:
        assert happens.strip()
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, attack
        assert set(named) - there == set(), attack


@pytest.mark.parametrize("suite", SUITES)
def test_every_attack_of_the_suites_has_a_row(suite: str) -> None:
    assert _tests_in(ROOT / "tests" / suite) - set(re.findall(r"`(test_\w+)`", TABLE)) == set()


@pytest.mark.parametrize(
    "attack",
    [
        *("sniff and read", "sniff and replay", "man in the middle", "guess the code", "guess a claim"),
        *("steal an address", "steal a MAC", "lock the owner out", "exhaust memory", "roll a setting back"),
    ],
)
def test_the_attacks_that_are_always_asked_for(attack: str) -> None:
    assert [row for row in ROWS if attack in row[0]]


def test_every_link_inside_leads_somewhere() -> None:
    headings = {h.lower().replace(" ", "-").replace(",", "") for h in re.findall(r"^## (.*)$", WHOLE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]*)\)", WHOLE)) <= headings


def test_how_long_there_are_updates() -> None:
    """The first of the five questions has an answer with periods in it."""
    questions = re.findall(r"^\d\. \*\*(.+?)\*\* (.+(?:\n   .+)*)", WHOLE.split("## Five questions")[1], re.MULTILINE)
    assert len(questions) == 5
    assert questions[0][0] == "How long are there updates?"
    for words in ("five years from release 1.0", "at least two years after", "only the newest version is supported"):
        assert words in questions[0][1]
