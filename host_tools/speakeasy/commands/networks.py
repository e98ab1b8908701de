"""The Wi-Fi networks that a bridge joins, for its owners."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table

from speakeasy import asking, uplinks
from speakeasy.errors import OWNER, SpeakeasyError, UsageError
from speakeasy.reach import BridgeOption, ask, ask_pages, choose, open_session, remember, run
from speakeasy.session import Refused, Session, WrongSecret, printable
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, command, err, failures, out, show_json, shown

LONGEST_SSID = 32  # bytes
SHORTEST_KEY, LONGEST_KEY = 8, 63  # characters
KEY_VARIABLE = "SPEAKEASY_WIFI_KEY"

LONGEST_LOGIN = 64  # bytes, of each text of a login

JOIN_LIMIT_S = 22.0  # for the bridge to join a network: it gives an attempt 15 s
LOGIN_LIMIT_S = 37.0  # the same where it logs in: 30 s
JOIN_POLL_S = 1.0
JOIN_BEGUN_S = 4.0  # after so long, what the bridge tells of a failure is not of an attempt before

# What it takes to join a network (SPEC 2.4, `scan`).
SECURITY = {
    "open": "open, without a key",
    "psk": "a key (WPA)",
    "enterprise": "a user's name and password (WPA Enterprise): join it with --user",
    "other": "of a kind that the bridge does not know",
}
IN_QUOTES = "A name with spaces stands in quotes."

app = typer.Typer()


def wifi_name(ssid: str) -> str:
    """Raises UsageError when no network can have that name."""
    if not 1 <= len(ssid.encode(errors="surrogateescape")) <= LONGEST_SSID:
        raise UsageError(f"A network's name has 1 to {LONGEST_SSID} bytes. Nothing was changed.")
    if not is_text(ssid):
        raise UsageError("A network's name is text in UTF-8. Nothing was changed.")
    return ssid


def is_text(text: str) -> bool:
    """Whether it can be sent: what the system could not read as text has halves of characters in it."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def wifi_key(what: str, *variables: str) -> str:
    """A network's key, asked for. Raises SpeakeasyError when it can be none (IEEE 802.11, annex J.4)."""
    key = asking.secret(what, *variables)
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise SpeakeasyError(f"A Wi-Fi key has {SHORTEST_KEY} to {LONGEST_KEY} characters. Nothing was changed.")
    if not all(" " <= c <= "~" for c in key):
        raise SpeakeasyError(
            "A Wi-Fi key has letters without accents, digits, spaces and the signs of ASCII. Nothing was changed."
        )
    return key


def _login_text(what: str, text: str, kind: type[SpeakeasyError] = UsageError) -> str:
    if not 1 <= len(text.encode(errors="surrogateescape")) <= LONGEST_LOGIN or not is_text(text) or "\0" in text:
        raise kind(f"The {what} is text of 1 to {LONGEST_LOGIN} bytes. Nothing was changed.")
    return text


def login_of(
    user: str | None, server: str | None, anonymous: str | None, *, any_server: bool, pap: bool
) -> dict[str, str] | None:
    """What `join` sends for a network with users (SPEC 2.4), the password asked for; None without `user`. Raises
    UsageError."""
    if user is None:
        if server is not None or anonymous is not None or any_server or pap:
            raise UsageError(
                "--server, --any-server, --anonymous and --pap are for a network with users: say --user, too. "
                "Nothing was changed."
            )
        return None
    if (server is None) != any_server:
        raise UsageError(
            "Name the server that the network logs you in with by --server (whoever runs the network tells it, like "
            "radius.example.edu), or say --any-server: then whoever imitates the network can get at your password. "
            "Nothing was changed."
        )
    if pap and any_server:
        raise UsageError("With --pap the server is told the password: name it, by --server. Nothing was changed.")
    heard = anonymous or (f"anonymous@{user.rpartition('@')[2]}" if "@" in user else user)
    login = {
        "user": _login_text("user's name", user),
        "identity": _login_text("name for everybody", heard),
        "server": "" if server is None else _login_text("server's name", server),
        "inner": "pap" if pap else "mschapv2",
    }
    password = asking.secret(f"password of {user}", KEY_VARIABLE)
    return {**login, "password": _login_text("password", password, SpeakeasyError)}


async def _join(store: Store, bridge: Bridge, ssid: str, how: dict[str, Any], limit_s: float) -> dict[str, Any]:
    """Has the bridge join, and waits until it is on that network. Returns its uplink; raises SpeakeasyError."""
    loop = asyncio.get_running_loop()
    session: Session | None = await open_session(store, bridge)
    try:
        assert session is not None
        await session.request("join", ssid=ssid, **how)
        asked = loop.time()
        attempt = uplinks.Attempt(ssid)
        err.print(f"The bridge tries {shown(ssid)} now...")
        while loop.time() - asked < limit_s:
            await asyncio.sleep(JOIN_POLL_S)
            try:
                if session is None:
                    session = await open_session(store, bridge)
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
                now = uplinks.sentence(uplinks.UP, uplink["ssid"], uplink.get("addr"), role=OWNER)
                back = f" {now}" if uplink.get("state") == uplinks.UP else ""
                raise SpeakeasyError(uplinks.sentence(outcome, ssid, role=OWNER) + back)
    finally:
        if session is not None:
            await session.close()
    raise SpeakeasyError(
        f"The bridge saved {printable(ssid)}, but is not on it after {limit_s:.0f} s. It goes on trying: see "
        "`speakeasy status`."
    )


@app.command()
def scan(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """List the Wi-Fi networks that the bridge sees.

    Owners only.
    """
    store, chosen = choose(bridge)
    found = _in(run(ask_pages(store, chosen, "scan", "networks")))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "networks": found})
        return
    table = Table("network", "signal", "security")
    for network in found:
        security = network.get("security")
        words = SECURITY.get(security, security) if isinstance(security, str) else security
        table.add_row(shown(network.get("ssid")), f"{shown(network.get('rssi'))} dBm", shown(words))
    out.print(table)
    out.print(f"Have the bridge join one: {command('join SSID')}")


def _in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [network for network in answer["networks"] if isinstance(network, dict)]


async def _networks(store: Store, bridge: Bridge, first: list[str]) -> dict[str, Any]:
    async with await open_session(store, bridge) as session:
        known = await session.pages("networks", "networks")
        if not first:
            return known
        names = [str(network.get("ssid")) for network in _in(known)]
        unknown = [ssid for ssid in first if ssid not in names]
        if unknown:
            raise SpeakeasyError(
                f"The bridge remembers no network {printable(unknown[0])}. It remembers {printable(', '.join(names))}. "
                "Nothing was changed."
            )
        await session.request("networks", order=[*first, *(ssid for ssid in names if ssid not in first)])
        return await session.pages("networks", "networks")


@app.command()
def networks(
    ssids: Annotated[list[str] | None, typer.Argument(metavar="[SSID]...", help="With --order: these first.")] = None,
    order: Annotated[bool, typer.Option("--order", help="Try them in this order from now on.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List or order the networks that it remembers.

    Owners only. Of those in sight, the bridge joins the first one. With them the bridge's own MAC, which some networks
    want to be told before they let a machine in.
    """
    with failures():
        if order != bool(ssids):
            raise UsageError(
                "To change the order: `speakeasy networks --order SSID...`; to see it: `speakeasy networks`. "
                "Nothing was changed."
            )
    store, chosen = choose(bridge)
    answer = run(_networks(store, chosen, list(dict.fromkeys(ssids or []))))
    known, mac = _in(answer), answer.get("mac")
    if as_json:
        show_json({"bridge": chosen.id.hex(), "networks": known, "mac": mac if isinstance(mac, str) else None})
        return
    for number, network in enumerate(known, 1):
        user = network.get("user")
        more = f" (as {shown(user)})" if user else " (open)" if network.get("open") is True else ""
        out.print(f" {number}  {shown(network.get('ssid'))}{more}")
    if not known:
        out.print(f"The bridge remembers no network. Have it join one: {command('join SSID')}")
    if isinstance(mac, str):
        out.print(f"Where a network wants machines registered: the bridge's MAC is {shown(mac)}.")


@app.command()
def forget(
    ssid: Annotated[str, typer.Argument(metavar="SSID", help="The name of the Wi-Fi network.")],
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the bridge forget a network and its key.

    Owners only.
    """
    with failures():
        wifi_name(ssid)
    store, chosen = choose(bridge)
    run(ask(store, chosen, "forget", ssid=ssid))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "forgotten": ssid})
        return
    out.print(f"The bridge has forgotten {shown(ssid)} and its key.")


@app.command(context_settings=asking.WORDS_TOO)
def join(
    ctx: typer.Context,
    ssid: Annotated[str, typer.Argument(metavar="SSID", help="The name of the Wi-Fi network.")],
    no_key: Annotated[str | None, typer.Option("--key", "--password", hidden=True)] = None,
    is_open: Annotated[bool, typer.Option("--open", help="The network has no key.")] = False,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The network has users: log in as this one.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="NAME", help="With --user: the name in the network's certificate."),
    ] = None,
    any_server: Annotated[
        bool, typer.Option("--any-server", help="With --user: whoever it is. Imitators get at your password.")
    ] = False,
    anonymous: Annotated[
        str | None, typer.Option("--anonymous", metavar="NAME", help="With --user: the name that everybody hears.")
    ] = None,
    pap: Annotated[
        bool, typer.Option("--pap", help="With --user: TTLS with PAP inside, where MS-CHAPv2 is not known.")
    ] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the bridge join a Wi-Fi network.

    Owners only. Its key (with --user your password, WPA2-Enterprise by PEAP or TTLS) is asked for, read from standard
    input, or from SPEAKEASY_WIFI_KEY.
    """
    with failures():
        asking.no_secret_in_arguments(ctx.args, no_key, but=IN_QUOTES)
        wifi_name(ssid)
        if user is not None and is_open:
            raise UsageError("A network has users, or is open: --user or --open. Nothing was changed.")
        login = login_of(user, server, anonymous, any_server=any_server, pap=pap)
        key = "" if is_open or login else wifi_key("key of the network", KEY_VARIABLE)
    store, chosen = choose(bridge)
    how = {"key": key, "login": login} if login else {"key": key}
    uplink = run(_join(store, chosen, ssid, how, LOGIN_LIMIT_S if login else JOIN_LIMIT_S))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "ssid": ssid, "state": uplinks.UP, "addr": uplink.get("addr")})
        return
    out.print(shown(uplinks.sentence(uplinks.UP, ssid, uplink.get("addr"), role=OWNER)))
