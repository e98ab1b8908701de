/*
 * The fast path against the rules: random histories of connections in the two filters of world.c, of frames that are nearly
 * right and at the edges of what is. Another seed: another run; arguments: seed, histories.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "world.h"

enum { STEPS = 600, CONNS = 24, ROOM = WORLD_ROOM };

struct conn {
    uint8_t raddr[4];
    uint8_t rmac[6];
    uint16_t rport, lport, eport; /* host order */
    bool udp, host, inbound;
    uint32_t next[2];
};

static struct conn conns[CONNS];
static uint64_t state;
static unsigned long taken[PF_COUNTER_COUNT];

static uint32_t any(uint32_t below)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(state >> 33) % below;
}

static enum pf_counter input(enum pf_port port, const uint8_t *bytes, size_t len, uint32_t now)
{
    const enum pf_counter c = world_input(port, bytes, len, now);
    taken[c]++;
    return c;
}

static void choose_conn(struct conn *c)
{
    static const enum who remotes[7] = {SERVER, PHONE, LAPTOP, FLATMATE, SERVER2, FARPHONE, NAS};
    memset(c, 0, sizeof(*c));
    const struct machine *remote = &machines[remotes[any(7)]];
    memcpy(c->raddr, remote->addr, 4);
    memcpy(c->rmac, remote->mac, 6);
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

/* Any 16-bit sum: now and then one at the edges of ones' complement. */
static uint16_t any_sum(void)
{
    const uint16_t delta = world[0].flow[any(PF_FLOWS)].delta;
    const uint16_t edges[] = {0, 0xffff, 1, 0xfffe, delta, (uint16_t)~delta, (uint16_t)(delta - 1)};
    return any(2) != 0 ? edges[any(7)] : (uint16_t)any(65536);
}

static size_t frame_of(uint8_t *f, struct conn *c, unsigned from, unsigned flags, size_t data)
{
    const uint8_t *local = world_addr(c->host ? X : SPEAKER);
    const bool scaled = !c->udp && (flags & PF_SYN) != 0 && any(4) != 0;
    const size_t l4 = (c->udp ? 8 : scaled ? 24 : 20) + data;
    const bool in = from == PF_FROM_REMOTE;
    memset(f, 0x5a, ROOM);
    memcpy(f, in ? machines[X].mac : c->host ? c->rmac : machines[BRIDGE].mac, 6);
    memcpy(f + 6, in ? c->rmac : c->host ? machines[X].mac : machines[SPEAKER].mac, 6);
    put_be16(f + 12, 0x0800);
    put_be16(f + 14, 0x4500);
    put_be16(f + 16, (uint32_t)(20 + l4));
    put_be16(f + 18, any(65536));
    put_be16(f + 20, any(2) != 0 ? 0x4000 : 0);
    f[22] = (uint8_t)(any(8) == 0 ? any(3) : 64);
    f[23] = c->udp ? 17 : 6;
    memcpy(f + 26, in ? c->raddr : local, 4);
    memcpy(f + 30, in ? machines[X].addr : c->raddr, 4);
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
    world_seal(f, PF_L4, false);
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
    world_seal(f, PF_L4, false);
    const enum pf_counter v = input(port_of(c, from), f, len, now);
    c->next[from] += (uint32_t)data + ((flags & (PF_SYN | PF_FIN)) != 0 ? 1 : 0);
    size_t out_len = 0;
    enum pf_port out_port = PF_UPLINK;
    const uint8_t *out = world_out(0, &out_port, &out_len);
    if (from == PF_FROM_OWNER && world_outs() == 1 && v < PF_C_drop_short && out_len >= 38) {
        c->eport = (uint16_t)be16(out + 34);
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
        world_seal(f, PF_L4, false);
    }
    return len;
}

/* Sequence number or acknowledgement of a flow's segment exactly at an edge of its window, or one beyond. */
static void to_edge(uint8_t *f, const struct conn *c, unsigned from, size_t data)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *flow = &world[0].flow[i];
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
        memcpy(c.raddr, any(2) != 0 ? machines[X].addr : (const uint8_t[4]){192, 168, 77, 2}, 4);
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
    memcpy(f, machines[X].mac, 6);
    memcpy(f + 6, machines[ROUTER].mac, 6);
    memcpy(f + 12, (const uint8_t[10]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
    memcpy(f + 22, machines[ROUTER].mac, 6);
    memcpy(f + 28, machines[ROUTER].addr, 4);
    memcpy(f + 32, machines[X].mac, 6);
    memcpy(f + 38, machines[X].addr, 4);
    (void)input(PF_UPLINK, f, 42, now);
}

static void control(uint32_t now)
{
    const unsigned what = any(8);
    const bool first = any(2) != 0;
    const enum who who = first ? PHONE : LAPTOP;
    const uint32_t addr = pf_wire32(machines[who].addr);
    if (what < 5) {
        WORLD_BOTH((pf_tick(pf, now), 0));
        WORLD_BOTH((pf_speaker(pf, machines[SPEAKER].mac, now), 0));
    } else if (what == 5) {
        WORLD_BOTH(pf_lease_end(pf, addr, now));
    } else if (what == 6) {
        WORLD_BOTH(pf_lease_add(pf, addr, machines[who].mac, 900, now));
    } else {
        WORLD_BOTH((pf_speaker(pf, first ? machines[SPEAKER].mac : NULL, now), 0));
    }
}

static void history(uint32_t now)
{
    static const uint32_t waits[] = {0, 1, 20, 100, 1000, 10000, 240000, 300000, 300001, 900000, 7440000, 7440001};
    world_start((enum world_mode)any(MODE_NO_UPLINK), now);
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
    world_end();
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
