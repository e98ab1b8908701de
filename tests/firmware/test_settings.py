import json
import os

from check import equal
from speakeasy import codes, eventlog, settings
from speakeasy.files import Files
from speakeasy.phones import Phones
from speakeasy.settings import Settings, is_hex, is_hosts, is_name, is_network, is_services
from stage import BRIDGE_ID, Console, FailingFlash, PowerCut, wipe

PHONE = {"id": "0011223344556677", "name": "Zoë's phone", "role": "owner", "key": "ab" * 32}


def snapshot(s):
    return json.dumps([s.uplinks, s.segment, s.mode, s.hosts, s.services, s.speaker, s.undecided, s.phones])


def test_first_boot_makes_a_segment_and_keeps_it():
    first = Settings(Files(), BRIDGE_ID)
    equal(first.segment["ssid"], "Speakeasy-b0b1")
    equal(len(first.segment["key"]), 16)
    equal((first.uplinks, first.phones, first.mode, first.damaged), ([], [], "passthrough", False))
    equal(Settings(Files(), BRIDGE_ID).segment, first.segment)
    wipe()
    assert Settings(Files(), BRIDGE_ID).segment["key"] != first.segment["key"]
    wipe()
    drawn = []

    def draw(count):
        drawn.append(os.urandom(count))
        return drawn[-1]

    key = Settings(Files(), BRIDGE_ID, draw).segment["key"]
    equal([len(one) for one in drawn], [10])  # 80 bits: all of them are in the key
    equal(key, codes.encode(drawn[0]).replace("-", "")[:-1])


def test_all_survives_a_reboot():
    s = Settings(Files(), BRIDGE_ID)
    s.remember_network("Dorm", "correct horse")
    s.change(phones=[PHONE])
    again = Settings(Files(), BRIDGE_ID)
    equal(snapshot(again), snapshot(s))
    equal(again.uplinks, [{"ssid": "Dorm", "key": "correct horse"}])
    equal(again.phones, [PHONE])


def test_networks_newest_in_front_at_most_four():
    s = Settings(Files(), BRIDGE_ID)
    for n in range(settings.MAX_UPLINKS):
        s.remember_network("net%d" % n, "")
    equal([n["ssid"] for n in s.uplinks], ["net3", "net2", "net1", "net0"])
    s.remember_network("net1", "new key!")
    equal([n["ssid"] for n in s.uplinks], ["net1", "net3", "net2", "net0"])
    equal(s.uplinks[0]["key"], "new key!")
    s.remember_network("net4", "")
    equal([n["ssid"] for n in s.uplinks], ["net4", "net1", "net3", "net2"])
    equal(len(Settings(Files(), BRIDGE_ID).uplinks), settings.MAX_UPLINKS)


def test_power_cut_at_every_operation_of_every_save():
    # A life of a bridge's settings, cut at each operation on the flash: what is found after is the last step that was
    # finished, and never damaged.
    def steps(s):
        yield s.remember_network("Dorm", "correct horse")
        phones = Phones(s)
        phone = phones.draft("phone", "owner")
        yield phones.add(phone)
        yield phones.add(phones.draft("other", "owner"))
        yield phones.remove(phone["id"])
        yield s.remember_network("Other", "")
        yield s.change(mode="private", hosts=["10.66.0.9"])
        yield phones.rename(phones.all()[0]["id"], "another name")
        yield s.order_networks(["Dorm", "Other"])
        yield s.change(segment={"ssid": "Speaker", "key": "only for the speaker"})
        yield s.change(services=["tcp/1400", "tcp/1443"])
        yield s.change(undecided=True)
        yield s.change(speaker="02:00:00:00:42:20", undecided=False)
        yield s.forget_network("Dorm")
        yield s.change(services=[])

    wipe()
    counting = FailingFlash()
    for _ in steps(Settings(counting, BRIDGE_ID)):
        pass
    for survives in range(counting.operations):
        wipe()
        saved = None
        try:
            s = Settings(FailingFlash(survives), BRIDGE_ID)
            saved = snapshot(s)
            for _ in steps(s):
                saved = snapshot(s)
            raise AssertionError("no power cut")
        except PowerCut:
            pass
        found = Settings(Files(), BRIDGE_ID)
        assert not found.damaged, survives
        assert saved is None or snapshot(found) == saved, survives


def test_a_save_that_fails_changes_nothing_in_ram():
    s = Settings(Files(), BRIDGE_ID)
    phones = Phones(s)
    phones.add(phones.draft("phone", "owner"))
    s._files = FailingFlash(0)
    try:
        phones.add(phones.draft("other", "guest"))
        raise AssertionError("no power cut")
    except PowerCut:
        pass
    equal(len(phones.all()), 1)
    before = list(s.uplinks)
    try:
        s.remember_network("Dorm", "")
        raise AssertionError("no power cut")
    except PowerCut:
        pass
    equal(s.uplinks, before)


def test_damaged_file_is_kept_aside_and_said():
    Settings(Files(), BRIDGE_ID)
    with open(settings.FILE, "r+b") as f:
        f.write(b"x")
    s = Settings(Files(), BRIDGE_ID)
    assert s.damaged
    equal(sorted(os.listdir()), ["settings.bad", "settings.json"])
    assert any("settings.bad" in line and "pair your phones again" in line for line in eventlog.recent())
    assert not Settings(Files(), BRIDGE_ID).damaged


def good():
    return {
        "version": 1,
        "uplinks": [{"ssid": "Dorm", "key": ""}],
        "segment": {"ssid": "Speaker", "key": "12345678"},
        "mode": "passthrough",
        "phones": [PHONE],
    }


def test_wrong_content_is_damage():
    Files().save(settings.FILE, good())
    assert not Settings(Files(), BRIDGE_ID).damaged
    network = {"ssid": "x", "key": ""}
    phone = dict(PHONE)
    phone["role"] = "king"
    keyless = dict(PHONE)
    del keyless["key"]
    for name, value in (
        ("version", 2),
        ("version", 0),
        ("version", "1"),
        ("version", None),
        ("uplinks", None),
        ("uplinks", {}),
        ("uplinks", [network] * 5),
        ("uplinks", [{"ssid": "", "key": ""}]),
        ("segment", {"ssid": "open", "key": ""}),
        ("segment", None),
        ("phones", [phone]),
        ("phones", [keyless]),
        ("phones", [PHONE, PHONE]),
        ("phones", "all"),
    ):
        content = good()
        content[name] = value
        Files().save(settings.FILE, content)
        assert Settings(Files(), BRIDGE_ID).damaged, (name, value)
    for content in ([], 5, None, {}):
        Files().save(settings.FILE, content)
        s = Settings(Files(), BRIDGE_ID)
        assert s.damaged or content is None, content


def test_mode_and_hosts_survive_a_reboot():
    s = Settings(Files(), BRIDGE_ID)
    s.change(mode="private", hosts=["10.66.0.9", "192.168.1.5"])
    again = Settings(Files(), BRIDGE_ID)
    equal((again.mode, again.hosts), ("private", ["10.66.0.9", "192.168.1.5"]))


def test_a_file_from_before_there_were_hosts():
    content = good()
    assert "hosts" not in content
    Files().save(settings.FILE, content)
    s = Settings(Files(), BRIDGE_ID)
    equal((s.damaged, s.mode, s.hosts, s.phones), (False, "passthrough", [], [PHONE]))


def test_a_file_from_before_there_were_services():
    content = good()
    assert "services" not in content
    Files().save(settings.FILE, content)
    s = Settings(Files(), BRIDGE_ID)
    equal((s.damaged, s.services, s.phones), (False, ["tcp/1400"], [PHONE]))
    s.change(services=["udp/5000"])
    s.remember_network("Other", "")
    equal(Settings(Files(), BRIDGE_ID).services, ["udp/5000"])


def test_wrong_services_lose_nothing_else():
    for value in (["tcp/1400-1410"], ["tcp/0"], "tcp/1400", 5, None, [[]], ["tcp/%d" % n for n in range(1, 10)]):
        content = good()
        content["services"] = value
        Files().save(settings.FILE, content)
        with Console() as console:
            s = Settings(Files(), BRIDGE_ID)
        equal((s.damaged, s.services, s.phones), (False, ["tcp/1400"], [PHONE]))
        assert "name them again" in console.text


def test_is_services():
    eight = ["udp/%d" % n for n in range(1, 9)]
    for value, is_good in (
        ([], True),
        (["tcp/1400"], True),
        (["tcp/1", "udp/1", "tcp/65535"], True),
        (eight[:7], True),
        (eight, True),
        (eight + ["udp/9"], False),
        (["tcp/0"], False),
        (["tcp/65536"], False),
        (["tcp/100000"], False),
        (["tcp/01"], False),
        (["tcp/"], False),
        (["tcp/x"], False),
        (["tcp/1 "], False),
        (["tcp/١"], False),
        (["sctp/1"], False),
        (["tcp1400"], False),
        (["tcp/1", "tcp/1"], False),
        (["tcp/7780"], False),
        (["udp/7780"], True),
        (["udp/67"], False),
        (["udp/68"], False),
        ([1400], False),
        ([None], False),
        ([["tcp/1"]], False),
        ("tcp/1", False),
        (None, False),
        ({}, False),
    ):
        equal((value, is_services(value)), (value, is_good))


def test_order_and_forget():
    s = Settings(Files(), BRIDGE_ID)
    equal(s.forget_network("net0"), False)
    for n in range(settings.MAX_UPLINKS):
        s.remember_network("net%d" % n, "key of %d!" % n)
    s.order_networks(["net1", "net3", "net0", "net2"])
    equal([n["key"][-2] for n in Settings(Files(), BRIDGE_ID).uplinks], ["1", "3", "0", "2"])
    equal(s.forget_network("net3"), True)
    equal([n["ssid"] for n in Settings(Files(), BRIDGE_ID).uplinks], ["net1", "net0", "net2"])
    with open(settings.FILE) as f:
        assert "key of 3" not in f.read()
    before = snapshot(s)
    s._files = FailingFlash(0)
    for change in (lambda: s.order_networks(["net0", "net1", "net2"]), lambda: s.forget_network("net1")):
        try:
            change()
            raise AssertionError("no power cut")
        except PowerCut:
            pass
        equal(snapshot(s), before)


def test_an_unknown_mode_or_wrong_hosts_lose_nothing_else():
    for name, value in (("mode", "bridge"), ("mode", None), ("hosts", ["nas"]), ("hosts", 5), ("hosts", [[]])):
        content = good()
        content[name] = value
        Files().save(settings.FILE, content)
        with Console() as console:
            s = Settings(Files(), BRIDGE_ID)
        equal((s.damaged, s.mode, s.hosts, s.phones), (False, "passthrough", [], [PHONE]))
        equal(s.segment, content["segment"])
        assert "settings: the " in console.text


def wired():
    return Settings(Files(), BRIDGE_ID, has_ethernet=True)


def test_ethernet_is_the_segment_until_told_otherwise_and_nothing_without_a_socket():
    equal((Settings(Files(), BRIDGE_ID).ethernet, wired().ethernet), (None, "segment"))
    wired().change(ethernet="uplink")
    equal((wired().ethernet, Settings(Files(), BRIDGE_ID).ethernet), ("uplink", None))
    # What is saved by a board without one is no choice.
    Settings(Files(), BRIDGE_ID).change(mode="private")
    with Console() as console:
        equal(wired().ethernet, "segment")
    equal(console.text, "")


def test_an_unknown_ethernet_loses_nothing_else():
    for value, said in (("both", True), (5, True), ([], True), (None, False)):
        content = good()
        content["ethernet"] = value
        Files().save(settings.FILE, content)
        with Console() as console:
            s = wired()
        equal((s.damaged, s.ethernet, s.phones), (False, "segment", [PHONE]))
        equal("settings: the use of the cable" in console.text, said)


def test_a_provision_with_ethernet():
    s = wired()
    provision(b'{"ethernet": "uplink"}')
    s.import_provision()
    equal((s.ethernet, wired().ethernet), ("uplink", "uplink"))
    for content in (b'{"ethernet": "both"}', b'{"ethernet": null}', b'{"ethernet": []}'):
        provision(content)
        s.import_provision()
        equal((s.ethernet, "provision.bad" in os.listdir()), ("uplink", True))
        os.remove("provision.bad")
    # A board without a socket takes nothing of it, and says so.
    none = Settings(Files(), BRIDGE_ID)
    provision(b'{"ethernet": "uplink", "mode": "private"}')
    none.import_provision()
    equal((none.mode, "provision.bad" in os.listdir()), ("passthrough", True))


def test_the_speakers_mac():
    Settings(Files(), BRIDGE_ID).change(speaker="02:00:00:00:42:20")
    equal(Settings(Files(), BRIDGE_ID).speaker, "02:00:00:00:42:20")
    for wrong in ("02:00:00:00:42", "02:00:00:00:42:2G", "02-00-00-00-42-20", "03:00:00:00:42:20", "", 5, None, [], {}):
        content = good()
        content["speaker"] = wrong
        Files().save(settings.FILE, content)
        with Console() as console:
            s = Settings(Files(), BRIDGE_ID)
        # Nobody, then, until an owner says who: the file's age is no reason to doubt it, other contents are.
        equal((s.speaker, s.undecided, s.damaged, s.phones), (None, wrong is not None, False, [PHONE]))
        equal("which machine is the speaker" in console.text, wrong is not None)


def test_that_nobody_is_the_speaker():
    Settings(Files(), BRIDGE_ID).change(speaker="02:00:00:00:42:20", undecided=True)
    s = Settings(Files(), BRIDGE_ID)
    equal((s.speaker, s.undecided), ("02:00:00:00:42:20", True))
    for saved, undecided in ((False, False), (True, True), (None, True), (0, True), ("", True), ([], True)):
        content = good()
        content["undecided"] = saved
        Files().save(settings.FILE, content)
        s = Settings(Files(), BRIDGE_ID)
        equal((s.undecided, s.speaker, s.damaged, s.phones), (undecided, None, False, [PHONE]))
    Files().save(settings.FILE, good())  # an older one
    equal(Settings(Files(), BRIDGE_ID).undecided, False)


def test_is_hosts():
    eight = ["10.66.0.%d" % n for n in range(1, 9)]
    for value, is_good in (
        ([], True),
        (eight[:7], True),
        (eight, True),
        (eight + ["10.66.0.9"], False),
        (["10.66.0.1", "10.66.0.1"], False),
        (["224.0.0.1"], False),
        (["127.0.0.1"], False),
        (["0.0.0.0"], False),
        (["255.255.255.255"], False),
        (["10.66.0.1 "], False),
        (["10.66.0"], False),
        ([5], False),
        ([None], False),
        ([["10.66.0.1"]], False),
        ("10.66.0.1", False),
        (None, False),
        ({}, False),
    ):
        equal(is_hosts(value), is_good)


LOGIN = {"user": "ada@uni.example", "password": "hunter2", "identity": "anonymous@uni.example"}
LOGIN.update({"server": "radius.uni.example", "inner": "mschapv2"})


def test_sixteen_phones_fit_with_the_longest_names():
    s = Settings(Files(), BRIDGE_ID)
    phones = Phones(s)
    for _ in range(settings.MAX_PHONES):
        phones.add(phones.draft("\U0001f50a" * 32, "owner"))
    s.change(services=["tcp/%d" % (65000 + n) for n in range(8)], hosts=["223.255.255.%d" % n for n in range(100, 108)])
    for n in range(settings.MAX_UPLINKS):
        s.remember_network('"' * 31 + str(n), "", {k: v if k == "inner" else "\\" * 64 for k, v in LOGIN.items()})
    again = Settings(Files(), BRIDGE_ID)
    equal((len(again.phones), len(again.uplinks), again.damaged), (16, 4, False))


def test_is_network():
    for ssid, key, is_good in (
        ("a", "", True),
        ("", "", False),
        ("a" * 32, "", True),
        ("a" * 33, "", False),
        ("é" * 16, "", True),
        ("é" * 16 + "a", "", False),
        ("a", "1234567", False),
        ("a", "12345678", True),
        ("a", "x" * 63, True),
        ("a", "x" * 64, False),
        ("a", "1234567é", False),
        ("a", None, False),
        (None, "", False),
        (5, "", False),
    ):
        equal(is_network({"ssid": ssid, "key": key}), is_good)
    for value in (None, [], {}, {"ssid": "a"}, {"ssid": "a", "key": "", "x": 1}):
        equal(is_network(value), False)


def test_a_network_with_a_login():
    changes = [
        ({}, True),
        ({"server": ""}, True),
        ({"inner": "pap"}, True),
        ({"server": "", "inner": "pap"}, False),
        ({"inner": "chap"}, False),
        ({"inner": None}, False),
        ({"more": ""}, False),
        ({"user": ""}, False),
        ({"password": ""}, False),
        ({"identity": ""}, False),
    ]
    for name in ("user", "password", "identity", "server"):
        for text, is_good in (
            ("x", True),
            ("x" * 64, True),
            ("x" * 65, False),
            ("é" * 32, True),
            ("é" * 32 + "x", False),
        ):
            changes.append(({name: text}, is_good))
        for value in ("a\0", None, 5):
            changes.append(({name: value}, False))
    for change, is_good in changes:
        login = dict(LOGIN)
        login.update(change)
        equal((change, is_network({"ssid": "Uni", "key": "", "login": login})), (change, is_good))
    for name in LOGIN:
        equal(is_network({"ssid": "Uni", "key": "", "login": {k: v for k, v in LOGIN.items() if k != name}}), False)
    for value in (None, [], "x", {}):
        equal(is_network({"ssid": "Uni", "key": "", "login": value}), False)
    equal(is_network({"ssid": "Uni", "key": "12345678", "login": LOGIN}), False)
    equal(is_network({"ssid": "Uni", "key": "", "login": LOGIN, "x": 1}), False)


def test_a_login_is_kept_and_the_speakers_network_has_none():
    wipe()
    s = Settings(Files(), BRIDGE_ID)
    for n in range(settings.MAX_UPLINKS):
        s.remember_network('"' * 31 + str(n), "", {k: v if k == "inner" else "\\" * 64 for k, v in LOGIN.items()})
    s.remember_network("Uni", "", LOGIN)
    again = Settings(Files(), BRIDGE_ID)
    equal((len(again.uplinks), again.damaged), (4, False))
    equal(again.uplinks[0], {"ssid": "Uni", "key": "", "login": LOGIN})
    assert "hunter2" not in repr(again)
    equal(settings.is_segment(again.uplinks[0]), False)
    equal(settings.is_segment({"ssid": "a", "key": "12345678"}), True)


def test_is_name():
    for name, is_good in (
        ("a", True),
        ("", False),
        (" ", False),
        ("x" * 32, True),
        ("x" * 33, False),
        ("é" * 32, True),
        ("a\nb", False),
        ("a\x9bb", False),
        (json.loads('"a\\ud800"'), False),
        ("a\x7f", False),
        ("\x1b[31m", False),
        (None, False),
        (5, False),
        (b"a", False),
    ):
        equal(is_name(name), is_good)


def test_is_hex():
    equal([is_hex(v, 2) for v in ("00ff", "00FF", "00f", "00ff0", "zz00", None, 5)], [True] + [False] * 6)


def provision(content):
    with open(settings.PROVISION, "wb") as f:
        f.write(content)


def test_provision_is_imported_and_removed():
    s = Settings(Files(), BRIDGE_ID)
    uplink = {"ssid": "Dorm", "key": "correct horse"}
    segment = {"ssid": "Speaker", "key": "only for the speaker"}
    provision(json.dumps({"uplink": uplink, "segment": segment}).encode())
    with Console() as console:
        s.import_provision()
    equal(os.listdir(), ["settings.json"])
    again = Settings(Files(), BRIDGE_ID)
    equal((again.uplinks, again.segment), ([uplink], segment))
    assert "imported" in console.text and "correct horse" not in console.text and "only for" not in console.text


def test_half_a_provision():
    s = Settings(Files(), BRIDGE_ID)
    provision(b'{"segment": {"ssid": "Speaker", "key": "12345678"}}')
    s.import_provision()
    equal((s.uplinks, s.segment["ssid"]), ([], "Speaker"))
    s.import_provision()
    equal(s.segment["ssid"], "Speaker")


def test_a_provision_with_a_mode():
    s = Settings(Files(), BRIDGE_ID)
    provision(b'{"mode": "private", "hosts": ["10.66.0.9"]}')
    s.import_provision()
    again = Settings(Files(), BRIDGE_ID)
    equal((again.mode, again.hosts, again.segment), ("private", ["10.66.0.9"], s.segment))
    provision(b'{"segment": {"ssid": "Speaker", "key": "12345678"}}')
    again.import_provision()
    equal((again.mode, again.hosts), ("private", ["10.66.0.9"]))


def test_bad_provisions_change_nothing():
    s = Settings(Files(), BRIDGE_ID)
    before = snapshot(s)
    for content in (
        b"",
        b"not json SECRET",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"uplink": {"ssid": "Dorm", "key": "SECRET"}}',
        b'{"segment": {"ssid": "Speaker", "key": ""}}',
        b'{"uplink": {"ssid": "Dorm", "key": ""}, "root": 1}',
        b'{"uplink": {"ssid": "Dorm", "key": ""}, "mode": "bridge"}',
        b'{"uplink": {"ssid": "Dorm", "key": ""}, "mode": null}',
        b'{"mode": "private", "hosts": ["nas.local"]}',
        b'{"uplink": {"ssid": "Dorm", "key": ""}}' + b" " * settings.PROVISION_MAX_BYTES,
    ):
        provision(content)
        with Console() as console:
            s.import_provision()
        equal(snapshot(s), before)
        equal(sorted(os.listdir()), ["provision.bad", "settings.json"])
        assert "not usable" in console.text and "SECRET" not in console.text, console.text


def test_repr_holds_no_secret():
    s = Settings(Files(), BRIDGE_ID)
    s.remember_network("Dorm", "SECRETSECRET")
    s.phones = [PHONE]
    for secret in ("SECRET", PHONE["key"], s.segment["key"]):
        assert secret not in repr(s)
