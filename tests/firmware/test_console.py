import json

from check import equal
from speakeasy import codes, console, eventlog, identity, settings
from speakeasy.files import Files
from stage import Console


def told():
    with Console() as said:
        console.label()
    # A first boot's own two lines, and a line of the log, may stand before it.
    return json.loads(said.text.rstrip("\n").split("\n")[-1])


def phone(n, role):
    return {"id": "%016x" % n, "name": "phone", "role": role, "key": "%064x" % n}


def test_the_label_of_a_new_bridge_is_the_one_that_it_keeps():
    first = told()
    me = identity.load(Files())
    equal(first, {"bridge": me.bridge_id.hex(), "code": codes.encode(me.setup_code), "phones": 0, "owners": 0})
    equal(told(), first)


def test_who_is_paired_is_counted_and_nothing_more_is_told():
    me = identity.load(Files())
    settings.Settings(Files(), me.bridge_id).change(phones=[phone(1, "owner"), phone(2, "guest"), phone(3, "guest")])
    said = told()
    equal((said["phones"], said["owners"]), (3, 1))
    equal(sorted(said), ["bridge", "code", "owners", "phones"])


def test_settings_that_nobody_can_read_are_left_alone():
    for content in (b"rubbish", None):
        if content is None:
            Files().save(settings.FILE, {"version": 1})
        else:
            with open(settings.FILE, "wb") as f:
                f.write(content)
        before = Files().read(settings.FILE)
        said = told()
        equal((said["phones"], said["owners"]), (None, None))
        equal(Files().read(settings.FILE), before)


def test_nothing_of_it_is_in_the_log():
    code = told()["code"]
    assert not any(code in line for line in eventlog.recent())
