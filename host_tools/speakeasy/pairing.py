"""Enrolment in two phases (docs/SPEC.md, section 2.4): a key is stored here before the bridge is told to save it.

So whenever the link is lost, no bridge is left with an owner that has no key: the key is here, as pending, and it is
the first thing that the next attempt tries.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from speakeasy.errors import NotHeard, SpeakeasyError
from speakeasy.session import (
    MODE_SETUP_CODE,
    UNOWNED,
    Credential,
    Info,
    Link,
    Refused,
    Session,
    SessionError,
    WrongSecret,
)
from speakeasy.store import MOST_PENDING, PhoneKey, Store, StoreError

FIND_LIMIT_S = 20.0
INFO_LIMIT_S = 5.0
MOST_ATTEMPTS = MOST_PENDING + 4  # one connection each: every key that may be right, and a link lost a few times

Find = Callable[[bytes | None, float], Awaitable[Link]]


# `open` is of no use here: it lets phones in that are paired.
_HOW_TO_OPEN = (
    "A bridge that has an owner keeps its Bluetooth off: press its button, and for two minutes the code on its label "
    "lets this phone in as a guest; or ask an owner for an invite, which they make on their phone with `~speakeasy "
    "invite`: the Bluetooth is on as long as it is good."
)


@dataclass(frozen=True)
class Paired:
    """How a pairing ended. `was_known`: a key from before is good; nothing new was enrolled."""

    bridge: bytes
    role: str
    was_known: bool


async def _meet(find: Find, bridge: bytes | None) -> tuple[Link, Info]:
    try:
        link = await find(bridge, FIND_LIMIT_S)
    except NotHeard as error:
        raise NotHeard(f"{error} {_HOW_TO_OPEN}") from None
    try:
        async with asyncio.timeout(INFO_LIMIT_S):
            return link, Info.parse(await link.read_info())
    except TimeoutError:
        await link.close()
        raise SessionError("The bridge does not answer. Go nearer to it, and try again.") from None
    except BaseException:
        await link.close()
        raise


def _stored_key(answer: dict[str, object], name: str) -> PhoneKey:
    phone, key, role = answer.get("phone"), answer.get("key"), answer.get("role")
    if (
        not isinstance(phone, str)
        or not isinstance(key, str)
        or not isinstance(role, str)
        or not re.fullmatch(r"[0-9a-f]{16}", phone)
        or not re.fullmatch(r"[0-9a-f]{64}", key)
    ):
        raise SessionError("The bridge gave a key that is not understood. Nothing was saved; update the bridge.")
    return PhoneKey(bytes.fromhex(phone), bytes.fromhex(key), role, name)


async def _enrol(store: Store, session: Session, credential: Credential, name: str) -> Paired:
    key = _stored_key(await session.request("enrol", name=name), name)
    store.add_pending(session.bridge, key)
    await session.request("confirm")
    store.confirm(session.bridge, key.phone, key.role, others_are_void=credential.mode == MODE_SETUP_CODE)
    return Paired(session.bridge, key.role, was_known=False)


def _next_key(
    store: Store, bridge: bytes, keys: Iterable[PhoneKey], tried: set[bytes]
) -> tuple[PhoneKey | None, bytes]:
    """A key that was not tried yet. One that the keyring does not give out is left: a new one may take its place."""
    for key in keys:
        if key.phone not in tried:
            tried.add(key.phone)
            with suppress(StoreError):
                return key, store.secret(bridge, key)
    return None, b""


async def pair(
    store: Store, find: Find, credential: Credential | None, name: str, bridge: bytes | None
) -> Paired | None:
    """Pairs with `bridge`, or with the one that is found.

    Keys that are stored for it are tried first; None when none is good and there is no `credential`. What the keyring
    needs to be unlocked is asked before: see Store.keeps_in_keyring.
    Raises SpeakeasyError.
    """
    tried: set[bytes] = set()
    lost: SpeakeasyError | None = None
    for _ in range(MOST_ATTEMPTS):
        link, info = await _meet(find, bridge)
        bridge = info.bridge  # whatever happens to the link now, it is this one that we stay with
        known = store.get(bridge)
        keys = known.all_keys() if known and info.state != UNOWNED else ()
        key, secret = _next_key(store, bridge, keys, tried)
        if key is not None:
            try:
                session = await Session.open(link, Credential.phone_key(key.phone, secret), info)
            except WrongSecret:
                continue
            async with session:
                if known is not None and key in known.pending:
                    store.confirm(bridge, key.phone, session.role)
                return Paired(bridge, session.role, was_known=True)
        if credential is None:
            await link.close()
            return None
        async with await Session.open(link, credential, info) as session:
            try:
                return await _enrol(store, session, credential, name)
            except (Refused, StoreError):
                raise
            except SpeakeasyError as error:
                lost = error  # before the answer to `confirm` came: only the stored key can tell what the bridge saved
    raise lost or SessionError("The link to the bridge was lost again and again. Go nearer to it, and try again.")
