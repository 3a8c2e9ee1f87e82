"""The loop: when a permit is free ask the core, do what it says in a task, feed back what happened.

It decides nothing. What costs money is written down before it is done, and between the answer to a create
and the commit of its id nothing is awaited.
"""

import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup

from batchup.core import wire
from batchup.core.batch import Batch
from batchup.core.items import Failure, Outcome
from batchup.core.messages import (
    Answered,
    Download,
    Downloaded,
    DownloadFailed,
    End,
    Event,
    Keep,
    KeepSightings,
    KeepUpload,
    Note,
    Put,
    Sent,
    Stop,
    Tell,
    UploadFailed,
)
from batchup.core.requests import Create, Done, Listed, Request, Wait
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.limits import Gate, Lease, Unlimited
from batchup.edge.notes import Observer, not_recorded, of_exchange
from batchup.edge.outputs import DownloadProblem, Outputs
from batchup.edge.put import Uploader
from batchup.edge.sharing import Sharing
from batchup.errors import BatchupError, InternalProblem

LEAVE_S = 33.0  # real seconds for the open create and running downloads after a stop
LONGEST_NAP_S = 5.0  # real seconds; the loop looks up at least this often
BUGS_BORNE = 4  # items that may meet a bug of ours before it is the run's affair


@dataclass(slots=True)
class Tools:
    """What the pool works with."""

    clock: Clock
    gate: Gate | Unlimited
    client: Client
    uploader: Uploader
    outputs: Outputs
    checkpoint: Checkpoint
    model: str
    download_count: int
    hook: wire.Hook | None = None  # where the service is to call back


@dataclass(slots=True)
class Pool:
    """Runs a batch to its end. `stop` and `abort` may be called at any time from the same loop."""

    batch: Batch
    tools: Tools
    observer: Observer
    sharing: Sharing | None = None  # with other runs that use the same key
    on_change: Callable[[], None] = lambda: None  # called when the batch may want more items
    error: BatchupError | None = None
    _is_broken: bool = False  # something could not be written down: nothing is begun any more
    _met_bugs: set[str] = field(default_factory=set)  # items, or contents, that met a bug of ours
    _news: anyio.Event = field(default_factory=anyio.Event)
    _is_leaving: anyio.Event = field(default_factory=anyio.Event)
    _saving: set[anyio.CancelScope] = field(default_factory=set)
    _tasks: TaskGroup = field(init=False)
    _download_slots: anyio.CapacityLimiter = field(init=False)

    async def run(
        self,
        restored: Iterable[Event],
        read_items: Callable[[], Coroutine[Any, Any, None]],
        *,
        is_stopped: bool = False,
    ) -> None:
        """Take up what was left, then send, wait and save until nothing is left; raise nothing but bugs."""
        self._download_slots = anyio.CapacityLimiter(self.tools.download_count)
        async with anyio.create_task_group() as self._tasks:
            for event in restored:
                self.feed(event)
            self.look_at_others()
            if is_stopped:
                self.stop("signal")
            self._tasks.start_soon(read_items)
            await self._loop()
            self._is_leaving.set()  # a stop that comes now finds nothing to leave
            if self.sharing is not None:
                with self._or_fail():
                    self.sharing.leave()
            self._tasks.cancel_scope.cancel()

    async def _loop(self) -> None:
        while not self._is_broken:
            now, permits = self.tools.clock.now(), self._permits()
            choice = self.batch.choose(now, permits)
            if isinstance(choice, Done):
                break
            if isinstance(choice, Wait):
                await self._wait(choice, now)
            else:
                await self._begin(choice)

    def _permits(self) -> int:
        try:
            return self.tools.gate.free(self.tools.clock.monotonic())
        except BatchupError as error:
            self.fail(error)
            return 0

    def feed(self, event: Event) -> None:
        """Tell the core a fact and do what follows: what has to be written down first, then the rest.

        After a write that failed nothing counts any more, but for the id of a prediction that was bought.
        """
        bought = not_recorded(event)
        if self._is_broken and bought is None:
            return
        commands = self.batch.handle(event, self.tools.clock.now())
        changes = [command for command in commands if isinstance(command, Keep | KeepUpload | KeepSightings)]
        try:
            self._keep(changes, is_bought=bought is not None)
        except BatchupError as error:
            self._is_broken = True
            if bought is not None:
                self.observer.note(bought)
            self.fail(error)
            return
        if self.sharing is not None:
            with self._or_fail():
                self.sharing.follow()
        for command in commands:
            self._do(command)
        self._wake()

    def look_at_others(self) -> None:
        """Take in what other runs with the same key do, and let them know of this one."""
        if self.sharing is not None:
            with self._or_fail():
                for event in self.sharing.beat():
                    self.feed(event)

    def _keep(self, changes: list[Keep | KeepUpload | KeepSightings], *, is_bought: bool) -> None:
        """Write changes down; what was bought is tried once more, as a disk may take the second write."""
        try:
            self.tools.checkpoint.keep(changes)
        except BatchupError:
            if not is_bought:
                raise
            self.tools.checkpoint.keep(changes)

    def stop(self, reason: str, *, drain: bool = False) -> None:
        """Create nothing more; leave what is in flight to the next run, or with `drain` let it land."""
        self.feed(Stop(reason, drain=drain))
        if not drain:
            self._leave()

    def abort(self) -> None:
        """Drop the downloads; the open create is still waited for."""
        for scope in list(self._saving):
            scope.cancel()
        self._wake()

    def fail(self, error: BatchupError) -> None:
        """End the run because of `error`: leave, and let the caller raise it."""
        self.error = self.error or error
        self.batch.board.error = self.batch.board.error or error
        self._leave()

    @contextmanager
    def _or_fail(self) -> Iterator[None]:
        """Let a problem of the ledger or the checkpoint end the run in order: what is open is heard out."""
        try:
            yield
        except BatchupError as error:
            self.fail(error)

    def _leave(self) -> None:
        if not self._is_leaving.is_set():
            self._is_leaving.set()
            self._tasks.start_soon(self._abort_in_time)
        self._wake()

    async def _abort_in_time(self) -> None:
        await anyio.sleep(LEAVE_S)
        self.abort()

    def _wake(self) -> None:
        self._news.set()
        self.on_change()

    # ------------------------------------------------------------ requests

    async def _begin(self, request: Request) -> None:
        gate, lease = self.tools.gate, None
        with self._or_fail():
            lease = await gate.take(self.tools.clock.monotonic())
        if lease is None:
            return  # another run on this host took the permit between the question and now
        if isinstance(request, Create) and not self._has_slot():
            with self._or_fail():
                gate.give_back(lease, self.tools.clock.monotonic())
            return
        self.feed(Sent(request))
        if self._is_broken:
            return
        with self._or_fail():  # a slow disk may have held up the commit since the permit was taken
            gate.sent(lease, self.tools.clock.monotonic())
        self._tasks.start_soon(self._exchange, request, gate, lease)

    def _has_slot(self) -> bool:
        """Take a slot for a create; what other runs have taken meanwhile is told to the core."""
        if self.sharing is None:
            return True
        with self._or_fail():
            taken = self.sharing.take()
            if taken is None:
                return True
            self.feed(taken)
        return False

    async def _exchange(self, request: Request, gate: Gate | Unlimited, lease: Lease) -> None:
        """Send one request. A create is shielded: it may be bought already when somebody cancels."""
        with anyio.CancelScope(shield=isinstance(request, Create)):
            call = wire.call_of(request, self.tools.model, self.tools.hook)
            raw = await self.tools.client.send(call, request.kind)
            if isinstance(raw, wire.Response):
                with self._or_fail():
                    gate.answered(lease, self.tools.clock.monotonic())
            self.observer.note(of_exchange(request, raw))
            # From here to the commit inside `feed` nothing is awaited.
            unix = self.tools.clock.calendar.to_unix(self.tools.clock.now())
            answer = wire.read(request, raw, unix)
            known: frozenset[str] = frozenset()
            if isinstance(answer, Listed):
                with self._or_fail():
                    known = self.tools.checkpoint.known_predictions([row[0] for row in answer.rows])
            self.feed(Answered(request, answer, wire.service_offset_s(raw, unix), known))

    async def _wait(self, wait: Wait, now: float) -> None:
        """Sleep until the core may answer otherwise: an instant, an event or one more permit."""
        clock, gate = self.tools.clock, self.tools.gate
        nap = LONGEST_NAP_S
        if wait.until is not None:
            nap = min(nap, clock.real_s(wait.until - now))
        if self.error is None:
            monotonic = clock.monotonic()
            with self._or_fail():
                nap = min(nap, gate.next_at(monotonic) - monotonic)
        with anyio.move_on_after(max(0.0, nap)):
            await self._news.wait()
        self._news = anyio.Event()

    # ------------------------------------------------------------ commands

    def _do(self, command: object) -> None:
        match command:
            case Download():
                self._tasks.start_soon(self._download, command)
            case Put():
                self._tasks.start_soon(self._put, command)
            case Tell():
                self._tell(command.outcome)
            case Note():
                self.observer.note(command)
            case End():
                self.fail(command.error)
            case _:
                pass

    def _tell(self, outcome: Outcome) -> None:
        """Pass an outcome on; if that raises, nobody takes the outcomes, and the run ends in order."""
        try:
            self.observer.outcome(outcome)
        except Exception as error:  # noqa: BLE001 a caller's function may raise anything
            words = f"What is called with each outcome raised {type(error).__name__}: {error}"
            problem = InternalProblem(words, remedy="Nothing is lost; run the same job again.")
            problem.__cause__ = error
            self.fail(problem)

    async def _put(self, command: Put) -> None:
        try:
            event = await self.tools.uploader.put(command)
        except Exception as error:  # noqa: BLE001 a bug in one item is not the run's
            event = UploadFailed(command.file.sha256, self._blame(command.file.sha256, error))
        self.feed(event)

    def _blame(self, what: str, error: Exception) -> Failure:
        """Turn what a transfer raised into a failure of its item; a problem of the run ends the run."""
        if isinstance(error, BatchupError):
            self.fail(error)
            return Failure("disk", error.message, retryable=True)
        words = f"a bug in batchup: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        self.observer.note(Note("bug", "error", {"item": what, "why": words, "trace": trace}))
        self._met_bugs.add(what)
        if len(self._met_bugs) > BUGS_BORNE:
            remedy = "Nothing is lost; run.log.jsonl shows where it happened."
            self.fail(InternalProblem(f"{len(self._met_bugs)} items met {words}", remedy=remedy))
        return Failure("internal", words)

    async def _download(self, command: Download) -> None:
        dropped = DownloadFailed(command.item_id, Failure("stopped", "the run was stopped", retryable=True))
        with anyio.CancelScope() as scope:
            self._saving.add(scope)
            await self._hold_back(command)
            if self._is_leaving.is_set() and command.not_before > self.tools.clock.now():
                event: Downloaded | DownloadFailed = dropped
            else:
                async with self._download_slots:
                    event = await self._fetch(command)
            self._saving.discard(scope)
        self.feed(dropped if scope.cancelled_caught else event)

    async def _hold_back(self, command: Download) -> None:
        """Wait for the download's time, but not beyond a stop."""
        wait_s = self.tools.clock.real_s(command.not_before - self.tools.clock.now())
        if wait_s > 0:
            with anyio.move_on_after(wait_s):
                await self._is_leaving.wait()

    async def _fetch(self, command: Download) -> Downloaded | DownloadFailed:
        try:
            is_twin = self.tools.checkpoint.is_twin(command.item_id)
            files = await self.tools.outputs.save(command.item_id, command.urls, is_twin=is_twin)
        except DownloadProblem as problem:
            return DownloadFailed(command.item_id, problem.failure, is_gone=problem.is_gone)
        except Exception as error:  # noqa: BLE001 a bug in one item is not the run's
            return DownloadFailed(command.item_id, self._blame(command.item_id, error))
        return Downloaded(command.item_id, files)
