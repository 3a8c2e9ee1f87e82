"""The same service with Replicate's face: its published client runs against it, to be compared with."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from batchup.simulator import intake
from batchup.simulator.calls import Answer, Call
from batchup.simulator.clock import rfc3339
from batchup.simulator.models import Model, catalogue, openapi
from batchup.simulator.prediction import Prediction
from batchup.simulator.routes import predictions
from batchup.simulator.views import output, reason

_STAND_IN = "each-upscaler"
_MAX_WAIT_S = 60
_WAIT = re.compile(r"\bwait(?:=(\d+))?\b")
_IMAGE_NAMES = ("image", "image_url", "input_image", "img")
_WORDS = {"created": "starting", "success": "succeeded", "error": "failed", "cancelled": "canceled"}


async def create(call: Call) -> Answer:
    """POST /v1/predictions, or /v1/models/{owner}/{name}/predictions: held open where `Prefer: wait` asks."""
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        return Answer.error(422, "input is required")
    model = _model(str(call.parts.get("name") or body.get("version") or body.get("model") or ""))
    data = _input(model, body["input"])
    problems = model.problems(data)
    if problems:
        return Answer.error(422, "Input validation failed", "; ".join(problems))
    prediction = intake.create(call, model, data)
    if isinstance(prediction, Answer):
        return prediction
    hook = body.get("webhook")
    if isinstance(hook, str) and hook:
        call.service.webhooks.ask(prediction, hook, "")
    shown = await _created(call, prediction)
    return intake.spoilt(call, Answer.json(shown, 201), Answer.json(shown | {"id": ""}, 201))


async def poll(call: Call) -> Answer:
    """GET /v1/predictions/{id}: what the prediction is like now."""
    return await predictions.shown(call, _view, 0)


async def cancel(call: Call) -> Answer:
    """POST /v1/predictions/{id}/cancel: end it now, unless it has ended, and show it."""
    answer = await predictions.cancel(call)
    prediction = call.service.book.get(call.parts["id"])
    if answer.status != 200 or prediction is None:
        return answer
    return Answer.json(_view(call, prediction, call.service.clock.now()))


async def account(call: Call) -> Answer:
    """GET /v1/account: whose key it is."""
    del call
    return Answer.json({"type": "user", "username": "simulator", "name": "Simulator", "github_url": None})


async def version(call: Call) -> Answer:
    """GET /v1/models/{owner}/{name}/versions/{version}: what the client asks of a version it has run."""
    schema = openapi(_model(call.parts["name"]))
    created_at = rfc3339(call.service.started_at)
    name = call.parts["version"]
    return Answer.json(
        {"id": name, "created_at": created_at, "cog_version": "0.9.0", "openapi_schema": schema}
    )


def worded(answer: Answer) -> Answer:
    """Return an answer with Replicate's body where it is an error: `{"detail": …}`."""
    if answer.status < 400:
        return answer
    body = msgspec.json.decode(answer.body)
    detail = body.get("details") or body.get("error") or "the request cannot be processed"
    headers = {name: value for name, value in answer.headers.items() if name == "Retry-After"}
    return Answer.json({"detail": detail, "status": answer.status}, answer.status, headers)


def _model(reference: str) -> Model:
    """Return the model of `owner/name:version` if there is one of this name, else one that stands in."""
    name = reference.partition(":")[0].rpartition("/")[2]
    return catalogue().get(name) or catalogue()[_STAND_IN]


def _input(model: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the model knows; its image goes by many names elsewhere."""
    data = {name: value for name, value in given.items() if name in model.request_schema["properties"]}
    images = [given[name] for name in _IMAGE_NAMES if name in given]
    return {model.simulated.image: images[0], **data} if images else data


async def _created(call: Call, prediction: Prediction) -> dict[str, Any]:
    asked = _WAIT.search(call.request.headers.get("Prefer", ""))
    if asked:
        wait_s = min(int(asked[1] or _MAX_WAIT_S), _MAX_WAIT_S)
        prediction = await predictions.held(call, prediction, wait_s)
    now = call.service.clock.now()
    prediction = await call.service.inputs.settled(prediction, now)
    shown = _view(call, prediction, now)
    if prediction.is_ended(now):
        call.service.book.seen(prediction)
        return shown
    # Whoever has waited takes any other word for the end.
    return shown | {"status": "starting"}


def _view(call: Call, prediction: Prediction, now: float) -> dict[str, Any]:
    status, is_ended = prediction.status(now), prediction.is_ended(now)
    url = call.url(f"/v1/predictions/{prediction.id}")
    is_ok = status == "success"
    return {
        "id": prediction.id,
        "model": f"simulator/{prediction.model}",
        "version": "simulated",
        "input": prediction.input,
        "logs": "",
        "output": output(call.service.settings, prediction, call.url) if is_ok else None,
        "error": reason(prediction) if status == "error" else None,
        "status": _WORDS.get(status, status),
        "metrics": {"predict_time": round(prediction.ran_s(now), 3)} if is_ended else {},
        "created_at": rfc3339(prediction.created_at),
        "started_at": None if status == "created" else rfc3339(prediction.created_at),
        "completed_at": rfc3339(prediction.ended_at) if is_ended else None,
        "urls": {"get": url, "cancel": f"{url}/cancel"},
    }
