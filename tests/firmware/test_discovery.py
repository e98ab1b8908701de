# Mostly without a socket: a datagram in, datagrams out.
import asyncio
import os
import random
import socket

from check import equal, until
from guard_stage import ALIAS, PHONE, Policy, X, quad
from speakeasy import discovery
from speakeasy.discovery import Discovery
from stage import Clock

OTHER = "127.0.0.9"
ZONE = b"urn:schemas-upnp-org:device:ZonePlayer:1"
ASKED = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: '


def search(target=ZONE, end=b"\r\n"):
    lines = (b"M-SEARCH * HTTP/1.1", b"HOST: 239.255.255.250:1900", b'MAN: "ssdp:discover"', b"MX: 1", b"ST: " + target)
    return end.join(lines) + end + end


def found(target=ZONE, address=ALIAS):
    return (
        b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age = 1800\r\nEXT:\r\nLOCATION: http://%s:1400/xml/device_description.xml"
        b"\r\nSERVER: Linux UPnP/1.0 Sonos/57.22\r\nST: %s\r\nUSN: uuid:RINCON_1::%s\r\nX-RINCON-HOUSEHOLD: h\r\n\r\n"
        % (address.encode(), target, target)
    )


def notify(address=ALIAS):
    return (
        b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nLOCATION: http://%s:1400/xml/device_description.xml\r\n"
        b"NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUSN: uuid:RINCON_1::upnp:rootdevice\r\n\r\n" % address.encode()
    )


def make():
    return Discovery(Policy(), lambda: None, now=Clock())


def phone(d, data, port=5000, addr=PHONE):
    return d.datagram(data, quad(addr), port)


def speaker(d, data, port=1900):
    return d.datagram(data, quad(ALIAS), port)


def test_a_search_finds_x():
    for end in (b"\r\n", b"\n"):  # some phones' lines end in LF alone
        d = make()
        equal(phone(d, search(end=end)), [(ASKED + ZONE + b"\r\n\r\n", (ALIAS, 1900))])
        equal(speaker(d, found()), [(found(address=X), (PHONE, 5000))])
        # A device that answers from another port, and more than once.
        equal(speaker(d, found(), 40000), [(found(address=X), (PHONE, 5000))])


def test_answers_go_to_who_asked_for_that():
    d = make()
    d._policy.phones.add(quad(OTHER))
    phone(d, search())
    phone(d, search(b"upnp:rootdevice"), 5001)
    phone(d, search(b"ssdp:all"), 5002, OTHER)
    equal([to for _, to in speaker(d, found())], [(PHONE, 5000), (OTHER, 5002)])
    equal([to for _, to in speaker(d, found(b"upnp:rootdevice"))], [(PHONE, 5001), (OTHER, 5002)])
    equal([to for _, to in speaker(d, found(b"uuid:x"))], [(OTHER, 5002)])
    d._policy.phones.discard(quad(OTHER))
    equal(speaker(d, found(b"uuid:x")), [])
    d._now.now += discovery.SEARCH_S
    equal(len(speaker(d, found())), 1)
    d._now.now += 1
    equal(speaker(d, found()), [])


def test_a_search_that_is_repeated_counts_once():
    d = make()
    for _ in range(5):
        equal(len(phone(d, search())), 1)
    equal(len(speaker(d, found())), 1)


def test_searches_that_wait_are_bounded():
    d = make()
    for port in range(discovery.MAX_SEARCHES):
        phone(d, search(), 6000 + port)
    equal(len(speaker(d, found())), discovery.MAX_SEARCHES)
    phone(d, search(), 7000)
    equal([to[1] for _, to in speaker(d, found())], list(range(6001, 6000 + discovery.MAX_SEARCHES)) + [7000])


def test_announcements_go_to_each_phone():
    d = make()
    equal(speaker(d, notify()), [(notify(X), (PHONE, 1900))])
    d._policy.phones.add(quad(OTHER))
    equal(speaker(d, notify()), [(notify(X), (PHONE, 1900)), (notify(X), (OTHER, 1900))])
    d._policy.phones.clear()
    equal(speaker(d, notify()), [])


def test_what_is_neither():
    d = make()
    good = search()
    for data in (
        b"",
        b"\xff" * 100,
        good.replace(b"M-SEARCH", b"M-SEARCHX"),
        good.replace(b"ssdp:discover", b"ssdp:other"),
        good.replace(b"MAN: ", b"WOMAN: "),
        good.replace(b"ST: " + ZONE + b"\r\n", b""),
        search(b""),
        search(b"a b"),
        search(b"a\x01"),
        search(b"\xff"),
        search(b"x" * (discovery.TARGET_MAX_BYTES + 1)),
        b" " + good,
        notify(),
        found(),
        good + b" " * discovery.DATAGRAM_MAX_BYTES,
    ):
        equal(phone(d, data), [])
    equal(d._searches, [])
    equal(len(phone(d, search(b"x" * discovery.TARGET_MAX_BYTES))), 1)
    padded = good + b" " * (discovery.DATAGRAM_MAX_BYTES - len(good))
    equal(len(phone(d, padded)), 1)
    equal(speaker(d, good), [])
    equal(speaker(d, b"HTTP/1.1 404 Not Found\r\nST: " + ZONE + b"\r\n\r\n"), [])
    # A stranger, whatever the filter let through.
    for data in (good, notify(), found()):
        equal(phone(d, data, addr="127.0.0.77"), [])


def test_nothing_of_a_phones_but_the_target_gets_through():
    d = make()
    evil = search().replace(b"MX: 1\r\n", b"MX: 1\r\nX-Evil: 1\r\nMX: 9\r\n")
    equal(phone(d, evil)[0][0], ASKED + ZONE + b"\r\n\r\n")


def test_fuzz():
    random.seed(21)
    d = make()
    for _ in range(3000):
        data = bytearray(random.choice((search(), found(), notify())))
        for _ in range(random.randrange(6)):
            at = random.randrange(len(data))
            data[at : at + random.randrange(4)] = bytes([random.getrandbits(8) for _ in range(random.randrange(4))])
        source = random.choice((PHONE, ALIAS, OTHER))
        for out, to in d.datagram(bytes(data), quad(source), 5000):
            assert source != OTHER
            if source == PHONE:
                equal(to, (ALIAS, 1900))
                assert out.startswith(ASKED) and out.count(b"\r\n") == 6, out
            else:
                equal(to[0], PHONE)
        assert len(d._searches) <= discovery.MAX_SEARCHES


async def test_on_real_sockets_and_only_while_addressing_is_private():
    port = int(os.getenv("SPEAKEASY_PORT"))  # conftest.py
    policy = Policy()
    beats = []
    policy.guarded = False
    asking, answering = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    answering.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    asking.bind((PHONE, port + 1))
    answering.bind((ALIAS, port))
    for s in (asking, answering):
        s.setblocking(False)
    before = socket.socket._count
    task = asyncio.create_task(Discovery(policy, lambda: beats.append(1), port).run())

    def got(s):
        try:
            return s.recvfrom(2000)
        except OSError:
            return None

    await until(lambda: len(beats) > 1)
    equal(socket.socket._count, before)
    policy.guarded = True
    await until(lambda: socket.socket._count == before + 1)
    heard = []

    def asked():
        # Until it is bound there is nobody to hear it: ask again.
        asking.sendto(search(), (X, port))
        one = got(answering)
        if one:
            heard.append(one)
        return one

    await until(asked)
    equal(heard[0][0], ASKED + ZONE + b"\r\n\r\n")
    answering.sendto(found(), heard[0][1])
    answer = await until(lambda: got(asking))
    equal(answer[0], found(address=X))
    policy.guarded = False
    await until(lambda: socket.socket._count == before)
    task.cancel()
    for s in (asking, answering):
        s.close()
