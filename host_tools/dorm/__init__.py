"""The virtual dorm: a whole network on one machine, of Linux network namespaces, real programs and real packets."""

import os
import sys

# What root would cache in somebody else's tree, that person could not remove (`make clean`). Before all other imports.
if os.geteuid() == 0 and os.stat(__file__).st_uid != 0:
    sys.dont_write_bytecode = True
