/*
 * Discovery. Of all group traffic only this passes: an SSDP search or mDNS query of a leased phone goes to the speaker,
 * an SSDP notification or mDNS answer of the speaker goes to each leased phone, by unicast. Where the host stands in for the
 * speaker (cfg.guard), it gets what is SSDP, and mDNS does not pass: its answers tell the speaker's own address.
 */
#include "pf_core.h"

enum { UDP_HEADER = 8, DNS_HEADER = 12 };

enum group { OTHER, SSDP, MDNS };

static enum group group_of(const struct pf_pkt *p)
{
    static const uint8_t ssdp[4] = {239, 255, 255, 250};
    static const uint8_t mdns[4] = {224, 0, 0, 251};
    const uint32_t dst = p->addr[PF_DST];
    if (p->proto != PF_UDP) {
        return OTHER;
    }
    if ((dst == pf_wire32(ssdp) || dst == 0xffffffff) && p->port[PF_DST] == pf_wire16(1900)) {
        return SSDP;
    }
    return dst == pf_wire32(mdns) && p->port[PF_DST] == pf_wire16(5353) ? MDNS : OTHER;
}

static bool starts_with(const struct pf_pkt *p, const char *text, size_t len)
{
    return p->l4_len >= UDP_HEADER + len && memcmp(p->l4 + UDP_HEADER, text, len) == 0;
}

/* A DNS message with at least a header; its QR bit says answer. Opcode 0 only (RFC 6762, 18.3). */
static bool is_dns(const struct pf_pkt *p, bool answer)
{
    if (p->l4_len < UDP_HEADER + DNS_HEADER) {
        return false;
    }
    const uint8_t flags = p->l4[UDP_HEADER + 2];
    return (flags & 0x78) == 0 && ((flags & 0x80) != 0) == answer;
}

/* By unicast: no stack would take a packet for its own address by a group's MAC for sure. */
static enum pf_counter to_host(struct pf *pf, const struct pf_pkt *p, enum pf_port port, const uint8_t *mac,
                               enum pf_counter passed)
{
    pf_mac_copy(p->frame, mac);
    pf->out(pf->ctx, port, p->frame, p->len);
    return passed;
}

/* From the uplink. */
enum pf_counter pf_relay_search(struct pf *pf, struct pf_pkt *p)
{
    static const char search[] = "M-SEARCH * HTTP/1.1"; /* without its end of line: SoCo's is a bare LF */
    const enum group group = group_of(p);
    if (group == OTHER || (group == MDNS && pf->cfg.guard)) {
        return PF_C_drop_multicast;
    }
    const unsigned lease = pf_lease_find(pf, p->addr[PF_SRC]);
    if (lease == PF_NO_PEER) {
        return PF_C_drop_search_stranger; /* each machine of a network asks its groups all day: no drop_no_lease, which is for the door */
    }
    const enum pf_counter c = pf_lease_check(pf, lease, p->frame + 6);
    if (c != PF_C_none) {
        return c;
    }
    if (group == SSDP ? !starts_with(p, search, sizeof(search) - 1) : !is_dns(p, false)) {
        return PF_C_drop_search_bad;
    }
    if (!pf->speaker_known) {
        return PF_C_drop_no_speaker;
    }
    if (!pf_rate(pf, PF_LIMIT_SEARCH, lease - PF_PEER_LEASE)) {
        return PF_C_drop_rate_search;
    }
    pf->peer[lease].seen = pf->now;
    if (pf->cfg.guard) {
        pf_rewrite(p, PF_DST, pf->cfg.addr, p->port[PF_DST]);
        return to_host(pf, p, PF_HOST_UPLINK, pf->cfg.uplink_mac, PF_C_relay_search);
    }
    return pf_to_speaker(pf, p->frame, p->len, PF_C_relay_search);
}

/* From the segment. */
enum pf_counter pf_relay_notify(struct pf *pf, struct pf_pkt *p)
{
    static const char notify[] = "NOTIFY * HTTP/1.1";
    const enum group group = group_of(p);
    if (group == OTHER || (group == MDNS && pf->cfg.guard)) {
        return PF_C_drop_multicast;
    }
    if (group == SSDP ? !starts_with(p, notify, sizeof(notify) - 1) : !is_dns(p, true)) {
        return PF_C_drop_multicast;
    }
    if (!pf_rate(pf, PF_LIMIT_NOTIFY, 0)) {
        return PF_C_drop_rate_notify;
    }
    if (pf->cfg.guard) {
        pf_rewrite(p, PF_SRC, pf->cfg.alias, p->port[PF_SRC]);
        pf_rewrite(p, PF_DST, pf->cfg.host_addr, p->port[PF_DST]);
        return to_host(pf, p, PF_HOST_SEGMENT, pf->cfg.segment_mac, PF_C_relay_notify);
    }
    enum pf_counter result = PF_C_drop_no_listener;
    pf_rewrite(p, PF_SRC, pf->cfg.addr, p->port[PF_SRC]);
    for (unsigned peer = PF_PEER_LEASE; peer < PF_PEERS; peer++) {
        if (pf->peer[peer].addr == 0 || pf_lease_over(pf, peer)) {
            continue;
        }
        if (group == MDNS && pf->peer[peer].state == PF_PEER_ROUTED) {
            continue; /* mDNS is for the link only */
        }
        if (group == SSDP) {
            pf_rewrite(p, PF_DST, pf->peer[peer].addr, p->port[PF_DST]);
        } /* an mDNS answer keeps its group: one to a unicast address nobody asked for is ignored (RFC 6762, 6) */
        (void)pf_peer_send(pf, peer, p->frame, p->len, PF_C_relay_notify);
        result = PF_C_relay_notify;
    }
    return result;
}
