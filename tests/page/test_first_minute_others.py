"""The first minute of those who come after: a second owner, whose bridge needs another Wi-Fi, and guests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from conftest import OpenPage
from dorm import topology as t
from dorm import wifi
from dorm.dorm import Dorm
from dorm_life import answers, press
from page_tools import Served, laptop, screenshots, settings, setup_code, until
from playwright.async_api import Page, expect
from steps import pair, phones, see, tap

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN = t.Wifi("Attic", "nobody sees it")
UNI_USER, UNI_PASSWORD, UNI_SERVER = "ada@uni.example", "right one", "radius.uni.example"
KEY = "Key of this Wi-Fi"


@pytest.fixture(scope="module")
def provisioned() -> bool:
    return False


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def users(dorm: Dorm) -> AsyncIterator[wifi.Enterprise]:
    """The laptop is the first owner. There is a network that hides its name, and one with users."""
    users = wifi.Enterprise({UNI_USER: UNI_PASSWORD}, UNI_SERVER)
    dorm.air.networks += [
        wifi.AccessPoint(HIDDEN.ssid, HIDDEN.key, bssid="02:00:00:00:42:a5", hidden=True),
        wifi.AccessPoint("Uni", "", bssid="02:00:00:00:42:a7", rssi=-66, enterprise=users),
    ]
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    await laptop(dorm, "pair", "--no-claim", "--name", "laptop", secret=await setup_code(dorm))
    yield users


async def test_an_owner_who_types_the_invite_and_a_network_with_users(
    dorm: Dorm, users: wifi.Enterprise, served: Served, open_page: OpenPage
) -> None:
    invite = (await laptop(dorm, "invite", "--role", "owner"))["invite"]
    page = await open_page(served.url)
    await see(page, "Your speaker, for your phones alone")
    await screenshots(page, "welcome")
    await tap(page, "Type the label's code")
    await see(page, "Type the code")
    # Checked while it is typed.
    field = page.get_by_label("Code or invite")
    await field.fill(invite[:7].lower())
    await expect(page.get_by_text("6 of 27 signs so far.")).to_be_visible()
    await screenshots(page, "code-typing")
    wrong = invite[:-3] + ("7" if invite[-3] != "7" else "8") + invite[-2:]
    await field.fill(wrong)
    await expect(page.get_by_text("One sign is not right.")).to_be_visible()
    await tap(page, "Next")
    await expect(page.get_by_text("One sign is not right.")).to_be_visible()
    await screenshots(page, "code-wrong")
    await field.fill(invite.replace("-", " ").lower())
    await expect(page.get_by_text("That is a whole invite.")).to_be_visible()
    await tap(page, "Next")
    await pair(page, "Bea's phone")

    await see(page, "Which Wi-Fi is the dorm's?")
    assert phones(dorm) == {"laptop": "owner", "Bea's phone": "owner"}
    await page.get_by_role("button", name="Uni good signal").click()
    await see(page, "Join Uni")
    await page.get_by_label("User's name").fill(UNI_USER)
    await page.get_by_label("Password", exact=True).fill("wrong one")
    await tap(page, "Join")
    await expect(page.get_by_text("Choose one of the two.")).to_be_visible()
    await page.get_by_label("Only the network's own server").check()
    await page.get_by_label("Name of the server").fill(UNI_SERVER)
    await screenshots(page, "first-login")
    await tap(page, "Join")
    await expect(page.get_by_role("alert")).to_contain_text("refused the login")
    await expect(page.get_by_label("User's name")).to_have_value(UNI_USER)
    await screenshots(page, "first-login-refused")
    assert {(one.user, one.password, one.identity, one.server) for one in users.heard} == {
        (UNI_USER, "wrong one", "anonymous@uni.example", UNI_SERVER)
    }
    await page.get_by_label("Password", exact=True).fill(UNI_PASSWORD)
    await tap(page, "Join")
    await see(page, "Put the speaker on")
    saved = settings(dorm)["uplinks"][0]
    assert (saved["ssid"], saved["login"]["user"], saved["login"]["server"]) == ("Uni", UNI_USER, UNI_SERVER)
    await laptop_forgets(dorm, "Uni", page)


async def laptop_forgets(dorm: Dorm, ssid: str, page: Page) -> None:
    """For who comes next: the bridge knows no Wi-Fi again."""
    await page.close()
    await laptop(dorm, "forget", ssid)
    await until(dorm, lambda: settings(dorm)["uplinks"] == [], "the bridge to know no network")


async def test_a_guest_of_a_bridge_that_is_on_no_network(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    invite = (await laptop(dorm, "invite"))["invite"]
    page = await open_page(f"{served.url}#invite={invite}")
    await pair(page, "Fay's phone")
    await see(page, "The bridge is on no network yet")
    assert (phones(dorm)["Fay's phone"], settings(dorm)["uplinks"]) == ("guest", [])
    await expect(page.get_by_role("button", name="Let me in")).to_have_count(0)
    await screenshots(page, "guest-no-network")


async def test_an_owner_by_a_link_and_a_network_that_hides_its_name(
    dorm: Dorm, served: Served, open_page: OpenPage
) -> None:
    invite = (await laptop(dorm, "invite", "--role", "owner"))["invite"]
    page = await open_page(f"{served.url}#invite={invite}")
    await pair(page, "Cat's phone")
    await see(page, "Which Wi-Fi is the dorm's?")
    await page.get_by_role("button", name="Another network").click()
    await see(page, "Join a hidden network")
    await page.get_by_label("Name of the network").fill(HIDDEN.ssid)
    await page.get_by_label(KEY, exact=True).fill("short")
    await tap(page, "Join")
    await expect(page.get_by_text("A Wi-Fi key has 8 to 63")).to_be_visible()
    await page.get_by_label(KEY, exact=True).fill(HIDDEN.key)
    await screenshots(page, "first-hidden")
    await tap(page, "Join")
    await see(page, "Put the speaker on")
    assert settings(dorm)["uplinks"][0]["ssid"] == HIDDEN.ssid

    # The set-up window, and who was there: the speaker's label says it.
    await page.get_by_role("button", name="My speaker is new").click()
    await see(page, "Set up a new speaker")
    await tap(page, "Make room for this phone")
    await expect(page.get_by_text("Room for both for 15 more minutes.")).to_be_visible()
    await expect(page.get_by_text(settings(dorm)["segment"]["key"])).to_be_visible()
    await screenshots(page, "first-set-up-open")
    await tap(page, "The speaker is set up")
    await see(page, "Put the speaker on")
    await tap(page, "Go on without the speaker")
    await see(page, "Let this phone in")
    await tap(page, "Let me in")
    await see(page, "Play something")
    await expect(page.get_by_text("The speaker is not there yet")).to_be_visible()


async def test_a_guest_by_an_invite(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    invite = (await laptop(dorm, "invite"))["invite"]
    page = await open_page(f"{served.url}#invite={invite}")
    await see(page, "Find your bridge")
    assert "#" not in page.url
    await screenshots(page, "guest-find")
    await pair(page, "Dan's phone")
    await see(page, "Let this phone in")
    await expect(page.get_by_text("Step 4 of 4")).to_be_visible()
    assert phones(dorm)["Dan's phone"] == "guest"
    await tap(page, "Let me in")
    await see(page, "Play something")
    assert any(lease["addr"] == dorm.person(t.PHONE).address for lease in (await laptop(dorm, "status"))["leases"])


async def test_a_guest_by_the_button_and_the_typed_code(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    await press(dorm)
    page = await open_page(served.url)
    await tap(page, "Type the label's code")
    await page.get_by_label("Code or invite").fill((await setup_code(dorm)).lower())
    await expect(page.get_by_text("That is a whole setup code.")).to_be_visible()
    await tap(page, "Next")
    await pair(page, "Eve's phone")
    await see(page, "Let this phone in")
    assert phones(dorm)["Eve's phone"] == "guest"
    assert await answers(dorm, t.PHONE, dorm.bridge_address(), t.CLAIM_PORT)
