"""Requests in a service's own words, by its profile."""

from collections.abc import Mapping

from batchup.core.exchange import PAGE, Call, Hook
from batchup.core.items import Json
from batchup.core.profile import HookForm, Profile, Route, fill, fill_json, fill_path, put
from batchup.core.requests import (
    AskBalance,
    AskModel,
    Create,
    Inspect,
    ListPage,
    Poll,
    Presign,
    Request,
    Survey,
)
from batchup.core.values import rfc3339


class UnspokenError(Exception):
    """The service has no word for what is asked: whoever asks has to look into its profile first."""


def call_of(profile: Profile, request: Request, model: str, hook: Hook | None = None) -> Call:
    """Spell a request in the service's words; a create asks to be called back at `hook`."""
    match request:
        case Create():
            return _create(profile, request, model, hook)
        case Poll() | Inspect():
            return _call(profile.prediction.route, {"id": request.prediction_id})
        case Presign():
            route = None if profile.upload is None else profile.upload.route
            return _call(route, {"content_type": request.content_type})
        case AskModel():
            return _call(profile.model, {"model": request.slug}, is_hurried=True)
        case AskBalance():
            return _call(profile.balance, {}, is_hurried=True)
        case _:
            return _list(profile, request, model)


def cancel_call(profile: Profile, prediction_id: str) -> Call:
    """Spell the wish that a prediction be ended; what comes back says little, and a poll says more."""
    return _call(profile.cancel, {"id": prediction_id})


def delete_call(profile: Profile, file_id: str) -> Call:
    """Spell the wish that an uploaded file be deleted."""
    return _call(profile.delete, {"id": file_id})


def models_call(profile: Profile, query: Mapping[str, str]) -> Call:
    """Spell the wish for a page of the service's models."""
    call = _call(profile.models, {}, is_hurried=True)
    return Call(call.method, call.path, {**call.query, **query}, call.body, is_hurried=True)


def reserved_names(profile: Profile, model: str, *, has_hook: bool) -> frozenset[str]:
    """Name what no item may have as a parameter: it would stand where a create says what is bought.

    That is so only where parameters lie beside it; `has_hook`: and whom to call back.
    """
    found = profile.create_of(model)
    if found is None or found[0].input:
        return frozenset()
    names = {*(found[0].route.body or {})}
    if has_hook and profile.hook is not None:
        names |= {profile.hook.url[0], *(profile.hook.secret or ())[:1], *profile.hook.body}
    return frozenset(names)


def _create(profile: Profile, request: Create, model: str, hook: Hook | None) -> Call:
    found = profile.create_of(model)
    if found is None:
        raise UnspokenError(f"{profile.title} has no model {model}")
    create, parts = found
    body: dict[str, Json] = {} if create.input else dict(request.input)
    for key, value in (create.route.body or {}).items():
        body[key] = fill_json(value, parts)
    if create.input:
        put(body, create.input, dict(request.input))
    if hook is not None and profile.hook is not None:
        _call_back(body, profile.hook, hook)
    query = {key: fill(value, parts) for key, value in create.route.query.items()}
    return Call(create.route.method, fill_path(create.route.path, parts), query, body)


def _call_back(body: dict[str, Json], form: HookForm, hook: Hook) -> None:
    body.update(form.body)
    if form.secret is None:
        put(body, form.url, f"{hook.url}?{hook.in_address}")
    else:
        put(body, form.url, hook.url)
        put(body, form.secret, hook.secret)


def _list(profile: Profile, request: ListPage | Survey, model: str) -> Call:
    """Spell a look at the list; where there is none, a question that shows whether the service is there."""
    is_hurried = isinstance(request, Survey)
    if profile.listing is None:
        return _call(profile.alive, {}, is_hurried=is_hurried)
    parts = {
        "limit": str(PAGE),
        "offset": str(request.offset if isinstance(request, ListPage) else 0),
        "model": model,
        "from": rfc3339(request.created_from),
        "to": rfc3339(request.created_to),
    }
    return _call(profile.listing.route, parts, is_hurried=is_hurried)


def _call(route: Route | None, parts: Mapping[str, str], *, is_hurried: bool = False) -> Call:
    if route is None:
        raise UnspokenError("the service's profile has no route for this")
    query = {name: fill(value, parts) for name, value in route.query.items()}
    body = None if route.body is None else fill_json(dict(route.body), parts)
    return Call(route.method, fill_path(route.path, parts), query, body, is_hurried=is_hurried)
