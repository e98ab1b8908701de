/*
 * Fuzz target: a history of frames, ticks and control calls on a configured filter.
 *
 * The input is a list of records. First byte: bits 0-1 the port, bit 2 "make the IP and ICMP checksums right", bit 3 a
 * control call instead of a frame; second byte: time passed, in 64 ms (each step of 16 s from 240 on); then a length byte
 * and as many bytes: the first chooses a template, the others are laid over it. So the fuzzer need not find MACs and
 * addresses before it comes to what matters.
 *
 * Built with libFuzzer (clang -fsanitize=fuzzer) or, with -DREPLAY, as a program that runs each file given to it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "pf_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pf filter;

static const uint8_t uplink_mac[6] = {2, 0, 0, 0, 0x42, 0x10};
static const uint8_t segment_mac[6] = {2, 0, 0, 0, 0x42, 0x11};
static const uint8_t speaker_mac[6] = {2, 0, 0, 0, 0x42, 0x20};
static const uint8_t phone_mac[6] = {2, 0, 0, 0, 0x42, 0x30};
static const uint8_t x_addr[4] = {10, 66, 0, 77};
static const uint8_t phone_addr[4] = {10, 66, 0, 100};
static const uint8_t router_addr[4] = {10, 66, 0, 1};
static const uint8_t server_addr[4] = {203, 0, 113, 10};

static void check_out(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    if (len < PF_ETH || len > PF_FRAME_MAX || (unsigned)port >= PF_PORT_COUNT) {
        abort();
    }
    /* Read it all, so that the sanitizers see whether it is all there. */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + frame[i]);
    }
    /* Promises about what leaves: only our MAC, and of IPv4 only our address, to the network. */
    if (port == PF_UPLINK && !mac_eq(frame + 6, uplink_mac)) {
        abort();
    }
    if (port == PF_UPLINK && len >= PF_L4 && be16(frame + PF_O_TYPE) == 0x0800 && frame[PF_O_PROTO] != PF_IPPROTO_UDP &&
        rd32(frame + PF_O_SRC) != pf_wire32(x_addr)) {
        abort();
    }
}

static void configure(uint32_t now, bool private_mode)
{
    static const uint8_t mask[4] = {255, 255, 252, 0};
    static const uint8_t host[4] = {192, 168, 77, 1};
    static const uint8_t alias[4] = {192, 168, 77, 2};
    struct pf_config cfg = {.addr = pf_wire32(x_addr), .mask = pf_wire32(mask), .router = pf_wire32(router_addr)};
    memcpy(cfg.uplink_mac, uplink_mac, 6);
    memcpy(cfg.segment_mac, segment_mac, 6);
    cfg.dns[0] = cfg.router;
    cfg.host_addr = pf_wire32(host);
    cfg.alias = pf_wire32(alias);
    cfg.speaker_addr = private_mode ? cfg.alias : cfg.addr;
    cfg.guard = private_mode;
    cfg.hosts[0] = pf_wire32(server_addr); /* named, behind the router */
    cfg.claim_port = pf_wire16(7780);
    pf_configure(&filter, &cfg, now);
    pf_speaker(&filter, speaker_mac, now);
    (void)pf_lease_add(&filter, pf_wire32(phone_addr), phone_mac, 3600, now);
}

static void control(const uint8_t *p, size_t n, uint32_t now)
{
    uint8_t buf[64];
    struct pf_flow_info flow;
    struct pf_lease_info lease;
    switch (n > 0 ? p[0] % 8 : 0) {
    case 0:
        (void)pf_lease_end(&filter, pf_wire32(phone_addr), now);
        break;
    case 1:
        (void)pf_lease_add(&filter, pf_wire32(phone_addr), n > 1 && p[1] > 127 ? NULL : phone_mac, n > 1 ? p[1] : 60,
                           now);
        break;
    case 2:
        pf_speaker(&filter, n > 1 && p[1] == 0 ? NULL : speaker_mac, now);
        break;
    case 3:
        (void)pf_dhcp_take(&filter, buf, sizeof(buf));
        break;
    case 4:
        (void)pf_dhcp_send(&filter, p, n, NULL, pf_wire32(x_addr));
        break;
    case 5:
        configure(now, n > 1 && (p[1] & 1) != 0);
        break;
    case 6:
        (void)pf_flow_get(&filter, n > 1 ? p[1] : 0, &flow, now);
        (void)pf_lease_get(&filter, n > 1 ? p[1] % PF_LEASES : 0, &lease, now);
        break;
    default:
        pf_tick(&filter, now);
        break;
    }
}

static void put_l3(uint8_t *f, const uint8_t *to, const uint8_t *from, const uint8_t *src, const uint8_t *dst)
{
    memcpy(f, to, 6);
    memcpy(f + 6, from, 6);
    put_be16(f + PF_O_TYPE, 0x0800);
    f[PF_O_VERSION] = 0x45;
    f[PF_O_TTL] = 64;
    memcpy(f + PF_O_SRC, src, 4);
    memcpy(f + PF_O_DST, dst, 4);
}

/* The bytes of a record, laid over the header that they would have to guess. Returns the frame's length. */
static size_t build(uint8_t *f, enum pf_port port, const uint8_t *p, size_t n)
{
    const bool local = n > 0 && (p[0] & 1) != 0;
    const unsigned shape = n > 0 ? p[0] >> 1 & 3 : 0;
    static const uint8_t proto[4] = {PF_IPPROTO_TCP, PF_IPPROTO_UDP, PF_IPPROTO_ICMP, 0};
    if (n < 2) {
        return 0;
    }
    if (shape == 3) {
        memcpy(f, p + 1, n - 1); /* as it is */
        return n - 1;
    }
    const uint8_t *other = local ? phone_addr : server_addr;
    const uint8_t *other_mac = local ? phone_mac : speaker_mac;
    memset(f, 0, PF_L4);
    if (port == PF_UPLINK) {
        put_l3(f, uplink_mac, local ? phone_mac : segment_mac, other, x_addr);
    } else if (port == PF_SEGMENT) {
        put_l3(f, segment_mac, speaker_mac, x_addr, other);
        wr32(f + PF_O_SRC, filter.cfg.speaker_addr);
    } else if (port == PF_HOST_UPLINK) {
        put_l3(f, other_mac, uplink_mac, x_addr, other);
    } else {
        put_l3(f, speaker_mac, segment_mac, x_addr, x_addr);
        wr32(f + PF_O_SRC, filter.cfg.host_addr);
        wr32(f + PF_O_DST, filter.cfg.alias);
    }
    f[PF_O_PROTO] = proto[shape];
    memcpy(f + PF_L4, p + 1, n - 1);
    put_be16(f + PF_O_TOTAL, PF_IP + (uint32_t)n - 1);
    return PF_L4 + n - 1;
}

static void mend(uint8_t *f, size_t len)
{
    if (len < PF_L4 || f[PF_O_VERSION] != 0x45) {
        return;
    }
    wr16(f + PF_O_SUM, 0);
    wr16(f + PF_O_SUM, (uint16_t)~sum_fold(pf_sum(f + PF_ETH, PF_IP, 0)));
    const uint32_t total = be16(f + PF_O_TOTAL);
    if (f[PF_O_PROTO] == PF_IPPROTO_ICMP && total >= PF_IP + 8 && total <= len - PF_ETH) {
        pf_sum_l4(f);
    }
    if (f[PF_O_PROTO] == PF_IPPROTO_UDP && total >= PF_IP + 8 && total <= len - PF_ETH) {
        put_be16(f + PF_L4 + PF_UDP_LEN, total - PF_IP);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = {1, 2, 3};
    uint32_t now = 0xffff0000; /* soon wraps */
    uint8_t scratch[PF_L4 + 256];
    pf_init(&filter, key, check_out, NULL, now);
    configure(now, size > 0 && (data[0] & 0x80) != 0);
    while (size >= 3) {
        const uint8_t what = data[0];
        const uint8_t wait = data[1];
        const size_t n = data[2] < size - 3 ? data[2] : size - 3;
        const uint8_t *p = data + 3;
        now += wait < 240 ? wait * 64U : (wait - 239U) * 16000U;
        if ((what & 8) != 0) {
            control(p, n, now);
        } else {
            const enum pf_port port = (enum pf_port)(what & 3);
            const size_t len = build(scratch, port, p, n);
            if ((what & 4) != 0) {
                mend(scratch, len);
            }
            /* Two bytes after a multiple of four, as the fast path wants them; or elsewhere. */
            const size_t at = (what & 16) != 0 ? 0 : 2;
            uint8_t *block = malloc(at + len);
            uint8_t *frame = block + at;
            memcpy(frame, scratch, len);
            const enum pf_counter c = pf_input(&filter, port, frame, len, now);
            free(block);
            if (c == PF_C_none || c >= PF_COUNTER_COUNT) {
                abort();
            }
        }
        data += 3 + n;
        size -= 3 + n;
    }
    if (pf_check(&filter) != 0) {
        abort();
    }
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        static uint8_t buf[1 << 16];
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        const size_t n = fread(buf, 1, sizeof(buf), f);
        (void)fclose(f);
        uint8_t *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, buf, n);
        (void)LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
#endif
