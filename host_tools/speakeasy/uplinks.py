"""How the bridge's uplink is, in sentences that say what to do. The states are those of docs/SPEC.md, section 2.4."""

import shlex
from collections.abc import Mapping
from typing import Any

from speakeasy.errors import choose_network, run_it
from speakeasy.session import printable

UP = "up"
FAILED = "failed"

# "{net}": the network's name; "{again}": what to do to join it, "{join}" to join another one.
_FAILURES = {
    "wrong-key": "The key of {net} is wrong: {again} again with the right one.",
    "wrong-login": "{net} refused the user's name or password, or its server is not the one that was named: {again} "
    "again with the right ones.",
    "no-network": "There is no network {net} where the bridge is: check its name, or bring the bridge nearer to it.",
    "no-dhcp": "{net} lets the bridge in, but gives it no address: ask who runs that network, or try later.",
    "unusable-address": "{net} gives an address that no machine can have: ask who runs it, or {join} "
    "with another network.",
    FAILED: "Joining {net} failed; nobody knows why. The bridge tries again: see `speakeasy status`, or {again}.",
}
_OTHERS = {
    "off": "The bridge knows no network: {choose}.",
    "joining": "The bridge joins {net} now: ask again in some seconds.",
    UP: "The bridge is on {net}, at {addr}.",
    "lost": "{net} is lost, and the bridge tries to get back: is its access point on, and near enough?",
}

# The same of an uplink that is a cable.
_BY_CABLE = {
    "off": "The bridge starts.",
    "joining": "The bridge waits for an address on its cable: ask again in some seconds.",
    UP: "The bridge is on its cable, at {addr}.",
    "lost": "The network on the bridge's cable is lost: is it plugged in at both ends?",
    "no-cable": "The bridge's cable has no link: plug it in at both ends, or {other}.",
    "no-dhcp": "The network on the bridge's cable gives it no address: ask who runs it, or try another socket.",
    "unusable-address": "The network on the bridge's cable gives an address that no machine can have: ask who runs it.",
}

_UNKNOWN = "{state}: {net}."


def failed(state: object) -> bool:
    """Whether an attempt to join ended in that state, for now."""
    return state in _FAILURES


def sentence(state: object, ssid: object, addr: object = None, *, role: str) -> str:
    """One state in words, for a phone with this role; a state of a newer firmware by its own name."""
    words = _FAILURES.get(str(state)) or _OTHERS.get(str(state)) or _UNKNOWN
    net = printable(ssid or "the network")
    return words.format(
        net=net,
        again=run_it(f"join {shlex.quote(net)}" if ssid else "join", role),
        join=run_it("join SSID", role),
        choose=choose_network(role),
        addr=printable(addr or "no address"),
        state=printable(state or "-"),
    )


def last_failure(uplink: Mapping[str, Any]) -> tuple[str, str] | None:
    """(ssid, state) of `uplink.failed`, which not every firmware sends."""
    last = uplink.get("failed")
    if not isinstance(last, dict) or not last.get("ssid"):
        return None
    return str(last["ssid"]), str(last.get("state") or FAILED)


def sentences(uplink: Mapping[str, Any], role: str, *, by_cable: bool = False) -> list[str]:
    """The uplink of a status, in words: how it is, and what went wrong with another network before."""
    state, ssid = uplink.get("state"), uplink.get("ssid")
    if by_cable and state in _BY_CABLE:
        addr = printable(uplink.get("addr") or "no address")
        other = f"for Wi-Fi {run_it('ethernet segment', role)}"
        return [_BY_CABLE[str(state)].format(addr=addr, other=other)]
    said = [sentence(state, ssid, uplink.get("addr"), role=role)]
    last = last_failure(uplink)
    if last is not None and last != (ssid, state) and not (state == UP and last[0] == ssid):
        said.append(sentence(last[1], last[0], role=role))
    return said


class Attempt:
    """Watches one attempt to join `ssid`, status by status.

    The bridge may go back to the network that it was on; and until it has begun, it shows what was before.
    """

    def __init__(self, ssid: str) -> None:
        self.ssid = ssid
        self._begun = False

    def outcome(self, uplink: Mapping[str, Any], *, may_be_old: bool) -> str | None:
        """The state in which the attempt ended; None while it goes on. `may_be_old`: it has only just been asked."""
        state, ssid = str(uplink.get("state")), uplink.get("ssid")
        last = last_failure(uplink)
        if last is not None and last[0] == self.ssid and (self._begun or not may_be_old):
            return last[1]  # also when it is back on the same network, with the key from before
        if ssid == self.ssid:
            self._begun = True
            if state == UP or failed(state):
                return state
            return None
        if self._begun:
            return FAILED  # it is on another network, or looks for one
        return None
