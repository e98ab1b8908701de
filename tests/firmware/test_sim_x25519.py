# The thousand iterations of RFC 7748, 5.2: minutes for an emulated chip.
from check import equal
from speakeasy import x25519

TIME_LIMIT_S = 300


async def test_rfc_7748_iterated():
    k = u = x25519.BASE
    for n in range(1000):
        k, u = await x25519.multiply(k, u), k
        if n == 0:
            equal(k.hex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
    equal(k.hex(), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
