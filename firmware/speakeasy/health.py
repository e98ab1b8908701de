"""Keeps the tasks running: one that fails is logged and started again; the watchdog is fed only while all live.

An image that has not run well for WELL_S since its start is left again by the bootloader at the next one, if it is new.
"""

import asyncio
import io
import sys

import esp32
import machine
from micropython import const

from . import clock
from .eventlog import log

WATCHDOG_MS = 30_000
SILENCE_S = 25  # a task that did not beat for so long is stuck
MAX_RESTARTS = 10  # in RESTARTS_S; more than that, and only a reset can help
RESTARTS_S = 600
WELL_S = 60  # all tasks at work for so long, none of them started again: this image is good

_TURN_MS = const(1000)
_FIRST_PAUSE_S = const(1)
_LONGEST_PAUSE_S = const(16)


def confirm_image() -> None:
    """Tell the bootloader that it may keep the image that runs."""
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError:
        pass  # the image came by cable: there is no other to go back to


class Health:
    """Register tasks with `supervise`, then `run`."""

    def __init__(self, now=clock.seconds, watchdog=machine.WDT, confirm=confirm_image) -> None:
        self._now = now
        self._make_watchdog = watchdog
        self._confirm = confirm
        self._unwell = now()  # the last time that something was not as it should be
        self._beats: dict = {}
        self._restarts: dict = {}

    def beat(self, name: str):
        """A function without arguments; the task called `name` calls it at each turn of its loop."""
        self._beats[name] = self._now()

        def beaten() -> None:
            self._beats[name] = self._now()

        return beaten

    async def supervise(self, name: str, main) -> None:
        """Run the coroutine function `main` for ever: when it raises or returns, log it, pause, start it again."""
        pause_s = _FIRST_PAUSE_S
        self._restarts[name] = []
        while True:
            started = self._now()
            try:
                await main()
                log("health", "the part %s ended; it is started again" % name)
            except asyncio.CancelledError:
                raise
            except Exception as e:  # noqa: BLE001  (whatever it was, the other tasks go on)
                # The type only: an exception's text may quote what it choked on.
                log("health", "the part %s failed with %s; it is started again" % (name, type(e).__name__))
                _trace(e)
            now = self._unwell = self._now()
            self._restarts[name] = [t for t in self._restarts[name] if now - t < RESTARTS_S] + [now]
            pause_s = _FIRST_PAUSE_S if now - started > _LONGEST_PAUSE_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    def ailing(self) -> str:
        """The name of a task that is stuck or fails again and again; empty when all are well."""
        now = self._now()
        for name, beaten in self._beats.items():
            if now - beaten > SILENCE_S:
                return name
        for name, times in self._restarts.items():
            if len([t for t in times if now - t < RESTARTS_S]) > MAX_RESTARTS:
                return name
        return ""

    async def run(self) -> None:
        """Feed the watchdog for ever, or no more when a task is beyond mending: then it resets the board."""
        dog = self._make_watchdog(timeout=WATCHDOG_MS)
        told = ""
        confirmed = False
        while True:
            name = self.ailing()
            if not name:
                dog.feed()
                if not confirmed and self._now() - self._unwell >= WELL_S:
                    confirmed = True
                    self._confirm()
            else:
                self._unwell = self._now()
                if name != told:
                    log(
                        "health",
                        "the part %s does not work any more: the bridge starts again in %d s"
                        % (name, WATCHDOG_MS // 1000),
                    )
            told = name
            await asyncio.sleep_ms(_TURN_MS)


def _trace(e: Exception) -> None:
    # Where it happened; not the last line, which holds the text.
    out = io.StringIO()
    sys.print_exception(e, out)
    print("\n".join(out.getvalue().rstrip().split("\n")[:-1]))
