# The module `pktfilter`: what the control plane says to the filter and hears from it, with frames going through. What
# the filter does to which frame is the business of tests/core.
import errno
import gc

import frames
import micropython
import packets
import pktfilter
from check import equal, raises, until
from packets import ACK, BROADCAST_MAC, RST, SYN
from stage import MASK, ROUTER, SEGMENT_MAC, SPEAKER_MAC, STATION_MAC, X

UPLINK, SEGMENT, HOST_UPLINK, HOST_SEGMENT = range(4)
TCP, UDP = 6, 17
CLAIM = 7780
HOST = b"\xc0\xa8\x4d\1"
ALIAS = b"\xc0\xa8\x4d\2"
PHONE, PHONE_MAC = b"\x0a\x42\0\x65", b"\2\0\0\0\x42\x30"
OTHER, OTHER_MAC = b"\x0a\x42\0\x66", b"\2\0\0\0\x42\x31"
FAR = b"\x0a\x63\0\5"
WEEK = 7 * 24 * 3600
GOOD = (STATION_MAC, SEGMENT_MAC, X, MASK, ROUTER, ROUTER, CLAIM, HOST, False, b"")
EVENT_DHCP, EVENT_LEASE_ENDED, EVENT_OTHER_MAC, EVENT_STRANGER = 1, 2, 4, 8


def start(private=False):
    """The filter between its four ports, with an uplink and a speaker."""
    frames.plug()
    pktfilter.start()
    pktfilter.configure(*(GOOD[:8] + (private, b"")))
    pktfilter.speaker(SPEAKER_MAC)
    frames.taken()


def counted(name, action, *arguments):
    """What `action` returns; it must have raised that counter by one."""
    before = pktfilter.counters()[name]
    result = action(*arguments)
    equal((name, pktfilter.counters()[name]), (name, before + 1))
    return result


def refused(function, *arguments):
    with raises(ValueError, TypeError, OverflowError):
        function(*arguments)


def leases():
    """(address, MAC, seconds left), in order, where no minute has passed since they were given."""
    equal([idle < 60 for _, _, _, idle in pktfilter.leases()], [True] * len(pktfilter.leases()))
    return sorted((addr, mac, (left + 59) // 60 * 60) for addr, mac, left, _ in pktfilter.leases())


def from_phone(port=1400, flags=SYN, mac=PHONE_MAC, source=PHONE, sport=40_000, seq=1000, ack=0):
    return packets.tcp(STATION_MAC, mac, source, sport, X, port, flags, seq, ack)


# --- before any frame ---


def test_the_whole_of_it():
    control = ["start", "random", "configure", "speaker", "services", "deauth", "poll", "dhcp_recv", "dhcp_send"]
    state = ["lease_add", "lease_end", "lease_renew", "leases", "flows", "flow_count", "flow_mac", "counters"]
    equal(sorted(name for name in dir(pktfilter) if name[0] != "_"), sorted(control + state))


def test_it_works_before_it_is_started():
    equal((pktfilter.leases(), pktfilter.flows(), pktfilter.poll()), ([], [], 0))
    pktfilter.configure(*GOOD)
    pktfilter.lease_add(PHONE, PHONE_MAC, 1000)
    equal(len(pktfilter.leases()), 1)
    equal(pktfilter.dhcp_recv(bytearray(1024)), 0)


def test_without_interfaces_it_does_not_start():
    for _ in range(2):
        with raises(OSError) as caught:
            pktfilter.start()
        equal(caught.value.errno, errno.ENODEV)
    frames.plug()
    pktfilter.start()
    pktfilter.start()


def test_start_takes_the_side_that_is_a_cable():
    frames.plug()
    for wrong in ("", "both", b"uplink", 1):
        refused(pktfilter.start, wrong)
    refused(pktfilter.start, None, None)
    for ethernet in (None, "uplink", "segment"):
        pktfilter.start(ethernet)


def test_configure_takes_what_it_should():
    pktfilter.configure(*GOOD)
    for place, values in (
        (0, (bytearray(STATION_MAC), memoryview(STATION_MAC))),
        (2, (bytes(4),)),
        (5, (b"", ROUTER * 3)),
        (6, (0, 1, 65535)),
        (7, (b"\x0a\xb1\x4d\1", HOST[:3] + b"\xfd")),
        (8, (True, 1, None)),
        (9, (ROUTER, ROUTER * 8)),
    ):
        for value in values:
            pktfilter.configure(*(GOOD[:place] + (value,) + GOOD[place + 1 :]))


def test_configure_refuses_the_rest_and_changes_nothing():
    pktfilter.configure(*GOOD)
    pktfilter.lease_add(PHONE, PHONE_MAC, 1000)
    refused(pktfilter.configure)
    refused(pktfilter.configure, *GOOD[:-1])
    refused(pktfilter.configure, *(GOOD + (0,)))
    changed = GOOD[:2] + (OTHER,) + GOOD[3:]
    for place, values in (
        (0, (b"", STATION_MAC[:5], STATION_MAC + b"\0", None, 7)),
        (1, (SEGMENT_MAC[:5], [1, 2, 3, 4, 5, 6])),
        (2, (X[:3], X + b"\0", None, 0)),
        (3, (MASK[:3], None)),
        (4, (ROUTER[:3], None)),
        (5, (ROUTER[:3], ROUTER * 4, None)),
        (6, (-1, 65536, 2**40, "1", None)),
        (7, (HOST[:3], HOST + b"\0", HOST[:3] + b"\0", HOST[:3] + b"\xfe", HOST[:3] + b"\xff", None)),
        (9, (ROUTER[:3], ROUTER * 9, None)),
    ):
        for value in values:
            refused(pktfilter.configure, *(changed[:place] + (value,) + changed[place + 1 :]))
    equal(len(pktfilter.leases()), 1)  # another address would have ended it


def test_the_speakers_mac():
    pktfilter.speaker(SPEAKER_MAC)
    pktfilter.speaker(None)
    for mac in (b"", SPEAKER_MAC[:5], SPEAKER_MAC + b"\0", 5):
        refused(pktfilter.speaker, mac)


# --- leases ---


def test_leases_come_and_go():
    pktfilter.configure(*GOOD)
    first = pktfilter.lease_add(PHONE, PHONE_MAC, 120)
    second = pktfilter.lease_add(FAR, None, WEEK)
    assert first != second
    equal(leases(), [(PHONE, PHONE_MAC, 120), (FAR, None, WEEK)])
    equal(pktfilter.lease_add(PHONE, PHONE_MAC, 240), first)
    equal(leases()[0], (PHONE, PHONE_MAC, 240))
    equal(pktfilter.lease_renew(PHONE, 360), True)
    equal(leases()[0], (PHONE, PHONE_MAC, 360))
    equal(pktfilter.lease_renew(OTHER, 300), False)
    equal(pktfilter.lease_end(PHONE), 0)
    equal(pktfilter.lease_end(PHONE), 0)
    equal(leases(), [(FAR, None, WEEK)])


def test_the_time_of_a_lease():
    pktfilter.configure(*GOOD)
    for ttl in (1, WEEK):
        pktfilter.lease_add(PHONE, PHONE_MAC, ttl)
        equal(pktfilter.lease_renew(PHONE, ttl), True)
    for ttl in (0, -1, WEEK + 1, 2**32 + 1, -(2**40), None, "1", 1.5):
        refused(pktfilter.lease_add, PHONE, PHONE_MAC, ttl)
        refused(pktfilter.lease_renew, PHONE, ttl)
    equal(leases(), [(PHONE, PHONE_MAC, WEEK)])


def test_sixteen_leases_and_no_more():
    pktfilter.configure(*GOOD)
    numbers = {pktfilter.lease_add(FAR[:3] + bytes((n,)), None, 1000) for n in range(1, 17)}
    equal(numbers, set(range(16)))
    with raises(OSError) as caught:
        pktfilter.lease_add(PHONE, PHONE_MAC, 1000)
    equal(caught.value.errno, 28)  # ENOSPC
    pktfilter.lease_end(FAR[:3] + b"\7")
    pktfilter.lease_add(PHONE, PHONE_MAC, 1000)


def test_who_can_have_no_lease():
    refused(pktfilter.lease_add, PHONE, PHONE_MAC, 10)  # no uplink yet
    pktfilter.configure(*GOOD)
    for addr in (bytes(4), b"\xff" * 4, b"\x7f\0\0\1", b"\xe0\0\0\xfb", X, PHONE[:3], PHONE + b"\0", None):
        refused(pktfilter.lease_add, addr, None, 10)
    for mac in (PHONE_MAC[:5], PHONE_MAC + b"\0", BROADCAST_MAC, b"\1\0\x5e\0\0\1", 1):
        refused(pktfilter.lease_add, PHONE, mac, 10)
    refused(pktfilter.lease_end, PHONE[:3])
    refused(pktfilter.lease_renew, PHONE[:3], 10)
    equal(pktfilter.leases(), [])


async def test_a_lease_ends_by_its_time():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, 1)
    equal(pktfilter.poll(), 0)
    await until(lambda: pktfilter.poll() & EVENT_LEASE_ENDED, 20_000)
    equal(pktfilter.leases(), [])
    equal(pktfilter.counters()["leases_expired"], 1)
    counted("drop_no_lease", frames.inject, UPLINK, from_phone())


# --- frames, flows, counters ---


def test_counters_have_names_and_start_at_nothing():
    counters = pktfilter.counters()
    assert "pass_uplink_speaker" in counters and "drop_no_rule" in counters and "none" not in counters
    equal(set(counters.values()), {0})


def test_a_frame_goes_through_and_back():
    start()
    frame = from_phone()
    counted("drop_no_lease", frames.inject, UPLINK, frame)
    equal((frames.taken(), pktfilter.flows()), ([], []))
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    counted("pass_uplink_speaker", frames.inject, UPLINK, frame)
    equal(frames.taken(), [(SEGMENT, packets.rerouted(frame, SPEAKER_MAC, SEGMENT_MAC))])
    ((proto, owner, addr, remote, local, external, _, idle),) = pktfilter.flows()
    equal((proto, owner, addr, remote, local, external), (TCP, 1, PHONE, 40_000, 1400, 1400))
    assert 0 <= idle < 60, idle
    answer = packets.tcp(SEGMENT_MAC, SPEAKER_MAC, X, 1400, PHONE, 40_000, SYN | ACK, 2**32 - 1, 1001)
    counted("pass_speaker_uplink", frames.inject, SEGMENT, answer)
    equal(frames.taken(), [(UPLINK, packets.rerouted(answer, PHONE_MAC, STATION_MAC))])


def test_the_end_of_a_lease_ends_its_flows():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    for sport in (40_000, 40_001):
        frames.inject(UPLINK, from_phone(sport=sport))
    frames.taken()
    equal((pktfilter.flow_count(), len(pktfilter.flows())), (2, 2))
    equal(pktfilter.lease_end(PHONE), 2)
    equal((pktfilter.flow_count(), pktfilter.flows()), (0, []))
    for port, frame in frames.taken():  # the speaker may be told
        equal((port, frame[:6], frame[47] & RST), (SEGMENT, SPEAKER_MAC, RST))
    counted("drop_no_lease", frames.inject, UPLINK, from_phone())


def test_another_address_ends_flows_and_leases():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    frames.inject(UPLINK, from_phone())
    pktfilter.configure(*GOOD)
    equal((len(pktfilter.flows()), len(pktfilter.leases())), (1, 1))
    pktfilter.configure(*(GOOD[:2] + (OTHER,) + GOOD[3:]))
    equal((pktfilter.flows(), pktfilter.leases()), ([], []))


def test_services():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    counted("drop_no_rule", frames.inject, UPLINK, from_phone(1443))
    pktfilter.services(((TCP, 1400), (TCP, 1443)))
    counted("pass_uplink_speaker", frames.inject, UPLINK, from_phone(1443))
    pktfilter.services([(UDP, n) for n in range(1, 9)])
    counted("drop_no_rule", frames.inject, UPLINK, from_phone(1400))
    pktfilter.services(())
    for wrong in (
        [(TCP, n) for n in range(1, 10)],
        ((1, 1400),),
        ((TCP, 0),),
        ((TCP, 65536),),
        ((TCP, -1),),
        ((TCP,),),
        ((TCP, 1, 2),),
        (TCP, 1400),
        None,
    ):
        refused(pktfilter.services, wrong)


def test_whose_claim_it_is():
    start()
    claim = packets.tcp(STATION_MAC, OTHER_MAC, OTHER, 50_000, X, CLAIM)
    counted("pass_uplink_host", frames.inject, UPLINK, claim)
    equal(frames.taken(), [(HOST_UPLINK, claim)])
    equal(pktfilter.flow_mac(TCP, OTHER, 50_000, CLAIM), OTHER_MAC)
    for wrong in ((UDP, OTHER, 50_000, CLAIM), (TCP, PHONE, 50_000, CLAIM), (TCP, OTHER, 50_001, CLAIM)):
        equal(pktfilter.flow_mac(*wrong), None)
    equal(pktfilter.flow_mac(TCP, OTHER, 50_000, 1400), None)
    for wrong in (
        (1, OTHER, 50_000, CLAIM),
        (TCP, OTHER[:3], 50_000, CLAIM),
        (TCP, OTHER, 65_536, CLAIM),
        (TCP, OTHER, -1, CLAIM),
        (TCP, OTHER, 50_000, 65_536),
        (TCP, OTHER, 50_000),
    ):
        refused(pktfilter.flow_mac, *wrong)


def test_private_addressing_hands_the_phone_to_the_host():
    start(private=True)
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    counted("pass_uplink_host", frames.inject, UPLINK, from_phone())
    equal([port for port, _ in frames.taken()], [HOST_UPLINK])
    ((_, owner, addr, _, _, _, _, _),) = pktfilter.flows()
    equal((owner, addr), (0, PHONE))


def test_frames_that_are_none():
    start()
    counted("drop_short", frames.inject, UPLINK, bytes(10))
    frame = from_phone()
    counted("drop_long", frames.inject, UPLINK, frame + bytes(1515 - len(frame)))
    equal(frames.taken(), [])


# --- events ---


def test_poll_tells_once():
    start()
    pktfilter.lease_add(PHONE, PHONE_MAC, 100)
    equal(pktfilter.poll(), 0)
    counted("drop_lease_mac", frames.inject, UPLINK, from_phone(mac=OTHER_MAC))
    equal((pktfilter.poll(), pktfilter.poll()), (EVENT_OTHER_MAC, 0))
    counted("drop_source_mac", frames.inject, SEGMENT, packets.tcp(SEGMENT_MAC, OTHER_MAC, X, 30_000, FAR, 80))
    equal((pktfilter.poll(), pktfilter.poll()), (EVENT_STRANGER, 0))


def bootp(mac, size=300):
    message = bytearray(size)
    message[:4] = b"\1\1\6\0"
    message[28:34] = mac
    message[236:240] = b"\x63\x82\x53\x63"
    return bytes(message)


def discover(message, mac=SPEAKER_MAC):
    return packets.udp(BROADCAST_MAC, mac, bytes(4), 68, b"\xff" * 4, 67, message)


def test_dhcp_comes_and_goes():
    start()
    message, buffer = bootp(SPEAKER_MAC), bytearray(1024)
    counted("dhcp_queued", frames.inject, SEGMENT, discover(message))
    equal(pktfilter.poll(), EVENT_DHCP)
    equal(pktfilter.dhcp_recv(buffer), len(message))
    equal((bytes(buffer[: len(message)]), pktfilter.dhcp_recv(buffer), frames.taken()), (message, 0, []))
    pktfilter.dhcp_send(b"x" + message, 1 + len(message), SPEAKER_MAC, ALIAS)
    pktfilter.dhcp_send(message, 240, None, b"\xff" * 4)
    (to_one, to_all) = frames.taken()
    equal(to_one[1][42:], b"x" + message)
    equal(
        (to_one[0], to_one[1][:12], to_one[1][26:38]),
        (SEGMENT, SPEAKER_MAC + SEGMENT_MAC, HOST + ALIAS + b"\0\x43\0\x44"),
    )
    equal(
        (to_all[0], to_all[1][:6], to_all[1][30:34], to_all[1][42:]),
        (SEGMENT, BROADCAST_MAC, b"\xff" * 4, message[:240]),
    )
    for _, frame in (to_one, to_all):
        equal(packets.checksum(frame[14:34]), 0)
        equal(packets.checksum(packets._pseudo(frame[26:30], frame[30:34], UDP, frame[34:])), 0)


def test_dhcp_in_a_buffer_that_is_too_small_or_none():
    start()
    counted("dhcp_queued", frames.inject, SEGMENT, discover(bootp(SPEAKER_MAC)))
    equal(counted("drop_dhcp_full", pktfilter.dhcp_recv, bytearray(299)), 0)
    equal(pktfilter.dhcp_recv(bytearray(1024)), 0)
    counted("dhcp_queued", frames.inject, SEGMENT, discover(bootp(SPEAKER_MAC)))
    equal(pktfilter.dhcp_recv(bytearray(300)), 300)
    for wrong in (bytes(1024), None, 7):
        refused(pktfilter.dhcp_recv, wrong)


def test_dhcp_send_refuses():
    start()
    good = bytes(1514 - 42)
    pktfilter.dhcp_send(good, len(good), SPEAKER_MAC, ALIAS)
    equal([len(frame) for _, frame in frames.taken()], [1514])
    for wrong in (
        (good + b"\0", len(good) + 1, SPEAKER_MAC, ALIAS),
        (good, len(good) + 1, SPEAKER_MAC, ALIAS),
        (good, 0, SPEAKER_MAC, ALIAS),
        (good, -1, SPEAKER_MAC, ALIAS),
        (b"", 1, SPEAKER_MAC, ALIAS),
        (good, 1, SPEAKER_MAC[:5], ALIAS),
        (good, 1, SPEAKER_MAC, ALIAS[:3]),
        (None, 1, SPEAKER_MAC, ALIAS),
        (good, 1, SPEAKER_MAC),
    ):
        refused(pktfilter.dhcp_send, *wrong)
    equal(frames.taken(), [])


def test_the_loop_that_serves_the_filter_allocates_nothing():
    start()
    frames.inject(SEGMENT, discover(bootp(SPEAKER_MAC)))
    request, reply, mac, addr = bytearray(1024), bytearray(300), SPEAKER_MAC, ALIAS
    gc.collect()
    micropython.heap_lock()
    try:
        bits = pktfilter.poll()
        size = pktfilter.dhcp_recv(request)
        pktfilter.dhcp_send(reply, 300, mac, addr)
        none = pktfilter.poll()
    finally:
        micropython.heap_unlock()
    equal((bits, size, none, len(frames.taken())), (EVENT_DHCP, 300, 0, 1))


def test_deauth_takes_a_mac():
    start()
    pktfilter.deauth(SPEAKER_MAC)
    for wrong in (SPEAKER_MAC[:5], SPEAKER_MAC + b"\0", b""):
        with raises(ValueError):
            pktfilter.deauth(wrong)
    refused(pktfilter.deauth, None)
