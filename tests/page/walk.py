"""The first minute, step by step, as a person without a mouse takes it: every button and field is reached by Tab."""

import re

from dorm import topology as t
from playwright.async_api import Locator, Page, expect

MOST_TABS = 60


class Keyboard:
    """A person at one page who has a keyboard alone."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def screen(self, title: str | re.Pattern[str]) -> None:
        """A screen has come, and its heading has the focus: a screen reader reads it, and Tab begins there."""
        await expect(self.page.get_by_role("heading", level=1, name=title)).to_be_focused()

    async def reach(self, target: Locator) -> None:
        await expect(target).to_be_visible()
        for _ in range(MOST_TABS):
            if await target.evaluate("element => element === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not come to {target}")

    async def press(self, name: str | re.Pattern[str]) -> None:
        await self.reach(self.page.get_by_role("button", name=name, exact=isinstance(name, str)))
        await self.page.keyboard.press("Enter")

    async def type(self, label: str, text: str) -> None:
        await self.reach(self.page.get_by_role("textbox", name=label))
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.type(text)


async def pair(person: Keyboard) -> None:
    """From the link on the label: found, and paired."""
    await person.screen("Find your bridge")
    await person.press("Find the bridge")
    await person.screen("Found your bridge")
    await person.type("This phone's name", "Ada's phone")
    await person.press("Pair this phone")


async def join(person: Keyboard) -> None:
    """The bridge joins the dorm's Wi-Fi."""
    await person.screen("Which Wi-Fi is the dorm's?")
    await person.press(re.compile(rf"^{t.DORM_WIFI.ssid}\b"))
    await person.screen(f"Join {t.DORM_WIFI.ssid}")
    await person.type("Key of this Wi-Fi", t.DORM_WIFI.key)
    await person.press("Join")


async def put_speaker_on(person: Keyboard) -> None:
    """The bridge takes the Wi-Fi that the dorm's speaker looks for."""
    await person.screen("Put the speaker on")
    await person.press(re.compile("^My speaker knows a Wi-Fi"))
    await person.screen("The Wi-Fi that the speaker knows")
    await person.type("Name of the network", t.SEGMENT_WIFI.ssid)
    await person.type("Key of this Wi-Fi", t.SEGMENT_WIFI.key)
    await person.press("Use these")
    await person.screen("Put the speaker on")
    await expect(person.page.get_by_text("The speaker is there")).to_be_visible()
    await person.press("Next")


async def let_in(person: Keyboard) -> None:
    """The phone visits the bridge on the dorm's Wi-Fi, and is back."""
    await person.screen("Let this phone in")
    await person.press("Let me in")
    await person.screen("Play something")


async def first_minute(page: Page) -> None:
    """All of it, on a page that was opened by the label's link, with a bridge that knows no Wi-Fi."""
    person = Keyboard(page)
    await pair(person)
    await join(person)
    await put_speaker_on(person)
    await let_in(person)
