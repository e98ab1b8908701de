/* Leases: which addresses are phones', from which MACs, until when. */
#include "pf_core.h"

static int end(struct pf *pf, unsigned lease)
{
    const int flows = pf_flows_end_of(pf, lease);
    pf_peer_forget(pf, lease);
    return flows;
}

void pf_lease_expire(struct pf *pf, unsigned lease)
{
    (void)end(pf, lease);
    pf_count(pf, PF_C_leases_expired);
    pf->events |= PF_EVENT_LEASE_ENDED;
}

/* The lease of an address, PF_NO_PEER for none. */
unsigned pf_lease_find(struct pf *pf, uint32_t addr)
{
    const unsigned i = pf_peer_find(pf, addr);
    return pf_is_lease(i) ? i : (unsigned)PF_NO_PEER;
}

/* Is a frame from `mac` the phone's? PF_C_none: yes. */
enum pf_counter pf_lease_check(struct pf *pf, unsigned lease, const uint8_t *mac)
{
    const struct pf_peer *peer = &pf->peer[lease];
    if (lease == PF_NO_PEER) {
        return PF_C_drop_no_lease;
    }
    if (peer->state == PF_PEER_PINNED && !pf_mac_eq(peer->mac, mac)) {
        pf->events |= PF_EVENT_LEASE_MAC;
        return PF_C_drop_lease_mac;
    }
    return PF_C_none;
}

static unsigned take(struct pf *pf, uint32_t addr, const uint8_t *mac)
{
    unsigned i = PF_PEER_LEASE;
    while (pf->peer[i].addr != 0) {
        if (++i == PF_PEERS) {
            return PF_NO_PEER;
        }
    }
    struct pf_peer *peer = &pf->peer[i];
    pf_peer_set(pf, i, addr);
    memset(&pf->bucket[PF_LIMIT_CLAIM_LEASE + i - PF_PEER_LEASE], 0, sizeof(pf->bucket[0]));
    memset(&pf->bucket[PF_LIMIT_SEARCH + i - PF_PEER_LEASE], 0, sizeof(pf->bucket[0]));
    if (mac != NULL) {
        memcpy(peer->mac, mac, 6);
        peer->state = PF_PEER_PINNED;
    } else if (!pf_on_link(pf, addr)) {
        peer->state = PF_PEER_ROUTED;
    }
    return i;
}

static bool same_mac(const struct pf_peer *peer, const uint8_t *mac)
{
    return (mac != NULL) == (peer->state == PF_PEER_PINNED) && (mac == NULL || memcmp(peer->mac, mac, 6) == 0);
}

static void set_time(struct pf *pf, unsigned lease, uint32_t ttl_s)
{
    pf->peer[lease].ttl_ms = (ttl_s < PF_LEASE_MAX_S ? ttl_s : (uint32_t)PF_LEASE_MAX_S) * 1000;
    pf->peer[lease].seen = pf->now;
}

int pf_lease_add(struct pf *pf, uint32_t addr, const uint8_t *mac, uint32_t ttl_s, uint32_t now_ms)
{
    pf->now = now_ms;
    if (pf->cfg.addr == 0 || !pf_source_is_sane(pf, addr) || (mac != NULL && mac_is_group(mac))) {
        return -2;
    }
    unsigned lease = pf_lease_find(pf, addr);
    if (lease != PF_NO_PEER && !same_mac(&pf->peer[lease], mac)) {
        (void)end(pf, lease);
        lease = PF_NO_PEER;
    }
    if (lease == PF_NO_PEER) {
        lease = take(pf, addr, mac);
        if (lease == PF_NO_PEER) {
            return -1;
        }
    }
    set_time(pf, lease, ttl_s);
    return (int)lease - PF_PEER_LEASE;
}

bool pf_lease_renew(struct pf *pf, uint32_t addr, uint32_t ttl_s, uint32_t now_ms)
{
    pf->now = now_ms;
    const unsigned lease = pf_lease_find(pf, addr);
    if (lease == PF_NO_PEER) {
        return false;
    }
    set_time(pf, lease, ttl_s);
    return true;
}

int pf_lease_end(struct pf *pf, uint32_t addr, uint32_t now_ms)
{
    pf->now = now_ms;
    const unsigned lease = pf_lease_find(pf, addr);
    return lease == PF_NO_PEER ? 0 : end(pf, lease);
}

bool pf_lease_get(struct pf *pf, size_t i, struct pf_lease_info *info, uint32_t now_ms)
{
    pf->now = now_ms;
    const unsigned lease = (unsigned)PF_PEER_LEASE + (unsigned)i;
    const struct pf_peer *peer = &pf->peer[lease];
    if (peer->addr == 0 || pf_lease_over(pf, lease)) {
        return false;
    }
    info->addr = peer->addr;
    info->has_mac = peer->state == PF_PEER_PINNED;
    memcpy(info->mac, peer->mac, 6);
    const uint32_t idle = now_ms - peer->seen;
    info->idle_s = idle / 1000;
    info->left_s = (peer->ttl_ms - idle) / 1000;
    return true;
}

void pf_leases_sweep(struct pf *pf)
{
    for (unsigned i = PF_PEER_LEASE; i < PF_PEERS; i++) {
        if (pf->peer[i].addr != 0 && pf_lease_over(pf, i)) {
            pf_lease_expire(pf, i);
        }
    }
}

void pf_leases_end_all(struct pf *pf)
{
    for (unsigned i = PF_PEER_LEASE; i < PF_PEERS; i++) {
        if (pf->peer[i].addr != 0) {
            (void)end(pf, i);
        }
    }
}
