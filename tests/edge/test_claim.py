"""A checkpoint is of one service: what another made is refused before anything is sent."""

from pathlib import Path

from edge.bench import REAL, rows, run, simulated, web


def test_simulated_pictures_are_not_taken_for_real_ones(tmp_path: Path) -> None:
    """A folder that a simulator filled is refused for a real service, with both named; nothing is sent."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    assert run(simulated(tmp_path, "rows.jsonl")).code == 0
    job = tmp_path / "job.toml"
    job.write_text(REAL.format(manifest="rows.jsonl", url="https://api.example/v1", more=""))
    refused = run(job)
    assert (refused.code, refused.summary["reason"], refused.summary["requests"]) == (65, "data", 0)
    assert "a simulator" in refused.err
    assert "https://api.example/v1" in refused.err


def test_another_model_waits_for_what_is_in_doubt(tmp_path: Path) -> None:
    """While a create may have been accepted under one model, the job cannot go on under another."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    hold = '[run]\non_in_doubt = "hold"'
    job = simulated(tmp_path, "rows.jsonl", faults={"create_lost": 1}, more=hold)
    assert run(job).code == 4
    job.write_text(job.read_text().replace('"each-upscaler"', '"real-esrgan"'))
    refused = run(job)
    assert refused.code == 65
    assert "in doubt under each-upscaler" in refused.err
