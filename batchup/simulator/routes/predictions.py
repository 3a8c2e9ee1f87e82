"""Create, poll, cancel: the three requests that predictions live by."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from batchup.simulator import intake
from batchup.simulator.calls import Answer, Call
from batchup.simulator.models import Model, catalogue
from batchup.simulator.prediction import Prediction
from batchup.simulator.views import shown_output

View: TypeAlias = Callable[[Call, Prediction, float], dict[str, Any]]
"""Turns a prediction at an instant into the body of a poll's answer."""


class _Asked(NamedTuple):
    model: Model
    input: Mapping[str, Any]
    webhook_url: str
    webhook_secret: str


async def create(call: Call) -> Answer:
    """POST /v1/prediction: check, accept and answer with the new prediction's id."""
    asked = _read(call)
    if isinstance(asked, Answer):
        return asked
    prediction = intake.create(call, asked.model, asked.input)
    if isinstance(prediction, Answer):
        return prediction
    if asked.webhook_url:
        call.service.webhooks.ask(prediction, asked.webhook_url, asked.webhook_secret)
    nameless = {"status": "success", "message": "Prediction created successfully"}
    answer = Answer.json({**nameless, "predictionID": prediction.id})
    return intake.spoilt(call, answer, Answer.json(nameless))


async def run(call: Call) -> Answer:
    """POST /v1/prediction/run: refused, as the service does for models like these."""
    asked = _read(call)
    if isinstance(asked, Answer):
        return asked
    return Answer.error(400, "Synchronous execution is not enabled for this model")


async def poll(call: Call) -> Answer:
    """GET /v1/prediction/{id}: what the prediction is like now, or at its end where it is held open."""
    return await shown(call, _view, call.service.settings.hold_s)


async def shown(call: Call, view: View, hold_s: float) -> Answer:
    """Answer a poll with the view of its prediction, held open for `hold_s` service seconds if it runs."""
    service = call.service
    if call.hits("poll_reset"):
        return Answer.dropped()
    if call.hits("poll_5xx"):
        return Answer.error(500, "Failed to get prediction")
    name = call.parts["id"]
    prediction = service.book.get(name) or service.strangers.get(name)
    if prediction is None or call.hits("poll_404"):
        return Answer.json({"error": "Prediction not found"}, 404)
    prediction = await held(call, prediction, hold_s)
    now = service.clock.now()
    prediction = await service.inputs.settled(prediction, now)
    answer = Answer.json(view(call, prediction, now))
    if call.hits("poll_cut_json"):
        return answer.halved()
    if call.hits("poll_cut_body"):
        return answer.cut()
    if prediction.is_ended(now):
        service.book.seen(prediction)
    return answer


async def held(call: Call, prediction: Prediction, hold_s: float) -> Prediction:
    """Wait for the prediction's end, at most `hold_s` service seconds, and return it as it is then."""
    clock = call.service.clock
    if hold_s <= 0 or prediction.is_ended(clock.now()):
        return prediction
    return await call.service.book.wait(prediction, clock.now() + clock.real(hold_s))


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


def _read(call: Call) -> _Asked | Answer:
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
    hook = [body.get(name) or "" for name in ("webhook_url", "webhook_secret")]
    if not all(isinstance(value, str) for value in hook):
        problems = [*problems, "webhook_url and webhook_secret must be strings"]
    if problems or not isinstance(data, dict):
        return Answer.error(400, "Invalid input for model", "; ".join(problems))
    return _Asked(model, data, *hook)


def _view(call: Call, prediction: Prediction, now: float) -> dict[str, Any]:
    status = prediction.status(now)
    if not prediction.is_ended(now) and call.hits("unknown_status"):
        status = "rebalancing"
    return {
        "id": prediction.id,
        "input": prediction.input,
        "status": status,
        "output": shown_output(call.service.settings, prediction, now, call.url),
        "logs": None,
        "metrics": prediction.metrics(now),
        "urls": {
            "get": call.url(f"/v1/prediction/{prediction.id}"),
            "cancel": call.url(f"/v1/prediction/{prediction.id}/cancel"),
        },
    }
