# Builds the SIM board; to be included by the top Makefile (or run alone: make -f boards/SIM/build.mk sim).
#
# Inputs:  MICROPYTHON_DIR   MicroPython's source tree, 1.25 or newer; nothing is ever written into it
#          BLE=nimble        MicroPython's real NimBLE and the real aioble; needs a checkout with its submodules
# Outputs: $(SIM)            the board's binary
#          $(MPY_CROSS)      the cross compiler that freezes the firmware
#
# MicroPython's own makefiles know best what is stale, so they are always asked (2 s when there is nothing to do).

SIM_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
SIM_TOP := $(abspath $(SIM_DIR)/../..)
MICROPYTHON_DIR ?= $(SIM_TOP)/build/micropython
SIM_NIMBLE := $(if $(filter nimble,$(BLE)),-nimble)
SIM_BUILD := $(SIM_TOP)/build/sim$(SIM_NIMBLE)
SIM := $(SIM_BUILD)/speakeasy-sim
MPY_CROSS := $(SIM_TOP)/build/mpy-cross$(SIM_NIMBLE)/mpy-cross
SIM_USER_C_MODULES := $(wildcard $(SIM_TOP)/firmware)
# MicroPython insists on a micropython-lib with a README; only BLE=nimble takes anything from it.
# Asked when it is needed: the source may have been unpacked by this same make.
SIM_MPY_LIB = $(shell cd "$(MICROPYTHON_DIR)" && { cd lib/micropython-lib && test -e README.md || cd "$(abspath $(MICROPYTHON_DIR))"; } && pwd)
# A newer compiler's warnings about MicroPython are no reason not to build (-Wno-error); `make lint` looks at our own C.
# Python's bytecode caches would land in MicroPython's tree. All processors, unless the caller has said how many.
SIM_MAKE = PYTHONDONTWRITEBYTECODE=1 $(MAKE) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) --no-print-directory -C

.PHONY: sim sim-clean
sim: $(SIM)

# Everybody's check before minutes of building: is there a source tree, is there a library to link?
.PHONY: sim-check
sim-check:
	@test -f "$(MICROPYTHON_DIR)/ports/unix/Makefile" || { \
	  echo "SIM: no MicroPython source in $(MICROPYTHON_DIR): set MICROPYTHON_DIR or let 'make micropython' fetch it." >&2; exit 1; }
	@test -f /usr/include/mbedtls/aes.h || { \
	  echo "SIM: mbedTLS's headers are missing: apt-get install libmbedtls-dev" >&2; exit 1; }
ifeq ($(BLE),nimble)
	@test -d "$(MICROPYTHON_DIR)/lib/mynewt-nimble/nimble" -a -d "$(MICROPYTHON_DIR)/lib/micropython-lib/micropython" || { \
	  echo "SIM: BLE=nimble needs MICROPYTHON_DIR=... of a git clone of MicroPython, in which git submodule update --init lib/mynewt-nimble lib/micropython-lib was run; $(MICROPYTHON_DIR) has no such libraries" >&2; exit 1; }
endif

# Objects of another MicroPython must not be mixed in: its files may well be older than what was made of them.
.PHONY: sim-source
sim-source: sim-check
	@source="$(abspath $(MICROPYTHON_DIR)) $$(cksum < "$(MICROPYTHON_DIR)/py/mpconfig.h")"; \
	for directory in $(SIM_BUILD) $(patsubst %/,%,$(dir $(MPY_CROSS))); do \
	  if [ "$$(cat "$$directory/source" 2>/dev/null)" != "$$source" ]; then \
	    rm -rf "$$directory" && mkdir -p "$$directory" && echo "$$source" > "$$directory/source"; fi; done

$(MPY_CROSS): sim-source FORCE
	@test -f $(SIM) || echo "building the simulated board: MicroPython, the packet filter, the firmware; about a minute"
	+@$(SIM_MAKE) $(abspath $(MICROPYTHON_DIR))/mpy-cross BUILD=$(patsubst %/,%,$(dir $@)) USER_C_MODULES= CFLAGS_EXTRA=-Wno-error > $(dir $@)build.log 2>&1 \
	  || { tail -n 40 $(dir $@)build.log >&2; exit 1; }

$(SIM): $(MPY_CROSS) FORCE
	+@$(SIM_MAKE) $(abspath $(MICROPYTHON_DIR))/ports/unix VARIANT=SIM VARIANT_DIR=$(SIM_DIR) BUILD=$(SIM_BUILD) BLE=$(BLE) \
	  MICROPY_MPYCROSS=$(MPY_CROSS) MPY_LIB_DIR=$(SIM_MPY_LIB) MICROPY_MPYCROSS_DEPENDENCY= \
	  USER_C_MODULES=$(SIM_USER_C_MODULES) CFLAGS_EXTRA=-Wno-error > $(SIM_BUILD)/build.log 2>&1 \
	  || { tail -n 40 $(SIM_BUILD)/build.log >&2; exit 1; }

sim-clean:
	rm -rf $(addprefix $(SIM_TOP)/build/,sim sim-nimble mpy-cross mpy-cross-nimble)

.PHONY: FORCE
FORCE:
