"""docs/SPEC.md, section 4, and the code name the same counters and limits; and every counter has a test."""

import re
from pathlib import Path

import pytest
from core import COUNTERS, limit

HERE = Path(__file__).resolve().parent
SPEC = (HERE.parents[1] / "docs" / "SPEC.md").read_text().split("## 4. The packet filter")[1]
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
        ("| named hosts | {} ", "PF_NAMED_HOSTS"),
        ("| frames that wait for a MAC | {} ", "PF_PENDING"),
        ("| DHCP messages that wait | {},", "PF_DHCP_QUEUE"),
        ("| open ARP questions of the host | {} ", "PF_ASKED"),
        ("| TCP established | {} s", "PF_TIME_TCP"),
        ("by RST | {} s", "PF_TIME_TCP_TRANSITORY"),
        ("not by others | {} s", "PF_TIME_UDP"),
        ("| ICMP query | {} s", "PF_TIME_ICMP"),
        ("| connection to the claim port | {} s", "PF_TIME_CLAIM"),
        ("at most {} bytes", "PF_FRAME_MAX"),
    ],
)
def test_limit_is_specified(row: str, name: str) -> None:
    assert row.format(limit(name)) in SPEC


@pytest.mark.parametrize("name", ["EGRESS", "CALLBACK", "CLAIM", "ECHO", "ICMP_ERROR", "SEARCH", "NOTIFY"])
def test_rate_is_specified(name: str) -> None:
    rates = f"| {limit('PF_RATE_' + name)} | {limit('PF_BURST_' + name)} | `drop_rate_{name.lower()}` |"
    assert rates in SPEC
