"""Who is paired with a bridge, for its owners."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from speakeasy import links
from speakeasy.errors import OWNER, SpeakeasyError, UsageError
from speakeasy.reach import BridgeOption, ask, ask_pages, choose, open_session, run
from speakeasy.session import Session, printable
from speakeasy.store import Bridge, Store
from speakeasy.terminal import JsonOption, command, duration, failures, out, show_json, show_qr, shown

LONGEST_NAME = 32  # characters, SPEC 2.4
DEFAULT_MINUTES = 10  # of an invite
SHORTEST_ID = 4  # hex digits of a phone's id that are enough to name it

app = typer.Typer()


class Role(StrEnum):
    """What an invited phone may do."""

    owner = OWNER
    guest = "guest"


def phone_name(name: str) -> str:
    """Raises UsageError when no phone can have that name."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"A phone's name has 1 to {LONGEST_NAME} printable characters. Choose another. Nothing was changed."
        )
    return name


PhoneArgument = Annotated[str, typer.Argument(metavar="PHONE", help="Its name or id, as in `speakeasy phones`.")]


def _in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [phone for phone in answer["phones"] if isinstance(phone, dict)]


async def _named(session: Session, who: str) -> dict[str, Any]:
    """The one phone that is meant. Raises SpeakeasyError."""
    found = _in(await session.pages("phones", "phones"))
    wanted = [phone for phone in found if who in (phone.get("name"), phone.get("phone"))] or [
        phone for phone in found if len(who) >= SHORTEST_ID and str(phone.get("phone")).startswith(who.lower())
    ]
    if len(wanted) > 1:
        ids = ", ".join(printable(phone.get("phone")) for phone in wanted)
        raise SpeakeasyError(f"More than one phone is called {who!r}. Say which by its id: {ids}.")
    if not wanted:
        names = ", ".join(f"{printable(p.get('name'))} ({printable(p.get('phone'))})" for p in found)
        raise SpeakeasyError(f"No paired phone is called {who!r}. Paired are: {names}.")
    return wanted[0]


@app.command()
def phones(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """List the phones that are paired with the bridge.

    Owners only.
    """
    store, chosen = choose(bridge)
    found = _in(run(ask_pages(store, chosen, "phones", "phones")))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "phones": found})
        return
    table = Table("phone", "name", "role", "")
    for phone in found:
        own = chosen.key is not None and phone.get("phone") == chosen.key.phone.hex()
        row = [shown(phone.get(member)) for member in ("phone", "name", "role")]
        table.add_row(*row, "this one" if own else "")
    out.print(table)


async def _revoke(store: Store, bridge: Bridge, who: str) -> dict[str, Any]:
    async with await open_session(store, bridge) as session:
        phone = await _named(session, who)
        await session.request("revoke", phone=phone.get("phone"))
        return phone


@app.command()
def revoke(phone: PhoneArgument, bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Shut a phone out, at once.

    Owners only. Its key is void, its lease and its open connections end.
    """
    store, chosen = choose(bridge)
    gone = run(_revoke(store, chosen, phone))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "revoked": gone.get("phone"), "name": gone.get("name")})
        return
    out.print(f"{shown(gone.get('name'))} is shut out: its key is void, its connections are cut.")


@app.command()
def invite(
    role: Annotated[Role, typer.Option(help="What the invited phone may do.")] = Role.guest,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="N", min=1, max=60, help="How long it is good for.")
    ] = DEFAULT_MINUTES,
    page: Annotated[
        str | None,
        typer.Option(
            "--page",
            metavar="URL",
            envvar=links.PAGE_VARIABLE,
            help="A link to the phone page there, too; default: none.",
        ),
    ] = None,
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invite one more phone: by text, link or QR code.

    Owners only. An invite is good for one phone. At most four are out at a time.
    """
    with failures():
        phone_page = links.check_page(page) if page else ""
    store, chosen = choose(bridge)
    answer = run(ask(store, chosen, "invite", role=role.value, expires_s=minutes * 60))
    text = printable(answer.get("invite"))
    link = links.write(links.INVITE, text)
    page_link = links.write(links.INVITE, text, phone_page) if phone_page else None
    if as_json:
        show_json(
            {
                "bridge": chosen.id.hex(),
                "invite": text,
                "link": link,
                "page_link": page_link,
                "role": role.value,
                "expires_s": answer.get("expires_s"),
            }
        )
        return
    pictured = ", which the picture holds" if show_qr(page_link or link) else ""
    out.print(f"[bold]{shown(text)}[/]")
    out.print(f"{shown(link)}")
    for_whom = f"For one {role.value}, once, within {duration(answer.get('expires_s'))}: on that machine, "
    run_pair = f"run {command('pair', theirs=True)}, and paste the text or the link"
    if page_link:
        out.print(f"{shown(page_link)}")
        out.print(
            f"{for_whom}open the last link{pictured}, in a browser with Bluetooth: Chrome or Edge. Or {run_pair}."
        )
    else:
        out.print(f"{for_whom}{run_pair}{pictured}.")


@app.command()
def uninvite(bridge: BridgeOption = None, as_json: JsonOption = False) -> None:
    """Make all invites that are out void.

    Owners only.
    """
    store, chosen = choose(bridge)
    run(ask(store, chosen, "uninvite"))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "invites": 0})
        return
    out.print("No invite is out any more.")


async def _rename(store: Store, bridge: Bridge, who: str, name: str) -> dict[str, Any]:
    async with await open_session(store, bridge) as session:
        phone = await _named(session, who)
        await session.request("rename", phone=phone.get("phone"), name=name)
        return phone


@app.command()
def rename(
    phone: PhoneArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    bridge: BridgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a phone another name.

    Owners only.
    """
    with failures():
        phone_name(name)
    store, chosen = choose(bridge)
    before = run(_rename(store, chosen, phone, name))
    if as_json:
        show_json({"bridge": chosen.id.hex(), "phone": before.get("phone"), "name": name, "was": before.get("name")})
        return
    out.print(f"{shown(before.get('name'))} is called {shown(name)} now.")
