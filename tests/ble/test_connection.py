"""aioble.DeviceConnection: its state, its end, timeouts, MTU."""

from ble_sides import LIMIT_S
from bumble.hci import HCI_ErrorCode

REMOTE_USER_TERMINATED = HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
TIMEOUT = HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR


async def test_state_of_a_new_connection(board, central):
    bridge = await board("""
        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(connection.is_connected(), connection.mtu, connection.encrypted, connection.authenticated,
                connection.bonded, connection.key_size)
            say(connection.device)
            say(connection.device.addr_hex(), connection.device.addr_type == aioble.ADDR_RANDOM)
            await connection.disconnected()
            say(connection.is_connected(), connection.device)
        """)
    await central.connect()
    address = central.device.random_address.to_string(False).lower()
    await bridge.says(
        "True None False False False False", f"Device(ADDR_RANDOM, {address}, CONNECTED)", f"{address} True"
    )
    await central.disconnect()
    await bridge.says(f"False Device(ADDR_RANDOM, {address})")
    await bridge.ends()


async def test_own_address_is_public_and_stays(board, central):
    bridge = await board("""
        import binascii
        async def task():
            for adv in (ADV, b"\\x02\\x01\\x04"):
                addr_type, addr = aioble.config("mac")
                say(addr_type, binascii.hexlify(addr, ":").decode())
                say(type(await aioble.advertise(50_000, adv_data=adv)).__name__)
                aioble.stop()
        """)
    first = await bridge.line()
    await central.connect()
    await bridge.says("DeviceConnection", first)
    advertisement = await central.scan(lambda a: a.data_bytes == b"\x02\x01\x04")
    assert first == f"0 {advertisement.address.to_string(False).lower()}"
    assert advertisement.address.is_public


async def test_a_handler_that_raises_is_never_called_again(board, central):
    bridge = await board("""
        def on_irq(event, data):
            say("report", event)
            if event in (3, 4):
                raise ValueError("ill")

        async def task():
            ble = bluetooth.BLE()
            ble.active(True)
            ((handle,),) = ble.gatts_register_services(((SERVICE, ((uuid(2), 0x2 | 0x8),)),))
            ble.gap_advertise(50_000, adv_data=ADV)
            while True:
                ble.irq(on_irq)
                say("set")
                while ble.gatts_read(handle) != b"done":
                    await asyncio.sleep_ms(10)
                ble.gatts_write(handle, b"")
        """)

    async def ill() -> None:
        while (line := await bridge.line()) != "Unhandled exception in IRQ callback handler":
            assert line == "report 3"
        while await bridge.line() != "ValueError: ill":
            pass

    await bridge.says("set")
    await central.open()
    await bridge.says("report 1")
    for _ in range(2):
        await central.write(2, b"kept")  # what came is there, and answered
        await ill()
        assert await central.read(2) == b"kept"
        await central.write(2, b"done")
        await bridge.says("set")  # only who sets one again has one


async def test_mtu_is_none_until_the_central_asks(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            poke = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            say(aioble.config("mtu"))
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await poke.written()
            say(connection.mtu)
            await poke.written()
            say(connection.mtu)
        """)
    await central.open()
    await bridge.says("256")
    await central.write(2, b"1")
    await bridge.says("None")
    assert await central.client.request_mtu(185) == 185
    await central.write(2, b"2")
    await bridge.says("185")
    await bridge.ends()


async def test_mtu_is_the_smaller_preference(board, central):
    bridge = await board("""
        async def task():
            aioble.config(mtu=517)
            say(aioble.config("mtu"))
            for value in (22, 528):
                try:
                    aioble.config(mtu=value)
                except OSError as error:
                    say(error.errno)
            await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            await asyncio.sleep(5)
        """)
    await bridge.says("517", "22", "22")
    await central.connect()
    await bridge.says("connected")
    assert await central.client.request_mtu(517) == 517


async def test_exchange_mtu_from_the_board(board, central):
    bridge = await board("""
        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(connection.exchange_mtu(200)), connection.mtu)
            say((await raises(connection.exchange_mtu()))[0])
            await connection.disconnected()
            say(await raises(connection.exchange_mtu()))
        """)
    await central.connect()
    await bridge.says("('nothing', 200) 200", "OSError")
    await central.disconnect()
    await bridge.says("('ValueError', ('Not connected',))")
    await bridge.ends()


async def test_disconnect_by_the_board(board, central):
    bridge = await board("""
        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(connection.disconnect()), connection.is_connected())
            say(await raises(connection.disconnect()))
            say(await raises(connection.disconnected()))
        """)
    await central.connect()
    assert await central.gone() == REMOTE_USER_TERMINATED
    await bridge.says("('nothing', None) False", "('nothing', None)", "('nothing', None)")
    await bridge.ends()


async def test_a_wait_for_the_end_that_is_cut_short_blinds_the_connection(board, central):
    # A cancellation goes through to the task that is awaited, which is the connection's own watch. So: never give
    # disconnected() a timeout, never cancel who awaits it; is_connected() tells the truth no more after that.
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            go = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(connection.disconnected(timeout_ms=100)), connection.is_connected())
            try:
                await connection.disconnected()
            except asyncio.CancelledError:
                say("cancelled", connection.is_connected())
            await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            say(connection.is_connected())
        """)
    await central.connect()
    await bridge.says("('TimeoutError', ()) True", "cancelled True")
    await central.disconnect()
    await central.open()
    await central.write(2, b"go")
    await bridge.says("True")
    await bridge.ends()


async def test_async_with_disconnects(board, central):
    bridge = await board("""
        async def task():
            async with await aioble.advertise(50_000, adv_data=ADV) as connection:
                say("inside", connection.is_connected())
            say("outside", connection.is_connected())
        """)
    await central.connect()
    assert await central.gone() == REMOTE_USER_TERMINATED
    await bridge.says("inside True", "outside False")
    await bridge.ends()


async def test_with_timeout_ends_by_time_or_by_disconnection(board, central):
    bridge = await board("""
        async def body(connection, timeout_ms, sleep_ms=60_000):
            with connection.timeout(timeout_ms):
                await asyncio.sleep_ms(sleep_ms)
                return "slept"

        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(body(connection, 100)))
            say(await raises(body(connection, 60_000, 50)))
            say(await raises(body(connection, None, 50)))
            say(await raises(body(connection, 60_000)))
        """)
    await central.connect()
    await bridge.says("('TimeoutError', ())", "('nothing', 'slept')", "('nothing', 'slept')")
    await central.disconnect()
    await bridge.says("('DeviceDisconnectedError', ())")
    await bridge.ends()


async def test_cancellation_from_elsewhere_passes_through_timeout(board, central):
    bridge = await board("""
        async def body(connection):
            try:
                with connection.timeout(60_000):
                    await asyncio.sleep(60)
            except asyncio.CancelledError:
                say("cancelled")

        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            inner = asyncio.create_task(body(connection))
            await asyncio.sleep_ms(50)
            inner.cancel()
            await inner
            say(connection.is_connected())
        """)
    await central.connect()
    await bridge.says("cancelled", "True")
    await bridge.ends()


async def test_a_link_that_is_lost_ends_on_both_sides(board, central, air):
    bridge = await board("""
        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            await connection.disconnected()
            say("gone")
            await aioble.advertise(50_000, adv_data=ADV)
            say("again")
        """)
    await central.connect()
    await bridge.says("connected")
    air.out_of_range(True)
    assert await central.gone() == TIMEOUT
    await bridge.says("gone")
    air.out_of_range(False)
    await central.connect()
    await bridge.says("again")
    await bridge.ends()


async def test_a_board_that_dies_is_missed_after_the_supervision_timeout(board, central):
    bridge = await board("""
        async def task():
            await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            await asyncio.sleep(60)
        """)
    await central.connect()
    await bridge.says("connected")
    await bridge.kill()
    assert await central.gone() == TIMEOUT


async def test_a_central_that_dies_is_missed_and_the_next_one_served(board, new_central):
    bridge = await board("""
        async def task():
            for _ in range(2):
                connection = await aioble.advertise(50_000, adv_data=ADV)
                say("connected")
                await connection.disconnected()
                say("gone")
        """)
    first = await new_central()
    await first.connect()
    await bridge.says("connected")
    first.device.host.hci_sink.close()
    await bridge.says("gone")
    second = await new_central()
    await second.connect(LIMIT_S)
    await bridge.says("connected")
    await second.disconnect()
    await bridge.says("gone")
    await bridge.ends()


async def test_stop_ends_connections(board, central):
    bridge = await board("""
        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            aioble.stop()
            say("stopped")
            say(await raises(connection.disconnected(timeout_ms=500)), connection.is_connected())
        """)
    await central.connect()
    await bridge.says("connected")
    await central.gone()
    await bridge.says("stopped")
    # The event of the disconnection is not delivered while the stack stops: the object never hears of it.
    await bridge.says("('TimeoutError', ()) True")
    await bridge.ends()
