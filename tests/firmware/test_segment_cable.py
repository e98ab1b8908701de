# A scripted socket stands for the driver, and what the speaker asks is given: what counts is who is taken for it.
import asyncio

import network
import test_dhcp
from check import equal, until
from stage import MASK, ROUTER, SEGMENT_MAC, SPEAKER_MAC, STATION_MAC, Console, FakeFilter, X

filter = FakeFilter().install()
from speakeasy import clock, inet, segment  # noqa: E402
from speakeasy.policy import Policy  # noqa: E402
from speakeasy.segment_cable import LINK_HOLD_S, SILENT_S, CableSegment  # noqa: E402

OTHER = b"\2\0\0\0\x42\x99"
STARTED, CONNECTED, DISCONNECTED, GOT_IP = 1, 3, 4, 5
DISCOVER, REQUEST, DECLINE, RELEASE = 1, 3, 4, 7
TIME_LIMIT_S = 60


class Plug:
    """The socket's driver, as far as the firmware uses it, and lwIP's name server, which an address that is given to
    the socket takes away."""

    def __init__(self):
        self.now = STARTED
        self.calls = []
        self.server = "10.66.0.1"
        network.ipconfig = self.names

    def active(self, on):
        self.calls.append(("active", on))

    def ipconfig(self, **settings):
        self.calls.append(("ipconfig", settings))
        self.server = "0.0.0.0"

    def names(self, *query, **settings):
        if query:
            equal(query, ("dns",))
            return self.server
        assert settings["dns"] != "0.0.0.0"
        self.server = settings["dns"]
        return None

    def status(self):
        return self.now


class Bench:
    def __init__(self):
        self.ms = 1000
        clock.milliseconds = lambda: self.ms
        filter.calls.clear()
        filter.sent.clear()
        self.plug = Plug()
        self.policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        self.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
        self.beats = 0
        self.segment = CableSegment(self.plug, None, self.policy, self.beat)

    def beat(self):
        self.beats += 1

    async def turns(self, count=2):
        before = self.beats
        await until(lambda: self.beats >= before + count)

    def asks(self, mac=SPEAKER_MAC, kind=DISCOVER, **rest):
        """A message comes, and is served."""
        filter.frames = [test_dhcp.request(kind, mac=mac, **rest)]
        self.policy._serve_dhcp()

    async def wait(self, seconds):
        self.ms += int(seconds * 1000)
        await self.turns()

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.segment.run())]
        await self.turns()
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()


def speakers():
    return [call[1] for call in filter.calls if call[0] == "speaker"]


async def test_the_address_is_set_before_the_socket_is_on():
    async with Bench() as b:
        equal(
            b.plug.calls,
            [("ipconfig", {"addr4": ("192.168.77.1", "255.255.255.0")}), ("active", True)],
        )
        equal((b.segment.state, b.segment.present, speakers()), (segment.UP, False, []))


async def test_the_first_who_asks_is_the_speaker():
    with Console() as console:
        async with Bench() as b:
            b.asks()
            equal((b.policy.speaker, speakers()), (SPEAKER_MAC, [SPEAKER_MAC]))
            equal(filter.sent[-1][1:], (SPEAKER_MAC, X))
            b.asks(kind=REQUEST, requested=X)
            equal(b.policy.speaker_addr, X)
            await b.turns()
            assert b.segment.present
            # Another one behind a switch on the same cable. (The filter drops what it sends before that, too.)
            sent = len(filter.sent)
            b.asks(OTHER)
            b.asks(OTHER, kind=REQUEST, requested=X)
            equal((len(filter.sent), speakers(), b.policy.speaker_addr), (sent, [SPEAKER_MAC], X))
    equal(console.text.count("on its cable"), 1)


async def test_two_that_ask_in_one_moment():
    async with Bench() as b:
        filter.frames = [test_dhcp.request(DISCOVER, mac=mac) for mac in (SPEAKER_MAC, OTHER)]
        b.policy._serve_dhcp()
        equal((speakers(), len(filter.sent)), ([SPEAKER_MAC], 1))


async def test_one_that_gives_up_an_address_is_not_taken_for_the_speaker():
    async with Bench() as b:
        for kind in (DECLINE, RELEASE):
            b.asks(kind=kind)
        equal((b.policy.speaker, speakers()), (None, []))
        # One with an address of before is: it is told to ask anew.
        b.asks(kind=REQUEST, requested=b"\xc0\xa8\1\5")
        equal((b.policy.speaker, filter.sent[-1][0][242]), (SPEAKER_MAC, 6))


async def test_a_speaker_that_is_silent_makes_room_for_another():
    with Console() as console:
        async with Bench() as b:
            b.asks()
            await b.wait(SILENT_S - 1)
            assert b.segment.present
            b.asks(kind=REQUEST, requested=X)
            await b.wait(SILENT_S - 0.001)
            equal(speakers(), [SPEAKER_MAC])
            await b.wait(0.001)
            equal((speakers(), b.policy.speaker, b.segment.present), ([SPEAKER_MAC, None], None, False))
            equal(b.policy.speaker_addr, inet.ZERO)
            b.asks(OTHER)
            await b.turns()
            equal((b.policy.speaker, b.segment.present), (OTHER, True))
    equal(console.text.count("left its cable"), 1)


async def test_others_who_ask_do_not_keep_a_silent_speaker():
    async with Bench() as b:
        b.asks()
        await b.wait(SILENT_S - 1)
        b.asks(OTHER)
        await b.wait(1)
        equal(b.policy.speaker, None)


async def test_a_cable_that_is_pulled_and_put_back():
    async with Bench() as b:
        b.plug.now = GOT_IP
        b.asks()
        await b.turns()
        b.plug.now = DISCONNECTED
        await b.turns()
        equal((b.segment.present, b.policy.speaker), (False, SPEAKER_MAC))
        await b.wait(LINK_HOLD_S - 1)
        b.plug.now = GOT_IP
        b.asks(kind=REQUEST, requested=X)
        await b.turns()
        equal((b.segment.present, speakers()), (True, [SPEAKER_MAC]))
        await b.wait(LINK_HOLD_S)
        equal(speakers(), [SPEAKER_MAC])


async def test_another_speaker_on_the_cable():
    for gap_s in (5, LINK_HOLD_S - 1):
        async with Bench() as b:
            b.asks()
            await b.turns()
            b.plug.now = DISCONNECTED
            await b.turns()
            await b.wait(gap_s)
            b.plug.now = GOT_IP
            b.asks(OTHER)
            await b.turns()
            # The one of before might be back any moment.
            equal((b.policy.speaker, b.segment.present), (SPEAKER_MAC, False))
            await b.wait(LINK_HOLD_S - gap_s)
            equal(b.policy.speaker, None)
            b.asks(OTHER)
            await b.turns()
            equal((b.policy.speaker, b.segment.present), (OTHER, True))


async def test_wrong_words_of_the_driver_mean_nothing():
    """A Wi-Fi station that gets an address makes MicroPython say "started" of Ethernet, one that loses it "stopped"."""
    async with Bench() as b:
        b.asks()
        for status in (CONNECTED, GOT_IP, STARTED, 2, STARTED):
            b.plug.now = status
            await b.wait(1)
            assert b.segment.present
        equal(speakers(), [SPEAKER_MAC])


async def test_another_address_makes_the_speaker_ask_again():
    async with Bench() as b:
        b.plug.now = GOT_IP
        b.asks(kind=REQUEST, requested=X)
        await b.turns()
        b.policy.addressing("private", [])
        assert ("deauth", SPEAKER_MAC) in filter.calls  # the glue takes the link down, and up again
        b.plug.now = DISCONNECTED
        await b.turns()
        equal((b.segment.present, b.policy.speaker), (False, SPEAKER_MAC))
        b.ms += 1
        b.plug.now = GOT_IP
        b.asks(kind=REQUEST, requested=inet.SEGMENT_SPEAKER)
        await b.turns()
        equal((b.segment.present, b.policy.speaker_addr), (True, inet.SEGMENT_SPEAKER))
        equal(speakers(), [SPEAKER_MAC])


async def test_the_bridge_follows_a_segment_that_moves():
    async with Bench() as b:
        b.policy.host = inet.SEGMENT_HOSTS[1]
        await b.turns()
        equal(b.plug.calls[-1], ("ipconfig", {"addr4": ("172.31.77.1", "255.255.255.0")}))


async def test_a_segment_that_moves_leaves_the_name_server():
    async with Bench() as b:
        equal(b.plug.server, "10.66.0.1")
        b.policy.host = inet.SEGMENT_HOSTS[1]
        await b.turns()
        equal(b.plug.server, "10.66.0.1")
        b.plug.server = "0.0.0.0"  # none is known
        b.policy.host = inet.SEGMENT_HOSTS[0]
        await b.turns()
        equal((b.plug.server, len(b.plug.calls)), ("0.0.0.0", 4))
