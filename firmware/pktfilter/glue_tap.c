/*
 * Glue for a board whose radios and host interfaces are TAP devices: the simulated one.
 *
 * SPEAKEASY_TAPS holds four open file descriptors, "uplink,segment,host uplink,host segment". One thread polls them.
 * An interface that is down or gone is no error: its frames are lost, as on a radio.
 */
#include "glue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "glue_posix.h"

enum {
    BATCH = 64, /* frames taken from one port before the others get their turn */
    READ_MAX = PF_FRAME_MAX + 4,
};

static struct {
    pthread_mutex_t lock;
    struct pf *pf;
    int fd[PF_PORT_COUNT]; /* -1: gone */
    bool started;
} glue = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = {-1, -1, -1, -1}};

void glue_lock(void)
{
    (void)pthread_mutex_lock(&glue.lock);
}

void glue_unlock(void)
{
    (void)pthread_mutex_unlock(&glue.lock);
}

void glue_out(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    /* The descriptors do not block: a full queue (EAGAIN) or a link that is down (EIO) loses the frame. */
    if (glue.pf == NULL) {
        return; /* not started */
    }
    if (glue.fd[port] < 0 || write(glue.fd[port], frame, len) != (ssize_t)len) {
        glue.pf->counters[PF_C_glue_lost]++;
    }
}

void glue_deauth(const uint8_t mac[6])
{
    glue_posix_deauth(mac);
}

static void take_frames(enum pf_port port)
{
    static _Alignas(4) uint8_t room[READ_MAX + 2]; /* the thread's alone */
    uint8_t *const buf = room + 2;                 /* the IP header aligned: the fast path */
    for (int n = 0; n < BATCH && glue.fd[port] >= 0; n++) {
        const ssize_t len = read(glue.fd[port], buf, READ_MAX);
        if (len < 0) {
            if (errno == EBADFD || errno == EBADF || errno == ENODEV) {
                glue.fd[port] = -1; /* its namespace has ended; poll() would report it for ever */
            }
            return;
        }
        glue_lock();
        (void)pf_input(glue.pf, port, buf, (size_t)len, glue_now_ms());
        glue_unlock();
    }
}

static void do_timers(void)
{
    glue_lock();
    pf_tick(glue.pf, glue_now_ms());
    glue_unlock();
}

static void *run(void *arg)
{
    (void)arg;
    uint32_t next_tick = glue_now_ms();
    for (;;) {
        struct pollfd p[PF_PORT_COUNT];
        for (int i = 0; i < PF_PORT_COUNT; i++) {
            p[i] = (struct pollfd){.fd = glue.fd[i], .events = POLLIN};
        }
        const int32_t left = (int32_t)(next_tick - glue_now_ms());
        const int ready = poll(p, PF_PORT_COUNT, left > 0 ? left : 0);
        for (int i = 0; ready > 0 && i < PF_PORT_COUNT; i++) {
            if (p[i].revents != 0) {
                take_frames((enum pf_port)i);
            }
        }
        if ((int32_t)(glue_now_ms() - next_tick) >= 0) {
            next_tick = glue_now_ms() + GLUE_POSIX_TICK_MS;
            do_timers();
        }
    }
    return NULL;
}

/* Four numbers, each an open descriptor. */
static int parse_taps(int fd[PF_PORT_COUNT])
{
    const char *at = getenv("SPEAKEASY_TAPS");
    for (int i = 0; i < PF_PORT_COUNT; i++) {
        char *end = NULL;
        const long n = at == NULL ? -1 : strtol(at, &end, 10);
        const char after = i + 1 < PF_PORT_COUNT ? ',' : '\0';
        if (at == NULL || end == at || *end != after || n < 0 || n > 1 << 20 || fcntl((int)n, F_GETFD) < 0) {
            return ENODEV;
        }
        fd[i] = (int)n;
        at = end + 1;
    }
    return 0;
}

int glue_start(struct pf *pf, enum glue_ethernet ethernet)
{
    (void)ethernet;
    int fd[PF_PORT_COUNT];
    if (glue.started) {
        return 0;
    }
    int error = parse_taps(fd);
    if (error != 0) {
        return error;
    }
    for (int i = 0; i < PF_PORT_COUNT; i++) {
        const int flags = fcntl(fd[i], F_GETFL);
        if (flags < 0 || fcntl(fd[i], F_SETFL, flags | O_NONBLOCK) < 0) {
            return errno;
        }
        glue.fd[i] = fd[i];
    }
    glue.pf = pf;
    error = glue_posix_thread(run);
    glue.started = error == 0;
    return error;
}
