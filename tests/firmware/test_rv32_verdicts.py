# Every row of the core's verdict tables, on rv32: the same calls, the same verdicts, the same frames out as on the PC
# (tests/core/record.py wrote them down there).
import json

import frames
import pktfilter
from check import equal


def _bytes(text):
    return None if text is None else bytes.fromhex(text)


def _configure(uplink, segment, addr, mask, router, dns, claim_port, host, private, hosts):
    b = _bytes
    pktfilter.configure(
        b(uplink), b(segment), b(addr), b(mask), b(router), b(dns), claim_port, b(host), private, b(hosts)
    )


_CALLS = {
    "reset": lambda key, now: frames.reset(_bytes(key), now),
    "configure": _configure,
    "speaker": lambda mac: pktfilter.speaker(_bytes(mac)),
    "services": lambda services: pktfilter.services(services),
    "later": frames.later,
    "tick": frames.tick,
}
_ASKED = {
    "input": lambda port, frame: frames.inject(port, _bytes(frame)),
    "out": lambda: [[port, frame.hex()] for port, frame in frames.taken()],
    "lease_add": lambda addr, mac, ttl_s: pktfilter.lease_add(_bytes(addr), _bytes(mac), ttl_s),
    "lease_end": lambda addr: pktfilter.lease_end(_bytes(addr)),
}


def _play(calls):
    for what, *arguments in calls:
        if what in _CALLS:
            _CALLS[what](*arguments)
        else:
            *arguments, result = arguments
            equal(_ASKED[what](*arguments), result)


def test_every_row_of_the_verdict_tables():
    frames.plug()
    pktfilter.start()
    played, wrong = 0, []
    with open("/rom/histories.jsonl") as histories:
        for line in histories:
            name, calls = json.loads(line)
            try:
                _play(calls)
            except AssertionError as e:
                wrong.append(name)
                print(name, e)
            played += 1
    equal(wrong, [])
    assert played > 200, played
