"""Attacks from the bridge's own Wi-Fi, named by what the attacker tries; SECURITY.md lists all attacks and their tests.

The attacker is in the same network, knows all of this code, and has heard the phones' ids, addresses and MACs.
"""

import asyncio
import sys

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import LIMIT_S, claim, in_passthrough_alone, invite, settled, speakeasy
from test_claims import Key, beside, challenge, http, key_of, lease_of, leases, made, passes, refused

# Claims, and what a lease is bound to, are the same in both modes.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), in_passthrough_alone]

FREE = 5  # wrong claims in ten seconds that are answered at once
SLOW = 2
CLAIMS = 3
HOGS = 24  # connections, of four that are served at a time

# Keeps so many connections open, each with half a request; whatever is ended is opened anew. It says so when all were
# open once.
HOG = """
import selectors, socket, sys
x, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
waiting, opened = selectors.DefaultSelector(), 0
def again():
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex((x, port))
    waiting.register(sock, selectors.EVENT_WRITE)
for _ in range(count):
    again()
while True:
    for key, events in waiting.select():
        sock = key.fileobj
        try:
            if events & selectors.EVENT_WRITE:
                sock.send(b"POST /claim HTTP/1.1\\r\\nContent-Length: 512\\r\\n\\r\\n{")
                waiting.modify(sock, selectors.EVENT_READ)
                opened += 1
                if opened == count:
                    print("busy", flush=True)
                continue
            if sock.recv(4096):
                continue
        except OSError:
            pass
        waiting.unregister(sock)
        sock.close()
        again()
"""

# Opens connections, and no more: so many SYNs a second, each from an address that is nobody's and answers nothing,
# and from the next of so many made-up MACs. It says so when they are more than may be half open at a time.
HALF_OPEN = """
import itertools, sys, time
from dorm.intruder import _raw, syn_frame
x, to, port, macs, per_s = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), *map(int, sys.argv[3:])
with _raw() as sock:
    for n in itertools.count():
        mac = bytes((2, 0, 0, 1, n % macs // 256, n % macs % 256))
        sock.send(syn_frame(to, mac, f"10.66.3.{201 + n % 54}", x, 1024 + n % 60000, port, n))
        if n == 64:
            print("busy", flush=True)
        time.sleep(1 / per_s)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(owned: Dorm) -> Key:
    return await key_of(owned, t.PHONE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(owned: Dorm) -> Key:
    """The laptop is a guest."""
    await settled(owned)
    await invite(owned, t.PHONE, t.LAPTOP)
    return await key_of(owned, t.LAPTOP)


# --- guess a claim ----------------------------------------------------------------------------------------------------
async def test_guess_a_claim_or_a_token(owned: Dorm, owner: Key) -> None:
    await settled(owned)
    attacker = owned.person(t.ATTACKER)
    statuses: list[int] = []

    async def slowed_down() -> bool:
        number = len(statuses)
        if number % 3 == 2:
            status, _ = await http(owned, attacker.namespace, "POST", "/token", {"token": f"{number:032x}"})
        else:
            key = Key(owner.bridge, owner.phone, bytes([number % 256]) * 32)
            body = await made(owned, key, attacker.namespace, attacker.address, t.MAC[t.ATTACKER])
            status, _ = await http(owned, attacker.namespace, "POST", "/claim", body)
        statuses.append(status)
        return statuses.count(429) >= SLOW

    guessing = asyncio.ensure_future(owned.until(slowed_down, 5 * LIMIT_S, "guesses to be slowed down"))
    # A right claim is not slowed down by them.
    await claim(owned, t.PHONE)
    await guessing
    await claim(owned, t.PHONE)
    assert statuses[:FREE] == [403] * FREE
    assert set(statuses) == {403, 429}
    assert [lease["phone"] for lease in await leases(owned)] == [owner.phone.hex()]
    assert not await passes(owned, attacker.namespace)


# --- steal a MAC ------------------------------------------------------------------------------------------------------
async def test_steal_an_address_and_a_mac(owned: Dorm, guest: Key) -> None:
    """Not defended, as SECURITY.md says: who has both is the phone, for all that the bridge can see, until the owner
    ends the lease. One alone is not enough."""
    await settled(owned)
    laptop, thief = owned.person(t.LAPTOP), owned.person(t.FLATMATE)
    await claim(owned, t.LAPTOP)
    assert await lease_of(owned, guest) == (laptop.address, t.MAC[t.LAPTOP])
    assert await passes(owned, laptop.namespace, timeout_s=LIMIT_S)
    async with beside(owned, t.FLATMATE, laptop.address):
        assert not await passes(owned, thief.namespace, laptop.address)  # the address alone
        await thief.run("ip", "link", "set", t.PERSON_IF, "address", t.MAC[t.LAPTOP])
        try:
            assert not await passes(owned, thief.namespace, thief.address)  # the MAC alone

            async def in_as_the_laptop() -> bool:
                return await passes(owned, thief.namespace, laptop.address)

            await owned.until(in_as_the_laptop, LIMIT_S, "the thief to get in with both")
            await speakeasy(owned, t.PHONE, "revoke", t.LAPTOP)
            assert not await passes(owned, thief.namespace, laptop.address)
        finally:
            await thief.run("ip", "link", "set", t.PERSON_IF, "address", t.MAC[t.FLATMATE])


# --- roll a setting back ----------------------------------------------------------------------------------------------
async def test_roll_back_a_revocation_by_cutting_the_bridges_power(owned: Dorm, guest: Key) -> None:
    await settled(owned)
    phones = (await speakeasy(owned, t.PHONE, "phones"))["phones"]
    if any(phone["phone"] == guest.phone.hex() for phone in phones):  # it may have been revoked above
        await speakeasy(owned, t.PHONE, "revoke", t.LAPTOP)
    await owned.board.power_cycle()
    await settled(owned)
    laptop = owned.person(t.LAPTOP)
    body = await made(owned, guest, laptop.namespace, laptop.address, t.MAC[t.LAPTOP])
    await refused(owned, laptop.namespace, "/claim", body, "bad-proof")
    assert not await passes(owned, laptop.namespace)


# --- lock the owner out -----------------------------------------------------------------------------------------------
async def test_lock_the_owner_out_by_hogging_the_claim_port(owned: Dorm, owner: Key) -> None:
    """Nobody's luck is in this: a phone that is in has a rate of its own, and who has no lease tries again."""
    x, attacker = await settled(owned), owned.person(t.ATTACKER)
    await claim(owned, t.PHONE)
    hog = await attacker.spawn(
        *(sys.executable, "-c", HOG, x, str(t.CLAIM_PORT), str(HOGS)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await asyncio.wait_for(hog.stdout.readline(), LIMIT_S) == b"busy\n"
        for _ in range(CLAIMS):
            await claim(owned, t.PHONE)
            assert hog.returncode is None
        assert len(await challenge(owned, owned.person(t.PHONE).namespace)) == 16
        assert len(await challenge(owned, owned.person(t.FLATMATE).namespace)) == 16
        # And Bluetooth opens for the owner's own command.
        assert (await speakeasy(owned, t.PHONE, "phones"))["phones"]
    finally:
        hog.kill()
        await hog.wait()
    assert await lease_of(owned, owner) == (owned.person(t.PHONE).address, t.MAC[t.PHONE])


@pytest.mark.parametrize("macs", [1, 64], ids=["from one MAC", "from many"])
async def test_lock_the_owner_out_by_half_open_connections(owned: Dorm, macs: int) -> None:
    """The bridge's IP stack waits long for the end of each handshake, and for few at a time."""
    x, attacker = await settled(owned), owned.person(t.ATTACKER)
    await claim(owned, t.PHONE)
    flood = await attacker.spawn(
        *(sys.executable, "-c", HALF_OPEN, x, t.MAC[t.HOST_UPLINK], str(t.CLAIM_PORT), str(macs), "100"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert await asyncio.wait_for(flood.stdout.readline(), LIMIT_S) == b"busy\n"
        for _ in range(CLAIMS):
            await claim(owned, t.PHONE)
            assert flood.returncode is None
        if macs == 1:  # many use up what all without a lease have together
            assert len(await challenge(owned, owned.person(t.FLATMATE).namespace)) == 16
    finally:
        flood.kill()
        await flood.wait()
    # All of them had to be forgotten: none is waited for any more.
    assert len(await challenge(owned, owned.person(t.FLATMATE).namespace)) == 16
