/*
 * The fast path: plain frames of open flows, which is nearly all that ever passes, and strangers' SYNs.
 *
 * One straight function for each side. It reads the frame by words (the IP header is aligned to four bytes, see pf_input())
 * and makes sure of everything that the rules make sure of. A frame that is unusual in any way - options, SYN, FIN, RST, a
 * flow that is not open or over, a neighbour that is not known, an error of any kind - goes on to the rules untouched, and
 * nothing has been changed until then. So the fast path only decides what it is sure of; the tests compare the two
 * (tests/core/world.c).
 */
#include "pf_core.h"

/* What pf_configure() and pf_speaker() know, as frames have it. */
void pf_fast_configure(struct pf *pf)
{
    static const uint8_t ipv4[2] = {8, 0};
    struct pf_link *const links[] = {&pf->uplink, &pf->from_speaker, &pf->to_speaker};
    for (unsigned i = 0; i < 3; i++) {
        memcpy(links[i]->type, ipv4, 2);
    }
    memcpy(pf->uplink.to, pf->cfg.uplink_mac, 6);
    memcpy(pf->uplink.from, pf->cfg.uplink_mac, 6);
    memcpy(pf->from_speaker.to, pf->cfg.segment_mac, 6);
    memcpy(pf->from_speaker.from, pf->speaker_mac, 6);
    memcpy(pf->to_speaker.to, pf->speaker_mac, 6);
    memcpy(pf->to_speaker.from, pf->cfg.segment_mac, 6);
    const uint32_t ttl = 0xfffe; /* the TTL less one */
    pf->delta_addr = sum_fold(sum_change32(pf->cfg.speaker_addr, pf->cfg.addr));
    pf->delta_in = sum_fold(sum_change32(pf->cfg.addr, pf->cfg.speaker_addr) + ttl);
    pf->delta_out = sum_fold(sum_change32(pf->cfg.speaker_addr, pf->cfg.addr) + ttl);
}

#if PF_FAST

enum { OPEN = PF_T_OPEN | PF_T_BOTH_SYN, TCP_WORD = PF_L4 + PF_TCP_OFFSET };
enum { WORD_ID = PF_O_ID, WORD_TTL = PF_O_TTL, TO_TAIL = 2, FROM_TAIL = 10 };

/* TCP or UDP, whole, without IP options: so that the ports are where they are looked for. */
PF_INLINE bool is_plain(const uint8_t *frame, uint32_t *proto)
{
    *proto = frame[PF_O_PROTO] == PF_IPPROTO_TCP ? PF_TCP : PF_UDP;
    return frame[PF_O_VERSION] == 0x45 && (rdw(frame + WORD_ID) & 0xffbf0000) == 0 &&
           (*proto == PF_TCP || frame[PF_O_PROTO] == PF_IPPROTO_UDP);
}

/* Header sum and total length of a plain frame; gives what follows the IP header. */
PF_INLINE bool is_sound(const uint8_t *frame, size_t len, uint32_t *l4_len)
{
    const uint32_t w0 = rdw(frame + PF_O_VERSION);
    const uint32_t w1 = rdw(frame + WORD_ID);
    const uint32_t w2 = rdw(frame + WORD_TTL);
    const uint32_t src = rdw(frame + PF_O_SRC);
    const uint32_t dst = rdw(frame + PF_O_DST);
    uint32_t sum = w0 + w1;
    uint32_t carries = sum < w1;
    sum += w2;
    carries += sum < w2;
    sum += src;
    carries += sum < src;
    sum += dst;
    carries += sum < dst;
    sum += carries; /* one more carry would leave 1 to 4: no sum that is right, with it or without */
    sum += sum << 16 | sum >> 16;
    *l4_len = be16(frame + PF_O_TOTAL) - PF_IP;
    return ~sum >> 16 == 0 && *l4_len - 8 <= len - PF_FAST_MIN;
}

/* A checksum field less `by` (RFC 1624, equation 4). */
PF_INLINE uint16_t less(uint32_t field, uint32_t by)
{
    const uint32_t sum = field - by;
    return (uint16_t)(sum - (sum >> 31));
}

/* An acknowledgement with or without data, within the windows. What it tells is noted: nothing may go wrong after it. */
PF_INLINE bool tcp_passes(struct pf_flow *f, const uint8_t *frame, uint32_t l4_len, unsigned from)
{
    if (l4_len < 20) {
        return false;
    }
    const uint32_t w = rdw(frame + TCP_WORD);
    const uint32_t header = w >> 2 & 0x3c;
    if (f->state != OPEN || (w >> 8 & (PF_FIN | PF_SYN | PF_RST | PF_ACK)) != PF_ACK || header < 20 ||
        header > l4_len) {
        return false;
    }
    const uint32_t remote = 65536U << (f->scale & 15U);
    const uint32_t owner = 65536U << (f->scale >> 4);
    const uint32_t window = from == PF_FROM_REMOTE ? owner : remote;
    const uint32_t other = from == PF_FROM_REMOTE ? remote : owner;
    const uint32_t end = be32(frame + PF_L4 + PF_TCP_SEQ) + l4_len - header;
    const uint32_t grown = end - f->u.end[from];
    if (grown + window > 2 * window || f->u.end[from ^ 1U] - be32(frame + PF_L4 + PF_TCP_ACK) > 2 * other) {
        return false;
    }
    if ((int32_t)grown > 0) {
        f->u.end[from] = end;
    }
    return true;
}

/* Is the frame one of the flow that may pass? If so, it is noted. */
PF_INLINE bool l4_passes(const struct pf *pf, struct pf_flow *f, const uint8_t *frame, uint32_t proto, uint32_t l4_len,
                         unsigned from, bool renews)
{
    const uint32_t idle = pf->now - f->seen;
    if (proto == PF_UDP) {
        if (idle > PF_TIME_UDP * 1000U || be16(frame + PF_L4 + PF_UDP_LEN) != l4_len) {
            return false;
        }
        if (!renews) {
            return true;
        }
    } else if (idle > PF_TIME_TCP * 1000U || !tcp_passes(f, frame, l4_len, from)) {
        return false;
    }
    f->seen = pf->now;
    return true;
}

/* The sum of TCP or UDP, when address and port change by `delta`. */
PF_INLINE void adjust_l4(uint8_t *frame, uint32_t proto, uint32_t delta)
{
    if (proto == PF_TCP) {
        uint8_t *field = frame + PF_L4 + PF_TCP_SUM;
        wr16(field, less(rd16(field), delta));
        return;
    }
    uint8_t *field = frame + PF_L4 + PF_UDP_SUM;
    const uint32_t old = rd16(field);
    if (old != 0) { /* 0: none was sent. The new one is none by chance: 0xffff */
        const uint16_t sum = less(old, delta);
        wr16(field, (uint16_t)(sum - (sum == 0)));
    }
}

PF_INLINE void write_link(uint8_t *frame, const uint8_t *to, const struct pf_link *link)
{
    wr16(frame, rd16(to));
    wrw(frame + TO_TAIL, rdw(to + TO_TAIL));
    wrw(frame + 6, rdw(link->from));
    wrw(frame + FROM_TAIL, rdw(link->from + 4));
}

PF_INLINE enum pf_counter send(struct pf *pf, enum pf_port to, const uint8_t *frame, uint32_t len, enum pf_counter c)
{
    pf->counters[c]++;
    pf->out(pf->ctx, to, frame, len);
    return c;
}

/* Not inlined: what is live before the look-up and after it would not fit into the registers together. */
#define PF_STAGE static __attribute__((noinline)) enum pf_counter

/* Between uplink and host, either way: neither MACs nor TTL change, and the addresses are the same. */
PF_STAGE hit_host(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, uint32_t proto, unsigned from)
{
    uint32_t l4_len = 0;
    const bool in = from == PF_FROM_REMOTE;
    if ((f->kind & PF_KIND_INBOUND) != 0 || f->peer != PF_NO_PEER || !is_sound(frame, len, &l4_len) ||
        !l4_passes(pf, f, frame, proto, l4_len, from, !in)) {
        return pf_rules(pf, in ? PF_UPLINK : PF_HOST_UPLINK, frame, len);
    }
    if (f->delta != 0) {
        wr16(frame + PF_L4 + (in ? 2 : 0), in ? f->port[PF_FROM_OWNER] : f->port[PF_FROM_REMOTE]);
        adjust_l4(frame, proto, in ? 0xffffU - f->delta : f->delta);
    }
    return send(pf, in ? PF_HOST_UPLINK : PF_UPLINK, frame, l4_len + PF_L4,
                in ? PF_C_pass_uplink_host : PF_C_pass_host_uplink);
}

/* From the uplink to the speaker. */
PF_STAGE hit_in(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, uint32_t proto)
{
    if ((f->kind & PF_KIND_SPEAKER) == 0) {
        return hit_host(pf, f, frame, len, proto, PF_FROM_REMOTE);
    }
    uint32_t l4_len = 0;
    struct pf_peer *peer = &pf->peer[f->peer];
    const bool leased = f->peer >= PF_PEER_LEASE;
    if (frame[PF_O_TTL] <= 1 || pf->now - peer->seen >= peer->ttl_ms ||
        (peer->state == PF_PEER_PINNED && !mac_eq(peer->mac, frame + 6)) || !is_sound(frame, len, &l4_len) ||
        !l4_passes(pf, f, frame, proto, l4_len, PF_FROM_REMOTE, leased)) {
        return pf_rules(pf, PF_UPLINK, frame, len);
    }
    if (leased) {
        peer->seen = pf->now;
    }
    frame[PF_O_TTL]--;
    wr16(frame + PF_O_SUM, less(rd16(frame + PF_O_SUM), pf->delta_in));
    wrw(frame + PF_O_DST, pf->cfg.speaker_addr);
    wr16(frame + PF_L4 + 2, f->port[PF_FROM_OWNER]);
    if (f->delta != 0) {
        adjust_l4(frame, proto, 0xffffU - f->delta);
    }
    write_link(frame, pf->to_speaker.to, &pf->to_speaker);
    return send(pf, PF_SEGMENT, frame, l4_len + PF_L4, PF_C_pass_uplink_speaker);
}

/* pf_source_is_sane(), for one that is found sane; the first byte of a word is its lowest. */
PF_INLINE bool is_sane(const struct pf *pf, uint32_t src)
{
    const uint32_t first = src & 0xff;
    const uint32_t from_x = src ^ pf->cfg.addr;
    const uint32_t host_part = src & ~pf->cfg.mask;
    if (first - 1 >= 223 || first == 127 || (src ^ pf->cfg.host_addr) << 8 == 0 || src == pf->cfg.alias) {
        return false;
    }
    return (from_x & pf->cfg.mask) != 0 || (from_x != 0 && host_part != 0 && host_part != ~pf->cfg.mask);
}

/* A SYN to X of no flow. What could open nothing, because it is from no phone, is dropped at once: no sum or length is
 * looked at for it. */
PF_STAGE stranger(struct pf *pf, uint32_t pair, uint8_t *frame, size_t len, uint32_t src)
{
    const uint16_t port = rd16(frame + PF_L4 + 2);
    if ((frame[PF_L4 + PF_TCP_FLAGS] & (PF_FIN | PF_SYN | PF_RST | PF_ACK)) != PF_SYN || port == pf->cfg.claim_port ||
        pf->cfg.addr == 0 || !is_sane(pf, src)) {
        return pf_rules(pf, PF_UPLINK, frame, len);
    }
    for (unsigned i = pf->lease_head[pair >> 16 & (PF_LEASE_BUCKETS - 1)]; i != 0; i = pf->lease_next[i - 1]) {
        if (pf->peer[i].addr == src) {
            return pf_rules(pf, PF_UPLINK, frame, len);
        }
    }
    for (unsigned i = 0; i < pf->service_count; i++) {
        if (pf->service[i].port == port && pf->service[i].proto == PF_TCP) {
            return pf_count(pf, PF_C_drop_no_lease);
        }
    }
    return pf_count(pf, PF_C_drop_no_rule);
}

enum pf_counter pf_fast_uplink(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    (void)from; /* as pf_input() has it: nothing to move */
    const uint32_t src = rdw(frame + PF_O_SRC);
    uint32_t proto = 0;
    if (rdw(frame + TO_TAIL) != rdw(pf->uplink.to + TO_TAIL) || rd16(frame) != rd16(pf->uplink.to) ||
        rd16(frame + PF_O_TYPE) != rd16(pf->uplink.type) || (frame[6] & 1) != 0 ||
        (rd16(frame + FROM_TAIL) == rd16(pf->uplink.from + 4) && rdw(frame + 6) == rdw(pf->uplink.from)) ||
        rdw(frame + PF_O_DST) != pf->cfg.addr || !is_plain(frame, &proto)) {
        return pf_rules(pf, PF_UPLINK, frame, len);
    }
    const uint32_t pair = pf_hash_pair(pf, rd16(frame + PF_O_SRC), rd16(frame + PF_O_SRC + 2));
    const uint16_t rport = rd16(frame + PF_L4);
    const uint16_t eport = rd16(frame + PF_L4 + 2);
    unsigned i = pf->flow_head[PF_FROM_REMOTE][(pf_hash_flow(pf, pair, rport, eport) ^ proto) & (PF_BUCKETS - 1)];
    while (i != 0) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == src && f->rport == rport && f->port[PF_FROM_REMOTE] == eport &&
            (f->kind & PF_KIND_PROTO) == proto) {
            return hit_in(pf, f, frame, len, proto);
        }
        i = f->next[PF_FROM_REMOTE];
    }
    return proto == PF_TCP && len >= PF_FAST_MIN + 12 ? stranger(pf, pair, frame, len, src)
                                                      : pf_rules(pf, PF_UPLINK, frame, len);
}

PF_INLINE struct pf_flow *find_out(struct pf *pf, const uint8_t *frame, unsigned key)
{
    const uint32_t dst = rdw(frame + PF_O_DST);
    const uint32_t pair = pf_hash_pair(pf, rd16(frame + PF_O_DST), rd16(frame + PF_O_DST + 2));
    const uint16_t lport = rd16(frame + PF_L4);
    const uint16_t rport = rd16(frame + PF_L4 + 2);
    unsigned i = pf->flow_head[PF_FROM_OWNER][(pf_hash_flow(pf, pair, rport, lport) ^ key) & (PF_BUCKETS - 1)];
    while (i != 0) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == dst && f->port[PF_FROM_OWNER] == lport && f->rport == rport && (f->kind & PF_KIND_KEY) == key) {
            return f;
        }
        i = f->next[PF_FROM_OWNER];
    }
    return NULL;
}

PF_STAGE hit_out(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, uint32_t proto)
{
    uint32_t l4_len = 0;
    const struct pf_peer *peer = &pf->peer[f->peer];
    if (peer->state - 1U > PF_PEER_PINNED - 1U || pf->now - peer->seen >= peer->ttl_ms || frame[PF_O_TTL] <= 1 ||
        !is_sound(frame, len, &l4_len) || !l4_passes(pf, f, frame, proto, l4_len, PF_FROM_OWNER, true)) {
        return pf_rules(pf, PF_SEGMENT, frame, len);
    }
    frame[PF_O_TTL]--;
    wr16(frame + PF_O_SUM, less(rd16(frame + PF_O_SUM), pf->delta_out));
    wrw(frame + PF_O_SRC, pf->cfg.addr);
    wr16(frame + PF_L4, f->port[PF_FROM_REMOTE]);
    if (f->delta != 0) {
        adjust_l4(frame, proto, f->delta);
    }
    write_link(frame, peer->mac, &pf->uplink);
    return send(pf, PF_UPLINK, frame, l4_len + PF_L4, PF_C_pass_speaker_uplink);
}

enum pf_counter pf_fast_segment(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    (void)from; /* as pf_input() has it: nothing to move */
    uint32_t proto = 0;
    if (rdw(frame + TO_TAIL) != rdw(pf->from_speaker.to + TO_TAIL) || rd16(frame) != rd16(pf->from_speaker.to) ||
        rdw(frame + 6) != rdw(pf->from_speaker.from) || rdw(frame + FROM_TAIL) != rdw(pf->from_speaker.from + 4) ||
        rdw(frame + PF_O_SRC) != pf->cfg.speaker_addr || !is_plain(frame, &proto)) {
        return pf_rules(pf, PF_SEGMENT, frame, len);
    }
    struct pf_flow *f = find_out(pf, frame, proto | PF_KIND_SPEAKER);
    return f != NULL ? hit_out(pf, f, frame, len, proto) : pf_rules(pf, PF_SEGMENT, frame, len);
}

/* From the host to the uplink. */
enum pf_counter pf_fast_host(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    (void)from; /* as pf_input() has it: nothing to move */
    uint32_t proto = 0;
    if (rdw(frame + 6) != rdw(pf->uplink.from) || rdw(frame + FROM_TAIL) != rdw(pf->uplink.from + 4) ||
        (frame[0] & 1) != 0 || rdw(frame + PF_O_SRC) != pf->cfg.addr || !is_plain(frame, &proto)) {
        return pf_rules(pf, PF_HOST_UPLINK, frame, len);
    }
    struct pf_flow *f = find_out(pf, frame, proto);
    return f != NULL ? hit_host(pf, f, frame, len, proto, PF_FROM_OWNER) : pf_rules(pf, PF_HOST_UPLINK, frame, len);
}

#endif
