"""Small parts that tests of single reactions are made of: a board at hand, and facts put short."""

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from core.world import item

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item
from batchup.core.messages import (
    Accepted,
    Answer,
    Answered,
    Command,
    Create,
    Done,
    End,
    ItemRead,
    ItemRestored,
    Keep,
    ManifestEnded,
    Poll,
    Problem,
    Request,
    Seen,
    Sent,
    Tell,
    Wait,
)
from batchup.core.policy import Policy
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

    def choose(self, now: float, permits: int = 10) -> Request | Wait | Done:
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
