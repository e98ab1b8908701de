"""The SIM board's `aioble`: the peripheral half of micropython-lib's aioble 0.6, its names, behaviour and oddities.

Not here, because a bridge never is one: the central role (`scan`, `Device.connect`, GATT client) and L2CAP channels.
Where behaviour surprises, it is the original's; a comment says so.
"""

from micropython import const

from .core import GattError, config, log_error, log_info, log_warn, stop
from .device import Device, DeviceDisconnectedError
from .peripheral import advertise
from .server import BufferedCharacteristic, Characteristic, Descriptor, Service, register_services

__all__ = (
    "ADDR_PUBLIC",
    "ADDR_RANDOM",
    "BufferedCharacteristic",
    "Characteristic",
    "Descriptor",
    "Device",
    "DeviceDisconnectedError",
    "GattError",
    "Service",
    "advertise",
    "config",
    "log_error",
    "log_info",
    "log_warn",
    "register_services",
    "stop",
)

ADDR_PUBLIC = const(0)
ADDR_RANDOM = const(1)
