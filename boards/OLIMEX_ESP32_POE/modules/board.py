# What the firmware has to know of the board that it runs on. Pins have names of their own: LED, BUTTON.
import network

ETHERNET = {"mdc": 23, "mdio": 18, "power": 12, "phy_type": network.PHY_LAN8720, "phy_addr": 0}
