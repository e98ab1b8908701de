/*
 * Glue for lwIP, in two parts: glue_lwip.c is the same for every lwIP; a platform file (ESP-IDF's is glue_esp.c) knows the
 * machine: its interfaces, lock, clock and timer.
 */
#ifndef GLUE_LWIP_H
#define GLUE_LWIP_H

#include "glue.h"

struct netif;

enum glue_side { GLUE_UPLINK, GLUE_SEGMENT, GLUE_SIDES };

/* Frames that wait for the end of a locked piece of work, to leave then. More are lost. One frame that is relayed makes one
 * for each lease at most. */
#ifndef GLUE_QUEUE
#define GLUE_QUEUE 64
#endif

/* ---- For the platform file ---- */

/* The interface has been added: its driver has set `input` and `linkoutput`. From now on both lead through the filter; as long as
 * that has not been started nothing passes. To be called in lwIP's thread or with its core locked, each time that the driver has
 * set them afresh; once more does nothing. */
void glue_lwip_attach(enum glue_side side, struct netif *netif);

/* The interface is stopped: no frame goes to it or is taken from it until it is attached again. In any thread. */
void glue_lwip_detach(enum glue_side side);

/* To be called ten times a second, in any thread that may wait for the lock. */
void glue_lwip_tick(void);

/* ---- From the platform file, beside glue_now_ms() and glue_random() of glue.h ---- */

/* Begins: watches the interfaces, attaches those that are up, starts the timer. 0, or an errno value: then nothing was begun.
 * Called until it has succeeded once, without the lock. */
int glue_platform_start(enum glue_ethernet ethernet);

/* One lock, not recursive, that works before glue_platform_start(). While it is held this glue waits for nothing else. */
void glue_platform_lock(void);
void glue_platform_unlock(void);

/* Drops the link of a station of the segment. Called without the lock: it may wait. */
void glue_platform_deauth(const uint8_t mac[6]);

#endif
