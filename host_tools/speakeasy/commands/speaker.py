"""How the speaker is reached, and what it may reach, for owners."""

import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any

import typer

from speakeasy import asking
from speakeasy.commands.networks import IN_QUOTES, wifi_key, wifi_name
from speakeasy.errors import UsageError
from speakeasy.reach import BridgeOption, ask, choose, run
from speakeasy.terminal import JsonOption, command, duration, failures, out, show_json, shown

MOST_HOSTS = 8
MOST_SERVICES = 8
SEGMENT_KEY_VARIABLE = "SPEAKEASY_SEGMENT_KEY"

app = typer.Typer()


class Mode(StrEnum):
    """Which address the speaker has."""

    passthrough = "passthrough"
    private = "private"


class Ethernet(StrEnum):
    """What the bridge's Ethernet is."""

    segment = "segment"
    uplink = "uplink"


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
    """Choose the speaker's addressing.

    Owners only. It changes at once; music pauses for some seconds.
    """
    now = _addressing(bridge, **({} if mode is None else {"mode": mode.value}))
    if as_json:
        show_json({"bridge": now["bridge"], "mode": now["mode"]})
        return
    out.print(f"The addressing is {mode_sentence(now['mode'], None)}")


def _local_host(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise UsageError(f"{text} is no IPv4 address. Nothing was changed.") from None


@app.command()
def hosts(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDR...", help="All of them. Without any: show which there are.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="The speaker shall reach no local host any more.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose which local machines the speaker may reach.

    Owners only. A NAS, for example, to which it opens connections of its own.
    """
    with failures():
        if none and addresses:
            raise UsageError("Either addresses or --none. Nothing was changed.")
        wanted = list(dict.fromkeys(_local_host(address) for address in addresses or []))
        if len(wanted) > MOST_HOSTS:
            raise UsageError(f"At most {MOST_HOSTS} local hosts can be named. Nothing was changed.")
    now = _addressing(bridge, **({"hosts": wanted} if wanted or none else {}))
    if as_json:
        show_json({"bridge": now["bridge"], "hosts": now["hosts"]})
        return
    named = now["hosts"] if isinstance(now["hosts"], list) else []
    if named:
        out.print(f"The speaker may open connections to {shown(', '.join(str(host) for host in named))}.")
    else:
        out.print("The speaker may open connections to no local machine but phones that are in, the router and DNS.")


def _service(text: str) -> str:
    match = re.fullmatch(r"(tcp|udp)/([1-9][0-9]{0,4})", text.lower())
    if match is None or int(match[2]) > 65535:
        raise UsageError(f"{text} is no service: it would look like tcp/1400. Nothing was changed.")
    return match[0]


@app.command()
def services(
    ports: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE]...", help="All of them, as tcp/1400. Without: show."),
    ] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose which ports of the speaker are open.

    Owners only. To phones that are let in, that is; to nobody else.
    """
    with failures():
        wanted = list(dict.fromkeys(_service(port) for port in ports or []))
        if len(wanted) > MOST_SERVICES:
            raise UsageError(f"At most {MOST_SERVICES} services can be open. Nothing was changed.")
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "services", **({"services": wanted} if wanted else {})))
    now = answer.get("services")
    if as_json:
        show_json({"bridge": chosen.id.hex(), "services": now})
        return
    named = shown(", ".join(str(service) for service in now)) if isinstance(now, list) and now else "none"
    out.print(f"Phones that are let in may reach these ports of the speaker: {named}.")


@app.command(context_settings=asking.WORDS_TOO)
def segment(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Option("--name", metavar="SSID", help="Another name for it.")] = None,
    key: Annotated[bool, typer.Option("--key", help="Another key for it.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change the Wi-Fi that the speaker joins.

    Owners only. It is the bridge's own. A new key is asked for, read from standard input, or from
    SPEAKEASY_SEGMENT_KEY.
    """
    with failures():
        asking.no_secret_in_arguments(ctx.args, but=IN_QUOTES)
        wanted = {} if name is None else {"ssid": wifi_name(name)}
        if key:
            wanted["key"] = wifi_key("new key of the speaker's network", SEGMENT_KEY_VARIABLE)
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "segment", **wanted))
    now = {member: answer.get(member) for member in ("ssid", "key", "state")}
    if as_json:
        show_json({"bridge": chosen.id.hex(), **now})
        return
    out.print(
        f'The speaker\'s network is called "[bold]{shown(now["ssid"])}[/]", its key is '
        f'"[bold]{shown(now["key"])}[/]"; {SEGMENT_IS.get(str(now["state"]), "it is " + shown(now["state"]))}.'
    )
    if wanted:
        out.print(
            "It changes within a second. Tell the speaker its new name and key: until then it is on no network, and "
            f"silent. Whoever tells it by a phone ({command('setup')}) has that phone know the key, too."
        )


SEGMENT_IS = {
    "set-up": "it is open for a second machine, to set the speaker up",
    "undecided": "it is up, but nobody is the speaker until you say who",
}

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@app.command()
def setup(
    minutes: Annotated[
        int | None, typer.Option("--minutes", metavar="M", min=1, max=30, help="Open it for so long (15).")
    ] = None,
    done: Annotated[bool, typer.Option("--done", help="Close it now.")] = False,
    speaker: Annotated[
        str | None,
        typer.Option("--speaker", metavar="MAC", help="Close it; the speaker is this, no other."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show how things are.")] = False,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a phone beside the speaker, to set it up.

    Owners only. For the program of the speaker's maker: while the window is open a second machine may be on the
    bridge's own Wi-Fi. The two reach each other, and nothing else; music stops. Afterwards say which of them is the
    speaker: any other machine is thrown out then. A bridge with the speaker on its cable needs no window.
    """
    with failures():
        if sum((minutes is not None, done, speaker is not None, show)) > 1:
            raise UsageError("One of --minutes, --done, --speaker, --show. Nothing was changed.")
        if speaker is not None and not MAC.fullmatch(speaker.lower()):
            raise UsageError("A machine's address looks like 02:00:00:00:42:20. Nothing was changed.")
    wanted: dict[str, Any] = {"open_s": 60 * (minutes or 15)}
    if done:
        wanted = {"open_s": 0}
    elif speaker is not None:
        wanted = {"speaker": speaker.lower()}
    elif show:
        wanted = {}
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "setup", **wanted))
    if as_json:
        members = ("left_s", "seen", "forgotten", "undecided", "speaker")
        show_json({"bridge": chosen.id.hex(), **{member: answer.get(member) for member in members}})
        return
    _show_setup(answer)


def _show_setup(answer: dict[str, Any]) -> None:
    told = answer.get("seen")
    seen = told if isinstance(told, list) else []
    for mac in seen:
        out.print(f" was there: {shown(mac)}")
    if answer.get("forgotten"):
        out.print("More machines were there than the bridge remembers: these are the last ones.")
    if answer.get("left_s"):
        out.print(
            f"For {duration(answer['left_s'])} two machines may be on the speaker's Wi-Fi ({command('segment')}: "
            "name and key). Join it with a phone, run the program of the speaker's maker, and have the speaker join "
            "it, too. The two reach each other, and nothing else: no internet, no music. Then let the phone "
            f"forget that Wi-Fi, and {command('setup --done')}."
        )
    elif answer.get("undecided") is True:
        alone = shown(seen[0]) if len(seen) == 1 and not answer.get("forgotten") else "MAC"
        out.print(
            "Which machine is the speaker? Until it is said, none is, and no music plays: "
            f"{command('setup --speaker ' + alone)}. The speaker's MAC is on its label, and in its maker's program; a "
            "phone shows its own beside the name of its Wi-Fi."
        )
    elif answer.get("speaker"):
        out.print(f"The speaker is {shown(answer['speaker'])}, and no other machine: others are thrown out.")
        if answer["speaker"] not in seen:
            out.print("It was not there lately: compare the MAC, and have the speaker join its Wi-Fi.")
        out.print(
            "A phone that was beside it still knows that Wi-Fi's key: let it forget the network. What a key in wrong "
            "hands is good for stands in SECURITY.md."
        )
    else:
        out.print("The speaker is whoever is on its Wi-Fi: one machine at a time.")


ETHERNET = {
    None: "This bridge has no Ethernet.",
    Ethernet.segment: "The speaker is on the bridge's Ethernet; the bridge joins the dorm's network by Wi-Fi.",
    Ethernet.uplink: "The dorm's network is on the bridge's Ethernet; the speaker joins the bridge's own Wi-Fi.",
}


def _known(answer: dict[str, Any], name: str) -> Ethernet | None:
    value = answer.get(name)
    return Ethernet(value) if value in list(Ethernet) else None


@app.command()
def ethernet(
    ethernet: Annotated[Ethernet | None, typer.Argument(help="Without it: show which one it is.")] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose what is on the bridge's Ethernet.

    Owners only. The speaker (segment), or the socket in the wall (uplink). It changes when the bridge starts again.
    """
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "ethernet", **({} if ethernet is None else {"ethernet": ethernet.value})))
    wanted, now = _known(answer, "ethernet"), _known(answer, "now")
    if as_json:
        show_json({"bridge": chosen.id.hex(), "ethernet": wanted, "now": now})
        return
    if wanted == now:
        out.print(ETHERNET[wanted])
    else:
        out.print(f"From the next start on: {ETHERNET[wanted]} Change the cable, then {command('reboot')}.")
