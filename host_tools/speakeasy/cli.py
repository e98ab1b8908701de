"""The entry point of the command `speakeasy`: what has to be so before it is loaded, which takes a second.

The command itself is app.py.
"""

import io
import os
import signal
import sys
from types import FrameType

from speakeasy.errors import CTRL_C


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(CTRL_C)


def main() -> None:
    """The entry point of the command."""
    signal.signal(signal.SIGINT, _leave)  # nothing was begun: no need to unwind, nor to show where it was
    for stream in (sys.stdout, sys.stderr):
        # Names are anybody's: one that the terminal has no letters for is shown by numbers, and ends nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    from speakeasy.app import app  # late: see above

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        app(prog_name="speakeasy")
    except KeyboardInterrupt:
        sys.exit(CTRL_C)


if __name__ == "__main__":
    main()
