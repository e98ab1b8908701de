"""Services, characteristics and descriptors."""

import asyncio
from collections import deque

from micropython import const

from .core import Flag, GattError, ble, ensure_active, register_irq_handler
from .device import DeviceConnection, DeviceTimeout

_IRQ_GATTS_WRITE = const(3)
_IRQ_GATTS_READ_REQUEST = const(4)
_IRQ_GATTS_INDICATE_DONE = const(20)

_FLAG_READ = const(0x0002)
_FLAG_WRITE_NO_RESPONSE = const(0x0004)
_FLAG_WRITE = const(0x0008)
_FLAG_NOTIFY = const(0x0010)
_FLAG_INDICATE = const(0x0020)
# Ours alone: the stack is never told.
_FLAG_CAPTURE = const(0x10000)

_CAPTURE_LIMIT = const(10)

_registered = {}


class _Capture:
    """All captured writes of all characteristics, in one queue of ten that drops the oldest without a sign.

    They are handed out one at a time: a write that nobody awaits holds up all that came after it.
    """

    def __init__(self):
        self.queue = deque((), _CAPTURE_LIMIT)
        self.arrived = Flag()
        self.consumed = Flag()
        self.task = asyncio.create_task(self._run())

    def add(self, connection, data, characteristic):
        self.queue.append((connection, data, characteristic))
        self.arrived.set()

    async def _run(self):
        while True:
            if self.queue:
                connection, data, characteristic = self.queue.popleft()
                characteristic._write_data = (connection, data)
                characteristic._write_event.set()
                await self.consumed.wait()
            if not self.queue:
                await self.arrived.wait()


_capture = None


class Service:
    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []

    def _tuple(self):
        return (self.uuid, tuple(characteristic._tuple() for characteristic in self.characteristics))


class BaseCharacteristic:
    def _start(self, uuid, flags, initial):
        self.uuid = uuid
        self.flags = flags
        self._initial = initial
        self._value_handle = None
        if flags & (_FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE):
            self._write_event = Flag()
            self._write_data = None

    def _register(self, value_handle):
        self._value_handle = value_handle
        _registered[value_handle] = self
        if self._initial is not None:
            self.write(self._initial)
            self._initial = None

    def read(self):
        if self._value_handle is None:
            return self._initial or b""
        return ble.gatts_read(self._value_handle)

    def write(self, data, send_update=False):
        if self._value_handle is None:
            self._initial = data
        else:
            ble.gatts_write(self._value_handle, data, send_update)

    async def written(self, timeout_ms=None):
        """The connection that wrote last, or (connection, data) of the next captured write. None, at once, where
        nothing can be written. A disconnection does not end the wait."""
        if not hasattr(self, "_write_event"):
            return None
        with DeviceTimeout(None, timeout_ms):
            await self._write_event.wait()
        data = self._write_data
        self._write_data = None
        if self.flags & _FLAG_CAPTURE:
            _capture.consumed.set()
        return data

    def on_read(self, connection):
        """Called by the stack for each read: 0 allows it, else the ATT error code that the reader gets."""
        return 0

    def _on_remote_write(self, connection):
        if self.flags & _FLAG_CAPTURE:
            _capture.add(connection, self.read(), self)
        else:
            self._write_data = connection
            self._write_event.set()


class Characteristic(BaseCharacteristic):
    def __init__(
        self,
        service,
        uuid,
        read=False,
        write=False,
        write_no_response=False,
        notify=False,
        indicate=False,
        initial=None,
        capture=False,
    ):
        global _capture
        service.characteristics.append(self)
        self.descriptors = []
        flags = _FLAG_READ if read else 0
        flags |= _FLAG_WRITE if write else 0
        flags |= _FLAG_WRITE_NO_RESPONSE if write_no_response else 0
        flags |= _FLAG_NOTIFY if notify else 0
        if capture and flags & (_FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE):
            flags |= _FLAG_CAPTURE
            _capture = _capture or _Capture()
        if indicate:
            flags |= _FLAG_INDICATE
            self._indicate_connection = None
            self._indicate_event = Flag()
            self._indicate_status = None
        self._start(uuid, flags, initial)

    def _tuple(self):
        return (self.uuid, self.flags, tuple(descriptor._tuple() for descriptor in self.descriptors))

    def notify(self, connection, data=None):
        """Cut to MTU - 3 without a word, and sent whether or not the central subscribed."""
        if not self.flags & _FLAG_NOTIFY:
            raise ValueError("Not supported")
        ble.gatts_notify(connection._conn_handle, self._value_handle, data)

    async def indicate(self, connection, data=None, timeout_ms=1000):
        if not self.flags & _FLAG_INDICATE:
            raise ValueError("Not supported")
        if self._indicate_connection is not None:
            raise ValueError("In progress")
        if not connection.is_connected():
            raise ValueError("Not connected")
        self._indicate_connection = connection
        self._indicate_status = None
        try:
            with connection.timeout(timeout_ms):
                ble.gatts_indicate(connection._conn_handle, self._value_handle, data)
                await self._indicate_event.wait()
                if self._indicate_status != 0:
                    raise GattError(self._indicate_status)
        finally:
            self._indicate_connection = None

    def _on_indicated(self, connection, status):
        # A confirmation that comes after our timeout is nobody's.
        if self._indicate_connection is not None:
            assert connection == self._indicate_connection
            self._indicate_status = status
            self._indicate_event.set()


class BufferedCharacteristic(Characteristic):
    """Keeps `max_len` bytes of a write; with `append` writes add up until read() takes them."""

    def __init__(self, *args, max_len=20, append=False, **kwargs):
        super().__init__(*args, **kwargs)
        self._max_len = max_len
        self._append = append

    def _register(self, value_handle):
        super()._register(value_handle)
        # Empties the value: `initial` does not survive here, in the original either.
        ble.gatts_set_buffer(value_handle, self._max_len, self._append)


class Descriptor(BaseCharacteristic):
    def __init__(self, characteristic, uuid, read=False, write=False, initial=None):
        characteristic.descriptors.append(self)
        self._start(uuid, (_FLAG_READ if read else 0) | (_FLAG_WRITE if write else 0), initial)

    def _tuple(self):
        return (self.uuid, self.flags)


def register_services(*services):
    """Replaces all services. While connected or advertising: OSError(EBUSY), and the old ones are deaf from then on,
    because they are forgotten before the stack is asked, as in the original."""
    ensure_active()
    _registered.clear()
    handles = ble.gatts_register_services(tuple(service._tuple() for service in services))
    for service, service_handles in zip(services, handles):
        attributes = []
        for characteristic in service.characteristics:
            attributes.append(characteristic)
            attributes.extend(characteristic.descriptors)
        for attribute, handle in zip(attributes, service_handles):
            attribute._register(handle)


def _on_irq(event, data):
    if event not in (_IRQ_GATTS_WRITE, _IRQ_GATTS_READ_REQUEST, _IRQ_GATTS_INDICATE_DONE):
        return None
    attribute = _registered.get(data[1])
    if attribute is None:
        return None
    connection = DeviceConnection._connected.get(data[0])
    if event == _IRQ_GATTS_READ_REQUEST:
        return attribute.on_read(connection)
    if event == _IRQ_GATTS_WRITE:
        attribute._on_remote_write(connection)
    elif connection:
        attribute._on_indicated(connection, data[2])
    return None


def _on_shutdown():
    global _registered, _capture
    _registered = {}
    if _capture:
        _capture.task.cancel()
        _capture = None


register_irq_handler(_on_irq, _on_shutdown)
