"""Models, their schemas and prices, and the account's balance."""

import asyncio

from batchup.simulator.calls import Answer, Call
from batchup.simulator.models import catalogue, openapi

_MAX_LIMIT = 500
_HANG_S = 600.0  # service seconds


async def models(call: Call) -> Answer:
    """GET /v1/models: a bare array of those whose title or slug contains `name`."""
    query = call.request.query
    try:
        limit = min(max(int(query.get("limit", "50")), 1), _MAX_LIMIT)
        offset = max(int(query.get("offset", "0")), 0)
    except ValueError:
        return Answer.error(400, "limit and offset must be integers")
    name = query.get("name", "").lower()
    found = [m.row() for m in catalogue().values() if name in m.title.lower() or name in m.slug]
    return Answer.json(found[offset : offset + limit])


async def model(call: Call) -> Answer:
    """GET /v1/models/{slug}: one model, with the cost of a prediction under the simulator's settings."""
    found = catalogue().get(call.parts["slug"])
    if found is None or call.hits("model_404"):
        return Answer.error(404, "model not found")
    cost = None if call.hits("model_unpriced") else found.priced(call.service.settings.cost)
    return Answer.json(found.row() | {"cost": cost})


async def schema(call: Call) -> Answer:
    """GET /v1/models/{slug}/schemas/openapi: the model's OpenAPI document."""
    found = catalogue().get(call.parts["slug"])
    return Answer.error(404, "model not found") if found is None else Answer.json(openapi(found))


async def balance(call: Call) -> Answer:
    """GET /v1/billing/balance: the credit left, in USD."""
    service = call.service
    if call.hits("balance_404"):
        return Answer.error(404, "not found")
    if call.hits("balance_5xx"):
        return Answer.error(500, "Failed to get balance")
    if call.hits("balance_hang"):
        await asyncio.sleep(service.clock.real(_HANG_S))
    start = 100.0 if service.settings.balance is None else service.settings.balance
    return Answer.json({"balance_usd": round(start - service.book.spent(service.clock.now()), 9)})
