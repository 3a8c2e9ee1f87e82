"""A checkpoint that is older than what lies beside it: what was bought since must not be bought again.

A copy that was put back knows nothing of it, and is sound in itself; the results and the log know. Both are
read only where they are not as the last run left them, so a run after a clean end is not held up.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from batchup.core.decisions import CLAIMABLE, DOUBTFUL
from batchup.core.values import SAFE_ID
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.database.schema import is_prediction
from batchup.edge.feeding.items import Draft
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.files import disk_problems
from batchup.edge.telling.rotating import Position, end_of, lines_after
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.traces import RESULTS
from batchup.errors import DataProblem
from batchup.job import Job

LOG_TAIL: Final = 64_000_000  # bytes of the log that are read
_CHUNK: Final = 5000
_TOLD: Final = 3
_BOUGHT: Final = (b'"event":"created"', b'"event":"found"')
_LOG_PART: Final = "log_part"  # among the facts: the number of the part that was written to
_LOG_BYTES: Final = "log_bytes"  # and its size
_MISSING: Final = "missing"  # among the facts, as the files that named them may be written anew
_UNKNOWN: Final = (  # of a hundred thousand in a tenth of a second
    "SELECT j.value FROM json_each(?) j"  # noqa: S608 names are ours
    f" WHERE NOT EXISTS (SELECT 1 FROM items i WHERE {is_prediction('i', 'packed(j.value)')})"
    " AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.prediction_id = j.value)"
)
_CAN_BE_CLAIMED: Final = frozenset((*CLAIMABLE, *DOUBTFUL))


class _Line(msgspec.Struct):
    """What is wanted of a line of either file."""

    prediction_id: str | None = None
    id: str | None = None  # the item's in the results
    item: str | None = None  # the same in the log


_DECODER: Final = msgspec.json.Decoder(_Line)


def note_end(checkpoint: Checkpoint, folder: Path) -> None:
    """Note how the run leaves its log, once nothing more is said in it."""
    with checkpoint.problems():
        end = end_of(folder / LOG)
        row = (_LOG_PART, end.part, _LOG_BYTES, end.size)
        checkpoint.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?), (?, ?)", row)


def note_missing(checkpoint: Checkpoint, folder: Path) -> dict[str, str]:
    """Return the predictions that are known beside a checkpoint and not in it, each with its item.

    They are kept in it until it knows them: a decision about one has the results written anew.
    """
    with checkpoint.problems():
        facts = dict(checkpoint.db.execute("SELECT name, value FROM facts"))
    kept = _decoded(facts.get(_MISSING))
    named: Iterator[tuple[str, str]] = iter(kept.items())
    if facts.get("results_bytes", 0) != _size(folder / RESULTS):
        named = chain(named, _in_results(folder / RESULTS))
    noted = _noted(facts)
    if noted != end_of(folder / LOG):
        named = chain(named, _in_log(folder / LOG, noted))
    found: dict[str, str] = {}
    while chunk := dict(islice(named, _CHUNK)):
        with checkpoint.problems():
            ids = msgspec.json.encode(list(chunk)).decode()
            found |= {id_: chunk[id_] for (id_,) in checkpoint.db.execute(_UNKNOWN, (ids,))}
    if found != kept:
        with checkpoint.problems():
            row = (_MISSING, msgspec.json.encode(found).decode())
            checkpoint.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)
    return found


def refuse_if_older(checkpoint: Checkpoint, job: Job) -> None:
    """Raise DataProblem where a run would buy what was bought after this checkpoint was copied. Blocking."""
    missing = note_missing(checkpoint, job.output.dir)
    if missing:
        missing = _at_stake(checkpoint, job, missing)
    if not missing:
        return
    count = "1 prediction" if len(missing) == 1 else f"{len(missing)} predictions"
    told = ", ".join(f"{id_} of {item_id}" for id_, item_id in islice(missing.items(), _TOLD))
    more = ", ..." if len(missing) > _TOLD else ""
    raise DataProblem(
        f"{job.output.dir / CHECKPOINT} is older than what lies beside it:"
        f" {count} ({told}{more}) {'is' if len(missing) == 1 else 'are'} not in it.",
        remedy=f"Put the newer one back ({CHECKPOINT} and {CHECKPOINT}-wal belong together), or claim them:"
        f" `batchup audit {job.path or job.name}` says how.",
    )


def _at_stake(checkpoint: Checkpoint, job: Job, missing: Mapping[str, str]) -> dict[str, str]:
    """Leave out what no run would buy: another prediction is in the item's place, or no row is of it now."""
    known = checkpoint.remembered(list(set(missing.values())))
    unknown = set(missing.values()) - known.keys()
    if unknown:
        unknown &= {draft.id for draft in first_of_each_id(job) if isinstance(draft, Draft)}
    wanted = unknown | {id_ for id_, one in known.items() if one.state in _CAN_BE_CLAIMED}
    return {id_: item_id for id_, item_id in missing.items() if item_id in wanted}


def _in_results(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_file():
        with disk_problems(path), path.open("rb") as lines:
            yield from _read(lines)


def _noted(facts: Mapping[str, object]) -> Position:
    """Return how the last run left its log; one before logs had parts left the first."""
    part, size = facts.get(_LOG_PART, 1), facts.get(_LOG_BYTES, 0)
    return Position(part, size) if isinstance(part, int) and isinstance(size, int) else Position(1, 0)


def _in_log(log: Path, noted: Position) -> Iterator[tuple[str, str]]:
    """Yield what a log says was bought after that place was noted of it, or its end if it is another."""
    with disk_problems(log):
        lines = lines_after(log, noted, LOG_TAIL)
        yield from _read(line for line in lines if any(word in line for word in _BOUGHT))


def _read(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Yield prediction and item of each line that names both; a torn or masked one names none."""
    for line in lines:
        try:
            found = _DECODER.decode(line)
        except msgspec.DecodeError:
            continue
        item_id = found.item if found.id is None else found.id
        if found.prediction_id is not None and item_id is not None and SAFE_ID.fullmatch(found.prediction_id):
            yield found.prediction_id, item_id


def _decoded(text: object) -> dict[str, str]:
    """Read what was kept; a garbled value is taken for none, the files are there as well."""
    try:
        return msgspec.json.decode(str(text or "{}"), type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
