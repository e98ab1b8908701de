/*
 * Next hops on the uplink. The speaker's frames leave by MACs that the filter knows itself: a lease's own, or one that
 * answered the filter's own question. First answer wins; nothing unasked is believed.
 */
#include "pf_core.h"

static uint16_t *head_of(struct pf *pf, uint32_t addr)
{
    return &pf->peer_head[pf_hash_addr(pf, addr) & (PF_PEER_BUCKETS - 1)];
}

/* Gives a forgotten place its address. Of several with one address the lease is found, else the first: so they are chained. */
void pf_peer_set(struct pf *pf, unsigned i, uint32_t addr)
{
    pf->peer[i].addr = addr;
    if (addr != 0) {
        uint16_t *at = head_of(pf, addr);
        while (*at != 0 && !pf_is_lease(i) && (pf_is_lease(*at) || *at < i)) {
            at = &pf->peer_next[*at - 1];
        }
        pf->peer_next[i - 1] = *at;
        *at = (uint16_t)i;
    }
}

static void change_addr(struct pf *pf, unsigned i, uint32_t addr)
{
    if (pf->peer[i].addr != addr) {
        (void)pf_flows_end_of(pf, i); /* they would go to the new one's MAC */
        pf_peer_forget(pf, i);
        pf_peer_set(pf, i, addr);
    }
}

void pf_peers_configure(struct pf *pf)
{
    const struct pf_config *cfg = &pf->cfg;
    change_addr(pf, PF_PEER_ROUTER, cfg->router);
    for (unsigned i = PF_PEER_DNS; i < PF_PEER_LEASE; i++) {
        change_addr(pf, i, i < PF_PEER_HOST ? cfg->dns[i - PF_PEER_DNS] : cfg->hosts[i - PF_PEER_HOST]);
        struct pf_peer *peer = &pf->peer[i];
        if (peer->addr == cfg->router || !pf_on_link(pf, peer->addr)) {
            peer->state = PF_PEER_ROUTED; /* until it or the uplink changes: both forget it */
        }
    }
}

/* Forgets a MAC, and the frames that wait for it. */
static void give_up(struct pf *pf, unsigned peer)
{
    pf->peer[peer].state = PF_PEER_EMPTY;
    pf->peer[peer].tries = 0;
    for (unsigned i = 0; i < PF_PENDING; i++) {
        if (pf->pending[i].len != 0 && pf->pending[i].peer == peer) {
            pf->pending[i].len = 0;
            pf_count(pf, PF_C_drop_no_neighbour);
        }
    }
}

/* Forgets the address, too. */
void pf_peer_forget(struct pf *pf, unsigned peer)
{
    give_up(pf, peer);
    if (pf->peer[peer].addr != 0) {
        uint16_t *at = head_of(pf, pf->peer[peer].addr);
        while (*at != peer) {
            at = &pf->peer_next[*at - 1];
        }
        *at = pf->peer_next[peer - 1];
    }
    memset(&pf->peer[peer], 0, sizeof(pf->peer[peer]));
    pf->peer[peer].ttl_ms = UINT32_MAX;
}

/* The place that holds an address, PF_NO_PEER for none. A lease whose time is over ends here. */
unsigned pf_peer_find(struct pf *pf, uint32_t addr)
{
    unsigned i = *head_of(pf, addr);
    while (i != 0) {
        const unsigned next = pf->peer_next[i - 1];
        if (pf->peer[i].addr == addr) {
            if (!pf_is_lease(i) || !pf_lease_over(pf, i)) {
                break;
            }
            pf_lease_expire(pf, i);
        }
        i = next;
    }
    return i;
}

/* The place by which a destination is reached: its own; that of the router for all that is not on the link. */
unsigned pf_peer_of(struct pf *pf, uint32_t dst)
{
    const unsigned i = pf_peer_find(pf, dst);
    return i != PF_NO_PEER || pf_on_link(pf, dst) ? i : (unsigned)PF_PEER_ROUTER;
}

static void ask(struct pf *pf, struct pf_peer *peer)
{
    peer->time = pf->now;
    peer->tries++;
    pf_arp_ask(pf, peer, peer->state != PF_PEER_KNOWN);
}

/* A frame, ready but for the peer's MAC, waits for that. */
enum pf_counter pf_peer_keep(struct pf *pf, struct pf_peer *peer, const uint8_t *frame, uint32_t len)
{
    const unsigned via = (unsigned)(peer - pf->peer);
    struct pf_pending *place = NULL;
    unsigned own = 0;
    if (peer->addr == 0) {
        return PF_C_drop_no_neighbour;
    }
    for (unsigned i = 0; i < PF_PENDING; i++) {
        if (pf->pending[i].len == 0) {
            place = place == NULL ? &pf->pending[i] : place;
        } else if (pf->pending[i].peer == via) {
            own++;
        }
    }
    if (peer->tries == 0) {
        ask(pf, peer);
    }
    if (place == NULL || own >= (PF_PENDING + 1) / 2) { /* one silent neighbour does not take all places */
        return PF_C_drop_pending_full;
    }
    place->len = len;
    place->peer = (uint16_t)via;
    memcpy(place->frame, frame, len);
    return PF_C_frames_pending;
}

/* Sends a frame to a peer by the uplink, or keeps it until the peer's MAC is known. */
enum pf_counter pf_peer_send(struct pf *pf, unsigned i, uint8_t *frame, uint32_t len, enum pf_counter passed)
{
    struct pf_peer *peer = &pf->peer[pf->peer[i].state == PF_PEER_ROUTED ? (unsigned)PF_PEER_ROUTER : i];
    pf_mac_copy(frame + 6, pf->cfg.uplink_mac);
    if (pf->in_first) {
        pf->sent_to = i;
    }
    pf_mac_copy(frame, peer->mac);
    if (peer->state == PF_PEER_EMPTY) {
        return pf_peer_keep(pf, peer, frame, len);
    }
    pf->out(pf->ctx, PF_UPLINK, frame, len);
    return passed;
}

/* An answer to the filter's own question. */
void pf_peer_answer(struct pf *pf, unsigned i, const uint8_t *mac)
{
    struct pf_peer *peer = &pf->peer[i];
    pf_mac_copy(peer->mac, mac);
    peer->state = PF_PEER_KNOWN;
    peer->tries = 0;
    peer->time = pf->now;
    for (unsigned n = 0; n < PF_PENDING; n++) {
        struct pf_pending *p = &pf->pending[n];
        if (p->len != 0 && p->peer == i) {
            const uint32_t len = p->len;
            p->len = 0;
            pf_mac_copy(p->frame, peer->mac);
            pf->out(pf->ctx, PF_UPLINK, p->frame, len);
        }
    }
}

void pf_peers_tick(struct pf *pf)
{
    for (unsigned i = PF_PEER_ROUTER; i < PF_PEERS; i++) {
        struct pf_peer *peer = &pf->peer[i];
        const uint32_t passed = pf->now - peer->time;
        const bool due =
            peer->tries > 0 ? passed >= PF_ARP_RETRY_MS : passed >= PF_ARP_FRESH_MS && peer->state == PF_PEER_KNOWN;
        if (peer->state > PF_PEER_KNOWN || !due) {
            continue;
        }
        if (peer->tries < PF_ARP_TRIES) {
            ask(pf, peer);
        } else {
            give_up(pf, i);
        }
    }
}
