# Olimex's ESP32-POE and ESP32-POE-ISO, with the module WROOM-32 (4 MB of flash).
set(IDF_TARGET esp32)

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.ble
    boards/sdkconfig.240mhz
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.speakeasy
    ${MICROPY_BOARD_DIR}/sdkconfig.board
)

# The filter's tables: 34 KB instead of 48.
list(APPEND MICROPY_DEF_BOARD PF_FLOWS=256)

include(${MICROPY_BOARD_DIR}/../esp32_common/speakeasy.cmake)
