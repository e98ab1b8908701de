"""The first minute on the phone page: from the label's code, or an invite, to being let in; asserted at the bridge."""

import pytest
from conftest import OpenPage
from dorm import topology as t
from dorm import wifi
from dorm.dorm import Dorm
from dorm_life import answers, settled
from page_tools import Served, screenshots, settings, setup_code
from playwright.async_api import Page, expect
from steps import phones, see, tap

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "Key of this Wi-Fi"


@pytest.fixture(scope="module")
def provisioned() -> bool:
    return False


@pytest.fixture(autouse=True, scope="module")
def neighbours(dorm: Dorm) -> None:
    """What the bridge sees besides the dorm's own Wi-Fi."""
    dorm.air.networks += [
        wifi.AccessPoint("Café", "", bssid="02:00:00:00:42:a6", rssi=-78),
        wifi.AccessPoint("Uni", "", bssid="02:00:00:00:42:a7", rssi=-66, enterprise=wifi.Enterprise({}, "")),
    ]


async def choose(page: Page, network: str) -> None:
    await page.get_by_role("list", name="Networks that the bridge sees").get_by_role("button", name=network).click()


async def test_an_owner_from_the_label_to_music(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    code = await setup_code(dorm)
    page = await open_page(f"{served.url}#code={code}")
    await see(page, "Find your bridge")
    assert "#" not in page.url
    await screenshots(page, "first-find")
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")
    await screenshots(page, "first-found")
    assert phones(dorm) == {}
    await page.get_by_label("This phone's name").fill("Ada's phone")
    await tap(page, "Pair this phone")
    await see(page, "Which Wi-Fi is the dorm's?")
    assert phones(dorm) == {"Ada's phone": "owner"}
    await expect(page.get_by_role("button", name="Uni good signal")).to_contain_text("user's name")
    await screenshots(page, "first-wifi")

    # A wrong key leaves what was typed.
    await choose(page, t.DORM_WIFI.ssid)
    await see(page, f"Join {t.DORM_WIFI.ssid}")
    await page.get_by_label(KEY, exact=True).fill(t.DORM_WIFI.key + "!")
    await tap(page, "Join")
    await expect(page.get_by_role("alert")).to_contain_text("The key is wrong")
    await expect(page.get_by_label(KEY, exact=True)).to_have_value(t.DORM_WIFI.key + "!")
    await screenshots(page, "first-wrong-key")
    await page.get_by_label(KEY, exact=True).fill(t.DORM_WIFI.key)
    await tap(page, "Join")

    await see(page, "Put the speaker on")
    assert settings(dorm)["uplinks"][0]["ssid"] == t.DORM_WIFI.ssid
    await expect(page.get_by_text(settings(dorm)["segment"]["key"])).to_be_visible()
    await screenshots(page, "first-speaker")
    # It goes on where it was.
    await page.reload()
    await see(page, "Go on with your bridge")
    await screenshots(page, "first-go-on")
    await tap(page, "Connect")
    await see(page, "Put the speaker on")
    await page.get_by_role("button", name="My speaker is new").click()
    await see(page, "Set up a new speaker")
    await screenshots(page, "first-set-up")
    await tap(page, "Back")
    await page.get_by_role("button", name="My speaker knows a Wi-Fi already").click()
    await see(page, "The Wi-Fi that the speaker knows")
    await screenshots(page, "first-knows")
    await page.get_by_label("Name of the network").fill(t.SEGMENT_WIFI.ssid)
    await page.get_by_label(KEY, exact=True).fill(t.SEGMENT_WIFI.key)
    await tap(page, "Use these")
    await see(page, "Put the speaker on")
    await expect(page.get_by_text("The speaker is there")).to_be_visible()
    await expect(page.get_by_text(t.MAC[t.SPEAKER])).to_be_visible()
    assert settings(dorm)["segment"] == {"ssid": t.SEGMENT_WIFI.ssid, "key": t.SEGMENT_WIFI.key}
    await screenshots(page, "first-speaker-there")
    await tap(page, "Next")

    await see(page, "Let this phone in")
    await screenshots(page, "first-let-in")
    x = await settled(dorm)
    assert not await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
    await tap(page, "Let me in")
    await see(page, "Play something")
    await expect(page.get_by_text("You are in until")).to_be_visible()
    assert "#" not in page.url
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
    await screenshots(page, "first-play")
    await tap(page, "Done")
    await expect(page.get_by_text("Ada's phone").first).to_be_attached()
