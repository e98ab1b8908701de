// The QEMU_RV32 board's configuration of MicroPython's qemu port: the feature level of the ESP32 port, and what the qemu port leaves out of it.

#include "mpconfigport.h"

#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "modos_board.h"
#define MICROPY_PY_MACHINE_WDT (1)
#define MICROPY_PY_MACHINE_WDT_INCLUDEFILE "modmachine_wdt.h"

// As the ESP32 port has it.
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_ENABLE_SCHEDULER (1)

// Waiting is sleeping; the packet filter has its turn meanwhile (glue_loop.c).
void board_sleep_ms(long ms);
void glue_loop(void);
#define MICROPY_INTERNAL_WFE(ms) board_sleep_ms(ms)
#define MICROPY_INTERNAL_EVENT_HOOK glue_loop()
