/*
 * Fragments (RFC 4787 REQ-14), without reassembly. The first fragment of a datagram holds the UDP or ICMP header: it goes
 * through the rules like a whole packet, and what they made of it - addresses, port, verdict - is what happens to the others,
 * which may come before it: then they wait. A bitmap of what has come lets nothing pass twice, so that filter and receiver
 * see the same datagram (RFC 1858, 3128, 5722). Fragments of TCP do not pass: every TCP of today finds its path's MTU.
 */
#include "pf_core.h"

enum { LOST = 0x8000, UNIT = 8, MORE = 0x2000, RESERVED = 0x8000, OFFSET = 0x1fff };

/* struct pf_frag.state */
enum { FREE, WAITING, PASSING, ENDED };

/* struct pf_frag.rank: whose places may be taken for whom. */
enum { STRANGER, KNOWN, PHONE };

/* What is known of a fragment that came. */
struct piece {
    struct pf_frag_key key;
    uint8_t *frame;
    uint32_t len;   /* of the frame, padding cut off */
    uint32_t start; /* in bytes after the IP header */
    uint32_t end;
    uint32_t total; /* of the datagram; 0: this fragment does not tell */
};

/* How a fragment that waits names its datagram: pointers would not survive that the state is copied, indexes cost more code. */
static uint32_t offset_of(const struct pf *pf, const struct pf_frag *e)
{
    return (uint32_t)((const uint8_t *)e - (const uint8_t *)pf);
}

/* The datagram is over for the filter; its fragments that wait are lost. */
static void forget(struct pf *pf, struct pf_frag *e, unsigned state)
{
    e->state = state;
    for (unsigned i = 0; i < PF_HELD; i++) {
        struct pf_held *h = &pf->held[i];
        if (h->len != 0 && h->frag == offset_of(pf, e)) {
            h->len = 0;
            pf_count(pf, PF_C_drop_fragment_late);
        }
    }
}

/* Forgets the datagrams whose first fragment came at least `age` ms ago. */
void pf_frags_sweep(struct pf *pf, uint32_t age)
{
    for (unsigned i = 0; i < PF_FRAGS; i++) {
        if (pf->now - pf->frag[i].time >= age) {
            forget(pf, &pf->frag[i], FREE);
        }
    }
}

static struct pf_frag *find(struct pf *pf, const struct pf_frag_key *key)
{
    for (unsigned i = 0; i < PF_FRAGS; i++) {
        if (pf->frag[i].state != FREE && memcmp(&pf->frag[i].key, key, sizeof(*key)) == 0) {
            return &pf->frag[i];
        }
    }
    return NULL;
}

/* A place for one more datagram: each rank has its own ones, where the oldest gives way. */
static struct pf_frag *begin(struct pf *pf, const struct pf_frag_key *key, unsigned rank)
{
    static const uint8_t begins[] = {0, PF_FRAGS_STRANGERS, PF_FRAGS_STRANGERS + PF_FRAGS_KNOWN, PF_FRAGS};
    struct pf_frag *best = &pf->frag[begins[rank]];
    for (struct pf_frag *e = best; e != &pf->frag[begins[rank + 1]] && best->state != FREE; e++) {
        if (e->state == FREE || pf->now - e->time > pf->now - best->time) {
            best = e;
        }
    }
    forget(pf, best, FREE);
    memset(best, 0, sizeof(*best));
    best->key = *key;
    best->time = pf->now;
    best->rank = rank;
    best->state = WAITING;
    return best;
}

/* Notes what a fragment covers. False: it contradicts one that came before. */
static bool fits(struct pf_frag *e, const struct piece *p)
{
    if (e->total == 0) {
        e->total = p->total;
    }
    if (p->end > e->top) {
        e->top = p->end;
    }
    if ((p->total != 0 && p->total != e->total) || (e->total != 0 && e->top > e->total)) {
        return false;
    }
    for (uint32_t unit = p->start / UNIT; unit < (p->end + UNIT - 1) / UNIT; unit++) {
        uint32_t *word = &e->come[unit / 32];
        const uint32_t bit = 1U << unit % 32;
        if ((*word & bit) != 0) {
            return false;
        }
        *word |= bit;
        e->units++;
    }
    return true;
}

/* A datagram that has all come needs no place any more. */
static void finish(struct pf_frag *e)
{
    if (e->total != 0 && e->units == (e->total + UNIT - 1U) / UNIT) {
        e->state = FREE;
    }
}

/* A fragment that is not the first goes where the first one went. */
static enum pf_counter follow(struct pf *pf, const struct pf_frag *e, uint8_t *frame, uint32_t len)
{
    static const uint8_t port[] = {
        [PF_C_pass_uplink_speaker] = PF_SEGMENT, [PF_C_pass_uplink_host] = PF_HOST_UPLINK,
        [PF_C_pass_speaker_uplink] = PF_UPLINK,  [PF_C_pass_speaker_host] = PF_HOST_SEGMENT,
        [PF_C_pass_host_uplink] = PF_UPLINK,     [PF_C_pass_host_speaker] = PF_SEGMENT,
    };
    const enum pf_counter passed = (enum pf_counter)e->verdict;
    if (passed == PF_C_pass_uplink_speaker || passed == PF_C_pass_speaker_uplink) {
        if (frame[PF_O_TTL] <= 1) {
            return PF_C_drop_ttl;
        }
        frame[PF_O_TTL]--;
    }
    wr16(frame + PF_O_ID, e->to_id);
    wrw(frame + PF_O_SRC, e->to_src);
    wrw(frame + PF_O_DST, e->to_dst);
    pf_sum_ip(frame);
    if (e->peer != PF_NO_PEER) {
        return pf_peer_send(pf, e->peer, frame, len, passed);
    }
    if (port[passed] == PF_SEGMENT) {
        return pf_to_speaker(pf, frame, len, passed);
    }
    pf->out(pf->ctx, (enum pf_port)port[passed], frame, len);
    return passed;
}

static bool has_flow(const struct pf *pf, uint32_t raddr)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *f = &pf->flow[i];
        if (f->raddr == raddr && f->kind >> PF_KIND_CLASS_SHIFT != PF_CLASS_FREE && !pf_flow_expired(pf, f)) {
            return true;
        }
    }
    return false;
}

/* Who sends it? Only the source tells: later fragments have no ports. */
static unsigned rank_of(struct pf *pf, const struct pf_frag_key *key)
{
    if (key->from != PF_UPLINK) {
        return KNOWN;
    }
    const unsigned lease = pf_lease_find(pf, key->src);
    if (lease != PF_NO_PEER) {
        return pf_lease_check(pf, lease, key->mac) == PF_C_none ? PHONE : STRANGER;
    }
    /* The one search through all flows: strangers must not have many of them for nothing. */
    return pf_rate(pf, PF_LIMIT_FRAGMENT, 0) && has_flow(pf, key->src) ? KNOWN : STRANGER;
}

/* Keeps a fragment until the first one of its datagram comes. */
static enum pf_counter hold(struct pf *pf, const struct pf_frag *e, const struct piece *p)
{
    struct pf_held *h = &pf->held[e->rank == PHONE ? PF_HELD_KNOWN : 0];
    const struct pf_held *end = &pf->held[e->rank == PHONE ? PF_HELD : PF_HELD_KNOWN];
    while (h->len != 0) {
        if (++h == end) {
            return PF_C_drop_fragments_full;
        }
    }
    h->len = p->len;
    h->frag = offset_of(pf, e);
    memcpy(h->frame, p->frame, p->len);
    return PF_C_fragments_held;
}

/* A datagram of which a fragment was lost is never whole: its place must not become free for the same ones once more. */
static void note(struct pf_frag *e, enum pf_counter c)
{
    if (c != e->verdict && c != PF_C_frames_pending && c != PF_C_fragments_held) {
        e->units |= LOST;
    }
}

/* What waited for the first fragment. */
static void release(struct pf *pf, struct pf_frag *e)
{
    for (unsigned i = 0; i < PF_HELD; i++) {
        struct pf_held *h = &pf->held[i];
        if (h->len == 0 || h->frag != offset_of(pf, e)) {
            continue;
        }
        const uint32_t len = h->len;
        h->len = 0;
        const enum pf_counter c = follow(pf, e, h->frame, len);
        note(e, c);
        if (c != e->verdict) {
            pf_count(pf, c);
        }
    }
}

/* The first fragment: what the rules say of it holds for the others. */
static enum pf_counter first(struct pf *pf, struct pf_frag *e, const struct piece *p)
{
    uint8_t *frame = p->frame;
    const enum pf_port from = (enum pf_port)p->key.from;
    if (from == PF_SEGMENT || from == PF_HOST_UPLINK) { /* both send as X: their numbers must not meet (RFC 6864) */
        put_be16(frame + PF_O_ID, pf->frag_id++);
        pf_sum_ip(frame);
    }
    pf->in_first = true;
    pf->sent_to = PF_NO_PEER;
    const enum pf_counter c = pf_dispatch(pf, from, frame, p->len);
    pf->in_first = false;
    e->verdict = c;
    if (c == PF_C_frames_pending) {
        e->verdict = from == PF_SEGMENT ? PF_C_pass_speaker_uplink : PF_C_pass_host_uplink;
    }
    if (e->verdict > PF_C_pass_host_speaker || e->state == FREE) { /* refused, or a lease ended meanwhile */
        forget(pf, e, FREE);
        return c;
    }
    e->state = PASSING;
    e->peer = pf->sent_to;
    e->to_id = rd16(frame + PF_O_ID);
    e->to_src = rdw(frame + PF_O_SRC);
    e->to_dst = rdw(frame + PF_O_DST);
    release(pf, e);
    finish(e);
    return c;
}

/* Of UDP or an echo, to one machine, and of sound shape? DHCP, searches and errors are never in fragments. */
static bool is_sound(struct piece *p)
{
    const uint8_t *l4 = p->frame + PF_L4;
    const uint32_t flags = be16(p->frame + PF_O_FRAG);
    const uint32_t data = p->len - PF_L4;
    const bool more = (flags & MORE) != 0;
    const bool udp = p->key.proto == PF_IPPROTO_UDP;
    p->start = (flags & OFFSET) * UNIT;
    p->end = p->start + data;
    p->total = more ? 0 : p->end;
    if ((flags & RESERVED) != 0 || (!udp && p->key.proto != PF_IPPROTO_ICMP) || data == 0 || p->end > PF_FRAG_MAX ||
        (more && data % UNIT != 0) || mac_is_group(p->frame) || p->frame[PF_O_DST] >= 224) {
        return false;
    }
    if (p->start != 0) {
        return true;
    }
    if (udp) {
        p->total = be16(l4 + PF_UDP_LEN);
        return data >= PF_FRAG_FIRST && p->total > data && p->total <= PF_FRAG_MAX && be16(l4 + 2) - 67 > 1;
    }
    return data >= PF_FRAG_FIRST && (l4[0] == 8 || l4[0] == 0);
}

/* A fragment, of which pf_parse() found all else sound. */
enum pf_counter pf_fragment(struct pf *pf, enum pf_port from, uint8_t *frame)
{
    struct piece p = {
        .key = {.src = rdw(frame + PF_O_SRC),
                .dst = rdw(frame + PF_O_DST),
                .id = rd16(frame + PF_O_ID),
                .proto = frame[PF_O_PROTO],
                .from = (uint8_t)from},
        .frame = frame,
        .len = be16(frame + PF_O_TOTAL) + PF_ETH,
    };
    pf_mac_copy(p.key.mac, frame + 6);
    if (!is_sound(&p)) {
        return PF_C_drop_fragment;
    }
    pf_frags_sweep(pf, PF_FRAG_TIME_MS + 1);
    struct pf_frag *e = find(pf, &p.key);
    if (e == NULL) {
        const unsigned rank = rank_of(pf, &p.key);
        if (rank == STRANGER && p.start != 0) {
            return PF_C_drop_fragment_unknown;
        }
        e = begin(pf, &p.key, rank);
    }
    if (e->state == ENDED || !fits(e, &p)) {
        forget(pf, e, ENDED);
        return PF_C_drop_fragment_overlap;
    }
    if (p.start == 0) {
        return first(pf, e, &p);
    }
    const bool waits = e->state == WAITING;
    const enum pf_counter c = waits ? hold(pf, e, &p) : follow(pf, e, frame, p.len);
    note(e, c);
    if (!waits) {
        finish(e);
    }
    return c;
}
