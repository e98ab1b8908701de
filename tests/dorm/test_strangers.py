"""A stranger gets nothing: before anybody has paired, and while a paired phone plays."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from dorm import intruder
from dorm import topology as t
from dorm.dorm import PASSTHROUGH, PRIVATE, Dorm
from dorm.people import Controller
from dorm_life import LIMIT_S, claim, counters, hear, player, seen_from, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Everything below 2000, what players and printers use above, and a sample of the rest.
TCP_PORTS = "1-2000,3400,3401,3500,4070,5000,5353,7000,8080,8443,10243,32768-33100,49152-49400,65000-65535"
UDP_PORTS = "53,67,68,69,123,137,161,319,1400,1443,1900,1901,5353,6969,7780,10123,32412,49152"


@pytest_asyncio.fixture(loop_scope="module")
async def unheard(dorm: Dorm) -> AsyncIterator[None]:
    """The speaker must not have noticed anything of what the test does from the flatmate's and attacker's machines.

    With private addressing, what reaches it comes from the bridge: there the program tells whose it is.
    """
    await settled(dorm)
    boots, searches = dorm.speaker.boots, (await dorm.speaker.state())["searches"]
    await dorm.speaker.forget_requests()
    yield
    strangers = {dorm.person(t.FLATMATE).address, dorm.person(t.ATTACKER).address}
    assert [r for r in await dorm.speaker.requests() if r["peer"] in strangers or r["agent"] == intruder.AGENT] == []
    assert dorm.speaker.boots == boots
    if not (await player(dorm))["uri"]:
        assert (await dorm.speaker.state())["searches"] == searches


# --- nobody is paired yet -------------------------------------------------------------------------------------------
async def test_the_speaker_has_the_bridges_address_or_one_of_its_own(dorm: Dorm) -> None:
    x = await settled(dorm)
    lease = dorm.speaker.lease
    assert lease is not None
    expected = {
        PASSTHROUGH: (x, dorm.lan.netmask, dorm.lan.router),
        PRIVATE: (t.SPEAKER_ALIAS_ADDR, "255.255.255.0", t.SEGMENT_ROUTER_ADDR),
    }
    assert (lease.address, lease.netmask, lease.router) == expected[dorm.mode]
    assert lease.dns == (dorm.lan.router,)


async def test_the_headless_setup_is_used_up_and_no_secret_is_on_the_console(dorm: Dorm) -> None:
    assert not (dorm.board.flash / "provision.json").exists()
    console = dorm.board.serial()
    assert t.DORM_WIFI.key not in console
    assert t.SEGMENT_WIFI.key not in console
    assert console.count("setup code: ") == 1


@pytest.mark.usefixtures("unheard")
async def test_a_search_is_not_answered(dorm: Dorm) -> None:
    x = dorm.bridge_address()
    found = await dorm.person(t.FLATMATE).intrude("discover", "--target", str(x), "--seconds", "2")
    assert found == {"answers": [], "announcements": []}


@pytest.mark.usefixtures("unheard")
async def test_no_tcp_port_is_open_but_that_of_claims(dorm: Dorm) -> None:
    x = await settled(dorm)
    flatmate = dorm.person(t.FLATMATE)
    found = await flatmate.intrude("scan", x, TCP_PORTS, "--timeout", "0.7", "--at-once", "700")
    # Not refused: X looks like a machine that has no such service and says nothing.
    assert (found["open"], found["counts"]) == ([], {"silent": found["tried"]})
    assert (await flatmate.intrude("scan", x, str(t.CLAIM_PORT), "--timeout", "20"))["open"] == [t.CLAIM_PORT]


@pytest.mark.usefixtures("unheard")
async def test_no_udp_port_answers(dorm: Dorm) -> None:
    found = await dorm.person(t.FLATMATE).intrude("udp", await settled(dorm), UDP_PORTS)
    assert (found["answered"], found["refused"]) == ([], [])


@pytest.mark.usefixtures("unheard")
async def test_no_stream_can_be_pushed_and_no_reboot_asked_for(dorm: Dorm) -> None:
    x, flatmate = await settled(dorm), dorm.person(t.FLATMATE)
    pushed, rebooted = await asyncio.gather(flatmate.intrude("push", x, t.RADIO_URL), flatmate.intrude("reboot", x))
    assert not pushed["reached"]
    assert not rebooted["reached"]
    assert (await player(dorm))["uri"] == ""


@pytest.mark.usefixtures("unheard")
async def test_the_segment_cannot_be_reached_by_routing_to_it(dorm: Dorm) -> None:
    x, attacker = await settled(dorm), dorm.person(t.ATTACKER)
    await attacker.run("ip", "route", "add", "192.168.77.0/24", "via", x)
    try:
        for address in (t.SPEAKER_ALIAS_ADDR, t.SEGMENT_ROUTER_ADDR):
            found = await attacker.intrude("scan", address, "53,67,80,1400,1443,7780", "--timeout", "1")
            assert found["open"] == []
    finally:
        await attacker.run("ip", "route", "del", "192.168.77.0/24")


# --- the phone is in, and plays -------------------------------------------------------------------------------------
async def test_the_phone_is_let_in_and_the_flatmate_is_not(soco: Controller, owned: Dorm, unheard: None) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 2)
    x, flatmate = await settled(owned), owned.person(t.FLATMATE)
    assert (await flatmate.intrude("scan", x, "1390-1450", "--timeout", "0.7"))["open"] == []
    assert not (await flatmate.intrude("push", x, "http://radio.test/radio/64.mp3"))["reached"]
    assert (await player(owned))["uri"].endswith("/128.mp3")
    # The phone's own requests are known by what `unheard` looks at.
    own = [r for r in await owned.speaker.requests() if r["action"] == "SetAVTransportURI"]
    assert [(r["peer"], "intruder" in r["agent"]) for r in own] == [(seen_from(owned, t.PHONE), False)]
    assert own[0]["agent"]


async def test_a_copied_address_is_not_enough(soco: Controller, owned: Dorm, unheard: None) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    x, flatmate, phone = await settled(owned), owned.person(t.FLATMATE), owned.person(t.PHONE).address
    before = (await counters(owned)).get("drop_other_mac", 0)
    got = await flatmate.intrude("borrowed", phone, x, t.RADIO_URL, "--timeout", "1")
    assert got["scan"]["open"] == []
    assert not got["push"]["reached"]
    assert not got["reboot"]["reached"]
    assert (await soco.must("volume", set=21))["volume"] == 21
    assert [r for r in await owned.speaker.requests() if r["path"] == "/reboot"] == []
    after = await counters(owned)
    assert sum(n for name, n in after.items() if "mac" in name) > before


async def test_arp_lies_about_phone_and_router_change_nothing(soco: Controller, owned: Dorm) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 1)
    drops = (await player(owned))["dropouts"]
    x, attacker, phone = await settled(owned), owned.person(t.ATTACKER), owned.person(t.PHONE).address
    to = t.MAC[t.HOST_UPLINK]
    lies = [attacker.intrude("arp-spoof", claimed, to, x, "--count", "60") for claimed in (phone, t.DORM_LAN.router)]
    lying, heard = asyncio.gather(*lies), (await player(owned))["played_s"]
    while not lying.done():
        assert (await soco.must("volume", set=22))["volume"] == 22
        await asyncio.wait([lying], timeout=0.2)
    await lying
    report = await hear(owned, 7, since_s=heard)  # the lies for 3 s, and longer than the buffer
    assert (report["dropouts"], report["connections"]) == (drops, 1)


async def test_a_syn_flood_stops_neither_phone_nor_music(soco: Controller, owned: Dorm) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 1)
    x, attacker = await settled(owned), owned.person(t.ATTACKER)
    await soco.must("hold")
    to = t.MAC[t.HOST_UPLINK]

    async def flood() -> None:
        await asyncio.gather(
            attacker.intrude("syn-flood", x, to, "--port", "1400", "--count", "6000", "--per-s", "2000"),
            attacker.intrude("syn-flood", x, to, "--port", str(t.CLAIM_PORT), "--count", "3000", "--per-s", "1000",
                             "--spoof", "10.66.2.0"),
        )  # fmt: skip

    floods, answered = asyncio.ensure_future(flood()), 0
    while not floods.done() or answered < 3:
        if floods.done():  # a machine so busy that they were over too soon
            await floods
            floods = asyncio.ensure_future(flood())
        assert (await soco.must("held"))["status"] == 200  # an old connection
        assert "volume" in await soco.must("volume")  # and a new one each time
        answered += not floods.done()
        await asyncio.wait([floods], timeout=0.2)
    await floods
    report = await hear(owned, 2)
    assert (report["dropouts"], report["errors"]) == (0, 0)


async def test_the_flatmate_can_neither_claim_nor_hang_the_claim_server(owned: Dorm) -> None:
    x, flatmate = await settled(owned), owned.person(t.FLATMATE)
    code = f"""
import http.client, json
def ask(method, path, body=None):
    c = http.client.HTTPConnection({x!r}, {t.CLAIM_PORT}, timeout={LIMIT_S})
    c.request(method, path, body)
    r = c.getresponse()
    return r.status, r.read().decode()
challenge = json.loads(ask("GET", "/challenge")[1])["challenge"]
claim = {{"phone": "00" * 8, "challenge": challenge, "addr": "", "proof": "00" * 32}}
print(json.dumps([ask("POST", "/claim", json.dumps(claim)), ask("POST", "/claim", "{{" * 100)]))
"""
    done = await flatmate.run("python3", "-c", code)
    assert '[403, "{' in done.stdout.replace("[[", "[")
    assert "bad-proof" in done.stdout
    held = [
        flatmate.namespace.inside(lambda: socket.create_connection((x, t.CLAIM_PORT), LIMIT_S)) for _ in range(3)
    ]  # of the four at a time
    try:
        await claim(owned, t.PHONE)
    finally:
        for sock in held:
            sock.close()
