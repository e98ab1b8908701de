from check import equal
from speakeasy import eventlog
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


def test_a_long_line_is_cut():
    eventlog.log("test", "x" * 1000)
    equal(len(eventlog.recent()[0]), eventlog.LINE_CHARS)
    assert eventlog.recent()[0].endswith("x...")


def test_clear_forgets():
    eventlog.log("test", "before")
    eventlog.clear()
    equal(eventlog.recent(), [])
    eventlog.log("test", "after")
    equal(len(eventlog.recent()), 1)
