"""The SIM board's `bluetooth`: UUID and BLE as MicroPython has them on NimBLE, peripheral role.

The radio and the protocol stack are a processor of their own, as on a chip: a process at the other end of the Unix
socket $SPEAKEASY_AIR/ble.sock. Calls are requests that are waited for; events come in between and reach the handler
of `BLE.irq` from an asyncio task, never in the middle of other code. The values of characteristics live here.
"""

import asyncio
import binascii
import errno
import gc
import json
import os
import select
import struct
import sys

# The C module, also where a `socket` of the board's own stands in front of it.
import usocket
from micropython import const

FLAG_READ = const(0x0002)
FLAG_WRITE_NO_RESPONSE = const(0x0004)
FLAG_WRITE = const(0x0008)
FLAG_NOTIFY = const(0x0010)
FLAG_INDICATE = const(0x0020)

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_GATTS_READ_REQUEST = const(4)
_IRQ_GATTS_INDICATE_DONE = const(20)
_IRQ_MTU_EXCHANGED = const(21)
_IRQ_ENCRYPTION_UPDATE = const(28)

_AF_UNIX = const(1)
_SOCK_STREAM = const(1)
_SUN_PATH_MAX = const(107)
_DEFAULT_BUFFER = const(20)
_GAP_NAME_MAX = const(31)
_ATTRIBUTE_NOT_FOUND = const(0x0A)
_UNLIKELY_ERROR = const(0x0E)
_NO_CONNECTION = const(0xFFFF)
# BLE_HS_EAPP, which MicroPython hands on with its sign turned.
_READ_REFUSED = const(-9)
# Longer than this no request takes; the chip is gone then.
_ANSWER_MS = const(10_000)
# A line has some 1100 bytes at most: a value of 512 in hex, and its frame. Larger pieces would be read faster, but in a
# heap of 256 KiB that has been in use for days there is no room for them in one piece.
_READ_SIZE = const(512)
_INPUT_SIZE = const(2048)
_BREATH_MS = const(50)


def _hex(data):
    return binascii.hexlify(data).decode()


class UUID:
    """A 16, 32 or 128 bit UUID, from an int, from bytes (little-endian) or from text."""

    def __init__(self, value):
        if isinstance(value, int):
            if value > 65535:
                raise ValueError("invalid UUID")
            self._data = bytes((value & 0xFF, (value >> 8) & 0xFF))
            return
        data = value.encode() if isinstance(value, str) else bytes(value)
        self._data = data if len(data) in (2, 4, 16) else self._parse(data)

    @staticmethod
    def _parse(text):
        digits = text.replace(b"-", b"")
        for digit in digits:
            if digit not in b"0123456789abcdefABCDEF":
                raise ValueError("invalid char in UUID")
        if len(digits) > 32:
            raise ValueError("UUID too long")
        if len(digits) < 32:
            raise ValueError("UUID too short")
        return bytes(reversed(binascii.unhexlify(digits)))

    # What makes bytes(uuid) work here: MicroPython has no __bytes__, and no buffer for classes written in Python.
    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)

    def __eq__(self, other):
        return isinstance(other, UUID) and self._data == other._data

    def __lt__(self, other):
        if len(self._data) != len(other._data):
            return len(self._data) < len(other._data)
        return self._data < other._data

    def __hash__(self):
        return hash(self._data)

    def __repr__(self):
        text = _hex(bytes(reversed(self._data)))
        if len(self._data) < 16:
            return "UUID(0x%s)" % text
        return "UUID('%s-%s-%s-%s-%s')" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:])


class _Value:
    """One attribute's value: how much of a remote write is kept, and whether writes add up until they are read."""

    def __init__(self):
        self.data = b""
        self.room = _DEFAULT_BUFFER
        self.append = False

    def remote_write(self, data):
        self.data = ((self.data if self.append else b"") + data)[: self.room]

    def local_write(self, data):
        self.room = max(self.room, len(data))
        self.data = data

    def local_read(self):
        data = self.data
        if self.append:
            self.data = b""
        return data


class _Wire:
    """The socket to the chip: a line of JSON each way; answers by number, everything else is an event."""

    def __init__(self, path):
        if len(path) > _SUN_PATH_MAX:
            raise OSError(errno.ENODEV)
        self._socket = usocket.socket(_AF_UNIX, _SOCK_STREAM)
        try:
            self._socket.connect(struct.pack("H", _AF_UNIX) + path.encode() + b"\0")
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        # Made once; what is read and not yet taken is between _start and _end.
        self._input = bytearray(_INPUT_SIZE)
        self._start = self._end = 0
        self._number = 0
        self._answers = {}
        self.events = []
        self.open = True

    def close(self):
        if self.open:
            self.open = False
            self._socket.close()

    def send(self, message):
        data = json.dumps(message).encode() + b"\n"
        while data and self.open:
            sent = self._socket.write(data)
            if sent is None:
                self._wait(select.POLLOUT)
                sent = 0
            data = data[sent:]

    def _wait(self, what):
        self._poll.modify(self._socket, what)
        if not self._poll.poll(_ANSWER_MS):
            raise OSError(errno.ETIMEDOUT)

    def call(self, op, **values):
        self._number += 1
        number = self._number
        values["id"] = number
        values["op"] = op
        self.send(values)
        while number not in self._answers:
            if not self.open:
                raise OSError(errno.ENODEV)
            self._wait(select.POLLIN)
            self._take()
        answer = self._answers.pop(number)
        if "errno" in answer:
            raise OSError(answer["errno"])
        return answer["ok"]

    def _take(self):
        try:
            self._read()
            self.split()
        except MemoryError:
            # What was read is still there; a second refusal is the caller's.
            gc.collect()
            self.split()

    def _read(self):
        """Read one piece, if there is one."""
        if self._end + _READ_SIZE > len(self._input):
            # Once in a while, and mostly a part of one line.
            rest = self._input[self._start : self._end]
            self._input[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
            if self._end + _READ_SIZE > len(self._input):
                self._input.extend(bytes(_READ_SIZE))
        size = self._socket.readinto(memoryview(self._input)[self._end : self._end + _READ_SIZE])
        if size is None:
            return
        if size == 0:
            self.close()
        self._end += size

    def split(self):
        """Take the whole lines that were read. A line for which there is no memory now stays, and those after it."""
        while True:
            end = self._input.find(b"\n", self._start, self._end)
            if end < 0:
                return
            try:
                message = json.loads(memoryview(self._input)[self._start : end])
                if "id" in message:
                    self._answers[message["id"]] = message
                else:
                    self.events.append(message)
            except MemoryError:
                raise
            except Exception:
                # It will be no better the next time.
                self._start = end + 1
                raise
            self._start = end + 1

    def readable(self):
        self.split()
        if not self.events:
            # Reads nothing itself: the buffer is ours.
            yield asyncio.core._io_queue.queue_read(self._socket)
            self._read()
            self.split()


class BLE:
    """The one radio of the board; every call of BLE() gives the same object."""

    _instance = None

    def __new__(cls):
        if BLE._instance is None:
            ble = object.__new__(cls)
            ble._active = False
            ble._handler = None
            ble._wire = None
            ble._reader = None
            ble._loop_queue = None
            ble._draining = False
            ble._values = {}
            ble._peers = {}
            ble._gap_name = b"MPY NIMBLE"
            ble._mtu = 256
            BLE._instance = ble
        return BLE._instance

    # -- the chip -------------------------------------------------------------------------------------------------

    def _call(self, op, **values):
        if not self._active:
            raise OSError(errno.ENODEV)
        return self._request(op, **values)

    def _request(self, op, **values):
        try:
            return self._wire.call(op, **values)
        finally:
            self._keep_reading()
            if self._wire.events:
                asyncio.create_task(self._drain_soon())

    def _keep_reading(self):
        # A new event loop forgets every task, our reader too.
        queue = asyncio.core._task_queue
        if self._reader is None or self._reader.done() or self._loop_queue is not queue:
            self._loop_queue = queue
            self._reader = asyncio.create_task(self._read())

    async def _read(self):
        wire = self._wire
        while wire.open:
            try:
                await wire.readable()
                self._drain()
            except MemoryError:
                # Nothing is lost: what was read stays until there is room for it.
                gc.collect()
                print("bluetooth: no memory to read from the virtual radio; trying again")
                await asyncio.sleep_ms(_BREATH_MS)
            except OSError as error:
                print("bluetooth: reading from the virtual radio failed:", error)
                wire.close()
            except Exception as error:  # noqa: BLE001 - deaf is worse than anything that could be wrong here
                print("bluetooth: unhandled exception in the reader", file=sys.stderr)
                sys.print_exception(error, sys.stderr)
                await asyncio.sleep_ms(_BREATH_MS)
        if self._wire is wire and self._active:
            self._power_lost()

    def _power_lost(self):
        """The chip is gone: nothing is connected any more."""
        print("bluetooth: the virtual radio is gone (ble.sock was closed)")
        self._active = False
        for conn in list(self._peers):
            self._irq(_IRQ_CENTRAL_DISCONNECT, (conn,) + self._peers.pop(conn))

    async def _drain_soon(self):
        self._drain()

    def _drain(self):
        if self._draining:
            return
        self._draining = True
        try:
            while self._wire.events:
                event = self._wire.events.pop(0)
                if self._active:
                    try:
                        self._dispatch(event)
                    except Exception as error:  # noqa: BLE001 - one event is not worth all that follow
                        print("bluetooth: unhandled exception about an event", file=sys.stderr)
                        sys.print_exception(error, sys.stderr)
                        if "re" in event:
                            self._wire.send({"re": event["re"], "error": _UNLIKELY_ERROR})
        finally:
            self._draining = False

    def _irq(self, event, data):
        if self._handler is None:
            return None
        try:
            return self._handler(event, data)
        except BaseException as error:  # noqa: BLE001 - the handler is anybody's code
            # As in MicroPython: it is never called again, and whoever asked goes on as if there were none.
            print("Unhandled exception in IRQ callback handler", file=sys.stderr)
            sys.print_exception(error, sys.stderr)
            self._handler = None
            return None

    def _dispatch(self, event):
        kind = event["event"]
        conn = event["conn"]
        if kind == "write":
            self._remote_write(event, conn, event["handle"])
        elif kind == "read":
            self._remote_read(event, conn, event["handle"])
        elif kind == "connect":
            peer = self._peers[conn] = (event["addr_type"], binascii.unhexlify(event["addr"]))
            self._irq(_IRQ_CENTRAL_CONNECT, (conn,) + peer)
        elif kind == "disconnect":
            self._peers.pop(conn, None)
            self._irq(_IRQ_CENTRAL_DISCONNECT, (conn, event["addr_type"], binascii.unhexlify(event["addr"])))
        elif kind == "mtu":
            self._irq(_IRQ_MTU_EXCHANGED, (conn, event["mtu"]))
        elif kind == "indicated":
            self._irq(_IRQ_GATTS_INDICATE_DONE, (conn, event["handle"], event["status"]))
        elif kind == "encryption":
            state = tuple(event[name] for name in ("encrypted", "authenticated", "bonded", "key_size"))
            self._irq(_IRQ_ENCRYPTION_UPDATE, (conn,) + state)

    def _remote_write(self, event, conn, handle):
        value = self._values.get(handle)
        if value is None:
            self._wire.send({"re": event["re"], "error": _ATTRIBUTE_NOT_FOUND})
            return
        value.remote_write(binascii.unhexlify(event["data"]))
        self._irq(_IRQ_GATTS_WRITE, (conn, handle))
        self._wire.send({"re": event["re"]})

    def _remote_read(self, event, conn, handle):
        refused = self._irq(_IRQ_GATTS_READ_REQUEST, (conn, handle))
        value = self._values.get(handle)
        if refused or value is None:
            self._wire.send({"re": event["re"], "error": refused or _ATTRIBUTE_NOT_FOUND})
        else:
            self._wire.send({"re": event["re"], "data": _hex(value.data)})

    # -- general --------------------------------------------------------------------------------------------------

    def active(self, on=None):
        if on is None:
            return self._active
        if on and not self._active:
            self._power_on()
        elif not on and self._active:
            # From here on events are nobody's: MicroPython drops them while it stops, too.
            self._active = False
            self._request("active", on=False)
            self._values = {}
        return self._active

    def _power_on(self):
        if self._wire is None or not self._wire.open:
            directory = os.getenv("SPEAKEASY_AIR")
            if not directory:
                raise OSError(errno.ENODEV)
            self._wire = _Wire(directory + "/ble.sock")
        self._values = {}
        self._peers = {}
        self._mtu = 256
        self._wire.events.clear()
        self._request("active", on=True)
        self._active = True

    def config(self, *args, **kwargs):
        if not kwargs:
            if len(args) != 1:
                raise TypeError("must query one param")
            return self._get_config(args[0])
        if args:
            raise TypeError("can't specify pos and kw args")
        for key, value in kwargs.items():
            self._set_config(key, value)
        return None

    def _get_config(self, key):
        if key == "gap_name":
            return self._gap_name
        if key == "mac":
            addr_type, addr = self._call("mac")
            return addr_type, binascii.unhexlify(addr)
        if key == "mtu":
            if not self._active:
                raise OSError(errno.ENODEV)
            return self._mtu
        raise ValueError("unknown config param")

    def _set_config(self, key, value):
        if key == "gap_name":
            name = _buffer(value)
            if len(name) > _GAP_NAME_MAX:
                raise OSError(errno.EINVAL)
            self._call("gap_name", name=_hex(name))
            self._gap_name = name
        elif key == "mtu":
            self._call("mtu", mtu=value)
            self._mtu = value
        elif key == "addr_mode":
            # 0, public, is all that this radio has.
            if not self._active:
                raise OSError(errno.ENODEV)
            if value != 0:
                raise OSError(errno.EINVAL)
        elif key in ("bond", "mitm", "le_secure"):
            # Kept by MicroPython also while the radio is off; aioble always switches it on first.
            self._call("security", key=key, value=bool(value))
        elif key not in ("io", "rxbuf"):
            # `io` is taken and not used: the bridge has neither display nor keys.
            raise ValueError("unknown config param")

    def irq(self, handler):
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        self._handler = handler

    # -- GAP ------------------------------------------------------------------------------------------------------

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        if interval_us is None:
            if self._active:
                self._call("advertise_stop")
            return
        self._call(
            "advertise",
            interval_us=interval_us,
            adv=None if adv_data is None else _hex(_buffer(adv_data)),
            resp=None if resp_data is None else _hex(_buffer(resp_data)),
            connectable=bool(connectable),
        )

    def gap_disconnect(self, conn_handle):
        self._call("disconnect", conn=int(conn_handle))

    def gap_pair(self, conn_handle):
        self._call("pair", conn=int(conn_handle))

    # -- GATT server ----------------------------------------------------------------------------------------------

    def gatts_register_services(self, services):
        handles = self._call("register", services=[_describe_service(service) for service in services])
        self._values = {handle: _Value() for service in handles for handle in service}
        return tuple(tuple(service) for service in handles)

    def gatts_read(self, value_handle):
        value = self._values.get(int(value_handle))
        return bytes(value.local_read()) if value else b""

    def gatts_write(self, value_handle, data, send_update=False):
        data = _buffer(data)
        if not self._active:
            raise OSError(errno.ENODEV)
        value = self._values.get(int(value_handle))
        if value is None:
            raise OSError(errno.EINVAL)
        value.local_write(data)
        if send_update:
            self._call("update", handle=value_handle)
        return len(data)

    def gatts_notify(self, conn_handle, value_handle, data=None):
        self._hand_over("notify", conn_handle, value_handle, data)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        self._hand_over("indicate", conn_handle, value_handle, data)

    def _hand_over(self, op, conn_handle, value_handle, data):
        conn_handle, value_handle = int(conn_handle), int(value_handle)
        if data is None:
            # The stack reads the value as a central would, but on nobody's behalf.
            if self._irq(_IRQ_GATTS_READ_REQUEST, (_NO_CONNECTION, value_handle)):
                raise OSError(_READ_REFUSED)
            data = self._values[value_handle].data if value_handle in self._values else b""
        self._call(op, conn=conn_handle, handle=value_handle, data=_hex(_buffer(data)))

    def gatts_set_buffer(self, value_handle, length, append=False):
        value = self._values.get(int(value_handle))
        if value is None:
            raise OSError(errno.EINVAL)
        value.data = b""
        value.room = length
        value.append = bool(append)

    # -- GATT client: what a peripheral needs of it -----------------------------------------------------------------

    def gattc_exchange_mtu(self, conn_handle):
        self._call("exchange_mtu", conn=int(conn_handle))


def _buffer(data):
    """bytes of anything with a buffer; a str counts, as for every C function."""
    if isinstance(data, str):
        return data.encode()
    return bytes(memoryview(data))


def _describe_service(service):
    uuid, characteristics = service
    return {
        "uuid": _describe_uuid(uuid, "service"),
        "characteristics": [_describe_characteristic(*characteristic) for characteristic in characteristics],
    }


def _describe_characteristic(uuid, flags, descriptors=()):
    return {
        "uuid": _describe_uuid(uuid, "characteristic"),
        "flags": flags & 0xFFFF,
        "descriptors": [{"uuid": _describe_uuid(u, "descriptor"), "flags": f & 0xFFFF} for u, f in descriptors],
    }


def _describe_uuid(uuid, what):
    if not isinstance(uuid, UUID):
        raise ValueError("invalid %s UUID" % what)
    return _hex(bytes(uuid))
