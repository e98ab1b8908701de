"""Programs of the machine that the dorm runs, and long-running ones with a log of their own."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
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

    async def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = await self.namespace.spawn(*self.argv, env=self.env, stdout=log, stderr=log)

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
