"""The network of the dorm itself."""

import asyncio
import contextlib
import os
import select
import socket
import struct
import time

import pytest
from dorm import dns
from dorm import topology as t
from dorm.dorm import Dorm
from dorm.errors import DormError
from dorm_life import LIMIT_S

pytestmark = pytest.mark.asyncio(loop_scope="module")


def ones_complement(data: bytes) -> int:
    """RFC 1071: 0xffff when data holds its own right checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


async def test_everybody_gets_an_address_and_reaches_the_internet(open_dorm: Dorm) -> None:
    leases = open_dorm.router.leases()
    for name in t.PEOPLE:
        person = open_dorm.person(name)
        assert leases[t.MAC[name]] == person.address
        sock = person.namespace.inside(lambda: socket.create_connection((t.RADIO_ADDR, t.RADIO_ECHO_PORT), LIMIT_S))
        with sock:
            sock.sendall(b"hello")
            assert sock.recv(16) == b"hello"
            assert sock.getsockname()[0] == person.address


async def test_udp_is_echoed(open_dorm: Dorm) -> None:
    def socket_there() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    with open_dorm.person(t.PHONE).namespace.inside(socket_there) as sock:
        sock.connect((t.RADIO_ADDR, t.RADIO_ECHO_PORT))

        def echo() -> bytes:
            sock.send(b"hello")
            return sock.recv(16)  # that of this time or of one before

        assert await open_dorm.until(echo, LIMIT_S, "an echo") == b"hello"


async def test_the_server_sees_that_the_router_does_not_translate(open_dorm: Dorm) -> None:
    person = open_dorm.person(t.LAPTOP)
    answer = await person.run("python3", "-c", f"""
import urllib.request
print(urllib.request.urlopen("http://{t.RADIO_ADDR}/hello", timeout={LIMIT_S}).read().decode())
""")  # fmt: skip
    assert f"You are {person.address}." in answer.stdout


async def test_dns_knows_the_radio(open_dorm: Dorm) -> None:
    answer = await dns.ask(open_dorm.person(t.PHONE).namespace, t.DORM_LAN.router, t.RADIO_NAME)
    assert answer.endswith(socket.inet_aton(t.RADIO_ADDR))


async def test_an_address_can_be_changed_from_under_a_machine(open_dorm: Dorm) -> None:
    laptop = open_dorm.person(t.LAPTOP)
    old = laptop.address
    new = await open_dorm.router.change_address(t.MAC[t.LAPTOP])
    assert new != old
    open_dorm.renew_dhcp(t.LAPTOP)
    await open_dorm.until(lambda: laptop.address == new, LIMIT_S, "the new address")
    shown = await laptop.run("ip", "-4", "-br", "addr", "show", "dev", t.PERSON_IF)
    assert new in shown.stdout
    assert old not in shown.stdout


async def test_dhcp_can_be_silent_while_dns_goes_on(open_dorm: Dorm) -> None:
    laptop = open_dorm.person(t.LAPTOP)
    await open_dorm.router.serve_dhcp(False)
    try:
        await laptop.dhcp.forget()
        await laptop.dhcp.start()
        await test_dns_knows_the_radio(open_dorm)
        heard = await laptop.run("udhcpc", "-i", t.PERSON_IF, "-n", "-q", "-t", "2", "-T", "1", check=False)
        assert heard.returncode != 0
        assert laptop.dhcp.lease is None
    finally:
        await open_dorm.router.serve_dhcp(True)
    await open_dorm.until(lambda: laptop.dhcp.lease, LIMIT_S, "the laptop's address")


async def test_short_leases_are_as_short_as_they_can_be(open_dorm: Dorm) -> None:
    with pytest.raises(DormError, match="120"):
        await open_dorm.router.set_lease_time(30)
    await open_dorm.router.set_lease_time(120)
    laptop = open_dorm.person(t.LAPTOP)
    laptop.dhcp.renew()
    await open_dorm.until(lambda: laptop.dhcp.lease and laptop.dhcp.lease.lease_s == 120, LIMIT_S, "a short lease")
    await open_dorm.router.set_lease_time(t.DHCP_LEASE_S)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_tap_on_the_switch_gets_whole_frames_with_right_checksums(open_dorm: Dorm, kind: int) -> None:
    """A kernel that sends through veth leaves checksums and cutting to hardware; behind a TAP there is none."""
    switch, phone = open_dorm.namespaces[t.SWITCH], open_dorm.person(t.PHONE)
    mac, address = "02:00:00:00:42:99", "10.66.3.250"
    fd = switch.open_tap("probe")  # its interface must not have the address: the switch would keep the frames
    try:
        await switch.run("ip", "link", "set", "probe", "master", t.SWITCH_BRIDGE, "up")
        await phone.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", t.PERSON_IF, "nud", "permanent")

        def send() -> None:
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect((address, 7777))
                    sock.send(b"odd")

        end = time.monotonic() + LIMIT_S
        while True:  # a port forwards only once the switch has seen its carrier
            assert time.monotonic() < end, "no frame came"
            phone.namespace.inside(send)
            readable, _, _ = select.select([fd], [], [], 0.1)
            frame = os.read(fd, 4096) if readable else b""
            if frame[12:14] == b"\x08\x00" and frame[30:34] == socket.inet_aton(address):
                break
            await asyncio.sleep(0)
        packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
        assert ones_complement(packet[:20]) == 0xFFFF
        pseudo = packet[12:20] + struct.pack("!BBH", 0, packet[9], len(packet) - 20)
        assert ones_complement(pseudo + packet[20:]) == 0xFFFF
    finally:
        os.close(fd)
        await phone.run("ip", "neigh", "del", address, "dev", t.PERSON_IF, check=False)
    # Not persistent: closed means gone.
    gone = await switch.run("ip", "link", "show", "probe", check=False)
    assert gone.returncode != 0


async def test_nobody_has_ipv6(open_dorm: Dorm) -> None:
    for name, namespace in open_dorm.namespaces.items():
        shown = await namespace.run("ip", "-6", "addr")
        assert shown.stdout == "", name
