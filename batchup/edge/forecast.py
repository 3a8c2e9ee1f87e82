"""What a forecast has to know: what is outstanding, what was learned, what a prediction costs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

from batchup.core.calendar import Calendar
from batchup.core.forecast import Forecast, Quantile, forecast, quantile_of
from batchup.core.resume import Remembered
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.contents import NAME as CONTENTS
from batchup.edge.contents import Contents, mark_of
from batchup.edge.feeder import UPLOAD_SPARE_S, first_of_each_id
from batchup.edge.items import Draft
from batchup.edge.lock import RunLock
from batchup.edge.manifest import Reject
from batchup.edge.policies import policy_of
from batchup.edge.schema import NAME as CHECKPOINT
from batchup.job import Job

CHUNK_ROWS = 500
DRAWN_COUNT = 10_001  # of the simulator's durations
_AT_REST = (State.SAVED, State.HELD)


@dataclass(slots=True)
class Outlook:
    """A manifest counted against the checkpoint, and the forecast for what is outstanding in it."""

    rejects: list[Reject] = field(default_factory=list)
    duplicates: int = 0
    items: int = 0
    outstanding: int = 0
    uploads: int = 0  # contents that are not at the service
    forecast: Forecast | None = None
    price_usd: float | None = None  # the mean of what has settled
    priced_from: int = 0  # predictions


def count(job: Job) -> Outlook:
    """Read a job's manifest alone. Blocking; sends nothing and opens nothing of an earlier run."""
    outlook, contents = Outlook(), Contents(None)
    _count(job, None, contents, outlook)
    return outlook


def look_ahead(job: Job) -> Outlook:
    """Read a job's manifest and checkpoint, and rehearse what is outstanding. Blocking; sends nothing.

    Raises Locked while the job is running.
    """
    with _checkpoint(job) as checkpoint:
        outlook, contents = Outlook(), Contents(_if_there(job, CONTENTS))
        try:
            _count(job, checkpoint, contents, outlook)
        finally:
            contents.close()
        remembered = [] if checkpoint is None else checkpoint.sightings()
        outlook.price_usd, outlook.priced_from = (None, 0) if checkpoint is None else checkpoint.price()
    if outlook.price_usd is None:
        outlook.price_usd = _price(job)
    quantile, learned_from = _quantile(job, remembered)
    rate = job.limits.rate
    outlook.forecast = forecast(
        policy_of(job),
        quantile,
        item_count=outlook.outstanding,
        upload_count=outlook.uploads,
        period_s=60.0 if rate is None else rate.period_s,
        remembered=remembered,
        learned_from=learned_from,
        list_lag_s=0.0 if job.simulator is not None and job.polling.list == "auto" else None,
    )
    return outlook


def _price(job: Job) -> float | None:
    """Return what a prediction costs before any has settled: only the simulator tells beforehand."""
    if job.simulator is None:
        return None
    from batchup.simulator.models import catalogue  # noqa: PLC0415 - a real job never loads the simulator

    model = catalogue().get(job.model)
    return None if model is None else float(model.cost["amount"])


def _quantile(job: Job, remembered: Sequence[Sequence[object]]) -> tuple[Quantile, int]:
    """Return how long predictions take: as the simulator draws them, or as it was learned."""
    quantile, learned_from = quantile_of(remembered, job.polling.expected_s)
    if job.simulator is None:
        return quantile, learned_from
    from batchup.simulator.durations import Durations  # noqa: PLC0415 - a real job never loads the simulator

    durations, rng = Durations.parse(job.simulator.durations), Random(1)  # noqa: S311 - repeatable
    drawn = sorted(durations.draw(rng) for _ in range(DRAWN_COUNT))
    return (lambda share: drawn[int(share * DRAWN_COUNT)]), learned_from


@contextmanager
def _checkpoint(job: Job) -> Iterator[Checkpoint | None]:
    """Open the checkpoint, if there is one, under the lock that a run would take."""
    path = _if_there(job, CHECKPOINT)
    if path is None:
        yield None
        return
    with RunLock(job.output.dir, "check"), Checkpoint(path, Calendar(time.time()), job.input) as checkpoint:
        yield checkpoint


def _if_there(job: Job, name: str) -> Path | None:
    path = job.output.dir / name
    return path if path.exists() else None


def _count(job: Job, checkpoint: Checkpoint | None, contents: Contents, outlook: Outlook) -> None:
    """Count the manifest's items, those outstanding, and the contents that they still need uploaded."""
    wanted: set[str | bytes] = set()
    drafts = first_of_each_id(job)
    while chunk := list(islice(drafts, CHUNK_ROWS)):
        good = [draft for draft in chunk if isinstance(draft, Draft)]
        known = {} if checkpoint is None else checkpoint.remembered([draft.id for draft in good])
        for draft in chunk:
            if isinstance(draft, Reject):
                outlook.duplicates += draft.kind == "duplicate"
                if draft.kind != "duplicate":
                    outlook.rejects.append(draft)
                continue
            outlook.items += 1
            if _is_outstanding(known.get(draft.id)):
                outlook.outstanding += 1
                wanted |= _contents_of(draft, contents)
    there = set()
    if checkpoint is not None:
        digests = [digest.hex() for digest in wanted if isinstance(digest, bytes)]
        there = set(checkpoint.uploads(digests, time.time() + UPLOAD_SPARE_S))
    outlook.uploads = sum(1 for name in wanted if not (isinstance(name, bytes) and name.hex() in there))


def _is_outstanding(known: Remembered | None) -> bool:
    if known is None:
        return True
    if known.state is State.FAILED:
        return known.failure is not None and known.failure.retryable
    return known.state not in _AT_REST


def _contents_of(draft: Draft, contents: Contents) -> set[str | bytes]:
    """Name the contents of an item's files: by their hash, where it is known, else by their path."""
    found: set[str | bytes] = set()
    for path in draft.paths.values():
        found.add(contents.get(str(path), mark_of(path.stat())) or str(path))
    return found
