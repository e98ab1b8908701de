/*
 * Glue for lwIP: the filter sits between each interface's driver and lwIP, in the place of `netif->input` (frames that the driver
 * received) and `netif->linkoutput` (frames that lwIP sends). What leaves the filter goes to the functions that were there before.
 *
 * Lock: frames come in several threads (the Wi-Fi driver's, lwIP's, the timer's, the interpreter's). One lock guards the filter and
 * what is here. While it is held nobody waits for anything else: no driver, no mailbox, no other lock but the short one of lwIP's
 * memory. For that, what the filter sends is only queued; it leaves when the lock has been given back. So a thread may come here with
 * any lock of its own (lwIP's core, the driver's), and no order of locks can be wrong.
 *
 * Buffers: a frame that a driver hands over in one writable piece is filtered where it is, and the same pbuf leaves, to whichever side.
 * Of a chain, of a pbuf that somebody else holds too or that must not be written (lwIP's own: TCP sends its again), one copy is made,
 * which is filtered and leaves. Whatever the filter makes of its own is a new pbuf.
 */
#include "glue_lwip.h"

#include "lwip/err.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

#if ETH_PAD_SIZE
#error "pktfilter: frames begin with their Ethernet header (ETH_PAD_SIZE 0)"
#endif

enum { BATCH = 4 }; /* frames that leave between two looks at the queue: they are on the sending task's stack */

struct interface {
    struct netif *netif;
    netif_input_fn input; /* as the driver and lwIP had set them */
    netif_linkoutput_fn linkoutput;
    bool attached;
};

struct leaving {
    struct pbuf *p;
    enum pf_port port;
};

/* One that has left the queue: where it goes is looked up while the lock is held. */
struct sending {
    struct pbuf *p;
    struct netif *netif; /* NULL: not attached any more */
    netif_input_fn input;
    netif_linkoutput_fn linkoutput; /* one of the two */
};

static struct {
    struct pf *pf; /* NULL: not started */
    struct interface interface[GLUE_SIDES];
    struct pbuf *offered; /* the frame's that is being filtered, as long as it may leave in it */
    unsigned first, count;
    struct leaving queue[GLUE_QUEUE];
    bool deauth;
    uint8_t deauth_mac[6];
} glue;

/* ---- Out of the filter ---- */

/* A buffer of our own in which the IP header is aligned: the filter's fast path. The driver has the room before it that it asks for. */
static struct pbuf *new_pbuf(size_t len)
{
    struct pbuf *const p = pbuf_alloc(PBUF_RAW_TX, (u16_t)(len + 2), PBUF_RAM);
    if (p != NULL) {
        (void)pbuf_remove_header(p, 2);
    }
    return p;
}

/* The pbuf in which these bytes of the filter's leave; NULL: there is no memory. */
static struct pbuf *take_pbuf(const uint8_t *frame, size_t len)
{
    struct pbuf *p = glue.offered;
    if (p != NULL && p->len >= len && (p->payload == frame || !pf_in_place(p->payload))) {
        glue.offered = NULL;
        p->len = (u16_t)len;
        p->tot_len = (u16_t)len;
    } else {
        p = new_pbuf(len);
    }
    if (p != NULL && p->payload != frame) {
        memcpy(p->payload, frame, len);
    }
    return p;
}

void glue_out(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    if (glue.pf == NULL) {
        return; /* not started */
    }
    struct pbuf *const p = glue.count < GLUE_QUEUE ? take_pbuf(frame, len) : NULL;
    if (p == NULL) {
        glue.pf->counters[PF_C_glue_lost]++;
        return;
    }
    glue.queue[(glue.first + glue.count) % GLUE_QUEUE] = (struct leaving){.p = p, .port = port};
    glue.count++;
}

static unsigned take_batch(struct sending batch[BATCH])
{
    unsigned n = 0;
    for (; n < BATCH && glue.count > 0; n++) {
        const struct leaving *l = &glue.queue[glue.first];
        const bool uplink = l->port == PF_UPLINK || l->port == PF_HOST_UPLINK;
        const struct interface *to = &glue.interface[uplink ? GLUE_UPLINK : GLUE_SEGMENT];
        const bool radio = l->port == PF_UPLINK || l->port == PF_SEGMENT;
        batch[n] = (struct sending){.p = l->p,
                                    .netif = to->attached ? to->netif : NULL,
                                    .input = radio ? NULL : to->input,
                                    .linkoutput = radio ? to->linkoutput : NULL};
        glue.first = (glue.first + 1) % GLUE_QUEUE;
        glue.count--;
    }
    return n;
}

/* Without the lock. False: lost. */
static bool deliver(const struct sending *s)
{
    if (s->netif != NULL && s->input != NULL && s->input(s->p, s->netif) == ERR_OK) {
        return true; /* the pbuf is lwIP's now */
    }
    const bool sent = s->netif != NULL && s->linkoutput != NULL && s->linkoutput(s->netif, s->p) == ERR_OK;
    (void)pbuf_free(s->p);
    return sent;
}

/* ---- The lock ---- */

void glue_lock(void)
{
    glue_platform_lock();
}

void glue_unlock(void)
{
    const bool deauth = glue.deauth;
    uint8_t mac[6];
    memcpy(mac, glue.deauth_mac, 6);
    glue.deauth = false;
    for (;;) {
        struct sending batch[BATCH];
        const unsigned n = take_batch(batch);
        glue_platform_unlock();
        unsigned lost = 0;
        for (unsigned i = 0; i < n; i++) {
            lost += deliver(&batch[i]) ? 0 : 1;
        }
        if (lost == 0 && n < BATCH) {
            break; /* the queue was empty; what others have put there since leaves with them */
        }
        glue_platform_lock();
        glue.pf->counters[PF_C_glue_lost] += lost;
    }
    if (deauth) {
        glue_platform_deauth(mac);
    }
}

void glue_deauth(const uint8_t mac[6])
{
    glue.deauth = true;
    memcpy(glue.deauth_mac, mac, 6);
}

/* ---- Into the filter ---- */

static void count_lost(void)
{
    glue_lock();
    if (glue.pf != NULL) {
        glue.pf->counters[PF_C_glue_lost]++;
    }
    glue_unlock();
}

/* Filters the frame that is the whole of `p`: one piece, ours to write. True: it has left in `p`, which is used up. */
static bool filter(bool radio, struct netif *netif, struct pbuf *p)
{
    uint8_t *const frame = p->payload;
    /* One for a group may leave several times, and what is filtered in its place changes in between. */
    const bool offer = !pf_in_place(frame) || (p->len > 0 && (frame[0] & 1) == 0);
    bool left = false;
    glue_lock();
    for (unsigned i = 0; glue.pf != NULL && i < GLUE_SIDES; i++) {
        if (glue.interface[i].netif == netif && glue.interface[i].attached) {
            const enum pf_port port = i == GLUE_UPLINK ? PF_UPLINK : PF_SEGMENT;
            const enum pf_port host = i == GLUE_UPLINK ? PF_HOST_UPLINK : PF_HOST_SEGMENT;
            glue.offered = offer ? p : NULL;
            (void)pf_input(glue.pf, radio ? port : host, frame, p->tot_len, glue_now_ms());
            left = offer && glue.offered == NULL;
            glue.offered = NULL;
            break;
        }
    }
    glue_unlock();
    return left;
}

static struct pbuf *copy_of(const struct pbuf *p)
{
    struct pbuf *const copy = new_pbuf(p->tot_len);
    if (copy != NULL) {
        (void)pbuf_copy_partial(p, copy->payload, p->tot_len, 0);
    }
    return copy;
}

/* May the filter write there? What is elsewhere in memory is a driver's buffer if the pbuf knows how to give it back. */
static bool is_ours(const struct pbuf *p)
{
    const bool inside = (p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) != 0;
    const bool lent = (p->flags & PBUF_FLAG_IS_CUSTOM) != 0 && (p->type_internal & PBUF_TYPE_FLAG_DATA_VOLATILE) != 0;
    return (inside || lent) && p->next == NULL && p->ref == 1 && p->len == p->tot_len && p->len > 0;
}

/* netif->input: a driver has received a frame. It never has its pbuf back. */
static err_t received(struct pbuf *p, struct netif *netif)
{
    struct pbuf *ours = p;
    if (!is_ours(p) && p->tot_len <= PF_FRAME_MAX) {
        ours = copy_of(p);
        (void)pbuf_free(p);
    }
    if (ours == NULL) {
        count_lost();
    } else if (!filter(true, netif, ours)) {
        (void)pbuf_free(ours);
    }
    return ERR_OK;
}

/* netif->linkoutput: lwIP sends a frame. The pbuf stays the caller's, and unchanged. What the filter drops has been sent for all that
 * lwIP knows. */
static err_t sends(struct netif *netif, struct pbuf *p)
{
    /* One that is too long is only counted. */
    struct pbuf *const ours = p->tot_len <= PF_FRAME_MAX ? copy_of(p) : p;
    if (ours == NULL) {
        count_lost();
        return ERR_MEM;
    }
    if (!filter(false, netif, ours) && ours != p) {
        (void)pbuf_free(ours);
    }
    return ERR_OK;
}

/* ---- Start, interfaces, timers ---- */

void glue_lwip_attach(enum glue_side side, struct netif *netif)
{
    struct interface *const i = &glue.interface[side];
    glue_lock();
    if (i->netif != netif) {
        *i = (struct interface){.netif = netif};
    }
    if (netif->input != received) {
        i->input = netif->input;
        netif->input = received;
    }
    if (netif->linkoutput != sends) {
        i->linkoutput = netif->linkoutput;
        netif->linkoutput = sends;
    }
    /* Not if it is the other side's already: then nothing is known of the driver, and nothing passes. */
    i->attached = i->input != NULL && i->linkoutput != NULL;
    glue_unlock();
}

void glue_lwip_detach(enum glue_side side)
{
    glue_lock();
    glue.interface[side].attached = false;
    glue_unlock();
}

void glue_lwip_tick(void)
{
    glue_lock();
    if (glue.pf != NULL) {
        pf_tick(glue.pf, glue_now_ms());
    }
    glue_unlock();
}

int glue_start(struct pf *pf, enum glue_ethernet ethernet)
{
    if (glue.pf != NULL) {
        return 0;
    }
    const int error = glue_platform_start(ethernet);
    if (error == 0) {
        glue_lock();
        glue.pf = pf;
        glue_unlock();
    }
    return error;
}
