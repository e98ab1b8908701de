# Frozen into the QEMU_RV32 board: asyncio, the board's start, the firmware.
include("$(MPY_DIR)/extmod/asyncio")
freeze("modules")
freeze("../../firmware", "main.py")
package("speakeasy", base_path="../../firmware")
