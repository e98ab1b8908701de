# What the ESP32 port's main() does with main.py: leaving it by SystemExit is a soft reset. An exception would end in
# the REPL there, deaf and blind; here it ends the process, so that whoever waits for the board is told at once.
#
# speakeasy-sim -m _boot [MODULE]
import sys

import _sim

try:
    __import__(sys.argv[1] if len(sys.argv) > 1 else "main")
except SystemExit:
    _sim.exit(_sim.STATUS_SOFT_RESET)
