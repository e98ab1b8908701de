"""The plug is pulled (SIGKILL) at every operation on the flash, of every save and of the factory reset; then the board
boots. What it finds is the old state or the new one; after a reset no secret is left in any file.

`powercut.c` kills the board's own process in front of an operation, or in the middle of a write. Each test cuts later
and later, until the process comes to its end.
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dorm import topology
from sim_bench import LIMIT_S, Bench

HERE = Path(__file__).parent
MOST_OPERATIONS = 100
WIFI_KEY = "correct horse"
FOREIGN = {  # what else the bridge and its Bluetooth stack may leave; the last is MicroPython's own
    "ble_secrets.json": "secret of the Bluetooth stack",
    "settings.bad": "secret of damaged settings",
    "identity.bad": "secret of a damaged identity",
    "provision.bad": "secret of a wrong provision",
    "settings.json.new": "secret of half a save",
    "lockout.json.new": "secret of half another save",
    "boot.py": "# MicroPython's own",
}
PROVISION = {"uplink": {"ssid": "Provided", "key": "provided horse"}}

BEGIN = """
import json
import os
from speakeasy import factory, identity
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from speakeasy.phones import Phones
from speakeasy.reached import Reached
from speakeasy.settings import Settings

files = Files()
X, Y = bytes((10, 66, 0, 100)), bytes((10, 66, 0, 101))
"""
# As app.main() does it.
BOOT = """
done = factory.finish(files)
me = identity.load(files)
settings = Settings(files, me.bridge_id)
settings.import_provision()
phones = Phones(settings)
lockout = Lockout(files)
reached = Reached(files, phones)
"""
LIFE = """
settings.remember_network("Dorm", "correct horse")
for role in ("owner", "guest", "owner"):
    phones.add(phones.draft("Ada", role))
for _ in range(6):
    lockout.wrong()
reached.moved(X)
reached.by_owner()
"""
TELL = """
state = {
    "id": me.bridge_id.hex(),
    "code": me.setup_code.hex(),
    "damaged": settings.damaged,
    "uplinks": settings.uplinks,
    "segment": settings.segment,
    "mode": settings.mode,
    "phones": phones.all(),
    "wrong": lockout._count,
    "known": reached._known.hex(),
}
print("state: " + json.dumps(state))
"""
STEPS = {
    "join": 'settings.remember_network("Other", "another horse")',
    "enrol": 'phones.add(phones.draft("Bob", "guest"))',
    "revoke": 'phones.remove(phones.all()[0]["id"])',
    "several settings": 'settings.change(mode="private", hosts=["10.66.0.9"])',
    "a wrong proof": "lockout.wrong()",
    "a good proof": "lockout.good()",
    "an owner at another address": "reached.moved(Y)\nreached.by_owner()",
    "a provision": f"""
with open("given.json", "w") as f:
    f.write({json.dumps(PROVISION)!r})
    f.flush()
os.rename("given.json", "provision.json")
settings.import_provision()
""",
}


class Power:
    """Runs the board's process on a flash, with the plug pulled or without."""

    def __init__(self, directory: Path) -> None:
        self.shim = directory / "powercut.so"
        source = HERE / "powercut.c"
        subprocess.run(
            ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", self.shim, source, "-ldl"],
            check=True,
        )
        self.life = directory / "life"
        self.life.mkdir()
        self.state = self.boot(self.life, LIFE)
        for name, text in FOREIGN.items():
            (self.life / name).write_text(text)
        self.flash = directory / "flash"

    def environment(self, at: int, loses: bool) -> dict[str, str]:
        cut = {"LD_PRELOAD": str(self.shim), "POWERCUT_AT": str(at)} if at else {}
        return cut | ({"POWERCUT_LOSES": "1"} if loses else {})

    def run(self, flash: Path, program: str, at: int = 0, *, loses: bool = False) -> subprocess.CompletedProcess[str]:
        """`at`: the operation that is cut; 0: none."""
        return subprocess.run(
            [topology.SIM_BINARY, "-X", "heapsize=256K", "-c", program],
            cwd=flash,
            env={"PATH": os.environ["PATH"], "MICROPYPATH": ".frozen", **self.environment(at, loses)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def cut(self, program: str, at: int, *, loses: bool) -> bool:
        """Runs it on a fresh copy of a life; whether it was cut. It must end well where it was not."""
        shutil.rmtree(self.flash, ignore_errors=True)
        shutil.copytree(self.life, self.flash)
        done = self.run(self.flash, program, at, loses=loses)
        if done.returncode == -signal.SIGKILL:
            return True
        assert done.returncode in (0, 3), done.stdout + done.stderr  # 3: it has reset itself
        return False

    def boot(self, flash: Path, more: str = "") -> dict[str, Any]:
        """What a board finds that boots on this flash."""
        done = self.run(flash, BEGIN + BOOT + more + TELL)
        assert done.returncode == 0, done.stdout + done.stderr
        state = next(line for line in done.stdout.splitlines() if line.startswith("state: "))
        found = json.loads(state.removeprefix("state: "))
        assert isinstance(found, dict)
        return found

    def secrets(self) -> list[str]:
        keys = [self.state["segment"]["key"], *(n["key"] for n in self.state["uplinks"])]
        phones = [text for phone in self.state["phones"] for text in (phone["key"], phone["id"])]
        assert WIFI_KEY in keys
        assert len(phones) == 6
        return [*keys, *phones, *(text for name, text in FOREIGN.items() if name != "boot.py"), "10.66.0.100"]

    def left(self, flash: Path) -> list[str]:
        """Which secrets of that life stand in any file."""
        there = b"".join(path.read_bytes() for path in flash.iterdir())
        return [secret for secret in self.secrets() if secret.encode() in there]


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory) -> Power:
    return Power(tmp_path_factory.mktemp("power"))


both = pytest.mark.parametrize("loses", [False, True], ids=["what was written stays", "what was not flushed is lost"])


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What is not as it was. Of phones that are new the random parts are left out: each run has others."""
    phones = [p if p in old["phones"] else (p["name"], p["role"]) for p in new["phones"]]
    return {name: phones if name == "phones" else new[name] for name in old if old[name] != new[name]}


@both
@pytest.mark.parametrize("step", STEPS)
def test_a_save_is_old_or_new(power: Power, step: str, loses: bool) -> None:
    program = BEGIN + BOOT + STEPS[step]
    outcomes = []
    for at in range(1, MOST_OPERATIONS):
        was_cut = power.cut(program, at, loses=loses)
        found = power.boot(power.flash)
        assert not found["damaged"]
        outcomes.append(changed(power.state, found))
        if not was_cut:
            break
    new = outcomes[-1]
    assert new
    if step == "a provision":
        assert found["uplinks"][0] == PROVISION["uplink"]
    switch = outcomes.index(new)
    assert outcomes == [{}] * switch + [new] * (len(outcomes) - switch)
    assert switch >= 4  # to open, write, flush and rename a file


@both
def test_a_factory_reset_is_old_or_done(power: Power, loses: bool) -> None:
    assert sorted(set(power.left(power.life))) == sorted(set(power.secrets()))
    done = []
    for at in range(1, MOST_OPERATIONS):
        was_cut = power.cut(BEGIN + "factory.run(files)", at, loses=loses)
        # The power goes at once again, and again: each boot comes a bit further.
        if was_cut:
            for again in range(1, 4):
                power.run(power.flash, BEGIN + BOOT, again, loses=loses)
        found = power.boot(power.flash)
        same = [name for name in found if found[name] == power.state[name]]
        assert {"id", "code"} <= set(same)
        assert not found["damaged"]
        if len(same) == len(found):
            done.append(False)
            assert sorted(set(power.left(power.flash))) == sorted(set(power.secrets()))
        else:
            done.append(True)
            assert power.left(power.flash) == []
            assert (found["uplinks"], found["phones"], found["wrong"], found["known"]) == ([], [], 0, "00000000")
            assert found["segment"]["key"] != power.state["segment"]["key"]
            assert {path.name for path in power.flash.iterdir()} == {"boot.py", "identity.json", "settings.json"}
        if not was_cut:
            break
    # There is one moment of decision: to open, write, flush and rename a file.
    assert done == [False] * 4 + [True] * (len(done) - 4)
    assert len(done) > 4 + len(FOREIGN)


@both
def test_a_first_boot_is_old_or_new(power: Power, loses: bool, tmp_path: Path) -> None:
    for at in range(1, MOST_OPERATIONS):
        flash = tmp_path / str(at)
        flash.mkdir()
        done = power.run(flash, BEGIN + BOOT, at, loses=loses)
        first = power.boot(flash)
        assert power.boot(flash) == first  # it knows by now who it is
        assert not list(flash.glob("*.bad"))
        if done.returncode != -signal.SIGKILL:
            break
    assert at == 9  # two files


async def test_the_whole_firmware_is_cut_at_every_operation_of_a_boot_that_resets(power: Power, bench: Bench) -> None:
    """As above on the whole board, with its radios, and with whatever else it writes until it is up."""
    board = bench.board
    bench.wires(False)
    board._arguments = ("-m", "_boot")
    environment, up = dict(board._environment), "segment: the speaker's Wi-Fi is called"
    for at in range(1, MOST_OPERATIONS):
        board.erase()
        shutil.copytree(power.life, board.flash, dirs_exist_ok=True)
        power.run(board.flash, BEGIN + "factory.decide(files)")
        mark = len(board.serial())
        board._environment = {**environment, **power.environment(at, loses=True)}
        await board.power_on()
        await board.until(lambda mark=mark: not board.running or up in board.serial()[mark:], LIMIT_S, "a cut")
        was_cut = not board.running
        assert board.exit_status == (-signal.SIGKILL if was_cut else None)
        await board.power_off()
        mark = len(board.serial())
        board._environment = environment
        await board.power_on()
        await board.wait_for(up, LIMIT_S, after=mark)
        await board.power_off()
        assert power.left(board.flash) == []
        found = power.boot(board.flash)
        assert (found["id"], found["code"]) == (power.state["id"], power.state["code"])
        assert (found["phones"], found["uplinks"], found["wrong"], found["damaged"]) == ([], [], 0, False)
        if not was_cut:
            break
    assert at > len(FOREIGN) + 4
