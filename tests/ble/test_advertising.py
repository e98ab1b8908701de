"""aioble.advertise: what goes on the air, and how it ends."""

from ble_sides import structures, uuid
from bumble.core import AdvertisingData

FLAGS = AdvertisingData.FLAGS
NAME = AdvertisingData.COMPLETE_LOCAL_NAME
UUIDS = AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
MANUFACTURER = AdvertisingData.MANUFACTURER_SPECIFIC_DATA


async def test_fields_overflow_into_the_scan_response(board, central):
    bridge = await board("""
        async def task():
            await aioble.advertise(50_000, name="Speakeasy", services=[SERVICE], manufacturer=(0xFFFF, b"\\x02"))
            say("connected")
        """)
    advertisement = structures(await central.scan(lambda a: not a.is_scan_response))
    assert advertisement == {FLAGS: b"\x06", UUIDS: uuid(1).uuid_bytes, MANUFACTURER: b"\xff\xff\x02"}
    response = structures(await central.scan(lambda a: a.is_scan_response and bool(a.data_bytes)))
    assert response == {NAME: b"Speakeasy"}
    await central.connect()
    await bridge.says("connected")


async def test_thirty_bytes_are_the_most(board, central):
    # 3 bytes of flags and 27 of manufacturer data make 30; one more goes to the scan response.
    bridge = await board("""
        async def task():
            for n in (23, 24):
                say(await raises(aioble.advertise(50_000, manufacturer=(0xFFFF, bytes(n)), timeout_ms=4000)))
            say(await raises(aioble.advertise(50_000, services=[uuid(1), uuid(2)], timeout_ms=1000)))
        """)
    first = await central.scan(lambda a: not a.is_scan_response)
    assert len(first.data_bytes) == 30
    await bridge.says("('TimeoutError', ())")
    second = await central.scan(lambda a: a.is_scan_response and bool(a.data_bytes))
    assert len(second.data_bytes) == 28
    await bridge.says("('TimeoutError', ())", "('ValueError', ('Advertising payload too long',))")
    await bridge.ends()


async def test_data_of_ones_own_is_sent_as_it_is(board, central):
    bridge = await board("""
        async def task():
            say(await raises(aioble.advertise(50_000, adv_data=bytes(32), timeout_ms=1000)))
            await aioble.advertise(50_000, adv_data=ADV, resp_data=b"\\x02\\x0a\\x00", name="ignored")
            say("connected")
        """)
    await bridge.says("('OSError', (-18,))")
    advertisement = await central.scan(lambda a: not a.is_scan_response)
    assert advertisement.data_bytes == b"\x02\x01\x06"
    assert (await central.scan(lambda a: a.is_scan_response)).data_bytes == b"\x02\x0a\x00"
    await central.connect()
    await bridge.says("connected")


async def test_timeout_stops_advertising(board, air):
    bridge = await board("""
        async def task():
            say(await raises(aioble.advertise(50_000, adv_data=ADV, timeout_ms=200)))
            say("stopped")
            await asyncio.sleep(10)
        """)
    await bridge.says("('TimeoutError', ())", "stopped")
    assert not air.advertising


async def test_cancelled_returns_none_and_stops(board, air, until):
    bridge = await board("""
        async def advertise():
            return await raises(aioble.advertise(50_000, adv_data=ADV))

        async def task():
            advertising = asyncio.create_task(advertise())
            await asyncio.sleep_ms(300)
            advertising.cancel()
            say(await advertising)
            await asyncio.sleep(10)
        """)
    await until(lambda: air.advertising)
    await bridge.says("('nothing', None)")
    await until(lambda: not air.advertising)


async def test_not_connectable(board, central, air):
    bridge = await board("""
        async def task():
            say(await raises(aioble.advertise(50_000, adv_data=ADV, connectable=False, timeout_ms=4000)))
        """)
    advertisement = await central.scan(lambda a: not a.is_scan_response)
    assert not advertisement.is_connectable
    await bridge.says("('TimeoutError', ())")
    assert not air.connected
    await bridge.ends()


async def test_a_connection_ends_advertising_and_a_second_central_may_follow(board, new_central, air):
    bridge = await board("""
        async def task():
            first = await aioble.advertise(50_000, adv_data=ADV)
            say("first")
            second = await aioble.advertise(50_000, adv_data=ADV)
            say("second", first.is_connected(), second.is_connected(), first.device == second.device)
            await first.disconnected()
            await second.disconnected()
        """)
    one, two = await new_central(), await new_central()
    await one.connect()
    await bridge.says("first")
    await two.connect()
    await bridge.says("second True True False")
    assert not air.advertising
    await one.disconnect()
    await two.disconnect()
    await bridge.ends()


async def test_works_after_stop(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            characteristic = aioble.Characteristic(service, uuid(2), read=True, initial=b"value")
            aioble.register_services(service)
            say(characteristic.read())
            aioble.stop()
            aioble.stop()
            say(characteristic.read())
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            await connection.disconnected()
        """)
    await bridge.says("b'value'", "b''")
    await central.connect()
    await bridge.says("connected")
    await central.disconnect()
    await bridge.ends()
