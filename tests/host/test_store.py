"""What a phone remembers, through power cuts, damage and two commands at once."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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
    (tmp_path / "bridges.json").write_text('{"version": 2, "bridges": []}')
    with pytest.raises(StoreError, match="newer"):
        Store(tmp_path).add_pending(ONE, key(1))
    assert json.loads((tmp_path / "bridges.json").read_text())["version"] == 2


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
    assert [process.wait(30) for process in running] == [0] * 8
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
