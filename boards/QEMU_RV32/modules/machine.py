# machine, as the ESP32 port has it, as far as this machine has it: it has no pins.
from umachine import *  # noqa: F403  (WDT, reset, idle, mem8..)


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, pin, mode=None):
        raise ValueError("invalid pin")
