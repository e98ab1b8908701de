"""What comes from the bridge's own IP stack (SPEC 4.4)."""

from . import icmp
from .flows import HOST, Flow
from .fragments import read_and_judge
from .model import Model
from .packet import ICMP, IGMP, TCP, UDP, Drop, Packet, arp_message, is_group_mac, link, rewrite
from .uplink import read_arp


def uplink_rules(m: Model, frame: bytes) -> str:
    kind = m.link_checks(frame)
    if frame[6:12] != m.config.uplink_mac:
        raise Drop("drop_source_mac")
    m.kinds(kind, host=True)
    if kind == 0x0806:
        return uplink_arp(m, frame)
    if is_igmp(m, frame):
        m.out.append(("uplink", frame))
        return "pass_host_uplink"
    return read_and_judge(m, "host_uplink", frame, uplink_ip)


def is_igmp(m: Model, frame: bytes) -> bool:
    """A membership message from X to a group; the one packet with options, and it is not looked into."""
    ip = frame[14:]
    return (
        len(ip) >= 28
        and ip[0] in (0x45, 0x46)
        and ip[9] == IGMP
        and m.config.addr != 0
        and int.from_bytes(ip[12:16], "big") == m.config.addr
        and ip[16] >> 4 == 14
    )


def uplink_arp(m: Model, frame: bytes) -> str:
    op, sha, spa, tpa = read_arp(frame)
    if spa not in (m.config.addr, 0) or (op == 2 and spa == 0):
        raise Drop("drop_arp_bad")
    lease = m.lease_of(tpa) if op == 1 else None
    if lease and lease.mac and spa:
        m.out.append(("host_uplink", link(sha, lease.mac, 0x0806, arp_message(2, lease.mac, tpa, sha, spa))))
        return "arp_answered"
    if op == 1:
        m.asked.ask(tpa, m.now)
    m.out.append(("uplink", frame[:42]))
    return "pass_host_uplink"


def to_uplink(m: Model, to: bytes, data: bytes) -> str:
    m.send("uplink", to, data)
    return "pass_host_uplink"


def uplink_ip(m: Model, p: Packet) -> str:
    c = m.config
    if p.proto == UDP and (p.sport, p.dport) == (68, 67):
        m.dhcp_asked = m.now
        return to_uplink(m, p.to, p.data)
    if not c.addr:
        raise Drop("drop_no_uplink")
    if p.src != c.addr:
        raise Drop("drop_source_address")
    if is_group_mac(p.to) or p.dst >> 28 == 14:
        raise Drop("drop_multicast")
    if p.proto == ICMP and p.icmp_type == icmp.ECHO_REPLY:
        return to_uplink(m, p.to, p.data)
    if p.proto == ICMP and p.icmp_type in icmp.ERRORS:
        return icmp_error(m, p)
    if p.proto == ICMP and p.icmp_type != icmp.ECHO:
        raise Drop("drop_icmp_type")
    f = m.reopened(flow_of(m, p), 1, p)
    if f is None:
        if p.proto == TCP and not p.is_syn:
            raise Drop("drop_no_flow")
        f = m.new_flow(HOST, p, m.lease_of(p.dst) if c.guard else None, inbound=False)
    return of_flow(m, f, p)


def of_flow(m: Model, f: Flow, p: Packet) -> str:
    if f.lease and f.lease.over(m.now):
        m.lease_over(f.lease)
        raise Drop("drop_no_lease")
    m.track(f, 1, p)
    data = rewrite(p.data, p.header, sport=f.eport)
    if f.lease:
        return m.peers.send(f.lease, data, "pass_host_uplink")
    return to_uplink(m, f.mac or p.to, data)


def flow_of(m: Model, p: Packet) -> Flow | None:
    if p.proto == ICMP:
        return m.table.outgoing(HOST, ICMP, p.dst, 0, p.icmp_id, m.now)
    return m.table.outgoing(HOST, p.proto, p.dst, p.dport, p.sport, m.now)


def icmp_error(m: Model, p: Packet) -> str:
    q, f = icmp.quoted_flow(m, p, HOST, m.config.addr)
    ports = {"sport": f.eport} if q.proto == ICMP else {"dport": f.eport}
    return to_uplink(m, p.to, icmp.with_inner(p, rewrite(q.data, 20, **ports)))


# ---- To the segment ----


def segment_rules(m: Model, frame: bytes) -> str:
    kind = m.link_checks(frame)
    m.kinds(kind, host=True)
    c = m.config
    if kind == 0x0806:
        op, sha, spa, tpa = read_arp(frame)
        if op != 1 or tpa != c.alias or m.speaker_mac is None:
            raise Drop("drop_arp_other")
        answer = arp_message(2, m.speaker_mac, tpa, sha, spa)
        m.out.append(("host_segment", link(sha, m.speaker_mac, 0x0806, answer)))
        return "arp_answered"
    return read_and_judge(m, "host_segment", frame, segment_ip)


def segment_ip(m: Model, p: Packet) -> str:
    c = m.config
    if m.speaker_mac is None:
        raise Drop("drop_no_speaker")
    if p.src != c.host:
        raise Drop("drop_source_address")
    if p.dst != c.alias or is_group_mac(p.to):
        raise Drop("drop_multicast")
    data = rewrite(p.data, p.header, dst=c.speaker)
    if p.proto == ICMP and p.icmp_type in icmp.ERRORS:
        q = icmp.quoted(p)
        if q.src != c.alias:
            raise Drop("drop_icmp_inner")
        data = icmp.with_inner(p, rewrite(q.data, 20, src=c.speaker), dst=c.speaker)
    m.to_speaker(data)
    return "pass_host_speaker"
