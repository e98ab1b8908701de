"""SSDP with private addressing (UPnP Device Architecture 1.1, section 1): who looks for the speaker finds X.

    phone  --M-SEARCH-->  X:1900, us  --M-SEARCH-->  speaker
    phone  <--answer, X--  us         <--answer, its own address--
    leased phones  <--NOTIFY, X--  us <--NOTIFY--

The filter hands over only searches of leased phones and notifications of the speaker, within their rates; both come by
unicast. One socket does for all: its answers leave from port 1900.
"""

import asyncio
import socket

from micropython import const

from . import clock, inet
from .rewrite import replaced

PORT = 1900
DATAGRAM_MAX_BYTES = 1400
MAX_SEARCHES = 16  # that wait for answers; the oldest gives way
SEARCH_S = 5  # UDA 1.1, 1.3.3: no answer takes longer
TARGET_MAX_BYTES = 128

_TURN_MS = const(20)
_IDLE_MS = const(250)
_DATAGRAMS_A_TURN = const(16)
_SEARCH = b"M-SEARCH * HTTP/1.1"
_NOTIFY = b"NOTIFY * HTTP/1.1"
_ANSWER = b"HTTP/1.1 200 OK"
_ALL = b"ssdp:all"


class Discovery:
    """`Discovery.datagram` is the whole of it without a socket."""

    def __init__(self, policy, beat, port: int = PORT, now=clock.seconds) -> None:
        self._policy = policy
        self._beat = beat
        self._port = port
        self._now = now
        self._searches: list = []  # (address, port, search target, until), oldest first

    async def run(self) -> None:
        """Serve for ever, while addressing is private."""
        while True:
            self._beat()
            if self._policy.guarded:
                await self._serve()
            await asyncio.sleep_ms(_IDLE_MS)

    async def _serve(self) -> None:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0", self._port))
            while self._policy.guarded:
                self._beat()
                self._turn(s)
                await asyncio.sleep_ms(_TURN_MS)
        finally:
            s.close()
            self._searches.clear()

    def _turn(self, s) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                data, (addr, port) = s.recvfrom(DATAGRAM_MAX_BYTES + 1)
            except OSError:
                return  # nothing more just now
            for out, to in self.datagram(data, inet.parse(addr), port):
                try:
                    s.sendto(out, to)
                except OSError:
                    pass  # a datagram may get lost

    def datagram(self, data: bytes, addr: bytes, port: int) -> list:
        """What to send for a datagram that came from `addr` (4 bytes) and `port`: [(data, (address, port))]."""
        if len(data) > DATAGRAM_MAX_BYTES:
            return []
        if addr == self._policy.alias:
            return self._of_the_speaker(data)
        if self._policy.leased(addr):
            return self._of_a_phone(data, addr, port)
        return []

    def _of_a_phone(self, data: bytes, addr: bytes, port: int) -> list:
        lines = _lines(data)
        target = _value(lines, b"ST")
        if lines[0] != _SEARCH or _value(lines, b"MAN").strip(b'"') != b"ssdp:discover":
            return []
        if not 0 < len(target) <= TARGET_MAX_BYTES or any([not 32 < byte < 127 for byte in target]):
            return []
        key = (addr, port, target)
        self._searches = [s for s in self._searches if s[:3] != key and s[3] >= self._now()]
        if len(self._searches) >= MAX_SEARCHES:
            self._searches.pop(0)
        self._searches.append(key + (self._now() + SEARCH_S,))
        # Written anew: nothing of a phone's but the target gets to the speaker. By unicast (1.3.2), but with the fields
        # of a multicast search, which older devices insist on; they may take their second (MX) for the answer.
        asked = _SEARCH + b'\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ' + target
        return [(asked + b"\r\n\r\n", (inet.text(self._policy.alias), self._port))]

    def _of_the_speaker(self, data: bytes) -> list:
        lines = _lines(data)
        policy = self._policy
        if lines[0] == _NOTIFY:
            to = [(lease[1], self._port) for lease in policy.leases()]
        elif lines[0] == _ANSWER:
            target = _value(lines, b"ST")
            now = self._now()
            to = [s[:2] for s in self._searches if s[2] in (target, _ALL) and s[3] >= now and policy.leased(s[0])]
        else:
            return []
        out = replaced(data, inet.text(policy.alias).encode(), inet.text(policy.addr).encode())
        return [(out, (inet.text(addr), port)) for addr, port in to]


def _lines(data: bytes) -> list:
    # Lines may end in LF alone: some phones' do.
    return [line.rstrip() for line in data.split(b"\n")]


def _value(lines: list, name: bytes) -> bytes:
    # Of the first field of that name (upper case); empty when there is none.
    for line in lines[1:]:
        key, colon, value = line.partition(b":")
        if colon and key.strip().upper() == name:
            return value.strip()
    return b""
