"""From an item's outcome to its row in the report, with nothing in it that opens anything.

Pure. Where an item's pictures are is told by `Pictures`: each way of showing a report has its own addresses.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from batchup.core.causes import cause_of, what_to_do
from batchup.core.items import Failure, Json, Outcome
from batchup.core.redaction import plain_address, plain_value, plain_words
from batchup.report.document import Fault, Output, Row

LONGEST: Final = 500
"""Characters of a parameter that are shown; a prompt may be a book, an inlined mask is megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Where the pictures of one item are, as addresses that the page can use, and what is known of them.

    `outputs` is an address for each saved file, in their order; sizes are in pixels.
    """

    before: str | None = None
    after: str | None = None
    input: str | None = None
    outputs: Sequence[str | None] = ()
    input_width: int | None = None
    input_height: int | None = None
    gain: float | None = None


def row_of(
    outcome: Outcome,
    pictures: Pictures,
    *,
    job_input: Mapping[str, Json],
    media: Collection[str],
    speed: float,
) -> Row:
    """Return an item's row; `media` names the parameters that are pictures, which are left out.

    `speed` is how much faster than life the service's time runs, as instants are real and lengths are not.
    """
    first = outcome.files[0] if outcome.files else None
    return Row(
        id=outcome.id,
        state=outcome.state,
        before=pictures.before,
        after=pictures.after,
        input=pictures.input,
        output=pictures.outputs[0] if pictures.outputs else None,
        name=None if first is None else _name(first.path),
        files=_files(outcome, pictures),
        width=None if first is None else first.width,
        height=None if first is None else first.height,
        bytes=sum(file.bytes for file in outcome.files) or None,
        input_width=pictures.input_width,
        input_height=pictures.input_height,
        cost_usd=outcome.cost_usd,
        time_s=time_s(outcome, speed),
        gain=pictures.gain,
        attempts=outcome.attempts or None,
        prediction_id=outcome.prediction_id,
        created_at=_instant(outcome.created_at),
        saved_at=_instant(outcome.saved_at),
        failure=None if outcome.failure is None else _fault(outcome.failure),
        parameters=shown(
            {name: value for name, value in outcome.input.items() if name not in media}, job_input
        ),
    )


def time_s(outcome: Outcome, speed: float = 1.0) -> float | None:
    """Return how long the prediction took in seconds of the service's time, None where that is not known."""
    if outcome.predict_time_s is not None:
        return round(outcome.predict_time_s, 3)
    if outcome.created_at is None or outcome.settled_at is None:
        return None
    return round(max(0.0, outcome.settled_at - outcome.created_at) * speed, 3)


def shown(parameters: Mapping[str, Json], usual: Mapping[str, Json]) -> dict[str, Json]:
    """Return the parameters that differ from the usual ones, without what is secret, long ones cut."""
    differing = {name: value for name, value in parameters.items() if usual.get(name) != value}
    plain = plain_value(differing)
    return {name: _cut(value) for name, value in plain.items()}


def address(path: str) -> str:
    """Return a path as an address: percent-encoded, with the bytes of a name that is no text as they are."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")


def web_address(value: Json) -> str | None:
    """Return a picture's address on the web without what opens it, None for whatever is no such address."""
    is_web = isinstance(value, str) and value.lower().startswith(("https://", "http://"))
    return plain_address(value) if is_web else None


def _files(outcome: Outcome, pictures: Pictures) -> tuple[Output, ...]:
    if len(outcome.files) < 2:
        return ()
    return tuple(
        Output(
            href=href,
            name=_name(file.path),
            bytes=file.bytes,
            width=file.width,
            height=file.height,
        )
        for file, href in zip(outcome.files, pictures.outputs, strict=False)
        if href is not None
    )


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _fault(failure: Failure) -> Fault:
    plain = replace(failure, message=plain_words(failure.message))
    return Fault(cause=cause_of(plain), message=plain.message, code=plain.code, what_to_do=what_to_do(plain))


def _instant(at: float | None) -> float | None:
    return None if at is None else round(at, 1)


def _cut(value: Json) -> Json:
    return f"{value[:LONGEST]}…" if isinstance(value, str) and len(value) > LONGEST else value
