"""The air itself: what Bumble's radio lacks, faults, eavesdropping, the sockets."""

import asyncio
import os
import signal
import sys

import pytest
from ble_sides import LIMIT_S, NIMBLE
from bumble import core, hci
from bumble.hci import HCI_ErrorCode

TIMEOUT = HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
ECHO = """
    async def task():
        service = aioble.Service(SERVICE)
        inbox = aioble.BufferedCharacteristic(service, uuid(2), write=True, capture=True, max_len=512)
        outbox = aioble.Characteristic(service, uuid(3), notify=True)
        aioble.register_services(service)
        while True:
            connection = await aioble.advertise(50_000, adv_data=ADV, resp_data=b"\\x05\\x09name")
            say("connected")
            ended = asyncio.create_task(connection.disconnected())
            while not ended.done():
                try:
                    writer, data = await inbox.written(timeout_ms=50)
                    outbox.notify(writer, data)
                except asyncio.TimeoutError:
                    pass
            say("gone")
"""


async def test_connecting_to_nobody_can_be_given_up(board, central):
    nobody = hci.Address("C0:00:00:00:00:01", hci.Address.RANDOM_DEVICE_ADDRESS)
    with pytest.raises(core.TimeoutError):
        await asyncio.wait_for(central.device.connect(nobody, timeout=0.3), LIMIT_S)
    bridge = await board(ECHO)
    await central.connect()
    await bridge.says("connected")


async def test_of_two_centrals_one_gets_the_connection(board, new_central, air):
    bridge = await board(ECHO)
    centrals = [await new_central() for _ in range(2)]
    advertisement = await centrals[0].scan(lambda a: not a.is_scan_response)
    attempts = [asyncio.create_task(c.device.connect(advertisement.address, timeout=8)) for c in centrals]
    results = await asyncio.wait_for(asyncio.gather(*attempts, return_exceptions=True), LIMIT_S)
    assert sum(isinstance(result, core.TimeoutError) for result in results) == 1
    await bridge.says("connected")
    assert len(air.radio.links) == 1


async def test_reset_of_a_host_is_a_pulled_plug_for_the_other(board, central, air):
    bridge = await board(ECHO)
    await central.connect()
    await bridge.says("connected")
    await asyncio.wait_for(central.device.host.send_sync_command(hci.HCI_Reset_Command()), LIMIT_S)
    await bridge.says("gone")
    assert not air.connected


async def test_delay_keeps_order(board, central, air):
    await board(ECHO)
    await central.open(185)
    await central.subscribe(3)
    air.delay(0.1)
    started = asyncio.get_running_loop().time()
    for number in range(3):
        await central.write(2, b"%d" % number)
    assert [await central.notified(3) for _ in range(3)] == [b"0", b"1", b"2"]
    # Each write waits for its answer: there and back three times.
    assert asyncio.get_running_loop().time() - started >= 0.6


async def test_a_short_absence_loses_nothing(board, central, air):
    bridge = await board(ECHO)
    await central.open(supervision_ms=30_000)
    await bridge.says("connected")
    await central.subscribe(3)
    air.out_of_range(True)
    write = asyncio.create_task(central.write(2, b"through"))
    await asyncio.wait({write}, timeout=0.2)
    assert not write.done()
    air.out_of_range(False)
    await write
    assert await central.notified(3) == b"through"


async def test_drop(board, central, air):
    bridge = await board(ECHO)
    await central.connect()
    await bridge.says("connected")
    air.drop()
    assert await central.gone() == TIMEOUT
    await bridge.says("gone")
    assert not air.connected


async def test_an_eavesdropper_hears_everything(board, central, air):
    await board(ECHO)
    with air.sniff() as heard:
        await central.open(185)
        await central.subscribe(3)
        await central.write(2, b"in the clear")
        assert await central.notified(3) == b"in the clear"
    kinds = [each.kind for each in heard]
    for kind in ("adv", "scan_req", "scan_rsp", "connect_ind", "data"):
        assert kind in kinds
    own = central.device.random_address.to_string(False)
    sent = [each for each in heard if each.kind == "data" and b"in the clear" in each.payload]
    assert [each.sender == own for each in sent] == [True, False]
    assert next(each.payload for each in heard if each.kind == "scan_rsp") == b"\x05\x09name"
    count = len(heard)
    await central.write(2, b"after that")
    assert len(heard) == count


async def test_an_encrypted_link_cannot_be_read(board, central, air):
    await board(ECHO)
    await central.open(185)
    await central.subscribe(3)
    central.just_works()
    await asyncio.wait_for(central.connection.pair(), LIMIT_S)
    with air.sniff() as heard:
        await central.write(2, b"ciphered")
        assert await central.notified(3) == b"ciphered"
    data = [each for each in heard if each.kind == "data"]
    assert data
    assert all(each.encrypted and each.payload == b"" for each in data)


@pytest.mark.parametrize("socket", ["ble.sock", "hci.sock"])
@pytest.mark.parametrize("garbage", [b"\xff" * 100, b"{}\n", b'{"re": 1}\n', b"[1]\n", b"x" * 100_000])
async def test_garbage_ends_only_its_own_connection(air, directory, board, central, socket, garbage):
    reader, writer = await asyncio.open_unix_connection(directory / "air" / socket)
    try:
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), LIMIT_S)
    except ConnectionError:
        pass
    finally:
        writer.close()
    await board(ECHO)
    await central.open()
    await central.subscribe(3)
    await central.write(2, b"unharmed")
    assert await central.notified(3) == b"unharmed"


@pytest.mark.skipif(NIMBLE, reason="ble.sock is what the SIM board's own driver uses")
async def test_a_board_that_starts_anew_takes_the_chip_over(board, central, air):
    first = await board(ECHO)
    await central.connect()
    await first.says("connected")
    await board(ECHO)
    assert await central.gone() == TIMEOUT
    await first.says("bluetooth: the virtual radio is gone (ble.sock was closed)", "gone")
    await central.open()
    assert air.connected


@pytest.mark.skipif(NIMBLE, reason="about the SIM board's own driver")
async def test_a_board_without_a_radio(board, air):
    await air.stop()
    bridge = await board("""
        async def task():
            say((await raises(aioble.advertise(50_000, adv_data=ADV)))[0])
            say(bluetooth.BLE().active())
        """)
    await bridge.says("OSError", "False")
    await bridge.ends()


async def test_alone(directory):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dorm.bluetooth", directory / "new" / "air", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
    assert b"ble.sock" in line
    assert sorted(os.listdir(directory / "new" / "air")) == ["ble.sock", "hci.pty", "hci.sock"]
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0
    assert os.listdir(directory / "new" / "air") == []


async def test_usage():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dorm.bluetooth", stderr=asyncio.subprocess.PIPE
    )
    _, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert error == b"usage: python -m dorm.bluetooth DIRECTORY\n"


@pytest.mark.skipif(NIMBLE, reason="the reader of the SIM board's own bluetooth.py is under test")
async def test_a_board_without_memory_goes_on_reading(board, central):
    # The reader finds no room, then something that nobody thought of; neither may make the board deaf.
    program = ECHO.replace(
        "        while True:\n            connection",
        """
        class Json:
            dumps = bluetooth.json.dumps
            ills = [MemoryError(), MemoryError(), MemoryError()]
            @staticmethod
            def loads(text, loads=bluetooth.json.loads):
                if Json.ills and b"connect" in bytes(text):
                    raise Json.ills.pop(0)
                if b"mtu" in bytes(text):
                    raise KeyError("ill")
                return loads(text)
        async def arm():
            await asyncio.sleep_ms(200)
            bluetooth.json = Json
            say("armed")
        asyncio.create_task(arm())
        while True:
            connection""",
        1,
    )
    bridge = await board(program)
    await bridge.says("armed")
    await central.open(185)
    heard = [await bridge.line()]
    while not ("connected" in heard and "KeyError: ill" in heard):
        heard.append(await bridge.line())
    assert sum("no memory" in line for line in heard) == 3, heard
    await central.subscribe(3)
    for size in (1, 180):
        await central.write(2, bytes(size))
        assert await central.notified(3) == bytes(size)
