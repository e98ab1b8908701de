"""The player's services: what can be asked of it, and what it then does."""

from collections.abc import Callable
from typing import ClassVar
from xml.sax.saxutils import quoteattr

from dorm.speaker.description import (
    HOUSEHOLD,
    MEDIA_RENDERER,
    MEDIA_SERVER,
    SOFTWARE_VERSION,
    ZONE_PLAYER,
    Identity,
    ServiceEntry,
    zone_group_state,
)
from dorm.speaker.player import PAUSED, PLAYING, STOPPED, TRANSITIONING, Player
from dorm.speaker.soap import Service, UpnpError, Variable

Args = dict[str, str]
Publish = Callable[[str, Args], None]

VOLUME_MAX = 100
TONE_MAX = 10
PLAY_MODES = ("NORMAL", "REPEAT_ALL", "REPEAT_ONE", "SHUFFLE_NOREPEAT", "SHUFFLE", "SHUFFLE_REPEAT_ONE")
_INSTANCE = Variable("ui4")
_CHANNEL = Variable(allowed=("Master", "LF", "RF"))
_BOOLEAN = Variable("boolean")
_STRING = Variable()
_EVENTED = Variable(evented=True)


class DeviceProperties:
    """Names, lights and buttons of the player."""

    entry = ServiceEntry(ZONE_PLAYER, "DeviceProperties", "/DeviceProperties/Control", "/DeviceProperties/Event")
    variables: ClassVar[dict[str, Variable]] = {
        "ZoneName": _EVENTED,
        "Icon": _EVENTED,
        "Configuration": _EVENTED,
        "Invisible": Variable("boolean", evented=True),
        "LEDState": Variable(allowed=("On", "Off")),
        "ButtonLockState": Variable(allowed=("On", "Off")),
        "HouseholdID": _STRING,
        "SerialNumber": _STRING,
        "SoftwareVersion": _STRING,
        "IPAddress": _STRING,
        "MACAddress": _STRING,
        "HTAudioIn": Variable("ui4"),
        "Flags": Variable("ui4"),
    }
    actions = """
        GetZoneAttributes() -> CurrentZoneName:ZoneName, CurrentIcon:Icon, CurrentConfiguration:Configuration
        SetZoneAttributes(DesiredZoneName:ZoneName, DesiredIcon:Icon, DesiredConfiguration:Configuration)
        GetHouseholdID() -> CurrentHouseholdID:HouseholdID
        GetZoneInfo() -> SerialNumber:SerialNumber, SoftwareVersion:SoftwareVersion,
            DisplaySoftwareVersion:SoftwareVersion, IPAddress:IPAddress, MACAddress:MACAddress, HTAudioIn:HTAudioIn,
            Flags:Flags
        GetInvisible() -> CurrentInvisible:Invisible
        GetLEDState() -> CurrentLEDState:LEDState
        SetLEDState(DesiredLEDState:LEDState)
        GetButtonLockState() -> CurrentButtonLockState:ButtonLockState
        SetButtonLockState(DesiredButtonLockState:ButtonLockState)
    """

    def __init__(self, identity: Identity, address: Callable[[], str], publish: Publish) -> None:
        self._identity = identity
        self._address = address
        self._publish = publish
        self._led = "On"
        self._lock = "Off"

    def evented(self) -> Args:
        me = self._identity
        return {"ZoneName": me.name, "Icon": me.icon, "Configuration": me.configuration, "Invisible": "0"}

    def get_zone_attributes(self, _: Args) -> Args:
        me = self._identity
        return {"CurrentZoneName": me.name, "CurrentIcon": me.icon, "CurrentConfiguration": me.configuration}

    def set_zone_attributes(self, args: Args) -> None:
        self._identity.name = args["DesiredZoneName"]
        self._identity.icon = args["DesiredIcon"]
        self._identity.configuration = args["DesiredConfiguration"]
        self._publish("DeviceProperties", self.evented())

    def get_household_id(self, _: Args) -> Args:
        return {"CurrentHouseholdID": HOUSEHOLD}

    def get_zone_info(self, _: Args) -> Args:
        return {
            "SerialNumber": self._identity.serial,
            "SoftwareVersion": SOFTWARE_VERSION,
            "DisplaySoftwareVersion": "11.4",
            "IPAddress": self._address(),
            "MACAddress": self._identity.mac.hex(":").upper(),
            "HTAudioIn": "0",
            "Flags": "0",
        }

    def get_invisible(self, _: Args) -> Args:
        return {"CurrentInvisible": "0"}

    def get_led_state(self, _: Args) -> Args:
        return {"CurrentLEDState": self._led}

    def set_led_state(self, args: Args) -> None:
        self._led = args["DesiredLEDState"]

    def get_button_lock_state(self, _: Args) -> Args:
        return {"CurrentButtonLockState": self._lock}

    def set_button_lock_state(self, args: Args) -> None:
        self._lock = args["DesiredButtonLockState"]


class ZoneGroupTopology:
    """Who plays together with whom: a player alone."""

    entry = ServiceEntry(ZONE_PLAYER, "ZoneGroupTopology", "/ZoneGroupTopology/Control", "/ZoneGroupTopology/Event")
    variables: ClassVar[dict[str, Variable]] = {
        "ZoneGroupState": _EVENTED,
        "ZoneGroupName": _EVENTED,
        "ZoneGroupID": _EVENTED,
        "ZonePlayerUUIDsInGroup": _EVENTED,
        "MuseHouseholdId": _STRING,
    }
    actions = """
        GetZoneGroupState() -> ZoneGroupState:ZoneGroupState
        GetZoneGroupAttributes() -> CurrentZoneGroupName:ZoneGroupName, CurrentZoneGroupID:ZoneGroupID,
            CurrentZonePlayerUUIDsInGroup:ZonePlayerUUIDsInGroup, CurrentMuseHouseholdId:MuseHouseholdId
    """

    def __init__(self, identity: Identity, address: Callable[[], str], boot_seq: int) -> None:
        self._identity = identity
        self._address = address
        self._boot_seq = boot_seq

    def _group(self) -> str:
        return f"{self._identity.uid}:{self._boot_seq}"

    def evented(self) -> Args:
        return {
            "ZoneGroupState": zone_group_state(self._identity, self._address(), self._boot_seq),
            "ZoneGroupName": self._identity.name,
            "ZoneGroupID": self._group(),
            "ZonePlayerUUIDsInGroup": self._identity.uid,
        }

    def get_zone_group_state(self, _: Args) -> Args:
        return {"ZoneGroupState": zone_group_state(self._identity, self._address(), self._boot_seq)}

    def get_zone_group_attributes(self, _: Args) -> Args:
        return {
            "CurrentZoneGroupName": self._identity.name,
            "CurrentZoneGroupID": self._group(),
            "CurrentZonePlayerUUIDsInGroup": self._identity.uid,
            "CurrentMuseHouseholdId": HOUSEHOLD,
        }


class GroupManagement:
    """Which group the player belongs to."""

    entry = ServiceEntry(ZONE_PLAYER, "GroupManagement", "/GroupManagement/Control", "/GroupManagement/Event")
    variables: ClassVar[dict[str, Variable]] = {
        "GroupCoordinatorIsLocal": Variable("boolean", evented=True),
        "LocalGroupUUID": _EVENTED,
    }
    actions = ""

    def __init__(self, identity: Identity, boot_seq: int) -> None:
        self._identity = identity
        self._boot_seq = boot_seq

    def evented(self) -> Args:
        return {"GroupCoordinatorIsLocal": "1", "LocalGroupUUID": f"{self._identity.uid}:{self._boot_seq}"}


class ConnectionManager:
    """What the player can play."""

    variables: ClassVar[dict[str, Variable]] = {
        "SourceProtocolInfo": _EVENTED,
        "SinkProtocolInfo": _EVENTED,
        "CurrentConnectionIDs": _EVENTED,
    }
    actions = """
        GetProtocolInfo() -> Source:SourceProtocolInfo, Sink:SinkProtocolInfo
        GetCurrentConnectionIDs() -> ConnectionIDs:CurrentConnectionIDs
    """

    def __init__(self, device: str, path: str) -> None:
        self.entry = ServiceEntry(
            device, "ConnectionManager", f"/{path}/ConnectionManager/Control", f"/{path}/ConnectionManager/Event"
        )
        self._sink = "http-get:*:audio/mpeg:*,x-rincon-mp3radio:*:*:*" if device == MEDIA_RENDERER else ""

    def evented(self) -> Args:
        return {"SourceProtocolInfo": "", "SinkProtocolInfo": self._sink, "CurrentConnectionIDs": "0"}

    def get_protocol_info(self, _: Args) -> Args:
        return {"Source": "", "Sink": self._sink}

    def get_current_connection_ids(self, _: Args) -> Args:
        return {"ConnectionIDs": "0"}


class RenderingControl:
    """Volume, mute and tone."""

    entry = ServiceEntry(
        MEDIA_RENDERER,
        "RenderingControl",
        "/MediaRenderer/RenderingControl/Control",
        "/MediaRenderer/RenderingControl/Event",
    )
    variables: ClassVar[dict[str, Variable]] = {
        "LastChange": _EVENTED,
        "A_ARG_TYPE_InstanceID": _INSTANCE,
        "A_ARG_TYPE_Channel": _CHANNEL,
        "Volume": Variable("ui2", range=(0, VOLUME_MAX)),
        "VolumeAdjustment": Variable("i2", range=(-VOLUME_MAX, VOLUME_MAX)),
        "Mute": _BOOLEAN,
        "Bass": Variable("i2", range=(-TONE_MAX, TONE_MAX)),
        "Treble": Variable("i2", range=(-TONE_MAX, TONE_MAX)),
        "Loudness": _BOOLEAN,
        "OutputFixed": _BOOLEAN,
    }
    actions = """
        GetMute(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel) -> CurrentMute:Mute
        SetMute(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel, DesiredMute:Mute)
        GetVolume(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel) -> CurrentVolume:Volume
        SetVolume(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel, DesiredVolume:Volume)
        SetRelativeVolume(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel,
            Adjustment:VolumeAdjustment) -> NewVolume:Volume
        GetBass(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentBass:Bass
        SetBass(InstanceID:A_ARG_TYPE_InstanceID, DesiredBass:Bass)
        GetTreble(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentTreble:Treble
        SetTreble(InstanceID:A_ARG_TYPE_InstanceID, DesiredTreble:Treble)
        GetLoudness(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel) -> CurrentLoudness:Loudness
        SetLoudness(InstanceID:A_ARG_TYPE_InstanceID, Channel:A_ARG_TYPE_Channel, DesiredLoudness:Loudness)
        GetSupportsOutputFixed(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentSupportsFixed:OutputFixed
        GetOutputFixed(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentFixed:OutputFixed
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self.volume = 20
        self.mute = "0"
        self._bass = 0
        self._treble = 0
        self._loudness = "1"

    def evented(self) -> Args:
        inner = (
            f'<Volume channel="Master" val="{self.volume}"/><Volume channel="LF" val="100"/>'
            f'<Volume channel="RF" val="100"/><Mute channel="Master" val="{self.mute}"/>'
            '<Mute channel="LF" val="0"/><Mute channel="RF" val="0"/>'
            f'<Bass val="{self._bass}"/><Treble val="{self._treble}"/>'
            f'<Loudness channel="Master" val="{self._loudness}"/><OutputFixed val="0"/>'
        )
        return {
            "LastChange": '<Event xmlns="urn:schemas-upnp-org:metadata-1-0/RCS/">'
            f'<InstanceID val="0">{inner}</InstanceID></Event>'
        }

    def _changed(self, inner: str) -> None:
        change = (
            f'<Event xmlns="urn:schemas-upnp-org:metadata-1-0/RCS/"><InstanceID val="0">{inner}</InstanceID></Event>'
        )
        self._publish("RenderingControl", {"LastChange": change})

    def set_level(self, volume: int) -> None:
        """Sets the volume, 0..100, and tells about it."""
        self.volume = min(max(volume, 0), VOLUME_MAX)
        self._changed(f'<Volume channel="Master" val="{self.volume}"/>')

    def get_mute(self, args: Args) -> Args:
        return {"CurrentMute": self.mute if args["Channel"] == "Master" else "0"}

    def set_mute(self, args: Args) -> None:
        self.mute = args["DesiredMute"]
        self._changed(f'<Mute channel="Master" val="{self.mute}"/>')

    def get_volume(self, args: Args) -> Args:
        return {"CurrentVolume": str(self.volume if args["Channel"] == "Master" else VOLUME_MAX)}

    def set_volume(self, args: Args) -> None:
        if args["Channel"] == "Master":
            self.set_level(int(args["DesiredVolume"]))

    def set_relative_volume(self, args: Args) -> Args:
        self.set_level(self.volume + int(args["Adjustment"]))
        return {"NewVolume": str(self.volume)}

    def get_bass(self, _: Args) -> Args:
        return {"CurrentBass": str(self._bass)}

    def set_bass(self, args: Args) -> None:
        self._bass = int(args["DesiredBass"])
        self._changed(f'<Bass val="{self._bass}"/>')

    def get_treble(self, _: Args) -> Args:
        return {"CurrentTreble": str(self._treble)}

    def set_treble(self, args: Args) -> None:
        self._treble = int(args["DesiredTreble"])
        self._changed(f'<Treble val="{self._treble}"/>')

    def get_loudness(self, _: Args) -> Args:
        return {"CurrentLoudness": self._loudness}

    def set_loudness(self, args: Args) -> None:
        self._loudness = args["DesiredLoudness"]
        self._changed(f'<Loudness channel="Master" val="{self._loudness}"/>')

    def get_supports_output_fixed(self, _: Args) -> Args:
        return {"CurrentSupportsFixed": "0"}

    def get_output_fixed(self, _: Args) -> Args:
        return {"CurrentFixed": "0"}


class GroupRenderingControl:
    """Volume of the group: that of its only member."""

    entry = ServiceEntry(
        MEDIA_RENDERER,
        "GroupRenderingControl",
        "/MediaRenderer/GroupRenderingControl/Control",
        "/MediaRenderer/GroupRenderingControl/Event",
    )
    variables: ClassVar[dict[str, Variable]] = {
        "A_ARG_TYPE_InstanceID": _INSTANCE,
        "GroupVolume": Variable("ui2", range=(0, VOLUME_MAX), evented=True),
        "GroupMute": Variable("boolean", evented=True),
        "GroupVolumeChangeable": Variable("boolean", evented=True),
        "VolumeAdjustment": Variable("i2", range=(-VOLUME_MAX, VOLUME_MAX)),
    }
    actions = """
        GetGroupVolume(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentVolume:GroupVolume
        SetGroupVolume(InstanceID:A_ARG_TYPE_InstanceID, DesiredVolume:GroupVolume)
        SetRelativeGroupVolume(InstanceID:A_ARG_TYPE_InstanceID, Adjustment:VolumeAdjustment) -> NewVolume:GroupVolume
        GetGroupMute(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentMute:GroupMute
        SetGroupMute(InstanceID:A_ARG_TYPE_InstanceID, DesiredMute:GroupMute)
        SnapshotGroupVolume(InstanceID:A_ARG_TYPE_InstanceID)
    """

    def __init__(self, rendering: RenderingControl) -> None:
        self._rendering = rendering

    def evented(self) -> Args:
        return {
            "GroupVolume": str(self._rendering.volume),
            "GroupMute": self._rendering.mute,
            "GroupVolumeChangeable": "1",
        }

    def get_group_volume(self, _: Args) -> Args:
        return {"CurrentVolume": str(self._rendering.volume)}

    def set_group_volume(self, args: Args) -> None:
        self._rendering.set_level(int(args["DesiredVolume"]))

    def set_relative_group_volume(self, args: Args) -> Args:
        self._rendering.set_level(self._rendering.volume + int(args["Adjustment"]))
        return {"NewVolume": str(self._rendering.volume)}

    def get_group_mute(self, _: Args) -> Args:
        return {"CurrentMute": self._rendering.mute}

    def set_group_mute(self, args: Args) -> None:
        self._rendering.set_mute({"DesiredMute": args["DesiredMute"]})

    def snapshot_group_volume(self, _: Args) -> None:
        pass  # with one member there is no proportion to keep


class AVTransport:
    """What is played."""

    entry = ServiceEntry(
        MEDIA_RENDERER, "AVTransport", "/MediaRenderer/AVTransport/Control", "/MediaRenderer/AVTransport/Event"
    )
    variables: ClassVar[dict[str, Variable]] = {
        "LastChange": _EVENTED,
        "A_ARG_TYPE_InstanceID": _INSTANCE,
        "AVTransportURI": _STRING,
        "AVTransportURIMetaData": _STRING,
        "TransportState": Variable(allowed=(STOPPED, PLAYING, PAUSED, TRANSITIONING)),
        "TransportStatus": _STRING,
        "TransportPlaySpeed": Variable(allowed=("1",)),
        "CurrentPlayMode": Variable(allowed=PLAY_MODES),
        "CurrentCrossfadeMode": _BOOLEAN,
        "CurrentTransportActions": _STRING,
        "NumberOfTracks": Variable("ui4"),
        "Duration": _STRING,
        "Medium": _STRING,
        "Count": Variable("i4"),
        "A_ARG_TYPE_SeekMode": Variable(allowed=("TRACK_NR", "REL_TIME", "TIME_DELTA")),
        "A_ARG_TYPE_SeekTarget": _STRING,
        "GroupID": _STRING,
    }
    actions = """
        SetAVTransportURI(InstanceID:A_ARG_TYPE_InstanceID, CurrentURI:AVTransportURI,
            CurrentURIMetaData:AVTransportURIMetaData)
        GetMediaInfo(InstanceID:A_ARG_TYPE_InstanceID) -> NrTracks:NumberOfTracks, MediaDuration:Duration,
            CurrentURI:AVTransportURI, CurrentURIMetaData:AVTransportURIMetaData, NextURI:AVTransportURI,
            NextURIMetaData:AVTransportURIMetaData, PlayMedium:Medium, RecordMedium:Medium, WriteStatus:Medium
        GetTransportInfo(InstanceID:A_ARG_TYPE_InstanceID) -> CurrentTransportState:TransportState,
            CurrentTransportStatus:TransportStatus, CurrentSpeed:TransportPlaySpeed
        GetPositionInfo(InstanceID:A_ARG_TYPE_InstanceID) -> Track:NumberOfTracks, TrackDuration:Duration,
            TrackMetaData:AVTransportURIMetaData, TrackURI:AVTransportURI, RelTime:Duration, AbsTime:Duration,
            RelCount:Count, AbsCount:Count
        GetTransportSettings(InstanceID:A_ARG_TYPE_InstanceID) -> PlayMode:CurrentPlayMode, RecQualityMode:Medium
        SetPlayMode(InstanceID:A_ARG_TYPE_InstanceID, NewPlayMode:CurrentPlayMode)
        GetCrossfadeMode(InstanceID:A_ARG_TYPE_InstanceID) -> CrossfadeMode:CurrentCrossfadeMode
        GetCurrentTransportActions(InstanceID:A_ARG_TYPE_InstanceID) -> Actions:CurrentTransportActions
        GetRemainingSleepTimerDuration(InstanceID:A_ARG_TYPE_InstanceID) ->
            RemainingSleepTimerDuration:Duration, CurrentSleepTimerGeneration:NumberOfTracks
        Stop(InstanceID:A_ARG_TYPE_InstanceID)
        Play(InstanceID:A_ARG_TYPE_InstanceID, Speed:TransportPlaySpeed)
        Pause(InstanceID:A_ARG_TYPE_InstanceID)
        Next(InstanceID:A_ARG_TYPE_InstanceID)
        Previous(InstanceID:A_ARG_TYPE_InstanceID)
        Seek(InstanceID:A_ARG_TYPE_InstanceID, Unit:A_ARG_TYPE_SeekMode, Target:A_ARG_TYPE_SeekTarget)
        BecomeCoordinatorOfStandaloneGroup(InstanceID:A_ARG_TYPE_InstanceID) ->
            DelegatedGroupCoordinatorID:GroupID, NewGroupID:GroupID
    """

    def __init__(self, player: Player, identity: Identity, boot_seq: int) -> None:
        self._player = player
        self._group = f"{identity.uid}:{boot_seq}"
        self._mode = "NORMAL"

    def evented(self) -> Args:
        player = self._player
        inner = (
            f'<TransportState val="{player.state}"/><TransportStatus val="{player.status}"/>'
            f'<CurrentPlayMode val="{self._mode}"/><CurrentCrossfadeMode val="0"/>'
            f'<NumberOfTracks val="{self._tracks()}"/><CurrentTrack val="{self._tracks()}"/>'
            f"<AVTransportURI val={quoteattr(player.uri)}/><CurrentTrackURI val={quoteattr(player.uri)}/>"
            f"<AVTransportURIMetaData val={quoteattr(player.metadata)}/>"
            f'<CurrentTransportActions val="{self._actions()}"/>'
        )
        return {
            "LastChange": '<Event xmlns="urn:schemas-upnp-org:metadata-1-0/AVT/" '
            'xmlns:r="urn:schemas-rinconnetworks-com:metadata-1-0/">'
            f'<InstanceID val="0">{inner}</InstanceID></Event>'
        }

    def _tracks(self) -> str:
        return "1" if self._player.uri else "0"

    def _actions(self) -> str:
        return "Set, Stop, Pause, Play" if self._player.uri else "Set, Stop, Play"

    def set_av_transport_uri(self, args: Args) -> None:
        self._player.set_uri(args["CurrentURI"], args["CurrentURIMetaData"])

    def get_media_info(self, _: Args) -> Args:
        return {
            "NrTracks": self._tracks(),
            "MediaDuration": "NOT_IMPLEMENTED",
            "CurrentURI": self._player.uri,
            "CurrentURIMetaData": self._player.metadata,
            "NextURI": "",
            "NextURIMetaData": "",
            "PlayMedium": "NETWORK" if self._player.uri else "NONE",
            "RecordMedium": "NOT_IMPLEMENTED",
            "WriteStatus": "NOT_IMPLEMENTED",
        }

    def get_transport_info(self, _: Args) -> Args:
        return {
            "CurrentTransportState": self._player.state,
            "CurrentTransportStatus": self._player.status,
            "CurrentSpeed": "1",
        }

    def get_position_info(self, _: Args) -> Args:
        seconds = int(self._player.report()["played_s"])
        return {
            "Track": self._tracks(),
            "TrackDuration": "0:00:00",
            "TrackMetaData": self._player.metadata,
            "TrackURI": self._player.uri,
            "RelTime": f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}",
            "AbsTime": "NOT_IMPLEMENTED",
            "RelCount": "2147483647",
            "AbsCount": "2147483647",
        }

    def get_transport_settings(self, _: Args) -> Args:
        return {"PlayMode": self._mode, "RecQualityMode": "NOT_IMPLEMENTED"}

    def set_play_mode(self, args: Args) -> None:
        self._mode = args["NewPlayMode"]

    def get_crossfade_mode(self, _: Args) -> Args:
        return {"CrossfadeMode": "0"}

    def get_current_transport_actions(self, _: Args) -> Args:
        return {"Actions": self._actions()}

    def get_remaining_sleep_timer_duration(self, _: Args) -> Args:
        return {"RemainingSleepTimerDuration": "", "CurrentSleepTimerGeneration": "0"}

    def stop(self, _: Args) -> None:
        if not self._player.uri:
            raise UpnpError(701)
        self._player.stop()

    def play(self, _: Args) -> None:
        self._player.play()

    def pause(self, _: Args) -> None:
        self._player.pause()

    def next(self, _: Args) -> None:
        raise UpnpError(701)  # one stream has no next track

    def previous(self, _: Args) -> None:
        raise UpnpError(701)

    def seek(self, _: Args) -> None:
        raise UpnpError(710 if self._player.uri else 701)  # a live stream cannot be sought

    def become_coordinator_of_standalone_group(self, _: Args) -> Args:
        return {"DelegatedGroupCoordinatorID": "", "NewGroupID": self._group}


class Services:
    """All services of one player, and the one place where changes become events."""

    def __init__(
        self, identity: Identity, player: Player, address: Callable[[], str], publish: Publish, boot_seq: int
    ) -> None:
        self.transport = AVTransport(player, identity, boot_seq)
        self.rendering = RenderingControl(self._rendering_changed)
        self.topology = ZoneGroupTopology(identity, address, boot_seq)
        self._publish = publish
        self._group_rendering = GroupRenderingControl(self.rendering)
        handlers = (
            DeviceProperties(identity, address, publish),
            self.topology,
            GroupManagement(identity, boot_seq),
            ConnectionManager(MEDIA_SERVER, "MediaServer"),
            ConnectionManager(MEDIA_RENDERER, "MediaRenderer"),
            self.rendering,
            self._group_rendering,
            self.transport,
        )
        self._handlers = {handler.entry.control: handler for handler in handlers}
        self.all = [Service(h.entry, h.variables, h.actions, h) for h in handlers]

    @property
    def entries(self) -> list[ServiceEntry]:
        return [service.entry for service in self.all]

    def evented(self, control: str) -> Args:
        """The evented variables of the service with that control URL, as they are now."""
        return self._handlers[control].evented()

    def _rendering_changed(self, name: str, variables: Args) -> None:
        self._publish(name, variables)
        self._publish("GroupRenderingControl", self._group_rendering.evented())

    def playback_changed(self) -> None:
        self._publish("AVTransport", self.transport.evented())

    def address_changed(self) -> None:
        self._publish("ZoneGroupTopology", self.topology.evented())
