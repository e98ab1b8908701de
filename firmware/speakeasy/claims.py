"""Claims: a phone proves on Wi-Fi who it is and gets its lease (SPEC 3). A small HTTP server for strangers' bytes.

One request a connection, each part bounded; what is not exactly a request is refused. `Claims.respond` is the whole of
it without a socket.
"""

import asyncio
import json
import os

from micropython import const

from . import clock, crypto, inet
from .eventlog import log
from .onetime import OneTime
from .policy import CLAIM_PORT, LEASE_S, Full, Unseen
from .settings import PHONE_ID_BYTES, PHONE_KEY_BYTES, is_hex

HEAD_MAX_BYTES = 1024
BODY_MAX_BYTES = 512
REQUEST_S = 5
MAX_CONNECTIONS = 4
MAX_CHALLENGES = 16
CHALLENGE_S = 30
CHALLENGE_BYTES = 16
TOKEN_BYTES = 16
FREE_WRONG = 5  # wrong claims in WRONG_WINDOW_S that are answered at once
WRONG_WINDOW_S = 10
WRONG_DELAY_S = 3
MAX_DELAYED = 2

_INFO = b"speakeasy claim 1"
_PROOF_BYTES = const(32)
_CLOSE_MS = const(200)
_DRAIN_BYTES = const(256)
# Connections over the limit that are told so at one time; further ones are just closed. Of the board's
# sockets the server takes nine at most: its own, MAX_CONNECTIONS, these, and MAX_DELAYED.
_MAX_REFUSED = const(2)
_MAX_DRAINS = const(16)

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_SAY = {
    "bad-request": "That was no request this bridge understands.",
    "bad-length": "That request is too long.",
    "not-found": "There is nothing here.",
    "bad-method": "This address takes another method.",
    "timeout": "The request did not come in time; try again.",
    "busy": "Too many phones ask at the same moment; try again in a few seconds.",
    "bad-proof": "The bridge does not accept this proof. Claim again; if it stays so, pair the phone again.",
    "bad-token": "This link was used or is older than a minute. Ask for a new one over Bluetooth.",
    "moved": "The phone has another address than it believes; claim again.",
    "full": "All 16 leases are taken; revoke a phone, or wait for one to go away.",
    "slow-down": "Too many wrong claims; wait ten seconds.",
    "unseen": "The bridge does not see yet which machine this is; claim again in a second.",
    "failed": "The bridge could not do that; try again.",
}

_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Speakeasy</title></head><body><h1>Speakeasy</h1><p id="says" role="status">One moment...</p>
<noscript><p>This page needs JavaScript to hand in your token.</p></noscript><script>
"use strict";
const says = text => { document.getElementById("says").textContent = text; };
const token = location.hash.slice(1);
history.replaceState(null, "", "/t");
fetch("/token", {method: "POST", body: JSON.stringify({token: token})})
  .then(answer => answer.json().then(told => {
    if (!answer.ok) { says(told.say); return; }
    const until = new Date(Date.now() + 1000 * told.lease_s).toLocaleString();
    says(told.name + " (" + told.addr + ") may use the speaker until " + until + ", longer while it is in use.");
  }))
  .catch(() => says("The bridge did not answer. Is this device in the same network? Ask for a new link."));
</script></body></html>
"""

# The page may do what it needs, and nothing may frame it.
_PAGE_HEADERS = (
    "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'\r\nReferrer-Policy: no-referrer\r\n"
)


class Refused(Exception):
    """An answer other than 200: `status`, and a word of _SAY."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.word = word


class Wrong(Refused):
    """A claim without a valid proof or token: counted, and slowed down."""


class Claims:
    """`tokens`: the OneTime that the session's operation `token` fills."""

    def __init__(self, identity, phones, policy, tokens, beat, random=os.urandom, now=clock.seconds) -> None:
        self._identity = identity
        self._phones = phones
        self._policy = policy
        self._tokens = tokens
        self._beat = beat
        self._random = random
        self._now = now
        self._challenges = OneTime(MAX_CHALLENGES, CHALLENGE_S, now)
        self._wrong: list = []  # when, of the last FREE_WRONG
        self._active = 0
        self._reading: list = []  # the tasks whose request is not whole yet, oldest first
        self._refusing = 0
        self._delayed = 0

    async def run(self, host: str = "0.0.0.0", port: int = CLAIM_PORT) -> None:
        """Serve for ever."""
        async with await asyncio.start_server(self._connected, host, port, backlog=MAX_CONNECTIONS):
            while True:
                self._beat()
                await asyncio.sleep(1)

    async def _connected(self, reader, writer) -> None:
        # Nothing that happens to one connection may reach another one.
        try:
            if self._active >= MAX_CONNECTIONS and not await self._make_room():
                await self._refuse(reader, writer)
            else:
                await self._one(reader, writer)
        except (OSError, EOFError, asyncio.TimeoutError):
            pass  # the phone went away
        finally:
            writer.close()
            await writer.wait_closed()

    async def _make_room(self) -> bool:
        # A phone's request is there at once: who has not yet said what it wants gives way, the oldest first. So nobody
        # keeps phones out by holding connections.
        if not self._reading:
            return False
        self._reading.pop(0).cancel()
        await asyncio.sleep_ms(0)
        return True

    async def _refuse(self, reader, writer) -> None:
        if self._refusing >= _MAX_REFUSED:
            return
        self._refusing += 1
        try:
            await asyncio.wait_for(_send(writer, *_failure(503, "busy")), REQUEST_S)
            await _drain(reader)
        finally:
            self._refusing -= 1

    async def _one(self, reader, writer) -> None:
        self._active += 1
        try:
            answer, drained = await self._answer(reader, writer)
            if answer is not None:
                await asyncio.wait_for(_send(writer, *answer), REQUEST_S)
                if not drained:
                    await _drain(reader)
                return
        finally:
            self._active -= 1
        # A wrong claim too many. It takes none of the four places while it waits, or wrong claims could keep good ones
        # out.
        if self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                await asyncio.sleep(WRONG_DELAY_S)
                await asyncio.wait_for(_send(writer, *_failure(429, "slow-down")), REQUEST_S)
            finally:
                self._delayed -= 1
        else:
            writer.write(_head_and_body(*_failure(429, "slow-down")))

    async def _answer(self, reader, writer) -> tuple:
        # (answer or None for a wrong claim too many, whether the request was read to its end)
        me = asyncio.current_task()
        self._reading.append(me)
        try:
            method, path, body = await asyncio.wait_for(_request(reader), REQUEST_S)
        except asyncio.TimeoutError:
            return _failure(408, "timeout"), False
        except Refused as e:
            return _failure(e.status, e.word), False
        finally:
            if me in self._reading:
                self._reading.remove(me)
        try:
            peer = writer.get_extra_info("peername")
            return self.respond(method, path, body, inet.parse(peer[0]), peer[1]), True
        except Wrong as e:
            return None if self._too_many_wrong() else _failure(e.status, e.word), True
        except Refused as e:
            return _failure(e.status, e.word), True

    def respond(self, method: str, path: str, body: bytes, addr: bytes, port: int) -> tuple:
        """Answer one request that came from `addr`:`port`: (status, type, extra headers, body). Refused or Wrong."""
        wanted = {"/challenge": "GET", "/t": "GET", "/claim": "POST", "/token": "POST"}.get(path)
        if wanted is None:
            raise Refused(404, "not-found")
        if method != wanted:
            raise Refused(405, "bad-method")
        if path == "/challenge":
            challenge = self._random(CHALLENGE_BYTES)
            self._challenges.put(challenge)
            return _success({"bridge": self._identity.bridge_id.hex(), "challenge": challenge.hex()})
        if path == "/t":
            return 200, "text/html; charset=utf-8", _PAGE_HEADERS, _PAGE
        given = _object(body)
        if path == "/claim":
            return self._claim(given, addr, port)
        return self._token(given, addr, port)

    def _claim(self, given: dict, addr: bytes, port: int) -> tuple:
        phone_id, challenge, proof, text = [given.get(k, "") for k in ("phone", "challenge", "proof", "addr")]
        if not (
            is_hex(phone_id, PHONE_ID_BYTES)
            and is_hex(challenge, CHALLENGE_BYTES)
            and is_hex(proof, _PROOF_BYTES)
            and isinstance(text, str)
        ):
            raise Refused(400, "bad-request")
        try:
            believed = inet.parse(text) if text else inet.ZERO
        except ValueError:
            raise Refused(400, "bad-request") from None
        phone = bytes.fromhex(phone_id)
        nonce = bytes.fromhex(challenge)
        fresh = self._challenges.take(nonce) is not None
        key = self._phones.key(phone)
        # The same work for a phone that does not exist.
        claim_key = crypto.hkdf(b"", key or self._random(PHONE_KEY_BYTES), _INFO, 32)
        right = crypto.hmac(claim_key, self._identity.bridge_id, phone, nonce, believed)
        if not crypto.equal(right, bytes.fromhex(proof)) or key is None or not fresh:
            raise Wrong(403, "bad-proof")
        if text and believed != addr:
            raise Refused(409, "moved")
        return self._grant(phone_id, addr, port)

    def _token(self, given: dict, addr: bytes, port: int) -> tuple:
        token = given.get("token", "")
        if not is_hex(token, TOKEN_BYTES):
            raise Refused(400, "bad-request")
        owner = self._tokens.take(bytes.fromhex(token))
        if owner is None or self._phones.find(owner[0]) is None:
            raise Wrong(403, "bad-token")
        return self._grant(owner[0], addr, port)

    def _grant(self, phone_id: str, addr: bytes, port: int) -> tuple:
        try:
            by_mac = self._policy.grant(phone_id, addr, port)
        except Full:
            raise Refused(503, "full") from None
        except Unseen:
            raise Refused(503, "unseen") from None
        except (OSError, ValueError):
            raise Refused(503, "failed") from None
        phone = self._phones.find(phone_id)
        return _success(
            {
                "addr": inet.text(addr),
                "lease_s": LEASE_S,
                "by": "mac" if by_mac else "address",
                "name": phone["name"] if phone else "",
            }
        )

    def _too_many_wrong(self) -> bool:
        now = self._now()
        self._wrong = [t for t in self._wrong if now - t < WRONG_WINDOW_S]
        if len(self._wrong) >= FREE_WRONG:
            return True
        self._wrong.append(now)
        if len(self._wrong) == FREE_WRONG:
            log("claims", "%d wrong claims in %d s: further ones are slowed down" % (FREE_WRONG, WRONG_WINDOW_S))
        return False


def _object(body: bytes) -> dict:
    try:
        given = json.loads(body.decode())
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused(400, "bad-request")
    return given


def _success(answer: dict) -> tuple:
    return 200, "application/json", "", json.dumps(answer).encode()


def _failure(status: int, word: str) -> tuple:
    return status, "application/json", "", json.dumps({"error": word, "say": _SAY[word]}).encode()


async def _request(reader) -> tuple[str, str, bytes]:
    # (method, path, body). Refused for all that is too long or no request; EOFError when it is cut off.
    buffer = bytearray(HEAD_MAX_BYTES + BODY_MAX_BYTES)
    view = memoryview(buffer)
    n = 0
    end = -1
    while end < 0:
        if n >= HEAD_MAX_BYTES:
            raise Refused(413, "bad-length")
        n += await _some(reader, view[n:HEAD_MAX_BYTES])
        end = bytes(view[:n]).find(b"\r\n\r\n")
    method, path, length = _head(bytes(view[:end]))
    start = end + 4
    if length > BODY_MAX_BYTES:
        raise Refused(413, "bad-length")
    if n > start + length:
        raise Refused(400, "bad-request")  # a second request, or a body that was not announced
    while n < start + length:
        n += await _some(reader, view[n : start + length])
    return method, path, bytes(view[start : start + length])


async def _some(reader, view) -> int:
    while True:
        n = await reader.readinto(view)
        if n is None:
            continue
        if n == 0:
            raise EOFError
        return n


def _head(head: bytes) -> tuple:
    # (method, path, length of the body) of a request line and headers.
    for byte in head:
        if byte > 126 or (byte < 32 and byte not in (9, 10, 13)):
            raise Refused(400, "bad-request")
    lines = head.decode().split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].startswith("/") or not parts[0]:
        raise Refused(400, "bad-request")
    length = -1
    for line in lines[1:]:
        colon = line.find(":")
        name = line[:colon].lower()
        value = line[colon + 1 :].strip()
        if colon < 1 or name != name.strip() or "\n" in line or "\r" in line:
            raise Refused(400, "bad-request")
        if name == "transfer-encoding":
            raise Refused(400, "bad-request")
        if name == "content-length":
            if length >= 0 or not value or not all("0" <= c <= "9" for c in value):
                raise Refused(400, "bad-request")
            if len(value) > 4:
                raise Refused(413, "bad-length")
            length = int(value)
    return parts[0], parts[1], max(length, 0)


def _head_and_body(status: int, kind: str, extra: str, body: bytes) -> bytes:
    head = (
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n%s\r\n" % (status, _REASONS[status], kind, len(body), extra)
    )
    return head.encode() + body


async def _send(writer, status: int, kind: str, extra: str, body: bytes) -> None:
    writer.write(_head_and_body(status, kind, extra, body))
    await writer.drain()


async def _drain(reader) -> None:
    # What was not read yet would turn our close into a reset that overtakes the answer: take a bit of it.
    try:
        for _ in range(_MAX_DRAINS):
            if not await asyncio.wait_for_ms(reader.read(_DRAIN_BYTES), _CLOSE_MS):
                break
    except asyncio.TimeoutError:
        pass
