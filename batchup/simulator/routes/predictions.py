"""Create, poll, cancel: the three requests that predictions live by."""

from collections.abc import Mapping
from typing import Any

from batchup.simulator.book import Prediction, content_hash
from batchup.simulator.calls import Answer, Call
from batchup.simulator.envelopes import balance_details, cap_details, content_refused, provider_failed
from batchup.simulator.models import Model, catalogue


async def create(call: Call) -> Answer:
    """POST /v1/prediction: check, accept and answer with the new prediction's id."""
    asked = _read(call)
    if isinstance(asked, Answer):
        return asked
    model, data = asked
    # Limits before faults: a fault must not hide from the judge that there was one create too many.
    refusal = _refusal(call, model)
    if refusal is not None:
        return refusal
    if call.hits("create_reset"):
        return Answer.dropped()
    if call.hits("create_5xx"):
        return Answer.error(500, "Failed to create prediction")
    prediction = _accept(call, model, data)
    return _created(call, prediction)


async def run(call: Call) -> Answer:
    """POST /v1/prediction/run: refused, as the service does for models like these."""
    asked = _read(call)
    if isinstance(asked, Answer):
        return asked
    return Answer.error(400, "Synchronous execution is not enabled for this model")


async def poll(call: Call) -> Answer:
    """GET /v1/prediction/{id}: what the prediction is like now."""
    if call.hits("poll_reset"):
        return Answer.dropped()
    if call.hits("poll_5xx"):
        return Answer.error(500, "Failed to get prediction")
    prediction = call.service.book.get(call.parts["id"])
    if prediction is None or call.hits("poll_404"):
        return Answer.json({"error": "Prediction not found"}, 404)
    now = call.service.clock.now()
    prediction = await call.service.inputs.settled(prediction, now)
    answer = Answer.json(_view(call, prediction, now))
    if call.hits("poll_cut_json"):
        return answer.halved()
    if call.hits("poll_cut_body"):
        return answer.cut()
    if prediction.is_ended(now):
        call.service.book.seen(prediction)
    return answer


async def cancel(call: Call) -> Answer:
    """POST /v1/prediction/{id}/cancel: end it now, unless it has ended."""
    prediction = call.service.book.get(call.parts["id"])
    if prediction is None:
        return Answer.error(404, "not found")
    prediction = call.service.book.cancel(prediction)
    if call.hits("cancel_5xx"):
        return Answer.error(500, "Failed to cancel prediction")
    message = "Prediction canceled successfully" if prediction.fate == "cancelled" else "Already finished"
    return Answer.json({"status": prediction.fate, "message": message, "predictionID": prediction.id})


def output(call: Call, prediction: Prediction) -> Any:
    """Return a successful prediction's output, in the shape of its model or of the settings."""
    model, settings = catalogue()[prediction.model], call.service.settings
    extension = model.extension(prediction.input)
    paths = [f"/outputs/{prediction.id}/{index}.{extension}" for index in range(settings.output_count)]
    urls = [call.url(path) for path in paths]
    shape = model.simulated.shape if settings.output_shape == "model" else settings.output_shape
    if shape == "object":
        return {"images": urls}
    if shape == "json":
        return Answer.json({"images": urls}).body.decode()
    return urls[0] if shape == "string" and len(urls) == 1 else urls


def _read(call: Call) -> tuple[Model, Mapping[str, Any]] | Answer:
    try:
        body = call.json()
    except ValueError:
        return Answer.json({}, 422)
    if not isinstance(body, dict) or not body.get("model"):
        return Answer.json({"error": "model field is required"}, 400)
    model = catalogue().get(str(body["model"]))
    if model is None:
        return Answer.error(404, "model not found")
    data = body.get("input")
    problems = model.problems(data) if isinstance(data, dict) else ["input must be an object"]
    if problems or not isinstance(data, dict):
        return Answer.error(400, "Invalid input for model", "; ".join(problems))
    return model, data


def _refusal(call: Call, model: Model) -> Answer | None:
    service, arrival = call.service, call.request.arrival
    # Judged as of the arrival: what ends while the body is on its way was still in flight.
    at = arrival.at if arrival else service.clock.now()
    in_flight = service.book.in_flight(at)
    service.judge.attempted(in_flight + 1)
    if in_flight >= service.settings.concurrency:
        return Answer.error(429, "too many requests", cap_details(service.settings.concurrency))
    balance = service.settings.balance
    if balance is None:
        return None
    left = balance - service.book.spent(at)
    if service.book.reserved(at) + _price(call, model) > left:
        return Answer.error(402, "payment required", balance_details(left))
    return None


def _accept(call: Call, model: Model, data: Mapping[str, Any]) -> Prediction:
    service = call.service
    number = service.book.next_number
    content = content_hash(model.slug, {name: _logical(call, value) for name, value in data.items()})
    service.judge.accepted(is_duplicate=service.book.is_bought(content, service.clock.now()))
    envelope = None
    if call.hits("failed_permanent", number):
        envelope = content_refused(model.slug)
    elif call.hits("failed_prediction", number):
        envelope = provider_failed(model.slug)
    prediction = service.book.accept(
        model=model.slug,
        data=data,
        content=content,
        duration_s=service.durations.draw(service.dice.rng("duration", number)),
        cost=_price(call, model),
        envelope=envelope,
    )
    if not prediction.is_checked:
        service.inputs.start(prediction)
    return prediction


def _created(call: Call, prediction: Prediction) -> Answer:
    body = {"status": "success", "message": "Prediction created successfully"}
    answer = Answer.json({**body, "predictionID": prediction.id})
    if call.hits("create_lost"):
        return Answer.dropped()
    if call.hits("create_5xx_after"):
        return Answer.error(500, "Failed to create prediction")
    if call.hits("create_cut"):
        return answer.cut()
    return Answer.json(body) if call.hits("create_no_id") else answer


def _logical(call: Call, value: Any) -> Any:
    """Return what the value means: an upload's address is new each time, 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    sha256 = call.service.uploads.content_of(value) if isinstance(value, str) else None
    return {"sha256": sha256} if sha256 else value


def _price(call: Call, model: Model) -> float:
    cost = call.service.settings.cost
    return float(model.cost["amount"]) if cost is None else cost


def _view(call: Call, prediction: Prediction, now: float) -> dict[str, Any]:
    status = prediction.status(now)
    is_ended = prediction.is_ended(now)
    shown: Any = output(call, prediction) if status == "success" else None
    if status == "error":
        shown = {**(prediction.envelope or {}), "execution_id": prediction.id}
    if not is_ended and call.hits("unknown_status"):
        status = "rebalancing"
    return {
        "id": prediction.id,
        "input": prediction.input,
        "status": status,
        "output": shown,
        "logs": None,
        "metrics": {
            "predict_time": round(prediction.ran_s(now), 3),
            "cost": prediction.billed(now),
        },
        "urls": {
            "get": call.url(f"/v1/prediction/{prediction.id}"),
            "cancel": call.url(f"/v1/prediction/{prediction.id}/cancel"),
        },
    }
