"""The bridge's Bluetooth chip: a Bumble host and GATT server, driven over a Unix socket by the SIM board's `bluetooth`.

On the wire: one JSON object a line, byte strings in hex.

board to chip: {"id": n, "op": name, ...} -> {"id": n, "ok": value} or {"id": n, "errno": number}
chip to board: {"event": name, "conn": handle, ...}; those with "re": n want {"re": n, ...} back:
  read (handle)        -> {"re": n, "data": hex} or {"re": n, "error": ATT error code}
  write (handle, data) -> {"re": n} or {"re": n, "error": ATT error code}
The attribute values live on the board, as they do in MicroPython; the chip only asks. Error numbers and their causes
are those of MicroPython's NimBLE binding.
"""

import asyncio
import contextlib
import errno
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bumble import att, core, gatt, hci, utils
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.gatt_server import Server
from bumble.host import Host
from bumble.keys import PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink

from dorm.bluetooth_radio import Radio, RadioController

logger = logging.getLogger(__name__)

# MicroPython's NimBLE defaults (extmod/nimble/syscfg.h, mynewt-nimble).
DEFAULT_NAME = b"MPY NIMBLE"
DEFAULT_MTU = 256
MTU_MIN, MTU_MAX = 23, 527
ADVERTISING_DATA_MAX = 31
# BLE_HS_EMSGSIZE etc. that the binding hands on with their sign turned: advertising data that does not fit.
ERRNO_ADVERTISING_DATA = -18
# NimBLE's own status of an indication that nobody confirmed, and of one whose connection went.
HS_ETIMEOUT, HS_ENOTCONN = 13, 7
# So many parts of a long write NimBLE has buffers for (MYNEWT_VAL_MSYS_1_BLOCK_COUNT).
PREPARED_WRITES_MAX = 12
LINE_LIMIT = 65536
# How long the board may take to answer a read or a write; a central gives up after as long (Core, Vol 3 Part F 3.3.3).
BOARD_ANSWER_S = 30.0
ATT_HEADER = 3
# The stack's own reads of a value are nobody's (BLE_HS_CONN_HANDLE_NONE).
NO_CONNECTION = 0xFFFF

FLAG_READ, FLAG_WRITE_NO_RESPONSE, FLAG_WRITE = 0x0002, 0x0004, 0x0008
# Authorisation (0x0800, 0x4000) is a flag that NimBLE takes and never asks about.
FLAG_READ_ENCRYPTED, FLAG_READ_AUTHENTICATED = 0x0200, 0x0400
FLAG_WRITE_ENCRYPTED, FLAG_WRITE_AUTHENTICATED = 0x1000, 0x2000
PROPERTIES_MASK = 0xFF
# Whether a central may read or write is decided here, by NimBLE's rules, not by Bumble.
ACCESSIBLE = att.Attribute.READABLE | att.Attribute.WRITEABLE
KEY_SIZE = 16


class ChipError(Exception):
    """An operation that the stack refuses, with the error number that MicroPython would raise."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Server(Server):
    """Bumble's attribute server with NimBLE's limits: a write longer than an attribute is for the attribute to cut."""

    @utils.AsyncRunner.run_in_task()  # type: ignore[untyped-decorator]
    async def on_att_write_request(self, bearer: att.Bearer, request: att.ATT_Write_Request) -> None:
        handle = request.attribute_handle
        response: att.ATT_PDU = att.ATT_Write_Response()
        try:
            if (attribute := self.get_attribute(handle)) is None:
                raise att.ATT_Error(att.ErrorCode.INVALID_HANDLE)
            await attribute.write_value(bearer, request.attribute_value)
        except att.ATT_Error as error:
            response = self._refusal(request, handle, error.error_code)
        self.send_response(bearer, response)

    def on_att_prepare_write_request(self, bearer: att.Bearer, request: att.ATT_Prepare_Write_Request) -> None:
        if len(self.prepared_writes.get(bearer, ())) < PREPARED_WRITES_MAX:
            super().on_att_prepare_write_request(bearer, request)
        else:
            refusal = self._refusal(request, request.attribute_handle, att.ErrorCode.INSUFFICIENT_RESOURCES)
            self.send_response(bearer, refusal)

    @staticmethod
    def _refusal(request: att.ATT_PDU, handle: int, code: int) -> att.ATT_Error_Response:
        return att.ATT_Error_Response(
            request_opcode_in_error=request.op_code,
            attribute_handle_in_error=handle,
            error_code=att.ErrorCode(code),
        )


async def _nobody_writes(_bearer: att.Bearer, _value: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)


@dataclass
class _Security:
    """What is known of a connection's protection."""

    encrypted: bool = False
    authenticated: bool = False
    bonded: bool = False
    requested: bool = False


class Chip:
    """One connection of a board: from power on until its process goes away."""

    def __init__(
        self,
        radio: Radio,
        controller: RadioController,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.controller = controller
        self._radio = radio
        self._reader = reader
        self._writer = writer
        self._device: Device | None = None
        self._services: list[dict[str, Any]] = []
        self._attributes: dict[int, gatt.Characteristic[bytes] | gatt.Descriptor] = {}
        self._connections: dict[int, Connection] = {}
        self._questions: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._question = 0
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._name = DEFAULT_NAME
        self._mtu = DEFAULT_MTU
        self._mtu_asked: set[int] = set()
        self._indicating: dict[Connection, list[int]] = {}
        self._security: dict[Connection, _Security] = {}
        # Until the board is reset. By peer: whether the key was made with a man in the middle ruled out.
        self._bonds: dict[str, bool] = {}
        self._pairing = {"bond": False, "mitm": False, "le_secure": True}
        self._operations: dict[str, Callable[..., Awaitable[Any]]] = {
            "active": self._active,
            "mac": self._mac,
            "gap_name": self._gap_name,
            "mtu": self._set_mtu,
            "register": self._register,
            "advertise": self._advertise,
            "advertise_stop": self._advertise_stop,
            "disconnect": self._disconnect,
            "notify": self._notify,
            "indicate": self._indicate,
            "update": self._update,
            "exchange_mtu": self._exchange_mtu,
            "pair": self._pair,
            "security": self._set_security,
        }

    # -- the socket -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves until the board closes the socket or dies; its radio then falls silent without a word."""
        operations: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        worker = asyncio.create_task(self._work(operations))
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if not isinstance(message, dict):
                    raise ValueError("not a JSON object")
                if "re" in message:
                    question = self._questions.pop(message["re"], None)
                    if question and not question.done():
                        question.set_result(message)
                else:
                    operations.put_nowait(message)
        except (ValueError, ConnectionError) as error:
            logger.error("the board's Bluetooth socket: %s", error)
        finally:
            self._closed = True
            worker.cancel()
            self._forget_connections()
            self._radio.unplug(self.controller)
            for task in self._tasks:
                task.cancel()
            self._writer.close()

    def close(self) -> None:
        """Ends run(): the board's power is gone."""
        self._writer.close()

    async def _work(self, operations: "asyncio.Queue[dict[str, Any]]") -> None:
        # A flag beside the cancellation: asyncio.wait_for, deep in Bumble, swallows one that comes with the answer.
        while not self._closed:
            message = await operations.get()
            number, name = message.pop("id", None), message.pop("op", None)
            try:
                if name not in self._operations:
                    raise ChipError(errno.EOPNOTSUPP)
                if self._device is None and name != "active":
                    raise ChipError(errno.ENODEV)
                answer = {"id": number, "ok": await self._operations[name](**message)}
            except ChipError as error:
                answer = {"id": number, "errno": error.number}
            except (hci.HCI_Error, core.BaseBumbleError) as error:
                logger.warning("%s: %s", name, error)
                answer = {"id": number, "errno": errno.EIO}
            except (TypeError, ValueError, KeyError) as error:
                logger.error("%s: malformed: %r", name, error)
                answer = {"id": number, "errno": errno.EINVAL}
            self._send(answer)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, connection: Connection | None, event: str, **values: Any) -> dict[str, Any]:
        self._question += 1
        number = self._question
        answer = self._questions[number] = asyncio.get_running_loop().create_future()
        self._send({"event": event, "re": number, "conn": connection.handle if connection else NO_CONNECTION, **values})
        try:
            reply: dict[str, Any] = await asyncio.wait_for(answer, BOARD_ANSWER_S)
        except TimeoutError:
            raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR) from None
        finally:
            self._questions.pop(number, None)
        if code := reply.get("error"):
            raise att.ATT_Error(att.ErrorCode(code))
        return reply

    # -- power ----------------------------------------------------------------------------------------------------

    async def _active(self, on: bool) -> bool:
        if on and self._device is None:
            await self._power_on()
        elif not on and self._device is not None:
            await self._power_off()
        return on

    async def _power_on(self) -> None:
        self.controller.on_air = True
        self._radio.controllers.add(self.controller)
        config = DeviceConfiguration(name=self._name.decode(errors="replace"))
        host = Host(self.controller, AsyncPipeSink(self.controller))
        self.controller.set_packet_sink(host)
        device = Device(config=config, host=host)
        device.advertising_data = device.scan_response_data = b""
        device.on(Device.EVENT_CONNECTION, self._on_connection)
        device.pairing_config_factory = lambda _connection: self._pairing_config()
        self._device = device
        await device.power_on()
        self._serve([])

    async def _power_off(self) -> None:
        assert self._device
        for connection in list(self._connections.values()):
            with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
                await connection.disconnect()
        self._connections.clear()
        self._device = None
        self._attributes = {}
        self._radio.unplug(self.controller)

    def _forget_connections(self) -> None:
        for question in self._questions.values():
            question.cancel()
        self._questions.clear()
        self._connections.clear()

    def _pairing_config(self) -> PairingConfig:
        # The bridge has neither display nor keys that could show or take a number.
        return PairingConfig(
            sc=self._pairing["le_secure"],
            mitm=self._pairing["mitm"],
            bonding=self._pairing["bond"],
            delegate=PairingDelegate(PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT),
        )

    # -- settings -------------------------------------------------------------------------------------------------

    async def _mac(self) -> list[Any]:
        address = self.controller.public_address
        return [int(address.address_type), bytes(address)[::-1].hex()]

    async def _gap_name(self, name: str) -> None:
        self._name = bytes.fromhex(name)
        assert self._device
        for attribute in self._device.gatt_server.attributes:
            if isinstance(attribute, gatt.Characteristic) and attribute.uuid == gatt.GATT_DEVICE_NAME_CHARACTERISTIC:
                attribute.value = self._name

    async def _set_mtu(self, mtu: int) -> None:
        if not MTU_MIN <= mtu <= MTU_MAX:
            raise ChipError(errno.EINVAL)
        self._mtu = mtu
        assert self._device
        self._device.gatt_server.max_mtu = mtu

    async def _set_security(self, key: str, value: bool) -> None:
        self._pairing[key] = value

    # -- the attribute server -------------------------------------------------------------------------------------

    async def _register(self, services: list[dict[str, Any]]) -> list[list[int]]:
        """`services`: [{"uuid": hex, "characteristics": [{"uuid", "flags", "descriptors": [{"uuid", "flags"}]}]}],
        UUIDs in little-endian byte order. Returns the value handles, a list a service, descriptors behind their
        characteristic."""
        assert self._device
        if self._connections or self.controller.advertiser.enabled:
            raise ChipError(errno.EBUSY)
        return self._serve(services)

    def _serve(self, services: list[dict[str, Any]]) -> list[list[int]]:
        assert self._device
        server = self._device.gatt_server = _Server(self._device)
        server.max_mtu = self._mtu
        self._device.add_default_services()
        for attribute in server.attributes:
            if isinstance(attribute, gatt.Characteristic) and attribute.uuid == gatt.GATT_DEVICE_NAME_CHARACTERISTIC:
                attribute.value = self._name
        self._attributes = {}
        handles = []
        for service in services:
            made = [self._make_characteristic(description) for description in service["characteristics"]]
            server.add_service(gatt.Service(core.UUID.from_bytes(bytes.fromhex(service["uuid"])), made))
            attributes: list[gatt.Characteristic[bytes] | gatt.Descriptor] = []
            for characteristic in made:
                attributes += [characteristic, *characteristic.descriptors]
            handles.append([a.handle for a in attributes])
            self._attributes.update({a.handle: a for a in attributes})
        for attribute in server.attributes:
            if not isinstance(attribute.value, att.AttributeValue | att.AttributeValueV2):  # a declaration, say
                attribute.write_value = _nobody_writes  # type: ignore[assignment, method-assign]  # Bumble's has no permissions
        return handles

    def _make_characteristic(self, description: dict[str, Any]) -> "gatt.Characteristic[bytes]":
        flags = description["flags"]
        characteristic: gatt.Characteristic[bytes] = gatt.Characteristic(
            core.UUID.from_bytes(bytes.fromhex(description["uuid"])),
            gatt.Characteristic.Properties(flags & PROPERTIES_MASK),
            ACCESSIBLE,
            self._value(lambda: characteristic, flags),
            [self._make_descriptor(d) for d in description.get("descriptors", ())],
        )
        return characteristic

    def _make_descriptor(self, description: dict[str, Any]) -> gatt.Descriptor:
        descriptor = gatt.Descriptor(
            core.UUID.from_bytes(bytes.fromhex(description["uuid"])),
            ACCESSIBLE,
            self._value(lambda: descriptor, description["flags"]),
        )
        return descriptor

    def _value(self, attribute: Callable[[], att.Attribute[Any]], flags: int) -> Any:
        async def read(connection: Connection) -> bytes:
            if not flags & FLAG_READ:
                raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)
            self._check(connection, flags & (FLAG_READ_ENCRYPTED | FLAG_READ_AUTHENTICATED), FLAG_READ_AUTHENTICATED)
            return bytes.fromhex((await self._ask(connection, "read", handle=attribute().handle))["data"])

        async def write(connection: Connection, value: bytes) -> None:
            if not flags & (FLAG_WRITE | FLAG_WRITE_NO_RESPONSE):
                raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)
            self._check(connection, flags & (FLAG_WRITE_ENCRYPTED | FLAG_WRITE_AUTHENTICATED), FLAG_WRITE_AUTHENTICATED)
            await self._ask(connection, "write", handle=attribute().handle, data=value.hex())

        return att.AttributeValue(read=read, write=write)

    def _check(self, connection: Connection, wanted: int, authenticated: int) -> None:
        """Raises ATT_Error for a central whose link is not protected as `wanted` says."""
        security = self._security.get(connection, _Security())
        if wanted and not security.encrypted:
            # A central with a bond is told to use it, anybody else to pair.
            known = str(connection.peer_address) in self._bonds
            code = att.ErrorCode.INSUFFICIENT_ENCRYPTION if known else att.ErrorCode.INSUFFICIENT_AUTHENTICATION
            raise att.ATT_Error(code)
        if wanted & authenticated and not security.authenticated:
            raise att.ATT_Error(att.ErrorCode.INSUFFICIENT_AUTHENTICATION)

    # -- advertising and connections ------------------------------------------------------------------------------

    async def _advertise(self, interval_us: int, adv: str | None, resp: str | None, connectable: bool) -> None:
        assert self._device
        await self._device.stop_advertising()
        # What is not given stays as it was, in the controller.
        adv_data = self._device.advertising_data if adv is None else bytes.fromhex(adv)
        resp_data = self._device.scan_response_data if resp is None else bytes.fromhex(resp)
        if len(adv_data) > ADVERTISING_DATA_MAX or len(resp_data) > ADVERTISING_DATA_MAX:
            raise ChipError(ERRNO_ADVERTISING_DATA)
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE
        if not connectable:
            kind = AdvertisingType.UNDIRECTED_SCANNABLE if resp_data else AdvertisingType.UNDIRECTED
        await self._device.start_advertising(
            advertising_type=kind,
            own_address_type=hci.OwnAddressType.PUBLIC,
            advertising_data=adv_data,
            scan_response_data=resp_data,
            advertising_interval_min=interval_us / 1000,
            advertising_interval_max=interval_us / 1000,
        )

    async def _advertise_stop(self) -> None:
        assert self._device
        await self._device.stop_advertising()

    def _on_connection(self, connection: Connection) -> None:
        self._connections[connection.handle] = connection
        connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: self._on_disconnection(connection))
        connection.on(Connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: self._on_mtu(connection))
        connection.on(Connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda: self._on_encryption(connection))
        connection.on(Connection.EVENT_PAIRING, lambda keys: self._on_paired(connection, keys))
        connection.on(Connection.EVENT_PAIRING_FAILURE, lambda _reason: self._on_pairing_failure(connection))
        self._security[connection] = _Security()
        self._send({"event": "connect", "conn": connection.handle, **self._peer(connection)})

    @staticmethod
    def _peer(connection: Connection) -> dict[str, Any]:
        address = connection.peer_address
        return {"addr_type": int(address.address_type), "addr": bytes(address)[::-1].hex()}

    def _on_disconnection(self, connection: Connection) -> None:
        self._mtu_asked.discard(connection.handle)
        # Before the disconnection itself, as NimBLE does: what was begun has failed.
        if self._security[connection].requested:
            self._on_pairing_failure(connection)
        del self._security[connection]
        for handle in self._indicating.pop(connection, []):
            self._report_indication(connection, handle, HS_ENOTCONN)
        if self._connections.pop(connection.handle, None):
            # Bumble serves a write command in a task: one that came just before must be told before this, too.
            gone = {"event": "disconnect", "conn": connection.handle, **self._peer(connection)}
            asyncio.get_running_loop().call_soon(self._send, gone)

    def _on_mtu(self, connection: Connection) -> None:
        self._send({"event": "mtu", "conn": connection.handle, "mtu": connection.att_mtu})

    def _on_encryption(self, connection: Connection) -> None:
        """Encryption by a bond's key; for a new pairing there is more to come, see _on_paired."""
        security = self._security[connection]
        security.encrypted = bool(connection.encryption)
        assert self._device
        if connection.handle not in self._device.smp_manager.sessions:
            peer = str(connection.peer_address)
            security.bonded = peer in self._bonds
            security.authenticated = self._bonds.get(peer, False)
            self._report_security(connection)

    def _on_paired(self, connection: Connection, keys: PairingKeys) -> None:
        assert self._device
        security = self._security[connection]
        key = keys.ltk or keys.ltk_peripheral
        session = self._device.smp_manager.sessions.get(connection.handle)
        security.encrypted = True
        security.authenticated = bool(key and key.authenticated)
        security.bonded = bool(session and session.bonding)
        if security.bonded:
            self._bonds[str(connection.peer_address)] = security.authenticated
        self._report_security(connection)

    def _on_pairing_failure(self, connection: Connection) -> None:
        self._security[connection] = _Security()
        self._report_security(connection)

    def _report_security(self, connection: Connection) -> None:
        security = self._security[connection]
        security.requested = False
        self._send(
            {
                "event": "encryption",
                "conn": connection.handle,
                "encrypted": int(security.encrypted),
                "authenticated": int(security.authenticated),
                "bonded": int(security.bonded),
                "key_size": KEY_SIZE if security.encrypted else 0,
            }
        )

    def _connection(self, conn: int) -> Connection:
        if conn not in self._connections:
            raise ChipError(errno.ENOTCONN)
        return self._connections[conn]

    async def _disconnect(self, conn: int) -> None:
        connection = self._connection(conn)

        async def disconnect() -> None:
            with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
                await connection.disconnect()

        self._spawn(disconnect())

    async def _exchange_mtu(self, conn: int) -> None:
        connection = self._connection(conn)
        if conn in self._mtu_asked:
            raise ChipError(errno.EALREADY)
        self._mtu_asked.add(conn)

        async def exchange() -> None:
            with contextlib.suppress(core.BaseBumbleError, TimeoutError):
                await connection.gatt_client.request_mtu(self._mtu)

        self._spawn(exchange())

    async def _pair(self, conn: int) -> None:
        connection = self._connection(conn)
        self._security[connection].requested = True
        connection.request_pairing()

    # -- notifications --------------------------------------------------------------------------------------------

    def _send_notification(self, connection: Connection, handle: int, value: bytes) -> None:
        assert self._device
        cut = value[: connection.att_mtu - ATT_HEADER]
        pdu = att.ATT_Handle_Value_Notification(attribute_handle=handle, attribute_value=cut)
        self._device.gatt_server.send_gatt_pdu(connection, bytes(pdu))

    async def _notify(self, conn: int, handle: int, data: str) -> None:
        self._send_notification(self._connection(conn), handle, bytes.fromhex(data))

    async def _indicate(self, conn: int, handle: int, data: str) -> None:
        self._start_indication(self._connection(conn), handle, bytes.fromhex(data))

    def _start_indication(self, connection: Connection, handle: int, value: bytes) -> None:
        self._indicating.setdefault(connection, []).append(handle)
        self._spawn(self._indicate_and_wait(connection, handle, value))

    async def _indicate_and_wait(self, connection: Connection, handle: int, value: bytes) -> None:
        assert self._device
        status = 0
        try:
            await self._device.gatt_server.indicate_subscriber(connection, self._attributes[handle], value, force=True)
        except (TimeoutError, core.BaseBumbleError):
            status = HS_ETIMEOUT
        if handle in self._indicating.get(connection, ()):
            self._indicating[connection].remove(handle)
            self._report_indication(connection, handle, status)

    def _report_indication(self, connection: Connection, handle: int, status: int) -> None:
        self._send({"event": "indicated", "conn": connection.handle, "handle": handle, "status": status})

    async def _update(self, handle: int) -> None:
        self._spawn(self._tell_subscribers(handle))

    async def _tell_subscribers(self, handle: int) -> None:
        """NimBLE sends a changed value a moment later, to every subscriber, and reads it again for that."""
        for connection in list(self._connections.values()):
            assert self._device
            cccd = self._device.gatt_server.subscribers.get(connection, {}).get(handle, b"\0\0")
            if not cccd[0] & 3:
                continue
            try:
                reply = await self._ask(None, "read", handle=handle)
            except att.ATT_Error:
                continue
            if connection.handle not in self._connections:
                continue
            value = bytes.fromhex(reply["data"])
            if cccd[0] & 1:
                self._send_notification(connection, handle, value)
            else:
                self._start_indication(connection, handle, value)
