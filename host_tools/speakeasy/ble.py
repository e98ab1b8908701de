"""The phone's side of the pairing link: find a bridge by Bluetooth LE, exchange fragments with it (docs/SPEC.md, 2).

One implementation, on bleak. In the virtual dorm (SPEAKEASY_AIR is set) bleak gets the dorm's radio as its platform
(`speakeasy.ble_virtual`), so what runs there is what runs on a real radio.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)

from speakeasy.errors import NotHeard, NotReached

SERVICE = "5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11"
INBOX = "5ea50002-7a1c-4b0e-9d57-0f5a3c8e2b11"
OUTBOX = "5ea50003-7a1c-4b0e-9d57-0f5a3c8e2b11"
INFO = "5ea50004-7a1c-4b0e-9d57-0f5a3c8e2b11"
BRIDGE_ID_LENGTH = 8
BRIDGE_ID = slice(2, 2 + BRIDGE_ID_LENGTH)  # in `info`
COMPANY_ID = 0xFFFF
ATT_HEADER = 3

AIR_VARIABLE = "SPEAKEASY_AIR"

# After the first bridge was heard: how long to listen for another, when nobody said which one is meant.
SETTLE_S = 1.0
CONNECT_S = 10.0
REQUEST_S = 10.0
CLOSE_S = 5.0
# Between attempts to connect to a bridge that was heard; radios miss each other now and then.
RETRY_S = 0.5
# A message has at most 1024 bytes; so many notifications nobody waits for in good order.
QUEUE_LENGTH = 256


class BleError(NotReached):
    """What happened and what to do about it, in a sentence or two for people."""


class NothingHeard(BleError, NotHeard):
    """Nobody advertises here."""


class LinkLost(BleError):
    """The connection is gone."""


@dataclass(frozen=True)
class Nearby:
    """A bridge as it advertises itself. `state`: as in `info`; None if it does not say."""

    address: str
    state: int | None
    rssi: int


class Link(Protocol):
    """A connection to one bridge, subscribed to its outbox. Cutting and joining messages is the session's job."""

    mtu: int
    """ATT MTU in bytes; a fragment has at most mtu - 3."""
    bridge_id: bytes

    async def read_info(self) -> bytes:
        """version (1) || state (1) || bridge id (8). Raises BleError."""
        ...

    async def write(self, fragment: bytes) -> None:
        """Writes one fragment and waits until the bridge has it. Raises BleError, LinkLost."""
        ...

    async def receive(self, timeout_s: float) -> bytes:
        """The next fragment. Raises TimeoutError; LinkLost, once everything that came before was received."""
        ...

    def notifications(self) -> AsyncIterator[bytes]:
        """All fragments from now on; ends by LinkLost."""
        ...

    async def close(self) -> None:
        """Disconnects; safe to call twice, never raises."""
        ...


_UNAVAILABLE = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: (
        "This machine has no Bluetooth radio. Plug one in, or use another machine."
    ),
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: (
        "This machine's Bluetooth radio is too old: Bluetooth LE (4.0 or newer) is needed. Plug in a newer one."
    ),
    BleakBluetoothNotAvailableReason.POWERED_OFF: "Bluetooth is switched off. Switch it on and try again.",
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: (
        "This program may not use Bluetooth. Allow it in the system's privacy settings and try again."
    ),
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: (
        "The system's administrator does not let programs use Bluetooth. Ask them, or use another machine."
    ),
}


_START_IT = (
    "On Linux: sudo systemctl start bluetooth (after sudo apt install bluez, if there is none). People of the virtual "
    "dorm have radios of their own: `speakeasy --as phone pair`."
)


def _explain(error: BaseException, what: str) -> BleError:
    """A sentence for whatever a radio, its driver or its operating system may raise."""
    if isinstance(error, BleError):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError):
        text = _UNAVAILABLE.get(error.reason)
        return BleError(
            text or "Bluetooth cannot be used on this machine. Is it switched on, and is its service running?"
        )
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return BleError(
            "The virtual radio is not there. Start the dorm first: `speakeasy dorm up`."
            if os.environ.get(AIR_VARIABLE)
            else f"The system's Bluetooth service does not answer. {_START_IT}"
        )
    if isinstance(error, BleakDBusError) and "ServiceUnknown" in error.dbus_error:
        return BleError(f"The system's Bluetooth service is not running. {_START_IT}")
    if isinstance(error, TimeoutError):
        return BleError(f"{what} took too long. Go closer to the bridge and try again.")
    return BleError(f"{what} failed ({type(error).__name__}: {error}). Go closer to the bridge and try again.")


# Everything that bleak, its backends and the operating systems below are known to raise.
_RADIO_ERRORS = (BleakError, OSError, TimeoutError, EOFError)


@dataclass(frozen=True)
class _Platform:
    scanner: type[BaseBleakScanner] | None
    client: type[BaseBleakClient] | None


def _platform() -> _Platform:
    if os.environ.get(AIR_VARIABLE):
        from speakeasy.ble_virtual import VirtualClient, VirtualScanner

        return _Platform(VirtualScanner, VirtualClient)
    return _Platform(None, None)


class _BleakLink:
    """A Link on bleak. Make it by `connect`."""

    def __init__(self) -> None:
        self.mtu = 23
        self.bridge_id = b""
        self._client: BleakClient
        self._inbox: BleakGATTCharacteristic
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._why_lost = "The connection to the bridge was lost. Go closer and try again."

    @classmethod
    async def connect(cls, device: BLEDevice, platform: _Platform, timeout_s: float) -> "_BleakLink":
        link = cls()
        link._client = BleakClient(
            device, disconnected_callback=link._on_disconnected, timeout=timeout_s, backend=platform.client
        )
        try:
            async with asyncio.timeout(timeout_s):
                await link._client.connect()
                await link._set_up()
        except BaseException as error:
            await link.close()
            if isinstance(error, _RADIO_ERRORS):
                raise _explain(error, "Connecting to the bridge") from error
            raise
        return link

    async def _set_up(self) -> None:
        found = {c.uuid: c for service in self._client.services for c in service.characteristics}
        if not {INBOX, OUTBOX, INFO} <= found.keys():
            raise BleError(
                "A device says that it is a Speakeasy bridge, but lacks its services. Is its firmware damaged?"
            )
        self._inbox = found[INBOX]
        # The only spelling of the MTU that all of bleak's platforms know.
        self.mtu = found[INBOX].max_write_without_response_size + ATT_HEADER
        await self._client.start_notify(found[OUTBOX], self._on_notification)
        # What else `info` says is for the session to judge.
        self.bridge_id = (await self.read_info())[BRIDGE_ID]

    def _on_notification(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        if self._arrived.qsize() < QUEUE_LENGTH:
            self._arrived.put_nowait(bytes(data))
        elif not self._lost.is_set():
            self._why_lost = "The bridge sent more than anybody could read; the connection was given up. Try again."
            self._end()

    def _on_disconnected(self, _client: BleakClient) -> None:
        self._end()

    def _end(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._arrived.put_nowait(None)

    async def read_info(self) -> bytes:
        return bytes(await self._request("Reading from the bridge", self._client.read_gatt_char(INFO)))

    async def write(self, fragment: bytes) -> None:
        await self._request("Writing to the bridge", self._client.write_gatt_char(self._inbox, fragment, response=True))

    async def _request(self, what: str, request: Any) -> Any:
        if self._lost.is_set():
            request.close()
            raise LinkLost(self._why_lost)
        try:
            async with asyncio.timeout(REQUEST_S):
                return await request
        except BleakGATTProtocolError as error:
            raise BleError(f"{what} failed: the bridge refused it ({error}).") from error
        except _RADIO_ERRORS as error:
            if self._lost.is_set() or not self._client.is_connected:
                raise LinkLost(self._why_lost) from error
            raise _explain(error, what) from error

    async def receive(self, timeout_s: float) -> bytes:
        async with asyncio.timeout(timeout_s):
            return await self._next()

    async def _next(self) -> bytes:
        if self._lost.is_set() and self._arrived.empty():
            raise LinkLost(self._why_lost)
        fragment = await self._arrived.get()
        if fragment is None:
            raise LinkLost(self._why_lost)
        return fragment

    def notifications(self) -> AsyncIterator[bytes]:
        return _Notifications(self)

    async def close(self) -> None:
        self._why_lost = "The connection to the bridge is closed."
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._client.disconnect()
        except _RADIO_ERRORS:
            pass
        self._end()


class _Notifications:
    """An iterator, not a generator: a wait that is cancelled (a timeout) does not end it."""

    def __init__(self, link: _BleakLink) -> None:
        self._link = link

    def __aiter__(self) -> "_Notifications":
        return self

    async def __anext__(self) -> bytes:
        return await self._link._next()


class _Search:
    """One search for a bridge: listens, tries who was heard, remembers whom it was not."""

    def __init__(self, bridge_id: bytes | None, timeout_s: float) -> None:
        self._wanted = bridge_id
        self._timeout_s = timeout_s
        self._platform = _platform()
        self._heard: dict[str, tuple[BLEDevice, Nearby]] = {}
        self._news = asyncio.Event()
        self._strangers: dict[str, bytes] = {}
        self._failure: BleError | None = None
        self._deadline: float

    def _on_advertisement(self, device: BLEDevice, data: AdvertisementData) -> None:
        if SERVICE in data.service_uuids:
            state = data.manufacturer_data.get(COMPANY_ID, b"")
            self._heard[device.address] = (device, Nearby(device.address, state[0] if state else None, data.rssi))
            self._news.set()

    async def run(self) -> _BleakLink:
        self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            # A timeout strikes once, and whoever is struck may swallow it (asyncio.wait_for did until Python 3.12, when
            # what it waited for was done at that moment): so one for each round, and one for the wait that has no end.
            while True:
                async with asyncio.timeout_at(self._deadline):
                    device = await self._listen()
                    if link := await self._try(device):
                        return link
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise self._nothing_found() from None
        except _RADIO_ERRORS as error:
            raise _explain(error, "Searching for a bridge") from error

    async def _listen(self) -> BLEDevice:
        """Listens until there is somebody to try. The scanner is off then: many radios cannot scan and connect."""
        self._heard.clear()
        async with BleakScanner(self._on_advertisement, [SERVICE], backend=self._platform.scanner):
            while True:
                self._news.clear()
                if candidates := [d for d, n in self._heard.values() if n.address not in self._strangers]:
                    if self._wanted is not None:
                        return candidates[0]
                    return await self._only_one()
                async with asyncio.timeout_at(self._deadline):
                    await self._news.wait()

    async def _only_one(self) -> BLEDevice:
        await asyncio.sleep(SETTLE_S)
        if len(self._heard) > 1:
            near = ", ".join(f"{n.address} ({n.rssi} dBm)" for _, n in self._heard.values())
            raise BleError(
                f"{len(self._heard)} bridges are in reach: {near}. Say which one is yours by its bridge id, "
                "or take the phone where only yours is heard."
            )
        return next(device for device, _ in self._heard.values())

    async def _try(self, device: BLEDevice) -> _BleakLink | None:
        try:
            link = await _BleakLink.connect(device, self._platform, CONNECT_S)
        except BleError as error:
            self._failure = error
            return None
        if self._wanted is None or link.bridge_id == self._wanted:
            return link
        self._strangers[device.address] = link.bridge_id
        await link.close()
        return None

    def _nothing_found(self) -> BleError:
        if self._strangers and self._wanted:
            others = ", ".join(sorted(bridge_id.hex() for bridge_id in self._strangers.values()))
            return BleError(
                f"The bridge {self._wanted.hex()} was not found, only {others}. "
                "Go closer to yours, and check its bridge id."
            )
        if self._failure:
            return BleError(
                f"A bridge was heard, but no connection came about within {self._timeout_s:g} s. {self._failure}"
            )
        return NothingHeard(
            f"No bridge was heard within {self._timeout_s:g} s. Is it powered and near? It talks to one phone at a "
            "time: if another one does, wait until that is done."
        )


async def find(bridge_id: bytes | None, timeout_s: float) -> Link:
    """Searches for the bridge with this id (8 bytes), or for the only one in reach; connects and subscribes.

    Raises BleError: Bluetooth off or missing, nothing found, several found, the wrong one, no connection.
    """
    if bridge_id is not None and len(bridge_id) != BRIDGE_ID_LENGTH:
        raise ValueError(f"a bridge id has {BRIDGE_ID_LENGTH} bytes")
    return await _Search(bridge_id, timeout_s).run()
