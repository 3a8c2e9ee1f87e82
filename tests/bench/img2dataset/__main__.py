"""Downloads beside img2dataset: `python tests/bench/img2dataset` prints the table; `-h` says what else."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.img2dataset import table
from bench.img2dataset.installing import installed
from bench.img2dataset.pictures import serving


def main() -> None:
    """Have the same pictures downloaded by each way, or by those that were chosen."""
    parser = argparse.ArgumentParser(prog="python tests/bench/img2dataset", description=__doc__)
    parser.add_argument("--images", type=int, default=table.IMAGES, help="how many (2000)")
    parser.add_argument("--only", default="", help="only ways whose name contains this")
    parser.add_argument("--venv", type=Path, help="where img2dataset is, or is installed by pip")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    chosen = parser.parse_args()
    ways = [way for way in table.WAYS if chosen.only in way.name]
    needs_peer = any(not way.is_ours for way in ways)
    python = installed(chosen.venv) if needs_peer else None
    with tempfile.TemporaryDirectory(prefix="batchup-downloads-") as folder, serving() as address:
        rows = [table.measure(way, address, chosen.images, Path(folder), python) for way in ways]
    print(table.as_markdown(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(table.as_json(rows), indent=1))


if __name__ == "__main__":
    main()
