"""`results.jsonl`: one line for each item that has been touched, brought up to date at the end of a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import msgspec

from batchup.core.causes import cause_of, what_to_do
from batchup.core.items import Failure, Outcome
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import is_whole
from batchup.edge.files import append_lines, write_lines
from batchup.edge.traces import RESULTS

NAME: Final = RESULTS
_QUERY = f"""
SELECT i.id, i.state, i.prediction_id, i.attempt, i.cost_usd, i.predict_time_s,
       i.created_at, i.settled_at, i.saved_at, i.failure, d.input, i.input, {is_whole("i")}
FROM items i JOIN defaults d ON d.n = i.defaults
"""  # noqa: S608 names are ours


async def bring_up_to_date(checkpoint: Checkpoint, folder: Path) -> None:
    """Append what is new; write the file anew where something older changed or the file is not ours.

    In a thread, as a hundred thousand lines take seconds and signals are to be heard; nothing else may use
    the checkpoint meanwhile. Raises DiskProblem if the file cannot be written, DataProblem if the checkpoint
    cannot be read.
    """
    await anyio.to_thread.run_sync(refresh, checkpoint, folder)


def refresh(checkpoint: Checkpoint, folder: Path) -> None:
    """Do what `bring_up_to_date` does, and block meanwhile."""
    with checkpoint.problems():
        _bring_up_to_date(checkpoint, folder / NAME)


def _bring_up_to_date(checkpoint: Checkpoint, path: Path) -> None:
    db = checkpoint.db
    size = path.stat().st_size if path.exists() else -1
    expected = db.execute("SELECT value FROM facts WHERE name = 'results_bytes'").fetchone()
    has_changed = db.execute("SELECT 1 FROM items WHERE reported = 2 LIMIT 1").fetchone()
    if has_changed or expected is None or expected[0] != size:
        write_lines(path, _lines(checkpoint, "ORDER BY i.n"))
    else:
        append_lines(path, _lines(checkpoint, "WHERE i.reported = 0 ORDER BY i.n"))
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE items SET reported = 1 WHERE reported <> 1")
    db.execute("INSERT OR REPLACE INTO facts VALUES ('results_bytes', ?)", (path.stat().st_size,))
    db.execute("COMMIT")


def outcomes(checkpoint: Checkpoint, clause: str = "ORDER BY i.n") -> Iterator[Outcome]:
    """Yield where each touched item stands, in the order in which they were first touched."""
    for *row, is_as_written in checkpoint.db.execute(_QUERY + clause):
        checkpoint.trust(row[0], is_as_written)
        yield _outcome(checkpoint, row)


def _lines(checkpoint: Checkpoint, clause: str) -> Iterator[bytes]:
    return (msgspec.json.encode(_line(outcome)) for outcome in outcomes(checkpoint, clause))


def _line(outcome: Outcome) -> Any:
    """Put beside a failure what it is called and what to do about it."""
    if outcome.failure is None:
        return outcome
    line = msgspec.to_builtins(outcome)
    line["failure"] |= {"cause": cause_of(outcome.failure), "what_to_do": what_to_do(outcome.failure)}
    return line


def _outcome(checkpoint: Checkpoint, row: Sequence[Any]) -> Outcome:
    item_id, state, prediction_id, attempt, cost, predict_time, *instants, failure, job, own = row
    created_at, settled_at, saved_at = instants
    return Outcome(
        id=item_id,
        state=State(state).reported,
        prediction_id=prediction_id,
        files=checkpoint.files_of(item_id) if state == "saved" else (),
        attempts=attempt,
        cost_usd=cost,
        predict_time_s=predict_time,
        created_at=created_at,
        settled_at=settled_at,
        saved_at=saved_at,
        failure=None if failure is None else msgspec.json.decode(failure, type=Failure),
        input={**msgspec.json.decode(job), **msgspec.json.decode(own)},
    )
