# An ESP32-C3 with 4 MB of flash.
set(IDF_TARGET esp32c3)

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.ble
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.speakeasy
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.small
    ${MICROPY_BOARD_DIR}/sdkconfig.board
)

# The filter's tables: 21 KB instead of 48.
list(APPEND MICROPY_DEF_BOARD PF_FLOWS=128 PF_CLAIM_FLOWS=8 PF_PENDING=2 PF_HELD_PHONES=1 PF_HELD_KNOWN=1)

include(${MICROPY_BOARD_DIR}/../esp32_common/speakeasy.cmake)
