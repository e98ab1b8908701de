# The table of phones' subscriptions; test_gena.py has the traffic.
from check import equal, raises
from guard_stage import ALIAS, PHONE, quad
from speakeasy import gena
from speakeasy.gena import Subscriptions
from speakeasy.http_message import Bad
from stage import Clock

ADDR = quad(PHONE)
CALLBACK = b"<http://127.0.0.1:3400/notify>"


def test_callbacks():
    table = Subscriptions(Clock())
    for callback, port, path in (
        (CALLBACK, 3400, b"/notify"),
        (b"<http://127.0.0.1/n>", 80, b"/n"),
        (b"<http://127.0.0.1:65535>", 65535, b"/"),
        (b"<HTTP://127.0.0.1:1/a/b?c=d>", 1, b"/a/b?c=d"),
        (b"<http://10.0.0.1/x>, <http://127.0.0.1:7/y>", 7, b"/y"),
        (b"<http://127.0.0.1/" + b"n" * (gena.CALLBACK_MAX_BYTES - 17) + b">", 80, None),
    ):
        made = table.offer(ADDR, callback)
        equal((made.addr, made.port), (ADDR, port))
        assert path is None or made.path == path
    with raises(Bad):
        table.offer(ADDR, b"<http://127.0.0.1/" + b"n" * (gena.CALLBACK_MAX_BYTES - 16) + b">")


def test_a_full_table_takes_from_who_has_the_most():
    clock = Clock()
    table = Subscriptions(clock)
    one, other = quad("10.66.0.1"), quad("10.66.0.2")
    few = [table.offer(other, b"<http://10.66.0.2/n>") for _ in range(3)]
    many = []
    for n in range(gena.MAX_SUBSCRIPTIONS - 3):
        many.append(table.offer(one, b"<http://10.66.0.1/n>"))
        table.confirm(many[-1], b"sid %d" % n, b"Second-%d" % (600 - n))
    new = table.offer(other, b"<http://10.66.0.2/n>")
    equal(len(table), gena.MAX_SUBSCRIPTIONS)
    equal(table.of(many[-1].token), None)
    for subscription in few + many[:-1] + [new]:
        equal(table.of(subscription.token), subscription)
    # Who has the most takes from itself.
    table.offer(one, b"<http://10.66.0.1/n>")
    equal((len(table), len([s for s in few + [new] if table.of(s.token)])), (gena.MAX_SUBSCRIPTIONS, 4))


def test_the_table_is_bounded_and_forgets():
    clock = Clock()
    table = Subscriptions(clock)
    some = [table.offer(ADDR, CALLBACK) for _ in range(gena.MAX_SUBSCRIPTIONS)]
    equal(len({s.token for s in some}), gena.MAX_SUBSCRIPTIONS)
    table.confirm(some[0], b"one", b"Second-100")
    table.confirm(some[1], b"two", b"Second-infinite")
    table.confirm(some[2], b"three", b"nonsense")
    equal(table.find(ADDR, b"one"), some[0])
    equal((table.find(quad(ALIAS), b"one"), table.find(ADDR, b"none")), (None, None))
    clock.now += 60
    equal(len(table), gena.MAX_SUBSCRIPTIONS)
    clock.now += 1  # those that the speaker never answered
    equal(table.of(some[5].token), None)
    equal(len(table), 3)
    clock.now += 100
    equal((table.find(ADDR, b"one"), table.of(some[1].token)), (None, some[1]))
    clock.now += 1800
    equal((table.find(ADDR, b"three"), table.find(ADDR, b"two")), (None, some[1]))
    table.confirm(some[1], b"two", b"Second-999999999")
    clock.now += gena.LONGEST_S + 61
    equal((table.find(ADDR, b"two"), len(table)), (None, 0))
    with raises(Bad):
        table.confirm(some[1], b"another", b"Second-1")
