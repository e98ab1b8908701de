"""`speakeasy demo`: the whole promise, in seven steps, on real packets.

Everything that is done here is done by real programs on machines of the virtual dorm: SoCo and the command `speakeasy`
as people use them, an intruder's kit as somebody who should not get in. Everything that is *seen* is measured on the
side that knows: what reached the speaker by the speaker, what was streamed by the server.
"""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from dorm import topology as t
from dorm.dorm import Dorm
from dorm.errors import DormError
from dorm.people import Controller
from dorm.process import run_contained
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from speakeasy import codes
from speakeasy.errors import SpeakeasyError
from speakeasy.session import PHONE_KEY_BYTES
from speakeasy.store import PhoneKey, Store
from speakeasy.system_keyring import NoKeyring
from speakeasy.terminal import as_called, counter_table, err, out, show_json

BOOT_S = 60.0  # power on to an address for the speaker
COMMAND_S = 90.0  # one `speakeasy` command: its own waits are shorter
PLAY_S = 10.0
STREAM_START_S = 30.0
FIND_S = 30.0
GO_ON_S = 3.0  # how much longer the music must be heard after the revocation
REBOOT_WATCH_S = 1.0
TCP_PORTS = f"1-2048,{t.CLAIM_PORT}"  # 1400 and 1443 are among them; more of them only take longer
UDP_PORTS = "67,68,1900,1901,5353,6969"
PORTS_AT_ONCE, PORT_WAIT_S = 4000, 0.5
DOORS = 2049
SURELY_COUNTED = ("drop_no_lease", "drop_lease_mac", "pass_uplink_speaker", "pass_speaker_uplink", "relay_search")
VOLUME, EVENT_VOLUME, LATER_VOLUME = 23, 31, 27
PHONE_NAME, LAPTOP_NAME = "Ada's phone", "Ada's laptop"
DONE_WIDTH = 62  # columns for what was done
LONGEST_SEEN = 110
WIDE = 120  # columns: a terminal that has room for both


class StepFailed(Exception):
    """What follows in this demo makes no sense any more."""


@dataclass
class Transcript:
    """Prints what was done and seen, and remembers whether all of it was as it should be."""

    console: Console
    checks: int = 0
    failed: list[str] = field(default_factory=list)

    def title(self, number: int, text: str) -> None:
        self.console.print(f"\n[bold]{number}  {escape(text)}[/]")

    def check(self, done: str, seen: str, good: object, expected: str) -> None:
        """One line: what was done, and what was seen. If that is not `good`, also what was `expected`."""
        self.checks += 1
        mark = self._mark("[green]✓[/]", "ok") if good else self._mark("[bold red]✗[/]", "NO")
        # On a narrow terminal what was seen has a line of its own.
        narrow = self.console.is_terminal and self.console.width < WIDE
        between = "\n       " if narrow else " "
        shown = done if narrow else done.ljust(DONE_WIDTH)
        self.console.print(f"   {mark} {escape(shown)}{between}[dim]{escape(seen[:LONGEST_SEEN])}[/]")
        if not good:
            self.failed.append(done)
            self.console.print(f"     [bold red]expected: {escape(expected)}[/]")

    def _mark(self, symbol: str, plain: str) -> str:
        return symbol if self.console.encoding.startswith("utf") else plain

    def must(self, done: str, seen: str, good: object, expected: str) -> None:
        """As `check`; without it the rest makes no sense."""
        self.check(done, seen, good, expected)
        if not good:
            raise StepFailed


@dataclass
class Demo:
    """What the steps share."""

    dorm: Dorm
    say: Transcript
    address: str = ""  # X
    bridge_id: str = ""
    code: str = field(default="", repr=False)
    phone_id: str = ""
    controller: Controller | None = None
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def speakeasy(self, who: str, *argv: str, secret: str | None = None) -> dict[str, Any]:
        """Runs the command `speakeasy` on somebody's machine; its JSON, or `{"error": its line}`."""
        done = await self.dorm.person(who).run(
            "speakeasy",
            *argv,
            "--json",
            check=False,
            timeout_s=COMMAND_S,
            input=None if secret is None else secret + "\n",
        )
        return _result(done)

    @property
    def phone(self) -> Controller:
        """SoCo on the phone."""
        assert self.controller is not None
        return self.controller

    async def player(self) -> dict[str, Any]:
        """What the speaker says of its playing."""
        player = (await self.dorm.speaker.state())["player"]
        assert isinstance(player, dict)
        return player


def _result(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    if done.returncode == 0:
        with contextlib.suppress(ValueError):
            value = json.loads(done.stdout)
            if isinstance(value, dict):
                return value
    words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
    return {"error": words[-1].removeprefix("error: ")}


def _kept_out(result: dict[str, Any]) -> str:
    """What a tool of the intruder's kit met, in words."""
    if result.get("reached"):
        return f"answered: HTTP status {result.get('status')}"
    return "no answer" if "timed out" in str(result.get("why")) else f"no answer ({result.get('why')})"


# --- 1 --------------------------------------------------------------------------------------------------------------
async def bridge_moves_in(demo: Demo) -> None:
    dorm, say = demo.dorm, demo.say
    began = time.monotonic()
    await dorm.until(dorm.bridge_address, BOOT_S, "the bridge to get an address from the dorm's DHCP server")
    demo.address = dorm.bridge_address() or ""
    demo.bridge_id, demo.code = await dorm.serial_label()
    say.must(
        f'the bridge boots, and joins the Wi-Fi "{t.DORM_WIFI.ssid}"',
        f"it is {demo.address} now, by DHCP, as bridge {demo.bridge_id}",
        IPv4Address(demo.address) in IPv4Network(t.DORM_LAN.network),
        f"an address of the dorm, {t.DORM_LAN.network}",
    )

    async def settled() -> bool:
        return bool((await dorm.speaker.state())["address"] == demo.address)

    with contextlib.suppress(DormError):
        await dorm.until(settled, BOOT_S, "the speaker to get the bridge's address")
    has = (await dorm.speaker.state())["address"]
    say.must(
        "the speaker joins the bridge's own Wi-Fi, asks for an address",
        f"it has {has}, as the bridge, {time.monotonic() - began:.1f} s after power on"
        if has == demo.address
        else f"it has {has}",
        has == demo.address,
        f"{demo.address}: bridge and speaker share one address",
    )


# --- 2 --------------------------------------------------------------------------------------------------------------
async def flatmate_gets_nothing(demo: Demo) -> None:
    dorm, say, x = demo.dorm, demo.say, demo.address
    flatmate = dorm.person(t.FLATMATE)
    boots = dorm.speaker.boots
    await dorm.speaker.forget_requests()
    found = await flatmate.intrude("discover", "--target", x, "--seconds", "2")
    heard = len(found["answers"]) + len(found["announcements"])
    say.check(
        "the flatmate searches for speakers (SSDP)",
        "nobody answers" if not heard else f"{heard} answers",
        not heard,
        "no answer",
    )
    options = (f"--timeout={PORT_WAIT_S}", f"--at-once={PORTS_AT_ONCE}")
    tcp = await flatmate.intrude("scan", x, TCP_PORTS, *options)
    udp = await flatmate.intrude("udp", x, UDP_PORTS, "--seconds=0.5")
    found_open = [port for port in tcp["open"] if port != t.CLAIM_PORT] + udp["answered"] + udp["refused"]
    own = f" but {t.CLAIM_PORT}, the bridge's own for claims" if t.CLAIM_PORT in tcp["open"] else ""
    say.check(
        f"knocks at {tcp['tried']} TCP and {udp['tried']} UDP ports",
        f"none answers{own}" if not found_open else f"these answer: {found_open[:8]}",
        not found_open and tcp["tried"] == DOORS,
        f"no answer but from {t.CLAIM_PORT}, where a phone proves its key to the bridge",
    )
    pushed = await flatmate.intrude("push", x, t.RADIO_URL)
    player = await demo.player()
    say.check(
        "pushes a stream at the speaker",
        f"{_kept_out(pushed)}; the speaker is {player['state'].lower()}",
        not pushed["reached"] and player["state"] == "STOPPED" and not player["uri"],
        "no answer, and a speaker that plays nothing",
    )
    rebooted = await flatmate.intrude("reboot", x)
    with contextlib.suppress(DormError):
        await dorm.until(lambda: dorm.speaker.boots != boots, REBOOT_WATCH_S, "a reboot that must not come")
    say.check(
        f"opens http://{x}:1400/reboot",
        f"{_kept_out(rebooted)}; the speaker has not rebooted",
        not rebooted["reached"] and dorm.speaker.boots == boots,
        "no answer, no reboot",
    )
    guessed = await demo.speakeasy(t.FLATMATE, "pair", secret=codes.write(os.urandom(16)))
    say.check(
        "guesses a setup code, over Bluetooth",
        str(guessed.get("error", "is paired")).partition(". ")[0],
        "does not accept this setup code" in str(guessed.get("error")),
        "refused: the code is wrong",
    )
    requests = await dorm.speaker.requests()
    searches = (await dorm.speaker.state())["searches"]
    say.check(
        "we ask the speaker what it has noticed of all that",
        "nothing: not one request" if not requests else f"{len(requests)} requests",
        not requests and not searches,
        "no request, no search",
    )


# --- 3 --------------------------------------------------------------------------------------------------------------
async def phone_pairs(demo: Demo) -> None:
    dorm, say = demo.dorm, demo.say
    phone = dorm.person(t.PHONE)
    before = await phone.intrude("scan", demo.address, "1400")
    say.check(
        "the phone, not paired yet, knocks at port 1400",
        "it is open" if before["open"] else "no answer: a phone is nobody before it has proven something",
        not before["open"],
        "no answer",
    )
    paired = await demo.speakeasy(t.PHONE, "pair", "--no-claim", "--name", PHONE_NAME, secret=demo.code)
    say.must(
        "pairs over Bluetooth LE with the setup code on the label",
        f"it is {paired.get('role')} of bridge {paired.get('bridge')}" if "error" not in paired else paired["error"],
        paired.get("role") == "owner" and paired.get("bridge") == demo.bridge_id,
        f"the first owner of bridge {demo.bridge_id}",
    )
    lease = await demo.speakeasy(t.PHONE, "claim")
    say.must(
        "claims its lease: proves its key on Wi-Fi",
        f"let in from {lease.get('addr')}, known by its {lease.get('by')}" if "error" not in lease else lease["error"],
        lease.get("addr") == phone.address and lease.get("by") == "mac",
        f"a lease for {phone.address}, bound to the phone's MAC",
    )
    phones = await demo.speakeasy(t.PHONE, "phones")
    mine = [p for p in phones.get("phones", []) if p.get("name") == PHONE_NAME]
    say.must(
        "asks the bridge who is paired",
        ", ".join(f"{p.get('name')} ({p.get('role')})" for p in phones.get("phones", [])) or str(phones.get("error")),
        len(mine) == 1 == len(phones["phones"]) and mine[0]["role"] == "owner",
        f"{PHONE_NAME} alone",
    )
    demo.phone_id = mine[0]["phone"]


# --- 4 --------------------------------------------------------------------------------------------------------------
async def phone_plays(demo: Demo) -> None:
    dorm, say, x = demo.dorm, demo.say, demo.address
    phone_address = dorm.person(t.PHONE).address
    demo.controller = await demo.stack.enter_async_context(await dorm.person(t.PHONE).controller())

    async def search() -> list[dict[str, Any]]:
        speakers: list[dict[str, Any]] = (await demo.phone.call("discover", timeout=3)).get("speakers", [])
        return speakers

    found: list[dict[str, Any]] = []
    with contextlib.suppress(DormError):
        found = await dorm.until(search, FIND_S, "SoCo to find the speaker")
    say.must(
        "SoCo on the phone searches for speakers (SSDP)",
        ", ".join(f'"{s["name"]}" at {s["ip"]}' for s in found) or "nothing found",
        [s["ip"] for s in found] == [x],
        f"one speaker, at {x}",
    )
    groups = (await demo.phone.must("topology"))["groups"]
    members = sorted({str(member) for group in groups for member in [group["coordinator"], *group["members"]]})
    say.check(
        "reads its topology",
        f"every address in it is {', '.join(members)}: true outside, too",
        members == [x],
        f"the speaker names itself {x}, an address that the phone can reach",
    )
    await demo.phone.must("volume", set=VOLUME)
    volume = (await dorm.speaker.state())["volume"]
    say.check("sets the volume", f"the speaker is at {volume}", volume == VOLUME, f"volume {VOLUME}")
    await demo.phone.must("subscribe", service="renderingControl")
    await demo.phone.must("volume", set=EVENT_VOLUME)
    wants = {"volume": {"Master": str(EVENT_VOLUME)}}
    event = await _volume_event(demo, EVENT_VOLUME)
    callback = [s["callback"] for s in (await dorm.speaker.state())["subscriptions"]]
    say.check(
        "subscribes to events, and turns the volume",
        f"the speaker calls back {callback[0] if callback else 'nobody'}: volume {EVENT_VOLUME}"
        if event
        else "no event came",
        event and callback and phone_address in callback[0],
        f"an event with {wants}, sent to the phone's own address",
    )
    await play(demo)


async def _volume_event(demo: Demo, volume: int) -> bool:
    """Waits for an event that tells `volume`: others may come before it."""
    for _ in range(4):
        event = await demo.phone.call("event", service="renderingControl", timeout=20)
        if "error" in event:
            return False
        if event["variables"].get("volume", {}).get("Master") == str(volume):
            return True
    return False


async def play(demo: Demo) -> None:
    """Plays a stream from the internet for PLAY_S, and looks at both ends of it."""
    dorm, say, x = demo.dorm, demo.say, demo.address
    await demo.phone.must("play", uri=t.RADIO_URL)

    async def heard() -> bool:
        player = await demo.player()
        return bool(player["played_s"] >= PLAY_S)

    with contextlib.suppress(DormError):
        await dorm.until(heard, PLAY_S + STREAM_START_S, "the music", interval_s=0.2)
    player, served = await demo.player(), await dorm.internet.served()
    kbit = player["bytes"] * 8 / 1000 / player["played_s"] if player["played_s"] else 0
    say.must(
        f"plays {t.RADIO_URL} for {PLAY_S:.0f} s",
        f"{player['played_s']:.1f} s heard, {player['dropouts']} drop-outs, {player['errors']} damaged frames",
        player["state"] == "PLAYING"
        and player["played_s"] >= PLAY_S
        and not player["dropouts"]
        and not player["errors"],
        f"{PLAY_S:.0f} s of music without a drop-out",
    )
    say.check(
        "we ask the server whom it streams to",
        f"{served.get(x, 0) // 1024} KiB to {x}" + (f", and {sorted(set(served) - {x})}" if set(served) != {x} else ""),
        set(served) == {x} and served[x] >= player["bytes"] > 0 and kbit >= t.RADIO_KBPS * 0.9,
        f"the stream's bytes, to {x} and nobody else",
    )


# --- 5 --------------------------------------------------------------------------------------------------------------
async def flatmate_copies_address(demo: Demo) -> None:
    dorm, say, x = demo.dorm, demo.say, demo.address
    flatmate, phone = dorm.person(t.FLATMATE), dorm.person(t.PHONE)
    boots, before = dorm.speaker.boots, await demo.player()
    await dorm.speaker.forget_requests()
    got = await flatmate.intrude("borrowed", phone.address, x, f"http://{t.RADIO_NAME}/flatmate.mp3")
    say.check(
        f"the flatmate takes the phone's address, {phone.address}",
        "port 1400 does not answer" if not got["scan"]["open"] else f"open: {got['scan']['open']}",
        not got["scan"]["open"],
        "no answer: the lease is the phone's machine's, not its address's",
    )
    after = await demo.player()
    say.check(
        "pushes a stream from there, and tries /reboot",
        f"{_kept_out(got['push'])}; {_kept_out(got['reboot'])}",
        not got["push"]["reached"] and not got["reboot"]["reached"] and dorm.speaker.boots == boots,
        "no answer, no reboot",
    )
    requests = await dorm.speaker.requests()
    say.check(
        "we ask the speaker what it has noticed",
        "nothing: it goes on playing the phone's stream" if not requests else f"{len(requests)} requests",
        not requests and after["uri"] == before["uri"] and after["state"] == "PLAYING",
        "no request, the same stream",
    )
    claimed = await _claim_by_a_forger(demo)
    knocked = await flatmate.intrude("scan", x, str(t.SPEAKER_PORT))
    say.check(
        "claims a lease in the phone's name, with a key it made up",
        str(claimed.get("error", "it got one")).partition(". ")[0],
        "does not know this phone" in str(claimed.get("error")) and not knocked["open"],
        "refused, and port 1400 as closed as before",
    )
    turned = await demo.phone.call("volume", set=LATER_VOLUME)
    volume = (await dorm.speaker.state())["volume"]
    say.check(
        "the phone, beside all that, turns the volume",
        f"the speaker is at {volume}" if "error" not in turned else str(turned["error"]),
        volume == LATER_VOLUME,
        f"volume {LATER_VOLUME}: who borrows an address does not take it away",
    )


async def _claim_by_a_forger(demo: Demo) -> dict[str, Any]:
    """The flatmate has heard bridge id and phone id on the air; what is missing is the key."""
    bridge = bytes.fromhex(demo.bridge_id)
    store = Store(demo.dorm.person(t.FLATMATE).home, NoKeyring())
    forged = PhoneKey(bytes.fromhex(demo.phone_id), os.urandom(PHONE_KEY_BYTES), "owner", PHONE_NAME)
    store.add_pending(bridge, forged)
    store.confirm(bridge, forged.phone, forged.role)
    return await demo.speakeasy(t.FLATMATE, "claim", "--address", demo.address)


# --- 6 --------------------------------------------------------------------------------------------------------------
async def owner_revokes_phone(demo: Demo) -> None:
    dorm, say, x = demo.dorm, demo.say, demo.address
    invited = await demo.speakeasy(t.PHONE, "invite", "--role", "owner")
    say.must(
        "the phone invites the laptop as second owner",
        f"an invite, good for {invited.get('expires_s')} s" if "error" not in invited else invited["error"],
        invited.get("invite"),
        "an invite",
    )
    joined = await demo.speakeasy(t.LAPTOP, "pair", "--no-claim", "--name", LAPTOP_NAME, secret=invited["link"])
    say.must(
        "the laptop pairs with the invite, over Bluetooth",
        f"it is {joined.get('role')}, too" if "error" not in joined else joined["error"],
        joined.get("role") == "owner" and joined.get("bridge") == demo.bridge_id,
        "a second owner",
    )
    held = await demo.phone.call("hold")
    before = await demo.player()
    say.must(
        "the phone opens a connection to the speaker, and keeps it",
        f"HTTP status {held.get('status')}" if "error" not in held else str(held["error"]),
        held.get("status") == 200 and before["state"] == "PLAYING",
        "HTTP status 200, while the music plays",
    )
    revoked = await demo.speakeasy(t.LAPTOP, "revoke", demo.phone_id)
    await dorm.speaker.forget_requests()
    say.must(
        "the laptop revokes the phone, while it plays",
        f"{revoked.get('name')} is shut out" if "error" not in revoked else revoked["error"],
        revoked.get("revoked") == demo.phone_id,
        f"{PHONE_NAME} shut out",
    )
    again, new = await asyncio.gather(
        demo.phone.call("held", patience=3), dorm.person(t.PHONE).intrude("get", x, "/status")
    )
    requests = await dorm.speaker.requests()
    say.check(
        "the phone's next request, on the connection it kept",
        "no answer" if "error" in again else f"HTTP status {again.get('status')}",
        "error" in again,
        "no answer: the connection was cut",
    )
    say.check(
        "and on a new connection",
        f"{_kept_out(new)}; the speaker saw {len(requests)} requests",
        not new["reached"] and not requests,
        "no answer; nothing reaches the speaker",
    )
    tried = await demo.speakeasy(t.PHONE, "claim")
    say.check(
        "the phone tries to claim a new lease",
        str(tried.get("error", "it got one")).partition(". ")[0],
        "error" in tried and not (await dorm.person(t.PHONE).intrude("scan", x, "1400"))["open"],
        "refused: its key is void",
    )
    target = before["played_s"] + GO_ON_S

    async def heard() -> bool:
        return bool((await demo.player())["played_s"] >= target)

    with contextlib.suppress(DormError):
        await dorm.until(heard, GO_ON_S + STREAM_START_S, "more music", interval_s=0.2)
    player = await demo.player()
    say.check(
        "the music goes on",
        f"{player['played_s'] - before['played_s']:.1f} s more; {player['dropouts']} drop-outs since it began",
        player["state"] == "PLAYING" and player["played_s"] >= target and not player["dropouts"],
        "the same stream, without a drop-out",
    )


# --- 7 --------------------------------------------------------------------------------------------------------------
async def what_was_counted(demo: Demo) -> None:
    say = demo.say
    status = await demo.speakeasy(t.LAPTOP, "status")
    counters = status.get("counters", {})
    say.must(
        "the laptop asks the bridge what its filter counted",
        status.get("error") or f"so many frames, by {len(counters)} reasons",
        counters,
        "counters",
    )
    say.console.print(Padding(counter_table(counters), (1, 0, 1, 5)))
    say.check(
        "strangers were refused by name, music and control let through",
        f"{counters.get('drop_no_lease', 0)} frames of strangers, {counters.get('drop_lease_mac', 0)} of a borrower",
        all(counters.get(name, 0) > 0 for name in SURELY_COUNTED),
        f"{', '.join(SURELY_COUNTED)}: all above 0",
    )
    cut = counters.get("flows_ended", 0)
    say.check(
        "the connections that the phone had open when it was revoked",
        f"{cut} were cut, at both ends",
        cut > 0,
        "cut: a connection must not outlive its lease",
    )
    leases = status.get("leases")
    say.check(
        "and who has a lease now",
        "nobody" if leases == [] else str(leases),
        leases == [],
        "nobody: the laptop claimed none",
    )


# --- the whole ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Step:
    """One step: what it shows, and the function that does it and checks it."""

    title: str
    work: Callable[[Demo], Awaitable[None]]


STEPS: Sequence[Step] = (
    Step("The bridge moves in", bridge_moves_in),
    Step("The flatmate gets nothing", flatmate_gets_nothing),
    Step("The phone pairs", phone_pairs),
    Step("The phone plays music", phone_plays),
    Step("The flatmate borrows the phone's address, and gets nothing", flatmate_copies_address),
    Step("The owner revokes the phone, while it plays", owner_revokes_phone),
    Step("What the filter counted", what_was_counted),
)


async def play_all(demo: Demo, steps: Sequence[Step] = STEPS) -> bool:
    """Runs the steps in order; True when everything was as it should be."""
    async with demo.stack:
        for number, step in enumerate(steps, 1):
            demo.say.title(number, step.title)
            try:
                await step.work(demo)
                demo.dorm.check()
            except StepFailed:
                break
            except (DormError, OSError) as error:
                demo.say.check("this step came to its end", str(error), False, "no failure of the dorm itself")
                break
        if demo.say.failed and demo.phone_id:
            await _keep_status(demo)
    return not demo.say.failed


async def _keep_status(demo: Demo) -> None:
    """What the bridge said in the end, for whoever looks into the logs."""
    for who in (t.PHONE, t.LAPTOP):
        with contextlib.suppress(DormError):
            status = await demo.speakeasy(who, "status")
            (demo.dorm.run_dir / "log" / f"status-by-{who}.json").write_text(json.dumps(status, indent=1) + "\n")


def _copy_logs(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as error:
        raise SpeakeasyError(f"The logs could not be copied to {target} ({error}). They are in {source}.") from None


async def _run(run_dir: Path | None, ble: str, keep_logs: Path | None, as_json: bool) -> int:
    if keep_logs is not None:
        try:
            keep_logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpeakeasyError(f"{keep_logs} cannot be made ({error.strerror}). Name another --keep-logs.") from None
    console = err if as_json else out
    say = Transcript(console)
    began = time.monotonic()
    console.print("[bold]Speakeasy: one speaker in a crowded network, and who gets in[/]")
    dorm = Dorm(run_dir, ble=ble)
    log = logging.getLogger()
    log.addHandler(logging.NullHandler())
    console.print(
        "[dim]A dorm is built on this machine: a network with its router, an internet, four people's machines,\n"
        "a bridge with its real firmware, a speaker behind it. All of them talk by real packets and a real BLE link.[/]"
    )
    good = False
    try:
        async with dorm:
            # What parts of the dorm have to remark belongs into the logs, not between the lines.
            log.addHandler(logging.FileHandler(dorm.run_dir / "log" / "dorm.log"))
            try:
                good = await play_all(Demo(dorm, say))
            except asyncio.CancelledError:
                console.print("\n[yellow]Interrupted: the dorm is taken down.[/]")
                raise
            finally:
                if keep_logs is not None:
                    _copy_logs(dorm.run_dir / "log", keep_logs)
    except DormError as error:
        raise SpeakeasyError(str(error)) from None
    seconds = time.monotonic() - began
    if as_json:
        show_json({"checks": say.checks, "failed": say.failed, "good": good, "seconds": round(seconds, 1)})
    if good:
        console.print(f"\n[bold green]All {say.checks} checks are as they should be.[/] {seconds:.0f} s.")
        return 0
    where = keep_logs if keep_logs is not None else dorm.run_dir / "log"
    console.print(
        f"\n[bold red]{len(say.failed)} of {say.checks} checks are not as they should be.[/] The logs: {where}"
    )
    return 1


def run(
    run_dir: Path | None = None, *, ble: str = "bumble", keep_logs: Path | None = None, as_json: bool = False
) -> int:
    """The demo, from nothing to nothing. Returns the exit status: 0, 1, or 130 after Ctrl-C.

    `as_json`: what is seen goes to standard error, and the outcome, in JSON, to standard output.

    Raises SpeakeasyError when the dorm cannot be built here.
    """

    async def work() -> int:
        try:
            return await _run(run_dir, ble, keep_logs, as_json)
        except SpeakeasyError as error:
            err.print(f"[bold red]error:[/] {escape(as_called(str(error)))}")
            return 1

    try:
        return run_contained(work)
    except DormError as error:
        raise SpeakeasyError(str(error)) from None
