"""What comes from the uplink (SPEC 4.2). First match wins."""

from . import addresses, icmp, relay
from .flows import HOST, SPEAKER, Flow
from .fragments import read_and_judge
from .leases import Lease
from .model import EVENT_LEASE_MAC, Model
from .packet import (
    ACK,
    BROADCAST,
    FIN,
    ICMP,
    RST,
    SYN,
    TCP,
    UDP,
    Drop,
    Packet,
    arp_message,
    is_group_mac,
    link,
    rewrite,
)


def rules(m: Model, frame: bytes) -> str:
    kind = m.link_checks(frame)
    if not is_group_mac(frame[0:6]) and frame[0:6] != m.config.uplink_mac:
        raise Drop("drop_not_for_us")
    if is_group_mac(frame[6:12]) or frame[6:12] == m.config.uplink_mac:
        raise Drop("drop_source_mac")
    m.kinds(kind)
    if kind == 0x0806:
        return arp(m, frame)
    strangers_syn(m, frame)
    return read_and_judge(m, "uplink", frame, ip)


# ---- ARP ----


def arp(m: Model, frame: bytes) -> str:
    op, sha, spa, tpa = read_arp(frame)
    c = m.config
    if spa == c.addr and c.addr:
        raise Drop("drop_arp_conflict")
    if spa and addresses.no_ones_source(c, spa):
        raise Drop("drop_source_address")
    if contradicts(m, sha, spa):
        if op != 1 or tpa != c.addr or not c.addr:
            raise Drop("drop_arp_spoof")
        m.send("uplink", sha, arp_message(2, c.uplink_mac, tpa, sha, spa), 0x0806)
        return "arp_answered"
    if op == 1:
        if tpa != c.addr or not c.addr:
            raise Drop("drop_arp_other")
        m.out.append(("host_uplink", frame[:42]))
        return "pass_uplink_host"
    if is_group_mac(frame[0:6]):
        raise Drop("drop_arp_unasked")
    verdict = "drop_arp_unasked"
    for asked in [peer for peer in m.peers.all() if peer.addr == spa and peer.tries and tpa == c.addr]:
        m.peers.learn(asked, sha)
        verdict = "arp_learned"
    if m.asked.expects(spa, m.now):
        m.out.append(("host_uplink", frame[:42]))
        verdict = "pass_uplink_host"
    return verdict


def contradicts(m: Model, sha: bytes, spa: int) -> bool:
    """Does a lease, or a known neighbour, have that address and another MAC?"""
    who = m.peers.named(spa)
    if isinstance(who, Lease):
        if who.mac and who.mac != sha:
            m.events |= EVENT_LEASE_MAC
            return True
        who = who.peer if not who.mac else None
    return bool(who and who.mac and who.mac != sha)


def read_arp(frame: bytes) -> tuple[int, bytes, int, int]:
    """Operation, sender's MAC and address, target's address."""
    if len(frame) < 42 or frame[14:20] != bytes.fromhex("000108000604"):
        raise Drop("drop_arp_bad")
    op = int.from_bytes(frame[20:22], "big")
    sha = frame[22:28]
    if op not in (1, 2) or sha != frame[6:12]:
        raise Drop("drop_arp_bad")
    return op, sha, int.from_bytes(frame[28:32], "big"), int.from_bytes(frame[38:42], "big")


# ---- IP ----


def strangers_syn(m: Model, frame: bytes) -> None:
    """The row of strangers' SYNs: dropped whatever else is wrong with them, if they are long enough."""
    c = m.config
    ip = frame[14:]
    looks_like_one = (
        len(frame) >= 54
        and c.addr != 0
        and frame[0:6] == c.uplink_mac
        and ip[0] == 0x45
        and not int.from_bytes(ip[6:8], "big") & ~0x4000
        and ip[9] == TCP
        and int.from_bytes(ip[16:20], "big") == c.addr
        and ip[33] & (FIN | SYN | RST | ACK) == SYN
    )
    if not looks_like_one:
        return
    src, sport, dport = (int.from_bytes(ip[a:b], "big") for a, b in ((12, 16), (20, 22), (22, 24)))
    if (
        (TCP, src, sport, dport) in m.table.by_in
        or addresses.no_ones_source(c, src)
        or m.leases.find(src)
        or dport == c.claim_port
    ):
        return
    raise Drop("drop_no_lease" if (TCP, dport) in m.services else "drop_no_rule")


def ip(m: Model, p: Packet) -> str:
    c = m.config
    to_x = bool(c.addr) and p.dst == c.addr and not is_group_mac(p.to)
    if to_x and p.proto != ICMP:
        f = m.table.incoming(p.proto, p.src, p.sport, p.dport, m.now)
        if f:
            sender(m, f, p)
        f = m.reopened(f, 0, p)
        if f:
            return of_flow(m, f, p)
    dhcp = p.proto == UDP and (p.sport, p.dport) == (67, 68)
    overlaps = dhcp and not c.addr and addresses.on_the_segment(c, p.src)
    if addresses.no_ones_source(c, p.src) and not overlaps:
        raise Drop("drop_source_address")
    if dhcp:
        return dhcp_answer(m, p)
    if not c.addr:
        raise Drop("drop_no_uplink")
    if not to_x:
        return to_others(m, p)
    if p.proto == ICMP:
        return icmp_message(m, p)
    return opens(m, p)


def to_others(m: Model, p: Packet) -> str:
    """Groups, broadcasts, other machines."""
    if p.dst == BROADCAST or p.dst >> 28 == 14:
        return relay.search(m, p)
    raise Drop("drop_multicast" if is_group_mac(p.to) else "drop_not_for_us")


def sender(m: Model, f: Flow, p: Packet) -> None:
    """What comes in a flow comes from the flow's own MAC, also a SYN that would begin it anew."""
    if f.lease is not None:
        phone(m, f.lease, p)
    if f.claim and f.mac != p.came_from:
        raise Drop("drop_flow_mac")


def of_flow(m: Model, f: Flow, p: Packet) -> str:
    ttl = m.need_ttl(p) if f.owner == SPEAKER else p.ttl
    m.track(f, 0, p)
    if f.owner == HOST:
        return to_host(m, p, rewrite(p.data, p.header, dport=f.lport))
    m.to_speaker(rewrite(p.data, p.header, dst=m.config.speaker, dport=f.lport, ttl=ttl))
    return "pass_uplink_speaker"


def phone(m: Model, lease: Lease, p: Packet) -> None:
    """While the lease lasts, from its MAC."""
    if lease.over(m.now):
        m.lease_over(lease)
        raise Drop("drop_no_lease")
    if lease.mac and lease.mac != p.came_from:
        m.events |= EVENT_LEASE_MAC
        raise Drop("drop_lease_mac")


def phone_of(m: Model, p: Packet) -> Lease:
    """The lease of a frame's sender."""
    lease = m.lease_of(p.src)
    if lease is None:
        raise Drop("drop_no_lease")
    phone(m, lease, p)
    return lease


def to_host(m: Model, p: Packet, data: bytes) -> str:
    m.out.append(("host_uplink", link(p.to, p.came_from, 0x0800, data)))
    return "pass_uplink_host"


def dhcp_answer(m: Model, p: Packet) -> str:
    if m.dhcp_asked is None or m.now - m.dhcp_asked > m.limits.DHCP_ASKED_MS:
        raise Drop("drop_dhcp_unasked")
    return to_host(m, p, p.data)


def icmp_message(m: Model, p: Packet) -> str:
    if p.icmp_type in icmp.ERRORS:
        return icmp_error(m, p)
    if p.icmp_type == icmp.ECHO_REPLY:
        f = m.table.incoming(ICMP, p.src, 0, p.icmp_id, m.now)
        if f is None:
            raise Drop("drop_no_flow")
        sender(m, f, p)
        return of_flow(m, f, p)
    if p.icmp_type != icmp.ECHO:
        raise Drop("drop_icmp_type")
    if not m.rate["ECHO"].take(m.now):
        raise Drop("drop_rate_echo")
    return to_host(m, p, p.data)


def icmp_error(m: Model, p: Packet) -> str:
    q = icmp.quoted(p)
    if q.src != m.config.addr:
        raise Drop("drop_icmp_inner")
    if q.proto == ICMP and q.l4[0] != icmp.ECHO:
        raise Drop("drop_no_flow")
    f = m.table.incoming(q.proto, q.dst, 0 if q.proto == ICMP else q.dport, q.sport, m.now)
    if f is None:
        raise Drop("drop_no_flow")
    if f.connection and not f.connection.quoted(1, int.from_bytes(q.l4[4:8], "big")):
        raise Drop("drop_tcp_window")
    if not m.rate["ICMP_ERROR_IN"].take(m.now):
        raise Drop("drop_rate_icmp_error")
    ttl = m.need_ttl(p) if f.owner == SPEAKER else p.ttl
    owner = m.config.speaker if f.owner == SPEAKER else m.config.addr
    inner = rewrite(q.data, 20, src=owner, sport=f.lport)
    data = icmp.with_inner(p, inner, dst=owner, ttl=ttl)
    if f.owner == HOST:
        return to_host(m, p, data)
    m.to_speaker(data)
    return "pass_uplink_speaker"


def opens(m: Model, p: Packet) -> str:
    """SYN or datagram of no flow."""
    c = m.config
    if p.proto == TCP and not p.is_syn:
        raise Drop("drop_no_flow")
    if (p.proto, p.dport) in m.services:
        return service(m, p)
    if p.is_syn and c.claim_port and p.dport == c.claim_port:
        return claim(m, p)
    raise Drop("drop_no_rule")


def service(m: Model, p: Packet) -> str:
    lease = phone_of(m, p)
    if m.speaker_mac is None:
        raise Drop("drop_no_speaker")
    guarded = m.config.guard and (p.proto, p.dport) == (TCP, 1400)
    return of_flow(m, m.new_flow(HOST if guarded else SPEAKER, p, lease, inbound=True), p)


def may_claim(m: Model, p: Packet) -> bool:
    """A leased phone by a rate of its own; of all others each by its group's, and by that of all."""
    lease = m.lease_of(p.src)
    if lease and lease.mac == p.came_from:
        return lease.claims.take(m.now)
    mac = p.came_from if m.config.in_subnet(p.src) else None
    group = (mac is None, m.choices.claim_group(mac, p.src))
    if group not in m.claim_rate:
        m.claim_rate[group] = m.bucket("CLAIM")
    return m.claim_rate[group].take(m.now) and m.claims_rate[mac is None].take(m.now)


def claim(m: Model, p: Packet) -> str:
    if not may_claim(m, p):
        raise Drop("drop_rate_claim")
    f = m.new_flow(HOST, p, None, inbound=True, claim=True)
    f.mac, f.next = p.came_from, (p.seq + 1) % 2**32
    return of_flow(m, f, p)
