# The pairing module from the GATT characteristics inwards: connections and characteristics are stand-ins with the
# behaviour of aioble-api's table, the phone is `stage.Phone`. Over a real link it is tested in tests/ble.
import asyncio
import json
import os
import time

from check import equal, until
from speakeasy import codes, eventlog, openness, pairing, session
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from speakeasy.onetime import OneTime
from speakeasy.op_phones import INVITE_S, MAX_INVITES
from speakeasy.openness import Openness
from speakeasy.operations import Operations
from speakeasy.pairing import Pairing
from speakeasy.phones import Phones
from speakeasy.policy import Policy
from speakeasy.reached import Reached
from speakeasy.settings import Settings
from stage import (
    BRIDGE_ID,
    MASK,
    ME,
    ROUTER,
    SEGMENT_MAC,
    SETUP_CODE,
    STATION_MAC,
    Clock,
    Console,
    Phone,
    X,
    forms,
)

TIME_LIMIT_S = 30
ZEROS = bytes(8)
pairing.PARTING_MS = 50


class Core:
    @staticmethod
    def ble_irq(event, data):
        return None


pairing.aioble.core = Core  # what aioble makes of the stack's reports is not under test


class Connection:
    made = 0

    def __init__(self, mtu=185):
        Connection.made += 1
        self._conn_handle = Connection.made
        self.mtu = mtu
        self.up = True
        self.heard = []

    def is_connected(self):
        return self.up

    async def disconnected(self):
        await until(lambda: not self.up, 60_000)

    async def disconnect(self):
        self.up = False


class Inbox:
    _value_handle = 7

    def read(self):
        return self.value


class Outbox:
    def __init__(self):
        self.busy = 0

    def notify(self, connection, data):
        if self.busy:
            self.busy -= 1
            raise OSError(12)
        if not connection.up:
            raise TypeError("can't convert NoneType to int")
        assert len(data) <= (connection.mtu or 23) - 3
        connection.heard.append(bytes(data))


class Info:
    def write(self, data):
        self.value = data


class Nothing:
    state = "up"
    cable = False

    def answer(self):
        return {"bridge": BRIDGE_ID.hex()}

    def leases(self):
        return []

    def join(self, ssid, key, login):
        pass


class Bench:
    def __init__(self):
        self.settings = Settings(Files(), BRIDGE_ID)
        self.phones = Phones(self.settings)
        self.clock = Clock()
        self.lockout = Lockout(Files(), self.clock)
        policy = Policy(STATION_MAC, SEGMENT_MAC, lambda: None)
        policy.uplink_changed(X, MASK, ROUTER, ROUTER)
        self.invites = OneTime(MAX_INVITES, INVITE_S, self.clock)
        reached = Reached(Files(), self.phones, self.clock)
        self.openness = Openness(self.phones, self.lockout, self.invites, Nothing(), reached, self.clock)
        self.operations = Operations(
            *(ME, self.settings, self.phones, policy, Nothing(), Nothing(), Nothing(), self.invites, Files(), reached)
        )
        self.beats = 0
        self.pairing = Pairing(ME, self.phones, self.lockout, self.openness, self.operations, self.beat)
        self.inbox, self.outbox, self.info = Inbox(), Outbox(), Info()
        self.pairing._inbox, self.pairing._outbox, self.pairing._info = self.inbox, self.outbox, self.info

    def beat(self):
        self.beats += 1

    def connects(self, connection):
        """The stack reports a connection."""
        self.pairing._link = pairing.Link()
        equal(self.pairing._on_irq(1, (connection._conn_handle, 0, bytes(6))), None)

    def writes(self, connection, fragment):
        """The stack reports a write."""
        self.inbox.value = fragment
        self.pairing._on_irq(3, (connection._conn_handle, self.inbox._value_handle))

    def phone(self, mode=1, key_id=ZEROS, secret=SETUP_CODE, mtu=185):
        return Caller(self, mode, key_id, secret, mtu)

    def enrolled(self, role="owner"):
        phone = self.phones.draft("a phone", role)
        self.phones.add(phone)
        return bytes.fromhex(phone["id"]), bytes.fromhex(phone["key"])


class Caller(Phone):
    """A phone on a connection of its own, which the bridge serves from now on."""

    def __init__(self, bench, mode, key_id, secret, mtu):
        super().__init__(mode, key_id, secret)
        self.bench = bench
        self.connection = Connection(mtu)
        bench.connects(self.connection)
        self.served = asyncio.create_task(bench.pairing._serve(self.connection))
        self.whole = session.Reassembler()
        self.number = 0

    def write(self, fragment):
        self.bench.writes(self.connection, fragment)

    def send(self, message):
        for fragment in session.fragments(message, self.connection.mtu or 23):
            self.write(fragment)

    async def hear(self):
        """The next message, or None when the bridge has hung up."""
        while True:
            await until(lambda: self.connection.heard or self.served.done(), 8000)
            if not self.connection.heard:
                return None
            message = self.whole.feed(self.connection.heard.pop(0))
            if message is not None:
                return message

    async def greet(self):
        """The whole handshake; the welcome."""
        self.send(self.hello)
        challenge = await self.hear()
        equal(challenge[0], 2)
        self.send(await self.prove(challenge))
        equal(await self.hear(), self.accept)
        return json.loads(self.inward.open(await self.hear()))

    async def ask(self, op, **rest):
        self.number += 1
        rest["op"] = op
        rest["id"] = self.number
        self.send(self.outward.seal(json.dumps(rest).encode()))
        answer = json.loads(self.inward.open(await self.hear()))
        equal(answer["id"], self.number)
        return answer

    async def thrown_out(self, code):
        message = await self.hear()
        equal(message, bytes((5, code)))
        await until(lambda: self.served.done(), 4000)
        assert not self.connection.up

    async def gone(self, limit_ms=5000):
        await until(lambda: self.served.done(), limit_ms)
        equal(self.connection.heard, [])
        assert not self.connection.up


async def test_from_setup_code_to_owner_at_every_mtu():
    for mtu in (None, 23, 185, 517):
        for name in os.listdir():
            os.remove(name)
        b = Bench()
        phone = b.phone(mtu=mtu)
        welcome = await phone.greet()
        equal(
            (welcome["op"], welcome["role"], welcome["name"], welcome["bridge"]),
            ("welcome", "new", None, BRIDGE_ID.hex()),
        )
        given = await phone.ask("enrol", name="Ada's phone")
        assert (await phone.ask("confirm"))["ok"]
        assert (await phone.ask("bye"))["ok"]
        await phone.gone()
        again = b.phone(2, bytes.fromhex(given["phone"]), bytes.fromhex(given["key"]), mtu)
        welcome = await again.greet()
        equal((welcome["role"], welcome["name"]), ("owner", "Ada's phone"))
        await again.ask("bye")
        await again.gone()


async def test_setup_code_on_an_owned_bridge_is_not_now():
    b = Bench()
    b.enrolled()
    phone = b.phone()
    phone.send(phone.hello)
    await phone.thrown_out(session.NOT_NOW)
    equal(len(b.phones.all()), 1)


async def test_wrong_setup_code():
    b = Bench()
    phone = b.phone(secret=b"\xff" * 16)
    phone.send(phone.hello)
    phone.send(await phone.prove(await phone.hear()))
    await phone.thrown_out(session.BAD_PROOF)
    equal(b.lockout._count, 1)


async def test_strangers_do_not_push_the_log_out():
    b = Bench()
    eventlog.clear()
    eventlog.log("owner", "an invite was made")
    for _ in range(eventlog.LINES + 1):
        phone = b.phone()
        phone.send(b"\0")
        await phone.thrown_out(session.BAD_MESSAGE)
    assert eventlog.recent()[0].endswith("an invite was made"), eventlog.recent()[0]


async def wrong(b, mode, key_id=ZEROS, secret=b"\xff" * 16):
    phone = b.phone(mode, key_id, secret)
    phone.send(phone.hello)
    phone.send(await phone.prove(await phone.hear()))
    await phone.thrown_out(session.BAD_PROOF)


async def test_five_wrong_proofs_lock_modes_1_and_3_but_not_2():
    b = Bench()
    key_id, key = b.enrolled()
    b.operations.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    for n in range(5):
        await wrong(b, 3, b"INVITE01" if n % 2 else b"UNKNOWN0")
    equal(b.openness.state(), openness.LOCKED)
    for mode, code in ((1, session.LOCKED), (3, session.LOCKED)):
        phone = b.phone(mode)
        phone.send(phone.hello)
        await phone.thrown_out(code)
    owner = b.phone(2, key_id, key)
    equal((await owner.greet())["role"], "owner")
    await owner.ask("bye")
    await owner.gone()
    equal(b.lockout._count, 0)  # an owner's session clears it
    for _ in range(5):
        await wrong(b, 3, b"UNKNOWN0")
    b.clock.now += 30
    guest = b.phone(3, b"INVITE01", b"s" * 16)
    equal((await guest.greet())["role"], "new")
    equal(b.lockout._count, 0)


async def test_wrong_phone_keys_cost_a_second_and_do_not_count():
    b = Bench()
    key_id, _ = b.enrolled()
    for known in (key_id, b"UNKNOWN0"):
        start = time.ticks_ms()
        await wrong(b, 2, known)
        assert time.ticks_diff(time.ticks_ms(), start) >= pairing.WRONG_KEY_MS
    equal((b.lockout._count, pairing.WRONG_KEY_MS), (0, 1000))


async def test_nothing_fixed_opens_for_an_unknown_key_id():
    b = Bench()
    b.enrolled()
    b.operations.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    b.openness.open_for(openness.WINDOW, openness.WINDOW_S)
    pairing.WRONG_KEY_MS = 1
    for mode, key_id in ((2, b"UNKNOWN0"), (2, ZEROS), (3, b"UNKNOWN0"), (3, ZEROS)):
        for secret in (b"", bytes(16), bytes(32), SETUP_CODE, BRIDGE_ID, key_id):
            await wrong(b, mode, key_id, secret)


async def test_an_unknown_key_id_looks_like_a_known_one():
    b = Bench()
    key_id, _ = b.enrolled()
    shapes = []
    for known in (key_id, b"UNKNOWN0"):
        phone = b.phone(2, known, b"\xee" * 32)
        phone.send(phone.hello)
        challenge = await phone.hear()
        shapes.append((len(challenge), challenge[:10]))
        phone.connection.up = False
        await phone.gone()
    equal(shapes[0], shapes[1])


async def test_a_used_invite_is_worth_nothing():
    b = Bench()
    b.enrolled()
    b.operations.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
    phone = b.phone(3, b"INVITE01", b"s" * 16)
    await phone.greet()
    await phone.ask("enrol", name="x")
    assert (await phone.ask("confirm"))["ok"]
    await phone.ask("bye")
    await phone.gone()
    again = b.phone(3, b"INVITE01", b"s" * 16)
    again.send(again.hello)
    await again.thrown_out(session.NOT_NOW)
    b.operations.invites.put(b"INVITE02", (b"t" * 16, "guest", ""))
    await wrong(b, 3, b"INVITE01", b"s" * 16)


async def test_bad_messages_end_the_session():
    b = Bench()
    for fragments in (
        [b""],
        [b"\xc0"],
        [b"\x01abc"],
        [b"\x80abc", b"\x02abc"],
        [b"\xc0" + bytes((9,)) + bytes(58)],
        [b"\xc0" + b"\x01\x01\x01" + bytes(55)],
        [b"\xc0" + b"\x01\x01\x01" + bytes(56)],  # a public key of zeros
        [b"\x80" + bytes(511), b"\x01" + bytes(511), b"\x42" + bytes(100)],
    ):
        phone = b.phone(mtu=517)
        for fragment in fragments:
            phone.write(fragment)
        await phone.thrown_out(session.BAD_MESSAGE)
    equal(b.lockout._count, 0)
    await b.phone().greet()


async def test_a_version_that_the_bridge_does_not_know():
    b = Bench()
    for version in (0, 2, 255):
        phone = b.phone()
        phone.send(phone.hello[:1] + bytes((version,)) + phone.hello[2:])
        await phone.thrown_out(session.BAD_VERSION)
    equal(b.lockout._count, 0)


async def test_nothing_but_the_challenge_comes_before_the_proof():
    b = Bench()
    phone = b.phone()
    phone.send(phone.hello)
    await phone.prove(await phone.hear())
    phone.send(phone.outward.seal(b'{"op":"bye","id":1}'))  # keys that the bridge would take later
    await phone.thrown_out(session.BAD_MESSAGE)
    equal(b.lockout._count, 0)


async def test_bad_records_end_the_session():
    b = Bench()
    for bend in (
        lambda record: record[:-1] + bytes((record[-1] ^ 1,)),
        lambda record: record[:4] + b"\x01" + record[5:],
    ):
        phone = b.phone()
        await phone.greet()
        phone.send(bend(phone.outward.seal(b'{"op":"bye","id":1}')))
        await phone.thrown_out(session.BAD_RECORD)
    phone = b.phone()
    await phone.greet()
    record = phone.outward.seal(b'{"op":"status","id":1}')
    phone.send(record)
    await phone.hear()
    phone.send(record)
    await phone.thrown_out(session.BAD_RECORD)


async def test_a_silent_phone_is_disconnected():
    pairing.SILENCE_MS = 300
    b = Bench()
    await b.phone().gone()
    phone = b.phone()
    await phone.greet()
    await phone.gone()


async def test_a_handshake_has_its_time_from_its_first_byte():
    pairing.HANDSHAKE_MS = 400
    b = Bench()
    phone = b.phone()
    await until(lambda: b.pairing._link)
    phone.write(b"\x80\x01")
    await phone.gone()
    phone = b.phone()
    phone.send(phone.hello)
    await phone.hear()
    await phone.gone()


async def test_drops_of_a_slow_phone_do_not_buy_time():
    pairing.SILENCE_MS = 600
    b = Bench()
    phone = b.phone()
    await phone.greet()
    start = time.ticks_ms()
    number = 0
    while not phone.served.done():
        phone.write(bytes((0x80 if number == 0 else number & 63, 0x04)))
        number += 1
        await asyncio.sleep_ms(50)
        assert time.ticks_diff(time.ticks_ms(), start) < 5000


class Ahead:
    """The module `time`, which is ahead of the board's by as much as a test says. `began`: what ticks begin with."""

    def __init__(self, began=0):
        self.ms = time.ticks_diff(began, time.ticks_ms())

    def ticks_ms(self):
        return time.ticks_add(time.ticks_ms(), self.ms)

    def ticks_add(self, ticks, ms):
        return time.ticks_add(ticks, ms)

    def ticks_diff(self, a, b):
        return time.ticks_diff(a, b)


async def test_a_session_lasts_600_s_and_no_longer():
    equal(pairing.SESSION_MS, 600_000)
    # The second one begins a moment before a chip's ticks wrap.
    for began in (0, time.ticks_add(0, -300_000)):
        pairing.time = clock = Ahead(began)
        b = Bench()
        phone = b.phone(2, *b.enrolled())
        await phone.greet()
        for _ in range(24):  # no longer silent than it may be
            clock.ms += 24_000
            assert (await phone.ask("status"))["ok"]
        clock.ms += 24_000  # 600 s: from now on nothing is answered, and the bridge hangs up by itself
        phone.send(phone.outward.seal(b'{"op":"status","id":26}'))
        await phone.gone(10_000)


async def test_a_phone_that_asks_without_a_pause_ends_after_600_s_too():
    pairing.SESSION_MS = 1000
    b = Bench()
    phone = b.phone(2, *b.enrolled("guest"))
    start = time.ticks_ms()
    await phone.greet()

    def asks():
        phone.send(phone.outward.seal(b'{"op":"status","id":1}'))

    asks()
    asks()
    heard = 0
    while not phone.served.done():
        if phone.connection.heard:
            phone.connection.heard.clear()
            heard += 1
            asks()  # before it has looked at the one before
        await asyncio.sleep_ms(0)
        assert time.ticks_diff(time.ticks_ms(), start) < 15_000
    assert heard > 2 and time.ticks_diff(time.ticks_ms(), start) >= pairing.SESSION_MS


async def test_a_phone_that_goes_away_in_the_middle():
    b = Bench()
    for lines in (0, 1, 2):
        phone = b.phone()
        if lines:
            phone.send(phone.hello)
            challenge = await phone.hear()
        if lines > 1:
            phone.send((await phone.prove(challenge))[:-1])
        phone.connection.up = False
        await phone.gone()
    assert (await b.phone().greet())["op"] == "welcome"


async def test_writes_of_another_connection_and_to_another_characteristic_do_not_count():
    b = Bench()
    old = Connection()
    b.connects(old)
    phone = b.phone()
    b.writes(old, b"\xc0\xff")
    b.pairing._on_irq(3, (phone.connection._conn_handle, 8))
    await phone.greet()


async def test_a_write_before_there_was_any_connection_does_not_count():
    b = Bench()
    b.writes(Connection(), b"\xc0\xff")
    await b.phone().greet()


async def test_a_write_that_comes_before_its_connection():
    b = Bench()
    connection = Connection()
    probe = Phone(1, ZEROS, SETUP_CODE)
    b.connects(connection)
    for fragment in session.fragments(probe.hello, 23):
        b.writes(connection, fragment)
    task = asyncio.create_task(b.pairing._serve(connection))
    await until(lambda: connection.heard)
    connection.up = False
    await until(lambda: task.done())
    equal(b.pairing._link, None)


async def test_no_report_of_the_stack_raises():
    # MicroPython would never call the handler again. Who came, or wrote, while one was lost, is told to go.
    class Ill:
        def read(self):
            raise MemoryError

        def ble_irq(self, event, data):
            raise RuntimeError("maximum recursion depth exceeded")

    b = Bench()
    equal(b.pairing._on_irq(1, ()), None)  # there is no connection that it could be about
    for where, stand_in in ((b.pairing, "_inbox"), (pairing.aioble, "core")):
        usual = getattr(where, stand_in)
        phone = b.phone()
        setattr(where, stand_in, Ill())
        b.pairing._on_irq(3, (phone.connection._conn_handle, usual._value_handle if where is b.pairing else 7))
        setattr(where, stand_in, usual)
        await phone.thrown_out(session.BAD_MESSAGE)
    assert (await b.phone().greet())["op"] == "welcome"


async def test_a_flood_of_writes_is_bounded():
    b = Bench()
    phone = b.phone(mtu=517)
    await until(lambda: b.pairing._link)
    link = b.pairing._link
    for _ in range(100):
        link.push(bytes(512))
    assert link._pushed - link._taken <= pairing.MAX_WAITING
    assert sum(len(f) for f in link._waiting) <= pairing.MAX_WAITING
    await phone.thrown_out(session.BAD_MESSAGE)


async def test_a_flood_of_small_writes_is_bounded_too():
    b = Bench()
    for count, code in ((pairing.MAX_FRAGMENTS, None), (pairing.MAX_FRAGMENTS + 1, session.BAD_MESSAGE)):
        phone = b.phone(mtu=23)
        link = await until(lambda: b.pairing._link)
        for number in range(count):
            link.push(bytes((0x80 if number == 0 else number & 63, 1)))
        assert len(link._waiting) <= pairing.MAX_FRAGMENTS
        equal(link.lossy, code is not None)
        if code:
            await phone.thrown_out(code)
            link.push(b"later")
            equal(link._waiting, [])
        else:
            phone.connection.up = False
            await phone.gone()


async def test_two_whole_messages_at_the_smallest_mtu_may_wait():
    equal(pairing.MAX_FRAGMENTS, 2 * len(list(session.fragments(bytes(1024), 23))))


async def test_a_stack_without_buffers_is_waited_for():
    b = Bench()
    b.outbox.busy = 5
    equal((await b.phone().greet())["op"], "welcome")


async def test_beats_while_a_phone_stalls_its_notifications():
    b = Bench()
    phone = b.phone()
    b.outbox.busy = 60
    phone.send(phone.hello)
    await until(lambda: b.outbox.busy < 55)
    before = b.beats
    await until(lambda: b.outbox.busy < 10)
    assert b.beats >= before + 40, (before, b.beats)
    phone.connection.up = False
    await phone.gone()


async def test_a_revoked_phone_in_its_session():
    b = Bench()
    key_id, key = b.enrolled()
    b.enrolled()
    phone = b.phone(2, key_id, key)
    await phone.greet()
    b.phones.remove(key_id.hex())
    equal((await phone.ask("status"))["error"], "not-allowed")


async def test_info():
    equal(Bench().pairing._info_value(2), b"\1\2" + BRIDGE_ID)


async def test_beats_while_a_phone_says_nothing():
    b = Bench()
    phone = b.phone()
    before = b.beats
    await until(lambda: b.beats > before + 2)
    phone.connection.up = False
    await phone.gone()


async def test_no_secret_in_the_log():
    with Console() as console:
        b = Bench()
        phone = b.phone()
        await phone.greet()
        given = await phone.ask("enrol", name="x")
        await phone.ask("confirm")
        await phone.ask("bye")
        await phone.gone()
        b.invites.put(b"INVITE01", (b"s" * 16, "guest", ""))
        await wrong(b, 3, b"UNKNOWN0", b"SECRETSECRETSECR")
        owner = b.phone(2, bytes.fromhex(given["phone"]), bytes.fromhex(given["key"]))
        await owner.greet()
        invite = (await owner.ask("invite", role="owner"))["invite"]
        await owner.ask("join", ssid="Dorm", key="correct horse")
        owner.send(owner.outward.seal(b"not json correct horse"))
        await owner.hear()
        owner.send(b"\x04correct horse" + bytes(30))
        await owner.thrown_out(session.BAD_RECORD)
    secrets = (bytes.fromhex(given["key"]), SETUP_CODE, b"s" * 16, codes.decode(invite, 24)[8:])
    texts = [form for secret in secrets for form in forms(secret)]
    for text in texts + [invite, "SECRET", "correct horse"]:
        assert text not in console.text
        assert not any(text in line for line in eventlog.recent())
    assert "proved itself" in console.text
