"""Who this bridge is: bridge id and setup code, made at first boot (SPEC 1)."""

from . import codes, crypto
from .eventlog import log
from .files import Damaged, Files

FILE = "identity.json"
ASIDE = "identity.bad"
BRIDGE_ID_BYTES = 8


class Identity:
    """`bridge_id` (8 bytes), `setup_code` (16 bytes, secret)."""

    def __init__(self, bridge_id: bytes, setup_code: bytes) -> None:
        self.bridge_id = bridge_id
        self.setup_code = setup_code

    def __repr__(self) -> str:
        return "<Identity %s>" % self.bridge_id.hex()

    def print_label(self) -> None:
        """The two lines of the label, on the serial console only: never into the event log."""
        print("bridge id: " + self.bridge_id.hex())
        print("setup code: " + codes.encode(self.setup_code))


def load(files: Files, random=crypto.random) -> Identity:
    """The saved identity, or a fresh one: printed, then saved, so that no power cut leaves a saved one unprinted."""
    try:
        saved = files.load(FILE)
        if saved is not None:
            return Identity(_bytes(saved, "bridge", BRIDGE_ID_BYTES), _bytes(saved, "setup", codes.SETUP_CODE_BYTES))
    except Damaged as e:
        files.set_aside(FILE, ASIDE)
        log("identity", "%s is damaged (%s), set aside as %s; the bridge has a new id and code" % (FILE, e, ASIDE))
        log(
            "identity", "print a new label, hold the button for 10 s, and pair the phones again: none knows this bridge"
        )
    made = Identity(random(BRIDGE_ID_BYTES), random(codes.SETUP_CODE_BYTES))
    made.print_label()
    files.save(FILE, {"bridge": made.bridge_id.hex(), "setup": made.setup_code.hex()})
    return made


def _bytes(saved, name: str, length: int) -> bytes:
    try:
        value = bytes.fromhex(saved[name])
    except (KeyError, TypeError, ValueError):
        raise Damaged("no " + name) from None
    if len(value) != length:
        raise Damaged("wrong length of " + name)
    return value
