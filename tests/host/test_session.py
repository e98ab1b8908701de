"""The phone's side of the pairing link: against the vectors, and against a bridge that lies (SPEC 2)."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer import BRIDGE_ID, INVITE_ID, INVITE_SECRET, SETUP_CODE, Bridge
from speakeasy import session as s
from speakeasy.errors import NotReached, SpeakeasyError

VECTOR_DIR = Path(__file__).parents[1] / "vectors"
VECTORS: dict[str, Any] = json.loads((VECTOR_DIR / "pairing.json").read_text())
SETUP = s.Credential.setup_code(SETUP_CODE)
MTUS = (23, 185, 517)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


# --- vectors --------------------------------------------------------------------------------------------------------
def test_vectors_are_what_their_generator_makes() -> None:
    assert subprocess.run([sys.executable, VECTOR_DIR / "make_pairing.py", "--check"]).returncode == 0


@pytest.mark.parametrize("case", VECTORS["fragments"], ids=lambda c: f"mtu{c['mtu']}-{len(c['message']) // 2}")
def test_fragment_vectors(case: dict[str, Any]) -> None:
    message = unhex(case["message"])
    cut = list(s.fragments(message, case["mtu"]))
    assert [f.hex() for f in cut] == case["fragments"]
    joiner = s.Joiner()
    assert [joiner.feed(f) for f in cut] == [None] * (len(cut) - 1) + [message]


@pytest.mark.parametrize("case", VECTORS["bad_fragments"], ids=lambda c: c["what"])
def test_bad_fragments_end_the_session(case: dict[str, Any]) -> None:
    joiner = s.Joiner()
    for fragment in case["fragments"][:-1]:
        assert joiner.feed(unhex(fragment)) is None
    with pytest.raises(s.FramingError):
        joiner.feed(unhex(case["fragments"][-1]))


@pytest.mark.parametrize("case", VECTORS["handshakes"], ids=lambda c: c["what"])
def test_handshake_vectors(case: dict[str, Any]) -> None:
    credential = s.Credential(case["mode"], unhex(case["key_id"]), unhex(case["secret"]))
    handshake = s.Handshake(credential, unhex(case["phone_nonce"]), unhex(case["phone_private"]))
    assert handshake.hello.hex() == case["hello"]
    assert handshake.prove(unhex(case["challenge"]), unhex(case["bridge_id"])).hex() == case["proof"]
    up, down = handshake.accept(unhex(case["accept"]))
    for record in case["phone_to_bridge"]:
        assert up.seal(unhex(record["plain"])).hex() == record["message"]
    for record in case["bridge_to_phone"]:
        assert down.open(unhex(record["message"])).hex() == record["plain"]


# --- fragments ------------------------------------------------------------------------------------------------------
@given(st.binary(min_size=1, max_size=1024), st.integers(23, 600))
def test_fragments_fit_and_join(message: bytes, mtu: int) -> None:
    joiner = s.Joiner()
    out = []
    for fragment in s.fragments(message, mtu):
        assert 2 <= len(fragment) <= min(mtu - 3, 512)
        out.append(joiner.feed(fragment))
    assert out[-1] == message
    assert not any(out[:-1])


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_joiner_takes_any_bytes_in_bounded_memory(fragments: list[bytes]) -> None:
    joiner = s.Joiner()
    try:
        for fragment in fragments:
            message = joiner.feed(fragment)
            assert message is None or 1 <= len(message) <= 1024
    except s.FramingError:
        pass


@pytest.mark.parametrize("size", [0, 1025])
def test_no_message_of_a_wrong_size_is_sent(size: int) -> None:
    with pytest.raises(s.FramingError):
        list(s.fragments(bytes(size), 185))


# --- records --------------------------------------------------------------------------------------------------------
def directions() -> tuple[s.Direction, s.Direction]:
    return s.Direction(b"e" * 16, b"m" * 32), s.Direction(b"e" * 16, b"m" * 32)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_changed_record_is_refused(plain: bytes, data: st.DataObject) -> None:
    here, there = directions()
    message = bytearray(here.seal(plain))
    bit = data.draw(st.integers(8, 8 * len(message) - 1))  # the type byte is not part of the record
    message[bit // 8] ^= 1 << bit % 8
    with pytest.raises(s.SessionError):
        there.open(bytes(message))


def test_replay_reorder_and_loss_are_refused() -> None:
    here, there = directions()
    first, second, third = here.seal(b"1"), here.seal(b"2"), here.seal(b"3")
    with pytest.raises(s.SessionError):
        there.open(second)
    assert there.open(first) == b"1"
    with pytest.raises(s.SessionError):
        there.open(first)
    with pytest.raises(s.SessionError):
        there.open(third)
    assert there.open(second) == b"2"


@pytest.mark.parametrize("size", [0, 1, 20, 21])
def test_a_truncated_record_is_refused(size: int) -> None:
    here, there = directions()
    with pytest.raises(s.SessionError):
        there.open(here.seal(b"hello")[:size])


@pytest.mark.parametrize("size", [0, 993])
def test_no_record_of_a_wrong_size_is_sent(size: int) -> None:
    with pytest.raises(s.SessionError):
        directions()[0].seal(bytes(size))


def test_the_largest_record_goes_through_and_one_byte_more_is_refused() -> None:
    here, there = directions()
    message = here.seal(b"x" * 992)
    assert len(message) == 1013
    with pytest.raises(s.SessionError):
        there.open(message + b"x")
    assert there.open(message) == b"x" * 992


# --- whole sessions -------------------------------------------------------------------------------------------------
async def enrol(bridge: Bridge, credential: s.Credential = SETUP) -> dict[str, Any]:
    async with await s.Session.open(await bridge.find(None, 1), credential) as session:
        assert session.role == "new"
        answer = await session.request("enrol", name="Zoë")
        await session.request("confirm")
        return answer


@pytest.mark.parametrize("mtu", MTUS)
def test_enrol_then_be_an_owner(mtu: int) -> None:
    async def play() -> None:
        bridge = Bridge(mtu=mtu, answers={"status": {"text": "ä" * 300}})
        answer = await enrol(bridge)
        key = s.Credential.phone_key(unhex(answer["phone"]), unhex(answer["key"]))
        async with await s.Session.open(await bridge.find(None, 1), key) as session:
            assert session.role == "owner"
            assert (await session.request("status"))["text"] == "ä" * 300
        assert [r["op"] for r in bridge.heard] == ["enrol", "confirm", "bye", "status", "bye"]

    asyncio.run(play())


def test_pages_are_put_together() -> None:
    async def play() -> None:
        bridge = Bridge()
        answer = await enrol(bridge)
        for n in range(4):
            bridge.phones[bytes([n]) * 8] = bytes(32), f"guest {n}", "guest"
        key = s.Credential.phone_key(unhex(answer["phone"]), unhex(answer["key"]))
        async with await s.Session.open(await bridge.find(None, 1), key) as session:
            phones = (await session.pages("phones", "phones"))["phones"]
            assert [p["name"] for p in phones] == [
                "Zoë",
                *map("guest {}".format, range(4)),
            ]

    asyncio.run(play())


def test_a_wrong_code_is_told_by_the_bridge() -> None:
    async def play() -> None:
        bridge = Bridge()
        seen: list[str] = []

        def lie(_: int, what: str, messages: list[bytes]) -> list[bytes]:
            seen.append(what)
            return messages

        bridge.lie = lie
        with pytest.raises(s.WrongSecret):
            await s.Session.open(await bridge.find(None, 1), s.Credential.setup_code(b"w" * 16))
        assert seen == ["challenge", "accept"]

    asyncio.run(play())


def test_nothing_is_told_to_who_only_says_yes() -> None:
    """Whoever accepts any proof and knows no secret: no request reaches them, not even `bye`."""

    async def play() -> None:
        def lie(_: int, what: str, messages: list[bytes]) -> list[bytes]:
            return [b"\x06" + bytes(32)] if what == "accept" else messages

        bridge = Bridge(setup_code=b"another secret..", lie=lie)
        written: list[int] = []
        link = await bridge.find(None, 1)
        write = link.write

        async def watched(fragment: bytes) -> None:
            written.append(fragment[1])
            await write(fragment)

        link.write = watched  # type: ignore[method-assign]
        with pytest.raises(s.SessionError, match="not your bridge") as caught:
            await s.Session.open(link, SETUP)
        assert not isinstance(caught.value, s.WrongSecret)  # or the phone would drop its key for them
        assert written == [s.HELLO, s.PROOF]
        assert link.closed

    asyncio.run(play())


@pytest.mark.parametrize("answer", ["welcome first", "a record in place of ACCEPT", "ACCEPT before PROOF"])
def test_nothing_is_believed_before_accept(answer: str) -> None:
    async def play() -> None:
        held: list[bytes] = []

        def lie(_: int, what: str, messages: list[bytes]) -> list[bytes]:
            match answer, what:
                case "welcome first", "accept":
                    held.extend(messages)
                    return []
                case "welcome first", "welcome":
                    return messages + held
                case "a record in place of ACCEPT", "accept":
                    return [b"\x04" + bytes(60)]
                case "ACCEPT before PROOF", "challenge":
                    return [b"\x06" + bytes(32)]
            return messages

        with pytest.raises(s.SessionError, match="not understood"):
            await enrol(Bridge(lie=lie))

    asyncio.run(play())


def test_every_handshake_has_a_key_pair_and_a_nonce_of_its_own() -> None:
    hellos = [s.Handshake(SETUP).hello for _ in range(8)]
    assert len({hello[-32:] for hello in hellos}) == 8
    assert len({hello[-48:-32] for hello in hellos}) == 8


SMALL_ORDER = sorted({case["hello"][-64:] for case in VECTORS["bad_hellos"] if "small order" in case["what"]})


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_public_key_of_small_order_is_refused(point: str) -> None:
    challenge = bytes([2, 1]) + BRIDGE_ID + bytes(16) + unhex(point)
    with pytest.raises(s.SessionError, match="not understood"):
        s.Handshake(SETUP).prove(challenge, BRIDGE_ID)


@pytest.mark.parametrize(("info_version", "older"), [(1, "the bridge"), (2, "this command")])
def test_a_version_that_the_bridge_refuses(info_version: int, older: str) -> None:
    async def play() -> None:
        bridge = Bridge(
            info=bytes([info_version, 0]) + BRIDGE_ID,
            lie=lambda _, what, messages: [bytes([5, 6])] if what == "challenge" else messages,
        )
        with pytest.raises(s.WrongVersion, match=f"Update {older}"):
            await enrol(bridge)

    asyncio.run(play())


def test_a_newer_bridge_that_still_knows_our_version() -> None:
    async def play() -> None:
        answer = await enrol(Bridge(info=bytes([2, 0]) + BRIDGE_ID + b"more of version 2"))
        assert answer["role"] == "owner"

    asyncio.run(play())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (1, s.SessionError),
        (2, s.WrongSecret),
        (3, s.LockedOut),
        (4, s.HasOwner),
        (5, s.SessionError),
        (6, s.WrongVersion),
        (99, s.SessionError),
    ],
)
@pytest.mark.parametrize("at", ["challenge", "accept", "welcome", "enrol"])
def test_errors_of_the_bridge_have_words(error: int, kind: type[Exception], at: str) -> None:
    async def play() -> None:
        bridge = Bridge(lie=lambda _, what, messages: [bytes([5, error])] if what == at else messages)
        with pytest.raises(kind) as caught:
            await enrol(bridge)
        assert str(caught.value).endswith(".") or str(caught.value).endswith("`.")

    asyncio.run(play())


def flipped(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


LIES: dict[str, Any] = {
    "challenge of another version": ("challenge", lambda m: [flipped(m, 1)]),
    "challenge of another bridge": ("challenge", lambda m: [flipped(m, 5)]),
    "challenge with a changed nonce": ("challenge", lambda m: [flipped(m, 12)]),
    "challenge with a changed public key": ("challenge", lambda m: [flipped(m, 26)]),
    "challenge too short": ("challenge", lambda m: [m[:-1]]),
    "challenge too long": ("challenge", lambda m: [m + b"x"]),
    "another type for a challenge": ("challenge", lambda m: [b"\x04" + m[1:]]),
    "accept changed": ("accept", lambda m: [flipped(m, 5)]),
    "accept too short": ("accept", lambda m: [m[:-1]]),
    "accept too long": ("accept", lambda m: [m + b"x"]),
    "another type for an accept": ("accept", lambda m: [b"\x03" + m[1:]]),
    "accept twice": ("accept", lambda m: [m, m]),
    "welcome changed": ("welcome", lambda m: [flipped(m, 7)]),
    "welcome in clear": ("welcome", lambda _: [b'\x04\0\0\0\0{"op":"welcome"}' + bytes(16)]),
    "answer changed": ("enrol", lambda m: [flipped(m, 9)]),
    "answer truncated": ("enrol", lambda m: [m[:-1]]),
    "answer with the next sequence": ("enrol", lambda m: [flipped(m, 4)]),
    "hang up before the challenge": ("challenge", None),
    "hang up before the accept": ("accept", None),
    "hang up before the welcome": ("welcome", None),
    "hang up before an answer": ("confirm", None),
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("mtu", MTUS)
def test_a_lie_ends_the_session_with_one_sentence(name: str, mtu: int) -> None:
    at, change = LIES[name]

    async def play() -> None:
        def lie(_: int, what: str, messages: list[bytes]) -> list[bytes] | None:
            if what != at:
                return messages
            return None if change is None else change(messages[0])

        bridge = Bridge(mtu=mtu, lie=lie)
        link = await bridge.find(None, 1)

        async def all_of_it() -> None:
            async with await s.Session.open(link, SETUP) as session:
                await session.request("enrol", name="a")
                await session.request("confirm")

        with pytest.raises(s.SessionError) as caught:
            await all_of_it()
        assert "\n" not in str(caught.value)
        assert link.closed

    asyncio.run(play())


CUTS: dict[str, Any] = {
    "a fragment is lost": lambda f: f[:1] + f[2:],
    "a fragment comes twice": lambda f: [f[0], *f],
    "two fragments change places": lambda f: [f[0], f[2], f[1], *f[3:]],
    "the first is missing": lambda f: f[1:],
    "an empty fragment": lambda _: [b""],
    "only a header": lambda _: [b"\xc0"],
    "it never ends": lambda _: [b"\x80" + b"x" * 19] + [bytes([n % 64]) + b"x" * 19 for n in range(1, 60)],
}


@pytest.mark.parametrize("name", CUTS)
def test_broken_fragments_end_the_session(name: str) -> None:
    async def play() -> None:
        bridge = Bridge(mtu=23, cut=lambda kind, f: CUTS[name](f) if kind == 2 else f)
        link = await bridge.find(None, 1)
        with pytest.raises(s.SessionError):
            await s.Session.open(link, SETUP)
        assert link.closed

    asyncio.run(play())


def test_a_replayed_answer_is_refused() -> None:
    async def play() -> None:
        old: list[bytes] = []

        def lie(_: int, what: str, messages: list[bytes]) -> list[bytes]:
            old.extend(messages if what == "enrol" else [])
            return old if what == "confirm" else messages

        with pytest.raises(s.SessionError, match="changed, repeated or lost"):
            await enrol(Bridge(lie=lie))

    asyncio.run(play())


def test_an_answer_to_another_request_is_refused() -> None:
    async def play() -> None:
        bridge = Bridge(answers={"status": {"id": 99}})
        answer = await enrol(bridge)
        key = s.Credential.phone_key(unhex(answer["phone"]), unhex(answer["key"]))
        async with await s.Session.open(await bridge.find(None, 1), key) as session:
            with pytest.raises(s.SessionError, match="something else"):
                await session.request("status")
            with pytest.raises(s.SessionError, match="over"):
                await session.request("status")

    asyncio.run(play())


def test_a_refusal_carries_the_word_and_a_clean_sentence() -> None:
    async def play() -> None:
        bridge = Bridge(answers={"status": {"ok": False, "error": "busy", "say": "No\x1b[31m,\nlater" + "!" * 500}})
        answer = await enrol(bridge)
        key = s.Credential.phone_key(unhex(answer["phone"]), unhex(answer["key"]))
        async with await s.Session.open(await bridge.find(None, 1), key) as session:
            with pytest.raises(s.Refused) as caught:
                await session.request("status")
            assert caught.value.word == "busy"
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) <= 300

    asyncio.run(play())


def test_silence_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "HANDSHAKE_LIMIT_S", 0.05)
    monkeypatch.setattr(s, "REQUEST_LIMIT_S", 0.05)

    async def play() -> None:
        steps = ["challenge", "accept", "welcome", "enrol"]
        for said in range(len(steps)):
            silent = steps[said:]
            bridge = Bridge(lie=lambda _, what, messages, silent=silent: [] if what in silent else messages)  # type: ignore[misc]
            with pytest.raises(s.SessionError, match="did not answer"):
                await enrol(bridge)

    asyncio.run(play())


@pytest.mark.parametrize("how", ["silently", "with the link"])
@pytest.mark.parametrize(
    ("age_s", "silent_s", "says"),
    [
        (590, 0, "hung up|gone"),
        (598, 0, "ends a session after 600 s"),
        (600, 0, "ends a session after 600 s"),
        (700, 40, "ends a session after 600 s"),
        (40, 20, "hung up|gone"),
        (40, 28, "silent for 30 s"),
        (40, 30, "silent for 30 s"),
    ],
)
def test_a_bridge_that_hangs_up_by_its_limits_is_explained(
    how: str, age_s: float, silent_s: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_fragment: bytes) -> None:
        raise NotReached("The connection is gone.")

    async def play() -> None:
        answers: dict[str, dict[str, Any]] = {"status": {}}
        bridge = Bridge(answers=answers, lie=lambda _, what, messages: None if what == "status" else messages)
        answer = await enrol(bridge)
        key = s.Credential.phone_key(unhex(answer["phone"]), unhex(answer["key"]))
        link = await bridge.find(None, 1)
        async with await s.Session.open(link, key) as session:
            session._began_s -= age_s
            session._sent_s -= silent_s
            if how == "with the link":
                monkeypatch.setattr(link, "write", gone)
            with pytest.raises(SpeakeasyError, match=says):
                await session.request("status")

    asyncio.run(play())


@pytest.mark.parametrize(
    "info",
    [b"", b"\x01", b"\x00\x01" + bytes(8), b"\x01\x00" + bytes(7), b"\x01\x00" + bytes(9), b"\x02\x00" + bytes(7)],
    ids=bytes.hex,
)
def test_malformed_info_is_refused(info: bytes) -> None:
    async def play() -> None:
        link = await Bridge(info=info).find(None, 1)
        with pytest.raises(s.SessionError):
            await s.Session.open(link, SETUP)
        assert link.closed

    asyncio.run(play())


def test_secrets_stay_out_of_repr_and_errors() -> None:
    credential = s.Credential.invite(INVITE_ID, INVITE_SECRET)
    assert INVITE_SECRET.hex() not in repr(credential)
    assert repr(INVITE_SECRET)[2:-1] not in repr(credential)

    async def play() -> None:
        link = await Bridge().find(None, 1)
        with pytest.raises(SpeakeasyError) as caught:
            await s.Session.open(link, credential)
        assert INVITE_SECRET.hex() not in str(caught.value)

    asyncio.run(play())
