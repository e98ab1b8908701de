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
    a->tpa = rd32(frame + PF_ARP_TPA);
    return (a->op == REQUEST || a->op == REPLY) && memcmp(a->sha, frame + 6, 6) == 0 && !mac_is_group(a->sha);
}

static void build(uint8_t *frame, unsigned op, const uint8_t *mac, uint32_t addr, const uint8_t *to_mac,
                  uint32_t to_addr)
{
    static const uint8_t head[8] = {8, 6, 0, 1, 8, 0, 6, 4};
    memcpy(frame, to_mac, 6);
    memcpy(frame + 6, mac, 6);
    memcpy(frame + PF_O_TYPE, head, sizeof(head));
    put_be16(frame + PF_ARP_OP, op);
    memcpy(frame + PF_ARP_SHA, mac, 6);
    wr32(frame + PF_ARP_SPA, addr);
    memcpy(frame + PF_ARP_THA, to_mac, 6);
    wr32(frame + PF_ARP_TPA, to_addr);
}

void pf_arp_ask(struct pf *pf, const struct pf_peer *peer, bool broadcast)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t unknown[6] = {0};
    uint8_t *frame = (uint8_t *)pf->scratch;
    build(frame, REQUEST, pf->cfg.uplink_mac, pf->cfg.addr, broadcast ? all : peer->mac, peer->addr);
    memcpy(frame + PF_ARP_THA, unknown, 6);
    pf->out(pf->ctx, PF_UPLINK, frame, PF_ARP_LEN);
}

static enum pf_counter answer(struct pf *pf, enum pf_port port, const struct arp *a, const uint8_t *mac)
{
    uint8_t *frame = (uint8_t *)pf->scratch;
    build(frame, REPLY, mac, a->tpa, a->sha, a->spa);
    pf->out(pf->ctx, port, frame, PF_ARP_LEN);
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
    if (!known || memcmp(peer->mac, a->sha, 6) == 0) {
        return PF_C_none;
    }
    if (peer->state == PF_PEER_PINNED) {
        pf->events |= PF_EVENT_LEASE_MAC;
    }
    return PF_C_drop_arp_spoof;
}

enum pf_counter pf_arp_uplink(struct pf *pf, uint8_t *frame, size_t len)
{
    struct arp a;
    if (!parse(&a, frame, len)) {
        return PF_C_drop_arp_bad;
    }
    const enum pf_counter c = contradicts(pf, &a);
    if (c != PF_C_none) {
        return c;
    }
    if (a.op == REQUEST) {
        if (a.tpa != pf->cfg.addr || a.tpa == 0) {
            return PF_C_drop_arp_other;
        }
        pf->out(pf->ctx, PF_HOST_UPLINK, frame, PF_ARP_LEN);
        return PF_C_pass_uplink_host;
    }
    if (mac_is_group(frame)) {
        return PF_C_drop_arp_unasked;
    }
    enum pf_counter result = PF_C_drop_arp_unasked;
    const unsigned peer = pf_peer_find(pf, a.spa);
    if (peer != PF_NO_PEER && pf->peer[peer].tries > 0 && a.tpa == pf->cfg.addr) {
        pf_peer_answer(pf, peer, a.sha);
        result = PF_C_arp_learned;
    }
    if (host_asked(pf, a.spa)) {
        pf->out(pf->ctx, PF_HOST_UPLINK, frame, PF_ARP_LEN);
        result = PF_C_pass_uplink_host;
    }
    return result;
}

enum pf_counter pf_arp_host_uplink(struct pf *pf, uint8_t *frame, size_t len)
{
    struct arp a;
    if (!parse(&a, frame, len) || (a.spa != pf->cfg.addr && a.spa != 0)) {
        return PF_C_drop_arp_bad;
    }
    if (a.op == REQUEST) {
        note_asked(pf, a.tpa);
    } else if (a.spa == 0) {
        return PF_C_drop_arp_bad;
    }
    pf->out(pf->ctx, PF_UPLINK, frame, PF_ARP_LEN);
    return PF_C_pass_host_uplink;
}

enum pf_counter pf_arp_segment(struct pf *pf, uint8_t *frame, size_t len)
{
    struct arp a;
    if (!parse(&a, frame, len) || (a.spa != pf->cfg.speaker_addr && a.spa != 0)) {
        return PF_C_drop_arp_bad;
    }
    const uint32_t target = pf_host32(a.tpa);
    const bool nobody = target >> 24 == 0 || target >> 24 == 127 || target >= 0xe0000000;
    /* Never for S: the speaker probes it (RFC 5227), and has to find it free. */
    if (a.op != REQUEST || a.tpa == pf->cfg.speaker_addr || nobody) {
        return PF_C_drop_arp_other;
    }
    return answer(pf, PF_SEGMENT, &a, pf->cfg.segment_mac);
}

enum pf_counter pf_arp_host_segment(struct pf *pf, uint8_t *frame, size_t len)
{
    struct arp a;
    if (!parse(&a, frame, len)) {
        return PF_C_drop_arp_bad;
    }
    if (a.op != REQUEST || a.tpa != pf->cfg.alias || !pf->speaker_known) {
        return PF_C_drop_arp_other;
    }
    return answer(pf, PF_HOST_SEGMENT, &a, pf->speaker_mac);
}
