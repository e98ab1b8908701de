# The primitives that the pairing session rests on, by known answers.
import hashlib
import os
from binascii import hexlify, unhexlify

import cryptolib
from check import equal, raises

# NIST SP 800-38A, F.5.1 and F.5.2 (CTR-AES128)
KEY = unhexlify("2b7e151628aed2a6abf7158809cf4f3c")
COUNTER = unhexlify("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
PLAIN = unhexlify(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CIPHER = unhexlify(
    "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
    "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
)


def hmac(key, message):
    key = hashlib.sha256(key).digest() if len(key) > 64 else key
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key))
    inner.update(message)
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key))
    outer.update(inner.digest())
    return hexlify(outer.digest())


def test_sha256_fips_180_4():
    equal(
        hexlify(hashlib.sha256(b"").digest()),
        b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
    equal(
        hexlify(hashlib.sha256(b"abc").digest()),
        b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )
    million = hashlib.sha256()
    for _ in range(1000):
        million.update(b"a" * 1000)
    equal(
        hexlify(million.digest()),
        b"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    )


def test_hmac_rfc_4231():
    equal(
        hmac(b"\x0b" * 20, b"Hi There"),
        b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    )
    equal(
        hmac(b"Jefe", b"what do ya want for nothing?"),
        b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    )
    equal(
        hmac(b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
        b"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    )


def test_aes_ctr_known_answer():
    equal(cryptolib.aes(KEY, 6, COUNTER).encrypt(PLAIN), CIPHER)
    equal(cryptolib.aes(KEY, 6, COUNTER).decrypt(CIPHER), PLAIN)


def test_aes_ctr_goes_on_where_it_stopped():
    aes = cryptolib.aes(KEY, 6, COUNTER)
    pieces = b"".join(aes.encrypt(PLAIN[at : at + 7]) for at in range(0, 64, 7))
    equal(pieces, CIPHER)


def test_aes_ctr_wants_its_counter_block():
    with raises(ValueError):
        cryptolib.aes(KEY, 6)
    with raises(ValueError):
        cryptolib.aes(KEY, 6, COUNTER[:15])
    with raises(ValueError):
        cryptolib.aes(KEY[:15], 6, COUNTER)


def test_urandom_is_random():
    seen = {os.urandom(16) for _ in range(64)}
    equal(len(seen), 64)
    equal(len(os.urandom(16)), 16)
