"""How the command speaks: results on standard output, one line of error on standard error, JSON for scripts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from speakeasy.errors import SpeakeasyError

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


def show_json(value: dict[str, Any]) -> None:
    """For scripts: one line, no colours, no wrapping."""
    print(json.dumps(value, ensure_ascii=False))
