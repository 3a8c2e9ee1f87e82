"""The bench: `python tests/bench` runs everything; `-h` says what else."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import table


def main() -> int:
    """Run the bench; 1 if something is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    parser.add_argument("--group", action="append", choices=table.GROUPS, help="only this group; repeatable")
    parser.add_argument("--only", default="", help="only profiles whose name contains this")
    parser.add_argument("--quick", action="store_true", help="three of the five first guesses")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    chosen = parser.parse_args()
    rows = table.run_all(chosen.group or table.GROUPS, chosen.only, is_quick=chosen.quick)
    print(table.as_text(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(table.as_json(rows), indent=1))
    problems = [problem for row in rows for problem in row.problems()] + table.bad_lists_problems(rows)
    print("\n".join(problems) or "all as it has to be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
