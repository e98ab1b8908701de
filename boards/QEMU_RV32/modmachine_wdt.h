// machine.WDT: included by MicroPython's extmod/machine_wdt.c. There is one; it cannot be stopped.
#include "board.h"

struct _machine_wdt_obj_t {
    mp_obj_base_t base;
    uint32_t timeout_ms;
};

static machine_wdt_obj_t watchdog = {.base = {&machine_wdt_type}};

static void mp_machine_wdt_feed(machine_wdt_obj_t *self)
{
    board_watchdog(self->timeout_ms);
}

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms)
{
    if (id != 0) {
        mp_raise_ValueError(NULL);
    }
    if (timeout_ms <= 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("WDT timeout too short"));
    }
    watchdog.timeout_ms = (uint32_t)timeout_ms;
    mp_machine_wdt_feed(&watchdog);
    return &watchdog;
}
