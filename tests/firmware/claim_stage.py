# A bridge with one phone, and that phone's claims.
import json

import pktfilter
from check import equal, raises
from speakeasy.claim_server import Refused, Wrong
from speakeasy.claims import Claims
from speakeasy.files import Files
from speakeasy.onetime import OneTime
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.reached import Reached
from speakeasy.settings import Settings
from stage import BRIDGE_ID, MASK, ME, ROUTER, SEGMENT_MAC, STATION_MAC, Clock, X, claim_proof, open_proof

FAR = b"\x0a\x63\0\5"  # behind the router
FAR2 = b"\x0a\x63\0\6"


class Segment:
    state = "up"
    present = True


class Bridge:
    def __init__(self):
        self.segment = Segment()
        self.settings = Settings(Files(), BRIDGE_ID)
        self.phones = Phones(self.settings)
        self.phone = self.phones.draft("Ada's phone", "owner")
        self.phones.add(self.phone)
        self.id = bytes.fromhex(self.phone["id"])
        self.key = bytes.fromhex(self.phone["key"])
        self.policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        self.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
        self.clock = Clock()
        self.reached = Reached(Files(), self.phones, self.clock)
        self.reached.moved(X)
        self.tokens = OneTime(16, 60, self.clock)
        self.beats = 0
        self.opened = []  # for how long, each time
        self.boot()

    def boot(self):
        """Power came (again): what was in RAM is new."""
        self.claims = Claims(
            *(ME, self.phones, self.policy, self.segment, self.tokens, self.reached, self.opened.append, self.beat),
            now=self.clock,
            now_ms=lambda: int(self.clock.now * 1000),
        )
        self.server = self.claims._server

    def beat(self):
        self.beats += 1

    def other(self, role="owner"):
        """Another phone joins; from now on the claims are its."""
        self.phone = self.phones.draft("Bob's phone", role)
        self.phones.add(self.phone)
        self.id = bytes.fromhex(self.phone["id"])
        self.key = bytes.fromhex(self.phone["key"])

    def challenge(self, addr=FAR):
        answer = json.loads(self.claims.respond("GET", "/challenge", b"", addr, 5000)[3])
        equal(answer["bridge"], BRIDGE_ID.hex())
        return bytes.fromhex(answer["challenge"])

    def body(self, nonce=None, addr="", mac="", at=FAR, **other):
        """A good claim to be sent from `at`, but for what `other` says."""
        challenge = nonce or self.challenge(at)
        packed = bytes(int(part) for part in addr.split(".")) if addr else bytes(4)
        mac_packed = bytes(int(part, 16) for part in mac.split(":")) if mac else bytes(6)
        fields = {
            "phone": self.phone["id"],
            "challenge": challenge.hex(),
            "addr": addr,
            "mac": mac,
            "proof": claim_proof(self.key, self.id, challenge, packed, mac_packed),
        }
        fields.update(other)
        return json.dumps(fields).encode()

    def open_body(self, nonce=None, at=FAR, **other):
        """A good request for Bluetooth, but for what `other` says."""
        challenge = nonce or self.challenge(at)
        fields = {
            "phone": self.phone["id"],
            "challenge": challenge.hex(),
            "proof": open_proof(self.key, self.id, challenge),
        }
        fields.update(other)
        return json.dumps(fields).encode()

    def ask(self, path, body, addr=FAR):
        """What a good request is answered."""
        status, kind, _, answer = self.claims.respond("POST", path, body, addr, 5000)
        equal((status, kind), (200, "application/json"))
        return json.loads(answer)

    def claim(self, body, addr=FAR):
        return self.ask("/claim", body, addr)

    def wrong(self, body, word="bad-proof", path="/claim", addr=FAR):
        before = ([lease[:2] for lease in pktfilter.leases()], list(self.opened))
        with raises(Wrong) as caught:
            self.claims.respond("POST", path, body, addr, 5000)
        equal((caught.value.status, caught.value.word), (403, word))
        equal(([lease[:2] for lease in pktfilter.leases()], self.opened), before)

    def refused(self, status, word, body, path="/claim", method="POST", addr=FAR):
        with raises(Refused) as caught:
            self.claims.respond(method, path, body, addr, 5000)
        equal((caught.value.status, caught.value.word), (status, word))
        assert not isinstance(caught.value, Wrong)


def token_body(token):
    return json.dumps({"token": token.hex()}).encode()
