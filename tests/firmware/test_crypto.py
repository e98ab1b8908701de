from check import equal, raises
from speakeasy import crypto


def h(text):
    return bytes.fromhex(text)


def test_hmac_rfc_4231():
    for key, data, mac in (
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ):
        equal(crypto.hmac(key, data).hex(), mac)
        equal(crypto.hmac(key, data[:3], b"", data[3:]).hex(), mac)


def test_hkdf_rfc_5869():
    equal(
        crypto.hkdf(h("000102030405060708090a0b0c"), b"\x0b" * 22, h("f0f1f2f3f4f5f6f7f8f9"), 42).hex(),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    )
    equal(
        crypto.hkdf(bytes(range(0x60, 0xB0)), bytes(range(0x50)), bytes(range(0xB0, 0x100)), 82).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    )
    equal(
        crypto.hkdf(b"", b"\x0b" * 22, b"", 42).hex(),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    )


def test_hkdf_limit():
    equal(len(crypto.hkdf(b"", b"x", b"", 255 * 32)), 255 * 32)
    with raises(ValueError):
        crypto.hkdf(b"", b"x", b"", 255 * 32 + 1)


def test_ctr_sp800_38a():
    key = h("2b7e151628aed2a6abf7158809cf4f3c")
    counter = h("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = h("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    cipher = h("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff")
    equal(crypto.ctr(key, counter, plain), cipher)
    equal(crypto.ctr(key, counter, cipher), plain)
    equal(crypto.ctr(key, counter, plain[:17]), cipher[:17])


def test_equal():
    assert crypto.equal(b"", b"")
    assert crypto.equal(b"abc", b"abc")
    for other in (b"abd", b"bbc", b"ab", b"abcd", b""):
        assert not crypto.equal(b"abc", other)
