"""The only module that programs the packet filter: addresses, speaker, leases; and serves its DHCP frames.

The filter denies by default and keeps that whatever happens here; this module opens it for phones that proved who they
are, and closes it again.
"""

import asyncio

import pktfilter
from micropython import const

from . import clock, dhcp, inet
from .blocked import Blocked
from .eventlog import log, seldom
from .settings import PRIVATE

LEASE_S = 12 * 3600
CLAIM_PORT = 7780
MAX_DNS = 3
MAX_ASKED = 8  # machines that are remembered to have asked for an address

_POLL_MS = const(50)
_TCP = const(6)
_UDP = const(17)
_ENOSPC = const(28)  # MicroPython's errno does not name it
_BIT_DHCP = const(1)
_BIT_LEASE_ENDED = const(2)
_BIT_OTHER_MAC = const(4)
_BIT_STRANGER = const(8)
_FRAMES_A_TURN = const(8)
_ALARM_PAUSE_S = const(60)
_ALARMS = (
    (_BIT_OTHER_MAC, "another machine uses the address of a phone that is let in: what it sends is dropped"),
    (_BIT_STRANGER, "a machine that is not the speaker is on the speaker's Wi-Fi: what it sends is dropped"),
)
_DHCP_NEWS = {
    dhcp.ACKED: "the speaker has its address",
    dhcp.NAKED: "the speaker asked for an address that is no longer right: refused",
    dhcp.DECLINED: "the speaker says that somebody else uses its address",
    dhcp.RELEASED: "the speaker gave its address back",
}


class Full(Exception):
    """All leases are taken."""


class Unseen(Exception):
    """The phone is on our own network, but the filter does not know which machine it is."""


class Relayed(Exception):
    """Another machine than the phone's own sent the claim."""


class Policy:
    """`uplink_mac`, `segment_mac`: 6 bytes each. `beat()` is called at each turn of the poll loop."""

    def __init__(self, uplink_mac: bytes, segment_mac: bytes, beat) -> None:
        self.uplink_mac = uplink_mac  # by which the dorm's network knows the bridge
        self._segment_mac = segment_mac
        self._beat = beat
        self._addr = inet.ZERO
        self._mask = inet.ZERO
        self._router = inet.ZERO
        self._dns = b""
        self._private = False
        self._hosts = b""
        self._offer: tuple = ()  # what a speaker was, or would have been, given
        self.host = inet.SEGMENT_HOST  # the bridge's own address on the segment
        self._speaker: bytes | None = None
        self._acked = b""  # the MAC that was acknowledged an address last
        self._told: dict = {}  # bit -> when it was logged last
        self._phone_at: dict = {}  # address -> phone id (hex)
        self._dhcp = dhcp.Server()
        self.asked: list = []  # MACs of who asked for an address on the segment, the last one last
        self.forgotten = 0  # how many of them there were no room for any more
        self._setup: list | None = None  # in a set-up window: `asked` in the order of the addresses
        self._by_dhcp = False  # whether who asks for an address first is the speaker
        self.heard_at = 0  # when the speaker asked for its address last, `clock.milliseconds`
        self._last_news = dhcp.NOTHING
        self.speaker_addr = inet.ZERO  # what the speaker was last acknowledged; zero: nothing yet
        self.blocked = Blocked(pktfilter.counters)
        self._program()

    @property
    def addr(self) -> bytes:
        """The uplink's address X, 4 bytes; zero: there is none."""
        return self._addr

    @property
    def alias(self) -> bytes:
        """The speaker's address inside the bridge, 4 bytes; with private addressing the one it has itself."""
        return inet.alias_of(self.host)

    @property
    def guarded(self) -> bool:
        """Whether the bridge stands for the speaker at X: private addressing, and there is an uplink."""
        return self._private and self._addr != inet.ZERO

    @property
    def speaker(self) -> bytes | None:
        """The speaker's MAC, None if none was seen."""
        return self._speaker

    def start(self, ethernet: str | None = None) -> None:
        """Bind the filter to the network interfaces, of which `ethernet` ("uplink", "segment") is a cable; OSError when
        it cannot: then no radio may be switched on."""
        pktfilter.start(ethernet)

    def by_cable(self) -> None:
        """The speaker is on a cable, where no list of stations tells of it: whoever asks for an address while there is
        no speaker is the speaker."""
        self._by_dhcp = True

    def uplink_changed(self, addr: bytes, mask: bytes, router: bytes, dns: bytes) -> None:
        """The uplink's address and what belongs to it, 4 bytes each, `dns` n times 4; all zero and empty: no uplink.

        A changed address, mask or router ends all flows and leases; the speaker is made to come again when that
        changes what it is given. A segment whose subnet would overlap the uplink's moves to another one.
        """
        self._addr, self._mask, self._router, self._dns = addr, mask, router, dns[: 4 * MAX_DNS]
        if addr != inet.ZERO:
            self.host = inet.segment_host(addr, mask, router + self._dns)
        self._program()

    def addressing(self, mode: str, hosts: list) -> None:
        """The addressing mode, and the local hosts (at most 8 addresses as text) that the speaker may open flows to.

        Another mode ends the speaker's flows, and the speaker is made to come again for its other address; leases stay.
        """
        self._private = mode == PRIVATE
        self._hosts = b"".join([inet.parse(host) for host in hosts])
        self._program()

    def services(self, services: list) -> None:
        """What leased phones may open to the speaker, "tcp/PORT" or "udp/PORT" each. Flows to others end."""
        pktfilter.services(tuple([(_TCP if text[:4] == "tcp/" else _UDP, int(text[4:])) for text in services]))

    def _program(self) -> None:
        addr, mask, router, dns = self._addr, self._mask, self._router, self._dns
        pktfilter.configure(
            *(self.uplink_mac, self._segment_mac, addr, mask, router, dns),
            *(CLAIM_PORT, self.host, self._private, self._hosts),
        )
        self._phone_at = {a: p for a, p in self._phone_at.items() if a in {entry[0] for entry in pktfilter.leases()}}
        names = dns or router if addr != inet.ZERO else b""
        if self._wanted() == addr:
            self._dhcp.configure(self.host, addr, mask, router, names)
        else:
            self._dhcp.configure(self.host, self._wanted(), inet.SEGMENT_MASK, self.host, names)
        # Other name servers can wait until it renews; none at all cannot: music comes from names.
        offer = (self._wanted(), names != b"")
        if offer != self._offer:
            # A speaker may have had its address before the segment has told us that it is there.
            served = self._speaker is not None or self.speaker_addr != inet.ZERO
            self._offer = offer
            self.speaker_addr = inet.ZERO
            self._last_news = dhcp.NOTHING
            if served:
                log(
                    "policy",
                    "the speaker's address is %s from now on: it is disconnected, and comes again for it"
                    % inet.text(self._wanted()),
                )
                pktfilter.deauth(self._speaker or self._acked)

    def speaker_seen(self, mac: bytes) -> None:
        """The one station of the segment; another MAC than before ends the earlier one's flows."""
        if mac == self._speaker:
            return
        pktfilter.speaker(mac)
        self._speaker = mac
        if self._acked != mac:  # it may have asked for its address before it was seen here
            self.speaker_addr = inet.ZERO
            self._last_news = dhcp.NOTHING
        log(
            "policy",
            "the speaker is the machine %s; its address is to be %s" % (inet.mac_text(mac), inet.text(self._wanted())),
        )

    def setup(self, is_open: bool) -> None:
        """A set-up window opens or closes. While it is open nobody is the speaker, so the filter lets nothing through
        from the segment but what asks for an address: that gets one there, without a router."""
        if is_open:
            if self._speaker is not None:
                pktfilter.deauth(self._speaker)
            self.asked = []
            self.forgotten = 0
            self._setup = []
        else:
            self._setup = None
        self.speaker_gone()
        self._program()

    def throw_out(self, mac: bytes) -> None:
        """Disconnect one station of the segment; the others notice nothing."""
        pktfilter.deauth(mac)

    def speaker_gone(self) -> None:
        """There is no speaker any more: its flows end, and another one may come."""
        pktfilter.speaker(None)
        self._speaker = None
        self._acked = b""
        self.speaker_addr = inet.ZERO
        self._last_news = dhcp.NOTHING

    def grant(
        self, phone_id: str, addr: bytes, port: int, own_mac: bytes | None = None, local_port: int = CLAIM_PORT
    ) -> bool:
        """Lease to a phone that proved itself from `addr`:`port`. True: bound to its MAC; False: by address only,
        because a router stands in between. `own_mac`: what the phone says that its MAC is, if it does.

        What that phone, or another one at that address, had before ends. Full, Unseen, Relayed.
        """
        mac = None
        if inet.same_subnet(addr, self._addr, self._mask):
            mac = pktfilter.flow_mac(_TCP, addr, port, local_port)
            if mac is None:
                raise Unseen
            if own_mac is not None and own_mac != mac:
                seldom(
                    "policy",
                    "phone %s asked to be let in, but it came by way of %s: refused, somebody may be in between"
                    % (phone_id, inet.mac_text(mac)),
                )
                raise Relayed
        renewed = self._phone_at.get(addr) == phone_id and (addr, mac) in [entry[:2] for entry in pktfilter.leases()]
        self._make_way(phone_id, addr, mac)
        try:
            pktfilter.lease_add(addr, mac, LEASE_S)
        except OSError as e:
            if e.errno == _ENOSPC:
                raise Full from None
            raise
        self._phone_at[addr] = phone_id
        if not renewed:  # some phones claim every few minutes: the log is for what changes
            by = "machine " + inet.mac_text(mac) + " only" if mac else "whoever has that address"
            log("policy", "phone %s is let in from %s, %s" % (phone_id, inet.text(addr), by))
        return mac is not None

    def _make_way(self, phone_id: str, addr: bytes, mac: bytes | None) -> None:
        # Ends the phone's lease at another address, and another phone's at this one. A lease at this address for
        # another MAC is ended by the filter itself, when it takes the new one.
        macs = {entry[0]: entry[1] for entry in pktfilter.leases()}
        for old, owner in list(self._phone_at.items()):
            if owner == phone_id:
                if old in macs and macs[old] != mac:
                    before, now = [inet.mac_text(m) if m else "none" for m in (macs[old], mac)]
                    log("policy", "phone %s is let in as another machine: %s, before %s" % (phone_id, now, before))
                if old != addr:
                    self._end(old)
            elif old == addr:
                self._end(old)
                log(
                    "policy",
                    "phone %s is not let in from %s any more: another phone is there" % (owner, inet.text(old)),
                )

    def revoke(self, phone_id: str) -> int:
        """End all leases of a phone; the number of flows that ended with them."""
        flows = 0
        for addr, owner in list(self._phone_at.items()):
            if owner == phone_id:
                flows += self._end(addr)
        return flows

    def leased(self, addr: bytes) -> bool:
        """Whether a phone has a lease at that address."""
        return addr in self._phone_at

    def leases(self) -> list:
        """[(phone id, address, MAC or None, seconds left)]."""
        return [(self._phone_at[a], a, mac, left) for a, mac, left, _ in pktfilter.leases() if a in self._phone_at]

    def counters(self) -> dict:
        """The filter's counters, name to count."""
        return pktfilter.counters()

    def flows(self) -> int:
        """How many flows the filter tracks."""
        return pktfilter.flow_count()

    async def run(self) -> None:
        """Serve the filter for ever."""
        while True:
            bits = pktfilter.poll()
            if bits:
                if bits & _BIT_DHCP:
                    self._serve_dhcp()
                if bits & ~_BIT_DHCP:
                    self._news(bits)
            if clock.seconds() >= self.blocked.due:
                self.blocked.look()
            self._beat()
            await asyncio.sleep_ms(_POLL_MS)

    def _end(self, addr: bytes) -> int:
        # Out of the filter first: whatever fails after it, the phone no longer passes.
        flows = pktfilter.lease_end(addr)
        del self._phone_at[addr]
        return flows

    def _wanted(self) -> bytes:
        # The address that the speaker shall believe in.
        return self.alias if self._private or self._addr == inet.ZERO else self._addr

    def _serve_dhcp(self) -> None:
        server = self._dhcp
        for _ in range(_FRAMES_A_TURN):
            n = pktfilter.dhcp_recv(server.request)
            if n == 0:
                return
            self._has_asked(server.client())
            if self._setup is not None:
                self._serve_setup(n, self._setup)
                continue
            size = server.answer(n, self._speaker)
            if server.event != dhcp.NOTHING:
                # Only one that means to stay is taken for the speaker: it is told something.
                if size and self._by_dhcp and self._speaker is None:
                    self.speaker_seen(server.client())
                self.heard_at = clock.milliseconds()
            if size:
                pktfilter.dhcp_send(server.reply, size, server.to_mac, server.to_addr)
            if server.event == dhcp.ACKED:
                self.speaker_addr = self._wanted()
                self._acked = server.client()
            elif server.event in (dhcp.NAKED, dhcp.DECLINED, dhcp.RELEASED):
                self.speaker_addr = inet.ZERO
            # A speaker renews every half minute: only news is worth a line.
            if server.event != self._last_news and server.event in _DHCP_NEWS:
                self._last_news = server.event
                log("dhcp", "%s: %s" % (_DHCP_NEWS[server.event], inet.text(self._wanted())))

    def _has_asked(self, mac: bytes) -> None:
        # A frame that got here was enciphered with the segment's key: the driver's list has machines without it, too.
        asked, places = self.asked, self._setup
        if mac in asked:
            asked.remove(mac)
        elif len(asked) == MAX_ASKED:
            # Whoever makes up MACs keeps nobody out: the one that has asked for nothing the longest gives way.
            gone = asked.pop(0)
            self.forgotten += 1
            if places is not None:
                places[places.index(gone)] = mac
        elif places is not None:
            places.append(mac)
        asked.append(mac)

    def _serve_setup(self, n: int, known: list) -> None:
        server = self._dhcp
        addr = self.host[:3] + bytes((self.host[3] + 1 + known.index(server.client()),))
        server.configure(self.host, addr, inet.SEGMENT_MASK, inet.ZERO, b"")
        size = server.answer(n, None)
        if size:
            pktfilter.dhcp_send(server.reply, size, server.to_mac, server.to_addr)

    def _news(self, bits: int) -> None:
        if bits & _BIT_LEASE_ENDED:
            there = {entry[0] for entry in pktfilter.leases()}
            for addr, owner in list(self._phone_at.items()):
                if addr not in there:
                    del self._phone_at[addr]
                    log(
                        "policy",
                        "phone %s is not let in from %s any more: it was silent for too long"
                        % (owner, inet.text(addr)),
                    )
        # An attacker must not push everything else out of the log.
        now = clock.seconds()
        for bit, text in _ALARMS:
            if bits & bit and now - self._told.get(bit, -_ALARM_PAUSE_S) >= _ALARM_PAUSE_S:
                self._told[bit] = now
                log("policy", text)
