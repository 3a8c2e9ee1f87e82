"""The list of executions: what was created when, without inputs."""

from collections.abc import Iterator
from typing import Any

from batchup.simulator.book import Prediction
from batchup.simulator.calls import Answer, Call
from batchup.simulator.clock import parse_rfc3339, rfc3339
from batchup.simulator.routes.predictions import output

_STATUSES = ("created", "starting", "success", "error")
_MAX_LIMIT = 100
_MAX_ROWS = 1000
_DEFAULT_SPAN_S = 90 * 86400.0


async def executions(call: Call) -> Answer:
    """GET /v1/executions: the newest first, in pages of `limit` (20, at most 100) from `offset`."""
    if call.hits("list_reset"):
        return Answer.dropped()
    if call.hits("list_5xx"):
        return Answer.error(500, "Failed to list executions")
    query = call.request.query
    try:
        limit = min(max(int(query.get("limit", "20")), 1), _MAX_LIMIT)
        offset = int(query.get("offset", "0"))
        now = call.service.clock.now()
        end_at = parse_rfc3339(query["to"]) if "to" in query else now
        start_at = parse_rfc3339(query["from"]) if "from" in query else end_at - _DEFAULT_SPAN_S
    except ValueError as problem:
        return Answer.error(400, f"Invalid query: {problem}")
    if not 0 <= offset <= _MAX_ROWS - limit:
        return Answer.json({"error": "V1 execution pagination is limited to 1000 rows"}, 400)
    wanted = [word for word in query.get("status", "").split(",") if word]
    if not set(wanted) <= set(_STATUSES):
        return Answer.error(400, f"Invalid status: it must be one of {', '.join(_STATUSES)}")
    # Late rows are those of the newest creates: the list lags behind the service.
    end_at = min(end_at, now - call.service.clock.real(call.service.settings.listing_lag_s))
    found = [p for p in _found(call, start_at, end_at) if not wanted or _word(p, now) in wanted]
    return await _page(call, found, limit, offset, now)


async def _page(call: Call, found: list[Prediction], limit: int, offset: int, now: float) -> Answer:
    rows = []
    for prediction in found[offset : offset + limit]:
        settled = await call.service.inputs.settled(prediction, now)
        rows.append(_row(call, settled, now))
        if settled.is_ended(now):
            call.service.book.seen(settled)
    page = {"executions": rows, "limit": limit, "offset": offset}
    return Answer.json(page | {"total_count": len(found), "total_capped": False})


def _found(call: Call, start_at: float, end_at: float) -> Iterator[Prediction]:
    return call.service.book.between(start_at, end_at, call.request.query.get("model"))


def _word(prediction: Prediction, now: float) -> str:
    status = prediction.status(now)
    # The list knows no word between starting and the end.
    return "starting" if status == "processing" else status


def _row(call: Call, prediction: Prediction, now: float) -> dict[str, Any]:
    is_ended = prediction.is_ended(now)
    status = _word(prediction, now)
    shown = output(call, prediction) if status == "success" else None
    return {
        "id": prediction.id,
        "model": prediction.model,
        "requested_model": None,
        "status": status,
        "workflow_id": None,
        "workflow_execution_id": None,
        "execution_cost": prediction.billed(now),
        "run_time": round(prediction.ran_s(now), 3),
        "created_at": rfc3339(prediction.created_at),
        "started_at": None if status == "created" else rfc3339(prediction.created_at),
        "completed_at": rfc3339(prediction.ended_at) if is_ended else None,
        "output": shown if shown is None or isinstance(shown, str) else Answer.json(shown).body.decode(),
    }
