/* Leases: which addresses are phones', from which MACs, until when. Found by a keyed hash. */
#include "pf_core.h"

static uint8_t *bucket_of(struct pf *pf, uint32_t addr)
{
    return &pf->lease_head[pf_hash_addr(pf, addr) & (PF_LEASE_BUCKETS - 1)];
}

static struct pf_peer *peer_of(struct pf *pf, int lease)
{
    return &pf->peer[PF_PEER_LEASE + lease];
}

void pf_leases_init(struct pf *pf)
{
    memset(pf->lease, 0, sizeof(pf->lease));
    memset(pf->lease_head, 0, sizeof(pf->lease_head));
}

static void release(struct pf *pf, int lease)
{
    const unsigned link = (unsigned)lease + 1;
    uint8_t *at = bucket_of(pf, peer_of(pf, lease)->addr);
    while (*at != link && *at != 0) {
        at = &pf->lease[*at - 1].next;
    }
    *at = pf->lease[lease].next;
    memset(&pf->lease[lease], 0, sizeof(pf->lease[lease]));
    pf_peer_forget(pf, (unsigned)PF_PEER_LEASE + (unsigned)lease);
}

static int end(struct pf *pf, int lease)
{
    const int flows = pf_flows_end_of(pf, (unsigned)PF_PEER_LEASE + (unsigned)lease);
    release(pf, lease);
    return flows;
}

void pf_lease_expire(struct pf *pf, int lease)
{
    (void)end(pf, lease);
    pf_count(pf, PF_C_leases_expired);
    pf->events |= PF_EVENT_LEASE_ENDED;
}

/* The lease of an address, -1 for none. One whose time is over ends here. */
int pf_lease_find(struct pf *pf, uint32_t addr)
{
    for (unsigned i = *bucket_of(pf, addr); i != 0; i = pf->lease[i - 1].next) {
        const int lease = (int)i - 1;
        if (peer_of(pf, lease)->addr != addr) {
            continue;
        }
        if (pf_lease_over(pf, lease)) {
            pf_lease_expire(pf, lease);
            return -1;
        }
        return lease;
    }
    return -1;
}

/* Is a frame from `mac` the phone's? PF_C_none: yes. */
enum pf_counter pf_lease_check(struct pf *pf, int lease, const uint8_t *mac)
{
    if (lease < 0) {
        return PF_C_drop_no_lease;
    }
    const struct pf_peer *peer = peer_of(pf, lease);
    if (peer->state == PF_PEER_PINNED && !mac_eq(peer->mac, mac)) {
        pf->events |= PF_EVENT_LEASE_MAC;
        return PF_C_drop_lease_mac;
    }
    return PF_C_none;
}

static int take(struct pf *pf, uint32_t addr)
{
    for (int i = 0; i < PF_LEASES; i++) {
        if (pf->lease[i].used == 0) {
            uint8_t *head = bucket_of(pf, addr);
            pf->lease[i] = (struct pf_lease){.used = 1, .next = *head};
            *head = (uint8_t)(i + 1);
            return i;
        }
    }
    return -1;
}

static bool same_mac(const struct pf_peer *peer, const uint8_t *mac)
{
    return mac == NULL ? peer->state != PF_PEER_PINNED
                       : peer->state == PF_PEER_PINNED && memcmp(peer->mac, mac, 6) == 0;
}

static void set_time(struct pf *pf, int lease, uint32_t ttl_s)
{
    peer_of(pf, lease)->ttl_ms = (ttl_s < PF_LEASE_MAX_S ? ttl_s : (uint32_t)PF_LEASE_MAX_S) * 1000;
    peer_of(pf, lease)->seen = pf->now;
}

int pf_lease_add(struct pf *pf, uint32_t addr, const uint8_t *mac, uint32_t ttl_s, uint32_t now_ms)
{
    pf->now = now_ms;
    if (pf->cfg.addr == 0 || !pf_source_is_sane(pf, addr) || (mac != NULL && mac_is_group(mac))) {
        return -2;
    }
    int lease = pf_lease_find(pf, addr);
    if (lease >= 0 && !same_mac(peer_of(pf, lease), mac)) {
        (void)end(pf, lease);
        lease = -1;
    }
    if (lease < 0) {
        lease = take(pf, addr);
        if (lease < 0) {
            return -1;
        }
        struct pf_peer *peer = peer_of(pf, lease);
        memset(peer, 0, sizeof(*peer));
        peer->addr = addr;
        peer->search.level = PF_BURST_SEARCH * 1000;
        peer->search.last = pf->now;
        if (mac != NULL) {
            memcpy(peer->mac, mac, 6);
            peer->state = PF_PEER_PINNED;
        } else if (!pf_on_link(pf, addr)) {
            peer->state = PF_PEER_ROUTED;
        }
    }
    set_time(pf, lease, ttl_s);
    return lease;
}

bool pf_lease_renew(struct pf *pf, uint32_t addr, uint32_t ttl_s, uint32_t now_ms)
{
    pf->now = now_ms;
    const int lease = pf_lease_find(pf, addr);
    if (lease >= 0) {
        set_time(pf, lease, ttl_s);
    }
    return lease >= 0;
}

int pf_lease_end(struct pf *pf, uint32_t addr, uint32_t now_ms)
{
    pf->now = now_ms;
    const int lease = pf_lease_find(pf, addr);
    return lease < 0 ? 0 : end(pf, lease);
}

bool pf_lease_get(struct pf *pf, size_t i, struct pf_lease_info *info, uint32_t now_ms)
{
    pf->now = now_ms;
    const struct pf_peer *peer = peer_of(pf, (int)i);
    if (pf->lease[i].used == 0 || pf_lease_over(pf, (int)i)) {
        return false;
    }
    info->addr = peer->addr;
    info->has_mac = peer->state == PF_PEER_PINNED;
    memcpy(info->mac, peer->mac, 6);
    info->idle_s = (now_ms - peer->seen) / 1000;
    info->left_s = (peer->ttl_ms - (now_ms - peer->seen)) / 1000;
    return true;
}

void pf_leases_sweep(struct pf *pf)
{
    for (int i = 0; i < PF_LEASES; i++) {
        if (pf->lease[i].used != 0 && pf_lease_over(pf, i)) {
            pf_lease_expire(pf, i);
        }
    }
}

void pf_leases_end_all(struct pf *pf)
{
    for (int i = 0; i < PF_LEASES; i++) {
        if (pf->lease[i].used != 0) {
            (void)end(pf, i);
        }
    }
}
