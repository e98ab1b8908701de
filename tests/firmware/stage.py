# What several tests stand on: clocks that are turned by hand, flashes that lose power, phones with known keys.
import binascii
import os
import sys

from speakeasy import codes, crypto, session, x25519
from speakeasy.files import Files
from speakeasy.identity import Identity

BRIDGE_ID = bytes.fromhex("b0b1b2b3b4b5b6b7")
SETUP_CODE = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
ME = Identity(BRIDGE_ID, SETUP_CODE)
X = b"\x0a\x42\x00\x64"  # 10.66.0.100
MASK = b"\xff\xff\xfc\x00"
ROUTER = b"\x0a\x42\x00\x01"
STATION_MAC = b"\x02\0\0\0\x42\x10"
SEGMENT_MAC = b"\x02\0\0\0\x42\x11"
SPEAKER_MAC = b"\x02\0\0\0\x42\x20"


def vectors():
    """tests/vectors/pairing.json, found beside this folder."""
    import json

    above = __file__.rsplit("/", 2)[0]
    with open(above + "/vectors/pairing.json") as f:
        return json.load(f)


def forms(secret):
    """How a secret may look in a text."""
    text = codes.encode(secret)
    hexed = secret.hex()
    plain = binascii.b2a_base64(secret).decode().strip()
    return [hexed, hexed.upper(), text, text.replace("-", ""), plain, plain.rstrip("="), repr(secret)[2:-1]]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now=1000):
        self.now = now

    def __call__(self):
        return self.now


class PowerCut(OSError):
    """The power went, in the middle of an operation on the flash."""


class FailingFlash(Files):
    """Loses power at the operation number `survives` (from 0): half of a write gets through, a rename or removal does
    not. Counts the operations in `operations`."""

    def __init__(self, survives=None):
        super().__init__()
        self.survives = survives
        self.operations = 0

    def count(self):
        self.operations += 1
        if self.survives is not None and self.operations > self.survives:
            raise PowerCut

    def _open(self, name, mode):
        if mode == "rb":
            return super()._open(name, mode)
        self.count()
        return _FailingFile(self, super()._open(name, mode))

    def _rename(self, old, new):
        self.count()
        super()._rename(old, new)

    def _remove(self, name):
        self.count()
        super()._remove(name)


class _FailingFile:
    def __init__(self, flash, file):
        self.flash = flash
        self.file = file

    def write(self, data):
        try:
            self.flash.count()
        except PowerCut:
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            raise
        return self.file.write(data)

    def flush(self):
        self.flash.count()
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.file.close()
        return False


def wipe():
    """An empty flash."""
    for name in os.listdir():
        os.remove(name)


class Console:
    """with Console() as console: ... ; console.text is all that was printed in between."""

    def __enter__(self):
        import builtins

        self.text = ""
        self._print = builtins.print

        def kept(*args, **kwargs):
            self.text += kwargs.get("sep", " ").join([str(a) for a in args]) + "\n"
            self._print(*args, **kwargs)

        builtins.print = kept
        return self

    def __exit__(self, kind, value, traceback):
        import builtins

        builtins.print = self._print
        return False


# The phones' key pair, of RFC 7748, 6.1: always the same one, which spares an emulated chip a good deal of work.
PHONE_PRIVATE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
PHONE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


class Phone:
    """The phone's side of a session, written from SPEC 2.2 for the tests: no radio."""

    def __init__(self, mode, key_id, secret, nonce=None):
        self.secret = secret
        self.nonce = nonce or os.urandom(16)
        self.hello = bytes((1, 1, mode)) + key_id + self.nonce + PHONE_PUBLIC

    async def prove(self, challenge):
        """The PROOF for a CHALLENGE; makes `accept`, which the bridge has to answer, `outward` and `inward`."""
        assert challenge[:2] == b"\2\1" and len(challenge) == 58
        h = crypto.digest(b"speakeasy pairing 1", self.hello, challenge)
        shared = await x25519.multiply(PHONE_PRIVATE, challenge[26:])
        p = crypto.hmac(self.secret, b"speakeasy secret 1", h)
        keys = crypto.hkdf(self.nonce + challenge[10:26], p + shared, b"speakeasy session 1" + h, 160)
        self.outward = session.Direction(keys[64:80], keys[80:112])
        self.inward = session.Direction(keys[112:128], keys[128:160])
        proof = crypto.hmac(keys[32:64], h)
        self.accept = b"\6" + crypto.hmac(keys[:32], h, proof)
        return b"\3" + proof


def claim_proof(key, phone_id, challenge, addr=bytes(4), mac=bytes(6), bridge_id=BRIDGE_ID):
    """The proof of SPEC 3; bytes in, hex out."""
    claim_key = crypto.hkdf(b"", key, b"speakeasy claim 1", 32)
    return crypto.hmac(claim_key, bridge_id, phone_id, challenge, addr, mac).hex()


def open_proof(key, phone_id, challenge, bridge_id=BRIDGE_ID):
    """The other one."""
    open_key = crypto.hkdf(b"", key, b"speakeasy open 1", 32)
    return crypto.hmac(open_key, bridge_id, phone_id, challenge).hex()


class FakeFilter:
    """Stands for the module `pktfilter` where a policy's test needs what only a running filter can report: frames and
    flows. Keeps leases like the real one, and a list of calls."""

    def __init__(self):
        self.calls = []
        self.held = {}
        self.macs = {}
        self.bits = 0
        self.frames = []
        self.sent = []
        self.capacity = 16
        self.configured = None
        self.counted = {}

    def install(self):
        sys.modules["pktfilter"] = self
        return self

    def random(self, count):
        return os.urandom(count)

    def start(self, ethernet=None):
        self.calls.append(("start", ethernet))

    def configure(self, *arguments):
        self.calls.append(("configure",) + arguments)
        if self.configured and self.configured[2:5] != arguments[2:5]:
            self.held.clear()
        self.configured = arguments

    def services(self, services):
        self.calls.append(("services", services))

    def speaker(self, mac):
        self.calls.append(("speaker", mac))

    def lease_add(self, addr, mac, ttl_s):
        if addr not in self.held and len(self.held) >= self.capacity:
            raise OSError(28)
        self.calls.append(("lease_add", addr, mac, ttl_s))
        self.held[addr] = (mac, ttl_s)
        return 0

    def lease_end(self, addr):
        self.calls.append(("lease_end", addr))
        return 3 if self.held.pop(addr, None) else 0

    def leases(self):
        return [(a, mac, ttl, 0) for a, (mac, ttl) in self.held.items()]

    def counters(self):
        return self.counted

    def flow_count(self):
        return 0

    def flow_mac(self, proto, addr, port, local_port):
        assert (proto, local_port) == (6, 7780)
        return self.macs.get((addr, port))

    def dhcp_recv(self, buffer):
        if not self.frames:
            return 0
        frame = self.frames.pop(0)
        buffer[: len(frame)] = frame
        return len(frame)

    def dhcp_send(self, buffer, n, to_mac, to_addr):
        self.sent.append((bytes(buffer[:n]), to_mac, to_addr))

    def deauth(self, mac):
        self.calls.append(("deauth", mac))

    def poll(self):
        bits = self.bits
        self.bits = 0
        return bits
