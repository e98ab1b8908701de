# The QEMU_RV32 board: MicroPython's qemu port on QEMU's `virt` machine, with the ESP32-C3's instruction set, the packet filter and
# Speakeasy's firmware.
QEMU_ARCH = riscv32
QEMU_MACHINE = virt
CFLAGS += -DQEMU_SOC_VIRT -DMICROPY_HW_MCU_NAME='"rv32imc"' -DMP_CONFIGFILE='"$(BOARD_DIR)/mpconfigboard.h"' -I$(BOARD_DIR)
LDSCRIPT = mcu/rv32/virt.ld
SRC_BOARD_O += shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o

# The compiler knows its libraries by this name. The few files that touch control registers say more to the assembler.
RV32_ARCH = rv32imc
MPY_CROSS_FLAGS += -march=rv32imc
WITH_CSR = -march=rv32imc_zicsr
$(BUILD)/mcu/rv32/%.o $(BUILD)/$(BOARD_DIR)/board.o: CFLAGS += $(WITH_CSR)
$(BUILD)/mcu/rv32/%.o: AFLAGS += $(WITH_CSR)

# What an ESP32 without PSRAM leaves MicroPython once Wi-Fi and Bluetooth are up.
MICROPY_HEAP_SIZE = 131072
FROZEN_MANIFEST = $(BOARD_DIR)/manifest.py

# The flash is littlefs, as on the ESP32.
MICROPY_VFS_LFS2 = 1

# hashlib and cryptolib are mbedTLS's, as on the ESP32: of its library only what they need.
MBEDTLS_SOURCES = $(addprefix $(MBEDTLS_DIR)/library/,aes.c sha256.c constant_time.c platform_util.c)
CFLAGS += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1 -DMICROPY_PY_CRYPTOLIB_CTR=1 -DMBEDTLS_CONFIG_FILE='"mbedtls_config_board.h"' -I$(MBEDTLS_DIR)/include

# The port's main() would go straight to its prompt; board.c starts what it is told to.
$(BUILD)/main.o: CFLAGS += -Dmain=port_main
SRC_C += $(addprefix $(BOARD_DIR)/,board.c glue_loop.c) shared/runtime/semihosting_rv32.c $(MBEDTLS_SOURCES)

# The build forgives MicroPython's own warnings (build.mk), not ours.
$(BUILD)/$(BOARD_DIR)/%.o $(BUILD)/pktfilter/%.o: CFLAGS += -Wextra -Werror -Wno-unused-parameter
