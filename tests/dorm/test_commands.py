"""The command `speakeasy` against the real firmware: each operation once, from the first pairing to the reset."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dorm import topology as t
from dorm import wifi
from dorm.dorm import PASSTHROUGH, PRIVATE, Dorm
from dorm_life import LIMIT_S, claim, hear, in_passthrough_alone, settled, speakeasy

# What a command does is the same in both modes; what the modes do is in test_addressing.py.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), in_passthrough_alone]

FIRST_SOUND_S = 30.0  # 4 s on a machine that has nothing else to do


async def refused(dorm: Dorm, who: str, *words: str, secret: str = "") -> str:
    """Runs a command that must not succeed; what it says."""
    done = await dorm.person(who).run("speakeasy", *words, "--json", check=False, input=secret)
    assert done.returncode in (1, 3), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


async def test_from_pair_to_the_first_sound(dorm: Dorm) -> None:
    """One command, then any app: here SoCo, which is told where the speaker is."""
    _, code = await dorm.serial_label()
    async with await dorm.person(t.PHONE).controller() as soco:
        began = time.monotonic()
        paired = await speakeasy(dorm, t.PHONE, "pair", "--name", "Ada", secret=code)
        assert (paired["role"], paired["addr"]) == ("owner", dorm.bridge_address())
        assert paired["lease"]["addr"] == dorm.person(t.PHONE).address
        found = await soco.must("discover", timeout=4)
        assert [speaker["ip"] for speaker in found["speakers"]] == [dorm.bridge_address()]
        await soco.must("play", uri=t.RADIO_URL)
        await hear(dorm, 0.1)
        assert time.monotonic() - began < FIRST_SOUND_S
        await soco.must("stop")


async def test_invites_names_and_leaving(dorm: Dorm) -> None:
    invited = await speakeasy(dorm, t.PHONE, "invite", "--minutes", "1")
    assert (invited["expires_s"], invited["link"]) == (60, f"speakeasy:#invite={invited['invite']}")
    await speakeasy(dorm, t.PHONE, "uninvite")
    said = await refused(dorm, t.LAPTOP, "pair", secret=invited["link"])
    assert "This invite is not good any more: it was used, called back" in said
    invited = await speakeasy(dorm, t.PHONE, "invite")
    paired = await speakeasy(dorm, t.LAPTOP, "pair", "--name", "Bob", secret=invited["link"])
    assert paired["role"] == "guest"
    assert paired["lease"]["by"] == "mac"
    renamed = await speakeasy(dorm, t.PHONE, "rename", "Bob", "Bob's laptop")
    assert renamed["was"] == "Bob"
    phones = (await speakeasy(dorm, t.PHONE, "phones"))["phones"]
    assert sorted((phone["name"], phone["role"]) for phone in phones) == [("Ada", "owner"), ("Bob's laptop", "guest")]
    assert "last owner" in await refused(dorm, t.PHONE, "leave", "--yes")
    await speakeasy(dorm, t.LAPTOP, "leave", "--yes")
    assert "paired with no bridge" in await refused(dorm, t.LAPTOP, "status")
    assert [phone["name"] for phone in (await speakeasy(dorm, t.PHONE, "phones"))["phones"]] == ["Ada"]


async def test_networks(dorm: Dorm) -> None:
    seen = (await speakeasy(dorm, t.PHONE, "scan"))["networks"]
    assert (t.DORM_WIFI.ssid, "psk") in [(network["ssid"], network["security"]) for network in seen]
    known = (await speakeasy(dorm, t.PHONE, "networks"))["networks"]
    assert known == [{"ssid": t.DORM_WIFI.ssid, "open": False}]
    assert (await speakeasy(dorm, t.PHONE, "networks", "--order", t.DORM_WIFI.ssid))["networks"] == known
    assert "no network Elsewhere" in await refused(dorm, t.PHONE, "networks", "--order", "Elsewhere")
    assert "no network of that name" in await refused(dorm, t.PHONE, "forget", "Elsewhere")
    joined = await speakeasy(dorm, t.PHONE, "join", t.DORM_WIFI.ssid, secret=t.DORM_WIFI.key)
    assert joined["state"] == "up"
    await settled(dorm)


async def test_a_network_with_users(dorm: Dorm) -> None:
    users = wifi.Enterprise({"ada@uni.example": "right one"}, "radius.uni.example")
    dorm.air.networks.append(wifi.AccessPoint("Uni", "", bssid="02:00:00:00:42:a7", enterprise=users))
    uni = ("join", "Uni", "--user", "ada@uni.example", "--server")
    assert "refused the user" in await refused(dorm, t.PHONE, *uni, "radius.uni.example", secret="wrong one")
    assert "refused the user" in await refused(dorm, t.PHONE, *uni, "radius.evil.example", secret="right one")
    assert {login.password for login in users.heard} == {"wrong one"}
    assert (await speakeasy(dorm, t.PHONE, *uni, "radius.uni.example", secret="right one"))["state"] == "up"
    known = (await speakeasy(dorm, t.PHONE, "networks"))["networks"]
    assert known[0] == {"ssid": "Uni", "open": False, "user": "ada@uni.example"}
    await settled(dorm)
    assert "right one" not in dorm.board.serial()
    # The first one again, for those who come after.
    await speakeasy(dorm, t.PHONE, "join", t.DORM_WIFI.ssid, secret=t.DORM_WIFI.key)
    await speakeasy(dorm, t.PHONE, "forget", "Uni")
    await settled(dorm)


async def test_the_speakers_network_and_ports(dorm: Dorm) -> None:
    segment = await speakeasy(dorm, t.PHONE, "segment")
    assert (segment["ssid"], segment["key"]) == (t.SEGMENT_WIFI.ssid, t.SEGMENT_WIFI.key)
    await claim(dorm, t.PHONE)
    x = dorm.bridge_address()
    for services, reached in ((["tcp/1443"], False), (["tcp/1400", "udp/1900"], True), (["tcp/1400"], True)):
        assert (await speakeasy(dorm, t.PHONE, "services", *services))["services"] == services
        got = await dorm.person(t.PHONE).intrude("get", x, "/status", "--timeout", "2" if reached else "0.5")
        assert got["reached"] == reached
    assert (await speakeasy(dorm, t.PHONE, "hosts", "--none"))["hosts"] == []


async def test_the_dorm_follows_the_mode(dorm: Dorm) -> None:
    for mode in (PRIVATE, PASSTHROUGH):
        await speakeasy(dorm, t.PHONE, "mode", mode)
        assert dorm.mode == mode
        await settled(dorm)


async def test_a_browser_is_let_in_by_a_link(dorm: Dorm) -> None:
    given = await speakeasy(dorm, t.PHONE, "token")
    page, _, token = given["url"].partition("#")
    assert (page, token) == (f"http://{dorm.bridge_address()}:{t.CLAIM_PORT}/t", given["token"])


async def test_the_log_has_what_happened_and_no_secret(dorm: Dorm) -> None:
    invite = (await speakeasy(dorm, t.PHONE, "invite"))["invite"]
    token = (await speakeasy(dorm, t.PHONE, "token"))["token"]
    await speakeasy(dorm, t.PHONE, "uninvite")
    lines = (await speakeasy(dorm, t.PHONE, "log", "-n", "500"))["lines"]
    assert any("addressing is passthrough" in line for line in lines)
    _, code = await dorm.serial_label()
    codes = [text.replace("-", kept) for text in (code, invite) for kept in ("-", "")]
    secrets = [*codes, token, t.DORM_WIFI.key, t.SEGMENT_WIFI.key]
    assert not any(secret in line for line in lines for secret in secrets)
    newest = (await speakeasy(dorm, t.PHONE, "log", "-n", "3"))["lines"]
    assert len(newest) == 3


@contextlib.asynccontextmanager
async def kept(dorm: Dorm, who: str) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """`claim --keep` at work; what it tells, trouble left out."""
    process = await dorm.person(who).spawn(
        "speakeasy", "claim", "--keep", "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen() -> None:
        while line := await process.stdout.readline():
            event = json.loads(line)
            if event["event"] == "let-in":
                told.put_nowait(event)

    listening = asyncio.create_task(listen())
    try:
        yield told
    finally:
        process.terminate()
        await process.wait()
        await listening


async def test_claim_keep_comes_back_by_itself(dorm: Dorm) -> None:
    phone = dorm.person(t.PHONE)

    async def let_in_again(told: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            event = await told.get()
        assert event["addr"] == phone.address
        assert (await phone.intrude("get", dorm.bridge_address(), "/status", "--timeout", "2"))["reached"]
        return event

    async with kept(dorm, t.PHONE) as told:
        assert (await let_in_again(told))["why"] == "begin"
        old = phone.address
        new = await dorm.router.change_address(t.MAC[t.PHONE])
        dorm.renew_dhcp(t.PHONE)
        await dorm.until(lambda: phone.address == new != old, LIMIT_S, "the phone's new address")
        assert (await let_in_again(told))["why"] == "our address changed"
        await speakeasy(dorm, t.PHONE, "reboot")
        assert (await let_in_again(told))["why"] in ("the bridge is back", "the bridge has started again")


async def test_reset_makes_it_as_new(dorm: Dorm) -> None:
    _, code = await dorm.serial_label()
    boots = dorm.board.boots
    assert "--yes" in await refused(dorm, t.PHONE, "reset")
    await speakeasy(dorm, t.PHONE, "reset", "--yes")
    assert "paired with no bridge" in await refused(dorm, t.PHONE, "status")
    await dorm.until(lambda: dorm.board.boots == boots + 1, LIMIT_S, "the bridge to start again")
    assert await dorm.serial_label() == (dorm.label() or ("", ""))
    # The label is true as ever, and makes the first owner; no network is known any more.
    paired = await speakeasy(dorm, t.LAPTOP, "pair", "--name", "Bob", secret=code)
    assert (paired["role"], paired["addr"], paired["lease"]) == ("owner", None, None)
    assert "has an owner" in await refused(dorm, t.PHONE, "pair", secret=code)
