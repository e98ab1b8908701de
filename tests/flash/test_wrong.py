"""What is wrong before anything was sent to a board: which board, which port, which image. Each says what to do."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MB, Tree
from esptool.util import FatalError
from fake_board import usb
from idf import trees
from serial.tools.list_ports_common import ListPortInfo
from speakeasy.board import chip, image, ports
from speakeasy.errors import FAILED, NOT_REACHED, USAGE, NotReached, SpeakeasyError, UsageError

USB0, ACM0 = usb("/dev/ttyUSB0", vid=0x10C4), usb("/dev/ttyACM0")
BUILT_IN, OTHER = ListPortInfo("/dev/ttyS0"), usb("/dev/ttyACM1", "1-9:1.0", vid=0x2341)


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


# ---- a board that comes back ----

BEFORE = usb("/dev/ttyACM0", "1-2:1.0", "24:58:7C:00:11:22")


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([BEFORE], "/dev/ttyACM0"),
        # In the same socket it is the same board, whatever it is now.
        ([usb("/dev/ttyACM1", "1-2:1.0")], "/dev/ttyACM1"),
        ([usb("/dev/ttyACM1", "1-2:1.2"), usb("/dev/ttyACM2", "1-3:1.0")], "/dev/ttyACM1"),
        ([usb("/dev/ttyACM1", "1-2"), usb("/dev/ttyACM2", "1-21:1.0")], "/dev/ttyACM1"),
        # An adapter with two ports keeps the one that was meant.
        ([usb("/dev/ttyACM1", "1-2:1.0"), usb("/dev/ttyACM0", "1-2:1.1")], "/dev/ttyACM0"),
        # Plugged in elsewhere: its USB serial number, as the bootloader writes it or as MicroPython does.
        ([usb("/dev/ttyACM0", "1-3:1.0"), usb("/dev/ttyACM1", "1-4:1.0", BEFORE.serial_number)], "/dev/ttyACM1"),
        ([usb("/dev/ttyACM1", "1-4:1.0", "24587c0011220000")], "/dev/ttyACM1"),
        ([usb("/dev/ttyACM1", None, "24587C001122")], "/dev/ttyACM1"),
        # Others are not taken for it.
        ([usb("/dev/ttyACM1", "1-4:1.0", "24587c001123")], "/dev/ttyACM0"),
        ([usb("/dev/ttyACM1", "1-4:1.0")], "/dev/ttyACM0"),
        ([usb("/dev/ttyACM1", None, "24587c")], "/dev/ttyACM0"),
        ([], "/dev/ttyACM0"),
    ],
)
def test_a_board_is_found_again(there: list[ListPortInfo], found: str) -> None:
    looks = [[OTHER, BEFORE], [OTHER, *there]]
    place = ports.Place("/dev/ttyACM0", lambda: looks.pop(0))
    assert (place.now(), place.name) == (found, found)


def test_a_number_that_two_have_is_none() -> None:
    both = [usb("/dev/ttyUSB1", "1-3", "0001"), usb("/dev/ttyUSB2", "1-4", "0001")]
    looks = [[usb("/dev/ttyUSB0", "1-2", "0001")], both, both[:1]]
    place = ports.Place("/dev/ttyUSB0", lambda: looks.pop(0))
    assert place.now() == "/dev/ttyUSB0" and place.now() == "/dev/ttyUSB1"


def test_a_board_that_goes_through_three_names_is_followed() -> None:
    looks = [[usb(f"/dev/ttyACM{n}", "1-2:1.0")] for n in (0, 1, 2)]
    place = ports.Place("/dev/ttyACM0", lambda: looks.pop(0))
    assert [place.now(), place.now()] == ["/dev/ttyACM1", "/dev/ttyACM2"]


def test_a_link_to_a_port_is_that_port(tmp_path: Path) -> None:
    (tmp_path / "usb-Espressif").symlink_to(tmp_path / "ttyACM0")
    looks = [[usb(str(tmp_path / name), "1-2:1.0")] for name in ("ttyACM0", "ttyACM1")]
    place = ports.Place(str(tmp_path / "usb-Espressif"), lambda: looks.pop(0))
    assert place.name == str(tmp_path / "ttyACM0") and place.now() == str(tmp_path / "ttyACM1")


def test_what_is_no_usb_port_is_where_it_was() -> None:
    for name, there in (("rfc2217://far:4000", []), ("/dev/ttyS0", [BUILT_IN])):
        assert ports.Place(name, lambda there=there: [*there, USB0]).now() == name  # type: ignore[misc]


@pytest.fixture
def two_ports() -> Iterator[tuple[str, str]]:
    """Real serial lines, as far as they can be had without hardware: pseudo-terminals."""
    ends = [os.openpty() for _ in range(2)]
    yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    for end in (one for pair in ends for one in pair):
        os.close(end)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("Remote does not accept"), FatalError("No serial data")])
def test_a_chip_that_becomes_another_device_on_its_way_into_the_bootloader(
    two_ports: tuple[str, str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """One with USB of its own: the first attempt sends it there, and loses it."""
    first, second = two_ports
    asked = []

    def connect(port: Any) -> str:
        asked.append(port.port)
        if port.port == first:
            raise error
        return "loader"

    monkeypatch.setattr(chip, "_connect", connect)
    looks = [[usb(first, "1-2:1.0")], [usb(first, "1-2:1.0")]]
    place = ports.Place(first, lambda: looks.pop(0) if looks else [usb(second, "1-2:1.0")])
    with chip.connected(place) as (esp, port):
        assert (esp, port.port, asked) == ("loader", second, [first, second])
    assert not port.is_open


@pytest.mark.parametrize(("error", "times"), [(FatalError("No serial data received."), 1), (OSError("gone"), 2)])
def test_who_does_not_answer_is_not_asked_for_ever(
    two_ports: tuple[str, str], monkeypatch: pytest.MonkeyPatch, error: Exception, times: int
) -> None:
    asked = []

    def connect(port: Any) -> None:
        asked.append(port.port)
        raise error

    monkeypatch.setattr(chip, "_connect", connect)
    place = ports.Place(two_ports[0])
    with pytest.raises(NotReached, match=f"No ESP32 answered on {two_ports[0]}"), chip.connected(place):
        pass
    assert asked == [two_ports[0]] * times


def test_a_machine_where_nobody_serves_a_port(tree: Tree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    done = tree.run("label", "--port", f"rfc2217://127.0.0.1:{number}")
    assert done.status == NOT_REACHED
    assert "could not be opened ([Errno 111] Connection refused). On the machine that has the board" in done.err
    assert "`esp_rfc2217_server -p 4000 /dev/ttyUSB0`" in done.err


def test_the_command_without_a_board(tree: Tree) -> None:
    for words in ((), ("--board", "B_S4"), ("--board", "../boards/B_S3")):
        done = tree.run("flash", "--source", str(tree.top), *words)
        assert done.status == USAGE and done.out == ""
        assert done.err.startswith("error: There is no such board." if words else "error: Which board?")
        assert "There are: B_C3, B_C6, B_ESP32, B_S3. For example: `make flash BOARD=B_C3`." in done.err


def test_the_example_is_the_recommended_board() -> None:
    with pytest.raises(UsageError, match=f"For example: `make flash BOARD={image.RECOMMENDED}`"):
        image.check_board(None, "flash")
    assert image.RECOMMENDED == trees.RECOMMENDED


def test_variants_are_boards_as_well_but_for_that_of_qemu(tree: Tree) -> None:
    for name in ("OCT", "QEMU"):
        (tree.top / f"boards/B_S3/mpconfigvariant_{name}.cmake").touch()
    assert image.boards(tree.top) == ["B_C3", "B_C6", "B_ESP32", "B_S3", "B_S3-OCT"]
    with pytest.raises(UsageError, match=r"B_S3-QEMU is for Espressif's QEMU, and cannot be flashed. There are: B_C3,"):
        image.check_board("B_S3-QEMU", "flash", tree.top)


@pytest.mark.parametrize(
    ("baud", "right"), [("115200", True), ("460800", True), ("115199", False), ("fast", False), ("", False)]
)
def test_a_rate(tree: Tree, baud: str, right: bool) -> None:
    tree.build("B_S3")
    done = tree.run(
        *("flash", "--source", str(tree.top), "--board", "B_S3", "--port", str(tree.top / "tty"), "--baud", baud)
    )
    assert done.status == (NOT_REACHED if right else USAGE)
    assert (f"error: BAUD={baud} is no rate: a number, 115200 or more." in done.err) != right


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
