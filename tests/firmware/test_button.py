# What the pin does, and what comes of it. The pin itself is tested in tests/sim.
import sys
import time

from check import equal


class Machine:
    """The board's pins need the board."""

    Pin = None


sys.modules["machine"] = Machine

from speakeasy.button import DEBOUNCE_MS, HELD, HOLD_MS, SHORT, Presses  # noqa: E402

TURN = 20


class Finger:
    """Plays a pin's levels to Presses: an interrupt at each change, a look every TURN ms unless the loop is busy.
    `began`: what the board's ticks were when `now` was 0."""

    def __init__(self, low=False, start=0, began=0):
        self.presses = Presses()
        self.now = start
        self.began = began
        self.low = low
        self.seen = []
        self.look()

    def look(self):
        what = self.presses.look(self.low, self.ticks())
        if what:
            self.seen.append((what, self.now))

    def ticks(self):
        return time.ticks_add(self.began, self.now)

    def set(self, low):
        self.low = low
        self.presses.edge(self.ticks())

    def wait(self, span_ms):
        end = self.now + span_ms
        while self.now < end:
            step = min(TURN - self.now % TURN, end - self.now)
            self.now += step
            if self.now % TURN == 0:
                self.look()

    def press(self, span_ms):
        self.set(True)
        self.wait(span_ms)
        self.set(False)
        self.wait(4 * TURN)

    def kinds(self):
        return [what for what, _ in self.seen]


def test_nothing_happens_by_itself():
    finger = Finger()
    finger.wait(60_000)
    equal(finger.seen, [])


def test_presses_are_as_long_where_ticks_wrap():
    # After 12.4 days on a chip; `time` knows when on this board.
    for before in range(0, HOLD_MS + 100, 500):
        finger = Finger(began=time.ticks_add(0, -1000 - before))
        finger.wait(1000)
        finger.set(True)
        finger.wait(HOLD_MS - TURN)
        equal((finger.kinds(), finger.presses.held_ms(finger.ticks())), ([], HOLD_MS - TURN))
        finger.wait(TURN)
        equal(finger.seen, [(HELD, 1000 + HOLD_MS)])
        finger.set(False)
    for before in range(2 * DEBOUNCE_MS):
        for span, wanted in ((DEBOUNCE_MS - 1, []), (DEBOUNCE_MS, [SHORT])):
            finger = Finger(began=time.ticks_add(0, -1000 - before))
            finger.wait(1000)
            finger.press(span)
            equal((before, span, finger.kinds()), (before, span, wanted))


def test_a_pin_that_never_rests_is_counted_in_16_bits():
    finger = Finger()
    finger.presses._edges = finger.presses._seen = 0xFFFE
    for _ in range(3):
        finger.press(DEBOUNCE_MS)
    equal(finger.kinds(), [SHORT] * 3)
    equal(finger.presses._edges, 4)


def test_a_press_of_50_ms_counts_whenever_it_falls():
    for offset in range(TURN):
        for span, wanted in ((1, []), (DEBOUNCE_MS - 1, []), (DEBOUNCE_MS, [SHORT]), (DEBOUNCE_MS + 1, [SHORT])):
            finger = Finger()
            finger.wait(100 + offset)
            finger.press(span)
            equal((offset, span, finger.kinds()), (offset, span, wanted))


def test_up_to_ten_seconds_it_is_short_then_it_is_held():
    for span, wanted in ((9_000, [SHORT]), (HOLD_MS - TURN, [SHORT]), (HOLD_MS + TURN, [HELD]), (HOLD_MS * 3, [HELD])):
        finger = Finger()
        finger.wait(100)
        finger.press(span)
        finger.wait(1000)
        equal((span, finger.kinds()), (span, wanted))


def test_held_is_told_while_the_finger_is_there_and_never_early():
    for offset in range(TURN):
        finger = Finger()
        finger.wait(100 + offset)
        pressed = finger.now
        finger.press(HOLD_MS + 5 * TURN)
        ((what, when),) = finger.seen
        equal(what, HELD)
        assert HOLD_MS <= when - pressed <= HOLD_MS + TURN


def test_released_at_ten_seconds_before_anybody_looked_erases_nothing():
    finger = Finger()
    finger.wait(100)
    finger.set(True)
    finger.wait(HOLD_MS - 1)
    finger.now += 500  # the loop is busy
    finger.set(False)
    finger.wait(100)
    equal(finger.kinds(), [SHORT])


def test_contacts_bounce():
    for bounces in ((1, 2, 1), (3, 5, 4, 2, 1)):
        finger = Finger()
        finger.wait(100)
        for down_and_up in range(2):
            low = down_and_up == 0
            for gap in bounces:
                finger.set(low)
                finger.wait(gap)
                low = not low
            finger.set(down_and_up == 0)
            finger.wait(200)
        equal(finger.kinds(), [SHORT])


def test_glitches_are_no_press():
    finger = Finger()
    for _ in range(100):
        finger.set(True)
        finger.set(False)
        finger.wait(37)
    equal(finger.seen, [])


def test_let_go_for_a_moment_counts_from_the_beginning():
    finger = Finger()
    finger.wait(105)
    finger.set(True)
    finger.wait(6_000)
    finger.set(False)
    finger.set(True)  # before anybody looked
    finger.wait(6_000)
    equal(finger.seen, [])
    finger.wait(4_100)
    equal(finger.kinds(), [HELD])


def test_a_press_while_the_loop_is_busy_is_not_lost():
    finger = Finger()
    finger.wait(100)
    # Both interrupts come when the loop is free again, together.
    finger.now += 2_000
    finger.set(True)
    finger.set(False)
    finger.look()
    equal(finger.kinds(), [SHORT])
    # And one that lasts on is held from there on only.
    finger.now += 5_000
    finger.set(True)
    finger.look()
    finger.wait(9_900)
    equal(finger.kinds(), [SHORT])
    finger.wait(200)
    equal(finger.kinds(), [SHORT, HELD])


def test_a_busy_loop_without_a_press_makes_none():
    finger = Finger()
    finger.now += 5_000
    finger.look()
    equal(finger.seen, [])


def test_a_finger_that_was_there_before_the_board_does_nothing_until_it_is_lifted():
    finger = Finger(low=True)
    finger.wait(30_000)
    finger.set(False)
    finger.wait(100)
    equal(finger.seen, [])
    finger.press(100)
    equal(finger.kinds(), [SHORT])


def test_one_press_after_the_other():
    finger = Finger()
    finger.wait(100)
    for span in (100, HOLD_MS + 100, 60, 9_000):
        finger.press(span)
    equal(finger.kinds(), [SHORT, HELD, SHORT, SHORT])


def test_how_long_it_is_held_is_known_to_the_light():
    finger = Finger()
    finger.wait(100)
    equal(finger.presses.held_ms(finger.now), 0)
    finger.set(True)
    finger.wait(3_000)
    equal(finger.presses.held_ms(finger.now), 3_000)
    finger.wait(7_100)
    equal(finger.presses.held_ms(finger.now), 0)
    finger.set(False)
    finger.wait(100)
    equal(finger.presses.held_ms(finger.now), 0)


def test_ticks_wrap():
    import time

    late = time.ticks_add(0, -30)
    presses = Presses()
    presses.look(False, late)
    presses.edge(time.ticks_add(late, 5))
    for step in range(10, 70, 10):
        presses.look(True, time.ticks_add(late, step))
    presses.edge(time.ticks_add(late, 66))
    equal(presses.look(False, time.ticks_add(late, 70)), SHORT)
