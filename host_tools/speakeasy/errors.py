"""What the command may say when something does not work."""

FAILED, NOT_REACHED = 1, 3  # exit statuses; all of them stand at the top of cli.py


class SpeakeasyError(Exception):
    """One sentence or two for a person: what happened, and what to do. Never holds a secret.

    Where it speaks of a command, it writes `speakeasy ...` in backticks: terminal.py puts in how it was called.
    """

    exit_status = FAILED


class NotReached(SpeakeasyError):
    """The bridge was not reached, so nothing was done: the same may work later, or nearer to it."""

    exit_status = NOT_REACHED
