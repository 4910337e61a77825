"""``python -m tests.benchmarks [--quick] [--json FILE] [--plot FILE] [ROW ...]``: measure, and print the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.rows import FULL, QUICK, ROWS, Row

COLUMNS = ("work", "today", "nbflow", "ratio", "target", "met")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller measurements, in a minute or two")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw what backfills cost by their size (row backfill)"
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these: {', '.join(ROWS)}")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="nbflow-benchmarks-") as folder:
        for name in arguments.rows or ROWS:
            print(f"measuring: {name} ...", file=sys.stderr, flush=True)
            rows += ROWS[name](Path(folder), QUICK if arguments.quick else FULL)
    print(render(rows))
    print(f"\n{describe_machine()}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        from tests.benchmarks.backfills import plot

        plot({name: figure for row in rows for name, figure in row.figures.items()}, arguments.plot)
    return 0


def render(rows: list[Row]) -> str:
    """A Markdown table."""
    lines = [COLUMNS, tuple("-" * len(name) for name in COLUMNS)]
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "NO"
        lines.append((row.work, row.today, row.nbflow, row.ratio, row.target, met))
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    cells = (" | ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(f"| {line} |" for line in cells)


def describe_machine() -> str:
    names = ("papermill", "nbclient", "ipykernel")
    load = os.getloadavg()[0]
    return (
        f"{platform.system()}, {os.cpu_count()} cores, load {load:.1f} now; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
        + "; medians, CPU seconds in the mean over whole process trees; all contenders in turns."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
