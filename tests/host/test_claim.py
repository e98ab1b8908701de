"""The claim's client against a real HTTP server, and against servers that are none (SPEC 3)."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from speakeasy import claim as c

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "pairing.json").read_text())
BRIDGE, PHONE, KEY = bytes.fromhex("b0b1b2b3b4b5b6b7"), bytes.fromhex("f0f1f2f3f4f5f6f7"), bytes(range(0x40, 0x60))
CHALLENGE = bytes(range(0x80, 0x90))


@pytest.mark.parametrize("case", VECTORS["claims"], ids=lambda case: case["addr"] or "no address")
def test_proof_vectors(case: dict[str, str]) -> None:
    given = [bytes.fromhex(case[name]) for name in ("phone_key", "bridge", "phone", "challenge")]
    assert c.proof(*given, case["addr"]).hex() == case["proof"]


class Server:
    """A claim server as in SPEC 3, on aiohttp."""

    def __init__(self, bridge: bytes = BRIDGE, status: int = 200, answer: dict[str, Any] | None = None) -> None:
        self.bridge, self.status, self.answer = bridge, status, answer
        self.claims: list[dict[str, Any]] = []

    async def challenge(self, _: web.Request) -> web.Response:
        return web.json_response({"bridge": self.bridge.hex(), "challenge": CHALLENGE.hex()})

    async def claim(self, request: web.Request) -> web.Response:
        self.claims.append(await request.json())
        answer = {"addr": request.remote, "lease_s": 43200, "by": "mac"} if self.answer is None else self.answer
        return web.json_response(answer, status=self.status)

    async def serve(self, work: Callable[[int], Awaitable[None]]) -> None:
        app = web.Application()
        app.add_routes([web.get("/challenge", self.challenge), web.post("/claim", self.claim)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await work(runner.addresses[0][1])
        finally:
            await runner.cleanup()


async def claim(port: int, **more: Any) -> c.Lease:
    return await c.claim("127.0.0.1", port, bridge=BRIDGE, phone=PHONE, key=KEY, **more)


def test_a_claim_names_our_address_and_proves_the_key() -> None:
    server = Server()

    async def work(port: int) -> None:
        assert await claim(port) == c.Lease("127.0.0.1", 43200, "mac")

    asyncio.run(server.serve(work))
    (body,) = server.claims
    assert set(body) == {"phone", "challenge", "addr", "proof"}
    assert body["addr"] == "127.0.0.1"
    assert body["proof"] == c.proof(KEY, BRIDGE, PHONE, CHALLENGE, "127.0.0.1").hex()
    assert KEY.hex() not in json.dumps(body)


def test_a_claim_without_our_address() -> None:
    server = Server()

    async def work(port: int) -> None:
        await claim(port, name_address=False)

    asyncio.run(server.serve(work))
    assert server.claims[0]["addr"] == ""
    assert server.claims[0]["proof"] == c.proof(KEY, BRIDGE, PHONE, CHALLENGE, "").hex()


def test_nothing_is_proven_to_another_bridge() -> None:
    server = Server(bridge=b"anothers")

    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable, match="Another bridge"):
            await claim(port)

    asyncio.run(server.serve(work))
    assert server.claims == []


@pytest.mark.parametrize(
    ("status", "word"),
    [(403, "bad-proof"), (409, "moved"), (503, "full"), (429, "slow-down"), (500, "no such word"), (403, None)],
)
def test_refusals_have_words(status: int, word: str | None) -> None:
    server = Server(status=status, answer={"error": word, "say": "\x1b[2Jevil"})

    async def work(port: int) -> None:
        with pytest.raises(c.ClaimRefused) as caught:
            await claim(port)
        assert caught.value.word == (word if word and " " not in word else "failed")
        assert str(caught.value).isprintable()

    asyncio.run(server.serve(work))


GOOD_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD_BODY = json.dumps({"bridge": BRIDGE.hex(), "challenge": CHALLENGE.hex()}).encode()

GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "half a status line": b"HTTP/1.1 20",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no JSON": GOOD_HEAD + b"\r\nhello",
    "a list": GOOD_HEAD + b"\r\n[]",
    "deep JSON": GOOD_HEAD + b"\r\n" + b"[" * 5000,
    "no challenge": GOOD_HEAD + b'\r\n{"bridge": "b0b1b2b3b4b5b6b7"}',
    "a short challenge": GOOD_HEAD + b'\r\n{"bridge": "b0b1b2b3b4b5b6b7", "challenge": "80"}',
    "a challenge that is no text": GOOD_HEAD + b'\r\n{"bridge": "b0b1b2b3b4b5b6b7", "challenge": 7}',
    "less than it says": GOOD_HEAD + b"Content-Length: 9999\r\n\r\n" + GOOD_BODY,
    "a length that is none": GOOD_HEAD + b"Content-Length: -5\r\n\r\n" + GOOD_BODY[:-1],
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000,
    "one long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 7000,
    "oversize": GOOD_HEAD + b"\r\n" + b" " * 20_000 + GOOD_BODY,
    "bad chunks": GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    "not found": b"HTTP/1.1 404 Not Found\r\n\r\n{}",
    "moved elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n{}",
}


async def with_raw(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], work: Callable[[int], Awaitable[None]]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        await work(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_bridge(name: str) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(GARBAGE[name])
        await writer.drain()

    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable) as caught:
            await claim(port)
        assert str(caught.value).isprintable()

    asyncio.run(with_raw(answer, work))


def test_a_server_that_floods_is_left() -> None:
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < 1 << 28:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable, match="too long"):
            await claim(port)

    asyncio.run(with_raw(answer, work))
    assert sent < 1 << 24, "it was read on and on"


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "dripping"])
def test_a_slow_server_is_left(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "REQUEST_LIMIT_S", 0.3)

    async def answer(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.02)

    async def work(port: int) -> None:
        async with asyncio.timeout(60):
            with pytest.raises(c.Unreachable, match="took longer"):
                await claim(port)

    asyncio.run(with_raw(answer, work))


def test_nobody_there() -> None:
    with socket.socket() as sock:  # bound, and not listening: nobody else can listen there meanwhile
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(c.Unreachable, match="No bridge answers"):
            asyncio.run(claim(sock.getsockname()[1]))


@pytest.mark.parametrize("addr", ["", "speaker.local", "10.66.0", "::1", "10.66.0.1; rm"])
def test_what_is_no_address(addr: str) -> None:
    with pytest.raises(c.ClaimError, match="no address"):
        asyncio.run(c.claim(addr, 7780, bridge=BRIDGE, phone=PHONE, key=KEY))
