"""The registry of paired phones: id, name, role and key of at most 16 (SPEC 1).

A phone here is {"id": hex, "name": text, "role": "owner"|"guest", "key": hex}: the settings' own form.
"""

from . import crypto
from .settings import MAX_PHONES, OWNER, PHONE_ID_BYTES, PHONE_KEY_BYTES, Settings


class Full(Exception):
    """There are 16 phones already."""


class LastOwner(Exception):
    """Without this phone nobody could manage the bridge any more."""


class Phones:
    """Changes are saved before the methods return; nothing changes in RAM that the flash has not taken."""

    def __init__(self, settings: Settings, random=crypto.random) -> None:
        self._settings = settings
        self._random = random

    def all(self) -> list:
        """All phones, in the order of their enrolment."""
        return self._settings.phones

    def find(self, phone_id: str) -> dict | None:
        """The phone with that id (hex), or None."""
        for phone in self._settings.phones:
            if phone["id"] == phone_id:
                return phone
        return None

    def key(self, phone_id: bytes) -> bytes | None:
        """The phone's key, 32 bytes, or None: no such phone."""
        phone = self.find(phone_id.hex())
        return bytes.fromhex(phone["key"]) if phone else None

    def owned(self) -> bool:
        """Whether any phone is an owner."""
        return any(p["role"] == OWNER for p in self._settings.phones)

    def full(self) -> bool:
        """Whether another phone would be one too many."""
        return len(self._settings.phones) >= MAX_PHONES

    def draft(self, name: str, role: str) -> dict:
        """A new phone with fresh id and key, not in the registry yet."""
        return {
            "id": self._random(PHONE_ID_BYTES).hex(),
            "name": name,
            "role": role,
            "key": self._random(PHONE_KEY_BYTES).hex(),
        }

    def add(self, phone: dict) -> None:
        """Enrol a drafted phone; Full when there are 16."""
        if self.full():
            raise Full
        self._settings.change(phones=self._settings.phones + [phone])

    def rename(self, phone_id: str, name: str) -> bool:
        """Give a phone another name; False if there is none with that id."""
        phone = self.find(phone_id)
        if phone is None:
            return False
        renamed = dict(phone)
        renamed["name"] = name
        self._settings.change(phones=[renamed if p is phone else p for p in self._settings.phones])
        return True

    def remove(self, phone_id: str) -> bool:
        """Strike a phone off; False if there is none with that id, LastOwner if it is the only owner."""
        phone = self.find(phone_id)
        if phone is None:
            return False
        rest = [p for p in self._settings.phones if p is not phone]
        if phone["role"] == OWNER and not any(p["role"] == OWNER for p in rest):
            raise LastOwner
        self._settings.change(phones=rest)
        return True
