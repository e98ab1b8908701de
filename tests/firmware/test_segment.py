import asyncio

from check import equal, until
from speakeasy import inet, segment
from speakeasy.files import Files
from speakeasy.segment import Segment
from speakeasy.settings import Settings
from stage import BRIDGE_ID, SPEAKER_MAC, Console

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
        equal(what, "stations")
        return [(mac,) for mac in self.there]


class Policy:
    def __init__(self):
        self.speaker = None
        self.host = inet.SEGMENT_HOST
        self.seen = []

    def speaker_seen(self, mac):
        self.speaker = mac
        self.seen.append(mac)


class Bench:
    def __init__(self):
        self.radio = Radio()
        self.policy = Policy()
        self.settings = Settings(Files(), BRIDGE_ID)
        self.beats = 0
        self.segment = Segment(self.radio, self.settings, self.policy, self.beat)

    def beat(self):
        self.beats += 1

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
        b.radio.there = [SPEAKER_MAC]
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
        b.radio.there = [SPEAKER_MAC]
        await until(lambda: b.segment.present)
        before = b.beats
        await until(lambda: b.beats > before + 1)
        equal(b.policy.seen, [SPEAKER_MAC])
        b.radio.there = []
        await until(lambda: not b.segment.present)
        b.radio.there = [OTHER]
        await until(lambda: b.segment.present)
        equal(b.policy.seen, [SPEAKER_MAC, OTHER])


async def test_another_station_in_between_two_looks():
    async with Bench() as b:
        b.radio.there = [SPEAKER_MAC]
        await until(lambda: b.policy.seen)
        b.radio.there = [OTHER]
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
