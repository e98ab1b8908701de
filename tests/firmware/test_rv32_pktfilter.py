# What needs a clock that can be moved on: leases take hours, and the milliseconds of the filter wrap in 32 bits, after
# 49.7 days.
import gc

import frames
import micropython
import packets
import pktfilter
from check import equal
from speakeasy.policy import LEASE_S
from stage import SPEAKER_MAC, STATION_MAC, X
from test_pktfilter import (
    EVENT_LEASE_ENDED,
    HOST_UPLINK,
    PHONE,
    PHONE_MAC,
    SEGMENT,
    UPLINK,
    WEEK,
    counted,
    from_phone,
    leases,
    start,
)

HOUR_MS = 3_600_000
WRAP_MS = 2**32
ROUTER_MAC = b"\2\0\0\0\x42\1"


def later(ms):
    frames.later(ms)
    frames.tick()


def test_a_lease_lives_its_hours_and_no_longer():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, LEASE_S)
    later(12 * HOUR_MS - 60_000)
    equal((pktfilter.poll(), len(pktfilter.leases())), (0, 1))
    counted("pass_uplink_speaker", frames.inject, UPLINK, from_phone())
    later(60_000)
    # A phone that passes keeps its lease; it ends by silence.
    equal((pktfilter.poll(), len(pktfilter.leases())), (0, 1))
    later(12 * HOUR_MS)
    equal((pktfilter.poll(), pktfilter.leases(), pktfilter.flows()), (EVENT_LEASE_ENDED, [], []))


def test_the_clock_wraps_under_a_lease():
    start()
    later(WRAP_MS - 10_000)
    pktfilter.lease_add(PHONE, PHONE_MAC, WEEK)
    frames.inject(UPLINK, from_phone())
    later(20_000)
    equal(leases(), [(PHONE, PHONE_MAC, WEEK)])
    ((_, _, _, _, _, _, _, idle),) = pktfilter.flows()
    assert 20 <= idle < 30, idle
    frames.taken()
    counted("pass_uplink_speaker", frames.inject, UPLINK, from_phone())
    equal([port for port, _ in frames.taken()], [SEGMENT])
    later(WEEK * 1000)
    equal((pktfilter.leases(), pktfilter.flows()), ([], []))


def test_an_idle_flow_ends_a_lease_stays():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, LEASE_S)
    frames.inject(UPLINK, from_phone())
    equal(len(pktfilter.flows()), 1)
    later(241_000)  # a connection that was never answered
    equal((pktfilter.flows(), len(pktfilter.leases())), ([], 1))


def test_the_speaker_is_made_to_come_again():
    start()
    equal(frames.deauthed()[0], 0)
    pktfilter.deauth(PHONE_MAC)
    equal(frames.deauthed(), (1, PHONE_MAC))
    pktfilter.deauth(SPEAKER_MAC)
    equal(frames.deauthed(), (2, SPEAKER_MAC))


def test_a_queue_that_is_full_loses_frames_and_counts_them():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, LEASE_S)
    for n in range(65):
        frames.inject(UPLINK, from_phone(sport=40_000 + n))
    equal((len(frames.taken()), pktfilter.counters()["glue_lost"]), (64, 1))


def test_a_full_table_is_counted_without_a_heap():
    # As a list it takes a third of the heap, and `status` is asked for when a bridge is busy.
    start()
    for n in range(600):
        query = packets.udp(ROUTER_MAC, STATION_MAC, X, 20_000 + n, b"\x08\x08\x08\x08", 53, b"x")
        frames.inject(HOST_UPLINK, query)
        frames.taken()
    expected = len(pktfilter.flows())
    assert expected > 300, expected
    gc.collect()
    micropython.heap_lock()
    try:
        count = pktfilter.flow_count()
    finally:
        micropython.heap_unlock()
    equal(count, expected)
