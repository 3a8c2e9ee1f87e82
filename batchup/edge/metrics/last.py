"""How the runs before this one have ended, as far as the history and the metrics file tell."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from batchup.core.history import PastRun
from batchup.core.notice import EndKind, kind_of
from batchup.core.summary import ENDED_WELL, Summary
from batchup.edge.history import read_history
from batchup.edge.metrics.exposition import Samples, Written, plain
from batchup.errors import BatchupError
from batchup.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """How a job last ran. Instants in Unix seconds, each None where nothing tells.

    `success_at` is when a run last ended well; the rest is of the last run. `exit_code` is
    None for one that was cut off.
    """

    success_at: float | None = None
    ended_at: float | None = None
    reason: str = ""
    exit_code: int | None = None
    needs_person: bool = False
    duration_s: float = 0.0
    worst_window: int = 0
    optimum_share: float | None = None

    @classmethod
    def of_history(cls, runs: Sequence[PastRun]) -> Self:
        """Return what the runs of a history tell, the oldest first; one that goes on does not count."""
        ended = [run for run in runs if run.has_end and run.ended_at is not None]
        well = [run.ended_at for run in ended if run.exit_code in ENDED_WELL]
        if not ended:
            return cls()
        return cls(
            success_at=well[-1] if well else None,
            ended_at=ended[-1].ended_at,
            reason=ended[-1].reason,
            exit_code=ended[-1].exit_code,
            needs_person=_needs_person(ended[-1]),
            duration_s=ended[-1].wall_s,
            worst_window=ended[-1].worst_window,
            optimum_share=ended[-1].optimum_share,
        )

    def after(self, summary: Summary, ended_at: float) -> "Last":
        """Return how the job last ran when one more run has ended."""
        return Last(
            success_at=ended_at if summary.exit_code in ENDED_WELL else self.success_at,
            ended_at=ended_at,
            reason=summary.reason,
            exit_code=summary.exit_code,
            needs_person=kind_of(summary) is EndKind.PERSON,
            duration_s=summary.wall_s,
            worst_window=summary.worst_window,
            optimum_share=summary.optimum_share,
        )

    def or_written(self, written: Written | None, job: str) -> "Last":
        """Return this, or where the history tells nothing of a success what a metrics file tells of one."""
        if self.success_at is not None or written is None or written.job != job:
            return self
        return replace(self, success_at=written.value("batchup_last_success_timestamp_seconds"))

    def samples(self) -> Samples:
        """Return it as samples; what is not known of the last run is not there, and not as it was either."""
        told: dict[str, float | None] = {"batchup_last_success_timestamp_seconds": self.success_at}
        if self.ended_at is not None:
            told |= {
                "batchup_last_run_end_timestamp_seconds": self.ended_at,
                "batchup_last_run_success": float(self.exit_code in ENDED_WELL),
                "batchup_last_run_exit_code": self.exit_code,
                "batchup_last_run_needs_person": float(self.needs_person),
                "batchup_last_run_duration_seconds": self.duration_s,
                "batchup_last_run_worst_window_requests": self.worst_window,
                "batchup_last_run_optimum_ratio": self.optimum_share,
            }
        samples = plain(told)
        if self.ended_at is not None:
            samples["batchup_last_run_info"] = {(self.reason,): 1.0}
        return samples


def last_of(job: Job) -> Last:
    """Return how a job last ran, by its history."""
    with suppress(OSError, BatchupError):
        return Last.of_history(read_history(job))
    return Last()


def _needs_person(run: PastRun) -> bool:
    """Tell the same of a run in the history; nobody has seen the exit code of one that was cut off."""
    if run.exit_code is None:
        return False
    summary = Summary(job="", run=run.run, reason=run.reason, exit_code=run.exit_code, held=run.held)
    return kind_of(summary) is EndKind.PERSON
