"""How a bridge is, for everybody who is paired with it."""

from contextlib import suppress
from typing import Any

import typer

from speakeasy import uplinks
from speakeasy.commands.phones import Role
from speakeasy.commands.speaker import mode_sentence
from speakeasy.reach import BridgeOption, choose, open_session, remember, run
from speakeasy.session import Refused
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, as_called, counter_table, duration, out, show_json, shown

app = typer.Typer()


async def _status(store: Store, bridge: Bridge) -> tuple[dict[str, Any], dict[str, int]]:
    async with await open_session(store, bridge) as session:
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
    store, chosen = choose(bridge)
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


def _row(name: str, words: str) -> None:
    out.print(f" {name:<9}  {as_called(words)}")  # no table: it would cut sentences at the terminal's edge


def _part(state: dict[str, Any], name: str) -> dict[str, Any]:
    part = state.get(name)
    return part if isinstance(part, dict) else {}


def _show_status(state: dict[str, Any]) -> None:
    uplink, segment = _part(state, "uplink"), _part(state, "segment")
    _row("bridge", f"{shown(state.get('bridge'))}, firmware {shown(state.get('version'))}")
    if state.get("damaged") is True:
        _row("settings", f"[bold red]{DAMAGED}[/]")
    for words in uplinks.sentences(uplink):
        _row("uplink", shown(words))
    if segment.get("speaker"):
        _row("speaker", f"{shown(segment.get('speaker'))}, as {shown(segment.get('addr'))}")
    else:
        _row("speaker", f"No speaker yet: have it join the bridge's own Wi-Fi, which is {shown(segment.get('state'))}.")
    if state.get("mode"):
        _row("mode", mode_sentence(state.get("mode"), uplink.get("addr")))
    hosts = state.get("hosts")
    if isinstance(hosts, list) and hosts:
        _row("hosts", f"The speaker may also reach {shown(', '.join(str(host) for host in hosts))}.")
    _row("up for", duration(state.get("uptime_s")))
    _row("phones", f"{shown(state.get('phones'))} paired, {shown(state.get('flows'))} connections open")
    leases = state.get("leases")
    for lease in leases if isinstance(leases, list) else []:
        if isinstance(lease, dict):
            by = "that machine only" if lease.get("mac") else "whoever has this address"
            _row("lease", f"{shown(lease.get('addr'))} ({by}), {duration(lease.get('left_s'))} left")
