"""The device: its HTTP side on port 1400, its TLS side on port 1443, and the control socket that tests look through."""

import asyncio
import contextlib
import datetime as dt
import logging
import ssl
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dorm.dhcp import read_lease
from dorm.jsonlines import serve_json
from dorm.speaker import description, interface
from dorm.speaker.gena import Publisher
from dorm.speaker.player import Player
from dorm.speaker.services import Services
from dorm.speaker.soap import BODY_LIMIT, Service, UpnpError, fault
from dorm.speaker.ssdp import Ssdp
from dorm.topology import SPEAKER_PORT, SPEAKER_TLS_PORT

REQUESTS_KEPT = 2000
KEEP_ALIVE_S = 300.0
ADDRESS_POLL_S = 0.25
XML_TYPE = "text/xml"

_log = logging.getLogger("speaker")


class Device:
    """A player on the network interface `ifname`. `run` serves until /reboot is asked for (or until cancelled)."""

    def __init__(self, ifname: str, lease_file: Path, boot_seq: int) -> None:
        self._ifname = ifname
        self._lease_file = lease_file
        self._boot_seq = boot_seq
        self._identity = description.Identity(interface.hardware_address(ifname))
        self._player = Player(lease_file, self._playback_changed)
        self._services = Services(self._identity, self._player, self._address, self._publish, boot_seq)
        self._publisher = Publisher(self._identity.uid, self._current)
        self._ssdp = Ssdp(ifname, description.usns(self._identity, self._services.entries), boot_seq)
        self._requests: deque[dict[str, Any]] = deque(maxlen=REQUESTS_KEPT)
        self._controllers: deque[str] = deque(maxlen=16)
        self._rebooting = asyncio.Event()
        self._pages: dict[str, str] = {}

    def _address(self) -> str:
        return interface.address(self._ifname) or "0.0.0.0"

    def _playback_changed(self) -> None:
        self._services.playback_changed()

    def _publish(self, service: str, variables: dict[str, str]) -> None:
        for each in self._services.all:
            if each.entry.name == service:
                self._publisher.publish(each.entry.control, variables)

    def _current(self, control: str) -> dict[str, str]:
        return self._services.evented(control)

    async def run(self, control: Path) -> None:
        """Serves; returns when the player is to reboot. `control` is the Unix socket for tests."""
        await self._publisher.start()
        runner = web.AppRunner(self._application(), access_log=None, keepalive_timeout=KEEP_ALIVE_S)
        await runner.setup()
        tls = web.AppRunner(self._tls_application(), access_log=None)
        await tls.setup()
        watch = asyncio.get_running_loop().create_task(self._watch_address())
        try:
            await web.TCPSite(runner, "0.0.0.0", SPEAKER_PORT).start()
            await web.TCPSite(tls, "0.0.0.0", SPEAKER_TLS_PORT, ssl_context=_tls_context(self._identity.uid)).start()
            await self._ssdp.start()
            async with serve_json(control, self._answer):
                _log.info("%s is up, boot %d, at %s", self._identity.uid, self._boot_seq, self._address())
                await self._rebooting.wait()
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    # --- HTTP -------------------------------------------------------------------------------------------------------
    def _application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._record])
        app.router.add_get(description.DESCRIPTION_PATH, self._describe)
        for service in self._services.all:
            if service.entry.scpd not in self._pages:  # two services may be of one type
                self._pages[service.entry.scpd] = service.scpd()
                app.router.add_get(service.entry.scpd, self._scpd)
            app.router.add_post(service.entry.control, self._control_of(service))
            for method in ("SUBSCRIBE", "UNSUBSCRIBE"):
                app.router.add_route(method, service.entry.events, self._events_of(service))
        app.router.add_get("/status", self._status)
        app.router.add_get("/status/{page}", self._status)
        app.router.add_get("/reboot", self._reboot)
        return app

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        seen = {
            "peer": request.remote,
            "method": request.method,
            "path": request.path,
            "agent": request.headers.get("User-Agent", ""),
            "action": request.headers.get("SOAPACTION", "").strip('"').rpartition("#")[2],
            "status": 0,
        }
        self._requests.append(seen)
        if request.remote and request.remote not in self._controllers:
            self._controllers.append(request.remote)
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            seen["status"] = error.status
            raise
        seen["status"] = response.status
        response.headers["Server"] = description.SERVER
        return response

    async def _describe(self, _: web.Request) -> web.Response:
        text = description.device_description(self._identity, self._services.entries, self._address())
        return web.Response(text=text, content_type=XML_TYPE)

    async def _scpd(self, request: web.Request) -> web.Response:
        return web.Response(text=self._pages[request.path], content_type=XML_TYPE)

    def _control_of(self, service: Service) -> Any:
        async def control(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                text = service.control(request.headers.get("SOAPACTION", ""), body)
            except UpnpError as error:
                return web.Response(status=500, text=fault(error), content_type=XML_TYPE, headers={"EXT": ""})
            return web.Response(text=text, content_type=XML_TYPE, headers={"EXT": ""})

        return control

    def _events_of(self, service: Service) -> Any:
        async def events(request: web.Request) -> web.Response:
            return await self._publisher.handle(service.entry.control, request)

        return events

    async def _status(self, request: web.Request) -> web.Response:
        lease = read_lease(self._lease_file)
        known = {"subnet": lease.netmask, "router": lease.router, "dns": " ".join(lease.dns)} if lease else {}
        pages = description.status_pages(self._identity, self._address(), known, list(self._controllers))
        page = request.match_info.get("page", "")
        if page not in pages:
            raise web.HTTPNotFound
        return web.Response(text=pages[page], content_type=XML_TYPE if page else "text/html")

    async def _reboot(self, request: web.Request) -> web.Response:
        # No password, no question asked: as the real one.
        _log.warning("%s asks for a reboot", request.remote)
        asyncio.get_running_loop().call_later(0.2, self._rebooting.set)
        return web.Response(text="<html><body>Rebooting.</body></html>", content_type="text/html")

    # --- TLS --------------------------------------------------------------------------------------------------------
    def _tls_application(self) -> web.Application:
        async def info(_: web.Request) -> web.Response:
            return web.json_response(
                {
                    "_objectType": "discoveryInfo",
                    "device": {
                        "_objectType": "deviceInfo",
                        "id": self._identity.uid,
                        "serialNumber": self._identity.serial,
                        "modelDisplayName": "Play:1",
                        "name": self._identity.name,
                        "softwareVersion": description.SOFTWARE_VERSION,
                    },
                    "householdId": description.HOUSEHOLD,
                    "playerId": self._identity.uid,
                    "restUrl": f"https://{self._address()}:{SPEAKER_TLS_PORT}/api",
                    "websocketUrl": f"wss://{self._address()}:{SPEAKER_TLS_PORT}/websocket/api",
                }
            )

        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._record])
        app.router.add_get("/api/v1/players/local/info", info)
        return app

    # --- the rest ---------------------------------------------------------------------------------------------------
    async def _watch_address(self) -> None:
        before = self._address()
        while True:
            await asyncio.sleep(ADDRESS_POLL_S)
            now = self._address()
            if now != before:
                _log.info("address %s -> %s", before, now)
                before = now
                if now != "0.0.0.0":
                    self._player.reconnect()
                    self._ssdp.announce()
                    self._services.address_changed()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request.get("op")
        if op == "state":
            return {
                "address": interface.address(self._ifname),
                "uid": self._identity.uid,
                "boot": self._boot_seq,
                "volume": self._services.rendering.volume,
                "mute": self._services.rendering.mute == "1",
                "player": self._player.report(),
                "subscriptions": [
                    {"service": s.service, "callback": s.callbacks[0], "left_s": round(s.expires - time.monotonic())}
                    for s in self._publisher.subscriptions
                ],
                "events": self._publisher.delivered,
                "searches": self._ssdp.searches,
                "requests": len(self._requests),
            }
        if op == "requests":
            return {"requests": list(self._requests)}
        if op == "forget":
            self._requests.clear()
            return {}
        raise ValueError(f"unknown op {op!r}")


def _tls_context(uid: str) -> ssl.SSLContext:
    """TLS with a certificate made for this boot; nobody can check a real player's certificate either."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uid)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context
