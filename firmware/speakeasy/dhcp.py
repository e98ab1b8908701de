"""A DHCP server for exactly one client, the speaker (RFC 2131, 2132). Bytes in, bytes out; the radio is elsewhere.

The address it leases is not from a pool: it is the one the speaker shall have now. A client that asks for another one
gets a NAK, so that it starts over; leases are short, so that it asks soon.
"""

from micropython import const

from .inet import BROADCAST, ZERO

LEASE_S = 60
BUFFER_BYTES = 1024  # what a request may have at most; frames of a 1500 byte link that are longer are dropped
REPLY_BYTES = 576  # what every client takes (RFC 2131, section 2)

NOTHING = 0
OFFERED = 1
ACKED = 2
NAKED = 3
DECLINED = 4
RELEASED = 5
INFORMED = 6

_FIXED = const(240)
_MIN_REPLY = const(300)
_OP = const(0)
_HTYPE = const(1)
_HLEN = const(2)
_XID = const(4)
_FLAGS = const(10)
_CIADDR = const(12)
_YIADDR = const(16)
_SIADDR = const(20)
_GIADDR = const(24)
_CHADDR = const(28)
_COOKIE = const(236)

_DISCOVER = const(1)
_OFFER = const(2)
_REQUEST = const(3)
_DECLINE = const(4)
_ACK = const(5)
_NAK = const(6)
_RELEASE = const(7)
_INFORM = const(8)

_MASK = const(1)
_ROUTER = const(3)
_DNS = const(6)
_REQUESTED = const(50)
_LEASE = const(51)
_TYPE = const(53)
_SERVER = const(54)
_T1 = const(58)
_T2 = const(59)
_CLIENT_ID = const(61)
_PAD = const(0)
_END = const(255)

_MAGIC = b"\x63\x82\x53\x63"


class Server:
    """`configure` says what to lease; `answer` turns a request in `request` into a reply in `reply`.

    After `answer`: `reply[:n]` is the BOOTP payload, `to_mac` (6 bytes or None for the broadcast MAC) and `to_addr` say
    where it goes, `event` what was understood.
    """

    def __init__(self) -> None:
        self.request = bytearray(BUFFER_BYTES)
        self.reply = bytearray(REPLY_BYTES)
        self.to_mac: bytes | None = None
        self.to_addr = BROADCAST
        self.event = NOTHING
        self._host = self._addr = ZERO
        self._given = b""
        self._times = b""
        # Where the options of the request stand: offset of the value, 0 = absent.
        self._requested = 0
        self._server = 0
        self._client_id = 0
        self._type = 0

    def client(self) -> bytes:
        """The MAC of whoever sent `request`."""
        return bytes(self.request[_CHADDR : _CHADDR + 6])

    def configure(self, host: bytes, addr: bytes, mask: bytes, router: bytes, dns: bytes) -> None:
        """`host`: the server's own address; then what the speaker gets from now on, 4 bytes each. router zero: none;
        `dns` is n times 4 bytes."""
        self._host = host
        self._addr = addr
        self._given = bytes((_MASK, 4)) + mask
        if router != ZERO:
            self._given += bytes((_ROUTER, 4)) + router
        if dns:
            self._given += bytes((_DNS, len(dns))) + dns
        self._times = b""
        for code, span in ((_LEASE, LEASE_S), (_T1, LEASE_S // 2), (_T2, LEASE_S * 7 // 8)):
            self._times += bytes((code, 4)) + span.to_bytes(4, "big")

    def answer(self, n: int, client: bytes | None) -> int:
        """Handle the first `n` bytes of `request`; the length of the reply, 0 for none.

        `client`: the MAC that is served, None for whoever asks. Malformed requests, relayed ones and those meant for
        another server are ignored.
        """
        self.event = NOTHING
        kind = self._parse(n)
        if kind == 0 or self._addr == ZERO:
            return 0
        if client is not None and self.client() != client:
            return 0
        for_us = self._server == 0 or self._equals(self._server, self._host)
        if kind == _DISCOVER:
            self.event = OFFERED
            return self._reply(_OFFER)
        if not for_us:
            return 0
        if kind == _REQUEST:
            # RFC 2131, 4.3.2: SELECTING and INIT-REBOOT name the address in an option, the others in ciaddr.
            wanted = self._requested if self._requested else _CIADDR
            if self._equals(wanted, ZERO):
                return 0
            if self._equals(wanted, self._addr):
                self.event = ACKED
                return self._reply(_ACK)
            self.event = NAKED
            return self._reply(_NAK)
        if kind == _INFORM:
            if self._equals(_CIADDR, ZERO):
                return 0
            self.event = INFORMED
            return self._reply(_ACK)
        if kind == _DECLINE:
            self.event = DECLINED
        elif kind == _RELEASE:
            self.event = RELEASED
        return 0

    def _parse(self, n: int) -> int:
        # The message type, 0 for anything that is not a whole request of an Ethernet client.
        p = self.request
        if not _FIXED < n <= len(p) or p[_OP] != 1 or p[_HTYPE] != 1 or p[_HLEN] != 6:
            return 0
        if not self._equals(_GIADDR, ZERO) or not self._equals(_COOKIE, _MAGIC):
            return 0
        self._type = self._requested = self._server = self._client_id = 0
        if not self._options_of(n) or not self._type:
            return 0
        kind = p[self._type]
        return kind if _DISCOVER <= kind <= _INFORM else 0

    def _options_of(self, n: int) -> bool:
        # Notes where the options stand. False when they are cut off, or one that matters has a wrong length.
        p = self.request
        i = _FIXED
        while i < n:
            code = p[i]
            i += 1
            if code == _END:
                return True
            if code == _PAD:
                continue
            if i >= n or i + 1 + p[i] > n:
                return False
            length = p[i]
            i += 1
            if code == _TYPE:
                if length != 1:
                    return False
                self._type = i
            elif code == _REQUESTED:
                if length != 4:
                    return False
                self._requested = i
            elif code == _SERVER:
                if length != 4:
                    return False
                self._server = i
            elif code == _CLIENT_ID and length >= 2:
                self._client_id = i
            i += length
        return False

    def _equals(self, offset: int, addr: bytes) -> bool:
        # Byte by byte: a slice would allocate.
        p = self.request
        return (
            p[offset] == addr[0] and p[offset + 1] == addr[1] and p[offset + 2] == addr[2] and p[offset + 3] == addr[3]
        )

    def _reply(self, kind: int) -> int:
        p = self.request
        r = self.reply
        for i in range(_FIXED):
            r[i] = 0
        r[_OP] = 2
        r[_HTYPE] = 1
        r[_HLEN] = 6
        r[_XID : _XID + 4] = p[_XID : _XID + 4]
        r[_FLAGS : _FLAGS + 2] = p[_FLAGS : _FLAGS + 2]
        r[_CHADDR : _CHADDR + 16] = p[_CHADDR : _CHADDR + 16]
        r[_COOKIE : _COOKIE + 4] = _MAGIC
        inform = self.event == INFORMED
        if kind != _NAK:
            r[_CIADDR : _CIADDR + 4] = p[_CIADDR : _CIADDR + 4]
            if not inform:
                r[_YIADDR : _YIADDR + 4] = self._addr
        i = self._put(_FIXED, bytes((_TYPE, 1, kind, _SERVER, 4)) + self._host)
        if self._client_id:  # RFC 6842: it comes back as it was
            at = self._client_id
            i = self._put(i, p[at - 2 : at + p[at - 1]])
        if kind != _NAK:
            i = self._put(i, self._given)
            if not inform:
                i = self._put(i, self._times)
        r[i] = _END
        i += 1
        while i < _MIN_REPLY:
            r[i] = _PAD
            i += 1
        self._address(kind)
        return i

    def _put(self, i: int, option: bytes | bytearray) -> int:
        self.reply[i : i + len(option)] = option
        return i + len(option)

    def _address(self, kind: int) -> None:
        # RFC 2131, 4.1: to ciaddr if there is one, else by broadcast if asked for, else to yiaddr at chaddr.
        p = self.request
        if kind == _NAK:
            self.to_mac, self.to_addr = None, BROADCAST
        elif not self._equals(_CIADDR, ZERO):
            self.to_mac, self.to_addr = bytes(p[_CHADDR : _CHADDR + 6]), bytes(p[_CIADDR : _CIADDR + 4])
        elif p[_FLAGS] & 0x80:
            self.to_mac, self.to_addr = None, BROADCAST
        else:
            self.to_mac, self.to_addr = bytes(p[_CHADDR : _CHADDR + 6]), self._addr
