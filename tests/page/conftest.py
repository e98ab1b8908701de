"""The phone page in a real browser, on the phone of the dorm, against the real firmware.

A module has one dorm (`dorm`, the bridge new from the factory), one Chromium on the phone's machine (`chromium`) and
one server of the page there (`served`). Its tests are coroutines on one loop:

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_it(dorm: Dorm, served: Served, bluetooth: PhoneRadio, open_page: OpenPage) -> None:
        page = await open_page(served.url + "#code=...")      # a new profile each time; it has the phone's Bluetooth
        await page.get_by_role("button", name="...").click()  # requestDevice: `bluetooth` scans, and takes who is heard
        await screenshots(page, "found")                      # page_tools: light and dark, two sizes, axe
        assert settings(dorm)["phones"]                       # page_tools: what the bridge has saved

- `open_page(url)`: a Playwright page in a context of its own. `open_page(url, beside=page)`: another one with the
  same storage, as the phone's browser opens it later. The last page that was opened has the Bluetooth. Exceptions that
  nobody catches, what the page's policy refuses and requests to strangers fail the test at its end; a test that means
  to see some takes `page_errors`, and clears it.
- `kept_profile`: a Chromium of its own with a profile that outlives it: `async with kept_profile(url) as (page, radio)`
  twice is a browser that was restarted.
- `bluetooth`: the person at the chooser takes the first bridge. `.unwilling`, `.patience_s`, `.power("powered-off")`,
  `.connected`. What the air does: `dorm.bluetooth.out_of_range(True)` (the connection ends a while later),
  `dorm.bluetooth.drop()` (at once), `dorm.bluetooth.advertising`, `dorm.bluetooth.delay(seconds)`.
- `provisioned`: a module that wants a bridge that knows no Wi-Fi yet has a fixture of that name of its own.
- `ethernet`: the same, of a board with Ethernet.
- `browser`: a Chromium on this machine itself, for what needs no dorm.
- page_tools: `build_page` (a page of a test's own), `screenshots`, `axe`, `settings`, `press` (the button),
  `setup_code`, `laptop` (`speakeasy` on another machine), `until`. dorm_life has more, for what goes on by the command
  line.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright, expect

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "dorm"))  # dorm_life

from dorm_life import settled  # noqa: E402
from emulation import CHROMIUM_ARGUMENTS, PhoneRadio  # noqa: E402
from page_tools import Served  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *CHROMIUM_ARGUMENTS,
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# A phone's; what moves on it costs a machine without a graphics processor more than all else.
SCREEN: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "reduced_motion": "reduce"}
# For everything that a test waits for in a page: what is instant takes seconds on a loaded machine.
PAGE_LIMIT_MS = 60_000
# For a whole test; page.evaluate has no limit of its own. Then its pages go, which it hears of.
TEST_LIMIT_S = 180.0

OpenPage = Callable[..., Awaitable[Page]]
KeptProfile = Callable[[str], AbstractAsyncContextManager[tuple[Page, PhoneRadio]]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """pytest -n: what is tested on one dorm stays together, in its order."""
    from xdist.scheduler import LoadScopeScheduling  # only here: without -n nobody needs it

    return LoadScopeScheduling(config, log)


@pytest.fixture(scope="module")
def run_dirs(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the run directory goes. Its logs are kept in build/log/page_<module> for whoever looks into a failure."""
    kept = t.REPOSITORY / "build" / "log" / f"page_{request.path.stem}"
    # Short: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        yield Path(name)
        shutil.rmtree(kept, ignore_errors=True)
        for log in Path(name).glob("*/log"):
            shutil.copytree(log, kept)


@pytest.fixture(scope="module")
def provisioned() -> bool:
    """Whether the bridge knows the dorm's Wi-Fi, and the name and key that the speaker looks for, at its first boot."""
    return True


@pytest.fixture(scope="module")
def ethernet() -> str | None:
    """What is on the bridge's Ethernet, "segment" or "uplink", where its board has one."""
    return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dorm(run_dirs: Path, provisioned: bool, ethernet: str | None) -> AsyncIterator[Dorm]:
    """The whole dorm with the bridge and its real firmware, new from the factory; this process is on its air."""
    async with Dorm(run_dirs / "dorm", provision=provisioned, ethernet=ethernet) as dorm:
        if provisioned:
            await settled(dorm)
        await dorm.serial_label()
        before = os.environ.get("SPEAKEASY_AIR")
        os.environ["SPEAKEASY_AIR"] = dorm.person(t.PHONE).env["SPEAKEASY_AIR"]
        yield dorm
        if before is None:
            del os.environ["SPEAKEASY_AIR"]
        else:
            os.environ["SPEAKEASY_AIR"] = before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(dorm: Dorm) -> AsyncIterator[Served]:
    """`speakeasy page` on the phone's machine. `stop()` and `start()`: the page has to do without it meanwhile."""
    served = Served(dorm.person(t.PHONE), t.REPOSITORY / "build" / "page")
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playwright() -> AsyncIterator[Playwright]:
    expect.set_options(timeout=PAGE_LIMIT_MS)
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium on this machine itself, for what needs no dorm."""
    browser = await playwright.chromium.launch(
        executable_path=CHROMIUM, args=list(ARGUMENTS), timeout=2 * PAGE_LIMIT_MS
    )
    yield browser
    await browser.close()


@pytest.fixture(scope="module")
def chromium_there(dorm: Dorm) -> dict[str, Any]:
    """How Chromium is started on the phone's machine."""
    phone = dorm.person(t.PHONE)
    script = dorm.run_dir / "chromium"
    script.write_text("#!/bin/sh\nexec " + " ".join(phone.namespace.command(CHROMIUM)) + ' "$@"\n')
    script.chmod(0o755)
    return {"executable_path": script, "args": list(ARGUMENTS), "env": phone.env, "timeout": PAGE_LIMIT_MS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(playwright: Playwright, chromium_there: dict[str, Any]) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(**chromium_there)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter(chromium: Browser) -> AsyncIterator[PhoneRadio]:
    radio = PhoneRadio(chromium)
    await radio.start()
    yield radio
    await radio.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def bluetooth(adapter: PhoneRadio) -> AsyncIterator[PhoneRadio]:
    """The phone's Bluetooth, as a person finds it in the morning: on, and connected to nothing."""
    await adapter.reset()
    yield adapter
    await adapter.reset()


@pytest.fixture
def page_errors() -> Iterator[list[str]]:
    """What no page may do: exceptions that nobody catches; what its Content-Security-Policy refuses; a request to
    anybody but its own host and the bridge."""
    errors: list[str] = []
    yield errors
    assert errors == []


def _watch(context: BrowserContext, errors: list[str]) -> None:
    def is_ours(url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme in ("data", "blob") or parts.hostname == "localhost" or parts.port == t.CLAIM_PORT

    context.set_default_timeout(PAGE_LIMIT_MS)
    context.on("request", lambda request: None if is_ours(request.url) else errors.append(f"request: {request.url}"))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(chromium: Browser, bluetooth: PhoneRadio, page_errors: list[str]) -> AsyncIterator[OpenPage]:
    contexts: list[BrowserContext] = []
    tasks: list[asyncio.Task[None]] = []

    async def close() -> None:
        for context in contexts:
            await context.close()

    watchdog = asyncio.get_running_loop().call_later(TEST_LIMIT_S, lambda: tasks.append(asyncio.create_task(close())))

    async def open_one(url: str, *, beside: Page | None = None) -> Page:
        if beside is None:
            context = await chromium.new_context(**SCREEN)
            contexts.append(context)
            _watch(context, page_errors)
            await bluetooth.prepare(context)
        else:
            context = beside.context
        page = await context.new_page()
        await bluetooth.attach(page)
        await page.goto(url)
        return page

    yield open_one
    watchdog.cancel()
    await close()
    await asyncio.gather(*tasks)


@pytest.fixture
def kept_profile(
    playwright: Playwright, chromium_there: dict[str, Any], page_errors: list[str], tmp_path: Path
) -> KeptProfile:
    @asynccontextmanager
    async def open_it(url: str) -> AsyncIterator[tuple[Page, PhoneRadio]]:
        context = await playwright.chromium.launch_persistent_context(tmp_path / "profile", **SCREEN, **chromium_there)
        try:
            assert context.browser
            _watch(context, page_errors)
            radio = PhoneRadio(context.browser)
            await radio.start()
            await radio.prepare(context)
            page = await context.new_page()
            await radio.attach(page)
            await page.goto(url)
            yield page, radio
            await radio.stop()
        finally:
            await context.close()

    return open_it
