"""The models on offer: bundled data, their request schemas, and the check of an input against one."""

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import msgspec

Schema: TypeAlias = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}

_URLS = ("http://", "https://", "data:")


@dataclass(frozen=True, slots=True)
class Simulated:
    """How a model is played: which of its parameters are image, scale and format, and its output's shape."""

    image: str
    scale: str
    format: str | None
    extension: str
    """The format where none is asked for."""
    shape: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue, as the service describes it; `cost` is its price guidance."""

    title: str
    slug: str
    version: str
    category: str
    output_type: str
    request_schema: dict[str, Any]
    cost: dict[str, Any]
    simulated: Simulated

    def row(self) -> dict[str, Any]:
        """Return its row in the list of models."""
        names = ("title", "slug", "version", "category", "output_type", "request_schema")
        return {name: getattr(self, name) for name in names}

    def priced(self, usd: float | None) -> dict[str, Any]:
        """Return the price guidance where a prediction costs `usd`, None for the model's own price."""
        if usd is None:
            return self.cost
        return self.cost | {"amount": usd, "min": usd, "max": usd, "estimate": f"${usd:g} per execution"}

    def scale(self, data: Mapping[str, Any]) -> float:
        """Return how many times wider and higher the output is."""
        return float(self._value(data, self.simulated.scale))

    def extension(self, data: Mapping[str, Any]) -> str:
        """Return the extension of the output, in lower case."""
        if self.simulated.format is None:
            return self.simulated.extension
        return str(self._value(data, self.simulated.format)).lower()

    def problems(self, data: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with an input, a sentence each; none where it fits the schema."""
        schema = self.request_schema
        missing = [f"{name} is required" for name in schema["required"] if name not in data]
        unknown = (
            [] if schema.get("additionalProperties", True) else sorted(set(data) - set(schema["properties"]))
        )
        found = missing + [f"unknown field {name}" for name in unknown]
        for name, value in data.items():
            if name in schema["properties"]:
                found += [f"{name} {problem}" for problem in _problems(schema["properties"][name], value)]
        return found

    def _value(self, data: Mapping[str, Any], name: str) -> Any:
        return data.get(name, self.request_schema["properties"][name].get("default"))


@cache
def catalogue() -> Mapping[str, Model]:
    """Return all models by their slug, in the catalogue's order."""
    text = importlib.resources.files(__package__).joinpath("models.json").read_bytes()
    return {model.slug: model for model in msgspec.json.decode(text, type=list[Model])}


def openapi(model: Model) -> dict[str, Any]:
    """Return the model's OpenAPI document, which wraps its request schema."""
    body = {"content": {"application/json": {"schema": model.request_schema}}}
    create = {"requestBody": body, "responses": {"200": {"description": "Prediction created successfully"}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": model.title, "version": model.version},
        "paths": {"/v1/prediction": {"post": create}},
    }


def _problems(schema: Schema, value: Any) -> list[str]:
    if not isinstance(value, _TYPES[schema["type"]]) or (
        isinstance(value, bool) and schema["type"] != "boolean"
    ):
        return [f"must be of type {schema['type']}"]
    checks = {
        f"must be one of {schema.get('enum')}": "enum" in schema and value not in schema["enum"],
        f"must be at least {schema.get('minimum')}": "minimum" in schema and value < schema["minimum"],
        f"must be at most {schema.get('maximum')}": "maximum" in schema and value > schema["maximum"],
        "must not be empty": isinstance(value, str) and len(value) < schema.get("minLength", 0),
        "must be a URL": schema.get("format") == "uri" and not str(value).startswith(_URLS),
    }
    return [problem for problem, is_broken in checks.items() if is_broken]
