"""What a change of an item's state writes into its row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, Json
from batchup.core.messages import Keep
from batchup.core.redaction import plain_value, plain_words
from batchup.core.states import MAY_BE_RUNNING, State
from batchup.edge.database.prefixes import Prefixes
from batchup.edge.database.schema import in_parts, packed

INSTANTS: Final = ("sent", "created", "settled", "saved")
NO_INSTANTS: Final = (None, None, None, None)
RESET: Final = (
    *("created_ms", "settled_ms", "saved_ms", "prediction", "urls", "cost", "predict_time", "failure"),
    "original",
)
"""What is left of an attempt when the next one begins: nothing."""

_MILLI: Final = 1000
_MICRO: Final = 1_000_000


def columns_of(keep: Keep, calendar: Calendar, before: Sequence[int | None]) -> dict[str, Any]:
    """Return the columns that a change sets, the request aside; `before` are the row's INSTANTS."""
    changes = keep.changes
    columns: dict[str, Any] = {"state": keep.becomes.value}
    columns |= {name: changes[name] for name in ("attempt", "original") if name in changes}
    columns |= _instants(changes, calendar, before)
    if "prediction_id" in changes:
        columns["prediction"] = packed(changes["prediction_id"])
    if "cost_usd" in changes:
        columns["cost"] = in_parts(changes["cost_usd"], _MICRO)
    if "predict_time_s" in changes:
        columns["predict_time"] = in_parts(changes["predict_time_s"], _MILLI)
    if keep.becomes is State.SUBMITTING:
        columns["hashes"] = as_json(changes["hashes"])
        columns["offset_ms"] = round(changes.get("service_offset_s", 0.0) * _MILLI)
    elif keep.becomes not in MAY_BE_RUNNING:
        columns["hashes"] = None
    if "urls" in changes:
        # All or none: a poll brings them all anew, and one that is missing would be missed by nobody.
        is_signed = any("?" in url for url in changes["urls"])
        columns["urls"] = as_json([] if is_signed else changes["urls"])
    elif keep.becomes is State.SAVED:
        columns["urls"] = None
    if "failure" in changes or keep.becomes in (State.SAVED, State.SUCCEEDED):
        failure: Failure | None = changes.get("failure")
        columns["failure"] = None if failure is None else _plain(failure)
    return columns


def request_of(
    item: Item, job_input: Mapping[str, Json], defaults: int, prefixes: Prefixes
) -> dict[str, Any]:
    """Return the columns of an item's request: what it has beside the job's parameters, or in their place."""
    own = {k: v for k, v in item.input.items() if k not in job_input or job_input[k] != v}
    fingerprint = bytes.fromhex(item.fingerprint)
    text = prefixes.pack(as_json(plain_value(own)), "input")
    return {"fingerprint": fingerprint, "defaults": defaults, "input": text}


def as_json(value: Any) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()


def _instants(
    changes: Mapping[str, Any], calendar: Calendar, before: Sequence[int | None]
) -> dict[str, int | None]:
    """Return the row's instants with those of a change: the first by itself, the others since the first."""
    given = {
        name: round(calendar.to_unix(changes[f"{name}_at"]) * _MILLI)
        for name in INSTANTS
        if f"{name}_at" in changes
    }
    if not given:
        return {}
    since = before[0] or 0
    kept = {name: since + at for name, at in zip(INSTANTS[1:], before[1:], strict=True) if at is not None}
    sent = given.pop("sent", before[0])
    later = kept | given
    return {"sent_ms": sent} | {f"{name}_ms": at - (sent or 0) for name, at in later.items()}


def _plain(failure: Failure) -> str:
    return as_json(replace(failure, message=plain_words(failure.message)))
