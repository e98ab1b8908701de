"""What a person does on the first minute's screens, and what the bridge has saved of it."""

from dorm.dorm import Dorm
from page_tools import settings
from playwright.async_api import Page, expect

# A machine that is slow and busy joins networks and shakes hands meanwhile.
expect.set_options(timeout=60_000)


async def tap(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def see(page: Page, title: str) -> None:
    """A screen has come: its heading has the focus."""
    await expect(page.get_by_role("heading", name=title, level=1)).to_be_focused()


async def told(page: Page, words: str) -> None:
    """A trouble in words."""
    await expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()


async def find(page: Page) -> None:
    await see(page, "Find your bridge")
    await tap(page, "Find the bridge")
    await see(page, "Found your bridge")


async def pair(page: Page, name: str) -> None:
    """From the screen that finds the bridge on."""
    await find(page)
    await page.get_by_label("This phone's name").fill(name)
    await tap(page, "Pair this phone")


def phones(dorm: Dorm) -> dict[str, str]:
    """Name to role, as the bridge has them."""
    return {phone["name"]: phone["role"] for phone in settings(dorm)["phones"]}
