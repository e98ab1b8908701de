/* Rules for frames from the uplink. */
#include "pf_core.h"

bool pf_is_service(const struct pf *pf, unsigned proto, uint32_t port)
{
    for (unsigned i = 0; i < pf->service_count; i++) {
        if (pf->service[i].port == port && pf->service[i].proto == proto) {
            return true;
        }
    }
    return false;
}

/* A phone opens a flow to an allowed service of the speaker; the host answers the guarded one. */
static enum pf_counter open_service(struct pf *pf, struct pf_pkt *p)
{
    const unsigned lease = pf_lease_find(pf, p->addr[PF_SRC]);
    const enum pf_counter c = pf_lease_check(pf, lease, p->frame + 6);
    if (c != PF_C_none) {
        return c;
    }
    if (!pf->speaker_known) {
        return PF_C_drop_no_speaker;
    }
    const bool guarded = pf->cfg.guard && p->proto == PF_TCP && p->port[PF_DST] == pf_wire16(PF_GUARD_PORT);
    return pf_flow_open(pf, p, p->proto | PF_KIND_INBOUND | (guarded ? 0U : PF_KIND_SPEAKER), lease);
}

/* May one more connection to the claim port begin? A phone that is in has a rate of its own, so that nobody keeps it from
 * coming again. All others share theirs, each time with others: who shares it with one who uses it up waits for the next turn. */
static bool claim_rate(struct pf *pf, const struct pf_pkt *p)
{
    const uint32_t src = p->addr[PF_SRC];
    const uint8_t *mac = p->frame + 6;
    const unsigned lease = pf_lease_find(pf, src);
    if (lease != PF_NO_PEER && pf->peer[lease].state == PF_PEER_PINNED && pf_mac_eq(pf->peer[lease].mac, mac)) {
        return pf_rate(pf, PF_LIMIT_CLAIM_LEASE, lease - PF_PEER_LEASE);
    }
    /* By MAC on the link: addresses cost a stranger nothing, while an access point wants each MAC to be associated. Addresses of
     * elsewhere cost nothing, either, so they have groups of their own. */
    const bool on_link = pf_on_link(pf, src);
    const uint32_t who = on_link ? pf_hash_remote(pf, pf_hash_pair(pf, rd16(mac), rd16(mac + 2)), rd16(mac + 4))
                                 : pf_hash_pair(pf, src & 0xffff, src >> 16);
    /* A sum of who and turn would leave some pairs together for many turns: the turn's own hash is in it. */
    const uint32_t turn = pf_hash_flow(pf, pf->hash_key[0], pf->now >> PF_CLAIM_TURN & 0xffff);
    const unsigned group = pf_hash_mix(who + turn) & (PF_CLAIM_GROUPS - 1);
    return pf_rate(pf, PF_LIMIT_CLAIM, 2 * group + on_link) && pf_rate(pf, PF_LIMIT_CLAIMS, on_link);
}

/* Anybody opens a connection to the claim port of the host. */
static enum pf_counter open_claim(struct pf *pf, struct pf_pkt *p)
{
    return claim_rate(pf, p) ? pf_flow_open(pf, p, PF_TCP | PF_KIND_INBOUND, PF_NO_PEER) : PF_C_drop_rate_claim;
}

/* DHCP for the host, while it waits for an answer. */
static enum pf_counter dhcp_to_host(struct pf *pf, const struct pf_pkt *p)
{
    if (!pf->dhcp_asked || pf->now - pf->dhcp_asked_time > PF_DHCP_ASKED_MS) {
        return PF_C_drop_dhcp_unasked;
    }
    pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
    return PF_C_pass_uplink_host;
}

static enum pf_counter icmp(struct pf *pf, struct pf_pkt *p)
{
    if (pf_icmp_is_error(p->flags)) {
        return pf_icmp_error_in(pf, p);
    }
    if (p->flags == 0) {
        const enum pf_counter c = pf_flow_pass(pf, p, PF_FROM_REMOTE, 0);
        return c != PF_C_none ? c : PF_C_drop_no_flow;
    }
    if (p->flags != 8) {
        return PF_C_drop_icmp_type;
    }
    if (!pf_rate(pf, PF_LIMIT_ECHO, 0)) {
        return PF_C_drop_rate_echo;
    }
    pf->out(pf->ctx, PF_HOST_UPLINK, p->frame, p->len);
    return PF_C_pass_uplink_host;
}

/* Belongs to no flow, and is for X. */
static enum pf_counter unknown(struct pf *pf, struct pf_pkt *p)
{
    if (p->proto == PF_TCP && !pf_tcp_is_syn(p->flags)) {
        return PF_C_drop_no_flow;
    }
    if (pf_is_service(pf, p->proto, p->port[PF_DST])) {
        return open_service(pf, p);
    }
    if (p->proto == PF_TCP && p->port[PF_DST] == pf->cfg.claim_port && p->port[PF_DST] != 0) {
        return open_claim(pf, p);
    }
    return PF_C_drop_no_rule;
}

enum pf_counter pf_from_uplink(struct pf *pf, struct pf_pkt *p)
{
    const bool group = mac_is_group(p->frame);
    const bool to_x = p->addr[PF_DST] == pf->cfg.addr && p->addr[PF_DST] != 0 && !group;
    const bool dhcp = pf_dhcp_is_answer(p);
    if (to_x && p->proto != PF_ICMP) {
        const enum pf_counter c = pf_flow_pass(pf, p, PF_FROM_REMOTE, 0);
        if (c != PF_C_none) {
            return c;
        }
    }
    /* Before the host has an address, it cannot know that its segment's subnet is the uplink's, too: the server tells. */
    const bool overlaps = dhcp && pf->cfg.addr == 0 && pf_on_segment(pf, p->addr[PF_SRC]);
    if (!overlaps && !pf_source_is_sane(pf, p->addr[PF_SRC])) {
        return PF_C_drop_source_address;
    }
    if (dhcp) { /* also to an address that the host is offered */
        return dhcp_to_host(pf, p);
    }
    if (to_x) {
        return p->proto == PF_ICMP ? icmp(pf, p) : unknown(pf, p);
    }
    if (pf->cfg.addr == 0) {
        return PF_C_drop_no_uplink;
    }
    if (pf_is_multicast(p->addr[PF_DST]) || p->addr[PF_DST] == 0xffffffff) {
        return pf_relay_search(pf, p);
    }
    return group ? PF_C_drop_multicast : PF_C_drop_not_for_us;
}
