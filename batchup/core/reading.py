"""Good answers in our words, by the service's profile; SenselessError for what cannot be what it claims."""

from collections.abc import Mapping

from batchup.core.addresses import output_urls
from batchup.core.exchange import PAGE
from batchup.core.failures import no_output, prediction_failure
from batchup.core.items import Failure, Json
from batchup.core.profile import ListForm, PredictionForm, Profile, UploadForm, look, look_first
from batchup.core.requests import (
    Accepted,
    Answer,
    Create,
    Inspect,
    Listed,
    Poll,
    Presign,
    Presigned,
    Request,
    Seen,
    Survey,
    Surveyed,
)
from batchup.core.values import SenselessError, id_at, instant_in, json_object, number_in, safe_id


def read_good(profile: Profile, request: Request, body: Json) -> Answer:
    """Read the body of a good answer to anything but a look-up."""
    match request:
        case Create():
            return Accepted(id_at(look(json_object(body), pointer) for pointer in profile.prediction.id))
        case Poll() | Inspect():
            return _prediction(profile.prediction, body, request.prediction_id)
        case Presign():
            return _presign(profile.upload, body)
        case Survey():
            return _survey(profile, body)
        case _:
            return _page(profile.listing, body)


def _prediction(form: PredictionForm, body: Json, prediction_id: str) -> Seen:
    record = json_object(body)
    shown = {str(found) for found in (look(body, pointer) for pointer in form.id) if found}
    if shown and prediction_id not in shown:
        raise SenselessError(f"asked for prediction {prediction_id}, another one came")
    holder = look(body, form.status[:-1])
    if not isinstance(holder, dict) or form.status[-1] not in holder:
        raise SenselessError("a prediction without a status")
    word = _word(holder[form.status[-1]])
    raw_input = look(body, form.input)
    given: Mapping[str, Json] = raw_input if isinstance(raw_input, dict) else {}
    if not form.has_settled(word):
        return Seen(prediction_id, False, input=given, unknown_word=None if word in form.running else word)
    output = look_first(body, form.output)
    failure = None
    if word not in form.ok:
        was_cancelled = word in form.cancelled
        failure = prediction_failure(
            record, look_first(body, form.error), was_cancelled=was_cancelled, again=form.again
        )
    urls = output_urls(output) if failure is None else ()
    nothing = no_output(output) if failure is None and not urls else None
    cost, took = number_in(look(body, form.cost)), number_in(look(body, form.time))
    return Seen(prediction_id, True, urls, failure, cost, took, given, no_output=nothing)


def _word(status: Json) -> str:
    return str(status or "").strip().lower()


def _presign(form: UploadForm | None, body: Json) -> Presigned:
    if form is None:
        raise SenselessError("a presign of a service that takes no uploads")
    put_url, public_url = look(json_object(body), form.put_url), look(body, form.public_url)
    if not (isinstance(put_url, str) and isinstance(public_url, str) and put_url and public_url):
        raise SenselessError("a presign without its addresses")
    headers = look(body, form.headers)
    required = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    expires_at, file_id = instant_in(look(body, form.expires_at)), safe_id(look(body, form.id))
    return Presigned(put_url, required, public_url, expires_at, file_id)


def _rows(form: ListForm, body: Json) -> list[Json]:
    rows = body
    if isinstance(body, dict):
        rows = next((body[key] for key in form.rows if key in body), None)
    if not isinstance(rows, list):
        raise SenselessError("a list of executions without rows")
    return rows


def _survey(profile: Profile, body: Json) -> Surveyed:
    """Read what rows tell of predictions; a row that makes no sense is nobody's."""
    form, words = profile.listing, profile.prediction
    if form is None:
        return Surveyed(())
    found = []
    for row in _rows(form, body):
        id_, holder = look(row, form.id), look(row, form.status[:-1])
        if not isinstance(id_, str) or not isinstance(holder, dict) or form.status[-1] not in holder:
            continue
        word = _word(holder[form.status[-1]])
        took, cost = number_in(look(row, form.time)), number_in(look(row, form.cost))
        failure: Failure | None = None
        urls: tuple[str, ...] = ()
        if word in words.ok:
            urls = output_urls(look(row, form.output))
        elif words.has_settled(word):
            failure = Failure("prediction_failed", "the list does not say why")
        found.append(Seen(id_, words.has_settled(word), urls, failure, cost, took))
    return Surveyed(tuple(found))


def _page(form: ListForm | None, body: Json) -> Listed:
    if form is None:
        return Listed((), is_last=True)  # a sign of life was asked for, and this is one
    found = []
    for row in _rows(form, body):
        id_ = id_at([look(json_object(row), form.id)])
        found.append((id_, str(look(row, form.model) or ""), instant_in(look(row, form.created_at))))
    if form.has_full_pages:
        return Listed(tuple(found), is_last=len(found) < PAGE)
    return Listed(tuple(found), is_last=not found, step=len(found))  # it may show fewer than it is asked for
