"""What is promised, shown: `python tests/reliability` runs every family; `-h` says what else."""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reliability import table


def main() -> int:
    """Run the families; 1 if one failed or counted nothing."""
    known = table.families()
    keys = [family.key for family in known]
    parser = argparse.ArgumentParser(prog="python tests/reliability", description=__doc__)
    parser.add_argument("family", nargs="*", help=f"only these: {', '.join(sorted(keys))}")
    parser.add_argument("--long", action="store_true", help="all cases that say something, for hours")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    chosen = parser.parse_args()
    if unknown := set(chosen.family) - set(keys):
        parser.error(f"no such family: {', '.join(sorted(unknown))}")
    began_at = time.monotonic()
    wanted = [family for family in known if not chosen.family or family.key in chosen.family]
    results = table.run_all(wanted, is_long=chosen.long)
    for result in results:
        if not result.is_well:
            print(f"\n===== {result.family.key}\n{result.output}")
    print(table.as_markdown(results))
    cpu_s = sum(result.cpu_s for result in results)
    print(f"\n{time.monotonic() - began_at:.0f} s, {cpu_s / 60:.1f} minutes of one core")
    if chosen.json:
        chosen.json.write_text(json.dumps(table.as_json(results, is_long=chosen.long), indent=1))
    return 0 if all(result.is_well for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
