# What the firmware has to know of the board that it runs on. Pins have names of their own: LED, BUTTON.
import _air


def _ethernet():
    # Some of these boards have a socket: the air says whether this one does. By hand, without an air, it has none.
    try:
        _air.look()
    except OSError:
        return None
    return {"mdc": 23, "mdio": 18, "phy_addr": 0, "phy_type": 1} if "ethernet_mac" in _air.hello else None


ETHERNET = _ethernet()  # the arguments of network.LAN(...) where there is a socket
