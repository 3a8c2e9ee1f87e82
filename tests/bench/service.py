"""A prediction service in plain Python, for hundreds of runs: strict, with a list, callbacks and a log."""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from bench.profiles import Profile

from batchup.core.wire import Call, Raw, Response

EPOCH = 1_800_000_000.0
PERIOD_S = 60.0


@dataclass
class Service:
    """Answers calls at instants of its own clock; what is over a limit is refused and counted."""

    profile: Profile
    seed: int
    tell: Callable[[str, float], None] = lambda _, __: None  # a callback, at an instant
    arrivals: list[float] = field(default_factory=list)
    drawn_s: list[float] = field(default_factory=list)
    worst_window: int = 0
    most_in_flight: int = 0
    refused_count: int = 0
    by_route: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = Random(f"durations {self.seed}")
        self._dice = Random(f"faults {self.seed}")
        self._spans: dict[str, tuple[float, float]] = {}
        self._running: list[float] = []

    def serve(self, call: Call, at: float) -> Raw:
        """Take a call in at `at` and answer it."""
        self.arrivals.append(at)
        window = len(self.arrivals) - bisect_right(self.arrivals, at - PERIOD_S)
        self.worst_window = max(self.worst_window, window)
        route = "create" if call.method == "POST" else call.path.partition("/")[0]
        self.by_route[route] = self.by_route.get(route, 0) + 1
        if window > self.profile.per_minute:
            return self._refuse("too many requests")
        if route == "create":
            return self._create(call, at)
        if route == "executions":
            return self._list(call.query, at)
        return _json(200, self._shown(call.path.partition("/")[2], at))

    def _create(self, call: Call, at: float) -> Raw:
        self._running = [until for until in self._running if until > at]
        self.most_in_flight = max(self.most_in_flight, len(self._running) + 1)
        if len(self._running) >= self.profile.slot_count:
            return self._refuse(f"limited to {self.profile.slot_count} concurrent executions")
        took_s = self.profile.draw(self._rng, len(self.drawn_s))
        self.drawn_s.append(took_s)
        name = f"p{len(self.drawn_s)}"
        self._spans[name] = at, at + took_s
        self._running.append(at + took_s)
        if "webhook_url" in call.body:
            self.tell(name, at + took_s)
        return _json(200, {"status": "success", "predictionID": name})

    def _refuse(self, words: str) -> Raw:
        self.refused_count += 1
        return _json(429, {"error": "too many requests", "details": words})

    def _shown(self, name: str, at: float) -> dict[str, Any]:
        since, until = self._spans[name]
        if at < until:
            return {"id": name, "status": "processing", "metrics": {"predict_time": 0, "cost": 0}}
        metrics = {"predict_time": round(until - since, 3), "cost": 0.01}
        return {"id": name, "status": "success", "output": f"https://out/{name}", "metrics": metrics}

    def _list(self, query: Mapping[str, str], at: float) -> Raw:
        if self.profile.list_lag_s is None:
            return _json(404, {"error": "not found"})
        if self._dice.random() < self.profile.list_fault:
            return _json(500, {"error": "Failed to list executions"})
        at -= self.profile.list_lag_s
        oldest = datetime.fromisoformat(query["from"]).timestamp() - EPOCH
        rows = [self._row(f"s{k}", at - k, at - k / 2) for k in range(self.profile.stranger_count)]
        rows += [
            self._row(name, at, until)
            for name, (since, until) in reversed(self._spans.items())
            if oldest <= since <= at
        ]
        return _json(200, {"executions": rows[: int(query["limit"])]})

    def _row(self, name: str, at: float, until: float) -> dict[str, Any]:
        since = self._spans.get(name, (at, until))[0]
        if at < until:
            return {"id": name, "status": "starting", "execution_cost": 0, "run_time": 0, "output": None}
        run_time = round(until - since, 3)
        return {
            "id": name,
            "status": "success",
            "execution_cost": 0.01,
            "run_time": run_time,
            "output": f"https://out/{name}",
        }


def _json(status: int, body: object) -> Response:
    return Response(status, {}, json.dumps(body).encode())
