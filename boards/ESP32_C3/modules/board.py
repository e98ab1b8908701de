# What the firmware has to know of the board that it runs on. Pins have names of their own: LED, BUTTON.

ETHERNET = None  # the arguments of network.LAN(...) where there is a socket
