"""MicroPython's real prompt, with the real firmware behind it, on QEMU's serial port: what is typed there works."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import LIMIT_S, Tree
from fake_board import TOP
from speakeasy.board import console, ports

ELF = TOP / "build/rv32/firmware.elf"
QEMU = ("qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-display", "none", "-monitor", "none")


@pytest.fixture
def port() -> Iterator[str]:
    """The serial port of a board that has just started, and runs no main.py."""
    argv = [*QEMU, "-semihosting", "-serial", "pty", "-kernel", str(ELF)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as qemu:
        assert qemu.stdout
        try:
            said = ""
            while not (found := re.search(r"redirected to (/dev/pts/\d+)", said)):
                line = qemu.stdout.readline()
                assert line, said
                said += line
            yield found[1]
        finally:
            qemu.kill()


def test_the_label_is_the_one_that_is_saved(port: str) -> None:
    # Whoever types starts without a file system here; an ESP32 has one by then.
    said = _mpremote(port, "exec", "import _boot; from speakeasy import console; console.label()")
    assert said.startswith("bridge id: "), "a first start"
    told = console.read_label(ports.Place(port), LIMIT_S)
    assert told == console._answer(said) and (told.phones, told.owners) == (0, 0)
    assert f"bridge id: {told.label.bridge.hex()}\n" in said and f"setup code: {told.label.code}\n" in said


def _mpremote(port: str, *words: str) -> str:
    """Again when it failed: mpremote gives up after 10 s, which a busy machine may need."""
    argv = [*console.MPREMOTE, "connect", port, "resume", *words]
    deadline = time.monotonic() + LIMIT_S
    while True:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < deadline, done.stdout + done.stderr


class Keyboard:
    """A terminal with a person at it, who reads before they type."""

    def __init__(self, argv: list[str], cwd: Path) -> None:
        self._ours, theirs = os.openpty()
        self.program = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], (text, self.seen)
            try:
                self.seen += os.read(self._ours, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended before it said {text!r}: {self.seen}") from None

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self._ours)


def test_the_shell_is_a_prompt(port: str, tree: Tree) -> None:
    shell = Keyboard([sys.executable, "-m", "speakeasy.cli", "board", "shell", "--port", port], tree.top)
    try:
        shell.wait_for("Ctrl-] leaves")
        shell.wait_for("to exit this shell")
        shell.type("\r")
        shell.wait_for(">>> ")
        shell.type("from speakeasy import codes; print(codes.encode(bytes(16)))\r")
        shell.wait_for("00000-00000-00000-00000-00000-00\r")
        shell.type("\x1d")
        assert shell.program.wait(LIMIT_S) == 0
    finally:
        shell.close()


def test_who_types_nothing_does_not_feed_the_watchdog_and_need_not(port: str) -> None:
    """What `make shell` does first: the watchdog of a bridge that runs bites after 30 s."""
    patient = "import machine; machine.WDT(timeout=30_000); machine.WDT(timeout=86_400_000)"
    assert _mpremote(port, "exec", patient) == ""
