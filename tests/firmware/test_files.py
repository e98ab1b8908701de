import gc
import os

from check import equal, raises
from speakeasy.files import MAX_BYTES, Damaged, Files
from stage import FailingFlash, PowerCut


def test_what_is_saved_is_loaded():
    files = Files()
    value = {"a": [1, "zwei", None, True], "é": {"x": -5}}
    files.save("thing.json", value)
    equal(Files().load("thing.json"), value)
    equal(os.listdir(), ["thing.json"])


def test_nothing_there():
    equal(Files().load("thing.json"), None)
    equal(Files().read("thing.json"), None)
    Files().remove("thing.json")


def test_the_file_is_json():
    import json

    Files().save("thing.json", [1, 2])
    with open("thing.json") as f:
        equal(json.load(f)["data"], [1, 2])


def test_every_flipped_bit_and_every_cut_is_noticed():
    files = Files()
    files.save("thing.json", {"key": "value", "n": 7})
    with open("thing.json", "rb") as f:
        whole = f.read()
    for n in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[n] ^= 1 << bit
            with open("thing.json", "wb") as f:
                f.write(broken)
            with raises(Damaged):
                files.load("thing.json")
        with open("thing.json", "wb") as f:
            f.write(whole[:n])
        with raises(Damaged):
            files.load("thing.json")


def test_garbage():
    for garbage in (b"", b"{}", b"\xff" * 100, b'{"check":"' + b"0" * 32 + b'","data":}'):
        with open("thing.json", "wb") as f:
            f.write(garbage)
        with raises(Damaged):
            Files().load("thing.json")


def test_limit_below_at_above():
    files = Files()
    overhead = len('{"check":"' + "0" * 32 + '","data":""}')
    for size in (MAX_BYTES - overhead - 1, MAX_BYTES - overhead):
        files.save("big.json", "x" * size)
        equal(len(files.load("big.json")), size)
    with raises(ValueError):
        files.save("big.json", "x" * (MAX_BYTES - overhead + 1))
    equal(len(files.load("big.json")), MAX_BYTES - overhead)
    with open("big.json", "ab") as f:
        f.write(b" ")
    with raises(Damaged):
        files.load("big.json")


def test_read_limit():
    with open("plain", "wb") as f:
        f.write(b"12345")
    equal(Files().read("plain", 5), b"12345")
    with raises(Damaged):
        Files().read("plain", 4)


def test_power_cut_at_every_operation_leaves_old_or_new():
    Files().save("thing.json", "old " * 50)
    counting = FailingFlash()
    counting.save("thing.json", "old " * 50)
    assert counting.operations >= 4, counting.operations
    outcomes = []
    for survives in range(counting.operations + 1):
        Files().save("thing.json", "old " * 50)
        flash = FailingFlash(survives)
        try:
            flash.save("thing.json", "new " * 50)
        except PowerCut:
            pass
        outcomes.append(Files().load("thing.json")[:3])
    equal(outcomes, ["old"] * counting.operations + ["new"])


def test_power_cut_at_the_first_save_of_all():
    for survives in range(4):
        try:
            FailingFlash(survives).save("first.json", 1)
        except PowerCut:
            pass
        equal(Files().load("first.json"), None)


def test_set_aside_replaces_the_earlier_one():
    files = Files()
    files.save("a", 1)
    files.set_aside("a", "bad")
    files.save("a", 2)
    files.set_aside("a", "bad")
    equal(files.load("bad"), 2)
    equal(files.load("a"), None)


def test_reading_takes_no_more_room_than_the_file_needs():
    # A heap in use has no hole of MAX_BYTES any more: that was too much to ask for on 128 KiB.
    files = Files()
    files.save("thing.json", [1, 2, 3])
    files.load("thing.json")
    held = [None] * 1000
    try:
        for n in range(1000):
            held[n] = bytearray(4000)
    except MemoryError:
        pass
    for n in range(0, 20, 2):
        held[n] = None
    gc.collect()
    thing = files.load("thing.json")
    held = None
    equal(thing, [1, 2, 3])


def test_reading_stops_at_the_limit():
    files = Files()
    for size in (MAX_BYTES - 1, MAX_BYTES):
        with open("big", "wb") as f:
            f.write(bytes(size))
        equal(len(files.read("big")), size)
    with open("big", "ab") as f:
        f.write(b"x")
    with raises(Damaged):
        files.read("big")
