/*
 * Port mappings: which of the owners' ports is which port at X. One mapping serves all flows of a port, whatever their
 * remote (RFC 4787 REQ-1, endpoint-independent), and lives as long as the first and the last of them. The port is kept
 * where the other owner does not have it, else a random one is taken (RFC 6056).
 */
#include "pf_core.h"

enum { RANDOM_TRIES = 64 };

static uint32_t hash_of(const struct pf *pf, unsigned key, uint16_t port)
{
    return pf_hash_pair(pf, port, key) >> 16 & (PF_MAP_BUCKETS - 1);
}

static uint16_t *loc_bucket(struct pf *pf, unsigned key, uint16_t lport)
{
    return &pf->map_loc_head[hash_of(pf, key, lport)];
}

static uint16_t *ext_bucket(struct pf *pf, unsigned proto, uint16_t eport)
{
    return &pf->map_ext_head[hash_of(pf, proto, eport)];
}

void pf_maps_init(struct pf *pf)
{
    memset(pf->map, 0, sizeof(pf->map));
    memset(pf->map_loc_head, 0, sizeof(pf->map_loc_head));
    memset(pf->map_ext_head, 0, sizeof(pf->map_ext_head));
    for (unsigned i = 0; i + 1 < PF_FLOWS; i++) {
        pf->map[i].next_loc = (uint16_t)(i + 2);
    }
    pf->map_free = 1;
}

static struct pf_map *find_loc(struct pf *pf, unsigned key, uint16_t lport)
{
    for (unsigned i = *loc_bucket(pf, key, lport); i != 0; i = pf->map[i - 1].next_loc) {
        if (pf->map[i - 1].lport == lport && pf->map[i - 1].kind == key) {
            return &pf->map[i - 1];
        }
    }
    return NULL;
}

/* Ports that one owner may always have: the services are the speaker's; the claim port, DHCP, and what it guards the host's. */
static bool reserved(const struct pf *pf, unsigned key, uint16_t eport)
{
    const unsigned proto = key & PF_KIND_PROTO;
    const bool guarded =
        pf->cfg.guard && proto != PF_ICMP && eport == (proto == PF_TCP ? pf_wire16(PF_GUARD_PORT) : pf_wire16(1900));
    if ((key & PF_KIND_SPEAKER) != 0) {
        return guarded || (proto == PF_TCP && eport == pf->cfg.claim_port && eport != 0) ||
               (proto == PF_UDP && (eport == pf_wire16(67) || eport == pf_wire16(68)));
    }
    if (guarded) {
        return false;
    }
    for (unsigned i = 0; i < pf->service_count; i++) {
        if (pf->service[i].proto == proto && pf->service[i].port == eport) {
            return true;
        }
    }
    return false;
}

static bool taken(struct pf *pf, unsigned key, uint16_t eport)
{
    const unsigned proto = key & PF_KIND_PROTO;
    for (unsigned i = *ext_bucket(pf, proto, eport); i != 0; i = pf->map[i - 1].next_ext) {
        if (pf->map[i - 1].eport == eport && (pf->map[i - 1].kind & PF_KIND_PROTO) == proto) {
            return true;
        }
    }
    return reserved(pf, key, eport);
}

/* Another port, in the same range (below 1024 or not: RFC 4787 REQ-3a) and of the same parity (REQ-4). False: none found. */
static bool choose(struct pf *pf, unsigned key, uint16_t lport, uint16_t *eport)
{
    const uint32_t wanted = pf_host16(lport);
    const uint32_t low = wanted < 1024 && (key & PF_KIND_PROTO) != PF_ICMP ? 512 : 1024;
    const uint32_t high = low == 512 ? 1024 : 65536;
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        const uint32_t port = ((low + pf_random(pf) % (high - low)) & ~1U) | (wanted & 1);
        *eport = pf_wire16((uint16_t)port);
        if (!taken(pf, key, *eport)) {
            return true;
        }
    }
    return false;
}

/* The mapping for one more flow, made if there is none. `inbound`: the port at X must be the same. NULL: impossible. */
struct pf_map *pf_map_get(struct pf *pf, unsigned key, uint16_t lport, bool inbound)
{
    struct pf_map *m = find_loc(pf, key, lport);
    if (m != NULL) {
        if (inbound && m->eport != lport) {
            return NULL;
        }
        m->flows++;
        return m;
    }
    uint16_t eport = lport;
    if (taken(pf, key, lport) && (inbound || !choose(pf, key, lport, &eport))) {
        return NULL;
    }
    const uint16_t link = pf->map_free; /* there are as many mappings as flows */
    m = &pf->map[link - 1];
    pf->map_free = m->next_loc;
    uint16_t *loc = loc_bucket(pf, key, lport);
    uint16_t *ext = ext_bucket(pf, key & PF_KIND_PROTO, eport);
    m->lport = lport;
    m->eport = eport;
    m->next_loc = *loc;
    m->next_ext = *ext;
    m->flows = 1;
    m->kind = (uint8_t)key;
    *loc = link;
    *ext = link;
    return m;
}

/* One flow less. */
void pf_map_put(struct pf *pf, unsigned key, uint16_t lport)
{
    struct pf_map *m = find_loc(pf, key, lport);
    if (m == NULL || --m->flows > 0) {
        return;
    }
    const uint16_t link = (uint16_t)(m - pf->map + 1);
    uint16_t *at = loc_bucket(pf, key, lport);
    while (*at != link && *at != 0) {
        at = &pf->map[*at - 1].next_loc;
    }
    *at = m->next_loc;
    at = ext_bucket(pf, key & PF_KIND_PROTO, m->eport);
    while (*at != link && *at != 0) {
        at = &pf->map[*at - 1].next_ext;
    }
    *at = m->next_ext;
    m->next_loc = pf->map_free;
    pf->map_free = link;
}
