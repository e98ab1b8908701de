"""What the command may say when something does not work."""

# Exit statuses. What they mean to whoever calls the command stands in README.md, "Scripts", and nowhere else.
FAILED, USAGE, NOT_REACHED, CTRL_C = 1, 2, 3, 130

OWNER = "owner"


class SpeakeasyError(Exception):
    """One sentence or two for a person: what happened, and what to do. Never holds a secret.

    Where it speaks of a command, it writes `speakeasy ...` in backticks: terminal.py puts in how it was called. What
    somebody else has to type, on a machine of their own, it writes as `~speakeasy ...`: that is shown as it is.
    """

    exit_status = FAILED


class UsageError(SpeakeasyError):
    """A value that cannot be, whatever the bridge is like: nothing was done."""

    exit_status = USAGE


class NotReached(SpeakeasyError):
    """The bridge was not reached, so nothing was done: the same may work later, or nearer to it."""

    exit_status = NOT_REACHED


class Stopped(SpeakeasyError):
    """By Ctrl-C, where something had been begun."""

    exit_status = CTRL_C


class NotHeard(NotReached):
    """No bridge's Bluetooth was heard. What to do about it depends on who asks: see reach.py and pairing.py."""


def run_it(words: str, role: str) -> str:
    """ "run `speakeasy WORDS`", for a command that is an owner's: here, if this phone is one; else on an owner's."""
    return f"run `speakeasy {words}`" if role == OWNER else f"have an owner run `~speakeasy {words}`"


def choose_network(role: str) -> str:
    """What to do about a bridge that is on no network."""
    if role == OWNER:
        return "run `speakeasy scan`, which lists what there is, then `speakeasy join SSID`"
    return run_it("join SSID", role)
