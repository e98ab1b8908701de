// What QEMU's `virt` machine gives the board.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Since the power came on.
uint64_t board_now_us(void);

bool board_random(void *buffer, size_t len);

// The machine ends with BOARD_STATUS_WATCHDOG unless this is called again in time.
void board_watchdog(uint32_t timeout_ms);

// Exit statuses of QEMU, as the SIM board's.
enum { BOARD_STATUS_WATCHDOG = 4, BOARD_STATUS_EXCEPTION = 1 };

#endif
