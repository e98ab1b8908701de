"""What a phone remembers, through power cuts, damage and two commands at once."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speakeasy import system_keyring
from speakeasy.store import MOST_PENDING, Bridge, PhoneKey, Store, StoreError, directory

ONE, TWO = bytes.fromhex("0102030405060708"), bytes.fromhex("0102aabbccddeeff")


def key(n: int, role: str = "owner") -> PhoneKey:
    return PhoneKey(bytes([n]) * 8, bytes([n]) * 32, role, f"phone {n}")


def paired(store: Store, bridge: bytes, n: int) -> None:
    store.add_pending(bridge, key(n))
    store.confirm(bridge, key(n).phone, "owner")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "home")
    assert store.bridges() == []
    store.add_pending(ONE, key(1))
    assert store.bridges() == [Bridge(ONE, pending=(key(1),))]
    store.confirm(ONE, key(1).phone, "guest")
    store.saw(ONE, addr="10.66.0.117", claim_port=7781)
    paired(store, TWO, 2)
    assert Store(tmp_path / "deep" / "home").bridges() == [
        Bridge(ONE, key(1, "guest"), addr="10.66.0.117", claim_port=7781),
        Bridge(TWO, key(2)),
    ]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path / "home")
        paired(store, ONE, 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    for file in (tmp_path / "home").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_leftover_of_a_power_cut_with_another_mode_is_mended(tmp_path: Path) -> None:
    (tmp_path / "bridges.json.new").write_text("half")
    (tmp_path / "bridges.json.new").chmod(0o644)
    paired(Store(tmp_path), ONE, 1)
    assert stat.S_IMODE((tmp_path / "bridges.json").stat().st_mode) == 0o600


def test_pending_keys_are_kept_newest_first_and_in_bounds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in range(1, MOST_PENDING + 3):
        store.add_pending(ONE, key(n))
    known = store.get(ONE)
    assert known is not None
    assert [k.phone[0] for k in known.pending] == [6, 5, 4, 3]
    store.confirm(ONE, key(5).phone, "owner")
    known = store.get(ONE)
    assert known is not None
    assert known.key == key(5)
    assert [k.phone[0] for k in known.pending] == [6, 4, 3]
    store.confirm(ONE, key(6).phone, "owner", others_are_void=True)
    assert store.get(ONE) == Bridge(ONE, key(6))


def test_choosing_among_bridges(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="speakeasy pair"):
        store.choose(None)
    paired(store, ONE, 1)
    assert store.choose(None).id == ONE
    paired(store, TWO, 2)
    store.add_pending(b"unpaired", key(3))
    with pytest.raises(StoreError, match=f"--bridge: {ONE.hex()}, {TWO.hex()}"):
        store.choose(None)
    assert store.choose("0102AA").id == TWO
    with pytest.raises(StoreError, match="More than one"):
        store.choose("0102")
    with pytest.raises(StoreError, match="No bridge"):
        store.choose("ff")


class PowerCut(Exception):
    """The machine stops here."""


CUT_AT = ("open", "fchmod", "write", "fsync", "replace")


def with_power(monkeypatch: pytest.MonkeyPatch, cut_at: int) -> list[str]:
    """Counts what reaches the disk; call number `cut_at` does half of its work or none, and nothing follows it."""
    done: list[str] = []
    off = False

    def guard(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal off
            if off or len(done) == cut_at:
                if not off and name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                off = True
                raise PowerCut
            done.append(name)
            return real(*args, **kwargs)

        return call

    for name in CUT_AT:
        monkeypatch.setattr(f"speakeasy.store.os.{name}", guard(name, getattr(os, name)))
    return done


@pytest.mark.parametrize("cut_at", range(9))
def test_power_cut_at_every_write(cut_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    paired(store, ONE, 1)
    old = store.bridges()
    with monkeypatch.context() as patch:
        done = with_power(patch, cut_at)
        try:
            store.add_pending(TWO, key(2))
            finished = True
        except PowerCut:
            finished = False
    new = [*old, Bridge(TWO, pending=(key(2),))]
    if finished:
        # lock, new file, its mode, its content to disk, rename, directory, rename to disk
        assert done == ["open", "open", "fchmod", "write", "fsync", "replace", "open", "fsync"]
        assert cut_at == len(done)
    assert store.bridges() in ([new] if finished or "replace" in done else [old])
    # And the next change works as ever.
    paired(store, TWO, 3)
    known = store.get(TWO)
    assert known is not None
    assert known.key == key(3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 1}',
        '{"version": "x", "bridges": []}',
        '{"version": 1, "bridges": [{}]}',
        '{"version": 1, "bridges": [1]}',
        '{"version": 1, "bridges": [{"bridge": "zz", "key": null, "pending": [], "addr": null, "claim_port": 7780}]}',
        '{"version": 1, "bridges": [{"bridge": "0102030405060708", "key": {"phone": "01"}, "pending": []}]}',
        "[" * 100_000,
        "\x00" * 500,
        "x" * (2 << 20),
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_file_is_named_and_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bridges.json"
    file.write_text(text)
    store = Store(tmp_path)
    for attempt in (store.bridges, lambda: store.add_pending(ONE, key(1))):
        with pytest.raises(StoreError, match="damaged") as caught:
            attempt()
        assert str(file) in str(caught.value)
        assert len(str(caught.value)) < 400
    assert file.read_text() == text


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "bridges.json").write_text('{"version": 3, "bridges": []}')
    with pytest.raises(StoreError, match="newer"):
        Store(tmp_path).add_pending(ONE, key(1))
    assert json.loads((tmp_path / "bridges.json").read_text())["version"] == 3


def test_no_room_on_the_disk_is_said_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    paired(store, ONE, 1)
    old = store.bridges()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("speakeasy.store.os.write", full)
        with pytest.raises(StoreError, match="No space left"):
            store.add_pending(TWO, key(2))
    assert store.bridges() == old


def test_many_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from speakeasy.store import Store, PhoneKey\n"
        "n = int(sys.argv[2]); bridge = bytes([n]) * 8\n"
        "Store(Path(sys.argv[1])).add_pending(bridge, PhoneKey(bytes(8), bytes(32), 'owner', 'x'))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(n)]) for n in range(8)]
    assert [process.wait(120) for process in running] == [0] * 8
    assert {known.id[0] for known in Store(tmp_path).bridges()} == set(range(8))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEAKEASY_HOME", "/a/b")
    assert directory() == Path("/a/b")
    monkeypatch.delenv("SPEAKEASY_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    assert directory() == Path("/c/speakeasy")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative is to be ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert directory() == tmp_path / ".config" / "speakeasy"


def test_keys_stay_out_of_repr() -> None:
    bridge = Bridge(ONE, key(7), (key(8),))
    assert bytes([7] * 32).hex() not in repr(bridge)
    assert "\\x07\\x07\\x07\\x07\\x07\\x07\\x07\\x07\\x07" not in repr(bridge)


# --- the system's keyring -------------------------------------------------------------------------------------------
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str) -> Store:
    """A store, as in a new process on a system with that keyring."""
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend if "." in backend else f"keyrings.{backend}")
    monkeypatch.setattr(system_keyring, "SCRIPT_LIMIT_S", 0.3)
    system_keyring.system.cache_clear()
    return Store(tmp_path / "home")


def kept(tmp_path: Path) -> dict[str, str]:
    """What is in the keyring that works."""
    file = tmp_path / "keyring"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def name(bridge: bytes, n: int) -> str:
    return f"speakeasy {bridge.hex()}/{key(n).phone.hex()}"


def test_keys_go_into_the_keyring_and_not_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = use(monkeypatch, tmp_path, "InFile")
    assert store.keeps_in_keyring()
    paired(store, ONE, 1)
    assert kept(tmp_path) == {name(ONE, 1): (key(1).key or b"").hex()}
    text = (tmp_path / "home" / "bridges.json").read_text()
    assert (key(1).key or b"").hex() not in text
    assert json.loads(text)["version"] == 2
    known = use(monkeypatch, tmp_path, "InFile").choose(None)
    assert known.key is not None
    assert known.key.key is None
    assert store.secret(ONE, known.key) == key(1).key


def test_what_is_forgotten_leaves_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = use(monkeypatch, tmp_path, "InFile")
    for n in range(1, MOST_PENDING + 2):
        store.add_pending(ONE, key(n))
    assert set(kept(tmp_path)) == {name(ONE, n) for n in range(2, MOST_PENDING + 2)}
    store.confirm(ONE, key(5).phone, "owner", others_are_void=True)
    assert set(kept(tmp_path)) == {name(ONE, 5)}
    store.add_pending(ONE, key(6))
    store.forget(ONE)
    assert set(kept(tmp_path)) == {name(ONE, 6)}, "what is pending may be worth something"
    assert [bridge.key for bridge in store.bridges()] == [None]
    store.confirm(ONE, key(6).phone, "guest")
    store.forget(ONE)
    assert kept(tmp_path) == {}
    assert store.bridges() == []


@pytest.mark.parametrize(
    "backend",
    [
        "keyring.backends.null.Keyring",
        "keyring.backends.fail.Keyring",
        "keyring.backends.chainer.ChainerBackend",
        "Plaintext",
        "Locked",
        "Hanging",
        "Forgetful",
        "Odd",
        "NoSuch",
        "no.such.Module",
    ],
)
def test_without_a_keyring_worth_the_name_the_file_has_the_keys(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = use(monkeypatch, tmp_path, backend)
    began = time.monotonic()
    if backend != "Forgetful":
        assert not store.keeps_in_keyring()
    paired(store, ONE, 1)
    paired(store, TWO, 2)
    assert time.monotonic() - began < 5, "one wait, if any"
    assert [store.secret(bridge.id, bridge.key) for bridge in store.bridges() if bridge.key] == [key(1).key, key(2).key]
    assert json.loads((tmp_path / "home" / "bridges.json").read_text())["version"] == 1
    assert kept(tmp_path) == {}


def test_a_file_from_before_goes_on_working_with_a_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paired(use(monkeypatch, tmp_path, "Plaintext"), ONE, 1)
    store = use(monkeypatch, tmp_path, "InFile")
    paired(store, TWO, 2)
    store.saw(ONE, addr="10.66.0.117", claim_port=7781)
    assert set(kept(tmp_path)) == {name(TWO, 2)}
    store = use(monkeypatch, tmp_path, "InFile")
    assert [store.secret(bridge.id, bridge.key) for bridge in store.bridges() if bridge.key] == [key(1).key, key(2).key]


@pytest.mark.parametrize(
    ("backend", "says"),
    [("Locked", "unlock it"), ("Hanging", "unlock it"), ("Plaintext", "unlock it"), ("InFile", "has gone")],
)
def test_a_key_that_the_keyring_keeps_to_itself(
    backend: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired(use(monkeypatch, tmp_path, "InFile"), ONE, 1)
    (tmp_path / "keyring").unlink()
    store = use(monkeypatch, tmp_path, backend)
    known = store.choose(None)
    assert known.key is not None
    with pytest.raises(StoreError, match=says):
        store.secret(ONE, known.key)


def test_no_room_for_the_file_leaves_no_key_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = use(monkeypatch, tmp_path, "InFile")
    paired(store, ONE, 1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("speakeasy.store.os.write", full)
        with pytest.raises(StoreError, match="No space left"):
            store.add_pending(TWO, key(2))
        with pytest.raises(StoreError, match="No space left"):
            store.forget(ONE)
    known = store.choose(None)
    assert known.key is not None
    assert store.secret(ONE, known.key) == key(1).key
    assert set(kept(tmp_path)) == {name(ONE, 1)}


def test_a_store_that_is_not_this_persons_leaves_their_keyring_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, tmp_path, "InFile")
    store = Store(tmp_path / "home", system_keyring.NoKeyring())
    paired(store, ONE, 1)
    assert kept(tmp_path) == {}
    assert use(monkeypatch, tmp_path, "InFile").choose(None).key == key(1)
