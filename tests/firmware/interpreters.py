"""The boards whose interpreters run this folder's tests: how a test gets in, and which tests cannot run there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mpremote.romfs import VfsRomWriter

HERE = Path(__file__).parent
TOP = HERE.parent.parent
CPU_COUNT = os.cpu_count() or 1


class Sim:
    """MicroPython's unix port (boards/SIM). The tests and `firmware/` are read from where they are, ahead of the frozen
    modules: an edit needs no rebuild."""

    target = "sim"
    own_tests = "test_sim_"
    binary = Path(os.environ.get("SPEAKEASY_SIM", TOP / "build/sim/speakeasy-sim"))
    at_once = 12  # most of their time they wait
    least_limit_s = 20.0
    left_out: dict[str, str] = {}  # noqa: RUF012
    _import_path = (
        HERE,
        TOP / "firmware",
        TOP / "boards/SIM/modules",
        TOP / "boards/SIM/kernel",
        TOP / "boards/SIM/ble",
        ".frozen",
    )
    # Compiling the firmware on the board takes more memory than the frozen firmware needs to run.
    _heap = "1M"

    def command(self, module: str, function: str) -> list[str]:
        """The command that runs one test."""
        return [str(self.binary), "-X", f"heapsize={self._heap}", "-m", "run_one", module, function]

    def environment(self) -> dict[str, str]:
        """The environment of that command."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "MICROPYPATH": ":".join(str(entry) for entry in self._import_path),
        }

    def prepare(self, directory: Path) -> None:
        """Before the first test. `directory` is there as long as tests run."""


class Rv32:
    """QEMU with the instruction set of an ESP32-C3 (boards/QEMU_RV32). The firmware is the frozen one; the tests come
    as bytecode in a read-only file system (MicroPython's ROMFS) in the machine's memory, so the heap can be as small as
    on a chip. Time is counted in instructions, and waiting takes none: a test sees the same clock however busy this
    machine is."""

    target = "rv32"
    own_tests = "test_rv32_"
    binary = TOP / "build/rv32/firmware.elf"
    at_once = CPU_COUNT
    least_limit_s = 120.0
    # All that does not run here: this board has no sockets. (Where tests bring a radio of their own, no_radio/ has what
    # the firmware imports.)
    left_out = {  # noqa: RUF012
        "test_claim_server": "socket",
        "test_http_guard": "socket",
        "test_gena": "socket",
        "test_discovery::test_on_real_sockets_and_only_while_addressing_is_private": "socket",
    }
    _rom = Path()

    def command(self, module: str, function: str) -> list[str]:
        """The command that runs one test."""
        arguments = ("speakeasy", "run_one", module, function)
        return [
            *(
                "qemu-system-riscv32",
                "-machine",
                "virt",
                "-bios",
                "none",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "stdio",
            ),
            *("-icount", "shift=3,sleep=off"),  # 8 ns an instruction, as at 125 MHz
            *("-kernel", str(self.binary), "-device", f"loader,file={self._rom},addr=0x81000000,force-raw=on"),
            *(
                "-semihosting-config",
                "enable=on,target=native," + ",".join(f"arg={argument}" for argument in arguments),
            ),
        ]

    def environment(self) -> dict[str, str]:
        """The environment of that command."""
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}

    def prepare(self, directory: Path) -> None:
        """Before the first test. `directory` is there as long as tests run."""
        self._rom = directory / "rom.img"
        # Not what runs in pytest or on the other board only.
        sources = [
            path for path in sorted(HERE.glob("*.py")) if path.stem not in ("conftest", "interpreters", "frames")
        ]
        sources += sorted(HERE.glob("no_radio/*.py"))
        rom = VfsRomWriter()
        rom.opendir("lib")
        for source in sources:
            bytecode = directory / f"{source.stem}.mpy"
            cross = [
                str(TOP / "build/mpy-cross/mpy-cross"),
                "-march=rv32imc",
                "-s",
                source.name,
                "-o",
                str(bytecode),
                str(source),
            ]
            subprocess.run(cross, check=True)
            rom.mkfile(bytecode.name, bytecode.read_bytes())
        rom.closedir()
        rom.opendir("vectors")
        for vectors in sorted((TOP / "tests/vectors").glob("*.json")):
            rom.mkfile(vectors.name, vectors.read_bytes())
        rom.closedir()
        rom.mkfile("histories.jsonl", self._histories())
        self._rom.write_bytes(rom.finalise())

    def _histories(self) -> bytes:
        make = ["make", "--no-print-directory", "-s", "-C", str(TOP / "tests/core"), f"PYTHON={sys.executable}"]
        subprocess.run([*make, "histories"], check=True)
        return (TOP / "build/core/histories.jsonl").read_bytes()


BOARDS = {"SIM": Sim, "QEMU_RV32": Rv32}
