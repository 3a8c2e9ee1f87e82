"""The virtual world with items that ask for the same: its reader does what the feeder does about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.world import Disk, World, item, saved_file

from batchup.core.alike import Alike, Way, way_of
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item
from batchup.core.messages import AsideTold, Event, ItemCounted, ItemGiven, ItemRead, ItemSetAside, Keep
from batchup.core.resume import Remembered
from batchup.core.states import State


def alike_items(requests: Sequence[int]) -> list[Item]:
    """Make a manifest in which items of one number ask for the same, each second one by a local image."""
    return [
        replace(item(f"r{number}", is_local=number % 2 == 1, line=line + 1), id=f"i{line}")
        for line, number in enumerate(requests)
    ]


@dataclass
class AlikeDisk(Disk):
    """A checkpoint that knows whose end an item shares, and when it came to an end."""

    originals: dict[str, str] = field(default_factory=dict)
    settled_at: dict[str, float] = field(default_factory=dict)

    def keep(self, command: Keep, calendar: Calendar) -> None:
        """Write one change down."""
        super().keep(command, calendar)
        kept, key = self.kept[command.item.id], command.item.id
        if "original" in command.changes:
            assert command.changes["original"] in self.kept
            self.originals[key] = command.changes["original"]
            kept.item, kept.prediction_id = command.item, None
        elif command.becomes is State.SUBMITTING:
            self.originals.pop(key, None)
        if "settled_at" in command.changes:
            self.settled_at[key] = calendar.to_unix(command.changes["settled_at"])

    def alike(self, it: Item, began_at: float) -> list[Alike]:
        """Return the other items with this request."""
        return [
            Alike(
                kept.item.id,
                kept.state,
                kept.attempt,
                kept.failure,
                self.originals.get(kept.item.id),
                self.settled_at.get(kept.item.id, 0.0) >= began_at,
            )
            for kept in self.kept.values()
            if kept.item.fingerprint == it.fingerprint and kept.item.id != it.id
        ]


@dataclass
class AlikeWorld(World):
    """One run of a job with items that are alike; `rerun_failed` as in a run."""

    disk: AlikeDisk = field(default_factory=AlikeDisk)
    rerun_failed: bool = False
    aside: list[Item] = field(default_factory=list)

    def step(self) -> None:
        """Let one thing happen; those who wait for what has ended are told of it first, one at a time."""
        fingerprint = next(iter(self.board.at_work.ended), None)
        if fingerprint is None or self.board.is_leaving(self.now()):
            super().step()
            return
        self.steps += 1
        it = next((it for it in self.aside if it.fingerprint == fingerprint), None)
        if it is None:
            self.feed(AsideTold(fingerprint))
            return
        self.aside.remove(it)
        event = self._alike_event(it, self._known(it), was_aside=True)
        if event is not None:
            self.feed(event)

    def bought(self) -> Counter[str]:
        """Count the predictions of each request, whatever became of them."""
        return Counter(p.input["key"] for p in self.service.predictions.values())

    def _event_of(self, row: Item) -> Event:
        event = super()._event_of(row)
        known = self._known(row)
        if known is not None and known.state is State.FAILED and self.rerun_failed:
            event = ItemRead(row, known.attempts, known.state)
        if isinstance(event, ItemRead) and (known is None or known.state in _BEFORE):
            return self._alike_event(row, known) or event
        if isinstance(event, ItemCounted) and event.state == "failed":
            found = self._alike_event(row, known)
            if isinstance(found, ItemSetAside) or (isinstance(found, ItemGiven) and found.failure is None):
                return found
        return event

    def _known(self, it: Item) -> Remembered | None:
        kept = self.disk.kept.get(it.id)
        if kept is None:
            return None
        return Remembered(kept.item.fingerprint, kept.state, kept.attempt, kept.failure)

    def _alike_event(self, it: Item, known: Remembered | None, *, was_aside: bool = False) -> Event | None:
        others = self.disk.alike(it, self.calendar.to_unix(0.0))
        is_at_work = any(self.board.at_work.others(it.fingerprint, it.id))
        way, one = way_of(
            known,
            others,
            is_at_work=is_at_work,
            is_asked_for=self.rerun_failed,
            max_attempts=self.policy.max_attempts,
        )
        was, attempts = (State.READY, 0) if known is None else (known.state, known.attempts)
        match way, one:
            case Way.SHARE, Alike():
                files = (saved_file(it.id),)
                return ItemGiven(it, one.original or one.id, attempts, was, files, was_aside=was_aside)
            case Way.FAIL, Alike(failure=Failure() as failure):
                if known is not None and known.failure == failure and known.state is State.FAILED:
                    return None if was_aside else ItemCounted("failed", it.id)
                original = one.original or one.id
                return ItemGiven(it, original, attempts, was, failure=failure, was_aside=was_aside)
            case Way.WAIT, _ if is_at_work and not was_aside:
                self.aside.append(it)
                return ItemSetAside(it, was)
            case Way.WAIT, _ if not was_aside:
                return ItemCounted(was.reported, it.id)
            case _:
                return None


_BEFORE = (State.READY, State.BACKING_OFF, State.FAILED)
