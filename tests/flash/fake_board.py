"""An ESP32 board that is not there: the bootloader in the chip's ROM, esptool's own in its RAM, flash, the two
transistors that let DTR and RTS reset it, and the firmware, which is the real one, on the SIM board's interpreter.

It is reached as boards on other machines are, by RFC 2217: that, unlike a pseudo-terminal, has DTR and RTS. Or by a
cable of the test's own: `hear`, `receive`, `signals` and `lines.baudrate`.
The commands are those of Espressif's "Serial Protocol"; addresses of registers come from esptool's tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esptool.targets import CHIP_DEFS
from serial.rfc2217 import PortManager
from serial.tools.list_ports_common import ListPortInfo

TOP = Path(__file__).resolve().parents[2]
SIM = Path(os.environ.get("SPEAKEASY_SIM", TOP / "build/sim/speakeasy-sim"))
SECTOR = 0x1000
SPI_RUN = 1 << 18  # of the SPI controller's command register
READ_ID = 0x9F
CONSOLE_BAUD = 115200
SIM_RESET = 3  # exit status of the SIM board: machine.reset()
WAIT_S = 120.0
QUIET_S = 2.0  # nothing more is sent: a chip that is a USB device itself is another one by then

SYNC, READ_REG, WRITE_REG, SPI_PARAMS, SPI_ATTACH, SET_BAUD, MD5, SECURITY = (
    0x08,
    0x0A,
    0x09,
    0x0B,
    0x0D,
    0x0F,
    0x13,
    0x14,
)
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
DEFL_BEGIN, DEFL_DATA, DEFL_END = 0x10, 0x11, 0x12
ERASE_FLASH = 0xD0


def usb(device: str, location: str | None = None, serial_number: str | None = None, vid: int = 0x303A) -> ListPortInfo:
    """What pyserial knows of a USB port."""
    port = ListPortInfo(device)
    port.vid, port.location, port.serial_number = vid, location, serial_number
    return port


class Lines:
    """The serial settings, as PortManager sets them; `changed` is told of DTR and RTS."""

    bytesize, parity, stopbits, xonxoff, rtscts, break_condition = 8, "N", 1, False, False, False
    cts = dsr = ri = cd = False

    def __init__(self, changed: Callable[[bool, bool], None]) -> None:
        self.baudrate = CONSOLE_BAUD
        self._dtr = self._rts = False
        self._changed = changed

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._dtr = on
        self._changed(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self._changed(self._dtr, self._rts)

    def change(self, dtr: bool, rts: bool) -> None:
        self._dtr, self._rts = dtr, rts
        self._changed(dtr, rts)

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


class FakeBoard:
    """`chip`: esptool's name; `flash`: bytes; `files`: what is on its file system, a directory."""

    def __init__(self, chip: str, flash_size: int, files: Path) -> None:
        self.chip: Any = CHIP_DEFS[chip]
        self.flash = bytearray(b"\xff" * flash_size)
        self.files = files
        files.mkdir(exist_ok=True)
        self.writes = 0  # commands that changed the flash
        self.starts = 0  # of what is on it
        self.erased = 0
        self.fast = 0  # the highest rate that was asked for
        self.in_bootloader = True  # whether BOOT and RESET lead there
        self.locked = False  # secure download mode
        self.bad_cell: int | None = None  # of the flash: stays what it is
        self.app_says: bytes | None = None  # instead of what the firmware says
        self.flash_id: int | None = None  # instead of that of a flash of this size
        self.pull_after: int | None = None  # blocks of data that are written, and the cable is pulled
        self.nonsense: dict[int, bytes] = {}  # a command -> what it is answered, instead of an answer
        self.on_code: Callable[[], None] = lambda: None  # typed at the prompt, before it is run
        self.on_block: Callable[[], None] = lambda: None  # of data, before it is answered
        self.stays_out = False  # for then: until plug_in
        self.hear: Callable[[bytes], None] | None = None  # what is said, on a cable of the test's own
        self.own_usb = False  # as its lines go
        self._before, self._to_loader = (False, False), False
        self.on_start: Callable[[], None] = lambda: None  # of what is on the flash, before it says anything
        self.usb: Path | None = None  # a list of USB ports, with this one: it is another one after each start
        self._leaving = False  # as soon as nothing more is sent
        self._registers: dict[int, int] = {}
        self._lock = threading.RLock()
        self._state = "off"
        self._begin()
        self.lines = Lines(self._lines_changed)
        self._held = False
        self._app: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self.plug_in()

    def plug_in(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}?timeout={WAIT_S:.0f}"
        if self.usb:
            facts = {"device": self.port, "vid": 0x303A, "location": "1-2:1.0", "serial_number": None}
            self._list(facts)
        threading.Thread(target=self._serve, args=(self._server,), daemon=True).start()

    def _list(self, *ports: dict[str, object]) -> None:
        assert self.usb
        new = self.usb.with_suffix(".new")
        new.write_text(json.dumps(ports))
        new.replace(self.usb)

    def on_usb(self, ports: Path) -> None:
        """Is a USB device itself from now on, listed in that file."""
        self.usb = ports
        self._server.close()
        self.plug_in()

    def power_on(self) -> None:
        """Starts what is on the flash."""
        with self._lock:
            self._start(download=False)

    def close(self) -> None:
        with self._lock:
            self._stop_app()
            self._state = "off"
        self._server.close()

    # ---- the cable ----

    def _serve(self, server: socket.socket) -> None:
        while not self._leaving:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connection = connection
                manager = PortManager(self.lines, self)
            with connection:
                try:
                    while data := connection.recv(65536):
                        with self._lock:
                            self._receive(b"".join(manager.filter(data)))
                        connection.settimeout(QUIET_S if self._leaving else None)
                        if self.pull_after == 0:
                            self.pull_after = None
                            if self.stays_out:
                                server.close()
                            connection.shutdown(socket.SHUT_RDWR)
                            break
                except OSError:
                    pass
            with self._lock:
                self._connection = None
        # It goes away, and comes back as another.
        self._leaving = False
        self._list()
        server.close()
        self.plug_in()

    def write(self, data: bytes) -> None:
        """PortManager's, and ours: to whoever is at the other end, if anybody is."""
        with self._lock:
            if self.hear:
                self.hear(data)
            elif self._connection:
                try:
                    self._connection.sendall(data)
                except OSError:
                    pass

    def _say(self, data: bytes, baud: int) -> None:
        if self._leaving:
            return  # there is no port to say it on
        wrong = self.lines.baudrate != baud
        data = b"\x80" * len(data) if wrong else data
        self.write(data if self.hear else data.replace(b"\xff", b"\xff\xff"))

    def receive(self, data: bytes) -> None:
        """From the test's own cable."""
        with self._lock:
            self._receive(data)

    def signals(self, *, dtr: bool | None = None, rts: bool | None = None) -> None:
        """The same, as Linux sets them: at once those that go on, then those that go off."""
        with self._lock:
            for on in (True, False):
                self.lines.change(on if dtr is on else self.lines.dtr, on if rts is on else self.lines.rts)

    def _lines_changed(self, dtr: bool, rts: bool) -> None:
        """EN is low with RTS alone, IO0 with DTR alone: two transistors, so that both or none do nothing. A capacitor
        lets EN rise later than the lines change: with both, the next change decides. A chip that is a USB device itself
        takes DTR alone for where the next reset leads to, and RTS alone for the reset (ESP32-S3's Technical Reference
        Manual, USB Serial/JTAG Controller)."""
        if self.own_usb:
            before, self._before = self._before, (dtr, rts)
            if not rts:
                self._to_loader = dtr
            elif not dtr and before != (dtr, rts):
                self._stop_app()
                self._start(download=self._to_loader)
            return
        if rts and not dtr:
            self._stop_app()
            self._state, self._held = "off", True
        elif self._held and not rts:
            self._held = False
            self._start(download=dtr)

    # ---- the chip ----

    def _start(self, *, download: bool) -> None:
        self._begin()
        self._baud = CONSOLE_BAUD
        if download and self.in_bootloader:
            self._state = "rom"
            self._say(b"\r\nrst:0x1 (POWERON),boot:0x3 (DOWNLOAD(USB/UART0))\r\nwaiting for download\r\n", CONSOLE_BAUD)
            return
        self._state = "app"
        self.starts += 1
        self.on_start()
        self._leaving = self.usb is not None
        self._say(b"\r\nrst:0x1 (POWERON),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", CONSOLE_BAUD)
        if self.app_says is not None:
            self._say(self.app_says, CONSOLE_BAUD)
        elif self.flash[self.chip.BOOTLOADER_FLASH_OFFSET] != 0xE9:
            self._say(b"invalid header: 0xffffffff\r\n" * 3, CONSOLE_BAUD)
        else:
            self._boot()

    def _begin(self) -> None:
        self._packet: bytearray | None = None
        self._synced = self._stub = False
        self._baud = CONSOLE_BAUD
        self._at = 0
        self._inflate: Any = None
        self._typed = b""
        self._raw = False

    def _receive(self, data: bytes) -> None:
        if self._state == "rom" and not self._synced:
            self._baud = self.lines.baudrate  # the ROM's loader measures it
        if self.lines.baudrate != self._baud:
            return  # noise
        for byte in data:
            if self._state == "app":
                self._type(bytes((byte,)))
            elif self._state == "rom":
                self._slip(byte)

    def _slip(self, byte: int) -> None:
        if byte == 0xC0:
            if self._packet:
                packet = bytes(self._packet).replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                self._packet = None
                self._command(packet)
            else:
                self._packet = bytearray()
        elif self._packet is not None:
            self._packet.append(byte)

    def _send(self, packet: bytes) -> None:
        self._say(b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0", self._baud)

    def _answer(self, op: int, payload: bytes = b"", value: int = 0, status: bytes = b"\0\0") -> None:
        data = payload + status + (b"" if self._stub else b"\0\0")
        self._send(struct.pack("<BBHI", 1, op, len(data), value) + data)

    def _command(self, packet: bytes) -> None:
        if len(packet) < 8:
            return
        _direction, op, _length, check = struct.unpack("<BBHI", packet[:8])
        body = packet[8:]
        if op in self.nonsense:
            self._send(struct.pack("<BB", 1, op) + self.nonsense[op])
            return
        handler = self._handlers().get(op)
        if handler is None or (self.locked and op in (READ_REG, WRITE_REG, MEM_BEGIN)):
            self._answer(0, status=b"\x01\x05")
            return
        if op in (FLASH_DATA, DEFL_DATA, MEM_DATA):
            sums = 0xEF
            for byte in body[16:]:
                sums ^= byte
            if sums != check:
                self._answer(op, status=b"\x01\x07")
                return
        handler(op, body)

    def _handlers(self) -> dict[int, Callable[[int, bytes], None]]:
        known: dict[int, Callable[[int, bytes], None]] = {
            SYNC: self._sync,
            READ_REG: lambda op, body: self._answer(op, value=self._register(*struct.unpack("<I", body))),
            WRITE_REG: self._write_register,
            SPI_PARAMS: lambda op, _body: self._answer(op),
            SPI_ATTACH: lambda op, _body: self._answer(op),
            MEM_BEGIN: lambda op, _body: self._answer(op),
            MEM_DATA: lambda op, _body: self._answer(op),
            MEM_END: self._run_stub,
            SET_BAUD: self._set_baud,
            FLASH_BEGIN: self._flash_begin,
            FLASH_DATA: self._flash_data,
            FLASH_END: lambda op, _body: self._answer(op),
            DEFL_BEGIN: self._flash_begin,
            DEFL_DATA: self._flash_data,
            DEFL_END: lambda op, _body: self._answer(op),
            MD5: self._md5,
        }
        if self._stub:
            known[ERASE_FLASH] = self._erase
        if not self.chip.USES_MAGIC_VALUE:
            known[SECURITY] = self._security
        return known

    def _sync(self, op: int, _body: bytes) -> None:
        self._synced = True
        for _ in range(8):
            self._answer(op, value=0 if self._stub else 0x20120707)

    def _security(self, op: int, _body: bytes) -> None:
        flags = (1 << 2) if self.locked else 0
        self._answer(op, struct.pack("<IB7xII", flags, 0, self.chip.IMAGE_CHIP_ID, 0))

    def _register(self, address: int) -> int:
        if address == self.chip.CHIP_DETECT_MAGIC_REG_ADDR and self.chip.USES_MAGIC_VALUE:
            return int(self.chip.MAGIC_VALUE)
        return self._registers.get(address, 0)

    def _write_register(self, op: int, body: bytes) -> None:
        address, value, mask, _delay = struct.unpack("<IIII", body[:16])
        self._registers[address] = (self._registers.get(address, 0) & ~mask) | (value & mask)
        base = self.chip.SPI_REG_BASE
        if address == base and value & SPI_RUN:
            command = self._registers.get(base + self.chip.SPI_USR2_OFFS, 0) & 0xFF
            # A Winbond W25Q of this size.
            size = len(self.flash).bit_length() - 1
            known = size << 16 | 0x40EF if self.flash_id is None else self.flash_id
            self._registers[base + self.chip.SPI_W0_OFFS] = known if command == READ_ID else 0
            self._registers[base] = 0
        self._answer(op)

    def _run_stub(self, op: int, body: bytes) -> None:
        stays = struct.unpack("<I", body[:4])[0]
        self._answer(op)
        if not stays:
            self._stub = True
            self._send(b"OHAI")

    def _set_baud(self, op: int, body: bytes) -> None:
        self._answer(op)
        self._baud = struct.unpack("<I", body[:4])[0]
        self.fast = max(self.fast, self._baud)

    def _flash_begin(self, op: int, body: bytes) -> None:
        size, _blocks, _length, self._at = struct.unpack("<IIII", body[:16])
        self.writes += 1
        end = -(-(self._at + size) // SECTOR) * SECTOR
        start = self._at // SECTOR * SECTOR
        self.flash[start:end] = b"\xff" * (end - start)
        self._inflate = zlib.decompressobj() if op == DEFL_BEGIN else None
        self._answer(op)

    def _flash_data(self, op: int, body: bytes) -> None:
        length = struct.unpack("<I", body[:4])[0]
        data = body[16 : 16 + length]
        if self._inflate:
            data = self._inflate.decompress(data)
        self.flash[self._at : self._at + len(data)] = data
        self._at += len(data)
        if self.bad_cell is not None:
            self.flash[self.bad_cell] = 0xA5
        self.on_block()
        if self.pull_after:
            self.pull_after -= 1
        self._answer(op)

    def _md5(self, op: int, body: bytes) -> None:
        start, size = struct.unpack("<II", body[:8])
        digest = hashlib.md5(self.flash[start : start + size])
        self._answer(op, digest.digest() if self._stub else digest.hexdigest().encode())

    def _erase(self, op: int, _body: bytes) -> None:
        self.writes += 1
        self.erased += 1
        self.flash[:] = b"\xff" * len(self.flash)
        shutil.rmtree(self.files)
        self.files.mkdir()
        self._answer(op)

    # ---- the firmware on it ----

    def _stop_app(self) -> bool:
        app, self._app = self._app, None
        if app is None:
            return False
        app.send_signal(signal.SIGKILL)
        app.wait()
        return True

    def _boot(self) -> None:
        argv = [str(SIM), "-m", "_boot", "main"]
        environment = {"PATH": "/usr/bin:/bin"}
        app = subprocess.Popen(
            argv,
            cwd=self.files,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._app = app
        threading.Thread(target=self._relay, args=(app,), daemon=True).start()

    def _relay(self, app: subprocess.Popen[bytes]) -> None:
        assert app.stdout
        for line in app.stdout:
            with self._lock:
                if self._app is app:
                    self._say(line.replace(b"\n", b"\r\n"), CONSOLE_BAUD)
        app.wait()

    def _type(self, key: bytes) -> None:
        """MicroPython's prompt, the friendly and the raw one (docs/reference/repl.rst)."""
        if key == b"\x03":
            self._stop_app()
            self._say(b"\r\nKeyboardInterrupt: \r\n>>> " if not self._raw else b"", CONSOLE_BAUD)
            self._typed = b""
        elif self._app is not None:
            pass  # nobody reads
        elif key == b"\x01":  # also of \x05A\x01, raw paste mode: an older MicroPython answers that so
            self._raw, self._typed = True, b""
            self._say(b"raw REPL; CTRL-B to exit\r\n>", CONSOLE_BAUD)
        elif key == b"\x02":
            self._raw = False
            self._say(b"\r\nMicroPython\r\n>>> ", CONSOLE_BAUD)
        elif self._raw and key == b"\x04":
            code, self._typed = self._typed, b""
            self._run(code)
        elif self._raw:
            self._typed += key

    def _run(self, code: bytes) -> None:
        self._say(b"OK", CONSOLE_BAUD)
        self.on_code()
        argv = [str(SIM), "-c", code.decode()]
        done = subprocess.run(argv, cwd=self.files, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
        if done.returncode == SIM_RESET:
            self._start(download=False)
            return
        said, failed = (text.replace(b"\n", b"\r\n") for text in (done.stdout, done.stderr))
        self._say(said + b"\x04" + failed + b"\x04>", CONSOLE_BAUD)


def paired(board: FakeBoard, *roles: str) -> None:
    """Phones on the bridge, as the firmware itself keeps them."""
    phones = [
        {"id": f"{n:016x}", "name": f"phone {n}", "role": role, "key": f"{n:064x}"} for n, role in enumerate(roles, 1)
    ]
    code = (
        "from speakeasy import identity, settings; from speakeasy.files import Files; f = Files(); "
        f"settings.Settings(f, identity.load(f).bridge_id).change(phones={phones!r})"
    )
    subprocess.run([SIM, "-c", code], cwd=board.files, check=True)
