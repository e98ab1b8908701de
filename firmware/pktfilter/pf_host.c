/* Rules for frames from the host: its own traffic to the uplink, and to the speaker under its alias. */
#include "pf_core.h"

enum { IGMP_HEADER = 24, MIN_IGMP = PF_ETH + 20 + 8 };

/* The host's membership reports, so that switches send it the groups: the one thing that may carry an IP option. */
bool pf_host_is_igmp(const struct pf *pf, const uint8_t *frame, size_t len)
{
    return len >= MIN_IGMP && (frame[PF_O_VERSION] == 0x45 || frame[PF_O_VERSION] == 0x46) &&
           frame[PF_O_PROTO] == PF_IPPROTO_IGMP && rdw(frame + PF_O_SRC) == pf->cfg.addr && pf->cfg.addr != 0 &&
           pf_is_multicast(rdw(frame + PF_O_DST));
}

static enum pf_counter pass(struct pf *pf, const struct pf_pkt *p)
{
    pf->out(pf->ctx, PF_UPLINK, p->frame, p->len);
    return PF_C_pass_host_uplink;
}

static enum pf_counter tracked(struct pf *pf, struct pf_pkt *p)
{
    const enum pf_counter c = pf_flow_pass(pf, p, PF_FROM_OWNER, 0);
    if (c != PF_C_none) {
        return c;
    }
    if (p->proto == PF_TCP && !pf_tcp_is_syn(p->flags)) {
        return PF_C_drop_no_flow;
    }
    /* What the host sends phones in the speaker's place is theirs alone: it goes by the lease, and ends with it. */
    return pf_flow_open(pf, p, p->proto, pf->cfg.guard ? pf_lease_find(pf, p->addr[PF_DST]) : (unsigned)PF_NO_PEER);
}

enum pf_counter pf_from_host_uplink(struct pf *pf, struct pf_pkt *p)
{
    if (pf_dhcp_is_request(p)) {
        pf->dhcp_asked = true;
        pf->dhcp_asked_time = pf->now;
        return pass(pf, p);
    }
    if (pf->cfg.addr == 0) {
        return PF_C_drop_no_uplink;
    }
    if (p->addr[PF_SRC] != pf->cfg.addr) {
        return PF_C_drop_source_address;
    }
    if (mac_is_group(p->frame) || pf_is_multicast(p->addr[PF_DST])) {
        return PF_C_drop_multicast;
    }
    if (p->proto == PF_ICMP && p->flags == 0) {
        return pass(pf, p);
    }
    if (p->proto == PF_ICMP && p->flags != 8) {
        return pf_icmp_is_error(p->flags) ? pf_icmp_error_out(pf, p, PF_OWNER_HOST) : PF_C_drop_icmp_type;
    }
    return tracked(pf, p);
}

enum pf_counter pf_from_host_segment(struct pf *pf, struct pf_pkt *p)
{
    if (!pf->speaker_known) {
        return PF_C_drop_no_speaker;
    }
    if (p->addr[PF_SRC] != pf->cfg.host_addr) {
        return PF_C_drop_source_address;
    }
    if (p->addr[PF_DST] != pf->cfg.alias || mac_is_group(p->frame)) {
        return PF_C_drop_multicast;
    }
    if (p->proto == PF_ICMP && pf_icmp_is_error(p->flags)) {
        const enum pf_counter inner = pf_icmp_error_alias(p, pf->cfg.alias, pf->cfg.speaker_addr, PF_SRC);
        if (inner != PF_C_none) {
            return inner;
        }
    }
    pf_rewrite(p, PF_DST, pf->cfg.speaker_addr, p->port[PF_DST]);
    return pf_to_speaker(pf, p->frame, p->len, PF_C_pass_host_speaker);
}
