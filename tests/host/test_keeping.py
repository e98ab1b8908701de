"""`claim --keep` against a claim server that goes away, starts again, moves, refuses (SPEC 3).

Our own address changes in the dorm.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from speakeasy import claim as c
from speakeasy import keeping
from speakeasy.errors import SpeakeasyError
from speakeasy.store import Bridge, PhoneKey, Store

BRIDGE, PHONE, KEY = bytes.fromhex("b0b1b2b3b4b5b6b7"), bytes.fromhex("f0f1f2f3f4f5f6f7"), bytes(range(0x40, 0x60))
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "AWAY_LOOK_S", "OWN_LOOK_S"):
        monkeypatch.setattr(keeping, name, 0.02)
    monkeypatch.setattr(keeping, "REFUSED_LOOK_S", 0.08)
    monkeypatch.setattr(keeping, "SEARCH_AFTER_S", 0.1)


class Server:
    """A bridge's claim server, that may be switched off and on."""

    def __init__(self) -> None:
        self.booted_s = time.monotonic() - 1000
        self.lease_s = 43200
        self.refuse: str | None = None
        self.looks = 0
        self.claims: list[dict[str, Any]] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def challenge(self, _: web.Request) -> web.Response:
        self.looks += 1
        ms = round((time.monotonic() - self.booted_s) * 1000)
        return web.json_response({"bridge": BRIDGE.hex(), "challenge": (ms.to_bytes(6, "big") + bytes(10)).hex()})

    async def claim(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.claims.append(asked)
        if self.refuse is not None:
            return web.json_response({"error": self.refuse, "say": ""}, status=403)
        # HKDF of RFC 5869 with an empty salt, for one block.
        key = hmac.digest(hmac.digest(b"", KEY, "sha256"), b"speakeasy claim 1\x01", "sha256")
        said = b"answer" + bytes.fromhex(asked["challenge"]) + self.lease_s.to_bytes(4, "big")
        answer = {"addr": request.remote, "by": "mac", "lease_s": self.lease_s}
        return web.json_response({**answer, "answer": hmac.new(key, said, hashlib.sha256).hexdigest()})

    async def on(self, port: int = 0) -> None:
        app = web.Application()
        app.add_routes([web.get("/challenge", self.challenge), web.post("/claim", self.claim)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def off(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class Kept:
    """A keeper at work, and what it has told."""

    def __init__(self, server: Server, store: Store, addr: str | None = "127.0.0.1") -> None:
        self.server, self.store = server, store
        store.add_pending(BRIDGE, PhoneKey(PHONE, KEY, "owner", "Ada"))
        store.confirm(BRIDGE, PHONE, "owner")
        store.saw(BRIDGE, addr=addr, claim_port=server.port)
        self.reasons: list[str] = []
        self.troubles: list[str] = []
        self.located = 0

    async def locate(self) -> None:
        self.located += 1
        if self.server.port:
            self.store.saw(BRIDGE, addr="127.0.0.1", claim_port=self.server.port)

    async def run(self) -> None:
        bridge: Bridge | None = self.store.get(BRIDGE)
        assert bridge is not None
        await keeping.Keeper(
            self.store,
            bridge,
            KEY,
            let_in=lambda why, _: self.reasons.append(why),
            trouble=self.troubles.append,
            locate=self.locate,
        ).run()


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not what():
            await asyncio.sleep(0.01)


def keep(tmp_path: Path, play: Callable[[Kept, Server], Awaitable[None]], *, addr: str | None = "127.0.0.1") -> Kept:
    """Runs a keeper beside `play`; raises what it raises."""

    async def work() -> Kept:
        server = Server()
        await server.on()
        kept = Kept(server, Store(tmp_path), addr)
        keeper = asyncio.create_task(kept.run())
        played = asyncio.create_task(play(kept, server))
        try:
            await asyncio.wait([keeper, played], return_when=asyncio.FIRST_COMPLETED)
            if keeper.done():
                keeper.result()
            played.result()
        finally:
            for task in (keeper, played):
                task.cancel()
            await asyncio.gather(keeper, played, return_exceptions=True)
            await server.off()
        return kept

    return asyncio.run(work())


def test_one_claim_is_enough_while_nothing_changes(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: server.looks > 30)
        assert len(server.claims) == 1

    assert keep(tmp_path, play).reasons == [keeping.BEGIN]


def test_a_bridge_that_was_away_is_claimed_at_when_it_is_back(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)
        port = server.port
        await server.off()
        await until(lambda: kept.troubles)
        await server.on(port)
        await until(lambda: len(kept.reasons) == 2)

    kept = keep(tmp_path, play)
    assert kept.reasons == [keeping.BEGIN, keeping.BACK]
    assert len(kept.troubles) == 1, "the same trouble is told once"
    assert "No bridge answers at 127.0.0.1" in kept.troubles[0]


def test_a_bridge_that_started_again_between_two_looks(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: server.looks > 5)
        server.booted_s = time.monotonic()
        await until(lambda: len(kept.reasons) == 2)
        looks = server.looks
        await until(lambda: server.looks > looks + 5)

    assert keep(tmp_path, play).reasons == [keeping.BEGIN, keeping.RESTARTED]


def test_before_a_lease_may_end_it_is_renewed(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        server.lease_s = 1
        await until(lambda: len(kept.reasons) == 4)

    assert set(keep(tmp_path, play).reasons[1:]) == {keeping.RENEWAL}


def test_a_long_lease_is_renewed_often_for_it_may_be_lost_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CLAIM_AGAIN_S", 0.2)

    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: len(kept.reasons) == 3)

    assert keep(tmp_path, play).reasons[1:] == [keeping.RENEWAL] * 2


def test_a_machine_that_was_asleep_claims_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shift_s = 0.0
    clock = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + shift_s)
    monkeypatch.setattr(keeping, "time", clock)

    async def play(kept: Kept, server: Server) -> None:
        nonlocal shift_s
        await until(lambda: server.looks > 5)
        shift_s = keeping.ASLEEP_S - 5
        looks = server.looks
        await until(lambda: server.looks > looks + 5)
        assert len(kept.reasons) == 1
        shift_s += keeping.ASLEEP_S + 5
        await until(lambda: len(kept.reasons) == 2)

    assert keep(tmp_path, play).reasons == [keeping.BEGIN, keeping.AWAKE]


def test_a_bridge_at_another_place_is_asked_over_bluetooth_once(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)
        await server.off()
        await server.on()  # at another port
        await until(lambda: len(kept.reasons) == 2)

    kept = keep(tmp_path, play)
    assert (kept.reasons, kept.located) == ([keeping.BEGIN, keeping.PLACE], 1)


def test_what_another_command_has_learned_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SEARCH_AFTER_S", 1000.0)

    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)
        await server.off()
        await server.on()
        Store(tmp_path).saw(BRIDGE, addr="127.0.0.1", claim_port=server.port)
        await until(lambda: len(kept.reasons) == 2)

    kept = keep(tmp_path, play)
    assert (kept.reasons, kept.located) == ([keeping.BEGIN, keeping.PLACE], 0)


def test_a_bridge_of_which_nobody_knows_where_it_is(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)

    kept = keep(tmp_path, play, addr=None)
    assert (kept.reasons, kept.located) == ([keeping.BEGIN], 1)


@pytest.mark.parametrize("word", ["bad-proof", "moved", "relayed"])
@pytest.mark.parametrize("let_in", [False, True], ids=["at the beginning", "later"])
def test_a_refusal_that_anybody_may_have_forged_ends_nothing(word: str, let_in: bool, tmp_path: Path) -> None:
    """Whoever stands in between for a while, however long, has the phone wait, not give up (SPEC 3)."""

    async def play(kept: Kept, server: Server) -> None:
        if let_in:
            await until(lambda: kept.reasons)
            server.booted_s = time.monotonic()
        server.refuse = word
        await until(lambda: len(server.claims) > 30)
        server.refuse = None
        await until(lambda: len(kept.reasons) == 1 + let_in)

    kept = keep(tmp_path, play)
    assert kept.reasons == [keeping.BEGIN, keeping.RESTARTED][: 1 + let_in]
    assert len(kept.troubles) == 1
    assert kept.troubles[0].endswith("trying again, less and less often, until Ctrl-C.")


def test_who_refuses_is_asked_less_and_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    keeper = keeping.Keeper(
        Store(tmp_path), Bridge(BRIDGE, PhoneKey(PHONE, KEY, "owner", "")), KEY, let_in=lambda *_: None, trouble=print
    )
    no, busy = c.ClaimRefused("bad-proof", "No."), c.ClaimRefused("busy", "Busy.")
    assert [keeper._refused(no) for _ in range(8)] == [10, 20, 40, 80, 160, 300, 300, 300]
    assert {keeper._refused(no) for _ in range(10_000)} == {keeping.REFUSED_LOOK_S}
    assert [keeper._refused(error) for error in (busy, no)] == [10, 10]


def test_a_phone_that_left_keeps_nothing(tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)
        Store(tmp_path).forget(BRIDGE)  # `speakeasy leave` in another window
        await until(lambda: False)

    with pytest.raises(SpeakeasyError, match=f"not paired with bridge {BRIDGE.hex()} any more"):
        keep(tmp_path, play)


def test_a_phone_that_was_paired_again_claims_as_the_new_one(tmp_path: Path) -> None:
    new = PhoneKey(bytes(8), KEY, "guest", "Ada")

    async def play(kept: Kept, server: Server) -> None:
        await until(lambda: kept.reasons)
        kept.store.add_pending(BRIDGE, new)
        kept.store.confirm(BRIDGE, new.phone, "guest")
        await until(lambda: len(kept.reasons) == 2)
        assert [claim["phone"] for claim in server.claims] == [PHONE.hex(), new.phone.hex()]

    assert keep(tmp_path, play).reasons == [keeping.BEGIN] * 2


@pytest.mark.parametrize("word", ["full", "slow-down", "busy", "unseen"])
def test_what_may_pass_does_not(word: str, tmp_path: Path) -> None:
    async def play(kept: Kept, server: Server) -> None:
        server.refuse = word
        await until(lambda: len(server.claims) > 15)
        server.refuse = None
        await until(lambda: kept.reasons)

    kept = keep(tmp_path, play)
    assert (kept.reasons, len(kept.troubles)) == ([keeping.BEGIN], 1)
