"""What the command may say when something does not work."""


class SpeakeasyError(Exception):
    """One sentence or two for a person: what happened, and what to do. Never holds a secret."""
