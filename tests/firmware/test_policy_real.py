# Policy on the real filter, which keeps addresses and leases without interfaces, too.
import pktfilter
from check import equal, raises
from speakeasy.policy import LEASE_S, Full, Policy
from stage import MASK, ROUTER, SEGMENT_MAC, SPEAKER_MAC, STATION_MAC, X

FAR = b"\x0a\x63\0"


def make():
    p = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
    p.uplink_changed(X, MASK, ROUTER, ROUTER)
    return p


def test_without_interfaces_it_does_not_start():
    with raises(OSError) as caught:
        make().start()
    equal(caught.value.errno, 19)


def test_grant_and_revoke():
    p = make()
    equal(p.grant("a" * 16, FAR + b"\1", 5000), False)
    equal([lease[:2] for lease in pktfilter.leases()], [(FAR + b"\1", None)])
    equal(p.leases()[0][:3], ("a" * 16, FAR + b"\1", None))
    assert LEASE_S - 2 <= p.leases()[0][3] <= LEASE_S
    equal(p.revoke("a" * 16), 0)
    equal(pktfilter.leases(), [])
    equal(p.leases(), [])


def test_sixteen_leases_and_the_seventeenth():
    p = make()
    for n in range(16):
        p.grant("%016x" % n, FAR + bytes((n + 1,)), 1)
    with raises(Full):
        p.grant("f" * 16, FAR + b"\x20", 1)
    equal(len(p.leases()), 16)
    p.grant("%016x" % 5, FAR + b"\x21", 1)
    equal(len(pktfilter.leases()), 16)
    p.revoke("%016x" % 5)
    p.grant("f" * 16, FAR + b"\x20", 1)


def test_seventeen_phones_and_one_that_takes_anothers_place():
    p = make()
    for n in range(16):
        p.grant("%016x" % n, FAR + bytes((n + 1,)), 1)
    # At an address that has a lease, a phone needs no free one.
    p.grant("f" * 16, FAR + b"\5", 1)
    equal(len(p.leases()), 16)
    equal([phone for phone, addr, _, _ in p.leases() if addr == FAR + b"\5"], ["f" * 16])
    with raises(Full):
        p.grant("%016x" % 4, FAR + b"\x20", 1)


def test_a_changed_address_ends_all_leases():
    p = make()
    p.grant("a" * 16, FAR + b"\1", 1)
    p.uplink_changed(X, MASK, ROUTER, b"")
    equal(len(pktfilter.leases()), 1)
    p.uplink_changed(X[:3] + b"\x65", MASK, ROUTER, b"")
    equal((pktfilter.leases(), p.leases()), ([], []))


def test_speaker_and_counters():
    p = make()
    p.speaker_seen(SPEAKER_MAC)
    assert all(type(count) is int for count in p.counters().values()) and p.counters()
    equal(p.flows(), 0)


def configure(private=False, segment=b"\xc0\xa8\x4d\x01", hosts=b"", addr=X):
    pktfilter.configure(STATION_MAC, SEGMENT_MAC, addr, MASK, ROUTER, b"", 7780, segment, private, hosts)


def test_a_change_of_mode_keeps_leases():
    p = make()
    p.grant("a" * 16, FAR + b"\1", 1)
    configure(private=True)
    configure(private=True, segment=b"\x0a\xb1\x4d\x01")
    configure(private=False)
    equal(len(pktfilter.leases()), 1)
    p.revoke("a" * 16)


def test_eight_named_hosts_and_the_ninth():
    configure(hosts=b"\x0a\x42\1\1" * 8)
    for wrong in (b"\x0a\x42\1\1" * 9, b"\x0a\x42\1"):
        with raises(ValueError):
            configure(hosts=wrong)


def test_the_segments_address_leaves_room_for_the_alias():
    for last in (1, 253):
        configure(segment=b"\xc0\xa8\x4d" + bytes((last,)))
    for last in (0, 254, 255):
        with raises(ValueError):
            configure(segment=b"\xc0\xa8\x4d" + bytes((last,)))
    with raises(ValueError):
        configure(segment=b"\xc0\xa8\x4d")
