"""Verdict tables in verdicts/*.txt: frame in, state, verdict, frame out, reason. One line a case."""

from pathlib import Path

import pytest
from core import Filter
from script import run, start

TABLES = sorted((Path(__file__).parent / "verdicts").glob("*.txt"))


def _cases(table: Path) -> list[object]:
    cases = []
    for line in table.read_text().splitlines():
        if line and not line.startswith("#"):
            reason, state, step = (part.strip() for part in line.split("|", 2))
            cases.append(pytest.param(state, step, id=f"{table.stem}: {reason}"))
    return cases


@pytest.mark.parametrize(("state", "step"), [case for table in TABLES for case in _cases(table)])
def test_verdict(pf: Filter, state: str, step: str) -> None:
    start(pf)
    run(pf, (f"! {state}\n" if state else "") + step)
