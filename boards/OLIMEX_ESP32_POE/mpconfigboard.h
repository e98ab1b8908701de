#define MICROPY_HW_BOARD_NAME "Speakeasy on Olimex ESP32-POE"
#define MICROPY_HW_MCU_NAME "ESP32"

#include "../esp32_common/mpconfig_speakeasy.h"
