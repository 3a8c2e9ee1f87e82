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


def test_a_lost_checkpoint_is_not_bought_again(tmp_path: Path) -> None:
    """Results without the checkpoint that knows them: a run would buy all of it again, so it refuses."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).code == 0
    (tmp_path / "job.out/checkpoint.db").unlink()
    refused = run(job)
    assert (refused.code, refused.summary["creates"]) == (65, 0)
    assert "would be bought again" in refused.err


def test_a_checkpoint_lost_in_the_first_night_is_missed_too(tmp_path: Path) -> None:
    """A killed run leaves no results yet, but its log tells that something was bought."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).code == 0
    (tmp_path / "job.out/results.jsonl").unlink()
    (tmp_path / "job.out/checkpoint.db").write_bytes(b"")
    refused = run(job)
    assert (refused.code, refused.summary["creates"]) == (65, 0)
    assert "run.log.jsonl tells of items" in refused.err


def test_held_items_are_bought_again_on_request(tmp_path: Path) -> None:
    """What an earlier run held stays so until a person says that it may be bought a second time."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    hold = '[run]\non_in_doubt = "hold"'
    job = simulated(tmp_path, "rows.jsonl", faults={"create_reset": 1}, more=hold)
    assert run(job).summary["held"] == 1
    job.write_text(job.read_text().replace("create_reset = 1", ""))
    assert run(job).summary["held"] == 1
    done = run(job, "--on-in-doubt", "resubmit")
    assert (done.code, done.summary["saved"], done.summary["held"]) == (0, 1, 0)
