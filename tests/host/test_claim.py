"""The claim's client against a real HTTP server, and against servers that are none (SPEC 3)."""

import asyncio
import collections
import contextlib
import json
import random
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from speakeasy import claim as c
from speakeasy.errors import UsageError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "pairing.json").read_text())
BRIDGE, PHONE, KEY = bytes.fromhex("b0b1b2b3b4b5b6b7"), bytes.fromhex("f0f1f2f3f4f5f6f7"), bytes(range(0x40, 0x60))
CHALLENGE = bytes(range(0x80, 0x90))
SECONDS = {"claim": 43200, "open": 300}
CLAIMS = [(purpose, case) for purpose in SECONDS for case in VECTORS[f"{purpose}s"]]


def unhexed(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


@pytest.mark.parametrize("case", VECTORS["claims"], ids=lambda case: f"{case['from']} {case['addr']} {case['mac']}")
def test_claim_proof_vectors(case: dict[str, Any]) -> None:
    given = unhexed(case, "phone_key", "bridge", "phone", "challenge")
    assert c.claim_proof(*given, case["addr"], case["mac"]).hex() == case["proof"]


@pytest.mark.parametrize("case", VECTORS["opens"], ids=lambda case: case["from"])
def test_open_proof_vectors(case: dict[str, Any]) -> None:
    assert c.open_proof(*unhexed(case, "phone_key", "bridge", "phone", "challenge")).hex() == case["proof"]


@pytest.mark.parametrize(("purpose", "case"), CLAIMS, ids=lambda x: x if isinstance(x, str) else x["challenge"])
def test_answer_vectors(purpose: str, case: dict[str, Any]) -> None:
    key, challenge = unhexed(case, "phone_key", "challenge")
    seconds, answer = case["lease_s" if purpose == "claim" else "open_s"], case["answer"]
    assert c.is_answer(key, purpose, challenge, seconds, answer)
    for bent in (
        (bytes(32), purpose, challenge, seconds, answer),
        (key, "open" if purpose == "claim" else "claim", challenge, seconds, answer),
        (key, purpose, bytes(16), seconds, answer),
        (key, purpose, challenge, seconds + 1, answer),
        (key, purpose, challenge, seconds, answer[:-1] + ("0" if answer[-1] != "0" else "1")),
        (key, purpose, challenge, seconds, ""),
    ):
        assert not c.is_answer(*bent)


def true_answer(purpose: str) -> str:
    """From the text of SPEC 3 alone."""
    key = HKDF(hashes.SHA256(), 32, b"", f"speakeasy {purpose} 1".encode()).derive(KEY)
    tag = hmac.HMAC(key, hashes.SHA256())
    tag.update(b"answer" + CHALLENGE + SECONDS[purpose].to_bytes(4, "big"))
    return tag.finalize().hex()


class Server:
    """A claim server as in SPEC 3, on aiohttp; `more` goes into its answers, None takes a member out."""

    def __init__(
        self, bridge: bytes = BRIDGE, status: int = 200, instead: dict[str, Any] | None = None, **more: Any
    ) -> None:
        self.bridge, self.status, self.instead, self.more = bridge, status, instead, more
        self.claims: list[dict[str, Any]] = []

    async def challenge(self, _: web.Request) -> web.Response:
        return web.json_response({"bridge": self.bridge.hex(), "challenge": CHALLENGE.hex()})

    async def proof(self, request: web.Request) -> web.Response:
        self.claims.append(await request.json())
        purpose = request.path[1:]
        answer = self.instead
        if answer is None:
            answer = {"addr": request.remote, "by": "mac"} if purpose == "claim" else {}
            answer["lease_s" if purpose == "claim" else "open_s"] = SECONDS[purpose]
            answer["answer"] = true_answer(purpose)
            answer = {name: value for name, value in {**answer, **self.more}.items() if value is not None}
        return web.json_response(answer, status=self.status)

    async def serve(self, work: Callable[[int], Awaitable[None]]) -> None:
        app = web.Application()
        app.add_routes([web.get("/challenge", self.challenge)])
        app.add_routes([web.post(f"/{purpose}", self.proof) for purpose in SECONDS])
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


async def open_bluetooth(port: int) -> int:
    return await c.open_bluetooth("127.0.0.1", port, bridge=BRIDGE, phone=PHONE, key=KEY)


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({"segment": "set-up", "speaker": False}, ("set-up", False)),
        ({"segment": "a\x1bb", "speaker": True}, ("a b", True)),
        ({"segment": None, "speaker": 1}, (None, None)),
        ({"segment": ["up"], "speaker": "yes"}, (None, None)),
    ],
)
def test_a_claim_says_whether_there_is_a_speaker(
    said: dict[str, Any], understood: tuple[str | None, bool | None]
) -> None:
    server = Server(**said)

    async def work(port: int) -> None:
        lease = await claim(port)
        assert (lease.segment, lease.speaker) == understood

    asyncio.run(server.serve(work))


ASKS: dict[str, Callable[[int], Awaitable[object]]] = {"claim": claim, "open": open_bluetooth}


def test_a_claim_names_our_address_and_proves_the_key() -> None:
    server = Server()

    async def work(port: int) -> None:
        assert await claim(port) == c.Lease("127.0.0.1", 43200, "mac")

    asyncio.run(server.serve(work))
    (body,) = server.claims
    assert set(body) == {"phone", "challenge", "addr", "mac", "proof"}
    assert (body["addr"], body["mac"]) == ("127.0.0.1", "")  # the loopback interface has none
    assert body["proof"] == c.claim_proof(KEY, BRIDGE, PHONE, CHALLENGE, "127.0.0.1", "").hex()
    assert KEY.hex() not in json.dumps(body)


def test_a_claim_without_our_address() -> None:
    server = Server()

    async def work(port: int) -> None:
        await claim(port, name_address=False)

    asyncio.run(server.serve(work))
    assert (server.claims[0]["addr"], server.claims[0]["mac"]) == ("", "")
    assert server.claims[0]["proof"] == c.claim_proof(KEY, BRIDGE, PHONE, CHALLENGE, "", "").hex()


def test_an_owner_opens_bluetooth() -> None:
    server = Server()

    async def work(port: int) -> None:
        assert await open_bluetooth(port) == 300

    asyncio.run(server.serve(work))
    proof = c.open_proof(KEY, BRIDGE, PHONE, CHALLENGE).hex()
    assert server.claims == [{"phone": PHONE.hex(), "challenge": CHALLENGE.hex(), "proof": proof}]


NO_ANSWERS: dict[str, dict[str, Any]] = {
    "none": {"answer": None},
    "another key's": {"answer": "00" * 32},
    "of a claim to open, or the other way": {"answer": true_answer("claim")[::-1]},
    "short": {"answer": true_answer("claim")[:-2]},
    "a number": {"answer": 7},
    "for another time": {"lease_s": 43201, "open_s": 301},
    "no time": {"lease_s": None, "open_s": None},
    "a time that is none": {"lease_s": True, "open_s": True},
    "a text": {"lease_s": "43200", "open_s": "300"},
    "too long a time": {"lease_s": 1 << 32, "open_s": 1 << 32},
    "less than none": {"lease_s": -1, "open_s": -1},
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("what", NO_ANSWERS)
def test_who_does_not_know_our_key_is_not_our_bridge(ask: str, what: str) -> None:
    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable, match=r"is no bridge|is not our bridge"):
            await ASKS[ask](port)

    asyncio.run(Server(**NO_ANSWERS[what]).serve(work))


def test_the_answer_of_one_thing_is_none_of_the_other() -> None:
    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable, match="is not our bridge"):
            await open_bluetooth(port)

    asyncio.run(Server(instead={"open_s": 43200, "answer": true_answer("claim")}).serve(work))


def test_the_mac_of_each_interface() -> None:
    for name, addresses in psutil.net_if_addrs().items():
        own = [a.address for a in addresses if a.family == socket.AF_INET]
        device = Path("/sys/class/net") / name
        if len(own) == 1 and (device / "address").exists():
            ethernet = (device / "type").read_text().strip() == "1"
            assert c.own_mac(own[0]) == ((device / "address").read_text().strip() if ethernet else "")
    assert c.own_mac("127.0.0.1") == ""
    assert c.own_mac("203.0.113.99") == ""  # not ours


LINK, INET = (psutil.AF_LINK, "02:00:00:00:42:01"), (socket.AF_INET, "10.66.0.130")
INTERFACES: dict[str, tuple[str, list[list[tuple[int, str]]]]] = {
    "one": ("02:00:00:00:42:01", [[LINK, INET], [(psutil.AF_LINK, "02:00:00:00:42:02"), (socket.AF_INET, "10.0.0.1")]]),
    "one of Windows": ("02:00:00:00:42:ab", [[(psutil.AF_LINK, "02-00-00-00-42-AB"), INET]]),
    "one with two addresses": ("02:00:00:00:42:01", [[LINK, (socket.AF_INET, "10.66.0.131"), INET]]),
    "two with one address": ("", [[LINK, INET], [(psutil.AF_LINK, "02:00:00:00:42:02"), INET]]),
    "a tunnel": ("", [[INET]]),
    "a tunnel with zeros": ("", [[(psutil.AF_LINK, "00:00:00:00:00:00"), INET]]),
    "a longer one": ("", [[(psutil.AF_LINK, "00:00:00:00:00:00:00:e0"), INET]]),
    "two MACs": ("", [[LINK, (psutil.AF_LINK, "02:00:00:00:42:02"), INET]]),
}


@pytest.mark.parametrize("what", INTERFACES)
def test_which_mac_is_ours(what: str) -> None:
    mac, interfaces = INTERFACES[what]
    found = [[SimpleNamespace(family=family, address=text) for family, text in several] for several in interfaces]
    assert c.mac_beside("10.66.0.130", found) == mac


def test_nothing_is_proven_to_another_bridge() -> None:
    server = Server(bridge=b"anothers")

    async def work(port: int) -> None:
        with pytest.raises(c.Unreachable, match="Another bridge"):
            await claim(port)

    asyncio.run(server.serve(work))
    assert server.claims == []


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("status", "word"),
    [
        *((403, word) for word in ("bad-proof", "not-allowed")),
        *((409, word) for word in ("moved", "relayed")),
        *((503, word) for word in ("full", "unseen", "busy")),
        *((429, "slow-down"), (500, "no such word"), (403, None)),
    ],
)
def test_refusals_have_words(ask: str, status: int, word: str | None) -> None:
    server = Server(status=status, instead={"error": word, "say": "\x1b[2Jevil"})

    async def work(port: int) -> None:
        with pytest.raises(c.ClaimRefused) as caught:
            await ASKS[ask](port)
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
    "more than a machine can count": GOOD_HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + GOOD_BODY,
    "a chunk of the same size": GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n" + GOOD_BODY,
    "bad chunks": GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    "not found": b"HTTP/1.1 404 Not Found\r\n\r\n{}",
    "moved elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n{}",
}


PARTS: list[bytes] = [
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b"\xff\xfe",
        b"HTTP/1.1",
        b"200",
        b"100 Continue",
        b"-1",
        b"1e999",
        b"NaN",
        b"999",
    ),
    *(b"Content-Length: %d\r\n" % n for n in (0, 1, 1 << 31, 1 << 63, 1 << 64, 10**30)),
    *(
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: keep-alive\r\n",
    ),
    *(b"%x\r\n" % n for n in (0, 1, 1 << 63, 1 << 80)),
    *(
        b'"error": ',
        b'"busy"',
        b"[" * 900,
        b"{" * 900,
        b"]",
        b"}",
        b"null",
        b"true",
        b"7" * 4400,
        b"\\ud800",
        b'"',
        b",",
    ),
    *(b'"lease_s": 43200, ', b'"answer": ', b'"addr": ', b'"by": {}, ', b'"bridge": ', b'"challenge": '),
]


def bent(answer: bytes, chance: random.Random) -> bytes:
    """The answer with a few of its bytes cut out, changed, or with PARTS among them."""
    for _ in range(chance.randint(1, 4)):
        # Ends of lines and members are where it matters.
        places = [at for at in range(len(answer)) if answer[at] in b'\r\n :,{}"'] or [0]
        at = chance.choice([chance.choice(places), chance.randint(0, len(answer))])
        to = chance.choice([at, at, at + 1, min(len(answer), at + chance.randint(0, 40))])
        answer = answer[:at] + chance.choice([b"", chance.choice(PARTS), bytes([chance.randrange(256)])]) + answer[to:]
    return answer


@pytest.mark.parametrize("seed", [0, 2])
def test_no_answer_ends_in_anything_but_a_sentence(seed: int) -> None:
    """A bent challenge, or a true one and a bent answer to the proof: a lease, or an error of ours (SPEC 3)."""
    chance = random.Random(seed)
    lease = {"addr": "127.0.0.1", "lease_s": 43200, "by": "mac", "answer": true_answer("claim")}
    whole = {
        "challenge": GOOD_HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD_BODY) + GOOD_BODY,
        "claim": GOOD_HEAD + b"\r\n" + json.dumps(lease).encode(),
        "refusal": b'HTTP/1.1 403 Forbidden\r\n\r\n{"error": "bad-proof", "say": "x"}',
    }
    outcomes: collections.Counter[str] = collections.Counter()
    bend, first = "", True

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal first
        what = "challenge" if first else "claim" if bend == "challenge" else bend
        first = False
        writer.write(bent(whole[what], chance) if what == bend else whole[what])
        await writer.drain()

    async def work(port: int) -> None:
        nonlocal bend, first
        for number in range(200):
            bend, first = chance.choice(list(whole)), True
            (got,) = await asyncio.gather(claim(port), return_exceptions=True)
            assert isinstance(got, c.Lease | c.ClaimError), (number, bend, got)
            assert str(got).isprintable(), (number, bend)
            outcomes[type(got).__name__] += 1

    asyncio.run(with_raw(answer, work))
    assert len(outcomes) == 3, f"it does not bend enough, or too much: {outcomes}"


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


class Redirected:
    """Where connections really go, one after the other: the ports given, and after them the one that is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
        self._ports, self._real, self.tries = ports, asyncio.open_connection, 0
        monkeypatch.setattr(asyncio, "open_connection", self.connection)

    async def connection(self, addr: str, port: int, **more: Any) -> Any:
        ports = (*self._ports[self.tries : self.tries + 1], port)
        self.tries += 1
        return await self._real(addr, ports[0], **more)

    def left(self) -> int:
        return sum("Redirected.connection" in repr(task) for task in asyncio.all_tasks())


@pytest.fixture
def silent_port() -> Iterator[int]:
    """It answers no SYN: nobody takes what is in its queue, and that is full. So is the bridge above its rate."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # one should be enough
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


def test_what_stays_unanswered_is_tried_anew(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the tries that have no answer yet; nothing is left of them."""
    monkeypatch.setattr(c, "CONNECT_AGAIN_S", 0.02)
    monkeypatch.setattr(c, "CONNECT_LIMIT_S", 60)
    server, to = Server(), Redirected(monkeypatch, silent_port, silent_port, silent_port)

    async def work(port: int) -> None:
        await claim(port)
        assert to.tries >= 5  # three in vain, and two requests
        assert to.left() == 0

    asyncio.run(server.serve(work))
    assert len(server.claims) == 1


def test_what_stays_unanswered_is_nobody_in_the_end(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "CONNECT_AGAIN_S", 0.02)
    monkeypatch.setattr(c, "CONNECT_LIMIT_S", 0.2)
    to = Redirected(monkeypatch)

    async def work() -> None:
        async with asyncio.timeout(60):
            with pytest.raises(c.Unreachable, match="No bridge answers"):
                await claim(silent_port)
        assert to.left() == 0

    asyncio.run(work())


def test_whoever_refuses_ends_all_tries(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "CONNECT_AGAIN_S", 0.02)
    monkeypatch.setattr(c, "CONNECT_LIMIT_S", 600)

    async def work(port: int) -> None:
        to = Redirected(monkeypatch, silent_port)
        async with asyncio.timeout(60):
            with pytest.raises(c.Unreachable, match="No bridge answers"):
                await claim(port)
        assert to.tries >= 2
        assert to.left() == 0

    with socket.socket() as sock:  # bound, and not listening
        sock.bind(("127.0.0.1", 0))
        asyncio.run(work(sock.getsockname()[1]))


@pytest.mark.parametrize("addr", ["", "speaker.local", "10.66.0", "::1", "10.66.0.1; rm"])
def test_what_is_no_address(addr: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        asyncio.run(c.claim(addr, 7780, bridge=BRIDGE, phone=PHONE, key=KEY))
