/*
 * Discovery: group traffic from anybody, in both directions. First the mode; then records: bits 0-1 an SSDP search, an mDNS
 * query, an SSDP notification, an mDNS answer, 2 at the other side, 3 to 255.255.255.255, 4 much behind it; who sends it; time passed;
 * a length and changes of what follows the IP header.
 */
#include "fuzz.h"

enum { FILLER = 1200 };
static const char search[] = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\r\n";
static const char notify[] = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\r\n";
static const uint8_t query[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, '_', 's', 'o', 'n', 'o', 's', 0, 0, 12, 0, 1};
static const uint8_t answer[] = {0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};

static const struct {
    const void *data;
    size_t len;
    enum who group;
    uint16_t port;
} kinds[4] = {
    {search, sizeof(search) - 1, SSDP, 1900},
    {query, sizeof(query), MDNS, 5353},
    {notify, sizeof(notify) - 1, SSDP, 1900},
    {answer, sizeof(answer), MDNS, 5353},
};

static bool begins(const uint8_t *f, const char *text)
{
    return memcmp(f + PF_L4 + 8, text, strlen(text)) == 0;
}

/* What went through must be what may go through. */
static void judge(const uint8_t *f, enum pf_counter c)
{
    const bool mdns = be16(f + PF_L4 + 2) == 5353;
    if (c == PF_C_relay_search && !(mdns ? (f[PF_L4 + 10] & 0xf8) == 0 : begins(f, "M-SEARCH * HTTP/1.1"))) {
        world_fail("relayed to the speaker, no search");
    }
    if (c == PF_C_relay_notify && !(mdns ? (f[PF_L4 + 10] & 0xf8) == 0x80 : begins(f, "NOTIFY * HTTP/1.1"))) {
        world_fail("relayed to the phones, no notification");
    }
    if (c == PF_C_relay_notify && world_outs() > PF_LEASES) {
        world_fail("more copies than leases");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t f[WORLD_ROOM];
    struct bytes b = {data, size};
    world_ready((enum world_mode)(take(&b) % MODE_COUNT));
    uint32_t now = WORLD_NOW;
    while (b.left >= 4) {
        const uint8_t what = take(&b);
        const enum who from = who_of(take(&b));
        now += take(&b) * 8U;
        struct bytes changes = take_all(&b, take(&b));
        const unsigned i = what & 3;
        const bool uplink = (i < 2) == ((what & 4) == 0);
        const size_t len = kinds[i].len + ((what & 16) != 0 ? (size_t)FILLER : 0);
        const enum pf_port port = uplink ? PF_UPLINK : PF_SEGMENT;
        memset(f, 0, PF_L4 + 8 + len);
        world_l3(f, port, uplink ? from : SPEAKER, (what & 8) != 0 ? ALL : kinds[i].group, PF_IPPROTO_UDP, 8 + len);
        put_be16(f + PF_L4, i == 0 ? 50000 : kinds[i].port);
        put_be16(f + PF_L4 + 2, kinds[i].port);
        memcpy(f + PF_L4 + 8, kinds[i].data, kinds[i].len);
        change(f + PF_L4, 8 + kinds[i].len, &changes);
        world_seal(f, PF_L4 + 8 + len, true);
        judge(f, world_input(port, f, PF_L4 + 8 + len, now));
    }
    world_end();
    return 0;
}
