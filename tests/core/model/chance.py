"""The filter's random numbers, and what hashes by them (SPEC 4.6): written anew from the specification."""

import struct
from functools import lru_cache


def chaskey(key: bytes, block: bytes) -> list[int]:
    """Chaskey's permutation with 12 rounds between two additions of the key: the paper's block cipher, section 3."""
    k = struct.unpack("<4I", key)
    v = [a ^ b for a, b in zip(struct.unpack("<4I", block), k, strict=True)]

    def add(to: int, other: int) -> None:
        v[to] = (v[to] + v[other]) % 2**32

    def turn(i: int, bits: int) -> None:
        v[i] = (v[i] << bits | v[i] >> (32 - bits)) % 2**32

    for _ in range(12):
        for a, b, c, d, bits in ((0, 1, 2, 3, (5, 8)), (2, 1, 0, 3, (7, 13))):
            add(a, b)
            turn(b, bits[0])
            v[b] ^= v[a]
            turn(a, 16)
            add(c, d)
            turn(d, bits[1])
            v[d] ^= v[c]
    return [a ^ b for a, b in zip(v, k, strict=True)]


@lru_cache
def hash_keys(key: bytes) -> tuple[int, ...]:
    """The keys of a filter's hash, from its 16 bytes: its first random numbers, the last word of each block first."""
    blocks = [chaskey(key, struct.pack("<4I", n, 0, 0, 0)) for n in range(2)]
    return tuple([word for block in blocks for word in reversed(block)][:5])


def hash_sum(key: bytes, *pieces: int) -> int:
    """Of up to four numbers of 16 bits, as a little-endian machine reads them from frames: multilinear."""
    keys = hash_keys(key)
    return (keys[0] + sum(k * p for k, p in zip(keys[1:], pieces, strict=False))) % 2**32


def hashed(h: int) -> int:
    return h * h >> 32


def claim_group(key: bytes, groups: int, turn_bits: int, mac: bytes | None, addr: int, now: int) -> int:
    """Whom a claimant shares a rate with at a time, in ms: by its MAC, or by its address when there is none."""
    source = mac if mac is not None else addr.to_bytes(4, "big") + bytes(2)
    pieces = [int.from_bytes(source[i : i + 2], "little") for i in (0, 2, 4)]
    turn = hashed(hash_sum(key, 0, 0, 0, (now % 2**32 >> turn_bits) % 2**16))
    return hashed((hash_sum(key, *pieces) + turn) % 2**32) % groups
