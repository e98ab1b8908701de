# The whole, wired: as far as it comes on a board without radio and interfaces.
import os
import sys

from check import equal, raises
from stage import Console


class Wire:
    """An interface that has an address and nothing else."""

    IF_STA, IF_AP = 0, 1

    def __init__(self, interface):
        self.interface = interface
        Wire.activated = []

    def config(self, what):
        equal(what, "mac")
        return bytes((2, 0, 0, 0, 0x42, 0x10 + self.interface))

    def active(self, *on):
        Wire.activated.append(on)


def boot():
    import network

    network.WLAN = Wire
    from speakeasy import app

    app._NO_FILTER_PAUSE_S = 0
    with Console() as console, raises(SystemExit) as caught:
        app.run()
    equal(caught.value.value, 1)
    return console.text


def test_without_a_filter_no_radio_is_switched_on():
    said = boot()
    assert "cannot start" in said and "stays closed" in said, said
    equal(Wire.activated, [])


def test_a_radio_that_refuses_is_said_too():
    """The driver's errors have a text in a number's place."""

    def refuse(self, what):
        raise OSError("Wifi Not Initialized")

    Wire.config = refuse
    said = boot()
    assert "cannot start: error 0" in said, said


def test_the_first_boot_prints_the_label_and_keeps_it_out_of_the_log():
    from speakeasy import eventlog

    said = boot()
    label = [line for line in said.split("\n") if line.startswith(("bridge id: ", "setup code: "))]
    equal(len(label), 2)
    code = label[1][len("setup code: ") :]
    assert not any(code in line for line in eventlog.recent())
    equal(sorted(os.listdir()), ["identity.json", "settings.json"])


def test_the_second_boot_does_not_print_it_again():
    boot()
    for name in [name for name in sys.modules if name.startswith("speakeasy")]:
        del sys.modules[name]
    said = boot()
    assert "setup code" not in said and "bridge id" not in said


def test_a_provision_is_taken_in_at_boot():
    with open("provision.json", "w") as f:
        f.write('{"uplink": {"ssid": "Dorm", "key": "correct horse"}}')
    said = boot()
    assert "imported" in said and "correct horse" not in said
    equal(sorted(os.listdir()), ["identity.json", "settings.json"])
