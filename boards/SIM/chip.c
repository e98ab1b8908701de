// What the interpreter sees of a chip: a small heap, and a clock that starts at 0 with the power.

#include <time.h>

// An ESP32 without PSRAM leaves MicroPython about 128 KiB once Wi-Fi and Bluetooth are up. Objects here are made of
// 64-bit words, twice as wide, so the same hunger shows at twice the size. `-X heapsize=` overrides it.
#define SIM_HEAP_BYTES (256L * 1024)

extern long heap_size;

static struct timespec powered_on;

__attribute__((constructor)) static void power_on(void)
{
    heap_size = SIM_HEAP_BYTES;
    clock_gettime(CLOCK_MONOTONIC, &powered_on);
}

unsigned long sim_ticks_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)((now.tv_sec - powered_on.tv_sec) * 1000000L + (now.tv_nsec - powered_on.tv_nsec) / 1000L);
}

unsigned long sim_ticks_ms(void)
{
    return sim_ticks_us() / 1000;
}
