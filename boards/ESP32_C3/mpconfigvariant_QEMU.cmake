# For Espressif's QEMU (-machine esp32c3 -nic user,model=open_eth): its Ethernet is the uplink's socket. Needs a MicroPython that has network.PHY_OPENETH.
list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.qemu)
list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="Speakeasy on ESP32-C3, in QEMU"
    MICROPY_PY_NETWORK_LAN=1
)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest_qemu.py)
