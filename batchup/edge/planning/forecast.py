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
from batchup.core.forecast import (
    REHEARSED_COUNT,
    SHORT_COUNT,
    Forecast,
    Quantile,
    forecast,
    quantile_of,
)
from batchup.core.money import Cost, Seen, foresee
from batchup.core.space import expected_sizes
from batchup.edge.books import costs_seen
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.database.opening import copy_of
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.feeding.emptied import emptied
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents
from batchup.edge.images.outgrowing import defaults_of
from batchup.edge.lock import RunLock
from batchup.edge.manifest import Reject
from batchup.edge.models.account import known_card
from batchup.edge.models.fitting import Fitting
from batchup.edge.planning.plan import TO_BUY, Counted, Looking, Reading, count_manifest
from batchup.edge.planning.policies import policy_of
from batchup.edge.space import foresee_shortage, free_bytes, saved_sizes
from batchup.errors import DataProblem, Locked
from batchup.job import Job

FIRST_ROWS = 50  # that tell whether the manifest has files of this machine
_STRICT = "Nothing was created, as --strict asks; mend the row."
DRAWN_COUNT = 10_001  # of the simulator's durations


@dataclass(slots=True, kw_only=True)
class Outlook:
    """A manifest counted against the checkpoint, and what that will take of money, requests and disk.

    `rehearsed` is the run that is left, rehearsed in short; `forecast` the same at length, if asked for.
    """

    counted: Counted
    fitting: Fitting
    rehearsed: Forecast
    forecast: Forecast | None = None
    is_running: bool = False  # so that the checkpoint was not looked into
    seen: Seen = field(default_factory=Seen)  # what predictions have cost so far
    spent_usd: float = 0.0  # by the whole job
    shortage: str | None = None  # the disk is too small, in a sentence
    disk_needed: int | None = None  # bytes, for what is outstanding; None where nothing tells
    disk_free: int | None = None
    emptied: DataProblem | None = None  # earlier runs had items

    @property
    def card(self) -> ModelCard | None:
        """The model's description, as far as it is known."""
        return self.fitting.card

    @property
    def outstanding(self) -> int:
        """Items that are not at their end."""
        return self.counted.outstanding

    @property
    def to_buy(self) -> int:
        """Predictions that a run would create: of equal requests one is bought."""
        return self.counted.to_buy

    @property
    def shared(self) -> int:
        """Items that are given what an equal one gets, or has got."""
        return sum(self.counted.standings[name] for name in TO_BUY) - self.to_buy

    @property
    def price_usd(self) -> float | None:
        """What a prediction will probably cost: the mean of what has settled, else what is named."""
        named = None if self.card is None else self.card.price_usd
        return named if self.seen.mean_usd is None else self.seen.mean_usd

    @property
    def cost(self) -> Cost | None:
        """What the outstanding items will cost; None where no price is known."""
        named, low = (None, None) if self.card is None else (self.card.price_usd, self.card.low_usd)
        return foresee(self.to_buy, self.seen, named, low)


def look_over(
    job: Job, card: ModelCard | None, *, looking: Looking | None = None, is_at_length: bool = False
) -> Outlook:
    """Look through a job's manifest, and its checkpoint unless it is running. Blocking; sends nothing.

    `card` describes the model. `is_at_length` rehearses the run as well as can be, a few seconds long; it
    raises Locked while the job is running. ConfigProblem for an `[input]` that the model does not take.
    """
    looking = looking or Looking()
    fitting = Fitting(job, card)
    fitting.refuse_bad_job()
    try:
        with _checkpoint(job) as checkpoint:
            return _looked_over(job, checkpoint, fitting, looking, is_at_length=is_at_length)
    except Locked:
        if is_at_length:
            raise
        outlook = _looked_over(job, None, fitting, looking, is_at_length=False)
        outlook.is_running = True
        return outlook


def refuse_bad_rows(job: Job) -> None:
    """Raise DataProblem for the first row that would be rejected, by what is known of the model. Blocking.

    Pictures are decoded, and what is found is kept.
    """
    fitting = Fitting(job, known_card(job))
    fitting.refuse_bad_job()
    with closing(Contents(_contents_path(job, Looking()))) as contents:
        maker = ItemMaker(job, contents, defaults_of(fitting.card))
        looking = Looking(is_fetching=True)  # else the run might find a bad one when others are bought
        reading = Reading(job, None, maker, fitting, looking)
        with closing(reading):
            for one, standing in reading.items():
                if standing == "rejected" and isinstance(one, Reject):
                    raise DataProblem(one.message, remedy=_STRICT)


def _looked_over(
    job: Job, checkpoint: Checkpoint | None, fitting: Fitting, looking: Looking, *, is_at_length: bool
) -> Outlook:
    """Count the manifest against the checkpoint, and say what that needs of time, money and disk."""
    contents = Contents(_contents_path(job, looking))
    try:
        counted = count_manifest(job, checkpoint, contents, fitting, looking)
    finally:
        contents.close()
    remembered = [] if checkpoint is None else checkpoint.sightings()
    count = REHEARSED_COUNT if is_at_length else SHORT_COUNT
    rehearsed = rehearse(job, remembered, counted.to_buy, counted.uploads, count=count)
    outlook = Outlook(counted=counted, fitting=fitting, rehearsed=rehearsed)
    if is_at_length:
        outlook.forecast = rehearsed
    if checkpoint is not None:
        if counted.is_empty:
            outlook.emptied = emptied(checkpoint, job)
        outlook.seen, outlook.spent_usd = costs_seen(checkpoint), checkpoint.money()[0]
    mean_bytes = counted.local_bytes / counted.local_count if counted.local_count else None
    outlook.disk_free = free_bytes(job.output.dir)
    outlook.disk_needed = needed_bytes(job, checkpoint, counted.outstanding, mean_bytes)
    outlook.shortage = foresee_shortage(job, checkpoint, counted.outstanding, mean_bytes)
    return outlook


def needed_bytes(
    job: Job, checkpoint: Checkpoint | None, count: int, input_bytes: float | None
) -> int | None:
    """Return what so many items' outputs will take of the disk, by those saved or by the images sent."""
    sizes = None if checkpoint is None else saved_sizes(checkpoint)
    sizes = sizes or expected_sizes(input_bytes, dict(job.input))
    return None if sizes is None else round(count * sizes.mean)


def rehearse(
    job: Job,
    remembered: Sequence[Sequence[object]],
    buy_count: int,
    upload_count: int,
    *,
    count: int = SHORT_COUNT,
) -> Forecast:
    """Rehearse a run under the job's limits by the sightings that are remembered, `count` items of it."""
    quantile, learned_from = _quantile(job, remembered)
    rate = job.limits.rate
    return forecast(
        policy_of(job),
        quantile,
        item_count=buy_count,
        upload_count=upload_count,
        delete_count=upload_count if job.prepare.delete_uploads else 0,
        period_s=60.0 if rate is None else rate.period_s,
        remembered=remembered,
        learned_from=learned_from,
        list_lag_s=0.0 if job.simulator is not None and policy_of(job).may_survey else None,
        rehearsed_count=count,
    )


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
        claim(checkpoint, job)  # in the copy: what a run would refuse is refused here
        yield checkpoint


def _if_there(job: Job, name: str) -> Path | None:
    path = job.output.dir / name
    return path if path.exists() else None


def _contents_path(job: Job, looking: Looking) -> Path | None:
    """Return where is kept what the files hold: in the output folder, which is made where files are read."""
    folder = job.output.dir
    drafts = islice(first_of_each_id(job), FIRST_ROWS)
    if looking.is_decoding and any(isinstance(one, Draft) and one.has_images for one in drafts):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return None  # it is only a comfort
    return folder / CONTENTS if folder.is_dir() else None
