"""UPnP control (UPnP Device Architecture 1.0/1.1, section 3) from tables: SCPD out, SOAP in, errors as prescribed."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from dorm.speaker.description import XML_HEADER, ServiceEntry

BODY_LIMIT = 64 * 1024  # bytes of a request
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_SIGNATURE = re.compile(r"^(\w+)\(([^)]*)\)(?: -> (.*))?$")
_NEXT_ACTION = re.compile(r"\n\s*(?=\w+\()")
_RANGES = {"ui1": (0, 2**8 - 1), "ui2": (0, 2**16 - 1), "ui4": (0, 2**32 - 1), "i2": (-(2**15), 2**15 - 1)}

DESCRIPTIONS = {
    401: "Invalid Action",
    402: "Invalid Args",
    501: "Action Failed",
    600: "Argument Value Invalid",
    601: "Argument Value Out of Range",
    701: "Transition not available",
    710: "Seek mode not supported",
    714: "Illegal MIME-type",
    718: "Invalid InstanceID",
}


class UpnpError(Exception):
    """An error that goes back to the control point: `code` as UPnP numbers them."""

    def __init__(self, code: int) -> None:
        super().__init__(f"UPnP error {code}: {DESCRIPTIONS.get(code, 'unknown')}")
        self.code = code


@dataclass(frozen=True)
class Variable:
    """A state variable of a service: UPnP data type, allowed values or range, evented by itself or not."""

    type: str = "string"
    allowed: tuple[str, ...] = ()
    range: tuple[int, int] | None = None
    evented: bool = False

    def check(self, value: str) -> str:
        """Returns the value in its plain form. Raises UpnpError when it is of the wrong type or not allowed."""
        if self.type == "boolean":
            if value.lower() not in ("0", "1", "true", "false", "yes", "no"):
                raise UpnpError(402)
            return "1" if value.lower() in ("1", "true", "yes") else "0"
        if self.type in _RANGES:
            try:
                number = int(value)
            except ValueError:
                raise UpnpError(402) from None
            low, high = self.range or _RANGES[self.type]
            if not low <= number <= high:
                raise UpnpError(601)
            return str(number)
        if self.allowed and value not in self.allowed:
            raise UpnpError(600)
        return value


@dataclass(frozen=True)
class Action:
    """An action: (argument, state variable) pairs in and out."""

    name: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]

    @property
    def method(self) -> str:
        """SetAVTransportURI -> set_av_transport_uri; GetCurrentConnectionIDs -> get_current_connection_ids"""
        return re.sub(
            r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", re.sub(r"IDs$", "Ids", self.name)
        ).lower()


Handler = Callable[[dict[str, str]], dict[str, str] | None]


class Service:
    """One service: what it has (tables) and what does it (`handlers`: an object with a method for each action).

    `actions`: lines like "GetVolume(InstanceID:A, Channel:B) -> CurrentVolume:C", each argument with its state
    variable; a line may go on in the next one.
    """

    def __init__(self, entry: ServiceEntry, variables: dict[str, Variable], actions: str, handlers: object) -> None:
        self.entry = entry
        self.variables = variables
        lines = _NEXT_ACTION.split(actions.strip()) if actions else []
        self.actions = {action.name: action for action in map(_parse_action, lines)}
        self._handlers: dict[str, Handler] = {
            name: getattr(handlers, action.method) for name, action in self.actions.items()
        }
        for action in self.actions.values():
            for _, variable in action.inputs + action.outputs:
                variables[variable]  # an action's argument without its variable is a mistake of ours: KeyError at start

    def scpd(self) -> str:
        """The service's description, XML."""

        def argument(name: str, direction: str, variable: str) -> str:
            return (
                f"<argument><name>{name}</name><direction>{direction}</direction>"
                f"<relatedStateVariable>{variable}</relatedStateVariable></argument>"
            )

        def state_variable(name: str, variable: Variable) -> str:
            allowed = "".join(f"<allowedValue>{escape(value)}</allowedValue>" for value in variable.allowed)
            more = f"<allowedValueList>{allowed}</allowedValueList>" if allowed else ""
            if variable.range is not None:
                low, high = variable.range
                more += (
                    f"<allowedValueRange><minimum>{low}</minimum><maximum>{high}</maximum><step>1</step>"
                    "</allowedValueRange>"
                )
            return (
                f'<stateVariable sendEvents="{"yes" if variable.evented else "no"}"><name>{name}</name>'
                f"<dataType>{variable.type}</dataType>{more}</stateVariable>"
            )

        states = "".join(state_variable(name, variable) for name, variable in self.variables.items())
        actions = "".join(
            f"<action><name>{action.name}</name><argumentList>"
            + "".join(argument(name, "in", variable) for name, variable in action.inputs)
            + "".join(argument(name, "out", variable) for name, variable in action.outputs)
            + "</argumentList></action>"
            for action in self.actions.values()
        )
        return (
            f'{XML_HEADER}<scpd xmlns="urn:schemas-upnp-org:service-1-0">'
            "<specVersion><major>1</major><minor>0</minor></specVersion>"
            f"<serviceStateTable>{states}</serviceStateTable><actionList>{actions}</actionList></scpd>\n"
        )

    def control(self, soap_action: str, body: bytes) -> str:
        """Does what a SOAP request asks for; returns the answer's body. Raises UpnpError."""
        name, given = self._parse(soap_action, body)
        action = self.actions.get(name)
        if action is None:
            raise UpnpError(401)
        # Sonos players do not insist on the order of arguments; neither on there being no others.
        arguments = {}
        for argument, variable in action.inputs:
            if argument not in given:
                raise UpnpError(402)
            arguments[argument] = self.variables[variable].check(given[argument])
        if arguments.get("InstanceID", "0") != "0":
            raise UpnpError(718)
        results = self._handlers[name](arguments) or {}
        inner = "".join(f"<{out}>{escape(results[out])}</{out}>" for out, _ in action.outputs)
        return (
            f'{XML_HEADER}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
            f'<u:{name}Response xmlns:u="{self.entry.type}">{inner}</u:{name}Response></s:Body></s:Envelope>'
        )

    def _parse(self, soap_action: str, body: bytes) -> tuple[str, dict[str, str]]:
        service, _, name = soap_action.strip().strip('"').partition("#")
        try:
            envelope = ET.fromstring(body)
        except (ET.ParseError, ValueError):
            raise UpnpError(402) from None
        inner = envelope.find(f"{_SOAP}Body")
        if service != self.entry.type or inner is None or len(inner) != 1:
            raise UpnpError(401)
        if inner[0].tag != f"{{{self.entry.type}}}{name}":
            raise UpnpError(401)
        return name, {child.tag: child.text or "" for child in inner[0]}


def fault(error: UpnpError) -> str:
    """The body of the answer (HTTP status 500) to a request that failed."""
    return (
        f'{XML_HEADER}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><s:Fault>'
        "<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        f'<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{error.code}</errorCode>'
        "</UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    )


def _parse_action(line: str) -> Action:
    match = _SIGNATURE.match(" ".join(line.split()))
    if match is None:
        raise ValueError(f"not an action: {line!r}")

    def pairs(text: str | None) -> tuple[tuple[str, str], ...]:
        words = [word.strip() for word in (text or "").split(",") if word.strip()]
        return tuple((name, variable) for name, _, variable in (word.partition(":") for word in words))

    return Action(match[1], pairs(match[2]), pairs(match[3]))
