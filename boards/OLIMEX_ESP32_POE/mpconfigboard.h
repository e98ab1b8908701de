#define MICROPY_HW_BOARD_NAME "Speakeasy on Olimex ESP32-POE"
#define MICROPY_HW_MCU_NAME "ESP32"

// The firmware's peak and some air. When this is full MicroPython doubles it, and takes from Wi-Fi what Wi-Fi needs.
#define MICROPY_GC_INITIAL_HEAP_SIZE (88 * 1024)

#include "../esp32_common/mpconfig_speakeasy.h"
