"""Enrolment in two phases: whenever the link breaks, no bridge is left with an owner that has no key."""

import asyncio
from pathlib import Path

import pytest
from peer import BRIDGE_ID, INVITE_ID, INVITE_SECRET, SETUP_CODE, Bridge
from speakeasy.errors import SpeakeasyError
from speakeasy.pairing import Paired, pair
from speakeasy.session import Credential, HasOwner, SessionError, WrongSecret
from speakeasy.store import PhoneKey, Store

SETUP = Credential.setup_code(SETUP_CODE)
INVITE = Credential.invite(INVITE_ID, INVITE_SECRET)


def go(store: Store, bridge: Bridge, credential: Credential | None = SETUP) -> Paired | None:
    return asyncio.run(pair(store, bridge.find, credential, "Ada", None))


def key_is_good(store: Store, bridge: Bridge) -> bool:
    known = store.get(BRIDGE_ID)
    assert known is not None
    assert known.key is not None
    return bridge.phones[known.key.phone][0] == known.key.key


def test_setup_code_makes_an_owner(tmp_path: Path) -> None:
    store, bridge = Store(tmp_path), Bridge()
    assert go(store, bridge) == Paired(BRIDGE_ID, "owner", was_known=False)
    known = store.get(BRIDGE_ID)
    assert known is not None
    assert known.pending == ()
    assert key_is_good(store, bridge)
    assert bridge.heard[0] == {"op": "enrol", "id": 1, "name": "Ada"}


def test_a_paired_phone_needs_no_code(tmp_path: Path) -> None:
    store, bridge = Store(tmp_path), Bridge()
    go(store, bridge)
    assert go(store, bridge, None) == Paired(BRIDGE_ID, "owner", was_known=True)
    assert go(store, bridge) == Paired(BRIDGE_ID, "owner", was_known=True)
    assert len(bridge.phones) == 1


def test_invite_gives_its_role_and_is_used_up(tmp_path: Path) -> None:
    bridge = Bridge(invites={INVITE_ID: (INVITE_SECRET, "guest")})
    go(Store(tmp_path / "first"), bridge)
    second = Store(tmp_path / "second")
    assert go(second, bridge, INVITE) == Paired(BRIDGE_ID, "guest", was_known=False)
    with pytest.raises(WrongSecret):
        go(Store(tmp_path / "third"), bridge, INVITE)
    with pytest.raises(HasOwner):
        go(Store(tmp_path / "third"), bridge, SETUP)
    assert Store(tmp_path / "third").bridges() == []


@pytest.mark.parametrize("at", ["challenge", "welcome", "enrol", "confirm"])
@pytest.mark.parametrize("mode", ["setup code", "invite"])
def test_link_lost_at_every_answer(at: str, mode: str, tmp_path: Path) -> None:
    """The bridge has done what it was asked, and its answer is lost: in the end one phone is enrolled, with its key."""
    bridge = Bridge(invites={INVITE_ID: (INVITE_SECRET, "owner")})
    if mode == "invite":
        go(Store(tmp_path / "first"), bridge)
    before = set(bridge.phones)
    lost = False

    def lie(_: int, what: str, messages: list[bytes]) -> list[bytes] | None:
        nonlocal lost
        if what == at and not lost:
            lost = True
            return None
        return messages

    bridge.lie = lie
    store = Store(tmp_path / "own")
    credential = SETUP if mode == "setup code" else INVITE
    try:
        paired = go(store, bridge, credential)
    except SessionError:
        assert at in ("challenge", "welcome")
        paired = go(store, bridge, credential)
    assert lost
    assert paired is not None
    assert paired.role == "owner"
    assert paired.was_known == (at == "confirm")
    assert len(set(bridge.phones) - before) == 1
    assert key_is_good(store, bridge)


def test_the_command_dies_before_the_answer_to_confirm(tmp_path: Path) -> None:
    store, bridge = Store(tmp_path), Bridge()

    class Dies(BaseException):
        pass

    def lie(_: int, what: str, messages: list[bytes]) -> list[bytes]:
        if what == "confirm":
            raise Dies
        return messages

    bridge.lie = lie
    with pytest.raises(Dies):
        go(store, bridge)
    assert len(bridge.phones) == 1, "the bridge has an owner now"
    bridge.lie = lambda _, _what, messages: messages
    assert go(store, bridge, None) == Paired(BRIDGE_ID, "owner", was_known=True)
    assert key_is_good(store, bridge)


def test_nothing_is_confirmed_that_could_not_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, bridge = Store(tmp_path), Bridge()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("speakeasy.store.os.write", full)
    with pytest.raises(SpeakeasyError, match="No space left"):
        go(store, bridge)
    assert bridge.phones == {}


def test_old_keys_are_tried_and_a_reset_bridge_is_paired_anew(tmp_path: Path) -> None:
    store, bridge = Store(tmp_path), Bridge()
    go(store, bridge)
    store.add_pending(BRIDGE_ID, PhoneKey(b"gone" * 2, b"k" * 32, "owner", "old"))
    bridge.phones = {b"anothers": (bytes(32), "another", "owner")}
    bridge.invites[INVITE_ID] = INVITE_SECRET, "guest"
    assert go(store, bridge, None) is None
    assert go(store, bridge, INVITE) == Paired(BRIDGE_ID, "guest", was_known=False)
    bridge.phones = {}
    assert go(store, bridge) == Paired(BRIDGE_ID, "owner", was_known=False)
    known = store.get(BRIDGE_ID)
    assert known is not None
    assert known.pending == ()
    assert key_is_good(store, bridge)


def test_a_bridge_that_always_hangs_up_is_left_in_the_end(tmp_path: Path) -> None:
    bridge = Bridge(lie=lambda _, what, messages: None if what == "enrol" else messages)
    with pytest.raises(SessionError, match="hung up"):
        go(Store(tmp_path), bridge)
    assert bridge.connections < 20
