/*
 * ICMP errors with a packet inside, from anybody about any flow. First the mode, then: bits 0-1 the port, 2-4 which flow, 5 "do not
 * mend the sum inside"; the type (0 to 2: the usual ones); where the error comes from; how much of the packet is quoted; then
 * changes of the packet, of the error's own header, and of the IP header.
 */
#include "fuzz.h"

enum { ROOM = 64 };

static const struct {
    enum who owner, remote;
    uint16_t rport, lport;
    uint8_t proto;
} flows[8] = {
    {SPEAKER, SERVER, 443, SPEAKER_PORT, PF_IPPROTO_TCP}, {SPEAKER, SERVER, 53, SPEAKER_PORT, PF_IPPROTO_UDP},
    {SPEAKER, SERVER, 0, SPEAKER_PORT, PF_IPPROTO_ICMP},  {X, SERVER, 443, HOST_PORT, PF_IPPROTO_TCP},
    {X, SERVER, 53, HOST_PORT, PF_IPPROTO_UDP},           {X, SERVER, 0, HOST_PORT, PF_IPPROTO_ICMP},
    {SPEAKER, PHONE, PHONE_PORT, 1400, PF_IPPROTO_TCP},   {X, FLATMATE, PHONE_PORT, CLAIM_PORT, PF_IPPROTO_TCP},
};

/* The packet that the error is about, as its receiver saw it: an Ethernet frame, of which the packet is used. */
static void build_inner(uint8_t *f, unsigned i, enum pf_port port)
{
    const bool by_owner = port == PF_UPLINK || port == PF_HOST_SEGMENT;
    const enum who here = port == PF_SEGMENT ? SPEAKER : port == PF_HOST_SEGMENT ? ALIAS : X;
    const enum who there = port == PF_HOST_SEGMENT ? BRIDGE : flows[i].remote;
    memset(f, 0, PF_L4 + ROOM);
    world_l3(f, PF_UPLINK, by_owner ? here : there, by_owner ? there : here, flows[i].proto, ROOM);
    if (flows[i].proto == PF_IPPROTO_ICMP) {
        f[PF_L4] = by_owner ? 8 : 0;
        put_be16(f + PF_L4 + PF_ICMP_ID, flows[i].lport);
        return;
    }
    put_be16(f + PF_L4, by_owner ? flows[i].lport : flows[i].rport);
    put_be16(f + PF_L4 + 2, by_owner ? flows[i].rport : flows[i].lport);
    if (flows[i].proto == PF_IPPROTO_TCP) {
        put_be32(f + PF_L4 + PF_TCP_SEQ, 1000);
        f[PF_L4 + PF_TCP_OFFSET] = 5 << 4;
        f[PF_L4 + PF_TCP_FLAGS] = PF_ACK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t inner[PF_L4 + ROOM];
    static uint8_t frame[WORLD_ROOM];
    static const uint8_t types[3] = {3, 11, 12};
    struct bytes b = {data, size};
    world_ready((enum world_mode)(take(&b) % MODE_COUNT));
    const uint8_t what = take(&b);
    const uint8_t type = take(&b);
    const enum pf_port port = (enum pf_port)(what & 3);
    const unsigned i = what >> 2 & 7;
    build_inner(inner, i, port);
    const enum who from = who_of(take(&b));
    const size_t quoted = take(&b) % (PF_IP + ROOM + 1);
    struct bytes changes = take_all(&b, quoted);
    change(inner + PF_ETH, quoted, &changes);
    if ((what & 32) == 0) {
        world_seal(inner, sizeof(inner), true);
    }
    const enum who src = port == PF_UPLINK ? from : port == PF_SEGMENT ? SPEAKER : port == PF_HOST_UPLINK ? X : BRIDGE;
    const enum who dst = port == PF_UPLINK ? X : port == PF_HOST_SEGMENT ? ALIAS : from;
    memset(frame, 0, PF_L4 + 8);
    world_l3(frame, port, src, dst, PF_IPPROTO_ICMP, 8 + quoted);
    frame[PF_L4] = type < 3 ? types[type] : type;
    memcpy(frame + PF_L4 + 8, inner + PF_ETH, quoted);
    const size_t len = PF_L4 + 8 + quoted;
    change(frame + PF_L4 + 1, 7, &b);
    change(frame + PF_ETH, PF_IP, &b);
    world_seal(frame, len, true);
    (void)world_input(port, frame, len, WORLD_NOW);
    world_end();
    return 0;
}
