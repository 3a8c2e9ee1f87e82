"""How a create is let in: the limits, the faults and the book, the same for every face of the service."""

from collections.abc import Mapping
from typing import Any

from batchup.simulator.book import content_hash
from batchup.simulator.calls import Answer, Call
from batchup.simulator.envelopes import balance_details, cap_details, content_refused, provider_failed
from batchup.simulator.models import Model
from batchup.simulator.prediction import Prediction


def create(call: Call, model: Model, data: Mapping[str, Any]) -> Prediction | Answer:
    """Accept a new prediction with a valid input, or return the answer that says why not."""
    # Limits before faults: a fault must not hide from the judge that there was one create too many.
    refusal = _refusal(call, model)
    if refusal is not None:
        return refusal
    if call.hits("create_reset"):
        return Answer.dropped()
    if call.hits("create_5xx"):
        return Answer.error(500, "Failed to create prediction")
    return _accept(call, model, data)


def spoilt(call: Call, answer: Answer, nameless: Answer) -> Answer:
    """Return the answer to an accepted create as it reaches its client; `nameless` is it without an id."""
    if call.hits("create_lost"):
        return Answer.dropped()
    if call.hits("create_5xx_after"):
        return Answer.error(500, "Failed to create prediction")
    if call.hits("create_cut"):
        return answer.cut()
    return nameless if call.hits("create_no_id") else answer


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
    envelope = None
    if call.hits("failed_permanent", number):
        envelope = content_refused(model.slug)
    elif call.hits("failed_prediction", number):
        envelope = provider_failed(model.slug)
    with service.store.together():  # a kill leaves either both or none
        service.judge.accepted(is_duplicate=service.book.is_bought(content, service.clock.now()))
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


def _logical(call: Call, value: Any) -> Any:
    """Return what the value means: an upload's address is new each time, 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    sha256 = call.service.uploads.content_of(value) if isinstance(value, str) else None
    return {"sha256": sha256} if sha256 else value


def _price(call: Call, model: Model) -> float:
    cost = call.service.settings.cost
    return float(model.cost["amount"]) if cost is None else cost
