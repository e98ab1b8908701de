"""The control plane of the bridge. One job a module; `app` wires them."""

import gc

# Collect early: what lives for long then stays close together, instead of spread over a heap that was let run full and
# whose gaps are too short for a settings file or a message.
COLLECT_AT = 6144  # bytes allocated since the last time
gc.threshold(COLLECT_AT)

VERSION = "0.1.0"
PROTOCOL = 1
