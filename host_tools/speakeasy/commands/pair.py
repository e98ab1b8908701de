"""Becoming one of a bridge's phones, and leaving again."""

import os
import socket
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from speakeasy import asking, codes, links, reach
from speakeasy.claim import ClaimError, Lease
from speakeasy.commands.claim import claim_at, lease_sentence
from speakeasy.commands.phones import LONGEST_NAME, phone_name
from speakeasy.errors import OWNER, SpeakeasyError, UsageError, choose_network
from speakeasy.pairing import Paired
from speakeasy.pairing import pair as pair_with
from speakeasy.reach import BridgeOption, NotPaired, ask, choose, remember, run
from speakeasy.session import MODE_INVITE, MODE_SETUP_CODE, Credential, HasOwner, WrongSecret
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, as_called, command, err, failures, out, show_json

# The first one that is set counts; each may hold a code, an invite or a link.
VARIABLES = ("SPEAKEASY_CODE", "SPEAKEASY_INVITE")

_NO_INVITE = "it was used, called back, or is too old. Ask the owner for a new one."

app = typer.Typer()


def _given() -> Credential | None:
    """What the environment or standard input has. Raises SpeakeasyError."""
    text = asking.from_environment(*VARIABLES)
    if text is None and not sys.stdin.isatty():
        text = asking.line_of_input()
    return links.credential(text) if text else None


def _asked() -> Credential:
    if not sys.stdin.isatty():
        raise SpeakeasyError(
            "Which setup code or invite? Pipe it in, set SPEAKEASY_CODE or SPEAKEASY_INVITE, or run `speakeasy pair` "
            "in a terminal and type it when asked. Nothing was changed."
        )
    err.print("The setup code is on the bridge's label. An invite, or its link, comes from an owner.")
    while True:
        try:
            return links.credential(asking.prompted("Setup code or invite"))
        except codes.CodeError as error:
            err.print(escape(str(error)))


def _bridge_id(text: str | None, store: Store) -> bytes | None:
    if text is None:
        return None
    known = [bridge.id for bridge in store.bridges() if bridge.id.hex().startswith(text.lower())]
    if len(known) == 1:
        return known[0]
    try:
        bridge = bytes.fromhex(text)
    except ValueError:
        bridge = b""
    if len(bridge) != 8:
        raise UsageError("A bridge's id has 16 hex digits. It stands on the label.")
    return bridge


def _own_name(name: str | None) -> str:
    """The name that owners will see; without one given, this person's or machine's. Raises SpeakeasyError."""
    if name is not None:
        return phone_name(name.strip())
    return phone_name((os.environ.get("USER") or socket.gethostname() or "phone").strip()[:LONGEST_NAME])


async def _pair(store: Store, credential: Credential | None, name: str, bridge: bytes | None) -> Paired | None:
    try:
        return await pair_with(store, reach.find, credential, name, bridge)
    except WrongSecret:
        if credential is not None and credential.mode == MODE_SETUP_CODE:
            raise SpeakeasyError(
                "The bridge does not accept this setup code. Compare it with the label. If there are several bridges "
                "nearby, say which with --bridge."
            ) from None
        raise SpeakeasyError(f"The bridge does not accept this invite: {_NO_INVITE}") from None
    except HasOwner:
        if credential is None or credential.mode != MODE_INVITE:
            raise
        raise SpeakeasyError(f"This invite is not good any more: {_NO_INVITE}") from None


async def _first_status(store: Store, paired: Paired) -> Bridge:
    """Where the bridge is, asked with the new key: so the key has been of use once before anybody relies on it."""
    bridge = store.get(paired.bridge)
    assert bridge is not None
    return remember(store, bridge, await ask(store, bridge, "status"))


async def _let_in(store: Store, bridge: Bridge) -> Lease | str:
    """The first lease; or why there is none: not a failure of pairing."""
    try:
        assert bridge.addr is not None
        return await claim_at(store, bridge, bridge.addr)
    except ClaimError as error:
        return str(error)


@app.command(context_settings=asking.WORDS_TOO)
def pair(
    ctx: typer.Context,
    no_code: Annotated[str | None, typer.Option("--code", "--invite", "--link", hidden=True)] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What owners will see this phone as.")
    ] = None,
    claim: Annotated[bool, typer.Option("--claim/--no-claim", help="Be let in to the speaker, too.")] = True,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pair this phone over Bluetooth, and be let in to the speaker.

    The bridge's setup code, an owner's invite, or the link of either, is asked for, read from standard input, or from
    SPEAKEASY_CODE or SPEAKEASY_INVITE.
    """
    with failures():
        asking.no_secret_in_arguments(ctx.args, no_code)
        store = Store.default()
        own_name = _own_name(name)
        bridge_id = _bridge_id(bridge, store)
        credential = _given()
        unfinished = any(known.pending for known in store.bridges())
    paired = None
    if credential is None and unfinished:
        paired = run(_pair(store, None, own_name, bridge_id))
    if paired is None:
        with failures():
            credential = credential or _asked()
            store.keeps_in_keyring()
        paired = run(_pair(store, credential, own_name, bridge_id))
    assert paired is not None
    known = run(_first_status(store, paired))
    lease = run(_let_in(store, known)) if claim and known.addr else None
    if as_json:
        got = asdict(lease) if isinstance(lease, Lease) else None
        show_json(
            {
                "bridge": paired.bridge.hex(),
                "role": paired.role,
                "was_known": paired.was_known,
                "addr": known.addr,
                "lease": got,
            }
        )
        return
    done = "This phone was paired already" if paired.was_known else "This phone is now paired"
    out.print(f"{done}: {'an owner' if paired.role == OWNER else 'a guest'} of bridge {paired.bridge.hex()}.")
    if not known.addr:
        out.print(as_called(f"The bridge is on no network yet: {choose_network(paired.role)}."))
    elif isinstance(lease, Lease):
        out.print(f"The speaker is at {known.addr}. {lease_sentence(lease, paired.role)}")
    else:
        out.print(f"The bridge is on the network at {known.addr}. Be let in: {command('claim')}")
        if lease is not None:
            err.print(f"Not yet: {escape(as_called(lease))}")


def _leave_question(bridge: Bridge, *, here_only: bool) -> str:
    what = f"Leave bridge {bridge.id.hex()}?"
    if bridge.key is None or bridge.key.role != OWNER:
        return f"{what} Only an invite, or its label when its button was pressed, brings this phone back."
    if not here_only:
        return f"{what} It has to have another owner: only an owner's invite makes this phone one again."
    return (
        f"{what} The bridge goes on knowing this phone as an owner. If it is the only one, nobody can manage the "
        "bridge any more: its button, held for ten seconds, makes it as new then."
    )


async def _leave(store: Store, bridge: Bridge) -> None:
    try:
        await ask(store, bridge, "leave")
    except NotPaired as error:
        raise NotPaired(f"{error} To forget it here, too: `speakeasy leave --here-only`.") from None


@app.command()
def leave(
    here_only: Annotated[
        bool, typer.Option("--here-only", help="Forget the bridge here, without telling it: it is lost, or was reset.")
    ] = False,
    yes: asking.YesOption = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the bridge forget this phone, and forget the bridge."""
    store, chosen = choose(bridge)
    with failures():
        asking.confirm(_leave_question(chosen, here_only=here_only), yes=yes)
    if not here_only:
        run(_leave(store, chosen))
    with failures():
        store.forget(chosen.id)
    if as_json:
        show_json({"bridge": chosen.id.hex(), "left": True})
        return
    out.print(f"This phone is not paired with bridge {chosen.id.hex()} any more.")
