import os

from check import equal
from speakeasy import codes, eventlog, identity
from speakeasy.files import Files
from stage import Console, FailingFlash, PowerCut


def test_first_boot_prints_two_lines_later_ones_none():
    with Console() as console:
        me = identity.load(Files())
    equal(
        console.text,
        "bridge id: %s\nsetup code: %s\n" % (me.bridge_id.hex(), codes.encode(me.setup_code)),
    )
    with Console() as console:
        again = identity.load(Files())
    equal(console.text, "")
    equal((again.bridge_id, again.setup_code), (me.bridge_id, me.setup_code))
    equal((len(me.bridge_id), len(me.setup_code)), (8, 16))
    equal(eventlog.recent(), [])


def test_each_board_is_another():
    first = identity.load(Files())
    os.remove(identity.FILE)
    second = identity.load(Files())
    assert first.bridge_id != second.bridge_id and first.setup_code != second.setup_code


def test_id_and_code_are_drawn_apart():
    drawn = []

    def draw(count):
        drawn.append(os.urandom(count))
        return drawn[-1]

    me = identity.load(Files(), draw)
    equal([me.bridge_id, me.setup_code], drawn)
    equal([len(one) for one in drawn], [8, 16])


def test_power_cut_never_leaves_an_identity_that_was_not_printed():
    for survives in range(6):
        for name in os.listdir():
            os.remove(name)
        with Console() as console:
            try:
                identity.load(FailingFlash(survives))
            except PowerCut:
                pass
            me = identity.load(Files())
        assert console.text.endswith("setup code: %s\n" % codes.encode(me.setup_code)), survives


def test_damaged_is_kept_aside_and_said():
    with open(identity.FILE, "wb") as f:
        f.write(b"rubbish")
    identity.load(Files())
    assert identity.ASIDE in os.listdir()
    said = " ".join(eventlog.recent())
    assert "damaged" in said and "new label" in said and "10 s" in said, said


def test_wrong_fields_are_damage():
    good = {"bridge": "00" * 8, "setup": "11" * 16}
    for name, value in (
        ("bridge", "00" * 7),
        ("setup", "11" * 17),
        ("setup", "zz" * 16),
        ("setup", 5),
        ("bridge", None),
    ):
        broken = dict(good)
        broken[name] = value
        Files().save(identity.FILE, broken)
        me = identity.load(Files())
        assert me.setup_code != b"\x11" * 16
    Files().save(identity.FILE, good)
    equal(identity.load(Files()).setup_code, b"\x11" * 16)


def test_repr_and_log_hold_no_code():
    me = identity.Identity(b"12345678", b"SECRETSECRETSECR")
    assert "SECRET" not in repr(me) and me.setup_code.hex() not in repr(me)
