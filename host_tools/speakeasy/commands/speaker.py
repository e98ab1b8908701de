"""How the speaker is reached, and what it may reach, for owners."""

import ipaddress
from enum import StrEnum
from typing import Annotated, Any

import typer

from speakeasy.errors import SpeakeasyError
from speakeasy.reach import BridgeOption, ask, choose, run
from speakeasy.terminal import JsonOption, failures, out, show_json, shown

MOST_HOSTS = 8

app = typer.Typer()


class Mode(StrEnum):
    """Which address the speaker has."""

    passthrough = "passthrough"
    private = "private"


def mode_sentence(mode: object, addr: object) -> str:
    """The addressing in words; `addr`: the bridge's, where it is known."""
    known = {
        Mode.passthrough: "passthrough: the speaker has the bridge's own address on the network",
        Mode.private: "private: the speaker has an address of its own behind the bridge; phones use the bridge's",
    }
    words = known[Mode(str(mode))] if mode in list(Mode) else shown(mode)
    return f"{words} ({shown(addr)})." if addr else f"{words}."


def _addressing(bridge: str | None, **members: object) -> dict[str, Any]:
    """Changes the addressing, or asks for it when there is nothing to change."""
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "addressing", **members))
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
    out.print(f"The addressing is {mode_sentence(now['mode'], None)}")


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
        out.print(f"The speaker may open connections to {shown(', '.join(str(host) for host in named))}.")
    else:
        out.print("The speaker may open connections to no local machine but phones that are in, the router and DNS.")
