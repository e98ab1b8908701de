"""What is long, names without a blank and an invite: the page stays within the screen, and hides nothing of it."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from conftest import PAGE_LIMIT_MS, SCREEN
from page_tools import broken, build_page, screenshots
from playwright.async_api import Browser, expect
from speakeasy import codes, page_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOP = Path(__file__).resolve().parents[2]
VISITS = TOP / "tests" / "page" / "visits"
NETWORK, PERSON = "W" * 32, "M" * 32
INVITE = codes.write(bytes(range(200, 224)))
# What this phone knows of a bridge that nobody has.
KNOWN = {"bridge": "a1b2c3d4", "phone": "01020304", "addr": "", "role": "owner", "inUntil": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The page, and beside it one that puts into its store what it is told."""
    folder = tmp_path_factory.mktemp("names")
    shutil.copytree(TOP / "build" / "page", folder, dirs_exist_ok=True)
    await build_page(folder / "visits", root=VISITS)
    async with page_server.serving(folder) as url:
        yield url


async def test_home(browser: Browser, address: str) -> None:
    context = await browser.new_context(**SCREEN)
    context.set_default_timeout(PAGE_LIMIT_MS)
    page = await context.new_page()
    await page.goto(f"{address}visits/index.html")
    await expect(page.locator("#outcome")).to_have_text("null")
    known = KNOWN | {"name": PERSON, "ssid": NETWORK}
    await page.evaluate("([known, key]) => know(known, key)", [known, "5a" * 32])
    await page.goto(address)
    await expect(page.get_by_role("heading", name=NETWORK)).to_be_visible()
    await page.get_by_text("About this bridge").click()
    await expect(page.get_by_text(re.compile(PERSON))).to_be_visible()
    await screenshots(page, "long-names")  # which measures
    # At some widths a line ends just there.
    for width in range(240, 400, 8):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await broken(page) == [], width
    await context.close()


async def test_an_invite_is_seen_whole_where_it_is_typed(browser: Browser, address: str) -> None:
    context = await browser.new_context(**SCREEN)
    context.set_default_timeout(PAGE_LIMIT_MS)
    page = await context.new_page()
    await page.goto(address)
    await page.get_by_role("button", name="Type the label's code").click()
    field = page.get_by_label("Code or invite")
    await field.fill(INVITE[:-1])
    await field.press("Enter")  # sends, and breaks no line
    await expect(page.get_by_text("39 of 40 signs: some are missing.")).to_be_visible()
    await expect(field).to_have_value(INVITE[:-1])
    await field.press_sequentially(INVITE[-1])
    await expect(page.get_by_text("That is a whole invite.")).to_be_visible()
    hidden = "field => [field.scrollWidth - field.clientWidth, field.scrollHeight - field.clientHeight]"
    assert await field.evaluate(hidden) == [0, 0]
    await screenshots(page, "code-invite")
    await field.press("Enter")
    await expect(page.get_by_role("heading", name="Find your bridge")).to_be_visible()
    await context.close()
