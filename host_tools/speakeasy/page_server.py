"""The phone page, served on this machine: the files of one folder, as a host on the Web would serve them, and no more.

A browser takes http://localhost for a secure origin (W3C Secure Contexts, 3.1), so Bluetooth and service workers work.
"""

import asyncio
import errno
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from speakeasy.board import image
from speakeasy.errors import SpeakeasyError, UsageError

INDEX = "index.html"
LOOPBACK = "127.0.0.1"
LONGEST_PORT = 65535
FIRMWARE, MANIFEST = "/firmware/", "manifest.json"

# The page's own policy (phone_page/vite.config.ts), which stands in its index.html as well; only a header can forbid to
# be framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Powerful things that it has no use for. What it uses is left as it is: where Bluetooth is switched off, Chromium takes
# its name for a mistake.
PERMISSIONS = "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), usb=()"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": PERMISSIONS,
    # No Cross-Origin-Opener-Policy: with it visits to the bridge fail now and then, as if the tab that came back had
    # an older state of its session storage (Chromium 156 on a busy machine: 7 of 45; without it none of 82).
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for anew each time (ETag): a new build shows at once
}

# Not the system's own table: what it says of these differs from one system to the next (Windows' registry), and with
# `nosniff` a script of the wrong type does not run.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
OTHER_TYPE = "application/octet-stream"

# A part of a path: no hidden file, nothing that climbs, no separator of any system's.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
_HERE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.ASCII)


def file_of(folder: Path, path: str) -> Path | None:
    """The file that a URL's path (decoded) means; None if there is none in that folder."""
    parts = (path.removeprefix("/") or INDEX).split("/")
    if not path.startswith("/") or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        found = folder.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return found if found.is_relative_to(folder.resolve()) and found.is_file() else None


def built(source: Path) -> dict[str, bytes]:
    """What the page offers to flash (SPEC 6), of what `make firmware` has built in that source tree: the files by their
    names, the manifest among them."""
    files: dict[str, bytes] = {}
    lines = []
    for board in image.boards(source):
        try:
            found = image.load(board, source)
        except SpeakeasyError:
            continue
        file = f"{board}.bin"
        files[file] = found.data
        digest = hashlib.sha256(found.data).hexdigest()
        lines.append(
            {"name": board, "chip": found.chip, "flash_size": found.flash_size, "file": file, "sha256": digest}
        )
    files[MANIFEST] = json.dumps({"firmware": lines}).encode()
    return files


def application(folder: Path, source: Path | None = None) -> web.Application:
    """What answers: GET and HEAD of that folder's files, and of the firmware that was built in that source tree."""

    async def guard(_request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers.update(HEADERS)

    async def give(request: web.Request) -> web.StreamResponse:
        if not _HERE.fullmatch(request.headers.get("Host", "").lower()):
            # Somebody's name for this machine: the page would run at an address that is not its own.
            raise web.HTTPMisdirectedRequest(text="This page is at http://localhost, under no other name.\n")
        file = file_of(folder, request.path)
        if file is None and source and request.path.startswith(FIRMWARE):
            name = request.path.removeprefix(FIRMWARE)
            data = (await asyncio.to_thread(built, source)).get(name)
            if data is not None:
                return web.Response(body=data, content_type=TYPES.get(Path(name).suffix, OTHER_TYPE))
        if file is None:
            raise web.HTTPNotFound(text="There is no such file in the page.\n")
        return web.FileResponse(file, headers={"Content-Type": TYPES.get(file.suffix, OTHER_TYPE)})

    app = web.Application()
    app.on_response_prepare.append(guard)  # refusals, too
    app.router.add_get("/{path:.*}", give)  # HEAD, too; aiohttp answers 405 to the rest
    return app


def check(folder: Path) -> Path:
    """The folder of a page that was built. Raises SpeakeasyError."""
    if not (folder / INDEX).is_file():
        raise SpeakeasyError(
            f"There is no page in {folder}: it was not built. `make page` builds it, in Speakeasy's source tree."
        )
    return folder


@asynccontextmanager
async def serving(folder: Path, port: int = 0, source: Path | None = None) -> AsyncIterator[str]:
    """Serves it meanwhile, to this machine alone, with the firmware that was built in `source`; its address. `port` 0:
    one that is free. Raises SpeakeasyError."""
    if not 0 <= port <= LONGEST_PORT:
        raise UsageError(f"{port} is no port: a number from 1 to {LONGEST_PORT}.")
    runner = web.AppRunner(application(check(folder), source), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        try:
            await site.start()
        except OSError as error:
            raise SpeakeasyError(_why_not(port, error)) from None
        yield f"http://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _why_not(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is taken by another program, perhaps by another `speakeasy page`: end that, or take another "
            "port, `speakeasy page --port NUMBER` (to the browser that is another page, which knows no bridge yet)."
        )
    return f"The page cannot be served at port {port} ({error.strerror}): take another, `speakeasy page --port NUMBER`."
