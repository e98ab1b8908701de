/*
 * Fragments: those of a few datagrams, in any order, cut anywhere, as a receiver would put them together. First the mode; then records of
 * six bytes: bits 0-1 who sends it, 2-3 which datagram, 4 "not as it should be"; the first and the last of the places it covers
 * (64 equal ones in a datagram); time passed, in 100 ms; and two bytes of changes, used with bit 4.
 *
 * As long as none of its fragments is dropped and it has its place, nothing of a datagram goes out twice, all of it goes out by one port with the same
 * addresses, and what has gone out whole has the right checksum.
 */
#include "fuzz.h"

enum { PLACES = 64, DATAGRAMS = 2, SENDERS = 3, LONGEST = 8192, UNIT = 8, KNOWN_OUT = 16 };

static const struct {
    enum pf_port port;
    enum who src, dst;
    uint16_t sport, dport;
} senders[SENDERS] = {
    {PF_UPLINK, SERVER, X, 53, SPEAKER_PORT},
    {PF_SEGMENT, SPEAKER, SERVER, SPEAKER_PORT, 53},
    {PF_HOST_UPLINK, X, SERVER, HOST_PORT, 53},
};

/* What the receivers have. */
static struct receiver {
    enum pf_port port;
    uint8_t addr[8];
    uint16_t id;
    uint32_t total;
    bool whole;
    uint8_t data[LONGEST];
    bool come[LONGEST / UNIT];
} receivers[KNOWN_OUT];
static unsigned receiver_count;

static uint32_t length_of(unsigned datagram)
{
    return datagram == 0 ? PLACES * UNIT : LONGEST;
}

static const uint8_t *datagram_of(enum world_mode mode, unsigned sender, unsigned datagram)
{
    static uint8_t frames[MODE_COUNT][SENDERS][DATAGRAMS][PF_L4 + LONGEST];
    uint8_t *frame = frames[mode][sender][datagram];
    const uint32_t len = length_of(datagram);
    if (frame[PF_O_VERSION] != 0) {
        return frame + PF_L4;
    }
    world_l3(frame, senders[sender].port, senders[sender].src, senders[sender].dst, PF_IPPROTO_UDP, len);
    put_be16(frame + PF_L4, senders[sender].sport);
    put_be16(frame + PF_L4 + 2, senders[sender].dport);
    for (uint32_t i = 8; i < len; i++) {
        frame[PF_L4 + i] = (uint8_t)(i * 7 + sender * 31 + datagram);
    }
    world_seal(frame, PF_L4 + len, true);
    return frame + PF_L4;
}

static struct receiver *receiver_of(enum pf_port port, const uint8_t *f)
{
    for (unsigned i = 0; i < receiver_count; i++) {
        struct receiver *r = &receivers[i];
        if (r->port == port && memcmp(r->addr, f + PF_O_SRC, 8) == 0 && r->id == rd16(f + PF_O_ID) && !r->whole) {
            return r;
        }
    }
    struct receiver *r = &receivers[receiver_count++ % KNOWN_OUT];
    receiver_count = receiver_count > KNOWN_OUT ? KNOWN_OUT : receiver_count;
    memset(r, 0, sizeof(*r));
    r->port = port;
    memcpy(r->addr, f + PF_O_SRC, 8);
    r->id = rd16(f + PF_O_ID);
    return r;
}

/* A fragment comes to its receiver. */
static void receive(enum pf_port port, const uint8_t *f, size_t len)
{
    const uint32_t place = be16(f + PF_O_FRAG);
    if (len <= PF_L4 || f[PF_O_PROTO] != PF_IPPROTO_UDP || (place & 0x3fff) == 0) {
        return;
    }
    struct receiver *r = receiver_of(port, f);
    const uint32_t start = (place & 0x1fff) * UNIT;
    const uint32_t end = start + (uint32_t)len - PF_L4;
    if (end > LONGEST || ((place & 0x2000) == 0 && r->total != 0 && r->total != end)) {
        world_fail("a datagram out that is too long, or has two ends");
    }
    for (uint32_t i = start; i < end; i += UNIT) {
        if (r->come[i / UNIT]) {
            world_fail("a part of a datagram out twice");
        }
        r->come[i / UNIT] = true;
    }
    r->total = (place & 0x2000) == 0 ? end : r->total;
    memcpy(r->data + start, f + PF_L4, end - start);
    for (uint32_t i = 0; i < (r->total + UNIT - 1) / UNIT; i++) {
        if (!r->come[i]) {
            return;
        }
    }
    if (r->total != 0) { /* whole */
        static uint8_t whole[PF_L4 + LONGEST];
        memcpy(whole, f, PF_L4);
        memcpy(whole + PF_L4, r->data, r->total);
        put_be16(whole + PF_O_TOTAL, PF_IP + r->total);
        put_be16(whole + PF_O_FRAG, 0);
        const uint16_t sum = rd16(whole + PF_L4 + PF_UDP_SUM);
        world_seal(whole, PF_L4 + r->total, true);
        if (sum != rd16(whole + PF_L4 + PF_UDP_SUM) && r->total == be16(whole + PF_L4 + PF_UDP_LEN)) {
            world_fail("a datagram out with a wrong checksum");
        }
        r->whole = true; /* the same number may come again */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[WORLD_ROOM];
    struct bytes b = {data, size};
    uint32_t now = WORLD_NOW;
    const enum world_mode mode = (enum world_mode)(take(&b) % MODE_NO_UPLINK);
    world_ready(mode);
    receiver_count = 0;
    bool begun[SENDERS][DATAGRAMS] = {{false}};
    unsigned places = 0;
    while (b.left >= 6) {
        const uint8_t what = take(&b);
        const unsigned sender = (what & 3) % SENDERS;
        const unsigned datagram = (what >> 2 & 3) % DATAGRAMS;
        const uint32_t unit = length_of(datagram) / PLACES;
        const uint32_t first = take(&b) % PLACES;
        const uint32_t most = (PF_FRAME_MAX - PF_L4) / unit;
        const uint32_t count = 1 + take(&b) % most;
        const uint32_t last = first + count < PLACES ? first + count : PLACES;
        now += take(&b) * 100U;
        if (now - WORLD_NOW > PF_FRAG_TIME_MS) {
            break; /* what comes now may be of another datagram */
        }
        places += begun[sender][datagram] ? 0 : 1;
        begun[sender][datagram] = true;
        if (places > PF_FRAGS_KNOWN) {
            break; /* the oldest one gives way, and may begin again (SPEC 4.9) */
        }
        struct bytes changes = take_all(&b, 2);
        const uint8_t *udp = datagram_of(mode, sender, datagram);
        const uint32_t len = (last - first) * unit;
        world_l3(frame, senders[sender].port, senders[sender].src, senders[sender].dst, PF_IPPROTO_UDP, len);
        put_be16(frame + PF_O_ID, 100 + datagram);
        put_be16(frame + PF_O_FRAG, first * unit / UNIT | (last < PLACES ? 0x2000U : 0));
        memcpy(frame + PF_L4, udp + first * unit, len);
        if ((what & 16) != 0) {
            change(frame + PF_O_FRAG, 2, &changes);
        }
        world_seal(frame, PF_L4 + len, false);
        (void)world_input(senders[sender].port, frame, PF_L4 + len, now);
        for (size_t i = 0; i < world_outs(); i++) {
            enum pf_port port = PF_UPLINK;
            size_t out_len = 0;
            const uint8_t *out = world_out(i, &port, &out_len);
            receive(port, out, out_len);
        }
    }
    world_end();
    return 0;
}
