"""The bench has to come to what it promises; it runs as anybody would run it."""

import json

from bench.conftest import Bench


def test_the_bench(bench: Bench) -> None:
    """Every profile reaches its share of X*, no limit is passed, deciding takes under 1 % of a core."""
    code, said = bench.wait()
    print(said)
    assert code == 0, said
    rows = json.loads(bench.figures.read_text())
    assert {row["group"] for row in rows} == {"cold", "list", "limits", "webhooks", "bad lists"}
    assert sum(len(row["runs"]) for row in rows) == 90
    usual = [run for row in rows if row["group"] == "cold" for run in row["runs"]]
    assert max(run["core_share"] for run in usual) < 0.01
