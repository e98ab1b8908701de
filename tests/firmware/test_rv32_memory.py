# The heap that the whole firmware needs.
from memory_stage import life

BUDGET = 72 * 1024  # bytes alive, at most
# What the small boards give it (MICROPY_GC_INITIAL_HEAP_SIZE): there it need not grow at Wi-Fi's expense. The
# difference to the budget is for gaps, and for what lives for a moment.
HEAP_KIB = 88


async def test_settings_with_16_phones_are_saved_and_the_budget_of_the_heap():
    booted, pairing, full = await life(HEAP_KIB)
    print("heap: %d bytes after boot, %d while pairing, %d with 16 phones" % (booted, pairing, full))
    assert max(booted, pairing, full) <= BUDGET
