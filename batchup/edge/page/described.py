"""A job and its last run as the report's document: words, figures and plots, all but the items."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path

import msgspec

from batchup import __version__
from batchup.core.advice import next_command
from batchup.core.redaction import plain_address
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.page.gather import Gathered, causes_of, totals_of
from batchup.edge.page.run_ends import last_busy
from batchup.edge.telling.run_lines import lines_of
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.telling.status import Status
from batchup.errors import DataProblem
from batchup.job import Job
from batchup.report.document import Document, Mode, Plots, Row, Run
from batchup.report.pace import Pace
from batchup.report.records import read_run_log
from batchup.report.rows import shown
from batchup.report.series import plots_of


class _Head(msgspec.Struct):
    ts: datetime
    began_at: datetime | None = None  # of a run whose beginning is in an earlier part of the log


def describe(
    job: Job,
    gathered: Gathered,
    status: Status | None,
    *,
    mode: Mode,
    items: Sequence[Row],
    command: str,
    archive: str | None = None,
) -> Document:
    """Return a job's document with these items; `command` is its job file as one types it.

    `archive` is the address of an archive to download.
    """
    busy = last_busy(job.output.dir, status)
    pace, began_at = pace_of(job, busy)
    is_newest = busy is None or status is None or busy.run == status.run
    return Document(
        job=_text(job.name),
        model=job.model,
        made_at=round(time.time(), 1),
        mode=mode,
        program=f"batchup {__version__}",
        parameters=shown({name: job.input[name] for name in job.input if name not in MEDIA_PARAMETERS}, {}),
        settings=settings_of(job),
        run=replace(run_of(busy, began_at), is_newest=is_newest),
        totals=totals_of(gathered, status),
        causes=causes_of(gathered, status),
        next_command=next_of(status, command),
        plots=plots(gathered, pace, began_at),
        items=items,
        more_count=gathered.more_count,
        zip=archive,
    )


def run_of(status: Status | None, began_at: float | None) -> Run:
    """Return what is known of the last run.

    It is taken for one that was cut off where it has not ended: whether it goes on is left to whoever can
    tell.
    """
    if status is None:
        return Run(id="", began_at=began_at)
    summary = status.summary
    if summary is None:
        return Run(id=status.run, began_at=began_at, spend_usd=status.now.spend_usd, is_cut_off=True)
    return Run(
        id=status.run,
        reason=summary.reason,
        exit_code=summary.exit_code,
        began_at=began_at,
        wall_s=summary.wall_s,
        requests=summary.requests,
        creates=summary.creates,
        polls=summary.polls,
        throttled=summary.throttled,
        worst_window=summary.worst_window,
        spend_usd=summary.spend_usd,
    )


def next_of(status: Status | None, command: str) -> str | None:
    """Return the command to type next, with the job file as it is typed."""
    if status is None or status.summary is None:
        return f"batchup run {command}"
    return next_command(status.summary, command, has_report=True)


def settings_of(job: Job) -> dict[str, str]:
    """Return how the job is run, in words beside their label; no key and no folder of this machine."""
    limits, rate = job.limits, job.limits.rate
    service = (
        job.service.url if job.simulator is None else f"simulated, {job.simulator.speed:g} times as fast"
    )
    most = "no limit" if rate is None else f"{rate.count} in any {rate.period_s:g} s"
    return {
        "Manifest": _text(_without_folders(plain_address(job.manifest))),
        "Output folder": _text(job.output.dir.name),
        "Service": plain_address(service),
        "Predictions in flight": f"{limits.concurrency} at most",
        "Requests": most,
        "Tries of an item": f"{limits.max_attempts} a run",
        "Spending": "no limit" if limits.max_spend is None else f"${limits.max_spend:.2f} for the whole job",
    }


def plots(gathered: Gathered, pace: Pace | None, began_at: float | None) -> Plots:
    """Return the plots of the run that began at that Unix instant."""
    saved_at = [] if began_at is None else [(at - began_at) * gathered.speed for at in gathered.saved_at]
    return plots_of(pace, saved_at, gathered.lengths_s)


def pace_of(job: Job, status: Status | None) -> tuple[Pace | None, float | None]:
    """Return the pace of the last run by its log, and when it began in Unix seconds; None where mute."""
    path = job.output.dir / LOG
    run_id = None if status is None else status.run
    pace: Pace | None = None
    began_at: float | None = None
    with suppress(OSError, ValueError, DataProblem):
        lines = lines_of(path, run_id)
        if lines is None:
            return None, None
        first = next(lines)
        head = msgspec.json.decode(first, type=_Head)
        began_at = (head.began_at or head.ts).timestamp()
        pace = read_run_log(chain([first], lines), str(path), run_id)
    return pace, began_at


def _without_folders(manifest: str) -> str:
    return Path(manifest).name if Path(manifest).is_absolute() else manifest


def _text(words: str) -> str:
    """Return words as text that can be spelled: a file's name may be bytes that are none."""
    return words.encode("utf-8", "replace").decode()
