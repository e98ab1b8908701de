# The SIM board's wires: what its radio, pins and reset line are connected to is the air, a server on
# $SPEAKEASY_AIR/wifi.sock. The drivers `network`, `machine` and `esp32` share the one connection.
#
# Newline-delimited JSON. The board asks {"op": ..., "n": number, ...}; the air answers {"n": number, "ok": {...}} or
# {"n": number, "error": text}. What has no "n" gets no answer. In between the air tells {"event": name, ...}.
import errno
import json
import os
import struct
import time

import _sim
import micropython
import usocket

_AF_UNIX = 1
_MAX_PATH = 107  # bytes, <sys/un.h>
_ANSWER_MS = 10_000
_MSG_DONTWAIT = usocket.MSG_DONTWAIT

_socket = None
_buffer = b""
_answers = {}
_number = 0
_busy = False
_handlers = {}

# What the air told last. The drivers look here.
hello = {}
station = {"connected": False, "reason": 0, "associated": False, "gave_up": False, "rssi": 0}
lease = {"addr": "0.0.0.0", "mask": "0.0.0.0", "router": "0.0.0.0", "dns": []}
stations = []
ethernet = {"status": 0}
levels = {}
# By the event's name, listener(message) hears of it when it has been taken in.
listeners = {}


def _connect():
    global _socket
    directory = os.getenv("SPEAKEASY_AIR")
    if not directory:
        raise OSError(errno.ENODEV, "this board has no radio and no pins: SPEAKEASY_AIR is not set")
    path = directory.encode() + b"/wifi.sock"
    if len(path) > _MAX_PATH:
        raise OSError(errno.ENAMETOOLONG, "SPEAKEASY_AIR is too long for a Unix socket")
    connection = usocket.socket(_AF_UNIX, usocket.SOCK_STREAM)
    connection.connect(struct.pack("H", _AF_UNIX) + path + b"\0")
    _socket = connection
    hello.update(ask("hello"))
    _sim.watch(connection.fileno(), _interrupt)


def _read(flags):
    # False: nothing more to read just now.
    global _buffer
    try:
        data = _socket.recv(1024, flags)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return False
        raise
    if not data:
        raise OSError(errno.ENODEV, "the air is gone")
    _buffer += data
    while True:
        line, newline, rest = _buffer.partition(b"\n")
        if not newline:
            return True
        _buffer = rest
        message = json.loads(line)
        if "event" in message:
            _take(message)
        else:
            _answers[message["n"]] = message


def _take(message):
    event = message["event"]
    if event == "station":
        station.update(message["is"])
    elif event == "lease":
        lease.update(message["is"])
    elif event == "stations":
        stations[:] = [bytes(int(byte, 16) for byte in mac.split(":")) for mac in message["is"]]
    elif event == "ethernet":
        ethernet.update(message["is"])
    elif event == "pin":
        pin = message["pin"]
        levels[pin] = message["level"]
        handler = _handlers.get(pin)
        if handler:
            try:
                micropython.schedule(handler, message["level"])
            except RuntimeError:
                pass  # the queue is full: the interrupt is lost, as on the chip
    if event in listeners:
        listeners[event](message)


def _interrupt(_):
    if not _busy:  # else: who is reading takes everything, and arms again
        look()


def look():
    """Takes in what the air has told since."""
    global _busy
    if _socket is None:
        _connect()
    if _busy:
        return
    _busy = True
    try:
        while _read(_MSG_DONTWAIT):
            pass
    finally:
        _busy = False
        _sim.rearm()


def ask(op, **arguments):
    """One request; returns the answer's dict. Raises OSError with the air's text, or ETIMEDOUT."""
    global _busy, _number
    if _socket is None:
        _connect()
    _number = number = _number + 1
    arguments["op"] = op
    arguments["n"] = number
    before = _busy
    _busy = True
    try:
        _socket.settimeout(_ANSWER_MS / 1000)
        _send(arguments)
        start = time.ticks_ms()
        while number not in _answers:
            if not _read(0) and time.ticks_diff(time.ticks_ms(), start) >= _ANSWER_MS:
                raise OSError(errno.ETIMEDOUT, "the air does not answer")
        answer = _answers.pop(number)
        while _read(_MSG_DONTWAIT):
            pass
    finally:
        _busy = before
        _sim.rearm()
    if "error" in answer:
        raise OSError(answer["error"])
    return answer["ok"]


def _send(message):
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[_socket.send(data) :]


def tell(op, **arguments):
    """A message without an answer."""
    if _socket is None:
        _connect()
    arguments["op"] = op
    _send(arguments)


def on_pin(pin, handler):
    """handler(level) is scheduled at each change of the pin's level; None: no more."""
    _handlers[pin] = handler
