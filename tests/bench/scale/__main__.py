"""The bench of scale: `python tests/bench/scale 10k 1M 10M` makes a table of what grows with a job."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.scale.measure import Size, measure

_UNITS = {"k": 1000, "M": 1_000_000}
_HEAD = (
    "| items | first request | its CPU | first create | last of all lines, unmarked | last line, marked"
    " | nothing to do | status | memory | bytes an item |\n|---|---|---|---|---|---|---|---|---|---|"
)


def count_of(text: str) -> int:
    """Read 10k, 1M or a plain number."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def as_row(size: Size) -> str:
    """Return a line of the table."""
    memory = max(run.memory_mb for run in (size.new, size.full, size.marked, size.done))
    told = (
        f"{size.count:,}",
        *(f"{s or 0:.2f} s" for s in (size.new.first_s, size.new.first_cpu_s, size.new.create_s)),
        f"{size.full.create_s or 0:.2f} s",
        *(f"{s:.2f} s" for s in (size.marked.create_s or 0, size.done.whole_s, size.status_s)),
        f"{memory:.0f} MB",
        f"{size.bytes_per_item:.0f}",
    )
    return f"| {' | '.join(told)} |"


def main() -> int:
    """Measure each length; 1 if something is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python tests/bench/scale", description=__doc__)
    parser.add_argument("counts", nargs="*", type=count_of, default=[10_000, 100_000], metavar="10k")
    parser.add_argument("--folder", type=Path, help="where the files are made; 10M items need 8 GB")
    chosen = parser.parse_args()
    problems = []
    print(_HEAD, flush=True)
    for count in chosen.counts:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            size = measure(count, Path(folder))
        print(as_row(size), flush=True)
        problems += size.problems()
    print("\n".join(problems) or "all as it has to be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
