"""Where saved files lie, as the checkpoint has it: whatever interrupts it, no result keeps an old address."""

from pathlib import Path

import pytest

from batchup.core.calendar import Calendar
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.saving.placing import claim_place, moved_here, place_of
from batchup.errors import BatchupError
from batchup.job import Job

TEXT = "manifest = 'm.jsonl'\nmodel = 'm'\n[output]\ndir = {}\nstate = 'here'\n"


def test_results_are_written_anew_before_the_place_is_another(tmp_path: Path) -> None:
    """A kill between the two leaves results that are made again, never such with the addresses of before."""
    here, there = (
        Job.from_toml(TEXT.format(f"'s3://{bucket}'"), base=tmp_path) for bucket in ("here", "there")
    )
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        claim_place(checkpoint, here)
        assert place_of(checkpoint) == "s3://here"
        db = checkpoint.db
        db.execute("INSERT INTO facts VALUES ('results_bytes', 7)")
        db.execute(
            "CREATE TEMP TRIGGER killed BEFORE INSERT ON main.facts WHEN NEW.value = 's3://there'"
            " BEGIN SELECT RAISE(ABORT, 'killed'); END"
        )
        with pytest.raises(BatchupError):
            moved_here(checkpoint, there)
        assert db.execute("SELECT 1 FROM facts WHERE name = 'results_bytes'").fetchone() is None
        db.execute("DROP TRIGGER killed")
        assert moved_here(checkpoint, there)
        assert not moved_here(checkpoint, there)
        assert place_of(checkpoint) == "s3://there"
