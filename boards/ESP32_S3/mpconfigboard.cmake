# An ESP32-S3 with 8 MB of octal PSRAM and 8 MB of flash or more (modules N8R8, N16R8). Variant QUAD: PSRAM on four wires (N8R2).
set(IDF_TARGET esp32s3)

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.ble
    boards/sdkconfig.240mhz
    ${MICROPY_BOARD_DIR}/../esp32_common/sdkconfig.speakeasy
    ${MICROPY_BOARD_DIR}/sdkconfig.board
)

include(${MICROPY_BOARD_DIR}/../esp32_common/speakeasy.cmake)
