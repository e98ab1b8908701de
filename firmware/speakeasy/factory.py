"""The factory reset: every secret goes but the identity, so that the label stays true (SPEC 2.5).

Its one decision is the file `reset.json`, written whole or not at all: with it the reset is finished, now or at the
next boot, whatever happens to the power; without it nothing has changed.
"""

import machine

from . import eventlog, identity
from .files import Files

FILE = "reset.json"

# All that the bridge and its Bluetooth stack (ble_secrets.json) keep, and what was set aside or left half written.
_OURS = (".json", ".bad", ".new")


def decide(files: Files) -> None:
    """From here on there is no way back. OSError: the flash refuses, and nothing has changed."""
    files.save(FILE, {})


def run(files: Files, restart=machine.reset) -> None:
    """Reset, and start again. Does not return; nothing else runs from here on that could write what it remembers."""
    if FILE not in files.names():
        decide(files)
    eventlog.clear()
    try:
        erase(files)
    finally:
        restart()  # what the flash would not let go now is erased at boot


def finish(files: Files) -> bool:
    """At boot, before anything is read: finish a reset that was decided; whether there was one.

    OSError when the flash does not let go of something: then the bridge must not start with it.
    """
    if FILE not in files.names():
        return False
    erase(files)
    eventlog.log("factory", "the bridge was reset: pair it with the setup code on its label")
    return True


def erase(files: Files) -> None:
    """Remove every file but the identity; the decision last. OSError when one stays."""
    for name in files.names():
        if name.endswith(_OURS) and name not in (identity.FILE, FILE):
            files.erase(name)
    files.erase(FILE)
