"""Attacks on the pairing link, named by what the attacker tries; SECURITY.md lists all attacks and their tests.

The attacker is in reach of the bridge's radio: hears everything, sends anything, knows all of this code. They have no
code, no key and no invite, but where a test says so.
"""

import asyncio
import base64
import hmac
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from attacker import DOWN, UP, Bend, Relay, passed_on, recordings
from ble_sides import LIMIT_S, Board
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pairing_sides import (
    BRIDGE_ID,
    INVITE,
    INVITE_ID,
    PHONE,
    PHONE_ID,
    PHONE_KEY,
    SETUP,
    SETUP_CODE,
    Phone,
    call,
    heap_settles,
    program,
    served,
)
from speakeasy import ble, codes
from speakeasy import session as s
from speakeasy.errors import SpeakeasyError
from test_operations_link import GUEST, MORE, Asking

WIFI_KEY, SEGMENT_KEY, NAME = "correct horse battery", "only for the speaker", "Ada's own phone"
ONLINE = "policy.uplink_changed(b'\\x0a\\x42\\1\\2', b'\\xff\\xff\\0\\0', b'\\x0a\\x42\\0\\1', b'')\n"
WRONG = s.Credential.setup_code(b"a wrong secret..")


@pytest.fixture
def on_air(air: Any, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """So that the `speakeasy` package of a phone finds this air."""
    monkeypatch.setenv("SPEAKEASY_AIR", str(directory / "air"))
    return air


async def pair(phone: Phone, credential: s.Credential, name: str = NAME) -> s.Credential:
    """From the handshake to `confirm`: the key that the phone has then."""
    await phone.greet(credential)
    ask = Asking(phone)
    given = await ask.good("enrol", name=name)
    await ask.good("confirm")
    await ask.good("bye")
    return s.Credential.phone_key(bytes.fromhex(given["phone"]), bytes.fromhex(given["key"]))


async def phones(phone: Phone) -> dict[str, str]:
    """Names by ids, as an owner in a session lists them."""
    return {each["phone"]: each["name"] for each in await Asking(phone).pages("phones", "phones")}


def wrong_proofs(directory: Path) -> int:
    """How many tries the bridge has counted, on its flash."""
    path = directory / "flash" / "lockout.json"
    return int(json.loads(path.read_text())["data"]["wrong"]) if path.exists() else 0


async def guess(phone: Phone) -> None:
    """One wrong proof."""
    _, proof = await phone.challenged(WRONG)
    await phone.send(proof)


# --- sniff and read ---------------------------------------------------------------------------------------------------
def forms(secret: bytes) -> list[bytes]:
    """How a secret may look on the air."""
    texts = [secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode(), codes.write(secret)]
    return [secret, secret[::-1], *(text.encode() for text in [*texts, codes.write(secret).replace("-", "")])]


async def test_sniff_and_read_a_pairing_and_all_that_follows(board, central, air):
    bridge = await board(program(owned=False, more=MORE + ONLINE))
    with air.sniff() as heard:
        async with call(central, bridge, 185) as phone:
            owner = await pair(phone, SETUP)
        async with call(central, bridge, 517) as phone:
            await phone.greet(owner)
            ask = Asking(phone)
            invite = (await ask.good("invite", role="guest"))["invite"]
            token = (await ask.good("token"))["token"]
            await ask.good("join", ssid="Dorm", key=WIFI_KEY)
            await ask.good("segment", ssid="Speaker", key=SEGMENT_KEY)
            await ask.good("bye")
        invite_id, secret = codes.read_invite(invite)
        async with call(central, bridge, 23) as phone:
            guest = await pair(phone, s.Credential.invite(invite_id, secret))
    found = recordings(heard)
    # The recorder is not deaf: every message of every connection is there, in each direction.
    assert [len(each.sent(s.HELLO, UP)) for each in found] == [1, 1, 1]
    assert [len(each.sent(s.CHALLENGE, DOWN)) for each in found] == [1, 1, 1]
    assert [len(each.sent(s.RECORD, UP)) for each in found] == [3, 5, 3]
    assert [len(each.sent(s.RECORD, DOWN)) for each in found] == [4, 6, 4]
    assert all(BRIDGE_ID in each.sent(s.CHALLENGE, DOWN)[0] for each in found)
    assert owner.key_id in found[1].sent(s.HELLO, UP)[0]  # a phone's id is no secret
    air_time = b"".join(each.payload for each in heard) + b"|"
    air_time += b"|".join(message for each in found for _, message in each.messages)
    for bytes_of in (SETUP_CODE, owner.secret, guest.secret, secret, bytes.fromhex(token)):
        assert not [form for form in forms(bytes_of) if form in air_time]
    for text in (invite, token, WIFI_KEY, SEGMENT_KEY, NAME, "Dorm", '"op"', '"key"', "owner"):
        assert text.encode() not in air_time
    # No two records, and no two handshakes, have anything in common that would tell what is in them.
    sealed = [message[5:-16] for each in found for kind in (UP, DOWN) for message in each.sent(s.RECORD, kind)]
    assert len({text[:8] for text in sealed}) == len(sealed)
    assert len({each.sent(s.HELLO, UP)[0][11:] for each in found}) == 3
    assert len({each.sent(s.CHALLENGE, DOWN)[0][10:] for each in found}) == 3


async def test_sniff_and_read_the_label_later(board, central, air):
    bridge = await board(program(owned=False))
    with air.sniff() as heard:
        async with call(central, bridge, 185) as phone:
            await pair(phone, SETUP)
    (found,) = recordings(heard)
    (hello,), (challenge,) = found.sent(s.HELLO, UP), found.sent(s.CHALLENGE, DOWN)
    (proof,) = found.sent(s.PROOF, UP)
    h = sha256(b"speakeasy pairing 1" + hello + challenge).digest()
    p = hmac.digest(SETUP_CODE, b"speakeasy secret 1" + h, "sha256")
    # All that there is to be known, but for what both sides have forgotten by now.
    for z in (b"", bytes(32), hello[-32:], challenge[-32:], X25519PrivateKey.generate().private_bytes_raw()):
        for ikm in (p + z, z + p):
            keys = HKDF(hashes.SHA256(), 160, hello[11:27] + challenge[10:26], b"speakeasy session 1" + h).derive(ikm)
            assert hmac.digest(keys[32:64], h, "sha256") != proof[1:]
            with pytest.raises(s.SessionError):
                s.Direction(keys[64:80], keys[80:112]).open(found.sent(s.RECORD, UP)[0])


# --- sniff and replay -------------------------------------------------------------------------------------------------
async def test_sniff_and_replay_a_session_to_the_bridge(board, central, new_central, air):
    """Also: roll a setting back, by what once set it."""
    bridge = await board(program(more=MORE + "pairing.WRONG_KEY_MS = 10\n"))
    with air.sniff() as heard:
        async with call(central, bridge, 185) as phone:
            await phone.greet(PHONE)
            await Asking(phone).good("rename", phone=GUEST.key_id.hex(), name="then")
    (found,) = recordings(heard)
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        await Asking(phone).good("rename", phone=GUEST.key_id.hex(), name="now")
    thief = await new_central()
    # Byte by byte as it was.
    async with call(thief, bridge, 185) as phone:
        for fragment in found.fragments:
            await phone.write(fragment)
        challenge = await phone.hear()
        assert challenge is not None
        assert challenge[0] == s.CHALLENGE
        assert challenge[10:] != found.sent(s.CHALLENGE, DOWN)[0][10:]
        await phone.thrown_out(s.BAD_PROOF)
    # A record without the rest.
    for record in found.sent(s.RECORD, UP):
        async with call(thief, bridge, 185) as phone:
            await phone.send(record)
            await phone.thrown_out(s.BAD_MESSAGE)
    # The records in a session of the same phone: it is another one.
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        await phone.send(found.sent(s.RECORD, UP)[0])
        await phone.thrown_out(s.BAD_RECORD)
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        assert (await phones(phone))[GUEST.key_id.hex()] == "now"


async def test_sniff_and_replay_the_bridge_to_a_phone(board, central, air):
    bridge = await board(program())
    with air.sniff() as heard:
        async with call(central, bridge, 185) as phone:
            await phone.greet(PHONE)
    (found,) = recordings(heard)
    victim = s.Handshake(PHONE)
    victim.prove(found.sent(s.CHALLENGE, DOWN)[0], BRIDGE_ID)
    with pytest.raises(s.SessionError, match="does not hold this phone's secret"):
        victim.accept(found.sent(s.ACCEPT, DOWN)[0])


# --- man in the middle ------------------------------------------------------------------------------------------------
async def test_man_in_the_middle_who_passes_everything_sees_nothing(board, new_central, on_air):
    bridge = await board(program(owned=False))
    relay = await Relay.start(new_central, passed_on)
    try:
        link = await ble.find(BRIDGE_ID, LIMIT_S)
        async with await s.Session.open(link, SETUP) as session:
            given = await session.request("enrol", name=NAME)
            await session.request("confirm")
    finally:
        await relay.stop()
    await served(bridge)
    assert [message[0] for way, message in relay.seen if way == UP] == [s.HELLO, s.PROOF, *[s.RECORD] * 3]
    seen = b"|".join(message for _, message in relay.seen)
    for bytes_of in (SETUP_CODE, bytes.fromhex(given["key"])):
        assert not [form for form in forms(bytes_of) if form in seen]
    assert NAME.encode() not in seen


def exchanged(way: str, kind: int, at: int, new: bytes) -> Bend:
    """In one message some bytes are others."""

    def bend(its_way: str, message: bytes) -> list[bytes]:
        if (its_way, message[0]) != (way, kind):
            return [message]
        end = len(message) + 1 + at + len(new) if at < 0 else at + len(new)
        start = end - len(new)
        assert message[start:end] != new
        return [message[:start] + new + message[end:]]

    return bend


def flipped(way: str, kind: int, at: int) -> Bend:
    """In one message one bit is another."""

    def bend(its_way: str, message: bytes) -> list[bytes]:
        if (its_way, message[0]) != (way, kind):
            return [message]
        place = at % len(message)
        return [message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]]

    return bend


def instead(way: str, kind: int, *new: bytes, times: int = 1) -> Bend:
    """One message does not come, but others in its place, or itself several times."""

    def bend(its_way: str, message: bytes) -> list[bytes]:
        if (its_way, message[0]) != (way, kind):
            return [message]
        return [*new] if new else [message] * times

    return bend


def another_name(way: str, message: bytes) -> list[bytes]:
    """A counter mode's text can be bent by who knows where it says what: the last letter of the name in `enrol`."""
    if way == UP and message[:5] == bytes([s.RECORD]) + bytes(4):
        return flipped(UP, s.RECORD, -16 - len('e"}'))(way, message)
    return [message]


def both(one: Bend, other: Bend) -> Bend:
    return lambda way, message: [last for first in one(way, message) for last in other(way, first)]


MINE = X25519PrivateKey.generate().public_key().public_bytes_raw()
NONCE = os.urandom(16)
RELAYED: dict[str, Bend] = {
    "its own key to the bridge": exchanged(UP, s.HELLO, 27, MINE),
    "its own key to the phone": exchanged(DOWN, s.CHALLENGE, 26, MINE),
    "its own key to both": both(exchanged(UP, s.HELLO, 27, MINE), exchanged(DOWN, s.CHALLENGE, 26, MINE)),
    "a key of no use to the bridge": exchanged(UP, s.HELLO, 27, bytes(32)),
    "a key of no use to the phone": exchanged(DOWN, s.CHALLENGE, 26, bytes(32)),
    "a key of no use to both": both(exchanged(UP, s.HELLO, 27, bytes(32)), exchanged(DOWN, s.CHALLENGE, 26, bytes(32))),
    "another nonce to the bridge": exchanged(UP, s.HELLO, 11, NONCE),
    "another nonce to the phone": exchanged(DOWN, s.CHALLENGE, 10, NONCE),
    "an older version to the bridge": exchanged(UP, s.HELLO, 1, b"\0"),
    "a newer version to the bridge": exchanged(UP, s.HELLO, 1, b"\2"),
    "an older version to the phone": exchanged(DOWN, s.CHALLENGE, 1, b"\0"),
    "another mode": exchanged(UP, s.HELLO, 2, bytes([s.MODE_PHONE_KEY])),
    "another bridge": exchanged(DOWN, s.CHALLENGE, 2, b"another1"),
    "a bent proof": flipped(UP, s.PROOF, -1),
    "a bent accept": flipped(DOWN, s.ACCEPT, -1),
    "an accept that it made up": instead(DOWN, s.ACCEPT, bytes([s.ACCEPT]) + bytes(32)),
    "the proof sent back as accept": instead(DOWN, s.CHALLENGE, bytes([s.ACCEPT]) + bytes(32)),
    "no bridge at all": instead(UP, s.HELLO, bytes([s.RECORD]) + bytes(40)),
}
RECORDS: dict[str, Bend] = {
    "a bent record to the bridge": flipped(UP, s.RECORD, 5),
    "a bent name to the bridge": another_name,
    "a bent tag to the bridge": flipped(UP, s.RECORD, -1),
    "another number to the bridge": flipped(UP, s.RECORD, 4),
    "every record twice to the bridge": instead(UP, s.RECORD, times=2),
    "every record twice to the phone": instead(DOWN, s.RECORD, times=2),
    "a bent record to the phone": flipped(DOWN, s.RECORD, 5),
    "a shorter record to the phone": lambda way, m: [m[:-1] if (way, m[0]) == (DOWN, s.RECORD) else m],
}


@pytest.mark.parametrize("what", [*RELAYED, *RECORDS])
async def test_man_in_the_middle_who_changes(board, central, new_central, on_air, directory, what):
    bridge = await board(program(owned=False))
    relay = await Relay.start(new_central, {**RELAYED, **RECORDS}[what])
    got = False
    try:
        with pytest.raises(SpeakeasyError) as caught:
            link = await ble.find(BRIDGE_ID, LIMIT_S)
            async with await s.Session.open(link, SETUP) as session:
                got = True
                await session.request("enrol", name=NAME)
                await session.request("confirm")
        # Before the records there is no session; with them, none that goes on: nobody answers what was bent.
        assert not isinstance(caught.value, s.Refused)
        assert not got or what in RECORDS
    finally:
        await relay.stop()
    await served(bridge)
    # Wrong proofs that came by way of it are counted like others.
    assert wrong_proofs(directory) <= 1
    # Nobody has become owner, and the owner still can.
    async with call(central, bridge, 185) as phone:
        assert json.loads(await phone.greet(SETUP))["role"] == "new"


async def test_man_in_the_middle_who_lies_about_the_bridges_version(board, new_central, on_air):
    """A phone does not fall back to what it is told: it refuses."""
    bridge = await board(program(owned=False))
    relay = await Relay.start(new_central, passed_on, lambda info: b"\0" + info[1:])
    try:
        with pytest.raises(s.WrongVersion, match="Update the bridge"):
            await s.Session.open(await ble.find(BRIDGE_ID, LIMIT_S), SETUP)
        assert relay.seen == []
    finally:
        await relay.stop()
    await served(bridge)


# --- guess the code ---------------------------------------------------------------------------------------------------
async def test_guess_the_code_and_run_before_the_answer(board, new_central, air, directory):
    """A try counts before it is answered, and whoever sends it: not by address, not by connection."""
    bridge = await board(program(owned=False))
    for number in range(5):
        phone = await Phone.call(await new_central(), 185)
        await guess(phone)
        async with asyncio.timeout(LIMIT_S):  # one that the bridge has not looked at tells nobody anything
            while wrong_proofs(directory) <= number:
                await asyncio.sleep(0.01)
        air.drop()
        await served(bridge)
        assert wrong_proofs(directory) == number + 1
    async with call(await new_central(), bridge, 185) as phone:
        await phone.send(s.Handshake(SETUP).hello)
        await phone.thrown_out(s.LOCKED)


async def test_guess_the_code_twice_on_one_challenge(board, central, directory):
    bridge = await board(program(owned=False))
    async with call(central, bridge, 185) as phone:
        handshake, proof = await phone.challenged(SETUP)
        await phone.send(bytes([s.PROOF]) + bytes(32))
        await phone.send(proof)  # even the right one
        await phone.thrown_out(s.BAD_PROOF)
        assert handshake is not None
    assert wrong_proofs(directory) == 1


async def test_guess_the_code_between_power_cuts(board, central, directory):
    """Pulling the bridge's plug gives no tries back."""
    bridge: Board = await board(program(owned=False))
    for _ in range(5):
        phone = await Phone.call(central, 185)
        await guess(phone)
        assert await phone.hear() == bytes([s.ERROR, s.BAD_PROOF])
        await bridge.kill()
        await phone.hang_up()
        bridge = await board(program(owned=False))
    assert wrong_proofs(directory) == 5
    async with call(central, bridge, 185) as phone:
        await phone.send(s.Handshake(SETUP).hello)
        await phone.thrown_out(s.LOCKED)


async def test_guess_the_code_away_from_the_bridge(board, central, directory):
    """Who only asks pays no try, and gets nothing to test a guess on."""
    bridge = await board(program(owned=False))
    for _ in range(8):
        async with call(central, bridge, 185) as phone:
            await phone.challenged(WRONG)
    assert wrong_proofs(directory) == 0
    # The CHALLENGE is what it would be with any code: the same, but for what is random.
    async with call(central, bridge, 185) as phone:
        await phone.send(s.Handshake(SETUP).hello)
        challenge = await phone.hear()
        assert challenge is not None
        assert challenge[:10] == bytes([s.CHALLENGE, s.VERSION]) + BRIDGE_ID
        assert len(challenge) == 58


# --- lock the owner out -----------------------------------------------------------------------------------------------
async def test_lock_the_owner_out_by_using_up_the_tries(board, central, new_central):
    bridge = await board(program())
    neighbour = await new_central()
    for _ in range(7):
        async with call(neighbour, bridge, 185) as phone:
            handshake = s.Handshake(s.Credential.invite(INVITE_ID, b"a wrong secret.."))
            await phone.send(handshake.hello)
            challenge = await phone.hear()
            if challenge is not None and challenge[0] == s.CHALLENGE:
                await phone.send(handshake.prove(challenge, BRIDGE_ID))
                await phone.thrown_out(s.BAD_PROOF)
            else:
                assert challenge == bytes([s.ERROR, s.LOCKED])
    async with call(central, bridge, 185) as phone:
        await phone.send(s.Handshake(INVITE).hello)
        await phone.thrown_out(s.LOCKED)
    # The owner's key always gets its try, and ends the lock-out for those whom the owner has invited.
    async with call(central, bridge, 185) as phone:
        assert json.loads(await phone.greet(PHONE))["role"] == "owner"
    async with call(central, bridge, 185) as phone:
        assert json.loads(await phone.greet(INVITE))["role"] == "new"


async def test_lock_the_owner_out_by_hogging_the_connection(board, central, new_central):
    """One who comes again and again, says nothing and is thrown out each time: the owner gets in between."""
    bridge = await board(program(more="pairing.SILENCE_MS = 3000\npairing.HANDSHAKE_MS = 3000\n"))
    hog = await new_central()
    held = 0

    async def keep_it_busy() -> None:
        nonlocal held
        while True:
            phone = await Phone.call(hog, 185)
            held += 1
            if held % 2:
                await phone.write(b"\x80\x01")
            assert await phone.hear() is None  # thrown out
            await phone.hang_up()

    busy = asyncio.create_task(keep_it_busy())
    try:
        async with asyncio.timeout(LIMIT_S):
            while held < 2:
                await asyncio.sleep(0.01)
            while True:
                try:
                    phone = await Phone.call(central, 185)
                    break
                except TimeoutError:
                    pass
        assert json.loads(await phone.greet(PHONE))["role"] == "owner"
        await phone.hang_up()
    finally:
        busy.cancel()
        await asyncio.wait([busy])
        assert busy.cancelled(), busy.exception()
    del bridge


# --- exhaust memory ---------------------------------------------------------------------------------------------------
async def _nothing(phone: Phone) -> None:
    pass


async def _half_a_message(phone: Phone) -> None:
    await phone.write(b"\x80" + bytes(100))


async def _almost_the_biggest(phone: Phone) -> None:
    *pieces, _last = s.fragments(bytes([s.HELLO]) + bytes(1023), phone.mtu)
    for piece in pieces:
        await phone.write(piece)


async def _the_biggest(phone: Phone) -> None:
    await phone.send(bytes([s.HELLO]) + bytes(1023))
    await phone.thrown_out(s.BAD_VERSION)


async def _a_challenge(phone: Phone) -> None:
    await phone.challenged(PHONE)


async def _a_session_left_in_the_middle(phone: Phone) -> None:
    await phone.greet(PHONE)
    await phone.write(b"\x80" + phone.up.seal(b"x" * 900)[:100])


async def _the_biggest_requests(phone: Phone) -> None:
    await phone.greet(PHONE)
    for text in (b"x" * 992, b'{"op":"' + b"a" * 980 + b'"}', b"[" * 992):
        assert json.loads(await phone.ask(text))["error"] == "bad-request"


KINDS = (
    _nothing,
    _half_a_message,
    _almost_the_biggest,
    _the_biggest,
    _a_challenge,
    _a_session_left_in_the_middle,
    _the_biggest_requests,
)


async def test_exhaust_memory_by_connections_without_end(board, central):
    bridge = await board(program())
    heap: list[int] = []
    for number in range(6 * len(KINDS)):
        async with call(central, bridge, (23, 185, 517)[number % 3], heap) as phone:
            await KINDS[number % len(KINDS)](phone)
    # Each kind once, and what is made once is there.
    await heap_settles(central, bridge, heap, min(heap[len(KINDS) : 2 * len(KINDS)]))
    assert not any("Traceback" in line for line in bridge.heard)


# --- roll a setting back ----------------------------------------------------------------------------------------------
async def test_roll_back_a_revocation_by_a_power_cut(board, central):
    """What the bridge has answered is on its flash, whenever the power goes."""
    bridge: Board = await board(program(more=MORE))
    phone = await Phone.call(central, 185)
    await phone.greet(PHONE)
    assert await Asking(phone).good("revoke", phone=GUEST.key_id.hex()) == {}
    await bridge.kill()
    await phone.hang_up()
    # MORE would enrol that guest anew.
    bridge = await board(program(more="phones.add = lambda phone: None\npairing.WRONG_KEY_MS = 10\n"))
    async with call(central, bridge, 185) as phone:
        _, proof = await phone.challenged(GUEST)
        await phone.send(proof)
        await phone.thrown_out(s.BAD_PROOF)
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        assert GUEST.key_id.hex() not in await phones(phone)


async def test_roll_back_an_invite_that_was_used(board, central):
    bridge = await board(program())
    async with call(central, bridge, 185) as phone:
        await pair(phone, INVITE, "first")
    async with call(central, bridge, 185) as phone:
        await phone.send(s.Handshake(INVITE).hello)
        answer = await phone.hear()
        if answer is not None and answer[0] == s.CHALLENGE:  # another invite is out
            await phone.send(bytes([s.PROOF]) + bytes(32))
            answer = await phone.hear()
        assert answer in (bytes([s.ERROR, s.BAD_PROOF]), bytes([s.ERROR, s.NOT_NOW]))
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        assert sorted((await phones(phone)).values()) == ["first", "phone"]


async def test_roll_back_the_settings_with_the_board_in_hand(board, central, directory):
    """Not defended, as SECURITY.md says: who can write the flash can put back what was there. Nothing is gained by a
    file that was bent without knowing how it is checked: the bridge goes on with none of it."""
    flash = directory / "flash"
    bridge: Board = await board(program(more=MORE))
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
        older = (flash / "settings.json").read_bytes()
        await Asking(phone).good("revoke", phone=GUEST.key_id.hex())
    await bridge.kill()
    newer = (flash / "settings.json").read_bytes()
    assert GUEST.key_id.hex().encode() in older
    assert PHONE_KEY.hex().encode() in newer  # in the clear: what flash encryption is for
    again = program(more="pairing.WRONG_KEY_MS = 10\n").replace("if OWNED:", "if False:")
    (flash / "settings.json").write_bytes(older)
    bridge = await board(again)
    async with call(central, bridge, 185) as phone:
        assert json.loads(await phone.greet(GUEST))["role"] == "guest"
    await bridge.kill()
    (flash / "settings.json").write_bytes(newer.replace(PHONE_ID.hex().encode(), b"f" * 16))
    bridge = await board(again)
    for credential in (PHONE, GUEST):
        async with call(central, bridge, 185) as phone:
            _, proof = await phone.challenged(credential)
            await phone.send(proof)
            await phone.thrown_out(s.BAD_PROOF)
    assert (flash / "settings.bad").exists()
