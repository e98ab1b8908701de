"""A bridge as a whole: how it is, what happened, and starting it again or from nothing."""

import re
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import typer

from speakeasy import asking, claim, uplinks
from speakeasy.commands.speaker import Ethernet, mode_sentence
from speakeasy.errors import OWNER, run_it
from speakeasy.reach import BridgeOption, ask, at_its_address, choose, open_session, remember, run
from speakeasy.reasons import GROUPS
from speakeasy.session import MOST_PAGES, Refused, Session
from speakeasy.store import Bridge, Store
from speakeasy.terminal import (
    JsonOption,
    as_called,
    blocked_table,
    counter_table,
    duration,
    failures,
    out,
    show_json,
    shown,
)

MOST_BLOCKED = 65535  # in an hour: the bridge counts no further (SPEC 2.4)

app = typer.Typer()


async def _status(store: Store, bridge: Bridge) -> tuple[dict[str, Any], dict[str, int], str]:
    """The state, in which leases have their phones' names as far as this phone may know them; counters; our role."""
    async with await open_session(store, bridge) as session:
        status = await session.pages("status", "leases")
        counted = (await session.pages("counters", "counters"))["counters"]
        assert bridge.key is not None
        names: dict[str, object] = {bridge.key.phone.hex(): session.name}
        if session.role == OWNER:
            with suppress(Refused):  # a firmware that knows no hosts
                status["hosts"] = (await session.request("addressing")).get("hosts")
            if any(str(lease.get("phone")) not in names for lease in _leases(status)):
                names |= await _names(session)
    for lease in _leases(status):
        lease["name"] = names.get(str(lease.get("phone")))
    remember(store, bridge, status)
    counters = counted if isinstance(counted, dict) else {}
    return status, {str(name): count for name, count in counters.items() if isinstance(count, int)}, session.role


@app.command()
def status(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Show how the bridge is, and what it counted."""
    store, chosen = choose(bridge)
    state, counters, role = run(_status(store, chosen))
    if as_json:
        show_json({**{k: v for k, v in state.items() if k not in ("id", "ok")}, "counters": counters})
        return
    _show_status(state, role)
    out.print(counter_table(counters))


DAMAGED = (
    "The settings were damaged and set aside (settings.bad); defaults are used: pair your phones again with the setup "
    "code on the label."
)


def _row(name: str, words: str) -> None:
    out.print(f" {name:<9}  {as_called(words)}")  # no table: it would cut sentences at the terminal's edge


def _part(state: dict[str, Any], name: str) -> dict[str, Any]:
    part = state.get(name)
    return part if isinstance(part, dict) else {}


_BLE = {
    "unowned": "on: the setup code makes the first owner",
    "window": "on, for the button was pressed: the setup code and invites are taken",
    "invited": "on, for an invite is out",
    "managed": "on for the phones that are paired",
    "locked": "on for the phones that are paired; codes are not taken for a while, after too many wrong ones",
    "closed": "off",
}


def _ble_sentence(state: object, left_s: object) -> str:
    words = _BLE.get(str(state)) or shown(state)
    return f"{words}, for another {duration(left_s)}." if isinstance(left_s, int) else f"{words}."


def _show_status(state: dict[str, Any], role: str) -> None:
    uplink, segment = _part(state, "uplink"), _part(state, "segment")
    _row("bridge", f"{shown(state.get('bridge'))}, firmware {shown(state.get('version'))}")
    if state.get("damaged") is True:
        _row("settings", f"[bold red]{DAMAGED}[/]")
    ethernet = state.get("ethernet")
    for words in uplinks.sentences(uplink, role, by_cable=ethernet == Ethernet.uplink):
        _row("uplink", shown(words))
    if segment.get("speaker") and segment.get("there") is False:
        _row("speaker", f"{shown(segment.get('speaker'))}, which is not there now: switch it on, and wait a minute.")
    elif segment.get("speaker"):
        _row("speaker", f"{shown(segment.get('speaker'))}, as {shown(segment.get('addr'))}")
    elif segment.get("state") == "set-up":
        ends_it = run_it("setup --done", role)
        _row(
            "speaker", f"It is being set up: two machines may be on the bridge's own Wi-Fi, no music plays; {ends_it}."
        )
    elif segment.get("state") == "undecided":
        choose_it = run_it("setup --speaker MAC", role)
        _row("speaker", f"Nobody is the speaker until an owner says who is, and no music plays; {choose_it}.")
    elif ethernet == Ethernet.segment:
        _row("speaker", "No speaker yet: plug it into the bridge's Ethernet.")
    else:
        own = shown(segment.get("state"))
        how = f"for its name and key, {run_it('segment', role)}"
        _row("speaker", f"No speaker yet: have it join the bridge's own Wi-Fi, which is {own}; {how}.")
    if state.get("mode"):
        _row("mode", mode_sentence(state.get("mode"), uplink.get("addr")))
    hosts = state.get("hosts")
    if isinstance(hosts, list) and hosts:
        _row("hosts", f"The speaker may also reach {shown(', '.join(str(host) for host in hosts))}.")
    if ble := _part(state, "ble"):
        _row("Bluetooth", _ble_sentence(ble.get("state"), ble.get("left_s")))
    _row("up for", duration(state.get("uptime_s")))
    _row("phones", f"{shown(state.get('phones'))} paired, {shown(state.get('flows'))} connections open")
    for lease in _leases(state):
        whose = shown(lease.get("name") or lease.get("phone"))
        by = f"{shown(lease['mac'])}, that machine only" if lease.get("mac") else "whoever has this address"
        _row("lease", f"{whose}, at {shown(lease.get('addr'))} ({by}), {duration(lease.get('left_s'))} left")


def _leases(state: dict[str, Any]) -> list[dict[str, Any]]:
    leases = state.get("leases")
    return [lease for lease in leases if isinstance(lease, dict)] if isinstance(leases, list) else []


async def _names(session: Session) -> dict[str, object]:
    """Of the phones that are paired, by their ids."""
    listed = (await session.pages("phones", "phones"))["phones"]
    return {str(p.get("phone")): p.get("name") for p in listed if isinstance(p, dict)}


def _with_names(line: str, names: dict[str, object]) -> str:
    """A line of the log, which knows phones by their ids."""
    return re.sub(r"\bphone ([0-9a-f]{16})\b", lambda found: f"phone {names.get(found[1]) or found[1]}", line)


async def _log(store: Store, bridge: Bridge, most: int) -> tuple[list[str], dict[str, object]]:
    """The newest lines, the newest first; and the phones' names."""
    lines: list[str] = []
    async with await open_session(store, bridge) as session:
        names = await _names(session)
        for page in range(MOST_PAGES):
            answer = await session.request("log", page=page)
            found = answer.get("lines")
            lines += [str(line) for line in found] if isinstance(found, list) else []
            if not answer.get("more") or len(lines) >= most:
                break
    return lines[:most], names


@app.command()
def blocked(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Show what the bridge blocked in the last 24 hours, by hour."""
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "blocked"))
    told = _part(answer, "blocked")
    hours = {
        str(group): [count for count in counts if isinstance(count, int)]
        for group, counts in told.items()
        if isinstance(counts, list)
    }
    if as_json:
        show_json({"bridge": chosen.id.hex(), "blocked": hours, "into_s": answer.get("into_s")})
        return
    since = max(map(len, hours.values()), default=1)
    while_ = "this hour" if since == 1 else f"the last {since} hours"
    if not any(any(counts) for counts in hours.values()):
        out.print(f"Nothing was blocked in {while_}, but what every network is full of.")
        return
    out.print(f"Packets that were blocked in {while_}; this one began {duration(answer.get('into_s'))} ago:")
    out.print(blocked_table({shown(group): counts for group, counts in hours.items()}, MOST_BLOCKED))
    for group, counts in hours.items():
        if any(counts):
            out.print(f" {shown(group)}: {GROUPS.get(group, 'a group that this command does not know yet')}")


@app.command()
def log(
    most: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="At most so many, the newest.")] = 50,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened on the bridge.

    Owners only. In front, in milliseconds, how long the bridge had been up. The newest line is the last one; with
    --json the first, and phones have their ids instead of their names.
    """
    store, chosen = choose(bridge)
    lines, names = run(_log(store, chosen, most))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "lines": lines})
        return
    for line in reversed(lines):
        out.print(shown(_with_names(line, names)))


async def _open(store: Store, bridge: Bridge, address: str | None) -> int:
    """Opens Bluetooth; for how many seconds."""
    key = bridge.key
    assert key is not None
    secret = store.secret(bridge.id, key)

    async def at(bridge: Bridge) -> int:
        assert bridge.addr is not None
        return await claim.open_bluetooth(bridge.addr, bridge.claim_port, bridge=bridge.id, phone=key.phone, key=secret)

    if address is not None:
        return await at(replace(bridge, addr=address))
    return await at_its_address(store, bridge, at)


@app.command(name="open")
def open_(
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDR", help="The bridge's address, when you know better.")
    ] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch the bridge's Bluetooth on, over Wi-Fi.

    Owners only. Other commands do this by themselves when an owner runs them.
    """
    with failures():
        claim.check_address(address)
    store, chosen = choose(bridge)
    seconds = run(_open(store, chosen, address))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "open_s": seconds})
        return
    out.print(f"The bridge's Bluetooth is on for {duration(seconds)}, for the phones that are paired with it.")


@app.command()
def reboot(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Start the bridge again.

    Owners only. Music stops, and phones have to claim again.
    """
    store, chosen = choose(bridge)
    run(ask(store, chosen, "reboot"))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "rebooting": True})
        return
    out.print("The bridge starts again. Music stops; phones have to claim again in some seconds.")


@app.command()
def reset(yes: asking.YesOption = False, bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Make the bridge as new.

    Owners only. It forgets all phones, networks and keys; this phone, too.
    """
    store, chosen = choose(bridge)
    with failures():
        asking.confirm(
            f"Reset bridge {chosen.id.hex()}? It forgets all phones, networks and keys. What stays is the setup code "
            "on its label.",
            yes=yes,
        )
    run(ask(store, chosen, "reset", bridge=chosen.id.hex()))
    with failures():
        store.forget(chosen.id)
    if as_json:
        show_json({"bridge": chosen.id.hex(), "reset": True})
        return
    out.print("The bridge starts again, as new. The setup code on its label makes its first owner.")
