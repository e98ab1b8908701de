"""What is asked of the person at the keyboard: secrets and confirmations.

Secrets come from a prompt, standard input or the environment, never from the command line: that is open to everybody on
the machine (ps), and shells keep it in their history.
"""

import os
import sys
from typing import Annotated

import typer

from speakeasy.errors import CTRL_C, SpeakeasyError, UsageError
from speakeasy.terminal import err

LONGEST_LINE = 1000

# For a command that hands what it does not know to no_secret_in_arguments: nothing of it is shown by typer.
WORDS_TOO = {"allow_extra_args": True}

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether you are sure.")]


def no_secret_in_arguments(*places: list[str] | str | None, but: str = "") -> None:
    """For the places where people type a secret by habit: only "-" (standard input) is taken. Raises UsageError, which
    does not repeat it. `but`: what else may have been meant there."""
    words = [word for place in places if place for word in ([place] if isinstance(place, str) else place)]
    if words not in ([], ["-"]):
        raise UsageError(
            "Secrets are not taken from the command line: everybody on this machine can read it. Leave it out and type "
            f"the secret when asked, or pipe it in.{but and f' {but}'} Nothing was changed."
        )


def from_environment(*variables: str) -> str | None:
    """The first of these that is set."""
    return next((value for name in variables if (value := os.environ.get(name))), None)


def line_of_input() -> str:
    """The next line of standard input, or "". Raises SpeakeasyError when it is no text."""
    try:
        line = sys.stdin.readline(LONGEST_LINE).rstrip("\r\n")
        line.encode()
    except UnicodeError:
        raise SpeakeasyError("What came on standard input is no text in UTF-8. Nothing was changed.") from None
    return line


def from_input(what: str) -> str:
    """The same; raises SpeakeasyError when there is none."""
    line = line_of_input()
    if not line.strip():
        raise SpeakeasyError(
            f"No {what} came on standard input. Type it when asked, or pipe it in. Nothing was changed."
        )
    return line


def secret(what: str, *variables: str, hide: bool = True) -> str:
    """A secret from the environment, else from a prompt, else (no terminal there) from standard input."""
    known = from_environment(*variables)
    if known is not None:
        return known
    if not sys.stdin.isatty():
        return from_input(what)
    return prompted(what[0].upper() + what[1:], hide=hide)


def prompted(text: str, *, hide: bool = False) -> str:
    """Asks at the terminal. Raises typer.Exit on Ctrl-C."""
    try:
        return str(typer.prompt(text, hide_input=hide, err=True))
    except typer.Abort:
        err.print()
        raise typer.Exit(CTRL_C) from None


def confirm(question: str, *, yes: bool, say: str = "--yes") -> None:
    """Goes on only if a person says so, or `yes` was given; `say`: how it is. Raises SpeakeasyError when not."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise SpeakeasyError(f"{question} Say so with {say}. Nothing was changed.")
    try:
        sure = typer.confirm(question, err=True)
    except typer.Abort:
        err.print()
        raise typer.Exit(CTRL_C) from None
    if not sure:
        raise SpeakeasyError("Nothing was changed.")
