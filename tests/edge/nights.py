"""Finished jobs as their runs leave them, generated: results, status, log, inputs and outputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from PIL import Image

from batchup.core.items import Failure, Outcome, SavedFile
from batchup.core.names import output_path
from batchup.core.snapshot import Snapshot
from batchup.core.summary import Summary
from batchup.edge.page.report import Report, Watcher, Written
from batchup.edge.telling.status import Status
from batchup.job import Job

BEGAN_AT = 1_900_000_000.0
RUN = "20300317T174640-abc123"
JOB = """
name = "night"
manifest = "in"
model = "each-upscaler"

[input]
scale_factor = 2

[output]
dir = "night.out"

[service]
url = "http://127.0.0.1:9/v1"
"""
BROKEN = Failure("prediction_failed", "the image 17.jpg could not be decoded", "PROVIDER_REJECTED")


@dataclass(frozen=True)
class Night:
    """A job's file, the job, and the items of its results."""

    path: Path
    job: Job
    outcomes: Sequence[Outcome]

    @property
    def folder(self) -> Path:
        """The job's output folder."""
        return self.job.output.dir


def picture(path: Path, size: tuple[int, int], seed: int = 0, **options: Any) -> Path:
    """Write a picture with something in it, in the format that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = Random(seed)
    small = Image.frombytes("RGB", (8, 6), rng.randbytes(8 * 6 * 3))
    small.resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def saved(folder: Path, item_id: str, number: int, size: tuple[int, int] = (80, 60)) -> Outcome:
    """Make an input and an output, and return the item that they belong to."""
    picture(folder / "in" / item_id, (size[0] // 2, size[1] // 2), number)
    path = output_path(item_id, index=None, extension="png")
    output = picture(folder / "night.out" / path, size, number)
    digest = sha256(output.read_bytes()).hexdigest()
    file = SavedFile(path, output.stat().st_size, digest, *size, url="https://files.example/o.png")
    at = BEGAN_AT + 6 * number
    return Outcome(
        id=item_id,
        state="saved",
        prediction_id=f"p-{number}",
        files=(file,),
        attempts=1,
        cost_usd=0.01,
        predict_time_s=40.0 + number % 30,
        created_at=at,
        settled_at=at + 50,
        saved_at=at + 51,
        input={"scale_factor": 2, "image": item_id},
    )


def failed(item_id: str, failure: Failure = BROKEN, state: str = "failed", **given: Any) -> Outcome:
    """Return an item that was not made."""
    return Outcome(id=item_id, state=state, attempts=1, failure=failure, input={"image": item_id, **given})


def summary_of(outcomes: Sequence[Outcome], **others: Any) -> Summary:
    """Sum them up as a run does that has made them all."""
    states = [one.state for one in outcomes]
    counts = {state: states.count(state) for state in ("saved", "failed", "held", "in_doubt", "outstanding")}
    usual = {
        "reason": "finished",
        "exit_code": 0,
        "items": len(outcomes),
        "manifest_complete": True,
        "requests": 5 * len(outcomes),
        "creates": len(outcomes),
        "worst_window": 60,
        "spend_usd": 0.01 * counts["saved"],
        "job_spend_usd": 0.01 * counts["saved"],
        "wall_s": 900.0,
    }
    return Summary(job="night", run=RUN, **{**counts, **usual, **others})


def write_night(folder: Path, outcomes: Sequence[Outcome], summary: Summary | None = None) -> Night:
    """Write what the run of a job leaves that has these items; the pictures are there already."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    path = folder / "night.toml"
    path.write_text(JOB, encoding="utf-8")
    out = folder / "night.out"
    out.mkdir(exist_ok=True)
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in outcomes)
    (out / "results.jsonl").write_bytes(lines)
    (out / "status.json").write_bytes(msgspec.json.encode(status_of(summary or summary_of(outcomes))))
    (out / "run.log.jsonl").write_bytes(log_of(90))
    return Night(path, Job.load(path, environ={}), outcomes)


def status_of(summary: Summary | None, total: int | None = None) -> Status:
    """Return what `status.json` says of a run that ended so, or of one that was cut off."""
    now = Snapshot(
        elapsed_s=900.0,
        total=total,
        saved=0,
        failed=0,
        held=0,
        in_doubt=0,
        rejected=0,
        skipped=0,
        duplicates=0,
        in_flight=0,
        saving=0,
        per_minute=0.0,
        eta_s=None,
        requests_last_minute=0,
        rate_limit=60,
        spend_usd=0.5,
        job_spend_usd=0.75,
        note=None,
    )
    status = Status("night", RUN, 1, "there", is_running=True, written_at="", now=now, summary=None)
    return replace(status, summary=summary, is_running=summary is None)


def log_of(count: int, run: str = RUN, began_at: float = BEGAN_AT) -> bytes:
    """Return a run's log: its start, and its pace every ten seconds."""
    ts = datetime.fromtimestamp(began_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"ts": ts, "level": "info"}
    lines: list[dict[str, Any]] = [{**head, "event": "run_started", "run": run, "job": "night", "model": "m"}]
    for k in range(count):
        pace = {"t_s": 10.0 * k, "requests": 9, "window": min(60, 6 * k), "period_s": 60.0, "rate": 60}
        lines.append({**head, "event": "pace", "run": run, **pace, "slots": min(10, k), "concurrency": 10})
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def written(night: Night, **options: Any) -> Written:
    """Write the report of a finished job into its folder, unless another `path` is given."""
    path = options.pop("path", night.folder / "report.html")
    return Report(job=night.job, path=path, command="night.toml", **options).write()


def document_in(path: Path) -> dict[str, Any]:
    """Read the document that a page holds, as its scripts do."""
    return document_of(path.read_text(encoding="utf-8"))


def document_of(page: str) -> dict[str, Any]:
    """Read the document in the text of a page."""
    found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    document: dict[str, Any] = msgspec.json.decode(found[1])
    return document


class Listening(Watcher):
    """Keeps the last warning."""

    heard = ""

    def warn(self, words: str) -> None:
        """Hear it."""
        self.heard = words
