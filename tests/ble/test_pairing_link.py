"""Every message and error of SPEC 2.1 to 2.3, on the firmware's own pairing over a Bluetooth link, at three MTUs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from bumble import att
from pairing_sides import (
    BRIDGE_ID,
    INVITE,
    INVITE_ID,
    PHONE,
    PHONE_ID,
    SETUP,
    Phone,
    call,
    program,
    served,
)
from speakeasy import session as s

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors/pairing.json").read_text())
MTUS = (23, 185, 517)
LONGEST_WRITE = 512
BYE = b'{"op":"bye","id":1}'

mtus = pytest.mark.parametrize("mtu", MTUS)


@mtus
@pytest.mark.parametrize("credential", [SETUP, PHONE, INVITE], ids=["setup code", "phone key", "invite"])
async def test_a_session(board, central, mtu, credential):
    bridge = await board(program(owned=credential is not SETUP))
    async with call(central, bridge, mtu) as phone:
        assert (await phone.info()).bridge == BRIDGE_ID
        welcome = json.loads(await phone.greet(credential))
        assert welcome["op"] == "welcome"
        assert welcome["role"] == ("owner" if credential is PHONE else "new")
        assert welcome["bridge"] == BRIDGE_ID.hex()
        # A record of one byte, of the most that fits, and one that is not JSON: each has its answer.
        for size in (1, 992):
            assert json.loads(await phone.ask(b"x" * size))["error"] == "bad-request"
        assert json.loads(await phone.ask(BYE)) == {"id": 1, "ok": True}
        assert await phone.hear() is None


@mtus
async def test_an_answer_of_many_fragments(board, central, mtu):
    more = """
for n in range(15):
    phones.add({"id": "%016x" % n, "key": "%064x" % n, "name": "\\u00e4" * 32, "role": "guest"})
"""
    bridge = await board(program(more=more))
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)
        listed: list[str] = []
        for page in range(16):
            text = await phone.ask(b'{"op":"phones","id":2,"page":%d}' % page)
            assert len(text) <= 992
            answer = json.loads(text)
            listed += [each["phone"] for each in answer["phones"]]
            if not answer.get("more"):
                break
        assert listed == [PHONE_ID.hex(), *(f"{n:016x}" for n in range(15))]


@mtus
async def test_bad_fragments(board, central, mtu):
    bridge = await board(program())
    for case in VECTORS["bad_fragments"]:
        fragments = [bytes.fromhex(fragment) for fragment in case["fragments"]]
        if max(map(len, fragments)) > min(mtu - 3, LONGEST_WRITE):
            continue  # see below
        async with call(central, bridge, mtu) as phone:
            for fragment in fragments:
                await phone.write(fragment)
            await phone.thrown_out(s.BAD_MESSAGE)
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)


LOSING = """
lost = []

def losing(event, data):
    if event == EVENT and not lost:
        lost.append(event)
        say("lost")
        raise MemoryError

core = aioble.core
core._irq_handlers.insert(0 if BEFORE else len(core._irq_handlers), losing)
"""


@pytest.mark.parametrize("event", [1, 2, 3], ids=["that a phone came", "that it went", "that it wrote"])
@pytest.mark.parametrize("before", [True, False], ids=["aioble does not know", "aioble knows"])
async def test_no_memory_for_a_report_of_the_stack_costs_one_session_at_most(board, central, event, before):
    bridge = await board(program(more=f"EVENT, BEFORE = {event}, {before}\n" + LOSING))

    async def first() -> None:
        phone = await Phone.call(central, 185)
        await phone.send(s.Handshake(PHONE).hello)
        if event != 2:  # else it goes by itself
            while await phone.hear() is not None:
                pass
        await phone.hang_up()

    # It may be thrown out at any point, even while it looks for the characteristics; Bumble ends what it does then.
    await asyncio.gather(first(), return_exceptions=True)
    async with call(central, bridge, 185) as phone:
        await phone.greet(PHONE)
    assert "lost" in bridge.heard


async def test_a_write_longer_than_the_inbox(board, central):
    bridge = await board(program())
    async with call(central, bridge, 517) as phone:
        refused = await central.refused(central.write(2, b"\xc0" + bytes(LONGEST_WRITE)))
        assert refused == att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
        await phone.greet(PHONE)  # as if nothing had come


@mtus
async def test_a_message_of_1024_bytes_is_one_and_of_1025_is_none(board, central, mtu):
    bridge = await board(program())
    for size in (1024, 1025):
        async with call(central, bridge, mtu) as phone:
            await phone.greet(PHONE)
            message = bytes([s.RECORD]) + bytes(size - 1)
            piece = min(mtu - 4, LONGEST_WRITE - 1)
            pieces = [message[at : at + piece] for at in range(0, size, piece)]
            for number, each in enumerate(pieces):
                header = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0) | number % 64
                await phone.write(bytes([header]) + each)
            # Longer than any record: understood as far as its length, no further.
            await phone.thrown_out(s.BAD_MESSAGE)


@mtus
async def test_bad_hellos(board, central, mtu):
    bridge = await board(program(owned=False))
    cases = VECTORS["bad_hellos"]
    for case in cases if mtu == 185 else cases[::4]:  # of each code some
        async with call(central, bridge, mtu) as phone:
            await phone.send(bytes.fromhex(case["hello"]))
            await phone.thrown_out(case["code"])
    async with call(central, bridge, mtu) as phone:
        await phone.greet(SETUP)


@mtus
# A setup code has no key id that could be wrong: see test_bad_hellos.
@pytest.mark.parametrize(
    ("mode", "wrong"), [(1, "secret"), (2, "secret"), (2, "key id"), (3, "secret"), (3, "key id")], ids=str
)
async def test_wrong_proofs(board, central, mtu, mode, wrong):
    bridge = await board(program(owned=mode != 1))
    key_id = {1: bytes(8), 2: PHONE_ID, 3: INVITE_ID}[mode] if wrong == "secret" else b"unknown0"
    async with call(central, bridge, mtu) as phone:
        _, proof = await phone.challenged(s.Credential(mode, key_id, b"a wrong secret.."))
        await phone.send(proof)
        await phone.thrown_out(s.BAD_PROOF)
    async with call(central, bridge, mtu) as phone:
        await phone.greet({1: SETUP, 2: PHONE, 3: INVITE}[mode])


@mtus
async def test_what_is_none_of_a_handshakes_messages(board, central, mtu):
    bridge = await board(program())
    proof = bytes([s.PROOF]) + bytes(32)
    for first in (
        b"\x00",
        bytes([s.CHALLENGE]) + bytes(57),
        proof,
        bytes([s.RECORD]) + bytes(40),
        b"\x05\x01",
        b"\xff",
    ):
        async with call(central, bridge, mtu) as phone:
            await phone.send(first)
            await phone.thrown_out(s.BAD_MESSAGE)
    for second in (
        s.Handshake(PHONE).hello,
        proof[:-1],
        proof + b"\0",
        bytes([s.ACCEPT]) + bytes(32),
        b"\x04" + bytes(40),
    ):
        async with call(central, bridge, mtu) as phone:
            await phone.challenged(PHONE)
            await phone.send(second)
            await phone.thrown_out(s.BAD_MESSAGE)
    for third in (s.Handshake(PHONE).hello, proof, bytes([s.RECORD]) + bytes(20), b"\x05\x01", b"\x00"):
        async with call(central, bridge, mtu) as phone:
            await phone.greet(PHONE)
            await phone.send(third)
            await phone.thrown_out(s.BAD_MESSAGE)


@mtus
async def test_bad_records(board, central, mtu):
    bridge = await board(program())

    def flipped(at):
        def bend(phone: Phone) -> list[bytes]:
            record = phone.up.seal(BYE)
            return [record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]]

        return bend

    def gap(phone: Phone) -> list[bytes]:
        phone.up.seal(BYE)
        return [phone.up.seal(BYE)]

    def other_direction(phone: Phone) -> list[bytes]:
        return [phone.heard]  # type: ignore[attr-defined]

    for bend in (
        flipped(1),
        flipped(4),
        flipped(5),
        flipped(-17),
        flipped(-16),
        flipped(-1 % 40),
        gap,
        other_direction,
    ):
        async with call(central, bridge, mtu) as phone:
            handshake, proof = await phone.challenged(PHONE)
            await phone.send(proof)
            accept = await phone.hear()
            assert accept is not None
            phone.up, phone.down = handshake.accept(accept)
            phone.heard = await phone.hear()  # type: ignore[attr-defined]
            for record in bend(phone):
                await phone.send(record)
            await phone.thrown_out(s.BAD_RECORD)
    async with call(central, bridge, mtu) as phone:  # replayed
        await phone.greet(PHONE)
        record = phone.up.seal(b'{"op":"phones","id":1}')
        await phone.send(record)
        assert await phone.hear()
        await phone.send(record)
        await phone.thrown_out(s.BAD_RECORD)


@mtus
async def test_a_setup_code_on_an_owned_bridge(board, central, mtu):
    bridge = await board(program())
    async with call(central, bridge, mtu) as phone:
        await phone.send(s.Handshake(SETUP).hello)
        await phone.thrown_out(s.NOT_NOW)


@mtus
async def test_five_wrong_proofs_lock_codes_out_and_no_phone(board, central, mtu):
    bridge = await board(program())
    for _ in range(5):
        async with call(central, bridge, mtu) as phone:
            _, proof = await phone.challenged(s.Credential.invite(INVITE_ID, b"a wrong secret.."))
            await phone.send(proof)
            await phone.thrown_out(s.BAD_PROOF)
    async with call(central, bridge, mtu) as phone:
        await phone.send(s.Handshake(INVITE).hello)
        await phone.thrown_out(s.LOCKED)
    async with call(central, bridge, mtu) as phone:
        assert json.loads(await phone.greet(PHONE))["role"] == "owner"


LIMITED = """
# SILENCE_MS and HANDSHAKE_MS for each phone; only what is to strike is short.
limits = [(3000, 30_000), (30_000, 1500), (30_000, 3000), (3000, 30_000), (30_000, 30_000)]
serve = Watched._serve

async def limited(self, connection):
    pairing.SILENCE_MS, pairing.HANDSHAKE_MS = limits.pop(0)
    await serve(self, connection)

Watched._serve = limited
"""


@mtus
async def test_a_handshake_and_a_session_take_only_so_long(board, central, mtu):
    bridge = await board(program(more=LIMITED))
    async with call(central, bridge, mtu) as phone:  # says nothing at all
        assert await phone.hear() is None
    async with call(central, bridge, mtu) as phone:  # says one byte
        await phone.write(b"\x80\x01")
        assert await phone.hear() is None
    async with call(central, bridge, mtu) as phone:  # never proves
        await phone.challenged(PHONE)
        assert await phone.hear() is None
    async with call(central, bridge, mtu) as phone:  # asks for nothing
        await phone.greet(PHONE)
        assert await phone.hear() is None
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)


@mtus
async def test_a_phone_that_goes_away_at_every_step(board, central, mtu):
    bridge = await board(program())
    for step in range(5):
        phone = await Phone.call(central, mtu)
        if step == 1:
            await phone.write(b"\x80\x01")
        if step == 2:
            await phone.send(s.Handshake(PHONE).hello)
        if step == 3:
            _, proof = await phone.challenged(PHONE)
            await phone.write(next(iter(s.fragments(proof, 23))))
        if step == 4:
            await phone.greet(PHONE)
            await phone.send(phone.up.seal(b'{"op":"phones","id":1}'))
        await phone.hang_up()
        await served(bridge)
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)
