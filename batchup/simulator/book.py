"""The service's books: every prediction it has accepted; what one is like follows from the time alone."""

import hashlib
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from batchup.simulator.clock import Clock
from batchup.simulator.store import Store

Input: TypeAlias = Mapping[str, Any]

_FIELDS = (
    "number, id, model, input, content, created_at, duration_s, ended_at, fate, "
    "envelope, cost, image, is_checked"
)


_LATE_S = 2.0
"""How long before now an instant may lie that is asked about, in real seconds: a create may trickle in."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One accepted create; instants are wall seconds, `duration_s` service seconds, `cost` USD."""

    number: int
    id: str
    model: str
    input: Input
    content: str
    created_at: float
    duration_s: float
    ended_at: float
    fate: str
    """The status word it ends with: success, error or cancelled."""
    envelope: Input | None
    """The `output` of one that fails."""
    cost: float
    image: str | None
    """Its image: the sha256 of one that is kept, or `drawn`; None where it is not known."""
    is_checked: bool
    """Whether its image has been looked at: only then is its fate final."""

    def is_ended(self, now: float) -> bool:
        """Tell whether it has stopped running."""
        return now >= self.ended_at

    def status(self, now: float) -> str:
        """Return the service's word for it at this instant."""
        if self.is_ended(now):
            return self.fate
        share = (now - self.created_at) / (self.ended_at - self.created_at)
        return "created" if share < 0.05 else "starting" if share < 0.15 else "processing"

    def ran_s(self, now: float) -> float:
        """Return how long it ran, in service seconds: 0 until it has ended."""
        return self.duration_s if self.is_ended(now) else 0.0

    def billed(self, now: float) -> float:
        """Return what it costs by now: nothing before it has ended well."""
        return self.cost if self.status(now) == "success" else 0.0


def content_hash(model: str, data: Input) -> str:
    """Hash what a create asks for, so that two that ask the same are known; keys' order does not matter."""
    encoder = msgspec.json.Encoder(order="deterministic")
    return hashlib.sha256(encoder.encode([model, data])).hexdigest()


class Book:
    """All predictions, in the store; those that may still run are also in memory."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        live = store.rows("SELECT id, ended_at FROM predictions WHERE ended_at > ?", clock.now())
        self._running = {row["id"]: row["ended_at"] for row in live}
        newest = store.row("SELECT max(number) AS number FROM predictions")
        self._count: int = (newest["number"] if newest else None) or 0

    @property
    def next_number(self) -> int:
        """The number that the next accepted prediction gets, from 1."""
        return self._count + 1

    def in_flight(self, at: float) -> int:
        """Return how many have been created and have not ended at this instant."""
        kept_at = at - _LATE_S
        self._running = {name: ended_at for name, ended_at in self._running.items() if ended_at > kept_at}
        return sum(ended_at > at for ended_at in self._running.values())

    def is_bought(self, content: str, now: float) -> bool:
        """Tell whether the same has been accepted before and has not ended badly."""
        query = "SELECT 1 FROM predictions WHERE content = ? AND (fate = 'success' OR ended_at > ?) LIMIT 1"
        return self._store.row(query, content, now) is not None

    def accept(
        self,
        *,
        model: str,
        data: Input,
        content: str,
        duration_s: float,
        cost: float,
        envelope: Input | None = None,
    ) -> Prediction:
        """Enter a new prediction, which runs from now; with an `envelope` it will fail."""
        now = self._clock.now()
        prediction = Prediction(
            number=self.next_number,
            id=str(uuid.uuid4()),
            model=model,
            input=data,
            content=content,
            created_at=now,
            duration_s=duration_s,
            ended_at=now + self._clock.real(duration_s),
            fate="error" if envelope else "success",
            envelope=envelope,
            cost=cost,
            image=None,
            is_checked=bool(envelope),
        )
        self._count += 1
        self._running[prediction.id] = prediction.ended_at
        self._insert(prediction)
        return prediction

    def get(self, name: str) -> Prediction | None:
        """Return the prediction with this id, or None."""
        row = self._store.row(f"SELECT {_FIELDS} FROM predictions WHERE id = ?", name)  # noqa: S608
        return _prediction(row) if row else None

    def between(self, start_at: float, end_at: float, model: str | None) -> Iterator[Prediction]:
        """Yield those created in this span, the newest first."""
        query = f"SELECT {_FIELDS} FROM predictions WHERE created_at BETWEEN ? AND ?"  # noqa: S608
        query += " AND (? IS NULL OR model = ?) ORDER BY created_at DESC, number DESC"
        return map(_prediction, self._store.rows(query, start_at, end_at, model, model))

    def checked(self, prediction: Prediction, image: str | None, envelope: Input | None) -> Prediction:
        """Enter what came of its image: which it is, or the failure's envelope; a fate once told stays."""
        query = "UPDATE predictions SET image = ?, envelope = ?, fate = ?, is_checked = 1 WHERE id = ?"
        fate = "error" if envelope else "success"
        packed = msgspec.json.encode(envelope).decode() if envelope else None
        self._store.write(query + " AND is_checked = 0", image, packed, fate, prediction.id)
        return self.get(prediction.id) or prediction

    def cancel(self, prediction: Prediction) -> Prediction:
        """End it now, unless it has ended."""
        now = self._clock.now()
        ran_s = self._clock.service(now - prediction.created_at)
        query = "UPDATE predictions SET fate = 'cancelled', envelope = NULL, is_checked = 1"
        query += ", ended_at = ?, duration_s = ? WHERE id = ? AND ended_at > ?"
        self._store.write(query, now, ran_s, prediction.id, now)
        self._running.pop(prediction.id, None)
        return self.get(prediction.id) or prediction

    def seen(self, prediction: Prediction) -> None:
        """Note that an answer has told its end; the first time counts."""
        query = "UPDATE predictions SET seen_at = ? WHERE id = ? AND seen_at IS NULL"
        self._store.write(query, self._clock.now(), prediction.id)

    def reserved(self, at: float) -> float:
        """Return the cost in USD of what is in flight."""
        return self._sum("SELECT sum(cost) AS usd FROM predictions WHERE ended_at > ?", at)

    def spent(self, at: float) -> float:
        """Return the cost in USD of what has ended well."""
        return self._sum(
            "SELECT sum(cost) AS usd FROM predictions WHERE ended_at <= ? AND fate = 'success'", at
        )

    def statuses(self, at: float) -> dict[str, int]:
        """Return how many there are of each end, and `in_flight`."""
        query = (
            "SELECT iif(ended_at > ?, 'in_flight', fate) AS word, count(*) AS n FROM predictions GROUP BY 1"
        )
        return {row["word"]: row["n"] for row in self._store.rows(query, at)}

    def _sum(self, query: str, at: float) -> float:
        row = self._store.row(query, at)
        return round((row["usd"] if row else None) or 0.0, 9)

    def _insert(self, p: Prediction) -> None:
        marks = ", ".join("?" * 13)
        self._store.write(
            f"INSERT INTO predictions ({_FIELDS}) VALUES ({marks})",  # noqa: S608 - both are constants
            *(p.number, p.id, p.model, msgspec.json.encode(p.input).decode(), p.content),
            *(p.created_at, p.duration_s, p.ended_at, p.fate),
            msgspec.json.encode(p.envelope).decode() if p.envelope else None,
            *(p.cost, p.image, p.is_checked),
        )


def _prediction(row: sqlite3.Row) -> Prediction:
    values = dict(row)
    values["input"] = msgspec.json.decode(values["input"])
    values["envelope"] = msgspec.json.decode(values["envelope"]) if values["envelope"] else None
    values["is_checked"] = bool(values["is_checked"])
    return Prediction(**values)
