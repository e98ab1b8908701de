from check import equal, raises
from speakeasy.files import Files
from speakeasy.phones import Full, LastOwner, Phones
from speakeasy.settings import MAX_PHONES, Settings
from stage import BRIDGE_ID


def registry():
    return Phones(Settings(Files(), BRIDGE_ID))


def test_enrol_find_key_remove():
    phones = registry()
    assert not phones.owned()
    owner = phones.draft("one", "owner")
    guest = phones.draft("two", "guest")
    assert phones.find(owner["id"]) is None and not phones.owned()
    phones.add(owner)
    phones.add(guest)
    assert phones.owned()
    equal(phones.find(guest["id"]), guest)
    equal(phones.key(bytes.fromhex(guest["id"])), bytes.fromhex(guest["key"]))
    equal(phones.key(bytes(8)), None)
    equal(phones.remove(guest["id"]), True)
    equal(phones.remove(guest["id"]), False)
    equal(phones.key(bytes.fromhex(guest["id"])), None)
    equal([p["name"] for p in registry().all()], ["one"])


def test_keys_and_ids_differ():
    phones = registry()
    drafts = [phones.draft("x", "guest") for _ in range(20)]
    equal(len({d["id"] for d in drafts}), 20)
    equal(len({d["key"] for d in drafts}), 20)
    equal((len(drafts[0]["id"]), len(drafts[0]["key"])), (16, 64))


def test_fifteen_sixteen_seventeen():
    phones = registry()
    for n in range(MAX_PHONES - 1):
        phones.add(phones.draft("phone %d" % n, "guest"))
    assert not phones.full()
    phones.add(phones.draft("the last", "owner"))
    assert phones.full()
    with raises(Full):
        phones.add(phones.draft("one too many", "guest"))
    equal(len(registry().all()), MAX_PHONES)
    phones.remove(phones.all()[0]["id"])
    phones.add(phones.draft("now it fits", "guest"))


def test_rename():
    phones = registry()
    one = phones.draft("one", "owner")
    phones.add(one)
    phones.add(phones.draft("two", "guest"))
    equal((phones.rename(one["id"], "uno"), phones.rename("00" * 8, "x")), (True, False))
    equal([(p["name"], p["role"]) for p in registry().all()], [("uno", "owner"), ("two", "guest")])
    equal(phones.key(bytes.fromhex(one["id"])), bytes.fromhex(one["key"]))


def test_the_last_owner_stays():
    phones = registry()
    first = phones.draft("one", "owner")
    phones.add(first)
    phones.add(phones.draft("guest", "guest"))
    with raises(LastOwner):
        phones.remove(first["id"])
    assert phones.owned()
    phones.add(phones.draft("two", "owner"))
    assert phones.remove(first["id"])
    with raises(LastOwner):
        phones.remove(phones.all()[1]["id"])
