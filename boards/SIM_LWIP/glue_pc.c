/*
 * What glue_lwip.c needs of the machine, on a PC: a lock, a clock, a thread that ticks. The interfaces are those of
 * stack.c, which attaches them.
 */
#include "glue_lwip.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

#include "stack.h"

enum {
    TICK_MS = 100,
    DEAUTH_MS = 1200, /* Linux tells of a carrier at most once a second: a shorter gap may go unseen over there */
};

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

uint32_t glue_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

int glue_random(uint8_t *buf, size_t len)
{
    return getrandom(buf, len, 0) == (ssize_t)len ? 0 : EIO;
}

void glue_platform_deauth(const uint8_t mac[6])
{
    (void)mac; /* the segment has one station */
    stack_segment_carrier(false);
    atomic_store(&link_down_ms, DEAUTH_MS);
}

static void *tick(void *arg)
{
    (void)arg;
    const struct timespec interval = {.tv_nsec = TICK_MS * 1000000L};
    for (;;) {
        (void)nanosleep(&interval, NULL);
        glue_lwip_tick();
        int left = atomic_load(&link_down_ms);
        if (left > 0 && atomic_compare_exchange_strong(&link_down_ms, &left, left - TICK_MS) && left <= TICK_MS) {
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
    /* Signals are for the interpreter's thread alone. */
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, tick, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_detach(thread);
    }
    return error;
}
