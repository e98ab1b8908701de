// An ESP32 without PSRAM leaves MicroPython about 128 KiB once Wi-Fi and Bluetooth are up. Objects here are made of
// 64-bit words, twice as wide, so the same hunger shows at twice the size. `-X heapsize=` overrides it.
#define SIM_HEAP_BYTES (256L * 1024)

extern long heap_size;

__attribute__((constructor)) static void set_heap_size(void) {
    heap_size = SIM_HEAP_BYTES;
}
