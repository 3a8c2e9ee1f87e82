"""Flag over environment over job file over default: every value found, checked, and its origin kept."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchup.core.profile import Profile
from batchup.errors import ConfigProblem
from batchup.settings.environment import environment_entries
from batchup.settings.homes import from_home
from batchup.settings.known import FREE, SECRETS, SECTIONS, SETTINGS, field_of, find_setting
from batchup.settings.nearest import did_you_mean
from batchup.settings.notify import NOBODY
from batchup.settings.offers import lacks
from batchup.settings.origin import Entry, Origin, Problem
from batchup.settings.outputs import is_bucket, state_problem
from batchup.settings.profiles import DEFAULT, is_path, load_profile
from batchup.settings.rules import webhook_problem
from batchup.settings.scalars import plain_value
from batchup.settings.toml_source import KeyPath, TomlSource


@dataclass(slots=True)
class Settings:
    """What was found: checked values by their path, where the last word on each came from, and problems."""

    folder: Path
    values: dict[KeyPath, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def section(self, name: str) -> dict[str, Any]:
        """Collect the values of one table by their names in the job; `""` for the top of the file."""
        parents = (name,) if name else ()
        found: dict[str, Any] = {}
        for path, value in self.values.items():
            setting = find_setting(path)
            if path[:-1] == parents and setting is not None:
                if setting.field is not None:
                    found[field_of(path, setting)] = value
            elif name and path[0] == name:
                found.setdefault(path[1], {})[path[2]] = value
        return found

    def base_of(self, path: KeyPath) -> Path:
        """Tell the folder a path setting is relative to: the job file's, or the current one for flags."""
        return self.folder if self.origins.get(path, "file") == "file" else Path.cwd()

    @property
    def manifest_base(self) -> Path:
        """The folder a relative manifest lies in."""
        return self.base_of(("manifest",))


def read_settings(
    source: TomlSource,
    *,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Every setting from every source, the stronger last; ConfigProblem with one line for each problem."""
    settings = _found(source, environ)
    _take(settings, _flag_entries(overrides or {}))
    profile = _read_profile(settings, source)
    _cross_check(settings, source, profile)
    if settings.problems:
        raise ConfigProblem("\n".join(map(str, settings.problems)))
    _make_absolute(settings)
    return settings


def read_in_part(source: TomlSource, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Every setting of file and environment that is right by itself; `problems` tell of the others."""
    settings = _found(source, environ)
    _check_notify(settings, source)
    _make_absolute(settings)
    return settings


def _found(source: TomlSource, environ: Mapping[str, str] | None) -> Settings:
    settings = Settings(source.folder)
    _take(settings, _file_entries(source))
    secrets = {settings.values.get(path, "").removeprefix("env:") for path in SECRETS}
    _take(settings, environment_entries(environ or {}, secrets=secrets))
    return settings


def _take(settings: Settings, entries: Iterable[Entry | Problem]) -> None:
    for entry in entries:
        if isinstance(entry, Problem):
            settings.problems.append(entry)
            continue
        try:
            settings.values[entry.path] = _checked(entry)
            settings.origins[entry.path] = entry.origin
        except ValueError as problem:
            settings.problems.append(Problem(entry.where, ".".join(entry.path), str(problem)))


def _checked(entry: Entry) -> Any:
    setting = find_setting(entry.path)
    if setting is None:
        raise ValueError(_unknown(entry.path))
    raw = entry.value
    if entry.origin != "file" and isinstance(raw, str) and not setting.is_text:
        raw = plain_value(raw)
    value = setting.read(raw)
    if value is not None:
        setting.check(value)
    return value


def _file_entries(source: TomlSource) -> Iterator[Entry | Problem]:
    problems = list(_walk(source, source.values, ()))
    yield from sorted(problems, key=lambda entry: int(entry.where.rpartition(":")[2]))


def _walk(source: TomlSource, table: Mapping[str, Any], parents: KeyPath) -> Iterator[Entry | Problem]:
    for key, value in table.items():
        path = (*parents, key)
        is_table = path in FREE or (not parents and key in SECTIONS)
        if is_table and isinstance(value, dict):
            yield from _walk(source, value, path)
        elif is_table:
            yield Problem(source.where(path), ".".join(path), "expected a table")
        else:
            yield Entry(path, value, source.where(path), "file")


def _flag_entries(overrides: Mapping[str, object]) -> Iterator[Entry]:
    for dotted, value in overrides.items():
        if value is not None:
            path = tuple(dotted.split(".", 2))
            yield Entry(path, value, "--" + path[-1].replace("_", "-"), "flag")


def _unknown(path: KeyPath) -> str:
    *parents, key = path
    section = ".".join(parents)
    if not section:
        top = [known for known in SETTINGS if "." not in known]
        elsewhere = [known for known in SETTINGS if known.rpartition(".")[2] == key]
        if elsewhere:
            return f"unknown key; it belongs under [{elsewhere[0].rpartition('.')[0]}]"
        return f"unknown key{did_you_mean(key, [*top, *SECTIONS])}"
    mates = [known.rpartition(".")[2] for known in SETTINGS if known.rpartition(".")[0] == section]
    mates += [table[-1] for table in FREE if table[:-1] == (section,)]
    hint = did_you_mean(key, mates)
    others = [known for known in SETTINGS if known.rpartition(".")[2] == key]
    if not hint and others:
        home = others[0].rpartition(".")[0]
        return f"unknown key; it belongs {f'under [{home}]' if home else 'at the top of the file'}"
    return f"unknown key{hint}"


def _read_profile(settings: Settings, source: TomlSource) -> Profile | None:
    """Read the service's profile, so that what is wrong with it is told with all the rest."""
    path = ("service", "profile")
    name = settings.values.get(path, DEFAULT)
    if is_path(name):
        name = settings.values[path] = str(settings.base_of(path) / from_home(name))
    try:
        return load_profile(name)
    except ConfigProblem as problem:
        where = _where(settings, source, "service.profile")
        settings.problems.append(Problem(where, "service.profile", problem.message))
        return None


def _cross_check(settings: Settings, source: TomlSource, profile: Profile | None) -> None:
    for key, example in (("manifest", "products.jsonl"), ("model", "each-upscaler")):
        is_named = (key,) in settings.values or any(problem.key == key for problem in settings.problems)
        if not is_named:
            settings.problems.append(
                Problem(source.label, key, f'missing; add a line such as {key} = "{example}"')
            )
    _check_state(settings, source)
    url = settings.values.get(("service", "url"), "a real one")
    stray = [path for path in settings.values if path[0] == "simulator"]
    has_bad_url = any(problem.key == "service.url" for problem in settings.problems)
    if stray and url != "simulator" and not has_bad_url:
        where = source.where(("simulator",)) if settings.origins[stray[0]] == "file" else "environment"
        settings.problems.append(
            Problem(where, "[simulator]", 'is only for [service] url = "simulator"; remove one of them')
        )
    _check_notify(settings, source)
    if not has_bad_url:
        _check_webhook(settings, source, profile)
    if profile is not None:
        _check_offers(settings, source, profile)


def _check_offers(settings: Settings, source: TomlSource, profile: Profile) -> None:
    """Hold what is asked of the service against what its profile offers."""
    values = settings.values
    found = lacks(
        profile,
        model=values.get(("model",)),
        has_cap=("limits", "max_spend") in values,
        deletes_uploads=bool(values.get(("prepare", "delete_uploads"))),
        has_webhooks=("webhook", "listen") in values,
    )
    settings.problems += [Problem(_where(settings, source, key), key, words) for key, words in found]


def _check_state(settings: Settings, source: TomlSource) -> None:
    """Hold `[output] state` against the `dir` it belongs to, where that can be used by itself."""
    found = {path[1]: value for path, value in settings.values.items() if path[0] == "output"}
    if any(problem.key in {"output.dir", "output.state"} for problem in settings.problems):
        return
    if (problem := state_problem(found)) is not None:
        where = _where(settings, source, "output.state")
        settings.problems.append(Problem(where, "output.state", problem))


def _check_webhook(settings: Settings, source: TomlSource, profile: Profile | None) -> None:
    """Hold the webhook's address against the service's, where each of them can be used by itself."""
    is_asked = any(path[0] == "webhook" for path in settings.values) or "webhook" in source.values
    if not is_asked or any(problem.key.startswith("webhook") for problem in settings.problems):
        return
    listen = settings.values.get(("webhook", "listen"))
    found: tuple[str, str] | None = ("webhook.listen", 'missing; add a line such as listen = "0.0.0.0:8080"')
    if listen is not None:
        public_url = settings.values.get(("webhook", "public_url"))
        service_url = settings.values.get(("service", "url")) or (profile.url if profile else "")
        found = webhook_problem(listen, public_url, service_url)
    if found is not None:
        settings.problems.append(Problem(_where(settings, source, found[0]), *found))


def _check_notify(settings: Settings, source: TomlSource) -> None:
    """See that a table [notify] names somebody who can be told."""
    is_asked = any(path[0] == "notify" for path in settings.values) or "notify" in source.values
    is_told = any(path in settings.values for path in SECRETS if path[0] == "notify")
    if is_asked and not is_told and not any(one.key.startswith("notify") for one in settings.problems):
        settings.problems.append(Problem(_where(settings, source, "notify"), "notify", NOBODY))


def _where(settings: Settings, source: TomlSource, dotted: str) -> str:
    """Say where a setting stands, or the table it is missing from."""
    path = tuple(dotted.split("."))
    origin = settings.origins.get(path)
    if origin in {"environment", "flag"}:
        return str(origin)
    is_in_file = path[0] in source.values
    return source.where(path if origin == "file" else path[:1]) if is_in_file else source.label


def _make_absolute(settings: Settings) -> None:
    values = settings.values
    for path in (("output", "dir"), ("output", "state")):
        folder = values.get(path)
        if folder and not is_bucket(folder):
            values[path] = settings.base_of(path) / from_home(folder)
    for secret in SECRETS:
        kind, _, name = values.get(secret, "").partition(":")
        if kind == "file":
            values[secret] = f"file:{settings.base_of(secret) / from_home(name)}"
    if url := values.get(("service", "url")):
        values["service", "url"] = url.rstrip("/")
