"""Puts one IPv4 address in the place of another in text, which may come in pieces.

Only whole addresses count: 192.168.77.2 is not part of 192.168.77.20, of 1192.168.77.2 or of 192.168.77.2.5.
"""

from micropython import const

_LOOK_BACK = const(3)  # %3d may stand before an address: its digit is none of the address
_LOOK_AHEAD = const(2)  # a dot, and what follows it
_DOT = const(0x2E)
_PERCENT = const(0x25)
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"


class Rewriter:
    """`feed` pieces and send on what it returns; `end` gives the rest. Keeps at most 20 bytes in between.

    `old`, `new`: addresses as text, ASCII.
    """

    def __init__(self, old: bytes, new: bytes) -> None:
        self._old = old
        self._new = new
        self._before = b""  # the last bytes that went out, as they came in
        self._kept = b""  # not decided yet

    def feed(self, piece: bytes) -> bytes:
        """What can be sent on after this piece."""
        if self._old == self._new:
            return piece
        return self._advance(piece, len(self._old) + _LOOK_AHEAD - 1)

    def end(self) -> bytes:
        """What is left when no piece follows."""
        return self._advance(b"", 0)

    def _advance(self, piece: bytes, keep: int) -> bytes:
        old = self._old
        data = self._before + self._kept + piece
        start = len(self._before)
        cut = max(start, len(data) - keep)
        out = []
        done = at = start
        while True:
            at = data.find(old, at)
            if at < 0 or at >= cut:
                break
            if _is_whole(data, at, at + len(old)):
                out.append(data[done:at])
                out.append(self._new)
                at = done = at + len(old)
            else:
                at += 1
        cut = max(cut, done)
        out.append(data[done:cut])
        self._before = data[max(0, cut - _LOOK_BACK) : cut]
        self._kept = data[cut:]
        return b"".join(out)


def replaced(text: bytes, old: bytes, new: bytes) -> bytes:
    """All of `text` with each whole address `old` replaced by `new`."""
    rewriter = Rewriter(old, new)
    return rewriter.feed(text) + rewriter.end()


def _is_whole(data: bytes, start: int, end: int) -> bool:
    if start and data[start - 1] in _DIGITS:
        escaped = start >= _LOOK_BACK and data[start - 3] == _PERCENT and data[start - 2] in _HEX
        if not escaped:
            return False
    elif start and data[start - 1] == _DOT:
        return False
    if end < len(data):
        if data[end] in _DIGITS:
            return False
        if data[end] == _DOT and end + 1 < len(data) and data[end + 1] in _DIGITS:
            return False
    return True
