"""A bench for the SIM board's drivers: the real board process, the real air, a real switch and DHCP server.

                 namespace "dorm"                        namespace "bridge"            namespace "speaker"
    dnsmasq -- br0 10.66.0.1 -- radio  ~~ wire ~~  uplink   the board   segment  ~~ wire ~~  wlan0

In place of the packet filter there is a plain wire between each radio and its interface: here the drivers are under
test, not the filter. What a test wants the board to do, it writes as MicroPython, and reads the board's console.
"""

import asyncio
import contextlib
import os
import textwrap
from pathlib import Path

from dorm import dns, topology
from dorm.board import Board
from dorm.namespaces import Namespace
from dorm.programs import Program

LAN = topology.DORM_LAN
FRAME = 2048
LIMIT_S = 60.0  # only a bound: the machine may be slow and busy


class Bench:
    """`board` and its `air` (`has_ethernet`: the board has a socket); `namespaces` by name; `dhcp`, the dorm's
    server."""

    def __init__(self, run_dir: Path, *, has_ethernet: bool = False) -> None:
        self.run_dir = run_dir
        self._has_ethernet = has_ethernet
        self.namespaces: dict[str, Namespace] = {}

    async def up(self) -> None:
        for name in (topology.SWITCH, topology.BRIDGE, topology.SPEAKER):
            self.namespaces[name] = await Namespace.create(name)
        switch = self.namespaces[topology.SWITCH]
        await switch.run("ip", "link", "add", topology.SWITCH_BRIDGE, "type", "bridge")
        await switch.run("ip", "link", "set", "dev", topology.SWITCH_BRIDGE, "up")
        address = f"{LAN.router}/{LAN.prefix}"
        await switch.run("ip", "address", "add", address, "dev", topology.SWITCH_BRIDGE)
        arguments = ("-m", "_boot", "probe")
        self.board = Board(self.namespaces, self.run_dir, has_ethernet=self._has_ethernet, arguments=arguments)
        self.air = self.board.air
        await self.board.start()
        self.dhcp = Program(
            switch,
            self.run_dir / "log" / "dnsmasq.log",
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--log-dhcp"),
            *("--log-facility=-", f"--dhcp-leasefile={self.run_dir}/leases", "--bind-interfaces", "--user=root"),
            *(f"--interface={topology.SWITCH_BRIDGE}", f"--dhcp-range={LAN.pool_first},{LAN.pool_last},120"),
            *("--address=/radio.test/203.0.113.10", "--dhcp-authoritative", "--no-ping", "--pid-file="),
        )
        await self.dhcp.start(lambda: dns.ask(switch, LAN.router, topology.RADIO_NAME, dns.AGAIN_S))
        self.wires(True)

    def wires(self, plugged: bool) -> None:
        loop = asyncio.get_running_loop()
        uplink_radio, segment_radio, host_uplink, host_segment = self.board._taps
        for one, other in ((uplink_radio, host_uplink), (segment_radio, host_segment)):
            for source, sink in ((one, other), (other, one)):
                loop.remove_reader(source)
                if plugged:
                    loop.add_reader(source, self._forward, source, sink)

    @staticmethod
    def _forward(source: int, sink: int) -> None:
        with contextlib.suppress(OSError):  # one of the interfaces is down
            os.write(sink, os.read(source, FRAME))

    async def run(self, program: str) -> None:
        """Boots the board with `program`, MicroPython."""
        (self.board.flash / "probe.py").write_text(textwrap.dedent(program))
        await self.board.power_cycle()

    async def says(self, pattern: str, limit_s: float = LIMIT_S) -> str:
        match = await self.board.wait_for(pattern, limit_s)
        return match[match.lastindex or 0]

    async def down(self) -> None:
        if hasattr(self, "dhcp"):
            self.wires(False)
            await self.dhcp.stop()
        if hasattr(self, "board"):
            await self.board.stop()
        for namespace in self.namespaces.values():
            namespace.close()
