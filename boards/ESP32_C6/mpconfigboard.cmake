# An ESP32-C6 with 4 MB of flash.
set(IDF_TARGET esp32c6)

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.ble
    boards/sdkconfig.c6
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.speakeasy
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.small
    ${MICROPY_BOARD_DIR}/sdkconfig.board
)

# The filter's tables: 34 KB instead of 48.
list(APPEND MICROPY_DEF_BOARD PF_FLOWS=256)

include(${MICROPY_BOARD_DIR}/../esp32_common/speakeasy.cmake)
