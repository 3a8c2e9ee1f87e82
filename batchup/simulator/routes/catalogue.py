"""Models, their schemas and prices, and the account's balance."""

from batchup.simulator.calls import Answer, Call
from batchup.simulator.models import catalogue, openapi

_MAX_LIMIT = 500


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
    """GET /v1/models/{slug}: one model, with its cost."""
    found = catalogue().get(call.parts["slug"])
    if found is None:
        return Answer.error(404, "model not found")
    return Answer.json(found.row() | {"cost": found.cost})


async def schema(call: Call) -> Answer:
    """GET /v1/models/{slug}/schemas/openapi: the model's OpenAPI document."""
    found = catalogue().get(call.parts["slug"])
    return Answer.error(404, "model not found") if found is None else Answer.json(openapi(found))


async def balance(call: Call) -> Answer:
    """GET /v1/billing/balance: the credit left, in USD."""
    service = call.service
    start = 100.0 if service.settings.balance is None else service.settings.balance
    return Answer.json({"balance_usd": round(start - service.book.spent(service.clock.now()), 9)})
