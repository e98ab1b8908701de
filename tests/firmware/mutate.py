# What strangers may send: valid bytes, bent. The same seed gives the same inputs, on MicroPython and on CPython alike.
import random

_ODD = b"\x00\x01\x1f\"',:/\\[]{}\x7f\x80\xc0\xff"


def some_bytes(n):
    """n random bytes."""
    return bytes([random.getrandbits(8) for _ in range(n)])


def _place(data):
    return random.randrange(len(data) + 1)


def _slice(data):
    a, b = _place(data), _place(data)
    return (a, b) if a <= b else (b, a)


def _bit(data, _corpus, _limit):
    at = random.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :]


def _byte(data, _corpus, _limit):
    at = random.randrange(len(data))
    return data[:at] + bytes((random.choice(_ODD),)) + data[at + 1 :]


def _end(data, _corpus, _limit):
    return data[: _place(data)]


def _hole(data, _corpus, _limit):
    a, b = _slice(data)
    return data[:a] + data[b:]


def _twice(data, _corpus, _limit):
    a, b = _slice(data)
    return data[:b] + data[a:]


def _order(data, _corpus, _limit):
    a, b = _slice(data)
    return data[b:] + data[a:b] + data[:a]


def _more(data, _corpus, _limit):
    at = _place(data)
    return data[:at] + some_bytes(random.randrange(1, 20)) + data[at:]


def _splice(data, corpus, _limit):
    other = random.choice(corpus)
    return data[: _place(data)] + other[_place(other) :]


def _swell(data, _corpus, limit):
    # Just below, at or just above the limit; or far above.
    wanted = limit + random.choice((-1, 0, 1, 2, limit))
    at = _place(data)
    return data[:at] + bytes((random.choice(_ODD),)) * max(0, wanted - len(data)) + data[at:]


_KINDS = (_bit, _bit, _byte, _byte, _end, _hole, _twice, _order, _more, _splice, _swell)


def bent(corpus, limit):
    """One of `corpus`, bent one to three times. `limit`: of the length, which some go over."""
    data = random.choice(corpus)
    for _ in range(random.choice((1, 1, 2, 3))):
        if not data:
            break
        data = random.choice(_KINDS)(data, corpus, limit)[: 2 * limit]
    return data


def shuffled(pieces, bend):
    """A list of pieces of which some are lost, repeated, moved or, by `bend`, bent."""
    pieces = list(pieces)
    for _ in range(random.choice((1, 1, 2, 3))):
        if not pieces:
            break
        at = random.randrange(len(pieces))
        kind = random.randrange(5)
        if kind == 0:
            pieces.pop(at)
        elif kind == 1:
            pieces.insert(random.randrange(len(pieces) + 1), pieces[at])
        elif kind == 2:
            pieces.insert(random.randrange(len(pieces)), pieces.pop(at))
        elif kind == 3:
            pieces = pieces[:at]
        else:
            pieces[at] = bend(pieces[at])
    return pieces
