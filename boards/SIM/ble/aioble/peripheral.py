"""Advertising, and the connections that come of it."""

import asyncio
import struct

from micropython import const

from .core import Flag, ble, ensure_active, register_irq_handler
from .device import Device, DeviceConnection, DeviceTimeout

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)

_AD_FLAGS = const(0x01)
_AD_UUID16_COMPLETE = const(0x03)
_AD_UUID32_COMPLETE = const(0x05)
_AD_UUID128_COMPLETE = const(0x07)
_AD_NAME = const(0x09)
_AD_APPEARANCE = const(0x19)
_AD_MANUFACTURER = const(0xFF)
# A payload stays below this: 30 bytes are the most, although the air has room for 31.
_PAYLOAD_LIMIT = const(31)

# One slot for all: two tasks that advertise at once take each other's connections, as in the original.
_incoming = None
_connected = None


def _on_irq(event, data):
    global _incoming
    if event == _IRQ_CENTRAL_CONNECT:
        conn_handle, addr_type, addr = data
        _incoming = DeviceConnection(Device(addr_type, bytes(addr)))
        _incoming._conn_handle = conn_handle
        DeviceConnection._connected[conn_handle] = _incoming
        _connected.set()
    elif event == _IRQ_CENTRAL_DISCONNECT:
        connection = DeviceConnection._connected.get(data[0])
        if connection:
            connection._lost.set()


def _on_shutdown():
    global _incoming, _connected
    _incoming = None
    _connected = None


register_irq_handler(_on_irq, _on_shutdown)


class _Payload:
    """Advertising data, overflowing field by field into the scan response."""

    def __init__(self):
        self.adv_data = bytearray()
        self.resp_data = None

    def add(self, kind, value):
        field = struct.pack("BB", len(value) + 1, kind) + value
        if len(self.adv_data) + len(field) < _PAYLOAD_LIMIT:
            self.adv_data += field
        elif len(self.resp_data or b"") + len(field) < _PAYLOAD_LIMIT:
            if self.resp_data is None:
                self.resp_data = bytearray()
            self.resp_data += field
        else:
            raise ValueError("Advertising payload too long")


def _pack(limited_disc, br_edr, name, services, appearance, manufacturer):
    payload = _Payload()
    payload.add(_AD_FLAGS, bytes(((0x01 if limited_disc else 0x02) | (0x18 if br_edr else 0x04),)))
    if services:
        for size, kind in ((2, _AD_UUID16_COMPLETE), (4, _AD_UUID32_COMPLETE), (16, _AD_UUID128_COMPLETE)):
            uuids = [bytes(uuid) for uuid in services]
            joined = b"".join(uuid for uuid in uuids if len(uuid) == size)
            if joined:
                payload.add(kind, joined)
    if name:
        payload.add(_AD_NAME, name.encode() if isinstance(name, str) else name)
    if appearance:
        payload.add(_AD_APPEARANCE, struct.pack("<H", appearance))
    if manufacturer:
        payload.add(_AD_MANUFACTURER, struct.pack("<H", manufacturer[0]) + manufacturer[1])
    return payload.adv_data, payload.resp_data


async def advertise(
    interval_us,
    adv_data=None,
    resp_data=None,
    connectable=True,
    limited_disc=False,
    br_edr=False,
    name=None,
    services=None,
    appearance=0,
    manufacturer=None,
    timeout_ms=None,
):
    """Advertises until a central connects, and returns its DeviceConnection; the radio has stopped advertising then.

    Cancelled, it stops advertising and *returns None*: the original swallows the cancellation, and so does this.
    """
    global _incoming, _connected
    ensure_active()
    if not adv_data and not resp_data:
        adv_data, resp_data = _pack(limited_disc, br_edr, name, services, appearance, manufacturer)
    _connected = _connected or Flag()
    ble.gap_advertise(interval_us, adv_data=adv_data, resp_data=resp_data, connectable=connectable)
    try:
        with DeviceTimeout(None, timeout_ms):
            await _connected.wait()
        connection = _incoming
        _incoming = None
        connection._run_task()
        return connection
    except asyncio.CancelledError:
        ble.gap_advertise(None)
    except asyncio.TimeoutError:
        ble.gap_advertise(None)
        raise
