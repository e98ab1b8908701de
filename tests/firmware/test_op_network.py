# The operations about networks, beyond what test_operations.py asks of all of them; the uplink is the real one on a
# scripted radio (test_uplink.py), the filter is the real one.
import asyncio

import pktfilter
from check import equal, raises, until
from speakeasy import uplink
from speakeasy.files import Files
from speakeasy.segment import SETUP_LEAST_S, SETUP_MOST_S
from speakeasy.settings import MAX_SERVICES, Settings
from stage import BRIDGE_ID, Console, FailingFlash, wipe
from test_operations import FAR, Bridge

TIME_LIMIT_S = 40


def saved():
    return Settings(Files(), BRIDGE_ID)


def known(*ssids):
    b = Bridge()
    for ssid in reversed(ssids):
        b.settings.remember_network(ssid, "" if ssid == "open" else "correct horse")
    return b, b.enrolled()


def test_networks_lists_without_keys():
    b, owner = known("Dorm", "open", "Home")
    answer = b.good(owner, "networks")
    equal(
        answer["networks"],
        [{"ssid": "Dorm", "open": False}, {"ssid": "open", "open": True}, {"ssid": "Home", "open": False}],
    )
    assert "horse" not in str(answer)
    wipe()
    b = Bridge()
    equal(b.good(b.enrolled(), "networks")["networks"], [])


def test_networks_tells_by_which_mac_the_bridge_is_known():
    b, owner = known("Dorm")
    equal(b.good(owner, "networks")["mac"], "02:00:00:00:42:10")
    equal([name for name in b.good(owner, "networks", page=1) if name == "mac"], [])


def test_four_of_the_longest_names_fit_into_one_answer():
    ssids = ["\x01" * 31 + "%d" % n for n in range(4)]
    b, owner = known(*ssids)
    answer = b.good(owner, "networks")
    equal([n["ssid"] for n in answer["networks"]], ssids)
    assert "more" not in answer
    ssids.reverse()
    equal([n["ssid"] for n in b.good(owner, "networks", order=ssids)["networks"]], ssids)


def test_another_order_is_saved_and_keeps_the_keys():
    b, owner = known("Dorm", "open", "Home")
    before = {n["ssid"]: n["key"] for n in b.settings.uplinks}
    answer = b.good(owner, "networks", order=["Home", "Dorm", "open"])
    equal([n["ssid"] for n in answer["networks"]], ["Home", "Dorm", "open"])
    equal([n["ssid"] for n in saved().uplinks], ["Home", "Dorm", "open"])
    equal({n["ssid"]: n["key"] for n in saved().uplinks}, before)


def test_an_order_names_each_network_once():
    b, owner = known("Dorm", "open", "Home")
    for order in (
        [],
        ["Dorm", "open"],
        ["Dorm", "open", "Home", "Home"],
        ["Dorm", "open", "open"],
        ["Dorm", "open", "Other"],
        ["Dorm", "open", None],
        ["Dorm", "open", ["Home"]],
        "Dorm",
        {"Dorm": 1},
        5,
    ):
        assert "nothing was changed" in b.refused("bad-request", owner, "networks", order=order)["say"]
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "networks", order=["Home", "Dorm", "open"])
    equal([n["ssid"] for n in b.settings.uplinks], ["Dorm", "open", "Home"])
    # The order that is there already costs no write.
    b.good(owner, "networks", order=["Dorm", "open", "Home"])


def test_forget():
    b, owner = known("Dorm", "open", "Home")
    b.good(owner, "forget", ssid="open")
    equal([n["ssid"] for n in saved().uplinks], ["Dorm", "Home"])
    for ssid in ("open", "", "dorm", None, 5, ["Dorm"]):
        b.refused("not-found", owner, "forget", ssid=ssid)
    b.refused("not-found", owner, "forget")
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "forget", ssid="Dorm")
    equal([n["ssid"] for n in b.settings.uplinks], ["Dorm", "Home"])


def test_the_fifth_network_pushes_out_the_last():
    b, owner = known("A", "B", "C", "D")
    b.good(owner, "networks", order=["D", "A", "C", "B"])
    b.settings.remember_network("E", "")
    equal([n["ssid"] for n in saved().uplinks], ["E", "D", "A", "C"])


def test_scan_in_pages_of_one_scan():
    b = Bridge()
    owner = b.enrolled()
    for n in range(30):
        b.radio.networks["\x01" * 30 + "%02d" % n] = ("", "up")
    b.radio.active(True)
    seen, page = [], 0
    while True:
        answer = b.good(owner, "scan", page=page)
        seen += answer["networks"]
        if not answer.get("more"):
            break
        page += 1
    equal((len(seen), len({entry["ssid"] for entry in seen}), b.radio.calls.count("scan")), (20, 20, 1))
    assert page >= 3
    equal(sorted(seen[0]), ["rssi", "security", "ssid"])
    for wrong in (-1, 256, "0", None, True):
        b.refused("bad-request", owner, "scan", page=wrong)
    equal(b.radio.calls.count("scan"), 1)


def test_a_scan_that_the_radio_refuses_is_answered():
    b = Bridge()
    owner = b.enrolled()

    def refuse():
        raise OSError("STA must be active")

    def fill():
        raise MemoryError

    for b.radio.scan in (refuse, fill):
        b.refused("failed", owner, "scan")


async def test_a_scan_while_the_radio_joins_has_to_wait():
    b, owner = known("Dorm")
    uplink.SCAN_REST_S = 0
    task = asyncio.create_task(b.uplink.run())
    await until(lambda: b.uplink.state == uplink.JOINING)
    b.refused("busy", owner, "scan")
    equal(b.radio.calls.count("scan"), 0)
    # It is done as soon as the radio is free; who asks again is answered, even if it joins again by then.
    await until(lambda: b.radio.calls.count("scan") == 1, 10_000)
    b.radio.networks["Café"] = ("", "up")
    await until(lambda: b.uplink.state == uplink.JOINING, 10_000)
    equal(b.good(owner, "scan")["networks"], [])
    equal(b.radio.calls.count("scan"), 1)
    task.cancel()


def test_the_segments_name_and_key():
    b = Bridge()
    owner = b.enrolled()
    before = b.settings.segment
    answer = b.good(owner, "segment")
    equal((answer["ssid"], answer["key"], answer["state"]), (before["ssid"], before["key"], "up"))
    with Console() as console:
        b.good(owner, "segment", ssid="Speaker")
        equal(saved().segment, {"ssid": "Speaker", "key": before["key"]})
        b.good(owner, "segment", key="a new horse")
    equal(saved().segment, {"ssid": "Speaker", "key": "a new horse"})
    assert "horse" not in console.text and "must be told" in console.text
    answer = b.good(owner, "segment", ssid="\x01" * 32, key='"' * 63)
    equal((answer["ssid"], answer["key"]), ("\x01" * 32, '"' * 63))


def test_the_segments_name_and_key_below_at_above():
    b = Bridge()
    owner = b.enrolled()
    for good in ({"key": "x" * 8}, {"key": "x" * 63}, {"ssid": "x"}, {"ssid": "é" * 16}):
        b.good(owner, "segment", **good)
    before = saved().segment
    for wrong in (
        {"key": "x" * 7},
        {"key": "x" * 64},
        {"key": ""},
        {"key": None},
        {"key": "12345678é"},
        {"ssid": ""},
        {"ssid": "é" * 16 + "x"},
        {"ssid": None},
        {"ssid": 5, "key": "x" * 8},
        {"ssid": "x", "key": "short"},
    ):
        b.refused("bad-request", owner, "segment", **wrong)
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "segment", ssid="other")
    equal((saved().segment, b.settings.segment), (before, before))


def test_services_are_saved_and_in_force():
    b = Bridge()
    owner = b.enrolled()
    told = []
    real = pktfilter.services

    class Filter:
        def __getattr__(self, name):
            return getattr(pktfilter, name)

        @staticmethod
        def services(services):
            real(services)
            told.append(services)

    from speakeasy import policy

    policy.pktfilter = Filter()
    b.policy.grant(owner.key_id.hex(), FAR + b"\1", 1)
    equal(b.good(owner, "services")["services"], ["tcp/1400"])
    equal(told, [])
    eight = ["tcp/%d" % n for n in range(1400, 1400 + MAX_SERVICES)]
    for services, as_numbers in (
        (["tcp/1400", "tcp/1443"], ((6, 1400), (6, 1443))),
        (["udp/1", "tcp/65535"], ((17, 1), (6, 65535))),
        ([], ()),
        (eight[:-1], tuple([(6, n) for n in range(1400, 1399 + MAX_SERVICES)])),
        (eight, tuple([(6, n) for n in range(1400, 1400 + MAX_SERVICES)])),
    ):
        equal(b.good(owner, "services", services=services)["services"], services)
        equal((saved().services, told[-1]), (services, as_numbers))
    before = len(told)
    b.good(owner, "services", services=eight)
    equal((len(told), len(b.policy.leases())), (before, 1))
    for wrong in (
        eight + ["tcp/1443"],
        ["tcp/0"],
        ["tcp/65536"],
        ["tcp/01400"],
        ["tcp/"],
        ["tcp/-1"],
        ["tcp/14 0"],
        ["TCP/1400"],
        ["icmp/1"],
        ["1400"],
        ["tcp/1400", "tcp/1400"],
        ["tcp/7780"],
        ["udp/67"],
        ["udp/68"],
        "tcp/1400",
        [1400],
        [["tcp/1400"]],
        [None],
        None,
        {},
    ):
        assert "nothing was changed" in b.refused("bad-request", owner, "services", services=wrong)["say"]
    for wrong, shown in (
        (["tcp/1400", "tcp/7780"], " (tcp/7780 is none);"),
        (["tcp/1400", "\ud800\x1b\u20ac" + "x" * 40], " (???%s is none);" % ("x" * 29)),
        (["tcp/1400", "tcp/1400"], " own ports;"),
        ("tcp/1400", " own ports;"),
    ):
        say = b.refused("bad-request", owner, "services", services=wrong)["say"]
        assert shown in say, say
    assert "(224.0.0.1 is none)" in b.refused("bad-request", owner, "addressing", hosts=["224.0.0.1"])["say"]
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "services", services=[])
    equal((b.settings.services, saved().services, len(told)), (eight, eight, before))


def test_as_many_services_as_the_filter_takes():
    pktfilter.services(tuple([(6, n + 1) for n in range(MAX_SERVICES)]))
    with raises(ValueError):
        pktfilter.services(tuple([(6, n + 1) for n in range(MAX_SERVICES + 1)]))


def test_ethernet_on_a_board_without_it():
    b = Bridge()
    owner = b.enrolled()
    equal(b.good(owner, "ethernet"), {"id": 7, "ok": True, "ethernet": None, "now": None})
    b.good(owner, "ethernet", ethernet=None)
    for side in ("segment", "uplink", "", 5):
        assert "nothing was changed" in b.refused("bad-request", owner, "ethernet", ethernet=side)["say"]


def test_ethernet_is_saved_and_in_force_later():
    b = Bridge()
    b.settings.ethernet, b.segment.cable = "segment", True
    owner = b.enrolled()
    equal(b.good(owner, "ethernet"), {"id": 7, "ok": True, "ethernet": "segment", "now": "segment"})
    for side in (None, "", "both", 5, ["uplink"], {}):
        b.refused("bad-request", owner, "ethernet", ethernet=side)
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "ethernet", ethernet="uplink")
    equal(b.settings.ethernet, "segment")
    b.settings._files = Files()
    equal(b.good(owner, "ethernet", ethernet="uplink"), {"id": 7, "ok": True, "ethernet": "uplink", "now": "segment"})
    equal(Settings(Files(), BRIDGE_ID, has_ethernet=True).ethernet, "uplink")
    # What is chosen already costs no write.
    b.settings._files = FailingFlash(0)
    b.good(owner, "ethernet", ethernet="uplink")


def test_what_is_about_wifi_where_there_is_a_cable():
    b, owner = known("Dorm", "open")
    b.uplink.cable = True
    for op, request in (("scan", {}), ("join", {"ssid": "Home", "key": ""})):
        b.refused("by-cable", owner, op, **request)
    equal((b.radio.calls, len(saved().uplinks)), ([], 2))
    # What is remembered can be looked at, and forgotten.
    equal(len(b.good(owner, "networks", order=["open", "Dorm"])["networks"]), 2)
    b.good(owner, "forget", ssid="open")
    b.uplink.cable = False
    before = b.settings.segment
    b.segment.cable = True
    b.refused("by-cable", owner, "segment")
    b.refused("by-cable", owner, "segment", ssid="Box", key="correct horse")
    equal(b.settings.segment, before)


def test_setup_opens_and_closes_a_window_within_its_limits():
    b = Bridge()
    owner = b.enrolled()
    calls = []
    b.segment.open_setup = lambda seconds: calls.append(seconds)
    b.segment.close_setup = lambda: calls.append("close")
    closed = {"id": 7, "ok": True, "left_s": 0, "seen": [], "forgotten": 0, "undecided": False, "speaker": None}
    equal(b.good(owner, "setup"), closed)
    for wrong in (-1, 1, SETUP_LEAST_S - 1, SETUP_MOST_S + 1, "60", True, False, 60.5, [60]):
        b.refused("bad-request", owner, "setup", open_s=wrong)
    b.good(owner, "setup", open_s=0)
    equal(calls, [])
    b.good(owner, "setup", open_s=SETUP_LEAST_S)
    b.good(owner, "setup", open_s=SETUP_MOST_S)
    b.segment.state = "set-up"
    b.good(owner, "setup", open_s=0)
    equal(calls, [SETUP_LEAST_S, SETUP_MOST_S, "close"])
    b.segment.cable = True
    for request in ({}, {"open_s": 60}, {"open_s": 0}, {"speaker": "02:00:00:00:42:20"}):
        assert "no set-up window" in b.refused("by-cable", owner, "setup", **request)["say"]
    equal(len(calls), 3)


def test_setup_takes_one_for_the_speaker_whether_it_was_there_or_not():
    b = Bridge()
    owner = b.enrolled()
    chosen = []
    b.segment.decide = chosen.append
    b.policy.asked = [b"\2\0\0\0\x42\x99", b"\2\0\0\0\x42\x98"]
    b.policy.forgotten = 3
    for mac in ("", 5, [], "02:00:00:00:42:9", "02:00:00:00:42:9G", "03:00:00:00:42:99", "02:00:00:00:42:AB"):
        b.refused("bad-request", owner, "setup", speaker=mac)
    equal(chosen, [])
    answer = b.good(owner, "setup", speaker="02:00:00:00:42:99")
    equal((answer["seen"], answer["forgotten"]), (["02:00:00:00:42:99", "02:00:00:00:42:98"], 3))
    # A neighbour that comes under many MACs must not keep the owner from naming the one on the label.
    b.good(owner, "setup", speaker="02:00:00:00:42:20")
    equal(chosen, ["02:00:00:00:42:99", "02:00:00:00:42:20"])
