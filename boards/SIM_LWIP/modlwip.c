// The module `_lwip`: the board's IP stack (stack.h) for its `network` module. Addresses are text, sides are 0 (uplink)
// and 1 (segment).

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"

#include "stack.h"

static void check(int error)
{
    if (error != 0) {
        mp_raise_OSError(error);
    }
}

static enum stack_side side_of(mp_obj_t side_in)
{
    return mp_obj_get_int(side_in) == 0 ? STACK_UPLINK : STACK_SEGMENT;
}

static ip4_addr_t address_of(mp_obj_t text)
{
    ip4_addr_t address;
    if (!ip4addr_aton(mp_obj_str_get_str(text), &address)) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid arguments"));
    }
    return address;
}

static mp_obj_t text_of(const ip4_addr_t *address)
{
    char text[IP4ADDR_STRLEN_MAX];
    (void)ip4addr_ntoa_r(address, text, sizeof(text));
    return mp_obj_new_str_from_cstr(text);
}

static mp_obj_t handler = MP_OBJ_NULL; // kept alive by the driver that gave it
static pthread_t interpreter;
static atomic_bool owed; // the scheduler's queue was full

static void uplink_changed(void)
{
    atomic_store(&owed, !mp_sched_schedule(handler, mp_const_none));
    (void)pthread_kill(interpreter, SIGUSR2); // _sim has a handler for it, without SA_RESTART
}

static mp_obj_t lwip_switch(mp_obj_t side, mp_obj_t on, mp_obj_t mac_in)
{
    mp_buffer_info_t mac;
    mp_get_buffer_raise(mac_in, &mac, MP_BUFFER_READ);
    if (mac.len != 6) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid buffer length"));
    }
    check(stack_switch(side_of(side), mp_obj_is_true(on), mac.buf));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(lwip_switch_obj, lwip_switch);

static mp_obj_t lwip_link(mp_obj_t up)
{
    check(stack_link(STACK_UPLINK, mp_obj_is_true(up)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lwip_link_obj, lwip_link);

static mp_obj_t lwip_dhcp(mp_obj_t on)
{
    check(stack_dhcp(mp_obj_is_true(on)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lwip_dhcp_obj, lwip_dhcp);

static mp_obj_t lwip_renew(void)
{
    check(stack_renew());
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(lwip_renew_obj, lwip_renew);

static mp_obj_t lwip_hostname(mp_obj_t name)
{
    stack_hostname(mp_obj_str_get_str(name));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lwip_hostname_obj, lwip_hostname);

// addresses(side) -> (address, mask, router); addresses(side, address, mask, router)
static mp_obj_t lwip_addresses(size_t n_args, const mp_obj_t *args)
{
    struct stack_addresses all;
    if (n_args == 4) {
        all = (struct stack_addresses){address_of(args[1]), address_of(args[2]), address_of(args[3])};
        check(stack_set_addresses(side_of(args[0]), &all));
        return mp_const_none;
    }
    stack_addresses(side_of(args[0]), &all);
    if (atomic_exchange(&owed, false)) {
        uplink_changed();
    }
    mp_obj_t items[] = {text_of(&all.addr), text_of(&all.mask), text_of(&all.router)};
    return mp_obj_new_list(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lwip_addresses_obj, 1, 4, lwip_addresses);

// dns() -> list; dns(address)
static mp_obj_t lwip_dns(size_t n_args, const mp_obj_t *args)
{
    if (n_args == 1) {
        const ip4_addr_t server = address_of(args[0]);
        check(stack_set_dns(&server));
        return mp_const_none;
    }
    ip4_addr_t servers[3];
    const int count = stack_dns(servers, MP_ARRAY_SIZE(servers));
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (int i = 0; i < count; i++) {
        mp_obj_list_append(list, text_of(&servers[i]));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lwip_dns_obj, 0, 1, lwip_dns);

// watch(f): f(None) is scheduled after each change of the uplink's addresses. After _sim.watch().
static mp_obj_t lwip_watch(mp_obj_t callback)
{
    handler = callback;
    interpreter = pthread_self();
    stack_changed = uplink_changed;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lwip_watch_obj, lwip_watch);

static const mp_rom_map_elem_t lwip_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__lwip)},
    {MP_ROM_QSTR(MP_QSTR_switch), MP_ROM_PTR(&lwip_switch_obj)},
    {MP_ROM_QSTR(MP_QSTR_link), MP_ROM_PTR(&lwip_link_obj)},
    {MP_ROM_QSTR(MP_QSTR_dhcp), MP_ROM_PTR(&lwip_dhcp_obj)},
    {MP_ROM_QSTR(MP_QSTR_renew), MP_ROM_PTR(&lwip_renew_obj)},
    {MP_ROM_QSTR(MP_QSTR_hostname), MP_ROM_PTR(&lwip_hostname_obj)},
    {MP_ROM_QSTR(MP_QSTR_addresses), MP_ROM_PTR(&lwip_addresses_obj)},
    {MP_ROM_QSTR(MP_QSTR_dns), MP_ROM_PTR(&lwip_dns_obj)},
    {MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&lwip_watch_obj)},
};
static MP_DEFINE_CONST_DICT(lwip_globals, lwip_globals_table);

const mp_obj_module_t lwip_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&lwip_globals,
};

MP_REGISTER_MODULE(MP_QSTR__lwip, lwip_module);
