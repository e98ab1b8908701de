"""The command `speakeasy`: what a person types on a phone's stand-in, a laptop, or in the virtual dorm.

Exit status, of every command:
  0    done.
  1    refused or failed: one clear line on standard error says why, and what to do. The bridge or this command said no;
       the same again will fail again.
  2    wrong usage: no such command, option or value. Nothing was done.
  3    the bridge was not reached, by Bluetooth or on the network. The same may work later, or nearer to it.
  130  Ctrl-C. `claim --keep` ends in no other way, but by a refusal.
`demo` ends with 1 when one of its checks fails; `dorm shell` and what runs with `--as` end as their program does.

With `--json` standard output has one JSON object when the status is 0, else nothing; `claim --keep` prints one a line,
as things happen, and `demo` prints one that says what failed, too.
"""

import sys

import typer

from speakeasy.commands import bridge, claim, networks, pair, phones, speaker
from speakeasy.terminal import NAME

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
for _part in (pair, claim, phones, networks, speaker, bridge):
    app.registered_commands += _part.app.registered_commands

if sys.platform == "linux":  # network namespaces and TAP devices are Linux's
    from speakeasy.commands import dorm

    app.add_typer(dorm.app, name="dorm")
    app.command()(dorm.demo)
    app.callback()(dorm.choose_person)
else:

    @app.callback()
    def _of_nobody() -> None:
        """Pair this phone with a Speakeasy bridge, and be let in to its speaker."""


def main() -> None:
    """The entry point of the command."""
    app(prog_name=NAME)


if __name__ == "__main__":
    main()
