"""What tests of the phone page use besides the fixtures: the server, screenshots, axe, and looks into the bridge."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from dorm import topology as t
from dorm.dorm import Dorm
from dorm.people import Person
from dorm_life import LIMIT_S, press, speakeasy
from playwright.async_api import Page

SCREENSHOTS = t.REPOSITORY / "build" / "screenshots"
PAGE = t.REPOSITORY / "host_tools" / "phone_page"
AXE = PAGE / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"360": (360, 740), "desktop": (1280, 800)}
STOP_S = 10.0
BUILD_S = 120.0

BROKEN = """() => {
  const found = [], range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data } = texts.currentNode;
    for (const { index } of data.matchAll(/Wi-Fi/g)) {
      range.setStart(texts.currentNode, index);
      range.setEnd(texts.currentNode, index + 5);
      if (range.getClientRects().length > 1) found.push(data);
    }
  }
  return found;
}"""

__all__ = [
    "PAGE",
    "Served",
    "axe",
    "broken",
    "build_page",
    "laptop",
    "press",
    "screenshots",
    "settings",
    "setup_code",
    "until",
]


async def build_page(out: Path, *, root: Path, project: Path = PAGE) -> None:
    """Builds what stands in `root` into `out`, as `make page` does, with Vite and settings of `project`."""
    bin_dir = t.REPOSITORY / ".venv" / "bin"
    vite = [bin_dir / "node", project / "node_modules/vite/bin/vite.js", "build", root]
    build = await asyncio.create_subprocess_exec(
        *(*vite, "--config", project / "vite.config.ts", "--outDir", out, "--logLevel", "warn"),
        env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"},
        cwd=project,
    )
    async with asyncio.timeout(BUILD_S):
        assert await build.wait() == 0


class Served:
    """`speakeasy page` on somebody's machine. `url` ends with a slash, and stays the same."""

    def __init__(self, person: Person, folder: Path) -> None:
        self.url = ""
        self._person = person
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = process = await self._person.spawn(
            *("speakeasy", "page", "--folder", str(self._folder), "--json"), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        async with asyncio.timeout(LIMIT_S):
            line = await process.stdout.readline()
        assert line, f"speakeasy page serves nothing of {self._folder}: is it built? make page"
        self.url = json.loads(line)["url"]

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.terminate()
            async with asyncio.timeout(STOP_S):
                await process.wait()


async def screenshots(page: Page, name: str) -> None:
    """build/screenshots/NAME-{light,dark}-{360,desktop}.png; nothing stands out at the side, "Wi-Fi" is in one piece,
    and axe finds nothing.

    Leaves the page as a phone shows it, in light colours.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.mouse.move(0, 0)  # what was tapped is not hovered over
    # A dialog covers what is to be seen, not what could be scrolled to.
    whole = not await page.evaluate("Boolean(document.querySelector('dialog[open]'))")
    for size, (width, height) in reversed(SIZES.items()):
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("dark", "light"):
            await page.emulate_media(color_scheme=scheme)
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{name}: {wide} px wider than a screen of {width} px"
            await page.screenshot(
                path=SCREENSHOTS / f"{name}-{scheme}-{size}.png", full_page=whole, animations="disabled"
            )
            if size == "360":
                assert await broken(page) == []
                await axe(page)


async def broken(page: Page) -> list[str]:
    """Texts in which "Wi-Fi" stands on two lines."""
    found: list[str] = await page.evaluate(BROKEN)
    return found


async def axe(page: Page) -> None:
    """axe-core's rules on the page as it is now: no violation."""
    if not await page.evaluate("'axe' in window"):
        assert AXE.is_file(), f"{AXE} is missing: make page-ready"
        await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    violations = [
        f"{violation['id']}: {violation['help']}: {node['html']}: {node.get('failureSummary', '')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    assert violations == [], "\n".join(violations)


def settings(dorm: Dorm) -> dict[str, Any]:
    """What the bridge has saved on its flash: phones, uplinks, segment, mode, services, ... as settings.json has it."""
    saved: dict[str, Any] = json.loads((dorm.board.flash / "settings.json").read_text())["data"]
    return saved


async def setup_code(dorm: Dorm) -> str:
    """As the label has it."""
    _, code = await dorm.serial_label()
    return code


async def laptop(dorm: Dorm, *words: str, secret: str | None = None) -> dict[str, Any]:
    """`speakeasy ...` on the laptop, beside the page's phone; it must succeed. Returns its JSON.

    `laptop(dorm, "pair", "--no-claim", secret=CODE_OR_INVITE)` makes it a second owner or a guest. The bridge talks
    to one at a time: not while the page is connected.
    """
    return await speakeasy(dorm, t.LAPTOP, *words, secret=secret)


async def until(dorm: Dorm, predicate: Any, what: str) -> Any:
    """Waits for something about the dorm, with a limit for machines that are slow and busy; returns what it gave."""
    return await dorm.until(predicate, LIMIT_S, what)
