/*
 * Port mappings: which of the owners' ports is which port at X. One mapping serves all flows of a port, whatever their
 * remote (RFC 4787 REQ-1, endpoint-independent), and lives as long as the first and the last of them. The port is kept
 * where the other owner does not have it, else a random one is taken (RFC 6056).
 *
 * Found by the port that the remote sees; those that could not be kept also by the one that the owner has.
 */
#include "pf_core.h"

enum { RANDOM_TRIES = 64 };

/* By the number alone: one port has a mapping for each protocol and owner at most. */
static unsigned bucket_of(const struct pf *pf, uint32_t port)
{
    return pf_hash_mix(pf_hash_pair(pf, port, 0)) & (PF_MAP_BUCKETS - 1);
}

void pf_maps_init(struct pf *pf)
{
    memset(pf->map_head, 0, sizeof(pf->map_head));
    pf->map_free = 0;
    for (unsigned i = PF_MAPS; i > 0; i--) {
        struct pf_map *m = &pf->map[i - 1];
        m->next[0] = pf->map_free;
        pf->map_free = (uint16_t)(((uint8_t *)m - (uint8_t *)pf) / PF_MAP_UNIT);
    }
}

/* Where a mapping's link is; it is 0, and the place for another one, if there is none. */
static uint16_t *find(struct pf *pf, uint16_t *at, unsigned side, unsigned kind, uint32_t port)
{
    const unsigned mask = PF_KIND_SEEN_BY(side);
    while (*at != 0) {
        struct pf_map *m = pf_map_at(pf, *at);
        if (m->port[side] == port && ((m->kind ^ kind) & mask) == 0) {
            break;
        }
        at = &m->next[side];
    }
    return at;
}

/* Ports that one owner may always have: the services are the speaker's; the claim port, DHCP, and what it guards the host's. */
static bool is_reserved(const struct pf *pf, unsigned kind, uint16_t eport)
{
    const unsigned proto = kind & PF_KIND_PROTO;
    bool host = proto == PF_TCP ? eport == pf->cfg.claim_port && eport != 0
                                : proto == PF_UDP && (eport == pf_wire16(67) || eport == pf_wire16(68));
    if (pf->cfg.guard && proto != PF_ICMP) {
        host = host || eport == (proto == PF_TCP ? pf_wire16(PF_GUARD_PORT) : pf_wire16(1900));
    }
    return (kind & PF_KIND_SPEAKER) != 0 ? host : !host && pf_is_service(pf, proto, eport);
}

/* Another port, in the same range (below 1024 or not: RFC 4787 REQ-3a) and of the same parity (REQ-4). By its two bytes, each from a
 * byte of the random number. */
static uint16_t another(struct pf *pf, unsigned kind, uint16_t lport)
{
    const unsigned random = pf_random(pf);
    uint8_t b[2];
    memcpy(b, &lport, 2);
    const bool low = b[0] < 1024 / 256 && (kind & PF_KIND_PROTO) != PF_ICMP;
    const unsigned parity = b[1] & 1U;
    b[0] = (uint8_t)(low ? 2 + (random >> 15) : 4 + ((random >> 8) * 252 >> 8));
    b[1] = (uint8_t)((random & 0xfe) | parity);
    memcpy(&lport, b, 2);
    return lport;
}

/* The mapping for one more flow, made if there is none; for one that the remote opens, the port at X must be the same.
 * Its link; 0: impossible. */
unsigned pf_map_get(struct pf *pf, unsigned kind, uint16_t lport)
{
    const unsigned bucket = bucket_of(pf, lport);
    uint16_t *at = find(pf, &pf->map_head[PF_FROM_REMOTE][bucket], PF_FROM_REMOTE, kind, lport);
    struct pf_map *m = pf_map_at(pf, *at);
    if (*at != 0 && m->port[PF_FROM_OWNER] == lport && ((m->kind ^ kind) & PF_KIND_SPEAKER) == 0) {
        m->flows++;
        return *at;
    }
    const bool inbound = (kind & PF_KIND_INBOUND) != 0;
    uint16_t *const moved = find(pf, &pf->map_head[PF_FROM_OWNER][bucket], PF_FROM_OWNER, kind, lport);
    if (*moved != 0) {
        if (!inbound) {
            pf_map_at(pf, *moved)->flows++;
            return *moved;
        }
        return 0;
    }
    uint16_t eport = lport;
    /* What is moved takes no port that is reserved for anybody: at its own owner's services nobody could reach them. */
    for (unsigned n = 0;
         *at != 0 || is_reserved(pf, kind, eport) || (n > 0 && is_reserved(pf, kind ^ PF_KIND_SPEAKER, eport)); n++) {
        if (inbound || n == RANDOM_TRIES) {
            return 0;
        }
        eport = another(pf, kind, lport);
        at = find(pf, &pf->map_head[PF_FROM_REMOTE][bucket_of(pf, eport)], PF_FROM_REMOTE, kind, eport);
    }
    const uint16_t link = pf->map_free; /* there is one more mapping than flows */
    m = pf_map_at(pf, link);
    pf->map_free = m->next[0];
    m->port[PF_FROM_OWNER] = lport;
    m->port[PF_FROM_REMOTE] = eport;
    m->next[PF_FROM_OWNER] = 0;
    m->next[PF_FROM_REMOTE] = 0;
    m->flows = 1;
    m->kind = (uint8_t)(kind & PF_KIND_KEY);
    *at = link;
    if (eport != lport) {
        *moved = link;
    }
    return link;
}

static void cut(struct pf *pf, unsigned side, const struct pf_map *m, unsigned link)
{
    uint16_t *at = &pf->map_head[side][bucket_of(pf, m->port[side])];
    while (*at != link) {
        at = &pf_map_at(pf, *at)->next[side];
    }
    *at = m->next[side];
}

/* One flow less. */
void pf_map_put(struct pf *pf, unsigned link)
{
    struct pf_map *m = pf_map_at(pf, link);
    if (--m->flows > 0) {
        return;
    }
    const unsigned sides = m->port[PF_FROM_OWNER] != m->port[PF_FROM_REMOTE] ? 2 : 1;
    for (unsigned side = PF_FROM_REMOTE; side < sides; side++) {
        cut(pf, side, m, link);
    }
    m->next[0] = pf->map_free;
    pf->map_free = (uint16_t)link;
}
