"""Text form of setup codes and invites: Crockford base32 with a check symbol (SPEC 1)."""

from micropython import const

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"
_GROUP = const(5)

SETUP_CODE_BYTES = 16
INVITE_BYTES = 24


def encode(data: bytes) -> str:
    """The text form, in groups of five separated by `-`."""
    acc = 0
    bits = 0
    out = ""
    for byte in data:
        acc = (acc << 8) | byte
        bits += 8
        while bits >= 5:
            bits -= 5
            out += _SYMBOLS[(acc >> bits) & 31]
        acc &= (1 << bits) - 1
    if bits:
        out += _SYMBOLS[(acc << (5 - bits)) & 31]
    out += _CHECK[_check(data)]
    return "-".join([out[i : i + _GROUP] for i in range(0, len(out), _GROUP)])


def decode(text: str, length: int) -> bytes:
    """The `length` bytes of a text form; ValueError says what is wrong with it, never what it was."""
    symbols = [c for c in text.upper() if c not in "- "]
    wanted = (length * 8 + 4) // 5 + 1
    if len(symbols) != wanted:
        raise ValueError("wrong length: %d symbols, not %d" % (len(symbols), wanted))
    out = bytearray()
    acc = 0
    bits = 0
    for n, c in enumerate(symbols[:-1]):
        value = _SYMBOLS.find("0" if c == "O" else "1" if c in "IL" else c)
        if value < 0:
            raise ValueError("unknown symbol in place %d" % (n + 1))
        acc = (acc << 5) | value
        bits += 5
        if bits >= 8:
            bits -= 8
            out.append(acc >> bits)
            acc &= (1 << bits) - 1
    if acc:
        raise ValueError("padding bits are not zero")
    check = _CHECK.find(symbols[-1])
    if check < 0:
        raise ValueError("unknown symbol in place %d" % wanted)
    if check != _check(out):
        raise ValueError("wrong check symbol: a typing mistake")
    return bytes(out)


def _check(data: bytes | bytearray) -> int:
    # Modulo byte by byte: no big integer.
    n = 0
    for byte in data:
        n = (n * 256 + byte) % 37
    return n
