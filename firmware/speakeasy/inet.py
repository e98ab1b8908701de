"""IPv4 addresses (4 bytes) and MACs (6 bytes), network order, to text and back."""

ZERO = b"\0\0\0\0"
BROADCAST = b"\xff\xff\xff\xff"

SEGMENT_HOST = b"\xc0\xa8\x4d\x01"  # 192.168.77.1: the bridge on the segment
SEGMENT_SPEAKER = b"\xc0\xa8\x4d\x02"  # 192.168.77.2: the speaker, as the bridge knows it
SEGMENT_MASK = b"\xff\xff\xff\x00"


def parse(text: str) -> bytes:
    """`a.b.c.d`, decimal without leading zeros, as 4 bytes; ValueError otherwise."""
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address")
    out = bytearray(4)
    for i, part in enumerate(parts):
        if not 1 <= len(part) <= 3 or not all("0" <= c <= "9" for c in part) or (len(part) > 1 and part[0] == "0"):
            raise ValueError("not an IPv4 address")
        value = int(part)
        if value > 255:
            raise ValueError("not an IPv4 address")
        out[i] = value
    return bytes(out)


def text(addr: bytes) -> str:
    """4 bytes as `a.b.c.d`."""
    return "%d.%d.%d.%d" % (addr[0], addr[1], addr[2], addr[3])


def mac_text(mac: bytes) -> str:
    """6 bytes as `aa:bb:cc:dd:ee:ff`."""
    return "%02x:%02x:%02x:%02x:%02x:%02x" % (mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])


def same_subnet(a: bytes, b: bytes, mask: bytes) -> bool:
    """Whether both addresses are in one subnet of `mask`."""
    return all((x ^ y) & m == 0 for x, y, m in zip(a, b, mask))


def is_host(addr: bytes) -> bool:
    """Whether an address can be some machine's own: not this-network, loopback, multicast, reserved or broadcast."""
    return addr[0] not in (0, 127) and addr[0] < 224


def is_mask(mask: bytes) -> bool:
    """Whether the mask's ones are contiguous and leave room for a host: /1 to /31."""
    bits = "".join(["{:08b}".format(b) for b in mask])
    return bits[0] == "1" and bits[-1] == "0" and "01" not in bits
