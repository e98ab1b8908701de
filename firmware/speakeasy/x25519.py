"""X25519 (RFC 7748) on Python's integers, which have as many digits as it takes.

Their time depends on their values. So a scalar is used for one handshake only: for its public key and for the shared
secret.
"""

import asyncio
import gc

from micropython import const

from . import COLLECT_AT

BYTES = 32
BASE = b"\x09" + bytes(31)

_BITS = const(255)
_STEPS_A_TURN = const(8)
_A24 = const(121665)
_P = (1 << _BITS) - 19
_LOW = (1 << _BITS) - 1


async def multiply(scalar: bytes, point: bytes) -> bytes:
    """X25519(scalar, point), all of 32 bytes; zeros for a point of small order. It takes a chip a part of a second,
    in which other tasks have their turns."""
    # Nearly all that is allocated here is garbage at once, and much: for speed the heap may run full meanwhile.
    gc.threshold(-1)
    try:
        return await _multiply(scalar, point)
    finally:
        gc.threshold(COLLECT_AT)


async def _multiply(scalar: bytes, point: bytes) -> bytes:
    k = int.from_bytes(scalar, "little") & ((1 << 254) - 8) | 1 << 254
    x1 = int.from_bytes(point, "little") & _LOW
    # The Montgomery ladder, with the RFC's names. 2**255 is 19 modulo _P: to fold a number there once is less than half
    # the work of `%`, and does where it is multiplied once more before it is kept.
    x2, z2, x3, z3 = 1, 0, x1, 1
    swapped = 0
    for t in range(_BITS - 1, -1, -1):
        if not t % _STEPS_A_TURN:
            await asyncio.sleep_ms(0)
        bit = k >> t & 1
        if bit != swapped:
            x2, z2, x3, z3 = x3, z3, x2, z2
            swapped = bit
        a = x2 + z2
        b = x2 - z2
        da = (x3 - z3) * a
        da = (da & _LOW) + 19 * (da >> _BITS)
        cb = (x3 + z3) * b
        cb = (cb & _LOW) + 19 * (cb >> _BITS)
        aa = a * a
        aa = (aa & _LOW) + 19 * (aa >> _BITS)
        bb = b * b
        bb = (bb & _LOW) + 19 * (bb >> _BITS)
        e = aa - bb
        x3 = da + cb
        x3 = x3 * x3 % _P
        z3 = da - cb
        z3 = z3 * z3
        z3 = x1 * ((z3 & _LOW) + 19 * (z3 >> _BITS)) % _P
        x2 = aa * bb % _P
        z2 = e * (aa + _A24 * e) % _P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * _inverse(z2) % _P).to_bytes(BYTES, "little")


def _inverse(z: int) -> int:
    # Euclid's algorithm. 0 for 0, as the RFC's z**(p - 2) has it.
    a, b = z, _P
    u, v = 1, 0
    while a:
        q = b // a
        a, b = b - q * a, a
        u, v = v - q * u, u
    return v % _P
