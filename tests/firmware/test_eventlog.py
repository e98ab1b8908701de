from check import equal
from speakeasy import clock, eventlog
from stage import Console


def test_a_line_has_time_module_and_text():
    with Console() as console:
        eventlog.log("uplink", "joined")
    line = console.text.strip()
    assert line.startswith("[") and line.endswith("] uplink: joined"), line
    equal(eventlog.recent(), [line])


def test_the_ring_keeps_the_last_lines_in_order():
    for n in range(eventlog.LINES * 2 + 5):
        eventlog.log("test", "line %d" % n)
    lines = eventlog.recent()
    equal(len(lines), eventlog.LINES)
    assert lines[0].endswith("line %d" % (eventlog.LINES + 5)), lines[0]
    assert lines[-1].endswith("line %d" % (eventlog.LINES * 2 + 4)), lines[-1]


def test_exactly_full_ring_loses_nothing():
    for n in range(eventlog.LINES):
        eventlog.log("test", "line %d" % n)
    lines = eventlog.recent()
    equal(len(lines), eventlog.LINES)
    assert lines[0].endswith("line 0")


def test_long_lines_push_out_more():
    """Whatever the lines are, they take no more memory than KEPT_CHARS."""
    eventlog.clear()
    n = 0
    while n < 3 * eventlog.LINES:
        eventlog.log("test", "x" * 1000)
        n += 1
        equal(len(eventlog.recent()), min(n, eventlog.KEPT_CHARS // eventlog.LINE_CHARS))
    equal(len(eventlog.newest(eventlog.count())), eventlog.KEPT_CHARS // eventlog.LINE_CHARS)
    equal(eventlog.newest(eventlog.count() - eventlog.LINES), [])
    for _ in range(eventlog.LINES):
        eventlog.log("test", "short")
    equal(len(eventlog.recent()), eventlog.LINES)


def test_a_long_line_is_cut():
    eventlog.log("test", "x" * 1000)
    equal(len(eventlog.recent()[0]), eventlog.LINE_CHARS)
    assert eventlog.recent()[0].endswith("x...")


def test_control_characters_do_not_reach_the_console():
    with Console() as console:
        eventlog.log("test", "a\nb\x1b[31m\x7f\x9b é \U0001f50a")
    assert console.text.endswith("] test: a?b?[31m?? é \U0001f50a\n"), console.text


def test_newest_first_up_to_a_mark():
    eventlog.clear()
    equal((eventlog.count(), eventlog.newest(0), eventlog.newest(5)), (0, [], []))
    for n in range(3):
        eventlog.log("test", "line %d" % n)
    mark = eventlog.count()
    eventlog.log("test", "line 3")
    equal([line[-1] for line in eventlog.newest(mark)], ["2", "1", "0"])
    equal([line[-1] for line in eventlog.newest(eventlog.count())], ["3", "2", "1", "0"])
    for _ in range(eventlog.LINES - 2):
        eventlog.log("test", "line x")
    # What the ring has lost since is not there; what is left is.
    equal([line[-1] for line in eventlog.newest(mark)], ["2"])
    equal(len(eventlog.newest(eventlog.count())), eventlog.LINES)


def test_an_errors_number():
    import errno

    equal(
        [eventlog.number(e) for e in (OSError(errno.ENOENT), OSError("Wifi Not Started"), OSError(), MemoryError())],
        [errno.ENOENT, 0, 0, 0],
    )


def test_clear_forgets():
    eventlog.log("test", "before")
    eventlog.clear()
    equal(eventlog.recent(), [])
    eventlog.log("test", "after")
    equal(len(eventlog.recent()), 1)


def seldom_lines(module):
    return [line.split("] ")[1] for line in eventlog.recent() if ("] %s: " % module) in line]


def test_what_strangers_bring_about_has_a_line_a_minute():
    eventlog.clear()
    at = 1000
    seconds, clock.seconds = clock.seconds, lambda: at
    try:
        eventlog.log("owner", "an invite was made")
        for _ in range(eventlog.LINES * 2):
            eventlog.seldom("door", "knock")
        eventlog.seldom("window", "knock")
        equal(seldom_lines("owner"), ["owner: an invite was made"])
        equal(seldom_lines("window"), ["window: knock"])
        at += eventlog.SELDOM_S - 1
        eventlog.seldom("door", "knock")
        equal(seldom_lines("door"), ["door: knock"])
        at += 1
        eventlog.seldom("door", "bang")
        eventlog.seldom("window", "bang")
        more = eventlog.LINES * 2
        equal(seldom_lines("door"), ["door: knock", "door: bang (%d more since the last)" % more])
        equal(seldom_lines("window"), ["window: knock", "window: bang"])
        eventlog.clear()
        eventlog.seldom("door", "knock")
        equal(seldom_lines("door"), ["door: knock"])
    finally:
        clock.seconds = seconds
        eventlog.clear()
