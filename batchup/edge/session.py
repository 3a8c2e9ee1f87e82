"""One run under the lock: everything is opened, the pool runs, the results are brought up to date."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from random import SystemRandom

import anyio
import anyio.to_thread

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.books import Books
from batchup.core.causes import Cause
from batchup.core.eta import Eta
from batchup.core.messages import Note, Stop
from batchup.core.money import reckon
from batchup.core.optimum import share_of_optimum
from batchup.core.states import State
from batchup.core.summary import Summary, closed, ended, summarise, whole
from batchup.core.wire import Hook, Wire
from batchup.edge import moved
from batchup.edge.ballast import Ballast
from batchup.edge.beside import listener
from batchup.edge.books import make_up, read_books
from batchup.edge.causes import causes_of
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.clock import Clock
from batchup.edge.companions import Companions
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.deadline import deadline_of
from batchup.edge.duplicates.dedupe import dedupe_of
from batchup.edge.erasing import after_run
from batchup.edge.executors.opening import open_stages
from batchup.edge.exports import results
from batchup.edge.exports.rejects import Rejects
from batchup.edge.feeding.emptied import emptied, empty_words
from batchup.edge.feeding.feeder import Feeder
from batchup.edge.feeding.items import ItemMaker
from batchup.edge.gate.rotation import follow_key
from batchup.edge.gate.sharing import Sharing, owner_of
from batchup.edge.gate.slots import Slots
from batchup.edge.gate.tuning import GateMaker, Tuner
from batchup.edge.history import History
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents
from batchup.edge.images.outgrowing import defaults_of
from batchup.edge.images.sources import remove_unfinished
from batchup.edge.live.running import Live, live_view
from batchup.edge.making import make_client, make_gates
from batchup.edge.manifest.readers import has_lines
from batchup.edge.metrics.recorder import Recorder
from batchup.edge.models import account
from batchup.edge.models.describing import Describing
from batchup.edge.models.offering import shortcomings
from batchup.edge.older import note_end, refuse_if_older
from batchup.edge.options import RunOptions
from batchup.edge.planning.piloting import Piloting
from batchup.edge.planning.policies import policy_of
from batchup.edge.pool import Pool, Tools
from batchup.edge.saving.saver import Saver
from batchup.edge.secret import exposed_key, read_key
from batchup.edge.service import service_url
from batchup.edge.space import SpaceWatch
from batchup.edge.stopper import Stopper
from batchup.edge.telling.reporter import Reporter
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.edge.telling.runlog import RunLog
from batchup.errors import BatchupError
from batchup.job import Job


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
    await reporter.recorder.end(reporter.status(picture, summary))


@dataclass(slots=True)
class Session:
    """One run under the lock."""

    job: Job
    options: RunOptions
    run_id: str
    key: str
    started_at: float
    history: History
    known_before: int = 0  # predictions that earlier runs have left the ids of
    saved_before: int = 0  # items
    saver: Saver | None = None  # once there is a pool
    item_limit: int | None = None  # outstanding items that this run may hand on

    async def run(self, stopper: Stopper) -> tuple[Summary, BatchupError | None]:
        """Open everything, run the pool, bring the results up to date, close everything."""
        job, options = self.job, self.options
        clock = Clock(job.speed)
        async with _closing_all() as stack:
            hooks = listener(job, clock, stopper)
            secrets = [self.key] if hooks is None else [self.key, hooks.secret]
            log = RunLog(job.output.dir / LOG_NAME, self.run_id, secrets, options.log_level)
            stack.callback(log.close)
            reporter = Reporter(
                job.name,
                self.run_id,
                job.output.dir,
                log,
                options.printer,
                options.on_outcome,
                rate=job.limits.rate,
                recorder=Recorder(job, options.metrics_file),
            )
            live = await stack.enter_async_context(live_view(job, options.serving, stopper, log))
            reporter.on_shown = live.outcome
            contents = Contents(job.output.dir / CONTENTS)
            stack.callback(contents.close)
            gates = make_gates(job, self.key, clock, stack)
            tools = await self._tools(stack, gates, contents, reporter.note)
            tools.read_key = partial(self._read_key, log)
            reporter.recorder.watch(tools, live, reporter.note)
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
            pilot = await self._pilot(tools, contents, stopper)
            reporter.eta = Eta(self.item_limit, self.saved_before, is_pilot=pilot.chosen is not None)
            slots = Slots(gates.ledger, owner_of(job.output.dir))
            pool = Pool(Batch(board), tools, reporter, Sharing(board, clock, slots, job.limits))
            tuner = Tuner(job, pool, gates, reporter)
            pool.on_key = partial(follow_key, tuner, stack)
            feeder = self._feeder(pool, contents, pilot, reporter.eta)
            pool.on_change = feeder.wake
            stopper.pool = pool
            log.begin(job.name, job.model)
            self._say_speed()
            try:
                await self._drive(pool, feeder, tuner, stopper, live)
            finally:
                stopper.pool = None
            if hooks is not None and hooks.refused_count:
                log.warning("webhooks_refused", count=hooks.refused_count)
            account.keep_card(job, board.look_ups.card)
            summary = await after_run(
                job,
                pool,
                whole(
                    await pilot.end(await self._close(pool, feeder, stopper)),
                    reporter.picture(pool).total or None,
                    tools.checkpoint.reported(),
                    self.history.items_before,
                ),
                stopper,
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

    async def _tools(
        self, stack: AsyncExitStack, gates: GateMaker, contents: Contents, note: Callable[[Note], None]
    ) -> Tools:
        job, clock, timeout_s = self.job, gates.clock, gates.timeout_s
        url = await stack.enter_async_context(service_url(job))
        client = make_client(job, url, self.key, timeout_s)
        ballast = Ballast(job.output.dir)
        ballast.make()
        remove_unfinished(job.output.dir)
        stack.callback(remove_unfinished, job.output.dir)
        opened = open_stages(job, self.options.executor, on_changed=contents.forget, note=note)
        stages = await stack.enter_async_context(opened)
        checkpoint = Checkpoint(job.output.dir / CHECKPOINT, clock.calendar, job.input)
        self.saver = Saver(job, checkpoint, stages.outputs)
        return Tools(
            clock=clock,
            gate=gates.make(job.limits.rate),
            client=await stack.enter_async_context(client),
            uploader=stages.uploader,
            outputs=self.saver,
            checkpoint=stack.enter_context(checkpoint),
            model=job.model,
            wire=Wire(job.service.spelling),
            download_count=stages.download_count,
            carry=stages.carry,
            ballast=ballast,
        )

    def _board(self, clock: Clock, checkpoint: Checkpoint) -> Board:
        deadline_at = deadline_of(clock, self.options.max_duration_s, self.started_at)
        policy = policy_of(self.job, deadline_at=deadline_at)
        board = Board(policy, clock.calendar, SystemRandom(), checkpoint.sightings())
        board.model = self.job.model
        board.tally.job_spend_usd, board.tally.dearest_usd = checkpoint.money()
        books, totals = read_books(checkpoint), checkpoint.totals()
        self.known_before, self.saved_before = books.known, totals.count(State.SAVED)
        usd, failed = board.tally.job_spend_usd, totals.count(State.FAILED)
        self.history.begin_work(saved=self.saved_before, spend_usd=usd, failed=failed)
        board.tally.written_off, board.tally.uncosted = books.written_off + books.unknown, books.uncosted
        board.look_ups = account.look_ups_of(self.job)
        for sent_at in checkpoint.written_off():
            board.keep_slot(sent_at)
        return board

    def _say_speed(self) -> None:
        simulator = self.job.simulator
        if (lacking := shortcomings(self.job.service.spelling)) is not None:
            self.options.printer.say(lacking)
        if simulator is not None and simulator.speed != 1:
            words = f"simulated: its time runs {simulator.speed:g} times as fast; rates and ETA are in it"
            self.options.printer.say(words)

    async def _pilot(self, tools: Tools, contents: Contents, stopper: Stopper) -> Piloting:
        """Draw the items of a pilot, if one was asked for."""
        options = self.options
        pilot = Piloting(self.job, tools.checkpoint, options.sample, options.max_duration_s, contents)
        await pilot.begin(options.printer.say, lambda: stopper.is_asked)
        self.item_limit = options.limit if pilot.chosen is None else pilot.open_count
        return pilot

    def _feeder(self, pool: Pool, contents: Contents, pilot: Piloting, eta: Eta) -> Feeder:
        clock = pool.tools.clock
        return Feeder(
            job=self.job,
            checkpoint=pool.tools.checkpoint,
            maker=ItemMaker(self.job, contents, defaults_of(account.known_card(self.job))),
            rejects=Rejects(self.job.output.dir, word="line" if has_lines(self.job) else "row"),
            feed=pool.feed,
            wants_items=pool.batch.wants_items,
            fail=pool.fail,
            note=pool.observer.note,
            now_unix=lambda: clock.calendar.to_unix(clock.now()),
            dedupe=dedupe_of(self.job, pool, rerun_failed=self.options.rerun_failed),
            limit=self.options.limit,
            chosen=pilot.chosen,
            on_lost=eta.lose_one,
            rerun_failed=self.options.rerun_failed,
            schema=Describing(self.job, pool),
        )

    async def _drive(self, pool: Pool, feeder: Feeder, tuner: Tuner, stopper: Stopper, live: Live) -> None:
        """Run the pool with its companions: progress, other runs and the limits, the rows, the deadline."""
        restored = pool.tools.checkpoint.unsettled()
        feeder.restored = frozenset(event.item.id for event in restored)
        if self.job.simulator is not None:  # embedded, it is at another address in each run
            restored = [replace(event, urls=()) for event in restored]
        asked = [Stop("stopped", drain=True)] if stopper.is_draining else []
        space = SpaceWatch(pool, self.job)
        pool.find_shortage = space.look
        beside = Companions(
            pool=pool,
            job=self.job,
            tuner=tuner,
            feeder=feeder,
            live=live,
            space=space,
            item_limit=self.item_limit,
            stop_at=self.options.stop_at,
            supervisor=self.options.supervisor,
        )
        async with beside.running():
            await pool.run([*restored, *asked], feeder.run, is_stopped=stopper.is_asked)

    async def _close(self, pool: Pool, feeder: Feeder, stopper: Stopper) -> Summary:
        """Bring the results up to date, group what failed, make up the books, and say how the run ended."""
        checkpoint, elapsed_s = pool.tools.checkpoint, pool.tools.clock.now()
        causes: tuple[Cause, ...] = ()
        books: Books | None = None
        await feeder.leave_mark()
        if feeder.outdated_count:
            pool.observer.note(Note("outdated_left", "info", {"count": feeder.outdated_count}))
        if feeder.is_empty:
            pool.error = pool.error or emptied(checkpoint, self.job)
            feeder.is_complete = pool.error is None
            pool.observer.note(Note("manifest_empty", "warning", {"words": empty_words(self.job)}))
        try:
            await results.bring_up_to_date(checkpoint, self.job.output.dir)
            causes = await causes_of(checkpoint, feeder.rejects.causes.values(), self.job.limits.max_attempts)
            books = await self._books(pool)
        except BatchupError as error:
            pool.error = pool.error or error
        summary = replace(
            self._summary(pool, feeder, stopper),
            causes=causes,
            passed_over=feeder.passed_over,
            optimum_share=share_of_optimum(pool.batch.board, elapsed_s),
            renamed=0 if self.saver is None else self.saver.renamed_count,
        )
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
            reason, code = "signal", stopper.exit_code
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
