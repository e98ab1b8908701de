# Every parser of a stranger's bytes under fire: bent, cut, swollen, repeated, out of order. Nothing may come out of one
# but its own kind of error, and no memory may stay behind. `--fuzz=N` asks for N inputs, over all tests together
# (`make fuzz-firmware`: 100,000); without it a short run is made. The same N gives the same
# inputs, but for the ids and keys that a bridge makes.
import gc
import json
import os
import random

import claim_stage
import mutate
import test_operations as operation_tests
from check import equal
from speakeasy import claim_server, eventlog, rights, session
from speakeasy.claim_server import Refused
from speakeasy.request import Caller
from speakeasy.session import Direction, Handshake, ProtocolError, Reassembler, fragments
from stage import BRIDGE_ID, SETUP_CODE, Phone, wipe

TIME_LIMIT_S = 1800
SHORT_RUN = 4000
WARM_UP = 400  # inputs, after which everything that is made once is there
MEMORY_BOUND = 256  # bytes that may be in use after all inputs and were not before
STATE_BOUND = 16 * 1024  # bytes that a bridge may hold more, after whatever phones asked of it, than a new one
AFTERMATH = 20  # inputs more, at most, until the collector sees that nothing is in use
ZEROS = bytes(8)
FAR = claim_stage.FAR


def inputs(share):
    """So many inputs are a test's own, of all: `share` per cent."""
    wanted = os.getenv("SPEAKEASY_FUZZ") if hasattr(os, "getenv") else None
    return max(2 * WARM_UP, int(wanted or SHORT_RUN) * share // 100)


class Fire:
    """for _ in Fire(...): tries one input; then says what came of all, and that no memory stayed behind. Who tries it
    does so in a function of its own, so that nothing of it is left in a variable."""

    def __init__(self, name, share, seed):
        self.name = name
        self.count = inputs(share)
        self.good = self.bad = 0
        random.seed(seed)

    def __iter__(self):
        before = 0
        for n in range(self.count):
            if n == WARM_UP:
                before = used()
            yield n
        grown = used() - before
        for n in range(self.count, self.count + AFTERMATH):
            if grown <= MEMORY_BOUND:
                break
            # What is left on the stack of calls that are over pins what it points to. Other calls write over it.
            yield n
            grown = min(grown, used() - before)
        print(
            "%s: %d inputs, %d taken, %d refused, %d bytes more" % (self.name, self.count, self.good, self.bad, grown)
        )
        assert grown <= MEMORY_BOUND, grown
        # Else the inputs have missed their aim.
        assert min(self.good, self.bad) >= self.count // 20, (self.good, self.bad)


def used():
    """Bytes in use, without the event log's."""
    eventlog.clear()
    gc.collect()
    return gc.mem_alloc()


MESSAGES = [bytes([n % 251 for n in range(size)]) for size in (1, 2, 19, 20, 59, 181, 182, 511, 512, 1023, 1024)]


def try_fragments(fire, whole):
    message = random.choice(MESSAGES)
    pieces = list(fragments(message, random.choice((23, 23, 24, 50, 185, 517))))
    if random.randrange(10):
        pieces = mutate.shuffled(pieces, lambda piece: mutate.bent([piece], 512))
    try:
        for piece in pieces:
            got = whole.feed(piece)
            assert got is None or 1 <= len(got) <= session.MAX_MESSAGE
        fire.good += 1
    except ProtocolError as e:
        equal(e.code, session.BAD_MESSAGE)
        fire.bad += 1
    # The next phone's messages are whole, whatever this one left behind.
    whole.reset()
    got = None
    for piece in fragments(message, 185):
        equal(got, None)
        got = whole.feed(piece)
    equal(got, message)


def test_fragments():
    whole = Reassembler()
    fire = Fire("fragments", 25, 1)
    for _ in fire:
        try_fragments(fire, whole)


PHONES = [
    Phone(1, ZEROS, SETUP_CODE, bytes(16)),
    Phone(2, b"phone-id", b"k" * 32, bytes(16)),
    Phone(3, b"inviteid", b"i" * 16, bytes(16)),
]
HELLOS = [phone.hello for phone in PHONES]
OTHERS = [b"\2" + bytes(57), b"\3" + bytes(32), b"\4" + bytes(30), b"\5\1", b"\6" + bytes(32)]


async def try_handshake(fire):
    bridge = Handshake(BRIDGE_ID, mutate.some_bytes)
    phone = random.choice(PHONES)
    try:
        if random.randrange(4):
            hello = mutate.bent(HELLOS + OTHERS, 59)
            mode, key_id = bridge.hello(hello)
            assert mode in (1, 2, 3) and len(key_id) == 8 and len(hello) == 59
            if random.randrange(4):
                return  # what follows takes long
            await bridge.challenge(phone.secret)
            bridge.proof(mutate.bent(HELLOS + OTHERS, 33))
            raise AssertionError("a proof out of thin air")
        bridge.hello(phone.hello)
        proof = await phone.prove(await bridge.challenge(phone.secret))
        given = proof if random.randrange(2) else mutate.bent([proof, phone.hello], 33)
        bridge.proof(given)
        equal(given, proof)
        fire.good += 1
    except ProtocolError as e:
        assert e.code in (session.BAD_MESSAGE, session.BAD_PROOF, session.BAD_VERSION), e.code
        fire.bad += 1


async def test_handshake():
    fire = Fire("handshake", 5, 2)
    for _ in fire:
        await try_handshake(fire)


TEXTS = [b"{}", b'{"op":"status","id":1}', b"x" * session.MAX_TEXT, b'{"op":"bye","id":2147483647}']


def try_records(fire):
    theirs, ours = Direction(b"c" * 16, b"m" * 32), Direction(b"c" * 16, b"m" * 32)
    sent = [random.choice(TEXTS) for _ in range(3)]
    sealed = [theirs.seal(text) for text in sent]
    came = sealed
    if random.randrange(20):
        came = mutate.shuffled(sealed, lambda record: mutate.bent([record] + sealed, 1013))
    opened = 0
    try:
        for record in came:
            text = ours.open(record)
            # Whatever happened on the way: only what was sent, in the order in which it was sent.
            equal((record, text), (sealed[opened], sent[opened]))
            opened += 1
        fire.good += 1
    except ProtocolError as e:
        assert e.code in (session.BAD_MESSAGE, session.BAD_RECORD), e.code
        fire.bad += 1
    if opened < 3:
        equal(ours.open(sealed[opened]), sent[opened])


def test_records():
    fire = Fire("records", 20, 3)
    for _ in fire:
        try_records(fire)


class Bridge(operation_tests.Bridge):
    """A new bridge with an owner and a guest, or without."""

    def __init__(self, owned):
        wipe()
        super().__init__()
        self.invites.put(b"INVITE01", (b"s" * 16, "guest", None))
        self.invites.put(b"INVITE02", (b"s" * 16, "owner", None))
        self.callers = [Caller(1, ZEROS), Caller(1, ZEROS, True), Caller(2, b"unknown0")]
        self.callers += [Caller(3, b"INVITE01"), Caller(3, b"INVITE02")]
        self.ids = []
        for role in ("owner", "guest") if owned else ():
            caller = self.enrolled(role)
            self.callers += [caller] * 5
            self.ids.append(caller.key_id.hex())

    def caller(self):
        """Somebody in a session of their own."""
        caller = random.choice(self.callers)
        return Caller(caller.mode, caller.key_id, caller.window)


NUMBERS = ("0", "1", "-1", "7", "255", "256", "600", "2147483647", "2147483648", "1e400", "-0", "1.5", "9" * 40)
ODD = ("null", "true", '""', '" "', '"x"', '"\\ud800"', '"\\u0000"', '"é"', "[]", "{}", '[""]', "[[[[]]]]", '{"op":1}')
# The members of requests, and what each may well be.
MEMBERS = {
    "name": ('"a name"', '"' + "x" * 32 + '"'),
    "role": ('"owner"', '"guest"'),
    "ssid": ('"dorm"', '"home"', '"' + "\\u0001" * 32 + '"'),
    "key": ('""', '"correct horse"', '"' + "k" * 63 + '"'),
    "mode": ('"private"', '"passthrough"'),
    "hosts": ("[]", '["10.0.0.9"]', '["10.0.0.9","10.0.0.8"]'),
    "page": ("0", "1", "2", "255"),
    "expires_s": ("60", "3600"),
    "order": ("[]", '["dorm"]', '["home","dorm"]'),
    "services": ("[]", '["tcp/1400"]', '["tcp/1400","udp/1900"]'),
    "bridge": ('"%s"' % BRIDGE_ID.hex(), '"0000000000000000"'),
}
OPERATIONS = sorted(rights.TABLE)


def request(bridge, role):
    """The text of a request; most of the time it is JSON, and names an operation that there is."""
    kind = random.randrange(16)
    if kind == 0:
        return mutate.some_bytes(random.randrange(1, 60))
    if kind == 1:
        return random.choice((b"[", b'{"a":', b'"', b"1", b"\\", b"{}", b" ")) * random.randrange(1, 160)
    odd = ODD + NUMBERS
    theirs = [op for op in OPERATIONS if role in rights.TABLE[op]]
    op = random.choice(theirs) if theirs and random.randrange(2) else random.choice(OPERATIONS)
    members = [
        '"op":' + ('"%s"' % op if random.randrange(16) else random.choice(odd)),
        '"id":' + (str(random.getrandbits(31)) if random.randrange(16) else random.choice(odd)),
    ]
    for name, values in MEMBERS.items():
        if random.randrange(3) == 0:
            value = random.choice(values) if random.randrange(4) else random.choice(odd)
            members.append('"%s":%s' % (name, value))
    if bridge.ids and random.randrange(2):
        members.append('"phone":"%s"' % random.choice(bridge.ids))
    if random.randrange(20) == 0:
        members.append('"name":"%s"' % ("x" * random.randrange(30, 900)))
    text = ("{" + ",".join(members) + "}").encode()
    return mutate.bent([text, b'{"op":"phones","id":1,"page":0}'], session.MAX_TEXT) if kind < 6 else text


def try_request(fire, bridge, caller):
    """Whatever was asked, the answer is whole, and nobody got what is not theirs."""
    role = bridge.operations.role(caller)
    text = request(bridge, role)[: session.MAX_TEXT] or b" "
    try:
        raw = bridge.operations.answer(caller, text)
        assert len(raw) <= session.MAX_TEXT, len(raw)
        answer = json.loads(raw)
        assert 0 <= answer["id"] <= 0x7FFFFFFF
        if answer["ok"]:
            op = json.loads(text)["op"]
            assert role in rights.TABLE[op], (role, op)
            fire.good += 1
        else:
            assert answer["error"] and len(answer["say"]) > 10
            fire.bad += 1
    except Exception:
        print("input:", text)
        raise


def try_requests(fire, count):
    # Many requests to one bridge, which takes a bounded amount of memory for all that it is told.
    bridge = Bridge(random.randrange(4) > 0)
    fresh = used()
    caller = bridge.caller()
    for _ in range(count):
        if caller.leaving or random.randrange(8) == 0:
            caller = bridge.caller()
        try_request(fire, bridge, caller)
    grown = used() - fresh
    fire.most = max(fire.most, grown)
    assert grown <= STATE_BOUND, grown


REQUESTS = 200  # to one bridge


def test_requests():
    fire = Fire("requests", 25, 4)
    fire.most = 0
    for n in fire:
        if n % REQUESTS == 0:
            try_requests(fire, min(REQUESTS, fire.count - n))
    print("a bridge's state: at most %d bytes more" % fire.most)


class Reader:
    """A connection on which `data` comes in pieces, and then the end."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    async def readinto(self, view):
        if not random.randrange(20):
            return None  # nothing there yet
        n = min(len(view), random.choice((1, 7, 100, 2000)), len(self.data) - self.at)
        view[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


def http(path, body):
    """A request, as clients write them."""
    method = random.choice(("GET", "POST")) if random.randrange(10) == 0 else "POST" if body else "GET"
    headers = ["Host: 10.66.0.100:7780", "User-Agent: x/1", "Accept: */*", "Content-Type: application/json"]
    headers = headers[: random.randrange(5)]
    if body or random.randrange(2):
        headers.append("%s: %d" % (random.choice(("Content-Length", "content-length")), len(body)))
    if random.randrange(20) == 0:
        headers.append(random.choice(("Transfer-Encoding: chunked", "Content-Length: 99999", "X: " + "y" * 1000)))
    return ("%s %s HTTP/1.1\r\n%s\r\n\r\n" % (method, path, "\r\n".join(headers))).encode() + body


PATHS = ("/challenge", "/t", "/claim", "/claim", "/claim", "/token", "/token", "/open", "/open", "/", "/%00", "//t")
VALUES = (None, True, 1, -1, "", "x", "é", "00" * 8, "00" * 32, [], {}, [[]], 1 << 70, "10.0.0.1", "a1:b2:c3:d4:e5:f6")


def wanted(bridge, path, knows):
    """A request's body; a good one for somebody who knows the key."""
    if path == "/token":
        token = mutate.some_bytes(16)
        if knows:
            bridge.tokens.put(token, bridge.phone["id"])
        return json.dumps({"token": token.hex()}).encode()
    make = {"/claim": bridge.body, "/open": bridge.open_body}.get(path)
    if make is not None:
        return make() if knows else make(proof=mutate.some_bytes(32).hex())
    return b""


async def try_claim(fire, bridge):
    path = random.choice(PATHS)
    knows = random.randrange(2)
    body = wanted(bridge, path, knows)
    how = random.randrange(4)
    if how == 0:
        body = mutate.bent([body or b"{}"], claim_server.BODY_MAX_BYTES)
    elif how == 1 and body:
        fields = json.loads(body)
        fields[random.choice(list(fields))] = random.choice(VALUES)
        body = json.dumps(fields).encode()
    data = http(path, body)
    if random.randrange(3) == 0:
        data = mutate.bent([data, http("/challenge", b""), http("/claim", b"{}")], claim_server.HEAD_MAX_BYTES)
    try:
        method, path, body = await claim_server._request(Reader(data))
        assert len(body) <= claim_server.BODY_MAX_BYTES
        status, _, _, answer = bridge.claims.respond(method, path, body, FAR, 5000)
        equal(status, 200)
        assert knows or path in ("/challenge", "/t")
        assert answer
        fire.good += 1
    except EOFError:
        fire.bad += 1
    except Refused as e:
        assert e.status in claim_server._REASONS and e.word in claim_server._SAY
        fire.bad += 1
    except Exception:
        print("input:", data)
        raise
    bridge.opened.clear()
    bridge.clock.now += random.randrange(2)


async def test_claims():
    bridge = claim_stage.Bridge()
    fire = Fire("claims", 25, 5)
    for _ in fire:
        await try_claim(fire, bridge)
    # After all that, a phone is let in.
    bridge.claim(bridge.body())
