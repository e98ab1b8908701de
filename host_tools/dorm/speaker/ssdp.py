"""Discovery: answers to searches, announcements (UPnP Device Architecture 1.0/1.1, section 1)."""

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Any

from dorm.speaker import interface
from dorm.speaker.description import DESCRIPTION_PATH, HOUSEHOLD, SERVER
from dorm.topology import SPEAKER_PORT

GROUP = "239.255.255.250"
PORT = 1900
TTL = 4  # UDA 1.0, 1.1.2: should default to 4
MAX_AGE_S = 1800
ALIVE_S = 600.0  # well below half of max-age
MX_LIMIT_S = 5.0  # UDA 1.1, 1.3.3: a larger MX is treated as 5
DATAGRAM_LIMIT = 2048

_log = logging.getLogger("ssdp")


def parse_search(data: bytes) -> tuple[str, float] | None:
    """(search target, MX in seconds) of an M-SEARCH; None when it is none. Lines may end in LF, as SoCo's do."""
    if len(data) > DATAGRAM_LIMIT:
        return None
    try:
        lines = data.decode("ascii").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return None
    if lines[0].strip() != "M-SEARCH * HTTP/1.1":
        return None
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().upper()] = value.strip()
    if headers.get("MAN", "").strip('"') != "ssdp:discover" or not headers.get("ST"):
        return None
    try:
        mx = float(headers.get("MX", "0"))
    except ValueError:
        return None
    return headers["ST"], min(max(mx, 0.0), MX_LIMIT_S)


class Ssdp(asyncio.DatagramProtocol):
    """The SSDP side of a device; `usns` are its (NT, USN) pairs."""

    def __init__(self, ifname: str, usns: list[tuple[str, str]], boot_seq: int) -> None:
        self.searches = 0
        self._ifname = ifname
        self._usns = usns
        self._boot_seq = boot_seq
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, TTL)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        # By index, not by address: both outlive a change of address.
        index = socket.if_nametoindex(self._ifname)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index))
        membership = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sock.bind(("", PORT))
        sock.setblocking(False)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self._spawn(self._announce_for_ever())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        self.announce("ssdp:byebye")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def error_received(self, error: Exception) -> None:
        _log.info("datagram not delivered: %s", error)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        search = parse_search(data)
        if search is None:
            return
        target, mx = search
        matches = [(nt, usn) for nt, usn in self._usns if target in (nt, "ssdp:all")]
        if not matches:
            return
        self.searches += 1
        _log.info("%s searches for %s", addr[0], target)
        # MX is there so that not everybody answers at once; a fraction of it is what players take.
        self._spawn(self._answer(matches, addr, random.uniform(0, mx / 4)))

    async def _answer(self, matches: list[tuple[str, str]], addr: tuple[str, int], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        own = interface.address(self._ifname)
        if own is None:
            return
        for target, usn in matches:
            self._send(
                [
                    "HTTP/1.1 200 OK",
                    f"CACHE-CONTROL: max-age = {MAX_AGE_S}",
                    f"DATE: {formatdate(usegmt=True)}",
                    "EXT:",
                    f"LOCATION: http://{own}:{SPEAKER_PORT}{DESCRIPTION_PATH}",
                    f"SERVER: {SERVER}",
                    f"ST: {target}",
                    f"USN: {usn}",
                    f"X-RINCON-HOUSEHOLD: {HOUSEHOLD}",
                    f"X-RINCON-BOOTSEQ: {self._boot_seq}",
                    "X-RINCON-WIFIMODE: 1",
                    "X-RINCON-VARIANT: 0",
                ],
                addr,
            )

    def announce(self, what: str = "ssdp:alive") -> None:
        """Multicasts NOTIFYs of `what` (ssdp:alive, ssdp:byebye) for each of the device's names."""
        own = interface.address(self._ifname)
        if own is None:
            return
        for target, usn in self._usns:
            lines = ["NOTIFY * HTTP/1.1", f"HOST: {GROUP}:{PORT}"]
            if what == "ssdp:alive":
                lines += [
                    f"CACHE-CONTROL: max-age = {MAX_AGE_S}",
                    f"LOCATION: http://{own}:{SPEAKER_PORT}{DESCRIPTION_PATH}",
                ]
            lines += [f"NT: {target}", f"NTS: {what}"]
            if what == "ssdp:alive":
                lines.append(f"SERVER: {SERVER}")
            lines += [
                f"USN: {usn}",
                f"X-RINCON-HOUSEHOLD: {HOUSEHOLD}",
                f"X-RINCON-BOOTSEQ: {self._boot_seq}",
            ]
            self._send(lines, (GROUP, PORT))

    def _send(self, lines: list[str], addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), addr)

    async def _announce_for_ever(self) -> None:
        while True:
            self.announce()
            await asyncio.sleep(ALIVE_S)
