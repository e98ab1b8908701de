"""What comes from the segment (SPEC 4.3). First match wins."""

from . import addresses, icmp, relay
from .flows import SPEAKER, Flow
from .fragments import read_and_judge
from .leases import Lease
from .model import EVENT_DHCP, EVENT_SEGMENT_MAC, Model
from .packet import (
    ACK,
    BROADCAST,
    ICMP,
    RST,
    TCP,
    UDP,
    Drop,
    Packet,
    a4,
    arp_message,
    checksum,
    is_group_mac,
    link,
    rewrite,
)
from .uplink import read_arp

MAIL_AND_TELNET = (23, 25, 465, 587, 2323, 2525)
COOKIE = bytes([99, 130, 83, 99])


def rules(m: Model, frame: bytes) -> str:
    kind = m.link_checks(frame)
    source = frame[6:12]
    if is_group_mac(source) or (m.speaker_mac is not None and source != m.speaker_mac):
        m.events |= EVENT_SEGMENT_MAC
        raise Drop("drop_source_mac")
    if not is_group_mac(frame[0:6]) and frame[0:6] != m.config.segment_mac:
        raise Drop("drop_not_for_us")
    m.kinds(kind)
    if kind == 0x0806:
        return arp(m, frame)
    return read_and_judge(m, "segment", frame, ip)


def arp(m: Model, frame: bytes) -> str:
    if m.speaker_mac is None:
        raise Drop("drop_no_speaker")
    op, sha, spa, tpa = read_arp(frame)
    c = m.config
    if spa not in (c.speaker, 0):
        raise Drop("drop_arp_bad")
    if op != 1 or tpa == c.speaker or addresses.special(tpa):
        raise Drop("drop_arp_other")
    m.send("segment", sha, arp_message(2, c.segment_mac, tpa, sha, spa), 0x0806)
    return "arp_answered"


def ip(m: Model, p: Packet) -> str:
    c = m.config
    if p.proto == UDP and (p.sport, p.dport) == (68, 67):
        return dhcp(m, p)
    if m.speaker_mac is None:
        raise Drop("drop_no_speaker")
    if p.src != c.speaker or not p.src:
        raise Drop("drop_source_address")
    if p.dst == c.host and not is_group_mac(p.to):
        return to_host(m, p)
    if not c.addr:
        raise Drop("drop_no_uplink")
    if p.dst == BROADCAST or p.dst >> 28 == 14:
        return relay.from_speaker(m, p)
    if is_group_mac(p.to):
        raise Drop("drop_multicast")
    f = flow_of(m, p)
    if f:
        return of_flow(m, f, p)
    if p.proto == ICMP and p.icmp_type in icmp.ERRORS:
        return icmp_error(m, p)
    if p.proto == TCP and not p.is_syn:
        if p.flags & (RST | ACK) == ACK:
            m.reset_speaker(p.dst, p.dport, p.sport, p.ack)
        raise Drop("drop_no_flow")
    if p.proto == ICMP and p.icmp_type != icmp.ECHO:
        raise Drop("drop_icmp_type")
    return opens(m, p)


# ---- DHCP ----


def dhcp(m: Model, p: Packet) -> str:
    payload = p.udp_payload
    good = (
        240 <= len(payload) <= m.limits.DHCP_MAX
        and payload[0:3] == bytes([1, 1, 6])
        and payload[28:34] == p.came_from
        and payload[236:240] == COOKIE
        and udp_sum_right(p)
    )
    if not good:
        raise Drop("drop_dhcp_bad")
    if len(m.dhcp) >= m.limits.DHCP_QUEUE:
        raise Drop("drop_dhcp_full")
    m.dhcp.append(payload)
    m.events |= EVENT_DHCP
    return "dhcp_queued"


def udp_sum_right(p: Packet) -> bool:
    l4 = p.l4
    if l4[6:8] == b"\0\0":
        return True
    return checksum(a4(p.src) + a4(p.dst) + b"\0\x11" + len(l4).to_bytes(2, "big") + l4) == 0


# ---- To the host ----


def to_host(m: Model, p: Packet) -> str:
    c = m.config
    if p.proto == TCP and p.dport == c.claim_port:
        raise Drop("drop_no_rule")
    if p.is_syn and not m.rate["EGRESS"].take(m.now):
        raise Drop("drop_rate_egress")
    data = rewrite(p.data, p.header, src=c.alias)
    if p.proto == ICMP and p.icmp_type in icmp.ERRORS:
        q = icmp.quoted(p)
        if q.dst != c.speaker:
            raise Drop("drop_icmp_inner")
        data = icmp.with_inner(p, rewrite(q.data, 20, dst=c.alias), src=c.alias)
    elif p.proto == ICMP and p.icmp_type not in (icmp.ECHO, icmp.ECHO_REPLY):
        raise Drop("drop_icmp_type")
    m.out.append(("host_segment", link(p.to, p.came_from, 0x0800, data)))
    return "pass_speaker_host"


# ---- To the uplink ----


def flow_of(m: Model, p: Packet) -> Flow | None:
    if p.proto != ICMP:
        return m.reopened(m.table.outgoing(SPEAKER, p.proto, p.dst, p.dport, p.sport, m.now), 1, p)
    if p.icmp_type == icmp.ECHO:
        return m.table.outgoing(SPEAKER, ICMP, p.dst, 0, p.icmp_id, m.now)
    return None


def of_flow(m: Model, f: Flow, p: Packet) -> str:
    if f.lease and f.lease.over(m.now):
        m.lease_over(f.lease)
        raise Drop("drop_no_lease")
    ttl = m.need_ttl(p)
    m.track(f, 1, p)
    assert f.peer is not None
    data = rewrite(p.data, p.header, src=m.config.addr, sport=f.eport, ttl=ttl)
    return m.peers.send(f.peer, data, "pass_speaker_uplink")


def icmp_error(m: Model, p: Packet) -> str:
    """About a frame that the speaker got in a flow, to who sent it."""
    c = m.config
    q, f = icmp.quoted_flow(m, p, SPEAKER, c.speaker)
    ttl = m.need_ttl(p)
    ports = {"sport": f.eport} if q.proto == ICMP else {"dport": f.eport}
    inner = rewrite(q.data, 20, dst=c.addr, **ports)
    assert f.peer is not None
    return m.peers.send(f.peer, icmp.with_inner(p, inner, src=c.addr, ttl=ttl), "pass_speaker_uplink")


def opens(m: Model, p: Packet) -> str:
    """A new flow of the speaker."""
    c = m.config
    if addresses.special(p.dst) or p.dst == c.addr:
        raise Drop("drop_egress_address")
    peer = m.peers.of(p.dst)  # a lease whose time is over ends here
    local = addresses.private(p.dst) or c.in_subnet(p.dst)
    if local and not (peer and peer.addr == p.dst):
        raise Drop("drop_egress_local")
    if p.proto == TCP and p.dport in MAIL_AND_TELNET:
        raise Drop("drop_egress_port")
    rate = "callback" if isinstance(peer, Lease) else "egress"
    if not m.rate[rate.upper()].take(m.now):
        raise Drop(f"drop_rate_{rate}")
    return of_flow(m, m.new_flow(SPEAKER, p, peer, inbound=False), p)
