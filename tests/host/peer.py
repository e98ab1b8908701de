"""A bridge in memory, for what a real one never does: it may be made to lie, repeat, reorder, hang up.

It is written from docs/SPEC.md on hashlib and hmac, and shares no code with what it tests. That the firmware gets on
with this phone is shown by test_firmware.py and in the dorm.
"""

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BRIDGE_ID = bytes.fromhex("b0b1b2b3b4b5b6b7")
SETUP_CODE = bytes(range(16))
INVITE_ID, INVITE_SECRET = bytes(range(0x10, 0x18)), bytes(range(0x20, 0x30))


def _hkdf(salt: bytes, ikm: bytes, info: bytes, length: int) -> bytes:
    prk = hmac.digest(salt, ikm, "sha256")
    block, out = b"", b""
    for n in range(1, 1 + -(-length // 32)):
        block = hmac.digest(prk, block + info + bytes([n]), "sha256")
        out += block
    return out[:length]


def _ctr(key: bytes, sequence: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(sequence + bytes(12))).encryptor().update(data)


@dataclass
class Bridge:
    """The bridge's lasting state, and the lies that it is to tell."""

    bridge_id: bytes = BRIDGE_ID
    setup_code: bytes = SETUP_CODE
    phones: dict[bytes, tuple[bytes, str, str]] = field(default_factory=dict)  # id -> key, name, role
    invites: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)  # id -> secret, role
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # for requests that are not about phones
    counters: dict[str, int] = field(default_factory=dict)
    mtu: int = 185
    connections: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)  # every request, in clear
    # Called with (connection, what, messages) for each answer; returns the messages to send instead; None: hang up.
    lie: Callable[[int, str, list[bytes]], list[bytes] | None] = lambda _connection, _what, messages: messages
    # Cuts the message before it goes out: may break fragments. Called with (message's type, fragments).
    cut: Callable[[int, list[bytes]], list[bytes]] = lambda _kind, fragments: fragments
    info: bytes | None = None

    async def find(self, bridge: bytes | None, _timeout_s: float) -> "MemoryLink":
        assert bridge in (None, self.bridge_id)
        self.connections += 1
        return MemoryLink(self, self.connections)


class MemoryLink:
    """One connection to the bridge above, as speakeasy.session.Link has it."""

    def __init__(self, bridge: Bridge, number: int) -> None:
        self.mtu = bridge.mtu
        self.closed = False
        self._bridge = bridge
        self._number = number
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._parts = b""
        self._keys = b""
        self._hash = b""
        self._mode = 0
        self._phone: bytes | None = None
        self._invite: bytes | None = None
        self._enrolled: tuple[bytes, bytes, str] | None = None
        self._received = self._sent = 0

    async def read_info(self) -> bytes:
        if self._bridge.info is not None:
            return self._bridge.info
        return bytes([1, 1 if self._bridge.phones else 0]) + self._bridge.bridge_id

    async def notifications(self) -> AsyncIterator[bytes]:
        while True:
            fragment = await self._out.get()
            if fragment is None:
                return
            yield fragment

    async def close(self) -> None:
        self.closed = True
        self._out.put_nowait(None)

    async def write(self, fragment: bytes) -> None:
        assert not self.closed, "written to after close"
        assert 2 <= len(fragment) <= min(self.mtu - 3, 512), "a fragment larger than the MTU allows"
        self._parts += fragment[1:]
        if fragment[0] & 0x40:
            message, self._parts = self._parts, b""
            what, answer = self._take(message)
            if self._answer_with(what, answer) and answer[0] == 6:
                self._answer_with("welcome", self._welcome())

    def _answer_with(self, what: str, answer: bytes) -> bool:
        messages = self._bridge.lie(self._number, what, [answer])
        for each in messages or []:
            self._send(each)
        if messages is None:
            self._out.put_nowait(None)
        return messages is not None

    def _send(self, message: bytes) -> None:
        size = min(self.mtu - 4, 511)
        pieces = [message[i : i + size] for i in range(0, len(message), size)]
        out = [
            bytes([(0x80 if n == 0 else 0) | (0x40 if n == len(pieces) - 1 else 0) | n % 64]) + piece
            for n, piece in enumerate(pieces)
        ]
        for fragment in self._bridge.cut(message[0], out):
            self._out.put_nowait(fragment)

    def _take(self, message: bytes) -> tuple[str, bytes]:
        if message[0] == 1:
            return "challenge", self._challenge(message)
        if message[0] == 3:
            return "accept", self._accept(message)
        return self._request(message)

    def _challenge(self, hello: bytes) -> bytes:
        bridge = self._bridge
        self._mode, key_id = hello[2], hello[3:11]
        secret = os.urandom(16)
        if self._mode == 1:
            if bridge.phones:
                return b"\x05\x04"
            secret = bridge.setup_code
        elif self._mode == 2 and key_id in bridge.phones:
            secret, self._phone = bridge.phones[key_id][0], key_id
        elif self._mode == 3 and key_id in bridge.invites:
            secret, self._invite = bridge.invites[key_id][0], key_id
        nonce = os.urandom(16)
        private = X25519PrivateKey.generate()
        challenge = b"\x02\x01" + bridge.bridge_id + nonce + private.public_key().public_bytes_raw()
        shared = private.exchange(X25519PublicKey.from_public_bytes(hello[27:]))
        self._hash = hashlib.sha256(b"speakeasy pairing 1" + hello + challenge).digest()
        p = hmac.digest(secret, b"speakeasy secret 1" + self._hash, "sha256")
        self._keys = _hkdf(hello[11:27] + nonce, p + shared, b"speakeasy session 1" + self._hash, 160)
        return challenge

    def _accept(self, message: bytes) -> bytes:
        if message[1:] != hmac.digest(self._keys[32:64], self._hash, "sha256"):
            return b"\x05\x02"
        return b"\x06" + hmac.digest(self._keys[:32], self._hash + message[1:], "sha256")

    def _welcome(self) -> bytes:
        bridge = self._bridge.bridge_id.hex()
        _, name, role = (b"", None, "new") if self._phone is None else self._bridge.phones[self._phone]
        return self._record({"op": "welcome", "role": role, "name": name, "bridge": bridge, "version": "9"})

    def _record(self, value: dict[str, Any]) -> bytes:
        sequence = self._sent.to_bytes(4, "big")
        self._sent += 1
        ciphertext = _ctr(self._keys[112:128], sequence, json.dumps(value, ensure_ascii=False).encode())
        return b"\x04" + sequence + ciphertext + hmac.digest(self._keys[128:], sequence + ciphertext, "sha256")[:16]

    def _request(self, message: bytes) -> tuple[str, bytes]:
        sequence, ciphertext, tag = message[1:5], message[5:-16], message[-16:]
        right = hmac.digest(self._keys[80:112], sequence + ciphertext, "sha256")[:16]
        if tag != right or sequence != self._received.to_bytes(4, "big"):
            return "error", b"\x05\x05"
        self._received += 1
        request = json.loads(_ctr(self._keys[64:80], sequence, ciphertext))
        self._bridge.heard.append(request)
        return request["op"], self._record({"id": request["id"], **self._answer(request)})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        bridge, op = self._bridge, request["op"]
        if op == "bye":
            return {"ok": True}
        if self._phone is None and op == "enrol":
            role = "owner" if self._mode == 1 else bridge.invites[self._invite or b""][1]
            self._enrolled = os.urandom(8), os.urandom(32), role
            self._name = request["name"]
            return {"ok": True, "phone": self._enrolled[0].hex(), "key": self._enrolled[1].hex(), "role": role}
        if self._phone is None and op == "confirm" and self._enrolled:
            phone, key, role = self._enrolled
            bridge.phones[phone] = key, self._name, role
            bridge.invites.pop(self._invite or b"", None)
            return {"ok": True}
        if self._phone is not None and op == "phones":
            found = [{"phone": p.hex(), "name": n, "role": r} for p, (_, n, r) in bridge.phones.items()]
            page = request.get("page", 0)
            return {"ok": True, "phones": found[page * 2 : page * 2 + 2], "more": len(found) > page * 2 + 2}
        if self._phone is not None and op == "revoke":
            phone = bytes.fromhex(request["phone"])
            if [p for p, (_, _, r) in bridge.phones.items() if r == "owner"] == [phone]:
                return {"ok": False, "error": "last-owner", "say": "The last owner cannot be revoked."}
            del bridge.phones[phone]
            return {"ok": True}
        if self._phone is not None and op == "counters":
            page = request.get("page", 0)
            names = sorted(bridge.counters)[page : page + 1]
            return {
                "ok": True,
                "counters": {n: bridge.counters[n] for n in names},
                "more": page + 1 < len(bridge.counters),
            }
        if self._phone is not None and op in bridge.answers:
            return {"ok": True, **bridge.answers[op]}
        return {"ok": False, "error": "not-allowed", "say": "Only an owner may do that."}
