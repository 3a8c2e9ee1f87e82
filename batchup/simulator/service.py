"""The parts of the simulated service, wired together; every route's handler gets this."""

from dataclasses import dataclass
from pathlib import Path

from batchup.simulator.book import Book
from batchup.simulator.clock import Clock
from batchup.simulator.durations import Durations
from batchup.simulator.faults import FaultDice
from batchup.simulator.inputs import Inputs
from batchup.simulator.judge import Judge
from batchup.simulator.settings import SimulatorSettings
from batchup.simulator.store import Store
from batchup.simulator.strangers import Strangers
from batchup.simulator.uploads import Uploads
from batchup.simulator.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Service:
    """One account's service: its books, its files, its judge."""

    settings: SimulatorSettings
    clock: Clock
    store: Store
    judge: Judge
    book: Book
    uploads: Uploads
    inputs: Inputs
    webhooks: Webhooks
    strangers: Strangers
    dice: FaultDice
    durations: Durations
    started_at: float
    """When it was first started; the log's times count from here."""

    @classmethod
    def open(cls, settings: SimulatorSettings, state: Path | None) -> "Service":
        """Open the state (a folder, or None for none) on the running loop."""
        store = Store(state)
        clock = Clock(settings.speed, not_before=_newest(store))
        book = Book(clock, store)
        uploads = Uploads(clock, store)
        inputs = Inputs(settings, store, book, uploads)
        judge = Judge(settings, clock, store)
        dice = FaultDice(settings.seed, settings.faults)
        started_at = _first_start(store, clock.now())
        return cls(
            settings=settings,
            clock=clock,
            store=store,
            judge=judge,
            book=book,
            uploads=uploads,
            inputs=inputs,
            webhooks=Webhooks(settings, clock, store, book=book, inputs=inputs, judge=judge, dice=dice),
            strangers=Strangers(settings, clock, started_at),
            dice=dice,
            durations=Durations.parse(settings.durations),
            started_at=started_at,
        )

    async def close(self) -> None:
        """Stop what runs in the background and close the state."""
        await self.webhooks.close()
        await self.inputs.close()
        self.store.close()

    def stats(self) -> dict[str, object]:
        """Return what `/stats` shows: the judge's totals, `predictions`, and the money in USD."""
        now = self.clock.now()
        statuses = self.book.statuses(now)
        return {
            **self.judge.stats(),
            "predictions": sum(statuses.values()),
            "by_fate": statuses,
            "in_flight": self.book.in_flight(now),
            "cost_usd": self.book.spent(now),
        }


def _first_start(store: Store, now: float) -> float:
    store.write("INSERT OR IGNORE INTO counters VALUES ('started_at', ?)", now)
    row = store.row("SELECT value FROM counters WHERE name = 'started_at'")
    return float(row["value"]) if row else now


def _newest(store: Store) -> float:
    row = store.row("SELECT max(at) AS at FROM arrivals")
    return (row["at"] if row else None) or 0.0
