"""Pairing, as far as the firmware can meet it: the state of encryption as the stack reports it, and security requests.

Bonds are not kept on this board: a phone that paired pairs again after the link is gone. `load_secrets` is there for
firmware that calls it; the file is read, and never written.
"""

import binascii
import json

from micropython import const

from .core import Flag, ble, log_info, log_warn, register_irq_handler
from .device import DeviceConnection

_IRQ_ENCRYPTION_UPDATE = const(28)
_IO_NO_INPUT_OUTPUT = const(3)
_DEFAULT_PATH = "ble_secrets.json"

_secrets = {}
_path = None


def load_secrets(path=None):
    """Before the radio is switched on. A missing or broken file means no secrets."""
    global _path, _secrets
    _path = path or _path or _DEFAULT_PATH
    _secrets = {}
    try:
        with open(_path) as file:
            for kind, key, value in json.load(file):
                _secrets[kind, binascii.a2b_base64(key)] = binascii.a2b_base64(value)
    except (OSError, ValueError, TypeError):
        log_warn("No secrets available")


def _on_irq(event, data):
    if event == _IRQ_ENCRYPTION_UPDATE:
        conn_handle, encrypted, authenticated, bonded, key_size = data
        log_info("encryption update", *data)
        connection = DeviceConnection._connected.get(conn_handle)
        if connection:
            connection.encrypted = encrypted
            connection.authenticated = authenticated
            connection.bonded = bonded
            connection.key_size = key_size
            if encrypted and connection._pair_event:
                connection._pair_event.set()


def _on_shutdown():
    global _secrets, _path
    _secrets = {}
    _path = None


register_irq_handler(_on_irq, _on_shutdown)


async def pair(connection, bond=True, le_secure=True, mitm=False, io=_IO_NO_INPUT_OUTPUT, timeout_ms=20000):
    """Asks the central to pair, and waits until the link is encrypted. A refusal is not reported: TimeoutError."""
    ble.config(bond=bond, le_secure=le_secure, mitm=mitm, io=io)
    with connection.timeout(timeout_ms):
        connection._pair_event = Flag()
        ble.gap_pair(connection._conn_handle)
        await connection._pair_event.wait()
