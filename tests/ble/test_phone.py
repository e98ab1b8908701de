"""The phone's side (speakeasy.ble) against a board, on the dorm's radio."""

import asyncio

import pytest
import pytest_asyncio
from ble_sides import LIMIT_S, NIMBLE, uuid
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError
from bumble import gatt
from bumble.core import AdvertisingData
from speakeasy import ble
from speakeasy.ble_virtual import VirtualClient, VirtualScanner

BRIDGE_ID = bytes(range(0xB0, 0xB8))
INFO = b"\x01\x00" + BRIDGE_ID
BRIDGE = f"""
    async def answer(inbox, outbox):
        while True:
            connection, data = await inbox.written()
            if data == b"bye":
                outbox.notify(connection, b"last words")
                await connection.disconnect()
            elif data[:4] == b"pour":
                for number in range(int(data[4:])):
                    outbox.notify(connection, b"%d" % number)
                    await asyncio.sleep_ms(0)
            elif data == b"sleep":
                pass
            else:
                outbox.notify(connection, data)

    async def task():
        service = aioble.Service(SERVICE)
        inbox = aioble.BufferedCharacteristic(service, uuid(2), write=True, capture=True, max_len=512)
        outbox = aioble.Characteristic(service, uuid(3), notify=True)
        info = aioble.Characteristic(service, uuid(4), read=True, initial={INFO!r})
        aioble.register_services(service)
        asyncio.create_task(answer(inbox, outbox))
        while True:
            connection = await aioble.advertise(
                50_000, name="Speakeasy", services=[SERVICE], manufacturer=(0xFFFF, b"\\x00")
            )
            say("connected")
            await connection.disconnected()
            say("gone")
"""


@pytest.fixture
def on_air(air, directory, monkeypatch):
    monkeypatch.setenv("SPEAKEASY_AIR", str(directory / "air"))
    return air


@pytest_asyncio.fixture
async def bridge(board, on_air):
    return await board(BRIDGE)


@pytest.fixture
def stranger(new_central):
    """Another bridge in reach: a Bumble peripheral that advertises the service and has the characteristics given."""

    async def make(*characteristics):
        device = (await new_central()).device
        device.add_service(gatt.Service(uuid(1), list(characteristics)))
        advertised = AdvertisingData([(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(uuid(1)))])
        await device.start_advertising(
            advertising_data=bytes(advertised), scan_response_data=b"", auto_restart=True, advertising_interval_min=50
        )
        return device

    return make


def characteristics(info: bytes) -> list[gatt.Characteristic]:
    properties, permissions = gatt.Characteristic.Properties, gatt.Characteristic.Permissions
    return [
        gatt.Characteristic(uuid(2), properties.WRITE, permissions.WRITEABLE, b""),
        gatt.Characteristic(uuid(3), properties.NOTIFY, permissions.READABLE, b""),
        gatt.Characteristic(uuid(4), properties.READ, permissions.READABLE, info),
    ]


@pytest.mark.parametrize("wanted", [None, BRIDGE_ID])
async def test_find_talk_close(bridge, wanted):
    link = await ble.find(wanted, LIMIT_S)
    await bridge.says("connected")
    assert link.bridge_id == BRIDGE_ID
    assert await link.read_info() == INFO
    assert link.mtu == 256
    for size in (1, 20, link.mtu - 3):
        await link.write(bytes(size))
        assert await link.receive(LIMIT_S) == bytes(size)
    await link.close()
    await link.close()
    await bridge.says("gone")
    with pytest.raises(ble.LinkLost, match="closed"):
        await link.write(b"x")
    with pytest.raises(ble.LinkLost, match="closed"):
        await link.receive(LIMIT_S)


async def test_one_phone_after_the_other(bridge):
    for _ in range(3):
        link = await ble.find(BRIDGE_ID, LIMIT_S)
        await link.write(b"hello")
        assert await link.receive(LIMIT_S) == b"hello"
        await link.close()
        await bridge.says("connected", "gone")


async def test_last_words_are_heard(bridge):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    await link.write(b"bye")
    notifications = link.notifications()
    assert await anext(notifications) == b"last words"
    with pytest.raises(ble.LinkLost, match="Go closer"):
        await asyncio.wait_for(anext(notifications), LIMIT_S)
    with pytest.raises(ble.LinkLost):
        await link.write(b"x")
    with pytest.raises(ble.LinkLost):
        await link.read_info()
    await link.close()


async def test_a_wait_that_times_out_loses_nothing(bridge):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    notifications = link.notifications()
    with pytest.raises(TimeoutError):
        await link.receive(0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(notifications), 0.05)
    await link.write(b"still there")
    assert await asyncio.wait_for(anext(notifications), LIMIT_S) == b"still there"
    await link.close()


async def test_lost_while_waiting(bridge, on_air):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    waiting = asyncio.create_task(link.receive(LIMIT_S))
    await asyncio.sleep(0)
    on_air.drop()
    with pytest.raises(ble.LinkLost):
        await waiting
    await link.close()


async def test_lost_while_writing(bridge, on_air):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    on_air.out_of_range(True)
    with pytest.raises(ble.LinkLost, match="Go closer"):
        await asyncio.wait_for(link.write(b"x"), LIMIT_S)
    await link.close()


async def test_the_board_dies(bridge):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    await bridge.kill()
    with pytest.raises(ble.LinkLost):
        await link.receive(LIMIT_S)
    await link.close()


async def test_more_than_anybody_reads(bridge, until):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    await link.write(b"pour%d" % (ble.QUEUE_LENGTH + 10))
    await until(lambda: link._lost.is_set())
    for number in range(ble.QUEUE_LENGTH):
        assert await link.receive(LIMIT_S) == b"%d" % number
    with pytest.raises(ble.LinkLost, match="more than anybody could read"):
        await link.receive(LIMIT_S)
    await link.close()


async def test_nothing_there(on_air):
    with pytest.raises(ble.BleError, match=r"No bridge was heard within 0\.5 s"):
        await ble.find(None, 0.5)


async def test_another_phone_has_it(bridge):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    with pytest.raises(ble.BleError, match="one phone at a time"):
        await ble.find(BRIDGE_ID, 0.5)
    await link.write(b"undisturbed")
    assert await link.receive(LIMIT_S) == b"undisturbed"
    await link.close()


async def test_only_the_wrong_bridge(bridge):
    with pytest.raises(ble.BleError, match=f"0102030405060708 was not found, only {BRIDGE_ID.hex()}"):
        await ble.find(bytes(range(1, 9)), 6)
    await bridge.says("connected", "gone")


async def test_the_right_one_of_two(bridge, stranger):
    await stranger(*characteristics(b"\x01\x00" + bytes(8)))
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    assert link.bridge_id == BRIDGE_ID
    await link.close()
    with pytest.raises(ble.BleError, match=r"2 bridges are in reach.*by its bridge id"):
        await ble.find(None, LIMIT_S)


async def test_an_impostor_without_the_services(on_air, stranger):
    await stranger()
    with pytest.raises(ble.BleError, match=r"A bridge was heard, but .* lacks its services"):
        await ble.find(None, 8)


@pytest.mark.parametrize("place", [(VirtualClient, "connect"), (VirtualScanner, "start")], ids=["connect", "scan"])
async def test_a_search_ends_although_its_timeout_was_swallowed(on_air, stranger, monkeypatch, place):
    # As asyncio.wait_for did until Python 3.12, when what it waited for was done at that moment.
    usual = getattr(*place)
    swallowed = []

    async def swallow(self, *args, **kwargs):
        if not swallowed:
            try:
                await asyncio.sleep(LIMIT_S)
            except asyncio.CancelledError:
                swallowed.append(1)
        await usual(self, *args, **kwargs)

    monkeypatch.setattr(*place, swallow)
    if place[0] is VirtualClient:
        await stranger()  # heard again and again, and never a bridge
    with pytest.raises(ble.BleError, match="within 4 s"):
        await asyncio.wait_for(ble.find(BRIDGE_ID, 4), LIMIT_S)
    assert swallowed


async def test_a_damaged_info_is_the_sessions_to_judge(on_air, stranger):
    await stranger(*characteristics(b"\x07"))
    link = await ble.find(None, LIMIT_S)
    assert (link.bridge_id, await link.read_info()) == (b"", b"\x07")
    await link.close()


async def test_no_dorm(directory, monkeypatch):
    monkeypatch.setenv("SPEAKEASY_AIR", str(directory))
    with pytest.raises(ble.BleError, match="speakeasy dorm up"):
        await ble.find(None, 1)


async def test_the_dorm_goes_down(bridge, on_air):
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    await on_air.stop()
    with pytest.raises(ble.LinkLost):
        await asyncio.wait_for(link.receive(LIMIT_S), LIMIT_S)
    await link.close()


async def test_a_bridge_id_has_eight_bytes():
    with pytest.raises(ValueError, match="8 bytes"):
        await ble.find(b"short", 1)


async def test_a_real_radio_says_what_is_wrong(monkeypatch):
    # Whether this machine has Bluetooth or not: there is no bridge, and a sentence must come of it.
    monkeypatch.delenv("SPEAKEASY_AIR", raising=False)
    with pytest.raises(ble.BleError, match=r"\. .*\."):
        await asyncio.wait_for(ble.find(BRIDGE_ID, 1), LIMIT_S)


@pytest.mark.parametrize("reason", BleakBluetoothNotAvailableReason)
def test_each_reason_for_no_bluetooth_has_a_sentence(reason):
    text = str(ble._explain(BleakBluetoothNotAvailableError("", reason), "Searching"))
    assert text.endswith((".", "?"))
    assert "Error" not in text


def test_no_bluetooth_service():
    error = BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["no bluez"])
    assert "not running" in str(ble._explain(error, "Searching"))


@pytest.mark.skipif(NIMBLE, reason="one stack is enough to see that the phone cuts by the MTU it got")
async def test_the_mtu_is_what_the_bridge_grants(board, on_air):
    await board(BRIDGE.replace("aioble.register_services", "aioble.config(mtu=23); aioble.register_services"))
    link = await ble.find(BRIDGE_ID, LIMIT_S)
    assert link.mtu == 23
    await link.write(bytes(20))
    assert await link.receive(LIMIT_S) == bytes(20)
    with pytest.raises(ble.BleError, match="21 bytes do not fit"):
        await link.write(bytes(21))
    await link.close()
