/*
 * The flow table. Two hash indexes over one array: by what the uplink sees (remote address and port, port at X) and by
 * what the owner sees (remote address and port, the owner's own port, which owner). Both are constant-time: the hash is
 * keyed, and chains have a hard limit.
 *
 * Each flow is in one class; a bitmap per class finds a free or an evictable one without touching the flows.
 */
#include "pf_core.h"

enum { WORDS = PF_FLOWS / 32, SAMPLE = 8 };

static unsigned index_of(const struct pf *pf, const struct pf_flow *f)
{
    return (unsigned)(f - pf->flow);
}

static unsigned class_of(const struct pf_flow *f)
{
    return f->kind >> PF_KIND_CLASS_SHIFT;
}

static uint32_t hash_of(const struct pf *pf, uint32_t raddr, uint16_t rport, uint16_t port)
{
    return pf_hash_flow(pf, pf_hash_pair(pf, raddr & 0xffff, raddr >> 16), rport, port);
}

static uint16_t *ext_bucket(struct pf *pf, unsigned proto, uint32_t raddr, uint16_t rport, uint16_t eport)
{
    return &pf->ext_head[(hash_of(pf, raddr, rport, eport) ^ proto) & (PF_BUCKETS - 1)];
}

static uint16_t *loc_bucket(struct pf *pf, unsigned key, uint32_t raddr, uint16_t rport, uint16_t lport)
{
    return &pf->loc_head[(hash_of(pf, raddr, rport, lport) ^ key) & (PF_BUCKETS - 1)];
}

void pf_flows_init(struct pf *pf)
{
    memset(pf->flow, 0, sizeof(pf->flow));
    memset(pf->ext_head, 0, sizeof(pf->ext_head));
    memset(pf->loc_head, 0, sizeof(pf->loc_head));
    memset(pf->class_bits, 0, sizeof(pf->class_bits));
    memset(pf->class_count, 0, sizeof(pf->class_count));
    memset(pf->class_bits[PF_CLASS_FREE], 0xff, sizeof(pf->class_bits[PF_CLASS_FREE]));
    memset(pf->claims, 0, sizeof(pf->claims));
    pf->class_count[PF_CLASS_FREE] = PF_FLOWS;
    for (unsigned i = 0; i < PF_LEASES; i++) {
        pf->lease[i].protected_flows = 0;
    }
}

static uint32_t idle_limit(const struct pf_flow *f)
{
    if (pf_is_claim(f->kind, f->peer)) {
        return PF_TIME_CLAIM;
    }
    switch (f->kind & PF_KIND_PROTO) {
    case PF_UDP:
        return PF_TIME_UDP;
    case PF_ICMP:
        return PF_TIME_ICMP;
    default:
        break;
    }
    if ((f->state & (PF_T_OPEN | PF_T_RST)) == PF_T_OPEN && (f->state & PF_T_BOTH_FIN) != PF_T_BOTH_FIN) {
        return PF_TIME_TCP;
    }
    return PF_TIME_TCP_TRANSITORY;
}

bool pf_flow_expired(const struct pf *pf, const struct pf_flow *f)
{
    return pf->now - f->seen > idle_limit(f) * 1000;
}

static struct pf_flow *expire(struct pf *pf, struct pf_flow *f)
{
    pf_flow_end(pf, f);
    pf_count(pf, PF_C_flows_expired);
    return NULL;
}

struct pf_flow *pf_flow_in(struct pf *pf, unsigned proto, uint32_t raddr, uint16_t rport, uint16_t eport)
{
    for (unsigned i = *ext_bucket(pf, proto, raddr, rport, eport); i != 0; i = pf->flow[i - 1].next_ext) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == raddr && f->rport == rport && f->eport == eport && (f->kind & PF_KIND_PROTO) == proto) {
            return pf_flow_expired(pf, f) ? expire(pf, f) : f;
        }
    }
    return NULL;
}

struct pf_flow *pf_flow_out(struct pf *pf, unsigned key, uint32_t raddr, uint16_t rport, uint16_t lport)
{
    for (unsigned i = *loc_bucket(pf, key, raddr, rport, lport); i != 0; i = pf->flow[i - 1].next_loc) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == raddr && f->rport == rport && f->lport == lport && (f->kind & PF_KIND_KEY) == key) {
            return pf_flow_expired(pf, f) ? expire(pf, f) : f;
        }
    }
    return NULL;
}

static void set_class(struct pf *pf, struct pf_flow *f, enum pf_class to)
{
    const unsigned i = index_of(pf, f);
    const unsigned from = class_of(f);
    pf->class_bits[from][i / 32] &= ~(1U << i % 32);
    pf->class_count[from]--;
    pf->class_bits[to][i / 32] |= 1U << i % 32;
    pf->class_count[to]++;
    f->kind = (uint8_t)((f->kind & ((1 << PF_KIND_CLASS_SHIFT) - 1)) | (unsigned)to << PF_KIND_CLASS_SHIFT);
}

static struct pf_lease *lease_of(struct pf *pf, const struct pf_flow *f)
{
    return pf_is_lease(f->peer) ? &pf->lease[f->peer - PF_PEER_LEASE] : NULL;
}

/* Puts a flow into the class that its state asks for. */
void pf_flow_classify(struct pf *pf, struct pf_flow *f)
{
    struct pf_lease *lease = lease_of(pf, f);
    const bool settled =
        (f->state & (PF_T_OPEN | PF_T_RST)) == PF_T_OPEN && (f->state & PF_T_BOTH_FIN) != PF_T_BOTH_FIN;
    const bool was_protected = class_of(f) == PF_CLASS_PHONE_PROTECTED;
    enum pf_class to = settled ? PF_CLASS_SETTLED : PF_CLASS_LOOSE;
    if (lease != NULL) {
        to = PF_CLASS_PHONE_LOOSE;
        if (was_protected) {
            lease->protected_flows--;
        }
        if (settled && lease->protected_flows < PF_LEASE_PROTECTED) {
            lease->protected_flows++;
            to = PF_CLASS_PHONE_PROTECTED;
        }
    }
    set_class(pf, f, to);
}

/* By a de Bruijn sequence: its product with a power of two has a place of its own in its upper five bits. */
static unsigned lowest_bit(uint32_t bits)
{
    static const uint8_t place[32] = {0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
                                      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
    return place[(bits & (~bits + 1)) * 0x077cb531U >> 27];
}

/* The first member of a class from `from` on, round the table; PF_FLOWS if the class is empty. */
static unsigned next_of(const struct pf *pf, enum pf_class class, unsigned from)
{
    for (unsigned n = 0; n <= WORDS; n++) {
        const unsigned w = (from / 32 + n) % WORDS;
        uint32_t bits = pf->class_bits[class][w];
        if (n == 0) {
            bits &= ~0U << from % 32;
        }
        if (bits != 0) {
            return w * 32 + lowest_bit(bits);
        }
    }
    return PF_FLOWS;
}

/* The longest idle of a few members of a class. */
static unsigned victim_of(struct pf *pf, enum pf_class class)
{
    unsigned best = PF_FLOWS;
    uint32_t best_idle = 0;
    unsigned look = pf->class_count[class] < SAMPLE ? pf->class_count[class] : SAMPLE;
    for (; look > 0; look--) {
        const unsigned i = next_of(pf, class, pf->hand);
        const uint32_t idle = pf->now - pf->flow[i].seen;
        if (best == PF_FLOWS || idle > best_idle) {
            best = i;
            best_idle = idle;
        }
        pf->hand = (uint16_t)((i + 1) % PF_FLOWS);
    }
    return best;
}

/* The flow that gives way to a new one; PF_FLOWS: none. A class is tried when those before it are empty. */
static unsigned evictable(struct pf *pf, bool phone, unsigned others)
{
    static const uint8_t from_others[] = {PF_CLASS_LOOSE, PF_CLASS_PHONE_LOOSE, PF_CLASS_SETTLED};
    static const uint8_t from_phones[] = {PF_CLASS_PHONE_LOOSE, PF_CLASS_LOOSE, PF_CLASS_SETTLED};
    static const uint8_t own[] = {PF_CLASS_LOOSE, PF_CLASS_SETTLED};
    const bool few = others < PF_OTHER_SHARE;
    const uint8_t *order = few ? from_phones : phone ? from_others : own;
    const unsigned count = few || phone ? 3 : 2;
    unsigned i = PF_FLOWS;
    for (unsigned n = 0; n < count && i == PF_FLOWS; n++) {
        i = victim_of(pf, order[n]);
    }
    return i;
}

static struct pf_flow *take(struct pf *pf, bool phone)
{
    const unsigned others = (unsigned)pf->class_count[PF_CLASS_LOOSE] + pf->class_count[PF_CLASS_SETTLED];
    if (pf->class_count[PF_CLASS_FREE] > 0 && (phone || others < PF_FLOWS - PF_PHONE_SHARE)) {
        return &pf->flow[next_of(pf, PF_CLASS_FREE, pf->hand)];
    }
    const unsigned i = evictable(pf, phone, others);
    if (i == PF_FLOWS) {
        return NULL;
    }
    pf_flow_end(pf, &pf->flow[i]);
    pf_count(pf, PF_C_flows_evicted);
    return &pf->flow[i];
}

/* Connections to the claim port are few and short, and pf->claims has them in the order of their opening. The first
 * half-open one gives way, else the first: who floods, or holds connections, locks nobody out. */
static void take_claim(struct pf *pf)
{
    unsigned victim = PF_CLAIM_FLOWS;
    for (unsigned i = 0; i < PF_CLAIM_FLOWS; i++) {
        if (pf->claims[i] == 0) {
            return;
        }
        if (victim == PF_CLAIM_FLOWS && class_of(&pf->flow[pf->claims[i] - 1]) == PF_CLASS_LOOSE) {
            victim = i;
        }
    }
    pf_flow_end(pf, &pf->flow[pf->claims[victim % PF_CLAIM_FLOWS] - 1]);
    pf_count(pf, PF_C_flows_evicted);
}

static void note_claim(struct pf *pf, uint16_t link)
{
    unsigned i = 0;
    while (pf->claims[i] != 0) { /* take_claim() made room */
        i++;
    }
    pf->claims[i] = link;
}

static void forget_claim(struct pf *pf, uint16_t link)
{
    unsigned to = 0;
    for (unsigned i = 0; i < PF_CLAIM_FLOWS; i++) {
        if (pf->claims[i] != link) {
            pf->claims[to++] = pf->claims[i];
        }
    }
    while (to < PF_CLAIM_FLOWS) {
        pf->claims[to++] = 0;
    }
}

static unsigned chain_length(const struct pf *pf, unsigned i, bool ext)
{
    unsigned n = 0;
    for (; i != 0 && n < PF_CHAIN_MAX; n++) {
        i = ext ? pf->flow[i - 1].next_ext : pf->flow[i - 1].next_loc;
    }
    return n;
}

/* The change of a flow's TCP or UDP checksum on its way out. Modulo 0xffff, so that 0 stands for all that leave it as it is. */
static uint16_t delta_of(const struct pf *pf, unsigned kind, uint16_t lport, uint16_t eport)
{
    uint32_t change = sum_change16(lport, eport);
    if ((kind & PF_KIND_SPEAKER) != 0) {
        change += sum_change32(pf->cfg.speaker_addr, pf->cfg.addr);
    }
    const uint16_t delta = sum_fold(change);
    return delta == 0xffff ? 0 : delta;
}

/*
 * A new flow. `kind`: PF_KIND_* without class; `lport`: the owner's own port (for one that the remote opens: also the
 * port at X). NULL: refused, and *why says why.
 */
struct pf_flow *pf_flow_new(struct pf *pf, unsigned kind, uint32_t raddr, uint16_t rport, uint16_t lport, unsigned peer,
                            enum pf_counter *why)
{
    const unsigned key = kind & PF_KIND_KEY;
    if (pf_is_claim(kind, peer)) {
        take_claim(pf);
    }
    struct pf_flow *f = take(pf, pf_is_lease(peer));
    if (f == NULL) {
        *why = PF_C_drop_flows_full;
        return NULL;
    }
    const struct pf_map *map = pf_map_get(pf, key, lport, (kind & PF_KIND_INBOUND) != 0);
    if (map == NULL) {
        *why = PF_C_drop_ports_full;
        return NULL;
    }
    uint16_t *ext = ext_bucket(pf, kind & PF_KIND_PROTO, raddr, rport, map->eport);
    uint16_t *loc = loc_bucket(pf, key, raddr, rport, lport);
    if (chain_length(pf, *ext, true) >= PF_CHAIN_MAX || chain_length(pf, *loc, false) >= PF_CHAIN_MAX) {
        pf_map_put(pf, key, lport);
        *why = PF_C_drop_chain_full;
        return NULL;
    }
    const uint16_t link = (uint16_t)(index_of(pf, f) + 1);
    f->raddr = raddr;
    f->lport = lport;
    f->rport = rport;
    f->eport = map->eport;
    f->delta = delta_of(pf, kind, lport, map->eport);
    f->seen = pf->now;
    f->u.end[0] = 0;
    f->u.end[1] = 0;
    f->state = 0;
    f->scale = 0;
    f->kind = (uint8_t)kind; /* class: free */
    f->peer = (uint8_t)peer;
    f->next_ext = *ext;
    f->next_loc = *loc;
    *ext = link;
    *loc = link;
    if (pf_is_claim(kind, peer)) {
        note_claim(pf, link);
    }
    pf_flow_classify(pf, f);
    pf_count(pf, PF_C_flows_made);
    return f;
}

static void unlink_ext(struct pf *pf, const struct pf_flow *f)
{
    const unsigned link = index_of(pf, f) + 1;
    uint16_t *at = ext_bucket(pf, f->kind & PF_KIND_PROTO, f->raddr, f->rport, f->eport);
    while (*at != link && *at != 0) {
        at = &pf->flow[*at - 1].next_ext;
    }
    *at = f->next_ext;
}

static void unlink_loc(struct pf *pf, const struct pf_flow *f)
{
    const unsigned link = index_of(pf, f) + 1;
    uint16_t *at = loc_bucket(pf, f->kind & PF_KIND_KEY, f->raddr, f->rport, f->lport);
    while (*at != link && *at != 0) {
        at = &pf->flow[*at - 1].next_loc;
    }
    *at = f->next_loc;
}

void pf_flow_end(struct pf *pf, struct pf_flow *f)
{
    struct pf_lease *lease = lease_of(pf, f);
    if (lease != NULL && class_of(f) == PF_CLASS_PHONE_PROTECTED) {
        lease->protected_flows--;
    }
    unlink_ext(pf, f);
    unlink_loc(pf, f);
    pf_map_put(pf, f->kind & PF_KIND_KEY, f->lport);
    if (pf_is_claim(f->kind, f->peer)) {
        forget_claim(pf, (uint16_t)(index_of(pf, f) + 1));
    }
    set_class(pf, f, PF_CLASS_FREE);
}

static void end_early(struct pf *pf, struct pf_flow *f)
{
    pf_tcp_reset_owner(pf, f);
    pf_flow_end(pf, f);
    pf_count(pf, PF_C_flows_ended);
}

/* All flows with one peer: a lease that ends, an address that is no peer's any more. */
int pf_flows_end_of(struct pf *pf, unsigned peer)
{
    int ended = 0;
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        struct pf_flow *f = &pf->flow[i];
        if (class_of(f) != PF_CLASS_FREE && f->peer == peer) {
            end_early(pf, f);
            ended++;
        }
    }
    return ended;
}

/* All flows of the speaker; with `leased` also those that the host has with leased phones. */
void pf_flows_end_speaker(struct pf *pf, bool leased)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        struct pf_flow *f = &pf->flow[i];
        if (class_of(f) != PF_CLASS_FREE && ((f->kind & PF_KIND_SPEAKER) != 0 || (leased && pf_is_lease(f->peer)))) {
            end_early(pf, f);
        }
    }
}

void pf_flows_sweep(struct pf *pf)
{
    for (unsigned n = 0; n < PF_SWEEP; n++) {
        struct pf_flow *f = &pf->flow[pf->sweep];
        pf->sweep = (uint16_t)((pf->sweep + 1) % PF_FLOWS);
        if (class_of(f) != PF_CLASS_FREE && pf_flow_expired(pf, f)) {
            (void)expire(pf, f);
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
    info->local_port = f->lport;
    info->external_port = f->eport;
    info->idle_s = (now_ms - f->seen) / 1000;
    return true;
}

bool pf_flow_mac(struct pf *pf, enum pf_proto proto, uint32_t raddr, uint16_t rport, uint16_t lport, uint8_t mac[6],
                 uint32_t now_ms)
{
    pf->now = now_ms;
    const struct pf_flow *f = pf_flow_out(pf, pf_kind_key(proto, PF_OWNER_HOST), raddr, rport, lport);
    if (f == NULL || !pf_is_claim(f->kind, f->peer) || !pf_on_link(pf, raddr)) {
        return false;
    }
    const struct pf_peer *router = &pf->peer[PF_PEER_ROUTER];
    if (router->state == PF_PEER_KNOWN && raddr != router->addr && memcmp(router->mac, f->u.mac, 6) == 0) {
        return false; /* the router answers for others: that MAC is nobody's own */
    }
    memcpy(mac, f->u.mac, 6);
    return true;
}
