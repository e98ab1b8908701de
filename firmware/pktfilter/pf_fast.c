/*
 * The fast path: plain frames of open flows, which is nearly all that ever passes, and strangers' SYNs.
 *
 * One look-up for each side. A frame that is unusual in any way - options, SYN, FIN, RST, a flow that is not open or over, an
 * error of any kind - goes on to the rules untouched, and nothing has been changed until then. So the fast path only decides
 * what it is sure of; the tests compare the two (tests/core/fuzz_frames.c, tests/core/diff_fast.c).
 */
#include "pf_core.h"

/* What pf_configure() and pf_speaker() know, as frames have it. */
void pf_fast_configure(struct pf *pf)
{
    struct pf_link *const links[] = {&pf->uplink, &pf->from_speaker, &pf->to_speaker};
    for (unsigned i = 0; i < 3; i++) {
        const bool uplink = i == 0;
        wr16(links[i]->type, pf_wire16(0x0800));
        pf_mac_copy(links[i]->to, uplink ? pf->cfg.uplink_mac : pf->cfg.segment_mac);
        pf_mac_copy(links[i]->from, uplink ? pf->cfg.uplink_mac : pf->cfg.segment_mac);
    }
    pf_mac_copy(pf->from_speaker.from, pf->speaker_mac);
    pf_mac_copy(pf->to_speaker.to, pf->speaker_mac);
    const uint32_t ttl = sum_change16(pf_wire16(0x0100), 0);
    const uint32_t out = sum_change32(pf->cfg.speaker_addr, pf->cfg.addr);
    const uint32_t in = 4 * 0xffffU - out; /* the same, from one to the other and back, adds up to nothing */
    pf->delta_addr = sum_fold(out);
    pf->delta[PF_FROM_REMOTE] = sum_fold(in + ttl);
    pf->delta[PF_FROM_OWNER] = sum_fold(out + ttl);
}

#if PF_FAST

enum { TO_TAIL = 2, FROM_TAIL = 10 };

/* TCP or UDP, whole, without IP options: so that the ports are where they are looked for. */
PF_INLINE bool is_plain(const uint8_t *frame, uint32_t *proto)
{
    *proto = frame[PF_O_PROTO] == PF_IPPROTO_TCP ? PF_TCP : PF_UDP;
    return frame[PF_O_VERSION] == 0x45 && (rdw(frame + PF_O_ID) & 0xffbf0000) == 0 &&
           (*proto == PF_TCP || frame[PF_O_PROTO] == PF_IPPROTO_UDP);
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
 * looked at for it. Not inlined: what is live before and after would not fit into the registers together. */
static __attribute__((noinline)) enum pf_counter stranger(struct pf *pf, uint32_t remote, uint8_t *frame, size_t len,
                                                          uint32_t src)
{
    const uint16_t port = rd16(frame + PF_L4 + 2);
    if ((frame[PF_L4 + PF_TCP_FLAGS] & (PF_FIN | PF_SYN | PF_RST | PF_ACK)) != PF_SYN || port == pf->cfg.claim_port ||
        pf->cfg.addr == 0 || !is_sane(pf, src)) {
        return pf_rules_unknown(pf, PF_UPLINK, frame, len, remote);
    }
    const uint32_t pair = remote - pf_hash_remote(pf, 0, rd16(frame + PF_L4));
    for (unsigned i = pf->peer_head[pair >> 16 & (PF_PEER_BUCKETS - 1)]; i != 0; i = pf->peer_next[i - 1]) {
        if (pf->peer[i].addr == src && pf_is_lease(i)) {
            return pf_rules_unknown(pf, PF_UPLINK, frame, len, remote);
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
    const uint32_t remote = pf_hash_remote(pf, pair, rport);
    unsigned i = pf->flow_head[PF_FROM_REMOTE][(pf_hash_flow(pf, remote, eport) ^ proto) & (PF_BUCKETS - 1)];
    while (i != 0) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == src && f->rport == rport && f->port[PF_FROM_REMOTE] == eport &&
            (f->kind & PF_KIND_PROTO) == proto) {
            return pf_hit_in(pf, f, frame, len, false);
        }
        i = f->next[PF_FROM_REMOTE];
    }
    return proto == PF_TCP && len >= PF_FAST_MIN + 12 ? stranger(pf, remote, frame, len, src)
                                                      : pf_rules_unknown(pf, PF_UPLINK, frame, len, remote);
}

/* From one of the owners. */
enum pf_counter pf_fast_out(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    const bool speaker = from == PF_SEGMENT;
    const struct pf_link *link = speaker ? &pf->from_speaker : &pf->uplink;
    uint32_t proto = 0;
    if (rdw(frame + 6) != rdw(link->from) || rdw(frame + FROM_TAIL) != rdw(link->from + 4) ||
        (speaker ? rdw(frame + TO_TAIL) != rdw(link->to + TO_TAIL) || rd16(frame) != rd16(link->to)
                 : (frame[0] & 1) != 0) ||
        rdw(frame + PF_O_SRC) != (speaker ? pf->cfg.speaker_addr : pf->cfg.addr) || !is_plain(frame, &proto)) {
        return pf_rules(pf, from, frame, len);
    }
    const unsigned key = proto | (speaker ? (unsigned)PF_KIND_SPEAKER : 0U);
    const uint32_t dst = rdw(frame + PF_O_DST);
    const uint32_t pair = pf_hash_pair(pf, rd16(frame + PF_O_DST), rd16(frame + PF_O_DST + 2));
    const uint16_t lport = rd16(frame + PF_L4);
    const uint16_t rport = rd16(frame + PF_L4 + 2);
    const uint32_t remote = pf_hash_remote(pf, pair, rport);
    unsigned i = pf->flow_head[PF_FROM_OWNER][(pf_hash_flow(pf, remote, lport) ^ key) & (PF_BUCKETS - 1)];
    while (i != 0) {
        struct pf_flow *f = &pf->flow[i - 1];
        if (f->raddr == dst && f->port[PF_FROM_OWNER] == lport && f->rport == rport && (f->kind & PF_KIND_KEY) == key) {
            return pf_hit_out(pf, f, frame, len, false);
        }
        i = f->next[PF_FROM_OWNER];
    }
    return pf_rules_unknown(pf, from, frame, len, remote);
}

#endif
