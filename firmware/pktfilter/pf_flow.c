/*
 * The flow table. Two hash indexes over one array: by what the uplink sees (remote address and port, port at X) and by
 * what the owner sees (remote address and port, the owner's own port, which owner). Both are constant-time: the hash is
 * keyed, and chains have a hard limit.
 *
 * Each flow is in one class, a ring of flows in the order of their coming into it: a free one, or one to evict, is found at
 * its beginning.
 */
#include "pf_core.h"

static unsigned index_of(const struct pf *pf, const struct pf_flow *f)
{
    return (unsigned)(f - pf->flow);
}

static unsigned class_of(const struct pf_flow *f)
{
    return f->kind >> PF_KIND_CLASS_SHIFT;
}

static uint32_t hash_remote(const struct pf *pf, uint32_t raddr, uint32_t rport)
{
    return pf_hash_remote(pf, pf_hash_pair(pf, raddr & 0xffff, raddr >> 16), rport);
}

static uint16_t *head_of(struct pf *pf, unsigned side, uint32_t remote, uint32_t port, unsigned kind)
{
    return &pf->flow_head[side][(pf_hash_flow(pf, remote, port) ^ (kind & PF_KIND_SEEN_BY(side))) & (PF_BUCKETS - 1)];
}

/* Kept in a register: -Os would work it out again at each use. */
static struct pf_flow *linked(struct pf *pf, unsigned link)
{
    struct pf_flow *f = &pf->flow[link - 1];
#if defined(__GNUC__)
    __asm__("" : "+r"(f)); /* NOLINT(portability-no-assembler): there is none in it */
#endif
    return f;
}

/* Likewise. */
static struct pf_ring *rings_of(struct pf *pf)
{
    struct pf_ring *rings = pf->ring;
#if defined(__GNUC__)
    __asm__("" : "+r"(rings)); /* NOLINT(portability-no-assembler): there is none in it */
#endif
    return rings;
}

static bool is_long(struct pf *pf, unsigned side, unsigned link)
{
    unsigned n = 0;
    for (; link != 0; n++) {
        link = linked(pf, link)->next[side];
    }
    return n >= PF_CHAIN_MAX;
}

/* At the end of its new class's ring, which may be its old one. */
static void set_class(struct pf *pf, struct pf_flow *f, unsigned to)
{
    struct pf_ring *const rings = rings_of(pf);
    const unsigned i = index_of(pf, f);
    struct pf_ring *const own = &rings[i];
    struct pf_ring *const end = &rings[PF_FLOWS + to];
    const unsigned from = class_of(f);
    rings[own->prev].next = own->next;
    rings[own->next].prev = own->prev;
    pf->class_count[from]--;
    own->next = (uint16_t)(PF_FLOWS + to);
    own->prev = end->prev;
    rings[end->prev].next = (uint16_t)i;
    end->prev = (uint16_t)i;
    pf->class_count[to]++;
    f->kind = (uint8_t)((f->kind & PF_KIND_ALL) | to << PF_KIND_CLASS_SHIFT);
    if (from == PF_CLASS_PHONE_PROTECTED) {
        pf->protected_flows[f->peer]--;
    }
    if (to == PF_CLASS_PHONE_PROTECTED) {
        pf->protected_flows[f->peer]++;
    }
}

void pf_flows_init(struct pf *pf)
{
    memset(pf->flow, 0, sizeof(pf->flow));
    memset(pf->flow_head, 0, sizeof(pf->flow_head));
    memset(pf->class_count, 0, sizeof(pf->class_count));
    for (unsigned i = 0; i < PF_FLOWS + PF_CLASS_COUNT; i++) {
        const bool free = i <= PF_FLOWS; /* the first class is that of all, and begins behind the last of them */
        pf->ring[i].next = (uint16_t)(free ? (i + 1) % (PF_FLOWS + 1) : i);
        pf->ring[i].prev = (uint16_t)(free ? (i + PF_FLOWS) % (PF_FLOWS + 1) : i);
    }
    pf->class_count[PF_CLASS_FREE] = PF_FLOWS;
    memset(pf->protected_flows, 0, sizeof(pf->protected_flows));
    for (unsigned i = 0; i < PF_CLAIM_FLOWS; i++) {
        pf->claim_place[i] = (uint8_t)i;
    }
    pf_maps_init(pf);
}

/* An established TCP connection. */
static bool is_settled(const struct pf_flow *f)
{
    return (f->state & (PF_T_OPEN | PF_T_RST)) == PF_T_OPEN && (f->state & PF_T_BOTH_FIN) != PF_T_BOTH_FIN;
}

bool pf_flow_expired(const struct pf *pf, const struct pf_flow *f)
{
    static const uint16_t limit_s[PF_PROTO_COUNT] = {PF_TIME_TCP_TRANSITORY, PF_TIME_UDP, PF_TIME_ICMP};
    uint32_t limit = limit_s[f->kind & PF_KIND_PROTO];
    if (is_settled(f)) {
        limit = PF_TIME_TCP;
    }
    if (pf_is_claim(f->kind, f->peer)) {
        limit = PF_TIME_CLAIM;
    }
    return pf->now - f->seen > limit * 1000;
}

static void expire(struct pf *pf, struct pf_flow *f)
{
    pf_flow_end(pf, f);
    pf_count(pf, PF_C_flows_expired);
}

/* Connections to the claim port. */
static unsigned claims_of(const struct pf *pf)
{
    return (unsigned)pf->class_count[PF_CLASS_CLAIM_LOOSE] + pf->class_count[PF_CLASS_CLAIM_SETTLED];
}

/* The flow that one side's frames belong to: the remote's, by the port at X, or the owner's, by its own port. */
struct pf_flow *pf_flow_find(struct pf *pf, unsigned side, unsigned key, uint32_t raddr, uint32_t rport, uint32_t port)
{
    pf->remote = hash_remote(pf, raddr, rport);
    unsigned i = *head_of(pf, side, pf->remote, port, key);
    while (i != 0) {
        struct pf_flow *f = linked(pf, i);
        if (f->raddr == raddr && f->rport == rport && f->port[side] == port &&
            (f->kind & PF_KIND_SEEN_BY(side)) == key) {
            if (!pf_flow_expired(pf, f)) {
                return f;
            }
            expire(pf, f);
            break;
        }
        i = f->next[side];
    }
    return NULL;
}

/* The packet goes on in its flow. PF_C_none: there is none, or it has ended and the packet begins another. */
enum pf_counter pf_flow_pass(struct pf *pf, struct pf_pkt *p, unsigned side, unsigned owner)
{
    struct pf_flow *f = NULL;
    if (!pf->no_flow) {
        f = pf_flow_find(pf, side, p->proto | owner, p->addr[side], p->port[side], p->port[side ^ 1U]);
    }
    if (f == NULL) {
        return PF_C_none;
    }
    if (p->proto == PF_TCP && pf_tcp_opens_anew(f, p->flags, side)) {
        const enum pf_counter c = side == PF_FROM_REMOTE ? pf_flow_sender(pf, p, f, side) : PF_C_none;
        if (c == PF_C_none) { /* what is dropped changes nothing */
            pf_tcp_reset_claim(pf, f);
            pf_flow_end(pf, f);
        }
        return c;
    }
    return pf_forward(pf, p, f, side);
}

/* The class that a flow's state asks for. */
static unsigned class_for(const struct pf *pf, const struct pf_flow *f)
{
    const bool settled = is_settled(f);
    unsigned to = settled ? PF_CLASS_SETTLED : PF_CLASS_LOOSE;
    if (pf_is_claim(f->kind, f->peer)) {
        to = settled ? PF_CLASS_CLAIM_SETTLED : PF_CLASS_CLAIM_LOOSE;
    } else if (pf_is_lease(f->peer)) {
        const bool room = class_of(f) == PF_CLASS_PHONE_PROTECTED || pf->protected_flows[f->peer] < PF_LEASE_PROTECTED;
        to = settled && room ? PF_CLASS_PHONE_PROTECTED : PF_CLASS_PHONE_LOOSE;
    }
    return to;
}

void pf_flow_classify(struct pf *pf, struct pf_flow *f)
{
    const unsigned to = class_for(pf, f);
    if (to != class_of(f)) {
        set_class(pf, f, to);
    }
}

/* The longer idle of the first two of a class; NULL: it is empty. */
static struct pf_flow *victim_of(struct pf *pf, unsigned class)
{
    const unsigned i = pf->ring[PF_FLOWS + class].next;
    if (i >= PF_FLOWS) {
        return NULL;
    }
    struct pf_flow *first = &pf->flow[i];
    const unsigned k = pf->ring[i].next;
    if (k < PF_FLOWS && pf->now - pf->flow[k].seen > pf->now - first->seen) {
        set_class(pf, first, class); /* others get their turn to be looked at */
        return &pf->flow[k];
    }
    return first;
}

/* Out of the indexes; it keeps its place in its class. */
static void unlink_flow(struct pf *pf, struct pf_flow *f)
{
    const unsigned link = index_of(pf, f) + 1;
    const uint32_t remote = hash_remote(pf, f->raddr, f->rport);
    for (unsigned side = 0; side < 2; side++) {
        uint16_t *at = head_of(pf, side, remote, f->port[side], f->kind);
        while (*at != link) {
            at = &linked(pf, *at)->next[side];
        }
        *at = f->next[side];
    }
    pf_map_put(pf, pf->flow_map[link - 1]);
    if (class_of(f) >= PF_CLASS_CLAIM_LOOSE) {
        pf->claim_place[claims_of(pf) - 1] = f->scale;
    }
}

void pf_flow_end(struct pf *pf, struct pf_flow *f)
{
    unlink_flow(pf, f);
    set_class(pf, f, PF_CLASS_FREE);
}

/* Connections to the claim port are few and short. The first half-open one gives way, or the first open one where these have more
 * than half of the places: who floods, or holds connections, locks nobody out. NULL: there is room for one more. */
static struct pf_flow *claim_victim(const struct pf *pf)
{
    if (claims_of(pf) < PF_CLAIM_FLOWS) {
        return NULL;
    }
    const bool many = pf->class_count[PF_CLASS_CLAIM_LOOSE] >= PF_CLAIM_FLOWS / 2;
    const unsigned class = many ? PF_CLASS_CLAIM_LOOSE : PF_CLASS_CLAIM_SETTLED;
    return (struct pf_flow *)&pf->flow[pf->ring[PF_FLOWS + class].next];
}

/* A free place, or that of a flow that gives way to a new one of a class, and keeps its own until then; NULL: none. A class is tried when those before it are empty. */
static struct pf_flow *take(struct pf *pf, unsigned class)
{
    enum {
        FROM_OTHERS = PF_CLASS_LOOSE | PF_CLASS_PHONE_LOOSE << 4 | PF_CLASS_SETTLED << 8,
        FROM_PHONES = PF_CLASS_PHONE_LOOSE | PF_CLASS_LOOSE << 4 | PF_CLASS_SETTLED << 8,
        OWN = PF_CLASS_LOOSE | PF_CLASS_SETTLED << 4
    };
    const bool phone = class == PF_CLASS_PHONE_LOOSE;
    const unsigned others = (unsigned)pf->class_count[PF_CLASS_LOOSE] + pf->class_count[PF_CLASS_SETTLED];
    struct pf_flow *f = NULL;
    if (class == PF_CLASS_CLAIM_LOOSE) {
        f = claim_victim(pf);
        if (f != NULL) {
            pf_tcp_reset_claim(pf, f);
        }
    }
    if (f == NULL && pf->class_count[PF_CLASS_FREE] > 0 && (phone || others < PF_FLOWS - PF_PHONE_SHARE)) {
        return &pf->flow[pf->ring[PF_FLOWS + PF_CLASS_FREE].next];
    }
    unsigned order = others < PF_OTHER_SHARE ? FROM_PHONES : phone ? FROM_OTHERS : OWN;
    for (; order != 0 && f == NULL; order >>= 4) {
        f = victim_of(pf, order & 15);
    }
    if (f != NULL) {
        unlink_flow(pf, f);
        pf_count(pf, PF_C_flows_evicted);
    }
    return f;
}

/* The change of a flow's TCP or UDP checksum on its way out. Modulo 0xffff, so that 0 stands for all that leave it as it is. */
static uint16_t delta_of(const struct pf *pf, const struct pf_flow *f)
{
    uint32_t change = sum_change16(f->port[PF_FROM_OWNER], f->port[PF_FROM_REMOTE]);
    if ((f->kind & PF_KIND_SPEAKER) != 0 && (f->kind & PF_KIND_PROTO) != PF_ICMP) { /* which has no pseudo header */
        change += pf->delta_addr;
    }
    const uint16_t delta = sum_fold(change);
    return delta == 0xffff ? 0 : delta;
}

/* The packet, which has been looked for, begins a flow: it is made, and the packet goes on its way in it. `kind`: PF_KIND_* without class. All that may be in its
 * way is looked at before another flow gives way to it. */
enum pf_counter pf_flow_open(struct pf *pf, struct pf_pkt *p, unsigned kind, unsigned peer)
{
    const unsigned side = (kind & PF_KIND_INBOUND) != 0 ? PF_FROM_REMOTE : PF_FROM_OWNER;
    const bool claim = pf_is_claim(kind, peer);
    if ((kind & PF_KIND_SPEAKER) != 0 && p->frame[PF_O_TTL] <= 1) { /* what is dropped leaves no flow */
        return PF_C_drop_ttl;
    }
    const unsigned map = pf_map_get(pf, kind, (uint16_t)p->port[side ^ 1U]);
    if (map == 0) {
        return PF_C_drop_ports_full;
    }
    const uint16_t *port = pf_map_at(pf, map)->port;
    uint16_t *const by_remote = head_of(pf, PF_FROM_REMOTE, pf->remote, port[PF_FROM_REMOTE], kind);
    uint16_t *const by_owner = head_of(pf, PF_FROM_OWNER, pf->remote, port[PF_FROM_OWNER], kind);
    if (is_long(pf, PF_FROM_REMOTE, *by_remote) || is_long(pf, PF_FROM_OWNER, *by_owner)) {
        pf_map_put(pf, map);
        return PF_C_drop_chain_full;
    }
    const unsigned class = claim ? PF_CLASS_CLAIM_LOOSE : pf_is_lease(peer) ? PF_CLASS_PHONE_LOOSE : PF_CLASS_LOOSE;
    struct pf_flow *f = take(pf, class);
    if (f == NULL) {
        pf_map_put(pf, map);
        return PF_C_drop_flows_full;
    }
    set_class(pf, f, class);
    const unsigned link = index_of(pf, f) + 1;
    f->port[PF_FROM_REMOTE] = port[PF_FROM_REMOTE];
    f->port[PF_FROM_OWNER] = port[PF_FROM_OWNER];
    f->next[PF_FROM_REMOTE] = *by_remote;
    f->next[PF_FROM_OWNER] = *by_owner;
    *by_remote = (uint16_t)link;
    *by_owner = (uint16_t)link;
    pf->flow_map[link - 1] = (uint16_t)map;
    f->raddr = p->addr[side];
    f->rport = (uint16_t)p->port[side];
    f->seen = pf->now;
    f->kind = (uint8_t)(kind | class << PF_KIND_CLASS_SHIFT);
    f->delta = delta_of(pf, f);
    f->state = 0;
    f->scale = 0;
    f->peer = (uint8_t)peer;
    f->u.end[PF_FROM_REMOTE] = 0;
    f->u.end[PF_FROM_OWNER] = 0;
    if (claim) {
        pf_mac_copy(f->u.mac, p->frame + 6);
        f->scale = pf->claim_place[claims_of(pf) - 1];
        pf->claim_next[f->scale] = be32(p->l4 + PF_TCP_SEQ) + 1;
    }
    if (p->proto == PF_TCP) {
        pf_tcp_syn(f, p, side);
    }
    pf_count(pf, PF_C_flows_made);
    return pf_send_on(pf, p, f, side);
}

/* Is it with that peer, or one of PF_ENDS_*? */
static bool is_of(const struct pf *pf, const struct pf_flow *f, unsigned peer)
{
    const bool leased = pf_is_lease(f->peer);
    if (peer == PF_ENDS_SERVICES) {
        return leased && (f->kind & PF_KIND_INBOUND) != 0 &&
               !pf_is_service(pf, f->kind & PF_KIND_PROTO, f->port[PF_FROM_REMOTE]);
    }
    return f->peer == peer || (peer >= PF_ENDS_SPEAKER && (f->kind & PF_KIND_SPEAKER) != 0) ||
           (peer == PF_ENDS_LEASED && leased);
}

/* All flows with one peer: a lease that ends, an address that is no peer's any more. Or all phones' to what is no service any more (PF_ENDS_SERVICES), all of the
 * speaker (PF_ENDS_SPEAKER), or those and the host's with leased phones (PF_ENDS_LEASED). Returns their number. */
int pf_flows_end_of(struct pf *pf, unsigned peer)
{
    int ended = 0;
    pf_frags_sweep(pf, 0);
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        struct pf_flow *f = &pf->flow[i];
        if (class_of(f) != PF_CLASS_FREE && is_of(pf, f, peer)) {
            pf_tcp_reset_owner(pf, f);
            pf_flow_end(pf, f);
            pf_count(pf, PF_C_flows_ended);
            ended++;
        }
    }
    return ended;
}

void pf_flows_sweep(struct pf *pf)
{
    for (unsigned n = 0; n < PF_SWEEP; n++) {
        struct pf_flow *f = &pf->flow[pf->sweep];
        pf->sweep = (uint16_t)((pf->sweep + 1) % PF_FLOWS);
        if (class_of(f) != PF_CLASS_FREE && pf_flow_expired(pf, f)) {
            expire(pf, f);
        }
    }
}

bool pf_flow_get(struct pf *pf, size_t i, struct pf_flow_info *info, uint32_t now_ms)
{
    static const uint8_t number[PF_PROTO_COUNT] = {PF_IPPROTO_TCP, PF_IPPROTO_UDP, PF_IPPROTO_ICMP};
    pf->now = now_ms;
    const struct pf_flow *f = &pf->flow[i];
    if (class_of(f) == PF_CLASS_FREE || pf_flow_expired(pf, f)) {
        return false;
    }
    info->proto = number[f->kind & PF_KIND_PROTO];
    info->owner = (f->kind & PF_KIND_SPEAKER) != 0 ? PF_OWNER_SPEAKER : PF_OWNER_HOST;
    info->state = 1;
    if ((f->kind & PF_KIND_PROTO) == PF_TCP) {
        const bool closing = (f->state & (PF_T_RST | PF_T_BOTH_FIN)) != 0;
        info->state = closing ? 2 : (f->state & PF_T_OPEN) != 0 ? 1 : 0;
    }
    info->remote_addr = f->raddr;
    info->remote_port = f->rport;
    info->local_port = f->port[PF_FROM_OWNER];
    info->external_port = f->port[PF_FROM_REMOTE];
    info->idle_s = (now_ms - f->seen) / 1000;
    return true;
}

bool pf_flow_mac(struct pf *pf, enum pf_proto proto, uint32_t raddr, uint16_t rport, uint16_t lport, uint8_t mac[6],
                 uint32_t now_ms)
{
    pf->now = now_ms;
    const struct pf_flow *f = pf_flow_find(pf, PF_FROM_OWNER, proto, raddr, rport, lport);
    if (f == NULL || !pf_is_claim(f->kind, f->peer) || !pf_on_link(pf, raddr)) {
        return false;
    }
    const struct pf_peer *router = &pf->peer[PF_PEER_ROUTER];
    if (router->state == PF_PEER_KNOWN && raddr != router->addr && pf_mac_eq(router->mac, f->u.mac)) {
        return false; /* the router answers for others: that MAC is nobody's own */
    }
    memcpy(mac, f->u.mac, 6);
    return true;
}
