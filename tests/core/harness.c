/* Lets Python drive the core: frames in exact-size memory of their own, so that the sanitizer sees each byte read too far. */
#include <stdlib.h>

#include "check.h"
#include "pf_core.h"

enum { MAX_OUT = 2048 };

struct out_frame {
    int port;
    size_t len;
    uint8_t data[PF_FRAME_MAX];
};

struct harness {
    struct pf pf;
    size_t out_count;
    struct out_frame out[MAX_OUT];
};

static void collect(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    struct harness *h = ctx;
    if (h->out_count == MAX_OUT || len > PF_FRAME_MAX) {
        abort();
    }
    struct out_frame *o = &h->out[h->out_count++];
    o->port = (int)port;
    o->len = len;
    memcpy(o->data, frame, len);
}

struct harness *harness_new(const uint8_t *key, uint32_t now)
{
    struct harness *h = calloc(1, sizeof(*h));
    memset(&h->pf, 0xa5, sizeof(h->pf)); /* nothing may depend on memory being clear */
    if (!pf_init(&h->pf, key, collect, h, now)) {
        free(h);
        return NULL;
    }
    return h;
}

void harness_free(struct harness *h)
{
    free(h);
}

struct pf *harness_pf(struct harness *h)
{
    return &h->pf;
}

int harness_input(struct harness *h, int port, const uint8_t *bytes, size_t len, uint32_t now)
{
    uint8_t *start = malloc(len + 2);
    uint8_t *frame = start + 2; /* as drivers do it: that is where the fast path begins */
    memcpy(frame, bytes, len);
    const int verdict = (int)pf_input(&h->pf, (enum pf_port)port, frame, len, now);
    free(start);
    return verdict;
}

size_t harness_out_count(const struct harness *h)
{
    return h->out_count;
}

size_t harness_out(const struct harness *h, size_t i, int *port, uint8_t *data)
{
    *port = h->out[i].port;
    memcpy(data, h->out[i].data, h->out[i].len);
    return h->out[i].len;
}

void harness_out_clear(struct harness *h)
{
    h->out_count = 0;
}

uint32_t harness_counter(const struct harness *h, int i)
{
    return h->pf.counters[i];
}

const char *harness_counter_name(int i)
{
    return i < PF_COUNTER_COUNT ? pf_counter_names[i] : NULL;
}

/* One address, MAC or number of the configuration at a time; then harness_configure(). */
void harness_configure(struct harness *h, const uint8_t *uplink_mac, const uint8_t *segment_mac, const uint8_t *addrs,
                       uint16_t claim_port, bool guard, uint32_t now)
{
    struct pf_config cfg = {0};
    memcpy(cfg.uplink_mac, uplink_mac, 6);
    memcpy(cfg.segment_mac, segment_mac, 6);
    /* addrs: X, mask, router, S, host, alias, DNS servers, named hosts */
    cfg.addr = pf_wire32(addrs);
    cfg.mask = pf_wire32(addrs + 4);
    cfg.router = pf_wire32(addrs + 8);
    cfg.speaker_addr = pf_wire32(addrs + 12);
    cfg.host_addr = pf_wire32(addrs + 16);
    cfg.alias = pf_wire32(addrs + 20);
    for (size_t i = 0; i < PF_DNS; i++) {
        cfg.dns[i] = pf_wire32(addrs + 24 + 4 * i);
    }
    for (size_t i = 0; i < PF_NAMED_HOSTS; i++) {
        cfg.hosts[i] = pf_wire32(addrs + 24 + 4 * PF_DNS + 4 * i);
    }
    cfg.claim_port = pf_wire16(claim_port);
    cfg.guard = guard;
    pf_configure(&h->pf, &cfg, now);
}

bool harness_services(struct harness *h, const uint8_t *protos, const uint16_t *ports, size_t count, uint32_t now_ms)
{
    struct pf_service service[64];
    for (size_t i = 0; i < count; i++) {
        service[i].proto = protos[i];
        service[i].port = pf_wire16(ports[i]);
    }
    return pf_services(&h->pf, service, count, now_ms);
}

/* The longest chain of one index of the flow table: 0 by what the uplink sees, 1 by what the owner sees. */
uint32_t harness_longest_chain(const struct harness *h, int index)
{
    uint32_t longest = 0;
    for (unsigned b = 0; b < PF_BUCKETS; b++) {
        uint32_t n = 0;
        for (unsigned i = h->pf.flow_head[index][b]; i != 0; i = h->pf.flow[i - 1].next[index]) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* The limits that the core was built with, by name. */
uint32_t harness_limit(const char *name)
{
#define LIMIT(x)                                                                                                       \
    if (strcmp(name, #x) == 0) {                                                                                       \
        return (uint32_t)(x);                                                                                          \
    }
    LIMIT(PF_FLOWS)
    LIMIT(PF_PHONE_SHARE)
    LIMIT(PF_OTHER_SHARE)
    LIMIT(PF_LEASE_PROTECTED)
    LIMIT(PF_CLAIM_FLOWS)
    LIMIT(PF_CLAIM_GROUPS)
    LIMIT(PF_CLAIM_TURN)
    LIMIT(PF_CHAIN_MAX)
    LIMIT(PF_LEASES)
    LIMIT(PF_LEASE_MAX_S)
    LIMIT(PF_SERVICES)
    LIMIT(PF_NAMED_HOSTS)
    LIMIT(PF_FRAGS)
    LIMIT(PF_FRAGS_KNOWN)
    LIMIT(PF_FRAGS_PHONES)
    LIMIT(PF_FRAGS_STRANGERS)
    LIMIT(PF_FRAG_MAX)
    LIMIT(PF_FRAG_FIRST)
    LIMIT(PF_FRAG_TIME_MS)
    LIMIT(PF_HELD)
    LIMIT(PF_HELD_KNOWN)
    LIMIT(PF_HELD_PHONES)
    LIMIT(PF_FRAME_MAX)
    LIMIT(PF_PENDING)
    LIMIT(PF_DHCP_QUEUE)
    LIMIT(PF_DHCP_MAX)
    LIMIT(PF_ASKED)
    LIMIT(PF_SWEEP)
    LIMIT(PF_TIME_TCP)
    LIMIT(PF_TIME_TCP_TRANSITORY)
    LIMIT(PF_TIME_UDP)
    LIMIT(PF_TIME_ICMP)
    LIMIT(PF_TIME_CLAIM)
    LIMIT(PF_ARP_FRESH_MS)
    LIMIT(PF_ARP_RETRY_MS)
    LIMIT(PF_ARP_TRIES)
    LIMIT(PF_ARP_ASKED_MS)
    LIMIT(PF_DHCP_ASKED_MS)
    LIMIT(PF_BURST_EGRESS)
    LIMIT(PF_BURST_CALLBACK)
    LIMIT(PF_BURST_CLAIM)
    LIMIT(PF_BURST_CLAIMS)
    LIMIT(PF_BURST_ECHO)
    LIMIT(PF_BURST_ICMP_ERROR)
    LIMIT(PF_BURST_SEARCH)
    LIMIT(PF_BURST_NOTIFY)
    LIMIT(PF_BURST_RESET)
    LIMIT(PF_RATE_EGRESS)
    LIMIT(PF_RATE_CALLBACK)
    LIMIT(PF_RATE_CLAIM)
    LIMIT(PF_RATE_CLAIMS)
    LIMIT(PF_RATE_ECHO)
    LIMIT(PF_RATE_ICMP_ERROR)
    LIMIT(PF_RATE_SEARCH)
    LIMIT(PF_RATE_NOTIFY)
    LIMIT(PF_RATE_RESET)
    LIMIT(PF_RATE_FRAGMENT)
    LIMIT(PF_BURST_FRAGMENT)
#undef LIMIT
    if (strcmp(name, "sizeof(struct pf_flow)") == 0) {
        return sizeof(struct pf_flow);
    }
    if (strcmp(name, "sizeof(struct pf)") == 0) {
        return sizeof(struct pf);
    }
    abort();
}

static uint8_t *put(uint8_t *at, const void *from, size_t len)
{
    memcpy(at, from, len);
    return at + len;
}

/* All that can be seen of a filter, in one call: counters, events (taken), the number of flows, the flows, the leases with
 * their places. `buf` has room for the largest table. */
size_t harness_state(struct harness *h, uint8_t *buf, size_t room, uint32_t now)
{
    if (room < sizeof(h->pf.counters) + 8 + PF_FLOWS * sizeof(struct pf_flow_info) +
                   PF_LEASES * (4 + sizeof(struct pf_lease_info))) {
        abort();
    }
    uint8_t *at = put(buf, h->pf.counters, sizeof(h->pf.counters));
    const uint32_t events = pf_take_events(&h->pf);
    at = put(at, &events, sizeof(events));
    uint8_t *count_at = at;
    uint32_t count = 0;
    at += sizeof(count);
    for (size_t i = 0; i < PF_FLOWS; i++) {
        struct pf_flow_info info;
        memset(&info, 0, sizeof(info));
        if (pf_flow_get(&h->pf, i, &info, now)) {
            at = put(at, &info, sizeof(info));
            count++;
        }
    }
    memcpy(count_at, &count, sizeof(count));
    for (size_t i = 0; i < PF_LEASES; i++) {
        struct pf_lease_info info;
        memset(&info, 0, sizeof(info));
        if (pf_lease_get(&h->pf, i, &info, now)) {
            const uint32_t place = (uint32_t)i;
            at = put(put(at, &place, sizeof(place)), &info, sizeof(info));
        }
    }
    return (size_t)(at - buf);
}

int harness_check(const struct harness *h)
{
    return pf_check(&h->pf);
}
