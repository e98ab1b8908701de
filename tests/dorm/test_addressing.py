"""Both addressing modes and the change between them, in a dorm whose network is what the segment would choose."""

import asyncio
import contextlib
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import PASSTHROUGH, PRIVATE, Dorm
from dorm.intruder import ETH_P_IP
from dorm.jsonlines import ask_json
from dorm.people import Controller
from dorm.programs import Program
from dorm_life import LIMIT_S, counters, find, hear, in_passthrough_alone, player, settled, speakeasy

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS_LIMIT_S = 10.0  # from the other mode to the speaker's other address
AGAIN_S = 0.2  # between attempts of which one may be lost
STEPPED_ASIDE = "172.31.77.0/24"


@pytest.fixture(scope="module")
def lan() -> t.Lan:
    return t.OVERLAPPING_LAN


@pytest_asyncio.fixture(loop_scope="module")
async def nas(owned: Dorm) -> AsyncIterator[str]:
    """Music in the dorm's own network: the flatmate's machine serves it. Its address."""
    flatmate = owned.person(t.FLATMATE)
    control = owned.run_dir / "nas.sock"
    program = Program(
        flatmate.namespace,
        owned.run_dir / "log" / "nas.log",
        *(sys.executable, "-m", "dorm.internet", str(control), flatmate.address),
    )

    async def served() -> bool:
        await ask_json(control, {"op": "served"})
        return True

    await program.start(served)
    yield flatmate.address
    await program.stop()


async def test_the_segment_steps_aside_from_the_dorms_network(owned: Dorm) -> None:
    x = await settled(owned)
    assert ip_address(x) in ip_network(t.OVERLAPPING_LAN.network)
    assert ip_address(owned.segment_address()) in ip_network(STEPPED_ASIDE)
    lease = owned.speaker.lease
    assert lease is not None
    own = x if owned.mode == PASSTHROUGH else str(ip_network(STEPPED_ASIDE)[2])
    assert (lease.address, lease.dns) == (own, (t.OVERLAPPING_LAN.router,))


def pieces(frames: socket.socket, source: str) -> dict[tuple[int, int], list[int]]:
    """Where the fragments begin that a packet socket has seen of each datagram from `source`, by protocol and ID."""
    found: dict[tuple[int, int], list[int]] = {}
    with contextlib.suppress(BlockingIOError):
        while True:
            _, _, _, number, fragment, _, protocol, _, sender = struct.unpack_from("!BBHHHBBH4s", frames.recv(2048))
            if sender == socket.inet_aton(source) and fragment & 0x3FFF:
                found.setdefault((protocol, number), []).append((fragment & 0x1FFF) * 8)
    return found


@pytest.mark.parametrize("kind", [socket.IPPROTO_UDP, socket.IPPROTO_ICMP], ids=["udp", "ping"])
async def test_datagrams_in_fragments_go_to_the_internet_and_come_back(dorm: Dorm, kind: int) -> None:
    """4000 bytes: three fragments each way, cut by the real machines on both sides."""
    x = await settled(dorm)
    speaker, internet = dorm.namespaces[t.SPEAKER], dorm.namespaces[t.INTERNET]
    speaker.sysctl("net/ipv4/ping_group_range", "0 0")  # root may ping by a datagram socket, icmp(7)

    def echo_socket() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, kind)
        sock.connect((t.RADIO_ADDR, t.RADIO_ECHO_PORT))
        return sock

    def packet_socket() -> socket.socket:
        kinds = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK  # without the Ethernet header
        sock = socket.socket(socket.AF_PACKET, kinds, socket.htons(ETH_P_IP))
        sock.bind((t.INTERNET_IF, ETH_P_IP))
        return sock

    # Of a ping: type (8 asks, 0 answers), code, checksum and ID (the kernel's), number.
    payload, ping = random.Random(kind).randbytes(4000), kind == socket.IPPROTO_ICMP
    ask = struct.pack("!BBHHH", 8, 0, 0, 0, 1) if ping else b""
    with speaker.inside(echo_socket) as sock, internet.inside(packet_socket) as frames:

        def echoed() -> bool:
            sock.send(ask + payload)
            answer = sock.recv(8192)  # that of this time or of one before
            assert answer[len(ask) :] == payload
            return not ping or answer[0] == 0

        await dorm.until(echoed, LIMIT_S, f"the echo of a fragmented datagram that went through {x}", AGAIN_S)
        seen = [starts for (protocol, _), starts in pieces(frames, x).items() if protocol == kind]
    assert seen
    assert [0, 1480, 2960] in [sorted(starts) for starts in seen]


async def judged_by_soco(dorm: Dorm, soco: Controller) -> None:
    """Everything that a controller needs, and every address in it is X, which the phone can reach."""
    x = await settled(dorm)
    await find(dorm, soco)
    assert (await soco.must("topology"))["groups"] == [{"coordinator": x, "members": [x]}]
    assert (await soco.must("info"))["zone_name"] == t.SPEAKER_NAME
    await soco.must("subscribe", service="renderingControl")
    await soco.must("subscribe", service="avTransport")
    await soco.must("subscribe", service="zoneGroupTopology")
    topology = await soco.must("event", service="zoneGroupTopology")
    assert f"http://{x}:{t.SPEAKER_PORT}/" in topology["variables"]["zone_group_state"]
    now = (await soco.must("volume"))["volume"]
    for volume in (now + 1, now + 2):
        assert (await soco.must("volume", set=volume))["volume"] == volume
        await soco.must("event", service="renderingControl", wants={"volume": {"Master": str(volume)}})
    await soco.must("play", uri=t.RADIO_URL)
    await soco.must("event", service="avTransport", wants={"transport_state": "PLAYING"})
    report = await hear(dorm, 1)
    assert (report["dropouts"], report["errors"]) == (0, 0)
    renewed = await soco.must("renew", service="renderingControl")
    assert renewed["timeout"] == 600
    for service in ("renderingControl", "avTransport", "zoneGroupTopology"):
        await soco.must("unsubscribe", service=service)
    await soco.must("stop")


async def test_soco_has_all_that_it_needs(owned: Dorm, soco: Controller) -> None:
    await judged_by_soco(owned, soco)


async def test_a_local_host_is_out_of_reach_until_an_owner_names_it(owned: Dorm, soco: Controller, nas: str) -> None:
    """Beside that, a named host has no way in."""
    music = f"http://{nas}/radio/320.mp3"  # the fastest: what the speaker has in store does not last

    async def served() -> dict[str, int]:
        counted: dict[str, int] = (await ask_json(owned.run_dir / "nas.sock", {"op": "served"}))["served"]
        return counted

    async def silent() -> bool:
        return (await player(owned))["state"] != "PLAYING"

    assert (await speakeasy(owned, t.PHONE, "hosts"))["hosts"] == []
    await soco.must("play", uri=music)
    before = (await counters(owned)).get("drop_egress_local", 0)

    async def refused() -> bool:
        return (await counters(owned)).get("drop_egress_local", 0) > before

    await owned.until(refused, LIMIT_S, "the speaker to be refused the local host")
    assert await served() == {}
    assert (await player(owned))["bytes"] == 0

    assert (await speakeasy(owned, t.PHONE, "hosts", nas))["hosts"] == [nas]
    await soco.must("play", uri=music)
    await hear(owned, 1)
    x = await settled(owned)
    assert (await served())[x] > 0
    assert not (await owned.person(t.FLATMATE).intrude("get", x, "/status", "--timeout", "1"))["reached"]

    assert (await speakeasy(owned, t.PHONE, "hosts", "--none"))["hosts"] == []
    await owned.until(silent, LIMIT_S, "the music of a host that is no longer named to end")
    await soco.must("stop")


@in_passthrough_alone  # there and back: both changes are in it
async def test_the_modes_change_at_run_time_and_back(owned: Dorm, soco: Controller) -> None:
    x, boots = await settled(owned), owned.board.boots
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 1)
    for mode in (PRIVATE, PASSTHROUGH):
        leases = (await speakeasy(owned, t.PHONE, "status"))["leases"]
        assert [lease["addr"] for lease in leases] == [owned.person(t.PHONE).address]
        assert (await speakeasy(owned, t.PHONE, "mode", mode))["mode"] == mode
        assert owned.mode == mode
        began = time.monotonic()

        async def moved() -> bool:
            return bool((await owned.speaker.state())["address"] == owned.speaker_address())

        await owned.until(moved, ADDRESS_LIMIT_S, f"the speaker's address in mode {mode}")
        assert time.monotonic() - began < ADDRESS_LIMIT_S
        await hear(owned, 2)  # nobody has touched anything: the music has come back by itself
        assert await settled(owned) == x
        status = await speakeasy(owned, t.PHONE, "status")
        assert [lease["addr"] for lease in status["leases"]] == [owned.person(t.PHONE).address]
        assert status["mode"] == mode
        assert (await soco.must("volume", set=11))["volume"] == 11  # the phone has not claimed again
        await judged_by_soco(owned, soco)
        await soco.must("play", uri=t.RADIO_URL)
        await hear(owned, 1)
        strangers = await asyncio.gather(
            *(owned.person(who).intrude("get", x, "/status", "--timeout", "1") for who in (t.FLATMATE, t.ATTACKER))
        )
        assert [stranger["reached"] for stranger in strangers] == [False, False]
    assert owned.board.boots == boots
    await soco.must("stop")
