"""How a command reaches its bridge: a session over Bluetooth, as the phone that we are.

A bridge with an owner keeps its Bluetooth off. Where one of ours is not heard, we ask it on the network to switch it
on, which it does for owners.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Annotated, Any, TypeVar

import typer

from speakeasy import claim
from speakeasy.claim import Unreachable
from speakeasy.errors import OWNER, NotHeard, NotReached, SpeakeasyError, UsageError, choose_network, run_it
from speakeasy.pairing import FIND_LIMIT_S
from speakeasy.session import Credential, Link, Session, WrongSecret
from speakeasy.store import DEFAULT_CLAIM_PORT, Bridge, Store
from speakeasy.terminal import err, failures

_T = TypeVar("_T")

KNOCK_AFTER_S = 1.0  # a bridge whose Bluetooth is on was heard by then
KNOCK_AGAIN_S = 3.0
SAY_SO_AFTER_S = 2.0  # to who waits at a terminal

BridgeOption = Annotated[
    str | None, typer.Option("--bridge", metavar="ID", help="Which bridge: its id, or the beginning of it.")
]


class NotPaired(SpeakeasyError):
    """The bridge does not know this phone any more."""


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs a command's work to its end."""
    with failures():
        return asyncio.run(work)


def choose(bridge: str | None) -> tuple[Store, Bridge]:
    """The store, and the bridge that a command is about."""
    with failures():
        if bridge is not None and not re.fullmatch(r"[0-9a-fA-F]{1,16}", bridge):
            raise UsageError(f"{bridge!r} is no bridge's id, nor the beginning of one: it has 16 hex digits.")
        store = Store.default()
        return store, store.choose(bridge)


async def find(bridge: bytes | None, timeout_s: float) -> Link:
    """A link to `bridge`, or to the bridge that is found. The radio is chosen by where this runs: see ble.py."""
    from speakeasy import ble  # late: a radio's library takes long to import, and some commands need none

    hint = asyncio.get_running_loop().call_later(SAY_SO_AFTER_S, _still_looking, timeout_s)
    try:
        return await ble.find(bridge, timeout_s)
    finally:
        hint.cancel()


def _still_looking(limit_s: float) -> None:
    if err.is_terminal:
        err.print(f"Looking for the bridge over Bluetooth (for at most {limit_s:.0f} s)...")


async def _knock(bridge: Bridge, secret: bytes, why_not: list[str]) -> None:
    """Asks the bridge on the network to open its Bluetooth, until it does or says no; puts the reason there."""
    if bridge.key is None or bridge.key.role != OWNER or bridge.addr is None:
        return
    await asyncio.sleep(KNOCK_AFTER_S)
    while True:
        try:
            await claim.open_bluetooth(
                bridge.addr, bridge.claim_port, bridge=bridge.id, phone=bridge.key.phone, key=secret
            )
            return
        except SpeakeasyError as error:
            why_not[:] = [str(error)]
            if not isinstance(error, NotReached):
                return
        await asyncio.sleep(KNOCK_AGAIN_S)


def _how_to_open(role: str) -> str:
    """What switches the Bluetooth of a bridge on, for a phone that is paired with it. An owner's has tried `open`."""
    return (
        "A bridge that has an owner keeps its Bluetooth off: press its button, which switches it on for two minutes, "
        f"or {run_it('open --address ADDR' if role == OWNER else 'open', role)}."
    )


async def _meet(bridge: Bridge, secret: bytes) -> Link:
    """A link to the bridge, once its Bluetooth is on. What it says on the network (it, or somebody else there) only
    explains why it was not heard."""
    assert bridge.key is not None
    why_not: list[str] = []
    knock = asyncio.create_task(_knock(bridge, secret, why_not))
    try:
        return await find(bridge.id, FIND_LIMIT_S)
    except NotReached as error:
        said = [str(error), *(f"Asked on the network: {reason}" for reason in why_not)]
        if isinstance(error, NotHeard):
            said.append(_how_to_open(bridge.key.role))
        raise NotReached(" ".join(said)) from None
    finally:
        knock.cancel()
        with suppress(asyncio.CancelledError):
            await knock


async def open_session(store: Store, bridge: Bridge) -> Session:
    """A session as the phone that we are to `bridge`."""
    assert bridge.key is not None
    secret = store.secret(bridge.id, bridge.key)
    link = await _meet(bridge, secret)
    try:
        return await Session.open(link, Credential.phone_key(bridge.key.phone, secret))
    except WrongSecret:
        raise NotPaired(
            f"Bridge {bridge.id.hex()} does not know this phone any more: it was revoked, or the bridge was reset. Ask "
            "an owner for an invite, then `speakeasy pair`, or, if the bridge was reset, pair with the setup code on "
            "its label. Where neither can be, try again, nearer to it: somebody else there could have said so."
        ) from None


async def ask(store: Store, bridge: Bridge, op: str, /, **members: object) -> dict[str, Any]:
    """One request in a session of its own."""
    async with await open_session(store, bridge) as session:
        return await session.request(op, **members)


async def ask_pages(store: Store, bridge: Bridge, op: str, member: str) -> dict[str, Any]:
    """The same for a list, whose pages are put together."""
    async with await open_session(store, bridge) as session:
        return await session.pages(op, member)


async def at_its_address(store: Store, bridge: Bridge, work: Callable[[Bridge], Awaitable[_T]]) -> _T:
    """`work` over the network: with the bridge where it was last, else where it says over Bluetooth that it is now.

    A bridge that got another address has its Bluetooth on for that, until an owner's phone has found it.
    """
    if bridge.addr is not None:
        try:
            return await work(bridge)
        except Unreachable:
            err.print(f"No bridge of ours answers at {bridge.addr} any more. Asking it over Bluetooth where it is...")
    bridge = remember(store, bridge, await ask(store, bridge, "status"))
    if bridge.addr is None:
        assert bridge.key is not None
        raise SpeakeasyError(
            f"The bridge is on no network. See `speakeasy status`, or {choose_network(bridge.key.role)}."
        )
    return await work(bridge)


def remember(store: Store, bridge: Bridge, status: dict[str, Any]) -> Bridge:
    """Keeps where the bridge says that it is on the network; while it is on none, where it was: it may be back there
    soon, and its Bluetooth off. Returns it as it is now."""
    uplink = status.get("uplink")
    addr = uplink.get("addr") if isinstance(uplink, dict) else None
    port = status.get("claim_port")
    try:
        addr = str(IPv4Address(addr)) if isinstance(addr, str) else None
    except ValueError:
        addr = None
    store.saw(
        bridge.id,
        addr=addr or bridge.addr,
        claim_port=port if type(port) is int and 0 < port < 65536 else DEFAULT_CLAIM_PORT,
    )
    return replace(store.get(bridge.id) or bridge, addr=addr)
