"""Serial ports: which one has the board."""

import errno
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import serial
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from speakeasy.errors import NotReached, SpeakeasyError, UsageError

# Who makes the USB chips on ESP32 boards, by USB vendor id.
MAKERS = {
    0x303A: "Espressif's own USB",
    0x10C4: "Silicon Labs CP210x",
    0x1A86: "WCH CH34x or CH9102",
    0x0403: "FTDI",
    0x067B: "Prolific PL2303",
}
BAUD = 115200  # of the ROM's bootloader, at first, and of the firmware's console
READ_S = 0.5
PAUSE_S = 0.5  # between two looks
MAC_DIGITS = 12  # in hex: the USB serial number of a chip with USB of its own begins with its address

GONE = (OSError, ValueError)  # what a port raises whose board was unplugged; the latter one on another machine

Port: TypeAlias = Any  # pyserial's, which has no type hints
Listing: TypeAlias = Callable[[], Sequence[ListPortInfo]]

NO_BOARD = (
    "No board was found on USB. Plug it in, with a cable that carries data: many only charge. If it is plugged in "
    "already, name its port: PORT=/dev/ttyUSB0, or what it is called here."
)


def boards(listed: Listing | None = None) -> list[ListPortInfo]:
    """The ports that look like an ESP32 board's, by name."""
    return sorted(
        (port for port in (listed or list_ports.comports)() if port.vid in MAKERS), key=lambda port: port.device
    )


def choose(named: str | None, listed: Listing | None = None) -> str:
    """The port that was named, else the only one that looks like a board's. Raises NotReached, UsageError."""
    if named:
        return named
    found = boards(listed)
    if not found:
        raise NotReached(NO_BOARD)
    if len(found) > 1:
        names = ", ".join(f"{port.device} ({MAKERS[port.vid]})" for port in found)
        raise UsageError(
            f"There are {len(found)} boards: {names}. Say which one is meant: PORT={found[0].device}, for example, or "
            "unplug the others. Nothing was written."
        )
    return str(found[0].device)


def _why(error: OSError, name: str) -> SpeakeasyError:
    if error.errno == errno.ENOENT:
        return NotReached(f"There is no port {name}. Is the board plugged in? Leave PORT out to have it looked for.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SpeakeasyError(
            f"You may not use {name}. On Debian: `sudo adduser $USER dialout`, log out and in again; then try again."
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error).lower():
        return NotReached(f"Another program uses {name}: a monitor, a shell, a modem manager. End it, and try again.")
    if name.startswith("rfc2217:"):
        return NotReached(
            f"{name} could not be opened ({str(error).rpartition(':')[2].strip() or 'no reason was given'}). On the "
            "machine that has the board runs, for example, esptool's server: `esp_rfc2217_server -p 4000 /dev/ttyUSB0`?"
        )
    return NotReached(f"{name} could not be opened. Is the board plugged in, and the port spelled right?")


@contextmanager
def opened(name: str) -> Iterator[Port]:
    """The port, ours alone until the block ends. Raises SpeakeasyError."""
    try:
        port = serial.serial_for_url(name, baudrate=BAUD, timeout=READ_S, exclusive=True)
    except ValueError:
        raise UsageError(f"{name} is no port. One looks like /dev/ttyUSB0.") from None
    except OSError as error:
        raise _why(error, name) from None
    try:
        yield port
    finally:
        port.close()


class Place:
    """Where a board is: the name of its port. A chip that is a USB device itself goes away and comes back with each
    start, perhaps under another name (Linux gives it the next number while the old one is still held open), and as
    another device in its bootloader than in the firmware. It is the same board for all that when it is plugged into the
    same socket, or has the same USB serial number."""

    def __init__(self, name: str, listed: Listing | None = None) -> None:
        self.name = name
        self._listed = listed or list_ports.comports
        device = str(Path(name).resolve()) if name.startswith("/") else name  # what is in /dev/serial/by-id leads there
        self._known = next((port for port in self._listed() if port.device in (name, device)), None)
        if self._known:
            self.name = str(self._known.device)

    def now(self) -> str:
        """The name that it has now; the one that it had when it is not there."""
        if self._known is None or (not _socket(self._known) and not self._known.serial_number):
            return self.name  # no USB here, but on another machine, perhaps
        there = self._listed()
        found = [port for port in there if _socket(port) and _socket(port) == _socket(self._known)]
        if not found:
            found = [port for port in there if _same_number(port.serial_number, self._known.serial_number)]
            found = found if len(found) == 1 else []  # some makers give all of theirs the same
        names = sorted(str(port.device) for port in found)
        if names and self._known.device not in names:
            self.name, self._known = names[0], found[0] if len(found) == 1 else self._known
        return self.name

    def back(self, limit_s: float) -> str | None:
        """Waits until it can be opened; its name then. None when it stays away for so long."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                with opened(self.now()):
                    return self.name
            except SpeakeasyError:
                if time.monotonic() > deadline:
                    return None
            time.sleep(PAUSE_S)


def _socket(port: ListPortInfo) -> str | None:
    """Which of the computer's sockets, hubs included: without the interface, which may be another one."""
    return port.location.partition(":")[0] if port.location else None


def _same_number(one: str | None, other: str | None) -> bool:
    if not one or not other:
        return False
    # 24:58:7C:00:11:22 of the chip's own, in its bootloader; 24587c001122... of MicroPython.
    digits = [re.sub("[^0-9A-F]", "", text.upper())[:MAC_DIGITS] for text in (one, other)]
    return one == other or (len(digits[0]) == MAC_DIGITS and digits[0] == digits[1])
