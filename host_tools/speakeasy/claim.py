"""Claims: a phone proves on Wi-Fi who it is, and is let in from there (docs/SPEC.md, section 3).

The other side of the HTTP connection is whoever has the bridge's address: nothing that it says is trusted, its answers
are bounded in size and time, and what is sent to it (a keyed proof over its challenge) is worth nothing elsewhere.
"""

import asyncio
import io
import json
import re
import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import AddressValueError, IPv4Address
from typing import Any, cast

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from speakeasy.errors import SpeakeasyError
from speakeasy.session import printable

PORT = 7780
REQUEST_LIMIT_S = 12.0  # for one request: the bridge gives it 5 s, and delays the answer to a wrong claim
CONNECT_LIMIT_S = 5.0
LARGEST_ANSWER = 8192  # bytes, headers included

_CHALLENGE = re.compile(r"[0-9a-f]{32}")
_BRIDGE = re.compile(r"[0-9a-f]{16}")


class ClaimError(SpeakeasyError):
    """The claim was not answered, or not as a bridge would."""


class Unreachable(ClaimError):
    """No bridge answers at this address: it may have another one by now."""


class ClaimRefused(ClaimError):
    """The bridge said no. `word` as in SPEC 3: bad-proof, moved, full, slow-down."""

    def __init__(self, word: str, say: str) -> None:
        super().__init__(say)
        self.word = word


@dataclass(frozen=True)
class Lease:
    """What a claim gives: the right to pass from `addr`, until `lease_s` seconds without traffic are over.

    `by`: what the bridge recognises the phone by, its "mac" or only its "address".
    """

    addr: str
    lease_s: int
    by: str


def proof(key: bytes, bridge: bytes, phone: bytes, challenge: bytes, addr: str) -> bytes:
    """The 32 bytes that prove `key` (32 bytes) for a challenge (16 bytes) from the address `addr` ("" for unknown)."""
    claim_key = HKDF(hashes.SHA256(), 32, b"", b"speakeasy claim 1").derive(key)
    tag = hmac.HMAC(claim_key, hashes.SHA256())
    tag.update(bridge + phone + challenge + (IPv4Address(addr).packed if addr else bytes(4)))
    return tag.finalize()


def own_address(towards: str) -> str:
    """This machine's address on the way to `towards`. Sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((towards, PORT))
            return str(sock.getsockname()[0])
    except OSError:
        raise Unreachable(f"There is no way from here to {towards}. Is this phone on the same network?") from None


class _Bytes:
    """What http.client wants of a socket: here all that came, read already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self._data)


async def _exchange(addr: str, port: int, request: bytes) -> bytes:
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            reader, writer = await asyncio.open_connection(addr, port, limit=LARGEST_ANSWER)
    except (OSError, TimeoutError):
        raise Unreachable(f"No bridge answers at {addr} (port {port}).") from None
    try:
        async with asyncio.timeout(REQUEST_LIMIT_S):
            writer.write(request)
            await writer.drain()
            raw = bytearray()
            while chunk := await reader.read(LARGEST_ANSWER):
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    raise Unreachable(f"What answers at {addr} is no bridge: its answer is too long.")
            return bytes(raw)
    except TimeoutError:
        raise Unreachable(f"What answers at {addr} took longer than {REQUEST_LIMIT_S:.0f} s. Try again.") from None
    except OSError:
        raise Unreachable(f"The connection to {addr} broke in the middle. Try again.") from None
    finally:
        writer.transport.abort()


async def _request(
    addr: str, port: int, method: str, path: str, body: dict[str, str] | None
) -> tuple[int, dict[str, Any]]:
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {addr}:{port}\r\nConnection: close\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    raw = await _exchange(addr, port, head.encode() + b"\r\n" + content)
    try:
        response = HTTPResponse(cast(socket.socket, _Bytes(raw)), method=method)
        response.begin()
        value = json.loads(response.read())
        if not isinstance(value, dict):
            raise TypeError
    except (HTTPException, ValueError, TypeError, OSError, RecursionError):
        raise Unreachable(f"What answers at {addr} is no bridge: its answer is not understood.") from None
    return response.status, value


_SAY = {
    "bad-proof": "The bridge does not know this phone (any more). Ask an owner whether it was revoked, and pair again "
    "with an invite, or, if the bridge was reset, pair with the setup code on its label.",
    "moved": "The bridge sees this phone at another address than the phone itself does: a router stands in between.",
    "full": "The bridge has no room for one more phone on Wi-Fi. Have an owner look at `speakeasy status`.",
    "slow-down": "The bridge has seen too many wrong claims. Wait ten seconds, and try again.",
}


def _refusal(status: int, answer: dict[str, Any]) -> ClaimRefused:
    word = printable(answer.get("error") or "")
    if word not in _SAY:
        return ClaimRefused("failed", f"The bridge refused the claim (HTTP status {status}). Try again.")
    said = _SAY[word]
    if word == "moved":
        said += " If that is so, claim with --any-address: then the lease is for that router's address."
    return ClaimRefused(word, said)


async def claim(
    addr: str,
    port: int,
    *,
    bridge: bytes,
    phone: bytes,
    key: bytes,
    name_address: bool = True,
) -> Lease:
    """Claims a lease from the bridge at `addr`. Raises Unreachable (also when that is another bridge) or ClaimRefused.

    `name_address`: our own address is part of the proof, so that nobody in between can have the lease instead of us.
    """
    try:
        IPv4Address(addr)
    except AddressValueError:
        raise ClaimError(f"{addr!r} is no address. It looks like 10.66.0.117; `speakeasy status` shows it.") from None
    status, answer = await _request(addr, port, "GET", "/challenge", None)
    theirs, challenge = answer.get("bridge"), answer.get("challenge")
    if status == 503:
        raise ClaimError("The bridge is busy with other phones. Try again in a few seconds.")
    if (
        status != 200
        or not isinstance(theirs, str)
        or not isinstance(challenge, str)
        or not _BRIDGE.fullmatch(theirs)
        or not _CHALLENGE.fullmatch(challenge)
    ):
        raise Unreachable(f"What answers at {addr} is no bridge: its challenge is not understood.")
    if theirs != bridge.hex():
        raise Unreachable(f"Another bridge ({theirs}) answers at {addr}.")
    own = own_address(addr) if name_address else ""
    body = {
        "phone": phone.hex(),
        "challenge": challenge,
        "addr": own,
        "proof": proof(key, bridge, phone, bytes.fromhex(challenge), own).hex(),
    }
    status, answer = await _request(addr, port, "POST", "/claim", body)
    if status != 200:
        raise _refusal(status, answer)
    lease_s = answer.get("lease_s")
    if not isinstance(lease_s, int):
        raise Unreachable(f"What answers at {addr} is no bridge: its answer is not understood.")
    return Lease(printable(answer.get("addr")), lease_s, printable(answer.get("by")))
