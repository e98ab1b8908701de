import random

from check import equal, raises
from speakeasy import crypto, session
from speakeasy.session import Direction, Handshake, ProtocolError, Reassembler, fragments
from stage import BRIDGE_ID, SETUP_CODE, Phone, vectors

ZEROS = bytes(8)


def refused(code, function, *arguments):
    with raises(ProtocolError) as caught:
        function(*arguments)
    equal(caught.value.code, code)


def test_fragments_vectors():
    for vector in vectors()["fragments"]:
        message = bytes.fromhex(vector["message"])
        cut = [f.hex() for f in fragments(message, vector["mtu"])]
        equal(cut, vector["fragments"])
        whole = Reassembler()
        got = [whole.feed(bytes.fromhex(f)) for f in cut]
        equal(got, [None] * (len(cut) - 1) + [message])


def test_bad_fragments_vectors():
    for vector in vectors()["bad_fragments"]:
        whole = Reassembler()
        pieces = [bytes.fromhex(f) for f in vector["fragments"]]
        for piece in pieces[:-1]:
            equal(whole.feed(piece), None)
        refused(session.BAD_MESSAGE, whole.feed, pieces[-1])


def test_message_lengths():
    for mtu in (23, 24, 185, 247, 515, 516, 517, 5000):
        for size in (1, 18, 19, 20, 511, 512, 1023, 1024):
            message = bytes([n % 251 for n in range(size)])
            whole = Reassembler()
            got = None
            for fragment in fragments(message, mtu):
                assert len(fragment) <= min(mtu - 3, 512)
                equal(got, None)
                got = whole.feed(fragment)
            equal(got, message)
    for size in (0, 1025):
        with raises(ValueError):
            list(fragments(bytes(size), 185))
    equal([len(f) for f in fragments(b"x" * 100, 5)], [20] * 5 + [6])


def test_a_mended_message_after_reset():
    whole = Reassembler()
    whole.feed(b"\x80abc")
    whole.reset()
    refused(session.BAD_MESSAGE, whole.feed, b"\x01abc")
    whole.reset()
    equal(whole.feed(b"\xc0abc"), b"abc")


def test_framing_fuzz():
    # Whatever comes: a message, nothing, or a ProtocolError; and after a reset all is well.
    random.seed(20)
    errors = messages = 0
    whole = Reassembler()
    for _ in range(20_000):
        header = random.choice((0x80, 0xC0, 0x40, 0x00)) | random.choice((0, 0, 1, 2, random.getrandbits(6)))
        fragment = bytes((header,)) + bytes(random.choice((0, 1, 5, 19, 511, 512)))
        if random.getrandbits(8) == 0:
            fragment = b""
        try:
            got = whole.feed(fragment)
            if got is not None:
                messages += 1
                assert 1 <= len(got) <= 1024
        except ProtocolError as e:
            errors += 1
            equal(e.code, session.BAD_MESSAGE)
            whole.reset()
    assert errors > 1000 and messages > 1000, (errors, messages)
    whole.reset()
    equal(whole.feed(b"\xc0ok"), b"ok")


def test_mutated_messages_fuzz():
    # A whole conversation's messages, bent at random, into every parser of a stranger's bytes.
    random.seed(21)
    phone = Phone(1, ZEROS, SETUP_CODE)
    bridge = Handshake(BRIDGE_ID)
    bridge.hello(phone.hello)
    proof = phone.prove(bridge.challenge(SETUP_CODE))
    inward, _ = bridge.proof(proof)
    record = phone.outward.seal(b'{"op":"bye","id":1}')
    for _ in range(3000):
        original = random.choice((phone.hello, proof, record))
        bent = bytearray(original)
        for _ in range(random.randrange(1, 4)):
            kind = random.randrange(3)
            if kind == 0 and bent:
                bent[random.randrange(len(bent))] ^= 1 << random.randrange(8)
            elif kind == 1:
                bent = bent[: random.randrange(len(bent) + 1)]
            else:
                bent += bytes(random.randrange(1, 40))
        bent = bytes(bent)
        if bent == original:
            continue
        for parser in (Handshake(BRIDGE_ID).hello, bridge.proof, inward.open):
            try:
                parser(bent)
                assert parser is not inward.open
            except ProtocolError:
                pass
    equal(inward.open(record), b'{"op":"bye","id":1}')


def test_handshake_vectors():
    for vector in vectors()["handshakes"]:
        v = {k: bytes.fromhex(x) for k, x in vector.items() if isinstance(x, str) and k != "what"}
        bridge = Handshake(v["bridge_id"], lambda n, nonce=v["bridge_nonce"]: nonce[:n])
        equal(bridge.hello(v["hello"]), (vector["mode"], v["key_id"]))
        equal(bridge.challenge(v["secret"]), v["challenge"])
        inward, outward = bridge.proof(v["proof"])
        for record in vector["phone_to_bridge"]:
            equal(inward.open(bytes.fromhex(record["message"])).hex(), record["plain"])
        for record in vector["bridge_to_phone"]:
            equal(outward.seal(bytes.fromhex(record["plain"])).hex(), record["message"])


def test_claim_vectors():
    for vector in vectors()["claims"]:
        v = {k: bytes.fromhex(x) for k, x in vector.items() if k not in ("addr", "what")}
        claim_key = crypto.hkdf(b"", v["phone_key"], b"speakeasy claim 1", 32)
        equal(claim_key, v["claim_key"])


def test_hello_refused():
    right = Phone(1, ZEROS, SETUP_CODE).hello
    Handshake(BRIDGE_ID).hello(right)
    for wrong in (
        b"",
        right[:-1],
        right + b"\0",
        b"\x03" + right[1:],  # another type
        b"\x01\x00" + right[2:],  # version 0: no downgrade
        b"\x01\x02" + right[2:],
        b"\x01\x01\x00" + right[3:],  # modes
        b"\x01\x01\x04" + right[3:],
        right[:3] + b"12345678" + right[11:],  # a setup code has no key id
    ):
        refused(session.BAD_MESSAGE, Handshake(BRIDGE_ID).hello, wrong)


def test_wrong_secret_is_refused_once_and_for_all():
    bridge = Handshake(BRIDGE_ID)
    phone = Phone(1, ZEROS, b"\xff" * 16)
    bridge.hello(phone.hello)
    proof = phone.prove(bridge.challenge(SETUP_CODE))
    assert not phone.bridge_is_right
    refused(session.BAD_PROOF, bridge.proof, proof)
    # A second try on the same challenge does not count, right or wrong.
    refused(session.BAD_MESSAGE, bridge.proof, proof)


def test_proof_before_hello_or_misshapen():
    refused(session.BAD_MESSAGE, Handshake(BRIDGE_ID).proof, b"\x03" + bytes(32))
    for wrong in (b"", b"\x03", b"\x03" + bytes(31), b"\x03" + bytes(33), b"\x04" + bytes(32)):
        bridge = Handshake(BRIDGE_ID)
        phone = Phone(1, ZEROS, SETUP_CODE)
        bridge.hello(phone.hello)
        bridge.challenge(SETUP_CODE)
        refused(session.BAD_MESSAGE, bridge.proof, wrong)


def test_a_replayed_proof_is_wrong_in_the_next_session():
    phone = Phone(1, ZEROS, SETUP_CODE)
    first = Handshake(BRIDGE_ID)
    first.hello(phone.hello)
    proof = phone.prove(first.challenge(SETUP_CODE))
    first.proof(proof)
    second = Handshake(BRIDGE_ID)
    second.hello(phone.hello)
    second.challenge(SETUP_CODE)
    refused(session.BAD_PROOF, second.proof, proof)


def pair_of_directions():
    return Direction(b"c" * 16, b"m" * 32), Direction(b"c" * 16, b"m" * 32)


def test_records_in_order():
    one, other = pair_of_directions()
    for n in range(5):
        text = b"text %d" % n
        equal(other.open(one.seal(text)), text)


def test_replay_gap_reorder():
    for order in ((0, 0), (1,), (0, 2)):
        one, other = pair_of_directions()
        sealed = [one.seal(b"text %d" % n) for n in range(3)]
        for n in order[:-1]:
            other.open(sealed[n])
        refused(session.BAD_RECORD, other.open, sealed[order[-1]])


def test_any_flipped_bit():
    one, other = pair_of_directions()
    sealed = one.seal(b"some text")
    for n in range(1, len(sealed)):
        bent = bytearray(sealed)
        bent[n] ^= 1
        refused(session.BAD_RECORD, other.open, bytes(bent))
    equal(other.open(sealed), b"some text")


def test_record_limits():
    one, other = pair_of_directions()
    for size in (1, 991, 992):
        equal(len(other.open(one.seal(bytes(size)))), size)
    for size in (0, 993):
        with raises(ValueError):
            one.seal(bytes(size))
    for size in (0, 5, 21, 1014):
        refused(session.BAD_MESSAGE, other.open, (b"\x04" + bytes(1100))[:size])
    refused(session.BAD_MESSAGE, other.open, b"\x03" + bytes(40))


def test_the_two_directions_differ():
    bridge = Handshake(BRIDGE_ID)
    phone = Phone(1, ZEROS, SETUP_CODE)
    bridge.hello(phone.hello)
    inward, outward = bridge.proof(phone.prove(bridge.challenge(SETUP_CODE)))
    # What the bridge said cannot be said back to it.
    refused(session.BAD_RECORD, inward.open, outward.seal(b"hello"))


def test_error_message():
    equal(session.error(session.LOCKED), b"\x05\x03")


def test_an_error_quotes_nothing():
    assert str(ProtocolError(2)) == "protocol error 2"
