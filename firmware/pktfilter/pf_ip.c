/* IPv4 packets: are they sound, and how are they rewritten. */
#include "pf_core.h"

bool pf_mac_eq(const uint8_t *a, const uint8_t *b)
{
    return ((rd16(a) ^ rd16(b)) | (rd16(a + 2) ^ rd16(b + 2)) | (rd16(a + 4) ^ rd16(b + 4))) == 0;
}

void pf_mac_copy(uint8_t *to, const uint8_t *from)
{
    wr16(to, rd16(from));
    wr16(to + 2, rd16(from + 2));
    wr16(to + 4, rd16(from + 4));
}

uint32_t pf_sum(const uint8_t *p, size_t len, uint32_t sum)
{
    size_t i = 0;
    for (; i + 2 <= len; i += 2) {
        sum += rd16(p + i);
    }
    if (i < len) {
        const uint8_t last[2] = {p[i], 0};
        uint16_t v;
        memcpy(&v, last, 2);
        sum += v;
    }
    return sum;
}

/* The sum over what follows an IP header that is right; TCP and UDP: with the pseudo header (RFC 793, 768). */
uint32_t pf_sum_payload(const uint8_t *frame)
{
    const uint32_t l4_len = be16(frame + PF_O_TOTAL) - PF_IP;
    if (frame[PF_O_PROTO] == PF_IPPROTO_ICMP) {
        return pf_sum(frame + PF_L4, l4_len, 0);
    }
    const uint32_t proto = pf_wire16(frame[PF_O_PROTO] == PF_IPPROTO_TCP ? PF_IPPROTO_TCP : PF_IPPROTO_UDP);
    const uint32_t pseudo =
        proto + rd16(frame + PF_O_TOTAL) + sum_change16(pf_wire16(PF_IP), 0); /* the length: total less header */
    return pf_sum(frame + PF_O_SRC, 8 + l4_len, pseudo);                      /* the addresses stand before it */
}

/* Protocol, addresses and ports of a packet whose `frame`, `l4` and `l4_len` are known. */
enum pf_counter pf_parse_ends(struct pf_pkt *p)
{
    const unsigned number = p->frame[PF_O_PROTO];
    p->proto = number == PF_IPPROTO_TCP ? PF_TCP : number == PF_IPPROTO_UDP ? PF_UDP : PF_ICMP;
    if (p->proto == PF_ICMP && number != PF_IPPROTO_ICMP) {
        return PF_C_drop_protocol;
    }
    if (p->l4_len < 8) {
        return PF_C_drop_l4_length;
    }
    p->addr[PF_SRC] = rdw(p->frame + PF_O_SRC);
    p->addr[PF_DST] = rdw(p->frame + PF_O_DST);
    p->port[PF_SRC] = rd16(p->l4);
    p->port[PF_DST] = rd16(p->l4 + 2);
    p->flags = 0;
    if (p->proto == PF_ICMP) { /* an echo's identifier stands for the asking side's port */
        const uint16_t id = rd16(p->l4 + PF_ICMP_ID);
        p->flags = p->l4[0];
        p->port[PF_SRC] = p->flags == 8 ? id : 0;
        p->port[PF_DST] = p->flags == 0 ? id : 0;
    }
    return PF_C_none;
}

static enum pf_counter parse_tcp(struct pf_pkt *p)
{
    if (p->l4_len < 20) {
        return PF_C_drop_l4_length;
    }
    const uint32_t header = (uint32_t)(p->l4[PF_TCP_OFFSET] >> 4) * 4;
    if (header < 20 || header > p->l4_len) {
        return PF_C_drop_l4_length;
    }
    p->flags = p->l4[PF_TCP_FLAGS];
    return pf_tcp_flags_ok(p->flags) ? PF_C_none : PF_C_drop_tcp_flags;
}

static enum pf_counter parse_l4(struct pf_pkt *p, bool whole)
{
    const enum pf_counter c = pf_parse_ends(p);
    if (c != PF_C_none) {
        return c;
    }
    if (p->proto == PF_TCP) {
        return parse_tcp(p);
    }
    if (p->proto == PF_UDP) {
        return !whole || be16(p->l4 + PF_UDP_LEN) == p->l4_len ? PF_C_none : PF_C_drop_l4_length;
    }
    return !whole || sum_fold(pf_sum(p->l4, p->l4_len, 0)) == 0xffff ? PF_C_none : PF_C_drop_icmp_checksum;
}

/* A first fragment is looked at only where pf_fragment() asks for it. */
enum pf_counter pf_parse(const struct pf *pf, struct pf_pkt *p, uint8_t *frame, size_t len)
{
    if (len < PF_L4) {
        return PF_C_drop_short;
    }
    if (frame[PF_O_VERSION] != 0x45) {
        return frame[PF_O_VERSION] > 0x45 && frame[PF_O_VERSION] <= 0x4f ? PF_C_drop_ip_options : PF_C_drop_ip_header;
    }
    const uint32_t total = be16(frame + PF_O_TOTAL);
    if (total < PF_IP || total > len - PF_ETH) {
        return PF_C_drop_ip_length;
    }
    if (!pf_header_sum_ok(frame)) {
        return PF_C_drop_ip_checksum;
    }
    if (!pf->in_first &&
        (rd16(frame + PF_O_FRAG) & pf_wire16(0xbfff)) != 0) { /* all but DF: reserved bit, MF, offset */
        return PF_C_drop_fragment;
    }
    p->frame = frame;
    p->l4 = frame + PF_L4;
    p->len = total + PF_ETH;
    p->l4_len = total - PF_IP;
    return parse_l4(p, !pf->in_first);
}

/* Of the segment's subnet, a /24. */
bool pf_on_segment(const struct pf *pf, uint32_t addr)
{
    static const uint8_t mask[4] = {255, 255, 255, 0};
    return ((addr ^ pf->cfg.host_addr) & pf_wire32(mask)) == 0;
}

/* Sources that nobody on the uplink may have: ours, the segment's, and those that are no host's at all. */
bool pf_source_is_sane(const struct pf *pf, uint32_t src)
{
    static const uint8_t one[4] = {0, 0, 0, 1};
    const uint32_t hosts = ~pf->cfg.mask;
    const uint32_t host_part = src & hosts;
    if (src == pf->cfg.addr || src == pf->cfg.alias || pf_on_segment(pf, src) || pf_is_nobody(src)) {
        return false;
    }
    /* Network and broadcast address of the uplink's subnet; /31 and /32 have neither. */
    return !(hosts != 0 && hosts != pf_wire32(one) && pf_on_link(pf, src) && (host_part == hosts || host_part == 0));
}

static void adjust_l4(struct pf_pkt *p, uint32_t change)
{
    static const uint8_t at[PF_PROTO_COUNT] = {PF_TCP_SUM, PF_UDP_SUM, PF_ICMP_SUM};
    uint8_t *sum = p->l4 + at[p->proto];
    if (sum_fold(change) == 0xffff || at[p->proto] + 2U > p->l4_len || (p->proto == PF_UDP && rd16(sum) == 0)) {
        return; /* the changes cancel out; an ICMP error left it out; or no sum was sent */
    }
    sum_adjust(sum, change);
    if (p->proto == PF_UDP && rd16(sum) == 0) {
        wr16(sum, 0xffff);
    }
}

/* One end of a packet: another address and port. */
void pf_rewrite(struct pf_pkt *p, unsigned end, uint32_t addr, uint32_t port)
{
    const uint32_t addr_change = sum_change32(p->addr[end], addr);
    uint32_t change = p->proto == PF_ICMP ? 0xffff : addr_change; /* it has no pseudo header */
    wrw(p->frame + PF_O_SRC + 4 * end, addr);
    sum_adjust(p->frame + PF_O_SUM, addr_change);
    if (p->port[end] != port) {
        wr16(p->l4 + (p->proto == PF_ICMP ? PF_ICMP_ID : 2 * end), port);
        change += sum_change16(p->port[end], port);
    }
    p->addr[end] = addr;
    p->port[end] = port;
    adjust_l4(p, change);
}

void pf_ttl_down(uint8_t *frame)
{
    const uint16_t old = rd16(frame + PF_O_TTL);
    frame[PF_O_TTL]--;
    sum_adjust(frame + PF_O_SUM, sum_change16(old, rd16(frame + PF_O_TTL)));
}

/* The IP header's checksum anew. */
void pf_sum_ip(uint8_t *frame)
{
    wr16(frame + PF_O_SUM, 0);
    wr16(frame + PF_O_SUM, (uint16_t)~sum_fold(pf_sum(frame + PF_ETH, PF_IP, 0)));
}

/* Ethernet type and IP header for a packet of the filter's own. The MACs are the sender's work. */
void pf_build_ip(uint8_t *frame, unsigned proto, uint32_t src, uint32_t dst, uint32_t l4_len)
{
    put_be16(frame + PF_O_TYPE, 0x0800);
    memset(frame + PF_ETH, 0, PF_IP);
    frame[PF_O_VERSION] = 0x45;
    put_be16(frame + PF_O_TOTAL, PF_IP + l4_len);
    frame[PF_O_TTL] = 64;
    frame[PF_O_PROTO] = (uint8_t)proto;
    wrw(frame + PF_O_SRC, src);
    wrw(frame + PF_O_DST, dst);
    pf_sum_ip(frame);
}

/* Checksum of a TCP, UDP or ICMP packet of the filter's own. */
void pf_sum_l4(uint8_t *frame)
{
    const unsigned proto = frame[PF_O_PROTO];
    uint8_t *l4 = frame + PF_L4;
    uint8_t *field = l4 + (proto == PF_IPPROTO_TCP ? PF_TCP_SUM : proto == PF_IPPROTO_UDP ? PF_UDP_SUM : PF_ICMP_SUM);
    wr16(field, 0);
    uint16_t sum = (uint16_t)~sum_fold(pf_sum_payload(frame));
    if (proto == PF_IPPROTO_UDP && sum == 0) {
        sum = 0xffff;
    }
    wr16(field, sum);
}
