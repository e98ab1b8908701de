"""What changes while somebody plays: phones are revoked, addresses move, power fails, networks misbehave."""

import asyncio
import json
import re
import sys
import time
from typing import Any

import pytest
from dorm import topology as t
from dorm.dorm import PASSTHROUGH, Dorm
from dorm.errors import DormError
from dorm.people import Controller
from dorm_life import (
    LIMIT_S,
    claim,
    find,
    hear,
    in_passthrough_alone,
    invite,
    own,
    player,
    press,
    seen_from,
    settled,
    speakeasy,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS_LIMIT_S = 10.0  # from the uplink's new address to the speaker's
BACK_LIMIT_S = LIMIT_S
PATIENT = ("--timeout", str(LIMIT_S / 3))  # of the intruder, where it is to get an answer


async def from_the_speaker(dorm: Dorm, *words: str) -> dict[str, Any]:
    """Runs a tool of the intruder's kit on the speaker: as somebody who has taken it over."""
    tool = ("env", f"PYTHONPATH={t.REPOSITORY / 'host_tools'}", sys.executable, "-m", "dorm.intruder")
    done = await dorm.namespaces[t.SPEAKER].run(*tool, *words, timeout_s=LIMIT_S)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


async def console(dorm: Dorm, pattern: str, after: int, limit_s: float = BACK_LIMIT_S) -> re.Match[str]:
    match: re.Match[str] = await dorm.board.wait_for(pattern, limit_s, after=after)
    return match


# --- phones ---------------------------------------------------------------------------------------------------------
async def test_a_revoked_phone_is_out_at_once_and_the_music_goes_on(owned: Dorm, soco: Controller) -> None:
    await invite(owned, t.PHONE, t.LAPTOP)
    await claim(owned, t.LAPTOP)
    async with await owned.person(t.LAPTOP).controller() as guest:
        await find(owned, guest)
        await guest.must("subscribe", service="renderingControl")
        await guest.must("event", service="renderingControl")
        await guest.must("play", uri=t.RADIO_URL)
        await hear(owned, 2)
        assert (await guest.must("hold"))["status"] == 200
        await owned.speaker.forget_requests()
        await speakeasy(owned, t.PHONE, "revoke", t.LAPTOP)
        heard = (await player(owned))["played_s"]
        await soco.must("volume", set=17)  # an event for those who may have it: there is time for it below
        assert "error" in await guest.call("held", patience=2)  # its established connection
        assert "error" in await guest.call("volume", patience=2)  # a new one
        quiet = await guest.call("event", service="renderingControl", timeout=0)  # and the speaker's calls to it
        assert quiet.get("kind") == "Empty"
        assert {r["peer"] for r in await owned.speaker.requests()} == {seen_from(owned, t.PHONE)}
    refused = await owned.person(t.LAPTOP).run("speakeasy", "claim", check=False)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    report = await hear(owned, 6, since_s=heard)  # longer than the buffer lasts
    assert (report["dropouts"], report["connections"]) == (0, 1)


async def test_a_service_that_is_taken_away_ends_what_is_open_and_the_music_goes_on(
    owned: Dorm, soco: Controller
) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 2)
    assert (await soco.must("hold"))["status"] == 200
    await speakeasy(owned, t.PHONE, "services", "tcp/1443")
    heard = (await player(owned))["played_s"]
    assert "error" in await soco.call("held", patience=2)
    assert "error" in await soco.call("volume", patience=2)
    await speakeasy(owned, t.PHONE, "services", "tcp/1400")
    assert (await soco.must("hold"))["status"] == 200
    report = await hear(owned, 6, since_s=heard)  # longer than the buffer lasts
    assert (report["dropouts"], report["connections"]) == (0, 1)


# --- the speaker, taken over ----------------------------------------------------------------------------------------
async def test_a_speaker_taken_over_cannot_attack_the_dorm(owned: Dorm, soco: Controller) -> None:
    await soco.must("volume")
    flatmate, phone = owned.person(t.FLATMATE), owned.person(t.PHONE)
    serve = (
        "import signal, socket\n"
        "servers = [socket.create_server(('', port)) for port in (80, 445, 1400)]\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    servers = []
    try:
        for person in (flatmate, phone):
            servers.append(await person.spawn(sys.executable, "-c", serve, stdout=asyncio.subprocess.PIPE))
            assert await asyncio.wait_for(servers[-1].stdout.readline(), LIMIT_S) == b"up\n"
        # The servers are there: their neighbour sees them.
        seen = await owned.person(t.ATTACKER).intrude("scan", flatmate.address, "80,445,1400", *PATIENT)
        assert seen["open"] == [80, 445, 1400]
        assert (await from_the_speaker(owned, "scan", flatmate.address, "80,445,1400"))["open"] == []
        # A phone with a lease is called back.
        assert (await from_the_speaker(owned, "scan", phone.address, "80,445", *PATIENT))["open"] == [80, 445]
        assert (await from_the_speaker(owned, "scan", t.RADIO_ADDR, "7,80", *PATIENT))["open"] == [7, 80]
        assert (await from_the_speaker(owned, "udp", t.DORM_LAN.router, "53"))["refused"] == []
    finally:
        for server in servers:
            server.kill()
            await server.wait()


async def test_the_speaker_reboots_through_the_bridge_and_is_found_again(owned: Dorm, soco: Controller) -> None:
    x, boots = await settled(owned), owned.speaker.boots
    assert (await owned.person(t.PHONE).intrude("reboot", x, *PATIENT))["reached"]
    await owned.until(lambda: owned.speaker.boots == boots + 1, LIMIT_S, "the reboot")
    assert await settled(owned) == x
    await find(owned, soco)


# --- the uplink -----------------------------------------------------------------------------------------------------
async def test_a_new_uplink_address_reaches_the_speaker_in_time(owned: Dorm, soco: Controller) -> None:
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 1)
    old, kept = await settled(owned), owned.speaker_address()
    new = await owned.change_bridge_address()
    assert new != old
    await owned.air.wait(lambda: owned.air.address.addr == new, LIMIT_S, "the bridge has the new address")
    began = time.monotonic()

    async def moved() -> bool:
        return bool((await owned.speaker.state())["address"] == (new if owned.mode == PASSTHROUGH else kept))

    await owned.until(moved, ADDRESS_LIMIT_S, "the speaker to have the new address")
    assert time.monotonic() - began < ADDRESS_LIMIT_S
    # All leases ended with the address: nobody passes until the phone has claimed again.
    passed, _ = await asyncio.gather(
        owned.person(t.PHONE).intrude("get", new, "/status", "--timeout", "1"),
        hear(owned, 2),  # the player has connected again, from the new address
    )
    assert not passed["reached"]
    assert (await owned.internet.listeners()).get(new, 0) >= 1
    await claim(owned, t.PHONE)  # the phone does not know the new address, and asks for it over Bluetooth
    await find(owned, soco)
    assert (await soco.must("volume", set=19))["volume"] == 19


async def silent(dorm: Dorm) -> None:
    """The bridge has started again where its owner knows it to be: it has no reason to be on the air."""
    await dorm.board.power_cycle()
    await settled(dorm)
    await dorm.until(lambda: not dorm.bluetooth.advertising, LIMIT_S, "the bridge to close Bluetooth")


async def moved(dorm: Dorm) -> str:
    """The bridge gets another address, and has told nobody; returns it."""
    new = await dorm.change_bridge_address()
    await dorm.air.wait(lambda: dorm.air.address.addr == new, LIMIT_S, "the bridge has the new address")
    return await settled(dorm)


@in_passthrough_alone  # how phones find the bridge itself; the one above is in both
async def test_a_bridge_that_moved_is_found_without_its_button(owned: Dorm) -> None:
    await settled(owned)
    await invite(owned, t.PHONE, t.LAPTOP)
    for who in (t.PHONE, t.LAPTOP):
        await claim(owned, who)
    await silent(owned)
    # By a guest first: that does not take it off the air, for its owner does not know yet.
    x = await moved(owned)
    await claim(owned, t.LAPTOP)
    status = await speakeasy(owned, t.LAPTOP, "status")
    assert status["uplink"]["addr"] == x
    await owned.until(lambda: owned.bluetooth.advertising, LIMIT_S, "the bridge to go on waiting for its owner")
    # By an owner; then it is off after a power cut.
    await claim(owned, t.PHONE)
    await silent(owned)
    assert json.loads((owned.board.flash / "reached.json").read_text())["data"] == {"addr": x}
    # By an owner first, and not by `claim`: the guest still finds it.
    x = await moved(owned)
    assert (await speakeasy(owned, t.PHONE, "open"))["open_s"] > 0
    assert (await speakeasy(owned, t.PHONE, "status"))["uplink"]["addr"] == x
    await claim(owned, t.LAPTOP)
    await speakeasy(owned, t.PHONE, "revoke", t.LAPTOP)


async def test_a_power_cut_of_the_bridge_keeps_the_phone(owned: Dorm, soco: Controller) -> None:
    await soco.must("volume")
    mark = len(owned.board.serial())
    await owned.board.power_off()
    x = owned.bridge_address()
    assert not (await owned.person(t.PHONE).intrude("get", str(x), "/status", "--timeout", "0.5"))["reached"]
    await owned.board.power_on()
    await console(owned, r"uplink: joined Dorm", mark)
    x = await settled(owned)
    # Nothing passes before the phone has claimed; then all is as before, without pairing again.
    assert not (await owned.person(t.PHONE).intrude("get", x, "/status", "--timeout", "0.5"))["reached"]
    await claim(owned, t.PHONE)
    await find(owned, soco)
    assert "setup code" not in owned.board.serial()[mark:]
    assert "bridge id" not in owned.board.serial()[mark:]


@in_passthrough_alone  # the bridge has no address yet, and private addressing takes its part only when it has one
async def test_a_wrong_wifi_key_is_said_and_the_right_one_helps(owned: Dorm) -> None:
    mark = len(owned.board.serial())
    await owned.air.change_network(key="another horse")
    await owned.board.power_cycle()
    await console(owned, r"uplink: the key of Dorm is wrong", mark)
    status = await speakeasy(owned, t.PHONE, "status")  # Bluetooth needs no network
    assert status["uplink"].get("addr") in (None, "")
    mark = len(owned.board.serial())
    await owned.air.change_network(key=t.DORM_WIFI.key)
    await speakeasy(owned, t.PHONE, "join", t.DORM_WIFI.ssid, secret=t.DORM_WIFI.key)
    await console(owned, r"uplink: joined Dorm", mark)
    await settled(owned)


@in_passthrough_alone  # as above; and a private address is the fallback itself. The bridge waits for 15 s.
async def test_no_dhcp_answer_is_said_and_the_speaker_gets_a_fallback(owned: Dorm) -> None:
    await owned.router.serve_dhcp(False)
    try:
        mark = len(owned.board.serial())
        await owned.board.power_cycle()
        await console(owned, r"uplink: Dorm lets the bridge in, but gives it no address", mark)

        async def fallback() -> bool:
            return bool((await owned.speaker.state())["address"] == t.SPEAKER_ALIAS_ADDR)

        await owned.until(fallback, BACK_LIMIT_S, "the speaker's fallback address")
    finally:
        await owned.router.serve_dhcp(True)
    await settled(owned)


async def test_the_dorms_wifi_goes_and_comes_back(owned: Dorm) -> None:
    mark = len(owned.board.serial())
    await owned.air.drop_network()
    await console(owned, r"uplink: Dorm is lost", mark)
    await owned.air.raise_network()
    await console(owned, r"uplink: (Dorm is back|joined Dorm)", mark)
    await settled(owned)
    await claim(owned, t.PHONE)
    async with await owned.person(t.PHONE).controller() as controller:
        await find(owned, controller)


# --- a wrong code ---------------------------------------------------------------------------------------------------
async def test_a_wrong_setup_code_gets_one_clear_line(owned: Dorm) -> None:
    await press(owned)
    flatmate = owned.person(t.FLATMATE)
    for code in ("00000-00000-00000-00000-00000-00", "nonsense"):
        done = await flatmate.run("speakeasy", "pair", "--name", "me", check=False, input=code)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


async def test_an_owned_bridge_takes_no_second_owner_by_its_label(owned: Dorm) -> None:
    # Bluetooth is on, but not because of the button: the bridge has lost its network.
    await owned.air.drop_network()
    await owned.board.power_cycle()
    try:
        with pytest.raises(DormError, match="has an owner already"):
            await own(owned, t.FLATMATE)
    finally:
        await owned.air.raise_network()
    await settled(owned)


# --- last, for it leaves the table full -------------------------------------------------------------------------------
async def test_a_busy_phone_does_not_stop_its_own_music(owned: Dorm, soco: Controller) -> None:
    """Each of SoCo's requests is a connection of its own; 600 of them are more than the filter has flows."""
    await soco.must("play", uri=t.RADIO_URL)
    await hear(owned, 1)
    for number in range(600):
        await soco.must("volume", set=number % 20)
    report = await hear(owned, 5)
    assert (report["dropouts"], report["connections"]) == (0, 1)
