"""The virtual dorm from outside: what is said when it is not there, or somebody else's. No dorm is started here."""

import fcntl
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from dorm import daemon, people, topology
from dorm.dorm import LOCK
from dorm.errors import DormError
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
            with pytest.raises(DormError, match="A demo or a test has its dorm"):
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
        "bridge": {"running": True, "boots": 1, "address": address, "label": label},
        "speaker": {"address": speaker, "fitting": fitting, "state": None},
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
    assert "The dorm's Wi-Fi: Dorm [x], key correct horse" in capsys.readouterr().out


def test_programs_of_this_installation_come_first(tmp_path: Path) -> None:
    assert people.person_environment(tmp_path, "phone")["PATH"].startswith(f"{Path(sys.executable).parent}:")


def test_every_variable_that_holds_a_secret_is_kept_from_the_people_of_the_dorm() -> None:
    held = {networks.KEY_VARIABLE, speaker.SEGMENT_KEY_VARIABLE, "SPEAKEASY_CODE", "SPEAKEASY_INVITE"}
    assert held <= set(dorm_commands.SECRET_VARIABLES)
