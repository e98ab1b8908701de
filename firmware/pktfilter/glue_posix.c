#include "glue_posix.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "glue.h"

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

void glue_posix_deauth(const uint8_t mac[6])
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *directory = getenv("SPEAKEASY_AIR");
    if (directory == NULL) {
        return;
    }
    const int length = snprintf(to.sun_path, sizeof(to.sun_path), "%s/out.sock", directory);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (length > 0 && (size_t)length < sizeof(to.sun_path)) {
        (void)sendto(fd, mac, 6, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
    }
    (void)close(fd);
}

int glue_posix_thread(void *(*run)(void *arg))
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, run, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_detach(thread);
    }
    return error;
}
