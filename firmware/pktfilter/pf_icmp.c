/* ICMP errors (RFC 5508): about a flow, or dropped; the packet inside is translated back to what its sender sent. */
#include "pf_core.h"

enum { INNER = 8, INNER_MIN = INNER + PF_IP + 8 };

/* Destination unreachable, time exceeded, parameter problem. Not redirect, not source quench (RFC 6633). */
bool pf_icmp_is_error(unsigned type)
{
    return type == 3 || type == 11 || type == 12;
}

struct inner {
    uint8_t *ip;
    uint8_t *l4;
    uint32_t l4_len;
    uint32_t src;
    uint32_t dst;
    uint16_t sport;
    uint16_t dport;
    unsigned proto;
};

/* The packet in an error: enough of it to know its flow. */
static bool parse_inner(struct inner *in, const struct pf_pkt *p)
{
    if (p->l4_len < INNER_MIN) {
        return false;
    }
    in->ip = p->l4 + INNER;
    in->l4 = in->ip + PF_IP;
    in->l4_len = p->l4_len - INNER - PF_IP;
    if (in->ip[0] != 0x45 || (rd16(in->ip + 6) & pf_wire16(0x1fff)) != 0) {
        return false;
    }
    /* RFC 5508 REQ-3a. The sum of its TCP or UDP is not looked at (3c). */
    if (sum_fold(pf_sum(in->ip, PF_IP, 0)) != 0xffff) {
        return false;
    }
    in->src = rd32(in->ip + 12);
    in->dst = rd32(in->ip + 16);
    in->sport = rd16(in->l4);
    in->dport = rd16(in->l4 + 2);
    switch (in->ip[9]) {
    case PF_IPPROTO_TCP:
        in->proto = PF_TCP;
        return true;
    case PF_IPPROTO_UDP:
        in->proto = PF_UDP;
        return true;
    case PF_IPPROTO_ICMP:
        /* only about an echo request or reply; identifier as in pf_parse() */
        in->proto = PF_ICMP;
        in->sport = in->l4[0] == 8 ? rd16(in->l4 + PF_ICMP_ID) : 0;
        in->dport = in->l4[0] == 0 ? rd16(in->l4 + PF_ICMP_ID) : 0;
        return in->l4[0] == 8 || in->l4[0] == 0;
    default:
        return false;
    }
}

/* Where the checksum is in what is left of the inner packet; NULL: cut off, or none. */
static uint8_t *inner_sum(const struct inner *in)
{
    const uint32_t at = in->proto == PF_TCP ? PF_TCP_SUM : in->proto == PF_UDP ? PF_UDP_SUM : PF_ICMP_SUM;
    if (at + 2 > in->l4_len || (in->proto == PF_UDP && rd16(in->l4 + at) == 0)) {
        return NULL;
    }
    return in->l4 + at;
}

/* Changes one side (0 source, 1 destination) of the packet inside. */
static void rewrite_inner(struct inner *in, unsigned side, uint32_t addr, uint16_t port)
{
    uint8_t *addr_at = in->ip + 12 + side * 4;
    uint8_t *port_at = in->proto == PF_ICMP ? in->l4 + PF_ICMP_ID : in->l4 + side * 2;
    const uint16_t old_port = side == 0 ? in->sport : in->dport;
    const uint32_t addr_change = sum_change32(rd32(addr_at), addr);
    const uint32_t port_change = sum_change16(old_port, port);
    uint8_t *sum = inner_sum(in);
    if (rd32(addr_at) != addr) {
        wr32(addr_at, addr);
        sum_adjust(in->ip + 10, addr_change);
        if (sum != NULL && in->proto != PF_ICMP) {
            sum_adjust(sum, addr_change);
        }
    }
    if (old_port != port) {
        wr16(port_at, port);
        if (sum != NULL) {
            sum_adjust(sum, port_change);
        }
    }
}

/* The error's own checksum, anew: errors are few. */
static void seal(struct pf_pkt *p)
{
    pf_sum_l4(p->frame);
}

/* A TCP packet inside must be one that its sender can have sent (RFC 5927, 4.1). */
static bool inner_is_plausible(const struct pf_flow *f, const struct inner *in, unsigned from)
{
    if (in->proto != PF_TCP || pf_is_claim(f->kind, f->peer)) {
        return true;
    }
    const unsigned scale = from == PF_FROM_OWNER ? f->scale & 15U : f->scale >> 4; /* the receiver's */
    const uint32_t window = (uint32_t)65536 << (scale > 14 ? 0 : scale);
    const bool begun = (f->state & PF_T_SYN << from) != 0;
    return begun && f->u.end[from] - be32(in->l4 + PF_TCP_SEQ) <= window;
}

/* From the uplink: about a packet that the speaker or the host sent. */
enum pf_counter pf_icmp_error_in(struct pf *pf, struct pf_pkt *p)
{
    struct inner in;
    if (!parse_inner(&in, p) || in.src != pf->cfg.addr) {
        return PF_C_drop_icmp_inner;
    }
    const struct pf_flow *f = pf_flow_find(pf, PF_FROM_REMOTE, in.proto, in.dst, in.dport, in.sport);
    if (f == NULL) {
        return PF_C_drop_no_flow;
    }
    if (!inner_is_plausible(f, &in, PF_FROM_OWNER)) {
        return PF_C_drop_tcp_window;
    }
    if (!pf_rate(&pf->icmp_error[0], PF_RATE_ICMP_ERROR, PF_BURST_ICMP_ERROR, pf->now)) {
        return PF_C_drop_rate_icmp_error;
    }
    if ((f->kind & PF_KIND_SPEAKER) == 0) {
        rewrite_inner(&in, 0, in.src, f->port[PF_FROM_OWNER]);
        seal(p);
        pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
        return PF_C_pass_uplink_host;
    }
    if (p->frame[PF_O_TTL] <= 1) {
        return PF_C_drop_ttl;
    }
    rewrite_inner(&in, 0, pf->cfg.speaker_addr, f->port[PF_FROM_OWNER]);
    seal(p);
    pf_rewrite(p, PF_DST, pf->cfg.speaker_addr, p->port[PF_DST]);
    pf_ttl_down(p->frame);
    return pf_to_speaker(pf, p->frame, p->len, PF_C_pass_uplink_speaker);
}

/* From the speaker or the host to the uplink: about a packet that a remote sent, to that remote only. */
enum pf_counter pf_icmp_error_out(struct pf *pf, struct pf_pkt *p, unsigned owner)
{
    struct inner in;
    const bool speaker = owner == PF_OWNER_SPEAKER;
    const uint32_t own = speaker ? pf->cfg.speaker_addr : pf->cfg.addr;
    if (!parse_inner(&in, p) || in.dst != own || in.src != p->addr[PF_DST]) {
        return PF_C_drop_icmp_inner;
    }
    const struct pf_flow *f = pf_flow_find(pf, PF_FROM_OWNER, pf_kind_key(in.proto, owner), in.src, in.sport, in.dport);
    if (f == NULL) {
        return PF_C_drop_no_flow;
    }
    if (!inner_is_plausible(f, &in, PF_FROM_REMOTE)) {
        return PF_C_drop_tcp_window;
    }
    if (!pf_rate(&pf->icmp_error[1], PF_RATE_ICMP_ERROR, PF_BURST_ICMP_ERROR, pf->now)) {
        return PF_C_drop_rate_icmp_error;
    }
    rewrite_inner(&in, 1, pf->cfg.addr, f->port[PF_FROM_REMOTE]);
    seal(p);
    if (!speaker) {
        pf->out(pf->ctx, PF_UPLINK, p->frame, p->len);
        return PF_C_pass_host_uplink;
    }
    if (p->frame[PF_O_TTL] <= 1) {
        return PF_C_drop_ttl;
    }
    pf_rewrite(p, PF_SRC, pf->cfg.addr, p->port[PF_SRC]);
    pf_ttl_down(p->frame);
    return pf_peer_send(pf, f->peer, p->frame, p->len, PF_C_pass_speaker_uplink);
}

/* Between host and speaker: the speaker's address inside, on one side of the inner packet, takes its other name. */
enum pf_counter pf_icmp_error_alias(struct pf_pkt *p, uint32_t from, uint32_t to, unsigned side)
{
    struct inner in;
    if (!parse_inner(&in, p) || (side == 0 ? in.src : in.dst) != from) {
        return PF_C_drop_icmp_inner;
    }
    rewrite_inner(&in, side, to, side == 0 ? in.sport : in.dport);
    seal(p);
    return PF_C_none;
}
