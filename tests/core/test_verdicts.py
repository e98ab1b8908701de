"""Verdict tables in verdicts/*.txt: frame in, state, verdict, frame out, reason. One line a case."""

from pathlib import Path

import pytest
from core import Filter
from script import run, start

TABLES = sorted((Path(__file__).parent / "verdicts").glob("*.txt"))


def rows(table: Path) -> list[list[str]]:
    """[reason, state, step] of each line."""
    lines = [line for line in table.read_text().splitlines() if line and not line.startswith("#")]
    return [[part.strip() for part in line.split("|", 2)] for line in lines]


def _cases(table: Path) -> list[object]:
    return [pytest.param(state, step, id=f"{table.stem}: {reason}") for reason, state, step in rows(table)]


@pytest.mark.parametrize(("state", "step"), [case for table in TABLES for case in _cases(table)])
def test_verdict(pf: Filter, state: str, step: str) -> None:
    start(pf)
    run(pf, (f"! {state}\n" if state else "") + step)
