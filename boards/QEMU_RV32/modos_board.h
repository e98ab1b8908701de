// os.urandom(): included by MicroPython's extmod/modos.c.
#include "board.h"
#include "py/mperrno.h"

static mp_obj_t mp_os_urandom(mp_obj_t n_in)
{
    vstr_t bytes;
    vstr_init_len(&bytes, (size_t)mp_obj_get_int(n_in));
    if (!board_random(bytes.buf, bytes.len)) {
        mp_raise_OSError(MP_EIO);
    }
    return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
