"""Writes what the filter did on this machine, so that it can be compared on another: make histories.

One history a line, in JSON, for each row of the verdict tables: its name, and its calls with their results.
tests/firmware/test_rv32_verdicts.py plays them again. Bytes are in hex; a verdict is its counter's number.
"""

import json
import sys
from typing import Any

from core import COUNTERS, KEY, PORTS, Config, Filter, mac, packed
from script import run, start
from test_verdicts import TABLES, rows

START_MS = 1000


class NotThere(Exception):
    """The module `pktfilter` does not offer what the row does to the core."""


class Recorder(Filter):
    """A filter that keeps its calls."""

    def __init__(self) -> None:
        super().__init__(KEY, START_MS)
        self.calls: list[Any] = [["reset", KEY.hex(), START_MS]]

    def input(self, port: str, frame: bytes) -> str:
        verdict = super().input(port, frame)
        self.calls.append(["input", PORTS.index(port), frame.hex(), COUNTERS.index(verdict)])
        return verdict

    def out(self) -> list[tuple[str, bytes]]:
        frames = super().out()
        self.calls.append(["out", [[PORTS.index(port), frame.hex()] for port, frame in frames]])
        return frames

    def jump(self, ms: int) -> None:
        super().jump(ms)
        self.calls.append(["later", ms])

    def tick(self) -> None:
        self.calls.append(["later", self.now - START_MS - sum(call[1] for call in self.calls if call[0] == "later")])
        self.calls.append(["tick"])
        super().tick()

    def configure(self, c: Config) -> None:
        derived = c.addr if c.addr != "0.0.0.0" and not c.guard else c.alias
        if (c.speaker or derived) != derived or packed(c.alias)[3] != packed(c.host)[3] + 1:
            raise NotThere
        super().configure(c)
        dns, hosts = (b"".join(packed(addr) for addr in addrs).hex() for addrs in (c.dns, c.hosts))
        addrs = [packed(addr).hex() for addr in (c.addr, c.mask, c.router)]
        macs = [mac(address).hex() for address in (c.uplink_mac, c.segment_mac)]
        self.calls.append(["configure", *macs, *addrs, dns, c.claim_port, packed(c.host).hex(), c.guard, hosts])

    def speaker(self, address: str | None) -> None:
        super().speaker(address)
        self.calls.append(["speaker", mac(address).hex() if address else None])

    def services(self, *services: tuple[int, int]) -> bool:
        self.calls.append(["services", services])
        return super().services(*services)

    def lease_add(self, addr: str, mac_address: str | None, ttl_s: int = 43200) -> int:
        lease = super().lease_add(addr, mac_address, ttl_s)
        address = mac(mac_address).hex() if mac_address else None
        self.calls.append(["lease_add", packed(addr).hex(), address, ttl_s, lease])
        return lease

    def lease_end(self, addr: str) -> int:
        flows = super().lease_end(addr)
        self.calls.append(["lease_end", packed(addr).hex(), flows])
        return flows


def main() -> None:
    for table in TABLES:
        for reason, state, step in rows(table):
            with Recorder() as pf:
                try:
                    start(pf)
                    run(pf, (f"! {state}\n" if state else "") + step)
                except NotThere:
                    continue
                print(json.dumps([f"{table.stem}: {reason}", pf.calls], separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
