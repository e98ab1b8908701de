#include "frames.h"

#include <stdlib.h>

enum { SYN = 2, ACK = 16, PSH = 8 };

const uint8_t uplink_mac[6] = {2, 0, 0, 0, 0x42, X};
const uint8_t segment_mac[6] = {2, 0, 0, 0, 0x42, 0xf1};
const uint8_t speaker_mac[6] = {2, 0, 0, 0, 0x42, 0xf2};
static const uint8_t phone_mac[6] = {2, 0, 0, 0, 0x42, PHONE};
static const uint8_t flatmate_mac[6] = {2, 0, 0, 0, 0x42, FLATMATE};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0x42, ROUTER};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t ssdp_mac[6] = {1, 0, 0x5e, 0x7f, 0xff, 0xfa};

const uint8_t x_addr[4] = {10, 66, 0, X};
const uint8_t host_addr[4] = {192, 168, 77, 1};
const uint8_t alias_addr[4] = {192, 168, 77, 2};
const uint8_t phone_addr[4] = {10, 66, 0, PHONE};
const uint8_t server_addr[4] = {203, 0, 113, 10};
static const uint8_t router_addr[4] = {10, 66, 0, ROUTER};
static const uint8_t flatmate_addr[4] = {10, 66, 0, FLATMATE};
static const uint8_t ssdp_addr[4] = {239, 255, 255, 250};
static const uint8_t nobody_addr[4];
static const uint8_t nobody_mac[6];
static const uint8_t all_addr[4] = {255, 255, 255, 255};

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint32_t sum(const uint8_t *bytes, size_t len, uint32_t start)
{
    for (size_t i = 0; i < len; i++) {
        start += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    return start;
}

static uint16_t folded(uint32_t total)
{
    while (total > 0xffff) {
        total = (total & 0xffff) + (total >> 16);
    }
    return (uint16_t)~total;
}

static void ethernet(struct frame *f, enum pf_port from, const uint8_t to[6], const uint8_t source[6], unsigned type)
{
    memset(f, 0, sizeof(*f));
    f->from = from;
    memcpy(f->bytes, to, 6);
    memcpy(f->bytes + 6, source, 6);
    put16(f->bytes + 12, type);
    f->len = 14;
}

static void ip_sum(struct frame *f)
{
    put16(f->bytes + 24, 0);
    put16(f->bytes + 24, folded(sum(f->bytes + 14, 20, 0)));
}

/* After it: `len` bytes, of which the sum is at `sum_at` (with the addresses, if `pseudo`). */
static void ip(struct frame *f, unsigned proto, const uint8_t src[4], const uint8_t dst[4], size_t len, size_t sum_at,
               bool pseudo)
{
    uint8_t *h = f->bytes + 14;
    uint8_t *l4 = f->bytes + 34;
    h[0] = 0x45;
    put16(h + 2, 20 + len);
    put16(h + 4, 7);
    h[8] = 64;
    h[9] = (uint8_t)proto;
    memcpy(h + 12, src, 4);
    memcpy(h + 16, dst, 4);
    ip_sum(f);
    const uint32_t head = pseudo ? sum(h + 12, 8, (uint32_t)(proto + len)) : 0;
    put16(l4 + sum_at, folded(sum(l4, len, head)));
    f->len = 34 + len;
}

static void fill(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(i * 7 + len);
    }
}

void frames_udp(struct frame *f, enum pf_port from, const uint8_t to_mac[6], const uint8_t from_mac[6],
                const uint8_t src[4], unsigned sport, const uint8_t dst[4], unsigned dport, size_t payload)
{
    ethernet(f, from, to_mac, from_mac, 0x0800);
    put16(f->bytes + 34, sport);
    put16(f->bytes + 36, dport);
    put16(f->bytes + 38, 8 + payload);
    fill(f->bytes + 42, payload);
    ip(f, 17, src, dst, 8 + payload, 6, true);
}

static void tcp(struct frame *f, enum pf_port from, const uint8_t to_mac[6], const uint8_t from_mac[6],
                const uint8_t src[4], unsigned sport, const uint8_t dst[4], unsigned dport, unsigned flags,
                uint32_t seq, uint32_t ack, size_t payload)
{
    ethernet(f, from, to_mac, from_mac, 0x0800);
    put16(f->bytes + 34, sport);
    put16(f->bytes + 36, dport);
    put32(f->bytes + 38, seq);
    put32(f->bytes + 42, ack);
    f->bytes[46] = 0x50;
    f->bytes[47] = (uint8_t)flags;
    put16(f->bytes + 48, 64000);
    fill(f->bytes + 54, payload);
    ip(f, 6, src, dst, 20 + payload, 16, true);
}

static void echo(struct frame *f, enum pf_port from, const uint8_t to_mac[6], const uint8_t from_mac[6],
                 const uint8_t src[4], const uint8_t dst[4], size_t payload)
{
    ethernet(f, from, to_mac, from_mac, 0x0800);
    f->bytes[34] = 8;
    put16(f->bytes + 38, 0x1234);
    fill(f->bytes + 42, payload);
    ip(f, 1, src, dst, 8 + payload, 2, false);
}

static void arp(struct frame *f, enum pf_port from, const uint8_t to_mac[6], unsigned op, const uint8_t mac[6],
                const uint8_t src[4], const uint8_t target_mac[6], const uint8_t dst[4])
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    ethernet(f, from, to_mac, mac, 0x0806);
    memcpy(f->bytes + 14, head, 6);
    put16(f->bytes + 20, op);
    memcpy(f->bytes + 22, mac, 6);
    memcpy(f->bytes + 28, src, 4);
    memcpy(f->bytes + 32, target_mac, 6);
    memcpy(f->bytes + 38, dst, 4);
    f->len = 42;
}

/* A text in a UDP datagram of one of the discovery protocols. */
static void text(struct frame *f, const char *words)
{
    const size_t len = strlen(words);
    memcpy(f->bytes + 42, words, len);
    put16(f->bytes + 38, 8 + len);
    put16(f->bytes + 40, 0);
    ip(f, 17, f->bytes + 26, f->bytes + 30, 8 + len, 6, true);
}

/* A client asks for an address: what of BOOTP the filter looks at (RFC 951, RFC 2131). */
static void discover(struct frame *f, enum pf_port from, const uint8_t mac[6])
{
    static const uint8_t head[4] = {1, 1, 6, 0};
    static const uint8_t cookie[8] = {99, 130, 83, 99, 53, 1, 1, 255};
    frames_udp(f, from, everybody, mac, nobody_addr, 68, all_addr, 67, 300);
    memset(f->bytes + 42, 0, 300);
    memcpy(f->bytes + 42, head, 4);
    memcpy(f->bytes + 42 + 28, mac, 6);
    memcpy(f->bytes + 42 + 236, cookie, 8);
    put16(f->bytes + 40, 0);
    ip(f, 17, nobody_addr, all_addr, 308, 6, true);
}

/* The piece of a datagram from `start` on, of `len` bytes after the IP header. */
static void fragment(struct frame *f, const struct frame *whole, size_t start, size_t len)
{
    *f = *whole;
    memmove(f->bytes + 34, whole->bytes + 34 + start, len);
    const size_t more = 34 + start + len < whole->len ? 0x2000 : 0;
    put16(f->bytes + 16, 20 + len);
    put16(f->bytes + 20, more | start / 8);
    ip_sum(f);
    f->len = 34 + len;
}

void frames_configure(struct pf *pf, unsigned leases, uint32_t now_ms)
{
    struct pf_config cfg = {.addr = pf_wire32(x_addr),
                            .speaker_addr = pf_wire32(x_addr),
                            .mask = pf_wire32((const uint8_t[4]){255, 255, 255, 0}),
                            .host_addr = pf_wire32(host_addr),
                            .alias = pf_wire32(alias_addr),
                            .claim_port = pf_wire16(7780),
                            .router = pf_wire32(router_addr),
                            .dns = {pf_wire32(router_addr)}};
    memcpy(cfg.uplink_mac, uplink_mac, 6);
    memcpy(cfg.segment_mac, segment_mac, 6);
    pf_configure(pf, &cfg, now_ms);
    pf_speaker(pf, speaker_mac, now_ms);
    for (unsigned i = 0; i < leases; i++) {
        const uint8_t addr[4] = {10, 66, 0, (uint8_t)(PHONE + i)};
        const uint8_t mac[6] = {2, 0, 0, 0, 0x42, (uint8_t)(PHONE + i)};
        (void)pf_lease_add(pf, pf_wire32(addr), mac, 86400, now_ms);
    }
}

void frames_connection(struct frame *f, unsigned i, bool answer)
{
    if (answer) {
        tcp(f, PF_SEGMENT, segment_mac, speaker_mac, x_addr, 1400, phone_addr, 20000 + i, SYN | ACK, 900, 501, 0);
    } else {
        tcp(f, PF_UPLINK, uplink_mac, phone_mac, phone_addr, 20000 + i, x_addr, 1400, SYN, 500, 0, 0);
    }
}

enum { HISTORY = 64 };
static struct frame history[HISTORY];
static size_t made;

static struct frame *next(void)
{
    if (made == HISTORY) {
        abort();
    }
    return &history[made++];
}

static void phone_and_speaker(void)
{
    tcp(next(), PF_UPLINK, uplink_mac, phone_mac, phone_addr, 40000, x_addr, 1400, SYN, 500, 0, 0);
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 1400, phone_addr, 40000, SYN | ACK, 900, 501, 0);
    tcp(next(), PF_UPLINK, uplink_mac, phone_mac, phone_addr, 40000, x_addr, 1400, ACK, 501, 901, 0);
    tcp(next(), PF_UPLINK, uplink_mac, phone_mac, phone_addr, 40000, x_addr, 1400, ACK | PSH, 501, 901, 1460);
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 1400, phone_addr, 40000, ACK | PSH, 901, 1961, 333);
    /* discovery: to the speaker, and from it to each phone */
    struct frame *f = next();
    frames_udp(f, PF_UPLINK, ssdp_mac, phone_mac, phone_addr, 41000, ssdp_addr, 1900, 0);
    text(f,
         "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
         "ST: urn:schemas-upnp-org:device:ZonePlayer:1\r\n\r\n");
    f = next();
    frames_udp(f, PF_SEGMENT, ssdp_mac, speaker_mac, x_addr, 1900, ssdp_addr, 1900, 0);
    text(f, "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\r\n");
}

static void speaker_and_internet(void)
{
    /* The router's MAC is not known yet: the first frames wait for its answer. */
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33000, server_addr, 80, SYN, 100, 0, 0);
    frames_udp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33001, server_addr, 123, 48);
    arp(next(), PF_UPLINK, uplink_mac, 2, router_mac, router_addr, uplink_mac, x_addr);
    tcp(next(), PF_UPLINK, uplink_mac, router_mac, server_addr, 80, x_addr, 33000, SYN | ACK, 700, 101, 0);
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33000, server_addr, 80, ACK, 101, 701, 0);
    tcp(next(), PF_UPLINK, uplink_mac, router_mac, server_addr, 80, x_addr, 33000, ACK, 701, 101, 1460);
    /* of no flow: the speaker is told so */
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33009, server_addr, 80, ACK, 101, 701, 10);
    /* a datagram in three pieces, the last one first */
    static struct frame whole;
    frames_udp(&whole, PF_UPLINK, uplink_mac, router_mac, server_addr, 123, x_addr, 33001, 3000);
    fragment(next(), &whole, 2960, whole.len - 34 - 2960);
    fragment(next(), &whole, 0, 1480);
    fragment(next(), &whole, 1480, 1480);
    frames_udp(&whole, PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33001, server_addr, 123, 2000);
    fragment(next(), &whole, 1480, whole.len - 34 - 1480);
    fragment(next(), &whole, 0, 1480);
}

static void the_host(void)
{
    frames_udp(next(), PF_HOST_UPLINK, router_mac, uplink_mac, x_addr, 33001, server_addr, 123, 48); /* port taken */
    frames_udp(next(), PF_UPLINK, uplink_mac, router_mac, server_addr, 53, x_addr, 34000, 40);       /* no flow */
    frames_udp(next(), PF_HOST_UPLINK, router_mac, uplink_mac, x_addr, 34000, server_addr, 53, 31);
    frames_udp(next(), PF_UPLINK, uplink_mac, router_mac, server_addr, 53, x_addr, 34000, 40);
    tcp(next(), PF_HOST_UPLINK, router_mac, uplink_mac, x_addr, 34001, server_addr, 443, SYN, 5, 0, 0);
    tcp(next(), PF_UPLINK, uplink_mac, router_mac, server_addr, 443, x_addr, 34001, SYN | ACK, 8, 6, 0);
    tcp(next(), PF_HOST_SEGMENT, speaker_mac, segment_mac, host_addr, 34002, alias_addr, 1400, SYN, 5, 0, 0);
    tcp(next(), PF_SEGMENT, segment_mac, speaker_mac, x_addr, 1400, host_addr, 34002, SYN | ACK, 9, 6, 0);
    tcp(next(), PF_UPLINK, uplink_mac, flatmate_mac, flatmate_addr, 5555, x_addr, 7780, SYN, 5, 0, 0);
    echo(next(), PF_UPLINK, uplink_mac, flatmate_mac, flatmate_addr, x_addr, 56);
    arp(next(), PF_UPLINK, everybody, 1, flatmate_mac, flatmate_addr, nobody_mac, x_addr);
    arp(next(), PF_HOST_UPLINK, everybody, 1, uplink_mac, x_addr, nobody_mac, flatmate_addr);
    arp(next(), PF_UPLINK, uplink_mac, 2, flatmate_mac, flatmate_addr, uplink_mac, x_addr);
    arp(next(), PF_SEGMENT, everybody, 1, speaker_mac, x_addr, nobody_mac, router_addr);
    arp(next(), PF_HOST_SEGMENT, everybody, 1, segment_mac, host_addr, nobody_mac, alias_addr);
    discover(next(), PF_SEGMENT, speaker_mac);
    discover(next(), PF_HOST_UPLINK, uplink_mac);
    frames_udp(next(), PF_UPLINK, everybody, router_mac, router_addr, 67, all_addr, 68, 300);
}

static void the_unwanted(void)
{
    tcp(next(), PF_UPLINK, uplink_mac, flatmate_mac, flatmate_addr, 5555, x_addr, 1400, SYN, 5, 0, 0);
    frames_udp(next(), PF_UPLINK, everybody, flatmate_mac, flatmate_addr, 137, all_addr, 137, 50);
    for (unsigned port = 0; port < PF_PORT_COUNT; port++) {
        const bool uplink = port == PF_UPLINK || port == PF_HOST_UPLINK;
        ethernet(next(), (enum pf_port)port, uplink ? uplink_mac : segment_mac, flatmate_mac, 0x86dd);
        history[made - 1].len = 94;
    }
    static const size_t lengths[] = {0, 1, 13, 14, 15, 33, PF_FRAME_MAX + 1, 9000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        frames_udp(next(), i % 2 == 0 ? PF_UPLINK : PF_HOST_UPLINK, uplink_mac, phone_mac, phone_addr, 1, x_addr, 2,
                   9000);
        history[made - 1].len = lengths[i];
    }
}

const struct frame *frames_history(size_t *count)
{
    if (made == 0) {
        phone_and_speaker();
        speaker_and_internet();
        the_host();
        the_unwanted();
    }
    *count = made;
    return history;
}
