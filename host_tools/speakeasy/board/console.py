"""The firmware on its serial console: that it has started, and what its label says."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from speakeasy.board import ports
from speakeasy.board.label import BRIDGE_ID_BYTES, Label
from speakeasy.codes import CodeError, read_setup_code
from speakeasy.errors import NotReached, SpeakeasyError, Stopped
from speakeasy.session import printable

BOOT_LIMIT_S = 90.0  # the first start makes the file system
LABEL_LIMIT_S = 60.0
RESTART_LIMIT_S = 5.0  # of a board that has said nothing: its watchdog starts it, too
PAUSE_S = 1.0
MPREMOTE = (sys.executable, "-m", "mpremote")
PROMPT = (sys.executable, "-m", "speakeasy.board.prompt")
ANSWER_LIMIT_S = 20.0

_STARTS = re.compile(rb"^\[\d+\] app: Speakeasy (\S+) starts\s*$", re.MULTILINE)
_NO_FILES = b"filesystem appears to be corrupted"  # MicroPython's, of what something else left on the flash
# A day: who works at the prompt, or waits for modules on the cable, does not feed the watchdog, and what is once on
# cannot be switched off.
PATIENT = "import machine; machine.WDT(timeout=86_400_000)"
_ASK = "from speakeasy import console; console.label()"
_RESTART = "import machine; machine.reset()"
_LINES_SHOWN = 4
# A line that may hold a setup code, or a part of it: groups of five letters and digits.
_SECRET = re.compile(r"setup|\"code\"|[0-9A-Z]{5}-[0-9A-Z]{2,5}", re.IGNORECASE)
HIDDEN = "(a line with the setup code is not shown here: only on a screen)"


@dataclass(frozen=True)
class Told:
    """What the bridge says of itself: its label; how many phones it knows, owners among them (None: it cannot tell)."""

    label: Label
    phones: int | None
    owners: int | None


def may_be_secret(line: str) -> bool:
    """Whether a line of the console may hold the setup code, however garbled or cut."""
    return bool(_SECRET.search(line))


def _shown(said: bytes) -> str:
    """The last lines of the console, for a message: never the label."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    told = [printable(line)[:100] for line in lines if line and not may_be_secret(line)]
    return " / ".join(told[-_LINES_SHOWN:])


def wait_for_boot(place: ports.Place, port: ports.Port, limit_s: float = BOOT_LIMIT_S) -> str:
    """Returns the firmware's version once it says that it starts; "" when its port went away in between, as that of a
    chip with USB of its own does: what it said is lost then, and it is back. Raises NotReached, SpeakeasyError."""
    deadline = time.monotonic() + limit_s
    said = b""
    try:
        port.timeout = ports.READ_S
        while time.monotonic() < deadline:
            said += port.read(max(1, port.in_waiting))
            if found := _STARTS.search(said):
                return found[1].decode(errors="replace")
            if _NO_FILES in said:
                raise SpeakeasyError(
                    "The board was used for something else before, and its file system is no good. Flash it again with "
                    "ERASE=1, which removes what was left."
                )
    except ports.GONE:
        port.close()  # or its name stays taken
        if place.back(deadline - time.monotonic()) is None:
            raise NotReached(
                f"The firmware was written, but {place.name} did not come back after the restart. Unplug the "
                "board, plug it in again, and run `make label` for its label."
            ) from None
        return ""
    if not said.strip():
        raise NotReached(
            f"The firmware was written, but says nothing on {place.name} within {limit_s:.0f} s. Press the "
            "board's RESET button, then run `make label` for its label."
        )
    raise SpeakeasyError(
        f"The firmware was written, but does not start within {limit_s:.0f} s. The last that the board said: "
        f"{_shown(said)}. `make monitor` shows all of it; `make flash` with ERASE=1 removes what an earlier one left."
    )


def read_label(place: ports.Place, limit_s: float = LABEL_LIMIT_S) -> Told:
    """Asks the firmware for its label, and has it start again: to be asked it is stopped. Raises NotReached."""
    deadline = time.monotonic() + limit_s
    said = ""
    try:
        while True:
            said = _mpremote(place.now(), _ASK)
            told = _answer(said)
            if told is not None or time.monotonic() > deadline:
                break
            time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        raise Stopped("Stopped. The bridge starts again; `make label` asks it for its label.") from None
    finally:
        limit = LABEL_LIMIT_S if said else RESTART_LIMIT_S
        _mpremote(place.name, _RESTART, "--no-follow", limit_s=limit)
    if told is None:
        raise NotReached(
            f"The board on {place.name} does not tell its label. Is Speakeasy on it? Press its RESET button and run "
            "`make label`; `make monitor` shows what it says; `make flash` puts Speakeasy on it."
        )
    return told


def stop(name: str) -> None:
    """Has the firmware stop. Its watchdog starts it again, unless whoever is at the prompt next makes that PATIENT.
    Raises NotReached."""
    deadline = time.monotonic() + ANSWER_LIMIT_S
    while _mpremote(name, "print('stopped')", limit_s=ANSWER_LIMIT_S).strip() != "stopped":
        if time.monotonic() > deadline:
            raise NotReached(
                f"Nothing on {name} answers as Speakeasy's prompt does. Press the board's RESET button and try again; "
                "`make monitor` shows what it says; `make flash` puts Speakeasy on it."
            )
        time.sleep(PAUSE_S)


def _mpremote(name: str, code: str, *options: str, limit_s: float = LABEL_LIMIT_S) -> str:
    """What the board prints. It may be the setup code: nobody else sees it."""
    # resume: without mpremote's soft reset, after which the firmware would not run, and need not.
    argv = [*MPREMOTE, "connect", name, "resume", "exec", *options, code]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _answer(said: str) -> Told | None:
    """The last line, if it is an answer: before it a first start may have said something."""
    try:
        told = json.loads(said.strip().splitlines()[-1])
        bridge = bytes.fromhex(told["bridge"])
        label = Label(bridge, read_setup_code(told["code"]))
        counts = [_count(told[name]) for name in ("phones", "owners")]
    except (AttributeError, CodeError, IndexError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return Told(label, *counts) if len(bridge) == BRIDGE_ID_BYTES else None


def _count(value: object) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError("not so many")
    return value


@contextmanager
def lines(name: str) -> Iterator[Iterator[str]]:
    """What the board says, line by line, for as long as it is asked. Raises NotReached when it goes away."""

    def read(port: ports.Port) -> Iterator[str]:
        rest = b""
        while True:
            try:
                rest += port.read(max(1, port.in_waiting))
            except ports.GONE:
                raise NotReached(f"The board on {name} went away. Run `make monitor` when it is back.") from None
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield printable(line.decode(errors="replace").rstrip("\r"))

    with ports.opened(name) as port:
        yield read(port)
