from check import equal
from speakeasy import operations, rights

# SPEC 2.4, column "who", written down once more.
SPEC = {
    "enrol": "n",
    "confirm": "n",
    "status": "og",
    "counters": "og",
    "token": "og",
    "phones": "o",
    "invite": "o",
    "revoke": "o",
    "leave": "og",
    "join": "o",
    "addressing": "o",
    "bye": "nog",
}


def test_the_table_is_the_specifications():
    equal(sorted(rights.TABLE), sorted(SPEC))
    for op, who in SPEC.items():
        for role in ("new", "owner", "guest"):
            equal(rights.allowed(op, role), role[0] in who)


def test_nobody_may_do_anything():
    for op in SPEC:
        for role in (None, "", "king", "OWNER"):
            assert not rights.allowed(op, role)
    for op in ("", "reset", "do_status", "__init__"):
        for role in ("new", "owner", "guest"):
            assert not rights.allowed(op, role)


def test_known():
    for op in ("", "Status", "__init__", None, 5, [], {}):
        assert not rights.known(op)
    assert rights.known("status")


def test_each_has_its_operation():
    for op in rights.TABLE:
        assert hasattr(operations.Operations, "do_" + op), op
    equal(len([name for name in dir(operations.Operations) if name.startswith("do_")]), len(SPEC))
