"""A board on a cable: `make flash`, `make label`, `make monitor`, `make shell` and `make deploy` are these commands."""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from speakeasy import asking, links
from speakeasy.errors import SpeakeasyError, UsageError
from speakeasy.terminal import JsonOption, command, err, failures, out, show_json, show_qr, shown

if TYPE_CHECKING:
    from speakeasy.board.ports import Place

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A board on a cable: put the firmware on it, print its label.\n\n`make flash` and its like call these.",
)

BoardOption = Annotated[str | None, typer.Option("--board", metavar="BOARD", help="Which board it is.")]
PortOption = Annotated[
    str | None, typer.Option("--port", metavar="PORT", help="Where it is; default: the only one on USB.")
]
SourceOption = Annotated[
    Path | None, typer.Option("--source", metavar="DIR", help="Speakeasy's source tree; default: that of this command.")
]
PageOption = Annotated[
    str | None,
    typer.Option(
        "--page",
        metavar="URL",
        envvar=links.PAGE_VARIABLE,
        help="The phone page that the label's QR code opens; default: none, it is for `speakeasy pair`.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the label is written.")]

# The mounted tree's modules before the frozen ones; the bridge's files stay on its own flash.
FROM_MOUNT = "import os, sys; sys.path.insert(0, '/remote'); os.chdir('/'); import main"


@contextmanager
def board_failures() -> Iterator[None]:
    """As `failures`; also where the packages that talk to a board are not installed."""
    with failures():
        try:
            yield
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] in ("esptool", "esp_pylib", "serial", "mpremote"):
                raise SpeakeasyError(
                    f"The package {error.name} is missing. `make flash` installs what it needs."
                ) from None
            raise


def _show_label(place: "Place", out_dir: Path, phone_page: str, *, as_json: bool, board: str | None = None) -> None:
    from speakeasy.board import console

    told = console.read_label(place)
    label = replace(told.label, phone_page=phone_page)
    drawing, page = label.write(out_dir)
    bridge = label.bridge.hex()
    if as_json:
        show_json(
            {
                "board": board,
                "port": place.name,
                "bridge": bridge,
                "label": str(drawing),
                "page": str(page),
                "phones": told.phones,
                "owners": told.owners,
            }
        )
        return
    out.print(f"This is bridge {bridge}. Its label: {shown(drawing)}; a page to be printed: {shown(page)}.")
    out.print("Both hold its setup code: keep them as you keep a key.")
    if phone_page:
        out.print(f"Its QR code opens the phone page at {shown(phone_page)}.")
    if out.is_terminal:
        show_qr(label.link)
        out.print(f"setup code: {label.code}", markup=False)
    if told.owners:
        out.print(
            f"It knows {told.phones} phone{'s' * (told.phones != 1)} already, and has an owner: nothing of that was "
            "changed. With the button pressed its label lets guests pair; owners invite phones."
        )
        out.print(f"To pair another phone: {command('invite')} on an owner's, then {command('pair')} on the new one.")
    else:
        out.print(f"Now pair: {command('pair')}, near it. The first phone to pair owns the bridge.")


def _rate(baud: str, least: int) -> int:
    """Bits a second. Raises UsageError."""
    if not re.fullmatch("[0-9]{1,7}", baud) or int(baud) < least:
        raise UsageError(f"BAUD={baud} is no rate: a number, {least} or more. BAUD={least} is the slowest and safest.")
    return int(baud)


@app.command()
def flash(
    board: BoardOption = None,
    port: PortOption = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase all that is on it: a new bridge with a new label.")
    ] = False,
    baud: Annotated[str, typer.Option("--baud", help="How fast it is written to, in bits a second.")] = "460800",
    out_dir: OutOption = Path(),
    page: PageOption = None,
    source: SourceOption = None,
    yes: asking.YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the firmware on a board, and print its label. Its identity, phones and settings stay, unless --erase."""
    with board_failures():
        from speakeasy.board import chip, console, image, ports

        top = source or image.TOP
        phone_page = links.check_page(page) if page else ""
        what = image.load(image.check_board(board, "flash", top), top)
        rate = _rate(baud, ports.BAUD)
        place = ports.Place(ports.choose(port))
        if erase:
            asking.confirm(
                f"Erase all that is on the board at {place.name}? Its identity, phones and networks are gone then, "
                "and its old label is worth nothing.",
                yes=yes,
                say="--yes (with make: ARGS=--yes)",
            )
        err.print(f"Looking at the board on {shown(place.name)}.")
        with chip.connected(place) as (found, serial_port):
            esp = chip.check(found, what)
            err.print(f"It is an {shown(esp.CHIP_NAME)}. Writing the firmware for {what.board}.")
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            with Progress(*columns, console=err, transient=True) as bar:
                task = bar.add_task("writing", total=1)
                chip.write(
                    esp,
                    what,
                    lambda done, of: bar.update(task, completed=done, total=of),
                    erase=erase,
                    baud=rate,
                )
            err.print("Written, and read back: it is the same. Waiting for its first start.")
            chip.restart(esp)
            version = console.wait_for_boot(place, serial_port)
        err.print(f"Speakeasy {shown(version)} runs on it." if version else f"It is back, on {shown(place.name)}.")
        _show_label(place, out_dir, phone_page, as_json=as_json, board=what.board)


@app.command()
def label(
    port: PortOption = None, out_dir: OutOption = Path(), page: PageOption = None, as_json: JsonOption = False
) -> None:
    """Print the label of a bridge on a cable again. It starts anew: music pauses, phones stay paired."""
    with board_failures():
        from speakeasy.board import ports

        phone_page = links.check_page(page) if page else ""
        place = ports.Place(ports.choose(port))
        with ports.opened(place.name):  # says what is wrong with it
            pass
        err.print(f"Asking the board on {shown(place.name)} for its label. That takes a minute at most.")
        _show_label(place, out_dir, phone_page, as_json=as_json)


@app.command()
def monitor(port: PortOption = None) -> None:
    """Show what the bridge says on its serial console, until Ctrl-C. A first start says the setup code, too, on a
    screen; not where the output goes elsewhere, into a file for example."""
    with board_failures():
        from speakeasy.board import console, ports

        where = ports.choose(port)
        err.print(f"What the board on {shown(where)} says; Ctrl-C ends this, and changes nothing.")
        with console.lines(where) as said:
            for line in said:
                hidden = not out.is_terminal and console.may_be_secret(line)
                out.print(console.HIDDEN if hidden else line, markup=False)


def _become(port: str | None, words: list[str], say: str) -> NoReturn:
    from speakeasy.board import console, ports

    where = ports.choose(port)
    with ports.opened(where):
        pass
    err.print(f"Stopping the bridge on {shown(where)}.")
    console.stop(where)
    argv = [*console.PROMPT, "connect", where, *words]
    err.print(say)
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        raise SpeakeasyError(f"{shlex.quote(argv[0])} cannot be run ({error.strerror}).") from None


@app.command()
def shell(port: PortOption = None) -> None:
    """A Python prompt on the bridge (mpremote). The bridge stops meanwhile, and lets nobody new in."""
    with board_failures():
        from speakeasy.board import console

        say = "The bridge is stopped: nobody new gets in; who is in stays in. Ctrl-D starts it again, Ctrl-] leaves."
        _become(port, ["resume", "exec", console.PATIENT, "repl"], say)


@app.command()
def deploy(port: PortOption = None, source: SourceOption = None) -> None:
    """Run this directory's firmware on the bridge. Nothing is flashed (mpremote mount); Ctrl-C ends it."""
    with board_failures():
        from speakeasy.board import console, image

        tree = (source or image.TOP) / "firmware"
        say = (
            "The bridge runs the firmware of this directory, until Ctrl-C or its next start. The packet filter, in C, "
            "is the one that was flashed. Compiling takes memory: best on a board with PSRAM."
        )
        _become(port, ["mount", str(tree), "exec", f"{console.PATIENT}; {FROM_MOUNT}"], say)
