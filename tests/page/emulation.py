"""Chromium's Bluetooth on the dorm's air: what a page does by Web Bluetooth happens between Bumble and the bridge.

    page -- Web Bluetooth -- Chromium's emulated adapter -- DevTools protocol -- PhoneRadio -- bleak, Bumble -- the air

Chromium's emulation (BluetoothEmulation on the browser's session, DeviceAccess on the page's) shows us each operation,
and waits for our answer; we do it for real, as `speakeasy --as phone` does, and answer what came of it:

- While the page's chooser is open, and only then, the central scans; a device is in the chooser when it was really
  heard, with the service UUIDs and manufacturer data that it advertised. Names are not: Chromium passes over them.
- Connecting connects, services are those that were discovered, operations end with the bridge's own ATT error code.
- When the connection ends, whoever ended it, it ends for the page, after everything that came before.

Two things the protocol (of Chromium 150 to 156) cannot do are done by the few lines of INIT_SCRIPT, on the browser's
own objects; the page is as it is:

- **Notifications.** Reading a characteristic raises `characteristicvaluechanged` as a notification does. So after
  `startNotifications` the script reads that characteristic over and over, and we let each read wait until there is a
  notification. Value and event are Chromium's own; nothing is shown before `startNotifications` has resolved.
- **The page hangs up.** Chromium does not tell of `gatt.disconnect()`; the script does, and holds back a `connect` that
  comes before we are through with it.

What crashes Chromium or stalls its Bluetooth for good, and so is not done here: a second answer to one chooser; ending
a connection while one of its operations has no answer; an advertisement without `txPower` or
`appearance`.
"""

import asyncio
import base64
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError, BleakGATTProtocolError
from playwright._impl._errors import TargetClosedError
from playwright.async_api import Browser, BrowserContext, CDPSession, Page
from playwright.async_api import Error as BrowserError
from speakeasy.ble_virtual import VirtualClient, VirtualScanner

logger = logging.getLogger(__name__)

# On Linux Web Bluetooth is switched off as it comes ("experimental").
CHROMIUM_ARGUMENTS = ("--enable-blink-features=WebBluetooth",)

_HANG_UP = "__bluetoothHangUp"
INIT_SCRIPT = """(() => {
  const server = BluetoothRemoteGATTServer.prototype, characteristic = BluetoothRemoteGATTCharacteristic.prototype;
  const { connect, disconnect } = server, { startNotifications } = characteristic;
  const listening = new WeakSet();
  let ended;
  async function listen() {
    if (listening.has(this)) return;
    listening.add(this);
    try {
      for (;;) await this.readValue();
    } catch {
      listening.delete(this);
    }
  }
  characteristic.startNotifications = async function () {
    await startNotifications.call(this);
    listen.call(this);
    return this;
  };
  server.disconnect = function () {
    disconnect.call(this);
    ended = window.HANG_UP();
  };
  server.connect = async function () {
    await ended;
    return connect.call(this);
  };
})();""".replace("HANG_UP", _HANG_UP)

WILLING_S = 60.0
CONNECT_S = 5.0  # for one attempt; bridges advertise several times a second
# How often the browser is told of a device that is heard many times a second.
HEARD_EVERY_S = 0.2
# For operations under way to end, or for a page to take its notifications: milliseconds, on a machine that is not busy.
PATIENCE_S = 20.0
# ATT (Core, Vol 3 Part F, 3.4.1.1) and HCI (Vol 1 Part F, 1.3) error codes.
SUCCESS = 0x00
ATT_UNLIKELY = 0x0E
HCI_CONNECTION_TIMEOUT = 0x08
CLIENT_CONFIGURATION = "00002902-0000-1000-8000-00805f9b34fb"

_PROPERTIES = {
    "read": "read",
    "write": "write",
    "write-without-response": "writeWithoutResponse",
    "notify": "notify",
    "indicate": "indicate",
}


@dataclass
class _Connection:
    """One connection of the central's, and what Chromium calls its parts."""

    client: BleakClient
    up: bool = False
    """The page was told that it is connected."""
    page_is_done: bool = False
    """It has hung up, or is gone: it takes no more notifications."""
    characteristics: dict[str, BleakGATTCharacteristic] = field(default_factory=dict)
    """By Chromium's id."""
    subscribed: set[str] = field(default_factory=set)
    values: dict[str, deque[bytes]] = field(default_factory=dict)
    """Notifications that the page has not got yet."""
    listening: set[str] = field(default_factory=set)
    """Whose next notification the page waits for."""


class PhoneRadio:
    """The Bluetooth of one Chromium: `await start()`, then `await attach(page)` for the page that uses it.

    The person at the chooser takes the first device that appears. `patience_s`: when they close it, if none does;
    `unwilling`: they close it at once. `chosen` and `closed` count what they did. SPEAKEASY_AIR must be set.
    """

    def __init__(self, browser: Browser) -> None:
        self.patience_s = WILLING_S
        self.unwilling = False
        self.chosen = 0
        self.closed = 0
        self._browser = browser
        self._cdp: CDPSession
        self._keeper: BrowserContext
        self._page: CDPSession | None = None
        self._heard: dict[str, BLEDevice] = {}
        self._chooser = ""
        self._undecided = ""
        self._looking: asyncio.Task[None] | None = None
        self._connection: _Connection | None = None
        self._address = ""
        self._connecting = False
        self._given_up = False
        self._pending: set[tuple[str, str]] = set()
        self._moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._errors: list[BaseException] = []

    async def start(self) -> None:
        self._cdp = await self._browser.new_browser_cdp_session()
        self._cdp.on("BluetoothEmulation.gattOperationReceived", self._on_gatt)
        self._cdp.on("BluetoothEmulation.characteristicOperationReceived", self._on_characteristic)
        self._cdp.on("BluetoothEmulation.descriptorOperationReceived", self._on_descriptor)
        await self._tell("enable", state="powered-on", leSupported=True)
        await self._keep()

    async def _keep(self) -> None:
        """The emulated adapter goes with the last page that uses Bluetooth: one of ours stays."""
        self._keeper = await self._browser.new_context()
        page = await self._keeper.new_page()
        await page.route("**", lambda route: route.fulfill(content_type="text/html", body=""))
        await page.goto("https://keeper.test/")  # a secure origin, on no network
        await page.evaluate("navigator.bluetooth.getAvailability()")

    async def stop(self) -> None:
        """Ends what is under way. Raises what went wrong in the meantime."""
        await self._leave()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(BrowserError):
            await self._keeper.close()
            await self._cdp.detach()
        self._report()

    def _report(self) -> None:
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    async def reset(self) -> None:
        """As at the start: no page has it, and the person at the chooser is willing."""
        await self._leave()
        self.patience_s, self.unwilling = WILLING_S, False
        self.chosen = self.closed = 0
        await self._tell("setSimulatedCentralState", state="powered-on")
        self._report()

    async def prepare(self, context: BrowserContext) -> None:
        """Once for each context, before its pages are made."""
        await context.expose_function(_HANG_UP, self._hang_up)
        # An insecure page (a bridge's own) has no Bluetooth.
        await context.add_init_script(f"if (navigator.bluetooth) {INIT_SCRIPT}")

    async def attach(self, page: Page) -> None:
        """From now on this page has the radio; another one that had it has not."""
        await self._leave()
        self._page = session = await page.context.new_cdp_session(page)
        session.on("DeviceAccess.deviceRequestPrompted", lambda event: self._on_chooser(session, event))
        session.on("Page.frameNavigated", lambda event: self._on_navigated(session, event))
        page.on("close", lambda _: self._on_left(session))
        page.on("crash", lambda _: self._on_left(session))
        await session.send("DeviceAccess.enable")
        await session.send("Page.enable")

    async def power(self, state: str) -> None:
        """The phone's Bluetooth is "powered-on", "powered-off" or "absent"."""
        if state != "powered-on":
            await self._hang_up()
        await self._tell("setSimulatedCentralState", state=state)

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.client.is_connected

    # -- what both sides are made of --------------------------------------------------------------------------------

    async def _tell(self, method: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._cdp.send(f"BluetoothEmulation.{method}", arguments)
        return answer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A browser that has been closed answers nothing more; all else is a fault of this file. The test would wait for
        # ever: its page goes.
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, TargetClosedError):
            logger.error("the emulated radio", exc_info=error)
            self._errors.append(error)
            if self._page:
                self._spawn(self._close_page(self._page))

    @staticmethod
    async def _close_page(session: CDPSession) -> None:
        with contextlib.suppress(BrowserError):
            await session.send("Page.close")

    # -- the chooser ------------------------------------------------------------------------------------------------

    def _on_chooser(self, session: CDPSession, event: dict[str, Any]) -> None:
        # It comes again whenever the list changes; the first has an empty one.
        if session is not self._page:
            return
        if event["id"] != self._chooser:
            self._stop_looking()
            self._chooser = self._undecided = event["id"]
            self._looking = self._spawn(self._look(session, event["id"]))
        elif event["devices"] and event["id"] == self._undecided:
            self._stop_looking()
            self._spawn(self._choose(session, event["id"], event["devices"][0]["id"]))

    def _stop_looking(self) -> None:
        self._undecided = ""
        if self._looking:
            self._looking.cancel()

    async def _look(self, session: CDPSession, chooser: str) -> None:
        """Scans until somebody is chosen, which cancels it, or until the person has had enough."""
        await self._settled()
        if not self.unwilling:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience_s):
                    await self._scan()
        if self._undecided == chooser:
            self._undecided = ""
            self.closed += 1
            with contextlib.suppress(BrowserError):  # as below
                await session.send("DeviceAccess.cancelPrompt", {"id": chooser})

    async def _scan(self) -> None:
        news: asyncio.Queue[tuple[BLEDevice, AdvertisementData]] = asyncio.Queue()
        told: dict[str, float] = {}
        loop = asyncio.get_running_loop()

        def hear(device: BLEDevice, data: AdvertisementData) -> None:
            news.put_nowait((device, data))

        async with BleakScanner(hear, backend=VirtualScanner):
            while True:
                device, data = await news.get()
                if loop.time() - told.get(device.address, 0.0) >= HEARD_EVERY_S:
                    told[device.address] = loop.time()
                    self._heard[device.address] = device
                    await self._advertise(device.address, data)

    async def _advertise(self, address: str, data: AdvertisementData) -> None:
        record: dict[str, Any] = {
            "uuids": data.service_uuids,
            "txPower": data.tx_power or 0,
            "appearance": 0,
            "manufacturerData": [
                {"key": company, "data": base64.b64encode(value).decode()}
                for company, value in data.manufacturer_data.items()
            ],
        }
        if data.local_name:
            record["name"] = data.local_name
        entry = {"deviceAddress": address, "rssi": data.rssi, "scanRecord": record}
        await self._tell("simulateAdvertisement", entry=entry)

    async def _choose(self, session: CDPSession, chooser: str, device: str) -> None:
        self.chosen += 1
        with contextlib.suppress(BrowserError):  # the page is left, and its chooser gone
            await session.send("DeviceAccess.selectPrompt", {"id": chooser, "deviceId": device})

    # -- connecting -------------------------------------------------------------------------------------------------

    def _on_gatt(self, event: dict[str, Any]) -> None:
        self._pending.add(("", event["type"]))
        work = self._connect if event["type"] == "connection" else self._discover
        self._spawn(work(event["address"]))

    async def _connect(self, address: str) -> None:
        self._stop_looking()
        if self._looking:
            await asyncio.wait([self._looking])
        await self._settled()
        client = BleakClient(
            self._heard[address], lambda _: self._on_disconnected(connection), timeout=CONNECT_S, backend=VirtualClient
        )
        connection = _Connection(client)
        self._connecting, self._given_up = True, False
        try:
            await client.connect()
            if self._given_up:
                await client.disconnect()
            connection.up = client.is_connected
        except (BleakError, TimeoutError, OSError):
            pass
        except asyncio.CancelledError:
            # Bumble cancels what is under way when a connection goes.
            if (task := asyncio.current_task()) and task.cancelling():
                raise
        finally:
            self._connecting = False
        if connection.up:
            self._connection, self._address = connection, address
        await self._answer_gatt(address, "connection", connection.up)

    async def _discover(self, address: str) -> None:
        if connection := self._connection:
            for service in connection.client.services:
                added = await self._tell("addService", address=address, serviceUuid=service.uuid)
                for characteristic in service.characteristics:
                    await self._add(connection, added["serviceId"], characteristic)
        await self._answer_gatt(address, "discovery", connection is not None)

    async def _answer_gatt(self, address: str, kind: str, good: bool) -> None:
        code = SUCCESS if good else HCI_CONNECTION_TIMEOUT
        try:
            await self._tell("simulateGATTOperationResponse", address=address, type=kind, code=code)
        finally:
            self._pending.discard(("", kind))
            await self._move()

    async def _add(self, connection: _Connection, service: str, characteristic: BleakGATTCharacteristic) -> None:
        names = {ours: True for bleaks, ours in _PROPERTIES.items() if bleaks in characteristic.properties}
        added = await self._tell(
            "addCharacteristic", serviceId=service, characteristicUuid=characteristic.uuid, properties=names
        )
        identifier = added["characteristicId"]
        connection.characteristics[identifier] = characteristic
        connection.values[identifier] = deque()
        if names.keys() & {"notify", "indicate"}:
            await self._tell("addDescriptor", characteristicId=identifier, descriptorUuid=CLIENT_CONFIGURATION)

    # -- operations -------------------------------------------------------------------------------------------------

    def _on_characteristic(self, event: dict[str, Any]) -> None:
        connection, identifier, kind = self._connection, event["characteristicId"], event["type"]
        self._pending.add((identifier, kind))
        characteristic = connection.characteristics.get(identifier) if connection else None
        if connection is None or characteristic is None:
            self._spawn(self._answer(identifier, kind, ATT_UNLIKELY))
        elif kind == "read" and identifier in connection.subscribed and "read" not in characteristic.properties:
            connection.listening.add(identifier)
            self._deliver(connection, identifier)
            self._spawn(self._move())
        else:
            self._spawn(self._operate(connection, identifier, kind, event))

    def _on_descriptor(self, event: dict[str, Any]) -> None:
        arguments = {"descriptorId": event["descriptorId"], "type": event["type"], "code": ATT_UNLIKELY}
        self._spawn(self._refuse_descriptor(arguments))

    async def _refuse_descriptor(self, arguments: dict[str, Any]) -> None:
        await self._tell("simulateDescriptorOperationResponse", **arguments)

    async def _operate(self, connection: _Connection, identifier: str, kind: str, event: dict[str, Any]) -> None:
        client, characteristic = connection.client, connection.characteristics[identifier]
        code, data = SUCCESS, None
        try:
            if kind == "read":
                data = bytes(await client.read_gatt_char(characteristic))
            elif kind == "write":
                with_response = event["writeType"] != "write-without-response"
                await client.write_gatt_char(characteristic, base64.b64decode(event["data"]), response=with_response)
            elif kind == "subscribe-to-notifications":
                await client.start_notify(
                    characteristic, lambda _, value: self._on_value(connection, identifier, bytes(value))
                )
                connection.subscribed.add(identifier)
            else:
                await client.stop_notify(characteristic)
                connection.subscribed.discard(identifier)
                connection.values[identifier].clear()
        except BleakGATTProtocolError as error:
            code = error.code
        except (BleakError, TimeoutError, OSError):
            code = ATT_UNLIKELY
        except Exception:
            # Whatever bleak and Bumble make of a connection that ends just now.
            if client.is_connected:
                raise
            code = ATT_UNLIKELY
        await self._answer(identifier, kind, code, data)

    async def _answer(self, identifier: str, kind: str, code: int, data: bytes | None = None) -> None:
        arguments: dict[str, Any] = {"characteristicId": identifier, "type": kind, "code": code}
        if data is not None:
            arguments["data"] = base64.b64encode(data).decode()
        try:
            await self._tell("simulateCharacteristicOperationResponse", **arguments)
        except BrowserError:
            # Asked for as the connection ended: nobody waits for the answer.
            if self._connection and identifier in self._connection.characteristics:
                raise
        finally:
            self._pending.discard((identifier, kind))
            await self._move()

    def _on_value(self, connection: _Connection, identifier: str, value: bytes) -> None:
        connection.values[identifier].append(value)
        self._deliver(connection, identifier)

    def _deliver(self, connection: _Connection, identifier: str) -> None:
        """One value for one read of the page: in order, and none twice."""
        if identifier in connection.listening and connection.values[identifier]:
            connection.listening.discard(identifier)
            self._spawn(self._answer(identifier, "read", SUCCESS, connection.values[identifier].popleft()))

    # -- the end of a connection ------------------------------------------------------------------------------------

    def _on_disconnected(self, connection: _Connection) -> None:
        """The bridge has hung up, or is out of range."""
        if self._connection is connection and not self._ending:
            self._ending = self._spawn(self._end(connection))

    def _on_navigated(self, session: CDPSession, event: dict[str, Any]) -> None:
        if not event["frame"].get("parentId"):
            self._on_left(session)

    def _on_left(self, session: CDPSession) -> None:
        """The page that had the radio is gone, and its connection with it."""
        if session is self._page:
            self._stop_looking()
            self._spawn(self._hang_up())

    async def _leave(self) -> None:
        self._stop_looking()
        await self._hang_up()
        session, self._page = self._page, None
        if session:
            with contextlib.suppress(BrowserError):
                await session.detach()

    async def _hang_up(self) -> None:
        """The phone ends the connection, or one that is coming about."""
        self._given_up = True
        if connection := self._connection:
            connection.page_is_done = True
            await self._move()
            if self._connection is connection and not self._ending:
                self._ending = self._spawn(self._end(connection))
        await self._until(lambda: not self._connecting)
        await self._settled()

    async def _settled(self) -> None:
        if self._ending:
            await asyncio.wait([self._ending])

    async def _end(self, connection: _Connection) -> None:
        try:
            await self._until(lambda: connection.page_is_done or self._has_all(connection))
            with contextlib.suppress(BleakError, OSError):  # it was gone
                await connection.client.disconnect()
            self._connection = None  # what comes from now on is refused at once
            for identifier in list(connection.listening):
                connection.listening.discard(identifier)
                await self._answer(identifier, "read", ATT_UNLIKELY)
            await self._until(lambda: not self._pending)
            await self._tell("simulateGATTDisconnection", address=self._address)
        finally:
            self._connection = None
            self._ending = None

    @staticmethod
    def _has_all(connection: _Connection) -> bool:
        """The page has every notification, and waits for the next one."""
        return not any(connection.values.values()) and connection.subscribed <= connection.listening

    async def _move(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _until(self, condition: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S), self._moved:
                await self._moved.wait_for(condition)
