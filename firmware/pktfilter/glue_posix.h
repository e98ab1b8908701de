/* What the glue shares on boards that are processes on a PC; with it come glue_now_ms() and glue_random(). */
#ifndef GLUE_POSIX_H
#define GLUE_POSIX_H

#include <stdint.h>

enum { GLUE_POSIX_TICK_MS = 100 };

/* Tells the air that the access point throws out a station (host_tools/dorm/wifi.py). Never waits; without an air
 * nothing happens. */
void glue_posix_deauth(const uint8_t mac[6]);

/* A thread that runs as long as the process. Signals are for the interpreter's alone. 0, or an errno value. */
int glue_posix_thread(void *(*run)(void *arg));

#endif
