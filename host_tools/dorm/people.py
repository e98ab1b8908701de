"""The people of the dorm: a phone and a laptop that may be paired, a flatmate and an attacker who are not."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dorm.dhcp import DhcpClient
from dorm.errors import DormError
from dorm.namespaces import Namespace, run_command
from dorm.programs import environment
from dorm.topology import PERSON_IF

DONE_S = 90.0  # for one program, or one thing that a controller does; only a bound
CLOSE_S = 5.0


def person_environment(run_dir: Path, name: str) -> dict[str, str]:
    """The environment of programs that run on that person's machine."""
    home = str(run_dir / "home" / name)
    return environment(
        {
            "SPEAKEASY_RUN": str(run_dir),
            "SPEAKEASY_AIR": str(run_dir / "air"),
            "SPEAKEASY_HOME": home,
            "HOME": home,
            "USER": name,
            # What people of the dorm keep stays in the dorm.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
    )


class Person:
    """A machine with one network interface (eth0), a home directory and a DHCP client."""

    def __init__(self, name: str, namespace: Namespace, run_dir: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.home = run_dir / "home" / name
        self.dhcp = DhcpClient(
            namespace, PERSON_IF, name, run_dir / "lease" / name, run_dir / "log" / f"{name}.dhcp.log"
        )
        self.env = person_environment(run_dir, name)

    async def start(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.dhcp.start()

    async def stop(self) -> None:
        await self.dhcp.stop()

    @property
    def address(self) -> str:
        """The address that DHCP gave. Raises DormError when there is none."""
        lease = self.dhcp.lease
        if lease is None:
            raise DormError(f"{self.name} has no address: see {self.name}.dhcp.log.")
        return lease.address

    async def run(
        self, *argv: str, check: bool = True, timeout_s: float = DONE_S, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program on this machine to its end, outputs captured. Raises DormError when it fails (`check`)."""
        return await run_command(
            self.namespace.command(*argv),
            shown=argv,
            where=self.name,
            check=check,
            timeout_s=timeout_s,
            input=input,
            env=self.env,
            cwd=self.home,
        )

    async def spawn(self, *argv: str, stdout: Any = None, stderr: Any = None, stdin: Any = None) -> Any:
        """Starts a program on this machine (asyncio.subprocess.Process)."""
        return await self.namespace.spawn(*argv, env=self.env, cwd=self.home, stdout=stdout, stderr=stderr, stdin=stdin)

    async def tool(self, module: str, *argv: str, timeout_s: float = DONE_S) -> dict[str, Any]:
        """Runs `python -m MODULE ARGV` here, and returns the JSON object that it printed."""
        done = await self.run(sys.executable, "-m", module, *argv, timeout_s=timeout_s)
        result = json.loads(done.stdout)
        if not isinstance(result, dict):
            raise DormError(f"{module} on {self.name} printed something that is no JSON object.")
        return result

    async def intrude(self, *argv: str, timeout_s: float = DONE_S) -> dict[str, Any]:
        """Runs one tool of the intruder's kit here: see dorm.intruder."""
        return await self.tool("dorm.intruder", *argv, timeout_s=timeout_s)

    async def controller(self) -> "Controller":
        """Starts a Sonos controller (SoCo) here that stays: see dorm.controller."""
        process = await self.spawn(
            *(sys.executable, "-m", "dorm.controller"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return Controller(self.name, process)


class Controller:
    """A running SoCo controller: requests in, results out; keeps its connections and event subscriptions."""

    def __init__(self, who: str, process: asyncio.subprocess.Process) -> None:
        self._who = who
        self._process = process

    async def __aenter__(self) -> "Controller":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, do: str, timeout_s: float = DONE_S, **arguments: Any) -> dict[str, Any]:
        """Does one thing (see dorm.controller) and returns its result; failures too: `{"error": text, ...}`.

        `patience` (seconds) among the arguments is for requests to the speaker that are not to be answered.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise DormError(f"{self._who}'s controller did not do {do!r} within {timeout_s:g} s.") from None
        if not line:
            raise DormError(f"{self._who}'s controller ended while it did {do!r}.")
        result = json.loads(line)
        assert isinstance(result, dict)
        return result

    async def must(self, do: str, timeout_s: float = DONE_S, **arguments: Any) -> dict[str, Any]:
        """As `call`, but a failure raises DormError."""
        result = await self.call(do, timeout_s, **arguments)
        if "error" in result:
            raise DormError(f"{self._who}'s controller could not do {do!r}: {result['error']}")
        return result

    async def close(self) -> None:
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
