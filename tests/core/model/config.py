"""What the filter is told: limits of the build, the configuration, services."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    uplink_mac: bytes
    segment_mac: bytes
    addr: int = 0  # X
    mask: int = 0
    router: int = 0
    dns: tuple[int, ...] = ()
    speaker: int = 0  # S
    host: int = 0
    alias: int = 0
    claim_port: int = 0
    guard: bool = False
    hosts: tuple[int, ...] = ()  # named ones

    def in_subnet(self, a: int) -> bool:
        return self.addr != 0 and a & self.mask == self.addr & self.mask


class Limits:
    """The limits of pf.h, by name without PF_."""

    def __init__(self, look_up: Callable[[str], int]) -> None:
        self._look_up = look_up
        self._known: dict[str, int] = {}

    def __getattr__(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = self._look_up("PF_" + name)
        return self._known[name]
