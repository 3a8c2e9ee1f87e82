"""Single values of the service's JSON and headers, read with suspicion."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

import msgspec

from batchup.core.items import Json

SAFE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,128}")
"""What an id of the service may be: nothing that walks an address."""

_LATEST = 253_402_300_799.0  # the last second of the year 9999
_DEEPEST = 64  # what is nested deeper makes no sense, and would exhaust whoever walks it


class SenselessError(Exception):
    """A good status with a body that cannot be what it claims."""


def decode(body: bytes) -> Json:
    """Decode JSON; SenselessError for what is none, or is nested without end."""
    try:
        value: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise SenselessError("not JSON") from None
    if _is_deep(value):
        raise SenselessError("nested too deep")
    return value


def _is_deep(value: Json) -> bool:
    """Tell whether it is nested beyond the bound; level by level, as the stack has a bound too."""
    level = [value]
    for _ in range(_DEEPEST):
        holders = [one for one in level if isinstance(one, dict | list)]
        if not holders:
            return False
        level = [inner for one in holders for inner in (one.values() if isinstance(one, dict) else one)]
    return True


def json_object(value: Json) -> Mapping[str, Json]:
    """Return a JSON object as it is; SenselessError for anything else."""
    if not isinstance(value, dict):
        raise SenselessError("not an object")
    return value


def id_at(values: Iterable[Json]) -> str:
    """Return the first of these values that is something; SenselessError if it is no usable id."""
    found = safe_id(next((value for value in values if value), None))
    if found is None:
        raise SenselessError("no usable id")
    return found


def safe_id(value: Json) -> str | None:
    """Return an id that cannot walk an address; None for anything else."""
    return value if isinstance(value, str) and SAFE_ID.fullmatch(value) else None


def number_in(value: Json) -> float | None:
    """Return a number that a duration or a cost can be; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def instant_in(value: Json) -> float | None:
    """Read an instant as Unix seconds, UTC where it names no offset; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


@lru_cache(maxsize=8)  # one that comes with each answer changes once a second
def http_date(text: str) -> float | None:
    """Read an HTTP date as Unix seconds; None for anything else."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def rfc3339(at: float) -> str:
    """Write Unix seconds as the service reads them."""
    return (
        datetime.fromtimestamp(min(max(at, 0.0), _LATEST), UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
