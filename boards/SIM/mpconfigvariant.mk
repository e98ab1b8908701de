# The SIM board: MicroPython's unix port with Speakeasy's firmware frozen in.
#
# What is switched off here has its source in a submodule that Debian's source package leaves out, or has no counterpart
# on the ESP32.
PROG = speakeasy-sim

MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_SSL = 0
MICROPY_SSL_AXTLS = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_VFS_FAT = 0
MICROPY_VFS_LFS1 = 0
MICROPY_VFS_LFS2 = 0
MICROPY_USE_READLINE = 1

# hashlib and cryptolib are mbedTLS's, as on the ESP32; the library is the system's (2.28 or 3.x) and only its
# crypto half is linked: there is no TLS on this board. CTR is what the pairing session ciphers with.
CFLAGS_EXTMOD += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1 -DMICROPY_PY_CRYPTOLIB_CTR=1
LDFLAGS_EXTMOD += -lmbedcrypto

# The packet filter's frame mover is a thread of its own.
LDFLAGS_EXTMOD += -lpthread

# The build forgives MicroPython's own warnings (build.mk), not ours.
$(BUILD)/$(VARIANT_DIR)/%.o $(BUILD)/pktfilter/%.o: CFLAGS += -Werror

# BLE=nimble: MicroPython's own NimBLE and the real aioble, over the HCI UART that MICROPYBTUART names.
ifeq ($(BLE),nimble)
MICROPY_PY_BLUETOOTH = 1
MICROPY_BLUETOOTH_NIMBLE = 1
MICROPY_BLUETOOTH_BTSTACK = 0
FROZEN_MANIFEST ?= $(VARIANT_DIR)/manifest_nimble.py
else
MICROPY_PY_BLUETOOTH = 0
FROZEN_MANIFEST ?= $(VARIANT_DIR)/manifest.py
endif
