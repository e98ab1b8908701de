"""What a phone may ask for inside a session (SPEC 2.4). `rights` is asked before anything else is looked at.

The operations themselves stand in `op_phones`, `op_network` and `op_bridge`.
"""

import json

from . import crypto, rights
from .eventlog import log, number
from .op_bridge import BridgeOperations
from .op_network import NetworkOperations
from .op_phones import PhoneOperations
from .request import Caller, Refusal
from .session import MAX_TEXT, MODE_PHONE

MAX_REQUEST_ID = 0x7FFFFFFF


class Operations:
    """`answer(caller, text)` turns a request's text into an answer's. `files`: the flash, for the factory reset.
    `reached` hears of owners who were told where the bridge is."""

    def __init__(
        self, identity, settings, phones, policy, uplink, segment, status, invites, files, reached, random=crypto.random
    ) -> None:
        self._phones = phones
        about_phones = PhoneOperations(phones, policy, invites, random)
        themes = (
            about_phones,
            NetworkOperations(settings, policy, uplink, segment),
            BridgeOperations(identity, phones, policy, status, files, reached),
        )
        self.invites = invites
        self.tokens = about_phones.tokens
        self._methods = {op: _method(themes, "do_" + op) for op in rights.TABLE}

    def role(self, caller: Caller) -> str | None:
        """The caller's role now; None for a phone that is not in the registry any more."""
        if caller.mode != MODE_PHONE:
            return rights.NEW
        phone = self._phones.find(caller.key_id.hex())
        return phone["role"] if phone else None

    def name(self, caller: Caller) -> str | None:
        """The caller's name; None for one that is not enrolled."""
        phone = self._phones.find(caller.key_id.hex()) if caller.mode == MODE_PHONE else None
        return phone["name"] if phone else None

    def answer(self, caller: Caller, text: bytes) -> bytes:
        """The answer to one request. Never raises for what a phone sent; what fails inside is answered `failed`."""
        n = 0
        try:
            request = _parse(text)
            n = _number(request)
            op = request.get("op", "")
            if not rights.known(op):
                raise Refusal(
                    "bad-request", "This bridge knows no such request; is its firmware older than your program?"
                )
            if not rights.allowed(op, self.role(caller)):
                raise Refusal("not-allowed", "This phone may not do that; ask an owner of the bridge.")
            answer = self._methods[op](caller, request)
            answer["ok"] = True
        except Refusal as e:
            answer = {"ok": False, "error": e.word, "say": e.say}
        except (OSError, MemoryError, RuntimeError) as e:
            log("operations", "what a phone asked for failed: %s %d" % (type(e).__name__, number(e)))
            answer = _failed("The bridge could not do that (flash, radio or memory); try again.")
        answer["id"] = n
        raw = json.dumps(answer).encode()
        if len(raw) > MAX_TEXT:
            log("operations", "an answer to a phone was too long to be sent: %d bytes" % len(raw))
            raw = json.dumps(dict(_failed("The bridge's answer is too long to be sent."), id=n)).encode()
        return raw


def _method(themes: tuple, name: str):
    for theme in themes:
        if hasattr(theme, name):
            return getattr(theme, name)
    raise AttributeError(name)


def _failed(say: str) -> dict:
    return {"ok": False, "error": "failed", "say": say}


def _parse(text: bytes) -> dict:
    try:
        request = json.loads(text.decode())
    except ValueError:  # UnicodeError, too
        request = None
    if not isinstance(request, dict):
        raise Refusal("bad-request", "A request is a JSON object.")
    for name, value in request.items():
        if isinstance(value, str):
            request[name] = _joined(value)
        elif isinstance(value, list):
            request[name] = [_joined(item) if isinstance(item, str) else item for item in value]
    return request


def _joined(text: str) -> str:
    # Characters beyond U+FFFF that came as two escapes (RFC 8259, section 7): MicroPython leaves them two.
    joined: list = []
    high = 0
    for c in text:
        code = ord(c)
        if high and 0xDC00 <= code < 0xE000:
            joined.pop()
            c = chr(0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF))
        high = code if 0xD800 <= code < 0xDC00 else 0
        joined.append(c)
    return "".join(joined)


def _number(request: dict) -> int:
    number = request.get("id")
    if type(number) is not int or not 0 <= number <= MAX_REQUEST_ID:
        raise Refusal("bad-request", "A request has an id, an integer from 0 to 2147483647.")
    return number
