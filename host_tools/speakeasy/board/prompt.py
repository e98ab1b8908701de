"""mpremote; but Ctrl-C ends it with the exit status of Ctrl-C, and without a traceback.

Usage: python -m speakeasy.board.prompt WORD... (mpremote's)
"""

import signal
import sys
from types import FrameType

from mpremote import main as mpremote  # type: ignore[import-untyped]

from speakeasy.errors import CTRL_C, FAILED


def main() -> int:
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        status = int(mpremote.main() or 0)
    except KeyboardInterrupt:
        status = CTRL_C
    except Exception:
        if not stopped:
            raise
        status = CTRL_C
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else FAILED
    return CTRL_C if stopped else status


if __name__ == "__main__":
    sys.exit(main())
