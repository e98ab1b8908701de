# The operations about the bridge itself, beyond what test_operations.py asks of all of them.
import os

from check import equal
from speakeasy import eventlog, op_bridge, request
from speakeasy.reached import OTHERS_S, SOUGHT_S
from stage import BRIDGE_ID, FailingFlash
from test_operations import Bridge


class Restarted(Exception):
    pass


class Machine:
    """A board's reset line: nothing goes on after it."""

    @staticmethod
    def reset():
        raise Restarted


def test_an_owner_who_asks_for_the_status_knows_where_the_bridge_is():
    b = Bridge()
    owner, guest = b.enrolled(), b.enrolled("guest")
    b.good(guest, "status")
    b.good(owner, "phones")
    b.good(owner, "status", page=1)  # which holds leases alone
    b.refused("bad-request", owner, "status", page=256)
    equal(b.reached.sought_s(), SOUGHT_S)
    b.good(owner, "status")
    equal(b.reached.sought_s(), OTHERS_S)
    b.reached.moved(b"\x0a\x42\x00\x65")
    equal(b.reached.sought_s(), SOUGHT_S)


def test_a_flash_that_is_full_keeps_nobody_from_the_status():
    b = Bridge()
    b.reached._files = FailingFlash(0)
    b.good(b.enrolled(), "status")
    equal(b.reached.sought_s(), 0)


def test_the_log_newest_first_in_pages_that_new_lines_do_not_move():
    b = Bridge()
    owner = b.enrolled()
    for n in range(eventlog.LINES + 9):
        eventlog.log("test", "line %d %s" % (n, "x" * 16))
    expected = eventlog.recent()
    expected.reverse()
    seen, page = [], 0
    while True:
        answer = b.good(owner, "log", page=page)
        seen += answer["lines"]
        if not answer.get("more"):
            break
        page += 1
        if page == 2:
            eventlog.log("test", "in between")
    # The one line that fell out of the ring meanwhile was the oldest.
    equal(seen, expected[:-1])
    assert page >= 2
    assert "in between" in b.good(owner, "log")["lines"][0]


def test_the_log_of_another_session_is_its_own():
    b = Bridge()
    one, other = b.enrolled(), b.enrolled()
    eventlog.clear()
    eventlog.log("test", "first")
    b.good(one, "log")
    eventlog.log("test", "second")
    equal(len(b.good(other, "log")["lines"]), 2)
    equal(b.good(one, "log", page=1)["lines"], [])
    for wrong in (-1, 256, "0", None, True):
        b.refused("bad-request", one, "log", page=wrong)
    b.good(one, "log", page=255)


def test_the_longest_lines_fit():
    b = Bridge()
    owner = b.enrolled()
    for text in ('"\\' * 200, "\x01\x1f\x7f\x9b" * 99, "\U0001f50a" * 200):
        eventlog.log("test", text)
        assert b.good(owner, "log")["lines"]


def test_an_answer_that_would_not_fit_is_none():
    b = Bridge()
    owner = b.enrolled()
    b.status.answer = lambda: {"x": "y" * 992}
    assert "too long" in b.refused("failed", owner, "status")["say"]


def test_a_page_is_at_most_what_a_record_holds():
    # Below, at, above: what one more byte in the first page's own part does.
    item = "x" * 100
    fits = []
    for own in range(650, 920):
        raw = request.paged({"own": "y" * own}, "list", [item, item], {})
        fits.append(len(raw["list"]))
    equal(sorted(set(fits)), [0, 1, 2])
    equal(fits, sorted(fits, key=lambda n: -n))
    # Nothing is lost or twice, wherever the first page ends.
    for own in (0, 500, 760, 800, 860, 900):
        items = ["%d %s" % (n, "z" * 60) for n in range(40)]
        seen, page, more = [], 0, True
        while more:
            answer = request.paged({"own": "y" * own}, "list", items, {"page": page})
            seen += answer["list"]
            more = answer.get("more", False)
            equal("own" in answer, page == 0)
            page += 1
        equal(seen, items)


def test_reboot_waits_until_the_phone_is_gone():
    import machine

    b = Bridge()
    owner = b.enrolled()
    b.good(owner, "reboot")
    equal((owner.leaving, owner.afterwards), (True, machine.reset))
    equal(len(b.phones.all()), 1)


def test_reset_needs_the_bridges_own_id():
    b = Bridge()
    owner = b.enrolled()
    before = owner.afterwards
    own = BRIDGE_ID.hex()
    for wrong in (None, "", own[:-1], own + "0", own.upper(), "00" * 8, 5, True, [own], {"bridge": own}):
        b.refused("bad-request", owner, "reset", bridge=wrong)
    b.refused("bad-request", owner, "reset")
    equal((owner.leaving, owner.afterwards), (False, before))
    b.good(owner, "reset", bridge=own)
    assert owner.leaving


def test_reset_erases_when_the_phone_is_gone():
    b = Bridge()
    owner = b.enrolled()
    with open("identity.json", "w") as f:
        f.write("stays")
    b.good(owner, "reset", bridge=BRIDGE_ID.hex())
    # It is decided when it is answered: the next boot would finish it.
    equal(sorted(os.listdir()), ["identity.json", "reset.json", "settings.json"])
    op_bridge.machine = Machine
    try:
        owner.afterwards()
        raise AssertionError("it did not start again")
    except Restarted:
        pass
    equal(os.listdir(), ["identity.json"])
    equal(eventlog.recent(), [])


def test_a_reset_that_the_flash_refuses_changes_nothing_and_is_told():
    b = Bridge(FailingFlash())
    owner = b.enrolled()
    op_bridge.machine = Machine
    b.files.survives = b.files.operations
    b.refused("failed", owner, "reset", bridge=BRIDGE_ID.hex())
    assert not owner.leaving
    owner.afterwards()
    assert "settings.json" in os.listdir() and "reset.json" not in os.listdir()
    equal(len(b.phones.all()), 1)
