"""The dorm's radio as a platform of bleak: a Bumble host on the HCI socket $SPEAKEASY_AIR/hci.sock.

All scanners and clients of a process share one adapter, as on a real machine; it goes when the last one is done.
"""
# The signatures are bleak's.

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble import att, core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration
from bumble.gatt_client import CharacteristicProxy, ServiceProxy
from bumble.transport.common import Transport
from bumble.transport.unix import open_unix_client_transport

logger = logging.getLogger(__name__)

HCI_SOCKET = "hci.sock"
# What phones ask for: Android's value, the largest useful one.
PREFERRED_MTU = 517
OPEN_S = 20.0
REQUEST_S = 30.0  # ATT's own limit (Core, Vol 3 Part F 3.3.3)
ATT_HEADER = 3

_PROPERTIES: tuple[tuple[int, CharacteristicPropertyName], ...] = (
    (0x02, "read"),
    (0x04, "write-without-response"),
    (0x08, "write"),
    (0x10, "notify"),
    (0x20, "indicate"),
)


class _Adapter:
    """One controller on the dorm's radio, with this process as its host."""

    current: "_Adapter | None" = None

    def __init__(self, transport: Transport, device: Device) -> None:
        self._transport = transport
        self.device = device
        self._users = 0
        self._loop = asyncio.get_running_loop()
        transport.source.terminated.add_done_callback(self._on_terminated)

    @classmethod
    async def acquire(cls) -> "_Adapter":
        adapter = cls.current
        if adapter is None or adapter._loop is not asyncio.get_running_loop():
            adapter = cls.current = await cls._open()
        adapter._users += 1
        return adapter

    @classmethod
    async def _open(cls) -> "_Adapter":
        directory = os.environ.get("SPEAKEASY_AIR", "")
        async with asyncio.timeout(OPEN_S):
            transport = await open_unix_client_transport(str(Path(directory) / HCI_SOCKET))
            try:
                # A phone's address is random and new each time; nobody may recognise it by that.
                config = DeviceConfiguration(name="phone", address=hci.Address.generate_static_address())
                device = Device.from_config_with_hci(config, transport.source, transport.sink)
                await device.power_on()
            except BaseException:
                await transport.close()
                raise
        return cls(transport, device)

    async def release(self) -> None:
        self._users -= 1
        if self._users == 0:
            if _Adapter.current is self:
                _Adapter.current = None
            await self._transport.close()

    def _on_terminated(self, _future: Any) -> None:
        if _Adapter.current is self:
            _Adapter.current = None


class VirtualScanner(BaseBleakScanner):
    """Active scanning; Bumble puts an advertisement and its scan response together, as operating systems do."""

    def __init__(
        self, detection_callback: AdvertisementDataCallback | None, service_uuids: list[str] | None, *_: Any, **__: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter: _Adapter | None = None

    async def start(self) -> None:
        self.seen_devices.clear()
        self._adapter = await _Adapter.acquire()
        device = self._adapter.device
        device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        try:
            async with asyncio.timeout(OPEN_S):
                await device.start_scanning(filter_duplicates=False)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter:
            adapter.device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
            with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError):
                async with asyncio.timeout(OPEN_S):
                    await adapter.device.stop_scanning()
            await adapter.release()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        address = advertisement.address.to_string(False)
        data = self._describe(advertisement.data, advertisement.rssi)
        if self.is_allowed_uuid(data.service_uuids):
            device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
            self.call_detection_callbacks(device, data)

    @staticmethod
    def _describe(advertised: AdvertisingData, rssi: int) -> AdvertisementData:
        name: str | None = None
        uuids: list[str] = []
        manufacturer: dict[int, bytes] = {}
        for kind, value in advertised.ad_structures:
            if kind == AdvertisingData.COMPLETE_LOCAL_NAME:
                name = value.decode(errors="replace")
            elif kind == AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS:
                uuids += [_uuid(core.UUID.from_bytes(value[i : i + 16])) for i in range(0, len(value) - 15, 16)]
            elif kind == AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS:
                uuids += [_uuid(core.UUID.from_bytes(value[i : i + 2])) for i in range(0, len(value) - 1, 2)]
            elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
                manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
        return AdvertisementData(name, manufacturer, {}, uuids, None, rssi, ())


class VirtualClient(BaseBleakClient):
    """A GATT client over a Bumble connection."""

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=kwargs.get("disconnected_callback"),
            timeout=kwargs.get("timeout", OPEN_S),
        )
        # A bare address has no type in it; the bridge's is public.
        self._peer = hci.Address(self.address, hci.Address.PUBLIC_DEVICE_ADDRESS)
        if isinstance(address_or_ble_device, BLEDevice):
            self._peer = address_or_ble_device.details
        self._adapter: _Adapter | None = None
        self._connection: Connection | None = None
        self._subscribers: dict[int, Any] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        self._adapter = await _Adapter.acquire()
        try:
            async with asyncio.timeout(self._timeout):
                with _as_bleak_errors():
                    connection = await self._adapter.device.connect(self._peer, timeout=self._timeout)
                self._connection = connection
                connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
                with _as_bleak_errors():
                    await connection.gatt_client.request_mtu(PREFERRED_MTU)
                    self.services = await self._discover(connection)
                if pair:
                    await self.pair()
        except BaseException:
            await self.disconnect()
            raise

    async def _discover(self, connection: Connection) -> BleakGATTServiceCollection:
        services = BleakGATTServiceCollection()
        for service in await connection.gatt_client.discover_services():
            await service.discover_characteristics()
            self._add_service(service, services)
        return services

    def _add_service(self, service: ServiceProxy, services: BleakGATTServiceCollection) -> None:
        description = BleakGATTService(service, service.handle, _uuid(service.uuid))
        services.add_service(description)
        for characteristic in service.characteristics:
            properties = [name for bit, name in _PROPERTIES if characteristic.properties & bit]
            services.add_characteristic(
                BleakGATTCharacteristic(
                    characteristic,
                    characteristic.handle,
                    _uuid(characteristic.uuid),
                    properties,
                    lambda: self.mtu_size - ATT_HEADER,
                    description,
                )
            )

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self._subscribers.clear()
        if self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        adapter, self._adapter = self._adapter, None
        if connection := self._connection:
            with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError):
                async with asyncio.timeout(OPEN_S):
                    await connection.disconnect()
        if adapter:
            await adapter.release()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        with _as_bleak_errors():
            await self._live().pair()

    async def unpair(self) -> None:
        """Nothing to do: bonds are not kept."""

    def _live(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def _until_gone(self, request: Any) -> Any:
        """Awaits a request, but not longer than the connection lasts: Bumble would wait for an answer."""
        connection = self._live()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_gone(_reason: int) -> None:
            if not gone.done():
                gone.set_result(None)

        connection.on(Connection.EVENT_DISCONNECTION, on_gone)
        task = asyncio.ensure_future(request)
        try:
            await asyncio.wait((task, gone), timeout=REQUEST_S, return_when=asyncio.FIRST_COMPLETED)
            # An answer that came just before the end counts. Bumble cancels what is under way when the connection goes.
            if task.done() and not task.cancelled():
                with _as_bleak_errors():
                    return task.result()
            raise BleakError("Disconnected" if gone.done() or task.cancelled() else "No answer")
        finally:
            connection.remove_listener(Connection.EVENT_DISCONNECTION, on_gone)
            gone.cancel()
            task.cancel()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return bytearray(await self._until_gone(self._live().gatt_client.read_value(characteristic.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        if len(data) > self.mtu_size - ATT_HEADER:
            raise BleakError(f"{len(data)} bytes do not fit into an MTU of {self.mtu_size}")
        await self._until_gone(self._live().gatt_client.write_value(characteristic.handle, bytes(data), response))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)

        def on_value(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = on_value
        prefer_notify = "notify" in characteristic.properties
        await self._until_gone(self._live().gatt_client.subscribe(proxy, on_value, prefer_notify))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        on_value = self._subscribers.pop(characteristic.handle, None)
        if on_value:
            proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
            await self._until_gone(self._live().gatt_client.unsubscribe(proxy, on_value))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return bytearray(await self._until_gone(self._live().gatt_client.read_value(descriptor.handle)))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._until_gone(self._live().gatt_client.write_value(descriptor.handle, bytes(data), True))


def _uuid(uuid: core.UUID) -> str:
    return str(UUID(bytes=uuid.to_bytes(force_128=True)[::-1]))


@contextlib.contextmanager
def _as_bleak_errors() -> Any:
    try:
        yield
    except att.ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except (core.BaseBumbleError, hci.HCI_Error) as error:
        raise BleakError(str(error)) from error
