"""`speakeasy dorm ...` and `--as WHO`: the virtual dorm, to play with by hand."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from dorm import daemon, topology
from dorm.errors import DormError
from rich.markup import escape
from rich.table import Table

from speakeasy.errors import SpeakeasyError
from speakeasy.terminal import JsonOption, failures, out, show_json

# What belongs to the person at the keyboard, not to the one whose shell is opened.
SECRET_VARIABLES = ("SPEAKEASY_CODE", "SPEAKEASY_INVITE", "SPEAKEASY_WIFI_KEY")

app = typer.Typer(
    no_args_is_help=True, help="The virtual dorm: a network, a bridge, a speaker and people, to try things."
)

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
        except DormError as error:
            raise SpeakeasyError(str(error)) from None


def run_as(who: str, argv: list[str], run_dir: Path | None = None, *, keep_secrets: bool = True) -> NoReturn:
    """Becomes the program `argv` on the machine of `who` in the running dorm."""
    with dorm_failures():
        words, env, home = daemon.entry(who, run_dir)
        if not keep_secrets:
            env = {name: value for name, value in env.items() if name not in SECRET_VARIABLES}
        os.chdir(home)
        try:
            os.execvpe(words[0], [*words, *argv], env)
        except OSError as error:
            raise SpeakeasyError(f"{words[0]} cannot be run ({error.strerror}). Install util-linux.") from None


@app.command()
def up(
    run_dir: RunDirOption = None,
    ble: Annotated[str, typer.Option(help="The bridge's Bluetooth: bumble or nimble.")] = "bumble",
) -> None:
    """Start the dorm; it stays in the background."""
    with dorm_failures():
        daemon.up(run_dir, ble=ble)
        show(daemon.settled(run_dir))
    out.print("\nTry: [bold]speakeasy --as phone pair[/], then [bold]speakeasy --as phone claim[/]")
    out.print("     [bold]speakeasy dorm shell flatmate[/] to be somebody else, [bold]speakeasy dorm down[/] to end it")


@app.command()
def status(run_dir: RunDirOption = None, as_json: JsonOption = False) -> None:
    """Show who is in the dorm, where, and what stands on the bridge's label."""
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

    table = Table("who", "address", "")
    bridge, speaker = state.get("bridge"), state.get("speaker")
    if bridge:
        running = "running" if bridge["running"] else "off"
        table.add_row("bridge", text(bridge["address"]), f"{running}, boot {bridge['boots']}")
    if speaker:
        table.add_row("speaker", text(speaker["address"]), text(speaker["state"]).lower())
    for name, address in state["people"].items():
        table.add_row(text(name), text(address), f"speakeasy dorm shell {name}")
    out.print(table)
    if bridge and bridge.get("label"):
        bridge_id, code = bridge["label"]
        out.print(f"The label on the bridge: id [bold]{text(bridge_id)}[/], setup code [bold]{text(code)}[/]")
    if wifi := state.get("wifi"):
        out.print(f"The dorm's Wi-Fi: [bold]{text(wifi['ssid'])}[/], key [bold]{text(wifi['key'])}[/]")
    out.print(f"A stream to play: {text(state['radio'])}")
    out.print(f"Everything is in {text(state['run_dir'])}, logs in {text(state['run_dir'])}/log")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(
    who: Annotated[str, typer.Argument(help="phone, laptop, flatmate, attacker; or router, speaker, ...")],
    command: Annotated[list[str] | None, typer.Argument(help="A program to run instead of a shell.")] = None,
    run_dir: RunDirOption = None,
) -> None:
    """Open a shell on somebody's machine, or run a program there: shell flatmate -- nmap -p 1400 10.66.0.117."""
    if not command and sys.stdin.isatty():
        out.print(f"You are {escape(who)} now. Leave with `exit`.")
    own = os.environ.get("SHELL") or "/bin/sh"
    run_as(who, command or shlex.split(own), run_dir, keep_secrets=False)


@app.command()
def down(run_dir: RunDirOption = None) -> None:
    """Take the dorm down."""
    with dorm_failures():
        daemon.down(run_dir)
    out.print("The dorm is down. Nothing of it is left but its logs.")
