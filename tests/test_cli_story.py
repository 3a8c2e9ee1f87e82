"""One search through the log tells an item's whole story, over nights and parts of the log."""

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
from edge.bench import rows, simulated, web

import batchup
from batchup import Job
from batchup.edge.telling.rotating import part_of
from batchup.edge.telling.runlog import NAME

NAMED = {"ts", "level", "event", "run", "item"}


def story(out: Path, item_id: str) -> list[dict[str, Any]]:
    """Return what `grep` finds of an item in all parts of a log, in the order in which it prints it."""
    words = f"""grep -h '"item":"{item_id}"' run.log*"""
    found = subprocess.run(["sh", "-c", words], cwd=out, capture_output=True, text=True, check=True)  # noqa: S607
    return [json.loads(line) for line in found.stdout.splitlines()]


def steps(lines: list[dict[str, Any]]) -> list[str]:
    """Return what happened, polls in a row told once."""
    found: list[str] = []
    for line in lines:
        step = str(line["kind"] if line["event"] == "request" else line["event"])
        if found[-1:] != [step]:
            found.append(step)
    return found


def test_an_item_that_was_retried_has_its_story(tmp_path: Path) -> None:
    """Created, polled, settled badly, created anew, polled, settled, fetched once more and saved, by name."""
    rows(tmp_path / "rows.jsonl", *web("bad", *(f"i{k}" for k in range(19))))
    faults = {"failed_prediction": 0.4, "short_output": 0.3}
    job = Job.load(simulated(tmp_path, "rows.jsonl", faults=faults, more='[polling]\nlist = "off"'))
    summary = batchup.run_sync(job, log_level="debug", rerun_failed=True)
    assert summary.saved > 9
    stories = [story(job.output.dir, id_) for id_ in ["bad", *(f"i{k}" for k in range(19))]]
    of_all = {step for lines in stories for step in steps(lines)}
    assert of_all >= {"create", "created", "poll", "settled", "attempt_failed", "download_failed", "saved"}
    for lines in stories:
        done = steps(lines)
        assert done[:4] == ["create", "created", "poll", "settled"]
        assert done[-1] in ("saved", "failed")
        attempts = [line["prediction_id"] for line in lines if line["event"] == "created"]
        assert len(set(attempts)) == done.count("settled")
        for line in lines:
            assert set(line) >= NAMED
            assert line["run"] == summary.run
            assert line["attempt"] == 1 + attempts.index(
                line.get("prediction_id", attempts[line["attempt"] - 1])
            )
        polls = [line for line in lines if line.get("kind") == "poll" and line["event"] == "request"]
        assert sum(line["polls"] for line in lines if line["event"] == "settled") == len(polls)


def test_what_is_adopted_goes_on_in_the_same_story(tmp_path: Path) -> None:
    """Bought by a run that was stopped and saved by the next: both runs' lines are found, parts or not."""
    rows(tmp_path / "rows.jsonl", *web("first", *(f"i{k}" for k in range(9))))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=10))
    anyio.run(left_early, job)
    log = job.output.dir / NAME
    log.rename(part_of(log, 1))
    assert batchup.run_sync(Job.load(simulated(tmp_path, "rows.jsonl"))).saved == 10
    stories = [story(job.output.dir, id_) for id_ in ("first", *(f"i{k}" for k in range(9)))]
    adopted = [lines for lines in stories if "adopted" in steps(lines)]
    assert adopted
    for lines in adopted:
        assert steps(lines)[:3] == ["created", "adopted", "settled"]
        assert len({line["run"] for line in lines}) == 2
        assert len({line["prediction_id"] for line in lines}) == 1
        assert steps(lines)[-1] == "saved"


async def left_early(job: Job) -> None:
    """Run a job until something is in flight, and stop it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batchup.run, job)
        log = job.output.dir / NAME
        while not (log.exists() and '"created"' in log.read_text()):  # noqa: ASYNC110 another task writes it
            await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


def test_a_row_that_is_no_item_is_in_the_log(tmp_path: Path) -> None:
    """What was rejected is found by its id too, with the line and the reason."""
    rows(tmp_path / "rows.jsonl", *web("a"), {"id": "no-image"})
    job = Job.load(simulated(tmp_path, "rows.jsonl"))
    assert batchup.run_sync(job).rejected == 1
    (line,) = story(job.output.dir, "no-image")
    assert (line["event"], line["line"], "image" in line["why"]) == ("rejected", 2, True)
