"""The engine's own ceiling: `python tests/bench/ceiling` measures it; `-h` says what else."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.ceiling import table
from bench.ceiling.scene import Load


def main() -> int:
    """Measure both; 1 where batchup makes less than it has to of the bare loop's predictions a second."""
    load, parser = Load(), argparse.ArgumentParser(prog="python tests/bench/ceiling", description=__doc__)
    parser.add_argument("--items", type=int, default=load.items)
    parser.add_argument("--in-flight", type=int, default=load.in_flight)
    parser.add_argument("--open-creates", type=int, default=load.open_creates)
    parser.add_argument("--duration", type=float, default=load.duration_s, help="seconds of each prediction")
    parser.add_argument("--no-profile", action="store_true", help="leave out the second run, that says where")
    parser.add_argument("--functions", action="store_true", help="name the dearest functions too")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    chosen = parser.parse_args()
    load = Load(
        items=chosen.items,
        in_flight=chosen.in_flight,
        open_creates=chosen.open_creates,
        duration_s=chosen.duration,
    )
    result = table.measure(load, has_profile=not chosen.no_profile)
    print(table.as_text(load, result))
    if chosen.functions:
        print(*(f"{s:8.3f} s {calls:9d} {where}" for where, s, calls in result.dearest), sep="\n")
    if chosen.json:
        chosen.json.write_text(json.dumps({"load": asdict(load), **asdict(result)}, indent=1))
    return 0 if result.share >= table.LEAST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
