"""The page's service worker (src/worker.ts) in Chromium: a build of the page and the next one, on a host on the Web."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from conftest import PAGE_LIMIT_MS, SCREEN
from page_tools import PAGE, build_page
from playwright.async_api import Browser, BrowserContext, Page, expect
from speakeasy import page_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOP = Path(__file__).resolve().parents[2]
TEXTS = "src/texts.ts"
OLD = "Your speaker, for your phones alone"
NEW = "Your speaker, in the next build"
LIMIT_S = 120.0

# From the first visit on, that page is the worker's.
KEPT = """async () => {
  const { serviceWorker } = navigator;
  await serviceWorker.ready;
  if (!serviceWorker.controller) {
    await new Promise(done => serviceWorker.addEventListener("controllerchange", done, { once: true }));
  }
}"""
# A look for a new build, as browsers do it by themselves: what becomes of that build's worker.
UPDATE = """async folder => {
  const registration = await navigator.serviceWorker.getRegistration(folder);
  const found = new Promise(resolve =>
    registration.addEventListener("updatefound", () => resolve(registration.installing), { once: true }));
  await registration.update();
  const worker = await found;
  await new Promise(done => {
    const look = () => worker.state !== "installing" && done();
    worker.addEventListener("statechange", look);
    look();
  });
  return worker.state;
}"""
WAITING = "folder => navigator.serviceWorker.getRegistration(folder).then(found => found.waiting?.state)"
TAKES_OVER = """async folder => {
  const registration = await navigator.serviceWorker.getRegistration(folder);
  const worker = registration.waiting ?? registration.active;
  await new Promise(done => {
    const look = () => worker.state === "activated" && done();
    worker.addEventListener("statechange", look);
    look();
  });
}"""


class Host:
    """A host on the Web with pages in folders. What it does not have it answers with that folder's index.html and 200,
    as hosts of single pages do. Browsers may keep for an hour what goes by the same name in the next build; what has a
    hash in its name they may not, so that nobody but the worker keeps it."""

    def __init__(self) -> None:
        self.url = ""
        self.pages: dict[str, Path] = {}  # by the name of their folder there; none: it is out of order

    async def give(self, request: web.Request) -> web.StreamResponse:
        place, _, path = request.path.removeprefix("/").partition("/")
        if not place:  # a page of somebody else's, on the same origin
            return web.Response(content_type="text/html")
        if place not in self.pages:
            raise web.HTTPServiceUnavailable
        folder = self.pages[place]
        file = page_server.file_of(folder, f"/{path}") or folder / "index.html"
        kept = "no-store" if path.startswith("assets/") else "max-age=3600"
        return web.FileResponse(file, headers={"Content-Type": page_server.TYPES[file.suffix], "Cache-Control": kept})


class Visitor:
    """Somebody's browser, at that host."""

    def __init__(self, context: BrowserContext, host: Host) -> None:
        self._context = context
        self._host = host
        self._beside: Page | None = None

    async def opens(self, folder: str, title: str) -> Page:
        page = await self._context.new_page()
        await page.goto(f"{self._host.url}{folder}/")
        await sees(page, title)
        await asyncio.wait_for(page.evaluate(KEPT), LIMIT_S)
        return page

    async def asks(self, script: str, folder: str = "") -> Any:
        """Of a page that is no worker's."""
        if self._beside is None:
            self._beside = await self._context.new_page()
            await self._beside.goto(self._host.url)
        return await asyncio.wait_for(self._beside.evaluate(script, f"/{folder}/"), LIMIT_S)


async def sees(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


async def is_whole(page: Page) -> None:
    """Also what is loaded when it is asked for."""
    await page.get_by_role("button", name="Flash a board").click()
    await sees(page, "Put Speakeasy on a board")


@pytest.fixture(scope="module")
def old() -> Path:
    return TOP / "build" / "page"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same page with another title."""
    top = tmp_path_factory.mktemp("next").resolve()
    source = top / PAGE.name
    shutil.copytree(PAGE, source, ignore=shutil.ignore_patterns("node_modules"))
    (source / "node_modules").symlink_to(PAGE / "node_modules")
    texts = (source / TEXTS).read_text()
    assert texts.count(OLD) == 1
    (source / TEXTS).write_text(texts.replace(OLD, NEW))
    await build_page(top / "page", root=source, project=source)
    return top / "page"


@pytest_asyncio.fixture(loop_scope="module")
async def host() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", host.give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.url = f"http://localhost:{runner.addresses[0][1]}/"
    yield host
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(browser: Browser, host: Host) -> AsyncIterator[Visitor]:
    context = await browser.new_context(**SCREEN)
    context.set_default_timeout(PAGE_LIMIT_MS)
    yield Visitor(context, host)
    await context.close()


async def test_the_next_build_takes_over_whole_when_no_page_is_open(
    host: Host, visitor: Visitor, old: Path, new: Path
) -> None:
    host.pages["a"] = old
    first, second = await visitor.opens("a", OLD), await visitor.opens("a", OLD)
    host.pages["a"] = new
    assert await visitor.asks(UPDATE, "a") == "installed"
    await first.reload()
    await sees(first, OLD)
    await is_whole(first)  # the host has nothing of it any more
    await first.close()
    await second.reload()
    await sees(second, OLD)
    assert await visitor.asks(WAITING, "a") == "installed"
    await second.close()
    await visitor.asks(TAKES_OVER, "a")
    host.pages.clear()
    await is_whole(await visitor.opens("a", NEW))
    assert len(await visitor.asks("() => caches.keys()")) == 1


# What is not there yet is answered with the page itself, what was not changed yet is the build's before.
@pytest.mark.parametrize("late", ["assets", "index.html", "icon.svg"])
async def test_a_build_that_is_half_uploaded_is_not_kept(
    host: Host, visitor: Visitor, old: Path, new: Path, late: str, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(new, half)
    if late == "assets":
        shutil.rmtree(half / late)
    elif late == "index.html":
        shutil.copy(old / late, half)
    else:
        (half / late).unlink()
    host.pages["a"] = old
    page = await visitor.opens("a", OLD)
    host.pages["a"] = half
    assert await visitor.asks(UPDATE, "a") == "redundant"
    await page.reload()
    await sees(page, OLD)
    await is_whole(page)
    host.pages["a"] = new
    assert await visitor.asks(UPDATE, "a") == "installed"
    await page.close()
    await visitor.asks(TAKES_OVER, "a")
    host.pages.clear()
    await is_whole(await visitor.opens("a", NEW))


async def test_two_folders_of_one_host_have_their_own(host: Host, visitor: Visitor, old: Path, new: Path) -> None:
    host.pages.update(a=old, b=new)
    for folder, title in (("a", OLD), ("b", NEW)):
        await visitor.opens(folder, title)
    host.pages.clear()
    for folder, title in (("a", OLD), ("b", NEW)):
        await is_whole(await visitor.opens(folder, title))
    assert len(await visitor.asks("() => caches.keys()")) == 2
