"""The control plane of the bridge. One job a module; `app` wires them."""

VERSION = "0.1.0"
PROTOCOL = 1
