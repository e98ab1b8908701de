# Ethernet frames for the filter, from and to whom they say. Addresses are 4 bytes, MACs 6.
import struct

SYN, RST, ACK = 2, 4, 16
BROADCAST_MAC = b"\xff" * 6


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(to_mac, from_mac, protocol, source, target, payload):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + source + target
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return to_mac + from_mac + b"\x08\0" + head + payload


def _pseudo(source, target, protocol, payload):
    return source + target + struct.pack(">HH", protocol, len(payload)) + payload


def tcp(to_mac, from_mac, source, sport, target, dport, flags=SYN, seq=1000, ack=0):
    segment = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, 0, 0)
    segment = segment[:16] + struct.pack(">H", checksum(_pseudo(source, target, 6, segment))) + segment[18:]
    return ip(to_mac, from_mac, 6, source, target, segment)


def udp(to_mac, from_mac, source, sport, target, dport, data):
    datagram = struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
    datagram = datagram[:6] + struct.pack(">H", checksum(_pseudo(source, target, 17, datagram))) + datagram[8:]
    return ip(to_mac, from_mac, 17, source, target, datagram)


def rerouted(frame, to_mac, from_mac):
    """The frame as a router hands it on: other MACs, and one hop less."""
    head = bytearray(frame[14:34])
    head[8] -= 1
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack(">H", checksum(bytes(head)))
    return to_mac + from_mac + frame[12:14] + bytes(head) + frame[34:]
