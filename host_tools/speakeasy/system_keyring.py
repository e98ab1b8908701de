"""The system's keyring, for phones' keys: Secret Service, macOS's Keychain, Windows' Credential Locker.

By the package `keyring`. A backend counts when `keyring` itself recommends it: not its `fail` and `null`, no plaintext
files. A keyring may be absent, locked, or wait for somebody to unlock it whom nobody sees: each use of it ends in time,
and after one that did not nothing more is asked of it.
"""

import queue
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from speakeasy.terminal import err

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "speakeasy"
PERSON_LIMIT_S = 30.0  # for somebody to type what unlocks the keyring
SCRIPT_LIMIT_S = 5.0  # where nobody is there to do it
NOTICE_S = 1.5  # after so long a person is told what is waited for

_T = TypeVar("_T")


class Unusable(Exception):
    """The keyring is not there, is locked, does not answer, or failed."""


def _backend() -> "KeyringBackend":
    import keyring.core  # late: with the backends' libraries come tenths of a second, and it asks the session bus

    keyring.core.init_backend(keyring.core.recommended)
    found = keyring.core.get_keyring()
    # What was named in the environment or a configuration file has not been through the filter.
    if not keyring.core.recommended(found):
        raise Unusable
    return found


class SystemKeyring:
    """Secrets under names. All of it raises Unusable alone."""

    def __init__(self) -> None:
        self._found: KeyringBackend | None = None
        self._given_up = False

    def _bounded(self, work: "Callable[[KeyringBackend], _T]") -> _T:
        if self._given_up:
            raise Unusable
        done: queue.SimpleQueue[tuple[_T] | None] = queue.SimpleQueue()

        def call() -> None:
            try:
                self._found = self._found or _backend()
                done.put((work(self._found),))
            except Exception:  # noqa: BLE001  backends let through whatever their system's libraries raise
                done.put(None)

        # A thread that never comes back does not keep the command from ending.
        threading.Thread(target=call, daemon=True).start()
        result = self._wait(done)
        if result is None:
            self._given_up = True
            raise Unusable
        return result[0]

    @staticmethod
    def _wait(done: "queue.SimpleQueue[tuple[_T] | None]") -> tuple[_T] | None:
        try:
            if not sys.stderr.isatty():
                return done.get(timeout=SCRIPT_LIMIT_S)
            try:
                return done.get(timeout=NOTICE_S)
            except queue.Empty:
                err.print(f"Waiting for the system's keyring to be unlocked, for {PERSON_LIMIT_S:.0f} s...")
                return done.get(timeout=PERSON_LIMIT_S)
        except queue.Empty:
            return None

    def usable(self) -> bool:
        """Whether there is one, unlocked (a person may be asked to do that now)."""
        try:
            self.get("probe")
        except Unusable:
            return False
        return True

    def put(self, name: str, secret: str) -> None:
        """Keeps a secret, and makes sure that it is there."""

        def work(backend: "KeyringBackend") -> bool:
            backend.set_password(SERVICE, name, secret)
            return backend.get_password(SERVICE, name) == secret

        if not self._bounded(work):
            raise Unusable

    def get(self, name: str) -> str | None:
        """The secret; None when there is none of that name."""
        return self._bounded(lambda backend: backend.get_password(SERVICE, name))

    def drop(self, name: str) -> None:
        """Forgets a secret, whether or not there is one."""

        def work(backend: "KeyringBackend") -> None:
            if backend.get_password(SERVICE, name) is not None:
                backend.delete_password(SERVICE, name)

        self._bounded(work)


class NoKeyring(SystemKeyring):
    """For a store that is not of this person: what people of the dorm keep stays in the dorm."""

    def __init__(self) -> None:
        super().__init__()
        self._given_up = True


@cache
def system() -> SystemKeyring:
    """The one of this process."""
    return SystemKeyring()
