"""Of which item each prediction is that a list shows and nobody here knows.

The list has no inputs, so each is asked for, and compared with the creates that were never answered, with the
items of the checkpoint, and with those of the manifest. Nothing is changed.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import anyio.to_thread
import msgspec

from batchup.core.audit import Sent, match
from batchup.core.items import Item
from batchup.core.redaction import plain_value
from batchup.core.requests import Inspect, Seen
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import UNSAVED, is_prediction
from batchup.edge.desk import Desk
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents
from batchup.edge.mending.uploaded import (
    PLACES,
    fingerprint_by_content,
    fingerprint_of_shown,
    note_places,
    signed_items,
    that_show_place_of,
)
from batchup.edge.models.account import known_card
from batchup.edge.models.fitting import Fitting, all_items
from batchup.job import Job

_CHUNK: Final = 500
STRANGERS: Final = f"""
CREATE TEMP TABLE strangers (prediction_id TEXT PRIMARY KEY, fingerprint BLOB, input TEXT);
{PLACES};
"""
_CREATES: Final = (
    "SELECT id, attempt, sent_at + coalesce(service_offset, 0), hashes FROM items"  # noqa: S608 a name of ours
    f" WHERE {UNSAVED} AND state IN ('submitting', 'in_doubt', 'held') AND hashes IS NOT NULL"
    " UNION ALL SELECT i.id, a.attempt, a.sent_at + coalesce(a.service_offset, 0), a.hashes"
    " FROM attempts a JOIN items i ON i.n = a.item WHERE a.fate IS NOT NULL AND a.hashes IS NOT NULL"
)
_UNKNOWN: Final = (
    "SELECT l.prediction_id, l.created_at, l.cost FROM temp.listed l"  # noqa: S608 names are ours
    f" WHERE NOT EXISTS (SELECT 1 FROM items i WHERE {is_prediction('i', 'packed(l.prediction_id)')})"
    " AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.prediction_id = l.prediction_id)"
    f" AND l.prediction_id > ? ORDER BY l.prediction_id LIMIT {_CHUNK}"
)


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A prediction that was paid for and is not in the checkpoint: of which item it is, and of which attempt.

    `attempt` is None where no create of it is on record; `state` is the item's, "unknown" for one that the
    checkpoint does not have; `created_at` in Unix seconds of the service's clock; cost in USD.
    """

    prediction_id: str
    id: str
    attempt: int | None
    state: str
    created_at: float | None
    cost_usd: float | None
    claimed_by: str | None = None  # the prediction that the item has already


@dataclass(slots=True)
class Found:
    """Whose the predictions are: ours and `unclaimed`, of `others`, or `unclear`, as they show no input."""

    unclaimed: list[Unclaimed] = field(default_factory=list)
    others: int = 0
    unclear: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Owners:
    """One search, in the table `listed` of what was read; `on_look` is told of each that was asked for."""

    job: Job
    checkpoint: Checkpoint
    desk: Desk
    db: sqlite3.Connection  # the checkpoint's, with `listed` and STRANGERS
    on_look: Callable[[int], None]
    found: Found = field(default_factory=Found)

    async def find(self) -> Found:
        """Ask for each prediction that nobody here knows, and find the item it is of."""
        creates = [
            Sent(id_, attempt, at or 0.0, msgspec.json.decode(hashes))
            for id_, attempt, at, hashes in self.db.execute(_CREATES)
        ]
        looked_at = 0
        for id_, at, cost in self._unknown():
            answer = await self.desk.ask(Inspect(id_))
            looked_at += 1
            self.on_look(1)
            if not isinstance(answer, Seen) or not answer.input:
                self.found.unclear.append(id_)
                continue
            found = match(creates, answer.input, at)
            if found.sent is not None:
                creates.remove(found.sent)
                self._claimable(id_, found.sent.item_id, found.sent.attempt, at, answer.cost_usd or cost)
            elif found.is_unclear:
                self.found.unclear.append(id_)
            else:
                self._set_aside(id_, answer)
        await self._find_items()
        self.found.others = looked_at - len(self.found.unclaimed) - len(self.found.unclear)
        return self.found

    def _unknown(self) -> Iterator[Any]:
        """Yield the rows that nobody here knows, some at a time."""
        last = ""
        while rows := self.db.execute(_UNKNOWN, (last,)).fetchall():
            yield from rows
            last = rows[-1][0]

    def _set_aside(self, id_: str, seen: Seen) -> None:
        """Keep the request that a prediction shows, to be looked for among the job's items."""
        found = fingerprint_of_shown(self.checkpoint, self.job.model, seen.input)
        if found is not None:
            row = (id_, bytes.fromhex(found), msgspec.json.encode(seen.input).decode())
            self.db.execute("INSERT OR IGNORE INTO temp.strangers VALUES (?, ?, ?)", row)
            note_places(self.db, id_, seen.input)

    async def _find_items(self) -> None:
        """Look for the requests that were set aside among the items here, then in the manifest."""
        known = (
            "SELECT i.id, s.prediction_id FROM items i JOIN temp.strangers s ON s.fingerprint = i.fingerprint"
        )
        self.db.execute("CREATE INDEX temp.strangers_by ON strangers (fingerprint)")
        self._take_out(self.db.execute(known).fetchall())
        if await self._look_into_manifest(self._that_show) and await self._look_at_contents():
            await self._look_into_manifest(self._that_show)
        signed = signed_items(self.checkpoint, self.job.model)
        self._take_out([(id_, found) for id_, kept in signed for found in that_show_place_of(self.db, kept)])
        await self._look_into_manifest(self._that_show_signed)

    async def _look_into_manifest(self, find: Callable[[Item], list[str]]) -> bool:
        """Look for what was set aside among the manifest's items; tell whether any has a local image."""
        has_local = False
        if self.db.execute("SELECT 1 FROM temp.strangers LIMIT 1").fetchone() is None:
            return has_local
        contents = Contents(self.job.output.dir / CONTENTS)
        try:
            maker = ItemMaker(self.job, contents)
            drafts = first_of_each_id(self.job, maker)
            fitting = Fitting(self.job, known_card(self.job))
            while chunk := await anyio.to_thread.run_sync(_finished, drafts, maker, fitting):
                has_local = has_local or any(item.files for item in chunk)
                self._take_out([(item.id, id_) for item in chunk for id_ in find(item)])
        finally:
            contents.close()
        return has_local

    async def _look_at_contents(self) -> bool:
        """Fetch the images that are shown, as their uploads may be forgotten; tell whether any came."""
        has_come, last = False, ""
        query = "SELECT prediction_id, input FROM temp.strangers WHERE prediction_id > ? ORDER BY 1 LIMIT 1"
        while row := self.db.execute(query, (last,)).fetchone():
            last, shown = row[0], msgspec.json.decode(row[1])
            found = await fingerprint_by_content(self.job, shown)
            self.on_look(1)
            if found is not None:
                has_come = True
                change = "UPDATE temp.strangers SET fingerprint = ? WHERE prediction_id = ?"
                self.db.execute(change, (bytes.fromhex(found), last))
        return has_come

    def _that_show(self, item: Item) -> list[str]:
        query = "SELECT prediction_id FROM temp.strangers WHERE fingerprint = ?"
        return [row[0] for row in self.db.execute(query, (bytes.fromhex(item.fingerprint),)).fetchall()]

    def _that_show_signed(self, item: Item) -> list[str]:
        is_signed = plain_value(dict(item.input)) != item.input
        return that_show_place_of(self.db, item.input) if is_signed else []

    def _take_out(self, found: list[tuple[str, str]]) -> None:
        for item_id, id_ in found:
            done = self.db.execute("DELETE FROM temp.strangers WHERE prediction_id = ?", (id_,))
            if done.rowcount:  # two items may have the same request
                query = "SELECT created_at, cost FROM temp.listed WHERE prediction_id = ?"
                at, cost = self.db.execute(query, (id_,)).fetchone()
                self._claimable(id_, item_id, None, at, cost)

    def _claimable(
        self, id_: str, item_id: str, attempt: int | None, at: float | None, cost: float | None
    ) -> None:
        left = self.checkpoint.as_they_stand([item_id]).get(item_id)
        state, theirs = ("unknown", None) if left is None else (left.state.value, left.prediction_id)
        self.found.unclaimed.append(Unclaimed(id_, item_id, attempt, state, at, cost, theirs))


def _finished(drafts: Iterator[Any], maker: ItemMaker, fitting: Fitting) -> list[Item]:
    """Read on until there are items, as they are written and as they are sent; an empty list is the end."""
    found: list[Item] = []
    while not found and (chunk := list(islice(drafts, _CHUNK))):
        found = [
            item for draft in chunk if isinstance(draft, Draft) for item in all_items(maker, fitting, draft)
        ]
    return found
