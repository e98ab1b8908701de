# MicroPython, run by the SIM board for test_firmware.py: the firmware's side of a session, on a pipe.
#
# argv: MTU, mode, key id, secret, bridge id (hex). Fragments, each as `length (2) || fragment`, come on stdin and go to
# stdout. Answers each request by what it received; `{"op": "big"}` by as much as fits; ends after `bye`.
import asyncio
import json
import sys

from speakeasy import session

mtu = int(sys.argv[1])
mode = int(sys.argv[2])
key_id, secret, bridge_id = [bytes.fromhex(text) for text in sys.argv[3:6]]
reassembler = session.Reassembler()


def receive():
    while True:
        head = sys.stdin.buffer.read(2)
        if len(head) < 2:
            sys.exit(0)
        message = reassembler.feed(sys.stdin.buffer.read(int.from_bytes(head, "big")))
        if message is not None:
            return message


def send(message):
    for fragment in session.fragments(message, mtu):
        sys.stdout.buffer.write(len(fragment).to_bytes(2, "big") + fragment)


try:
    handshake = session.Handshake(bridge_id)
    if handshake.hello(receive()) != (mode, key_id):
        sys.exit(1)
    send(asyncio.run(handshake.challenge(secret)))
    accept, inward, outward = handshake.proof(receive())
    send(accept)
    welcome = {"op": "welcome", "role": "owner", "name": "Zoë", "bridge": bridge_id.hex(), "version": "1"}
    send(outward.seal(json.dumps(welcome).encode()))
    while True:
        request = json.loads(inward.open(receive()))
        answer = {"id": request["id"], "ok": True, "got": request}
        if request["op"] == "big":
            answer = {"id": request["id"], "ok": True, "text": ""}
            answer["text"] = "x" * (session.MAX_TEXT - len(json.dumps(answer)))
        send(outward.seal(json.dumps(answer).encode()))
        if request["op"] == "bye":
            break
except session.ProtocolError as e:
    send(session.error(e.code))
