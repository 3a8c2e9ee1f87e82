"""The history of a job: what is kept of each run, and what is told of one that could not tell it itself.

A run is put down when it begins, with what the job had by then, and again when it ends. One that was killed
is told by whoever comes next: from the last picture that was taken of it, and once the next run has begun
from what the job had at both beginnings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from batchup.core.picture import Snapshot
from batchup.core.summary import OWN_ENDS, Summary
from batchup.errors import BatchupError, InternalProblem

RUNNING: Final = "running"
"""The reason of a run that has not ended."""

CUT_OFF: Final = "cut_off"
"""The reason of a run that nobody has seen the end of: it was killed, or the machine went down."""

HUNG: Final = (InternalProblem.reason, InternalProblem.exit_code)
"""The reason and the exit code of a run that hung."""

MOST_CAUSES: Final = 20  # that are told apart
OTHERS: Final = "other causes"
UNTOLD: Final = "not told: the run was cut off"
_JOB: Final = (
    *("items", "saved", "failed", "held", "in_doubt", "outstanding", "rejected"),
    *("manifest_complete", "job_spend_usd"),
)
"""What is counted of the job and not of the run: a run that never came to count it has left it as it was."""

_RUN: Final = ("creates", "polls", "requests", "throttled", "worst_window", "spend_usd", "optimum_share")


@dataclass(frozen=True, slots=True)
class Had:
    """What a job had saved and cost at an instant, and how much of it had failed, by its checkpoint."""

    saved: int
    spend_usd: float
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run. Instants in Unix seconds, `wall_s` in real seconds, rates in the service's time, money in USD.

    `items` to `manifest_complete` and `job_spend_usd` are the job's as the run has left it, all else is the
    run's own. `reason` and `exit_code` are its summary's, or `RUNNING` and `CUT_OFF` with None: then the
    figures are as of the last picture of it, and `ended_at` is when that was taken. `rate_count` is how many
    requests were allowed in `rate_period_s`, None for any number; `failures` counts by cause what failed or
    is held in this run, or is paid and was not fetched; `per_minute` is None where nobody knows how long it
    took; `optimum_share` is the summary's. `began_with` is what the job had when the run began to work, None
    of one that never did.
    """

    run: str
    began_at: float
    ended_at: float | None = None
    reason: str = RUNNING
    exit_code: int | None = None
    items: int = 0
    saved: int = 0
    failed: int = 0
    held: int = 0
    in_doubt: int = 0
    outstanding: int = 0
    rejected: int = 0
    manifest_complete: bool = False
    saved_here: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    creates: int = 0
    polls: int = 0
    requests: int = 0
    throttled: int = 0
    worst_window: int = 0
    rate_count: int | None = None
    rate_period_s: float = 60.0
    spend_usd: float = 0.0
    job_spend_usd: float = 0.0
    wall_s: float = 0.0
    per_minute: float | None = 0.0
    optimum_share: float | None = None
    began_with: Had | None = None

    @property
    def has_end(self) -> bool:
        """Whether it has ended, by itself or otherwise."""
        return self.reason != RUNNING


def ended(
    run: PastRun,
    summary: Summary,
    *,
    ended_at: float,
    before: PastRun | None = None,
    speed: float = 1.0,
    failures: Mapping[str, int] | None = None,
) -> PastRun:
    """Return a run with its end. `before` is the run that came before it.

    `speed` is how much faster than real time the service's is; `failures` counts those of this run by cause.
    """
    came_to_count = bool(summary.items or summary.manifest_complete or summary.requests)
    told = {name: getattr(summary, name) for name in (*_JOB, *_RUN)} if came_to_count else _as_it_was(before)
    saved_here = summary.saved - summary.skipped
    length_s = summary.wall_s * speed
    return replace(
        run,
        **told,
        ended_at=ended_at,
        reason=summary.reason,
        exit_code=summary.exit_code,
        saved_here=saved_here,
        failures=_largest(failures or {}),
        wall_s=round(summary.wall_s, 3),
        per_minute=round(60 * saved_here / length_s, 3) if length_s > 0 else 0.0,
    )


def has_new_failures(run: PastRun, earlier: Sequence[PastRun]) -> bool:
    """Tell whether items failed in a run, or more are rejected than any run since has told of.

    `earlier` are the runs before it, the oldest first. Those that never worked tell nothing. Where the last
    one that did was cut off, nobody was told what failed in it, and all that has failed counts as new.
    """
    worked = [past for past in earlier if past.began_with is not None]
    if not worked or run.failures:
        return True
    is_untold = worked[-1].exit_code is None and run.failed > 0
    return is_untold or run.rejected > _rejected_known(worked)


def _rejected_known(worked: Sequence[PastRun]) -> int:
    """Return how many rejected rows somebody was told of.

    A run that did not read the manifest to its end has counted a part of them: it takes nothing back.
    """
    known = 0
    for past in reversed(worked):
        if past.exit_code is None:
            continue  # it has told nobody
        known = max(known, past.rejected)
        if past.manifest_complete:
            break
    return known


def pictured(
    run: PastRun, now: Snapshot | None, *, taken_at: float, before: PastRun | None = None
) -> PastRun:
    """Return a run as it stands by a picture taken of it at `taken_at`; as the job was, where there is none.

    `before` is the run that came before it. What is rejected, and the requests, no picture tells in full.
    """
    if now is None:
        return replace(run, **_as_it_was(before))
    saved_here = now.saved - now.skipped
    saved = max(
        now.saved, saved_here + (0 if before is None else before.saved)
    )  # it may not have met them yet
    at_its_end = saved + now.failed + now.held + now.in_doubt + now.rejected
    failed_here = now.failed - (0 if before is None else before.failed)
    items = max(at_its_end + now.in_flight + now.saving, now.total or 0)
    return replace(
        run,
        items=items,
        saved=saved,
        failed=now.failed,
        held=now.held,
        in_doubt=now.in_doubt,
        outstanding=items - at_its_end,
        rejected=now.rejected,
        saved_here=saved_here,
        failures={UNTOLD: failed_here} if failed_here > 0 else {},
        spend_usd=now.spend_usd,
        job_spend_usd=now.job_spend_usd,
        wall_s=max(0.0, round(taken_at - run.began_at, 3)),
        per_minute=round(60 * saved_here / now.elapsed_s, 3) if now.elapsed_s > 0 else 0.0,
    )


def cut_off(run: PastRun, at: float) -> PastRun:
    """Return a run that is no more, and was last heard of at `at`."""
    return replace(run, reason=CUT_OFF, ended_at=at)


def corrected(earlier: Sequence[PastRun], had: Had) -> dict[str, PastRun]:
    """Return those of the earlier runs, by their ids, that are known better once another begins to work.

    That is what the last one that worked has spent and saved and what failed in it after the last picture of
    it, where it did not come to sum itself up: it was killed, or hung. `had` is what the job has when the
    other one begins.
    """
    for k, past in reversed(list(enumerate(earlier))):
        if past.began_with is None:
            continue  # it never worked
        if past.requests or past.exit_code in OWN_ENDS:
            break  # it summed itself up: something else has changed the books since
        own = _own(past, past.began_with, had)
        saved, failed = own.saved_here - past.saved_here, max(0, had.failed - past.failed)
        return {one.run: _with_more(one, saved, failed, had.spend_usd) for one in (own, *earlier[k + 1 :])}
    return {}


def _own(run: PastRun, began_with: Had, had: Had) -> PastRun:
    """Return a run with what came between its beginning and the next one's: its pace nobody knows then."""
    saved_here = max(run.saved_here, had.saved - began_with.saved)
    spend_usd = max(run.spend_usd, had.spend_usd - began_with.spend_usd)
    untold = had.failed - began_with.failed - sum(run.failures.values())
    failures = {**run.failures, UNTOLD: run.failures.get(UNTOLD, 0) + untold} if untold > 0 else run.failures
    return replace(
        run,
        saved_here=saved_here,
        failures=failures,
        spend_usd=round(spend_usd, 6),
        per_minute=run.per_minute if saved_here == run.saved_here else None,
    )


def _with_more(run: PastRun, saved: int, failed: int, job_spend_usd: float) -> PastRun:
    """Return a run after which so many more were saved and had failed in the job, and it cost so much."""
    ended_count = run.items - run.outstanding + saved + failed
    return replace(
        run,
        items=max(run.items, ended_count),
        saved=run.saved + saved,
        failed=run.failed + failed,
        outstanding=max(0, run.outstanding - saved - failed),
        job_spend_usd=max(run.job_spend_usd, job_spend_usd),
    )


def hung(run: PastRun, job: str, at: float) -> tuple[PastRun, Summary]:
    """Return a run that hangs and is ended at `at`, and the summary that it could not make itself."""
    reason, code = HUNG
    told = {name: getattr(run, name) for name in (*_JOB, *_RUN)}
    skipped = run.saved - run.saved_here
    summary = Summary(
        job=job, run=run.run, reason=reason, exit_code=code, skipped=skipped, wall_s=run.wall_s, **told
    )
    return replace(run, reason=reason, exit_code=code, ended_at=at), summary


def unsummed(problem: Exception, job: str, run: str, wall_s: float) -> Summary:
    """Return the summary of a run that a problem ended before it came to count anything."""
    kind = problem if isinstance(problem, BatchupError) else InternalProblem
    return Summary(job=job, run=run, reason=kind.reason, exit_code=kind.exit_code, wall_s=wall_s)


def stopped(job: str, run: str, exit_code: int, wall_s: float, before: PastRun | None) -> Summary:
    """Return the summary of a run that was stopped before it came to count anything.

    The job is as `before` has left it, the run before it; of the manifest nothing was read.
    """
    known = {**_as_it_was(before), "manifest_complete": False}
    summary = Summary(
        job=job, run=run, reason="signal", exit_code=exit_code, wall_s=round(wall_s, 3), **known
    )
    return replace(summary, skipped=summary.saved)


def _as_it_was(before: PastRun | None) -> dict[str, Any]:
    return {} if before is None else {name: getattr(before, name) for name in _JOB}


def _largest(failures: Mapping[str, int]) -> dict[str, int]:
    """Return the largest groups, all others as one."""
    ranked = sorted(failures.items(), key=lambda one: (-one[1], one[0]))
    if len(ranked) <= MOST_CAUSES:
        return dict(ranked)
    rest = sum(count for _, count in ranked[MOST_CAUSES - 1 :])
    return {**dict(ranked[: MOST_CAUSES - 1]), OTHERS: rest}
