# Speakeasy. `make` alone lists the targets.
#
# MICROPYTHON_DIR=...  a MicroPython checkout of yours instead of Debian's source package
# IDF_PATH=...         an ESP-IDF of yours: check-idf needs both, each in the release that boards/versions.mk names
# BLE=nimble           MicroPython's real NimBLE and the real aioble (needs a full checkout in MICROPYTHON_DIR)
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:
# One pip and one apt at a time; MicroPython's and the filter's own makefiles use all processors.
.NOTPARALLEL:
.DEFAULT_GOAL := help

SETUP := host_tools/setup
STAMPS := build/stamps
BIN := .venv/bin
AS_ROOT := $(SETUP)/as-root.sh
SECONDS ?= 60
INPUTS ?= 100000

# --- what there is ---------------------------------------------------------------------------------------------------
.PHONY: help
help:
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '%-20s%s\n' "$$target" "$$text"; done

.PHONY: demo prepared test test-core test-host test-boards test-firmware test-rv32 test-ble test-dorm test-page test-lwip test-attacks lint firmware check-idf bench fuzz fuzz-firmware dorm clean
demo: may-be-root ready ## the bridge at work in the virtual dorm, from pairing to music, step by step (needs root or sudo)
	@$(AS_ROOT) $(BIN)/speakeasy demo $(if $(BLE),--ble $(BLE)) $(ARGS)

dorm: may-be-root ready ## bring the virtual dorm up, to play with by hand: speakeasy dorm shell WHO, ... dorm down
	@$(AS_ROOT) $(BIN)/speakeasy dorm up $(if $(BLE),--ble $(BLE)) $(ARGS)

# Two lanes side by side: what mostly waits in real time, and what mostly reckons, in its pauses. Then the browsers, which do both.
LANES := "test-dorm test-lwip test-ble" "lint test-core test-host test-boards test-firmware test-rv32"
# All that rungs build or install, done before: it is done one after the other.
prepared: dev ready rv32 sim-lwip build/page/index.html $(STAMPS)/typings $(addprefix $(STAMPS)/packages-,fuzz boards page)
test: may-be-root prepared ## all rungs, from lint to the whole dorm
	@$(BIN)/python $(SETUP)/rungs.py $(MAKE) $(LANES)
	@echo "== make test-page"; $(MAKE) test-page; echo "== all rungs passed"

# A rung that finds no test fails: pytest's exit status 5.
PYTEST = $(BIN)/python -m pytest -q -p no:cacheprovider
# Real processes, radios and packets, in real time: what fails there is run once more, from a new start. It is said at the end, for it is a
# fault all the same.
TWICE = $(SETUP)/twice.sh $@ $(BIN)/python -m pytest -q
# Tests that reckon run side by side on all processors; those that mostly wait for the product's own times, so many at once that a machine
# with two processors still idles a little. A browser reckons while it waits.
RECKONING := -n $(shell nproc) --dist worksteal
WAITING := -n 4 --dist worksteal
DORMS := -n 4
BROWSERS := -n 2

test-core: dev $(STAMPS)/packages-fuzz ## the packet filter in C, with sanitizers
	@$(PYTEST) $(RECKONING) tests/core $(ARGS)

test-host: dev sim ## the phone's side; flashing a board, and its label
	@$(PYTEST) $(WAITING) tests/host tests/flash --ignore=tests/flash/test_prompt.py $(ARGS)

test-boards: dev sim $(STAMPS)/packages-boards ## the ESP32 boards' files, by MicroPython's own tools, as far as they go without ESP-IDF; make firmware, check-idf
	@$(PYTEST) tests/boards tests/idf $(ARGS)

test-firmware: dev sim ## every MicroPython module, and the simulated board's drivers, on the board's own interpreter
	@$(PYTEST) tests/firmware $(ARGS)
	@$(AS_ROOT) $(PYTEST) $(WAITING) tests/sim $(ARGS)

test-rv32: dev rv32 ## the same modules on the ESP32-C3's instruction set, in QEMU: 32-bit numbers, littlefs, mbedTLS
	@$(PYTEST) tests/firmware --board=QEMU_RV32 $(ARGS)
	@$(PYTEST) tests/flash/test_prompt.py

test-ble: dev sim ## pairing over a real Bluetooth LE link without a radio
	@$(TWICE) $(WAITING) tests/ble $(ARGS)

test-dorm: dev ready ## everything end to end on real packets (needs root or sudo)
	@$(AS_ROOT) $(TWICE) $(DORMS) tests/dorm $(ARGS)

test-page: dev ready build/page/index.html $(STAMPS)/packages-page ## the phone page: its units, then in Chromium against the bridge in the dorm (needs root or sudo)
	@$(NPM) --silent test
	@$(AS_ROOT) $(TWICE) $(BROWSERS) tests/page $(ARGS)

# Those of the data plane; all: make test-lwip LWIP_DORM=tests/dorm
LWIP_DORM ?= $(addprefix tests/dorm/test_,life.py addressing.py strangers.py changes.py)
test-lwip: dev sim-lwip ## the data plane end to end with lwIP as the bridge's IP stack, as on the chip, under sanitizers (needs root or sudo)
	@$(PYTEST) tests/lwip $(ARGS)
	@$(AS_ROOT) $(TWICE) $(DORMS) --stack=lwip $(LWIP_DORM) $(ARGS)

test-attacks: dev ready ## the attacks of SECURITY.md alone; test-ble and test-dorm have them, too (needs root or sudo)
	@$(PYTEST) tests/host/test_security.py $(ARGS)
	@$(PYTEST) tests/ble/test_attacks_by_radio.py tests/ble/test_pairing_link.py tests/ble/test_openness.py $(ARGS)
	@$(AS_ROOT) $(PYTEST) tests/dorm/test_attacks_by_network.py tests/dorm/test_claims.py tests/dorm/test_strangers.py $(ARGS)

lint: dev $(STAMPS)/typings $(STAMPS)/npm ## format, style, types and static checks of Python, MicroPython, C and shell
	@$(SETUP)/lint.sh

bench: ready dev rv32 $(STAMPS)/packages-bench ## what a frame costs in the packet filter, in instructions (rv32 in QEMU, and here); throughput; memory
	@$(BIN)/python tests/bench/memory.py
	@/usr/bin/python3 tests/bench/bench.py $(ARGS)

fuzz-firmware: dev sim ## 100,000 bent inputs for the firmware's parsers, 400 connections of a phone gone mad (another number: INPUTS=N)
	@$(PYTEST) tests/firmware/test_fuzz.py --fuzz=$(INPUTS) -rP $(ARGS)
	@$(PYTEST) tests/ble/test_fuzz.py --sessions=$$(($(INPUTS) / 250)) -rP $(ARGS)

fuzz: $(STAMPS)/packages-fuzz ## fuzz the packet filter, each target so long: make fuzz SECONDS=3600
	@$(MAKE) -s -C tests/core/fuzz long SECONDS=$(SECONDS)

# What looks whether all that is needed is there, before anything else is installed.
PYTHON3 = [ -x /usr/bin/python3 ] || $(SETUP)/packages.sh python
# MicroPython's build writes to its tree (submodules, mpy-cross), so the one that the simulated board is made of is not taken.
FIRMWARE = MICROPYTHON_DIR="$(if $(filter-out file undefined,$(origin MICROPYTHON_DIR)),$(MICROPYTHON_DIR))" IDF_PATH="$(IDF_PATH)" PYTHONPATH=host_tools
firmware: ## a real board's image, build/BOARD/firmware.bin, and the room left: make firmware BOARD=... (IDF_PATH= or Docker; MICROPYTHON_DIR=)
	@$(PYTHON3)
	@$(FIRMWARE) /usr/bin/python3 -m idf.firmware --check $(BOARD)
	@$(if $(IDF_PATH),,$(MAKE) dev)
	@$(FIRMWARE) $(if $(IDF_PATH),/usr/bin/python3,$(BIN)/python) -m idf.firmware $(BOARD)

.PHONY: command
command: .venv/stamp-flash $(STAMPS)/packages-command ## the command speakeasy alone, .venv/bin/speakeasy, for a machine that is to pair with a bridge
	@echo "command: $(BIN)/speakeasy is there; next: $(BIN)/speakeasy pair, near the bridge"

PAGE_DIR := host_tools/phone_page
# Node.js has its own list of authorities: the system's is that of pip and apt, too.
NPM = NODE_USE_SYSTEM_CA=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --prefix $(PAGE_DIR)
.PHONY: page
page: build/page/index.html ## the phone page, build/page: to be put on any web server with HTTPS, or served here by `speakeasy page`
	@echo "page: it is in build/page; next: $(BIN)/speakeasy page serves it here, or put that folder on a web server with HTTPS"

# What talks to a board on a cable: PORT= is wanted where there is more than one. The command says what is missing.
ON_BOARD = $(BIN)/speakeasy board
.PHONY: flash label monitor shell deploy
AT = $(if $(PORT),--port "$(PORT)")
TO_PAGE = $(if $(PAGE),--page "$(PAGE)")
flash: .venv/stamp-flash ## put the firmware on a board, and write its label: make flash BOARD=... (PORT= BAUD= OUT= PAGE= ERASE=1, which without a terminal wants ARGS=--yes)
	@$(ON_BOARD) flash $(if $(BOARD),--board "$(BOARD)") $(AT) $(if $(BAUD),--baud "$(BAUD)") $(if $(OUT),--out "$(OUT)") $(TO_PAGE) $(if $(filter-out 0,$(ERASE)),--erase) $(ARGS)

label: .venv/stamp-flash ## write the label of a bridge on a cable again (PORT= OUT=; PAGE=https://... for a QR code that opens the phone page there)
	@$(ON_BOARD) label $(AT) $(if $(OUT),--out "$(OUT)") $(TO_PAGE) $(ARGS)

monitor: .venv/stamp-flash ## what the board says on its serial console (PORT=)
	@$(ON_BOARD) monitor $(AT) $(ARGS)

shell: .venv/stamp-flash ## a Python prompt on the board (PORT=)
	@$(ON_BOARD) shell $(AT) $(ARGS)

deploy: .venv/stamp-flash ## run the firmware of this directory on the board, without flashing it (PORT=)
	@$(ON_BOARD) deploy $(AT) $(ARGS)

# Both trees must be named: MicroPython from Debian has no ESP32 port's libraries. They are looked at before anything is installed for it.
IDF_TREES := $(and $(IDF_PATH),$(filter-out file undefined,$(origin MICROPYTHON_DIR)))
CHECK_IDF = IDF_PATH="$(IDF_PATH)" MICROPYTHON_DIR="$(MICROPYTHON_DIR)"
check-idf: ## our C and our boards' options against ESP-IDF and MicroPython themselves (IDF_PATH=, MICROPYTHON_DIR=)
	@$(if $(IDF_TREES),$(PYTHON3); $(CHECK_IDF) PYTHONPATH=host_tools /usr/bin/python3 -m idf.check,\
	  echo "check-idf: skipped: it needs IDF_PATH=... and MICROPYTHON_DIR=..., checkouts of ESP-IDF $(ESP_IDF_RELEASE) and MicroPython $(MICROPYTHON_RELEASE) with their submodules")
	@$(if $(IDF_TREES),$(MAKE) dev $(STAMPS)/packages-boards $(STAMPS)/packages-idf && $(CHECK_IDF) $(BIN)/python -m idf.check build/check-idf)

clean: ## remove what was built or installed here
	@products="build .venv $(PAGE_DIR)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis $$(find host_tools -maxdepth 1 -name '*.egg-info') $$(find boards firmware host_tools tests -name __pycache__ -type d)"; \
	foreign=$$(find $$products ! -user "$$(id -u)" -print -quit 2>/dev/null || true); \
	echo "rm -rf" $$products; $${foreign:+$(AS_ROOT)} rm -rf $$products

# --- what the targets stand on ---------------------------------------------------------------------------------------
# Each of these does its work once and leaves a stamp; a change of its input does it again.
.PHONY: ready dev packages micropython mbedtls lwip
# Said first: building takes minutes.
.PHONY: may-be-root
may-be-root:
	@$(AS_ROOT) true

ready: .venv/stamp-run sim
dev: .venv/stamp-dev
packages: $(STAMPS)/packages-demo

$(STAMPS)/packages-%: $(SETUP)/packages.txt $(SETUP)/packages.sh
	@$(SETUP)/packages.sh $*
	@mkdir -p $(@D) && touch $@

.venv/stamp-run: requirements.lock pyproject.toml | packages
	@$(SETUP)/venv.sh requirements.lock
	@touch $@

# The larger sets hold the smaller ones, in the same versions.
.venv/stamp-flash: requirements-flash.lock pyproject.toml | $(STAMPS)/packages-flash
	@$(SETUP)/venv.sh requirements-flash.lock
	@touch .venv/stamp-run $@

.venv/stamp-dev: requirements-dev.lock pyproject.toml | packages
	@$(SETUP)/venv.sh requirements-dev.lock
	@touch .venv/stamp-run .venv/stamp-flash .venv/stamp-page $@

.venv/stamp-page: requirements-page.lock pyproject.toml | packages
	@$(SETUP)/venv.sh requirements-page.lock
	@touch .venv/stamp-run $@

$(STAMPS)/npm: $(PAGE_DIR)/package.json $(PAGE_DIR)/package-lock.json $(PAGE_DIR)/.npmrc | .venv/stamp-page
	@echo "npm: installing the phone page's packages into $(PAGE_DIR)/node_modules"
	@mkdir -p $(@D) && $(NPM) ci >build/npm.log 2>&1 || { tail -n 12 build/npm.log >&2; echo "npm: npm ci failed: see the lines above. Is the network up?" >&2; exit 1; }
	@touch $@

build/page/index.html: $(STAMPS)/npm $(shell find $(PAGE_DIR)/src $(PAGE_DIR)/public $(PAGE_DIR)/index.html $(PAGE_DIR)/*.ts $(PAGE_DIR)/*.json -type f)
	@$(NPM) --silent run build >build/page.log 2>&1 || { cat build/page.log >&2; exit 1; }
	@touch $@

$(STAMPS)/typings: requirements-stubs.lock $(SETUP)/typings.sh | dev
	@$(SETUP)/typings.sh build/typings
	@mkdir -p $(@D) && touch $@

include boards/versions.mk
include boards/SIM/build.mk
include boards/SIM_LWIP/build.mk
include boards/QEMU_RV32/build.mk

ifeq ($(MICROPYTHON_DIR),$(CURDIR)/build/micropython)
micropython: $(STAMPS)/micropython
$(STAMPS)/micropython: $(SETUP)/source.sh | packages
	@$(SETUP)/source.sh micropython build/micropython
	@mkdir -p $(@D) && touch $@
else
micropython:
endif

ifeq ($(MBEDTLS_DIR),$(CURDIR)/build/mbedtls)
mbedtls: $(STAMPS)/mbedtls
$(STAMPS)/mbedtls: $(SETUP)/source.sh | $(STAMPS)/packages-rv32
	@$(SETUP)/source.sh mbedtls build/mbedtls
	@mkdir -p $(@D) && touch $@
else
mbedtls:
endif

ifeq ($(LWIP_DIR),$(CURDIR)/build/lwip)
lwip: $(STAMPS)/lwip
$(STAMPS)/lwip: $(SETUP)/source.sh | packages
	@$(SETUP)/source.sh lwip build/lwip
	@mkdir -p $(@D) && touch $@
else
lwip:
endif

sim-check: packages micropython
sim-lwip-check: lwip
rv32-check: $(STAMPS)/packages-rv32 mbedtls
