"""How the command speaks: results on standard output, one line of error on standard error, JSON for scripts."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speakeasy.errors import SpeakeasyError
from speakeasy.reasons import in_words
from speakeasy.session import printable

# Lines are not broken by us: a terminal does that, and a script wants them whole.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@contextmanager
def failures() -> Iterator[None]:
    """Turns what may go wrong into one line and exit status 1."""
    try:
        yield
    except SpeakeasyError as error:
        text = " ".join(str(error).split())
        err.print(f"[bold red]error:[/] {escape(text)}")
        raise typer.Exit(1) from None


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


def show_json(value: dict[str, Any]) -> None:
    """For scripts: one line, no colours, no wrapping."""
    text = json.dumps(value, ensure_ascii=False)
    print(text if _is_utf8(text) else json.dumps(value))


def _is_utf8(text: str) -> bool:
    # What a bridge passes on may hold halves of a surrogate pair: JSON can say them, UTF-8 cannot.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
