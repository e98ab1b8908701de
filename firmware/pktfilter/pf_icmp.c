/* ICMP errors (RFC 5508): about a flow, or dropped; the packet inside is translated back to what its sender sent. */
#include "pf_core.h"

enum { INNER = 8, INNER_MIN = INNER + PF_IP + 8 };

/* Destination unreachable, time exceeded, parameter problem. Not redirect, not source quench (RFC 6633). */
bool pf_icmp_is_error(unsigned type)
{
    return type == 3 || type == 11 || type == 12;
}

/* The packet in an error: enough of it to know its flow. */
static bool parse_inner(struct pf_pkt *in, const struct pf_pkt *p)
{
    if (p->l4_len < INNER_MIN) {
        return false;
    }
    in->frame = p->l4 + INNER - PF_ETH; /* where its Ethernet header would begin */
    in->l4 = in->frame + PF_L4;
    in->l4_len = p->l4_len - INNER - PF_IP;
    /* RFC 5508 REQ-3a. The sum of its TCP or UDP is not looked at (3c). */
    if (in->frame[PF_O_VERSION] != 0x45 || (rd16(in->frame + PF_O_FRAG) & pf_wire16(0x1fff)) != 0 ||
        sum_fold(pf_sum(in->frame + PF_ETH, PF_IP, 0)) != 0xffff) {
        return false;
    }
    return pf_parse_ends(in) == PF_C_none &&
           (in->proto != PF_ICMP || in->flags == 8 || in->flags == 0); /* only about an echo request or reply */
}

/* One end of the packet inside; and the error's own checksum, anew: errors are few. */
static void rewrite_inner(const struct pf_pkt *p, struct pf_pkt *in, unsigned end, uint32_t addr, uint32_t port)
{
    pf_rewrite(in, end, addr, port);
    pf_sum_l4(p->frame);
}

/* May an error about a packet of this flow pass? PF_C_none: yes. A TCP packet inside must be one that its sender can have
 * sent (RFC 5927, 4.1). */
static enum pf_counter check(struct pf *pf, const struct pf_flow *f, const struct pf_pkt *in, unsigned from)
{
    if (f == NULL) {
        return PF_C_drop_no_flow;
    }
    if (in->proto == PF_TCP && !pf_is_claim(f->kind, f->peer)) {
        const unsigned scale = from == PF_FROM_OWNER ? f->scale & 15U : f->scale >> 4; /* the receiver's */
        const uint32_t window = (uint32_t)65536 << (scale > 14 ? 0 : scale);
        if ((f->state & PF_T_SYN << from) == 0 || f->u.end[from] - be32(in->l4 + PF_TCP_SEQ) > window) {
            return PF_C_drop_tcp_window;
        }
    }
    const unsigned limit = from == PF_FROM_OWNER ? PF_LIMIT_ERROR_IN : PF_LIMIT_ERROR_OUT;
    return pf_rate(pf, limit, 0) ? PF_C_none : PF_C_drop_rate_icmp_error;
}

/* From the uplink: about a packet that the speaker or the host sent. */
enum pf_counter pf_icmp_error_in(struct pf *pf, struct pf_pkt *p)
{
    struct pf_pkt in;
    if (!parse_inner(&in, p) || in.addr[PF_SRC] != pf->cfg.addr) {
        return PF_C_drop_icmp_inner;
    }
    const struct pf_flow *f =
        pf_flow_find(pf, PF_FROM_REMOTE, in.proto, in.addr[PF_DST], in.port[PF_DST], in.port[PF_SRC]);
    const enum pf_counter c = check(pf, f, &in, PF_FROM_OWNER);
    if (c != PF_C_none) {
        return c;
    }
    if ((f->kind & PF_KIND_SPEAKER) == 0) {
        rewrite_inner(p, &in, PF_SRC, pf->cfg.addr, f->port[PF_FROM_OWNER]);
        pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
        return PF_C_pass_uplink_host;
    }
    if (p->frame[PF_O_TTL] <= 1) {
        return PF_C_drop_ttl;
    }
    rewrite_inner(p, &in, PF_SRC, pf->cfg.speaker_addr, f->port[PF_FROM_OWNER]);
    pf_rewrite(p, PF_DST, pf->cfg.speaker_addr, p->port[PF_DST]);
    pf_ttl_down(p->frame);
    return pf_to_speaker(pf, p->frame, p->len, PF_C_pass_uplink_speaker);
}

/* From the speaker or the host to the uplink: about a packet that a remote sent, to that remote only. */
enum pf_counter pf_icmp_error_out(struct pf *pf, struct pf_pkt *p, unsigned owner)
{
    struct pf_pkt in;
    const bool speaker = owner == PF_OWNER_SPEAKER;
    if (!parse_inner(&in, p) || in.addr[PF_DST] != p->addr[PF_SRC] || in.addr[PF_SRC] != p->addr[PF_DST]) {
        return PF_C_drop_icmp_inner;
    }
    const struct pf_flow *f = pf_flow_find(pf, PF_FROM_OWNER, pf_kind_key(in.proto, owner), in.addr[PF_SRC],
                                           in.port[PF_SRC], in.port[PF_DST]);
    const enum pf_counter c = check(pf, f, &in, PF_FROM_REMOTE);
    if (c != PF_C_none) {
        return c;
    }
    rewrite_inner(p, &in, PF_DST, pf->cfg.addr, f->port[PF_FROM_REMOTE]);
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
enum pf_counter pf_icmp_error_alias(struct pf_pkt *p, uint32_t from, uint32_t to, unsigned end)
{
    struct pf_pkt in;
    if (!parse_inner(&in, p) || in.addr[end] != from) {
        return PF_C_drop_icmp_inner;
    }
    rewrite_inner(p, &in, end, to, in.port[end]);
    return PF_C_none;
}
