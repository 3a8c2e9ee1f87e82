"""What is shown of a prediction: its output, in the shape of its model or of the settings."""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from batchup.simulator.models import catalogue
from batchup.simulator.prediction import Prediction
from batchup.simulator.settings import SimulatorSettings

Url: TypeAlias = Callable[[str], str]
"""Turns a path of this server into an address."""


def output(settings: SimulatorSettings, prediction: Prediction, url: Url) -> Any:
    """Return a successful prediction's output: addresses of images."""
    model = catalogue()[prediction.model]
    extension = model.extension(prediction.input)
    urls = [url(f"/outputs/{prediction.id}/{index}.{extension}") for index in range(settings.output_count)]
    shape = model.simulated.shape if settings.output_shape == "model" else settings.output_shape
    if shape == "object":
        return {"images": urls}
    if shape == "json":
        return msgspec.json.encode({"images": urls}).decode()
    return urls[0] if shape == "string" and len(urls) == 1 else urls


def shown_output(settings: SimulatorSettings, prediction: Prediction, now: float, url: Url) -> Any:
    """Return what a poll shows as output: images, the envelope of a failure, or None."""
    status = prediction.status(now)
    if status == "error":
        return {**(prediction.envelope or {}), "execution_id": prediction.id}
    return output(settings, prediction, url) if status == "success" else None


def reason(prediction: Prediction) -> str:
    """Return why a failed prediction failed, in a sentence."""
    return str((prediction.envelope or {}).get("error_message", "Execution failed"))
