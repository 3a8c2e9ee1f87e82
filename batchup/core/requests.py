"""What is asked of the service and what it answers, in our words.

`Batch.choose` returns a `Request`, a `Wait` or `Done`; the edge sends the request and brings the `Answer`
back inside an event. All of them are frozen: facts do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from batchup.core.account import ModelCard
from batchup.core.exchange import PAGE
from batchup.core.items import Failure, Json
from batchup.core.verdicts import Kind, Verdict

# ---------------------------------------------------------------- requests: one is one HTTP exchange


@dataclass(frozen=True, slots=True)
class Create:
    """Buy a prediction. `input` is what goes over the wire, local files replaced by uploaded addresses."""

    item_id: str
    attempt: int
    input: Mapping[str, Json]
    kind = Kind.CREATE


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask after one prediction of ours."""

    item_id: str
    prediction_id: str
    attempt: int | None = field(default=None, compare=False)  # for the log
    kind = Kind.POLL


@dataclass(frozen=True, slots=True)
class Inspect:
    """Ask after a prediction that may be one of ours, to compare its input."""

    prediction_id: str
    kind = Kind.POLL


@dataclass(frozen=True, slots=True)
class Presign:
    """Ask for a place to upload the content with this hash to."""

    sha256: str
    content_type: str
    kind = Kind.PRESIGN


@dataclass(frozen=True, slots=True)
class Sign:
    """Have an address signed at which the service can fetch this content: no request, and nothing is sent."""

    sha256: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the service's executions, from `offset`, created between two Unix instants."""

    offset: int
    created_from: float
    created_to: float
    kind = Kind.LIST


@dataclass(frozen=True, slots=True)
class Survey:
    """The newest of the service's executions created between two Unix instants, as a look at all of them."""

    created_from: float
    created_to: float
    kind = Kind.LIST


@dataclass(frozen=True, slots=True)
class AskModel:
    """Ask what the model with this slug costs and takes."""

    slug: str
    kind = Kind.LIST


@dataclass(frozen=True, slots=True)
class AskBalance:
    """Ask for the account's credit."""

    kind = Kind.LIST


LookUp: TypeAlias = AskModel | AskBalance
"""What is asked before money is spent; an answer is welcome, and nothing depends on it."""

Request: TypeAlias = Create | Poll | Inspect | Presign | ListPage | Survey | AskModel | AskBalance


def asked_for(request: Request) -> str:
    """Say in one word what a request asks for: so it is logged and counted, whatever it is paced with."""
    match request:
        case AskModel() | AskBalance():
            return "account"
        case Inspect():
            return "inspect"
        case _:
            return request.kind.value


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is worth sending before `until` (None: before something happens)."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do in this run."""


# ---------------------------------------------------------------- answers, in our words


@dataclass(frozen=True, slots=True)
class Accepted:
    """The create was accepted; the prediction has this id."""

    prediction_id: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A prediction as the service shows it now.

    `has_settled` with `failure` None is success. Lengths in seconds, cost in USD, both None until known.
    """

    prediction_id: str
    has_settled: bool
    urls: tuple[str, ...] = ()
    failure: Failure | None = None
    cost_usd: float | None = None
    predict_time_s: float | None = None
    input: Mapping[str, Json] = field(default_factory=dict)
    unknown_word: str | None = None  # a status word nobody told us of; taken as running
    no_output: Failure | None = None  # it succeeded without an address: what it shows instead


@dataclass(frozen=True, slots=True)
class Presigned:
    """Where to PUT the bytes, and where they will be found until `expires_at` (Unix seconds).

    `file_id` is the service's name for the file, by which it can be deleted.
    """

    put_url: str
    headers: Mapping[str, str]
    public_url: str
    expires_at: float | None
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of executions: (id, model, created_at as Unix seconds or None); `is_last`: no page follows.

    The next page begins `step` rows after this one.
    """

    rows: tuple[tuple[str, str, float | None], ...]
    is_last: bool
    step: int = PAGE


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The predictions the list showed, ours and others'; of a failure it does not show the reason."""

    rows: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class ModelTold:
    """The model as the service describes it; None with the reason where it does not."""

    card: ModelCard | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class BalanceTold:
    """The credit left in USD; None with the reason where the service does not tell."""

    usd: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not a good one, or none at all."""

    verdict: Verdict
    failure: Failure
    retry_after_s: float | None = None
    cap: int | None = None  # the number of concurrent predictions the service named
    is_senseless: bool = False


Answer: TypeAlias = Accepted | Seen | Presigned | Listed | Surveyed | ModelTold | BalanceTold | Problem
