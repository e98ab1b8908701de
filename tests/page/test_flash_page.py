"""Flashing a board from the browser: the real page with the real esptool-js in Chromium, a chip's loader that is played
(tests/flash/fake_board.py), and the real firmware's console. `navigator.serial` is the test's own cable to it."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import random
import re
import shutil
import struct
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import zxingcpp
from esptool.targets import CHIP_DEFS
from PIL import Image
from playwright.async_api import Browser, Page, expect
from speakeasy import links, page_server

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "flash"))  # fake_board

from conftest import PAGE_LIMIT_MS  # noqa: E402
from fake_board import MEM_BEGIN, SECURITY, FakeBoard, paired  # noqa: E402
from page_tools import screenshots  # noqa: E402

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1 << 20
# Chip, and MB of its flash.
CHIPS = {"esp32": 4, "esp32s3": 8, "esp32c3": 4, "esp32c6": 4}
USB_CHIP = {"usbVendorId": 0x10C4, "usbProductId": 0xEA60}
OWN_USB = {"usbVendorId": 0x303A, "usbProductId": 0x1001}
# The first start of the firmware, the loader's own pauses; on a machine that does other things, too.
LONG_MS = 120_000
# The page's own patience, as a clock that is put forward passes it, and how long it is looked for in between.
MOST_MINUTES, PASSING_MS = 30, 1_000
TABLE_AT, APP_AT = 0x8000, 0x10000


def _application(chip: str, megabytes: int, body: bytes) -> bytes:
    """As ESP-IDF makes one: header, a segment, checksum, SHA-256."""
    size = (megabytes.bit_length() - 1) << 4
    header = struct.pack("<BBBBI", 0xE9, 1, 2, size, 0x40080000)
    header += struct.pack("<B3xHBHH4xB", 0xEE, CHIP_DEFS[chip].IMAGE_CHIP_ID, 0, 0, 0xFFFF, 1)
    data = header + struct.pack("<II", 0x3FFB0000, len(body)) + body
    data += bytes(15 - len(data) % 16) + b"\xef"
    return data + hashlib.sha256(data).digest()


def firmware(chip: str, seed: str = "one", megabytes: int | None = None) -> bytes:
    """The whole of it, from the bootloader on; some of it shrinks, as code does."""
    noise = random.Random(seed)
    megabytes = megabytes or CHIPS[chip]
    offset = CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET
    entry = struct.Struct("<HBBII16sI")
    table = entry.pack(0x50AA, 1, 2, 0x9000, 0x4000, b"nvs", 0) + entry.pack(0x50AA, 0, 0x10, APP_AT, MB, b"ota_0", 0)
    table += entry.pack(0x50AA, 1, 0x81, (megabytes * MB) - 0x30000, 0x30000, b"vfs", 0)
    image = _application(chip, megabytes, noise.randbytes(9_000)).ljust(TABLE_AT - offset, b"\xff") + table
    body = b"".join(noise.randbytes(96) + bytes(32) for _ in range(700)) + b"\xc0\xdb\xff\xff"
    return image.ljust(APP_AT - offset, b"\xff") + _application(chip, megabytes, body)


class Computer:
    """The computer that the page runs on, as far as it is a matter of serial ports."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.willing = True  # to choose a port
        self.busy = False  # another program has it
        self._boards: list[FakeBoard] = []
        self._open: set[int] = set()
        self._said: asyncio.Queue[tuple[int, bytes | None]] = asyncio.Queue()
        self._heard = b""  # by the page
        self._more = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._pump = asyncio.create_task(self._carry())

    async def plug_in(self, board: FakeBoard, info: dict[str, int] = USB_CHIP) -> None:
        number = len(self._boards)
        self._boards.append(board)
        await self.page.evaluate("info => plugIn(info)", info)
        board.hear = lambda data: self._later(number, data)

    async def pull(self, board: FakeBoard) -> None:
        """The cable: what is on its way is lost."""
        board.hear = lambda _data: None
        number = len(self._boards) - 1 - self._boards[::-1].index(board)
        self._open.discard(number)
        self._said.put_nowait((number, None))

    def goes(self, board: FakeBoard) -> None:
        """From whatever thread: its cable is pulled."""
        board.hear = lambda _data: None
        asyncio.run_coroutine_threadsafe(self.pull(board), self._loop)

    def comes_back(self, board: FakeBoard, info: dict[str, int] = OWN_USB) -> None:
        """From whatever thread: as another USB device."""
        board.hear = lambda _data: None
        asyncio.run_coroutine_threadsafe(self._comes_back(board, info), self._loop)

    async def _comes_back(self, board: FakeBoard, info: dict[str, int]) -> None:
        await self.pull(board)
        await self.plug_in(board, info)

    def _later(self, number: int, data: bytes) -> None:
        """From whatever thread has something to say."""
        with contextlib.suppress(RuntimeError):  # after the test
            self._loop.call_soon_threadsafe(self._said.put_nowait, (number, data))

    async def _carry(self) -> None:
        while True:
            number, data = await self._said.get()
            while data is not None and not self._said.empty():
                following, more = self._said._queue[0]  # type: ignore[attr-defined]
                if following != number or more is None:
                    break
                data += more
                self._said.get_nowait()
            if data is None:
                await self.page.evaluate("number => serialPorts[number].lose()", number)
            elif number in self._open:
                text = base64.b64encode(data).decode()
                await self.page.evaluate("([number, data]) => serialPorts[number].hear(data)", [number, text])
                async with self._more:
                    self._heard += data
                    self._more.notify_all()

    async def has_heard(self, words: bytes) -> None:
        async with asyncio.timeout(LONG_MS / 1000), self._more:
            await self._more.wait_for(lambda: words in self._heard)

    async def call(self, _source: object, name: str, number: int, value: Any) -> bool:
        """What the page does with a port."""
        if name == "unwilling":
            return not self.willing
        board = self._boards[number]
        if name == "open":
            if self.busy:
                return False
            board.lines.baudrate = value
            self._open.add(number)
            # Linux' drivers switch both on: to the two transistors that is nothing.
            board.signals(dtr=True, rts=True)
        elif name == "close":
            self._open.discard(number)
            board.signals(dtr=False, rts=False)
        elif name == "signals":
            await asyncio.to_thread(board.signals, dtr=value["dtr"], rts=value["rts"])
        elif name == "write":
            await asyncio.to_thread(board.receive, base64.b64decode(value))
            if board.pull_after == 0:
                board.pull_after = None
                await self.pull(board)
        return True

    async def end(self) -> None:
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a host has it that offers firmware, too."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(TOP / "build" / "page", folder, dirs_exist_ok=True)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(folder: Path) -> AsyncIterator[str]:
    async with page_server.serving(folder) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def computer(browser: Browser, address: str, page_errors: list[str]) -> AsyncIterator[Computer]:
    context = await browser.new_context(viewport={"width": 360, "height": 740})
    context.set_default_timeout(PAGE_LIMIT_MS)
    context.on("weberror", lambda error: page_errors.append(str(error.error)))
    page = await context.new_page()
    computer = Computer(page)
    await context.expose_binding("serialCable", computer.call)
    await context.add_init_script(path=HERE / "serial_port.js")
    await page.goto(address)
    await page.get_by_role("button", name="Flash a board").click()
    yield computer
    await computer.end()
    await context.close()


@pytest.fixture
def new_board(tmp_path: Path) -> Any:
    boards: list[FakeBoard] = []

    def make(chip: str, megabytes: int | None = None) -> FakeBoard:
        boards.append(FakeBoard(chip, (megabytes or CHIPS[chip]) * MB, tmp_path / f"files{len(boards)}"))
        return boards[-1]

    yield make
    for board in boards:
        board.close()


NewBoard = Callable[..., FakeBoard]


async def choose_file(page: Page, data: bytes, name: str = "firmware.bin") -> None:
    await page.get_by_label("The firmware: firmware.bin").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


async def begin(page: Page) -> None:
    await page.get_by_role("button", name="Choose the board and begin").click()


async def done(page: Page) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your bridge is ready", timeout=LONG_MS)


async def trouble(page: Page, picture: str, *words: str) -> None:
    alert = page.get_by_role("alert")
    await expect(alert).to_be_visible(timeout=LONG_MS)
    for part in words:
        await expect(alert).to_contain_text(part)
    if picture:
        await screenshots(page, f"flash-{picture}")


def identity(board: FakeBoard) -> dict[str, str]:
    return json.loads((board.files / "identity.json").read_text())["data"]


def files(board: FakeBoard) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in board.files.iterdir()}


def holds(board: FakeBoard, image: bytes) -> None:
    """The image, byte by byte, and nothing else."""
    at = board.chip.BOOTLOADER_FLASH_OFFSET
    assert board.flash[at : at + len(image)] == image
    assert set(board.flash[:at]) | set(board.flash[at + len(image) + 3 :]) <= {0xFF}


def untouched(board: FakeBoard) -> None:
    assert board.writes == 0 and set(board.flash) == {0xFF}


async def flashed(computer: Computer, board: FakeBoard, image: bytes) -> None:
    """A bridge that was flashed by this page before; the page is where it begins."""
    await choose_file(computer.page, image)
    await begin(computer.page)
    await done(computer.page)
    await computer.page.get_by_role("button", name="Another board").click()


async def seen(page: Page) -> str:
    """What a camera reads off the label on the screen."""
    shot = await page.get_by_role("img", name="Label of bridge").screenshot()
    (barcode,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(shot)))
    return barcode.text


@pytest.mark.parametrize("chip", CHIPS)
async def test_from_the_file_to_the_label(computer: Computer, new_board: NewBoard, chip: str) -> None:
    page, image, board = computer.page, firmware(chip), new_board(chip)
    await computer.plug_in(board)
    await choose_file(page, image)
    await expect(page.get_by_text(f"For a board with an {board.chip.CHIP_NAME} and {CHIPS[chip]} MB")).to_be_visible()
    await begin(page)
    await done(page)
    holds(board, image)
    assert (board.erased, board.fast) == (0, 460800)

    bridge, setup = identity(board)["bridge"], bytes.fromhex(identity(board)["setup"])
    text = await seen(page)
    assert links.credential(text).secret == setup
    await expect(page.get_by_role("img", name=f"Label of bridge {bridge}")).to_be_visible()
    assert board.starts == 2, "the firmware runs again after it was asked"


async def test_what_is_for_flashing_is_loaded_when_asked_for(browser: Browser, address: str) -> None:
    """esptool-js is large, and few people flash a board."""
    context = await browser.new_context(service_workers="block")  # it keeps all files
    context.set_default_timeout(PAGE_LIMIT_MS)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    await page.goto(address)
    flash = page.get_by_role("button", name="Flash a board")
    await flash.wait_for()
    before = list(asked)
    assert not [path for path in before if "flash" in path or "esp32" in path]
    async with page.expect_request("**/firmware/manifest.json", timeout=PAGE_LIMIT_MS):
        await flash.click()
    assert [path for path in asked[len(before) :] if re.fullmatch(r"/assets/flash-[^/]+\.js", path)]
    await context.close()
    # Loaders of the chips that our boards have, and of no others.
    stubs = {
        path.name.partition("-")[0]
        for path in (TOP / "build/page/assets").glob("*.js")
        if b"text_start" in path.read_bytes()
    }
    assert stubs - {"flash"} == set(CHIPS)


async def test_flashed_again_it_is_the_same_bridge_with_its_phones(computer: Computer, new_board: NewBoard) -> None:
    page, board, newer = computer.page, new_board("esp32s3"), firmware("esp32s3", "two")
    await computer.plug_in(board)
    await flashed(computer, board, firmware("esp32s3"))
    paired(board, "owner", "guest")
    before = files(board)
    await choose_file(page, newer)
    await begin(page)
    await done(page)
    holds(board, newer)
    assert files(board) == before
    await expect(page.get_by_text("It knows 2 phones already, and has an owner: nothing of that was")).to_be_visible()
    await expect(page.get_by_role("button", name="Pair it now")).to_have_count(0)
    await screenshots(page, "flash-owned")


async def test_made_new_it_is_another_bridge(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32c3")
    await computer.plug_in(board)
    await flashed(computer, board, firmware("esp32c3"))
    paired(board, "owner")
    first, writes = identity(board), board.writes
    fresh = page.get_by_role("checkbox", name="Make it a new bridge")
    await fresh.check()
    await begin(page)
    dialog = page.get_by_role("dialog", name="Erase all that is on the board?")
    await expect(dialog).to_be_visible()
    await screenshots(page, "flash-erase")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    assert (board.writes, identity(board)) == (writes, first)

    await begin(page)
    await dialog.get_by_role("button", name="Erase it").click()
    await done(page)
    second = identity(board)
    assert board.erased == 1 and first["bridge"] != second["bridge"] and first["setup"] != second["setup"]
    assert links.credential(await seen(page)).secret == bytes.fromhex(second["setup"])
    await page.get_by_role("button", name="Another board").click()
    await expect(fresh).not_to_be_checked()


async def test_the_label_again_without_flashing(computer: Computer, new_board: NewBoard) -> None:
    page, board, image = computer.page, new_board("esp32c6"), firmware("esp32c6")
    await computer.plug_in(board)
    await flashed(computer, board, image)
    writes, starts = board.writes, board.starts
    await page.get_by_role("button", name="Only show the label of a bridge").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The label of your bridge", timeout=LONG_MS)
    assert links.credential(await seen(page)).secret == bytes.fromhex(identity(board)["setup"])
    assert board.writes == writes and board.starts == starts + 1, "it was stopped to be asked, and runs again"


@pytest.fixture
def offered(folder: Path) -> Any:
    """Puts firmware beside the page, as its host would."""
    there = folder / "firmware"

    def offer(image: bytes, **more: object) -> None:
        there.mkdir()
        (there / "ESP32_S3.bin").write_bytes(image)
        line = {"name": "ESP32-S3 with PSRAM", "chip": "esp32s3", "flash_size": 8 * MB, "file": "ESP32_S3.bin"}
        line |= {"sha256": hashlib.sha256(image).hexdigest()} | more
        (there / "manifest.json").write_text(json.dumps({"firmware": [line]}))

    yield offer
    shutil.rmtree(there)


async def reopen(computer: Computer, *boards: FakeBoard) -> None:
    await computer.page.reload()
    await computer.page.get_by_role("button", name="Flash a board").click()
    for board in boards:
        await computer.plug_in(board)


async def test_firmware_that_the_pages_host_offers(computer: Computer, new_board: NewBoard, offered: Any) -> None:
    page, board, image = computer.page, new_board("esp32s3"), firmware("esp32s3")
    offered(image)
    await reopen(computer, board)
    await expect(page.get_by_role("radio", name="ESP32-S3 with PSRAM")).to_be_checked()
    await screenshots(page, "flash-offered")
    await begin(page)
    await done(page)
    holds(board, image)


async def test_firmware_that_is_not_what_its_list_says(computer: Computer, new_board: NewBoard, offered: Any) -> None:
    board, image = new_board("esp32s3"), firmware("esp32s3")
    offered(image, sha256="0" * 64)
    await reopen(computer, board)
    await begin(computer.page)
    await trouble(computer.page, "changed", "The firmware is not what its list says", "Nothing was written.")
    untouched(board)


# ---- what may be wrong ----


async def test_firmware_that_is_not_there(computer: Computer, new_board: NewBoard, offered: Any, folder: Path) -> None:
    board = new_board("esp32s3")
    offered(firmware("esp32s3"))
    await reopen(computer, board)
    (folder / "firmware" / "ESP32_S3.bin").unlink()
    await begin(computer.page)
    await trouble(computer.page, "not-loaded", "The firmware could not be fetched", "Nothing was written.")
    untouched(board)


async def test_the_wrong_chip(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32c3")
    await computer.plug_in(board)
    await choose_file(page, firmware("esp32s3"))
    await begin(page)
    await trouble(
        page,
        "wrong-chip",
        "The chip on this board is an ESP32-C3, and this firmware is for the ESP32-S3",
        "Nothing was written.",
    )
    untouched(board)
    assert board.starts == 1, "it goes on with what it had"

    # The right file, and all is well: the port was given back.
    await page.get_by_role("button", name="Try again").click()
    await choose_file(page, firmware("esp32c3"))
    await begin(page)
    await done(page)


async def test_the_flash_is_too_small(computer: Computer, new_board: NewBoard) -> None:
    """One that is just as large as it must be is in every other test."""
    page, board = computer.page, new_board("esp32s3", 4)
    await computer.plug_in(board)
    await choose_file(page, firmware("esp32s3"))
    await begin(page)
    await trouble(
        page, "too-small", "This board has 4 MB of flash, and this firmware needs 8 MB", "Nothing was written."
    )
    untouched(board)
    assert board.starts == 1, "it goes on with what it had"


async def test_a_flash_that_nobody_knows(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32s3")
    board.flash_id = 0
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32s3"))
    await begin(computer.page)
    await trouble(computer.page, "unknown-flash", "The size of this board's flash is not known", "Nothing was written.")
    untouched(board)


async def test_a_chip_that_is_locked(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c6")
    board.locked = True
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c6"))
    await begin(computer.page)
    await trouble(computer.page, "locked", "secure download mode: take another board", "Nothing was written.")
    untouched(board)


async def test_a_board_that_does_not_answer(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32c3")
    board.in_bootloader = False
    await computer.plug_in(board)
    await choose_file(page, firmware("esp32c3"))
    await begin(page)
    await trouble(page, "no-answer", "No ESP32 answered there", "Hold the board's BOOT button, press and let go RESET")
    untouched(board)
    board.in_bootloader = True
    await page.get_by_role("button", name="Try again").click()
    await begin(page)
    await done(page)


async def test_a_cable_that_is_pulled_in_the_middle_costs_nothing(computer: Computer, new_board: NewBoard) -> None:
    page, board, newer = computer.page, new_board("esp32s3"), firmware("esp32s3", "two")
    await computer.plug_in(board)
    await flashed(computer, board, firmware("esp32s3"))
    paired(board, "owner")
    before = files(board)
    board.pull_after = 2
    await choose_file(page, newer)
    await begin(page)
    await trouble(
        page,
        "pulled-writing",
        "The cable was pulled while the firmware was written",
        "is not whole now: plug it in and flash it again",
        "its label, phones and networks are elsewhere in its flash, and stay",
    )
    at = board.chip.BOOTLOADER_FLASH_OFFSET
    assert board.flash[at : at + len(newer)] != newer

    await computer.plug_in(board)
    await page.get_by_role("button", name="Try again").click()
    await begin(page)
    await done(page)
    holds(board, newer)
    assert files(board) == before
    await expect(page.get_by_text("It knows 1 phone already")).to_be_visible()


async def test_a_cable_that_is_pulled_after_it_was_erased(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32s3")
    board.pull_after = 1
    await computer.plug_in(board)
    await choose_file(page, firmware("esp32s3"))
    await page.get_by_role("checkbox", name="Make it a new bridge").check()
    await begin(page)
    await page.get_by_role("button", name="Erase it").click()
    await trouble(page, "pulled-erased", "It is neither erased nor whole now", "with “Make it a new bridge” ticked")


async def test_a_cable_that_is_pulled_before_anything_is_written(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c3")
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    board.pull_after = 0
    await begin(computer.page)
    await trouble(computer.page, "pulled", "The board went away", "Nothing was written.")
    untouched(board)


async def test_a_cable_that_is_pulled_when_all_is_written(computer: Computer, new_board: NewBoard) -> None:
    board, image = new_board("esp32c3"), firmware("esp32c3")
    await computer.plug_in(board)
    await choose_file(computer.page, image)
    board.on_start = lambda: computer.goes(board)
    await begin(computer.page)
    await trouble(computer.page, "gone", "The board went away after its start", "Only show the label of a bridge")
    holds(board, image)


async def test_a_chip_of_another_family(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c3")
    board.nonsense = {SECURITY: struct.pack("<HI IB7xII 4x", 24, 0, 0, 0, 0x7777, 0)}
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    await begin(computer.page)
    await trouble(computer.page, "unknown-chip", "none that Speakeasy runs on", "Nothing was written.")
    untouched(board)


async def test_a_chip_that_stops_answering(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c3")
    board.nonsense = {MEM_BEGIN: struct.pack("<HI 4B", 4, 0, 1, 6, 0, 0)}
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    await begin(computer.page)
    await trouble(computer.page, "stopped-answering", "The chip stopped answering", "Nothing was written.")
    untouched(board)


async def test_a_flash_that_does_not_keep_what_is_written_after_it_was_erased(
    computer: Computer, new_board: NewBoard
) -> None:
    board = new_board("esp32c3")
    board.bad_cell = 0x4321
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    await computer.page.get_by_role("checkbox", name="Make it a new bridge").check()
    await begin(computer.page)
    await computer.page.get_by_role("button", name="Erase it").click()
    await trouble(computer.page, "not-written-erased", "Writing failed", "with “Make it a new bridge” ticked")


async def passes(page: Page, *, until: str) -> None:
    """A minute, and another: the page's own limits pass, and the test does not wait for them."""
    shown = page.get_by_text(until).first
    for _ in range(MOST_MINUTES):
        await page.clock.fast_forward(60_000)
        with contextlib.suppress(AssertionError):
            await expect(shown).to_be_visible(timeout=PASSING_MS)
            return
    await expect(shown).to_be_visible()


@pytest.mark.parametrize(
    ("picture", "says", "words"),
    [
        ("silent", None, "The firmware was written, but says nothing"),
        ("not-starting", b"E (68) boot: no bootable app\r\n", "The firmware was written, but does not start"),
    ],
    ids=["silent", "not-starting"],
)
async def test_a_board_that_does_not_start(
    computer: Computer, new_board: NewBoard, picture: str, says: bytes | None, words: str
) -> None:
    page, board, image = computer.page, new_board("esp32c3"), firmware("esp32c3")
    await computer.plug_in(board)
    await choose_file(page, image)
    if says:
        board.app_says = says
    else:
        board.on_start = lambda: setattr(board, "hear", lambda _data: None)
    await page.clock.install()
    await begin(page)
    await expect(page.get_by_text("Waiting for the first start")).to_be_visible(timeout=LONG_MS)
    if says:
        await computer.has_heard(says)
    await passes(page, until=words)
    await trouble(page, picture, words)
    holds(board, image)


async def test_a_board_without_a_label(
    computer: Computer, new_board: NewBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else is on it, which no key interrupts."""
    page, board = computer.page, new_board("esp32c3")
    board.app_says = b"Hello\r\n"
    monkeypatch.setattr(board, "_type", lambda _key: None)
    await computer.plug_in(board)
    await page.clock.install()
    await page.get_by_role("button", name="Only show the label of a bridge").click()
    await passes(page, until="The board does not tell its label")
    await trouble(page, "no-label", "Is Speakeasy on it?")
    untouched(board)


async def test_a_flash_that_does_not_keep_what_is_written(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c3")
    board.bad_cell = 0x4321
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    await begin(computer.page)
    await trouble(
        *(
            computer.page,
            "not-written",
            "Writing failed",
            "(MD5 of file does not match data in flash.)",
            "flash it again",
        )
    )


async def test_a_board_that_was_used_for_something_else(computer: Computer, new_board: NewBoard) -> None:
    board = new_board("esp32c3")
    board.app_says = b"\r\nThe filesystem appears to be corrupted. If you had important data there, you\r\n"
    await computer.plug_in(board)
    await choose_file(computer.page, firmware("esp32c3"))
    await begin(computer.page)
    await trouble(
        *(computer.page, "used-before", "The board was used for something else before"),
        "with “Make it a new bridge” ticked",
    )


async def test_a_port_that_another_program_has(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32c3")
    await computer.plug_in(board)
    computer.busy = True
    await choose_file(page, firmware("esp32c3"))
    await begin(page)
    await trouble(
        *(page, "not-opened", "The board's port could not be opened", "Another program or page uses it", "dialout")
    )
    untouched(board)
    computer.busy = False
    await page.get_by_role("button", name="Try again").click()
    await begin(page)
    await done(page)


async def test_nobody_chooses_a_port_and_the_next_list_is_longer(computer: Computer, new_board: NewBoard) -> None:
    page, board = computer.page, new_board("esp32c3")
    await choose_file(page, firmware("esp32c3"))
    await computer.plug_in(board, {"usbVendorId": 0x1234, "usbProductId": 1})
    await begin(page)
    await trouble(page, "nobody-chosen", "No board was chosen", "a cable that carries data")
    computer.willing = False
    await page.get_by_role("button", name="Try again").click()
    await begin(page)
    await trouble(page, "", "No board was chosen")
    untouched(board)
    computer.willing = True
    await page.get_by_role("button", name="Try again").click()
    await begin(page)
    await done(page)


@pytest.mark.parametrize(
    ("picture", "change", "words"),
    [
        ("not-firmware", lambda image: b"MZ" + image, "That file is no firmware"),
        ("cut", lambda image: image[:-1], "That firmware is not whole"),
        ("part", lambda image: image[APP_AT:], "That file is only a part of a firmware"),
        ("other-chip", lambda image: image[:12] + b"\x10" + image[13:], "for a chip that Speakeasy does not run on"),
    ],
    ids=["another", "cut", "part", "chip"],
)
async def test_a_file_that_is_none(
    computer: Computer, picture: str, change: Callable[[bytes], bytes], words: str
) -> None:
    page = computer.page
    await choose_file(page, firmware("esp32s3"))
    await expect(page.get_by_text("For a board with an ESP32-S3")).to_be_visible()
    await choose_file(page, change(firmware("esp32s3")))
    await trouble(page, picture, words)
    await expect(page.get_by_role("button", name="Choose the board and begin")).to_be_disabled()


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "comes back"])
async def test_a_chip_that_is_a_usb_device_itself(computer: Computer, new_board: NewBoard, stays: bool) -> None:
    """It may go away when it starts, and is another device then."""
    page, board, image = computer.page, new_board("esp32s3"), firmware("esp32s3")
    board.own_usb = True
    await computer.plug_in(board, OWN_USB)
    await choose_file(page, image)
    board.on_start = lambda: None if stays else computer.comes_back(board)
    await begin(page)
    await done(page)
    holds(board, image)
    assert board.fast == 0, "it has no rate that could be changed"
    assert links.credential(await seen(page)).secret == bytes.fromhex(identity(board)["setup"])


async def test_what_is_shown_meanwhile_and_at_the_end(computer: Computer, new_board: NewBoard, address: str) -> None:
    page, board, image = computer.page, new_board("esp32s3"), firmware("esp32s3")
    await computer.plug_in(board)
    await choose_file(page, image)
    await screenshots(page, "flash-begin")
    going_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def held() -> None:
        """A block takes as long as the screenshots."""
        board.on_block = lambda: None
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()

    board.on_block = held
    await begin(page)
    bar = page.get_by_role("progressbar", name="How much is written")
    await expect(bar).to_be_visible(timeout=LONG_MS)
    await expect(page.get_by_role("status")).to_have_text("Writing the firmware.")
    await expect(page.get_by_text("Leave the cable in, and this page open.")).to_be_visible()
    await screenshots(page, "flash-writing")
    async with page.expect_event("dialog") as asked:
        await page.close(run_before_unload=True)
    dialog = await asked.value
    assert dialog.type == "beforeunload", "who closes the page is asked"
    await dialog.dismiss()
    # Nor is it left by Back.
    await page.evaluate(
        "new Promise(moved => { addEventListener('popstate', moved, { once: true }); history.back(); })"
    )
    await page.wait_for_function("history.state?.['speakeasy depth'] === 2")
    await expect(page.get_by_role("status")).to_have_text("Writing the firmware.")
    going_on.set()
    await done(page)
    await expect(page.get_by_text("This code is for the first owner")).to_be_visible()
    await screenshots(page, "flash-label")
    # On paper, the label alone.
    await page.emulate_media(media="print")
    await expect(page.get_by_role("heading", level=1)).to_be_hidden()
    assert links.credential(await seen(page)).secret == bytes.fromhex(identity(board)["setup"])
    width, height = await page.locator("svg.label").evaluate(
        "label => { const box = label.getBoundingClientRect(); return [box.width, box.height]; }"
    )
    assert (round(width / 96 * 25.4), round(height / 96 * 25.4)) == (70, 32), "millimetres"
    await page.emulate_media(media="screen")

    # The code goes to the first minute without being in an address, or in the browser's history.
    await page.get_by_role("button", name="Pair it now").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Find your bridge")
    assert page.url == address
    tab = await page.context.new_cdp_session(page)
    entries = (await tab.send("Page.getNavigationHistory"))["entries"]
    assert {entry["url"] for entry in entries} == {"about:blank", address}
    await page.evaluate("history.back()")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your speaker, for your phones alone")
