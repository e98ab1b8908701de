/*
 * TCP: which flags make sense, how far a connection is, and whether a segment can belong to it.
 *
 * A segment is plausible when its sequence number lies within a window of what its side has sent so far, and it
 * acknowledges nothing that the other side has not sent (RFC 5961's idea, seen from the middle). The window is the
 * largest that the receiver can announce, 65536 << its window scale. A RST ends the flow only when it hits the expected number exactly.
 */
#include "pf_core.h"

enum { NO_SCALE = 15, MAX_SCALE = 14 };

static unsigned scale_of(const struct pf_flow *f, unsigned side)
{
    return side == PF_FROM_REMOTE ? f->scale & 15U : f->scale >> 4;
}

/* The most that `side` can be sent before it acknowledges. */
static uint32_t window_of(const struct pf_flow *f, unsigned side)
{
    return (uint32_t)65536 << scale_of(f, side);
}

static uint32_t header_of(const struct pf_pkt *p)
{
    return (uint32_t)(p->l4[PF_TCP_OFFSET] >> 4) * 4;
}

static bool is_over(const struct pf_flow *f)
{
    return (f->state & PF_T_RST) != 0 || (f->state & PF_T_BOTH_FIN) == PF_T_BOTH_FIN;
}

static unsigned scale_option(const struct pf_pkt *p)
{
    const uint8_t *o = p->l4 + 20;
    const uint8_t *const last = p->l4 + header_of(p) - 1; /* where no option but of one byte can be */
    while (o < last && *o != 0) {
        if (*o == 1) {
            o++;
            continue;
        }
        const unsigned len = o[1];
        if (len - 2 > (size_t)(last - o) - 1) { /* too short, or too long */
            break;
        }
        if (*o == 3 && len == 3) {
            return o[2] < MAX_SCALE ? o[2] : MAX_SCALE;
        }
        o += len;
    }
    return NO_SCALE;
}

/* A side's SYN: of a new flow, or the answer to that. Claims have a MAC where others have numbers. */
void pf_tcp_syn(struct pf_flow *f, const struct pf_pkt *p, unsigned from)
{
    f->state |= (uint8_t)(PF_T_SYN << from);
    if (!pf_is_claim(f->kind, f->peer)) {
        f->u.end[from] = be32(p->l4 + PF_TCP_SEQ) + 1 + p->l4_len - header_of(p);
        f->scale |= (uint8_t)(scale_option(p) << 4 * from);
    }
}

static enum pf_counter track_syn(struct pf_flow *f, const struct pf_pkt *p, unsigned from, uint32_t seq, uint32_t data)
{
    const unsigned other = from ^ 1U;
    const unsigned mine = PF_T_SYN << from;
    const uint32_t end = seq + 1 + data;
    if (is_over(f) && pf_tcp_is_syn(p->flags)) { /* not the opener's, which has made a new flow: nobody asked for it */
        return PF_C_drop_tcp_state;
    }
    if ((f->state & PF_T_OPEN) != 0) {
        return PF_C_none; /* the receiver challenges it (RFC 5961, 4); nothing changes here */
    }
    if ((f->state & mine) != 0 && (f->state & PF_T_SYN << other) != 0) {
        return end == f->u.end[from] ? PF_C_none : PF_C_drop_tcp_window; /* sent again */
    }
    if ((f->state & PF_T_SYN << other) != 0) {
        if ((p->flags & PF_ACK) != 0) {
            const uint32_t short_of =
                f->u.end[other] - be32(p->l4 + PF_TCP_ACK); /* data sent with the SYN may be left out */
            if (short_of > PF_FRAME_MAX) {
                return PF_C_drop_tcp_window;
            }
        }
    } else if ((p->flags & PF_ACK) != 0) {
        return PF_C_drop_tcp_state;
    }
    f->scale &= (uint8_t)(0xf0 >> 4 * from); /* of a SYN before this one */
    pf_tcp_syn(f, p, from);
    if ((f->state & PF_T_BOTH_SYN) == PF_T_BOTH_SYN && (scale_of(f, 0) == NO_SCALE || scale_of(f, 1) == NO_SCALE)) {
        f->scale = 0; /* both or none (RFC 7323, 2.2) */
    }
    return PF_C_none;
}

static enum pf_counter track_rst(struct pf *pf, struct pf_flow *f, const struct pf_pkt *p, unsigned from, uint32_t seq)
{
    const unsigned other = from ^ 1U;
    if ((f->state & PF_T_SYN << from) == 0) { /* the answer to a SYN */
        if ((p->flags & PF_ACK) == 0 || be32(p->l4 + PF_TCP_ACK) != f->u.end[other]) {
            return PF_C_drop_tcp_window;
        }
    } else if (seq != f->u.end[from]) {
        /* plausible: the receiver decides (RFC 5961, 3.2: it challenges), and the flow stays */
        const uint32_t w = window_of(f, other);
        return seq - f->u.end[from] + w <= 2 * w ? PF_C_none : PF_C_drop_tcp_window;
    }
    f->state |= PF_T_RST;
    pf_flow_classify(pf, f);
    return PF_C_none;
}

/* Connections to the claim port: the host's own stack checks the numbers. */
static enum pf_counter track_claim(struct pf *pf, struct pf_flow *f, const struct pf_pkt *p, unsigned from)
{
    const unsigned before = f->state;
    if ((p->flags & PF_SYN) != 0) {
        f->state |= (uint8_t)(PF_T_SYN << from);
    } else if ((f->state & PF_T_BOTH_SYN) == PF_T_BOTH_SYN) {
        f->state |= PF_T_OPEN;
    }
    if ((p->flags & PF_FIN) != 0) {
        f->state |= (uint8_t)(PF_T_FIN << from);
    }
    if ((p->flags & PF_RST) != 0 && from == PF_FROM_OWNER) {
        f->state |= PF_T_RST;
    }
    if (f->state != before) {
        pf_flow_classify(pf, f);
    }
    return PF_C_none;
}

/* A segment of a known flow. PF_C_none: it may pass. */
enum pf_counter pf_tcp_track(struct pf *pf, struct pf_flow *f, const struct pf_pkt *p, unsigned from)
{
    const unsigned other = from ^ 1U;
    const unsigned flags = p->flags;
    if (pf_is_claim(f->kind, f->peer)) {
        return track_claim(pf, f, p, from);
    }
    const uint32_t seq = be32(p->l4 + PF_TCP_SEQ);
    const uint32_t data = p->l4_len - header_of(p);
    if ((flags & (PF_SYN | PF_RST)) != 0) {
        return (flags & PF_RST) != 0 ? track_rst(pf, f, p, from, seq) : track_syn(f, p, from, seq, data);
    }
    if ((f->state & PF_T_BOTH_SYN) != PF_T_BOTH_SYN) {
        return PF_C_drop_tcp_state;
    }
    const uint32_t end = seq + data + (flags & PF_FIN);
    const uint32_t sent = f->u.end[from];
    const uint32_t window = window_of(f, other);
    if (end - sent + window > 2 * window) {
        return PF_C_drop_tcp_window;
    }
    if (f->u.end[other] - be32(p->l4 + PF_TCP_ACK) > 2 * window_of(f, from)) {
        return PF_C_drop_tcp_window;
    }
    if ((int32_t)(end - sent) > 0) {
        f->u.end[from] = end;
    }
    const unsigned state = f->state | PF_T_OPEN | ((flags & PF_FIN) != 0 ? (unsigned)PF_T_FIN << from : 0);
    if (state != f->state) {
        f->state = (uint8_t)state;
        pf_flow_classify(pf, f);
    }
    return PF_C_none;
}

/* A SYN on a flow that has ended, from the side that opened it: a new connection from the same port. */
bool pf_tcp_opens_anew(const struct pf_flow *f, unsigned flags, unsigned from)
{
    const unsigned opener = (f->kind & PF_KIND_INBOUND) != 0 ? PF_FROM_REMOTE : PF_FROM_OWNER;
    return is_over(f) && from == opener && pf_tcp_is_syn(flags);
}

/* A RST in the name of the remote, to the speaker or the host; the MACs are the caller's work. */
static void build_reset(struct pf *pf, uint32_t src, uint32_t sport, uint32_t dst, uint32_t dport, uint32_t seq)
{
    uint8_t *frame = pf_scratch(pf);
    uint8_t *tcp = frame + PF_L4;
    pf_build_ip(frame, PF_IPPROTO_TCP, src, dst, 20);
    memset(tcp, 0, 20);
    wr16(tcp, sport);
    wr16(tcp + 2, dport);
    put_be32(tcp + PF_TCP_SEQ, seq);
    tcp[PF_TCP_OFFSET] = 5 << 4;
    tcp[PF_TCP_FLAGS] = PF_RST;
    pf_sum_l4(frame);
    pf_count(pf, PF_C_reset_sent);
}

static void reset_speaker(struct pf *pf, uint32_t src, uint32_t sport, uint32_t dport, uint32_t seq)
{
    if (pf->speaker_known && pf_rate(pf, PF_LIMIT_RESET, 0)) {
        build_reset(pf, src, sport, pf->cfg.speaker_addr, dport, seq);
        (void)pf_to_speaker(pf, pf_scratch(pf), PF_L4 + 20, PF_C_none);
    }
}

static void reset_host(struct pf *pf, const struct pf_flow *f, const uint8_t *mac, uint32_t seq)
{
    uint8_t *frame = pf_scratch(pf);
    build_reset(pf, f->raddr, f->rport, pf->cfg.addr, f->port[PF_FROM_OWNER], seq);
    pf_mac_copy(frame, pf->cfg.uplink_mac);
    pf_mac_copy(frame + 6, mac);
    pf->out(pf->ctx, PF_HOST_UPLINK, frame, PF_L4 + 20);
}

/* A connection to the claim port gives way: the host, which would wait for it for long, and for few at a time, is told. By the number of
 * one that is half open for the host, whatever it is here: another one the host keeps (RFC 9293, 3.10.7.4). No rate but that of SYNs. */
void pf_tcp_reset_claim(struct pf *pf, const struct pf_flow *f)
{
    if (pf_is_claim(f->kind, f->peer) && (f->state & PF_T_BOTH_FIN) != PF_T_BOTH_FIN) {
        reset_host(pf, f, f->u.mac, pf->claim_next[f->scale]);
    }
}

/* Tells a flow's owner that it is over; not of claims, which do not end by others' doing. */
void pf_tcp_reset_owner(struct pf *pf, const struct pf_flow *f)
{
    if ((f->kind & PF_KIND_PROTO) != PF_TCP || (f->state & (PF_T_SYN | PF_T_RST)) != PF_T_SYN) {
        return;
    }
    const uint32_t seq = f->u.end[PF_FROM_REMOTE];
    if ((f->kind & PF_KIND_SPEAKER) != 0) {
        reset_speaker(pf, f->raddr, f->rport, f->port[PF_FROM_OWNER], seq);
    } else if (pf_rate(pf, PF_LIMIT_RESET, 0)) {
        reset_host(pf, f, pf->peer[f->peer].mac, seq);
    }
}

/* A segment of the speaker that belongs to nothing: the answer that a host without that connection gives (RFC 9293, 3.10.7.1). */
void pf_tcp_refuse_speaker(struct pf *pf, const struct pf_pkt *p)
{
    if ((p->flags & (PF_RST | PF_ACK)) == PF_ACK) {
        reset_speaker(pf, p->addr[PF_DST], p->port[PF_DST], p->port[PF_SRC], be32(p->l4 + PF_TCP_ACK));
    }
}
