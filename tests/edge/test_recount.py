"""Totals that are not what the rows come to: rows were lost, and what they were of is not bought again."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from batchup.cli.verify import command as verify_command
from batchup.core.calendar import Calendar
from batchup.core.items import Item, SavedFile
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import NAME
from batchup.edge.desk import at_rest
from batchup.edge.exports import results
from batchup.edge.feeding.marks import kept_mark
from batchup.edge.mending.recount import count_anew, difference, refuse_if_miscounted
from batchup.edge.older import note_missing, refuse_if_older
from batchup.errors import DataProblem
from batchup.job import Job

S = State
JOB = """
name = "counted"
manifest = "rows.jsonl"
model = "each-upscaler"
[service]
url = "https://api.example/v1"
key = "env:COUNTED_KEY"
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of three saved items, at rest."""
    path = tmp_path / "counted.toml"
    path.write_text(JOB)
    rows = [f'{{"id":"i{k}","image":"https://img.example/{k}.jpg"}}' for k in range(3)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    found = Job.load(path)
    (found.output.dir / "images").mkdir(parents=True)
    with Checkpoint(found.output.dir / NAME, Calendar(0.0), found.input) as checkpoint:
        for k in range(3):
            _save(checkpoint, Item(f"i{k}", 1, {"image": f"https://img.example/{k}.jpg"}, {}, f"{k:024x}"))
        results.refresh(checkpoint, found.output.dir)
    return found


def _save(checkpoint: Checkpoint, item: Item) -> None:
    file = SavedFile(
        f"images/{item.id}.png", 1, hashlib.sha256(b"x").hexdigest(), 1, 1, "https://cdn.example/a.png"
    )
    steps = [
        Keep(item, S.READY, S.SUBMITTING, {"attempt": 1, "hashes": {}, "sent_at": 1.0}),
        Keep(item, S.SUBMITTING, S.IN_FLIGHT, {"prediction_id": f"p-{item.id}", "created_at": 2.0}),
        Keep(item, S.IN_FLIGHT, S.SUCCEEDED, {"urls": (file.url,), "cost_usd": 0.01}),
        Keep(item, S.SUCCEEDED, S.SAVED, {"files": (file,), "saved_at": 3.0}),
    ]
    checkpoint.keep(steps)


def _lose(job: Job) -> None:
    """Take a row out, as a page that was cut out and a repair of the file by other means would."""
    with closing(sqlite3.connect(job.output.dir / NAME)) as db:
        db.execute("DELETE FROM items WHERE id = 'i1'")
        db.commit()


def test_what_agrees_is_no_damage(job: Job) -> None:
    """A checkpoint whose rows are all there is not refused, and neither is one that has no totals yet."""
    with at_rest(job, "test") as checkpoint:
        assert difference(checkpoint) is None
        refuse_if_miscounted(checkpoint, job)
        checkpoint.db.execute("DELETE FROM facts WHERE name = 'totals'")
        assert difference(checkpoint) is None


def test_a_lost_row_is_told(job: Job) -> None:
    """`verify` ends with 65 and one sentence of what is there and what was counted."""
    _lose(job)
    with (
        at_rest(job, "test") as checkpoint,
        pytest.raises(DataProblem, match="2 items") as told,
    ):
        refuse_if_miscounted(checkpoint, job)
    assert "3 items, 3 of them saved, with 3 predictions for 0.03 USD were counted" in told.value.message
    assert "--fix" in (told.value.remedy or "")
    done = CliRunner().invoke(verify_command, [str(job.path)])
    assert (done.exit_code, "is damaged" in done.stderr) == (65, True)


def test_what_was_lost_is_not_bought_again(job: Job) -> None:
    """Counted anew, the checkpoint has no mark, and a run refuses what the results know and it does not."""
    _lose(job)
    with at_rest(job, "test") as checkpoint:
        checkpoint.db.execute("INSERT INTO facts VALUES ('mark', 'any')")
        count_anew(checkpoint, job)
        assert (difference(checkpoint), kept_mark(checkpoint)) == (None, None)
        results.refresh(checkpoint, job.output.dir)  # the line of the lost row goes
        assert note_missing(checkpoint, job.output.dir) == {"p-i1": "i1"}
        with pytest.raises(DataProblem, match="p-i1 of i1"):
            refuse_if_older(checkpoint, job)


def test_fix_says_that_it_has_counted(job: Job) -> None:
    """`verify --fix` tells in its JSON what it has counted anew, and once."""
    _lose(job)
    for name in ("i0", "i2"):
        (job.output.dir / "images" / f"{name}.png").write_bytes(b"x")
    words = [str(job.path), "--fix", "--json"]
    told = [_told(words), _told(words)]
    assert "2 items" in (told[0] or "")
    assert told[1] is None


def _told(words: list[str]) -> str | None:
    done = CliRunner().invoke(verify_command, words)
    found = json.loads(done.stdout.splitlines()[-1])["miscounted"]
    return None if found is None else str(found)


def test_garbled_rows_are_not_counted(job: Job) -> None:
    """Where a row is not as it was written, its totals are not made of it."""
    with at_rest(job, "test") as checkpoint:
        checkpoint.db.execute("UPDATE items SET attempt = 7 WHERE id = 'i1'")
        with pytest.raises(DataProblem, match="garbled"):
            count_anew(checkpoint, job)
