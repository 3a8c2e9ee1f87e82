"""Replicate by its profile, end to end: against the simulator's face of it, beside its published client."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from edge.bench import Ended, batchup, photos, results, rows, run, web
from simulator.bench import bench

JOB = """
manifest = "rows.jsonl"
model = "owner/upscaler"
{more}
[service]
profile = "replicate"
{service}
"""
SIMULATED = """url = "simulator"
request_timeout = "300s"
[simulator]
durations = "fixed:20s"
speed = 200
seed = 3
faults = {{ {faults} }}"""
QUICK = '[polling]\nexpected = "50ms"\n[limits]\nrate = "unlimited"'
TOKEN = "r8_0123456789abcdefghijklmnopqrstuv"
SAYS = "Replicate: no list of predictions (a create whose answer is lost is held"


def replicate_job(folder: Path, *, more: str = "", service: str = "", faults: str = "") -> Path:
    """Write a job for Replicate, on the embedded simulator unless it is elsewhere."""
    path = folder / "job.toml"
    path.write_text(JOB.format(more=more, service=service or SIMULATED.format(faults=faults)))
    return path


def written(folder: Path) -> str:
    """Return all that lies in a folder, as text."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def said(done: Ended) -> str:
    return done.out + done.err


def test_a_run_saves_everything_and_asks_what_there_is(tmp_path: Path) -> None:
    """A job runs to its end in Replicate's words, says at its start what is lacking, and asks no more."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = replicate_job(tmp_path)
    done = run(job)
    assert done.code == 0, done
    assert SAYS in done.err
    assert {row["state"] for row in results(job).values()} == {"saved"}
    assert all(row["predict_time_s"] == pytest.approx(20, abs=1) for row in results(job).values())
    assert run(job).summary["requests"] == 0


def test_webhooks_are_heard_by_the_secret_in_their_address(tmp_path: Path) -> None:
    """Each end is told to us, believed, and looked at once."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    more = '[polling]\nexpected = "9h"\n[webhook]\nlisten = "127.0.0.1:0"'
    done = run(replicate_job(tmp_path, more=more))
    assert done.code == 0, done
    assert done.summary["requests"] == 6
    assert "webhooks_refused" not in written(tmp_path)


def test_failures_are_taken_in_their_words(tmp_path: Path) -> None:
    """A prediction that fails ends its item with the reason that stands in `error`."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = replicate_job(tmp_path, faults="failed_permanent = 1")
    assert run(job).code == 3
    (row,) = results(job).values()
    assert row["failure"]["message"] == "The input was flagged by content moderation"


def test_lost_answers_are_held_and_never_bought_twice(tmp_path: Path) -> None:
    """Without a list nobody can tell of a lost create: it is held, in the next run too, and the run ends."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c", "d"))
    job = replicate_job(tmp_path, faults="create_lost = 1")
    done = run(job)
    assert done.code == 4, done
    assert run(replicate_job(tmp_path)).code == 4
    assert Counter(row["state"] for row in results(job).values()) == {"held": 4}
    listed = json.loads(batchup(tmp_path, "resolve", job, "--json").out)["items"]
    assert {one["why"] for one in listed} == {"the service has no list of predictions to look in"}


def test_an_image_of_this_machine_is_refused_before_anything_is_bought(tmp_path: Path) -> None:
    """What would have to be uploaded is a rejected row, with what to do instead."""
    photos(tmp_path / "photos", 1)
    rows(tmp_path / "rows.jsonl", {"id": "here", "image": "photos/p000.png"}, *web("there"))
    job = replicate_job(tmp_path)
    done = batchup(tmp_path, "check", job)
    assert done.code == 3
    words = '"image" would have to be uploaded, and Replicate takes no uploads: write an https:// address'
    assert f"Line 1: {words}" in done.err
    assert f"service: {SAYS}" in done.out
    assert run(job).code == 3
    assert [row["id"] for row in results(job).values()] == ["there"]


def test_what_needs_a_list_or_a_catalogue_says_that_there_is_none(tmp_path: Path) -> None:
    """Commands that compare with the service's list, or show its models, end with that in one sentence."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = replicate_job(tmp_path)
    assert run(job).code == 0
    audit = batchup(tmp_path, "audit", job)
    assert (audit.code, audit.err.splitlines()[0]) == (
        78,
        "batchup: Replicate has no list of predictions to compare with.",
    )
    far = replicate_job(tmp_path, service='url = "http://127.0.0.1:9/v1"')
    assert "Replicate does not list its models" in said(batchup(tmp_path, "models", "--job", far))
    check = batchup(tmp_path, "check", far, REPLICATE_API_TOKEN=TOKEN)
    assert check.code == 0, check
    missing = batchup(tmp_path, "check", far, REPLICATE_API_TOKEN="")
    assert "export REPLICATE_API_TOKEN=..." in missing.err


def test_a_folder_of_another_profile_is_left_alone(tmp_path: Path) -> None:
    """What one service made is nothing to another, although both are simulated at one address."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = replicate_job(tmp_path)
    assert run(job).code == 0
    job.write_text(job.read_text().replace('"replicate"', '"eachlabs"'))
    done = run(job)
    assert done.code == 65
    assert "holds what a simulator (Replicate) made, and this job is for a simulator." in done.err


@pytest.mark.anyio
async def test_the_published_client_sees_what_was_bought(tmp_path: Path) -> None:
    """Side by side at one service: each prediction of a run is shown to Replicate's own client as ours."""
    replicate = pytest.importorskip("replicate", reason="the published client is in the extra peers")
    async with bench(key=TOKEN) as service:
        rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
        job = replicate_job(tmp_path, more=QUICK, service=f'url = "{service.url}"')
        done = await to_thread.run_sync(lambda: run(job, REPLICATE_API_TOKEN=TOKEN))
        assert done.code == 0, done
        client = replicate.Client(api_token=TOKEN, base_url=service.origin)
        try:
            assert (await client.accounts.async_current()).username == "simulator"
            for row in results(job).values():
                shown: Any = await client.predictions.async_get(row["prediction_id"])
                assert (shown.status, shown.input) == ("succeeded", row["input"])
                assert shown.output == row["files"][0]["url"]
        finally:
            await client._async_client.aclose()
        assert service.simulator.stats()["creates"] == 3
    assert TOKEN not in said(done) + written(tmp_path)
