# The operations about phones, beyond what test_operations.py asks of all of them.
import os

from check import equal
from speakeasy import codes
from speakeasy.files import Files
from speakeasy.op_phones import MAX_INVITES, PhoneOperations
from speakeasy.phones import Phones
from speakeasy.settings import MAX_PHONES, Settings
from stage import BRIDGE_ID, Console, FailingFlash
from test_operations import ZEROS, Bridge, Caller


def names():
    return [phone["name"] for phone in Settings(Files(), BRIDGE_ID).phones]


def test_rename_is_saved_and_changes_nothing_else():
    b = Bridge()
    owner, guest = b.enrolled(), b.enrolled("guest")
    key = b.phones.key(guest.key_id)
    with Console() as console:
        b.good(owner, "rename", phone=guest.key_id.hex(), name="Zoë's tablet")
    equal(names(), ["a phone", "Zoë's tablet"])
    equal(
        (b.phones.key(guest.key_id), b.operations.role(guest), b.operations.name(guest)), (key, "guest", "Zoë's tablet")
    )
    assert guest.key_id.hex() in console.text and "tablet" not in console.text
    b.good(owner, "rename", phone=owner.key_id.hex(), name="\U0001f50a" * 32)
    equal(names()[0], "\U0001f50a" * 32)


def test_rename_refuses():
    b = Bridge()
    owner = b.enrolled()
    own = owner.key_id.hex()
    for name in ("", " ", "x" * 33, "a\nb", "\x1b[31m", None, 5, ["a"]):
        b.refused("bad-request", owner, "rename", phone=own, name=name)
    for phone in ("", own[:-1], own.upper() + "0", None, 5):
        b.refused("bad-request", owner, "rename", phone=phone, name="x")
    b.refused("bad-request", owner, "rename", name="x")
    b.refused("bad-request", owner, "rename", phone=own)
    b.refused("not-found", owner, "rename", phone="00" * 8, name="x")
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "rename", phone=own, name="x")
    equal((names(), b.phones.all()[0]["name"]), (["a phone"], "a phone"))
    b.settings._files = Files()
    for name in ("x", "x" * 31, "x" * 32):
        b.good(owner, "rename", phone=own, name=name)


def invited(b, owner, **rest):
    answer = b.good(owner, "invite", role="guest", **rest)
    return Caller(3, codes.decode(answer["invite"], 24)[:8])


def test_a_guest_acts_for_itself_alone():
    b = Bridge()
    owner, guest, other = b.enrolled(), b.enrolled("guest"), b.enrolled("guest")
    theirs = other.key_id.hex()
    token = b.good(guest, "token", phone=theirs, name="x", role="owner")["token"]
    equal(b.operations.tokens.take(bytes.fromhex(token)), (guest.key_id.hex(),))
    b.good(guest, "leave", phone=theirs)
    equal([phone["id"] for phone in b.phones.all()], [owner.key_id.hex(), theirs])
    b.refused("last-owner", owner, "leave", phone=theirs)


def test_a_new_phone_has_the_role_of_its_secret():
    b = Bridge()
    b.enrolled()
    new = invited(b, Caller(2, bytes.fromhex(b.phones.all()[0]["id"])))
    equal(b.good(new, "enrol", name="x", role="owner", phone="00" * 8, key="00" * 32)["role"], "guest")
    b.good(new, "confirm", role="owner")
    equal([phone["role"] for phone in b.phones.all()], ["owner", "guest"])


def test_every_secret_is_a_draw_of_its_own():
    b = Bridge()
    drawn = []

    def draw(count):
        drawn.append(os.urandom(count))
        return drawn[-1]

    phones = PhoneOperations(Phones(b.settings, draw), b.policy, b.invites, draw)
    given = phones.do_enrol(Caller(1, bytes(8)), {"name": "x"})
    equal([bytes.fromhex(given["phone"]), bytes.fromhex(given["key"])], drawn)
    equal([len(one) for one in drawn], [8, 32])
    drawn.clear()
    owner = b.enrolled()
    invite = codes.decode(phones.do_invite(owner, {"role": "guest"})["invite"], 24)
    equal([invite[:8], invite[8:]], drawn)
    drawn.clear()
    equal([bytes.fromhex(phones.do_token(owner, {})["token"])], drawn)
    equal(len(drawn[0]), 16)


def test_an_invites_time_below_at_above():
    b = Bridge()
    owner = b.enrolled()
    for span in (60, 61, 3599, 3600):
        equal(b.good(owner, "invite", role="guest", expires_s=span)["expires_s"], span)
    for span in (59, 3601, 0, -60, 600.0, "600", None, True, [600]):
        b.refused("bad-request", owner, "invite", role="guest", expires_s=span)
    b.good(owner, "uninvite")
    equal(b.good(owner, "invite", role="guest")["expires_s"], 600)
    for rest, span in (({}, 600), ({"expires_s": 60}, 60), ({"expires_s": 3600}, 3600)):
        new = invited(b, owner, **rest)
        b.clock.now += span - 1
        b.good(new, "enrol", name="x")
        b.clock.now += 1
        b.refused("not-found", new, "confirm")
    equal(len(b.phones.all()), 1)


def test_four_invites_and_the_fifth():
    b = Bridge()
    owner = b.enrolled()
    out = [invited(b, owner, expires_s=3600) for _ in range(MAX_INVITES)]
    equal(len(b.invites), MAX_INVITES)
    for new in out:
        b.good(new, "enrol", name="x")
    assert "4 invites are out" in b.refused("full", owner, "invite", role="guest")["say"]
    b.good(out[0], "confirm")
    b.good(invited(b, owner), "enrol", name="x")
    b.refused("full", owner, "invite", role="guest")
    b.good(out[1], "confirm")


def test_no_invite_while_the_registry_is_full():
    b = Bridge()
    owner = b.enrolled()
    for _ in range(MAX_PHONES - 2):
        b.enrolled("guest")
    out = invited(b, owner)
    b.good(out, "enrol", name="x")
    b.good(out, "confirm")
    equal(len(b.phones.all()), MAX_PHONES)
    assert "revoke one" in b.refused("full", owner, "invite", role="guest")["say"]
    equal(len(b.invites), 0)
    b.good(owner, "revoke", phone=b.phones.all()[-1]["id"])
    b.good(owner, "invite", role="guest")


def test_uninvite_ends_all_that_are_out():
    b = Bridge()
    owner = b.enrolled()
    out = [invited(b, owner) for _ in range(3)]
    b.good(out[0], "enrol", name="x")
    b.good(owner, "uninvite")
    equal(len(b.invites), 0)
    b.refused("not-found", out[0], "confirm")
    b.refused("not-found", out[1], "enrol", name="x")
    b.good(owner, "uninvite")
    b.good(invited(b, owner), "enrol", name="x")


def test_the_invites_of_a_revoked_owner_are_void():
    b = Bridge()
    owner, other = b.enrolled(), b.enrolled()
    back, good = invited(b, other), invited(b, owner)
    b.good(back, "enrol", name="back door")
    b.good(owner, "revoke", phone=other.key_id.hex())
    b.refused("not-found", back, "confirm")
    b.good(good, "enrol", name="x")
    # Nor may an owner who leaves keep one.
    second = b.enrolled()
    back = invited(b, second)
    b.good(second, "leave")
    b.refused("not-found", back, "enrol", name="x")
    equal(len(b.invites), 1)


def test_in_the_buttons_window_the_setup_code_makes_a_guest_of_an_owned_bridge():
    b = Bridge()
    first = Caller(1, ZEROS, True)
    equal(b.good(first, "enrol", name="first")["role"], "owner")
    b.good(first, "confirm")
    second = Caller(1, ZEROS, True)
    equal(b.good(second, "enrol", name="second")["role"], "guest")
    b.good(second, "confirm")
    equal([p["role"] for p in b.phones.all()], ["owner", "guest"])
    b.refused("not-allowed", Caller(1, ZEROS), "enrol", name="third")


def test_a_draft_made_before_there_was_an_owner_makes_no_second_one():
    b = Bridge()
    slow, quick = Caller(1, ZEROS, True), Caller(1, ZEROS, True)
    equal(b.good(slow, "enrol", name="slow")["role"], "owner")
    b.good(quick, "enrol", name="quick")
    b.good(quick, "confirm")
    b.refused("not-allowed", slow, "confirm")
    equal([p["role"] for p in b.phones.all()], ["owner"])
    equal(b.good(slow, "enrol", name="slow")["role"], "guest")
    b.good(slow, "confirm")
