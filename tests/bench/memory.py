"""What the firmware takes of a chip's memory: prints a table. The heap is measured on the board QEMU_RV32."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
COMPILER = ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]


def filter_bytes(defines: list[str]) -> int:
    """sizeof(struct pf), which is static, on a chip of 32 bits."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "size.c"
        source.write_text('#include "pf.h"\nchar size[sizeof(struct pf)];\n')
        include = f"-I{TOP / 'firmware/pktfilter'}"
        flags = [f"-D{define}" for define in defines]
        subprocess.run([*COMPILER, *flags, include, "-c", source, "-o", source.with_suffix(".o")], check=True)
        names = subprocess.run(
            ["riscv64-unknown-elf-nm", "-S", source.with_suffix(".o")], check=True, capture_output=True, text=True
        )
    return int(names.stdout.split()[1], 16)


def main() -> int:
    print("\nMemory: the filter's tables, static")
    for board in sorted(TOP.glob("boards/*/mpconfigboard.cmake")):
        defines = re.findall(r"\bPF_\w+=\d+", board.read_text())
        print(f"  {board.parent.name:20} {filter_bytes(defines):7} bytes  {' '.join(defines)}")
    print("Frozen: bytecode of the firmware (a board adds aioble, and the little that mounts its flash)")
    sizes = {path: path.stat().st_size for path in (TOP / "build/rv32/frozen_mpy").rglob("*.mpy")}
    print(f"  {len(sizes)} modules {sum(sizes.values()):9} bytes")
    print("MicroPython's heap, bytes alive, on QEMU_RV32")
    test = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-rP", "--board=QEMU_RV32"]
    done = subprocess.run(
        [sys.executable, *test, TOP / "tests/firmware/test_rv32_memory.py"], capture_output=True, text=True
    )
    for line in re.findall(r"^heap: .*", done.stdout, re.MULTILINE) or done.stdout.splitlines()[-20:]:
        print(f"  {line}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
