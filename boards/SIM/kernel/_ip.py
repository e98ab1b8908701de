# The IP stack of the SIM board, for `network`: the PC's kernel, in whose hands the air puts the addresses.
import _air


def switch(ap, on, mac):
    """The radio is switched on or off. The air does it."""


def joining(hostname):
    """A DHCP client will call itself so. The air starts it."""


def cable(segment, on, mac):
    """The socket's driver is switched on or off, on the side of the segment or the uplink. The air does it."""


def set_cable(segment, addr, mask, router):
    """An address of one's own on the cable. The air is told with the rest of what the driver wants."""


def set_mac(ap, mac):
    """The interface has got another hardware address. The air gives it."""


def dhcp(on):
    _air.ask("dhcp", on=on)


def station():
    """[address, mask, router]"""
    return [_air.lease["addr"], _air.lease["mask"], _air.lease["router"]]


def set_station(addr, mask, router):
    _air.ask("static", addr=addr, mask=mask, router=router)


def set_segment(addr, mask, router):
    """The access point's own address. The air is told with the rest of its configuration."""


def servers():
    return _air.lease["dns"]


def set_server(addr):
    _air.lease["dns"] = [addr]
