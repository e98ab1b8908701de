# Whether an owner's phone knows where the bridge is: the addresses, the limit, the file.
import os

from check import equal
from speakeasy import reached
from speakeasy.files import Files
from speakeasy.inet import ZERO
from speakeasy.reached import OTHERS_S, SOUGHT_S, Reached
from stage import Clock, FailingFlash, X

Y = b"\x0a\x42\x00\x65"


class Phones:
    def __init__(self, count=1):
        self.count = count

    def all(self):
        return [{}] * self.count


class Counted(FailingFlash):
    def saves(self):
        """How often a file was saved since the last look."""
        n, self.operations = self.operations, 0
        equal(n % 4, 0)  # to open, write, flush and rename
        return n // 4


def test_a_new_address_is_sought_until_an_owner_has_come():
    place = Reached(Files(), Phones(), Clock())
    equal(place.sought_s(), 0)  # no address yet: there are other reasons to be on the air
    place.moved(X)
    equal(place.sought_s(), SOUGHT_S)
    place.by_owner()
    equal(place.sought_s(), 0)
    place.moved(Y)
    equal(place.sought_s(), SOUGHT_S)
    place.by_owner()
    place.moved(X)  # the owner's phone has Y by now
    equal(place.sought_s(), SOUGHT_S)


def test_limit_below_at_above():
    clock = Clock()
    place = Reached(Files(), Phones(), clock)
    equal(SOUGHT_S, 24 * 3600)
    place.moved(X)
    clock.now += SOUGHT_S - 1
    equal(place.sought_s(), 1)
    clock.now += 1
    equal(place.sought_s(), 0)
    clock.now += 1
    equal(place.sought_s(), 0)
    place.moved(Y)
    equal(place.sought_s(), SOUGHT_S)


def test_when_an_owner_has_come_the_other_phones_have_half_an_hour():
    clock = Clock()
    place = Reached(Files(), Phones(2), clock)
    place.moved(X)
    clock.now += SOUGHT_S + 1  # its owner has pressed the button
    place.by_owner()
    equal((place.sought_s(), OTHERS_S), (1800, 1800))
    clock.now += OTHERS_S - 1
    equal(place.sought_s(), 1)
    place.by_owner()
    place.moved(ZERO)
    place.moved(X)
    equal(place.sought_s(), 1)
    clock.now += 1
    equal(place.sought_s(), 0)
    # Not for an address at which the owner had come already.
    again = Reached(Files(), Phones(2), clock)
    again.moved(X)
    again.by_owner()
    equal(again.sought_s(), 0)


def test_a_network_that_was_away_for_a_moment_starts_nothing_afresh():
    clock = Clock()
    place = Reached(Files(), Phones(), clock)
    place.moved(X)
    clock.now += 100
    place.moved(ZERO)
    equal(place.sought_s(), 0)
    place.moved(X)
    equal(place.sought_s(), SOUGHT_S - 100)
    place.moved(X)  # another name server, say
    equal(place.sought_s(), SOUGHT_S - 100)


def test_who_was_told_of_no_address_knows_none():
    place = Reached(Files(), Phones(), Clock())
    place.by_owner()
    place.moved(X)
    place.moved(ZERO)
    place.by_owner()
    place.moved(X)
    equal(place.sought_s(), SOUGHT_S)
    equal(os.listdir(), [])


def test_a_reboot_at_the_same_address_opens_nothing():
    place = Reached(Files(), Phones(), Clock())
    place.moved(X)
    place.by_owner()
    again = Reached(Files(), Phones(), Clock())
    again.moved(X)
    equal(again.sought_s(), 0)
    again.moved(Y)
    equal(again.sought_s(), SOUGHT_S)
    # Nobody has come there: the next boot asks again.
    again = Reached(Files(), Phones(), Clock())
    again.moved(Y)
    equal(again.sought_s(), SOUGHT_S)


def test_the_flash_is_written_only_when_the_address_is_another_one():
    flash = Counted()
    place = Reached(flash, Phones(), Clock())
    for addr, written in ((X, 1), (X, 0), (ZERO, 0), (X, 0), (Y, 1), (X, 1)):
        place.moved(addr)
        equal(flash.saves(), 0)  # moving writes nothing: who hands out addresses wears out no flash
        place.by_owner()
        place.by_owner()
        equal(flash.saves(), written)
    place = Reached(flash, Phones(), Clock())
    place.moved(X)
    place.by_owner()
    equal(flash.saves(), 0)


def test_power_cut_at_every_operation_leaves_old_or_new():
    for survives in range(5):
        old = Reached(Files(), Phones(), Clock())
        old.moved(X)
        old.by_owner()
        place = Reached(FailingFlash(survives), Phones(), Clock())
        place.moved(Y)
        place.by_owner()
        equal(place.sought_s(), 0)  # for this boot it counts, whatever the flash says
        found = Reached(Files(), Phones(), Clock())
        found.moved(Y)
        equal(found.sought_s(), 0 if survives == 4 else SOUGHT_S)
        found.moved(X)
        equal(found.sought_s(), SOUGHT_S if survives == 4 else 0)


def test_a_file_of_no_use_opens_and_is_written_anew():
    for content in (b"", b"{}", b"\xff" * 100):
        with open(reached.FILE, "wb") as f:
            f.write(content)
        check_opens()
    for value in (None, [], 5, {}, {"addr": None}, {"addr": 5}, {"addr": "10.0.0.256"}, {"addr": ""}):
        Files().save(reached.FILE, value)
        check_opens()


def check_opens():
    place = Reached(Files(), Phones(), Clock())
    place.moved(X)
    equal(place.sought_s(), SOUGHT_S)
    place.by_owner()
    again = Reached(Files(), Phones(), Clock())
    again.moved(X)
    equal(again.sought_s(), 0)
