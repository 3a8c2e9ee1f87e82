"""One run under the lock: everything is opened, the pool runs, the results are brought up to date."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import SystemRandom

import anyio
import anyio.to_thread

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.books import Books
from batchup.core.causes import Cause
from batchup.core.eta import Eta
from batchup.core.items import Outcome
from batchup.core.messages import Note, Notified, Stop
from batchup.core.money import reckon
from batchup.core.summary import Summary, closed, ended, summarise, whole
from batchup.core.wire import Hook
from batchup.edge import moved
from batchup.edge.ballast import Ballast
from batchup.edge.books import make_up, read_books
from batchup.edge.causes import causes_of
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.clock import Clock
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.exports import results
from batchup.edge.exports.rejects import Rejects
from batchup.edge.feeding.feeder import Feeder
from batchup.edge.feeding.items import ItemMaker
from batchup.edge.gate.rotation import follow_key
from batchup.edge.gate.sharing import Sharing, owner_of
from batchup.edge.gate.slots import Slots
from batchup.edge.gate.tuning import GateMaker, Tuner
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents
from batchup.edge.images.put import Uploader
from batchup.edge.live.running import Live, Serving, live_view
from batchup.edge.making import make_client, make_gates, make_outputs
from batchup.edge.manifest import count_rows
from batchup.edge.models import account
from batchup.edge.older import note_end, refuse_if_older
from batchup.edge.planning.policies import policy_of
from batchup.edge.pool import Pool, Tools
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.secret import exposed_key, read_key
from batchup.edge.service import service_url
from batchup.edge.space import SpaceWatch
from batchup.edge.stopper import Stopper
from batchup.edge.telling.pace_log import keep_pace_log
from batchup.edge.telling.reporter import Reporter
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.edge.telling.runlog import RunLog
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
    serve: str | None = None  # HOST:PORT of the live view; None: there is none
    serve_anywhere: bool = False  # at an address that other machines reach, too
    on_serve: Callable[[str], None] | None = None  # told the view's address; None: the printer says it

    @property
    def serving(self) -> Serving | None:
        """Where the live view is to be, None without one."""
        if self.serve is None:
            return None
        on_url = self.on_serve or (lambda url: self.printer.say(f"live: {url}"))
        say = self.printer.say
        return Serving(address=self.serve, is_anywhere=self.serve_anywhere, on_url=on_url, say=say)


@asynccontextmanager
async def _closing_all() -> AsyncIterator[AsyncExitStack]:
    """Close whatever the block opened, in a cancelled run too."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        with anyio.CancelScope(shield=True):
            await stack.aclose()


async def _tell_end(pool: Pool, reporter: Reporter, live: Live, summary: Summary) -> None:
    picture = reporter.picture(pool)
    reporter.end(picture, summary)
    await live.finish(reporter.status(picture, summary))


@dataclass(slots=True)
class Session:
    """One run under the lock."""

    job: Job
    options: RunOptions
    run_id: str
    key: str
    started_at: float
    known_before: int = 0  # predictions that earlier runs have left the ids of
    saved_before: int = 0  # of them, those that went well

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
            live = await stack.enter_async_context(live_view(job, options.serving, stopper, log))
            reporter.on_shown = live.outcome
            contents = Contents(job.output.dir / CONTENTS)
            stack.callback(contents.close)
            gates = self._gates(stack, clock)
            tools = await self._tools(stack, gates, contents)
            tools.read_key = partial(self._read_key, log)
            claim(tools.checkpoint, job)
            await anyio.to_thread.run_sync(refuse_if_older, tools.checkpoint, job)
            if (words := exposed_key(job.service)) is not None:
                reporter.note(Note("key_exposed", "warning", {"why": words}))
            for note in moved.hold_after_move(job, tools.checkpoint, gates):
                reporter.note(note)
            if hooks is not None:
                await stack.enter_async_context(hooks)
                tools.hook = Hook(hooks.url, hooks.secret)
                tools.client.hide(hooks.secret)
            board = self._board(clock, tools.checkpoint)
            reporter.eta = Eta(limit=options.limit, saved_before=self.saved_before)
            slots = Slots(gates.ledger, owner_of(job.output.dir))
            pool = Pool(Batch(board), tools, reporter, Sharing(board, clock, slots, job.limits))
            tuner = Tuner(job, pool, gates, reporter)
            pool.on_key = partial(follow_key, tuner, stack)
            feeder = self._feeder(pool, contents)
            pool.on_change = feeder.wake
            stopper.pool = pool
            log.info("run_started", job=job.name, model=job.model)
            if job.simulator is not None and job.simulator.speed != 1:
                options.printer.say(
                    f"simulated: its time runs {job.simulator.speed:g} times as fast; rates and ETA are in it"
                )
            try:
                await self._drive(pool, feeder, tuner, stopper, live)
            finally:
                stopper.pool = None
            if hooks is not None and hooks.refused_count:
                log.warning("webhooks_refused", count=hooks.refused_count)
            account.keep_card(job, board.look_ups.card)
            summary = whole(
                await self._close(pool, feeder, stopper), reporter.picture(pool).total, self.saved_before
            )
            await _tell_end(pool, reporter, live, summary)
            with suppress(BatchupError):  # then the next run looks more closely
                note_end(tools.checkpoint, job.output.dir)
            return summary, pool.error

    def _read_key(self, log: RunLog) -> str:
        """Read the key anew; whatever is found appears in no log."""
        key = read_key(self.job.service, is_again=True)
        log.hide(key)
        return key

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
        return make_gates(self.job, self.key, clock, stack)

    async def _tools(self, stack: AsyncExitStack, gates: GateMaker, contents: Contents) -> Tools:
        job, clock, timeout_s = self.job, gates.clock, gates.timeout_s
        url = await stack.enter_async_context(service_url(job))
        client = make_client(job, url, self.key, timeout_s)
        ballast = Ballast(job.output.dir)
        ballast.make()
        uploader = Uploader(timeout_s=UPLOAD_TIMEOUT_S, stall_s=STALL_S, on_changed=contents.forget)
        outputs = make_outputs(job)
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
            ballast=ballast,
        )

    def _board(self, clock: Clock, checkpoint: Checkpoint) -> Board:
        max_duration_s = self.options.max_duration_s
        deadline_at = None if max_duration_s is None else max_duration_s / clock.real_s(1.0)
        policy = policy_of(self.job, deadline_at=deadline_at)
        board = Board(policy, clock.calendar, SystemRandom(), checkpoint.sightings())
        board.model = self.job.model
        board.tally.job_spend_usd, board.tally.dearest_usd = checkpoint.money()
        books = read_books(checkpoint)
        self.known_before, self.saved_before = books.known, books.well
        board.tally.written_off, board.tally.uncosted = books.written_off + books.unknown, books.uncosted
        board.look_ups = account.look_ups_of(self.job)
        for sent_at in checkpoint.written_off():
            board.keep_slot(sent_at)
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
            note=pool.observer.note,
            now_unix=lambda: clock.calendar.to_unix(clock.now()),
            limit=self.options.limit,
            rerun_failed=self.options.rerun_failed,
        )

    async def _drive(self, pool: Pool, feeder: Feeder, tuner: Tuner, stopper: Stopper, live: Live) -> None:
        """Run the pool with its companions: progress, other runs and the limits, the rows, the deadline."""
        restored = pool.tools.checkpoint.unsettled()
        if self.job.simulator is not None:  # embedded, it is at another address in each run
            restored = [replace(event, urls=()) for event in restored]
        asked = [Stop("stopped", drain=True)] if stopper.is_draining else []
        space = SpaceWatch(pool, self.job)
        pool.find_shortage = space.look
        async with anyio.create_task_group() as companions:
            companions.start_soon(tuner.reporter.show, pool)
            companions.start_soon(live.keep, partial(tuner.reporter.look, pool))
            companions.start_soon(tuner.keep_in_step)
            companions.start_soon(keep_pace_log, pool, tuner.reporter)
            companions.start_soon(moved.keep_last_request, pool)
            limit = self.options.limit
            companions.start_soon(account.warn_of_shortfall, pool, lambda: tuner.reporter.total, limit)
            companions.start_soon(self._count, tuner.reporter, space)
            companions.start_soon(self._stop_in_time, pool)
            await pool.run([*restored, *asked], feeder.run, is_stopped=stopper.is_asked)
            companions.cancel_scope.cancel()

    async def _count(self, reporter: Reporter, space: SpaceWatch) -> None:
        try:
            reporter.total = await anyio.to_thread.run_sync(count_rows, self.job, abandon_on_cancel=True)
            words = await space.foresee(reporter.total)
        except (BatchupError, OSError):
            return  # the feeder meets the same problem, and says so
        if words is not None:
            reporter.note(Note("disk_small", "warning", {"why": words}))

    async def _stop_in_time(self, pool: Pool) -> None:
        if self.options.max_duration_s is not None:
            await anyio.sleep(self.options.max_duration_s)
            pool.stop("deadline")

    async def _close(self, pool: Pool, feeder: Feeder, stopper: Stopper) -> Summary:
        """Bring the results up to date, group what failed, make up the books, and say how the run ended."""
        checkpoint = pool.tools.checkpoint
        causes: tuple[Cause, ...] = ()
        books: Books | None = None
        try:
            await results.bring_up_to_date(checkpoint, self.job.output.dir)
            causes = await causes_of(checkpoint, feeder.rejects.causes.values())
            books = await self._books(pool)
        except BatchupError as error:
            pool.error = pool.error or error
        summary = replace(self._summary(pool, feeder, stopper), causes=causes)
        return summary if books is None else closed(summary, books)

    async def _books(self, pool: Pool) -> Books:
        """Make up the books: what the run has counted by itself against what the checkpoint says."""
        tally = pool.batch.board.tally
        price_usd = reckon(tally, pool.batch.board.look_ups.price_usd).usd
        known = self.known_before + tally.creates
        return await make_up(
            pool.tools.checkpoint, known=known, billed_usd=tally.job_spend_usd, price_usd=price_usd
        )

    def _summary(self, pool: Pool, feeder: Feeder, stopper: Stopper) -> Summary:
        board = pool.batch.board
        reason, code = ended(
            board.tally,
            is_complete=feeder.is_complete,
            is_item_limited=feeder.is_limited,
            is_past_deadline=board.is_past_deadline(pool.tools.clock.now()),
            is_broke=not board.can_afford_one(),
            is_stopped=stopper.is_draining,
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
