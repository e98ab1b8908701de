/* The filter as a whole: start, one frame, timers, configuration. */
#include "pf_core.h"

void pf_init(struct pf *pf, const uint8_t key[16], pf_out_fn out, void *ctx, uint32_t now_ms)
{
    memset(pf, 0, sizeof(*pf));
    pf->out = out;
    pf->ctx = ctx;
    pf->now = now_ms;
    pf_hash_init(pf, key);
    pf_rates_init(pf);
    pf_flows_init(pf);
    pf->frag_id = (uint16_t)pf_random(pf);
    const struct pf_service sonos = {.port = pf_wire16(1400), .proto = PF_TCP};
    pf->service[0] = sonos;
    pf->service_count = 1;
}

enum pf_counter pf_dispatch(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    enum pf_counter c = PF_C_drop_short;
    if (len > PF_FRAME_MAX) {
        c = PF_C_drop_long;
    } else if (len >= PF_ETH) {
        switch (from) {
        case PF_UPLINK:
            c = pf_from_uplink(pf, frame, len);
            break;
        case PF_SEGMENT:
            c = pf_from_segment(pf, frame, len);
            break;
        case PF_HOST_UPLINK:
            c = pf_from_host_uplink(pf, frame, len);
            break;
        case PF_HOST_SEGMENT:
            c = pf_from_host_segment(pf, frame, len);
            break;
        case PF_PORT_COUNT:
        default:
            break;
        }
    }
    return c;
}

enum pf_counter pf_rules(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len)
{
    enum pf_counter c = pf_dispatch(pf, from, frame, len);
    if (c == PF_C_drop_fragment) {
        c = pf_fragment(pf, from, frame);
    }
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
    return ((uintptr_t)frame & 3) == 2 || len > PF_FRAME_MAX ? take(pf, from, frame, len) : move(pf, from, frame, len);
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
    const bool same = !moved && !mode && memcmp(old->dns, cfg->dns, sizeof(cfg->dns)) == 0 &&
                      memcmp(old->hosts, cfg->hosts, sizeof(cfg->hosts)) == 0 &&
                      mac_eq(old->uplink_mac, cfg->uplink_mac) && mac_eq(old->segment_mac, cfg->segment_mac) &&
                      old->claim_port == cfg->claim_port;
    if (same) {
        return;
    }
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

bool pf_services(struct pf *pf, const struct pf_service *service, size_t count)
{
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
    pf->service_count = (uint8_t)count;
    return true;
}

uint32_t pf_take_events(struct pf *pf)
{
    const uint32_t events = pf->events;
    pf->events = 0;
    return events;
}
