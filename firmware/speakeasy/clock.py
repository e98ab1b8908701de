"""Time since boot that never wraps.

`time.ticks_ms()` wraps after 12.4 days on a 32-bit board, and a difference over half of that has the wrong sign: an
invite forgotten for a week would come to life again. Whoever needs a span longer than a minute counts in this.
"""

import time

_last_ms = time.ticks_ms()
_seconds = 0
_rest_ms = 0


def seconds() -> int:
    """Whole seconds since boot. Must be called at least once in 6 days; the health task calls it every second."""
    _advance()
    return _seconds


def milliseconds() -> int:
    """Milliseconds since boot, of the same clock."""
    _advance()
    return _seconds * 1000 + _rest_ms


def _advance() -> None:
    global _last_ms, _seconds, _rest_ms
    now = time.ticks_ms()
    _rest_ms += time.ticks_diff(now, _last_ms)
    _last_ms = now
    _seconds += _rest_ms // 1000
    _rest_ms %= 1000
