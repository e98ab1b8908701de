import asyncio

from check import equal, raises, until
from speakeasy import clock, inet, segment
from speakeasy.files import Files
from speakeasy.segment import Segment
from speakeasy.settings import Settings
from stage import BRIDGE_ID, SPEAKER_MAC, Console, FailingFlash

OTHER = b"\2\0\0\0\x42\x99"


class Radio:
    """The access point's driver, as far as the firmware uses it."""

    def __init__(self):
        self.calls = []
        self.there = []

    def active(self, *on):
        self.calls.append(("active",) + on)

    def config(self, **settings):
        self.calls.append(("config", settings))

    def ipconfig(self, **settings):
        self.calls.append(("ipconfig", settings))

    def status(self, what):
        # MicroPython's, from 1.27 on, has an address beside each.
        equal(what, "stations")
        return [(mac, None) for mac in self.there]


class Policy:
    def __init__(self):
        self.speaker = None
        self.windows = []
        self.host = inet.SEGMENT_HOST
        self.seen = []
        self.asked = []
        self.out = []

    def speaker_seen(self, mac):
        self.speaker = mac
        self.seen.append(mac)

    def setup(self, is_open):
        self.windows.append(is_open)
        self.speaker = None
        if is_open:
            self.asked = []

    def throw_out(self, mac):
        self.out.append(mac)


class Bench:
    def __init__(self):
        self.radio = Radio()
        self.policy = Policy()
        self.settings = Settings(Files(), BRIDGE_ID)
        self.beats = 0
        self.segment = Segment(self.radio, self.settings, self.policy, self.beat)

    def beat(self):
        self.beats += 1

    def comes(self, *macs):
        """They are there, alone, and have asked for an address."""
        self.radio.there = list(macs)
        self.policy.asked += [mac for mac in macs if mac not in self.policy.asked]

    async def __aenter__(self):
        self.task = asyncio.create_task(self.segment.run())
        await until(lambda: self.beats)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()


async def test_opens_encrypted_for_one_station():
    with Console() as console:
        async with Bench() as b:
            equal(b.segment.state, segment.UP)
    config = [call[1] for call in b.radio.calls if call[0] == "config"][-1]
    equal(
        config,
        {"ssid": "Speakeasy-b0b1", "key": b.settings.segment["key"], "security": 7, "max_clients": 1},
    )
    assert ("ipconfig", {"addr4": ("192.168.77.1", "255.255.255.0")}) in b.radio.calls
    assert "Speakeasy-b0b1" in console.text and b.settings.segment["key"] not in console.text


async def test_another_name_or_key_is_taken_within_a_second():
    import time

    async with Bench() as b:
        b.comes(SPEAKER_MAC)
        await until(lambda: b.segment.present)
        b.settings.change(segment={"ssid": "Speaker", "key": "a new horse"})
        began = time.ticks_ms()
        with Console() as console:
            await until(lambda: len([call for call in b.radio.calls if call[0] == "config"]) == 2)
            assert time.ticks_diff(time.ticks_ms(), began) < 1000
        equal(
            b.radio.calls[-1],
            ("config", {"ssid": "Speaker", "key": "a new horse", "security": 7, "max_clients": 1}),
        )
        assert "Speaker" in console.text and "horse" not in console.text
        # Told once; the interface was not switched off for it.
        before = b.beats
        await until(lambda: b.beats > before + 1)
        equal([call[0] for call in b.radio.calls].count("config"), 2)
        equal([call[0] for call in b.radio.calls].count("active"), 1)


async def test_the_station_is_the_speaker():
    async with Bench() as b:
        equal((b.policy.seen, b.segment.present), ([], False))
        b.comes(SPEAKER_MAC)
        await until(lambda: b.segment.present)
        before = b.beats
        await until(lambda: b.beats > before + 1)
        equal(b.policy.seen, [SPEAKER_MAC])
        b.radio.there = []
        await until(lambda: not b.segment.present)
        b.comes(OTHER)
        await until(lambda: b.segment.present)
        equal(b.policy.seen, [SPEAKER_MAC, OTHER])


async def test_another_station_in_between_two_looks():
    async with Bench() as b:
        b.comes(SPEAKER_MAC)
        await until(lambda: b.policy.seen)
        b.comes(OTHER)
        await until(lambda: len(b.policy.seen) == 2)
        equal(b.policy.speaker, OTHER)


async def test_the_bridge_follows_a_segment_that_moves():
    with Console() as console:
        async with Bench() as b:
            b.policy.host = inet.SEGMENT_HOSTS[1]
            before = b.beats
            await until(lambda: b.beats > before + 1)
    moves = [call for call in b.radio.calls if call[0] == "ipconfig"]
    equal([call[1]["addr4"] for call in moves], [("192.168.77.1", "255.255.255.0"), ("172.31.77.1", "255.255.255.0")])
    # The access point itself stays up: the speaker is still on it.
    equal([call[0] for call in b.radio.calls].count("active"), 1)
    equal(console.text.count("172.31.77.1"), 1)


def room(b):
    return [call[1]["max_clients"] for call in b.radio.calls if call[0] == "config"][-1]


def restarts(b):
    return [call for call in b.radio.calls if call[0] == "active"][1:]


async def turns(b, count=2):
    before = b.beats
    await until(lambda: b.beats >= before + count)


async def window(b, *there):
    """Opens one of a minute, in which these come."""
    b.segment.open_setup(60)
    b.comes(*there)
    await turns(b)


def at(_, seconds):
    """The clock is turned on."""
    clock.seconds = lambda: seconds


async def test_a_machine_that_has_not_asked_for_an_address_may_not_know_the_key():
    async with Bench() as b:
        b.radio.there = [OTHER]  # its handshake goes on, or fails
        await turns(b)
        equal((b.segment.present, b.policy.seen, b.policy.out), (False, [], []))
        b.comes(SPEAKER_MAC)
        await until(lambda: b.segment.present)
        equal(b.policy.seen, [SPEAKER_MAC])
        # The speaker need not ask again when it comes back.
        b.policy.asked = []
        b.radio.there = []
        await until(lambda: not b.segment.present)
        b.radio.there = [SPEAKER_MAC]
        await until(lambda: b.segment.present)
        equal(b.policy.seen, [SPEAKER_MAC] * 2)


async def test_a_window_has_room_for_two_and_nobody_is_the_speaker():
    at(None, 100)
    async with Bench() as b:
        b.comes(SPEAKER_MAC)
        await until(lambda: b.segment.present)
        await window(b, OTHER, SPEAKER_MAC)
        equal((room(b), b.segment.state, b.segment.present, b.segment.left_s()), (2, segment.SETUP, False, 60))
        equal((b.policy.windows, b.policy.speaker, b.policy.seen), ([True], None, [SPEAKER_MAC]))
        equal((b.segment.undecided, b.policy.out), (False, []))
        at(b, 159)
        await turns(b)
        equal((room(b), b.segment.left_s()), (2, 1))
        at(b, 160)
        await turns(b)
        equal((room(b), b.segment.left_s(), b.policy.windows), (1, 0, [True, False]))
        equal((b.policy.out, restarts(b)), ([OTHER, SPEAKER_MAC], []))
        # Who was alone there before need not have been the speaker: an owner has to say.
        equal((b.settings.speaker, b.segment.undecided, b.segment.state), (None, True, segment.UNDECIDED))
        equal((b.policy.speaker, b.segment.present), (None, False))
        b.segment.decide("02:00:00:00:42:20")
        equal((b.settings.speaker, b.segment.undecided, b.segment.state), ("02:00:00:00:42:20", False, segment.UP))
        s = Settings(Files(), BRIDGE_ID)
        equal((s.speaker, s.undecided), ("02:00:00:00:42:20", False))


async def test_another_than_the_chosen_one_is_thrown_out_whenever_it_is_there():
    at(None, 100)
    with Console() as console:
        async with Bench() as b:
            b.settings.change(speaker="02:00:00:00:42:20")
            b.comes(OTHER)
            await turns(b, 3)
            assert len(b.policy.out) >= 2 and set(b.policy.out) == {OTHER}
            # With or without the key: the place is the speaker's.
            b.radio.there = [OTHER[:5] + b"\x77"]
            await until(lambda: OTHER[:5] + b"\x77" in b.policy.out)
            equal((b.policy.seen, b.segment.present), ([], False))
            # The speaker beside it stays, and plays on.
            b.comes(OTHER, SPEAKER_MAC)
            await until(lambda: b.segment.present)
            await turns(b)
            equal((b.policy.seen, SPEAKER_MAC in b.policy.out, restarts(b)), ([SPEAKER_MAC], False, []))
    # Whoever tries again and again does not fill the log.
    equal(console.text.count("is not the speaker: it is thrown out"), 1)


async def test_of_two_new_ones_none_is_the_speaker_until_it_is_said():
    at(None, 100)
    with Console() as console:
        async with Bench() as b:
            await window(b, OTHER, SPEAKER_MAC)
            b.segment.close_setup()
            b.comes(OTHER)
            await turns(b)
            equal((b.segment.undecided, b.segment.present, b.policy.seen, b.settings.speaker), (True, False, [], None))
            b.segment.decide("02:00:00:00:42:20")
            await turns(b)
            equal((b.segment.present, b.policy.seen), (False, []))
            b.comes(SPEAKER_MAC)
            await until(lambda: b.segment.present)
            equal((b.policy.seen, b.segment.undecided), ([SPEAKER_MAC], False))
    assert "until an owner says" in console.text


async def test_what_a_window_leaves_to_be_said():
    at(None, 100)
    async with Bench() as b:
        for chosen, there, undecided in (
            (None, [], False),
            (None, [OTHER], True),
            (None, [OTHER, SPEAKER_MAC], True),
            ("02:00:00:00:42:20", [], False),
            ("02:00:00:00:42:20", [SPEAKER_MAC], False),
            ("02:00:00:00:42:20", [OTHER, SPEAKER_MAC], False),
            ("02:00:00:00:42:20", [OTHER], True),
        ):
            b.settings.change(speaker=chosen, undecided=False)
            await window(b, *there)
            b.segment.close_setup()
            equal((b.segment.undecided, b.settings.speaker), (undecided, chosen))
            equal(Settings(Files(), BRIDGE_ID).undecided, undecided)
        # A window in which nobody came decides nothing.
        b.settings.change(undecided=True)
        b.segment.open_setup(60)
        b.segment.close_setup()
        equal(b.segment.undecided, True)


async def test_a_restart_neither_in_a_window_nor_after_it_makes_anybody_the_speaker():
    at(None, 100)
    for closed in (False, True):
        async with Bench() as b:
            b.settings.change(speaker=None, undecided=False)
            await window(b, OTHER, SPEAKER_MAC)
            if closed:
                b.segment.close_setup()
        with Console() as console:
            async with Bench() as b:
                equal((b.segment.state, room(b)), (segment.UNDECIDED, 1))
                b.comes(OTHER)
                await turns(b)
                equal((b.segment.present, b.policy.seen, b.policy.out), (False, [], []))
                b.segment.decide("02:00:00:00:42:20")
                b.comes(SPEAKER_MAC)
                await until(lambda: b.segment.present)
                equal(b.policy.seen, [SPEAKER_MAC])
        assert "until an owner says" in console.text


async def test_a_restart_in_a_window_leaves_a_chosen_speaker_alone():
    at(None, 100)
    async with Bench() as b:
        b.settings.change(speaker="02:00:00:00:42:20")
        await window(b, OTHER)
    async with Bench() as b:
        equal((b.segment.state, b.segment.undecided), (segment.UP, False))
        b.comes(OTHER)
        await until(lambda: b.policy.out)
        b.comes(SPEAKER_MAC)
        await until(lambda: b.segment.present)
        equal(b.policy.seen, [SPEAKER_MAC])


async def test_a_window_that_is_opened_again_lasts_longer_and_forgets_nothing():
    at(None, 100)
    async with Bench() as b:
        await window(b, OTHER)
        b.segment.open_setup(600)
        equal((b.segment.left_s(), b.policy.asked, b.policy.windows), (600, [OTHER], [True]))


async def test_a_flash_that_refuses_decides_nothing():
    at(None, 100)
    async with Bench() as b:
        b.policy.speaker = SPEAKER_MAC
        files = b.settings._files
        b.settings._files = FailingFlash(0)
        with raises(OSError):
            b.segment.open_setup(60)
        equal((b.segment.state, b.policy.windows, b.settings.undecided), (segment.UP, [], False))
        b.settings._files = files
        await window(b, OTHER, SPEAKER_MAC)
        b.settings._files = FailingFlash(0)
        with raises(OSError):
            b.segment.decide("02:00:00:00:42:20")
        # What was saved when the window was opened holds: nobody is the speaker.
        b.segment.close_setup()
        equal((b.segment.state, b.policy.windows), (segment.UNDECIDED, [True, False]))
        equal((b.settings.speaker, b.segment.undecided), (None, True))


async def test_a_flash_that_refuses_keeps_no_window_open():
    at(None, 100)
    async with Bench() as b:
        b.settings.change(speaker="02:00:00:00:42:20")
        await window(b, OTHER)
        b.settings._files = FailingFlash(0)
        with Console() as console:
            b.segment.close_setup()
        # Still none but the chosen one can be the speaker.
        equal((b.segment.state, room(b), b.policy.windows), (segment.UP, 1, [True, False]))
        assert "flash" in console.text
        await turns(b)
        equal((b.policy.seen, OTHER in b.policy.out), ([], True))
