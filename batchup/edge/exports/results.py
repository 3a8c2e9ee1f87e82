"""`results.jsonl`: one line for each item that has been touched, brought up to date at the end of a run."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
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
from batchup.edge.saving.placing import place_of
from batchup.edge.traces import RESULTS

NAME: Final = RESULTS
_QUERY = f"""
SELECT i.id, i.state, i.prediction_id, i.attempt, i.cost_usd, i.predict_time_s,
       i.created_at, i.settled_at, i.saved_at, i.failure, d.input, i.input, o.id, {is_whole("i")}
FROM items i JOIN defaults d ON d.n = i.defaults LEFT JOIN items o ON o.n = i.original
"""  # noqa: S608 names are ours


_CHANGED: Final = "i.reported <> 1 AND i.reported = 2"
_NEW: Final = "i.reported <> 1 AND i.reported = 0"  # the first half of both has the index used


class _Unlike(Exception):
    """A line is not that of the item that it should be of."""


class _Id(msgspec.Struct):
    id: str


async def bring_up_to_date(checkpoint: Checkpoint, folder: Path) -> None:
    """Append what is new; where something older changed write the file anew, the other lines as they are.

    A file that is not as the last run left it is made of the checkpoint alone.

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
    changed = db.execute(f"SELECT n FROM items i WHERE {_CHANGED} ORDER BY n")  # noqa: S608 a name of ours
    numbers = array("q", (row[0] for row in changed))
    if expected is None or expected[0] != size:
        write_lines(path, _lines(checkpoint, "ORDER BY i.n"))
    elif not numbers:
        append_lines(path, _lines(checkpoint, f"WHERE {_NEW} ORDER BY i.n"))
    else:
        try:
            write_lines(path, _mended(checkpoint, path, numbers))
        except _Unlike:
            write_lines(path, _lines(checkpoint, "ORDER BY i.n"))
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE items SET reported = 1 WHERE reported <> 1")
    db.execute("INSERT OR REPLACE INTO facts VALUES ('results_bytes', ?)", (path.stat().st_size,))
    db.execute("COMMIT")


def _mended(checkpoint: Checkpoint, path: Path, numbers: Sequence[int]) -> Iterator[bytes]:
    """Yield the lines of the file with those of some items made anew, then the new ones.

    An item's number is that of its line, as both count from 1 in the order in which items were first touched.
    """
    changed = _lines(checkpoint, f"WHERE {_CHANGED} ORDER BY i.n")
    with path.open("rb") as old:
        last = 0
        for number, line in zip(numbers, changed, strict=True):
            yield from (raw[:-1] for raw in islice(old, number - last - 1))
            if _id_of(next(old, b"")) != _id_of(line):
                raise _Unlike
            yield line
            last = number
        yield from (raw[:-1] for raw in old)
    yield from _lines(checkpoint, f"WHERE {_NEW} ORDER BY i.n")


def _id_of(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=_Id).id
    except msgspec.DecodeError:
        return None


def outcomes(checkpoint: Checkpoint, clause: str = "ORDER BY i.n") -> Iterator[Outcome]:
    """Yield where each touched item stands, in the order in which they were first touched."""
    for *row, is_as_written in checkpoint.db.execute(_QUERY + clause):
        checkpoint.trust(row[0], is_as_written)
        yield _outcome(checkpoint, row)


def _lines(checkpoint: Checkpoint, clause: str) -> Iterator[bytes]:
    place = place_of(checkpoint)
    return (msgspec.json.encode(_line(outcome, place)) for outcome in outcomes(checkpoint, clause))


def _line(outcome: Outcome, place: str | None) -> Any:
    """Put beside a failure what it is called and what to do, and beside a file its address in a bucket."""
    if outcome.failure is None and (place is None or not outcome.files):
        return outcome
    line = msgspec.to_builtins(outcome)
    if outcome.failure is not None:
        line["failure"] |= {"cause": cause_of(outcome.failure), "what_to_do": what_to_do(outcome.failure)}
    if place is not None:
        for file in line["files"]:
            file["address"] = f"{place}/{file['path']}"
    return line


def _outcome(checkpoint: Checkpoint, row: Sequence[Any]) -> Outcome:
    item_id, state, prediction_id, attempt, cost, predict_time, *instants, failure, job, own, original = row
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
        input={**msgspec.json.decode(job), **msgspec.json.decode(checkpoint.prefixes.whole(own))},
        shared_with=original,
    )
