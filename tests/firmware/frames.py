# What the board QEMU_RV32 has as a module in C (boards/QEMU_RV32/glue_loop.c), for the SIM board: its four TAP devices
# are sockets, and the test holds their other ends.
import errno
import os
import struct
import time

import pktfilter
import usocket

_PORTS = 4
_AF_UNIX = 1
_LIMIT_MS = 10_000
# What the filter counts besides frames that came in.
_NOT_FRAMES = ("frames_pending", "reset_sent", "leases_expired", "glue_lost")

_taps = []
_ours = []


def _socket(name):
    s = usocket.socket(_AF_UNIX, usocket.SOCK_DGRAM)
    s.bind(struct.pack("<H", _AF_UNIX) + b"\0" + name)
    return s


def plug():
    """The four interfaces are there from now on."""
    name = os.urandom(16)
    for port in range(_PORTS):
        tap, our = name + bytes((port, 0)), name + bytes((port, 1))
        _taps.append(_socket(tap))
        _ours.append(_socket(our))
        _taps[port].connect(struct.pack("<H", _AF_UNIX) + b"\0" + our)
        _ours[port].connect(struct.pack("<H", _AF_UNIX) + b"\0" + tap)
        _ours[port].setblocking(False)
    os.putenv("SPEAKEASY_TAPS", ",".join([str(s.fileno()) for s in _taps]))


def _frames():
    return sum(
        n for name, n in pktfilter.counters().items() if name not in _NOT_FRAMES and not name.startswith("flows_")
    )


def inject(port, frame):
    """A frame arrives at that port. Each one raises exactly one counter: then the filter is done with it."""
    before = _frames()
    _ours[port].send(frame)
    start = time.ticks_ms()
    while _frames() == before:
        if time.ticks_diff(time.ticks_ms(), start) > _LIMIT_MS:
            raise AssertionError("the filter did not take the frame within %d ms" % _LIMIT_MS)
        time.sleep_ms(1)


def taken():
    """[(port, frame)] that left since the last call; of each port the oldest first."""
    out = []
    for port in range(_PORTS):
        while True:
            try:
                out.append((port, _ours[port].recv(2000)))
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    raise
                break
    return out
