# The SIM board with MicroPython's real NimBLE (in C) and the real aioble.
include("manifest_common.py")
freeze("kernel")
require("aioble")
