"""What people do in the dorm, step by step: pairing, claiming, playing."""

import json
from typing import Any

from dorm import topology as t
from dorm.dorm import Dorm
from dorm.people import Controller

BOOT_S = 30.0
PAIR_S = 60.0


async def settled(dorm: Dorm) -> str:
    """Waits until the speaker has the bridge's address X, and its software knows; returns X."""

    async def has_it() -> str | None:
        x = dorm.bridge_address()
        return x if x and (await dorm.speaker.state())["address"] == x and dorm.speaker.lease else None

    address: str = await dorm.until(has_it, BOOT_S, "the speaker to have the bridge's address")
    return address


async def speakeasy(dorm: Dorm, who: str, *words: str) -> dict[str, Any]:
    """Runs the command on somebody's machine; it must succeed. Returns its JSON."""
    done = await dorm.person(who).run("speakeasy", *words, "--json", timeout_s=PAIR_S)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


async def own(dorm: Dorm, who: str = t.PHONE) -> None:
    """The first owner pairs with the setup code on the label."""
    _, code = await dorm.serial_label()
    assert (await speakeasy(dorm, who, "pair", "--code", code, "--name", who))["role"] == "owner"


async def invite(dorm: Dorm, host: str, guest: str, role: str = "guest") -> None:
    """An owner invites somebody, who pairs with the invite."""
    text = (await speakeasy(dorm, host, "invite", "--role", role))["invite"]
    assert (await speakeasy(dorm, guest, "pair", "--invite", text, "--name", guest))["role"] == role


async def claim(dorm: Dorm, who: str) -> dict[str, Any]:
    """A paired phone is let in where it is."""
    lease = await speakeasy(dorm, who, "claim")
    assert lease["addr"] == dorm.person(who).address
    return lease


async def find(dorm: Dorm, controller: Controller) -> None:
    """SoCo finds the speaker by searching, at X."""
    found = await controller.must("discover", timeout=4)
    assert [speaker["ip"] for speaker in found["speakers"]] == [dorm.bridge_address()]


async def player(dorm: Dorm) -> dict[str, Any]:
    state: dict[str, Any] = (await dorm.speaker.state())["player"]
    return state


async def hear(dorm: Dorm, seconds: float, limit_s: float = 20.0) -> dict[str, Any]:
    """Waits until so much more music was heard; returns the player's report."""
    begin = (await player(dorm))["played_s"]

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
