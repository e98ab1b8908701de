"""The bridge's Ethernet socket and the cable in it, for boards that have one.

The firmware says which side of the bridge the socket is on; the cable then goes where that side is: into the dorm's
wall (the switch), or to the speaker. It is the same TAP device that is a radio's on a bridge without a cable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from dorm import topology
from dorm.namespaces import Namespace

LINK_S = 0.3  # from the plug to the link. A real one takes two seconds; this is long enough to be seen as a state

# MicroPython's network.ETH_*.
INITIALIZED = 0
STARTED = 1
STOPPED = 2
CONNECTED = 3
DISCONNECTED = 4
GOT_IP = 5

UPLINK = "uplink"
SEGMENT = "segment"
HOST_IF = {UPLINK: topology.HOST_UPLINK, SEGMENT: topology.HOST_SEGMENT}
RADIO = {UPLINK: topology.UPLINK_RADIO, SEGMENT: topology.SEGMENT_RADIO}


@dataclass
class Wanted:
    """What the driver has been told."""

    active: bool = False
    side: str = UPLINK
    mac: str = topology.MAC[topology.ETHERNET]
    dhcp: bool = True
    addr: str = "0.0.0.0"
    prefix: int = 0


class Plug:
    """The socket. `ip(...)` is ip(8) in the bridge. `far`: the namespace at the cable's other end, by side.
    `tell(status)` tells the board of a link; `look()` and `leave()` start and end the uplink's DHCP client; `there()`
    says whether the speaker has power.

    `plugged`: whether the cable is in.
    """

    def __init__(
        self,
        ip: Callable[..., Awaitable[None]],
        far: Mapping[str, Namespace],
        *,
        tell: Callable[[int], None],
        look: Callable[[], Awaitable[None]],
        leave: Callable[[], Awaitable[None]],
        there: Callable[[], bool],
    ) -> None:
        self._ip = ip
        self._far = far
        self._tell = tell
        self._look = look
        self._leave = leave
        self._there = there
        self._moved = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self.plugged = True
        self.status = INITIALIZED
        self.wanted = Wanted()

    def on(self, side: str) -> bool:
        """Whether that side of the bridge is by cable now."""
        return self.wanted.active and self.wanted.side == side

    @property
    def up(self) -> bool:
        """Whether the board has been told of a link."""
        return self.status in (CONNECTED, GOT_IP)

    def plug(self, plugged: bool) -> None:
        """Somebody pulls the cable, or puts it in."""
        self.plugged = plugged
        self.moved()

    def moved(self) -> None:
        """Something has changed at the other end."""
        self._moved.set()

    def got_ip(self) -> None:
        """The DHCP client has an address."""
        self._become(GOT_IP)

    def station_got_ip(self) -> None:
        """The Wi-Fi station has. MicroPython's handler takes the event for Ethernet's own with that number."""
        if self.wanted.active:
            self._become(STARTED)

    async def configure(self, wanted: Wanted) -> None:
        """The driver's wishes."""
        before, self.wanted = self.wanted, wanted
        ifname = HOST_IF[wanted.side]
        if not wanted.active:
            if before.active:
                await self._end()
                await self._ip("link", "set", "dev", ifname, "down")
                self._become(STOPPED)
            return
        await self._ip("link", "set", "dev", ifname, "address", wanted.mac, "up")
        if not wanted.dhcp:
            await self._leave_if(UPLINK)
            await self._ip("-4", "address", "flush", "dev", ifname)
            if wanted.addr != "0.0.0.0":
                address = f"{wanted.addr}/{wanted.prefix}"
                await self._ip("address", "add", address, "brd", "+", "dev", ifname)
        if self._following is None:
            self._become(STARTED)
            self._following = asyncio.create_task(self._follow())

    async def power_lost(self) -> None:
        """The board is off; what it has told its driver is forgotten. The cable stays where it is."""
        await self._end()
        if self.wanted.active:
            ifname = HOST_IF[self.wanted.side]
            await self._ip("link", "set", "dev", ifname, "address", topology.MAC[ifname])
        self.wanted = Wanted()
        self.status = INITIALIZED

    async def _follow(self) -> None:
        while True:
            await self._until(True)
            await asyncio.sleep(LINK_S)
            if not self.linked:
                continue
            await self._carrier(True)
            self._become(CONNECTED)
            if not self.wanted.dhcp:
                self._become(GOT_IP)
            elif self.wanted.side == UPLINK:
                await self._look()
            await self._until(False)
            await self._carrier(False)
            await self._leave_if(UPLINK)
            self._become(DISCONNECTED)

    @property
    def linked(self) -> bool:
        """Whether somebody is at the other end."""
        return self.plugged and (self.wanted.side == UPLINK or self._there())

    async def _until(self, linked: bool) -> None:
        while self.linked != linked:
            self._moved.clear()
            await self._moved.wait()

    async def _carrier(self, up: bool) -> None:
        side = self.wanted.side
        await self._far[side].carrier(RADIO[side], up)

    async def _leave_if(self, side: str) -> None:
        if self.wanted.side == side:
            await self._leave()

    async def _end(self) -> None:
        task, self._following = self._following, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        await self._carrier(False)
        await self._leave_if(UPLINK)

    def _become(self, status: int) -> None:
        self.status = status
        self._tell(status)
