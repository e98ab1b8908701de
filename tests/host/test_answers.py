"""What a bridge, or a stranger's network, may say to a phone's command: anything. It never ends in a traceback, in a
terminal's control sequences, or in a store that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from speakeasy import reach, terminal, uplinks
from speakeasy.app import app
from speakeasy.errors import OWNER
from speakeasy.store import DEFAULT_CLAIM_PORT, PhoneKey, Store
from speakeasy.terminal import LONGEST_S, duration, show_json, shown
from typer.testing import CliRunner

BRIDGE, PHONE = b"bridge 1", b"phone 01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.add_pending(BRIDGE, PhoneKey(PHONE, bytes(32), "owner", "Ada"))
    store.confirm(BRIDGE, PHONE, "owner")
    return store


@pytest.mark.parametrize(
    "addr",
    ["10.66", "0x7f.1", "010.1.2.3", "10.66.1.2 x", "10.66.1.2\n", "", "256.1.1.1", None, 168427777, True, [], {}],
)
def test_no_address_is_kept_but_one(store: Store, addr: Any) -> None:
    bridge = reach.remember(store, store.bridges()[0], {"uplink": {"addr": addr}, "claim_port": 1234})
    assert (bridge.addr, bridge.claim_port) == (None, 1234)
    assert store.bridges() == [bridge] and bridge.key is not None


@pytest.mark.parametrize("port", [0, 65536, -1, True, 1.5, "7780", None, [], 10**400])
def test_no_port_is_kept_but_one(store: Store, port: Any) -> None:
    bridge = reach.remember(store, store.bridges()[0], {"uplink": {"addr": "10.66.1.2"}, "claim_port": port})
    assert (bridge.addr, bridge.claim_port) == ("10.66.1.2", DEFAULT_CLAIM_PORT)
    assert store.bridges() == [bridge]


@pytest.mark.parametrize(
    "text", ["{", "}", "{0}", "{x}", "{net.__class__.__mro__}", "\x1b[2J", "x" * 5000, None, [], 7]
)
@pytest.mark.parametrize("member", ["state", "ssid", "addr"])
def test_an_uplink_is_a_line(member: str, text: Any) -> None:
    uplink = {"state": "up", "ssid": "dorm", "addr": "10.66.1.2"}
    for said in uplinks.sentences({**uplink, member: text, "failed": {"ssid": "other", "state": text}}, OWNER):
        assert said.isprintable() and "class '" not in said


def test_a_state_of_a_newer_firmware_has_its_own_name() -> None:
    assert uplinks.sentence("{thinking}", "dorm {1}", role=OWNER) == "{thinking}: dorm {1}."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (LONGEST_S, "305419897 hours"),
        (LONGEST_S + 1, "?"),
        (-LONGEST_S - 1, "?"),
        (10**400, "?"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (5400, "2 hours"),
        (None, "?"),
        ("7", "?"),
    ],
)
def test_a_duration(seconds: Any, words: str) -> None:
    assert duration(seconds) == words


def test_json_is_printable_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"ssid": "\x00\x1b[2J\x7f\x9b31m\u202e\ud800 caf\u00e9 \U0001f3b5"}
    show_json(value)
    line = capsys.readouterr().out
    assert line.endswith("\n") and line[:-1].isascii() and line[:-1].isprintable()
    assert json.loads(line) == value


@pytest.mark.parametrize("text", ["my:key:1400", "02:ab:42:00:cd:20", ":100::x:", "[bold]a[/]"])
def test_what_others_named_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out.print(f'its key is "{shown(text)}"')
    terminal.err.print(shown(text))
    assert capsys.readouterr() == (f'its key is "{text}"\n', f"{text}\n")


@pytest.mark.parametrize("of", ["join", "pair", "segment"])
def test_what_guards_from_secrets_is_not_in_the_help(of: str) -> None:
    usage = CliRunner().invoke(app, [of, "--help"]).output.partition("\n\n")[0]
    assert usage.startswith("Usage: ") and "no_" not in usage and "..." not in usage
