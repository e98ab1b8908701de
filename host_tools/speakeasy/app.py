"""The command `speakeasy` with all that it can: what a person types on a phone's stand-in, a laptop, or in the dorm.

What the exit statuses mean, and what `--json` prints, stands in README.md, "Scripts"; the numbers in errors.py.
"""

import sys

import typer

from speakeasy.commands import board, bridge, claim, networks, page, pair, phones, speaker
from speakeasy.terminal import NAME, VersionOption

app = typer.Typer(
    name=NAME,
    help="Pair this phone with a Speakeasy bridge, and be let in to its speaker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

# In the order in which `--help` lists them.
for _part in (pair, claim, phones, networks, speaker, bridge, page):
    app.registered_commands += _part.app.registered_commands

app.add_typer(board.app, name="board")
if sys.platform == "linux":  # network namespaces and TAP devices are Linux's
    from speakeasy.commands import dorm

    app.add_typer(dorm.app, name="dorm")
    app.command()(dorm.demo)
    app.callback()(dorm.choose_person)
else:

    @app.callback()
    def _of_nobody(_version: VersionOption = False) -> None:
        """Pair this phone with a Speakeasy bridge, and be let in to its speaker."""
