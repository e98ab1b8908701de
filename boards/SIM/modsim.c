// The module `_sim`: what the SIM board's drivers cannot do in Python.
//
// exit(status)      the chip resets: the process is gone at once, nothing is flushed or finalised
// watchdog(ms)      arms the watchdog, or feeds it; the process ends with SIM_STATUS_WATCHDOG when it is not fed in time
// watch(fd, f)      f(None) is scheduled, as an interrupt handler is, when fd has something to read
// rearm()           after f has read what there was

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "py/mperrno.h"
#include "py/runtime.h"

// host_tools/dorm/board.py knows these statuses, too.
#define SIM_STATUS_RESET (3)
#define SIM_STATUS_WATCHDOG (4)
#define SIM_STATUS_SOFT_RESET (5)

static mp_obj_t sim_exit(mp_obj_t status_in)
{
    _exit((int)mp_obj_get_int(status_in));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(sim_exit_obj, sim_exit);

// ---------------------------------------------------------------------------------------------------------------------
// The watchdog is a timer of the kernel's, so that it bites whatever the interpreter is busy with.

static timer_t watchdog_timer;
static bool watchdog_made = false;

static void watchdog_bites(int signal_number)
{
    static const char text[] = "\nwatchdog: not fed in time, resetting\n";
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)ignored;
    _exit(SIM_STATUS_WATCHDOG);
}

static mp_obj_t sim_watchdog(mp_obj_t timeout_in)
{
    mp_int_t timeout_ms = mp_obj_get_int(timeout_in);
    if (!watchdog_made) {
        struct sigaction action = {.sa_handler = watchdog_bites};
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
        if (sigaction(SIGALRM, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &watchdog_timer) != 0) {
            mp_raise_OSError(errno);
        }
        watchdog_made = true;
    }
    struct itimerspec when = {
        .it_value = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L},
    };
    if (timer_settime(watchdog_timer, 0, &when, NULL) != 0) {
        mp_raise_OSError(errno);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(sim_watchdog_obj, sim_watchdog);

// ---------------------------------------------------------------------------------------------------------------------
// A thread waits for the descriptor, and interrupts the interpreter's thread in whatever system call it is.

static struct {
    pthread_t interpreter;
    pthread_mutex_t lock;
    pthread_cond_t rearmed;
    bool armed;
    bool started;
    int fd;
    mp_obj_t callback; // kept alive by the driver that gave it
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER, .rearmed = PTHREAD_COND_INITIALIZER, .fd = -1};

static void wake_up(int signal_number)
{
    (void)signal_number;
}

static void *watch_thread(void *argument)
{
    (void)argument;
    for (;;) {
        pthread_mutex_lock(&watched.lock);
        while (!watched.armed) {
            pthread_cond_wait(&watched.rearmed, &watched.lock);
        }
        int fd = watched.fd;
        pthread_mutex_unlock(&watched.lock);

        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        if (poll(&wanted, 1, -1) < 0) {
            continue;
        }
        pthread_mutex_lock(&watched.lock);
        bool scheduled = mp_sched_schedule(watched.callback, mp_const_none);
        if (scheduled) {
            watched.armed = false;
        }
        pthread_mutex_unlock(&watched.lock);
        pthread_kill(watched.interpreter, SIGUSR2);
        if (!scheduled) {
            // The scheduler's queue is full: let the interpreter work it off.
            struct timespec moment = {.tv_nsec = 1000000L};
            nanosleep(&moment, NULL);
        }
    }
    return NULL;
}

static mp_obj_t sim_watch(mp_obj_t fd_in, mp_obj_t callback)
{
    int fd = (int)mp_obj_get_int(fd_in);
    pthread_mutex_lock(&watched.lock);
    watched.fd = fd;
    watched.callback = callback;
    watched.armed = true;
    bool start = !watched.started;
    watched.started = true;
    pthread_cond_signal(&watched.rearmed);
    pthread_mutex_unlock(&watched.lock);
    if (start) {
        watched.interpreter = pthread_self();
        struct sigaction action = {.sa_handler = wake_up}; // without SA_RESTART: system calls return EINTR
        sigaction(SIGUSR2, &action, NULL);
        // Signals are for the interpreter's thread alone.
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_t thread;
        int error = pthread_create(&thread, NULL, watch_thread, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (error != 0) {
            mp_raise_OSError(error);
        }
        pthread_detach(thread);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(sim_watch_obj, sim_watch);

static mp_obj_t sim_rearm(void)
{
    pthread_mutex_lock(&watched.lock);
    watched.armed = watched.fd >= 0;
    pthread_cond_signal(&watched.rearmed);
    pthread_mutex_unlock(&watched.lock);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(sim_rearm_obj, sim_rearm);

static const mp_rom_map_elem_t sim_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__sim)},
    {MP_ROM_QSTR(MP_QSTR_exit), MP_ROM_PTR(&sim_exit_obj)},
    {MP_ROM_QSTR(MP_QSTR_watchdog), MP_ROM_PTR(&sim_watchdog_obj)},
    {MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&sim_watch_obj)},
    {MP_ROM_QSTR(MP_QSTR_rearm), MP_ROM_PTR(&sim_rearm_obj)},
    {MP_ROM_QSTR(MP_QSTR_STATUS_RESET), MP_ROM_INT(SIM_STATUS_RESET)},
    {MP_ROM_QSTR(MP_QSTR_STATUS_SOFT_RESET), MP_ROM_INT(SIM_STATUS_SOFT_RESET)},
};
static MP_DEFINE_CONST_DICT(sim_globals, sim_globals_table);

const mp_obj_module_t sim_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&sim_globals,
};

MP_REGISTER_MODULE(MP_QSTR__sim, sim_module);
