"""Being let in to the speaker: the lease of this machine."""

from typing import Annotated

import typer

from speakeasy import claim as claims
from speakeasy.claim import Lease, Unreachable
from speakeasy.errors import SpeakeasyError
from speakeasy.reach import BridgeOption, ask, choose, remember, run
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, duration, err, out, show_json, shown

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
    if bridge.addr is not None:
        try:
            return await claim_at(store, bridge, bridge.addr, name_address=name_address)
        except Unreachable:
            err.print(f"No bridge of ours answers at {bridge.addr} any more. Asking it over Bluetooth where it is...")
    bridge = remember(store, bridge, await ask(store, bridge, "status"))
    if bridge.addr is None:
        raise SpeakeasyError(
            "The bridge is on no network, so there is nothing to be let in to. See `speakeasy status`; an owner may "
            "choose a network with `speakeasy join`."
        )
    return await claim_at(store, bridge, bridge.addr, name_address=name_address)


def lease_sentence(lease: Lease) -> str:
    """A lease in words."""
    whom = "this machine" if lease.by == "mac" else "whoever has this address"
    return f"You are in, from {shown(lease.addr)}: {whom}, until {duration(lease.lease_s)} go by without traffic."


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
    store, chosen = choose(bridge)
    lease = run(_claim(store, chosen, address, not any_address))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "addr": lease.addr, "lease_s": lease.lease_s, "by": lease.by})
        return
    out.print(lease_sentence(lease))
