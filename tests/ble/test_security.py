"""Encryption that characteristics ask for, and pairing. (Speakeasy's own session does not rest on either.)"""

import asyncio

import pytest
from ble_sides import LIMIT_S
from bumble import att

NOT_AUTHENTICATED = att.ErrorCode.INSUFFICIENT_AUTHENTICATION
NOT_ENCRYPTED = att.ErrorCode.INSUFFICIENT_ENCRYPTION

PROGRAM = """
    from aioble import core

    def on_irq(event, data):
        if event == 28:
            say("update", data[1:])

    def state(connection):
        return (connection.encrypted, connection.authenticated, connection.bonded, connection.key_size)

    async def task():
        core.register_irq_handler(on_irq, None)
        service = aioble.Service(SERVICE)
        encrypted = aioble.Characteristic(service, uuid(2), read=True, write=True, initial=b"secret")
        encrypted.flags |= 0x200 | 0x1000
        authenticated = aioble.Characteristic(service, uuid(3), read=True, initial=b"secret")
        authenticated.flags |= 0x400
        go = aioble.Characteristic(service, uuid(4), read=True, write=True)
        go.flags |= 0x800 | 0x4000  # nobody asks about authorisation
        aioble.register_services(service)
        while True:
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(state(connection))
            await go.written()
"""


async def refusals(central) -> list[int]:
    return [
        await central.refused(central.read(2)),
        await central.refused(central.write(2, b"x")),
        await central.refused(central.read(3)),
    ]


async def test_what_is_protected_is_refused_until_the_link_is_encrypted(board, central):
    central.just_works()
    bridge = await board(PROGRAM + "            await connection.disconnected()\n")
    await central.open()
    await bridge.says("(False, False, False, False)")
    assert await refusals(central) == [NOT_AUTHENTICATED] * 3
    await asyncio.wait_for(central.connection.pair(), LIMIT_S)
    await bridge.says("update (1, 0, 0, 16)")
    assert await central.read(2) == b"secret"
    await central.write(2, b"changed")
    # A pairing that a man in the middle could have made is not an authenticated one.
    assert await central.refused(central.read(3)) == NOT_AUTHENTICATED
    await central.write(4, b"go")
    assert await central.read(4) == b"go"
    await central.disconnect()
    await central.open()
    await bridge.says("(False, False, False, False)")
    # No bond was asked for: everything is forgotten.
    assert await refusals(central) == [NOT_AUTHENTICATED] * 3


@pytest.mark.parametrize(
    ("arguments", "bonded"),
    [("", 1), ("bond=False, ", 0), ("le_secure=False, ", 1)],
)
async def test_pair_waits_for_the_central(board, central, arguments, bonded):
    central.just_works()
    bridge = await board(
        PROGRAM
        + f"""
            say(await raises(connection.pair({arguments}timeout_ms=60_000)), state(connection))
            await connection.disconnected()
            try:
                await connection.pair()
            except TypeError:
                say("TypeError", state(connection))
"""
    )
    await central.open()
    await bridge.says("(False, False, False, False)")
    requested = asyncio.Event()
    central.connection.on("security_request", lambda _request: requested.set())
    await central.write(4, b"go")
    await asyncio.wait_for(requested.wait(), LIMIT_S)
    await asyncio.wait_for(central.connection.pair(), LIMIT_S)
    await bridge.says(f"update (1, 0, {bonded}, 16)", f"('nothing', None) (1, 0, {bonded}, 16)")
    await central.disconnect()
    await bridge.says(f"TypeError (1, 0, {bonded}, 16)")
    # With a bond, a central is told to encrypt; without one, to pair.
    await central.open()
    assert await refusals(central) == [NOT_ENCRYPTED if bonded else NOT_AUTHENTICATED] * 3


async def test_a_central_that_does_not_want_to_pair(board, central):
    bridge = await board(
        PROGRAM
        + """
            say(await raises(connection.pair(timeout_ms=300)))
            await connection.disconnected()
"""
    )
    await central.open()
    await bridge.says("(False, False, False, False)")
    await central.write(4, b"go")
    await bridge.says("('TimeoutError', ())")
    # The request is still open; its failure is reported when the connection goes.
    await central.disconnect()
    await bridge.says("update (0, 0, 0, 0)")


async def test_pair_ends_with_the_connection(board, central):
    bridge = await board(PROGRAM + "            say(await raises(connection.pair()))\n")
    await central.open()
    await bridge.says("(False, False, False, False)")
    requested = asyncio.Event()
    central.connection.on("security_request", lambda _request: requested.set())
    await central.write(4, b"go")
    await asyncio.wait_for(requested.wait(), LIMIT_S)
    await central.disconnect()
    await bridge.says("update (0, 0, 0, 0)", "('DeviceDisconnectedError', ())")
