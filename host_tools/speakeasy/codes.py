"""The text forms of setup codes and invites (docs/SPEC.md, section 1)."""

from typing import Literal

from speakeasy.errors import SpeakeasyError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32
CHECK_ALPHABET = ALPHABET + "*~$=U"
CHECK_MODULUS = 37
GROUP = 5  # symbols between two hyphens

SETUP_CODE_BYTES = 16
INVITE_ID_BYTES = 8
INVITE_BYTES = INVITE_ID_BYTES + 16
SETUP_CODE_SYMBOLS = -(-8 * SETUP_CODE_BYTES // 5) + 1  # with the check symbol, without hyphens
LONGEST_TEXT = 200  # what a person may have typed; anything longer is not looked at

Reason = Literal["length", "symbol", "padding", "check"]

_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)} | {
    "O": 0,
    "I": 1,
    "L": 1,
}


class CodeError(SpeakeasyError):
    """A text that is no code. `reason`: which rule it breaks. The message never quotes the text."""

    def __init__(self, reason: Reason, say: str) -> None:
        super().__init__(say)
        self.reason: Reason = reason


def write(data: bytes) -> str:
    """The text form of `data`, in groups of five."""
    bits = 8 * len(data)
    padding = -bits % 5
    number = int.from_bytes(data, "big")
    padded = number << padding
    symbols = [ALPHABET[padded >> shift & 31] for shift in range(bits + padding - 5, -1, -5)]
    symbols.append(CHECK_ALPHABET[number % CHECK_MODULUS])
    text = "".join(symbols)
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _read(text: str, size: int, what: str) -> bytes:
    bits = 8 * size
    padding = -bits % 5
    length = (bits + padding) // 5 + 1
    symbols = "".join(text[:LONGEST_TEXT].split()).replace("-", "").upper()
    if len(text) > LONGEST_TEXT or len(symbols) != length:
        raise CodeError(
            "length",
            f"That is no {what}: it would have {length} symbols (hyphens do not count), and {len(symbols)} were given. "
            "Compare it with what is printed, group by group; the last symbol may be one of *~$= too.",
        )
    padded = 0
    for place, symbol in enumerate(symbols[:-1]):
        if symbol not in _VALUES:
            raise CodeError(
                "symbol",
                f"That is no {what}: symbol {place + 1} is none that it can have. Only digits and letters without U.",
            )
        padded = padded << 5 | _VALUES[symbol]
    if symbols[-1] not in CHECK_ALPHABET:
        raise CodeError("symbol", f"That is no {what}: the last symbol is none that it can have.")
    if padded & ((1 << padding) - 1):
        raise CodeError(
            "padding",
            f"That is no {what}: the symbol before the last one cannot be right.",
        )
    number = padded >> padding
    if number % CHECK_MODULUS != CHECK_ALPHABET.index(symbols[-1]):
        raise CodeError(
            "check",
            f"There is a mistake in this {what}. Compare it with what is printed, group by group.",
        )
    return number.to_bytes(size, "big")


def read_setup_code(text: str) -> bytes:
    """The 16 bytes of a setup code as typed. Raises CodeError."""
    return _read(text, SETUP_CODE_BYTES, "setup code")


def read_invite(text: str) -> tuple[bytes, bytes]:
    """Invite id (8 bytes) and invite secret (16 bytes) of an invite as typed. Raises CodeError."""
    data = _read(text, INVITE_BYTES, "invite")
    return data[:INVITE_ID_BYTES], data[INVITE_ID_BYTES:]
