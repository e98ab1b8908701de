// The board: clock, sleep, watchdog, random bytes, and how it starts.
//
// QEMU's command line says what to run, -semihosting-config arg=speakeasy,arg=MODULE,arg=...: that module, which finds itself and its arguments
// in sys.argv. Without a module it is MicroPython's prompt on the serial port. A read-only file system may be put into the machine's memory,
// -device loader,file=...,addr=0x81000000.
#include "board.h"

#include <stdlib.h>
#include <string.h>

#include "py/builtin.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/runtime/semihosting_rv32.h"

// SiFive's CLINT: a clock of 10 MHz that starts with the power, and an interrupt when it passes `timecmp`.
#define MTIME_LOW (*(volatile uint32_t *)0x0200bff8)
#define MTIME_HIGH (*(volatile uint32_t *)0x0200bffc)
#define MTIMECMP_LOW (*(volatile uint32_t *)0x02004000)
#define MTIMECMP_HIGH (*(volatile uint32_t *)0x02004004)
#define TICKS_PER_US (10u)
#define NEVER (UINT64_MAX)

// Goldfish RTC: ns since 1970; reading the low half latches the high one.
#define RTC_LOW (*(volatile uint32_t *)0x00101000)
#define RTC_HIGH (*(volatile uint32_t *)0x00101004)

#define MSTATUS_MIE (1u << 3)
#define MIE_MTIE (1u << 7)
#define MCAUSE_TIMER (0x80000007u)

// Parts of the machine's memory that the linker does not know of.
#define ROM ((void *)0x81000000)
#define ROM_BYTES (8u << 20)
#define FLASH ((void *)0x82000000)
#define FLASH_BYTES (256u << 10)
#define STACK_BYTES (16u << 10) // of an ESP32's MicroPython task
#define STACK_RESERVE (1u << 10)

int port_main(int argc, char **argv); // the qemu port's: its prompt
int mp_semihosting_get_cmdline(void *buffer, size_t buffer_length);
void mtvec_exception(void); // the qemu port's: says where it happened, and exits

// ---- Time -----------------------------------------------------------------------------------------------------------

static uint64_t now(void)
{
    for (;;) {
        const uint32_t high = MTIME_HIGH;
        const uint32_t low = MTIME_LOW;
        if (high == MTIME_HIGH) {
            return (uint64_t)high << 32 | low;
        }
    }
}

uint64_t board_now_us(void)
{
    return now() / TICKS_PER_US;
}

mp_uint_t mp_hal_ticks_us(void)
{
    return (mp_uint_t)board_now_us();
}

mp_uint_t mp_hal_ticks_ms(void)
{
    return (mp_uint_t)(board_now_us() / 1000);
}

mp_uint_t mp_hal_ticks_cpu(void)
{
    return (mp_uint_t)now();
}

uint64_t mp_hal_time_ns(void)
{
    const uint32_t low = RTC_LOW;
    return (uint64_t)RTC_HIGH << 32 | low;
}

static uint64_t bites_at = NEVER;

static void set_alarm(uint64_t at)
{
    MTIMECMP_HIGH = UINT32_MAX; // nothing in between is in the past
    MTIMECMP_LOW = (uint32_t)at;
    MTIMECMP_HIGH = (uint32_t)(at >> 32);
}

void board_watchdog(uint32_t timeout_ms)
{
    bites_at = now() + (uint64_t)timeout_ms * 1000 * TICKS_PER_US;
    set_alarm(bites_at);
}

// Waits until then, or for the watchdog. Interrupts are held back meanwhile: `wfi` ends all the same.
static void sleep_until(uint64_t at)
{
    __asm volatile("csrc mstatus, %0" ::"r"(MSTATUS_MIE));
    set_alarm(at < bites_at ? at : bites_at);
    while (now() < at && now() < bites_at) {
        __asm volatile("wfi");
    }
    set_alarm(bites_at);
    __asm volatile("csrs mstatus, %0" ::"r"(MSTATUS_MIE));
}

void board_sleep_ms(long ms)
{
    // Nothing but the passing of time can end a wait for ever, so it is cut into pieces.
    const uint64_t left = ms < 0 || ms > 10 ? 10 : (uint64_t)ms;
    sleep_until(now() + left * 1000 * TICKS_PER_US);
}

void mp_hal_delay_ms(mp_uint_t ms)
{
    const uint64_t end = board_now_us() + (uint64_t)ms * 1000;
    for (;;) {
        mp_event_handle_nowait();
        const uint64_t at = board_now_us();
        if (at >= end) {
            return;
        }
        sleep_until((end - at > 10000 ? at + 10000 : end) * TICKS_PER_US);
    }
}

void mp_hal_delay_us(mp_uint_t us)
{
    sleep_until(now() + (uint64_t)us * TICKS_PER_US);
}

__attribute__((interrupt("machine"), aligned(4))) static void trap(void)
{
    uint32_t cause;
    __asm volatile("csrr %0, mcause" : "=r"(cause));
    if (cause == MCAUSE_TIMER) {
        static const char text[] = "\nwatchdog: not fed in time, resetting\n";
        mp_hal_stdout_tx_strn(text, sizeof(text) - 1);
        exit(BOARD_STATUS_WATCHDOG);
    }
    mtvec_exception();
}

static void interrupts_on(void)
{
    set_alarm(NEVER);
    __asm volatile("csrw mtvec, %0" ::"r"(trap));
    __asm volatile("csrw mie, %0" ::"r"(MIE_MTIE));
    __asm volatile("csrs mstatus, %0" ::"r"(MSTATUS_MIE));
}

// ---- Random bytes: the host's ---------------------------------------------------------------------------------------

bool board_random(void *buffer, size_t len)
{
    static int handle = -1;
    if (handle < 0) {
        handle = mp_semihosting_open("/dev/urandom", "rb");
    }
    return handle >= 0 && mp_semihosting_read(handle, buffer, len) == 0;
}

// ---- Start ----------------------------------------------------------------------------------------------------------

// For modules/_boot.py: the read-only file system that QEMU was told to load, if any; and room for the flash.
static mp_obj_t board_rom(void)
{
    return mp_obj_new_memoryview('B', ROM_BYTES, ROM);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_rom_obj, board_rom);

static mp_obj_t board_flash(void)
{
    return mp_obj_new_memoryview('B' | MP_OBJ_ARRAY_TYPECODE_FLAG_RW, FLASH_BYTES, FLASH);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_flash_obj, board_flash);

static const mp_rom_map_elem_t board_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__board)},
    {MP_ROM_QSTR(MP_QSTR_rom), MP_ROM_PTR(&board_rom_obj)},
    {MP_ROM_QSTR(MP_QSTR_flash), MP_ROM_PTR(&board_flash_obj)},
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&board_globals,
};
MP_REGISTER_MODULE(MP_QSTR__board, board_module);

static void import(qstr name)
{
    mp_import_name(name, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
}

// Imports the module that sys.argv[0] names; the exit status.
static int run(void)
{
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        size_t argc;
        mp_obj_t *argv;
        import(MP_QSTR__boot);
        mp_obj_list_get(mp_sys_argv, &argc, &argv);
        import(mp_obj_str_get_qstr(argv[0]));
        nlr_pop();
        return 0;
    }
    const mp_obj_t e = MP_OBJ_FROM_PTR(nlr.ret_val);
    if (!mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(e)), MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        mp_obj_print_exception(&mp_plat_print, e);
        return BOARD_STATUS_EXCEPTION;
    }
    const mp_obj_t value = mp_obj_exception_get_value(e);
    mp_int_t status = 0;
    return value == mp_const_none ? 0 : mp_obj_get_int_maybe(value, &status) ? (int)status : BOARD_STATUS_EXCEPTION;
}

int main(int argc, char **argv)
{
    static char command[512]; // words with one blank between them; the first is the program's name
    static uint32_t heap[MICROPY_HEAP_SIZE / sizeof(uint32_t)];
    interrupts_on();
    const char *word = mp_semihosting_get_cmdline(command, sizeof(command)) == 0 ? strchr(command, ' ') : NULL;
    if (word == NULL) {
        return port_main(argc, argv);
    }
    mp_stack_ctrl_init();
    mp_stack_set_limit(STACK_BYTES - STACK_RESERVE);
    gc_init(heap, (char *)heap + sizeof(heap));
    mp_init();
    for (; word != NULL; word = strchr(word, ' ')) {
        word++;
        mp_obj_list_append(mp_sys_argv, mp_obj_new_str(word, strcspn(word, " ")));
    }
    exit(run());
}
