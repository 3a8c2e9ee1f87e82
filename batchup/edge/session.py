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
from batchup.core.messages import Notified
from batchup.core.summary import Summary, ended, summarise
from batchup.core.wire import Hook
from batchup.edge import results
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.contents import NAME as CONTENTS
from batchup.edge.contents import Contents
from batchup.edge.feeder import Feeder
from batchup.edge.items import ItemMaker
from batchup.edge.ledger import Ledger
from batchup.edge.limits import hold_s
from batchup.edge.manifest import count_rows
from batchup.edge.outputs import Outputs
from batchup.edge.pace_log import keep_pace_log
from batchup.edge.policies import policy_of
from batchup.edge.pool import Pool, Tools
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.put import Uploader
from batchup.edge.rejects import Rejects
from batchup.edge.reporter import Reporter
from batchup.edge.runlog import NAME as LOG_NAME
from batchup.edge.runlog import RunLog
from batchup.edge.schema import NAME as CHECKPOINT
from batchup.edge.service import leases_path, may_be_private, service_url
from batchup.edge.sharing import Sharing, owner_of
from batchup.edge.slots import Slots
from batchup.edge.stopper import Stopper
from batchup.edge.tuning import GateMaker, Tuner, real_rate
from batchup.edge.webhooks import Webhooks
from batchup.errors import BatchupError
from batchup.job import Job

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
            hooks = self._hooks(clock, stopper)
            secrets = [self.key] if hooks is None else [self.key, hooks.secret]
            log = RunLog(job.output.dir / LOG_NAME, self.run_id, secrets, options.log_level)
            stack.callback(log.close)
            reporter = Reporter(
                job.name, self.run_id, job.output.dir, log, options.printer, options.on_outcome
            )
            reporter.rate = job.limits.rate
            contents = Contents(job.output.dir / CONTENTS)
            stack.callback(contents.close)
            gates = self._gates(stack, clock)
            tools = await self._tools(stack, gates, contents)
            claim(tools.checkpoint, job)
            if hooks is not None:
                await stack.enter_async_context(hooks)
                tools.hook = Hook(hooks.url, hooks.secret)
            board = self._board(clock, tools.checkpoint)
            slots = Slots(gates.ledger, owner_of(job.output.dir))
            pool = Pool(Batch(board), tools, reporter, Sharing(board, clock, slots, job.limits))
            tuner = Tuner(job, pool, gates, reporter)
            feeder = self._feeder(pool, contents)
            pool.on_change = feeder.wake
            stopper.pool = pool
            log.info("run_started", job=job.name, model=job.model)
            if job.simulator is not None and job.simulator.speed != 1:
                options.printer.say(
                    f"simulated: its time runs {job.simulator.speed:g} times as fast; rates and ETA are in it"
                )
            try:
                await self._drive(pool, feeder, tuner, stopper)
            finally:
                stopper.pool = None
            if hooks is not None and hooks.refused_count:
                log.warning("webhooks_refused", count=hooks.refused_count)
            try:
                await results.bring_up_to_date(tools.checkpoint, job.output.dir)
            except BatchupError as error:
                pool.error = pool.error or error
            summary = self._summary(pool, feeder, stopper)
            reporter.end(reporter.picture(pool), summary)
            return summary, pool.error

    def _hooks(self, clock: Clock, stopper: Stopper) -> Webhooks | None:
        """Make ready to be called back, if the job asks for it; what comes while nothing runs is dropped."""
        settings = self.job.webhook
        if settings is None:
            return None

        def tell(prediction_id: str) -> None:
            if stopper.pool is not None:
                stopper.pool.feed(Notified(prediction_id))

        def now_unix() -> float:
            return clock.calendar.to_unix(clock.now())

        return Webhooks(settings.listen, settings.public_url, on_id=tell, now_unix=now_unix)

    def _gates(self, stack: AsyncExitStack, clock: Clock) -> GateMaker:
        job, rate = self.job, self.job.limits.rate
        timeout_s = clock.real_s(job.service.request_timeout_s)
        held_s = timeout_s if rate is None else hold_s(real_rate(rate, clock), timeout_s)
        slot_s = timeout_s + clock.real_s(job.polling.timeout_s)
        path = leases_path(job, self.key)
        allowance = 0 if rate is None else rate.count
        ledger = Ledger(path, now=clock.monotonic(), hold_s=held_s, allowance=allowance, slot_s=slot_s)
        stack.callback(ledger.close)
        return GateMaker(clock, ledger, timeout_s)

    async def _tools(self, stack: AsyncExitStack, gates: GateMaker, contents: Contents) -> Tools:
        job, clock, timeout_s = self.job, gates.clock, gates.timeout_s
        url = await stack.enter_async_context(service_url(job))
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
            gate=gates.make(job.limits.rate),
            client=await stack.enter_async_context(client),
            uploader=await stack.enter_async_context(uploader),
            outputs=await stack.enter_async_context(outputs),
            checkpoint=stack.enter_context(checkpoint),
            model=job.model,
            download_count=DOWNLOADS,
        )

    def _board(self, clock: Clock, checkpoint: Checkpoint) -> Board:
        max_duration_s = self.options.max_duration_s
        deadline_at = None if max_duration_s is None else max_duration_s / clock.real_s(1.0)
        policy = policy_of(self.job, deadline_at=deadline_at)
        board = Board(policy, clock.calendar, SystemRandom(), checkpoint.sightings())
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

    async def _drive(self, pool: Pool, feeder: Feeder, tuner: Tuner, stopper: Stopper) -> None:
        """Run the pool with its companions: progress, other runs and the limits, the rows, the deadline."""
        restored = pool.tools.checkpoint.unsettled()
        if self.job.simulator is not None:  # embedded, it is at another address in each run
            restored = [replace(event, urls=()) for event in restored]
        async with anyio.create_task_group() as companions:
            companions.start_soon(tuner.reporter.show, pool)
            companions.start_soon(tuner.keep_in_step)
            companions.start_soon(keep_pace_log, pool, tuner.reporter)
            companions.start_soon(self._count, tuner.reporter)
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
