"""The service's JSON and our words: nothing else knows its spelling.

`Response` and `Silence` are what the edge brings; `read_*` turn them into answers; `create_body` and the
paths are what the edge sends. The shapes are those of the each::labs prediction API, which its own pages
describe in several ways: every reader takes what any of them shows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import quote

from batchup.core.account import read_balance, read_card
from batchup.core.addresses import output_urls
from batchup.core.failures import code_in, no_output, plain_body, prediction_failure, words_in
from batchup.core.items import Failure, Json
from batchup.core.redaction import plain_words
from batchup.core.requests import (
    Accepted,
    Answer,
    AskBalance,
    AskModel,
    BalanceTold,
    Create,
    Inspect,
    Listed,
    ListPage,
    LookUp,
    ModelTold,
    Poll,
    Presign,
    Presigned,
    Problem,
    Request,
    Seen,
    Survey,
    Surveyed,
)
from batchup.core.values import (
    SenselessError,
    decode,
    http_date,
    id_in,
    instant_in,
    json_object,
    number_in,
    rfc3339,
)
from batchup.core.verdicts import Kind, Verdict, verdict

PAGE = 100  # rows of a page of executions, the most the service gives
MOST_ROWS = 1000  # of all pages of one stretch of time; what is beyond cannot be asked for
_ID_KEYS = ("predictionID", "prediction_id", "id")
_SUCCESS = frozenset({"success", "succeeded", "completed"})
_ERROR = frozenset({"error", "failed"})
_CANCELLED = frozenset({"cancelled", "canceled"})
_RUNNING = frozenset({"", "created", "starting", "processing", "pending", "queued", "running"})


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came back. `was_sent` is False only where it is certain that the service saw nothing."""

    was_sent: bool
    message: str


Raw: TypeAlias = Response | Silence


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP exchange as the client makes it: method, path under the service's URL, query, JSON body."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Json = None
    is_hurried: bool = False  # something else is done at once if no answer comes soon


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the service is to tell of a prediction's end, and the secret that proves it."""

    url: str
    secret: str = field(repr=False)


def call_of(request: Request, model: str, hook: Hook | None = None) -> Call:
    """Spell a request in the service's words; a create asks to be called back at `hook`."""
    match request:
        case Create():
            told = {} if hook is None else {"webhook_url": hook.url, "webhook_secret": hook.secret}
            return Call("POST", "prediction", {}, {"model": model, "input": dict(request.input), **told})
        case Poll() | Inspect():
            return Call("GET", f"prediction/{request.prediction_id}", {})
        case Presign():
            kind = {"content_type": request.content_type, "file_type": "image"}
            return Call("POST", "upload/presign", {}, kind)
        case AskModel():
            return Call("GET", f"models/{quote(request.slug, safe='')}", {}, is_hurried=True)
        case AskBalance():
            return Call("GET", "billing/balance", {}, is_hurried=True)
        case _:
            offset = request.offset if isinstance(request, ListPage) else 0
            query = {
                "limit": str(PAGE),
                "offset": str(offset),
                "model": model,
                "from": rfc3339(request.created_from),
                "to": rfc3339(request.created_to),
            }
            return Call("GET", "executions", query, is_hurried=isinstance(request, Survey))


def cancel_call(prediction_id: str) -> Call:
    """Spell the wish that a prediction be ended; what comes back says little, and a poll says more."""
    return Call("POST", f"prediction/{prediction_id}/cancel", {})


def read(request: Request, raw: Raw, now_unix: float) -> Answer:
    """Turn what came back for `request` into our words; never raises."""
    kind = request.kind
    if isinstance(request, AskModel | AskBalance):
        return _read_look_up(request, raw, now_unix)
    if isinstance(raw, Silence):
        failure = Failure("no_answer", plain_words(raw.message), retryable=True)
        return _problem(kind, "lost" if raw.was_sent else "unsent", failure)
    if not 200 <= raw.status < 300:
        return _refusal(kind, raw, now_unix)
    try:
        return _read_good(request, decode(raw.body))
    except SenselessError as problem:
        failure = Failure("senseless", f"the service's answer makes no sense: {problem}", retryable=True)
        return _problem(kind, "senseless", failure)


def service_offset_s(raw: Raw, now_unix: float) -> float | None:
    """Return the service's wall clock minus ours in seconds, by its Date header; None where it has none."""
    if isinstance(raw, Silence) or "date" not in raw.headers:
        return None
    at = http_date(raw.headers["date"])
    return None if at is None else at - now_unix


# ---------------------------------------------------------------- good answers


def _read_good(request: Request, body: Json) -> Answer:
    match request:
        case Create():
            return Accepted(id_in(body, *_ID_KEYS))
        case Poll() | Inspect():
            return _read_prediction(body, request.prediction_id)
        case Presign():
            return _read_presign(body)
        case Survey():
            return _read_survey(body)
        case _:
            return _read_page(body)


def _read_prediction(body: Json, prediction_id: str) -> Seen:
    record = json_object(body)
    shown = {str(record[key]) for key in _ID_KEYS if record.get(key)}
    if shown and prediction_id not in shown:
        raise SenselessError(f"asked for prediction {prediction_id}, another one came")
    if "status" not in record:
        raise SenselessError("a prediction without a status")
    word = str(record["status"] or "").strip().lower()
    raw_metrics = record.get("metrics")
    metrics: Mapping[str, Json] = raw_metrics if isinstance(raw_metrics, dict) else {}
    raw_input = record.get("input")
    given: Mapping[str, Json] = raw_input if isinstance(raw_input, dict) else {}
    if word not in _SUCCESS | _ERROR | _CANCELLED:
        return Seen(prediction_id, False, input=given, unknown_word=None if word in _RUNNING else word)
    failure = None
    if word not in _SUCCESS:
        failure = prediction_failure(record, was_cancelled=word in _CANCELLED)
    urls = output_urls(record.get("output")) if failure is None else ()
    nothing = no_output(record.get("output")) if failure is None and not urls else None
    cost, took = number_in(metrics.get("cost")), number_in(metrics.get("predict_time"))
    return Seen(prediction_id, True, urls, failure, cost, took, given, no_output=nothing)


def _read_presign(body: Json) -> Presigned:
    record = json_object(body)
    put_url, public_url = record.get("presigned_url"), record.get("public_url")
    if not (isinstance(put_url, str) and isinstance(public_url, str) and put_url and public_url):
        raise SenselessError("a presign without its addresses")
    headers = record.get("required_headers")
    required = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    return Presigned(put_url, required, public_url, instant_in(record.get("expires_at")))


def _rows(body: Json) -> list[Json]:
    rows = body
    if isinstance(body, dict):
        rows = next((body[k] for k in ("executions", "data", "items", "results") if k in body), None)
    if not isinstance(rows, list):
        raise SenselessError("a list of executions without rows")
    return rows


def _read_survey(body: Json) -> Surveyed:
    """Read what rows tell of predictions; a row that makes no sense is nobody's."""
    found = []
    for row in _rows(body):
        if not (isinstance(row, dict) and isinstance(row.get("id"), str) and "status" in row):
            continue
        word = str(row["status"] or "").strip().lower()
        took, cost = number_in(row.get("run_time")), number_in(row.get("execution_cost"))
        failure: Failure | None = None
        urls: tuple[str, ...] = ()
        if word in _ERROR | _CANCELLED:
            failure = Failure("prediction_failed", "the list does not say why")
        elif word in _SUCCESS:
            urls = output_urls(row.get("output"))
        has_settled = word in _SUCCESS | _ERROR | _CANCELLED
        found.append(Seen(row["id"], has_settled, urls, failure, cost, took))
    return Surveyed(tuple(found))


def _read_page(body: Json) -> Listed:
    found = []
    for row in _rows(body):
        record = json_object(row)
        found.append(
            (id_in(record, "id"), str(record.get("model") or ""), instant_in(record.get("created_at")))
        )
    return Listed(tuple(found), is_last=len(found) < PAGE)


def _read_look_up(request: LookUp, raw: Raw, now_unix: float) -> Answer:
    """Read what was asked before spending; whatever is wrong with it is no more than a missing answer."""
    if isinstance(raw, Response) and raw.status == 429:
        return _refusal(request.kind, raw, now_unix)
    why = raw.message if isinstance(raw, Silence) else f"HTTP {raw.status}"
    if isinstance(raw, Response) and 200 <= raw.status < 300:
        try:
            body = decode(raw.body)
            if isinstance(request, AskModel):
                return ModelTold(replace(read_card(body, request.slug), fetched_at=now_unix))
            return BalanceTold(read_balance(body))
        except SenselessError as problem:
            why = f"the answer makes no sense: {problem}"
    why = plain_words(why)
    return ModelTold(None, why) if isinstance(request, AskModel) else BalanceTold(None, why)


# ---------------------------------------------------------------- refusals


def _refusal(kind: Kind, raw: Response, now_unix: float) -> Problem:
    try:
        body = decode(raw.body)
    except SenselessError:
        body = None
    record: Mapping[str, Json] = body if isinstance(body, dict) else {}
    words = words_in(body) or (plain_body(raw.body) if body is None else "") or f"HTTP {raw.status}"
    if 300 <= raw.status < 400:
        where = raw.headers.get("location", "nowhere").partition("?")[0]
        words = plain_words(f"HTTP {raw.status} to {where}")
    found = verdict(kind, str(raw.status))
    cap = _named_cap(words) if kind is Kind.CREATE and found is Verdict.THROTTLED else None
    code = code_in(body) or str(raw.status)
    failure = Failure(f"http_{raw.status}", words, code, retryable=found is not Verdict.PERMANENT)
    return Problem(found, failure, _retry_after(raw, record, now_unix), cap)


def _problem(kind: Kind, condition: str, failure: Failure) -> Problem:
    return Problem(verdict(kind, condition), failure, is_senseless=condition == "senseless")


def _named_cap(words: str) -> int | None:
    found = re.search(r"(\d{1,6})\s+concurrent", words)
    return max(1, int(found[1])) if found else None


def _retry_after(raw: Response, record: Mapping[str, Json], now_unix: float) -> float | None:
    """Read Retry-After as seconds or a date, or `retry_after` in the body, clamped to 1 s … 15 min."""
    text = str(raw.headers.get("retry-after") or record.get("retry_after") or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", text):
        wait = float(text)
    else:
        at = http_date(text)
        if at is None:
            return None
        wait = at - (http_date(raw.headers.get("date", "")) or now_unix)  # by the clock that named it
    return min(900.0, max(1.0, wait))
