"""Being let in to the speaker: the lease of this machine."""

import time
from dataclasses import asdict, replace
from typing import Annotated, NoReturn

import typer

from speakeasy import claim as claims
from speakeasy.claim import Lease
from speakeasy.errors import run_it
from speakeasy.keeping import RENEWAL, Keeper
from speakeasy.reach import BridgeOption, ask, at_its_address, choose, remember, run
from speakeasy.session import printable
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, as_called, command, duration, failures, out, show_json, show_qr, shown

app = typer.Typer()


async def claim_at(store: Store, bridge: Bridge, addr: str, *, name_address: bool = True) -> Lease:
    """A lease from the bridge at `addr`. Raises ClaimError and its kinds."""
    key = bridge.key
    assert key is not None
    secret = store.secret(bridge.id, key)
    return await claims.claim(
        addr, bridge.claim_port, bridge=bridge.id, phone=key.phone, key=secret, name_address=name_address
    )


async def _claim(store: Store, bridge: Bridge, address: str | None, name_address: bool) -> Lease:
    if address is not None:
        return await claim_at(store, bridge, address, name_address=name_address)

    async def at(bridge: Bridge) -> Lease:
        assert bridge.addr is not None
        return await claim_at(store, bridge, bridge.addr, name_address=name_address)

    return await at_its_address(store, bridge, at)


async def _keep(store: Store, bridge: Bridge, address: str | None, name_address: bool, *, as_json: bool) -> NoReturn:
    assert bridge.key is not None
    role = bridge.key.role

    def event(words: str, **members: object) -> None:
        if as_json:
            show_json({"time": round(time.time(), 3), "bridge": bridge.id.hex(), **members})
        else:
            out.print(f"{time.strftime('%H:%M:%S')}  {words}")

    def let_in(why: str, lease: Lease) -> None:
        if why == RENEWAL:
            return
        event(lease_sentence(lease, role), event="let-in", why=why, **asdict(lease))

    def trouble(what: str) -> None:
        event(shown(as_called(what)), event="trouble", what=as_called(what))

    async def locate() -> None:
        remember(store, bridge, await ask(store, bridge, "status"))

    keeper = Keeper(
        store,
        bridge if address is None else replace(bridge, addr=address),
        store.secret(bridge.id, bridge.key),
        let_in=let_in,
        trouble=trouble,
        locate=locate if address is None else None,
        name_address=name_address,
    )
    await keeper.run()


def lease_sentence(lease: Lease, role: str) -> str:
    """A lease in words, and what is still between it and music."""
    whom = "this machine" if lease.by == "mac" else "whoever has this address"
    let_in = f"You are in, from {shown(lease.addr)}: {whom}, until {duration(lease.lease_s)} go by without traffic."
    done, choose_it = run_it("setup --done", role), run_it("setup --speaker MAC", role)
    yet = {
        "set-up": f"But no music plays while the speaker is being set up: when that is done, {done}.",
        "undecided": f"But no music plays until an owner says who is the speaker: {choose_it}.",
        "down": "But the speaker's own network is not up yet: wait a minute, and look with `speakeasy status`.",
    }.get(lease.segment or "")
    if yet is None and lease.speaker is False:
        yet = "But the speaker is not there: switch it on, and wait a minute; `speakeasy status` shows whether it is."
    return f"{let_in} {as_called(yet)}" if yet else let_in


@app.command()
def claim(
    bridge: BridgeOption = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDR", help="The bridge's address, when you know better.")
    ] = None,
    any_address: Annotated[
        bool,
        typer.Option(
            "--any-address", help="Do not name our own address and MAC: for a router or a repeater in between."
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Stay let in, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Be let in to the speaker from here.

    Proves this phone's key to the bridge on Wi-Fi. With --keep it claims again by itself: when this machine's address
    changed, the lease might end, or the bridge was away and is back. It ends with Ctrl-C, or when this phone leaves the
    bridge; not when it is refused, which anybody on the network could do. An owner's `revoke` is such a refusal: it
    says so within two minutes, and goes on asking, every five minutes in the end. With --json each event is a line.
    """
    with failures():
        claims.check_address(address)
    store, chosen = choose(bridge)
    if keep:
        run(_keep(store, chosen, address, not any_address, as_json=as_json))
    lease = run(_claim(store, chosen, address, not any_address))
    if as_json:
        show_json({"bridge": chosen.id.hex(), **asdict(lease)})
        return
    assert chosen.key is not None
    out.print(lease_sentence(lease, chosen.key.role))


@app.command()
def token(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Make a link that lets a browser in, once.

    For a device of yours that cannot run this command: it is let in in this phone's place, which is out then. The link
    is good for a minute.
    """
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "token"))
    url = printable(answer.get("url"))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "url": url, "token": printable(answer.get("token"))})
        return
    show_qr(url)
    out.print(f"[bold]{shown(url)}[/]")
    out.print("Open it on that device, in the bridge's network, within a minute. It works once.")
    out.print(f"That device is in then, and this phone is out; {command('claim')} swaps them back.")
    out.print(f"A {command('claim --keep')} that goes on here would take its place again: end it before.")
