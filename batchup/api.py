"""The library: run a job from Python, whole or item by item.

`run` wires the parts together: manifest, core, gate, client, checkpoint, outputs. Nothing here decides.
"""

import asyncio
import math
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import anyio
import anyio.to_thread

from batchup.core.history import unsummed
from batchup.core.items import Outcome
from batchup.core.summary import Summary
from batchup.edge.handles import check_handles
from batchup.edge.history import keep_history, note_refused
from batchup.edge.lock import RunLock, make_output_folder
from batchup.edge.manifest import is_copied
from batchup.edge.metrics.unbegun import note_unbegun
from batchup.edge.mounts import refuse_network
from batchup.edge.notify.teller import Teller
from batchup.edge.opening import open_manifest, refuse_bad_manifest, stopped
from batchup.edge.options import RunOptions
from batchup.edge.page.report import NAME, Report
from batchup.edge.progress import Printer
from batchup.edge.run_id import new_run_id
from batchup.edge.secret import read_key
from batchup.edge.session import Session
from batchup.edge.shelves import probe
from batchup.edge.signals import watch_signals
from batchup.edge.stopper import Stopper
from batchup.edge.supervision.supervisor import Supervisor, beating, settle
from batchup.errors import BatchupError
from batchup.job import Job


class Options(TypedDict, total=False):
    """How one run differs from the next; `RunOptions` has the defaults. Lengths in real seconds."""

    limit: int | None
    sample: int | None
    max_duration_s: float | None
    stop_at: float | None
    rerun_failed: bool
    strict: bool
    handle_signals: bool
    on_ended: Callable[[], None]
    log_level: str
    printer: Printer
    on_outcome: Callable[[Outcome], None] | None
    serve: str | None
    serve_anywhere: bool
    on_serve: Callable[[str], None] | None
    metrics_file: Path | None
    executor: Executor | None
    supervisor: Supervisor | None


async def run(job: Job, **options: Unpack[Options]) -> Summary:
    """Run a job to its end and return how it went.

    Options are the fields of `RunOptions`: `limit` (the first items), `sample` (items at random),
    `max_duration_s` (real seconds), `stop_at` (Unix seconds), `rerun_failed`, `strict`, `handle_signals`,
    `log_level`, `on_outcome` (called with each item's `Outcome`), `on_ended` (called when it is settled how
    the run ends, before it is told), `serve` ("HOST:PORT" of a live view for browsers, loopback unless
    `serve_anywhere`; `on_serve` is called with its address, which holds a secret), `metrics_file` (a `.prom`
    file that is kept fresh for Prometheus), `executor` (any of `concurrent.futures`, that runs the uploads
    and downloads in place of what the job says; it is left open), `supervisor` (the command's: it tells
    systemd how it goes, and ends a process that hangs). A failed item does not raise. Raises the classes of
    `batchup.errors` for problems of configuration, lock, key, disk and service; the exception's `summary` is
    then how far the run came.
    """
    return await _run(job, RunOptions(**options), Stopper())


def run_sync(job: Job, **options: Unpack[Options]) -> Summary:
    """Run a job to its end, outside of an event loop; arguments, result and errors as `run`."""
    return anyio.run(lambda: run(job, **options))


async def stream(job: Job, **options: Unpack[Options]) -> AsyncGenerator[Outcome, None]:
    """Run a job and yield each item's `Outcome` as it comes to its end in this run.

    Leaving the loop stops the run as a first signal would: ids stay recorded, the next run goes on. With
    `contextlib.aclosing` the run has ended when the block is left; without it, a little later. Options and
    errors as `run`; what goes wrong after the loop was left is not raised.
    """
    send, receive = anyio.create_memory_object_stream[Outcome](math.inf)
    chosen = replace(RunOptions(**options), on_outcome=send.send_nowait)
    stopper = Stopper()
    task = asyncio.ensure_future(_run(job, chosen, stopper))
    task.add_done_callback(lambda _: send.close())
    try:
        async for outcome in receive:
            yield outcome
    finally:
        stopper.leave()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        receive.close()  # not before: what is saved after the loop was left is still sent
        problem = task.exception()
    if problem is not None:
        raise problem


def write_report(job: Job, path: Path | None = None) -> Path:
    """Write the report of a job that does not run and return where it is: `path`, else in its output folder.

    Blocks for as long as the thumbnails take that were not made before: call it in a thread. Raises
    DataProblem where the job has not run yet, Locked while it runs or another report is written, and
    DiskProblem.
    """
    target = job.output.dir / NAME if path is None else path
    return Report(job=job, path=target, command=str(job.path or job.name)).write().path


async def _run(job: Job, options: RunOptions, stopper: Stopper) -> Summary:
    """Run a job and tell somebody elsewhere how it ended, if the job says so."""
    started_at, options = time.monotonic(), options.reckoned()
    run_id = new_run_id()
    teller = Teller(job, run_id, options.printer, options.log_level, options.handle_signals)
    try:
        with beating(options.supervisor, stopper, run_id):
            summary = await _run_untold(job, options, stopper, teller, started_at)
    except Exception as problem:
        settle(options.supervisor, problem.summary if isinstance(problem, BatchupError) else None)
        await teller.failed(problem, time.monotonic() - started_at)
        raise
    settle(options.supervisor, summary)
    await teller.ended(summary)
    return summary


async def _run_untold(
    job: Job, options: RunOptions, stopper: Stopper, teller: Teller, started_at: float
) -> Summary:
    """Prepare what can be refused without touching anything, then run under the lock."""
    run_id = teller.run_id
    try:
        options = options.checked()
        key = read_key(job.service)
        if not job.service.is_simulated:
            teller.hide(key)
        if not is_copied(job):
            await refuse_bad_manifest(job, options)
        check_handles(job)
        refuse_network(job.output.dir, is_allowed=job.output.allow_network)
        make_output_folder(job.output.dir)
        await anyio.to_thread.run_sync(probe, job)
        with RunLock(job.output.dir, run_id), keep_history(job, run_id, options.printer) as history:
            options = replace(options, on_outcome=history.hearing(options.on_outcome))
            session = Session(job, options, run_id, key, started_at, history)
            async with _signals(stopper, options):
                if await open_manifest(job, options, stopper, started_at):
                    async with teller.beginning():
                        summary, error = await session.run(stopper)
                else:
                    summary, error = stopped(session, stopper), None
            options.on_ended()
            history.end(summary)
            teller.has_new_failures = history.has_new_failures
    except BatchupError as problem:
        options.on_ended()
        if problem.summary is None:
            wall_s = time.monotonic() - started_at
            problem.summary = unsummed(problem, job.name, run_id, wall_s)
        note_refused(job, problem.summary, options.printer)
        note_unbegun(options.metrics_file, problem.summary, job)
        raise
    except Exception:
        options.on_ended()
        raise
    if error is not None:
        error.summary = summary
        raise error
    return summary


@asynccontextmanager
async def _signals(stopper: Stopper, options: RunOptions) -> AsyncIterator[None]:
    """Listen to signals for as long as the block lasts, if asked to: the opening and the closing too."""
    if not options.handle_signals:
        yield
        return
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_signals, partial(_leave, stopper, options), stopper.abort)
        try:
            yield
        except Exception as error:  # noqa: BLE001 whatever it is
            problem = error  # taken out of the group, which would wrap it
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


def _leave(stopper: Stopper, options: RunOptions, number: signal.Signals) -> None:
    open_ones = ": the open create and running downloads finish (again: drop the downloads)"
    options.printer.say(f"stopping{'' if stopper.pool is None else open_ones}")
    stopper.leave(number)
