"""The operations about phones (SPEC 2.4): who is let in, by which invite, under which name; and their tokens."""

from . import codes, crypto, inet
from .eventlog import log
from .onetime import OneTime
from .phones import Full, LastOwner
from .policy import CLAIM_PORT
from .request import Caller, Refusal, paged
from .session import MODE_INVITE, MODE_SETUP
from .settings import GUEST, OWNER, PHONE_ID_BYTES, ROLES, is_hex, is_name

MAX_INVITES = 4
INVITE_S = 600
INVITE_LEAST_S = 60
INVITE_MOST_S = 3600
INVITE_ID_BYTES = 8
INVITE_SECRET_BYTES = 16
MAX_TOKENS = 16
TOKEN_S = 60
TOKEN_BYTES = 16

_LINK = "speakeasy:#invite="


class PhoneOperations:
    """One method an operation, `do_` and its name. Tokens live here, in RAM.

    `invites`: OneTime, invite id -> (secret, role, who made it); while one is out, Bluetooth is open for it.
    """

    def __init__(self, phones, policy, invites, random=crypto.random) -> None:
        self._phones = phones
        self._policy = policy
        self._random = random
        self.invites = invites
        self.tokens = OneTime(MAX_TOKENS, TOKEN_S)  # token -> phone id (hex)

    def do_enrol(self, caller: Caller, request: dict) -> dict:
        """Draft a phone; it counts for nothing until `confirm`."""
        role = self._enrolling(caller)
        name = request.get("name")
        if not is_name(name):
            raise _bad_name()
        if self._phones.full():
            raise _full()
        draft = caller.draft = self._phones.draft(name, role)
        return {"phone": draft["id"], "key": draft["key"], "role": role}

    def do_confirm(self, caller: Caller, _request: dict) -> dict:
        """Save the drafted phone; the code or the invite is used up."""
        role = self._enrolling(caller)
        draft = caller.draft
        if draft is None:
            raise Refusal("bad-request", "Nothing to confirm: enrol first.")
        if draft["role"] != role:
            raise Refusal("not-allowed", "The bridge has got an owner meanwhile; enrol again.")
        try:
            self._phones.add(draft)
        except Full:
            raise _full() from None
        caller.draft = None
        caller.done = True
        if caller.mode == MODE_INVITE:
            self.invites.take(caller.key_id)
        log("operations", "phone %s is paired: %s" % (draft["id"], draft["role"]))
        return {}

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
        return paged({}, "phones", listed, request)

    def do_invite(self, caller: Caller, request: dict) -> dict:
        """A one-time code with a role in it, to be given to somebody."""
        role = request.get("role")
        if role not in ROLES:
            raise Refusal("bad-request", "An invite is for an owner or a guest.")
        span_s = request.get("expires_s", INVITE_S)
        if type(span_s) is not int or not INVITE_LEAST_S <= span_s <= INVITE_MOST_S:
            raise Refusal("bad-request", "An invite is good for %d to %d seconds." % (INVITE_LEAST_S, INVITE_MOST_S))
        if self._phones.full():
            raise _full()  # nobody could use it
        if len(self.invites) >= MAX_INVITES:
            raise Refusal(
                "full", "%d invites are out; call them back, or wait until one is used or expires." % MAX_INVITES
            )
        invite_id = self._random(INVITE_ID_BYTES)
        secret = self._random(INVITE_SECRET_BYTES)
        self.invites.put(invite_id, (secret, role, caller.key_id.hex()), span_s)
        log("operations", "an owner made an invite: for one %s, for %d s" % (role, span_s))
        text = codes.encode(invite_id + secret)
        return {"invite": text, "link": _LINK + text, "expires_s": span_s}

    def do_uninvite(self, _caller: Caller, _request: dict) -> dict:
        """Call back every invite that is out."""
        self.invites.drop(lambda _: True)
        log("operations", "an owner called all invites back")
        return {}

    def do_rename(self, _caller: Caller, request: dict) -> dict:
        """Another name for a phone."""
        phone_id = _phone_id(request)
        name = request.get("name")
        if not is_name(name):
            raise _bad_name()
        if not self._phones.rename(phone_id, name):
            raise _unknown()
        log("operations", "phone %s has another name" % phone_id)
        return {}

    def do_revoke(self, _caller: Caller, request: dict) -> dict:
        """Strike a phone off; its leases and flows are gone when this returns."""
        self._strike(_phone_id(request))
        return {}

    def do_leave(self, caller: Caller, _request: dict) -> dict:
        """Strike off the phone that asks."""
        self._strike(caller.key_id.hex())
        return {}

    def _enrolling(self, caller: Caller) -> str:
        # The role that the session's secret is good for, now: an owner may have come, an invite may have expired.
        if caller.done:
            raise Refusal("not-allowed", "This phone is enrolled already; connect again with its key.")
        if caller.mode == MODE_SETUP:
            if not self._phones.owned():
                return OWNER
            if caller.window:
                return GUEST
            raise Refusal("not-allowed", "The bridge has an owner by now; ask the owner for an invite.")
        invite = self.invites.peek(caller.key_id)
        if invite is None:
            raise Refusal("not-found", "The invite has expired or was used; ask for a new one.")
        return invite[0][1]

    def _strike(self, phone_id: str) -> None:
        try:
            if not self._phones.remove(phone_id):
                raise _unknown()
        except LastOwner:
            raise Refusal(
                "last-owner",
                "This is the last owner: nobody could manage the bridge. Invite another owner first, or, to give the "
                "bridge away, reset it.",
            ) from None
        # What it gave out goes with it: else a revoked owner would come back by an invite.
        self.tokens.drop(lambda owner: owner == phone_id)
        self.invites.drop(lambda invite: invite[2] == phone_id)
        flows = self._policy.revoke(phone_id)
        log("operations", "phone %s is shut out; %d of its connections were cut" % (phone_id, flows))


def _phone_id(request: dict) -> str:
    phone_id = request.get("phone", "")
    if not is_hex(phone_id, PHONE_ID_BYTES):
        raise Refusal("bad-request", "A phone is named by its id, 16 hex digits; list the phones.")
    return phone_id


def _bad_name() -> Refusal:
    return Refusal("bad-request", "A phone's name has 1 to 32 characters.")


def _unknown() -> Refusal:
    return Refusal("not-found", "The bridge knows no such phone; list the phones.")


def _full() -> Refusal:
    return Refusal("full", "The bridge knows 16 phones, which is all it can; an owner has to revoke one first.")
