/*
 * What a frame costs in the packet filter, in instructions. One program for rv32 without an operating system and for
 * the host under callgrind (platform.h); bench.py builds, runs and reads it.
 *
 * Only the call of pf_input() is counted, together with an output callback that just counts. Frames are built anew for
 * each round, outside of the count. Every frame's verdict, the counter that it raised and the number of frames that came
 * out are checked, and for forwarded ones, in a round that is not counted, also every byte that the filter is to change.
 * The first row is an empty function: what the harness itself costs.
 *
 * Output, a line a row: row NAME MODE PAYLOAD LEASES FILL FRAMES SUM LEAST MOST  (SUM, LEAST, MOST: rv32 only)
 */
#include "pf.h"
#include "platform.h"

enum {
    ROUTER_NET = 0x0a420000,
    ROUNDS = 64,
    STEP_MS = 60,
    MAX_CONNS = PF_FLOWS,
    HEADERS = 14 + 20 + 20,
    STRANGERS = 64
};
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum mode { PASSTHROUGH, PRIVATE, MODES };
enum side { FROM_REMOTE, FROM_OWNER };

/* Which flows a table is filled with. */
enum family { TCP, UDP, PHONE_TCP, PHONE_UDP, HOST_TCP, HOST_UDP, MOVED_TCP, FAMILIES };

#define COUNTER_NAME(name) #name,
static const char *const counter_names[PF_COUNTER_COUNT] = {PF_COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME

static const char *const mode_name[MODES] = {"passthrough", "private"};

/* A connection, by numbers in host order. */
struct conn {
    uint32_t raddr;
    uint16_t rport, lport, eport;
    uint8_t udp, host, inbound;
    int lease;        /* -1: none */
    uint32_t next[2]; /* sequence numbers */
};

static const uint8_t mac_uplink[6] = {2, 0, 0, 0, 0x42, 0x10};
static const uint8_t mac_segment[6] = {2, 0, 0, 0, 0x42, 0x11};
static const uint8_t mac_router[6] = {2, 0, 0, 0, 0x42, 1};
static const uint8_t mac_speaker[6] = {2, 0, 0, 0, 0x42, 0x20};
static const uint8_t mac_stranger[6] = {2, 0, 0, 0, 0x42, 0x50};

static const uint32_t addr_x = ROUTER_NET + 100;
static const uint32_t addr_router = ROUTER_NET + 1;
static const uint32_t addr_phones = ROUTER_NET + 0x100;
static const uint32_t addr_stranger = ROUTER_NET + 0x200;
static const uint32_t addr_server = 0xcb007100;
static const uint32_t addr_host = 0xc0a84d01;
static const uint32_t addr_alias = 0xc0a84d02;

static struct pf pf, saved;
static uint32_t now_ms;
static enum mode mode;
static unsigned leases, fill;
static struct conn conns[MAX_CONNS];
static unsigned conn_count;

/* Two bytes off, as a driver does it, so that the IP header is aligned. */
static uint32_t buffer[(PF_FRAME_MAX + 5) / 4];
static uint8_t *const frame = (uint8_t *)buffer + 2;
static size_t frame_len;

static uint32_t outs;
static uint32_t out_port, out_len;
static uint8_t out_frame[PF_FRAME_MAX];

/* ---- Text ---------------------------------------------------------------------------------------------------------- */

static void put(const char *s)
{
    for (; *s != 0; s++) {
        put_char(*s);
    }
}

static void put_number(uint64_t n)
{
    char digits[21];
    unsigned i = sizeof(digits) - 1;
    digits[i] = 0;
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    put(digits + i);
}

static void put_numbers(const uint64_t *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        put(" ");
        put_number(n[i]);
    }
}

enum { NOTHING_TO_SHOW = -1 };

/* `got`: a verdict or a number, where one tells more. */
static _Noreturn void fail(const char *row, const char *what, int got)
{
    put("FAIL ");
    put(row);
    put(" (");
    put(mode_name[mode]);
    put(", leases");
    put_numbers((const uint64_t[]){leases}, 1);
    put(", flows");
    put_numbers((const uint64_t[]){fill}, 1);
    put("): ");
    put(what);
    if (got != NOTHING_TO_SHOW) {
        put(", got ");
        put(got < PF_COUNTER_COUNT ? counter_names[got] : "number");
        put_numbers((const uint64_t[]){(uint64_t)got}, 1);
    }
    put("\n");
    finish(1);
}

/* ---- Frames -------------------------------------------------------------------------------------------------------- */

static void set16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void set32(uint8_t *p, uint32_t v)
{
    set16(p, v >> 16);
    set16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static void copy(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

static uint32_t wire32(uint32_t v)
{
    uint8_t b[4];
    set32(b, v);
    return pf_wire32(b);
}

static uint32_t sum(const uint8_t *p, size_t len)
{
    uint32_t s = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        s += get16(p + i);
    }
    return (len & 1) != 0 ? s + ((uint32_t)p[len - 1] << 8) : s;
}

static uint32_t fold(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    return (s + (s >> 16)) & 0xffff;
}

static uint32_t l4_sum(const uint8_t *f)
{
    const uint32_t len = get16(f + 16) - 20;
    return fold(fold(sum(f + 26, 8) + f[23] + len) + fold(sum(f + 34, len)));
}

/* Ethernet and IP header; the L4 header is there already, its checksum 0. */
static void finish_ip(const uint8_t *to, const uint8_t *from, unsigned proto, uint32_t src, uint32_t dst, size_t l4_len)
{
    copy(frame, to, 6);
    copy(frame + 6, from, 6);
    set16(frame + 12, 0x0800);
    set16(frame + 14, 0x4500);
    set16(frame + 16, (uint32_t)(20 + l4_len));
    set16(frame + 18, 0x1234);
    set16(frame + 20, 0x4000);
    set16(frame + 22, 64U << 8 | proto);
    set16(frame + 24, 0);
    set32(frame + 26, src);
    set32(frame + 30, dst);
    set16(frame + 24, ~fold(sum(frame + 14, 20)));
    set16(frame + 34 + (proto == 6 ? 16 : 6), ~l4_sum(frame));
    frame_len = 34 + l4_len;
}

/* What Linux sends first: MSS, SACK permitted, timestamps, window scale. */
static const uint8_t syn_options[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};

static size_t tcp_header(uint32_t sport, uint32_t dport, uint32_t seq, uint32_t ack, unsigned flags)
{
    const size_t options = (flags & SYN) != 0 ? sizeof(syn_options) : 0;
    uint8_t *tcp = frame + 34;
    set16(tcp, sport);
    set16(tcp + 2, dport);
    set32(tcp + 4, seq);
    set32(tcp + 8, (flags & ACK) != 0 ? ack : 0);
    tcp[12] = (uint8_t)((20 + options) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    set16(tcp + 14, 502);
    set32(tcp + 16, 0);
    copy(tcp + 20, syn_options, options);
    return 20 + options;
}

static size_t udp_header(uint32_t sport, uint32_t dport, size_t payload)
{
    set16(frame + 34, sport);
    set16(frame + 36, dport);
    set16(frame + 38, (uint32_t)(8 + payload));
    set16(frame + 40, 0);
    return 8;
}

static void fill_payload(size_t at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        frame[at + i] = (uint8_t)(i * 7 + 3);
    }
}

static void phone_mac(uint8_t mac[6], int lease)
{
    copy(mac, (const uint8_t[]){2, 0, 0, 0, 0x77, (uint8_t)(lease + 1)}, 6);
}

static uint32_t addr_s(void)
{
    return mode == PRIVATE ? addr_alias : addr_x;
}

static void remote_mac(uint8_t mac[6], const struct conn *c)
{
    copy(mac, mac_router, 6);
    if (c->lease >= 0) {
        phone_mac(mac, c->lease);
    }
}

/* The next frame of a connection; it carries on where the last one in each direction ended. */
static void conn_frame(struct conn *c, enum side from, unsigned flags, size_t payload)
{
    const bool in = from == FROM_REMOTE;
    const uint32_t sport = in ? c->rport : c->lport;
    const uint32_t dport = in ? c->eport : c->rport;
    uint8_t remote[6];
    remote_mac(remote, c);
    size_t header = 0;
    if (c->udp != 0) {
        header = udp_header(sport, dport, payload);
    } else {
        header = tcp_header(sport, dport, c->next[from], c->next[from ^ 1], flags);
        c->next[from] += (uint32_t)payload + ((flags & (SYN | FIN)) != 0 ? 1 : 0);
    }
    fill_payload(34 + header, payload);
    const unsigned proto = c->udp != 0 ? 17 : 6;
    const uint32_t owner = c->host != 0 ? addr_x : addr_s();
    if (in) {
        finish_ip(mac_uplink, remote, proto, c->raddr, addr_x, header + payload);
    } else if (c->host != 0) {
        finish_ip(remote, mac_uplink, proto, owner, c->raddr, header + payload);
    } else {
        finish_ip(mac_segment, mac_speaker, proto, owner, c->raddr, header + payload);
    }
}

static void arp_frame(unsigned op, const uint8_t *to, const uint8_t *from, uint32_t from_addr, uint32_t target)
{
    static const uint8_t head[8] = {8, 6, 0, 1, 8, 0, 6, 4};
    copy(frame, to, 6);
    copy(frame + 6, from, 6);
    copy(frame + 12, head, 8);
    set16(frame + 20, op);
    copy(frame + 22, from, 6);
    set32(frame + 28, from_addr);
    copy(frame + 32, op == 2 ? to : (const uint8_t[6]){0}, 6);
    set32(frame + 38, target);
    frame_len = 42;
}

static void ssdp_frame(const uint8_t *from, uint32_t from_addr, const char *start)
{
    static const uint8_t group[6] = {1, 0, 0x5e, 0x7f, 0xff, 0xfa};
    const char *const text[] = {start,
                                " * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
                                "ST: urn:schemas-upnp-org:device:ZonePlayer:1\r\n\r\n"};
    size_t len = 0;
    for (unsigned i = 0; i < 2; i++) {
        for (const char *s = text[i]; *s != 0; s++) {
            frame[42 + len++] = (uint8_t)*s;
        }
    }
    (void)udp_header(50000, 1900, len);
    finish_ip(group, from, 17, from_addr, 0xeffffffa, 8 + len);
}

/* ---- The filter ---------------------------------------------------------------------------------------------------- */

static void count_out(void *ctx, enum pf_port port, const uint8_t *f, size_t len)
{
    (void)ctx;
    (void)port;
    (void)f;
    (void)len;
    outs++;
}

static void keep_out(void *ctx, enum pf_port port, const uint8_t *f, size_t len)
{
    (void)ctx;
    outs++;
    out_port = port;
    out_len = (uint32_t)len;
    copy(out_frame, f, len);
}

/* A frame that is not counted. */
static void expect(const char *what, enum pf_port from, enum pf_counter want)
{
    pf.out = keep_out;
    const enum pf_counter got = pf_input(&pf, from, frame, frame_len, now_ms);
    if (got != want) {
        fail(what, "a wrong verdict on a frame to set up or check", (int)got);
    }
}

typedef enum pf_counter (*input_fn)(struct pf *, enum pf_port, uint8_t *, size_t, uint32_t);

/* Two instructions on either machine; bench.py knows. */
__attribute__((noinline)) static enum pf_counter nothing(struct pf *p, enum pf_port from, uint8_t *f, size_t len,
                                                         uint32_t now)
{
    (void)p;
    (void)from;
    (void)f;
    (void)len;
    (void)now;
    return PF_C_none;
}

static uint32_t spent;

/* Not static: bench.py looks for its name to tell counted frames from others in a trace. */
enum pf_counter counted(input_fn fn, enum pf_port from);
__attribute__((noinline)) enum pf_counter counted(input_fn fn, enum pf_port from)
{
    const size_t len = frame_len;
    const uint32_t now = now_ms;
    const uint32_t start = count_start();
    const enum pf_counter c = fn(&pf, from, frame, len, now);
    spent = count_since(start);
    return c;
}

/* ---- Rows ---------------------------------------------------------------------------------------------------------- */

static struct {
    const char *name;
    size_t payload;
    uint64_t frames, total;
    uint32_t least, most;
} row;

#ifdef BENCH_ONLY /* for a trace: one row of one table */
static bool text_eq(const char *a, const char *b)
{
    for (; *a != 0 && *a == *b; a++, b++) {}
    return *a == *b;
}

static bool wanted_table(enum mode m, unsigned n, unsigned flows)
{
    return m == BENCH_MODE && n == BENCH_LEASES && flows == BENCH_FILL;
}

static bool wanted(const char *name, size_t payload)
{
    return text_eq(name, BENCH_ONLY) && payload == BENCH_PAYLOAD && fill == BENCH_FILL;
}
#else
static bool wanted_table(enum mode m, unsigned n, unsigned flows)
{
    (void)m;
    (void)n;
    (void)flows;
    return true;
}

static bool wanted(const char *name, size_t payload)
{
    (void)name;
    (void)payload;
    return true;
}
#endif

static void begin(const char *name, size_t payload)
{
    row.name = name;
    row.payload = payload;
    row.frames = 0;
    row.total = 0;
    row.least = UINT32_MAX;
    row.most = 0;
}

static void end(void)
{
    put("row ");
    put(row.name);
    put(" ");
    put(mode_name[mode]);
    put_numbers((const uint64_t[]){row.payload, leases, fill, row.frames, row.total, row.least, row.most}, 7);
    put("\n");
    count_row();
}

/* Counts one frame, the one in the buffer. */
static void count(enum pf_port from, enum pf_counter want, uint32_t want_outs)
{
    const uint32_t raised = pf.counters[want];
    pf.out = count_out;
    outs = 0;
    const enum pf_counter got = counted(pf_input, from);
    if (got != want || pf.counters[want] != raised + 1) {
        fail(row.name, "a wrong verdict", (int)got);
    }
    if (outs != want_outs) {
        fail(row.name, "a wrong number of frames out", (int)outs);
    }
    row.frames++;
    row.total += spent;
    row.least = spent < row.least ? spent : row.least;
    row.most = spent > row.most ? spent : row.most;
}

/* By words: the C library's copy takes six instructions a byte. */
static void copy_state(struct pf *to, const struct pf *from)
{
    uint32_t *t = (uint32_t *)(void *)to;
    const uint32_t *f = (const uint32_t *)(const void *)from;
    for (size_t i = 0; i < sizeof(struct pf) / 4; i++) {
        t[i] = f[i];
    }
}

static void measure_nothing(void)
{
    begin("nothing", 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)counted(nothing, PF_UPLINK);
        row.frames++;
        row.total += spent;
        row.least = spent < row.least ? spent : row.least;
        row.most = spent > row.most ? spent : row.most;
    }
    end();
}

/* ---- Connections --------------------------------------------------------------------------------------------------- */

static enum pf_port port_of(const struct conn *c, enum side from)
{
    return from == FROM_REMOTE ? PF_UPLINK : c->host != 0 ? PF_HOST_UPLINK : PF_SEGMENT;
}

static enum pf_counter verdict_of(const struct conn *c, enum side from)
{
    if (c->host != 0) {
        return from == FROM_REMOTE ? PF_C_pass_uplink_host : PF_C_pass_host_uplink;
    }
    return from == FROM_REMOTE ? PF_C_pass_uplink_speaker : PF_C_pass_speaker_uplink;
}

static void check(const char *what, bool good, const char *why)
{
    if (!good) {
        fail(what, why, NOTHING_TO_SHOW);
    }
}

/* The frame that came out, field by field. */
static void check_out(const char *what, const struct conn *c, enum side from)
{
    const bool in = from == FROM_REMOTE;
    const uint32_t owner = c->host != 0 ? addr_x : addr_s();
    uint8_t remote[6];
    remote_mac(remote, c);
    check(what, outs == 1 && out_len == frame_len, "not one frame of the same length came out");
    check(what,
          out_port == (uint32_t)(!in            ? PF_UPLINK
                                 : c->host != 0 ? PF_HOST_UPLINK
                                                : PF_SEGMENT),
          "a frame came out at a wrong port");
    check(what, same(out_frame, !in ? remote : c->host != 0 ? mac_uplink : mac_speaker, 6), "a wrong MAC to");
    check(what, same(out_frame + 6, !in ? mac_uplink : c->host != 0 ? remote : mac_segment, 6), "a wrong MAC from");
    check(what, get32(out_frame + 26) == (in ? c->raddr : addr_x), "a wrong source address");
    check(what, get32(out_frame + 30) == (in ? owner : c->raddr), "a wrong destination address");
    check(what, get16(out_frame + 34) == (in ? c->rport : c->eport), "a wrong source port");
    check(what, get16(out_frame + 36) == (in ? c->lport : c->rport), "a wrong destination port");
    check(what, out_frame[22] == (c->host != 0 ? 64 : 63), "a wrong TTL");
    check(what, fold(sum(out_frame + 14, 20)) == 0xffff, "a wrong IP checksum");
    check(what, l4_sum(out_frame) == 0xffff, "a wrong TCP or UDP checksum");
}

static void exchange(const char *what, struct conn *c, enum side from, unsigned flags, size_t payload)
{
    conn_frame(c, from, flags, payload);
    outs = 0;
    expect(what, port_of(c, from), verdict_of(c, from));
    if (from == FROM_OWNER) {
        c->eport = (uint16_t)get16(out_frame + 34);
    }
    check_out(what, c, from);
}

static void open_conn(const char *what, struct conn *c)
{
    const enum side opener = c->inbound != 0 ? FROM_REMOTE : FROM_OWNER;
    now_ms += STEP_MS; /* slower than any limit on new flows */
    if (c->udp != 0) {
        exchange(what, c, opener, 0, 64);
        exchange(what, c, opener ^ 1, 0, 64);
        return;
    }
    exchange(what, c, opener, SYN, 0);
    exchange(what, c, opener ^ 1, SYN | ACK, 0);
    exchange(what, c, opener, ACK, 0);
}

/* The i-th connection of a kind. `moved`: its port at X cannot be its own. */
static struct conn conn_of(enum family family, unsigned i)
{
    struct conn c = {.lease = -1, .next = {1000003U * (i + 1), 777767777U * (i + 1)}};
    const bool phone = family == PHONE_TCP || family == PHONE_UDP;
    c.udp = family == UDP || family == PHONE_UDP || family == HOST_UDP;
    c.host = family == HOST_TCP || family == HOST_UDP;
    c.inbound = family == PHONE_TCP;
    c.lport = (uint16_t)(33000 + i);
    c.rport = c.udp != 0 ? 3478 : 443;
    c.raddr = addr_server + 10 + i % 8;
    if (phone) {
        c.lease = (int)(i % leases);
        c.raddr = addr_phones + (uint32_t)c.lease;
        c.rport = (uint16_t)(49152 + i);
        c.lport = family == PHONE_TCP ? 1400 : (uint16_t)(33000 + i);
    }
    c.eport = c.lport;
    return c;
}

static void start(void)
{
    static const uint8_t key[16] = "speakeasy bench";
    now_ms = 1000000;
    conn_count = 0;
    pf_init(&pf, key, keep_out, NULL, now_ms);
    struct pf_config cfg = {.addr = wire32(addr_x), .mask = wire32(0xfffffc00), .router = wire32(addr_router)};
    copy(cfg.uplink_mac, mac_uplink, 6);
    copy(cfg.segment_mac, mac_segment, 6);
    cfg.dns[0] = cfg.router;
    cfg.speaker_addr = wire32(addr_s());
    cfg.host_addr = wire32(addr_host);
    cfg.alias = wire32(addr_alias);
    cfg.claim_port = pf_wire16(80);
    pf_configure(&pf, &cfg, now_ms);
    pf_speaker(&pf, mac_speaker, now_ms);
    for (unsigned i = 0; i < leases; i++) {
        uint8_t mac[6];
        phone_mac(mac, (int)i);
        check("lease", pf_lease_add(&pf, wire32(addr_phones + i), mac, 24 * 3600, now_ms) >= 0, "no lease");
    }
    /* The filter asks for the router's MAC when it first needs it. The flow that made it ask is over by time before the
     * table is filled, and so is the answer: it asks again. */
    struct conn c = conn_of(UDP, 0);
    conn_frame(&c, FROM_OWNER, 0, 0);
    expect("router", PF_SEGMENT, PF_C_frames_pending);
    arp_frame(2, mac_uplink, mac_router, addr_router, addr_x); /* not changed: used twice */
    expect("router", PF_UPLINK, PF_C_arp_learned);
    now_ms += (PF_TIME_UDP + 10) * 1000U;
    for (unsigned i = 0; i <= PF_FLOWS / PF_SWEEP; i++) {
        pf_tick(&pf, now_ms);
    }
    expect("router", PF_UPLINK, PF_C_arp_learned);
}

static unsigned flows_now(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < PF_FLOWS; i++) {
        struct pf_flow_info info;
        n += pf_flow_get(&pf, i, &info, now_ms) ? 1 : 0;
    }
    return n;
}

/* Flows that the family may have at most: a share of the table is kept for phones. */
static unsigned room_of(enum family family)
{
    return family == PHONE_TCP || family == PHONE_UDP ? PF_FLOWS : PF_FLOWS - PF_PHONE_SHARE;
}

/* Fills the table with `n` flows: those of the family, conns[0..conn_count), and where it may not have more, phones'. */
static void fill_table(enum family family, unsigned n)
{
    start();
    fill = n;
    const unsigned own = n < room_of(family) ? n : room_of(family);
    if (family == MOVED_TCP) { /* half of them the host's, which has the ports first */
        for (unsigned i = 0; i < own / 2; i++) {
            struct conn c = conn_of(HOST_TCP, i);
            open_conn("fill", &c);
        }
    }
    for (unsigned i = 0; i < (family == MOVED_TCP ? own / 2 : own); i++) {
        conns[i] = conn_of(family, i);
        open_conn("fill", &conns[i]);
        check("fill", family != MOVED_TCP || conns[i].eport != conns[i].lport, "a taken port was used twice");
        conn_count++;
    }
    for (unsigned i = own; i < n; i++) {
        struct conn c = conn_of(PHONE_TCP, i);
        open_conn("fill", &c);
    }
    if (flows_now() != n) {
        fail("fill", "a wrong number of flows in the table", (int)flows_now());
    }
}

/* ---- What is measured ---------------------------------------------------------------------------------------------- */

/* Frames of the flows in the table, in turn, with some time between them. */
static void measure_flows(const char *name, enum side from, size_t payload)
{
    if (!wanted(name, payload)) {
        return;
    }
    for (unsigned i = 0; i < conn_count; i++) {
        exchange(name, &conns[i], from, ACK | PSH, payload);
    }
    begin(name, payload);
    const unsigned rounds = conn_count < ROUNDS ? ROUNDS : conn_count;
    for (unsigned i = 0; i < rounds; i++) {
        struct conn *c = &conns[i % conn_count];
        conn_frame(c, from, ACK | PSH, payload);
        now_ms++;
        count(port_of(c, from), verdict_of(c, from), 1);
    }
    end();
    if (flows_now() != fill) {
        fail(name, "flows came or went", (int)flows_now());
    }
}

static void measure_family(enum family family)
{
    static const char *const names[FAMILIES][2] = {
        [TCP] = {"tcp_in", "tcp_out"},
        [UDP] = {"udp_in", "udp_out"},
        [PHONE_TCP] = {"phone_in", "phone_out"},
        [PHONE_UDP] = {"phone_udp_in", "phone_udp_out"},
        [HOST_TCP] = {"host_in", "host_out"},
        [HOST_UDP] = {"host_udp_in", "host_udp_out"},
        [MOVED_TCP] = {"tcp_moved_in", "tcp_moved_out"},
    };
    static const size_t payloads[] = {64, 1000};
    for (unsigned i = 0; i < 2; i++) {
        measure_flows(names[family][FROM_OWNER], FROM_OWNER, payloads[i]);
        measure_flows(names[family][FROM_REMOTE], FROM_REMOTE, payloads[i]);
    }
}

static void stranger_tcp(unsigned i, uint32_t port, unsigned flags)
{
    const size_t len = tcp_header(20000 + i * 7, port, i * 1000003, 1, flags);
    finish_ip(mac_uplink, mac_stranger, 6, addr_stranger + i, addr_x, len);
}

static void stranger_udp(unsigned i)
{
    const size_t len = udp_header(20000 + i * 7, 1900, 32);
    fill_payload(34 + len, 32);
    finish_ip(mac_uplink, mac_stranger, 17, addr_stranger + i, addr_x, len + 32);
}

/* The host and the speaker with each other. */
static void local_tcp(enum side from, unsigned i)
{
    const size_t len =
        tcp_header(from == FROM_OWNER ? 1400 : 40000 + i, from == FROM_OWNER ? 40000 + i : 1400, 1, 1, ACK | PSH);
    fill_payload(34 + len, 64);
    if (from == FROM_OWNER) {
        finish_ip(mac_segment, mac_speaker, 6, addr_s(), addr_host, len + 64);
    } else {
        finish_ip(mac_speaker, mac_segment, 6, addr_host, addr_alias, len + 64);
    }
}

enum other {
    STRANGER_SYN,
    STRANGER_SYN_CLOSED,
    STRANGER_ACK,
    STRANGER_UDP,
    ARP,
    MSEARCH,
    NOTIFY,
    SPEAKER_HOST,
    HOST_SPEAKER,
    OTHERS
};

static void other_frame(enum other what, unsigned i)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t mac[6];
    phone_mac(mac, (int)(i % leases));
    switch (what) {
    case STRANGER_SYN:
        stranger_tcp(i, 1400, SYN);
        break;
    case STRANGER_SYN_CLOSED:
        stranger_tcp(i, 8080, SYN);
        break;
    case STRANGER_ACK:
        stranger_tcp(i, 1400, ACK);
        break;
    case STRANGER_UDP:
        stranger_udp(i);
        break;
    case ARP:
        arp_frame(1, all, mac_speaker, addr_s(), i % 2 == 0 ? addr_router : addr_phones + i);
        break;
    case MSEARCH:
        ssdp_frame(mac, addr_phones + i % leases, "M-SEARCH");
        break;
    case NOTIFY:
        ssdp_frame(mac_speaker, addr_s(), "NOTIFY");
        break;
    case SPEAKER_HOST:
        local_tcp(FROM_OWNER, i);
        break;
    case HOST_SPEAKER:
    default:
        local_tcp(FROM_REMOTE, i);
        break;
    }
}

static const struct {
    const char *name;
    enum pf_port from;
    enum pf_counter verdict;
    unsigned outs;
} others[OTHERS] = {
    [STRANGER_SYN] = {"stranger_syn", PF_UPLINK, PF_C_drop_no_lease, 0},
    [STRANGER_SYN_CLOSED] = {"stranger_syn_closed", PF_UPLINK, PF_C_drop_no_rule, 0},
    [STRANGER_ACK] = {"stranger_ack", PF_UPLINK, PF_C_drop_no_flow, 0},
    [STRANGER_UDP] = {"stranger_udp", PF_UPLINK, PF_C_drop_no_rule, 0},
    [ARP] = {"arp", PF_SEGMENT, PF_C_arp_answered, 1},
    [MSEARCH] = {"msearch", PF_UPLINK, PF_C_relay_search, 1},
    [NOTIFY] = {"notify", PF_SEGMENT, PF_C_relay_notify, 1}, /* one for each lease */
    [SPEAKER_HOST] = {"speaker_host", PF_SEGMENT, PF_C_pass_speaker_host, 1},
    [HOST_SPEAKER] = {"host_speaker", PF_HOST_SEGMENT, PF_C_pass_host_speaker, 1},
};

/* Frames outside of flows. The filter is put back after each, so that no rate limit comes in. */
static void measure_other(enum other what)
{
    if (!wanted(others[what].name, 0)) {
        return;
    }
    begin(others[what].name, 0);
    copy_state(&saved, &pf);
    for (unsigned i = 0; i < STRANGERS; i++) {
        copy_state(&pf, &saved);
        other_frame(what, i);
        count(others[what].from, others[what].verdict, what == NOTIFY ? leases : others[what].outs);
    }
    end();
    copy_state(&pf, &saved);
}

/* First frames of new flows. `collide`: the host has each one's port. `full`: one flow has to go for each. */
static void measure_new(const char *name, enum family family, bool collide, bool full)
{
    if (!wanted(name, 0)) {
        return;
    }
    begin(name, 0);
    now_ms += 10000; /* what has been made before is behind */
    copy_state(&saved, &pf);
    for (unsigned i = 0; i < ROUNDS; i++) {
        copy_state(&pf, &saved);
        struct conn c = conn_of(family, PF_FLOWS + i * 5);
        if (collide) { /* with one that does not give way to this: those were made first */
            const unsigned first = full ? conn_count / 2 : 0;
            c.lport = (uint16_t)(33000 + first + i * (PF_FLOWS / ROUNDS) % (conn_count - first));
            c.eport = c.lport;
        }
        pf.random_left = i % 8; /* eight numbers are made at a time: each has its share of that */
        const struct conn before = c;
        outs = 0;
        exchange(name, &c, c.inbound != 0 ? FROM_REMOTE : FROM_OWNER, SYN, 0);
        check(name, !collide || c.eport != c.lport, "a taken port was used twice");
        copy_state(&pf, &saved);
        pf.random_left = i % 8;
        c = before;
        const uint32_t made = pf.counters[PF_C_flows_made];
        const uint32_t evicted = pf.counters[PF_C_flows_evicted];
        const enum side opener = c.inbound != 0 ? FROM_REMOTE : FROM_OWNER;
        conn_frame(&c, opener, SYN, 0);
        count(port_of(&c, opener), verdict_of(&c, opener), 1);
        if (pf.counters[PF_C_flows_made] != made + 1) {
            fail(name, "not one new flow", (int)(pf.counters[PF_C_flows_made] - made));
        }
        if (pf.counters[PF_C_flows_evicted] - evicted != (full ? 1 : 0)) {
            fail(name, "a wrong number of evicted flows", (int)(pf.counters[PF_C_flows_evicted] - evicted));
        }
    }
    end();
    copy_state(&pf, &saved);
}

/* Strangers at the claim port: first ones, and while all its places are taken by half-open connections. */
static void measure_claims(const char *name, bool full)
{
    if (!wanted(name, 0)) {
        return;
    }
    begin(name, 0);
    for (unsigned i = 0; full && i < PF_CLAIM_FLOWS; i++) {
        now_ms += 1000;
        stranger_tcp(STRANGERS + i, 80, SYN);
        expect(name, PF_UPLINK, PF_C_pass_uplink_host);
    }
    now_ms += 10000;
    copy_state(&saved, &pf);
    for (unsigned i = 0; i < ROUNDS; i++) {
        copy_state(&pf, &saved);
        const uint32_t evicted = pf.counters[PF_C_flows_evicted];
        stranger_tcp(i, 80, SYN);
        count(PF_UPLINK, PF_C_pass_uplink_host, full ? 2 : 1); /* the host gets a RST for the one that goes */
        check(name, (pf.counters[PF_C_flows_evicted] != evicted) == full, "a wrong number of evicted flows");
    }
    end();
}

static void measure_table(unsigned n)
{
    for (enum family family = TCP; family < FAMILIES; family++) {
        if (family == MOVED_TCP && n < 2) {
            continue;
        }
        fill_table(family, n);
        measure_family(family);
        if (family == TCP) {
            for (enum other what = STRANGER_SYN; what < OTHERS; what++) {
                measure_other(what);
            }
        }
    }
}

/* In a table of `n` flows; a full one has to lose one for each. */
static void measure_new_flows(unsigned n)
{
    const bool full = n == PF_FLOWS;
    fill_table(TCP, n); /* nothing but established flows */
    measure_new("new_tcp", TCP, false, full);
    measure_new("new_phone", PHONE_TCP, false, full);
    measure_claims("new_claim", full);
    if (n == 0) {
        return;
    }
    fill_table(HOST_TCP, n);
    measure_new("new_tcp_moved", TCP, true, full);
    if (full) {
        fill_table(UDP, n);
        measure_new("new_tcp_udp_goes", TCP, false, full);
        fill_table(PHONE_TCP, n); /* nobody has flows but phones */
        measure_new("new_phone_phone_goes", PHONE_TCP, false, full);
    }
}

int main(void)
{
    static const unsigned fills[] = {0, 1, 16, 64, 256, PF_FLOWS};
    static const unsigned lease_counts[] = {1, PF_LEASES};
    leases = 1;
    start();
    measure_nothing();
    for (mode = PASSTHROUGH; mode < MODES; mode++) {
        for (unsigned i = 0; i < 2; i++) {
            leases = lease_counts[i];
            for (unsigned n = 0; n < sizeof(fills) / sizeof(fills[0]); n++) {
                if (!wanted_table(mode, leases, fills[n])) {
                    continue;
                }
                if (fills[n] > 0) {
                    measure_table(fills[n]);
                }
                measure_new_flows(fills[n]);
            }
        }
    }
    put("done\n");
    return 0;
}
