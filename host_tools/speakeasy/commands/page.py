"""The phone page on this machine."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from speakeasy.reach import run
from speakeasy.terminal import JsonOption, out, show_json, shown

app = typer.Typer()

# Fixed: what a browser keeps for the page, phone keys above all, belongs to its address with the port.
PORT = 7781
FLAG = "chrome://flags/#enable-experimental-web-platform-features"
SOURCE = Path(__file__).resolve().parents[3]
FOLDER = SOURCE / "build" / "page"


async def _serve(folder: Path, port: int, *, as_json: bool) -> None:
    from speakeasy import page_server  # late: an HTTP server takes long to import

    async with page_server.serving(folder, port, SOURCE) as url:
        if as_json:
            show_json({"url": url})
        else:
            out.print(f"The phone page is at [bold]{shown(url)}[/] until Ctrl-C, for this machine alone.")
            out.print("Open it in Chrome, Chromium or Edge: others have no Bluetooth for pages.")
            if sys.platform == "linux":  # elsewhere it is on as it comes
                out.print(f'On Linux it has to be switched on first, at {FLAG}, "Enabled".')
            out.print("Opened once, it works without this command, too.")
        await asyncio.Event().wait()


@app.command()
def page(
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", help="Where; 0: any that is free. What it keeps belongs to one port."),
    ] = PORT,
    folder: Annotated[
        Path,
        typer.Option(
            "--folder", metavar="DIR", show_default=False, help="What was built; default: build/page of this source."
        ),
    ] = FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Serve the phone page to this machine's browser.

    Until Ctrl-C, at http://localhost. It pairs with a bridge, and manages it, as this command does.
    """
    run(_serve(folder, port, as_json=as_json))
