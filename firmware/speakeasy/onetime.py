"""Things that are good once and not for long: tokens and invites. RAM only."""

from . import clock, crypto


class OneTime:
    """At most `capacity` secrets or ids, each with a value, each valid for `ttl_s` seconds, or as long as `put` says; a
    newer one pushes out the oldest. Keys are bytes; only their hashes are kept and compared, so that time tells nothing
    about them."""

    def __init__(self, capacity: int, ttl_s: int, now=clock.seconds) -> None:
        self.ttl_s = ttl_s
        self._capacity = capacity
        self._now = now
        self._entries: list = []  # [hash of the key, value, expiry], oldest first

    def __repr__(self) -> str:
        return "<OneTime: %d>" % len(self._entries)

    def __len__(self) -> int:
        self._expire()
        return len(self._entries)

    def left_s(self) -> int:
        """Seconds until the last of them expires; 0: there is none."""
        self._expire()
        return max([entry[2] for entry in self._entries], default=self._now()) - self._now()

    def put(self, key: bytes, value=None, ttl_s: int = 0) -> None:
        """Remember `key`, for `ttl_s` seconds where that is not 0."""
        self._expire()
        if len(self._entries) >= self._capacity:
            self._entries.pop(0)
        self._entries.append((crypto.digest(key), value, self._now() + (ttl_s or self.ttl_s)))

    def peek(self, key: bytes):
        """(value,) while `key` is valid, else None."""
        self._expire()
        wanted = crypto.digest(key)
        for entry in self._entries:
            if entry[0] == wanted:
                return (entry[1],)
        return None

    def take(self, key: bytes):
        """(value,) the first time, None ever after."""
        found = self.peek(key)
        if found is not None:
            wanted = crypto.digest(key)
            self._entries = [e for e in self._entries if e[0] != wanted]
        return found

    def drop(self, matches) -> None:
        """Forget every entry whose value satisfies `matches`."""
        self._entries = [e for e in self._entries if not matches(e[1])]

    def _expire(self) -> None:
        now = self._now()
        self._entries = [e for e in self._entries if e[2] > now]
