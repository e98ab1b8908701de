"""The phone's side of Speakeasy: pairing, claims and the command line."""

import os
import sys

# What root would cache in somebody else's tree, that person could not remove (`make clean`). Before all other imports.
if os.geteuid() == 0 and os.stat(__file__).st_uid != 0:
    sys.dont_write_bytecode = True
