/*
 * A history: frames, time, leases, configuration. Built twice: with the limits of the product, and (fuzz_pressure) with small
 * ones, so that tables are full after a few frames.
 *
 * The input: a byte for the mode, then records. A record begins with a byte: bits 0-1 the port, 2 "make the IP checksum right",
 * 3 a control call instead of a frame, 4 the one of TCP, UDP or ICMP, too; then time passed, in 64 ms (each step of 16 s from
 * 240 on); then a length byte and as many bytes (control()) or a frame's plan (build()): so the fuzzer need not find MACs,
 * addresses and sequence numbers before it comes to what matters.
 */
#include "fuzz.h"

enum { RAW = 3, FILLER = 1300 };

static void control(struct bytes b, uint32_t now)
{
    uint8_t buf[PF_DHCP_MAX];
    struct pf_flow_info flow;
    struct pf_lease_info lease;
    const uint8_t what = take(&b);
    const uint8_t n = take(&b);
    const enum who who = who_of(n);
    const uint32_t addr = pf_wire32(machines[who].addr);
    const struct pf_service services[2] = {{pf_wire16(1400), PF_TCP}, {pf_wire16(5353), PF_UDP}};
    const uint32_t ttl_s = take(&b);
    switch (what % 12) {
    case 0:
        WORLD_BOTH(pf_lease_end(pf, addr, now));
        break;
    case 1:
        WORLD_BOTH(pf_lease_add(pf, addr, n > 127 ? NULL : machines[who].mac, ttl_s, now));
        break;
    case 2:
        WORLD_BOTH((pf_speaker(pf, n == 0 ? NULL : machines[(n & 1) != 0 ? SPEAKER : NAS].mac, now), 0));
        break;
    case 3:
        WORLD_BOTH(pf_dhcp_take(pf, buf, n * 8U < sizeof(buf) ? n * 8U : sizeof(buf)));
        break;
    case 4:
        WORLD_BOTH(pf_dhcp_send(pf, b.p, b.left, n == 0 ? NULL : machines[SPEAKER].mac, addr));
        break;
    case 5:
        world_configure((enum world_mode)(n % MODE_COUNT), now);
        break;
    case 6:
        WORLD_BOTH(pf_flow_get(pf, n % PF_FLOWS, &flow, now) && pf_lease_get(pf, n % PF_LEASES, &lease, now));
        break;
    case 7:
        world_leases(now);
        break;
    case 8:
        WORLD_BOTH(pf_services(pf, services, n % 3, now));
        break;
    case 9:
        WORLD_BOTH(pf_lease_renew(pf, addr, n, now));
        break;
    case 10:
        WORLD_BOTH(pf_flow_mac(pf, PF_TCP, addr, pf_wire16(40000), world[0].cfg.claim_port, buf, now));
        break;
    default:
        WORLD_BOTH((pf_tick(pf, now), pf_take_events(pf)));
        break;
    }
}

/* Sequence number and acknowledgement are counted from what the flow has come to. */
static void relative(uint8_t *f, enum pf_port port)
{
    const bool in = port == PF_UPLINK;
    const uint32_t raddr = rd32(f + (in ? PF_O_SRC : PF_O_DST));
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const struct pf_flow *flow = &world[0].flow[i];
        if (flow->raddr == raddr && flow->rport == rd16(f + PF_L4 + (in ? 0 : 2)) &&
            (in ? flow->port[PF_FROM_REMOTE] : flow->port[PF_FROM_OWNER]) == rd16(f + PF_L4 + (in ? 2 : 0))) {
            put_be32(f + PF_L4 + PF_TCP_SEQ, be32(f + PF_L4 + PF_TCP_SEQ) + flow->u.end[in ? 0 : 1]);
            put_be32(f + PF_L4 + PF_TCP_ACK, be32(f + PF_L4 + PF_TCP_ACK) + flow->u.end[in ? 1 : 0]);
            return;
        }
    }
}

/*
 * A frame by its plan. First byte: bits 0-1 TCP, UDP, ICMP, or the frame as it is; 2 sequence numbers relative; 3 many bytes
 * behind. Then who sends it, who gets it, fragment (bit 7 MF, 6 DF, else the offset) and identification (bits 0-3) with
 * TTL (4-7). What is left is laid over what follows the IP header.
 */
static size_t build(uint8_t *f, enum pf_port port, struct bytes b)
{
    static const uint8_t protos[3] = {PF_IPPROTO_TCP, PF_IPPROTO_UDP, PF_IPPROTO_ICMP};
    const uint8_t plan = take(&b);
    if ((plan & 3) == RAW) {
        memcpy(f, b.p, b.left);
        return b.left;
    }
    const enum who src = who_of(take(&b));
    const enum who dst = who_of(take(&b));
    const uint8_t fragment = take(&b);
    const uint8_t id = take(&b);
    const size_t l4_len = b.left + ((plan & 8) != 0 ? (size_t)FILLER : 0);
    memset(f, 0, PF_L4 + l4_len);
    world_l3(f, port, src, dst, protos[plan & 3], l4_len);
    const uint32_t place =
        fragment & 0x3f; /* near the start by 8 bytes, then by 184 (as Ethernet cuts), up to the end */
    const uint32_t offset = place < 16 ? place : place < 48 ? (place - 15) * 23 : 8191 - (63 - place);
    put_be16(f + PF_O_FRAG, (fragment & 0x80U) << 6 | (fragment & 0x40U) << 8 | offset);
    put_be16(f + PF_O_ID, id & 15);
    f[PF_O_TTL] = (uint8_t)((id >> 4) == 0 ? 64 : (id >> 4) - 1);
    memcpy(f + PF_L4, b.p, b.left);
    if ((plan & 4) != 0 && l4_len >= 20 && offset == 0) {
        relative(f, port);
    }
    return PF_L4 + l4_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[WORLD_ROOM];
    struct bytes b = {data, size};
    uint32_t now = 0xffff0000; /* soon wraps */
    world_start((enum world_mode)(take(&b) % MODE_COUNT), now);
    while (b.left >= 3) {
        const uint8_t what = take(&b);
        const uint8_t wait = take(&b);
        const struct bytes record = take_all(&b, take(&b));
        now += wait < 240 ? wait * 64U : (wait - 239U) * 16000U;
        if ((what & 8) != 0) {
            control(record, now);
            continue;
        }
        const enum pf_port port = (enum pf_port)(what & 3);
        const size_t len = build(frame, port, record);
        if ((what & 4) != 0 && len > PF_O_VERSION && frame[PF_O_VERSION] == 0x45) {
            world_seal(frame, len, (what & 16) != 0);
        }
        (void)world_input(port, frame, len, now);
    }
    world_end();
    return 0;
}
