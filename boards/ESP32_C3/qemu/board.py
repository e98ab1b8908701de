# What the firmware has to know of the board that it runs on. Pins have names of their own: LED, BUTTON.
import network

ETHERNET = {"phy_type": network.PHY_OPENETH, "phy_addr": 1}
