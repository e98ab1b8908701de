"""What the page does not do, and what it does without: no secrets left about, no network, no mouse, little to load."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from conftest import KeptProfile, OpenPage
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import answers, settled
from page_tools import Served, settings, setup_code, until
from playwright.async_api import BrowserContext, Page, expect
from walk import Keyboard, first_minute

pytestmark = pytest.mark.asyncio(loop_scope="module")

# SI kilobytes, each file compressed for itself, as a server sends them.
MOST_BYTES = 150_000
# That this key cannot be exported, and that its kind never can (HKDF).
CANNOT = {"InvalidAccessError", "NotSupportedError"}
WELCOME = "Your speaker, for your phones alone"
HEX_SECRET = re.compile(r"[0-9a-f]{64}")

# The keys that the page has stored, wherever in its records, and what can be got out of them.
STORED_KEYS = """async () => {
  const keys = [], texts = [];
  const walk = value => {
    if (value instanceof CryptoKey) keys.push(value);
    else if (ArrayBuffer.isView(value)) texts.push(`bytes ${value}`);
    else if (value && typeof value === "object") Object.values(value).forEach(walk);
    else texts.push(String(value));
  };
  for (const { name } of await indexedDB.databases()) {
    const done = request => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const database = await done(indexedDB.open(name));
    for (const name of database.objectStoreNames) {
      walk(await done(database.transaction(name).objectStore(name).getAll()));
    }
    database.close();
  }
  for (const storage of [localStorage, sessionStorage]) walk({ ...storage });
  const got = [];
  for (const key of keys) {
    for (const format of ["raw", "jwk"]) {
      got.push(await crypto.subtle.exportKey(format, key).then(() => "exported", error => error.name));
    }
  }
  return { keys: keys.map(key => key.extractable), got, texts };
}"""


class Witness:
    """Whatever a page leaves behind it that somebody else may read."""

    def __init__(self, context: BrowserContext) -> None:
        self.urls: list[str] = []
        self.said: list[str] = []
        context.on("request", lambda request: self.urls.append(request.url))
        context.on("page", self.follow)
        context.on("console", lambda message: self.said.append(message.text))

    def follow(self, page: Page) -> None:
        page.on("framenavigated", lambda frame: self.urls.append(frame.url))


@pytest.fixture(scope="module")
def provisioned() -> bool:
    """The first minute begins with a bridge that knows no Wi-Fi."""
    return False


@asynccontextmanager
async def without(served: Served) -> AsyncIterator[None]:
    """The page's host is not there."""
    await served.stop()
    try:
        yield
    finally:
        await served.start()


async def test_the_first_minute_by_keyboard_alone(dorm: Dorm, served: Served, kept_profile: KeptProfile) -> None:
    """And what it leaves: nothing in the tab's history, the console or the storage that lets anybody in."""
    code = await setup_code(dorm)
    beginner = f"{served.url}#code={code}"
    async with kept_profile("about:blank") as (page, _):
        witness = Witness(page.context)
        witness.follow(page)
        await page.goto(beginner)
        await first_minute(page)
        x = await settled(dorm)
        assert await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
        assert not await answers(dorm, t.LAPTOP, x, t.SPEAKER_PORT)
        (phone,) = settings(dorm)["phones"]
        assert phone["role"] == "owner"

        # The tab's. (The browser's list of visited pages has what was opened, whatever a page does: SECURITY.md.)
        session = await page.context.new_cdp_session(page)
        entries = (await session.send("Page.getNavigationHistory"))["entries"]
        history = [entry["url"] for entry in entries]
        secrets = [code, code.replace("-", ""), phone["key"]]
        # What was opened has the code: it is the label's link itself.
        left = [*history, page.url, *witness.said, *(url for url in witness.urls if url != beginner)]
        for text in left:
            assert not any(secret in text for secret in secrets), text
        assert all("#" not in url for url in history)

        stored = await page.evaluate(STORED_KEYS)
        assert stored["keys"] == [False, False]  # for sessions, for claims
        assert set(stored["got"]) <= CANNOT
        assert not any(HEX_SECRET.search(text) for text in stored["texts"])
        assert not any(code in text or phone["key"] in text for text in stored["texts"])

    # Both are started again: the bridge has forgotten who is in, the phone still has its key. And the host of the page
    # is out of reach, as in a dorm without internet.
    await dorm.board.power_cycle()
    await settled(dorm)
    assert not await answers(dorm, t.PHONE, x, t.SPEAKER_PORT)
    async with without(served), kept_profile(served.url) as (page, radio):
        person = Keyboard(page)
        await person.screen("Your speaker")
        again = await page.evaluate(STORED_KEYS)
        assert again["keys"] == [False, False]
        assert set(again["got"]) <= CANNOT
        await person.press(re.compile("^Let me in"))
        await until(dorm, lambda: answers(dorm, t.PHONE, x, t.SPEAKER_PORT), "the phone to be let in again")
        await expect(page).to_have_url(served.url)
        await person.screen("Your speaker")
        assert radio.chosen == 0


async def test_it_works_offline(dorm: Dorm, served: Served, open_page: OpenPage) -> None:
    """Once opened, from then on."""
    page = await open_page(served.url)
    await expect(page.get_by_role("heading", level=1, name=WELCOME)).to_be_visible()
    await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    async with without(served):
        again = await open_page(served.url, beside=page)
        await expect(again.get_by_role("heading", level=1, name=WELCOME)).to_be_visible()
        await page.context.set_offline(True)
        await again.goto(served.url + "?from=home-screen")
        await expect(again.get_by_role("heading", level=1, name=WELCOME)).to_be_visible()


async def test_it_can_be_installed(served: Served, kept_profile: KeptProfile) -> None:
    async with kept_profile(served.url) as (page, _):
        await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        session = await page.context.new_cdp_session(page)
        manifest = await session.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert json.loads(manifest["data"])["name"] == "Speakeasy"
        assert (await session.send("Page.getInstallabilityErrors"))["installabilityErrors"] == []


async def test_it_may_do_nothing_but_what_it_needs(served: Served, open_page: OpenPage, page_errors: list[str]) -> None:
    """The policy is in force: neither a script nor an image from elsewhere, nothing inline, nobody frames it."""
    page = await open_page(served.url)
    tried: dict[str, Any] = await page.evaluate("""async () => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      const fetched = await fetch("https://example.test/").then(() => "fetched", error => error.name);
      const may = name => document.featurePolicy.allowsFeature(name);
      return { ran: "ran" in window, fetched, may: ["bluetooth", "serial", "camera"].map(may) };
    }""")
    assert tried == {"ran": False, "fetched": "TypeError", "may": [True, True, False]}
    assert len(page_errors) >= 2
    page_errors.clear()


async def test_its_weight() -> None:
    folder = t.REPOSITORY / "build" / "page"
    sizes = {
        str(path.relative_to(folder)): len(gzip.compress(path.read_bytes(), mtime=0))
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert "index.html" in sizes
    assert sum(sizes.values()) <= MOST_BYTES, sizes


async def test_a_browser_without_bluetooth_can_still_flash_a_board(served: Served, open_page: OpenPage) -> None:
    """As Chromium for Linux comes."""
    page = await open_page(served.url)
    await page.context.add_init_script("delete Navigator.prototype.bluetooth")
    await page.reload()
    words = "This browser cannot use Bluetooth"
    await expect(page.get_by_role("heading", level=1, name=words)).to_be_visible()
    await page.get_by_role("button", name="Flash a board").click()
    await expect(page.get_by_role("heading", level=1, name="Put Speakeasy on a board")).to_be_visible()
    # What is in the address line meanwhile disturbs nobody.
    await page.evaluate("location.hash = 'code=nonsense'")
    await expect(page).to_have_url(served.url)
    await expect(page.get_by_role("heading", level=1, name="Put Speakeasy on a board")).to_be_visible()
    await page.get_by_role("button", name="Back").click()
    await expect(page.get_by_role("heading", level=1, name=words)).to_be_visible()
