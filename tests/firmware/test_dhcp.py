# Bytes in, bytes out: each row is a request, and what the server answers it.
import random

from check import equal
from speakeasy import dhcp
from speakeasy.inet import BROADCAST, SEGMENT_HOST, SEGMENT_MASK, SEGMENT_SPEAKER, ZERO, parse
from stage import MASK, ROUTER, SPEAKER_MAC, X

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
DNS = parse("10.66.0.1") + parse("9.9.9.9")
OTHER = parse("10.66.0.77")
XID = b"\xde\xad\xbe\xef"


def server(addr=X, mask=MASK, router=ROUTER, dns=DNS):
    s = dhcp.Server()
    s.configure(SEGMENT_HOST, addr, mask, router, dns)
    return s


def bootp(
    options, ciaddr=ZERO, flags=0, giaddr=ZERO, mac=SPEAKER_MAC, op=1, htype=1, hlen=6, cookie=b"\x63\x82\x53\x63"
):
    head = bytes((op, htype, hlen, 0)) + XID + b"\0\7" + flags.to_bytes(2, "big") + ciaddr + ZERO + ZERO + giaddr
    return head + mac + bytes(10) + bytes(64) + bytes(128) + cookie + options


def option(code, value):
    return bytes((code, len(value))) + value


def request(kind, requested=None, server_id=None, client_id=None, **rest):
    options = option(53, bytes((kind,)))
    if requested is not None:
        options += option(50, requested)
    if server_id is not None:
        options += option(54, server_id)
    if client_id is not None:
        options += option(61, client_id)
    return bootp(options + option(55, b"\1\3\6\x0f") + b"\xff", **rest)


def ask(s, packet, client=SPEAKER_MAC):
    s.request[: len(packet)] = packet
    n = s.answer(len(packet), client)
    return bytes(s.reply[:n])


def options_of(reply):
    found = {}
    i = 240
    while reply[i] != 255:
        if reply[i] == 0:
            i += 1
            continue
        assert reply[i] not in found, "option %d twice" % reply[i]
        found[reply[i]] = reply[i + 2 : i + 2 + reply[i + 1]]
        i += 2 + reply[i + 1]
    assert not any(reply[i + 1 :])
    return found


def test_offer_byte_for_byte():
    s = server()
    reply = ask(s, request(DISCOVER))
    equal(
        reply[:240],
        b"\2\1\6\0" + XID + b"\0\0\0\0" + ZERO + X + ZERO + ZERO + SPEAKER_MAC + bytes(202) + b"\x63\x82\x53\x63",
    )
    equal(
        reply[240:],
        option(53, b"\2")
        + option(54, SEGMENT_HOST)
        + option(1, MASK)
        + option(3, ROUTER)
        + option(6, DNS)
        + option(51, b"\0\0\0\x3c")
        + option(58, b"\0\0\0\x1e")
        + option(59, b"\0\0\0\x34")
        + b"\xff"
        + bytes(300 - 240 - 3 - 6 - 6 - 6 - 10 - 18 - 1),
    )
    equal((s.to_mac, s.to_addr, s.event), (SPEAKER_MAC, X, dhcp.OFFERED))


def test_who_gets_what():
    # (request, type of the answer or None, its yiaddr)
    for packet, kind, yiaddr in (
        (request(DISCOVER), OFFER, X),
        (request(DISCOVER, requested=OTHER), OFFER, X),
        # SELECTING
        (request(REQUEST, X, SEGMENT_HOST), ACK, X),
        (request(REQUEST, OTHER, SEGMENT_HOST), NAK, ZERO),
        (request(REQUEST, X, OTHER), None, None),
        (request(REQUEST, OTHER, OTHER), None, None),
        # INIT-REBOOT
        (request(REQUEST, X), ACK, X),
        (request(REQUEST, OTHER), NAK, ZERO),
        (request(REQUEST, SEGMENT_SPEAKER), NAK, ZERO),
        # RENEWING, REBINDING
        (request(REQUEST, ciaddr=X), ACK, X),
        (request(REQUEST, ciaddr=OTHER), NAK, ZERO),
        (request(REQUEST), None, None),
        (request(DECLINE, X, SEGMENT_HOST), None, None),
        (request(RELEASE, server_id=SEGMENT_HOST, ciaddr=X), None, None),
        (request(INFORM, ciaddr=X), ACK, ZERO),
        (request(INFORM), None, None),
        # Not a client's
        (request(OFFER), None, None),
        (request(ACK), None, None),
        (request(NAK), None, None),
        (request(0), None, None),
        (request(9), None, None),
    ):
        reply = ask(server(), packet)
        if kind is None:
            equal(reply, b"")
        else:
            equal((options_of(reply)[53][0], reply[16:20]), (kind, yiaddr))


def test_events():
    for packet, event in (
        (request(DISCOVER), dhcp.OFFERED),
        (request(REQUEST, X), dhcp.ACKED),
        (request(REQUEST, OTHER), dhcp.NAKED),
        (request(DECLINE, X, SEGMENT_HOST), dhcp.DECLINED),
        (request(RELEASE, server_id=SEGMENT_HOST, ciaddr=X), dhcp.RELEASED),
        (request(RELEASE, server_id=OTHER, ciaddr=X), dhcp.NOTHING),
        (request(INFORM, ciaddr=X), dhcp.INFORMED),
        (b"", dhcp.NOTHING),
    ):
        s = server()
        ask(s, packet)
        equal(s.event, event)


def test_where_answers_go_rfc2131_4_1():
    for packet, to_mac, to_addr in (
        (request(DISCOVER), SPEAKER_MAC, X),
        (request(DISCOVER, flags=0x8000), None, BROADCAST),
        (request(REQUEST, ciaddr=X), SPEAKER_MAC, X),
        (request(REQUEST, ciaddr=X, flags=0x8000), SPEAKER_MAC, X),
        (request(INFORM, ciaddr=OTHER), SPEAKER_MAC, OTHER),
        (request(REQUEST, ciaddr=OTHER), None, BROADCAST),
        (request(REQUEST, OTHER), None, BROADCAST),
    ):
        s = server()
        assert ask(s, packet)
        equal((s.to_mac, s.to_addr), (to_mac, to_addr))


def test_nak_carries_no_lease():
    equal(sorted(options_of(ask(server(), request(REQUEST, OTHER)))), [53, 54])


def test_inform_carries_no_times():
    equal(sorted(options_of(ask(server(), request(INFORM, ciaddr=X)))), [1, 3, 6, 53, 54])


def test_the_broadcast_flag_comes_back():
    equal(ask(server(), request(DISCOVER, flags=0x8000))[10:12], b"\x80\0")


def test_client_id_comes_back_rfc6842():
    for client_id in (b"\1" + SPEAKER_MAC, b"\xff" + bytes(254)):
        equal(options_of(ask(server(), request(DISCOVER, client_id=client_id)))[61], client_id)
        equal(options_of(ask(server(), request(REQUEST, OTHER, client_id=client_id)))[61], client_id)
    assert len(ask(server(), request(DISCOVER, client_id=bytes(255)))) <= dhcp.REPLY_BYTES


def test_the_largest_reply_fits():
    s = server(dns=bytes(12))
    reply = ask(s, request(DISCOVER, client_id=bytes(255)))
    assert reply and len(reply) <= dhcp.REPLY_BYTES


def test_no_router_no_dns():
    found = options_of(ask(server(router=ZERO, dns=b""), request(DISCOVER)))
    assert 3 not in found and 6 not in found


def test_fallback_address():
    s = server(SEGMENT_SPEAKER, SEGMENT_MASK, SEGMENT_HOST, b"")
    found = options_of(ask(s, request(REQUEST, SEGMENT_SPEAKER)))
    equal((found[53], found[1], found[3]), (b"\5", SEGMENT_MASK, SEGMENT_HOST))


def test_a_new_address_naks_the_old_one_at_once():
    s = server()
    equal(options_of(ask(s, request(REQUEST, ciaddr=X)))[53], b"\5")
    s.configure(SEGMENT_HOST, OTHER, MASK, ROUTER, DNS)
    equal(options_of(ask(s, request(REQUEST, ciaddr=X)))[53], b"\6")
    reply = ask(s, request(DISCOVER))
    equal(reply[16:20], OTHER)


def test_unconfigured_answers_nothing():
    equal(ask(dhcp.Server(), request(DISCOVER)), b"")


def test_only_the_speaker_is_served():
    equal(ask(server(), request(DISCOVER, mac=b"\2\0\0\0\x42\x50")), b"")
    assert ask(server(), request(DISCOVER, mac=b"\2\0\0\0\x42\x50"), client=None)


def test_malformed_requests_are_ignored():
    kind = option(53, b"\1")
    for packet in (
        b"",
        bytes(240),
        bytes(1024),
        bootp(kind),  # no end
        bootp(b"\xff"),  # no type
        bootp(kind + b"\xff", op=2),
        bootp(kind + b"\xff", htype=6),
        bootp(kind + b"\xff", hlen=16),
        bootp(kind + b"\xff", giaddr=OTHER),
        bootp(kind + b"\xff", cookie=b"\x63\x82\x53\x64"),
        bootp(option(53, b"") + b"\xff"),
        bootp(option(53, b"\1\1") + b"\xff"),
        bootp(kind + b"\x32"),  # cut after the code
        bootp(kind + b"\x32\4\x0a"),  # cut inside the value
        bootp(kind + b"\x32\xff\x0a\xff"),  # longer than the packet
        bootp(kind + option(50, b"\x0a\0\0") + b"\xff"),
        bootp(kind + option(50, b"\x0a\0\0\0\0") + b"\xff"),
        bootp(kind + option(54, b"\x0a") + b"\xff"),
    ):
        equal(ask(server(), packet), b"")


def test_padding_and_unknown_options_are_skipped():
    assert ask(
        server(), bootp(b"\0\0" + option(12, b"sonos") + b"\0" + option(200, b"") + option(53, b"\1") + b"\xff\0\0")
    )


def test_length_below_at_above_the_least():
    packet = bootp(option(53, b"\1") + b"\xff")
    equal(ask(server(), packet[:240]), b"")
    equal(ask(server(), packet[:243]), b"")
    assert ask(server(), packet[:244])


def test_leftovers_of_an_earlier_request_do_not_count():
    s = server()
    ask(s, request(REQUEST, OTHER, SEGMENT_HOST))
    short = bootp(option(53, b"\3") + b"\xff")
    equal(ask(s, short), b"")
    equal(ask(s, short[:242]), b"")


def test_fuzz():
    random.seed(11)
    s = server()
    valid = request(REQUEST, X, SEGMENT_HOST, b"\1" + SPEAKER_MAC)
    answered = 0
    for _ in range(4000):
        packet = bytearray(valid)
        for _ in range(random.randrange(1, 6)):
            packet[random.choice((random.randrange(len(packet)), random.randrange(236, len(packet))))] = (
                random.getrandbits(8)
            )
        packet = packet[: random.randrange(230, len(packet) + 1)] if random.getrandbits(1) else packet
        reply = ask(s, packet)
        if reply:
            answered += 1
            assert 300 <= len(reply) <= dhcp.REPLY_BYTES
            found = options_of(reply)
            assert found[53][0] in (OFFER, ACK, NAK)
            assert reply[16:20] in (X, ZERO)
    assert answered > 100
    assert ask(s, valid)


def test_polling_without_frames_allocates_nothing():
    import gc

    s = server()
    packet = bootp(option(53, b"\1") + b"\xff", op=2)
    s.request[: len(packet)] = packet
    s.answer(len(packet), None)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        s.answer(244, None)
    after = gc.mem_alloc()
    gc.enable()
    assert after - before < 200, after - before
