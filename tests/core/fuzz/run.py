#!/usr/bin/env python3
"""Runs fuzz targets for a time, as many at once as there are processors; a line a minute, then a summary.

What is found new goes to build/fuzz/found. Exit status 1 when a target failed: with the input's file, and how to run it
again.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build" / "fuzz"
LINE_EVERY_S = 60


class Run:
    def __init__(self, target: str, seconds: int) -> None:
        self.target = target
        self.log = BUILD / f"{target}.log"
        found = BUILD / "found" / target
        found.mkdir(parents=True, exist_ok=True)
        self.crashes = BUILD / "crashes" / target
        self.crashes.mkdir(parents=True, exist_ok=True)
        self.before = set(self.crashes.iterdir())
        options = [f"-max_total_time={seconds}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=1024"]
        options += ["-print_final_stats=1", "-print_funcs=0", f"-artifact_prefix={self.crashes}/"]
        argv = [str(BUILD / target), *options, str(found), str(HERE / "corpus" / target)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def state(self) -> dict[str, str]:
        """From libFuzzer's last line of numbers: executions, edges covered, features, inputs."""
        text = self.log.read_text(errors="replace")
        last = re.findall(r"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", text)
        done = re.search(r"number_of_executed_units: (\d+)", text)
        rate = re.findall(r"exec/s: (\d+)", text)
        executions, edges, features, inputs = last[-1] if last else ("0", "?", "?", "?")
        return {
            "executions": done[1] if done else executions,
            "a second": rate[-1] if rate else "?",
            "edges": edges,
            "features": features,
            "inputs": inputs,
        }

    def line(self) -> str:
        return f"{self.target:<11}" + "  ".join(f"{name} {value}" for name, value in self.state().items())

    def failure(self) -> str:
        new = sorted(set(self.crashes.iterdir()) - self.before)
        text = self.log.read_text(errors="replace")
        why = re.search(r"^(world: .*|SUMMARY: .*|.*runtime error: .*)$", text, re.MULTILINE)
        lines = [f"{self.target} FAILED: {why[1] if why else 'see ' + str(self.log)}"]
        lines += [f"  input: {path}\n  again: {BUILD / self.target} {path}" for path in new]
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs fuzz targets for a time.")
    parser.add_argument("--seconds", type=int, default=60, help="of each target (default 60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once")
    parser.add_argument("targets", nargs="+")
    args = parser.parse_args()
    waiting = list(args.targets)
    rounds = -(-len(waiting) // args.jobs)
    print(
        f"fuzz: {len(waiting)} targets, {args.seconds} s each, {args.jobs} at once: {rounds * args.seconds} s",
        flush=True,
    )
    running: list[Run] = []
    ended: list[Run] = []
    said = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < args.jobs:
                running.append(Run(waiting.pop(0), args.seconds))
            time.sleep(0.2)
            for run in [r for r in running if r.process.poll() is not None]:
                running.remove(run)
                ended.append(run)
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                print("\n".join(r.line() for r in running), flush=True)
    finally:
        for run in running:
            run.process.terminate()
    failed = [r for r in ended if r.process.returncode != 0]
    print("\nfuzz: done")
    print("\n".join(r.line() for r in ended))
    for run in failed:
        print(run.failure(), file=sys.stderr)
    total = sum(int(r.state()["executions"]) for r in ended)
    print(f"{total} executions, {len(failed)} of {len(ended)} targets failed; new inputs: {BUILD / 'found'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
