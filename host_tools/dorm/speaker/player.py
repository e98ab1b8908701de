"""Playback: pulls the stream over the network, verifies every byte, plays it by the clock, counts drop-outs."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncresolver
import dns.exception
from aiohttp.abc import AbstractResolver, ResolveResult

from dorm import mp3
from dorm.dhcp import read_lease
from dorm.speaker.soap import UpnpError

SCHEMES = ("http", "x-rincon-mp3radio", "aac")
PREBUFFER_S = 1.0  # heard before playback begins
BUFFER_BYTES = 512 * 1024  # the stream is not read any faster when this much waits
TICK_S = 0.02
STALL_S = 4.0  # a stream that gives nothing for so long is asked for again
RETRY_S = 0.5
MAX_FAILURES = 20  # attempts in a row without a byte
DNS_LIFETIME_S = 3.0

STOPPED, PLAYING, PAUSED, TRANSITIONING = "STOPPED", "PLAYING", "PAUSED_PLAYBACK", "TRANSITIONING"

_log = logging.getLogger("player")


class LeaseResolver(AbstractResolver):
    """Names are looked up where DHCP said, nowhere else."""

    def __init__(self, lease_file: Path) -> None:
        self._lease_file = lease_file

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        lease = read_lease(self._lease_file)
        if lease is None or not lease.dns:
            raise OSError(f"no DNS server known to look up {host}")
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = list(lease.dns)
        try:
            answer = await resolver.resolve(host, "A", lifetime=DNS_LIFETIME_S)
        except dns.exception.DNSException as error:
            raise OSError(f"{host} not found: {error}") from None
        return [
            ResolveResult(
                hostname=host,
                host=record.to_text(),
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for record in answer
        ]

    async def close(self) -> None:
        pass


class Player:
    """One stream at a time. `changed` is called after each change of state or URI."""

    def __init__(self, lease_file: Path, changed: Callable[[], None]) -> None:
        self.state = STOPPED
        self.status = "OK"
        self.uri = ""
        self.metadata = ""
        self.stats: dict[str, int] = {}
        self._lease_file = lease_file
        self._changed = changed
        self._format: mp3.Format | None = None
        self._buffered = 0.0  # bytes that wait to be heard
        self._played = 0.0  # bytes heard
        self._pulling: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.stats = {"bytes": 0, "frames": 0, "errors": 0, "dropouts": 0, "connections": 0}
        self._format = None
        self._buffered = self._played = 0.0

    def report(self) -> dict[str, Any]:
        """State and figures: bytes and frames pulled, stream errors, drop-outs, seconds played and buffered."""
        rate = self._format.bytes_per_s if self._format else 0.0
        return {
            "state": self.state,
            "status": self.status,
            "uri": self.uri,
            **self.stats,
            "played_s": round(self._played / rate, 3) if rate else 0.0,
            "buffered_s": round(self._buffered / rate, 3) if rate else 0.0,
        }

    def _become(self, state: str, status: str = "OK") -> None:
        if (state, status) != (self.state, self.status):
            _log.info("%s -> %s (%s)", self.state, state, status)
            self.state, self.status = state, status
            self._changed()

    def set_uri(self, uri: str, metadata: str) -> None:
        if uri and uri.partition(":")[0] not in SCHEMES:
            raise UpnpError(714)
        was_playing = self.state in (PLAYING, TRANSITIONING)
        self.stop()
        self.uri, self.metadata = uri, metadata
        self._reset()
        self._changed()
        if was_playing and uri:
            self.play()

    def play(self) -> None:
        if not self.uri:
            raise UpnpError(701)
        if self.state in (PLAYING, TRANSITIONING):
            return
        self._become(TRANSITIONING)
        loop = asyncio.get_running_loop()
        self._pulling = loop.create_task(self._pull())
        self._clock = loop.create_task(self._play())

    def pause(self) -> None:
        if self.state not in (PLAYING, TRANSITIONING):
            raise UpnpError(701)
        self._halt()
        self._become(PAUSED)

    def stop(self) -> None:
        self._halt()
        self._become(STOPPED)

    def _halt(self) -> None:
        for task in (self._pulling, self._clock):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._pulling = self._clock = None
        self._buffered = 0.0  # a live stream is joined again where it is then

    def reconnect(self) -> None:
        """Our address has changed: the connection that we have is dead."""
        if self._pulling is not None:
            self._pulling.cancel()
            self._pulling = asyncio.get_running_loop().create_task(self._pull())

    async def _pull(self) -> None:
        url = "http:" + self.uri.partition(":")[2]
        failures = 0
        while failures < MAX_FAILURES:
            before = self.stats["bytes"]
            try:
                await self._pull_once(url)
            except _NoSuchStream as error:
                _log.info("%s: %s", url, error)
                break
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
                _log.info("%s: %s", url, error or type(error).__name__)
            failures = failures + 1 if self.stats["bytes"] == before else 0
            await asyncio.sleep(RETRY_S)
        self._halt()
        self._become(STOPPED, "ERROR_OCCURRED")

    async def _pull_once(self, url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=STALL_S, sock_connect=STALL_S, sock_read=STALL_S)
        connector = aiohttp.TCPConnector(
            resolver=LeaseResolver(self._lease_file), use_dns_cache=False, force_close=True, family=socket.AF_INET
        )
        verifier = mp3.Verifier()
        frames = errors = 0
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(url, headers={"User-Agent": "Linux UPnP/1.0 Sonos/57.22-59130 (ZPS1)"}) as answer,
        ):
            if answer.status != 200:
                raise _NoSuchStream(f"HTTP status {answer.status}")
            self.stats["connections"] += 1
            async for data in answer.content.iter_any():
                verifier.feed(data)
                self.stats["bytes"] += len(data)
                self.stats["frames"] += verifier.frames - frames
                self.stats["errors"] += verifier.errors - errors
                frames, errors = verifier.frames, verifier.errors
                self._format = verifier.format or self._format
                self._buffered += len(data)
                while self._buffered > BUFFER_BYTES:
                    await asyncio.sleep(TICK_S)

    async def _play(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            elapsed, last = now - last, now
            if self._format is None:
                continue
            if self.state == TRANSITIONING:
                if self._buffered >= PREBUFFER_S * self._format.bytes_per_s:
                    self._become(PLAYING)
                continue
            heard = elapsed * self._format.bytes_per_s
            self._played += min(heard, self._buffered)
            self._buffered -= min(heard, self._buffered)
            if self._buffered <= 0:
                self.stats["dropouts"] += 1
                _log.warning("drop-out %d: nothing left to play", self.stats["dropouts"])
                self._become(TRANSITIONING)

    async def close(self) -> None:
        tasks = [task for task in (self._pulling, self._clock) if task is not None]
        self._halt()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


class _NoSuchStream(Exception):
    """The server says so: asking again would not help."""
