"""A bridge with an Ethernet socket: the speaker's cable in it, then the dorm's; and which machine is the speaker."""

import asyncio
import contextlib
import re
import socket

import pytest
from conftest import OpenPage
from dorm import topology as t
from dorm import wifi
from dorm.dorm import Dorm
from dorm_life import LIMIT_S, PRESS_S, answers, press, settled
from page_tools import Served, screenshots, settings, setup_code, until
from playwright.async_api import Page, expect
from steps import pair, phones, see, tap, told
from test_everyday import confirm, connects, goes_to, heading, part
from test_setup_window import BESIDE, asks_for_an_address

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEAKER = t.MAC[t.SPEAKER]
KEY = "Key of this Wi-Fi"
WHICH = "Which one is the speaker?"
# As long as a name may be, each without a place where a line ends: 32 bytes.
LONG = {"letters": "W" * 32, "arabic": "ش" * 16, "emoji": "🎵" * 8}
HOUSE = t.Wifi(LONG["arabic"], "correct horse")

ETH_P_ALL = 3
BOOTP = 14 + 20 + 8  # where it begins in a frame
ANSWER_S = 2.0


@pytest.fixture(scope="module")
def provisioned() -> bool:
    return False


@pytest.fixture(scope="module")
def ethernet() -> str:
    return "segment"  # as the factory leaves it


@pytest.fixture(autouse=True, scope="module")
def neighbours(dorm: Dorm) -> None:
    dorm.air.networks += [
        wifi.AccessPoint(ssid, HOUSE.key, bssid=f"02:00:00:00:42:b{n}") for n, ssid in enumerate(LONG.values())
    ]


async def test_the_speaker_on_the_cable(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    await dorm.board.power_off()
    dorm.air.plug.plug(False)
    await dorm.board.power_on()
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    page = await open_page(f"{served.url}#code={await setup_code(dorm)}")
    await pair(page, "M" * 32)
    await see(page, "Which Wi-Fi is the dorm's?")
    for name, ssid in LONG.items():
        await page.get_by_role("button", name=ssid).click()
        await see(page, f"Join {ssid}")
        await screenshots(page, f"long-join-{name}")
        await tap(page, "Back")
    await screenshots(page, "long-networks")
    await page.get_by_role("button", name=HOUSE.ssid).click()
    await page.get_by_label(KEY, exact=True).fill(HOUSE.key)
    await tap(page, "Join")
    await see(page, "Put the speaker on")
    assert [network["ssid"] for network in settings(dorm)["uplinks"]] == [HOUSE.ssid]
    await expect(page.get_by_text("Plug the speaker into the bridge's Ethernet socket.")).to_be_visible()
    await expect(page.get_by_text("Waiting for the speaker")).to_be_visible()
    await expect(page.get_by_role("button", name="My speaker is new")).to_have_count(0)
    await screenshots(page, "first-speaker-cable")
    there = page.get_by_text("The speaker is there")
    for plugged in (True, False, True):
        dorm.air.plug.plug(plugged)
        await expect(there).to_be_visible(visible=plugged)
    await expect(page.get_by_text(SPEAKER)).to_be_visible()
    assert (settings(dorm)["ethernet"], dorm.air.ap.active) == ("segment", False)
    await tap(page, "Next")
    await see(page, "Let this phone in")
    await screenshots(page, "long-let-in")
    x = await settled(dorm)
    await tap(page, "Let me in")
    await see(page, "Play something")
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
    await tap(page, "Done")

    # Every day. What is by cable has no Wi-Fi to be set.
    await page.get_by_text("You are in until").first.wait_for()
    await connects(page)
    await screenshots(page, "long-overview")
    for name in ("Set-up window", "The speaker's Wi-Fi"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await the_dorms_cable(dorm, page)


async def the_dorms_cable(dorm: Dorm, page: Page) -> None:
    """The cable is for the dorm's network from now on."""
    await goes_to(page, "For experts")
    cable = part(page, "The bridge's Ethernet")
    await expect(cable.get_by_role("radio", name=re.compile("^The speaker"))).to_be_checked()
    await expect(cable.get_by_text("It is so now.")).to_be_visible()
    await cable.get_by_role("radio", name=re.compile("^The dorm's network")).check()
    await cable.get_by_role("button", name="Change").click()
    await expect(cable.get_by_text("From the next start on.")).to_be_visible()
    assert settings(dorm)["ethernet"] == "uplink"
    assert dorm.air.plug.on("segment")
    await screenshots(page, "everyday-ethernet")
    # The speaker learns the bridge's own Wi-Fi meanwhile.
    segment = settings(dorm)["segment"]
    await dorm.air.teach_speaker(t.Wifi(segment["ssid"], segment["key"]))
    boots = dorm.board.boots
    await tap(page, "Restart the bridge")
    await confirm(page, "Restart")
    await until(dorm, lambda: dorm.board.boots == boots + 1, "the next boot")
    x = await settled(dorm)
    assert dorm.air.plug.on("uplink")
    assert (dorm.air.station.associated, dorm.air.ap.active) == (False, True)
    await expect(page.get_by_text("The connection has ended")).to_be_visible()
    # It has another address there, which the page hears by Bluetooth.
    await press(dorm)
    await tap(page, "Connect again")
    await page.get_by_text("The connection has ended").wait_for(state="hidden")
    await tap(page, "Back")
    await page.get_by_text("The dorm's network, on a cable").wait_for()
    await page.get_by_text(x).first.wait_for()
    await screenshots(page, "everyday-overview-cable")
    await tap(page, "Disconnect")
    await heading(page, "Your speaker")
    await screenshots(page, "everyday-home-cable")
    await tap(page, "Let me in")
    await page.get_by_text(re.compile("^You are in until ")).first.wait_for()
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)


async def test_the_dorm_on_the_cable_and_a_new_speaker(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    """Of a bridge that knows nobody, whose cable is not in."""
    await dorm.board.power_off()
    (dorm.board.flash / "settings.json").unlink()
    dorm.board.provision(ethernet="uplink")
    await dorm.air.teach_speaker(t.SEGMENT_WIFI)
    await dorm.air.roam_speaker(False)
    dorm.air.plug.plug(False)
    await dorm.board.power_on()
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")

    page = await open_page(f"{served.url}#code={await setup_code(dorm)}")
    await pair(page, "Ada's phone")
    await see(page, "Plug the bridge into the wall")
    assert (phones(dorm), settings(dorm)["ethernet"]) == ({"Ada's phone": "owner"}, "uplink")
    await expect(page.get_by_text("Waiting for the network on the cable")).to_be_visible()
    await page.get_by_text("Must devices be registered there?").click()
    await expect(page.get_by_text(t.MAC[t.ETHERNET])).to_be_visible()
    await screenshots(page, "first-cable")
    dorm.air.plug.plug(True)
    await see(page, "Put the speaker on")
    assert t.MAC[t.ETHERNET] in dorm.router.leases()

    # The power fails while the window is open: nobody is the speaker, and nobody was seen.
    await page.get_by_role("button", name="My speaker is new").click()
    await tap(page, "Make room for this phone")
    await expect(page.get_by_text("Room for both for 15 more minutes.")).to_be_visible()
    mark = len(dorm.board.serial())
    await dorm.board.power_cycle()
    await told(page, "The connection to the bridge broke")
    await dorm.board.wait_for("nobody is the speaker until an owner says who is", LIMIT_S, after=mark)
    await keeps_pressing(dorm)
    await tap(page, "Connect again")
    await see(page, WHICH)
    await expect(page.get_by_text("Nobody was seen on the speaker's Wi-Fi yet.")).to_be_visible()
    assert settings(dorm)["undecided"]
    await page.get_by_label("The speaker's address (MAC)").fill(SPEAKER[:-1])
    await tap(page, "That is the speaker")
    await expect(page.get_by_text("Six pairs of 0 to 9 and a to f")).to_be_visible()
    await screenshots(page, "first-which-nobody")
    assert settings(dorm)["speaker"] is None

    # Once more; and now the phone is there, too.
    await tap(page, "Set the speaker up again")
    await expect(page.get_by_text("Room for both for 15 more minutes.")).to_be_visible()
    await until(dorm, lambda: dorm.air.ap.max_clients == 2, "the second place")
    await dorm.air.roam_speaker(True)
    await there_with_the_speaker(dorm, BESIDE)
    await tap(page, "The speaker is set up")
    await see(page, WHICH)
    choice = page.get_by_role("group", name="Devices that were there")
    await expect(choice.get_by_role("radio")).to_have_count(3)
    assert (settings(dorm)["undecided"], settings(dorm)["speaker"]) == (True, None)
    await tap(page, "That is the speaker")
    await expect(page.get_by_text("Choose one.")).to_be_visible()
    assert settings(dorm)["undecided"]
    await choice.get_by_role("radio", name=BESIDE).check()
    await choice.get_by_role("radio", name="Another one").check()
    await expect(page.get_by_label("The speaker's address (MAC)")).to_be_visible()
    await choice.get_by_role("radio", name=SPEAKER).check()
    await screenshots(page, "first-which")
    await tap(page, "That is the speaker")
    await see(page, "Put the speaker on")
    assert (settings(dorm)["undecided"], settings(dorm)["speaker"]) == (False, SPEAKER)
    await expect(page.get_by_text("The speaker is there")).to_be_visible()
    await until(dorm, lambda: (dorm.air.stations, dorm.air.ap.max_clients) == ([SPEAKER], 1), "the speaker alone")

    await tap(page, "Next")
    await see(page, "Let this phone in")
    await expect(page.get_by_text("Be on the same network as the bridge with this phone.")).to_be_visible()
    await screenshots(page, "first-let-in-cable")
    x = await settled(dorm)
    await tap(page, "Let me in")
    await see(page, "Play something")
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)


async def keeps_pressing(dorm: Dorm) -> None:
    """Until it does something: a bridge that has just begun does not look at its button yet."""

    async def heard() -> bool:
        await dorm.air.hold_button(PRESS_S)
        return bool(dorm.bluetooth.advertising)

    await until(dorm, heard, "the bridge to open Bluetooth")


async def there_with_the_speaker(dorm: Dorm, mac: str) -> None:
    """Both have the key, and have asked for an address, as the bridge has heard: it has answered."""

    async def both() -> bool:
        dorm.air.join_segment(mac, settings(dorm)["segment"]["key"])
        address = str((await dorm.speaker.state())["address"])
        return sorted(dorm.air.stations) == sorted([SPEAKER, mac]) and address.startswith("192.168.77.")

    async def answered() -> bool:
        with dorm.namespaces[t.SPEAKER].inside(_listening) as sock, contextlib.suppress(TimeoutError):
            asks_for_an_address(dorm, mac)
            async with asyncio.timeout(ANSWER_S):
                while True:
                    frame = await asyncio.get_running_loop().sock_recv(sock, 2048)
                    if frame[BOOTP : BOOTP + 1] == b"\x02" and frame[BOOTP + 28 :].startswith(
                        bytes.fromhex(mac.replace(":", ""))
                    ):
                        return True
        return False

    await until(dorm, both, "both machines on the speaker's Wi-Fi")
    await until(dorm, answered, "the bridge to answer the second machine")


def _listening() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
    sock.bind((t.SEGMENT_RADIO, ETH_P_ALL))
    return sock
