"""What `make firmware` has made for a board: build/BOARD/firmware.bin, and flash.json, which says where it goes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speakeasy.errors import SpeakeasyError, UsageError

TOP = Path(__file__).resolve().parents[3]
BINARY, FACTS = "firmware.bin", "flash.json"
_VARIANT = "mpconfigvariant_"
_QEMU = "QEMU"  # a variant that is no board
RECOMMENDED = "ESP32_S3"
MAGIC = 0xE9  # the first byte of an image that the chip's ROM boots


@dataclass(frozen=True)
class Image:
    """`chip` as esptool names it; the `flash_size` that the partition table asks for, and the `offset` of `data` in the
    flash, in bytes."""

    board: str
    chip: str
    flash_size: int
    offset: int
    data: bytes = field(repr=False)


def boards(top: Path = TOP) -> list[str]:
    """The boards that can be flashed, as `make firmware` names them: BOARD, or BOARD-VARIANT."""
    found = [path.parent for path in top.glob("boards/*/mpconfigboard.cmake")]
    variants = [path for board in found for path in board.glob(f"{_VARIANT}*.cmake") if path.stem != _VARIANT + _QEMU]
    return sorted(
        [board.name for board in found]
        + [f"{path.parent.name}-{path.stem.removeprefix(_VARIANT)}" for path in variants]
    )


def megabytes(size: int) -> str:
    """A flash's size in words."""
    return f"{size / (1 << 20):g} MB"


def check_board(board: str | None, target: str, top: Path = TOP) -> str:
    """The board's name. Raises UsageError with the list of boards, and what to type."""
    known = boards(top)
    if board in known:
        return str(board)
    if not known:
        raise UsageError(f"There are no boards in {top}/boards. Run make where Speakeasy's source is.")
    said = "There is no such board."
    if not board:
        said = "Which board?"
    elif board.endswith(f"-{_QEMU}"):
        said = f"{board} is for Espressif's QEMU, and cannot be flashed."
    example = RECOMMENDED if RECOMMENDED in known else known[0]
    raise UsageError(f"{said} There are: {', '.join(known)}. For example: `make {target} BOARD={example}`.")


def load(board: str, top: Path = TOP) -> Image:
    """The image that was built for the board. Raises SpeakeasyError."""
    directory = top / "build" / board
    make = f"`make firmware BOARD={board}`"
    try:
        facts: Any = json.loads((directory / FACTS).read_text())
        data = (directory / BINARY).read_bytes()
    except FileNotFoundError:
        raise SpeakeasyError(f"There is no firmware for {board} yet. Build it: {make}.") from None
    except (OSError, ValueError):
        raise SpeakeasyError(f"What was built for {board} cannot be read. Build it again: {make}.") from None
    try:
        image = Image(board, str(facts["chip"]), int(facts["flash_size"]), int(facts["offset"]), data)
    except (KeyError, TypeError, ValueError):
        raise SpeakeasyError(
            f"{FACTS} does not say where the firmware for {board} goes. Build it again: {make}."
        ) from None
    if not data or data[0] != MAGIC or image.offset + len(data) > image.flash_size:
        raise SpeakeasyError(
            f"{BINARY} is no firmware that {board} could start: it was cut, or is another file. Build it again: {make}."
        )
    return image
