/*
 * What glue_lwip.c needs of the machine, on a PC: a lock, a thread that ticks (clock and chance: glue_posix.c). The
 * interfaces are those of stack.c, which attaches them.
 */
#include "glue_lwip.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "glue_posix.h"
#include "stack.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int link_down_ms; /* how long the segment's radio stays silent yet */

void glue_platform_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void glue_platform_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

void glue_platform_deauth(const uint8_t mac[6])
{
    (void)mac; /* the segment has one station */
    stack_segment_carrier(false);
    atomic_store(&link_down_ms, GLUE_POSIX_DEAUTH_MS);
}

static void *tick(void *arg)
{
    (void)arg;
    const struct timespec interval = {.tv_nsec = GLUE_POSIX_TICK_MS * 1000000L};
    for (;;) {
        (void)nanosleep(&interval, NULL);
        glue_lwip_tick();
        int left = atomic_load(&link_down_ms);
        if (left > 0 && atomic_compare_exchange_strong(&link_down_ms, &left, left - GLUE_POSIX_TICK_MS) &&
            left <= GLUE_POSIX_TICK_MS) {
            stack_segment_carrier(true);
        }
    }
    return NULL;
}

int glue_platform_start(enum glue_ethernet ethernet)
{
    if (ethernet != GLUE_NO_ETHERNET) {
        return ENODEV;
    }
    return glue_posix_thread(tick);
}
