"""What is wrong before anything was sent to a board: which board, which port, which image. Each says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MB, Tree
from serial.tools.list_ports_common import ListPortInfo
from speakeasy.board import image, ports
from speakeasy.errors import FAILED, NOT_REACHED, USAGE, NotReached, SpeakeasyError, UsageError


def plugged(device: str, vid: int | None) -> ListPortInfo:
    port = ListPortInfo(device)
    port.vid = vid
    return port


USB0, ACM0 = plugged("/dev/ttyUSB0", 0x10C4), plugged("/dev/ttyACM0", 0x303A)
BUILT_IN, OTHER = plugged("/dev/ttyS0", None), plugged("/dev/ttyACM1", 0x2341)


def test_the_only_board_is_found_among_other_ports() -> None:
    assert ports.choose(None, lambda: [BUILT_IN, OTHER, USB0]) == "/dev/ttyUSB0"
    assert ports.choose("", lambda: [ACM0]) == "/dev/ttyACM0"


def test_a_port_that_is_named_is_not_looked_for() -> None:
    assert ports.choose("/dev/ttyS0", lambda: [USB0, ACM0]) == "/dev/ttyS0"


@pytest.mark.parametrize("there", [[], [BUILT_IN, OTHER]])
def test_no_port(there: list[ListPortInfo]) -> None:
    with pytest.raises(NotReached) as caught:
        ports.choose(None, lambda: there)
    assert str(caught.value) == (
        "No board was found on USB. Plug it in, with a cable that carries data: many only charge. If it is plugged in "
        "already, name its port: PORT=/dev/ttyUSB0, or what it is called here."
    )


def test_two_ports() -> None:
    with pytest.raises(UsageError) as caught:
        ports.choose(None, lambda: [USB0, BUILT_IN, ACM0])
    assert str(caught.value) == (
        "There are 2 boards: /dev/ttyACM0 (Espressif's own USB), /dev/ttyUSB0 (Silicon Labs CP210x). Say which one is "
        "meant: PORT=/dev/ttyACM0, for example, or unplug the others. Nothing was written."
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "gone"), "There is no port P."),
        (PermissionError(13, "no"), "You may not use P. On Debian: `sudo adduser $USER dialout`"),
        (OSError(16, "busy"), "Another program uses P"),
        (BlockingIOError(11, "locked"), "Another program uses P"),
        (OSError(5, "what"), "P could not be opened."),
        (ValueError("no handler"), "P is no port."),
    ],
)
def test_a_port_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(ports.serial, "serial_for_url", refuse)
    with pytest.raises(SpeakeasyError) as caught, ports.opened("P"):
        pass
    assert str(caught.value).startswith(said)


def test_the_command_without_a_board(tree: Tree) -> None:
    for words in ((), ("--board", "B_S4"), ("--board", "../boards/B_S3")):
        done = tree.run("flash", "--source", str(tree.top), *words)
        assert done.status == USAGE and done.out == ""
        assert done.err.startswith("error: There is no such board." if words else "error: Which board?")
        assert "There are: B_C3, B_C6, B_ESP32, B_S3. For example: `make flash BOARD=B_C3`." in done.err


def test_variants_are_boards_as_well(tree: Tree) -> None:
    (tree.top / "boards/B_S3/mpconfigvariant_OCT.cmake").touch()
    assert image.boards(tree.top) == ["B_C3", "B_C6", "B_ESP32", "B_S3", "B_S3-OCT"]


def test_the_boards_of_this_tree_are_those_that_make_firmware_builds() -> None:
    found = {path.parent.name for path in image.TOP.glob("boards/*/mpconfigboard.cmake")}
    assert found == {name.partition("-")[0] for name in image.boards()}


def test_firmware_that_was_not_built(tree: Tree) -> None:
    done = tree.run("flash", "--source", str(tree.top), "--board", "B_S3", "--port", "/dev/null")
    assert done.status == FAILED
    assert done.err == "error: There is no firmware for B_S3 yet. Build it: `make firmware BOARD=B_S3`.\n"


def cut(facts: Path, binary: Path) -> None:
    binary.write_bytes(b"")


def another_file(facts: Path, binary: Path) -> None:
    binary.write_bytes(b"\x7fELF" + bytes(1000))


def too_long(facts: Path, binary: Path) -> None:
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"flash_size": len(binary.read_bytes()) - 1}))


def no_json(facts: Path, binary: Path) -> None:
    facts.write_text("{")


def lacks(name: str) -> Callable[[Path, Path], None]:
    def lack(facts: Path, binary: Path) -> None:
        known = json.loads(facts.read_text())
        del known[name]
        facts.write_text(json.dumps(known))

    lack.__name__ = f"lacks_{name}"
    return lack


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (cut, "firmware.bin is no firmware that B_S3 could start"),
        (another_file, "firmware.bin is no firmware that B_S3 could start"),
        (too_long, "firmware.bin is no firmware that B_S3 could start"),
        (no_json, "What was built for B_S3 cannot be read."),
        (lacks("chip"), "flash.json does not say where the firmware for B_S3 goes."),
        (lacks("flash_size"), "flash.json does not say where the firmware for B_S3 goes."),
        (lacks("offset"), "flash.json does not say where the firmware for B_S3 goes."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_image_that_is_none(tree: Tree, bend: Callable[[Path, Path], None], said: str) -> None:
    tree.build("B_S3")
    bend(tree.top / "build/B_S3/flash.json", tree.top / "build/B_S3/firmware.bin")
    with pytest.raises(SpeakeasyError) as caught:
        image.load("B_S3", tree.top)
    assert str(caught.value).startswith(said) and "`make firmware BOARD=B_S3`" in str(caught.value)


def test_an_image_is_as_long_as_the_flash_at_most(tree: Tree) -> None:
    data = tree.build("B_S3")
    assert image.load("B_S3", tree.top).data == data
    tree.build("B_S3", flash_size=len(data))
    assert image.load("B_S3", tree.top).flash_size == len(data)


@pytest.mark.parametrize(("size", "said"), [(4 * MB, "4 MB"), (MB // 2, "0.5 MB"), (16 * MB, "16 MB")])
def test_sizes_in_words(size: int, said: str) -> None:
    assert image.megabytes(size) == said


@pytest.mark.parametrize("command", ["label", "monitor", "shell", "deploy"])
def test_a_port_that_is_not_there(tree: Tree, command: str) -> None:
    done = tree.run(command, "--port", str(tree.top / "ttyUSB7"))
    assert done.status == NOT_REACHED and done.out == ""
    assert done.err.splitlines()[-1].startswith(f"error: There is no port {tree.top}/ttyUSB7.")
