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

/* May the lease's flow go on, and does a frame from the uplink come from the phone? `mac` NULL: a frame towards it. */
static enum pf_counter check_lease(struct pf *pf, const struct pf_flow *f, const uint8_t *mac)
{
    const int lease = (int)f->peer - PF_PEER_LEASE;
    if (pf_lease_over(pf, lease)) {
        pf_lease_expire(pf, lease);
        return PF_C_drop_no_lease;
    }
    return mac != NULL ? pf_lease_check(pf, lease, mac) : PF_C_none;
}

/* Does a frame that passes keep the flow alive? A SYN that is sent again does while the flow is being opened; in an open
 * flow a SYN or a RST that changes nothing does not (RFC 7857, 7.1): it is what one who is not there answers. */
static bool renews(const struct pf_flow *f, const struct pf_pkt *p, unsigned before)
{
    if (f->state != before) {
        return true;
    }
    return (p->flags & PF_RST) == 0 && ((p->flags & PF_SYN) == 0 || (before & PF_T_OPEN) == 0);
}

/* From the uplink, to the flow's owner. */
enum pf_counter pf_forward_in(struct pf *pf, struct pf_pkt *p, struct pf_flow *f)
{
    const bool speaker = (f->kind & PF_KIND_SPEAKER) != 0;
    const bool leased = pf_is_lease(f->peer);
    const unsigned before = f->state;
    enum pf_counter c = PF_C_none;
    if (leased) {
        c = check_lease(pf, f, p->frame + 6);
    } else if (pf_is_claim(f->kind, f->peer) && !mac_eq(p->frame + 6, f->u.mac)) {
        c = PF_C_drop_flow_mac;
    }
    if (c == PF_C_none && speaker && p->frame[PF_O_TTL] <= 1) {
        c = PF_C_drop_ttl;
    }
    if (c == PF_C_none && p->proto == PF_TCP) {
        c = pf_tcp_track(pf, f, p, PF_FROM_REMOTE);
    }
    if (c != PF_C_none) {
        return c;
    }
    /* What comes in from strangers keeps no UDP or ICMP flow alive (RFC 4787 REQ-6, RFC 5508 REQ-2). */
    if ((p->proto == PF_TCP || leased) && renews(f, p, before)) {
        f->seen = pf->now;
    }
    if (leased) {
        pf->peer[f->peer].seen = pf->now;
    }
    if (!speaker) {
        if (f->lport != f->eport) {
            pf_rewrite_dst(p, p->dst, f->lport);
        }
        pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
        return PF_C_pass_uplink_host;
    }
    if (f->lport != f->eport || pf->cfg.speaker_addr != pf->cfg.addr) {
        pf_rewrite_dst(p, pf->cfg.speaker_addr, f->lport);
    }
    pf_ttl_down(p->frame);
    return pf_to_speaker(pf, p->frame, p->len, PF_C_pass_uplink_speaker);
}

/* From the flow's owner, to the uplink. */
enum pf_counter pf_forward_out(struct pf *pf, struct pf_pkt *p, struct pf_flow *f)
{
    const bool speaker = (f->kind & PF_KIND_SPEAKER) != 0;
    const bool leased = pf_is_lease(f->peer);
    const unsigned before = f->state;
    enum pf_counter c = PF_C_none;
    if (leased) {
        c = check_lease(pf, f, NULL);
    }
    if (c == PF_C_none && speaker && p->frame[PF_O_TTL] <= 1) {
        c = PF_C_drop_ttl;
    }
    if (c == PF_C_none && p->proto == PF_TCP) {
        c = pf_tcp_track(pf, f, p, PF_FROM_OWNER);
    }
    if (c != PF_C_none) {
        return c;
    }
    if (renews(f, p, before)) {
        f->seen = pf->now;
    }
    if (f->lport != f->eport || p->src != pf->cfg.addr) {
        pf_rewrite_src(p, pf->cfg.addr, f->eport);
    }
    if (speaker) {
        pf_ttl_down(p->frame);
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
