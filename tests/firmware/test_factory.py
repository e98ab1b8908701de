# The factory reset: what is gone, what stays, and the power that goes in the middle.
import os

from check import equal, raises
from speakeasy import eventlog, factory, identity
from speakeasy.files import Files
from speakeasy.lockout import Lockout
from speakeasy.phones import Phones
from speakeasy.settings import Settings
from stage import Clock, FailingFlash, PowerCut, wipe

WIFI_KEY = "correct horse"
OTHER_BAD = ("settings.bad", "identity.bad", "provision.bad")


class Restarted(Exception):
    """The board has started again: nothing runs on."""


def restart():
    raise Restarted


def life():
    """A bridge that knows much; the secrets that are on its flash."""
    wipe()
    files = Files()
    me = identity.load(files)
    settings = Settings(files, me.bridge_id)
    settings.remember_network("Dorm", WIFI_KEY)
    phones = Phones(settings)
    for role in ("owner", "guest"):
        phones.add(phones.draft("Ada", role))
    lockout = Lockout(files, Clock())
    for _ in range(6):
        lockout.wrong()
    secrets = [WIFI_KEY, settings.segment["key"]] + [p["key"] for p in phones.all()] + [p["id"] for p in phones.all()]
    # What else the bridge and its Bluetooth stack may leave.
    for number, name in enumerate(OTHER_BAD + ("ble_secrets.json", "settings.json.new", "provision.json")):
        secret = "secret number %d" % number
        with open(name, "w") as f:
            f.write(secret)
        secrets.append(secret)
    with open("boot.py", "w") as f:
        f.write("# MicroPython's own")
    return me, secrets


def on_flash(secrets):
    """Which of them stand in any file."""
    found = []
    for name in os.listdir():
        with open(name, "rb") as f:
            content = f.read()
        found += [secret for secret in secrets if secret.encode() in content]
    return found


def names():
    return sorted(os.listdir())


def test_every_secret_goes_and_the_identity_stays():
    me, secrets = life()
    equal(sorted(set(on_flash(secrets))), sorted(set(secrets)))
    eventlog.log("test", "phone 0011223344556677 is enrolled")
    with raises(Restarted):
        factory.run(Files(), restart)
    equal(on_flash(secrets), [])
    equal(names(), ["boot.py", "identity.json"])
    assert not any("0011223344556677" in line for line in eventlog.recent())
    again = identity.load(Files())
    equal((again.bridge_id, again.setup_code), (me.bridge_id, me.setup_code))


def test_what_boots_then_is_new_from_the_factory():
    me, secrets = life()
    old_key = Settings(Files(), me.bridge_id).segment["key"]
    with raises(Restarted):
        factory.run(Files(), restart)
    equal(factory.finish(Files()), False)
    settings = Settings(Files(), me.bridge_id)
    equal((settings.uplinks, settings.phones, settings.mode, settings.damaged), ([], [], "passthrough", False))
    assert settings.segment["key"] != old_key
    equal(Lockout(Files(), Clock()).locked_s(), 0)


def test_a_reset_at_every_power_cut_is_old_or_done():
    # Counts the operations of a whole reset first.
    life()
    flash = FailingFlash()
    with raises(Restarted):
        factory.run(flash, restart)
    whole = flash.operations
    assert whole > 10, whole
    outcomes = []
    for survives in range(whole):
        me, secrets = life()
        before = names()
        with raises(Restarted, PowerCut):
            factory.run(FailingFlash(survives), restart)
        # The boot after.
        done = factory.finish(Files())
        outcomes.append(done)
        if done:
            equal(on_flash(secrets), [])
            equal(names(), ["boot.py", "identity.json"])
        else:
            equal(sorted(set(on_flash(secrets))), sorted(set(secrets)))
            equal([name for name in names() if name != "reset.json.new"], before)
        equal(identity.load(Files()).setup_code, me.setup_code)
    # There is one moment of decision: old before it, done after it.
    equal(outcomes, sorted(outcomes))
    equal(outcomes.count(False), 4)  # to open, write, flush and rename the decision


def test_the_power_goes_again_while_a_boot_finishes_it():
    me, secrets = life()
    factory.decide(Files())
    for survives in range(100):
        try:
            finished = factory.finish(FailingFlash(survives % 3))
        except PowerCut:
            continue
        assert finished
        break
    equal(on_flash(secrets), [])
    equal(names(), ["boot.py", "identity.json"])
    equal(identity.load(Files()).setup_code, me.setup_code)


def test_between_the_decision_and_the_end_nothing_can_be_saved_that_lasts():
    me, secrets = life()
    factory.decide(Files())
    Settings(Files(), me.bridge_id).remember_network("Dorm", "another horse")
    with raises(Restarted):
        factory.run(Files(), restart)
    equal(on_flash(secrets + ["another horse"]), [])


def test_a_flash_that_refuses_the_decision_changes_nothing():
    _, secrets = life()
    before = names()
    with raises(PowerCut):
        factory.run(FailingFlash(0), restart)
    equal([name for name in names() if name != "reset.json.new"], before)
    equal(factory.finish(Files()), False)


def test_a_boot_does_not_go_on_with_what_the_flash_will_not_let_go():
    life()
    factory.decide(Files())
    with raises(OSError):
        factory.finish(FailingFlash(0))
    assert "reset.json" in names()


def test_a_decision_that_cannot_be_read_is_one():
    life()
    with open("reset.json", "w") as f:
        f.write("")
    equal(factory.finish(Files()), True)
    equal(names(), ["boot.py", "identity.json"])


def test_without_a_decision_nothing_happens():
    _, secrets = life()
    before = names()
    equal(factory.finish(Files()), False)
    equal(names(), before)
    wipe()
    equal(factory.finish(Files()), False)
