"""`--sample N`: the draw of a pilot, kept in the checkpoint until it is done, and its conclusion."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Final

import anyio.to_thread
import msgspec

from batchup.core.items import Item
from batchup.core.pilot import Drawn, Pilot, Reservoir, Sampled, conclude, is_over, nights_of
from batchup.core.states import State
from batchup.core.summary import Summary
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import id_key
from batchup.edge.feeding.items import Draft
from batchup.edge.images.contents import Contents
from batchup.edge.models.account import known_card
from batchup.edge.models.fitting import Fitting
from batchup.edge.planning.forecast import rehearse
from batchup.edge.planning.plan import Looking, count_manifest
from batchup.errors import BatchupError
from batchup.job import Job

FACT: Final = "pilot"
_ITEM: Final = """
SELECT n, state, coalesce(cost_usd, 0), (SELECT total(bytes) FROM files WHERE item = n), original IS NOT NULL
FROM items
WHERE id_key = ? AND id = ?
"""
_EARLIER: Final = "SELECT item, cost_usd FROM attempts WHERE cost_usd > 0"


@dataclass(slots=True)
class Piloting:
    """The pilot of one run, of `count` items; without, there is none and all of this does nothing.

    `night_s` is how long a run may last, in real seconds; None for as long as it takes.
    """

    job: Job
    checkpoint: Checkpoint
    count: int | None
    night_s: float | None = None
    contents: Contents = field(default_factory=lambda: Contents(None))  # what is known of pictures
    drawn: Drawn | None = None
    open_count: int = 0  # of those drawn, that this run is to hand on

    @property
    def chosen(self) -> frozenset[str] | None:
        """The ids that are to be bought alone, None for all."""
        return None if self.drawn is None else frozenset(self.drawn.ids)

    async def begin(self, say: Callable[[str], None], is_stopped: Callable[[], bool]) -> None:
        """Draw the items, or take up a pilot that was not finished; written down before any is bought."""
        if self.count is None:
            return
        kept = await anyio.to_thread.run_sync(read, self.checkpoint)
        if kept is not None and not kept.is_done and kept.count == self.count:
            self.drawn = kept
            say(f"pilot: the {len(kept.ids)} items that an earlier run has drawn and not finished")
        else:
            self.drawn = await anyio.to_thread.run_sync(partial(self._draw, is_stopped))
            say(f"pilot: {len(self.drawn.ids)} of {self.drawn.outstanding} outstanding items, at random")
        self.open_count = await anyio.to_thread.run_sync(count_open, self.checkpoint, self.drawn)

    async def end(self, summary: Summary) -> Summary:
        """Return the summary with what the pilot has shown; a pilot whose items are all at rest is done."""
        if self.drawn is None:
            return summary
        with suppress(BatchupError):  # the run meets the same problem, and says so
            return await self._with_pilot(self.drawn, summary)
        return summary

    async def _with_pilot(self, drawn: Drawn, summary: Summary) -> Summary:
        pilot = await anyio.to_thread.run_sync(partial(self._conclude, drawn, summary))
        return replace(summary, pilot=pilot)

    def _draw(self, is_stopped: Callable[[], bool]) -> Drawn:
        """Draw in one pass over the manifest; a run that is stopped meanwhile draws nothing."""
        seed = secrets.randbits(32)
        draw = _Draw(Reservoir(self.count or 0, Random(seed)), is_stopped)  # noqa: S311 - to be repeated, not to be guessed
        fitting = Fitting(self.job, known_card(self.job))
        looking = Looking(is_decoding=False, on_row=draw.meet, on_wanted=draw.offer)
        try:
            counted = count_manifest(self.job, self.checkpoint, self.contents, fitting, looking)
        except _StoppedError:
            return Drawn(self.count or 0, seed, 0, (), is_done=True)
        drawn = Drawn(
            count=self.count or 0,
            seed=seed,
            outstanding=draw.reservoir.offered,
            ids=tuple(draw.reservoir.ids),
            local_count=counted.local_count,
            different=counted.to_buy,
            unread=draw.unread,
        )
        write(self.checkpoint, drawn)
        return drawn

    def _conclude(self, drawn: Drawn, summary: Summary) -> Pilot:
        sampled = look_at(self.checkpoint, drawn)
        is_complete = summary.manifest_complete
        if not drawn.is_done and is_over(sampled, is_complete=is_complete):
            write(self.checkpoint, replace(drawn, is_done=True))
        spent_usd = self.checkpoint.money()[0]
        pilot = conclude(drawn, sampled, spent_usd=spent_usd, is_complete=is_complete)
        uploads = round(pilot.to_buy * drawn.local_count / max(1, drawn.outstanding))
        rehearsed = rehearse(self.job, self.checkpoint.sightings(), pilot.to_buy, uploads)
        wall_s = rehearsed.wall_s / self.job.speed
        nights = nights_of(wall_s, self.night_s)
        return replace(pilot, wall_s=round(wall_s, 1), night_s=self.night_s, nights=nights)


class _StoppedError(Exception):
    """The run is to end while it draws."""


@dataclass(slots=True)
class _Draw:
    """One draw under way: each row is met, and what would be bought is offered."""

    reservoir: Reservoir
    is_stopped: Callable[[], bool]
    unread: int = 0

    def meet(self) -> None:
        if self.is_stopped():
            raise _StoppedError

    def offer(self, one: Item | Draft) -> None:
        self.reservoir.offer(one.id)
        self.unread += isinstance(one, Draft)


def read(checkpoint: Checkpoint) -> Drawn | None:
    """Return the pilot that was drawn last, None without any; a garbled one was none."""
    with checkpoint.problems():
        row = checkpoint.db.execute("SELECT value FROM facts WHERE name = ?", (FACT,)).fetchone()
    try:
        return None if row is None else msgspec.json.decode(row[0], type=Drawn)
    except (msgspec.DecodeError, TypeError):
        return None


def write(checkpoint: Checkpoint, drawn: Drawn) -> None:
    """Write down what was drawn, in the place of the pilot before."""
    with checkpoint.problems():
        row = (FACT, msgspec.json.encode(drawn).decode())
        checkpoint.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)


def look_at(checkpoint: Checkpoint, drawn: Drawn) -> list[Sampled | None]:
    """Return what became of each item of a pilot, in its order; None of those that were never sent."""
    with checkpoint.problems():
        rows = [checkpoint.db.execute(_ITEM, (id_key(id_), id_)).fetchone() for id_ in drawn.ids]
        earlier = {row[0]: 0.0 for row in rows if row is not None}
        for number, cost_usd in checkpoint.db.execute(_EARLIER):  # of all items, of which there are millions
            if number in earlier:
                earlier[number] += cost_usd
    return [None if row is None else _sampled(row, earlier) for row in rows]


def count_open(checkpoint: Checkpoint, drawn: Drawn) -> int:
    """Count the items of a pilot that are neither at rest nor under way: a run is to hand them on."""
    under_way = {event.item.id for event in checkpoint.unsettled()}
    stand = zip(drawn.ids, look_at(checkpoint, drawn), strict=True)
    return sum(one is None or (one.state == "outstanding" and id_ not in under_way) for id_, one in stand)


def _sampled(row: tuple[Any, ...], earlier: Mapping[int, float]) -> Sampled:
    number, state, cost_usd, size, is_shared = row
    return Sampled(State(state).reported, cost_usd + earlier[number], int(size), bool(is_shared))
