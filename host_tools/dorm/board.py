"""The bridge's hardware: the SIM board's process, its flash, its console, its power.

The process is MicroPython's unix port with the firmware frozen in. It gets four TAP devices, of which it sees frames
only: two radios, whose network interfaces are in other people's namespaces, and two interfaces of its own IP stack.

    uplink radio   `radio`   namespace of the switch           host uplink    `uplink`   namespace of the bridge
    segment radio  `wlan0`   namespace of the speaker          host segment   `segment`  namespace of the bridge

The SIM_LWIP board has its own IP stack in the process, lwIP: it gets the two radios alone.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dorm import topology, wifi
from dorm.errors import DormError
from dorm.namespaces import Namespace

logger = logging.getLogger(__name__)

BINARIES = {
    "bumble": topology.SIM_BINARY,
    "nimble": topology.SIM_BINARY.parent.with_name("sim-nimble") / topology.SIM_BINARY.name,
}
KERNEL, LWIP = "kernel", "lwip"  # the bridge's IP stack
STACKS = (KERNEL, LWIP)
# Exit statuses of the process, boards/SIM/modsim.c, and what reset_cause() says after each.
STATUS_RESET = 3
STATUS_WATCHDOG = 4
STATUS_SOFT_RESET = 5
_CAUSES = {
    STATUS_RESET: wifi.HARD_RESET,
    STATUS_WATCHDOG: wifi.WDT_RESET,
    STATUS_SOFT_RESET: wifi.SOFT_RESET,
}
# A firmware that resets again and again has to stop being a busy loop for the machine, not being seen.
RESET_PAUSE_S = 0.1
RESETS_IN_A_ROW = 20
STEADY_S = 5.0  # a boot that lasted this long ends the row
_FRAME_LIMIT = 2048


def binary(ble: str, stack: str) -> Path:
    """The board's program. Raises DormError when there is no such board, or it has not been built."""
    if ble not in BINARIES:
        raise DormError(f"There is no Bluetooth called {ble!r}. There are {', '.join(BINARIES)}.")
    if stack not in STACKS:
        raise DormError(f"There is no IP stack called {stack!r}. There are {', '.join(STACKS)}.")
    if stack == LWIP and ble != "bumble":
        raise DormError("The bridge on lwIP has the virtual radio's Bluetooth alone: leave out --ble or --stack.")
    path = topology.SIM_LWIP_BINARY if stack == LWIP else BINARIES[ble]
    if not path.is_file():
        more = "-lwip" if stack == LWIP else " BLE=nimble MICROPYTHON_DIR=..." if ble == "nimble" else ""
        raise DormError(f"The bridge is not built: {path} is missing. Run `make sim{more}`.")
    return path


class Board:
    """One bridge. `namespaces` must hold the switch's, the bridge's and the speaker's (see topology).

    `ble` is "bumble" (the Bluetooth is a driver of ours) or "nimble" (MicroPython's real stack), `stack` the IP stack,
    "kernel" or "lwip"; `binary`, where given, is another build altogether. `has_ethernet`: the board has a socket (not
    with lwIP). `environment` is added to the process's,
    `arguments` are what it runs.

    Public attributes: `air` (the Wi-Fi and the pins, a WifiAir), `flash` (a directory), `log` (the console, a file that
    grows), `boots` (how often it has started), `exit_status` (of the last process; None while one runs).
    """

    def __init__(
        self,
        namespaces: Mapping[str, Namespace],
        run_dir: Path,
        *,
        ble: str = "bumble",
        stack: str = KERNEL,
        binary: Path | None = None,
        has_ethernet: bool = False,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = ("-m", "_boot"),
    ) -> None:
        self._namespaces = namespaces
        self._ble = ble
        self._stack = stack
        self._binary = binary
        self._arguments = arguments
        self.flash = run_dir / "flash"
        self.log = run_dir / "log" / "bridge.log"
        self.air_directory = run_dir / "air"
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "SPEAKEASY_AIR": str(self.air_directory),
            # Where MicroPython's own NimBLE finds its controller; nothing else looks there.
            "MICROPYBTUART": str(self.air_directory / "hci.pty"),
            # MicroPython's collector looks for pointers on the stack itself; what it keeps till the end is no leak.
            "ASAN_OPTIONS": "detect_stack_use_after_return=0:detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            **(environment or {}),
        }
        self.air = wifi.WifiAir(
            switch=namespaces[topology.SWITCH],
            bridge=None if stack == LWIP else namespaces[topology.BRIDGE],
            speaker=namespaces[topology.SPEAKER],
            log_directory=self.log.parent,
            has_ethernet=has_ethernet,
        )
        self._taps: list[int] = []
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._powered = False
        self.boots = 0
        self.exit_status: int | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Makes the TAP devices and the air, without power yet: see `power_on`. Raises DormError."""
        if self._binary is None:
            self._binary = binary(self._ble, self._stack)
        if not self._binary.is_file():
            raise DormError(f"The bridge is not built: {self._binary} is missing.")
        for directory in (self.flash, self.log.parent, self.air_directory):
            directory.mkdir(parents=True, exist_ok=True)
        self.flash.chmod(0o700)
        self._make_taps()
        await self._enslave_radio()
        await self.air.start(self.air_directory)

    async def stop(self) -> None:
        """Power off, and everything gone but the flash and the log."""
        await self.power_off()
        if self._taps:
            await self.air.stop()
        for fd in self._taps:
            os.close(fd)
        self._taps.clear()

    def _make_taps(self) -> None:
        switch, bridge, speaker = (
            self._namespaces[name] for name in (topology.SWITCH, topology.BRIDGE, topology.SPEAKER)
        )
        # In the order of SPEAKEASY_TAPS. The radio itself has no address: nobody sends from it or to it.
        self._taps = [
            switch.open_tap(topology.UPLINK_RADIO),
            speaker.open_tap(topology.SEGMENT_RADIO, topology.MAC[topology.SPEAKER]),
        ]
        if self._stack == KERNEL:
            self._taps += [
                bridge.open_tap(topology.HOST_UPLINK, topology.MAC[topology.HOST_UPLINK]),
                bridge.open_tap(topology.HOST_SEGMENT, topology.MAC[topology.HOST_SEGMENT]),
            ]

    async def _enslave_radio(self) -> None:
        switch, speaker = self._namespaces[topology.SWITCH], self._namespaces[topology.SPEAKER]
        await switch.carrier(topology.UPLINK_RADIO, False)
        await speaker.carrier(topology.SEGMENT_RADIO, False)
        await switch.run("ip", "link", "set", "dev", topology.UPLINK_RADIO, "master", topology.SWITCH_BRIDGE, "up")
        await speaker.run("ip", "link", "set", "dev", topology.SEGMENT_RADIO, "up")

    # --- power ----------------------------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """The board boots. Nothing happens when it has power."""
        if self._powered:
            return
        self._powered = True
        self.air.reset_cause = wifi.PWRON_RESET
        await self._boot()
        self._life = asyncio.create_task(self._live())

    async def power_off(self) -> None:
        """The plug is pulled (SIGKILL): what the process had not yet written to its flash is lost."""
        self._powered = False
        life, self._life = self._life, None
        if life is not None:
            life.cancel()  # first, or it would take the end of the process for a reset
            await asyncio.wait([life])
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process is not None:
            await self.air.power_lost()

    async def power_cycle(self) -> None:
        await self.power_off()
        await self.power_on()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process's id, while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    async def _boot(self) -> None:
        self._drain()
        # Descriptors keep their numbers in the child.
        env = {"SPEAKEASY_TAPS": ",".join(str(fd) for fd in self._taps), **self._environment}
        with open(self.log, "ab") as log:
            self._process = await self._namespaces[topology.BRIDGE].spawn(
                str(self._binary),
                *self._arguments,
                env=env,
                stdout=log,
                stderr=log,
                pass_fds=self._taps,
                cwd=self.flash,
            )
        self.boots += 1
        self.exit_status = None

    def _drain(self) -> None:
        """What was sent to the board before it had power did not reach it."""
        for fd in self._taps:
            os.set_blocking(fd, False)
            with contextlib.suppress(OSError):  # EAGAIN: empty; EIO: the interface is down
                while os.read(fd, _FRAME_LIMIT):
                    pass
            os.set_blocking(fd, True)

    async def _live(self) -> None:
        """Starts the board again after each reset, until the power goes or the firmware ends for good."""
        in_a_row = 0
        while self._process is not None:
            started = time.monotonic()
            status = await self._process.wait()
            self.exit_status = status
            watchdog_ms = self.air.watchdog_ms
            await self.air.power_lost()
            in_a_row = 0 if time.monotonic() - started > STEADY_S else in_a_row + 1
            if in_a_row >= RESETS_IN_A_ROW:
                self._say(f"{in_a_row} resets in a row: the board stays off")
                return
            cause = _CAUSES.get(status)
            if cause is None and watchdog_ms > 0:
                # The firmware is gone, its watchdog is not: nobody feeds it any more.
                self._say(f"the firmware has ended ({_ended(status)}); its watchdog bites in {watchdog_ms} ms")
                await asyncio.sleep(watchdog_ms / 1000)
                cause = wifi.WDT_RESET
            elif cause is None:
                self._say(f"the firmware has ended ({_ended(status)}); nothing starts it again")
                return
            else:
                await asyncio.sleep(RESET_PAUSE_S)
            self.air.reset_cause = cause
            await self._boot()

    def _say(self, text: str) -> None:
        logger.warning("bridge: %s", text)
        with open(self.log, "a") as log:
            log.write(f"[board] {text}\n")

    # --- flash ----------------------------------------------------------------------------------------------------

    def erase(self) -> None:
        """An empty flash, as the board left the factory. The board must be off."""
        if self.running:
            raise DormError("The flash cannot be erased while the board runs: power it off first.")
        shutil.rmtree(self.flash, ignore_errors=True)
        self.flash.mkdir(parents=True, mode=0o700)

    def provision(
        self,
        uplink: topology.Wifi = topology.DORM_WIFI,
        segment: topology.Wifi = topology.SEGMENT_WIFI,
        mode: str | None = None,
        ethernet: str | None = None,
    ) -> None:
        """Leaves a headless set-up on the flash: the firmware takes it in, and removes it, at its next boot.

        `mode`: the addressing, "passthrough" or "private"; `ethernet`: what the socket is, "segment" or "uplink". None
        leaves it as it is.
        """
        self.flash.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(
            {
                "uplink": {"ssid": uplink.ssid, "key": uplink.key},
                "segment": {"ssid": segment.ssid, "key": segment.key},
                **({} if mode is None else {"mode": mode}),
                **({} if ethernet is None else {"ethernet": ethernet}),
            }
        )
        path = self.flash / "provision.json"
        path.touch(0o600)
        path.write_text(text)

    def mode(self) -> str | None:
        """The addressing that the bridge has saved; None before it has saved anything."""
        try:
            mode = json.loads((self.flash / "settings.json").read_text())["data"]["mode"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(mode)

    # --- console --------------------------------------------------------------------------------------------------

    def serial(self) -> str:
        """All that the board has printed so far, over all boots."""
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    async def wait_for(self, pattern: str, limit_s: float, *, after: int = 0) -> re.Match[str]:
        """The first match of the regular expression in the console's whole lines from offset `after` on.

        Raises DormError when it does not come within `limit_s`, or when the board has ended before.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        match: re.Match[str] | None = None

        def found() -> bool:
            nonlocal match
            text = self.serial()
            match = wanted.search(text, after, text.rfind("\n") + 1)
            return match is not None

        await self.until(found, limit_s, f"{pattern!r} on the bridge's console")
        assert match is not None
        return match

    async def until(self, predicate: Callable[[], object], limit_s: float, what: str) -> None:
        """Waits for `predicate()`. Raises DormError after `limit_s`, or when the board has ended for good."""
        limit = time.monotonic() + limit_s
        while not predicate():
            ended = self._life is not None and self._life.done()
            if ended and not predicate():
                raise DormError(
                    f"The bridge has ended ({_ended(self.exit_status)}). Waited for: {what}.\n{self._tail()}"
                )
            if time.monotonic() > limit:
                raise DormError(f"Not within {limit_s:g} s: {what}. The end of the bridge's console:\n{self._tail()}")
            await asyncio.sleep(0.02)

    def _tail(self) -> str:
        return "\n".join(f"  | {line}" for line in self.serial().splitlines()[-15:])


def _ended(status: int | None) -> str:
    if status is None:
        return "still running"
    return f"signal {-status}" if status < 0 else f"status {status}"
