from check import equal
from speakeasy import op_bridge, op_network, op_phones, rights

# SPEC 2.4, column "who", written down once more.
SPEC = {
    "enrol": "n",
    "confirm": "n",
    "status": "og",
    "counters": "og",
    "blocked": "og",
    "token": "og",
    "phones": "o",
    "rename": "o",
    "invite": "o",
    "uninvite": "o",
    "revoke": "o",
    "leave": "og",
    "scan": "o",
    "join": "o",
    "networks": "o",
    "forget": "o",
    "segment": "o",
    "addressing": "o",
    "services": "o",
    "ethernet": "o",
    "setup": "o",
    "log": "o",
    "reboot": "o",
    "reset": "o",
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
    for op in ("", "open", "do_status", "__init__"):
        for role in ("new", "owner", "guest"):
            assert not rights.allowed(op, role)


def test_known():
    for op in ("", "Status", "__init__", None, 5, [], {}):
        assert not rights.known(op)
    assert rights.known("status")


def test_each_has_its_operation():
    themes = (op_bridge.BridgeOperations, op_network.NetworkOperations, op_phones.PhoneOperations)
    methods = [name for theme in themes for name in dir(theme) if name.startswith("do_")]
    equal(sorted(methods), sorted(["do_" + op for op in rights.TABLE]))
