"""Small parts that tests of single reactions are made of: a board at hand, and facts put short."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from core.world import item

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item
from batchup.core.messages import (
    Answered,
    Command,
    End,
    ItemRead,
    ItemRestored,
    Keep,
    ManifestEnded,
    Note,
    Sent,
    Tell,
)
from batchup.core.policy import Policy
from batchup.core.requests import (
    Accepted,
    Answer,
    Create,
    Done,
    Poll,
    Problem,
    Request,
    Seen,
    Sign,
    Survey,
    Surveyed,
    Wait,
)
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.errors import BatchupError

EPOCH = 1_800_000_000.0
URL = "https://cdn.example/out.png"
AGAIN = Failure("prediction_failed", "try again", retryable=True)
NEVER = Failure("prediction_failed", "never")
T = TypeVar("T", bound=Request)


class Bench:
    """A batch with a few items, and short ways to send, answer and look."""

    def __init__(self, count: int = 1, *, policy: Policy | None = None, **settings: Any) -> None:
        self.policy = policy or Policy(**{"may_survey": False, **settings})
        self.board = Board(self.policy, Calendar(EPOCH), Random(1))
        self.batch = Batch(self.board)
        for k in range(count):
            self.read(item(f"i{k}", line=k + 1))

    def read(self, it: Item, **more: Any) -> list[Command]:
        """Let the manifest have an item."""
        return self.batch.handle(ItemRead(it, **more), 0.0)

    def end_manifest(self) -> None:
        """Let the manifest end."""
        self.batch.handle(ManifestEnded(), 0.0)

    def restore(self, state: State, *, now: float = 0.0, **more: Any) -> list[Command]:
        """Take up an item that an earlier run left."""
        facts: dict[str, Any] = {"attempt": 1, "sent_at": -50.0, "hashes": {"key": "0"}} | more
        it = facts.pop("item", item("r0"))
        return self.batch.handle(ItemRestored(it, state, **facts), now)

    def choose(self, now: float, permits: int = 10) -> Request | Sign | Wait | Done:
        """Ask what to do."""
        return self.batch.choose(now, permits)

    def send(self, kind: type[T], now: float) -> T:
        """Send what the batch chooses, which has to be of this kind."""
        request = self.choose(now)
        assert isinstance(request, kind), request
        self.batch.handle(Sent(request), now)
        return request

    def answer(self, request: Request, answer: Answer, now: float, **more: Any) -> list[Command]:
        """Answer a request."""
        return self.batch.handle(Answered(request, answer, **more), now)

    def create(self, now: float = 0.0, prediction_id: str = "p0") -> Create:
        """Send a create, and have it accepted at once."""
        request = self.send(Create, now)
        self.answer(request, Accepted(prediction_id), now)
        return request

    def fail_create(self, verdict: Verdict, now: float = 0.0, **more: Any) -> list[Command]:
        """Send a create and answer it badly."""
        return self.answer(self.send(Create, now), problem(verdict, **more), now)

    def poll(self, answer: Answer, now: float | None = None) -> list[Command]:
        """Poll what is due first, when it is or at `now`, and answer."""
        work, due_at = self.board.watch.next(0.0, 0.0)
        assert work is not None
        assert work.prediction_id is not None
        at = max(due_at, now or 0.0)
        request = Poll(work.item.id, work.prediction_id)
        self.batch.handle(Sent(request), at)
        return self.answer(request, answer, at)

    def next_look_at(self, key: str = "i0") -> float:
        """Return when a prediction is looked at next, the soonest."""
        work = self.board.works[key]
        return work.looks[0] if work.looks else work.next_poll_at

    def state(self, key: str = "i0") -> State:
        """Return the state of an item that is worked on."""
        return self.board.works[key].state


def problem(verdict: Verdict, words: str = "words", **more: Any) -> Problem:
    """Make a bad answer."""
    return Problem(verdict, Failure("kind", words, "code", retryable=True), **more)


def running(prediction_id: str = "p0", **more: Any) -> Seen:
    return Seen(prediction_id, False, **more)


def done(prediction_id: str = "p0", **more: Any) -> Seen:
    return Seen(prediction_id, True, (URL,), **more)


def failed(failure: Failure, prediction_id: str = "p0", **more: Any) -> Seen:
    return Seen(prediction_id, True, (), failure, **more)


def moves(commands: Sequence[Command]) -> list[tuple[State, State]]:
    """Return the changes of state among the commands."""
    return [(command.was, command.becomes) for command in commands if isinstance(command, Keep)]


def told(commands: Sequence[Command]) -> list[str]:
    """Return the states that outcomes among the commands tell."""
    return [command.outcome.state for command in commands if isinstance(command, Tell)]


def ended(commands: Sequence[Command]) -> type[BatchupError] | None:
    """Return the class of the error that ends the run, if one does."""
    return next((type(command.error) for command in commands if isinstance(command, End)), None)


class Lister(Bench):
    """A bench whose service has a list: predictions created at 0 s, and short ways to poll and survey."""

    def __init__(self, count: int = 10, **settings: Any) -> None:
        super().__init__(count, **{"may_survey": True, **settings})
        for k in range(count):
            self.create(0.0, f"p{k}")

    def poll_of(self, key: str, answer: Answer, now: float, took_s: float = 0.1) -> list[Command]:
        """Poll one item's prediction, and have it answered after so long."""
        request = Poll(key, str(self.board.works[key].prediction_id))
        self.batch.handle(Sent(request), now - took_s)
        return self.answer(request, answer, now)

    def survey(self, rows: Sequence[Seen] | Problem, now: float) -> list[Command]:
        """Send the survey that has to be wanted now, and answer it."""
        request = self.send(Survey, now)
        return self.answer(request, rows if isinstance(rows, Problem) else Surveyed(tuple(rows)), now + 0.1)

    def rows_of_running(self) -> list[Seen]:
        """Return what the list shows of all that is in flight and runs."""
        return [running(str(work.prediction_id)) for work in self.board.watch.planned()]

    def prove(self, now: float = 50.0, count: int = 2, lag_s: float = 0.0, first: int = 0) -> list[Command]:
        """Let polls find the first items done, and the list show each the same, late as it may be."""
        commands = []
        for k in range(count):
            ended_at, key = now + k * (1 + 3 * lag_s), first + k
            self.poll_of(f"i{key}", done(f"p{key}", predict_time_s=ended_at), ended_at + 0.2)
            at = ended_at + 0.2
            while self.board.survey.probe is not None:
                at = max(at, self.board.survey.not_before) + 0.01
                row = done if at >= ended_at + lag_s else running
                commands += self.survey([row(f"p{key}"), *self.rows_of_running()], at)
        return commands


def events(commands: Sequence[Command]) -> list[str]:
    """Return the notes among the commands, by name."""
    return [command.event for command in commands if isinstance(command, Note)]


@contextmanager
def untraced() -> Iterator[None]:
    """Let nothing watch what is timed: a measurement of coverage makes it several times as slow."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)
