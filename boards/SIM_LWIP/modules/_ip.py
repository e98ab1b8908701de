# The IP stack of the SIM_LWIP board, for `network`: lwIP. The air only hears what addresses there are.
import _air
import _lwip

_STATION = 0
_SEGMENT = 1


def _associated(_):
    _lwip.link(_air.station["associated"])


def _renew(_):
    _lwip.renew()


def _changed(_):
    addr, mask, router = station()
    _air.tell("address", addr=addr, mask=mask, router=router, dns=_lwip.dns())


_air.look()
_air.listeners["station"] = _associated
_air.listeners["renew"] = _renew
_lwip.watch(_changed)


def switch(ap, on, mac):
    """The radio is switched on or off: the interface comes or goes."""
    _lwip.switch(_SEGMENT if ap else _STATION, on, mac)


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
