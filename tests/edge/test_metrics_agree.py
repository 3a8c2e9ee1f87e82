"""The metrics file says the same as the log, the summary and the message about the run."""

import json
from collections import Counter
from pathlib import Path

from edge.bench import rows, simulated, web
from edge.test_metrics import parsed, values

import batchup
from batchup import Job
from batchup.core.notice import EndKind, kind_of
from batchup.edge.telling.runlog import NAME


def test_requests_are_counted_as_they_are_logged(tmp_path: Path) -> None:
    """By what they ask for, also where lost creates are looked for by the list: polls are the summary's."""
    rows(tmp_path / "rows.jsonl", *web(*"abcdefghij"))
    more = '[limits]\nrate = "600/min"\nopen_creates = 5\n[polling]\nlist = "off"'
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=600, faults={"create_lost": 0.4}, more=more))
    summary = batchup.run_sync(job, metrics_file=tmp_path / "a.prom", log_level="debug")
    lines = map(json.loads, (job.output.dir / NAME).read_text().splitlines())
    logged = Counter(line["kind"] for line in lines if line["event"] == "request")
    found = parsed((tmp_path / "a.prom").read_text())
    counted: Counter[str] = Counter()
    for (kind, _), count in values(found["batchup_requests_total"]).items():
        counted[kind] += int(count)
    assert counted == logged
    assert (counted["poll"], sum(counted.values())) == (summary.polls, summary.requests)
    assert counted["inspect"] > 0
    assert {kind for kind, *_ in values(found["batchup_request_duration_seconds"])} == set(logged)


def test_outputs_that_are_not_fetched_are_no_success(tmp_path: Path) -> None:
    """A run that paid for all and got nothing has failed, to who reads its figures as to who is told."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=2000, faults={"output_5xx": 1.0}))
    summary = batchup.run_sync(job, metrics_file=tmp_path / "a.prom")
    assert (summary.exit_code, summary.creates, summary.saved, kind_of(summary)) == (4, 2, 0, EndKind.FAILED)
    found = parsed((tmp_path / "a.prom").read_text())
    assert values(found["batchup_last_run_success"]) == {(): 0}
    assert values(found["batchup_last_run_needs_person"]) == {(): 0}
    assert "batchup_last_success_timestamp_seconds" not in found
