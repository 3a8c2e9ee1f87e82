"""A prediction service in plain Python: its own clock and log, its own faults, and the only judge."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random
from typing import Any

from batchup.core.wire import MOST_ROWS, Call, Raw, Response, Silence

EPOCH = 1_800_000_000.0  # the Unix instant of the world's beginning
PERIOD_S = 60.0
TRANSIENT = {"error_code": "PROVIDER_SERVER_ERROR", "retryable": True, "error_message": "try again"}
FINAL = {"error_code": "INPUT_VALIDATION_ERROR", "retryable": False, "error_message": "never"}


@dataclass
class Prediction:
    """One thing the service was asked for; instants are of the world's clock."""

    id: str
    input: Mapping[str, Any]
    created_at: float
    ends_at: float
    error: Mapping[str, Any] | None
    cost: float


@dataclass
class FakeService:
    """Answers calls. `faults` are shares by name; `scripted` answers of creates come before any of them."""

    seed: int = 0
    mean_s: float = 20.0
    spread: float = 0.3
    price: float = 0.01
    faults: Mapping[str, float] = field(default_factory=dict)
    listing_lag_s: float = 20.0
    clock_offset_s: float = 0.0
    stranger_count: int = 0  # predictions of somebody else, made all the time
    stranger_every_s: float = 7.0
    scripted: list[str] = field(default_factory=list)
    shows_input: bool = True
    copies: int = 1  # items that share a key, and so an input
    duration_factor: float = 1.0
    cap: int = 10**9  # predictions in flight it allows; one more is refused, and the cap named
    predictions: dict[str, Prediction] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    log: Counter[str] = field(default_factory=Counter)
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = Random(f"service {self.seed}")
        for k in range(self.stranger_count):
            self._new({"key": f"stranger-{k}"}, k * self.stranger_every_s)

    # ------------------------------------------------------------ the door

    def serve(self, call: Call, t: float) -> tuple[Raw, float]:
        """Take a call in at `t` and return the answer and how long it takes to come back, in seconds."""
        self.arrivals.append(t)
        kind, _, rest = call.path.partition("/")
        self.log[f"{call.method} {kind}"] += 1
        if call.method == "POST" and kind == "prediction":
            raw = self._create(call.body["input"], t)
        elif kind == "prediction":
            raw = self._show(rest, t)
        elif kind == "executions":
            raw = self._list(call.query, t)
        else:
            raw = self._presign(t)
        if isinstance(raw, Silence) and raw.was_sent:
            return raw, 30.0
        slow = self._fault("slow") is not None
        return raw, self.rng.uniform(1.0, 29.0) if slow else self.rng.uniform(0.05, 0.25)

    def worst_window(self) -> int:
        """Return the most calls that arrived in any period."""
        worst, first = 0, 0
        arrivals = sorted(self.arrivals)
        for k, at in enumerate(arrivals):
            while arrivals[first] < at - PERIOD_S:
                first += 1
            worst = max(worst, k - first + 1)
        return worst

    def bought(self) -> Counter[str]:
        """Count the predictions of each key that ended, or will end, well."""
        ours = (p for p in self.predictions.values() if not p.input["key"].startswith("stranger"))
        return Counter(p.input["key"] for p in ours if p.error is None)

    def twice(self) -> list[str]:
        """Name the keys that were paid for more than once."""
        return [key for key, count in self.bought().items() if count > self.copies]

    def in_flight(self, t: float) -> int:
        """Count our predictions that are running at `t`."""
        running = (p for p in self.predictions.values() if p.created_at <= t < p.ends_at)
        return sum(1 for p in running if not p.input["key"].startswith("stranger"))

    # ------------------------------------------------------------ routes

    def _create(self, given: Mapping[str, Any], t: float) -> Raw:
        assert str(given["image"]).startswith("https://"), f"a create with {given['image']!r}"
        if self.in_flight(t) >= self.cap:
            self.log["capped"] += 1
            return self._json(429, {"details": f"limited to {self.cap} concurrent executions"}, t)
        match self._fault("create"):
            case "lost_accepted":
                self._new(given, t)
                return Silence(True, "timed out")
            case "lost_refused":
                return Silence(True, "timed out")
            case "reset_accepted":
                self._new(given, t)
                return self._json(502, {"error": "bad gateway"}, t)
            case "no_id":
                self._new(given, t)
                return self._json(200, {"status": "success"}, t)
            case "unsent":
                return Silence(False, "refused")
            case "busy":
                return self._json(429, {"error": "too many requests"}, t, {"Retry-After": "7"})
            case "cap":
                return self._json(429, {"details": "limited to 10 concurrent executions"}, t)
            case "credit":
                return self._json(402, {"error": "payment required"}, t)
            case "bad":
                return self._json(400, {"error": "Invalid input for model"}, t)
            case _:
                return self._json(200, {"status": "success", "predictionID": self._new(given, t).id}, t)

    def _show(self, prediction_id: str, t: float) -> Raw:
        match self._fault("poll"):
            case "poll_500":
                return self._json(500, {}, t)
            case "poll_lost":
                return Silence(True, "timed out")
            case "poll_cut":
                return Response(200, self._headers(t), b'{"id": "p')
            case "poll_busy":
                return self._json(429, {"error": "slow down"}, t)
        found = self.predictions.get(prediction_id)
        if found is None:
            return self._json(404, {"error": "Prediction not found"}, t)
        shown: dict[str, Any] = {
            "id": found.id,
            "input": found.input if self.shows_input else None,
            "status": "processing",
        }
        if t >= found.ends_at:
            metrics = {
                "cost": 0 if found.error else found.cost,
                "predict_time": found.ends_at - found.created_at,
            }
            output = found.error or [f"https://cdn.example/{found.id}.png"]
            shown |= {"status": "error" if found.error else "success", "output": output, "metrics": metrics}
        return self._json(200, shown, t)

    def _list(self, query: Mapping[str, str], t: float) -> Raw:
        match self._fault("list"):
            case "list_500":
                return self._json(500, {}, t)
            case "list_404":
                return self._json(404, {}, t)
        since, until = (datetime.fromisoformat(query[name]).timestamp() for name in ("from", "to"))
        rows = [
            {
                "id": p.id,
                "model": "m",
                "created_at": datetime.fromtimestamp(self._unix(p.created_at), UTC).isoformat(),
                **self._listed(p, t - self.listing_lag_s),
            }
            for p in sorted(self.predictions.values(), key=lambda p: -p.created_at)
            if since <= self._unix(p.created_at) <= until and p.created_at + self.listing_lag_s <= t
        ]
        offset, limit = int(query["offset"]), int(query["limit"])
        if offset + limit > MOST_ROWS:
            return self._json(400, {"error": "V1 execution pagination is limited to 1000 rows"}, t)
        return self._json(200, {"executions": rows[offset : offset + limit]}, t)

    def _listed(self, p: Prediction, t: float) -> dict[str, Any]:
        """Return what a row shows of a prediction as it was at `t`."""
        if t < p.ends_at:
            return {"status": "starting", "output": None, "execution_cost": 0, "run_time": 0}
        word = "error" if p.error else "success"
        output = None if p.error else f"https://cdn.example/{p.id}.png"
        cost = 0 if p.error else p.cost
        return {
            "status": word,
            "output": output,
            "execution_cost": cost,
            "run_time": p.ends_at - p.created_at,
        }

    def _presign(self, t: float) -> Raw:
        if self._fault("presign") == "presign_500":
            return self._json(500, {}, t)
        name = f"https://files.example/{self.rng.getrandbits(64):x}"
        return self._json(200, {"presigned_url": name + "?put", "public_url": name}, t)

    # ------------------------------------------------------------ inside

    def _fault(self, route: str) -> str | None:
        if route == "create" and self.scripted:
            return self.scripted.pop(0)
        for name in FAULTS[route]:
            if self.rng.random() < self.faults.get(name, 0.0):
                self.log[name] += 1
                return name
        return None

    def _new(self, given: Mapping[str, Any], t: float) -> Prediction:
        mean = self.mean_s * self.duration_factor
        took = mean * self.rng.lognormvariate(-(self.spread**2) / 2, self.spread)
        error = None
        if self.rng.random() < self.faults.get("fails", 0.0):
            error = TRANSIENT if self.rng.random() < 0.7 else FINAL
        new = Prediction(f"p{len(self.predictions)}", dict(given), t, t + took, error, self.price)
        self.predictions[new.id] = new
        self.most_in_flight = max(self.most_in_flight, self.in_flight(t))
        return new

    def _unix(self, t: float) -> float:
        return EPOCH + t + self.clock_offset_s

    def _headers(self, t: float) -> dict[str, str]:
        return {"date": format_datetime(datetime.fromtimestamp(self._unix(t), UTC), usegmt=True)}

    def _json(
        self, status: int, body: object, t: float, headers: Mapping[str, str] | None = None
    ) -> Response:
        more = {name.lower(): value for name, value in (headers or {}).items()}
        return Response(status, {**self._headers(t), **more}, json.dumps(body).encode())


FAULTS = {
    "create": (
        "lost_accepted",
        "lost_refused",
        "reset_accepted",
        "no_id",
        "unsent",
        "busy",
        "cap",
        "credit",
        "bad",
    ),
    "poll": ("poll_500", "poll_lost", "poll_cut", "poll_busy"),
    "list": ("list_500", "list_404"),
    "presign": ("presign_500",),
    "slow": ("slow",),
}
