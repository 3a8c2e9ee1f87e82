"""The library: run a job from Python, whole or item by item.

`run` wires the parts together: manifest, core, gate, client, checkpoint, outputs. Nothing here decides.
"""

import asyncio
import math
import secrets
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import anyio
import anyio.to_thread

from batchup.core.items import Outcome
from batchup.core.summary import Summary
from batchup.edge.handles import check_handles
from batchup.edge.live.access import address_of
from batchup.edge.lock import RunLock, make_output_folder
from batchup.edge.manifest import fetch_manifest, is_copied, read_manifest
from batchup.edge.mounts import refuse_network
from batchup.edge.options import RunOptions
from batchup.edge.page.report import NAME, Report
from batchup.edge.planning.forecast import refuse_bad_rows
from batchup.edge.progress import Printer
from batchup.edge.secret import read_key
from batchup.edge.session import Session
from batchup.edge.shelves import probe
from batchup.edge.signals import watch_signals
from batchup.edge.stopper import Stopper
from batchup.errors import BatchupError
from batchup.job import Job


class Options(TypedDict, total=False):
    """How one run differs from the next; `RunOptions` has the defaults. Lengths in real seconds."""

    limit: int | None
    sample: int | None
    max_duration_s: float | None
    rerun_failed: bool
    strict: bool
    handle_signals: bool
    log_level: str
    printer: Printer
    on_outcome: Callable[[Outcome], None] | None
    serve: str | None
    serve_anywhere: bool
    on_serve: Callable[[str], None] | None
    executor: Executor | None


async def run(job: Job, **options: Unpack[Options]) -> Summary:
    """Run a job to its end and return how it went.

    Options are the fields of `RunOptions`: `limit` (the first items), `sample` (items at random),
    `max_duration_s` (real seconds), `rerun_failed`, `strict`, `handle_signals`, `log_level`, `on_outcome`
    (called with each item's `Outcome`), `serve` ("HOST:PORT" of a live view for browsers, loopback unless
    `serve_anywhere`; `on_serve` is called with its address, which holds a secret), `executor` (any of
    `concurrent.futures`, that runs the uploads and downloads in place of what the job says; it is left
    open). A failed item does not raise. Raises the classes of `batchup.errors` for problems of
    configuration, lock, key, disk and service; the exception's `summary` is then how far the run
    came.
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
    """Prepare what can be refused without touching anything, then run under the lock."""
    started_at = time.monotonic()
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    try:
        if options.serve is not None:
            address_of(options.serve, is_anywhere=options.serve_anywhere)
        key = read_key(job.service)
        if not is_copied(job):
            await _refuse_bad_manifest(job, options)
        check_handles(job)
        refuse_network(job.output.dir, is_allowed=job.output.allow_network)
        make_output_folder(job.output.dir)
        await anyio.to_thread.run_sync(probe, job)
        with RunLock(job.output.dir, run_id):
            if is_copied(job):  # under the lock: a run that is under way reads from the copy
                await anyio.to_thread.run_sync(fetch_manifest, job, abandon_on_cancel=True)
                await _refuse_bad_manifest(job, options)
            async with _signals(stopper, options):
                summary, error = await Session(job, options, run_id, key, started_at).run(stopper)
    except BatchupError as problem:
        if problem.summary is None:
            wall_s = time.monotonic() - started_at
            problem.summary = Summary(
                job=job.name, run=run_id, reason=problem.reason, exit_code=problem.exit_code, wall_s=wall_s
            )
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
    problem: BatchupError | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_signals, partial(_leave, stopper, options), stopper.abort)
        try:
            yield
        except BatchupError as error:
            problem = error  # taken out of the group, which would wrap it
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


def _leave(stopper: Stopper, options: RunOptions, number: signal.Signals) -> None:
    options.printer.say("stopping: the open create and running downloads finish (again: drop the downloads)")
    stopper.leave(number)


async def _refuse_bad_manifest(job: Job, options: RunOptions) -> None:
    """Raise DataProblem before anything is sent: for what cannot be used at all, if asked for any bad row."""
    read_manifest_head(job)
    if options.strict:
        await anyio.to_thread.run_sync(refuse_bad_rows, job)


def read_manifest_head(job: Job) -> None:
    """Raise DataProblem at once for a manifest that cannot be used at all."""
    for _ in read_manifest(job):
        return
