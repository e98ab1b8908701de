"""Leases: the right of one phone's address to pass until a time, or a silence."""

from dataclasses import dataclass

from .peers import Peer
from .rates import Bucket


@dataclass(eq=False)
class Lease:
    addr: int
    mac: bytes | None
    ttl: int  # ms
    seen: int
    claims: Bucket
    search: Bucket
    peer: Peer  # where its address is, if it has no MAC

    def over(self, now: int) -> bool:
        return now - self.seen >= self.ttl


class Leases:
    def __init__(self, places: int) -> None:
        self.places: list[Lease | None] = [None] * places

    def all(self) -> list[Lease]:
        return [x for x in self.places if x is not None]

    def find(self, addr: int) -> Lease | None:
        return next((x for x in self.all() if x.addr == addr), None)

    def add(self, lease: Lease) -> int | None:
        """The first free place's number."""
        for i, x in enumerate(self.places):
            if x is None:
                self.places[i] = lease
                return i
        return None

    def remove(self, lease: Lease) -> None:
        self.places[self.places.index(lease)] = None
