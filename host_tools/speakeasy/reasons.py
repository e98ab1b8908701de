"""What the filter's counters mean, in words. A counter that is not named here is shown by its own name."""

WORDS: dict[str, str] = {}


def in_words(name: str) -> str:
    """A sentence's worth for one counter of the filter."""
    return WORDS.get(name, name.replace("_", " "))
