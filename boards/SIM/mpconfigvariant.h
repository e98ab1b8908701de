// The SIM board's configuration of MicroPython's unix port: the feature level of the ESP32 port, and its import path.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// Files on the flash (the current directory) come before the frozen ones, as on a board. No path of the machine's.
#define MICROPY_PY_SYS_PATH_DEFAULT ".frozen:lib"

// As the ESP32 port has it.
#define MICROPY_SCHEDULER_DEPTH (8)

#include "ports/unix/variants/mpconfigvariant_common.h"

// The clock starts at 0 with the power, and wraps where a chip's 32-bit words make it wrap (chip.c).
unsigned long sim_ticks_ms(void);
unsigned long sim_ticks_us(void);
#define mp_hal_ticks_ms sim_ticks_ms
#define mp_hal_ticks_us sim_ticks_us
#define MICROPY_PY_TIME_TICKS_PERIOD (1L << 30)
