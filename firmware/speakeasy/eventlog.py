"""The event log: a line on the serial console, and the last lines in RAM.

No secret goes in here: no key, code, token, proof, nor what a stranger sent. Callers pass plain text.
"""

import time

LINES = 64
LINE_CHARS = 160

_ring: list = [None] * LINES
_next = 0


def log(module: str, text: str) -> None:
    """Print `[ms] module: text` and keep it; longer texts are cut to LINE_CHARS, control characters are shown as ?."""
    global _next
    line = "[%d] %s: %s" % (time.ticks_ms(), module, text)
    if any(c < " " or "\x7f" <= c < "\xa0" for c in line):
        line = "".join(["?" if c < " " or "\x7f" <= c < "\xa0" else c for c in line])
    if len(line) > LINE_CHARS:
        line = line[: LINE_CHARS - 3] + "..."
    print(line)
    _ring[_next % LINES] = line
    _next += 1


def number(error: BaseException) -> int:
    """An error's number for a line of the log, 0 if it has none: the radio's have only a text."""
    errno = getattr(error, "errno", None)
    return errno if type(errno) is int else 0


def recent() -> list:
    """The lines kept, oldest first."""
    first = max(0, _next - LINES)
    return [_ring[n % LINES] for n in range(first, _next)]


def count() -> int:
    """How many lines there were since the start."""
    return _next


def newest(mark: int) -> list:
    """The lines that are left of those there were when `count()` was `mark`, newest first."""
    return [_ring[n % LINES] for n in range(min(mark, _next) - 1, max(0, _next - LINES) - 1, -1)]


def clear() -> None:
    """Forget all lines: after a factory reset nothing of the earlier owner is left."""
    global _next
    _next = 0
    for n in range(LINES):
        _ring[n] = None
