// The module `socket`: the ESP32 port's own, byte for byte, on stock lwIP's sockets.

#include <stdarg.h>

#include "py/runtime.h"
#include "py/stream.h"

#include "lwip/igmp.h"
#include "lwip/netdb.h"
#include "lwip/sockets.h"

#include "stack.h"

// ESP-IDF has these by its virtual file system.
static int vfs_fcntl(int s, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    const int value = command == F_SETFL ? va_arg(rest, int) : 0;
    va_end(rest);
    return lwip_fcntl(s, command, value);
}
#define select lwip_select
#define fcntl vfs_fcntl
#define getsockopt lwip_getsockopt

// MicroPython's default, which the unix port replaces.
#undef MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT
#define MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT (2)

// The ESP32 port calls it from the interpreter's task, which this board's check of threads would not let pass.
#define igmp_joingroup stack_join_group

#include "ports/esp32/modsocket.c"

esp_err_t esp_netif_init(void)
{
    return stack_start();
}
