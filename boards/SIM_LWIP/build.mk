# Builds the SIM_LWIP board; to be included by the top Makefile after boards/SIM/build.mk, whose inputs are its own, too.
#
# Inputs:  LWIP_DIR      lwIP's source tree with its contrib, 2.2; nothing is ever written into it
#          SANITIZE=     without AddressSanitizer and UndefinedBehaviorSanitizer
# Outputs: $(SIM_LWIP)   the board's binary

LWIP_DIR ?= $(SIM_TOP)/build/lwip
SIM_LWIP_DIR := $(SIM_TOP)/boards/SIM_LWIP
SIM_LWIP_BUILD := $(SIM_TOP)/build/sim-lwip
SIM_LWIP := $(SIM_LWIP_BUILD)/speakeasy-sim
SANITIZE ?= 1

.PHONY: sim-lwip
sim-lwip: $(SIM_LWIP)

.PHONY: sim-lwip-check
sim-lwip-check:
	@test -f "$(LWIP_DIR)/contrib/ports/unix/port/sys_arch.c" || { \
	  echo "SIM_LWIP: no lwIP source in $(LWIP_DIR): set LWIP_DIR or let 'make lwip' fetch it." >&2; exit 1; }

# Objects of another MicroPython or lwIP, or with other checks, must not be mixed in.
.PHONY: sim-lwip-source
sim-lwip-source: sim-lwip-check sim-source
	@source="$$(cat $(dir $(MPY_CROSS))source) $(abspath $(LWIP_DIR)) $$(cksum < "$(LWIP_DIR)/src/include/lwip/init.h") $(SANITIZE)"; \
	if [ "$$(cat "$(SIM_LWIP_BUILD)/source" 2>/dev/null)" != "$$source" ]; then \
	  rm -rf "$(SIM_LWIP_BUILD)" && mkdir -p "$(SIM_LWIP_BUILD)" && echo "$$source" > "$(SIM_LWIP_BUILD)/source"; fi

$(SIM_LWIP): $(MPY_CROSS) sim-lwip-source FORCE
	@test -f $(SIM_LWIP) || echo "building the simulated board on lwIP: about a minute"
	+@$(SIM_MAKE) $(abspath $(MICROPYTHON_DIR))/ports/unix VARIANT=SIM_LWIP VARIANT_DIR=$(SIM_LWIP_DIR) BUILD=$(SIM_LWIP_BUILD) \
	  LWIP_DIR=$(abspath $(LWIP_DIR)) SANITIZE=$(SANITIZE) MICROPY_MPYCROSS=$(MPY_CROSS) MPY_LIB_DIR=$(SIM_MPY_LIB) \
	  MICROPY_MPYCROSS_DEPENDENCY= USER_C_MODULES=$(SIM_USER_C_MODULES) CFLAGS_EXTRA=-Wno-error > $(SIM_LWIP_BUILD)/build.log 2>&1 \
	  || { tail -n 40 $(SIM_LWIP_BUILD)/build.log >&2; exit 1; }
