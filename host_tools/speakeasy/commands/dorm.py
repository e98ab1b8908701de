"""The virtual dorm, to play with by hand: `speakeasy dorm ...`, `--as WHO`, and the demo."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from dorm import daemon, topology
from dorm.errors import DormError, DormUsageError
from rich.markup import escape
from rich.table import Table

from speakeasy.commands.speaker import Mode
from speakeasy.errors import SpeakeasyError, UsageError
from speakeasy.terminal import (
    CALLED_VARIABLE,
    PERSON_VARIABLE,
    JsonOption,
    VersionOption,
    called,
    command,
    failures,
    out,
    show_json,
    typed,
)

# What belongs to the person at the keyboard, not to the one whose shell is opened.
SECRET_VARIABLES = ("SPEAKEASY_CODE", "SPEAKEASY_INVITE", "SPEAKEASY_WIFI_KEY", "SPEAKEASY_SEGMENT_KEY")

SHORTEST_PRESS_S = 0.05  # for the bridge (SPEC 2.5)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The virtual dorm: a place to try things.\n\nA network, a bridge, a speaker and people.",
)


class Ble(StrEnum):
    """Whose Bluetooth the simulated bridge has."""

    bumble = "bumble"
    nimble = "nimble"


class Stack(StrEnum):
    """Whose IP stack the simulated bridge has."""

    kernel = "kernel"
    lwip = "lwip"


BleOption = Annotated[Ble, typer.Option(help="The bridge's Bluetooth.")]

RunDirOption = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        envvar="SPEAKEASY_RUN",
        help=f"Where the dorm keeps its things; default: {topology.DEFAULT_RUN_DIR}.",
    ),
]


@contextmanager
def dorm_failures() -> Iterator[None]:
    """As `failures`, for what the dorm says too."""
    with failures():
        try:
            yield
        except DormUsageError as error:
            raise UsageError(str(error)) from None
        except DormError as error:
            raise SpeakeasyError(str(error)) from None


def run_as(who: str, argv: list[str], run_dir: Path | None = None, *, as_us: bool = False) -> NoReturn:
    """Becomes the program `argv` on the machine of `who` in the running dorm.

    `as_us`: it is this command again, which may have the secrets that we were given, and says how we were called.
    """
    with dorm_failures():
        words, env, home = daemon.entry(who, run_dir)
        if as_us:
            env |= {CALLED_VARIABLE: called(), PERSON_VARIABLE: who}
        else:
            not_theirs = (*SECRET_VARIABLES, CALLED_VARIABLE, PERSON_VARIABLE)
            env = {name: value for name, value in env.items() if name not in not_theirs}
        os.chdir(home)
        try:
            os.execvpe(words[0], [*words, *argv], env)
        except OSError as error:
            raise SpeakeasyError(f"{words[0]} cannot be run ({error.strerror}). Install util-linux.") from None


def choose_person(
    who: Annotated[
        str | None,
        typer.Option("--as", metavar="WHO", help="Be this person of the running dorm: phone, laptop, flatmate, ..."),
    ] = None,
    _version: VersionOption = False,
) -> None:
    """Pair this phone with a Speakeasy bridge, and be let in to its speaker."""
    if who is not None:
        run_as(who, [sys.executable, "-m", "speakeasy.cli", *_without_as(sys.argv[1:])], as_us=True)


def _without_as(argv: list[str]) -> list[str]:
    at = next(n for n, word in enumerate(argv) if word == "--as" or word.startswith("--as="))
    return argv[:at] + argv[at + (2 if argv[at] == "--as" else 1) :]


@app.command()
def up(
    run_dir: RunDirOption = None,
    ble: BleOption = Ble.bumble,
    stack: Annotated[Stack, typer.Option(help="The bridge's IP stack: the PC's, or the chip's.")] = Stack.kernel,
    mode: Annotated[Mode, typer.Option(help="The addressing that the bridge begins with.")] = Mode.passthrough,
    as_json: JsonOption = False,
) -> None:
    """Start the dorm; it stays in the background."""
    with dorm_failures():
        daemon.up(run_dir, ble=ble.value, stack=stack.value, mode=mode.value)
        state = daemon.settled(run_dir)
    if as_json:
        show_json(state)
        return
    show(state)
    out.print(f"\nTry: {command('--as phone pair')}, then {command('--as phone status')}")
    out.print(f"     {command('dorm shell flatmate')} to be somebody else, {command('dorm down')} to end it")


@app.command()
def status(run_dir: RunDirOption = None, as_json: JsonOption = False) -> None:
    """Show who is in the dorm, and the bridge's label."""
    with dorm_failures():
        state = daemon.status(run_dir)
    if as_json:
        show_json(state)
    else:
        show(state)


def show(state: dict[str, Any]) -> None:
    """The dorm as a table, with the label of its bridge."""

    def text(value: object) -> str:
        return escape(str("-" if value is None else value))

    def quoted(value: object) -> str:
        return f'"[bold]{text(value)}[/]"'

    table = Table("who", "address", "")
    bridge, speaker = state.get("bridge"), state.get("speaker")
    if bridge:
        running = "running" if bridge["running"] else "off"
        table.add_row("bridge", text(bridge["address"]), f"{running}, boot {bridge['boots']}, {text(bridge['mode'])}")
    if speaker:
        playing = text(speaker["state"]).lower() if speaker["joined"] else "not on the bridge's Wi-Fi"
        table.add_row("speaker", text(speaker["address"]), playing)
    for name, address in state["people"].items():
        table.add_row(text(name), text(address), escape(typed(f"dorm shell {name}")))
    out.print(table)
    if bridge and bridge.get("label"):
        bridge_id, code = bridge["label"]
        out.print(f"The label on the bridge: id [bold]{text(bridge_id)}[/], setup code [bold]{text(code)}[/]")
    if wifi := state.get("wifi"):
        out.print(f"The dorm's Wi-Fi is called {quoted(wifi['ssid'])}, its key is {quoted(wifi['key'])}")
    if speaker:
        wifi = speaker["wifi"]
        out.print(f"The speaker joins the Wi-Fi {quoted(wifi['ssid'])} with the key {quoted(wifi['key'])}")
    out.print(f"A stream to play: {text(state['radio'])}")
    out.print(f"Everything is in {text(state['run_dir'])}, logs in {text(state['run_dir'])}/log")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(
    who: Annotated[str, typer.Argument(help="phone, laptop, flatmate, attacker; or router, speaker, ...")],
    program: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND...", help="A program to run instead of a shell.")
    ] = None,
    run_dir: RunDirOption = None,
) -> None:
    """Open a shell on somebody's machine.

    Or run a program there: shell flatmate -- python -m dorm.intruder scan 10.66.1.161 1400 (the bridge's address is
    that of `dorm status`).
    """
    if not program and sys.stdin.isatty():
        out.print(f"You are {escape(who)} now. Leave with `exit`.")
    own = os.environ.get("SHELL") or "/bin/sh"
    run_as(who, program or shlex.split(own), run_dir)


@app.command()
def press(
    seconds: Annotated[
        float, typer.Argument(min=0, max=daemon.LONGEST_PRESS_S, help="How long; ten of them reset the bridge.")
    ] = daemon.PRESS_S,
    run_dir: RunDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Press the button on the bridge.

    For two minutes its label lets phones in. Ten seconds reset it.
    """
    with dorm_failures():
        was_reset = daemon.press(run_dir, seconds)
        if seconds >= daemon.RESET_S and not was_reset:
            raise SpeakeasyError(
                f"The button was down for {seconds:g} s and more, and the bridge did not reset itself."
            )
    if as_json:
        show_json({"pressed_s": seconds, "reset": was_reset})
        return
    if was_reset:
        out.print(
            f"The button was down for {seconds:g} s: the bridge starts again, as new, on no network. Pair with the "
            f"code on its label, have it join the dorm's Wi-Fi ({command('--as phone join Dorm')}), and give it a "
            f"Wi-Fi that the speaker knows ({command('--as phone segment --name Speaker --key')}). The keys: "
            f"{command('dorm status')}"
        )
    elif seconds >= SHORTEST_PRESS_S:
        out.print(
            f"The button was down for {seconds:g} s: for two minutes the code on the label lets phones pair, the first "
            "as its owner, later ones as guests."
        )
    else:
        out.print(f"The button was down for {seconds:g} s: too short for a press, nothing was done.")


@app.command()
def down(run_dir: RunDirOption = None, as_json: JsonOption = False) -> None:
    """Take the dorm down."""
    with dorm_failures():
        daemon.down(run_dir)
    if as_json:
        show_json({"down": True})
        return
    out.print("The dorm is down. Nothing of it is left but its logs.")


def demo(
    ble: BleOption = Ble.bumble,
    run_dir: RunDirOption = None,
    keep_logs: Annotated[Path | None, typer.Option("--keep-logs", metavar="DIR", help="Copy all logs there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch it all in a virtual dorm: who gets in.

    And who does not. It needs root.
    """
    from speakeasy import demo as show  # late: with SoCo and Bumble come half a second of imports

    with failures():
        raise typer.Exit(show.run(run_dir, ble=ble.value, keep_logs=keep_logs, as_json=as_json))
