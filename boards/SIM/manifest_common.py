# Frozen into the SIM boards whatever their Bluetooth and IP stack: asyncio, drivers of the peripherals, the firmware.
import os

include("$(MPY_DIR)/extmod/asyncio")
freeze("modules")
# The interpreter alone is of use before there is any firmware: to run the drivers' own tests.
if os.path.isfile("../../firmware/main.py"):
    freeze("../../firmware", "main.py")
if os.path.isdir("../../firmware/speakeasy"):
    package("speakeasy", base_path="../../firmware")
