import json

import pktfilter
from check import equal
from speakeasy.blocked import GROUPS, HOUR_S, HOURS, MOST, Blocked
from speakeasy.operations import Caller
from stage import Clock
from test_operations import Bridge

NAMES = [name for name, _ in GROUPS]


class Dropped:
    """The filter's counters, raised by hand."""

    def __init__(self):
        self.counters = {}

    def __call__(self):
        return self.counters

    def add(self, name, count=1):
        self.counters[name] = (self.counters.get(name, 0) + count) & 0xFFFFFFFF


def begun(now=0):
    clock, dropped = Clock(), Dropped()
    clock.now = now
    return Blocked(dropped, clock), clock, dropped


def turn(blocked, clock, hours=1):
    """As the policy's loop does it, on time."""
    for _ in range(hours):
        clock.now = blocked.due
        blocked.look()


def of(blocked, group):
    return blocked.answer()["blocked"][group]


def test_every_name_is_a_counter_of_the_filter_and_in_one_group():
    names = [name for _, names in GROUPS for name in names]
    equal(len(names), len(set(names)))
    equal([name for name in names if name not in pktfilter.counters()], [])
    assert all(name[:5] == "drop_" for name in names)


def test_a_bridge_that_has_just_started():
    blocked, _, _ = begun()
    equal(blocked.answer(), {"blocked": {name: [0] for name in NAMES}, "into_s": 0})
    equal(NAMES, ["strangers", "impostors", "speaker", "crowd", "odd"])


def test_each_drop_counts_in_its_group_alone():
    blocked, _, dropped = begun()
    wanted = {name: [0] for name in NAMES}
    for group, names in GROUPS:
        for name in names:
            dropped.add(name)
            wanted[group][0] += 1
            equal(blocked.answer()["blocked"], wanted)
    for noise in ("drop_multicast", "pass_uplink_speaker", "flows_made"):
        dropped.add(noise)
    equal(blocked.answer()["blocked"], wanted)


def test_the_hour_turns():
    blocked, clock, dropped = begun()
    dropped.add("drop_no_lease", 3)
    clock.now = HOUR_S - 1
    equal((of(blocked, "strangers"), blocked.answer()["into_s"], blocked.due), ([3], HOUR_S - 1, HOUR_S))
    dropped.add("drop_no_lease", 2)  # nobody has looked yet: it belongs to the hour that ends
    clock.now = HOUR_S
    equal((of(blocked, "strangers"), blocked.answer()["into_s"], blocked.due), ([0, 5], 0, 2 * HOUR_S))
    dropped.add("drop_no_rule")
    equal(of(blocked, "strangers"), [1, 5])
    equal(of(blocked, "odd"), [0, 0])


def test_a_day_and_no_more():
    blocked, clock, dropped = begun()
    for hour in range(1, HOURS + 3):
        dropped.add("drop_egress_local", hour)
        turn(blocked, clock)
        most = min(hour, HOURS - 1)
        equal(of(blocked, "speaker"), [0] + list(range(hour, hour - most, -1)))


def test_hours_that_nobody_looked_in():
    blocked, clock, dropped = begun()
    turn(blocked, clock, 2)
    dropped.add("drop_lease_mac", 9)
    clock.now += 4 * HOUR_S + 7
    equal(blocked.answer()["into_s"], 7)
    equal(of(blocked, "impostors"), [0, 0, 0, 0, 9, 0, 0])


def test_a_clock_far_ahead():
    for hours in (HOURS - 1, HOURS, HOURS + 1, 10_000_000):
        blocked, clock, dropped = begun()
        turn(blocked, clock, 30)
        dropped.add("drop_no_flow", 9)
        clock.now += hours * HOUR_S
        equal(of(blocked, "odd"), [0] * (HOURS - 1) + [9 if hours < HOURS else 0])
        dropped.add("drop_no_flow")
        equal(of(blocked, "odd")[0], 1)


def test_one_that_begins_late():
    blocked, clock, dropped = begun(now=5 * HOUR_S + 30)
    equal((of(blocked, "odd"), blocked.due), ([0], 6 * HOUR_S))
    dropped.add("drop_short")
    turn(blocked, clock)
    equal(of(blocked, "odd"), [0, 1])


def test_a_count_stays_at_its_most():
    blocked, clock, dropped = begun()
    for count, shown in ((MOST - 1, MOST - 1), (1, MOST), (1, MOST), (100, MOST)):
        dropped.add("drop_rate_claim", count)
        equal(of(blocked, "crowd"), [shown])
    turn(blocked, clock)
    dropped.add("drop_rate_claim", 0x7FFFFFFF)
    equal(of(blocked, "crowd"), [MOST, MOST])


def test_the_filters_counters_begin_again():
    blocked, clock, dropped = begun()
    dropped.add("drop_no_lease", 0xFFFFFFFF)
    dropped.add("drop_no_rule", 0xFFFFFFFF)
    turn(blocked, clock)
    dropped.add("drop_no_lease", 3)
    dropped.add("drop_no_rule", 4)
    equal(of(blocked, "strangers"), [7, MOST])


def test_the_longest_answer_fits():
    b = Bridge()
    owner = b.enrolled()
    guest = b.enrolled("guest")
    blocked, clock, dropped = begun()
    b.policy.blocked = blocked
    for _ in range(HOURS + 1):
        for _, names in GROUPS:
            dropped.add(names[0], MOST + 1)
        turn(blocked, clock)
    for _, names in GROUPS:
        dropped.add(names[0], MOST)
    clock.now += HOUR_S - 1
    raw = b.operations.answer(owner, b'{"op":"blocked","id":2147483647}')
    assert len(raw) <= 992, len(raw)
    equal(json.loads(raw)["blocked"], {name: [MOST] * HOURS for name in NAMES})
    equal(b.good(guest, "blocked")["into_s"], HOUR_S - 1)
    b.refused("not-allowed", Caller(1, bytes(8)), "blocked")
