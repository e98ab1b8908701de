#define MICROPY_HW_BOARD_NAME "Speakeasy on ESP32"
#define MICROPY_HW_MCU_NAME "ESP32"

#define MICROPY_PY_NETWORK_LAN (0)

#include "../esp32_common/mpconfig_speakeasy.h"
