"""The speaker's network interface, asked at run time: its address may change at any moment."""

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915  # <linux/sockios.h>
SIOCGIFHWADDR = 0x8927
IFNAMSIZ = 16


def address(ifname: str) -> str | None:
    """The interface's IPv4 address as a dotted quad; None while it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, struct.pack("16sH14x", ifname.encode(), socket.AF_INET))
        except OSError:
            return None
    return socket.inet_ntoa(answer[IFNAMSIZ + 4 : IFNAMSIZ + 8])


def hardware_address(ifname: str) -> bytes:
    """The interface's MAC address, 6 bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFHWADDR, struct.pack("16s16x", ifname.encode()))
    return answer[IFNAMSIZ + 2 : IFNAMSIZ + 8]
