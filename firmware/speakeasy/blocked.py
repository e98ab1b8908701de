"""What the filter has dropped in the last 24 hours, in few groups (SPEC 2.7). In RAM, of one size from the start."""

from array import array

from micropython import const

from . import clock

HOURS = 24
HOUR_S = 3600
MOST = 0xFFFF  # a count stays there

_ALL = const(0xFFFFFFFF)  # the filter's counters begin again after it

# Every drop of the filter is in one of them, or is a network's ordinary noise, which SPEC 2.7 names.
GROUPS = (
    ("strangers", ("drop_no_lease", "drop_no_rule")),
    ("impostors", ("drop_lease_mac", "drop_flow_mac", "drop_arp_spoof", "drop_arp_conflict")),
    ("speaker", ("drop_egress_port", "drop_egress_local", "drop_egress_address")),
    (
        "crowd",
        (
            "drop_rate_egress",
            "drop_rate_callback",
            "drop_rate_claim",
            "drop_rate_echo",
            "drop_rate_icmp_error",
            "drop_rate_search",
            "drop_rate_notify",
            "drop_flows_full",
            "drop_chain_full",
            "drop_ports_full",
            "drop_pending_full",
            "drop_fragments_full",
            "drop_dhcp_full",
        ),
    ),
    (
        "odd",
        (
            "drop_short",
            "drop_long",
            "drop_ip_header",
            "drop_ip_length",
            "drop_ip_checksum",
            "drop_fragment",
            "drop_fragment_overlap",
            "drop_fragment_unknown",
            "drop_fragment_late",
            "drop_ttl",
            "drop_l4_length",
            "drop_tcp_flags",
            "drop_tcp_window",
            "drop_tcp_state",
            "drop_icmp_checksum",
            "drop_icmp_type",
            "drop_icmp_inner",
            "drop_arp_bad",
            "drop_dhcp_bad",
            "drop_no_flow",
        ),
    ),
)


class Blocked:
    """`counters()`: the filter's, name to count, which begin at nothing with the bridge. Call `look()` at `due`."""

    def __init__(self, counters, now=clock.seconds) -> None:
        self._counters = counters
        self._now = now
        self._first = self._hour = now() // HOUR_S  # the hours of uptime in which this began, and that is counted for
        self._before = [0] * len(GROUPS)
        self._counts = array("H", bytes(2 * HOURS * len(GROUPS)))
        self.due = (self._hour + 1) * HOUR_S  # the uptime in seconds at which the next hour begins

    def look(self) -> int:
        """Count what came since the last look to the hour of that look, and go on to the hour that it is now. Returns
        the uptime in seconds."""
        counted = self._counters()
        for group, (_, names) in enumerate(GROUPS):
            now = sum([counted.get(name, 0) for name in names]) & _ALL
            at = group * HOURS + self._hour % HOURS
            self._counts[at] = min(self._counts[at] + ((now - self._before[group]) & _ALL), MOST)
            self._before[group] = now
        now_s = self._now()
        hour = now_s // HOUR_S
        for new in range(max(self._hour, hour - HOURS) + 1, hour + 1):
            for group in range(len(GROUPS)):
                self._counts[group * HOURS + new % HOURS] = 0
        self._hour = hour
        self.due = (hour + 1) * HOUR_S
        return now_s

    def answer(self) -> dict:
        """The answer to `blocked` (SPEC 2.4)."""
        into_s = self.look() % HOUR_S
        hours = [hour % HOURS for hour in range(self._hour, max(self._hour - HOURS, self._first - 1), -1)]
        blocked = {}
        for group, (name, _) in enumerate(GROUPS):
            blocked[name] = [self._counts[group * HOURS + hour] for hour in hours]
        return {"blocked": blocked, "into_s": into_s}
