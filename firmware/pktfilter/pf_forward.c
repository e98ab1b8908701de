/* A frame that belongs to a flow: what nearly all frames are. */
#include "pf_core.h"

/* To the segment, by the speaker's MAC. */
enum pf_counter pf_to_speaker(struct pf *pf, uint8_t *frame, uint32_t len, enum pf_counter passed)
{
    pf_mac_copy(frame, pf->speaker_mac);
    pf_mac_copy(frame + 6, pf->cfg.segment_mac);
    pf->out(pf->ctx, PF_SEGMENT, frame, len);
    return passed;
}

/* ---- Plain frames: at once, or not at all ---- */

/* Header sum and total length of a plain frame; gives what follows the IP header. */
PF_INLINE bool is_sound(const uint8_t *frame, size_t len, uint32_t *l4_len)
{
    *l4_len = be16(frame + PF_O_TOTAL) - PF_IP;
    return pf_header_sum_ok(frame) && *l4_len - 8 <= len - PF_FAST_MIN;
}

/* A checksum field less `by` (RFC 1624, equation 4). */
PF_INLINE uint16_t less(uint32_t field, uint32_t by)
{
    const uint32_t sum = field - by;
    return (uint16_t)(sum - (sum >> 31));
}

/* An acknowledgement with or without data, within the windows. What it tells is noted: nothing may go wrong after it. */
PF_INLINE bool tcp_passes(struct pf_flow *f, const uint8_t *frame, uint32_t l4_len, unsigned side)
{
    if (l4_len < 20) {
        return false;
    }
    const uint32_t header = (uint32_t)frame[PF_L4 + PF_TCP_OFFSET] >> 2 & 0x3c;
    const unsigned flags = frame[PF_L4 + PF_TCP_FLAGS];
    if (f->state != (PF_T_OPEN | PF_T_BOTH_SYN) || (flags & (PF_FIN | PF_SYN | PF_RST | PF_ACK)) != PF_ACK ||
        header < 20 || header > l4_len) {
        return false;
    }
    const uint32_t remote = 65536U << (f->scale & 15U);
    const uint32_t owner = 65536U << (f->scale >> 4);
    const uint32_t window = side == PF_FROM_REMOTE ? owner : remote;
    const uint32_t other = side == PF_FROM_REMOTE ? remote : owner;
    const uint32_t end = be32(frame + PF_L4 + PF_TCP_SEQ) + l4_len - header;
    const uint32_t grown = end - f->u.end[side];
    if (grown + window > 2 * window || f->u.end[side ^ 1U] - be32(frame + PF_L4 + PF_TCP_ACK) > 2 * other) {
        return false;
    }
    if ((int32_t)grown > 0) {
        f->u.end[side] = end;
    }
    return true;
}

/* Is the frame one of the flow that may pass? If so, it is noted. */
PF_INLINE bool l4_passes(const struct pf *pf, struct pf_flow *f, const uint8_t *frame, uint32_t l4_len, unsigned side)
{
    const uint32_t idle = pf->now - f->seen;
    if ((f->kind & PF_KIND_PROTO) == PF_UDP) {
        if (idle > PF_TIME_UDP * 1000U || be16(frame + PF_L4 + PF_UDP_LEN) != l4_len) {
            return false;
        }
        if (side == PF_FROM_REMOTE && !pf_is_lease(f->peer)) {
            return true;
        }
    } else if (idle > PF_TIME_TCP * 1000U || pf_is_claim(f->kind, f->peer) || !tcp_passes(f, frame, l4_len, side)) {
        return false;
    }
    f->seen = pf->now;
    return true;
}

PF_INLINE void write_link(uint8_t *frame, const uint8_t *to, const struct pf_link *link)
{
    wr16(frame, rd16(to));
    wrw(frame + 2, rdw(to + 2));
    wrw(frame + 6, rdw(link->from));
    wr16(frame + 10, rd16(link->from + 4));
}

/* Counted before it goes out: after that nothing has to be kept in registers. */
PF_INLINE enum pf_counter send(struct pf *pf, enum pf_port to, const uint8_t *frame, size_t len, enum pf_counter c)
{
    pf->counters[c]++;
    pf->out(pf->ctx, to, frame, len);
    return c;
}

/* Does a plain frame pass at once? Gives its length without padding. */
PF_INLINE bool passes(struct pf *pf, struct pf_flow *f, const struct pf_peer *peer, const uint8_t *frame, size_t *len,
                      unsigned side)
{
    uint32_t l4_len = 0;
    if (pf->now - peer->seen >= peer->ttl_ms || frame[PF_O_TTL] <= 1 || !is_sound(frame, *len, &l4_len) ||
        !l4_passes(pf, f, frame, l4_len, side)) {
        return false;
    }
    *len = l4_len + PF_L4;
    return true;
}

/* The port on this side, and what changes with it in the L4 header. */
PF_INLINE void translate(const struct pf_flow *f, uint8_t *frame, unsigned side)
{
    const unsigned proto = f->kind & PF_KIND_PROTO;
    const uint32_t delta = side == PF_FROM_REMOTE ? 0xffffU - f->delta : f->delta;
    if (proto == PF_UDP) {
        uint8_t *field = frame + PF_L4 + PF_UDP_SUM;
        wr16(frame + PF_L4 + 2 * (side ^ 1U), f->port[side ^ 1U]);
        const uint32_t old = rd16(field);
        if (f->delta != 0 && old != 0) { /* 0: none was sent. The new one is none by chance: 0xffff */
            const uint16_t sum = less(old, delta);
            wr16(field, (uint16_t)(sum - (sum == 0)));
        }
        return;
    }
    uint8_t *field = frame + PF_L4 + (proto == PF_TCP ? PF_TCP_SUM : PF_ICMP_SUM);
    wr16(frame + PF_L4 + (proto == PF_TCP ? 2 * (side ^ 1U) : (unsigned)PF_ICMP_ID), f->port[side ^ 1U]);
    if (f->delta != 0) {
        wr16(field, less(rd16(field), delta));
    }
}

PF_INLINE void lower_ttl(const struct pf *pf, uint8_t *frame, unsigned side)
{
    frame[PF_O_TTL]--;
    wr16(frame + PF_O_SUM, less(rd16(frame + PF_O_SUM), pf->delta[side]));
}

/* Kept in a register: -Os would work it out again at each use. */
PF_INLINE struct pf_peer *peer_of(struct pf *pf, const struct pf_flow *f)
{
    struct pf_peer *peer = &pf->peer[f->peer];
#if defined(__GNUC__)
    __asm__("" : "+r"(peer)); /* NOLINT(portability-no-assembler): there is none in it */
#endif
    return peer;
}

/* A frame of a flow, from the remote. `checked`: the rules have let it pass. Else this decides about plain ones; what is
 * unusual goes to the rules as it is, and nothing has been changed until then. */
enum pf_counter pf_hit_in(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, bool checked)
{
    struct pf_peer *peer = peer_of(pf, f);
    if (!checked && ((peer->state == PF_PEER_PINNED &&
                      (rd16(peer->mac) != rd16(frame + 6) || rd16(peer->mac + 2) != rd16(frame + 8) ||
                       rd16(peer->mac + 4) != rd16(frame + 10))) ||
                     !passes(pf, f, peer, frame, &len, PF_FROM_REMOTE))) {
        return pf_rules(pf, PF_UPLINK, frame, len);
    }
    translate(f, frame, PF_FROM_REMOTE);
    if (pf_is_lease(f->peer)) {
        peer->seen = pf->now;
    }
    if ((f->kind & PF_KIND_SPEAKER) == 0) {
        return send(pf, PF_HOST_UPLINK, frame, len, PF_C_pass_uplink_host);
    }
    lower_ttl(pf, frame, PF_FROM_REMOTE);
    wrw(frame + PF_O_DST, pf->cfg.speaker_addr);
    write_link(frame, pf->to_speaker.to, &pf->to_speaker);
    return send(pf, PF_SEGMENT, frame, len, PF_C_pass_uplink_speaker);
}

/* The same, from the owner. */
enum pf_counter pf_hit_out(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, bool checked)
{
    const bool speaker = (f->kind & PF_KIND_SPEAKER) != 0;
    struct pf_peer *peer = peer_of(pf, f);
    if (!checked && !passes(pf, f, peer, frame, &len, PF_FROM_OWNER)) {
        return pf_rules(pf, speaker ? PF_SEGMENT : PF_HOST_UPLINK, frame, len);
    }
    translate(f, frame, PF_FROM_OWNER);
    if (f->peer != PF_NO_PEER) {
        if (speaker) {
            lower_ttl(pf, frame, PF_FROM_OWNER);
            wrw(frame + PF_O_SRC, pf->cfg.addr);
        }
        if (peer->state == PF_PEER_ROUTED) {
            peer = &pf->peer[PF_PEER_ROUTER];
        }
        write_link(frame, peer->mac, &pf->uplink);
        if (peer->state == PF_PEER_EMPTY) {
            return pf_count(pf, pf_peer_keep(pf, peer, frame, (uint32_t)len));
        }
    } else if ((f->kind & PF_KIND_INBOUND) != 0) {
        pf_mac_copy(frame, f->u.mac); /* the claim port's: back to where it came from, whatever ARP told the host */
    }
    return speaker ? send(pf, PF_UPLINK, frame, len, PF_C_pass_speaker_uplink)
                   : send(pf, PF_UPLINK, frame, len, PF_C_pass_host_uplink);
}

/* ---- All others ---- */

/* Of one who may: with a lease, while it lasts and from its MAC; a connection to the claim port from the MAC that opened it. */
enum pf_counter pf_flow_sender(struct pf *pf, const struct pf_pkt *p, const struct pf_flow *f, unsigned side)
{
    const bool in = side == PF_FROM_REMOTE;
    if (pf_is_lease(f->peer)) {
        if (pf_lease_over(pf, f->peer)) {
            pf_lease_expire(pf, f->peer);
            return PF_C_drop_no_lease;
        }
        return in ? pf_lease_check(pf, f->peer, p->frame + 6) : PF_C_none;
    }
    return in && pf_is_claim(f->kind, f->peer) && !pf_mac_eq(p->frame + 6, f->u.mac) ? PF_C_drop_flow_mac : PF_C_none;
}

/* May it pass? PF_C_none: yes. */
static enum pf_counter check(struct pf *pf, const struct pf_pkt *p, struct pf_flow *f, unsigned side)
{
    enum pf_counter c = pf_flow_sender(pf, p, f, side);
    if (c == PF_C_none && (f->kind & PF_KIND_SPEAKER) != 0 && p->frame[PF_O_TTL] <= 1) {
        c = PF_C_drop_ttl;
    }
    return c == PF_C_none && p->proto == PF_TCP ? pf_tcp_track(pf, f, p, side) : c;
}

/* Does a frame that passes keep the flow alive? What comes in from strangers keeps no UDP or ICMP flow alive (RFC 4787 REQ-6,
 * RFC 5508 REQ-2). A SYN that is sent again does while the flow is being opened; in an open flow a SYN or a RST that changes
 * nothing does not (RFC 7857, 7.1): it is what one who is not there answers. */
static bool renews(const struct pf_flow *f, const struct pf_pkt *p, unsigned side, unsigned before)
{
    if (p->proto != PF_TCP) {
        return side == PF_FROM_OWNER || pf_is_lease(f->peer);
    }
    return f->state != before || ((p->flags & PF_RST) == 0 && ((p->flags & PF_SYN) == 0 || (before & PF_T_OPEN) == 0));
}

/* What may pass goes on. */
enum pf_counter pf_send_on(struct pf *pf, struct pf_pkt *p, struct pf_flow *f, unsigned side)
{
    if (pf->in_first && side == PF_FROM_OWNER) {
        pf->sent_to = f->peer;
    }
    const enum pf_counter passed = (side == PF_FROM_REMOTE ? pf_hit_in : pf_hit_out)(pf, f, p->frame, p->len, true);
    pf->counters[passed]--; /* pf_rules() counts it */
    return passed;
}

/* From the uplink to the flow's owner, or from that to the uplink. */
enum pf_counter pf_forward(struct pf *pf, struct pf_pkt *p, struct pf_flow *f, unsigned side)
{
    const unsigned before = f->state;
    const enum pf_counter c = check(pf, p, f, side);
    if (c != PF_C_none) {
        return c;
    }
    if (renews(f, p, side, before)) {
        f->seen = pf->now;
    }
    return pf_send_on(pf, p, f, side);
}
