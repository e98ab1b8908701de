#!/usr/bin/env python3
"""How much goes through: iperf3 between speaker and internet, by way of the bridge, and of Linux's own NAT beside it.

    speaker --TAP-- the SIM board's packet filter --TAP--+-- the dorm's switch -- router -- internet
    other   --veth-- Linux, nftables masquerade --veth---+

Both ways end in the same switch, and rounds take turns, so that whatever else this machine does meets both. Linux
takes part twice: frame by frame, as on a radio, and with the offloads of veth, where 64 KiB count as one frame.

`measure` is for bench.py; it needs root. As a program this prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dorm.dorm import Dorm
    from dorm.namespaces import Namespace

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
AS_ROOT = ROOT / "host_tools" / "setup" / "as-root.sh"
BOARD = ROOT / "build" / "sim" / "speakeasy-sim"

ROUNDS, ROUND_S = 3, 3
DIRECTIONS: dict[str, tuple[str, ...]] = {"up": (), "down": ("--reverse",)}
READY_S = 60.0
WHOLE_LIMIT_S = 600
PORT = 5201

NAT, INSIDE = "linux-nat", "linux-inside"  # namespaces
NAT_ADDR, INSIDE_ADDR = "192.168.78.1", "192.168.78.2"
NFT = """
add table ip nat
add chain ip nat out { type nat hook postrouting priority srcnat; }
add rule ip nat out oifname "uplink" masquerade
"""
SIOCETHTOOL = 0x8946  # <linux/sockios.h>
OFFLOADS = {"tso": 0x1F, "gso": 0x24, "gro": 0x2C}  # ETHTOOL_STSO, _SGSO, _SGRO, <linux/ethtool.h>


# --- for bench.py, without root and without the dorm's packages -------------------------------------------------------
def measure() -> dict[str, Any]:
    """{"up": {"speakeasy", "linux", "linux_offload" (Mbit/s, medians), "ratio"}, "down": ...}, or {"missing": why}."""
    for path in (PYTHON, BOARD):
        if not path.exists():
            return {"missing": f"{path.relative_to(ROOT)} is not there; run `make ready`"}
    if os.geteuid() != 0 and subprocess.run([AS_ROOT, "true"], capture_output=True, check=False).returncode != 0:
        return {"missing": "it needs root, for network namespaces"}
    command = [AS_ROOT, PYTHON, Path(__file__)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WHOLE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"missing": f"it did not end within {WHOLE_LIMIT_S} s"}
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(result: dict[str, Any]) -> str:
    """What `measure` returned, for people."""
    if "missing" in result:
        return f"Throughput was not measured: {result['missing']}."
    lines = [
        f"Throughput, TCP, Mbit/s (median of {ROUNDS} rounds of {ROUND_S} s): the simulated board, and Linux's NAT"
    ]
    lines.append(f"{'':40}{'board':>9}{'Linux':>9}{'ratio':>8}   Linux with offloads")
    for way, title in (("up", "speaker to the internet"), ("down", "internet to the speaker")):
        row = result[way]
        lines.append(
            f"{title:40}{row['speakeasy']:>9.0f}{row['linux']:>9.0f}{row['ratio']:>8.2f}   {row['linux_offload']:.0f}"
        )
    return "\n".join(lines)


# --- as root, in a dorm -----------------------------------------------------------------------------------------------
class _Value(ctypes.Structure):
    """struct ethtool_value"""

    _fields_ = (("cmd", ctypes.c_uint32), ("data", ctypes.c_uint32))


class _Request(ctypes.Structure):
    """struct ifreq"""

    _fields_ = (("name", ctypes.c_char * 16), ("data", ctypes.POINTER(_Value)), ("rest", ctypes.c_char * 16))


def set_offloads(namespace: Namespace, ifname: str, on: bool) -> None:
    """What lets a kernel hand 64 KiB through veth as one frame."""

    def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for command in OFFLOADS.values():
                value = _Value(command, on)
                fcntl.ioctl(sock, SIOCETHTOOL, _Request(ifname.encode(), ctypes.pointer(value)))

    namespace.inside(work)


@contextlib.asynccontextmanager
async def linux_nat(dorm: Dorm) -> AsyncIterator[tuple[Namespace, list[tuple[Namespace, str]]]]:
    """A machine behind Linux's NAT, on the dorm's switch. Yields it, and all interfaces on the way."""
    from dorm import topology as t
    from dorm.namespaces import Namespace

    nat, inside = await Namespace.create(NAT), await Namespace.create(INSIDE)
    switch = dorm.namespaces[t.SWITCH]

    async def ip(namespace: Namespace, *commands: str) -> None:
        await namespace.run("ip", "-batch", "-", input="".join(f"{command}\n" for command in commands))

    try:
        await ip(
            switch,
            f"link add linux type veth peer name uplink netns {nat.path}",
            f"link set linux master {t.SWITCH_BRIDGE} up",
        )
        await ip(
            nat,
            f"link add segment type veth peer name wlan0 netns {inside.path}",
            f"addr add {dorm.router.free_address()}/{dorm.lan.prefix} dev uplink",
            f"addr add {NAT_ADDR}/24 dev segment",
            "link set uplink up",
            "link set segment up",
            f"route add default via {dorm.lan.router}",
        )
        await ip(
            inside, f"addr add {INSIDE_ADDR}/24 dev wlan0", "link set wlan0 up", f"route add default via {NAT_ADDR}"
        )
        nat.sysctl("net/ipv4/ip_forward", "1")
        await nat.run("nft", "-f", "-", input=NFT)
        yield inside, [(inside, "wlan0"), (nat, "segment"), (nat, "uplink"), (switch, "linux")]
    finally:
        nat.close()
        inside.close()


async def once(namespace: Namespace, server: str, options: tuple[str, ...]) -> float:
    """Mbit/s of one round, as the receiver counts them."""
    client = ("iperf3", "--client", server, "--port", str(PORT), "--time", str(ROUND_S), "--json")
    done = await namespace.run(*client, *options, timeout_s=ROUND_S + READY_S)
    bits: float = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
    return bits / 1e6


async def in_a_dorm(run_dir: Path) -> dict[str, Any]:
    from dorm import topology as t
    from dorm.dorm import Dorm
    from dorm.programs import Program

    async with Dorm(run_dir) as dorm:

        async def settled() -> bool:
            address = dorm.bridge_address()
            return bool(address and (await dorm.speaker.state())["address"] == address)

        await dorm.until(settled, READY_S, "the speaker to have the bridge's address")
        log = run_dir / "log" / "iperf3.log"
        server = Program(dorm.namespaces[t.INTERNET], log, "iperf3", "--server", "--port", str(PORT), "--forceflush")
        await server.start(lambda: "Server listening" in log.read_text())
        try:
            async with linux_nat(dorm) as (inside, way):
                others = [
                    (dorm.namespaces[t.SWITCH], t.ROUTER),
                    (dorm.namespaces[t.ROUTER], t.ROUTER_LAN),
                    (dorm.namespaces[t.ROUTER], t.ROUTER_WAN),
                    (dorm.namespaces[t.INTERNET], t.INTERNET_IF),
                ]
                result: dict[str, Any] = {"unit": "Mbit/s", "rounds": ROUNDS, "round_s": ROUND_S}
                for direction, options in DIRECTIONS.items():
                    figures: dict[str, list[float]] = {"speakeasy": [], "linux": [], "linux_offload": []}
                    for _ in range(ROUNDS):
                        for name, rates in figures.items():
                            for namespace, ifname in (*way, *others):
                                set_offloads(namespace, ifname, name == "linux_offload")
                            who = dorm.namespaces[t.SPEAKER] if name == "speakeasy" else inside
                            rates.append(await once(who, t.RADIO_ADDR, options))
                    row = {name: round(statistics.median(rates), 1) for name, rates in figures.items()}
                    row["ratio"] = round(row["speakeasy"] / row["linux"], 3)
                    result[direction] = row
                return result
        finally:
            await server.stop()


def main() -> int:
    from dorm.errors import DormError
    from dorm.process import run_contained

    async def work() -> int:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            print(json.dumps(await in_a_dorm(Path(directory) / "run")))
        return 0

    try:
        return run_contained(work)
    except DormError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
