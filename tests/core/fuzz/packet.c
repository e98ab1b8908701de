/*
 * One frame of any bytes, at any port, among open flows. First the mode, then: bits 0-1 the port, 2 "put an Ethernet header
 * before it", 3 "make the IP checksum right", 4 the one of TCP, UDP or ICMP, too.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[PF_ETH + 4096];
    struct bytes b = {data, size};
    world_ready((enum world_mode)(take(&b) % MODE_COUNT));
    const uint8_t what = take(&b);
    const enum pf_port port = (enum pf_port)(what & 3);
    size_t len = 0;
    if ((what & 4) != 0) {
        world_l3(frame, port, port == PF_UPLINK ? SERVER : SPEAKER, port == PF_UPLINK ? X : SERVER, 0, 0);
        len = PF_ETH;
    }
    const struct bytes rest = take_all(&b, 4096);
    memcpy(frame + len, rest.p, rest.left);
    len += rest.left;
    if ((what & 8) != 0) {
        world_seal(frame, len, (what & 16) != 0);
    }
    (void)world_input(port, frame, len, WORLD_NOW);
    world_end();
    return 0;
}
