"""The firmware's console: what `make flash` makes of a board that does not start, and `make monitor`, `make deploy`."""

import subprocess
from collections.abc import Callable

import pytest
from conftest import LIMIT_S, Tree
from fake_board import SIM, FakeBoard
from speakeasy.board import console, ports
from speakeasy.commands.board import FROM_MOUNT
from speakeasy.errors import FAILED, NOT_REACHED, NotReached, SpeakeasyError

Plug = Callable[..., FakeBoard]
CODE = "00000-00000-00000-00000-00000-00"


class Line:
    """A serial port with these bytes on it, one piece a read; then silence, or, with `gone`, no port any more."""

    timeout = 0.0
    in_waiting = 0

    def __init__(self, *pieces: bytes, gone: bool = False) -> None:
        self._pieces = list(pieces)
        self._gone = gone

    def read(self, _size: int) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._gone:
            raise ports.serial.SerialException("device disconnected")
        return b""


BOOT = b"rst:0x1 (POWERON),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (BOOT + b"[2] app: Speakeasy 0.1.0 starts\r\n",),
        tuple(bytes((byte,)) for byte in BOOT + b"\xff\x80noise\r\n[20741] app: Speakeasy 0.1.0 starts\r\n"),
        (b"Performing initial setup\r\n", b"[1] app: Speakeasy 0.1", b".0 starts\r\n"),
    ],
)
def test_the_first_line_is_waited_for(pieces: tuple[bytes, ...]) -> None:
    assert console.wait_for_boot("P", Line(*pieces), LIMIT_S) == "0.1.0"


@pytest.mark.parametrize(
    "line", [b"x app: Speakeasy 0.1.0 starts\r\n", b"[2] app: Speakeasy 0.1.0 starts soon\r\n", BOOT * 9]
)
def test_another_line_is_none(line: bytes) -> None:
    with pytest.raises(SpeakeasyError, match="does not start"):
        console.wait_for_boot("P", Line(line), 0.1)


def test_silence() -> None:
    with pytest.raises(NotReached, match=r"says nothing on P within 0 s\. Press the board's RESET") as caught:
        console.wait_for_boot("P", Line(b"\r\n"), 0.1)
    assert "`make label`" in str(caught.value)


def test_what_a_board_said_is_told_but_never_its_label() -> None:
    said = f"bridge id: 0011\r\nsetup code: {CODE}\r\n\x1b[2JTraceback\r\nMemoryError: \r\n".encode()
    with pytest.raises(SpeakeasyError) as caught:
        console.wait_for_boot("P", Line(said), 0.1)
    assert CODE not in str(caught.value) and "\x1b" not in str(caught.value)
    assert "Traceback / MemoryError:" in str(caught.value) and "`make monitor`" in str(caught.value)


def test_a_port_that_goes_and_comes_back(plugged: Plug) -> None:
    board = plugged("B_S3")
    assert console.wait_for_boot(board.port, Line(BOOT, gone=True), LIMIT_S) == ""


def test_a_port_that_goes_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PAUSE_S", 0.0)
    with pytest.raises(NotReached, match="/dev/no-such did not come back"):
        console.wait_for_boot("/dev/no-such", Line(gone=True), 0.1)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "\n",
        "Traceback\nImportError: no module named 'speakeasy'\n",
        "[]\n",
        "{}\n",
        f'{{"bridge": "00", "code": "{CODE}", "phones": 0, "owners": 0}}\n',
        f'{{"bridge": "zz", "code": "{CODE}", "phones": 0, "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE[:-1]}1", "phones": 0, "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": "x", "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": 0}}\n',
    ],
)
def test_answers_that_are_none(said: str) -> None:
    assert console._answer(said) is None


def test_an_answer_after_a_first_start() -> None:
    told = console._answer(
        f'setup code: x\r\n{{"bridge": "0011223344556677", "code": "{CODE}", "phones": null, "owners": null}}\r\n'
    )
    assert told is not None
    assert (told.label.bridge.hex(), told.label.code, told.phones, told.owners) == (
        "0011223344556677",
        CODE,
        None,
        None,
    )


def test_who_runs_something_else_has_no_label(plugged: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    board = plugged("B_S3")
    board.app_says = b"another program\r\n"
    board.power_on()
    monkeypatch.setattr(console, "_ASK", "import no_such_module")
    with pytest.raises(NotReached, match=r"does not tell its label\. Is Speakeasy on it\?"):
        console.read_label(board.port, 0.0)


def test_the_monitor_shows_what_is_said_and_changes_nothing(plugged: Plug) -> None:
    board = plugged("B_S3")
    board.app_says = b"[1] app: one\r\n[2] app: \x1b[31mtwo\r\n"
    with console.lines(board.port) as said:
        board.power_on()
        shown = [next(said) for _ in range(4)]
    assert shown[1].startswith("rst:0x1") and shown[2] == "[1] app: one"
    assert shown[3].endswith("[31mtwo") and "\x1b" not in shown[3]
    assert board.starts == 1, "to look changes nothing"


def test_what_is_mounted_runs_in_place_of_what_is_frozen(tree: Tree) -> None:
    """`make deploy`, once mpremote has mounted the directory: here it is one of the interpreter's own."""
    package = tree.top / "firmware/speakeasy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WHERE = 'the mounted one'\n")
    (tree.top / "firmware/main.py").write_text("import os, speakeasy\nprint(speakeasy.WHERE, 'runs in', os.getcwd())\n")
    code = FROM_MOUNT.replace("/remote", str(tree.top / "firmware"))
    done = subprocess.run([SIM, "-c", code], capture_output=True, text=True, check=True, cwd=tree.top)
    assert done.stdout == "the mounted one runs in /\n"


def test_a_board_that_says_nothing_answers_no_bootloader_either(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    (tree.top / "esptool.cfg").write_text("[esptool]\ntimeout = 1\nsync_timeout = 0.1\nconnect_attempts = 1\n")
    board = plugged("B_S3")
    board.in_bootloader = False  # BOOT is not wired
    done = tree.flash("B_S3", board.port)
    assert done.status == NOT_REACHED != FAILED
    assert "No ESP32 answered on rfc2217://" in done.err and "Hold the board's BOOT button" in done.err
    assert board.writes == 0
