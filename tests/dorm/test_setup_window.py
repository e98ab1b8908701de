"""The set-up window: a second machine beside the speaker, and no way out for either."""

import json
import socket
import struct
import sys

import pytest
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import LIMIT_S, hear, in_passthrough_alone, plays, speakeasy

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


def discover(mac: str) -> bytes:
    """A DHCPDISCOVER, from Ethernet header to end (RFC 2131)."""
    own = bytes.fromhex(mac.replace(":", ""))
    bootp = struct.pack("!BBBB4s20x6s202x", 1, 1, 6, 0, b"dorm", own) + b"\x63\x82\x53\x63" + b"\x35\x01\x01\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return b"\xff" * 6 + own + b"\x08\x00" + head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


def asks_for_an_address(dorm: Dorm, mac: str) -> None:
    """On the speaker's own radio: on the air there is no difference but the MAC."""

    def made() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind((t.SEGMENT_RADIO, 0))
        return sock

    with dorm.namespaces[t.SPEAKER].inside(made) as sock:
        sock.send(discover(mac))


async def asked(dorm: Dorm) -> list[str]:
    return sorted((await speakeasy(dorm, t.PHONE, "setup", "--show"))["seen"])


async def test_a_phone_beside_the_speaker_and_afterwards_the_speaker_alone(owned: Dorm) -> None:
    await plays(owned)
    assert not owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    opened = await speakeasy(owned, t.PHONE, "setup", "--minutes", "30")
    assert 1700 < opened["left_s"] <= 1800

    async def both_there() -> bool:
        owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)  # it goes on trying, as phones do
        return await asked(owned) == [SPEAKER] and sorted(owned.air.stations) == [SPEAKER, BESIDE]

    # Who only is there may not know the key.
    await owned.until(both_there, LIMIT_S, "both machines on the speaker's Wi-Fi")

    async def both_seen() -> bool:
        asks_for_an_address(owned, BESIDE)
        return await asked(owned) == [SPEAKER, BESIDE]

    await owned.until(both_seen, LIMIT_S, "both machines to have asked for an address")

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
    # Whatever happens meanwhile: nobody is the speaker by having come first.
    await owned.board.power_cycle()
    air = owned.air
    await air.wait(lambda: air.stations == [SPEAKER], LIMIT_S, "the speaker on its Wi-Fi")

    async def nobody() -> bool:
        status = await speakeasy(owned, t.PHONE, "status")
        assert status["segment"]["speaker"] is None
        return status["segment"]["state"] == "undecided" and status["uplink"]["state"] == "up"

    await owned.until(nobody, LIMIT_S, "the bridge to be up")
    decided = await speakeasy(owned, t.PHONE, "setup", "--speaker", SPEAKER)
    assert (decided["undecided"], decided["speaker"]) == (False, SPEAKER)
    await air.wait(lambda: (air.stations, air.ap.max_clients) == ([SPEAKER], 1), LIMIT_S, "the speaker alone")
    assert not owned.air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    await plays(owned)


async def test_whoever_takes_the_place_of_the_chosen_speaker_is_thrown_out(owned: Dorm) -> None:
    air = owned.air
    await air.roam_speaker(False)
    assert air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    air.speaker_present = True  # it comes back, and finds its place taken
    await air.wait(lambda: air.stations == [SPEAKER], LIMIT_S, "the other one to be thrown out")
    await plays(owned)


async def test_another_one_is_thrown_out_and_the_music_goes_on(owned: Dorm) -> None:
    """As if the driver had let in one too many: the access point is not begun anew for it."""
    air = owned.air
    await plays(owned)
    changes = len(owned.speaker.links)
    air.ap.max_clients = 2
    assert air.join_segment(BESIDE, t.SEGMENT_WIFI.key)
    air.ap.max_clients = 1
    await air.wait(lambda: air.stations == [SPEAKER], LIMIT_S, "the other one to be thrown out")
    await hear(owned, 2)
    assert len(owned.speaker.links) == changes
