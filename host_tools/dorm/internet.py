"""The internet, as far as a speaker cares: a radio station on the web, and an echo service for tests.

Run as `python -m dorm.internet SOCKET [ADDRESS]` in the internet's namespace, or in that of any machine that is to
serve music, with its ADDRESS. SOCKET is a Unix socket for control: a line of JSON `{"op": "served"}` gets one, too.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from dorm import mp3
from dorm.jsonlines import serve_json
from dorm.topology import RADIO_ADDR, RADIO_ECHO_PORT, RADIO_HTTP_PORT

BURST_BYTES = 64 * 1024  # what Icecast sends at once to a new listener (its burst-size)
TICK_S = 0.1

_log = logging.getLogger("internet")


class Radio:
    """Radio stations at /radio/<kbit/s>.mp3, always live: all listeners hear the same frame at the same time."""

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()  # bytes, by the client's address
        self.listeners: Counter[str] = Counter()
        self._began = time.monotonic()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/radio/{kbps}.mp3", self._stream)
        app.router.add_get("/", self._index)
        app.router.add_get("/hello", self._index)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        self.served[_peer(request)] += 1
        return web.Response(text=f"This is the internet. You are {_peer(request)}.\n")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        try:
            form = mp3.Format(int(request.match_info["kbps"]))
        except ValueError:
            raise web.HTTPNotFound(text="No such station.\n") from None
        response = web.StreamResponse(
            headers={
                "Content-Type": "audio/mpeg",
                "Server": "Icecast 2.4.4",
                "icy-name": "Radio Test",
                "icy-br": str(form.kbps),
                "icy-pub": "0",
                "Cache-Control": "no-cache",
                "Connection": "close",
            }
        )
        peer = _peer(request)
        await response.prepare(request)
        live = self._live(form)
        number = max(0, live - BURST_BYTES // form.frame_bytes)
        self.listeners[peer] += 1
        _log.info("%s listens to %d kbit/s from frame %d", peer, form.kbps, number)
        try:
            while True:
                live = self._live(form)
                if number < live:
                    data = b"".join(form.frame(n) for n in range(number, min(live, number + 256)))
                    # Before: whoever has heard them may ask at once how many they were.
                    self.served[peer] += len(data)
                    await response.write(data)
                    number += len(data) // form.frame_bytes
                else:
                    await asyncio.sleep(TICK_S)
        except ConnectionError:
            _log.info("%s went away at frame %d", peer, number)
        finally:
            self.listeners[peer] -= 1
        return response

    def _live(self, form: mp3.Format) -> int:
        # The station has been on the air for an hour when we come up: there is always a burst to send.
        return int((3600 + time.monotonic() - self._began) * form.frames_per_s)


def _peer(request: web.Request) -> str:
    return request.remote or "?"


class _UdpEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


async def _tcp_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(control: Path, address: str = RADIO_ADDR) -> None:
    """Serves until cancelled. `address` is the address to listen on."""
    radio = Radio()

    async def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") != "served":
            raise ValueError(f"unknown op {request.get('op')!r}")
        return {"served": dict(radio.served), "listeners": {a: n for a, n in radio.listeners.items() if n}}

    runner = web.AppRunner(radio.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, RADIO_HTTP_PORT).start()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_UdpEcho, local_addr=(address, RADIO_ECHO_PORT))
    echo = await asyncio.start_server(_tcp_echo, address, RADIO_ECHO_PORT)
    async with echo, serve_json(control, answer):
        _log.info("the internet is up at %s", address)
        await asyncio.Event().wait()


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m dorm.internet", description=__doc__)
    parser.add_argument("control", type=Path, help="the socket where it is asked what it served")
    parser.add_argument("address", nargs="?", default=RADIO_ADDR, help=f"where it listens; default: {RADIO_ADDR}")
    given = parser.parse_args()
    asyncio.run(serve(given.control, given.address))


if __name__ == "__main__":
    main()
