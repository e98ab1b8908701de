/*
 * DHCP: the speaker's messages into the queue and out of it, the bridge's answers, the host's own. First the mode; then records:
 * bits 0-1 what (a message on the segment, taking one, an answer of ours, one with the host), 2 "make the checksums right";
 * two bytes of length; how many bytes of changes follow, and they.
 */
#include "fuzz.h"

enum { BOOTP = PF_L4 + 8 };

/* A BOOTP message of `len` bytes between a client and a server. */
static size_t build(uint8_t *f, enum pf_port port, bool request, size_t len)
{
    static const uint8_t cookie[4] = {99, 130, 83, 99};
    memset(f, 0, BOOTP + 512 + len);
    world_l3(f, port, request ? NOBODY : ROUTER, request ? ALL : X, PF_IPPROTO_UDP, 8 + len);
    put_be16(f + PF_L4, request ? 68 : 67);
    put_be16(f + PF_L4 + 2, request ? 67 : 68);
    f[BOOTP] = request ? 1 : 2;
    f[BOOTP + 1] = 1;
    f[BOOTP + 2] = 6;
    memcpy(f + BOOTP + 28, f + 6, 6);
    memcpy(f + BOOTP + 236, cookie, 4);
    return BOOTP + len;
}

/* What waits, as it came in. */
static struct {
    uint8_t data[PF_DHCP_QUEUE][PF_DHCP_MAX];
    size_t len[PF_DHCP_QUEUE];
    unsigned count;
} waits;

static void queued(const uint8_t *frame)
{
    const size_t len = be16(frame + PF_L4 + PF_UDP_LEN) - 8;
    if (waits.count == PF_DHCP_QUEUE || len < 240 || len > PF_DHCP_MAX || frame[BOOTP] != 1 ||
        memcmp(frame + BOOTP + 28, frame + 6, 6) != 0) {
        world_fail("a DHCP message in the queue that should not be there");
    }
    waits.len[waits.count] = len;
    memcpy(waits.data[waits.count++], frame + BOOTP, len);
}

static void take_one(size_t room)
{
    uint8_t buf[PF_DHCP_MAX];
    size_t got[2];
    for (unsigned i = 0; i < 2; i++) {
        got[i] = pf_dhcp_take(world_enter(i), buf, room);
    }
    world_same("another DHCP message");
    unsigned first = 0;
    while (first < waits.count && waits.len[first] > room) { /* too long for the room: thrown away */
        first++;
    }
    const size_t wanted = first < waits.count ? waits.len[first] : 0;
    if (got[0] != wanted || got[1] != wanted || (wanted > 0 && memcmp(buf, waits.data[first], wanted) != 0)) {
        world_fail("not the oldest DHCP message that fits");
    }
    const unsigned gone = first < waits.count ? first + 1 : waits.count;
    waits.count -= gone;
    memmove(waits.data[0], waits.data[gone], waits.count * sizeof(waits.data[0]));
    memmove(&waits.len[0], &waits.len[gone], waits.count * sizeof(waits.len[0]));
}

static void answer(const uint8_t *payload, size_t len, bool broadcast)
{
    bool sent = false;
    WORLD_BOTH(sent = pf_dhcp_send(pf, payload, len, broadcast ? NULL : machines[SPEAKER].mac,
                                   pf_wire32(machines[broadcast ? ALL : SPEAKER].addr)));
    if (sent != (len <= PF_FRAME_MAX - BOOTP) || world_outs() != (sent ? 1 : 0)) {
        world_fail("a DHCP answer was not sent, or is too long");
    }
    if (sent) {
        enum pf_port port = PF_UPLINK;
        size_t out_len = 0;
        uint8_t sealed[WORLD_ROOM];
        const uint8_t *out = world_out(0, &port, &out_len);
        memcpy(sealed, out, out_len);
        world_seal(sealed, out_len, true);
        if (port != PF_SEGMENT || memcmp(sealed, out, out_len) != 0 || memcmp(out + BOOTP, payload, len) != 0) {
            world_fail("a DHCP answer with wrong sums, or at a wrong port");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[WORLD_ROOM + 1024];
    struct bytes b = {data, size};
    uint32_t now = WORLD_NOW;
    world_start((enum world_mode)(take(&b) % MODE_COUNT), now);
    waits.count = 0;
    while (b.left >= 4) {
        const uint8_t what = take(&b);
        const size_t len = (size_t)(take(&b) << 8 | take(&b)) % 1490;
        struct bytes changes = take_all(&b, take(&b));
        const bool host = (what & 3) == 3;
        const bool request = !host || (what & 8) != 0;
        const enum pf_port port = !host ? PF_SEGMENT : request ? PF_HOST_UPLINK : PF_UPLINK;
        now += (what >> 4) * 4000U;
        if ((what & 3) == 1) {
            take_one(len);
            continue;
        }
        const size_t frame_len = build(frame, port, request, len);
        if ((what & 3) == 2) {
            change(frame + BOOTP, len, &changes);
            answer(frame + BOOTP, len, (what & 8) != 0);
            continue;
        }
        if ((what & 4) == 0) {
            world_seal(frame, frame_len, true);
        }
        change(frame + PF_L4, frame_len - PF_L4, &changes);
        if ((what & 4) != 0) {
            world_seal(frame, frame_len, true);
        }
        if (world_input(port, frame, frame_len, now) == PF_C_dhcp_queued) {
            queued(frame);
        }
    }
    world_end();
    return 0;
}
