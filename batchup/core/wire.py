"""The service's JSON and our words: nothing else knows its spelling.

`Response` and `Silence` are what the edge brings; `read_*` turn them into answers; `create_body` and the
paths are what the edge sends. The shapes are those of the each::labs prediction API, which its own pages
describe in several ways: every reader takes what any of them shows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from batchup.core.addresses import output_urls
from batchup.core.items import Failure, Json
from batchup.core.requests import (
    Accepted,
    Answer,
    Create,
    Inspect,
    Listed,
    ListPage,
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
ONE_MORE = "provider_failed"  # the kind of a failure that is worth one more attempt although said to be final
_ID_KEYS = ("predictionID", "prediction_id", "id")
_SUCCESS = frozenset({"success", "succeeded", "completed"})
_ERROR = frozenset({"error", "failed"})
_CANCELLED = frozenset({"cancelled", "canceled"})
_RUNNING = frozenset({"", "created", "starting", "processing", "pending", "queued", "running"})
_NEVER_AGAIN = frozenset({"VALIDATION", "AUTH"})
_AGAIN = frozenset({"PROVIDER", "RATE_LIMIT", "NETWORK", "TIMEOUT", "INTERNAL"})


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


def read(request: Request, raw: Raw, now_unix: float) -> Answer:
    """Turn what came back for `request` into our words; never raises."""
    kind = request.kind
    if isinstance(raw, Silence):
        return _problem(
            kind, "lost" if raw.was_sent else "unsent", Failure("no_answer", raw.message, retryable=True)
        )
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
        failure = _prediction_failure(record, was_cancelled=word in _CANCELLED)
    urls = output_urls(record.get("output")) if failure is None else ()
    cost, took = number_in(metrics.get("cost")), number_in(metrics.get("predict_time"))
    return Seen(prediction_id, True, urls, failure, cost, took, given)


def _prediction_failure(record: Mapping[str, Json], *, was_cancelled: bool) -> Failure:
    """Read the envelope that stands in `output` when a prediction settled badly."""
    if was_cancelled:
        return Failure("cancelled", "the prediction was cancelled at the service", "cancelled")
    envelope = record.get("output")
    if not isinstance(envelope, dict):
        words = envelope if isinstance(envelope, str) and envelope else _words(record)
        return Failure("prediction_failed", words or "the prediction failed and the service does not say why")
    code = str(envelope.get("error_code") or "") or None
    message = str(envelope.get("error_message") or "") or _words(envelope) or "the prediction failed"
    classification = envelope.get("classification")
    category = str(classification.get("category", "")).upper() if isinstance(classification, dict) else ""
    if category in _NEVER_AGAIN or "moderation" in f"{category} {code} {message}".lower():
        return Failure("prediction_failed", message, code)
    said = envelope.get("retryable")
    if said is not True and code == "PROVIDER_FAILED":
        return Failure(ONE_MORE, message, code, retryable=True)
    retryable = said if isinstance(said, bool) else category in _AGAIN
    return Failure("prediction_failed", message, code, retryable=retryable)


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


# ---------------------------------------------------------------- refusals


def _refusal(kind: Kind, raw: Response, now_unix: float) -> Problem:
    try:
        body = decode(raw.body)
    except SenselessError:
        body = None
    record: Mapping[str, Json] = body if isinstance(body, dict) else {}
    words = _words(record) or f"HTTP {raw.status}"
    if 300 <= raw.status < 400:
        words = f"HTTP {raw.status} to {raw.headers.get('location', 'nowhere').partition('?')[0]}"
    found = verdict(kind, str(raw.status))
    cap = _named_cap(words) if kind is Kind.CREATE and found is Verdict.THROTTLED else None
    failure = Failure(f"http_{raw.status}", words, str(raw.status), retryable=found is not Verdict.PERMANENT)
    return Problem(found, failure, _retry_after(raw, record, now_unix), cap)


def _problem(kind: Kind, condition: str, failure: Failure) -> Problem:
    return Problem(verdict(kind, condition), failure, is_senseless=condition == "senseless")


def _words(record: Mapping[str, Json]) -> str:
    """Collect what the service says in an error body, in its own words."""
    parts = [record.get(key) for key in ("error", "message", "detail", "details")]
    return ": ".join(dict.fromkeys(str(part) for part in parts if part and isinstance(part, str | int)))[
        :2000
    ]


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
