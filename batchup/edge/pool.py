"""The loop: when a permit is free ask the core, do what it says in a task, feed back what happened.

It decides nothing. What costs money is written down before it is done, and between the answer to a create
and the commit of its id nothing is awaited. Where several creates may be open, what happens within a moment
is committed together, and a create goes out only when its intent and all ids that came before are on disk.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from batchup.core import wire
from batchup.core.batch import Batch
from batchup.core.messages import (
    Answered,
    Download,
    End,
    Event,
    KeyRead,
    Note,
    Put,
    RereadKey,
    Sent,
    SignAddress,
    Stop,
    Tell,
)
from batchup.core.requests import Create, Done, Listed, Request, Sign, Wait, asked_for
from batchup.edge.ballast import is_full
from batchup.edge.files import FULL_REMEDY
from batchup.edge.gate.sharing import Sharing
from batchup.edge.limits import Gate, Lease, Unlimited
from batchup.edge.pending import GROUP_S, Change, Effect, Pending
from batchup.edge.secret import reread
from batchup.edge.telling.notes import Observer, not_recorded, of_exchange, tell
from batchup.edge.tools import Tools
from batchup.edge.transfers import Transfers
from batchup.errors import BatchupError, DiskProblem, OutputProblem

__all__ = ["Pool", "Tools"]

# Real seconds for running downloads after a stop; what is told and written of the end takes a few more. The
# open create is waited for as long as its answer may take: what it bought would be in doubt otherwise.
LEAVE_S = 27.0
LONGEST_NAP_S = 5.0  # real seconds; the loop looks up at least this often


@dataclass(slots=True)
class Pool:
    """Runs a batch to its end. `stop` and `abort` may be called at any time from the same loop."""

    batch: Batch
    tools: Tools
    observer: Observer
    sharing: Sharing | None = None  # with other runs that use the same key
    on_change: Callable[[], None] = lambda: None  # called when the batch may want more items
    on_key: Callable[[str], None] = lambda _: None  # called when another key is used from now on
    find_shortage: Callable[[], BatchupError | None] = lambda: None  # asked before each create
    on_look: Callable[[Pending, bool], None] = lambda *_: None  # when it asks; True: it waits for news alone
    error: BatchupError | None = None
    ending: BatchupError | None = None  # what a run that drains is to end with
    _is_broken: bool = False  # something could not be written down: nothing is begun any more
    _pending: Pending = field(default_factory=Pending)
    _news: anyio.Event = field(default_factory=anyio.Event)
    _is_leaving: anyio.Event = field(default_factory=anyio.Event)
    _tasks: TaskGroup = field(init=False)
    _transfers: Transfers = field(init=False)

    def __post_init__(self) -> None:
        self._transfers = Transfers(self.tools, self.observer, self.feed, self.fail, self._is_leaving)

    async def run(
        self,
        restored: Iterable[Event],
        read_items: Callable[[], Coroutine[Any, Any, None]],
        *,
        is_stopped: bool = False,
    ) -> None:
        """Take up what was left, then send, wait and save until nothing is left; raise nothing but bugs."""
        try:
            async with anyio.create_task_group() as self._tasks:
                for event in restored:
                    self.feed(event)
                self.look_at_others()
                if is_stopped:
                    self.stop("signal")
                self._tasks.start_soon(read_items)
                await self._loop()
                self.commit()
                self.error = self.error or self.ending or self.batch.outage(self.tools.clock.now())
                self._is_leaving.set()  # a stop that comes now finds nothing to leave
                if self.sharing is not None:
                    with self._or_fail():
                        self.sharing.leave()
                self._tasks.cancel_scope.cancel()
        finally:
            if self._pending.changes:  # of a run that was cancelled: they are written, and nothing is begun
                self._written()

    async def _loop(self) -> None:
        while not self._is_broken:
            now, permits = self.tools.clock.now(), self._permits()
            choice = self.batch.choose(now, permits)
            self.on_look(self._pending, permits > 0 and choice == Wait(None))
            if isinstance(choice, Done):
                break
            if isinstance(choice, Wait):
                await self._wait(choice, now, permits)
            elif isinstance(choice, Sign):
                self.feed(Sent(choice))  # which takes no permit
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
        pending = self._pending
        is_first = not pending.changes
        pending.add(self.batch.handle(event, self.tools.clock.now()), bought)
        if not pending.changes or self._is_broken or self.batch.board.policy.open_creates == 1:
            self.commit()
        elif is_first:
            self._tasks.start_soon(self._commit_soon)
        self._wake()

    async def _commit_soon(self) -> None:
        """Gather for a moment what is to be written down; what is cancelled here `run` writes at its end."""
        await anyio.sleep(GROUP_S)
        self.commit()

    def commit(self) -> None:
        """Write down what waits for it, all in one, and do what follows."""
        for effect in self._written():
            self._do(effect)

    def _written(self) -> list[Effect]:
        """Write down what waits for it and return what may be done now; nothing, if that fails."""
        pending, self._pending = self._pending, Pending()
        try:
            self._keep(pending.changes, is_bought=bool(pending.bought))
        except BatchupError as error:
            self._is_broken = True
            for note in pending.bought:
                self.observer.note(note)
            self.fail(error)
            return []
        if self.sharing is not None:
            with self._or_fail():
                self.sharing.follow()
        return pending.effects

    def look_at_others(self) -> None:
        """Take in what other runs with the same key do, and let them know of this one."""
        if self.sharing is not None:
            with self._or_fail():
                for event in self.sharing.beat():
                    self.feed(event)

    def _keep(self, changes: list[Change], *, is_bought: bool) -> None:
        """Write changes down; once more where room was made, or something was bought: a disk may take it."""
        try:
            self.tools.checkpoint.keep(changes)
        except BatchupError as error:
            if not (self._has_made_room(error, is_bought=is_bought) or is_bought):
                raise
            self.tools.checkpoint.keep(changes)

    def _has_made_room(self, error: BatchupError, *, is_bought: bool) -> bool:
        """Give up the ballast for a write that the disk did not take; the run ends, as there is only one."""
        ballast = self.tools.ballast
        if ballast is None or not (is_bought or is_full(error)) or not ballast.release():
            return False
        self.fail(DiskProblem(error.message, remedy=FULL_REMEDY))
        self.abort()  # a download would take the room at once
        return True

    def stop(self, reason: str, *, drain: bool = False) -> None:
        """Create nothing more; leave what is in flight to the next run, or with `drain` let it land."""
        self.feed(Stop(reason, drain=drain))
        if not drain:
            self._leave()

    def drain(self, error: BatchupError) -> None:
        """Create nothing more, let what is in flight land, and end the run with `error`."""
        self.ending = self.ending or error
        self.stop("disk", drain=True)

    def abort(self) -> None:
        """Drop the downloads; the open create is still waited for."""
        self._transfers.drop()
        self._wake()

    def fail(self, error: BatchupError) -> None:
        """End the run because of `error`: leave, or drain where outputs are refused; the caller raises it."""
        if isinstance(error, OutputProblem):
            self.drain(error)
            return
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
        if isinstance(request, Create) and self._lacks_room():
            return
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
        if self._pending.holds_back(request):
            self._pending.effects.append(partial(self._start, request, gate, lease))
        else:
            self._start(request, gate, lease)

    def _start(self, request: Request, gate: Gate | Unlimited, lease: Lease) -> None:
        self._tasks.start_soon(self._exchange, request, gate, lease)

    def _lacks_room(self) -> bool:
        """Drain where the disk has too little room for what a create would bring."""
        shortage: BatchupError | None = None
        with self._or_fail():
            shortage = self.find_shortage()
        if shortage is not None:
            self.drain(shortage)
        return shortage is not None or self.error is not None

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
            call = self.tools.wire.call_of(request, self.tools.model, self.tools.hook)
            with self._or_fail():  # a slow disk or a stopped process may have come since the permit was taken
                gate.sent(lease, self.tools.clock.monotonic())
            raw = await self.tools.client.send(call, request.kind, asked_for(request))
            if isinstance(raw, wire.Response):
                with self._or_fail():
                    gate.answered(lease, self.tools.clock.monotonic())
            self.observer.note(of_exchange(request, raw))
            # From here to the commit inside `feed` nothing is awaited.
            unix = self.tools.clock.calendar.to_unix(self.tools.clock.now())
            answer = self.tools.wire.read(request, raw, unix)
            known: frozenset[str] = frozenset()
            if isinstance(answer, Listed):
                self.commit()
                with self._or_fail():
                    known = self.tools.checkpoint.known_predictions([row[0] for row in answer.rows])
            self.feed(Answered(request, answer, wire.service_offset_s(raw, unix), known))

    async def _wait(self, wait: Wait, now: float, permits: int) -> None:
        """Sleep until the core may answer otherwise: an instant, an event or one more permit."""
        clock, gate = self.tools.clock, self.tools.gate
        nap = LONGEST_NAP_S
        if wait.until is not None:
            nap = min(nap, clock.real_s(wait.until - now))
        if self.error is None:
            monotonic = clock.monotonic()
            with self._or_fail():
                nap = min(nap, gate.next_at(monotonic) - monotonic)
        waiting = self.tools.waits.of(self.batch, now, permits, clock.monotonic)
        with waiting, anyio.move_on_after(max(0.0, nap)):
            await self._news.wait()
        self._news = anyio.Event()

    # ------------------------------------------------------------ commands

    def _do(self, effect: Effect) -> None:
        match effect:
            case Download():
                self._tasks.start_soon(self._transfers.download, effect)
            case Put():
                self._tasks.start_soon(self._transfers.put, effect)
            case SignAddress():
                self._tasks.start_soon(self._transfers.sign, effect)
            case Tell():
                tell(self.observer, effect.outcome, self.fail)
            case Note():
                self.observer.note(effect)
            case RereadKey():
                self._tasks.start_soon(self._reread_key)
            case End():
                self.fail(effect.error)
            case _:
                effect()

    async def _reread_key(self) -> None:
        key = await reread(self.tools.read_key)
        if key is None or not self.tools.client.take_key(key):
            self.feed(KeyRead(changed=False))
            return
        with self._or_fail():
            self.on_key(key)
        self.feed(KeyRead(changed=True))
