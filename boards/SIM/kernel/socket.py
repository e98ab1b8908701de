# socket, as MicroPython 1.25's ESP32 port has it (ports/esp32/modsocket.c): IPv4 only, addresses are (ip, port) tuples,
# a read that times out raises ETIMEDOUT. Over the unix port's own module, whose addresses are raw sockaddr buffers.
import errno
import io
import os
import struct

import _air
import usocket

AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_IP = 0
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_BROADCAST = 6
SO_BINDTODEVICE = 25
IP_ADD_MEMBERSHIP = 35
TCP_NODELAY = 1

_STREAM_POLL = 3
_STREAM_CLOSE = 4
_STREAM_GET_FILENO = 10
_POLL_NVAL = 0x20
_NAME_UNKNOWN = -2
_NAME_FAILED = -202  # lwIP's EAI_FAIL
_DNS_PORT = 53
_DNS_TRIES = 4  # one second each, as lwIP does
# CONFIG_LWIP_MAX_SOCKETS of the boards (esp32_common/sdkconfig.speakeasy). The chip takes back sockets that were
# dropped without close() at the next collection; here they stay taken.
_MAX_SOCKETS = 48
_ENFILE = 23
_LEVELS = {SO_REUSEADDR: SOL_SOCKET, SO_BROADCAST: SOL_SOCKET, SO_BINDTODEVICE: SOL_SOCKET}


def _numeric(host):
    # 4 bytes, or None when it is a name. "" is any address.
    if not host:
        return b"\0\0\0\0"
    parts = host.split(".")
    if len(parts) != 4 or not all(p and len(p) <= 3 and all("0" <= c <= "9" for c in p) for p in parts):
        return None
    numbers = [int(p) for p in parts]
    return bytes(numbers) if max(numbers) <= 255 else None


def _pack(ip, port):
    return struct.pack("<H", AF_INET) + struct.pack(">H", port) + ip + bytes(8)


def _unpack(sockaddr):
    return (".".join(str(b) for b in bytes(sockaddr[4:8])), struct.unpack(">H", sockaddr[2:4])[0])


def _sockaddr(address):
    host, port = address
    return _pack(_numeric(host) or _resolve(host), int(port))


def _skip_name(packet, at):
    while True:
        length = packet[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if not length:
            return at


def _first_address(packet, query_id):
    # The first A record of an answer to our question, or None. IndexError or ValueError when it is cut or nonsense.
    if packet[:2] != query_id or not packet[2] & 0x80:
        return None
    questions, answers = struct.unpack(">HH", packet[4:8])
    at = 12
    for _ in range(questions):
        at = _skip_name(packet, at) + 4
    for _ in range(answers):
        at = _skip_name(packet, at)
        kind, size = struct.unpack(">H6xH", packet[at : at + 10])
        at += 10
        if kind == 1 and size == 4 and len(packet) >= at + 4:
            return bytes(packet[at : at + 4])
        at += size
    return None


def _resolve(host):
    # The name servers are those of the lease, not the PC's.
    _air.look()
    labels = host.encode().rstrip(b".").split(b".")
    if not all(0 < len(label) < 64 for label in labels) or len(host) > 253:
        raise OSError(_NAME_UNKNOWN)
    query_id = os.urandom(2)
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0\0\1\0\1"
    query = query_id + b"\1\0\0\1\0\0\0\0\0\0" + question
    servers = _air.lease["dns"]
    for attempt in range(_DNS_TRIES if servers else 0):
        server = _pack(_numeric(servers[attempt % len(servers)]), _DNS_PORT)
        connection = usocket.socket(AF_INET, SOCK_DGRAM)
        try:
            connection.settimeout(1)
            connection.connect(server)
            connection.send(query)
            found = _first_address(connection.recv(512), query_id)
        except (OSError, IndexError, ValueError):
            continue
        finally:
            connection.close()
        if found is None:
            raise OSError(_NAME_FAILED)
        return found
    raise OSError(_NAME_FAILED)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    ip = _numeric(host) or _resolve(host)
    return [(AF_INET, type or SOCK_STREAM, proto, host or "0.0.0.0", (".".join(str(b) for b in ip), int(port)))]


def _closed(*_):
    raise OSError(errno.EBADF)


class socket(io.IOBase):
    _count = 0

    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, *, _wrapped=None):
        self._socket = None
        if socket._count >= _MAX_SOCKETS:
            if _wrapped:
                _wrapped.close()
            raise OSError(_ENFILE)
        s = _wrapped or usocket.socket(family, type, proto)
        self._socket = s
        socket._count += 1
        self._wait = True
        self.fileno = s.fileno
        self.listen = s.listen
        self.read = s.read
        self.readinto = s.readinto
        self.readline = s.readline
        self.write = s.write

    def ioctl(self, request, argument):
        s = self._socket
        if request == _STREAM_GET_FILENO:
            return -errno.EBADF if s is None else s.fileno()
        if request == _STREAM_POLL and s is None:
            return _POLL_NVAL
        if request == _STREAM_CLOSE:
            self.close()
            return 0
        return -errno.EINVAL

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            socket._count -= 1
            # The unix port would go on with the number of the descriptor, which may soon be another socket's.
            self.fileno = self.listen = self.read = self.readinto = self.readline = self.write = _closed

    def _open(self):
        if self._socket is None:
            raise OSError(errno.EBADF)
        return self._socket

    def _timed_out(self, error):
        # The unix port says EAGAIN for a timeout, too.
        return OSError(errno.ETIMEDOUT) if self._wait and error.errno == errno.EAGAIN else error

    def bind(self, address):
        self._open().bind(_sockaddr(address))

    def connect(self, address):
        self._open().connect(_sockaddr(address))

    def accept(self):
        connection, peer = self._open().accept()
        return socket(_wrapped=connection), _unpack(peer)

    def recv(self, size):
        try:
            return self._open().recv(size)
        except OSError as error:
            raise self._timed_out(error)

    def recvfrom(self, size):
        try:
            data, peer = self._open().recvfrom(size)
        except OSError as error:
            raise self._timed_out(error)
        return data, _unpack(peer)

    def send(self, data):
        try:
            return self._open().send(data)
        except OSError as error:
            raise self._timed_out(error)

    def sendall(self, data):
        rest = memoryview(data)
        while len(rest):
            rest = rest[self.send(rest) :]

    def sendto(self, data, address):
        ip = _numeric(address[0])
        if ip is None:
            raise ValueError("invalid arguments")
        try:
            return self._open().sendto(data, _pack(ip, int(address[1])))
        except OSError as error:
            raise self._timed_out(error)

    def setsockopt(self, level, option, value):
        # As on the chip, the option's number says its level.
        if option == IP_ADD_MEMBERSHIP:
            if len(value) != 8:
                raise ValueError
            self._open().setsockopt(IPPROTO_IP, option, value)
        elif option == TCP_NODELAY:
            self._open().setsockopt(IPPROTO_TCP, option, int(value))
        elif option == SO_BINDTODEVICE:
            names = {"st1": "uplink", "ap2": "segment"}
            name = value if isinstance(value, str) else value.decode()
            self._open().setsockopt(SOL_SOCKET, option, names.get(name, name).encode())
        elif option in _LEVELS:
            self._open().setsockopt(SOL_SOCKET, option, int(value))
        else:
            raise OSError(errno.ENOPROTOOPT)

    def settimeout(self, seconds):
        self._wait = seconds is None or seconds > 0
        self._open().settimeout(seconds)

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def makefile(self, mode="rb", buffering=0):
        return self
