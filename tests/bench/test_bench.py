"""The bench has to come to what it promises; it runs as anybody would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MINUTES = 15


def test_the_bench(tmp_path: Path) -> None:
    """Every profile reaches its share of X*, no limit is passed, deciding takes under 1 % of a core."""
    figures = tmp_path / "bench.json"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, str(ROOT / "tests" / "bench"), "--json", str(figures)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=plain, timeout=60 * MINUTES, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(figures.read_text())
    assert {row["group"] for row in rows} == {"cold", "list", "limits", "webhooks", "bad lists"}
    assert sum(len(row["runs"]) for row in rows) == 150
    usual = [run for row in rows if row["group"] == "cold" for run in row["runs"]]
    assert max(run["core_share"] for run in usual) < 0.01
