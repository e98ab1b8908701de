import json

from check import equal, raises
from claim_stage import Segment
from speakeasy import clock, eventlog, openness
from speakeasy.claim_server import Wrong
from speakeasy.claims import Claims
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from speakeasy.onetime import OneTime
from speakeasy.openness import Openness
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.reached import Reached
from speakeasy.settings import Settings
from stage import BRIDGE_ID, MASK, ME, ROUTER, SEGMENT_MAC, STATION_MAC, X, claim_proof, wipe

FAR = b"\x0a\x63\0\5"  # behind the router


class Ticks:
    """time, with a ticks counter of 30 bits that is set by hand."""

    def __init__(self):
        self.ms = 0

    def ticks_ms(self):
        return self.ms

    def ticks_diff(self, a, b):
        return ((a - b + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)


def test_it_goes_on_where_ticks_wrap():
    ticks = Ticks()
    real, clock.time = clock.time, ticks
    try:
        clock._last_ms, clock._seconds, clock._rest_ms = 0, 0, 0
        passed = 0
        for _ in range(40):
            passed += 86_400_500
            ticks.ms = passed & ((1 << 30) - 1)
            equal((clock.seconds(), clock.milliseconds()), (passed // 1000, passed))
        assert passed > 3 * (1 << 30)
    finally:
        clock.time = real


def test_parts_of_a_second_add_up():
    ticks = Ticks()
    real, clock.time = clock.time, ticks
    try:
        clock._last_ms, clock._seconds, clock._rest_ms = 0, 0, 0
        for ms in range(0, 10_001, 3):
            ticks.ms = ms
            equal(clock.seconds(), ms // 1000)
    finally:
        clock.time = real


def test_what_spans_the_wrap_lasts_as_long_as_elsewhere():
    # Ten seconds (and a bit) before the ticks of a chip wrap, and of a chip that was up for seven weeks (2^32 ms).
    for wrap in (1 << 30, 1 << 32):
        begin = (wrap // 1000 - 10) * 1000
        wipe()
        ticks = Ticks()
        real, clock.time = clock.time, ticks
        try:
            clock._last_ms, clock._seconds, clock._rest_ms = begin & ((1 << 30) - 1), begin // 1000, begin % 1000
            check_spans(ticks, begin)
        finally:
            clock.time = real


def check_spans(ticks, begin):
    def wait(ms):
        nonlocal begin
        begin += ms
        ticks.ms = begin & ((1 << 30) - 1)

    wait(0)
    phones = Phones(Settings(Files(), BRIDGE_ID))
    phone = phones.draft("x", "owner")
    phones.add(phone)
    lockout, invites, tokens = Lockout(Files()), OneTime(4, 600), OneTime(4, 60)
    reached = Reached(Files(), phones)

    class Uplink:
        state = "up"

    door = Openness(phones, lockout, invites, Uplink(), reached)
    equal(door.word(), "closed")
    reached.moved(X)
    invites.put(b"I" * 8, "", 60)
    tokens.put(b"T" * 16, "")
    door.open_for(openness.WINDOW, openness.WINDOW_S)
    for _ in range(5):
        lockout.wrong()
    policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
    policy.uplink_changed(X, MASK, ROUTER, ROUTER)
    claims = Claims(ME, phones, policy, Segment(), tokens, reached, None, lambda: None)
    challenge = bytes.fromhex(json.loads(claims.respond("GET", "/challenge", b"", FAR, 5000)[3])["challenge"])
    equal(int.from_bytes(challenge[:6], "big"), begin)
    key_id, key = bytes.fromhex(phone["id"]), bytes.fromhex(phone["key"])
    body = {"phone": phone["id"], "challenge": challenge.hex(), "proof": claim_proof(key, key_id, challenge)}
    eventlog.log("test", "before")
    said = eventlog.recent()[-1]
    equal(int(said[1 : said.find("]")]), begin)
    wait(29_999)
    eventlog.log("test", "after")
    said = eventlog.recent()[-1]
    equal(int(said[1 : said.find("]")]), begin)
    equal((lockout.locked_s(), door.word(), door.left_s()), (1, "window", 91))
    equal(claims.respond("POST", "/claim", json.dumps(body).encode(), FAR, 5000)[0], 200)
    late = bytes.fromhex(json.loads(claims.respond("GET", "/challenge", b"", FAR, 5000)[3])["challenge"])
    assert late > challenge
    wait(1)
    equal(lockout.locked_s(), 0)
    wait(29_999)
    body["challenge"], body["proof"] = late.hex(), claim_proof(key, key_id, late)
    with raises(Wrong):  # half a minute and no more
        claims.respond("POST", "/claim", json.dumps(body).encode(), FAR, 5000)
    equal((len(invites), tokens.peek(b"T" * 16)), (1, ("",)))
    wait(1)
    equal((len(invites), tokens.peek(b"T" * 16)), (0, None))
    wait(59_999)
    equal((door.word(), door.left_s()), ("window", 1))
    wait(1)
    reached.by_owner()  # one phone alone
    equal(door.word(), "closed")
