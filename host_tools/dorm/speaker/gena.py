"""Events: SUBSCRIBE, renewal, UNSUBSCRIBE, NOTIFY (UPnP Device Architecture 1.0/1.1, section 4)."""

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web

DEFAULT_TIMEOUT_S = 1800
MAX_TIMEOUT_S = 86_400
NOTIFY_TIMEOUT_S = 30.0  # UDA 1.0, 4.2.1
MAX_SUBSCRIPTIONS = 64
QUEUE_LIMIT = 64  # events that wait for one subscriber
MAX_FAILURES = 3  # notifications that fail in a row before a subscriber is given up
MAX_SEQ = 2**32 - 1

_log = logging.getLogger("gena")
_CALLBACK = re.compile(r"<(http://[^<>\s]+)>", re.IGNORECASE)
_TIMEOUT = re.compile(r"^Second-(\d{1,9}|infinite)$", re.IGNORECASE)


@dataclass
class Subscription:
    """One subscriber to one service's events."""

    sid: str
    service: str
    callbacks: list[str]
    expires: float  # time.monotonic()
    seq: int = 0
    failures: int = 0
    queue: asyncio.Queue[dict[str, str]] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT))
    task: asyncio.Task[None] | None = None


def property_set(variables: dict[str, str]) -> str:
    """The body of a NOTIFY."""
    inner = "".join(f"<e:property><{name}>{escape(value)}</{name}></e:property>" for name, value in variables.items())
    return f'<e:propertyset xmlns:e="urn:schemas-upnp-org:event-1-0">{inner}</e:propertyset>'


class Publisher:
    """All subscriptions of the device. `current(service)` gives a service's evented variables for the first event."""

    def __init__(self, uid: str, current: Callable[[str], dict[str, str]]) -> None:
        self.delivered = 0
        self._uid = uid
        self._current = current
        self._subscriptions: dict[str, Subscription] = {}
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return list(self._subscriptions.values())

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=NOTIFY_TIMEOUT_S), connector=aiohttp.TCPConnector(force_close=True)
        )

    async def stop(self) -> None:
        for sid in list(self._subscriptions):
            self._end(sid)
        if self._session is not None:
            await self._session.close()

    async def handle(self, service: str, request: web.Request) -> web.Response:
        """Answers a SUBSCRIBE or UNSUBSCRIBE to `service`'s event URL."""
        headers = request.headers
        sid = headers.get("SID")
        if sid is not None and ("NT" in headers or "CALLBACK" in headers):
            return web.Response(status=400)  # UDA 1.0, 4.1.1: incompatible header fields
        if request.method == "UNSUBSCRIBE":
            if sid is None or not self._of(service, sid):
                return web.Response(status=412)
            self._end(sid)
            return web.Response()
        if sid is not None:
            subscription = self._of(service, sid)
            if subscription is None:
                return web.Response(status=412)
        else:
            callbacks = _CALLBACK.findall(headers.get("CALLBACK", ""))
            if headers.get("NT") != "upnp:event" or not callbacks:
                return web.Response(status=412)
            self._expire()
            if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
                return web.Response(status=503)
            sid = f"uuid:{self._uid}_sub{next(self._numbers):010d}"
            subscription = Subscription(sid, service, callbacks, 0.0)
            self._subscriptions[sid] = subscription
            subscription.queue.put_nowait(self._current(service))
            # The task runs after this handler has returned: the answer leaves before the first event.
            subscription.task = asyncio.get_running_loop().create_task(self._deliver(subscription))
            _log.info("%s subscribes to %s, to be told at %s", request.remote, service, callbacks[0])
        seconds = _seconds(headers.get("TIMEOUT", ""))
        subscription.expires = time.monotonic() + seconds
        return web.Response(headers={"SID": sid, "TIMEOUT": f"Second-{seconds}"})

    def publish(self, service: str, variables: dict[str, str]) -> None:
        """Tells all subscribers of `service` about changed variables."""
        self._expire()
        for subscription in self._subscriptions.values():
            if subscription.service == service:
                if subscription.queue.full():
                    subscription.queue.get_nowait()  # the oldest goes: the newest is what counts
                subscription.queue.put_nowait(variables)

    def _of(self, service: str, sid: str) -> Subscription | None:
        self._expire()
        subscription = self._subscriptions.get(sid)
        return subscription if subscription is not None and subscription.service == service else None

    def _expire(self) -> None:
        now = time.monotonic()
        for sid in [s.sid for s in self._subscriptions.values() if s.expires and s.expires < now]:
            self._end(sid)

    def _end(self, sid: str) -> None:
        subscription = self._subscriptions.pop(sid, None)
        if subscription is not None and subscription.task is not None:
            subscription.task.cancel()

    async def _deliver(self, subscription: Subscription) -> None:
        while subscription.failures < MAX_FAILURES:
            variables = await subscription.queue.get()
            delivered = False
            for callback in subscription.callbacks:
                if delivered := await self._notify(subscription, callback, variables):
                    break
            subscription.failures = 0 if delivered else subscription.failures + 1
            subscription.seq = subscription.seq + 1 if subscription.seq < MAX_SEQ else 1
        _log.info("%s is given up: nobody answers at %s", subscription.sid, subscription.callbacks[0])
        self._subscriptions.pop(subscription.sid, None)

    async def _notify(self, subscription: Subscription, callback: str, variables: dict[str, str]) -> bool:
        assert self._session is not None
        headers = {
            "Content-Type": 'text/xml; charset="utf-8"',
            "NT": "upnp:event",
            "NTS": "upnp:propchange",
            "SID": subscription.sid,
            "SEQ": str(subscription.seq),
        }
        try:
            async with self._session.request(
                "NOTIFY", callback, data=property_set(variables).encode(), headers=headers
            ) as answer:
                await answer.read()
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            _log.info("event to %s not delivered: %s", callback, error or type(error).__name__)
            return False
        self.delivered += 1
        return answer.status == 200


def _seconds(asked: str) -> int:
    match = _TIMEOUT.match(asked.strip())
    if match is None:
        return DEFAULT_TIMEOUT_S
    if match[1].lower() == "infinite":
        return MAX_TIMEOUT_S
    return min(max(int(match[1]), 1), MAX_TIMEOUT_S)
