"""A phone's controller: SoCo, unmodified, told what to do by lines of JSON.

`python -m dorm.controller` reads requests `{"do": NAME, ...}` from standard input, one a line, and answers each by a
line: the result, or `{"error": text, "kind": exception}`. `python -m dorm.controller NAME key=value ...` does one thing
with the first speaker that it discovers, or the one `--at` an address, and ends: what does not outlive that (an event's
subscription, a held connection) is for conversations. `patience` may go with any of them: seconds for each request to
the speaker. Exit statuses: README.md, "Scripts".
"""

import argparse
import http.client
import inspect
import json
import os
import queue
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import soco
from soco import config
from soco.events import event_listener

from dorm.arguments import ipv4_address
from dorm.topology import SPEAKER_PORT

Result = dict[str, Any]
HTTP_TIMEOUT_S = 20.0  # for one request to the speaker, unless `patience` says otherwise
EVENT_S = 30.0
# What makes sense on its own.
SINGLE = ("discover", "info", "topology", "volume", "mute", "play", "pause", "stop", "transport", "track")
PATIENCE = "patience"


class Controls:
    """Each public method is one thing that can be done; its arguments are the request's."""

    def __init__(self) -> None:
        self._speaker: soco.SoCo | None = None
        self._subscriptions: dict[str, Any] = {}
        self._held: http.client.HTTPConnection | None = None

    def do(self, request: Result) -> Result:
        """Does what `request` says; never raises for what the network does."""
        arguments = dict(request)
        name = arguments.pop("do", None)
        if not isinstance(name, str) or name.startswith("_") or name == "do" or not hasattr(self, name):
            return {"error": f"there is nothing called {name!r}", "kind": "ValueError"}
        method: Callable[..., Result] = getattr(self, name)
        config.REQUEST_TIMEOUT = float(arguments.pop(PATIENCE, HTTP_TIMEOUT_S))
        if self._held is not None and self._held.sock is not None:
            self._held.sock.settimeout(config.REQUEST_TIMEOUT)
        try:
            return method(**arguments)
        except Exception as error:  # noqa: BLE001  whatever SoCo and requests raise is a result here
            return {"error": str(error) or type(error).__name__, "kind": type(error).__name__}

    def _it(self) -> soco.SoCo:
        if self._speaker is None:
            raise LookupError("no speaker yet: do discover or at first")
        return self._speaker

    def discover(self, timeout: float = 4) -> Result:
        """Searches by SSDP, multicast; the first speaker found is the one of the later requests."""
        found = sorted(soco.discover(timeout=timeout) or (), key=lambda zone: str(zone.ip_address))
        if found:
            self._speaker = found[0]
        return {"speakers": [{"ip": z.ip_address, "name": z.player_name, "uid": z.uid} for z in found]}

    def at(self, ip: str) -> Result:
        """Takes the speaker at an address, unseen."""
        self._speaker = soco.SoCo(ip)
        return {"ip": ip}

    def info(self) -> Result:
        return dict(self._it().get_speaker_info(refresh=True, timeout=config.REQUEST_TIMEOUT))

    def topology(self) -> Result:
        zone = self._it()
        zone.zone_group_state.clear_cache()
        return {
            "groups": [
                {"coordinator": group.coordinator.ip_address, "members": [m.ip_address for m in group.members]}
                for group in zone.all_groups
            ],
            "household": zone.household_id,
        }

    def volume(self, set: int | None = None) -> Result:
        zone = self._it()
        if set is not None:
            zone.volume = set
        return {"volume": zone.volume}

    def mute(self, set: bool | None = None) -> Result:
        zone = self._it()
        if set is not None:
            zone.mute = set
        return {"mute": zone.mute}

    def play(self, uri: str, title: str = "Radio Test") -> Result:
        self._it().play_uri(uri, title=title, force_radio=True)
        return {"uri": uri}

    def pause(self) -> Result:
        self._it().pause()
        return {}

    def stop(self) -> Result:
        self._it().stop()
        return {}

    def transport(self) -> Result:
        return dict(self._it().get_current_transport_info())

    def track(self) -> Result:
        return {k: v for k, v in self._it().get_current_track_info().items() if isinstance(v, str | int)}

    def subscribe(self, service: str, seconds: int = 600) -> Result:
        """Asks for events of `service` (renderingControl, avTransport, zoneGroupTopology, ...)."""
        subscription = getattr(self._it(), service).subscribe(requested_timeout=seconds)
        self._subscriptions[service] = subscription
        return {"sid": subscription.sid, "timeout": subscription.timeout, "listener": list(event_listener.address)}

    def renew(self, service: str) -> Result:
        subscription = self._subscriptions[service]
        subscription.renew()
        return {"sid": subscription.sid, "timeout": subscription.timeout}

    def unsubscribe(self, service: str) -> Result:
        self._subscriptions.pop(service).unsubscribe()
        return {}

    def event(self, service: str, timeout: float = EVENT_S, wants: Result | None = None) -> Result:
        """Waits for the next event of `service` (one that holds all of `wants`, where given)."""
        events: queue.Queue[Any] = self._subscriptions[service].events
        until = time.monotonic() + timeout
        while True:
            try:
                event = events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return {"error": f"no event of {service} within {timeout:g} s", "kind": "Empty"}
            variables = {name: value for name, value in event.variables.items() if isinstance(value, str | dict)}
            if all(variables.get(name) == value for name, value in (wants or {}).items()):
                return {"seq": int(event.seq), "sid": event.sid, "variables": variables}

    def hold(self, path: str = "/xml/device_description.xml") -> Result:
        """Opens a connection that `held` uses again: an established one."""
        self._held = http.client.HTTPConnection(self._it().ip_address, SPEAKER_PORT, timeout=config.REQUEST_TIMEOUT)
        self._held.connect()
        return self.held(path)

    def held(self, path: str = "/xml/device_description.xml") -> Result:
        """One more request over the connection of `hold`, which is never opened a second time."""
        if self._held is None or self._held.sock is None:
            raise LookupError("nothing is held: do hold first")
        sock: socket.socket = self._held.sock
        self._held.request("GET", path)
        answer = self._held.getresponse()
        size = len(answer.read())
        return {"status": answer.status, "bytes": size, "local": list(sock.getsockname())}

    def close(self) -> Result:
        for service in list(self._subscriptions):
            self._subscriptions.pop(service).unsubscribe(strict=False)
        return {}


def _value(name: str, text: str, kind: Any) -> object:
    """What stands for an argument of that type: text as it is, all else as JSON. Raises ValueError."""
    if kind is str:
        return text
    kinds = {float: (float, int)}.get(kind, get_args(kind) or (kind,))
    try:
        value = json.loads(text)
    except ValueError:
        value = ...
    if type(value) not in kinds:
        raise ValueError(f"{name}={text}: that is no {getattr(kind, '__name__', kind)}")
    return value


def _request(name: str, words: list[str]) -> Result:
    """The request that a command line means. Raises ValueError for one that cannot be."""
    method = getattr(Controls, name)
    kinds = {**get_type_hints(method), PATIENCE: float}
    kinds.pop("return")
    given = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or key not in kinds:
            raise ValueError(f"{word!r} is none of {', '.join(f'{kind}=...' for kind in kinds)}")
        given[key] = _value(key, text, kinds[key])
    try:
        inspect.signature(method).bind(None, **{key: value for key, value in given.items() if key != PATIENCE})
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    return {"do": name, **given}


def _once(controls: Controls, request: Result, address: str | None) -> Result:
    if request["do"] != "discover":
        met = controls.do({"do": "discover"} if address is None else {"do": "at", "ip": address})
        if "error" in met:
            return met
        if met.get("speakers") == []:
            return {"error": "no speaker was discovered", "kind": "LookupError"}
    return controls.do(request)


def _talk(controls: Controls) -> None:
    for line in sys.stdin:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if isinstance(request, dict):
            answer = controls.do(request)
        else:
            answer = {"error": 'a request is a line like {"do": "discover"}', "kind": "ValueError"}
        print(json.dumps(answer), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dorm.controller", description=__doc__)
    parser.add_argument("--at", metavar="ADDR", type=ipv4_address, help="the speaker's address, instead of a search")
    parser.add_argument("name", nargs="?", metavar="NAME", choices=SINGLE, help=f"one of {', '.join(SINGLE)}")
    parser.add_argument("arguments", nargs="*", metavar="key=value", help="play uri=http://...; volume set=20")
    given = parser.parse_args()
    controls = Controls()
    if given.name is None:
        _talk(controls)
        return 0
    try:
        request = _request(given.name, given.arguments)
    except ValueError as error:
        parser.error(str(error))
    result = _once(controls, request, given.at)
    print(json.dumps(result))
    return 1 if "error" in result else 0


if __name__ == "__main__":
    # No atexit handlers: SoCo would try to unsubscribe from a speaker that may be out of reach by now.
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    os._exit(status)
