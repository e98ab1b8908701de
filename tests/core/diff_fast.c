/*
 * The fast path against the rules: the same random histories through two filters. One gets its frames where the fast path
 * takes them (two bytes after a word), the other two bytes further on, where only the rules look at them. Verdicts, frames
 * out and every byte of the state must be the same. Another seed: another run; arguments: seed, histories.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "pf_core.h"

enum { STEPS = 600, CONNS = 24, OUTS = 64, ROOM = 2048 };

struct conn {
    uint8_t raddr[4];
    uint8_t rmac[6];
    uint16_t rport, lport, eport; /* host order */
    bool udp, host, inbound;
    uint32_t next[2];
};

struct outs {
    unsigned count;
    enum pf_port port[OUTS];
    size_t len[OUTS];
    uint8_t frame[OUTS][PF_FRAME_MAX];
};

static struct pf filter[2];
static struct outs outs[2];
static unsigned now_of; /* which filter is at work */
static struct conn conns[CONNS];
static uint64_t state;
static unsigned long taken[PF_COUNTER_COUNT];

static const uint8_t uplink_mac[6] = {2, 0, 0, 0, 0x42, 0x10};
static const uint8_t segment_mac[6] = {2, 0, 0, 0, 0x42, 0x11};
static const uint8_t speaker_mac[6] = {2, 0, 0, 0, 0x42, 0x20};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0x42, 1};
static const uint8_t phone_mac[2][6] = {{2, 0, 0, 0, 0x42, 0x30}, {2, 0, 0, 0, 0x42, 0x31}};
static const uint8_t x_addr[4] = {10, 66, 0, 77};
static const uint8_t router_addr[4] = {10, 66, 0, 1};
static const uint8_t phone_addr[2][4] = {{10, 66, 0, 100}, {10, 66, 0, 101}};

static uint32_t any(uint32_t below)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(state >> 33) % below;
}

static void keep(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    struct outs *o = &outs[now_of];
    if (o->count == OUTS || len > PF_FRAME_MAX) {
        abort();
    }
    o->port[o->count] = port;
    o->len[o->count] = len;
    memcpy(o->frame[o->count++], frame, len);
}

static void differ(const char *what, enum pf_counter a, enum pf_counter b)
{
    fprintf(stderr, "the fast path differs from the rules in %s: %s, %s\n", what, pf_counter_names[a],
            pf_counter_names[b]);
    exit(1);
}

/* One frame into both. */
static enum pf_counter input(enum pf_port port, const uint8_t *bytes, size_t len, uint32_t now)
{
    enum pf_counter c[2];
    for (now_of = 0; now_of < 2; now_of++) {
        uint8_t *start = malloc(len + 4);
        uint8_t *frame = start + 2 + 2 * now_of;
        memcpy(frame, bytes, len);
        outs[now_of].count = 0;
        c[now_of] = pf_input(&filter[now_of], port, frame, len, now);
        free(start);
    }
    const bool unread = c[1] == PF_C_drop_ip_checksum || c[1] == PF_C_drop_ip_length || c[1] == PF_C_drop_l4_length;
    if (port == PF_UPLINK && unread && (c[0] == PF_C_drop_no_lease || c[0] == PF_C_drop_no_rule)) {
        filter[1].counters[c[1]]--; /* a stranger's SYN: dropped before that is looked at (SPEC 4.2) */
        filter[1].counters[c[0]]++;
        c[1] = c[0];
    }
    if (c[0] != c[1]) {
        differ("the verdict", c[0], c[1]);
    }
    if (outs[0].count != outs[1].count) {
        differ("the number of frames out", c[0], c[1]);
    }
    for (unsigned i = 0; i < outs[0].count; i++) {
        if (outs[0].port[i] != outs[1].port[i] || outs[0].len[i] != outs[1].len[i] ||
            memcmp(outs[0].frame[i], outs[1].frame[i], outs[0].len[i]) != 0) {
            differ("a frame out", c[0], c[1]);
        }
    }
    if (memcmp(&filter[0], &filter[1], sizeof(struct pf)) != 0) {
        differ("the state", c[0], c[1]);
    }
    taken[c[0]]++;
    return c[0];
}

static void configure(bool private_mode, uint32_t now)
{
    static const uint8_t mask[4] = {255, 255, 252, 0};
    static const uint8_t host[4] = {192, 168, 77, 1};
    static const uint8_t alias[4] = {192, 168, 77, 2};
    static const uint8_t off[4] = {192, 0, 2, 7};
    static const uint8_t nas[4] = {10, 66, 0, 103}; /* one of the remotes */
    struct pf_config cfg = {.addr = pf_wire32(x_addr), .mask = pf_wire32(mask), .router = pf_wire32(router_addr)};
    memcpy(cfg.uplink_mac, uplink_mac, 6);
    memcpy(cfg.segment_mac, segment_mac, 6);
    cfg.dns[0] = cfg.router;
    cfg.host_addr = pf_wire32(host);
    cfg.alias = pf_wire32(alias);
    cfg.speaker_addr = private_mode ? cfg.alias : cfg.addr;
    cfg.guard = private_mode;
    cfg.hosts[0] = pf_wire32(nas);
    cfg.claim_port = pf_wire16(7780);
    for (now_of = 0; now_of < 2; now_of++) {
        pf_configure(&filter[now_of], &cfg, now);
        pf_speaker(&filter[now_of], speaker_mac, now);
        (void)pf_lease_add(&filter[now_of], pf_wire32(phone_addr[0]), phone_mac[0], 900, now);
        (void)pf_lease_add(&filter[now_of], pf_wire32(phone_addr[1]), NULL, 86400, now);
        (void)pf_lease_add(&filter[now_of], pf_wire32(off), NULL, 86400, now);
    }
}

static void choose_conn(struct conn *c)
{
    static const uint8_t remotes[6][4] = {{203, 0, 113, 10}, {10, 66, 0, 100},  {10, 66, 0, 101},
                                          {10, 66, 0, 103},  {203, 0, 113, 11}, {192, 0, 2, 7}};
    memset(c, 0, sizeof(*c));
    const unsigned r = any(6);
    memcpy(c->raddr, remotes[r], 4);
    memcpy(c->rmac, r == 1 || r == 2 ? phone_mac[r - 1] : router_mac, 6);
    c->udp = any(2) != 0;
    c->host = any(4) == 0;
    c->inbound = !c->host && any(3) == 0;
    c->rport = (uint16_t)(any(2) != 0 ? 443 : 40000 + any(8));
    c->lport = (uint16_t)(c->inbound ? 1400 : 33000 + any(12));
    if (any(16) == 0) {
        c->host = true;
        c->inbound = true;
        c->lport = 7780;
        c->udp = false;
    }
    c->eport = c->lport;
    c->next[0] = any(4) == 0 ? 0xffffff00U + any(512) : any(0x7fffffff) * 2;
    c->next[1] = any(4) == 0 ? 0xffffff00U + any(512) : any(0x7fffffff) * 2;
}

static void mend(uint8_t *f)
{
    wr16(f + PF_O_SUM, 0);
    wr16(f + PF_O_SUM, (uint16_t)~sum_fold(pf_sum(f + PF_ETH, PF_IP, 0)));
}

/* Any 16-bit sum: now and then one at the edges of ones' complement. */
static uint16_t any_sum(void)
{
    const uint16_t delta = filter[0].flow[any(PF_FLOWS)].delta;
    const uint16_t edges[] = {0, 0xffff, 1, 0xfffe, delta, (uint16_t)~delta, (uint16_t)(delta - 1)};
    return any(2) != 0 ? edges[any(7)] : (uint16_t)any(65536);
}

static size_t frame_of(uint8_t *f, struct conn *c, unsigned from, unsigned flags, size_t data)
{
    const uint8_t *local = c->host ? x_addr : (const uint8_t *)&filter[0].cfg.speaker_addr;
    const bool scaled = !c->udp && (flags & PF_SYN) != 0 && any(4) != 0;
    const size_t l4 = (c->udp ? 8 : scaled ? 24 : 20) + data;
    const bool in = from == PF_FROM_REMOTE;
    memset(f, 0x5a, ROOM);
    memcpy(f, in ? uplink_mac : c->host ? c->rmac : segment_mac, 6);
    memcpy(f + 6, in ? c->rmac : c->host ? uplink_mac : speaker_mac, 6);
    put_be16(f + 12, 0x0800);
    put_be16(f + 14, 0x4500);
    put_be16(f + 16, (uint32_t)(20 + l4));
    put_be16(f + 18, any(65536));
    put_be16(f + 20, any(2) != 0 ? 0x4000 : 0);
    f[22] = (uint8_t)(any(8) == 0 ? any(3) : 64);
    f[23] = c->udp ? 17 : 6;
    memcpy(f + 26, in ? c->raddr : local, 4);
    memcpy(f + 30, in ? x_addr : c->raddr, 4);
    put_be16(f + 34, in ? c->rport : c->lport);
    put_be16(f + 36, in ? c->eport : c->rport);
    if (c->udp) {
        put_be16(f + 38, (uint32_t)l4);
        wr16(f + 40, any_sum());
    } else {
        put_be32(f + 38, c->next[from]);
        put_be32(f + 42, c->next[from ^ 1U]);
        f[46] = 5 << 4;
        f[47] = (uint8_t)flags;
        wr16(f + 50, any_sum());
        if (scaled) { /* window scale, end of options */
            f[46] = 6 << 4;
            memcpy(f + 54, (const uint8_t[4]){3, 3, (uint8_t)any(16), 0}, 4);
        }
    }
    mend(f);
    return PF_L4 + l4;
}

static enum pf_port port_of(const struct conn *c, unsigned from)
{
    return from == PF_FROM_REMOTE ? PF_UPLINK : c->host ? PF_HOST_UPLINK : PF_SEGMENT;
}

static void exchange(struct conn *c, unsigned from, unsigned flags, size_t data, uint32_t now)
{
    uint8_t f[ROOM];
    const size_t len = frame_of(f, c, from, flags, data);
    f[PF_O_TTL] = 64;
    mend(f);
    const enum pf_counter v = input(port_of(c, from), f, len, now);
    c->next[from] += (uint32_t)data + ((flags & (PF_SYN | PF_FIN)) != 0 ? 1 : 0);
    if (from == PF_FROM_OWNER && outs[0].count == 1 && v < PF_C_drop_short && outs[0].len[0] >= 38) {
        c->eport = (uint16_t)be16(outs[0].frame[0] + 34);
    }
}

static void open_conn(struct conn *c, uint32_t now)
{
    const unsigned opener = c->inbound ? PF_FROM_REMOTE : PF_FROM_OWNER;
    choose_conn(c);
    exchange(c, opener, PF_SYN, any(4) == 0 ? 10 : 0, now);
    exchange(c, opener ^ 1U, PF_SYN | PF_ACK, 0, now);
    exchange(c, opener, PF_ACK, 0, now);
}

/* One field off, or a bit; with the header sum made right again or not. */
static size_t spoil(uint8_t *f, size_t len)
{
    static const uint32_t offs[] = {0,      1,          2,          65535,      65536,     65537,
                                    131072, 0x7fffffff, 0x80000000, 0xffff0000, 0xffff0001};
    const uint32_t off = offs[any(11)] + (any(2) != 0 ? any(3000) : 0);
    const uint32_t n = any(12);
    switch (any(14)) {
    case 0:
        put_be32(f + 38, be32(f + 38) + off);
        break;
    case 1:
        put_be32(f + 38, be32(f + 38) - off);
        break;
    case 2:
        put_be32(f + 42, be32(f + 42) + (any(2) != 0 ? off : 0 - off));
        break;
    case 3:
        f[47] = (uint8_t)any(64);
        break;
    case 4:
        f[46] = (uint8_t)(any(16) << 4);
        break;
    case 5:
        put_be16(f + 16, be16(f + 16) + any(9) - 4);
        break;
    case 6:
        len = any(2) != 0 ? len - any(14) : len + any(30); /* cut, or padded */
        break;
    case 7:
        put_be16(f + 38, be16(f + 38) + any(3) - 1);
        break;
    case 8:
        put_be16(f + 16, 20 + n);
        put_be16(f + 38, n);
        break;
    case 9:
    case 10: /* at the edge of a window, or somewhere about it */
        put_be32(f + 42, be32(f + 42) - (131072U << any(15)) + any(4) - (any(4) == 0 ? any(65540) : 0));
        break;
    case 11:
        put_be32(f + 38, be32(f + 38) + (any(2) != 0 ? 65536U << any(15) : 0 - (65536U << any(15))) + any(40) - 20);
        break;
    default:
        f[any(any(2) != 0 ? 54 : 14)] ^= (uint8_t)(1U << any(8));
        break;
    }
    if (any(4) != 0) {
        mend(f);
    }
    return len;
}

/* Sequence number or acknowledgement of a flow's segment exactly at an edge of its window, or one beyond. */
static void to_edge(uint8_t *f, const struct conn *c, unsigned from, size_t data)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *flow = &filter[0].flow[i];
        if (flow->kind >> PF_KIND_CLASS_SHIFT == PF_CLASS_FREE || flow->raddr != pf_wire32(c->raddr) ||
            pf_host16(flow->rport) != c->rport || pf_host16(flow->port[PF_FROM_OWNER]) != c->lport) {
            continue;
        }
        const uint32_t window[2] = {65536U << (flow->scale & 15U), 65536U << (flow->scale >> 4)};
        const uint32_t off = any(3) - 1;
        const uint32_t end = flow->u.end[from] - (uint32_t)data + off;
        if (any(2) != 0) {
            put_be32(f + 42, flow->u.end[from ^ 1U] - 2 * window[from] + off);
        } else {
            put_be32(f + 38, any(2) != 0 ? end + window[from ^ 1U] : end - window[from ^ 1U]);
        }
    }
}

static void random_frame(struct conn *c, uint32_t now)
{
    uint8_t f[ROOM];
    const unsigned from = any(2);
    const size_t data = any(3) == 0 ? any(1400) : any(20);
    const unsigned flags = any(24) == 0 ? (unsigned)PF_ACK | PF_FIN : any(40) == 0 ? (unsigned)PF_RST : PF_ACK | 8U;
    size_t len = frame_of(f, c, from, flags, data);
    const bool edge = !c->udp && any(6) == 0;
    const bool spoiled = edge || any(3) == 0;
    if (edge) {
        to_edge(f, c, from, data);
    } else if (spoiled) {
        len = spoil(f, len);
    }
    const enum pf_counter v = input(port_of(c, from), f, len, now);
    if (!spoiled && v < PF_C_drop_short) {
        c->next[from] += (uint32_t)data + ((flags & PF_FIN) != 0 ? 1 : 0);
    }
}

static void stranger(uint32_t now)
{
    uint8_t f[ROOM];
    struct conn c;
    choose_conn(&c);
    c.udp = any(8) == 0;
    c.host = false;
    c.eport = (uint16_t)(any(2) != 0 ? 1400 : any(2) != 0 ? 7780 : any(65536));
    c.raddr[any(4)] = (uint8_t)(any(2) != 0 ? 255 : any(256));
    if (any(8) == 0) {
        memcpy(c.raddr, any(2) != 0 ? x_addr : (const uint8_t[4]){192, 168, 77, 2}, 4);
    }
    size_t len = frame_of(f, &c, PF_FROM_REMOTE, any(4) != 0 ? PF_SYN : any(64), any(3));
    if (any(3) == 0) {
        len = spoil(f, len);
    }
    (void)input(PF_UPLINK, f, len, now);
}

static void router_answers(uint32_t now)
{
    uint8_t f[42] = {0};
    memcpy(f, uplink_mac, 6);
    memcpy(f + 6, router_mac, 6);
    memcpy(f + 12, (const uint8_t[10]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
    memcpy(f + 22, router_mac, 6);
    memcpy(f + 28, router_addr, 4);
    memcpy(f + 32, uplink_mac, 6);
    memcpy(f + 38, x_addr, 4);
    (void)input(PF_UPLINK, f, 42, now);
}

static void control(uint32_t now)
{
    const unsigned what = any(8);
    const unsigned n = any(2);
    for (now_of = 0; now_of < 2; now_of++) {
        outs[now_of].count = 0;
        if (what < 5) {
            pf_tick(&filter[now_of], now);
            pf_speaker(&filter[now_of], speaker_mac, now);
        } else if (what == 5) {
            (void)pf_lease_end(&filter[now_of], pf_wire32(phone_addr[n]), now);
        } else if (what == 6) {
            (void)pf_lease_add(&filter[now_of], pf_wire32(phone_addr[n]), phone_mac[n], 900, now);
        } else {
            pf_speaker(&filter[now_of], n != 0 ? speaker_mac : NULL, now);
        }
    }
}

static void history(uint32_t now)
{
    static const uint8_t key[16] = {4, 5, 6};
    static const uint32_t waits[] = {0, 1, 20, 100, 1000, 10000, 240000, 300000, 300001, 900000, 7440000, 7440001};
    for (now_of = 0; now_of < 2; now_of++) {
        memset(&filter[now_of], 0, sizeof(struct pf));
        pf_init(&filter[now_of], key, keep, NULL, now);
    }
    configure(any(2) != 0, now);
    for (unsigned i = 0; i < CONNS; i++) {
        choose_conn(&conns[i]);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        struct conn *c = &conns[any(CONNS)];
        now += waits[any(any(40) == 0 ? 12 : 5)];
        const unsigned what = any(40);
        if (i < 2 * CONNS || what == 0) {
            open_conn(what != 0 ? &conns[i % CONNS] : c, now);
            router_answers(now);
        } else if (what == 1) {
            control(now);
        } else if (what < 7) {
            stranger(now);
        } else {
            random_frame(c, now);
        }
    }
    if (pf_check(&filter[0]) != 0) {
        differ("the flow table", PF_C_none, PF_C_none);
    }
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    const unsigned long histories = argc > 2 ? strtoul(argv[2], NULL, 0) : 300;
    for (unsigned long i = 0; i < histories; i++) {
        history(i % 2 != 0 ? 0xfffe0000U : 1000);
    }
    for (unsigned i = 0; i < PF_COUNTER_COUNT; i++) {
        if (taken[i] != 0) {
            printf("%s %lu\n", pf_counter_names[i], taken[i]);
        }
    }
    return 0;
}
