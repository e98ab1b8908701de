/* Rules for frames from the segment: what the speaker may do. */
#include "pf_core.h"

/* RFC 1918, RFC 3927, and the uplink's own subnet. */
static bool is_local(const struct pf *pf, uint32_t dst)
{
    const unsigned first = pf_byte(dst, 0);
    const unsigned second = pf_byte(dst, 1);
    return first == 10 || (first == 172 && second >> 4 == 1) || (first == 192 && second == 168) ||
           (first == 169 && second == 254) || pf_on_link(pf, dst);
}

/* Telnet and mail: what a taken-over device is used for. */
static bool is_barred(const struct pf_pkt *p)
{
    switch (p->proto == PF_TCP ? be16(p->l4 + 2) : 0) {
    case 23:
    case 25:
    case 465:
    case 587:
    case 2323:
    case 2525:
        return true;
    default:
        return false;
    }
}

/* May the speaker open a flow to there, and by which peer does it leave? */
static enum pf_counter egress(struct pf *pf, const struct pf_pkt *p, unsigned *peer)
{
    if (pf_is_nobody(p->addr[PF_DST]) || p->addr[PF_DST] == pf->cfg.addr) {
        return PF_C_drop_egress_address;
    }
    *peer = pf_peer_of(pf, p->addr[PF_DST]);
    const bool phone = pf_is_lease(*peer);
    const bool named = pf->peer[*peer].addr == p->addr[PF_DST];
    if (!named && is_local(pf, p->addr[PF_DST])) {
        return PF_C_drop_egress_local;
    }
    if (is_barred(p)) {
        return PF_C_drop_egress_port;
    }
    if (phone) {
        return pf_rate(pf, PF_LIMIT_CALLBACK, 0) ? PF_C_none : PF_C_drop_rate_callback;
    }
    return pf_rate(pf, PF_LIMIT_EGRESS, 0) ? PF_C_none : PF_C_drop_rate_egress;
}

static enum pf_counter open_flow(struct pf *pf, struct pf_pkt *p)
{
    unsigned peer = PF_NO_PEER;
    const enum pf_counter c = egress(pf, p, &peer);
    if (c != PF_C_none) {
        return c;
    }
    return pf_flow_open(pf, p, p->proto | PF_KIND_SPEAKER, peer);
}

/* To the host, under the speaker's other name. Addresses only: each has its ports for itself. */
static enum pf_counter to_host(struct pf *pf, struct pf_pkt *p)
{
    if (p->proto == PF_TCP &&
        p->port[PF_DST] == pf->cfg.claim_port) { /* phones claim on the uplink; the speaker has no business there */
        return PF_C_drop_no_rule;
    }
    if (p->proto == PF_TCP && pf_tcp_is_syn(p->flags) && !pf_rate(pf, PF_LIMIT_EGRESS, 0)) {
        return PF_C_drop_rate_egress;
    }
    if (p->proto == PF_ICMP && pf_icmp_is_error(p->flags)) {
        const enum pf_counter c = pf_icmp_error_alias(p, pf->cfg.speaker_addr, pf->cfg.alias, PF_DST);
        if (c != PF_C_none) {
            return c;
        }
    } else if (p->proto == PF_ICMP && p->flags != 8 && p->flags != 0) {
        return PF_C_drop_icmp_type;
    }
    pf_rewrite(p, PF_SRC, pf->cfg.alias, p->port[PF_SRC]);
    pf->out(pf->ctx, PF_HOST_SEGMENT, p->frame, p->len);
    return PF_C_pass_speaker_host;
}

static enum pf_counter to_uplink(struct pf *pf, struct pf_pkt *p)
{
    if (p->proto == PF_ICMP && p->flags != 8) {
        return pf_icmp_is_error(p->flags) ? pf_icmp_error_out(pf, p, PF_OWNER_SPEAKER) : PF_C_drop_icmp_type;
    }
    const enum pf_counter c = pf_flow_pass(pf, p, PF_FROM_OWNER, PF_KIND_SPEAKER);
    if (c != PF_C_none) {
        return c;
    }
    if (p->proto == PF_TCP && !pf_tcp_is_syn(p->flags)) {
        pf_tcp_refuse_speaker(pf, p);
        return PF_C_drop_no_flow;
    }
    return open_flow(pf, p);
}

enum pf_counter pf_from_segment(struct pf *pf, struct pf_pkt *p)
{
    const bool group = mac_is_group(p->frame);
    if (pf_dhcp_is_request(p)) { /* from any address: also from one that the speaker had before */
        return pf_dhcp_queue(pf, p);
    }
    if (!pf->speaker_known) {
        return PF_C_drop_no_speaker;
    }
    if (p->addr[PF_SRC] != pf->cfg.speaker_addr || p->addr[PF_SRC] == 0) {
        return PF_C_drop_source_address;
    }
    if (!group && p->addr[PF_DST] == pf->cfg.host_addr) {
        return to_host(pf, p);
    }
    if (pf->cfg.addr == 0) {
        return PF_C_drop_no_uplink;
    }
    if (pf_is_multicast(p->addr[PF_DST]) || p->addr[PF_DST] == 0xffffffff) {
        return pf_relay_notify(pf, p);
    }
    return group ? PF_C_drop_multicast : to_uplink(pf, p);
}
