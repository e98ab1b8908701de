"""The air: everything that Bluetooth LE is in the dorm, in one place.

```
  SIM board's `bluetooth`  --ble.sock-->  chip (Bumble host) -- controller --+
  NimBLE on a pty (H4)     --hci.pty------------------------- controller ----+---- radio
  a phone (Bumble host)    --hci.sock (H4), one each -------- controller ----+
```
Run alone: `python -m dorm.bluetooth DIRECTORY`.
"""

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import pty
import select
import signal
import sys
import tty
from pathlib import Path
from typing import Any

from bumble import hci
from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from dorm.bluetooth_host import LINE_LIMIT, Chip
from dorm.bluetooth_radio import Heard, Radio, RadioController

logger = logging.getLogger(__name__)

BLE_SOCKET = "ble.sock"
HCI_SOCKET = "hci.sock"
HCI_PTY = "hci.pty"
SOCKET_MODE = 0o600
READ_SIZE = 4096
# How soon a board that opens the pty again is noticed.
PTY_REOPEN_S = 0.05
# The maker's half of the bridge's address, 24:0A:C4, little-endian.
ESPRESSIF = b"\xc4\x0a\x24"


class _Port:
    """Carries H4 packets between one controller and its host."""

    def __init__(self, radio: Radio, controller: RadioController) -> None:
        self.radio = radio
        self.controller = controller
        self._parser = PacketParser(controller)

    def feed(self, data: bytes) -> bool:
        """False when the host speaks something that is not H4."""
        try:
            self._parser.feed_data(data)
        except InvalidPacketError as error:
            logger.error("%s: %s", self.controller.name, error)
            return False
        return True

    def restart(self) -> None:
        self._parser.reset()


class _SocketSink:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def on_packet(self, packet: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(packet)


class _PtySink:
    """Writes to the pty's primary; what does not fit waits, in order."""

    def __init__(self, primary: int) -> None:
        self._primary = primary
        self._waiting = bytearray()

    def on_packet(self, packet: bytes) -> None:
        self._waiting += packet
        self.flush()

    def flush(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._primary)
        while self._waiting:
            try:
                count = os.write(self._primary, self._waiting)
            except BlockingIOError:
                loop.add_writer(self._primary, self.flush)
                return
            except OSError:
                self._waiting.clear()
                return
            del self._waiting[:count]

    def clear(self) -> None:
        self._waiting.clear()
        asyncio.get_running_loop().remove_writer(self._primary)


class _PtyPort(_Port):
    """A controller on a pty, for a host that wants a UART (MicroPython's NimBLE: MICROPYBTUART)."""

    def __init__(self, radio: Radio, controller: RadioController, link: Path) -> None:
        super().__init__(radio, controller)
        self._primary, replica = pty.openpty()
        tty.setraw(self._primary)
        tty.setraw(replica)
        fcntl.fcntl(self._primary, fcntl.F_SETFL, fcntl.fcntl(self._primary, fcntl.F_GETFL) | os.O_NONBLOCK)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(replica))
        # With our own copy closed, a host that dies is seen: the primary hangs up.
        os.close(replica)
        self._link = link
        self._sink = _PtySink(self._primary)
        controller.set_packet_sink(self._sink)
        self._poll = select.poll()
        self._poll.register(self._primary, select.POLLIN)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while any(events & select.POLLHUP for _, events in self._poll.poll(0)):
                await asyncio.sleep(PTY_REOPEN_S)
            self.radio.controllers.add(self.controller)
            self.controller.on_air = True
            self.restart()
            hung_up = loop.create_future()
            loop.add_reader(self._primary, self._on_readable, hung_up)
            try:
                await hung_up
            finally:
                loop.remove_reader(self._primary)
                self._sink.clear()
                self.radio.unplug(self.controller)

    def _on_readable(self, hung_up: "asyncio.Future[None]") -> None:
        try:
            data = os.read(self._primary, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                logger.error("hci.pty: %s", error)
            data = b""
        if (not data or not self.feed(data)) and not hung_up.done():
            hung_up.set_result(None)

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        os.close(self._primary)
        self._link.unlink(missing_ok=True)


class BluetoothAir:
    """The virtual radio and its sockets. One bridge, any number of phones."""

    def __init__(self) -> None:
        self.radio = Radio()
        # As on an ESP32 the address is public and belongs to the hardware: it outlives resets, and being switched off.
        # (Without one NimBLE makes up a new random address each time that it is switched on.)
        self.bridge_address = hci.Address(os.urandom(3) + ESPRESSIF, hci.Address.PUBLIC_DEVICE_ADDRESS)
        self._chip: Chip | None = None
        self._pty: _PtyPort | None = None
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._phones = 0

    async def start(self, directory: Path | str) -> None:
        """Makes `directory` if need be, and in it ble.sock, hci.sock and hci.pty; stale ones are replaced."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, serve in ((BLE_SOCKET, self._serve_board), (HCI_SOCKET, self._serve_phone)):
            path = directory / name
            path.unlink(missing_ok=True)
            self._servers.append(await asyncio.start_unix_server(serve, path, limit=LINE_LIMIT))
            path.chmod(SOCKET_MODE)
            self._paths.append(path)
        controller = RadioController("bridge (HCI)", self.radio)
        controller.public_address = self.bridge_address
        self.radio.unplug(controller)
        self._pty = _PtyPort(self.radio, controller, directory / HCI_PTY)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pty:
            await self._pty.close()
            self._pty = None
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._servers, self._paths = [], []

    async def _serve_board(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._remember()
        if self._chip:
            self._chip.close()  # one board: it was reset, and its old connection has not noticed yet
        controller = RadioController("bridge", self.radio)
        controller.public_address = self.bridge_address
        self.radio.unplug(controller)  # until the board switches it on
        chip = self._chip = Chip(self.radio, controller, reader, writer)
        try:
            await chip.run()
        finally:
            if self._chip is chip:
                self._chip = None

    async def _serve_phone(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._remember()
        self._phones += 1
        controller = RadioController(f"phone {self._phones}", self.radio)
        controller.random_address = hci.Address.generate_static_address()
        controller.set_packet_sink(_SocketSink(writer))
        port = _Port(self.radio, controller)
        try:
            while (data := await reader.read(READ_SIZE)) and port.feed(data):
                pass
        except ConnectionError as error:
            logger.debug("%s: %s", controller.name, error)
        finally:
            self.radio.unplug(controller)
            writer.close()

    def _remember(self) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what tests do to the air ---------------------------------------------------------------------------------

    @property
    def bridge(self) -> RadioController | None:
        """The bridge's controller, where there is a board."""
        if self._chip:
            return self._chip.controller
        return self._pty.controller if self._pty else None

    @property
    def connected(self) -> bool:
        """Whether a phone and the bridge have a connection."""
        return any(self.bridge in link.ends for link in self.radio.links)

    @property
    def advertising(self) -> bool:
        return bool(self.bridge and self.bridge.advertiser.enabled)

    def drop(self) -> None:
        """Ends every connection at once, on both sides, as when the supervision timeout strikes."""
        for link in list(self.radio.links):
            link.expire()

    def delay(self, seconds: float) -> None:
        """Holds back every PDU on connections by so much. 0: none."""
        self.radio.delay_s = seconds

    def out_of_range(self, away: bool) -> None:
        """Takes the bridge out of everybody's range, or back. Connections end after their supervision timeout."""
        if self.bridge:
            self.radio.set_range(self.bridge, not away)

    def sniff(self) -> "contextlib.AbstractContextManager[list[Heard]]":
        """Everything that an eavesdropper with perfect ears would record while the context lasts."""
        return self.radio.sniff()


async def _run(directory: str) -> None:
    air = BluetoothAir()
    await air.start(directory)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"The air is in {directory}: {BLE_SOCKET}, {HCI_SOCKET}, {HCI_PTY}. Ctrl-C ends it.", flush=True)
    await stopped.wait()
    await air.stop()


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m dorm.bluetooth DIRECTORY", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_run(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
