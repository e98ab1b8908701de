"""Dorms for the tests: real ones, one a module, each in a run directory of its own."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from dorm.speaker.machine import SpeakerMachine


@pytest.fixture(scope="module")
def run_dir() -> Iterator[Path]:
    # Short: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dorm-") as name:
        yield Path(name) / "run"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_dorm(run_dir: Path) -> AsyncIterator[Dorm]:
    """A dorm without a bridge: the speaker hangs on the switch by a plain cable, as it would without us."""
    async with Dorm(run_dir, bridge=False) as dorm:
        switch, speaker = dorm.namespaces[t.SWITCH], dorm.namespaces[t.SPEAKER]
        commands = (
            f"link add cable type veth peer name {t.SEGMENT_RADIO} address {t.MAC[t.SPEAKER]} netns {speaker.path}\n"
            f"link set cable master {t.SWITCH_BRIDGE} up\n"
        )
        await switch.run("ip", "-batch", "-", input=commands)
        dorm.speaker = SpeakerMachine(speaker, run_dir)
        await dorm.speaker.start()
        try:
            await dorm.until(dorm.speaker.state, 20, "the speaker's software")
            await dorm.until(lambda: dorm.speaker.lease, 20, "the speaker's address")
            yield dorm
        finally:
            await dorm.speaker.stop()
