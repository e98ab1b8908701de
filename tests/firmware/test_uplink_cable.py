# A scripted socket stands for the driver; the driver on a real network is tested in tests/sim and in the dorm.
import asyncio

from check import equal, until
from speakeasy import inet, uplink
from speakeasy.files import Files
from speakeasy.settings import Settings
from speakeasy.uplink_cable import CableUplink
from stage import BRIDGE_ID, MASK, ROUTER, Console, X

STARTED, CONNECTED, DISCONNECTED, GOT_IP = 1, 3, 4, 5
NOTHING = (inet.ZERO, inet.ZERO, inet.ZERO, b"")
THERE = (X, MASK, ROUTER, ROUTER)
TIME_LIMIT_S = 60
# Long enough for a machine that is busy, where nothing may end; AT_ONCE where something has to.
uplink.JOIN_MS = uplink.HOLD_MS = 30_000
AT_ONCE = 1


class Plug:
    """The socket's driver, as far as the firmware uses it."""

    def __init__(self, status=STARTED):
        self.now = status
        self.addr = ("10.66.0.100", "255.255.252.0")
        self.actives = []
        import network

        network.ipconfig = lambda _: "10.66.0.1"

    def active(self, on):
        self.actives.append(on)

    def status(self):
        return self.now

    def ipconfig(self, what):
        # As lwIP has it: without a link there is no address.
        if self.now != GOT_IP:
            return ("0.0.0.0", "0.0.0.0") if what == "addr4" else "0.0.0.0"
        return self.addr if what == "addr4" else "10.66.0.1"


class Bench:
    def __init__(self, status=STARTED):
        self.plug = Plug(status)
        self.settings = Settings(Files(), BRIDGE_ID)
        self.told = []
        self.beats = 0
        self.up = CableUplink(self.plug, self.settings, lambda *all: self.told.append(all), self.beat)

    def beat(self):
        self.beats += 1

    async def turns(self, count=2):
        before = self.beats
        await until(lambda: self.beats >= before + count)

    async def reaches(self, state):
        await until(lambda: self.up.state == state)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.up.run())
        await until(lambda: self.beats)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()


async def test_a_cable_and_an_address():
    with Console() as console:
        async with Bench() as b:
            equal((b.plug.actives, b.told, b.up.state, b.up.ssid), ([True], [NOTHING], uplink.JOINING, ""))
            b.plug.now = CONNECTED
            await b.turns()
            equal((b.up.state, b.told), (uplink.JOINING, [NOTHING]))
            b.plug.now = GOT_IP
            await b.reaches(uplink.UP)
            equal(b.told, [NOTHING, THERE])
            equal((b.up.addr, b.up.mask, b.up.router, b.up.failed), (X, MASK, ROUTER, None))
            await b.turns()
            equal(len(b.told), 2)
    equal(console.text.count("10.66.0.100"), 1)


async def test_no_cable_is_said_once_and_only_after_a_while():
    with Console() as console:
        async with Bench() as b:
            await b.turns(4)
            equal(b.up.state, uplink.JOINING)
            uplink.JOIN_MS = AT_ONCE
            await b.reaches(uplink.NO_CABLE)
            await b.turns(8)
            equal(b.told, [NOTHING])
            uplink.JOIN_MS = 30_000
            b.plug.now = CONNECTED
            await b.reaches(uplink.JOINING)
            b.plug.now = GOT_IP
            await b.reaches(uplink.UP)
    equal(console.text.count("no link"), 1)


async def test_a_network_without_dhcp():
    with Console() as console:
        async with Bench(CONNECTED) as b:
            uplink.JOIN_MS = AT_ONCE
            await b.reaches(uplink.NO_DHCP)
            await b.turns(8)
            equal(b.up.state, uplink.NO_DHCP)
            # The cable is pulled: another thing to do for whoever reads it.
            b.plug.now = DISCONNECTED
            await b.reaches(uplink.NO_CABLE)
            equal(b.told, [NOTHING])
    equal(console.text.count("no address"), 1)


async def test_a_short_gap_changes_nothing():
    async with Bench(GOT_IP) as b:
        await b.reaches(uplink.UP)
        b.plug.now = DISCONNECTED
        await b.reaches(uplink.LOST)
        await b.turns()
        equal((b.told, b.up.addr, b.up.state), ([NOTHING, THERE], X, uplink.LOST))
        b.plug.now = GOT_IP
        await b.reaches(uplink.UP)
        equal(b.told, [NOTHING, THERE])


async def test_a_long_gap_ends_all_and_the_address_comes_back():
    async with Bench(GOT_IP) as b:
        await b.reaches(uplink.UP)
        b.plug.now = DISCONNECTED
        await b.reaches(uplink.LOST)
        uplink.HOLD_MS = AT_ONCE
        await b.reaches(uplink.JOINING)
        equal((b.told, b.up.addr), ([NOTHING, THERE, NOTHING], inet.ZERO))
        uplink.JOIN_MS = AT_ONCE
        await b.reaches(uplink.NO_CABLE)
        b.plug.now = GOT_IP
        await b.reaches(uplink.UP)
        equal(b.told, [NOTHING, THERE, NOTHING, THERE])


async def test_another_address():
    async with Bench(GOT_IP) as b:
        await b.reaches(uplink.UP)
        b.plug.addr = ("10.66.0.101", "255.255.252.0")
        await until(lambda: len(b.told) == 3)
        equal(b.told[-1], (X[:3] + b"\x65", MASK, ROUTER, ROUTER))
        # Also after a gap.
        b.plug.now = DISCONNECTED
        await b.reaches(uplink.LOST)
        b.plug.addr = ("10.66.0.100", "255.255.252.0")
        b.plug.now = GOT_IP
        await until(lambda: len(b.told) == 4)
        equal((b.told[-1], b.up.state), (THERE, uplink.UP))


async def test_an_address_that_no_machine_can_have():
    with Console() as console:
        b = Bench(GOT_IP)
        b.plug.addr = ("127.0.0.9", "255.255.255.0")
        async with b:
            await b.reaches(uplink.UNUSABLE)
            await b.turns()
            equal((set(b.told), b.up.addr), ({NOTHING}, inet.ZERO))
            b.plug.addr = ("10.66.0.100", "255.255.252.0")
            await b.reaches(uplink.UP)
            b.plug.addr = ("127.0.0.9", "255.255.255.0")
            await b.reaches(uplink.UNUSABLE)
            equal(b.told[-2:], [THERE, NOTHING])
    assert "no machine can have" in console.text


async def test_networks_are_kept_for_another_time():
    async with Bench(GOT_IP) as b:
        b.settings.remember_network("Dorm", "")
        await b.reaches(uplink.UP)
        equal((b.up.forget("Dorm"), b.up.forget("Dorm"), b.settings.uplinks), (True, False, []))
        equal(b.up.state, uplink.UP)
