/* MicroPython module `pktfilter`: the filter's control, with 4-byte addresses and 6-byte MACs in network order. */
#include "glue.h"

#include "py/mperrno.h"
#include "py/objtuple.h"
#include "py/runtime.h"

enum { RANDOM_MAX = 256 }; /* bytes at a time */

static struct pf filter;
static bool filter_ready; /* pf_init() was done */

/* ---- Arguments ---- */

static const uint8_t *get_bytes(mp_obj_t obj, size_t len, mp_rom_error_text_t what)
{
    mp_buffer_info_t info;
    mp_get_buffer_raise(obj, &info, MP_BUFFER_READ);
    if (info.len != len) {
        mp_raise_ValueError(what);
    }
    return info.buf;
}

static uint32_t get_addr(mp_obj_t obj)
{
    return pf_wire32(get_bytes(obj, 4, MP_ERROR_TEXT("address: 4 bytes needed")));
}

static const uint8_t *get_mac(mp_obj_t obj)
{
    return get_bytes(obj, 6, MP_ERROR_TEXT("MAC: 6 bytes needed"));
}

static const uint8_t *get_mac_or_none(mp_obj_t obj)
{
    return obj == mp_const_none ? NULL : get_mac(obj);
}

static uint32_t get_number(mp_obj_t obj, mp_int_t low, mp_int_t high, mp_rom_error_text_t what)
{
    const mp_int_t n = mp_obj_get_int(obj);
    if (n < low || n > high) {
        mp_raise_ValueError(what);
    }
    return (uint32_t)n;
}

static uint16_t get_port(mp_obj_t obj, mp_int_t low)
{
    return pf_wire16((uint16_t)get_number(obj, low, 65535, MP_ERROR_TEXT("port: 0 to 65535")));
}

static uint32_t get_ttl(mp_obj_t obj)
{
    return get_number(obj, 1, PF_LEASE_MAX_S, MP_ERROR_TEXT("ttl: 1 s to 7 days"));
}

/* Number of the IP protocol to the core's; -1: neither TCP nor UDP. */
static int proto_of(mp_int_t number)
{
    return number == 6 ? PF_TCP : number == 17 ? PF_UDP : -1;
}

/* Random bytes, or no return: without them nothing begins. */
static void draw(uint8_t *bytes, size_t len)
{
    const int error = glue_random(bytes, len);
    if (error != 0 || pf_is_stuck(bytes, len)) {
        mp_raise_OSError(error != 0 ? error : MP_EIO);
    }
}

static void ensure_ready(void)
{
    if (filter_ready) {
        return;
    }
    uint8_t key[16];
    draw(key, sizeof(key));
    filter_ready = pf_init(&filter, key, glue_out, NULL, glue_now_ms());
}

/* Every call works before start() as well: then on a filter that no frame reaches. */
static void lock(void)
{
    ensure_ready();
    glue_lock();
}

/* ---- Module ---- */

static enum glue_ethernet get_ethernet(mp_obj_t obj)
{
    if (obj == mp_const_none) {
        return GLUE_NO_ETHERNET;
    }
    const qstr side = mp_obj_is_str(obj) ? mp_obj_str_get_qstr(obj) : MP_QSTRnull;
    if (side != MP_QSTR_uplink && side != MP_QSTR_segment) {
        mp_raise_ValueError(MP_ERROR_TEXT("ethernet: None, 'uplink' or 'segment' needed"));
    }
    return side == MP_QSTR_uplink ? GLUE_ETHERNET_UPLINK : GLUE_ETHERNET_SEGMENT;
}

/* start(ethernet=None): which side is a cable, "uplink" or "segment". */
static mp_obj_t mod_start(size_t n_args, const mp_obj_t *args)
{
    const enum glue_ethernet ethernet = get_ethernet(n_args == 0 ? mp_const_none : args[0]);
    ensure_ready();
    const int error = glue_start(&filter, ethernet);
    if (error != 0) {
        mp_raise_OSError(error);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mod_start_obj, 0, 1, mod_start);

/* random(n): that many bytes for keys and the like. os.urandom() is not for them: on a chip whose radios are off it makes bytes that only
 * look random. */
static mp_obj_t mod_random(mp_obj_t n_in)
{
    vstr_t bytes;
    vstr_init_len(&bytes, get_number(n_in, 1, RANDOM_MAX, MP_ERROR_TEXT("random: 1 to 256 bytes")));
    draw((uint8_t *)bytes.buf, bytes.len);
    return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_random_obj, mod_random);

/* At most `max` addresses, one after the other. */
static void get_addrs(mp_obj_t obj, uint32_t *addr, size_t max, mp_rom_error_text_t what)
{
    mp_buffer_info_t info;
    mp_get_buffer_raise(obj, &info, MP_BUFFER_READ);
    if (info.len % 4 != 0 || info.len > 4 * max) {
        mp_raise_ValueError(what);
    }
    for (size_t i = 0; i < info.len / 4; i++) {
        addr[i] = pf_wire32((const uint8_t *)info.buf + 4 * i);
    }
}

static mp_obj_t mod_configure(size_t n_args, const mp_obj_t *args)
{
    (void)n_args;
    struct pf_config cfg = {0};
    uint8_t segment[4];
    memcpy(cfg.uplink_mac, get_mac(args[0]), 6);
    memcpy(cfg.segment_mac, get_mac(args[1]), 6);
    cfg.addr = get_addr(args[2]);
    cfg.mask = get_addr(args[3]);
    cfg.router = get_addr(args[4]);
    get_addrs(args[5], cfg.dns, PF_DNS, MP_ERROR_TEXT("dns: 0 to 3 addresses of 4 bytes needed"));
    cfg.claim_port = get_port(args[6], 0);
    memcpy(segment, get_bytes(args[7], 4, MP_ERROR_TEXT("segment: 4 bytes needed")), 4);
    if (segment[3] == 0 || segment[3] > 253) {
        mp_raise_ValueError(MP_ERROR_TEXT("segment: the host's address in a /24, with room for the next one"));
    }
    cfg.host_addr = pf_wire32(segment);
    segment[3]++;
    cfg.alias = pf_wire32(segment);
    cfg.guard = mp_obj_is_true(args[8]) && cfg.addr != 0;
    cfg.speaker_addr = cfg.addr != 0 && !cfg.guard ? cfg.addr : cfg.alias;
    get_addrs(args[9], cfg.hosts, PF_NAMED_HOSTS, MP_ERROR_TEXT("hosts: 0 to 8 addresses of 4 bytes needed"));
    lock();
    pf_configure(&filter, &cfg, glue_now_ms());
    glue_unlock();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mod_configure_obj, 10, 10, mod_configure);

static mp_obj_t mod_speaker(mp_obj_t mac_in)
{
    const uint8_t *mac = get_mac_or_none(mac_in);
    lock();
    pf_speaker(&filter, mac, glue_now_ms());
    glue_unlock();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_speaker_obj, mod_speaker);

static mp_obj_t mod_lease_add(mp_obj_t addr_in, mp_obj_t mac_in, mp_obj_t ttl_in)
{
    const uint32_t addr = get_addr(addr_in);
    const uint8_t *mac = get_mac_or_none(mac_in);
    const uint32_t ttl = get_ttl(ttl_in);
    lock();
    const int lease = pf_lease_add(&filter, addr, mac, ttl, glue_now_ms());
    glue_unlock();
    if (lease == -1) {
        mp_raise_OSError(MP_ENOSPC);
    }
    if (lease < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("lease: no phone can have that address or MAC, or there is no uplink"));
    }
    return MP_OBJ_NEW_SMALL_INT(lease);
}
static MP_DEFINE_CONST_FUN_OBJ_3(mod_lease_add_obj, mod_lease_add);

static mp_obj_t mod_lease_renew(mp_obj_t addr_in, mp_obj_t ttl_in)
{
    const uint32_t addr = get_addr(addr_in);
    const uint32_t ttl = get_ttl(ttl_in);
    lock();
    const bool renewed = pf_lease_renew(&filter, addr, ttl, glue_now_ms());
    glue_unlock();
    return mp_obj_new_bool(renewed);
}
static MP_DEFINE_CONST_FUN_OBJ_2(mod_lease_renew_obj, mod_lease_renew);

static mp_obj_t mod_lease_end(mp_obj_t addr_in)
{
    const uint32_t addr = get_addr(addr_in);
    lock();
    const int flows = pf_lease_end(&filter, addr, glue_now_ms());
    glue_unlock();
    return MP_OBJ_NEW_SMALL_INT(flows);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_lease_end_obj, mod_lease_end);

static mp_obj_t new_addr(uint32_t addr)
{
    uint8_t b[4];
    pf_bytes32(b, addr);
    return mp_obj_new_bytes(b, sizeof(b));
}

static mp_obj_t mod_leases(void)
{
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t i = 0; i < PF_LEASES; i++) {
        struct pf_lease_info info;
        lock();
        const bool used = pf_lease_get(&filter, i, &info, glue_now_ms());
        glue_unlock();
        if (used) {
            mp_obj_t item[4] = {
                new_addr(info.addr),
                info.has_mac ? mp_obj_new_bytes(info.mac, 6) : mp_const_none,
                mp_obj_new_int_from_uint(info.left_s),
                mp_obj_new_int_from_uint(info.idle_s),
            };
            mp_obj_list_append(list, mp_obj_new_tuple(4, item));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_leases_obj, mod_leases);

static mp_obj_t mod_services(mp_obj_t services_in)
{
    struct pf_service service[PF_SERVICES];
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(services_in, &count, &items);
    if (count > PF_SERVICES) {
        mp_raise_ValueError(MP_ERROR_TEXT("services: too many"));
    }
    for (size_t i = 0; i < count; i++) {
        mp_obj_t *pair;
        mp_obj_get_array_fixed_n(items[i], 2, &pair);
        const int proto = proto_of(mp_obj_get_int(pair[0]));
        if (proto < 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("services: protocol 6 (TCP) or 17 (UDP) needed"));
        }
        service[i].proto = (uint8_t)proto;
        service[i].port = get_port(pair[1], 1);
    }
    lock();
    const bool done = pf_services(&filter, service, count, glue_now_ms());
    glue_unlock();
    if (!done) {
        mp_raise_ValueError(MP_ERROR_TEXT("services: refused"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_services_obj, mod_services);

static mp_obj_t mod_counters(void)
{
#define COUNTER_NAME(name) #name,
    static const char *const names[PF_COUNTER_COUNT] = {PF_COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME
    mp_obj_t dict = mp_obj_new_dict(PF_COUNTER_COUNT);
    for (size_t i = 1; i < PF_COUNTER_COUNT; i++) {
        lock();
        const uint32_t count = filter.counters[i];
        glue_unlock();
        mp_obj_dict_store(dict, mp_obj_new_str_via_qstr(names[i], strlen(names[i])), mp_obj_new_int_from_uint(count));
    }
    return dict;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_counters_obj, mod_counters);

static mp_obj_t mod_flows(void)
{
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t i = 0; i < PF_FLOWS; i++) {
        struct pf_flow_info f;
        lock();
        const bool used = pf_flow_get(&filter, i, &f, glue_now_ms());
        glue_unlock();
        if (used) {
            mp_obj_t item[8] = {
                MP_OBJ_NEW_SMALL_INT(f.proto),
                MP_OBJ_NEW_SMALL_INT(f.owner),
                new_addr(f.remote_addr),
                MP_OBJ_NEW_SMALL_INT(pf_host16(f.remote_port)),
                MP_OBJ_NEW_SMALL_INT(pf_host16(f.local_port)),
                MP_OBJ_NEW_SMALL_INT(pf_host16(f.external_port)),
                MP_OBJ_NEW_SMALL_INT(f.state),
                mp_obj_new_int_from_uint(f.idle_s),
            };
            mp_obj_list_append(list, mp_obj_new_tuple(8, item));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_flows_obj, mod_flows);

/* As many as flows() has, without the tens of kilobytes that its list takes. */
static mp_obj_t mod_flow_count(void)
{
    mp_int_t count = 0;
    for (size_t i = 0; i < PF_FLOWS; i++) {
        struct pf_flow_info f;
        lock();
        count += pf_flow_get(&filter, i, &f, glue_now_ms()) ? 1 : 0;
        glue_unlock();
    }
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_flow_count_obj, mod_flow_count);

static mp_obj_t mod_flow_mac(size_t n_args, const mp_obj_t *args)
{
    (void)n_args;
    uint8_t mac[6];
    const int proto = proto_of(mp_obj_get_int(args[0]));
    const uint32_t raddr = get_addr(args[1]);
    const uint16_t rport = get_port(args[2], 0);
    const uint16_t lport = get_port(args[3], 0);
    if (proto < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("protocol 6 (TCP) or 17 (UDP) needed"));
    }
    lock();
    const bool known = pf_flow_mac(&filter, (enum pf_proto)proto, raddr, rport, lport, mac, glue_now_ms());
    glue_unlock();
    return known ? mp_obj_new_bytes(mac, 6) : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mod_flow_mac_obj, 4, 4, mod_flow_mac);

static mp_obj_t mod_dhcp_recv(mp_obj_t buf_in)
{
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    lock();
    const size_t len = pf_dhcp_take(&filter, buf.buf, buf.len);
    glue_unlock();
    return MP_OBJ_NEW_SMALL_INT(len);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_dhcp_recv_obj, mod_dhcp_recv);

static mp_obj_t mod_dhcp_send(size_t n_args, const mp_obj_t *args)
{
    (void)n_args;
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[0], &buf, MP_BUFFER_READ);
    const uint32_t len =
        get_number(args[1], 1, (mp_int_t)buf.len, MP_ERROR_TEXT("dhcp_send: more bytes than the buffer has"));
    const uint8_t *mac = get_mac_or_none(args[2]);
    const uint32_t addr = get_addr(args[3]);
    lock();
    const bool sent = pf_dhcp_send(&filter, buf.buf, len, mac, addr);
    glue_unlock();
    if (!sent) {
        mp_raise_ValueError(MP_ERROR_TEXT("dhcp_send: message too long"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mod_dhcp_send_obj, 4, 4, mod_dhcp_send);

static mp_obj_t mod_deauth(mp_obj_t mac_in)
{
    const uint8_t *mac = get_mac(mac_in);
    lock();
    glue_deauth(mac);
    glue_unlock();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mod_deauth_obj, mod_deauth);

static mp_obj_t mod_poll(void)
{
    lock();
    const uint32_t events = pf_take_events(&filter);
    glue_unlock();
    return MP_OBJ_NEW_SMALL_INT(events);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_poll_obj, mod_poll);

static const mp_rom_map_elem_t globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_pktfilter)},
    {MP_ROM_QSTR(MP_QSTR_start), MP_ROM_PTR(&mod_start_obj)},
    {MP_ROM_QSTR(MP_QSTR_random), MP_ROM_PTR(&mod_random_obj)},
    {MP_ROM_QSTR(MP_QSTR_configure), MP_ROM_PTR(&mod_configure_obj)},
    {MP_ROM_QSTR(MP_QSTR_speaker), MP_ROM_PTR(&mod_speaker_obj)},
    {MP_ROM_QSTR(MP_QSTR_lease_add), MP_ROM_PTR(&mod_lease_add_obj)},
    {MP_ROM_QSTR(MP_QSTR_lease_renew), MP_ROM_PTR(&mod_lease_renew_obj)},
    {MP_ROM_QSTR(MP_QSTR_lease_end), MP_ROM_PTR(&mod_lease_end_obj)},
    {MP_ROM_QSTR(MP_QSTR_leases), MP_ROM_PTR(&mod_leases_obj)},
    {MP_ROM_QSTR(MP_QSTR_services), MP_ROM_PTR(&mod_services_obj)},
    {MP_ROM_QSTR(MP_QSTR_counters), MP_ROM_PTR(&mod_counters_obj)},
    {MP_ROM_QSTR(MP_QSTR_flows), MP_ROM_PTR(&mod_flows_obj)},
    {MP_ROM_QSTR(MP_QSTR_flow_count), MP_ROM_PTR(&mod_flow_count_obj)},
    {MP_ROM_QSTR(MP_QSTR_flow_mac), MP_ROM_PTR(&mod_flow_mac_obj)},
    {MP_ROM_QSTR(MP_QSTR_dhcp_recv), MP_ROM_PTR(&mod_dhcp_recv_obj)},
    {MP_ROM_QSTR(MP_QSTR_dhcp_send), MP_ROM_PTR(&mod_dhcp_send_obj)},
    {MP_ROM_QSTR(MP_QSTR_deauth), MP_ROM_PTR(&mod_deauth_obj)},
    {MP_ROM_QSTR(MP_QSTR_poll), MP_ROM_PTR(&mod_poll_obj)},
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t mp_module_pktfilter = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR_pktfilter, mp_module_pktfilter);
