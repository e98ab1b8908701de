/*
 * What glue_lwip.c needs of the machine, on a PC: a lock, a thread that ticks (clock and chance: glue_posix.c). The
 * interfaces are those of stack.c, which attaches them.
 */
#include "glue_lwip.h"

#include <pthread.h>
#include <time.h>

#include "glue_posix.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

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
    glue_posix_deauth(mac);
}

static void *tick(void *arg)
{
    (void)arg;
    const struct timespec interval = {.tv_nsec = GLUE_POSIX_TICK_MS * 1000000L};
    for (;;) {
        (void)nanosleep(&interval, NULL);
        glue_lwip_tick();
    }
    return NULL;
}

int glue_platform_start(enum glue_ethernet ethernet)
{
    (void)ethernet; /* the same two interfaces, whatever they stand for */
    return glue_posix_thread(tick);
}
