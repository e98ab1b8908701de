"""The event log: a line on the serial console, and the last lines in RAM.

No secret goes in here: no key, code, token, proof, nor what a stranger sent. Callers pass plain text.
"""

from . import clock

LINES = 64
LINE_CHARS = 160
KEPT_CHARS = 2560  # of all lines together
SELDOM_S = 60

_ring: list = [None] * LINES
_next = 0
_oldest = 0
_kept = 0  # characters
_told: dict = {}  # of each module: [when `seldom` last had a line, how many it left out since]


def log(module: str, text: str) -> None:
    """Print `[ms since boot] module: text` and keep it; longer texts are cut to LINE_CHARS, control characters shown as
    ?."""
    global _next, _kept
    line = "[%d] %s: %s" % (clock.milliseconds(), module, text)
    if any(c < " " or "\x7f" <= c < "\xa0" for c in line):
        line = "".join(["?" if c < " " or "\x7f" <= c < "\xa0" else c for c in line])
    if len(line) > LINE_CHARS:
        line = line[: LINE_CHARS - 3] + "..."
    print(line)
    if _next - _oldest == LINES:
        _drop()
    _ring[_next % LINES] = line
    _next += 1
    _kept += len(line)
    while _kept > KEPT_CHARS:
        _drop()


def _drop() -> None:
    global _oldest, _kept
    _kept -= len(_ring[_oldest % LINES])
    _ring[_oldest % LINES] = None
    _oldest += 1


def seldom(module: str, text: str) -> None:
    """The same for what strangers can bring about at will: a line a minute of each module, or they would push all
    others out. The next line says how many were left out."""
    now = clock.seconds()
    told = _told.get(module)
    if told is not None and now - told[0] < SELDOM_S:
        told[1] += 1
        return
    if told is not None and told[1]:
        text += " (%d more since the last)" % told[1]
    _told[module] = [now, 0]
    log(module, text)


def number(error: BaseException) -> int:
    """An error's number for a line of the log, 0 if it has none: the radio's have only a text."""
    errno = getattr(error, "errno", None)
    return errno if type(errno) is int else 0


def recent() -> list:
    """The lines kept, oldest first."""
    return [_ring[n % LINES] for n in range(_oldest, _next)]


def count() -> int:
    """How many lines there were since the start."""
    return _next


def newest(mark: int) -> list:
    """The lines that are left of those there were when `count()` was `mark`, newest first."""
    return [_ring[n % LINES] for n in range(min(mark, _next) - 1, _oldest - 1, -1)]


def clear() -> None:
    """Forget all lines: after a factory reset nothing of the earlier owner is left."""
    global _next, _oldest, _kept
    _next = _oldest = _kept = 0
    _told.clear()
    for n in range(LINES):
        _ring[n] = None
