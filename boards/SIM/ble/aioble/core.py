"""The one radio, who hears its events, and the log."""

import asyncio

import bluetooth

log_level = 1


def log_error(*args):
    if log_level > 0:
        print("[aioble] E:", *args)


def log_warn(*args):
    if log_level > 1:
        print("[aioble] W:", *args)


def log_info(*args):
    if log_level > 2:
        print("[aioble] I:", *args)


class GattError(Exception):
    """A peer's refusal; `_status` is the stack's or ATT's code."""

    def __init__(self, status):
        self._status = status


class Flag:
    """An event that wakes one waiter and clears itself; set before anybody waits, it is remembered."""

    def __init__(self):
        self._event = asyncio.Event()

    def set(self):
        self._event.set()

    def clear(self):
        self._event.clear()

    async def wait(self):
        await self._event.wait()
        self._event.clear()


_irq_handlers = []
_shutdown_handlers = []


def register_irq_handler(irq, shutdown):
    """`irq(event, data)` sees every event of the stack, in order of registration, until one returns something;
    `shutdown()` is called by stop(). Either may be None."""
    if irq:
        _irq_handlers.append(irq)
    if shutdown:
        _shutdown_handlers.append(shutdown)


def ensure_active():
    if not ble.active():
        # Also what registers the handler of the encryption events.
        from .security import load_secrets

        load_secrets()
        ble.active(True)


def config(*args, **kwargs):
    ensure_active()
    return ble.config(*args, **kwargs)


def stop():
    ble.active(False)
    for handler in _shutdown_handlers:
        handler()


def ble_irq(event, data):
    log_info(event, data)
    for handler in _irq_handlers:
        result = handler(event, data)
        if result is not None:
            return result
    return None


ble = bluetooth.BLE()
ble.irq(ble_irq)
