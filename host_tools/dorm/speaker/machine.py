"""The speaker as a machine, around its software: it asks for an address whenever its link comes up, and reboots."""

import asyncio
import contextlib
import logging
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from dorm.dhcp import DhcpClient, Lease
from dorm.jsonlines import ask_json
from dorm.namespaces import Namespace
from dorm.programs import Program
from dorm.topology import SEGMENT_RADIO, SPEAKER, SPEAKER_REBOOT_S

REBOOT_STATUS = 3  # exit status of the software that wants a reboot
RESTART_S = 1.0  # before software that crashed is started again

RTMGRP_LINK = 1  # <linux/rtnetlink.h>
RTM_NEWLINK = 16
IFLA_IFNAME = 3
IFF_LOWER_UP = 1 << 16  # <linux/if.h>
_NLMSGHDR = struct.Struct("=LHHLL")
_IFINFOMSG = struct.Struct("=BxHiII")
_RTATTR = struct.Struct("=HH")

_log = logging.getLogger("speaker")


def links_in(data: bytes) -> list[tuple[str, bool]]:
    """(interface, carrier) of each RTM_NEWLINK message in what a netlink socket gave (rtnetlink(7))."""
    found = []
    while len(data) >= _NLMSGHDR.size:
        length, kind, _, _, _ = _NLMSGHDR.unpack_from(data)
        if length < _NLMSGHDR.size or length > len(data):
            break
        message, data = data[_NLMSGHDR.size : length], data[(length + 3) & ~3 :]
        if kind != RTM_NEWLINK or len(message) < _IFINFOMSG.size:
            continue
        _, _, _, flags, _ = _IFINFOMSG.unpack_from(message)
        attributes = message[_IFINFOMSG.size :]
        while len(attributes) >= _RTATTR.size:
            size, attribute = _RTATTR.unpack_from(attributes)
            if size < _RTATTR.size or size > len(attributes):
                break
            if attribute == IFLA_IFNAME:
                name = attributes[_RTATTR.size : size].rstrip(b"\0").decode(errors="replace")
                found.append((name, bool(flags & IFF_LOWER_UP)))
            attributes = attributes[(size + 3) & ~3 :]
    return found


class SpeakerMachine:
    """The speaker in its namespace. Its network interface must exist before `start`."""

    def __init__(self, namespace: Namespace, run_dir: Path, ifname: str = SEGMENT_RADIO) -> None:
        self.namespace = namespace
        self.ifname = ifname
        self.boots = 0
        self.dhcp = DhcpClient(
            namespace, ifname, SPEAKER, run_dir / "lease" / SPEAKER, run_dir / "log" / "speaker.dhcp.log"
        )
        self._log = run_dir / "log" / "speaker.log"
        self._control = run_dir / "speaker.sock"
        self._tasks: list[asyncio.Task[None]] = []
        self._software: Program | None = None
        self._netlink: socket.socket | None = None
        self._off = False
        self.links: list[bool] = []  # each change of its link

    async def start(self) -> None:
        self._netlink = self.namespace.inside(_netlink_socket)
        await self.namespace.run("ip", "link", "set", "dev", self.ifname, "up")
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._follow_link()), loop.create_task(self._boot_for_ever())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._software is not None:
            await self._software.stop()
        await self.dhcp.stop()
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def check(self) -> None:
        """Raises what ended one of the machine's own tasks, if anything did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                error = task.exception()
                if error is not None:
                    raise error

    @property
    def lease(self) -> Lease | None:
        return self.dhcp.lease

    async def state(self) -> dict[str, Any]:
        """What the player says of itself: see dorm.speaker.device. Raises OSError while it is not up."""
        return await ask_json(self._control, {"op": "state"})

    async def requests(self) -> list[dict[str, Any]]:
        """HTTP requests that reached the player since its boot, with the peers' addresses and programs."""
        found: list[dict[str, Any]] = (await ask_json(self._control, {"op": "requests"}))["requests"]
        return found

    async def forget_requests(self) -> None:
        await ask_json(self._control, {"op": "forget"})

    async def _follow_link(self) -> None:
        assert self._netlink is not None
        loop = asyncio.get_running_loop()
        shown = await self.namespace.run("ip", "-o", "link", "show", "dev", self.ifname)
        had = False
        pending = [(self.ifname, "LOWER_UP" in shown.stdout)]
        while True:
            for name, has in pending:
                if name != self.ifname or has == had:
                    continue
                had = has
                self.links.append(has)
                _log.info("speaker: link %s", "up" if has else "down")
                # The lease stays in use while the link is away, as players do; a new link asks for a new one.
                await self.dhcp.stop()
                if has:
                    await self.dhcp.start()
            pending = links_in(await loop.sock_recv(self._netlink, 65536))

    async def _boot_for_ever(self) -> None:
        while True:
            self.boots += 1
            self._control.unlink(missing_ok=True)
            self._software = Program(
                self.namespace,
                self._log,
                *(sys.executable, "-m", "dorm.speaker", self.ifname, str(self.dhcp.lease_file)),
                *(str(self._control), str(self.boots)),
            )
            status = await (await self._software.launch()).wait()
            self._control.unlink(missing_ok=True)
            if status == REBOOT_STATUS:
                await self.dhcp.forget()
                await asyncio.sleep(SPEAKER_REBOOT_S)
                with contextlib.suppress(OSError):
                    await self.namespace.run("ip", "link", "set", "dev", self.ifname, "up")
            else:
                _log.warning("speaker: its software ended with status %d; it is started again", status)
                await asyncio.sleep(RESTART_S)


def _netlink_socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    sock.bind((0, RTMGRP_LINK))
    return sock
