"""The comparison: `python tests/bench/peers` prints the table; `-h` says what else."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.peers import table


def main() -> None:
    """Measure all peers, or those that were chosen."""
    parser = argparse.ArgumentParser(prog="python tests/bench/peers", description=__doc__)
    parser.add_argument("--items", type=int, default=table.ITEMS, help="how many items each gets (240)")
    parser.add_argument("--only", default="", help="only peers whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    chosen = parser.parse_args()
    peers = table.peers(chosen.items, min(chosen.items, table.FEWER_ITEMS))
    rows = table.run_all(peer for peer in peers if chosen.only in peer.name)
    print(table.as_markdown(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(table.as_json(rows), indent=1))


if __name__ == "__main__":
    main()
