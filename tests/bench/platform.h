/*
 * What the harness needs of the machine: text out, the end, and a count of the instructions between two points.
 *
 * rv32: no operating system, QEMU's `virt` machine. `-icount shift=0` makes `minstret` exact.
 * Host: callgrind counts; collection is switched on and off around the call, and each row ends with a dump of its sum.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdint.h>

#ifdef __riscv

enum { UART = 0x10000000, TEST_DEVICE = 0x100000, TEST_PASS = 0x5555, TEST_FAIL = 0x3333 };

static void put_char(char c)
{
    *(volatile uint8_t *)UART = (uint8_t)c;
}

static _Noreturn void finish(unsigned status)
{
    *(volatile uint32_t *)TEST_DEVICE = status == 0 ? (uint32_t)TEST_PASS : status << 16 | (uint32_t)TEST_FAIL;
    for (;;) {}
}

static inline uint32_t count_start(void)
{
    uint32_t n;
    __asm__ volatile(".option push\n .option arch, +zicsr\n csrr %0, minstret\n .option pop" : "=r"(n)::"memory");
    return n;
}

static inline uint32_t count_since(uint32_t start)
{
    return count_start() - start;
}

static inline void count_row(void)
{
}

extern int main(void);

/* A trap is a bug in the harness or the core: say so instead of hanging. */
__attribute__((used, aligned(4))) static void trapped(void)
{
    for (const char *s = "FAIL the processor trapped\n"; *s != 0; s++) {
        put_char(*s);
    }
    finish(2);
}

__attribute__((used)) static void start_c(void)
{
    extern uint32_t bss_start[];
    extern uint32_t bss_end[];
    for (uint32_t *p = bss_start; p < bss_end; p++) {
        *p = 0;
    }
    finish((unsigned)main());
}

__asm__(
    ".section .init\n"
    ".globl _start\n"
    "_start:\n"
    ".option push\n"
    ".option norelax\n"
    "    la gp, __global_pointer$\n"
    ".option pop\n"
    "    la sp, stack_top\n"
    "    la t0, trapped\n"
    ".option push\n"
    ".option arch, +zicsr\n"
    "    csrw mtvec, t0\n"
    ".option pop\n"
    "    j start_c\n"
    ".text\n");

#else

#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

static void put_char(char c)
{
    putchar(c);
}

static _Noreturn void finish(unsigned status)
{
    exit((int)status);
}

static inline uint32_t count_start(void)
{
    CALLGRIND_TOGGLE_COLLECT;
    return 0;
}

static inline uint32_t count_since(uint32_t start)
{
    CALLGRIND_TOGGLE_COLLECT;
    return start;
}

/* The sums are in callgrind's dumps, one a row, in the rows' order. */
static inline void count_row(void)
{
    CALLGRIND_DUMP_STATS;
}

#endif
#endif
