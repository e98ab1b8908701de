# Frozen into the SIM_LWIP board: what is frozen into the SIM board, with the module `_ip` for lwIP.
include("../SIM/manifest_common.py")
freeze("modules")
freeze("../SIM/ble")
