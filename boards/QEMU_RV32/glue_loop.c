/*
 * Glue for a board without any network: frames come from Python and go to Python, through the module `frames`, so that the filter in the
 * machine can be tried with real frames. The clock of the filter can be moved on.
 *
 * One thread: nothing runs beside the interpreter. The timers have their turn whenever it waits or is done with a piece of work.
 */
#include "glue.h"

#include "board.h"
#include "py/mperrno.h"
#include "py/objtuple.h"
#include "py/runtime.h"

enum {
    TICK_MS = 100,
    OUT_MAX = 64, /* frames that wait for Python to take them */
};

static struct {
    struct pf *pf;
    bool plugged;
    bool locked;
    bool stopped; /* the clock moves by later() alone */
    uint32_t stopped_ms;
    uint32_t later_ms;
    uint32_t next_tick;
    uint8_t deauthed[6];
    unsigned deauths;
    size_t count;
    struct {
        uint8_t port;
        uint16_t len;
        uint8_t bytes[PF_FRAME_MAX];
    } out[OUT_MAX];
} glue;

void glue_lock(void)
{
    if (glue.locked) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("glue: locked twice"));
    }
    glue.locked = true;
}

void glue_unlock(void)
{
    glue.locked = false;
}

uint32_t glue_now_ms(void)
{
    return (glue.stopped ? glue.stopped_ms : (uint32_t)(board_now_us() / 1000)) + glue.later_ms;
}

int glue_random(uint8_t *buf, size_t len)
{
    return board_random(buf, len) ? 0 : MP_EIO;
}

void glue_out(void *ctx, enum pf_port port, const uint8_t *frame, size_t len)
{
    (void)ctx;
    if (glue.pf == NULL) {
        return; /* not started */
    }
    if (glue.count == OUT_MAX || len > PF_FRAME_MAX) {
        glue.pf->counters[PF_C_glue_lost]++;
        return;
    }
    glue.out[glue.count].port = (uint8_t)port;
    glue.out[glue.count].len = (uint16_t)len;
    memcpy(glue.out[glue.count].bytes, frame, len);
    glue.count++;
}

void glue_deauth(const uint8_t mac[6])
{
    memcpy(glue.deauthed, mac, 6);
    glue.deauths++;
}

int glue_start(struct pf *pf, enum glue_ethernet ethernet)
{
    (void)ethernet;
    if (!glue.plugged) {
        return MP_ENODEV;
    }
    if (glue.pf == NULL) {
        glue.pf = pf;
        glue.next_tick = glue_now_ms();
    }
    return 0;
}

static void tick(void)
{
    glue_lock();
    pf_tick(glue.pf, glue_now_ms());
    glue_unlock();
    glue.next_tick = glue_now_ms() + TICK_MS;
}

void glue_loop(void)
{
    if (glue.pf != NULL && !glue.stopped && (int32_t)(glue_now_ms() - glue.next_tick) >= 0) {
        tick();
    }
}

/* ---- The module `frames` ---- */

/* plug(): the four interfaces are there from now on. */
static mp_obj_t frames_plug(void)
{
    glue.plugged = true;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(frames_plug_obj, frames_plug);

static void need_filter(void)
{
    if (glue.pf == NULL) {
        mp_raise_OSError(MP_ENODEV);
    }
}

/* reset(key, now_ms): a new filter with that key; from now on its clock moves by later() alone. */
static mp_obj_t frames_reset(mp_obj_t key_in, mp_obj_t now_in)
{
    mp_buffer_info_t key;
    mp_get_buffer_raise(key_in, &key, MP_BUFFER_READ);
    need_filter();
    if (key.len != 16 || pf_is_stuck(key.buf, key.len)) {
        mp_raise_ValueError(NULL);
    }
    glue.stopped = true;
    glue.stopped_ms = (uint32_t)mp_obj_get_int_truncated(now_in);
    glue.later_ms = 0;
    glue.count = 0;
    pf_init(glue.pf, key.buf, glue_out, NULL, glue_now_ms());
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(frames_reset_obj, frames_reset);

/* inject(port, frame): a frame arrives at that port (enum pf_port); the counter that it raised (enum pf_counter). */
static mp_obj_t frames_inject(mp_obj_t port_in, mp_obj_t frame_in)
{
    static _Alignas(4) uint8_t room[PF_FRAME_MAX + 8];
    uint8_t *const buf = room + 2; /* the IP header aligned: the fast path, as on the other platforms */
    const mp_int_t port = mp_obj_get_int(port_in);
    mp_buffer_info_t frame;
    mp_get_buffer_raise(frame_in, &frame, MP_BUFFER_READ);
    need_filter();
    if (port < 0 || port >= PF_PORT_COUNT || frame.len > sizeof(room) - 2) {
        mp_raise_ValueError(NULL);
    }
    memcpy(buf, frame.buf, frame.len);
    glue_lock();
    const enum pf_counter verdict = pf_input(glue.pf, (enum pf_port)port, buf, frame.len, glue_now_ms());
    glue_unlock();
    return MP_OBJ_NEW_SMALL_INT(verdict);
}
static MP_DEFINE_CONST_FUN_OBJ_2(frames_inject_obj, frames_inject);

/* taken(): [(port, frame)] that left since the last call, oldest first. */
static mp_obj_t frames_taken(void)
{
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t i = 0; i < glue.count; i++) {
        mp_obj_t item[2] = {
            MP_OBJ_NEW_SMALL_INT(glue.out[i].port),
            mp_obj_new_bytes(glue.out[i].bytes, glue.out[i].len),
        };
        mp_obj_list_append(list, mp_obj_new_tuple(2, item));
    }
    glue.count = 0;
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(frames_taken_obj, frames_taken);

/* later(ms): that much time has gone by, for the filter. Without the ticks. */
static mp_obj_t frames_later(mp_obj_t ms_in)
{
    glue.later_ms += (uint32_t)mp_obj_get_int_truncated(ms_in);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(frames_later_obj, frames_later);

static mp_obj_t frames_tick(void)
{
    need_filter();
    tick();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(frames_tick_obj, frames_tick);

/* deauthed(): (how often a station was dropped, the MAC of the last one). */
static mp_obj_t frames_deauthed(void)
{
    mp_obj_t item[2] = {MP_OBJ_NEW_SMALL_INT(glue.deauths), mp_obj_new_bytes(glue.deauthed, 6)};
    return mp_obj_new_tuple(2, item);
}
static MP_DEFINE_CONST_FUN_OBJ_0(frames_deauthed_obj, frames_deauthed);

static const mp_rom_map_elem_t frames_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_frames)},
    {MP_ROM_QSTR(MP_QSTR_plug), MP_ROM_PTR(&frames_plug_obj)},
    {MP_ROM_QSTR(MP_QSTR_inject), MP_ROM_PTR(&frames_inject_obj)},
    {MP_ROM_QSTR(MP_QSTR_taken), MP_ROM_PTR(&frames_taken_obj)},
    {MP_ROM_QSTR(MP_QSTR_later), MP_ROM_PTR(&frames_later_obj)},
    {MP_ROM_QSTR(MP_QSTR_tick), MP_ROM_PTR(&frames_tick_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&frames_reset_obj)},
    {MP_ROM_QSTR(MP_QSTR_deauthed), MP_ROM_PTR(&frames_deauthed_obj)},
};
static MP_DEFINE_CONST_DICT(frames_globals, frames_globals_table);

const mp_obj_module_t frames_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&frames_globals,
};

MP_REGISTER_MODULE(MP_QSTR_frames, frames_module);
