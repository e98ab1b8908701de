#!/usr/bin/env python3
"""What a frame costs in the packet filter: prints tables, writes build/bench.json.

Builds bench.c for rv32 and for this machine, and runs it. rv32: QEMU counts every instruction (-icount shift=0), so the
figures are the same on every run. Host: callgrind. Figures are means over the frames of a row, rounded up; the dearest
single frame is in the JSON, under "rv32_Os_most".

    bench.py                      everything
    bench.py --strict             the same; exit status 1 when a budget is exceeded
    bench.py --instructions       without the throughput, which needs root and takes a minute
    bench.py --profile tcp_out    where the instructions of one row go, by function and by line (rv32 -Os)
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import throughput

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "pktfilter"
WORK = ROOT / "build" / "bench"
RESULT = ROOT / "build" / "bench.json"
PEERS = HERE / "peers.json"

CROSS = "riscv64-unknown-elf-"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
# The ESP32-C3 has no atomics: rv32imc. The C library's multilib of the same ABI is called rv32imac.
RV32_CORE = ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
RV32_HARNESS = ["-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs"]
RV32_LINK = ["-nostartfiles", f"-T{HERE / 'rv32.ld'}", "-Wl,--no-warn-rwx-segments"]
QEMU = ["qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-display", "none", "-monitor", "none"]
QEMU += ["-serial", "stdio", "-icount", "shift=0"]
LIMIT_S = 600

EMPTY_FUNCTION = 2  # instructions of nothing() in bench.c
PAYLOAD, LEASES = 1000, 1  # what a row's plain name stands for in the JSON

# The budgets of the design, on rv32 -Os.
TCP_MAX, UDP_MAX, STRANGER_SYN_MAX, NEW_FULL_MAX = 300, 250, 150, 1000
FLOW_BYTES_MAX, TEXT_BYTES_MAX, SPREAD_MAX = 32, 16 * 1024, 0.10

# name: title, budget, in the order of the tables
ESTABLISHED: dict[str, tuple[str, int]] = {
    "tcp_out": ("TCP out: speaker to the internet", TCP_MAX),
    "tcp_in": ("TCP in", TCP_MAX),
    "tcp_moved_out": ("TCP out, its port taken by the host", TCP_MAX),
    "tcp_moved_in": ("TCP in, its port taken by the host", TCP_MAX),
    "phone_in": ("phone to the speaker's port 1400", TCP_MAX),
    "phone_out": ("its replies", TCP_MAX),
    "host_out": ("host TCP out", TCP_MAX),
    "host_in": ("host TCP in", TCP_MAX),
    "udp_out": ("UDP out", UDP_MAX),
    "udp_in": ("UDP in", UDP_MAX),
    "phone_udp_out": ("UDP speaker to phone", UDP_MAX),
    "phone_udp_in": ("UDP phone to speaker", UDP_MAX),
    "host_udp_out": ("host UDP out", UDP_MAX),
    "host_udp_in": ("host UDP in", UDP_MAX),
}
OTHERS: dict[str, tuple[str, int | None]] = {
    "stranger_syn": ("stranger's SYN to 1400", STRANGER_SYN_MAX),
    "stranger_syn_closed": ("stranger's SYN to a closed port", STRANGER_SYN_MAX),
    "stranger_ack": ("stranger's ACK to 1400", None),
    "stranger_udp": ("stranger's UDP", None),
    "arp": ("ARP request on the segment, answered", None),
    "msearch": ("phone's M-SEARCH, relayed", None),
    "notify": ("speaker's NOTIFY, to each lease", None),
    "speaker_host": ("speaker to host", None),
    "host_speaker": ("host to speaker", None),
}
NEW: dict[str, tuple[str, int | None]] = {
    "new_tcp": ("new TCP flow of the speaker", NEW_FULL_MAX),
    "new_phone": ("new TCP flow of a phone", NEW_FULL_MAX),
    "new_claim": ("new connection to the claim port", NEW_FULL_MAX),
    "new_tcp_udp_goes": ("new TCP, table full of UDP", NEW_FULL_MAX),
    "new_tcp_moved": ("new TCP, its port taken by the host", NEW_FULL_MAX),
    "new_phone_phone_goes": ("new of a phone, table full of phones'", NEW_FULL_MAX),
}

Rows = dict[str, dict[str, int]]


class Failed(Exception):
    """What happened and what to do, for a person."""


@dataclass(frozen=True)
class Row:
    name: str
    mode: str
    payload: int
    leases: int
    fill: int
    frames: int
    total: int
    most: int

    @property
    def key(self) -> str:
        """The row's name, with what differs from passthrough, 1000 bytes, one lease."""
        parts = [self.name]
        if self.mode != "passthrough":
            parts.append(self.mode)
        if self.payload not in (0, PAYLOAD):
            parts.append(f"{self.payload}B")
        if self.leases != LEASES:
            parts.append(f"{self.leases}leases")
        return "_".join(parts)


def run(argv: Iterable[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(a) for a in argv]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True, **options)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed: `make bench` installs what it needs.") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not end within {LIMIT_S} s: a frame may hang the filter.") from None
    except subprocess.CalledProcessError as e:
        said = [line for line in e.stdout.splitlines() if line.startswith("FAIL")] + e.stderr.splitlines()[-12:]
        raise Failed("\n".join([f"{command[0]} ended with status {e.returncode}:", *said])) from None


def core_sources() -> list[Path]:
    return sorted(CORE.glob("pf*.c"))


def build(name: str, compiler: str, core: list[str], harness: list[str], link: list[str]) -> tuple[Path, list[Path]]:
    """The program, and the core's objects. The harness is always -O2: only the core's cost is asked for."""
    out = WORK / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    objects = []
    for source in core_sources():
        objects.append(out / f"{source.stem}.o")
        run([compiler, *WARNINGS, *core, "-c", source, "-o", objects[-1]])
    program = out / "bench"
    run([compiler, *WARNINGS, "-O2", *harness, f"-I{CORE}", *link, HERE / "bench.c", *objects, "-o", program])
    return program, objects


def build_rv32(name: str, level: str, *more: str) -> tuple[Path, list[Path]]:
    return build(name, f"{CROSS}gcc", [*RV32_CORE, level, *more], [*RV32_HARNESS, *more], RV32_LINK)


def parse(text: str) -> list[Row]:
    rows = []
    lines = text.splitlines()
    if not lines or lines[-1] != "done":
        raise Failed("The benchmark did not come to its end: " + (lines[-1] if lines else "no output"))
    for line in lines[:-1]:
        _, name, mode, *numbers = line.split()
        payload, leases, fill, frames, total, _least, most = map(int, numbers)
        rows.append(Row(name, mode, payload, leases, fill, frames, total, most))
    return rows


def net(rows: list[Row]) -> list[Row]:
    """Without what the harness itself costs: the first row, an empty function."""
    nothing, *rest = rows
    if nothing.name != "nothing" or nothing.total % nothing.frames:
        raise Failed(f"The harness's own cost is not the same for every frame: {nothing}")
    own = nothing.total // nothing.frames - EMPTY_FUNCTION
    return [
        Row(r.name, r.mode, r.payload, r.leases, r.fill, r.frames, r.total - own * r.frames, max(0, r.most - own))
        for r in rest
    ]


def run_rv32(program: Path) -> list[Row]:
    return net(parse(run([*QEMU, "-kernel", program]).stdout))


def run_host(program: Path) -> list[Row]:
    sums = program.with_suffix(".callgrind")
    valgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--combine-dumps=yes", "--dump-line=no"]
    rows = parse(run([*valgrind, f"--callgrind-out-file={sums}", program]).stdout)
    # callgrind's dumps are in the order of the rows; one more is made at the end.
    totals = [int(line.split()[1]) for line in sums.read_text().splitlines() if line.startswith("totals: ")]
    if len(totals) not in (len(rows), len(rows) + 1):
        raise Failed(f"callgrind made {len(totals)} sums for {len(rows)} rows: see {sums}.")
    pairs = zip(rows, totals, strict=False)
    return net([Row(r.name, r.mode, r.payload, r.leases, r.fill, r.frames, t, 0) for r, t in pairs])


def sizes(objects: list[Path]) -> dict[str, int]:
    """Bytes by kind of section. `text`, as `size` counts it, holds the constants, too."""
    kinds: Counter[str] = Counter()
    for line in run([f"{CROSS}size", "-A", *objects]).stdout.splitlines():
        section = re.match(r"\.(s?text|s?rodata|s?data|s?bss)[.\w]*\s+(\d+)", line)
        if section:
            kinds[section[1].removeprefix("s")] += int(section[2])
    return {
        "text_bytes": kinds["text"] + kinds["rodata"],
        "code_bytes": kinds["text"],
        "constant_bytes": kinds["rodata"],
        "data_bytes": kinds["data"] + kinds["bss"],
    }


def struct_sizes(flows: int) -> tuple[int, int]:
    """sizeof(struct pf_flow) and sizeof(struct pf) on rv32 with a table of so many flows."""
    source, out = WORK / "sizes.c", WORK / "sizes.o"
    source.write_text(
        '#include "pf.h"\nchar size_of_flow[sizeof(struct pf_flow)];\nchar size_of_pf[sizeof(struct pf)];\n'
    )
    run([f"{CROSS}gcc", *RV32_CORE, "-Os", f"-I{CORE}", f"-DPF_FLOWS={flows}", "-c", source, "-o", out])
    lines = [line.split() for line in run([f"{CROSS}nm", "-S", out]).stdout.splitlines()]
    found = {fields[3]: fields[1] for fields in lines}
    return int(found["size_of_flow"], 16), int(found["size_of_pf"], 16)


def externals(objects: list[Path]) -> list[str]:
    """What the core calls of others: the C library, the compiler's helpers. No allocation may be among it."""
    defined, wanted = set(), set()
    for line in run([f"{CROSS}nm", *objects]).stdout.splitlines():
        fields = line.split()
        if len(fields) == 3:
            defined.add(fields[2])
        elif len(fields) == 2 and fields[0] == "U":
            wanted.add(fields[1])
    return sorted(wanted - defined)


def by_key(rows: list[Row], most: bool = False) -> Rows:
    result: Rows = {}
    for r in rows:
        result.setdefault(r.key, {})[str(r.fill)] = r.most if most else -(-r.total // r.frames)
    return result


def variants(rows: Rows, name: str) -> dict[str, dict[str, int]]:
    pattern = re.compile(re.escape(name) + r"(_private)?(_\d+B)?(_\d+leases)?")
    return {key: fills for key, fills in rows.items() if pattern.fullmatch(key)}


def highest(rows: Rows, name: str) -> dict[str, int]:
    result: dict[str, int] = {}
    for fills in variants(rows, name).values():
        for fill, value in fills.items():
            result[fill] = max(value, result.get(fill, 0))
    return result


def spread(fills: dict[str, int]) -> float:
    return max(fills.values()) / min(fills.values()) - 1


def peer_text(figures: dict[str, int]) -> str:
    return "  ".join(f"{value}" if fill == "any" else f"{fill}: {value}" for fill, value in figures.items())


def print_table(build_name: str, rows: Rows, peers: dict[str, Any], judged: bool) -> None:
    fills = ["0", "1", "16", "64", "256", "512"]
    width = 40
    head = (
        f"{'empty':>7}"
        + "".join(f"{f:>7}" for f in fills[1:])
        + ("  budget      " if judged else "")
        + f"   {peers['name']}"
    )
    print(f"\n{build_name}: instructions a frame, by flows in the table\n{'':{width}}{head}")

    def line(name: str, title: str, cells: dict[str, int], budget: int | None, over: bool) -> None:
        text = f"{title:{width}}" + "".join(f"{cells.get(f, ''):>7}" for f in fills)
        if judged:
            text += f"  {'<= ' + str(budget) if budget else '':<8}{('OVER' if over else 'pass') if budget else '':<6}"
        peer = peers["rows"].get(name, {}).get(build_name, {})
        print((text + "   " + peer_text(peer)).rstrip())

    for name, (title, budget) in {**ESTABLISHED, **OTHERS}.items():
        cells = highest(rows, name)
        line(name, title, cells, budget, budget is not None and max(cells.values()) > budget)
    for name, (title, budget) in NEW.items():
        cells = highest(rows, name)
        line(name, title, cells, budget, budget is not None and cells["512"] > budget)


def judge(rows: Rows, most: Rows, memory: dict[str, int]) -> list[dict[str, Any]]:
    """Every budget of the design: what it is, the figure, whether it is kept."""
    budgets: list[dict[str, Any]] = []

    def add(what: str, value: float, limit: float, unit: str, detail: str = "") -> None:
        budgets.append(
            {"budget": what, "value": value, "limit": limit, "unit": unit, "kept": value <= limit, "detail": detail}
        )

    def worst(names: Iterable[str], fill: str | None = None) -> tuple[int, str]:
        cells = [(v, f"{k} at {f}") for n in names for k, c in variants(rows, n).items() for f, v in c.items()]
        return max(c for c in cells if fill is None or c[1].endswith(f" at {fill}"))

    def worst_frame(names: Iterable[str], fill: str | None = None) -> str:
        cells = [v for n in names for c in variants(most, n).values() for f, v in c.items() if fill in (None, f)]
        return f"dearest single frame: {max(cells)}"

    def frames(what: str, names: list[str], limit: int, fill: str | None = None) -> None:
        value, where = worst(names, fill)
        add(what, value, limit, "instructions", f"{where}; {worst_frame(names, fill)}")

    tcp = [n for n, (_, budget) in ESTABLISHED.items() if budget == TCP_MAX]
    udp = [n for n, (_, budget) in ESTABLISHED.items() if budget == UDP_MAX]
    frames("an established TCP flow's frame", tcp, TCP_MAX)
    frames("an established UDP flow's frame", udp, UDP_MAX)
    frames("a stranger's SYN", ["stranger_syn", "stranger_syn_closed"], STRANGER_SYN_MAX)
    frames("a new flow with a full table", list(NEW), NEW_FULL_MAX, "512")
    spreads = [(spread(fills), key) for n in ESTABLISHED for key, fills in variants(rows, n).items()]
    value, where = max(spreads)
    add("spread of a row from 1 to 512 flows", round(100 * value, 1), 100 * SPREAD_MAX, "%", where)
    whole = f"with indexes and port mapping: {memory['flow_total_bytes']}"
    add("a flow's entry", memory["flow_bytes"], FLOW_BYTES_MAX, "bytes", whole)
    parts = f"code {memory['code_bytes']}, constants {memory['constant_bytes']}"
    add("text of the core, rv32 -Os", memory["text_bytes"], TEXT_BYTES_MAX, "bytes", parts)
    return budgets


def ahead_of_peer(results: dict[str, Rows], peers: dict[str, Any]) -> list[str]:
    """The peer's figures that are lower than ours; there should be none."""
    lost = []
    for name, builds in peers["rows"].items():
        for build_name, figures in builds.items():
            ours = highest(results[build_name], name)
            for fill, theirs in figures.items():
                mine = max(ours.values()) if fill == "any" else ours[fill]
                if mine >= theirs:
                    lost.append(f"{build_name} {name} at {fill}: {mine}, peer {theirs}")
    return lost


def bench(strict: bool, instructions_only: bool) -> int:
    peers = json.loads(PEERS.read_text())
    builds = {
        "rv32_Os": build_rv32("rv32_Os", "-Os"),
        "rv32_O2": build_rv32("rv32_O2", "-O2"),
        "host_O2": build("host_O2", "gcc", ["-O2"], [], []),
    }
    measured = {name: (run_rv32 if name.startswith("rv32") else run_host)(b[0]) for name, b in builds.items()}
    results = {name: by_key(rows) for name, rows in measured.items()}
    most = by_key(measured["rv32_Os"], most=True)

    objects = builds["rv32_Os"][1]
    memory = sizes(objects)
    memory["flow_bytes"], memory["state_bytes"] = struct_sizes(512)
    memory["flow_total_bytes"] = -(-(struct_sizes(1024)[1] - memory["state_bytes"]) // 512)
    budgets = judge(results["rv32_Os"], most, memory)
    calls = externals(objects)

    print("The highest of 64 and 1000 bytes of payload, 1 and 16 leases, passthrough and private addressing.")
    for name, rows in results.items():
        print_table(name, rows, peers, judged=name == "rv32_Os")
    print(f"\nPeer: {peers['source']}\n{peers['note']}")
    print(
        f"\nMemory: a flow {memory['flow_bytes']} B, with indexes and port mapping {memory['flow_total_bytes']} B",
        end="",
    )
    print(f" (peer: {peers['flow_bytes']} B); the whole state with 512 flows {memory['state_bytes']} B.")
    print(f"rv32 -Os: code {memory['code_bytes']} B, constants {memory['constant_bytes']} B,", end="")
    print(f" data {memory['data_bytes']} B. Calls from outside: {', '.join(calls)}.")
    print("\nBudgets, rv32 -Os")
    for b in budgets:
        verdict = "pass" if b["kept"] else "OVER"
        print(f"  {verdict}  {b['budget']:<36}{b['value']:>8} <= {b['limit']:g} {b['unit']}  ({b['detail']})")
    behind = ahead_of_peer(results, peers)
    print("Ahead of the peer in every row." if not behind else "\n  ".join(["Behind the peer:", *behind]))

    through = {"missing": "it was not asked for"} if instructions_only else throughput.measure()
    print(f"\n{throughput.table(through)}")

    document = {**results, "rv32_Os_most": most, **memory, "calls": calls, "budgets": budgets, "behind_peer": behind}
    document["throughput"] = through
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"All rows: {RESULT.relative_to(ROOT)}")
    kept = all(b["kept"] for b in budgets) and not behind
    return 1 if strict and not kept else 0


# ---- Profile: QEMU logs the address of every instruction of the core; addr2line says what it belongs to. ----


def trace_options() -> list[str]:
    version = re.search(r"version (\d+)\.(\d+)", run(["qemu-system-riscv32", "--version"]).stdout)
    newer = version is not None and (int(version[1]), int(version[2])) > (8, 0)
    return [*(["-accel", "tcg,one-insn-per-tb=on"] if newer else ["-singlestep"]), "-d", "exec,nochain"]


def symbols(program: Path) -> list[tuple[int, int, str]]:
    """Address, size and name of each function, by address."""
    lines = [line.split() for line in run([f"{CROSS}nm", "-S", "-n", program]).stdout.splitlines()]
    return [(int(f[0], 16), int(f[1], 16), f[3]) for f in lines if len(f) == 4 and f[2] in "tT"]


def traced(log: Path, start: int, end: int) -> tuple[Counter[int], int]:
    """How often each address of the core ran below counted(), and in how many frames; without frames of the set-up."""
    ran: Counter[int] = Counter()
    frames, below, seen = 0, False, False
    with log.open() as lines:
        for line in lines:
            at = re.search(r"\[[0-9a-f]+/([0-9a-f]+)/", line)
            if not at:
                continue
            pc = int(at[1], 16)
            if pc == start:
                below, seen = True, False
            elif start < pc < end:
                below = below and pc < end - 4  # its last instruction: back to the harness
            elif below:
                ran[pc] += 1
                frames += not seen
                seen = True
    return ran, frames


def source_of(program: Path, addresses: list[int]) -> dict[int, list[tuple[str, str]]]:
    """For each address the functions it belongs to, the innermost inlined one first, and the lines."""
    text = run([f"{CROSS}addr2line", "-a", "-f", "-i", "-e", program], input="\n".join(map(hex, addresses))).stdout
    result: dict[int, list[tuple[str, str]]] = {}
    lines = iter(text.splitlines())
    current = 0
    for line in lines:
        if line.startswith("0x"):
            current = int(line, 16)
            result[current] = []
        else:
            result[current].append((line, Path(next(lines).split(" ")[0]).name))
    return result


def profile(args: argparse.Namespace) -> int:
    mode = ["passthrough", "private"].index(args.mode)
    defines = [f'-DBENCH_ONLY="{args.profile}"', f"-DBENCH_MODE={mode}", f"-DBENCH_LEASES={args.leases}"]
    defines += [f"-DBENCH_FILL={args.flows}", f"-DBENCH_PAYLOAD={args.payload}"]
    program, _ = build_rv32("profile", args.level, "-g", *defines)
    rows = run_rv32(program)
    if not rows:
        raise Failed("There is no such row: build/bench.json has the names; --payload is 0 for rows that have none.")
    functions = symbols(program)
    start, size, _ = next(f for f in functions if f[2] == "counted")
    core = min(address for address, _, name in functions if name.startswith("pf_"))
    end = max(address + length for address, length, _ in functions)
    log = WORK / "trace.log"
    only = f"{start:#x}+{size:#x},{core:#x}+{end - core:#x}"
    run([*QEMU, *trace_options(), "-dfilter", only, "-D", log, "-kernel", program])
    ran, frames = traced(log, start, start + size)
    log.unlink()

    where = source_of(program, sorted(ran))
    own: Counter[str] = Counter()
    inlined: Counter[str] = Counter()
    by_line: Counter[str] = Counter()
    for address, times in ran.items():
        outer = next((name for a, n, name in functions if a <= address < a + n), "?")
        own[outer] += times
        inlined[f"{outer} < {where[address][0][0]}" if where[address][0][0] != outer else outer] += times
        by_line[f"{where[address][0][1]} {where[address][0][0]}"] += times
    row = rows[0]
    print(
        f"{row.key} with {row.fill} flows: {row.total / row.frames:.1f} a frame in {row.frames} frames ({args.level})"
    )
    print(f"Traced: {sum(ran.values()) / frames:.1f} in the core; the rest is the callback.")
    for title, counts in (("function", own), ("function < what is inlined in it", inlined), ("line", by_line)):
        print(f"\ninstructions a frame, by {title}")
        for name, times in counts.most_common(args.top):
            print(f"{times / frames:8.1f}  {name}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="What a frame costs in the packet filter, in instructions.")
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a budget is exceeded")
    parser.add_argument("--instructions", action="store_true", help="without the throughput, which needs root")
    parser.add_argument("--profile", metavar="ROW", help="where the instructions of one row go, on rv32")
    parser.add_argument(
        "--mode", choices=["passthrough", "private"], default="passthrough", help="of the row to profile"
    )
    parser.add_argument("--flows", type=int, default=64, help="in its table: 0, 1, 16, 64, 256, 512 (default 64)")
    parser.add_argument("--leases", type=int, default=1, help="1 or 16")
    parser.add_argument("--payload", type=int, help="64 or 1000; 0 for rows that have none")
    parser.add_argument("--level", default="-Os", help="optimisation of the core (default -Os)")
    parser.add_argument("--top", type=int, default=24, help="lines of each list")
    args = parser.parse_args()
    if args.payload is None:
        args.payload = PAYLOAD if args.profile in ESTABLISHED else 0
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        return profile(args) if args.profile else bench(args.strict, args.instructions)
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
