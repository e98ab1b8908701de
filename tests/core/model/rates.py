"""Token buckets (SPEC 4.6): so many a second, and a burst. Counted in thousandths, time in milliseconds."""


class Bucket:
    def __init__(self, rate: int, burst: int, now: int) -> None:
        self.rate, self.burst = rate, burst
        self.level, self.last = burst * 1000, now

    def take(self, now: int) -> bool:
        self.level = min(self.burst * 1000, self.level + (now - self.last) * self.rate)
        self.last = now
        if self.level < 1000:
            return False
        self.level -= 1000
        return True
