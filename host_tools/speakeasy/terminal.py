"""How the command speaks: results on standard output, one line of error on standard error, JSON for scripts."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speakeasy import links
from speakeasy.errors import SpeakeasyError
from speakeasy.reasons import in_words
from speakeasy.session import VERSION, printable

NAME = "speakeasy"
# How whoever typed `--as WHO` called this command, and WHO: it runs as another program on that person's machine.
CALLED_VARIABLE, PERSON_VARIABLE = "SPEAKEASY_CALLED", "SPEAKEASY_AS"
# The commands of whoever plays with the dorm, or holds a board; not of a person in it.
OF_NOBODY = ("dorm", "demo", "board")

# Lines are not broken by us: a terminal does that, and a script wants them whole.
# What others have named may hold ":key:": no emoji is made of it.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

LONGEST_S = 1 << 40  # what is no time that anything lasts


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {metadata.version(NAME)}, protocol version {VERSION}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version of this command.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


# --- how it was called ----------------------------------------------------------------------------------------------
def called() -> str:
    """The program, as a person has to type it to call it again as they did now."""
    known = os.environ.get(CALLED_VARIABLE)
    if known:
        return known
    program = sys.argv[0]
    if os.path.basename(program) == "cli.py":
        words = f"{os.path.basename(sys.executable)} -m speakeasy.cli"
    elif Path(program).stem != NAME:
        return NAME  # not as a command at all
    else:
        found = shutil.which(NAME)
        words = NAME if found and _same(found, program) else shlex.quote(program)
    return f"sudo {words}" if Path(os.environ.get("SUDO_COMMAND", "").partition(" ")[0]).name == NAME else words


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def typed(words: str = "") -> str:
    """What has to be typed for a command of ours, by the same person."""
    who = os.environ.get(PERSON_VARIABLE)
    person = f"--as {shlex.quote(who)}" if who and words.partition(" ")[0] not in OF_NOBODY else ""
    return " ".join(part for part in (called(), person, words) if part)


def as_called(text: str) -> str:
    """Puts in how this command was called where a text names it: "`speakeasy claim`", but not "`~speakeasy open`"."""

    def shown_as(found: re.Match[str]) -> str:
        theirs, words = found[1], found[2] or ""
        return f"`{f'{NAME} {words}'.strip() if theirs else typed(words)}`"

    return re.sub(rf"`(~?){NAME}(?: ([^`]*))?`", shown_as, text)


def command(words: str = "", *, theirs: bool = False) -> str:
    """A command of ours to show to a person, as markup. `theirs`: for somebody else, at another machine."""
    text = escape(f"{NAME} {words}" if theirs else typed(words))
    return f"[bold]{text}[/]" if out.is_terminal else f"`{text}`"


# --- failing --------------------------------------------------------------------------------------------------------
@contextmanager
def failures() -> Iterator[None]:
    """Turns what may go wrong into one line and an exit status."""
    try:
        yield
    except SpeakeasyError as error:
        text = " ".join(as_called(str(error)).split())
        err.print(f"[bold red]error:[/] {escape(text)}")
        raise typer.Exit(error.exit_status) from None


# --- in words -------------------------------------------------------------------------------------------------------
def shown(value: object) -> str:
    """What a bridge has sent, fit for a terminal and for rich; "-" for nothing."""
    return escape(printable("-" if value in (None, "") else value))


def duration(seconds: object) -> str:
    """So long, roughly."""
    if not isinstance(seconds, int) or abs(seconds) > LONGEST_S:
        return "?"
    if seconds >= 5400:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds} seconds"


def counter_table(counters: Mapping[str, int]) -> Table:
    """What the filter counted, in words: let through, dropped, and what it did of its own; the largest first."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(min_width=60)
    table.add_column(justify="right")
    groups: dict[str, list[tuple[int, str]]] = {"let through, frames": [], "dropped, frames": [], "and besides": []}
    for name, count in counters.items():
        kind = name.partition("_")[0]
        if kind == "drop":
            group = "dropped, frames"
        elif kind in ("pass", "relay", "arp", "dhcp"):
            group = "let through, frames"
        else:
            group = "and besides"
        groups[group].append((count, in_words(name)))
    for group, rows in groups.items():
        if rows:
            table.add_row(
                f"[bold]{group}[/]", f"[bold]{sum(count for count, _ in rows)}[/]" if "frames" in group else ""
            )
        for count, words in sorted(rows, reverse=True):
            table.add_row("  " + escape(printable(words)), str(count))
    return table


def blocked_table(hours: Mapping[str, list[int]], most: int) -> Table:
    """What was blocked, a line for each hour in which something was, the present one first; `most` means so many or
    more."""
    table = Table("", *hours, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for ago in range(max(map(len, hours.values()), default=0)):
        counts = [counts[ago] if ago < len(counts) else 0 for counts in hours.values()]
        if any(counts):
            when = "this hour" if ago == 0 else "the hour before" if ago == 1 else f"{ago} hours before"
            table.add_row(when, *(f"{most}+" if count >= most else str(count) for count in counts))
    return table


def show_qr(link: str) -> bool:
    """A QR code, where there is a screen that can show one: in colours of its own, so that light is light. Returns
    whether there is one."""
    if not (out.is_terminal and out.encoding.startswith("utf")):
        return False
    out.print(links.qr(link), style="bright_white on black", markup=False)
    return True


def show_json(value: dict[str, Any]) -> None:
    """For scripts: one line of printable ASCII, whatever names strangers give their networks."""
    print(json.dumps(value).replace("\x7f", "\\u007f"), flush=True)
