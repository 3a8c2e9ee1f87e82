"""The judge: counts every request as it arrives, by its own clock, and never lets anything off."""

import math
from collections import Counter
from dataclasses import dataclass

from batchup.simulator.arrival_log import ArrivalLog
from batchup.simulator.clock import Clock
from batchup.simulator.settings import SimulatorSettings
from batchup.simulator.store import Store
from batchup.simulator.window import Window

_TOTALS = (
    "requests",
    "worst_window",
    "max_in_flight",
    "creates",
    "duplicate_creates",
    "throttled",
    "refused",
    "webhooks",
)

_THROTTLED = 429
_REFUSED = range(400, 500)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request under /v1 at the instant its first bytes came; `window` counts it and those before it."""

    number: int
    at: float
    route: str
    window: int
    retry_after_s: int
    """Whole real seconds until one more would be let in."""


class Judge:
    """The counters of `/stats` and the log behind them; both outlive a kill."""

    def __init__(self, settings: SimulatorSettings, clock: Clock, store: Store) -> None:
        self._store = store
        self._limit = settings.rate_count
        self._counts: Counter[str] = Counter()
        self._counts.update({row["name"]: int(row["value"]) for row in store.rows("SELECT * FROM counters")})
        self.log = ArrivalLog(store)
        period_s = clock.real(settings.rate_period_s)
        self._window = Window(period_s, self.log.since(clock.now() - 3 * period_s))

    def arrive(self, at: float, route: str) -> Arrival:
        """Count a request that began to arrive at `at`."""
        worst = self._window.add(at)
        number = self._counts["requests"] + 1
        self._counts["requests"] = number
        self._counts[f"route {route}"] += 1
        self._counts["worst_window"] = max(worst, self._counts["worst_window"])
        with self._store.together():
            self.log.add(number, at, route)
            self._save("requests", "worst_window", f"route {route}")
        wait_s = self._window.wait_s(at, self._limit) if self._limit else 0.0
        return Arrival(number, at, route, self._window.count(at), max(1, math.ceil(wait_s)))

    def is_over(self, arrival: Arrival) -> bool:
        """Tell whether the rate limit refuses this request; the refused ones before it count as well."""
        return self._limit is not None and arrival.window > self._limit

    def answered(self, arrival: Arrival, status: int) -> None:
        """Note what was answered; 0 is nothing, the connection dropped."""
        with self._store.together():
            self.log.answered(arrival.number, status)
            if status == _THROTTLED:
                self._add("throttled")
            elif status in _REFUSED:
                self._add("refused")
            self._add(f"status {status}")

    def called_back(self, status: int) -> None:
        """Note a callback that was sent and what its receiver answered; 0 is nothing."""
        self._add("webhooks")
        self._add(f"webhook {status}")

    def attempted(self, in_flight: int) -> None:
        """Note that a create arrived which would make `in_flight` predictions in flight."""
        self._counts["max_in_flight"] = max(in_flight, self._counts["max_in_flight"])
        self._save("max_in_flight")

    def accepted(self, *, is_duplicate: bool) -> None:
        """Note an accepted create, whatever its client gets to hear of it."""
        self._add("creates")
        if is_duplicate:
            self._add("duplicate_creates")

    def count(self, name: str) -> int:
        """Add one to a counter of `/stats` that is for information, and return it."""
        self._add(f"extra {name}")
        return self._counts[f"extra {name}"]

    def stats(self) -> dict[str, int | dict[str, int]]:
        """Return the totals, and `by_route`, `by_status`, `webhooks_by_status`, `extra`: name to count."""
        totals: dict[str, int | dict[str, int]] = {name: self._counts[name] for name in _TOTALS}
        return totals | {
            "by_route": self._group("route "),
            "by_status": self._group("status "),
            "webhooks_by_status": self._group("webhook "),
            "extra": self._group("extra "),
        }

    def _group(self, prefix: str) -> dict[str, int]:
        return {n.removeprefix(prefix): c for n, c in sorted(self._counts.items()) if n.startswith(prefix)}

    def _add(self, name: str) -> None:
        self._counts[name] += 1
        self._save(name)

    def _save(self, *names: str) -> None:
        if self._store.is_kept:
            self._store.write_counters([(name, self._counts[name]) for name in names])
