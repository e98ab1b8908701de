"""The phone's side of the pairing link: fragments, handshake, records, requests (docs/SPEC.md, section 2).

Written from the specification on the package `cryptography`; it shares nothing with the bridge's own code. What runs
below it is a `Link` (see ble.py): a GATT connection that carries fragments.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from cryptography.hazmat.primitives import constant_time, hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from speakeasy.errors import NotReached, SpeakeasyError

# --- what the specification fixes -----------------------------------------------------------------------------------
VERSION = 1
LARGEST_MESSAGE = 1024  # bytes
LARGEST_PIECE = 511  # bytes; with its header a fragment has at most 512, the most that a GATT value can have
SMALLEST_MTU = 23  # what holds if none was negotiated
FRAGMENT_OVERHEAD = 4  # of the MTU: 3 of ATT, 1 header
LARGEST_PLAIN = 992  # bytes of JSON in one record

FIRST, LAST, NUMBER = 0x80, 0x40, 0x3F  # the header of a fragment

HELLO, CHALLENGE, PROOF, RECORD, ERROR, ACCEPT = 1, 2, 3, 4, 5, 6  # types of messages
MODE_SETUP_CODE, MODE_PHONE_KEY, MODE_INVITE = 1, 2, 3
BAD_MESSAGE, BAD_PROOF, LOCKED, NOT_NOW, BAD_RECORD, BAD_VERSION = 1, 2, 3, 4, 5, 6  # codes of ERROR
UNOWNED, WINDOW, INVITED, MANAGED, LOCKED_OUT = 0, 1, 2, 3, 4  # states in `info`

ID_BYTES = 8
NONCE_BYTES = 16
PUBLIC_BYTES = 32
PROOF_BYTES = 32
TAG_BYTES = 16
SEQUENCE_BYTES = 4
PHONE_KEY_BYTES = 32

SESSION_LIMIT_S = 600.0  # the bridge hangs up after as long
SILENCE_LIMIT_S = 30.0  # and on a phone that sends nothing for so long

# --- what we decide -------------------------------------------------------------------------------------------------
HANDSHAKE_LIMIT_S = 10.0  # the bridge hangs up after as long
REQUEST_LIMIT_S = 15.0
CLOSE_LIMIT_S = 3.0
LAST_WORDS_S = 0.5
CLOCKS_S = 2.0  # how far the bridge's clock may be ahead of ours by the end of a session
MOST_PAGES = 64
LONGEST_SAY = 300  # characters of a bridge's sentence that we show


class SessionError(SpeakeasyError):
    """The session with the bridge did not come about, or is over."""


class WrongSecret(SessionError):
    """The bridge says that it does not know this secret. Until a bridge is proven anybody near by can say so."""


class WrongVersion(SessionError):
    """The two sides have no protocol version in common."""


class LockedOut(SessionError):
    """The bridge has seen too many wrong proofs."""


class HasOwner(SessionError):
    """A setup code was offered to a bridge that has an owner."""


class Refused(SpeakeasyError):
    """The bridge understood a request and said no. `word` is one of SPEC 2.4, the text the bridge's own sentence."""

    def __init__(self, word: str, say: str) -> None:
        super().__init__(say)
        self.word = word


class HungUp(SessionError):
    """The bridge has ended the connection without a word."""


class FramingError(SessionError):
    """The fragments of a message do not fit together."""


class Link(Protocol):
    """What a session needs of a connection to one bridge."""

    @property
    def mtu(self) -> int: ...
    async def read_info(self) -> bytes: ...
    async def write(self, fragment: bytes) -> None: ...
    def notifications(self) -> AsyncIterator[bytes]: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Info:
    """The characteristic `info`: anybody may read it, nothing proves it."""

    version: int
    state: int
    bridge: bytes

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Raises SessionError when it is malformed, or of a protocol version before ours.

        A bridge that knows a newer version, too, may still know ours: its answer to HELLO tells.
        """
        if len(value) < 2 + ID_BYTES or (value[0] == VERSION and len(value) != 2 + ID_BYTES):
            raise SessionError("What answers there is no Speakeasy bridge: its `info` is malformed.")
        info = cls(value[0], value[1], value[2 : 2 + ID_BYTES])
        if info.version < VERSION:
            raise info.refusal()
        return info

    def refusal(self) -> WrongVersion:
        """What to say when the bridge does not know our version, and which side is to be updated."""
        older = "this command" if self.version > VERSION else "the bridge"
        return WrongVersion(
            f"This bridge speaks protocol version {self.version}, and refuses this command's version {VERSION}. "
            f"Update {older}."
        )


@dataclass(frozen=True, repr=False)
class Credential:
    """One secret and the name it goes by: a setup code, a phone key or an invite."""

    mode: int
    key_id: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"<Credential mode={self.mode} id={self.key_id.hex()}>"

    @classmethod
    def setup_code(cls, code: bytes) -> Self:
        return cls(MODE_SETUP_CODE, bytes(ID_BYTES), code)

    @classmethod
    def phone_key(cls, phone: bytes, key: bytes) -> Self:
        return cls(MODE_PHONE_KEY, phone, key)

    @classmethod
    def invite(cls, invite_id: bytes, secret: bytes) -> Self:
        return cls(MODE_INVITE, invite_id, secret)


# --- fragments (SPEC 2.1) -------------------------------------------------------------------------------------------
def fragments(message: bytes, mtu: int) -> Iterator[bytes]:
    """Cuts a message of 1 to 1024 bytes into fragments for an ATT MTU of 23 or more."""
    if not 1 <= len(message) <= LARGEST_MESSAGE:
        raise FramingError(f"A message has 1 to {LARGEST_MESSAGE} bytes, not {len(message)}.")
    size = min(max(mtu, SMALLEST_MTU) - FRAGMENT_OVERHEAD, LARGEST_PIECE)
    for number, start in enumerate(range(0, len(message), size)):
        header = number & NUMBER
        if start == 0:
            header |= FIRST
        if start + size >= len(message):
            header |= LAST
        yield bytes([header]) + message[start : start + size]


class Joiner:
    """Puts fragments together again, in bounded memory."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._next: int | None = None  # the number that must come; None: a first one must come

    def feed(self, fragment: bytes) -> bytes | None:
        """Takes one fragment; returns the message when it was the last. Raises FramingError: the session is over."""
        if not 2 <= len(fragment) <= 1 + LARGEST_PIECE:
            raise FramingError("The bridge sent a fragment of a wrong size.")
        header = fragment[0]
        if header & FIRST:
            if self._next is not None or header & NUMBER:
                raise FramingError("The bridge began a message anew before the last one was complete.")
        elif self._next is None or header & NUMBER != self._next & NUMBER:
            raise FramingError("The bridge's fragments came out of order.")
        if len(self._parts) + len(fragment) - 1 > LARGEST_MESSAGE:
            raise FramingError(f"The bridge sent a message of more than {LARGEST_MESSAGE} bytes.")
        self._parts += fragment[1:]
        if not header & LAST:
            self._next = (header & NUMBER) + 1
            return None
        message = bytes(self._parts)
        self._parts.clear()
        self._next = None
        return message


# --- handshake (SPEC 2.2) -------------------------------------------------------------------------------------------
def _hmac(key: bytes, data: bytes) -> bytes:
    tag = hmac.HMAC(key, hashes.SHA256())
    tag.update(data)
    return tag.finalize()


def _sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


class Direction:
    """Records of one direction: key pair and sequence. One object only seals, or only opens."""

    def __init__(self, enc_key: bytes, mac_key: bytes) -> None:
        self._enc_key = enc_key
        self._mac_key = mac_key
        self._sequence = 0

    def _cipher(self, sequence: bytes, data: bytes) -> bytes:
        stream = Cipher(algorithms.AES(self._enc_key), modes.CTR(sequence + bytes(12))).encryptor()
        return stream.update(data) + stream.finalize()

    def seal(self, plain: bytes) -> bytes:
        """The next RECORD message for 1 to 992 bytes."""
        if not 1 <= len(plain) <= LARGEST_PLAIN:
            raise SessionError(f"This request is too long: {len(plain)} bytes, and {LARGEST_PLAIN} fit.")
        sequence = self._sequence.to_bytes(SEQUENCE_BYTES, "big")
        ciphertext = self._cipher(sequence, plain)
        self._sequence += 1
        return bytes([RECORD]) + sequence + ciphertext + _hmac(self._mac_key, sequence + ciphertext)[:TAG_BYTES]

    def open(self, message: bytes) -> bytes:
        """The content of the next RECORD message. Raises SessionError when it is not exactly that one."""
        overhead = 1 + SEQUENCE_BYTES + TAG_BYTES
        if not overhead < len(message) <= overhead + LARGEST_PLAIN or message[0] != RECORD:
            raise SessionError("The bridge sent something that is no record. The session was ended; try again.")
        sequence, ciphertext = message[1:5], message[5:-TAG_BYTES]
        tag = _hmac(self._mac_key, sequence + ciphertext)[:TAG_BYTES]
        right = constant_time.bytes_eq(tag, message[-TAG_BYTES:])
        if not right or int.from_bytes(sequence, "big") != self._sequence:
            raise SessionError(
                "A message from the bridge was changed, repeated or lost on its way. The session was ended; try again."
            )
        self._sequence += 1
        return self._cipher(sequence, ciphertext)


class Handshake:
    """The phone's side of one handshake: `hello`, `prove`, then `accept`; all without input or output of their own."""

    def __init__(self, credential: Credential, nonce: bytes | None = None, private: bytes | None = None) -> None:
        """`nonce` (16 bytes) and `private` (32 bytes) are for test vectors; without them fresh ones are taken."""
        self._secret = credential.secret
        self._nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
        self._private = X25519PrivateKey.generate() if private is None else X25519PrivateKey.from_private_bytes(private)
        public = self._private.public_key().public_bytes_raw()
        self.hello = bytes([HELLO, VERSION, credential.mode]) + credential.key_id + self._nonce + public
        self._keys = b""
        self._proven = b""

    def prove(self, challenge: bytes, bridge: bytes) -> bytes:
        """The PROOF for a CHALLENGE of the bridge whose id is `bridge`. Nothing is known of who sent it yet.

        Raises SessionError when it is no CHALLENGE of this bridge.
        """
        head = 2 + ID_BYTES + NONCE_BYTES
        if len(challenge) != head + PUBLIC_BYTES or challenge[0] != CHALLENGE:
            raise SessionError("The bridge's answer is not understood. Try again, or update this command.")
        if challenge[1] != VERSION:
            raise WrongVersion(
                f"The bridge answers in protocol version {challenge[1]}, and was asked in {VERSION}. Update the bridge."
            )
        if challenge[2 : 2 + ID_BYTES] != bridge:
            raise SessionError(
                "Another bridge answered than the one that was called. Go nearer to yours, and try again."
            )
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(challenge[head:]))
        except ValueError:  # all zero, whatever our private key
            raise SessionError("The bridge's answer is not understood. Try again, or update this command.") from None
        h = _sha256(b"speakeasy pairing 1" + self.hello + challenge)
        salt = self._nonce + challenge[head - NONCE_BYTES : head]
        ikm = _hmac(self._secret, b"speakeasy secret 1" + h) + shared
        self._keys = HKDF(hashes.SHA256(), 160, salt, b"speakeasy session 1" + h).derive(ikm)
        proof = _hmac(self._keys[32:64], h)
        self._proven = h + proof
        return bytes([PROOF]) + proof

    def accept(self, message: bytes) -> tuple[Direction, Direction]:
        """Checks the ACCEPT that followed: the directions to the bridge and from it.

        Raises SessionError when it does not prove that the bridge holds the secret.
        """
        if len(message) != 1 + PROOF_BYTES or message[0] != ACCEPT or not self._keys:
            raise SessionError("The bridge's answer is not understood. Try again, or update this command.")
        keys, self._keys = self._keys, b""
        if not constant_time.bytes_eq(_hmac(keys[0:32], self._proven), message[1:]):
            raise SessionError(
                "What answers there does not hold this phone's secret: it is not your bridge, and was told nothing. Go "
                "nearer to the bridge, and try again."
            )
        return Direction(keys[64:80], keys[80:112]), Direction(keys[112:128], keys[128:160])


def _error(message: bytes) -> SpeakeasyError:
    """What an ERROR message says, in words."""
    code = message[1] if len(message) == 2 else BAD_MESSAGE
    match code:
        case 2:
            return WrongSecret("The bridge does not accept this secret: it is wrong, used up, expired or revoked.")
        case 3:
            return LockedOut(
                "The bridge has seen too many wrong codes, and takes none for a while. Wait (30 seconds, up to an hour "
                "after more wrong ones), or press the button on the bridge, which takes codes for two minutes at once; "
                "then try again."
            )
        case 4:
            return HasOwner(
                "This bridge has an owner already, and no invite is out. Ask an owner for an invite, which "
                "they make on their phone with `~speakeasy invite`; or press the button on the bridge: for two minutes "
                "its label lets guests in."
            )
        case 5:
            return SessionError("A message to the bridge was changed, repeated or lost on its way. Try again.")
        case 6:
            return WrongVersion(
                f"The bridge does not speak this command's protocol version {VERSION}. Update the older one."
            )
        case _:
            return SessionError("The bridge did not understand this command. Try again; if it stays so, update both.")


def printable(text: object) -> str:
    """A sentence of the other side, fit for a terminal: no control characters, not long."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:LONGEST_SAY]


# --- the session ----------------------------------------------------------------------------------------------------
class Session:
    """A proven, encrypted session with one bridge. Use `async with await Session.open(...)`."""

    def __init__(self, link: Link, info: Info) -> None:
        self._link = link
        self._received = link.notifications()
        self._joiner = Joiner()
        self._to_bridge: Direction | None = None
        self._from_bridge: Direction | None = None
        self._last_id = 0
        self._over = False
        self._began_s = self._sent_s = time.monotonic()  # this session; what was sent last
        self.info = info
        self.role = ""
        self.name = ""
        self.version = ""  # of the bridge's firmware

    @property
    def bridge(self) -> bytes:
        """The bridge's id, proven with the secret."""
        return self.info.bridge

    @classmethod
    async def open(cls, link: Link, credential: Credential, info: Info | None = None) -> Self:
        """Shakes hands over `link`, which belongs to the session from now on: it is closed with it, or on failure.

        `info`: what was read from this link before. Raises SessionError and its kinds.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_LIMIT_S):
                session = cls(link, info or Info.parse(await link.read_info()))
                await session._shake_hands(credential)
                return session
        except TimeoutError:
            await _close(link)
            raise SessionError(
                f"The bridge did not answer within {HANDSHAKE_LIMIT_S:.0f} s. Go nearer to it, and try again."
            ) from None
        except BaseException:
            await _close(link)
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send(self, message: bytes) -> None:
        try:
            for fragment in fragments(message, self._link.mtu):
                await self._link.write(fragment)
        except SpeakeasyError:
            # A bridge that hangs up in the middle has said why before: let that be heard, if it is there.
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._receive()
            raise

    async def _receive(self) -> bytes:
        async for fragment in self._received:
            message = self._joiner.feed(fragment)
            if message is None:
                continue
            if message[0] == ERROR:
                raise _error(message)
            return message
        raise HungUp("The bridge hung up. Go nearer to it, and try again.")

    def _why_gone(self) -> SessionError | None:
        """Why the bridge has hung up on us, where its limits explain it."""
        now_s = time.monotonic() + CLOCKS_S
        if now_s - self._began_s >= SESSION_LIMIT_S:
            return HungUp(
                f"The bridge ends a session after {SESSION_LIMIT_S:.0f} s, so that nobody keeps others out. "
                "What it has answered is done; run the command again for the rest."
            )
        if now_s - self._sent_s >= SILENCE_LIMIT_S:
            return HungUp(
                f"The bridge hangs up on who is silent for {SILENCE_LIMIT_S:.0f} s; was this machine asleep? Run the "
                "command again."
            )
        return None

    async def _shake_hands(self, credential: Credential) -> None:
        handshake = Handshake(credential)
        await self._send(handshake.hello)
        try:
            challenge = await self._receive()
        except WrongVersion:
            raise self.info.refusal() from None
        await self._send(handshake.prove(challenge, self.info.bridge))
        self._to_bridge, self._from_bridge = handshake.accept(await self._receive())
        welcome = self._parse(self._from_bridge.open(await self._receive()))
        if welcome.get("op") != "welcome" or welcome.get("bridge") != self.info.bridge.hex():
            raise SessionError("The bridge's first message is not the one expected. Update this command or the bridge.")
        self.role = printable(welcome.get("role") or "")
        self.name = printable(welcome.get("name") or "")
        self.version = printable(welcome.get("version") or "")

    @staticmethod
    def _parse(plain: bytes) -> dict[str, Any]:
        try:
            value = json.loads(plain)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise SessionError("The bridge sent a message that is not understood. Update this command or the bridge.")
        return value

    async def request(self, op: str, **members: object) -> dict[str, Any]:
        """Sends one request and waits for its answer. Raises Refused with the bridge's sentence, or SessionError."""
        if self._over or self._to_bridge is None or self._from_bridge is None:
            raise SessionError("The session with the bridge is over. Try again.")
        self._last_id += 1
        request = {"op": op, "id": self._last_id, **members}
        message = self._to_bridge.seal(json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode())
        self._over = True  # until the answer is complete: no half-used session is used again
        why = self._why_gone()
        self._sent_s = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                await self._send(message)
                answer = self._parse(self._from_bridge.open(await self._receive()))
        except TimeoutError:
            raise SessionError(
                f"The bridge did not answer within {REQUEST_LIMIT_S:.0f} s. Go nearer to it, and try again."
            ) from None
        except (HungUp, NotReached) as error:
            raise self._why_gone() or why or error from None
        if answer.get("id") != self._last_id or not isinstance(answer.get("ok"), bool):
            raise SessionError(
                "The bridge answered something else than it was asked. The session was ended; try again."
            )
        self._over = False
        if not answer["ok"]:
            word = printable(answer.get("error") or "failed")
            raise Refused(word, printable(answer.get("say") or f"The bridge refused: {word}."))
        return answer

    async def pages(self, op: str, member: str) -> dict[str, Any]:
        """As `request`, for an answer whose `member` (a list or an object) may come in pages: it holds all of them."""
        answer = whole = await self.request(op, page=0)
        for page in range(1, MOST_PAGES):
            items: object = answer.get(member)
            so_far: object = whole.get(member)
            if answer is whole and isinstance(items, list | dict):
                pass
            elif isinstance(items, list) and isinstance(so_far, list):
                whole[member] = so_far + items
            elif isinstance(items, dict) and isinstance(so_far, dict):
                whole[member] = so_far | items
            else:
                raise SessionError("The bridge's list is not understood. Update this command or the bridge.")
            if not answer.get("more"):
                return whole
            answer = await self.request(op, page=page)
        raise SessionError("The bridge's list does not end. The session was ended.")

    async def close(self) -> None:
        """Says goodbye where that is possible, and closes the link. Never raises."""
        with suppress(SpeakeasyError, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                if not self._over:
                    await self.request("bye")
        self._over = True
        await _close(self._link)


async def _close(link: Link) -> None:
    with suppress(SpeakeasyError, TimeoutError, OSError):  # what a link may raise while it goes: we are done with it
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await link.close()
