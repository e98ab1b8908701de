/*
 * What a frame costs in the core, in instructions. On rv32 in QEMU (-icount shift=0) it reads minstret and prints all
 * rows; on the host it does one row as often as it is told, and callgrind counts.
 *
 *   bench ROW FLOWS LEASES COUNT       (host)
 */
#include <stdio.h>
#include <stdlib.h>

#include "pf_core.h"

enum { PAYLOAD = 1000, COUNT = 200, ROOM = 1514 };

static struct pf pf;
static uint32_t now = 1000;
static uint32_t sent;
static uint16_t ring[ROOM / 2 + 1]; /* at an even address */
static uint16_t original[ROOM / 2 + 1];
static uint8_t *const frame = (uint8_t *)ring;

static const uint8_t uplink_mac[6] = {2, 0, 0, 0, 0x42, 0x10};
static const uint8_t segment_mac[6] = {2, 0, 0, 0, 0x42, 0x11};
static const uint8_t speaker_mac[6] = {2, 0, 0, 0, 0x42, 0x20};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0x42, 0x01};
static const uint8_t x_addr[4] = {10, 66, 0, 77};
static const uint8_t server_addr[4] = {203, 0, 113, 10};

static void count_out(void *ctx, enum pf_port port, const uint8_t *f, size_t len)
{
    (void)ctx;
    (void)port;
    (void)f;
    sent += (uint32_t)len != 0;
}

static uint32_t phone_addr(unsigned i)
{
    const uint8_t a[4] = {10, 66, 1, (uint8_t)(i + 1)};
    return pf_wire32(a);
}

static void phone_mac(uint8_t mac[6], unsigned i)
{
    const uint8_t m[6] = {2, 0, 0, 0, 0x43, (uint8_t)i};
    memcpy(mac, m, 6);
}

static size_t build(uint8_t *f, const uint8_t *to, const uint8_t *from, unsigned proto, uint32_t src, uint32_t dst,
                    unsigned sport, unsigned dport, unsigned flags, uint32_t seq, uint32_t ack, size_t data)
{
    const uint32_t l4_len = (uint32_t)data + (proto == PF_IPPROTO_TCP ? 20 : 8);
    memset(f, 0, PF_L4 + l4_len);
    memcpy(f, to, 6);
    memcpy(f + 6, from, 6);
    pf_build_ip(f, proto, src, dst, l4_len);
    uint8_t *l4 = f + PF_L4;
    put_be16(l4, sport);
    put_be16(l4 + 2, dport);
    if (proto == PF_IPPROTO_TCP) {
        put_be32(l4 + PF_TCP_SEQ, seq);
        put_be32(l4 + PF_TCP_ACK, ack);
        l4[PF_TCP_OFFSET] = 5 << 4;
        l4[PF_TCP_FLAGS] = (uint8_t)flags;
    } else {
        put_be16(l4 + PF_UDP_LEN, l4_len);
    }
    pf_sum_l4(f);
    return PF_L4 + l4_len;
}

static void must(enum pf_counter got, enum pf_counter want)
{
    if (got != want) {
        printf("bench: %s, not %s\n", pf_counter_names[got], pf_counter_names[want]);
        exit(1);
    }
}

/* Frames of the speaker to the server (out) and back (in), and of phones. */
static size_t speaker_out(unsigned proto, unsigned port, unsigned flags, uint32_t seq, uint32_t ack, size_t data)
{
    return build(frame, segment_mac, speaker_mac, proto, pf_wire32(x_addr), pf_wire32(server_addr), port, 80, flags,
                 seq, ack, data);
}

static size_t server_in(unsigned proto, unsigned port, unsigned flags, uint32_t seq, uint32_t ack, size_t data)
{
    return build(frame, uplink_mac, router_mac, proto, pf_wire32(server_addr), pf_wire32(x_addr), 80, port, flags, seq,
                 ack, data);
}

static size_t phone_in(unsigned i, unsigned port, unsigned flags, uint32_t seq, uint32_t ack, size_t data)
{
    uint8_t mac[6];
    phone_mac(mac, i);
    return build(frame, uplink_mac, mac, PF_IPPROTO_TCP, phone_addr(i), pf_wire32(x_addr), port, 1400, flags, seq, ack,
                 data);
}

static size_t phone_out(unsigned i, unsigned port, unsigned flags, uint32_t seq, uint32_t ack, size_t data)
{
    return build(frame, segment_mac, speaker_mac, PF_IPPROTO_TCP, pf_wire32(x_addr), phone_addr(i), 1400, port, flags,
                 seq, ack, data);
}

static void learn_router(void)
{
    static const uint8_t head[8] = {8, 6, 0, 1, 8, 0, 6, 4};
    static const uint8_t router_addr[4] = {10, 66, 0, 1};
    memcpy(frame, uplink_mac, 6);
    memcpy(frame + 6, router_mac, 6);
    memcpy(frame + 12, head, 8);
    put_be16(frame + PF_ARP_OP, 2);
    memcpy(frame + PF_ARP_SHA, router_mac, 6);
    memcpy(frame + PF_ARP_SPA, router_addr, 4);
    memcpy(frame + PF_ARP_THA, uplink_mac, 6);
    memcpy(frame + PF_ARP_TPA, x_addr, 4);
    must(pf_input(&pf, PF_UPLINK, frame, 42, now), PF_C_arp_learned);
}

static void start(void)
{
    static const uint8_t key[16] = {3, 1, 4, 1, 5, 9, 2, 6};
    static const uint8_t mask[4] = {255, 255, 252, 0};
    static const uint8_t router_addr[4] = {10, 66, 0, 1};
    static const uint8_t host[4] = {192, 168, 77, 1};
    static const uint8_t alias[4] = {192, 168, 77, 2};
    struct pf_config cfg;
    memset(&cfg, 0, sizeof(cfg));
    memcpy(cfg.uplink_mac, uplink_mac, 6);
    memcpy(cfg.segment_mac, segment_mac, 6);
    cfg.addr = pf_wire32(x_addr);
    cfg.mask = pf_wire32(mask);
    cfg.router = pf_wire32(router_addr);
    cfg.host_addr = pf_wire32(host);
    cfg.alias = pf_wire32(alias);
    cfg.speaker_addr = cfg.addr;
    cfg.claim_port = pf_wire16(7780);
    pf_init(&pf, key, count_out, NULL, now);
    pf_configure(&pf, &cfg, now);
    pf_speaker(&pf, speaker_mac, now);
}

/* The table: half TCP and half UDP of the speaker, as many as it may have; the rest a phone's. Then the measured flow. */
static void fill(unsigned flows, unsigned leases)
{
    start();
    for (unsigned i = 0; i < leases; i++) {
        uint8_t mac[6];
        phone_mac(mac, i);
        (void)pf_lease_add(&pf, phone_addr(i), mac, 43200, now);
    }
    must(pf_input(&pf, PF_SEGMENT, frame, speaker_out(PF_IPPROTO_TCP, 5000, PF_SYN, 0, 0, 0), now),
         PF_C_frames_pending);
    learn_router();
    must(pf_input(&pf, PF_UPLINK, frame, server_in(PF_IPPROTO_TCP, 5000, PF_SYN | PF_ACK, 0, 1, 0), now),
         PF_C_pass_uplink_speaker);
    must(pf_input(&pf, PF_SEGMENT, frame, speaker_out(PF_IPPROTO_TCP, 5000, PF_ACK, 1, 1, 0), now),
         PF_C_pass_speaker_uplink);
    must(pf_input(&pf, PF_SEGMENT, frame, speaker_out(PF_IPPROTO_UDP, 5001, 0, 0, 0, 0), now),
         PF_C_pass_speaker_uplink);
    must(pf_input(&pf, PF_UPLINK, frame, phone_in(0, 6000, PF_SYN, 0, 0, 0), now), PF_C_pass_uplink_speaker);
    must(pf_input(&pf, PF_SEGMENT, frame, phone_out(0, 6000, PF_SYN | PF_ACK, 0, 1, 0), now), PF_C_pass_speaker_uplink);
    must(pf_input(&pf, PF_UPLINK, frame, phone_in(0, 6000, PF_ACK, 1, 1, 0), now), PF_C_pass_uplink_speaker);
    for (unsigned i = 4; i <= flows; i++) {
        now += 60;
        if (i <= PF_FLOWS - PF_PHONE_SHARE) {
            const unsigned proto = i % 2 == 0 ? PF_IPPROTO_TCP : PF_IPPROTO_UDP;
            must(pf_input(&pf, PF_SEGMENT, frame, speaker_out(proto, 10000 + i, PF_SYN, 0, 0, 0), now),
                 PF_C_pass_speaker_uplink);
        } else {
            must(pf_input(&pf, PF_UPLINK, frame, phone_in(i % leases, 10000 + i, PF_SYN, 0, 0, 0), now),
                 PF_C_pass_uplink_speaker);
        }
    }
}

struct row {
    const char *name;
    enum pf_port port;
    enum pf_counter verdict;
    size_t (*make)(void);
};

static size_t make_tcp_out(void)
{
    return speaker_out(PF_IPPROTO_TCP, 5000, PF_ACK, 1, 1, PAYLOAD);
}

static size_t make_tcp_in(void)
{
    return server_in(PF_IPPROTO_TCP, 5000, PF_ACK, 1, 1, PAYLOAD);
}

static size_t make_udp_out(void)
{
    return speaker_out(PF_IPPROTO_UDP, 5001, 0, 0, 0, 64);
}

static size_t make_udp_in(void)
{
    return server_in(PF_IPPROTO_UDP, 5001, 0, 0, 0, 64);
}

static size_t make_phone_in(void)
{
    return phone_in(0, 6000, PF_ACK, 1, 1, PAYLOAD);
}

static size_t make_phone_out(void)
{
    return phone_out(0, 6000, PF_ACK, 1, 1, PAYLOAD);
}

static size_t make_stranger(void)
{
    static const uint8_t stranger[4] = {10, 66, 2, 9};
    return build(frame, uplink_mac, router_mac, PF_IPPROTO_TCP, pf_wire32(stranger), pf_wire32(x_addr), 4000, 1400,
                 PF_SYN, 0, 0, 0);
}

static size_t make_new_flow(void)
{
    return speaker_out(PF_IPPROTO_TCP, 3000, PF_SYN, 0, 0, 0);
}

static size_t make_arp(void)
{
    static const uint8_t head[8] = {8, 6, 0, 1, 8, 0, 6, 4};
    static const uint8_t asked[4] = {10, 66, 0, 9};
    memset(frame, 0xff, 6);
    memcpy(frame + 6, speaker_mac, 6);
    memcpy(frame + 12, head, 8);
    put_be16(frame + PF_ARP_OP, 1);
    memcpy(frame + PF_ARP_SHA, speaker_mac, 6);
    memcpy(frame + PF_ARP_SPA, x_addr, 4);
    memset(frame + PF_ARP_THA, 0, 6);
    memcpy(frame + PF_ARP_TPA, asked, 4);
    return 42;
}

static size_t make_search(void)
{
    static const char search[] = "M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n\r\n";
    static const uint8_t group[4] = {239, 255, 255, 250};
    static const uint8_t group_mac[6] = {1, 0, 0x5e, 0x7f, 0xff, 0xfa};
    uint8_t mac[6];
    phone_mac(mac, 0);
    const size_t len = build(frame, group_mac, mac, PF_IPPROTO_UDP, phone_addr(0), pf_wire32(group), 5000, 1900, 0, 0,
                             0, sizeof(search) - 1);
    memcpy(frame + PF_L4 + 8, search, sizeof(search) - 1);
    pf_sum_l4(frame);
    return len;
}

static size_t make_host_out(void)
{
    return build(frame, router_mac, uplink_mac, PF_IPPROTO_UDP, pf_wire32(x_addr), pf_wire32(server_addr), 7000, 53, 0,
                 0, 0, 64);
}

static const struct row rows[] = {
    {"tcp_out", PF_SEGMENT, PF_C_pass_speaker_uplink, make_tcp_out},
    {"tcp_in", PF_UPLINK, PF_C_pass_uplink_speaker, make_tcp_in},
    {"udp_out", PF_SEGMENT, PF_C_pass_speaker_uplink, make_udp_out},
    {"udp_in", PF_UPLINK, PF_C_pass_uplink_speaker, make_udp_in},
    {"phone_in", PF_UPLINK, PF_C_pass_uplink_speaker, make_phone_in},
    {"phone_out", PF_SEGMENT, PF_C_pass_speaker_uplink, make_phone_out},
    {"stranger_syn", PF_UPLINK, PF_C_drop_no_lease, make_stranger},
    {"new_flow", PF_SEGMENT, PF_C_pass_speaker_uplink, make_new_flow},
    {"arp_request", PF_SEGMENT, PF_C_arp_answered, make_arp},
    {"search", PF_UPLINK, PF_C_relay_search, make_search},
    {"host_out", PF_HOST_UPLINK, PF_C_pass_host_uplink, make_host_out},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* The next frame: the one that is measured, with a port of its own where each has to be new. */
static void restore(const struct row *row, size_t len, unsigned i)
{
    for (size_t n = 0; n < (len < 128 ? (len + 1) / 2 : 64); n++) {
        ring[n] = original[n];
    }
    if (row->make == make_new_flow) {
        put_be16(frame + PF_L4, 20000 + i);
    }
    now += row->make == make_search ? 300 : row->make == make_new_flow ? 60 : 0;
}

#ifdef __riscv
static uint32_t instructions(void)
{
    uint32_t v;
    __asm__ volatile("csrr %0, minstret" : "=r"(v));
    return v;
}

static __attribute__((noinline)) enum pf_counter nothing(struct pf *p, enum pf_port from, uint8_t *f, size_t len,
                                                         uint32_t t)
{
    (void)p;
    (void)from;
    (void)f;
    (void)len;
    (void)t;
    __asm__ volatile("");
    return PF_C_none;
}

typedef enum pf_counter (*input_fn)(struct pf *, enum pf_port, uint8_t *, size_t, uint32_t);

/* Instructions of COUNT calls. The loop and the frame's restoring are the same for both functions. */
static uint32_t measure(const struct row *row, size_t len, input_fn input, enum pf_counter want)
{
    uint32_t total = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        restore(row, len, i);
        const uint32_t before = instructions();
        const enum pf_counter got = input(&pf, row->port, frame, len, now);
        total += instructions() - before;
        must(got, want);
    }
    return total;
}

int main(void)
{
    static const unsigned fills[] = {1, 16, 64, 256, 512};
    static const unsigned leases[] = {1, 16};
    for (unsigned r = 0; r < ROWS; r++) {
        for (unsigned l = 0; l < 2; l++) {
            for (unsigned n = 0; n < 5; n++) {
                now = 1000;
                fill(fills[n], leases[l]);
                const size_t len = rows[r].make();
                memcpy(original, ring, sizeof(ring));
                const uint32_t empty = measure(&rows[r], len, nothing, PF_C_none);
                const uint32_t full = measure(&rows[r], len, pf_input, rows[r].verdict);
                printf("%s %u %u %u\n", rows[r].name, fills[n], leases[l],
                       (unsigned)((full - empty + COUNT / 2) / COUNT));
            }
        }
    }
    printf("flow_bytes %u\nmap_bytes %u\nstate_bytes %u\n", (unsigned)sizeof(struct pf_flow),
           (unsigned)sizeof(struct pf_map), (unsigned)sizeof(struct pf));
    return 0;
}
#else
int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench ROW FLOWS LEASES COUNT\n");
        return 2;
    }
    const unsigned count = (unsigned)atoi(argv[4]);
    for (unsigned r = 0; r < ROWS; r++) {
        if (strcmp(rows[r].name, argv[1]) == 0) {
            fill((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
            const size_t len = rows[r].make();
            memcpy(original, ring, sizeof(ring));
            for (unsigned i = 0; i < count; i++) {
                restore(&rows[r], len, i);
                must(pf_input(&pf, rows[r].port, frame, len, now), rows[r].verdict);
            }
            return 0;
        }
    }
    fprintf(stderr, "bench: no row %s\n", argv[1]);
    return 2;
}
#endif
