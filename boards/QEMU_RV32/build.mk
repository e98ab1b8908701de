# Builds the QEMU_RV32 board: MicroPython's qemu port for the ESP32-C3's instruction set; to be included by the top Makefile after boards/SIM/build.mk,
# which says where MicroPython's source is and makes its cross compiler.
#
# Inputs:  MBEDTLS_DIR   mbedTLS's source tree, 3.6
# Outputs: $(RV32)       the board's binary, for qemu-system-riscv32 -kernel

RV32_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
RV32_TOP := $(abspath $(RV32_DIR)/../..)
MBEDTLS_DIR ?= $(if $(wildcard $(MICROPYTHON_DIR)/lib/mbedtls/library),$(abspath $(MICROPYTHON_DIR))/lib/mbedtls,$(RV32_TOP)/build/mbedtls)
RV32_BUILD := $(RV32_TOP)/build/rv32
RV32 := $(RV32_BUILD)/firmware.elf

.PHONY: rv32 rv32-check rv32-source
rv32: $(RV32)

rv32-check: sim-check
	@test -f "$(MBEDTLS_DIR)/library/aes.c" || { \
	  echo "QEMU_RV32: no mbedTLS source in $(MBEDTLS_DIR): set MBEDTLS_DIR or let 'make mbedtls' fetch it." >&2; exit 1; }

# As for the SIM board: objects of another MicroPython must not be mixed in. Nor of another configuration: MicroPython's rules follow its
# headers into objects, but not into the list of names, and not what the makefile says.
rv32-source: rv32-check
	@source="$(abspath $(MICROPYTHON_DIR)) $$(cat "$(MICROPYTHON_DIR)/py/mpconfig.h" $(RV32_DIR)/mpconfigboard.* | cksum) $$(riscv64-unknown-elf-gcc --version | head -n 1)"; \
	if [ "$$(cat "$(RV32_BUILD)/source" 2>/dev/null)" != "$$source" ]; then \
	  rm -rf "$(RV32_BUILD)" && mkdir -p "$(RV32_BUILD)" && echo "$$source" > "$(RV32_BUILD)/source"; fi

# PKTFILTER_GLUE is empty: this board brings its own (mpconfigboard.mk).
$(RV32): $(MPY_CROSS) rv32-source FORCE
	@test -f $(RV32) || echo "building the board QEMU_RV32: MicroPython, the packet filter, the firmware for rv32imc; about a minute"
	+@$(SIM_MAKE) $(abspath $(MICROPYTHON_DIR))/ports/qemu BOARD=QEMU_RV32 BOARD_DIR=$(RV32_DIR) BUILD=$(RV32_BUILD) MBEDTLS_DIR=$(abspath $(MBEDTLS_DIR)) \
	  MICROPY_MPYCROSS=$(MPY_CROSS) MPY_LIB_DIR=$(SIM_MPY_LIB) MICROPY_MPYCROSS_DEPENDENCY= \
	  USER_C_MODULES=$(SIM_USER_C_MODULES) PKTFILTER_GLUE= CFLAGS_EXTRA=-Wno-error > $(RV32_BUILD)/build.log 2>&1 \
	  || { tail -n 40 $(RV32_BUILD)/build.log >&2; exit 1; }
