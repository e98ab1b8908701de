"""What goes wrong on the phone page: it says so in words, and the way on works. The bridge says the same."""

import hashlib
import json

import pytest
from conftest import OpenPage
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import answers, press, settled
from emulation import PhoneRadio
from page_tools import Served, laptop, screenshots, settings, setup_code, until
from playwright.async_api import expect
from speakeasy import codes
from steps import find, pair, phones, see, tap, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

FREE_TRIES = 5  # wrong proofs that cost nothing (SPEC 2.2)
MOST_PHONES = 16


async def test_nobody_chooses_a_bridge(dorm: Dorm, served: Served, open_page: OpenPage, bluetooth: PhoneRadio) -> None:
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    page = await open_page(f"{served.url}#code={await setup_code(dorm)}")
    await see(page, "Find your bridge")
    bluetooth.unwilling = True
    await tap(page, "Find the bridge")
    await told(page, "No bridge was chosen")
    await screenshots(page, "trouble-nobody-chosen")
    bluetooth.unwilling = False
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")
    assert phones(dorm) == {}


async def test_a_wrong_code(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    page = await open_page(f"{served.url}#code={codes.write(bytes(16))}")
    await see(page, "Find your bridge")
    await tap(page, "Find the bridge")
    await told(page, "The code is not this bridge's")
    await screenshots(page, "trouble-wrong-code")
    await tap(page, "Type the code again")
    await page.get_by_label("Code or invite").fill(await setup_code(dorm))
    await tap(page, "Next")
    await find(page)
    assert phones(dorm) == {}


async def test_locked_out(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    code = await setup_code(dorm)
    wrong = codes.write(bytes(16))
    for _ in range(FREE_TRIES):
        await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
        tried = await dorm.person(t.LAPTOP).run("speakeasy", "pair", "--no-claim", input=wrong, check=False)
        assert tried.returncode == 1
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    page = await open_page(f"{served.url}#code={code}")
    await see(page, "Find your bridge")
    await tap(page, "Find the bridge")
    await told(page, "The bridge takes no codes for a while")
    await screenshots(page, "trouble-locked")
    # As it says: the button.
    await press(dorm)
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")
    assert phones(dorm) == {}


async def test_out_of_range_in_the_middle(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    await laptop(dorm, "pair", "--no-claim", "--name", "laptop", secret=await setup_code(dorm))
    # An owner, whose bridge has lost the Wi-Fi that it knew: there is something to set up.
    invite = (await laptop(dorm, "invite", "--role", "owner"))["invite"]
    await laptop(dorm, "forget", t.DORM_WIFI.ssid)
    page = await open_page(f"{served.url}#invite={invite}")
    await find(page)
    dorm.bluetooth.drop()
    await page.get_by_label("This phone's name").fill("Ada's phone")
    await tap(page, "Pair this phone")  # it comes back by itself
    await see(page, "Which Wi-Fi is the dorm's?")
    assert phones(dorm) == {"laptop": "owner", "Ada's phone": "owner"}

    await page.get_by_role("button", name=f"{t.DORM_WIFI.ssid} strong signal").click()
    await see(page, f"Join {t.DORM_WIFI.ssid}")
    await page.get_by_label("Key of this Wi-Fi", exact=True).fill(t.DORM_WIFI.key)
    dorm.bluetooth.out_of_range(True)
    await told(page, "The connection to the bridge broke")
    await screenshots(page, "trouble-out-of-range")
    dorm.bluetooth.out_of_range(False)
    await until(dorm, lambda: dorm.bluetooth.advertising, "the bridge to be on the air")
    await tap(page, "Connect again")
    await expect(page.get_by_role("alert")).to_have_count(0)
    # Where it was, with what was typed.
    await expect(page.get_by_label("Key of this Wi-Fi", exact=True)).to_have_value(t.DORM_WIFI.key)
    await tap(page, "Join")
    await see(page, "Let this phone in")
    assert settings(dorm)["uplinks"][0]["ssid"] == t.DORM_WIFI.ssid


async def test_a_claim_that_is_refused(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    x = await settled(dorm)
    invite = (await laptop(dorm, "invite"))["invite"]
    page = await open_page(f"{served.url}#invite={invite}")
    await pair(page, "Bob's phone")
    await see(page, "Let this phone in")
    await laptop(dorm, "revoke", "Bob's phone")
    await tap(page, "Let me in")
    await told(page, "The bridge does not know this phone")
    await see(page, "Let this phone in")
    await screenshots(page, "trouble-refused")
    assert not await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
    # As it says: pair again.
    invite = (await laptop(dorm, "invite"))["invite"]
    await tap(page, "Type a code or an invite")
    await page.get_by_label("Code or invite").fill(invite)
    await tap(page, "Next")
    await pair(page, "Bob's phone")
    await see(page, "Let this phone in")
    await tap(page, "Let me in")
    await see(page, "Play something")
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)


async def test_a_bridge_that_is_full(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    # One place is left; the invites for it are two.
    await dorm.board.power_off()
    path = dorm.board.flash / "settings.json"
    data = json.loads(path.read_text())["data"]
    for n in range(1, MOST_PHONES - len(data["phones"])):
        data["phones"].append(
            {"id": bytes([n] * 8).hex(), "name": f"Phone {n}", "role": "guest", "key": bytes([n] * 32).hex()}
        )
    text = json.dumps(data)
    check = hashlib.sha256(text.encode()).hexdigest()[:32]
    path.write_text(f'{{"check":"{check}","data":{text}}}')
    await dorm.board.power_on()
    await settled(dorm)
    page_invite = (await laptop(dorm, "invite"))["invite"]
    other_invite = (await laptop(dorm, "invite"))["invite"]
    flatmate = dorm.person(t.FLATMATE)
    await flatmate.run("speakeasy", "pair", "--no-claim", "--name", "flatmate", "--json", input=other_invite)
    assert len(phones(dorm)) == MOST_PHONES
    page = await open_page(f"{served.url}#invite={page_invite}")
    await pair(page, "One too many")
    await told(page, "The bridge is full")
    await screenshots(page, "trouble-full")
    assert "One too many" not in phones(dorm)
    await page.close()
    await laptop(dorm, "revoke", "flatmate")
    page = await open_page(f"{served.url}#invite={page_invite}")
    await pair(page, "Not too many")
    await see(page, "Let this phone in")
    assert phones(dorm)["Not too many"] == "guest"
