# A scripted radio stands for the driver: here it is the firmware's reading of the driver's stati that is under test.
# The driver on a real network with a real DHCP server is tested in tests/sim and in the dorm.
import asyncio

from check import equal, raises, until
from speakeasy import inet, uplink
from speakeasy.files import Files
from speakeasy.settings import Settings
from speakeasy.uplink import Uplink
from stage import BRIDGE_ID, MASK, ROUTER, Clock, Console, FailingFlash, X, wipe

TIME_LIMIT_S = 40
IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
# Nobody's patience is under test.
uplink.JOIN_MS = 3_000
uplink.HOLD_MS = 7_000
uplink.LOGIN_MS = 4_000
uplink.FIRST_PAUSE_MS = 500


class Radio:
    """One station. `networks`: ssid -> (key, what happens: "up", "no-dhcp", or a status)."""

    def __init__(self, networks):
        self.networks = networks
        self.ssid = None
        self.addr = "10.66.0.100"
        self.mask = "255.255.252.0"
        self.stale = IDLE
        self.slow = 3  # from this look on the driver tells of the attempt that there is
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
        if self.polls < self.slow or self.outcome == "no-dhcp":
            return CONNECTING if self.stale == IDLE else self.stale  # the driver still tells of the attempt before
        return (CONNECTING if self.gone else GOT_IP) if self.outcome == "up" else self.outcome

    def isconnected(self):
        return self.ssid is not None and self.outcome == "up" and self.polls >= self.slow and not self.gone

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


LOGIN = {"user": "ada@uni.example", "password": "hunter2", "identity": "anonymous@uni.example"}
LOGIN.update({"server": "radius.uni.example", "inner": "mschapv2"})
WHO = ("anonymous@uni.example", "ada@uni.example", "hunter2", "radius.uni.example", "mschapv2")


class Eap:
    """The login goes to the radio, as on the chip: connect() without a name joins what was set."""

    def __init__(self, radio, error=0):
        self.radio = radio
        self.calls = []
        self.error = error
        self.connect = radio.connect

    def on(self, ssid, *who):
        if self.error:
            raise OSError(self.error)
        self.calls.append(who)

        def connect(name=None, key=None):
            return self.connect(*(("Uni", "login") if name is None else (name, key)))

        self.radio.connect = connect

    def off(self):
        self.calls.append("off")
        self.radio.connect = self.connect


def with_login(b, error=0):
    uplink.eap = Eap(b.radio, error)
    b.settings.remember_network("Uni", "", LOGIN)
    return b


async def test_logs_in_and_leaves_the_login_behind():
    b = with_login(Bench({"Uni": ("login", "up"), "Dorm": ("correct horse", "up")}, []))
    with Console() as console:
        async with b:
            await until(lambda: b.up.state == uplink.UP)
            equal(uplink.eap.calls, [WHO])
            b.up.join("Dorm", "correct horse")
            await until(lambda: b.up.state == uplink.UP and b.up.ssid == "Dorm", 6000)
            equal(uplink.eap.calls, [WHO, "off"])
            b.up.join("Uni", "", LOGIN)
            await until(lambda: b.up.state == uplink.UP and b.up.ssid == "Uni", 6000)
            equal(b.settings.uplinks[0], {"ssid": "Uni", "key": "", "login": LOGIN})
    assert "hunter2" not in console.text


async def test_wrong_login():
    for reason in (23, 202, 204, 15):
        with Console() as console:
            async with with_login(Bench({"Uni": ("login", reason)}, [])) as b:
                await until(lambda: b.up.state == uplink.WRONG_LOGIN, 20_000)
        assert "Uni refused" in console.text and "hunter2" not in console.text


async def test_a_radio_that_takes_no_login():
    networks = {"Uni": ("login", "up"), "Dorm": ("correct horse", "up")}
    b = with_login(Bench(networks, [("Dorm", "correct horse")]), 0x106)
    with Console() as console:
        async with b:
            await until(lambda: b.up.state == uplink.UP, 20_000)
            equal(b.up.ssid, "Dorm")
    assert "does not take the login for Uni" in console.text


async def test_wrong_key_by_the_other_reasons():
    for reason in (15, 204):
        await outcome({"Dorm": ("correct horse", reason)}, [("Dorm", "correct horse")], uplink.WRONG_KEY, "is wrong")


async def test_no_such_network():
    await outcome({}, [("Dorm", "correct horse")], uplink.NO_NETWORK, "no network Dorm here")


async def test_no_dhcp_answer():
    await outcome({"Dorm": ("", "no-dhcp")}, [("Dorm", "")], uplink.NO_DHCP, "gives it no address")


async def test_no_dhcp_answer_is_not_taken_for_a_wrong_key_of_before():
    b = Bench({"Dorm": ("", "no-dhcp")}, [("Dorm", "")])
    b.radio.stale = 202
    async with b:
        await until(lambda: b.up.state not in (uplink.OFF, uplink.JOINING), 20_000)
        equal(b.up.state, uplink.NO_DHCP)


async def settles(radio_says, of_before, slow=3):
    """How a join ends, where the driver tells of the attempt before at first, with that outcome."""
    b = Bench({"Dorm": ("", radio_says)}, [("Dorm", "")])
    b.radio.stale, b.radio.slow = of_before, slow
    async with b:
        await until(lambda: b.up.state not in (uplink.OFF, uplink.JOINING), 60_000)
        return b.up.state


async def test_a_slow_network_is_not_taken_for_the_failure_of_before():
    patience, uplink.JOIN_MS = uplink.JOIN_MS, 60_000
    try:
        for reason in (202, 201):
            equal(await settles("up", reason, slow=16), uplink.UP)  # there is a look each 250 ms
    finally:
        uplink.JOIN_MS = patience


async def test_the_same_failure_once_more():
    for reason, state in ((202, uplink.WRONG_KEY), (201, uplink.NO_NETWORK)):
        equal(await settles(reason, reason), state)


async def test_neither_in_nor_refused():
    await outcome({"Dorm": ("", CONNECTING)}, [("Dorm", "")], uplink.FAILED, "nobody knows why")


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


async def test_another_order_does_not_move_the_bridge():
    networks = {"A": ("", "up"), "B": ("", "up")}
    async with Bench(networks, [("B", ""), ("A", "")]) as b:
        await until(lambda: b.up.state == uplink.UP, 6000)
        equal(b.up.ssid, "A")
        b.settings.order_networks(["B", "A"])
        before = b.beats
        await until(lambda: b.beats > before + 4)
        equal((b.up.state, b.up.ssid, len(b.told)), (uplink.UP, "A", 1))
        # It counts when there is a choice again.
        b.radio.networks["A"] = ("other", 201)
        b.radio.gone = True
        b.radio.back_on_connect = False
        await until(lambda: b.up.state == uplink.LOST)
        b.radio.networks["A"] = ("", "up")
        b.radio.networks["B"] = ("", "up")
        await until(lambda: "connect B" in b.radio.calls, uplink.HOLD_MS + 8000)
        equal([c for c in b.radio.calls if c.startswith("connect")], ["connect A", "connect B"])


async def test_forgetting_another_network_does_not_move_the_bridge():
    async with Bench({"A": ("", "up"), "B": ("", "up")}, [("B", ""), ("A", "")]) as b:
        await until(lambda: b.up.state == uplink.UP, 6000)
        equal(b.up.forget("B"), True)
        equal((b.up.forget("B"), b.up.forget("Nowhere")), (False, False))
        before = b.beats
        await until(lambda: b.beats > before + 4)
        equal((b.up.state, b.up.ssid, len(b.told), saved()), (uplink.UP, "A", 1, [{"ssid": "A", "key": ""}]))
        assert "disconnect" not in b.radio.calls


async def test_forgetting_the_present_network_leaves_it_for_the_next():
    async with Bench({"A": ("", "up"), "B": ("", "up")}, [("B", ""), ("A", "")]) as b:
        await until(lambda: b.told, 6000)
        equal(b.up.forget("A"), True)
        equal((b.up.state, b.up.ssid), (uplink.OFF, ""))
        await until(lambda: b.up.state == uplink.UP, 6000)
        equal((b.up.ssid, saved()), ("B", [{"ssid": "B", "key": ""}]))


async def test_forgetting_the_only_network_leaves_it():
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        equal(b.up.forget("Dorm"), True)
        await until(lambda: len(b.told) == 2)
        equal((b.up.state, b.up.ssid, b.up.addr, b.radio.ssid, saved()), (uplink.OFF, "", inet.ZERO, None, []))
        before = b.beats
        await until(lambda: b.beats > before + 4)
        equal(b.up.state, uplink.OFF)
        b.up.join("Dorm", "")
        await until(lambda: len(b.told) == 3)
        equal((b.up.state, saved()), (uplink.UP, [{"ssid": "Dorm", "key": ""}]))


async def test_forgetting_a_lost_network_ends_the_search_for_it():
    async with Bench({"Dorm": ("", "up"), "Other": ("", "up")}, [("Other", ""), ("Dorm", "")]) as b:
        await until(lambda: b.up.state == uplink.UP, 6000)
        b.radio.gone = True
        b.radio.back_on_connect = False
        await until(lambda: b.up.state == uplink.LOST)
        equal(b.up.forget("Dorm"), True)
        b.radio.gone = False
        await until(lambda: b.up.state == uplink.UP, 6000)
        equal(b.up.ssid, "Other")


async def test_a_network_that_is_forgotten_while_it_is_joined_is_not_joined_nor_kept():
    for known, ssid in (([("Dorm", "")], "Dorm"), ([("Dorm", "")], "New"), ([], "New")):
        wipe()
        async with Bench({"Dorm": ("", CONNECTING), "New": ("", CONNECTING)}, known) as b:
            await until(lambda: b.beats)
            if ssid == "New":
                b.up.join("New", "")
            await until(lambda ssid=ssid: b.radio.ssid == ssid)
            equal(b.up.forget(ssid), True)
            b.radio.networks[ssid] = ("", "up")
            b.radio.outcome = "up"  # it would have let the bridge in the next moment
            await until(lambda ssid=ssid: b.radio.ssid != ssid)
            assert b.up.ssid != ssid and b.up.failed is None
            assert all(network["ssid"] != ssid for network in saved())
            equal(b.up.forget(ssid), False)


async def test_a_network_that_is_forgotten_before_its_turn_is_not_tried():
    async with Bench({"A": ("", CONNECTING), "B": ("", "up")}, [("B", ""), ("A", "")]) as b:
        await until(lambda: b.radio.ssid == "A")
        b.up.forget("B")
        await until(lambda: b.up.state == uplink.FAILED, 6000)
        before = b.beats
        await until(lambda: b.beats > before + 1)
        assert "connect B" not in b.radio.calls
    b = Bench({"A": ("", "up"), "B": ("", "up")}, [("A", "")])
    async with b:
        await until(lambda: b.up.state == uplink.UP)
        b.up.join("B", "")
        equal(b.up.forget("B"), True)
        await until(lambda: len(b.told) == 2, 6000)
        equal((b.up.ssid, saved()), ("A", [{"ssid": "A", "key": ""}]))
        assert "connect B" not in b.radio.calls


async def test_a_failure_of_a_forgotten_network_is_forgotten():
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        b.up.join("Gone", "")
        await until(lambda: b.up.failed and b.up.state == uplink.UP, 12_000)
        equal(b.up.forget("Gone"), False)
        equal(b.up.failed, None)


async def test_a_power_cut_while_a_network_is_forgotten_leaves_the_old_or_the_new():
    for survives in range(4):
        wipe()
        b = Bench({}, [("Dorm", "correct horse")])
        b.up.state, b.up.ssid = uplink.UP, "Dorm"
        b.settings._files = FailingFlash(survives)
        try:
            b.up.forget("Dorm")
            equal(saved(), [])
        except OSError:
            equal((saved(), b.settings.uplinks, b.up.ssid), ([DORM], [DORM], "Dorm"))


async def test_scan_while_the_bridge_is_up_costs_no_connection():
    async with Bench({"Dorm": ("", "up"), "Other": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        equal(sorted([entry["ssid"] for entry in b.up.scan()]), ["Dorm", "Other"])
        equal((b.up.state, b.radio.calls.count("scan"), "disconnect" in b.radio.calls), (uplink.UP, 1, False))
        # Again so soon: the same one.
        b.radio.networks["New"] = ("", "up")
        equal(len(b.up.scan()), 2)
        b.up._seen_at -= uplink.SCAN_REST_S - 1
        equal((len(b.up.scan()), b.radio.calls.count("scan")), (2, 1))
        b.up._seen_at -= 1
        equal((len(b.up.scan()), b.radio.calls.count("scan")), (3, 2))


async def test_scan_waits_while_the_radio_looks_for_a_lost_network():
    async with Bench({"Dorm": ("", "up")}, [("Dorm", "")]) as b:
        await until(lambda: b.told)
        b.up.scan()
        b.radio.gone = True
        b.radio.back_on_connect = False
        await until(lambda: b.up.state == uplink.LOST)
        # The one before has to do, for a minute.
        b.up._seen_at -= uplink.SCAN_KEPT_S - 10
        equal(len(b.up.scan()), 1)
        b.up._seen_at -= 10
        with raises(uplink.Busy):
            b.up.scan()
        b.radio.gone = False
        await until(lambda: b.up.state == uplink.UP)
        equal((len(b.up.scan()), b.radio.calls.count("scan")), (1, 2))


async def test_a_scan_that_fails_while_somebody_waits_for_it_stops_nothing():
    async with Bench({}, [("Dorm", "")]) as b:
        await until(lambda: b.up.state == uplink.JOINING)
        with raises(uplink.Busy):
            b.up.scan()

        def refuse():
            b.radio.calls.append("scan")
            raise OSError("STA must be active")

        b.radio.scan = refuse
        await until(lambda: b.radio.calls.count("connect Dorm") == 2, 10_000)
        equal(b.radio.calls.count("scan"), 1)


async def test_a_scan_as_long_as_it_may_be_does_not_look_like_a_stuck_task():
    """The loop stands still meanwhile: nobody beats. However often an owner asks, the watchdog is fed in between."""
    from speakeasy import health

    now = Clock(0)
    b = Bench({"Dorm": ("", "up")}, [("Dorm", "")])
    watch = health.Health(now, lambda timeout: None)
    b.up._beat = watch.beat("uplink")
    other = watch.beat("another task")
    real = b.radio.scan

    def scan():
        now.now += 10  # five times what a chip takes
        return real()

    b.radio.scan = scan
    uplink.clock.seconds = now
    for _ in range(30):
        b.up.scan()
        equal(watch.ailing(), "")
        other()  # between two requests every task has its turn
        now.now += 1
