"""The button: a short press opens a window for pairing, ten seconds reset the bridge (SPEC 2.5)."""

import asyncio
import time

from machine import Pin
from micropython import const

from .eventlog import log

DEBOUNCE_MS = 50  # contacts bounce: what is shorter is no press
HOLD_MS = 10_000

SHORT = 1
HELD = 2

_POLL_MS = const(20)
_EDGES = const(0xFFFF)  # they are counted modulo this and one: a larger number would need memory one day


class Presses:
    """Makes presses of what the pin does: `edge` at each interrupt, `look` every few milliseconds.

    A loop that is busy for long looks late, and its interrupts come late, too: how long the button was down in between
    nobody knows. Such a press counts as a short one. A hold counts only while the finger is still there: nothing but
    ten seconds in one piece erases anything.
    """

    def __init__(self) -> None:
        self._edges = 0
        self._seen = 0
        self._first = 0  # of the edges not seen yet
        self._last = 0
        self._looked = 0
        self._began_at = 0  # this press
        self._since = 0  # when it was last sure to be down
        self._down = False
        self._spent = True  # this press has done all that it does; so has one that began before the board did
        self._began = False

    def edge(self, now: int) -> None:
        """The pin has changed. Called from an interrupt: allocates nothing."""
        if self._edges == self._seen:
            self._first = now
        self._last = now
        self._edges = (self._edges + 1) & _EDGES

    def look(self, low: bool, now: int) -> int:
        """`now` in ticks. SHORT at the end of a press, HELD once while it lasts, else 0."""
        edges = self._edges
        edged = edges != self._seen
        first, last = self._first, self._last
        self._seen = edges
        late = self._began and time.ticks_diff(now, self._looked) >= DEBOUNCE_MS
        self._looked = now
        if not self._began:
            self._began = True
            self._down = low
            return 0
        if low:
            return self._pressed(edged, first, last, now)
        return self._released(edged, first, last, now, late)

    def held_ms(self, now: int) -> int:
        """For how long it has been held down; 0: not at all, or it has done its work."""
        return time.ticks_diff(now, self._since) if self._down and not self._spent else 0

    def _pressed(self, edged: bool, first: int, last: int, now: int) -> int:
        if not self._down:
            self._down = True
            self._spent = False
            self._began_at = self._since = first if edged else now
        elif edged and not self._spent:
            self._since = last  # it bounced, or was let go for a moment: the ten seconds begin again
        if self._spent or time.ticks_diff(now, self._since) < HOLD_MS:
            return 0
        self._spent = True
        return HELD

    def _released(self, edged: bool, first: int, last: int, now: int, late: bool) -> int:
        was_down, spent = self._down, self._spent
        self._down = False
        self._spent = True
        if was_down:
            length = time.ticks_diff(last if edged else now, self._began_at)
            return 0 if spent or length < DEBOUNCE_MS and not late else SHORT
        if edged and (late or time.ticks_diff(last, first) >= DEBOUNCE_MS):
            return SHORT
        return 0


class Button:
    """`pressed()` is called after a short press, `held()` after ten seconds."""

    def __init__(self, pressed, held, beat) -> None:
        self._pressed = pressed
        self._held = held
        self._beat = beat
        self._presses = Presses()
        self._pin = Pin("BUTTON", Pin.IN, Pin.PULL_UP)
        self._pin.irq(self._edge, Pin.IRQ_FALLING | Pin.IRQ_RISING)

    def held_ms(self) -> int:
        """For how long it has been held down: for the light."""
        return self._presses.held_ms(time.ticks_ms())

    async def run(self) -> None:
        """Watch the button for ever."""
        while True:
            self._beat()
            what = self._presses.look(self._pin.value() == 0, time.ticks_ms())
            if what == SHORT:
                log("button", "pressed: for a while, phones can be paired by the label")
                self._pressed()
            elif what == HELD:
                log("button", "held for %d s: the bridge is made as new" % (HOLD_MS // 1000))
                self._held()
            await asyncio.sleep_ms(_POLL_MS)

    def _edge(self, _pin) -> None:
        self._presses.edge(time.ticks_ms())
