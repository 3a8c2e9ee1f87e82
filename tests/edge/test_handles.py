"""How many handles a run may need: more where more is done at one time."""

from pathlib import Path

from batchup.edge.handles import handles_needed
from batchup.job import Job

TEXT = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\n'


def needed(folder: Path, more: str = "") -> int:
    """Return what a job needs."""
    return handles_needed(Job.from_toml(TEXT + more, base=folder))


def test_what_is_done_at_one_time_needs_handles(tmp_path: Path) -> None:
    """More at a time, callbacks, and a simulator in the same process each need more, within bounds."""
    plain = needed(tmp_path)
    assert plain < 128
    assert needed(tmp_path, "limits.concurrency = 20") == plain + 10
    assert needed(tmp_path, "limits.concurrency = 10000") < 256
    assert needed(tmp_path, 'webhook.listen = "127.0.0.1:0"\nservice.url = "http://127.0.0.1:9/v1"') > plain
    assert needed(tmp_path, 'service.url = "simulator"') > plain + 30
