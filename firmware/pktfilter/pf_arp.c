/* ARP (RFC 826) on each of the four ports. Proxy ARP towards the segment, so that all of the speaker's frames pass here. */
#include "pf_core.h"

enum { REQUEST = 1, REPLY = 2 };

struct arp {
    unsigned op;
    const uint8_t *sha;
    uint32_t spa;
    uint32_t tpa;
};

/* Ethernet and IPv4 only, and the sender in the message must be the sender of the frame. */
static bool parse(struct arp *a, const uint8_t *frame, size_t len)
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    if (len < PF_ARP_LEN || memcmp(frame + PF_ETH, head, sizeof(head)) != 0) {
        return false;
    }
    a->op = be16(frame + PF_ARP_OP);
    a->sha = frame + PF_ARP_SHA;
    a->spa = rd32(frame + PF_ARP_SPA);
    a->tpa = rdw(frame + PF_ARP_TPA);
    return (a->op == REQUEST || a->op == REPLY) && pf_mac_eq(a->sha, frame + 6) && !mac_is_group(a->sha);
}

/* Not inlined: it is long. A question has nobody's MAC inside. */
static __attribute__((noinline)) void send(struct pf *pf, enum pf_port port, unsigned op, const uint8_t *mac,
                                           uint32_t addr, const uint8_t *to_mac, uint32_t to_addr)
{
    static const uint8_t head[8] = {8, 6, 0, 1, 8, 0, 6, 4};
    uint8_t *frame = pf_scratch(pf);
    pf_mac_copy(frame, to_mac);
    pf_mac_copy(frame + 6, mac);
    memcpy(frame + PF_O_TYPE, head, sizeof(head));
    put_be16(frame + PF_ARP_OP, op);
    pf_mac_copy(frame + PF_ARP_SHA, mac);
    wr32(frame + PF_ARP_SPA, addr);
    pf_mac_copy(frame + PF_ARP_THA, to_mac);
    if (op == REQUEST) {
        memset(frame + PF_ARP_THA, 0, 6);
    }
    wrw(frame + PF_ARP_TPA, to_addr);
    pf->out(pf->ctx, port, frame, PF_ARP_LEN);
}

void pf_arp_ask(struct pf *pf, const struct pf_peer *peer, bool broadcast)
{
    static const uint16_t all[3] = {0xffff, 0xffff, 0xffff};
    send(pf, PF_UPLINK, REQUEST, pf->cfg.uplink_mac, pf->cfg.addr, broadcast ? (const uint8_t *)all : peer->mac,
         peer->addr);
}

static enum pf_counter answer(struct pf *pf, enum pf_port port, const struct arp *a, const uint8_t *mac)
{
    send(pf, port, REPLY, mac, a->tpa, a->sha, a->spa);
    return PF_C_arp_answered;
}

static bool host_asked(struct pf *pf, uint32_t addr)
{
    for (unsigned i = 0; i < PF_ASKED; i++) {
        if (pf->asked[i].addr == addr && addr != 0 && pf->now - pf->asked[i].time <= PF_ARP_ASKED_MS) {
            return true;
        }
    }
    return false;
}

static void note_asked(struct pf *pf, uint32_t addr)
{
    pf->asked[pf->asked_next].addr = addr;
    pf->asked[pf->asked_next].time = pf->now;
    pf->asked_next = (uint8_t)((pf->asked_next + 1) % PF_ASKED);
}

/* Does the sender's MAC contradict what is known of its address? */
static enum pf_counter contradicts(struct pf *pf, const struct arp *a)
{
    if (a->spa == pf->cfg.addr && a->spa != 0) {
        return PF_C_drop_arp_conflict; /* nobody else is X */
    }
    if (a->spa != 0 && !pf_source_is_sane(pf, a->spa)) { /* the host must not learn where the alias is, of all things */
        return PF_C_drop_source_address;
    }
    const unsigned i = pf_peer_find(pf, a->spa);
    if (i == PF_NO_PEER) {
        return PF_C_none;
    }
    const struct pf_peer *peer = &pf->peer[i];
    const bool known = peer->state == PF_PEER_KNOWN || peer->state == PF_PEER_PINNED;
    if (!known || pf_mac_eq(peer->mac, a->sha)) {
        return PF_C_none;
    }
    if (peer->state == PF_PEER_PINNED) {
        pf->events |= PF_EVENT_LEASE_MAC;
    }
    return PF_C_drop_arp_spoof;
}

static enum pf_counter from_uplink(struct pf *pf, const struct arp *a, const uint8_t *frame)
{
    enum pf_counter result = contradicts(pf, a);
    bool to_host = a->tpa == pf->cfg.addr && a->tpa != 0;
    if (result != PF_C_none) {
        /* Who has a leased address from now on must find the claim port. The host would believe the sender (RFC 826): it never sees this. */
        const bool asks = result == PF_C_drop_arp_spoof && a->op == REQUEST && to_host;
        return asks ? answer(pf, PF_UPLINK, a, pf->cfg.uplink_mac) : result;
    }
    if (a->op == REQUEST) {
        result = PF_C_drop_arp_other;
    } else {
        result = PF_C_drop_arp_unasked;
        if (mac_is_group(frame)) {
            return result;
        }
        for (unsigned i = PF_PEER_ROUTER; i < PF_PEERS; i++) { /* a lease may have the router's address */
            if (pf->peer[i].addr == a->spa && pf->peer[i].tries > 0 && a->tpa == pf->cfg.addr) {
                pf_peer_answer(pf, i, a->sha);
                result = PF_C_arp_learned;
            }
        }
        to_host = host_asked(pf, a->spa);
    }
    if (to_host) {
        pf->out(pf->ctx, PF_HOST_UPLINK, frame, PF_ARP_LEN);
        result = PF_C_pass_uplink_host;
    }
    return result;
}

static enum pf_counter from_host(struct pf *pf, const struct arp *a, const uint8_t *frame)
{
    if (a->spa != pf->cfg.addr && a->spa != 0) {
        return PF_C_drop_arp_bad;
    }
    if (a->op == REQUEST) {
        const struct pf_peer *peer = &pf->peer[pf_peer_find(pf, a->tpa)];
        if (peer->state == PF_PEER_PINNED && a->spa != 0) { /* from another MAC no answer would come in */
            return answer(pf, PF_HOST_UPLINK, a, peer->mac);
        }
        note_asked(pf, a->tpa);
    } else if (a->spa == 0) {
        return PF_C_drop_arp_bad;
    }
    pf->out(pf->ctx, PF_UPLINK, frame, PF_ARP_LEN);
    return PF_C_pass_host_uplink;
}

static enum pf_counter from_segment(struct pf *pf, const struct arp *a)
{
    if (a->spa != pf->cfg.speaker_addr && a->spa != 0) {
        return PF_C_drop_arp_bad;
    }
    /* Never for S: the speaker probes it (RFC 5227), and has to find it free. */
    if (a->op != REQUEST || a->tpa == pf->cfg.speaker_addr || pf_is_nobody(a->tpa)) {
        return PF_C_drop_arp_other;
    }
    return answer(pf, PF_SEGMENT, a, pf->cfg.segment_mac);
}

static enum pf_counter from_host_segment(struct pf *pf, const struct arp *a)
{
    if (a->op != REQUEST || a->tpa != pf->cfg.alias || !pf->speaker_known) {
        return PF_C_drop_arp_other;
    }
    return answer(pf, PF_HOST_SEGMENT, a, pf->speaker_mac);
}

enum pf_counter pf_arp(struct pf *pf, enum pf_port from, const uint8_t *frame, size_t len)
{
    struct arp a;
    if (from == PF_SEGMENT && !pf->speaker_known) {
        return PF_C_drop_no_speaker;
    }
    if (!parse(&a, frame, len)) {
        return PF_C_drop_arp_bad;
    }
    switch (from) {
    case PF_UPLINK:
        return from_uplink(pf, &a, frame);
    case PF_SEGMENT:
        return from_segment(pf, &a);
    case PF_HOST_UPLINK:
        return from_host(pf, &a, frame);
    case PF_HOST_SEGMENT:
    case PF_PORT_COUNT:
    default:
        return from_host_segment(pf, &a);
    }
}
