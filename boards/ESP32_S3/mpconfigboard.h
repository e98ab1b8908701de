#ifndef MICROPY_HW_BOARD_NAME // a variant has its own
#define MICROPY_HW_BOARD_NAME "Speakeasy on ESP32-S3"
#endif
#define MICROPY_HW_MCU_NAME "ESP32S3"

// The prompt is on both of the board's sockets: the USB-to-serial chip's, and the chip's own.
#define MICROPY_HW_ENABLE_UART_REPL (1)
#define MICROPY_HW_ENABLE_USB_RUNTIME_DEVICE (0)

#define MICROPY_PY_NETWORK_LAN (0)

#include "../esp32_common/mpconfig_speakeasy.h"
