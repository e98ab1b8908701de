/*
 * Speakeasy's packet filter: Ethernet frames in, Ethernet frames out.
 *
 * It stands between a bridge's uplink and the one speaker on the bridge's segment, and between both and the bridge's own
 * IP stack (the host). What it lets through, and why, is in docs/SPEC.md, "The packet filter".
 *
 * The core allocates nothing, calls nothing of the platform, and keeps all its state in a struct pf that the caller
 * provides. It is not re-entrant: one thread at a time (the glue holds a lock).
 */
#ifndef PF_H
#define PF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Accessors of a few instructions: -Os would call them. */
#if defined(__GNUC__)
#define PF_INLINE static inline __attribute__((always_inline))
#else
#define PF_INLINE static inline
#endif

/* ---- Limits. Each may be set at build time; docs/SPEC.md gives the same table. Rates and bursts are 1..255. ------ */

/* Flows tracked at a time, a power of two, 32..1024. 32 bytes each, 14 more for its port mapping, 6 for the indexes, 4 for eviction. */
#ifndef PF_FLOWS
#define PF_FLOWS 512
#endif

/* Flows that only leased phones may use: whatever the speaker, the host or strangers do, a phone finds room. */
#ifndef PF_PHONE_SHARE
#define PF_PHONE_SHARE (PF_FLOWS / 4)
#endif

/* Flows that phones do not take from the speaker and the host while they have unprotected ones of their own to lose: a phone
 * that opens many connections does not end the music that it plays. */
#ifndef PF_OTHER_SHARE
#define PF_OTHER_SHARE (PF_FLOWS / 8)
#endif

/* Established flows of one phone that nothing may evict. Further ones give way to other phones' flows only. */
#ifndef PF_LEASE_PROTECTED
#define PF_LEASE_PROTECTED (3 * PF_FLOWS / 4 / PF_LEASES)
#endif

/* Flows from the uplink to the claim port at a time, 2..255. Half of them are half-open ones'; the
 * listener there has to wait for as many. */
#ifndef PF_CLAIM_FLOWS
#define PF_CLAIM_FLOWS 16
#endif

/* Longest chain in a hash bucket; a flow that would make one longer is refused. */
#ifndef PF_CHAIN_MAX
#define PF_CHAIN_MAX 16
#endif

/* Leases at a time, 1..64. */
#ifndef PF_LEASES
#define PF_LEASES 16
#endif

/* Longest time to live of a lease, in seconds. */
#ifndef PF_LEASE_MAX_S
#define PF_LEASE_MAX_S (7UL * 24 * 3600)
#endif

/* Services (protocol and port at X) that phones may be allowed. */
#ifndef PF_SERVICES
#define PF_SERVICES 8
#endif

/* DNS servers of the uplink that the speaker may ask even where they are in a local network. */
#ifndef PF_DNS
#define PF_DNS 3
#endif

/* Local hosts that the speaker may open flows to, e.g. a NAS. */
#ifndef PF_NAMED_HOSTS
#define PF_NAMED_HOSTS 8
#endif

/* The one TCP port at X that the host answers for the speaker when cfg.guard is set. */
#ifndef PF_GUARD_PORT
#define PF_GUARD_PORT 1400
#endif

/* Largest Ethernet frame, without checksum, in bytes. Larger ones are dropped. */
#ifndef PF_FRAME_MAX
#define PF_FRAME_MAX 1514
#endif

/* The fast path (pf_fast.c): what the rules would do with a plain frame of an open flow, in a third of the instructions. It
 * is written for little-endian machines. Off: the same verdicts, by the rules alone. */
#ifndef PF_FAST
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PF_FAST 1
#else
#define PF_FAST 0
#endif
#endif

/* Frames kept while the next hop's MAC is asked for. */
#ifndef PF_PENDING
#define PF_PENDING 4
#endif

/* Datagrams whose fragments are on their way: of leased phones; of others that a flow is with, the speaker and the host
 * among them; of strangers (echo requests to the host). */
#ifndef PF_FRAGS_PHONES
#define PF_FRAGS_PHONES 3
#endif
#ifndef PF_FRAGS_KNOWN
#define PF_FRAGS_KNOWN 3
#endif
#ifndef PF_FRAGS_STRANGERS
#define PF_FRAGS_STRANGERS 2
#endif

/* Fragments that wait for their first one: of leased phones; of the others that may. */
#ifndef PF_HELD_PHONES
#define PF_HELD_PHONES 2
#endif
#ifndef PF_HELD_KNOWN
#define PF_HELD_KNOWN 2
#endif

/* Longest fragmented datagram, in bytes after the IP header; a multiple of 256. */
#ifndef PF_FRAG_MAX
#define PF_FRAG_MAX 8192
#endif

/* Least number of bytes after the IP header in a first fragment: what the narrowest link takes (RFC 791: 68 bytes). */
#ifndef PF_FRAG_FIRST
#define PF_FRAG_FIRST 48
#endif

/* DHCP messages from the segment that wait for the host, and the largest of them, in bytes. */
#ifndef PF_DHCP_QUEUE
#define PF_DHCP_QUEUE 2
#endif
#ifndef PF_DHCP_MAX
#define PF_DHCP_MAX 1024
#endif

/* Addresses that the host asked for by ARP and whose answers it may get. */
#ifndef PF_ASKED
#define PF_ASKED 8
#endif

/* Flows looked at for expiry by each pf_tick(). */
#ifndef PF_SWEEP
#define PF_SWEEP 64
#endif

/* ---- Times ------------------------------------------------------------------------------------------------------ */

/* Idle times after which a flow ends, in seconds. RFC 5382 REQ-5,
 * RFC 4787 REQ-5, RFC 5508 REQ-2. PF_TIME_CLAIM is for connections from the uplink to the claim port (ours to choose:
 * a claim takes 5 s at most). */
#ifndef PF_TIME_TCP
#define PF_TIME_TCP 7440
#endif
#ifndef PF_TIME_TCP_TRANSITORY
#define PF_TIME_TCP_TRANSITORY 240
#endif
#ifndef PF_TIME_UDP
#define PF_TIME_UDP 300
#endif
#ifndef PF_TIME_ICMP
#define PF_TIME_ICMP 60
#endif
#ifndef PF_TIME_CLAIM
#define PF_TIME_CLAIM 60
#endif

/* A neighbour's MAC is asked for again after this time, in ms; an unanswered question is repeated at this interval, so many times. */
#ifndef PF_ARP_FRESH_MS
#define PF_ARP_FRESH_MS 30000
#endif
#ifndef PF_ARP_RETRY_MS
#define PF_ARP_RETRY_MS 1000
#endif
#ifndef PF_ARP_TRIES
#define PF_ARP_TRIES 3
#endif

/* Time that a datagram's fragments have from the first that comes, in ms. Receivers wait 15 s (RFC 791, 3.2; lwIP) to 30 s
 * (Linux); an identification comes again no sooner than that. */
#ifndef PF_FRAG_TIME_MS
#define PF_FRAG_TIME_MS 15000
#endif

/* Time in which answers to the host's own ARP and DHCP questions are let in, in ms. */
#ifndef PF_ARP_ASKED_MS
#define PF_ARP_ASKED_MS 3000
#endif
#ifndef PF_DHCP_ASKED_MS
#define PF_DHCP_ASKED_MS 30000
#endif

/* ---- Rates: per second, and the burst; at most 255 -------------------------------------------------------------- */

/* New flows of the speaker to the internet, the router, DNS servers; and the speaker's new connections to the host. */
#ifndef PF_RATE_EGRESS
#define PF_RATE_EGRESS 20
#define PF_BURST_EGRESS 60
#endif
/* New flows of the speaker to leased phones. */
#ifndef PF_RATE_CALLBACK
#define PF_RATE_CALLBACK 50
#define PF_BURST_CALLBACK 100
#endif
/* New connections to the claim port: for each lease, from its MAC; of all others, for each of PF_CLAIM_GROUPS groups of MACs on
 * the link, and as many of addresses elsewhere. A power of two. */
#ifndef PF_RATE_CLAIM
#define PF_RATE_CLAIM 2
#define PF_BURST_CLAIM 8
#endif
#ifndef PF_CLAIM_GROUPS
#define PF_CLAIM_GROUPS 32
#endif
/* Others are in the groups that they share with somebody by chance for so long, in ms, as a power of two: 4.1 s. */
#ifndef PF_CLAIM_TURN
#define PF_CLAIM_TURN 12
#endif
/* New connections of all groups on the link, and of all elsewhere: what the host is asked to do at most. */
#ifndef PF_RATE_CLAIMS
#define PF_RATE_CLAIMS 16
#define PF_BURST_CLAIMS 32
#endif
/* ICMP echo requests to the host. */
#ifndef PF_RATE_ECHO
#define PF_RATE_ECHO 5
#define PF_BURST_ECHO 10
#endif
/* ICMP errors, each direction. */
#ifndef PF_RATE_ICMP_ERROR
#define PF_RATE_ICMP_ERROR 20
#define PF_BURST_ICMP_ERROR 40
#endif
/* SSDP searches and mDNS queries relayed to the speaker, for each lease. */
#ifndef PF_RATE_SEARCH
#define PF_RATE_SEARCH 4
#define PF_BURST_SEARCH 16
#endif
/* The speaker's SSDP notifications, and its mDNS answers, copied to the phones: frames, not copies. */
#ifndef PF_RATE_NOTIFY
#define PF_RATE_NOTIFY 20
#define PF_BURST_NOTIFY 60
#endif
/* RSTs sent to the speaker for connections that the filter does not know (any more). */
#ifndef PF_RATE_RESET
#define PF_RATE_RESET 20
#define PF_BURST_RESET 40
#endif
/* Datagrams in fragments from addresses without a lease: how often all flows are looked through for one of that address. */
#ifndef PF_RATE_FRAGMENT
#define PF_RATE_FRAGMENT 20
#define PF_BURST_FRAGMENT 40
#endif

/* ---- Counters --------------------------------------------------------------------------------------------------- */

/* X(symbol): counter PF_C_<symbol>, named "<symbol>" in the binding and the tests. Every frame raises exactly one of them. */
#define PF_COUNTERS(X)                                                                                                 \
    X(none) /* never raised */                                                                                         \
    /* passed */                                                                                                       \
    X(pass_uplink_speaker)                                                                                             \
    X(pass_uplink_host)                                                                                                \
    X(pass_speaker_uplink)                                                                                             \
    X(pass_speaker_host)                                                                                               \
    X(pass_host_uplink)                                                                                                \
    X(pass_host_speaker)                                                                                               \
    X(relay_search)                                                                                                    \
    X(relay_notify)                                                                                                    \
    X(arp_answered)                                                                                                    \
    X(arp_learned)                                                                                                     \
    X(dhcp_queued)                                                                                                     \
    /* dropped: the frame itself */                                                                                    \
    X(drop_short)                                                                                                      \
    X(drop_long)                                                                                                       \
    X(drop_source_mac)                                                                                                 \
    X(drop_not_for_us)                                                                                                 \
    X(drop_ipv6)                                                                                                       \
    X(drop_vlan)                                                                                                       \
    X(drop_ethertype)                                                                                                  \
    X(drop_ip_header)                                                                                                  \
    X(drop_ip_options)                                                                                                 \
    X(drop_ip_length)                                                                                                  \
    X(drop_ip_checksum)                                                                                                \
    X(drop_fragment)                                                                                                   \
    X(drop_fragment_overlap)                                                                                           \
    X(drop_ttl)                                                                                                        \
    X(drop_protocol)                                                                                                   \
    X(drop_l4_length)                                                                                                  \
    X(drop_tcp_flags)                                                                                                  \
    X(drop_icmp_checksum)                                                                                              \
    X(drop_icmp_type)                                                                                                  \
    X(drop_icmp_inner)                                                                                                 \
    /* dropped: who it says it is from */                                                                              \
    X(drop_source_address)                                                                                             \
    X(drop_lease_mac)                                                                                                  \
    X(drop_flow_mac)                                                                                                   \
    X(drop_arp_bad)                                                                                                    \
    X(drop_arp_spoof)                                                                                                  \
    X(drop_arp_conflict)                                                                                               \
    X(drop_arp_unasked)                                                                                                \
    X(drop_arp_other)                                                                                                  \
    X(drop_dhcp_unasked)                                                                                               \
    X(drop_dhcp_bad)                                                                                                   \
    X(drop_dhcp_full)                                                                                                  \
    /* dropped: no rule allows it */                                                                                   \
    X(drop_no_uplink)                                                                                                  \
    X(drop_no_speaker)                                                                                                 \
    X(drop_no_rule)                                                                                                    \
    X(drop_no_lease)                                                                                                   \
    X(drop_search_stranger)                                                                                            \
    X(drop_no_listener)                                                                                                \
    X(drop_no_flow)                                                                                                    \
    X(drop_fragment_unknown)                                                                                           \
    X(drop_multicast)                                                                                                  \
    X(drop_search_bad)                                                                                                 \
    X(drop_egress_port)                                                                                                \
    X(drop_egress_local)                                                                                               \
    X(drop_egress_address)                                                                                             \
    X(drop_tcp_window)                                                                                                 \
    X(drop_tcp_state)                                                                                                  \
    /* dropped: limits */                                                                                              \
    X(drop_rate_egress)                                                                                                \
    X(drop_rate_callback)                                                                                              \
    X(drop_rate_claim)                                                                                                 \
    X(drop_rate_echo)                                                                                                  \
    X(drop_rate_icmp_error)                                                                                            \
    X(drop_rate_search)                                                                                                \
    X(drop_rate_notify)                                                                                                \
    X(drop_flows_full)                                                                                                 \
    X(drop_chain_full)                                                                                                 \
    X(drop_ports_full)                                                                                                 \
    X(drop_pending_full)                                                                                               \
    X(drop_fragments_full)                                                                                             \
    X(drop_fragment_late)                                                                                              \
    X(drop_no_neighbour)                                                                                               \
    /* not frames received: what the filter did of its own */                                                          \
    X(frames_pending)                                                                                                  \
    X(fragments_held)                                                                                                  \
    X(reset_sent)                                                                                                      \
    X(flows_made)                                                                                                      \
    X(flows_expired)                                                                                                   \
    X(flows_evicted)                                                                                                   \
    X(flows_ended)                                                                                                     \
    X(leases_expired)                                                                                                  \
    X(glue_lost) /* raised by the glue: a frame that the machine did not take */

#define PF_COUNTER_ENUM(name) PF_C_##name,
enum pf_counter { PF_COUNTERS(PF_COUNTER_ENUM) PF_COUNTER_COUNT };
#undef PF_COUNTER_ENUM

/* ---- Types ------------------------------------------------------------------------------------------------------ */

/* IPv4 addresses and ports in these structs are *wire values*: the bytes as they are in a frame, in an integer. They
 * are compared, masked and hashed, never computed with. pf_wire32() and pf_bytes32() are at the end of this file. */

enum pf_port { PF_UPLINK, PF_SEGMENT, PF_HOST_UPLINK, PF_HOST_SEGMENT, PF_PORT_COUNT };

enum pf_proto { PF_TCP, PF_UDP, PF_ICMP, PF_PROTO_COUNT };
enum pf_owner { PF_OWNER_HOST, PF_OWNER_SPEAKER };

/* Bits of pf_take_events(). */
enum pf_event {
    PF_EVENT_DHCP = 1,        /* a DHCP message waits: pf_dhcp_take() */
    PF_EVENT_LEASE_ENDED = 2, /* a lease ended by its time */
    PF_EVENT_LEASE_MAC = 4,   /* a frame or ARP message with a leased address came from another MAC */
    PF_EVENT_SEGMENT_MAC = 8, /* a frame on the segment came from a MAC that is not the speaker's */
};

/* Takes one frame for one port. The bytes are the filter's: copy what is kept. Must not call the filter. */
typedef void (*pf_out_fn)(void *ctx, enum pf_port port, const uint8_t *frame, size_t len);

struct pf_config {
    uint32_t addr; /* X; 0: no uplink */
    uint32_t mask;
    uint32_t speaker_addr; /* S: X with passthrough, the alias with private addressing or without an uplink */
    uint32_t host_addr;    /* the host on the segment */
    uint32_t alias;        /* the speaker's name for the host */
    uint32_t claim_port;   /* wire value; 0: none */
    uint32_t router;
    uint32_t dns[PF_DNS];           /* 0: none */
    uint32_t hosts[PF_NAMED_HOSTS]; /* local hosts that the speaker may open flows to; 0: none */
    uint8_t uplink_mac[6];
    uint8_t segment_mac[6];
    bool guard; /* private addressing: the host answers leased phones' TCP 1400 and SSDP in the speaker's place */
};

struct pf_service {
    uint16_t port; /* wire value */
    uint8_t proto; /* PF_TCP or PF_UDP */
};

/* One connection. */
struct pf_flow {
    uint32_t raddr; /* remote address */
    uint16_t port
        [2]; /* on this side, as the remote [0] and the owner [1] have it: at X, and the owner's own (ICMP: identifier) */
    uint16_t rport; /* remote port; 0 for ICMP */
    uint16_t delta; /* TCP, UDP: what the checksum falls by on the way out (and rises by on the way in); 0: no change */
    uint32_t seen;  /* ms: time of the last frame that counts */
    union {
        uint32_t end[2]; /* TCP: the sequence number after the last one seen, from the remote [0] and the owner [1] */
        uint8_t mac[6];  /* connections to the claim port: where they come from */
    } u;
    uint16_t next[2]; /* hash chains, by what the remote and the owner see: index + 1, 0 at the end */
    uint8_t kind;     /* PF_KIND_* */
    uint8_t state;    /* PF_T_* */
    uint8_t scale;    /* TCP: window scale of the remote (low nibble) and the owner; 15: none. Claims: see claim_next */
    uint8_t peer;     /* whom it is with: index into struct pf.peer */
};

/* One of the owners' ports and the port it has at X: kept while a flow uses it (endpoint-independent mapping). */
struct pf_map {
    uint16_t port[2]; /* as in struct pf_flow */
    uint16_t next
        [2]; /* hash chains: pf_map_at(), 0 at the end (the owner's: only if the ports differ); the list of free ones */
    uint16_t flows;
    uint8_t kind; /* PF_KIND_PROTO and PF_KIND_SPEAKER */
};

/* A flow's place among those of its class. */
struct pf_ring {
    uint16_t next; /* index; PF_FLOWS + class: where the class begins and ends */
    uint16_t prev;
};

struct pf_bucket {
    uint32_t last;  /* ms */
    uint32_t taken; /* thousandths */
};

/* Where frames for an address go. Every possible next hop has its place: router, DNS servers, named hosts, leases; so it
 * cannot be full. */
struct pf_peer {
    uint32_t state; /* PF_PEER_* */
    uint32_t tries; /* questions sent since the last answer */
    uint16_t before;
    uint8_t mac[6]; /* as in struct pf_link: two bytes, then four that are aligned */
    uint32_t addr;
    uint32_t time; /* ms: of the last question (tries > 0) or answer */
    /* Of a lease; the others have no end. */
    uint32_t ttl_ms;
    uint32_t seen; /* ms */
};

/* A frame's Ethernet header, where it is in memory when the IP header after it is aligned to four bytes. */
struct pf_link {
    uint16_t before;
    uint8_t to[6];
    uint8_t from[6];
    uint8_t type[2];
};

struct pf_pending {
    uint32_t len;  /* 0: free */
    uint16_t peer; /* 16 bits: the frame's IP header is aligned */
    uint8_t frame[PF_FRAME_MAX];
};

/* Which datagram a fragment belongs to: fragments of one from two MACs are two datagrams. */
struct pf_frag_key {
    uint32_t src; /* as it came */
    uint32_t dst;
    uint16_t id;
    uint8_t mac[6]; /* of the sender */
    uint8_t proto;  /* IP protocol number */
    uint8_t from;   /* enum pf_port */
    uint16_t zero;
};

struct pf_frag {
    struct pf_frag_key key;
    uint32_t to_src; /* as it leaves */
    uint32_t to_dst;
    uint32_t time; /* ms: of the fragment that came first */
    uint32_t to_id;
    uint32_t total; /* of the datagram, in bytes after the IP header; 0: not known yet */
    uint32_t top;   /* the largest end of a fragment */
    uint32_t units; /* of 8 bytes, that have come; bit 15: not all of them passed */
    uint32_t state;
    uint32_t rank;
    uint32_t verdict; /* enum pf_counter: the first fragment's */
    uint32_t peer;    /* by which it leaves, or PF_NO_PEER */
    uint32_t come[PF_FRAG_MAX / 256];
};

struct pf_held {
    uint32_t len;    /* 0: free */
    uint32_t frag;   /* its datagram: where that is in struct pf */
    uint16_t before; /* the frame's IP header is aligned */
    uint8_t frame[PF_FRAME_MAX];
};

struct pf_dhcp {
    uint32_t len;
    uint8_t data[PF_DHCP_MAX];
};

enum {
    PF_NO_PEER = 0, /* holds nobody */
    PF_PEER_ROUTER = 1,
    PF_PEER_DNS = 2,
    PF_PEER_HOST = PF_PEER_DNS + PF_DNS,
    PF_PEER_LEASE = PF_PEER_HOST + PF_NAMED_HOSTS,
    PF_PEERS = PF_PEER_LEASE + PF_LEASES
};
enum { PF_FRAGS = PF_FRAGS_STRANGERS + PF_FRAGS_KNOWN + PF_FRAGS_PHONES, PF_HELD = PF_HELD_KNOWN + PF_HELD_PHONES };
/* What has a rate of its own: index of struct pf.bucket. Of the last four there are several, one after the other. */
enum {
    PF_LIMIT_EGRESS,
    PF_LIMIT_CALLBACK,
    PF_LIMIT_ECHO,
    PF_LIMIT_ERROR_IN,
    PF_LIMIT_ERROR_OUT,
    PF_LIMIT_NOTIFY,
    PF_LIMIT_RESET,
    PF_LIMIT_FRAGMENT,
    PF_LIMIT_CLAIMS, /* elsewhere, on the link */
};
enum {
    PF_LIMIT_CLAIM_LEASE = PF_LIMIT_CLAIMS + 2,         /* each lease's */
    PF_LIMIT_SEARCH = PF_LIMIT_CLAIM_LEASE + PF_LEASES, /* each lease's */
    PF_LIMIT_CLAIM = PF_LIMIT_SEARCH + PF_LEASES,       /* each group's: elsewhere and on the link by turns */
    PF_LIMITS = PF_LIMIT_CLAIM + 2 * PF_CLAIM_GROUPS
};
enum { PF_PEER_BUCKETS = 32, PF_BUCKETS = PF_FLOWS, PF_MAP_BUCKETS = PF_FLOWS / 2, PF_MAPS = PF_FLOWS + 1 };

/* Limits that would not hold do not build. */
#define PF_IN_BYTE(rate, burst) ((rate) >= 1 && (rate) <= 255 && (burst) >= 1 && (burst) <= 255)
typedef char pf_flows_fit[PF_FLOWS >= 32 && PF_FLOWS <= 1024 && (PF_FLOWS & (PF_FLOWS - 1)) == 0 ? 1 : -1];
typedef char pf_leases_fit[PF_LEASES >= 1 && PF_LEASES <= 64 ? 1 : -1];
typedef char pf_shares_fit[PF_LEASES * PF_LEASE_PROTECTED + PF_CLAIM_FLOWS + PF_OTHER_SHARE < PF_FLOWS ? 1 : -1];
typedef char pf_times_fit[PF_TIME_TCP <= 65535 && PF_TIME_TCP_TRANSITORY <= 65535 && PF_TIME_UDP <= 65535 &&
                                  PF_TIME_ICMP <= 65535 && PF_TIME_CLAIM <= 65535
                              ? 1
                              : -1];
typedef char pf_claims_fit[PF_CLAIM_FLOWS >= 2 && PF_CLAIM_FLOWS <= 255 ? 1 : -1];
typedef char pf_groups_fit[PF_CLAIM_GROUPS >= 1 && (PF_CLAIM_GROUPS & (PF_CLAIM_GROUPS - 1)) == 0 ? 1 : -1];
typedef char pf_turns_fit[PF_CLAIM_TURN >= 1 && PF_CLAIM_TURN <= 16 ? 1 : -1];
typedef char
    pf_rates_fit[PF_IN_BYTE(PF_RATE_EGRESS, PF_BURST_EGRESS) && PF_IN_BYTE(PF_RATE_CALLBACK, PF_BURST_CALLBACK) &&
                         PF_IN_BYTE(PF_RATE_CLAIM, PF_BURST_CLAIM) && PF_IN_BYTE(PF_RATE_CLAIMS, PF_BURST_CLAIMS) &&
                         PF_IN_BYTE(PF_RATE_ECHO, PF_BURST_ECHO) &&
                         PF_IN_BYTE(PF_RATE_ICMP_ERROR, PF_BURST_ICMP_ERROR) &&
                         PF_IN_BYTE(PF_RATE_SEARCH, PF_BURST_SEARCH) && PF_IN_BYTE(PF_RATE_NOTIFY, PF_BURST_NOTIFY) &&
                         PF_IN_BYTE(PF_RATE_RESET, PF_BURST_RESET) && PF_IN_BYTE(PF_RATE_FRAGMENT, PF_BURST_FRAGMENT)
                     ? 1
                     : -1];

/* Flows by what they may be evicted for. */
enum pf_class {
    PF_CLASS_FREE,
    PF_CLASS_LOOSE,           /* half open, closing, UDP, ICMP */
    PF_CLASS_SETTLED,         /* established TCP */
    PF_CLASS_PHONE_LOOSE,     /* the same, with a leased phone */
    PF_CLASS_PHONE_PROTECTED, /* established with a leased phone: never evicted */
    PF_CLASS_CLAIM_LOOSE,     /* to the claim port: they give way to each other only */
    PF_CLASS_CLAIM_SETTLED,
    PF_CLASS_COUNT
};

/* All state. Opaque to callers; its size is the filter's whole need of memory. What each frame reads comes first: rv32
 * reaches 2 KiB with one instruction. Words in the first 128 bytes take a short one: there is what the code names most often. */
struct pf {
    pf_out_fn out;
    void *ctx;
    uint32_t now; /* ms, of the call being served */
    uint32_t events;
    uint32_t hash_key[5];   /* multilinear hash: see pf_core.h */
    uint32_t speaker_known; /* 0 or 1 */
    uint32_t in_first;      /* the rules look at a first fragment */
    uint32_t no_flow;       /* they look at a frame of which it is known that it is of no flow */
    uint32_t sent_to;       /* the peer that it was sent to */
    struct pf_link uplink;  /* to and from the bridge's MAC */
    struct pf_config cfg;
    struct pf_link from_speaker, to_speaker;
    uint16_t delta[2];   /* what the IP header's checksum falls by to and from the speaker: address and TTL */
    uint16_t delta_addr; /* the part of the addresses in the flows' delta */
    uint8_t speaker_mac[6];
    uint32_t remote; /* of the frame that was looked for last: the remote's part of its flow's hash */
    size_t service_count;
    struct pf_service service[PF_SERVICES];
    uint32_t counters[PF_COUNTER_COUNT];
    uint16_t peer_head[PF_PEER_BUCKETS]; /* hash chains of peers by address: index into peer */
    uint16_t peer_next[PF_PEERS - 1];    /* peer i's at i - 1 */
    uint16_t protected_flows[PF_PEERS];
    uint16_t class_count[PF_CLASS_COUNT];
    uint16_t sweep; /* where the search for expired flows goes on */
    uint16_t map_free;
    uint8_t asked_next;
    bool dhcp_asked;
    uint8_t dhcp_first, dhcp_count;
    uint32_t dhcp_asked_time;
    uint32_t random_key[4];
    uint32_t random_count;
    uint32_t random[4], random_left;
    uint32_t frag_id;     /* of the next fragmented datagram that leaves */
    uint32_t scratch[16]; /* ARP messages and RSTs of the filter's own: pf_scratch() */
    struct pf_peer peer[PF_PEERS];

    uint16_t flow_head[2][PF_BUCKETS];
    struct pf_flow flow[PF_FLOWS];
    struct pf_ring ring[PF_FLOWS + PF_CLASS_COUNT];
    uint16_t flow_map[PF_FLOWS];         /* each flow's mapping: pf_map_at() */
    uint32_t claim_next[PF_CLAIM_FLOWS]; /* by a claim's `scale`: the number after the remote's SYN */
    uint8_t claim_place[PF_CLAIM_FLOWS]; /* free places there, behind as many others as there are claims */

    struct pf_map map[PF_MAPS]; /* a new flow has its own before another gives way */
    uint16_t map_head[2][PF_MAP_BUCKETS];

    struct pf_bucket bucket[PF_LIMITS];
    struct {
        uint32_t addr;
        uint32_t time;
    } asked[PF_ASKED];
    struct pf_dhcp dhcp[PF_DHCP_QUEUE];
    struct pf_pending pending[PF_PENDING];
    struct pf_frag frag[PF_FRAGS];
    struct pf_held held[PF_HELD];
    uint32_t
        moved[(PF_FRAME_MAX + 2 + 3) / 4]; /* DHCP for the segment; frames that did not come in where they should */
};

struct pf_flow_info {
    uint8_t proto; /* IP protocol number */
    uint8_t owner;
    uint8_t state;        /* 0 opening, 1 established (UDP and ICMP: always), 2 closing */
    uint32_t remote_addr; /* wire values */
    uint16_t remote_port, local_port, external_port;
    uint32_t idle_s;
};

struct pf_lease_info {
    uint32_t addr; /* wire value */
    uint8_t mac[6];
    bool has_mac;
    uint32_t left_s, idle_s;
};

/* ---- Frames ----------------------------------------------------------------------------------------------------- */

enum { PF_STUCK_LEAST = 8 };

/* Whether these bytes, PF_STUCK_LEAST or more that were meant to be random, are all the same: their source does not work. */
bool pf_is_stuck(const uint8_t *bytes, size_t len);

/* Starts afresh: no uplink, no speaker, no lease; service TCP 1400. `key` is 16 random bytes, new at each boot; false, and nothing was
 * done, when it is stuck: with a key of zeros all flows would have one hash. */
bool pf_init(struct pf *pf, const uint8_t key[16], pf_out_fn out, void *ctx, uint32_t now_ms);

/* Where drivers put frames to have the IP header aligned: two bytes after a multiple of four. */
PF_INLINE bool pf_in_place(const void *frame)
{
    return ((uintptr_t)frame & 3) == 2;
}

/* One frame, without its checksum, that came in at a port. It is changed in place, and what it held must not be used after the call;
 * from where pf_in_place() is false it is copied first. `now_ms` never goes back, and wraps. Returns the one counter that it raised:
 * the verdict. */
enum pf_counter pf_input(struct pf *pf, enum pf_port from, uint8_t *frame, size_t len, uint32_t now_ms);

/* Timers. To be called at least once a second, better ten times. */
void pf_tick(struct pf *pf, uint32_t now_ms);

/* ---- Control ---------------------------------------------------------------------------------------------------- */

/* A changed address, mask or router ends all flows and leases. A changed mode (speaker_addr, guard, host_addr or alias) ends
 * the flows of the speaker and of the leases; those stay. A changed DNS server or named host ends the flows with it. */
void pf_configure(struct pf *pf, const struct pf_config *cfg, uint32_t now_ms);

/* The speaker's MAC, NULL for none. A change ends the speaker's flows. */
void pf_speaker(struct pf *pf, const uint8_t *mac, uint32_t now_ms);

/* Replaces the allowed services, and ends phones' flows to others. False: too many, or not TCP or UDP; then nothing changed. */
bool pf_services(struct pf *pf, const struct pf_service *service, size_t count, uint32_t now_ms);

/* A lease for an address; `mac` NULL: by address only. Renews the lease of the same address; another MAC first ends its
 * flows. Returns the lease's number, or -1 when all are taken, or -2 for an address that cannot be a phone's. */
int pf_lease_add(struct pf *pf, uint32_t addr, const uint8_t *mac, uint32_t ttl_s, uint32_t now_ms);
bool pf_lease_renew(struct pf *pf, uint32_t addr, uint32_t ttl_s, uint32_t now_ms);

/* Ends a lease and its flows at once; the flows' owner gets a RST for each TCP connection. Returns their number. */
int pf_lease_end(struct pf *pf, uint32_t addr, uint32_t now_ms);
bool pf_lease_get(struct pf *pf, size_t i, struct pf_lease_info *info,
                  uint32_t now_ms); /* i < PF_LEASES; false: unused */

bool pf_flow_get(struct pf *pf, size_t i, struct pf_flow_info *info, uint32_t now_ms); /* i < PF_FLOWS; false: unused */

/* The MAC that a flow from the uplink to the host came from. False: no such flow, or the phone is behind a router. */
bool pf_flow_mac(struct pf *pf, enum pf_proto proto, uint32_t raddr, uint16_t rport, uint16_t lport, uint8_t mac[6],
                 uint32_t now_ms);

/* The oldest DHCP message that waits (BOOTP payload); 0: none. At most `max` bytes are written; a longer one is dropped. */
size_t pf_dhcp_take(struct pf *pf, uint8_t *buf, size_t max);

/* Sends a BOOTP payload from the host's segment address, port 67, to port 68. `mac` NULL: broadcast. False: too long. */
bool pf_dhcp_send(struct pf *pf, const uint8_t *payload, size_t len, const uint8_t *mac, uint32_t addr);

/* Events since the last call. */
uint32_t pf_take_events(struct pf *pf);

/* ---- Wire values ------------------------------------------------------------------------------------------------ */

PF_INLINE uint32_t pf_wire32(const uint8_t b[4])
{
    uint32_t v;
    memcpy(&v, b, 4);
    return v;
}

PF_INLINE void pf_bytes32(uint8_t b[4], uint32_t v)
{
    memcpy(b, &v, 4);
}

PF_INLINE uint16_t pf_wire16(uint16_t host)
{
    const uint8_t b[2] = {(uint8_t)(host >> 8), (uint8_t)host};
    uint16_t v;
    memcpy(&v, b, 2);
    return v;
}

/* The other way is the same exchange. */
PF_INLINE uint16_t pf_host16(uint16_t wire)
{
    return pf_wire16(wire);
}

PF_INLINE uint32_t pf_host32(uint32_t wire)
{
    uint8_t b[4];
    memcpy(b, &wire, 4);
    return ((b[0] * 256U + b[1]) * 256U + b[2]) * 256U + b[3];
}

#endif
