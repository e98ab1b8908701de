"""Runs rungs of tests in two lanes side by side: those that mostly wait, and in their pauses those that mostly reckon.

    python rungs.py MAKE "RUNG RUNG ..." "RUNG RUNG ..."

The second lane is polite (nice): the first one's times are real ones. What a rung says is printed when it ends, as a
whole; until then it is in build/log/make-RUNG.log. After one that fails none begins; what the other lane runs comes to
its end. It has passed when each rung of both lanes has.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Lock, Thread

POLITE = ("nice", "-n", "10")
LOGS = Path("build/log")


class Rungs:
    def __init__(self, make: str) -> None:
        self._make = make
        self._printing = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stop = Event()
        self.interrupted = False
        self.failed: list[str] = []
        self.passed: list[str] = []

    def lane(self, rungs: list[str], *before: str) -> None:
        for rung in rungs:
            if self.stop.is_set():
                return
            self._say(f"== make {rung} begins")
            began = time.monotonic()
            # A file, not a pipe: who hangs has said what it has, and what a rung leaves running is not waited for.
            log = LOGS / f"make-{rung}.log"
            with log.open("wb") as out:
                process = subprocess.Popen(
                    [*before, self._make, rung], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
                )
            self._running.add(process)
            if self.interrupted:  # while it was started
                process.terminate()
            process.wait()
            self._running.discard(process)
            took = f"{time.monotonic() - began:.0f} s"
            end = f"== make {rung}: {took}"
            if process.returncode:
                self.failed.append(rung)
                self.stop.set()
                end = f"== make {rung} FAILED after {took}: mend it, and try again with `make {rung}`"
            else:
                self.passed.append(rung)
            self._say(f"== make {rung}\n{log.read_text('utf-8', 'replace')}{end}")

    def _say(self, text: str) -> None:
        with self._printing:
            print(text, flush=True)

    def interrupt(self, number: int, _frame: object) -> None:
        self.interrupted = True
        self.stop.set()
        # Ctrl-C has reached them already, by the terminal.
        if number == signal.SIGTERM:
            for process in list(self._running):
                process.terminate()


def main(make: str, waiting: str, reckoning: str) -> int:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may know fewer letters than a test
    LOGS.mkdir(parents=True, exist_ok=True)
    plan = [*reckoning.split(), *waiting.split()]
    rungs = Rungs(make)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, rungs.interrupt)
    lanes = [
        Thread(target=rungs.lane, args=(waiting.split(),)),
        Thread(target=rungs.lane, args=(reckoning.split(), *POLITE)),
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    if rungs.interrupted:
        return 130
    if sorted(rungs.passed) != sorted(plan):
        print("== FAILED:", *(rungs.failed or ("to run", *(set(plan) - set(rungs.passed)))), flush=True)
        return 1
    print("== passed:", *plan, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
