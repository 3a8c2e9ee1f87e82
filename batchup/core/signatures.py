"""Who calls: whether a webhook comes from the service, and which prediction it tells of.

The service's pages name three schemes, and which of them an account gets nobody says: the secret itself in
a header, an HMAC of the body, or an HMAC of a time and the body. One that holds is enough.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from batchup.core.values import SAFE_ID

FRESH_S: Final = 300.0
"""How far a delivery's own time may be from ours, either way."""

_SECRET: Final = "x-webhook-secret"  # noqa: S105 - the header's name
_TIMESTAMP: Final = "x-webhook-timestamp"
_SIGNATURES: Final = ("x-webhook-signature", "x-signature", "x-hub-signature-256")
_ID_KEYS: Final = ("exec_id", "id", "predictionID", "prediction_id")
_UNIX = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_MILLISECONDS_FROM: Final = 1e11  # in seconds that is the year 5138
_LONGEST_TIME: Final = 40


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now_unix: float) -> bool:
    """Tell whether who sent this knows the secret; `headers` have lower-case names. Never raises.

    A delivery that states a time more than `FRESH_S` from `now_unix` is refused, whatever else it shows.
    """
    if not secret:
        return False
    stated = headers.get(_TIMESTAMP)
    at = None if stated is None else _instant(stated)
    if at is not None and not abs(now_unix - at) <= FRESH_S:
        return False
    if _is_same(headers.get(_SECRET, ""), secret):
        return True
    given = [headers[name].strip().lower().removeprefix("sha256=") for name in _SIGNATURES if name in headers]
    signed = []
    if given and not _is_dated(body):  # else somebody shows a dated message again, without its date
        signed.append(_signature(secret, body))
    if given and stated is not None and at is not None:
        signed.append(_signature(secret, _bytes(stated) + b"." + body))
    return any(_is_same(one, other) for one in given for other in signed)


def notified_id(body: bytes) -> str | None:
    """Return the id of the prediction a webhook tells of, None where it names no safe one; never raises."""
    try:
        record = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    found = next((record[key] for key in _ID_KEYS if record.get(key)), None)
    return found if isinstance(found, str) and SAFE_ID.fullmatch(found) else None


def _signature(secret: str, message: bytes) -> str:
    return hmac.new(_bytes(secret), message, hashlib.sha256).hexdigest()


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a header may hold bytes that are no text


def _is_dated(body: bytes) -> bool:
    """Tell whether a body begins with a time and a dot, as what is signed with its time does."""
    head, dot, _ = body[:_LONGEST_TIME].partition(b".")
    return bool(dot) and _instant(head.decode("ascii", "replace")) is not None


def _instant(text: str) -> float | None:
    """Read a time as Unix seconds, from seconds, milliseconds or ISO 8601; None where it is none."""
    text = text.strip()
    if len(text) > _LONGEST_TIME:
        return None
    if _UNIX.fullmatch(text):
        at = float(text)
        return at if at < _MILLISECONDS_FROM else at / 1000
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
