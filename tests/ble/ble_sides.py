"""The two sides of a link that tests/ble puts to the test: a board, and a central."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bumble import att, core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, ConnectionParametersPreferences, Device
from bumble.gatt_client import CharacteristicProxy, Client
from bumble.pairing import PairingConfig, PairingDelegate

TOP = Path(__file__).resolve().parents[2]
NIMBLE = os.environ.get("BLE") == "nimble"
BOARD = Path(os.environ.get("SPEAKEASY_SIM") or TOP / "build" / ("sim-nimble" if NIMBLE else "sim") / "speakeasy-sim")
LIMIT_S = 60.0  # only a bound: the machine may be slow and busy

# What every board's program starts with. `task()` is its work; what it says is compared line by line.
PRELUDE = """
import sys
import asyncio
import aioble
import bluetooth

def uuid(n):
    return bluetooth.UUID("5ea5000%d-7a1c-4b0e-9d57-0f5a3c8e2b11" % n)

SERVICE = uuid(1)
ADV = b"\\x02\\x01\\x06"

def say(*args):
    print(*args)

async def raises(awaitable):
    # The name and the arguments of what awaiting it raises.
    try:
        value = await awaitable
    except Exception as error:
        return type(error).__name__, error.args
    return "nothing", value
"""
EPILOGUE = """
async def main():
    await task()
    print("board: end")
    # Answers may still be on their way; the test ends the process.
    await asyncio.sleep(3600)

asyncio.run(main())
"""


def uuid(number: int) -> core.UUID:
    return core.UUID(f"5ea5000{number}-7a1c-4b0e-9d57-0f5a3c8e2b11")


class Board:
    """A running board. `says` checks its next line of output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[str] = []

    async def line(self, limit_s: float = LIMIT_S) -> str:
        assert self.process.stdout
        try:
            raw = await asyncio.wait_for(self.process.stdout.readline(), limit_s)
        except TimeoutError:
            pytest.fail(f"the board said nothing for {limit_s} s; before that: {self.heard}", pytrace=False)
        text = raw.decode().rstrip("\n")
        self.heard.append(text if raw else "(end of output)")
        return self.heard[-1]

    async def says(self, *expected: str) -> None:
        for text in expected:
            line = await self.line()
            assert line == text, f"before that: {self.heard}"

    async def ends(self) -> None:
        """The program came to its end."""
        await self.says("board: end")

    async def kill(self) -> None:
        """As a reset or a pulled plug."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Central:
    """A phone's Bumble host with its own controller, by way of hci.sock."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.connection: Connection
        self._down: asyncio.Future[int]
        self._notified: dict[int, asyncio.Queue[bytes]] = {}

    def just_works(self) -> None:
        """From here on pairs, and bonds, without asking anybody."""
        delegate = PairingDelegate(PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT)
        self.device.pairing_config_factory = lambda _connection: PairingConfig(mitm=False, delegate=delegate)

    @property
    def client(self) -> Client:
        return self.connection.gatt_client

    async def scan(self, predicate: Callable[[Advertisement], bool], limit_s: float = LIMIT_S) -> Advertisement:
        """The first report that fits; advertisements and scan responses come one by one."""
        found: asyncio.Future[Advertisement] = asyncio.get_running_loop().create_future()

        def on_report(report: Any) -> None:
            advertisement = Advertisement.from_advertising_report(report)
            if not found.done() and advertisement and predicate(advertisement):
                found.set_result(advertisement)

        self.device.host.on("advertising_report", on_report)
        await self.device.start_scanning(filter_duplicates=False)
        try:
            return await asyncio.wait_for(found, limit_s)
        finally:
            self.device.host.remove_listener("advertising_report", on_report)
            await self.device.stop_scanning()

    async def connect(self, limit_s: float = LIMIT_S, supervision_ms: int | None = None) -> None:
        advertisement = await self.scan(lambda a: not a.is_scan_response, limit_s)
        wishes = {}
        if supervision_ms is not None:
            wishes[hci.Phy.LE_1M] = ConnectionParametersPreferences(supervision_timeout=supervision_ms)
        # Watched from its first moment: a board may end it before anybody here has looked.
        down = self._down = asyncio.get_running_loop().create_future()

        def on_disconnection(reason: int) -> None:
            if not down.done():
                down.set_result(reason)

        self.device.once(
            Device.EVENT_CONNECTION, lambda connection: connection.on(Connection.EVENT_DISCONNECTION, on_disconnection)
        )
        self.connection = await self.device.connect(
            advertisement.address, connection_parameters_preferences=wishes or None, timeout=limit_s
        )

    async def discover(self) -> None:
        for service in await asyncio.wait_for(self.client.discover_services(), LIMIT_S):
            await asyncio.wait_for(service.discover_characteristics(), LIMIT_S)

    async def open(self, mtu: int | None = None, supervision_ms: int | None = None) -> None:
        await self.connect(supervision_ms=supervision_ms)
        if mtu:
            await asyncio.wait_for(self.client.request_mtu(mtu), LIMIT_S)
        await self.discover()

    def characteristic(self, number: int) -> "CharacteristicProxy[Any]":
        return self.client.get_characteristics_by_uuid(uuid(number))[0]

    async def read(self, number: int) -> bytes:
        return await asyncio.wait_for(self.client.read_value(self.characteristic(number).handle), LIMIT_S)

    async def write(self, number: int, data: bytes, with_response: bool = True) -> None:
        handle = self.characteristic(number).handle
        await asyncio.wait_for(self.client.write_value(handle, data, with_response), LIMIT_S)

    async def subscribe(self, number: int) -> None:
        """From here on `notified` has what comes, and not only after it was asked for."""
        self.listen(number)
        await asyncio.wait_for(self.characteristic(number).subscribe(), LIMIT_S)

    def listen(self, number: int) -> "asyncio.Queue[bytes]":
        """Takes notifications without telling the board, that is without subscribing."""
        queue = self._notified[number] = asyncio.Queue()
        handle = self.characteristic(number).handle
        for subscribers in (self.client.notification_subscribers, self.client.indication_subscribers):
            subscribers.setdefault(handle, set()).add(queue.put_nowait)
        return queue

    async def notified(self, number: int, limit_s: float = LIMIT_S) -> bytes:
        return await asyncio.wait_for(self._notified[number].get(), limit_s)

    async def refused(self, request: Awaitable[Any]) -> int:
        """The ATT error code that `request` gets."""
        with pytest.raises(att.ATT_Error) as info:
            await request
        return int(info.value.error_code)

    async def disconnect(self) -> None:
        await asyncio.wait_for(self.connection.disconnect(), LIMIT_S)

    async def gone(self, limit_s: float = LIMIT_S) -> int:
        """Waits until the link is down, if it is not yet, and returns the reason (Core, Vol 1 Part F)."""
        return await asyncio.wait_for(asyncio.shield(self._down), limit_s)


def structures(advertisement: Advertisement) -> dict[int, bytes]:
    return dict(AdvertisingData.from_bytes(advertisement.data_bytes).ad_structures)
