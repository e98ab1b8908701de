"""The bench itself: what a page sees by Web Bluetooth is what the bridge does."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import LIMIT_S
from emulation import PhoneRadio
from page_tools import Served
from playwright.async_api import Page
from speakeasy import ble, ble_virtual

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUIDS = {"service": ble.SERVICE, "inbox": ble.INBOX, "outbox": ble.OUTBOX, "info": ble.INFO}
HELLO, CHALLENGE, ERROR = 1, 2, 5
SETUP_CODE_MODE = 1
BAD_MESSAGE = 1
FIRST, LAST = 0x80, 0x40
PIECE = 19  # with the header 20 bytes: what a page may always write

# A page of a few lines, and what the real one does with Web Bluetooth.
SCRATCH = '<!doctype html><html lang="en"><title>Scratch</title><button>Find</button></html>'
SCRIPT = """uuids => {
  window.values = []; window.early = 0; window.gone = 0;
  const bytes = view => Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  document.querySelector("button").onclick = () => {
    window.found = navigator.bluetooth.requestDevice({ filters: [{ services: [uuids.service] }] }).then(
      device => { window.device = device; device.ongattserverdisconnected = () => window.gone++; return "found"; },
      error => error.name);
  };
  window.connect = async () => {
    const service = await (await device.gatt.connect()).getPrimaryService(uuids.service);
    for (const name of ["inbox", "outbox", "info"]) window[name] = await service.getCharacteristic(uuids[name]);
  };
  window.listen = async () => {
    let started = false;
    outbox.addEventListener("characteristicvaluechanged", event => {
      if (!started) early++;
      values.push(bytes(event.target.value));
    });
    await outbox.startNotifications();
    started = true;
  };
  window.until = condition => new Promise(resolve => {
    const look = () => condition() ? resolve() : setTimeout(look, 10);
    look();
  });
  window.read = async characteristic => bytes(await characteristic.readValue());
  window.send = async fragments => {
    for (const fragment of fragments) await inbox.writeValueWithResponse(new Uint8Array(fragment));
  };
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(dorm: Dorm, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("scratch")
    (folder / "index.html").write_text(SCRATCH)
    served = Served(dorm.person(t.PHONE), folder)
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def page(dorm: Dorm, served: Served, open_page: Any) -> AsyncIterator[Page]:
    # The bridge may still be busy with the test before, or its minutes on the air be over.
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to be on the air")
    page = await open_page(served.url)
    await page.evaluate(SCRIPT, UUIDS)
    yield page
    dorm.bluetooth.out_of_range(False)


async def find(page: Page) -> str:
    """What comes of the chooser: "found", or the error's name."""
    await page.get_by_role("button").click()
    said: str = await page.evaluate("found")
    return said


async def join(page: Page) -> None:
    assert await find(page) == "found"
    await page.evaluate("connect()")


def cut(message: bytes) -> list[list[int]]:
    pieces = [message[at : at + PIECE] for at in range(0, len(message), PIECE)]
    flags = [(FIRST if n == 0 else 0) | (LAST if n == len(pieces) - 1 else 0) for n in range(len(pieces))]
    return [[flags[n] | n, *piece] for n, piece in enumerate(pieces)]


def glue(fragments: list[list[int]]) -> bytes:
    assert [fragment[0] & 0x3F for fragment in fragments] == list(range(len(fragments)))
    assert fragments[0][0] & FIRST and fragments[-1][0] & LAST
    return b"".join(bytes(fragment[1:]) for fragment in fragments)


async def test_info_is_the_bridges(dorm: Dorm, page: Page) -> None:
    bridge_id, _ = await dorm.serial_label()
    await join(page)
    assert dorm.bluetooth.connected
    info = bytes(await page.evaluate("read(info)"))
    assert info == bytes([1, 0]) + bytes.fromhex(bridge_id)  # version 1, unowned
    assert await page.evaluate("device.gatt.connected")


async def test_nobody_is_found_who_does_not_advertise(dorm: Dorm, page: Page, bluetooth: PhoneRadio) -> None:
    dorm.bluetooth.out_of_range(True)
    bluetooth.patience_s = 2.0
    assert await find(page) == "NotFoundError"
    assert (bluetooth.chosen, bluetooth.closed) == (0, 1)
    dorm.bluetooth.out_of_range(False)
    bluetooth.patience_s = LIMIT_S
    assert await find(page) == "found"
    # Found once is not found for ever.
    dorm.bluetooth.out_of_range(True)
    bluetooth.patience_s = 2.0
    assert await find(page) == "NotFoundError"


async def test_a_person_who_does_not_want_to(page: Page, bluetooth: PhoneRadio) -> None:
    bluetooth.unwilling = True
    assert await find(page) == "NotFoundError"


@pytest.mark.parametrize(("mtu", "least"), [(ble_virtual.PREFERRED_MTU, 1), (23, 4)])
async def test_a_message_there_and_back(
    dorm: Dorm, page: Page, mtu: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ble_virtual, "PREFERRED_MTU", mtu)
    bridge_id, _ = await dorm.serial_label()
    await join(page)
    await page.evaluate("listen()")
    hello = bytes([HELLO, 1, SETUP_CODE_MODE]) + bytes(8) + os.urandom(16) + os.urandom(32)
    with dorm.bluetooth.sniff() as heard:
        await page.evaluate("fragments => send(fragments)", cut(hello))
        await page.evaluate("until(() => values.some(value => value[0] & 0x40))")
    values = await page.evaluate("values")
    challenge = glue(values)
    assert len(challenge) == 1 + 1 + 8 + 16 + 32
    assert challenge[:10] == bytes([CHALLENGE, 1]) + bytes.fromhex(bridge_id)
    assert len(values) >= least
    assert await page.evaluate("early") == 0
    # All of it was on the air.
    on_air = b"".join(packet.payload for packet in heard if packet.kind == "data")
    for fragment in (*cut(hello), *values):
        assert bytes(fragment) in on_air


async def test_nothing_is_lost_when_the_bridge_hangs_up(dorm: Dorm, page: Page) -> None:
    """A message that makes no sense: an ERROR, and the end."""
    await join(page)
    await page.evaluate("listen()")
    await page.evaluate("fragments => send(fragments)", cut(b"\x7fnonsense"))
    await page.evaluate("until(() => gone)")
    assert glue(await page.evaluate("values")) == bytes([ERROR, BAD_MESSAGE])
    assert not await page.evaluate("device.gatt.connected")
    assert await page.evaluate("send([[1, 2]]).catch(error => error.name)") == "NetworkError"
    # And again, without another chooser.
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to be on the air again")
    await page.evaluate("values = []; gone = 0; connect().then(listen)")
    await page.evaluate("fragments => send(fragments)", cut(b"\x7f"))
    await page.evaluate("until(() => gone)")
    assert glue(await page.evaluate("values")) == bytes([ERROR, BAD_MESSAGE])


async def test_out_of_range(dorm: Dorm, page: Page) -> None:
    await join(page)
    await page.evaluate("listen()")
    dorm.bluetooth.out_of_range(True)
    dorm.bluetooth.drop()
    await page.evaluate("until(() => gone)")
    assert await page.evaluate("connect().catch(error => error.name)") == "NetworkError"


async def test_what_the_bridge_refuses(page: Page) -> None:
    """`inbox` cannot be read: the error is the bridge's, the page's connection goes on."""
    await join(page)
    assert await page.evaluate("read(inbox).catch(error => error.name)") == "NotSupportedError"
    assert len(await page.evaluate("read(info)")) == 10


async def test_the_page_hangs_up(dorm: Dorm, page: Page, bluetooth: PhoneRadio) -> None:
    await join(page)
    await page.evaluate("listen()")
    await page.evaluate("device.gatt.disconnect()")
    assert not await page.evaluate("device.gatt.connected")
    await dorm.until(lambda: not dorm.bluetooth.connected, LIMIT_S, "the bridge to be hung up on")
    # At once again: it waits until the radio is ready.
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to be on the air again")
    await page.evaluate("connect()")
    await page.evaluate("device.gatt.disconnect(); connect()")
    assert len(await page.evaluate("read(info)")) == 10
    assert bluetooth.chosen == 1


async def test_a_connection_that_is_given_up(dorm: Dorm, page: Page, bluetooth: PhoneRadio) -> None:
    """The page does not wait until the browser does not wait any more."""
    assert await find(page) == "found"
    dorm.bluetooth.out_of_range(True)
    await page.evaluate("window.trying = connect().catch(error => error.name), undefined")
    await page.evaluate("device.gatt.disconnect()")
    dorm.bluetooth.out_of_range(False)
    await page.evaluate("trying")
    await page.evaluate("connect()")
    assert bluetooth.connected
    assert dorm.bluetooth.connected


async def test_a_page_that_is_left(dorm: Dorm, page: Page, served: Served) -> None:
    await join(page)
    await page.evaluate("listen()")
    await page.goto(served.url + "#fragment")
    assert dorm.bluetooth.connected  # the same document
    await page.reload()
    await dorm.until(lambda: not dorm.bluetooth.connected, LIMIT_S, "the bridge to be hung up on")
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to be on the air again")
    await page.evaluate(SCRIPT, UUIDS)
    await join(page)
    await page.close()
    await dorm.until(lambda: not dorm.bluetooth.connected, LIMIT_S, "the bridge to be hung up on")


async def test_bluetooth_that_is_off(page: Page, bluetooth: PhoneRadio) -> None:
    assert await page.evaluate("navigator.bluetooth.getAvailability()")
    await bluetooth.power("absent")
    assert not await page.evaluate("navigator.bluetooth.getAvailability()")
    assert await find(page) == "NotFoundError"


async def test_the_phone_reaches_the_bridge(dorm: Dorm, page: Page) -> None:
    """The browser is on the phone's machine: it sees what that sees."""
    await page.goto(f"http://{dorm.bridge_address()}:{t.CLAIM_PORT}/t")
    assert page.url.endswith("/t")


async def test_a_browser_that_is_restarted(dorm: Dorm, served: Served, kept_profile: Any) -> None:
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to be on the air")
    async with kept_profile(served.url) as (page, _):
        await page.evaluate("localStorage.setItem('kept', '1')")
    async with kept_profile(served.url) as (page, radio):
        assert await page.evaluate("localStorage.getItem('kept')") == "1"
        await page.evaluate(SCRIPT, UUIDS)
        await join(page)
        assert radio.connected
