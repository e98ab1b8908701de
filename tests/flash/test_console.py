"""The firmware's console: what `make flash` makes of a board that does not start, and `make monitor`, `make deploy`."""

import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest
import typer
from conftest import LIMIT_S, Tree
from fake_board import SIM, FakeBoard, usb
from mpremote import transport_serial
from speakeasy.board import console, image, ports
from speakeasy.commands import board as board_commands
from speakeasy.commands.board import FROM_MOUNT
from speakeasy.errors import CTRL_C, FAILED, NOT_REACHED, NotReached, SpeakeasyError, Stopped

Plug = Callable[..., FakeBoard]
CODE = "00000-00000-00000-00000-00000-00"


class Line:
    """A serial port with these bytes on it, one piece a read; then silence, or, with `gone`, no port any more."""

    timeout = 0.0
    in_waiting = 0
    closed = False

    def __init__(self, *pieces: bytes, gone: bool = False) -> None:
        self._pieces = list(pieces)
        self._gone = gone

    def read(self, _size: int) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._gone:
            raise ports.serial.SerialException("device disconnected")
        return b""

    def close(self) -> None:
        self.closed = True


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
    assert console.wait_for_boot(ports.Place("P"), Line(*pieces), LIMIT_S) == "0.1.0"


@pytest.mark.parametrize(
    "line", [b"x app: Speakeasy 0.1.0 starts\r\n", b"[2] app: Speakeasy 0.1.0 starts soon\r\n", BOOT * 9]
)
def test_another_line_is_none(line: bytes) -> None:
    with pytest.raises(SpeakeasyError, match="does not start"):
        console.wait_for_boot(ports.Place("P"), Line(line), 0.1)


def test_silence() -> None:
    with pytest.raises(NotReached, match=r"says nothing on P within 0 s\. Press the board's RESET") as caught:
        console.wait_for_boot(ports.Place("P"), Line(b"\r\n"), 0.1)
    assert "`make label`" in str(caught.value)


PIECES = (f"bridge id: 0011\r\nsetup code: {CODE}\r\n", f"\x80\x80code: {CODE}\r\n", f"{CODE[8:]}\r\n", f"{CODE[:9]}")


@pytest.mark.parametrize("piece", [*PIECES, f'{{"bridge": "00", "code": "{CODE}"}}\r\n'])
def test_what_a_board_said_is_told_but_never_its_label(piece: str) -> None:
    said = f"{piece}\r\n\x1b[2JTraceback\r\nMemoryError: \r\n".encode()
    with pytest.raises(SpeakeasyError) as caught:
        console.wait_for_boot(ports.Place("P"), Line(said), 0.1)
    assert not re.search("00000", str(caught.value)) and "\x1b" not in str(caught.value)
    assert "Traceback / MemoryError:" in str(caught.value) and "`make monitor`" in str(caught.value)


def test_a_port_that_goes_and_comes_back(plugged: Plug) -> None:
    board = plugged("B_S3")
    line = Line(BOOT, gone=True)
    assert console.wait_for_boot(ports.Place(board.port), line, LIMIT_S) == ""
    assert line.closed, "or the system gives it another name"


def test_a_port_that_comes_back_under_another_name(plugged: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PAUSE_S", 0.0)
    board = plugged("B_S3")
    looks = [[usb("/dev/ttyACM7", "1-2:1.0")], [], [usb("/dev/ttyACM6", "1-1:1.0")], []]
    later = [usb("/dev/ttyACM6", "1-1:1.0"), usb(board.port, "1-2:1.0")]
    place = ports.Place("/dev/ttyACM7", lambda: looks.pop(0) if looks else later)
    assert console.wait_for_boot(place, Line(gone=True), LIMIT_S) == ""
    assert place.name == board.port


def test_a_port_on_another_machine_that_goes_while_it_is_set_up(plugged: Plug) -> None:
    class Far(Line):
        @property
        def timeout(self) -> float:
            return 0.0

        @timeout.setter
        def timeout(self, _value: float) -> None:
            raise ValueError("Remote does not accept parameters")

    assert console.wait_for_boot(ports.Place(plugged("B_S3").port), Far(), LIMIT_S) == ""


def test_a_port_that_goes_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PAUSE_S", 0.0)
    with pytest.raises(NotReached, match="/dev/no-such did not come back"):
        console.wait_for_boot(ports.Place("/dev/no-such"), Line(gone=True), 0.1)


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
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": 1e999, "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": -1, "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": true, "owners": 0}}\n',
        f'{{"bridge": "0011223344556677", "code": "{CODE}", "phones": {"9" * 5000}, "owners": 0}}\n',
        '{"bridge": "0011223344556677", "code": ["00000"], "phones": 0, "owners": 0}\n',
        "[" * 100_000 + "\n",
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
        console.read_label(ports.Place(board.port), 0.0)


@pytest.mark.parametrize("command", ["shell", "deploy"])
def test_where_nobody_answers_nothing_is_said_to_be_stopped(tree: Tree, command: str) -> None:
    ours, theirs = os.openpty()
    done = tree.run(command, "--port", os.ttyname(theirs))
    for end in (ours, theirs):
        os.close(end)
    assert done.status == NOT_REACHED and "Traceback" not in done.all
    stopping, error = done.err.splitlines()
    assert stopping.startswith("Stopping the bridge on /dev/pts/")
    assert error.startswith("error: Nothing on /dev/pts/") and "`make monitor`" in error


def test_ctrl_c_at_the_prompt_is_no_traceback(plugged: Plug, tree: Tree) -> None:
    board = plugged("B_S3")
    board.app_says = b"another program\r\n"
    board.power_on()
    argv = [*console.PROMPT, "connect", board.port, "resume", "exec", "pass"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as prompt:
        board.on_code = lambda: prompt.send_signal(signal.SIGINT)
        assert prompt.stdout
        assert "Traceback" not in prompt.stdout.read()
    assert prompt.returncode == CTRL_C


def test_who_does_not_wait_for_the_label_leaves_a_bridge_that_runs(
    plugged: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = plugged("B_S3")
    board.app_says = b"another program\r\n"
    board.power_on()

    def ctrl_c(_said: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "_answer", ctrl_c)
    with pytest.raises(Stopped, match=r"The bridge starts again; `make label`"):
        console.read_label(ports.Place(board.port), LIMIT_S)
    assert board.starts == 2


def test_who_does_not_wait_for_a_silent_board_is_not_kept(tree: Tree) -> None:
    ours, theirs = os.openpty()
    argv, environment = tree.command("label", "--port", os.ttyname(theirs))
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as label:
        assert select.select([ours], [], [], LIMIT_S)[0], "the board is asked"
        os.killpg(label.pid, signal.SIGINT)
        try:
            said = label.communicate(timeout=console.LABEL_LIMIT_S / 2)[1]
        finally:
            label.kill()
    for end in (ours, theirs):
        os.close(end)
    assert label.returncode == CTRL_C and "error: Stopped." in said


def test_the_monitor_shows_what_is_said_and_changes_nothing(plugged: Plug) -> None:
    board = plugged("B_S3")
    board.app_says = b"[1] app: one\r\n[2] app: \x1b[31mtwo\r\n"
    with console.lines(board.port) as said:
        board.power_on()
        shown = [next(said) for _ in range(4)]
    assert shown[1].startswith("rst:0x1") and shown[2] == "[1] app: one"
    assert shown[3].endswith("[31mtwo") and "\x1b" not in shown[3]
    assert board.starts == 1, "to look changes nothing"


def test_a_monitor_that_writes_to_a_file_leaves_out_the_setup_code(tree: Tree, plugged: Plug) -> None:
    board = plugged("B_S3")
    board.app_says = f"[1] app: one\r\nsetup code: {CODE}\r\n[2] app: two\r\n".encode()
    argv, environment = tree.command("monitor", "--port", board.port)
    ended = threading.Event()

    def start_again() -> None:
        while not ended.wait(1.0):
            board.power_on()  # nobody knows when the other end has begun to listen

    starter = threading.Thread(target=start_again)
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as monitor:
        starter.start()
        assert monitor.stdout
        said: list[str] = []
        try:
            while said[-3:] != ["[1] app: one\n", f"{console.HIDDEN}\n", "[2] app: two\n"]:
                said.append(monitor.stdout.readline())
                assert said[-1], "it ended"
        finally:
            ended.set()
            starter.join()
            monitor.kill()
    assert CODE not in "".join(said)


class Pipes:
    """A program's standard input and output, as mpremote wants a serial port."""

    timeout = 0.0

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program

    def read(self, size: int) -> bytes:
        assert self._program.stdout
        data = self._program.stdout.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def write(self, data: bytes) -> None:
        assert self._program.stdin
        self._program.stdin.write(data)
        self._program.stdin.flush()


def test_what_is_mounted_runs_in_place_of_what_is_frozen(tree: Tree) -> None:
    """`make deploy`: mpremote's own two ends of the mount, and MicroPython's import between them."""
    package = tree.top / "firmware/speakeasy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WHERE = 'the mounted one'\n")
    (package / "deeper.py").write_text("LONG = " + repr("x" * 3000) + "\n")
    (tree.top / "firmware/main.py").write_text(
        "import os, speakeasy\nfrom speakeasy import deeper\n"
        "print(speakeasy.WHERE, 'runs in', os.getcwd(), len(deeper.LONG))\n"
    )
    # Its patience is for a PC that has nothing else to do.
    assert "ipoll(1000)" in transport_serial.fs_hook_code
    far_end = transport_serial.fs_hook_code.replace("ipoll(1000)", "ipoll(100000)").replace(
        "poll(1000)", "poll(100000)"
    )
    code = f"{far_end}\n__mount()\n{FROM_MOUNT}\n"
    with subprocess.Popen(
        [SIM, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tree.top
    ) as board:
        cable = Pipes(board)
        near_end = transport_serial.PyboardCommand(cable, cable, str(tree.top / "firmware"))
        console_ = transport_serial.SerialIntercept(cable, near_end)
        said = b""
        try:
            while not said.endswith(b"\n"):
                said += console_.read(1)
        except EOFError:
            assert board.stderr
            raise AssertionError(said.decode() + board.stderr.read().decode()) from None
        assert said == b"the mounted one runs in / 3000\n"
        assert board.wait(LIMIT_S) == 0


def test_the_watchdog_waits_while_the_cable_brings_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed into a bridge by `make deploy`; with the watchdog of one that ran before it would start again."""
    typed: list[str] = []

    def execute(_program: str, argv: list[str]) -> None:
        typed.extend(argv)
        raise OSError(8, "not run here")

    monkeypatch.setattr(board_commands.os, "execv", execute)
    monkeypatch.setattr(console, "stop", lambda _name: None)
    ours, theirs = os.openpty()
    with pytest.raises(typer.Exit):
        board_commands.deploy(port=os.ttyname(theirs), source=None)
    for end in (ours, theirs):
        os.close(end)
    assert typed[-4:-1] == ["mount", str(image.TOP / "firmware"), "exec"]
    assert typed[-1] == f"import machine; machine.WDT(timeout=86_400_000); {FROM_MOUNT}"


def test_a_board_that_says_nothing_answers_no_bootloader_either(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    (tree.top / "esptool.cfg").write_text("[esptool]\ntimeout = 1\nsync_timeout = 0.1\nconnect_attempts = 1\n")
    board = plugged("B_S3")
    board.in_bootloader = False  # BOOT is not wired
    done = tree.flash("B_S3", board.port)
    assert done.status == NOT_REACHED != FAILED
    assert "No ESP32 answered on rfc2217://" in done.err and "Hold the board's BOOT button" in done.err
    assert board.writes == 0
