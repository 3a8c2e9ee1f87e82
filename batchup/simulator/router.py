"""Which handler answers which request, and under which name it is counted."""

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from batchup.simulator.calls import Answer, Call
from batchup.simulator.routes import catalogue, executions, files, outputs, predictions, replicate, stats

Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route: `name` is its method and path template, by which it is counted."""

    name: str
    handler: Handler
    pattern: re.Pattern[str]
    needs_key: bool
    is_replicate: bool
    """Whether its errors are worded as Replicate does."""


def _route(
    method: str, path: str, handler: Handler, *, needs_key: bool = False, is_replicate: bool = False
) -> Route:
    variable = re.sub(
        r"\{(\w+)\}", r"(?P<\1>[^/]+?)", re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    )
    pattern = re.compile(f"{method} {variable}/?")
    return Route(f"{method} {path}", handler, pattern, needs_key, is_replicate)


_replicate = functools.partial(_route, needs_key=True, is_replicate=True)


_ROUTES = (
    _route("POST", "/v1/prediction", predictions.create, needs_key=True),
    _route("POST", "/v1/prediction/run", predictions.run, needs_key=True),
    _route("GET", "/v1/prediction/{id}", predictions.poll, needs_key=True),
    _route("POST", "/v1/prediction/{id}/cancel", predictions.cancel, needs_key=True),
    _route("GET", "/v1/executions", executions.executions, needs_key=True),
    _route("POST", "/v1/upload/presign", files.presign, needs_key=True),
    _route("DELETE", "/v1/files/{id}", files.delete, needs_key=True),
    _route("GET", "/v1/billing/balance", catalogue.balance, needs_key=True),
    _route("GET", "/v1/models", catalogue.models),
    _route("GET", "/v1/models/{slug}", catalogue.model),
    _route("GET", "/v1/models/{slug}/schemas/openapi", catalogue.schema),
    _replicate("GET", "/v1/account", replicate.account),
    _replicate("POST", "/v1/predictions", replicate.create),
    _replicate("POST", "/v1/models/{owner}/{name}/predictions", replicate.create),
    _replicate("GET", "/v1/models/{owner}/{name}/versions/{version}", replicate.version),
    _replicate("GET", "/v1/predictions/{id}", replicate.poll),
    _replicate("POST", "/v1/predictions/{id}/cancel", replicate.cancel),
    _route("PUT", "/put/{id}", files.put),
    _route("GET", "/uploads/{name}", files.get),
    _route("GET", "/outputs/{id}/{index}.{extension}", outputs.image),
    _route("GET", "/stats", stats.totals),
    _route("GET", "/stats/log", stats.log),
)


# Each request asks twice, and a prediction is polled more than once.
@functools.lru_cache(maxsize=1024)
def find(method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """Return the route of a request and its path's variable parts, or None."""
    for route in _ROUTES:
        match = route.pattern.fullmatch(f"{method} {path}")
        if match:
            return route, MappingProxyType(match.groupdict())
    return None


def is_counted(path: str) -> bool:
    """Tell whether a request to this path counts against the rate limit."""
    return path == "/v1" or path.startswith("/v1/")


def name_of(method: str, path: str) -> str:
    """Return the name that a request is counted under; `other` where no route fits."""
    found = find(method, path)
    return found[0].name if found else "other"
