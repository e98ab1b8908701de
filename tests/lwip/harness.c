#include "harness.h"

#include <pthread.h>

#include "lwip/err.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"

enum { OUTS = 1024, KEPT = 4096 };

/* ---- Memory ---- */

static struct {
    pthread_mutex_t lock;
    unsigned long asked, fail_at, denied;
    unsigned short_of;
    long live;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};
static __thread bool armed; /* in the glue: what the harness asks for itself never fails */
static long lent;           /* buffers of a driver's that are on their way */
static unsigned rand_state = 1;

void harness_seed(unsigned seed)
{
    rand_state = seed * 2 + 1;
}

unsigned harness_rand(void)
{
    unsigned was = __atomic_load_n(&rand_state, __ATOMIC_RELAXED);
    was = was * 1664525U + 1013904223U;
    __atomic_store_n(&rand_state, was, __ATOMIC_RELAXED);
    return was >> 8;
}

static bool may_have(void)
{
    (void)pthread_mutex_lock(&memory.lock);
    bool granted = true;
    if (armed) {
        memory.asked++;
        granted = memory.asked != memory.fail_at && harness_rand() % 1000 >= memory.short_of;
    }
    memory.denied += granted ? 0 : 1;
    memory.live += granted ? 1 : 0;
    (void)pthread_mutex_unlock(&memory.lock);
    return granted;
}

void *harness_malloc(size_t size)
{
    return may_have() ? malloc(size) : NULL;
}

void *harness_calloc(size_t count, size_t size)
{
    return may_have() ? calloc(count, size) : NULL;
}

void harness_free(void *block)
{
    (void)pthread_mutex_lock(&memory.lock);
    memory.live--;
    (void)pthread_mutex_unlock(&memory.lock);
    free(block);
}

void memory_fails(unsigned long n)
{
    memory.asked = 0;
    memory.fail_at = n;
}

void memory_is_short(unsigned per_mille)
{
    memory.short_of = per_mille;
}

unsigned long memory_asked(void)
{
    return memory.asked;
}

unsigned long memory_denied(void)
{
    return memory.denied;
}

static long live_at_start;

void nothing_leaked(void)
{
    CHECK(lent == 0, "%ld buffers of the driver were not given back", lent);
    CHECK(memory.live == live_at_start, "%ld blocks of lwIP's memory are missing", memory.live - live_at_start);
}

/* ---- The platform's part of the glue ---- */

uint32_t harness_now = 1000;
int harness_start_error;
unsigned harness_deauths;
static pthread_mutex_t glue_mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread bool holding;

void glue_platform_lock(void)
{
    CHECK(!holding, "locked twice");
    (void)pthread_mutex_lock(&glue_mutex);
    holding = true;
}

void glue_platform_unlock(void)
{
    CHECK(holding, "unlocked twice");
    holding = false;
    (void)pthread_mutex_unlock(&glue_mutex);
}

int glue_platform_start(enum glue_ethernet ethernet)
{
    (void)ethernet;
    CHECK(!holding, "start with the lock");
    return harness_start_error;
}

void glue_platform_deauth(const uint8_t mac[6])
{
    CHECK(!holding, "deauth with the lock");
    CHECK(memcmp(mac, speaker_mac, 6) == 0, "another station");
    harness_deauths++;
}

uint32_t glue_now_ms(void)
{
    return __atomic_load_n(&harness_now, __ATOMIC_RELAXED);
}

int glue_random(uint8_t *buf, size_t len)
{
    memset(buf, 7, len);
    return 0;
}

/* ---- lwIP's part of the port ---- */

uint32_t sys_now(void)
{
    return glue_now_ms();
}

unsigned int lwip_port_rand(void);
unsigned int lwip_port_rand(void)
{
    return harness_rand();
}

/* lwIP's critical sections nest. */
static pthread_mutex_t protection;
static pthread_once_t protection_once = PTHREAD_ONCE_INIT;

static void make_protection(void)
{
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&protection, &attributes);
}

sys_prot_t sys_arch_protect(void)
{
    (void)pthread_once(&protection_once, make_protection);
    (void)pthread_mutex_lock(&protection);
    return 0;
}

void sys_arch_unprotect(sys_prot_t before)
{
    (void)before;
    (void)pthread_mutex_unlock(&protection);
}

/* ---- What comes out ---- */

struct outs {
    size_t count;
    struct {
        enum pf_port port;
        size_t len;
        uint8_t bytes[PF_FRAME_MAX];
    } one[OUTS];
};

static struct outs came, expected;
enum taker harness_takes;
err_t (*harness_other)(enum pf_port port, struct pbuf *p);
unsigned long harness_frames;

static struct {
    struct pbuf *p;
    size_t len;
    uint8_t bytes[PF_FRAME_MAX];
} kept[KEPT];
static size_t kept_count;

static void note(struct outs *o, enum pf_port port, const void *bytes, size_t len)
{
    CHECK(o->count < OUTS, "too many frames out");
    CHECK(len >= 14 && len <= PF_FRAME_MAX, "%zu bytes", len);
    o->one[o->count].port = port;
    o->one[o->count].len = len;
    memcpy(o->one[o->count].bytes, bytes, len);
    o->count++;
}

/* The buffer stays the giver's; who keeps it has a reference. */
static err_t take(enum pf_port port, struct pbuf *p)
{
    const enum taker how = harness_takes == TAKE_SOME ? (enum taker)(harness_rand() % 3) : harness_takes;
    CHECK(!holding, "a frame leaves while the lock is held");
    CHECK(p->next == NULL && p->len == p->tot_len, "a frame in pieces");
    CHECK(p->ref == 1, "a frame that somebody else holds");
    if (how == TAKE_OTHER) {
        return harness_other(port, p);
    }
    if (how == TAKE_NONE) {
        return ERR_MEM;
    }
    note(&came, port, p->payload, p->len);
    harness_frames++;
    if (how == TAKE_KEEP) {
        CHECK(kept_count < KEPT, "too many frames kept");
        kept[kept_count].p = p;
        kept[kept_count].len = p->len;
        memcpy(kept[kept_count].bytes, p->payload, p->len);
        kept_count++;
        pbuf_ref(p);
    }
    return ERR_OK;
}

void harness_release(void)
{
    for (size_t i = 0; i < kept_count; i++) {
        CHECK(kept[i].p->len == kept[i].len && memcmp(kept[i].p->payload, kept[i].bytes, kept[i].len) == 0,
              "a frame changed after it had left");
        (void)pbuf_free(kept[i].p);
    }
    kept_count = 0;
}

void harness_forget(void)
{
    came.count = 0;
}

static enum glue_side side_of(const struct netif *netif)
{
    return netif == &netifs[GLUE_UPLINK] ? GLUE_UPLINK : GLUE_SEGMENT;
}

/* Each start of a driver sets other functions than the one before: those must not be called again. */
static bool second[GLUE_SIDES];

static err_t driver_sends(struct netif *netif, struct pbuf *p, bool by_second)
{
    const enum glue_side side = side_of(netif);
    CHECK(by_second == second[side], "a driver from before it was stopped");
    return take(side == GLUE_UPLINK ? PF_UPLINK : PF_SEGMENT, p);
}

static err_t lwip_takes(struct pbuf *p, struct netif *netif, bool by_second)
{
    const enum glue_side side = side_of(netif);
    CHECK(by_second == second[side], "an input from before it was stopped");
    const err_t error = take(side == GLUE_UPLINK ? PF_HOST_UPLINK : PF_HOST_SEGMENT, p);
    if (error == ERR_OK && harness_takes != TAKE_OTHER) {
        (void)pbuf_free(p);
    }
    return error;
}

static err_t first_sends(struct netif *netif, struct pbuf *p)
{
    return driver_sends(netif, p, false);
}

static err_t second_sends(struct netif *netif, struct pbuf *p)
{
    return driver_sends(netif, p, true);
}

static err_t first_input(struct pbuf *p, struct netif *netif)
{
    return lwip_takes(p, netif, false);
}

static err_t second_input(struct pbuf *p, struct netif *netif)
{
    return lwip_takes(p, netif, true);
}

/* ---- The machine ---- */

struct netif netifs[GLUE_SIDES];

void driver_starts(enum glue_side side)
{
    second[side] = !second[side];
    netifs[side].input = second[side] ? second_input : first_input;
    netifs[side].linkoutput = second[side] ? second_sends : first_sends;
}

static err_t init_driver(struct netif *netif)
{
    const bool uplink = side_of(netif) == GLUE_UPLINK;
    netif->name[0] = uplink ? 's' : 'a';
    netif->name[1] = uplink ? 't' : 'p';
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = first_sends;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, uplink ? uplink_mac : segment_mac, 6);
    netif->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    return ERR_OK;
}

static void add(enum glue_side side, const uint8_t addr[4], const uint8_t router[4])
{
    ip4_addr_t ip;
    ip4_addr_t mask;
    ip4_addr_t gateway;
    IP4_ADDR(&ip, addr[0], addr[1], addr[2], addr[3]);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, router[0], router[1], router[2], router[3]);
    CHECK(netif_add(&netifs[side], &ip, &mask, &gateway, NULL, init_driver, first_input) != NULL, "netif_add");
}

void harness_start(void)
{
    lwip_init();
    add(GLUE_UPLINK, x_addr, (const uint8_t[4]){10, 66, 0, ROUTER});
    add(GLUE_SEGMENT, host_addr, (const uint8_t[4]){0, 0, 0, 0});
    live_at_start = memory.live;
}

struct pf filter, reference;

static void expect(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    note(&expected, port, frame, len);
}

void filter_starts(unsigned leases)
{
    static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    glue_lock();
    pf_init(&filter, key, glue_out, NULL, harness_now);
    frames_configure(&filter, leases, harness_now);
    glue_unlock();
    CHECK(came.count == 0, "a frame before the first one");
    pf_init(&reference, key, expect, NULL, harness_now);
    frames_configure(&reference, leases, harness_now);
    expected.count = 0;
    harness_frames = 0;
}

/* ---- A frame in a buffer ---- */

struct loan {
    struct pbuf_custom custom;
    uint8_t *memory;
};

static void give_back(struct pbuf *p)
{
    struct loan *const loan = (struct loan *)p;
    CHECK(!holding, "a driver's buffer is given back while the lock is held");
    (void)__atomic_sub_fetch(&lent, 1, __ATOMIC_RELAXED);
    free(loan->memory);
    free(loan);
}

/* Memory of exactly that size, so that a byte before or behind is noticed. */
static uint8_t *copy_at(const uint8_t *bytes, size_t len, unsigned align, uint8_t **start)
{
    uint8_t *const memory_of_it = malloc(len + align);
    *start = memory_of_it + align;
    memcpy(*start, bytes, len);
    return memory_of_it;
}

/* Not custom: the memory is the caller's to free, after the pbuf. */
static struct pbuf *piece(enum kind kind, const uint8_t *bytes, size_t len, unsigned align, uint8_t **memory_of_it)
{
    struct pbuf *p = NULL;
    uint8_t *start = NULL;
    if (kind == RAM || kind == POOL) {
        p = pbuf_alloc(PBUF_RAW, (u16_t)(len + align), kind == RAM ? PBUF_RAM : PBUF_POOL);
        CHECK(p != NULL && pbuf_remove_header(p, align) == 0, "no buffer");
        CHECK(len == 0 || pbuf_take(p, bytes, (u16_t)len) == ERR_OK, "no room");
    } else if (kind == ROM || kind == REF) {
        *memory_of_it = copy_at(bytes, len, align, &start);
        p = pbuf_alloc(PBUF_RAW, (u16_t)len, kind == ROM ? PBUF_ROM : PBUF_REF);
        CHECK(p != NULL, "no buffer");
        p->payload = start;
    } else {
        struct loan *const loan = calloc(1, sizeof(*loan));
        loan->memory = copy_at(bytes, len, align, &start);
        loan->custom.custom_free_function = give_back;
        const pbuf_type type = kind == CUSTOM ? PBUF_REF : kind == CUSTOM_RAM ? PBUF_RAM : PBUF_ROM;
        (void)__atomic_add_fetch(&lent, 1, __ATOMIC_RELAXED);
        p = pbuf_alloced_custom(PBUF_RAW, (u16_t)len, type, &loan->custom, start, (u16_t)len);
        CHECK(p != NULL, "no buffer");
    }
    return p;
}

enum { PIECES = 3 };

static struct pbuf *build(const struct frame *f, const struct shape *shape, uint8_t *memory_of_it[PIECES])
{
    struct pbuf *p = NULL;
    size_t at = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        size_t end = i < 2 && shape->cut[i] != 0 ? shape->cut[i] : f->len;
        end = end < at ? at : end > f->len ? f->len : end;
        if (p != NULL && end == at) {
            continue;
        }
        struct pbuf *const q = piece(shape->kind, f->bytes + at, end - at, shape->align, &memory_of_it[i]);
        if (p == NULL) {
            p = q;
        } else {
            pbuf_cat(p, q);
        }
        at = end;
    }
    if (shape->tail) {
        pbuf_cat(p, piece(RAM, f->bytes, 0, 0, NULL));
    }
    CHECK(at == f->len && p->tot_len == f->len, "built %u of %zu bytes", p->tot_len, f->len);
    return p;
}

static void is_unchanged(const struct pbuf *p, const struct frame *f)
{
    static __thread uint8_t now[FRAME_ROOM];
    CHECK(p->tot_len == f->len && p->ref == 1, "a buffer that is not the glue's");
    CHECK(pbuf_copy_partial(p, now, p->tot_len, 0) == f->len && memcmp(now, f->bytes, f->len) == 0,
          "a buffer that is not the glue's has changed");
}

static void arm(bool on)
{
    armed = on;
}

err_t hand_over(const struct frame *f, const struct shape *shape)
{
    const bool uplink = f->from == PF_UPLINK || f->from == PF_HOST_UPLINK;
    struct netif *const netif = &netifs[uplink ? GLUE_UPLINK : GLUE_SEGMENT];
    const bool received = f->from == PF_UPLINK || f->from == PF_SEGMENT;
    uint8_t *memory_of_it[PIECES] = {NULL};
    struct pbuf *const p = build(f, shape, memory_of_it);
    if (shape->held) {
        pbuf_ref(p);
    }
    arm(true);
    const err_t error = received ? netif->input(p, netif) : netif->linkoutput(netif, p);
    arm(false);
    if (received) {
        CHECK(error == ERR_OK, "the driver would free a frame that is gone");
    } else {
        CHECK(error == ERR_OK || error == ERR_MEM, "error %d", error);
    }
    if (!received && shape->held) {
        (void)pbuf_free(p);
    }
    if (!received || shape->held) {
        is_unchanged(p, f);
        (void)pbuf_free(p);
    }
    size_t at = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        if (memory_of_it[i] != NULL) { /* ROM, REF: lent without asking for it back */
            size_t end = i < 2 && shape->cut[i] != 0 ? shape->cut[i] : f->len;
            end = end < at ? at : end > f->len ? f->len : end;
            CHECK(memcmp(memory_of_it[i] + shape->align, f->bytes + at, end - at) == 0, "memory that was only lent");
            at = end;
            free(memory_of_it[i]);
        }
    }
    return error;
}

static bool is_same(size_t i, size_t j)
{
    return came.one[i].port == expected.one[j].port && came.one[i].len == expected.one[j].len &&
           memcmp(came.one[i].bytes, expected.one[j].bytes, came.one[i].len) == 0;
}

/* What came is what was expected, in that order, but for `lost` frames. */
static void compare(unsigned long lost)
{
    size_t i = 0;
    for (size_t j = 0; j < expected.count; j++) {
        if (i < came.count && is_same(i, j)) {
            i++;
        }
    }
    CHECK(i == came.count, "frame %zu of %zu that came out is not what the filter sent", i, came.count);
    CHECK(came.count + lost == expected.count, "%zu came, %lu were lost, %zu were sent", came.count, lost,
          expected.count);
    uint32_t counters[PF_COUNTER_COUNT];
    memcpy(counters, filter.counters, sizeof(counters));
    counters[PF_C_glue_lost] = reference.counters[PF_C_glue_lost];
    CHECK(memcmp(counters, reference.counters, sizeof(counters)) == 0, "other counters than the filter's");
    came.count = 0;
    expected.count = 0;
}

void play(const struct frame *f, const struct shape *shape)
{
    static uint8_t room[FRAME_ROOM + 4];
    uint32_t before[PF_COUNTER_COUNT];
    memcpy(before, filter.counters, sizeof(before));
    (void)hand_over(f, shape);
    uint32_t lost = filter.counters[PF_C_glue_lost] - before[PF_C_glue_lost];
    before[PF_C_glue_lost] += lost;
    if (lost == 1 && memcmp(before, filter.counters, sizeof(before)) == 0) {
        lost = 0; /* it never reached the filter */
    } else {
        memcpy(room + 2, f->bytes, f->len);
        (void)pf_input(&reference, f->from, room + 2, f->len, harness_now);
    }
    compare(lost);
    harness_now += 10;
}

void both(void (*what)(struct pf *pf, unsigned argument), unsigned argument)
{
    const uint32_t before = filter.counters[PF_C_glue_lost];
    glue_lock();
    arm(true);
    what(&filter, argument);
    arm(false);
    glue_unlock();
    what(&reference, argument);
    compare(filter.counters[PF_C_glue_lost] - before);
}

void play_history(const struct shape *shape)
{
    size_t count;
    const struct frame *history = frames_history(&count);
    filter_starts(3);
    for (size_t i = 0; i < count; i++) {
        play(&history[i], shape);
    }
}
