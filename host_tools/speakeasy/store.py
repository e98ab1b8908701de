"""What a phone remembers: bridges, and its keys for them.

One JSON file, `bridges.json`, mode 0600, in $SPEAKEASY_HOME, else in `speakeasy` below the XDG configuration directory
(Windows: %APPDATA%). New keys go into the system's keyring where there is one (`"key": null` in the file), else into
the file; a key stays where it was put first.

A change writes a new file beside it, flushes it to disk, and renames it over the old one: after a power cut there is
the old state or the new one, complete. Two commands at once wait for each other. A file that is not understood is never
written over.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self

from speakeasy.errors import SpeakeasyError
from speakeasy.system_keyring import SystemKeyring, Unusable, system

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE = "bridges.json"
LOCK = "bridges.lock"
VERSION = 2  # with a key in the keyring; 1: all keys in the file
LARGEST_FILE = 1 << 20  # bytes; ours has a few hundred for each bridge
LOCK_LIMIT_S = 10.0
MOST_PENDING = 4  # keys of unfinished enrolments kept for each bridge
DEFAULT_CLAIM_PORT = 7780

# Not on every system.
_CLOEXEC, _NOFOLLOW, _DIRECTORY = (getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY"))

_HEX_8 = re.compile(r"[0-9a-f]{16}")
_HEX_32 = re.compile(r"[0-9a-f]{64}")


class StoreError(SpeakeasyError):
    """The file of bridges, or a key, cannot be used. The message names the file, never what is in it."""


@dataclass(frozen=True)
class PhoneKey:
    """What an enrolment gave this phone: its id (8 bytes), its key (32 bytes), its role and name.

    `key` is None when the key is in the system's keyring: `Store.secret` has it.
    """

    phone: bytes
    key: bytes | None = field(repr=False)
    role: str
    name: str


@dataclass(frozen=True)
class Bridge:
    """One bridge.

    `key`: the confirmed key, if there is one. `pending`: keys that the bridge may or may not have saved, the newest
    first. `addr`: where the bridge was last known to be on the network.
    """

    id: bytes
    key: PhoneKey | None = None
    pending: tuple[PhoneKey, ...] = ()
    addr: str | None = None
    claim_port: int = DEFAULT_CLAIM_PORT

    def all_keys(self) -> tuple[PhoneKey, ...]:
        """Confirmed or not, those that may be newer first."""
        return (*self.pending, *([self.key] if self.key else []))


def directory() -> Path:
    """Where this person's bridges are kept."""
    home = os.environ.get("SPEAKEASY_HOME")
    if home:
        return Path(home)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home()) / "speakeasy"
    config = os.environ.get("XDG_CONFIG_HOME") or ""
    return (Path(config) if os.path.isabs(config) else Path.home() / ".config") / "speakeasy"


class Store:
    """The bridges of one person. Reads the file afresh for each call."""

    def __init__(self, where: Path, keyring: SystemKeyring | None = None) -> None:
        self._directory = where
        self._file = where / FILE
        self._keyring = keyring or system()

    @classmethod
    def default(cls) -> Self:
        return cls(directory())

    # --- reading ----------------------------------------------------------------------------------------------------
    def bridges(self) -> list[Bridge]:
        """All bridges, in the order in which they were met. Raises StoreError."""
        try:
            with open(self._file, "rb") as file:
                raw = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._file} cannot be read ({error.strerror}). Look at its owner and mode.") from None
        try:
            if len(raw) > LARGEST_FILE:
                raise ValueError
            value = json.loads(raw)
            if value["version"] > VERSION:
                raise StoreError(f"{self._file} was written by a newer `speakeasy`. Update this one.")
            return [_bridge(item) for item in value["bridges"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise StoreError(
                f"{self._file} is damaged, and was left as it is. Put a good copy in its place, or move it away and "
                "pair again with an invite."
            ) from None

    def get(self, bridge: bytes) -> Bridge | None:
        """What is known of one bridge."""
        return next((known for known in self.bridges() if known.id == bridge), None)

    def choose(self, name: str | None) -> Bridge:
        """The paired bridge meant by `name`, the beginning of its id; without a name, the only one there is."""
        paired = [bridge for bridge in self.bridges() if bridge.key is not None]
        if not paired:
            raise StoreError("This phone is paired with no bridge yet. Start with `speakeasy pair`.")
        found = [bridge for bridge in paired if name is None or bridge.id.hex().startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        ids = ", ".join(bridge.id.hex() for bridge in found or paired)
        if name is None:
            raise StoreError(f"This phone knows more than one bridge. Say which with --bridge: {ids}.")
        what = "No bridge's id begins" if not found else "More than one bridge's id begins"
        raise StoreError(f"{what} with {name!r}. Known here: {ids}.")

    # --- keys -------------------------------------------------------------------------------------------------------
    def secret(self, bridge: bytes, key: PhoneKey) -> bytes:
        """The 32 bytes of a key of ours for `bridge`. Raises StoreError when the keyring does not give them out."""
        if key.key is not None:
            return key.key
        try:
            return _hex(self._keyring.get(_name(bridge, key.phone)), _HEX_32)
        except Unusable:
            what = (
                "is in this system's keyring, which is locked or cannot be reached from here: unlock it, where you are "
                "logged in at the screen, and try again"
            )
        except ValueError:
            what = "has gone from this system's keyring"
        raise StoreError(f"This phone's key for bridge {bridge.hex()} {what}; or pair again with an invite.")

    def keeps_in_keyring(self) -> bool:
        """Whether a new key will go into the keyring. Asks a person to unlock it, so that nobody waits for it later."""
        return self._keyring.usable()

    def _put_away(self, bridge: bytes, key: PhoneKey) -> PhoneKey:
        if key.key is None:
            return key
        try:
            self._keyring.put(_name(bridge, key.phone), key.key.hex())
        except Unusable:
            return key
        return replace(key, key=None)

    def _clear_keyring(self, bridge: bytes, before: Bridge | None, after: Bridge | None) -> None:
        """After a change is on disk: what the file does not name any more is of no use to anybody."""
        kept = {key.phone for key in after.all_keys()} if after else set()
        for key in before.all_keys() if before else ():
            if key.key is None and key.phone not in kept:
                with suppress(Unusable):
                    self._keyring.drop(_name(bridge, key.phone))

    # --- writing ----------------------------------------------------------------------------------------------------
    def add_pending(self, bridge: bytes, key: PhoneKey) -> None:
        """Keeps a key that the bridge is about to be told to save. Must be done before `confirm` is sent."""
        stored = self._put_away(bridge, key)

        def change(known: Bridge) -> Bridge:
            return replace(known, pending=(stored, *known.pending)[:MOST_PENDING])

        try:
            self._change(bridge, change)
        except BaseException:
            if stored.key is None:  # nothing names it
                with suppress(Unusable):
                    self._keyring.drop(_name(bridge, key.phone))
            raise

    def confirm(self, bridge: bytes, phone: bytes, role: str, *, others_are_void: bool = False) -> None:
        """The bridge proved that it has saved the pending key of `phone`, with this role. It becomes the one in use.

        `others_are_void`: the bridge had no owner before, so no other pending key can be worth anything.
        """

        def change(known: Bridge) -> Bridge:
            key = next(key for key in known.pending if key.phone == phone)
            rest = () if others_are_void else tuple(other for other in known.pending if other.phone != phone)
            return replace(known, key=replace(key, role=role), pending=rest)

        self._change(bridge, change)

    def saw(self, bridge: bytes, *, addr: str | None, claim_port: int) -> None:
        """Remembers where a known bridge is on the network."""
        known = self.get(bridge)
        if known is not None and (known.addr, known.claim_port) != (addr, claim_port):
            self._change(bridge, lambda known: replace(known, addr=addr, claim_port=claim_port))

    def forget(self, bridge: bytes) -> None:
        """This phone is not paired with that bridge any more. What is pending stays: nobody knows what it is worth."""

        def change(known: Bridge) -> Bridge | None:
            return replace(known, key=None) if known.pending else None

        self._change(bridge, change)

    def _change(self, bridge: bytes, change: Callable[[Bridge], Bridge | None]) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                known = {item.id: item for item in self.bridges()}
                before = known.get(bridge)
                after = change(before or Bridge(bridge))
                if after is None:
                    known.pop(bridge, None)
                else:
                    known[bridge] = after
                self._write(list(known.values()))
        except OSError as error:
            raise StoreError(
                f"{self._file} cannot be written ({error.strerror}): nothing was changed. Make room or mend the "
                "permissions, and try again."
            ) from None
        self._clear_keyring(bridge, before, after)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
        try:
            self._wait_for_lock(fd)
            yield
        finally:
            os.close(fd)

    def _wait_for_lock(self, fd: int) -> None:
        """Another command has it for a few milliseconds; one that was stopped must not stop us, too."""
        end = time.monotonic() + LOCK_LIMIT_S
        while not _lock(fd):
            if time.monotonic() > end:
                raise StoreError(f"Another command holds {self._directory / LOCK}. End it, and try again.")
            time.sleep(0.005)

    def _write(self, bridges: list[Bridge]) -> None:
        in_keyring = any(key.key is None for item in bridges for key in item.all_keys())
        value = {"version": VERSION if in_keyring else 1, "bridges": [_to_json(item) for item in bridges]}
        text = json.dumps(value, indent=1) + "\n"
        if len(text) > LARGEST_FILE or [_bridge(item) for item in json.loads(text)["bridges"]] != bridges:
            # One entry that is none would take all the others with it.
            raise StoreError(f"What {self._file} would hold could not be read again: nothing was changed.")
        new = self._directory / (FILE + ".new")
        fd = os.open(
            new,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _CLOEXEC | _NOFOLLOW,
            0o600,
        )
        try:
            if sys.platform != "win32":
                os.fchmod(fd, 0o600)  # one left by a power cut may have another mode
            data = text.encode()
            while data:
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(new, self._file)
        if sys.platform != "win32":  # which flushes no directories
            fd = os.open(self._directory, os.O_RDONLY | _DIRECTORY | _CLOEXEC)
            try:
                os.fsync(fd)  # the rename itself
            finally:
                os.close(fd)


def _lock(fd: int) -> bool:
    """Takes the lock, until the file is closed; False when another process has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _name(bridge: bytes, phone: bytes) -> str:
    """What a key is called in the keyring."""
    return f"{bridge.hex()}/{phone.hex()}"


# --- the file's form ------------------------------------------------------------------------------------------------
def _hex(text: object, form: re.Pattern[str]) -> bytes:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text)


def _key(value: dict[str, Any]) -> PhoneKey:
    return PhoneKey(
        _hex(value["phone"], _HEX_8),
        None if value["key"] is None else _hex(value["key"], _HEX_32),
        str(value["role"]),
        str(value["name"]),
    )


def _bridge(value: dict[str, Any]) -> Bridge:
    key, addr, port = value["key"], value["addr"], value["claim_port"]
    if type(port) is not int or not 0 < port < 65536:
        raise ValueError
    return Bridge(
        id=_hex(value["bridge"], _HEX_8),
        key=None if key is None else _key(key),
        pending=tuple(_key(item) for item in value["pending"]),
        addr=None if addr is None else str(IPv4Address(addr)),
        claim_port=port,
    )


def _key_to_json(key: PhoneKey) -> dict[str, str | None]:
    return {
        "phone": key.phone.hex(),
        "key": None if key.key is None else key.key.hex(),
        "role": key.role,
        "name": key.name,
    }


def _to_json(bridge: Bridge) -> dict[str, Any]:
    return {
        "bridge": bridge.id.hex(),
        "key": None if bridge.key is None else _key_to_json(bridge.key),
        "pending": [_key_to_json(key) for key in bridge.pending],
        "addr": bridge.addr,
        "claim_port": bridge.claim_port,
    }
