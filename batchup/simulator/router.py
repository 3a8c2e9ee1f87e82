"""Which handler answers which request, and under which name it is counted."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from batchup.simulator.calls import Answer, Call
from batchup.simulator.routes import catalogue, executions, files, outputs, predictions, stats

Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route: `name` is its method and path template, by which it is counted."""

    name: str
    handler: Handler
    pattern: re.Pattern[str]
    needs_key: bool


def _route(method: str, path: str, handler: Handler, *, needs_key: bool = False) -> Route:
    variable = re.sub(
        r"\{(\w+)\}", r"(?P<\1>[^/]+?)", re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    )
    return Route(f"{method} {path}", handler, re.compile(f"{method} {variable}/?"), needs_key)


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
    _route("PUT", "/put/{id}", files.put),
    _route("GET", "/uploads/{name}", files.get),
    _route("GET", "/outputs/{id}/{index}.{extension}", outputs.image),
    _route("GET", "/stats", stats.totals),
    _route("GET", "/stats/log", stats.log),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request and its path's variable parts, or None."""
    for route in _ROUTES:
        match = route.pattern.fullmatch(f"{method} {path}")
        if match:
            return route, match.groupdict()
    return None


def is_counted(path: str) -> bool:
    """Tell whether a request to this path counts against the rate limit."""
    return path == "/v1" or path.startswith("/v1/")


def name_of(method: str, path: str) -> str:
    """Return the name that a request is counted under; `other` where no route fits."""
    found = find(method, path)
    return found[0].name if found else "other"
