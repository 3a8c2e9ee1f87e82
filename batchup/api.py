"""The library: run a job from Python, whole or item by item.

`run` wires the parts together: manifest, core, gate, client, checkpoint, outputs. Nothing here decides.
"""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

import anyio
import anyio.to_thread

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.items import Outcome
from batchup.core.policy import Policy
from batchup.core.summary import Summary, finished_code, finished_reason
from batchup.edge import results
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.contents import Contents
from batchup.edge.feeder import Feeder, first_of_each_id
from batchup.edge.items import ItemMaker
from batchup.edge.ledger import Ledger
from batchup.edge.limits import Gate, hold_s
from batchup.edge.lock import RunLock, make_output_folder
from batchup.edge.manifest import Reject, count_rows, read_manifest
from batchup.edge.outputs import Outputs
from batchup.edge.pool import Pool, Stopper, Tools
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.put import Uploader
from batchup.edge.rejects import Rejects
from batchup.edge.reporter import Reporter
from batchup.edge.runlog import RunLog
from batchup.edge.secret import read_key
from batchup.edge.service import leases_path, may_be_private, service_url
from batchup.edge.signals import watch_signals
from batchup.errors import BatchupError, DataProblem
from batchup.job import Job, Rate

DOWNLOADS = 8  # at one time
UPLOAD_TIMEOUT_S = 600.0
STALL_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How one run differs from the next. Lengths in real seconds."""

    limit: int | None = None  # hand on only the first so many outstanding items
    max_duration_s: float | None = None  # stop creating early enough to be done by then
    rerun_failed: bool = False
    strict: bool = False  # one bad row and nothing is created
    handle_signals: bool = False
    log_level: str = "info"
    printer: Printer = field(default_factory=SilentPrinter)
    on_outcome: Callable[[Outcome], None] | None = None


async def run(job: Job, **options: Any) -> Summary:
    """Run a job to its end and return how it went.

    Options are the fields of `RunOptions`: `limit` (items), `max_duration_s` (real seconds), `rerun_failed`,
    `strict`, `handle_signals`, `log_level`, `on_outcome` (called with each item's `Outcome`). A failed item
    does not raise. Raises the classes of `batchup.errors` for problems of configuration, lock, key, disk and
    service; the exception's `summary` is then how far the run came.
    """
    return await _run(job, RunOptions(**options), Stopper())


def run_sync(job: Job, **options: Any) -> Summary:
    """Run a job to its end, outside of an event loop; arguments, result and errors as `run`."""
    return anyio.run(lambda: run(job, **options))


async def stream(job: Job, **options: Any) -> AsyncGenerator[Outcome, None]:
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


async def _run(job: Job, options: RunOptions, stopper: Stopper) -> Summary:
    """Prepare what can be refused without touching anything, then run under the lock."""
    started_at = time.monotonic()
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    try:
        key = read_key(job.service)
        read_manifest_head(job)
        if options.strict:
            await anyio.to_thread.run_sync(_refuse_bad_rows, job)
        make_output_folder(job.output.dir)
        with RunLock(job.output.dir, run_id):
            async with _signals(stopper, options):
                summary, error = await _Session(job, options, run_id, key, started_at).run(stopper)
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
        await tasks.start(watch_signals, stopper.leave, stopper.abort)
        try:
            yield
        except BatchupError as error:
            problem = error  # taken out of the group, which would wrap it
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


def read_manifest_head(job: Job) -> None:
    """Raise DataProblem at once for a manifest that cannot be used at all."""
    for _ in read_manifest(job):
        return


def _refuse_bad_rows(job: Job) -> None:
    for draft in first_of_each_id(job):
        if isinstance(draft, Reject) and draft.kind != "duplicate":
            raise DataProblem(draft.message, remedy="Nothing was created, as --strict asks; mend the row.")


@asynccontextmanager
async def _closing_all() -> AsyncIterator[AsyncExitStack]:
    """Close whatever the block opened, in a cancelled run too."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        with anyio.CancelScope(shield=True):
            await stack.aclose()


@dataclass(slots=True)
class _Session:
    """One run under the lock."""

    job: Job
    options: RunOptions
    run_id: str
    key: str
    started_at: float

    async def run(self, stopper: Stopper) -> tuple[Summary, BatchupError | None]:
        """Open everything, run the pool, bring the results up to date, close everything."""
        job, options = self.job, self.options
        clock = Clock(1.0 if job.simulator is None else job.simulator.speed)
        async with _closing_all() as stack:
            log = RunLog(job.output.dir / "run.log.jsonl", self.run_id, [self.key], options.log_level)
            stack.callback(log.close)
            reporter = Reporter(
                job.name, self.run_id, job.output.dir, log, options.printer, options.on_outcome
            )
            tools = await self._tools(stack, clock)
            pool = Pool(Batch(self._board(clock, tools.checkpoint)), tools, reporter)
            contents = Contents(job.output.dir / "contents.db")
            stack.callback(contents.close)
            feeder = self._feeder(pool, contents)
            pool.on_change = feeder.wake
            stopper.pool = pool
            log.info("run_started", job=job.name, model=job.model)
            try:
                await self._drive(pool, feeder, reporter, stopper)
            finally:
                stopper.pool = None
            try:
                results.bring_up_to_date(tools.checkpoint, job.output.dir)
            except BatchupError as error:
                pool.error = pool.error or error
            summary = self._summary(pool, feeder, stopper)
            picture = reporter.picture(pool, job.limits.rate)
            reporter.write_status(picture, summary)
            options.printer.close(picture)
            log.info("run_ended", reason=summary.reason, exit_code=summary.exit_code)
            return summary, pool.error

    async def _tools(self, stack: AsyncExitStack, clock: Clock) -> Tools:
        job = self.job
        url = await stack.enter_async_context(service_url(job))
        timeout_s = clock.real_s(job.service.request_timeout_s)
        rate = job.limits.rate
        real_rate = None if rate is None else Rate(rate.count, clock.real_s(rate.period_s))
        ledger = None
        if real_rate is not None:
            held_s = hold_s(real_rate, timeout_s)
            ledger = Ledger(leases_path(job, self.key), now=clock.monotonic(), hold_s=held_s)
            stack.callback(ledger.close)
        client = Client(
            url,
            key=self.key,
            auth=job.service.auth,
            timeout_s=timeout_s,
            open_creates=job.limits.open_creates,
        )
        outputs = Outputs(job.output.dir, max_pixels=job.output.max_pixels, allow_private=may_be_private(job))
        checkpoint = Checkpoint(job.output.dir / "checkpoint.db", clock.calendar, job.input)
        return Tools(
            clock=clock,
            gate=Gate(real_rate, ledger, timeout_s),
            client=await stack.enter_async_context(client),
            uploader=await stack.enter_async_context(Uploader(timeout_s=UPLOAD_TIMEOUT_S, stall_s=STALL_S)),
            outputs=await stack.enter_async_context(outputs),
            checkpoint=stack.enter_context(checkpoint),
            model=job.model,
            download_count=DOWNLOADS,
        )

    def _board(self, clock: Clock, checkpoint: Checkpoint) -> Board:
        job, rate = self.job, self.job.limits.rate
        max_duration_s = self.options.max_duration_s
        policy = Policy(
            concurrency=job.limits.concurrency,
            open_creates=job.limits.open_creates,
            requests_per_s=None if rate is None else rate.count / rate.period_s,
            max_attempts=job.limits.max_attempts,
            max_spend=job.limits.max_spend,
            expected_s=job.polling.expected_s,
            timeout_s=job.polling.timeout_s,
            on_in_doubt=job.run.on_in_doubt,
            request_timeout_s=job.service.request_timeout_s,
            listing_lag_s=job.service.listing_lag_s,
            settle_s=job.service.settle_s,
            deadline_at=None if max_duration_s is None else max_duration_s / clock.real_s(1.0),
        )
        board = Board(policy, clock.calendar, SystemRandom())
        board.tally.job_spend_usd, board.tally.dearest_usd = checkpoint.money()
        return board

    def _feeder(self, pool: Pool, contents: Contents) -> Feeder:
        clock = pool.tools.clock
        return Feeder(
            job=self.job,
            checkpoint=pool.tools.checkpoint,
            maker=ItemMaker(self.job, contents),
            rejects=Rejects(self.job.output.dir),
            feed=pool.feed,
            wants_items=pool.batch.wants_items,
            fail=pool.fail,
            now_unix=lambda: clock.calendar.to_unix(clock.now()),
            limit=self.options.limit,
            rerun_failed=self.options.rerun_failed,
        )

    async def _drive(self, pool: Pool, feeder: Feeder, reporter: Reporter, stopper: Stopper) -> None:
        """Run the pool with its companions: progress, the count of rows, the deadline."""
        restored = pool.tools.checkpoint.unsettled()
        if self.job.simulator is not None:  # embedded, it is at another address in each run
            restored = [replace(event, urls=()) for event in restored]
        async with anyio.create_task_group() as companions:
            companions.start_soon(reporter.show, pool, self.job.limits.rate)
            companions.start_soon(self._count, reporter)
            companions.start_soon(self._stop_in_time, pool)
            await pool.run(restored, feeder.run, is_stopped=stopper.is_asked)
            companions.cancel_scope.cancel()

    async def _count(self, reporter: Reporter) -> None:
        try:
            reporter.total = await anyio.to_thread.run_sync(count_rows, self.job, abandon_on_cancel=True)
        except BatchupError:
            return  # the feeder meets the same problem, and says so

    async def _stop_in_time(self, pool: Pool) -> None:
        if self.options.max_duration_s is not None:
            await anyio.sleep(self.options.max_duration_s)
            pool.stop("deadline")

    def _summary(self, pool: Pool, feeder: Feeder, stopper: Stopper) -> Summary:
        board, tally, now = pool.batch.board, pool.batch.board.tally, pool.tools.clock.now()
        reason = finished_reason(
            tally,
            is_past_deadline=board.is_past_deadline(now),
            is_item_limited=feeder.is_limited,
            is_broke=not board.can_afford_one(),
        )
        code = finished_code(tally)
        if code in (0, 3) and not feeder.is_complete:
            code, reason = 75, "deadline" if board.is_past_deadline(now) else "spend_limit"
        if pool.error is not None:
            reason, code = pool.error.reason, pool.error.exit_code
        elif stopper.is_asked:
            reason, code = "signal", 75 if stopper.number is None else 128 + stopper.number
        return Summary(
            job=self.job.name,
            run=self.run_id,
            reason=reason,
            exit_code=code,
            items=tally.items,
            saved=tally.saved,
            failed=tally.failed,
            held=tally.held,
            in_doubt=tally.in_doubt,
            outstanding=tally.outstanding,
            rejected=tally.rejected,
            skipped=tally.skipped,
            duplicates=tally.duplicates,
            manifest_complete=feeder.is_complete,
            requests=tally.requests,
            creates=tally.creates,
            polls=tally.polls,
            throttled=tally.throttled,
            worst_window=pool.tools.gate.worst_window,
            spend_usd=round(tally.spend_usd, 6),
            job_spend_usd=round(tally.job_spend_usd, 6),
            wall_s=round(time.monotonic() - self.started_at, 3),
        )
