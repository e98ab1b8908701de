"""The operations about networks (SPEC 2.4): the uplink's, those in sight, the speaker's own, and what may pass."""

from . import inet
from .eventlog import log
from .request import Caller, Refusal, page_of, paged
from .segment import SETUP, SETUP_LEAST_S, SETUP_MOST_S
from .settings import (
    ETHERNETS,
    MAX_HOSTS,
    MAX_SERVICES,
    MODES,
    SEGMENT,
    is_hosts,
    is_mac,
    is_network,
    is_segment,
    is_services,
    network,
)
from .status import by_cable
from .uplink import Busy

_SHOWN_CHARS = 32


class NetworkOperations:
    """One method an operation, `do_` and its name."""

    def __init__(self, settings, policy, uplink, segment) -> None:
        self._settings = settings
        self._policy = policy
        self._uplink = uplink
        self._segment = segment
        self._found: list = []  # the last scan, for its further pages

    def do_join(self, _caller: Caller, request: dict) -> dict:
        """Join a network, and remember it once it has let the bridge in."""
        self._needs_wifi()
        ssid, key, login = [request.get(name) for name in ("ssid", "key", "login")]
        if not is_network(network(ssid, key, login)):
            raise Refusal(
                "bad-request",
                "A network's name has 1 to 32 bytes; its key is empty or has 8 to 63 characters. A login has texts of "
                "1 to 64 bytes, and no key beside it."
                if login is not None
                else "A network's name has 1 to 32 bytes; its key is empty or has 8 to 63 characters.",
            )
        self._uplink.join(ssid, key, login)
        return {}

    def do_scan(self, _caller: Caller, request: dict) -> dict:
        """The networks in sight; a further page is of the same scan."""
        self._needs_wifi()
        if not page_of(request):
            try:
                self._found = self._uplink.scan()
            except Busy:
                raise Refusal(
                    "busy",
                    "The bridge is joining a network just now and cannot look around; try again in some seconds.",
                ) from None
        return paged({}, "networks", self._found, request)

    def do_networks(self, _caller: Caller, request: dict) -> dict:
        """The remembered networks in the order they are tried, or in another order from now on; and the MAC that a
        network may want to be told before it lets the bridge in."""
        order = request.get("order")
        if order is not None:
            known = [one["ssid"] for one in self._settings.uplinks]
            if (
                not isinstance(order, list)
                or not all(isinstance(ssid, str) for ssid in order)
                or sorted(order) != sorted(known)
            ):
                raise Refusal("bad-request", "An order names each remembered network once; nothing was changed.")
            if order != known:
                self._settings.order_networks(order)
                log("operations", "an owner changed the order in which networks are tried")
        listed = []
        for one in self._settings.uplinks:
            told = {"ssid": one["ssid"], "open": not one["key"] and "login" not in one}
            if "login" in one:
                told["user"] = one["login"]["user"]
            listed.append(told)
        return paged({"mac": inet.mac_text(self._policy.uplink_mac)}, "networks", listed, request)

    def do_forget(self, _caller: Caller, request: dict) -> dict:
        """Forget a network and its key, and leave it if the bridge is on it."""
        ssid = request.get("ssid")
        if not isinstance(ssid, str) or not self._uplink.forget(ssid):
            raise Refusal("not-found", "The bridge remembers no network of that name; list the networks.")
        return {}

    def do_segment(self, _caller: Caller, request: dict) -> dict:
        """Name and key of the speaker's network, or others from now on."""
        self._needs_access_point()
        before = self._settings.segment
        wanted = {"ssid": request.get("ssid", before["ssid"]), "key": request.get("key", before["key"])}
        if not is_segment(wanted):
            raise Refusal(
                "bad-request",
                "A network's name has 1 to 32 bytes, the speaker's key 8 to 63 characters; nothing was changed.",
            )
        if wanted != before:
            self._settings.change(segment=wanted)
            log("operations", "an owner changed the name or key of the speaker's Wi-Fi: the speaker must be told")
        return {"ssid": wanted["ssid"], "key": wanted["key"], "state": self._segment.state}

    def do_ethernet(self, _caller: Caller, request: dict) -> dict:
        """What the board's Ethernet is from the next start on, and what it is now."""
        settings = self._settings
        wanted = request.get("ethernet", settings.ethernet)
        if wanted != settings.ethernet:
            if settings.ethernet is None:
                raise Refusal("bad-request", "This bridge has no Ethernet; nothing was changed.")
            if wanted not in ETHERNETS:
                raise Refusal("bad-request", "Ethernet is segment or uplink; nothing was changed.")
            settings.change(ethernet=wanted)
            log(
                "operations",
                "an owner wants the %s on the cable, from the next start on"
                % ("speaker" if wanted == SEGMENT else "dorm's network"),
            )
        return {"ethernet": settings.ethernet, "now": by_cable(self._uplink, self._segment)}

    def do_setup(self, _caller: Caller, request: dict) -> dict:
        """Open or close the set-up window, say which machine is the speaker, or see how things are."""
        segment = self._segment
        if segment.cable:
            raise Refusal(
                "by-cable",
                "The speaker's place is on the bridge's cable: there is no set-up window, nor need of one. Plug it in.",
            )
        speaker, open_s = request.get("speaker"), request.get("open_s")
        if speaker is not None:
            if not is_mac(speaker):
                raise Refusal("bad-request", "That is no machine's MAC; nothing was changed.")
            segment.decide(speaker)
        elif open_s == 0 and type(open_s) is int:
            if segment.state == SETUP:
                segment.close_setup()
        elif open_s is not None:
            if type(open_s) is not int or not SETUP_LEAST_S <= open_s <= SETUP_MOST_S:
                raise Refusal(
                    "bad-request",
                    "A set-up window is open for %d to %d s; nothing was changed." % (SETUP_LEAST_S, SETUP_MOST_S),
                )
            segment.open_setup(open_s)
        return {
            "left_s": segment.left_s(),
            "seen": [inet.mac_text(mac) for mac in self._policy.asked],
            "forgotten": self._policy.forgotten,
            "undecided": segment.undecided,
            "speaker": self._settings.speaker,
        }

    def _needs_access_point(self) -> None:
        if self._segment.cable:
            raise Refusal(
                "by-cable",
                "The speaker's place is on the bridge's cable: there is no Wi-Fi for it, and nothing to be told to it.",
            )

    def _needs_wifi(self) -> None:
        if self._uplink.cable:
            raise Refusal(
                "by-cable",
                "The bridge's uplink is its cable: it joins no Wi-Fi. For Wi-Fi, have Ethernet be the segment.",
            )

    def do_addressing(self, _caller: Caller, request: dict) -> dict:
        """The addressing mode, the local hosts that the speaker may reach, or both; in force when this returns."""
        settings = self._settings
        mode = request.get("mode", settings.mode)
        hosts = request.get("hosts", settings.hosts)
        if mode not in MODES:
            raise Refusal("bad-request", "The mode is passthrough or private; nothing was changed.")
        if not is_hosts(hosts):
            raise Refusal(
                "bad-request",
                "Local hosts are IPv4 addresses of single machines, at most %d, none twice%s; nothing was changed."
                % (MAX_HOSTS, _first_bad(hosts, is_hosts)),
            )
        if (mode, hosts) != (settings.mode, settings.hosts):
            settings.change(mode=mode, hosts=hosts)
            log(
                "operations",
                "the speaker's addressing is %s; local machines that it may reach: %d" % (mode, len(hosts)),
            )
            self._policy.addressing(mode, hosts)
        return {"mode": mode, "hosts": hosts}

    def do_services(self, _caller: Caller, request: dict) -> dict:
        """What leased phones may open to the speaker; in force when this returns."""
        services = request.get("services", self._settings.services)
        if not is_services(services):
            raise Refusal(
                "bad-request",
                "Services are named like tcp/1400, at most %d, none twice, none of the bridge's own ports%s; nothing "
                "was changed." % (MAX_SERVICES, _first_bad(services, is_services)),
            )
        if services != self._settings.services:
            self._settings.change(services=services)
            log("operations", "phones may reach these ports of the speaker: %s" % (" ".join(services) or "none"))
            self._policy.services(services)
        return {"services": services}


def _first_bad(values, are_good) -> str:
    """Which of them is no good by itself, for a sentence; nothing where it is their number or order."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, str) and not are_good([value]):
            return " (%s is none)" % "".join([c if " " <= c <= "~" else "?" for c in value[:_SHOWN_CHARS]])
    return ""
