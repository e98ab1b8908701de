"""A peer's address, and a connection with it."""

import asyncio
import binascii

from micropython import const

from .core import Flag, ble, log_error, register_irq_handler

_IRQ_MTU_EXCHANGED = const(21)


class DeviceDisconnectedError(Exception):
    """The link went down inside of `with connection.timeout(...)`."""


class DeviceTimeout:
    """Ends the body of a `with` by TimeoutError or, when it has a connection, by DeviceDisconnectedError.

    Both are done by cancelling the task that is in the body; __exit__ finds out on whose behalf it was.
    """

    def __init__(self, connection, timeout_ms):
        self._connection = connection
        self._timeout_ms = timeout_ms
        self._task = asyncio.current_task()
        self._timer = None
        self._expired = False
        # From construction on, as in the original: a `timeout()` that is never entered stays registered.
        if connection:
            connection._timeouts.append(self)

    def disconnected(self):
        self._task.cancel()

    async def _run_timer(self):
        try:
            await asyncio.sleep_ms(self._timeout_ms)
        except asyncio.CancelledError:
            return
        self._timer = None
        self._expired = True
        self._task.cancel()

    def __enter__(self):
        # Not `is not None`: a timeout of 0 ms never strikes in the original either.
        if self._timeout_ms:
            self._timer = asyncio.create_task(self._run_timer())

    def __exit__(self, exc_type, exc_value, traceback):
        if self._connection:
            self._connection._timeouts.remove(self)
        if self._timer:
            self._timer.cancel()
        if exc_type == asyncio.CancelledError:
            if self._expired:
                raise asyncio.TimeoutError
            if self._connection and not self._connection.is_connected():
                raise DeviceDisconnectedError


class Device:
    def __init__(self, addr_type, addr):
        self.addr_type = addr_type
        self.addr = addr if len(addr) == 6 else binascii.unhexlify(addr.replace(":", ""))
        self._connection = None

    def __eq__(self, other):
        return self.addr_type == other.addr_type and self.addr == other.addr

    def __hash__(self):
        return hash((self.addr_type, self.addr))

    def __str__(self):
        kind = "ADDR_RANDOM" if self.addr_type else "ADDR_PUBLIC"
        return "Device({}, {}{})".format(kind, self.addr_hex(), ", CONNECTED" if self._connection else "")

    def addr_hex(self):
        return binascii.hexlify(self.addr, ":").decode()


class DeviceConnection:
    # By connection handle: how events find theirs.
    _connected = {}

    def __init__(self, device):
        self.device = device
        device._connection = self
        self.encrypted = False
        self.authenticated = False
        self.bonded = False
        self.key_size = False
        # Until an exchange has happened, whoever asked for it.
        self.mtu = None
        self._conn_handle = None
        self._lost = Flag()
        self._mtu_event = None
        self._pair_event = None
        self._task = None
        self._timeouts = []

    def _run_task(self):
        self._task = asyncio.create_task(self._watch())

    async def _watch(self):
        await self._lost.wait()
        # Between the event and here lies a turn of the loop in which the connection still counts as up.
        del DeviceConnection._connected[self._conn_handle]
        self._conn_handle = None
        self.device._connection = None
        for timeout in self._timeouts:
            timeout.disconnected()

    def is_connected(self):
        return self._conn_handle is not None

    def timeout(self, timeout_ms):
        return DeviceTimeout(self, timeout_ms)

    async def disconnect(self, timeout_ms=2000):
        await self.disconnected(timeout_ms, disconnect=True)

    async def disconnected(self, timeout_ms=None, disconnect=False):
        if not self.is_connected():
            return
        assert self._task
        if disconnect:
            try:
                ble.gap_disconnect(self._conn_handle)
            except OSError as error:
                log_error("Disconnect", error)
        with DeviceTimeout(None, timeout_ms):
            await self._task

    async def exchange_mtu(self, mtu=None, timeout_ms=1000):
        if not self.is_connected():
            raise ValueError("Not connected")
        if mtu:
            ble.config(mtu=mtu)
        self._mtu_event = self._mtu_event or Flag()
        ble.gattc_exchange_mtu(self._conn_handle)
        with self.timeout(timeout_ms):
            await self._mtu_event.wait()
        return self.mtu

    async def pair(self, *args, **kwargs):
        from .security import pair

        await pair(self, *args, **kwargs)

    async def __aenter__(self):
        return self

    async def __aexit__(self, exc_type, exc_value, traceback):
        await self.disconnect()


def _on_irq(event, data):
    if event == _IRQ_MTU_EXCHANGED:
        conn_handle, mtu = data
        connection = DeviceConnection._connected.get(conn_handle)
        if connection:
            connection.mtu = mtu
            if connection._mtu_event:
                connection._mtu_event.set()


register_irq_handler(_on_irq, None)
