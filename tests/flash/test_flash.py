"""`make flash`, from the port to the label: esptool's protocol to a fake chip, then the firmware's console."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable

import pytest
import serial
from conftest import BOARDS, Tree
from fake_board import DEFL_DATA, MD5, SECURITY, FakeBoard, paired
from qr_reader import seen
from speakeasy import codes, links
from speakeasy.errors import CTRL_C, FAILED, NOT_REACHED, USAGE
from speakeasy.session import MODE_SETUP_CODE

Plug = Callable[..., FakeBoard]


def identity(board: FakeBoard) -> dict[str, str]:
    return json.loads((board.files / "identity.json").read_text())["data"]


@pytest.mark.parametrize("name", BOARDS)
def test_from_the_port_to_the_label(tree: Tree, plugged: Plug, name: str) -> None:
    image, board = tree.build(name), plugged(name)
    done = tree.flash(name, board.port)
    assert done.status == 0, done.all
    at = board.chip.BOOTLOADER_FLASH_OFFSET
    assert board.flash[at : at + len(image)] == image
    assert set(board.flash[:at]) | set(board.flash[at + len(image) + 3 :]) <= {0xFF}, "nothing else is written"
    assert (board.erased, board.fast) == (0, 460800)

    bridge, setup_code = identity(board)["bridge"], bytes.fromhex(identity(board)["setup"])
    drawing, page = tree.labels / f"label-{bridge}.svg", tree.labels / f"label-{bridge}.html"
    for path in (drawing, page):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (text,) = seen(drawing.read_text())
    credential = links.credential(text)
    assert (credential.mode, credential.secret) == (MODE_SETUP_CODE, setup_code)
    assert codes.write(setup_code) in page.read_text()

    assert f"bridge {bridge}" in done.out and str(drawing) in done.out and str(page) in done.out
    assert done.out.rstrip().splitlines()[-1].startswith("Now pair: ")
    assert board.chip.CHIP_NAME in done.err and "Speakeasy 0.1.0 runs on it" in done.err
    # No terminal, so a log, perhaps: it holds no secret.
    assert codes.write(setup_code) not in done.all and setup_code.hex() not in done.all
    assert board.starts == 2, "the firmware runs again after it was asked"


def test_flashed_again_it_is_the_same_bridge_with_its_phones(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    assert tree.flash("B_S3", board.port).status == 0
    paired(board, "owner", "guest")
    before = {path.name: path.read_bytes() for path in board.files.iterdir()}

    newer = tree.build("B_S3", "two")
    done = tree.flash("B_S3", board.port)
    assert done.status == 0, done.all
    assert board.flash[: len(newer)] == newer
    assert {path.name: path.read_bytes() for path in board.files.iterdir()} == before
    assert "It knows 2 phones already, and has an owner: nothing of that was changed" in done.out
    assert "invite" in done.out.splitlines()[-1] and "Now pair" not in done.out
    assert [path.suffix for path in sorted(tree.labels.iterdir())] == [".html", ".svg"], "one label: the same bridge"


def test_erased_it_is_a_new_bridge(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    assert tree.flash("B_S3", board.port).status == 0
    paired(board, "owner")
    first = identity(board)

    asked = tree.flash("B_S3", board.port, "--erase")
    assert asked.status == FAILED and "Say so with --yes (with make: ARGS=--yes)." in asked.err
    assert (board.erased, identity(board)) == (0, first)

    done = tree.flash("B_S3", board.port, "--erase", "--yes", "--json")
    assert done.status == 0, done.all
    second = identity(board)
    assert board.erased == 1 and first["bridge"] != second["bridge"] and first["setup"] != second["setup"]
    assert json.loads(done.out) == {
        "board": "B_S3",
        "port": board.port,
        "bridge": second["bridge"],
        "label": str(tree.labels / f"label-{second['bridge']}.svg"),
        "page": str(tree.labels / f"label-{second['bridge']}.html"),
        "phones": 0,
        "owners": 0,
    }


def test_a_chip_that_is_a_usb_device_itself_is_found_and_followed(tree: Tree, plugged: Plug) -> None:
    """Nobody names the port; after its start the board is on another one."""
    tree.build("B_S3")
    board = plugged("B_S3")
    ports = tree.top / "usb.json"
    board.on_usb(ports)
    before = board.port
    done = tree.flash("B_S3", None, "--json", usb=ports)
    assert done.status == 0, done.all
    assert f"Looking at the board on {before}." in done.err and "It is back, on rfc2217://" in done.err
    told = json.loads(done.out)
    assert told["bridge"] == identity(board)["bridge"] and told["port"] != before
    (text,) = seen((tree.labels / f"label-{told['bridge']}.svg").read_text())
    assert links.credential(text).secret == bytes.fromhex(identity(board)["setup"])


def test_a_cable_that_is_pulled_in_the_middle_costs_nothing(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    assert tree.flash("B_S3", board.port).status == 0
    paired(board, "owner")
    before = {path.name: path.read_bytes() for path in board.files.iterdir()}
    newer = tree.build("B_S3", "two")

    board.pull_after, board.stays_out = 2, True
    done = tree.flash("B_S3", board.port)
    assert done.status == NOT_REACHED and "error: Writing failed (" in done.err
    assert "is not whole now: flash it again. Its identity, phones and settings are elsewhere in its flash" in done.err
    assert "another cable, another USB port, or BAUD=115200" in done.err
    at = board.chip.BOOTLOADER_FLASH_OFFSET
    assert board.flash[at : at + len(newer)] != newer

    board.plug_in()
    done = tree.flash("B_S3", board.port)
    assert done.status == 0, done.all
    assert board.flash[at : at + len(newer)] == newer
    assert {path.name: path.read_bytes() for path in board.files.iterdir()} == before
    assert "It knows 1 phone already, and has an owner" in done.out


def interrupted(tree: Tree, board: FakeBoard, *words: str) -> tuple[int, str]:
    """Ctrl-C while the first block of data is on its way; the command's exit status, and what it said."""
    argv, environment = tree.command(
        "flash", "--board", "B_S3", "--port", board.port, "--source", str(tree.top), *words
    )
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as command:
        assert command.stderr
        board.on_block = lambda: command.send_signal(signal.SIGINT)
        said = command.stderr.read()
    board.on_block = lambda: None
    return command.returncode, said


def test_ctrl_c_in_the_middle_says_what_is_on_the_board(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    status, said = interrupted(tree, board)
    assert status == CTRL_C and "Traceback" not in said
    assert "error: Stopped. The firmware on the board is not whole now: flash it again." in said
    status, said = interrupted(tree, board, "--erase", "--yes")
    assert status == CTRL_C and "error: Stopped. The board is neither erased nor whole now" in said
    assert tree.flash("B_S3", board.port).status == 0


def test_a_loose_contact_is_got_over(tree: Tree, plugged: Plug) -> None:
    """esptool begins again by itself."""
    image = tree.build("B_S3")
    board = plugged("B_S3")
    board.pull_after = 1
    done = tree.flash("B_S3", board.port)
    assert done.status == 0, done.all
    at = board.chip.BOOTLOADER_FLASH_OFFSET
    assert board.flash[at : at + len(image)] == image and board.pull_after is None
    assert "Now pair: " in done.out


def test_a_cable_that_is_pulled_after_it_was_erased(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    board.pull_after, board.stays_out = 1, True
    done = tree.flash("B_S3", board.port, "--erase", "--yes")
    assert done.status == NOT_REACHED and "run the same again, with ERASE=1" in done.err
    board.plug_in()
    assert tree.flash("B_S3", board.port, "--erase", "--yes").status == 0


def test_a_label_that_could_not_be_written_is_there_for_the_next_one(tree: Tree, plugged: Plug) -> None:
    tree.build("B_C3")
    board = plugged("B_C3")
    tree.labels.write_text("in the way")
    done = tree.flash("B_C3", board.port)
    assert done.status == FAILED and "The bridge keeps its setup code: run `make label OUT=DIRECTORY`" in done.err
    labels = tree.top / "elsewhere"
    for _ in range(2):  # whenever somebody has the board in the hand
        done = tree.run("label", "--port", board.port, "--out", str(labels))
        assert done.status == 0, done.all
        assert f"Asking the board on {board.port} for its label." in done.err
        (text,) = seen((labels / f"label-{identity(board)['bridge']}.svg").read_text())
        assert links.credential(text).secret == bytes.fromhex(identity(board)["setup"])


def test_the_label_again_without_flashing(tree: Tree, plugged: Plug) -> None:
    tree.build("B_C3")
    board = plugged("B_C3")
    assert tree.flash("B_C3", board.port).status == 0
    (drawing,) = tree.labels.glob("*.svg")
    content, writes, starts = drawing.read_bytes(), board.writes, board.starts
    drawing.unlink()
    done = tree.run("label", "--port", board.port, "--out", str(tree.labels))
    assert done.status == 0, done.all
    assert drawing.read_bytes() == content and board.writes == writes
    assert board.starts == starts + 1, "it was stopped to be asked, and runs again"
    # The same for a phone's camera.
    done = tree.run("label", "--port", board.port, "--out", str(tree.labels), "--page", "https://page.example")
    assert done.status == 0 and "opens the phone page at https://page.example/." in done.out, done.all
    (text,) = seen(drawing.read_text())
    assert text.startswith("https://page.example/#code=")
    assert links.credential(text).secret == bytes.fromhex(identity(board)["setup"])
    told = (board.starts, drawing.read_bytes())
    done = tree.run("label", "--port", board.port, "--out", str(tree.labels), "--page", "http://page.example/")
    assert (done.status, board.starts, drawing.read_bytes()) == (USAGE, *told), "refused before it is asked"


# ---- what may be wrong ----


def nothing_was_done(board: FakeBoard, tree: Tree) -> None:
    assert board.writes == 0 and set(board.flash) == {0xFF}
    assert not tree.labels.exists()


def test_the_wrong_chip(tree: Tree, plugged: Plug) -> None:
    tree.build("B_S3")
    board = plugged("B_C3")
    done = tree.flash("B_S3", board.port)
    assert done.status == FAILED
    assert "The chip on this board is an ESP32-C3, and the firmware for B_S3 is for the ESP32-S3." in done.err
    assert "Nothing was written. Choose the BOARD that you have, or the PORT that it is on." in done.err
    nothing_was_done(board, tree)
    assert board.starts == 1, "it goes on with what it had"


@pytest.mark.parametrize(("megabytes", "enough"), [(4, False), (8, True), (16, True)])
def test_the_flash_is_too_small(tree: Tree, plugged: Plug, megabytes: int, enough: bool) -> None:
    tree.build("B_S3")
    board = plugged("B_S3", megabytes)
    done = tree.flash("B_S3", board.port)
    if enough:
        assert done.status == 0, done.all
        return
    assert done.status == FAILED
    assert "This board has 4 MB of flash, and B_S3 needs 8 MB. Nothing was written." in done.err
    nothing_was_done(board, tree)
    assert board.starts == 1, "it goes on with what it had"


@pytest.mark.parametrize("flash_id", [0x000000, 0xFFFFFF, 0x9940EF])
def test_a_flash_that_nobody_knows(tree: Tree, plugged: Plug, flash_id: int) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    board.flash_id = flash_id
    done = tree.flash("B_S3", board.port)
    assert done.status == FAILED
    assert "The size of this board's flash is not known" in done.err and "Nothing was written." in done.err
    nothing_was_done(board, tree)


def test_a_chip_that_is_locked(tree: Tree, plugged: Plug) -> None:
    tree.build("B_C6")
    board = plugged("B_C6")
    board.locked = True
    done = tree.flash("B_C6", board.port)
    assert done.status == FAILED and "secure download mode" in done.err and "Take another board." in done.err
    nothing_was_done(board, tree)


def test_a_flash_that_does_not_keep_what_is_written(tree: Tree, plugged: Plug) -> None:
    tree.build("B_C3")
    board = plugged("B_C3")
    board.bad_cell = 0x4321
    done = tree.flash("B_C3", board.port)
    assert done.status == NOT_REACHED
    assert "Writing failed (MD5 of file does not match data in flash)" in done.err
    assert "not whole now: flash it again" in done.err and "BAUD=115200" in done.err
    assert not tree.labels.exists()


def test_a_board_whose_file_system_is_of_something_else(tree: Tree, plugged: Plug) -> None:
    tree.build("B_C3")
    board = plugged("B_C3")
    board.app_says = b"\r\nThe filesystem appears to be corrupted. If you had important data there, you\r\n"
    done = tree.flash("B_C3", board.port)
    assert done.status == FAILED and "Flash it again with ERASE=1" in done.err


def test_two_who_want_one_port(tree: Tree, plugged: Plug) -> None:
    """A real serial line, as far as one can be had without hardware: a pseudo-terminal."""
    tree.build("B_C3")
    ours, theirs = os.openpty()
    with serial.Serial(os.ttyname(theirs), exclusive=True):
        done = tree.flash("B_C3", os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)
    assert done.status == NOT_REACHED and "Another program uses /dev/pts/" in done.err


def test_a_port_that_cannot_reset_a_board_says_what_to_do_and_nothing_of_esptools(tree: Tree) -> None:
    (tree.top / "esptool.cfg").write_text("[esptool]\ntimeout = 1\nsync_timeout = 0.1\nconnect_attempts = 1\n")
    tree.build("B_C3")
    ours, theirs = os.openpty()
    done = tree.flash("B_C3", os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)
    assert done.status == NOT_REACHED
    looking, error = done.err.splitlines()
    assert looking.startswith("Looking at the board on ") and error.startswith("error: No ESP32 answered on /dev/pts/")


@pytest.mark.parametrize("answer", [bytes(6), b"\x01" + bytes(6), bytes(5000)], ids=["no data", "a byte", "long"])
@pytest.mark.parametrize("command", [SECURITY, DEFL_DATA, MD5], ids=["chip", "data", "sum"])
def test_a_bootloader_that_answers_nonsense(tree: Tree, plugged: Plug, command: int, answer: bytes) -> None:
    tree.build("B_S3")
    board = plugged("B_S3")
    board.nonsense[command] = answer
    done = tree.flash("B_S3", board.port)
    assert done.status in (FAILED, NOT_REACHED) and "Traceback" not in done.all, done.all
    assert done.err.splitlines()[-1].startswith("error: ") and not list(tree.labels.glob("*"))
