# The IP stack of the SIM_LWIP board, for `network`: lwIP. The air only hears what addresses there are.
import _air
import _lwip

_STATION = 0
_SEGMENT = 1
_LINKED = (3, 5)  # network.ETH_CONNECTED, ETH_GOT_IP

_cable_is_uplink = False


def _associated(_):
    _lwip.link(_air.station["associated"])


def _linked(message):
    if _cable_is_uplink:
        _lwip.link(message["is"]["status"] in _LINKED)


def _renew(_):
    _lwip.renew()


def _changed(_):
    addr, mask, router = station()
    _air.tell("address", addr=addr, mask=mask, router=router, dns=_lwip.dns())


_air.look()
_air.listeners["station"] = _associated
_air.listeners["ethernet"] = _linked
_air.listeners["renew"] = _renew
_lwip.watch(_changed)


def switch(ap, on, mac):
    """The radio is switched on or off: the interface comes or goes."""
    _lwip.switch(_SEGMENT if ap else _STATION, on, mac)


def cable(segment, on, mac):
    """The socket's driver is switched on or off: the interface comes or goes."""
    global _cable_is_uplink
    _cable_is_uplink = on and not segment
    _lwip.switch(_SEGMENT if segment else _STATION, on, mac)


def set_cable(segment, addr, mask, router):
    """An address of one's own on the cable."""
    if segment:
        set_segment(addr, mask, router)
    else:
        set_station(addr, mask, router)


def joining(hostname):
    """The DHCP client will call itself so."""
    _lwip.hostname(hostname)


def set_mac(ap, mac):
    """The interface has got another hardware address; on the chip, too, only while the radio is off."""


def dhcp(on):
    _lwip.dhcp(on)


def station():
    """[address, mask, router]"""
    return _lwip.addresses(_STATION)


def set_station(addr, mask, router):
    _lwip.dhcp(False)
    _lwip.addresses(_STATION, addr, mask, router)


def set_segment(addr, mask, router):
    """The access point's own address."""
    _lwip.addresses(_SEGMENT, addr, mask, router)


def servers():
    return _lwip.dns()


def set_server(addr):
    _lwip.dns(addr)
