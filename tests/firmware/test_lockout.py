import os

from check import equal
from speakeasy import lockout
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from stage import Clock, FailingFlash, PowerCut


def test_five_tries_are_free_the_fifth_locks():
    clock = Clock()
    door = Lockout(Files(), clock)
    for _ in range(4):
        door.wrong()
        equal(door.locked_s(), 0)
    door.wrong()
    equal(door.locked_s(), 30)
    clock.now += 29
    equal(door.locked_s(), 1)
    clock.now += 1
    equal(door.locked_s(), 0)


def test_doubled_up_to_an_hour():
    clock = Clock()
    door = Lockout(Files(), clock)
    spans = []
    for _ in range(16):
        door.wrong()
        spans.append(door.locked_s())
    equal(spans, [0] * 4 + [30, 60, 120, 240, 480, 960, 1920] + [3600] * 5)


def test_a_good_proof_clears():
    door = Lockout(Files(), Clock())
    for _ in range(7):
        door.wrong()
    door.good()
    equal(door.locked_s(), 0)
    door = Lockout(Files(), Clock())  # the power went
    equal(door.locked_s(), 0)
    for _ in range(4):
        door.wrong()
    equal(door.locked_s(), 0)
    door.wrong()
    equal(door.locked_s(), 30)


def test_survives_a_reboot():
    for wrong, locked in ((3, 0), (4, 0), (5, 30), (6, 60), (20, 3600)):
        for name in os.listdir():
            os.remove(name)
        door = Lockout(Files(), Clock())
        for _ in range(wrong):
            door.wrong()
        equal(Lockout(Files(), Clock(7)).locked_s(), locked)
    # And the next wrong one goes on from there.
    door = Lockout(Files(), Clock())
    door.good()
    for _ in range(4):
        door.wrong()
    door = Lockout(Files(), Clock())
    door.wrong()
    equal(door.locked_s(), 30)


def test_power_cut_cannot_undo_an_earlier_count():
    for survives in range(5):
        flash = FailingFlash()
        door = Lockout(flash, Clock())
        door.good()
        for _ in range(5):
            door.wrong()
        flash.operations = 0
        flash.survives = survives
        try:
            door.wrong()
        except PowerCut:
            pass
        assert Lockout(Files(), Clock()).locked_s() >= 30
        Lockout(Files(), Clock()).good()


def test_a_damaged_count_gives_no_free_tries():
    for content in (b"", b"garbage"):
        with open(lockout.FILE, "wb") as f:
            f.write(content)
        equal(Lockout(Files(), Clock()).locked_s(), 30)
    for value in ({"wrong": -1}, {"wrong": "0"}, [], {}, {"wrong": True}):
        Files().save(lockout.FILE, value)
        equal(Lockout(Files(), Clock()).locked_s(), 30)


def test_nothing_is_written_by_good_proofs_alone():
    flash = FailingFlash()
    door = Lockout(flash, Clock())
    for _ in range(10):
        door.good()
    equal(flash.operations, 0)
