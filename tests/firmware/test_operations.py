import json

import pktfilter
from check import equal
from speakeasy import codes, eventlog, rights
from speakeasy.files import Files
from speakeasy.onetime import OneTime
from speakeasy.op_phones import INVITE_S, MAX_INVITES
from speakeasy.operations import Caller, Operations
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.reached import Reached
from speakeasy.settings import Settings
from speakeasy.uplink import Uplink
from stage import BRIDGE_ID, MASK, ME, ROUTER, SEGMENT_MAC, STATION_MAC, Clock, Console, FailingFlash, X, forms, wipe
from test_uplink import Radio

ZEROS = bytes(8)
FAR = b"\x0a\x63\0"


class Segment:
    state = "up"
    cable = False
    seen: list = []
    undecided = False

    def left_s(self):
        return 0


class Status:
    """The status of a bridge with as many leases as one likes."""

    def __init__(self):
        self.listed = []

    def answer(self):
        return {"bridge": BRIDGE_ID.hex(), "uplink": {"ssid": "x" * 32}, "phones": 3}

    def leases(self):
        return self.listed


class Bridge:
    def __init__(self, files=None):
        self.files = files or Files()
        self.settings = Settings(self.files, BRIDGE_ID)
        self.phones = Phones(self.settings)
        self.policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        self.policy.uplink_changed(X, MASK, ROUTER, ROUTER)
        self.radio = Radio({})
        self.uplink = Uplink(self.radio, self.settings, self.policy.uplink_changed, lambda: None)
        self.segment = Segment()
        self.status = Status()
        self.clock = Clock()
        self.invites = OneTime(MAX_INVITES, INVITE_S, self.clock)
        self.reached = Reached(self.files, self.phones, self.clock)
        self.reached.moved(X)
        self.operations = Operations(
            *(ME, self.settings, self.phones, self.policy, self.uplink, self.segment, self.status),
            *(self.invites, self.files, self.reached),
        )
        self.operations.tokens._now = self.clock

    def ask(self, caller, op, **rest):
        rest["op"] = op
        rest["id"] = 7
        raw = self.operations.answer(caller, json.dumps(rest).encode())
        assert len(raw) <= 992, len(raw)
        answer = json.loads(raw)
        equal(answer["id"], 7)
        return answer

    def refused(self, word, caller, op, **rest):
        answer = self.ask(caller, op, **rest)
        equal((answer["ok"], answer.get("error")), (False, word))
        assert len(answer["say"]) > 10
        return answer

    def good(self, caller, op, **rest):
        answer = self.ask(caller, op, **rest)
        assert answer["ok"] is True, answer
        return answer

    def enrolled(self, role="owner"):
        """A caller of that role, enrolled."""
        phone = self.phones.draft("a phone", role)
        self.phones.add(phone)
        return Caller(2, bytes.fromhex(phone["id"]))


def test_setup_code_makes_the_owner():
    b = Bridge()
    new = Caller(1, ZEROS)
    given = b.good(new, "enrol", name="Ada's phone")
    equal((len(given["phone"]), len(given["key"]), given["role"]), (16, 64, "owner"))
    equal(b.phones.all(), [])
    b.good(new, "confirm")
    equal(
        [(p["id"], p["key"], p["role"], p["name"]) for p in b.phones.all()],
        [(given["phone"], given["key"], "owner", "Ada's phone")],
    )
    # Saved, not only remembered.
    equal(len(Settings(Files(), BRIDGE_ID).phones), 1)


def test_characters_beyond_16_bits_as_two_escapes():
    b = Bridge()
    owner = b.enrolled()
    phone = owner.key_id.hex()
    speaker = "\\ud83d\\ude00 \\uD83C\\uDFB5"
    for text, heard in (
        (speaker, "\U0001f600 \U0001f3b5"),
        ("\\ud800\\udc00\\udbff\\udfff", "\U00010000\U0010ffff"),
        ("\\\\ud83d", "\\ud83d"),
    ):
        raw = '{"id":1,"op":"rename","phone":"%s","name":"%s"}' % (phone, text)
        assert json.loads(b.operations.answer(owner, raw.encode()))["ok"], text
        equal(b.phones.all()[0]["name"], heard)
        raw = '{"id":1,"op":"segment","ssid":"%s"}' % text
        assert json.loads(b.operations.answer(owner, raw.encode()))["ssid"] == heard
    before = b.settings.segment["ssid"]
    for half in ("\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83d\\ud83d", "\\ud83dx\\ude00"):
        for op, rest in (
            ("rename", '"phone":"%s","name":"%s"' % (phone, half)),
            ("segment", '"ssid":"%s"' % half),
            ("join", '"ssid":"%s","key":""' % half),
        ):
            raw = '{"id":1,"op":"%s",%s}' % (op, rest)
            equal(json.loads(b.operations.answer(owner, raw.encode()))["error"], "bad-request")
    equal(b.settings.segment["ssid"], before)


def test_a_deep_request_is_refused():
    b = Bridge()
    owner = b.enrolled()
    for op, member in (("services", "services"), ("addressing", "hosts"), ("networks", "order"), ("rename", "name")):
        frame = '{"id":1,"op":"%s","%s":%%s}' % (op, member)
        depth = (992 - len(frame)) // 2
        raw = (frame % ("[" * depth + "]" * depth)).encode()
        equal(json.loads(b.operations.answer(owner, raw))["error"], "bad-request")


def test_a_tokens_number_and_time_below_at_above():
    b = Bridge()
    owner = b.enrolled()
    given = [bytes.fromhex(b.good(owner, "token")["token"]) for _ in range(17)]
    equal([b.operations.tokens.peek(token) is not None for token in given], [False] + [True] * 16)
    b.clock.now += 59
    assert b.operations.tokens.peek(given[-1])
    b.clock.now += 1
    equal(b.operations.tokens.peek(given[-1]), None)


def test_setup_code_is_worth_nothing_on_an_owned_bridge():
    b = Bridge()
    one, other = Caller(1, ZEROS), Caller(1, ZEROS)
    b.good(one, "enrol", name="first")
    b.good(other, "enrol", name="second")
    b.good(one, "confirm")
    b.refused("not-allowed", other, "confirm")
    b.refused("not-allowed", other, "enrol", name="third")
    equal(len(b.phones.all()), 1)


def test_a_session_enrols_once():
    b = Bridge()
    b.enrolled()
    b.operations.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    new = Caller(3, b"INVITE01")
    b.refused("bad-request", new, "confirm")
    b.good(new, "enrol", name="once")
    b.good(new, "enrol", name="better name")
    b.good(new, "confirm")
    b.refused("not-allowed", new, "confirm")
    b.refused("not-allowed", new, "enrol", name="twice")
    equal([p["name"] for p in b.phones.all()], ["a phone", "better name"])


def test_invite_role_once_and_expiry():
    b = Bridge()
    owner = b.enrolled()
    for role in ("guest", "owner"):
        text = b.good(owner, "invite", role=role)
        equal(text["expires_s"], 600)
        from speakeasy import codes

        raw = codes.decode(text["invite"], 24)
        found = b.operations.invites.peek(raw[:8])
        equal(found, ((raw[8:], role, owner.key_id.hex()),))
        equal(text["link"], "speakeasy:#invite=" + text["invite"])
        new = Caller(3, raw[:8])
        equal(b.good(new, "enrol", name="x")["role"], role)
        b.good(new, "confirm")
        equal(b.phones.all()[-1]["role"], role)
        b.refused("not-found", Caller(3, raw[:8]), "enrol", name="again")
    text = b.good(owner, "invite", role="guest")["invite"]
    late = Caller(3, codes.decode(text, 24)[:8])
    b.good(late, "enrol", name="late")
    b.clock.now += 600
    b.refused("not-found", late, "confirm")
    for role in ("king", "", None, 5):
        b.refused("bad-request", owner, "invite", role=role)
    b.refused("bad-request", owner, "invite")


def test_names():
    b = Bridge()
    for name in ("", " ", "x" * 33, "a\nb", None, 5, ["a"]):
        b.refused("bad-request", Caller(1, ZEROS), "enrol", name=name)
    b.good(Caller(1, ZEROS), "enrol", name="x" * 32)


def test_sixteen_phones_and_the_seventeenth():
    b = Bridge()
    owner = b.enrolled()
    for _ in range(14):
        b.enrolled("guest")
    b.operations.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    b.operations.invites.put(b"INVITE02", (b"s" * 16, "guest", ""))
    slow, quick = Caller(3, b"INVITE01"), Caller(3, b"INVITE02")
    b.good(slow, "enrol", name="slow")
    b.good(quick, "enrol", name="quick")
    b.good(quick, "confirm")
    b.refused("full", slow, "confirm")
    b.refused("full", Caller(3, b"INVITE01"), "enrol", name="late")
    b.good(owner, "revoke", phone=b.phones.all()[3]["id"])
    b.good(slow, "confirm")


# A request that each operation takes, from a role that may ask for it.
REQUESTS = {
    "enrol": {"name": "x"},
    "confirm": {},
    "bye": {},
    "status": {},
    "counters": {},
    "blocked": {},
    "token": {},
    "leave": {},
    "phones": {},
    "rename": {"phone": "", "name": "x"},  # the phone that asks, see below
    "invite": {"role": "guest"},
    "uninvite": {},
    "revoke": {"phone": ""},
    "scan": {},
    "join": {"ssid": "x", "key": ""},
    "networks": {"order": ["Home", "Dorm"]},
    "forget": {"ssid": "Dorm"},
    "segment": {"ssid": "x", "key": "xxxxxxxx"},
    "addressing": {"mode": "private", "hosts": ["10.66.0.9"]},
    "services": {"services": ["udp/1"]},
    "ethernet": {},
    "setup": {},
    "log": {},
    "reboot": {},
    "reset": {"bridge": BRIDGE_ID.hex()},
}


def filled(role):
    """A bridge with things to lose, a caller of that role on it, and what may not change."""
    wipe()
    b = Bridge()
    for ssid in ("Home", "Dorm"):
        b.settings.remember_network(ssid, "correct horse")
    other = b.enrolled()
    b.policy.grant(other.key_id.hex(), FAR + b"\1", 1)
    b.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    if role == "new":
        caller = Caller(3, b"INVITE01")
        if b.operations.role(caller) == "new":
            b.good(caller, "enrol", name="x")
    elif role == "revoked":
        caller = b.enrolled()
        b.good(other, "revoke", phone=caller.key_id.hex())
    else:
        caller = b.enrolled(role)

    def state():
        with open("settings.json") as f:
            file = f.read()
        leaving = (caller.leaving, caller.afterwards.__name__)
        return (
            file,
            b.policy.leases()[0][:3],
            len(b.invites),
            len(b.operations.tokens),
            b.uplink.state,
            b.radio.calls,
            leaving,
        )

    return b, caller, state


def test_each_operation_for_each_role():
    equal(sorted(REQUESTS), sorted(rights.TABLE))
    for role in ("owner", "guest", "new", "revoked"):
        for op, request in REQUESTS.items():
            b, caller, state = filled(role)
            if "phone" in request:
                request["phone"] = caller.key_id.hex()
            before = repr(state())
            if role in rights.TABLE[op]:
                b.good(caller, op, **request)
            else:
                b.refused("not-allowed", caller, op, **request)
                equal(repr(state()), before)


def test_rights_are_asked_before_anything_else_is_looked_at():
    for role in ("owner", "guest", "new", "revoked"):
        b, caller, state = filled(role)
        before = repr(state())
        for op in rights.TABLE:
            if role not in rights.TABLE[op]:
                for rest in ({}, {"page": "x"}, {"role": "owner", "name": None, "phone": 5, "ssid": []}):
                    b.refused("not-allowed", caller, op, **rest)
        for op in ("", "nothing", "open", "__init__", "answer", "do_status", None, 5, {}, []):
            b.refused("bad-request", caller, op)
        equal(repr(state()), before)


def test_revoke_takes_lease_flows_and_tokens():
    b = Bridge()
    owner, guest = b.enrolled(), b.enrolled("guest")
    victim = guest.key_id.hex()
    b.policy.grant(victim, FAR + b"\1", 1)
    b.policy.grant(owner.key_id.hex(), FAR + b"\2", 1)
    token = bytes.fromhex(b.good(guest, "token")["token"])
    b.good(owner, "revoke", phone=victim)
    equal([lease[0] for lease in pktfilter.leases()], [FAR + b"\2"])
    equal(b.operations.tokens.peek(token), None)
    equal(b.phones.key(guest.key_id), None)
    b.refused("not-allowed", guest, "status")
    b.refused("not-found", owner, "revoke", phone=victim)
    for phone in ("", "12", victim.upper(), None, 5, "g" * 16):
        b.refused("bad-request" if phone != victim else "not-found", owner, "revoke", phone=phone)
    b.refused("last-owner", owner, "revoke", phone=owner.key_id.hex())
    equal([lease[0] for lease in pktfilter.leases()], [FAR + b"\2"])


def test_leave():
    b = Bridge()
    owner, guest = b.enrolled(), b.enrolled("guest")
    b.policy.grant(guest.key_id.hex(), FAR + b"\1", 1)
    b.good(guest, "leave")
    equal(pktfilter.leases(), [])
    b.refused("not-allowed", guest, "leave")
    b.refused("last-owner", owner, "leave")
    b.enrolled()
    b.good(owner, "leave")


def test_token():
    b = Bridge()
    guest = b.enrolled("guest")
    answer = b.good(guest, "token")
    equal(answer["url"], "http://10.66.0.100:7780/t#" + answer["token"])
    equal(b.operations.tokens.take(bytes.fromhex(answer["token"])), (guest.key_id.hex(),))
    b.policy.uplink_changed(bytes(4), bytes(4), bytes(4), b"")
    b.refused("busy", guest, "token")


def test_join():
    b = Bridge()
    owner = b.enrolled()
    b.good(owner, "join", ssid="Dorm", key="correct horse")
    b.good(owner, "join", ssid="open", key="")
    # The first of all is saved at once, the next one when it has let the bridge in (test_uplink).
    equal(b.settings.uplinks, [{"ssid": "Dorm", "key": "correct horse"}])
    equal((b.uplink.state, b.uplink.ssid), ("joining", "open"))
    for ssid, key in (("", ""), ("x" * 33, ""), ("a", "short"), ("a", "x" * 64), ("a", None), (None, ""), (5, "")):
        b.refused("bad-request", owner, "join", ssid=ssid, key=key)
    b.refused("bad-request", owner, "join", ssid="a")
    equal((b.uplink.ssid, len(b.settings.uplinks)), ("open", 1))


LOGIN = {"user": "ada@uni.example", "password": "hunter2", "identity": "anonymous@uni.example"}
LOGIN.update({"server": "radius.uni.example", "inner": "mschapv2"})


def test_join_with_a_login():
    b = Bridge()
    owner = b.enrolled()
    b.good(owner, "join", ssid="Uni", key="", login=LOGIN)
    equal(b.settings.uplinks, [{"ssid": "Uni", "key": "", "login": LOGIN}])
    answer = b.good(owner, "networks")
    equal(answer["networks"], [{"ssid": "Uni", "open": False, "user": "ada@uni.example"}])
    for login in ({}, [], "x", dict(LOGIN, password="")):
        b.refused("bad-request", owner, "join", ssid="Uni", key="", login=login)
    b.refused("bad-request", owner, "join", ssid="Uni", key="12345678", login=LOGIN)
    b.refused("bad-request", owner, "segment", ssid="Uni", key="", login=LOGIN)
    equal(len(b.settings.uplinks), 1)


def test_bye():
    b = Bridge()
    for caller in (Caller(1, ZEROS), b.enrolled(), b.enrolled("guest")):
        assert not caller.leaving
        b.good(caller, "bye")
        assert caller.leaving


def test_phones_in_pages_without_keys():
    b = Bridge()
    owner = b.enrolled()
    for n in range(15):
        b.phones.add(b.phones.draft("\U0001f50a" * 31 + "%x" % n, "guest"))
    seen = []
    page = 0
    while True:
        answer = b.good(owner, "phones", page=page)
        seen += answer["phones"]
        if not answer.get("more"):
            break
        page += 1
    equal([p["phone"] for p in seen], [p["id"] for p in b.phones.all()])
    equal(sorted(seen[0]), ["name", "phone", "role"])
    assert page >= 2
    equal(b.good(owner, "phones", page=page + 1)["phones"], [])
    for wrong in (-1, 256, "0", 1.5, None, True):
        b.refused("bad-request", owner, "phones", page=wrong)


def test_status_and_counters_in_pages():
    b = Bridge()
    owner = b.enrolled()
    b.status.listed = [
        {"phone": "%016x" % n, "addr": "255.255.255.255", "mac": "02:00:00:00:42:30", "left_s": 43200}
        for n in range(16)
    ]
    seen, page = [], 0
    while True:
        answer = b.good(owner, "status", page=page)
        # The first page says all, the further ones the rest of the list.
        equal(
            sorted(answer),
            sorted(
                ["id", "ok", "leases"]
                + ([] if page else ["bridge", "uplink", "phones"])
                + (["more"] if "more" in answer else [])
            ),
        )
        seen += answer["leases"]
        if not answer.get("more"):
            break
        page += 1
    equal(seen, b.status.listed)
    assert page >= 1
    b.policy.counters = lambda: {"a rather long name of a counter %d" % n: n for n in range(60)}
    counted, page = {}, 0
    while True:
        answer = b.good(owner, "counters", page=page)
        counted.update(answer["counters"])
        if not answer.get("more"):
            break
        page += 1
    equal(counted, {"a rather long name of a counter %d" % n: n for n in range(1, 60)})


def test_requests_that_are_none():
    b = Bridge()
    owner = b.enrolled()
    for raw in (b"", b"\xff\xfe", b"[]", b"5", b"null", b'"x"', b"{" * 900, b"[" * 990, b"{}", b'{"op":"status"}'):
        answer = json.loads(b.operations.answer(owner, raw))
        equal((answer["ok"], answer["error"], answer["id"]), (False, "bad-request", 0))
    for number in ("-1", "2147483648", '"1"', "1.0", "null", "true", "[1]"):
        answer = json.loads(b.operations.answer(owner, b'{"op":"status","id":' + number.encode() + b"}"))
        equal((answer["ok"], answer["error"]), (False, "bad-request"))
    for number in (0, 2147483647):
        answer = json.loads(b.operations.answer(owner, b'{"op":"status","id":%d}' % number))
        equal((answer["ok"], answer["id"]), (True, number))


def test_fuzz_requests():
    import random

    random.seed(5)
    b = Bridge()
    owner = b.enrolled()
    b.enrolled()
    values = ["owner", "x", "", 0, 1, -1, 1.5, None, True, [], {}, "00" * 8, "\0", "é" * 32]
    keys = [
        "name",
        "phone",
        "role",
        "page",
        "ssid",
        "key",
        "id",
        "x",
        "order",
        "services",
        "expires_s",
        "mode",
        "hosts",
    ]
    ops = list(rights.TABLE) + ["x", 5, None]
    for n in range(1500):
        request = {random.choice(keys): random.choice(values) for _ in range(5)}
        request["op"] = random.choice(ops)
        if n % 3:
            request["id"] = n
        raw = bytearray(json.dumps(request).encode())
        if n % 5 == 0:
            raw[random.randrange(len(raw))] = random.getrandbits(8)
        caller = random.choice((owner, Caller(1, ZEROS), Caller(3, b"INVITE01")))
        answer = json.loads(b.operations.answer(caller, bytes(raw)))
        assert answer["ok"] in (True, False) and (answer["ok"] or answer["error"])


def test_addressing_is_saved_and_in_force():
    b = Bridge()
    owner = b.enrolled()
    b.policy.grant("a" * 16, FAR + b"\1", 5000)
    equal(b.good(owner, "addressing"), {"id": 7, "ok": True, "mode": "passthrough", "hosts": []})
    assert not b.policy.guarded
    b.good(owner, "addressing", mode="private")
    assert b.policy.guarded
    equal(b.good(owner, "addressing", hosts=["10.66.0.9"])["mode"], "private")
    again = Settings(Files(), BRIDGE_ID)
    equal((again.mode, again.hosts), ("private", ["10.66.0.9"]))
    # A phone that was let in stays in.
    equal(len(b.policy.leases()), 1)
    b.good(owner, "addressing", mode="passthrough", hosts=[])
    equal((b.settings.mode, b.settings.hosts, b.policy.guarded, len(b.policy.leases())), ("passthrough", [], False, 1))


def test_addressing_refuses_what_it_does_not_know():
    b = Bridge()
    owner = b.enrolled()
    b.good(owner, "addressing", mode="private", hosts=["10.66.0.9"])
    for wrong in (
        {"mode": "bridge"},
        {"mode": None},
        {"mode": ["private"]},
        {"hosts": "10.66.0.1"},
        {"hosts": ["nas"]},
        {"hosts": ["10.66.0.%d" % n for n in range(1, 10)]},
        {"mode": "passthrough", "hosts": ["224.0.0.1"]},
        {"mode": "bridge", "hosts": []},
    ):
        assert "nothing was changed" in b.refused("bad-request", owner, "addressing", **wrong)["say"]
        equal((b.settings.mode, b.settings.hosts, b.policy.guarded), ("private", ["10.66.0.9"], True))
    b.refused("not-allowed", b.enrolled("guest"), "addressing", mode="passthrough")
    b.settings._files = FailingFlash(0)
    b.refused("failed", owner, "addressing", mode="passthrough")
    equal((b.settings.mode, b.policy.guarded), ("private", True))


def test_a_flash_that_refuses_is_answered_and_changes_nothing():
    b = Bridge()
    new = Caller(1, ZEROS)
    b.good(new, "enrol", name="x")
    b.settings._files = FailingFlash(0)
    b.refused("failed", new, "confirm")
    equal(b.phones.all(), [])
    b.settings._files = Files()
    b.good(new, "confirm")


def test_no_secret_in_the_log():
    with Console() as console:
        b = Bridge()
        new = Caller(1, ZEROS)
        key = b.good(new, "enrol", name="secretive")["key"]
        b.good(new, "confirm")
        owner = Caller(2, bytes.fromhex(b.phones.all()[0]["id"]))
        invite = b.good(owner, "invite", role="guest")["invite"]
        token = b.good(owner, "token")["token"]
        b.good(owner, "join", ssid="Dorm", key="correct horse")
        b.refused("bad-request", owner, "join", ssid="Dorm", key="shorty!")
        b.operations.answer(owner, b"no json correct horse")
    secrets = [bytes.fromhex(key), codes.decode(invite, 24)[8:], bytes.fromhex(token)]
    texts = [form for secret in secrets for form in forms(secret)]
    for text in texts + [invite, "correct horse", "shorty!", b.settings.segment["key"]]:
        assert text not in console.text
        assert not any(text in line for line in eventlog.recent())
    assert "is paired: " in console.text
