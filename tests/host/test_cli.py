"""The command line: what it prints, what it exits with, what it never prints."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from dorm import people, topology
from peer import BRIDGE_ID, SETUP_CODE, Bridge, MemoryLink
from rich.console import Console
from speakeasy import asking, ble, codes, links, reach, terminal
from speakeasy import claim as claims
from speakeasy.app import app
from speakeasy.commands import bridge as bridge_commands
from speakeasy.commands import claim as claim_commands
from speakeasy.commands import networks
from speakeasy.commands import phones as phone_commands
from speakeasy.commands.claim import lease_sentence
from speakeasy.errors import CTRL_C, FAILED, NOT_REACHED, USAGE, NotHeard, SpeakeasyError
from speakeasy.reasons import GROUPS, WORDS
from speakeasy.store import Store
from typer.main import get_command
from typer.testing import CliRunner

CODE = codes.write(SETUP_CODE)
UPLINK = {"state": "up", "ssid": "Dorm", "addr": "127.0.0.1", "mask": "255.255.252.0", "router": "10.66.0.1"}
STATUS = {
    "bridge": BRIDGE_ID.hex(),
    "version": "9",
    "mode": "passthrough",
    "uplink": UPLINK,
    "segment": {"state": "up", "speaker": "02:00:00:00:42:20", "addr": "127.0.0.1"},
    "claim_port": 7780,
    "phones": 1,
    "leases": [{"phone": "f0f1f2f3f4f5f6f7", "addr": "10.66.0.130", "mac": None, "left_s": 43000}],
    "flows": 3,
    "uptime_s": 7300,
}

CALLED = ("SPEAKEASY_CALLED", "SPEAKEASY_AS")
Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEAKEASY_HOME", str(tmp_path))
    for name in (
        "SPEAKEASY_CODE",
        "SPEAKEASY_INVITE",
        "SPEAKEASY_WIFI_KEY",
        links.PAGE_VARIABLE,
        "SUDO_COMMAND",
        *CALLED,
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    bridge = Bridge(answers={"status": STATUS, "join": {}})
    monkeypatch.setattr(reach, "find", bridge.find)
    return bridge


def run(*argv: str, stdin: str | None = None) -> Any:
    result = CliRunner().invoke(app, list(argv), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def pair(*argv: str) -> Any:
    """Pairs with the setup code, typed on standard input; without a claim, for nobody answers it here."""
    return run("pair", "--no-claim", *argv, stdin=CODE + "\n")


def refused(*argv: str, stdin: str | None = None, says: str = "", status: int = 1) -> str:
    """The one line that a refused command prints; `status` 2: it was used wrongly."""
    result = run(*argv, stdin=stdin)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert says in lines[-1], lines[-1]
    assert result.stdout == ""
    return lines[-1]


def test_pair_claim_and_manage(home: Path, bridge: Bridge) -> None:
    result = pair("--name", "Ada")
    assert result.exit_code == 0, result.output
    assert f"an owner of bridge {BRIDGE_ID.hex()}" in result.stdout
    assert "127.0.0.1" in result.stdout
    assert next(iter(bridge.phones.values()))[1:] == ("Ada", "owner")
    known = Store(home).get(BRIDGE_ID)
    assert known is not None
    assert known.addr == "127.0.0.1"

    bridge.phones[b"another1"] = bytes(32), "Zoë", "guest"
    listed = json.loads(run("phones", "--json").stdout)
    assert {(p["name"], p["role"]) for p in listed["phones"]} == {("Ada", "owner"), ("Zoë", "guest")}
    assert "this one" in run("phones").stdout
    assert "Zoë is shut out" in run("revoke", "Zoë").stdout
    assert b"another1" not in bridge.phones
    refused("revoke", "Zoë", says="No paired phone is called 'Zoë'. Paired are: Ada")
    refused("revoke", "Ada", says="The last owner cannot be revoked.")


class Statuses(dict[str, Any]):
    """Answers whose `status` changes from one request to the next; the last one stays."""

    def __init__(self, *uplinks: dict[str, Any]) -> None:
        super().__init__({"join": {}, "status": STATUS})
        self.left = list(uplinks)

    def __getitem__(self, op: str) -> Any:
        if op != "status":
            return super().__getitem__(op)
        return {**STATUS, "uplink": self.left.pop(0) if len(self.left) > 1 else self.left[0]}


OLD = {"state": "up", "ssid": "Old", "addr": "10.0.0.9"}
JOINING = {"state": "joining", "ssid": "Dorm", "addr": ""}


def with_state(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "ssid": "Dorm", "addr": "", **more}


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ([OLD, JOINING, UPLINK], None),
        ([UPLINK], None),
        ([JOINING, with_state("wrong-key")], "The key of Dorm is wrong: run `speakeasy join Dorm` again"),
        ([with_state("no-network")], "There is no network Dorm"),
        ([with_state("no-dhcp")], "gives it no address"),
        ([with_state("unusable-address")], "that no machine can have"),
        ([with_state("failed")], "Joining Dorm failed"),
        ([JOINING, OLD], "Joining Dorm failed"),
        ([JOINING, {**OLD, "failed": {"ssid": "Dorm", "state": "wrong-key"}}], "right one. The bridge is on Old"),
        ([{**OLD, "failed": {"ssid": "Dorm", "state": "wrong-key"}}, JOINING, UPLINK], None),
        ([OLD], "not on it after"),
        ([with_state("lost")], "not on it after"),
    ],
)
def test_join_waits_for_the_outcome(
    seen: list[dict[str, Any]], says: str | None, home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "JOIN_POLL_S", 0.01)
    monkeypatch.setattr(networks, "JOIN_LIMIT_S", 0.3)
    pair()
    bridge.answers = Statuses(*seen)
    if says is not None:
        refused("join", "Dorm", stdin="correct horse\n", says=says)
    else:
        result = run("join", "Dorm", stdin="correct horse\n")
        assert result.exit_code == 0, result.output
        assert result.stdout == "The bridge is on Dorm, at 127.0.0.1.\n"
    assert [heard["key"] for heard in bridge.heard if heard["op"] == "join"] == ["correct horse"]


ADA = ["--user", "ada@uni.example"]
NAMED = {"user": "ada@uni.example", "password": "hunter2", "server": "radius.uni.example", "inner": "mschapv2"}


@pytest.mark.parametrize(
    ("options", "login"),
    [
        ([*ADA, "--server", "radius.uni.example"], {**NAMED, "identity": "anonymous@uni.example"}),
        (
            [*ADA, "--server", "radius.uni.example", "--pap"],
            {**NAMED, "identity": "anonymous@uni.example", "inner": "pap"},
        ),
        ([*ADA, "--any-server", "--anonymous", "guest"], {**NAMED, "identity": "guest", "server": ""}),
        (["--user", "ada", "--any-server"], {**NAMED, "identity": "ada", "user": "ada", "server": ""}),
    ],
)
def test_join_with_a_login(options: list[str], login: dict[str, str], home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers = Statuses(UPLINK)
    result = run("join", "Dorm", *options, stdin="hunter2\n")
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    assert [(h["key"], h["login"]) for h in bridge.heard if h["op"] == "join"] == [("", login)]
    bridge.answers = Statuses(with_state("wrong-login"))
    refused("join", "Dorm", *options, stdin="hunter2\n", says="Dorm refused the user's name or password")


def test_ctrl_c_at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(*_: object, **__: object) -> str:
        raise typer.Abort

    monkeypatch.setattr(typer, "prompt", abort)
    with pytest.raises(typer.Exit) as caught:
        asking.prompted("Key", hide=True)
    assert caught.value.exit_code == 130


def test_status_says_what_to_do(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["status"] = {
        **STATUS,
        "damaged": True,
        "uplink": {**OLD, "failed": {"ssid": "my dorm", "state": "wrong-key"}},
        "segment": {"state": "up", "speaker": None, "addr": ""},
        "leases": [{"phone": "f0", "addr": "10.66.0.130", "mac": "02:00:00:00:42:30", "left_s": 43000}],
    }
    text = run("status").stdout
    for words in (
        bridge_commands.DAMAGED,
        "on Old, at 10.0.0.9",
        "speakeasy join 'my dorm'",
        "No speaker yet",
        "that machine only",
    ):
        assert words in text


def test_status_says_that_nobody_is_the_speaker(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["status"] = {**STATUS, "segment": {"state": "undecided", "speaker": None}}
    shown = " ".join(run("status").stdout.split())
    assert "Nobody is the speaker until an owner says who is, and no music plays" in shown
    assert "speakeasy setup --speaker MAC" in shown and "No speaker yet" not in shown
    bridge.answers["status"] = {**STATUS, "segment": {"state": "set-up", "speaker": None}}
    assert "speakeasy setup --done" in " ".join(run("status").stdout.split())


def test_status_tells_of_a_speaker_that_has_left(home: Path, bridge: Bridge) -> None:
    pair()
    for there, words in (
        (True, "02:00:00:00:42:20, as 10.66.0.117"),
        (False, "02:00:00:00:42:20, which is not there now"),
    ):
        segment = {"state": "up", "speaker": "02:00:00:00:42:20", "addr": "10.66.0.117", "there": there}
        bridge.answers["status"] = {**STATUS, "segment": segment}
        assert words in " ".join(run("status").stdout.split())


def test_status_in_words_and_for_scripts(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.counters = {"drop_no_lease": 7, "pass_uplink_speaker": 3, "something_new": 1}
    text = run("status").stdout
    for words in ("127.0.0.1", "2 hours", WORDS["drop_no_lease"], "something new", "whoever has this address"):
        assert words in text
    assert "f0f1f2f3f4f5f6f7, at 10.66.0.130" in text, "a phone that is not paired any more has no name"
    value = json.loads(run("status", "--json").stdout)
    assert value["counters"] == bridge.counters
    assert value["uplink"] == UPLINK


NONE = {group: [0, 0, 0] for group in GROUPS}


def test_what_was_blocked(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["blocked"] = {"blocked": NONE, "into_s": 5}
    assert "Nothing was blocked in the last 3 hours, but" in run("blocked").stdout
    bridge.answers["blocked"]["blocked"] = {group: [0] for group in GROUPS}
    assert "Nothing was blocked in this hour, but" in run("blocked").stdout
    bridge.answers["blocked"] = {
        "blocked": {**NONE, "strangers": [65535, 0, 65534], "new [x]\x1b": [0, 0, 1], "bad": "x"},
        "into_s": 600,
    }
    lines = [line.split() for line in run("blocked").stdout.splitlines()]
    assert " ".join(lines[0]) == "Packets that were blocked in the last 3 hours; this one began 10 minutes ago:"
    assert lines[1][: len(GROUPS)] == list(GROUPS)
    assert [line[:4] for line in lines[2:4]] == [["this", "hour", "65535+", "0"], ["2", "hours", "before", "65534"]]
    assert [" ".join(line) for line in lines[4:5]] == [f"strangers: {GROUPS['strangers']}"]
    assert len(lines) == 6 and "\x1b" not in run("blocked").stdout, "a group of which there is nothing is not explained"
    value = json.loads(run("blocked", "--json").stdout)
    assert (value["blocked"]["strangers"], value["into_s"]) == ([65535, 0, 65534], 600)
    assert "bad" not in value["blocked"]
    bridge.answers["blocked"] = {"blocked": []}
    assert "Nothing was blocked" in run("blocked").stdout


@pytest.mark.parametrize("role", ["owner", "guest"])
def test_status_names_the_phones_that_are_in(role: str, home: Path, bridge: Bridge) -> None:
    """An owner sees all their names, a guest that of its own phone: SPEC 2.4 gives guests no more."""
    bridge.phones = {b"another1": (bytes(32), "Zo\u00eb [x]", "owner"), b"another2": (bytes(32), "Bob", "guest")}
    bridge.invites[bytes(8)] = bytes(16), role
    run("pair", "--no-claim", "--name", "Ada", stdin=codes.write(bytes(24)))
    own = next(phone for phone, (_, name, _) in bridge.phones.items() if name == "Ada")
    ids = [phone.hex() for phone in (own, b"another1", b"another2", b"revoked!")]
    bridge.answers["status"] = {
        **STATUS,
        "leases": [
            {"phone": phone, "addr": f"10.66.0.{n}", "mac": None, "left_s": 43000} for n, phone in enumerate(ids)
        ],
    }
    names = ["Ada", "Zo\u00eb [x]", "Bob", None] if role == "owner" else ["Ada", None, None, None]
    shown = run("status").stdout
    for n, name in enumerate(names):
        assert f"{name or ids[n]}, at 10.66.0.{n} (" in shown
    leases = json.loads(run("status", "--json").stdout)["leases"]
    assert [(lease["phone"], lease["name"]) for lease in leases] == list(zip(ids, names, strict=True))


@pytest.mark.parametrize("how", ["stdin", "dash", "link", "environment", "link in environment"])
def test_ways_to_give_the_code(how: str, home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    text = links.write(links.CODE, CODE) if how.startswith("link") else CODE.lower()
    if how.endswith("environment"):
        monkeypatch.setenv("SPEAKEASY_CODE", text)
        result = run("pair", "--json", "--no-claim")
    else:
        result = run("pair", *(["-"] if how == "dash" else []), "--json", "--no-claim", stdin=text + "\n")
    assert json.loads(result.stdout) == {
        "bridge": BRIDGE_ID.hex(),
        "role": "owner",
        "was_known": False,
        "addr": "127.0.0.1",
        "lease": None,
    }
    assert CODE not in result.output
    monkeypatch.delenv("SPEAKEASY_CODE", raising=False)
    assert run("pair", "--json").exit_code == 1, "no code, no terminal, nothing unfinished"
    assert "was paired already" in pair().stdout


def test_pair_without_a_code_goes_on_where_it_was_lost(home: Path, bridge: Bridge) -> None:
    lost = []

    def lie(connection: int, what: str, messages: list[bytes]) -> list[bytes] | None:
        if what == "confirm" or lost:
            lost.append(connection)
            return None
        return messages

    bridge.lie = lie
    refused("pair", stdin=CODE)
    bridge.lie = lambda _connection, _what, messages: messages
    result = run("pair")
    assert result.exit_code == 0, result.output
    assert "was paired already" in result.stdout
    assert len(bridge.phones) == 1


@pytest.mark.parametrize(
    ("argv", "stdin", "says"),
    [
        (["pair"], None, "Pipe it in, set SPEAKEASY_CODE"),
        (["pair", "-"], "\n", "Pipe it in, set SPEAKEASY_CODE"),
        (["pair"], "123", "it would have 27 symbols (hyphens do not count), and 3 were given"),
        (["pair"], CODE[:-1], "the last symbol may be one of *~$= too"),
        (["pair"], codes.write(bytes(25)), "it would have 40 symbols"),
        (["pair"], CODE[:-1] + "7", "mistake in this setup code"),
        (["pair"], "speakeasy:#wifi=x", "neither a setup code nor an invite"),
        (["pair"], "speakeasy:#code=" + CODE[:-1] + "7", "mistake in this setup code"),
        (["pair"], codes.write(b"another code...."), "does not accept this setup code"),
        (["pair"], codes.write(bytes(24)), "does not accept this invite"),
        (["pair"], links.write(links.INVITE, codes.write(bytes(24))), "does not accept this invite"),
        (["claim"], None, "speakeasy pair"),
        (["phones"], None, "speakeasy pair"),
        (["revoke", "Ada"], None, "speakeasy pair"),
        (["invite"], None, "speakeasy pair"),
        (["status"], None, "speakeasy pair"),
        (["join", "Dorm"], "short", "8 to 63"),
        (["join", "Dorm"], "correct h\u00f6rse", "without accents"),
        (["join", "Dorm"], None, "No key of the network came"),
        (["join", "Dorm", "--user", "ada", "--any-server"], None, "No password of ada came"),
        (["join", "Dorm", "--user", "ada", "--any-server"], "x" * 65, "The password is text of 1 to 64 bytes"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_refusals_say_what_to_do(argv: list[str], stdin: str | None, says: str, home: Path, bridge: Bridge) -> None:
    line = refused(*argv, stdin=stdin, says=says)
    assert codes.write(b"another code....") not in line
    assert CODE not in line
    assert not Store(home).bridges()


SECRET = "hunter2hunter2"
# Typed by habit where no secret belongs; the last as a code with spaces in it would be.
SECRETS = [["--code", SECRET], [f"--code={SECRET}"], ["--invite", SECRET], ["--link", SECRET], [SECRET, "-", SECRET]]

# Per command, values that cannot be, whatever the bridge is like. Every command has an option that there is not, too.
NONSENSE: dict[str, list[list[str]]] = {
    "pair": [["--name", "x" * 33], ["--name", ""], ["--bridge", "77"], [CODE], *SECRETS],
    "claim": [["--address", "foo"], ["--address", "1.2.3"], ["--bridge", "xyz"], ["foo"]],
    "token": [["--bridge", "xyz"], ["foo"]],
    "leave": [["--bridge", "xyz"], ["foo"]],
    "phones": [["--bridge", "xyz"], ["foo"]],
    "revoke": [["--bridge", "xyz", "Ada"], ["Ada", "foo"], []],
    "invite": [
        ["--role", "king"],
        ["--page", "http://page.example/"],
        ["--minutes", "0"],
        ["--minutes", "61"],
        ["--minutes", "x"],
        ["--bridge", "xyz"],
    ],
    "uninvite": [["--bridge", "xyz"], ["foo"]],
    "rename": [["Ada", "x" * 33], ["Ada", ""], ["Ada", "a\nb"], ["Ada"], ["--bridge", "xyz", "Ada", "Bob"]],
    "scan": [["--bridge", "xyz"], ["foo"]],
    "networks": [["Dorm"], ["--order"], ["--bridge", "xyz"]],
    "forget": [["x" * 33], [""], [], ["--bridge", "xyz", "Dorm"], ["Caf\udce9"]],
    "join": [
        *(["Caf\udce9", "--open"], ["Dorm", SECRET], ["Dorm", "--key", SECRET], ["Dorm", f"--password={SECRET}"]),
        ["x" * 33, "--open"],
        ["\u00e9" * 17, "--open"],
        ["", "--open"],
        [],
        ["--bridge", "xyz", "Dorm", "--open"],
        *(["Dorm", "--open", "--user", "ada", "--server", "s"], ["Dorm", "--server", "s"], ["Dorm", "--any-server"]),
        *(["Dorm", "--user", "ada"], ["Dorm", "--user", "ada", "--server", "s", "--any-server"], ["Dorm", "--pap"]),
        ["Dorm", "--user", "ada", "--any-server", "--pap"],
        *(["Dorm", "--user", "x" * 65, "--any-server"], ["Dorm", "--user", "", "--any-server"]),
        ["Dorm", "--user", "ada", "--server", "x" * 65],
        ["Dorm", "--user", "ada", "--server", ""],
        ["Dorm", "--user", "ada", "--any-server", "--anonymous", "x" * 65],
        ["Dorm", "--anonymous", "x"],
    ],
    "mode": [["bridge"], ["--bridge", "xyz"]],
    "hosts": [
        *(["nas.local"], ["10.66.0.1", "--none"], ["10.66.0.256"], ["--bridge", "xyz"]),
        [f"10.66.0.{n}" for n in range(1, 10)],
    ],
    "setup": [
        *(["--minutes", "0"], ["--minutes", "31"], ["--done", "--show"], ["--minutes", "5", "--done"]),
        *(["--speaker", "bedroom"], ["--bridge", "xyz"], ["foo"]),
    ],
    "ethernet": [["both"], ["--bridge", "xyz"], ["uplink", "segment"]],
    "services": [
        *([text] for text in ("1400", "tcp/0", "tcp/65536", "tcp/01400", "sctp/9", "tcp/1400x")),
        *([f"tcp/{n}" for n in range(1, 10)], ["--bridge", "xyz"]),
    ],
    "segment": [
        *(["--name", "x" * 33], ["--name", ""], ["--bridge", "xyz"], ["foo"]),
        *(["--key", SECRET], [f"--key={SECRET}"], ["--name", "My", SECRET]),
    ],
    "status": [["--bridge", "xyz"], ["--bridge", "0" * 17], ["foo"]],
    "blocked": [["--bridge", "xyz"], ["foo"]],
    "log": [["-n", "0"], ["--lines", "x"], ["--bridge", "xyz"]],
    "open": [["--address", "foo"], ["--bridge", "xyz"], ["foo"]],
    "reboot": [["--bridge", "xyz"], ["foo"]],
    "reset": [["--yes", "--bridge", "xyz"], ["foo"]],
    "demo": [["--ble", "loud"], ["foo"]],
    "dorm up": [["--ble", "loud"], ["--stack", "loud"], ["--mode", "bridge"], ["foo"]],
    "dorm status": [["foo"]],
    "dorm shell": [["nobody"], []],
    "dorm press": [["x"], ["99"], ["--", "-1"]],
    "dorm down": [["foo"]],
    "": [["nonsense"], ["--as", "nobody", "status"], ["--as"]],
    "dorm": [["nonsense"]],
    "board flash": [[], ["--board", "no-such"], ["--baud", "9600"], ["--page", "page.example"], ["foo"]],
    "page": [["foo"], ["--port", "x"], ["--port", "-1"], ["--port", "65536"]],
    "board label": [["foo"], ["--page", "https://page.example/?x"]],
    "board monitor": [["foo"]],
    "board shell": [["foo"]],
    "board deploy": [["foo"]],
    "board": [["nonsense"]],
}


def _commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    deeper = [_commands(command, (*path, name)) for name, command in getattr(group, "commands", {}).items()]
    return [path, *(found for below in deeper for found in below)]


@pytest.mark.parametrize("path", _commands(get_command(app)), ids=" ".join)
def test_wrong_usage(path: tuple[str, ...], home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 2, one line that says what is wrong, and nothing was done: with a bridge that would have done it."""
    pair()
    asked = len(bridge.heard)
    # `dorm shell` gives options that it does not know to the program that it runs.
    options = [] if path == ("dorm", "shell") else [["--no-such"]]
    for words in [*options, *NONSENSE[" ".join(path)]]:
        monkeypatch.setattr("sys.argv", ["speakeasy", *path, *words])
        result = run(*path, *words, stdin="correct horse\n")
        assert result.exit_code == 2, (words, result.output)
        assert result.stdout == "", words
        assert re.match("error: |Error: |Invalid value", result.stderr.strip().splitlines()[-1]), (words, result.stderr)
        assert CODE not in result.output
        assert SECRET not in result.output, "everybody who sees this terminal, or a job's log, could read it"
    assert len(bridge.heard) == asked


def test_exit_statuses_are_documented() -> None:
    """In one place, and nowhere else."""
    documented = re.findall(r"^\| (\d+) \| ", (topology.REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert [int(status) for status in documented] == [0, *sorted((FAILED, USAGE, NOT_REACHED, CTRL_C))]


def test_revoked_means_pair_again(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.phones = {b"another1": (bytes(32), "Zoë", "owner")}
    assert "setup code on its label" in refused("status", says="then `speakeasy pair`")
    refused("pair", stdin=CODE, says="Ask an owner for an invite")


def test_radio_failures_are_one_line(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_bridge: bytes | None, _timeout_s: float) -> MemoryLink:
        raise NotHeard("No bridge was heard within 20 s.")

    monkeypatch.setattr(reach, "find", nothing)
    line = refused("pair", stdin=CODE, says="No bridge was heard", status=3)
    assert "press its button, and for two minutes the code on its label lets this phone in" in line
    assert "an invite, which they make on their phone with `speakeasy invite`" in line
    assert "speakeasy open" not in line, "that lets phones in that are paired"


def test_no_radio_at_all(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real find(): the virtual radio's socket is not there."""
    monkeypatch.setenv("SPEAKEASY_AIR", str(tmp_path / "no such air"))
    refused("pair", stdin=CODE, says="dorm up", status=3)


@pytest.mark.parametrize(("screen", "slow"), [(True, True), (True, False), (False, True)])
def test_who_waits_for_a_bridge_is_told_so(screen: bool, slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(reach, "err", Console(force_terminal=screen, file=shown, soft_wrap=True))
    monkeypatch.setattr(reach, "SAY_SO_AFTER_S", 0.01 if slow else 600)

    async def search(bridge: bytes | None, timeout_s: float) -> MemoryLink:
        async with asyncio.timeout(60):
            while slow and screen and not shown.getvalue():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        raise NotHeard("nobody")

    monkeypatch.setattr(ble, "find", search)
    with pytest.raises(NotHeard):
        asyncio.run(reach.find(BRIDGE_ID, 20))
    assert ("Looking for the bridge over Bluetooth" in shown.getvalue()) == (screen and slow)


def test_the_commands_own_version(home: Path) -> None:
    """It needs no bridge: what a report of a fault is to say (SECURITY.md)."""
    project = tomllib.loads((topology.REPOSITORY / "pyproject.toml").read_text())["project"]
    said = run("--version")
    assert (said.exit_code, said.stdout) == (0, f"speakeasy {project['version']}, protocol version 1\n")


def test_two_bridges(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair()
    other = Bridge(bridge_id=b"8 bytes!", answers={"status": {**STATUS, "uplink": {**UPLINK, "addr": None}}})
    monkeypatch.setattr(reach, "find", other.find)
    result = pair()
    assert "on no network yet" in result.stdout
    refused("status", says="--bridge")
    assert json.loads(run("status", "--bridge", b"8 b".hex(), "--json").stdout)["uplink"]["addr"] is None
    refused("claim", "--bridge", b"8 bytes!".hex(), says="on no network")


def asked_at_its_old_address_first(
    home: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, answer: object
) -> list[str]:
    """The bridge has moved from 127.0.0.9, where nobody answers any more; the addresses at which `module.name` asks."""
    Store(home).saw(BRIDGE_ID, addr="127.0.0.9", claim_port=7780)
    asked: list[str] = []

    async def at(addr: str, port: int, **_: Any) -> object:
        asked.append(addr)
        if addr == "127.0.0.9":
            raise claims.Unreachable("nobody")
        return answer

    monkeypatch.setattr(module, name, at)
    return asked


def test_claim_asks_over_bluetooth_when_the_address_has_changed(
    home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    lease = claims.Lease("10.66.0.130", 43200, "mac")
    asked = asked_at_its_old_address_first(home, monkeypatch, claim_commands.claims, "claim", lease)
    result = run("claim")
    assert asked == ["127.0.0.9", "127.0.0.1"]
    assert "10.66.0.130" in result.stdout
    assert "12 hours" in result.stdout
    asked.clear()
    run("claim", "--address", "127.0.0.9")
    assert asked == ["127.0.0.9"], "an address that was given is not argued with"


def test_open_asks_over_bluetooth_when_the_address_has_changed(
    home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    asked = asked_at_its_old_address_first(home, monkeypatch, claims, "open_bluetooth", 300)
    assert "on for 5 minutes" in run("open").stdout
    assert asked == ["127.0.0.9", "127.0.0.1"]


def test_where_a_bridge_was_is_kept_while_it_is_on_no_network(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["status"] = {**STATUS, "uplink": with_state("joining")}
    assert run("status").exit_code == 0
    known = Store(home).get(BRIDGE_ID)
    assert known is not None
    assert known.addr == "127.0.0.1"  # it is back there soon, and its Bluetooth off


def test_a_bridge_with_evil_words(home: Path, bridge: Bridge) -> None:
    pair()
    evil = "[bold]\x1b[2J\nx"
    bridge.phones[b"another1"] = bytes(32), evil, "guest"
    bridge.answers["status"] = {**STATUS, "uplink": {**UPLINK, "ssid": evil}}
    for command in ("phones", "status"):
        shown = run(command).stdout
        assert "\x1b" not in shown
        assert "[bold]" in shown


def test_no_dorm(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAKEASY_RUN", str(tmp_path / "run"))
    for argv in (["dorm", "status"], ["dorm", "down"], ["dorm", "shell", "phone"], ["--as", "phone", "status"]):
        monkeypatch.setattr("sys.argv", ["speakeasy", *argv])
        refused(*argv, says="No dorm is up")


def test_each_counter_of_the_filter_has_words() -> None:
    header = (topology.REPOSITORY / "firmware/pktfilter/pf.h").read_text()
    names = set(re.findall(r"^ +X\((\w+)\)", header, re.MULTILINE)) - {"none"}
    assert len(names) > 30
    assert set(WORDS) == names


@pytest.mark.parametrize("path", _commands(get_command(app)), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert "<bool>" not in result.output, "a flag has no value"
    assert not re.search(r"^  [a-z]+  .*\.\.\.$", result.output, re.MULTILINE), "a command's line is cut off"
    for_people = [
        ("dorm",),
        ("dorm", "shell"),
        ("board",),
        *(("board", name) for name in ("monitor", "shell", "deploy")),
    ]
    if path and path not in for_people:
        assert "--json" in result.output


def test_mode_and_hosts(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["addressing"] = {"mode": "private", "hosts": ["10.66.0.9", "10.66.0.8"]}
    asked = len(bridge.heard)
    assert "is private: the speaker has an address of its own" in run("mode", "private").stdout
    assert json.loads(run("mode", "--json").stdout)["mode"] == "private"
    assert "10.66.0.9, 10.66.0.8" in run("hosts", "10.66.0.9", "10.66.0.8", "10.66.0.9").stdout
    assert json.loads(run("hosts", "--json").stdout)["hosts"] == ["10.66.0.9", "10.66.0.8"]
    bridge.answers["addressing"] = {"mode": "private", "hosts": []}
    assert "to no local machine" in run("hosts", "--none").stdout
    sent = [{k: v for k, v in r.items() if k != "id"} for r in bridge.heard[asked:] if r["op"] == "addressing"]
    assert sent == [
        {"op": "addressing", "mode": "private"},
        {"op": "addressing"},
        {"op": "addressing", "hosts": ["10.66.0.9", "10.66.0.8"]},
        {"op": "addressing"},
        {"op": "addressing", "hosts": []},
    ]


def test_hosts_that_are_none_are_not_sent(home: Path, bridge: Bridge) -> None:
    pair()
    asked = len(bridge.heard)
    refused("hosts", "nas.local", says="nas.local is no IPv4 address. Nothing was changed.", status=2)
    refused("hosts", "10.66.0.1", "--none", says="Nothing was changed", status=2)
    refused("hosts", *(f"10.66.0.{n}" for n in range(1, 10)), says="At most 8", status=2)
    assert len(bridge.heard) == asked


def test_status_shows_mode_and_hosts(home: Path, bridge: Bridge) -> None:
    pair()
    shown = run("status").stdout
    assert "passthrough: the speaker has the bridge's own address on the network (127.0.0.1)." in shown
    assert "may also reach" not in shown
    bridge.answers["status"] = {**STATUS, "mode": "private"}
    bridge.answers["addressing"] = {"mode": "private", "hosts": ["10.66.0.9"]}
    shown = run("status").stdout
    assert "phones use the bridge's (127.0.0.1)." in shown
    assert "may also reach 10.66.0.9." in shown
    bridge.answers["status"] = {**STATUS, "mode": "[bold]other"}
    assert "[bold]other" in run("status").stdout


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("up", "The bridge is on its cable, at 10.66.0.100."),
        ("joining", "waits for an address on its cable"),
        ("lost", "is lost: is it plugged in"),
        ("no-cable", "has no link: plug it in at both ends, or for Wi-Fi run `speakeasy ethernet segment`."),
        ("no-dhcp", "gives it no address"),
        ("unusable-address", "that no machine can have"),
        ("off", "The bridge starts."),
        ("by-pigeon", "by-pigeon"),
    ],
)
def test_status_of_an_uplink_by_cable(home: Path, bridge: Bridge, state: str, said: str) -> None:
    pair()
    uplink = {"state": state, "ssid": "", "addr": "10.66.0.100"}
    bridge.answers["status"] = {**STATUS, "ethernet": "uplink", "uplink": uplink}
    assert said in " ".join(run("status").stdout.split())


def test_status_of_a_speaker_by_cable(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["status"] = {**STATUS, "ethernet": "segment", "segment": {"state": "up", "speaker": None}}
    shown = run("status").stdout
    assert "plug it into the bridge's Ethernet" in shown
    assert "own Wi-Fi" not in shown
    assert "The bridge is on Dorm" in shown


# --- each command, what it asks and what it says ----------------------------------------------------------------------
def asked(bridge: Bridge, op: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in ("id", "op")} for r in bridge.heard if r["op"] == op]


COMMANDS: list[tuple[list[str], str, dict[str, Any], dict[str, Any], str, dict[str, Any]]] = [
    # words, operation, its answer, what is asked, what is said, what JSON has
    (["uninvite"], "uninvite", {}, {}, "No invite is out any more.", {"invites": 0}),
    (
        ["scan"],
        "scan",
        {"networks": [{"ssid": "[Dorm]\x1b", "rssi": -51, "security": "psk"}]},
        {"page": 0},
        "a key (WPA)",
        {"networks": [{"ssid": "[Dorm]\x1b", "rssi": -51, "security": "psk"}]},
    ),
    (
        ["networks"],
        "networks",
        {"networks": [{"ssid": "Dorm", "open": False}, {"ssid": "Cafe", "open": True}]},
        {"page": 0},
        " 2  Cafe (open)",
        {"networks": [{"ssid": "Dorm", "open": False}, {"ssid": "Cafe", "open": True}], "mac": None},
    ),
    (
        ["networks"],
        "networks",
        {"networks": [], "mac": "02:00:00:00:42:10"},
        {"page": 0},
        "the bridge's MAC is 02:00:00:00:42:10.",
        {"networks": [], "mac": "02:00:00:00:42:10"},
    ),
    (["forget", "Dorm"], "forget", {}, {"ssid": "Dorm"}, "has forgotten Dorm and its key", {"forgotten": "Dorm"}),
    (
        ["services"],
        "services",
        {"services": ["tcp/1400"]},
        {},
        "these ports of the speaker: tcp/1400.",
        {"services": ["tcp/1400"]},
    ),
    (
        ["services", "TCP/1400", "udp/1900", "tcp/1400"],
        "services",
        {"services": ["tcp/1400", "udp/1900"]},
        {"services": ["tcp/1400", "udp/1900"]},
        "tcp/1400, udp/1900.",
        {"services": ["tcp/1400", "udp/1900"]},
    ),
    (
        ["segment"],
        "segment",
        {"ssid": "Box", "key": "correct horse", "state": "up"},
        {},
        'network is called "Box", its key is "correct horse"; it is up.',
        {"ssid": "Box", "key": "correct horse", "state": "up"},
    ),
    (
        ["segment", "--name", "Box", "--key"],
        "segment",
        {"ssid": "Box", "key": "typed on input", "state": "up"},
        {"ssid": "Box", "key": "typed on input"},
        "Tell the speaker",
        {"key": "typed on input"},
    ),
    (
        ["ethernet"],
        "ethernet",
        {"ethernet": None, "now": None},
        {},
        "has no Ethernet",
        {"ethernet": None, "now": None},
    ),
    (
        ["ethernet"],
        "ethernet",
        {"ethernet": "segment", "now": "segment"},
        {},
        "The speaker is on the bridge's Ethernet;",
        {"ethernet": "segment", "now": "segment"},
    ),
    (
        ["ethernet", "uplink"],
        "ethernet",
        {"ethernet": "uplink", "now": "segment"},
        {"ethernet": "uplink"},
        "From the next start on: The dorm's network is on the bridge's Ethernet;",
        {"ethernet": "uplink", "now": "segment"},
    ),
    (
        ["setup"],
        "setup",
        {"left_s": 900, "seen": [], "forgotten": 0, "undecided": False, "speaker": None},
        {"open_s": 900},
        "two machines may be on the speaker's Wi-Fi",
        {"left_s": 900, "seen": [], "forgotten": 0, "undecided": False, "speaker": None},
    ),
    (
        ["setup", "--minutes", "30"],
        "setup",
        {"left_s": 1800, "seen": ["02:00:00:00:42:20"]},
        {"open_s": 1800},
        "was there: 02:00:00:00:42:20",
        {"left_s": 1800},
    ),
    (
        ["setup", "--done"],
        "setup",
        {"left_s": 0, "undecided": True},
        {"open_s": 0},
        "Until it is said, none is",
        {"undecided": True},
    ),
    (
        ["setup", "--show"],
        "setup",
        {"left_s": 0, "seen": ["02:00:00:00:42:99"], "forgotten": 0, "undecided": True},
        {},
        "setup --speaker 02:00:00:00:42:99",
        {"undecided": True},
    ),
    (
        ["segment"],
        "segment",
        {"ssid": "Box", "key": "correct horse", "state": "set-up"},
        {},
        "it is open for a second machine, to set the speaker up.",
        {"state": "set-up"},
    ),
    (
        ["setup", "--show"],
        "setup",
        {"left_s": 0, "seen": ["02:00:00:00:42:99"], "forgotten": 3, "undecided": True},
        {},
        "More machines were there than the bridge remembers",
        {"forgotten": 3},
    ),
    (
        ["setup", "--show"],
        "setup",
        {"left_s": 0, "seen": ["02:00:00:00:42:20"], "speaker": "02:00:00:00:42:20"},
        {},
        "A phone that was beside it still knows that Wi-Fi's key",
        {"speaker": "02:00:00:00:42:20"},
    ),
    (
        ["setup", "--speaker", "02:00:00:00:42:21"],
        "setup",
        {"left_s": 0, "seen": ["02:00:00:00:42:20"], "speaker": "02:00:00:00:42:21"},
        {"speaker": "02:00:00:00:42:21"},
        "It was not there lately: compare the MAC",
        {"speaker": "02:00:00:00:42:21"},
    ),
    (
        ["setup", "--speaker", "02:00:00:00:42:AB"],
        "setup",
        {"left_s": 0, "speaker": "02:00:00:00:42:ab"},
        {"speaker": "02:00:00:00:42:ab"},
        "The speaker is 02:00:00:00:42:ab, and no other machine: others are thrown out.",
        {"speaker": "02:00:00:00:42:ab"},
    ),
    (["setup", "--show"], "setup", {"left_s": 0}, {}, "one machine at a time", {"left_s": 0}),
    (["reboot"], "reboot", {}, {}, "starts again", {"rebooting": True}),
    (
        ["token"],
        "token",
        {"token": "ab" * 16, "url": "http://10.66.0.117:7780/t#abab"},
        {},
        "http://10.66.0.117:7780/t#abab",
        {"url": "http://10.66.0.117:7780/t#abab", "token": "ab" * 16},
    ),
    (
        ["invite"],
        "invite",
        {"invite": "A-B", "expires_s": 600},
        {"role": "guest", "expires_s": 600},
        "A-B",
        {"invite": "A-B"},
    ),
    (
        ["invite", "--role", "owner", "--minutes", "60"],
        "invite",
        {"invite": "A-B", "expires_s": 3600},
        {"role": "owner", "expires_s": 3600},
        "speakeasy:#invite=A-B",
        {"link": "speakeasy:#invite=A-B", "expires_s": 3600},
    ),
    (["log"], "log", {"lines": ["new", "old"]}, {"page": 0}, "old\nnew\n", {"lines": ["new", "old"]}),
    (
        ["token"],
        "token",
        {"token": "ab" * 16, "url": "http://10.66.0.117:7780/t#abab"},
        {},
        "this phone is out; `speakeasy claim` swaps them back.",
        {},
    ),
    (["log", "-n", "1"], "log", {"lines": ["new", "old"]}, {"page": 0}, "new\n", {"lines": ["new"]}),
]


@pytest.mark.parametrize(
    ("words", "op", "answer", "asks", "says", "tells"), COMMANDS, ids=[" ".join(case[0]) for case in COMMANDS]
)
def test_what_a_command_asks_and_says(
    words: list[str],
    op: str,
    answer: dict[str, Any],
    asks: dict[str, Any],
    says: str,
    tells: dict[str, Any],
    home: Path,
    bridge: Bridge,
) -> None:
    pair()
    bridge.answers[op] = answer
    said = run(*words, stdin="typed on input\n")
    assert said.exit_code == 0, said.output
    assert says in said.stdout
    assert "\x1b" not in said.stdout
    assert asked(bridge, op) == [asks]
    value = json.loads(run(*words, "--json", stdin="typed on input\n").stdout)
    assert value["bridge"] == BRIDGE_ID.hex()
    assert {name: value[name] for name in tells} == tells


def test_networks_in_another_order(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["networks"] = {"networks": [{"ssid": name, "open": False} for name in ("A", "B", "C")]}
    assert run("networks", "--order", "C", "B").exit_code == 0
    assert asked(bridge, "networks") == [{"page": 0}, {"order": ["C", "B", "A"]}, {"page": 0}]
    refused("networks", "--order", "D", says="remembers no network D. It remembers A, B, C.")
    for words in (["networks", "A"], ["networks", "--order"]):
        refused(*words, says="To change the order: `speakeasy networks --order SSID...`", status=2)


def test_rename(home: Path, bridge: Bridge) -> None:
    pair("--name", "Ada")
    bridge.answers["rename"] = {}
    assert run("rename", "Ada", "Ada's phone").stdout == "Ada is called Ada's phone now.\n"
    assert asked(bridge, "rename") == [{"phone": next(iter(bridge.phones)).hex(), "name": "Ada's phone"}]
    refused("rename", "Bob", "x", says="No paired phone is called 'Bob'")
    refused("rename", "Ada", "x" * 33, says="1 to 32", status=2)


@pytest.mark.parametrize("what", ["leave", "reset"])
def test_what_cannot_be_undone_is_asked_for(what: str, home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers[what] = {}
    refused(what, says="Say so with --yes. Nothing was changed.")
    assert asked(bridge, what) == []
    result = run(what, "--yes", "--json")
    assert json.loads(result.stdout)[{"leave": "left", "reset": "reset"}[what]] is True
    assert asked(bridge, what) == [{"bridge": BRIDGE_ID.hex()} if what == "reset" else {}]
    assert Store(home).bridges() == []


def test_what_leaving_means_is_said(home: Path, bridge: Bridge) -> None:
    """The last owner is told before nobody is left who could invite; the bridge itself refuses (SPEC 2.4)."""
    pair()
    refused("leave", says="It has to have another owner")
    refused("leave", "--here-only", says="nobody can manage the bridge any more: its button, held for ten seconds")
    Store(home).forget(BRIDGE_ID)
    bridge.phones = {b"another1": (bytes(32), "Zo\u00eb", "owner")}
    bridge.invites[bytes(8)] = bytes(16), "guest"
    run("pair", "--no-claim", stdin=codes.write(bytes(24)))
    refused("leave", says="Only an invite, or its label when its button was pressed")


@pytest.mark.parametrize(
    ("word", "status"), [("busy", 3), ("unseen", 3), ("slow-down", 3), ("full", 1), ("bad-proof", 1)]
)
def test_a_claim_that_may_work_later_ends_as_not_reached(
    word: str, status: int, home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()

    async def claim(addr: str, port: int, **_: Any) -> claims.Lease:
        raise claims._refusal(503, {"error": word})

    monkeypatch.setattr(claims, "claim", claim)
    refused("claim", status=status)


def test_an_invite_that_is_no_more(home: Path, bridge: Bridge) -> None:
    """Used, called back or too old, and no other one is out: the bridge answers as to a label's code (SPEC 2.2)."""
    bridge.phones = {b"another1": (bytes(32), "Zo\u00eb", "owner")}
    bridge.lie = lambda _connection, what, messages: [b"\x05\x04"] if what == "challenge" else messages
    refused("pair", stdin=codes.write(bytes(24)), says="This invite is not good any more: it was used, called back")
    refused("pair", stdin=CODE, says="This bridge has an owner already, and no invite is out. Ask an owner")


def test_who_is_locked_out_hears_of_the_button(home: Path, bridge: Bridge) -> None:
    bridge.lie = lambda _connection, what, messages: [b"\x05\x03"] if what == "challenge" else messages
    refused("pair", stdin=CODE, says="or press the button on the bridge, which takes codes for two minutes at once")


def test_leaving_a_bridge_that_is_gone(home: Path, bridge: Bridge) -> None:
    pair()
    refused("leave", "--yes", says="Only an owner may do that")  # what this one says to what it does not know
    bridge.phones = {b"another1": (bytes(32), "Zo\u00eb", "owner")}
    refused("leave", "--yes", says="To forget it here, too: `speakeasy leave --here-only`.")
    assert Store(home).choose(None).id == BRIDGE_ID
    assert run("leave", "--yes", "--here-only").exit_code == 0
    assert Store(home).bridges() == []


@pytest.mark.parametrize("text", ["1400", "tcp/0", "tcp/65536", "tcp/01400", "sctp/9", "tcp/1400x"])
def test_services_that_are_none(text: str, home: Path, bridge: Bridge) -> None:
    refused("services", text, says="it would look like tcp/1400. Nothing was changed.", status=2)
    refused("services", *(f"tcp/{n}" for n in range(1, 10)), says="At most 8", status=2)


def test_log_has_the_names_of_phones(home: Path, bridge: Bridge) -> None:
    pair("--name", "Ada [x]")
    own, gone = next(iter(bridge.phones)).hex(), "0123456789abcdef"
    lines = [f"[9] policy: phone {own} is let in from 10.66.0.7", f"[5] operations: phone {gone} is shut out"]
    bridge.answers["log"] = {"lines": lines}
    said = run("log").stdout.splitlines()
    assert said == [lines[1], "[9] policy: phone Ada [x] is let in from 10.66.0.7"]
    assert json.loads(run("log", "--json").stdout)["lines"] == lines


def test_log_goes_on_until_there_is_enough(home: Path, bridge: Bridge) -> None:
    pair()
    bridge.answers["log"] = {"lines": ["a", "b"], "more": True}
    assert run("log", "-n", "5").stdout.splitlines() == ["a", "b", "a", "b", "a"][::-1]
    assert asked(bridge, "log") == [{"page": n} for n in range(3)]


def test_status_says_how_bluetooth_is(home: Path, bridge: Bridge) -> None:
    pair()
    for state, left_s, says in (
        ("window", 90, "the button was pressed: the setup code and invites are taken, for another 90 seconds."),
        ("managed", None, "on for the phones that are paired."),
        ("closed", None, "off."),
        ("[bold]", 5, "[bold], for another 5 seconds."),
    ):
        bridge.answers["status"] = {**STATUS, "ble": {"state": state, "left_s": left_s}}
        assert says in run("status").stdout


# --- reaching the bridge ----------------------------------------------------------------------------------------------
class Closed:
    """A bridge whose Bluetooth is off until it is asked on the network to switch it on."""

    def __init__(self, bridge: Bridge, refusal: SpeakeasyError | None = None) -> None:
        self.bridge, self.refusal = bridge, refusal
        self.asked = asyncio.Event()

    async def find(self, bridge: bytes | None, timeout_s: float) -> MemoryLink:
        try:
            await asyncio.wait_for(self.asked.wait(), 5 if self.refusal is None else 0.1)
        except TimeoutError:
            raise NotHeard("No bridge was heard within 20 s.") from None
        return await self.bridge.find(bridge, timeout_s)

    async def open_bluetooth(self, addr: str, port: int, *, bridge: bytes, phone: bytes, key: bytes) -> int:
        assert (addr, port, bridge) == ("127.0.0.1", 7780, BRIDGE_ID)
        assert self.bridge.phones[phone][0] == key
        if self.refusal is not None:
            raise self.refusal
        self.asked.set()
        return 300

    def instead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reach, "find", self.find)
        monkeypatch.setattr(reach, "KNOCK_AFTER_S", 0.01)
        monkeypatch.setattr(claims, "open_bluetooth", self.open_bluetooth)


def test_an_owner_opens_a_closed_bridge_in_passing(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair()
    Closed(bridge).instead(monkeypatch)
    result = run("status")
    assert result.exit_code == 0
    assert result.stderr == ""


def test_why_a_closed_bridge_stays_closed(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair()
    Closed(bridge, claims.ClaimRefused("busy", "The bridge is busy.")).instead(monkeypatch)
    line = refused("status", says="heard within 20 s. Asked on the network: The bridge is busy. A bridge", status=3)
    assert line.endswith("or run `speakeasy open --address ADDR`."), "it did what `speakeasy open` does"


def test_a_guest_does_not_ask(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.phones[b"another1"] = bytes(32), "Zoë", "owner"
    bridge.invites[bytes(8)] = bytes(16), "guest"
    run("pair", "--no-claim", stdin=codes.write(bytes(24)))
    Closed(bridge, AssertionError()).instead(monkeypatch)  # type: ignore[arg-type]
    monkeypatch.setenv("SPEAKEASY_AS", "laptop")
    line = refused("status", says="press its button", status=3)
    assert "Asked" not in line
    assert line.endswith("or have an owner run `speakeasy open`."), "on a machine of their own: without our --as"


def test_an_owner_who_does_not_know_where_the_bridge_is(
    home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    Store(home).saw(BRIDGE_ID, addr=None, claim_port=7780)
    Closed(bridge, AssertionError()).instead(monkeypatch)  # type: ignore[arg-type]
    monkeypatch.setenv("SPEAKEASY_AS", "phone")
    line = refused("status", says="press its button", status=3)
    assert line.endswith("or run `speakeasy --as phone open --address ADDR`.")


def test_open(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair()
    closed = Closed(bridge)
    closed.instead(monkeypatch)
    assert "Bluetooth is on for 5 minutes" in run("open").stdout
    assert json.loads(run("open", "--json").stdout) == {"bridge": BRIDGE_ID.hex(), "open_s": 300}
    nobody = claims.Unreachable("No bridge answers.")
    Closed(bridge, nobody).instead(monkeypatch)
    refused("open", "--address", "127.0.0.1", says="No bridge answers.", status=3)
    # It may have moved; but its Bluetooth is off: its owner has found it already, or it has no power.
    Closed(bridge, nobody).instead(monkeypatch)
    refused("open", says="No bridge was heard", status=3)
    Store(home).saw(BRIDGE_ID, addr=None, claim_port=7780)
    Closed(bridge, nobody).instead(monkeypatch)
    refused("open", says="No bridge was heard", status=3)


# --- being let in -----------------------------------------------------------------------------------------------------
def test_pairing_lets_in(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim(addr: str, port: int, **_: Any) -> claims.Lease:
        return claims.Lease("10.66.0.130", 43200, "mac")

    monkeypatch.setattr(claims, "claim", claim)
    result = run("pair", stdin=CODE)
    assert "The speaker is at 127.0.0.1. You are in, from 10.66.0.130: this machine" in result.stdout
    assert json.loads(run("pair", "--json", stdin=CODE).stdout)["lease"] == {
        "addr": "10.66.0.130",
        "lease_s": 43200,
        "by": "mac",
        "segment": None,
        "speaker": None,
    }


@pytest.mark.parametrize(
    ("segment", "speaker", "says"),
    [
        ("up", True, None),
        (None, None, None),
        ("up", False, "But the speaker is not there: switch it on"),
        ("set-up", False, "But no music plays while the speaker is being set up: when that is done, {}setup --done`."),
        ("undecided", False, "But no music plays until an owner says who is the speaker: {}setup --speaker MAC`."),
        ("down", False, "But the speaker's own network is not up yet: wait a minute"),
        ("new", True, None),
    ],
)
def test_let_in_to_what(segment: str | None, speaker: bool | None, says: str | None) -> None:
    lease = claims.Lease("10.66.0.130", 43200, "mac", segment, speaker)
    for role, run_it in (("owner", "run `speakeasy "), ("guest", "have an owner run `speakeasy ")):
        said = lease_sentence(lease, role)
        assert said.startswith("You are in, from 10.66.0.130: this machine, until 12 hours go by without traffic.")
        assert (says is None) == said.endswith("without traffic.")
        assert says is None or says.format(run_it) in said


def test_not_being_let_in_is_no_failure_of_pairing(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim(addr: str, port: int, **_: Any) -> claims.Lease:
        raise claims.Unreachable("No bridge answers at 127.0.0.1.")

    monkeypatch.setattr(claims, "claim", claim)
    result = run("pair", stdin=CODE)
    assert result.exit_code == 0
    assert "Not yet: No bridge answers" in result.stderr
    assert json.loads(run("pair", "--json", stdin=CODE).stdout)["lease"] is None


def test_claim_keep_until_ctrl_c(home: Path, bridge: Bridge) -> None:
    """The real command in a process of its own; nobody answers where the bridge was."""
    pair()
    command = [sys.executable, "-m", "speakeasy.cli", "claim", "--keep", "--json", "--address", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (line["event"], line["what"]) == ("trouble", "No bridge answers at 127.0.0.1 (port 7780).")
    assert process.returncode == 130
    assert "Traceback" not in said


def test_ctrl_c_before_the_command_is_loaded(home: Path, tmp_path: Path) -> None:
    """Loading it takes a second, more on a small computer; a library that takes for ever holds it there."""
    (tmp_path / "typer.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)\n")
    command = [sys.executable, "-m", "speakeasy.cli", "status"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_that_lacks_letters(encoding: str, home: Path) -> None:
    """What a bridge's phones are called is up to them. No dorm is up there, and it says so."""
    name = "\u65e5\u672c \U0001f600"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "SPEAKEASY_RUN": str(home / name)}
    done = subprocess.run(
        [sys.executable, "-m", "speakeasy.cli", "dorm", "status"], env=environment, capture_output=True, check=False
    )
    shown = name.encode(encoding, "backslashreplace")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: No dorm is up in ")
    assert shown in done.stderr


@pytest.mark.parametrize("command", [["pair"], ["join", "Dorm"]], ids=" ".join)
def test_input_that_is_no_text(command: list[str], home: Path, bridge: Bridge) -> None:
    done = CliRunner().invoke(app, command, input=b"caf\xe9 at noon\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no text in UTF-8" in done.stderr


# --- codes to be scanned ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("screen", [True, False])
def test_an_invite_is_drawn_on_a_screen_alone(
    screen: bool, home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair()
    bridge.answers["invite"] = {"invite": codes.write(bytes(24)), "expires_s": 600}
    shown = io.StringIO()
    console = Console(force_terminal=screen, color_system="standard", file=shown, highlight=False, soft_wrap=True)
    for module in (phone_commands, terminal):
        monkeypatch.setattr(module, "out", console)
    assert run("invite").exit_code == 0
    drawn = "".join(c for c in shown.getvalue() if c in "\u2580\u2584\u2588\n ")
    expected = links.qr(links.write(links.INVITE, codes.write(bytes(24))))
    assert (expected.replace("\n", "") in drawn.replace("\n", "")) == screen


def test_an_invite_to_the_phone_page(home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair()
    text = codes.write(bytes(24))
    bridge.answers["invite"] = {"invite": text, "expires_s": 600}
    alone = run("invite").stdout
    assert f"speakeasy:#invite={text}" in alone and "https:" not in alone
    assert json.loads(run("invite", "--json").stdout)["page_link"] is None
    monkeypatch.setenv(links.PAGE_VARIABLE, "https://page.example/p")
    both = run("invite").stdout
    link = f"https://page.example/p#invite={text}"
    assert f"speakeasy:#invite={text}" in both and link in both.splitlines()
    assert "open the last link, in a browser with Bluetooth" in both and "`speakeasy pair`" in both
    assert json.loads(run("invite", "--json").stdout)["page_link"] == link
    assert json.loads(run("invite", "--json", "--page", "http://localhost:7781").stdout)["page_link"] == (
        f"http://localhost:7781/#invite={text}"
    )
    asked = len(bridge.heard)
    monkeypatch.setenv(links.PAGE_VARIABLE, "page.example")
    refused("invite", says="no address of a phone page", status=2)
    assert len(bridge.heard) == asked


# --- how it was called ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("argv", "environment", "says"),
    [
        ("/elsewhere/.venv/bin/speakeasy", {}, "/elsewhere/.venv/bin/speakeasy"),
        (".venv/bin/speakeasy", {}, ".venv/bin/speakeasy"),
        ("/my tools/speakeasy", {}, "'/my tools/speakeasy'"),
        ("{path}/speakeasy", {}, "speakeasy"),
        ("/x/.venv/bin/speakeasy", {"SUDO_COMMAND": "/x/.venv/bin/speakeasy status"}, "sudo /x/.venv/bin/speakeasy"),
        ("/x/speakeasy", {"SUDO_COMMAND": "/usr/bin/make demo"}, "/x/speakeasy"),
        ("/x/cli.py", {"SPEAKEASY_CALLED": "sudo speakeasy", "SPEAKEASY_AS": "phone"}, "sudo speakeasy --as phone"),
        ("/x/cli.py", {}, f"{Path(sys.executable).name} -m speakeasy.cli"),
        ("/x/pytest", {}, "speakeasy"),
    ],
)
def test_hints_name_the_command_as_it_was_called(
    argv: str, environment: dict[str, str], says: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "speakeasy"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [argv.format(path=tmp_path), "status"])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refused("status", says=f"Start with `{says} pair`.")


def test_whose_command_a_hint_names(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "`speakeasy claim` `speakeasy dorm up` `~speakeasy invite` `speakeasy`"
    for name in CALLED:
        monkeypatch.delenv(name, raising=False)
    assert terminal.as_called(text) == text.replace("~", "")
    monkeypatch.setenv("SPEAKEASY_CALLED", "sudo x/speakeasy")
    monkeypatch.setenv("SPEAKEASY_AS", "phone")
    assert terminal.as_called(text) == (
        "`sudo x/speakeasy --as phone claim` `sudo x/speakeasy dorm up` "
        "`speakeasy invite` `sudo x/speakeasy --as phone`"
    )


@pytest.mark.parametrize("role", ["owner", "guest"])
def test_who_has_to_run_what_is_for_owners(
    role: str, home: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.phones[b"another1"] = bytes(32), "Zo\u00eb", "owner"
    bridge.invites[bytes(8)] = bytes(16), role
    bridge.answers["status"] = {**STATUS, "uplink": {"state": "off"}, "segment": {"state": "up", "speaker": None}}
    monkeypatch.setenv("SPEAKEASY_AS", "laptop")
    who = {"owner": "run `speakeasy --as laptop ", "guest": "have an owner run `speakeasy "}[role]
    choose = {
        "owner": f"{who}scan`, which lists what there is, then `speakeasy --as laptop join SSID`.",
        "guest": f"{who}join SSID`.",
    }[role]
    assert f"on no network yet: {choose}" in run("pair", stdin=codes.write(bytes(24))).stdout
    refused("claim", says=f"See `speakeasy --as laptop status`, or {choose}")
    shown = run("status").stdout
    assert f"knows no network: {choose}" in shown
    assert f"{who}segment`." in shown


def test_who_a_person_of_the_dorm_is_called_as() -> None:
    entered = people.person_environment(Path("/run/x"), "phone")
    assert entered["PYTHON_KEYRING_BACKEND"] == "keyring.backends.null.Keyring", "what they keep stays in the dorm"
