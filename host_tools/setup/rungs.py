"""Runs rungs of tests in two lanes side by side: those that mostly wait, and in their pauses those that mostly reckon.

    python rungs.py MAKE "RUNG RUNG ..." "RUNG RUNG ..."

The second lane is polite (nice): the first one's times are real ones. What a rung says is printed when it ends, as a
whole. After one that fails none begins; what the other lane runs comes to its end.
"""

import signal
import subprocess
import sys
import time
from threading import Event, Lock, Thread

POLITE = ("nice", "-n", "10")


class Rungs:
    def __init__(self, make: str) -> None:
        self._make = make
        self._printing = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stop = Event()
        self.interrupted = False
        self.failed: list[str] = []

    def lane(self, rungs: list[str], *before: str) -> None:
        for rung in rungs:
            if self.stop.is_set():
                return
            self._say(f"== make {rung} begins")
            began = time.monotonic()
            process = subprocess.Popen(
                [*before, self._make, rung], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            self._running.add(process)
            if self.interrupted:  # while it was started
                process.terminate()
            output, _ = process.communicate()
            self._running.discard(process)
            took = f"{time.monotonic() - began:.0f} s"
            end = f"== make {rung}: {took}"
            if process.returncode:
                self.failed.append(rung)
                self.stop.set()
                end = f"== make {rung} FAILED after {took}: mend it, and try again with `make {rung}`"
            self._say(f"== make {rung}\n{output.decode(errors='replace')}{end}")

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
    if rungs.failed:
        print(f"== FAILED: {' '.join(rungs.failed)}", flush=True)
        return 1
    print("== passed:", *reckoning.split(), *waiting.split(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
