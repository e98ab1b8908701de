/* What the glue shares on boards that are processes on a PC; with it come glue_now_ms() and glue_random(). */
#ifndef GLUE_POSIX_H
#define GLUE_POSIX_H

enum {
    GLUE_POSIX_TICK_MS = 100,
    GLUE_POSIX_DEAUTH_MS =
        1200, /* Linux tells of a carrier at most once a second: a shorter gap may go unseen over there */
};

/* A thread that runs as long as the process. Signals are for the interpreter's alone. 0, or an errno value. */
int glue_posix_thread(void *(*run)(void *arg));

#endif
