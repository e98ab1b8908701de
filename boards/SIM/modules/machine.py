# machine, as MicroPython's ESP32 port has it: what the firmware uses of it.
import time

import _air
import _sim
from umachine import *  # noqa: F403  (idle, Signal, time_pulse_us, mem8..)

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

# The board's named pins, as pins.csv of an ESP32 board gives them.
_BOARD = {"BUTTON": 0, "LED": 2}
_PINS = 40
_OUTPUT = 2  # bit of the modes


def reset():
    _sim.exit(_sim.STATUS_RESET)


def soft_reset():
    _sim.exit(_sim.STATUS_SOFT_RESET)


def reset_cause():
    _air.look()
    return _air.hello["reset_cause"]


def unique_id():
    _air.look()
    return bytes(int(byte, 16) for byte in _air.hello["station_mac"].split(":"))


def lightsleep(time_ms=0):
    time.sleep_ms(time_ms)


class _IRQ:
    def __init__(self, pin):
        self._pin = pin

    def __call__(self):
        self._pin._interrupt(self._pin.value())

    def trigger(self, trigger=None):
        before = self._pin._trigger
        if trigger is not None:
            self._pin._trigger = trigger
        return before


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    _made = {}

    # One object a pin, as on the chip.
    def __new__(cls, pin, mode=None, pull=-1, **rest):
        if isinstance(pin, Pin):
            self = pin
        else:
            number = _BOARD.get(pin, -1) if isinstance(pin, str) else pin
            if not isinstance(number, int) or not 0 <= number < _PINS:
                raise ValueError("invalid pin")
            self = cls._made.get(number)
            if self is None:
                self = object.__new__(cls)
                self._number = number
                self._mode = 0
                self._output = 0
                self._handler = None
                self._trigger = 0
                self._irq = _IRQ(self)
                cls._made[number] = self
        if mode is not None or pull != -1 or rest:
            self.init(mode, pull, **rest)
        return self

    def __repr__(self):
        return f"Pin({self._number})"

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self._output = 1 if value else 0
        if mode is not None:
            self._mode = mode
        told = {"pin": self._number, "mode": self._mode, "level": self._output}
        if pull != -1:
            told["pull"] = pull or 0
        _air.ask("pin_init", **told)

    def value(self, *value):
        if value:
            self._output = 1 if value[0] else 0
            _air.tell("pin", pin=self._number, level=self._output)
            return None
        if self._mode & _OUTPUT:
            return self._output
        _air.look()
        return _air.levels.get(self._number, 0)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._output)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, wake=None):
        self._handler = handler
        self._trigger = trigger if handler else 0
        _air.look()
        _air.on_pin(self._number, self._interrupt if handler else None)
        return self._irq

    def _interrupt(self, level):
        if self._handler and self._trigger & (Pin.IRQ_RISING if level else Pin.IRQ_FALLING):
            self._handler(self)


class WDT:
    # There is one; it cannot be stopped, and it does not care what the interpreter is busy with.
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _sim.watchdog(timeout)
        self._timeout = timeout
        _air.tell("watchdog", timeout_ms=timeout)

    def feed(self):
        _sim.watchdog(self._timeout)
