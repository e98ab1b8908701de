"""The packet filter's core in Python's hands (through harness.c)."""

import ctypes
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_DEFAULT = Path(__file__).resolve().parents[2] / "build" / "core" / "libpf.so"
_LIB = ctypes.CDLL(os.environ.get("SPEAKEASY_CORE_LIBRARY", str(_DEFAULT)))
PORTS = ["uplink", "segment", "host_uplink", "host_segment"]
KEY = bytes(range(16))

_LIB.harness_new.restype = ctypes.c_void_p
_LIB.harness_pf.restype = ctypes.c_void_p
_LIB.harness_out_count.restype = ctypes.c_size_t
_LIB.harness_out.restype = ctypes.c_size_t
_LIB.harness_counter.restype = ctypes.c_uint32
_LIB.harness_counter_name.restype = ctypes.c_char_p
_LIB.harness_longest_chain.restype = ctypes.c_uint32
_LIB.harness_limit.restype = ctypes.c_uint32
_LIB.harness_services.restype = ctypes.c_bool
_LIB.pf_lease_renew.restype = ctypes.c_bool
_LIB.pf_lease_get.restype = ctypes.c_bool
_LIB.pf_flow_get.restype = ctypes.c_bool
_LIB.pf_flow_mac.restype = ctypes.c_bool
_LIB.pf_dhcp_take.restype = ctypes.c_size_t
_LIB.pf_dhcp_send.restype = ctypes.c_bool
_LIB.pf_take_events.restype = ctypes.c_uint32

COUNTERS: list[str] = []
while (_name := _LIB.harness_counter_name(len(COUNTERS))) is not None:
    COUNTERS.append(_name.decode())


def limit(name: str) -> int:
    return int(_LIB.harness_limit(name.encode()))


def packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


class _FlowInfo(ctypes.Structure):
    _fields_ = [
        ("proto", ctypes.c_uint8),
        ("owner", ctypes.c_uint8),
        ("state", ctypes.c_uint8),
        ("_pad", ctypes.c_uint8),  # the C struct aligns the address
        ("remote_addr", ctypes.c_uint8 * 4),
        ("remote_port", ctypes.c_uint8 * 2),
        ("local_port", ctypes.c_uint8 * 2),
        ("external_port", ctypes.c_uint8 * 2),
        ("idle_s", ctypes.c_uint32),
    ]


class _LeaseInfo(ctypes.Structure):
    _fields_ = [
        ("addr", ctypes.c_uint8 * 4),
        ("mac", ctypes.c_uint8 * 6),
        ("has_mac", ctypes.c_bool),
        ("_pad", ctypes.c_uint8),
        ("left_s", ctypes.c_uint32),
        ("idle_s", ctypes.c_uint32),
    ]


@dataclass(frozen=True)
class Flow:
    proto: int
    owner: int
    state: int
    remote: str
    remote_port: int
    local_port: int
    external_port: int
    idle_s: int


@dataclass(frozen=True)
class Lease:
    addr: str
    mac: bytes | None
    left_s: int
    idle_s: int


@dataclass(frozen=True)
class Config:
    addr: str = "10.66.0.77"
    mask: str = "255.255.252.0"
    router: str = "10.66.0.1"
    dns: tuple[str, ...] = ("10.66.0.2", "9.9.9.9")
    speaker: str = ""  # as addr
    host: str = "192.168.77.1"
    alias: str = "192.168.77.2"
    claim_port: int = 7780
    uplink_mac: str = "02:00:00:00:42:10"
    segment_mac: str = "02:00:00:00:42:11"
    guard: bool = False
    hosts: tuple[str, ...] = ()


class Filter:
    """One filter; time stands still but for `wait`."""

    def __init__(self, key: bytes = KEY, now_ms: int = 1000) -> None:
        self.now = now_ms
        self._h = ctypes.c_void_p(_LIB.harness_new(key, ctypes.c_uint32(now_ms)))
        if not self._h:
            raise ValueError("the filter refuses this key")
        self._pf = ctypes.c_void_p(_LIB.harness_pf(self._h))

    def __enter__(self) -> "Filter":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        _LIB.harness_free(self._h)

    @property
    def _now(self) -> ctypes.c_uint32:
        return ctypes.c_uint32(self.now & 0xFFFFFFFF)

    def input(self, port: str, frame: bytes) -> str:
        """The counter that the frame raised: the verdict."""
        verdict = _LIB.harness_input(self._h, PORTS.index(port), frame, ctypes.c_size_t(len(frame)), self._now)
        return COUNTERS[verdict]

    def out(self) -> list[tuple[str, bytes]]:
        """Frames put out since the last call."""
        frames = []
        buf = ctypes.create_string_buffer(2048)
        port = ctypes.c_int()
        for i in range(_LIB.harness_out_count(self._h)):
            n = _LIB.harness_out(self._h, ctypes.c_size_t(i), ctypes.byref(port), buf)
            frames.append((PORTS[port.value], buf.raw[:n]))
        _LIB.harness_out_clear(self._h)
        return frames

    def out_count(self) -> int:
        """How many frames out() would give."""
        return int(_LIB.harness_out_count(self._h))

    def wait(self, ms: int, tick_ms: int = 100) -> None:
        """Lets time pass, with the ticks that the glue would make."""
        end = self.now + ms
        while self.now < end:
            self.now = min(end, self.now + tick_ms)
            self.tick()

    def jump(self, ms: int) -> None:
        """Lets time pass without a tick."""
        self.now += ms

    def tick(self) -> None:
        _LIB.pf_tick(self._pf, self._now)

    def configure(self, c: Config) -> None:
        speaker = c.speaker or (c.addr if c.addr != "0.0.0.0" else c.alias)
        dns = (*c.dns, "0.0.0.0", "0.0.0.0", "0.0.0.0")[:3]
        hosts = c.hosts + ("0.0.0.0",) * (limit("PF_NAMED_HOSTS") - len(c.hosts))
        addrs = b"".join(packed(a) for a in (c.addr, c.mask, c.router, speaker, c.host, c.alias, *dns, *hosts))
        _LIB.harness_configure(
            self._h,
            mac(c.uplink_mac),
            mac(c.segment_mac),
            addrs,
            ctypes.c_uint16(c.claim_port),
            ctypes.c_bool(c.guard),
            self._now,
        )

    def speaker(self, address: str | None) -> None:
        _LIB.pf_speaker(self._pf, mac(address) if address else None, self._now)

    def services(self, *services: tuple[int, int]) -> bool:
        protos = bytes({6: 0, 17: 1}.get(p, 255) for p, _ in services)
        ports = (ctypes.c_uint16 * len(services))(*(p for _, p in services))
        return bool(_LIB.harness_services(self._h, protos, ports, ctypes.c_size_t(len(services)), self._now))

    def lease_add(self, addr: str, mac_address: str | None, ttl_s: int = 43200) -> int:
        m = mac(mac_address) if mac_address else None
        return int(_LIB.pf_lease_add(self._pf, _u32(addr), m, ctypes.c_uint32(ttl_s), self._now))

    def lease_renew(self, addr: str, ttl_s: int) -> bool:
        return bool(_LIB.pf_lease_renew(self._pf, _u32(addr), ctypes.c_uint32(ttl_s), self._now))

    def lease_end(self, addr: str) -> int:
        return int(_LIB.pf_lease_end(self._pf, _u32(addr), self._now))

    def leases(self) -> list[Lease]:
        found = []
        for i in range(limit("PF_LEASES")):
            info = _LeaseInfo()
            if _LIB.pf_lease_get(self._pf, ctypes.c_size_t(i), ctypes.byref(info), self._now):
                m = bytes(info.mac) if info.has_mac else None
                found.append(Lease(str(ipaddress.IPv4Address(bytes(info.addr))), m, info.left_s, info.idle_s))
        return found

    def flows(self) -> list[Flow]:
        found = []
        for i in range(limit("PF_FLOWS")):
            f = _FlowInfo()
            if _LIB.pf_flow_get(self._pf, ctypes.c_size_t(i), ctypes.byref(f), self._now):
                remote = str(ipaddress.IPv4Address(bytes(f.remote_addr)))
                ports = [int.from_bytes(bytes(p), "big") for p in (f.remote_port, f.local_port, f.external_port)]
                found.append(Flow(f.proto, f.owner, f.state, remote, ports[0], ports[1], ports[2], f.idle_s))
        return found

    def flow_mac(self, addr: str, rport: int, lport: int, proto: int = 0) -> bytes | None:
        buf = ctypes.create_string_buffer(6)
        known = _LIB.pf_flow_mac(self._pf, proto, _u32(addr), _u16(rport), _u16(lport), buf, self._now)
        return buf.raw if known else None

    def dhcp_take(self, room: int = 1500) -> bytes:
        buf = ctypes.create_string_buffer(room)
        n = _LIB.pf_dhcp_take(self._pf, buf, ctypes.c_size_t(room))
        return buf.raw[:n]

    def dhcp_send(self, payload: bytes, mac_address: str | None, addr: str) -> bool:
        m = mac(mac_address) if mac_address else None
        return bool(_LIB.pf_dhcp_send(self._pf, payload, ctypes.c_size_t(len(payload)), m, _u32(addr)))

    def events(self) -> int:
        return int(_LIB.pf_take_events(self._pf))

    def count(self, name: str) -> int:
        return int(_LIB.harness_counter(self._h, COUNTERS.index(name)))

    def counters(self) -> dict[str, int]:
        return {n: c for i, n in enumerate(COUNTERS) if (c := int(_LIB.harness_counter(self._h, i)))}

    def longest_chain(self, index: int) -> int:
        return int(_LIB.harness_longest_chain(self._h, index))

    def check(self) -> None:
        """The flow table's indexes agree with its flows."""
        line = _LIB.harness_check(self._h)
        assert line == 0, f"flow table inconsistent: check.c:{line}"


def _u32(addr: str) -> ctypes.c_uint32:
    """A wire value: the bytes in memory as they are in a frame."""
    return ctypes.c_uint32.from_buffer_copy(packed(addr))


def _u16(port: int) -> ctypes.c_uint16:
    return ctypes.c_uint16.from_buffer_copy(port.to_bytes(2, "big"))
