"""The set-up window: a second machine beside the speaker, and no way out for either."""

import json
import sys

import pytest
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import LIMIT_S, in_passthrough_alone, plays, speakeasy

# In the window both modes are the same.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), in_passthrough_alone]

SPEAKER = t.MAC[t.SPEAKER]
BESIDE = "02:00:00:00:42:99"  # the phone with the program of the speaker's maker


async def way_out(dorm: Dorm) -> list[int]:
    """Which ports of the internet the speaker reaches."""
    tool = ("env", f"PYTHONPATH={t.REPOSITORY / 'host_tools'}", sys.executable, "-m", "dorm.intruder")
    done = await dorm.namespaces[t.SPEAKER].run(*tool, "scan", t.RADIO_ADDR, "7,80", timeout_s=LIMIT_S)
    found: list[int] = json.loads(done.stdout)["open"]
    return found


async def test_a_phone_beside_the_speaker_and_afterwards_the_speaker_alone(owned: Dorm) -> None:
    await plays(owned)
    assert not owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    opened = await speakeasy(owned, t.PHONE, "setup", "--minutes", "30")
    assert 1700 < opened["left_s"] <= 1800

    async def both_seen() -> bool:
        owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)  # it goes on trying, as phones do
        return sorted((await speakeasy(owned, t.PHONE, "setup", "--show"))["seen"]) == [SPEAKER, BESIDE]

    await owned.until(both_seen, LIMIT_S, "both machines on the speaker's Wi-Fi")

    async def on_the_segment() -> bool:
        return str((await owned.speaker.state())["address"]).startswith("192.168.77.")

    await owned.until(on_the_segment, LIMIT_S, "the speaker to have an address of the segment")
    assert await way_out(owned) == []
    status = await speakeasy(owned, t.PHONE, "status")
    assert (status["segment"]["state"], status["segment"]["speaker"]) == ("set-up", None)
    # It has seen both, and an owner says which one is the speaker.
    closed = await speakeasy(owned, t.PHONE, "setup", "--done")
    assert sorted(closed["seen"]) == [SPEAKER, BESIDE]
    assert (closed["undecided"], closed["speaker"], closed["left_s"]) == (True, None, 0)
    decided = await speakeasy(owned, t.PHONE, "setup", "--speaker", SPEAKER)
    assert (decided["undecided"], decided["speaker"]) == (False, SPEAKER)
    air = owned.air
    await air.wait(lambda: (air.stations, air.ap.max_clients) == ([SPEAKER], 1), LIMIT_S, "the speaker alone")
    assert not owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    await plays(owned)


async def test_whoever_takes_the_place_of_the_chosen_speaker_is_thrown_out(owned: Dorm) -> None:
    await owned.air.roam_speaker(False)
    assert owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    await owned.air.wait(lambda: owned.air.stations == [], LIMIT_S, "the other one to be thrown out")
    await owned.air.roam_speaker(True)
    await plays(owned)
