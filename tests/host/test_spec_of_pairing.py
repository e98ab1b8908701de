"""docs/SPEC.md against the firmware: who may ask for what."""

import json
import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).parents[2]
SIM = Path(os.environ.get("SPEAKEASY_SIM", TOP / "build/sim/speakeasy-sim"))
ROLES = {"owner", "guest", "new"}


def told_by_the_firmware(expression: str) -> object:
    """What `expression` is on the board's own interpreter."""
    assert SIM.is_file(), f"{SIM} is missing: run `make sim`"
    program = f"import json; from speakeasy import rights; print(json.dumps({expression}))"
    done = subprocess.run(
        [str(SIM), "-X", "heapsize=1M", "-c", program],
        env={"MICROPYPATH": f"{TOP / 'firmware'}:.frozen"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def specified() -> dict[str, set[str]]:
    """The table of section 2.4: operation -> the roles in its column "who"."""
    section = (TOP / "docs/SPEC.md").read_text().split("\n### 2.4 ")[1].split("\n## ")[0]
    lines = section.splitlines()
    first = lines.index("| op | who | request | answer |") + 2
    table: dict[str, set[str]] = {}
    for line in lines[first:]:
        row = re.fullmatch(r"\| `(\w+)` \| ([a-z, ]+) \| .*\|", line)
        if row is None:
            assert not line.startswith("|"), f"no row of this table: {line}"
            break
        assert row[1] not in table, f"{row[1]} stands there twice"
        table[row[1]] = set(row[2].split(", "))
    return table


def test_the_table_of_rights_is_the_firmwares() -> None:
    table = specified()
    assert len(table) >= 20
    assert set().union(*table.values()) == ROLES
    firmware = told_by_the_firmware("rights.TABLE")
    assert isinstance(firmware, dict)
    assert {op: set(roles) for op, roles in firmware.items()} == table
