"""HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869), AES-128-CTR (SP 800-38A) on MicroPython's hashlib and cryptolib;
random bytes of the platform's own source."""

from hashlib import sha256

from cryptolib import aes
from micropython import const
from pktfilter import random as random

_BLOCK = const(64)
_HASH = const(32)
_MODE_CTR = const(6)


def digest(*parts: bytes | memoryview) -> bytes:
    """SHA-256 of the joined parts."""
    h = sha256()
    for part in parts:
        h.update(part)
    return h.digest()


def hmac(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 of the joined parts, 32 bytes."""
    if len(key) > _BLOCK:
        key = digest(key)
    pad = bytearray(_BLOCK)
    pad[: len(key)] = key
    for i in range(_BLOCK):
        pad[i] ^= 0x36
    inner = sha256(pad)
    for part in parts:
        inner.update(part)
    for i in range(_BLOCK):
        pad[i] ^= 0x36 ^ 0x5C
    outer = sha256(pad)
    outer.update(inner.digest())
    return outer.digest()


def hkdf(salt: bytes, ikm: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256, extract and expand; an empty salt means 32 zero bytes. ValueError above 255 * 32 bytes."""
    if length > 255 * _HASH:
        raise ValueError("hkdf: too long")
    prk = hmac(salt or bytes(_HASH), ikm)
    out = b""
    block = b""
    n = 0
    while len(out) < length:
        n += 1
        block = hmac(prk, block, info, bytes((n,)))
        out += block
    return out[:length]


def ctr(key: bytes, counter: bytes, data: bytes) -> bytes:
    """AES-128-CTR: enciphers and deciphers. `counter` is the initial counter block, 16 bytes, big-endian."""
    return aes(key, _MODE_CTR, counter).encrypt(data)


def equal(a: bytes, b: bytes) -> bool:
    """Compare in a time that depends on the lengths only."""
    if len(a) != len(b):
        return False
    d = 0
    for i in range(len(a)):
        d |= a[i] ^ b[i]
    return d == 0
