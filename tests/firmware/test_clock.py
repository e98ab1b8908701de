from check import equal
from speakeasy import clock


class Ticks:
    """time, with a ticks counter of 30 bits that is set by hand."""

    def __init__(self):
        self.ms = 0

    def ticks_ms(self):
        return self.ms

    def ticks_diff(self, a, b):
        return ((a - b + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)


def test_it_goes_on_where_ticks_wrap():
    ticks = Ticks()
    real, clock.time = clock.time, ticks
    try:
        clock._last_ms, clock._seconds, clock._rest_ms = 0, 0, 0
        passed = 0
        for _ in range(40):
            passed += 86_400_500
            ticks.ms = passed & ((1 << 30) - 1)
            equal((clock.seconds(), clock.milliseconds()), (passed // 1000, passed))
        assert passed > 3 * (1 << 30)
    finally:
        clock.time = real


def test_parts_of_a_second_add_up():
    ticks = Ticks()
    real, clock.time = clock.time, ticks
    try:
        clock._last_ms, clock._seconds, clock._rest_ms = 0, 0, 0
        for ms in range(0, 10_001, 3):
            ticks.ms = ms
            equal(clock.seconds(), ms // 1000)
    finally:
        clock.time = real
