# The board's clock is a chip's: it starts at 0 with the power, and wraps at 2**30.
import time

from check import equal


def test_ticks_start_with_the_power():
    assert 0 <= time.ticks_ms() < 20_000, time.ticks_ms()


def test_ticks_wrap_as_on_32_bits():
    equal(time.ticks_add(2**30 - 1, 1), 0)
    equal(time.ticks_diff(5, 2**30 - 5), 10)
    equal(time.ticks_add(0, -1), 2**30 - 1)


def test_ticks_go_at_the_right_speed():
    start_ms, start_us = time.ticks_ms(), time.ticks_us()
    time.sleep_ms(50)
    spent_ms = time.ticks_diff(time.ticks_ms(), start_ms)
    assert 49 <= spent_ms < 2000, spent_ms
    assert abs(time.ticks_diff(time.ticks_us(), start_us) - spent_ms * 1000) < 20_000
