# The filter itself is tested in C and in the dorm; here a recorder stands in for it, because only a running one reports
# frames, flows and other machines. Where the real module runs without interfaces, test_policy_real.py uses it.
import asyncio

from stage import MASK, ROUTER, SEGMENT_MAC, SPEAKER_MAC, STATION_MAC, Console, FakeFilter, X

filter = FakeFilter().install()

from check import equal, raises, until  # noqa: E402
from speakeasy import dhcp, inet  # noqa: E402
from speakeasy import policy as policies  # noqa: E402
from speakeasy.policy import LEASE_S, Full, Policy, Relayed, Unseen  # noqa: E402

PHONE = "00112233445566aa"
OTHER = "00112233445566bb"
ADDR = b"\x0a\x42\0\x82"
ADDR2 = b"\x0a\x42\0\x83"
FAR = b"\x0a\x63\0\x05"
MAC = b"\2\0\0\0\x42\x30"
MAC2 = b"\2\0\0\0\x42\x31"


def make(up=True):
    p = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
    if up:
        p.uplink_changed(X, MASK, ROUTER, ROUTER)
    return p


def names():
    return [call[0] for call in filter.calls]


def test_boots_closed():
    p = make(up=False)
    equal(
        filter.calls,
        [
            ("configure", STATION_MAC, SEGMENT_MAC, inet.ZERO, inet.ZERO, inet.ZERO, b"", policies.CLAIM_PORT)
            + (inet.SEGMENT_HOST, False, b"")
        ],
    )
    p.start()
    equal(names(), ["configure", "start"])
    equal((p.addr, p.speaker, p.leases()), (inet.ZERO, None, []))


def test_uplink_changes_configure_the_filter():
    p = make()
    equal(
        filter.calls[-1][1:],
        (STATION_MAC, SEGMENT_MAC, X, MASK, ROUTER, ROUTER, 7780, inet.SEGMENT_HOST, False, b""),
    )
    p.uplink_changed(X, MASK, ROUTER, bytes(20))
    equal(filter.calls[-1][6], bytes(12))


def test_the_speaker_comes_again_only_for_a_changed_address():
    p = make(up=False)
    p.uplink_changed(X, MASK, ROUTER, b"")
    assert "deauth" not in names()
    p.speaker_seen(SPEAKER_MAC)
    p.uplink_changed(X, MASK, ROUTER, ROUTER)
    assert "deauth" not in names()
    p.uplink_changed(ADDR, MASK, ROUTER, ROUTER)
    equal(names().count("deauth"), 1)
    p.uplink_changed(inet.ZERO, inet.ZERO, inet.ZERO, b"")
    equal(names().count("deauth"), 2)


def test_the_mode_is_switched_at_run_time():
    p = make()
    p.speaker_seen(SPEAKER_MAC)
    p.grant(PHONE, FAR, 1)
    assert not p.guarded
    p.addressing("private", ["10.66.0.9", "10.66.0.8"])
    equal(filter.calls[-2][8:], (inet.SEGMENT_HOST, True, b"\x0a\x42\0\x09\x0a\x42\0\x08"))
    equal((filter.calls[-1], p.guarded, len(p.leases())), (("deauth", SPEAKER_MAC), True, 1))
    p.addressing("private", [])
    equal((filter.calls[-1][0], filter.calls[-1][9:]), ("configure", (True, b"")))
    p.addressing("passthrough", [])
    equal((filter.calls[-1], filter.calls[-2][9:]), (("deauth", SPEAKER_MAC), (False, b"")))
    equal((p.guarded, len(p.leases())), (False, 1))


def test_services_are_told_to_the_filter():
    p = make()
    p.grant(PHONE, FAR, 1)
    for services, told in (
        (["tcp/1400", "udp/5000"], ((6, 1400), (17, 5000))),
        ([], ()),
        (["tcp/65535"], ((6, 65535),)),
    ):
        p.services(services)
        equal(filter.calls[-1], ("services", told))
    equal(len(p.leases()), 1)


def test_without_an_uplink_a_mode_changes_nothing_for_the_speaker():
    p = make(up=False)
    p.speaker_seen(SPEAKER_MAC)
    p.addressing("private", [])
    assert "deauth" not in names() and not p.guarded
    p.uplink_changed(X, MASK, ROUTER, b"")
    # The address is the same, but there are name servers now.
    equal((names().count("deauth"), p.guarded), (1, True))
    p.uplink_changed(ADDR, MASK, ROUTER, b"")
    equal(names().count("deauth"), 1)


def test_the_segment_steps_aside_and_stays_there_without_an_uplink():
    for mode in ("passthrough", "private"):
        p = make()
        p.addressing(mode, [])
        p.speaker_seen(SPEAKER_MAC)
        p.uplink_changed(b"\xc0\xa8\x4d\x09", b"\xff\xff\xff\0", b"\xc0\xa8\x4d\x01", b"")
        equal((p.host, p.alias), (b"\xac\x1f\x4d\x01", b"\xac\x1f\x4d\x02"))
        equal((filter.configured[7], filter.calls[-1]), (p.host, ("deauth", SPEAKER_MAC)))
        p.uplink_changed(inet.ZERO, inet.ZERO, inet.ZERO, b"")
        equal(p.host, b"\xac\x1f\x4d\x01")
        p.uplink_changed(X, MASK, ROUTER, ROUTER)
        equal((p.host, p.alias), (inet.SEGMENT_HOST, inet.SEGMENT_SPEAKER))


def test_leased():
    p = make()
    p.grant(PHONE, FAR, 1)
    equal((p.leased(FAR), p.leased(ADDR)), (True, False))
    p.revoke(PHONE)
    assert not p.leased(FAR)


def test_a_changed_address_forgets_the_leases():
    p = make()
    filter.macs[(ADDR, 5000)] = MAC
    p.grant(PHONE, ADDR, 5000)
    p.uplink_changed(X, MASK, ROUTER, b"")
    equal(len(p.leases()), 1)
    p.uplink_changed(ADDR2, MASK, ROUTER, b"")
    equal(p.leases(), [])
    equal(p.revoke(PHONE), 0)


def test_speaker_seen_once_and_another():
    p = make()
    p.speaker_seen(SPEAKER_MAC)
    p.speaker_seen(SPEAKER_MAC)
    p.speaker_seen(MAC)
    equal([c for c in filter.calls if c[0] == "speaker"], [("speaker", SPEAKER_MAC), ("speaker", MAC)])
    equal(p.speaker, MAC)


def test_grant_on_our_subnet_is_bound_to_the_mac():
    p = make()
    filter.macs[(ADDR, 5000)] = MAC
    equal(p.grant(PHONE, ADDR, 5000), True)
    equal(filter.calls[-1], ("lease_add", ADDR, MAC, LEASE_S))
    equal(p.leases(), [(PHONE, ADDR, MAC, LEASE_S)])


def test_grant_on_our_subnet_without_a_mac_is_refused():
    p = make()
    filter.macs[(ADDR, 5001)] = MAC  # another connection's
    with raises(Unseen):
        p.grant(PHONE, ADDR, 5000)
    equal(filter.held, {})


def test_grant_behind_a_router_is_by_address():
    p = make()
    filter.macs[(FAR, 5000)] = MAC
    equal(p.grant(PHONE, FAR, 5000), False)
    equal(filter.calls[-1], ("lease_add", FAR, None, LEASE_S))


def test_a_phone_has_one_lease():
    p = make()
    filter.macs[(ADDR, 1)] = filter.macs[(ADDR2, 2)] = MAC
    p.grant(PHONE, ADDR, 1)
    p.grant(PHONE, ADDR2, 2)
    equal(list(filter.held), [ADDR2])
    equal([lease[:2] for lease in p.leases()], [(PHONE, ADDR2)])
    p.grant(PHONE, ADDR2, 2)
    equal(list(filter.held), [ADDR2])


def test_a_claim_by_way_of_another_machine_is_refused():
    p = make()
    filter.macs[(ADDR, 1)] = MAC2
    with Console() as console, raises(Relayed):
        p.grant(PHONE, ADDR, 1, MAC)
    equal((filter.held, p.leases()), ({}, []))
    assert "by way of %s" % inet.mac_text(MAC2) in console.text
    # What the phone had stays.
    filter.macs[(ADDR, 2)] = MAC
    p.grant(PHONE, ADDR, 2, MAC)
    with raises(Relayed):
        p.grant(PHONE, ADDR, 1, MAC)
    equal(p.leases(), [(PHONE, ADDR, MAC, LEASE_S)])
    # Behind a router nobody knows a MAC.
    equal(p.grant(PHONE, FAR, 1, MAC), False)


def test_a_phone_that_moves():
    p = make()
    filter.macs[(ADDR, 1)] = filter.macs[(ADDR2, 2)] = MAC
    filter.macs[(ADDR2, 3)] = MAC2
    steps = (
        (ADDR, 1, (MAC, False)),
        (ADDR, 1, (MAC, False)),  # the same again: renewed, nothing ends
        (ADDR2, 2, (MAC, False)),
        (ADDR2, 3, (MAC2, True)),
        (FAR, 1, (None, True)),
        (ADDR, 1, (MAC, True)),
    )
    last = None
    for addr, port, (mac, changed) in steps:
        del filter.calls[:]
        with Console() as console:
            p.grant(PHONE, addr, port)
        equal(p.leases(), [(PHONE, addr, mac, LEASE_S)])
        equal([c[1] for c in filter.calls if c[0] == "lease_end"], [last] if last not in (None, addr) else [])
        equal("as another machine" in console.text, changed)
        last = addr


def test_two_phones_two_leases_and_an_address_taken_over():
    p = make()
    filter.macs[(ADDR, 1)] = MAC
    filter.macs[(ADDR2, 2)] = filter.macs[(ADDR, 3)] = MAC2
    p.grant(PHONE, ADDR, 1)
    p.grant(OTHER, ADDR2, 2)
    equal(len(p.leases()), 2)
    p.grant(OTHER, ADDR, 3)
    equal(p.leases(), [(OTHER, ADDR, MAC2, LEASE_S)])


def test_an_address_taken_over_by_the_same_machine_begins_anew():
    # Two phones' keys on one machine: the first one's flows must not become the other's.
    p = make()
    filter.macs[(ADDR, 1)] = MAC
    p.grant(PHONE, ADDR, 1)
    del filter.calls[:]
    with Console() as console:
        p.grant(OTHER, ADDR, 1)
    equal(filter.calls, [("lease_end", ADDR), ("lease_add", ADDR, MAC, LEASE_S)])
    equal(p.leases(), [(OTHER, ADDR, MAC, LEASE_S)])
    assert "phone %s is not let in" % PHONE in console.text
    equal((p.revoke(PHONE), list(filter.held)), (0, [ADDR]))


def test_revoke_ends_the_lease_in_the_filter():
    p = make()
    filter.macs[(ADDR, 1)] = MAC
    filter.macs[(ADDR2, 2)] = MAC2
    p.grant(PHONE, ADDR, 1)
    p.grant(OTHER, ADDR2, 2)
    equal(p.revoke(PHONE), 3)
    equal(list(filter.held), [ADDR2])
    equal(filter.calls[-1], ("lease_end", ADDR))
    equal(p.revoke(PHONE), 0)


def test_full():
    p = make()
    for n in range(16):
        equal(p.grant("%016x" % n, b"\x0a\x63\0" + bytes((n,)), 1), False)
    with raises(Full):
        p.grant("%016x" % 16, FAR + b"", 1) if FAR not in filter.held else p.grant("x" * 16, b"\x0a\x63\1\1", 1)
    equal(len(p.leases()), 16)
    # A phone that has one may move, however full it is.
    p.grant("%016x" % 3, b"\x0a\x63\1\2", 1)
    equal(len(p.leases()), 16)


async def turn(p, bits):
    filter.bits = bits
    task = asyncio.create_task(p.run())
    await until(lambda: filter.bits == 0)
    await asyncio.sleep_ms(0)
    task.cancel()


async def test_dhcp_is_served_and_told():
    import test_dhcp

    p = make()
    p.speaker_seen(SPEAKER_MAC)
    filter.frames = [test_dhcp.request(1), test_dhcp.request(3, X), b"\0" * 300, test_dhcp.request(3, ciaddr=X)]
    with Console() as console:
        await turn(p, 1)
    equal(len(filter.sent), 3)
    equal([reply[242] for reply, _, _ in filter.sent], [2, 5, 5])
    equal(filter.sent[0][1:], (SPEAKER_MAC, X))
    equal(p.speaker_addr, X)
    equal(console.text.count("the speaker has its address"), 1)
    filter.frames = [test_dhcp.request(3, ADDR2)]
    await turn(p, 1)
    equal((filter.sent[-1][0][242], filter.sent[-1][1:]), (6, (None, inet.BROADCAST)))
    equal(p.speaker_addr, inet.ZERO)


async def test_the_fallback_address_is_served_without_an_uplink():
    import test_dhcp

    p = make(up=False)
    p.speaker_seen(SPEAKER_MAC)
    filter.frames = [test_dhcp.request(1)]
    await turn(p, 1)
    equal(filter.sent[0][0][16:20], inet.SEGMENT_SPEAKER)
    p.uplink_changed(X, MASK, ROUTER, b"")
    filter.frames = [test_dhcp.request(3, ciaddr=inet.SEGMENT_SPEAKER), test_dhcp.request(1)]
    await turn(p, 1)
    equal([(r[0][242], r[0][16:20]) for r in filter.sent[1:]], [(6, inet.ZERO), (2, X)])


async def test_private_addressing_gives_the_segments_address_and_the_uplinks_name_servers():
    import test_dhcp

    p = make()
    p.addressing("private", [])
    p.speaker_seen(SPEAKER_MAC)
    filter.frames = [test_dhcp.request(3, X), test_dhcp.request(1), test_dhcp.request(3, inet.SEGMENT_SPEAKER)]
    await turn(p, 1)
    equal([(r[0][242], r[0][16:20]) for r in filter.sent[1:]], [(2, inet.SEGMENT_SPEAKER), (5, inet.SEGMENT_SPEAKER)])
    equal(filter.sent[0][0][242], 6)  # X is not its own any more
    options = test_dhcp.options_of(filter.sent[2][0])
    equal((options[1], options[3], options[6]), (inet.SEGMENT_MASK, inet.SEGMENT_HOST, ROUTER))
    equal(p.speaker_addr, inet.SEGMENT_SPEAKER)


async def test_the_router_stands_in_for_a_missing_name_server():
    import test_dhcp

    p = make(up=False)
    p.uplink_changed(X, MASK, ROUTER, b"")
    filter.frames = [test_dhcp.request(1)]
    await turn(p, 1)
    equal(test_dhcp.options_of(filter.sent[0][0])[6], ROUTER)


async def test_a_speaker_that_asked_before_it_was_seen_keeps_its_address():
    import test_dhcp

    p = make()
    filter.frames = [test_dhcp.request(3, X)]
    await turn(p, 1)
    p.speaker_seen(SPEAKER_MAC)
    equal(p.speaker_addr, X)
    p.speaker_seen(MAC)
    equal(p.speaker_addr, inet.ZERO)


async def test_a_lease_that_ended_by_itself_is_forgotten_and_told():
    p = make()
    p.grant(PHONE, FAR, 1)
    p.grant(OTHER, b"\x0a\x63\0\x06", 1)
    del filter.held[FAR]
    with Console() as console:
        await turn(p, 2)
    assert "phone %s is not let in" % PHONE in console.text and OTHER not in console.text
    equal([lease[0] for lease in p.leases()], [OTHER])


async def test_alarms_are_told_once_a_minute():
    p = make()
    p.grant(PHONE, FAR, 1)
    with Console() as console:
        for _ in range(3):
            await turn(p, 4)
            await turn(p, 8)
    equal(console.text.count("another machine uses"), 1)
    equal(console.text.count("not the speaker"), 1)
    # Dropped by the filter already: the lease stays.
    equal(len(p.leases()), 1)


async def test_beats():
    beats = []
    p = Policy(STATION_MAC, SEGMENT_MAC, lambda: beats.append(1))
    await turn(p, 16)
    assert beats


def test_dhcp_lease_is_short():
    assert dhcp.LEASE_S <= 120


async def test_in_a_setup_window_nobody_is_the_speaker_and_each_gets_an_address_without_a_way_out():
    import test_dhcp

    for private in (False, True):
        filter.calls.clear()
        filter.sent.clear()
        p = make()
        p.addressing("private" if private else "passthrough", [])
        p.speaker_seen(SPEAKER_MAC)
        filter.calls.clear()
        p.setup(True)
        assert names().index("deauth") < names().index("speaker")
        equal([c for c in filter.calls if c[0] == "speaker"], [("speaker", None)])
        # Also what was on its way before.
        two = inet.SEGMENT_SPEAKER[:3] + bytes((inet.SEGMENT_SPEAKER[3] + 1,))
        filter.frames = [
            test_dhcp.request(1, mac=MAC),
            test_dhcp.request(1),
            test_dhcp.request(3, X),
            test_dhcp.request(3, two),
            test_dhcp.request(3, inet.SEGMENT_SPEAKER, mac=MAC),
        ]
        await turn(p, 1)
        equal([r[0][242] for r in filter.sent], [2, 2, 6, 5, 5])
        equal(
            [r[0][16:20] for r in filter.sent if r[0][242] != 6], [inet.SEGMENT_SPEAKER, two, two, inet.SEGMENT_SPEAKER]
        )
        for reply, _, _ in filter.sent:
            given = test_dhcp.options_of(reply)
            assert 3 not in given and 6 not in given
        equal((p.speaker, p.speaker_addr), (None, inet.ZERO))
        p.setup(False)
        filter.frames = [test_dhcp.request(1)]
        await turn(p, 1)
        equal(filter.sent[-1][0][16:20], inet.SEGMENT_SPEAKER if private else X)
        equal(3 in test_dhcp.options_of(filter.sent[-1][0]), True)


async def test_of_more_than_eight_in_a_setup_window_the_last_eight_have_addresses():
    import test_dhcp

    p = make()
    p.setup(True)
    macs = [b"\2\0\0\0\0" + bytes((n,)) for n in range(policies.MAX_ASKED + 1)]
    given = []
    # The first one asks again in between, as one that is there does.
    for mac in macs[:-1] + macs[:1] + macs[-1:]:
        filter.frames = [test_dhcp.request(1, mac=mac)]
        await turn(p, 1)
        given.append(filter.sent[-1][0][19])
    first = inet.SEGMENT_SPEAKER[3]
    # Only the one that was silent the longest has lost its address, to the last one.
    equal(given, [first + n for n in range(policies.MAX_ASKED)] + [first, first + 1])
    equal((p.asked, p.forgotten), (macs[2:-1] + macs[:1] + macs[-1:], 1))
    assert "deauth" not in names()
    p.setup(False)
    equal(len(p.asked), policies.MAX_ASKED)
    p.setup(True)
    equal((p.asked, p.forgotten), ([], 0))


async def test_who_asked_is_known_without_a_window_too():
    import test_dhcp

    p = make()
    for mac in (MAC, SPEAKER_MAC, MAC):
        filter.frames = [test_dhcp.request(1, mac=mac)]
        await turn(p, 1)
    equal(p.asked, [SPEAKER_MAC, MAC])
    for n in range(policies.MAX_ASKED):
        filter.frames = [test_dhcp.request(1, mac=b"\2\0\0\0\0" + bytes((n,)))]
        await turn(p, 1)
    equal((len(p.asked), p.forgotten), (policies.MAX_ASKED, 2))
    p.throw_out(MAC)
    equal(filter.calls[-1], ("deauth", MAC))


async def test_one_that_asked_before_it_was_seen_is_made_to_come_again():
    import test_dhcp

    p = make()
    filter.frames = [test_dhcp.request(3, X)]
    await turn(p, 1)
    p.addressing("private", [])
    equal((p.speaker, filter.calls[-1]), (None, ("deauth", SPEAKER_MAC)))
