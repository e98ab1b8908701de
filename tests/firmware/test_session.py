import random

from check import equal, raises
from speakeasy import crypto, session, x25519
from speakeasy.session import Direction, Handshake, ProtocolError, Reassembler, fragments
from stage import BRIDGE_ID, SETUP_CODE, Phone, vectors

ZEROS = bytes(8)


async def shaken(phone, secret=SETUP_CODE):
    """A bridge that waits for the phone's PROOF, and that PROOF."""
    bridge = Handshake(BRIDGE_ID)
    bridge.hello(phone.hello)
    return bridge, await phone.prove(await bridge.challenge(secret))


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


async def test_mutated_messages_fuzz():
    # A whole conversation's messages, bent at random, into every parser of a stranger's bytes.
    random.seed(21)
    phone = Phone(1, ZEROS, SETUP_CODE)
    bridge, proof = await shaken(phone)
    _, inward, _ = bridge.proof(proof)
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


async def test_handshake_vectors():
    for vector in vectors()["handshakes"]:
        v = {k: bytes.fromhex(x) for k, x in vector.items() if isinstance(x, str) and k != "what"}
        given = {session.NONCE_BYTES: v["bridge_nonce"], x25519.BYTES: v["bridge_private"]}
        bridge = Handshake(v["bridge_id"], lambda n, given=given: given[n])
        equal(bridge.hello(v["hello"]), (vector["mode"], v["key_id"]))
        equal(await bridge.challenge(v["secret"]), v["challenge"])
        accept, inward, outward = bridge.proof(v["proof"])
        equal(accept, v["accept"])
        for record in vector["phone_to_bridge"]:
            equal(inward.open(bytes.fromhex(record["message"])).hex(), record["plain"])
        for record in vector["bridge_to_phone"]:
            equal(outward.seal(bytes.fromhex(record["plain"])).hex(), record["message"])


async def test_bad_hello_vectors():
    for vector in vectors()["bad_hellos"]:
        bridge = Handshake(BRIDGE_ID)
        with raises(ProtocolError) as caught:
            bridge.hello(bytes.fromhex(vector["hello"]))
            await bridge.challenge(SETUP_CODE)
        equal((vector["what"], caught.value.code), (vector["what"], vector["code"]))
        # It cannot be proved after all.
        refused(session.BAD_MESSAGE, bridge.proof, b"\3" + bytes(32))


def test_hello_at_its_length():
    right = Phone(1, ZEROS, SETUP_CODE).hello
    equal(Handshake(BRIDGE_ID).hello(right), (1, ZEROS))
    for wrong in (right[:-1], right + b"\0"):
        refused(session.BAD_MESSAGE, Handshake(BRIDGE_ID).hello, wrong)


async def test_wrong_secret_is_refused_once_and_for_all():
    bridge, proof = await shaken(Phone(1, ZEROS, b"\xff" * 16))
    refused(session.BAD_PROOF, bridge.proof, proof)
    # A second try on the same challenge does not count, right or wrong.
    refused(session.BAD_MESSAGE, bridge.proof, proof)


async def test_the_bridge_says_nothing_of_its_secret_before_the_phone_has_proved():
    # The same key pair, nonce and HELLO: the CHALLENGE does not depend on the secret.
    hello = Phone(1, ZEROS, SETUP_CODE).hello
    said = set()
    for secret in (SETUP_CODE, b"\xff" * 16, b"\xff" * 32):
        bridge = Handshake(BRIDGE_ID, bytes)
        bridge.hello(hello)
        said.add(await bridge.challenge(secret))
    equal(len(said), 1)


async def test_whatever_is_changed_on_the_way_the_proof_is_wrong():
    # Each byte of HELLO and CHALLENGE is in H. (Bit 255 of a public key counts for nothing, but is in H, too.)
    for at in (2, 11, 26, 27, 58):
        phone = Phone(2, b"phone-id", SETUP_CODE)
        bridge = Handshake(BRIDGE_ID)
        bent = bytearray(phone.hello)
        bent[at] ^= 0x80 if at == 58 else 1
        bridge.hello(bytes(bent))
        refused(session.BAD_PROOF, bridge.proof, await phone.prove(await bridge.challenge(SETUP_CODE)))
    for at in (2, 10, 26, 57):
        phone = Phone(2, b"phone-id", SETUP_CODE)
        bridge = Handshake(BRIDGE_ID)
        bridge.hello(phone.hello)
        bent = bytearray(await bridge.challenge(SETUP_CODE))
        bent[at] ^= 0x80 if at == 57 else 1
        refused(session.BAD_PROOF, bridge.proof, await phone.prove(bytes(bent)))


async def test_whoever_has_the_secret_later_but_no_private_key_has_no_keys():
    phone = Phone(1, ZEROS, SETUP_CODE)
    bridge = Handshake(BRIDGE_ID)
    bridge.hello(phone.hello)
    challenge = await bridge.challenge(SETUP_CODE)
    accept, _, outward = bridge.proof(await phone.prove(challenge))
    h = crypto.digest(b"speakeasy pairing 1", phone.hello, challenge)
    record = outward.seal(b"hello")
    equal(phone.inward.open(record), b"hello")
    p = crypto.hmac(SETUP_CODE, b"speakeasy secret 1", h)
    for guess in (b"", bytes(32), challenge[-32:], phone.hello[-32:]):
        keys = crypto.hkdf(phone.nonce + challenge[10:26], p + guess, b"speakeasy session 1" + h, 160)
        refused(session.BAD_RECORD, Direction(keys[112:128], keys[128:160]).open, record)


async def test_every_handshake_has_a_key_pair_of_its_own():
    publics = set()
    for _ in range(4):
        bridge = Handshake(BRIDGE_ID)
        bridge.hello(Phone(1, ZEROS, SETUP_CODE).hello)
        publics.add((await bridge.challenge(SETUP_CODE))[-32:])
    equal(len(publics), 4)


async def test_proof_before_hello_or_misshapen():
    refused(session.BAD_MESSAGE, Handshake(BRIDGE_ID).proof, b"\x03" + bytes(32))
    bridge, proof = await shaken(Phone(1, ZEROS, SETUP_CODE))
    for wrong in (b"", b"\x03", proof[:-1], proof + b"\0", b"\x04" + proof[1:]):
        refused(session.BAD_MESSAGE, bridge.proof, wrong)


async def test_a_replayed_proof_is_wrong_in_the_next_session():
    phone = Phone(1, ZEROS, SETUP_CODE)
    first, proof = await shaken(phone)
    first.proof(proof)
    second, _ = await shaken(phone)
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


async def test_the_two_directions_differ():
    bridge, proof = await shaken(Phone(1, ZEROS, SETUP_CODE))
    _, inward, outward = bridge.proof(proof)
    # What the bridge said cannot be said back to it.
    refused(session.BAD_RECORD, inward.open, outward.seal(b"hello"))


def test_error_message():
    equal(session.error(session.LOCKED), b"\x05\x03")


def test_an_error_quotes_nothing():
    assert str(ProtocolError(2)) == "protocol error 2"
