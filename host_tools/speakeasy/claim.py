"""Claims: a phone proves on Wi-Fi who it is, and is let in from there; an owner opens Bluetooth (docs/SPEC.md, 3).

The other side of the HTTP connection is whoever has the bridge's address: nothing that it says is trusted, its answers
are bounded in size and time, and what is sent to it (a keyed proof over its challenge) is worth nothing elsewhere.
"""

import asyncio
import io
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import AddressValueError, IPv4Address
from typing import Any, cast

import psutil
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from speakeasy.errors import NOT_REACHED, NotReached, SpeakeasyError, UsageError
from speakeasy.session import printable

PORT = 7780
REQUEST_LIMIT_S = 12.0  # for one request: the bridge gives it 5 s, and delays the answer to a wrong claim
CONNECT_LIMIT_S = 6.0  # for reaching the bridge at all, with all tries
CONNECT_AGAIN_S = 1.0  # another try begins beside those that have no answer yet: the bridge takes few in a moment
LARGEST_ANSWER = 8192  # bytes, headers included

_CHALLENGE = re.compile(r"[0-9a-f]{32}")
_BRIDGE = re.compile(r"[0-9a-f]{16}")
_ANSWER = re.compile(r"[0-9a-f]{64}")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


_PASSING = ("busy", "unseen", "slow-down")  # the same may work a moment later


class ClaimError(SpeakeasyError):
    """The claim was not answered, or not as a bridge would."""


class Unreachable(ClaimError, NotReached):
    """No bridge answers at this address: it may have another one by now."""


class ClaimRefused(ClaimError):
    """The bridge (or whoever answers for it) said no. `word` as in SPEC 3: bad-proof, moved, relayed, full, ..."""

    def __init__(self, word: str, say: str) -> None:
        super().__init__(say)
        self.word = word
        if word in _PASSING:
            self.exit_status = NOT_REACHED


@dataclass(frozen=True)
class Lease:
    """What a claim gives: the right to pass from `addr`, until `lease_s` seconds without traffic are over.

    `by`: what the bridge recognises the phone by, its "mac" or only its "address". `segment`, `speaker`: the state of
    the speaker's place (SPEC 2.4) and whether the speaker is there; None of a bridge that does not say so.
    """

    addr: str
    lease_s: int
    by: str
    segment: str | None = None
    speaker: bool | None = None


def _key(key: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, b"", f"speakeasy {purpose} 1".encode()).derive(key)


def _tag(key: bytes, *parts: bytes) -> hmac.HMAC:
    tag = hmac.HMAC(key, hashes.SHA256())
    tag.update(b"".join(parts))
    return tag


def claim_proof(key: bytes, bridge: bytes, phone: bytes, challenge: bytes, addr: str, mac: str) -> bytes:
    """The 32 bytes that prove `key` (32 bytes) for a challenge (16 bytes) from the address `addr` and the MAC `mac`
    ("aa:bb:cc:dd:ee:ff"); "" for what is not known."""
    four = IPv4Address(addr).packed if addr else bytes(4)
    six = bytes.fromhex(mac.replace(":", "")) if mac else bytes(6)
    return _tag(_key(key, "claim"), bridge, phone, challenge, four, six).finalize()


def open_proof(key: bytes, bridge: bytes, phone: bytes, challenge: bytes) -> bytes:
    """The same for the request to open Bluetooth."""
    return _tag(_key(key, "open"), bridge, phone, challenge).finalize()


def is_answer(key: bytes, purpose: str, challenge: bytes, seconds: int, answer: str) -> bool:
    """Whether `answer` (hex) is that of a bridge that knows `key`, for `purpose` "claim" or "open"."""
    try:
        _tag(_key(key, purpose), b"answer", challenge, seconds.to_bytes(4, "big")).verify(bytes.fromhex(answer))
    except InvalidSignature:
        return False
    return True


def check_address(address: str | None) -> None:
    """Raises UsageError when a bridge's address, if it is given, can be none."""
    try:
        if address is not None:
            IPv4Address(address)
    except AddressValueError:
        raise UsageError(
            f"{address!r} is no address. It looks like 10.66.0.117; `speakeasy status` shows it."
        ) from None


def own_address(towards: str) -> str:
    """This machine's address on the way to `towards`. Sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((towards, PORT))
            return str(sock.getsockname()[0])
    except OSError:
        raise Unreachable(f"There is no way from here to {towards}. Is this phone on the same network?") from None


def own_mac(address: str) -> str:
    """The MAC of the network interface that has this address of ours, "aa:bb:cc:dd:ee:ff"; "" when nobody can say."""
    return mac_beside(address, list(psutil.net_if_addrs().values()))


def mac_beside(address: str, interfaces: Sequence[Sequence[Any]]) -> str:
    """As `own_mac`; for each interface all its addresses of any kind, as psutil gives them."""
    there = [
        entries for entries in interfaces if any((e.family, e.address) == (socket.AF_INET, address) for e in entries)
    ]
    macs = [e.address.lower().replace("-", ":") for entries in there for e in entries if e.family == psutil.AF_LINK]
    # None: a tunnel. Several: nobody can say. Zeros: the loopback interface.
    if len(there) != 1 or len(macs) != 1 or not _MAC.fullmatch(macs[0]) or macs[0] == "00:00:00:00:00:00":
        return ""
    return str(macs[0])


class _Bytes:
    """What http.client wants of a socket: here all that came, read already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self._data)


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(addr: str, port: int) -> _Connection:
    """The first connection that comes about of one begun each CONNECT_AGAIN_S. One alone would ask three times in that
    limit, and what is lost on the way, or is one too many at the bridge, is lost for seconds. Raises OSError as soon as
    one is refused; TimeoutError."""
    tries: set[asyncio.Task[_Connection]] = set()
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            while True:
                tries.add(asyncio.create_task(asyncio.open_connection(addr, port, limit=LARGEST_ANSWER)))
                done, _ = await asyncio.wait(tries, timeout=CONNECT_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    connection = await task
                    tries.remove(task)
                    return connection
    finally:
        for task in tries:
            task.cancel()
        for late in await asyncio.gather(*tries, return_exceptions=True):
            if not isinstance(late, BaseException):
                late[1].transport.abort()


async def _exchange(addr: str, port: int, request: bytes) -> bytes:
    try:
        reader, writer = await _connect(addr, port)
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
    except (HTTPException, ValueError, TypeError, OSError, RecursionError, OverflowError):  # lengths are theirs, too
        raise Unreachable(f"What answers at {addr} is no bridge: its answer is not understood.") from None
    return response.status, value


_SAY = {
    "bad-proof": "The bridge does not know this phone (any more). Ask an owner whether it was revoked, and pair again "
    "with an invite, or, if the bridge was reset, pair with the setup code on its label.",
    "moved": "The bridge sees this phone at another address than the phone itself does: a router stands in between. "
    "If that is so, claim with --any-address: then the lease is for that router's address.",
    "relayed": "Something between this phone and the bridge answers for it: a repeater, or somebody who listens. If "
    "it is a repeater of yours, claim with --any-address: then it, and whoever is behind it, is let in.",
    "full": "The bridge has no room for one more phone on Wi-Fi. Wait until another one leaves, or ask an "
    "owner to shut one out.",
    "slow-down": "The bridge has seen too many wrong claims. Wait ten seconds, and try again.",
    "not-allowed": "Only an owner may open the bridge's Bluetooth. Ask one, or press the button on the bridge.",
    "unseen": "The bridge has not seen yet which machine this is. Try again in a second.",
    "busy": "The bridge is busy with other phones. Try again in a few seconds.",
}


def _refusal(status: int, answer: dict[str, Any]) -> ClaimRefused:
    word = answer.get("error")
    if not isinstance(word, str) or word not in _SAY:
        return ClaimRefused("failed", f"The bridge refused (HTTP status {status}). Try again.")
    return ClaimRefused(word, _SAY[word])


async def challenge_of(addr: str, port: int, bridge: bytes) -> bytes:
    """A challenge of the bridge at `addr`. Raises Unreachable, also when that is another bridge; ClaimRefused."""
    check_address(addr)
    status, answer = await _request(addr, port, "GET", "/challenge", None)
    theirs, challenge = answer.get("bridge"), answer.get("challenge")
    if status == 503:
        raise _refusal(status, {"error": "busy"})
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
    return bytes.fromhex(challenge)


async def _prove(addr: str, port: int, purpose: str, key: bytes, challenge: bytes, body: dict[str, str]) -> Any:
    """Sends the proof; the answer is the bridge's own: it knows our key."""
    status, answer = await _request(addr, port, "POST", f"/{purpose}", body)
    if status != 200:
        raise _refusal(status, answer)
    seconds, tag = answer.get({"claim": "lease_s", "open": "open_s"}[purpose]), answer.get("answer")
    if type(seconds) is not int or not 0 <= seconds < 1 << 32 or not isinstance(tag, str) or not _ANSWER.fullmatch(tag):
        raise Unreachable(f"What answers at {addr} is no bridge: its answer is not understood.")
    if not is_answer(key, purpose, challenge, seconds, tag):
        raise Unreachable(f"What answers at {addr} is not our bridge: it does not know this phone's key.")
    return answer


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else "?"


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

    `name_address`: our own address and MAC are part of the proof, so that nobody in between can have the lease instead
    of us.
    """
    challenge = await challenge_of(addr, port, bridge)
    own = own_address(addr) if name_address else ""
    mac = own_mac(own) if own else ""
    proof = claim_proof(key, bridge, phone, challenge, own, mac)
    body = {"phone": phone.hex(), "challenge": challenge.hex(), "addr": own, "mac": mac, "proof": proof.hex()}
    answer = await _prove(addr, port, "claim", key, challenge, body)
    segment, speaker = answer.get("segment"), answer.get("speaker")
    return Lease(
        _text(answer.get("addr")),
        answer["lease_s"],
        _text(answer.get("by")),
        printable(segment) if isinstance(segment, str) else None,
        speaker if isinstance(speaker, bool) else None,
    )


async def open_bluetooth(addr: str, port: int, *, bridge: bytes, phone: bytes, key: bytes) -> int:
    """Asks the bridge at `addr` to let phones in over Bluetooth; returns for how many seconds. An owner may.

    Raises as `claim` does.
    """
    challenge = await challenge_of(addr, port, bridge)
    proof = open_proof(key, bridge, phone, challenge)
    body = {"phone": phone.hex(), "challenge": challenge.hex(), "proof": proof.hex()}
    seconds: int = (await _prove(addr, port, "open", key, challenge, body))["open_s"]
    return seconds
