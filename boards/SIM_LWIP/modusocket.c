// The module `usocket`: the unix port's sockets, for the wires to the air (_air.py, bluetooth.py). The firmware's
// `socket` is lwIP's.

#include "py/obj.h"

#undef MICROPY_PY_SOCKET
#define MICROPY_PY_SOCKET (1)
#define mp_module_socket mp_module_usocket
#undef MP_REGISTER_EXTENSIBLE_MODULE
#define MP_REGISTER_EXTENSIBLE_MODULE(name, module) MP_REGISTER_MODULE(MP_QSTR_usocket, module)

#include "ports/unix/modsocket.c"
