"""The firmware's pairing module where it meets the radio's oddities."""

from bumble.hci import HCI_ErrorCode


async def test_parting_from_a_phone_that_stays_on_the_line(board, central):
    # Its patience must not run out in disconnected(timeout_ms=...): see test_connection's "blinds the connection".
    bridge = await board("""
        from speakeasy import pairing

        async def task():
            for _ in range(2):
                connection = await aioble.advertise(50_000, adv_data=ADV)
                await pairing._part(connection)
                say("parted", connection.is_connected())
        """)
    for _ in range(2):
        await central.connect()
        assert await central.gone() == HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        await bridge.says("parted False")
    await bridge.ends()


async def test_parting_from_a_phone_that_hangs_up(board, central):
    bridge = await board("""
        from speakeasy import pairing

        async def task():
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say("connected")
            await pairing._part(connection)
            say("parted", connection.is_connected())
        """)
    await central.connect()
    await bridge.says("connected")
    await central.disconnect()
    await bridge.says("parted False")
    await bridge.ends()
