"""What a forecast has to know: what is outstanding, what was learned, what a prediction costs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

from batchup.core.account import ModelCard
from batchup.core.calendar import Calendar
from batchup.core.forecast import Forecast, Quantile, forecast, quantile_of
from batchup.core.money import Cost, Seen, foresee
from batchup.core.resume import Plan, Remembered, decide
from batchup.edge.books import costs_seen
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.opening import copy_of
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.feeding.feeder import UPLOAD_SPARE_S, first_of_each_id, has_changed
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents, mark_of
from batchup.edge.lock import RunLock
from batchup.edge.manifest import Reject
from batchup.edge.models.account import known_card
from batchup.edge.planning.policies import policy_of
from batchup.edge.space import foresee_shortage
from batchup.errors import Locked
from batchup.job import Job

CHUNK_ROWS = 500
DRAWN_COUNT = 10_001  # of the simulator's durations


@dataclass(slots=True)
class Outlook:
    """A manifest counted against the checkpoint, and the forecast for what is outstanding in it."""

    rejects: list[Reject] = field(default_factory=list)
    duplicates: int = 0
    items: int = 0
    outstanding: int = 0
    uploads: int = 0  # contents that are not at the service
    forecast: Forecast | None = None
    is_running: bool = False  # so that the checkpoint was not looked into
    seen: Seen = field(default_factory=Seen)  # what predictions have cost so far
    spent_usd: float = 0.0  # by the whole job
    card: ModelCard | None = None  # of the model, as far as it is known without asking
    shortage: str | None = None  # the disk is too small, in a sentence
    local_bytes: int = 0  # of the local images of outstanding items
    local_count: int = 0  # outstanding items that have some

    @property
    def price_usd(self) -> float | None:
        """What a prediction will probably cost: the mean of what has settled, else what is named."""
        named = None if self.card is None else self.card.price_usd
        return named if self.seen.mean_usd is None else self.seen.mean_usd

    @property
    def cost(self) -> Cost | None:
        """What the outstanding items will cost; None where no price is known."""
        named, low = (None, None) if self.card is None else (self.card.price_usd, self.card.low_usd)
        return foresee(self.outstanding, self.seen, named, low)


def count(job: Job) -> Outlook:
    """Read a job's manifest, and its checkpoint unless it is running. Blocking; sends nothing."""
    try:
        with _checkpoint(job) as checkpoint:
            return _counted(job, checkpoint)
    except Locked:
        outlook = _counted(job, None)
        outlook.is_running = True
        return outlook


def look_ahead(job: Job) -> Outlook:
    """Read a job's manifest and checkpoint, and rehearse what is outstanding. Blocking; sends nothing.

    Raises Locked while the job is running.
    """
    with _checkpoint(job) as checkpoint:
        outlook = _counted(job, checkpoint)
        remembered = [] if checkpoint is None else checkpoint.sightings()
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


def _counted(job: Job, checkpoint: Checkpoint | None) -> Outlook:
    """Count the manifest against the checkpoint, and say what that needs of money and of the disk."""
    outlook = Outlook(card=known_card(job))
    contents = Contents(None if checkpoint is None else _if_there(job, CONTENTS))
    try:
        _count(job, checkpoint, contents, outlook)
    finally:
        contents.close()
    if checkpoint is not None:
        outlook.seen, outlook.spent_usd = costs_seen(checkpoint), checkpoint.money()[0]
    mean_bytes = outlook.local_bytes / outlook.local_count if outlook.local_count else None
    outlook.shortage = foresee_shortage(job, checkpoint, outlook.outstanding, mean_bytes)
    return outlook


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
    """Give a copy of the checkpoint, if there is one, made under the lock that a run would take.

    Of the copy, as a long manifest takes its time, and a run that starts meanwhile is not to be refused.
    """
    path = _if_there(job, CHECKPOINT)
    if path is None:
        yield None
        return
    with RunLock(job.output.dir, "check"):
        checkpoint = Checkpoint(path, Calendar(time.time()), job.input)
        with closing(checkpoint.db), checkpoint.problems():
            checkpoint.db = copy_of(checkpoint.db)
    with checkpoint:
        yield checkpoint


def _if_there(job: Job, name: str) -> Path | None:
    path = job.output.dir / name
    return path if path.exists() else None


def _count(job: Job, checkpoint: Checkpoint | None, contents: Contents, outlook: Outlook) -> None:
    """Count the manifest's items, those outstanding, and the contents that they still need uploaded."""
    wanted: set[str | bytes] = set()
    maker = ItemMaker(job, contents)
    drafts = first_of_each_id(job, maker)
    while chunk := list(islice(drafts, CHUNK_ROWS)):
        good = [draft for draft in chunk if isinstance(draft, Draft)]
        known = {} if checkpoint is None else checkpoint.remembered([draft.id for draft in good])
        for draft in chunk:
            if isinstance(draft, Reject):
                outlook.duplicates += draft.kind == "duplicate"
                if draft.kind != "duplicate":
                    outlook.rejects.append(draft)
                continue
            is_wanted = _is_outstanding(job, maker, draft, known.get(draft.id))
            if isinstance(is_wanted, Reject):
                outlook.rejects.append(is_wanted)
                continue
            outlook.items += 1
            if is_wanted:
                outlook.outstanding += 1
                wanted |= _contents_of(draft, contents, outlook)
    there = set()
    if checkpoint is not None:
        digests = [digest.hex() for digest in wanted if isinstance(digest, bytes)]
        there = set(checkpoint.uploads(digests, time.time() + UPLOAD_SPARE_S))
    outlook.uploads = sum(1 for name in wanted if not (isinstance(name, bytes) and name.hex() in there))


def _is_outstanding(job: Job, maker: ItemMaker, draft: Draft, known: Remembered | None) -> bool | Reject:
    """Decide about an item as a run would; only of one that was met before the files are looked into."""
    if known is None:
        return True
    item = maker.finish(draft)
    if isinstance(item, Reject):
        return item
    decision = decide(item, known, on_change=job.run.on_change, max_attempts=job.limits.max_attempts)
    if decision.plan is Plan.REJECT:
        return has_changed(item)
    return decision.plan is Plan.JOIN or (decision.plan is Plan.WORK and decision.attempts_left != 0)


def _contents_of(draft: Draft, contents: Contents, outlook: Outlook) -> set[str | bytes]:
    """Name the contents of an item's files: by their hash, where it is known, else by their path."""
    found: set[str | bytes] = set()
    outlook.local_count += bool(draft.paths)
    for path in draft.paths.values():
        stat = path.stat()
        outlook.local_bytes += stat.st_size
        found.add(contents.get(str(path), mark_of(stat)) or str(path))
    return found
