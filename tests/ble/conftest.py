"""Two sides of a Bluetooth link: a board (a real SIM interpreter process) and a central (a Bumble host), on one air.

BLE=nimble in the environment takes the board with MicroPython's real NimBLE and the real aioble instead
(build/sim-nimble/speakeasy-sim), which is the judge of how faithful boards/SIM/ble is.
"""

import asyncio
import contextlib
import os
import tempfile
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from ble_sides import BOARD, EPILOGUE, LIMIT_S, NIMBLE, PRELUDE, TOP, Board, Central
from bumble import hci
from bumble.device import Device, DeviceConfiguration
from bumble.transport.unix import open_unix_client_transport
from dorm.bluetooth import BluetoothAir


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sessions", type=int, metavar="N", help="how many connections tests/ble/test_fuzz.py makes")


@pytest_asyncio.fixture
async def directory() -> AsyncIterator[Path]:
    # Short: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ble-") as name:
        yield Path(name)


@pytest_asyncio.fixture
async def air(directory: Path) -> AsyncIterator[BluetoothAir]:
    air = BluetoothAir()
    await air.start(directory / "air")
    yield air
    await air.stop()


@pytest_asyncio.fixture
async def board(air: BluetoothAir, directory: Path) -> AsyncIterator[Callable[[str], Awaitable[Board]]]:
    """Starts a program on a board: `await board(source)`; `task()` in it is run."""
    started: list[Board] = []
    flash = directory / "flash"
    flash.mkdir()

    async def start(source: str) -> Board:
        (flash / "main.py").write_text(PRELUDE + textwrap.dedent(source) + EPILOGUE)
        environment = {**os.environ, "SPEAKEASY_AIR": str(directory / "air")}
        # Ahead of the frozen modules, so that an edit needs no rebuild.
        ours = [str(TOP / "firmware")] if NIMBLE else [str(TOP / "boards/SIM/ble"), str(TOP / "firmware")]
        environment["MICROPYPATH"] = ":".join([*ours, ".frozen"])
        environment["MICROPYBTUART"] = str(directory / "air" / "hci.pty")
        process = await asyncio.create_subprocess_exec(
            BOARD,
            # Compiling the firmware on the board takes more memory than the frozen firmware needs to run.
            *("-X", "heapsize=1M"),
            "main.py",
            cwd=flash,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        started.append(Board(process))
        return started[-1]

    yield start
    for each in started:
        await each.kill()


@pytest_asyncio.fixture
async def new_central(air: BluetoothAir, directory: Path) -> AsyncIterator[Callable[[], Awaitable[Central]]]:
    transports = []

    async def make() -> Central:
        transport = await open_unix_client_transport(str(directory / "air" / "hci.sock"))
        transports.append(transport)
        config = DeviceConfiguration(name="central", address=hci.Address.generate_static_address())
        device = Device.from_config_with_hci(config, transport.source, transport.sink)
        await asyncio.wait_for(device.power_on(), LIMIT_S)
        return Central(device)

    yield make
    for transport in transports:
        with contextlib.suppress(OSError):
            await transport.close()


@pytest_asyncio.fixture
async def central(new_central: Callable[[], Awaitable[Central]]) -> Central:
    return await new_central()


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """`await until(condition)`: polls until it holds."""

    async def wait(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
