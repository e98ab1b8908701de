/*
 * TCP: options of both SYNs, then segments about what is expected. First the mode; bit 7: the phone opens it, else the
 * speaker. Then for each SYN a length and the options; then segments of ten bytes: bits 0-5 flags, 6 from the owner, 7 much
 * data; sequence number and acknowledgement, counted from the expected ones; what to shift both by.
 */
#include "fuzz.h"

enum { SEGMENT = 10, BIG = 1400 };

static enum who remote;
static uint16_t rport, lport;

/* The window scale that a SYN offers, by RFC 9293 3.1 and RFC 7323 2: at most 14; 15: none. */
static unsigned scale_of(const uint8_t *bytes, size_t given)
{
    uint8_t options[40] = {0}; /* filled up with ends of the list */
    const size_t len = (given + 3) / 4 * 4;
    size_t i = 0;
    memcpy(options, bytes, given);
    while (i < len) {
        if (options[i] == 0) {
            return 15;
        }
        const size_t size = options[i] == 1 ? 1 : i + 1 < len ? options[i + 1] : 0;
        if (size == 0 || (options[i] != 1 && size < 2) || size > len - i) {
            return 15;
        }
        if (options[i] == 3 && size == 3) {
            return options[i + 2] > 14 ? 14 : options[i + 2];
        }
        i += size;
    }
    return 15;
}

static struct pf_flow *flow(void)
{
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        struct pf_flow *f = &world[0].flow[i];
        if (f->kind >> PF_KIND_CLASS_SHIFT != PF_CLASS_FREE && f->raddr == pf_wire32(machines[remote].addr) &&
            f->rport == pf_wire16(rport) && f->port[PF_FROM_OWNER] == pf_wire16(lport)) {
            return f;
        }
    }
    return NULL;
}

static enum pf_counter segment(unsigned from, unsigned flags, uint32_t seq, uint32_t ack, const uint8_t *options,
                               size_t options_len, size_t data)
{
    static uint8_t f[WORLD_ROOM];
    const bool in = from == PF_FROM_REMOTE;
    const size_t header = 20 + (options_len + 3) / 4 * 4;
    memset(f, 0, PF_L4 + header + data);
    world_l3(f, in ? PF_UPLINK : PF_SEGMENT, in ? remote : SPEAKER, in ? X : remote, PF_IPPROTO_TCP, header + data);
    put_be16(f + PF_L4, in ? rport : lport);
    put_be16(f + PF_L4 + 2, in ? lport : rport);
    put_be32(f + PF_L4 + PF_TCP_SEQ, seq);
    put_be32(f + PF_L4 + PF_TCP_ACK, ack);
    f[PF_L4 + PF_TCP_OFFSET] = (uint8_t)(header / 4 << 4);
    f[PF_L4 + PF_TCP_FLAGS] = (uint8_t)flags;
    memcpy(f + PF_L4 + 20, options, options_len);
    world_seal(f, PF_L4 + header + data, true);
    return world_input(in ? PF_UPLINK : PF_SEGMENT, f, PF_L4 + header + data, WORLD_NOW);
}

static uint32_t sequence(struct bytes *b, unsigned shift)
{
    const uint32_t high = take(b);
    const int32_t low = (int8_t)take(b);
    return (high << shift) + (uint32_t)low;
}

/* Nobody ends a flow by a RST who does not know the expected number; nothing but the SYNs before the SYNs. */
static void one(struct bytes b)
{
    const uint8_t what = take(&b);
    const unsigned from = what >> 6 & 1;
    const unsigned flags = what & 0x3f;
    const unsigned shift = take(&b) & 31;
    struct pf_flow *f = flow();
    if (f == NULL) {
        return;
    }
    const struct pf_flow before = *f;
    const uint32_t seq = before.u.end[from] + sequence(&b, shift);
    const uint32_t ack = before.u.end[from ^ 1U] + sequence(&b, take(&b) & 31);
    const enum pf_counter c = segment(from, flags, seq, ack, b.p, 0, (what & 0x80) != 0 ? BIG : 0);
    f = flow();
    if (f == NULL || (before.state & PF_T_RST) != 0) {
        return;
    }
    const bool synced = (before.state & PF_T_SYN << from) != 0;
    if ((f->state & PF_T_RST) != 0 && (synced ? seq != before.u.end[from] : ack != before.u.end[from ^ 1U])) {
        world_fail("a RST ended the flow without the expected number");
    }
    if (c >= PF_C_drop_short && memcmp(f, &before, sizeof(before)) != 0) {
        world_fail("a dropped segment changed the flow");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};
    const uint8_t what = take(&b);
    const unsigned opener = what >> 7 ^ 1U;
    world_ready((what & 1) != 0 ? MODE_PRIVATE : MODE_PASSTHROUGH);
    remote = opener == PF_FROM_REMOTE ? PHONE : SERVER;
    rport = opener == PF_FROM_REMOTE ? 50000 : 8080;
    lport = opener == PF_FROM_REMOTE ? 1400 : 50000;
    const struct bytes first = take_all(&b, take(&b) % 41);
    const struct bytes second = take_all(&b, take(&b) % 41);
    (void)segment(opener, PF_SYN, 1000, 0, first.p, first.left, 0);
    if (segment(opener ^ 1U, PF_SYN | PF_ACK, 2000, 1001, second.p, second.left, 0) >= PF_C_drop_short) {
        world_fail("a handshake did not pass");
    }
    const struct pf_flow *f = flow();
    unsigned scale[2] = {scale_of(first.p, first.left), scale_of(second.p, second.left)};
    if (scale[0] == 15 || scale[1] == 15) { /* both or none */
        scale[0] = 0;
        scale[1] = 0;
    }
    const unsigned wanted = opener == PF_FROM_REMOTE ? scale[0] | scale[1] << 4 : scale[1] | scale[0] << 4;
    if (f == NULL || f->scale != wanted) {
        world_fail("another window scale than the SYNs' options say");
    }
    while (b.left >= SEGMENT) {
        one(take_all(&b, SEGMENT));
    }
    world_end();
    return 0;
}
