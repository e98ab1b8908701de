"""`python -m dorm up | status | down | run WHO PROGRAM...`: the dorm without the command `speakeasy`."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from dorm import daemon, topology
from dorm.dorm import PASSTHROUGH, PRIVATE
from dorm.errors import DormError, DormUsageError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dorm", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=None, help=f"default: {topology.DEFAULT_RUN_DIR}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start a dorm in the background")
    commands.add_parser("status", help="what is up, as JSON")
    commands.add_parser("down", help="take it down")
    run = commands.add_parser("run", help="run a program on somebody's machine")
    run.add_argument("who")
    run.add_argument("program", nargs=argparse.REMAINDER)
    serve = commands.add_parser("serve", help="run a dorm in the foreground")
    serve.add_argument("--ready", type=int, default=None, help=argparse.SUPPRESS)
    serve.add_argument("--ble", default="bumble", choices=("bumble", "nimble"))
    serve.add_argument("--stack", default=None, choices=("kernel", "lwip"))
    serve.add_argument("--mode", default=PASSTHROUGH, choices=(PASSTHROUGH, PRIVATE))
    return parser


def _run(arguments: argparse.Namespace) -> int:
    run_dir: Path | None = arguments.run_dir
    match arguments.command:
        case "up":
            daemon.up(run_dir)
        case "status":
            print(json.dumps(daemon.status(run_dir), indent=1))
        case "down":
            daemon.down(run_dir)
        case "run":
            words, env, home = daemon.entry(arguments.who, run_dir)
            os.chdir(home)
            program = arguments.program or [os.environ.get("SHELL", "/bin/sh")]
            os.execvpe(words[0], [*words, *program], env)
        case _:
            ready = None if arguments.ready is None else os.fdopen(arguments.ready, "wb")
            if ready is not None:
                os.set_inheritable(arguments.ready, False)
            options = {"ble": arguments.ble, "stack": arguments.stack, "mode": arguments.mode}
            return daemon.serve(run_dir or topology.run_dir(), ready, die_with_starter=ready is None, **options)
    return 0


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        return _run(_parser().parse_args())
    except DormError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, DormUsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
