"""The lines of the bridge's event log: `speakeasy log` shows them to people who are no network engineers."""

import ast
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "speakeasy"
# Texts that go in by a name.
TABLES = {"uplink.py": ("_SAY",), "policy.py": ("_ALARMS", "_DHCP_NEWS"), "pairing.py": ("_WHY",)}
# What people do not say; "MAC" and "DHCP" among it: an address is an address.
JARGON = (
    *("mac", "dhcp", "arp", "frame", "segment", "uplink", "lease", "leased", "claim", "claims", "proof", "proofs"),
    *("flow", "flows", "host", "hosts", "enrolled", "enrol", "record", "session", "ssid", "subnet", "socket", "task"),
)


def _texts(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def lines() -> list[tuple[str, str]]:
    """(where, text) of all that is logged."""
    found = []
    for path in sorted(FIRMWARE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            texts: list[str] = []
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("log", "seldom") and len(node.args) == 2:
                    text = node.args[1]
                    texts = _texts(text.left if isinstance(text, ast.BinOp) else text)
            elif isinstance(node, ast.Assign) and any(
                getattr(t, "id", "") in TABLES.get(path.name, ()) for t in node.targets
            ):
                texts = _texts(node.value)
            found += [(f"{path.name}:{node.lineno}", text) for text in texts]
    return found


def test_there_are_lines_to_look_at() -> None:
    texts = [text for _, text in lines()]
    assert len(texts) > 60
    for known in ("joined %s: the bridge's address is %s", "its code, invite or key is wrong"):
        assert known in texts


@pytest.mark.parametrize(("where", "text"), lines())
def test_a_line_is_plain(where: str, text: str) -> None:
    words = "".join(c if c.isalpha() else " " for c in text.lower()).split()
    assert not set(words) & set(JARGON), where
    assert len(text) <= 120, f"{where}: with a name of a network in it, its end would be cut off"
