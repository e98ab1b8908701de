# Frozen into every ESP32 board: mounting of the flash, asyncio, aioble, the firmware. No WebREPL: its Python half is
# left out.
freeze("$(PORT_DIR)/modules", ("_boot.py", "flashbdev.py", "inisetup.py"))
include("$(MPY_DIR)/extmod/asyncio")
require("aioble")
freeze("../firmware", "main.py")
package("speakeasy", base_path="../firmware")
