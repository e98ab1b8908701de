"""The pairing link under fire: a central that writes whatever comes to its mind. The bridge stays up, its heap does not
grow, and the next phone gets its session. `--sessions=N`: so many connections (a short run without it)."""

import asyncio
import importlib.util
import random
from collections import Counter
from pathlib import Path
from types import ModuleType

from ble_sides import Board
from pairing_sides import PHONE, Phone, call, heap_settles, program
from speakeasy import session as s

SHORT_RUN = 16
WARM_UP = 6  # connections, after which everything that is made once is there
WRITES = 12  # at most, of one connection without a session


def _load(name: str) -> ModuleType:
    # The same mutations as in tests/firmware, which is no folder to import from: other boards' modules lie there.
    path = Path(__file__).parents[1] / "firmware" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutate = _load("mutate")


async def junk(phone: Phone) -> None:
    """Fragments out of thin air, and valid ones bent, lost, repeated or moved."""
    hello = s.Handshake(PHONE).hello
    for _ in range(random.randrange(1, WRITES)):
        if random.randrange(3) == 0:
            await phone.write(mutate.some_bytes(random.randrange(1, min(phone.mtu - 3, 512) + 1)))
        else:
            pieces = mutate.shuffled(s.fragments(hello, phone.mtu), lambda piece: mutate.bent([piece], phone.mtu - 3))
            for piece in pieces:
                await phone.write(piece[: phone.mtu - 3])


async def bent_hello(phone: Phone) -> None:
    await phone.send(mutate.bent([s.Handshake(PHONE).hello], 59) or b"\0")
    await phone.hear()


async def bent_proof(phone: Phone) -> None:
    _, proof = await phone.challenged(PHONE)
    await phone.send(mutate.bent([proof], 33) or b"\0")
    await phone.hear()


async def bent_records(phone: Phone) -> None:
    await phone.greet(PHONE)
    texts = [
        b'{"op":"phones","id":1}',
        b'{"op":"log","id":2,"page":0}',
        b'{"op":"rename","id":3,"name":"x","phone":""}',
    ]
    for text in random.choices(texts, k=4):
        await phone.ask(mutate.bent([text], s.LARGEST_PLAIN)[: s.LARGEST_PLAIN] or b" ")
    sealed = [phone.up.seal(random.choice(texts)) for _ in range(3)]
    for record in mutate.shuffled(sealed, lambda record: mutate.bent([record, *sealed], 1013)):
        await phone.send(record[: s.LARGEST_MESSAGE] or b"\0")
        if await phone.hear() is None:
            break


async def cut_off(phone: Phone) -> None:
    """Goes away while the bridge works for it."""
    await phone.send(s.Handshake(PHONE).hello)
    await asyncio.sleep(0)


KINDS = (junk, junk, bent_hello, bent_proof, bent_records, bent_records, cut_off)


async def test_a_central_that_writes_anything(board, central, request):
    count = request.config.getoption("--sessions") or SHORT_RUN
    random.seed(1)
    bridge: Board = await board(program(more="pairing.WRONG_KEY_MS = 10"))
    heap: list[int] = []
    kinds: Counter[str] = Counter()
    for n in range(WARM_UP + count):
        kind = KINDS[n % len(KINDS)]
        kinds[kind.__name__] += 1
        async with call(central, bridge, random.choice((23, 185, 517)), heap) as phone:
            await kind(phone)
    before = min(heap[:WARM_UP])
    await heap_settles(central, bridge, heap, before)
    assert not any("Traceback" in line for line in bridge.heard)
    print(f"{count} connections {dict(kinds)}: the heap was {before} bytes, then {heap[-1]}, at most {max(heap)}")
