"""Every day: what the person with a paired phone does in the page, and what the bridge has done then."""

import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from dorm.people import Person
from dorm.wifi import AccessPoint
from dorm_life import LIMIT_S, answers, settled
from emulation import PhoneRadio
from page_tools import Served, laptop, screenshots, settings, setup_code, until
from playwright.async_api import Browser, Locator, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEAKER = t.MAC[t.SPEAKER]
ANOTHER_WIFI = t.Wifi("Attic", "another key")
KNOCKS = range(20, 60)


# --- what a person does ---------------------------------------------------------------------------------------------
def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))


async def tap(page: Page, name: str) -> None:
    await button(page, name).first.click()


async def see(page: Page, words: str | re.Pattern[str]) -> None:
    await page.get_by_text(words).first.wait_for()


async def heading(page: Page, name: str) -> None:
    await page.get_by_role("heading", level=1, name=name).wait_for()


async def confirm(page: Page, name: str) -> None:
    await page.get_by_role("dialog").get_by_role("button", name=name).click()


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


async def pairs(dorm: Dorm, page: Page, name: str) -> None:
    """From a link with a code or an invite to being let in, and home."""
    await tap(page, "Find the bridge")
    await page.get_by_label("This phone's name").fill(name)
    await tap(page, "Pair this phone")
    await tap(page, "Let me in")
    await tap(page, "Done")
    await see(page, re.compile("^You are in until "))


async def connects(page: Page) -> None:
    """From home, by way of the bridge's own page, which switches its Bluetooth on."""
    await tap(page, "Manage")
    await tap(page, "Switch its Bluetooth on over Wi-Fi")
    await see(page, "Its Bluetooth is on for five minutes.")
    await tap(page, "Connect")
    await see(page, "The speaker is there.")


async def goes_to(page: Page, name: str) -> None:
    await tap(page, name)
    await heading(page, name)


async def disconnects(dorm: Dorm, page: Page) -> None:
    """So that somebody else may connect."""
    if await button(page, "Back").count():
        await tap(page, "Back")
    await tap(page, "Disconnect")
    await heading(page, "Your speaker")
    await until(dorm, lambda: not dorm.bluetooth.connected, "the bridge to be hung up on")


async def plays(dorm: Dorm, who: str) -> bool:
    """Whether the speaker is open to somebody's machine."""
    open_there: bool = await answers(dorm, who, str(dorm.bridge_address()), t.SPEAKER_PORT)
    return open_there


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(
    dorm: Dorm, served: Served, chromium: Browser, adapter: PhoneRadio
) -> AsyncIterator[tuple[Page, list[str]]]:
    """The owner's browser, for all tests of this file: paired and let in."""
    errors: list[str] = []
    context = await chromium.new_context(viewport={"width": 360, "height": 740})
    context.set_default_timeout(1000 * LIMIT_S)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    await adapter.prepare(context)
    page = await context.new_page()
    await adapter.attach(page)
    await page.goto(served.url + "#code=" + await setup_code(dorm))
    await pairs(dorm, page, "Ada")
    yield page, errors
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(
    dorm: Dorm, served: Served, owners: tuple[Page, list[str]], bluetooth: PhoneRadio
) -> AsyncIterator[Page]:
    """The owner's page, opened afresh: at home."""
    await settled(dorm)
    page, errors = owners
    await bluetooth.attach(page)
    await page.goto(served.url)
    await page.reload()
    await heading(page, "Your speaker")
    yield page
    assert errors == []
    dorm.bluetooth.out_of_range(False)


def phones(dorm: Dorm) -> dict[str, str]:
    """Who is paired, as what: by name."""
    return {phone["name"]: phone["role"] for phone in settings(dorm)["phones"]}


# --- home -----------------------------------------------------------------------------------------------------------
async def test_let_in_again_by_one_tap(dorm: Dorm, page: Page) -> None:
    assert phones(dorm) == {"Ada": "owner"}
    assert await plays(dorm, t.PHONE)
    await screenshots(page, "everyday-home-in")
    await dorm.board.power_cycle()  # leases are gone
    await settled(dorm)
    assert not await plays(dorm, t.PHONE)
    await tap(page, "Let me in again")
    await until(dorm, lambda: plays(dorm, t.PHONE), "the phone to be let in")
    await heading(page, "Your speaker")
    await see(page, re.compile("^You are in until "))
    assert not re.search("#", page.url)


async def test_a_phone_on_no_network_is_told_so(page: Page) -> None:
    """Of a bridge that does not answer: tests/page/test_visit.py."""
    await page.context.set_offline(True)
    try:
        await tap(page, "Let me in again")
        await see(page, "This phone is on no network")
    finally:
        await page.context.set_offline(False)
    await screenshots(page, "everyday-home-trouble")


# --- connected ------------------------------------------------------------------------------------------------------
async def test_the_overview_tells_how_the_bridge_is(dorm: Dorm, page: Page) -> None:
    await tap(page, "Manage")
    await heading(page, "Connect to the bridge")
    await screenshots(page, "everyday-connect")
    await page.go_back()
    await connects(page)
    await see(page, re.compile("^The bridge is on Dorm"))
    await see(page, str(dorm.bridge_address()))
    await see(page, dorm.air.uplink_mac)
    await screenshots(page, "everyday-overview")
    # The bridge hears that an owner looks.
    assert dorm.bluetooth.connected
    await disconnects(dorm, page)


async def test_the_connection_breaks_and_goes_on_by_one_tap(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "People")
    await see(page, re.compile("^Ada"))
    dorm.bluetooth.out_of_range(True)
    dorm.bluetooth.drop()
    await see(page, "The connection has ended")
    await see(page, re.compile("^Ada"))  # what was known stays
    await screenshots(page, "everyday-over")
    dorm.bluetooth.out_of_range(False)
    await tap(page, "Connect again")
    await page.get_by_text("The connection has ended").wait_for(state="hidden")
    await heading(page, "People")
    assert dorm.bluetooth.connected


async def test_the_last_owner_cannot_leave(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "People")
    await tap(page, "Ada")
    await tap(page, "Leave this bridge")
    await confirm(page, "Leave")
    await see(page, "You are the only owner")
    await screenshots(page, "everyday-last-owner")
    await tap(page, "Invite an owner")
    await heading(page, "Invite a friend")
    assert phones(dorm) == {"Ada": "owner"}


# --- other people ---------------------------------------------------------------------------------------------------
async def invites(dorm: Dorm, page: Page, role: str) -> str:
    """The invite's text."""
    await goes_to(page, "Invite a friend")
    await page.get_by_role("radio", name=role).check()
    await page.get_by_role("radio", name="1 hour").check()
    await tap(page, "Make an invite")
    await see(page, re.compile("^For one "))
    text = await page.locator("code").last.inner_text()
    assert "an owner made an invite: for one" in dorm.board.serial()
    return text


async def test_a_friend_pairs_with_an_invite_and_leaves(
    dorm: Dorm, page: Page, served: Served, open_page: Any, bluetooth: PhoneRadio
) -> None:
    await connects(page)
    await goes_to(page, "Invite a friend")
    await screenshots(page, "everyday-invite")
    await tap(page, "Back")
    text = await invites(dorm, page, "A guest")
    await screenshots(page, "everyday-invited")
    await disconnects(dorm, page)
    friend = await open_page(f"{served.url}#invite={text}")
    await pairs(dorm, friend, "Grace")
    assert phones(dorm) == {"Ada": "owner", "Grace": "guest"}
    # A guest has no key to open Bluetooth over Wi-Fi: somebody presses the button.
    await dorm.air.hold_button(0.2)
    await tap(friend, "Manage")
    await see(friend, "Press the button on the bridge")
    await tap(friend, "Connect")
    await see(friend, "The speaker is there.")
    await screenshots(friend, "everyday-guest")
    assert await button(friend, "People").count() == 0
    await goes_to(friend, "Leave this bridge")
    await friend.get_by_role("button", name="Leave this bridge").click()
    await confirm(friend, "Leave")
    await see(friend, "This phone is not paired with that bridge any more.")
    assert phones(dorm) == {"Ada": "owner"}
    await friend.close()


async def test_invites_are_called_back(dorm: Dorm, page: Page) -> None:
    await connects(page)
    text = await invites(dorm, page, "A guest")
    await tap(page, "Call all invites back")
    await see(page, "No invite is out any more.")
    await disconnects(dorm, page)
    done = await dorm.person(t.LAPTOP).run("speakeasy", "pair", "--name", "late", check=False, input=text)
    assert done.returncode != 0
    assert phones(dorm) == {"Ada": "owner"}


async def test_somebody_is_renamed_and_shut_out_at_once(dorm: Dorm, page: Page) -> None:
    await connects(page)
    text = await invites(dorm, page, "An owner")
    await disconnects(dorm, page)
    await laptop(dorm, "pair", "--name", "Laptop", secret=text)
    assert phones(dorm) == {"Ada": "owner", "Laptop": "owner"}
    assert await plays(dorm, t.LAPTOP)
    await connects(page)
    await goes_to(page, "People")
    await tap(page, "Laptop")
    await tap(page, "Rename")
    await page.get_by_label("Name", exact=True).fill("Old laptop")
    await screenshots(page, "everyday-rename")
    await confirm(page, "Save")
    await see(page, "It is called Old laptop now.")
    assert phones(dorm) == {"Ada": "owner", "Old laptop": "owner"}
    await screenshots(page, "everyday-people")
    await tap(page, "Shut out")
    await see(page, "Shut Old laptop out?")
    await screenshots(page, "everyday-shut-out")
    await confirm(page, "Shut out")
    await see(page, re.compile("^Old laptop is shut out"))
    assert not await plays(dorm, t.LAPTOP)
    assert phones(dorm) == {"Ada": "owner"}


async def test_another_device_takes_this_ones_place(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "Let another device of yours in")
    await tap(page, "Make a link")
    link = await page.locator("code").inner_text()
    await screenshots(page, "everyday-device")
    address, token = link.split("#")
    assert address == f"http://{dorm.bridge_address()}:{t.CLAIM_PORT}/t"
    told = await hands_in(dorm.person(t.LAPTOP), address.removesuffix("/t") + "/token", token)
    assert told["name"] == "Ada"
    assert await plays(dorm, t.LAPTOP)
    assert not await plays(dorm, t.PHONE)
    await disconnects(dorm, page)
    await tap(page, "Let me in")
    await see(page, re.compile("^You are in until "))
    assert await plays(dorm, t.PHONE)
    assert not await plays(dorm, t.LAPTOP)


async def hands_in(person: Person, url: str, token: str) -> dict[str, Any]:
    """As the bridge's own page does in that device's browser (tests/dorm/test_claims.py)."""
    program = (
        "import json, sys, urllib.request as u; body = json.dumps({'token': sys.stdin.read()}).encode(); "
        "print(u.urlopen(u.Request(sys.argv[1], body, method='POST')).read().decode())"
    )
    done = await person.run(sys.executable, "-c", program, url, input=token)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def test_a_flatmates_knocks_are_shown(dorm: Dorm, page: Page) -> None:
    x = str(dorm.bridge_address())
    await dorm.person(t.FLATMATE).intrude("scan", x, ",".join(map(str, KNOCKS)), "--timeout", "1")
    await connects(page)
    await goes_to(page, "Blocked lately")
    await see(page, "Strangers")
    await page.get_by_text("As a table, by hour").click()
    await page.get_by_text("All reasons, since the bridge started").click()
    strangers = await page.get_by_role("columnheader", name="Strangers").count()
    assert strangers == 1
    shown = int((await page.locator(".legend-head b").first.inner_text()).replace(",", ""))
    assert shown >= len(KNOCKS)
    assert await page.get_by_role("img", name=re.compile("^Chart of what was blocked")).locator("rect").count() >= 1
    await see(page, "nothing that anybody may do here")
    await screenshots(page, "everyday-blocked")
    await disconnects(dorm, page)
    # The bridge says the same to others.
    text = await invited_by_page(dorm, page)
    await laptop(dorm, "pair", "--no-claim", "--name", "Laptop", secret=text)
    told = await laptop(dorm, "blocked")
    assert sum(told["blocked"]["strangers"]) >= shown
    await laptop(dorm, "leave", "--yes")


async def invited_by_page(dorm: Dorm, page: Page) -> str:
    await connects(page)
    text = await invites(dorm, page, "A guest")
    await disconnects(dorm, page)
    return text


# --- the speaker ----------------------------------------------------------------------------------------------------
async def test_the_set_up_window_and_who_is_the_speaker(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "Set-up window")
    await screenshots(page, "everyday-set-up-closed")
    await tap(page, "Open it for 15 minutes")
    await see(page, re.compile("^It is open for another 1[45] minutes"))
    await until(dorm, lambda: dorm.air.ap.max_clients == 2, "the second place")
    await see(page, t.SEGMENT_WIFI.key)
    await part(page, "Seen on the speaker's Wi-Fi").get_by_text(SPEAKER).wait_for()
    await screenshots(page, "everyday-set-up-open")
    await tap(page, "Done: close it")
    await see(page, "Until you say which machine is the speaker, none is, and no music plays.")
    assert settings(dorm)["undecided"] is True
    await page.get_by_role("radio", name=SPEAKER).check()
    await screenshots(page, "everyday-set-up-undecided")
    await tap(page, "This is the speaker")
    await see(page, f"The speaker is {SPEAKER}")
    await screenshots(page, "everyday-set-up-chosen")
    assert (settings(dorm)["undecided"], settings(dorm)["speaker"]) == (False, SPEAKER)
    await until(dorm, lambda: dorm.air.ap.max_clients == 1, "one place again")


async def test_the_speakers_wifi_has_another_key(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "The speaker's Wi-Fi")
    await see(page, t.SEGMENT_WIFI.key)
    await screenshots(page, "everyday-speaker-wifi")
    for wifi in (t.Wifi("Attic speaker", "quite another key"), t.SEGMENT_WIFI):
        await page.get_by_label("New name").fill(wifi.ssid)
        await page.get_by_label("New key", exact=True).fill(wifi.key)
        await tap(page, "Change")
        await confirm(page, "Change it")
        await page.locator("code", has_text=wifi.key).wait_for()
        assert settings(dorm)["segment"] == {"ssid": wifi.ssid, "key": wifi.key}
        await dorm.air.wait(
            lambda wifi=wifi: dorm.air.ap.lets_in(wifi), LIMIT_S, "the access point to have the new key"
        )


# --- the dorm's Wi-Fi -----------------------------------------------------------------------------------------------
def remembered(dorm: Dorm) -> list[str]:
    return [network["ssid"] for network in settings(dorm)["uplinks"]]


async def test_networks_are_joined_ordered_and_forgotten(dorm: Dorm, page: Page) -> None:
    dorm.air.networks.append(AccessPoint(ANOTHER_WIFI.ssid, ANOTHER_WIFI.key))
    await connects(page)
    await goes_to(page, "The dorm's Wi-Fi")
    await see(page, "the bridge is on it now")
    await tap(page, "Join another network")
    await tap(page, ANOTHER_WIFI.ssid)
    await page.get_by_label("Key of this Wi-Fi", exact=True).fill(ANOTHER_WIFI.key)
    await tap(page, "Join")
    await heading(page, "The dorm's Wi-Fi")
    await see(page, ANOTHER_WIFI.ssid)
    assert remembered(dorm) == [ANOTHER_WIFI.ssid, t.DORM_WIFI.ssid]
    await tap(page, f"Try {t.DORM_WIFI.ssid} earlier")
    await see(page, re.compile("^The order is changed."))
    assert remembered(dorm) == [t.DORM_WIFI.ssid, ANOTHER_WIFI.ssid]
    await screenshots(page, "everyday-dorm-wifi")
    await tap(page, f"Forget {ANOTHER_WIFI.ssid}")
    await screenshots(page, "everyday-forget-network")
    await confirm(page, "Forget it")
    await see(page, f"The bridge has forgotten {ANOTHER_WIFI.ssid}")
    assert remembered(dorm) == [t.DORM_WIFI.ssid]
    await until(dorm, lambda: dorm.air.address.addr is not None, "the bridge to be back")


# --- for experts ----------------------------------------------------------------------------------------------------
async def test_services_addressing_and_hosts(dorm: Dorm, page: Page) -> None:
    x = str(dorm.bridge_address())
    await connects(page)
    await goes_to(page, "For experts")
    services = part(page, "What phones may open on the speaker")
    await services.get_by_text("tcp/1400", exact=True).wait_for()
    await screenshots(page, "everyday-experts")
    assert not await answers(dorm, t.PHONE, x, t.SPEAKER_TLS_PORT)
    await services.get_by_label("Another one, like tcp/1443").fill("tcp/1443")
    await services.get_by_role("button", name="Add").click()
    await see(page, "Phones that are in may open: tcp/1400, tcp/1443.")
    assert settings(dorm)["services"] == ["tcp/1400", "tcp/1443"]
    assert await answers(dorm, t.PHONE, x, t.SPEAKER_TLS_PORT)
    await services.get_by_role("button", name="Take away tcp/1443").click()
    await confirm(page, "Take it away")
    await see(page, "Phones that are in may open: tcp/1400.")
    assert settings(dorm)["services"] == ["tcp/1400"]
    assert not await answers(dorm, t.PHONE, x, t.SPEAKER_TLS_PORT)
    hosts = part(page, "Machines that the speaker may call")
    await hosts.get_by_label("Its address").fill("10.66.0.5")
    await hosts.get_by_role("button", name="Add").click()
    await see(page, "The speaker may call: 10.66.0.5.")
    assert settings(dorm)["hosts"] == ["10.66.0.5"]
    addressing = part(page, "The speaker's address")
    for option, mode in (("One of its own", "private"), ("The dorm's own", "passthrough")):
        await addressing.get_by_role("radio", name=option).check()
        await addressing.get_by_role("button", name="Change").click()
        await confirm(page, "Change it")
        await addressing.get_by_text("Changed.").wait_for()
        assert settings(dorm)["mode"] == mode


async def test_the_log_tells_what_happened(dorm: Dorm, page: Page) -> None:
    await connects(page)
    await goes_to(page, "People")
    await tap(page, "Ada")
    await tap(page, "Rename")
    await confirm(page, "Save")
    await see(page, "It is called Ada now.")
    await tap(page, "Back")
    await goes_to(page, "For experts")
    await tap(page, "See what happened")
    await heading(page, "Event log")
    # The bridge knows it by its id.
    await see(page, "phone Ada has another name")
    assert re.search("phone [0-9a-f]{16} has another name", dorm.board.serial())
    await screenshots(page, "everyday-log")


async def test_a_restart(dorm: Dorm, page: Page) -> None:
    boots = dorm.board.boots
    await connects(page)
    await goes_to(page, "For experts")
    await tap(page, "Restart the bridge")
    await confirm(page, "Restart")
    await see(page, re.compile("^The bridge starts again."))
    await until(dorm, lambda: dorm.board.boots == boots + 1, "the next boot")
    assert phones(dorm) == {"Ada": "owner"}
    await settled(dorm)
    assert not await plays(dorm, t.PHONE)
    await see(page, "The connection has ended")
    await tap(page, "Back")
    await tap(page, "Close")
    await see(page, "Not let in")


async def test_a_reset(dorm: Dorm, page: Page) -> None:
    """The last one: the bridge knows nobody afterwards."""
    boots, label = dorm.board.boots, await dorm.serial_label()
    await connects(page)
    await goes_to(page, "For experts")
    await tap(page, "Reset the bridge")
    await screenshots(page, "everyday-reset")
    await page.get_by_label("To confirm, type").fill("reset")
    await confirm(page, "Reset")
    await see(page, "The bridge starts again, as new.")
    await see(page, "This phone is paired with no bridge.")
    await until(dorm, lambda: dorm.board.boots == boots + 1, "the next boot")
    assert not (dorm.board.flash / "settings.json").exists() or phones(dorm) == {}
    assert (await dorm.serial_label())[0] == label[0]
