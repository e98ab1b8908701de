/* For tests: are the tables consistent? And the counters' names. */
#include "check.h"

#include "pf_core.h"

#include <stddef.h>

#define COUNTER_NAME(name) #name,
const char *const pf_counter_names[PF_COUNTER_COUNT] = {PF_COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME

static unsigned class_of(const struct pf_flow *f)
{
    return f->kind >> PF_KIND_CLASS_SHIFT;
}

/* Is a flow in the class that its state asks for? */
static bool is_classified(const struct pf_flow *f)
{
    const bool closing = (f->state & PF_T_RST) != 0 || (f->state & PF_T_BOTH_FIN) == PF_T_BOTH_FIN;
    const bool settled = (f->state & PF_T_OPEN) != 0 && !closing;
    const bool claim = pf_is_claim(f->kind, f->peer);
    const bool leased = pf_is_lease(f->peer);
    switch (class_of(f)) {
    case PF_CLASS_LOOSE:
        return !leased && !claim && !settled;
    case PF_CLASS_SETTLED:
        return !leased && !claim && settled;
    case PF_CLASS_PHONE_LOOSE:
        return leased;
    case PF_CLASS_PHONE_PROTECTED:
        return leased && settled;
    case PF_CLASS_CLAIM_LOOSE:
        return claim && !settled;
    case PF_CLASS_CLAIM_SETTLED:
        return claim && settled;
    default:
        return false;
    }
}

/* Each flow is in the ring of its class once, and its lease is there. */
static int check_classes(const struct pf *pf)
{
    unsigned in_class[PF_CLASS_COUNT] = {0};
    unsigned protected_flows[PF_PEERS] = {0};
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *f = &pf->flow[i];
        if (class_of(f) >= PF_CLASS_COUNT) {
            return __LINE__;
        }
        in_class[class_of(f)]++;
        if (class_of(f) == PF_CLASS_FREE) {
            continue;
        }
        if (!is_classified(f) || f->peer >= PF_PEERS || (pf_is_lease(f->peer) && pf->peer[f->peer].addr == 0)) {
            return __LINE__;
        }
        protected_flows[f->peer] += class_of(f) == PF_CLASS_PHONE_PROTECTED;
    }
    for (unsigned c = 0; c < PF_CLASS_COUNT; c++) {
        unsigned n = 0;
        unsigned before = PF_FLOWS + c;
        for (unsigned i = pf->ring[before].next; i < PF_FLOWS; before = i, i = pf->ring[i].next) {
            if (n++ > PF_FLOWS || pf->ring[i].prev != before || class_of(&pf->flow[i]) != c) {
                return __LINE__;
            }
        }
        if (pf->ring[before].next != PF_FLOWS + c || pf->ring[PF_FLOWS + c].prev != before || n != in_class[c] ||
            n != pf->class_count[c]) {
            return __LINE__;
        }
    }
    for (unsigned i = 0; i < PF_PEERS; i++) {
        if (protected_flows[i] != pf->protected_flows[i] || protected_flows[i] > PF_LEASE_PROTECTED) {
            return __LINE__;
        }
    }
    if (in_class[PF_CLASS_CLAIM_LOOSE] + in_class[PF_CLASS_CLAIM_SETTLED] > PF_CLAIM_FLOWS) {
        return __LINE__;
    }
    /* Each claim has a place of its own, and all others are free. */
    const unsigned claims = in_class[PF_CLASS_CLAIM_LOOSE] + in_class[PF_CLASS_CLAIM_SETTLED];
    uint8_t place[PF_CLAIM_FLOWS] = {0};
    for (unsigned i = claims; i < PF_CLAIM_FLOWS; i++) {
        if (pf->claim_place[i] >= PF_CLAIM_FLOWS || place[pf->claim_place[i]]++ != 0) {
            return __LINE__;
        }
    }
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *f = &pf->flow[i];
        if (class_of(f) >= PF_CLASS_CLAIM_LOOSE && (f->scale >= PF_CLAIM_FLOWS || place[f->scale]++ != 0)) {
            return __LINE__;
        }
    }
    const unsigned others = in_class[PF_CLASS_LOOSE] + in_class[PF_CLASS_SETTLED];
    return others <= PF_FLOWS - PF_PHONE_SHARE ? 0 : __LINE__;
}

/* Every flow is in each index once, and no chain is too long. */
static int check_indexes(const struct pf *pf)
{
    for (unsigned side = 0; side < 2; side++) {
        uint8_t seen[PF_FLOWS] = {0};
        for (unsigned b = 0; b < PF_BUCKETS; b++) {
            unsigned n = 0;
            for (unsigned i = pf->flow_head[side][b]; i != 0; i = pf->flow[i - 1].next[side]) {
                if (n++ >= PF_CHAIN_MAX || i > PF_FLOWS || seen[i - 1]++ != 0) {
                    return __LINE__;
                }
            }
        }
        for (unsigned i = 0; i < PF_FLOWS; i++) {
            if (seen[i] != (class_of(&pf->flow[i]) != PF_CLASS_FREE)) {
                return __LINE__;
            }
        }
    }
    return 0;
}

/* A mapping's number by its link; PF_MAPS: it is none's. */
static unsigned map_of(const struct pf *pf, unsigned link)
{
    const size_t at = (size_t)PF_MAP_UNIT * link - offsetof(struct pf, map);
    return at % sizeof(pf->map[0]) == 0 && at < sizeof(pf->map) ? (unsigned)(at / sizeof(pf->map[0])) : PF_MAPS;
}

/* A mapping for each of the owners' ports that flows use, with as many flows as it says; none has another's port at X. */
static int check_maps(const struct pf *pf)
{
    uint16_t flows[PF_MAPS] = {0};
    unsigned mapped[2] = {0};
    unsigned moved = 0; /* only those are also found by their owner's port */
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *f = &pf->flow[i];
        if (class_of(f) != PF_CLASS_FREE) {
            const unsigned n = map_of(pf, pf->flow_map[i]);
            if (n == PF_MAPS || pf->map[n].kind != (f->kind & PF_KIND_KEY) ||
                memcmp(pf->map[n].port, f->port, sizeof(f->port)) != 0) {
                return __LINE__;
            }
            flows[n]++;
        }
    }
    for (unsigned b = 0; b < 2 * PF_MAP_BUCKETS; b++) {
        const unsigned side = b / PF_MAP_BUCKETS;
        for (unsigned link = pf->map_head[side][b % PF_MAP_BUCKETS]; link != 0;) {
            const unsigned n = map_of(pf, link);
            if (n == PF_MAPS || ++mapped[side] > PF_FLOWS || flows[n] == 0 || pf->map[n].flows != flows[n]) {
                return __LINE__;
            }
            const struct pf_map *m = &pf->map[n];
            moved += side == PF_FROM_REMOTE && m->port[PF_FROM_REMOTE] != m->port[PF_FROM_OWNER];
            if (side == PF_FROM_OWNER && m->port[PF_FROM_REMOTE] == m->port[PF_FROM_OWNER]) {
                return __LINE__;
            }
            link = m->next[side];
            for (unsigned other = link; other != 0;) {
                const unsigned o = map_of(pf, other);
                if (o == PF_MAPS || (m->port[side] == pf->map[o].port[side] &&
                                     ((m->kind ^ pf->map[o].kind) & PF_KIND_SEEN_BY(side)) == 0)) {
                    return __LINE__;
                }
                other = pf->map[o].next[side];
            }
        }
    }
    unsigned unused = 0;
    for (unsigned link = pf->map_free; link != 0 && unused <= PF_MAPS; unused++) {
        const unsigned n = map_of(pf, link);
        if (n == PF_MAPS) {
            return __LINE__;
        }
        link = pf->map[n].next[0];
    }
    return mapped[PF_FROM_OWNER] == moved && mapped[PF_FROM_REMOTE] + unused == PF_MAPS ? 0 : __LINE__;
}

/* Every peer that has an address is in a chain once; no lease comes after another that has its address. */
static int check_peers(const struct pf *pf)
{
    uint8_t seen[PF_PEERS] = {0};
    for (unsigned b = 0; b < PF_PEER_BUCKETS; b++) {
        bool others = false;
        for (unsigned i = pf->peer_head[b]; i != 0; i = pf->peer_next[i - 1]) {
            if (i >= PF_PEERS || seen[i]++ != 0 || (others && i >= PF_PEER_LEASE)) {
                return __LINE__;
            }
            others = i < PF_PEER_LEASE;
        }
    }
    for (unsigned i = PF_PEER_ROUTER; i < PF_PEERS; i++) {
        if (seen[i] != (pf->peer[i].addr != 0)) {
            return __LINE__;
        }
    }
    return 0;
}

/* Each datagram of fragments has one place, among its rank's, and what waits waits for one that is known. */
static int check_frags(const struct pf *pf)
{
    for (unsigned i = 0; i < PF_FRAGS; i++) {
        const struct pf_frag *e = &pf->frag[i];
        const unsigned rank = i < PF_FRAGS_STRANGERS ? 0 : i < PF_FRAGS_STRANGERS + PF_FRAGS_KNOWN ? 1 : 2;
        if (e->state != 0 && e->rank != rank) {
            return __LINE__;
        }
        for (unsigned k = 0; k < i; k++) {
            if (e->state != 0 && pf->frag[k].state != 0 && memcmp(&e->key, &pf->frag[k].key, sizeof(e->key)) == 0) {
                return __LINE__;
            }
        }
    }
    for (unsigned i = 0; i < PF_HELD; i++) {
        const struct pf_held *h = &pf->held[i];
        const size_t at = h->frag - offsetof(struct pf, frag);
        const struct pf_frag *e = &pf->frag[at / sizeof(*e) % PF_FRAGS];
        if (h->len != 0 && (at % sizeof(*e) != 0 || at >= sizeof(pf->frag) || h->len > PF_FRAME_MAX || e->state == 0 ||
                            e->rank != (i < PF_HELD_KNOWN ? 1 : 2) || memcmp(h->frame + 26, &e->key.src, 4) != 0)) {
            return __LINE__;
        }
    }
    return 0;
}

int pf_check(const struct pf *pf)
{
    int (*const checks[])(const struct pf *) = {check_classes, check_indexes, check_maps, check_peers, check_frags};
    int line = 0;
    for (unsigned i = 0; i < sizeof(checks) / sizeof(checks[0]) && line == 0; i++) {
        line = checks[i](pf);
    }
    return line;
}
