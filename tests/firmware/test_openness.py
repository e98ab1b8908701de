# When Bluetooth is on: the states, their order, and how long each lasts.
from check import equal
from speakeasy import openness as o
from speakeasy import session
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from speakeasy.onetime import OneTime
from speakeasy.openness import Openness
from speakeasy.phones import Phones
from speakeasy.reached import SOUGHT_S, Reached
from speakeasy.settings import Settings
from stage import BRIDGE_ID, Clock, X

SETUP, KEY, INVITE = session.MODE_SETUP, session.MODE_PHONE, session.MODE_INVITE


class Uplink:
    state = "up"


class Bench:
    def __init__(self, owned=True):
        self.clock = Clock()
        self.phones = Phones(Settings(Files(), BRIDGE_ID))
        self.lockout = Lockout(Files(), self.clock)
        self.invites = OneTime(4, 600, self.clock)
        self.uplink = Uplink()
        self.reached = Reached(Files(), self.phones, self.clock)
        self.door = Openness(self.phones, self.lockout, self.invites, self.uplink, self.reached, self.clock)
        if owned:
            self.phones.add(self.phones.draft("x", "owner"))

    def lock(self):
        for _ in range(5):
            self.lockout.wrong()

    def is_(self, state, word, left_s):
        equal((self.door.state(), self.door.word(), self.door.left_s()), (state, word, left_s))

    def takes(self, setup, key, invite):
        equal([self.door.refusal(mode) for mode in (SETUP, KEY, INVITE)], [setup, key, invite])


def test_unowned_is_open_for_the_setup_code():
    b = Bench(owned=False)
    b.is_(o.UNOWNED, "unowned", None)
    b.takes(0, 0, session.NOT_NOW)
    b.clock.now += 1_000_000
    b.is_(o.UNOWNED, "unowned", None)


def test_owned_and_on_its_uplink_is_closed():
    b = Bench()
    b.is_(o.CLOSED, "closed", None)
    b.takes(session.NOT_NOW, 0, session.NOT_NOW)


def test_guests_alone_are_no_owner():
    b = Bench(owned=False)
    b.phones.add(b.phones.draft("x", "guest"))
    b.is_(o.UNOWNED, "unowned", None)


def test_a_press_opens_a_window_of_120_s():
    for owned in (True, False):
        b = Bench(owned)
        closed = b.door.state()
        b.door.open_for(o.WINDOW, o.WINDOW_S)
        b.is_(o.WINDOW, "window", 120)
        b.takes(0, 0, 0)
        b.clock.now += 119
        b.is_(o.WINDOW, "window", 1)
        b.clock.now += 1
        equal(b.door.state(), closed)
        assert not b.door.window()


def test_another_press_starts_it_afresh():
    b = Bench()
    b.door.open_for(o.WINDOW, o.WINDOW_S)
    b.clock.now += 100
    b.door.open_for(o.WINDOW, o.WINDOW_S)
    equal(b.door.left_s(), 120)
    b.door.open_for(o.WINDOW, 5)
    equal(b.door.left_s(), 120)


def test_an_invite_opens_while_it_is_out():
    b = Bench()
    b.invites.put(b"INVITE01", (b"s" * 16, "guest"))
    b.is_(o.INVITED, "invited", 600)
    b.takes(session.NOT_NOW, 0, 0)
    b.clock.now += 300
    b.invites.put(b"INVITE02", (b"s" * 16, "guest"))
    b.is_(o.INVITED, "invited", 600)
    b.invites.take(b"INVITE02")
    b.is_(o.INVITED, "invited", 300)
    b.clock.now += 299
    b.is_(o.INVITED, "invited", 1)
    b.clock.now += 1
    b.is_(o.CLOSED, "closed", None)


def test_an_owner_opens_for_300_s():
    b = Bench()
    b.door.open_for(o.MANAGED, 300)
    b.is_(o.MANAGED, "managed", 300)
    b.takes(session.NOT_NOW, 0, session.NOT_NOW)
    b.clock.now += 299
    b.is_(o.MANAGED, "managed", 1)
    b.clock.now += 1
    b.is_(o.CLOSED, "closed", None)


def test_open_while_the_uplink_is_not_up():
    b = Bench()
    for state in ("off", "joining", "lost", "wrong-key", "no-network", "no-dhcp", "unusable-address", "failed"):
        b.uplink.state = state
        b.is_(o.MANAGED, "managed", None)
    b.uplink.state = "up"
    b.is_(o.CLOSED, "closed", None)


def test_open_while_no_owner_knows_its_address_for_24_h():
    b = Bench()
    b.reached.moved(X)
    b.is_(o.MANAGED, "managed", SOUGHT_S)
    b.takes(session.NOT_NOW, 0, session.NOT_NOW)
    b.clock.now += SOUGHT_S - 100
    b.is_(o.MANAGED, "managed", 100)
    b.door.open_for(o.MANAGED, 300)
    b.is_(o.MANAGED, "managed", 300)
    b.clock.now += 300
    b.is_(o.CLOSED, "closed", None)
    b.reached.moved(X[:3] + b"\1")
    b.is_(o.MANAGED, "managed", SOUGHT_S)
    b.uplink.state = "lost"
    b.is_(o.MANAGED, "managed", None)
    b.uplink.state = "up"
    b.lock()
    b.is_(o.LOCKED, "locked", 30)
    b.takes(session.LOCKED, 0, session.LOCKED)
    b.clock.now += 30
    b.reached.by_owner()
    b.is_(o.CLOSED, "closed", None)


def test_an_owner_who_has_come_does_not_shorten_what_else_is_open():
    b = Bench()
    b.reached.moved(X)
    b.door.open_for(o.MANAGED, 300)
    b.reached.by_owner()
    b.is_(o.MANAGED, "managed", 300)


def test_open_during_a_session_and_60_s_after_it():
    b = Bench()
    b.door.session_began()
    b.clock.now += 500
    b.is_(o.MANAGED, "managed", None)
    b.door.session_ended()
    b.is_(o.MANAGED, "managed", 60)
    b.clock.now += 59
    b.is_(o.MANAGED, "managed", 1)
    b.clock.now += 1
    b.is_(o.CLOSED, "closed", None)


def test_a_session_does_not_shorten_what_an_owner_asked_for():
    b = Bench()
    b.door.open_for(o.MANAGED, 300)
    b.door.session_began()
    b.door.session_ended()
    equal(b.door.left_s(), 300)


def test_locked_is_shown_only_where_it_would_be_open():
    b = Bench()
    b.lock()
    b.is_(o.CLOSED, "closed", None)
    for opening in (
        lambda: b.door.open_for(o.MANAGED, 300),
        lambda: b.invites.put(b"INVITE01", (b"s" * 16, "guest")),
        lambda: setattr(b.uplink, "state", "lost"),
    ):
        opening()
        b.is_(o.LOCKED, "locked", 30)
        b.takes(session.LOCKED, 0, session.LOCKED)
    b.clock.now += 30
    b.is_(o.INVITED, "invited", 570)
    b = Bench(owned=False)
    b.lockout.good()
    b.lock()
    b.phones._settings.change(phones=[])
    b.is_(o.LOCKED, "locked", 30)
    b.takes(session.LOCKED, 0, session.LOCKED)
    b.clock.now += 30
    b.takes(0, 0, session.NOT_NOW)


def test_the_window_goes_over_the_lock_out_and_that_over_all_else():
    b = Bench(owned=False)
    b.lock()
    b.door.open_for(o.WINDOW, o.WINDOW_S)
    b.is_(o.WINDOW, "window", 120)
    b.takes(0, 0, 0)
    for _ in range(5):
        b.lockout.wrong()
    b.is_(o.WINDOW, "window", 120)
    b.takes(0, 0, 0)
    b.clock.now += 120
    b.is_(o.LOCKED, "locked", 840)
    b.phones.add(b.phones.draft("x", "owner"))
    b.invites.put(b"INVITE01", (b"s" * 16, "guest"))
    b.is_(o.LOCKED, "locked", 840)
    b.lockout.good()
    b.uplink.state = "lost"
    b.is_(o.INVITED, "invited", 600)
    b.invites.take(b"INVITE01")
    b.is_(o.MANAGED, "managed", None)


def test_a_reboot_closes_every_window_but_the_lock_out_stays():
    b = Bench()
    b.door.open_for(o.WINDOW, o.WINDOW_S)
    b.door.open_for(o.MANAGED, 300)
    b.lock()
    again = Bench(owned=False)
    again.is_(o.CLOSED, "closed", None)
    again.uplink.state = "joining"
    again.is_(o.LOCKED, "locked", 30)
