#!/usr/bin/env python3
"""Which branches of the core the tests take: a table by file, and each branch that none takes. `make coverage` runs it.

Exit status 1 when a file is below the limit. Counted are conditional jumps, as gcc makes them without optimisation, in
the files of the core and in their headers.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "firmware" / "pktfilter"
LEAST_PERCENT = 95.0

Branches = dict[str, dict[int, list[int]]]  # file, line: how often each of its branches was taken


def taken(folder: Path) -> Branches:
    result: Branches = defaultdict(dict)
    for notes in sorted(folder.glob("pf*.gcno")):
        argv = ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(notes)]
        text = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout
        for file in json.loads(text)["files"]:
            if CORE not in (folder / file["file"]).resolve().parents:
                continue
            for line in file["lines"]:
                counts = [branch["count"] for branch in line["branches"]]
                seen = result[Path(file["file"]).name].setdefault(line["line_number"], [0] * len(counts))
                for i, count in enumerate(counts[: len(seen)]):  # a header's functions are in several objects
                    seen[i] += count
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Which branches of the core the tests take.")
    parser.add_argument("folder", type=Path, help="with gcc's .gcno and .gcda files")
    args = parser.parse_args()
    below = []
    missing = []
    print(f"{'file':<16}{'branches':>9}{'taken':>7}{'':>8}")
    total = [0, 0]
    for name, lines in sorted(taken(args.folder.resolve()).items()):
        source = (CORE / name).read_text().splitlines()
        counts = [count for line in lines.values() for count in line]
        if not counts:
            continue
        hit = sum(count > 0 for count in counts)
        total = [total[0] + len(counts), total[1] + hit]
        percent = 100 * hit / len(counts)
        print(f"{name:<16}{len(counts):>9}{hit:>7}{percent:>7.1f}%")
        if percent < LEAST_PERCENT:
            below.append(name)
        for number, line in sorted(lines.items()):
            if not all(line):
                ways = " ".join("-" if count == 0 else "+" for count in line)
                missing.append(f"{name}:{number}: {ways}  {source[number - 1].strip()}")
    print(f"{'all':<16}{total[0]:>9}{total[1]:>7}{100 * total[1] / total[0]:>7.1f}%")
    print("\nnever taken (-), by line:\n" + "\n".join(missing))
    if below:
        print(f"below {LEAST_PERCENT:g} %: {', '.join(below)}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
