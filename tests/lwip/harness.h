/*
 * A machine for the glue: stock lwIP's two network interfaces with drivers that are made up here, every buffer a driver may hand over,
 * an allocator that fails when told to, and beside it the filter's core alone, which says what should come out.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdio.h>
#include <stdlib.h>

#include "frames.h"
#include "glue_lwip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

/* ---- Judging ---- */

#define CHECK(holds, ...)                                                                                              \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #holds);                                                \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- Memory ---- */

/* The n-th allocation from now on fails, 1 being the next one; 0: none does. */
void memory_fails(unsigned long n);
/* Each one fails with this probability, in 1/1000. */
void memory_is_short(unsigned per_mille);
unsigned long memory_asked(void);  /* allocations since memory_fails() */
unsigned long memory_denied(void); /* since the start */
/* Everything that was lent or allocated since harness_start() has been given back. */
void nothing_leaked(void);

/* Numbers that are the same in every run. */
unsigned harness_rand(void);
void harness_seed(unsigned seed);

/* ---- The machine ---- */

extern struct netif netifs[GLUE_SIDES];
extern uint32_t harness_now; /* ms */
extern int harness_start_error;
extern unsigned harness_deauths;

/* lwIP with both interfaces added and up; nothing is attached. */
void harness_start(void);
/* The driver starts: it sets both functions afresh. */
void driver_starts(enum glue_side side);

/* A new filter, configured; and the same for the core beside it. What was there is forgotten. */
void filter_starts(unsigned leases);
extern struct pf filter, reference;

/* What becomes of frames behind the glue. */
enum taker {
    TAKE,      /* they are taken */
    TAKE_KEEP, /* and kept, by reference, until harness_release(): a queue for sending, a mailbox */
    TAKE_NONE, /* refused: no memory */
    TAKE_SOME, /* one of these, by chance */
    TAKE_OTHER, /* harness_other is called: the buffer stays the giver's at a radio port, is the taker's at a host port */
};
extern enum taker harness_takes;
extern err_t (*harness_other)(enum pf_port port, struct pbuf *p);
void harness_release(void);
void harness_forget(void); /* frames that came without play() */

/* Frames that came out since filter_starts(). */
extern unsigned long harness_frames;

/* ---- A frame in a buffer ---- */

enum kind { RAM, POOL, ROM, REF, CUSTOM, CUSTOM_RAM, CUSTOM_ROM, KINDS };

struct shape {
    enum kind kind;
    unsigned cut[2]; /* where a new piece begins, in rising order; 0: none */
    unsigned align;  /* of the first byte: modulo 4 */
    bool tail;       /* one more piece, without content */
    bool held;       /* somebody else has a reference, too */
};

/* Hands it over at its port as its driver or lwIP does; and to the core alone. What comes out must be the same but for what the glue
 * counted as lost, and no buffer that was not the glue's may have changed. */
void play(const struct frame *f, const struct shape *shape);
/* The same without the core beside it, and without looking at what comes out. What the driver or lwIP is told. */
err_t hand_over(const struct frame *f, const struct shape *shape);
/* The whole history. */
void play_history(const struct shape *shape);
/* What the filter does when it is called otherwise, e.g. its timers: the same for both. */
void both(void (*what)(struct pf *pf, unsigned argument), unsigned argument);

/* threads.c: all threads of the machine, until they have done their work. */
void threads_run(void);

#endif
