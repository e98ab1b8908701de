/* The filter as a whole: start, one frame, timers, configuration. */
#include "pf_core.h"

bool pf_init(struct pf *pf, const uint8_t key[16], pf_out_fn out, void *ctx, uint32_t now_ms)
{
    if (pf_is_stuck(key, 16)) {
        return false;
    }
    memset(pf, 0, sizeof(*pf));
    pf->out = out;
    pf->ctx = ctx;
    pf->now = now_ms;
    pf_hash_init(pf, key);
    pf_flows_init(pf);
    pf->frag_id = pf_random(pf);
    const struct pf_service sonos = {.port = pf_wire16(1400), .proto = PF_TCP};
    pf->service[0] = sonos;
    pf->service_count = 1;
    return true;
}

/* Is it between those who may speak here? PF_C_none: yes. The host on the segment may send as it likes. */
static enum pf_counter check_macs(struct pf *pf, enum pf_port from, const uint8_t *frame)
{
    const uint8_t *src = frame + 6;
    const bool uplink = from == PF_UPLINK;
    const bool to_us = mac_is_group(frame) || pf_mac_eq(frame, uplink ? pf->cfg.uplink_mac : pf->cfg.segment_mac);
    if (from == PF_HOST_UPLINK) {
        return pf_mac_eq(src, pf->cfg.uplink_mac) ? PF_C_none : PF_C_drop_source_mac;
    }
    if (from == PF_HOST_SEGMENT || (uplink && !to_us)) {
        return uplink ? PF_C_drop_not_for_us : PF_C_none;
    }
    if (mac_is_group(src) ||
        (uplink ? pf_mac_eq(src, pf->cfg.uplink_mac) : pf->speaker_known && !pf_mac_eq(src, pf->speaker_mac))) {
        pf->events |= uplink ? 0U : (unsigned)PF_EVENT_SEGMENT_MAC;
        return PF_C_drop_source_mac;
    }
    return to_us ? PF_C_none : PF_C_drop_not_for_us;
}

static enum pf_counter dispatch_ip(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    struct pf_pkt p;
    if (from == PF_HOST_UPLINK && pf_host_is_igmp(pf, frame, len)) {
        pf->out(pf->ctx, PF_UPLINK, frame, len);
        return PF_C_pass_host_uplink;
    }
    const enum pf_counter c = pf_parse(pf, &p, frame, len);
    if (c != PF_C_none) {
        return c;
    }
    switch (from) {
    case PF_UPLINK:
        return pf_from_uplink(pf, &p);
    case PF_SEGMENT:
        return pf_from_segment(pf, &p);
    case PF_HOST_UPLINK:
        return pf_from_host_uplink(pf, &p);
    case PF_HOST_SEGMENT:
    case PF_PORT_COUNT:
    default:
        return pf_from_host_segment(pf, &p);
    }
}

enum pf_counter pf_dispatch(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    if (len > PF_FRAME_MAX) {
        return PF_C_drop_long;
    }
    if (len < PF_ETH) {
        return PF_C_drop_short;
    }
    const enum pf_counter c = check_macs(pf, from, frame);
    if (c != PF_C_none) {
        return c;
    }
    const uint16_t type = rd16(frame + PF_O_TYPE);
    if (type == pf_wire16(0x0800)) {
        return dispatch_ip(pf, from, frame, len);
    }
    if (type == pf_wire16(0x0806)) {
        return pf_arp(pf, from, frame, len);
    }
    if (type == pf_wire16(0x86dd)) {
        return PF_C_drop_ipv6;
    }
    const bool vlan = type == pf_wire16(0x8100) || type == pf_wire16(0x88a8);
    return vlan && from <= PF_SEGMENT ? PF_C_drop_vlan : PF_C_drop_ethertype;
}

enum pf_counter pf_rules(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    enum pf_counter c = pf_dispatch(pf, from, frame, len);
    if (c == PF_C_drop_fragment) {
        c = pf_fragment(pf, from, frame);
    }
    return pf_count(pf, c);
}

/* The same for a plain IP frame that the fast path knows to be of no flow: MACs and flows are not looked at again. `remote`: for
 * pf_flow_open(). */
enum pf_counter pf_rules_unknown(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len, uint32_t remote)
{
    pf->no_flow = true;
    pf->remote = remote;
    const enum pf_counter c = dispatch_ip(pf, from, frame, len);
    pf->no_flow = false;
    return pf_count(pf, c);
}

/* A frame that is where it should be. */
PF_INLINE enum pf_counter take(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
#if PF_FAST
    if (len - PF_FAST_MIN <= PF_FRAME_MAX - PF_FAST_MIN) {
        if (from == PF_UPLINK) {
            return pf_fast_uplink(pf, from, frame, len);
        }
        if (from != PF_HOST_SEGMENT) {
            return pf_fast_out(pf, from, frame, len);
        }
    }
#endif
    return pf_rules(pf, from, frame, len);
}

/* Not inlined: so that pf_input() needs no stack. */
static __attribute__((noinline)) enum pf_counter move(struct pf *pf, enum pf_port from, const uint8_t *frame,
                                                      size_t len)
{
    uint8_t *moved = (uint8_t *)pf->moved + 2;
    memcpy(moved, frame, len);
    return take(pf, from, moved, len);
}

enum pf_counter pf_input(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len, uint32_t now_ms)
{
    pf->now = now_ms;
    return pf_in_place(frame) || len > PF_FRAME_MAX ? take(pf, from, frame, len) : move(pf, from, frame, len);
}

void pf_tick(struct pf *pf, uint32_t now_ms)
{
    pf->now = now_ms;
    pf_leases_sweep(pf);
    pf_flows_sweep(pf);
    pf_frags_sweep(pf, PF_FRAG_TIME_MS + 1);
    pf_peers_tick(pf);
}

void pf_configure(struct pf *pf, const struct pf_config *cfg, uint32_t now_ms)
{
    pf->now = now_ms;
    const struct pf_config *old = &pf->cfg;
    const bool moved = old->addr != cfg->addr || old->mask != cfg->mask || old->router != cfg->router;
    const bool mode = old->speaker_addr != cfg->speaker_addr || old->host_addr != cfg->host_addr ||
                      old->alias != cfg->alias || old->guard != cfg->guard;
    if (moved || mode) { /* with the old addresses, so that the speaker's connections are reset */
        (void)pf_flows_end_of(pf, PF_ENDS_LEASED);
    }
    if (moved) {
        pf_leases_end_all(pf);
        pf_flows_init(pf);
        for (unsigned i = 0; i < PF_PEERS; i++) {
            pf_peer_forget(pf, i);
        }
    }
    pf->cfg = *cfg;
    pf_fast_configure(pf);
    pf_peers_configure(pf);
}

void pf_speaker(struct pf *pf, const uint8_t *mac, uint32_t now_ms)
{
    pf->now = now_ms;
    if (mac != NULL && pf->speaker_known && memcmp(mac, pf->speaker_mac, 6) == 0) {
        return;
    }
    if (pf->speaker_known) {
        (void)pf_flows_end_of(pf, PF_ENDS_SPEAKER);
    }
    pf->speaker_known = mac != NULL;
    if (mac != NULL) {
        memcpy(pf->speaker_mac, mac, 6);
    }
    pf_fast_configure(pf);
}

bool pf_services(struct pf *pf, const struct pf_service *service, size_t count, uint32_t now_ms)
{
    pf->now = now_ms;
    if (count > PF_SERVICES) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if ((service[i].proto != PF_TCP && service[i].proto != PF_UDP) || service[i].port == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        pf->service[i] = service[i];
    }
    pf->service_count = count;
    (void)pf_flows_end_of(pf, PF_ENDS_SERVICES);
    return true;
}

uint32_t pf_take_events(struct pf *pf)
{
    const uint32_t events = pf->events;
    pf->events = 0;
    return events;
}
