"""Claims: a phone proves on Wi-Fi who it is and gets its lease; an owner opens Bluetooth (SPEC 3).

`Claims.respond` is the whole of it without a socket.
"""

import json

from micropython import const

from . import claim_pages, clock, crypto, inet
from .claim_server import Refused, Server, Wrong, success
from .policy import CLAIM_PORT, LEASE_S, Full, Relayed, Unseen
from .settings import OWNER, PHONE_ID_BYTES, PHONE_KEY_BYTES, is_hex

CHALLENGE_S = 30
CHALLENGE_BYTES = 16
TOKEN_BYTES = 16
OPEN_S = 300

_TIME_BYTES = const(6)
_PROOF_BYTES = const(32)
_NO_MAC = b"\0\0\0\0\0\0"

_PAGES = {"/t": claim_pages.TOKEN, "/p": claim_pages.VISIT}
_METHODS = {"/challenge": "GET", "/t": "GET", "/p": "GET", "/claim": "POST", "/open": "POST", "/token": "POST"}


class Claims:
    """`segment`: who is let in is told whether there is a speaker. `tokens`: the OneTime that the session's operation
    `token` fills. `reached` is told of owners who have come. `open_bluetooth(seconds)`: lets phones in over Bluetooth
    for so long."""

    def __init__(
        self,
        identity,
        phones,
        policy,
        segment,
        tokens,
        reached,
        open_bluetooth,
        beat,
        random=crypto.random,
        now=clock.seconds,
        now_ms=clock.milliseconds,
    ) -> None:
        self._identity = identity
        self._phones = phones
        self._policy = policy
        self._segment = segment
        self._tokens = tokens
        self._reached = reached
        self._open_bluetooth = open_bluetooth
        self._random = random
        self._now_ms = now_ms
        self._boot_key = random(32)
        self._issued = 0  # the time in the last challenge
        self._used: dict = {}  # phone id (hex) -> the time in the challenge of its last good proof
        self._server = Server(self.respond, beat, now)

    async def run(self, host: str = "0.0.0.0", port: int = CLAIM_PORT) -> None:
        """Serve for ever."""
        await self._server.run(host, port)

    def respond(self, method: str, path: str, body: bytes, addr: bytes, port: int) -> tuple:
        """Answer one request that came from `addr`:`port`: (status, type, extra headers, body). Refused or Wrong."""
        wanted = _METHODS.get(path)
        if wanted is None:
            raise Refused(404, "not-found")
        if method != wanted:
            raise Refused(405, "bad-method")
        if path == "/challenge":
            return success({"bridge": self._identity.bridge_id.hex(), "challenge": self._challenge(addr).hex()})
        page = _PAGES.get(path)
        if page is not None:
            return 200, "text/html; charset=utf-8", claim_pages.headers(page), page
        given = _object(body)
        if path == "/claim":
            return self._claim(given, addr, port)
        if path == "/open":
            return self._open(given, addr)
        return self._token(given, addr, port)

    # A challenge is a time and its tag: none has to be remembered, so nobody can push another's out.
    def _challenge(self, addr: bytes) -> bytes:
        self._issued = max(self._now_ms(), self._issued + 1)  # no two alike
        time = self._issued.to_bytes(_TIME_BYTES, "big")
        return time + self._tag(time, addr)

    def _tag(self, time: bytes, addr: bytes) -> bytes:
        return crypto.hmac(self._boot_key, time, addr)[: CHALLENGE_BYTES - _TIME_BYTES]

    def _issued_at(self, challenge: bytes, addr: bytes) -> int | None:
        # The time in a challenge of ours to that address that is still good.
        if not crypto.equal(self._tag(challenge[:_TIME_BYTES], addr), challenge[_TIME_BYTES:]):
            return None
        time = int.from_bytes(challenge[:_TIME_BYTES], "big")
        return time if self._now_ms() - time < CHALLENGE_S * 1000 else None

    def _proved(self, given: dict, addr: bytes, purpose: bytes, more: bytes = b"") -> tuple:
        """(phone id in hex, answer): `answer(number)` is what tells the phone that we know its key, too."""
        phone_id, challenge, proof = [given.get(k, "") for k in ("phone", "challenge", "proof")]
        if not (
            is_hex(phone_id, PHONE_ID_BYTES) and is_hex(challenge, CHALLENGE_BYTES) and is_hex(proof, _PROOF_BYTES)
        ):
            raise Refused(400, "bad-request")
        phone = bytes.fromhex(phone_id)
        nonce = bytes.fromhex(challenge)
        time = self._issued_at(nonce, addr)
        if time is None:
            raise Wrong(403, "bad-proof")
        phone_key = self._phones.key(phone)
        # The same work for a phone that does not exist.
        key = crypto.hkdf(b"", phone_key or self._random(PHONE_KEY_BYTES), b"speakeasy " + purpose + b" 1", 32)
        right = crypto.hmac(key, self._identity.bridge_id, phone, nonce, more)
        if not crypto.equal(right, bytes.fromhex(proof)) or phone_key is None:
            raise Wrong(403, "bad-proof")
        # Good once, whatever comes of it. And nothing older is good after it: no list of what was used is needed.
        if time <= self._used.get(phone_id, -1):
            raise Wrong(403, "bad-proof")
        self._used = {other: t for other, t in self._used.items() if self._phones.find(other)}
        self._used[phone_id] = time
        return phone_id, lambda number: crypto.hmac(key, b"answer", nonce, number.to_bytes(4, "big")).hex()

    def _claim(self, given: dict, addr: bytes, port: int) -> tuple:
        believed = _bytes_of(given.get("addr", ""), inet.parse, inet.ZERO)
        mac = _bytes_of(given.get("mac", ""), inet.parse_mac, _NO_MAC)
        phone_id, answer = self._proved(given, addr, b"claim", believed + mac)
        if believed not in (inet.ZERO, addr):
            raise Refused(409, "moved")
        told = self._grant(phone_id, addr, port, None if mac == _NO_MAC else mac)
        if self._is_owner(phone_id):
            self._reached.by_owner()
        told["answer"] = answer(LEASE_S)
        return success(told)

    def _open(self, given: dict, addr: bytes) -> tuple:
        phone_id, answer = self._proved(given, addr, b"open")
        if not self._is_owner(phone_id):
            raise Refused(403, "not-allowed")
        self._reached.by_owner()
        self._open_bluetooth(OPEN_S)
        return success({"open_s": OPEN_S, "answer": answer(OPEN_S)})

    def _is_owner(self, phone_id: str) -> bool:
        return self._phones.find(phone_id)["role"] == OWNER

    def _token(self, given: dict, addr: bytes, port: int) -> tuple:
        token = given.get("token", "")
        if not is_hex(token, TOKEN_BYTES):
            raise Refused(400, "bad-request")
        owner = self._tokens.take(bytes.fromhex(token))
        if owner is None or self._phones.find(owner[0]) is None:
            raise Wrong(403, "bad-token")
        return success(self._grant(owner[0], addr, port, None))

    def _grant(self, phone_id: str, addr: bytes, port: int, mac: bytes | None) -> dict:
        try:
            by_mac = self._policy.grant(phone_id, addr, port, mac)
        except Full:
            raise Refused(503, "full") from None
        except Unseen:
            raise Refused(503, "unseen") from None
        except Relayed:
            raise Refused(409, "relayed") from None
        except (OSError, ValueError):
            raise Refused(503, "failed") from None
        return {
            "addr": inet.text(addr),
            "lease_s": LEASE_S,
            "by": "mac" if by_mac else "address",
            "name": self._phones.find(phone_id)["name"],
            "segment": self._segment.state,
            "speaker": self._segment.present,
        }


def _bytes_of(text, parse, nothing: bytes) -> bytes:
    # What is optional: "" means `nothing`.
    if text == "":
        return nothing
    try:
        return parse(text)
    except (ValueError, AttributeError, TypeError):
        raise Refused(400, "bad-request") from None


def _object(body: bytes) -> dict:
    try:
        given = json.loads(body.decode())
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused(400, "bad-request")
    return given
