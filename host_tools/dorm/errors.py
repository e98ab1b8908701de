"""The one exception that the dorm raises towards people."""


class DormError(Exception):
    """One sentence or two: what happened, and what to do about it."""


class DormUsageError(DormError):
    """What was asked for cannot be in any dorm."""
