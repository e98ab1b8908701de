"""The core in C, for the comparison: any build of it, and its whole visible state in one call."""

import ctypes
import struct
from dataclasses import dataclass
from pathlib import Path

from .config import Config
from .packet import a4, p2

PORTS = ["uplink", "segment", "host_uplink", "host_segment"]


@dataclass(frozen=True)
class State:
    counters: dict[str, int]
    events: int
    flows: list[tuple[int, ...]]  # proto, owner, state, remote address, its port, local port, external port, idle s
    leases: list[tuple[int, int, bytes | None, int, int]]  # place, address, MAC, s left, s idle


class Library:
    def __init__(self, path: Path) -> None:
        lib = self.lib = ctypes.CDLL(str(path))
        for name in ("harness_new", "harness_pf"):
            getattr(lib, name).restype = ctypes.c_void_p
        for name in ("harness_out_count", "harness_out", "harness_state", "pf_dhcp_take"):
            getattr(lib, name).restype = ctypes.c_size_t
        for name in ("harness_services", "pf_lease_renew", "pf_flow_mac", "pf_dhcp_send"):
            getattr(lib, name).restype = ctypes.c_bool
        for name in ("harness_counter", "harness_limit"):
            getattr(lib, name).restype = ctypes.c_uint32
        lib.harness_counter_name.restype = ctypes.c_char_p
        self.counters: list[str] = []
        while (name := lib.harness_counter_name(len(self.counters))) is not None:
            self.counters.append(name.decode())
        self.state_format = struct.Struct(f"<{len(self.counters)}III")

    def limit(self, name: str) -> int:
        return int(self.lib.harness_limit(name.encode()))


_FLOW = struct.Struct("<BBBx4s2s2s2s2xI")
_LEASE = struct.Struct("<I4s6s?xII")


class Core:
    """One filter. Times are the model's: unbounded; the core sees 32 bits of them."""

    def __init__(self, library: Library, key: bytes, now: int) -> None:
        self.library, self.lib = library, library.lib
        self.h = ctypes.c_void_p(self.lib.harness_new(key, self._now(now)))
        self.pf = ctypes.c_void_p(self.lib.harness_pf(self.h))
        self.buffer = ctypes.create_string_buffer(1 << 20)

    def close(self) -> None:
        self.lib.harness_free(self.h)

    @staticmethod
    def _now(now: int) -> ctypes.c_uint32:
        return ctypes.c_uint32(now & 0xFFFFFFFF)

    def input(self, port: str, frame: bytes, now: int) -> str:
        verdict = self.lib.harness_input(self.h, PORTS.index(port), frame, ctypes.c_size_t(len(frame)), self._now(now))
        return str(self.library.counters[verdict])

    def out(self) -> list[tuple[str, bytes]]:
        frames = []
        port = ctypes.c_int()
        for i in range(self.lib.harness_out_count(self.h)):
            n = self.lib.harness_out(self.h, ctypes.c_size_t(i), ctypes.byref(port), self.buffer)
            frames.append((PORTS[port.value], ctypes.string_at(self.buffer, n)))
        self.lib.harness_out_clear(self.h)
        return frames

    def state(self, now: int) -> State:
        n = self.lib.harness_state(self.h, self.buffer, ctypes.c_size_t(len(self.buffer)), self._now(now))
        data = ctypes.string_at(self.buffer, n)
        *counters, events, flow_count = self.library.state_format.unpack_from(data)
        at = self.library.state_format.size
        flows = []
        for _ in range(flow_count):
            proto, owner, state, remote, rport, lport, eport, idle = _FLOW.unpack_from(data, at)
            big = [int.from_bytes(x, "big") for x in (remote, rport, lport, eport)]
            flows.append((proto, owner, state, *big, idle))
            at += _FLOW.size
        leases: list[tuple[int, int, bytes | None, int, int]] = []
        while at < n:
            place, addr, mac, has_mac, left, idle = _LEASE.unpack_from(data, at)
            leases.append((place, int.from_bytes(addr, "big"), mac if has_mac else None, left, idle))
            at += _LEASE.size
        named = {k: v for k, v in zip(self.library.counters, counters, strict=True) if v}
        return State(named, events, sorted(flows), leases)

    def check(self) -> int:
        return int(self.lib.harness_check(self.h))

    def tick(self, now: int) -> None:
        self.lib.pf_tick(self.pf, self._now(now))

    def configure(self, c: Config, now: int) -> None:
        dns = (*c.dns, 0, 0, 0)[:3]
        hosts = c.hosts + (0,) * (self.library.limit("PF_NAMED_HOSTS") - len(c.hosts))
        addrs = b"".join(a4(a) for a in (c.addr, c.mask, c.router, c.speaker, c.host, c.alias, *dns, *hosts))
        port, guard = ctypes.c_uint16(c.claim_port), ctypes.c_bool(c.guard)
        self.lib.harness_configure(self.h, c.uplink_mac, c.segment_mac, addrs, port, guard, self._now(now))

    def speaker(self, mac: bytes | None, now: int) -> None:
        self.lib.pf_speaker(self.pf, mac, self._now(now))

    def set_services(self, services: list[tuple[int, int]], now: int) -> bool:
        protos = bytes({6: 0, 17: 1}.get(p, 255) for p, _ in services)
        ports = (ctypes.c_uint16 * len(services))(*(q for _, q in services))
        return bool(self.lib.harness_services(self.h, protos, ports, ctypes.c_size_t(len(services)), self._now(now)))

    def lease_add(self, addr: int, mac: bytes | None, ttl_s: int, now: int) -> int:
        return int(self.lib.pf_lease_add(self.pf, _wire4(addr), mac, ctypes.c_uint32(ttl_s), self._now(now)))

    def lease_renew(self, addr: int, ttl_s: int, now: int) -> bool:
        return bool(self.lib.pf_lease_renew(self.pf, _wire4(addr), ctypes.c_uint32(ttl_s), self._now(now)))

    def lease_end(self, addr: int, now: int) -> int:
        return int(self.lib.pf_lease_end(self.pf, _wire4(addr), self._now(now)))

    def dhcp_take(self, room: int) -> bytes:
        n = self.lib.pf_dhcp_take(self.pf, self.buffer, ctypes.c_size_t(room))
        return ctypes.string_at(self.buffer, n)

    def dhcp_send(self, payload: bytes, mac: bytes | None, addr: int) -> bool:
        return bool(self.lib.pf_dhcp_send(self.pf, payload, ctypes.c_size_t(len(payload)), mac, _wire4(addr)))

    def flow_mac(self, proto: int, raddr: int, rport: int, lport: int, now: int) -> bytes | None:
        number = {6: 0, 17: 1, 1: 2}[proto]
        known = self.lib.pf_flow_mac(
            self.pf, number, _wire4(raddr), _wire2(rport), _wire2(lport), self.buffer, self._now(now)
        )
        return ctypes.string_at(self.buffer, 6) if known else None


def _wire4(a: int) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_buffer_copy(a4(a))


def _wire2(port: int) -> ctypes.c_uint16:
    return ctypes.c_uint16.from_buffer_copy(p2(port))
