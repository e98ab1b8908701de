"""The virtual dorm from outside: what is said when it is not there, or somebody else's. No dorm is started here."""

import fcntl
import importlib
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from dorm import daemon, intruder, people, topology
from dorm.dorm import LOCK
from dorm.errors import DormError
from speakeasy import demo
from speakeasy.commands import dorm as dorm_commands
from speakeasy.commands import networks, speaker


def test_a_dorm_that_is_somebody_elses(tmp_path: Path) -> None:
    with pytest.raises(DormError, match="No dorm is up"):
        daemon.status(tmp_path)
    with open(tmp_path / LOCK, "wb") as lock:
        with pytest.raises(DormError, match="No dorm is up"):
            daemon.down(tmp_path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for ask in (daemon.status, daemon.down):
            with pytest.raises(DormError, match="is coming up or going down, or a demo or a test has it"):
                ask(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"namespaces": []}', '{"namespaces": {}, "homes": 3}'])
def test_a_damaged_description(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "require_root", lambda: None)
    (tmp_path / "dorm.json").write_text(text)
    with pytest.raises(DormError, match="No dorm is up"):
        daemon.entry("phone", tmp_path)
    (tmp_path / "dorm.json").write_text(json.dumps({"namespaces": {"phone": "/proc/self"}, "homes": {}}))
    assert daemon.entry("phone", tmp_path)[2] == str(tmp_path)


def _state(
    label: list[str] | None, address: str | None, speaker: str | None, fitting: str | None = None
) -> dict[str, Any]:
    return {
        "run_dir": "/run/x",
        "bridge": {"running": True, "boots": 1, "address": address, "label": label, "mode": "private"},
        "speaker": {
            "address": speaker,
            "fitting": fitting,
            "state": None,
            "joined": speaker is not None,
            "wifi": {"ssid": "Box", "key": "only for [it]"},
        },
        "people": {"phone": "10.66.0.130"},
        "radio": topology.RADIO_URL,
        "wifi": {"ssid": "Dorm [x]", "key": "correct horse"},
    }


@pytest.mark.parametrize("fitting", ["10.66.0.117", "192.168.77.2"], ids=["passthrough", "private"])
def test_up_waits_until_there_is_something_to_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fitting: str
) -> None:
    label, x = ["b0b1", "CODE"], "10.66.0.117"
    other = {"10.66.0.117": "192.168.77.2", "192.168.77.2": "10.66.0.117"}[fitting]
    whole = _state(label, x, fitting, fitting)
    states = [
        _state(None, None, None),
        _state(label, None, None),
        _state(label, x, None),
        _state(label, x, None, fitting),
        _state(label, x, other, fitting),
        whole,
    ]
    monkeypatch.setattr(daemon, "status", lambda _run_dir: states.pop(0))
    monkeypatch.setattr(daemon.time, "sleep", lambda _s: None)
    assert daemon.settled() == whole
    assert states == []
    states.append(_state(None, None, None))
    assert daemon.settled(limit_s=-1)["bridge"]["label"] is None
    dorm_commands.show(whole)
    said = capsys.readouterr().out
    assert 'The dorm\'s Wi-Fi is called "Dorm [x]", its key is "correct horse"' in said
    assert 'The speaker joins the Wi-Fi "Box" with the key "only for [it]"' in said
    assert "not on the bridge's Wi-Fi" not in said
    assert "running, boot 1, private" in said


def test_a_speaker_that_knows_another_network(capsys: pytest.CaptureFixture[str]) -> None:
    """After a factory reset, for one: the bridge's own Wi-Fi has another name and key then."""
    dorm_commands.show(_state(["b0b1", "CODE"], None, None))
    said = capsys.readouterr().out
    assert re.search(r"speaker +\S+ +- +\S+ +not on the bridge's Wi-Fi", said)
    assert 'joins the Wi-Fi "Box" with the key "only for [it]"' in said


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (10.0, "the bridge starts again, as new, on no network."),
        (0.01, "too short for a press, nothing was done."),
        (0.3, "for two minutes the code on the label lets phones pair, the first as its owner"),
        (9.9, "for two minutes"),
    ],
)
def test_what_a_press_does(
    seconds: float, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pressed = []

    def press(_run_dir: Path | None, seconds: float) -> bool:
        pressed.append(seconds)
        return resets and seconds >= 10

    resets = True
    monkeypatch.setattr(daemon, "press", press)
    dorm_commands.press(seconds)
    assert pressed == [seconds]
    assert says in capsys.readouterr().out
    resets = False
    if seconds >= 10:
        with pytest.raises(typer.Exit) as caught:
            dorm_commands.press(seconds)
        assert caught.value.exit_code == 1
        assert "did not reset itself" in capsys.readouterr().err


def test_programs_of_this_installation_come_first(tmp_path: Path) -> None:
    assert people.person_environment(tmp_path, "phone")["PATH"].startswith(f"{Path(sys.executable).parent}:")


def test_every_variable_that_holds_a_secret_is_kept_from_the_people_of_the_dorm() -> None:
    held = {networks.KEY_VARIABLE, speaker.SEGMENT_KEY_VARIABLE, "SPEAKEASY_CODE", "SPEAKEASY_INVITE"}
    assert held <= set(dorm_commands.SECRET_VARIABLES)


# --- what may be run by hand ------------------------------------------------------------------------------------------
PROGRAMS = ("speakeasy.cli", "dorm", "dorm.controller", "dorm.intruder", "dorm.internet", "dorm.speaker")
PLAY = ["play", "uri=http://radio.test/radio/128.mp3"]
WRONG: list[tuple[str, list[str]]] = [
    ("dorm", ["run", "nobody", "true"]),
    ("dorm", ["serve", "--ble", "loud"]),
    ("dorm", ["serve", "--mode", "bridge"]),
    *(
        ("dorm.controller", ["--at", "10.66.0.1", *words])
        for words in (["dance"], ["play"], [*PLAY, "set=1"], ["stop", "x"])
    ),
    *(("dorm.controller", ["volume", f"set={value}"]) for value in ("loud", "true", "1.5", "")),
    *(("dorm.controller", [*PLAY, word]) for word in ("patience=x", "title", "uri")),
    *(
        ("dorm.controller", words)
        for words in (["--at", "speaker", *PLAY], ["subscribe", "service=x"], ["do"], ["_it"])
    ),
    *(
        ("dorm.intruder", ["scan", "10.66.0.1", ports])
        for ports in ("99999", "0", "5-3", "1-", "-5", "x", "", "1,,2", "\u0661")
    ),
    *(("dorm.intruder", ["scan", address, "1400"]) for address in ("foo", "10.66.0", "10.66.0.256", "")),
    *(("dorm.intruder", ["scan", "10.66.0.1", "1400", *o]) for o in (["--timeout", "nan"], ["--timeout", "-1"])),
    *(("dorm.intruder", ["scan", "10.66.0.1", "1400", *o]) for o in (["--at-once", "0"], ["--at-once", "100000"])),
    ("dorm.intruder", ["udp", "10.66.0.1", "70000"]),
    ("dorm.intruder", ["discover", "--target", "foo"]),
    ("dorm.intruder", ["get", "10.66.0.1", "status"]),
    ("dorm.intruder", ["take", "10.66.0.1", "--prefix", "33"]),
    ("dorm.intruder", ["arp-spoof", "10.66.0.1", "02:00", "10.66.0.1"]),
    ("dorm.intruder", ["syn-flood", "10.66.0.1", "02:00:00:00:42:30", "--spoof", "foo"]),
    ("dorm.internet", []),
    ("dorm.speaker", ["wlan0", "lease", "control", "first"]),
]


def program(module: str, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("module", PROGRAMS)
def test_every_program_explains_itself(module: str) -> None:
    done = program(module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: " in done.stdout.lower()
    wrong = program(module, "--no-such")
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.parametrize(
    ("module", "words"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_values_that_cannot_be(
    module: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(f"{module}.__main__" if module in ("dorm", "dorm.speaker") else module).main
    monkeypatch.setattr(sys, "argv", [module, *words])
    try:
        status = main()
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "error: " in said.err.splitlines()[-1]


@pytest.mark.parametrize(
    "words", [["take", "10.66.0.1"], ["discover"], ["syn-flood", "10.66.0.1", "02:00:00:00:42:30"]]
)
def test_a_tool_that_cannot_work_here_says_so_in_one_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(intruder, "PERSON_IF", "nobodys0")
    monkeypatch.setattr(sys, "argv", ["intruder", *words])
    assert intruder.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {words[0]}: ")
    assert len(said.err.splitlines()) == 1


def test_what_the_demo_asks_of_the_intruder_can_be() -> None:
    parse = intruder._parser().parse_args
    options = (f"--timeout={demo.PORT_WAIT_S}", f"--at-once={demo.PORTS_AT_ONCE}")
    assert len(parse(["scan", "10.66.0.1", demo.TCP_PORTS, *options]).ports) == demo.DOORS
    assert len(parse(["udp", "10.66.0.1", demo.UDP_PORTS, "--seconds=0.5"]).ports) > 1


def hears_ctrl_c() -> None:
    """Not so below a shell's `make test &`: what is started there would go on ignoring it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("module", ["dorm.intruder", "dorm.controller"])
def test_ctrl_c_ends_a_tool_quietly(module: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(120)
        words = ["udp", "127.0.0.1", str(silent.getsockname()[1]), "--seconds", "600"]
        command = [sys.executable, "-m", module, *(words if module == "dorm.intruder" else [])]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hears_ctrl_c,
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            if module == "dorm.intruder":
                silent.recv(2048)  # it is at work
            else:
                process.stdin.write("nonsense\n")
                process.stdin.flush()
                assert "error" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=120)
    assert (process.returncode, *said) == (130, "", "")


def test_a_conversation_outlives_what_is_no_request() -> None:
    done = program("dorm.controller", stdin='nonsense\n[]\n{"do": "dance"}\n{"do": "stop"}\n')
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [answer["kind"] for answer in answers] == ["ValueError"] * 3 + ["LookupError"]
    assert "no speaker yet" in answers[3]["error"]
