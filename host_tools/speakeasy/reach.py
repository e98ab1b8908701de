"""How a command reaches its bridge: a session over Bluetooth, as the phone that we are."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from speakeasy.errors import SpeakeasyError
from speakeasy.pairing import FIND_LIMIT_S
from speakeasy.session import Credential, Link, Session, WrongSecret
from speakeasy.store import DEFAULT_CLAIM_PORT, Bridge, Store
from speakeasy.terminal import failures

_T = TypeVar("_T")

BridgeOption = Annotated[
    str | None, typer.Option("--bridge", metavar="ID", help="Which bridge: its id, or the beginning of it.")
]


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs a command's work to its end."""
    with failures():
        return asyncio.run(work)


def choose(bridge: str | None) -> tuple[Store, Bridge]:
    """The store, and the bridge that a command is about."""
    with failures():
        store = Store.default()
        return store, store.choose(bridge)


async def find(bridge: bytes | None, timeout_s: float) -> Link:
    """A link to `bridge`, or to the bridge that is found. The radio is chosen by where this runs: see ble.py."""
    from speakeasy import ble  # late: a radio's library takes long to import, and some commands need none

    return await ble.find(bridge, timeout_s)


async def open_session(store: Store, bridge: Bridge) -> Session:
    """A session as the phone that we are to `bridge`."""
    assert bridge.key is not None
    secret = store.secret(bridge.id, bridge.key)
    link = await find(bridge.id, FIND_LIMIT_S)
    try:
        return await Session.open(link, Credential.phone_key(bridge.key.phone, secret))
    except WrongSecret:
        raise SpeakeasyError(
            f"Bridge {bridge.id.hex()} does not know this phone any more: it was revoked, or the bridge was reset. Ask "
            "an owner for an invite, then `speakeasy pair`, or, if the bridge was reset, pair with the setup code on "
            "its label."
        ) from None


async def ask(store: Store, bridge: Bridge, op: str, **members: object) -> dict[str, Any]:
    """One request in a session of its own."""
    async with await open_session(store, bridge) as session:
        return await session.request(op, **members)


async def ask_pages(store: Store, bridge: Bridge, op: str, member: str) -> dict[str, Any]:
    """The same for a list, whose pages are put together."""
    async with await open_session(store, bridge) as session:
        return await session.pages(op, member)


def remember(store: Store, bridge: Bridge, status: dict[str, Any]) -> Bridge:
    """Keeps where the bridge says that it is on the network."""
    uplink = status.get("uplink")
    addr = uplink.get("addr") if isinstance(uplink, dict) else None
    port = status.get("claim_port")
    try:
        socket.inet_aton(addr or "")
    except (OSError, TypeError):
        addr = None
    store.saw(
        bridge.id,
        addr=addr or None,
        claim_port=port if isinstance(port, int) and 0 < port < 65536 else DEFAULT_CLAIM_PORT,
    )
    return store.get(bridge.id) or bridge
