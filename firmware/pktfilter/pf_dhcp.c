/* DHCP. The host's client speaks with the uplink's server; the speaker's messages wait here for MicroPython's server. */
#include "pf_core.h"

enum { UDP_HEADER = 8, BOOTP_MIN = 240, OP = 0, HTYPE = 1, HLEN = 2, CHADDR = 28, BOOTREQUEST = 1 };

static bool checksum_ok(const struct pf_pkt *p)
{
    return rd16(p->l4 + PF_UDP_SUM) == 0 || sum_fold(pf_sum_payload(p->frame)) == 0xffff;
}

/* From the segment. */
enum pf_counter pf_dhcp_queue(struct pf *pf, const struct pf_pkt *p)
{
    static const uint8_t cookie[4] = {99, 130, 83, 99};
    const uint8_t *bootp = p->l4 + UDP_HEADER;
    const uint32_t len = p->l4_len - UDP_HEADER;
    if (len < BOOTP_MIN || len > PF_DHCP_MAX || !checksum_ok(p) || bootp[OP] != BOOTREQUEST || bootp[HTYPE] != 1 ||
        bootp[HLEN] != 6 || memcmp(bootp + BOOTP_MIN - 4, cookie, 4) != 0 || !pf_mac_eq(bootp + CHADDR, p->frame + 6)) {
        return PF_C_drop_dhcp_bad;
    }
    if (pf->dhcp_count == PF_DHCP_QUEUE) {
        return PF_C_drop_dhcp_full;
    }
    struct pf_dhcp *place = &pf->dhcp[(pf->dhcp_first + pf->dhcp_count) % PF_DHCP_QUEUE];
    pf->dhcp_count++;
    place->len = len;
    memcpy(place->data, bootp, len);
    pf->events |= PF_EVENT_DHCP;
    return PF_C_dhcp_queued;
}

size_t pf_dhcp_take(struct pf *pf, uint8_t *buf, size_t max)
{
    while (pf->dhcp_count > 0) {
        const struct pf_dhcp *first = &pf->dhcp[pf->dhcp_first];
        pf->dhcp_first = (uint8_t)((pf->dhcp_first + 1) % PF_DHCP_QUEUE);
        pf->dhcp_count--;
        if (first->len <= max) {
            memcpy(buf, first->data, first->len);
            return first->len;
        }
        pf_count(pf, PF_C_drop_dhcp_full);
    }
    return 0;
}

bool pf_dhcp_send(struct pf *pf, const uint8_t *payload, size_t len, const uint8_t *mac, uint32_t addr)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t *frame = (uint8_t *)pf->moved + 2;
    uint8_t *udp = frame + PF_L4;
    if (len > PF_FRAME_MAX - PF_L4 - UDP_HEADER) {
        return false;
    }
    const uint32_t l4_len = UDP_HEADER + (uint32_t)len;
    memcpy(frame, mac != NULL ? mac : all, 6);
    pf_mac_copy(frame + 6, pf->cfg.segment_mac);
    pf_build_ip(frame, PF_IPPROTO_UDP, pf->cfg.host_addr, addr, l4_len);
    wr16(udp, pf_wire16(67));
    wr16(udp + 2, pf_wire16(68));
    put_be16(udp + PF_UDP_LEN, l4_len);
    memcpy(udp + UDP_HEADER, payload, len);
    pf_sum_l4(frame);
    pf->out(pf->ctx, PF_SEGMENT, frame, PF_L4 + l4_len);
    return true;
}
