"""What the firmware has to know of the board: boards/<BOARD>/modules/board.py."""

ETHERNET: dict[str, object] | None  # the arguments of network.LAN(...) where there is a socket
