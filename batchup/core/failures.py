"""The service's own words and codes for what went wrong, out of whatever shape its answer has.

Words are kept as they came, but for what is secret in them, and bounded in length.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from batchup.core.items import Failure, Json
from batchup.core.redaction import plain_value, plain_words
from batchup.core.verdicts import Kind, Verdict, settled_condition, verdict

ONE_MORE: Final = "provider_failed"
"""The kind of a failure that is worth one more attempt although it is said to be final."""

LONGEST: Final = 2000  # characters of anybody's words
_LOOKED_AT: Final = 4 * LONGEST  # so much that is left out as secret there may be before it
_HOST: Final = re.compile(r"://[^\s/?#]*\Z")
_SAYING: Final = ("error", "message", "msg", "detail", "details")
_CODING: Final = ("error_code", "code")
_NO_WORDS: Final = ("<", "{", "[", '"')
_UNSAID: Final = "the prediction failed and the service does not say why"


def prediction_failure(
    record: Mapping[str, Json], envelope: Json, *, was_cancelled: bool, again: Sequence[str] = ()
) -> Failure:
    """Read why a prediction settled badly: its `envelope`, or the words that stand in its place.

    Words that hold one of `again` are said of what another attempt may help against.
    """
    if was_cancelled:
        return _settled(
            "cancelled", Failure("cancelled", "the prediction was cancelled at the service", "cancelled")
        )
    if not isinstance(envelope, dict):
        words = _bounded(envelope) if isinstance(envelope, str) else ""
        failure = Failure("prediction_failed", words or words_in(record) or _UNSAID, code_in(record))
        retryable = True if _says(failure.message, again) else None
        return _settled(settled_condition("", "", failure.message, retryable=retryable), failure)
    said_first = envelope.get("error_message")
    words = _bounded(said_first) if isinstance(said_first, str) else ""
    failure = Failure("prediction_failed", words or words_in(envelope) or _UNSAID, code_in(envelope))
    said = True if _says(failure.message, again) else envelope.get("retryable")
    condition = settled_condition(
        _category(envelope),
        failure.code or "",
        f"{failure.message} {envelope.get('provider_error_code')}",
        retryable=said if isinstance(said, bool) else None,
    )
    return _settled(condition, failure)


def no_output(output: Json) -> Failure:
    """Describe a prediction that succeeded, was paid and shows no address: with what it shows instead."""
    shown = msgspec.json.encode(plain_value(output)).decode()[:LONGEST]
    return Failure("no_output", f"the prediction succeeded without an output address; its output: {shown}")


def words_in(value: Json) -> str:
    """Collect what an error says in its own words, each part once; empty where it says nothing."""
    return _bounded(": ".join(dict.fromkeys(_parts(value))))


def code_in(value: Json) -> str | None:
    """Return the code an error carries, at its top or in the object that stands for its words."""
    if not isinstance(value, dict):
        return None
    found = next((value[key] for key in _CODING if isinstance(value.get(key), str) and value[key]), None)
    return found[:100] if found else code_in(value.get("error"))


def plain_body(body: bytes) -> str:
    """Return what a body that is no JSON says, if it is a line of text and no page."""
    text = " ".join(body[:LONGEST].decode("utf-8", "replace").split())
    is_line = text.isprintable() and not text.startswith(_NO_WORDS) and "\ufffd" not in text
    return plain_words(text)[:500] if is_line else ""


def _bounded(text: str) -> str:
    """Take what is secret out of words, and cut them; a host that was cut might be a user and a password."""
    if len(text) > _LOOKED_AT:
        text = _HOST.sub("://", text[:_LOOKED_AT])
    return plain_words(text)[:LONGEST]


def _parts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for key in _SAYING:
            yield from _said(value.get(key))


def _said(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for part in value[:10]:
            yield from _said(part)
    elif isinstance(value, dict):
        yield from _parts(value)
    elif value and isinstance(value, str | int):
        yield str(value)


def _says(message: str, again: Sequence[str]) -> bool:
    return any(words in message.lower() for words in again)


def _category(envelope: Mapping[str, Json]) -> str:
    classification = envelope.get("classification")
    return str(classification.get("category", "")) if isinstance(classification, dict) else ""


def _settled(condition: str, failure: Failure) -> Failure:
    match verdict(Kind.PREDICTION, condition):
        case Verdict.ONE_MORE:
            return Failure(ONE_MORE, failure.message, failure.code, retryable=True)
        case means:
            is_worth_it = means is Verdict.NEW_ATTEMPT
            return Failure(failure.kind, failure.message, failure.code, retryable=is_worth_it)
