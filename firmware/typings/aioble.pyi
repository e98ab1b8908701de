# The part of aioble (micropython-lib, 0.6) that the firmware uses, for mypy.
from collections.abc import Callable, Iterable

from bluetooth import UUID

_Buffer = bytes | bytearray | memoryview

class _Radio:
    # None: stop advertising.
    def gap_advertise(self, interval_us: int | None) -> None: ...
    def irq(self, handler: Callable[[int, tuple[int, ...]], int | None] | None) -> None: ...

class core:  # noqa: N801  (a module)
    ble: _Radio
    # The handler of all events that aioble sets, when it is imported.
    @staticmethod
    def ble_irq(event: int, data: tuple[int, ...]) -> int | None: ...

class DeviceDisconnectedError(Exception): ...

class Device:
    addr_type: int
    addr: bytes
    def addr_hex(self) -> str: ...

class DeviceConnection:
    device: Device
    mtu: int | None
    def is_connected(self) -> bool: ...
    async def disconnect(self, timeout_ms: int = 2000) -> None: ...
    async def disconnected(self, timeout_ms: int | None = None, disconnect: bool = False) -> None: ...
    async def exchange_mtu(self, mtu: int | None = None, timeout_ms: int = 1000) -> int: ...

class Service:
    def __init__(self, uuid: UUID) -> None: ...

class Characteristic:
    _value_handle: int
    def __init__(
        self,
        service: Service,
        uuid: UUID,
        read: bool = False,
        write: bool = False,
        write_no_response: bool = False,
        notify: bool = False,
        indicate: bool = False,
        initial: _Buffer | str | None = None,
        capture: bool = False,
    ) -> None: ...
    def read(self) -> bytes: ...
    def write(self, data: _Buffer | str, send_update: bool = False) -> None: ...
    # The answer of a characteristic with capture=True.
    async def written(self, timeout_ms: int | None = None) -> tuple[DeviceConnection | None, bytes]: ...
    def notify(self, connection: DeviceConnection, data: _Buffer | None = None) -> None: ...
    async def indicate(
        self, connection: DeviceConnection, data: _Buffer | None = None, timeout_ms: int = 1000
    ) -> None: ...

class BufferedCharacteristic(Characteristic):
    def __init__(
        self,
        service: Service,
        uuid: UUID,
        read: bool = False,
        write: bool = False,
        write_no_response: bool = False,
        notify: bool = False,
        indicate: bool = False,
        initial: _Buffer | str | None = None,
        capture: bool = False,
        max_len: int = 20,
        append: bool = False,
    ) -> None: ...

# None: its task was cancelled, which it swallows.
async def advertise(
    interval_us: int,
    adv_data: _Buffer | None = None,
    resp_data: _Buffer | None = None,
    connectable: bool = True,
    limited_disc: bool = False,
    br_edr: bool = False,
    name: str | bytes | None = None,
    services: Iterable[UUID] | None = None,
    appearance: int = 0,
    manufacturer: tuple[int, bytes] | None = None,
    timeout_ms: int | None = None,
) -> DeviceConnection | None: ...
def register_services(*services: Service) -> None: ...
def stop() -> None: ...
