"""TCP connections, counted, each with its time: whoever stalls is cut off, by one sweep instead of a timer each.

Asyncio has no limit for `open_connection`, and loses the socket of one that is cancelled; `connect` does neither.
"""

import asyncio
import errno
import select
import socket
import time

from micropython import const

_CONNECT_TURN_MS = const(5)


class Connection:
    """One connection from `addr` (4 bytes), served by the task that made this object."""

    def __init__(self, addr: bytes) -> None:
        self.addr = addr
        self.task: asyncio.Task | None = asyncio.current_task()
        self.idle = False  # between two requests: it may be closed when the place is needed
        self.deadline = 0


class Connections:
    """At most `limit` connections. `now`: seconds, see `clock`."""

    def __init__(self, limit: int, now) -> None:
        self._limit = limit
        self._now = now
        self._all: list = []

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, addr: bytes) -> Connection | None:
        """Count a connection; None when there is no place. The one that is idle for longest gives way."""
        if len(self._all) >= self._limit and not self._make_room():
            return None
        connection = Connection(addr)
        self._all.append(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        """The connection's task has done with it."""
        if connection in self._all:
            self._all.remove(connection)

    def give(self, connection: Connection, seconds: int, idle: bool = False) -> None:
        """The connection's task has so long for its next step."""
        connection.deadline = self._now() + seconds
        connection.idle = idle
        if idle:  # the last of the idle ones
            self._all.remove(connection)
            self._all.append(connection)

    def sweep(self, allowed) -> None:
        """Cut off whoever is over its time, and whose address is not `allowed(addr)` any more."""
        now = self._now()
        for connection in list(self._all):
            if connection.deadline < now or not allowed(connection.addr):
                self._cut(connection)

    def cut_all(self) -> None:
        """Cut off everybody."""
        for connection in list(self._all):
            self._cut(connection)

    def _make_room(self) -> bool:
        for connection in self._all:
            if connection.idle:
                self._cut(connection)
                return True
        return False

    def _cut(self, connection: Connection) -> None:
        self._all.remove(connection)
        if connection.task is not None:
            connection.task.cancel()


class Budget:
    """Bytes that may be held in memory at one time, over all connections."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Whether `size` bytes are there; if so they are taken."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """`size` bytes are free again."""
        self._left += size


async def connect(addr: str, port: int, limit_ms: int):
    """A stream to `addr` (dotted quad) and `port`. OSError: refused, or not within `limit_ms` (ETIMEDOUT)."""
    s = socket.socket()
    try:
        s.setblocking(False)
        try:
            s.connect((addr, port))
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                raise
        ready = select.poll()
        ready.register(s, select.POLLOUT)
        start = time.ticks_ms()
        while not ready.poll(0):
            if time.ticks_diff(time.ticks_ms(), start) >= limit_ms:
                raise OSError(errno.ETIMEDOUT)
            await asyncio.sleep_ms(_CONNECT_TURN_MS)
    except BaseException:
        s.close()
        raise
    return asyncio.StreamWriter(s)  # type: ignore[call-arg]
