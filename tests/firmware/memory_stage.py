# The whole firmware in a heap of a known size: boot, pairing, sixteen phones. What the board QEMU_RV32 lacks (radios,
# pins, sockets) is stood in for by as little as will do; what that takes is counted, and so are the phone's own keys.
import asyncio
import gc
import io
import json
import sys

import network

# What the real aioble takes once it is imported (of MicroPython 1.27: core, device, peripheral, server), as it was
# measured on this board, read from ROM.
_AIOBLE = 7360

SPEAKER_MAC = b"\x02\0\0\0\x42\x20"


class Radio:
    """Both Wi-Fi interfaces: a network that lets everybody in, and a speaker that is there."""

    IF_STA, IF_AP = 0, 1
    SEC_WPA2_WPA3 = 7

    def __init__(self, interface):
        self.interface = interface
        self.joined = False

    def active(self, *on):
        return True

    def config(self, *what, **settings):
        return bytes((2, 0, 0, 0, 0x42, 0x10 + self.interface)) if what else None

    def connect(self, *network):
        self.joined = True

    def disconnect(self):
        self.joined = False

    def isconnected(self):
        return self.joined

    def scan(self):
        return []

    def status(self, *what):
        if what == ("stations",):
            return [(SPEAKER_MAC,)]
        return -50 if what else 1010

    def ipconfig(self, *what, **settings):
        return ("10.66.0.100", "255.255.252.0") if what == ("addr4",) else "10.66.0.1"


class Pin:
    IN, OUT, PULL_UP, IRQ_FALLING, IRQ_RISING = 1, 3, 2, 2, 1

    def __init__(self, *arguments):
        pass

    def irq(self, *arguments):
        pass

    def value(self, *level):
        return 1


class Socket(io.IOBase):
    """Nobody ever comes to it."""

    AF_INET, SOCK_STREAM, SOCK_DGRAM, SOL_SOCKET, SO_REUSEADDR = 2, 1, 2, 0xFFF, 4

    def ioctl(self, request, argument):
        return 0

    def getaddrinfo(self, host, port, *more):
        return [(2, 1, 0, "", (host, port))]

    def socket(self, *kind):
        return Socket()

    def setblocking(self, flag):
        pass

    setsockopt = bind = listen = lambda self, *arguments: None

    def recvfrom(self, size):
        raise OSError(11)  # EAGAIN


class Connection:
    _conn_handle = 1
    mtu = 185
    up = True

    def __init__(self):
        self.heard = []

    def is_connected(self):
        return self.up

    async def disconnected(self):
        while self.up:
            await asyncio.sleep_ms(100)

    async def disconnect(self):
        self.up = False


class Characteristic:
    _value_handle = 7
    value = b""

    def __init__(self, *arguments, **settings):
        pass

    def write(self, data):
        pass

    def read(self):
        return self.value

    def notify(self, connection, data):
        connection.heard.append(bytes(data))


class Bluetooth:
    """The module `aioble`. One phone comes when the test says so."""

    BufferedCharacteristic = Characteristic = Service = Characteristic

    def __init__(self):
        self.core = self.ble = self
        self.comes = asyncio.Event()

    def irq(self, handler):
        self.report = handler

    def ble_irq(self, event, data):
        return None

    def register_services(self, service):
        pass

    def gap_advertise(self, interval):
        pass

    def stop(self):
        pass

    async def advertise(self, *arguments, **settings):
        await self.comes.wait()
        self.comes.clear()
        self.connection = Connection()
        self.report(1, (1, 0, bytes(6)))
        return self.connection


def alive():
    """Bytes of the heap that somebody refers to."""
    gc.collect()
    return gc.mem_alloc()


class Bridge:
    """The firmware as `app.main` makes it, but for what is not on this board. `kib`: all the heap that there is."""

    def __init__(self, kib):
        gc.collect()
        self.tests_own = gc.mem_alloc()
        self.peak = 0
        self.ballast = bytearray(gc.mem_free() - 1024 * kib)
        self.tests_own += len(self.ballast)
        self.aioble = bytearray(_AIOBLE)
        self.bluetooth = Bluetooth()
        network.WLAN = Radio
        network.ipconfig = lambda what: "10.66.0.1"
        sys.modules["aioble"] = self.bluetooth
        sys.modules["socket"] = Socket()
        import frames
        import machine

        machine.Pin = Pin
        frames.plug()
        from speakeasy import app

        self.app = app
        make = app.Operations

        def operations(*arguments):
            self.me, self.settings, self.phones, self.policy, self.uplink, *_ = arguments
            return make(*arguments)

        app.Operations = operations

    def look(self):
        """Bytes of the heap that the firmware has now; remembers the most that there were."""
        now = alive() - self.tests_own
        self.peak = max(self.peak, now)
        return now

    async def boot(self):
        """From power on to the uplink's network."""
        self.task = asyncio.create_task(self.app.main())
        await asyncio.sleep(1)
        self.settings.remember_network("A dormitory's network", "password")
        while self.uplink.state != "up":
            await asyncio.sleep(1)
        await asyncio.sleep(5)

    async def session(self, mode, key_id, secret):
        """A phone comes by Bluetooth and proves itself. Returns it, to be asked."""
        before = alive()
        from stage import Phone

        self.tests_own += alive() - before
        phone = Phone(mode, key_id, secret)
        phone.bridge = self
        phone.number = 0
        self.bluetooth.comes.set()
        while self.bluetooth.comes.is_set():
            await asyncio.sleep_ms(100)
        await asyncio.sleep_ms(500)
        self._send(phone.hello)
        challenge = await self._hear()
        self.look()
        self._send(await phone.prove(challenge))
        assert await self._hear() == phone.accept
        phone.inward.open(await self._hear())
        self.look()
        return phone

    async def ask(self, phone, op, **rest):
        phone.number += 1
        rest["op"] = op
        rest["id"] = phone.number
        self._send(phone.outward.seal(json.dumps(rest).encode()))
        answer = json.loads(phone.inward.open(await self._hear()))
        self.look()
        assert answer["ok"], answer
        return answer

    async def leave(self):
        self.bluetooth.connection.up = False
        await asyncio.sleep(3)

    def _send(self, message):
        from speakeasy import session

        for fragment in session.fragments(message, Connection.mtu):
            Characteristic.value = fragment
            self.bluetooth.report(3, (1, Characteristic._value_handle))

    async def _hear(self):
        from speakeasy import session

        whole = session.Reassembler()
        while True:
            heard = self.bluetooth.connection.heard
            while not heard:
                await asyncio.sleep_ms(20)
            message = whole.feed(heard.pop(0))
            if message is not None:
                return message


async def life(kib):
    """A bridge's first day in a heap of `kib` KiB. Bytes that were alive after boot, at most while pairing, and at most
    in an owner's session when sixteen phones are leased and the log is full."""
    bridge = Bridge(kib)
    from speakeasy import eventlog
    from speakeasy.settings import MAX_PHONES, OWNER

    await bridge.boot()
    booted = bridge.look()
    phone = await bridge.session(1, bytes(8), bridge.me.setup_code)
    enrolled = await bridge.ask(phone, "enrol", name="The owner's own telephone")
    await bridge.ask(phone, "confirm")
    await bridge.leave()
    pairing = bridge.peak
    while len(bridge.phones.all()) < MAX_PHONES:
        bridge.phones.add(bridge.phones.draft("A phone with a name of 30 bytes", OWNER))
    for number, one in enumerate(bridge.phones.all()):
        bridge.policy.grant(one["id"], bytes((10, 70, 0, number + 1)), 40_000)
    for number in range(eventlog.LINES):
        eventlog.log("test", "a line of the usual length, number %d, about this or that of the bridge" % number)
    bridge.peak = 0
    phone = await bridge.session(2, bytes.fromhex(enrolled["phone"]), bytes.fromhex(enrolled["key"]))
    for op in ("status", "phones", "log"):
        page = 0
        while (await bridge.ask(phone, op, page=page)).get("more"):
            page += 1
    await bridge.leave()
    return booted, pairing, bridge.peak
