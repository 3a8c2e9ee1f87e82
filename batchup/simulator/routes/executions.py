"""The list of executions: what was created when, without inputs, as it was a while ago."""

import heapq
from itertools import islice
from typing import Any

import msgspec

from batchup.simulator.book import Listed
from batchup.simulator.calls import Answer, Call
from batchup.simulator.clock import parse_rfc3339, rfc3339
from batchup.simulator.prediction import Prediction
from batchup.simulator.views import output

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
        asked = _asked(call)
    except ValueError as problem:
        return Answer.error(400, f"Invalid query: {problem}")
    if not 0 <= offset <= _MAX_ROWS - limit:
        return Answer.json({"error": "V1 execution pagination is limited to 1000 rows"}, 400)
    if not set(asked.words) <= set(_STATUSES):
        return Answer.error(400, f"Invalid status: it must be one of {', '.join(_STATUSES)}")
    return await _page(call, asked, limit, offset)


def _asked(call: Call) -> Listed:
    query, clock = call.request.query, call.service.clock
    now = clock.now()
    end_at = parse_rfc3339(query["to"]) if "to" in query else now
    start_at = parse_rfc3339(query["from"]) if "from" in query else end_at - _DEFAULT_SPAN_S
    # The list is read from a replica that is behind: late creates are missing, late ends still run.
    then = now - clock.real(call.service.settings.listing_lag_s)
    words = [word for word in query.get("status", "").split(",") if word]
    return Listed(start_at, min(end_at, then), then, query.get("model"), words)


async def _page(call: Call, asked: Listed, limit: int, offset: int) -> Answer:
    book, strangers = call.service.book, call.service.strangers
    most = _MAX_ROWS + 1
    total = book.count(asked, most) + strangers.count(asked, most)
    newest = heapq.merge(
        book.listed(asked), strangers.listed(asked), key=lambda one: one.created_at, reverse=True
    )
    rows = []
    for prediction in list(islice(newest, offset, offset + limit)):
        settled = await call.service.inputs.settled(prediction, asked.then)
        rows.append(_row(call, settled, asked.then))
        if settled.is_ended(asked.then):
            book.seen(settled)
    page = {"executions": rows, "limit": limit, "offset": offset}
    return Answer.json(page | {"total_count": min(total, _MAX_ROWS), "total_capped": total > _MAX_ROWS})


def _row(call: Call, prediction: Prediction, then: float) -> dict[str, Any]:
    status = prediction.listed_status(then)
    return {
        "id": prediction.id,
        "model": prediction.model,
        "requested_model": None,
        "status": status,
        "workflow_id": None,
        "workflow_execution_id": None,
        "execution_cost": prediction.billed(then),
        "run_time": round(prediction.ran_s(then), 3),
        "created_at": rfc3339(prediction.created_at),
        "started_at": None if status == "created" else rfc3339(prediction.created_at),
        "completed_at": rfc3339(prediction.ended_at) if prediction.is_ended(then) else None,
        "output": _output(call, prediction) if status == "success" else None,
    }


def _output(call: Call, prediction: Prediction) -> str | None:
    if not call.service.settings.list_output:
        return None
    shown = output(call.service.settings, prediction, call.url)
    return shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
