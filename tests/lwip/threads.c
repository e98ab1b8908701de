/*
 * The threads of the real machine at once: both drivers receive, lwIP sends and has a mailbox, the timer ticks, the interpreter changes
 * the rules. ThreadSanitizer watches in a build of its own. Nothing here waits for a time: each thread does its work and ends.
 */
#include <pthread.h>
#include <sched.h>

#include "harness.h"

enum { ROUNDS = 4000, MAILBOX = 32, DRIVER_QUEUE = 16 };

/* lwIP's: given by any thread, never waiting; taken by its own. */
static struct {
    pthread_mutex_t lock;
    unsigned count;
    struct pbuf *p[MAILBOX];
} mailbox = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A driver that sends later, by reference. Its lock is its own: it may be held when it hands over a frame, too. */
static struct {
    pthread_mutex_t lock;
    unsigned count, next;
    struct pbuf *p[DRIVER_QUEUE];
} driver[GLUE_SIDES] = {{.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER}};

static unsigned long taken;
static unsigned running;

static err_t give_lwip(struct pbuf *p)
{
    err_t error = ERR_MEM;
    (void)pthread_mutex_lock(&mailbox.lock);
    if (mailbox.count < MAILBOX) {
        mailbox.p[mailbox.count++] = p;
        error = ERR_OK;
    }
    (void)pthread_mutex_unlock(&mailbox.lock);
    return error;
}

static void give_driver(enum glue_side side, struct pbuf *p)
{
    struct pbuf *sent = NULL;
    (void)pthread_mutex_lock(&driver[side].lock);
    pbuf_ref(p);
    if (driver[side].count == DRIVER_QUEUE) {
        sent = driver[side].p[driver[side].next];
        driver[side].count--;
    }
    driver[side].p[driver[side].next] = p;
    driver[side].next = (driver[side].next + 1) % DRIVER_QUEUE;
    driver[side].count++;
    (void)pthread_mutex_unlock(&driver[side].lock);
    if (sent != NULL) {
        (void)pbuf_free(sent);
    }
}

static err_t everywhere(enum pf_port port, struct pbuf *p)
{
    (void)__atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    if (port == PF_HOST_UPLINK || port == PF_HOST_SEGMENT) {
        return give_lwip(p);
    }
    give_driver(port == PF_UPLINK ? GLUE_UPLINK : GLUE_SEGMENT, p);
    return ERR_OK;
}

static void end(void)
{
    (void)__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
}

static bool others_run(void)
{
    return __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0;
}

/* The part of the history that comes in at one port, and connections of the phone's, over and over. */
static void *at_port(void *argument)
{
    const enum pf_port port = *(const enum pf_port *)argument;
    struct frame *const f = malloc(sizeof(*f));
    size_t count;
    const struct frame *history = frames_history(&count);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct frame *one = &history[round % count];
        const struct shape shape = {.kind = (enum kind)(round % KINDS),
                                    .align = round / 7 % 4,
                                    .cut = {round % 5 == 0 ? 30 : 0, 0},
                                    .held = round % 11 == 0};
        if (one->from == port) {
            (void)hand_over(one, &shape);
        } else if (port == PF_UPLINK || port == PF_SEGMENT) {
            frames_connection(f, round % 200, port == PF_SEGMENT);
            (void)hand_over(f, &shape);
        }
    }
    free(f);
    end();
    return NULL;
}

/* lwIP's thread: its mailbox, and the interfaces that stop and start. */
static void *lwip_thread(void *argument)
{
    (void)argument;
    for (unsigned round = 0; others_run(); round++) {
        struct pbuf *p = NULL;
        (void)pthread_mutex_lock(&mailbox.lock);
        if (mailbox.count > 0) {
            p = mailbox.p[--mailbox.count];
        }
        (void)pthread_mutex_unlock(&mailbox.lock);
        if (p != NULL) {
            memset(p->payload, 0xee, p->len); /* it is lwIP's alone now */
            (void)pbuf_free(p);
        } else {
            (void)sched_yield();
        }
        if (round % 64 == 0) {
            glue_lwip_detach(GLUE_SEGMENT);
            glue_lwip_attach(GLUE_SEGMENT, &netifs[GLUE_SEGMENT]);
        }
    }
    return NULL;
}

static void *timer_thread(void *argument)
{
    (void)argument;
    while (others_run()) {
        (void)__atomic_add_fetch(&harness_now, 1, __ATOMIC_RELAXED);
        glue_lwip_tick();
        (void)sched_yield();
    }
    return NULL;
}

static void *interpreter_thread(void *argument)
{
    (void)argument;
    for (unsigned round = 0; others_run(); round++) {
        glue_lock();
        if (round % 50 == 0) {
            (void)pf_lease_end(&filter, pf_wire32(phone_addr), glue_now_ms());
        }
        frames_configure(&filter, 1 + round % 16, glue_now_ms());
        if (round % 100 == 0) {
            glue_deauth(speaker_mac);
        }
        glue_unlock();
        (void)sched_yield();
    }
    return NULL;
}

void threads_run(void)
{
    static const enum pf_port ports[] = {PF_UPLINK, PF_SEGMENT, PF_HOST_UPLINK};
    void *(*const others[])(void *) = {lwip_thread, timer_thread, interpreter_thread};
    enum { PORTS = 3, THREADS = 6 };
    pthread_t threads[THREADS];
    size_t count;
    (void)frames_history(&count);
    harness_takes = TAKE_OTHER;
    harness_other = everywhere;
    running = PORTS;
    memory_is_short(200); /* so that frames are lost in all of them, too */
    for (unsigned i = 0; i < THREADS; i++) {
        void *argument = i < PORTS ? (void *)(uintptr_t)&ports[i] : NULL;
        CHECK(pthread_create(&threads[i], NULL, i < PORTS ? at_port : others[i - PORTS], argument) == 0, "thread");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "thread");
    }
    memory_is_short(0);
    CHECK(taken > 0, "%lu frames came out", taken);
    while (mailbox.count > 0) {
        (void)pbuf_free(mailbox.p[--mailbox.count]);
    }
    for (enum glue_side side = GLUE_UPLINK; side < GLUE_SIDES; side++) {
        for (unsigned i = 0; i < driver[side].count; i++) {
            const unsigned at = (driver[side].next + 2 * DRIVER_QUEUE - 1 - i) % DRIVER_QUEUE;
            (void)pbuf_free(driver[side].p[at]);
        }
    }
    nothing_leaked();
}
