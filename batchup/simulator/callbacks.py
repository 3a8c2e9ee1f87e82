"""What a callback says and how it is signed, in each of the ways the service is said to have."""

import hashlib
import hmac
from typing import Any

import msgspec

from batchup.simulator.prediction import Prediction
from batchup.simulator.settings import SimulatorSettings, WebhookScheme
from batchup.simulator.views import Url, output, reason, shown_output


def body(settings: SimulatorSettings, prediction: Prediction, url: Url, now: float) -> bytes:
    """Return the body of the callback of a prediction that has ended."""
    make = _old if settings.webhook_body == "old" else _new
    return msgspec.json.encode(make(settings, prediction, url, now))


def headers(scheme: WebhookScheme, secret: str, data: bytes, at: float) -> dict[str, str]:
    """Return the headers of a callback with this body at this instant; unsigned without a secret."""
    plain = {"Content-Type": "application/json"}
    if not secret:
        return plain
    if scheme == "verbatim":
        return plain | {"X-Webhook-Secret": secret}
    if scheme == "hmac":
        return plain | {"X-Webhook-Signature": _signature(secret, data)}
    stamp = str(int(at))
    signature = _signature(secret, stamp.encode() + b"." + data)
    return plain | {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": signature}


def _signature(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def _new(settings: SimulatorSettings, prediction: Prediction, url: Url, _now: float) -> dict[str, Any]:
    is_failed = prediction.fate == "error"
    told: Any = None if is_failed else output(settings, prediction, url)
    if is_failed:
        told = [{"id": prediction.id, "status": "failed", "output": None, "error": reason(prediction)}]
    status = "failed" if is_failed else "succeeded"
    return {"exec_id": prediction.id, "flow_id": None, "status": status, "output": told, "error": ""}


def _old(settings: SimulatorSettings, prediction: Prediction, url: Url, now: float) -> dict[str, Any]:
    return {
        "id": prediction.id,
        "status": "failed" if prediction.fate == "error" else "success",
        "output": shown_output(settings, prediction, now, url),
        "input": prediction.input,
        "metrics": prediction.metrics(now),
    }
