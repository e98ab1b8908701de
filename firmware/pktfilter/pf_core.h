/* What the files of the core share. Nothing here is for callers. */
#ifndef PF_CORE_H
#define PF_CORE_H

#include "pf_frame.h"

/* Index of pf_pkt.addr and .port. It is also the place of the remote in a frame by the frame's direction (see below). */
enum { PF_SRC = 0, PF_DST = 1 };

/* An IPv4 packet that pf_parse() found sound. */
struct pf_pkt {
    uint8_t *frame;
    uint8_t *l4;
    uint32_t len;     /* of the frame, padding cut off */
    uint32_t l4_len;  /* of what follows the IP header */
    uint32_t addr[2]; /* source and destination; wire values */
    uint32_t
        port[2]; /* ICMP queries: the identifier on the asking side, 0 on the other. Words are read with less code. */
    uint32_t proto; /* enum pf_proto */
    uint32_t flags; /* TCP flags; ICMP: type */
};

/* struct pf_flow.kind */
enum {
    PF_KIND_PROTO = 3,
    PF_KIND_SPEAKER = 4, /* the owner is the speaker */
    PF_KIND_KEY = 7,
    PF_KIND_INBOUND = 8, /* the remote opened it */
    PF_KIND_ALL = 15,
    PF_KIND_CLASS_SHIFT = 4,
};

/* What tells two flows with the same addresses and ports apart: for the remote the protocol, for the owners also whose it is. */
#define PF_KIND_SEEN_BY(side) (PF_KIND_PROTO | (unsigned)(side) * PF_KIND_SPEAKER)

/* pf_flows_end_of(): no peer, but phones' to services that are none any more; the speaker; the speaker, and the leased phones. */
enum { PF_ENDS_SERVICES = 0x100, PF_ENDS_SPEAKER = 0x101, PF_ENDS_LEASED = 0x102 };

/* struct pf_flow.state; TCP only. Pairs: remote, owner. */
enum {
    PF_T_SYN = 1, /* and 2 */
    PF_T_BOTH_SYN = 3,
    PF_T_FIN = 4, /* and 8 */
    PF_T_BOTH_FIN = 12,
    PF_T_OPEN = 16, /* established */
    PF_T_RST = 32,
};

/* Direction of a frame in its flow; index of pf_flow.u.end, .port and .next. */
enum { PF_FROM_REMOTE = 0, PF_FROM_OWNER = 1 };

/* struct pf_peer.state */
enum {
    PF_PEER_EMPTY,
    PF_PEER_KNOWN,  /* learned by ARP */
    PF_PEER_PINNED, /* the lease's MAC */
    PF_PEER_ROUTED, /* behind the router: use its place */
};

PF_INLINE enum pf_counter pf_count(struct pf *pf, enum pf_counter c)
{
    pf->counters[c]++;
    return c;
}

/* Room for an ARP message or a RST of the filter's own, where frames begin: the IP header is aligned. */
PF_INLINE uint8_t *pf_scratch(struct pf *pf)
{
    return (uint8_t *)pf->scratch + 2;
}

PF_INLINE uint16_t pf_kind_key(unsigned proto, unsigned owner)
{
    return (uint16_t)(proto | (owner == PF_OWNER_SPEAKER ? PF_KIND_SPEAKER : 0));
}

PF_INLINE bool pf_is_lease(unsigned peer)
{
    return peer >= PF_PEER_LEASE;
}

/* A connection to the claim port: the one kind that anybody may open. (A leased phone's to the host has its lease as peer.) */
PF_INLINE bool pf_is_claim(unsigned kind, unsigned peer)
{
    return (kind & (PF_KIND_INBOUND | PF_KIND_SPEAKER)) == PF_KIND_INBOUND && peer == PF_NO_PEER;
}

PF_INLINE bool pf_on_link(const struct pf *pf, uint32_t addr)
{
    return ((addr ^ pf->cfg.addr) & pf->cfg.mask) == 0;
}

/* One of an address's bytes, from the left. */
PF_INLINE unsigned pf_byte(uint32_t wire, unsigned i)
{
    uint8_t b[4];
    pf_bytes32(b, wire);
    return b[i];
}

/* No host's address: this network, loopback, multicast and what is above it. */
PF_INLINE bool pf_is_nobody(uint32_t wire)
{
    const unsigned first = pf_byte(wire, 0);
    return first == 0 || first == 127 || first >= 224;
}

PF_INLINE bool pf_is_multicast(uint32_t wire)
{
    return pf_byte(wire, 0) >> 4 == 14;
}

/* pf_hash.c */
void pf_hash_init(struct pf *pf, const uint8_t key[16]);
uint16_t pf_random(struct pf *pf);

/* Multilinear over 16-bit pieces, strongly universal in its upper 16 bits (Lemire, Kaser: "Strongly universal string hashing
 * is fast"): without the key nobody chooses pairs that meet more often than by chance, at a tenth of the cost of a cipher.
 * The address's part alone is the hash of leases. */
PF_INLINE uint32_t pf_hash_pair(const struct pf *pf, uint32_t a0, uint32_t a1)
{
    return pf->hash_key[0] + pf->hash_key[1] * a0 + pf->hash_key[2] * a1;
}

PF_INLINE uint32_t pf_hash_addr(const struct pf *pf, uint32_t addr)
{
    return pf_hash_pair(pf, addr & 0xffff, addr >> 16) >> 16;
}

/* A sum alone keeps the steps of numbers in steps (ports one after the other): for one key in some hundred many of them meet.
 * The middle of its square leaves no steps, in one instruction. */
PF_INLINE uint32_t pf_hash_mix(uint32_t sum)
{
    return (uint32_t)((uint64_t)sum * sum >> 32);
}

/* The remote's part, the same in both indexes. `pair`: of its address. */
PF_INLINE uint32_t pf_hash_remote(const struct pf *pf, uint32_t pair, uint32_t rport)
{
    return pair + pf->hash_key[3] * rport;
}

/* That, and the port on this side. */
PF_INLINE uint32_t pf_hash_flow(const struct pf *pf, uint32_t remote, uint32_t port)
{
    return pf_hash_mix(remote + pf->hash_key[4] * port);
}

/* pf_rate.c */
bool pf_rate(struct pf *pf, unsigned limit, unsigned i);

/* pf_ip.c */
enum pf_counter pf_parse(const struct pf *pf, struct pf_pkt *p, uint8_t *frame, size_t len);
enum pf_counter pf_parse_ends(struct pf_pkt *p);
bool pf_source_is_sane(const struct pf *pf, uint32_t src);
bool pf_on_segment(const struct pf *pf, uint32_t addr);
void pf_rewrite(struct pf_pkt *p, unsigned end, uint32_t addr, uint32_t port);
void pf_ttl_down(uint8_t *frame);
void pf_sum_ip(uint8_t *frame);
void pf_build_ip(uint8_t *frame, unsigned proto, uint32_t src, uint32_t dst, uint32_t l4_len);
uint32_t pf_sum_payload(const uint8_t *frame);
void pf_sum_l4(uint8_t *frame);

/* pf_flow.c */
void pf_flows_init(struct pf *pf);
struct pf_flow *pf_flow_find(struct pf *pf, unsigned side, unsigned key, uint32_t raddr, uint32_t rport, uint32_t port);
enum pf_counter pf_flow_pass(struct pf *pf, struct pf_pkt *p, unsigned side, unsigned owner);
enum pf_counter pf_flow_open(struct pf *pf, struct pf_pkt *p, unsigned kind, unsigned peer);
void pf_flow_end(struct pf *pf, struct pf_flow *f);
void pf_flow_classify(struct pf *pf, struct pf_flow *f);
void pf_flows_sweep(struct pf *pf);
bool pf_flow_expired(const struct pf *pf, const struct pf_flow *f);
int pf_flows_end_of(struct pf *pf, unsigned peer);

/* pf_map.c */
/* A mapping's link is where it is in struct pf, in units of two bytes; 0: none. It costs less than an index. */
enum { PF_MAP_UNIT = 2 };
typedef char pf_links_reach[sizeof(struct pf) <= (size_t)PF_MAP_UNIT * UINT16_MAX ? 1 : -1];

PF_INLINE struct pf_map *pf_map_at(struct pf *pf, unsigned link)
{
    return (struct pf_map *)(void *)((uint8_t *)pf + (size_t)PF_MAP_UNIT * link);
}

void pf_maps_init(struct pf *pf);
unsigned pf_map_get(struct pf *pf, unsigned kind, uint16_t lport);
void pf_map_put(struct pf *pf, unsigned link);

PF_INLINE bool pf_tcp_flags_ok(unsigned flags)
{
    /* one bit for each allowed combination of FIN, SYN, RST and ACK (ACK moved down to 8) */
    const unsigned allowed =
        1U << PF_SYN | 1U << PF_RST | 1U << 8 | 1U << (8 | PF_SYN) | 1U << (8 | PF_FIN) | 1U << (8 | PF_RST);
    const unsigned f = (flags & 7) | ((flags & PF_ACK) >> 1);
    return (allowed >> f & 1) != 0;
}

/* The first segment of a connection, and nothing else. */
PF_INLINE bool pf_tcp_is_syn(unsigned flags)
{
    return (flags & (PF_FIN | PF_SYN | PF_RST | PF_ACK)) == PF_SYN;
}

/* pf_tcp.c */
void pf_tcp_syn(struct pf_flow *f, const struct pf_pkt *p, unsigned from);
enum pf_counter pf_tcp_track(struct pf *pf, struct pf_flow *f, const struct pf_pkt *p, unsigned from);
bool pf_tcp_opens_anew(const struct pf_flow *f, unsigned flags, unsigned from);
void pf_tcp_reset_owner(struct pf *pf, const struct pf_flow *f);
void pf_tcp_reset_claim(struct pf *pf, const struct pf_flow *f);
void pf_tcp_refuse_speaker(struct pf *pf, const struct pf_pkt *p);

/* pf_icmp.c */
bool pf_icmp_is_error(unsigned type);
enum pf_counter pf_icmp_error_in(struct pf *pf, struct pf_pkt *p);
enum pf_counter pf_icmp_error_out(struct pf *pf, struct pf_pkt *p, unsigned owner);
enum pf_counter pf_icmp_error_alias(struct pf_pkt *p, uint32_t from, uint32_t to, unsigned end);

/* pf_lease.c */
unsigned pf_lease_find(struct pf *pf, uint32_t addr);
enum pf_counter pf_lease_check(struct pf *pf, unsigned lease, const uint8_t *mac);
void pf_lease_expire(struct pf *pf, unsigned lease);
void pf_leases_sweep(struct pf *pf);
void pf_leases_end_all(struct pf *pf);

PF_INLINE bool pf_lease_over(const struct pf *pf, unsigned lease)
{
    const struct pf_peer *peer = &pf->peer[lease];
    return pf->now - peer->seen >= peer->ttl_ms;
}

/* pf_peer.c */
void pf_peers_configure(struct pf *pf);
unsigned pf_peer_of(struct pf *pf, uint32_t dst);
enum pf_counter pf_peer_send(struct pf *pf, unsigned i, uint8_t *frame, uint32_t len, enum pf_counter passed);
enum pf_counter pf_peer_keep(struct pf *pf, struct pf_peer *peer, const uint8_t *frame, uint32_t len);
void pf_peer_answer(struct pf *pf, unsigned i, const uint8_t *mac);
unsigned pf_peer_find(struct pf *pf, uint32_t addr);
void pf_peer_set(struct pf *pf, unsigned i, uint32_t addr);
void pf_peer_forget(struct pf *pf, unsigned peer);
void pf_peers_tick(struct pf *pf);

/* pf_arp.c */
enum pf_counter pf_arp(struct pf *pf, enum pf_port from, const uint8_t *frame, size_t len);
void pf_arp_ask(struct pf *pf, const struct pf_peer *peer, bool broadcast);

/* pf_relay.c */
enum pf_counter pf_relay_search(struct pf *pf, struct pf_pkt *p);
enum pf_counter pf_relay_notify(struct pf *pf, struct pf_pkt *p);

/* pf_dhcp.c */
/* A server's message to a client. */
PF_INLINE bool pf_dhcp_is_answer(const struct pf_pkt *p)
{
    return p->proto == PF_UDP && p->port[PF_SRC] == pf_wire16(67) && p->port[PF_DST] == pf_wire16(68);
}

/* A client's message to a server. */
PF_INLINE bool pf_dhcp_is_request(const struct pf_pkt *p)
{
    return p->proto == PF_UDP && p->port[PF_SRC] == pf_wire16(68) && p->port[PF_DST] == pf_wire16(67);
}

enum pf_counter pf_dhcp_queue(struct pf *pf, const struct pf_pkt *p);

/* pf_uplink.c, pf_segment.c, pf_host.c: the rules */
bool pf_is_service(const struct pf *pf, unsigned proto, uint32_t port);
bool pf_host_is_igmp(const struct pf *pf, const uint8_t *frame, size_t len);
enum pf_counter pf_from_uplink(struct pf *pf, struct pf_pkt *p);
enum pf_counter pf_from_segment(struct pf *pf, struct pf_pkt *p);
enum pf_counter pf_from_host_uplink(struct pf *pf, struct pf_pkt *p);
enum pf_counter pf_from_host_segment(struct pf *pf, struct pf_pkt *p);

/* pf.c: a frame, by the rules alone; without fragments. pf_fast.c: the same for frames that start two bytes after a word; what is unusual in
 * any way goes on to pf_rules(). */
void pf_fast_configure(struct pf *pf);
enum pf_counter pf_dispatch(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len);
enum pf_counter pf_rules(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len);
enum pf_counter pf_rules_unknown(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len, uint32_t remote);
enum pf_counter pf_fast_uplink(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len);
enum pf_counter pf_fast_out(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len);

/* pf_frag.c */
enum pf_counter pf_fragment(struct pf *pf, enum pf_port from, uint8_t *frame);
void pf_frags_sweep(struct pf *pf, uint32_t age);

/* pf_forward.c: a frame of a flow */
enum pf_counter pf_flow_sender(struct pf *pf, const struct pf_pkt *p, const struct pf_flow *f, unsigned side);
enum pf_counter pf_forward(struct pf *pf, struct pf_pkt *p, struct pf_flow *f, unsigned side);
enum pf_counter pf_send_on(struct pf *pf, struct pf_pkt *p, struct pf_flow *f, unsigned side);
enum pf_counter pf_hit_in(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, bool checked);
enum pf_counter pf_hit_out(struct pf *pf, struct pf_flow *f, uint8_t *frame, size_t len, bool checked);
enum pf_counter pf_to_speaker(struct pf *pf, uint8_t *frame, uint32_t len, enum pf_counter passed);

#endif
