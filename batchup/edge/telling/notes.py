"""Who is told how a run goes; what is noted of an exchange, and of a purchase that was not written down."""

from collections.abc import Callable
from typing import Protocol

from batchup.core import wire
from batchup.core.items import Outcome
from batchup.core.messages import Answered, Event, Note
from batchup.core.requests import Accepted, Create, Poll, Request, asked_for
from batchup.errors import BatchupError, InternalProblem


class Observer(Protocol):
    """Whoever wants to know how the run goes; gets frozen values."""

    def note(self, note: Note) -> None:
        """Something a person may want to know."""

    def outcome(self, outcome: Outcome) -> None:
        """An item has come to its end in this run."""


def not_recorded(event: Event) -> Note | None:
    """Return what is to be said of a prediction that was bought, if its id cannot be written down."""
    match event:
        case Answered(request=Create(item_id=item_id, attempt=attempt), answer=Accepted(prediction_id=id_)):
            fields = {"item": item_id, "attempt": attempt, "prediction_id": id_}
            return Note("not_recorded", "error", fields)
        case _:
            return None


def of_exchange(request: Request, raw: wire.Raw) -> Note:
    """Describe an exchange for the log of whoever looks for a fault."""
    came = {"status": raw.status} if isinstance(raw, wire.Response) else {"why": raw.message}
    about: dict[str, object] = {}
    match request:
        case Create(item_id=item_id, attempt=attempt):
            about = {"item": item_id, "attempt": attempt}
        case Poll(item_id=item_id, prediction_id=id_, attempt=attempt):
            about = {"item": item_id, "attempt": attempt, "prediction_id": id_}
        case _:
            pass
    return Note("request", "debug", {"kind": asked_for(request), **about, **came})


def tell(observer: Observer, outcome: Outcome, fail: Callable[[BatchupError], None]) -> None:
    """Pass an outcome on; if that raises, nobody takes the outcomes, and the run ends in order."""
    try:
        observer.outcome(outcome)
    except Exception as error:  # noqa: BLE001 a caller's function may raise anything
        words = f"What is called with each outcome raised {type(error).__name__}: {error}"
        problem = InternalProblem(words, remedy="Nothing is lost; run the same job again.")
        problem.__cause__ = error
        fail(problem)
