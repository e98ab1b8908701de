"""Puts the parts together and starts them."""

import asyncio
import sys
import time

import board
import network

from . import VERSION, factory, identity
from .button import Button
from .claims import Claims
from .discovery import Discovery
from .eventlog import log, number
from .files import Files
from .health import Health
from .http_guard import Guard
from .lockout import Lockout
from .onetime import OneTime
from .op_phones import INVITE_S, MAX_INVITES
from .openness import MANAGED, WINDOW, WINDOW_S, Openness
from .operations import Operations
from .pairing import Pairing
from .phones import Phones
from .policy import Policy
from .reached import Reached
from .segment import Segment
from .segment_cable import CableSegment
from .settings import SEGMENT, UPLINK, Settings
from .status import Status
from .uplink import Uplink
from .uplink_cable import CableUplink

_NO_FILTER_PAUSE_S = 5


async def main() -> None:
    """Boot the bridge; returns never."""
    log("app", "Speakeasy %s starts" % VERSION)
    files = Files()
    factory.finish(files)
    me = identity.load(files)
    settings = Settings(files, me.bridge_id, has_ethernet=board.ETHERNET is not None)
    settings.import_provision()
    health = Health()
    phones = Phones(settings)
    lockout = Lockout(files)
    # The interfaces must exist before the filter is bound to them, and the filter be bound before they carry frames.
    plug = _plug(board.ETHERNET)
    by_cable = settings.ethernet if plug else None
    outer = plug if by_cable == UPLINK else network.WLAN(network.WLAN.IF_STA)
    inner = plug if by_cable == SEGMENT else network.WLAN(network.WLAN.IF_AP)
    policy = Policy(outer.config("mac"), inner.config("mac"), health.beat("policy"))
    policy.addressing(settings.mode, settings.hosts)
    policy.services(settings.services)
    policy.start(by_cable)
    reached = Reached(files, phones)

    def uplink_changed(addr: bytes, mask: bytes, router: bytes, dns: bytes) -> None:
        policy.uplink_changed(addr, mask, router, dns)
        reached.moved(addr)

    uplink_of = CableUplink if by_cable == UPLINK else Uplink
    uplink = uplink_of(outer, settings, uplink_changed, health.beat("uplink"))
    segment_of = CableSegment if by_cable == SEGMENT else Segment
    segment = segment_of(inner, settings, policy, health.beat("segment"))
    invites = OneTime(MAX_INVITES, INVITE_S)
    openness = Openness(phones, lockout, invites, uplink, reached)
    button = Button(
        lambda: openness.open_for(WINDOW, WINDOW_S),
        lambda: factory.run(files),
        health.beat("button"),
    )
    status = Status(me, settings, uplink, segment, policy, phones, openness, button, health.beat("status"))
    operations = Operations(me, settings, phones, policy, uplink, segment, status, invites, files, reached)
    pairing = Pairing(me, phones, lockout, openness, operations, health.beat("pairing"))
    claims = Claims(
        *(me, phones, policy, segment, operations.tokens, reached),
        lambda seconds: openness.open_for(MANAGED, seconds),
        health.beat("claims"),
    )
    guard = Guard(policy, health.beat("guard"))
    discovery = Discovery(policy, health.beat("discovery"))
    for name, part in (
        ("policy", policy),
        ("uplink", uplink),
        ("segment", segment),
        ("status", status),
        ("button", button),
        ("pairing", pairing),
        ("claims", claims),
        ("guard", guard),
        ("discovery", discovery),
    ):
        asyncio.create_task(health.supervise(name, part.run))
    await health.run()


def _plug(ethernet: dict | None):
    # The board's Ethernet, if it has one. One that does not work must not keep its owner out: then all is by Wi-Fi.
    if ethernet is None:
        return None
    try:
        return network.LAN(**ethernet)
    except (OSError, ValueError) as e:
        log("app", "the board's Ethernet does not work (error %d): the bridge does without it" % number(e))
        return None


def run() -> None:
    """Run the bridge. When it cannot even start, say why, and leave: the board then starts again."""
    try:
        asyncio.run(main())
    except OSError as e:
        _give_up("error %d" % number(e))
    except Exception as e:  # noqa: BLE001  (no watchdog runs yet: nothing else would start the bridge again)
        _give_up(type(e).__name__)  # its text may quote what it choked on


def _give_up(why: str) -> None:
    log("app", "the bridge cannot start: %s; it stays closed, and tries again" % why)
    time.sleep(_NO_FILTER_PAUSE_S)
    sys.exit(1)
