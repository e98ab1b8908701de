"""aioble's services: registration, reads and writes from both sides."""

import pytest
from ble_sides import uuid
from bumble import att


async def test_uuid(board):
    bridge = await board("""
        async def task():
            text = "5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11"
            say(SERVICE, bluetooth.UUID(0x2902))
            say(bytes(bluetooth.UUID(0x2902)), bytes(SERVICE))
            say(SERVICE == bluetooth.UUID(bytes(SERVICE)), SERVICE == bluetooth.UUID(text.upper()), SERVICE == uuid(2))
            say(SERVICE == text, SERVICE is None, {SERVICE: 1}[bluetooth.UUID(text)], len({uuid(n) for n in (1, 2, 1)}))
            for bad in ("5ea5", "5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b1x", text + "00", 70000):
                try:
                    say(bluetooth.UUID(bad))
                except ValueError as error:
                    say(error)
        """)
    await bridge.says("UUID('5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11') UUID(0x2902)")
    await bridge.says(f"b'\\x02)' {uuid(1).uuid_bytes!r}")
    await bridge.says("True True False", "False False 1 2")
    # Four characters are four bytes of a 32 bit UUID: text is a buffer like any other.
    await bridge.says("UUID(0x35616535)", "invalid char in UUID", "UUID too long", "invalid UUID")
    await bridge.ends()


async def test_initial_values_reads_and_local_writes(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            one = aioble.Characteristic(service, uuid(2), read=True, initial=b"one")
            two = aioble.Characteristic(service, uuid(3), read=True, write=True)
            three = aioble.BufferedCharacteristic(service, uuid(4), read=True, initial="three", max_len=30)
            say(one.read(), two.read(), three.read(), one._value_handle)
            aioble.register_services(service)
            say(one.read(), two.read(), three.read(), one._value_handle is None)
            one.write("x" * 40)
            say(len(one.read()))
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await two.written()
            one.write(b"changed")
            await two.written()
        """)
    await bridge.says("b'one' b'' three None")
    # What a BufferedCharacteristic had as its initial value is gone.
    await bridge.says("b'one' b'' b'' False", "40")
    await central.open(185)
    assert await central.read(2) == b"x" * 40
    assert await central.read(3) == b""
    await central.write(3, b"go")
    assert await central.read(2) == b"changed"
    await central.write(3, b"go")
    await bridge.ends()


async def test_a_long_value_is_read_in_pieces(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            aioble.Characteristic(service, uuid(2), read=True, initial=bytes(range(100)) * 2)
            aioble.register_services(service)
            await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await central.open()
    assert await central.read(2) == bytes(range(100)) * 2
    await central.disconnect()
    await bridge.ends()


@pytest.mark.parametrize("size", [1, 20, 21, 180])
async def test_a_plain_characteristic_keeps_twenty_bytes(board, central, size):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            plain = aioble.Characteristic(service, uuid(2), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await plain.written() == connection, plain.read())
        """)
    await central.open(256)
    await central.write(2, bytes(range(size)))  # acknowledged whole
    await bridge.says(f"True {bytes(range(min(size, 20)))!r}")
    await bridge.ends()


@pytest.mark.parametrize(
    ("mtu", "size", "kept"),
    [
        (517, 512, 512),
        (517, 514, 512),  # longer than an attribute can be: cut, and acknowledged
        (185, 182, 182),
        # Beyond the MTU it is a long write (prepare, execute): one write to the board, all the same.
        (185, 512, 512),
        (None, 20, 20),
        (None, 216, 216),
    ],
)
async def test_a_buffered_characteristic_keeps_what_it_was_made_for(board, central, mtu, size, kept):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            buffered = aioble.BufferedCharacteristic(service, uuid(2), write=True, capture=True, max_len=512)
            aioble.register_services(service)
            aioble.config(mtu=517)
            await aioble.advertise(50_000, adv_data=ADV)
            connection, data = await buffered.written()
            say(len(data), data == bytes(i & 0xFF for i in range(len(data))))
        """)
    await central.open(mtu)
    await central.write(2, bytes(i & 0xFF for i in range(size)))
    await bridge.says(f"{kept} True")
    await bridge.ends()


async def test_long_writes_beyond_the_stacks_buffers_are_refused(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            buffered = aioble.BufferedCharacteristic(service, uuid(2), write=True, max_len=512)
            aioble.register_services(service)
            await aioble.advertise(50_000, adv_data=ADV)
            await buffered.written()
            say(len(buffered.read()))
        """)
    await central.open()
    assert await central.refused(central.write(2, bytes(217))) == att.ErrorCode.INSUFFICIENT_RESOURCES
    await central.client.send_request(att.ATT_Execute_Write_Request(flags=0))  # forget the parts
    assert await central.client.request_mtu(256) == 256
    assert await central.refused(central.write(2, bytes(513))) == att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
    await central.write(2, b"short")
    await bridge.says("5")
    await bridge.ends()


async def test_on_read_is_asked_when_the_stack_reads_for_a_notification(board, central):
    bridge = await board("""
        class Guarded(aioble.Characteristic):
            def on_read(self, connection):
                say("read by", connection)
                return 5 if self.read() == b"closed" else 0

        async def call(function, *args):
            return function(*args)

        async def task():
            service = aioble.Service(SERVICE)
            guarded = Guarded(service, uuid(2), read=True, notify=True, initial=b"open")
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await raises(call(guarded.notify, connection)))
            say(await raises(call(guarded.notify, connection, b"data")))
            guarded.write(b"closed")
            say(await raises(call(guarded.notify, connection)))
        """)
    await central.connect()
    await bridge.says("read by None", "('nothing', None)", "('nothing', None)")
    await bridge.says("read by None", "('OSError', (-9,))")
    await bridge.ends()


async def test_append_adds_up_until_it_is_read(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            segments = aioble.BufferedCharacteristic(service, uuid(2), write=True, max_len=10, append=True)
            go = aioble.Characteristic(service, uuid(3), write=True)
            aioble.register_services(service)
            await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            say(segments.read(), segments.read())
            await go.written()
            say(segments.read())
        """)
    await central.open()
    for number in range(2):
        await central.write(2, b"seg%d" % number)
    await central.write(3, b"go")
    await bridge.says("b'seg0seg1' b''")
    for _ in range(3):
        await central.write(2, b"seg3")
    await central.write(3, b"go")
    await bridge.says("b'seg3seg3se'")
    await bridge.ends()


async def test_written_without_capture_is_one_wake_up_and_the_last_value(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            value = aioble.Characteristic(service, uuid(2), write=True)
            go = aioble.Characteristic(service, uuid(3), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            say(await value.written() == connection, value.read())
            say(await raises(value.written(timeout_ms=100)))
        """)
    await central.open()
    for number in range(3):
        await central.write(2, b"%d" % number)
    await central.write(3, b"go")
    await bridge.says("True b'2'", "('TimeoutError', ())")
    await bridge.ends()


async def test_written_where_nothing_can_be_written_returns_none(board):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            say(await raises(aioble.Characteristic(service, uuid(2), read=True, notify=True).written()))
        """)
    await bridge.says("('nothing', None)")
    await bridge.ends()


async def test_capture_keeps_ten_and_drops_the_oldest(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            captured = aioble.Characteristic(service, uuid(2), write=True, capture=True)
            go = aioble.Characteristic(service, uuid(3), write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            got = []
            for _ in range(11):
                writer, data = await captured.written()
                assert writer == connection
                got.append(data.decode())
            say(" ".join(got))
            say(await raises(captured.written(timeout_ms=100)))
        """)
    await central.open()
    for number in range(15):
        await central.write(2, b"%d" % number)
    await central.write(3, b"go")
    # The first one was taken out of the queue to be handed over; of the others the last ten are left.
    await bridge.says("0 5 6 7 8 9 10 11 12 13 14", "('TimeoutError', ())")
    await bridge.ends()


async def test_a_captured_write_that_nobody_awaits_holds_up_the_others(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            one = aioble.Characteristic(service, uuid(2), write=True, capture=True)
            two = aioble.Characteristic(service, uuid(3), write=True, capture=True)
            go = aioble.Characteristic(service, uuid(4), write=True)
            aioble.register_services(service)
            await aioble.advertise(50_000, adv_data=ADV)
            await go.written()
            say((await raises(two.written(timeout_ms=200)))[0])
            say((await one.written())[1])
            say((await two.written())[1])
        """)
    await central.open()
    await central.write(2, b"for one")
    await central.write(3, b"for two")
    await central.write(4, b"go")
    await bridge.says("TimeoutError", "b'for one'", "b'for two'")
    await bridge.ends()


async def test_a_write_may_come_after_the_disconnection(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            captured = aioble.Characteristic(service, uuid(2), write_no_response=True, capture=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            await connection.disconnected()
            say("disconnected")
            writer, data = await captured.written()
            say(data, writer == connection, writer.is_connected())
        """)
    await central.open()
    await central.write(2, b"last words", with_response=False)
    await central.disconnect()
    await bridge.says("disconnected", "b'last words' True False")
    await bridge.ends()


async def test_write_with_and_without_response_keep_their_order(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            both = aioble.Characteristic(service, uuid(2), write=True, write_no_response=True, capture=True)
            aioble.register_services(service)
            await aioble.advertise(50_000, adv_data=ADV)
            got = []
            while len(got) < 8:
                got.append((await both.written())[1].decode())
            say(" ".join(got))
        """)
    await central.open()
    for number in range(8):
        await central.write(2, b"%d" % number, with_response=number % 2 == 1)
    await bridge.says("0 1 2 3 4 5 6 7")
    await bridge.ends()


async def test_on_read_may_answer_or_refuse(board, central):
    bridge = await board("""
        class Counter(aioble.Characteristic):
            reads = 0

            def on_read(self, connection):
                self.reads += 1
                if self.reads == 2:
                    return 5
                self.write(b"read %d %s" % (self.reads, connection.is_connected()))
                return 0

        async def task():
            service = aioble.Service(SERVICE)
            counter = Counter(service, uuid(2), read=True)
            aioble.register_services(service)
            await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
            say(counter.reads, counter.read())
        """)
    await central.open()
    assert await central.read(2) == b"read 1 True"
    assert await central.refused(central.read(2)) == att.ErrorCode.INSUFFICIENT_AUTHENTICATION
    assert await central.read(2) == b"read 3 True"
    await central.disconnect()
    await bridge.says("3 b'read 3 True'")
    await bridge.ends()


async def test_what_is_not_allowed_is_refused(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            aioble.Characteristic(service, uuid(2), read=True)
            aioble.Characteristic(service, uuid(3), write=True)
            aioble.register_services(service)
            await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await central.open()
    assert await central.refused(central.write(2, b"x")) == att.ErrorCode.WRITE_NOT_PERMITTED
    assert await central.refused(central.read(3)) == att.ErrorCode.READ_NOT_PERMITTED
    assert await central.refused(central.client.read_value(200)) == att.ErrorCode.INVALID_HANDLE
    await central.disconnect()
    await bridge.ends()


async def test_register_while_connected_fails_and_makes_deaf(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            value = aioble.Characteristic(service, uuid(2), read=True, write=True)
            aioble.register_services(service)
            connection = await aioble.advertise(50_000, adv_data=ADV)
            try:
                aioble.register_services(service)
            except OSError as error:
                say(error.errno)
            while not value.read():
                await asyncio.sleep_ms(10)
            say((await raises(value.written(timeout_ms=500)))[0], value.read())
            await connection.disconnected()
            aioble.register_services(service)
            await aioble.advertise(50_000, adv_data=ADV)
            await value.written()
            say(value.read())
        """)
    await central.open()
    await bridge.says("16")
    await central.write(2, b"unheard")
    # The stack has the value; nobody was told.
    await bridge.says("TimeoutError b'unheard'")
    await central.disconnect()
    await central.open()
    await central.write(2, b"heard")
    await bridge.says("b'heard'")
    await bridge.ends()


async def test_registering_again_replaces_all_services(board, central):
    bridge = await board("""
        async def task():
            for number in (2, 3):
                service = aioble.Service(SERVICE)
                aioble.Characteristic(service, uuid(number), read=True, initial=b"%d" % number)
                aioble.register_services(service)
            await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await central.open()
    assert not central.client.get_characteristics_by_uuid(uuid(2))
    assert await central.read(3) == b"3"
    await central.disconnect()
    await bridge.ends()


async def test_descriptors(board, central):
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            one = aioble.Characteristic(service, uuid(2), read=True, notify=True, initial=b"one")
            descriptor = aioble.Descriptor(one, bluetooth.UUID(0x2901), read=True, write=True, initial=b"words")
            two = aioble.Characteristic(service, uuid(3), read=True, initial=b"two")
            aioble.register_services(service)
            say(descriptor.read(), two.read())
            connection = await aioble.advertise(50_000, adv_data=ADV)
            say(await descriptor.written() == connection, descriptor.read())
            await connection.disconnected()
        """)
    await bridge.says("b'words' b'two'")
    await central.open()
    one = central.characteristic(2)
    found = {descriptor.type: descriptor for descriptor in await one.discover_descriptors()}
    assert len(found) == 2  # ours and the stack's own CCCD
    descriptor = next(d for kind, d in found.items() if kind == att.UUID.from_16_bits(0x2901))
    assert await central.client.read_value(descriptor) == b"words"
    await central.client.write_value(descriptor, b"other", True)
    await bridge.says("True b'other'")
    assert await central.read(3) == b"two"
    await central.disconnect()
    await bridge.ends()


async def test_gap_name(board, central):
    bridge = await board("""
        async def task():
            say(aioble.config("gap_name"))
            aioble.config(gap_name="Speakeasy")
            say(aioble.config("gap_name"))
            await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await bridge.says("b'MPY NIMBLE'", "b'Speakeasy'")
    await central.open()
    name = central.client.get_characteristics_by_uuid(att.UUID.from_16_bits(0x2A00))[0]
    assert await central.client.read_value(name.handle) == b"Speakeasy"
    await central.disconnect()
    await bridge.ends()


async def test_nobody_writes_declarations(board, central, new_central):
    """What the table of attributes says of itself is the bridge's, as it is with NimBLE: the next central finds all."""
    bridge = await board("""
        async def task():
            service = aioble.Service(SERVICE)
            info = aioble.Characteristic(service, uuid(2), read=True, initial=b"info")
            aioble.register_services(service)
            for _ in range(2):
                await (await aioble.advertise(50_000, adv_data=ADV)).disconnected()
        """)
    await central.open()
    value = central.characteristic(2).handle
    name = central.client.get_characteristics_by_uuid(att.UUID.from_16_bits(0x2A00))[0].handle
    for handle in (name - 2, name - 1, value - 2, value - 1, value):
        with pytest.raises(att.ATT_Error) as caught:
            await central.client.write_value(handle, b"LL", with_response=True)
        assert caught.value.error_code == att.ErrorCode.WRITE_NOT_PERMITTED, handle
        await central.client.write_value(handle, b"LL")
    await central.disconnect()
    other = await new_central()
    await other.open()
    assert await other.read(2) == b"info"
    await other.disconnect()
    await bridge.ends()
