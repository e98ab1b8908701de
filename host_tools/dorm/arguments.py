"""What the dorm's tools take on their command lines: types for argparse, which says what is wrong and ends with 2."""

import argparse
from ipaddress import AddressValueError, IPv4Address


def ipv4_address(text: str) -> str:
    """An IPv4 address in dotted decimal. Raises ArgumentTypeError."""
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address: it would look like 10.66.0.117") from None
