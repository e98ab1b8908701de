"""IPv4 addresses (4 bytes) and MACs (6 bytes), network order, to text and back."""

ZERO = b"\0\0\0\0"
BROADCAST = b"\xff\xff\xff\xff"

# The bridge on the segment, one for each subnet that the segment may have; the first that the uplink leaves free is
# taken (RFC 4787 REQ-7). No netmask covers all three.
SEGMENT_HOSTS = (
    b"\xc0\xa8\x4d\x01",  # 192.168.77.1
    b"\xac\x1f\x4d\x01",  # 172.31.77.1
    b"\x0a\xb1\x4d\x01",  # 10.177.77.1
)
SEGMENT_HOST = SEGMENT_HOSTS[0]
SEGMENT_SPEAKER = SEGMENT_HOST[:3] + b"\2"
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


def parse_mac(text: str) -> bytes:
    """`aa:bb:cc:dd:ee:ff`, lower case, as 6 bytes; ValueError otherwise."""
    parts = text.split(":")
    if len(parts) != 6 or not all(len(part) == 2 and all(c in "0123456789abcdef" for c in part) for part in parts):
        raise ValueError("not a MAC")
    return bytes([int(part, 16) for part in parts])


def same_subnet(a: bytes, b: bytes, mask: bytes) -> bool:
    """Whether both addresses are in one subnet of `mask`."""
    return all((x ^ y) & m == 0 for x, y, m in zip(a, b, mask))


def alias_of(host: bytes) -> bytes:
    """The speaker's name inside the bridge, given the bridge's own address on the segment: the next one."""
    return host[:3] + b"\2"


def segment_host(addr: bytes, mask: bytes, others: bytes) -> bytes:
    """The bridge's address on a segment whose subnet does not overlap the uplink's (`addr`, `mask`) and, where that
    can be, holds none of `others`, n times 4 bytes: its router and name servers."""
    free = [host for host in SEGMENT_HOSTS if not overlap(host, SEGMENT_MASK, addr, mask)]
    for host in free:
        if not any(same_subnet(host, others[i : i + 4], SEGMENT_MASK) for i in range(0, len(others), 4)):
            return host
    return free[0]


def overlap(a: bytes, mask_a: bytes, b: bytes, mask_b: bytes) -> bool:
    """Whether the subnets of `a` and `b` share an address."""
    return same_subnet(a, b, bytes([m & n for m, n in zip(mask_a, mask_b)]))


def is_host(addr: bytes) -> bool:
    """Whether an address can be some machine's own: not this-network, loopback, multicast, reserved or broadcast."""
    return addr[0] not in (0, 127) and addr[0] < 224


def is_mask(mask: bytes) -> bool:
    """Whether the mask's ones are contiguous and leave room for a host: /1 to /31."""
    bits = "".join(["{:08b}".format(b) for b in mask])
    return bits[0] == "1" and bits[-1] == "0" and "01" not in bits
