from check import equal
from speakeasy.onetime import OneTime
from stage import Clock


def test_once():
    things = OneTime(4, 60, Clock())
    things.put(b"a", 7)
    equal(things.peek(b"a"), (7,))
    equal(things.take(b"a"), (7,))
    equal(things.take(b"a"), None)
    equal(things.peek(b"a"), None)
    equal(things.take(b"b"), None)


def test_a_value_may_be_none():
    things = OneTime(4, 60, Clock())
    things.put(b"a")
    equal(things.take(b"a"), (None,))


def test_expiry_before_at_after():
    clock = Clock()
    for passed, there in ((59, True), (60, False), (61, False), (10**9, False)):
        things = OneTime(4, 60, clock)
        things.put(b"a", 1)
        clock.now += passed
        equal(things.take(b"a") is not None, there)


def test_each_may_have_a_time_of_its_own():
    clock = Clock()
    things = OneTime(4, 60, clock)
    things.put(b"a", 1, 120)
    things.put(b"b", 2)
    things.put(b"c", 3, 30)
    equal(things.left_s(), 120)
    for passed, left in ((29, 3), (1, 2), (29, 2), (1, 1), (59, 1), (1, 0)):
        clock.now += passed
        equal(len(things), left)


def test_the_oldest_goes():
    things = OneTime(3, 60, Clock())
    for n in range(3):
        things.put(b"%d" % n, n)
    equal(len(things), 3)
    things.put(b"3", 3)
    equal(len(things), 3)
    equal(things.peek(b"0"), None)
    equal([things.take(b"%d" % n) for n in (1, 2, 3)], [(1,), (2,), (3,)])


def test_drop():
    things = OneTime(3, 60, Clock())
    things.put(b"a", "x")
    things.put(b"b", "y")
    things.drop(lambda value: value == "x")
    equal((things.peek(b"a"), things.peek(b"b")), (None, ("y",)))


def test_repr_holds_no_secret():
    things = OneTime(3, 60, Clock())
    things.put(b"SECRET", b"SECRET")
    assert "SECRET" not in repr(things)
