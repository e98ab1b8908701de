#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"

enum { OUTS = 128 };

const struct machine machines[WHO_COUNT] = {
    [NOBODY] = {{0, 0, 0, 0}, {2, 0, 0, 0, 0x42, 0x60}},
    [X] = {{10, 66, 0, 77}, {2, 0, 0, 0, 0x42, 0x10}},
    [BRIDGE] = {{192, 168, 77, 1}, {2, 0, 0, 0, 0x42, 0x11}},
    [ALIAS] = {{192, 168, 77, 2}, {2, 0, 0, 0, 0x42, 0x20}},
    [SPEAKER] = {{10, 66, 0, 77}, {2, 0, 0, 0, 0x42, 0x20}},
    [ROUTER] = {{10, 66, 0, 1}, {2, 0, 0, 0, 0x42, 1}},
    [DNS] = {{10, 66, 0, 2}, {2, 0, 0, 0, 0x42, 3}},
    [SERVER] = {{203, 0, 113, 10}, {2, 0, 0, 0, 0x42, 1}},
    [SERVER2] = {{203, 0, 113, 11}, {2, 0, 0, 0, 0x42, 1}},
    [PHONE] = {{10, 66, 0, 100}, {2, 0, 0, 0, 0x42, 0x30}},
    [LAPTOP] = {{10, 66, 0, 101}, {2, 0, 0, 0, 0x42, 0x31}},
    [FARPHONE] = {{172, 20, 5, 6}, {2, 0, 0, 0, 0x42, 1}},
    [FLATMATE] = {{10, 66, 0, 102}, {2, 0, 0, 0, 0x42, 0x40}},
    [NAS] = {{10, 66, 0, 104}, {2, 0, 0, 0, 0x42, 0x41}},
    [FARNAS] = {{172, 20, 5, 7}, {2, 0, 0, 0, 0x42, 1}},
    [SSDP] = {{239, 255, 255, 250}, {1, 0, 0x5e, 0x7f, 0xff, 0xfa}},
    [MDNS] = {{224, 0, 0, 251}, {1, 0, 0x5e, 0, 0, 0xfb}},
    [ALL] = {{255, 255, 255, 255}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
};

struct pf world[2];

static struct outs {
    size_t count;
    struct {
        enum pf_port port;
        size_t len;
        uint8_t frame[PF_FRAME_MAX];
    } one[OUTS];
} outs[2];
static unsigned now_of;    /* which filter is at work */
static bool bad_sum_waits; /* a frame with a wrong TCP or UDP sum may still wait for a neighbour */

/* What is being judged, for the message. */
static struct {
    enum pf_port port;
    size_t len;
    enum pf_counter verdict;
    const uint8_t *bytes;
} judged;

static void print_bytes(const char *title, const uint8_t *bytes, size_t len)
{
    fprintf(stderr, "  %s, %zu bytes:", title, len);
    for (size_t i = 0; i < len && i < 128; i++) {
        fprintf(stderr, " %02x", bytes[i]);
    }
    fprintf(stderr, "\n");
}

void world_fail(const char *what)
{
    fprintf(stderr, "world: %s\n", what);
    if (judged.bytes != NULL) {
        fprintf(stderr, "  the last frame came in at port %d, verdict %s\n", (int)judged.port,
                pf_counter_names[judged.verdict]);
        print_bytes("in", judged.bytes, judged.len);
        for (size_t i = 0; i < outs[0].count; i++) {
            print_bytes("out", outs[0].one[i].frame, outs[0].one[i].len);
        }
    }
    abort();
}

static void promise(bool kept, const char *what)
{
    if (!kept) {
        world_fail(what);
    }
}

static void keep(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    struct outs *o = &outs[now_of];
    promise(o->count < OUTS, "too many frames out");
    promise(len >= PF_ETH && len <= PF_FRAME_MAX, "the length of a frame out");
    promise((unsigned)port < PF_PORT_COUNT, "the port of a frame out");
    o->one[o->count].port = port;
    o->one[o->count].len = len;
    memcpy(o->one[o->count++].frame, frame, len);
}

struct pf *world_enter(unsigned i)
{
    now_of = i;
    outs[i].count = 0;
    return &world[i];
}

void world_same(const char *what)
{
    world[0].remote = world[1].remote = 0; /* tells of one frame only: a hit of the fast path leaves it alone */
    promise(memcmp(&world[0], &world[1], sizeof(struct pf)) == 0, what);
    promise(outs[0].count == outs[1].count, "another number of frames out by the fast path");
    for (size_t i = 0; i < outs[0].count; i++) {
        promise(outs[0].one[i].port == outs[1].one[i].port && outs[0].one[i].len == outs[1].one[i].len &&
                    memcmp(outs[0].one[i].frame, outs[1].one[i].frame, outs[0].one[i].len) == 0,
                "another frame out by the fast path");
    }
}

size_t world_outs(void)
{
    return outs[0].count;
}

const uint8_t *world_out(size_t i, enum pf_port *port, size_t *len)
{
    *port = outs[0].one[i].port;
    *len = outs[0].one[i].len;
    return outs[0].one[i].frame;
}

/* ---- The filters ---- */

static uint32_t wire(enum who who)
{
    return pf_wire32(machines[who].addr);
}

void world_leases(uint32_t now)
{
    WORLD_BOTH(pf_lease_add(pf, wire(PHONE), machines[PHONE].mac, 900, now));
    WORLD_BOTH(pf_lease_add(pf, wire(LAPTOP), NULL, 86400, now));
    WORLD_BOTH(pf_lease_add(pf, wire(FARPHONE), NULL, 86400, now));
}

void world_configure(enum world_mode mode, uint32_t now)
{
    static const uint8_t mask[4] = {255, 255, 252, 0};
    struct pf_config cfg = {.host_addr = wire(BRIDGE), .alias = wire(ALIAS), .claim_port = pf_wire16(CLAIM_PORT)};
    memcpy(cfg.uplink_mac, machines[X].mac, 6);
    memcpy(cfg.segment_mac, machines[BRIDGE].mac, 6);
    if (mode != MODE_NO_UPLINK) {
        cfg.addr = wire(X);
        cfg.mask = pf_wire32(mask);
        cfg.router = wire(ROUTER);
        cfg.dns[0] = wire(DNS);
        cfg.dns[1] = cfg.router;
        cfg.hosts[0] = wire(NAS);
        cfg.hosts[1] = wire(FARNAS);
    }
    cfg.speaker_addr = mode == MODE_PASSTHROUGH ? cfg.addr : cfg.alias;
    cfg.guard = mode == MODE_GUARD;
    WORLD_BOTH(pf_configure(pf, &cfg, now));
}

void world_start(enum world_mode mode, uint32_t now)
{
    static const uint8_t key[16] = {4, 5, 6};
    judged.bytes = NULL;
    bad_sum_waits = false;
    for (unsigned i = 0; i < 2; i++) {
        memset(&world[i], 0, sizeof(world[i])); /* also what is between the members: they are compared as bytes */
        pf_init(world_enter(i), key, keep, NULL, now);
    }
    world_configure(mode, now);
    WORLD_BOTH((pf_speaker(pf, machines[SPEAKER].mac, now), 0));
    world_leases(now);
}

void world_end(void)
{
    const int line = pf_check(&world[0]);
    if (line != 0) {
        fprintf(stderr, "check.c:%d\n", line);
        world_fail("the tables are not consistent");
    }
}

/* ---- What is promised of every frame. Sums are computed in another way here than in the core. ---- */

static uint32_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += (i & 1) != 0 ? p[i] : (uint32_t)p[i] << 8;
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static bool is_ip(const uint8_t *f, size_t len)
{
    return len >= PF_L4 && f[12] == 8 && f[13] == 0;
}

/* A TCP, UDP or ICMP packet without options that is no fragment and is complete. */
static bool is_whole(const uint8_t *f, size_t len)
{
    if (!is_ip(f, len) || f[14] != 0x45 || (be16(f + 20) & 0x3fff) != 0) {
        return false;
    }
    const size_t l4_len = be16(f + 16) - PF_IP;
    const size_t least = f[23] == PF_IPPROTO_TCP ? 20 : 8;
    return be16(f + 16) >= PF_IP + least && l4_len + PF_L4 <= len &&
           (f[23] == PF_IPPROTO_TCP || f[23] == PF_IPPROTO_UDP || f[23] == PF_IPPROTO_ICMP);
}

static bool is_udp_without_sum(const uint8_t *f)
{
    return f[23] == PF_IPPROTO_UDP && be16(f + PF_L4 + PF_UDP_SUM) == 0;
}

static bool l4_sum_ok(const uint8_t *f)
{
    const uint32_t l4_len = be16(f + 16) - PF_IP;
    const uint32_t pseudo = f[23] == PF_IPPROTO_ICMP ? 0 : sum_of(f + 26, 8, f[23] + l4_len);
    return is_udp_without_sum(f) || sum_of(f + PF_L4, l4_len, pseudo) == 0xffff;
}

static bool is_error(const uint8_t *f, size_t len)
{
    return is_whole(f, len) && f[23] == PF_IPPROTO_ICMP && be16(f + 16) >= PF_IP + 8 + PF_IP + 8 &&
           (f[PF_L4] == 3 || f[PF_L4] == 11 || f[PF_L4] == 12);
}

static bool inner_sum_ok(const uint8_t *f)
{
    return sum_of(f + PF_L4 + 8, PF_IP, 0) == 0xffff;
}

static bool is_leased(const uint8_t *addr, const uint8_t *mac)
{
    for (unsigned i = 0; i < PF_LEASES; i++) {
        struct pf_lease_info info;
        if (pf_lease_get(&world[0], i, &info, world[0].now) && info.addr == pf_wire32(addr)) {
            return mac == NULL || !info.has_mac || memcmp(info.mac, mac, 6) == 0;
        }
    }
    return false;
}

/* A flow in the table, whether or not its time is over. `port`: the owner's own. */
static const struct pf_flow *flow_of(unsigned proto, bool speaker, const uint8_t *raddr, uint16_t rport, uint16_t port)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *f = &world[0].flow[i];
        if (f->kind >> PF_KIND_CLASS_SHIFT != PF_CLASS_FREE && (f->kind & PF_KIND_PROTO) == proto &&
            ((f->kind & PF_KIND_SPEAKER) != 0) == speaker && f->raddr == pf_wire32(raddr) && f->rport == rport &&
            f->port[PF_FROM_OWNER] == port) {
            return f;
        }
    }
    return NULL;
}

/* The flow that a whole packet towards its owner, or an ICMP error about one of the owner's packets, belongs to. */
static const struct pf_flow *flow_in(const uint8_t *f, size_t len, bool speaker)
{
    const uint8_t *l4 = f + PF_L4;
    if (f[23] == PF_IPPROTO_TCP || f[23] == PF_IPPROTO_UDP) {
        return flow_of(f[23] == PF_IPPROTO_TCP ? PF_TCP : PF_UDP, speaker, f + 26, rd16(l4), rd16(l4 + 2));
    }
    if (is_error(f, len)) {
        const uint8_t *ip = l4 + 8;
        const uint8_t *in = ip + PF_IP;
        return ip[9] == PF_IPPROTO_ICMP
                   ? flow_of(PF_ICMP, speaker, ip + 16, 0, rd16(in + 4))
                   : flow_of(ip[9] == PF_IPPROTO_TCP ? PF_TCP : PF_UDP, speaker, ip + 16, rd16(in + 2), rd16(in));
    }
    return l4[0] == 0 ? flow_of(PF_ICMP, speaker, f + 26, 0, rd16(l4 + 4)) : NULL;
}

static bool is_reset(const uint8_t *f, size_t len)
{
    return len == PF_L4 + 20 && f[23] == PF_IPPROTO_TCP && f[47] == PF_RST && be16(f + PF_O_ID) == 0;
}

static bool is_fragment(const uint8_t *f, size_t len)
{
    return is_ip(f, len) && f[23] != PF_IPPROTO_IGMP && (be16(f + PF_O_FRAG) & 0x3fff) != 0;
}

static bool is_later(const uint8_t *f, size_t len)
{
    return is_fragment(f, len) && (be16(f + PF_O_FRAG) & 0x1fff) != 0;
}

/* A fragment goes out when its first one has (which is judged as a whole packet is): where it went, between its addresses.
 * To the uplink both may have waited for a neighbour, in any order. */
static void judge_fragment(const uint8_t *f, enum pf_port port)
{
    struct key {
        uint8_t addr[8], id[2];
        uint16_t proto, port;
    };
    static struct key firsts[4096];
    static unsigned next;
    struct key k = {.proto = f[23], .port = (uint16_t)port};
    memcpy(k.addr, f + PF_O_SRC, 8);
    memcpy(k.id, f + PF_O_ID, 2);
    promise(f[23] == PF_IPPROTO_UDP || f[23] == PF_IPPROTO_ICMP, "a fragment of neither UDP nor ICMP out");
    if ((be16(f + PF_O_FRAG) & 0x1fff) == 0) {
        promise(be16(f + PF_O_TOTAL) >= PF_IP + PF_FRAG_FIRST, "a tiny first fragment out");
        firsts[next++ % 4096] = k;
        return;
    }
    for (unsigned i = 0; i < 4096 && port != PF_UPLINK; i++) {
        if (memcmp(&firsts[i], &k, sizeof(k)) == 0) {
            return;
        }
    }
    promise(port == PF_UPLINK, "a fragment out whose first one did not go there");
}

/* Nobody without a lease reaches the speaker, but in answer to what it began. */
static void judge_to_segment(const uint8_t *in, const uint8_t *f, size_t len)
{
    promise(memcmp(f, world[0].speaker_mac, 6) == 0 && world[0].speaker_known, "to the segment, not to the speaker");
    promise(memcmp(f + 6, machines[BRIDGE].mac, 6) == 0, "to the segment, from another MAC than ours");
    promise(is_ip(f, len) || judged.port == PF_SEGMENT, "to the segment, neither IP nor an answer to ARP");
    if (judged.port == PF_UPLINK) {
        if (is_later(f, len)) {
            return;
        }
        promise(is_whole(f, len) || is_fragment(f, len), "to the speaker, not a whole packet");
        if (is_leased(f + 26, in + 6)) {
            promise(!world[0].cfg.guard || f[23] != PF_IPPROTO_TCP || be16(in + 36) != PF_GUARD_PORT,
                    "to the speaker's port 1400 past the guard");
            return;
        }
        const struct pf_flow *flow = flow_in(f, len, true);
        promise(flow != NULL, "to the speaker, from a stranger");
        promise((flow->kind & PF_KIND_INBOUND) == 0 || is_error(f, len), "to the speaker, a stranger's flow");
    }
}

static void judge_to_host(const uint8_t *in, const uint8_t *f, size_t len)
{
    if (judged.port == PF_HOST_UPLINK) {
        promise(judged.verdict == PF_C_arp_answered && is_leased(f + PF_ARP_SPA, f + PF_ARP_SHA),
                "to the host from itself, no answer with a lease's MAC");
    }
    if (judged.port != PF_UPLINK || !is_ip(f, len) || is_later(f, len)) {
        return;
    }
    promise(is_whole(f, len) || is_fragment(f, len), "to the host, not a whole packet");
    const bool dhcp = f[23] == PF_IPPROTO_UDP && be16(f + 34) == 67 && be16(f + 36) == 68;
    const bool echo = f[23] == PF_IPPROTO_ICMP && f[PF_L4] == 8;
    const bool search = judged.verdict == PF_C_relay_search;
    const bool guarded = world[0].cfg.guard && is_leased(f + 26, in + 6);
    if (search) {
        promise(guarded && be16(f + 36) == 1900 && memcmp(f, machines[X].mac, 6) == 0, "a search to the host");
    } else if (!dhcp && !echo) {
        const struct pf_flow *flow = flow_in(f, len, false);
        promise(flow != NULL, "to the host, of no flow");
        promise((flow->kind & PF_KIND_INBOUND) == 0 || flow->port[PF_FROM_OWNER] == pf_wire16(CLAIM_PORT) ||
                    (guarded && flow->port[PF_FROM_OWNER] == pf_wire16(PF_GUARD_PORT)) || is_error(f, len),
                "to the host, a stranger's flow to another port than the claims'");
    }
}

static bool is_local(const uint8_t *a)
{
    return a[0] == 10 || (a[0] == 172 && a[1] >> 4 == 1) || (a[0] == 192 && a[1] == 168) ||
           (a[0] == 169 && a[1] == 254);
}

static bool is_named(const uint8_t *a)
{
    return memcmp(a, machines[ROUTER].addr, 4) == 0 || memcmp(a, machines[DNS].addr, 4) == 0 ||
           memcmp(a, machines[NAS].addr, 4) == 0 || memcmp(a, machines[FARNAS].addr, 4) == 0;
}

static void judge_to_uplink(const uint8_t *f, size_t len)
{
    promise(memcmp(f + 6, machines[X].mac, 6) == 0, "to the uplink, from another MAC than ours");
    if (!is_ip(f, len)) {
        return;
    }
    const bool dhcp = f[23] == PF_IPPROTO_UDP && be16(f + 34) == 68 && be16(f + 36) == 67;
    promise(memcmp(f + 26, machines[X].addr, 4) == 0 || (dhcp && judged.port == PF_HOST_UPLINK),
            "to the uplink, not from X");
    if (judged.port == PF_SEGMENT) {
        const bool mdns = memcmp(f + 30, machines[MDNS].addr, 4) == 0;
        promise(mdns || (f[30] != 0 && f[30] != 127 && f[30] < 224), "the speaker to an address that is nobody's");
        promise(mdns || !is_local(f + 30) || is_named(f + 30) || is_leased(f + 30, NULL),
                "the speaker to a local machine");
    }
}

static void judge_out(const uint8_t *in, bool in_good, const uint8_t *f, size_t len, enum pf_port port)
{
    static const bool may[PF_PORT_COUNT][PF_PORT_COUNT] = {
        [PF_UPLINK] = {[PF_UPLINK] = true, [PF_SEGMENT] = true, [PF_HOST_UPLINK] = true},
        [PF_SEGMENT] = {[PF_UPLINK] = true, [PF_SEGMENT] = true, [PF_HOST_SEGMENT] = true},
        [PF_HOST_UPLINK] = {[PF_UPLINK] = true, [PF_SEGMENT] = true, [PF_HOST_UPLINK] = true},
        [PF_HOST_SEGMENT] = {[PF_SEGMENT] = true, [PF_HOST_SEGMENT] = true},
    };
    const bool reset = is_reset(f, len) && (port == PF_SEGMENT || port == PF_HOST_UPLINK);
    promise(may[judged.port][port] || reset, "out at a port that has nothing to do with where the frame came in");
    promise(is_ip(f, len) || (len == PF_ARP_LEN && be16(f + 12) == 0x0806), "neither IP nor ARP out");
    if (is_ip(f, len) && f[23] != PF_IPPROTO_IGMP) {
        promise(f[14] == 0x45 && sum_of(f + PF_ETH, PF_IP, 0) == 0xffff, "a wrong IP header out");
        promise(be16(f + 16) + PF_ETH == len, "padding, or a cut packet, out");
    }
    if (is_whole(f, len)) {
        promise(l4_sum_ok(f) || !in_good || bad_sum_waits, "a wrong TCP, UDP or ICMP checksum out");
        promise(f[23] != PF_IPPROTO_ICMP || l4_sum_ok(f), "a wrong ICMP checksum out");
    }
    if (reset) { /* judge_counters() has their number */
        return;
    }
    if (is_fragment(f, len)) {
        judge_fragment(f, port);
    }
    switch (port) {
    case PF_UPLINK:
        judge_to_uplink(f, len);
        break;
    case PF_SEGMENT:
        judge_to_segment(in, f, len);
        break;
    default:
        judge_to_host(in, f, len);
        break;
    }
}

/* A frame that is passed on is the one that came in, with less TTL. */
static void judge_passed(const uint8_t *in, size_t in_len)
{
    if (outs[0].count != 1 || !is_whole(in, in_len) || !is_whole(outs[0].one[0].frame, outs[0].one[0].len)) {
        return;
    }
    const uint8_t *f = outs[0].one[0].frame;
    const bool hop = judged.verdict == PF_C_pass_speaker_uplink || judged.verdict == PF_C_pass_uplink_speaker;
    promise(f[PF_O_TTL] == in[PF_O_TTL] - (hop ? 1 : 0) && (f[PF_O_TTL] > 0 || !hop), "a wrong TTL out");
    promise(be16(f + 16) == be16(in + 16) && f[23] == in[23], "a packet of another length out");
    promise(is_udp_without_sum(f) == is_udp_without_sum(in), "a UDP checksum taken away or made up");
    if (!is_error(in, in_len)) {
        const uint32_t header = in[23] == PF_IPPROTO_TCP ? 20 : 8;
        const uint32_t l4_len = be16(in + 16) - PF_IP;
        promise(memcmp(f + PF_L4 + header, in + PF_L4 + header, l4_len - header) == 0, "another payload out");
    } else if (inner_sum_ok(in)) {
        promise(inner_sum_ok(f), "a wrong checksum in the header inside an ICMP error");
    }
}

static void judge_counters(const uint32_t *before)
{
    const uint32_t *after = world[0].counters;
    promise(judged.verdict > PF_C_none && judged.verdict < PF_C_reset_sent, "a verdict that is none");
    for (unsigned c = 1; c < PF_C_reset_sent; c++) {
        const uint32_t raised = after[c] - before[c] - (c == judged.verdict ? 1 : 0);
        /* frames that waited may be given up beside the one that came in */
        const bool pending = c == PF_C_drop_no_neighbour && raised <= PF_PENDING;
        const bool held = c == PF_C_drop_fragment_late && raised <= PF_HELD;
        const bool sent = raised <= PF_HELD && judged.bytes != NULL && is_fragment(judged.bytes, judged.len) &&
                          (c == PF_C_frames_pending || c == PF_C_drop_pending_full || c == PF_C_drop_ttl);
        promise(raised == 0 || pending || held || sent, "not exactly one counter");
    }
    unsigned resets = 0;
    for (size_t i = 0; i < outs[0].count; i++) {
        resets += is_reset(outs[0].one[i].frame, outs[0].one[i].len);
    }
    promise(after[PF_C_reset_sent] - before[PF_C_reset_sent] <= resets &&
                resets <= after[PF_C_reset_sent] - before[PF_C_reset_sent] + 1,
            "another number of RSTs than counted");
    promise(judged.verdict < PF_C_drop_short || judged.verdict == PF_C_frames_pending ||
                outs[0].count <= after[PF_C_reset_sent] - before[PF_C_reset_sent] + 1,
            "frames out for a dropped one"); /* but a RST, or a question by ARP */
}

enum pf_counter world_input(enum pf_port port, const uint8_t *bytes, size_t len, uint32_t now)
{
    enum pf_counter c[2] = {PF_C_none, PF_C_none};
    uint32_t before[PF_COUNTER_COUNT];
    memcpy(before, world[0].counters, sizeof(before));
    for (unsigned i = 0; i < 2; i++) {
        const size_t before_it = len % 4 == 1 ? 0 : 2; /* now and then where the filter copies it first */
        uint8_t *block = malloc(before_it + len);      /* exactly: the sanitizer sees each byte that is read too far */
        memcpy(block + before_it, bytes, len);
        struct pf *pf = world_enter(i);
        if (i == 0) {
            c[0] = pf_input(pf, port, block + before_it, len, now);
        } else { /* without the fast path */
            pf->now = now;
            const bool moved = before_it == 0 && len <= PF_FRAME_MAX;
            uint8_t *frame = moved ? memcpy((uint8_t *)pf->moved + 2, bytes, len) : block + before_it;
            c[1] = pf_rules(pf, port, frame, len);
        }
        free(block);
    }
    judged.port = port;
    judged.len = len;
    judged.bytes = bytes;
    judged.verdict = c[0];
    const bool unread = c[1] == PF_C_drop_ip_checksum || c[1] == PF_C_drop_ip_length || c[1] == PF_C_drop_l4_length;
    if (port == PF_UPLINK && unread && (c[0] == PF_C_drop_no_lease || c[0] == PF_C_drop_no_rule)) {
        world[1].counters[c[1]]--; /* a stranger's SYN: dropped before that is looked at (SPEC 4.2) */
        world[1].counters[c[0]]++;
        c[1] = c[0];
    }
    promise(c[0] == c[1], "another verdict by the fast path");
    world_same("another state by the fast path");
    judge_counters(before);
    const bool good = !is_whole(bytes, len) || l4_sum_ok(bytes);
    for (size_t i = 0; i < outs[0].count; i++) {
        judge_out(bytes, good, outs[0].one[i].frame, outs[0].one[i].len, outs[0].one[i].port);
    }
    if (c[0] < PF_C_relay_notify) {
        judge_passed(bytes, len);
    }
    bad_sum_waits = bad_sum_waits || (!good && (c[0] == PF_C_frames_pending || c[0] == PF_C_relay_notify));
    if (PF_FLOWS <= 64) {
        world_end();
    }
    judged.bytes = NULL;
    return c[0];
}

/* ---- Frames ---- */

const uint8_t *world_addr(enum who who)
{
    static uint8_t speaker[4];
    if (who != SPEAKER) {
        return machines[who].addr;
    }
    pf_bytes32(speaker, world[0].cfg.speaker_addr);
    return speaker;
}

void world_l3(uint8_t *frame, enum pf_port port, enum who src, enum who dst, unsigned ip_proto, size_t l4_len)
{
    const bool group = dst == SSDP || dst == MDNS || dst == ALL;
    const enum who to = group                    ? dst
                        : port == PF_UPLINK      ? X
                        : port == PF_SEGMENT     ? BRIDGE
                        : port == PF_HOST_UPLINK ? dst
                                                 : SPEAKER;
    const enum who from = port == PF_UPLINK ? src : port == PF_SEGMENT ? SPEAKER : port == PF_HOST_UPLINK ? X : BRIDGE;
    memcpy(frame, machines[to].mac, 6);
    memcpy(frame + 6, machines[from].mac, 6);
    put_be16(frame + PF_O_TYPE, 0x0800);
    memset(frame + PF_ETH, 0, PF_IP);
    frame[PF_O_VERSION] = 0x45;
    put_be16(frame + PF_O_TOTAL, (uint32_t)(PF_IP + l4_len));
    put_be16(frame + PF_O_ID, 1);
    frame[PF_O_TTL] = 64;
    frame[PF_O_PROTO] = (uint8_t)ip_proto;
    memcpy(frame + PF_O_SRC, world_addr(src), 4);
    memcpy(frame + PF_O_DST, world_addr(dst), 4);
}

void world_seal(uint8_t *frame, size_t len, bool l4)
{
    if (len < PF_L4) {
        return;
    }
    put_be16(frame + PF_O_SUM, 0);
    put_be16(frame + PF_O_SUM, ~sum_of(frame + PF_ETH, PF_IP, 0));
    if (!l4 || !is_whole(frame, len)) {
        return;
    }
    const uint32_t l4_len = be16(frame + 16) - PF_IP;
    const unsigned proto = frame[PF_O_PROTO];
    uint8_t *field = frame + PF_L4 +
                     (proto == PF_IPPROTO_TCP   ? PF_TCP_SUM
                      : proto == PF_IPPROTO_UDP ? PF_UDP_SUM
                                                : PF_ICMP_SUM);
    if (proto == PF_IPPROTO_UDP) {
        put_be16(frame + PF_L4 + PF_UDP_LEN, l4_len);
    }
    put_be16(field, 0);
    const uint32_t pseudo = proto == PF_IPPROTO_ICMP ? 0 : sum_of(frame + 26, 8, proto + l4_len);
    const uint32_t sum = 0xffff - sum_of(frame + PF_L4, l4_len, pseudo);
    put_be16(field, sum == 0 && proto == PF_IPPROTO_UDP ? 0xffff : sum);
}

static void router_answers(uint32_t now)
{
    uint8_t f[PF_ARP_LEN] = {0};
    memcpy(f, machines[X].mac, 6);
    memcpy(f + 6, machines[ROUTER].mac, 6);
    memcpy(f + 12, (const uint8_t[10]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
    memcpy(f + PF_ARP_SHA, machines[ROUTER].mac, 6);
    memcpy(f + PF_ARP_SPA, machines[ROUTER].addr, 4);
    memcpy(f + PF_ARP_THA, machines[X].mac, 6);
    memcpy(f + PF_ARP_TPA, machines[X].addr, 4);
    (void)world_input(PF_UPLINK, f, sizeof(f), now);
}

static void segment(enum who owner, enum who remote, uint16_t rport, uint16_t lport, unsigned from, unsigned flags,
                    uint32_t now)
{
    uint8_t f[PF_L4 + 20] = {0};
    const bool in = from == PF_FROM_REMOTE;
    const enum pf_port port = in ? PF_UPLINK : owner == X ? PF_HOST_UPLINK : PF_SEGMENT;
    world_l3(f, port, in ? remote : owner, in ? X : remote, PF_IPPROTO_TCP, 20);
    put_be16(f + PF_L4, in ? rport : lport);
    put_be16(f + PF_L4 + 2, in ? lport : rport);
    put_be32(f + PF_L4 + PF_TCP_SEQ, (flags & PF_SYN) != 0 ? 999 : 1000);
    put_be32(f + PF_L4 + PF_TCP_ACK, (flags & PF_ACK) != 0 ? 1000 : 0);
    f[PF_L4 + PF_TCP_OFFSET] = 5 << 4;
    f[PF_L4 + PF_TCP_FLAGS] = (uint8_t)flags;
    world_seal(f, sizeof(f), true);
    (void)world_input(port, f, sizeof(f), now);
}

void world_open(unsigned ip_proto, enum who owner, enum who remote, uint16_t rport, uint16_t lport, unsigned from,
                uint32_t now)
{
    if (ip_proto == PF_IPPROTO_TCP) {
        segment(owner, remote, rport, lport, from, PF_SYN, now);
        router_answers(now);
        segment(owner, remote, rport, lport, from ^ 1U, PF_SYN | PF_ACK, now);
        segment(owner, remote, rport, lport, from, PF_ACK, now);
        return;
    }
    uint8_t f[PF_L4 + 8] = {0};
    const bool in = from == PF_FROM_REMOTE;
    const enum pf_port port = in ? PF_UPLINK : owner == X ? PF_HOST_UPLINK : PF_SEGMENT;
    world_l3(f, port, in ? remote : owner, in ? X : remote, ip_proto, 8);
    if (ip_proto == PF_IPPROTO_UDP) {
        put_be16(f + PF_L4, in ? rport : lport);
        put_be16(f + PF_L4 + 2, in ? lport : rport);
    } else {
        f[PF_L4] = 8;
        put_be16(f + PF_L4 + PF_ICMP_ID, lport);
    }
    world_seal(f, sizeof(f), true);
    (void)world_input(port, f, sizeof(f), now);
    router_answers(now);
}

void world_ready(enum world_mode mode)
{
    static struct pf ready[MODE_COUNT];
    static bool made[MODE_COUNT];
    judged.bytes = NULL;
    bad_sum_waits = false;
    if (!made[mode]) {
        world_start(mode, WORLD_NOW);
        for (unsigned owner = 0; owner < 2; owner++) {
            const enum who who = owner == 0 ? SPEAKER : X;
            const uint16_t port = owner == 0 ? SPEAKER_PORT : HOST_PORT;
            world_open(PF_IPPROTO_TCP, who, SERVER, 443, port, PF_FROM_OWNER, WORLD_NOW);
            world_open(PF_IPPROTO_UDP, who, SERVER, 53, port, PF_FROM_OWNER, WORLD_NOW);
            world_open(PF_IPPROTO_ICMP, who, SERVER, 0, port, PF_FROM_OWNER, WORLD_NOW);
        }
        world_open(PF_IPPROTO_TCP, SPEAKER, PHONE, PHONE_PORT, 1400, PF_FROM_REMOTE, WORLD_NOW);
        world_open(PF_IPPROTO_TCP, X, FLATMATE, PHONE_PORT, CLAIM_PORT, PF_FROM_REMOTE, WORLD_NOW);
        memcpy(&ready[mode], &world[0], sizeof(struct pf));
        made[mode] = true;
    }
    memcpy(&world[0], &ready[mode], sizeof(struct pf));
    memcpy(&world[1], &ready[mode], sizeof(struct pf));
}
