"""The browser's Back (Android's gesture) in the first minute: from screen to screen, and nothing is lost on the way."""

import pytest
from conftest import OpenPage
from dorm import topology as t
from dorm.dorm import Dorm
from emulation import PhoneRadio
from page_tools import Served, press, screenshots, setup_code, until
from playwright.async_api import Page, expect
from speakeasy import codes
from steps import pair, phones, see, tap

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "Key of this Wi-Fi"
WELCOME = "Your speaker, for your phones alone"
QUESTION = "Begin with the code that was just opened?"
ANOTHER = codes.write(bytes(16))


@pytest.fixture(scope="module")
def provisioned() -> bool:
    return False


async def back(page: Page, title: str) -> None:
    """The gesture: the tab stays on this page, and shows the screen before."""
    url = page.url
    # Not go_back(): that waits for a page to be loaded.
    await page.evaluate("history.back()")
    await see(page, title)
    assert page.url == url


async def scan(page: Page, fragment: str) -> None:
    """A link that is opened in the tab in which the page is open already."""
    await page.evaluate("fragment => void (location.hash = fragment)", fragment)
    await page.wait_for_function("location.hash === ''")


async def test_from_screen_to_screen(dorm: Dorm, served: Served, bluetooth: PhoneRadio, open_page: OpenPage) -> None:
    page = await open_page(served.url)
    left: list[str] = []
    page.on("request", lambda request: left.append(request.url) if request.is_navigation_request() else None)
    await see(page, WELCOME)
    await tap(page, "Type the label's code")
    await back(page, WELCOME)
    await tap(page, "Type the label's code")
    code = await setup_code(dorm)
    await page.get_by_label("Code or invite").fill(code)
    await tap(page, "Next")
    await see(page, "Find your bridge")
    await back(page, "Type the code")
    await expect(page.get_by_label("Code or invite")).to_have_value(code)
    await tap(page, "Next")
    await see(page, "Find your bridge")
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")
    await back(page, "Find your bridge")
    assert phones(dorm) == {}
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")
    # While it is being paired nobody gets away.
    dorm.bluetooth.delay(0.1)
    await page.get_by_label("This phone's name").fill("Ada's phone")
    await tap(page, "Pair this phone")
    await expect(page.get_by_role("button", name="Pairing")).to_be_visible()
    for _ in range(2):
        await page.evaluate("history.back()")
    await until(dorm, lambda: phones(dorm), "the phone to be paired")
    dorm.bluetooth.delay(0)

    # The code is behind; what there was to set up is not lost.
    await see(page, "Which Wi-Fi is the dorm's?")
    await back(page, "Your speaker")
    await screenshots(page, "back-unfinished")
    assert phones(dorm) == {"Ada's phone": "owner"}
    # Nor in another tab, which is what opens the next time.
    another = await open_page(served.url, beside=page)
    await see(another, "Your speaker")
    await expect(another.get_by_role("button", name="Go on setting up")).to_be_visible()
    await another.close()
    await bluetooth.attach(page)
    await page.reload()
    await see(page, "Your speaker")
    await tap(page, "Go on setting up")
    await see(page, "Go on with your bridge")
    await back(page, "Your speaker")
    await tap(page, "Go on setting up")
    await tap(page, "Connect")
    await see(page, "Which Wi-Fi is the dorm's?")
    networks = page.get_by_role("list", name="Networks that the bridge sees")
    await networks.get_by_role("button", name=t.DORM_WIFI.ssid).click()
    await see(page, f"Join {t.DORM_WIFI.ssid}")
    await back(page, "Which Wi-Fi is the dorm's?")
    await networks.get_by_role("button", name=t.DORM_WIFI.ssid).click()
    await page.get_by_label(KEY, exact=True).fill(t.DORM_WIFI.key)
    await tap(page, "Join")

    await see(page, "Put the speaker on")
    await back(page, "Which Wi-Fi is the dorm's?")
    await expect(networks).to_be_visible()
    await screenshots(page, "back-joined")
    await tap(page, "Stay on it")
    await see(page, "Put the speaker on")
    for row, title in (
        ("My speaker knows a Wi-Fi already", "The Wi-Fi that the speaker knows"),
        ("My speaker is new", "Set up a new speaker"),
    ):
        await page.get_by_role("button", name=row).click()
        await see(page, title)
        await back(page, "Put the speaker on")
    # An open window does not hold one up.
    await page.get_by_role("button", name="My speaker is new").click()
    await tap(page, "Make room for this phone")
    await expect(page.get_by_text("Room for both for")).to_be_visible()
    await back(page, "Put the speaker on")
    await page.get_by_role("button", name="My speaker is new").click()
    await tap(page, "The speaker is set up")
    await see(page, "Put the speaker on")
    await tap(page, "Go on without the speaker")
    await see(page, "Let this phone in")
    await back(page, "Put the speaker on")
    await tap(page, "Go on without the speaker")
    await see(page, "Let this phone in")
    assert left == [served.url]  # loaded anew once, by hand
    # Nor is there a screen that waits for a bridge with which it has no connection.
    await page.reload()
    await see(page, "Let this phone in")
    await back(page, "Go on with your bridge")
    await tap(page, "Connect")
    await see(page, "Put the speaker on")
    await tap(page, "Go on without the speaker")
    await see(page, "Let this phone in")
    await tap(page, "Let me in")
    await see(page, "Play something")
    await page.reload()
    await see(page, "Play something")
    await back(page, "Your speaker")
    await expect(page.get_by_text("You are in until")).to_be_visible()
    await expect(page.get_by_role("button", name="Go on setting up")).to_have_count(0)


async def test_on_a_page_that_a_link_has_opened_pairing_is_not_lost(
    dorm: Dorm, served: Served, open_page: OpenPage
) -> None:
    """As the camera opens it: with nothing of the page before it. By the button and the code a friend is a guest."""
    page = await open_page("about:blank")
    await press(dorm)
    await page.goto(f"{served.url}#code={await setup_code(dorm)}")
    await pair(page, "Bea's phone")
    await see(page, "Let this phone in")
    assert phones(dorm)["Bea's phone"] == "guest"
    await back(page, "Your speaker")
    await page.go_back()
    assert page.url == "about:blank"


async def test_a_page_that_a_link_has_opened_is_left_by_it(served: Served, open_page: OpenPage) -> None:
    page = await open_page("about:blank")
    await page.goto(f"{served.url}#code={ANOTHER}")
    await see(page, "Find your bridge")
    await page.go_back()
    assert page.url == "about:blank"


async def test_a_scanned_code_asks_before_anything_is_left(served: Served, open_page: OpenPage) -> None:
    page = await open_page(served.url)
    await see(page, WELCOME)
    await tap(page, "Type the label's code")
    field = page.get_by_label("Code or invite")
    await field.fill("7H6P")
    await scan(page, f"code={ANOTHER}")
    dialog = page.get_by_role("dialog", name=QUESTION)
    await expect(dialog).to_be_visible()
    await screenshots(page, "scanned-while-open")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await expect(field).to_have_value("7H6P")
    await back(page, WELCOME)
    await tap(page, "Type the label's code")
    await scan(page, f"code={ANOTHER}")
    await tap(page, "Begin")
    await see(page, "Find your bridge")
    await back(page, WELCOME)
    # Where there is nothing to lose, it begins.
    await scan(page, f"code={ANOTHER}")
    await see(page, "Find your bridge")
    await back(page, WELCOME)


async def test_forward_leads_nowhere(served: Served, open_page: OpenPage) -> None:
    page = await open_page(served.url)
    await tap(page, "Type the label's code")
    await back(page, WELCOME)
    await page.evaluate("history.forward()")
    await page.wait_for_function("history.state?.['speakeasy depth'] === 0")
    await see(page, WELCOME)
    await tap(page, "Type the label's code")
    await back(page, WELCOME)
