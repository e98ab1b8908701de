# What a handshake costs the bridge. Time is counted in instructions here: 8 ns each (interpreters.py).
import asyncio
import gc
import time

from speakeasy.session import Handshake
from stage import BRIDGE_ID, SETUP_CODE, Phone

BUDGET = 75_000_000  # instructions; an ESP32-C3 does up to 160 million in a second
LONGEST_TURN = 2_000_000  # for which no other task runs


async def test_a_handshake_stays_within_its_budget():
    longest = spent = 0

    async def other():
        nonlocal longest
        while True:
            began = time.ticks_us()
            await asyncio.sleep_ms(0)
            longest = max(longest, time.ticks_diff(time.ticks_us(), began) * 125)

    phone = Phone(1, bytes(8), SETUP_CODE)
    bridge = Handshake(BRIDGE_ID)
    gc.collect()
    task = asyncio.create_task(other())
    await asyncio.sleep_ms(0)
    began = time.ticks_us()
    bridge.hello(phone.hello)
    challenge = await bridge.challenge(SETUP_CODE)
    spent += time.ticks_diff(time.ticks_us(), began) * 125
    task.cancel()
    proof = await phone.prove(challenge)
    began = time.ticks_us()
    bridge.proof(proof)
    spent += time.ticks_diff(time.ticks_us(), began) * 125
    print("a handshake: %d instructions, %d at a stretch" % (spent, longest))
    assert spent <= BUDGET, spent
    assert longest <= LONGEST_TURN, longest


async def test_a_handshake_leaves_no_memory_behind():
    phone = Phone(1, bytes(8), SETUP_CODE)
    held = []
    for _ in range(4):
        bridge = Handshake(BRIDGE_ID)
        bridge.hello(phone.hello)
        await bridge.challenge(SETUP_CODE)
        bridge = None
        gc.collect()
        held.append(gc.mem_alloc())
    print("held:", held)
    assert held[-1] <= held[0] + 256, held
