"""How a service spells what all of them say: a profile is data, and this is its shape.

A `Pointer` is a place in the service's JSON, key by key from the top. Templates hold names in braces.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import quote

from batchup.core.items import Json

Pointer: TypeAlias = tuple[str, ...]

_NAME: Final = re.compile(r"\{(\w+)\}")
_PART: Final = r"(?!\.+(?:[/:]|$))[A-Za-z0-9._-]{1,128}"  # nothing that walks an address
_KINDS: Final = {"model": ".+", "hash": "[0-9a-f]{16,128}"}


@dataclass(frozen=True, slots=True)
class Route:
    """One exchange: method, path under the service's URL, query and body, all but the method templates."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class CreateRoute:
    """How a prediction of a model that fits the template `model` is bought; `input` is put into the body."""

    model: str
    route: Route
    input: Pointer


@dataclass(frozen=True, slots=True)
class PredictionForm:
    """Where a prediction shows what, and which words it has for how it is; any other word is running.

    The first of several pointers that leads somewhere counts. What a failure says that holds one of `again`
    is worth another attempt.
    """

    route: Route
    id: tuple[Pointer, ...]
    status: Pointer
    ok: frozenset[str]
    bad: frozenset[str]
    cancelled: frozenset[str]
    running: frozenset[str]
    output: tuple[Pointer, ...]
    error: tuple[Pointer, ...]
    input: Pointer | None = None
    cost: Pointer | None = None
    time: Pointer | None = None
    again: tuple[str, ...] = ()

    def has_settled(self, word: str) -> bool:
        """Tell whether this status word is one of an end."""
        return word in self.ok or word in self.bad or word in self.cancelled


@dataclass(frozen=True, slots=True)
class ListForm:
    """The list of predictions: `rows` are the keys that may hold them, where they do not come bare.

    `has_full_pages`: it is known that every page but the last has as many rows as were asked for.
    """

    route: Route
    rows: tuple[str, ...]
    id: Pointer
    status: Pointer
    created_at: Pointer
    model: Pointer | None = None
    output: Pointer | None = None
    cost: Pointer | None = None
    time: Pointer | None = None
    has_full_pages: bool = False


@dataclass(frozen=True, slots=True)
class UploadForm:
    """How a place to upload to is asked for, and where the answer says what."""

    route: Route
    put_url: Pointer
    public_url: Pointer
    headers: Pointer | None = None
    expires_at: Pointer | None = None
    id: Pointer | None = None


@dataclass(frozen=True, slots=True)
class HookForm:
    """Where a create says whom to call back and what is said besides, and how the secret is to be shown.

    With the signature `address` the secret is a part of the address, for services that have one of their own.
    """

    url: Pointer
    secret: Pointer | None
    signature: str
    body: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """One service: its defaults, and how each request is spelled and read; what it lacks is None.

    `cap` and `wait` find a number (`{n}`) in the words of a 429. `retention_s` is how long it keeps outputs.
    """

    name: str
    title: str
    url: str
    key: str
    auth: str
    creates: tuple[CreateRoute, ...]
    prediction: PredictionForm
    cancel: Route | None = None
    listing: ListForm | None = None
    alive: Route | None = None
    upload: UploadForm | None = None
    delete: Route | None = None
    model: Route | None = None
    models: Route | None = None
    balance: Route | None = None
    hook: HookForm | None = None
    cap: str | None = None
    wait: str | None = None
    retention_s: float | None = None

    def create_of(self, model: str) -> tuple[CreateRoute, Mapping[str, str]] | None:
        """Return how this model is bought, with the parts of its name; None where no template fits."""
        for create in self.creates:
            found = _pattern(create.model).fullmatch(model)
            if found:
                return create, found.groupdict()
        return None

    def model_problem(self, model: str) -> str | None:
        """Say what a model's name should be like, if this is none that the service could have."""
        if self.create_of(model) is not None:
            return None
        forms = " or ".join(create.model for create in self.creates)
        return f"expected a model of {self.title}, such as {forms}"

    @property
    def tells_cost(self) -> bool:
        """Whether anything says what a prediction costs, before or after it was bought."""
        return self.prediction.cost is not None or self.model is not None


def look(value: Json, pointer: Pointer | None) -> Json:
    """Return what is at a place, None where nothing is."""
    if pointer is None:
        return None
    for key in pointer:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def look_first(value: Json, pointers: tuple[Pointer, ...]) -> Json:
    """Return what is at the first of these places that has something, None where none has."""
    return next((found for found in (look(value, one) for one in pointers) if found is not None), None)


def put(body: dict[str, Json], pointer: Pointer, value: Json) -> None:
    """Put a value at a place, and make the objects on the way to it."""
    for key in pointer[:-1]:
        inner = body.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = body[key] = {}
        body = inner
    body[pointer[-1]] = value


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Put the parts into a template; a name without a part stays."""
    return _NAME.sub(lambda found: parts.get(found[1], found[0]), template)


def fill_path(template: str, parts: Mapping[str, str]) -> str:
    """Do the same for a path, which no part can leave its place in."""
    return fill(template, {name: quote(part, safe="") for name, part in parts.items()})


def fill_json(value: Json, parts: Mapping[str, str]) -> Json:
    """Do the same in every text of a JSON value."""
    if isinstance(value, str):
        return fill(value, parts)
    if isinstance(value, list):
        return [fill_json(one, parts) for one in value]
    if isinstance(value, dict):
        return {key: fill_json(one, parts) for key, one in value.items()}
    return value


def number_after(template: str | None, words: str) -> float | None:
    """Return the whole number that stands for `{n}` where words are like the template, else None."""
    found = None if template is None else _number_pattern(template).search(words)
    return float(found[1]) if found else None


@lru_cache(maxsize=64)
def _pattern(template: str) -> re.Pattern[str]:
    """Compile what a model's name may be like: {model} is any text, {hash} one of hexadecimal digits."""
    texts = _NAME.split(template)
    for at in range(1, len(texts), 2):
        texts[at] = f"(?P<{texts[at]}>{_KINDS.get(texts[at], _PART)})"
    texts[::2] = [re.escape(text) for text in texts[::2]]
    return re.compile("".join(texts))


@lru_cache(maxsize=64)
def _number_pattern(template: str) -> re.Pattern[str]:
    before, _, after = (r"\s+".join(map(re.escape, part.split(" "))) for part in template.partition("{n}"))
    return re.compile(f"{before}([0-9]{{1,6}}){after}")
