# Comparing secrets takes the same time wherever they differ. Time is counted in instructions here (interpreters.py).
import time

from check import equal
from speakeasy import crypto

TIMES = 64


def spent(a, b):
    crypto.equal(a, b)  # what is cached is
    began = time.ticks_cpu()
    for _ in range(TIMES):
        crypto.equal(a, b)
    return time.ticks_diff(time.ticks_cpu(), began)


def test_where_two_secrets_differ_takes_no_time_to_tell():
    secret = bytes(range(32))
    compared = [secret]
    for place in (0, 15, 31):
        wrong = bytearray(secret)
        wrong[place] ^= 0x80
        compared.append(bytes(wrong))
    compared.append(bytes(byte ^ 0xFF for byte in secret))
    equal([crypto.equal(other, secret) for other in compared], [True] + [False] * 4)
    times = [spent(other, secret) for other in compared]
    print("ticks for %d comparisons:" % TIMES, times)
    # Setting a result costs nothing but itself: a byte less to look at would show 64 times.
    assert max(times) - min(times) <= TIMES, times
    assert times[0] > TIMES * 32, times
