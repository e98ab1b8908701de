"""Make pairing.json, the test vectors of docs/SPEC.md, sections 1 to 3.

Written from the specification alone, on the package `cryptography`, and sharing no code with the firmware or with
host_tools: both are checked against its output. The secrets in it are fixed and public; they protect nothing.

    python tests/vectors/make_pairing.py            write pairing.json beside this file
    python tests/vectors/make_pairing.py --check    exit 1 if pairing.json is not what this makes
"""

import json
import sys
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE = Path(__file__).with_name("pairing.json")

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECK = CROCKFORD + "*~$=U"

BRIDGE_ID = bytes.fromhex("b0b1b2b3b4b5b6b7")
PHONE_ID = bytes.fromhex("f0f1f2f3f4f5f6f7")
INVITE_ID = bytes.fromhex("1011121314151617")
SETUP_CODE = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
INVITE_SECRET = bytes.fromhex("202122232425262728292a2b2c2d2e2f")
PHONE_KEY = bytes(range(0x40, 0x60))
PHONE_NONCE = bytes(range(0x60, 0x70))
BRIDGE_NONCE = bytes(range(0x70, 0x80))
PHONE_PRIVATE = bytes(range(0xA0, 0xC0))
BRIDGE_PRIVATE = bytes(range(0xC0, 0xE0))
BOOT_KEY = bytes(range(0x80, 0xA0))
TIME_MS = 3 * 10**9
LEASE_S = 12 * 3600
OPEN_S = 300


def sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def mac(key: bytes, data: bytes) -> bytes:
    tag = hmac.HMAC(key, hashes.SHA256())
    tag.update(data)
    return tag.finalize()


def hkdf(salt: bytes, ikm: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(ikm)


def aes_ctr(key: bytes, counter: bytes, data: bytes) -> bytes:
    stream = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    return stream.update(data) + stream.finalize()


def x25519_public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def x25519(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def text_form(data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    symbols = "".join(CROCKFORD[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))
    symbols += CHECK[int.from_bytes(data, "big") % 37]
    return "-".join(symbols[i : i + 5] for i in range(0, len(symbols), 5))


def record(enc: bytes, mac_key: bytes, sequence: int, plain: bytes) -> bytes:
    number = sequence.to_bytes(4, "big")
    ciphertext = aes_ctr(enc, number + bytes(12), plain)
    return b"\x04" + number + ciphertext + mac(mac_key, number + ciphertext)[:16]


def fragments(message: bytes, mtu: int) -> Iterable[bytes]:
    size = min(mtu - 4, 511)
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    for number, piece in enumerate(pieces):
        first = 0x80 if number == 0 else 0
        last = 0x40 if number == len(pieces) - 1 else 0
        yield bytes([first | last | number % 64]) + piece


def codes() -> list[dict[str, str]]:
    cases = [
        ("a setup code", SETUP_CODE),
        ("an invite", INVITE_ID + INVITE_SECRET),
        ("a setup code, all zero bits", bytes(16)),
        ("a setup code, all one bits", b"\xff" * 16),
    ]
    # One setup code for each check symbol that is not a digit or a letter of the alphabet.
    cases += [(f"a setup code with the check symbol {CHECK[n]}", bytes(15) + bytes([n])) for n in range(32, 37)]
    return [{"what": what, "bytes": data.hex(), "text": text_form(data)} for what, data in cases]


# Each text must be refused for the reason given, when read as the kind beside it (SPEC 1).
def bad_codes() -> list[dict[str, str]]:
    setup = text_form(SETUP_CODE)
    plain = setup.replace("-", "")
    invite = text_form(INVITE_ID + INVITE_SECRET)
    body, check = plain[:-1], plain[-1]
    padded = body[:-1] + CROCKFORD[CROCKFORD.index(body[-1]) | 1] + check
    wrong = body + CHECK[(CHECK.index(check) + 1) % 37]
    at = next(i for i in range(6, len(body) - 1) if body[i] != body[i + 1])
    swapped = body[:at] + body[at + 1] + body[at] + body[at + 2 :] + check
    return [
        {"what": "nothing", "kind": "setup", "text": "", "reason": "length"},
        {"what": "one symbol missing", "kind": "setup", "text": setup[:-1], "reason": "length"},
        {"what": "one symbol too many", "kind": "setup", "text": setup + "0", "reason": "length"},
        {"what": "an invite for a setup code", "kind": "setup", "text": invite, "reason": "length"},
        {"what": "a setup code for an invite", "kind": "invite", "text": setup, "reason": "length"},
        {"what": "U inside", "kind": "setup", "text": plain[:3] + "U" + plain[4:], "reason": "symbol"},
        {"what": "a letter beyond ASCII", "kind": "setup", "text": plain[:3] + "Ö" + plain[4:], "reason": "symbol"},
        {"what": "an unknown check symbol", "kind": "setup", "text": body + "!", "reason": "symbol"},
        {"what": "padding bits that are not zero", "kind": "setup", "text": padded, "reason": "padding"},
        {"what": "wrong check symbol", "kind": "setup", "text": wrong, "reason": "check"},
        {"what": "two symbols swapped", "kind": "setup", "text": swapped, "reason": "check"},
    ]


def lenient_codes() -> list[dict[str, str]]:
    setup = text_form(SETUP_CODE)
    body, check = setup[:-1], setup[-1]
    return [
        {"what": "lower case", "text": setup.lower(), "bytes": SETUP_CODE.hex()},
        {"what": "no groups", "text": setup.replace("-", ""), "bytes": SETUP_CODE.hex()},
        {"what": "spaces around and inside", "text": f"  {setup.replace('-', ' ')} ", "bytes": SETUP_CODE.hex()},
        {
            "what": "O for 0, L and I for 1",
            "text": body.replace("0", "O").replace("1", "l") + check,
            "bytes": SETUP_CODE.hex(),
        },
        {
            "what": "small o for 0, I for 1",
            "text": body.replace("0", "o").replace("1", "I") + check,
            "bytes": SETUP_CODE.hex(),
        },
    ]


def hello_of(mode: int, key_id: bytes, public: bytes, version: int = 1) -> bytes:
    return b"\x01" + bytes([version, mode]) + key_id + PHONE_NONCE + public


def handshake(what: str, mode: int, key_id: bytes, secret: bytes) -> dict[str, Any]:
    phone_public, bridge_public = x25519_public(PHONE_PRIVATE), x25519_public(BRIDGE_PRIVATE)
    shared = x25519(PHONE_PRIVATE, bridge_public)
    assert shared == x25519(BRIDGE_PRIVATE, phone_public)
    hello = hello_of(mode, key_id, phone_public)
    challenge = b"\x02" + b"\x01" + BRIDGE_ID + BRIDGE_NONCE + bridge_public
    h = sha256(b"speakeasy pairing 1" + hello + challenge)
    p = mac(secret, b"speakeasy secret 1" + h)
    keys = hkdf(PHONE_NONCE + BRIDGE_NONCE, p + shared, b"speakeasy session 1" + h, 160)
    proof_bridge, proof_phone = keys[0:32], keys[32:64]
    enc_up, mac_up, enc_down, mac_down = keys[64:80], keys[80:112], keys[112:128], keys[128:160]
    phone_proof = mac(proof_phone, h)
    bridge_proof = mac(proof_bridge, h + phone_proof)
    role = "owner" if mode == 2 else "new"
    welcome = {
        "op": "welcome",
        "role": role,
        "name": "Ada" if mode == 2 else None,
        "bridge": BRIDGE_ID.hex(),
        "version": "0.1.0",
    }
    down = [
        json.dumps(welcome, separators=(",", ":")).encode(),
        b'{"id":1,"ok":true}',
        b'{"id":2,"ok":false,"error":"not-found","say":"No such phone."}',
    ]
    up = [
        b'{"op":"status","id":1}' if mode == 2 else '{"op":"enrol","id":1,"name":"Zoë"}'.encode(),
        b'{"op":"bye","id":2}',
        b"x" * 992,
    ]
    return {
        "what": what,
        "mode": mode,
        "key_id": key_id.hex(),
        "secret": secret.hex(),
        "phone_nonce": PHONE_NONCE.hex(),
        "phone_private": PHONE_PRIVATE.hex(),
        "bridge_id": BRIDGE_ID.hex(),
        "bridge_nonce": BRIDGE_NONCE.hex(),
        "bridge_private": BRIDGE_PRIVATE.hex(),
        "shared": shared.hex(),
        "hello": hello.hex(),
        "h": h.hex(),
        "p": p.hex(),
        "k": keys.hex(),
        "challenge": challenge.hex(),
        "proof": (b"\x03" + phone_proof).hex(),
        "accept": (b"\x06" + bridge_proof).hex(),
        "phone_to_bridge": [
            {"sequence": n, "plain": p.hex(), "message": record(enc_up, mac_up, n, p).hex()} for n, p in enumerate(up)
        ],
        "bridge_to_phone": [
            {"sequence": n, "plain": p.hex(), "message": record(enc_down, mac_down, n, p).hex()}
            for n, p in enumerate(down)
        ],
    }


# What a bridge must refuse in a HELLO, and the code of its ERROR (SPEC 2.2).
def bad_hellos() -> list[dict[str, Any]]:
    public = x25519_public(PHONE_PRIVATE)
    good = hello_of(1, bytes(8), public)
    cases = [
        ("the type alone", good[:1], 1),
        ("one byte missing", good[:-1], 1),
        ("one byte too many", good + b"\0", 1),
        ("another type", b"\x03" + good[1:], 1),
        ("version 0", hello_of(1, bytes(8), public, 0), 6),
        ("version 2", hello_of(1, bytes(8), public, 2), 6),
        ("version 2, and of another length", hello_of(1, bytes(8), public, 2)[:20], 6),
        ("mode 0", hello_of(0, bytes(8), public), 1),
        ("mode 4", hello_of(4, bytes(8), public), 1),
        ("a setup code with a key id", hello_of(1, INVITE_ID, public), 1),
    ]
    # Every point whose product with any private key is zero, as 32 bytes, bit 255 clear or set.
    p = 2**255 - 19
    eight = 325606250916557431795983626356110631294008115727848805560023387167927233504
    other = 39382357235489614581723060781553021112529911719440698176882885853963445705823
    for point in (0, 1, eight, other, p - 1, p, p + 1):
        for bit in (0, 1 << 255):
            raw = (point | bit).to_bytes(32, "little")
            try:
                x25519(PHONE_PRIVATE, raw)
            except ValueError:
                cases.append((f"a public key of small order: {raw.hex()}", hello_of(1, bytes(8), raw), 1))
            else:
                raise AssertionError("not of small order")
    return [{"what": what, "hello": hello.hex(), "code": code} for what, hello, code in cases]


def fragmenting() -> list[dict[str, Any]]:
    cases = []
    for mtu in (23, 185, 247, 517):
        # The smallest; one full piece; one byte more than it; a HELLO; the largest (at MTU 23: 54 fragments).
        for size in sorted({1, min(mtu - 4, 511), min(mtu - 4, 511) + 1, 59, 1024}):
            message = bytes(n % 251 for n in range(size))
            cut = list(fragments(message, mtu))
            cases.append({"mtu": mtu, "message": message.hex(), "fragments": [f.hex() for f in cut]})
    return cases


# How a receiver must refuse: each list of fragments ends in one that ends the session (SPEC 2.1).
def bad_fragments() -> list[dict[str, Any]]:
    piece = b"\x55" * 200
    return [
        {"what": "empty write", "fragments": [""]},
        {"what": "header alone", "fragments": ["c0"]},
        {"what": "no first before it", "fragments": ["0155"]},
        {"what": "last without a first", "fragments": ["4055"]},
        {"what": "first with a number that is not 0", "fragments": ["8155"]},
        {"what": "a number left out", "fragments": ["8055", "0255"]},
        {"what": "a number twice", "fragments": ["8055", "0155", "0155"]},
        {"what": "first inside a message", "fragments": ["8055", "8055"]},
        {"what": "the piece larger than 511", "fragments": [(b"\xc0" + b"\x55" * 512).hex()]},
        {
            "what": "1025 bytes",
            "fragments": [(bytes([(0x80 if n == 0 else 0) | n]) + piece).hex() for n in range(5)]
            + [(bytes([0x45]) + b"\x55" * 25).hex()],
        },
    ]


def claim_challenge(addr: bytes) -> bytes:
    time = TIME_MS.to_bytes(6, "big")
    return time + mac(BOOT_KEY, time + addr)[:10]


def on_wifi(addr: str, key: bytes) -> dict[str, Any]:
    """What claims and requests to open have in common: the phone asks from `addr`."""
    return {
        "phone_key": PHONE_KEY.hex(),
        "key": key.hex(),
        "bridge": BRIDGE_ID.hex(),
        "phone": PHONE_ID.hex(),
        "boot_key": BOOT_KEY.hex(),
        "time_ms": TIME_MS,
        "from": addr,
        "challenge": claim_challenge(IPv4Address(addr).packed).hex(),
    }


def claims() -> list[dict[str, Any]]:
    key = hkdf(b"", PHONE_KEY, b"speakeasy claim 1", 32)
    cases = []
    for came_from, addr, own_mac in (
        ("10.66.0.130", "10.66.0.130", "02:00:00:00:42:30"),
        ("10.99.0.5", "10.99.0.5", ""),
        ("10.99.0.5", "", "fe:dc:ba:98:76:54"),
        ("10.99.0.5", "", ""),
        ("255.0.0.1", "255.0.0.1", ""),
    ):
        case = on_wifi(came_from, key)
        nonce = bytes.fromhex(case["challenge"])
        four = IPv4Address(addr).packed if addr else bytes(4)
        six = bytes.fromhex(own_mac.replace(":", "")) if own_mac else bytes(6)
        proof = mac(key, BRIDGE_ID + PHONE_ID + nonce + four + six)
        answer = mac(key, b"answer" + nonce + LEASE_S.to_bytes(4, "big"))
        more = {"addr": addr, "mac": own_mac, "proof": proof.hex(), "lease_s": LEASE_S, "answer": answer.hex()}
        cases.append({**case, **more})
    return cases


def opens() -> list[dict[str, Any]]:
    key = hkdf(b"", PHONE_KEY, b"speakeasy open 1", 32)
    case = on_wifi("10.66.0.130", key)
    nonce = bytes.fromhex(case["challenge"])
    proof = mac(key, BRIDGE_ID + PHONE_ID + nonce)
    answer = mac(key, b"answer" + nonce + OPEN_S.to_bytes(4, "big"))
    return [{**case, "proof": proof.hex(), "open_s": OPEN_S, "answer": answer.hex()}]


def vectors() -> dict[str, Any]:
    return {
        "about": "Test vectors of docs/SPEC.md. Made by make_pairing.py. Bytes are in hex; the secrets are public.",
        "codes": codes(),
        "lenient_codes": lenient_codes(),
        "bad_codes": bad_codes(),
        "fragments": fragmenting(),
        "bad_fragments": bad_fragments(),
        "handshakes": [
            handshake("setup code", 1, bytes(8), SETUP_CODE),
            handshake("phone key", 2, PHONE_ID, PHONE_KEY),
            handshake("invite", 3, INVITE_ID, INVITE_SECRET),
        ],
        "bad_hellos": bad_hellos(),
        "claims": claims(),
        "opens": opens(),
    }


def main() -> int:
    text = json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"
    if "--check" in sys.argv[1:]:
        if not FILE.exists() or FILE.read_text() != text:
            print(f"{FILE.name} is not what {Path(__file__).name} makes: run it, and look at the difference.")
            return 1
        return 0
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
