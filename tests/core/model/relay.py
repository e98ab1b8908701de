"""Discovery: SSDP and mDNS between phones and the speaker (SPEC 4.2, 4.3), or the host that stands guard (4.8)."""

from . import uplink
from .model import Model
from .packet import BROADCAST, MDNS_GROUP, SSDP_GROUP, UDP, Drop, Packet, link, rewrite


def group_of(m: Model, p: Packet) -> str:
    """Which discovery it is."""
    if p.proto == UDP and p.dst in (SSDP_GROUP, BROADCAST) and p.dport == 1900:
        return "ssdp"
    if p.proto == UDP and p.dst == MDNS_GROUP and p.dport == 5353 and not m.config.guard:
        return "mdns"
    raise Drop("drop_multicast")


def is_dns(payload: bytes, answer: bool) -> bool:
    """A standard query, or the answer to one: opcode 0."""
    return len(payload) >= 12 and payload[2] & 0xF8 == (0x80 if answer else 0)


def search(m: Model, p: Packet) -> str:
    group = group_of(m, p)
    lease = m.lease_of(p.src)
    if lease is None:
        raise Drop("drop_search_stranger")
    uplink.phone(m, lease, p)
    good = p.udp_payload.startswith(b"M-SEARCH * HTTP/1.1") if group == "ssdp" else is_dns(p.udp_payload, False)
    if not good:
        raise Drop("drop_search_bad")
    if m.speaker_mac is None:
        raise Drop("drop_no_speaker")
    if not lease.search.take(m.now):
        raise Drop("drop_rate_search")
    lease.seen = m.now
    if m.config.guard:
        data = rewrite(p.data, p.header, dst=m.config.addr)
        m.out.append(("host_uplink", link(m.config.uplink_mac, p.came_from, 0x0800, data)))
    else:
        m.to_speaker(p.data)
    return "relay_search"


def from_speaker(m: Model, p: Packet) -> str:
    """The speaker's group traffic."""
    group = group_of(m, p)
    good = p.udp_payload.startswith(b"NOTIFY * HTTP/1.1") if group == "ssdp" else is_dns(p.udp_payload, True)
    if not good:
        raise Drop("drop_multicast")
    if not m.rate["NOTIFY"].take(m.now):
        raise Drop("drop_rate_notify")
    c = m.config
    if c.guard:
        data = rewrite(p.data, p.header, src=c.alias, dst=c.host)
        m.out.append(("host_segment", link(c.segment_mac, p.came_from, 0x0800, data)))
        return "relay_notify"
    listeners = [x for x in m.leases.all() if not x.over(m.now)]
    if group == "mdns":
        listeners = [x for x in listeners if x.mac or c.in_subnet(x.addr)]
    for lease in listeners:
        copy = rewrite(p.data, p.header, src=c.addr, dst=p.dst if group == "mdns" else lease.addr)
        try:
            m.peers.send(lease, copy, "relay_notify")
        except Drop:
            pass  # a copy is no frame that was received
    if not listeners:
        raise Drop("drop_no_listener")
    return "relay_notify"
