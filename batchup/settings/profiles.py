"""A service's profile from a TOML file: one that came with the program by its name, any other by its path."""

import importlib.resources
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from batchup.core.exchange import PAGE
from batchup.core.profile import (
    CreateRoute,
    HookForm,
    ListForm,
    Pointer,
    PredictionForm,
    Profile,
    Route,
    UploadForm,
)
from batchup.errors import ConfigProblem
from batchup.settings.origin import Problem
from batchup.settings.profile_table import Table
from batchup.settings.rules import check_key, check_url
from batchup.settings.toml_source import TomlSource
from batchup.settings.units import parse_duration

DEFAULT: Final = "eachlabs"
SIGNATURES: Final = ("eachlabs", "address")
AUTHS: Final = ("x-api-key", "bearer")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)


def names() -> list[str]:
    """Name the profiles that came with the program."""
    folder = importlib.resources.files("batchup") / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if ".toml" in entry.name)


def is_path(name: str) -> bool:
    """Tell whether a profile is named by its file."""
    return name.endswith(".toml")


def load_profile(name: str) -> Profile:
    """Read a profile; ConfigProblem names everything that is wrong with it, by file and line."""
    if is_path(name):
        return read_profile(TomlSource.from_profile(Path(name)), Path(name).stem)
    if not _NAME.fullmatch(name) or name not in names():
        known = ", ".join(f'"{one}"' for one in names())
        raise ConfigProblem(f'there is no profile "{name}"; use {known}, or the path of a .toml file')
    return shipped(name)


@lru_cache(maxsize=8)
def shipped(name: str) -> Profile:
    """Read a profile that came with the program."""
    file = importlib.resources.files("batchup") / "profiles" / f"{name}.toml"
    source = TomlSource.from_text(file.read_text(encoding="utf-8"), folder=Path(), label=f"{name}.toml")
    profile = read_profile(source, name)
    if profile.listing is None:
        return profile
    return replace(profile, listing=replace(profile.listing, has_full_pages=True))  # measured


def read_profile(source: TomlSource, name: str) -> Profile:
    """Make a profile of a file's text; ConfigProblem with a line for each problem."""
    problems: list[Problem] = []
    top = Table(source, problems, (), source.values)
    profile = Profile(
        name=name,
        title=top.text("title", default=name),
        url=top.text("url", check=_check_url),
        key=top.text("key", check=check_key),
        auth=top.text("auth", choice=AUTHS, default="bearer"),
        retention_s=top.length("retention", parse_duration),
        creates=tuple(_create(table) for table in top.tables("create")),
        prediction=_prediction(top.needed("prediction")),
        cancel=_optional(top, "cancel", "POST"),
        delete=_optional(top, "delete", "DELETE"),
        alive=_optional(top, "alive", "GET"),
        model=_optional(top, "model", "GET"),
        models=_optional(top, "models", "GET"),
        balance=_optional(top, "balance", "GET"),
        upload=_upload(top.table("upload")),
        listing=_list(top.table("list")),
        hook=_hook(top.table("webhook")),
        **_throttle(top.table("throttle")),
    )
    if profile.listing is None and profile.alive is None:
        top.blame("list", "missing; without one write [alive] path, a GET that shows the service is there")
    top.finish()
    if problems:
        raise ConfigProblem("\n".join(map(str, sorted(problems, key=_line))))
    return profile


def _line(problem: Problem) -> int:
    _, _, line = problem.where.rpartition(":")
    return int(line) if line.isdecimal() else 0


def _check_url(url: str) -> None:
    if url == "simulator":
        raise ValueError("expected the service's own address")
    check_url(url)


def _route(table: Table, method: str, names: tuple[str, ...]) -> Route:
    return Route(
        table.text("method", choice=("GET", "POST", "PUT", "DELETE"), default=method),
        table.path("path", names),
        table.texts("query"),
        table.json("body"),
    )


_PARTS: Final = {"cancel": ("id",), "delete": ("id",), "model": ("model",)}


def _optional(top: Table, name: str, method: str) -> Route | None:
    table = top.table(name)
    if table is None:
        return None
    route = _route(table, method, _PARTS.get(name, ()))
    table.finish()
    return route


def _create(table: Table) -> CreateRoute:
    model = table.text("model", check=_check_model)
    found = CreateRoute(
        model, _route(table, "POST", tuple(re.findall(r"\{(\w+)\}", model))), table.pointer("input") or ()
    )
    table.finish()
    return found


def _check_model(template: str) -> None:
    names = re.findall(r"\{(\w+)\}", template)
    if len({*names}) < len(names) or not all(name.isidentifier() for name in names):
        raise ValueError('expected names in braces, each once, such as "{owner}/{name}"')


def _prediction(table: Table) -> PredictionForm:
    found = PredictionForm(
        route=_route(table, "GET", ("id",)),
        id=table.pointers("id"),
        status=_needed(table, "status"),
        ok=table.words("ok"),
        bad=table.words("bad"),
        cancelled=table.words("cancelled", is_needed=False),
        running=table.words("running", is_needed=False),
        output=table.pointers("output"),
        error=table.pointers("error"),
        input=table.pointer("input"),
        cost=table.pointer("cost"),
        time=table.pointer("time"),
        again=tuple(sorted(table.words("again", is_needed=False))),
    )
    for word in (found.ok & found.bad) | (found.ok & found.running) | (found.bad & found.running):
        table.blame("status", f'the word "{word}" has two meanings')
    table.finish()
    return found


def _list(table: Table | None) -> ListForm | None:
    if table is None:
        return None
    found = ListForm(
        route=_route(table, "GET", ()),
        rows=tuple(table.strings("rows")),
        id=_needed(table, "id"),
        status=_needed(table, "status"),
        created_at=_needed(table, "created_at"),
        model=table.pointer("model"),
        output=table.pointer("output"),
        cost=table.pointer("cost"),
        time=table.pointer("time"),
    )
    for name in ("offset", "from", "to"):
        if not any(f"{{{name}}}" in value for value in found.route.query.values()):
            table.blame("query", f"nothing in it is {{{name}}}: a create in doubt could not be looked for")
    if not {"{limit}", str(PAGE)} & set(found.route.query.values()):
        table.blame("query", f'nothing in it is "{{limit}}": {PAGE} rows a page')
    table.finish()
    return found


def _upload(table: Table | None) -> UploadForm | None:
    if table is None:
        return None
    found = UploadForm(
        route=_route(table, "POST", ()),
        put_url=_needed(table, "put_url"),
        public_url=_needed(table, "public_url"),
        headers=table.pointer("headers"),
        expires_at=table.pointer("expires_at"),
        id=table.pointer("id"),
    )
    table.finish()
    return found


def _hook(table: Table | None) -> HookForm | None:
    if table is None:
        return None
    signature = table.text("signature", choice=SIGNATURES)
    secret = table.pointer("secret", is_needed=signature != "address")
    if secret is not None and signature == "address":
        table.blame("secret", 'with the signature "address" it is a part of the address; remove it')
    found = HookForm(_needed(table, "url"), secret, signature, table.json("body") or {})
    table.finish()
    return found


def _throttle(table: Table | None) -> dict[str, str | None]:
    if table is None:
        return {}
    found: dict[str, str | None] = {
        name: table.text(name, default="", check=_check_number) or None for name in ("cap", "wait")
    }
    table.finish()
    return found


def _check_number(template: str) -> None:
    if template.count("{n}") != 1:
        raise ValueError('expected words with {n} for the number, such as "{n} concurrent"')


def _needed(table: Table, key: str) -> Pointer:
    return table.pointer(key, is_needed=True) or ()
