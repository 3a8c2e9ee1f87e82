"""What the judge has seen."""

from typing import Any

from batchup.simulator.calls import Answer, Call
from batchup.simulator.service import Service

_PREDICTIONS = (
    "SELECT id, model, created_at, duration_s, ended_at, fate, seen_at FROM predictions ORDER BY number"
)


async def totals(call: Call) -> Answer:
    """GET /stats: the totals."""
    return Answer.json(call.service.stats())


async def log(call: Call) -> Answer:
    """GET /stats/log: `arrivals` and `predictions`, instants in service seconds since the first start."""
    return Answer.json(collect(call.service))


def collect(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Return the log: `arrivals` (t, route, status) and `predictions` (created_at, done_at, seen_at)."""

    def since(at: float | None) -> float | None:
        return None if at is None else round(service.clock.service(at - service.started_at), 6)

    predictions = service.store.rows(_PREDICTIONS)
    return {
        "arrivals": [
            {"t": since(entry.at), "route": entry.route, "status": entry.status}
            for entry in service.judge.log
        ],
        "predictions": [
            {
                "id": row["id"],
                "model": row["model"],
                "status": row["fate"],
                "duration_s": row["duration_s"],
                "created_at": since(row["created_at"]),
                "done_at": since(row["ended_at"]),
                "seen_at": since(row["seen_at"]),
            }
            for row in predictions
        ],
    }
