"""What is known of a model and of the account outside of a run, and kept from one run to the next.

A model's description is kept in the user's cache, one file for each service and model, and asked for at most
once a day, but by every run under a cap on money. It is only a comfort: whatever cannot be read or written is
done without.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import msgspec

from batchup.core.account import ModelCard, read_card, shortfall_usd
from batchup.core.lookups import LookUps, look_ups
from batchup.core.messages import Note, RowsCounted
from batchup.core.money import dollars, reckon
from batchup.core.profile import Profile
from batchup.core.requests import AskBalance, AskModel, BalanceTold, LookUp, ModelTold
from batchup.core.states import State
from batchup.core.wire import Response, Silence
from batchup.edge.books import costs_seen
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import HURRIED_SHARE
from batchup.edge.clock import Clock
from batchup.edge.desk import Desk
from batchup.edge.files import replacing
from batchup.edge.making import make_client, make_gates
from batchup.edge.models.bundled import bundled
from batchup.edge.pool import Pool
from batchup.errors import BatchupError
from batchup.job import Job
from batchup.settings.hosts import is_loopback

FRESH_S: Final = 86400.0
LONGEST_S: Final = 6.0  # real seconds that a command waits for both answers, permits included
_LOOK_S: Final = 0.5
_SOON_S: Final = 0.01  # while the first create waits for it
_LATER: Final = 0.1  # of what it has waited already: the next look
_KEY_REFUSED: Final = (401, 403)


# ---------------------------------------------------------------- the model's description, kept


def cache_path(environ: Mapping[str, str], url: str, slug: str) -> Path | None:
    """Return where the description of a service's model is kept; None where there is no home for it."""
    folder = Path(environ.get("XDG_CACHE_HOME") or "")
    if not folder.is_absolute():
        home = Path(environ.get("HOME") or "")
        if not home.is_absolute():
            return None
        folder = home / ".cache"
    name = sha256(f"{url.rstrip('/')} {slug}".encode()).hexdigest()[:24]
    return folder / "batchup" / f"model-{name}.json"


def read_kept(path: Path | None, slug: str) -> ModelCard | None:
    """Return the description that was kept, or None."""
    if path is None:
        return None
    try:
        card = msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except (OSError, msgspec.DecodeError, RecursionError):
        return None
    return replace(card, source="cache") if card.slug == slug else None


def keep(path: Path | None, card: ModelCard) -> None:
    """Keep a description, whole or not at all."""
    keep_bytes(path, msgspec.json.encode(card))


def keep_bytes(path: Path | None, data: bytes) -> None:
    """Keep what was asked for, whole or not at all; what cannot be kept is done without."""
    if path is None:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, unfinished, durable=False) as file:
            file.write(data)


def simulated(slug: str) -> ModelCard | None:
    """Return the description of a model that the embedded simulator plays, or None."""
    from batchup.simulator.models import catalogue  # noqa: PLC0415 - a real job never loads the simulator

    model = catalogue().get(slug)
    if model is None:
        return None
    return replace(read_card(model.row() | {"cost": model.cost}, slug), source="simulator")


def known_card(job: Job) -> ModelCard | None:
    """Return what is known of a job's model without asking anybody."""
    if job.simulator is not None:
        return simulated(job.model)
    kept = read_kept(cache_path(os.environ, job.service.url, job.model), job.model)
    return kept or bundled(job.model)


def is_fresh(job: Job, card: ModelCard | None, now_unix: float) -> bool:
    """Tell whether the service need not be asked again; one on this machine may be another today."""
    if card is None or card.source != "cache" or is_loopback(urlsplit(job.service.url).hostname or ""):
        return False
    return 0 <= now_unix - card.fetched_at < FRESH_S


# ---------------------------------------------------------------- a run


def look_ups_of(job: Job) -> LookUps:
    """Return what a run of this job asks before it spends anything; a cap on money goes by today's price."""
    card = None if job.simulator is not None else known_card(job)
    is_enough = job.limits.max_spend is None and is_fresh(job, card, time.time())
    asked = look_ups(job.model, card, is_fresh=is_enough)
    profile = job.service.spelling
    asked.wanted = deque(request for request in asked.wanted if is_told(profile, request))
    asked.is_counting = True  # until `warn_of_shortfall` is done with it
    return asked


def is_told(profile: Profile, request: LookUp) -> bool:
    """Tell whether a service has an answer to such a question."""
    return (profile.model if isinstance(request, AskModel) else profile.balance) is not None


def keep_card(job: Job, card: ModelCard | None) -> None:
    """Keep what a run, or a check, was told of the job's model; the embedded simulator is asked each time."""
    if card is not None and card.source == "service" and job.simulator is None:
        keep(cache_path(os.environ, job.service.url, job.model), card)


async def warn_of_shortfall(pool: Pool, total: Callable[[], int | None], limit: int | None) -> None:
    """Say once, if it is so, that the balance is less than the outstanding items will probably cost.

    The first create waits for it, but not for a manifest that takes longer to be counted than a look-up may.
    `total` returns the rows of the manifest, None until they are counted; `limit` is how many items this run
    may create.
    """
    asked, clock, rows = pool.batch.board.look_ups, pool.tools.clock, total()
    began_at = clock.monotonic()
    longest_s = HURRIED_SHARE * clock.real_s(pool.batch.board.policy.request_timeout_s)
    while not asked.is_settled or (rows is None and asked.balance_usd is not None):
        waited_s = clock.monotonic() - began_at
        if asked.is_counting and waited_s > longest_s:
            pool.feed(RowsCounted())
        soon_s = max(_SOON_S, min(_LATER * waited_s, longest_s - waited_s))
        await anyio.sleep(soon_s if asked.is_counting else _LOOK_S)
        rows = total()
    if rows is not None and asked.balance_usd is not None:
        _compare(pool, asked.balance_usd, rows, limit)
    pool.feed(RowsCounted())


def _compare(pool: Pool, balance_usd: float, rows: int, limit: int | None) -> None:
    board, checkpoint = pool.batch.board, pool.tools.checkpoint
    with contextlib.suppress(BatchupError):  # the run meets the same problem, and says so
        price = likely_usd(checkpoint, reckon(board.tally, board.look_ups.price_usd).usd)
        left = max(0, rows - checkpoint.totals().count(State.SAVED, State.FAILED, State.HELD))
        _warn(pool, balance_usd, price, left if limit is None else min(left, limit))


def _warn(pool: Pool, balance_usd: float, price: float | None, outstanding: int) -> None:
    if price is not None and shortfall_usd(balance_usd, price, outstanding) is not None:
        cost = dollars(outstanding * price)
        fields = {"balance": dollars(balance_usd), "count": outstanding, "cost": cost}
        pool.observer.note(Note("balance_short", "warning", fields))


def likely_usd(checkpoint: Checkpoint | None, named_usd: float | None) -> float | None:
    """Return what a prediction will probably cost: the mean of those settled, else what is named."""
    mean = None if checkpoint is None else costs_seen(checkpoint).mean_usd
    return named_usd if mean is None else mean


# ---------------------------------------------------------------- a command


@dataclass(slots=True)
class Told:
    """What the service told a command; what it did not tell is None, and why is said in `problems`."""

    card: ModelCard | None = None
    balance_usd: float | None = None
    problems: list[str] = field(default_factory=list)
    refused: str | None = None  # in the service's words, where it does not accept the key


async def ask(
    job: Job, key: str, *, wants_card: bool, wants_balance: bool = True, longest_s: float = LONGEST_S
) -> Told:
    """Ask for the balance, and for the model's description, what is wanted of them, both at once.

    Every request has its permit; nothing is fatal, and it takes at most `longest_s` real seconds.
    """
    told = Told()
    wanted: list[LookUp] = [AskBalance()] if wants_balance else []
    if wants_card:
        wanted.append(AskModel(job.model))
    wanted = [request for request in wanted if is_told(job.service.spelling, request)]
    if not wanted:
        return told
    async with plain_desk(job, key) as desk:
        with anyio.move_on_after(longest_s) as scope:
            try:
                async with anyio.create_task_group() as tasks:
                    for request in wanted:
                        tasks.start_soon(_ask, desk, request, told)
            except* BatchupError as problems:  # the ledger's, as a rule, and then that of each request
                told.problems.append(f"the service was not asked: {problems.exceptions[0]}")
        if scope.cancelled_caught:
            told.problems.append("the service was not heard in time")
    return told


@contextlib.asynccontextmanager
async def plain_desk(job: Job, key: str) -> AsyncIterator[Desk]:
    """Open what a service is asked through by who has no checkpoint: the same gate as a run's."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as stack:
        gates = make_gates(job, key, clock, stack)
        client = await stack.enter_async_context(make_client(job, job.service.url, key, gates.timeout_s))
        yield Desk(job, clock, gates.make(job.limits.rate), client)


async def _ask(desk: Desk, request: LookUp, told: Told) -> None:
    raw = await desk.send(desk.wire.call_of(request, desk.job.model), request.kind)
    if isinstance(raw, Response) and raw.status in _KEY_REFUSED:
        told.refused = f"HTTP {raw.status}"
    place = "it cannot be reached: " if isinstance(raw, Silence) and not raw.was_sent else ""
    match desk.wire.read(request, raw, time.time()):
        case ModelTold(card=ModelCard() as card):
            told.card = card
        case BalanceTold(usd=float() as usd):
            told.balance_usd = usd
        case ModelTold(why=why):
            told.problems.append(f"the service does not describe {desk.job.model}: {place}{why}")
        case BalanceTold(why=why):
            told.problems.append(f"the service does not tell the balance: {place}{why}")
        case _:
            told.problems.append("the service wants fewer requests just now")
