/*
 * ARP, message after message, at all four ports, with time between them. First the mode; then records of a byte (bits 0-1 the
 * port, 2 an answer, 3 to all, 4 a frame of the speaker before it, so that there are questions, 5 a tick), the sender's
 * machine, the target's, a length and changes of the frame; a longer one is padded.
 */
#include "fuzz.h"

static size_t build(uint8_t *f, uint8_t what, enum who sender, enum who target)
{
    const bool answer = (what & 4) != 0;
    memset(f, 0, PF_ARP_LEN);
    world_l3(f, (enum pf_port)(what & 3), sender, (what & 8) != 0 ? ALL : target, 0, 0);
    memcpy(f + 12, (const uint8_t[10]){8, 6, 0, 1, 8, 0, 6, 4, 0, answer ? 2 : 1}, 10);
    memcpy(f + PF_ARP_SHA, f + 6, 6);
    memcpy(f + PF_ARP_SPA, world_addr(sender), 4);
    memcpy(f + PF_ARP_THA, answer ? f : machines[NOBODY].addr, answer ? 6 : 4);
    memcpy(f + PF_ARP_TPA, world_addr(target), 4);
    return PF_ARP_LEN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[WORLD_ROOM];
    struct bytes b = {data, size};
    uint32_t now = WORLD_NOW;
    world_start((enum world_mode)(take(&b) % MODE_COUNT), now);
    while (b.left >= 5) {
        const uint8_t what = take(&b);
        const enum who sender = who_of(take(&b));
        const enum who target = who_of(take(&b));
        now += (uint32_t)take(&b) * 50;
        struct bytes changes = take_all(&b, take(&b));
        if ((what & 16) != 0) {
            world_l3(frame, PF_SEGMENT, SPEAKER, target, PF_IPPROTO_UDP, 8);
            memcpy(frame + PF_L4, (const uint8_t[8]){4, 0, 0, 53}, 8);
            world_seal(frame, PF_L4 + 8, true);
            (void)world_input(PF_SEGMENT, frame, PF_L4 + 8, now);
        }
        if ((what & 32) != 0) {
            WORLD_BOTH((pf_tick(pf, now), 0));
        }
        size_t len = build(frame, what, sender, target);
        if (changes.left > len) { /* padded */
            memset(frame + len, 0, changes.left - len);
            len = changes.left;
        } else if (changes.left > 0 && changes.p[0] >= 0xf0) { /* cut */
            len = changes.left;
        }
        change(frame, len, &changes);
        (void)world_input((enum pf_port)(what & 3), frame, len, now);
    }
    world_end();
    return 0;
}
