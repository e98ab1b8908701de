"""What people do in the dorm, step by step: pairing, claiming, playing."""

import asyncio
import contextlib
import json
import socket
from typing import Any

import pytest
from dorm import topology as t
from dorm.dorm import PASSTHROUGH, Dorm
from dorm.people import Controller

# Bounds for machines that are slow and busy: what a quiet one needs is a fraction.
LIMIT_S = 60.0
PAIR_S = 90.0
PRESS_S = 0.2

# For tests that are the same in both modes by construction; each says why.
in_passthrough_alone = pytest.mark.parametrize("dorm", [PASSTHROUGH], indirect=True)


async def settled(dorm: Dorm) -> str:
    """Waits until the bridge has its address X and takes claims, and the speaker has the one that fits; returns X."""

    async def has_it() -> str | None:
        x = dorm.air.address.addr  # what the bridge has now; the DHCP server remembers what it had
        lease = dorm.speaker.lease
        # Name servers come with the uplink; a private address is there before.
        if x != dorm.bridge_address() or lease is None or not lease.dns:
            return None
        if (await dorm.speaker.state())["address"] != dorm.speaker_address():
            return None
        return str(x) if await answers(dorm, t.LAPTOP, x, t.CLAIM_PORT) else None

    address: str = await dorm.until(has_it, LIMIT_S, "bridge and speaker to have their addresses")
    return address


def seen_from(dorm: Dorm, who: str) -> str:
    """Whose address the speaker sees when somebody who was let in talks to it: private addressing has a guard."""
    return dorm.person(who).address if dorm.mode == PASSTHROUGH else dorm.segment_address()


async def answers(dorm: Dorm, who: str, ip: str, port: int, timeout_s: float = 2.0) -> bool:
    """Whether a TCP port takes a connection from somebody's machine."""

    def socket_there() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    with dorm.person(who).namespace.inside(socket_there) as sock, contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, (ip, port))
        return True
    return False


async def press(dorm: Dorm) -> None:
    """Somebody presses the button on the bridge: Bluetooth is on for two minutes. (Owners' commands open it by
    themselves, where they know the bridge's address.)"""
    await dorm.air.hold_button(PRESS_S)
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to open Bluetooth")


async def speakeasy(dorm: Dorm, who: str, *words: str, secret: str | None = None) -> dict[str, Any]:
    """Runs the command on somebody's machine, `secret` on its standard input; it must succeed. Returns its JSON."""
    done = await dorm.person(who).run("speakeasy", *words, "--json", timeout_s=PAIR_S, input=secret or "")
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


async def own(dorm: Dorm, who: str = t.PHONE) -> None:
    """The first owner pairs with the setup code on the label."""
    _, code = await dorm.serial_label()
    paired = await speakeasy(dorm, who, "pair", "--no-claim", "--name", who, secret=code)
    assert paired["role"] == "owner"


async def invite(dorm: Dorm, host: str, guest: str, role: str = "guest") -> None:
    """An owner invites somebody, who pairs with the invite."""
    text = (await speakeasy(dorm, host, "invite", "--role", role))["invite"]
    paired = await speakeasy(dorm, guest, "pair", "--no-claim", "--name", guest, secret=text)
    assert paired["role"] == role


async def claim(dorm: Dorm, who: str) -> dict[str, Any]:
    """A paired phone is let in where it is."""
    lease = await speakeasy(dorm, who, "claim")
    assert lease["addr"] == dorm.person(who).address
    return lease


async def find(dorm: Dorm, controller: Controller, at: str | None = None) -> None:
    """SoCo finds the speaker by searching, at X (or at the address given). It asks again: datagrams may be lost."""

    async def search() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await controller.must("discover", timeout=4))["speakers"]
        return found

    found = await dorm.until(search, LIMIT_S, "SoCo to find the speaker")
    assert [speaker["ip"] for speaker in found] == [at or dorm.bridge_address()]


async def player(dorm: Dorm) -> dict[str, Any]:
    state: dict[str, Any] = (await dorm.speaker.state())["player"]
    return state


async def hear(dorm: Dorm, seconds: float, limit_s: float = LIMIT_S, since_s: float | None = None) -> dict[str, Any]:
    """Waits until so much more music was heard than now (or than `since_s`); returns the player's report."""
    begin = (await player(dorm))["played_s"] if since_s is None else since_s

    async def heard() -> dict[str, Any] | None:
        now = await player(dorm)
        # A new stream counts from zero again.
        return now if now["played_s"] - (begin if now["played_s"] >= begin else 0) >= seconds else None

    report: dict[str, Any] = await dorm.until(heard, limit_s, f"{seconds:g} s of music")
    return report


async def counters(dorm: Dorm, owner: str = t.PHONE) -> dict[str, int]:
    """What the filter has counted, asked over Bluetooth."""
    counted: dict[str, int] = (await speakeasy(dorm, owner, "status"))["counters"]
    return counted


async def plays(dorm: Dorm) -> None:
    """The phone is let in, finds the speaker, and has it play; a machine that was not let in does not reach it."""
    await settled(dorm)
    await claim(dorm, t.PHONE)
    async with await dorm.person(t.PHONE).controller() as controller:
        await find(dorm, controller)
        await controller.must("play", uri=t.RADIO_URL)
        await hear(dorm, 2)
        await controller.call("close")
    x = dorm.bridge_address()
    assert x is not None
    stranger = await dorm.person(t.FLATMATE).intrude("scan", x, str(t.SPEAKER_PORT))
    assert stranger["open"] == []
