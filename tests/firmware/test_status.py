import json
import sys

from check import equal, until
from stage import BRIDGE_ID, MASK, ME, ROUTER, SEGMENT_MAC, SPEAKER_MAC, STATION_MAC, Clock, X


class Light:
    """The one pin of the light: the board's pins need the board."""

    OUT = 3

    def __init__(self, name, mode):
        equal((name, mode), ("LED", 3))
        self.levels = []
        Light.made = self

    def value(self, level):
        self.levels.append(level)


class Machine:
    Pin = Light


sys.modules["machine"] = Machine

from speakeasy import openness as o  # noqa: E402
from speakeasy import status as statuses  # noqa: E402
from speakeasy.files import Files  # noqa: E402
from speakeasy.lockout import Lockout  # noqa: E402
from speakeasy.onetime import OneTime  # noqa: E402
from speakeasy.openness import Openness  # noqa: E402
from speakeasy.phones import Phones  # noqa: E402
from speakeasy.policy import Policy  # noqa: E402
from speakeasy.reached import Reached  # noqa: E402
from speakeasy.request import paged  # noqa: E402
from speakeasy.session import MAX_TEXT  # noqa: E402
from speakeasy.settings import Settings  # noqa: E402
from speakeasy.status import Status  # noqa: E402


class Uplink:
    state, ssid, addr, mask, router = "up", "Dorm", X, MASK, ROUTER
    failed = None
    cable = False


class Segment:
    state, present, cable = "up", True, False


class Button:
    ms = 0

    def held_ms(self):
        return self.ms


class Bench:
    def __init__(self):
        self.settings = Settings(Files(), BRIDGE_ID)
        self.phones = Phones(self.settings)
        self.clock = Clock()
        self.lockout = Lockout(Files(), self.clock)
        self.uplink, self.segment, self.button = Uplink(), Segment(), Button()
        self.invites = OneTime(4, 600, self.clock)
        reached = Reached(Files(), self.phones, self.clock)
        self.openness = Openness(self.phones, self.lockout, self.invites, self.uplink, reached, self.clock)
        self.policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        self.beats = 0
        self.status = Status(
            ME,
            self.settings,
            self.uplink,
            self.segment,
            self.policy,
            self.phones,
            self.openness,
            self.button,
            self.beat,
        )

    def beat(self):
        self.beats += 1


def test_the_most_pressing_state_shows():
    b = Bench()
    b.uplink.state = "wrong-key"
    b.segment.present = False
    for _ in range(5):
        b.lockout.wrong()
    equal(b.status.pattern(), statuses.LOCKED)
    b.lockout.good()
    equal(b.status.pattern(), statuses.UNOWNED)
    b.phones.add(b.phones.draft("x", "owner"))
    equal(b.status.pattern(), statuses.NO_UPLINK)
    b.uplink.state = "up"
    equal(b.status.pattern(), statuses.NO_SPEAKER)
    b.segment.present = True
    equal(b.status.pattern(), statuses.WELL)
    b.invites.put(b"INVITE01", (b"s" * 16, "guest"))
    equal(b.status.pattern(), statuses.INVITED)
    for _ in range(5):
        b.lockout.wrong()
    equal(b.status.pattern(), statuses.LOCKED)
    b.openness.open_for(o.WINDOW, 120)
    equal(b.status.pattern(), statuses.WINDOW)


def test_the_light_shows_the_button_and_warns_before_it_erases():
    b = Bench()
    for ms, pattern in (
        (0, statuses.UNOWNED),
        (1, statuses.PRESSED),
        (2999, statuses.PRESSED),
        (3000, statuses.ERASING),
        (9999, statuses.ERASING),
    ):
        b.button.ms = ms
        equal(b.status.pattern(), pattern)


def test_patterns_differ():
    names = ["ERASING", "PRESSED", "WINDOW", "LOCKED", "UNOWNED", "INVITED", "NO_UPLINK", "NO_SPEAKER", "WELL"]
    # As they are seen: over one second.
    patterns = {(getattr(statuses, name) * 8)[:8] for name in names}
    equal(len(patterns), len(names))


def test_the_answer_says_whether_bluetooth_is_on():
    b = Bench()
    equal(b.status.answer()["ble"], {"state": "unowned", "left_s": None})
    b.openness.open_for(o.WINDOW, 120)
    b.clock.now += 20
    equal(b.status.answer()["ble"], {"state": "window", "left_s": 100})


async def test_the_light_blinks():
    import asyncio

    b = Bench()
    task = asyncio.create_task(b.status.run())
    await until(lambda: len(Light.made.levels) >= 4)
    task.cancel()
    equal(Light.made.levels[:4], [1, 0, 1, 0])
    assert b.beats >= 4


def test_answer():
    b = Bench()
    b.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
    b.policy.speaker_seen(SPEAKER_MAC)
    answer = b.status.answer()
    equal(
        answer["uplink"],
        {"state": "up", "ssid": "Dorm", "addr": "10.66.0.100", "mask": "255.255.252.0", "router": "10.66.0.1"},
    )
    equal(answer["segment"], {"state": "up", "speaker": "02:00:00:00:42:20", "addr": "", "host": "192.168.77.1"})
    equal((answer["bridge"], answer["mode"], answer["claim_port"]), (BRIDGE_ID.hex(), "passthrough", 7780))
    equal((answer["phones"], answer["flows"]), (0, 0))
    assert answer["uptime_s"] >= 0 and answer["version"] and "damaged" not in answer


def test_the_mode_is_shown():
    b = Bench()
    equal(b.status.answer()["mode"], "passthrough")
    b.settings.change(mode="private")
    equal(b.status.answer()["mode"], "private")


def test_the_side_on_the_cable_is_shown():
    b = Bench()
    equal(b.status.answer()["ethernet"], None)
    b.segment.cable = True
    equal(b.status.answer()["ethernet"], "segment")
    b.segment.cable, b.uplink.cable = False, True
    equal(b.status.answer()["ethernet"], "uplink")


def longest(b, ssid):
    b.segment.cable = True
    b.uplink.ssid, b.uplink.state = ssid, "unusable-address"
    b.uplink.failed = {"ssid": ssid, "state": "unusable-address"}
    b.uplink.addr = b.uplink.mask = b.uplink.router = b"\xdf\xff\xff\xfe"
    b.settings.damaged = True
    b.policy.speaker_seen(SPEAKER_MAC)
    b.policy.speaker_addr = b.uplink.addr
    b.policy.flows = lambda: 65535
    # 16 leases of the longest kind, as paged() is given them.
    lease = {"phone": "a" * 16, "addr": "223.255.255.254", "mac": "02:00:00:00:42:20", "by": "mac", "left_s": 604800}
    return [dict(lease, phone="%016x" % n) for n in range(16)]


def test_the_longest_answer_fits_whatever_the_networks_are_called():
    for ssid in ("x" * 32, '"' * 32, "\\" * 32, "\x01" * 32, "\x7f" * 32, "é" * 16, "\U0001f50a" * 8):
        b = Bench()
        leases = longest(b, ssid)
        b.segment.present = False
        first = paged(b.status.answer(), "leases", leases, {"page": 0})
        first["id"], first["ok"] = 0x7FFFFFFF, True
        assert len(json.dumps(first).encode()) <= MAX_TEXT
        b.segment.present = True
        seen, page, more = [], 0, True
        while more:
            answer = paged(b.status.answer(), "leases", leases, {"page": page})
            answer["id"], answer["ok"] = 0x7FFFFFFF, True
            assert len(json.dumps(answer).encode()) <= MAX_TEXT
            if not page:
                equal((answer["uplink"]["ssid"], answer["uplink"]["failed"]["ssid"]), (ssid, ssid))
            seen += answer["leases"]
            more = answer.get("more", False)
            page += 1
        equal(seen, leases)


def test_a_speaker_that_has_left():
    b = Bench()
    b.policy.speaker_seen(SPEAKER_MAC)
    b.policy.speaker_addr = X
    equal([b.status.answer()["segment"].get(name) for name in ("there", "addr")], [None, "10.66.0.100"])
    b.segment.present = False
    there = b.status.answer()["segment"]
    equal((there["speaker"], there["there"], there["addr"]), ("02:00:00:00:42:20", False, ""))
    b.policy.speaker_gone()
    equal([b.status.answer()["segment"].get(name) for name in ("speaker", "there")], [None, None])


def test_answer_without_anything():
    b = Bench()
    b.uplink.state, b.uplink.ssid, b.uplink.addr, b.uplink.mask, b.uplink.router = (
        "off",
        "",
        bytes(4),
        bytes(4),
        bytes(4),
    )
    answer = b.status.answer()
    equal(answer["uplink"], {"state": "off", "ssid": "", "addr": "", "mask": "", "router": ""})
    equal(answer["segment"]["speaker"], None)
    equal(b.status.leases(), [])


def test_a_join_that_failed_is_told():
    b = Bench()
    b.uplink.failed = {"ssid": "Other", "state": "wrong-key"}
    answer = b.status.answer()["uplink"]
    equal((answer["state"], answer["ssid"]), ("up", "Dorm"))
    equal(answer["failed"], {"ssid": "Other", "state": "wrong-key"})


def test_leases():
    b = Bench()
    b.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
    b.policy.grant("a" * 16, b"\x0a\x63\0\5", 1)
    lease = b.status.leases()[0]
    assert 43190 <= lease.pop("left_s") <= 43200
    equal(lease, {"phone": "a" * 16, "addr": "10.99.0.5", "mac": None, "by": "address"})


def test_a_lease_on_the_same_link_is_by_mac():
    b = Bench()
    b.policy.leases = lambda: [("a" * 16, X[:3] + b"\5", SPEAKER_MAC, 60)]
    equal(
        b.status.leases(),
        [{"phone": "a" * 16, "addr": "10.66.0.5", "mac": "02:00:00:00:42:20", "by": "mac", "left_s": 60}],
    )


def test_damaged_settings_are_said():
    with open("settings.json", "w") as f:
        f.write("broken")
    assert Bench().status.answer()["damaged"] is True


def test_no_secret_in_the_answer():
    b = Bench()
    b.phones.add(b.phones.draft("x", "owner"))
    b.settings.remember_network("Dorm", "correct horse")
    text = json.dumps(b.status.answer())
    for secret in (b.phones.all()[0]["key"], "correct horse", b.settings.segment["key"], ME.setup_code.hex()):
        assert secret not in text
