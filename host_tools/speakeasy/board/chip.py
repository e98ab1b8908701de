"""The chip's bootloader, by esptool: which chip, how much flash, and the firmware written to it and read back."""

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import esptool.cmds
from esp_pylib.logger import EspLogBase
from esptool.loader import DEFAULT_TIMEOUT
from esptool.logger import log
from esptool.reset import ResetStrategy
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError, flash_size_bytes

from speakeasy.board import ports
from speakeasy.board.image import Image, megabytes
from speakeasy.errors import NotReached, SpeakeasyError, Stopped

FAST_BAUD = 460800
BACK_S = 20.0  # until a chip with USB of its own is there again, in its bootloader

_NONSENSE = (IndexError, KeyError, OverflowError, struct.error)  # esptool's, of answers too short or out of range
_FAILED = (FatalError, *_NONSENSE, *ports.GONE)
Progress = Callable[[int, int], None]  # so many bytes, of so many


class _Quiet(EspLogBase):
    """What esptool says is not for people who have never heard of it; how far it is, is."""

    progress_to: Progress | None = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        pass

    note = hint = debug = warn = err = warning = error = set_verbosity = print

    def progress_bar(self, cur_iter: int, total_iters: int, *_args: Any, **_kwargs: Any) -> None:
        if self.progress_to:
            self.progress_to(cur_iter, total_iters)


_quiet = _Quiet()
log.set_logger(_quiet)
# Made when esptool was imported, with its own logger.
ResetStrategy.print_once.print_callback = _quiet.warn


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".!")


def _connect(port: ports.Port) -> Any:
    """esptool's loader of whatever chip is there, started in its bootloader. Raises one of _FAILED."""
    port.timeout = DEFAULT_TIMEOUT  # or esptool sets it for each command, which on a port far away takes a while
    return esptool.cmds.detect_chip(port)


@contextmanager
def connected(place: ports.Place) -> Iterator[tuple[Any, ports.Port]]:
    """The loader of the chip there, started in its bootloader; its port, for as long as the block lasts. Raises
    SpeakeasyError."""
    with ExitStack() as stack:
        before = place.now()
        port = stack.enter_context(ports.opened(before))
        try:
            esp = _connect(port)
        except _FAILED as error:
            # On its way into the bootloader a chip with USB of its own goes away, and comes back as another device.
            port.close()
            lost = not isinstance(error, (FatalError, *_NONSENSE))
            after = place.back(BACK_S) if lost else place.now()
            if after is None or (after == before and not lost):
                raise _nobody(before) from None
            port = stack.enter_context(ports.opened(after))
            try:
                esp = _connect(port)
            except _FAILED:
                raise _nobody(after) from None
        yield esp, port


def _nobody(name: str) -> NotReached:
    return NotReached(
        f"No ESP32 answered on {name}. Hold the board's BOOT button, press and let go RESET, let go BOOT, and try "
        "again. If there is another board or modem on that port: name the right one with PORT=."
    )


def check(esp: Any, image: Image) -> Any:
    """Whether this is the chip that the image is for, with flash enough; nothing is written. The loader to go on with.
    Raises SpeakeasyError; the board goes on with what it had."""
    found = str(esp.CHIP_NAME)
    wanted = CHIP_DEFS[image.chip].CHIP_NAME if image.chip in CHIP_DEFS else image.chip
    try:
        if found != wanted:
            raise SpeakeasyError(
                f"The chip on this board is an {found}, and the firmware for {image.board} is for the {wanted}. "
                "Nothing was written. Choose the BOARD that you have, or the PORT that it is on."
            )
        with _asked():
            locked = esp.secure_download_mode
        if locked:
            raise SpeakeasyError(
                "This chip was locked by whoever had it before (secure download mode), for good. Nothing was written. "
                "Take another board."
            )
        with _asked():
            esp = esptool.cmds.run_stub(esp)
            esptool.cmds.attach_flash(esp)
            detected = esptool.cmds.detect_flash_size(esp)
        size = flash_size_bytes(detected) if detected else None
        if size is None:
            raise SpeakeasyError(
                "The size of this board's flash is not known: the memory does not answer, or is of an unknown kind. "
                "Nothing was written. Take another board."
            )
        if size < image.flash_size:
            raise SpeakeasyError(
                f"This board has {megabytes(size)} of flash, and {image.board} needs {megabytes(image.flash_size)}. "
                "Nothing was written. Choose a BOARD for less flash, or another board: its page in boards/ says which."
            )
    except (SpeakeasyError, KeyboardInterrupt):
        restart(esp)
        raise
    return esp


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except _FAILED as error:
        raise NotReached(
            f"The chip stopped answering ({_reason(error)}). Nothing was written. Try again, with another cable or USB "
            "port."
        ) from None


def write(esp: Any, image: Image, progress: Progress, *, erase: bool, baud: int) -> None:
    """Write the image, and compare its checksum with that of the flash. Raises NotReached, Stopped."""
    begun = False
    _quiet.progress_to = progress
    try:
        if baud > esp.get_baud():
            esp.change_baud(baud)
        begun = True  # it erases before it writes
        esptool.cmds.write_flash(esp, [(image.offset, image.data)], erase_all=erase)
        if esp.get_baud() != ports.BAUD:
            esp.change_baud(ports.BAUD)  # so that nothing of the first start is missed
    except _FAILED as error:
        raise NotReached(
            f"Writing failed ({_reason(error)}). {_left(begun, erase)}; if that fails, too: another cable, another USB "
            "port, or BAUD=115200."
        ) from None
    except KeyboardInterrupt:
        if not begun:
            restart(esp)
        raise Stopped(f"Stopped. {_left(begun, erase)}.") from None


def _left(begun: bool, erase: bool) -> str:
    """What is on the board, and what to do."""
    if not begun:
        return "Nothing was written. Try again"
    if erase:
        return "The board is neither erased nor whole now: run the same again, with ERASE=1"
    return (
        "The firmware on the board is not whole now: flash it again. Its identity, phones and settings are elsewhere "
        "in its flash, and stay"
    )


def restart(esp: Any) -> None:
    """Have the chip start what is on its flash."""
    with suppress(*_FAILED):  # the cable was pulled: then it starts at the next power
        esptool.cmds.reset_chip(esp, "hard-reset")
