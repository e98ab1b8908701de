"""Serial ports: which one has the board."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

Port: TypeAlias = Any  # pyserial's, which has no type hints

NO_BOARD = (
    "No board was found on USB. Plug it in, with a cable that carries data: many only charge. If it is plugged in "
    "already, name its port: PORT=/dev/ttyUSB0, or what it is called here."
)


def boards(listed: Callable[[], Sequence[ListPortInfo]] = list_ports.comports) -> list[ListPortInfo]:
    """The ports that look like an ESP32 board's, by name."""
    return sorted((port for port in listed() if port.vid in MAKERS), key=lambda port: port.device)


def choose(named: str | None, listed: Callable[[], Sequence[ListPortInfo]] = list_ports.comports) -> str:
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
