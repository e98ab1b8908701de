"""HTTP/1 messages of strangers, read strictly (RFC 9112): what is not exactly right is refused, not mended.

A message has one framing or none: Content-Length and Transfer-Encoding together, either of them twice, folded lines,
bare CR or LF and spaces before a colon are refused, so that no two readers can take one stream for different messages.
All text is bytes: nothing in a head needs to be decoded.
"""

import asyncio

from micropython import const

HEAD_MAX_BYTES = 4096
MAX_FIELDS = 64
PIECE_BYTES = 1024  # how much of a body is in hand at a time
LENGTH_MAX_DIGITS = 9
TARGET_MAX_BYTES = 2048

_MAX_DRAINED = const(32)
_DRAIN_MS = const(200)
_CHUNK_LINE_MAX = const(16)
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_CONTROLS = [bytes((byte,)) for byte in list(range(32)) + [127] if byte not in (9, 10, 13)]
# RFC 9110, 7.6.1: for one connection only. Framing is written anew for the next one.
_HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"content-length",
)


class Bad(Exception):
    """A message that is refused, or cannot be passed on; `status` is what whoever asked is answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Fields:
    """The fields of a head: `items` is a list of (name, value) as they came; names are compared without case."""

    def __init__(self, lines: list) -> None:
        if len(lines) > MAX_FIELDS:
            raise Bad(431)
        self.items = [_field(line) for line in lines]

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case), None if there is none; Bad when there are several."""
        found = [value for key, value in self.items if key.lower() == name]
        if len(found) > 1:
            raise Bad(400)
        return found[0] if found else None

    def options(self) -> list:
        """The options of all Connection fields, in lower case."""
        found = []
        for key, value in self.items:
            if key.lower() == b"connection":
                found += [option.strip().lower() for option in value.split(b",")]
        return found

    def passed_on(self, *dropped: bytes) -> list:
        """The (name, value) that a proxy passes on: neither those of this connection nor those `dropped`."""
        named = self.options()
        out = []
        for key, value in self.items:
            lower = key.lower()
            if lower not in _HOP and lower not in named and lower not in dropped:
                out.append((key, value))
        return out

    def length(self) -> int | None:
        """Content-Length, None if there is none."""
        value = self.get(b"content-length")
        if value is None:
            return None
        if not 1 <= len(value) <= LENGTH_MAX_DIGITS or not _all(value, _DIGITS):
            raise Bad(400)
        return int(value)

    def chunked(self) -> bool:
        """Whether the body is chunked; Bad for any other coding, and for a length beside it."""
        value = self.get(b"transfer-encoding")
        if value is None:
            return False
        if value.lower() != b"chunked" or self.get(b"content-length") is not None:
            raise Bad(400)
        return True


class Request:
    """The head of a request, up to but without its empty line."""

    def __init__(self, head: bytes) -> None:
        lines = _lines(head)
        parts = lines[0].split(b" ")
        if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise Bad(400)
        self.method, self.target, version = parts
        self.is_11 = version == b"HTTP/1.1"
        if not self.method or not _all(self.method, _TOKEN):
            raise Bad(400)
        if len(self.target) > TARGET_MAX_BYTES:
            raise Bad(414)
        # Origin form only: no proxy for anything else.
        if not self.target.startswith(b"/") or any([not 32 < byte < 127 or byte == 35 for byte in self.target]):
            raise Bad(400)
        self.fields = Fields(lines[1:])
        self.host = self.fields.get(b"host")
        if self.host is None and self.is_11:
            raise Bad(400)
        self.length = self.fields.length()
        self.chunked = self.fields.chunked()


class Response:
    """The head of a response, up to but without its empty line."""

    def __init__(self, head: bytes) -> None:
        lines = _lines(head)
        first = lines[0]
        if first[:9] not in (b"HTTP/1.1 ", b"HTTP/1.0 ") or not _all(first[9:12], _DIGITS) or first[12:13] not in b" ":
            raise Bad(502)
        self.status = int(first[9:12]) if len(first) >= 12 else 0
        if not 100 <= self.status <= 599:
            raise Bad(502)
        self.reason = first[13:]
        try:
            self.fields = Fields(lines[1:])
            self.length = self.fields.length()
            self.chunked = self.fields.chunked()
        except Bad:
            raise Bad(502) from None

    def kind(self) -> bytes:
        """The media type, lower case, without parameters."""
        return (self.fields.get(b"content-type") or b"").split(b";")[0].strip().lower()


class Inlet:
    """What comes in on a connection; keeps what was read too far. EOFError when it ends in the middle of something."""

    def __init__(self, reader) -> None:
        self._reader = reader
        self._rest = b""

    async def begins(self) -> bool:
        """Wait for the first byte of a message; False when the other side has closed instead."""
        if not self._rest:
            self._rest = await self._reader.read(PIECE_BYTES)
        return len(self._rest) > 0

    async def head(self, limit: int = HEAD_MAX_BYTES) -> bytes:
        """A head without the empty line after it; Bad when it has more than `limit` bytes."""
        while True:
            end = self._rest.find(b"\r\n\r\n", 0, limit + 4)
            if end >= 0:
                head = self._rest[:end]
                self._rest = self._rest[end + 4 :]
                return head
            if len(self._rest) >= limit + 4:
                raise Bad(431)
            await self._more()

    async def line(self, limit: int) -> bytes:
        """A line without its CR LF; Bad when it has more than `limit` bytes."""
        while True:
            end = self._rest.find(b"\r\n", 0, limit + 2)
            if end >= 0:
                line = self._rest[:end]
                self._rest = self._rest[end + 2 :]
                return line
            if len(self._rest) >= limit + 2:
                raise Bad(400)
            await self._more()

    async def some(self, most: int) -> bytes:
        """1 to `most` bytes; empty when the other side has closed."""
        if self._rest:
            some = self._rest[:most]
            self._rest = self._rest[len(some) :]
            return some
        return await self._reader.read(min(most, PIECE_BYTES))

    async def drain(self) -> None:
        """After a refusal: what was not read yet would turn our close into a reset that overtakes the answer, so take
        a bit of it. Ends with the connection, when nothing more comes, or after 32 KiB."""
        try:
            for _ in range(_MAX_DRAINED):
                if not await asyncio.wait_for_ms(self.some(PIECE_BYTES), _DRAIN_MS):
                    break
        except asyncio.TimeoutError:
            pass

    async def _more(self) -> None:
        data = await self._reader.read(PIECE_BYTES)
        if not data:
            raise EOFError
        self._rest += data


class Body:
    """A body, piece by piece. `length` None and not `chunked`: until the connection ends."""

    def __init__(self, inlet: Inlet, length: int | None, chunked: bool) -> None:
        self._inlet = inlet
        self._left = length
        self._chunked = chunked
        self._in_chunk = False
        self._over = False
        if chunked:
            self._left = 0

    async def piece(self) -> bytes:
        """The next 1 to PIECE_BYTES bytes; empty at the end. EOFError when it was cut off, Bad when it is broken."""
        if self._over:
            return b""
        if self._left is None:
            data = await self._inlet.some(PIECE_BYTES)
            self._over = not data
            return data
        if self._chunked and self._left == 0 and not await self._next_chunk():
            self._over = True
            return b""
        if self._left == 0:
            self._over = True
            return b""
        data = await self._inlet.some(min(self._left, PIECE_BYTES))
        if not data:
            raise EOFError
        self._left -= len(data)
        return data

    async def _next_chunk(self) -> bool:
        if self._in_chunk and await self._inlet.line(0):
            raise Bad(400)
        line = await self._inlet.line(_CHUNK_LINE_MAX)
        # No extensions, no trailer: nobody here has a use for them.
        if not 1 <= len(line) <= LENGTH_MAX_DIGITS - 2 or not _all(line, _HEX):
            raise Bad(400)
        self._in_chunk = True
        self._left = int(line, 16)
        if self._left:
            return True
        if await self._inlet.line(0):
            raise Bad(400)
        return False


class Held:
    """A body in memory: in `pieces` of some PIECE_BYTES, however it came, since a small heap has no place for much in
    one, nor for many bits. `size` is their sum."""

    def __init__(self) -> None:
        self.pieces: list = []
        self.size = 0

    def add(self, data: bytes) -> None:
        """Put `data` at the end."""
        if not data:
            return
        if self.pieces and len(self.pieces[-1]) < PIECE_BYTES:
            self.pieces[-1].extend(data)
        else:
            self.pieces.append(bytearray(data))
        self.size += len(data)

    async def send(self, writer) -> None:
        """Write all of it, piece by piece."""
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()


def head_of(first: bytes, fields: list) -> bytes:
    """A head as it goes out: its first line and (name, value) pairs, with the empty line."""
    return b"\r\n".join([first] + [name + b": " + value for name, value in fields]) + b"\r\n\r\n"


def _lines(head: bytes) -> list:
    # At CR LF. Each other control character but TAB is refused, and so are CR and LF alone. Searches by the library:
    # a loop over the bytes would take a chip milliseconds.
    lines = head.split(b"\r\n")
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1:
        raise Bad(400)
    for control in _CONTROLS:
        if control in head:
            raise Bad(400)
    return lines


def _field(line: bytes) -> tuple:
    colon = line.find(b":")
    if colon < 1 or not _all(line[:colon], _TOKEN):  # a folded line begins with a space, which is no token
        raise Bad(400)
    return line[:colon], line[colon + 1 :].strip(b" \t")


def _all(text: bytes, allowed: bytes) -> bool:
    return all([byte in allowed for byte in text])
