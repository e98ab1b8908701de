import asyncio
import errno
import json
import os
import random
import struct

import pktfilter
from check import equal, raises, until
from speakeasy import claims
from speakeasy.claims import Claims, Refused, Wrong
from speakeasy.files import Files
from speakeasy.onetime import OneTime
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.settings import Settings
from stage import BRIDGE_ID, MASK, ME, ROUTER, SEGMENT_MAC, STATION_MAC, Clock, Console, X, claim_proof, vectors

TIME_LIMIT_S = 40
claims.WRONG_DELAY_S = 1
FAR = b"\x0a\x63\0\5"
LOOPBACK = b"\x7f\0\0\1"
# Below the ephemeral ports, another one in each run: several may be under way on one machine.
PORT = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000


class Bridge:
    def __init__(self):
        self.settings = Settings(Files(), BRIDGE_ID)
        self.phones = Phones(self.settings)
        self.phone = self.phones.draft("Ada's phone", "owner")
        self.phones.add(self.phone)
        self.id = bytes.fromhex(self.phone["id"])
        self.key = bytes.fromhex(self.phone["key"])
        self.policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        self.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
        self.clock = Clock()
        self.tokens = OneTime(16, 60, self.clock)
        self.beats = 0
        self.claims = Claims(ME, self.phones, self.policy, self.tokens, self.beat, now=self.clock)

    def beat(self):
        self.beats += 1

    def challenge(self):
        answer = json.loads(self.claims.respond("GET", "/challenge", b"", FAR, 5000)[3])
        equal(answer["bridge"], BRIDGE_ID.hex())
        return bytes.fromhex(answer["challenge"])

    def body(self, nonce=None, addr="", **other):
        challenge = nonce or self.challenge()
        packed = bytes(int(part) for part in addr.split(".")) if addr else bytes(4)
        fields = {
            "phone": self.phone["id"],
            "challenge": challenge.hex(),
            "addr": addr,
            "proof": claim_proof(self.key, self.id, challenge, packed),
        }
        fields.update(other)
        return json.dumps(fields).encode()

    def claim(self, body, addr=FAR):
        status, kind, _, answer = self.claims.respond("POST", "/claim", body, addr, 5000)
        equal((status, kind), (200, "application/json"))
        return json.loads(answer)

    def wrong(self, body, word="bad-proof", path="/claim"):
        with raises(Wrong) as caught:
            self.claims.respond("POST", path, body, FAR, 5000)
        equal((caught.value.status, caught.value.word), (403, word))
        equal(pktfilter.leases(), [])

    def refused(self, status, word, body, path="/claim", method="POST"):
        with raises(Refused) as caught:
            self.claims.respond(method, path, body, FAR, 5000)
        equal((caught.value.status, caught.value.word), (status, word))
        assert not isinstance(caught.value, Wrong)


def test_a_good_claim_makes_a_lease():
    b = Bridge()
    equal(b.claim(b.body()), {"addr": "10.99.0.5", "lease_s": 43200, "by": "address", "name": "Ada's phone"})
    equal([lease[:2] for lease in pktfilter.leases()], [(FAR, None)])
    equal(b.policy.leases()[0][0], b.phone["id"])


def test_a_claim_that_names_its_address():
    b = Bridge()
    b.claim(b.body(addr="10.99.0.5"))
    b.refused(409, "moved", b.body(addr="10.99.0.6"))
    # The address is part of what is proved.
    pktfilter.lease_end(FAR)
    b.wrong(b.body(addr="10.99.0.5", proof=claim_proof(b.key, b.id, bytes(16))))
    challenge = b.challenge()
    b.wrong(b.body(challenge, "10.99.0.5", proof=claim_proof(b.key, b.id, challenge)))


def test_claims_vectors():
    answers = []
    for vector in vectors()["claims"]:
        challenge = bytes.fromhex(vector["challenge"])
        equal(vector["bridge"], BRIDGE_ID.hex())
        b = Bridge()
        b.settings.change(phones=[{"id": vector["phone"], "name": "x", "role": "owner", "key": vector["phone_key"]}])
        b.claims._challenges.put(challenge)
        body = json.dumps({k: vector[k] for k in ("phone", "challenge", "addr", "proof")}).encode()
        addr = bytes(int(part) for part in vector["addr"].split(".")) if vector["addr"] else FAR
        try:
            b.claim(body, addr)
            answers.append("in")
        except Refused as e:
            # What comes after the proof: our own subnet, but no such connection; no machine's address.
            answers.append(e.word)
    equal(answers, ["unseen", "in", "failed"])


def test_no_wrong_proof_is_accepted():
    b = Bridge()
    for make in (
        lambda c: b.body(c, proof="00" * 32),
        lambda c: b.body(c, proof=claim_proof(bytes(32), b.id, c)),
        lambda c: b.body(c, proof=claim_proof(b.key, bytes(8), c)),
        lambda c: b.body(c, proof=claim_proof(b.key, b.id, c, bridge_id=bytes(8))),
        lambda c: b.body(c, phone="00" * 8),
        lambda c: b.body(c, phone="00" * 8, proof=claim_proof(bytes(32), bytes(8), c)),
        lambda c: b.body(c, challenge="00" * 16),
        lambda c: b.body(bytes(16)),  # right for a challenge that was never given
    ):
        b.wrong(make(b.challenge()))
    challenge = b.challenge()
    proof = claim_proof(b.key, b.id, challenge)
    for n in range(0, 64, 7):
        flipped = proof[:n] + ("0" if proof[n] != "0" else "1") + proof[n + 1 :]
        fresh = b.challenge()
        b.wrong(b.body(fresh, proof=flipped))
    b.claim(b.body())


def test_a_challenge_is_good_once():
    b = Bridge()
    body = b.body()
    b.claim(body)
    pktfilter.lease_end(FAR)
    b.wrong(body)
    # A wrong try uses it up, too.
    challenge = b.challenge()
    b.wrong(b.body(challenge, proof="00" * 32))
    b.wrong(b.body(challenge))


def test_a_challenge_lives_30_s():
    b = Bridge()
    for passed, fresh in ((29, True), (30, False)):
        body = b.body()
        b.clock.now += passed
        if fresh:
            b.claim(body)
            pktfilter.lease_end(FAR)
        else:
            b.wrong(body)


def test_sixteen_challenges_the_oldest_goes():
    b = Bridge()
    given = [b.challenge() for _ in range(claims.MAX_CHALLENGES)]
    b.claim(b.body(given[1]))
    b.claim(b.body(given[0]))
    pktfilter.lease_end(FAR)
    given = [b.challenge() for _ in range(claims.MAX_CHALLENGES + 1)]
    b.wrong(b.body(given[0]))
    b.claim(b.body(given[1]))


def test_a_revoked_phone_claims_nothing():
    b = Bridge()
    b.phones.add(b.phones.draft("other", "owner"))
    body = b.body()
    b.phones.remove(b.phone["id"])
    b.wrong(body)


def test_a_second_claim_moves_the_lease():
    b = Bridge()
    b.claim(b.body())
    b.claim(b.body(), b"\x0a\x63\0\6")
    equal([lease[0] for lease in pktfilter.leases()], [b"\x0a\x63\0\6"])


def test_full():
    b = Bridge()
    for n in range(16):
        b.policy.grant("%016x" % n, b"\x0a\x63\1" + bytes((n,)), 1)
    b.refused(503, "full", b.body())


def test_misshapen_claims():
    b = Bridge()
    for body in (b"", b"\xff", b"[]", b"5", b"null", b"{}", b"{" * 500, b"[" * 512):
        b.refused(400, "bad-request", body)
    for field, values in (
        ("phone", ("", "00", "G" * 16, "A" * 16, None, 5, [])),
        ("challenge", ("", "00" * 15, "00" * 17, None, 5)),
        ("proof", ("", "00" * 31, "00" * 33, None, {})),
        ("addr", ("x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", None, 5, "10.99.0.5 ")),
    ):
        for value in values:
            other = {field: value}
            fields = json.loads(b.body())
            fields.update(other)
            b.refused(400, "bad-request", json.dumps(fields).encode())
    # None of them used a challenge up or counted.
    equal(b.claims._wrong, [])


def test_paths_and_methods():
    b = Bridge()
    for path in ("/", "", "/Claim", "/claim/", "/claim?x", "/../claim", "/t#x", "http://x/claim"):
        b.refused(404, "not-found", b"", path, "GET")
    for method, path in (
        ("POST", "/challenge"),
        ("GET", "/claim"),
        ("HEAD", "/t"),
        ("POST", "/t"),
        ("GET", "/token"),
        ("get", "/t"),
    ):
        b.refused(405, "bad-method", b"", path, method)


def token_body(token):
    return json.dumps({"token": token.hex()}).encode()


def test_a_token_is_a_claim_once():
    b = Bridge()
    b.tokens.put(b"T" * 16, b.phone["id"])
    answer = json.loads(b.claims.respond("POST", "/token", token_body(b"T" * 16), FAR, 1)[3])
    equal((answer["addr"], answer["by"], answer["name"]), ("10.99.0.5", "address", "Ada's phone"))
    equal(b.policy.leases()[0][0], b.phone["id"])
    pktfilter.lease_end(FAR)
    b.wrong(token_body(b"T" * 16), "bad-token", "/token")


def test_wrong_tokens():
    b = Bridge()
    b.wrong(token_body(b"N" * 16), "bad-token", "/token")
    b.tokens.put(b"T" * 16, b.phone["id"])
    b.clock.now += 60
    b.wrong(token_body(b"T" * 16), "bad-token", "/token")
    b.tokens.put(b"U" * 16, "00" * 8)  # of a phone that is not there any more
    b.wrong(token_body(b"U" * 16), "bad-token", "/token")
    for body in (b"{}", b'{"token":5}', b'{"token":"00"}', b"[]", b""):
        b.refused(400, "bad-request", body, "/token")


def test_the_page_has_no_secret_and_loads_nothing_from_elsewhere():
    status, kind, extra, body = Bridge().claims.respond("GET", "/t", b"", FAR, 1)
    equal((status, kind), (200, "text/html; charset=utf-8"))
    assert b"//" not in body.replace(b"<!", b"") and b"innerHTML" not in body
    assert "default-src 'none'" in extra and "connect-src 'self'" in extra
    assert len(body) < 2048


# -- Over a real socket.


class Server:
    def __init__(self):
        b = self.bridge = Bridge()
        # The filter leases to no loopback address, which is all that a test's connection can come from.
        grant = b.policy.grant

        def granted(phone_id, addr, port):
            equal(addr, LOOPBACK)
            return grant(phone_id, FAR, port)

        b.policy.grant = granted

    async def __aenter__(self):
        self.task = asyncio.create_task(self.bridge.claims.run("127.0.0.1", PORT))
        await until(lambda: self.bridge.beats)
        return self.bridge

    async def __aexit__(self, *_):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass


async def connect():
    """A phone's connection: (reader, writer). Not by `socket`: a board has ten of those, and they are the server's."""
    import usocket

    s = usocket.socket()
    s.setblocking(False)
    try:
        s.connect(struct.pack("<H", 2) + struct.pack(">H", PORT) + LOOPBACK + bytes(8))
    except OSError as e:
        if e.errno != errno.EINPROGRESS:
            raise
    stream = asyncio.StreamReader(s)
    return stream, stream


async def say(request):
    """What the server answers to these bytes, all of it."""
    reader, writer = await connect()
    try:
        if request:
            writer.write(request)
            await writer.drain()
        return await asyncio.wait_for(reader.read(-1), 15)
    finally:
        writer.close()
        await writer.wait_closed()


def request(method, path, body=b"", headers=""):
    return (
        "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (method, path, headers, len(body))
    ).encode() + body


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def json_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n" and b"Connection: close" in head
    return json.loads(body)


async def test_claim_over_a_socket():
    async with Server() as b:
        answer = await say(b"GET /challenge HTTP/1.1\r\nHost: x\r\n\r\n")
        equal(status_of(answer), 200)
        challenge = bytes.fromhex(json_of(answer)["challenge"])
        answer = await say(request("POST", "/claim", b.body(challenge, "127.0.0.1")))
        equal((status_of(answer), json_of(answer)["addr"]), (200, "127.0.0.1"))
        equal(pktfilter.leases()[0][0], FAR)
        answer = await say(request("POST", "/claim", b.body(b"x" * 16)))
        equal((status_of(answer), json_of(answer)["error"]), (403, "bad-proof"))


async def test_body_in_pieces():
    async with Server() as b:
        reader, writer = await connect()
        for piece in request("POST", "/claim", b.body(b.challenge())):
            writer.write(bytes((piece,)))
            await writer.drain()
        equal(status_of(await asyncio.wait_for(reader.read(-1), 5)), 200)
        writer.close()


async def test_bad_requests():
    async with Server() as b:
        for raw, status in (
            (b"\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"GET /t\r\n\r\n", 400),
            (b"GET /t HTTP/2.0\r\n\r\n", 400),
            (b"GET  /t HTTP/1.1\r\n\r\n", 400),
            (b"GET t HTTP/1.1\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\n : x\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA : x\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: x\n\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: \xff\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: \0\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 1e2\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
            (b"GET /t HTTP/1.1\r\n\r\nGET /t HTTP/1.1\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\n\r\n{}", 400),
            (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
            (b"DELETE /claim HTTP/1.1\r\n\r\n", 405),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 513\r\n\r\n", 413),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
            (b"GET /t HTTP/1.0\r\n\r\n", 200),
        ):
            answer = await say(raw)
            equal((raw, status_of(answer)), (raw, status))
        equal(b.claims._active, 0)


class Pieces:
    """A reader of what a stranger sends, in pieces of any size."""

    def __init__(self, data):
        self.data = data

    async def readinto(self, view):
        n = min(len(self.data), len(view), random.randrange(1, 400))
        view[:n] = self.data[:n]
        self.data = self.data[n:]
        return n


def bend(original):
    bent = bytearray(original)
    for _ in range(random.randrange(1, 4)):
        kind = random.randrange(5)
        at = random.randrange(len(bent) + 1)
        if kind == 0 and at < len(bent):
            bent[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            bent = bent[:at]
        elif kind == 2:
            bent += bytes(random.getrandbits(8) for _ in range(random.randrange(1, 40)))
        elif kind == 3:
            bent[at:] = random.choice((b"\r\n", b"\0", b"[[[[[[[[", b'"', b"{", b"9999999999", b"\r\n\r\n")) + bent[at:]
        else:
            bent[at:] = bent[at + random.randrange(1, 60) :]
    return bytes(bent)


async def test_bent_requests_are_refused_or_answered():
    # Whatever a stranger sends: refused by a word, cut off, or answered; no lease, and nothing else goes wrong.
    random.seed(22)
    bridge = Bridge()
    good = bridge.body(proof="00" * 32)
    requests = [
        b"POST /claim HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(good), good),
        b'POST /token HTTP/1.1\r\ncontent-length: 42\r\n\r\n{"token": "00112233445566778899aabbccddeeff"}',
        b"GET /challenge HTTP/1.0\r\nAccept: */*\r\n\r\n",
    ]
    ends = {"answered": 0, "refused": 0, "wrong": 0, "cut": 0}
    for _ in range(600):
        try:
            method, path, body = await claims._request(Pieces(bend(random.choice(requests))))
            assert len(body) <= claims.BODY_MAX_BYTES, len(body)
            status = bridge.claims.respond(method, path, body, FAR, 5000)[0]
            equal((status, path), (200, path if path in ("/challenge", "/t") else "none other is answered"))
            ends["answered"] += 1
        except Wrong:
            ends["wrong"] += 1
        except Refused as e:
            assert e.status in (400, 404, 405, 413), e.status
            ends["refused"] += 1
        except EOFError:
            ends["cut"] += 1
    equal(pktfilter.leases(), [])
    assert min(ends.values()) > 3, ends


async def test_head_limit_below_at_above():
    async with Server():
        bare = b"GET /t HTTP/1.1\r\nA: \r\n\r\n"
        for size, status in ((1023, 200), (1024, 200), (1025, 413), (5000, 413)):
            raw = b"GET /t HTTP/1.1\r\nA: " + b"x" * (size - len(bare)) + b"\r\n\r\n"
            equal((size, status_of(await say(raw))), (size, status))


async def test_body_limit_below_at_above():
    async with Server():
        for size, status in ((511, 400), (512, 400), (513, 413)):
            answer = await say(request("POST", "/token", b" " * size))
            equal((size, status_of(answer)), (size, status))


async def test_half_a_request_is_given_up_after_5_s():
    async with Server() as b:
        import time

        start = time.ticks_ms()
        answers = await asyncio.gather(
            say(b""), say(b"GET /t HTT"), say(b"POST /claim HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
        )
        spent = time.ticks_diff(time.ticks_ms(), start)
        equal([status_of(a) for a in answers], [408] * 3)
        assert 4900 <= spent <= 7000, spent
        equal(b.claims._active, 0)


async def test_who_says_nothing_gives_way_to_a_phone():
    async with Server() as b:
        held = []
        for _ in range(claims.MAX_CONNECTIONS):
            held.append(await connect())
        await until(lambda: b.claims._active == claims.MAX_CONNECTIONS)
        for _ in range(3):
            equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)
        equal(await held[0][0].read(10), b"")  # the oldest
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await until(lambda: b.claims._active == 0)
        equal(b.claims._reading, [])


async def test_a_fifth_request_is_told_to_wait():
    async with Server() as b:
        b.claims._active = claims.MAX_CONNECTIONS  # all of them being answered
        answer = await say(b"GET /t HTTP/1.1\r\n\r\n")
        equal((status_of(answer), json_of(answer)["error"]), (503, "busy"))
        b.claims._active = 0
        equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)


async def test_phones_that_hang_up_leave_nothing():
    async with Server() as b:
        for raw in (b"", b"GET", b"GET /t HTTP/1.1\r\n\r\n"):
            for _ in range(10):
                _, writer = await connect()
                if raw:
                    writer.write(raw)
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        await until(lambda: b.claims._active == 0)
        equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)


async def test_wrong_claims_are_slowed_down_good_ones_are_not():
    import time

    async with Server() as b:
        bad = request("POST", "/claim", b.body(b"x" * 16))
        for _ in range(claims.FREE_WRONG):
            equal(status_of(await say(bad)), 403)
        start = time.ticks_ms()
        slow = asyncio.create_task(say(bad))
        await until(lambda: b.claims._delayed == 1)
        answer = await say(request("POST", "/claim", b.body(b.challenge())))
        equal(status_of(answer), 200)
        assert time.ticks_diff(time.ticks_ms(), start) < 1500
        answer = await slow
        equal((status_of(answer), json_of(answer)["error"]), (429, "slow-down"))
        assert time.ticks_diff(time.ticks_ms(), start) >= claims.WRONG_DELAY_S * 1000 - 50
        # Ten seconds later the slate is clean.
        b.clock.now += claims.WRONG_WINDOW_S
        equal(status_of(await say(bad)), 403)


async def test_many_wrong_claims_do_not_keep_a_good_one_out():
    async with Server() as b:
        bad = request("POST", "/token", token_body(b"N" * 16))
        for _ in range(claims.FREE_WRONG):
            await say(bad)
        crowd = [asyncio.create_task(say(bad)) for _ in range(claims.MAX_DELAYED)]
        await until(lambda: b.claims._delayed == claims.MAX_DELAYED)
        # The next one is not kept waiting: there is no room for it to wait in.
        equal(status_of(await say(bad)), 429)
        equal(status_of(await say(request("POST", "/claim", b.body(b.challenge())))), 200)
        for task in crowd:
            equal(status_of(await task), 429)


async def test_no_secret_in_the_log():
    with Console() as console:
        async with Server() as b:
            challenge = b.challenge()
            body = b.body(challenge)
            await say(request("POST", "/claim", body))
            for _ in range(7):
                await say(request("POST", "/claim", b.body(b"x" * 16)))
            b.tokens.put(b"T" * 16, b.phone["id"])
            await say(request("POST", "/token", token_body(b"T" * 16)))
    proof = claim_proof(b.key, b.id, challenge)
    for secret in (b.key.hex(), proof, (b"T" * 16).hex(), "TTTT", challenge.hex()):
        assert secret not in console.text
    assert "may pass from" in console.text


async def test_it_can_be_started_again():
    for _ in range(2):
        async with Server():
            equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)
    with raises(OSError):
        await say(b"GET /t HTTP/1.1\r\n\r\n")
