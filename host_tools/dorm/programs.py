"""Programs of the machine that the dorm runs, and long-running ones with a log of their own."""

import asyncio
import contextlib
import inspect
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dorm.errors import DormError
from dorm.namespaces import Namespace

# program -> Debian package
PACKAGES = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "dnsmasq": "dnsmasq-base",
    "udhcpc": "udhcpc",
    "awk": "mawk",
}
READY_S = 30.0  # until a program does its work; only a bound, for machines that are slow and busy
READY_POLL_S = 0.02
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_path() -> str:
    """PATH for what runs in the dorm: this interpreter's directory first, then the system's, sbin included."""
    return f"{Path(sys.executable).parent}:{_SYSTEM_PATH}"


def require_programs() -> None:
    """Raises DormError with the names of the Debian packages whose programs are missing."""
    missing = sorted(
        {package for program, package in PACKAGES.items() if not shutil.which(program, path=search_path())}
    )
    if missing:
        raise DormError(f"The dorm needs programs that are not here. Run: apt-get install {' '.join(missing)}")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for programs in the dorm: ours without what would bend Python, with our PATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PATH"] = search_path()
    env["PYTHONUNBUFFERED"] = "1"
    # Where `dorm` was imported from is where its helpers must find it, installed or not.
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    env.update(more or {})
    return env


class Program:
    """One long-running program in a namespace; its output goes to `log` (appended)."""

    def __init__(self, namespace: Namespace, log: Path, *argv: str, env: Mapping[str, str] | None = None) -> None:
        self.namespace = namespace
        self.log = log
        self.argv = argv
        self.env = environment(env)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def launch(self) -> asyncio.subprocess.Process:
        """Starts the program without waiting: see `start`."""
        with open(self.log, "ab") as log:
            self.process = await self.namespace.spawn(*self.argv, env=self.env, stdout=log, stderr=log)
        return self.process

    async def start(self, ready: Callable[[], object]) -> None:
        """Starts the program; returns when it does its work, which `ready` says: see `until`.

        A process that has merely been started has neither bound its sockets nor set its signal handlers yet.
        """
        await self.launch()
        await self.until(ready, "be ready")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits until `condition()` (which may be a coroutine function) is true; OSError and DormError are "not yet".

        Raises DormError when the program ends before, or when it does not `what` within READY_S.
        """
        end = time.monotonic() + READY_S
        while True:
            self.check()
            with contextlib.suppress(OSError, DormError):
                value = condition()
                if await value if inspect.isawaitable(value) else value:
                    return
            if time.monotonic() > end:
                raise DormError(
                    f"{self.argv[0]} in {self.namespace.name} ought to {what} within {READY_S:g} s, and did not: "
                    f"{self.last_words()}"
                )
            await asyncio.sleep(READY_POLL_S)

    def send_signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def stop(self, patience_s: float = 2.0) -> None:
        """SIGTERM, and SIGKILL when that takes longer than `patience_s`."""
        process = self.process
        if process is None:
            return
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                await process.wait()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            await process.wait()
        self.process = None

    def check(self) -> None:
        """Raises DormError, with the end of the log, when the program has ended by itself."""
        if self.process is not None and self.process.returncode is not None:
            raise DormError(
                f"{self.argv[0]} in {self.namespace.name} ended with status {self.process.returncode}: "
                f"{self.last_words()}"
            )

    def last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return " / ".join(lines[-3:]) or f"nothing in {self.log}"
