"""Instructions per frame of the packet filter: on rv32 (QEMU, -icount shift=0, minstret) and here (callgrind).

Prints a table beside the figures of Espressif's NAPT and writes build/bench.json. Run by `make bench`.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "pktfilter"
BUILD = ROOT / "build" / "core"
FILLS = ["1", "16", "64", "256", "512"]
SOURCES = [str(p) for p in sorted(CORE.glob("pf*.c"))]
FLAGS = ["-std=c99", "-D_GNU_SOURCE", "-g", f"-I{CORE}"]
# gcc 12 assembles CSR instructions for the first name only, and has a library for the second only.
RV32 = "riscv64-unknown-elf-"
RV_COMPILE = ["-march=rv32imac_zicsr", "-mabi=ilp32", "--specs=picolibc.specs"]
RV_LINK = ["-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs", "--crt0=semihost", "--oslib=semihost"]
RV_MEMORY = {"__flash": 0x80000000, "__flash_size": 0x200000, "__ram": 0x80200000, "__ram_size": 0x400000}
BUDGET = {"tcp_out": 300, "tcp_in": 300, "phone_in": 300, "phone_out": 300, "udp_out": 250, "udp_in": 250}
BUDGET |= {"stranger_syn": 150, "new_flow": 1000}
# Espressif's NAPT (lwIP 2.1.3-esp), measured the same way at -Os: 1 flow, 512 flows.
PEER = {"tcp_out": (1209, 4020), "tcp_in": (1165, 3464), "udp_out": (1248, 6872), "udp_in": (1107, 3406)}
PEER |= {"stranger_syn": (1930, 6529), "new_flow": (1403, 19367)}

Row = dict[str, int]


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def rv32(opt: str) -> tuple[dict[str, Row], dict[str, int]]:
    out = BUILD / f"rv32{opt}"
    out.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in [*SOURCES, str(HERE / "bench.c")]:
        objects.append(str(out / (Path(source).stem + ".o")))
        run(f"{RV32}gcc", *RV_COMPILE, *FLAGS, opt, "-c", source, "-o", objects[-1])
    memory = [f"-Wl,--defsym={name}={value:#x}" for name, value in RV_MEMORY.items()]
    run(f"{RV32}gcc", *RV_LINK, *memory, "-Wl,--defsym=__stack_size=0x4000", "-o", str(out / "bench.elf"), *objects)
    sizes = run(f"{RV32}size", *objects[:-1]).splitlines()[1:]
    machine = ["-machine", "virt", "-m", "16M", "-nographic", "-bios", "none", "-icount", "shift=0", "-monitor", "none"]
    semihosting = ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
    argv = ["qemu-system-riscv32", *machine, *semihosting, "-kernel", str(out / "bench.elf")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr  # semihosting writes to stderr
    rows: dict[str, Row] = {}
    extra = {"text_bytes": sum(int(line.split()[0]) for line in sizes)}
    for line in text.splitlines():
        if not line:
            continue
        if match := re.fullmatch(r"(\w+) (\d+) (\d+) (\d+)", line):
            name, flows, leases, cost = match.groups()
            rows.setdefault(name, {})[flows if leases == "1" else f"{flows}/{leases} leases"] = int(cost)
        elif match := re.fullmatch(r"(\w+_bytes) (\d+)", line):
            extra[match[1]] = int(match[2])
        else:
            raise RuntimeError(f"rv32: {line}")
    if not rows:
        raise RuntimeError("rv32: the program printed nothing")
    return rows, extra


def host() -> dict[str, Row]:
    program = str(BUILD / "bench")
    run("gcc", *FLAGS, "-O2", "-o", program, *SOURCES, str(HERE / "bench.c"))
    names = re.findall(r'^    \{"(\w+)", PF_', (HERE / "bench.c").read_text(), re.MULTILINE)
    grind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=pf_input"]

    def collected(name: str, flows: str, count: int) -> int:
        argv = [*grind, "--collect-atstart=no", program, name, flows, "1", str(count)]
        result = subprocess.run(argv, check=True, capture_output=True, text=True)
        match = re.search(r"Collected : (\d+)", result.stderr)
        if match is None:
            raise RuntimeError(f"callgrind said nothing of {name}: {result.stderr}")
        return int(match[1])

    times = 100
    return {
        name: {
            flows: round((collected(name, flows, times) - collected(name, flows, 0)) / times) for flows in ("1", "512")
        }
        for name in names
    }


def table(rows: dict[str, dict[str, Row]]) -> None:
    print(
        f"{'instructions per frame':24}"
        + "".join(f"{f:>8}" for f in FILLS)
        + f"{'budget':>9}{'NAPT 1':>9}{'512':>7}  flows"
    )
    for where, measured in rows.items():
        print(where)
        for name, row in measured.items():
            cells = "".join(f"{row.get(f, ''):>8}" for f in FILLS)
            on_os = where == "rv32_Os"
            budget = BUDGET.get(name, "") if on_os else ""
            one, full = PEER.get(name, ("", "")) if on_os else ("", "")
            missed = "  over budget" if on_os and name in BUDGET and max(row.values()) > BUDGET[name] else ""
            print(f"  {name:22}{cells}{budget:>9}{one:>9}{full:>7}{missed}")


def main() -> int:
    BUILD.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Row]] = {}
    extra: dict[str, int] = {}
    if shutil.which(f"{RV32}gcc") and shutil.which("qemu-system-riscv32"):
        rows["rv32_Os"], extra = rv32("-Os")
        rows["rv32_O2"], _ = rv32("-O2")
    else:
        tools = "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc"
        print(f"bench: no rv32 figures: apt-get install {tools}")
    if shutil.which("valgrind"):
        rows["host_O2"] = host()
    else:
        print("bench: no host figures: apt-get install valgrind")
    table(rows)
    for name, value in extra.items():
        print(f"{name} {value}")
    (ROOT / "build" / "bench.json").write_text(json.dumps({**rows, **extra}, indent=1) + "\n")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
