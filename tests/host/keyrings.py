"""Keyrings for the tests, as somebody's system may have them: backends of the package `keyring` like any other.

The keyring takes one by name: PYTHON_KEYRING_BACKEND=keyrings.InFile, say. $KEYRING_FILE is where they keep things.
"""

import json
import os
import threading
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class InFile(KeyringBackend):
    """One that works."""

    priority = 5

    def _all(self) -> dict[str, str]:
        file = Path(os.environ["KEYRING_FILE"])
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _save(self, value: dict[str, str]) -> None:
        Path(os.environ["KEYRING_FILE"]).write_text(json.dumps(value))

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._save({**self._all(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        value = self._all()
        if value.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        self._save(value)


class Plaintext(InFile):
    """One that nobody recommends."""

    priority = 0.5


class Locked(InFile):
    """Nobody unlocks it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked


class Hanging(InFile):
    """It waits for somebody to unlock it, and nobody sees that."""

    def get_password(self, service: str, username: str) -> str | None:
        threading.Event().wait()
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        threading.Event().wait()


class Forgetful(InFile):
    """It says that it keeps what it does not keep."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Odd(InFile):
    """Its library raises what no library should."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ZeroDivisionError

    set_password = get_password  # type: ignore[assignment]
