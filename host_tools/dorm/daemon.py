"""A dorm in the background, and how other processes join it: `up`, `status`, `down`, `entry` (for a shell).

All of these are plain functions, to be called from outside of an event loop.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dorm import topology as t
from dorm.dorm import LOCK, PASSTHROUGH, Dorm
from dorm.errors import DormError, DormUsageError
from dorm.jsonlines import ANSWER_S, ask_json, serve_json
from dorm.people import person_environment
from dorm.process import require_root, run_contained
from dorm.programs import environment

UP_LIMIT_S = 120.0
DOWN_LIMIT_S = 60.0
SETTLED_LIMIT_S = 30.0
PRESS_S = 0.3
LONGEST_PRESS_S = 30.0
RESET_S = 10.0  # what the bridge takes for a factory reset (SPEC 2.5)
RESET_LIMIT_S = 10.0  # so much longer the finger stays, until the bridge has begun to: it counts from when it looked
CONTROL = "control.sock"


# --- the dorm's own process -----------------------------------------------------------------------------------------
def serve(run_dir: Path, ready: BinaryIO | None = None, *, die_with_starter: bool = True, **options: Any) -> int:
    """Runs a dorm until it is told to go down (or a signal comes). Returns the exit status.

    `ready` gets one line of JSON when it is up, or could not be: `{}` or `{"error": text}`. `options` as in Dorm.
    """

    async def work() -> int:
        try:
            async with Dorm(run_dir, **options) as dorm:
                await _serve(dorm, ready)
        except DormError as error:
            if ready is None or ready.closed:
                raise
            _tell(ready, {"error": str(error)})
            return 1
        return 0

    return run_contained(work, die_with_starter=die_with_starter)


async def _serve(dorm: Dorm, ready: BinaryIO | None) -> None:
    over = asyncio.Event()

    async def answer(request: dict[str, Any]) -> dict[str, Any]:
        match request.get("op"):
            case "status":
                return await report(dorm)
            case "press":
                return await press_button(dorm, float(request["seconds"]))
            case "down":
                over.set()
                return {}
            case other:
                raise ValueError(f"unknown op {other!r}")

    async with serve_json(dorm.run_dir / CONTROL, answer):
        if ready is not None:
            log = os.open(dorm.run_dir / "log" / "dorm.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            _tell(ready, {})
        await over.wait()


def _tell(ready: BinaryIO, what: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        ready.write(json.dumps(what).encode() + b"\n")
        ready.flush()
    with contextlib.suppress(BrokenPipeError):
        ready.close()


async def press_button(dorm: Dorm, seconds: float) -> dict[str, Any]:
    """Presses for so long; for a reset, until the bridge starts again. `reset`: whether it did, in that time."""
    boots = dorm.board.boots
    wants_reset = seconds >= RESET_S
    press = asyncio.create_task(dorm.air.hold_button(seconds + (RESET_LIMIT_S if wants_reset else 0)))
    try:
        while not press.done() and not (wants_reset and dorm.board.boots != boots):
            await asyncio.wait([press], timeout=0.05)
    finally:
        press.cancel()
        await asyncio.gather(press, return_exceptions=True)
    return {"reset": wants_reset and dorm.board.boots != boots}


async def report(dorm: Dorm) -> dict[str, Any]:
    """What `status` shows: machines and addresses; `bridge` and `speaker` are null where there is none.

    The speaker's `fitting` is the address that the bridge's mode gives it, as soon as that is known; `wifi` the network
    that it joins, `joined` whether it has.
    """
    bridge = speaker = None
    if dorm.board is not None:
        bridge = {
            "running": bool(dorm.board.running),
            "boots": int(dorm.board.boots),
            # As long as it has it: the DHCP server remembers longer.
            "address": dorm.bridge_address() if dorm.air.station.connected else None,
            "label": dorm.label(),
            "mode": dorm.mode,
        }
        try:
            state = await dorm.speaker.state()
        except (DormError, OSError):
            state = {}
        try:
            fitting = dorm.speaker_address()
        except DormError:
            fitting = None
        knows = dorm.air.speaker_knows
        joined = t.MAC[t.SPEAKER] in dorm.air.stations
        speaker = {
            "address": state.get("address") if joined else None,
            "fitting": fitting,
            "joined": joined,
            "wifi": {"ssid": knows.ssid, "key": knows.key},
            "boots": dorm.speaker.boots,
            "state": state.get("player", {}).get("state"),
            "dropouts": state.get("player", {}).get("dropouts"),
        }
    people = {}
    for name, person in dorm.people.items():
        lease = person.dhcp.lease
        people[name] = lease.address if lease else None
    return {
        "run_dir": str(dorm.run_dir),
        "uptime_s": round(time.monotonic() - dorm.began),
        "bridge": bridge,
        "speaker": speaker,
        "people": people,
        "radio": t.RADIO_URL,
        "wifi": {"ssid": t.DORM_WIFI.ssid, "key": t.DORM_WIFI.key},
    }


# --- joining it -----------------------------------------------------------------------------------------------------
def up(run_dir: Path | None = None, *, ble: str = "bumble", stack: str = "kernel", mode: str = PASSTHROUGH) -> None:
    """Starts a dorm in the background; returns when it is up. Raises DormError when it could not be."""
    require_root()
    run_dir = run_dir or t.run_dir()
    read, write = os.pipe()
    with tempfile.TemporaryFile() as output:  # nothing of ours, as a pipe that waits for its end, may stay with it
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dorm", "--run-dir", str(run_dir), "serve"),
                    *("--ready", str(write), "--ble", ble, "--stack", stack, "--mode", mode),
                ],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(write,),
                start_new_session=True,
            )
        finally:
            os.close(write)
        try:
            with os.fdopen(read, "rb") as pipe, _in_time(process):
                line = pipe.readline()
        except KeyboardInterrupt:  # it has a session of its own, and did not hear of it
            print("\nThe dorm is taken down again.", file=sys.stderr)
            process.terminate()
            process.wait()
            raise
        if not line:
            status = process.wait()
            output.seek(0)
            words = output.read().decode(errors="replace").strip().splitlines()[-3:]
            raise DormError(f"The dorm's process ended as it came up (status {status}): {' / '.join(words)}")
    said = json.loads(line)
    if "error" in said:
        process.wait()
        raise DormError(said["error"])


@contextlib.contextmanager
def _in_time(process: subprocess.Popen[bytes]) -> Iterator[None]:
    # A dorm that neither comes up nor gives up is stopped; its end of the pipe closes then.
    timer = threading.Timer(UP_LIMIT_S, process.terminate)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _ask(op: str, run_dir: Path | None, limit_s: float = ANSWER_S, **more: float) -> dict[str, Any]:
    run_dir = run_dir or t.run_dir()
    try:
        return asyncio.run(ask_json(run_dir / CONTROL, {"op": op, **more}, limit_s))
    except PermissionError:
        raise DormError("The dorm belongs to root. Run the same command with sudo.") from None
    except OSError:
        if _held(run_dir / LOCK):
            raise DormError(
                f"A dorm in {run_dir} is coming up or going down, or a demo or a test has it: wait for it, or press "
                "Ctrl-C in its window."
            ) from None
        raise _none_up(run_dir) from None


def _none_up(run_dir: Path) -> DormError:
    return DormError(f"No dorm is up in {run_dir}. Start one with `speakeasy dorm up`.")


def _held(lock: Path) -> bool:
    """Whether a process holds that lock. False when this process may not know."""
    try:
        with open(lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def settled(run_dir: Path | None = None, limit_s: float = SETTLED_LIMIT_S) -> dict[str, Any]:
    """As `status`, once the bridge has label and address, and the speaker the fitting address; or after `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        state = status(run_dir)
        bridge, speaker = state["bridge"], state["speaker"]
        there = not bridge or (bridge["label"] and bridge["address"])
        # Before the uplink is up, the speaker has an address of the segment, which with passthrough does not last.
        fits = not speaker or (speaker["fitting"] and speaker["address"] == speaker["fitting"])
        if (there and fits) or time.monotonic() > end:
            return state
        time.sleep(0.2)


def status(run_dir: Path | None = None) -> dict[str, Any]:
    """See `report`. Raises DormError when no dorm is up."""
    return _ask("status", run_dir)


def press(run_dir: Path | None = None, seconds: float = PRESS_S) -> bool:
    """Presses the button on the bridge, and lets it go after `seconds`, or, if these are enough for a reset, when the
    bridge has begun one: whether it has. Raises DormError when no dorm is up."""
    return bool(_ask("press", run_dir, LONGEST_PRESS_S + 2 * RESET_LIMIT_S, seconds=seconds)["reset"])


def down(run_dir: Path | None = None) -> None:
    """Takes the dorm in the background down, and returns when nothing of it is left. Raises DormError."""
    run_dir = run_dir or t.run_dir()
    _ask("down", run_dir)
    end = time.monotonic() + DOWN_LIMIT_S
    with open(run_dir / LOCK, "rb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise DormError(
                        f"The dorm is not down after {DOWN_LIMIT_S:g} s; {run_dir}/log/dorm.log may say why."
                    ) from None
                time.sleep(0.05)


def entry(who: str, run_dir: Path | None = None) -> tuple[list[str], dict[str, str], str]:
    """How to run a program on the machine `who` (a person, `router`, `speaker`, ...) of the dorm that is up.

    Returns (words to put before the program's own, environment, working directory). Raises DormError.
    """
    if who not in t.NAMESPACES:
        raise DormUsageError(f"Nobody in the dorm is called {who!r}. There are {', '.join(t.NAMESPACES)}.")
    require_root()
    run_dir = run_dir or t.run_dir()
    try:
        description = json.loads((run_dir / "dorm.json").read_text())
        namespaces = {str(name): str(path) for name, path in description["namespaces"].items()}
        homes = dict(description["homes"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise _none_up(run_dir) from None
    path = namespaces.get(who)
    if path is None:
        raise DormError(f"{who} is not in this dorm. There are {', '.join(namespaces)}.")
    if not os.path.exists(path):
        raise DormError(f"The dorm in {run_dir} is gone. Start one with `speakeasy dorm up`.")
    home = str(homes.get(who, run_dir))
    return ["nsenter", f"--net={path}"], person_environment(run_dir, who), home
