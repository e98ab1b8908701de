# The whole, wired: as far as it comes on a board without radio and interfaces.
import os
import sys

from check import equal, raises
from stage import Console, FakeFilter


class Wire:
    """An interface that has an address and nothing else."""

    IF_STA, IF_AP = 0, 1

    made: list = []

    def __init__(self, interface):
        self.interface = interface
        Wire.activated = []
        Wire.made.append(interface)

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


def test_whatever_else_goes_wrong_is_no_reason_to_stay_dead():
    """MicroPython makes a RuntimeError of an error of the driver's that it does not know."""

    def refuse(self, what):
        raise RuntimeError("Wifi Unknown Error 0x3012")

    Wire.config = refuse
    said = boot()
    assert "cannot start: RuntimeError; it stays closed" in said and "0x3012" not in said, said


class Plug:
    """The same of an Ethernet socket."""

    def __init__(self, **arguments):
        Plug.arguments = arguments

    def config(self, what):
        equal(what, "mac")
        return b"\2\0\0\0\x42\x12"


def boot_with_ethernet(lan, ethernet):
    """What the filter is told of it, and what is said. Then the boot fails, as the filter does not start."""
    import board
    import network

    filter = FakeFilter().install()
    told = []

    def start(ethernet):
        told.append(ethernet)
        raise OSError(19)

    filter.start = start
    board.ETHERNET = {"phy_addr": 1}
    network.LAN = lan
    with open("provision.json", "w") as f:
        f.write('{"ethernet": "%s"}' % ethernet)
    Wire.made = []
    said = boot()
    return told, filter.configured[:2], Wire.made, said


def test_either_side_may_be_on_the_cable():
    told, macs, wifi, _ = boot_with_ethernet(Plug, "segment")
    equal((told, wifi, Plug.arguments), (["segment"], [Wire.IF_STA], {"phy_addr": 1}))
    equal(macs, (b"\2\0\0\0\x42\x10", b"\2\0\0\0\x42\x12"))


def test_the_uplink_on_the_cable():
    told, macs, wifi, _ = boot_with_ethernet(Plug, "uplink")
    equal((told, wifi), (["uplink"], [Wire.IF_AP]))
    equal(macs, (b"\2\0\0\0\x42\x12", b"\2\0\0\0\x42\x11"))


def test_a_socket_that_does_not_answer_is_done_without():
    def broken(**arguments):
        raise OSError("esp_eth_driver_install failed")

    told, _, wifi, said = boot_with_ethernet(broken, "uplink")
    equal((told, wifi), ([None], [Wire.IF_STA, Wire.IF_AP]))
    assert "Ethernet does not work" in said, said


def test_the_first_boot_prints_the_label_and_keeps_it_out_of_the_log():
    from speakeasy import eventlog

    said = boot()
    label = [line for line in said.split("\n") if line.startswith(("bridge id: ", "setup code: "))]
    equal(len(label), 2)
    code = label[1][len("setup code: ") :]
    assert not any(code in line for line in eventlog.recent())
    equal(sorted(os.listdir()), ["identity.json", "settings.json"])


def test_the_secrets_of_the_first_boot_are_the_filters_random_bytes():
    """Not os.urandom()'s: no radio is on yet."""
    import json

    filter = FakeFilter().install()
    drawn = []

    def draw(count):
        drawn.append(os.urandom(count))
        return drawn[-1]

    def refuse(ethernet):
        raise OSError(19)

    filter.random = draw
    filter.start = refuse
    # What the stage has imported took the real one.
    for name in [name for name in sys.modules if name.startswith("speakeasy")]:
        del sys.modules[name]
    boot()
    from speakeasy import codes

    with open("identity.json") as f:
        me = json.load(f)["data"]
    with open("settings.json") as f:
        key = json.load(f)["data"]["segment"]["key"]
    equal([me["bridge"], me["setup"]], [one.hex() for one in drawn[:2]])
    equal(key, codes.encode(drawn[2]).replace("-", "")[:16])
    equal([len(one) for one in drawn], [8, 16, 10])


def test_a_stuck_source_of_random_numbers_is_said_and_nothing_begins():
    """What the filter does then: tests/core/test_limits.py."""
    filter = FakeFilter().install()

    def stuck(count):
        raise OSError(5)

    filter.random = stuck
    for name in [name for name in sys.modules if name.startswith("speakeasy")]:
        del sys.modules[name]
    said = boot()
    assert "cannot start: error 5" in said and "stays closed" in said, said
    equal(os.listdir(), [])


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
