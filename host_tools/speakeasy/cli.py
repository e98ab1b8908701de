"""The command `speakeasy`: what a person types on a phone's stand-in, a laptop, or in the virtual dorm.

Exit status: 0 done, 1 refused or failed (one clear line on standard error), 2 usage, 130 Ctrl-C.
"""

import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from speakeasy import codes, dorm_commands, uplinks
from speakeasy.claim import Lease, Unreachable
from speakeasy.claim import claim as claim_lease
from speakeasy.errors import SpeakeasyError
from speakeasy.pairing import FIND_LIMIT_S, Paired
from speakeasy.pairing import pair as pair_with
from speakeasy.session import Credential, Link, Refused, Session, WrongSecret, printable
from speakeasy.store import DEFAULT_CLAIM_PORT, Bridge, PhoneKey, Store
from speakeasy.terminal import JsonOption, counter_table, err, failures, out, show_json

_T = TypeVar("_T")

LONGEST_NAME = 32  # characters, SPEC 2.4
LONGEST_SSID = 32  # bytes
SHORTEST_KEY, LONGEST_KEY = 8, 63  # characters

MOST_HOSTS = 8

JOIN_LIMIT_S = 22.0  # for the bridge to join a network: it gives an attempt 15 s
JOIN_POLL_S = 1.0
JOIN_BEGUN_S = 4.0  # after so long, what the bridge tells of a failure is not of an attempt before

app = typer.Typer(
    name="speakeasy",
    help="Pair this phone with a Speakeasy bridge, and be let in to its speaker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(dorm_commands.app, name="dorm")

BridgeOption = Annotated[
    str | None, typer.Option("--bridge", metavar="ID", help="Which bridge: its id, or the beginning of it.")
]


@app.callback()
def choose_person(
    who: Annotated[
        str | None,
        typer.Option("--as", metavar="WHO", help="Be this person of the running dorm: phone, laptop, flatmate, ..."),
    ] = None,
) -> None:
    """Pair this phone with a Speakeasy bridge, and be let in to its speaker."""
    if who is not None:
        dorm_commands.run_as(who, [sys.executable, "-m", "speakeasy.cli", *_without_as(sys.argv[1:])])


def _without_as(argv: list[str]) -> list[str]:
    at = next(n for n, word in enumerate(argv) if word == "--as" or word.startswith("--as="))
    return argv[:at] + argv[at + (2 if argv[at] == "--as" else 1) :]


class Ble(StrEnum):
    """Whose Bluetooth the simulated bridge has."""

    bumble = "bumble"
    nimble = "nimble"


class Role(StrEnum):
    """What an invited phone may do."""

    owner = "owner"
    guest = "guest"


class Mode(StrEnum):
    """Which address the speaker has."""

    passthrough = "passthrough"
    private = "private"


# --- running and failing --------------------------------------------------------------------------------------------
def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs a command's work to its end."""
    with failures():
        return asyncio.run(work)


async def find(bridge: bytes | None, timeout_s: float) -> Link:
    """A link to `bridge`, or to the bridge that is found. The radio is chosen by where this runs: see ble.py."""
    from speakeasy import ble  # late: a radio's library takes long to import, and most commands need none

    return await ble.find(bridge, timeout_s)


async def open_session(bridge: Bridge) -> Session:
    """A session as the phone that we are to `bridge`."""
    assert bridge.key is not None
    link = await find(bridge.id, FIND_LIMIT_S)
    try:
        return await Session.open(link, Credential.phone_key(bridge.key.phone, bridge.key.key))
    except WrongSecret:
        raise SpeakeasyError(
            f"Bridge {bridge.id.hex()} does not know this phone any more: it was revoked, or the bridge was reset. Ask "
            "an owner for an invite, then `speakeasy pair --invite ...`, or, if the bridge was reset, pair with the "
            "setup code on its label."
        ) from None


async def ask(bridge: Bridge, op: str, **members: object) -> dict[str, Any]:
    """One request in a session of its own."""
    async with await open_session(bridge) as session:
        return await session.request(op, **members)


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


# --- pairing --------------------------------------------------------------------------------------------------------
def _typed(text: str | None, what: str, variable: str) -> str | None:
    if text != "-":
        return text
    line = sys.stdin.readline(codes.LONGEST_TEXT + 2).strip()
    if not line:
        raise SpeakeasyError(f"No {what} came on standard input. Type it, pipe it in, or set {variable}.")
    return line


def _credential(code: str | None, invite: str | None) -> Credential | None:
    if invite is not None:
        return Credential.invite(*codes.read_invite(invite))
    if code is not None:
        return Credential.setup_code(codes.read_setup_code(code))
    return None


def _prompt() -> Credential:
    if not sys.stdin.isatty():
        raise SpeakeasyError("Which bridge's secret? Give --code with the setup code on its label, or --invite.")
    err.print("The setup code is on the bridge's label. An invite comes from an owner: `speakeasy invite`.")
    while True:
        err.print("Setup code or invite: ", end="")
        text = sys.stdin.readline(codes.LONGEST_TEXT + 2)
        if not text.strip():
            raise SpeakeasyError("Nothing was typed, and nothing was changed.")
        try:
            # The two have different lengths: an invite is never mistaken for a setup code.
            long = sum(c.isalnum() for c in text) > 30
            return Credential.invite(*codes.read_invite(text)) if long else _credential_of_code(text)
        except codes.CodeError as error:
            err.print(str(error))


def _credential_of_code(text: str) -> Credential:
    return Credential.setup_code(codes.read_setup_code(text))


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
        raise SpeakeasyError("A bridge's id has 16 hex digits. It stands on the label.")
    return bridge


def _own_name(name: str | None) -> str:
    own = (name or os.environ.get("USER") or socket.gethostname() or "phone").strip()
    if name is None:
        own = own[:LONGEST_NAME]
    if not 1 <= len(own) <= LONGEST_NAME or not own.isprintable():
        raise SpeakeasyError(
            f"A phone's name has 1 to {LONGEST_NAME} printable characters. Choose another with --name."
        )
    return own


async def _pair(store: Store, credential: Credential | None, name: str, bridge: bytes | None) -> Paired | None:
    try:
        return await pair_with(store, find, credential, name, bridge)
    except WrongSecret:
        what = "setup code" if credential is not None and credential.mode == 1 else "invite"
        more = (
            "Compare it with the label. If there are several bridges nearby, say which with --bridge."
            if what == "setup code"
            else "It works once, for ten minutes. Ask the owner for a new one."
        )
        raise SpeakeasyError(f"The bridge does not accept this {what}. {more}") from None


@app.command()
def pair(
    code: Annotated[
        str | None,
        typer.Option("--code", metavar="TEXT", envvar="SPEAKEASY_CODE", help="The setup code; - reads it from input."),
    ] = None,
    invite: Annotated[
        str | None,
        typer.Option("--invite", metavar="TEXT", envvar="SPEAKEASY_INVITE", help="An invite; - reads it from input."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What owners will see this phone as.")] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pair this phone over Bluetooth, with the bridge's setup code or an owner's invite."""
    with failures():
        store = Store.default()
        own_name = _own_name(name)
        # What stands in argv was meant for this call; what stands in the environment is only used without it.
        credential = _credential(
            _typed(code, "setup code", "SPEAKEASY_CODE"), _typed(invite, "invite", "SPEAKEASY_INVITE")
        )
        bridge_id = _bridge_id(bridge, store)
        unfinished = any(known.pending for known in store.bridges())
    paired = None
    if credential is None and unfinished:
        paired = run(_pair(store, None, own_name, bridge_id))
    if paired is None:
        if credential is None:
            with failures():
                credential = _prompt()
        paired = run(_pair(store, credential, own_name, bridge_id))
    assert paired is not None
    status = run(_first_status(store, paired))
    if as_json:
        show_json(
            {
                "bridge": paired.bridge.hex(),
                "role": paired.role,
                "was_known": paired.was_known,
                "addr": status.addr,
            }
        )
        return
    done = "This phone was paired already" if paired.was_known else "This phone is now paired"
    out.print(f"{done}: {'an owner' if paired.role == 'owner' else 'a guest'} of bridge {paired.bridge.hex()}.")
    if status.addr:
        out.print(f"The bridge is on the network at {status.addr}. Be let in: [bold]speakeasy claim[/]")
    else:
        out.print("The bridge is on no network yet. An owner chooses one: [bold]speakeasy join[/]")


async def _first_status(store: Store, paired: Paired) -> Bridge:
    """Where the bridge is, asked with the new key: so the key has been of use once before anybody relies on it."""
    bridge = store.get(paired.bridge)
    assert bridge is not None
    return remember(store, bridge, await ask(bridge, "status"))


# --- claims ---------------------------------------------------------------------------------------------------------
async def _claim(store: Store, bridge: Bridge, address: str | None, name_address: bool) -> Lease:
    key = bridge.key
    assert key is not None

    async def at(addr: str, port: int, key: PhoneKey) -> Lease:
        return await claim_lease(addr, port, bridge=bridge.id, phone=key.phone, key=key.key, name_address=name_address)

    if address is not None:
        return await at(address, bridge.claim_port, key)
    if bridge.addr is not None:
        try:
            return await at(bridge.addr, bridge.claim_port, key)
        except Unreachable:
            err.print(f"No bridge of ours answers at {bridge.addr} any more. Asking it over Bluetooth where it is...")
    bridge = remember(store, bridge, await ask(bridge, "status"))
    if bridge.addr is None:
        raise SpeakeasyError(
            "The bridge is on no network, so there is nothing to be let in to. See `speakeasy status`; an owner may "
            "choose a network with `speakeasy join`."
        )
    return await at(bridge.addr, bridge.claim_port, key)


@app.command()
def claim(
    bridge: BridgeOption = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDR", help="The bridge's address, when you know better.")
    ] = None,
    any_address: Annotated[
        bool, typer.Option("--any-address", help="Do not name our own address: for a router in between.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Be let in to the speaker from here: prove this phone's key to the bridge on Wi-Fi."""
    with failures():
        store = Store.default()
        chosen = store.choose(bridge)
    lease = run(_claim(store, chosen, address, not any_address))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "addr": lease.addr, "lease_s": lease.lease_s, "by": lease.by})
        return
    whom = "this machine" if lease.by == "mac" else "whoever has this address"
    out.print(f"You are in, from {lease.addr}: {whom}, until {_hours(lease.lease_s)} go by without traffic.")


def _hours(seconds: object) -> str:
    if not isinstance(seconds, int):
        return "?"
    if seconds >= 5400:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"


# --- phones ---------------------------------------------------------------------------------------------------------
async def _phones(bridge: Bridge) -> list[dict[str, Any]]:
    async with await open_session(bridge) as session:
        return _phones_in(await session.pages("phones", "phones"))


def _phones_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [phone for phone in answer["phones"] if isinstance(phone, dict)]


@app.command()
def phones(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """List the phones that are paired with the bridge (owners only)."""
    with failures():
        chosen = Store.default().choose(bridge)
    found = run(_phones(chosen))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "phones": found})
        return
    table = Table("phone", "name", "role", "")
    for phone in found:
        own = chosen.key is not None and phone.get("phone") == chosen.key.phone.hex()
        row = [escape(printable(phone.get(member, "?"))) for member in ("phone", "name", "role")]
        table.add_row(*row, "this one" if own else "")
    out.print(table)


async def _revoke(bridge: Bridge, who: str) -> dict[str, Any]:
    async with await open_session(bridge) as session:
        found = _phones_in(await session.pages("phones", "phones"))
        wanted = [phone for phone in found if who in (phone.get("name"), phone.get("phone"))] or [
            phone for phone in found if len(who) >= 4 and str(phone.get("phone")).startswith(who.lower())
        ]
        if len(wanted) > 1:
            ids = ", ".join(printable(phone.get("phone")) for phone in wanted)
            raise SpeakeasyError(f"More than one phone is called {who!r}. Say which by its id: {ids}.")
        if not wanted:
            names = ", ".join(f"{printable(p.get('name'))} ({printable(p.get('phone'))})" for p in found)
            raise SpeakeasyError(f"No paired phone is called {who!r}. Paired are: {names}.")
        await session.request("revoke", phone=wanted[0].get("phone"))
        return wanted[0]


@app.command()
def revoke(
    phone: Annotated[str, typer.Argument(help="The phone's name or id, as in `speakeasy phones`.")],
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shut a phone out: its key, its lease and its open connections end at once (owners only)."""
    with failures():
        chosen = Store.default().choose(bridge)
    gone = run(_revoke(chosen, phone))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "revoked": gone.get("phone"), "name": gone.get("name")})
        return
    out.print(f"{escape(printable(gone.get('name')))} is shut out: its key is void, its connections are cut.")


@app.command()
def invite(
    role: Annotated[Role, typer.Option(help="What the invited phone may do.")] = Role.guest,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an invite for one more phone (owners only)."""
    with failures():
        chosen = Store.default().choose(bridge)
    answer = run(ask(chosen, "invite", role=role.value))
    text = printable(answer.get("invite"))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "invite": text, "role": role.value, "expires_s": answer.get("expires_s")})
        return
    out.print(f"[bold]{escape(text)}[/]")
    out.print(f"For one {role.value}, once, within {_hours(answer.get('expires_s'))}: speakeasy pair --invite ...")


# --- status and settings --------------------------------------------------------------------------------------------
async def _status(store: Store, bridge: Bridge) -> tuple[dict[str, Any], dict[str, int]]:
    async with await open_session(bridge) as session:
        status = await session.pages("status", "leases")
        counted = (await session.pages("counters", "counters"))["counters"]
        if session.role == Role.owner:
            with suppress(Refused):  # a firmware that knows no hosts
                status["hosts"] = (await session.request("addressing")).get("hosts")
    remember(store, bridge, status)
    counters = counted if isinstance(counted, dict) else {}
    return status, {str(name): count for name, count in counters.items() if isinstance(count, int)}


@app.command()
def status(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Show how the bridge is: networks, speaker, leases, and what its filter counted."""
    with failures():
        store = Store.default()
        chosen = store.choose(bridge)
    state, counters = run(_status(store, chosen))
    if as_json:
        show_json({**{k: v for k, v in state.items() if k not in ("id", "ok")}, "counters": counters})
        return
    _show_status(state)
    out.print(counter_table(counters))


DAMAGED = (
    "The settings were damaged and set aside (settings.bad); defaults are used: pair your phones again with the setup "
    "code on the label."
)


def _show_status(state: dict[str, Any]) -> None:
    def text(value: object) -> str:
        return escape(printable("-" if value in (None, "") else value))

    uplink = state.get("uplink") if isinstance(state.get("uplink"), dict) else {}
    segment = state.get("segment") if isinstance(state.get("segment"), dict) else {}
    assert isinstance(uplink, dict)
    assert isinstance(segment, dict)

    def row(name: str, words: str) -> None:
        out.print(f" {name:<8}  {words}")  # no table: it would cut sentences at the terminal's edge

    row("bridge", f"{text(state.get('bridge'))}, firmware {text(state.get('version'))}")
    if state.get("damaged") is True:
        row("settings", f"[bold red]{DAMAGED}[/]")
    for words in uplinks.sentences(uplink):
        row("uplink", escape(words))
    if segment.get("speaker"):
        row("speaker", f"{text(segment.get('speaker'))}, as {text(segment.get('addr'))}")
    else:
        row("speaker", f"No speaker yet: have it join the bridge's own Wi-Fi, which is {text(segment.get('state'))}.")
    if state.get("mode"):
        row("mode", _mode_sentence(state.get("mode"), uplink.get("addr")))
    hosts = state.get("hosts")
    if isinstance(hosts, list) and hosts:
        row("hosts", f"The speaker may also reach {text(', '.join(str(host) for host in hosts))}.")
    row("up for", _hours(state.get("uptime_s")))
    row("phones", f"{text(state.get('phones'))} paired, {text(state.get('flows'))} connections open")
    leases = state.get("leases")
    for lease in leases if isinstance(leases, list) else []:
        if isinstance(lease, dict):
            by = "that machine only" if lease.get("mac") else "whoever has this address"
            row("lease", f"{text(lease.get('addr'))} ({by}), {_hours(lease.get('left_s'))} left")


def _mode_sentence(mode: object, addr: object) -> str:
    known = {
        Mode.passthrough: "passthrough: the speaker has the bridge's own address on the network",
        Mode.private: "private: the speaker has an address of its own behind the bridge; phones use the bridge's",
    }
    words = known[Mode(str(mode))] if mode in list(Mode) else escape(printable(mode))
    return f"{words} ({escape(printable(addr))})." if addr else f"{words}."


def _addressing(bridge: str | None, **members: object) -> dict[str, Any]:
    """Changes the addressing, or asks for it when there is nothing to change."""
    with failures():
        chosen = Store.default().choose(bridge)
    answer = run(ask(chosen, "addressing", **members))
    return {"bridge": chosen.id.hex(), "mode": answer.get("mode"), "hosts": answer.get("hosts")}


@app.command()
def mode(
    mode: Annotated[Mode | None, typer.Argument(help="Without it: show which one it is.")] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the speaker's addressing (owners only): at once, music pauses for some seconds."""
    now = _addressing(bridge, **({} if mode is None else {"mode": mode.value}))
    if as_json:
        show_json({"bridge": now["bridge"], "mode": now["mode"]})
        return
    out.print(f"The addressing is {_mode_sentence(now['mode'], None)}")


def _local_host(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise SpeakeasyError(f"{text} is no IPv4 address. Nothing was changed.") from None


@app.command()
def hosts(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDR...", help="All of them. Without any: show which there are.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="The speaker shall reach no local host any more.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the local machines, a NAS for example, that the speaker may open connections to (owners only)."""
    with failures():
        if none and addresses:
            raise SpeakeasyError("Either addresses or --none. Nothing was changed.")
        wanted = list(dict.fromkeys(_local_host(address) for address in addresses or []))
        if len(wanted) > MOST_HOSTS:
            raise SpeakeasyError(f"At most {MOST_HOSTS} local hosts can be named. Nothing was changed.")
    now = _addressing(bridge, **({"hosts": wanted} if wanted or none else {}))
    if as_json:
        show_json({"bridge": now["bridge"], "hosts": now["hosts"]})
        return
    named = now["hosts"] if isinstance(now["hosts"], list) else []
    if named:
        out.print(f"The speaker may open connections to {escape(printable(', '.join(str(host) for host in named)))}.")
    else:
        out.print("The speaker may open connections to no local machine but phones that are in, the router and DNS.")


def _prompted_key() -> str:
    try:
        return str(typer.prompt("Key of the network", hide_input=True, err=True))
    except typer.Abort:
        raise typer.Exit(130) from None


async def _join(store: Store, bridge: Bridge, ssid: str, key: str) -> dict[str, Any]:
    """Has the bridge join, and waits until it is on that network. Returns its uplink; raises SpeakeasyError."""
    loop = asyncio.get_running_loop()
    session: Session | None = await open_session(bridge)
    try:
        assert session is not None
        await session.request("join", ssid=ssid, key=key)
        asked = loop.time()
        attempt = uplinks.Attempt(ssid)
        err.print(f"The bridge tries {escape(printable(ssid))} now...")
        while loop.time() - asked < JOIN_LIMIT_S:
            await asyncio.sleep(JOIN_POLL_S)
            try:
                if session is None:
                    session = await open_session(bridge)
                status = await session.request("status")
            except (Refused, WrongSecret):
                raise
            except SpeakeasyError:  # the link broke: the bridge has one antenna for both radios
                if session is not None:
                    await session.close()
                session = None
                continue
            uplink = status.get("uplink")
            uplink = uplink if isinstance(uplink, dict) else {}
            outcome = attempt.outcome(uplink, may_be_old=loop.time() - asked < JOIN_BEGUN_S)
            if outcome == uplinks.UP:
                remember(store, bridge, status)
                return uplink
            if outcome is not None:
                now = uplinks.sentence(uplinks.UP, uplink["ssid"], uplink.get("addr"))
                back = f" {now}" if uplink.get("state") == uplinks.UP else ""
                raise SpeakeasyError(uplinks.sentence(outcome, ssid) + back)
    finally:
        if session is not None:
            await session.close()
    raise SpeakeasyError(
        f"The bridge saved {printable(ssid)}, but is not on it after {JOIN_LIMIT_S:.0f} s. It goes on trying: see "
        "`speakeasy status`."
    )


@app.command()
def join(
    ssid: Annotated[str, typer.Argument(help="The name of the Wi-Fi network.")],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="TEXT", envvar="SPEAKEASY_WIFI_KEY", help="Its key; - reads it from input."),
    ] = None,
    is_open: Annotated[bool, typer.Option("--open", help="The network has no key.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the bridge join a Wi-Fi network (owners only)."""
    with failures():
        if not 1 <= len(ssid.encode()) <= LONGEST_SSID:
            raise SpeakeasyError(f"A network's name has 1 to {LONGEST_SSID} bytes.")
        if is_open:
            key = ""
        elif key is None and sys.stdin.isatty():
            key = _prompted_key()
        else:
            key = _typed(key, "key", "SPEAKEASY_WIFI_KEY")
        if key is None:
            raise SpeakeasyError("Which key has the network? Give --key - and pipe it in, or --open when it has none.")
        if not is_open and not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
            raise SpeakeasyError(f"A Wi-Fi key has {SHORTEST_KEY} to {LONGEST_KEY} characters. Nothing was changed.")
        chosen = Store.default().choose(bridge)
        store = Store.default()
    uplink = run(_join(store, chosen, ssid, key))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "ssid": ssid, "state": uplinks.UP, "addr": uplink.get("addr")})
        return
    out.print(escape(uplinks.sentence(uplinks.UP, ssid, uplink.get("addr"))))


@app.command()
def demo(
    ble: Annotated[Ble, typer.Option(help="The bridge's Bluetooth.")] = Ble.bumble,
    run_dir: dorm_commands.RunDirOption = None,
    keep_logs: Annotated[Path | None, typer.Option("--keep-logs", metavar="DIR", help="Copy all logs there.")] = None,
) -> None:
    """Watch the whole of it in a virtual dorm: who gets in, and who does not."""
    from speakeasy import demo as show  # late: with SoCo and Bumble come half a second of imports

    with failures():
        raise typer.Exit(show.run(run_dir, ble=ble.value, keep_logs=keep_logs))


def main() -> None:
    """The entry point of the command."""
    app(prog_name="speakeasy")


if __name__ == "__main__":
    main()
