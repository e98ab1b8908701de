# What all ESP32 boards have in common; a board's mpconfigboard.cmake includes it last, after IDF_TARGET and SDKCONFIG_DEFAULTS.
get_filename_component(SPEAKEASY_DIR ${MICROPY_BOARD_DIR}/../.. ABSOLUTE)

# ESP-IDF looks for partition tables below MicroPython's tree, unless it is given a whole path.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\nCONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions.csv\"\n"
)
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_BINARY_DIR}/sdkconfig.partitions)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
if(NOT USER_C_MODULES)
    set(USER_C_MODULES ${SPEAKEASY_DIR}/firmware/micropython.cmake)
endif()
