# A scripted radio stands for the driver: here it is the firmware's reading of the driver's stati that is under test.
# The driver on a real network with a real DHCP server is tested in tests/sim and in the dorm.
import asyncio

from check import equal, until
from speakeasy import inet, uplink
from speakeasy.files import Files
from speakeasy.settings import Settings
from speakeasy.uplink import Uplink
from stage import BRIDGE_ID, MASK, ROUTER, Console, FailingFlash, X, wipe

TIME_LIMIT_S = 40
IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
# Nobody's patience is under test.
uplink.JOIN_MS = 3_000
uplink.HOLD_MS = 7_000
uplink.FIRST_PAUSE_MS = 500


class Radio:
    """One station. `networks`: ssid -> (key, what happens: "up", "no-dhcp", or a status)."""

    def __init__(self, networks):
        self.networks = networks
        self.ssid = None
        self.addr = "10.66.0.100"
        self.mask = "255.255.252.0"
        self.stale = IDLE
        self.calls = []
        self.gone = False
        self.back_on_connect = True
        import network

        network.ipconfig = lambda _: "10.66.0.1"

    def active(self, on):
        self.calls.append("active")

    def config(self, **settings):
        pass

    def scan(self):
        self.calls.append("scan")
        return [(ssid.encode(), bytes(6), 1, -50, 3, False) for ssid in self.networks]

    def disconnect(self):
        if self.ssid:
            self.calls.append("disconnect")
        self.ssid = None

    def connect(self, ssid=None, key=None):
        if ssid is None:
            self.calls.append("again")
            if self.back_on_connect:
                self.gone = False
            return
        self.calls.append("connect " + ssid)
        self.ssid = ssid
        wanted, outcome = self.networks.get(ssid, (None, 201))
        self.outcome = 202 if wanted is not None and key != wanted else outcome
        self.polls = 0

    def status(self, what=None):
        if what == "rssi":
            if self.ssid and self.outcome in ("up", "no-dhcp") and not self.gone:
                return -50
            raise OSError("Wifi Not Connected")
        if self.ssid is None:
            return self.stale
        self.polls += 1
        if self.polls < 3 or self.outcome == "no-dhcp":
            return CONNECTING if self.stale == IDLE else self.stale  # the driver still tells of the attempt before
        return (CONNECTING if self.gone else GOT_IP) if self.outcome == "up" else self.outcome

    def isconnected(self):
        return self.ssid is not None and self.outcome == "up" and self.polls >= 3 and not self.gone

    def ipconfig(self, what):
        if not self.isconnected():
            return ("0.0.0.0", "0.0.0.0") if what == "addr4" else "0.0.0.0"
        return (self.addr, self.mask) if what == "addr4" else "10.66.0.1"


class Bench:
    def __init__(self, networks, known):
        self.settings = Settings(Files(), BRIDGE_ID)
        for ssid, key in known:
            self.settings.remember_network(ssid, key)
        self.radio = Radio(networks)
        self.told = []
        self.beats = 0
        self.up = Uplink(self.radio, self.settings, lambda *a: self.told.append(a), self.beat)

    def beat(self):
        self.beats += 1

    async def __aenter__(self):
        self.task = asyncio.create_task(self.up.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()


async def test_joins_and_tells():
    async with Bench({"Dorm": ("correct horse", "up")}, [("Dorm", "correct horse")]) as b:
        await until(lambda: b.up.state == uplink.UP)
        await until(lambda: b.told)
        equal(b.told, [(X, MASK, ROUTER, ROUTER)])
        equal((b.up.ssid, b.up.addr), ("Dorm", X))
        assert "scan" not in b.radio.calls


async def outcome(networks, known, state, said, limit_ms=20_000):
    with Console() as console:
        async with Bench(networks, known) as b:
            await until(lambda: b.up.state == state, limit_ms)
            await until(lambda: b.told, limit_ms)
            equal(b.told[-1], (inet.ZERO, inet.ZERO, inet.ZERO, b""))
    assert said in console.text and "Dorm" in console.text, console.text
    assert "correct horse" not in console.text and "wrong horse" not in console.text
    return b


async def test_wrong_key():
    await outcome(
        {"Dorm": ("correct horse", "up")}, [("Dorm", "wrong horse")], uplink.WRONG_KEY, "key of Dorm is wrong"
    )


async def test_wrong_key_by_the_other_reasons():
    for reason in (15, 204):
        await outcome({"Dorm": ("correct horse", reason)}, [("Dorm", "correct horse")], uplink.WRONG_KEY, "is wrong")


async def test_no_such_network():
    await outcome({}, [("Dorm", "correct horse")], uplink.NO_NETWORK, "no network Dorm here")


async def test_no_dhcp_answer():
    await outcome({"Dorm": ("", "no-dhcp")}, [("Dorm", "")], uplink.NO_DHCP, "no DHCP answer")


async def test_no_dhcp_answer_is_not_taken_for_a_wrong_key_of_before():
    b = Bench({"Dorm": ("", "no-dhcp")}, [("Dorm", "")])
    b.radio.stale = 202
    async with b:
        await until(lambda: b.up.state not in (uplink.OFF, uplink.JOINING), 20_000)
        equal(b.up.state, uplink.NO_DHCP)


async def test_neither_in_nor_refused():
    await outcome({"Dorm": ("", CONNECTING)}, [("Dorm", "")], uplink.FAILED, "gives no reason")


async def test_an_address_that_no_machine_can_have():
    b = Bench({"Dorm": ("", "up")}, [("Dorm", "")])
    b.radio.addr, b.radio.mask = "127.0.0.9", "255.255.255.0"
    with Console() as console:
        async with b:
            await until(lambda: b.up.state == uplink.UNUSABLE)
            await until(lambda: b.told)
            equal(b.told[-1][0], inet.ZERO)
    assert "no machine can have" in console.text


async def test_no_network_known_then_told_one():
    with Console() as console:
        async with Bench({"Dorm": ("correct horse", "up")}, []) as b:
            await until(lambda: b.beats > 3)
            equal(b.up.state, uplink.OFF)
            b.up.join("Dorm", "correct horse")
            await until(lambda: b.up.state == uplink.UP)
            equal(b.settings.uplinks, [{"ssid": "Dorm", "key": "correct horse"}])
    assert "no network is known" in console.text and "correct horse" not in console.text


async def test_join_moves_at_once():
    async with Bench({"Dorm": ("", "up"), "Other": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.up.state == uplink.UP)
        b.up.join("Other", "")
        await until(lambda: b.up.state == uplink.UP and b.up.ssid == "Other", 6000)
        equal([c for c in b.radio.calls if c.startswith("connect")], ["connect Dorm", "connect Other"])


def saved():
    return Settings(Files(), BRIDGE_ID).uplinks


DORM = {"ssid": "Dorm", "key": "correct horse"}


async def test_a_network_that_let_us_in_is_remembered_in_front():
    networks = {"Dorm": ("correct horse", "up"), "Other": ("", "up")}
    async with Bench(networks, [("Dorm", "correct horse")]) as b:
        await until(lambda: b.up.state == uplink.UP)
        b.up.join("Other", "")
        equal(saved(), [DORM])  # as a power cut now would leave it
        await until(lambda: len(b.told) == 2, 6000)
        equal(saved(), [{"ssid": "Other", "key": ""}, DORM])
        equal(b.up.failed, None)


async def test_a_wrong_key_for_the_present_network_leads_back_with_the_old_one():
    with Console() as console:
        async with Bench({"Dorm": ("correct horse", "up")}, [("Dorm", "correct horse")]) as b:
            await until(lambda: b.told)
            b.up.join("Dorm", "wrong horse")
            equal((b.settings.uplinks, saved()), ([DORM], [DORM]))
            await until(lambda: b.up.failed, 6000)
            equal(b.up.failed, {"ssid": "Dorm", "state": uplink.WRONG_KEY})
            await until(lambda: b.up.state == uplink.UP, 6000)
            equal((b.settings.uplinks, saved()), ([DORM], [DORM]))
            # Being back is no success of the join that was asked for; a new one forgets the old failure at once.
            equal(b.up.failed, {"ssid": "Dorm", "state": uplink.WRONG_KEY})
            b.up.join("Dorm", "correct horse")
            equal(b.up.failed, None)
            await until(lambda: len(b.told) == 3, 6000)
            equal((b.up.failed, saved()), (None, [DORM]))
    assert "is not kept" in console.text and "horse" not in console.text


async def test_every_failure_leads_back_and_is_told():
    networks = {"Dorm": ("correct horse", "up"), "Deaf": ("", "no-dhcp"), "Odd": ("", CONNECTING)}
    async with Bench(networks, [("Dorm", "correct horse")]) as b:
        await until(lambda: b.told)
        for ssid, state in (("Gone", uplink.NO_NETWORK), ("Deaf", uplink.NO_DHCP), ("Odd", uplink.FAILED)):
            b.up.join(ssid, "")
            await until(lambda: b.up.failed and b.up.state == uplink.UP, 12_000)
            equal((b.up.ssid, b.up.failed), ("Dorm", {"ssid": ssid, "state": state}))
        equal(saved(), [DORM])


async def test_a_new_key_of_the_present_network_replaces_the_old_one():
    b = Bench({"Dorm": ("new horse", "up")}, [("Other", ""), ("Dorm", "correct horse")])
    b.radio.networks["Other"] = ("", "up")
    async with b:
        await until(lambda: b.up.state == uplink.UP, 6000)
        b.up.join("Dorm", "new horse")
        await until(lambda: b.up.state == uplink.UP and b.up.ssid == "Dorm", 6000)
        equal(saved(), [{"ssid": "Dorm", "key": "new horse"}, {"ssid": "Other", "key": ""}])


async def test_the_first_network_is_kept_though_it_fails():
    async with Bench({}, []) as b:
        await until(lambda: b.beats > 3)
        b.up.join("Dorm", "correct horse")
        equal(saved(), [DORM])
        await until(lambda: b.up.failed, 6000)
        equal(b.up.failed, {"ssid": "Dorm", "state": uplink.NO_NETWORK})
        equal(saved(), [DORM])
        b.radio.networks["Dorm"] = ("correct horse", "up")
        await until(lambda: b.up.state == uplink.UP, 6000)
        equal(b.up.failed, None)


async def test_a_second_join_while_the_first_is_tried():
    networks = {"Dorm": ("correct horse", "up"), "Other": ("", "up")}
    async with Bench(networks, [("Dorm", "correct horse")]) as b:
        await until(lambda: b.told)
        b.up.join("Dorm", "wrong horse")
        await until(lambda: b.radio.calls.count("connect Dorm") == 2)
        b.up.join("Other", "")
        await until(lambda: b.up.state == uplink.UP and b.up.ssid == "Other", 6000)
        equal(b.up.failed, None)
        equal(saved(), [{"ssid": "Other", "key": ""}, DORM])


async def test_a_power_cut_while_a_joined_network_is_saved_loses_nothing():
    new = [{"ssid": "Dorm", "key": "new horse"}]
    found = []
    for survives in range(12):
        wipe()
        b = Bench({"Dorm": ("new horse", "up")}, [("Dorm", "correct horse")])
        flash = b.settings._files = FailingFlash(survives)
        equal(await b.up._try(new[0]), True)  # joined all the same
        found.append(saved())
        assert found[-1] in ([DORM], new), (survives, found)
        if flash.operations <= survives:
            break
    equal((found[0], found[-1]), ([DORM], new))


async def test_several_networks_the_one_in_sight_first():
    known = [("Home", "home sweet home"), ("Dorm", "correct horse"), ("Away", "")]
    async with Bench({"Home": ("home sweet home", "up")}, known) as b:
        await until(lambda: b.up.state == uplink.UP)
        equal([c for c in b.radio.calls if c != "active"], ["scan", "connect Home"])


async def test_the_next_network_when_the_first_fails():
    async with Bench({"A": ("right key", "up"), "B": ("", "up")}, [("B", ""), ("A", "wrong key")]) as b:
        await until(lambda: b.up.state == uplink.UP, 10_000)
        equal(b.up.ssid, "B")


async def test_a_changed_address_is_told():
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        b.radio.addr = "10.66.0.101"
        await until(lambda: len(b.told) == 2)
        equal(b.told[1][0], inet.parse("10.66.0.101"))


async def test_a_short_gap_keeps_the_address():
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        b.radio.gone = True
        await until(lambda: b.up.state == uplink.LOST)
        equal(len(b.told), 1)
        await until(lambda: b.up.state == uplink.UP, 8000)
        assert "again" in b.radio.calls
        equal(len(b.told), 1)


async def test_a_long_gap_ends_in_no_uplink():
    hold = uplink.HOLD_MS
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        b.radio.gone = True
        b.radio.back_on_connect = False
        b.radio.networks.clear()
        await until(lambda: len(b.told) == 2, hold + 8000)
        equal(b.told[1][0], inet.ZERO)
        equal(b.up.state, uplink.NO_NETWORK)


async def test_retries_with_longer_pauses():
    import time

    async with Bench({}, [("Dorm", "")]) as b:
        times = []
        for n in range(1, 4):
            await until(lambda n=n: b.radio.calls.count("connect Dorm") == n, 15_000)
            times.append(time.ticks_ms())
        first, second = times[1] - times[0], times[2] - times[1]
        assert second > first + 400, (first, second)


async def test_beats_while_it_waits():
    async with Bench({}, [("Dorm", "")]) as b:
        await until(lambda: b.up.state == uplink.NO_NETWORK)
        before = b.beats
        await until(lambda: b.beats > before + 3)


async def test_a_network_that_was_asked_for_shows_at_once():
    """Who asks for the status right after `join` must not be told of the network before."""
    async with Bench({"Dorm": ("correct horse", "up")}, [("Dorm", "correct horse")]) as b:
        await until(lambda: b.up.state == uplink.UP)
        b.up.join("Dorm", "another key")
        equal((b.up.state, b.up.ssid, b.up.failed), (uplink.JOINING, "Dorm", None))
