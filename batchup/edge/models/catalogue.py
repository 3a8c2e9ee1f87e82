"""The models of a service as far as anybody knows them: asked for, kept for a day, or bundled."""

import importlib.resources
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import anyio
import msgspec

from batchup.core.account import ModelCard
from batchup.core.schema_words import Parameter, models_in, parameters_of
from batchup.core.spelling import models_call
from batchup.core.values import SenselessError, decode
from batchup.core.verdicts import Kind
from batchup.core.wire import Response
from batchup.edge.desk import Desk
from batchup.edge.models import account
from batchup.edge.models.bundled import bundled
from batchup.errors import BatchupError
from batchup.job import Job, Output, Service

PAGE: Final = 500
PAGES: Final = 6  # at most: as many requests as may be sent at once under a usual rate
_KEY_REFUSED: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Listing:
    """The service's list of models; `fetched_at` in Unix seconds, `source` as a model card's."""

    models: tuple[Mapping[str, str], ...]
    fetched_at: float = 0.0
    source: str = "service"


@dataclass(slots=True)
class Found:
    """What is known of the models, or of one; what could not be asked is said in `problems`."""

    listing: Listing | None = None
    card: ModelCard | None = None
    problems: list[str] = field(default_factory=list)


def known_models(job: Job) -> Listing:
    """Return the models that are known without asking: the kept list, else kept and bundled descriptions."""
    if job.simulator is not None:
        return Listing(_played(), source="simulator")
    kept = _read_kept(_list_path(job))
    ours = _bundled() if job.service.spelling.models is not None else ()
    slugs = dict.fromkeys([*(row["slug"] for row in kept.models), *_described(job), *ours])
    rows = {row["slug"]: row for row in kept.models}
    models = tuple(rows.get(slug, {"slug": slug}) for slug in slugs)
    return replace(kept, models=models, source="cache" if kept.fetched_at else "bundled")


async def look_for_all(job: Job, key: str | None, *, longest_s: float = account.LONGEST_S) -> Found:
    """Return the service's models: as kept, if they were asked for within a day, else asked for now.

    It takes at most `longest_s` real seconds; nothing is fatal.
    """
    kept = known_models(job)
    if job.service.spelling.models is None:
        return Found(kept, problems=[f"{job.service.spelling.title} does not list its models"])
    if key is None or job.simulator is not None or _is_fresh(job, kept):
        return Found(kept)
    found = Found(kept)
    try:
        rows = await _ask_for_all(job, key, longest_s)
        found.listing = Listing(rows, time.time())
        account.keep_bytes(_list_path(job), msgspec.json.encode(found.listing))
    except TimeoutError:
        found.problems.append("the service was not heard in time")
    except BatchupError as problem:
        found.problems.append(f"the service was not asked: {problem.message}")
    except SenselessError as problem:
        found.problems.append(f"the service does not list its models: {problem}")
    return found


async def look_for_one(job: Job, key: str | None) -> Found:
    """Return the description of the job's model: as kept, if it is of this day, else asked for now."""
    card = account.known_card(job)
    if key is None or job.simulator is not None or account.is_fresh(job, card, time.time()):
        return Found(card=card)
    try:
        told = await account.ask(job, key, wants_card=True, wants_balance=False)
    except BatchupError as problem:
        return Found(card=card, problems=[f"the service was not asked: {problem.message}"])
    account.keep_card(job, told.card)
    return Found(card=told.card or card, problems=told.problems)


def parameters(card: ModelCard) -> tuple[Parameter, ...]:
    """Return a model's parameters; what the service does not explain is as batchup explains it."""
    own = bundled(card.slug)
    known = {one.name: one.meaning for one in parameters_of(None if own is None else own.request_schema)}
    found = parameters_of(card.request_schema)
    return tuple(replace(one, meaning=one.meaning or known.get(one.name, "")) for one in found)


def job_of(service: Service, slug: str) -> Job:
    """Return a job that stands for a service where there is none: it names whom to ask, and about what."""
    return Job(
        name="models",
        manifest="none",
        model=slug,
        base=Path(),
        output=Output(dir=Path("none.out")),
        service=service,
    )


async def _ask_for_all(job: Job, key: str, longest_s: float) -> tuple[Mapping[str, str], ...]:
    """Ask page by page; TimeoutError where that takes longer, and what was opened is closed all the same."""
    found: list[Mapping[str, str]] = []
    async with account.plain_desk(job, key) as desk:
        with anyio.fail_after(longest_s):
            for page in range(PAGES):
                rows = await _ask_for_page(desk, page)
                found += rows
                if len(rows) < PAGE:
                    break
    return tuple(found)


async def _ask_for_page(desk: Desk, page: int) -> tuple[Mapping[str, str], ...]:
    query = {"limit": str(PAGE), "offset": str(page * PAGE)}
    raw = await desk.send(models_call(desk.job.service.spelling, query), Kind.LIST)
    if not isinstance(raw, Response):
        raise SenselessError(raw.message)
    if not 200 <= raw.status < 300:
        why = ", it refuses the key" if raw.status in _KEY_REFUSED else ""
        raise SenselessError(f"HTTP {raw.status}{why}")
    return models_in(decode(raw.body))


# ---------------------------------------------------------------- kept and bundled


def _list_path(job: Job) -> Path | None:
    path = account.cache_path(os.environ, job.service.url, "")
    return None if path is None else path.with_name(path.name.replace("model-", "models-", 1))


def _read_kept(path: Path | None) -> Listing:
    try:
        return msgspec.json.decode(b"" if path is None else path.read_bytes(), type=Listing)
    except (OSError, msgspec.DecodeError, RecursionError):
        return Listing(())


def _is_fresh(job: Job, listing: Listing) -> bool:
    return account.is_fresh(
        job, ModelCard(slug="", source="cache", fetched_at=listing.fetched_at), time.time()
    )


def _described(job: Job) -> list[str]:
    """Name the models of this service whose descriptions are kept."""
    path = account.cache_path(os.environ, job.service.url, "")
    found = []
    for file in sorted(path.parent.glob("model-*.json")) if path is not None else []:
        try:
            slug = msgspec.json.decode(file.read_bytes(), type=ModelCard).slug
        except (OSError, msgspec.DecodeError, RecursionError):
            continue
        if account.cache_path(os.environ, job.service.url, slug) == file:
            found.append(slug)
    return sorted(found)


def _bundled() -> list[str]:
    folder = importlib.resources.files("batchup") / "models"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir())


def _played() -> tuple[Mapping[str, str], ...]:
    from batchup.simulator.models import catalogue  # noqa: PLC0415 - a real job never loads the simulator

    names = ("slug", "title", "category", "output_type")
    return tuple({name: model.row()[name] for name in names} for model in catalogue().values())
