"""What a phone may ask for inside a session (SPEC 2.4). `rights` is asked before anything else is looked at."""

import json
import os

from . import codes, inet, rights
from .eventlog import log
from .onetime import OneTime
from .phones import Full, LastOwner
from .policy import CLAIM_PORT
from .session import MAX_TEXT, MODE_INVITE, MODE_PHONE, MODE_SETUP
from .settings import MODES, OWNER, PHONE_ID_BYTES, ROLES, is_hex, is_hosts, is_name, is_network

MAX_REQUEST_ID = 0x7FFFFFFF
MAX_INVITES = 4
INVITE_S = 600
INVITE_ID_BYTES = 8
INVITE_SECRET_BYTES = 16
MAX_TOKENS = 16
TOKEN_S = 60
TOKEN_BYTES = 16

_ENVELOPE = 64  # bytes: what id, ok and more take beside a page's own text
_MAX_PAGE = 255


class Refusal(Exception):
    """An answer with "ok": false; `word` for the program, `say` for the person."""

    def __init__(self, word: str, say: str) -> None:
        super().__init__(word)
        self.word = word
        self.say = say


class Caller:
    """Who is at the other end of a session: `mode` and `key_id` of its handshake; then what it asked to enrol."""

    def __init__(self, mode: int, key_id: bytes) -> None:
        self.mode = mode
        self.key_id = key_id
        self.draft: dict | None = None
        self.done = False  # enrolled: this session has nothing left to do
        self.leaving = False  # the bridge shall disconnect after the answer


class Operations:
    """`answer(caller, text)` turns a request's text into an answer's. Invites and tokens live here, in RAM."""

    def __init__(self, identity, settings, phones, policy, uplink, status, random=os.urandom) -> None:
        self._identity = identity
        self._settings = settings
        self._phones = phones
        self._policy = policy
        self._uplink = uplink
        self._status = status
        self._random = random
        self.invites = OneTime(MAX_INVITES, INVITE_S)  # invite id -> (secret, role)
        self.tokens = OneTime(MAX_TOKENS, TOKEN_S)  # token -> phone id (hex)

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
        number = 0
        try:
            request = _parse(text)
            number = _number(request)
            op = request.get("op", "")
            if not rights.known(op):
                raise Refusal(
                    "bad-request", "This bridge knows no such request; is its firmware older than your program?"
                )
            if not rights.allowed(op, self.role(caller)):
                raise Refusal("not-allowed", "This phone may not do that; ask an owner of the bridge.")
            answer = getattr(self, "do_" + op)(caller, request)
            answer["ok"] = True
        except Refusal as e:
            answer = {"ok": False, "error": e.word, "say": e.say}
        except OSError as e:
            log("operations", "a request failed: error %d" % (e.errno or 0))
            answer = {
                "ok": False,
                "error": "failed",
                "say": "The bridge could not do that (flash or radio); try again.",
            }
        answer["id"] = number
        return json.dumps(answer).encode()

    # One method an operation, `do_` and its name; `rights.TABLE` lists them.

    def do_enrol(self, caller: Caller, request: dict) -> dict:
        """Draft a phone; it counts for nothing until `confirm`."""
        role = self._enrolling(caller)
        name = request.get("name")
        if not is_name(name):
            raise Refusal("bad-request", "A phone's name has 1 to 32 characters.")
        if self._phones.full():
            raise _full()
        draft = caller.draft = self._phones.draft(name, role)
        return {"phone": draft["id"], "key": draft["key"], "role": role}

    def do_confirm(self, caller: Caller, _request: dict) -> dict:
        """Save the drafted phone; the code or the invite is used up."""
        self._enrolling(caller)
        draft = caller.draft
        if draft is None:
            raise Refusal("bad-request", "Nothing to confirm: enrol first.")
        try:
            self._phones.add(draft)
        except Full:
            raise _full() from None
        caller.draft = None
        caller.done = True
        if caller.mode == MODE_INVITE:
            self.invites.take(caller.key_id)
        log("operations", "phone %s is enrolled: %s" % (draft["id"], draft["role"]))
        return {}

    def do_status(self, _caller: Caller, request: dict) -> dict:
        """All about the bridge; its leases in pages."""
        answer = self._status.answer()
        return _paged(answer, "leases", self._status.leases(), request)

    def do_counters(self, _caller: Caller, request: dict) -> dict:
        """What the filter counted, by name, in pages."""
        counted = [(name, count) for name, count in sorted(self._policy.counters().items()) if count > 0]
        answer = _paged({}, "counters", counted, request)
        answer["counters"] = dict(answer["counters"])
        return answer

    def do_token(self, caller: Caller, _request: dict) -> dict:
        """A token that makes a claim without a key, for a browser."""
        addr = self._policy.addr
        if addr == inet.ZERO:
            raise Refusal("busy", "The bridge is in no network now, a token would lead nowhere; let it join one first.")
        token = self._random(TOKEN_BYTES)
        self.tokens.put(token, caller.key_id.hex())
        return {"token": token.hex(), "url": "http://%s:%d/t#%s" % (inet.text(addr), CLAIM_PORT, token.hex())}

    def do_phones(self, _caller: Caller, request: dict) -> dict:
        """The registry without its keys, in pages."""
        listed = [{"phone": p["id"], "name": p["name"], "role": p["role"]} for p in self._phones.all()]
        return _paged({}, "phones", listed, request)

    def do_invite(self, _caller: Caller, request: dict) -> dict:
        """A one-time code with a role in it, to be given to somebody."""
        role = request.get("role")
        if role not in ROLES:
            raise Refusal("bad-request", "An invite is for an owner or a guest.")
        invite_id = self._random(INVITE_ID_BYTES)
        secret = self._random(INVITE_SECRET_BYTES)
        self.invites.put(invite_id, (secret, role))
        log("operations", "an invite was made: %s" % role)
        return {"invite": codes.encode(invite_id + secret), "expires_s": INVITE_S}

    def do_revoke(self, _caller: Caller, request: dict) -> dict:
        """Strike a phone off; its leases and flows are gone when this returns."""
        phone_id = request.get("phone", "")
        if not is_hex(phone_id, PHONE_ID_BYTES):
            raise Refusal("bad-request", "A phone is named by its id, 16 hex digits; list the phones.")
        self._strike(phone_id)
        return {}

    def do_leave(self, caller: Caller, _request: dict) -> dict:
        """Strike off the phone that asks."""
        self._strike(caller.key_id.hex())
        return {}

    def do_join(self, _caller: Caller, request: dict) -> dict:
        """Join a network, and remember it once it has let the bridge in."""
        network = {"ssid": request.get("ssid"), "key": request.get("key")}
        if not is_network(network):
            raise Refusal(
                "bad-request", "A network's name has 1 to 32 bytes; its key is empty or has 8 to 63 characters."
            )
        self._uplink.join(network["ssid"], network["key"])
        return {}

    def do_addressing(self, _caller: Caller, request: dict) -> dict:
        """The addressing mode, the local hosts that the speaker may reach, or both; in force when this returns."""
        settings = self._settings
        mode = request.get("mode", settings.mode)
        hosts = request.get("hosts", settings.hosts)
        if mode not in MODES:
            raise Refusal("bad-request", "The mode is passthrough or private; nothing was changed.")
        if not is_hosts(hosts):
            raise Refusal(
                "bad-request", "Local hosts are named by their IPv4 addresses, at most 8; nothing was changed."
            )
        if (mode, hosts) != (settings.mode, settings.hosts):
            settings.change(mode=mode, hosts=hosts)
            log("operations", "addressing is %s; the speaker may reach %d local hosts" % (mode, len(hosts)))
            self._policy.addressing(mode, hosts)
        return {"mode": mode, "hosts": hosts}

    def do_bye(self, caller: Caller, _request: dict) -> dict:
        """The bridge disconnects after the answer."""
        caller.leaving = True
        return {}

    def _enrolling(self, caller: Caller) -> str:
        # The role that the session's secret is good for, now: an owner may have come, an invite may have expired.
        if caller.done:
            raise Refusal("not-allowed", "This phone is enrolled already; connect again with its key.")
        if caller.mode == MODE_SETUP:
            if self._phones.owned():
                raise Refusal("not-allowed", "The bridge has an owner by now; ask the owner for an invite.")
            return OWNER
        invite = self.invites.peek(caller.key_id)
        if invite is None:
            raise Refusal("not-found", "The invite has expired or was used; ask for a new one.")
        return invite[0][1]

    def _strike(self, phone_id: str) -> None:
        try:
            if not self._phones.remove(phone_id):
                raise Refusal("not-found", "The bridge knows no such phone; list the phones.")
        except LastOwner:
            raise Refusal(
                "last-owner", "This is the last owner: nobody could manage the bridge. Make another owner first."
            ) from None
        self.tokens.drop(lambda owner: owner == phone_id)
        flows = self._policy.revoke(phone_id)
        log("operations", "phone %s was revoked; %d flows ended" % (phone_id, flows))


def _full() -> Refusal:
    return Refusal("full", "The bridge knows 16 phones, which is all it can; revoke one first.")


def _parse(text: bytes) -> dict:
    try:
        request = json.loads(text.decode())
    except ValueError:  # UnicodeError, too
        request = None
    if not isinstance(request, dict):
        raise Refusal("bad-request", "A request is a JSON object.")
    return request


def _number(request: dict) -> int:
    number = request.get("id")
    if type(number) is not int or not 0 <= number <= MAX_REQUEST_ID:
        raise Refusal("bad-request", "A request has an id, an integer from 0 to 2147483647.")
    return number


def _paged(answer: dict, name: str, items: list, request: dict) -> dict:
    # As many items a page as fit into one record; pages are found by walking, so that they depend on the list alone.
    wanted = request.get("page", 0)
    if type(wanted) is not int or not 0 <= wanted <= _MAX_PAGE:
        raise Refusal("bad-request", "A page is an integer from 0 to %d." % _MAX_PAGE)
    answer[name] = []
    room = MAX_TEXT - _ENVELOPE - len(json.dumps(answer).encode())
    page = 0
    used = 0
    chosen = []
    more = False
    for item in items:
        size = len(json.dumps(item).encode()) + 2
        if used and used + size > room:
            if page == wanted:
                more = True
                break
            page += 1
            used = 0
        used += size
        if page == wanted:
            chosen.append(item)
    answer[name] = chosen
    if more:
        answer["more"] = True
    return answer
