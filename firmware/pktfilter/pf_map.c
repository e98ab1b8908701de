/*
 * Port mappings: which of the owners' ports is which port at X. One mapping serves all flows of a port, whatever their
 * remote (RFC 4787 REQ-1, endpoint-independent), and lives as long as the first and the last of them. The port is kept
 * where the other owner does not have it, else a random one is taken (RFC 6056).
 *
 * As with flows: found by the port that the remote sees, or by the one that the owner has.
 */
#include "pf_core.h"

enum { RANDOM_TRIES = 64 };

static uint16_t *head_of(struct pf *pf, unsigned side, unsigned key, uint32_t port)
{
    return &pf->map_head[side][pf_hash_mix(pf_hash_pair(pf, port, key)) & (PF_MAP_BUCKETS - 1)];
}

void pf_maps_init(struct pf *pf)
{
    memset(pf->map_head, 0, sizeof(pf->map_head));
    pf->map_free = 0;
    for (unsigned i = PF_FLOWS; i > 0; i--) {
        pf->map[i - 1].next[0] = pf->map_free;
        pf->map_free = (uint16_t)i;
    }
}

/* A mapping's link (index + 1); 0: none. `head`: of the chain that it is in, or would be. */
static unsigned find(struct pf *pf, unsigned side, unsigned kind, uint32_t port, uint16_t **head)
{
    const unsigned mask = PF_KIND_SEEN_BY(side);
    *head = head_of(pf, side, kind & mask, port);
    unsigned i = **head;
    while (i != 0) {
        const struct pf_map *m = &pf->map[i - 1];
        if (m->port[side] == port && ((m->kind ^ kind) & mask) == 0) {
            break;
        }
        i = m->next[side];
    }
    return i;
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

/* Another port, in the same range (below 1024 or not: RFC 4787 REQ-3a) and of the same parity (REQ-4). */
static uint16_t another(struct pf *pf, unsigned kind, uint16_t lport)
{
    const uint32_t wanted = pf_host16(lport);
    const uint32_t random = pf_random(pf);
    const bool low = wanted < 1024 && (kind & PF_KIND_PROTO) != PF_ICMP;
    const uint32_t port = low ? 512 + random % 512 : 1024 + random % (65536 - 1024);
    return pf_wire16((uint16_t)((port & ~1U) | (wanted & 1)));
}

/* The mapping for one more flow, made if there is none; for one that the remote opens, the port at X must be the same.
 * Its link; 0: impossible. */
unsigned pf_map_get(struct pf *pf, unsigned kind, uint16_t lport)
{
    const bool inbound = (kind & PF_KIND_INBOUND) != 0;
    uint16_t eport = lport;
    uint16_t *head[2];
    unsigned link = find(pf, PF_FROM_OWNER, kind, lport, &head[PF_FROM_OWNER]);
    if (link == 0) {
        for (unsigned n = 0;
             find(pf, PF_FROM_REMOTE, kind, eport, &head[PF_FROM_REMOTE]) != 0 || is_reserved(pf, kind, eport); n++) {
            if (inbound || n == RANDOM_TRIES) {
                return 0;
            }
            eport = another(pf, kind, lport);
        }
        link = pf->map_free; /* there are as many mappings as flows */
        struct pf_map *m = &pf->map[link - 1];
        pf->map_free = m->next[0];
        m->port[PF_FROM_OWNER] = lport;
        m->port[PF_FROM_REMOTE] = eport;
        m->flows = 0;
        m->kind = (uint8_t)(kind & PF_KIND_KEY);
        for (unsigned side = 0; side < 2; side++) {
            m->next[side] = *head[side];
            *head[side] = (uint16_t)link;
        }
    }
    struct pf_map *m = &pf->map[link - 1];
    if (inbound && m->port[PF_FROM_REMOTE] != lport) {
        return 0;
    }
    m->flows++;
    return link;
}

/* One flow less. */
void pf_map_put(struct pf *pf, unsigned link)
{
    struct pf_map *m = &pf->map[link - 1];
    if (--m->flows > 0) {
        return;
    }
    for (unsigned side = 0; side < 2; side++) {
        pf_chain_cut(head_of(pf, side, m->kind & PF_KIND_SEEN_BY(side), m->port[side]), &pf->map[0].next[side],
                     sizeof(*m), link);
    }
    m->next[0] = pf->map_free;
    pf->map_free = (uint16_t)link;
}
