#ifndef MICROPY_HW_BOARD_NAME // a variant has its own
#define MICROPY_HW_BOARD_NAME "Speakeasy on ESP32-C3"
#endif
#define MICROPY_HW_MCU_NAME "ESP32C3"

// The prompt is on whatever the board's socket leads to: a USB-to-serial chip, or the chip's own USB.
#define MICROPY_HW_ENABLE_UART_REPL (1)

// The firmware's peak and some air. When this is full MicroPython doubles it, and takes from Wi-Fi what Wi-Fi needs.
#define MICROPY_GC_INITIAL_HEAP_SIZE (88 * 1024)

#ifndef MICROPY_PY_NETWORK_LAN
#define MICROPY_PY_NETWORK_LAN (0)
#endif

#include "../esp32_common/mpconfig_speakeasy.h"
