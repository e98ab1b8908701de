/* A frame that belongs to a flow: the path that nearly all frames take. */
#include "pf_core.h"

/* To the segment, by the speaker's MAC. */
enum pf_counter pf_to_speaker(struct pf *pf, uint8_t *frame, uint32_t len, enum pf_counter passed)
{
    mac_copy(frame, pf->speaker_mac);
    mac_copy(frame + 6, pf->cfg.segment_mac);
    pf->out(pf->ctx, PF_SEGMENT, frame, len);
    return passed;
}

/* May it pass? PF_C_none: yes. */
static enum pf_counter check(struct pf *pf, const struct pf_pkt *p, struct pf_flow *f, unsigned side)
{
    enum pf_counter c = PF_C_none;
    const bool in = side == PF_FROM_REMOTE;
    if (pf_is_lease(f->peer)) {
        if (pf_lease_over(pf, f->peer)) {
            pf_lease_expire(pf, f->peer);
            return PF_C_drop_no_lease;
        }
        c = in ? pf_lease_check(pf, f->peer, p->frame + 6) : PF_C_none;
    } else if (in && pf_is_claim(f->kind, f->peer) && !mac_eq(p->frame + 6, f->u.mac)) {
        c = PF_C_drop_flow_mac;
    }
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

/* From the uplink to the flow's owner, or from that to the uplink. */
enum pf_counter pf_forward(struct pf *pf, struct pf_pkt *p, struct pf_flow *f, unsigned side)
{
    const bool in = side == PF_FROM_REMOTE;
    const bool speaker = (f->kind & PF_KIND_SPEAKER) != 0;
    const bool leased = pf_is_lease(f->peer);
    const unsigned before = f->state;
    const enum pf_counter c = check(pf, p, f, side);
    if (c != PF_C_none) {
        return c;
    }
    if (renews(f, p, side, before)) {
        f->seen = pf->now;
    }
    if (in && leased) {
        pf->peer[f->peer].seen = pf->now;
    }
    if (in) {
        pf_rewrite(p, PF_DST, speaker ? pf->cfg.speaker_addr : p->addr[PF_DST], f->port[PF_FROM_OWNER]);
    } else {
        pf_rewrite(p, PF_SRC, pf->cfg.addr, f->port[PF_FROM_REMOTE]);
    }
    if (speaker) {
        pf_ttl_down(p->frame);
    }
    if (in && speaker) {
        return pf_to_speaker(pf, p->frame, p->len, PF_C_pass_uplink_speaker);
    }
    if (in) {
        pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
        return PF_C_pass_uplink_host;
    }
    if (speaker || leased) { /* by the lease's MAC, whatever ARP told the host */
        return pf_peer_send(pf, f->peer, p->frame, p->len, speaker ? PF_C_pass_speaker_uplink : PF_C_pass_host_uplink);
    }
    if ((f->kind & PF_KIND_INBOUND) != 0) {
        mac_copy(p->frame, f->u.mac); /* back to where it came from, likewise */
    }
    pf->out(pf->ctx, PF_UPLINK, p->frame, p->len);
    return PF_C_pass_host_uplink;
}
