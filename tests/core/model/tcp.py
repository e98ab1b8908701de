"""What a flow knows of its TCP connection (SPEC 4.5). Sides: 0 is the remote, 1 the owner."""

from .packet import ACK, FIN, RST, SYN, Drop, Packet

OPENING, ESTABLISHED, CLOSING = 0, 1, 2
M32 = 2**32
SYN_DATA = 1514  # what a SYN ACK may leave unacknowledged: data sent with the SYN


def distance(a: int, b: int) -> int:
    """a - b of sequence numbers, in -2^31 .. 2^31 - 1."""
    return (a - b + 2**31) % M32 - 2**31


class Connection:
    def __init__(self, opener: int, checked: bool) -> None:
        self.opener = opener
        self.checked = checked  # not at the claim port: there the host's own stack looks at the numbers
        self.syn = [False, False]
        self.fin = [False, False]
        self.open = self.reset = False
        self.scales: list[int | None] = [None, None]
        self.end = [0, 0]  # the sequence number after the last one seen

    @property
    def progress(self) -> tuple[bool, ...]:
        return (self.open, self.reset, *self.fin, *self.syn)

    def renewed_by(self, p: Packet, before: tuple[bool, ...]) -> bool:
        """Does a segment that passed keep the flow alive?

        Not a SYN in an established one, nor a RST that changes nothing."""
        if self.progress != before:
            return True
        return not p.flags & RST and not (p.flags & SYN and self.open)

    @property
    def over(self) -> bool:
        return self.reset or all(self.fin)

    @property
    def state(self) -> int:
        """As flows are listed: with the first FIN or a RST it is closing."""
        if self.reset or any(self.fin):
            return CLOSING
        return ESTABLISHED if self.open else OPENING

    @property
    def settled(self) -> bool:
        """Established, until both FINs or a RST."""
        return self.open and not self.over

    def window(self, receiver: int) -> int:
        """The most that a side can announce; both have the option or none (RFC 7323, 2.2)."""
        if not all(self.syn) or None in self.scales:
            return 65536
        return 65536 << (self.scales[receiver] or 0)

    def quoted(self, side: int, seq: int) -> bool:
        """Is a sequence number in an ICMP error one that a side may have sent and the other may still wait for?"""
        if not self.checked:
            return True
        return self.syn[side] and -self.window(1 - side) <= distance(seq, self.end[side]) <= 0

    def segment(self, side: int, p: Packet) -> None:
        """A segment from one side. Drop: it does not pass."""
        if not self.checked:
            self._unchecked(side, p)
        elif p.flags & RST:
            self._reset(side, p)
        elif p.flags & SYN:
            self._syn(side, p)
        else:
            self._data(side, p)

    def _unchecked(self, side: int, p: Packet) -> None:
        if p.flags & SYN:
            self.syn[side] = True
        elif all(self.syn):
            self.open = True
        self.fin[side] |= bool(p.flags & FIN)
        self.reset |= bool(p.flags & RST) and side == 1

    def _reset(self, side: int, p: Packet) -> None:
        if not self.syn[side]:  # the answer to a SYN
            if not p.flags & ACK or p.ack != self.end[1 - side]:
                raise Drop("drop_tcp_window")
        elif p.seq != self.end[side]:
            if abs(distance(p.seq, self.end[side])) > self.window(1 - side):
                raise Drop("drop_tcp_window")
            return  # the receiver challenges it (RFC 5961, 3.2)
        self.reset = True

    def _syn(self, side: int, p: Packet) -> None:
        other = 1 - side
        end = (p.seq + 1 + p.tcp_payload) % M32
        if self.over and not p.flags & ACK:  # the opener's would have made a new flow
            raise Drop("drop_tcp_state")
        if self.open:
            return  # the receiver challenges it (RFC 5961, 4)
        if all(self.syn):
            if end != self.end[side]:  # not the same one again
                raise Drop("drop_tcp_window")
            return
        if p.flags & ACK:
            if not self.syn[other]:
                raise Drop("drop_tcp_state")
            if not -SYN_DATA <= distance(p.ack, self.end[other]) <= 0:
                raise Drop("drop_tcp_window")
        self.syn[side] = True
        self.scales[side] = p.window_scale
        self.end[side] = end

    def _data(self, side: int, p: Packet) -> None:
        if not all(self.syn):
            raise Drop("drop_tcp_state")
        end = (p.seq + p.tcp_payload + bool(p.flags & FIN)) % M32
        if abs(distance(end, self.end[side])) > self.window(1 - side):
            raise Drop("drop_tcp_window")
        if not -2 * self.window(side) <= distance(p.ack, self.end[1 - side]) <= 0:
            raise Drop("drop_tcp_window")
        if distance(end, self.end[side]) > 0:
            self.end[side] = end
        self.open = True
        self.fin[side] |= bool(p.flags & FIN)
