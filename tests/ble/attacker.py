"""What somebody with a radio of their own has: a recorder, and a place between a phone and the bridge."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ble_sides import LIMIT_S, Central, uuid
from bumble import gatt
from bumble.core import AdvertisingData
from bumble.device import Connection, Device
from dorm.bluetooth_radio import Heard
from pairing_sides import Phone
from speakeasy import session as s
from speakeasy.errors import SpeakeasyError

UP, DOWN = "to the bridge", "to the phone"

_ATT = 4  # the L2CAP channel
_WRITE, _NOTIFICATION = 0x12, 0x1B
_ATT_HEAD = 3  # opcode, handle


class Recording:
    """One connection as an eavesdropper has it: each message in the order in which it went, and every other byte."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.fragments: list[bytes] = []  # what the phone wrote, write by write
        self._joiners = {UP: s.Joiner(), DOWN: s.Joiner()}

    def sent(self, kind: int, way: str) -> list[bytes]:
        """The messages of one type that went one way."""
        return [message for its_way, message in self.messages if its_way == way and message[0] == kind]

    def _take(self, way: str, fragment: bytes) -> None:
        if way == UP:
            self.fragments.append(fragment)
        message = self._joiners[way].feed(fragment)
        if message is not None:
            self.messages.append((way, message))


def recordings(heard: Iterable[Heard]) -> list[Recording]:
    """What a sniffer makes of the air: one recording for each connection."""
    found: list[Recording] = []
    for each in heard:
        if each.kind == "connect_ind":
            found.append(Recording())
        if each.kind != "data" or int.from_bytes(each.payload[2:4], "little") != _ATT:
            continue
        pdu = each.payload[4:]
        # Of all writes only those of the inbox are longer than a client's configuration (2 bytes).
        if pdu[0] == _WRITE and len(pdu) > _ATT_HEAD + 2:
            found[-1]._take(UP, pdu[_ATT_HEAD:])
        elif pdu[0] == _NOTIFICATION:
            found[-1]._take(DOWN, pdu[_ATT_HEAD:])
    return found


# What is done to a message on its way: what goes on instead of it.
Bend = Callable[[str, bytes], list[bytes]]


def passed_on(_way: str, message: bytes) -> list[bytes]:
    return [message]


class Relay:
    """Somebody in between: a phone for the bridge, a bridge for the phone. It is first at the bridge, which is silent
    from then on; so the phone meets the relay. All messages pass through `bend`."""

    def __init__(self, bend: Bend, bend_info: Callable[[bytes], bytes] = lambda info: info) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.lost = asyncio.Event()
        self._stopped = False
        self._bend = bend
        self._bend_info = bend_info
        self._joiner = s.Joiner()
        self._writes: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._victim: Connection | None = None
        self.phone: Phone
        self._device: Device
        self._outbox: gatt.Characteristic[bytes]

    @classmethod
    async def start(
        cls,
        new_central: Callable[[], Awaitable[Central]],
        bend: Bend,
        bend_info: Callable[[bytes], bytes] = lambda info: info,
    ) -> "Relay":
        relay = cls(bend, bend_info)
        relay.phone = await Phone.call(await new_central(), 185)
        info = relay._bend_info(await relay.phone.central.read(4))
        relay._device = (await new_central()).device
        flags, may = gatt.Characteristic.Properties, gatt.Characteristic.Permissions
        inbox: Any = gatt.CharacteristicValue(write=lambda _connection, value: relay._writes.put_nowait(bytes(value)))
        relay._outbox = gatt.Characteristic(uuid(3), flags.NOTIFY, may.READABLE, b"")
        relay._device.add_service(
            gatt.Service(
                uuid(1),
                [
                    gatt.Characteristic(uuid(2), flags.WRITE, may.WRITEABLE, inbox),
                    relay._outbox,
                    gatt.Characteristic(uuid(4), flags.READ, may.READABLE, info),
                ],
            )
        )
        relay._device.on("connection", relay._on_connection)
        data = AdvertisingData([(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(uuid(1)))])
        await relay._device.start_advertising(advertising_data=bytes(data), advertising_interval_min=50)
        relay._tasks = [asyncio.create_task(relay._up()), asyncio.create_task(relay._down())]
        return relay

    def _on_connection(self, connection: Connection) -> None:
        self._victim = connection
        connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: self.lost.set())

    async def _up(self) -> None:
        while not self._stopped:  # a write that is cancelled ends as if it had been done
            message = self._joiner.feed(await self._writes.get())
            for each in self._on_its_way(UP, message):
                await self.phone.send(each)

    async def _down(self) -> None:
        while (message := await self.phone.hear()) is not None:
            for each in self._on_its_way(DOWN, message):
                for fragment in s.fragments(each, s.SMALLEST_MTU):
                    await self._device.notify_subscribers(self._outbox, fragment)
        await self._drop_victim()

    def _on_its_way(self, way: str, message: bytes | None) -> list[bytes]:
        if message is None:
            return []
        self.seen.append((way, message))
        return self._bend(way, message)

    async def _drop_victim(self) -> None:
        if self._victim is not None and not self.lost.is_set():
            with contextlib.suppress(Exception):  # it may be gone by itself at this moment
                await asyncio.wait_for(self._victim.disconnect(), LIMIT_S)

    async def stop(self) -> None:
        """Hangs up on both sides."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.phone.hang_up()
        with contextlib.suppress(Exception):  # the same
            await self._device.stop_advertising()
        await self._drop_victim()
        # What the relay itself stumbled over would make any test of it pass.
        unexpected = [
            e for e in results if isinstance(e, Exception) and not isinstance(e, (SpeakeasyError, TimeoutError))
        ]
        assert not unexpected, unexpected
