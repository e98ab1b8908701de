import binascii
import json
import random

import pktfilter
from check import equal
from claim_stage import FAR, FAR2, Bridge, token_body
from speakeasy import claim_server, crypto
from speakeasy.claim_server import Refused, Wrong
from speakeasy.policy import Full, Relayed, Unseen
from stage import BRIDGE_ID, claim_proof, open_proof, vectors, wipe


def test_a_good_claim_makes_a_lease():
    b = Bridge()
    told = b.claim(b.body())
    assert len(told.pop("answer")) == 64
    equal(
        told,
        {
            "addr": "10.99.0.5",
            "lease_s": 43200,
            "by": "address",
            "name": "Ada's phone",
            "segment": "up",
            "speaker": True,
        },
    )
    equal([lease[:2] for lease in pktfilter.leases()], [(FAR, None)])
    equal(b.policy.leases()[0][0], b.phone["id"])


def test_who_is_let_in_is_told_whether_there_is_a_speaker():
    b = Bridge()
    for state, present in (("set-up", False), ("undecided", False), ("down", False), ("up", False), ("up", True)):
        b.segment.state, b.segment.present = state, present
        told = b.claim(b.body())
        equal((told["segment"], told["speaker"]), (state, present))
        b.tokens.put(b"T" * 16, b.phone["id"])
        told = json.loads(b.claims.respond("POST", "/token", token_body(b"T" * 16), FAR, 1)[3])
        equal((told["segment"], told["speaker"]), (state, present))


def test_a_claim_that_names_its_address():
    b = Bridge()
    b.claim(b.body(addr="10.99.0.5"))
    b.refused(409, "moved", b.body(addr="10.99.0.6"))
    # The address is part of what is proved.
    pktfilter.lease_end(FAR)
    b.wrong(b.body(addr="10.99.0.5", proof=claim_proof(b.key, b.id, bytes(16))))
    challenge = b.challenge()
    b.wrong(b.body(challenge, "10.99.0.5", proof=claim_proof(b.key, b.id, challenge)))


def test_a_claim_that_names_its_mac():
    b = Bridge()
    asked = []

    def grant(phone_id, addr, port, own_mac):
        asked.append(own_mac)
        if own_mac:
            raise Relayed
        return True

    b.policy.grant = grant
    b.refused(409, "relayed", b.body(mac="02:00:00:00:42:31"))
    b.claim(b.body())
    fields = json.loads(b.body())
    del fields["mac"], fields["addr"]  # as good as ""
    equal(b.claim(json.dumps(fields).encode())["by"], "mac")
    equal(asked, [b"\2\0\0\0\x42\x31", None, None])
    # The MAC is part of what is proved: nobody in between can take it out, or put another one in.
    for mac, named in (
        ("02:00:00:00:42:30", ""),
        ("02:00:00:00:42:30", "02:00:00:00:42:31"),
        ("", "02:00:00:00:42:31"),
    ):
        fields = json.loads(b.body(mac=mac))
        fields["mac"] = named
        b.wrong(json.dumps(fields).encode())
    equal(len(asked), 3)


def test_behind_a_router_the_mac_does_not_matter():
    b = Bridge()
    equal(b.claim(b.body(addr="10.99.0.5", mac="02:00:00:00:42:31"))["by"], "address")


def at_the_time_of(vector):
    """The bridge of a test vector, which gives its challenge."""
    b = Bridge()
    b.settings.change(phones=[{"id": vector["phone"], "name": "x", "role": "owner", "key": vector["phone_key"]}])
    b.clock.now = vector["time_ms"] // 1000
    b.claims._boot_key = bytes.fromhex(vector["boot_key"])
    addr = bytes(int(part) for part in vector["from"].split("."))
    equal((vector["bridge"], vector["challenge"]), (BRIDGE_ID.hex(), b.challenge(addr).hex()))
    return b, addr


def test_claims_vectors():
    answers = []
    for vector in vectors()["claims"]:
        b, addr = at_the_time_of(vector)
        body = json.dumps({k: vector[k] for k in ("phone", "challenge", "addr", "mac", "proof")}).encode()
        try:
            told = b.claim(body, addr)
            equal((told["lease_s"], told["answer"]), (vector["lease_s"], vector["answer"]))
            answers.append("in")
        except Refused as e:
            # What comes after the proof: our own subnet, but no such connection; no machine's address.
            answers.append(e.word)
    equal(answers, ["unseen", "in", "in", "in", "failed"])


def test_opens_vectors():
    for vector in vectors()["opens"]:
        b, addr = at_the_time_of(vector)
        told = b.ask("/open", json.dumps({k: vector[k] for k in ("phone", "challenge", "proof")}).encode(), addr)
        equal(told, {"open_s": vector["open_s"], "answer": vector["answer"]})


def test_no_wrong_proof_is_accepted():
    b = Bridge()
    for make in (
        lambda c: b.body(c, proof="00" * 32),
        lambda c: b.body(c, proof=claim_proof(bytes(32), b.id, c)),
        lambda c: b.body(c, proof=claim_proof(b.key, bytes(8), c)),
        lambda c: b.body(c, proof=claim_proof(b.key, b.id, c, bridge_id=bytes(8))),
        lambda c: b.body(c, proof=open_proof(b.key, b.id, c)),
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
    # A wrong proof uses nothing up: whoever has seen a challenge cannot spoil it.
    challenge = b.challenge()
    b.wrong(b.body(challenge, proof="00" * 32))
    b.claim(b.body(challenge))


def test_a_good_proof_is_good_once_whatever_comes_of_it():
    b = Bridge()
    for word, refusal in (("full", Full), ("unseen", Unseen), ("relayed", Relayed)):
        grant = b.policy.grant

        def refuse(*_, why=refusal):
            raise why

        b.policy.grant = refuse
        body = b.body()
        b.refused(409 if word == "relayed" else 503, word, body)
        b.policy.grant = grant
        b.wrong(body)
    body = b.body(addr="10.99.0.6")
    b.refused(409, "moved", body)
    b.wrong(body)
    b.claim(b.body())


def test_after_a_good_proof_nothing_older_is_good():
    b = Bridge()
    first, second, third = b.body(), b.body(), b.open_body()
    b.claim(second)
    b.wrong(first)
    b.wrong(second)
    b.ask("/open", third)
    # Of that phone: another one's challenges are its own affair.
    old = b.challenge()
    b.claim(b.body())
    b.wrong(b.body(old))
    b.other()
    b.claim(b.body(old))


def test_a_recorded_claim_is_good_nowhere_else():
    b = Bridge()
    body = b.body()
    b.wrong(body, addr=FAR2)
    b.wrong(b.body(b.challenge(FAR2)), addr=FAR)
    b.boot()
    b.wrong(body)
    b.claim(b.body())


def test_a_bent_challenge():
    b = Bridge()
    challenge = b.challenge()
    for n in range(128):
        bent = bytearray(challenge)
        bent[n // 8] ^= 1 << n % 8
        b.wrong(b.body(bytes(bent)))
    b.claim(b.body(challenge))


def test_no_two_challenges_are_alike():
    b = Bridge()
    equal(len({b.challenge(addr) for _ in range(50) for addr in (FAR, FAR2)}), 100)
    # Nor after a reboot at the same time as before.
    seen = []
    for _ in range(20):
        b.boot()
        seen.append(b.challenge())
    equal((len(set(seen)), len({c[:6] for c in seen})), (20, 1))


def test_a_challenge_lives_30_s():
    b = Bridge()
    for passed, fresh in ((29.999, True), (30, False), (31, False), (10**9, False)):
        body = b.body()
        b.clock.now += passed
        if fresh:
            b.claim(body)
        else:
            b.wrong(body)
        b.boot()


def test_a_challenge_outlives_any_number_of_others():
    # Sixteen were remembered once, and a stranger's sixteen pushed out the phone's.
    b = Bridge()
    body = b.body()
    for _ in range(300):
        b.challenge(FAR2)
        b.challenge()
    b.claim(body)


def test_sixteen_phones_and_no_more_are_remembered():
    b = Bridge()
    for _ in range(15):
        b.other()
        b.claim(b.body())
    equal(len(b.claims._used), 15)
    for _ in range(40):
        b.phones.remove(b.phone["id"])
        b.other()
        b.claim(b.body())
    equal(len(b.claims._used), 15)


def test_the_answer_tells_the_bridge_from_others():
    b = Bridge()
    challenge = b.challenge()
    told = b.claim(b.body(challenge))
    key = crypto.hkdf(b"", b.key, b"speakeasy claim 1", 32)
    equal(told["answer"], crypto.hmac(key, b"answer", challenge, b"\0\0\xa8\xc0").hex())
    challenge = b.challenge()
    told = b.ask("/open", b.open_body(challenge))
    key = crypto.hkdf(b"", b.key, b"speakeasy open 1", 32)
    equal(told["answer"], crypto.hmac(key, b"answer", challenge, b"\0\0\1\x2c").hex())


def test_an_owner_opens_bluetooth():
    b = Bridge()
    told = b.ask("/open", b.open_body())
    equal((told["open_s"], b.opened), (300, [300]))
    equal(pktfilter.leases(), [])
    for make in (
        lambda c: b.open_body(c, proof="00" * 32),
        lambda c: b.open_body(c, proof=open_proof(bytes(32), b.id, c)),
        lambda c: b.open_body(c, proof=open_proof(b.key, b.id, c, bridge_id=bytes(8))),
        lambda c: b.open_body(c, proof=claim_proof(b.key, b.id, c)),  # a claim is no wish to manage
        lambda c: b.open_body(c, phone="00" * 8),
        lambda c: b.open_body(bytes(16)),
    ):
        b.wrong(make(b.challenge()), path="/open")
    body = b.open_body()
    b.ask("/open", body)
    b.wrong(body, path="/open")
    b.refused(400, "bad-request", b"{}", "/open")
    equal(b.opened, [300, 300])


def test_an_owners_claim_or_open_tells_that_it_knows_where_the_bridge_is():
    for path, body in (("/claim", "body"), ("/open", "open_body")):
        wipe()
        b = Bridge()
        assert b.reached.sought_s()
        b.wrong(getattr(b, body)(proof="00" * 32), path=path)
        assert b.reached.sought_s()
        b.ask(path, getattr(b, body)())
        equal(b.reached.sought_s(), 0)


def test_no_other_claim_does():
    b = Bridge()
    # Carried to the bridge by somebody else: the phone has spoken to another address.
    b.refused(409, "moved", b.body(addr="10.99.0.6"))
    grant = b.policy.grant

    def relayed(*_):
        raise Relayed

    b.policy.grant = relayed
    b.refused(409, "relayed", b.body(mac="02:00:00:00:42:31"))
    b.policy.grant = grant
    b.tokens.put(b"T" * 16, b.phone["id"])
    b.ask("/token", token_body(b"T" * 16))
    b.other("guest")
    b.claim(b.body())
    b.refused(403, "not-allowed", b.open_body(), path="/open")
    assert b.reached.sought_s()


def test_a_guest_opens_nothing():
    b = Bridge()
    b.other("guest")
    body = b.open_body()
    b.refused(403, "not-allowed", body, "/open")
    b.wrong(body, path="/open")
    equal(b.opened, [])
    b.claim(b.body())


def test_a_revoked_phone_claims_nothing():
    b = Bridge()
    b.phones.add(b.phones.draft("other", "owner"))
    body = b.body()
    b.phones.remove(b.phone["id"])
    b.wrong(body)


def test_a_second_claim_moves_the_lease():
    b = Bridge()
    b.claim(b.body())
    b.claim(b.body(at=FAR2), FAR2)
    equal([lease[0] for lease in pktfilter.leases()], [FAR2])


def test_another_phone_at_that_address_takes_the_lease():
    b = Bridge()
    b.claim(b.body())
    b.other()
    b.claim(b.body())
    equal([lease[:2] for lease in b.policy.leases()], [(b.phone["id"], FAR)])


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
        (
            "mac",
            ("x", "02:00:00:00:42", "02:00:00:00:42:3G", "02:00:00:00:42:AB", "020000004230", "2:0:0:0:42:30", None, 5),
        ),
    ):
        for value in values:
            other = {field: value}
            fields = json.loads(b.body())
            fields.update(other)
            b.refused(400, "bad-request", json.dumps(fields).encode())
    # None of them used a challenge up or counted.
    equal((b.server._wrong, b.claims._used), ([], {}))


def test_paths_and_methods():
    b = Bridge()
    for path in ("/", "", "/Claim", "/claim/", "/claim?x", "/../claim", "/t#x", "/p?back=x", "/p/", "http://x/claim"):
        b.refused(404, "not-found", b"", path, "GET")
    for method, path in (
        ("POST", "/challenge"),
        ("GET", "/claim"),
        ("GET", "/open"),
        ("HEAD", "/t"),
        ("POST", "/t"),
        ("GET", "/token"),
        ("get", "/t"),
        ("HEAD", "/p"),
        ("POST", "/p"),
    ):
        b.refused(405, "bad-method", b"", path, method)


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


def test_the_pages_have_no_secret_and_load_nothing_from_elsewhere():
    for path in ("/t", "/p"):
        status, kind, extra, body = Bridge().claims.respond("GET", path, b"", FAR, 1)
        equal((status, kind), (200, "text/html; charset=utf-8"))
        assert b"//" not in body.replace(b"<!", b"") and b"innerHTML" not in body
        assert "default-src 'none'" in extra and "connect-src 'self'" in extra and "unsafe" not in extra
        assert "frame-ancestors 'none'" in extra and "Referrer-Policy: no-referrer" in extra
        # What it was given is out of the address line before anything is done with it.
        assert 0 < body.find(b'history.replaceState(null, "", "' + path.encode() + b'");') < body.find(b"fetch(")
        # Its one script is the one that the header names.
        equal(body.count(b"<script"), 1)
        script = body.split(b"<script>")[1].split(b"</script>")[0]
        assert "script-src 'sha256-%s'" % binascii.b2a_base64(crypto.digest(script)).decode().strip() in extra
        assert b"<noscript><p>This page needs JavaScript" in body
        assert len(body) < 2048


def test_the_page_for_visits_leaves_nothing_in_the_history_and_runs_no_address():
    body = Bridge().claims.respond("GET", "/p", b"", FAR, 1)[3]
    # It is left in one way, for an address of the Web alone; its own entry in the history goes.
    equal((body.count(b"location.replace("), body.count(b"location")), (1, 2))
    assert 0 < body.find(b"/^https?:$/.test(page.protocol)") < body.find(b"location.replace(page)")
    assert body.find(b"/^https?:$/") < body.find(b"link.href = page")


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
            method, path, body = await claim_server._request(Pieces(bend(random.choice(requests))))
            assert len(body) <= claim_server.BODY_MAX_BYTES, len(body)
            status = bridge.claims.respond(method, path, body, FAR, 5000)[0]
            equal((status, path), (200, path if path in ("/challenge", "/t", "/p") else "none other is answered"))
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
