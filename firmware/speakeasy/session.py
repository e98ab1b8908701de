"""The pairing link above GATT (SPEC 2.1 to 2.3): fragments, handshake, records. No radio, no clock, no registry."""

from micropython import const

from . import PROTOCOL, crypto, x25519

MAX_MESSAGE = 1024
MAX_TEXT = 992
MIN_MTU = 23
MAX_PIECE = 511

HELLO = 0x01
CHALLENGE = 0x02
PROOF = 0x03
RECORD = 0x04
ERROR = 0x05
ACCEPT = 0x06

BAD_MESSAGE = 1
BAD_PROOF = 2
LOCKED = 3
NOT_NOW = 4
BAD_RECORD = 5
BAD_VERSION = 6

MODE_SETUP = 1
MODE_PHONE = 2
MODE_INVITE = 3

KEY_ID_BYTES = 8
NONCE_BYTES = 16

_FIRST = const(0x80)
_LAST = const(0x40)
_NUMBER = const(0x3F)
_OVERHEAD = const(4)  # 3 bytes of ATT, 1 of ours
_TAG = const(16)
_PROOF = const(32)
_HELLO = const(59)  # bytes, with the type
_RECORD_HEAD = const(5)
_MAX_SEQUENCE = 0xFFFFFFFF
_HASH_LABEL = b"speakeasy pairing 1"
_SECRET_LABEL = b"speakeasy secret 1"
_KEY_LABEL = b"speakeasy session 1"
_KEYS_BYTES = const(160)


class ProtocolError(Exception):
    """The session ends; `code` goes to the phone in an ERROR. Carries nothing of what was received."""

    def __init__(self, code: int) -> None:
        super().__init__("protocol error %d" % code)
        self.code = code


class Reassembler:
    """Puts fragments together in one buffer that is allocated once."""

    def __init__(self) -> None:
        self._buffer = bytearray(MAX_MESSAGE)
        self.reset()

    def reset(self) -> None:
        """Forget a message that is half there."""
        self._length = 0
        self._number = 0
        self._open = False

    def feed(self, fragment: bytes) -> bytes | None:
        """Take one fragment; the whole message when this was its last. ProtocolError when it does not fit in."""
        piece = len(fragment) - 1
        if not 1 <= piece <= MAX_PIECE:
            raise ProtocolError(BAD_MESSAGE)
        header = fragment[0]
        if header & _FIRST:
            if self._open or header & _NUMBER:
                raise ProtocolError(BAD_MESSAGE)
            self._open = True
            self._length = 0
            self._number = 0
        elif not self._open or header & _NUMBER != self._number:
            raise ProtocolError(BAD_MESSAGE)
        end = self._length + piece
        if end > MAX_MESSAGE:
            raise ProtocolError(BAD_MESSAGE)
        self._buffer[self._length : end] = memoryview(fragment)[1:]
        self._length = end
        self._number = (self._number + 1) & _NUMBER
        if not header & _LAST:
            return None
        self._open = False
        return bytes(memoryview(self._buffer)[:end])


def fragments(message: bytes, mtu: int):
    """Cut a message for a link with that MTU; yields `header || piece`. ValueError for 0 or more than 1024 bytes."""
    if not 1 <= len(message) <= MAX_MESSAGE:
        raise ValueError("a message has 1 to %d bytes" % MAX_MESSAGE)
    size = min(max(mtu, MIN_MTU) - _OVERHEAD, MAX_PIECE)
    for number, start in enumerate(range(0, len(message), size)):
        header = number & _NUMBER
        if start == 0:
            header |= _FIRST
        if start + size >= len(message):
            header |= _LAST
        yield bytes((header,)) + message[start : start + size]


def error(code: int) -> bytes:
    """An ERROR message."""
    return bytes((ERROR, code))


class Direction:
    """One direction's keys and sequence; `seal` on one side, `open` on the other."""

    def __init__(self, cipher_key: bytes, tag_key: bytes) -> None:
        self._cipher_key = cipher_key
        self._tag_key = tag_key
        self._sequence = 0

    def seal(self, text: bytes) -> bytes:
        """A RECORD of 1..992 bytes of text; ValueError otherwise, ProtocolError when the sequence is used up."""
        if not 1 <= len(text) <= MAX_TEXT:
            raise ValueError("a record has 1 to %d bytes" % MAX_TEXT)
        if self._sequence > _MAX_SEQUENCE:
            raise ProtocolError(BAD_RECORD)
        sequence = self._sequence.to_bytes(4, "big")
        ciphertext = crypto.ctr(self._cipher_key, sequence + bytes(12), text)
        tag = crypto.hmac(self._tag_key, sequence, ciphertext)[:_TAG]
        self._sequence += 1
        return bytes((RECORD,)) + sequence + ciphertext + tag

    def open(self, message: bytes) -> bytes:
        """The text of a RECORD. ProtocolError: BAD_MESSAGE for what is none, BAD_RECORD for a wrong tag or sequence."""
        if not _RECORD_HEAD + 1 + _TAG <= len(message) <= _RECORD_HEAD + MAX_TEXT + _TAG or message[0] != RECORD:
            raise ProtocolError(BAD_MESSAGE)
        sequence = message[1:_RECORD_HEAD]
        ciphertext = message[_RECORD_HEAD:-_TAG]
        tag = crypto.hmac(self._tag_key, sequence, ciphertext)[:_TAG]
        if not crypto.equal(tag, message[-_TAG:]) or sequence != self._sequence.to_bytes(4, "big"):
            raise ProtocolError(BAD_RECORD)
        self._sequence += 1
        return crypto.ctr(self._cipher_key, sequence + bytes(12), ciphertext)


class Handshake:
    """The bridge's side of one handshake: `hello`, then `challenge`, then `proof`."""

    def __init__(self, bridge_id: bytes, random=crypto.random) -> None:
        self._bridge_id = bridge_id
        self._random = random
        self._hello = b""
        self._keys = b""
        self._hash = b""

    def hello(self, message: bytes) -> tuple:
        """Take the HELLO: (mode, key id). ProtocolError: BAD_VERSION, or BAD_MESSAGE for anything else."""
        if len(message) < 2 or message[0] != HELLO:
            raise ProtocolError(BAD_MESSAGE)
        if message[1] != PROTOCOL:
            raise ProtocolError(BAD_VERSION)
        if len(message) != _HELLO:
            raise ProtocolError(BAD_MESSAGE)
        mode = message[2]
        key_id = message[3 : 3 + KEY_ID_BYTES]
        if mode not in (MODE_SETUP, MODE_PHONE, MODE_INVITE) or (mode == MODE_SETUP and key_id != bytes(KEY_ID_BYTES)):
            raise ProtocolError(BAD_MESSAGE)
        self._hello = message
        return mode, key_id

    async def challenge(self, secret: bytes) -> bytes:
        """The CHALLENGE; both sides' keys follow from `secret` and from two key pairs that are used this once. For an
        unknown key id give a random secret. ProtocolError BAD_MESSAGE when the phone's public key is of no use."""
        hello = self._hello
        private = self._random(x25519.BYTES)
        shared = await x25519.multiply(private, hello[-x25519.BYTES :])
        if shared == bytes(x25519.BYTES):
            raise ProtocolError(BAD_MESSAGE)
        nonce = self._random(NONCE_BYTES)
        public = await x25519.multiply(private, x25519.BASE)
        message = bytes((CHALLENGE, PROTOCOL)) + self._bridge_id + nonce + public
        self._hash = crypto.digest(_HASH_LABEL, hello, message)
        salt = hello[3 + KEY_ID_BYTES : -x25519.BYTES] + nonce
        ikm = crypto.hmac(secret, _SECRET_LABEL, self._hash) + shared
        self._keys = crypto.hkdf(salt, ikm, _KEY_LABEL + self._hash, _KEYS_BYTES)
        return message

    def proof(self, message: bytes) -> tuple:
        """Check the PROOF: (ACCEPT, Direction from the phone, Direction to it). ProtocolError: BAD_MESSAGE or
        BAD_PROOF."""
        if len(message) != 1 + _PROOF or message[0] != PROOF or not self._keys:
            raise ProtocolError(BAD_MESSAGE)
        keys = self._keys
        self._keys = b""  # one try
        proof = message[1:]
        if not crypto.equal(crypto.hmac(keys[32:64], self._hash), proof):
            raise ProtocolError(BAD_PROOF)
        accept = bytes((ACCEPT,)) + crypto.hmac(keys[:32], self._hash, proof)
        return accept, Direction(keys[64:80], keys[80:112]), Direction(keys[112:128], keys[128:160])
