"""The dorm, whole: builds the network of topology.py, starts its machines, and takes all of it down again."""

import asyncio
import fcntl
import inspect
import ipaddress
import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from dorm import namespaces
from dorm import topology as t
from dorm.errors import DormError
from dorm.jsonlines import ask_json
from dorm.namespaces import Namespace, outer_pid
from dorm.people import Person
from dorm.process import require_root
from dorm.programs import Program, require_programs
from dorm.router import Router
from dorm.speaker.machine import SpeakerMachine

SOCKET_PATH_MAX = 107  # bytes, <sys/un.h>
LONGEST_SOCKET = "internet.sock"
# Bounds for machines that are slow and busy: nothing takes as long on a quiet one.
STARTUP_S = 60.0  # for everything but the bridge
STOP_S = 20.0  # for each part, at the end
SERIAL_S = 60.0  # for the bridge's first words
POLL_S = 0.05
PASSTHROUGH, PRIVATE = "passthrough", "private"
LOCK = "speakeasy-dorm.lock"  # held while a dorm is up; also the file by which a run directory is known as one
_IDENTITY = re.compile(r"^bridge id: ([0-9a-f]+)\s*$.*?^setup code: (\S+)\s*$", re.MULTILINE | re.DOTALL)

_log = logging.getLogger("dorm")


class Internet:
    """The internet's machine: see dorm.internet."""

    def __init__(self, namespace: Namespace, run_dir: Path) -> None:
        self._socket = run_dir / "internet.sock"
        self._program = Program(
            namespace, run_dir / "log" / "internet.log", sys.executable, "-m", "dorm.internet", str(self._socket)
        )

    async def start(self) -> None:
        await self._program.start(self._answers)

    async def stop(self) -> None:
        await self._program.stop()

    def check(self) -> None:
        self._program.check()

    async def _answers(self) -> bool:
        await self.served()  # its last socket: the web and the echoes are there before
        return True

    async def served(self) -> dict[str, int]:
        """Bytes of streams served so far, by the client's address."""
        answer = await ask_json(self._socket, {"op": "served"})
        return {str(address): int(count) for address, count in answer["served"].items()}

    async def listeners(self) -> dict[str, int]:
        """Streams being pulled now, by the client's address."""
        answer = await ask_json(self._socket, {"op": "served"})
        return {str(address): int(count) for address, count in answer["listeners"].items()}


class Dorm:
    """A virtual dorm; an async context manager.

    `run_dir` holds everything that it writes (see topology.run_dir for the default). `ble` is the bridge's Bluetooth:
    "bumble" or "nimble", `stack` its IP stack: "kernel" or "lwip" (None: as SPEAKEASY_STACK says, else "kernel").
    Without `bridge` the bridge's place stays empty; without `provision` the bridge knows no Wi-Fi network at its first
    boot. `mode` is the addressing that the bridge is provisioned with; with `ethernet` its board has a socket, and is
    told what it is: "segment" or "uplink". `lan` is the dorm's network. `board_options` go to dorm.board.Board.

    Attributes: `lan`, `stack`; once up: `namespaces` and `people` (both
    by name), `router`, `internet`, `speaker`, `board`, `air` (the board's Wi-Fi), `bluetooth`.
    """

    def __init__(
        self,
        run_dir: Path | str | None = None,
        *,
        ble: str = "bumble",
        stack: str | None = None,
        bridge: bool = True,
        provision: bool = True,
        mode: str = PASSTHROUGH,
        ethernet: str | None = None,
        lan: t.Lan = t.DORM_LAN,
        **board_options: Any,
    ) -> None:
        # Absolute: programs get it whose working directory is another one.
        self.run_dir = (Path(run_dir) if run_dir is not None else t.run_dir()).absolute()
        self.namespaces: dict[str, Namespace] = {}
        self.people: dict[str, Person] = {}
        self.router: Router
        self.internet: Internet
        self.speaker: SpeakerMachine
        self.board: Any = None
        self.air: Any = None
        self.bluetooth: Any = None
        self._mode = mode
        self._ethernet = ethernet
        self.lan = lan
        self.began = time.monotonic()
        self._ble = ble
        self.stack = stack or os.environ.get("SPEAKEASY_STACK") or "kernel"
        self._with_bridge = bridge
        self._provision = provision
        self._board_options = board_options
        self._lock: int | None = None
        self._undo: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    async def __aenter__(self) -> "Dorm":
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    # --- up and down ------------------------------------------------------------------------------------------------
    async def up(self) -> None:
        """Returns when router, internet, people and the speaker's machine are there; the bridge may still be booting.

        Raises DormError, with everything taken down again, when anything is missing or fails.
        """
        require_root()
        if not namespaces.TUN.exists():
            raise namespaces.no_tun("no such file or directory")
        require_programs()
        if self._with_bridge:
            self._require_board()
        self._take_run_dir()
        try:
            await self._build()
        except BaseException:
            await self.down()
            raise

    async def down(self) -> None:
        """Stops everything, in the opposite order of its start. Calling it again does nothing.

        Whoever cancels it in the middle (a Ctrl-C ends programs of the dorm first, and the dorm for want of them) is
        heard when all is down.
        """
        # In a task that nobody has cancelled: in one that was, Python 3.11 ends asyncio.timeout by CancelledError in
        # place of TimeoutError, and the first program that takes long to stop would leave all others up.
        ending = asyncio.ensure_future(self._down())
        cancelled = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                cancelled = True
        ending.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _down(self) -> None:
        while self._undo:
            name, undo = self._undo.pop()
            try:
                async with asyncio.timeout(STOP_S):
                    await undo()
            except TimeoutError:
                _log.warning("taking down %s: not done within %g s", name, STOP_S)
            except Exception as error:  # noqa: BLE001  the rest must still be taken down
                _log.warning("taking down %s: %s", name, error)
        for namespace in self.namespaces.values():
            namespace.close()
        self.namespaces = {}
        if self._lock is not None:
            self._clear_run_dir(keep=("log",))
            os.close(self._lock)
            self._lock = None

    def _require_board(self) -> None:
        from dorm.board import binary  # see _begin_bridge

        binary(self._ble, self.stack)

    def _take_run_dir(self) -> None:
        path = self.run_dir
        if len(os.fsencode(path / LONGEST_SOCKET)) > SOCKET_PATH_MAX:
            raise DormError(f"The run directory's path is too long for sockets: {path}. Name another: SPEAKEASY_RUN.")
        try:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise DormError(
                f"The run directory {path} cannot be made ({error.strerror}). Name another: SPEAKEASY_RUN."
            ) from None
        mark = path / LOCK
        if not (mark.is_file() and not mark.is_symlink()) and any(path.iterdir()):
            raise DormError(f"{path} is not empty and not a dorm's. Name another run directory: SPEAKEASY_RUN.")
        lock = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DormError(
                f"A dorm is already up in {path}. Take it down with `speakeasy dorm down`, or name another run "
                "directory in every command: SPEAKEASY_RUN (sudo does not pass it on: sudo SPEAKEASY_RUN=... speakeasy "
                "...)."
            ) from None
        self._lock = lock
        self._clear_run_dir()  # what a dorm that was killed has left
        for name in ("log", "lease", "home", "air", "router", "flash"):
            (path / name).mkdir(mode=0o700 if name in ("log", "home", "flash") else 0o755)  # keys, setup codes

    def _clear_run_dir(self, keep: tuple[str, ...] = ()) -> None:
        for entry in self.run_dir.iterdir():
            if entry.name == LOCK or entry.name in keep:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    async def _build(self) -> None:
        for name in t.NAMESPACES:
            self.namespaces[name] = await Namespace.create(name)
        await self._lay_cables()
        ns, run = self.namespaces, self.run_dir
        self.router = Router(ns[t.ROUTER], run / "router", run / "log" / "router.log", self.lan)
        self.internet = Internet(ns[t.INTERNET], run)
        await self._begin("router", self.router)
        await self._begin("internet", self.internet)
        for name in t.PEOPLE:
            self.people[name] = Person(name, ns[name], run)
            await self._begin(name, self.people[name])
        if self._with_bridge:
            await self._begin_bridge()
            # The segment's radio is the speaker's network interface: it came with the board.
            self.speaker = SpeakerMachine(ns[t.SPEAKER], run)
            await self._begin("speaker", self.speaker)
            if self._provision:
                self.board.provision(mode=self._mode, ethernet=self._ethernet)
            await self.board.power_on()
        self._write_description()
        await self.until(self._everyone_is_there, STARTUP_S, "everybody in the dorm to have an address")

    async def _begin(self, name: str, part: Any) -> None:
        self._undo.append((name, part.stop))
        await part.start()

    async def _begin_bridge(self) -> None:
        # Imported here: a dorm without a bridge needs neither Bumble nor the board.
        from dorm.bluetooth import BluetoothAir
        from dorm.board import Board

        self.bluetooth = BluetoothAir()
        self._undo.append(("bluetooth", self.bluetooth.stop))
        await self.bluetooth.start(self.run_dir / "air")
        self.board = Board(
            *(self.namespaces, self.run_dir),
            ble=self._ble,
            stack=self.stack,
            has_ethernet=self._ethernet is not None,
            **self._board_options,
        )
        self.air = self.board.air
        await self._begin("bridge", self.board)

    async def _lay_cables(self) -> None:
        ns = self.namespaces
        switch = ns[t.SWITCH]
        # Multicast is flooded, as on a cheap switch, and a port forwards as soon as it is up.
        commands = [
            f"link add {t.SWITCH_BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"link set {t.SWITCH_BRIDGE} up",
        ]
        for name in (t.ROUTER, *t.PEOPLE):
            far = t.ROUTER_LAN if name == t.ROUTER else t.PERSON_IF
            commands += [
                f"link add {name} type veth peer name {far} address {t.MAC[name]} netns {ns[name].path}",
                f"link set {name} master {t.SWITCH_BRIDGE} up",
            ]
        await _ip(switch, commands)
        await _ip(
            ns[t.ROUTER],
            [
                f"addr add {self.lan.router}/{self.lan.prefix} brd + dev {t.ROUTER_LAN}",
                f"link set {t.ROUTER_LAN} up",
                f"link add {t.ROUTER_WAN} type veth peer name {t.INTERNET_IF} address {t.MAC[t.INTERNET]} "
                f"netns {ns[t.INTERNET].path}",
                f"addr add {t.ROUTER_WAN_ADDR}/{t.WAN_PREFIX} brd + dev {t.ROUTER_WAN}",
                f"link set {t.ROUTER_WAN} up",
            ],
        )
        await _ip(
            ns[t.INTERNET],
            [
                f"addr add {t.RADIO_ADDR}/{t.WAN_PREFIX} brd + dev {t.INTERNET_IF}",
                f"link set {t.INTERNET_IF} up",
                f"route add default via {t.ROUTER_WAN_ADDR}",
            ],
        )
        for name in t.PEOPLE:
            await _ip(ns[name], [f"link set {t.PERSON_IF} up"])

    async def _everyone_is_there(self) -> bool:
        self.check()
        if self._with_bridge:
            await self.speaker.state()
        return all(person.dhcp.lease for person in self.people.values())

    def check(self) -> None:
        """Raises DormError when a program of the dorm has ended by itself."""
        self.router.check()
        self.internet.check()
        for person in self.people.values():
            person.dhcp.check()
        if self._with_bridge and hasattr(self, "speaker"):
            self.speaker.check()

    def _write_description(self) -> None:
        description = {
            "pid": outer_pid(),
            "namespaces": {name: namespace.path for name, namespace in self.namespaces.items()},
            "homes": {name: str(person.home) for name, person in self.people.items()},
        }
        path = self.run_dir / "dorm.json"
        path.with_suffix(".new").write_text(json.dumps(description, indent=1) + "\n")
        path.with_suffix(".new").rename(path)

    # --- looking and waiting ----------------------------------------------------------------------------------------
    def person(self, name: str) -> Person:
        """Raises DormError when nobody has that name."""
        try:
            return self.people[name]
        except KeyError:
            raise DormError(f"Nobody in the dorm is called {name!r}. There are {', '.join(t.PEOPLE)}.") from None

    async def until(self, predicate: Callable[[], Any], limit_s: float, what: str, interval_s: float = POLL_S) -> Any:
        """Waits until `predicate()` (which may be a coroutine function) is true, and returns what it gave.

        DormError and OSError of the predicate count as "not yet" (as do things that are not there yet). After `limit_s`
        raises DormError: "waited ... s for `what`".
        """
        end = time.monotonic() + limit_s
        last: BaseException | None = None
        while True:
            try:
                value = predicate()
                if inspect.isawaitable(value):
                    value = await value
                last = None
                if value:
                    return value
            except (DormError, OSError) as error:
                last = error
            if time.monotonic() >= end:
                why = f" Last: {last}" if last is not None else ""
                raise DormError(
                    f"Waited {limit_s:g} s for {what}, in vain. The logs are in {self.run_dir / 'log'}.{why}"
                )
            await asyncio.sleep(interval_s)

    async def serial_label(self, limit_s: float = SERIAL_S) -> tuple[str, str]:
        """(bridge id in hex, setup code as text) as the bridge printed them at its first boot."""
        label: tuple[str, str] = await self.until(
            self.label, limit_s, "the bridge to print its label on the serial console"
        )
        return label

    def label(self) -> tuple[str, str] | None:
        """As `serial_label`, without waiting: None when it has not been printed yet."""
        match = _IDENTITY.search(self.board.serial())
        return (match[1], match[2]) if match else None

    def dhcp_clients(self, name: str) -> list[int]:
        """Process ids of the udhcpc processes that run in the namespace `name`, as this process may signal them."""
        wanted = os.stat(self.namespaces[name].path).st_ino
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "comm").read_text().strip() != "udhcpc" or os.stat(entry / "ns" / "net").st_ino != wanted:
                    continue
                found.append(_inner_pid((entry / "status").read_text()))
            except OSError:
                continue  # it has ended
        return found

    def renew_dhcp(self, name: str) -> None:
        """Makes the DHCP client in that namespace ask again now, as when half of its lease is over."""
        clients = self.dhcp_clients(name)
        if not clients:
            raise DormError(f"No DHCP client runs in {name}.")
        for pid in clients:
            os.kill(pid, signal.SIGUSR1)

    async def change_bridge_address(self, address: str | None = None) -> str:
        """The uplink's DHCP server gives the bridge another address (returned), and the bridge asks again."""
        new = await self.router.change_address(self.air.uplink_mac, address)
        if self.stack == "kernel":
            self.renew_dhcp(t.BRIDGE)
        else:
            self.air.renew()
        return new

    @property
    def mode(self) -> str:
        """The addressing: as the bridge has saved it, whoever has chosen it; before, as it is provisioned."""
        return (self.board.mode() if self.board is not None else None) or self._mode

    def segment_address(self) -> str:
        """The bridge's own address on the segment. Raises DormError when there is none yet."""
        address = str(self.air.segment_addr)
        if address == "0.0.0.0":
            raise DormError("The bridge's side of the segment is not up.")
        return address

    def speaker_address(self) -> str | None:
        """What the speaker ought to have: X, or with private addressing the one beside the bridge's on the segment."""
        if self.mode == PASSTHROUGH:
            return self.bridge_address()
        return str(ipaddress.ip_address(self.segment_address()) + 1)

    def bridge_address(self) -> str | None:
        """X: the address of the bridge's uplink, as the DHCP server knows it."""
        return self.router.leases().get(self.air.uplink_mac)


def _inner_pid(status: str) -> int:
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    raise DormError("/proc has no NSpid: a kernel older than 4.1.")


async def _ip(namespace: Namespace, commands: list[str]) -> None:
    await namespace.run("ip", "-batch", "-", input="".join(f"{command}\n" for command in commands))
