"""The service's books: every prediction it has accepted, in the store; the newest are at hand in memory."""

import asyncio
import contextlib
import hashlib
import sqlite3
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from batchup.simulator.clock import Clock
from batchup.simulator.prediction import Input, Prediction
from batchup.simulator.store import Store

_FIELDS = (
    "number, id, model, input, content, created_at, duration_s, ended_at, fate, "
    "envelope, cost, image, is_checked"
)

# The list's word for a prediction at the instant ?3; see Prediction.listed_status.
_WORD = (
    "CASE WHEN ended_at <= ?3 THEN fate"
    " WHEN ?3 - created_at < 0.05 * (ended_at - created_at) THEN 'created' ELSE 'starting' END"
)

_LATE_S = 2.0
"""How long before now an instant may lie that is asked about, in real seconds: a create may trickle in."""

_AT_HAND = 10_000
"""Predictions that are at hand in memory."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Which predictions a list is about, and as of when; instants are wall seconds."""

    start_at: float
    """The first instant of creation."""
    end_at: float
    """The last instant of creation."""
    then: float
    """The instant as of which the list is."""
    model: str | None
    """None for any."""
    words: Collection[str]
    """The words of the list that their status may have then; none for any."""


def content_hash(model: str, data: Input) -> str:
    """Hash what a create asks for, so that two that ask the same are known; keys' order does not matter."""
    encoder = msgspec.json.Encoder(order="deterministic")
    return hashlib.sha256(encoder.encode([model, data])).hexdigest()


class Book:
    """All predictions, in the store; those that may still run, and the newest, are also in memory."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        live = store.rows("SELECT id, ended_at FROM predictions WHERE ended_at > ?", clock.now())
        self._running = {row["id"]: row["ended_at"] for row in live}
        newest = store.row("SELECT max(number) AS number FROM predictions")
        self._count: int = (newest["number"] if newest else None) or 0
        self._at_hand: dict[str, Prediction] = {}
        self._cancels: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    @property
    def next_number(self) -> int:
        """The number that the next accepted prediction gets, from 1."""
        return self._count + 1

    def running(self, at: float) -> list[str]:
        """Return the ids of those that have been created and have not ended at this instant."""
        kept_at = at - _LATE_S
        self._running = {name: ended_at for name, ended_at in self._running.items() if ended_at > kept_at}
        return [name for name, ended_at in self._running.items() if ended_at > at]

    def in_flight(self, at: float) -> int:
        """Return how many have been created and have not ended at this instant."""
        return len(self.running(at))

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
        return self._keep_at_hand(prediction)

    def get(self, name: str) -> Prediction | None:
        """Return the prediction with this id, or None."""
        prediction = self._at_hand.get(name)
        if prediction is None:
            query = f"SELECT {_FIELDS}, seen_at FROM predictions WHERE id = ?"  # noqa: S608 - a constant
            row = self._store.row(query, name)
            prediction = self._keep_at_hand(_prediction(row)) if row else None
        return prediction

    def listed(self, asked: Listed) -> Iterator[Prediction]:
        """Yield those that are asked for, the newest first; read them before anything is entered."""
        where, values = _where(asked)
        query = f"SELECT {_FIELDS}, seen_at FROM predictions {where}"  # noqa: S608 - marks, no values
        query += " ORDER BY created_at DESC, number DESC"
        return map(_prediction, self._store.rows(query, *values))

    def count(self, asked: Listed, most: int) -> int:
        """Return how many are asked for, and `most` where there are more."""
        where, values = _where(asked)
        query = f"SELECT count(*) AS n FROM (SELECT 1 FROM predictions {where} LIMIT {most})"  # noqa: S608
        row = self._store.row(query, *values)
        return int(row["n"]) if row else 0

    def checked(self, prediction: Prediction, image: str | None, envelope: Input | None) -> Prediction:
        """Enter what came of its image: which it is, or the failure's envelope; a fate once told stays."""
        known = self.get(prediction.id) or prediction
        if known.is_checked:
            return known
        fate = "error" if envelope else "success"
        query = "UPDATE predictions SET image = ?, envelope = ?, fate = ?, is_checked = 1 WHERE id = ?"
        self._store.write(query, image, _packed(envelope), fate, known.id)
        return self._keep_at_hand(replace(known, image=image, envelope=envelope, fate=fate, is_checked=True))

    def cancel(self, prediction: Prediction) -> Prediction:
        """End it now, unless it has ended."""
        now = self._clock.now()
        if prediction.is_ended(now):
            return prediction
        ran_s = self._clock.service(now - prediction.created_at)
        query = "UPDATE predictions SET fate = 'cancelled', envelope = NULL, is_checked = 1"
        self._store.write(query + ", ended_at = ?, duration_s = ? WHERE id = ?", now, ran_s, prediction.id)
        self._running.pop(prediction.id, None)
        if (event := self._cancels.get(prediction.id)) is not None:
            event.set()
        ended = replace(prediction, ended_at=now, duration_s=ran_s, fate="cancelled")
        return self._keep_at_hand(replace(ended, envelope=None, is_checked=True))

    async def wait(self, prediction: Prediction, until_at: float) -> Prediction:
        """Wait until it has ended or the instant has come, and return it as it is then."""
        cancelled = self._cancels.setdefault(prediction.id, asyncio.Event())
        until_at = min(until_at, prediction.ended_at)
        while not cancelled.is_set() and (left_s := until_at - self._clock.now()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(cancelled.wait(), left_s)
        return self.get(prediction.id) or prediction

    def seen(self, prediction: Prediction) -> None:
        """Note that an answer has told its end; the first time counts."""
        if prediction.is_seen:
            return
        query = "UPDATE predictions SET seen_at = ? WHERE id = ? AND seen_at IS NULL"
        self._store.write(query, self._clock.now(), prediction.id)
        if prediction.id in self._at_hand:
            self._keep_at_hand(replace(self._at_hand[prediction.id], is_seen=True))

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

    def _keep_at_hand(self, prediction: Prediction) -> Prediction:
        self._at_hand[prediction.id] = prediction
        if len(self._at_hand) > _AT_HAND:
            del self._at_hand[next(iter(self._at_hand))]
        return prediction

    def _insert(self, p: Prediction) -> None:
        marks = ", ".join("?" * 13)
        self._store.write(
            f"INSERT INTO predictions ({_FIELDS}) VALUES ({marks})",  # noqa: S608 - both are constants
            *(p.number, p.id, p.model, msgspec.json.encode(p.input).decode(), p.content),
            *(p.created_at, p.duration_s, p.ended_at, p.fate),
            *(_packed(p.envelope), p.cost, p.image, p.is_checked),
        )


def _where(asked: Listed) -> tuple[str, list[Any]]:
    values: list[Any] = [asked.start_at, asked.end_at, asked.then, asked.model, *asked.words]
    # The instant is named in any case: a query takes all of its values or none.
    where = "WHERE created_at BETWEEN ?1 AND ?2 AND ?3 IS NOT NULL AND (?4 IS NULL OR model = ?4)"
    if asked.words:
        marks = ", ".join(f"?{number + 5}" for number in range(len(asked.words)))
        where += f" AND {_WORD} IN ({marks})"
    return where, values


def _packed(envelope: Input | None) -> str | None:
    return msgspec.json.encode(envelope).decode() if envelope else None


def _prediction(row: sqlite3.Row) -> Prediction:
    values = dict(row)
    values["input"] = msgspec.json.decode(values["input"])
    values["envelope"] = msgspec.json.decode(values["envelope"]) if values["envelope"] else None
    values["is_checked"] = bool(values["is_checked"])
    values["is_seen"] = values.pop("seen_at") is not None
    return Prediction(**values)
