# What a plain `assert` cannot say in MicroPython.
import asyncio
import time


def equal(got, want):
    """Like assert got == want, but names both."""
    if got != want:
        raise AssertionError("got %r, want %r" % (got, want))


class raises:  # noqa: N801 (reads as in pytest)
    """with raises(ValueError) as caught: ... ; then caught.value is the exception."""

    def __init__(self, *kinds):
        self.kinds = kinds
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, _traceback):
        names = "/".join(k.__name__ for k in self.kinds)
        if kind is None:
            raise AssertionError("%s was not raised" % names)
        if not isinstance(value, self.kinds):
            return False
        self.value = value
        return True


async def until(predicate, limit_ms=20_000, what="the condition"):
    """Waits until predicate() is true; returns its value."""
    start = time.ticks_ms()
    while True:
        value = predicate()
        if value:
            return value
        if time.ticks_diff(time.ticks_ms(), start) > limit_ms:
            raise AssertionError("%s did not come about within %d ms" % (what, limit_ms))
        await asyncio.sleep_ms(5)
