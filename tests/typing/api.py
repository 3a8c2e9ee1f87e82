"""What a type checker knows of the library; checked by mypy with the rest, and never run."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import assert_type

import batchup
from batchup import Failure, Job, Outcome, SavedFile, Summary


async def whole(job: Job) -> None:
    assert_type(await batchup.run(job), Summary)
    assert_type(await batchup.run(job, limit=3, max_duration_s=60.0, strict=True), Summary)
    assert_type(batchup.stream(job), AsyncGenerator[Outcome, None])
    async for outcome in batchup.stream(job, rerun_failed=True):
        assert_type(outcome, Outcome)
        assert_type(outcome.id, str)
        assert_type(outcome.files, tuple[SavedFile, ...])
        assert_type(outcome.failure, Failure | None)
        assert_type(outcome.cost_usd, float | None)


def alone() -> None:
    job = Job.load("job.toml", overrides={"limits.concurrency": 5})
    assert_type(job, Job)
    assert_type(Job.load(Path("job.toml")), Job)
    assert_type(Job.from_toml("manifest = 'a.csv'", base=Path()), Job)
    summary = batchup.run_sync(job)
    assert_type(summary, Summary)
    assert_type(batchup.write_report(job), Path)
    assert_type((summary.reason, summary.exit_code, summary.saved), tuple[str, int, int])
    assert_type(summary.job_spend_usd, float)
