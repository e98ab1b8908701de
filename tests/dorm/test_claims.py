"""Claims and leases on real frames (SPEC 3): relayed, recorded, moved, stolen, by token, behind a router; and 16."""

import asyncio
import contextlib
import hashlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.board import KERNEL
from dorm.dorm import Dorm
from dorm.namespaces import Namespace
from dorm.people import Controller
from dorm_life import LIMIT_S, claim, find, in_passthrough_alone, invite, settled, speakeasy
from speakeasy.claim import claim_proof, is_answer, open_proof

pytestmark = pytest.mark.asyncio(loop_scope="module")

SILENT_S = 2.0  # how long a connection is tried that is not to come about
CHALLENGE_S = 30
TOKEN_S = 60
PHONES = 16
SECOND = "10.66.3.200"  # a second address of a machine's
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Key:
    """What a paired phone holds."""

    bridge: bytes
    phone: bytes
    key: bytes


async def key_of(dorm: Dorm, who: str) -> Key:
    code = (
        "from speakeasy.store import Store\n"
        "s = Store.default()\n"
        "b = s.choose(None)\n"
        "print(b.id.hex(), b.key.phone.hex(), s.secret(b.id, b.key).hex())"
    )
    done = await dorm.person(who).run(sys.executable, "-c", code)
    return Key(*map(bytes.fromhex, done.stdout.split()))


async def http(
    dorm: Dorm, where: Namespace, method: str, path: str, body: Any = None, source: str = "", origin: str = ""
) -> Answer:
    """One request to the claim port, of a page of `origin` or of no browser; asks again while the bridge is busy."""

    def unconnected() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.bind((source, 0))
        return sock

    content = b"" if body is None else json.dumps(body).encode()
    x = str(dorm.bridge_address())
    browser = f"Host: {x}:{t.CLAIM_PORT}\r\nOrigin: {origin}\r\n" if origin else ""
    head = f"{method} {path} HTTP/1.1\r\n{browser}Content-Length: {len(content)}\r\n\r\n".encode()

    async def asked() -> Answer | None:
        with where.inside(unconnected) as sock:
            async with asyncio.timeout(LIMIT_S):
                await asyncio.get_running_loop().sock_connect(sock, (x, t.CLAIM_PORT))
                reader, writer = await asyncio.open_connection(sock=sock)
                writer.write(head + content)
                first, _, answer = (await reader.read()).partition(b"\r\n\r\n")
                writer.close()
        status = int(first.split()[1])
        told = json.loads(answer) if b"application/json" in first else {"page": answer.decode(), "head": first.decode()}
        return None if told.get("error") in ("busy", "unseen") else (status, told)

    given: Answer = await dorm.until(asked, LIMIT_S, f"an answer to {path}")
    return given


async def challenge(dorm: Dorm, where: Namespace, source: str = "") -> bytes:
    status, answer = await http(dorm, where, "GET", "/challenge", source=source)
    assert status == 200
    return bytes.fromhex(answer["challenge"])


async def made(dorm: Dorm, key: Key, where: Namespace, addr: str, mac: str = "", source: str = "") -> dict[str, str]:
    """A claim that has not been sent yet: as somebody on the way would record it."""
    given = await challenge(dorm, where, source)
    proof = claim_proof(key.key, key.bridge, key.phone, given, addr, mac).hex()
    return {"phone": key.phone.hex(), "challenge": given.hex(), "addr": addr, "mac": mac, "proof": proof}


async def leases(dorm: Dorm) -> list[dict[str, Any]]:
    """As the owner's status shows them."""
    listed: list[dict[str, Any]] = (await speakeasy(dorm, t.PHONE, "status"))["leases"]
    return listed


async def lease_of(dorm: Dorm, key: Key) -> tuple[str, str | None] | None:
    """Where a phone's one lease is: (address, MAC)."""
    found = [lease for lease in await leases(dorm) if lease["phone"] == key.phone.hex()]
    assert len(found) < 2
    if not found:
        return None
    assert found[0]["by"] == ("mac" if found[0]["mac"] else "address")
    return found[0]["addr"], found[0]["mac"]


async def passes(dorm: Dorm, where: Namespace, source: str = "", timeout_s: float = SILENT_S) -> bool:
    """Whether the speaker takes a connection from there."""

    def unconnected() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.bind((source, 0))
        return sock

    with where.inside(unconnected) as sock, contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, (str(dorm.bridge_address()), t.SPEAKER_PORT))
        return True
    return False


async def refused(dorm: Dorm, where: Namespace, path: str, body: Any, word: str, source: str = "") -> None:
    """It is answered as a wrong one; after five of them, slowly."""
    status, answer = await http(dorm, where, "POST", path, body, source)
    assert (status, answer["error"]) in ((403, word), (429, "slow-down"))


@contextlib.asynccontextmanager
async def beside(dorm: Dorm, who: str, *addresses: str) -> AsyncIterator[None]:
    """Somebody's machine has more addresses for a while."""
    person = dorm.person(who)
    for address in addresses:
        await person.run("ip", "addr", "add", f"{address}/{dorm.lan.prefix}", "dev", t.PERSON_IF)
    try:
        yield
    finally:
        for address in addresses:
            await person.run("ip", "addr", "del", f"{address}/{dorm.lan.prefix}", "dev", t.PERSON_IF)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(owned: Dorm) -> Key:
    """The laptop is a guest."""
    await settled(owned)
    await invite(owned, t.PHONE, t.LAPTOP)
    return await key_of(owned, t.LAPTOP)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(owned: Dorm) -> Key:
    return await key_of(owned, t.PHONE)


# --- relayed ----------------------------------------------------------------------------------------------------------
async def neighbour(where: Namespace, address: str, interface: str = t.PERSON_IF) -> str:
    """The MAC that a machine has for an address, "" for none."""
    done = await where.run("ip", "-j", "neigh", "show", address, "dev", interface)
    entries = json.loads(done.stdout or "[]")
    return str(entries[0].get("lladdr", "")) if entries else ""


async def test_a_claim_relayed_by_arp_spoofing_gets_no_lease(owned: Dorm, owner: Key) -> None:
    x = await settled(owned)
    phone, attacker = owned.person(t.PHONE), owned.person(t.ATTACKER)
    attacker.namespace.sysctl("net/ipv4/ip_forward", "1")
    for where in ("all", t.PERSON_IF):
        attacker.namespace.sysctl(f"net/ipv4/conf/{where}/send_redirects", "0")
    await challenge(owned, phone.namespace)  # so the phone has a neighbour to be lied to about
    lie = ("arp-spoof", x, t.MAC[t.PHONE], phone.address, "--interval", "0.02", "--count", "100000")
    lying = await attacker.spawn(sys.executable, "-m", "dorm.intruder", *lie)
    try:

        async def believed() -> bool:
            return await neighbour(phone.namespace, x) == t.MAC[t.ATTACKER]

        await owned.until(believed, LIMIT_S, "the phone to believe that the attacker is the bridge")
        # For good: while the liar waits for a busy machine, the bridge's own answer might be heard.
        lied = ("lladdr", t.MAC[t.ATTACKER], "dev", t.PERSON_IF)
        await phone.run("ip", "neigh", "replace", x, *lied, "nud", "permanent")
        done = await phone.run("speakeasy", "claim", check=False)
        assert done.returncode == 1
        assert "answers for it" in done.stderr
        assert "Traceback" not in done.stderr
        await owned.board.wait_for(f"came by way of {t.MAC[t.ATTACKER]}: refused", LIMIT_S)
        assert await leases(owned) == []
        # What the attacker has seen is worth nothing, from any machine.
        seen = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE])
        status, answer = await http(owned, phone.namespace, "POST", "/claim", seen)
        assert (status, answer["error"]) == (409, "relayed")
        async with beside(owned, t.ATTACKER, phone.address):
            await refused(owned, attacker.namespace, "/claim", seen, "bad-proof", phone.address)
            assert not await passes(owned, attacker.namespace, phone.address)
        # Nor can the MAC be left out, or another one put in.
        for mac in ("", t.MAC[t.ATTACKER]):
            body = {**await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE]), "mac": mac}
            await refused(owned, phone.namespace, "/claim", body, "bad-proof")
        assert await leases(owned) == []
        # This is the hole where a claim names no MAC: it shows that the relay above was one.
        body = await made(owned, owner, phone.namespace, phone.address)
        status, answer = await http(owned, phone.namespace, "POST", "/claim", body)
        assert (status, answer["by"]) == (200, "mac")
        assert await lease_of(owned, owner) == (phone.address, t.MAC[t.ATTACKER])
    finally:
        lying.kill()
        await lying.wait()
        attacker.namespace.sysctl("net/ipv4/ip_forward", "0")
        await phone.run("ip", "neigh", "flush", "nud", "all", "dev", t.PERSON_IF)
    # The phone has it back by another claim. (Also from another address it asks by ARP in its first one's name.)
    async with beside(owned, t.PHONE, SECOND):
        body = await made(owned, owner, phone.namespace, SECOND, t.MAC[t.PHONE], SECOND)
        status, answer = await http(owned, phone.namespace, "POST", "/claim", body, SECOND)
        assert (status, answer["addr"]) == (200, SECOND)
        assert await lease_of(owned, owner) == (SECOND, t.MAC[t.PHONE])
    await claim(owned, t.PHONE)
    assert await lease_of(owned, owner) == (phone.address, t.MAC[t.PHONE])


async def test_the_status_says_that_the_lease_is_by_mac(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    lease = await claim(owned, t.PHONE)
    assert lease["by"] == "mac"
    assert await lease_of(owned, owner) == (owned.person(t.PHONE).address, t.MAC[t.PHONE])


# --- recorded ---------------------------------------------------------------------------------------------------------
async def test_a_recorded_claim_is_worth_nothing(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    phone, flatmate = owned.person(t.PHONE), owned.person(t.FLATMATE)
    sent = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE])
    assert (await http(owned, phone.namespace, "POST", "/claim", sent))[0] == 200
    kept = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE])  # it never arrived
    anonymous = await made(owned, owner, phone.namespace, "")
    for body in (sent, kept, anonymous):
        await refused(owned, flatmate.namespace, "/claim", body, "bad-proof")
    await refused(owned, phone.namespace, "/claim", sent, "bad-proof")
    async with beside(owned, t.FLATMATE, phone.address):
        # From the phone's address, but not its MAC.
        status, answer = await http(owned, flatmate.namespace, "POST", "/claim", kept, phone.address)
        assert (status, answer["error"]) == (409, "relayed")
        await refused(owned, flatmate.namespace, "/claim", kept, "bad-proof", phone.address)
    assert await lease_of(owned, owner) == (phone.address, t.MAC[t.PHONE])


async def test_a_recorded_claim_is_worth_nothing_after_a_reboot(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    phone = owned.person(t.PHONE)
    kept = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE])
    await owned.board.power_cycle()
    await settled(owned)
    await refused(owned, phone.namespace, "/claim", kept, "bad-proof")
    assert await leases(owned) == []
    await claim(owned, t.PHONE)


async def test_a_strangers_requests_take_no_challenge_away(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    phone, attacker = owned.person(t.PHONE), owned.person(t.ATTACKER)

    async def in_time() -> bool:
        began = time.monotonic()
        body = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE])
        for _ in range(17):
            await challenge(owned, attacker.namespace)
        status, _ = await http(owned, phone.namespace, "POST", "/claim", body)
        if time.monotonic() - began >= CHALLENGE_S:  # on a very busy machine
            return False
        assert status == 200
        return True

    await owned.until(in_time, 5 * LIMIT_S, "seventeen challenges in half a minute")


# --- moved ------------------------------------------------------------------------------------------------------------
async def test_a_phone_at_another_address_has_left_the_old_one(owned: Dorm, owner: Key, soco: Controller) -> None:
    x, phone = await settled(owned), owned.person(t.PHONE)
    assert (await soco.must("hold"))["status"] == 200
    async with beside(owned, t.PHONE, SECOND):
        assert not await passes(owned, phone.namespace, SECOND)
        # It may not lie about it, and another's challenge is not its own.
        body = await made(owned, owner, phone.namespace, phone.address, t.MAC[t.PHONE], SECOND)
        status, answer = await http(owned, phone.namespace, "POST", "/claim", body, SECOND)
        assert (status, answer["error"]) == (409, "moved")
        assert await lease_of(owned, owner) == (phone.address, t.MAC[t.PHONE])
        body = await made(owned, owner, phone.namespace, SECOND, t.MAC[t.PHONE], SECOND)
        status, answer = await http(owned, phone.namespace, "POST", "/claim", body, SECOND)
        assert (status, answer["addr"]) == (200, SECOND)
        # At once: what was open is over, and nothing new begins.
        assert "error" in await soco.call("held", patience=2)
        assert not await passes(owned, phone.namespace, phone.address)
        assert await passes(owned, phone.namespace, SECOND, LIMIT_S)
        assert await lease_of(owned, owner) == (SECOND, t.MAC[t.PHONE])
    await claim(owned, t.PHONE)
    await find(owned, soco, x)


async def test_another_phone_at_that_address_ends_the_earlier_ones_lease(
    owned: Dorm, owner: Key, guest: Key, soco: Controller
) -> None:
    phone = owned.person(t.PHONE)
    assert (await soco.must("hold"))["status"] == 200
    # Both keys on one machine: address and MAC are the same.
    body = await made(owned, guest, phone.namespace, phone.address, t.MAC[t.PHONE])
    assert (await http(owned, phone.namespace, "POST", "/claim", body))[0] == 200
    assert (await lease_of(owned, owner), await lease_of(owned, guest)) == (None, (phone.address, t.MAC[t.PHONE]))
    assert "error" in await soco.call("held", patience=2)
    assert await passes(owned, phone.namespace, timeout_s=LIMIT_S)
    await claim(owned, t.PHONE)
    assert (await lease_of(owned, guest), await lease_of(owned, owner)) == (None, (phone.address, t.MAC[t.PHONE]))


async def test_a_phone_with_another_mac_claims_again(owned: Dorm, owner: Key, soco: Controller) -> None:
    await settled(owned)
    phone, other, mark = owned.person(t.PHONE), "02:00:00:00:42:3f", len(owned.board.serial())
    assert (await soco.must("hold"))["status"] == 200
    await phone.run("ip", "link", "set", t.PERSON_IF, "address", other)
    try:
        assert not await passes(owned, phone.namespace)
        await claim(owned, t.PHONE)
        assert await lease_of(owned, owner) == (phone.address, other)
        await owned.board.wait_for(
            f"is let in as another machine: {other}, before {t.MAC[t.PHONE]}", LIMIT_S, after=mark
        )
        assert "error" in await soco.call("held", patience=2)
        assert await passes(owned, phone.namespace, timeout_s=LIMIT_S)
    finally:
        await phone.run("ip", "link", "set", t.PERSON_IF, "address", t.MAC[t.PHONE])
    assert not await passes(owned, phone.namespace)
    await claim(owned, t.PHONE)


@contextlib.asynccontextmanager
async def in_place_of(dorm: Dorm, gone: str, who: str) -> AsyncIterator[None]:
    """Somebody's machine has the address of another, which is out of reach, and asks by ARP in that address's name."""
    switch, machine = dorm.namespaces[t.SWITCH], dorm.person(who).namespace
    await switch.run("ip", "link", "set", gone, "down")
    machine.sysctl("net/ipv4/conf/all/arp_announce", "0")
    try:
        await machine.run("ip", "neigh", "flush", "dev", t.PERSON_IF)
        async with beside(dorm, who, dorm.person(gone).address):
            yield
    finally:
        machine.sysctl("net/ipv4/conf/all/arp_announce", "2")
        await machine.run("ip", "neigh", "flush", "dev", t.PERSON_IF)
        await switch.run("ip", "link", "set", gone, "up")


async def test_a_machine_that_has_the_address_later_claims(owned: Dorm, owner: Key, guest: Key) -> None:
    x, host = await settled(owned), owned.namespaces[t.BRIDGE]
    flatmate, address = owned.person(t.FLATMATE), owned.person(t.LAPTOP).address
    in_kernel = owned.stack == KERNEL  # whose table of neighbours can be looked into; lwIP's cannot
    await claim(owned, t.LAPTOP)
    assert await lease_of(owned, guest) == (address, t.MAC[t.LAPTOP])
    async with in_place_of(owned, t.LAPTOP, t.FLATMATE):
        # It finds the bridge, which learns nothing from that, and lets nothing in.
        if in_kernel:
            await host.run("ip", "neigh", "flush", "dev", t.HOST_UPLINK)
        assert not await passes(owned, flatmate.namespace, address)
        assert await neighbour(flatmate.namespace, x) == t.MAC[t.HOST_UPLINK]
        assert not in_kernel or await neighbour(host, address, t.HOST_UPLINK) == ""
        # Whose claim it is, the lease is.
        body = await made(owned, owner, flatmate.namespace, address, t.MAC[t.FLATMATE], address)
        assert not in_kernel or await neighbour(host, address, t.HOST_UPLINK) == t.MAC[t.LAPTOP]
        status, answer = await http(owned, flatmate.namespace, "POST", "/claim", body, address)
        assert (status, answer["addr"], answer["by"]) == (200, address, "mac")
        assert await lease_of(owned, owner) == (address, t.MAC[t.FLATMATE])
        assert await lease_of(owned, guest) is None
        assert await passes(owned, flatmate.namespace, address, LIMIT_S)
    # The one that had it comes back.
    assert not await passes(owned, owned.person(t.LAPTOP).namespace)
    await claim(owned, t.LAPTOP)
    assert await lease_of(owned, owner) is None
    assert await lease_of(owned, guest) == (address, t.MAC[t.LAPTOP])
    await claim(owned, t.PHONE)


async def test_behind_a_router_the_lease_is_by_address(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    far = owned.namespaces[t.INTERNET]
    assert not await passes(owned, far)
    body = await made(owned, owner, far, t.RADIO_ADDR, t.MAC[t.INTERNET])  # a MAC that the bridge cannot see
    status, answer = await http(owned, far, "POST", "/claim", body)
    assert (status, answer.get("by")) == (200, "address")
    assert await lease_of(owned, owner) == (t.RADIO_ADDR, None)
    assert await passes(owned, far, timeout_s=LIMIT_S)
    assert not await passes(owned, owned.person(t.PHONE).namespace)
    await claim(owned, t.PHONE)
    assert not await passes(owned, far)


# --- opening Bluetooth ------------------------------------------------------------------------------------------------
async def test_an_owner_opens_bluetooth_and_a_guest_does_not(owned: Dorm, owner: Key, guest: Key) -> None:
    await settled(owned)
    phone, laptop = owned.person(t.PHONE), owned.person(t.LAPTOP)
    given = await challenge(owned, phone.namespace)
    body = {
        "phone": owner.phone.hex(),
        "challenge": given.hex(),
        "proof": open_proof(owner.key, owner.bridge, owner.phone, given).hex(),
    }
    status, answer = await http(owned, phone.namespace, "POST", "/open", body)
    assert (status, answer["open_s"]) == (200, 300)
    assert is_answer(owner.key, "open", given, 300, answer["answer"])
    for person in (phone, owned.person(t.ATTACKER)):
        await refused(owned, person.namespace, "/open", body, "bad-proof")
    given = await challenge(owned, laptop.namespace)
    body = {
        "phone": guest.phone.hex(),
        "challenge": given.hex(),
        "proof": open_proof(guest.key, guest.bridge, guest.phone, given).hex(),
    }
    status, answer = await http(owned, laptop.namespace, "POST", "/open", body)
    assert (status, answer["error"]) == (403, "not-allowed")


# --- by a phone page, which comes and goes ----------------------------------------------------------------------------
async def test_the_page_for_visits_needs_no_pairing_and_says_nothing(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    for who in (t.PHONE, t.ATTACKER):
        status, told = await http(owned, owned.person(who).namespace, "GET", "/p")
        assert (status, told["page"].count("<script>")) == (200, 1)
        assert "script-src 'sha256-" in told["head"] and "Cache-Control: no-store" in told["head"]
        assert owner.bridge.hex() not in told["page"] + told["head"]
    # Its own requests name it as their origin; those of another page are refused, whatever they bring.
    body = await made(owned, owner, owned.person(t.PHONE).namespace, "")
    origin = f"http://{owned.bridge_address()}:{t.CLAIM_PORT}"
    where = owned.person(t.PHONE).namespace
    status, told = await http(owned, where, "POST", "/claim", body, origin="https://page.example")
    assert (status, told["error"]) == (403, "cross-site")
    status, told = await http(owned, where, "POST", "/claim", body, origin=origin)
    assert (status, told["addr"]) == (200, owned.person(t.PHONE).address)


# --- by token ---------------------------------------------------------------------------------------------------------
async def token(dorm: Dorm, who: str) -> tuple[str, str]:
    """(token, link) that the bridge gives over Bluetooth."""
    answer = await speakeasy(dorm, who, "token")
    return answer["token"], answer["url"]


async def test_a_token_lets_a_browser_in_once(owned: Dorm, guest: Key) -> None:
    x, laptop, flatmate = await settled(owned), owned.person(t.LAPTOP), owned.person(t.FLATMATE)
    given, link = await token(owned, t.LAPTOP)
    assert link == f"http://{x}:{t.CLAIM_PORT}/t#{given}"  # what is behind # is not sent
    status, page = await http(owned, laptop.namespace, "GET", "/t")
    assert (status, "<script>" in page["page"]) == (200, True)
    status, answer = await http(owned, laptop.namespace, "POST", "/token", {"token": given})
    assert (status, answer["addr"], answer["by"], answer["name"]) == (200, laptop.address, "mac", t.LAPTOP)
    assert await lease_of(owned, guest) == (laptop.address, t.MAC[t.LAPTOP])
    assert await passes(owned, laptop.namespace, timeout_s=LIMIT_S)
    for person in (laptop, flatmate):
        await refused(owned, person.namespace, "/token", {"token": given}, "bad-token")
    assert not await passes(owned, flatmate.namespace)
    assert given not in owned.board.serial()


@in_passthrough_alone  # it takes a minute, and the mode has no part in it
async def test_a_token_is_good_for_a_minute(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    given, _ = await token(owned, t.PHONE)
    began = time.monotonic()
    await owned.until(lambda: time.monotonic() - began > TOKEN_S + 1, TOKEN_S + LIMIT_S, "a minute to pass")
    await refused(owned, owned.person(t.PHONE).namespace, "/token", {"token": given}, "bad-token")


async def test_a_revoked_phones_token_and_claims_are_void(owned: Dorm, guest: Key) -> None:
    await settled(owned)
    laptop = owned.person(t.LAPTOP)
    given, _ = await token(owned, t.LAPTOP)
    body = await made(owned, guest, laptop.namespace, laptop.address, t.MAC[t.LAPTOP])
    await speakeasy(owned, t.PHONE, "revoke", t.LAPTOP)
    await refused(owned, laptop.namespace, "/token", {"token": given}, "bad-token")
    await refused(owned, laptop.namespace, "/claim", body, "bad-proof")
    assert await lease_of(owned, guest) is None
    assert not await passes(owned, laptop.namespace)


# --- last, for it leaves the bridge full ------------------------------------------------------------------------------
async def test_sixteen_leases_and_the_seventeenth_phone(owned: Dorm, owner: Key) -> None:
    await owned.board.power_off()
    path = owned.board.flash / "settings.json"
    data = json.loads(path.read_text())["data"]
    others = [
        replace(owner, phone=bytes([n]) * 8, key=bytes([n]) * 32) for n in range(1, PHONES - len(data["phones"]) + 1)
    ]
    for n, other in enumerate(others):
        data["phones"].append({"id": other.phone.hex(), "name": f"Phone {n}", "role": "guest", "key": other.key.hex()})
    text = json.dumps(data)
    check = hashlib.sha256(text.encode()).hexdigest()[:32]
    path.write_text(f'{{"check":"{check}","data":{text}}}')
    await owned.board.power_on()
    await settled(owned)
    await claim(owned, t.PHONE)
    laptop = owned.person(t.LAPTOP)
    addresses = [f"10.66.3.{201 + n}" for n in range(len(others))]
    async with beside(owned, t.LAPTOP, *addresses):
        for other, address in zip(others, addresses, strict=True):
            body = await made(owned, other, laptop.namespace, address, t.MAC[t.LAPTOP], address)
            status, answer = await http(owned, laptop.namespace, "POST", "/claim", body, address)
            assert (status, answer.get("addr")) == (200, address)
        there = {(lease["addr"], lease["mac"]) for lease in await leases(owned)}
        assert len(there) == PHONES
        assert there == {
            (owned.person(t.PHONE).address, t.MAC[t.PHONE]),
            *((address, t.MAC[t.LAPTOP]) for address in addresses),
        }
        for address in addresses:
            assert await passes(owned, laptop.namespace, address, LIMIT_S)
        assert await passes(owned, owned.person(t.PHONE).namespace, timeout_s=LIMIT_S)
        assert not await passes(owned, laptop.namespace, laptop.address)
        # There is no room for another phone, so there is never one lease too few.
        done = await owned.person(t.PHONE).run("speakeasy", "invite", check=False)
        assert done.returncode == 1
        assert "16 phones" in done.stderr
        assert "Traceback" not in done.stderr
        # Who moves takes nobody's place.
        await claim(owned, t.PHONE)
        assert len(await leases(owned)) == PHONES
