/*
 * The network that fuzz targets and diff_fast.c play in: machines, a configured filter, frames, and a judge.
 *
 * The filter is there twice. One gets its frames by pf_input(), the other by pf_rules(), past the fast path: verdicts, frames out and every byte of the state must be the same. What
 * is promised of every frame, whatever came before it, is looked at after each (judge() in world.c). A broken promise is said
 * on stderr, and ends the program by abort().
 */
#ifndef WORLD_H
#define WORLD_H

#include "pf_core.h"

enum { WORLD_ROOM = 2048, CLAIM_PORT = 7780 };

/* What world_ready() has opened, by the owner's port: with SERVER's port 443 by TCP and 53 by UDP, from PHONE's port 40000 to
 * the speaker's 1400, from FLATMATE's 40000 to the claim port; an echo request of each owner with that identifier. */
enum { SPEAKER_PORT = 33000, HOST_PORT = 34000, PHONE_PORT = 40000 };

enum who {
    NOBODY, /* 0.0.0.0 */
    X,      /* the bridge on the uplink */
    BRIDGE, /* and on the segment */
    ALIAS,
    SPEAKER,
    ROUTER,
    DNS,
    SERVER, /* two on the internet */
    SERVER2,
    PHONE,    /* leased, with its MAC */
    LAPTOP,   /* leased by address only */
    FARPHONE, /* leased, behind the router */
    FLATMATE, /* no lease */
    NAS,      /* named */
    FARNAS,   /* named, behind the router */
    SSDP,     /* groups */
    MDNS,
    ALL,
    WHO_COUNT
};

struct machine {
    uint8_t addr[4];
    uint8_t mac[6];
};
extern const struct machine machines[WHO_COUNT];

enum world_mode { MODE_PASSTHROUGH, MODE_PRIVATE, MODE_GUARD, MODE_NO_UPLINK, MODE_COUNT }; /* GUARD: private, too */

extern struct pf world[2];

/* Two new filters, with speaker and leases. */
void world_start(enum world_mode mode, uint32_t now);
void world_configure(enum world_mode mode, uint32_t now);
void world_leases(uint32_t now);

/* The same with open flows, for targets that look at one frame; made once for each mode. */
void world_ready(enum world_mode mode);
enum { WORLD_NOW = 100000 };

/* One frame into both, and judged. */
enum pf_counter world_input(enum pf_port port, const uint8_t *bytes, size_t len, uint32_t now);

/* The frames that the last call put out. */
size_t world_outs(void);
const uint8_t *world_out(size_t i, enum pf_port *port, size_t *len);

/* A control call on both: WORLD_BOTH(pf_lease_end(pf, addr, now)); */
struct pf *world_enter(unsigned i);
void world_same(const char *what);
#define WORLD_BOTH(call)                                                                                               \
    do {                                                                                                               \
        for (unsigned world_i = 0; world_i < 2; world_i++) {                                                           \
            struct pf *pf = world_enter(world_i);                                                                      \
            (void)(call);                                                                                              \
        }                                                                                                              \
        world_same(#call);                                                                                             \
    } while (0)

/* Ends the history: are the tables consistent? */
void world_end(void);

void world_fail(const char *what);

/* ---- Frames ---- */

/* The address in the present mode: the speaker's is another in each. */
const uint8_t *world_addr(enum who who);

/* Ethernet and IP header of a frame as it comes in at a port; no checksums. */
void world_l3(uint8_t *frame, enum pf_port port, enum who src, enum who dst, unsigned ip_proto, size_t l4_len);

/* Makes the IP header's sum right; with `l4` also TCP's, UDP's (and its length) or ICMP's, of a packet that is no fragment. */
void world_seal(uint8_t *frame, size_t len, bool l4);

/* Opens a flow of SPEAKER or X: TCP by its handshake (both then have sent up to 1000), UDP, or an echo request (`lport`: its
 * identifier). `from`, who opens it: PF_FROM_REMOTE or PF_FROM_OWNER. */
void world_open(unsigned ip_proto, enum who owner, enum who remote, uint16_t rport, uint16_t lport, unsigned from,
                uint32_t now);

#endif
