"""A source tree with firmware in it, boards that are not there, and the command that flashes them."""

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from esptool.targets import CHIP_DEFS
from fake_board import FakeBoard

MB = 1 << 20
# Boards of this test's own, one a chip: MicroPython's name of the chip, flash, what is written.
BOARDS = {"B_ESP32": ("esp32", 4), "B_S3": ("esp32s3", 8), "B_C3": ("esp32c3", 4), "B_C6": ("esp32c6", 4)}
LIMIT_S = 300  # of a command, on a machine that does other things, too

# esptool's limits are for chips, which are never busy with something else.
PATIENT = """[esptool]
timeout = 60
sync_timeout = 20
mem_end_rom_timeout = 60
"""


def firmware(chip: str, seed: str = "one", size: int = 70_001) -> bytes:
    """Looks like the image of a bootloader for that chip; the rest shrinks in parts, as code does."""
    noise = random.Random(seed)
    header = struct.pack("<BBBBI", 0xE9, 0, 2, 0x40, 0x40080000)
    extended = struct.pack("<B3xHBHH4xB", 0xEE, CHIP_DEFS[chip].IMAGE_CHIP_ID, 0, 0, 0xFFFF, 0)
    body = b"".join(noise.randbytes(64) + bytes(64) for _ in range(size // 128)) + b"\xc0\xdb\xff\xff"
    return (header + extended + body)[:size]


@dataclass
class Done:
    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Tree:
    """Speakeasy's source as far as flashing looks at it."""

    top: Path
    labels: Path

    def build(self, board: str, seed: str = "one", **facts: Any) -> bytes:
        """What `make firmware` leaves; the image."""
        chip, megabytes = BOARDS[board]
        image = firmware(chip, seed)
        offset = CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET
        out = self.top / "build" / board
        out.mkdir(parents=True, exist_ok=True)
        (out / "firmware.bin").write_bytes(image)
        known = {"chip": chip, "flash_size": megabytes * MB, "offset": offset}
        (out / "flash.json").write_text(json.dumps(known | facts))
        return image

    def command(self, *words: str, usb: Path | None = None) -> tuple[list[str], dict[str, str]]:
        """The real command as make calls it, and its environment; on a computer with these USB ports, perhaps."""
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.top),
            "ESPTOOL_CFGFILE": str(self.top / "esptool.cfg"),
        }
        program = ["-m", "speakeasy.cli"] if usb is None else [str(Path(__file__).with_name("with_usb.py")), str(usb)]
        return [sys.executable, *program, "board", *words], env

    def run(self, *words: str, usb: Path | None = None, limit_s: float = LIMIT_S) -> Done:
        """The same, in a process of its own."""
        argv, env = self.command(*words, usb=usb)
        done = subprocess.run(
            argv,
            cwd=self.top,
            env=env,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def flash(self, board: str, port: str | None, *words: str, usb: Path | None = None) -> Done:
        where = ["--port", port] if port else []
        told = ("flash", "--board", board, *where, "--out", str(self.labels), "--source", str(self.top))
        return self.run(*told, *words, usb=usb)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for board in BOARDS:
        (tmp_path / "boards" / board).mkdir(parents=True)
        (tmp_path / "boards" / board / "mpconfigboard.cmake").touch()
    (tmp_path / "boards/SIM").mkdir()
    (tmp_path / "esptool.cfg").write_text(PATIENT)
    return Tree(tmp_path, tmp_path / "labels")


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Callable[..., FakeBoard]]:
    """Plugs in a board: plugged("B_S3"), or with other flash than it should have, in MB."""
    there: list[FakeBoard] = []

    def plug(board: str, megabytes: int | None = None) -> FakeBoard:
        chip, usual = BOARDS[board]
        there.append(FakeBoard(chip, (megabytes or usual) * MB, tmp_path / f"files{len(there)}"))
        return there[-1]

    yield plug
    for board in there:
        board.close()
