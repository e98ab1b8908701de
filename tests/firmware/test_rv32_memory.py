# The heap that the whole firmware needs.
from memory_stage import life

BUDGET = 72 * 1024  # bytes alive, at most
HEAP_KIB = 112  # to measure in: with gaps, and with what lives for a moment


async def test_the_budget_of_the_heap():
    booted, pairing, full = await life(HEAP_KIB)
    print("heap: %d bytes after boot, %d while pairing, %d with 16 phones" % (booted, pairing, full))
    assert max(booted, pairing, full) <= BUDGET
