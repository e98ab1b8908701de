"""Kinds of IPv4 addresses that the rules name."""

from .config import Config


def within(a: int, net: str) -> bool:
    base, _, bits = net.partition("/")
    shift = 32 - int(bits)
    n = int.from_bytes(bytes(int(x) for x in base.split(".")), "big")
    return a >> shift == n >> shift


def special(a: int) -> bool:
    """0/8, 127/8, 224/3"""
    return a >> 24 in (0, 127) or a >> 29 == 7


def private(a: int) -> bool:
    return a >> 24 == 10 or a >> 20 == 0xAC1 or a >> 16 in (0xC0A8, 0xA9FE)  # 10/8, 172.16/12, 192.168/16, 169.254/16


def on_the_segment(c: Config, a: int) -> bool:
    return a >> 8 == c.host >> 8 or a == c.alias


def ends_of_subnet(c: Config, a: int) -> bool:
    """The network or the broadcast address of the uplink's subnet."""
    network, host_part = c.addr & c.mask, ~c.mask & 0xFFFFFFFF
    return c.addr != 0 and host_part > 1 and a in (network, network | host_part)


def no_ones_source(c: Config, a: int) -> bool:
    """Who no frame on the uplink can be from (SPEC 4.2)."""
    return (a == c.addr and c.addr != 0) or on_the_segment(c, a) or special(a) or ends_of_subnet(c, a)
