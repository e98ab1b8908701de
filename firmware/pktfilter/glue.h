/*
 * What the MicroPython module needs of a platform: frames in and out of the four ports, a lock, a clock, random bytes.
 * One glue_*.c a platform; the core and modpktfilter.c are the same everywhere.
 *
 * The glue calls pf_input() for each frame that arrives and pf_tick() ten times a second, both with the lock held.
 */
#ifndef GLUE_H
#define GLUE_H

#include "pf.h"

/* Which of the two sides is a cable; the other one, or both, are Wi-Fi. A machine whose interfaces are given takes no notice. */
enum glue_ethernet { GLUE_NO_ETHERNET, GLUE_ETHERNET_UPLINK, GLUE_ETHERNET_SEGMENT };

/* Binds the four ports to `pf`, and begins. 0, or an errno value (ENODEV: this machine has no such interfaces). The
 * filter must have been started with glue_out() as its output. Called once more after success it does nothing. */
int glue_start(struct pf *pf, enum glue_ethernet ethernet);

/* Output of the filter. Never waits: a frame that the machine does not take at once is lost and counted (glue_lost). */
void glue_out(void *ctx, enum pf_port port, const uint8_t *frame, size_t len);

void glue_lock(void);
void glue_unlock(void);

/* A clock that never goes back, in ms; wraps. */
uint32_t glue_now_ms(void);

/* Bytes that nobody can guess, whether a radio is on or not; only in the interpreter's thread. 0, or an errno value. */
int glue_random(uint8_t *buf, size_t len);

/* Drops the link of one station of the segment, which asks for an address when it comes back. Lock held. */
void glue_deauth(const uint8_t mac[6]);

#endif
