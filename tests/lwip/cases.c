/* What is promised of the glue, a case each: `glue --list`, `glue CASE`. */
#include "harness.h"

#include <errno.h>

#include "lwip/icmp.h"
#include "lwip/igmp.h"
#include "lwip/ip.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

static const struct shape plain = {.kind = CUSTOM, .align = 2};

static void begin(unsigned leases)
{
    harness_start();
    glue_lwip_attach(GLUE_UPLINK, &netifs[GLUE_UPLINK]);
    glue_lwip_attach(GLUE_SEGMENT, &netifs[GLUE_SEGMENT]);
    CHECK(glue_start(&filter, GLUE_NO_ETHERNET) == 0, "start");
    filter_starts(leases);
}

static uint32_t lost(void)
{
    return filter.counters[PF_C_glue_lost];
}

/* ---- Buffers ---- */

static void case_history(void)
{
    begin(3);
    play_history(&plain);
    CHECK(harness_frames > 30, "%lu frames: the history is no good", harness_frames);
    /* Each thing that the filter does to a frame is in it. */
    static const enum pf_counter wanted[] = {
        PF_C_pass_uplink_speaker, PF_C_pass_uplink_host,  PF_C_pass_speaker_uplink, PF_C_pass_speaker_host,
        PF_C_pass_host_uplink,    PF_C_pass_host_speaker, PF_C_relay_search,        PF_C_relay_notify,
        PF_C_arp_answered,        PF_C_arp_learned,       PF_C_dhcp_queued,         PF_C_drop_short,
        PF_C_drop_long,           PF_C_drop_ipv6,         PF_C_drop_no_lease,       PF_C_frames_pending,
        PF_C_fragments_held,      PF_C_reset_sent,
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        CHECK(filter.counters[wanted[i]] != 0, "the history has no frame for counter %d", (int)wanted[i]);
    }
    CHECK(lost() == 0, "%u frames were lost", lost());
    nothing_leaked();
}

static void case_cuts(void)
{
    begin(3);
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        for (unsigned cut = 0; cut <= PF_FRAME_MAX + 2; cut += kind == RAM || cut < 64 ? 1 : 97) {
            play_history(&(struct shape){.kind = kind, .cut = {cut, 0}, .align = cut % 4});
            play_history(&(struct shape){.kind = kind, .cut = {cut, cut + 1 + cut % 40}, .align = 2});
        }
        nothing_leaked();
    }
    CHECK(lost() == 0, "%u frames were lost", lost());
}

static void case_kinds(void)
{
    begin(3);
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        for (unsigned align = 0; align < 4; align++) {
            for (enum taker takes = TAKE; takes <= TAKE_SOME; takes++) {
                for (unsigned held = 0; held < 2; held++) {
                    harness_takes = takes;
                    play_history(&(struct shape){.kind = kind, .align = align, .held = held, .tail = align == 3});
                    harness_release();
                    nothing_leaked();
                }
            }
        }
    }
}

/* No copy is made of what a driver hands over in one piece that is its own. */
static void case_no_copy(void)
{
    begin(3);
    size_t count;
    const struct frame *history = frames_history(&count);
    for (unsigned align = 0; align < 4; align++) {
        for (enum kind kind = RAM; kind < KINDS; kind++) {
            const bool own = kind == CUSTOM || kind == CUSTOM_RAM || kind == RAM;
            filter_starts(3);
            for (size_t i = 0; i < 5; i++) { /* a connection and its data */
                memory_fails(0);
                play(&history[i], &(struct shape){.kind = kind, .align = align});
                if (own || kind != POOL) {
                    CHECK(memory_asked() == (own ? 0 : 1), "%lu buffers for frame %zu, kind %d, align %u",
                          memory_asked(), i, (int)kind, align);
                }
            }
            CHECK(harness_frames == 5, "%lu frames", harness_frames);
        }
    }
    nothing_leaked();
}

/* Of what is too long nothing is copied. */
static void case_too_long(void)
{
    begin(3);
    struct frame f;
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        for (unsigned port = 0; port < PF_PORT_COUNT; port++) {
            frames_connection(&f, 1, false);
            f.from = (enum pf_port)port;
            f.len = PF_FRAME_MAX + 1;
            memory_fails(0);
            play(&f, &(struct shape){.kind = kind, .cut = {100, 0}});
            CHECK(memory_asked() == 0, "%lu buffers", memory_asked());
        }
    }
    CHECK(filter.counters[PF_C_drop_long] == KINDS * PF_PORT_COUNT, "%u too long", filter.counters[PF_C_drop_long]);
    nothing_leaked();
}

/* The longest one of lwIP's leaves as a copy, too: the buffer stays lwIP's. */
static void case_longest(void)
{
    static const uint8_t router_mac[6] = {2, 0, 0, 0, 0x42, ROUTER};
    begin(3);
    struct frame f;
    frames_udp(&f, PF_HOST_UPLINK, router_mac, uplink_mac, x_addr, 5000, server_addr, 53, PF_FRAME_MAX - 42);
    CHECK(f.len == PF_FRAME_MAX, "%zu bytes", f.len);
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        play(&f, &(struct shape){.kind = kind, .align = 2});
    }
    CHECK(harness_frames == KINDS && lost() == 0, "%lu frames", harness_frames);
    nothing_leaked();
}

static unsigned given_back;

static void give_back_nothing(struct pbuf *p)
{
    (void)p;
    given_back++;
}

/* A frame of no bytes may be nowhere in memory. */
static void case_empty(void)
{
    begin(3);
    struct pbuf_custom nothing = {.custom_free_function = give_back_nothing};
    struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, 0, PBUF_REF, &nothing, NULL, 0);
    CHECK(netifs[GLUE_UPLINK].input(p, &netifs[GLUE_UPLINK]) == ERR_OK && given_back == 1, "%u", given_back);
    p = pbuf_alloced_custom(PBUF_RAW, 0, PBUF_REF, &nothing, NULL, 0);
    CHECK(netifs[GLUE_UPLINK].linkoutput(&netifs[GLUE_UPLINK], p) == ERR_OK && given_back == 1, "%u", given_back);
    (void)pbuf_free(p);
    CHECK(filter.counters[PF_C_drop_short] == 2, "%u too short", filter.counters[PF_C_drop_short]);
    nothing_leaked();
}

/* ---- Memory ---- */

static void case_no_memory(void)
{
    begin(3);
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        for (unsigned variant = 0; variant < 6; variant++) {
            const struct shape shape = {
                .kind = kind, .cut = {variant % 3 * 17, 0}, .align = variant < 3 ? 2 : 0, .held = variant == 5};
            memory_fails(0);
            play_history(&shape);
            const unsigned long all = memory_asked();
            CHECK(all >= 20, "%lu allocations", all);
            for (unsigned long n = 1; n <= all; n++) {
                const unsigned long denied = memory_denied();
                filter_starts(3); /* counters begin at nothing */
                memory_fails(n);
                play_history(&shape);
                CHECK(memory_denied() == denied + 1, "allocation %lu of %lu did not fail", n, all);
                CHECK(lost() == 1, "%u frames counted as lost", lost());
                memory_fails(0);
                nothing_leaked();
            }
        }
    }
}

static void case_no_memory_at_all(void)
{
    begin(3);
    memory_is_short(1000);
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        play_history(&(struct shape){.kind = kind, .cut = {20, 0}});
        CHECK(harness_frames == 0, "%lu frames", harness_frames);
        CHECK(lost() > 20, "%u lost", lost());
    }
    memory_is_short(0);
    nothing_leaked();
    play_history(&plain);
    CHECK(lost() == 0, "%u lost", lost());
}

/* lwIP is told, so that TCP sends again soon. A driver is not: its buffer is gone in any case. */
static void case_lwip_hears_of_no_memory(void)
{
    static const uint8_t router_mac[6] = {2, 0, 0, 0, 0x42, ROUTER};
    begin(3);
    struct frame f;
    frames_udp(&f, PF_HOST_UPLINK, router_mac, uplink_mac, x_addr, 5000, server_addr, 53, 10);
    memory_fails(1);
    CHECK(hand_over(&f, &plain) == ERR_MEM, "not told");
    CHECK(lost() == 1 && harness_frames == 0, "%u lost", lost());
    memory_fails(0);
    CHECK(hand_over(&f, &plain) == ERR_OK && lost() == 1, "%u lost", lost());
    frames_connection(&f, 1, false);
    memory_fails(1);
    CHECK(hand_over(&f, &(struct shape){.kind = ROM}) == ERR_OK && lost() == 2, "%u lost", lost());
    nothing_leaked();
}

/* ---- Interfaces ---- */

static void hand_over_history(void)
{
    size_t count;
    const struct frame *history = frames_history(&count);
    for (size_t i = 0; i < count; i++) {
        for (enum kind kind = RAM; kind < KINDS; kind++) {
            (void)hand_over(&history[i],
                            &(struct shape){.kind = kind, .align = (unsigned)i % 4, .cut = {i % 3 == 1 ? 20 : 0, 0}});
        }
    }
}

static void case_before_start(void)
{
    harness_start();
    glue_lwip_attach(GLUE_UPLINK, &netifs[GLUE_UPLINK]);
    glue_lwip_attach(GLUE_SEGMENT, &netifs[GLUE_SEGMENT]);
    hand_over_history();
    glue_lwip_tick();
    filter_starts(3);
    harness_start_error = ENODEV;
    CHECK(glue_start(&filter, GLUE_NO_ETHERNET) == ENODEV, "start");
    hand_over_history();
    glue_lwip_tick();
    nothing_leaked();
    harness_start_error = 0;
    CHECK(glue_start(&filter, GLUE_ETHERNET_SEGMENT) == 0, "start");
    harness_start_error = ENODEV; /* once is enough */
    CHECK(glue_start(&filter, GLUE_ETHERNET_SEGMENT) == 0, "start");
    filter_starts(3); /* says so if anything came until now */
    play_history(&plain);
    CHECK(lost() == 0 && harness_frames > 30, "%lu frames", harness_frames);
    nothing_leaked();
}

/* A frame from the phone to the speaker: how many came out? */
static unsigned long came_through(void)
{
    static unsigned number;
    struct frame f;
    const unsigned long before = harness_frames;
    number++;
    frames_connection(&f, number, false);
    (void)hand_over(&f, &plain);
    return harness_frames - before;
}

static void case_stop_and_start(void)
{
    begin(3);
    struct frame from_speaker;
    frames_connection(&from_speaker, 1, true);
    CHECK(came_through() == 1, "at first");
    for (unsigned round = 0; round < 3; round++) {
        for (enum glue_side side = GLUE_UPLINK; side < GLUE_SIDES; side++) {
            struct netif *const netif = &netifs[side];
            /* again, without a stop; with one function set afresh; with both */
            glue_lwip_attach(side, netif);
            CHECK(came_through() == 1, "attached twice");
            const netif_linkoutput_fn own = netif->linkoutput;
            const netif_input_fn hook = netif->input;
            driver_starts(side);
            driver_starts(side);
            netif->linkoutput = own;
            glue_lwip_attach(side, netif);
            CHECK(came_through() == 1, "one function afresh");
            driver_starts(side);
            driver_starts(side);
            netif->input = hook;
            glue_lwip_attach(side, netif);
            CHECK(came_through() == 1, "the other one afresh");
            driver_starts(side);
            glue_lwip_attach(side, netif);
            CHECK(came_through() == 1, "attached afresh");

            /* stopped: nothing is taken from it or goes there */
            glue_lwip_detach(side);
            glue_lwip_detach(side);
            const uint32_t before = lost();
            CHECK(came_through() == 0, "stopped");
            CHECK(lost() == before + (side == GLUE_SEGMENT ? 1 : 0), "%u lost", lost() - before);
            const unsigned long frames = harness_frames;
            (void)hand_over(&from_speaker, &plain);
            CHECK(harness_frames == frames, "stopped");
            /* it comes back as it was, or afresh */
            if (round % 2 == 0) {
                driver_starts(side);
            }
            glue_lwip_attach(side, netif);
            CHECK(came_through() == 1, "started again");
        }
        nothing_leaked();
    }
}

/* An interface is one side's: what nobody knows the driver of lets nothing through. */
static void case_both_sides(void)
{
    begin(3);
    glue_lwip_attach(GLUE_SEGMENT, &netifs[GLUE_UPLINK]);
    CHECK(came_through() == 0, "one interface on both sides");
    glue_lwip_detach(GLUE_UPLINK);
    CHECK(came_through() == 0, "stopped");
    driver_starts(GLUE_UPLINK);
    driver_starts(GLUE_SEGMENT);
    glue_lwip_attach(GLUE_UPLINK, &netifs[GLUE_UPLINK]);
    glue_lwip_attach(GLUE_SEGMENT, &netifs[GLUE_SEGMENT]);
    CHECK(came_through() == 1, "two again");
    nothing_leaked();
}

static unsigned calls;
static unsigned seen;

/* The end of harness_other: at a host port the buffer is ours. */
static err_t answer(enum pf_port port, struct pbuf *p, err_t error)
{
    if (error == ERR_OK && (port == PF_HOST_UPLINK || port == PF_HOST_SEGMENT)) {
        (void)pbuf_free(p);
    }
    return error;
}

static err_t stops_uplink(enum pf_port port, struct pbuf *p)
{
    calls++;
    glue_lwip_detach(GLUE_UPLINK);
    return answer(port, p, calls % 2 == 0 ? ERR_OK : ERR_MEM);
}

/* A driver that stops while frames leave: those that it has not been asked to send are lost, and counted. */
static void case_stops_in_the_middle(void)
{
    begin(16);
    size_t count;
    const struct frame *history = frames_history(&count);
    const struct frame *notify = &history[6];
    (void)hand_over(notify, &plain);
    CHECK(harness_frames == 16, "%lu frames: one for each phone", harness_frames);
    const uint32_t before = lost();
    harness_takes = TAKE_OTHER;
    harness_other = stops_uplink;
    harness_now += 1000;
    (void)hand_over(notify, &plain);
    CHECK(calls >= 1 && calls < 16, "%u calls", calls);
    CHECK(lost() - before + calls / 2 == 16, "%u lost, %u taken", lost() - before, calls / 2);
    nothing_leaked();
}

static err_t comes_back(enum pf_port port, struct pbuf *p)
{
    seen++;
    if (port == PF_SEGMENT && ++calls < 50) {
        (void)came_through();
        glue_lwip_tick();
    }
    return answer(port, p, ERR_OK);
}

/* A driver may hand over a frame, call the timers, or come for the lock, while it is given one. */
static void case_comes_back(void)
{
    begin(3);
    harness_takes = TAKE_OTHER;
    harness_other = comes_back;
    (void)came_through();
    CHECK(calls == 50 && seen == 50, "%u calls, %u seen", calls, seen);
    nothing_leaked();
}

/* ---- What is sent ---- */

/* What the filter sends in one piece of work leaves when the lock is given back, as far as there is room. */
static void case_queue(void)
{
    static const unsigned numbers[] = {0, 1, 3, 4, 5, 8, 31, GLUE_QUEUE - 1, GLUE_QUEUE, GLUE_QUEUE + 1, 90};
    static uint8_t frame[60];
    begin(3);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        for (enum taker takes = TAKE; takes <= TAKE_NONE; takes++) {
            filter_starts(3);
            harness_takes = takes;
            glue_lock();
            for (unsigned n = 0; n < numbers[i]; n++) {
                glue_out(NULL, (enum pf_port)(n % PF_PORT_COUNT), frame, sizeof(frame));
            }
            CHECK(harness_frames == 0, "too early");
            glue_unlock();
            const unsigned room = numbers[i] < GLUE_QUEUE ? numbers[i] : GLUE_QUEUE;
            const unsigned left = takes == TAKE_NONE ? 0 : room;
            CHECK(harness_frames == left, "%lu of %u", harness_frames, numbers[i]);
            CHECK(lost() == numbers[i] - left, "%u lost", lost());
            harness_release();
            harness_forget();
            nothing_leaked();
        }
    }
}

static void tick(struct pf *pf, unsigned argument)
{
    (void)argument;
    pf_tick(pf, harness_now);
}

/* The router does not answer: the filter asks again of its own. */
static void case_tick(void)
{
    begin(3);
    struct frame f;
    frames_udp(&f, PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33001, server_addr, 123, 48);
    play(&f, &plain);
    const unsigned long before = harness_frames;
    CHECK(before == 1, "%lu frames: the question", before);
    for (unsigned i = 0; i < 50; i++) {
        harness_now += 100;
        both(tick, 0);
    }
    CHECK(harness_frames - before == PF_ARP_TRIES - 1, "%lu more", harness_frames - before);
    frames_udp(&f, PF_SEGMENT, segment_mac, speaker_mac, x_addr, 33002, server_addr, 123, 48);
    (void)hand_over(&f, &plain);
    const unsigned long after = harness_frames;
    for (unsigned i = 0; i < 50; i++) {
        harness_now += 100;
        glue_lwip_tick();
    }
    CHECK(harness_frames - after == PF_ARP_TRIES - 1, "%lu more", harness_frames - after);
    nothing_leaked();
}

static void case_deauth(void)
{
    begin(3);
    glue_lock();
    glue_deauth(speaker_mac);
    CHECK(harness_deauths == 0, "too early");
    glue_unlock();
    CHECK(harness_deauths == 1, "%u", harness_deauths);
    CHECK(came_through() == 1, "a frame");
    glue_lwip_tick();
    CHECK(harness_deauths == 1, "once is enough: %u", harness_deauths);
}

/* ---- lwIP itself above it ---- */

static unsigned outside[0x10000]; /* by Ethernet type */
static struct frame last_out;

static err_t to_lwip(enum pf_port port, struct pbuf *p)
{
    if (port == PF_UPLINK || port == PF_SEGMENT) {
        const uint8_t *b = p->payload;
        outside[b[12] * 256 + b[13]]++;
        last_out.from = port;
        last_out.len = p->len;
        memcpy(last_out.bytes, b, p->len);
        return ERR_OK;
    }
    return ethernet_input(p, &netifs[port == PF_HOST_UPLINK ? GLUE_UPLINK : GLUE_SEGMENT]);
}

static void run_lwip(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 100) {
        harness_now += 100;
        sys_check_timeouts();
        glue_lwip_tick();
    }
}

/* IPv6 goes nowhere: lwIP's own does not leave, nobody else's arrives. */
static void case_lwip_has_no_ipv6(void)
{
    begin(3);
    harness_takes = TAKE_OTHER;
    harness_other = to_lwip;
    for (enum glue_side side = GLUE_UPLINK; side < GLUE_SIDES; side++) {
        netif_create_ip6_linklocal_address(&netifs[side], 1);
        netif_set_up(&netifs[side]);
        netif_set_link_up(&netifs[side]);
    }
    run_lwip(10000);
    CHECK(filter.counters[PF_C_drop_ipv6] > 2, "lwIP has sent %u: this tests nothing", filter.counters[PF_C_drop_ipv6]);
    CHECK(outside[0x86dd] == 0, "%u left", outside[0x86dd]);
    CHECK(outside[0x0806] > 0, "nothing left at all");
}

/* An echo request from the link is answered by lwIP, through the filter both ways. */
static void case_lwip_answers(void)
{
    begin(3);
    size_t count;
    const struct frame *history = frames_history(&count);
    harness_takes = TAKE_OTHER;
    harness_other = to_lwip;
    for (enum glue_side side = GLUE_UPLINK; side < GLUE_SIDES; side++) {
        netif_set_up(&netifs[side]);
        netif_set_link_up(&netifs[side]);
    }
    unsigned answered = 0;
    for (enum kind kind = RAM; kind < KINDS; kind++) {
        for (size_t i = 0; i < count; i++) {
            const struct frame *f = &history[i];
            if (f->from == PF_UPLINK && f->len == 98 && f->bytes[23] == 1) {
                (void)hand_over(f, &(struct shape){.kind = kind, .align = 2}); /* lwIP asks for the flatmate's MAC */
                for (size_t j = i; j < count; j++) {
                    if (history[j].from == PF_UPLINK && history[j].bytes[21] == 2 && history[j].bytes[27] == FLATMATE) {
                        (void)hand_over(&history[j], &(struct shape){.kind = kind});
                    }
                }
                const uint8_t *b = last_out.bytes;
                CHECK(last_out.from == PF_UPLINK && b[23] == 1 && b[34] == 0, "kind %d: no answer", (int)kind);
                CHECK(memcmp(b + 38, f->bytes + 38, 60) == 0, "another answer");
                answered++;
            }
        }
        run_lwip(1000);
    }
    CHECK(answered == KINDS, "%u answers", answered);
}

/* ---- Histories by chance ---- */

static void random_step(const struct frame *history, size_t count)
{
    const enum glue_side side = (enum glue_side)(harness_rand() % GLUE_SIDES);
    struct frame f;
    struct shape shape = {
        .kind = (enum kind)(harness_rand() % KINDS), .align = harness_rand() % 4, .held = harness_rand() % 8 == 0};
    for (unsigned i = 0; i < 2; i++) {
        shape.cut[i] = harness_rand() % 4 == 0 ? harness_rand() % 1600 : 0;
    }
    if (shape.cut[1] < shape.cut[0]) {
        shape.cut[1] = 0;
    }
    switch (harness_rand() % 40) {
    case 0:
        driver_starts(side);
        glue_lwip_attach(side, &netifs[side]);
        break;
    case 1:
        glue_lwip_detach(side);
        break;
    case 2:
    case 3:
        glue_lwip_attach(side, &netifs[side]);
        break;
    case 4:
        harness_now += harness_rand() % 3000;
        glue_lwip_tick();
        break;
    case 5:
        glue_lock();
        (void)pf_lease_end(&filter, pf_wire32(phone_addr), harness_now);
        frames_configure(&filter, harness_rand() % 16, harness_now);
        if (harness_rand() % 2 == 0) {
            glue_deauth(speaker_mac);
        }
        glue_unlock();
        break;
    case 6:
        harness_release();
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        frames_connection(&f, harness_rand() % 300, harness_rand() % 2 == 0);
        (void)hand_over(&f, &shape);
        break;
    default: {
        f = history[harness_rand() % count];
        if (harness_rand() % 4 == 0) {
            f.len = harness_rand() % (f.len + 1);
        }
        if (harness_rand() % 4 == 0 && f.len > 0) {
            f.bytes[harness_rand() % f.len] ^= (uint8_t)(1U << harness_rand() % 8);
        }
        (void)hand_over(&f, &shape);
        break;
    }
    }
}

static err_t takes_by_chance(enum pf_port port, struct pbuf *p);

static void case_random(void)
{
    size_t count;
    const struct frame *history = frames_history(&count);
    begin(3);
    for (unsigned round = 0; round < 60; round++) {
        harness_seed(round);
        filter_starts(round % 17);
        memory_is_short(round % 3 == 0 ? 100 : 0);
        harness_takes = TAKE_OTHER;
        harness_other = takes_by_chance;
        for (unsigned step = 0; step < 2000; step++) {
            random_step(history, count);
        }
        memory_is_short(0);
        harness_release();
        nothing_leaked();
    }
    CHECK(seen > 10000, "only %u frames", seen);
}

static err_t takes_by_chance(enum pf_port port, struct pbuf *p)
{
    seen++;
    return answer(port, p, harness_rand() % 8 == 0 ? ERR_MEM : ERR_OK);
}

static void case_threads(void)
{
    begin(3);
    threads_run();
}

/* ---- All of it ---- */

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"history", case_history},
    {"cuts", case_cuts},
    {"kinds", case_kinds},
    {"no_copy", case_no_copy},
    {"too_long", case_too_long},
    {"longest", case_longest},
    {"empty", case_empty},
    {"no_memory", case_no_memory},
    {"no_memory_at_all", case_no_memory_at_all},
    {"lwip_hears_of_no_memory", case_lwip_hears_of_no_memory},
    {"before_start", case_before_start},
    {"stop_and_start", case_stop_and_start},
    {"both_sides", case_both_sides},
    {"stops_in_the_middle", case_stops_in_the_middle},
    {"comes_back", case_comes_back},
    {"queue", case_queue},
    {"tick", case_tick},
    {"deauth", case_deauth},
    {"lwip_has_no_ipv6", case_lwip_has_no_ipv6},
    {"lwip_answers", case_lwip_answers},
    {"random", case_random},
    {"threads", case_threads},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(argv[1], "--list") == 0) {
            puts(cases[i].name);
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
