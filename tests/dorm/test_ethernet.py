"""A bridge with an Ethernet socket: the socket in the dorm's wall is its uplink, or the speaker hangs on its cable."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from dorm import ethernet
from dorm import topology as t
from dorm.dorm import PASSTHROUGH, Dorm
from dorm_life import LIMIT_S, own, plays, settled, speakeasy

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def owned_dorm(run_dir: Path, side: str) -> AsyncIterator[Dorm]:
    async with Dorm(run_dir, mode=PASSTHROUGH, ethernet=side) as dorm:
        await settled(dorm)
        await own(dorm)
        yield dorm


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_uplink(run_dirs: Path) -> AsyncIterator[Dorm]:
    """The bridge is on the dorm's network by cable; the speaker is on the bridge's Wi-Fi."""
    async for dorm in owned_dorm(run_dirs / "uplink", ethernet.UPLINK):
        yield dorm


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_segment(run_dirs: Path) -> AsyncIterator[Dorm]:
    """The speaker is on the bridge by cable; the bridge is on the dorm's Wi-Fi."""
    async for dorm in owned_dorm(run_dirs / "segment", ethernet.SEGMENT):
        yield dorm


async def refused(dorm: Dorm, *words: str) -> str:
    done = await dorm.person(t.PHONE).run("speakeasy", *words, check=False, input="correct horse")
    assert done.returncode == 1
    return done.stderr


async def test_the_uplink_by_cable(by_uplink: Dorm) -> None:
    await plays(by_uplink)
    assert not by_uplink.air.station.associated
    assert by_uplink.air.stations == [t.MAC[t.SPEAKER]]
    status = await speakeasy(by_uplink, t.PHONE, "status")
    assert (status["ethernet"], status["uplink"]["state"], status["uplink"]["ssid"]) == ("uplink", "up", "")
    assert status["uplink"]["addr"] == by_uplink.bridge_address()
    assert "uplink is its cable" in await refused(by_uplink, "join", "Dorm")


async def test_the_uplinks_cable_is_pulled_and_put_back(by_uplink: Dorm) -> None:
    mark = len(by_uplink.board.serial())
    by_uplink.air.plug.plug(False)
    await by_uplink.board.wait_for("uplink: .*plugged in", LIMIT_S, after=mark)
    await by_uplink.until(lambda: by_uplink.bluetooth.advertising, LIMIT_S, "the bridge to open Bluetooth")
    by_uplink.air.plug.plug(True)
    await plays(by_uplink)


async def test_the_segment_by_cable(by_segment: Dorm) -> None:
    await plays(by_segment)
    assert by_segment.air.station.associated
    assert not by_segment.air.ap.active
    status = await speakeasy(by_segment, t.PHONE, "status")
    assert (status["ethernet"], status["segment"]["speaker"]) == ("segment", t.MAC[t.SPEAKER])
    assert "bridge's cable" in await refused(by_segment, "segment")


async def test_the_speakers_cable_is_pulled_and_put_back(by_segment: Dorm) -> None:
    mark = len(by_segment.board.serial())
    by_segment.air.plug.plug(False)
    await by_segment.board.wait_for("segment: the speaker has left", LIMIT_S, after=mark)
    by_segment.air.plug.plug(True)
    await by_segment.board.wait_for("segment: the speaker is on its cable", LIMIT_S, after=mark)
    await plays(by_segment)


async def test_another_mode_makes_the_speaker_on_a_cable_ask_again(by_segment: Dorm) -> None:
    await speakeasy(by_segment, t.PHONE, "mode", "private")
    await plays(by_segment)


async def test_the_cable_becomes_the_uplink(by_segment: Dorm) -> None:
    answer = await speakeasy(by_segment, t.PHONE, "ethernet", "uplink")
    assert (answer["ethernet"], answer["now"]) == ("uplink", "segment")
    boots = by_segment.board.boots
    await speakeasy(by_segment, t.PHONE, "reboot")
    await by_segment.until(lambda: by_segment.board.boots > boots, LIMIT_S, "the bridge to start again")
    await plays(by_segment)
    assert not by_segment.air.station.associated
    assert by_segment.air.ap.active
