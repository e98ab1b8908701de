"""Names as long as they may be, without a blank: the page stays within the screen."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from conftest import ARGUMENTS, CHROMIUM, PAGE_LIMIT_MS, SCREEN
from page_tools import screenshots
from playwright.async_api import Browser, Playwright, expect
from speakeasy import page_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "host_tools" / "phone_page"
VISITS = TOP / "tests" / "page" / "visits"
BUILD_S = 120.0
NETWORK, PERSON = "W" * 32, "M" * 32
# What this phone knows of a bridge that nobody has.
KNOWN = {"bridge": "a1b2c3d4", "phone": "01020304", "addr": "", "role": "owner", "inUntil": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The page, and beside it one that puts into its store what it is told."""
    folder = tmp_path_factory.mktemp("names")
    shutil.copytree(TOP / "build" / "page", folder, dirs_exist_ok=True)
    bin_dir = TOP / ".venv" / "bin"
    vite = [bin_dir / "node", PAGE / "node_modules/vite/bin/vite.js", "build", VISITS]
    build = await asyncio.create_subprocess_exec(
        *(*vite, "--config", PAGE / "vite.config.ts", "--outDir", folder / "visits", "--logLevel", "warn"),
        env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"},
        cwd=PAGE,
    )
    assert await asyncio.wait_for(build.wait(), BUILD_S) == 0
    async with page_server.serving(folder) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(
        executable_path=CHROMIUM, args=list(ARGUMENTS), timeout=2 * PAGE_LIMIT_MS
    )
    yield browser
    await browser.close()


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
    await context.close()
