"""One run under the lock: everything is opened, the pool runs, the results are brought up to date."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import SystemRandom

import anyio
import anyio.to_thread

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.items import Outcome
from batchup.core.policy import Policy
from batchup.core.summary import Summary, ended, summarise
from batchup.edge import results
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.contents import Contents
from batchup.edge.feeder import Feeder
from batchup.edge.items import ItemMaker
from batchup.edge.ledger import Ledger
from batchup.edge.limits import Gate, Unlimited, hold_s
from batchup.edge.manifest import count_rows
from batchup.edge.outputs import Outputs
from batchup.edge.pool import Pool, Tools
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.put import Uploader
from batchup.edge.rejects import Rejects
from batchup.edge.reporter import Reporter
from batchup.edge.runlog import NAME as LOG_NAME
from batchup.edge.runlog import RunLog
from batchup.edge.schema import NAME as CHECKPOINT
from batchup.edge.service import leases_path, may_be_private, service_url
from batchup.edge.stopper import Stopper
from batchup.errors import BatchupError
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
class Session:
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
            log = RunLog(job.output.dir / LOG_NAME, self.run_id, [self.key], options.log_level)
            stack.callback(log.close)
            reporter = Reporter(
                job.name, self.run_id, job.output.dir, log, options.printer, options.on_outcome
            )
            contents = Contents(job.output.dir / "contents.db")
            stack.callback(contents.close)
            tools = await self._tools(stack, clock, contents)
            claim(tools.checkpoint, job)
            pool = Pool(Batch(self._board(clock, tools.checkpoint)), tools, reporter)
            feeder = self._feeder(pool, contents)
            pool.on_change = feeder.wake
            stopper.pool = pool
            log.info("run_started", job=job.name, model=job.model)
            if job.simulator is not None and job.simulator.speed != 1:
                options.printer.say(
                    f"simulated: its time runs {job.simulator.speed:g} times as fast; rates and ETA are in it"
                )
            try:
                await self._drive(pool, feeder, reporter, stopper)
            finally:
                stopper.pool = None
            try:
                await results.bring_up_to_date(tools.checkpoint, job.output.dir)
            except BatchupError as error:
                pool.error = pool.error or error
            summary = self._summary(pool, feeder, stopper)
            reporter.end(reporter.picture(pool, job.limits.rate), summary)
            return summary, pool.error

    async def _tools(self, stack: AsyncExitStack, clock: Clock, contents: Contents) -> Tools:
        job = self.job
        url = await stack.enter_async_context(service_url(job))
        timeout_s = clock.real_s(job.service.request_timeout_s)
        gate = self._gate(stack, clock, timeout_s)
        client = Client(
            url,
            key=self.key,
            auth=job.service.auth,
            timeout_s=timeout_s,
            open_creates=job.limits.open_creates,
        )
        uploader = Uploader(timeout_s=UPLOAD_TIMEOUT_S, stall_s=STALL_S, on_changed=contents.forget)
        outputs = Outputs(job.output.dir, max_pixels=job.output.max_pixels, allow_private=may_be_private(job))
        checkpoint = Checkpoint(job.output.dir / CHECKPOINT, clock.calendar, job.input)
        return Tools(
            clock=clock,
            gate=gate,
            client=await stack.enter_async_context(client),
            uploader=await stack.enter_async_context(uploader),
            outputs=await stack.enter_async_context(outputs),
            checkpoint=stack.enter_context(checkpoint),
            model=job.model,
            download_count=DOWNLOADS,
        )

    def _gate(self, stack: AsyncExitStack, clock: Clock, timeout_s: float) -> Gate | Unlimited:
        rate = self.job.limits.rate
        if rate is None:
            return Unlimited()
        real_rate = Rate(rate.count, clock.real_s(rate.period_s))
        held_s = hold_s(real_rate, timeout_s)
        ledger = Ledger(leases_path(self.job, self.key), now=clock.monotonic(), hold_s=held_s)
        stack.callback(ledger.close)
        return Gate(real_rate, ledger, timeout_s)

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
        board = pool.batch.board
        reason, code = ended(
            board.tally,
            is_complete=feeder.is_complete,
            is_item_limited=feeder.is_limited,
            is_past_deadline=board.is_past_deadline(pool.tools.clock.now()),
            is_broke=not board.can_afford_one(),
        )
        if pool.error is not None:
            reason, code = pool.error.reason, pool.error.exit_code
        elif stopper.is_asked:
            reason, code = "signal", 75 if stopper.number is None else 128 + stopper.number
        return summarise(
            board.tally,
            job=self.job.name,
            run=self.run_id,
            reason=reason,
            exit_code=code,
            manifest_complete=feeder.is_complete,
            worst_window=pool.tools.gate.worst_window,
            wall_s=time.monotonic() - self.started_at,
        )
