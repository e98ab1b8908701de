"""Runs histories: `make -C tests/core model HISTORIES=10000 STEPS=200`.

Or in tests/core: `python3 -m model.run LIBRARY...`. A difference is shortened, printed, and kept as steps that
`--replay FILE` runs again."""

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from .compare import START, Comparison, Difference, Step, show
from .core import Library
from .flows import Wrong
from .history import Writer


class Failure(Exception):
    """A history in which core and model differ: the steps up to there."""

    def __init__(self, steps: list[Step], what: str, seed: int = 0) -> None:
        super().__init__(steps, what, seed)
        self.steps, self.what, self.seed = steps, what, seed


def starts(rng: random.Random) -> int:
    """The clock at the beginning; sometimes it wraps within the history."""
    return 2**32 - rng.randrange(1, 600_000) if rng.randrange(8) == 0 else START


def run_history(library: Library, rng: random.Random, steps: int) -> tuple[int, Counter[str]]:
    """One history; the number of steps, and how often each verdict was met."""
    start = starts(rng)
    comparison = Comparison(library, start=start)
    writer = Writer(rng, comparison)
    done: list[Step] = []
    try:
        todo = writer.beginning()
        while len(done) < steps:
            for step in todo:
                done.append(step)
                comparison.do(step)
            todo = writer.next()
    except (Difference, Wrong) as problem:
        raise Failure([("start", start), *done], str(problem)) from problem
    finally:
        comparison.close()
    return len(done), Counter(comparison.model.count)


def replay(library: Library, steps: list[Step]) -> str | None:
    """What differs when these steps run again; None: nothing."""
    start = START
    if steps and steps[0][0] == "start":
        start, steps = steps[0][1], steps[1:]
    comparison = Comparison(library, start=start)
    try:
        for step in steps:
            comparison.do(step)
    except (Difference, Wrong) as problem:
        return str(problem)
    finally:
        comparison.close()
    return None


def shorten(library: Library, steps: list[Step], seconds: float = 20) -> list[Step]:
    """Leaves out what the difference does not need: halves, quarters, ... single steps."""
    end = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while time.monotonic() < end:
        at, changed = 0, False
        while at < len(steps) and time.monotonic() < end:
            fewer = steps[:at] + steps[at + size :]
            if len(fewer) < len(steps) and replay(library, fewer) is not None:
                steps, changed = fewer, True
            else:
                at += size
        if size == 1 and not changed:
            break
        size = max(1, size // 2)
    return steps


def to_json(steps: list[Step]) -> str:
    def plain(x: Any) -> Any:
        if isinstance(x, bytes):
            return {"hex": x.hex()}
        if isinstance(x, (list, tuple)):
            return [plain(y) for y in x]
        return {k: plain(v) for k, v in x.items()} if isinstance(x, dict) else x

    return "[\n" + ",\n".join(json.dumps(plain(s)) for s in steps) + "\n]\n"


def from_json(text: str) -> list[Step]:
    def back(x: Any) -> Any:
        if isinstance(x, dict):
            return bytes.fromhex(x["hex"]) if set(x) == {"hex"} else {k: back(v) for k, v in x.items()}
        return tuple(back(y) for y in x) if isinstance(x, list) else x

    return [back(s) for s in json.loads(text)]


def one(path: Path, seed: int, steps: int) -> tuple[int, Counter[str], Failure | None]:
    """One history of one seed; pickled for another process."""
    library = library_at(path)
    try:
        return *run_history(library, random.Random(seed), steps), None
    except Failure as failure:
        failure.seed = seed
        failure.steps = shorten(library, failure.steps)
        failure.what = replay(library, failure.steps) or failure.what
        return 0, Counter(), failure


@lru_cache
def library_at(path: Path) -> Library:
    return Library(path)


def describe(failure: Failure, path: Path, save: Path) -> str:
    save.write_text(to_json(failure.steps))
    lines = [f"history {failure.seed}: core and model differ. Shortened:"]
    lines += ["  " + show(step) for step in failure.steps]
    lines += [failure.what, f"again, in tests/core: python3 -m model.run {path} --replay {save}"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", nargs="+", type=Path)
    parser.add_argument("--histories", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="the first; each history has its own")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="how often each counter was raised")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--save", type=Path, default=Path("model-difference.json"))
    args = parser.parse_args()
    if args.replay:
        what = replay(Library(args.library[0]), from_json(args.replay.read_text()))
        print(what or "core and model agree")
        return int(what is not None)
    began, steps, counts = time.monotonic(), 0, Counter[str]()
    seeds = range(args.seed, args.seed + args.histories)
    paths = [args.library[seed % len(args.library)] for seed in seeds]
    with ProcessPoolExecutor(args.jobs) as pool:
        for i, (path, (n, met, failure)) in enumerate(
            zip(paths, pool.map(one, paths, seeds, [args.steps] * len(seeds), chunksize=4), strict=True), 1
        ):
            if failure:
                print(describe(failure, path, args.save))
                pool.shutdown(wait=False, cancel_futures=True)
                return 1
            steps += n
            counts.update(met)
            if i % 500 == 0:
                print(f"{i} histories, {steps} steps, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{args.histories} histories, {steps} steps, {time.monotonic() - began:.0f} s: core and model agree")
    if args.verbose:
        missing = [c for c in library_at(args.library[0]).counters if c not in counts]
        print("\n".join(f"  {n:8} {c}" for c, n in counts.most_common()))
        print("never met: " + " ".join(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
