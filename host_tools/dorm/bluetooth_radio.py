"""The radio: Bluetooth LE controllers that hear each other.

Bumble's virtual controller and link, made to behave where a phone or a bridge could tell the difference: scan
requests are answered, every legacy advertising type goes out, a connection exists on both sides or on neither,
initiating can be cancelled, HCI Reset resets, data is fragmented towards the host, and a link that nobody hears any
more ends by its supervision timeout (Bluetooth Core 5.4, Vol 6 Part B).
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

logger = logging.getLogger(__name__)

ADVERTISING_UNIT_S = 0.000625
SUPERVISION_UNIT_S = 0.01
# What a link has before a central says otherwise, and the shortest that the specification allows.
SUPERVISION_DEFAULT_S = 0.72
SUPERVISION_MIN_S = 0.1
# One HCI ACL packet towards a host; the largest that one LE packet carries (data length extension).
ACL_DATA_LENGTH = 251
LE_EVENTS_IN_FLIGHT = 64

_AdvertisingType = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
_ReportType = hci.HCI_LE_Advertising_Report_Event.EventType


@dataclass(frozen=True)
class Heard:
    """One transmission as an eavesdropper gets it.

    `kind`: adv, scan_req, scan_rsp, connect_ind, data (an L2CAP PDU: length (2, little-endian) || channel (2) ||
    payload) or control. `payload` of an encrypted link's data is empty: it could be recorded, but not read.
    """

    kind: str
    sender: str
    receiver: str
    payload: bytes
    encrypted: bool = False


class RadioAdvertiser(LegacyAdvertiser):
    """Legacy advertising of every undirected type, at the interval asked for."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        interval = max(self.advertising_interval_min * ADVERTISING_UNIT_S, 0.01)
        self.timer_handle = asyncio.get_running_loop().call_later(interval, self._on_timer_fired)

    @property
    def connectable(self) -> bool:
        return self.advertising_type == _AdvertisingType.ADV_IND

    @property
    def scannable(self) -> bool:
        return self.advertising_type in (_AdvertisingType.ADV_IND, _AdvertisingType.ADV_SCAN_IND)

    def send_advertising_data(self) -> None:
        if self.enabled and isinstance(self.controller, RadioController):
            self.controller.radio.advertise(self.controller, self)


class RadioController(Controller):
    """One Bluetooth LE radio of the 4.2 kind: legacy advertising, data length extension, no classic."""

    acl_data_packet_length = ACL_DATA_LENGTH
    le_acl_data_packet_length = ACL_DATA_LENGTH
    total_num_le_acl_data_packets = LE_EVENTS_IN_FLIGHT
    supported_max_tx_octets = ACL_DATA_LENGTH
    supported_max_rx_octets = ACL_DATA_LENGTH
    le_features = hci.LeFeatureMask.LE_ENCRYPTION | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION

    def __init__(self, name: str, radio: "Radio") -> None:
        super().__init__(name, link=radio)
        self.radio = radio
        self.le_legacy_advertiser = self.advertiser = RadioAdvertiser(self)
        self.on_air = True
        self.links: dict[hci.Address, AirLink] = {}

    # -- advertising and scanning ---------------------------------------------------------------------------------

    def report(self, kind: int, address: hci.Address, data: bytes) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Advertising_Report_Event(
                [
                    hci.HCI_LE_Advertising_Report_Event.Report(
                        event_type=_ReportType(kind),
                        address_type=address.address_type,
                        address=address,
                        data=data,
                        rssi=-50,
                    )
                ]
            )
        )

    # -- connections ----------------------------------------------------------------------------------------------

    def open_link(self, link: "AirLink", role: hci.Role, own: hci.Address, peer: hci.Address) -> None:
        connection = Connection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.radio,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[peer] = connection
        self.links[peer] = link
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=connection.handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=link.interval,
                peripheral_latency=link.latency,
                supervision_timeout=link.timeout,
                central_clock_accuracy=0,
            )
        )

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        super().on_le_disconnected(connection, reason)
        if link := self.links.pop(connection.peer_address, None):
            link.left(self)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        connection.send_ll_control_pdu(ll.TerminateInd(command.reason))
        self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        if (pending := self.pending_le_connection) is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        # After the command's own answer, as a real controller does.
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        self.silence()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def silence(self) -> None:
        """Stops everything at once without a word on the air, as a reset or a pulled plug does: peers time out."""
        self.advertiser.stop()
        self.advertiser.advertising_data = self.advertiser.scan_response_data = b""
        self.le_scan_enable = False
        self.pending_le_connection = None
        for link in list(self.links.values()):
            link.abandon(self)
        self.links.clear()
        self.le_connections.clear()

    # -- data -----------------------------------------------------------------------------------------------------

    def on_link_acl_data(self, sender_address: hci.Address, _transport: PhysicalTransport, data: bytes) -> None:
        if (connection := self.le_connections.get(sender_address)) is None:
            return
        for start in range(0, len(data), ACL_DATA_LENGTH):
            piece = data[start : start + ACL_DATA_LENGTH]
            first = 2 if start == 0 else 1
            self.send_hci_packet(hci.HCI_AclDataPacket(connection.handle, first, 0, len(piece), piece))


class AirLink:
    """One connection between two controllers: data in both directions in order, and the supervision timeout."""

    def __init__(self, radio: "Radio", central: RadioController, peripheral: RadioController, command: Any) -> None:
        self.radio = radio
        self.ends = (central, peripheral)
        self.interval: int = command.connection_interval_min
        self.latency: int = command.max_latency
        self.timeout: int = command.supervision_timeout
        self.encrypted = False
        self._queues: dict[RadioController, deque[tuple[float, Callable[[], None]]]] = {
            end: deque() for end in self.ends
        }
        self._timers: dict[RadioController, asyncio.TimerHandle] = {}
        self._supervision: asyncio.TimerHandle | None = None
        self._gone: set[RadioController] = set()

    @property
    def supervision_s(self) -> float:
        return max(self.timeout * SUPERVISION_UNIT_S, SUPERVISION_MIN_S)

    def other(self, end: RadioController) -> RadioController:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def send(self, sender: RadioController, deliver: Callable[[], None]) -> None:
        """Carries one PDU; a radio that is out of range gets it when it is back: the link layer repeats until then."""
        receiver = self.other(sender)
        self._queues[receiver].append((asyncio.get_running_loop().time() + self.radio.delay_s, deliver))
        self._pump(receiver)

    def _pump(self, receiver: RadioController) -> None:
        loop = asyncio.get_running_loop()
        queue = self._queues[receiver]
        while queue and self.audible:
            ready_at, deliver = queue[0]
            if ready_at > loop.time():
                if receiver not in self._timers:
                    self._timers[receiver] = loop.call_at(ready_at, self._on_timer, receiver)
                return
            queue.popleft()
            loop.call_soon(deliver)

    def _on_timer(self, receiver: RadioController) -> None:
        del self._timers[receiver]
        self._pump(receiver)

    @property
    def audible(self) -> bool:
        return all(end.on_air and end not in self.radio.out_of_range for end in self.ends)

    def range_changed(self) -> None:
        if self.audible:
            if self._supervision and not self._gone:
                self._supervision.cancel()
                self._supervision = None
            for end in self.ends:
                self._pump(end)
        else:
            self._start_supervision()

    def _start_supervision(self) -> None:
        if self._supervision is None:
            self._supervision = asyncio.get_running_loop().call_later(self.supervision_s, self.expire)

    def expire(self) -> None:
        """Ends the link on both sides as a supervision timeout, now."""
        self.finish(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def finish(self, reason: int) -> None:
        for queue in self._queues.values():
            queue.clear()
        for end in self.ends:
            for peer, link in list(end.links.items()):
                if link is self:
                    end.on_le_disconnected(end.le_connections[peer], reason)
        self._close()

    def left(self, end: RadioController) -> None:
        """One side is gone in good order (it has sent a terminate); the other hears of it, or times out."""
        self._gone.add(end)
        if len(self._gone) == 2:
            self._close()
        else:
            self._start_supervision()

    def abandon(self, end: RadioController) -> None:
        """One side is gone without a word: what it had to send and receive is lost."""
        self._gone.add(end)
        for queue in self._queues.values():
            queue.clear()
        if len(self._gone) == 2:
            self._close()
        else:
            self._start_supervision()

    def _close(self) -> None:
        if self._supervision:
            self._supervision.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self.radio.links.discard(self)


class Radio(LocalLink):
    """What all controllers share, with the faults that tests inject and an ear for eavesdroppers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.delay_s = 0.0
        self.out_of_range: set[RadioController] = set()
        self.links: set[AirLink] = set()
        self._ears: list[Callable[[Heard], None]] = []

    # -- people who listen ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def sniff(self) -> Iterator[list[Heard]]:
        """Everything sent while the context lasts, in order of sending."""
        heard: list[Heard] = []
        self._ears.append(heard.append)
        try:
            yield heard
        finally:
            self._ears.remove(heard.append)

    def _overheard(
        self, kind: str, sender: hci.Address, receiver: hci.Address | None, payload: bytes, encrypted: bool = False
    ) -> None:
        if self._ears:
            to = receiver.to_string(False) if receiver else ""
            heard = Heard(kind, sender.to_string(False), to, b"" if encrypted else bytes(payload), encrypted)
            for ear in self._ears:
                ear(heard)

    # -- faults ---------------------------------------------------------------------------------------------------

    def set_range(self, controller: RadioController, heard: bool) -> None:
        """Puts a radio out of range of all others, or back. Links wait for their supervision timeout, then end."""
        if heard:
            self.out_of_range.discard(controller)
        else:
            self.out_of_range.add(controller)
        for link in list(self.links):
            if controller in link.ends:
                link.range_changed()

    def unplug(self, controller: RadioController) -> None:
        """The controller's power is gone: its peers see a supervision timeout."""
        controller.silence()
        controller.on_air = False
        self.out_of_range.discard(controller)
        self.controllers.discard(controller)

    # -- advertising, scanning, initiating ------------------------------------------------------------------------

    def _audience(self, controller: RadioController) -> Iterator[RadioController]:
        if controller.on_air and controller not in self.out_of_range:
            for other in list(self.controllers):
                if other is not controller and isinstance(other, RadioController) and other not in self.out_of_range:
                    yield other

    def advertise(self, controller: RadioController, advertiser: RadioAdvertiser) -> None:
        """One advertising event: who scans gets a report (and asks for more), who waits to connect connects."""
        address = advertiser.address
        data = bytes(advertiser.advertising_data)
        self._overheard("adv", address, None, data)
        kind = _ReportType(int(advertiser.advertising_type))
        for other in self._audience(controller):
            if other.le_scan_enable:
                other.report(kind, address, data)
                if (
                    other.le_scan_type == hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING
                    and advertiser.scannable
                ):
                    self._overheard("scan_req", other.random_address, address, b"")
                    response = bytes(advertiser.scan_response_data)
                    self._overheard("scan_rsp", address, other.random_address, response)
                    other.report(_ReportType.SCAN_RSP, address, response)
            pending = other.pending_le_connection
            if advertiser.connectable and advertiser.enabled and pending and pending.peer_address == address:
                self._connect(other, controller, pending, address)

    def _connect(
        self, central: RadioController, peripheral: RadioController, command: Any, peripheral_address: hci.Address
    ) -> None:
        public = command.own_address_type == hci.OwnAddressType.PUBLIC
        central_address = central.public_address if public else central.random_address
        self._overheard("connect_ind", central_address, peripheral_address, b"")
        central.pending_le_connection = None
        peripheral.advertiser.stop()
        link = AirLink(self, central, peripheral, command)
        self.links.add(link)
        peripheral.open_link(link, hci.Role.PERIPHERAL, peripheral_address, central_address)
        central.open_link(link, hci.Role.CENTRAL, central_address, peripheral_address)

    # -- links ----------------------------------------------------------------------------------------------------

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        if not isinstance(sender_controller, RadioController):
            return
        link = sender_controller.links.get(destination_address)
        if link is None:
            return
        source = sender_controller.le_connections[destination_address].self_address
        self._overheard("data", source, destination_address, data, link.encrypted)
        receiver = link.other(sender_controller)
        link.send(sender_controller, lambda: receiver.on_link_acl_data(source, transport, data))

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        for link in self.links:
            for sender in link.ends:
                connection = sender.le_connections.get(receiver_address)
                if (
                    sender.links.get(receiver_address) is link
                    and connection
                    and connection.self_address == sender_address
                ):
                    self._carry_control(link, sender, sender_address, receiver_address, packet)
                    return

    def _carry_control(
        self,
        link: AirLink,
        sender: RadioController,
        source: hci.Address,
        destination: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        # An encryption request carries the key only inside of this simulation: it is never on the air.
        self._overheard("control", source, destination, type(packet).__name__.encode(), link.encrypted)
        receiver = link.other(sender)

        def deliver() -> None:
            if isinstance(packet, ll.StartEncRsp):
                link.encrypted = True
            if receiver.links.get(source) is link:
                receiver.on_ll_control_pdu(source, packet)

        link.send(sender, deliver)
