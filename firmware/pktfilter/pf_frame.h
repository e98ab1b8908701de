/*
 * Frames: where things are in them, and how they are read, written and summed.
 *
 * rd16/rd32 and wr16/wr32 move wire values (see pf.h); be16/be32 give numbers to compute with. Frames start at an even
 * address, so every 16-bit field is aligned to two bytes: saying so to the compiler halves the loads on rv32.
 */
#ifndef PF_FRAME_H
#define PF_FRAME_H

#include "pf.h"

enum {
    PF_ETH = 14, /* Ethernet header */
    PF_IP = 20,  /* IPv4 header without options */
    PF_L4 = PF_ETH + PF_IP,
    PF_ARP_LEN = PF_ETH + 28,

    /* offsets in a frame */
    PF_O_TYPE = 12,
    PF_O_VERSION = 14,
    PF_O_TOTAL = 16,
    PF_O_ID = 18,
    PF_O_FRAG = 20,
    PF_O_TTL = 22,
    PF_O_PROTO = 23,
    PF_O_SUM = 24,
    PF_O_SRC = 26,
    PF_O_DST = 30,

    /* offsets in an L4 header */
    PF_TCP_SEQ = 4,
    PF_TCP_ACK = 8,
    PF_TCP_OFFSET = 12,
    PF_TCP_FLAGS = 13,
    PF_TCP_SUM = 16,
    PF_UDP_LEN = 4,
    PF_UDP_SUM = 6,
    PF_ICMP_SUM = 2,
    PF_ICMP_ID = 4,

    /* offsets in an ARP frame */
    PF_ARP_OP = 20,
    PF_ARP_SHA = 22,
    PF_ARP_SPA = 28,
    PF_ARP_THA = 32,
    PF_ARP_TPA = 38,

    PF_IPPROTO_ICMP = 1,
    PF_IPPROTO_IGMP = 2,
    PF_IPPROTO_TCP = 6,
    PF_IPPROTO_UDP = 17,

    PF_FAST_MIN = PF_L4 + 8, /* the shortest frame that the fast path takes: UDP without data */

    PF_FIN = 1,
    PF_SYN = 2,
    PF_RST = 4,
    PF_ACK = 16,
};

#if defined(__GNUC__)
typedef uint16_t __attribute__((may_alias)) pf_half;
typedef uint32_t __attribute__((may_alias)) pf_word;
typedef uint32_t __attribute__((may_alias, aligned(2))) pf_even_word;

PF_INLINE uint16_t rd16(const uint8_t *p)
{
    return *(const pf_half *)(const void *)p;
}

PF_INLINE uint32_t rd32(const uint8_t *p)
{
    return *(const pf_even_word *)(const void *)p;
}

/* Of an address that is a multiple of 4. */
PF_INLINE uint32_t rdw(const uint8_t *p)
{
    return *(const pf_word *)(const void *)p;
}

PF_INLINE void wr16(uint8_t *p, uint32_t v)
{
    *(pf_half *)(void *)p = (uint16_t)v;
}

PF_INLINE void wr32(uint8_t *p, uint32_t v)
{
    *(pf_even_word *)(void *)p = v;
}

PF_INLINE void wrw(uint8_t *p, uint32_t v)
{
    *(pf_word *)(void *)p = v;
}
#else
PF_INLINE uint16_t rd16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

PF_INLINE uint32_t rd32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

PF_INLINE uint32_t rdw(const uint8_t *p)
{
    return rd32(p);
}

PF_INLINE void wr16(uint8_t *p, uint32_t v)
{
    const uint16_t half = (uint16_t)v;
    memcpy(p, &half, 2);
}

PF_INLINE void wr32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

PF_INLINE void wrw(uint8_t *p, uint32_t v)
{
    wr32(p, v);
}
#endif

/* Sums, not shifts and ors: those gcc takes for a byte swap, for which rv32 has no instruction but a library call. */
PF_INLINE uint32_t be16(const uint8_t *p)
{
    return p[0] * 256U + p[1];
}

PF_INLINE uint32_t be32(const uint8_t *p)
{
    return be16(p) * 65536U + be16(p + 2);
}

PF_INLINE void put_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

PF_INLINE void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, v >> 16);
    put_be16(p + 2, v);
}

/* pf_ip.c */
bool pf_mac_eq(const uint8_t *a, const uint8_t *b);
void pf_mac_copy(uint8_t *to, const uint8_t *from);

PF_INLINE bool mac_is_group(const uint8_t *mac)
{
    return (mac[0] & 1) != 0;
}

/* ---- Checksums: ones' complement sums do not mind the byte order (RFC 1071), so wire values are added. ---- */

PF_INLINE uint16_t sum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

/* What a checksum's complement grows by when a field changes from `from` to `to`. */
static inline uint32_t sum_change16(uint32_t from, uint32_t to)
{
    return (from ^ 0xffffU) + to;
}

static inline uint32_t sum_change32(uint32_t from, uint32_t to)
{
    return sum_change16((uint16_t)from, (uint16_t)to) + sum_change16((uint16_t)(from >> 16), (uint16_t)(to >> 16));
}

/* RFC 1624, equation 3. */
static inline void sum_adjust(uint8_t *field, uint32_t change)
{
    wr16(field, (uint16_t)~sum_fold((uint32_t)(uint16_t)~rd16(field) + change));
}

/* Is the IP header's sum right? Unrolled, and by words: every frame takes it. */
PF_INLINE bool pf_header_sum_ok(const uint8_t *frame)
{
    const uint32_t w1 = rdw(frame + PF_O_ID);
    const uint32_t w2 = rdw(frame + PF_O_TTL);
    const uint32_t src = rdw(frame + PF_O_SRC);
    const uint32_t dst = rdw(frame + PF_O_DST);
    uint32_t sum = rdw(frame + PF_O_VERSION) + w1;
    uint32_t carries = sum < w1;
    sum += w2;
    carries += sum < w2;
    sum += src;
    carries += sum < src;
    sum += dst;
    carries += sum < dst;
    sum += carries; /* one more carry would leave 1 to 4: no sum that is right, with it or without */
    sum += sum << 16 | sum >> 16;
    return ~sum >> 16 == 0;
}

/* The sum of `len` bytes, at an even address, on top of `sum`; len at most 65535. */
uint32_t pf_sum(const uint8_t *p, size_t len, uint32_t sum);

#endif
