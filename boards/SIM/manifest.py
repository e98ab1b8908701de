# The SIM board with the virtual radio's own `bluetooth` and `aioble` (boards/SIM/ble).
import os

include("manifest_common.py")
freeze("kernel")
if os.path.isdir("ble"):
    freeze("ble")
