"""docs/SPEC.md, section 4, and the code name the same counters and limits; and every counter has a test. Every test
that SPEC.md names exists, and section 5 has a row for every requirement of the RFCs."""

import ast
import re
from pathlib import Path

import pytest
from core import COUNTERS, limit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WHOLE = (ROOT / "docs" / "SPEC.md").read_text()
SPEC = WHOLE.split("## 4. The packet filter")[1].split("## 5. What the RFCs ask")[0]
PF_H = (ROOT / "firmware" / "pktfilter" / "pf.h").read_text()
TESTS = "".join(
    p.read_text() for p in [*HERE.glob("test_*.py"), *HERE.glob("verdicts/*.txt")] if p.name != "test_spec.py"
)


@pytest.mark.parametrize("name", COUNTERS[1:])
def test_counter_is_specified(name: str) -> None:
    short = re.sub(r"^pass_uplink_.*", "pass_uplink_", name)
    assert short in SPEC


# glue_lost is the glue's; and with these limits there is always a flow that may be evicted (below).
NOT_HERE = ("glue_lost", "drop_flows_full")


def test_there_is_always_a_flow_to_evict() -> None:
    protected = limit("PF_LEASES") * limit("PF_LEASE_PROTECTED")
    assert limit("PF_FLOWS") - protected > limit("PF_OTHER_SHARE")


@pytest.mark.parametrize("name", [c for c in COUNTERS[1:] if c not in NOT_HERE])
def test_counter_is_tested(name: str) -> None:
    assert name in TESTS


def test_each_drop_is_in_one_group_of_what_was_blocked() -> None:
    """SPEC 2.7, the filter, and the firmware's own table."""
    section = WHOLE.split("### 2.7 ")[1].split("\n## 3")[0]
    rows = re.findall(r"^\| (`\w+`|\(none\)) \| .* \| (`drop_.*`) \|$", section, re.MULTILINE)
    told = {group.strip("`"): re.findall(r"`(\w+)`", names) for group, names in rows}
    named = [name for names in told.values() for name in names]
    assert sorted(named) == sorted(c for c in COUNTERS if c.startswith("drop_"))
    source = ast.parse((ROOT / "firmware" / "speakeasy" / "blocked.py").read_text())
    (groups,) = (
        ast.literal_eval(line.value)
        for line in source.body
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == "GROUPS"
    )
    del told["(none)"]
    assert {group: sorted(names) for group, names in groups} == {group: sorted(names) for group, names in told.items()}


def test_no_counter_is_only_specified() -> None:
    assert set(re.findall(r"`((?:drop|pass|relay)_[a-z0-9_]+)`", SPEC)) <= set(COUNTERS)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("| flows | {} ", "PF_FLOWS"),
        ("| kept for phones | {} ", "PF_PHONE_SHARE"),
        ("| kept for speaker and host | {} ", "PF_OTHER_SHARE"),
        ("| protected flows of a phone | {} ", "PF_LEASE_PROTECTED"),
        ("| connections to the claim port | {} ", "PF_CLAIM_FLOWS"),
        ("| flows in one hash bucket | {} ", "PF_CHAIN_MAX"),
        ("| leases | {},", "PF_LEASES"),
        ("| services | {} ", "PF_SERVICES"),
        ("datagrams on their way: leased phones' {},", "PF_FRAGS_PHONES"),
        ("datagrams on their way: leased phones' 3, known senders' {},", "PF_FRAGS_KNOWN"),
        ("known senders' 3, strangers' {} |", "PF_FRAGS_STRANGERS"),
        ("wait for their first one: leased phones' {},", "PF_HELD_PHONES"),
        ("wait for their first one: leased phones' 2, known senders' {} |", "PF_HELD_KNOWN"),
        ("after the IP header | {} bytes", "PF_FRAG_MAX"),
        ("first fragment, at least | {} |", "PF_FRAG_FIRST"),
        ("| named hosts | {} ", "PF_NAMED_HOSTS"),
        ("| frames that wait for a MAC | {} ", "PF_PENDING"),
        ("| DHCP messages that wait | {},", "PF_DHCP_QUEUE"),
        ("| open ARP questions of the host | {} ", "PF_ASKED"),
        ("| TCP established | {} s", "PF_TIME_TCP"),
        ("by RST | {} s", "PF_TIME_TCP_TRANSITORY"),
        ("not by others | {} s", "PF_TIME_UDP"),
        ("| ICMP query | {} s", "PF_TIME_ICMP"),
        ("| connection to the claim port | {} s", "PF_TIME_CLAIM"),
        ("for each of {} groups of MACs on the link", "PF_CLAIM_GROUPS"),
        ("groups of MACs on the link, and of {} of addresses elsewhere", "PF_CLAIM_GROUPS"),
        ("divided by 2^{} ms", "PF_CLAIM_TURN"),
        ("at most {} bytes", "PF_FRAME_MAX"),
    ],
)
def test_limit_is_specified(row: str, name: str) -> None:
    assert row.format(limit(name)) in SPEC


RATES = sorted(set(re.findall(r"^#define PF_RATE_(\w+)", PF_H, re.MULTILINE)))


@pytest.mark.parametrize("name", RATES)
def test_rate_is_specified(name: str) -> None:
    """RSTs, looks for flows of fragments' senders, and all claims together have no counter of their own."""
    beyond = {"RESET": "(not sent)", "CLAIMS": "`drop_rate_claim`", "FRAGMENT": "(then a *stranger's*, 4.9)"}
    rates = f"| {limit('PF_RATE_' + name)} | {limit('PF_BURST_' + name)} |"
    rows = [r for r in SPEC.splitlines() if r.endswith(f" {rates} {beyond.get(name, f'`drop_rate_{name.lower()}`')} |")]
    assert len(rows) == 1


def test_every_rate_is_known_here() -> None:
    assert len(RATES) == SPEC.split("| rate | per second |")[1].split("\n\n")[0].count("\n|") - 1


# ---- Section 5 ----

NAMED = sorted(set(re.findall(r"`(test_\w+(?:\[[^\]`]*\])?)`", WHOLE)))
ROWS = {  # "RFC 4787": {"REQ-1": (verdict, test names)}
    title: {
        cells[1].strip(): (cells[4].strip(), re.findall(r"`(test_\w+)", cells[5]))
        for cells in (line.split("|") for line in part.splitlines() if line.startswith("| "))
        if cells[1].strip() != "no."
    }
    for title, part in re.findall(
        r"### 5\.\d (RFC \d+)[^\n]*\n(.*?)(?=\n### |\Z)", WHOLE.split("## 5. What the RFCs ask")[1], re.DOTALL
    )
}


def _numbers(text: str) -> list[str]:
    """REQ-1, REQ-1a, ...: a number, and the letters of its parts."""
    found = []
    for word in text.split():
        number, _, parts = word.partition(":")
        found += [f"REQ-{number}", *(f"REQ-{number}{p}" for p in parts.split(",") if p)]
    return found


REQUIREMENTS = {
    "RFC 4787": _numbers("1 2 3:a 4 5:a,b,c 6:a 7 8:a 9:a 10:a 11 12:a,b 13:a 14:a"),
    "RFC 5382": _numbers("1 2:a 3:a,b 4:a 5:a 6 7 8:a 9 10"),
    "RFC 5508": _numbers("1:a 2:a 3:a,b,c,d 4:a,b,c 5:a,b,c 6 7:a 8 9 10:a1,a2,a3,b1,b2,b3,b4,b5,b6,c1,c2,d,e,f 11"),
    "RFC 7857": ["2", "2.1", "2.2", "3", "4", "5", "6", "7", "7.1", "8", "9", "10", "11", "12"],  # sections
}


def _tests_there_are() -> set[str]:
    names = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    for table in (HERE / "verdicts").glob("*.txt"):
        rows = [r for r in table.read_text().splitlines() if r and not r.startswith("#")]
        names |= {f"test_verdict[{table.stem}: {r.split('|')[0].strip()}]" for r in rows}
    return {n for n in names if n.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 50
    assert set(NAMED) - _tests_there_are() == set()


@pytest.mark.parametrize("rfc", sorted(REQUIREMENTS))
def test_every_requirement_has_a_row(rfc: str) -> None:
    assert list(ROWS[rfc]) == REQUIREMENTS[rfc]


@pytest.mark.parametrize("rfc", sorted(REQUIREMENTS))
def test_every_requirement_that_is_met_has_a_test(rfc: str) -> None:
    for number, (verdict, tests) in ROWS[rfc].items():
        assert verdict in ("meets", "deviates", "does not apply"), number
        assert tests or verdict == "does not apply", number


def test_every_test_of_a_requirement_is_named() -> None:
    """One that test_rfc.py has and the table does not is forgotten there."""
    tree = ast.parse((HERE / "test_rfc.py").read_text())
    tests = {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}
    assert tests <= set(NAMED)
