"""Notifications and indications."""

import pytest
from bumble import att
from bumble.gatt_client import Client


@pytest.mark.parametrize(("mtu", "arrives"), [(None, 20), (185, 182), (247, 244), (517, 253)])
async def test_notify_is_cut_to_the_mtu(board, central, mtu, arrives):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            outbox = aioble.Characteristic(service, uuid(3), notify=True)
            go = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            say(outbox.notify(connection, bytes(range(200)) * 2))
            await connection.disconnected()
        """)
    await central.open(mtu)
    await central.subscribe(3)
    await central.write(2, b"go")
    assert await central.notified(3) == (bytes(range(200)) * 2)[:arrives]
    await bridge.says("None")
    await central.disconnect()
    await bridge.ends()


async def test_notify_reaches_those_who_did_not_subscribe(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            outbox = aioble.Characteristic(service, uuid(3), notify=True, initial=b"stored")
            go = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            outbox.notify(connection, "text")
            outbox.notify(connection)
            outbox.write(b"only to subscribers", send_update=True)
            outbox.notify(connection, b"end")
            await connection.disconnected()
        """)
    await central.open()
    central.listen(3)
    await central.write(2, b"go")
    assert [await central.notified(3) for _ in range(3)] == [b"text", b"stored", b"end"]
    await central.disconnect()
    await bridge.ends()


async def test_write_with_update_tells_subscribers(board, new_central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            value = aioble.Characteristic(service, uuid(3), read=True, notify=True)
            go = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            one = await aioble.advertise(50_000, adv_data=ADV)
            two = await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            value.write(b"news", send_update=True)
            value.notify(one, b"end")
            value.notify(two, b"end")
            await one.disconnected()
            await two.disconnected()
        """)
    one, two = await new_central(), await new_central()
    await one.open()
    await two.open()
    await one.subscribe(3)
    two.listen(3)
    await one.write(2, b"go")
    # The stack sends a changed value a moment later: what is notified in the same breath overtakes it.
    assert [await one.notified(3), await one.notified(3)] == [b"end", b"news"]
    assert await two.notified(3) == b"end"
    await one.disconnect()
    await two.disconnect()
    await bridge.ends()


async def test_notify_and_indicate_need_their_flag_and_a_connection(board, central):
    bridge = await board("""
        async def call(function, *args):
            return function(*args)

        async def task():
            service = aioble.Service(SERVICE)
            plain = aioble.Characteristic(service, uuid(2), read=True)
            notifying = aioble.Characteristic(service, uuid(3), notify=True)
            indicating = aioble.Characteristic(service, uuid(4), indicate=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(call(plain.notify, connection, b"x")))
            say(await raises(plain.indicate(connection, b"x")))
            await connection.disconnected()
            say((await raises(call(notifying.notify, connection, b"x")))[0])
            say(await raises(indicating.indicate(connection, b"x")))
        """)
    await central.connect()
    await bridge.says("('ValueError', ('Not supported',))", "('ValueError', ('Not supported',))")
    await central.disconnect()
    await bridge.says("TypeError", "('ValueError', ('Not connected',))")
    await bridge.ends()


INDICATOR = """
    async def task():
        service = aioble.Service(SERVICE)
        value = aioble.Characteristic(service, uuid(4), indicate=True)
        go = aioble.Characteristic(service, uuid(2), write=True)
        aioble.register_services(service)
        connection = await aioble.advertise(50_000, adv_data=ADV)
        await go.written()
"""


async def test_indicate_waits_for_the_confirmation(board, central):
    bridge = await board(
        INDICATOR
        + """
        say(await raises(value.indicate(connection, b"first")))
        say(await raises(value.indicate(connection, b"second")))
        await connection.disconnected()
"""
    )
    await central.open()
    await central.subscribe(4)
    await central.write(2, b"go")
    assert [await central.notified(4), await central.notified(4)] == [b"first", b"second"]
    await bridge.says("('nothing', None)", "('nothing', None)")
    await central.disconnect()
    await bridge.ends()


async def test_indicate_without_confirmation(board, central, monkeypatch):
    bridge = await board(
        INDICATOR
        + """
        first = asyncio.create_task(raises(value.indicate(connection, b"first", timeout_ms=500)))
        await asyncio.sleep_ms(10)
        say(await raises(value.indicate(connection, b"second")))
        say(await first)
        await go.written()
        try:
            say("indicating")
            await value.indicate(connection, b"third", timeout_ms=60_000)
        except aioble.GattError as error:
            say("GattError", error._status, connection.is_connected())
        await connection.disconnected()
"""
    )
    await central.open()
    await central.subscribe(4)
    monkeypatch.setattr(Client, "send_confirmation", lambda *_: None)
    await central.write(2, b"go")
    assert await central.notified(4) == b"first"
    await bridge.says("('ValueError', ('In progress',))", "('TimeoutError', ())")
    await central.write(2, b"go")
    await bridge.says("indicating")
    await central.disconnect()
    # Not DeviceDisconnectedError: the stack reports the failure before the disconnection (7, "not connected").
    await bridge.says("GattError 7 True")
    await bridge.ends()


async def test_the_cccd_is_the_stacks(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            aioble.Characteristic(service, uuid(3), notify=True)
            aioble.register_services(service)
            for _ in range(2):
                await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await central.open()
    await central.subscribe(3)
    cccd = central.characteristic(3).get_descriptor(att.UUID.from_16_bits(0x2902))
    assert await central.client.read_value(cccd) == b"\x01\x00"
    await central.disconnect()
    # Subscriptions do not outlive a connection.
    await central.open()
    assert await central.client.read_value(cccd.handle) == b"\x00\x00"
    await central.disconnect()
    await bridge.ends()
